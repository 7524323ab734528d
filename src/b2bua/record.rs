//! Recording: which calls are recorded, and what of them.
//!
//! A call is recorded from its answer on, if a side of it is configured so, or while a phone wishes it that may. What each leg's peer says
//! is one channel. The recording outlives hold and transfer: who comes in the place of another speaks on the same channel. Once it is
//! stopped and started again it is another file.
//!
//! With `recording.siprec` it goes to a recording server as well, or instead: what that is told is `siprec`'s.
//!
//! A member of a room that has its members recorded is recorded as any call is; the room tells of it.
//!
//! Where `recording.tone` says so, both sides hear a tone for a moment in place of one another, and where `recording.announcement` does, a
//! sound before: that they do is `wire`'s.

use super::call::{Call, Other, Stage};
use super::desk::{CallTimer, Timer, Turn};
use super::leg::{LegId, Who};
use crate::config::{Beep, Config, Record};
use crate::effect::{Fact, Output};
use crate::id::ServerTx;
use crate::limits;
use crate::media::command::{Music, Of, Recording, Side};
use crate::sip::Message;
use crate::siprec::order::Subject;
use codecs::Codec;
use std::time::Duration;

/// How long the tone is.
const BEEP: Duration = Duration::from_millis(200);
/// What the media may need until it is at the end of an announcement whose time is over: some steps of its clock, and the last packet.
const AFTER: Duration = Duration::from_millis(200);

/// What a call knows of its recordings.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// A side that was in the call is recorded always: nobody switches that off.
    must: bool,
    /// It was asked for.
    asked: bool,
    /// How many there were.
    count: u16,
    /// The one that is being made, and who speaks on its channels.
    now: Option<(Recording, [Option<LegId>; 2])>,
    /// The tone is heard.
    beeps: bool,
    /// The announcement is heard.
    speaks: bool,
    /// The recording server has failed, and is not asked again unless somebody wishes it.
    given_up: bool,
    /// What the recording server was told of last.
    pub told: Option<Box<Subject>>,
}

impl Recorder {
    /// Both sides hear the tone.
    pub fn beeps(&self) -> bool {
        self.beeps
    }

    /// Both sides hear the announcement.
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    /// The one that is being made and is to go to a recording server, and who speaks on its channels.
    pub fn going(&self) -> Option<(Recording, [Option<LegId>; 2])> {
        self.now.filter(|_| !self.given_up)
    }

    /// The recording server has failed.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }
}

/// Whether calls with a peer are recorded.
fn record(config: &Config, who: &Who) -> Record {
    match who {
        Who::User(name) => config.user(name).map(|user| user.record).unwrap_or_default(),
        Who::Trunk(trunk, _) => config.trunk(*trunk).map(|trunk| trunk.record).unwrap_or_default(),
    }
}

impl Call {
    /// Starts and stops what is to be recorded by now, and lets those who talk be heard in it.
    pub fn record(&mut self, t: &mut Turn<'_, '_>) {
        let talkers = match self.stage {
            Stage::Talk {
                one,
                other: Other::Leg(other),
            } => [Some(one), Some(other)],
            Stage::Talk {
                one,
                other: Other::Service(_) | Other::Room(_) | Other::Nobody,
            } => [Some(one), None],
            // The end of a leg is the end of its part.
            Stage::Setup { .. } | Stage::DialOut(_) | Stage::Over { .. } => return,
        };
        self.recorder.must |= talkers.into_iter().flatten().any(|id| self.records(id) == Record::Yes);
        let of_room = self.recorded_by_room();
        // What is said elsewhere is no part of a room's recording.
        let is_over = |now: &mut (Recording, _)| now.0.of != Of::Call && Some(now.0.of) != of_room;
        self.recorder.now.take_if(is_over);
        // Without files, what does not reach the server is not recorded.
        let is_in_vain = self.recorder.given_up && !self.config.recording.has_files();
        if (self.is_wanted() || of_room.is_some()) && !is_in_vain {
            let (recording, before) = match self.recorder.now {
                Some(now) => now,
                None => (self.begin_recording(t, talkers), [None; 2]),
            };
            let sides = self.sides(talkers, before);
            self.recorder.now = Some((recording, sides));
        } else if self.recorder.now.take().is_some() {
            (self.recorder.beeps, self.recorder.speaks) = (false, false);
            t.desk.timers.cancel(Timer::Call(self.id, CallTimer::Beep));
            self.tell(t, "the recording is stopped");
        }
        self.tap(t);
    }

    /// A recording of its own is wanted.
    fn is_wanted(&self) -> bool {
        self.recorder.must || self.recorder.asked
    }

    fn records(&self, id: LegId) -> Record {
        self.leg(id)
            .map(|leg| record(&self.config, &leg.who))
            .unwrap_or_default()
    }

    fn begin_recording(&mut self, t: &mut Turn<'_, '_>, talkers: [Option<LegId>; 2]) -> Recording {
        let speaks_wide = |id: LegId| {
            let oa = self.leg(id).and_then(|leg| leg.oa.as_ref());
            oa.and_then(|oa| oa.agreed())
                .is_some_and(|agreed| matches!(agreed.stream.codec, Codec::G722 | Codec::Opus))
        };
        let recording = Recording {
            call: self.id,
            number: self.recorder.count.saturating_add(1),
            begun: t.cx.wall,
            is_wide: talkers.into_iter().flatten().any(speaks_wide),
            format: self.config.recording.format,
            of: self
                .recorded_by_room()
                .filter(|_| !self.is_wanted())
                .unwrap_or_default(),
        };
        self.recorder.count = recording.number;
        if self.config.recording.has_files() {
            t.cx.emit(Output::Record(Fact::RecordingStarted { recording }));
        }
        if !self.is_wanted() {
            return recording;
        }
        let announcement = self.config.recording.announcement.as_ref();
        match (announcement.map(Music::duration), self.config.recording.tone) {
            (Some(time), _) => {
                self.recorder.speaks = true;
                t.wake_call(self.id, CallTimer::Beep, time + AFTER);
            }
            (None, Beep::Never) => {}
            (None, Beep::Once | Beep::Every(_)) => self.beep(t),
        }
        recording
    }

    fn beep(&mut self, t: &mut Turn<'_, '_>) {
        self.recorder.beeps = true;
        t.wake_call(self.id, CallTimer::Beep, BEEP);
    }

    /// The announcement or the tone has ended, or it is time for the next tone.
    pub fn on_beep(&mut self, t: &mut Turn<'_, '_>) {
        let spoke = std::mem::take(&mut self.recorder.speaks);
        if !std::mem::take(&mut self.recorder.beeps) && !spoke {
            return self.beep(t);
        }
        if let Beep::Every(time) = self.config.recording.tone {
            t.wake_call(self.id, CallTimer::Beep, time);
        }
    }

    /// Who speaks on which channel: who had one keeps it, and a call's caller begins on the left.
    fn sides(&self, talkers: [Option<LegId>; 2], before: [Option<LegId>; 2]) -> [Option<LegId>; 2] {
        let mut sides = before.map(|leg| leg.filter(|leg| talkers.contains(&Some(*leg))));
        for id in talkers.into_iter().flatten() {
            if sides.contains(&Some(id)) {
                continue;
            }
            let is_caller = self.leg(id).is_some_and(|leg| leg.caller_side);
            let own = if is_caller { Side::Caller } else { Side::Callee };
            let side = if sides[own.index()].is_none() { own } else { own.other() };
            sides[side.index()] = Some(id);
        }
        sides
    }

    /// Tells each leg's media where it is recorded.
    fn tap(&mut self, t: &mut Turn<'_, '_>) {
        let now = self.recorder.now.filter(|_| self.config.recording.has_files());
        for leg in &mut self.legs {
            let id = leg.id;
            let to = now.and_then(|(recording, sides)| {
                let own = |side: &Side| sides[side.index()] == Some(id);
                let side = [Side::Caller, Side::Callee].into_iter().find(own)?;
                Some((recording, side))
            });
            if let Some(media) = &mut leg.media {
                media.record(t, to);
            }
        }
    }

    /// Starts or stops the recording on the way; false where that is not possible: nobody talks, or it is recorded in any case.
    pub fn switch_recording(&mut self, on: bool) -> bool {
        let recorder = &self.recorder;
        let is_on = recorder.now.is_some();
        let is_allowed = if on {
            is_on || recorder.count < limits::RECORDINGS_PER_CALL
        } else {
            !recorder.must && self.recorded_by_room().is_none()
        };
        let is_possible = matches!(self.stage, Stage::Talk { .. }) && is_allowed;
        if is_possible {
            self.recorder.asked = on;
            self.recorder.given_up &= !on;
        }
        is_possible
    }

    /// INFO with `Record: on` or `off`, as some phones send it for a key of theirs.
    pub fn on_record(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message, wish: &str) {
        let on = match wish.trim() {
            wish if wish.eq_ignore_ascii_case("on") => Some(true),
            wish if wish.eq_ignore_ascii_case("off") => Some(false),
            _ => None,
        };
        let may = self.talks(id) && self.records(id) != Record::No;
        let status = match on {
            None => 400,
            Some(on) if may && self.switch_recording(on) => 200,
            Some(_) => 403,
        };
        if let Some(leg) = self.leg(id) {
            leg.reply(t, tx, request, status);
        }
    }
}

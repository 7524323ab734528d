//! One call: its legs, what joins them, and how it settles after each event.
//!
//! ```text
//!                 INVITE                 an answer                       the last word
//!   caller's leg ------> Setup (hunt) ------------> Talk (one, other) ----------------> Over
//!   a room's wish -----> DialOut (hunt) ----------/  |  ^                                 ^
//!                          |                         |  | REFER: the other is exchanged   |
//!                          |                         +--+ (hunt again, or another's leg)  |
//!                          +---- nobody answers, CANCEL, a limit -------------------------+
//! ```
//!
//! Events change the state of legs and of the call; nothing else. What follows from a state (who hears whom, which direction a
//! leg is to have, which BYE may be sent at last, which record is due) is brought about by [`Call::settle`], after each event:
//! so a change that had to wait, or was refused by glare, is made as soon as it can be.

use super::announce::Announcement;
use super::cause::{self, q850};
use super::desk::{CallTimer, Turn};
use super::fax::Passing;
use super::hunt::Hunt;
use super::info::Press;
use super::leg::{Leg, LegId};
use super::record::Recorder;
use super::room::Membership;
use super::transfer::Transfer;
use crate::config::Config;
use crate::effect::{Cause, Fact, LegReport, Output};
use crate::id::{CallId, LegNo, WorkerId};
use crate::limits;
use crate::media::command::{DataTone, Event as MediaEvent, LegStats};
use crate::room::{Input as RoomInput, Place};
use crate::sdp::Direction;
use crate::siprec::order::Order;
use crate::time::Wall;
use codecs::Codec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What the node itself does with a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The caller hears himself.
    Echo,
    /// The caller hears a tone.
    Tone,
}

impl Service {
    /// As in the dial plan.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Echo => "echo",
            Service::Tone => "tone",
        }
    }
}

/// Who a leg talks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Another leg.
    Leg(LegId),
    /// The node.
    Service(Service),
    /// A room.
    Room(Place),
    /// Nobody yet: a transfer goes on without the one who asked for it.
    Nobody,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The caller waits for an answer.
    Setup {
        /// The caller's leg.
        caller: LegId,
    },
    /// A room calls somebody: there is no caller.
    DialOut(Place),
    /// Answered.
    Talk {
        /// A leg.
        one: LegId,
        /// Whom it talks with.
        other: Other,
    },
    /// It ends, or has.
    Over {
        /// Why.
        cause: Cause,
        /// Since when.
        at: Wall,
    },
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Its name.
    pub id: CallId,
    /// The configuration that it began with.
    pub config: Arc<Config>,
    /// Its legs: those that talk, those that ring, those that are still saying goodbye.
    pub legs: Vec<Leg>,
    /// How far it is.
    pub stage: Stage,
    /// The search for somebody who answers.
    pub hunt: Option<Box<Hunt>>,
    /// A transfer under way.
    pub transfer: Option<Box<Transfer>>,
    /// A change that waits for the other side.
    pub passing: Option<Box<Passing>>,
    /// Where its media is.
    pub worker: WorkerId,
    /// Its recordings.
    pub recorder: Recorder,
    /// `Session-ID` of its caller (RFC 7989).
    pub session_id: Option<Box<str>>,
    /// What the caller hears before the call is refused.
    pub announcement: Option<Box<Announcement>>,
    /// The room that it is in.
    pub room: Option<Box<Membership>>,
    /// `CallRinging` was told.
    pub rang: bool,
    last_leg: u16,
    /// The legs that talk, as they were asked last, and how many are still to answer.
    pub measuring: (Vec<LegReport>, usize),
    reports: Vec<LegReport>,
    recorded: bool,
}

/// How long the workers may take to close a call's media before its record is written without them.
const REPORTS: Duration = Duration::from_secs(2);

impl Call {
    /// A call with no legs yet.
    pub fn new(id: CallId, config: Arc<Config>, worker: WorkerId) -> Call {
        let stage = Stage::Setup {
            caller: LegId { call: id, no: LegNo(0) },
        };
        Call {
            id,
            config,
            legs: Vec::with_capacity(2),
            stage,
            hunt: None,
            transfer: None,
            passing: None,
            worker,
            recorder: Recorder::default(),
            session_id: None,
            announcement: None,
            room: None,
            rang: false,
            last_leg: 0,
            measuring: (Vec::new(), 0),
            reports: Vec::new(),
            recorded: false,
        }
    }

    /// A name for a new leg, or for a question to the store; the first leg of all has number 0.
    pub fn new_leg_id(&mut self) -> LegId {
        self.last_leg = self.last_leg.wrapping_add(1);
        LegId {
            call: self.id,
            no: LegNo(self.last_leg),
        }
    }

    /// A leg.
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    /// A leg.
    pub fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    /// The leg that a leg talks with.
    pub fn partner(&self, id: LegId) -> Option<LegId> {
        match self.stage {
            Stage::Talk {
                one,
                other: Other::Leg(other),
            } if one == id => Some(other),
            Stage::Talk {
                one,
                other: Other::Leg(other),
            } if other == id => Some(one),
            Stage::Talk { .. } | Stage::Setup { .. } | Stage::DialOut(_) | Stage::Over { .. } => None,
        }
    }

    /// The two who talk with one another, while nothing of that changes.
    pub fn two(&self) -> Option<(LegId, LegId)> {
        let Stage::Talk {
            one,
            other: Other::Leg(other),
        } = self.stage
        else {
            return None;
        };
        let is_quiet = self.transfer.is_none() && self.passing.is_none() && !self.is_fax();
        let are_up = [one, other].iter().all(|id| self.leg(*id).is_some_and(Leg::is_up));
        (is_quiet && are_up).then_some((one, other))
    }

    /// One of those who talk.
    pub fn talks(&self, id: LegId) -> bool {
        match self.stage {
            Stage::Talk { one, other } => one == id || other == Other::Leg(id),
            Stage::Setup { .. } | Stage::DialOut(_) | Stage::Over { .. } => false,
        }
    }

    /// It is ending.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// Nothing of it is left to do.
    pub fn is_done(&self) -> bool {
        self.is_over() && self.recorded && self.legs.is_empty()
    }

    /// The direction that a leg is to have: what its partner's peer wishes. Who hears our music while it is held is not told of it.
    pub fn wanted(&self, id: LegId) -> Direction {
        if self.music_for(id).is_some() {
            return Direction::SendRecv;
        }
        let partner = self.partner(id).and_then(|partner| self.leg(partner));
        partner
            .and_then(|leg| leg.oa.as_ref())
            .map_or(Direction::SendRecv, super::offer::OfferAnswer::wish)
    }

    /// What a leg's partner speaks.
    pub fn partner_codec(&self, id: LegId) -> Option<Codec> {
        let partner = self.leg(self.partner(id)?)?;
        partner.oa.as_ref()?.agreed().map(|agreed| agreed.stream.codec)
    }

    /// Tells the record what happened, in words.
    pub fn tell(&self, t: &mut Turn<'_, '_>, what: impl Into<String>) {
        t.cx.emit(Output::Record(Fact::CallChanged {
            call: self.id,
            what: what.into(),
        }));
    }

    /// Brings everything to what the state says. Called after each event.
    pub fn settle(&mut self, t: &mut Turn<'_, '_>) {
        self.record(t);
        self.tend_room(t);
        self.tend_passing(t);
        self.wire(t);
        self.brief(t);
        self.reconcile(t);
        self.say_goodbyes(t);
        for leg in &mut self.legs {
            leg.say_digit(t);
            leg.arm(t);
        }
        self.sweep(t);
    }

    /// A worker has something to tell.
    pub fn on_media(&mut self, t: &mut Turn<'_, '_>, id: LegId, event: MediaEvent) {
        let caller_side = self.leg(id).is_some_and(|leg| leg.caller_side);
        match event {
            MediaEvent::Started(..) => {
                if let Some(media) = self.leg_mut(id).and_then(|leg| leg.media.as_mut()) {
                    media.started = true;
                }
            }
            MediaEvent::Silent(_) if self.talks(id) => {
                let text = if caller_side {
                    "the caller's media fell silent"
                } else {
                    "the callee's media fell silent"
                };
                let network = crate::effect::Blame::Network;
                self.end(t, cause::exact(480, q850::NETWORK_OUT_OF_ORDER, network, text));
            }
            MediaEvent::Trouble { trouble, over, .. } => self.on_trouble(t, id, trouble, over),
            MediaEvent::Moved(_, worker) => {
                if let Some(media) = self.leg_mut(id).and_then(|leg| leg.media.as_mut()) {
                    media.moved(t, worker);
                }
            }
            MediaEvent::Played(_) if self.waits_for_answer(id) => self.announced(t),
            MediaEvent::Played(_) => self.room_played(t, id),
            MediaEvent::Noted(_, name) => self.tell_room(t, id, RoomInput::Named(name)),
            MediaEvent::Speaking { speaks, .. } => self.tell_room(t, id, RoomInput::Speaks(speaks)),
            MediaEvent::Shows { line, shown, .. } => self.room_shows(t, id, line, shown),
            MediaEvent::Closed(media, stats) => self.media_closed(t, id, media, stats),
            MediaEvent::Stats(_, stats) => self.measured(t, id, stats),
            MediaEvent::Digit { digit, ms, .. } => self.on_digit(t, id, Press { digit, ms }),
            MediaEvent::Setup(_, number, setup) => self.on_setup(t, id, number, setup),
            MediaEvent::DataTone { tone, .. } if !self.is_over() => {
                let who = match tone {
                    DataTone::Calling => "a fax machine that calls",
                    DataTone::Answering => "a fax machine or modem that answers",
                };
                let side = if caller_side { "caller" } else { "callee" };
                self.tell(t, format!("fax or modem tones were heard: the {side} is {who}"));
                self.carries_data(t);
            }
            MediaEvent::Silent(_)
            | MediaEvent::DataTone { .. }
            | MediaEvent::RoomPlayed(_)
            | MediaEvent::RoomMeasured(..) => {}
        }
    }

    fn media_closed(&mut self, t: &mut Turn<'_, '_>, id: LegId, media: crate::id::MediaLegId, stats: LegStats) {
        t.desk.remove_media(media);
        let Some(leg) = self.leg_mut(id) else { return };
        let lost = leg.media.take().is_some_and(|media| !media.was_closed());
        // A fork that never answered has nothing to report.
        let (caller, answered) = (leg.caller_side, leg.dialog.is_some());
        if answered && self.reports.len() < limits::LEGS_PER_CALL {
            self.reports.push(LegReport { caller, stats });
        }
        if lost {
            self.media_lost(t, id);
        }
    }

    /// A leg's media ended though nobody wanted that: the worker had no room for it, its port was not bound, or what was agreed
    /// can't be coded. A leg that nobody can hear is none.
    fn media_lost(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let text = "the media of a leg could not be opened";
        let mut cause = cause::cause(503, crate::effect::Blame::Node, text);
        cause.q850 = q850::NO_CIRCUIT;
        if self.waits_for_answer(id) || self.talks(id) {
            self.end(t, cause);
        } else {
            self.branch_unheard(t, id, cause);
        }
    }

    /// The caller's leg, while somebody is searched who answers.
    pub fn waits_for_answer(&self, id: LegId) -> bool {
        matches!(self.stage, Stage::Setup { caller } if caller == id)
    }

    /// The workers had their time.
    pub fn give_up_reports(&mut self, t: &mut Turn<'_, '_>) {
        for leg in self
            .legs
            .iter_mut()
            .filter(|leg| leg.media.as_ref().is_some_and(super::media::MediaLeg::is_closing))
        {
            if let Some(media) = leg.media.take() {
                t.desk.remove_media(media.id);
            }
        }
    }

    /// Forgets legs of which nothing is left, and writes the record when the last media is closed.
    fn sweep(&mut self, t: &mut Turn<'_, '_>) {
        let living = |leg: &&Leg| !leg.is_over();
        let living: Vec<LegId> = match self.legs.iter().any(|leg| leg.stray_of.is_some()) {
            true => self.legs.iter().filter(living).map(|leg| leg.id).collect(),
            false => Vec::new(),
        };
        self.legs.retain(|leg| {
            let over = leg.is_over() && leg.stray_of.is_none_or(|origin| !living.contains(&origin));
            if over {
                t.desk.remove_leg(leg.id);
            }
            !over
        });
        if let Stage::Over { cause, at } = &self.stage
            && !self.recorded
            && self.legs.iter().all(|leg| leg.media.is_none())
        {
            self.recorded = true;
            let legs = std::mem::take(&mut self.reports);
            let ended = Fact::CallEnded {
                call: self.id,
                at: *at,
                cause: cause.clone(),
                legs,
            };
            t.cx.emit(Output::Record(ended));
        }
        if self.is_done() {
            t.desk.remove_call(self.id);
        }
    }

    /// Ends the call: each leg gets what it is owed (a final response, CANCEL, BYE).
    pub fn end(&mut self, t: &mut Turn<'_, '_>, cause: Cause) {
        if self.is_over() {
            return;
        }
        self.drop_hunt(t);
        (self.transfer, self.announcement) = (None, None);
        self.drop_passing(t, 487);
        for timer in [
            CallTimer::Ring,
            CallTimer::Expires,
            CallTimer::Length,
            CallTimer::Measure,
            CallTimer::Beep,
            CallTimer::Announce,
        ] {
            t.desk.timers.cancel(super::desk::Timer::Call(self.id, timer));
        }
        for leg in &mut self.legs {
            leg.hang_up(t, &cause);
        }
        self.stage = Stage::Over { cause, at: t.cx.wall };
        t.wake_call(self.id, CallTimer::Reports, REPORTS);
    }

    /// The INVITE turned out to be none that makes a call, and was refused: nothing is recorded.
    pub fn forget(&mut self, t: &mut Turn<'_, '_>) {
        for leg in &mut self.legs {
            leg.gone(t);
        }
        let cause = cause::cause(400, crate::effect::Blame::Caller, "refused");
        self.stage = Stage::Over { cause, at: t.cx.wall };
        self.recorded = true;
    }

    /// A leg's change waited long enough; `settle` makes it if it is still wanted.
    pub fn change_again(&mut self, id: LegId) {
        if let Some(leg) = self.leg_mut(id) {
            leg.change_again();
        }
    }

    /// The call broke by a fault of ours: its peers are told, its media is closed, its places are given back, its record is
    /// written. What is wrong with one leg, whatever it is, keeps nothing from the others.
    pub fn abandon(&mut self, t: &mut Turn<'_, '_>) {
        let cause = cause::cause(500, crate::effect::Blame::Node, "an error in this node ended the call");
        let mut untold = 0;
        for leg in &mut self.legs {
            let told = catch_unwind(AssertUnwindSafe(|| leg.abandon(t, &cause)));
            untold += usize::from(told.is_err());
        }
        let legs: Vec<LegId> = self.legs.iter().flat_map(Leg::names).collect();
        t.desk.purge(self.id, &legs);
        if self.recorder.told.take().is_some() {
            t.desk.orders.push_back(Order::Stop(self.id));
        }
        let claims = self.legs.iter_mut().filter_map(|leg| leg.claim.take());
        let claims: Vec<_> = claims
            .chain(self.hunt.as_mut().and_then(|hunt| hunt.claim.take()))
            .collect();
        for claim in claims {
            t.release(claim);
        }
        for media in self.legs.iter_mut().filter_map(|leg| leg.media.as_mut()) {
            media.close(t);
        }
        if !self.recorded {
            self.recorded = true;
            let ended = Fact::CallEnded {
                call: self.id,
                at: t.cx.wall,
                cause,
                legs: Vec::new(),
            };
            t.cx.emit(Output::Record(ended));
        }
        t.cx.emit(Output::Record(Fact::Warning(format!(
            "Call {} met an error in this node and was ended; {untold} of its {} legs could not be told. Please report the log above.",
            self.id,
            self.legs.len()
        ))));
    }
}

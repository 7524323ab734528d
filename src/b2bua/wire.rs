//! Who hears whom: media functions, from the state of a call.

use super::call::{Call, Other, Service, Stage};
use super::desk::Turn;
use super::leg::{Leg, LegId, State};
use crate::id::MediaLegId;
use crate::media::command::{Function, Music, Tone};

/// What a caller hears who can't make a ringback tone itself: 425 Hz, 1 s on, 4 s off (ITU-T E.180).
const RINGBACK: Tone = Tone::Cadence {
    hz: [425, 0],
    on_ms: 1000,
    off_ms: 4000,
};
/// The test tone, 1,004 Hz as carriers use it (ITU-T O.6 in North America), at a level that no codec clips.
const TEST_TONE: Tone = Tone::Sine { hz: 1004, level: -10 };

/// What those hear who are recorded: 1,400 Hz, which is what regulators have asked for since there are recorders, as loud as speech.
const RECORDED: Tone = Tone::Sine { hz: 1400, level: -20 };

impl Call {
    /// Who hears what.
    pub fn wire(&mut self, t: &mut Turn<'_, '_>) {
        match self.stage {
            Stage::Setup { caller } => self.wire_early(t, caller),
            // A fax is not disturbed.
            Stage::Talk { one, other } if self.recorder.speaks() && !self.has_data() => {
                if let Some(announcement) = self.config.recording.announcement.clone() {
                    self.play(t, one, &announcement, false);
                    if let Other::Leg(other) = other {
                        self.play(t, other, &announcement, false);
                    }
                }
            }
            // Nor does music begin anew, and nobody is interrupted who says his name.
            Stage::Talk { one, other } if self.recorder.beeps() && !self.is_undisturbed() => {
                self.hear(t, one, Function::Tone(RECORDED));
                if let Other::Leg(other) = other {
                    self.hear(t, other, Function::Tone(RECORDED));
                }
            }
            Stage::Talk {
                one,
                other: Other::Leg(other),
            } => self.talk(t, one, other),
            Stage::Talk {
                one,
                other: Other::Service(Service::Echo),
            } => self.hear_alone(t, one, Function::Echo),
            Stage::Talk {
                one,
                other: Other::Service(Service::Tone),
            } => self.hear_alone(t, one, Function::Tone(TEST_TONE)),
            Stage::Talk {
                one,
                other: Other::Nobody,
            } => self.hear_alone(t, one, Function::Tone(RINGBACK)),
            Stage::Talk {
                one,
                other: Other::Room(_),
            } => self.sit(t, one),
            Stage::DialOut(_) | Stage::Over { .. } => {}
        }
    }

    /// Before the answer a caller who was given a description hears the branch that gave one first. Where that branch then
    /// rings by a bare 180 and no packet of it has come, the caller hears our ringback (RFC 3960 3.2), as it does when that
    /// branch is gone while others ring.
    fn wire_early(&mut self, t: &mut Turn<'_, '_>, caller: LegId) {
        if !self.leg(caller).is_some_and(Leg::has_early_media) {
            return;
        }
        if let Some(announcement) = &self.announcement {
            let music = announcement.music.clone();
            return self.play(t, caller, &music, false);
        }
        let source = self.early_source().filter(|source| !source.1);
        let ringing = self.hunt.as_ref().is_some_and(|hunt| hunt.rang);
        match source {
            Some((source, _)) => self.bridge(t, caller, source),
            None if ringing => self.hear(t, caller, Function::Tone(RINGBACK)),
            None => self.hear(t, caller, Function::Idle),
        }
    }

    /// The branch whose early media is heard, and whether it is silent and rings.
    fn early_source(&self) -> Option<(LegId, bool)> {
        self.legs.iter().find_map(|leg| {
            let State::Outgoing(outgoing) = &leg.state else {
                return None;
            };
            outgoing.early.iter().any(|early| early.answer.is_some()).then(|| {
                let started = leg.media.as_ref().is_some_and(|media| media.started);
                (leg.id, outgoing.bare_ring && !started)
            })
        })
    }

    /// Two legs talk with one another, unless one of them holds the other.
    fn talk(&mut self, t: &mut Turn<'_, '_>, one: LegId, other: LegId) {
        let is_held = self.holds(one) || self.holds(other);
        for id in [one, other] {
            if let Some(media) = self.leg_mut(id).and_then(|leg| leg.media.as_mut()) {
                media.hold(t, is_held);
            }
        }
        let music = [one, other].map(|id| self.music_for(id).cloned());
        if music.iter().all(Option::is_none) {
            return self.bridge(t, one, other);
        }
        for (id, music) in [one, other].into_iter().zip(music) {
            match music {
                Some(music) => self.play(t, id, &music, true),
                None => self.hear(t, id, Function::Idle),
            }
        }
    }

    /// A side talks with nobody but us: nobody holds it.
    fn hear_alone(&mut self, t: &mut Turn<'_, '_>, id: LegId, function: Function) {
        if let Some(media) = self.leg_mut(id).and_then(|leg| leg.media.as_mut()) {
            media.hold(t, false);
        }
        self.hear(t, id, function);
    }

    fn is_undisturbed(&self) -> bool {
        self.has_data() || self.has_music() || self.notes()
    }

    fn has_music(&self) -> bool {
        self.legs.iter().any(|leg| self.music_for(leg.id).is_some())
    }

    /// A leg hears this, unless it does already.
    pub fn play(&mut self, t: &mut Turn<'_, '_>, id: LegId, music: &Music, repeats: bool) {
        let media = self.leg_mut(id).and_then(|leg| leg.media.as_mut());
        let Some(media) = media.filter(|media| media.is_settled() && !media.plays(music)) else {
            return;
        };
        let own = media.id;
        media.play(t, music, repeats);
        self.unbridge(own, None);
    }

    /// A leg does this, unless it does already.
    pub fn hear(&mut self, t: &mut Turn<'_, '_>, id: LegId, function: Function) {
        let Some(media) = self.leg_mut(id).and_then(|leg| leg.media.as_mut()) else {
            return;
        };
        if !media.is_settled() || media.current() == function {
            return;
        }
        let own = media.id;
        media.function(t, function);
        self.unbridge(own, None);
    }

    /// Joins two legs, on one worker: where they are not, the second moves first.
    fn bridge(&mut self, t: &mut Turn<'_, '_>, one: LegId, other: LegId) {
        let media = |call: &Call, id: LegId| {
            let media = call.leg(id)?.media.as_ref().filter(|media| media.is_settled())?;
            Some((media.id, media.worker()?, media.current()))
        };
        let (Some((a, here, does_a)), Some((b, there, does_b))) = (media(self, one), media(self, other)) else {
            return;
        };
        if here != there {
            if let Some(media) = self.leg_mut(other).and_then(|leg| leg.media.as_mut()) {
                media.move_to(t, here);
            }
            self.unbridge(b, None);
            return;
        }
        if does_a == Function::Bridge(b) && does_b == Function::Bridge(a) {
            return;
        }
        // Who talks with another carries no data of before.
        for (id, partner) in [(one, b), (other, a)] {
            if let Some(leg) = self.leg_mut(id)
                && leg.media.as_mut().is_some_and(|media| media.meets(partner))
            {
                leg.negotiated(t);
            }
        }
        if let Some(media) = self.leg_mut(one).and_then(|leg| leg.media.as_mut()) {
            media.note_function(Function::Idle);
            media.function(t, Function::Bridge(b));
        }
        if let Some(media) = self.leg_mut(other).and_then(|leg| leg.media.as_mut()) {
            media.note_function(Function::Bridge(a));
        }
        self.unbridge(a, Some(other));
        self.unbridge(b, Some(one));
    }

    /// Whoever was bridged with this media leg is idle now: the worker does so by itself.
    fn unbridge(&mut self, with: MediaLegId, except: Option<LegId>) {
        for leg in self.legs.iter_mut().filter(|leg| Some(leg.id) != except) {
            if let Some(media) = &mut leg.media
                && media.current() == Function::Bridge(with)
            {
                media.note_function(Function::Idle);
            }
        }
    }
}

//! How the media of a call goes while it is up: its counters, once a minute, and who does not hear whom.

use super::call::{Call, Other, Stage};
use super::desk::{CallTimer, Turn};
use super::leg::LegId;
use crate::effect::{Fact, LegReport, Output, Party};
use crate::limits;
use crate::media::command::{LegStats, Trouble, Troubles};

impl Call {
    /// Asks the legs that talk; who does not answer until the next time is left out.
    pub fn measure(&mut self, t: &mut Turn<'_, '_>) {
        let Stage::Talk { one, other } = self.stage else { return };
        let legs = [
            Some(one),
            if let Other::Leg(other) = other {
                Some(other)
            } else {
                None
            },
        ];
        let media = |id: LegId| self.leg(id).and_then(|leg| leg.media.as_ref());
        let asked = legs
            .into_iter()
            .flatten()
            .filter_map(media)
            .filter(|media| media.measure(t));
        self.measuring = (Vec::new(), asked.count());
        t.wake_call(self.id, CallTimer::Measure, limits::MEASURE);
    }

    /// The answer of one leg; that of the last makes a fact.
    pub fn measured(&mut self, t: &mut Turn<'_, '_>, id: LegId, stats: LegStats) {
        let Some(caller) = self.leg(id).map(|leg| leg.caller_side) else {
            return;
        };
        let (legs, left) = &mut self.measuring;
        if *left == 0 || !matches!(self.stage, Stage::Talk { .. }) {
            return;
        }
        legs.push(LegReport { caller, stats });
        *left -= 1;
        if *left == 0 {
            let measured = Fact::CallMeasured {
                call: self.id,
                legs: std::mem::take(legs),
            };
            t.cx.emit(Output::Record(measured));
        }
    }

    /// Something is wrong with the media of a leg, or no longer. Told of legs that talk: who rings or leaves owes nobody a sound.
    pub fn on_trouble(&mut self, t: &mut Turn<'_, '_>, id: LegId, trouble: Trouble, over: bool) {
        let talks = self.talks(id);
        let Some(media) = self.leg_mut(id).and_then(|leg| leg.media.as_mut()) else {
            return;
        };
        media.troubles.set(trouble, !over);
        let (Some(leg), Some(other)) = (self.leg(id).filter(|_| talks), self.other_party(id)) else {
            return;
        };
        let found = Fact::CallTrouble {
            call: self.id,
            leg: leg.who.party(&self.config),
            other: Some(other),
            trouble,
            over,
            both: !over && self.is_mute(id),
        };
        t.cx.emit(Output::Record(found));
    }

    /// Whom a leg talks with; nobody while a transfer looks for one.
    fn other_party(&self, id: LegId) -> Option<Party> {
        match self.stage {
            Stage::Talk {
                other: Other::Service(service),
                ..
            } => Some(Party::Service(service.name().to_owned())),
            Stage::Talk {
                other: Other::Room(_), ..
            } => self.room.as_ref().map(|room| room.party()),
            Stage::Talk { .. } | Stage::Setup { .. } | Stage::DialOut(_) | Stage::Over { .. } => {
                let partner = self.leg(self.partner(id)?)?;
                Some(partner.who.party(&self.config))
            }
        }
    }

    /// Neither side hears the other.
    fn is_mute(&self, id: LegId) -> bool {
        let troubles = |id: LegId| {
            let media = self.leg(id).and_then(|leg| leg.media.as_ref());
            media.map_or(Troubles::default(), |media| media.troubles)
        };
        let own = troubles(id);
        let other = self.partner(id).map_or(Troubles::default(), troubles);
        (own.is_unheard() || other.is_deaf()) && (other.is_unheard() || own.is_deaf())
    }
}

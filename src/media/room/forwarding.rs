//! Which voices of a room are forwarded, and to whom (`apart`).
//!
//! Each packet of a voice goes out as often as there are listeners, and each costs: so the more there are, the fewer voices are forwarded at once. The others are in
//! the mix of the rest, which is encoded once for all.

use super::apart::Apart;
use super::member::Own;
use super::voice::{self, Voice};
use super::{Legs, Room};
use crate::limits;
use crate::media::leg::Leg;
use crate::media::packet::{LegIx, TxBatch};
use crate::media::rtp::View;
use crate::media::sender::Route;
use crate::media::source::Arrival;
use crate::media::video::stage;
use crate::time::Instant;

impl Room {
    /// One more voice may be forwarded to those who hear voices apart.
    pub(super) fn forwards_more(&self) -> bool {
        self.rest.is_some() && self.forwarded() < self.most_forwarded()
    }

    fn forwarded(&self) -> usize {
        self.voices.iter().filter(|voice| voice.is_forwarded()).count()
    }

    fn most_forwarded(&self) -> usize {
        (limits::VOICE_COPIES / self.listeners.max(1)).max(1)
    }

    /// So many have come that fewer voices can be forwarded: those go on in the mix.
    fn forward_less(&mut self, legs: &mut Legs) {
        let mut excess = self.forwarded().saturating_sub(self.most_forwarded());
        for (voice, number) in self.voices.iter_mut().zip(0u8..) {
            if excess == 0 {
                return;
            }
            if !voice.is_forwarded() {
                continue;
            }
            voice.is_apart = false;
            excess -= 1;
            // He would hear himself now.
            let member = legs[voice.at.index()].as_mut().and_then(|leg| leg.member.as_mut());
            if let Some(member) = member {
                member.own = Own::Speaks(number);
            }
        }
    }

    /// Of who is forwarded from now on, what he said before it was known that he speaks is to go out first.
    pub(super) fn begin_apart(&mut self, now: Instant, legs: &mut Legs) {
        if self.ticks.is_multiple_of(stage::LOOK) {
            self.forward_less(legs);
        }
        let mut most = limits::VOICE_EARLY_COPIES / self.listeners.max(1);
        for voice in &mut self.voices {
            let Some(turn) = voice.turn() else { continue };
            self.is_changed = true;
            let leg = turn.and_then(|(at, _)| legs[at.index()].as_mut());
            let Some(Leg { rx, member, .. }) = leg.map(|leg| &mut **leg) else {
                continue;
            };
            let Some(member) = member.as_mut() else { continue };
            let ms = member.unheard_ms(rx);
            if let Some(recent) = &mut member.recent {
                most -= voice.take_early(now, recent, (ms, most));
            }
        }
    }

    /// Each who hears voices apart gets those who speak on his places: who is heard there stays, so that one stream is one voice.
    pub(super) fn hear_apart(&mut self, legs: &mut Legs) {
        if self.rest.is_none() || !(self.is_changed || self.ticks.is_multiple_of(stage::LOOK)) {
            return;
        }
        self.is_changed = false;
        let voices = &mut self.voices;
        self.listeners = 0;
        voices.iter_mut().for_each(Voice::unhear);
        for at in &self.members {
            let Some(leg) = legs[at.index()].as_mut() else { continue };
            let Leg {
                member, video, seat, ..
            } = &mut **leg;
            let hears = seat.hears && member.as_ref().is_some_and(|member| member.hears_rest);
            let Some(video) = video.as_mut() else { continue };
            if hears {
                self.listeners += 1;
                voice::take_places(voices, *at, &mut video.voices);
            } else {
                video.voices.iter_mut().for_each(|place| place.hear(None));
            }
        }
    }

    /// A packet of a member who is forwarded: by which voice, if somebody hears that.
    pub(in crate::media) fn keep(&mut self, now: Instant, at: LegIx, arrival: Arrival, view: &View<'_>) -> Option<u8> {
        let mut voices = self.voices.iter_mut().zip(0u8..);
        let (voice, number) = voices.find(|(voice, _)| voice.whose().is_some_and(|whose| whose.0 == at))?;
        voice.apart.as_mut()?.keep(now, arrival, view).then_some(number)
    }

    /// A voice that is forwarded.
    pub(in crate::media) fn voice(&self, number: u8) -> Option<&Apart> {
        self.voices.get(usize::from(number))?.apart.as_ref()
    }

    /// What those said before this tick who are forwarded from it on, to one who hears them.
    pub(super) fn send_early(&self, leg: &mut Leg, out: &mut TxBatch) {
        let (Some(to), Some(video)) = (leg.tx.to, leg.video.as_mut()) else {
            return;
        };
        let route = Route { leg: leg.tx.place, to };
        for place in &mut video.voices {
            if !place.begins() {
                continue;
            }
            let voice = self.voices.iter().find(|voice| voice.whose() == place.whose);
            if let Some(apart) = voice.and_then(|voice| voice.apart.as_ref()) {
                apart.send_early(place, route, out);
            }
        }
    }
}

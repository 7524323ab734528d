//! What a worker's rooms forward: the video that one member publishes goes to those who see it (`media::video`), what he says to those who hear
//! him apart (`media::room`).

use super::Worker;
use crate::media::leg::{Leg, Role};
use crate::media::packet::{Channel, LegIx, Packet, TxBatch};
use crate::media::room::RoomIx;
use crate::media::rtcp::feedback::{self, Said};
use crate::media::rtp::View;
use crate::media::sender::Route;
use crate::media::source::Arrival;
use crate::media::video::{Came, Layer, Shown, VideoLeg};
use crate::time::Instant;
use smallvec::SmallVec;
use std::net::SocketAddr;

/// Packets of a batch that are left to who sends for the first time.
const TX_ROOM: usize = 32;

/// The most packets that go on together: of a frame of 2 Mbit/s all, and a sixteenth of a batch.
const BURST: usize = 16;

/// Packets of one leg on their way to those who see it.
#[derive(Debug, Default)]
pub(super) struct Fan {
    at: LegIx,
    /// As they came.
    packets: SmallVec<[What; BURST]>,
    /// The viewer, or listener, of the first that is next.
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Video(Came),
    /// By this voice of this room.
    Voice(RoomIx, u8),
}

impl What {
    /// What the same viewers see.
    fn is_with(self, other: What) -> bool {
        match (self, other) {
            (What::Video(one), What::Video(other)) => one.published == other.published,
            (What::Video(_) | What::Voice(..), What::Video(_) | What::Voice(..)) => false,
        }
    }
}

impl Fan {
    /// One packet more is on its way; false where there is no room for it.
    fn add(&mut self, at: LegIx, what: What) -> bool {
        if self.packets.is_empty() {
            (self.at, self.next) = (at, 0);
        }
        let fits = self.at == at && self.packets.len() < BURST;
        if fits {
            self.packets.push(what);
        }
        fits
    }
}

impl Worker {
    /// Of which leg what came may wait for what came right behind it: with that each viewer gets it in one go. Only `on_packet` of this leg may be
    /// called before `forward`.
    pub fn gathers(&self) -> Option<LegIx> {
        let is_open = self.fan.packets.len() < BURST && matches!(self.fan.packets.last(), Some(What::Video(_)));
        is_open.then_some(self.fan.at)
    }

    /// How many packets wait.
    pub fn gathered(&self) -> usize {
        self.fan.packets.len()
    }

    /// Sends on what came, as far as the batch has room for it: where this is true, empty that and call again.
    #[must_use = "what is not sent on is lost"]
    pub fn forward(&mut self, now: Instant, out: &mut TxBatch) -> bool {
        if self.fan.packets.is_empty() {
            return false;
        }
        let mut fan = std::mem::take(&mut self.fan);
        let Some(leg) = self.legs[fan.at.index()].take() else {
            return false;
        };
        let from_here = out.len();
        while let Some(first) = fan.packets.first().copied() {
            // A voice goes alone.
            let together = fan
                .packets
                .iter()
                .take_while(|what| first.is_with(**what))
                .count()
                .max(1);
            let is_done = match first {
                What::Video(_) => self.show(now, (&leg, &fan.packets[..together]), &mut fan.next, out),
                What::Voice(room, number) => self.speak((&leg, room, number), &mut fan.next, out),
            };
            if !is_done {
                break;
            }
            fan.packets.drain(..together);
            fan.next = 0;
        }
        self.legs[fan.at.index()] = Some(leg);
        self.seal(out, from_here);
        self.fan = fan;
        !self.fan.packets.is_empty()
    }

    /// Packets of what one publishes, to all who see it. False where the batch is full before that.
    fn show(&mut self, now: Instant, (leg, came): (&Leg, &[What]), next: &mut usize, out: &mut TxBatch) -> bool {
        let kept = came.iter().filter_map(|what| kept(leg, *what));
        let kept: SmallVec<[(Came, Layer, &Packet); BURST]> = kept.collect();
        let Some((first, ..)) = kept.first().copied() else {
            return true;
        };
        let video = leg.video.as_ref();
        let published = video.and_then(|video| video.published.get(usize::from(first.published)));
        let viewers = published.map_or(&[][..], |published| &published.viewers);
        while let Some((at, place)) = viewers.get(*next).copied() {
            if out.room() < kept.len() {
                return false;
            }
            *next += 1;
            let Some(viewer) = self.legs[at.index()].as_mut() else {
                continue;
            };
            let (Some(to), Some(video), true) = (viewer.tx.to, viewer.video.as_mut(), viewer.seat.hears) else {
                continue;
            };
            let slot = video.slots.get_mut(usize::from(place));
            let is_it = |shown: &Shown| shown.id == leg.id() && shown.published == first.published;
            let Some(slot) = slot.filter(|slot| slot.shown.as_ref().is_some_and(is_it)) else {
                continue;
            };
            for (_, from, kept) in &kept {
                let Some(packet) = out.next(at, Channel::Rtp, to) else {
                    break;
                };
                if !slot.write(now, *from, kept, packet) {
                    out.undo();
                }
            }
        }
        true
    }

    /// A packet of a voice, to all who hear it apart. False where the batch is full before that.
    fn speak(&mut self, (leg, room, number): (&Leg, RoomIx, u8), next: &mut usize, out: &mut TxBatch) -> bool {
        let room = self.rooms[room.index()].as_ref();
        let Some(voice) = room.and_then(|room| room.voice(number)) else {
            return true;
        };
        while let Some((at, place)) = voice.listeners.get(*next).copied() {
            if out.room() == 0 {
                return false;
            }
            *next += 1;
            let Some(listener) = self.legs[at.index()].as_mut() else {
                continue;
            };
            let (Some(to), Some(video), true) = (listener.tx.to, listener.video.as_mut(), listener.seat.hears) else {
                continue;
            };
            let place = video.voices.get_mut(usize::from(place));
            if let Some(place) = place.filter(|place| place.whose.is_some_and(|(_, id)| id == leg.id())) {
                voice.send(place, Route { leg: at, to }, out);
            }
        }
        true
    }

    /// Where nobody called `forward` in time, what waits is lost.
    fn goes_on(&mut self, at: LegIx, what: What) {
        if !self.fan.add(at, what) {
            self.fan = Fan::default();
            self.fan.add(at, what);
        }
    }

    /// A packet of a member, as it came. Of who is not forwarded it is kept for a moment.
    pub(super) fn on_voice(
        &mut self,
        now: Instant,
        (leg, room): (&mut Leg, RoomIx),
        arrival: Arrival,
        view: &View<'_>,
    ) {
        let (at, room_of) = (leg.tx.place, room);
        let room = self.rooms[room.index()].as_mut();
        if let Some(number) = room.and_then(|room| room.keep(now, at, arrival, view)) {
            self.goes_on(at, What::Voice(room_of, number));
        } else if let Some(recent) = leg.member.as_mut().and_then(|member| member.recent.as_mut()) {
            if leg.rx.is_faint {
                // What is said begins behind it.
                recent.clear();
            }
            recent.keep(now, arrival, view);
        }
    }

    /// A packet of a publisher, opened.
    pub(super) fn on_video(&mut self, now: Instant, at: LegIx, leg: &mut Leg, view: &View<'_>, datagram: &[u8]) {
        let is_seated = matches!(leg.role, Role::Room(_)) && leg.seat.shows;
        let Some(video) = leg.video.as_mut() else { return };
        video.arrived(now, view, datagram);
        match video.take(now, view, datagram) {
            Some(came) if is_seated => self.goes_on(at, What::Video(came)),
            // It is kept, and nobody sees it.
            Some(_) => {}
            None => video.dropped += 1,
        }
    }

    /// What a peer says of video, or asks for. True where it is of no use to its audio.
    pub(super) fn on_feedback(&mut self, now: Instant, leg: &mut Leg, datagram: &[u8], out: &mut TxBatch) -> bool {
        let own = leg.tx.sender.ssrc();
        let author = feedback::author(datagram);
        let mut is_of_audio = leg.rx.source.ssrc() == Some(author);
        let (tx, Some(video)) = (&leg.tx, leg.video.as_mut()) else {
            return false;
        };
        let mut is_of_video = video.is_publisher(author);
        feedback::each(datagram, |said| match said {
            Said::Sent(ssrc, ntp) => video.sent_report(now, ssrc, ntp),
            Said::Report(block) if block.ssrc == own => is_of_audio = true,
            Said::Report(block) => {
                if let Some(slot) = video.slot_of(block.ssrc) {
                    is_of_video = true;
                    slot.heard(now, &block);
                }
            }
            Said::Key(ssrc) => {
                let shown = video.slot_of(ssrc).and_then(|slot| Some((slot.shown?, slot.target)));
                if let Some((shown, layer)) = shown.filter(|_| video.may_ask(now)) {
                    self.want_key(&shown, layer);
                }
            }
            Said::Missing { ssrc, first, more } => {
                let more = (0..16u16).filter(|bit| more >> bit & 1 == 1);
                let all = std::iter::once(first).chain(more.map(|bit| first.wrapping_add(bit + 1)));
                for sequence in all {
                    if video.may_ask(now) {
                        self.send_again(now, video, (tx.place, tx.to), (ssrc, sequence), out);
                    }
                }
            }
            Said::Bound(bits) => video.estimated(now, bits),
        });
        is_of_video && !is_of_audio
    }

    fn want_key(&mut self, shown: &Shown, layer: u8) {
        let leg = self.legs[shown.at.index()].as_mut().filter(|leg| leg.id() == shown.id);
        let Some(video) = leg.and_then(|leg| leg.video.as_mut()) else {
            return;
        };
        let published = video.published.get_mut(usize::from(shown.published));
        if let Some(track) = published.and_then(|published| published.tracks.get_mut(usize::from(layer))) {
            track.want_key();
        }
    }

    /// A viewer has lost a packet: it gets it once more, if it is still kept.
    fn send_again(
        &self,
        now: Instant,
        video: &mut VideoLeg,
        (place, to): (LegIx, Option<SocketAddr>),
        (ssrc, sequence): (u32, u16),
        out: &mut TxBatch,
    ) {
        let Some((to, slot)) = to.zip(video.slot_of(ssrc)) else {
            return;
        };
        let (Some(shown), Some((layer, number))) = (slot.shown, slot.origin(sequence)) else {
            return;
        };
        let came = Came {
            published: shown.published,
            track: layer,
            sequence: number,
        };
        let leg = self.legs[shown.at.index()].as_ref().filter(|leg| leg.id() == shown.id);
        let kept = leg.and_then(|leg| leg.video.as_ref()?.kept(came));
        // What finds no room is asked for again.
        let Some(kept) = kept.filter(|_| out.room() > TX_ROOM) else {
            return;
        };
        if let Some(packet) = out.next(place, Channel::Rtp, to)
            && !slot.rewrite(now, sequence, kept, packet)
        {
            out.undo();
        }
    }
}

/// What a leg keeps of a packet of its video, and of which stream it is.
fn kept(leg: &Leg, what: What) -> Option<(Came, Layer, &Packet)> {
    let (What::Video(came), Some(video)) = (what, leg.video.as_ref()) else {
        return None;
    };
    let track = video
        .published
        .get(usize::from(came.published))?
        .tracks
        .get(usize::from(came.track))?;
    let from = Layer {
        nth: came.track,
        generation: track.generation,
        codec: track.codec,
    };
    Some((came, from, video.kept(came)?))
}

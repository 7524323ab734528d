//! The media worker: a slab of legs, walked by packets, ticks and inputs. It has no socket, no clock and no lock, and it neither
//! allocates nor frees: what it needs comes boxed in an `Input`, what it is done with goes out in an `Output`.
//!
//! The shell calls it like this, in one thread:
//!
//! ```text
//! packet on a leg's socket -> on_packet(now, leg, channel, from, packet), again with the next of the same leg while it `gathers`
//!                             and there is one, then forward(now)
//! every 20 ms              -> on_tick(now), again while it answers `Tick::More`
//! from the command ring    -> on_input(now, input)
//! after each call          -> take all outputs; send and clear the batch when it `must_flush`,
//!                             at the latest before it waits and before it closes a socket
//! ```

use super::bridge;
use super::data;
use super::fork;
use super::function;
use super::input::Outputs;
use super::leg::{Class, Leg, Role};
use super::packet::{Channel, LegIx, Packet, TxBatch};
use super::phone::Phone;
use super::room::{self, Room, RoomIx};
use super::rtp::{self, Kind, View};
use crate::id::{MediaLegId, MediaRoomId};
use crate::limits;
use crate::time::Instant;
use std::collections::HashMap;
use std::net::SocketAddr;
use video::Fan;

/// "Not before anything happens here."
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// Whether a tick is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a tick that is not finished must be called again"]
pub enum Tick {
    /// All legs had their turn.
    Done,
    /// The batch or the outputs are full: empty them and call again with the same time.
    More,
}

/// Datagrams that belong to no leg's media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// For a place without a leg.
    pub no_leg: u64,
    /// STUN.
    pub stun: u64,
    /// DTLS.
    pub dtls: u64,
    /// Neither RTP nor RTCP.
    pub unknown: u64,
}

impl std::ops::Add for Strays {
    type Output = Strays;

    fn add(self, other: Strays) -> Strays {
        Strays {
            no_leg: self.no_leg + other.no_leg,
            stun: self.stun + other.stun,
            dtls: self.dtls + other.dtls,
            unknown: self.unknown + other.unknown,
        }
    }
}

/// One media worker.
#[derive(Debug)]
pub struct Worker {
    legs: Box<[Option<Box<Leg>>]>,
    /// When each leg has something to do on a tick: kept apart, so that a tick does not touch every leg.
    due: Box<[Instant]>,
    by_id: HashMap<MediaLegId, LegIx, foldhash::fast::FixedState>,
    free: Vec<LegIx>,
    /// Where an unfinished tick goes on.
    cursor: usize,
    rooms: Box<[Option<Box<Room>>]>,
    room_by_id: HashMap<MediaRoomId, RoomIx, foldhash::fast::FixedState>,
    /// The same for rooms: they come first.
    room_cursor: usize,
    strays: Strays,
    /// What is on its way to those who see it.
    fan: Fan,
    /// The most complexity that encoders of Opus may have now.
    effort: u8,
}

impl Worker {
    /// A worker for at most `capacity` legs (`limits::LEGS_PER_WORKER` in the shell).
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(usize::from(u16::MAX));
        Self {
            legs: (0..capacity).map(|_| None).collect(),
            due: vec![NEVER; capacity].into_boxed_slice(),
            // Twice the legs: a hash table that is half empty cleans itself in place and never grows.
            by_id: HashMap::with_capacity_and_hasher(capacity * 2, foldhash::fast::FixedState::default()),
            free: (0..capacity as u16).rev().map(LegIx).collect(),
            cursor: 0,
            rooms: (0..limits::ROOMS).map(|_| None).collect(),
            room_by_id: HashMap::with_capacity_and_hasher(limits::ROOMS * 2, foldhash::fast::FixedState::default()),
            room_cursor: 0,
            strays: Strays::default(),
            fan: Fan::default(),
            effort: 10,
        }
    }

    /// The most complexity that an encoder of Opus has, if there is one.
    pub fn highest_effort(&self) -> Option<u8> {
        let encoders = self.legs.iter().flatten().filter_map(|leg| leg.tx.encode.as_ref());
        let rooms = self.rooms.iter().flatten().filter_map(|room| room.complexity());
        encoders.filter_map(|encode| encode.complexity()).chain(rooms).max()
    }

    /// The most complexity that encoders of Opus may have from now on: what the processor has left (`tuning::Load`).
    pub fn limit_effort(&mut self, complexity: u8) {
        self.effort = complexity;
        for encode in self.legs.iter_mut().flatten().filter_map(|leg| leg.tx.encode.as_mut()) {
            encode.limit(complexity);
        }
        for room in self.rooms.iter_mut().flatten() {
            room.limit(complexity);
        }
    }

    /// Legs that live here.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True without legs.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Datagrams that belonged to no leg's media.
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Where a leg lives.
    pub fn place(&self, leg: MediaLegId) -> Option<LegIx> {
        self.by_id.get(&leg).copied()
    }

    /// The PCM door of a leg with `Function::Phone`.
    pub fn phone(&mut self, at: LegIx) -> Option<&mut Phone> {
        self.legs.get_mut(at.index())?.as_mut()?.phone.as_deref_mut()
    }

    /// Takes a datagram that came to one of a leg's sockets; after it `forward` sends on what goes to others. Gives the leg whose set-up it is for, where it is for that: STUN and DTLS of a
    /// browser, which whoever calls hands on.
    pub fn on_packet(
        &mut self,
        now: Instant,
        at: LegIx,
        channel: Channel,
        from: SocketAddr,
        packet: &mut Packet,
        out: &mut TxBatch,
        outputs: &mut Outputs,
    ) -> Option<MediaLegId> {
        let Some(mut leg) = self.legs.get_mut(at.index()).and_then(Option::take) else {
            self.strays.no_leg += 1;
            return None;
        };
        if leg.is_udptl() && !leg.rtc {
            let other = match leg.role {
                Role::Bridge(other) => self.legs[other.index()].as_mut(),
                Role::Idle
                | Role::Play
                | Role::Tone(_)
                | Role::Phone
                | Role::Note
                | Role::Echo
                | Role::Room(_)
                | Role::Fork(_) => None,
            };
            // Such datagrams have no seal.
            let to = other.filter(|other| !other.rtc).map(|other| &mut other.tx);
            leg.udptl(now, (channel, from), packet.as_slice(), to, out, outputs);
            self.legs[at.index()] = Some(leg);
            return None;
        }
        let from_here = out.len();
        let kind = rtp::kind(packet.as_slice());
        // By the other socket it is not taken: it is not to be noted as seen either.
        let is_astray = (kind, channel) == (Kind::Rtp, Channel::Rtcp);
        let is_open = is_astray || leg.open(kind, packet);
        let datagram = packet.as_slice();
        let mut set_up = None;
        match (kind, channel) {
            _ if !is_open => {}
            (Kind::Rtp, Channel::Rtp) => match View::parse(datagram) {
                Ok(view) if leg.has_video(view.payload_type) => self.on_video(now, at, &mut leg, &view, datagram),
                Ok(view) => self.on_rtp(now, from, &view, &mut leg, out, outputs),
                Err(_) => leg.rx.counts.dropped += 1,
            },
            (Kind::Rtp, Channel::Rtcp) => leg.rx.counts.dropped += 1,
            (Kind::Rtcp, Channel::Rtp | Channel::Rtcp) => {
                if leg.video.is_none() || !self.on_feedback(now, &mut leg, datagram, out) {
                    leg.rtcp(now, from, datagram);
                }
            }
            (Kind::Stun | Kind::Dtls, Channel::Rtp | Channel::Rtcp) => {
                set_up = self.set_up(now, &mut leg, from, (kind, channel), datagram);
            }
            (Kind::Unknown, Channel::Rtp | Channel::Rtcp) => {
                self.strays.unknown += 1;
                leg.rx.counts.dropped += 1;
            }
        }
        if let Some(urgent) = leg.urgent() {
            self.due[at.index()] = self.due[at.index()].min(urgent);
        }
        self.legs[at.index()] = Some(leg);
        self.seal(out, from_here);
        set_up
    }

    /// Whose set-up a datagram of STUN or DTLS is for.
    fn set_up(
        &mut self,
        now: Instant,
        leg: &mut Leg,
        from: SocketAddr,
        (kind, channel): (Kind, Channel),
        datagram: &[u8],
    ) -> Option<MediaLegId> {
        // RTP and RTCP of a browser have one port.
        let set_up = leg.set_up(now, from, datagram).filter(|_| channel == Channel::Rtp);
        let stray = if kind == Kind::Stun {
            &mut self.strays.stun
        } else {
            &mut self.strays.dtls
        };
        *stray += u64::from(set_up.is_none());
        set_up
    }

    /// Seals what was added to the batch for legs that are protected.
    fn seal(&mut self, out: &mut TxBatch, from: usize) {
        out.seal(from, |outgoing| {
            let leg = self.legs[outgoing.leg.index()].as_mut();
            leg.is_some_and(|leg| leg.seal(&mut outgoing.packet))
        });
    }

    fn on_rtp(
        &mut self,
        now: Instant,
        from: SocketAddr,
        view: &View<'_>,
        leg: &mut Leg,
        out: &mut TxBatch,
        outputs: &mut Outputs,
    ) {
        let Some((arrival, class)) = leg.admit(now, from, view, outputs) else {
            return;
        };
        leg.record(now, class, view);
        if let Some(copied) = leg.copied.and_then(|at| self.legs[at.index()].as_mut()) {
            fork::copy(now, (arrival, class), view, &leg.rx, &mut copied.tx, out);
        }
        match leg.role {
            Role::Idle | Role::Tone(_) | Role::Play | Role::Fork(_) => {}
            Role::Room(room) => {
                room::hear(now, (arrival, class), view, leg);
                if class == Class::Audio && leg.seat.speaks && leg.is_forwarded() {
                    self.on_voice(now, (leg, room), arrival, view);
                }
            }
            Role::Phone => function::hear(now, arrival, class, view, leg),
            Role::Note => {
                function::hear(now, arrival, class, view, leg);
                function::tell_noted(leg, outputs);
            }
            Role::Echo => bridge::pass(now, (arrival, class), view, &mut leg.rx, &mut leg.tx, out),
            Role::Bridge(other) => {
                if let Some(other) = self.legs[other.index()].as_mut() {
                    if class == Class::Audio {
                        data::listen(leg, other, view, outputs);
                    }
                    bridge::pass(now, (arrival, class), view, &mut leg.rx, &mut other.tx, out);
                }
            }
        }
    }

    /// One step of the 20 ms grid: each call that answers `Tick::Done` stands for exactly 20 ms of tones and PCM, so a shell that
    /// was late calls once for each step that it missed.
    pub fn on_tick(&mut self, now: Instant, out: &mut TxBatch, outputs: &mut Outputs) -> Tick {
        if self.tick_rooms(now, out, outputs) == Tick::More {
            return Tick::More;
        }
        while self.cursor < self.legs.len() {
            if self.due[self.cursor] <= now {
                if out.must_flush() || outputs.must_drain() {
                    return Tick::More;
                }
                self.tick_leg(now, LegIx(self.cursor as u16), out, outputs);
            }
            self.cursor += 1;
        }
        (self.cursor, self.room_cursor) = (0, 0);
        Tick::Done
    }

    fn tick_leg(&mut self, now: Instant, at: LegIx, out: &mut TxBatch, outputs: &mut Outputs) {
        let Some(mut leg) = self.legs[at.index()].take() else {
            return;
        };
        let from_here = out.len();
        let key_ended = leg.end_key(now, outputs);
        let fed = match leg.role {
            Role::Idle | Role::Tone(_) | Role::Play | Role::Fork(_) => None,
            Role::Room(_) => Some(now).filter(|_| !leg.hears_rest()),
            Role::Phone => {
                function::heard(now, &mut leg);
                None
            }
            Role::Note => {
                function::heard(now, &mut leg);
                function::tell_noted(&mut leg, outputs);
                None
            }
            Role::Echo => {
                bridge::tick(now, &mut leg.rx, &mut leg.tx, out);
                leg.rx.last_audio
            }
            Role::Bridge(other) => self.legs[other.index()].as_mut().and_then(|other| {
                bridge::tick(now, &mut leg.rx, &mut other.tx, out);
                if key_ended {
                    bridge::send_keys(now, &leg.rx, &mut other.tx, out);
                }
                other.rx.last_audio
            }),
        };
        function::generate(now, &mut leg, out, outputs);
        leg.tick(now, fed, out, outputs);
        self.due[at.index()] = leg.due(now).unwrap_or(NEVER);
        self.legs[at.index()] = Some(leg);
        self.seal(out, from_here);
    }
}

mod inputs;
mod rooms;
#[cfg(test)]
mod sim;
#[cfg(test)]
#[path = "worker/tests_bridge.rs"]
mod tests_bridge;
#[cfg(test)]
#[path = "worker/tests_data.rs"]
mod tests_data;
#[cfg(test)]
#[path = "worker/tests_ear.rs"]
mod tests_ear;
#[cfg(test)]
#[path = "worker/tests_events.rs"]
mod tests_events;
#[cfg(test)]
#[path = "worker/tests_fork.rs"]
mod tests_fork;
#[cfg(test)]
#[path = "worker/tests_legs.rs"]
mod tests_legs;
#[cfg(test)]
#[path = "worker/tests_measured.rs"]
mod tests_measured;
#[cfg(test)]
#[path = "worker/tests_note.rs"]
mod tests_note;
#[cfg(test)]
#[path = "worker/tests_play.rs"]
mod tests_play;
#[cfg(test)]
#[path = "worker/tests_quality.rs"]
mod tests_quality;
#[cfg(test)]
#[path = "worker/tests_record.rs"]
mod tests_record;
#[cfg(test)]
#[path = "worker/tests_room.rs"]
mod tests_room;
#[cfg(test)]
#[path = "worker/tests_room_all.rs"]
mod tests_room_all;
#[cfg(test)]
#[path = "worker/tests_room_full.rs"]
mod tests_room_full;
#[cfg(test)]
#[path = "worker/tests_rtc.rs"]
mod tests_rtc;
#[cfg(test)]
#[path = "worker/tests_sound.rs"]
mod tests_sound;
#[cfg(test)]
#[path = "worker/tests_srtp.rs"]
mod tests_srtp;
#[cfg(test)]
#[path = "worker/tests_udptl.rs"]
mod tests_udptl;
#[cfg(test)]
#[path = "worker/tests_video.rs"]
mod tests_video;
#[cfg(test)]
#[path = "worker/tests_voices.rs"]
mod tests_voices;
#[cfg(test)]
#[path = "worker/tests_wide.rs"]
mod tests_wide;
mod video;

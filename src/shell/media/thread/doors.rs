//! What comes to a media thread by other ways than a leg's own port: the port that browsers share, other workers, and streams.

use super::Thread;
use crate::id::MediaLegId;
use crate::limits;
use crate::media::frames::TooLong;
use crate::media::packet::{Channel, LegIx};
use crate::shell::media::stream::Stream;
use crate::time::Instant;
use rustix::event::epoll;
use smallvec::SmallVec;
use std::net::SocketAddr;

impl Thread {
    /// The relay reaches the shared ports without the network, too.
    pub(super) fn join_gate(&self) {
        if let (Some(end), Some(gate)) = (&self.within, &self.gate) {
            gate.ports().for_each(|port| end.settle_shared(port.v6, port.rtp));
        }
    }

    /// Takes what has come to a port that browsers share, a turn of it. Tells when the next tick is.
    pub(super) fn take_shared(&mut self, token: u64, mut next_tick: Instant) -> Instant {
        let mut came = None;
        for _ in 0..limits::SHARED_TURN {
            let Some(gate) = &mut self.gate else { break };
            let Some((length, from)) = gate.receive(token, self.packet.buffer()) else {
                break;
            };
            self.packet.set_len(length);
            let Some(at) = self.sort(from) else { continue };
            let now = self.take(at, Channel::Rtp, from);
            came = Some(now);
            if self.worker.gathers().is_some() && now < next_tick {
                continue;
            }
            self.go_on(now);
            if next_tick <= now {
                next_tick = self.ticks(next_tick);
            }
        }
        if let Some(now) = came {
            self.go_on(now);
        }
        next_tick
    }

    /// A datagram of a shared port lies in `packet`: its leg, or it goes to the worker where that lives.
    pub(super) fn sort(&mut self, from: SocketAddr) -> Option<LegIx> {
        let gate = self.gate.as_mut()?;
        let leg = gate.whose(from, self.packet.as_slice())?;
        let at = self.worker.place(leg);
        if at.is_none() {
            gate.hand_over(leg, from, &self.packet);
        }
        at
    }

    /// Takes what other workers have for legs that live here, and whose port they have. Tells when the next tick is.
    pub(super) fn take_handed(&mut self, mut next_tick: Instant) -> Instant {
        for _ in 0..limits::WITHIN_TURN {
            let came = self.gate.as_mut().and_then(|gate| gate.take_handed(&mut self.packet));
            let Some((leg, from)) = came else { return next_tick };
            if let Some(at) = self.worker.place(leg) {
                next_tick = self.arrive_in_time(at, from, next_tick);
            }
        }
        if self.gate.as_ref().is_some_and(|gate| gate.has_more()) {
            // It can only fail when the counter is full, and then the thread does not sleep.
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        }
        next_tick
    }

    /// The same as `arrive`; a tick that is due meanwhile is not kept waiting.
    pub(super) fn arrive_in_time(&mut self, at: LegIx, from: SocketAddr, next_tick: Instant) -> Instant {
        if next_tick <= self.arrive(at, Channel::Rtp, from) {
            return self.ticks(next_tick);
        }
        next_tick
    }

    /// A leg has one more stream; what has come by it already is taken.
    pub(super) fn add_stream(&mut self, stream: Box<Stream>) {
        let leg = stream.leg;
        let Some(streams) = self.streams.as_mut().filter(|_| self.worker.place(leg).is_some()) else {
            return self.late.push_back(stream.refused());
        };
        let oldest = (streams.count(leg) >= limits::STREAMS_PER_LEG)
            .then(|| streams.remove_of(&self.epoll, leg))
            .flatten();
        let added = streams.add(&self.epoll, stream);
        self.late.extend(oldest.map(Stream::over));
        match added {
            Ok(place) => {
                self.take_packets(place);
            }
            Err(stream) => self.late.push_back(stream.refused()),
        }
    }

    /// Reads a stream, or goes on sending by it. Tells when the next tick is.
    pub(super) fn take_stream(&mut self, place: usize, flags: epoll::EventFlags, next_tick: Instant) -> Instant {
        let Some(streams) = &mut self.streams else {
            return next_tick;
        };
        let mut is_fine = !flags.contains(epoll::EventFlags::OUT) || streams.flush(&self.epoll, place);
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            is_fine &= streams.at(place).is_none_or(Stream::read);
        }
        is_fine &= self.take_packets(place);
        if !is_fine && let Some(streams) = &mut self.streams {
            self.late.extend(streams.remove(&self.epoll, place).map(Stream::over));
        }
        self.ticks(next_tick)
    }

    /// Takes what has come by a stream, which one reading brings; false where no more of it can be read.
    pub(super) fn take_packets(&mut self, place: usize) -> bool {
        loop {
            let Some(stream) = self.streams.as_mut().and_then(|streams| streams.at(place)) else {
                return true;
            };
            let (leg, from) = (stream.leg, stream.from);
            match stream.next(&mut self.packet) {
                Ok(true) => {}
                Ok(false) => return true,
                Err(TooLong) => return false,
            }
            if let Some(at) = self.worker.place(leg) {
                let _now = self.arrive(at, Channel::Rtp, from);
            }
        }
    }

    /// Sends what the set-up of legs has for streams.
    pub(super) fn take_answers(&mut self) {
        let now = self.clock.instant();
        while let Some(streams) = &mut self.streams
            && let Some((to, packet)) = streams.answer()
        {
            let broken = streams.send(&self.epoll, now, to, packet.as_slice());
            self.late.extend(broken.map(Stream::over));
        }
    }

    /// Takes a leg's streams out, to go with it.
    pub(super) fn streams_of(&mut self, leg: MediaLegId) -> SmallVec<[Box<Stream>; limits::STREAMS_PER_LEG]> {
        let streams = self.streams.as_mut();
        let of_leg = streams.map(|streams| std::iter::from_fn(|| streams.remove_of(&self.epoll, leg)).collect());
        of_leg.unwrap_or_default()
    }
}

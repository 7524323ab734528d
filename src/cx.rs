//! The one context that every signalling machine receives: time, randomness, configuration, and where effects go.

use crate::config::Config;
use crate::effect::Output;
use crate::id::{Flow, Owner, Ticket};
use crate::marker::{Mark, Marker};
use crate::time::{Instant, Queue, Wall};
pub use rand_chacha::ChaCha12Rng;
pub use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

type Waiting = HashMap<Ticket, (Owner, Instant), foldhash::fast::FixedState>;

/// The effects in flight: who waits for which ticket, and until when. A late reply finds nobody.
#[derive(Debug, Default)]
pub struct Tickets {
    last: u64,
    waiting: Waiting,
    deadlines: Queue<Ticket>,
}

impl Tickets {
    /// Takes the reply's owner; `None` when the reply is late.
    pub fn take(&mut self, ticket: Ticket) -> Option<Owner> {
        let (owner, until) = self.waiting.remove(&ticket)?;
        self.deadlines.cancel(ticket, until);
        let waiting = &self.waiting;
        self.deadlines.settle(|ticket, at| is_waiting(waiting, ticket, at));
        Some(owner)
    }

    /// The next deadline of an effect.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Takes an effect whose time is over: its owner is told that it failed.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Ticket, Owner)> {
        let waiting = &self.waiting;
        let ticket = self
            .deadlines
            .pop_due(now, |ticket, at| is_waiting(waiting, ticket, at))?;
        let (owner, _) = self.waiting.remove(&ticket)?;
        let waiting = &self.waiting;
        self.deadlines.settle(|ticket, at| is_waiting(waiting, ticket, at));
        Some((ticket, owner))
    }

    /// How many effects are in flight.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn is_waiting(waiting: &Waiting, ticket: &Ticket, until: Instant) -> bool {
    waiting.get(ticket).is_some_and(|(_, at)| *at == until)
}

/// What a machine is given for one step. Nothing else reaches it.
pub struct Cx<'a> {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock, for records and expiry.
    pub wall: Wall,
    /// Randomness: seeded by the operating system in the shell, by the test's seed in the simulated world.
    pub rng: &'a mut ChaCha12Rng,
    /// The configuration in force. A call keeps the `Arc` it began with.
    pub config: &'a Arc<Config>,
    /// Effects, in order.
    pub out: &'a mut VecDeque<Output>,
    /// Effects in flight.
    pub tickets: &'a mut Tickets,
    /// What marks what we hand out, so that the guard knows it again. It knows whose message is at hand.
    pub marker: &'a Marker,
}

impl Cx<'_> {
    /// A ticket for an effect that `owner` asks for and that may take `limit`: after that the owner is told it failed.
    pub fn ticket(&mut self, owner: Owner, limit: Duration) -> Ticket {
        self.tickets.last += 1;
        let ticket = Ticket(self.tickets.last);
        let until = self.now + limit;
        self.tickets.waiting.insert(ticket, (owner, until));
        self.tickets.deadlines.set(ticket, until, None);
        ticket
    }

    /// Hands an effect to the shell.
    pub fn emit(&mut self, output: Output) {
        self.out.push_back(output);
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A tag for a dialog: our From tag, or the To tag of a response that keeps state.
    pub fn tag(&mut self) -> String {
        let random = self.random();
        self.marker.tag(Mark::Tag, random)
    }

    /// A To tag for a response that nothing follows but its ACK: one that keeps no state, or a final one to another method than INVITE.
    pub fn answer_tag(&mut self) -> String {
        let random = self.random();
        self.marker.tag(Mark::Answer, random)
    }

    /// The salt of a nonce for the peer of this flow: one that is made now with another `number` is another.
    pub fn salt(&self, flow: Flow, number: u16) -> u64 {
        self.marker.salt(self.wall, self.marker.source(flow.peer.ip()), number)
    }

    /// Our address as the peer of this flow sees it ([`Config::own_address`]), and the listener's port.
    pub fn advertised(&self, flow: Flow) -> SocketAddr {
        SocketAddr::new(self.config.own_address(flow.local.ip()), flow.local.port())
    }

    /// A token with `bytes` bytes of randomness in lower-case hex: tags, branches, Call-IDs.
    pub fn token(&mut self, bytes: usize) -> String {
        let mut raw = [0u8; 32];
        let raw = &mut raw[..bytes.min(32)];
        self.rng.fill_bytes(raw);
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(raw.iter()) {
            let nibble = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
            pair.copy_from_slice(&[nibble(*byte >> 4), nibble(*byte)]);
        }
        let digits = &digits[..2 * raw.len()];
        std::str::from_utf8(digits).expect("digits are ASCII").to_owned()
    }
}

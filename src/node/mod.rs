//! The signalling machine: inputs in, effects out. It sorts what comes to the machines that it owns, and decides nothing else.

mod admission;
mod authenticate;
mod clients;
mod control;
mod input;
mod local;
mod machines;
mod relay;
mod rooms;
mod watch;

pub use input::Input;
pub use local::aor;

use crate::config::Config;
use crate::cx::{Cx, Tickets};
use crate::effect::Output;
use crate::guard::{Guard, Verdict};
use crate::keyed;
use crate::limits;
use crate::marker::{Marker, Origin};
use crate::time::{Clock, Instant};
use machines::Machines;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;

/// How much of everything is up: for invariants in tests and for `is_stopped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Calls.
    pub calls: usize,
    /// Requests that are proxied, or whose late answers may still come.
    pub contexts: usize,
    /// Client and server transactions.
    pub transactions: usize,
    /// Effects in flight.
    pub tickets: usize,
    /// REGISTERs that wait for the store.
    pub registers: usize,
    /// Subscriptions to registrations and rooms.
    pub subscriptions: usize,
    /// Calls that wait for a phone that is being woken.
    pub waking: usize,
    /// Sessions with recording servers.
    pub recording_sessions: usize,
    /// Calls by SIP of clients of the HTTP API.
    pub client_lines: usize,
    /// Calls whose media a proxy has brought by NG.
    pub ng_calls: usize,
    /// Media legs of these, and of those that end.
    pub ng_legs: usize,
    /// Call places held on trunks.
    pub trunk_places: u32,
    /// Call places held by users.
    pub user_places: u32,
}

/// The signalling of one node.
pub struct Node {
    config: Arc<Config>,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    marker: Marker,
    machines: Machines,
}

impl Node {
    /// A node with nothing up. `seed` is its randomness and key material; `at` its first moment.
    pub fn new(config: Arc<Config>, seed: [u8; 32], at: Clock) -> Node {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        let marker = Marker::new(keyed::Key::new(key));
        let guard = Guard::new(config.clone(), marker.clone());
        let machines = Machines::new(&mut rng, guard);
        let mut node = Node {
            config,
            rng,
            tickets: Tickets::default(),
            out: VecDeque::new(),
            marker,
            machines,
        };
        node.step(at, Origin::default(), |machines, cx| {
            machines.configure(cx);
            cx.emit(Output::Ports(limits::SPARE_PORTS));
        });
        node
    }

    /// One mutation; then drain `poll_output`.
    pub fn handle(&mut self, at: Clock, input: Input) {
        if let Input::Config(config) = input {
            let old = std::mem::replace(&mut self.config, config);
            let moved = old.moves_media(&self.config);
            self.step(at, Origin::default(), |machines, cx| machines.reconfigure(cx, moved));
            return;
        }
        let origin = match &input {
            Input::Sip(flow, message) => match self.machines.guard.admit(at, *flow, message) {
                Verdict::Pass(origin) => origin,
                Verdict::Drop(_) => return,
            },
            _no_message => Origin::default(),
        };
        self.step(at, origin, |machines, cx| machines.handle(cx, input));
    }

    /// The next effect, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When `Input::Time` is wanted next, and by whom, for the log.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let effects = self.tickets.next_deadline().map(|at| (at, "effects"));
        self.machines.next_deadline().into_iter().chain(effects).min()
    }

    /// True after `Input::Stop` when the last call is gone, no REGISTER waits for the store, and our own registrations have
    /// ended.
    pub fn is_stopped(&self) -> bool {
        self.machines.is_stopped()
    }

    /// Calls that are up or being set up: not those that only wait for a last answer.
    pub fn calls_up(&self) -> usize {
        self.machines.calls_up()
    }

    /// What is up.
    pub fn census(&self) -> Census {
        Census {
            tickets: self.tickets.len(),
            ..self.machines.census()
        }
    }

    /// `origin` is who sent the message that is handled, if it is one.
    fn step(&mut self, at: Clock, origin: Origin, work: impl FnOnce(&mut Machines, &mut Cx<'_>)) {
        let Node {
            config,
            rng,
            tickets,
            out,
            marker,
            machines,
        } = self;
        let mut cx = Cx {
            now: at.now,
            wall: at.wall,
            rng,
            config,
            out,
            tickets,
            marker: &marker.about(origin),
        };
        work(machines, &mut cx);
        machines.drain(&mut cx);
    }
}

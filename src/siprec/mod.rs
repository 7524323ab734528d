//! Session recording by SIP (SIPREC): what is recorded of a call goes to a recording server, of which this node is a client (RFC 7866 6.1, with
//! metadata by RFC 7865 and the architecture of RFC 7245).
//!
//! | file | what |
//! |---|---|
//! | `order` | what those who know the calls tell |
//! | `session` | one recording session: its dialog and its states |
//! | `change` | what a server knows of the call and takes of it |
//! | `message` | our fields, the server's requests |
//! | `description`, `metadata` | the two parts of a body |
//! | `stream` | a media leg that has a copy of what a leg of the call receives |
//!
//! Whoever knows the calls gives an [`Order`] each time that something of a recorded call has changed, and hears by [`Siprec::poll_lost`] of a
//! recording that has failed. Nothing that a server does or leaves reaches a call in another way.

mod change;
mod description;
mod message;
mod metadata;
pub mod order;
mod session;
mod stream;
#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::cx::Cx;
use crate::dialog::{DialogId, Naming};
use crate::effect::{Fact, Output};
use crate::id::{CallId, Flow, MediaLegId, ServerTx, WorkerId};
use crate::limits;
use crate::marker::Marker;
use crate::media::command::Event as MediaEvent;
use crate::sip::Message;
use crate::stock::Stock;
use crate::time::{Deadlines, Instant};
use crate::transaction::{Event, Layer};
use order::{Order, Subject};
use session::Session;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

/// What a session is given for one step.
struct Turn<'t, 'c> {
    /// The node's context.
    cx: &'t mut Cx<'c>,
    /// Transactions.
    layer: &'t mut Layer,
    /// Ports and places.
    stock: &'t mut Stock,
    /// What all sessions share.
    tables: &'t mut Tables,
}

/// The shared tables.
#[derive(Debug, Default)]
struct Tables {
    /// Ordered, as servers choose parts of the keys.
    dialogs: BTreeMap<DialogId, u64>,
    media: HashMap<MediaLegId, (u64, WorkerId), foldhash::fast::FixedState>,
    timers: Deadlines<u64>,
    /// Drained after each input, so it holds what one input brings.
    lost: VecDeque<Lost>,
}

/// A recording that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of which call.
    pub call: CallId,
    /// Why, in words.
    pub why: String,
}

/// All recording sessions of a node.
#[derive(Debug, Default)]
pub struct Siprec {
    last: u64,
    sessions: BTreeMap<u64, Box<Session>>,
    /// The one that records a call.
    by_call: HashMap<CallId, u64, foldhash::fast::FixedState>,
    tables: Tables,
}

impl Siprec {
    /// Does what it is told.
    pub fn order(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, order: Order) {
        let (config, subject) = match order {
            Order::Record(config, subject) => (config, *subject),
            Order::Stop(call) => return self.stop(cx, layer, stock, call),
        };
        let current = self.by_call.get(&subject.recording.call).copied();
        let is_current = |session: &Session| session.subject.recording == subject.recording;
        match current.filter(|number| self.sessions.get(number).is_some_and(|session| is_current(session))) {
            Some(number) => self.turn(cx, layer, stock, number, |session, _| session.follow(subject)),
            None => self.begin(cx, layer, stock, (&config, subject)),
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, (config, subject): (&Config, Subject)) {
        let call = subject.recording.call;
        self.stop(cx, layer, stock, call);
        let Some(settings) = &config.recording.siprec else {
            return;
        };
        if self.sessions.len() >= limits::RECORDING_SESSIONS {
            return self.crowded(cx, call);
        }
        self.last += 1;
        let t = &mut Turn {
            cx,
            layer,
            stock,
            tables: &mut self.tables,
        };
        let session = Session::begin(t, self.last, config, settings.clone(), subject);
        self.sessions.insert(self.last, Box::new(session));
        self.by_call.insert(call, self.last);
    }

    fn stop(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, call: CallId) {
        if let Some(number) = self.by_call.remove(&call) {
            self.turn(cx, layer, stock, number, |session, t| session.stop(t));
        }
    }

    fn crowded(&mut self, cx: &mut Cx<'_>, call: CallId) {
        let why = "as many recording sessions as the node may have are up".to_owned();
        let what = format!("it is not recorded: {why}");
        cx.emit(Output::Record(Fact::CallChanged { call, what }));
        self.tables.lost.push_back(Lost { call, why });
    }

    /// A recording that has failed since this was asked last.
    pub fn poll_lost(&mut self) -> Option<Lost> {
        let lost = self.tables.lost.pop_front();
        if let Some(lost) = &lost {
            self.by_call.remove(&lost.call);
        }
        lost
    }

    /// True for a request in a dialog of ours.
    pub fn owns(&self, request: &Message) -> bool {
        self.by_request(request).is_some()
    }

    fn by_request(&self, request: &Message) -> Option<u64> {
        if self.tables.dialogs.is_empty() {
            return None;
        }
        let naming = Naming::of_request(request)?;
        self.tables.dialogs.get(&naming.id()).copied()
    }

    /// A request in a dialog of ours; `tx` is its transaction.
    pub fn request(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, tx: ServerTx, request: &Message) {
        if let Some(number) = self.by_request(request) {
            self.turn(cx, layer, stock, number, |session, t| {
                session.on_request(t, tx, request)
            });
        }
    }

    /// The ACK of a 2xx that we sent.
    pub fn ack(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, ack: &Message) {
        if let Some(number) = self.by_request(ack) {
            self.turn(cx, layer, stock, number, |session, t| session.on_ack(t, ack));
        }
    }

    /// An event of the transaction layer whose owner is a session.
    pub fn event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, number: u64, event: Event) {
        self.turn(cx, layer, stock, number, |session, t| match event {
            Event::Reached { flow, rest, .. } => session.on_reached(t, flow, rest),
            Event::Unreachable { failure, .. } => session.on_unreachable(t, failure),
            Event::Response { tx, response, .. } => session.on_response(t, tx, &response),
            Event::Failed { tx, .. } => session.on_failed(t, tx),
            Event::Request { .. } | Event::Ack { .. } | Event::Cancelled { .. } | Event::ServerGone { .. } => {}
        });
    }

    /// An event of a media worker; false where its leg is another's.
    pub fn media(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock, event: &MediaEvent) -> bool {
        let Some(leg) = event.leg() else { return false };
        let Some((number, worker)) = self.tables.media.get(&leg).copied() else {
            return false;
        };
        if let MediaEvent::Closed(..) = event {
            self.tables.media.remove(&leg);
            stock.leave(worker);
        }
        self.turn(cx, layer, stock, number, |session, t| session.on_media(t, event));
        true
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, stock: &mut Stock) {
        while let Some(number) = self.tables.timers.pop_due(cx.now) {
            self.turn(cx, layer, stock, number, |session, t| session.on_time(t));
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.tables.timers.next().map(|(at, _)| at)
    }

    /// True if a server's signalling comes from this source.
    pub fn has_peer(&self, ip: IpAddr) -> bool {
        let mut flows = self.sessions.values().filter_map(|session| session.flow);
        flows.any(|flow: Flow| Marker::is_same(flow.peer.ip(), ip))
    }

    /// Sessions that are up, being set up, or ending.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// One step of one session, which settles then.
    fn turn(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        stock: &mut Stock,
        number: u64,
        step: impl FnOnce(&mut Session, &mut Turn<'_, '_>),
    ) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        let t = &mut Turn {
            cx,
            layer,
            stock,
            tables: &mut self.tables,
        };
        step(session, t);
        session.settle(t);
        t.stock.top_up(t.cx);
        if session.is_done() {
            self.sessions.remove(&number);
            self.tables.timers.cancel(number);
        }
    }
}

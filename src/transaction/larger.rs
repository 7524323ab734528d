//! Requests that are too large for UDP (RFC 3261 18.1.1): by TCP where the URI leaves the transport to us, and by UDP all the same
//! where the peer has none.
//!
//! ```text
//!   request over an open UDP flow, larger than limits::SIP_UDP_SAFE_BYTES
//!        |  Connect (TCP, same address)
//!        v
//!   +---------+ opened: Via says TCP, sent over the connection
//!   | Waiting | refused, late: sent over UDP after all
//!   +---------+ cancelled: Failed, nothing was sent
//! ```
//!
//! One of our own that goes by UDP is slimmed. One that is sent on is not: its fields are others', and leave as they came (RFC 3261 16.6
//! step 1).

use super::{Event, Failure, Layer};
use crate::cx::Cx;
use crate::effect::Output;
use crate::id::{ClientTx, Flow, Owner, Target, Ticket, Transport};
use crate::limits;
use crate::sip::{Draft, Forward};
use std::collections::BTreeMap;

/// What a Via of ours takes: with an IPv6 address 100 octets.
pub const VIA_BYTES: usize = 100;

/// A request without the Via that it will get.
#[derive(Debug)]
pub enum Outgoing {
    /// One of ours.
    Own(Draft),
    /// One that came and is sent on, with the branch of its Via.
    SentOn(Box<Forward<'static>>, String),
}

/// A request that waits for its connection.
#[derive(Debug)]
struct Waiting {
    tx: ClientTx,
    owner: Owner,
    flow: Flow,
    request: Outgoing,
}

/// All of them. Bounded with the client transactions.
#[derive(Debug, Default)]
pub struct Larger(BTreeMap<Ticket, Waiting>);

impl Larger {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for a ticket that is waited for.
    pub fn knows(&self, ticket: Ticket) -> bool {
        self.0.contains_key(&ticket)
    }
}

impl Layer {
    /// True if a request of so many octets had better go by TCP, and may.
    pub(super) fn is_too_large(&self, cx: &Cx<'_>, flow: Flow, octets: usize) -> bool {
        octets > limits::SIP_UDP_SAFE_BYTES
            && self.reaching.is_open(flow)
            && cx.config.listen.iter().any(|listen| listen.transport == Transport::Tcp)
            && self.larger.0.len() < limits::CLIENT_TRANSACTIONS
    }

    pub(super) fn wait_for_tcp(&mut self, cx: &mut Cx<'_>, tx: ClientTx, owner: Owner, flow: Flow, request: Outgoing) {
        let ticket = cx.ticket(owner, limits::LARGER);
        let waiting = Waiting {
            tx,
            owner,
            flow,
            request,
        };
        self.larger.0.insert(ticket, waiting);
        cx.emit(Output::Connect(ticket, Target::new(Transport::Tcp, flow.peer)));
    }

    /// The connection is there, or cannot be had.
    pub(super) fn on_larger(&mut self, cx: &mut Cx<'_>, ticket: Ticket, flow: Option<Flow>) {
        if let Some(waiting) = self.larger.0.remove(&ticket) {
            let flow = flow.unwrap_or(waiting.flow);
            match waiting.request {
                Outgoing::Own(request) => self.write_client(cx, waiting.tx, waiting.owner, flow, request),
                Outgoing::SentOn(request, branch) => {
                    self.write_forward(cx, waiting.tx, waiting.owner, flow, &branch, *request);
                }
            }
        }
    }

    /// Cancelled before anything was sent: true if it was one of these.
    pub(super) fn cancel_larger(&mut self, tx: ClientTx) -> bool {
        let found = self.larger.0.iter().find(|(_, waiting)| waiting.tx == tx);
        let Some(ticket) = found.map(|(ticket, _)| *ticket) else {
            return false;
        };
        if let Some(Waiting { owner, .. }) = self.larger.0.remove(&ticket) {
            let failure = Failure::Timeout;
            self.events.push_back(Event::Failed { tx, owner, failure });
        }
        true
    }
}

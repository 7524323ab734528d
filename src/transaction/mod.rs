//! The transaction layer (RFC 3261 17, RFC 6026, RFC 4320) and the way to a next hop.
//!
//! A user of the layer first reaches a peer ([`Layer::reach`]), which gives it a [`Flow`]; with the flow it knows its own
//! address, writes the request, and starts a client transaction ([`Layer::request`]). What arrives is sorted by
//! [`Layer::receive`].

use crate::cx::Cx;
use crate::id::{ClientTx, Flow, Owner, ServerTx, Target, Ticket};
use crate::sip::{Draft, Message, Uri};
use crate::time::Instant;

/// Where a request is to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// Over this flow and no other (a phone behind NAT).
    Flow(Flow),
    /// To the first of these that can be connected.
    Targets(Vec<Target>),
    /// Resolved by RFC 3263 (a numeric host needs no question).
    Uri(Uri),
}

/// Why a client transaction has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Timer B or F (to be treated as 408, RFC 3261 8.1.3.1).
    Timeout,
    /// The transport failed (to be treated as 503, RFC 3261 8.1.3.1).
    Transport,
    /// The name has no address, or the resolver failed.
    Unresolved,
}

/// What the layer tells its user.
#[derive(Clone, Debug)]
pub enum Event {
    /// A flow to the destination of `reach` is there. `rest` are the targets that were not tried yet.
    Reached {
        /// Who asked.
        owner: Owner,
        /// The way.
        flow: Flow,
        /// For a later `Destination::Targets`.
        rest: Vec<Target>,
    },
    /// No target could be reached.
    Unreachable {
        /// Who asked.
        owner: Owner,
        /// Why.
        failure: Failure,
    },
    /// A request that is new: not a retransmission, not an ACK, not a CANCEL. No state was made yet: answer it with
    /// `reply_stateless`, or make a transaction of it with `accept`.
    Request {
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Message,
    },
    /// A CANCEL met an INVITE transaction that has no final response; its 200 is sent. The user now answers the INVITE with 487.
    Cancelled {
        /// The INVITE's.
        tx: ServerTx,
        /// The CANCEL, for its Reason.
        cancel: Message,
    },
    /// An ACK that belongs to no transaction: that of a 2xx.
    Ack {
        /// Where it came from.
        flow: Flow,
        /// The ACK.
        request: Message,
    },
    /// A response. A 2xx to INVITE comes again for each retransmission and each fork while the transaction lasts (RFC 6026 8.4).
    Response {
        /// Whose.
        tx: ClientTx,
        /// Who started it.
        owner: Owner,
        /// Where it came from.
        flow: Flow,
        /// The response.
        response: Message,
    },
    /// There will be no response.
    Failed {
        /// Whose.
        tx: ClientTx,
        /// Who started it.
        owner: Owner,
        /// Why.
        failure: Failure,
    },
    /// Nobody acknowledged the final failure of an INVITE (timer H), or the flow of a server transaction broke.
    ServerGone {
        /// Whose.
        tx: ServerTx,
    },
}

/// All transactions of a node, and the flows being opened.
#[derive(Debug, Default)]
pub struct Layer {}

impl Layer {
    /// A message that came over `flow`: matched, answered where the RFC leaves no choice, or told to the user by `poll`.
    pub fn receive(&mut self, cx: &mut Cx<'_>, flow: Flow, message: Message) {
        let _ = (cx, flow, message);
        todo!()
    }

    /// The next event for the user, in order.
    pub fn poll(&mut self) -> Option<Event> {
        todo!()
    }

    /// Begins a server transaction for a request that `Event::Request` brought; `None` when the table is full (answer 503 without state).
    pub fn accept(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> Option<ServerTx> {
        let _ = (cx, flow, request);
        todo!()
    }

    /// Sends a response. The top Via gets `received` and `rport` (RFC 3261 18.2.1, RFC 3581 4). After a final response further
    /// ones are ignored, except 2xx retransmissions, which are the dialog's (RFC 6026 7.1).
    pub fn respond(&mut self, cx: &mut Cx<'_>, tx: ServerTx, response: Draft) {
        let _ = (cx, tx, response);
        todo!()
    }

    /// Answers a request without keeping anything (RFC 3261 8.2.7).
    pub fn reply_stateless(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, response: Draft) {
        let _ = (cx, flow, request, response);
        todo!()
    }

    /// Finds a flow; answered by `Reached` or `Unreachable`, possibly at once (still by `poll`).
    pub fn reach(&mut self, cx: &mut Cx<'_>, owner: Owner, destination: Destination) {
        let _ = (cx, owner, destination);
        todo!()
    }

    /// Forgets all pending `reach` of an owner (CANCEL before anything was sent).
    pub fn forget(&mut self, owner: Owner) {
        let _ = owner;
        todo!()
    }

    /// Starts a client transaction over `flow`: puts Via in front (with branch and rport) and sends. Not for ACK.
    pub fn request(&mut self, cx: &mut Cx<'_>, owner: Owner, flow: Flow, request: Draft) -> ClientTx {
        let _ = (cx, owner, flow, request);
        todo!()
    }

    /// Cancels an INVITE: at once if a provisional response came, else as soon as one comes (RFC 3261 9.1).
    pub fn cancel(&mut self, cx: &mut Cx<'_>, tx: ClientTx, reason: Option<String>) {
        let _ = (cx, tx, reason);
        todo!()
    }

    /// Sends the ACK of a 2xx: outside of transactions, with a Via of its own (RFC 3261 13.2.2.4).
    pub fn send_ack(&mut self, cx: &mut Cx<'_>, flow: Flow, ack: Draft) {
        let _ = (cx, flow, ack);
        todo!()
    }

    /// `Input::Resolved`.
    pub fn on_resolved(&mut self, cx: &mut Cx<'_>, ticket: Ticket, targets: Vec<Target>) {
        let _ = (cx, ticket, targets);
        todo!()
    }

    /// `Input::FlowOpened` and `Input::FlowFailed` (`None`), and tickets whose time is over.
    pub fn on_flow(&mut self, cx: &mut Cx<'_>, ticket: Ticket, flow: Option<Flow>) {
        let _ = (cx, ticket, flow);
        todo!()
    }

    /// A flow broke: its client transactions fail with `Transport`.
    pub fn on_flow_closed(&mut self, cx: &mut Cx<'_>, flow: Flow) {
        let _ = (cx, flow);
        todo!()
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
        todo!()
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// A ticket's time is over: false when it is not one of the layer's.
    pub fn on_late(&mut self, cx: &mut Cx<'_>, ticket: Ticket) -> bool {
        let _ = (cx, ticket);
        todo!()
    }

    /// Transactions that are alive.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

//! The transaction layer (RFC 3261 17, RFC 6026, RFC 4320) and the way to a next hop.
//!
//! | file | does |
//! |---|---|
//! | `client_invite`, `client`, `server_invite`, `server` | the four state machines, each an RFC diagram |
//! | `timer` | their timers, and what they may ask for |
//! | `table` | which transaction a message belongs to, and what each keeps |
//! | `outgoing`, `incoming` | what the layer does for its client and server transactions |
//! | `via` | our Via, and the way back of a response |
//! | `resolve` | from a URI to a list of targets: RFC 3263 as a pure function of what the DNS says |
//! | `known` | DNS answers, dead targets, ways: what is remembered, within bounds |
//! | `reach` | from a URI to a flow |
//! | `peers` | who is at the other end of a connection; connections that go both ways |
//! | `larger` | requests that are too large for UDP |
//!
//! A user of the layer first reaches a peer ([`Layer::reach`]), which gives it a [`Flow`]; with the flow it knows its own
//! address, writes the request, and starts a client transaction ([`Layer::request`]). What arrives is sorted by
//! [`Layer::receive`].

mod client;
mod client_invite;
mod incoming;
mod known;
mod larger;
mod outgoing;
mod peers;
mod reach;
mod resolve;
mod server;
mod server_invite;
mod table;
#[cfg(test)]
mod tests;
mod timer;
mod via;

pub use via::COOKIE;

use crate::cx::Cx;
use crate::effect::{Answer, Fact, Output};
use crate::id::{ClientTx, Flow, Identity, Owner, ServerTx, Target, Ticket};
use crate::keyed;
use crate::sip::forward::{Backward, Forward};
use crate::sip::{Draft, Message, Uri};
use crate::time::{Instant, Queue};
use incoming::ServerInput;
use outgoing::ClientInput;
use std::collections::{BTreeMap, VecDeque};
use timer::{Due, Key, Timer};

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
pub struct Layer {
    table: table::Table,
    /// When each is due stands in its transaction, too.
    timers: Queue<(Key, Timer)>,
    reaching: reach::Reaching,
    /// Requests that wait for a connection because they are too large for UDP.
    larger: larger::Larger,
    peers: peers::Peers,
    /// Connections that are being opened for a response: one for each server transaction at most.
    reopening: BTreeMap<Ticket, ServerTx>,
    /// Drained by `poll` after each input, so it holds what one input brings.
    events: VecDeque<Event>,
}

impl Layer {
    /// With the key of its tables.
    pub fn new(key: keyed::Key) -> Layer {
        Layer {
            table: table::Table::new(key),
            ..Layer::default()
        }
    }

    /// A message that came over `flow`: matched, answered where the RFC leaves no choice, or told to the user by `poll`.
    ///
    /// A request that fails `Message::check` gets its status, a CANCEL 200 or 481; a response that nobody waits for is dropped,
    /// by a proxy too (RFC 6026 7.3: a stray response is not forwarded). Each of these leaves a fact.
    pub fn receive(&mut self, cx: &mut Cx<'_>, flow: Flow, message: Message) {
        match message.is_request() {
            true => self.receive_request(cx, flow, message),
            false => self.receive_response(cx, flow, message),
        }
    }

    /// The next event for the user, in order. To be called until there is none: [`Layer::next_deadline`] is then exact.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            let table = &self.table;
            self.timers
                .settle(|(key, timer), at| table.due(*key, *timer) == Some(at));
        }
        event
    }

    /// Begins a server transaction for a request that `Event::Request` brought, and answers it with 100 if its user is slow. To be
    /// called before anything else is received: until then a copy is not known for one. `None` when the table is full (answer
    /// 503 without state), and for a request that has a transaction already.
    pub fn accept(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> Option<ServerTx> {
        self.begin_server(cx, flow, request, table::Role::UserAgent)
    }

    /// As `accept`, for a request that is to be sent on: only a user agent refuses copies of it that come by other ways.
    pub fn accept_to_forward(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> Option<ServerTx> {
        self.begin_server(cx, flow, request, table::Role::Proxy)
    }

    /// A request that was sent on is answered by us after all.
    pub fn adopt(&mut self, tx: ServerTx, request: &Message) {
        self.table.adopt(tx, request);
    }

    /// Sends a response. The top Via gets `received` and `rport` (RFC 3261 18.2.1, RFC 3581 4). After a final response further
    /// ones are ignored, except 2xx retransmissions, which are the dialog's (RFC 6026 7.1). To other methods than INVITE no
    /// provisional response and no 408 is sent (RFC 4320), and nothing after 64*T1.
    pub fn respond(&mut self, cx: &mut Cx<'_>, tx: ServerTx, response: Draft) {
        self.send_response(cx, tx, response);
    }

    /// Sends the 2xx of an INVITE once more: its user has no ACK of it (RFC 3261 13.3.1.4, RFC 6026 7.1).
    pub fn repeat(&mut self, cx: &mut Cx<'_>, tx: ServerTx) {
        self.repeat_success(cx, tx);
    }

    /// For a user agent server, before it accepts a request: one that came before by another way is answered with 482 (RFC 3261
    /// 8.2.2.2). True if so. A proxy does not ask: to it, such a request may be a spiral (RFC 3261 16.3).
    pub fn refuse_merged(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> bool {
        self.answer_merged(cx, flow, request)
    }

    /// Sends a response that came on to the client of `tx`, as it is but for the edits (RFC 3261 16.7 step 9). What `respond` says
    /// of the order of responses holds here too.
    pub fn relay(&mut self, cx: &mut Cx<'_>, tx: ServerTx, response: &Message, extra: Vec<(crate::sip::Name, String)>) {
        let mut backward = Backward::new(response);
        backward.extra = extra;
        self.relay_response(cx, tx, response.status(), backward);
    }

    /// Answers a request without keeping anything (RFC 3261 8.2.7).
    pub fn reply_stateless(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, response: Draft) {
        self.answer_stateless(cx, flow, request, response);
    }

    /// Finds a flow; answered by `Reached` or `Unreachable`, possibly at once (still by `poll`).
    pub fn reach(&mut self, cx: &mut Cx<'_>, owner: Owner, destination: Destination) {
        self.reaching.start(cx, &mut self.events, owner, destination);
    }

    /// Forgets all pending `reach` of an owner (CANCEL before anything was sent).
    pub fn forget(&mut self, owner: Owner) {
        self.reaching.forget(owner);
    }

    /// Starts a client transaction over `flow`: puts Via in front (with branch and rport) and sends. Not for ACK. One too large
    /// for UDP goes by TCP where the URI that led here leaves the transport to us (RFC 3261 18.1.1). Above
    /// `limits::CLIENT_TRANSACTIONS`, and for a request that is too large to be one, `Failed` with `Transport` follows.
    pub fn request(&mut self, cx: &mut Cx<'_>, owner: Owner, flow: Flow, request: Draft) -> ClientTx {
        self.begin_client(cx, owner, flow, request)
    }

    /// Starts a client transaction for a request that came and is sent on (RFC 3261 16.6): with our Via, which has this branch, in
    /// front, and the edits. Else as `request`, large ones by TCP too; the responses may have further Vias below ours.
    pub fn forward(
        &mut self,
        cx: &mut Cx<'_>,
        owner: Owner,
        flow: Flow,
        branch: &str,
        request: Forward<'_>,
    ) -> ClientTx {
        self.begin_forward(cx, owner, flow, branch, request)
    }

    /// Sends a request on without a transaction: the ACK of a 2xx (RFC 3261 16.11, 17.1.1.3).
    pub fn forward_stateless(&mut self, cx: &mut Cx<'_>, flow: Flow, branch: &str, mut request: Forward<'_>) {
        request.needs_length = flow.transport.is_reliable();
        let via = self.via(cx, flow, branch);
        cx.emit(Output::Send(flow, request.to_bytes(&via)));
    }

    /// Cancels an INVITE: at once if a provisional response came, else as soon as one comes (RFC 3261 9.1). Its outcome is that
    /// of the INVITE: 487, a 2xx that was faster, or `Failed` with `Timeout` after 64*T1.
    pub fn cancel(&mut self, cx: &mut Cx<'_>, tx: ClientTx, reason: Option<String>) {
        self.want_cancel(cx, tx, reason);
    }

    /// Sends the ACK of a 2xx: outside of transactions, with a Via of its own (RFC 3261 13.2.2.4).
    pub fn send_ack(&mut self, cx: &mut Cx<'_>, flow: Flow, ack: Draft) {
        self.transmit_ack(cx, flow, ack);
    }

    /// `Input::Identified`.
    pub fn on_identity(&mut self, flow: Flow, identity: Identity) {
        self.peers.came(flow, identity);
    }

    /// What the peer of a connection has shown by a certificate, if it opened it to us.
    pub fn identity(&self, flow: Flow) -> Option<&Identity> {
        self.peers.identity(flow)
    }

    /// `Input::Answered`.
    pub fn on_answer(&mut self, cx: &mut Cx<'_>, ticket: Ticket, answer: Answer) {
        self.reaching.on_answer(cx, &mut self.events, ticket, answer);
    }

    /// The peer of a flow does not work, as its user has found out before the transaction did: for a while it comes last among
    /// the targets of its name (RFC 3263 4.3).
    pub fn hold_down(&mut self, cx: &Cx<'_>, flow: Flow) {
        self.reaching.died(cx.now, flow, None);
    }

    /// `Input::FlowOpened` and `Input::FlowFailed` (`None`), and tickets whose time is over.
    pub fn on_flow(&mut self, cx: &mut Cx<'_>, ticket: Ticket, flow: Option<Flow>) {
        if let Some(flow) = flow {
            self.peers.visited(flow);
        }
        match self.reopening.remove(&ticket) {
            Some(tx) => self.reopened(cx, ticket, tx, flow),
            None if self.larger.knows(ticket) => self.on_larger(cx, ticket, flow),
            None => self.reaching.on_flow(cx, &mut self.events, ticket, flow),
        }
    }

    /// A ticket's time is over: false when it is not one of the layer's.
    pub fn on_late(&mut self, cx: &mut Cx<'_>, ticket: Ticket) -> bool {
        let known = self.reopening.contains_key(&ticket) || self.larger.knows(ticket) || self.reaching.knows(ticket);
        if known {
            self.on_flow(cx, ticket, None);
        }
        known
    }

    /// A flow broke: its client transactions fail with `Transport`; its server transactions open a new connection for the next
    /// response (RFC 3261 18.2.2), and `ServerGone` follows if that fails.
    pub fn on_flow_closed(&mut self, cx: &mut Cx<'_>, flow: Flow) {
        self.peers.gone(flow);
        self.reaching.gone(flow);
        for key in self.table.of_flow(flow) {
            match key {
                Key::Client(tx) => self.client_broken(cx, tx),
                Key::Server(tx) => self.server_broken(tx),
            }
        }
    }

    /// `Input::Config`.
    pub fn reconfigure(&mut self) {
        self.reaching.reconfigure();
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>) {
        loop {
            let table = &self.table;
            let holds = |(key, timer): &(Key, Timer), at| table.due(*key, *timer) == Some(at);
            let Some((key, timer)) = self.timers.pop_due(cx.now, holds) else {
                return;
            };
            self.table.timers(key).map(|timers| timers.stop(timer));
            match (key, timer.due()) {
                (Key::Client(tx), Due::ClientInvite(input)) => self.client_timer(cx, tx, ClientInput::Invite(input)),
                (Key::Client(tx), Due::Client(input)) => self.client_timer(cx, tx, ClientInput::Other(input)),
                (Key::Server(tx), Due::ServerInvite(input)) => self.server_timer(cx, tx, ServerInput::Invite(input)),
                (Key::Server(tx), Due::Server(input)) => self.server_timer(cx, tx, ServerInput::Other(input)),
                (Key::Client(_), Due::ServerInvite(_) | Due::Server(_))
                | (Key::Server(_), Due::ClientInvite(_) | Due::Client(_)) => {
                    unreachable!("a machine starts its own timers only")
                }
            }
        }
    }

    /// Our Via for a request over this flow.
    fn via(&self, cx: &Cx<'_>, flow: Flow, branch: &str) -> String {
        via::ours(cx, flow, branch, self.peers.offers_alias(cx, flow))
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    /// Transactions that are alive.
    pub fn len(&self) -> usize {
        self.table.clients() + self.table.servers() + self.larger.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Leaves the fact that a message was answered with an error (`status`) or dropped (0).
fn refuse(cx: &mut Cx<'_>, flow: Flow, status: u16, why: &'static str) {
    cx.emit(Output::Record(Fact::Refused {
        peer: flow.peer,
        status,
        why,
        what: None,
    }));
}

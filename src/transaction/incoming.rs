//! The server side of the layer: requests, CANCEL (RFC 3261 9.2), ACK, responses and the way back (18.2).

use super::table::{Link, Role, Server, ServerState};
use super::timer::{Action, Actions, Key};
use super::{Event, Layer, refuse, server, server_invite, via};
use crate::cx::Cx;
use crate::effect::Output;
use crate::id::{Flow, Owner, ServerTx, Target, Ticket};
use crate::limits;
use crate::sip::forward::Backward;
use crate::sip::write::Start;
use crate::sip::{Draft, Message, Method, Name};
use bytes::Bytes;
use std::hash::BuildHasher;
use std::net::SocketAddr;

/// RFC 3261 8.2.6.2: a response repeats these five. Where one is not there, its sender could not read the response either. What is
/// wrong in From, To or CSeq is repeated as it is (RFC 4475 3.1.2.4, 3.1.2.6).
fn has_what_a_response_needs(request: &Message) -> bool {
    let repeated = [Name::From, Name::To, Name::CSeq];
    request.top().is_ok() && repeated.iter().all(|name| request.get(*name).is_some()) && !request.call_id().is_empty()
}

impl Layer {
    pub(super) fn receive_request(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let method = request.method();
        if let Err(error) = request.check() {
            let answerable = method != Method::Ack && has_what_a_response_needs(&request);
            refuse(cx, flow, if answerable { error.status } else { 0 }, error.reason);
            if answerable {
                let response = Draft::response(&request, error.status, Some(&stateless_tag(&request)));
                self.answer_stateless(cx, flow, &request, response.with_reason(error.reason));
            }
            return;
        }
        let Ok(via) = request.top() else { return };
        self.peers.heed_alias(cx, flow, &request);
        let tx = match matches!(method, Method::Ack | Method::Cancel) {
            true => self.table.invite_of(&request, &via),
            false => None,
        };
        if method == Method::Ack {
            return self.receive_ack(cx, flow, request, tx);
        }
        if let Some(again) = self.table.of_request(&request, &via) {
            return self.receive_again(cx, again, flow);
        }
        if method == Method::Cancel {
            return self.receive_cancel(cx, flow, request, tx);
        }
        self.events.push_back(Event::Request { flow, request });
    }

    pub(super) fn answer_merged(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> bool {
        let is_merged = self.table.is_merged(request);
        if is_merged {
            refuse(cx, flow, 482, "the same request came by two ways");
            let response = Draft::response(request, 482, Some(&stateless_tag(request)));
            self.answer_stateless(cx, flow, request, response);
        }
        is_merged
    }

    fn receive_ack(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message, invite: Option<ServerTx>) {
        let Some(tx) = invite else {
            self.events.push_back(Event::Ack { flow, request });
            return;
        };
        let Some(server) = self.table.server(tx) else { return };
        let actions = server.step_invite(server_invite::Input::Ack);
        self.run_server(cx, tx, actions, Some((flow, &request)));
    }

    /// A retransmission. One that came by a new connection shows where the client is now.
    fn receive_again(&mut self, cx: &mut Cx<'_>, tx: ServerTx, flow: Flow) {
        let Some(server) = self.table.server(tx) else { return };
        let actions = match server.state {
            ServerState::Invite(_) => server.step_invite(server_invite::Input::Invite),
            ServerState::Other(_) => server.step_other(server::Input::Request),
        };
        if server.link != Link::Up && flow.transport.is_reliable() {
            self.table.move_server(tx, flow);
        }
        self.run_server(cx, tx, actions, None);
    }

    /// RFC 3261 9.2: 200 where there is an INVITE, whatever its state, 481 where there is none.
    fn receive_cancel(&mut self, cx: &mut Cx<'_>, flow: Flow, cancel: Message, invite: Option<ServerTx>) {
        let Some(invite) = invite else {
            let response = Draft::response(&cancel, 481, Some(&stateless_tag(&cancel)));
            return self.answer_stateless(cx, flow, &cancel, response);
        };
        let tag = self.tag_given(invite).unwrap_or_else(|| stateless_tag(&cancel));
        let response = Draft::response(&cancel, 200, Some(&tag));
        match self.begin_server(cx, flow, &cancel, Role::UserAgent) {
            Some(tx) => self.send_response(cx, tx, response),
            None => self.answer_stateless(cx, flow, &cancel, response),
        }
        if let Some(server) = self
            .table
            .server(invite)
            .filter(|server| server.is_ringing() && !server.cancelled)
        {
            server.cancelled = true;
            self.events.push_back(Event::Cancelled { tx: invite, cancel });
        }
    }

    /// The To tag of what is kept of an INVITE, our last response or before it the request: CANCEL is answered with the same (RFC 3261
    /// 9.2), unless that was a 2xx that was sent on.
    fn tag_given(&mut self, tx: ServerTx) -> Option<String> {
        let last = Message::parse(self.table.server(tx)?.last.clone()).ok()?;
        last.to().ok()?.tag().map(str::to_owned)
    }

    pub(super) fn begin_server(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        request: &Message,
        role: Role,
    ) -> Option<ServerTx> {
        if self.table.servers() >= limits::SERVER_TRANSACTIONS {
            return None;
        }
        let via = request.top().ok()?;
        let back = via::response_flow(flow, &via);
        let (state, actions) = if request.method() == Method::Invite {
            let (state, actions) = server_invite::State::start();
            (ServerState::Invite(state), actions)
        } else {
            let (state, actions) = server::State::start();
            (ServerState::Other(state), actions)
        };
        let tx = self
            .table
            .add_server(cx.now, (request, &via), (back, flow.peer), state, role)?;
        self.run_server(cx, tx, actions, None);
        Some(tx)
    }

    pub(super) fn send_response(&mut self, cx: &mut Cx<'_>, tx: ServerTx, mut response: Draft) {
        let Start::Response(status, _) = response.start else {
            unreachable!("a user gives a response, not a request")
        };
        let Some(actions) = self.step_response(tx, status) else {
            return;
        };
        let Some(server) = self.table.server(tx) else { return };
        if actions.contains(&Action::Send) {
            via::stamp(&mut response, server.source);
            server.last = response.to_bytes();
        }
        self.run_server(cx, tx, actions, None);
    }

    pub(super) fn repeat_success(&mut self, cx: &mut Cx<'_>, tx: ServerTx) {
        if let Some(server) = self.table.server(tx)
            && server.state == ServerState::Invite(server_invite::State::Accepted)
        {
            let actions = server.step_invite(server_invite::Input::Success);
            self.run_server(cx, tx, actions, None);
        }
    }

    pub(super) fn relay_response(&mut self, cx: &mut Cx<'_>, tx: ServerTx, status: u16, mut response: Backward<'_>) {
        let Some(actions) = self.step_response(tx, status) else {
            return;
        };
        let Some(server) = self.table.server(tx) else { return };
        if actions.contains(&Action::Send) {
            // The Via of the client was stamped when its request was sent on.
            response.needs_length = server.flow.transport.is_reliable();
            server.last = response.to_bytes();
        }
        self.run_server(cx, tx, actions, None);
        // A 2xx to INVITE comes again from who gave it (RFC 6026 7.1): it is not kept.
        if let Some(server) = self.table.server(tx)
            && server.state == ServerState::Invite(server_invite::State::Accepted)
            && server.link == Link::Up
        {
            server.last = Bytes::new();
        }
    }

    /// What a response does to the state; nothing where it may not be sent.
    fn step_response(&mut self, tx: ServerTx, status: u16) -> Option<Actions> {
        let server = self.table.server(tx)?;
        Some(match (server.state, status) {
            (ServerState::Invite(_), 100..200) => server.step_invite(server_invite::Input::Provisional),
            (ServerState::Invite(_), 200..300) => server.step_invite(server_invite::Input::Success),
            (ServerState::Invite(_), _) => server.step_invite(server_invite::Input::Failure),
            // The machine sends its own 100, and nobody may send another (RFC 4320 4.1).
            (ServerState::Other(_), 100..200) => return None,
            (ServerState::Other(_), 408) => server.step_other(server::Input::RequestTimeout),
            (ServerState::Other(_), _) => server.step_other(server::Input::Final),
        })
    }

    pub(super) fn answer_stateless(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, mut response: Draft) {
        if let Ok(via) = request.top() {
            via::stamp_known(&mut response, &via, flow.peer);
            cx.emit(Output::Send(via::response_flow(flow, &via), response.to_bytes()));
        }
    }

    /// Carries out what a server machine wants; `about` is the ACK at hand.
    fn run_server(&mut self, cx: &mut Cx<'_>, tx: ServerTx, actions: Actions, about: Option<(Flow, &Message)>) {
        for action in actions {
            match action {
                Action::Send => self.transmit(cx, tx),
                Action::Trying => self.send_trying(cx, tx),
                Action::Tell => {
                    if let Some((flow, request)) = about {
                        let request = request.clone();
                        self.events.push_back(Event::Ack { flow, request });
                    }
                }
                Action::Gone => self.events.push_back(Event::ServerGone { tx }),
                Action::Start(timer, wait) => {
                    let (key, at) = (Key::Server(tx), cx.now + wait);
                    if let Some(timers) = self.table.timers(key) {
                        self.timers.set((key, timer), at, timers.start(timer, at));
                    }
                }
                Action::Stop(timer) => {
                    let key = Key::Server(tx);
                    if let Some(due) = self.table.timers(key).and_then(|timers| timers.stop(timer)) {
                        self.timers.cancel((key, timer), due);
                    }
                }
                Action::Ack | Action::Fail(_) => unreachable!("a server machine neither acknowledges nor waits"),
            }
        }
        self.drop_server_if_over(tx);
    }

    /// A 100 takes the place of the request, which was kept until now, since most are answered at once. It says in Timestamp how late
    /// it is (RFC 3261 8.2.6.1), and opens no connection.
    fn send_trying(&mut self, cx: &mut Cx<'_>, tx: ServerTx) {
        let Some(server) = self.table.server(tx) else { return };
        let request = Message::parse(server.last.clone()).expect("it was parsed when it came");
        let mut response = Draft::response(&request, 100, None);
        let late = cx.now.since(server.came).as_secs_f64();
        if let Some(sent) = request.all_named("Timestamp").first() {
            let sent = sent.split_whitespace().next().unwrap_or_default();
            response.push_named("Timestamp", format!("{sent} {late:.3}"));
        }
        via::stamp(&mut response, server.source);
        server.last = response.to_bytes();
        if server.link == Link::Up {
            self.transmit(cx, tx);
        }
    }

    fn drop_server_if_over(&mut self, tx: ServerTx) {
        // One whose last response still waits for its connection stays until that is decided.
        let over = |server: &mut Server| server.is_over() && !matches!(server.link, Link::Opening(_));
        let Some(server) = self.table.server(tx) else { return };
        if over(server) {
            for (timer, due) in server.timers.all() {
                self.timers.cancel((Key::Server(tx), timer), due);
            }
            self.table.remove_server(tx);
        }
    }

    /// Sends the last response over the flow of the request, or over a new connection if that one has closed (RFC 3261
    /// 18.2.2).
    fn transmit(&mut self, cx: &mut Cx<'_>, tx: ServerTx) {
        let Some(server) = self.table.server(tx) else { return };
        match server.link {
            Link::Up => cx.emit(Output::Send(server.flow, server.last.clone())),
            Link::Opening(_) => {}
            Link::Down => {
                let ticket = cx.ticket(Owner::Response(tx), limits::CONNECT);
                server.link = Link::Opening(ticket);
                let addr = SocketAddr::new(server.source.ip(), server.sent_by_port);
                cx.emit(Output::Connect(ticket, Target::new(server.flow.transport, addr)));
                self.reopening.insert(ticket, tx);
            }
        }
    }

    /// The new connection for a response is there, or cannot be had.
    pub(super) fn reopened(&mut self, cx: &mut Cx<'_>, ticket: Ticket, tx: ServerTx, flow: Option<Flow>) {
        let Some(server) = self
            .table
            .server(tx)
            .filter(|server| server.link == Link::Opening(ticket))
        else {
            return;
        };
        match flow {
            Some(flow) => {
                self.table.move_server(tx, flow);
                self.transmit(cx, tx);
            }
            None => {
                server.link = Link::Down;
                self.events.push_back(Event::ServerGone { tx });
            }
        }
        self.drop_server_if_over(tx);
    }

    /// The connection of a server transaction closed. The transaction goes on (RFC 6026 7.1): it must absorb copies. While a new
    /// one is opened, that the old one is closed is no news, and may be told again.
    pub(super) fn server_broken(&mut self, tx: ServerTx) {
        if let Some(server) = self.table.server(tx).filter(|server| server.link == Link::Up) {
            server.link = Link::Down;
        }
    }

    pub(super) fn server_timer(&mut self, cx: &mut Cx<'_>, tx: ServerTx, input: ServerInput) {
        let Some(server) = self.table.server(tx) else { return };
        let actions = match input {
            ServerInput::Invite(input) => server.step_invite(input),
            ServerInput::Other(input) => server.step_other(input),
        };
        self.run_server(cx, tx, actions, None);
    }
}

/// An input for one of the two server machines.
#[derive(Clone, Copy, Debug)]
pub(super) enum ServerInput {
    /// Of an INVITE.
    Invite(server_invite::Input),
    /// Of any other method.
    Other(server::Input),
}

/// A To tag that comes out the same for each copy of a request, without state (RFC 3261 8.2.7).
fn stateless_tag(request: &Message) -> String {
    let branch = request.top_branch().map(std::borrow::Cow::into_owned);
    let hash = foldhash::quality::FixedState::default().hash_one((request.call_id(), branch));
    format!("{hash:016x}")
}

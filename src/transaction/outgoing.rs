//! The client side of the layer: requests, their responses, CANCEL (RFC 3261 9.1, 17.1) and ACK (17.1.1.3, 13.2.2.4).

use super::larger::{Outgoing, VIA_BYTES};
use super::table::{Cancel, Client, ClientState};
use super::timer::{Action, Actions, Key, Timer};
use super::{Event, Failure, Layer, client, client_invite, refuse, via};
use crate::cx::Cx;
use crate::effect::Output;
use crate::id::{ClientTx, Flow, Owner, Transport};
use crate::limits;
use crate::sip::write::MAX_FORWARDS;
use crate::sip::{CSeq, Draft, Forward, Message, Method, Name};
use crate::time::T1_64;
use bytes::Bytes;
use std::time::Duration;

impl Layer {
    pub(super) fn begin_client(&mut self, cx: &mut Cx<'_>, owner: Owner, flow: Flow, request: Draft) -> ClientTx {
        let tx = self.table.next_client();
        if self.is_too_large(cx, flow, octets_of(&request)) {
            self.wait_for_tcp(cx, tx, owner, flow, Outgoing::Own(request));
        } else {
            self.write_client(cx, tx, owner, flow, request);
        }
        tx
    }

    /// Puts Via in front and sends.
    pub(super) fn write_client(&mut self, cx: &mut Cx<'_>, tx: ClientTx, owner: Owner, flow: Flow, mut request: Draft) {
        let method = request
            .method()
            .expect("a user gives a request, not a response")
            .clone();
        let is_large = flow.transport == Transport::Udp && octets_of(&request) > limits::SIP_UDP_SAFE_BYTES;
        let branch = via::new_branch(cx);
        request.push_front(Name::Via, self.via(cx, flow, &branch));
        if is_large {
            request.slim();
        }
        let message = request.to_bytes();
        let fits = request.header_fields() <= limits::SIP_HEADERS && message.len() <= limits::SIP_MESSAGE_BYTES;
        self.begin(cx, owner, flow, (&branch, &method), message, (tx, fits));
    }

    pub(super) fn begin_forward(
        &mut self,
        cx: &mut Cx<'_>,
        owner: Owner,
        flow: Flow,
        branch: &str,
        mut request: Forward<'_>,
    ) -> ClientTx {
        let tx = self.table.next_client();
        request.needs_length = flow.transport.is_reliable();
        let message = request.to_bytes(&self.via(cx, flow, branch));
        if self.is_too_large(cx, flow, message.len()) {
            let request = Outgoing::SentOn(Box::new(request.into_owned()), branch.to_owned());
            self.wait_for_tcp(cx, tx, owner, flow, request);
        } else {
            self.send_forward(cx, (tx, owner), flow, branch, &request, message);
        }
        tx
    }

    /// Writes a request that is sent on, and sends it.
    pub(super) fn write_forward(
        &mut self,
        cx: &mut Cx<'_>,
        tx: ClientTx,
        owner: Owner,
        flow: Flow,
        branch: &str,
        mut request: Forward<'_>,
    ) {
        request.needs_length = flow.transport.is_reliable();
        let message = request.to_bytes(&self.via(cx, flow, branch));
        self.send_forward(cx, (tx, owner), flow, branch, &request, message);
    }

    fn send_forward(
        &mut self,
        cx: &mut Cx<'_>,
        (tx, owner): (ClientTx, Owner),
        flow: Flow,
        branch: &str,
        request: &Forward<'_>,
        message: Bytes,
    ) {
        let method = request.message().method();
        let fits = request.header_fields() <= limits::SIP_HEADERS && message.len() <= limits::SIP_MESSAGE_BYTES;
        self.begin(cx, owner, flow, (branch, &method), message, (tx, fits));
        if let Some(client) = self.table.client(tx) {
            client.forwards = true;
        }
    }

    /// What is larger than our own parser takes does not fit: it could be neither acknowledged nor cancelled, and no peer would take it.
    fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        owner: Owner,
        flow: Flow,
        key: (&str, &Method),
        message: Bytes,
        (tx, fits): (ClientTx, bool),
    ) {
        if self.table.clients() >= limits::CLIENT_TRANSACTIONS || !fits {
            self.events.push_back(Event::Failed {
                tx,
                owner,
                failure: Failure::Transport,
            });
            return;
        }
        self.start_client(cx, tx, key, Some(owner), flow, message);
    }

    fn start_client(
        &mut self,
        cx: &mut Cx<'_>,
        tx: ClientTx,
        (branch, method): (&str, &Method),
        owner: Option<Owner>,
        flow: Flow,
        message: Bytes,
    ) {
        let reliable = flow.transport.is_reliable();
        let (state, actions) = match method {
            Method::Invite => {
                let (state, actions) = client_invite::State::start(reliable);
                (ClientState::Invite(state), actions)
            }
            _other => {
                let (state, actions) = client::State::start(reliable);
                (ClientState::Other(state), actions)
            }
        };
        self.table.add_client(tx, (branch, method), owner, flow, state, message);
        self.run_client(cx, tx, actions, None);
    }

    pub(super) fn receive_response(&mut self, cx: &mut Cx<'_>, flow: Flow, response: Message) {
        if let Err(error) = response.check() {
            return refuse(cx, flow, 0, error.reason);
        }
        // RFC 3261 18.1.2; a late 2xx without transaction is dropped too (RFC 6026 8.2), and so is a response to us that has
        // another Via below ours, unless it answers what we sent on (RFC 3261 8.1.3.3).
        let found = self
            .table
            .of_response(&response)
            .filter(|tx| self.table.forwards(*tx) != via::is_alone(&response));
        let Some(tx) = found else {
            return refuse(cx, flow, 0, "a response that belongs to no transaction");
        };
        let status = response.status();
        if status == 503 {
            self.reaching.died(cx.now, flow, retry_after(&response));
        } else {
            self.reaching.lives(flow);
        }
        let Some(client) = self.table.client(tx) else { return };
        let actions = match client.state {
            ClientState::Invite(_) => client.step_invite(match status {
                100..200 => client_invite::Input::Provisional,
                200..300 => client_invite::Input::Success,
                _ => client_invite::Input::Failure,
            }),
            ClientState::Other(_) if status < 200 => client.step_other(client::Input::Provisional),
            ClientState::Other(_) => client.step_other(client::Input::Final),
        };
        let cancels = matches!(client.cancel, Cancel::Wanted(_)) && status < 200;
        self.run_client(cx, tx, actions, Some((flow, &response)));
        if cancels {
            self.send_cancel(cx, tx);
        }
    }

    /// Carries out what a client machine wants; `about` is the response at hand.
    fn run_client(&mut self, cx: &mut Cx<'_>, tx: ClientTx, actions: Actions, about: Option<(Flow, &Message)>) {
        let Some(client) = self.table.client(tx) else { return };
        for action in actions {
            match action {
                Action::Send => cx.emit(Output::Send(client.flow, client.message.clone())),
                Action::Ack => acknowledge(cx, client, about),
                Action::Tell => {
                    if let (Some(owner), Some((flow, response))) = (client.owner, about) {
                        let response = response.clone();
                        self.events.push_back(Event::Response {
                            tx,
                            owner,
                            flow,
                            response,
                        });
                    }
                }
                Action::Fail(failure) => {
                    self.reaching.died(cx.now, client.flow, None);
                    if let Some(owner) = client.owner {
                        self.events.push_back(Event::Failed { tx, owner, failure });
                    }
                }
                Action::Start(timer, wait) => {
                    let at = cx.now + wait;
                    let before = client.timers.start(timer, at);
                    self.timers.set((Key::Client(tx), timer), at, before);
                }
                Action::Stop(timer) => {
                    if let Some(due) = client.timers.stop(timer) {
                        self.timers.cancel((Key::Client(tx), timer), due);
                    }
                }
                Action::Gone | Action::Trying => unreachable!("a client machine sends no response"),
            }
        }
        if client.state == ClientState::Invite(client_invite::State::Accepted) {
            client.message = Bytes::new();
        }
        if client.is_over() {
            for (timer, due) in client.timers.all() {
                self.timers.cancel((Key::Client(tx), timer), due);
            }
            self.table.remove_client(tx);
        }
    }

    pub(super) fn want_cancel(&mut self, cx: &mut Cx<'_>, tx: ClientTx, reason: Option<String>) {
        if self.cancel_larger(tx) {
            return;
        }
        let Some(client) = self.table.client(tx) else { return };
        let ClientState::Invite(state) = client.state else {
            return;
        };
        if client.cancel == Cancel::Sent {
            return;
        }
        match state {
            client_invite::State::Calling { .. } => client.cancel = Cancel::Wanted(reason),
            client_invite::State::Proceeding => {
                client.cancel = Cancel::Wanted(reason);
                self.send_cancel(cx, tx);
            }
            // There is a final response: CANCEL has no effect on it (RFC 3261 9.1).
            client_invite::State::Completed | client_invite::State::Accepted | client_invite::State::Terminated => {}
        }
    }

    /// CANCEL is a transaction of its own, with the branch of the INVITE (RFC 3261 9.1). An INVITE that is not answered within
    /// 64*T1 after it is over.
    fn send_cancel(&mut self, cx: &mut Cx<'_>, tx: ClientTx) {
        let Some(client) = self.table.client(tx) else { return };
        let Cancel::Wanted(reason) = std::mem::replace(&mut client.cancel, Cancel::Sent) else {
            return;
        };
        let flow = client.flow;
        let at = cx.now + T1_64;
        let before = client.timers.start(Timer::Cancelled, at);
        self.timers.set((Key::Client(tx), Timer::Cancelled), at, before);
        let Some((branch, mut cancel)) = same_hop(&client.message, Method::Cancel) else {
            return;
        };
        if let Some(reason) = reason {
            cancel.push(Name::Reason, reason);
        }
        let cancel_tx = self.table.next_client();
        self.start_client(cx, cancel_tx, (&branch, &Method::Cancel), None, flow, cancel.to_bytes());
    }

    pub(super) fn transmit_ack(&mut self, cx: &mut Cx<'_>, flow: Flow, mut ack: Draft) {
        let branch = via::new_branch(cx);
        ack.push_front(Name::Via, self.via(cx, flow, &branch));
        cx.emit(Output::Send(flow, ack.to_bytes()));
    }

    pub(super) fn client_timer(&mut self, cx: &mut Cx<'_>, tx: ClientTx, input: ClientInput) {
        let Some(client) = self.table.client(tx) else { return };
        let actions = match input {
            ClientInput::Invite(input) => client.step_invite(input),
            ClientInput::Other(input) => client.step_other(input),
        };
        self.run_client(cx, tx, actions, None);
    }

    pub(super) fn client_broken(&mut self, cx: &mut Cx<'_>, tx: ClientTx) {
        let Some(client) = self.table.client(tx) else { return };
        let actions = match client.state {
            ClientState::Invite(_) => client.step_invite(client_invite::Input::Broken),
            ClientState::Other(_) => client.step_other(client::Input::Broken),
        };
        self.run_client(cx, tx, actions, None);
    }
}

/// How large a request of ours will be: it is written only where it may be too large.
fn octets_of(request: &Draft) -> usize {
    let most = request.size() + VIA_BYTES;
    if most > limits::SIP_UDP_SAFE_BYTES {
        request.to_bytes().len() + VIA_BYTES
    } else {
        most
    }
}

/// An input for one of the two client machines.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientInput {
    /// Of an INVITE.
    Invite(client_invite::Input),
    /// Of any other method.
    Other(client::Input),
}

/// For how long the peer cannot be used, if it says so (RFC 3261 20.33).
fn retry_after(response: &Message) -> Option<Duration> {
    let text = response.get(Name::RetryAfter)?;
    let seconds = text.split([';', '(']).next()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The ACK of a failure (RFC 3261 17.1.1.3) takes the place of the INVITE: copies of the failure are answered by it.
fn acknowledge(cx: &mut Cx<'_>, client: &mut Client, about: Option<(Flow, &Message)>) {
    let Some((_, mut ack)) = same_hop(&client.message, Method::Ack) else {
        return;
    };
    if let Some(to) = about.and_then(|(_, response)| response.get(Name::To)) {
        ack.set(Name::To, to);
    }
    client.message = ack.to_bytes();
    cx.emit(Output::Send(client.flow, client.message.clone()));
}

/// The branch of an INVITE, and a request that takes the same way: Request-URI, topmost Via, Route, From, To, Call-ID and CSeq
/// number are those of the INVITE (RFC 3261 9.1, 17.1.1.3).
fn same_hop(invite: &Bytes, method: Method) -> Option<(String, Draft)> {
    let invite = Message::parse(invite.clone()).ok()?;
    let branch = invite.top_via().ok()?.branch()?.to_owned();
    let mut draft = Draft::request(method.clone(), invite.request_uri().ok()?);
    draft.push(Name::Via, invite.get(Name::Via)?);
    draft.push(Name::MaxForwards, MAX_FORWARDS);
    for route in invite.all(Name::Route) {
        draft.push(Name::Route, route);
    }
    draft.push(Name::From, invite.get(Name::From)?);
    draft.push(Name::To, invite.get(Name::To)?);
    draft.push(Name::CallId, invite.call_id());
    draft.push(
        Name::CSeq,
        CSeq {
            number: invite.cseq().ok()?.number,
            method,
        },
    );
    Some((branch, draft))
}

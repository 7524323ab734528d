//! The phone's one call.
//!
//! ```text
//!            Call              Reached              2xx
//!   (none) -------> Reaching ---------> Calling -----------> Up ----> (none)
//!      |                                   | 3xx-6xx, CANCEL  ^  BYE
//!      | INVITE           answer_after     +------> (none)    |
//!      +-----------> Ringing -----------------------> Accepted
//!                       | CANCEL                 ACK
//!                       +------> (none)
//! ```

use super::{Line, Report};
use crate::cx::Cx;
use crate::dialog::accepted::{Acknowledged, Due, Unacknowledged};
use crate::dialog::{Begun, Dialog, DialogId};
use crate::effect::Output;
use crate::id::{ClientTx, Flow, MediaLegId, Owner, ServerTx, WorkerId};
use crate::media::command::{Command as Media, Function, LegSpec, Port};
use crate::pii::Digits;
use crate::sdp::{self, Agreed, Direction, Local, Session};
use crate::sip::{Draft, Message, Method, Name, Uri};
use crate::time::Instant;
use crate::transaction::{Destination, Event};
use std::net::IpAddr;

/// A phone has one media thread.
const WORKER: WorkerId = WorkerId(0);

enum State {
    Reaching {
        to: Uri,
    },
    Calling {
        tx: ClientTx,
        request: Draft,
        challenged: bool,
        given_up: bool,
    },
    Ringing {
        tx: ServerTx,
        request: Message,
        answer_at: Instant,
    },
    Up,
}

pub(super) struct Call {
    number: u64,
    state: State,
    flow: Option<Flow>,
    dialog: Option<Dialog>,
    leg: MediaLegId,
    local: Option<Local>,
    /// Our last description, and the offer in it if its answer has not come.
    ours: Option<Session<'static>>,
    /// A 2xx of ours that waits for its ACK, and its transaction.
    unacknowledged: Option<(ServerTx, Unacknowledged)>,
    acknowledged: Option<Acknowledged>,
    /// A re-INVITE of ours is in flight.
    changing: bool,
    held: bool,
}

impl Call {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let answer = match &self.state {
            State::Ringing { answer_at, .. } => Some(*answer_at),
            State::Reaching { .. } | State::Calling { .. } | State::Up => None,
        };
        [
            answer,
            self.unacknowledged.as_ref().map(|(_, waiting)| waiting.next_deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Line {
    pub(super) fn begin_call(&mut self, cx: &mut Cx<'_>, to: Uri) {
        if self.call.is_some() {
            return;
        }
        let call = self.new_call(State::Reaching { to });
        let owner = Owner::Phone(call.number);
        self.call = Some(call);
        self.layer
            .reach(cx, owner, Destination::Uri(self.settings.proxy.clone()));
    }

    fn new_call(&mut self, state: State) -> Call {
        self.calls += 1;
        Call {
            number: self.calls,
            state,
            flow: None,
            dialog: None,
            leg: MediaLegId(self.calls),
            local: None,
            ours: None,
            unacknowledged: None,
            acknowledged: None,
            changing: false,
            held: false,
        }
    }

    pub(super) fn call_event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Reached { flow, owner, .. } => self.invite(cx, flow, owner),
            Event::Unreachable { .. } => self.end(cx, 503, false),
            Event::Response { tx, response, .. } => self.response(cx, tx, &response),
            Event::Failed { tx, .. } => {
                let ours = self
                    .call
                    .as_ref()
                    .is_some_and(|call| matches!(call.state, State::Calling { tx: t, .. } if t == tx));
                if ours {
                    self.end(cx, 408, false);
                }
            }
            Event::Request { flow, request } => {
                if !self.layer.refuse_merged(cx, flow, &request) {
                    self.request(cx, flow, request);
                }
            }
            Event::Ack { request, .. } => {
                if let Some(call) = &mut self.call
                    && call
                        .unacknowledged
                        .as_ref()
                        .is_some_and(|(_, waiting)| waiting.is_acknowledged_by(&request))
                {
                    call.unacknowledged = None;
                }
            }
            Event::Cancelled { tx, .. } => self.cancelled(cx, tx),
            Event::ServerGone { .. } => {}
        }
    }

    fn invite(&mut self, cx: &mut Cx<'_>, flow: Flow, owner: Owner) {
        let Some(mut call) = self.call.take() else { return };
        let State::Reaching { to } = &call.state else {
            self.call = Some(call);
            return;
        };
        let to = to.clone();
        call.flow = Some(flow);
        if !self.open_media(cx, &mut call, flow) {
            self.call = Some(call);
            return self.end(cx, 503, true);
        }
        let mut draft = self.first_request(cx, Method::Invite, to.clone(), &to);
        draft.push(Name::Contact, self.contact(cx, flow));
        draft.push(Name::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS");
        let offer = sdp::offer(&call.local.expect("opened"), &self.settings.capabilities, None);
        draft.set_body("application/sdp", offer.to_string());
        call.ours = Some(offer);
        let tx = self.layer.request(cx, owner, flow, draft.clone());
        call.state = State::Calling {
            tx,
            request: draft,
            challenged: false,
            given_up: false,
        };
        self.call = Some(call);
    }

    fn response(&mut self, cx: &mut Cx<'_>, tx: ClientTx, response: &Message) {
        let Some(mut call) = self.call.take() else { return };
        let status = response.status();
        if let (Some(known), Some(dialog)) = (&call.acknowledged, &call.dialog)
            && known.is_owed_to(response)
        {
            if let Some(flow) = call.flow {
                self.layer.send_ack(cx, flow, known.ack(dialog));
            }
            self.call = Some(call);
            return;
        }
        let is_ours = matches!(&call.state, State::Calling { tx: ours, .. } if *ours == tx);
        match (is_ours, status) {
            (true, 180..=199) => self.reports.push_back(Report::Ringing),
            (true, 200..=299) => {
                self.established(cx, &mut call, response);
                self.call = Some(call);
                return;
            }
            (true, 401 | 407) if self.call_again(cx, &mut call, response) => {}
            (true, 300..) => {
                self.call = Some(call);
                return self.end(cx, status, false);
            }
            (false, 200..=299) if call.changing && response.method() == Method::Invite => {
                self.changed(cx, &mut call, response);
            }
            (_, _) => {}
        }
        if status >= 300 {
            call.changing = false;
        }
        self.call = Some(call);
    }

    fn call_again(&mut self, cx: &mut Cx<'_>, call: &mut Call, response: &Message) -> bool {
        let State::Calling {
            request,
            challenged: false,
            given_up: false,
            ..
        } = &call.state
        else {
            return false;
        };
        let (Some(again), Some(flow)) = (self.authorised(cx, &request.clone(), response), call.flow) else {
            return false;
        };
        let tx = self.layer.request(cx, Owner::Phone(call.number), flow, again.clone());
        call.state = State::Calling {
            tx,
            request: again,
            challenged: true,
            given_up: false,
        };
        true
    }

    /// The answer to our INVITE.
    fn established(&mut self, cx: &mut Cx<'_>, call: &mut Call, response: &Message) {
        let State::Calling { request, given_up, .. } = &call.state else {
            return;
        };
        let (Some(Ok(dialog)), Some(flow), given_up) = (
            Begun::of(request).map(|begun| Dialog::uac(begun, response)),
            call.flow,
            *given_up,
        ) else {
            return;
        };
        call.dialog = Some(dialog);
        call.state = State::Up;
        self.acknowledge(cx, call, response);
        let agreed = self.completed(call, response, flow);
        match agreed {
            Some(agreed) if !given_up => self.up(cx, call, &agreed),
            Some(_) | None => self.bye(cx, call),
        }
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, call: &mut Call, response: &Message) {
        let (Some(dialog), Some(flow)) = (&call.dialog, call.flow) else {
            return;
        };
        let acknowledged = Acknowledged::new(response, Vec::new());
        self.layer.send_ack(cx, flow, acknowledged.ack(dialog));
        call.acknowledged = Some(acknowledged);
    }

    fn completed(&self, call: &Call, response: &Message, flow: Flow) -> Option<Agreed> {
        let (ours, local) = (call.ours.as_ref()?, call.local?);
        let body = response.body();
        let answer = Session::parse(&body).ok()?;
        sdp::complete(ours, &answer, &local, &self.settings.capabilities, flow.peer.ip()).ok()
    }

    fn up(&mut self, cx: &mut Cx<'_>, call: &Call, agreed: &Agreed) {
        negotiated(cx, call.leg, agreed);
        cx.emit(Output::Media(
            WORKER,
            Media::Function {
                leg: call.leg,
                function: Function::Phone,
            },
        ));
        self.reports.push_back(Report::Up(call.leg, agreed.stream.codec.name()));
    }

    fn request(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let Some(tx) = self.layer.accept(cx, flow, &request) else {
            return;
        };
        let in_dialog = DialogId::of_request(&request).is_some_and(|id| {
            self.call
                .as_ref()
                .and_then(|c| c.dialog.as_ref())
                .is_some_and(|d| d.id == id)
        });
        let status = match (request.method(), in_dialog) {
            (Method::Invite, true) => return self.re_invited(cx, flow, tx, &request),
            (Method::Invite, false) if self.call.is_none() => return self.invited(cx, flow, tx, request),
            (Method::Invite, false) => 486,
            (Method::Bye, true) => {
                self.layer.respond(cx, tx, Draft::response(&request, 200, None));
                return self.end(cx, 200, false);
            }
            (Method::Options, _) => 200,
            (_, true) => 405,
            (_, false) => 481,
        };
        let response = Draft::response(&request, status, Some(&cx.token(8)));
        self.layer.respond(cx, tx, response);
    }

    fn invited(&mut self, cx: &mut Cx<'_>, flow: Flow, tx: ServerTx, request: Message) {
        let tag = cx.token(8);
        let Ok(dialog) = Dialog::uas(&request, &tag) else {
            let response = Draft::response(&request, 400, Some(&tag));
            return self.layer.respond(cx, tx, response);
        };
        let mut ringing = Draft::response(&request, 180, Some(&tag));
        ringing.push(Name::Contact, self.contact(cx, flow));
        self.layer.respond(cx, tx, ringing);
        let answer_at = cx.now + self.settings.answer_after;
        let mut call = self.new_call(State::Ringing { tx, request, answer_at });
        call.flow = Some(flow);
        call.dialog = Some(dialog);
        self.call = Some(call);
        self.reports.push_back(Report::Incoming);
    }

    pub(super) fn call_time(&mut self, cx: &mut Cx<'_>) {
        let Some(call) = &mut self.call else { return };
        match call
            .unacknowledged
            .as_mut()
            .and_then(|(tx, waiting)| waiting.poll(cx.now).map(|due| (*tx, due)))
        {
            Some((tx, Due::Resend)) => self.layer.repeat(cx, tx),
            Some((_, Due::GiveUp)) => return self.hang_up(cx),
            None => {}
        }
        if let Some(call) = &self.call
            && let State::Ringing { answer_at, .. } = call.state
            && answer_at <= cx.now
        {
            self.answer(cx);
        }
    }

    fn answer(&mut self, cx: &mut Cx<'_>) {
        let Some(mut call) = self.call.take() else { return };
        let (State::Ringing { tx, request, .. }, Some(flow)) = (&call.state, call.flow) else {
            return;
        };
        let (tx, request) = (*tx, request.clone());
        let opened = self.open_media(cx, &mut call, flow);
        let body = request.body();
        let offer = Session::parse(&body);
        let answered = match (opened, offer, call.local) {
            (true, Ok(offer), Some(local)) => {
                sdp::answer(&offer, &local, &self.settings.capabilities, flow.peer.ip()).ok()
            }
            (_, _, _) => None,
        };
        let Some((ours, agreed)) = answered else {
            let response = Draft::response(&request, 488, Some(&cx.token(8)));
            self.layer.respond(cx, tx, response);
            self.call = Some(call);
            return self.end(cx, 488, true);
        };
        self.accept(cx, &mut call, tx, &request, ours);
        self.up(cx, &call, &agreed);
        call.state = State::Up;
        self.call = Some(call);
    }

    /// Sends 200 with our answer and waits for the ACK.
    fn accept(&mut self, cx: &mut Cx<'_>, call: &mut Call, tx: ServerTx, request: &Message, ours: Session<'_>) {
        let (Some(dialog), Some(flow), Ok(cseq)) = (&mut call.dialog, call.flow, request.cseq()) else {
            return;
        };
        dialog.confirm();
        let mut response = Draft::response(request, 200, Some(dialog.id.local_tag()));
        for route in request.all(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        response.push(Name::Contact, self.contact(cx, flow));
        response.set_body("application/sdp", ours.to_string());
        call.ours = Some(ours.into_owned());
        self.layer.respond(cx, tx, response);
        call.unacknowledged = Some((tx, Unacknowledged::new(cx.now, cseq.number)));
    }

    /// The other side changes the session: hold and resume among others.
    fn re_invited(&mut self, cx: &mut Cx<'_>, flow: Flow, tx: ServerTx, request: &Message) {
        let Some(mut call) = self.call.take() else { return };
        let refused = call
            .dialog
            .as_mut()
            .and_then(|dialog| dialog.receive(request).err())
            .map(|reject| reject.status);
        let refused = refused.or(call.changing.then_some(491));
        let body = request.body();
        let offer = Session::parse(&body);
        let answered = match (refused, offer, call.local.as_mut()) {
            (None, Ok(offer), Some(local)) => {
                local.version += 1;
                sdp::answer(&offer, local, &self.settings.capabilities, flow.peer.ip()).ok()
            }
            (_, _, _) => None,
        };
        match answered {
            Some((ours, agreed)) => {
                self.accept(cx, &mut call, tx, request, ours);
                negotiated(cx, call.leg, &agreed);
                if call.held != agreed.held_by_peer {
                    call.held = agreed.held_by_peer;
                    self.reports.push_back(Report::Held(call.held));
                }
            }
            None => {
                let response = Draft::response(request, refused.unwrap_or(488), None);
                self.layer.respond(cx, tx, response);
            }
        }
        self.call = Some(call);
    }

    /// Hold (sendonly) or resume by a re-INVITE (RFC 3264 8.4).
    pub(super) fn change(&mut self, cx: &mut Cx<'_>, hold: bool) {
        let Some(mut call) = self.call.take() else { return };
        if let (State::Up, false, Some(flow)) = (&call.state, call.changing, call.flow)
            && let (Some(dialog), Some(local)) = (call.dialog.as_mut(), call.local.as_mut())
        {
            local.version += 1;
            local.direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
            let offer = sdp::offer(local, &self.settings.capabilities, call.ours.as_ref()).into_owned();
            let mut draft = dialog.request(Method::Invite);
            draft.push(Name::Contact, self.contact(cx, flow));
            draft.set_body("application/sdp", offer.to_string());
            call.ours = Some(offer);
            call.changing = true;
            self.layer.request(cx, Owner::Phone(call.number), flow, draft);
        }
        self.call = Some(call);
    }

    fn changed(&mut self, cx: &mut Cx<'_>, call: &mut Call, response: &Message) {
        call.changing = false;
        self.acknowledge(cx, call, response);
        if let Some(agreed) = call.flow.and_then(|flow| self.completed(call, response, flow)) {
            negotiated(cx, call.leg, &agreed);
            self.reports.push_back(Report::Changed);
        }
    }

    pub(super) fn digits(&mut self, cx: &mut Cx<'_>, digits: Digits) {
        if let Some(call) = &self.call {
            cx.emit(Output::Media(WORKER, Media::SendDigits { leg: call.leg, digits }));
        }
    }

    pub(super) fn hang_up(&mut self, cx: &mut Cx<'_>) {
        let Some(mut call) = self.call.take() else { return };
        match &mut call.state {
            State::Reaching { .. } => {
                self.layer.forget(Owner::Phone(call.number));
                self.call = Some(call);
                self.end(cx, 487, true);
            }
            State::Calling { tx, given_up, .. } => {
                *given_up = true;
                self.layer.cancel(cx, *tx, None);
                self.call = Some(call);
            }
            State::Ringing { tx, request, .. } => {
                let response = Draft::response(request, 603, Some(&cx.token(8)));
                self.layer.respond(cx, *tx, response);
                self.call = Some(call);
                self.end(cx, 603, true);
            }
            State::Up => {
                self.bye(cx, &mut call);
                self.call = Some(call);
                self.end(cx, 200, true);
            }
        }
    }

    fn bye(&mut self, cx: &mut Cx<'_>, call: &mut Call) {
        if let (Some(dialog), Some(flow)) = (call.dialog.as_mut(), call.flow) {
            let bye = dialog.request(Method::Bye);
            self.layer.request(cx, Owner::Phone(call.number), flow, bye);
        }
    }

    fn cancelled(&mut self, cx: &mut Cx<'_>, tx: ServerTx) {
        let Some(call) = &self.call else { return };
        if let State::Ringing { tx: ours, request, .. } = &call.state
            && *ours == tx
        {
            let tag = call.dialog.as_ref().map(|dialog| dialog.id.local_tag());
            let response = Draft::response(request, 487, tag);
            self.layer.respond(cx, tx, response);
            self.end(cx, 487, false);
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, status: u16, by_us: bool) {
        let Some(call) = self.call.take() else { return };
        if call.local.is_some() {
            cx.emit(Output::Media(WORKER, Media::Close(call.leg)));
        }
        self.reports.push_back(Report::Ended { status, by_us });
    }

    /// Opens our media leg on a spare port; false when there is none.
    fn open_media(&mut self, cx: &mut Cx<'_>, call: &mut Call, flow: Flow) -> bool {
        let v6 = flow.local.is_ipv6();
        let Some(at) = self.ports.iter().position(|port| port.v6 == v6) else {
            return false;
        };
        let port = self.ports.swap_remove(at);
        cx.emit(Output::Ports(1));
        let addr: IpAddr = cx.config.media.address.unwrap_or(flow.local.ip());
        let session_id = cx.random() >> 2;
        call.local = Some(Local {
            addr,
            port: port.rtp,
            session_id,
            version: 1,
            direction: Direction::SendRecv,
        });
        let spec = Box::new(spec(cx, call.leg, port));
        cx.emit(Output::Media(WORKER, Media::Open(spec)));
        true
    }
}

fn spec(cx: &mut Cx<'_>, id: MediaLegId, port: Port) -> LegSpec {
    LegSpec {
        id,
        port,
        ssrc: cx.random() as u32,
        first_sequence: cx.random() as u16,
        first_timestamp: cx.random() as u32,
        cname: cx.token(8),
        rtc: false,
    }
}

fn negotiated(cx: &mut Cx<'_>, leg: MediaLegId, agreed: &Agreed) {
    cx.emit(Output::Media(
        WORKER,
        Media::Negotiated {
            leg,
            remote: agreed.remote,
            stream: agreed.stream,
        },
    ));
}

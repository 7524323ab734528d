//! What is said to a recording server, and what of it is heard: our fields, and its requests in the dialog.

use super::Turn;
use super::session::Session;
use crate::cx::Cx;
use crate::dialog::glare;
use crate::id::{Flow, ServerTx, Transport};
use crate::sdp::Session as Description;
use crate::sip::multipart::session_description;
use crate::sip::uri::Scheme;
use crate::sip::write::MAX_FORWARDS;
use crate::sip::{CSeq, Draft, Host, Message, Method, Name, Params};

/// The bodies that we read.
const ACCEPTED: &str = "application/sdp, multipart/mixed, application/rs-metadata+xml, application/rs-metadata";
/// What a server may ask of us.
const ALLOWED: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";
/// The extensions that it may require of us.
const SUPPORTED: [&str; 2] = ["siprec", "timer"];
/// Its request for all that there is to know (RFC 7866 9.2), by the name of either RFC.
const SNAPSHOT: [&str; 2] = ["application/rs-metadata", "application/rs-metadata+xml"];

impl Session {
    /// To: the server, as it stands there (RFC 3261 19.1.1).
    pub(super) fn to(&self) -> String {
        let mut uri = self.settings.server.clone();
        uri.params = Params::default();
        format!("<{uri}>")
    }

    /// From: this node, with our tag.
    pub(super) fn address_of_ours(&self, cx: &Cx<'_>) -> String {
        let us = self.flow.map(|flow| Host::from(cx.advertised(flow).ip()));
        let host = us.unwrap_or(Host::Name("anonymous.invalid".into()));
        format!("<sip:tandem@{host}>;tag={}", self.from.0)
    }

    /// The INVITE that begins the session, but for its body.
    pub(super) fn first_invite(&self, cx: &Cx<'_>, flow: Flow) -> Draft {
        let mut invite = Draft::request(Method::Invite, self.settings.server.clone());
        invite.push(Name::MaxForwards, MAX_FORWARDS);
        invite.push(Name::From, self.address_of_ours(cx));
        invite.push(Name::To, self.to());
        invite.push(Name::CallId, &self.from.1);
        invite.push(
            Name::CSeq,
            CSeq {
                number: self.cseq,
                method: Method::Invite,
            },
        );
        self.describe_us(cx, flow, &mut invite);
        invite
    }

    /// What each INVITE says of us (RFC 7866 6.1.1).
    pub(super) fn describe_us(&self, cx: &Cx<'_>, flow: Flow, invite: &mut Draft) {
        invite.push(Name::Contact, self.contact(cx, flow));
        invite.push(Name::Require, "siprec");
        invite.push(Name::Allow, ALLOWED);
        invite.push(Name::Accept, ACCEPTED);
        invite.push(Name::UserAgent, crate::USER_AGENT);
        self.timer.write_request(invite);
    }

    fn contact(&self, cx: &Cx<'_>, flow: Flow) -> String {
        let is_secure = self.settings.server.scheme == Scheme::Sips && flow.transport == Transport::Tls;
        let (scheme, transport) = match flow.transport.uri_param() {
            Some(_) if is_secure => ("sips", String::new()),
            Some(name) => ("sip", format!(";transport={name}")),
            None => ("sip", String::new()),
        };
        format!("<{scheme}:tandem@{}{transport}>;+sip.src", cx.advertised(flow))
    }

    /// A request of the server in the dialog.
    pub fn on_request(&mut self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        let received = self.dialog.as_mut().map(|dialog| dialog.receive(request));
        if let Some(Err(reject)) = received {
            return respond(t, tx, Draft::response(request, reject.status, None));
        }
        let unknown: Vec<_> = request
            .values(Name::Require)
            .filter(|tag| !tag.trim().is_empty() && !SUPPORTED.iter().any(|own| own.eq_ignore_ascii_case(tag.trim())))
            .collect();
        if !unknown.is_empty() {
            let mut response = Draft::response(request, 420, None);
            response.push(Name::Unsupported, unknown.join(", "));
            return respond(t, tx, response);
        }
        match request.method() {
            Method::Bye => {
                respond(t, tx, Draft::response(request, 200, None));
                self.on_bye(t);
            }
            Method::Invite | Method::Update => self.on_change(t, tx, request),
            Method::Options => respond(t, tx, allowing(request, 200)),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Other(_) => respond(t, tx, allowing(request, 405)),
        }
    }

    /// re-INVITE or UPDATE: it is ready now or no longer, wants to hear all again, or refreshes the session.
    fn on_change(&mut self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        if let Err(status) = self.may_change() {
            let mut response = Draft::response(request, status, None);
            if status == 500 {
                response.push(Name::RetryAfter, glare::retry_after(t.cx.rng));
            }
            return respond(t, tx, response);
        }
        if let Err(small) = self.timer.judge(request) {
            let mut response = Draft::response(request, 422, None);
            small.write(&mut response);
            return respond(t, tx, response);
        }
        let kind = request.content_type().unwrap_or_default();
        let is_snapshot = SNAPSHOT.iter().any(|known| known.eq_ignore_ascii_case(kind.trim()));
        let body = match is_snapshot {
            true => Ok(None),
            false => session_description(request).map_err(|error| error.status),
        };
        let is_invite = request.method() == Method::Invite;
        let mut response = Draft::response(request, 200, None);
        let answered = body.and_then(|body| match body {
            Some(body) => {
                let offer = Description::parse(&body).map_err(|error| error.status())?;
                let answer = self.answer(&offer)?;
                response.set_body("application/sdp", answer.to_body());
                Ok(())
            }
            None if is_invite => {
                self.offer_late(t, &mut response);
                Ok(())
            }
            None => Ok(()),
        });
        if let Err(status) = answered {
            let mut refusal = Draft::response(request, status, None);
            if status == 415 {
                refusal.push(Name::Accept, ACCEPTED);
            }
            return respond(t, tx, refusal);
        }
        if is_snapshot {
            self.on_snapshot_request();
        }
        self.accept(t, tx, request, response);
    }

    fn accept(&mut self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message, mut response: Draft) {
        if let Some(flow) = self.flow {
            response.push(Name::Contact, self.contact(t.cx, flow));
        }
        response.push(Name::Allow, ALLOWED);
        self.timer.answer(t.cx.now, request, &mut response);
        respond(t, tx, response);
        if request.method() == Method::Invite {
            self.await_ack(t.cx.now, tx, request.cseq_number());
        }
    }
}

fn allowing(request: &Message, status: u16) -> Draft {
    let mut response = Draft::response(request, status, None);
    response.push(Name::Allow, ALLOWED);
    if status == 200 {
        response.push(Name::Accept, ACCEPTED);
    }
    response
}

fn respond(t: &mut Turn<'_, '_>, tx: ServerTx, mut response: Draft) {
    response.push(Name::Server, crate::USER_AGENT);
    t.layer.respond(t.cx, tx, response);
}

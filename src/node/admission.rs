//! What becomes of a request that belongs to no transaction: who may ask for what, before any state is made.

use super::authenticate::{By, Verdict};
use super::local;
use super::machines::Machines;
use super::relay::BAD_GRUU;
use super::rooms::room_dialled;
use crate::b2bua::{self, Source};
use crate::config::{User, Way};
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::event::CONFERENCE;
use crate::id::{Flow, TrunkIx};
use crate::limits;
use crate::proxy::{Passed, Refusal};
use crate::registrar;
use crate::registrar::gruu::NoDevice;
use crate::sip::multipart::ACCEPTED;
use crate::sip::uri::{SchemeText, escaped};
use crate::sip::write::Start;
use crate::sip::{AddrText, Draft, Host, Message, Method, Name, UriText};

impl Machines {
    pub(super) fn admit(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        if flow.is_inside() {
            return self.of_client(cx, flow, request);
        }
        if request.has_to_tag() {
            return self.in_dialog(cx, flow, request);
        }
        if self.guard.sheds(cx, request.method() == Method::Invite) {
            // Counted, and not told of one by one.
            let mut response = Draft::response(&request, 503, Some(&cx.answer_tag()));
            response.push(Name::RetryAfter, 5 + cx.random() % 10);
            return self.reply(cx, flow, &request, response);
        }
        match request.method() {
            Method::Invite => self.invite(cx, flow, request),
            Method::Register if self.net.layer.refuse_merged(cx, flow, &request) => {}
            Method::Register => self.register(cx, flow, request),
            Method::Options if self.is_for_others(cx, flow, &request) => self.relay_loose(cx, flow, request),
            Method::Options => self.options(cx, flow, &request),
            Method::Bye | Method::Prack | Method::Update => {
                self.refuse_with(cx, flow, &request, 481, "it belongs to no dialog");
            }
            Method::Subscribe => self.subscribe(cx, flow, request),
            Method::Notify | Method::Info | Method::Refer | Method::Message | Method::Publish | Method::Other(_) => {
                self.relay_loose(cx, flow, request)
            }
            // The transaction layer keeps these two to itself.
            Method::Ack | Method::Cancel => {}
        }
    }

    /// Refuses a request that asks for what we do not have; false if it did.
    pub(super) fn is_served(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> bool {
        let Err((status, reason)) = served(flow, request) else {
            return true;
        };
        let mut response = Draft::response(request, status, Some(&cx.answer_tag())).with_reason(reason);
        if status == 420 {
            response.push(Name::Unsupported, unsupported(request).join(", "));
        }
        self.refuse(cx, flow, request, response, reason);
        false
    }

    /// Who calls is found out first (RFC 3261 22.4 before 8.2): a stranger is told nothing, not even what we do not support.
    fn invite(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let validated = self.proxy.validate(flow, &request);
        let passed = match &validated {
            Ok(passed) => *passed,
            // Only our own marks tell of a loop: no stranger learns anything by it.
            Err(refusal) if refusal.status == 482 => return self.refuse_by(cx, flow, &request, refusal),
            Err(_) => Passed::Never,
        };
        let Some(source) = self.source(cx, flow, &request, passed) else {
            return;
        };
        known(cx, flow);
        if let Some(order) = self.proxied_call(cx, flow, (&source, passed), &request) {
            // Branches of one fork before us are calls of their own (RFC 3261 16.3 has no 482 for them), up to a bound.
            let crowded = self.proxy.has_too_many(passed, &request);
            let merged = Refusal::new(482, "too many calls with this Call-ID and tag are there already");
            return match validated {
                Ok(_) if crowded => self.refuse_by(cx, flow, &request, &merged),
                Ok(_) => self.relay_call(cx, flow, (source, passed), request, order),
                Err(refusal) => self.refuse_by(cx, flow, &request, &refusal),
            };
        }
        if passed == Passed::Spiral {
            // Its sender was not asked who he is: that is enough to ring a user here, and not for more.
            return self.refuse_with(
                cx,
                flow,
                &request,
                403,
                "a call that was sent back to us, and not to a proxied user",
            );
        }
        if self.net.layer.refuse_merged(cx, flow, &request) || !self.is_served(cx, flow, &request) {
            return;
        }
        let Ok(target) = request.request_uri_text() else { return };
        if !local::is_local(cx.config, flow, &target) {
            return self.refuse_with(
                cx,
                flow,
                &request,
                404,
                "the called host is not one of `domains` nor an address of ours",
            );
        }
        let device = match target.params.get("gr") {
            None => Ok(None),
            // Read in full only where it may be one.
            Some(_) => request
                .request_uri()
                .map_err(|_| NoDevice)
                .and_then(|target| self.registrar.gruus().device(cx.config, flow, &target)),
        };
        let Ok(device) = device else {
            return self.refuse_with(cx, flow, &request, 404, BAD_GRUU);
        };
        let Some(tx) = self.net.layer.accept(cx, flow, &request) else {
            return self.overloaded(cx, flow, &request);
        };
        self.calls
            .invite(cx, &mut self.net, source, flow, tx, (request, device));
    }

    /// Who sends this request: a trunk, unless a user of ours gives credentials; a user, once they were challenged; the user whose
    /// request it is that `passed` here before on its way. Nobody else is answered.
    pub(super) fn source(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, passed: Passed) -> Option<Source> {
        let (line, target) = (request.from_line().ok()?, request.request_uri_text().ok()?);
        let from = AddrText::parse(&line).and_then(AddrText::uri).ok()?;
        let may_be_user = local::is_local(cx.config, flow, &from) && !cx.config.users.is_empty();
        let by = local::asks_as(cx.config, flow, request, &from);
        let gives_credentials = may_be_user && request.get(by.credentials()).is_some();
        if !gives_credentials && let Some(trunk) = self.trunk_of(cx, flow, target.user) {
            self.guard.is_trunk(cx);
            return Some(Source::Trunk(trunk));
        }
        if may_be_user && passed == Passed::Spiral {
            return local::user_of(cx.config, flow, &from).map(|user| Source::User(user.name.clone()));
        }
        if !may_be_user {
            let why = "a request from an unknown address, from nobody of our domains: not answered";
            cx.emit(Output::Record(Fact::Refused {
                peer: flow.peer,
                status: 0,
                why,
                what: None,
            }));
            return None;
        }
        self.judged(cx, flow, request, &from, by)
            .map(|user| Source::User(user.name.clone()))
    }

    /// The user whose credentials a request has, and who has not sent too much. Anybody else is answered.
    pub(super) fn judged<'c>(
        &mut self,
        cx: &mut Cx<'c>,
        flow: Flow,
        request: &Message,
        claimed: &UriText<'_>,
        by: By,
    ) -> Option<&'c User> {
        match self.authenticator.judge(cx, flow, request, claimed, by) {
            Verdict::User(user) if self.guard.is_user(cx, &user.name) => return Some(user),
            Verdict::User(_) => self.busy(cx, flow, request, "its user sends more requests than `guard.per_user`"),
            Verdict::Refused(response, why) => {
                let what = match response.start {
                    Start::Response(403, _) => {
                        self.guessed(cx);
                        Some(self.words(cx, flow, request, claimed))
                    }
                    Start::Response(401 | 407, _) if request.get(by.credentials()).is_none() => {
                        self.probed(cx);
                        None
                    }
                    Start::Response(..) | Start::Request(..) => None,
                };
                self.refuse_what(cx, flow, request, response, (why, what));
            }
        }
        None
    }

    /// What a request is and in whose name, for whoever has to find out why it was refused: bounded, since a stranger wrote it.
    fn words(&self, cx: &Cx<'_>, flow: Flow, request: &Message, claimed: &UriText<'_>) -> Box<str> {
        let short = |text: String| text.chars().take(limits::REFUSED_CHARS).collect::<String>();
        let user = claimed
            .user_decoded()
            .map_or_else(String::new, |user| short(user.into_owned()));
        let (method, host) = (request.method(), short(Host::from(claimed.host).to_string()));
        let trunk = self.trunk_of(cx, flow, None).map(|ix| cx.config.trunk_words(ix));
        let trunk = trunk.map_or_else(String::new, |trunk| format!(" by {trunk}"));
        format!("{method} of {user}@{host}{trunk}").into()
    }

    /// The carrier at the other end, by its certificate or its address.
    fn trunk_of(&self, cx: &Cx<'_>, flow: Flow, called: Option<&str>) -> Option<TrunkIx> {
        self.net
            .trunks
            .identify(cx, flow, self.net.layer.identity(flow), called)
    }

    /// In the order of RFC 3261 10.3: steps 1 and 2, then who it is, then the bindings.
    fn register(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let (Ok(line), Ok(domain)) = (request.to_line(), request.request_uri_text()) else {
            return;
        };
        let Ok(to) = AddrText::parse(&line).and_then(AddrText::uri) else {
            return;
        };
        if !self.is_served(cx, flow, &request) {
            return;
        }
        // RFC 3261 10.2, and RFC 4475 3.3.4 for the status.
        if !matches!(to.scheme, SchemeText::Sip | SchemeText::Sips) {
            return self.refuse_with(cx, flow, &request, 400, "an address of record that is no SIP URI");
        }
        if !local::is_local(cx.config, flow, &domain) || !local::is_local(cx.config, flow, &to) {
            return self.refuse_with(cx, flow, &request, 404, "a REGISTER for a domain that is not ours");
        }
        let Some(user) = self.judged(cx, flow, &request, &to, By::Server) else {
            return;
        };
        let aor = local::aor(user);
        known(cx, flow);
        match self.net.layer.accept(cx, flow, &request) {
            Some(tx) => self.registrar.register(cx, &mut self.net.layer, flow, tx, request, aor),
            None => self.overloaded(cx, flow, &request),
        }
    }

    /// OPTIONS to somebody, not to the node (RFC 3261 11): a user of a domain that is proxied, or whoever is behind us.
    fn is_for_others(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> bool {
        if !cx.config.domains.iter().any(|domain| domain.way == Way::Proxy) {
            return false;
        }
        let Ok(prepared) = self.proxy.prepare(cx, flow, request) else {
            return false;
        };
        let domain = cx.config.local_domain(&prepared.uri.host, flow.local.ip());
        let is_user = |way: Way| way == Way::Proxy && prepared.uri.user.is_some();
        prepared.next_route.is_some() || domain.is_none_or(|domain| is_user(domain.way))
    }

    /// RFC 3261 11.2: what an INVITE would meet, without a body of our own.
    fn options(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) {
        if !self.is_served(cx, flow, request) {
            return;
        }
        // Who shows that he may call a room is told that it is one; to others it looks like all else.
        let room = match request.get(By::Server.credentials()) {
            None => None,
            Some(_) => match self.focus_of(cx, flow, request) {
                Ok(room) => room,
                Err(Answered) => return,
            },
        };
        let status = if self.stopping { 503 } else { 200 };
        let mut response = Draft::response(request, status, Some(&cx.answer_tag()));
        response.push(Name::Allow, self.allow(cx, flow, request));
        response.push(Name::Accept, ACCEPTED);
        response.push(Name::Supported, b2bua::supported(self.calls.has_ice()).join(", "));
        let transport = flow.transport.uri_param().unwrap_or("udp");
        let us = self.own_host(cx, flow, request);
        let port = flow.local.port();
        match room {
            Some(room) => {
                let room = escaped(&room);
                response.push(Name::AllowEvents, CONFERENCE);
                response.push(
                    Name::Contact,
                    format!("<sip:{room}@{us}:{port};transport={transport}>;isfocus"),
                );
            }
            None => response.push(Name::Contact, format!("<sip:{us}:{port};transport={transport}>")),
        }
        self.reply(cx, flow, request, response);
    }

    /// The room whose focus a request is for (RFC 4579 3.3), if the user with these credentials may call it.
    fn focus_of(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> Result<Option<String>, Answered> {
        let (Ok(line), Ok(target)) = (request.from_line(), request.request_uri_text()) else {
            return Ok(None);
        };
        let Ok(from) = AddrText::parse(&line).and_then(AddrText::uri) else {
            return Ok(None);
        };
        if !local::is_local(cx.config, flow, &from) {
            return Ok(None);
        }
        let user = self.judged(cx, flow, request, &from, By::Server).ok_or(Answered)?;
        let source = Source::User(user.name.clone());
        let dialled = target.user_decoded();
        Ok(dialled.and_then(|dialled| room_dialled(cx, &source, &dialled)))
    }

    /// The host by which its sender knows us.
    fn own_host(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> Host {
        let called = request.request_uri_text().ok();
        let trunk = called.and_then(|called| self.trunk_of(cx, flow, called.user));
        let named = trunk.and_then(|ix| cx.config.trunk(ix)?.host.as_deref());
        named.map_or_else(|| cx.advertised(flow).ip().into(), |name| Host::Name(name.into()))
    }

    /// What its sender may ask of us, in a call or outside of any.
    fn allow(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> String {
        let called = request.request_uri_text().ok();
        let trunk = called.and_then(|called| self.trunk_of(cx, flow, called.user));
        format!("{}, REGISTER", b2bua::allow(cx.config, trunk.is_none()))
    }

    pub(super) fn in_dialog(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        if self.notifier.owns(&request) {
            return self.subscribed(cx, flow, request);
        }
        if self.siprec.owns(&request) {
            return self.of_recording(cx, flow, request);
        }
        if !self.calls.owns(&request) {
            return self.relay_in_dialog(cx, flow, request);
        }
        known(cx, flow);
        if !self.is_served(cx, flow, &request) {
            return;
        }
        let Some(tx) = self.net.layer.accept(cx, flow, &request) else {
            return self.overloaded(cx, flow, &request);
        };
        let is_refer = request.method() == Method::Refer;
        match is_refer.then(|| self.calls.room_member(&request)).flatten() {
            Some(member) => self.calls.room_refer(cx, &mut self.net, flow, tx, &request, member),
            None => self.calls.request(cx, &mut self.net, flow, tx, request),
        }
    }

    /// A request of a recording server.
    fn of_recording(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        known(cx, flow);
        match self.net.layer.accept(cx, flow, &request) {
            Some(tx) => {
                let stock = self.calls.stock();
                self.siprec.request(cx, &mut self.net.layer, stock, tx, &request);
            }
            None => self.overloaded(cx, flow, &request),
        }
    }

    pub(super) fn overloaded(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) {
        self.busy(cx, flow, request, "every transaction that the node may have is in use");
    }

    /// RFC 3261 21.5.4.
    fn busy(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, why: &'static str) {
        let mut response = Draft::response(request, 503, Some(&cx.answer_tag()));
        response.push(Name::RetryAfter, 10);
        self.refuse(cx, flow, request, response, why);
    }

    /// What the proxy says of a request that it does not send on.
    pub(super) fn refuse_by(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, refusal: &Refusal) {
        let mut response = Draft::response(request, refusal.status, Some(&cx.answer_tag()));
        for (name, value) in &refusal.fields {
            response.push(*name, value);
        }
        self.refuse(cx, flow, request, response, refusal.why);
    }

    pub(super) fn refuse_with(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        request: &Message,
        status: u16,
        why: &'static str,
    ) {
        let mut response = Draft::response(request, status, Some(&cx.answer_tag()));
        if matches!(status, 405 | 501) {
            response.push(Name::Allow, self.allow(cx, flow, request));
        }
        self.refuse(cx, flow, request, response, why);
    }

    pub(super) fn refuse(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        request: &Message,
        response: Draft,
        why: &'static str,
    ) {
        self.refuse_what(cx, flow, request, response, (why, None));
    }

    fn refuse_what(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        request: &Message,
        response: Draft,
        (why, what): (&'static str, Option<Box<str>>),
    ) {
        let status = match response.start {
            Start::Response(status, _) => status,
            Start::Request(..) => 0,
        };
        // A first challenge is the ordinary course of things, not a refusal.
        let asked = match status {
            401 => Some(By::Server),
            407 => Some(By::Proxy),
            _ => None,
        };
        if asked.is_none_or(|by| request.get(by.credentials()).is_some()) {
            cx.emit(Output::Record(Fact::Refused {
                peer: flow.peer,
                status,
                why,
                what,
            }));
        }
        self.reply(cx, flow, request, response);
    }

    fn reply(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, mut response: Draft) {
        response.push(Name::Server, crate::USER_AGENT);
        self.net.layer.reply_stateless(cx, flow, request, response);
    }
}

/// A request has its answer already.
struct Answered;

/// The peer of this flow has shown who it is.
fn known(cx: &mut Cx<'_>, flow: Flow) {
    if flow.transport.is_reliable() {
        cx.emit(Output::Known(flow));
    }
}

/// RFC 3261 8.2.2.1 and 8.2.2.3: the scheme and the extensions. (The layer has looked at the form before.)
fn served(flow: Flow, request: &Message) -> Result<(), (u16, &'static str)> {
    let uri = request
        .request_uri_text()
        .map_err(|error| (error.status, error.reason))?;
    match uri.scheme {
        SchemeText::Sip | SchemeText::Tel => {}
        SchemeText::Sips if flow.transport.is_secure() => {}
        // Somebody on the way did not keep what `sips` promises (RFC 3261 26.2.2).
        SchemeText::Sips => return Err((416, "SIPS Came Without TLS")),
        SchemeText::Other(_) => return Err((416, "Unsupported URI Scheme")),
    }
    if unsupported(request).is_empty() {
        Ok(())
    } else {
        Err((420, "Bad Extension"))
    }
}

/// The option tags of Require that we do not support (RFC 3261 8.2.2.3).
fn unsupported(request: &Message) -> Vec<String> {
    if request.get(Name::Require).is_none() {
        return Vec::new();
    }
    let registrar = match request.method() {
        Method::Register => &registrar::SUPPORTED[..],
        _other => &[],
    };
    let own = b2bua::supported(b2bua::offers_ice(request));
    let has = |tag: &str| own.iter().chain(registrar).any(|own| own.eq_ignore_ascii_case(tag));
    request
        .values(Name::Require)
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty() && !has(tag))
        .collect()
}

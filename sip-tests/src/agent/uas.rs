//! The called side of a peer, and requests within calls.

use super::call::Repeated;
use super::transaction::T1;
use super::{Agent, Answer, Call, Ctx, State, Timer, Wire};
use crate::browser;
use crate::description::{Description, answer};
use crate::digest;
use crate::message::{self, Msg};
use crate::srtp;

impl Agent {
    pub(super) fn request_in(&mut self, cx: &mut Ctx<'_>, from: Wire, request: Msg) {
        if request.is("ACK") {
            return self.ack_in(cx, &request);
        }
        if self.is_copy(cx, from, &request) {
            return;
        }
        let in_dialog = !request.to_tag().is_empty();
        match request.method().to_owned().as_str() {
            "INVITE" if !in_dialog => self.new_call(cx, request),
            "CANCEL" => self.cancel_in(cx, &request),
            "OPTIONS" if !in_dialog => {
                let response = Msg::response(&request, 200, "opt").with("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS");
                self.reply(cx, &request, response);
            }
            "REGISTER" => self.register_in(cx, &request),
            _ => match self.find(&request) {
                Some(call) => self.in_call(cx, call, request),
                None => {
                    let response = Msg::response(&request, self.policy.loose, "none");
                    self.reply(cx, &request, response);
                }
            },
        }
    }

    fn find(&self, request: &Msg) -> Option<usize> {
        self.find_call(request.call_id(), |call| call.local_tag == request.to_tag())
    }

    fn new_call(&mut self, cx: &mut Ctx<'_>, request: Msg) {
        if let Some(realm) = self.policy.challenge.clone()
            && self.challenges(cx, 401, &realm, &request)
        {
            return;
        }
        let number = self.calls.len();
        let sdp = self.own_description(number);
        let tag = cx.rng.token();
        self.add(Call::new(false, request.clone(), tag, sdp));
        if self.policy.trying {
            let response = Msg::response(&request, 100, "");
            self.reply(cx, &request, response);
        }
        if request.has_sdp() {
            self.take_offer(number, &request);
        }
        if let Some(after) = self.policy.ring {
            cx.wake(after, Timer::Ring(number));
        }
        match &self.policy.answer {
            Answer::After(after) | Answer::Status(_, after, _) => cx.wake(*after, Timer::Answer(number)),
            Answer::Manual => {}
        }
    }

    /// Asks for credentials; false when the request has good ones.
    fn challenges(&mut self, cx: &mut Ctx<'_>, status: u16, realm: &str, request: &Msg) -> bool {
        let (asked, given) = match status {
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => ("WWW-Authenticate", "Authorization"),
        };
        let credentials = request.get(given).unwrap_or_default();
        if digest::verify(credentials, &self.password, request.method()) {
            return false;
        }
        let nonce = cx.rng.token();
        let challenge = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
        self.reply(
            cx,
            request,
            Msg::response(request, status, "ch").with(asked, &challenge),
        );
        true
    }

    fn take_offer(&mut self, call: usize, request: &Msg) -> bool {
        let Some(offer) = Description::read(&request.body) else {
            return false;
        };
        let target = &mut self.calls[call];
        let (version, at) = (target.sdp.version, target.sdp.at);
        let Some(mut own) = answer(&offer, &self.policy.formats, at) else {
            return false;
        };
        own.version = version + u64::from(target.remote_sdp.is_some());
        own.ptime = Some(self.policy.ptime);
        if !offer.others.is_empty() {
            own.others.clone_from(&self.policy.sections);
        }
        if let Some((tag, _)) = srtp::offered(&offer).filter(|_| self.policy.srtp) {
            own.lines.push(srtp::line(&tag, &self.name, call));
        }
        if let Some(setup) = browser::answer_to(&offer, self.policy.browser) {
            let lines = browser::named_as(&offer, browser::lines(&self.name, call, 0, setup));
            browser::describe(self.policy.browser.unwrap_or_default(), &mut own, lines);
        }
        if target.holding {
            own.direction = if matches!(own.direction.as_str(), "sendrecv" | "sendonly") {
                "sendonly"
            } else {
                "inactive"
            }
            .into();
        }
        target.sdp = own;
        target.remote_sdp = Some(offer);
        true
    }

    pub(super) fn ring(&mut self, cx: &mut Ctx<'_>, call: usize) {
        if self.calls[call].state == State::Calling {
            let (status, sdp) = (self.policy.ring_status, self.policy.ring_sdp);
            self.respond(cx, call, status, sdp, &[]);
        }
    }

    pub(super) fn answer_now(&mut self, cx: &mut Ctx<'_>, call: usize) {
        if !matches!(self.calls[call].state, State::Calling | State::Ringing) {
            return;
        }
        match self.policy.answer.clone() {
            Answer::Status(status, _, lines) => {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                self.respond(cx, call, status, false, &lines);
            }
            Answer::After(_) | Answer::Manual => self.accept(cx, call),
        }
    }

    /// 200 with SDP.
    pub fn accept(&mut self, cx: &mut Ctx<'_>, call: usize) {
        self.respond(cx, call, 200, true, &[]);
    }

    /// Any response to the INVITE of a call.
    pub fn respond(&mut self, cx: &mut Ctx<'_>, call: usize, status: u16, with_sdp: bool, lines: &[&str]) {
        let tag = self.calls[call].local_tag.clone();
        self.respond_as(cx, call, status, with_sdp, lines, &tag);
    }

    /// The same with another To tag: another fork (RFC 3261 12.1).
    pub fn respond_as(
        &mut self,
        cx: &mut Ctx<'_>,
        call: usize,
        status: u16,
        with_sdp: bool,
        lines: &[&str],
        tag: &str,
    ) {
        let request = self.calls[call].invite.clone();
        let mut response = Msg::response(&request, status, tag);
        if status > 100 && status < 300 {
            response.push("Contact", &self.contact());
            response.push(
                "Allow",
                "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO",
            );
        }
        if (200..300).contains(&status) {
            response.push("Supported", &self.policy.supported);
            let timer = request.has_token("Supported", "timer") || request.has_token("Require", "timer");
            if let (Some(session), true) = (&self.policy.session, timer) {
                response.push("Session-Expires", session);
                response.push("Require", "timer");
            }
            self.policy
                .answer_lines
                .iter()
                .for_each(|line| response.push_line(line));
        }
        lines.iter().for_each(|line| response.push_line(line));
        let supported = request.has_token("Supported", "100rel") || request.has_token("Require", "100rel");
        let reliable = (101..200).contains(&status) && self.policy.reliable && supported;
        if reliable {
            self.calls[call].rseq += 1;
            response.push("Require", "100rel");
            response.push("RSeq", &self.calls[call].rseq.to_string());
        }
        if with_sdp {
            let recorded = self.record(call, &request);
            response = response.with_sdp(&recorded.unwrap_or_else(|| self.calls[call].sdp.write()));
        }
        self.after_response(cx, call, status, reliable, &request, response);
        if with_sdp && status < 300 {
            self.talk(cx, call);
        }
    }

    fn after_response(
        &mut self,
        cx: &mut Ctx<'_>,
        call: usize,
        status: u16,
        reliable: bool,
        request: &Msg,
        response: Msg,
    ) {
        let bytes = response.write();
        let rseq = self.calls[call].rseq;
        self.reply(cx, request, response);
        self.calls[call].statuses.push(status);
        match status {
            100 => {}
            101..200 => {
                if self.calls[call].state == State::Calling {
                    self.calls[call].state = State::Ringing;
                }
                if reliable {
                    self.calls[call].reliable = Some(Repeated::new(bytes, status, cx.now, rseq));
                    cx.wake(T1, Timer::Reliable(call));
                }
            }
            _ => {
                self.calls[call].final_response = Some(Repeated::new(bytes, status, cx.now, 0));
                cx.wake(T1, Timer::Final(call));
                self.calls[call].acked = false;
                if status < 300 {
                    self.up(cx, call);
                } else {
                    self.ended(cx, call, status);
                }
            }
        }
    }

    fn ack_in(&mut self, cx: &mut Ctx<'_>, ack: &Msg) {
        let by_branch = self.find_call(ack.call_id(), |call| call.served_branch == ack.branch());
        let Some(call) = by_branch.or_else(|| self.find(ack)) else {
            return;
        };
        self.calls[call].final_response = None;
        self.calls[call].acked = true;
        if let Some(request) = self.calls[call].change_request.take() {
            self.calls[call].served_branch = request.branch();
        }
        if ack.has_sdp() {
            self.remote_sdp(cx, call, ack);
        }
    }

    fn cancel_in(&mut self, cx: &mut Ctx<'_>, cancel: &Msg) {
        let call = self.find_call(cancel.call_id(), |call| {
            !call.outgoing && call.invite.branch() == cancel.branch()
        });
        let Some(call) = call else {
            let response = Msg::response(cancel, 481, "none");
            return self.reply(cx, cancel, response);
        };
        let response = Msg::response(cancel, 200, &self.calls[call].local_tag);
        self.reply(cx, cancel, response);
        self.calls[call].reason = cancel.get("Reason").map(str::to_owned);
        if matches!(self.calls[call].state, State::Calling | State::Ringing) {
            self.respond(cx, call, 487, false, &[]);
        }
    }

    fn in_call(&mut self, cx: &mut Ctx<'_>, call: usize, request: Msg) {
        let (cseq, method) = (request.cseq().0, request.method().to_owned());
        if cseq <= self.calls[call].remote_cseq {
            self.complain(format!(
                "CSeq {cseq} of {method} is not above {}",
                self.calls[call].remote_cseq
            ));
        }
        self.calls[call].remote_cseq = self.calls[call].remote_cseq.max(cseq);
        if let Some((status, realm)) = self.policy.challenge_within.clone()
            && self.challenges(cx, status, &realm, &request)
        {
            if request.is("INVITE") {
                self.calls[call].served_branch = request.branch();
            }
            return;
        }
        self.calls[call].requests.push(method.clone());
        if !self.calls[call].is_live() && self.calls[call].up_since.is_none() {
            let response = Msg::response(&request, 481, "");
            return self.reply(cx, &request, response);
        }
        match method.as_str() {
            "BYE" => self.bye_in(cx, call, &request),
            "INVITE" | "UPDATE" => self.change_in(cx, call, &request),
            "PRACK" => self.prack_in(cx, call, &request),
            "NOTIFY" => {
                self.calls[call].notified.push(request.body.clone());
                self.reply(cx, &request, Msg::response(&request, 200, ""));
            }
            _ => self.reply(cx, &request, Msg::response(&request, 200, "")),
        }
    }

    fn bye_in(&mut self, cx: &mut Ctx<'_>, call: usize, request: &Msg) {
        if !self.policy.answer_bye {
            return;
        }
        self.reply(cx, request, Msg::response(request, 200, ""));
        let target = &mut self.calls[call];
        target.final_response = None;
        target.reason = request.get("Reason").map(str::to_owned);
        self.ended(cx, call, 200);
    }

    /// A re-INVITE or UPDATE of the other side.
    fn change_in(&mut self, cx: &mut Ctx<'_>, call: usize, request: &Msg) {
        let is_invite = request.is("INVITE");
        // RFC 3261 14.2: two re-INVITEs at once.
        let status = if is_invite && self.calls[call].pending_change.is_some() {
            491
        } else {
            self.policy.refuse_change.unwrap_or(200)
        };
        let mut response = Msg::response(request, status, "");
        if status >= 300 {
            if is_invite {
                self.calls[call].served_branch = request.branch();
            }
            return self.reply(cx, request, response);
        }
        if let Some(contact) = request.get("Contact") {
            self.calls[call].target = message::uri_of(contact).to_owned();
        }
        response.push("Contact", &self.contact());
        let session = request.text("Session-Expires");
        if !session.is_empty() {
            let who = message::param(session, "refresher").unwrap_or("uac");
            let seconds = session.split(';').next().unwrap_or_default();
            response.push("Session-Expires", &format!("{seconds};refresher={who}"));
            response.push("Require", "timer");
        }
        if let Some(recorded) = self.record(call, request) {
            response = response.with_sdp(&recorded);
        } else if request.has_sdp() {
            if !self.take_offer(call, request) {
                return self.reply(cx, request, Msg::response(request, 488, ""));
            }
            response = response.with_sdp(&self.calls[call].sdp.write());
            self.talk(cx, call);
        } else if is_invite {
            self.calls[call].sdp.version += 1;
            response = response.with_sdp(&self.calls[call].sdp.write());
        }
        let bytes = response.write();
        self.reply(cx, request, response);
        if is_invite {
            self.calls[call].served_branch = request.branch();
            self.calls[call].final_response = Some(Repeated::new(bytes, status, cx.now, 0));
            cx.wake(T1, Timer::Final(call));
        }
    }

    fn prack_in(&mut self, cx: &mut Ctx<'_>, call: usize, request: &Msg) {
        let rseq = request
            .text("RAck")
            .split(' ')
            .next()
            .and_then(|text| text.parse::<u32>().ok());
        let waits = self.calls[call].reliable.as_ref().map(|repeated| repeated.rseq);
        if rseq != waits {
            return self.reply(cx, request, Msg::response(request, 481, ""));
        }
        self.calls[call].reliable = None;
        if request.has_sdp() && self.calls[call].remote_sdp.is_none() {
            self.remote_sdp(cx, call, request);
        }
        self.reply(cx, request, Msg::response(request, 200, ""));
    }
}

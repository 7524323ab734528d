//! The calling side of a peer.

use super::transaction::{Purpose, key};
use super::{Agent, Call, Ctx, State, Timer, Wire};
use crate::browser;
use crate::description::{Description, answer};
use crate::message::{self, Msg};
use crate::srtp;
use std::time::Duration;

impl Agent {
    /// Calls a URI. Gives the number of the call.
    pub fn dial(&mut self, cx: &mut Ctx<'_>, uri: &str, lines: &[&str]) -> usize {
        let number = self.calls.len();
        let tag = cx.rng.token();
        let call_id = format!("{}@{}", cx.rng.token(), self.name);
        let sdp = self.own_description(number);
        let mut invite = Msg::request("INVITE", uri);
        invite.push("Max-Forwards", "70");
        invite.push("From", &format!("<{}>;tag={tag}", self.identity));
        invite.push("To", &format!("<{uri}>"));
        invite.push("Call-ID", &call_id);
        invite.push("CSeq", "1 INVITE");
        invite.push("Contact", &self.contact());
        invite.push(
            "Allow",
            "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO",
        );
        if !self.policy.supported.is_empty() {
            invite.push("Supported", &self.policy.supported);
        }
        if let Some(session) = &self.policy.session {
            invite.push("Session-Expires", session);
        }
        self.policy.invite_lines.iter().for_each(|line| invite.push_line(line));
        for line in lines {
            // A line of the script takes the place of ours.
            let (name, value) = line.split_once(':').expect("a header line has a colon");
            invite.set(name, value.trim());
        }
        if !self.policy.late_offer {
            invite = invite.with_sdp(&sdp.write());
        }
        let wire = self.server;
        let mut call = Call::new(true, invite.clone(), invite.from_tag().to_owned(), sdp);
        call.target = uri.to_owned();
        call.routes.clear();
        self.add(call);
        let branch = self.start(cx, wire, Purpose::Invite(number), invite);
        self.calls[number].invite_key = key(&branch, "INVITE");
        self.calls[number].invite = self.clients[&key(&branch, "INVITE")].request.clone();
        number
    }

    /// The SDP of a new call.
    pub(super) fn own_description(&self, call: usize) -> Description {
        let port = 20_000 + (call % 5_000) as u16 * 2;
        let mut sdp = Description::new((self.addr.ip(), port).into(), self.policy.formats.clone());
        sdp.ptime = Some(self.policy.ptime);
        sdp.others.clone_from(&self.policy.sections);
        if self.policy.srtp {
            sdp.lines.push(srtp::line("1", &self.name, call));
        }
        if let Some(manners) = self.policy.browser {
            browser::describe(manners, &mut sdp, browser::lines(&self.name, call, 0, "actpass"));
        }
        sdp
    }

    /// CANCEL: at once when a provisional response is there, else as soon as one comes (RFC 3261 9.1).
    pub fn cancel(&mut self, cx: &mut Ctx<'_>, call: usize) {
        self.calls[call].cancel_wanted = true;
        if !self.calls[call].statuses.is_empty() {
            self.cancel_now(cx, call);
        }
    }

    /// CANCEL now, even where RFC 3261 says to wait (misbehaviour).
    pub fn cancel_now(&mut self, cx: &mut Ctx<'_>, call: usize) {
        if self.calls[call].cancel_sent || self.calls[call].state == State::Up {
            return;
        }
        self.calls[call].cancel_sent = true;
        let invite = &self.calls[call].invite;
        let mut cancel = Msg::request("CANCEL", invite.uri());
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel.push(name, invite.text(name));
        }
        cancel.push("CSeq", &format!("{} CANCEL", invite.cseq().0));
        let branch = invite.branch();
        let wire = self.server;
        self.start_as(cx, wire, Purpose::Cancel, cancel, &branch);
    }

    pub(super) fn invite_response(&mut self, cx: &mut Ctx<'_>, key: &str, response: Msg) {
        let Purpose::Invite(call) = self.clients[key].purpose else {
            return self.change_response(cx, key, response);
        };
        let status = response.status();
        self.calls[call].statuses.push(status);
        self.calls[call].invite_key = key.to_owned();
        match status {
            100 => {}
            101..200 => self.provisional(cx, call, &response),
            200..300 => return self.answered(cx, call, key, &response),
            _ => {
                self.ack_failure(cx, key, &response);
                self.ended(cx, call, status);
            }
        }
        if self.calls[call].cancel_wanted && status < 200 {
            self.cancel_now(cx, call);
        }
    }

    fn learn(&mut self, call: usize, response: &Msg) {
        let call = &mut self.calls[call];
        call.remote_tag = response.to_tag().to_owned();
        if let Some(contact) = response.get("Contact") {
            call.target = message::uri_of(contact).to_owned();
        }
        call.routes = response
            .all("Record-Route")
            .iter()
            .rev()
            .map(|route| (*route).to_owned())
            .collect();
    }

    fn provisional(&mut self, cx: &mut Ctx<'_>, call: usize, response: &Msg) {
        if !self.calls[call].is_live() {
            return;
        }
        let new_fork = self.calls[call].remote_tag != response.to_tag();
        self.learn(call, response);
        if self.calls[call].state == State::Calling {
            self.calls[call].state = State::Ringing;
        }
        let rseq = response.get("RSeq").and_then(|rseq| rseq.parse::<u32>().ok());
        if let (Some(rseq), true) = (rseq, response.has_token("Require", "100rel")) {
            if !new_fork && rseq <= self.calls[call].rseq {
                return;
            }
            self.calls[call].rseq = rseq;
            self.remote_sdp(cx, call, response);
            if self.policy.prack {
                let cseq = self.calls[call].invite.cseq().0;
                // An offer in a reliable response is answered in its PRACK (RFC 3262 5).
                let body = (self.policy.late_offer && response.has_sdp()).then(|| self.answer_to(call, response));
                let rack = format!("RAck: {rseq} {cseq} INVITE");
                let lines: &[&str] = if body.is_some() {
                    &[&rack, "Content-Type: application/sdp"]
                } else {
                    &[&rack]
                };
                self.send_in_call(cx, call, "PRACK", lines, body.as_deref());
            }
            return;
        }
        self.remote_sdp(cx, call, response);
    }

    fn answer_to(&mut self, call: usize, offer: &Msg) -> String {
        let offered = Description::read(&offer.body);
        let at = self.calls[call].sdp.at;
        if let Some(own) = offered.and_then(|offer| answer(&offer, &self.policy.formats, at)) {
            self.calls[call].sdp = own;
        }
        self.calls[call].sdp.write()
    }

    fn answered(&mut self, cx: &mut Ctx<'_>, call: usize, key: &str, response: &Msg) {
        let was_up = self.calls[call].up_since.is_some();
        if was_up && self.calls[call].remote_tag != response.to_tag() {
            return self.complain("a second 2xx with another To tag for one INVITE".to_owned());
        }
        if was_up {
            self.calls[call].repeated_answers += 1;
        } else {
            self.learn(call, response);
        }
        let over = !self.calls[call].is_live();
        if !over && !was_up {
            self.up(cx, call);
            self.take_session(cx, call, response);
        }
        let late = self.policy.late_offer && !was_up && self.calls[call].remote_sdp.is_none() && response.has_sdp();
        if !was_up {
            if late {
                self.answer_to(call, response);
            }
            self.remote_sdp(cx, call, response);
        }
        if self.policy.drop_acks > 0 {
            self.policy.drop_acks -= 1;
            return;
        }
        let late = self.policy.late_offer && response.has_sdp();
        let ack = self.ack_of(call, response.cseq().0, late);
        self.send_ack(cx, key, self.next_hop(call), ack);
        if self.calls[call].cancel_wanted && !over && !was_up {
            // Too late to cancel: the call is ended by BYE (RFC 3261 9.1).
            self.bye(cx, call);
        }
    }

    fn ack_of(&mut self, call: usize, cseq: u32, with_answer: bool) -> Msg {
        let ack = self.calls[call].request("ACK", cseq);
        if with_answer {
            ack.with_sdp(&self.calls[call].sdp.write())
        } else {
            ack
        }
    }

    pub(super) fn send_ack(&mut self, cx: &mut Ctx<'_>, key: &str, wire: Wire, mut ack: Msg) {
        let (via, _) = self.via(wire);
        ack.headers.insert(0, ("Via".into(), via));
        let bytes = ack.write();
        self.note(cx.now, true, &ack);
        cx.send(wire, bytes.clone());
        if let Some(client) = self.clients.get_mut(key) {
            client.ack = Some((wire, bytes));
        }
    }

    /// A response to a re-INVITE.
    pub(super) fn change_response(&mut self, cx: &mut Ctx<'_>, key: &str, response: Msg) {
        let Purpose::Change(call) = self.clients[key].purpose else {
            return;
        };
        let status = response.status();
        if status < 200 {
            return;
        }
        self.calls[call].answers.push(("INVITE".into(), status));
        self.calls[call].pending_change = None;
        if status >= 300 {
            self.ack_failure(cx, key, &response);
            if status == 491 && self.policy.retry_491 {
                // RFC 3261 14.1: the owner of the Call-ID waits longer.
                let (low, high) = if self.calls[call].outgoing {
                    (2100, 4000)
                } else {
                    (0, 2000)
                };
                let after = cx.rng.millis(low, high);
                cx.wake(after, Timer::Retry(call));
            }
            return;
        }
        if let Some(contact) = response.get("Contact") {
            self.calls[call].target = message::uri_of(contact).to_owned();
        }
        let late = self.calls[call]
            .last_change
            .as_ref()
            .is_some_and(|change| change.no_offer)
            && response.has_sdp();
        if late {
            self.answer_to(call, &response);
        }
        self.remote_sdp(cx, call, &response);
        self.take_session(cx, call, &response);
        if self.policy.drop_acks > 0 {
            self.policy.drop_acks -= 1;
            return;
        }
        let ack = self.ack_of(call, response.cseq().0, late);
        self.send_ack(cx, key, self.next_hop(call), ack);
    }

    /// A response to any other request within a call.
    pub(super) fn in_call_response(&mut self, cx: &mut Ctx<'_>, call: usize, key: &str, response: Msg) {
        let (status, method) = (response.status(), response.method().to_owned());
        if status < 200 {
            return;
        }
        let cseq = self.clients[key].request.cseq().0;
        if response.cseq().0 != cseq {
            self.complain(format!(
                "a response with CSeq {} to {method} {cseq}",
                response.text("CSeq")
            ));
        }
        self.calls[call].answers.push((method.clone(), status));
        if method == "BYE" {
            self.ended(cx, call, 200);
            self.calls[call].final_response = None;
        }
        if method == "UPDATE" && status == 200 {
            self.remote_sdp(cx, call, &response);
        }
    }

    /// Session-Expires of a 2xx to us: who refreshes (RFC 4028 7.2).
    pub(super) fn take_session(&mut self, cx: &mut Ctx<'_>, call: usize, response: &Msg) {
        let value = response.text("Session-Expires");
        let Some(seconds) = value.split(';').next().and_then(|text| text.trim().parse::<u64>().ok()) else {
            return;
        };
        if message::param(value, "refresher") == Some("uac") && self.policy.supported.contains("timer") {
            cx.wake(Duration::from_secs(seconds) / 2, Timer::Refresh(call));
        }
    }
}

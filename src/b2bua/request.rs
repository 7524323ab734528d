//! Requests in a dialog (RFC 3261 12.2.2): which method does what.

use super::call::{Call, Stage};
use super::desk::Turn;
use super::info::{Press, USUAL_MS};
use super::leg::{Early, Leg, LegId, Outgoing, State};
use super::room::KeyWay;
use super::send::SDP;
use crate::dialog::{Dialog, Naming, Reject};
use crate::id::{Flow, ServerTx};
use crate::limits;
use crate::sip::multipart::ACCEPTED;
use crate::sip::{Draft, Message, Method, Name};

impl Outgoing {
    /// True if a response may begin this early dialog: it has a tag, is not known, and there are not too many.
    pub fn may_begin(&self, naming: &Naming<'_>) -> bool {
        let known = self.early.iter().any(|early| naming.is(&early.dialog.id));
        !known && naming.has_remote_tag() && self.early.len() < limits::EARLY_DIALOGS
    }

    /// The early dialog that a request is in.
    pub fn early_of(&self, request: &Message) -> Option<&Early> {
        let naming = Naming::of_request(request)?;
        self.early.iter().find(|early| naming.is(&early.dialog.id))
    }

    /// The early dialog that a request is in.
    pub fn early_of_mut(&mut self, request: &Message) -> Option<&mut Early> {
        let naming = Naming::of_request(request)?;
        self.early.iter_mut().find(|early| naming.is(&early.dialog.id))
    }
}

impl Leg {
    fn dialog_of(&mut self, request: &Message) -> Option<&mut Dialog> {
        match &mut self.state {
            State::Outgoing(outgoing) | State::Cancelled(outgoing) => {
                outgoing.early_of_mut(request).map(|early| &mut early.dialog)
            }
            State::Incoming(_) | State::Up | State::Leaving | State::Gone => self.dialog.as_mut(),
        }
    }

    /// Judges a request's place in its dialog, and takes from it the peer's new way to be reached.
    pub fn receive(&mut self, flow: Flow, request: &Message) -> Result<(), Reject> {
        let gone = Reject {
            status: 481,
            reason: "Call/Transaction Does Not Exist",
        };
        self.dialog_of(request).ok_or(gone)?.receive(request)?;
        // A phone's NAT may have moved, or its connection was made anew. A carrier's way is what its dialog says.
        if self.is_on_its_flow() {
            match self.outgoing_mut().and_then(|outgoing| outgoing.early_of_mut(request)) {
                Some(early) => early.flow = flow,
                None => self.flow = flow,
            }
        }
        Ok(())
    }

    /// A final response without more.
    pub fn reply(&self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message, status: u16) {
        let mut response = Draft::response(request, status, None);
        response.push(Name::Server, crate::USER_AGENT);
        if matches!(status, 405 | 501) {
            response.push(Name::Allow, self.allow(t.cx.config));
        }
        t.net.layer.respond(t.cx, tx, response);
    }

    fn options(&self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        let mut response = Draft::response(request, 200, None);
        self.describe_us(t, &mut response);
        response.push(Name::Accept, ACCEPTED);
        t.net.layer.respond(t.cx, tx, response);
    }
}

impl Call {
    /// A request in one of the call's dialogs.
    pub fn on_request(&mut self, t: &mut Turn<'_, '_>, id: LegId, flow: Flow, tx: ServerTx, request: &Message) {
        let Some(leg) = self.leg_mut(id) else { return };
        if let Err(reject) = leg.receive(flow, request) {
            let response = Draft::response(request, reject.status, None).with_reason(reject.reason);
            return t.net.layer.respond(t.cx, tx, response);
        }
        match request.method() {
            Method::Bye => self.on_bye(t, id, tx, request),
            Method::Invite | Method::Update => self.on_change(t, id, tx, request),
            Method::Prack => self.on_prack(t, id, tx, request),
            Method::Refer => self.on_refer(t, id, tx, request),
            Method::Info => self.on_info(t, id, tx, request),
            Method::Options => leg.options(t, tx, request),
            Method::Notify => leg.notify(t, tx, request),
            Method::Subscribe => leg.bad_event(t, tx, request),
            Method::Message | Method::Publish | Method::Register => leg.reply(t, tx, request, 405),
            Method::Other(_) => leg.reply(t, tx, request, 501),
            // The transaction layer keeps these two to itself, but for the ACK of a 2xx, which comes as `on_ack`.
            Method::Ack | Method::Cancel => {}
        }
    }

    /// PRACK (RFC 3262 3), perhaps with an answer to our offer or with an offer of its own. One that is refused acknowledges
    /// nothing.
    fn on_prack(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        let now = t.now();
        let want = self.wanted(id);
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(mut reliable) = leg.reliable.clone() else {
            return leg.reply(t, tx, request, 481);
        };
        let next = match reliable.prack(now, request) {
            Ok(next) => next,
            Err(reject) => return leg.reply(t, tx, request, reject.status),
        };
        let mut response = Draft::response(request, 200, None);
        leg.describe_us(t, &mut response);
        if leg.oa.as_ref().is_some_and(super::offer::OfferAnswer::is_offering) {
            // RFC 3262 5: an offer in a reliable response is answered in its PRACK.
            if let Err(error) = leg.late_answer(t, request) {
                leg.reply(t, tx, request, error.status());
                return self.end(t, super::cause::cause(error.status(), self.blame(id), error.reason()));
            }
        } else {
            match leg.answer_prack(request, want) {
                Ok(Some(answer)) => response.set_body(SDP, answer),
                Ok(None) => {}
                Err(refusal) => return leg.refuse_change(t, tx, request, &refusal),
            }
            leg.negotiated(t);
        }
        leg.reliable = Some(reliable);
        t.net.layer.respond(t.cx, tx, response);
        if let (Some(next), Some(incoming)) = (next, leg.incoming()) {
            let invite = incoming.tx;
            t.net.layer.respond(t.cx, invite, next);
        }
        let waits = leg.incoming().is_some_and(|incoming| incoming.accept_after_prack);
        if waits && matches!(self.stage, Stage::Talk { .. }) {
            self.answer_caller(t, id);
        }
    }

    /// INFO: a key of the phone that switches recording; DTMF of phones that send it so goes on as the other side takes it; candidates (`trickle`).
    fn on_info(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        let partner = self.partner(id);
        let Some(leg) = self.leg_mut(id) else { return };
        if !request.all_named("Info-Package").is_empty() {
            return self.on_package(t, id, tx, request);
        }
        if let Some(wish) = request.all_named("Record").first() {
            return self.on_record(t, id, tx, request, wish);
        }
        let body = request.body();
        let press = match request.content_type().as_deref() {
            Some("application/dtmf-relay") => relay_press(&body),
            Some("application/dtmf") => std::str::from_utf8(&body)
                .ok()
                .and_then(digit)
                .map(|digit| press(digit, None)),
            // An INFO without a body only asks whether the dialog lives.
            None if body.is_empty() => return leg.reply(t, tx, request, 200),
            Some(_) | None => {
                let mut response = Draft::response(request, 415, None);
                response.push(Name::Accept, "application/dtmf-relay, application/dtmf");
                return t.net.layer.respond(t.cx, tx, response);
            }
        };
        let Some(press) = press else {
            return leg.reply(t, tx, request, 400);
        };
        leg.reply(t, tx, request, 200);
        self.room_digit(t, id, press.digit, KeyWay::Info);
        if let Some(leg) = partner.and_then(|partner| self.leg_mut(partner)) {
            leg.press(t, press);
        }
    }
}

impl Leg {
    /// NOTIFY: we subscribe to nothing, so it belongs to no subscription (RFC 6665 4.1.3).
    fn notify(&self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        let event = request.get(Name::Event).unwrap_or_default();
        let package = event.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match package.as_str() {
            // Some phones tell what became of a REFER that was none; nobody is hurt by it.
            "refer" => self.reply(t, tx, request, 200),
            _ => self.bad_event(t, tx, request),
        }
    }

    fn bad_event(&self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        let mut response = Draft::response(request, 489, None);
        response.push(Name::AllowEvents, "refer");
        t.net.layer.respond(t.cx, tx, response);
    }
}

/// `Signal=5` and `Duration=160`, with blanks as phones like them, in a body of application/dtmf-relay.
fn relay_press(body: &[u8]) -> Option<Press> {
    let text = std::str::from_utf8(body.get(..body.len().min(limits::DTMF_INFO_BYTES))?).ok()?;
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let ms = value("duration").and_then(|ms| ms.parse().ok());
    Some(press(digit(value("signal")?)?, ms))
}

/// A digit, and its length if that was said.
fn press(digit: char, ms: Option<u16>) -> Press {
    Press {
        digit: digit.into(),
        ms: ms.filter(|ms| *ms > 0).unwrap_or(USUAL_MS),
    }
}

/// One digit, or its number in RFC 4733: some phones write 10 for `*` and 11 for `#`.
fn digit(text: &str) -> Option<char> {
    let text = text.trim();
    match text {
        "10" => return Some('*'),
        "11" => return Some('#'),
        _ => {}
    }
    let mut chars = text.chars();
    let digit = chars.next()?.to_ascii_uppercase();
    let known = digit.is_ascii_digit() || matches!(digit, '*' | '#' | 'A'..='D');
    (known && chars.next().is_none()).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digit_of_an_info_is_found_however_it_is_written() {
        let read = |body: &[u8]| relay_press(body).map(|press| (press.digit.0, press.ms));
        assert_eq!(read(b"Signal=5\r\nDuration=160\r\n"), Some(('5', 160)));
        assert_eq!(read(b"Duration=90\nsignal = #\n"), Some(('#', 90)));
        assert_eq!(read(b"Signal= 11\r\nDuration= 250"), Some(('#', 250)));
        assert_eq!(read(b"Signal=4\r\nDuration=long"), Some(('4', USUAL_MS)));
        assert_eq!(read(b"Signal=4\r\nDuration=0"), Some(('4', USUAL_MS)));
        assert_eq!(read(b"Signal=55\r\n"), None);
        assert_eq!(read(b"Signal=\xff\r\n"), None);
        assert_eq!(digit(" d\r\n"), Some('D'));
        assert_eq!(digit("e"), None);
        assert_eq!(digit(""), None);
    }
}

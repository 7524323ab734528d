//! What the node says to a client's line: responses to what it asked, and requests.

use super::{Change, DIGIT, Lines, State, Told};
use crate::cx::Cx;
use crate::dialog::accepted::Acknowledged;
use crate::dialog::{Begun, Dialog};
use crate::id::{ClientTx, Flow, ServerTx};
use crate::limits;
use crate::sip::multipart::session_description;
use crate::sip::{Draft, Message, Method, Name};

impl Lines {
    /// A response to what a call has asked.
    pub(in crate::api) fn response(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        tx: ClientTx,
        response: &Message,
    ) -> Option<Told> {
        let line = self.all.get_mut(&number)?;
        let status = response.status();
        if status >= 200
            && let Some(target) = line.removals.remove(&tx)
        {
            return Some(Told::Removed(target, status));
        }
        match (&line.state, &line.change) {
            (State::Calling { tx: own, given_up, .. }, _) if *own == tx => match (status, *given_up) {
                (..=100, _) | (101..=199, true) => None,
                (101..=199, false) => line.progress(response),
                (200..=299, given_up) => self.established(cx, number, response, given_up),
                (_, given_up) => {
                    self.all.remove(&number);
                    let why = reason_of(response).1;
                    (!given_up).then_some(Told::Failed(status, why))
                }
            },
            (State::Up, Change::Ours { tx: own, revision, .. }) if *own == tx && status >= 200 => {
                let revision = *revision;
                if status >= 300 {
                    return line.undo();
                }
                line.change = Change::None;
                let answer = text_of(response).unwrap_or_default();
                line.theirs.clone_from(&answer);
                self.acknowledge(cx, number, response);
                revision.map(|revision| Told::Answer(revision, answer))
            }
            (State::Up, _) if response.method() == Method::Refer && status >= 300 => Some(Told::Transfer(status)),
            (State::Calling { .. } | State::Ringing { .. } | State::Up, _) => None,
        }
    }

    /// A request of ours has no response: within the node it cannot get lost, but for want of a transaction.
    pub(in crate::api) fn failed(&mut self, number: u64, tx: ClientTx) -> Option<Told> {
        let line = self.all.get_mut(&number)?;
        if let Some(target) = line.removals.remove(&tx) {
            return Some(Told::Removed(target, 503));
        }
        let is_first = matches!(&line.state, State::Calling { tx: own, .. } if *own == tx);
        match &line.change {
            Change::Ours { tx: own, .. } if *own == tx => line.undo(),
            Change::None | Change::Ours { .. } | Change::Theirs { .. } if is_first => {
                self.all.remove(&number);
                let why = "the node has no room for it".to_owned();
                Some(Told::Failed(503, Some(why)))
            }
            Change::None | Change::Ours { .. } | Change::Theirs { .. } => None,
        }
    }

    fn established(&mut self, cx: &mut Cx<'_>, number: u64, response: &Message, given_up: bool) -> Option<Told> {
        let line = self.all.get_mut(&number)?;
        let State::Calling { invite, .. } = &line.state else {
            return None;
        };
        let Some(Ok(dialog)) = Begun::of(invite).map(|begun| Dialog::uac(begun, response)) else {
            self.all.remove(&number);
            return Some(Told::Failed(502, None));
        };
        let answer = text_of(response).unwrap_or_default();
        line.theirs.clone_from(&answer);
        (line.dialog, line.state) = (Some(dialog), State::Up);
        self.acknowledge(cx, number, response);
        if given_up {
            self.leave(cx, number, 487, None);
            return None;
        }
        Some(Told::Accepted(answer))
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, number: u64, response: &Message) {
        let Some(line) = self.all.get(&number) else { return };
        if let Some(dialog) = &line.dialog {
            let ack = Acknowledged::new(response, Vec::new()).ack(dialog);
            self.layer.send_ack(cx, line.flow, ack);
        }
    }

    /// A request in the dialog of a call.
    pub(in crate::api) fn request(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        flow: Flow,
        request: &Message,
    ) -> Option<Told> {
        let tx = self.layer.accept(cx, flow, request)?;
        let line = self.all.get_mut(&number)?;
        if let Err(reject) = line.dialog.as_mut()?.receive(request) {
            self.layer
                .respond(cx, tx, Draft::response(request, reject.status, None));
            return None;
        }
        let (status, told) = match request.method() {
            Method::Invite => return self.re_invited(cx, number, tx, request),
            Method::Bye => {
                self.unanswer(cx, number, 487);
                self.all.remove(&number);
                let (status, words) = reason_of(request);
                (200, Some(Told::Bye(status, words)))
            }
            Method::Info => match digit_of(request) {
                Some(digit) => (200, Some(Told::Digit(digit))),
                None => (415, None),
            },
            Method::Notify => (
                200,
                status_of(request).filter(|status| *status >= 200).map(Told::Transfer),
            ),
            Method::Options => (200, None),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => (405, None),
        };
        let mut response = Draft::response(request, status, None);
        if status == 405 {
            response.push(Name::Allow, super::ALLOW);
        }
        self.layer.respond(cx, tx, response);
        told
    }

    /// What was said before is only a refresh (RFC 4028 7.4), of which the client need not know.
    fn re_invited(&mut self, cx: &mut Cx<'_>, number: u64, tx: ServerTx, request: &Message) -> Option<Told> {
        let line = self.all.get_mut(&number)?;
        let refused = match (&line.change, text_of(request)) {
            (Change::Ours { .. }, _) => 491,
            // RFC 3261 14.2.
            (Change::Theirs { .. }, _) => 500,
            // A client would have to be asked for an offer: nobody in this node asks so.
            (Change::None, None) => 488,
            (Change::None, Some(offer)) if offer == line.theirs => {
                let response = line.answered(request, &line.repeated());
                self.layer.respond(cx, tx, response);
                return None;
            }
            (Change::None, Some(offer)) => {
                line.theirs.clone_from(&offer);
                let invite = Box::new(request.clone());
                line.change = Change::Theirs { tx, invite };
                return Some(Told::Offer(offer));
            }
        };
        self.layer.respond(cx, tx, Draft::response(request, refused, None));
        None
    }
}

impl super::Line {
    /// Our change is not taken: all is as it was before.
    pub(super) fn undo(&mut self) -> Option<Told> {
        let Change::Ours { before, revision, .. } = std::mem::replace(&mut self.change, Change::None) else {
            return None;
        };
        self.ours = before;
        if revision.is_none() {
            self.holds = !self.holds;
        }
        Some(revision.map_or(Told::Holds(self.holds), Told::Refused))
    }

    fn progress(&mut self, response: &Message) -> Option<Told> {
        match text_of(response) {
            Some(early) if early != self.theirs => {
                self.theirs.clone_from(&early);
                Some(Told::Early(early))
            }
            Some(_) | None => (!std::mem::replace(&mut self.rang, true)).then_some(Told::Ringing),
        }
    }
}

/// The session description of a message.
pub(super) fn text_of(message: &Message) -> Option<String> {
    let body = session_description(message).ok().flatten()?;
    String::from_utf8(body.to_vec()).ok()
}

/// Cause (of SIP) and text of Reason (RFC 3326).
pub(super) fn reason_of(message: &Message) -> (Option<u16>, Option<String>) {
    let (mut status, mut words) = (None, None);
    for value in message.all(Name::Reason) {
        let parts = value.split(';').map(str::trim);
        let of = |name: &str| {
            let mut found = parts.clone().filter_map(|part| part.split_once('='));
            found.find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then_some(value.trim()))
        };
        let is_sip = parts
            .clone()
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("SIP"));
        status = status.or_else(|| of("cause").filter(|_| is_sip)?.parse().ok());
        words = words.or_else(|| {
            Some(
                of("text")?
                    .trim_matches('"')
                    .chars()
                    .take(limits::API_DETAIL_CHARS)
                    .collect(),
            )
        });
    }
    (status, words.filter(|words: &String| !words.is_empty()))
}

/// The digit of an INFO.
fn digit_of(request: &Message) -> Option<char> {
    if request.content_type().as_deref() != Some(DIGIT) {
        return None;
    }
    let body = request.body();
    let text = std::str::from_utf8(&body).ok()?;
    let signal = text.lines().find_map(|line| line.strip_prefix("Signal="))?;
    signal.trim().chars().next()
}

/// The status of a NOTIFY of a transfer (RFC 3515 2.4.5).
fn status_of(request: &Message) -> Option<u16> {
    let body = request.body();
    let text = std::str::from_utf8(&body).ok()?;
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

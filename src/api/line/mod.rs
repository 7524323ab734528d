//! The SIP side of a call with somebody who is no client: a user agent within the node (RFC 3261), which speaks for a client.
//!
//! Why a user agent, and no leg of `b2bua` that knows clients: all that SIP has for a call (dialogs, offers that cross, transfer, digits,
//! statuses) is there for phones already, and a client is to `b2bua` one more phone on a secure WebSocket with a browser's media. Its
//! messages are SIP, and never leave the node (`Flow::to_client`). So this side is small: nothing on the way is lost or comes twice, what it
//! asks is answered before it asks again, and no name is looked up.
//!
//! ```text
//!     call                     2xx, ACK
//!   --------> Calling -------------------------+
//!                | 3xx-6xx; CANCEL and its 487  v        BYE of either side
//!                +------> over                 Up -----------------------------> over
//!                                               ^
//!   INVITE                    accept            |    a change at a time: ours (offer, hold) or theirs (their re-INVITE, which the
//!   --------> Ringing --------------------------+    client answers)
//!                | reject, CANCEL
//!                +------> over
//! ```

mod heard;

use super::problem::{Kind, Problem};
use crate::cx::Cx;
use crate::dialog::{Dialog, DialogId};
use crate::id::{ClientTx, Flow, Owner, ServerTx};
use crate::keyed;
use crate::sip::{Draft, Message, Method, Name, Uri};
use crate::time::Instant;
use crate::transaction::{Event, Layer};
use heard::{reason_of, text_of};
use std::collections::BTreeMap;

/// A browser listens nowhere (RFC 7118 5.4).
const CONTACT: &str = "<sip:client@client.invalid;transport=ws>";
/// What is taken in a call. No UPDATE: what the node refreshes, it says by INVITE.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, INFO, NOTIFY, OPTIONS";
const SDP: &str = "application/sdp";
const DIGIT: &str = "application/dtmf-relay";

/// What the other end has done.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// It rings there.
    Ringing,
    /// This is heard before the answer.
    Early(String),
    /// It has answered.
    Accepted(String),
    /// It offers anew.
    Offer(String),
    /// It takes that back before it is answered.
    Withdrawn,
    /// It answers the client's offer of this revision.
    Answer(u32, String),
    /// It does not take the client's offer of this revision.
    Refused(u32),
    /// It does not take hold, or its end: whether the client holds now.
    Holds(bool),
    /// It has sent a digit.
    Digit(char),
    /// What became of a transfer: the status.
    Transfer(u16),
    /// It has not taken the call: the status, and why in the words of its Reason (RFC 3326).
    Failed(u16, Option<String>),
    /// The caller has given up: the status of its Reason, 200 where somebody else has answered.
    Cancelled(Option<u16>),
    /// It has hung up.
    Bye(Option<String>),
}

#[derive(Debug)]
enum State {
    Calling {
        tx: ClientTx,
        invite: Box<Draft>,
        /// It was hung up: a 2xx that comes nevertheless is ended.
        given_up: bool,
    },
    Ringing {
        tx: ServerTx,
        invite: Box<Message>,
    },
    Up,
}

#[derive(Debug)]
enum Change {
    None,
    /// Our re-INVITE: for an offer of the client of this revision; without one for hold, or its end. `before` holds if it is refused.
    Ours {
        tx: ClientTx,
        revision: Option<u32>,
        before: String,
    },
    Theirs {
        tx: ServerTx,
        invite: Box<Message>,
    },
}

impl Change {
    /// Theirs, which is over then; ours stays.
    fn take_theirs(&mut self) -> Change {
        match self {
            Change::Theirs { .. } => std::mem::replace(self, Change::None),
            Change::None | Change::Ours { .. } => Change::None,
        }
    }
}

/// One call.
#[derive(Debug)]
struct Line {
    flow: Flow,
    state: State,
    dialog: Option<Dialog>,
    /// The client's last description, as it was said; with the direction of hold where he holds.
    ours: String,
    /// The node's last description.
    theirs: String,
    change: Change,
    rang: bool,
    /// The client holds: he sends, and hears nothing, whatever his descriptions say.
    holds: bool,
}

/// All of them, by the number of their call.
#[derive(Debug)]
pub(super) struct Lines {
    layer: Layer,
    all: BTreeMap<u64, Line>,
    /// Those that ring at their client.
    ringing: BTreeMap<ServerTx, u64>,
}

impl Lines {
    pub(super) fn new(key: keyed::Key) -> Lines {
        Lines {
            layer: Layer::new(key),
            all: BTreeMap::new(),
            ringing: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Transactions that are alive.
    pub(super) fn transactions(&self) -> usize {
        self.layer.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.layer.next_deadline()
    }

    pub(super) fn on_time(&mut self, cx: &mut Cx<'_>) {
        self.layer.on_time(cx);
    }

    /// A message of the node for a client.
    pub(super) fn receive(&mut self, cx: &mut Cx<'_>, flow: Flow, message: Message) {
        self.layer.receive(cx, flow, message);
    }

    /// What has come of it, until there is nothing more.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.layer.poll()
    }

    /// Somebody is called: `from` is who calls, without a tag.
    pub(super) fn call(&mut self, cx: &mut Cx<'_>, number: u64, flow: Flow, from: &str, to: Uri, offer: String) {
        let mut invite = Draft::request(Method::Invite, to.clone());
        invite.push(Name::MaxForwards, crate::sip::write::MAX_FORWARDS);
        invite.push(Name::From, format!("{from};tag={}", cx.token(8)));
        invite.push(Name::To, format!("<{to}>"));
        invite.push(Name::CallId, cx.token(16));
        invite.push(Name::CSeq, "1 INVITE");
        describe_us(&mut invite);
        invite.set_body(SDP, offer.clone());
        let tx = self.layer.request(cx, Owner::Phone(number), flow, invite.clone());
        let (invite, given_up) = (Box::new(invite), false);
        let state = State::Calling { tx, invite, given_up };
        self.all.insert(number, Line::new(flow, state, None, offer));
    }

    /// An INVITE outside of dialogs rings as this call.
    ///
    /// # Errors
    /// The status by which it is refused instead.
    pub(super) fn ring(&mut self, cx: &mut Cx<'_>, number: u64, flow: Flow, invite: Message) -> Result<(), u16> {
        let tag = cx.token(8);
        let dialog = Dialog::uas(&invite, &tag).map_err(|reject| reject.status)?;
        let tx = self.layer.accept(cx, flow, &invite).ok_or(503u16)?;
        let mut ringing = Draft::response(&invite, 180, Some(&tag));
        describe_us(&mut ringing);
        self.layer.respond(cx, tx, ringing);
        let theirs = text_of(&invite).unwrap_or_default();
        let invite = Box::new(invite);
        let mut line = Line::new(flow, State::Ringing { tx, invite }, Some(dialog), String::new());
        line.theirs = theirs;
        self.all.insert(number, line);
        self.ringing.insert(tx, number);
        Ok(())
    }

    /// Answers a request that is none of a call's.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, status: u16) {
        let response = Draft::response(request, status, Some(&cx.token(8)));
        self.layer.reply_stateless(cx, flow, request, response);
    }

    /// The client takes the call.
    pub(super) fn accept(&mut self, cx: &mut Cx<'_>, number: u64, answer: &str) {
        let Some(line) = self.all.get_mut(&number) else { return };
        let State::Ringing { tx, invite } = &line.state else {
            return;
        };
        let response = line.answered(invite, answer);
        self.layer.respond(cx, *tx, response);
        self.ringing.remove(tx);
        line.ours = answer.to_owned();
        line.state = State::Up;
        if let Some(dialog) = &mut line.dialog {
            dialog.confirm();
        }
    }

    /// The client is done with the call, whatever it is doing. `status` is what is said where it rings at him.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, number: u64, status: u16) {
        let Some(line) = self.all.get_mut(&number) else { return };
        match &mut line.state {
            State::Calling { tx, given_up, .. } => {
                // It stays until its last response.
                if !std::mem::replace(given_up, true) {
                    self.layer.cancel(cx, *tx, None);
                }
            }
            State::Ringing { tx, invite } => {
                let tag = line.dialog.as_ref().map(|dialog| dialog.id.local_tag());
                self.layer.respond(cx, *tx, Draft::response(invite, status, tag));
                self.ringing.remove(tx);
                self.all.remove(&number);
            }
            State::Up => {
                self.unanswer(cx, number, 487);
                self.ask(cx, number, Method::Bye, |_| {});
                self.all.remove(&number);
            }
        }
    }

    /// Nobody changes the session now.
    pub(super) fn may_change(&self, number: u64) -> Result<(), Problem> {
        let Some(line) = self.all.get(&number) else {
            return Ok(());
        };
        match (&line.state, &line.change) {
            (State::Up, Change::None) | (State::Calling { .. } | State::Ringing { .. }, _) => Ok(()),
            (State::Up, Change::Theirs { .. }) => Err(Problem::new(Kind::Glare, "answer it first")),
            (State::Up, Change::Ours { .. }) => {
                let why = "another change of the session is under way: try again in a second";
                Err(Problem::new(Kind::WrongMoment, why))
            }
        }
    }

    /// The client offers anew, where it may.
    pub(super) fn offer(&mut self, cx: &mut Cx<'_>, number: u64, revision: u32, offer: &str) {
        let line = self.all.get(&number);
        let offer = line.map(|line| line.described(offer));
        self.change(cx, number, Some(revision), offer.unwrap_or_default());
    }

    /// Hold, or its end: the last description with another direction (RFC 3264 8.4), whose answer is of no interest to the client.
    pub(super) fn hold(&mut self, cx: &mut Cx<'_>, number: u64, hold: bool) {
        let Some(line) = self.all.get_mut(&number) else { return };
        line.holds = hold;
        let offer = directed(&line.ours, if hold { "sendonly" } else { "sendrecv" });
        self.change(cx, number, None, offer);
    }

    fn change(&mut self, cx: &mut Cx<'_>, number: u64, revision: Option<u32>, offer: String) {
        let Some(line) = self.all.get_mut(&number) else { return };
        if !matches!((&line.state, &line.change), (State::Up, Change::None)) {
            return;
        }
        let before = std::mem::replace(&mut line.ours, offer.clone());
        let tx = self.ask(cx, number, Method::Invite, |draft| {
            describe_us(draft);
            draft.set_body(SDP, offer);
        });
        if let Some((tx, line)) = tx.zip(self.all.get_mut(&number)) {
            line.change = Change::Ours { tx, revision, before };
        }
    }

    /// The client answers what the other end has offered.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, number: u64, answer: &str) {
        let Some(line) = self.all.get_mut(&number) else { return };
        if let Change::Theirs { tx, invite } = line.change.take_theirs() {
            line.ours = line.described(answer);
            let response = line.answered(&invite, &line.ours);
            self.layer.respond(cx, tx, response);
        }
    }

    /// He does not.
    pub(super) fn unanswered(&mut self, cx: &mut Cx<'_>, number: u64) {
        self.unanswer(cx, number, 504);
    }

    /// What the other end has offered is refused with this status, if it waits for an answer; so is all that waits in a dialog that ends
    /// (RFC 3261 15.1.2).
    fn unanswer(&mut self, cx: &mut Cx<'_>, number: u64, status: u16) {
        let Some(line) = self.all.get_mut(&number) else { return };
        if let Change::Theirs { tx, invite } = line.change.take_theirs() {
            self.layer.respond(cx, tx, Draft::response(&invite, status, None));
            // The same may be offered again.
            line.theirs.clear();
        }
    }

    /// Digits, one INFO each: the node says them in RTP where the other end takes them so (RFC 4733).
    pub(super) fn digits(&mut self, cx: &mut Cx<'_>, number: u64, digits: &str) {
        for digit in digits.chars() {
            self.ask(cx, number, Method::Info, |draft| {
                draft.set_body(DIGIT, format!("Signal={digit}\r\nDuration=160\r\n"));
            });
        }
    }

    /// The other end is asked to call somebody else (RFC 3515); `by` is the client as it is known.
    pub(super) fn transfer(&mut self, cx: &mut Cx<'_>, number: u64, to: &Uri, by: &str) {
        self.ask(cx, number, Method::Refer, |draft| {
            draft.push(Name::Contact, CONTACT);
            draft.push(Name::ReferTo, format!("<{to}>"));
            draft.push(Name::ReferredBy, by);
        });
    }

    /// A request in the dialog of a call that is up.
    fn ask(&mut self, cx: &mut Cx<'_>, number: u64, method: Method, fill: impl FnOnce(&mut Draft)) -> Option<ClientTx> {
        let line = self.all.get_mut(&number)?;
        let mut draft = line.dialog.as_mut()?.request(method);
        draft.push(Name::UserAgent, crate::USER_AGENT);
        fill(&mut draft);
        Some(self.layer.request(cx, Owner::Phone(number), line.flow, draft))
    }

    /// Which of these calls a request belongs to.
    pub(super) fn which(&self, of: impl IntoIterator<Item = u64>, request: &Message) -> Option<u64> {
        let id = DialogId::of_request(request)?;
        let is_its = |number: &u64| {
            let dialog = self.all.get(number).and_then(|line| line.dialog.as_ref());
            dialog.is_some_and(|dialog| dialog.id == id)
        };
        of.into_iter().find(is_its)
    }

    /// The call that a CANCEL has met: its INVITE is answered.
    pub(super) fn cancelled(&mut self, cx: &mut Cx<'_>, tx: ServerTx, cancel: &Message) -> Option<(u64, Told)> {
        let Some(number) = self.ringing.get(&tx).copied() else {
            let is_its = |line: &Line| matches!(&line.change, Change::Theirs { tx: own, .. } if *own == tx);
            let number = *self.all.iter().find(|(_, line)| is_its(line))?.0;
            self.unanswer(cx, number, 487);
            return Some((number, Told::Withdrawn));
        };
        self.leave(cx, number, 487);
        Some((number, Told::Cancelled(reason_of(cancel).0)))
    }
}

impl Line {
    fn new(flow: Flow, state: State, dialog: Option<Dialog>, ours: String) -> Line {
        Line {
            flow,
            state,
            dialog,
            ours,
            theirs: String::new(),
            change: Change::None,
            rang: false,
            holds: false,
        }
    }

    /// A description of the client, as the other end is told: while he holds, on hold.
    fn described(&self, description: &str) -> String {
        match self.holds {
            true => held(description),
            false => description.to_owned(),
        }
    }

    /// The 200 of an INVITE.
    fn answered(&self, invite: &Message, answer: &str) -> Draft {
        let tag = self.dialog.as_ref().map(|dialog| dialog.id.local_tag());
        let mut response = Draft::response(invite, 200, tag);
        describe_us(&mut response);
        response.set_body(SDP, answer.to_owned());
        response
    }
}

/// What every message says that makes or refreshes a dialog.
fn describe_us(draft: &mut Draft) {
    draft.push(Name::Contact, CONTACT);
    draft.push(Name::Allow, ALLOW);
}

/// The same description on hold, medium by medium: what was to be received is not (RFC 3264 8.4).
fn held(description: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    // Of the medium; a direction that is not said is sendrecv (RFC 8866 6.7).
    let mut is_said = true;
    for line in description.lines().map(str::trim_end) {
        if line.starts_with("m=") && !std::mem::replace(&mut is_said, false) {
            lines.push("a=sendonly");
        }
        is_said |= matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive");
        lines.push(match line {
            "a=sendrecv" => "a=sendonly",
            "a=recvonly" => "a=inactive",
            other => other,
        });
    }
    if !is_said {
        lines.push("a=sendonly");
    }
    lines.join("\r\n") + "\r\n"
}

/// The same description, newer (RFC 3264 8: the version of its origin is one higher) and with this direction in each medium.
fn directed(description: &str, direction: &str) -> String {
    let is_direction = |line: &str| matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive");
    let mut lines: Vec<String> = Vec::new();
    for line in description
        .lines()
        .map(str::trim_end)
        .filter(|line| !is_direction(line))
    {
        lines.push(newer(line).unwrap_or_else(|| line.to_owned()));
        if line.starts_with("m=") {
            // Behind the lines of the medium that come before attributes (RFC 8866 5).
            lines.push(format!("a={direction}"));
        }
    }
    // `m=`, `i=`, `c=`, `b=`, `k=`, then `a=`.
    for at in 1..lines.len() {
        let is_early = |line: &str| ["i=", "c=", "b=", "k="].iter().any(|kind| line.starts_with(kind));
        if is_direction(&lines[at - 1]) && is_early(&lines[at]) {
            lines.swap(at - 1, at);
        }
    }
    lines.join("\r\n") + "\r\n"
}

/// `o=- 1 2 IN ...` to `o=- 1 3 IN ...`.
fn newer(line: &str) -> Option<String> {
    let rest = line.strip_prefix("o=")?;
    let mut parts: Vec<&str> = rest.split(' ').collect();
    let version = parts.get(2)?.parse::<u64>().ok()?.checked_add(1)?.to_string();
    parts[2] = &version;
    Some(format!("o={}", parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_description_goes_on_hold_and_back() {
        let said = "v=0\r\no=- 7 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\nb=AS:64\r\n\
                    a=mid:0\r\na=sendrecv\r\n";
        let held = directed(said, "sendonly");
        assert_eq!(
            held,
            "v=0\r\no=- 7 3 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\nb=AS:64\r\n\
             a=sendonly\r\na=mid:0\r\n"
        );
        let back = directed(&held, "sendrecv");
        assert!(back.contains("o=- 7 4 ") && back.contains("a=sendrecv") && !back.contains("sendonly"));
    }

    #[test]
    fn a_hold_that_is_not_taken_is_taken_back() {
        let at = "192.0.2.1:8445".parse().unwrap();
        let mut line = Line::new(Flow::to_client(1, at, at), State::Up, None, "held".to_owned());
        line.holds = true;
        let ours = |revision| Change::Ours {
            tx: ClientTx(1),
            revision,
            before: "said".to_owned(),
        };
        line.change = ours(None);
        assert_eq!(line.undo(), Some(Told::Holds(false)));
        assert_eq!((line.ours.as_str(), line.holds), ("said", false));
        line.change = ours(Some(2));
        assert_eq!(line.undo(), Some(Told::Refused(2)));
        assert!(!line.holds);
        assert_eq!(line.undo(), None);
    }

    #[test]
    fn who_holds_receives_nothing_in_any_medium() {
        for (said, wanted) in [
            (
                "v=0\r\na=x\r\nm=audio 9\r\na=sendrecv\r\nm=video 9\r\na=mid:1\r\n",
                "v=0\r\na=x\r\nm=audio 9\r\na=sendonly\r\nm=video 9\r\na=mid:1\r\na=sendonly\r\n",
            ),
            (
                "v=0\r\nm=audio 9\r\nm=video 9\r\na=recvonly\r\n",
                "v=0\r\nm=audio 9\r\na=sendonly\r\nm=video 9\r\na=inactive\r\n",
            ),
            (
                "v=0\r\nm=audio 9\r\na=inactive\r\n",
                "v=0\r\nm=audio 9\r\na=inactive\r\n",
            ),
        ] {
            assert_eq!(held(said), wanted);
        }
    }
}

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

mod ask;
mod description;
mod heard;

use super::body::Target;
use crate::cx::Cx;
use crate::dialog::{Dialog, DialogId};
use crate::id::{ClientTx, Flow, Owner, ServerTx};
use crate::keyed;
use crate::sip::uri::Scheme;
use crate::sip::{Draft, Message, Method, Name, Uri};
use crate::time::Instant;
use crate::transaction::{Event, Layer};
use description::held;
use heard::{reason_of, text_of};
use std::collections::BTreeMap;

/// A browser listens nowhere (RFC 7118 5.4).
const CONTACT: &str = "<sip:client@client.invalid;transport=ws>";
/// In a call by SIPS (RFC 5630 5.1.1.1): a client asks by TLS.
const SECURE_CONTACT: &str = "<sips:client@client.invalid;transport=ws>";
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
    /// What became of somebody who was to be sent away: the status.
    Removed(Target, u16),
    /// It has not taken the call: the status, and why in the words of its Reason (RFC 3326).
    Failed(u16, Option<String>),
    /// The caller has given up: the status of its Reason, 200 where somebody else has answered.
    Cancelled(Option<u16>),
    /// It has ended the call: the status and the words of its Reason (RFC 3326).
    Bye(Option<u16>, Option<String>),
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
    /// What it is told to be.
    contact: &'static str,
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
    /// Who is to be sent away: the node answers each in the same turn.
    removals: BTreeMap<ClientTx, Target>,
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

    /// Somebody is called: `from` is who calls, without a tag. Gives the Call-ID.
    pub(super) fn call(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        flow: Flow,
        from: &str,
        to: Uri,
        offer: String,
    ) -> String {
        let call_id = cx.token(16);
        let mut invite = Draft::request(Method::Invite, to.clone());
        invite.push(Name::MaxForwards, crate::sip::write::MAX_FORWARDS);
        invite.push(Name::From, format!("{from};tag={}", cx.token(8)));
        invite.push(Name::To, format!("<{to}>"));
        invite.push(Name::CallId, call_id.clone());
        invite.push(Name::CSeq, "1 INVITE");
        describe_us(&mut invite, CONTACT);
        invite.set_body(SDP, offer.clone());
        let tx = self.layer.request(cx, Owner::Phone(number), flow, invite.clone());
        let (invite, given_up) = (Box::new(invite), false);
        let state = State::Calling { tx, invite, given_up };
        self.all.insert(number, Line::new(flow, state, None, offer));
        call_id
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
        let contact = match invite.request_uri().map(|uri| uri.scheme) {
            Ok(Scheme::Sips) => SECURE_CONTACT,
            Ok(Scheme::Sip | Scheme::Tel | Scheme::Other(_)) | Err(_) => CONTACT,
        };
        describe_us(&mut ringing, contact);
        self.layer.respond(cx, tx, ringing);
        let theirs = text_of(&invite).unwrap_or_default();
        let invite = Box::new(invite);
        let mut line = Line::new(flow, State::Ringing { tx, invite }, Some(dialog), String::new());
        (line.theirs, line.contact) = (theirs, contact);
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

    /// The client is done with the call, whatever it is doing. `status` is what is said where it rings at him, `reason` a Reason (RFC 3326) where
    /// he ends it.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, number: u64, status: u16, reason: Option<String>) {
        let Some(line) = self.all.get_mut(&number) else { return };
        match &mut line.state {
            State::Calling { tx, given_up, .. } => {
                // It stays until its last response.
                if !std::mem::replace(given_up, true) {
                    self.layer.cancel(cx, *tx, reason);
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
                self.ask(cx, number, Method::Bye, |bye| {
                    if let Some(reason) = reason {
                        bye.push(Name::Reason, reason);
                    }
                });
                self.all.remove(&number);
            }
        }
    }

    /// The dialog of a call, as its other end names it.
    pub(super) fn dialog(&self, number: u64) -> Option<DialogId> {
        let own = &self.all.get(&number)?.dialog.as_ref()?.id;
        Some(DialogId::new(own.call_id(), own.remote_tag(), own.local_tag()))
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
        self.leave(cx, number, 487, None);
        Some((number, Told::Cancelled(reason_of(cancel).0)))
    }
}

impl Line {
    fn new(flow: Flow, state: State, dialog: Option<Dialog>, ours: String) -> Line {
        Line {
            flow,
            contact: CONTACT,
            state,
            dialog,
            ours,
            theirs: String::new(),
            change: Change::None,
            rang: false,
            holds: false,
            removals: BTreeMap::new(),
        }
    }

    /// A description of the client, as the other end is told: while he holds, on hold.
    fn described(&self, description: &str) -> String {
        match self.holds {
            true => held(description),
            false => description.to_owned(),
        }
    }

    /// What the client has said last as the answer to what the node says once more. If it was an offer, it left open who begins DTLS; an answer
    /// says what was agreed: whatever the node is not (RFC 8842 5.3).
    fn repeated(&self) -> String {
        let is_active = self.theirs.lines().any(|line| line.trim_end() == "a=setup:active");
        let agreed = if is_active { "a=setup:passive" } else { "a=setup:active" };
        self.ours.replace("a=setup:actpass", agreed)
    }

    /// The 200 of an INVITE.
    fn answered(&self, invite: &Message, answer: &str) -> Draft {
        let tag = self.dialog.as_ref().map(|dialog| dialog.id.local_tag());
        let mut response = Draft::response(invite, 200, tag);
        describe_us(&mut response, self.contact);
        response.set_body(SDP, answer.to_owned());
        response
    }
}

/// What every message says that makes or refreshes a dialog.
fn describe_us(draft: &mut Draft, contact: &str) {
    draft.push(Name::Contact, contact);
    draft.push(Name::Allow, ALLOW);
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

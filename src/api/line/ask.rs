//! What a client asks of the other end of a call that is up.

use super::description::directed;
use super::{Change, DIGIT, Lines, SDP, State, describe_us};
use crate::api::body::Target;
use crate::api::problem::{Kind, Problem};
use crate::cx::Cx;
use crate::id::{ClientTx, Owner};
use crate::sip::{Draft, Method, Name, Uri};

impl Lines {
    /// Nobody changes the session now.
    pub(in crate::api) fn may_change(&self, number: u64) -> Result<(), Problem> {
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
    pub(in crate::api) fn offer(&mut self, cx: &mut Cx<'_>, number: u64, revision: u32, offer: &str) {
        let line = self.all.get(&number);
        let offer = line.map(|line| line.described(offer));
        self.change(cx, number, Some(revision), offer.unwrap_or_default());
    }

    /// Hold, or its end: the last description with another direction (RFC 3264 8.4), whose answer is of no interest to the client.
    pub(in crate::api) fn hold(&mut self, cx: &mut Cx<'_>, number: u64, hold: bool) {
        let Some(line) = self.all.get_mut(&number) else { return };
        line.holds = hold;
        let offer = directed(&line.ours, if hold { "sendonly" } else { "sendrecv" });
        self.change(cx, number, None, offer);
    }

    pub(super) fn change(&mut self, cx: &mut Cx<'_>, number: u64, revision: Option<u32>, offer: String) {
        let Some(line) = self.all.get_mut(&number) else { return };
        if !matches!((&line.state, &line.change), (State::Up, Change::None)) {
            return;
        }
        let (before, contact) = (std::mem::replace(&mut line.ours, offer.clone()), line.contact);
        let tx = self.ask(cx, number, Method::Invite, |draft| {
            describe_us(draft, contact);
            draft.set_body(SDP, offer);
        });
        if let Some((tx, line)) = tx.zip(self.all.get_mut(&number)) {
            line.change = Change::Ours { tx, revision, before };
        }
    }

    /// The client answers what the other end has offered.
    pub(in crate::api) fn answer(&mut self, cx: &mut Cx<'_>, number: u64, answer: &str) {
        let Some(line) = self.all.get_mut(&number) else { return };
        if let Change::Theirs { tx, invite } = line.change.take_theirs() {
            line.ours = line.described(answer);
            let response = line.answered(&invite, &line.ours);
            self.layer.respond(cx, tx, response);
        }
    }

    /// He does not.
    pub(in crate::api) fn unanswered(&mut self, cx: &mut Cx<'_>, number: u64) {
        self.unanswer(cx, number, 504);
    }

    /// What the other end has offered is refused with this status, if it waits for an answer; so is all that waits in a dialog that ends
    /// (RFC 3261 15.1.2).
    pub(super) fn unanswer(&mut self, cx: &mut Cx<'_>, number: u64, status: u16) {
        let Some(line) = self.all.get_mut(&number) else { return };
        if let Change::Theirs { tx, invite } = line.change.take_theirs() {
            self.layer.respond(cx, tx, Draft::response(&invite, status, None));
            // The same may be offered again.
            line.theirs.clear();
        }
    }

    /// Digits, one INFO each: the node says them in RTP where the other end takes them so (RFC 4733).
    pub(in crate::api) fn digits(&mut self, cx: &mut Cx<'_>, number: u64, digits: &str) {
        for digit in digits.chars() {
            self.ask(cx, number, Method::Info, |draft| {
                draft.set_body(DIGIT, format!("Signal={digit}\r\nDuration=160\r\n"));
            });
        }
    }

    /// The other end is asked to call somebody else (RFC 3515); `by` is the client as it is known.
    pub(in crate::api) fn transfer(&mut self, cx: &mut Cx<'_>, number: u64, to: &Uri, by: &str) {
        let Some(contact) = self.all.get(&number).map(|line| line.contact) else {
            return;
        };
        self.ask(cx, number, Method::Refer, |draft| {
            draft.push(Name::Contact, contact);
            draft.push(Name::ReferTo, format!("<{to}>"));
            draft.push(Name::ReferredBy, by);
        });
    }

    /// The room at the other end is asked to send away whom this URI means (RFC 4579 5.11). What becomes of it is told by the response, so
    /// that it does not wait for somebody whom the room calls (RFC 4488 4).
    pub(in crate::api) fn remove(&mut self, cx: &mut Cx<'_>, number: u64, target: Target, mut uri: Uri) {
        let Some(contact) = self.all.get(&number).map(|line| line.contact) else {
            return;
        };
        uri.params.set("method", Some("BYE"));
        let tx = self.ask(cx, number, Method::Refer, |draft| {
            draft.push(Name::Contact, contact);
            draft.push(Name::ReferTo, format!("<{uri}>"));
            draft.push(Name::ReferSub, "false");
        });
        if let Some((tx, line)) = tx.zip(self.all.get_mut(&number)) {
            line.removals.insert(tx, target);
        }
    }

    /// A request in the dialog of a call that is up.
    pub(super) fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        method: Method,
        fill: impl FnOnce(&mut Draft),
    ) -> Option<ClientTx> {
        let line = self.all.get_mut(&number)?;
        let mut draft = line.dialog.as_mut()?.request(method);
        draft.push(Name::UserAgent, crate::USER_AGENT);
        fill(&mut draft);
        Some(self.layer.request(cx, Owner::Phone(number), line.flow, draft))
    }
}

//! Changes of a session that is up: re-INVITE and UPDATE from either side (RFC 3261 14, RFC 3311, RFC 6141), and session
//! refresh (RFC 4028).
//!
//! A peer's change is answered at once: media runs through us, so its codec and address concern nobody else. What concerns the
//! other side is who sends and who receives; [`Call::reconcile`] brings each leg to what its partner wishes, by a re-INVITE of
//! ours when the leg is free for one. A wish is a state, not a message: glare and refusals only delay it, and of two changes
//! that wait the last one counts. A change to fax, or back, is another matter: see `fax`.
//!
//! ```text
//!                 wanted direction differs                 2xx: ACK
//!   None --------------------------------------> Ours -----------------> None
//!     ^   session refresh is due                   | 491: 2.1 to 4 s, or up to 2 s   (RFC 3261 14.1)
//!     |                                            | 500, 503 with Retry-After
//!     +------------------ Waiting <----------------+ other failures: what was agreed stays, not asked again
//! ```

use super::answer::description;
use super::call::{Call, Other, Stage};
use super::cause;
use super::desk::{LegTimer, Turn};
use super::leg::{Change, Leg, LegId, Sent, State, What};
use super::offer::wish_of;
use super::outgoing::allows_update;
use super::send::SDP;
use crate::cx::RngCore;
use crate::dialog::accepted::{Acknowledged, Unacknowledged, credentials};
use crate::dialog::{ends_dialog, glare};
use crate::effect::Blame;
use crate::id::ServerTx;
use crate::sdp::{Direction, SdpError, Session};
use crate::sip::multipart::{ACCEPTED, session_description};
use crate::sip::{Draft, Message, Method, Name};
use crate::transaction::Failure;
use bytes::Bytes;
use std::time::Duration;

/// The shortest wait, whatever a Retry-After says: a peer that always says 0 would keep us busy.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest that a Retry-After makes a change wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why a change is refused, and what its sender is owed.
pub enum Refusal {
    /// This one, without more.
    Status(u16),
    /// 500 with Retry-After.
    Later,
    /// The description's.
    Sdp(SdpError),
    /// 422 with our Min-SE.
    TooSmall(crate::dialog::session_timer::TooSmall),
}

impl Call {
    /// Each leg that is free is brought to the direction that its partner wishes.
    pub fn reconcile(&mut self, t: &mut Turn<'_, '_>) {
        let Stage::Talk { one, other } = self.stage else { return };
        let other = match other {
            Other::Leg(other) => Some(other),
            Other::Service(_) | Other::Room(_) | Other::Nobody => None,
        };
        for id in [Some(one), other].into_iter().flatten() {
            let (want, is_left) = (self.wanted(id), self.is_left_in_fax(id));
            let Some(leg) = self
                .leg_mut(id)
                .filter(|leg| leg.is_stable() && leg.leave_after_notify.is_none())
            else {
                continue;
            };
            if is_left && let Some(oa) = &mut leg.oa {
                oa.turn_to(None);
                leg.reinvite(t, want);
            }
            if leg.is_fax() {
                continue;
            }
            let said = leg.oa.as_ref().map(super::offer::OfferAnswer::said);
            if said != Some(want) && leg.refused != Some(want) {
                leg.reinvite(t, want);
            } else if std::mem::take(&mut leg.focus_untold) {
                leg.refresh_session(t);
            }
        }
    }

    /// INVITE or UPDATE in a dialog. It is answered at once, unless it is passed on.
    pub fn on_change(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        if self.pass_change(t, id, tx, request) {
            return;
        }
        let want = self.wanted(id);
        let Some(leg) = self.leg_mut(id) else { return };
        let before = leg.oa.as_ref().map(super::offer::OfferAnswer::wish);
        if let Err(refusal) = leg.change(t, tx, request, want) {
            return leg.refuse_change(t, tx, request, &refusal);
        }
        let after = leg.oa.as_ref().map(super::offer::OfferAnswer::wish);
        if before != after && self.talks(id) {
            let side = match self.blame(id) {
                Blame::Caller => "the caller",
                Blame::Callee | Blame::Node | Blame::Network => "the callee",
            };
            let what = match after.unwrap_or_default() {
                Direction::SendRecv => "resumed the call",
                Direction::SendOnly | Direction::Inactive => "put the call on hold",
                Direction::RecvOnly => "stopped sending",
            };
            self.tell(t, format!("{side} {what}"));
        }
    }

    /// The final response to our re-INVITE or UPDATE.
    pub fn on_change_response(&mut self, t: &mut Turn<'_, '_>, id: LegId, sent: &Sent, response: &Message) {
        let status = response.status();
        let Some(leg) = self.leg_mut(id) else { return };
        match status {
            100..=199 => {}
            200..=299 => {
                let usable = leg.changed(t, sent, response);
                self.change_taken(t, id, usable);
            }
            _ if ends_dialog(status) => {
                let cause = cause::told(response, status, Blame::Network, "the peer has lost the call");
                self.lost(t, id, cause);
            }
            _ => {
                leg.change_refused(t, sent.what, response);
                self.change_turned_down(t, id);
            }
        }
    }

    /// Our re-INVITE or UPDATE has no response.
    pub fn on_change_failed(&mut self, t: &mut Turn<'_, '_>, id: LegId, failure: Failure) {
        match failure {
            Failure::Timeout => {
                let cause = cause::cause(408, Blame::Network, "the peer did not answer within the call");
                self.lost(t, id, cause);
            }
            // A connection that broke may come again with the peer's next request.
            Failure::Transport | Failure::Unresolved => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.keep_session(t, None);
                }
                self.change_turned_down(t, id);
            }
        }
    }

    /// The ACK of our 2xx; with the answer where the 2xx had our offer.
    pub fn on_ack(&mut self, t: &mut Turn<'_, '_>, id: LegId, ack: &Message) {
        let talks = self.talks(id);
        let Some(leg) = self.leg_mut(id) else { return };
        if !leg
            .unacked
            .as_ref()
            .is_some_and(|unacked| unacked.is_acknowledged_by(ack))
        {
            return;
        }
        leg.unacked = None;
        let first = leg.oa.as_ref().is_some_and(|oa| oa.agreed().is_none());
        match leg.late_answer(t, ack) {
            Ok(()) => {}
            // Without any agreement there is no session (RFC 3261 13.2.2.4); in a re-INVITE what was agreed stays.
            Err(error) if first && talks => {
                let blame = self.blame(id);
                self.end(t, cause::cause(error.status(), blame, error.reason()));
            }
            Err(_) => {}
        }
    }
}

impl Leg {
    /// A change that the peer asks for.
    fn change(
        &mut self,
        t: &mut Turn<'_, '_>,
        tx: ServerTx,
        request: &Message,
        want: Direction,
    ) -> Result<(), Refusal> {
        self.may_change(request)?;
        if let Err(small) = self.timer.judge(request) {
            return Err(Refusal::TooSmall(small));
        }
        self.answer_change(t, tx, request, want)
    }

    /// Answers a change that may be made.
    pub fn answer_change(
        &mut self,
        t: &mut Turn<'_, '_>,
        tx: ServerTx,
        request: &Message,
        want: Direction,
    ) -> Result<(), Refusal> {
        let is_invite = request.method() == Method::Invite;
        let offer = offer_in(request)?;
        let offer = read(offer.as_ref())?;
        self.settle_early(request);
        if let Some(oa) = &mut self.oa {
            oa.renew(|octets| t.cx.rng.fill_bytes(octets));
        }
        let body = self.describe_change(offer.as_ref(), is_invite, want)?;
        if let Some(offer) = &offer {
            self.note_early(request, wish_of(offer));
        }
        let mut response = Draft::response(request, 200, None);
        self.describe_us(t, &mut response);
        self.tell_packages(t, Some(request), &mut response);
        if is_invite || self.is_up() {
            self.timer.answer(t.now(), request, &mut response);
        }
        if let Some(body) = body {
            response.set_body(SDP, body);
        }
        if is_invite {
            let cseq = request.cseq().map_or(0, |cseq| cseq.number);
            self.unacked = Some(Unacknowledged::new(t.now(), cseq));
            self.invite_tx = Some(tx);
        }
        t.net.layer.respond(t.cx, tx, response);
        self.allows_update |= allows_update(request);
        self.refused = None;
        self.negotiated(t);
        self.find_own_way(t);
        Ok(())
    }

    /// Answers the offer of a PRACK, if it has one (RFC 3262 5).
    pub fn answer_prack(&mut self, prack: &Message, want: Direction) -> Result<Option<Bytes>, Refusal> {
        let offer = offer_in(prack)?;
        let Some(offer) = read(offer.as_ref())? else {
            return Ok(None);
        };
        self.may_change(prack)?;
        self.describe_change(Some(&offer), false, want)
    }

    /// RFC 3261 14.2, RFC 3311 5.2: one change at a time.
    pub fn may_change(&self, request: &Message) -> Result<(), Refusal> {
        let is_invite = request.method() == Method::Invite;
        let offers = is_invite || !request.body().is_empty();
        let offering = self.oa.as_ref().is_some_and(super::offer::OfferAnswer::is_offering);
        match &self.state {
            State::Up if is_invite && self.unacked.is_some() => Err(Refusal::Later),
            State::Up if offers && self.change == Change::Theirs => Err(Refusal::Later),
            State::Incoming(_) | State::Outgoing(_) if is_invite => Err(Refusal::Later),
            State::Incoming(incoming) if offers && incoming.answer.is_none() => Err(Refusal::Later),
            // Our offer waits for its answer: in the response to our INVITE, the ACK of our 2xx, or a PRACK.
            State::Up | State::Incoming(_) if offers && offering => Err(Refusal::Status(491)),
            // Our INVITE's offer has no answer that would be complete.
            State::Outgoing(outgoing) if offers && !outgoing.early_of(request).is_some_and(|early| early.complete) => {
                Err(Refusal::Status(491))
            }
            State::Up | State::Incoming(_) | State::Outgoing(_) => Ok(()),
            State::Cancelled(_) | State::Leaving | State::Gone => Err(Refusal::Status(481)),
        }
    }

    /// Our description in the answer to a change: for an offer the answer, for an INVITE without one our offer.
    fn describe_change(
        &mut self,
        offer: Option<&Session<'_>>,
        is_invite: bool,
        want: Direction,
    ) -> Result<Option<Bytes>, Refusal> {
        let signalling = self.signalling();
        let Some(oa) = &mut self.oa else { return Ok(None) };
        match offer {
            Some(offer) => oa.answer(offer, want, signalling).map(Some).map_err(Refusal::Sdp),
            None if is_invite => Ok(Some(oa.offer(want))),
            None => Ok(None),
        }
    }

    /// The answer of the early dialog that asks for a change is what was agreed before it.
    fn settle_early(&mut self, request: &Message) {
        if let State::Outgoing(outgoing) = &self.state
            && let Some((agreed, answer)) = outgoing.early_of(request).and_then(|early| early.answer.as_ref())
            && let Some(oa) = &mut self.oa
        {
            oa.settle(agreed.clone(), *answer);
        }
    }

    /// An early dialog has changed its session: that counts when its 2xx says nothing else.
    fn note_early(&mut self, request: &Message, wish: Direction) {
        let agreed = self.oa.as_ref().and_then(|oa| oa.agreed().cloned());
        if let State::Outgoing(outgoing) = &mut self.state
            && let (Some(early), Some(agreed)) = (outgoing.early_of_mut(request), agreed)
        {
            early.answer = Some((agreed, wish));
        }
    }

    /// Refuses a change, or the offer of a PRACK.
    pub fn refuse_change(&self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message, refusal: &Refusal) {
        let mut response = match refusal {
            Refusal::Status(status) => Draft::response(request, *status, None),
            Refusal::Later => {
                let mut response = Draft::response(request, 500, None);
                response.push(Name::RetryAfter, glare::retry_after(t.cx.rng));
                response
            }
            Refusal::Sdp(error) => Draft::response(request, error.status(), None),
            Refusal::TooSmall(small) => {
                let mut response = Draft::response(request, 422, None);
                small.write(&mut response);
                response
            }
        };
        if let Refusal::Status(415) = refusal {
            response.push(Name::Accept, ACCEPTED);
        }
        if let Refusal::Sdp(error) = refusal {
            response.push(Name::Warning, format!("399 tandem \"{}\"", error.reason()));
        }
        response.push(Name::Server, crate::USER_AGENT);
        t.net.layer.respond(t.cx, tx, response);
    }

    /// Sends an INVITE with an offer in this direction.
    pub fn reinvite(&mut self, t: &mut Turn<'_, '_>, want: Direction) {
        if let Some(offer) = self.oa.as_mut().map(|oa| oa.offer(want)) {
            self.send_reinvite(t, offer);
        }
    }

    fn send_reinvite(&mut self, t: &mut Turn<'_, '_>, offer: Bytes) {
        let Some(mut invite) = self.request(Method::Invite) else {
            return;
        };
        self.describe_us(t, &mut invite);
        self.tell_packages(t, None, &mut invite);
        self.timer.write_request(&mut invite);
        invite.set_body(SDP, offer);
        self.change = Change::Ours;
        self.send(t, What::Reinvite, invite);
    }

    /// Refreshes the session: by UPDATE where the peer takes it, else by an INVITE that changes nothing (RFC 4028 7.4).
    pub fn refresh_session(&mut self, t: &mut Turn<'_, '_>) {
        if !self.is_stable() {
            return self.timer.on_refresh_failed(t.now());
        }
        self.refreshing = true;
        if !self.allows_update {
            if let Some(offer) = self.oa.as_mut().map(super::offer::OfferAnswer::repeat) {
                self.send_reinvite(t, offer);
            }
            return;
        }
        let Some(mut update) = self.request(Method::Update) else {
            return;
        };
        self.describe_us(t, &mut update);
        self.timer.write_request(&mut update);
        self.change = Change::Ours;
        self.send(t, What::Update, update);
    }

    /// Our change was taken; false where the answer agrees on nothing.
    fn changed(&mut self, t: &mut Turn<'_, '_>, sent: &Sent, response: &Message) -> bool {
        let what = sent.what;
        let Some(dialog) = &mut self.dialog else { return false };
        // An unreadable Contact moves nothing: what we know still works.
        let _ = dialog.refresh(response);
        if what == What::Reinvite {
            let given = sent.again.as_deref().map(credentials).unwrap_or_default();
            let acked = Acknowledged::new(response, given);
            let ack = acked.ack(dialog);
            self.acked = Some(acked);
            self.find_own_way(t);
            self.send(t, What::Ack, ack);
        }
        if !matches!(self.state, State::Up) {
            return false;
        }
        self.change = Change::None;
        self.refreshing = false;
        self.timer.on_success(t.now(), response);
        self.allows_update |= allows_update(response);
        what != What::Reinvite || self.changed_by(t, response)
    }

    /// Takes the answer to our re-INVITE; false where nothing comes of it.
    fn changed_by(&mut self, t: &mut Turn<'_, '_>, response: &Message) -> bool {
        let signalling = self.signalling();
        let answer = description(response);
        let answer = answer.as_deref().and_then(|body| Session::parse(body).ok());
        let Some(oa) = &mut self.oa else { return false };
        let done = answer.is_some_and(|answer| oa.complete(&answer, signalling).is_ok());
        if done {
            self.refused = None;
            self.negotiated(t);
        } else if oa.is_turning() {
            // Nothing is up at the peer now, where there was audio before.
            let (was_fax, said) = (oa.is_fax(), oa.said());
            oa.spoil();
            if !was_fax {
                self.reinvite(t, said);
            }
        } else {
            // A 2xx without a usable answer changed nothing that we could follow.
            self.refused = Some(oa.said());
            oa.withdraw();
        }
        done
    }

    /// Our change was refused: what was agreed stays (RFC 3261 14.1); perhaps it may be tried again.
    fn change_refused(&mut self, t: &mut Turn<'_, '_>, what: What, response: &Message) {
        let status = response.status();
        if status == 422 && self.timer.on_too_small(response) {
            return self.keep_session(t, Some(Duration::ZERO));
        }
        let again = match (status, response.number(Name::RetryAfter)) {
            (491, _) => {
                let we_own = self
                    .dialog
                    .as_ref()
                    .is_some_and(|dialog| dialog.role == crate::dialog::Role::Uac);
                Some(glare::wait_after_491(we_own, t.cx.rng))
            }
            (500 | 503 | 480 | 486, Some(Ok(seconds))) => {
                Some(Duration::from_secs(seconds.into()).clamp(SHORTEST_WAIT, LONGEST_WAIT))
            }
            (405 | 501, _) if what == What::Update => {
                self.allows_update = false;
                Some(Duration::ZERO)
            }
            _ => None,
        };
        self.keep_session(t, again);
    }

    /// What was agreed stays. `again`: when our change is tried once more.
    fn keep_session(&mut self, t: &mut Turn<'_, '_>, again: Option<Duration>) {
        if !matches!(self.state, State::Up) {
            return;
        }
        let said = self.oa.as_ref().map(super::offer::OfferAnswer::said);
        let offering = self.oa.as_ref().is_some_and(super::offer::OfferAnswer::is_offering);
        if let Some(oa) = &mut self.oa {
            oa.withdraw();
        }
        let back = self.oa.as_ref().map(super::offer::OfferAnswer::said);
        if std::mem::take(&mut self.refreshing) {
            self.timer.on_refresh_failed(t.now());
        }
        match again {
            Some(after) => {
                self.change = Change::Waiting;
                t.wake_leg(self.id, LegTimer::Change, after);
            }
            None => {
                self.change = Change::None;
                self.refused = said.filter(|said| offering && Some(*said) != back);
            }
        }
    }

    /// A change that waited may be tried again.
    pub fn change_again(&mut self) {
        if self.change == Change::Waiting {
            self.change = Change::None;
        }
    }
}

/// The offer of a request, to be read; an error for a body that is none.
fn offer_in(request: &Message) -> Result<Option<Bytes>, Refusal> {
    session_description(request).map_err(|error| Refusal::Status(error.status))
}

fn read(offer: Option<&Bytes>) -> Result<Option<Session<'_>>, Refusal> {
    let read = offer.map(|body| Session::parse(body)).transpose();
    read.map_err(Refusal::Sdp)
}

//! Ending: what each leg is owed, in every state (RFC 3261 9, 15).

use super::call::{Call, Other, Stage};
use super::cause;
use super::desk::Turn;
use super::leg::{Leg, LegId, State, What};
use crate::dialog::accepted::{Acknowledged, Due as AckDue};
use crate::dialog::reliable::Due as ReliableDue;
use crate::dialog::session_timer::Due as SessionDue;
use crate::dialog::{Begun, Dialog};
use crate::effect::{Blame, Cause};
use crate::id::ServerTx;
use crate::limits;
use crate::sip::{Draft, Message, Method, Name};

impl Leg {
    /// Ends the leg: a final response to an INVITE that came, CANCEL of one that we sent, BYE in a dialog.
    pub fn hang_up(&mut self, t: &mut Turn<'_, '_>, cause: &Cause) {
        match &self.state {
            State::Incoming(_) => self.refuse(t, cause),
            State::Outgoing(_) => self.give_up(t, Some(&cause::reason(cause))),
            State::Up if self.flow.is_inside() => self.leave(t, cause::reason_within(cause)),
            State::Up => self.leave(t, cause::reason(cause)),
            State::Cancelled(_) | State::Leaving | State::Gone => {}
        }
    }

    /// Cancels our INVITE. Its final response is awaited: it may still be a 2xx.
    pub fn give_up(&mut self, t: &mut Turn<'_, '_>, reason: Option<&str>) {
        if !matches!(self.state, State::Outgoing(_)) {
            return;
        }
        let State::Outgoing(mut outgoing) = std::mem::replace(&mut self.state, State::Gone) else {
            return;
        };
        t.net.layer.forget(self.id.owner());
        outgoing.forget_ways(t);
        let reason = reason.map(str::to_owned);
        outgoing.reason.clone_from(&reason);
        let tx = outgoing.tx;
        self.state = State::Cancelled(outgoing);
        match tx {
            Some(tx) => {
                t.net.layer.cancel(t.cx, tx, reason);
                if let Some(media) = &mut self.media {
                    media.close(t);
                }
            }
            // Nothing was sent yet.
            None => self.gone(t),
        }
        self.set_claim(t, None);
    }

    /// Says BYE, as soon as that is allowed: not before the ACK of our 2xx (RFC 3261 15).
    pub fn leave(&mut self, t: &mut Turn<'_, '_>, reason: String) {
        self.state = State::Leaving;
        if let Some(media) = &mut self.media {
            media.close(t);
        }
        self.set_claim(t, None);
        if self.unacked.is_some() {
            self.leave_after_ack = Some(reason);
        } else {
            self.bye(t, Some(&reason));
        }
    }

    fn bye(&mut self, t: &mut Turn<'_, '_>, reason: Option<&str>) {
        let Some(mut bye) = self.request(Method::Bye) else {
            return self.gone(t);
        };
        if let Some(reason) = reason {
            bye.push(Name::Reason, reason);
        }
        bye.push(Name::UserAgent, crate::USER_AGENT);
        self.send(t, What::Bye, bye);
    }

    /// Says what had to wait: BYE after the ACK, BYE after the last NOTIFY.
    fn say_goodbye(&mut self, t: &mut Turn<'_, '_>) {
        if self.unacked.is_none()
            && let Some(reason) = self.leave_after_ack.take()
        {
            self.bye(t, Some(&reason));
        }
        let notifying = self.sent.iter().any(|sent| sent.what == What::Notify);
        if self.is_up()
            && !notifying
            && let Some(reason) = self.leave_after_notify.take()
        {
            self.leave(t, reason);
        }
    }

    /// Ends the leg as well as that goes after an error of ours: its peer is told at once, and nothing is waited for.
    pub fn abandon(&mut self, t: &mut Turn<'_, '_>, cause: &Cause) {
        self.say_waiting(t);
        match &self.state {
            State::Incoming(_) => self.refuse(t, cause),
            State::Outgoing(_) => self.give_up(t, Some(&cause::reason(cause))),
            // Its ACK would find nobody any more.
            State::Up => self.bye(t, Some(&cause::reason(cause))),
            State::Leaving => {
                if let Some(reason) = self.leave_after_ack.take() {
                    self.bye(t, Some(&reason));
                }
            }
            State::Cancelled(_) | State::Gone => {}
        }
    }

    /// The peer's BYE.
    pub fn bye_received(&mut self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        let mut response = Draft::response(request, 200, None);
        response.push(Name::Server, crate::USER_AGENT);
        t.net.layer.respond(t.cx, tx, response);
        if let Some(incoming) = self.incoming() {
            // BYE in an early dialog ends the INVITE too (RFC 3261 15.1.2).
            let response = Draft::response(&incoming.invite, 487, Some(self.local_tag()));
            t.net.layer.respond(t.cx, incoming.tx, response);
        }
        if matches!(self.state, State::Outgoing(_)) {
            // Its 2xx may have been lost and its patience over: our INVITE still waits for a final response, so it is cancelled.
            return self.give_up(t, None);
        }
        self.gone(t);
    }
}

impl Call {
    /// A second answer of a fork, or an answer that came against our CANCEL, to the INVITE of the leg `of`: acknowledged and
    /// ended at once (RFC 3261 13.2.2.4). Its dialog is a leg of its own: what is said in it goes where its own Contact and
    /// Record-Route lead (RFC 3261 12.2.1.1), and may be challenged.
    pub fn dismiss(
        &mut self,
        t: &mut Turn<'_, '_>,
        of: LegId,
        (invite, credentials): (Begun<'_>, Vec<(Name, Box<str>)>),
        response: &Message,
        reason: Option<&str>,
    ) {
        let strays = self.legs.iter().filter(|leg| leg.stray_of == Some(of)).count();
        let (Some(leg), Ok(dialog)) = (self.leg(of), Dialog::uac(invite, response)) else {
            return;
        };
        if strays >= limits::STRAY_ANSWERS {
            return;
        }
        let (who, identity, flow, side) = (leg.who.clone(), leg.identity.clone(), leg.flow, leg.caller_side);
        let id = self.new_leg_id();
        let mut stray = Leg::new(id, who, identity, flow, State::Leaving, &self.config);
        (stray.stray_of, stray.caller_side) = (Some(of), side);
        let acked = Acknowledged::new(response, credentials);
        let ack = acked.ack(&dialog);
        t.desk.add_dialog(&dialog.id, id);
        stray.dialog = Some(dialog);
        stray.acked = Some(acked);
        stray.find_own_way(t);
        stray.send(t, What::Ack, ack);
        stray.bye(t, reason);
        self.legs.push(stray);
    }

    /// Which side of the record is to blame for what this leg did.
    pub fn blame(&self, id: LegId) -> Blame {
        match self.leg(id) {
            Some(leg) if leg.caller_side => Blame::Caller,
            Some(_) | None => Blame::Callee,
        }
    }

    /// Whatever had to wait for an ACK or a NOTIFY.
    pub fn say_goodbyes(&mut self, t: &mut Turn<'_, '_>) {
        for leg in &mut self.legs {
            leg.say_goodbye(t);
        }
    }

    /// BYE from a peer.
    pub fn on_bye(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        let blame = self.blame(id);
        let was_up = self.leg(id).is_some_and(Leg::is_up);
        let was_stray = self.leg(id).is_some_and(|leg| leg.stray_of.is_some());
        if let Some(leg) = self.leg_mut(id) {
            leg.bye_received(t, tx, request);
        }
        match self.stage {
            Stage::Setup { caller } if caller == id => {
                self.end(
                    t,
                    cause::told(request, 487, blame, "the caller hung up before the answer"),
                );
            }
            Stage::Setup { .. } | Stage::DialOut(_) | Stage::Talk { .. } if was_stray => {}
            Stage::Setup { .. } | Stage::DialOut(_) => self.branch_left(t, request),
            Stage::Talk { .. } if self.talks(id) && self.transferor() == Some(id) => self.transferor_left(t),
            Stage::Talk { .. } if self.talks(id) && was_up => {
                let who = match blame {
                    Blame::Caller => "caller",
                    Blame::Callee | Blame::Node | Blame::Network => "callee",
                };
                let is_client = self.leg(id).is_some_and(|leg| leg.flow.is_inside());
                let gone = cause::gone(request, blame, who).filter(|_| is_client);
                let hung_up = || cause::told(request, 200, blame, format!("the {who} hung up"));
                self.end(t, gone.unwrap_or_else(hung_up));
            }
            // A transfer's target that leaves before it answered, or a leg that was leaving anyway.
            Stage::Talk { .. } => self.branch_left(t, request),
            Stage::Over { .. } => {}
        }
    }

    /// The caller's INVITE was cancelled. (A re-INVITE is answered at once, so there is nothing to cancel, unless it is passed on.)
    pub fn on_cancelled(&mut self, t: &mut Turn<'_, '_>, id: LegId, cancel: &Message) {
        if self.passing_cancelled(t, id) {
            return;
        }
        if self.leg(id).is_some_and(|leg| leg.incoming().is_some()) {
            let blame = self.blame(id);
            if cause::is_elsewhere(cancel) {
                self.cancel_branches(t, cause::ELSEWHERE);
            }
            let mut cause = cause::told(cancel, 487, blame, "the caller gave up before the answer");
            let is_client = self.leg(id).is_some_and(|leg| leg.flow.is_inside());
            if let Some(gone) = cause::gone(cancel, blame, "caller").filter(|_| is_client) {
                cause = gone;
            }
            cause.status = 487;
            self.end(t, cause);
        }
    }

    /// The way back to an unanswered caller broke.
    pub fn on_server_gone(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        if self.passing_cancelled(t, id) {
            return;
        }
        if self.leg(id).is_some_and(|leg| leg.incoming().is_some()) {
            self.end(
                t,
                cause::cause(487, Blame::Network, "the caller's connection broke before the answer"),
            );
        }
    }

    /// What time brought to a leg's dialog.
    pub fn on_dialog_time(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let now = t.now();
        let Some(leg) = self.leg_mut(id) else { return };
        leg.disarmed();
        match leg.unacked.as_mut().and_then(|unacked| unacked.poll(now)) {
            Some(AckDue::Resend) => leg.resend_answer(t),
            Some(AckDue::GiveUp) => {
                leg.unacked = None;
                let cause = cause::cause(408, Blame::Network, "the answer was never acknowledged");
                return self.lost(t, id, cause);
            }
            None => {}
        }
        let Some(leg) = self.leg_mut(id) else { return };
        match leg.reliable.as_mut().and_then(|reliable| reliable.poll(now)) {
            Some(ReliableDue::Resend(response)) => leg.resend_provisional(t, response),
            Some(ReliableDue::GiveUp) => {
                // RFC 3262 3: the INVITE is to be rejected with a 5xx.
                return self.end(
                    t,
                    cause::cause(504, Blame::Caller, "the caller acknowledged no reliable response"),
                );
            }
            None => {}
        }
        let Some(leg) = self.leg_mut(id).filter(|leg| leg.is_up()) else {
            return;
        };
        match leg.timer.poll(now) {
            Some(SessionDue::Refresh) => leg.refresh_session(t),
            Some(SessionDue::Expired) => {
                let cause = cause::cause(408, Blame::Network, "the session was not refreshed in time");
                self.lost(t, id, cause);
            }
            None => {}
        }
    }

    /// A leg's peer is gone without a word: the leg gets its BYE, and the call ends unless it goes on without it.
    pub fn lost(&mut self, t: &mut Turn<'_, '_>, id: LegId, cause: Cause) {
        if self.transferor() == Some(id) {
            if let Some(leg) = self.leg_mut(id) {
                leg.hang_up(t, &cause);
            }
            self.transferor_left(t);
        } else if self.talks(id) {
            self.end(t, cause);
        } else if let Some(leg) = self.leg_mut(id) {
            leg.hang_up(t, &cause);
        }
    }

    /// The one who asked for a transfer left before it was done: the other hears ringback until somebody answers.
    pub fn transferor_left(&mut self, t: &mut Turn<'_, '_>) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.transferor = None;
        let kept = transfer.kept;
        self.stage = Stage::Talk {
            one: kept,
            other: Other::Nobody,
        };
        self.tell(t, "the transferor hung up, the transfer goes on");
    }
}

impl Leg {
    fn resend_answer(&mut self, t: &mut Turn<'_, '_>) {
        if let Some(tx) = self.invite_tx {
            t.net.layer.repeat(t.cx, tx);
        }
    }

    fn resend_provisional(&mut self, t: &mut Turn<'_, '_>, response: Draft) {
        if let Some(tx) = self.incoming().map(|incoming| incoming.tx) {
            t.net.layer.respond(t.cx, tx, response);
        }
    }
}

//! Responses to our requests, sorted by what the request was for.

use super::call::Call;
use super::cause;
use super::desk::Turn;
use super::leg::{Leg, LegId, State, What};
use crate::dialog::{Begun, Naming};
use crate::id::ClientTx;
use crate::sip::{Message, Method};
use crate::transaction::Failure;

impl Call {
    /// A response of the transaction layer.
    pub fn on_response(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ClientTx, response: &Message) {
        let status = response.status();
        let of = |leg: &Leg| leg.sent.iter().position(|sent| sent.tx == tx);
        let Some((leg, ix)) = self.leg_mut(id).and_then(|leg| of(leg).map(|ix| (leg, ix))) else {
            return self.success_again(t, id, response);
        };
        leg.reconnecting = false;
        let sent = if status < 200 {
            leg.sent[ix].clone()
        } else {
            leg.sent.swap_remove(ix)
        };
        if matches!(status, 401 | 407) && leg.may_authenticate(sent.what) && leg.authenticate(t, &sent, response) {
            return;
        }
        match sent.what {
            What::Invite => self.on_invite_response(t, id, response),
            What::Reinvite | What::Update => self.on_change_response(t, id, &sent, response),
            What::Bye if status >= 200 => leg.gone(t),
            What::Info => self.on_digit_response(t, id, response),
            // 481: the phone has forgotten its subscription, or the call; the next request will tell (RFC 5057 5.1).
            What::Notify | What::Prack | What::Bye | What::Ack => {}
        }
    }

    /// There will be no response.
    pub fn on_no_response(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ClientTx, failure: Failure) {
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(ix) = leg.sent.iter().position(|sent| sent.tx == tx) else {
            return;
        };
        let sent = leg.sent.swap_remove(ix);
        if failure == Failure::Transport && leg.reconnect(t, &sent) {
            return;
        }
        match sent.what {
            What::Invite => self.on_invite_failed(t, id, failure),
            What::Reinvite | What::Update => self.on_change_failed(t, id, failure),
            What::Bye => leg.gone(t),
            What::Info => self.digit_refused(t, id, "did not answer"),
            What::Notify | What::Prack | What::Ack => {}
        }
    }
}

impl Call {
    /// A 2xx to an INVITE that is answered already: a copy is acknowledged again; another fork's is ended (RFC 3261 13.2.2.4).
    pub fn success_again(&mut self, t: &mut Turn<'_, '_>, id: LegId, response: &Message) {
        let is_invite = response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        if !is_invite || !(200..300).contains(&response.status()) {
            return;
        }
        let Some(naming) = Naming::of_response(response) else {
            return;
        };
        let known = |leg: &&mut Leg| leg.dialog.as_ref().is_some_and(|own| naming.is(&own.id));
        if let Some(leg) = self.legs.iter_mut().find(known) {
            if let (Some(acked), Some(dialog)) = (&leg.acked, &leg.dialog)
                && acked.is_owed_to(response)
            {
                let ack = acked.ack(dialog);
                leg.send(t, What::Ack, ack);
            }
            return;
        }
        let answered = |leg: &&Leg| matches!(leg.state, State::Up | State::Leaving) && leg.acked.is_some();
        if let Some(leg) = self.leg(id).filter(answered) {
            let Some(dialog) = &leg.dialog else { return };
            let (from, to, target) = (
                dialog.local.clone(),
                dialog.remote.clone(),
                dialog.remote_target.clone(),
            );
            let invite = Begun {
                local: &from,
                // Its tag is the other fork's.
                remote: to.rsplit_once(";tag=").map_or(&*to, |(address, _)| address),
                target: &target,
            };
            self.dismiss(t, id, (invite, Vec::new()), response, Some(cause::ELSEWHERE));
        }
    }
}

impl Leg {
    /// A request that was challenged is worth another try, unless its purpose is gone.
    fn may_authenticate(&self, what: What) -> bool {
        match what {
            What::Invite => matches!(self.state, State::Outgoing(_)),
            What::Reinvite | What::Update | What::Notify | What::Info => self.is_up(),
            What::Prack | What::Bye => true,
            What::Ack => false,
        }
    }
}

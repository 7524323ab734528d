//! Responses to our requests, sorted by what the request was for.

use super::call::Call;
use super::desk::Turn;
use super::leg::{Leg, LegId, State, What};
use crate::id::ClientTx;
use crate::sip::Message;
use crate::transaction::Failure;

impl Call {
    /// A response of the transaction layer.
    pub fn on_response(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ClientTx, response: &Message) {
        let status = response.status();
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(ix) = leg.sent.iter().position(|sent| sent.tx == tx) else {
            return leg.copy_of_2xx(t, response);
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
            // 481: the phone has forgotten its subscription, or the call; the next request will tell (RFC 5057 5.1).
            What::Notify | What::Prack | What::StrayBye | What::Bye | What::Ack => {}
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
            What::Notify | What::Prack | What::StrayBye | What::Ack => {}
        }
    }
}

impl Leg {
    /// A request that was challenged is worth another try, unless its purpose is gone.
    fn may_authenticate(&self, what: What) -> bool {
        match what {
            What::Invite => matches!(self.state, State::Outgoing(_)),
            What::Reinvite | What::Update | What::Notify => self.is_up(),
            What::Prack | What::Bye | What::StrayBye => true,
            What::Ack => false,
        }
    }

    /// A 2xx whose transaction we are done with: again, or of another fork (RFC 3261 13.2.2.4).
    fn copy_of_2xx(&mut self, t: &mut Turn<'_, '_>, response: &Message) {
        let is_invite = response
            .cseq()
            .is_ok_and(|cseq| cseq.method == crate::sip::Method::Invite);
        if !is_invite || !(200..300).contains(&response.status()) {
            return;
        }
        if self.resend_stray_ack(t, response) {
            return;
        }
        match &self.state {
            State::Up | State::Leaving => self.success_again(t, response),
            State::Incoming(_) | State::Outgoing(_) | State::Cancelled(_) | State::Gone => {}
        }
    }
}

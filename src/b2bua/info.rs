//! Digits to a peer that takes them by SIP INFO (`dtmf: info`): one after the other's answer, as application/dtmf-relay.
//!
//! It is an INFO of RFC 2976, without an Info-Package (RFC 6086 3: a legacy usage). A digit that is not taken takes those along that
//! wait behind it, since a number with a hole is a wrong one.

use super::call::Call;
use super::cause;
use super::desk::Turn;
use super::leg::{Leg, LegId, Way, What};
use super::room::KeyWay;
use crate::effect::Blame;
use crate::limits;
use crate::media::command::Dtmf;
use crate::pii::Digit;
use crate::sip::{Message, Method, Name};

/// What both ends call a digit in the body of an INFO.
const KIND: &str = "application/dtmf-relay";
/// The length of a digit that does not say it, in milliseconds.
pub const USUAL_MS: u16 = 160;

/// A digit that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Which.
    pub digit: Digit,
    /// How long it was pressed.
    pub ms: u16,
}

impl Leg {
    /// Digits go to this peer by INFO.
    pub fn takes_info(&self) -> bool {
        self.media.as_ref().is_some_and(|media| media.dtmf == Dtmf::Info)
    }

    /// A digit that did not come through the media goes to the peer, by the way that it takes them.
    pub fn press(&mut self, t: &mut Turn<'_, '_>, press: Press) {
        if !self.takes_info() {
            if let Some(media) = self.media.as_mut() {
                media.digits(t, press.digit.0.to_string());
            }
        } else if self.digits.len() < limits::DIGITS {
            self.digits.push_back(press);
        }
    }

    /// Says the next digit, once the one before is answered.
    pub fn say_digit(&mut self, t: &mut Turn<'_, '_>) {
        let is_free = self.is_up() && matches!(self.way, Way::Open);
        if !is_free || self.sent.iter().any(|sent| sent.what == What::Info) {
            return;
        }
        let Some(Press { digit, ms }) = self.digits.pop_front() else {
            return;
        };
        let Some(mut info) = self.request(Method::Info) else {
            return;
        };
        info.push(Name::UserAgent, crate::USER_AGENT);
        info.set_body(KIND, format!("Signal={}\r\nDuration={ms}\r\n", digit.0));
        self.send(t, What::Info, info);
    }
}

impl Call {
    /// A key was pressed on a leg. Where its partner takes digits by INFO, the bridge passes none on.
    pub fn on_digit(&mut self, t: &mut Turn<'_, '_>, id: LegId, press: Press) {
        self.room_digit(t, id, press.digit, KeyWay::Media);
        let partner = self.partner(id);
        let leg = partner.and_then(|partner| self.leg_mut(partner));
        if let Some(leg) = leg.filter(|leg| leg.takes_info() && leg.digits.len() < limits::DIGITS) {
            leg.digits.push_back(press);
        }
    }

    /// The final response to a digit.
    pub fn on_digit_response(&mut self, t: &mut Turn<'_, '_>, id: LegId, response: &Message) {
        match response.status() {
            ..=299 => {}
            // RFC 5057 5.1: of a 481 the call has ended; a 408 and all others concern the INFO alone.
            481 => {
                let cause = cause::told(response, 481, Blame::Network, "the peer has lost the call");
                self.lost(t, id, cause);
            }
            status => self.digit_refused(t, id, &format!("answered {status}")),
        }
    }

    /// A digit did not reach the peer, or was not taken.
    pub fn digit_refused(&mut self, t: &mut Turn<'_, '_>, id: LegId, why: &str) {
        let side = match self.blame(id) {
            Blame::Caller => "the caller",
            Blame::Callee | Blame::Node | Blame::Network => "the callee",
        };
        if let Some(leg) = self.leg_mut(id) {
            leg.digits.clear();
        }
        if self.is_over() {
            return;
        }
        self.tell(t, format!("{side} did not take a digit by INFO: it {why}"));
    }
}

//! From the 2xx of an INVITE to its ACK (RFC 3261 13.3.1.4, 13.2.2.4): the end of the handshake that no transaction keeps.
//!
//! ```text
//!  UAS                                           UAC
//!   |  2xx  ------------------------------------> |  Unacknowledged, T1
//!   |  2xx again after T1, 2 T1, ... T2 ---------> |  Acknowledged::resend for each
//!   |  <------------------------------------  ACK |
//!   |  nothing for 64 T1: give up, BYE            |
//! ```

use super::Dialog;
use crate::sip::{Draft, Message, Method, Name};
use crate::time::{Instant, T1, T1_64, T2};
use std::time::Duration;

/// UAS: a 2xx that we sent and whose ACK has not come. It is repeated over every transport: a hop behind the first may lose it.
/// The response itself is its transaction's, which lasts as long (timer L).
#[derive(Clone, Debug)]
pub struct Unacknowledged {
    invite_cseq: u32,
    interval: Duration,
    next: Instant,
    until: Instant,
}

/// What time brought to an [`Unacknowledged`] answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the 2xx again.
    Resend,
    /// 64*T1 are over: the dialog is confirmed but the session is to be ended with BYE (RFC 3261 13.3.1.4).
    GiveUp,
}

impl Unacknowledged {
    /// The 2xx was sent at `now`; `invite_cseq` is the CSeq number of its INVITE.
    pub fn new(now: Instant, invite_cseq: u32) -> Unacknowledged {
        Unacknowledged {
            invite_cseq,
            interval: T1,
            next: now + T1,
            until: now + T1_64,
        }
    }

    /// True when this ACK is for this answer: drop the `Unacknowledged` then.
    pub fn is_acknowledged_by(&self, ack: &Message) -> bool {
        ack.cseq()
            .is_ok_and(|cseq| cseq.method == Method::Ack && cseq.number == self.invite_cseq)
    }

    /// When `poll` has something.
    pub fn next_deadline(&self) -> Instant {
        self.next.min(self.until)
    }

    /// What is due at `now`. After `GiveUp` it is to be dropped.
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        if now >= self.until {
            return Some(Due::GiveUp);
        }
        if now < self.next {
            return None;
        }
        self.interval = (self.interval * 2).min(T2);
        self.next = now + self.interval;
        Some(Due::Resend)
    }
}

/// UAC: what the ACK of a 2xx is made of, for it is sent again for each copy of that 2xx (RFC 3261 13.2.2.4). Keep one per dialog, at
/// least as long as the INVITE's transaction lasts (timer M, RFC 6026 8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    invite_cseq: u32,
    /// Those of the INVITE (RFC 3261 22.1).
    credentials: Vec<(Name, Box<str>)>,
}

impl Acknowledged {
    /// For a 2xx to an INVITE of ours, which had these credentials.
    pub fn new(response: &Message, credentials: Vec<(Name, Box<str>)>) -> Acknowledged {
        Acknowledged {
            invite_cseq: response.cseq().map_or(0, |cseq| cseq.number),
            credentials,
        }
    }

    /// The ACK, in the dialog that the 2xx made or is in.
    pub fn ack(&self, dialog: &Dialog) -> Draft {
        let mut ack = dialog.ack(self.invite_cseq);
        for (name, value) in &self.credentials {
            ack.push(*name, value);
        }
        ack
    }

    /// True when this response is a copy of the one that was acknowledged: the ACK is owed once more.
    pub fn is_owed_to(&self, response: &Message) -> bool {
        (200..300).contains(&response.status())
            && response
                .cseq()
                .is_ok_and(|cseq| cseq.method == Method::Invite && cseq.number == self.invite_cseq)
    }
}

/// The credentials of a request.
pub fn credentials(request: &Draft) -> Vec<(Name, Box<str>)> {
    let names = [Name::Authorization, Name::ProxyAuthorization].into_iter();
    names
        .filter_map(|name| Some((name, request.get(name)?.into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::tests::{message, request};

    #[test]
    fn a_2xx_is_repeated_up_to_t2_until_64_t1() {
        let mut answer = Unacknowledged::new(Instant::ZERO, 7);
        let mut at = Vec::new();
        let end = loop {
            let now = answer.next_deadline();
            assert_eq!(answer.poll(Instant::from_nanos(now.as_nanos() - 1)), None);
            match answer.poll(now) {
                Some(Due::Resend) => at.push(now.as_millis()),
                Some(Due::GiveUp) => break now,
                None => panic!("nothing is due at its own deadline"),
            }
        };
        assert_eq!(at, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
        assert_eq!(end, Instant::ZERO + T1_64);
    }

    #[test]
    fn the_ack_of_its_own_invite_ends_it() {
        let answer = Unacknowledged::new(Instant::ZERO, 7);
        assert!(answer.is_acknowledged_by(&request("ACK", 7, ";tag=l")));
        assert!(!answer.is_acknowledged_by(&request("ACK", 6, ";tag=l")));
        assert!(!answer.is_acknowledged_by(&request("BYE", 7, ";tag=l")));
    }

    #[test]
    fn each_copy_of_the_2xx_has_its_ack_again() {
        let invite = request("INVITE", 7, "");
        let copy = |status, of: &Message| {
            message(&String::from_utf8_lossy(
                &Draft::response(of, status, Some("l")).to_bytes(),
            ))
        };
        let mut sent = Draft::request(Method::Invite, invite.request_uri().unwrap());
        sent.push(Name::ProxyAuthorization, "Digest x");
        let kept = Acknowledged::new(&copy(200, &invite), credentials(&sent));
        assert!(kept.is_owed_to(&copy(200, &invite)));
        assert!(!kept.is_owed_to(&copy(180, &invite)));
        let later = copy(200, &request("INVITE", 8, ""));
        assert!(!kept.is_owed_to(&later), "that of a re-INVITE has its own ACK");
        assert!(!kept.is_owed_to(&copy(200, &request("BYE", 7, ""))));
        let ack = kept.ack(&Dialog::uas(&invite, "l").unwrap());
        assert_eq!(ack.get(Name::CSeq), Some("7 ACK"));
        assert_eq!(ack.get(Name::ProxyAuthorization), Some("Digest x"));
    }
}

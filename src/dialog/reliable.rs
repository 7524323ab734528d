//! Reliable provisional responses (RFC 3262): numbered, repeated until PRACKed, in order.
//!
//! ```text
//!  UAS                                                       UAC
//!   |  183, Require: 100rel, RSeq: n  ---------------------> |  Receiver: New, RAck "n cseq INVITE"
//!   |  again after T1, doubling, for 64 T1 ----------------> |  Receiver: Duplicate
//!   |  <---------------------------  PRACK, RAck: n cseq ... |
//!   |  200 (PRACK)  ---------------------------------------> |
//!   |  the next waiting one, RSeq: n + 1 ------------------> |
//! ```
//!
//! The server side sends one unacknowledged response at a time (RFC 3262 3 demands it of the first and of those with SDP; for
//! the rest it saves the peer from reordering). What comes meanwhile waits, bounded.

use super::Reject;
use crate::limits;
use crate::sip::{Draft, Message, Method, Name};
use crate::time::{Instant, T1, T1_64};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// `RAck: 776656 1 INVITE` (RFC 3262 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// RSeq of the response that is acknowledged.
    pub rseq: u32,
    /// CSeq number of the request that it answered.
    pub cseq: u32,
    /// Its method.
    pub method: Method,
}

impl RAck {
    /// Reads the RAck of a PRACK; 400 when there is none or it is not one.
    pub fn of(prack: &Message) -> Result<RAck, Reject> {
        const BAD: Reject = Reject {
            status: 400,
            reason: "Bad RAck",
        };
        let text = prack.get(Name::RAck).ok_or(BAD)?;
        let mut words = text.split_ascii_whitespace();
        let (rseq, cseq, method) = (words.next(), words.next(), words.next());
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok()).ok_or(BAD);
        let rack = RAck {
            rseq: number(rseq)?,
            cseq: number(cseq)?,
            method: Method::from(method.ok_or(BAD)?),
        };
        if words.next().is_some() { Err(BAD) } else { Ok(rack) }
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, self.method)
    }
}

/// UAS: the reliable provisional responses of one INVITE.
#[derive(Clone, Debug)]
pub struct Sender {
    next_rseq: u32,
    invite_cseq: u32,
    pending: Option<Pending>,
    waiting: VecDeque<Draft>,
}

#[derive(Clone, Debug)]
struct Pending {
    rseq: u32,
    response: Draft,
    interval: Duration,
    next: Instant,
    until: Instant,
}

/// What time brought to a [`Sender`].
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// Send this response again.
    Resend(Draft),
    /// 64*T1 without PRACK: the INVITE is to be refused with a 5xx (RFC 3262 3).
    GiveUp,
}

impl Sender {
    /// For an INVITE with this CSeq number. The first RSeq is drawn from `random` (RFC 3262 3: 1 to 2^31 - 1).
    pub fn new(invite_cseq: u32, random: u64) -> Sender {
        let next_rseq = 1 + u32::try_from(random % 0x7fff_fffe).expect("the remainder is below 2^31");
        Sender {
            next_rseq,
            invite_cseq,
            pending: None,
            waiting: VecDeque::new(),
        }
    }

    /// Makes a provisional response (101 to 199) reliable: adds `Require: 100rel` and RSeq. `Some` is to be sent now; `None`:
    /// it waits for the PRACK of the one before, or was dropped because `limits::RELIABLE_RESPONSES_WAITING` are waiting.
    pub fn send(&mut self, now: Instant, response: Draft) -> Option<Draft> {
        if self.pending.is_some() {
            if self.waiting.len() < limits::RELIABLE_RESPONSES_WAITING {
                self.waiting.push_back(response);
            }
            return None;
        }
        Some(self.start(now, response))
    }

    /// A PRACK came: `Err(481)` when it matches nothing (answer it so), `Ok` when it acknowledges (answer it with 200, and
    /// then send the response that this gives, if any).
    pub fn prack(&mut self, now: Instant, prack: &Message) -> Result<Option<Draft>, Reject> {
        let rack = RAck::of(prack)?;
        let matches = |pending: &Pending| {
            rack.rseq == pending.rseq && rack.cseq == self.invite_cseq && rack.method == Method::Invite
        };
        if !self.pending.as_ref().is_some_and(matches) {
            return Err(Reject {
                status: 481,
                reason: "No Such Provisional Response",
            });
        }
        self.pending = None;
        Ok(self.waiting.pop_front().map(|response| self.start(now, response)))
    }

    /// True when the 2xx must wait: a response with SDP is unacknowledged (RFC 3262 3).
    pub fn holds_answer(&self) -> bool {
        self.pending
            .iter()
            .map(|pending| &pending.response)
            .chain(&self.waiting)
            .any(|response| !response.body.is_empty())
    }

    /// A final response was sent: nothing is repeated any more; a late PRACK is still matched.
    pub fn stop(&mut self) {
        self.waiting.clear();
        if let Some(pending) = &mut self.pending {
            pending.next = Instant::from_nanos(u64::MAX);
            pending.until = pending.next;
        }
    }

    /// When `poll` has something.
    pub fn next_deadline(&self) -> Option<Instant> {
        let at = self.pending.as_ref().map(|pending| pending.next.min(pending.until))?;
        (at != Instant::from_nanos(u64::MAX)).then_some(at)
    }

    /// What is due at `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        let pending = self.pending.as_mut()?;
        if now >= pending.until {
            self.pending = None;
            self.waiting.clear();
            return Some(Due::GiveUp);
        }
        if now < pending.next {
            return None;
        }
        pending.interval *= 2;
        pending.next = now + pending.interval;
        Some(Due::Resend(pending.response.clone()))
    }

    fn start(&mut self, now: Instant, mut response: Draft) -> Draft {
        let rseq = self.next_rseq;
        self.next_rseq += 1;
        super::add_token(&mut response, Name::Require, "100rel");
        response.set(Name::RSeq, rseq);
        let draft = response.clone();
        self.pending = Some(Pending {
            rseq,
            response,
            interval: T1,
            next: now + T1,
            until: now + T1_64,
        });
        draft
    }
}

/// UAC: the reliable provisional responses of one early dialog (each fork numbers its own).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    last: Option<u32>,
}

/// What a provisional response is to a [`Receiver`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not a reliable one: use it, no PRACK.
    Unreliable,
    /// The next in order: use it, and send a PRACK with this RAck.
    New(RAck),
    /// Seen before: drop it; the PRACK's transaction repeats itself (RFC 3262 4).
    Duplicate,
    /// One before it is missing: drop it without PRACK, it will be sent again (RFC 3262 4).
    OutOfOrder,
}

impl Receiver {
    /// Judges a provisional response.
    pub fn receive(&mut self, response: &Message) -> Verdict {
        let reliable = (101..200).contains(&response.status()) && response.has_token(Name::Require, "100rel");
        let (true, Some(Ok(rseq)), Ok(cseq)) = (reliable, response.number(Name::RSeq), response.cseq()) else {
            return Verdict::Unreliable;
        };
        match self.last {
            Some(last) if rseq <= last => Verdict::Duplicate,
            Some(last) if rseq > last + 1 => Verdict::OutOfOrder,
            Some(_) | None => {
                self.last = Some(rseq);
                Verdict::New(RAck {
                    rseq,
                    cseq: cseq.number,
                    method: cseq.method,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::tests::{message, request};

    fn provisional(body: &'static str) -> Draft {
        let mut draft = Draft::response(&request("INVITE", 7, ""), 183, Some("l"));
        if !body.is_empty() {
            draft.set_body("application/sdp", body);
        }
        draft
    }

    fn prack(rack: &str) -> Message {
        let text = String::from_utf8_lossy(request("PRACK", 8, ";tag=l").bytes())
            .replace("\r\nCall-ID", &format!("\r\nRAck: {rack}\r\nCall-ID"));
        message(&text)
    }

    fn rseq(draft: &Draft) -> u32 {
        draft.get(Name::RSeq).unwrap().parse().unwrap()
    }

    #[test]
    fn one_at_a_time_in_order_until_each_is_acknowledged() {
        let mut sender = Sender::new(7, 41);
        let first = sender.send(Instant::ZERO, provisional("v=0\r\n")).unwrap();
        assert_eq!((rseq(&first), first.get(Name::Require)), (42, Some("100rel")));
        assert_eq!(sender.send(Instant::ZERO, provisional("")), None);
        assert!(sender.holds_answer());
        for wrong in ["41 7 INVITE", "42 6 INVITE", "42 7 UPDATE"] {
            assert_eq!(
                sender.prack(Instant::ZERO, &prack(wrong)).unwrap_err().status,
                481,
                "{wrong}"
            );
        }
        for bad in ["42 7", "x 7 INVITE", "42 7 INVITE more"] {
            assert_eq!(
                sender.prack(Instant::ZERO, &prack(bad)).unwrap_err().status,
                400,
                "{bad}"
            );
        }
        let second = sender.prack(Instant::ZERO, &prack("42 7 INVITE")).unwrap().unwrap();
        assert_eq!(rseq(&second), 43);
        assert!(!sender.holds_answer(), "without SDP the 2xx need not wait");
        assert_eq!(
            sender.prack(Instant::ZERO, &prack("42 7 INVITE")).unwrap_err().status,
            481,
            "a copy matches no more"
        );
        assert_eq!(sender.prack(Instant::ZERO, &prack("43 7 INVITE")).unwrap(), None);
        assert_eq!(sender.next_deadline(), None);
    }

    #[test]
    fn repeated_twice_as_late_each_time_until_64_t1() {
        let mut sender = Sender::new(7, 0);
        sender.send(Instant::ZERO, provisional("")).unwrap();
        let mut at = Vec::new();
        while let Some(now) = sender.next_deadline() {
            at.push(now.as_millis());
            match sender.poll(now) {
                Some(Due::Resend(draft)) => assert_eq!(rseq(&draft), 1),
                Some(Due::GiveUp) => assert_eq!(sender.next_deadline(), None),
                None => panic!("nothing is due at its own deadline"),
            }
        }
        assert_eq!(at, [500, 1500, 3500, 7500, 15500, 31500, 32000]);
    }

    #[test]
    fn after_the_final_response_nothing_is_repeated_and_what_waits_is_bounded() {
        let mut sender = Sender::new(7, 0);
        sender.send(Instant::ZERO, provisional("")).unwrap();
        for _ in 0..100 {
            assert_eq!(sender.send(Instant::ZERO, provisional("")), None);
        }
        assert_eq!(sender.waiting.len(), limits::RELIABLE_RESPONSES_WAITING);
        sender.stop();
        assert_eq!(
            (sender.next_deadline(), sender.poll(Instant::ZERO + T1_64)),
            (None, None)
        );
        assert_eq!(
            sender.prack(Instant::ZERO, &prack("1 7 INVITE")),
            Ok(None),
            "a late PRACK still matches"
        );
    }

    #[test]
    fn the_client_takes_them_in_order_and_once() {
        let response = |rseq: u32| {
            let mut draft = provisional("");
            draft.push(Name::Require, "100rel");
            draft.push(Name::RSeq, rseq);
            draft.to_message().unwrap()
        };
        let mut receiver = Receiver::default();
        assert_eq!(
            receiver.receive(&provisional("").to_message().unwrap()),
            Verdict::Unreliable
        );
        let Verdict::New(rack) = receiver.receive(&response(5)) else {
            panic!("the first sets the number")
        };
        assert_eq!(rack.to_string(), "5 7 INVITE");
        assert_eq!(receiver.receive(&response(5)), Verdict::Duplicate);
        assert_eq!(receiver.receive(&response(7)), Verdict::OutOfOrder);
        assert!(matches!(receiver.receive(&response(6)), Verdict::New(_)));
        assert!(matches!(receiver.receive(&response(7)), Verdict::New(_)));
        assert_eq!(receiver.receive(&response(6)), Verdict::Duplicate);
    }
}

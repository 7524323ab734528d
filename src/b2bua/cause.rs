//! Why calls end: SIP statuses, Q.850 causes, and the Reason header that carries them (RFC 3326, RFC 3398 8.2.6).

use crate::effect::{Blame, Cause};
pub use crate::effect::{q850, q850_of};
use crate::sip::{Message, Name};

/// The Q.850 cause of a Reason field, if it has one.
pub fn q850_in(message: &Message) -> Option<u8> {
    let cause = message
        .all(Name::Reason)
        .iter()
        .find_map(|value| cause_of(value, "Q.850"))?;
    u8::try_from(cause).ok().filter(|cause| (1..=127).contains(cause))
}

/// A CANCEL that says the call was answered elsewhere: phones are told so, and show no missed call.
pub fn is_elsewhere(cancel: &Message) -> bool {
    cancel
        .all(Name::Reason)
        .iter()
        .any(|value| cause_of(value, "SIP") == Some(200))
}

/// The cause of one Reason value of this protocol: `Q.850;cause=16;text="Terminated"`.
fn cause_of(value: &str, protocol: &str) -> Option<u16> {
    let mut parts = value.split(';').map(str::trim);
    parts.next().filter(|name| name.eq_ignore_ascii_case(protocol))?;
    parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("cause")
            .then(|| value.trim().trim_matches('"').parse().ok())?
    })
}

/// A Reason value by Q.850: for BYE, CANCEL and failures.
pub fn reason(cause: &Cause) -> String {
    format!("Q.850;cause={}", cause.q850)
}

/// The same for a client within this node, which is told the status and the sentence as well.
pub fn reason_within(cause: &Cause) -> String {
    let text = cause.text.replace(['"', ';'], ",");
    format!("SIP;cause={};text=\"{text}\"", cause.status)
}

/// The cause where a client within this node is gone without having hung up, which says so by a Reason with words. `who` is its side.
pub fn gone(message: &Message, by: Blame, who: &str) -> Option<Cause> {
    let values = message.all(Name::Reason);
    let (status, value) = values.iter().find_map(|value| Some((cause_of(value, "SIP")?, value)))?;
    let (_, words) = value.split_once("text=\"")?;
    let text = format!("the {who} is gone: {}", words.trim_end_matches('"'));
    Some(match status {
        487 => cause(200, by, text),
        status => exact(status, q850::NETWORK_OUT_OF_ORDER, Blame::Network, text),
    })
}

/// The Reason of a CANCEL to those phones that did not answer first (RFC 3326 3.1): no missed call is shown.
pub const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// A cause from a status, with the table's Q.850 value.
pub fn cause(status: u16, by: Blame, text: impl Into<String>) -> Cause {
    exact(status, q850_of(status), by, text)
}

/// A cause where Q.850 says more than the status.
pub fn exact(status: u16, q850: u8, by: Blame, text: impl Into<String>) -> Cause {
    let text = text.into();
    Cause { status, q850, by, text }
}

/// The cause that a peer's BYE, CANCEL or failure tells: its Reason where it has one, else the table.
pub fn told(message: &Message, status: u16, by: Blame, text: impl Into<String>) -> Cause {
    let q850 = q850_in(message).unwrap_or_else(|| q850_of(status));
    exact(status, q850, by, text)
}

/// Which of two failed branches says more to the caller (RFC 3261 16.7 step 6): a 6xx wins, then the lowest class; inside 4xx
/// those that the caller can act upon (401, 407, 415, 420, 484) and a busy phone before one that merely did not answer.
pub fn better(a: u16, b: u16) -> u16 {
    if rank(b) < rank(a) { b } else { a }
}

const fn rank(status: u16) -> u16 {
    match status {
        600..=699 => 0,
        401 | 407 | 415 | 420 | 484 => 1,
        486 => 2,
        403 | 488 => 3,
        300..=399 => 4,
        408 => 7,
        487 => 8,
        480 => 6,
        400..=499 => 5,
        503 => 11,
        _ => 10,
    }
}

/// The status that the other leg is told for a failure of this one: what is between us and a peer stays there.
pub const fn outward(status: u16) -> u16 {
    match status {
        // The peer asked *us* for credentials, or cannot stand our own request: the caller can do nothing about it.
        401 | 402 | 407 => 403,
        300..=399 => 480,
        // A dialog or transaction of that leg, not of this one.
        481 | 482 | 491 | 493 | 494 => 500,
        // Our offer was built from what we can do; theirs may still fit nothing.
        406 | 415 | 606 => 488,
        // Extensions that we asked for.
        420 | 421 | 422 | 423 | 439 | 440 | 469 | 470 | 489 => 500,
        // A flow between us and a phone (RFC 5626 11.5).
        430 | 487 => 480,
        400..=699 => status,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_map_as_rfc_3398_says() {
        for (status, q850) in [
            (404, 1),
            (486, 17),
            (600, 17),
            (480, 18),
            (403, 21),
            (603, 21),
            (484, 28),
            (502, 38),
            (503, 41),
            (488, 65),
            (487, 16),
            (200, 16),
        ] {
            assert_eq!(q850_of(status), q850, "{status}");
        }
    }

    #[test]
    fn the_cause_of_a_reason_is_found() {
        assert_eq!(
            cause_of("Q.850;cause=16;text=\"Terminated; by them\"", "Q.850"),
            Some(16)
        );
        assert_eq!(cause_of("q.850 ; text=\"x\" ; Cause = 17", "Q.850"), Some(17));
        assert_eq!(cause_of("SIP;cause=200", "Q.850"), None);
        assert_eq!(cause_of("Q.850", "Q.850"), None);
    }

    #[test]
    fn a_busy_phone_beats_one_that_did_not_answer_and_a_decline_beats_both() {
        assert_eq!(better(480, 486), 486);
        assert_eq!(better(486, 408), 486);
        assert_eq!(better(486, 603), 603);
        assert_eq!(better(503, 404), 404);
        assert_eq!(better(500, 503), 500);
        assert_eq!(better(487, 480), 480);
    }

    #[test]
    fn what_is_between_us_and_a_peer_stays_there() {
        for (inside, outside) in [
            (407, 403),
            (302, 480),
            (481, 500),
            (487, 480),
            (486, 486),
            (603, 603),
            (404, 404),
            (100, 500),
        ] {
            assert_eq!(outward(inside), outside, "{inside}");
        }
    }
}

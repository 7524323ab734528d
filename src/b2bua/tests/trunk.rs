//! Carriers: failover, credentials, limits, numbers.

use super::bench::*;
use crate::sip::{Method, Name};
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);
const CALLED: &str = "+12125550199";

#[test]
fn a_call_to_a_carrier_shows_number_and_nothing_else() {
    let mut b = Bench::new();
    let fields = [
        ("User-Agent", "Leaky/1.0"),
        ("X-Secret", "1"),
        ("X-Account", "42"),
        ("Subject", "hi"),
    ];
    b.invite_with(ALICE, "alice", CALLED, Some(sdp(4000, "")), &fields);
    let out = b.one(ACME);
    assert_eq!(out.request_uri().unwrap().to_string(), "sip:+12125550199@198.51.100.1");
    assert!(
        out.get(Name::From)
            .unwrap()
            .starts_with("\"Alice\" <sip:+14155550101@acme.example>;tag="),
        "{:?}",
        out.get(Name::From)
    );
    assert_eq!(
        out.get(Name::PAssertedIdentity).unwrap(),
        "\"Alice\" <sip:+14155550101@acme.example>"
    );
    assert_eq!(out.number(Name::MaxForwards), Some(Ok(69)));
    let text = String::from_utf8(out.bytes().to_vec()).unwrap();
    assert!(
        text.contains("X-Account: 42"),
        "what the trunk's configuration lets pass"
    );
    for leak in ["Leaky", "X-Secret", "Subject", "call-1", "192.0.2.11"] {
        assert!(!text.contains(leak), "{leak} leaked:\n{text}");
    }
    b.answer(ACME, &out, 404, None);
    assert_eq!(b.one(ALICE).status(), 404);
    b.rest();
}

#[test]
fn privacy_is_kept_towards_the_callee_and_told_to_the_carrier() {
    let mut b = Bench::new();
    b.invite_with(ALICE, "alice", CALLED, Some(sdp(4000, "")), &[("Privacy", "id")]);
    let out = b.one(ACME);
    assert!(
        out.get(Name::From)
            .unwrap()
            .starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>")
    );
    assert_eq!(out.get(Name::Privacy).unwrap(), "id");
    assert!(out.get(Name::PAssertedIdentity).unwrap().contains("+14155550101"));
    b.answer(ACME, &out, 486, None);
    b.heard(ALICE);
    let asserted = [("P-Asserted-Identity", "\"X\" <tel:+4930123456>"), ("Privacy", "id")];
    b.invite_with(ACME, "anonymous", "+14155550102", Some(sdp(4000, "")), &asserted);
    let out = b.one(BOB);
    let text = String::from_utf8(out.bytes().to_vec()).unwrap();
    assert!(
        !text.contains("4930123456") && text.contains("anonymous.invalid"),
        "{text}"
    );
    b.answer(BOB, &out, 486, None);
    b.rest();
}

#[test]
fn a_carriers_caller_is_shown_by_number() {
    let mut b = Bench::new();
    b.invite_with(
        ACME,
        "14155550199",
        "+14155550102",
        Some(sdp(4000, "")),
        &[("P-Asserted-Identity", "<sip:+12125550123@x>")],
    );
    let out = b.one(BOB);
    assert!(
        out.get(Name::From)
            .unwrap()
            .starts_with("<sip:+12125550123@example.com>;tag="),
        "{:?}",
        out.get(Name::From)
    );
    assert!(out.get(Name::PAssertedIdentity).is_none());
    b.answer(BOB, &out, 486, None);
    assert_eq!(b.one(ACME).status(), 486);
    b.rest();
}

#[test]
fn the_next_peer_after_503_and_after_silence() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.one(ACME);
    b.answer(ACME, &first, 503, None);
    let second = b.one(ACME2);
    assert_eq!(second.method(), Method::Invite);
    b.cancel(ALICE, &invite);
    b.answer(ACME2, &second, 487, None);
    b.rest();

    let mut b = Bench::new();
    b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.heard(ACME).remove(0);
    b.wait(5 * S1);
    let second = b
        .heard(ACME2)
        .into_iter()
        .find(|m| m.method() == Method::Invite)
        .expect("a second peer is tried");
    b.answer(ACME2, &second, 200, Some(sdp(5000, "")));
    assert!(b.heads(ALICE).contains(&"200 INVITE".to_owned()));
    // The first one answers after all: acknowledged and ended.
    b.heard(ACME);
    b.answer(ACME, &first, 200, Some(sdp(6000, "")));
    assert_eq!(b.heads(ACME), ["ACK", "BYE"]);
}

#[test]
fn no_second_peer_once_it_rang_or_was_answered_with_a_failure() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.one(ACME);
    b.answer(ACME, &first, 183, None);
    b.answer(ACME, &first, 503, None);
    assert!(b.heads(ALICE).contains(&"503 INVITE".to_owned()));
    assert!(b.heard(ACME2).iter().all(|m| m.method() != Method::Invite));
    b.rest();
}

#[test]
fn a_challenge_is_answered_once() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.one(ACME);
    let challenge = [(
        "Proxy-Authenticate",
        "Digest realm=\"acme.example\", nonce=\"n1\", qop=\"auth\", algorithm=MD5",
    )];
    b.answer_with(ACME, &first, 407, "t", None, &challenge);
    let heard = b.heard(ACME);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    let second = &heard[1];
    assert_eq!(second.cseq().unwrap().number, 2);
    let credentials = second.get(Name::ProxyAuthorization).unwrap();
    assert!(
        credentials.contains("username=\"tandem\"") && credentials.contains("nc=00000001"),
        "{credentials}"
    );
    b.answer_with(ACME, second, 407, "t", None, &challenge);
    assert!(
        b.heads(ALICE).contains(&"403 INVITE".to_owned()),
        "what is between us and the carrier stays there"
    );
    b.rest();
}

#[test]
fn the_ack_of_an_authenticated_invite_has_its_credentials() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.one(ACME);
    let challenge = [(
        "WWW-Authenticate",
        "Digest realm=\"acme.example\", nonce=\"n1\", qop=\"auth\"",
    )];
    b.answer_with(ACME, &first, 401, "t", None, &challenge);
    let second = b.heard(ACME).remove(1);
    b.answer(ACME, &second, 200, Some(sdp(5000, "")));
    let ack = b.one(ACME);
    assert_eq!((ack.method(), ack.cseq().unwrap().number), (Method::Ack, 2));
    assert!(ack.get(Name::Authorization).is_some());
}

#[test]
fn a_full_trunk_refuses_with_a_clear_status_in_both_directions() {
    let mut b = Bench::new();
    for number in ["+14155550102", "+14155550102"] {
        b.invite(ACME, "+12125550123", number, Some(sdp(4000, "")));
    }
    assert_eq!(b.net.trunks.reserved(), 2);
    b.invite(ACME, "+12125550123", "+14155550101", Some(sdp(4000, "")));
    let full = b.one(ACME);
    assert_eq!((full.status(), full.get(Name::RetryAfter).is_some()), (503, true));
    b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let full = b.one(ALICE);
    assert_eq!(
        (full.status(), full.get(Name::Reason).unwrap().into_owned()),
        (480, "Q.850;cause=34".to_owned())
    );
    b.wait(100 * S1);
    b.rest();
}

#[test]
fn a_redirection_by_a_carrier_is_not_followed() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.one(ACME);
    b.answer_with(ACME, &first, 302, "t", None, &[]);
    assert_eq!(b.one(ALICE).status(), 480);
    b.rest();
}

#[test]
fn requests_in_the_dialog_follow_record_route() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let first = b.one(ACME);
    b.answer_with(
        ACME,
        &first,
        200,
        "t",
        Some(sdp(5000, "")),
        &[("Record-Route", "<sip:198.51.100.9;lr>")],
    );
    let ack = b.one("198.51.100.9:5060");
    assert_eq!(
        (ack.method(), ack.get(Name::Route).unwrap().into_owned()),
        (Method::Ack, "<sip:198.51.100.9;lr>".to_owned())
    );
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.ask(ALICE, &mut alice, Method::Bye, None);
    let bye = b.one("198.51.100.9:5060");
    assert_eq!(bye.method(), Method::Bye);
    b.answer("198.51.100.9:5060", &bye, 200, None);
    b.rest();
}

/// RFC 3261 22.2: the BYE of a dialog that nobody wants is challenged: it goes out again with credentials, in its own dialog.
#[test]
fn the_end_of_a_stray_answer_is_challenged() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", CALLED, Some(sdp(4000, "")));
    let theirs = b.one(ACME);
    b.answer(ACME, &theirs, 200, Some(sdp(5000, "")));
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.heard(ACME);
    let contact = format!("<sip:late@{ACME2}>");
    b.answer_with(
        ACME,
        &theirs,
        200,
        "late",
        Some(sdp(5002, "")),
        &[("Contact", contact.as_str())],
    );
    let heard = b.heard(ACME2);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    let challenge = [(
        "Proxy-Authenticate",
        "Digest realm=\"acme.example\", nonce=\"n\", algorithm=MD5, qop=\"auth\"",
    )];
    b.answer_with(ACME2, &heard[1], 407, "late", None, &challenge);
    let again = b.one(ACME2);
    assert_eq!((again.method(), again.to().unwrap().tag()), (Method::Bye, Some("late")));
    assert!(
        again
            .get(Name::ProxyAuthorization)
            .unwrap()
            .contains("username=\"tandem\"")
    );
    assert!(again.cseq().unwrap().number > heard[1].cseq().unwrap().number);
    b.answer(ACME2, &again, 200, None);
    b.ask(ALICE, &mut alice, Method::Bye, None);
    let bye = b.one(ACME);
    b.answer(ACME, &bye, 200, None);
    b.rest();
}

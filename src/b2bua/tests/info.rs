//! Digits to a side that takes them by SIP INFO, or as tones; fax tones.

use super::bench::*;
use crate::dialog::Dialog;
use crate::effect::Fact;
use crate::id::MediaLegId;
use crate::limits;
use crate::media::command::{Command, DataTone, Dtmf, Event, Stream};
use crate::sip::{Message, Method, Name};
use std::time::Duration;

const BOB_INFO: (&str, &str) = ("ring: 30s }", "ring: 30s, dtmf: info }");
const BOB_INBAND: (&str, &str) = ("ring: 30s }", "ring: 30s, dtmf: inband }");

fn text(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

/// Alice's leg, then bob's.
fn media(b: &Bench) -> Vec<MediaLegId> {
    let opened = |command: &Command| match command {
        Command::Open(spec) => Some(spec.id),
        _other => None,
    };
    b.media.iter().filter_map(opened).collect()
}

fn stream(b: &Bench, leg: MediaLegId) -> Stream {
    let agreed = |command: &Command| match command {
        Command::Negotiated { leg: of, stream, .. } if *of == leg => Some(*stream),
        _other => None,
    };
    b.media.iter().rev().find_map(agreed).expect("something was agreed")
}

/// A worker has heard a key on a leg.
fn pressed(b: &mut Bench, leg: MediaLegId, digit: char, ms: u16) {
    let digit = digit.into();
    b.with(|calls, cx, net| calls.media(cx, net, Event::Digit { leg, digit, ms }));
}

/// Alice's phone says a digit by INFO.
fn says(b: &mut Bench, alice: &mut Dialog, body: &str) {
    b.ask(
        ALICE,
        alice,
        Method::Info,
        Some(("application/dtmf-relay", body.to_owned())),
    );
    assert_eq!(b.heads(ALICE), ["200 INFO"]);
}

fn changes(b: &Bench) -> Vec<String> {
    let of = |fact: &Fact| match fact {
        Fact::CallChanged { what, .. } => Some(what.clone()),
        _other => None,
    };
    b.facts.iter().filter_map(of).collect()
}

fn sends_digits(b: &Bench) -> Vec<MediaLegId> {
    let of = |command: &Command| match command {
        Command::SendDigits { leg, .. } => Some(*leg),
        _other => None,
    };
    b.media.iter().filter_map(of).collect()
}

#[test]
fn digits_go_out_by_info_one_after_the_answer_to_the_other() {
    let mut b = Bench::changed(BOB_INFO.0, BOB_INFO.1);
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    assert!(!text(&theirs).contains("telephone-event"), "{}", text(&theirs));
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    let ok = b.one(ALICE);
    assert!(text(&ok).contains("telephone-event"));
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.heard(BOB);
    let legs = media(&b);
    let told = stream(&b, legs[1]);
    assert_eq!((told.dtmf, told.events_tx, told.events_rx), (Dtmf::Info, None, None));
    assert_eq!(stream(&b, legs[0]).dtmf, Dtmf::Auto);

    says(&mut b, &mut alice, "Signal=5\r\nDuration=200\r\n");
    pressed(&mut b, legs[0], '#', 3_000);
    pressed(&mut b, legs[0], 'A', 80);
    let want = [
        "Signal=5\r\nDuration=200\r\n",
        "Signal=#\r\nDuration=3000\r\n",
        "Signal=A\r\nDuration=80\r\n",
    ];
    for body in want {
        let info = b.one(BOB);
        assert_eq!((info.method(), text(&info).as_str()), (Method::Info, body));
        assert_eq!(info.content_type().as_deref(), Some("application/dtmf-relay"));
        b.wait(Duration::from_millis(300));
        assert_eq!(b.heads(BOB), [""; 0], "the next waits for the answer");
        b.answer(BOB, &info, 200, None);
    }
    assert_eq!(b.heads(BOB), [""; 0]);
    // What bob presses goes to alice by the bridge.
    pressed(&mut b, legs[1], '7', 100);
    assert_eq!(b.heads(ALICE), [""; 0]);
    assert_eq!(sends_digits(&b), []);
    b.ask(ALICE, &mut alice, Method::Bye, None);
    b.rest();
    let facts = format!("{:?}", b.facts);
    assert!(!facts.contains("Signal"), "{facts}");
}

#[test]
fn a_digit_that_is_not_taken_takes_those_along_that_wait() {
    let mut b = Bench::changed(BOB_INFO.0, BOB_INFO.1);
    b.talk();
    let alice = media(&b)[0];
    for digit in ['1', '2', '3'] {
        pressed(&mut b, alice, digit, 100);
    }
    let info = b.one(BOB);
    b.answer(BOB, &info, 415, None);
    assert_eq!(b.heads(BOB), [""; 0]);
    let told = "the callee did not take a digit by INFO: it answered 415";
    assert_eq!(changes(&b).last().map(String::as_str), Some(told));
    // The next is tried again, and is not answered at all: the call goes on.
    pressed(&mut b, alice, '4', 100);
    pressed(&mut b, alice, '5', 100);
    b.wait(Duration::from_secs(33));
    let heads = b.heads(BOB);
    assert!(heads.len() > 5 && heads.iter().all(|head| head == "INFO"), "{heads:?}");
    let told = "the callee did not take a digit by INFO: it did not answer";
    assert_eq!(changes(&b).last().map(String::as_str), Some(told));
    assert!(b.ended().is_empty());
    pressed(&mut b, alice, '6', 100);
    let info = b.one(BOB);
    assert!(text(&info).starts_with("Signal=6\r"));
    // It knows nothing of the call any more.
    b.answer(BOB, &info, 481, None);
    assert!(b.heads(ALICE).contains(&"BYE".to_owned()));
    assert_eq!(b.ended()[0].status, 481);
}

#[test]
fn so_many_digits_wait_and_no_more() {
    let mut b = Bench::changed(BOB_INFO.0, BOB_INFO.1);
    b.talk();
    let alice = media(&b)[0];
    for _ in 0..limits::DIGITS + 10 {
        pressed(&mut b, alice, '1', 100);
    }
    let mut sent = 0;
    loop {
        let Some(info) = b.heard(BOB).pop() else { break };
        sent += 1;
        b.answer(BOB, &info, 200, None);
    }
    assert_eq!(sent, limits::DIGITS + 1, "one was on its way");
}

#[test]
fn a_carrier_that_challenges_gets_the_digit_with_credentials() {
    let mut b = Bench::changed("connect: 4s", "connect: 4s\n    dtmf: info");
    let invite = b.invite(ALICE, "alice", "+12125550199", Some(sdp(4000, "")));
    let out = b.one(ACME);
    assert!(!text(&out).contains("telephone-event"));
    b.answer(ACME, &out, 200, Some(sdp(5000, "")));
    let ok = b.one(ALICE);
    b.ack(ALICE, &invite, &ok);
    b.heard(ACME);
    let alice = media(&b)[0];
    pressed(&mut b, alice, '8', 100);
    pressed(&mut b, alice, '9', 100);
    let info = b.one(ACME);
    let challenge = "Digest realm=\"acme.example\", nonce=\"n\", qop=\"auth\", algorithm=MD5";
    b.answer_with(ACME, &info, 401, "p", None, &[("WWW-Authenticate", challenge)]);
    let again = b.one(ACME);
    assert!(text(&again).starts_with("Signal=8") && again.get(Name::Authorization).is_some());
    b.answer(ACME, &again, 200, None);
    assert!(text(&b.one(ACME)).starts_with("Signal=9"));
}

#[test]
fn who_takes_tones_agrees_on_no_events_and_gets_tones() {
    let mut b = Bench::changed(BOB_INBAND.0, BOB_INBAND.1);
    let (mut alice, _) = b.talk();
    let legs = media(&b);
    let told = stream(&b, legs[1]);
    assert_eq!((told.dtmf, told.events_tx), (Dtmf::Inband, None));
    assert!(stream(&b, legs[0]).events_tx.is_some());
    says(&mut b, &mut alice, "Signal=5\r\n");
    assert_eq!(sends_digits(&b), [legs[1]]);
    // An offer of bob's own is answered likewise.
    let mut b = Bench::changed(BOB_INBAND.0, BOB_INBAND.1);
    b.invite(BOB, "bob", "600", Some(sdp(5000, "")));
    let ok = b.one(BOB);
    assert!(ok.status() == 200 && !text(&ok).contains("telephone-event"));
}

#[test]
fn fax_tones_are_told_with_the_call() {
    let mut b = Bench::new();
    b.talk();
    let legs = media(&b);
    for (leg, tone) in [(legs[0], DataTone::Calling), (legs[1], DataTone::Answering)] {
        b.with(|calls, cx, net| calls.media(cx, net, Event::DataTone { leg, tone }));
    }
    assert_eq!(
        changes(&b),
        [
            "fax or modem tones were heard: the caller is a fax machine that calls",
            "fax or modem tones were heard: the callee is a fax machine or modem that answers",
        ]
    );
}

//! Requests within a dialog: RFC 3261 12.2.2, 15.1.2, RFC 6086, interop item 53; replays and strangers.

use crate::tools::{ask_in_call, reinvites, same, send_ack, two, two_with_tones};
use sip_tests::{State, World, ms, s};

/// Interop 53: digits in INFO, as three vendors write them, arrive as RFC 4733 events.
#[test]
fn digits_in_info_become_events() {
    let (mut w, alice, bob) = two_with_tones(1);
    let (a, b) = w.talk(alice, bob, "bob");
    for (kind, body) in [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        ("application/dtmf-relay", "Signal= #\r\nDuration= 250\r\n"),
        ("application/dtmf-relay", "Signal=10\r\nDuration=100\r\n"),
        ("application/dtmf", "7"),
    ] {
        assert_eq!(
            w.request(a, "INFO", &[&format!("Content-Type: {kind}")], Some(body)),
            200,
            "{body}"
        );
        w.run(s(1));
    }
    assert_eq!(w.voice(b).digits, "5#*7");
    assert_eq!(
        w.request(
            b,
            "INFO",
            &["Content-Type: application/dtmf-relay"],
            Some("Signal=9\r\n")
        ),
        200
    );
    w.run(s(1));
    assert_eq!(w.voice(a).digits, "9");
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    let told = format!("{:?}", w.facts);
    assert!(!told.contains("5#*7"), "digits are secrets");
}

/// RFC 6086 4.2.2, RFC 3261 8.2.3: an INFO that we do not understand is refused by name; the digits of none are sent.
#[test]
fn other_infos() {
    let (mut w, alice, bob) = two(2);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(
        w.request(a, "INFO", &[], None),
        200,
        "RFC 2976: it asks whether the dialog lives"
    );
    assert_eq!(
        w.request(
            a,
            "INFO",
            &["Content-Type: application/media_control+xml"],
            Some("<x/>")
        ),
        415
    );
    assert!(
        w.last_received(alice, |m| m.answers("INFO", 415))
            .text("Accept")
            .contains("application/dtmf-relay")
    );
    assert_eq!(
        w.request(
            a,
            "INFO",
            &["Info-Package: foo", "Content-Type: application/dtmf-relay"],
            Some("Signal=1")
        ),
        469
    );
    assert!(
        w.last_received(alice, |m| m.answers("INFO", 469))
            .get("Recv-Info")
            .is_some()
    );
    assert_eq!(
        w.request(a, "INFO", &["Content-Type: application/dtmf-relay"], Some("Signal=55")),
        400
    );
    assert_eq!(w.at(b).requests, [""; 0], "none of it reaches the other side");
    w.finish();
}

/// RFC 3261 11.2, 12.2.2: OPTIONS within the call says what we can in it.
#[test]
fn options_within_the_call() {
    let (mut w, alice, bob) = two(3);
    let (a, _) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(a, "OPTIONS", &[], None), 200);
    let ok = w.last_received(alice, |m| m.answers("OPTIONS", 200));
    for method in [
        "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "REFER", "INFO", "NOTIFY", "OPTIONS",
    ] {
        assert!(ok.has_token("Allow", method), "{method}");
    }
    assert_eq!(ok.text("Accept"), "application/sdp, multipart/mixed");
    for tag in ["100rel", "timer", "replaces"] {
        assert!(ok.has_token("Supported", tag), "{tag}");
    }
    w.finish();
}

/// RFC 3261 8.2.1, RFC 6665 4.2.1: what we know and do not serve is 405 with Allow, what we do not know 501; events are 489.
#[test]
fn methods_that_are_not_served() {
    let (mut w, alice, bob) = two(4);
    let (a, b) = w.talk(alice, bob, "bob");
    for (method, status) in [("MESSAGE", 405), ("PUBLISH", 405), ("FROBNICATE", 501)] {
        assert_eq!(w.request(a, method, &[], None), status, "{method}");
        assert!(
            w.last_received(alice, |m| m.answers(method, status))
                .has_token("Allow", "INVITE")
        );
    }
    assert_eq!(w.request(a, "SUBSCRIBE", &["Event: dialog"], None), 489);
    assert!(
        w.last_received(alice, |m| m.answers("SUBSCRIBE", 489))
            .get("Allow-Events")
            .is_some()
    );
    assert_eq!(
        w.request(a, "NOTIFY", &["Event: presence", "Subscription-State: active"], None),
        489
    );
    assert_eq!(
        w.request(a, "NOTIFY", &["Event: refer", "Subscription-State: terminated"], None),
        200
    );
    assert_eq!((w.state(a), w.at(b).requests.len()), (State::Up, 0));
    w.finish();
}

/// RFC 3261 12.2.2: a CSeq that is not above the last is answered 500, and does nothing.
#[test]
fn an_old_cseq_is_refused() {
    let (mut w, alice, bob) = two(5);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(a, "INFO", &[], None), 200);
    let cseq = w.at(a).cseq;
    for (method, cseq) in [("INFO", cseq), ("UPDATE", cseq - 1), ("BYE", cseq), ("BYE", 1)] {
        assert_eq!(ask_in_call(&mut w, a, method, cseq), 500, "{method} {cseq}");
    }
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.run(s(1));
    assert!(reinvites(&w, bob).is_empty());
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 12.2.2: CSeq may jump far ahead; then what lies between is old.
#[test]
fn a_cseq_that_jumps() {
    let (mut w, alice, bob) = two(6);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(ask_in_call(&mut w, a, "INFO", 70_000), 200);
    assert_eq!(ask_in_call(&mut w, a, "INFO", 60_000), 500);
    w.agent(alice).calls[a.call].cseq = 70_000;
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 13.3.1.4: an ACK with another CSeq, or of another dialog, acknowledges nothing; the right one does.
#[test]
fn an_ack_with_a_wrong_cseq() {
    let (mut w, alice, bob) = two(7);
    w.policy(alice).drop_acks = 1;
    let a = w.call(alice, "bob");
    w.up(a);
    let b = w.incoming(bob);
    let right = w.at(a).invite.cseq().0;
    send_ack(&mut w, a, right + 1);
    w.run(ms(400));
    assert_eq!(w.at(a).repeated_answers, 0);
    w.run(ms(300));
    assert_eq!(
        w.at(a).repeated_answers,
        1,
        "the 200 is sent again; its copy was acknowledged"
    );
    w.run(s(40));
    assert_eq!((w.at(a).repeated_answers, w.state(b)), (1, State::Up));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3261 15.1.2, 12.2.2: tags or a Call-ID that are none of ours: 481, and nobody is disturbed.
#[test]
fn requests_of_unknown_dialogs() {
    let (mut w, alice, bob) = two(8);
    let (a, b) = w.talk(alice, bob, "bob");
    for method in ["BYE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "INVITE", "OPTIONS"] {
        for field in ["To", "From", "Call-ID"] {
            let mut request = w
                .at(a)
                .request(method, 900)
                .with("Contact", "<sip:alice@203.0.0.10:5060>");
            let odd = format!("{}x", request.text(field));
            request.set(field, &odd);
            assert_eq!(w.ask(alice, request), 481, "{method} with another {field}");
        }
    }
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    assert_eq!(w.request(a, "INFO", &[], None), 200, "their CSeq counted for nothing");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 12.2.2: after the end of a call its dialog is not known; a late re-INVITE is 481, a late ACK is swallowed.
#[test]
fn requests_after_the_end() {
    let mut w = World::new(9);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(b);
    w.expect_over(a, 200);
    w.run(s(1));
    let invite = w
        .at(a)
        .request("INVITE", 50)
        .with("Contact", "<sip:alice@203.0.0.10:5060>");
    assert_eq!(w.ask(alice, invite), 481);
    assert_eq!(ask_in_call(&mut w, a, "BYE", 51), 481);
    let cseq = w.at(a).invite.cseq().0;
    let before = w.agents[alice.0].log.len();
    send_ack(&mut w, a, cseq);
    w.run(s(1));
    assert_eq!(w.agents[alice.0].log.len(), before, "an ACK is never answered");
    send_ack(&mut w, a, 50);
    w.finish();
}

/// RFC 3261 17.2.2: the same request again, same branch, is answered by its transaction with the same response.
#[test]
fn a_copy_of_a_request_gets_the_same_answer() {
    let (mut w, alice, bob) = two(10);
    let (a, _) = w.talk(alice, bob, "bob");
    assert_eq!(w.reinvite(a, same()), 200);
    assert_eq!(w.request(a, "OPTIONS", &[], None), 200);
    let first = w.last_received(alice, |m| m.answers("OPTIONS", 200));
    let sent = w.agents[alice.0]
        .log
        .iter()
        .rev()
        .find(|seen| seen.sent && seen.msg.is("OPTIONS"));
    let bytes = sent.map(|seen| seen.msg.write().to_vec()).unwrap_or_default();
    w.send_raw(alice, bytes);
    w.run(s(1));
    let all = w.received(alice, |m| m.answers("OPTIONS", 200));
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].1, first);
    w.finish();
}

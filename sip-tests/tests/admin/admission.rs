//! What becomes of a request that makes no call: RFC 3261 8.2 in its order, and what a UAS says to what it does not know.

use crate::tools::{PATIENT, USERS, exchange, fails, incoming, outside, refusals, tongue_tied, works, world};
use sip_tests::{Answer, Msg, Peer, World, ms, s};

const ALICE: &str = "sip:alice@example.com";
const TRUNK: &str = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: { country: US } }
";

fn office(seed: u64) -> (World, Peer, Peer) {
    let mut w = world(seed, &format!("{USERS}{TRUNK}"));
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    (w, alice, acme)
}

/// RFC 3261 11.2, interop 58: OPTIONS says what we do, from whomever, whatever is called; we do not tell who exists.
#[test]
fn options_says_what_we_do() {
    let (mut w, _, _) = office(1);
    let stranger = w.stranger("stranger", "198.18.0.9:5060");
    for (n, uri) in [
        "sip:example.com",
        "sip:alice@example.com",
        "sip:nobody@example.com",
        "sip:192.0.2.1",
    ]
    .iter()
    .enumerate()
    {
        let request = outside(
            "OPTIONS",
            uri,
            "sip:anybody@elsewhere.example",
            &format!("options{n}"),
            1,
        );
        let response = exchange(&mut w, stranger, request.with("Accept", "application/sdp"));
        assert_eq!(response.status(), 200, "{uri}");
        for method in [
            "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "REFER",
        ] {
            assert!(
                response.has_token("Allow", method),
                "{method} is missing: {}",
                response.text("Allow")
            );
        }
        for tag in ["100rel", "timer", "replaces"] {
            assert!(response.has_token("Supported", tag), "{tag}");
        }
        assert!(response.has_token("Accept", "application/sdp") && response.get("Contact").is_some());
        assert!(response.body.is_empty());
    }
    w.run(s(40));
    assert_eq!(w.census(), tandem::node::Census::default());
    w.finish();
}

/// RFC 3261 20.5: Allow lists REFER only to those who may transfer: users, where the configuration lets them; no carrier.
#[test]
fn allow_is_true_to_what_we_do() {
    for transfer in [true, false] {
        let mut w = world(12, &format!("{USERS}{TRUNK}calls: {{ transfer: {transfer} }}\n"));
        let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
        for (peer, may) in [(alice, transfer), (acme, false)] {
            for (method, status) in [("OPTIONS", 200), ("MESSAGE", 405)] {
                let call_id = format!("{method}-of-{}", peer.0);
                let response = exchange(&mut w, peer, outside(method, "sip:example.com", ALICE, &call_id, 1));
                assert_eq!(response.status(), status);
                assert_eq!(response.has_token("Allow", "REFER"), may, "{transfer} {call_id}");
            }
        }
        w.finish();
    }
}

/// RFC 3261 8.2.1: known methods for the node itself that it does not serve outside of dialogs are 405 with Allow, unknown ones 501.
#[test]
fn methods_that_are_not_served() {
    let (mut w, alice, _) = office(2);
    for (method, status) in [
        ("MESSAGE", 405),
        ("SUBSCRIBE", 405),
        ("PUBLISH", 405),
        ("REFER", 405),
        ("FROBNICATE", 501),
        ("options", 501),
    ] {
        let response = exchange(
            &mut w,
            alice,
            outside(method, "sip:example.com", ALICE, &format!("{method}@alice"), 1),
        );
        assert_eq!(response.status(), status, "{method}");
        assert!(response.has_token("Allow", "INVITE"), "{method}");
    }
    w.finish();
}

/// RFC 3261 8.2.2.3: an extension that is required and unknown: 420, and which; in an INVITE too, of a carrier too.
#[test]
fn unknown_extensions_are_refused() {
    let (mut w, alice, acme) = office(3);
    for (n, (peer, method)) in [(alice, "OPTIONS"), (alice, "REGISTER"), (acme, "OPTIONS")]
        .into_iter()
        .enumerate()
    {
        let request = outside(method, "sip:example.com", ALICE, &format!("require{n}"), 1)
            .with("Require", "100rel, nothere, timer, nor-this");
        let response = exchange(&mut w, peer, request);
        assert_eq!(
            (response.status(), response.text("Unsupported")),
            (420, "nothere, nor-this")
        );
    }
    let call = w.call_with(acme, "+14155550101", &["Require: nothere"]);
    w.expect_over(call, 420);
    // RFC 8840 5.1: ICE is for browsers here, so that who requires it of others is to offer without.
    let options = outside("OPTIONS", "sip:example.com", ALICE, "ice", 1).with("Require", "trickle-ice");
    assert_eq!(exchange(&mut w, alice, options).text("Unsupported"), "trickle-ice");
    let call = w.call_with(acme, "+14155550101", &["Require: trickle-ice"]);
    w.expect_over(call, 420);
    // Proxy-Require is for proxies (RFC 3261 20.29), which we are not.
    let call = w.call_with(acme, "+14155550101", &["Proxy-Require: nothere"]);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 8.2.2.1, 26.2.2: schemes that we do not speak, sips among them since there is no TLS to keep its promise.
#[test]
fn schemes_that_are_not_spoken() {
    let (mut w, alice, acme) = office(4);
    for uri in [
        "sips:+14155550101@example.com",
        "http://example.com/",
        "urn:service:sos",
        "mailto:alice@example.com",
    ] {
        fails(&mut w, acme, uri, 416);
        let request = outside("OPTIONS", uri, ALICE, &format!("scheme{}", uri.len()), 1);
        assert_eq!(exchange(&mut w, alice, request).status(), 416, "{uri}");
    }
    w.finish();
}

/// RFC 3261 8.1.1.6, 21.4.21: a call with no hops left is 483; what is addressed to ourselves needs none.
#[test]
fn the_last_hop_is_respected() {
    let (mut w, alice, acme) = office(5);
    let call = w.call_with(acme, "+14155550101", &["Max-Forwards: 0"]);
    w.expect_over(call, 483);
    let mut request = outside("OPTIONS", "sip:example.com", ALICE, "hops", 1);
    request.set("Max-Forwards", "0");
    assert_eq!(exchange(&mut w, alice, request).status(), 200);
    let call = w.call_with(acme, "+14155550101", &["Max-Forwards: 7"]);
    w.up(call);
    let left: u32 = w
        .at(incoming(&w, alice)[0])
        .invite
        .text("Max-Forwards")
        .parse()
        .expect("a number");
    assert!(left < 7, "a circle over two such nodes ends: {left}");
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 12.2.2, 15.1.2: what belongs in a dialog and has none is 481, with a To tag or without; ACK is never answered.
#[test]
fn what_belongs_to_no_dialog() {
    let (mut w, alice, _) = office(6);
    for (n, method) in ["BYE", "NOTIFY", "INFO", "UPDATE", "PRACK", "CANCEL"]
        .iter()
        .enumerate()
    {
        for tag in ["", ";tag=of-nothing"] {
            let mut request = outside(
                method,
                "sip:tandem@192.0.2.1",
                ALICE,
                &format!("lost{n}{}", tag.len()),
                1,
            );
            request.set("To", &format!("<sip:bob@example.com>{tag}"));
            // Outside of a dialog these two are for a user, and there is none of that name.
            let loose = tag.is_empty() && ["NOTIFY", "INFO"].contains(method);
            let expected = if loose { 404 } else { 481 };
            assert_eq!(exchange(&mut w, alice, request).status(), expected, "{method}{tag}");
        }
    }
    let before = w.received(alice, |_| true).len();
    let ack = outside("ACK", "sip:tandem@192.0.2.1", ALICE, "lost-ack", 1)
        .with("Via", "SIP/2.0/UDP 203.0.0.10:5060;branch=z9hG4bK-alice-ack");
    w.send_raw(alice, ack.write());
    w.run(s(2));
    assert_eq!(w.received(alice, |_| true).len(), before);
    let re_invite = w.call_with(alice, "bob", &["To: <sip:bob@example.com>;tag=of-nothing"]);
    w.expect_over(re_invite, 481);
    w.finish();
}

/// RFC 3261 8.2.2.2: the same request by two ways is one call; the copy is 482, and the call does not notice.
#[test]
fn a_merged_request_is_a_loop() {
    let (mut w, alice, acme) = office(7);
    w.policy(alice).answer = Answer::Manual;
    let call = w.call(acme, "+14155550101");
    w.rings(call);
    let mut copy = w.at(call).invite.clone();
    copy.headers[0].1 = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-acme-by-another-way;rport".into();
    w.send_raw(acme, copy.write());
    w.run(ms(100));
    assert_eq!(w.received(acme, |m| m.answers("INVITE", 482)).len(), 1);
    let at_alice = w.incoming(alice);
    w.accept(at_alice);
    w.up(call);
    assert_eq!(incoming(&w, alice).len(), 1);
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 8.2.3, 21.4.13, 21.4.19: a body that is no session description, or a coding of it, is 415 with what we read.
#[test]
fn bodies_that_are_not_read() {
    let (mut w, alice, acme) = office(8);
    for (n, (kind, coding)) in [("text/plain", "identity"), ("application/sdp", "gzip")]
        .into_iter()
        .enumerate()
    {
        let mut invite = outside(
            "INVITE",
            "sip:+14155550101@example.com",
            "sip:+12125550100@a",
            &format!("body{n}@acme"),
            1,
        )
        .with("Contact", "<sip:a@198.51.100.1:5060>")
        .with("Content-Type", kind)
        .with("Content-Encoding", coding);
        invite.body = "not a session description".into();
        let refusal = exchange(&mut w, acme, invite);
        assert_eq!(refusal.status(), 415, "{kind}, {coding}");
        assert!(refusal.has_token("Accept", "application/sdp"), "{refusal:?}");
    }
    assert!(incoming(&w, alice).is_empty());
    w.finish();
}

/// RFC 3261 8.2.2, 20, RFC 4475 3.1.2: malformed and contradicting header fields are 400, and nothing is kept; a request without
/// what a response repeats (8.2.6.2) is dropped.
#[test]
fn contradictions_are_bad_requests() {
    let (mut w, alice, _) = office(9);
    w.run(s(40));
    type Spoil = fn(&mut Msg);
    let spoil: [(&str, usize, Spoil); 7] = [
        ("CSeq of another method", 1, |m| m.set("CSeq", "1 INVITE")),
        ("CSeq too large", 1, |m| m.set("CSeq", "4294967296 OPTIONS")),
        ("two Call-IDs", 1, |m| m.push("Call-ID", "another")),
        ("hops in words", 1, |m| m.set("Max-Forwards", "many")),
        ("longer than it is", 1, |m| m.push("Content-Length", "200")),
        ("no From", 0, |m| m.remove("From")),
        ("no CSeq", 0, |m| m.remove("CSeq")),
    ];
    for (n, (what, answers, spoil)) in spoil.into_iter().enumerate() {
        let mut request = outside("OPTIONS", "sip:example.com", ALICE, &format!("bad{n}"), 1);
        spoil(&mut request);
        request.headers.insert(
            0,
            (
                "Via".into(),
                format!("SIP/2.0/UDP 203.0.0.10:5060;branch=z9hG4bK-alice-bad{n};rport"),
            ),
        );
        let before = w.received(alice, |m| m.status() == 400).len();
        w.send_raw(alice, request.write());
        w.run(ms(100));
        assert_eq!(
            w.received(alice, |m| m.status() == 400).len(),
            before + answers,
            "{what}"
        );
    }
    assert_eq!(w.census(), tandem::node::Census::default());
    assert_eq!(refusals(&w), [400, 400, 400, 400, 400, 0, 0]);
    w.finish();
}

/// An INVITE flood without credentials (interop 59): each is challenged or ignored, no call and no transaction comes of it, and a
/// carrier's calls go through beside it.
#[test]
fn a_flood_of_strangers_keeps_nobody_out() {
    let mut w = world(10, &format!("{USERS}{TRUNK}{PATIENT}"));
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.run(s(40));
    let flooder = w.stranger("flooder", "198.18.0.9:5060");
    tongue_tied(&mut w, flooder);
    for n in 0..300 {
        let from = if n % 2 == 0 {
            "sip:alice@example.com"
        } else {
            "sip:100@1.1.1.1"
        };
        let invite = outside("INVITE", "sip:+442079460000@example.com", from, &format!("flood{n}"), 1);
        w.act(flooder.0, |agent, cx| {
            agent.send_loose(cx, invite.with("User-Agent", "odd-scanner"))
        });
    }
    w.run(ms(200));
    assert_eq!(w.census(), tandem::node::Census::default());
    assert_eq!(
        w.received(flooder, |m| m.status() == 401).len(),
        150,
        "who claims to be ours is challenged, the others hear nothing"
    );
    works(&mut w, acme, "+14155550101");
    assert_eq!(incoming(&w, alice).len(), 1);
    w.run(s(40));
    w.finish();
}

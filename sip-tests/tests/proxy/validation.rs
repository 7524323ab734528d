//! RFC 3261 16.3 and 22.3: what is refused before it is sent on, and in which order.

use crate::tools::{office, request, requests, settle, two};
use sip_tests::digest;

/// Steps 2, 3 and 5, each with its status, and nobody is asked.
#[test]
fn each_check_has_its_status() {
    for (seed, line, status) in [
        (1, "Max-Forwards: 0", 483),
        (2, "Proxy-Require: nothere", 420),
        (3, "Max-Breadth: 0", 440),
        (4, "Max-Breadth: wide", 400),
    ] {
        let (mut w, alice, bob) = two(seed);
        let call = w.call_with(alice, "bob", &[line]);
        w.expect_over(call, status);
        assert!(w.agents[bob.0].calls.is_empty(), "{line}");
        if status == 420 {
            let refused = w.last_received(alice, |m| m.status() == 420);
            assert_eq!(refused.text("Unsupported"), "nothere", "RFC 3261 20.40");
        }
        w.finish();
        assert!(w.records.by_call.is_empty(), "{line}: no call, no record");
    }
}

/// Step 2: schemes that nobody routes.
#[test]
fn schemes_that_nobody_routes() {
    let (mut w, alice, bob) = two(5);
    for uri in ["sips:bob@example.com", "urn:service:sos", "mailto:bob@example.com"] {
        let status = w.ask(
            alice,
            request("MESSAGE", uri, "sip:alice@example.com", &format!("{}@alice", uri.len())),
        );
        assert_eq!(status, 416, "{uri}");
    }
    assert!(requests(&w, bob, "MESSAGE").is_empty());
    w.finish();
}

/// 16.3: a Require is between the user agents, and none of a proxy's business.
#[test]
fn a_require_passes() {
    let (mut w, alice, bob) = two(6);
    let call = w.call_with(alice, "bob", &["Require: something-odd"]);
    w.up(call);
    assert_eq!(
        w.last_received(bob, |m| m.is("INVITE")).text("Require"),
        "something-odd"
    );
    w.hang_up(call);
    w.finish();
}

/// 16.3 step 6, 22.3: the challenge of a proxy is 407; the credentials for our realm end here, those for others pass.
#[test]
fn a_proxy_asks_with_407_and_keeps_the_credentials() {
    let (mut w, alice, bob) = two(7);
    w.policy(bob).loose = 200;
    w.agent(alice).password.clear();
    let ask = request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "kept@alice");
    assert_eq!(w.ask(alice, ask.clone()), 407);
    let asked = w.last_received(alice, |m| m.method() == "MESSAGE");
    assert!(asked.get("WWW-Authenticate").is_none());
    let ours = digest::answer(
        asked.text("Proxy-Authenticate"),
        "alice",
        "wonder land",
        "MESSAGE",
        ask.uri(),
        1,
    );
    let other = "Digest username=\"x\", realm=\"elsewhere\", nonce=\"1\", uri=\"sip:a\", response=\"0\"";
    let mut again = ask
        .with("Proxy-Authorization", other)
        .with("Proxy-Authorization", &ours);
    again.set("CSeq", "2 MESSAGE");
    assert_eq!(w.ask(alice, again), 200);
    let got = w.last_received(bob, |m| m.is("MESSAGE"));
    let named = |(name, _): &&(String, String)| name == "Proxy-Authorization";
    let left: Vec<&str> = got
        .headers
        .iter()
        .filter(named)
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(left, [other]);
    w.finish();
}

/// A wrong password is 403, and a name that nobody has gets the same answers.
#[test]
fn wrong_credentials_are_refused_alike() {
    let (mut w, alice, bob) = two(8);
    w.agent(alice).password.clear();
    let mut answers = Vec::new();
    for (n, user) in ["alice", "nobody"].into_iter().enumerate() {
        let from = format!("sip:{user}@example.com");
        let ask = request("MESSAGE", "sip:bob@example.com", &from, &format!("guess{n}@alice"));
        assert_eq!(w.ask(alice, ask.clone()), 407);
        let challenge = w
            .last_received(alice, |m| m.status() == 407)
            .text("Proxy-Authenticate")
            .to_owned();
        let credentials = digest::answer(&challenge, user, "guess", "MESSAGE", "sip:bob@example.com", 1);
        let mut again = ask.with("Proxy-Authorization", &credentials);
        again.set("CSeq", "2 MESSAGE");
        answers.push(w.ask(alice, again));
    }
    assert_eq!(answers, [403, 403]);
    assert!(requests(&w, bob, "MESSAGE").is_empty());
    w.finish();
}

/// A stranger who claims to be nobody of ours is not answered at all.
#[test]
fn a_stranger_hears_nothing() {
    let mut w = office(9);
    let bob = w.registered("bob");
    let stranger = w.carrier("stranger", "203.0.113.66:5060");
    let mut invite = request("INVITE", "sip:bob@example.com", "sip:x@elsewhere.example", "x@stranger");
    invite.headers.insert(
        0,
        (
            "Via".into(),
            "SIP/2.0/UDP 203.0.113.66:5060;rport;branch=z9hG4bKx".into(),
        ),
    );
    w.send_raw(stranger, invite.write().to_vec());
    settle(&mut w);
    assert!(w.received(stranger, |_| true).is_empty() && requests(&w, bob, "INVITE").is_empty());
    w.finish();
}

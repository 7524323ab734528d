//! A carrier that challenges what we send within its calls and outside of them (RFC 3261 22.2, 22.3).

use crate::tools::{USERS, fails, live, works, world};
use sip_tests::{CallRef, Msg, Peer, World, s};

const LONDON: &str = "+442079460000";
const REALM: &str = "acme.example";

fn office(seed: u64) -> (World, Peer, Peer) {
    let trunk = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\", \"sip:198.51.100.2:5060\" ], numbers: { country: US }, options: never,
      register: { username: tandem, password: hush, realm: acme.example } }
routes:
  - { to: \"+\", from: user/*, do: trunk/acme }
";
    let mut w = world(seed, &format!("{USERS}{trunk}"));
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.agent(acme).password = "hush".into();
    (w, alice, acme)
}

/// A call from alice to the carrier, which challenges every request in it from now on.
fn challenged(seed: u64, status: u16) -> (World, CallRef, CallRef) {
    let (mut w, alice, acme) = office(seed);
    let (a, c) = w.talk(alice, acme, LONDON);
    w.policy(acme).challenge_within = Some((status, REALM.into()));
    (w, a, c)
}

/// The requests of a method within a call: each came twice, the second time under a new CSeq and with credentials.
fn asked_twice(w: &World, c: CallRef, method: &str, status: u16) {
    let field = if status == 407 {
        "Proxy-Authorization"
    } else {
        "Authorization"
    };
    let within = |m: &Msg| m.is(method) && !m.to_tag().is_empty();
    let asked = w.received(c.peer, within);
    assert!(
        !asked.is_empty() && asked.len().is_multiple_of(2),
        "{method} {status}: {}",
        asked.len()
    );
    for pair in asked.chunks(2) {
        let (first, second) = (&pair[0].1, &pair[1].1);
        assert!(
            first.get(field).is_none() && second.get(field).is_some(),
            "{method} {status}"
        );
        assert_eq!(first.cseq().0 + 1, second.cseq().0);
        assert_eq!(first.body, second.body, "the same offer again");
    }
}

/// RFC 3261 22.2: 401 to our INVITE is answered with the trunk's credentials; a second refusal and another realm end it.
#[test]
fn an_invite_is_sent_again() {
    let (mut w, alice, acme) = office(1);
    w.policy(acme).challenge = Some(REALM.into());
    works(&mut w, alice, LONDON);
    let asked = w.received(acme, |m| m.is("INVITE"));
    assert_eq!(asked.len(), 2);
    assert!(asked[0].1.cseq().0 < asked[1].1.cseq().0 && asked[0].1.call_id() == asked[1].1.call_id());
    w.agent(acme).password = "changed".into();
    fails(&mut w, alice, LONDON, 403);
    w.policy(acme).challenge = Some("elsewhere.example".into());
    fails(&mut w, alice, LONDON, 403);
    assert!(
        w.received(acme, |m| m.is("INVITE"))
            .last()
            .is_some_and(|(_, m)| m.get("Authorization").is_none())
    );
    w.finish();
}

/// RFC 3261 22.2, 22.3, 14.1: 401 and 407 to our re-INVITE: the same offer with credentials, and the hold is made; resumed too.
#[test]
fn a_reinvite_is_sent_again() {
    for status in [401, 407] {
        let (mut w, a, c) = challenged(2, status);
        assert_eq!(w.hold(a, "sendonly"), 200);
        w.run(s(1));
        assert_eq!(w.at(c).sdp.direction, "recvonly");
        assert_eq!(w.resume(a), 200);
        w.run(s(1));
        assert_eq!(w.at(c).sdp.direction, "sendrecv");
        assert_eq!(w.at(c).requests, ["INVITE", "INVITE"]);
        asked_twice(&w, c, "INVITE", status);
        w.hang_up(c);
        w.expect_over(a, 200);
        w.finish();
    }
}

/// RFC 3261 22.2, 15: a challenged BYE ends the call all the same.
#[test]
fn a_bye_is_sent_again() {
    for status in [401, 407] {
        let (mut w, a, c) = challenged(3, status);
        w.hang_up(a);
        w.expect_over(c, 200);
        asked_twice(&w, c, "BYE", status);
        w.finish();
    }
}

/// RFC 3515, 3261 22.2: a transfer is made by re-INVITEs of ours: those to the carrier are challenged, and it reaches its target.
#[test]
fn a_transfer_by_reinvite_is_carried_out() {
    for status in [401, 407] {
        let (mut w, a, c) = challenged(4, status);
        let bob = w.registered("bob");
        assert_eq!(w.hold(a, "sendonly"), 200);
        w.run(s(1));
        assert_eq!(w.request(a, "REFER", &["Refer-To: <sip:bob@example.com>"], None), 202);
        w.expect_over(a, 200);
        let b = w.incoming(bob);
        w.run(s(3));
        assert!(live(&w, b) && live(&w, c));
        assert_eq!(
            (w.at(b).sdp.direction.as_str(), w.at(c).sdp.direction.as_str()),
            ("sendrecv", "sendrecv"),
            "the hold of the one who left is over"
        );
        asked_twice(&w, c, "INVITE", status);
        w.hang_up(b);
        w.expect_over(c, 200);
        asked_twice(&w, c, "BYE", status);
        w.finish();
    }
}

/// RFC 3261 14.1, 22.2: credentials that are refused again: the session stays as it was agreed, and nothing is asked for ever.
#[test]
fn a_change_that_is_never_allowed_costs_nothing_but_itself() {
    let (mut w, a, c) = challenged(5, 401);
    w.agent(c.peer).password = "changed".into();
    assert_eq!(w.hold(a, "sendonly"), 200, "our own answer needs nobody else");
    w.run(s(120));
    assert_eq!(
        w.received(c.peer, |m| m.is("INVITE") && !m.to_tag().is_empty()).len(),
        2
    );
    assert!(live(&w, a) && live(&w, c));
    assert_eq!(w.at(c).sdp.direction, "sendrecv");
    w.agent(c.peer).password = "hush".into();
    assert_eq!(w.resume(a), 200);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

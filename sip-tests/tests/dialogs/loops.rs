//! Calls that run in circles or come twice: RFC 3261 8.1.1.6, 8.2.2.2, 16.3, interop item 50.

use crate::tools::{calling, edge_with, statuses};
use sip_tests::{Answer, State, World, s};

/// RFC 3261 8.2.2.2: the same INVITE by two ways (a fork before us): the second one is 482, the first goes on.
#[test]
fn a_merged_request() {
    let mut w = World::new(1);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let (c, a) = calling(&mut w, acme, alice, "+14155550101");
    let mut copy = w.at(c).invite.clone();
    copy.headers[0].1 = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-acme-other;rport".into();
    w.send_raw(acme, copy.write().to_vec());
    w.run(s(1));
    let merged = w.last_received(acme, |m| m.answers("INVITE", 482));
    assert_eq!(merged.branch(), "z9hG4bK-acme-other");
    assert_eq!(w.agents[alice.0].calls.len(), 1);
    w.accept(a);
    w.up(c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// RFC 3261 16.3: no hop is left: 483, and nobody is called.
#[test]
fn no_hop_is_left() {
    let mut w = World::new(2);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let a = w.call_with(alice, "bob", &["Max-Forwards: 0"]);
    w.expect_over(a, 483);
    assert!(w.agents[bob.0].calls.is_empty());
    w.finish();
}

/// RFC 3261 8.1.1.6: a B2BUA that began anew at 70 would let a call circle for ever: each leg has one hop less, and the circle ends.
#[test]
fn a_call_that_circles_between_us_and_a_carrier() {
    let yaml = edge_with("").replace(
        "routes:",
        "routes:\n  - { to: \"+44*\", from: trunk/acme, do: trunk/acme }",
    );
    let mut w = World::builder(3).config(&yaml).build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::Manual;
    w.policy(acme).ring = None;
    let number = "+442079460000";
    let first = w.call_with(alice, number, &["Max-Forwards: 5"]);
    let mut chain = Vec::new();
    let last = loop {
        assert!(chain.len() < 10, "the circle has no end");
        let incoming = w.incoming(acme);
        let hops = w.at(incoming).invite.text("Max-Forwards").to_owned();
        chain.push((incoming, hops.clone()));
        let again = w.call_with(acme, number, &[&format!("Max-Forwards: {hops}")]);
        w.run(s(1));
        if let State::Ended(status) = w.state(again) {
            break status;
        }
    };
    let hops: Vec<&str> = chain.iter().map(|(_, hops)| hops.as_str()).collect();
    assert_eq!((last, hops), (483, vec!["4", "3", "2", "1", "0"]));
    for (call, _) in chain.into_iter().rev() {
        w.respond(call, 483);
        w.run(s(1));
    }
    w.expect_over(first, 483);
    assert_eq!(statuses(&w, alice, "INVITE").last(), Some(&483));
    w.finish();
}

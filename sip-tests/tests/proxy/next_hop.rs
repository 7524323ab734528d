//! The next hop of what is proxied: RFC 3263 4.3, RFC 3261 16.7 and 18.1.1. (How a name leads to targets at all: `rfc3263.rs`.)

use crate::tools::{office, request, requests, two};
use sip_tests::{Answer, ms, s};
use tandem::effect::Kind;

/// RFC 3263 4.3: each address of the next hop gets a transaction of its own: on 503, and where the transport fails. Other failures are
/// answers.
#[test]
fn each_target_has_its_own_transaction() {
    for (seed, first, second) in [(1, Some(503), 1), (2, Some(500), 0), (3, None, 1)] {
        let (mut w, alice, _) = two(seed);
        let hosts = ["203.0.113.8", "203.0.113.9"];
        w.dns.addresses("a.far.example", &[hosts[0]], 60);
        w.dns.addresses("b.far.example", &[hosts[1]], 60);
        let srv = [
            sip_tests::dns::srv(1, 0, 5060, "a.far.example"),
            sip_tests::dns::srv(2, 0, 5060, "b.far.example"),
        ];
        w.dns.add(Kind::Srv, "_sip._tcp.far.example", srv.to_vec(), 60);
        // Without a status nobody listens there: the connection is refused.
        let a = match first {
            Some(_) => w.tcp_carrier("a", "203.0.113.8:5060"),
            None => w.carrier("a", "203.0.113.8:5060"),
        };
        let b = w.tcp_carrier("b", "203.0.113.9:5060");
        if let Some(status) = first {
            w.policy(a).answer = Answer::Status(status, ms(10), Vec::new());
        }
        let call = w.call(alice, "sip:x@far.example");
        if second == 1 {
            w.up(call);
            w.hang_up(call);
        }
        w.run(s(1));
        w.finish();
        let branches: Vec<String> = [a, b]
            .into_iter()
            .flat_map(|peer| requests(&w, peer, "INVITE"))
            .map(|(_, invite)| invite.branch())
            .collect();
        assert_eq!(requests(&w, b, "INVITE").len(), second, "{first:?}");
        assert!(branches.len() < 2 || branches[0] != branches[1], "{first:?}");
        assert_eq!(w.records.by_call.len(), 1);
    }
}

/// A target that failed is left alone for a while by what is proxied, too.
#[test]
fn a_dead_target_is_held_down() {
    let (mut w, alice, _) = two(4);
    w.dns.addresses("far.example", &["203.0.113.9"], 60);
    w.dns.addresses("dead.far.example", &["203.0.113.8"], 60);
    let srv = [
        sip_tests::dns::srv(1, 0, 5060, "dead.far.example"),
        sip_tests::dns::srv(2, 0, 5060, "far.example"),
    ];
    w.dns.add(Kind::Srv, "_sip._udp.far.example", srv.to_vec(), 600);
    let far = w.stranger("far", "203.0.113.9:5060");
    w.policy(far).loose = 200;
    let ask = |n: u32| {
        request(
            "MESSAGE",
            "sip:x@far.example",
            "sip:alice@example.com",
            &format!("m{n}@alice"),
        )
    };
    // The client has given up when the first target is found dead: its own timer F is as long as ours.
    w.ask(alice, ask(1));
    w.run(s(1));
    let before = w.now;
    assert_eq!(w.ask(alice, ask(2)), 200);
    assert!(w.now.since(before) < s(1), "the dead target was not asked again");
    w.finish();
}

/// A call to a domain whose name leads nowhere: 500 in time (16.7 step 6 makes it of the 503 that 16.9 says), in one record.
#[test]
fn a_domain_that_is_not_there() {
    let mut w = office(5);
    let alice = w.registered("alice");
    let call = w.call(alice, "sip:x@nowhere.example");
    w.expect_over(call, 500);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// RFC 3261 18.1.1: a large request to another domain moves to TCP where the next hop has it; over UDP it leaves as it came, since its
/// fields are the sender's (16.6 step 1).
#[test]
fn a_large_request_to_another_domain() {
    for (seed, tcp) in [(30, true), (31, false)] {
        let (mut w, alice, _) = two(seed);
        w.dns.addresses("far.example", &["203.0.113.9"], 60);
        let far = if tcp {
            w.tcp_carrier("far", "203.0.113.9:5060")
        } else {
            w.stranger("far", "203.0.113.9:5060")
        };
        w.policy(far).loose = 200;
        for size in (0..=13).map(|hundreds| 10 + 100 * hundreds) {
            let ask = request(
                "MESSAGE",
                "sip:x@far.example:5060",
                "sip:alice@example.com",
                &format!("{size}@alice"),
            )
            .with("Subject", &"x".repeat(size));
            assert_eq!(w.ask(alice, ask), 200, "{size} {tcp}");
            let got = w.last_received(far, |m| m.is("MESSAGE"));
            // As it leaves, with all that we write into it.
            let octets = got.write().len();
            let transport = if tcp && octets > 1_300 { "TCP" } else { "UDP" };
            assert!(
                got.text("Via").starts_with(&format!("SIP/2.0/{transport} ")),
                "{size} {tcp}, {octets} octets: {got:?}"
            );
            assert_eq!(got.text("Subject").len(), size);
        }
        w.finish();
    }
}

/// The caller gives up while the connection for a large INVITE is opened: nothing is sent.
#[test]
fn a_large_call_that_is_cancelled_before_it_leaves() {
    let (mut w, alice, _) = two(32);
    let far = w.tcp_carrier("far", "203.0.113.9:5060");
    w.net.link(w.agents[far.0].addr.ip()).cut = true;
    let call = w.call_with(
        alice,
        "sip:x@203.0.113.9:5060",
        &[&format!("Subject: {}", "x".repeat(1_300))],
    );
    w.run(ms(500));
    w.hang_up(call);
    w.expect_over(call, 487);
    w.finish();
    assert!(w.received(far, |_| true).is_empty());
}

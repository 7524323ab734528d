//! How much goes over a trunk, and what happens at the limits of the node: a clear status, and every place given back once.

use crate::tools::{PATIENT, USERS, fails, incoming, refuses, works, world, yaml};
use sip_tests::store::Mode;
use sip_tests::{Answer, CallRef, Peer, State, World, ms, s};

const LONDON: &str = "+442079460000";

fn limited(seed: u64, limits: &str) -> (World, Peer, Peer) {
    let rest = format!(
        "users:
  - {{ name: alice, password: \"wonder land\", number: \"+14155550101\", calls: 100 }}
trunks:
  - {{ name: acme, peers: [ \"sip:198.51.100.1:5060\" ], accept_from: [ 198.51.100.0/24 ], options: never, numbers: {{ country: US }}, limits: {{ {limits} }} }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
  - {{ to: \"600\", do: echo }}
"
    );
    let mut w = world(seed, &rest);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let alice = w.registered("alice");
    (w, alice, acme)
}

/// `limits.calls` counts both directions: a carrier is told 503 with Retry-After's sense (try elsewhere), a phone 480.
#[test]
fn the_calls_of_a_trunk_are_limited_in_both_directions() {
    let (mut w, alice, acme) = limited(1, "calls: 2, calls_per_second: 100");
    let out = w.call(alice, LONDON);
    w.up(out);
    let within = w.call(acme, "+14155550101");
    w.up(within);
    assert_eq!(w.census().trunk_places, 2);
    fails(&mut w, acme, "+14155550101", 503);
    fails(&mut w, alice, LONDON, 480);
    assert_eq!(w.cause(), (480, 34), "Q.850: no circuit");
    assert!(
        w.cdr()
            .ended
            .as_ref()
            .is_some_and(|(_, cause)| cause.text.contains("acme"))
    );
    // What does not use the trunk is not touched.
    works(&mut w, alice, "600");
    w.hang_up(within);
    w.run(ms(100));
    works(&mut w, alice, LONDON);
    w.hang_up(out);
    w.run(ms(100));
    assert_eq!(w.census().trunk_places, 0);
    w.finish();
}

/// `limits.calls_per_second`: a burst of so many, then evenly; a refused call does not count against the next second.
#[test]
fn the_rate_of_a_trunk_is_limited() {
    let (mut w, alice, acme) = limited(2, "calls: 100, calls_per_second: 4");
    let burst: Vec<CallRef> = (0..10).map(|_| w.call(acme, "+14155550101")).collect();
    w.run(ms(100));
    let refused = burst.iter().filter(|call| w.state(**call) == State::Ended(503)).count();
    assert_eq!(refused, 6);
    fails(&mut w, alice, LONDON, 480);
    w.run(ms(200));
    let next: Vec<CallRef> = (0..3).map(|_| w.call(acme, "+14155550101")).collect();
    w.run(ms(100));
    assert_eq!(
        next.iter().filter(|call| w.state(**call) == State::Ended(503)).count(),
        2,
        "one in each quarter of a second"
    );
    w.run(s(2));
    for call in burst {
        w.hang_up(call);
    }
    w.finish();
}

/// Every way a call over a trunk can end gives its place back, once: refused, cancelled, unanswered, silent, answered and hung up
/// from either side, too late an answer, an offer that fits nothing.
#[test]
fn every_end_gives_the_place_back_once() {
    type End = fn(&mut World, Peer, Peer);
    let ends: [(&str, End); 9] = [
        ("refused", |w, alice, acme| {
            refuses(w, acme, 404);
            fails(w, alice, LONDON, 404);
        }),
        ("cancelled", |w, alice, acme| {
            w.policy(acme).answer = Answer::Manual;
            let call = w.call(alice, LONDON);
            w.rings(call);
            w.hang_up(call);
            w.expect_over(call, 487);
        }),
        ("cancelled against the answer", |w, alice, acme| {
            w.policy(acme).answer = Answer::After(ms(300));
            let call = w.call(alice, LONDON);
            w.run(ms(312));
            w.hang_up(call);
            w.run(s(1));
        }),
        ("silent", |w, alice, acme| {
            w.policy(acme).deaf = true;
            fails(w, alice, LONDON, 503);
        }),
        ("ringing too long", |w, alice, acme| {
            w.policy(acme).answer = Answer::Manual;
            fails(w, alice, LONDON, 480);
        }),
        ("hung up by the carrier", |w, alice, acme| {
            w.policy(acme).hangup = Some(s(1));
            let call = w.call(alice, LONDON);
            w.expect_over(call, 200);
        }),
        ("an answer without a common codec", |w, alice, acme| {
            w.policy(acme).formats = vec![sip_tests::description::Format::new(18, "G729/8000")];
            let call = w.call(alice, LONDON);
            w.over(call);
        }),
        ("incoming, nobody there", |w, _, acme| {
            fails(w, acme, "+14155550199", 404);
        }),
        ("incoming, given up", |w, alice, acme| {
            w.policy(alice).answer = Answer::Manual;
            let call = w.call(acme, "+14155550101");
            w.rings(call);
            w.hang_up(call);
            w.expect_over(call, 487);
        }),
    ];
    for (seed, (what, end)) in (10..).zip(ends) {
        let (mut w, alice, acme) = limited(seed, "calls: 1, calls_per_second: 100");
        end(&mut w, alice, acme);
        w.run(s(1));
        assert_eq!(w.census().trunk_places, 0, "{what}");
        w.agent(acme).policy = sip_tests::Policy::default();
        w.run(s(60));
        works(&mut w, alice, LONDON);
        assert_eq!(w.census().trunk_places, 0, "{what}");
        w.finish();
    }
}

/// No RTP port is left: 503 with Retry-After for the one call too many, nobody else is touched, and ports come back.
#[test]
fn without_ports_a_call_is_refused() {
    let rest = "users:
  - { name: alice, password: \"wonder land\", calls: 100 }
routes:
  - { to: \"600\", do: echo }
";
    let text = yaml(rest).replace("20000-20399", "20000-20007");
    let mut w = World::builder(30).config(&text).build();
    let alice = w.registered("alice");
    let calls: Vec<CallRef> = (0..4).map(|_| w.call(alice, "600")).collect();
    w.run(ms(100));
    assert!(calls.iter().all(|call| w.state(*call) == State::Up));
    fails(&mut w, alice, "600", 503);
    w.hang_up(calls[0]);
    w.run(s(1));
    works(&mut w, alice, "600");
    assert!(calls[1..].iter().all(|call| w.state(*call) == State::Up));
    for call in &calls[1..] {
        w.hang_up(*call);
    }
    w.finish();
}

/// Two calls compete for the last place of a trunk in the same moment: exactly one has it.
#[test]
fn the_last_place_is_taken_once() {
    let (mut w, alice, acme) = limited(31, "calls: 1, calls_per_second: 100");
    let (out, within) = (w.call(alice, LONDON), w.call(acme, "+14155550101"));
    w.run(s(3));
    let up = [out, within].iter().filter(|call| w.state(**call) == State::Up).count();
    assert_eq!((up, w.census().trunk_places), (1, 1));
    assert_eq!(incoming(&w, acme).len() + incoming(&w, alice).len(), 1);
    w.finish();
}

/// A store that hangs under a flood of REGISTERs: each is told 500 in time, and a call that is up does not notice.
#[test]
fn calls_go_on_beside_a_flood_of_registrations() {
    let mut w = world(32, &format!("{USERS}{PATIENT}"));
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.store.mode = Mode::Hangs;
    flood(&mut w, bob, 300);
    w.run(ms(200));
    assert_eq!(w.census().registers, 300);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(6));
    assert_eq!(w.census().registers, 0);
    assert_eq!(w.received(bob, |m| m.answers("REGISTER", 500)).len(), 300);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// So many REGISTERs of one phone, each with a Call-ID of its own.
fn flood(w: &mut World, phone: Peer, count: usize) {
    for n in 0..count {
        let lines = [
            "Contact: <sip:bob@203.0.0.11:6000>".to_owned(),
            format!("Call-ID: flood{n}@bob"),
        ];
        w.act(phone.0, |agent, cx| agent.register_with(cx, &[&lines[0], &lines[1]]));
    }
}

/// One who is busy may still call, to consult and to transfer, but takes no more of the node than that.
#[test]
fn a_user_places_ten_calls_more_than_make_him_busy() {
    let rest = format!("{USERS}routes:\n  - {{ to: \"601\", do: tone }}\n");
    let mut w = world(60, &rest);
    let alice = w.registered("alice");
    let calls: Vec<CallRef> = (0..12)
        .map(|_| {
            let call = w.call(alice, "601");
            w.up(call);
            call
        })
        .collect();
    fails(&mut w, alice, "601", 403);
    w.hang_up(calls[0]);
    w.expect_over(calls[0], 200);
    works(&mut w, alice, "601");
    for call in &calls[1..] {
        w.hang_up(*call);
    }
    w.finish();
}

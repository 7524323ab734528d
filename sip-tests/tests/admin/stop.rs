//! SIGTERM: no new calls, a grace time for those that are up, then BYE; nothing stays behind.

use crate::tools::{USERS, exchange, fails, outside, works, world};
use sip_tests::{Answer, Peer, State, World, ms, s};

const TRUNK: &str = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: { country: US } }
routes:
  - { to: \"600\", do: echo }
  - { to: \"+\", from: user/*, do: trunk/acme }
";

fn office(seed: u64) -> (World, Peer, Peer, Peer) {
    let mut w = world(seed, &format!("{USERS}{TRUNK}"));
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    (w, alice, bob, acme)
}

/// Within the grace time: 503 with Retry-After for new calls from everywhere, OPTIONS says 503 too (interop 58), a call that is up
/// goes on with all that belongs to it, and its end is the end of the node.
#[test]
fn calls_that_are_up_may_end_by_themselves() {
    let (mut w, alice, bob, acme) = office(1);
    let (a, b) = w.talk(alice, bob, "bob");
    w.stop(s(30));
    assert!(!w.is_stopped());
    fails(&mut w, alice, "600", 503);
    fails(&mut w, acme, "+14155550101", 503);
    assert!(
        w.last_received(acme, |m| m.answers("INVITE", 503))
            .get("Retry-After")
            .is_some()
    );
    let response = exchange(
        &mut w,
        acme,
        outside("OPTIONS", "sip:example.com", "sip:a@b", "drain", 1),
    );
    assert!(response.status() == 503 && response.has_token("Allow", "INVITE"));
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(5));
    assert_eq!(w.resume(a), 200);
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.run(s(1));
    assert!(w.is_stopped());
    assert_eq!(w.media.legs(), 0);
    w.finish();
}

/// When the grace time is over, both sides of every call get a BYE with a reason, and calls that ring get their final answer.
#[test]
fn after_the_grace_time_all_calls_end() {
    let (mut w, alice, bob, acme) = office(2);
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(acme).answer = Answer::Manual;
    let ringing = w.call(alice, "+442079460000");
    w.rings(ringing);
    let echo = w.call(bob, "600");
    w.up(echo);
    w.stop(s(10));
    w.run(s(9));
    assert_eq!(
        (w.state(a), w.state(ringing), w.state(echo)),
        (State::Up, State::Ringing, State::Up)
    );
    w.run(ms(1_100));
    assert_eq!(
        (w.state(a), w.state(b), w.state(echo)),
        (State::Ended(200), State::Ended(200), State::Ended(200))
    );
    assert_eq!(w.state(ringing), State::Ended(503));
    assert!(
        w.at(b).reason.as_ref().is_some_and(|reason| reason.contains("Q.850")),
        "{:?}",
        w.at(b).reason
    );
    w.run(s(1));
    assert!(w.is_stopped());
    assert!(
        w.agents[acme.0]
            .calls
            .iter()
            .all(|call| call.state == State::Ended(487))
    );
    let ended: Vec<u16> = w
        .records
        .by_call
        .values()
        .filter_map(|cdr| cdr.ended.as_ref())
        .map(|(_, cause)| cause.status)
        .collect();
    assert_eq!(ended, [503; 3], "each record says why");
    w.finish();
}

/// A phone that does not answer the BYE holds the node up for 64*T1 at most (RFC 3261 17.1.2.2); the record is closed at once.
#[test]
fn a_silent_phone_does_not_hold_the_node_for_ever() {
    let (mut w, alice, bob, _) = office(3);
    let (a, _) = w.talk(alice, bob, "bob");
    w.policy(bob).deaf = true;
    w.stop(s(0));
    w.run(s(3));
    assert_eq!(w.state(a), State::Ended(200));
    assert_eq!(w.records.open, 0);
    w.run(s(30));
    assert!(w.is_stopped());
    w.checks.complaints = false;
    w.finish();
}

/// A REGISTER that waits for the store is answered before the node goes; phones may still refresh, so that they are found after.
#[test]
fn registrations_are_finished() {
    let (mut w, alice, _, _) = office(4);
    w.store.mode = sip_tests::store::Mode::Works(s(2));
    w.act(alice.0, |agent, cx| agent.register(cx, 600));
    w.run(ms(100));
    w.stop(s(0));
    assert!(!w.is_stopped(), "one waits");
    w.until("it is answered", |w| w.agents[0].registration.last_status == 200);
    assert!(w.is_stopped());
    w.store.mode = sip_tests::store::Mode::Works(ms(2));
    w.register(alice);
    w.restart();
    let bob = w.phone("bob");
    works(&mut w, bob, "alice");
    w.finish();
}

/// Told twice: the second word with no grace ends at once what the first one let go on.
#[test]
fn a_second_stop_is_for_now() {
    let (mut w, alice, bob, _) = office(5);
    let (a, b) = w.talk(alice, bob, "bob");
    w.stop(s(600));
    w.run(s(1));
    w.stop(s(0));
    w.run(s(1));
    assert_eq!((w.state(a), w.state(b)), (State::Ended(200), State::Ended(200)));
    assert!(w.is_stopped());
    w.finish();
}

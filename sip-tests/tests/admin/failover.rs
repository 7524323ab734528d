//! Calls to a carrier whose peers fail: timeout, 503, no connection; hold-down, OPTIONS, CANCEL at every moment.

use crate::tools::{USERS, fails, incoming, refuses, trunk_facts, works, world};
use sip_tests::{Answer, Peer, State, World, ms, s};

fn two(seed: u64, more: &str) -> (World, Peer, Peer, Peer) {
    let trunk = format!(
        "trunks:
  - {{ name: acme, peers: [ \"sip:198.51.100.1:5060\", \"sip:198.51.100.2:5060\" ], numbers: {{ country: US }}, connect: 3s, {more} }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
"
    );
    let mut w = world(seed, &format!("{USERS}{trunk}"));
    let (first, second) = (
        w.carrier("first", "198.51.100.1:5060"),
        w.carrier("second", "198.51.100.2:5060"),
    );
    let alice = w.registered("alice");
    (w, alice, first, second)
}

const LONDON: &str = "+442079460000";

/// RFC 3263 4.3: a peer that says nothing is left after `connect`, long before timer B; it is tried last from then on.
#[test]
fn a_silent_peer_is_left_for_the_next() {
    let (mut w, alice, first, second) = two(1, "options: never");
    w.policy(first).deaf = true;
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(
        (s(4)..s(5)).contains(&w.now.since(before)),
        "3 s in vain and 1 s of ringing"
    );
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(w.now.since(before) < s(2), "held down: the second is asked first");
    assert_eq!(incoming(&w, second).len(), 2);
    assert_eq!(
        trunk_facts(&w)
            .iter()
            .filter(|told| told.contains("198.51.100.1") && told.contains("down"))
            .count(),
        1
    );
    // After the hold-down it has its place again. (Until then our INVITE is repeated and cancelled if it is heard.)
    w.run(s(40));
    w.policy(first).deaf = false;
    works(&mut w, alice, LONDON);
    assert_eq!((incoming(&w, first).len(), incoming(&w, second).len()), (1, 2));
    assert!(
        trunk_facts(&w)
            .last()
            .is_some_and(|told| told.contains("198.51.100.1") && told.contains("up"))
    );
    w.finish();
}

/// A peer that answers in the very moment when it is given up: its 2xx is acknowledged and ended, the call is the other's.
#[test]
fn a_late_answer_of_a_silent_peer_is_ended() {
    let (mut w, alice, first, second) = two(2, "options: never");
    w.policy(first).trying = false;
    w.policy(first).ring = None;
    w.policy(first).answer = Answer::After(ms(2995));
    w.policy(second).answer = Answer::After(s(5));
    let call = w.call(alice, LONDON);
    w.up(call);
    w.run(s(1));
    let late = incoming(&w, first)[0];
    assert!(
        w.at(late).acked && w.state(late) == State::Ended(200),
        "{:?}",
        w.state(late)
    );
    assert_eq!(w.state(incoming(&w, second)[0]), State::Up);
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 21.5.4: 503 means another peer at once; when all say so the caller is told 503, and the places are free.
#[test]
fn an_overloaded_peer_is_left_at_once() {
    let (mut w, alice, first, second) = two(3, "options: never, limits: { calls: 1 }");
    refuses(&mut w, first, 503);
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(w.now.since(before) < ms(1500));
    refuses(&mut w, second, 503);
    fails(&mut w, alice, LONDON, 503);
    assert_eq!(w.census().trunk_places, 0);
    refuses(&mut w, second, 404);
    fails(&mut w, alice, LONDON, 404);
    assert_eq!(
        incoming(&w, first).len(),
        3,
        "in its turn, as the last resort, and in its turn when all are down"
    );
    w.finish();
}

/// A peer that has rung has the call: its 503 after that is the end (nobody is rung twice, nothing billed twice).
#[test]
fn a_peer_that_rang_is_not_replaced() {
    let (mut w, alice, first, second) = two(4, "options: never");
    w.policy(first).answer = Answer::Status(503, s(3), Vec::new());
    fails(&mut w, alice, LONDON, 503);
    assert!(incoming(&w, second).is_empty());
    w.finish();
}

/// RFC 3261 18.1.1: a peer on TCP that refuses the connection, or where nobody answers the opening, is left for the next.
#[test]
fn a_peer_without_connection_is_left() {
    let tcp = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060;transport=tcp\", \"sip:198.51.100.9:5060;transport=tcp\", \"sip:198.51.100.2:5060;transport=tcp\" ],
      numbers: { country: US }, options: never }
routes:
  - { to: \"+\", from: user/*, do: trunk/acme }
";
    let mut w = world(5, &format!("{USERS}{tcp}"));
    let alice = w.registered("alice");
    // The first host refuses, at 198.51.100.9 there is nothing at all, the third works.
    let (refusing, third) = (
        w.carrier("refusing", "198.51.100.1:5060"),
        w.tcp_carrier("third", "198.51.100.2:5060"),
    );
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(
        (s(5)..s(6)).contains(&w.now.since(before)),
        "4 s for the opening, 1 s of ringing: {:?}",
        w.now.since(before)
    );
    works(&mut w, alice, LONDON);
    assert_eq!((incoming(&w, refusing).len(), incoming(&w, third).len()), (0, 2));
    let to_third = w
        .streams
        .list
        .iter()
        .filter(|stream| stream.ends[1].addr == w.agents[third.0].addr)
        .count();
    assert_eq!(to_third, 1, "one connection is used again");
    w.finish();
}

/// A connection that breaks before any answer is a failure of the peer; one that breaks in a call is not the end of it.
#[test]
fn a_connection_that_breaks_costs_the_peer_and_not_the_call() {
    let tcp = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060;transport=tcp\", \"sip:198.51.100.2:5060\" ], numbers: { country: US }, options: never }
routes:
  - { to: \"+\", from: user/*, do: trunk/acme }
";
    let mut w = world(6, &format!("{USERS}{tcp}"));
    let alice = w.registered("alice");
    let (first, second) = (
        w.tcp_carrier("first", "198.51.100.1:5060"),
        w.carrier("second", "198.51.100.2:5060"),
    );
    let (a, c) = w.talk(alice, first, LONDON);
    w.cut_stream(0);
    w.run(s(1));
    assert_eq!(w.state(a), State::Up);
    assert_eq!(w.hold(a, "sendonly"), 200, "a new connection is opened for it");
    w.run(s(1));
    assert_eq!(w.at(c).requests.iter().filter(|method| *method == "INVITE").count(), 1);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.policy(first).ring = None;
    w.policy(first).answer = Answer::Manual;
    let call = w.call(alice, LONDON);
    w.run(ms(300));
    let last = w.streams.list.len() - 1;
    w.cut_stream(last);
    w.up(call);
    assert_eq!(incoming(&w, second).len(), 1);
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 11: OPTIONS finds a dead peer before a call does, and finds that it is back.
#[test]
fn options_finds_dead_peers_before_calls_do() {
    let (mut w, alice, first, second) = two(7, "options: 20s");
    w.run(s(60));
    assert!(w.received(first, |m| m.is("OPTIONS")).len() >= 2);
    w.policy(first).deaf = true;
    w.run(s(60));
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(w.now.since(before) < s(2), "the second was asked first");
    assert_eq!(incoming(&w, second).len(), 1);
    w.policy(first).deaf = false;
    w.run(s(30));
    works(&mut w, alice, LONDON);
    assert_eq!(incoming(&w, first).len(), 1, "it answered OPTIONS");
    let told = trunk_facts(&w);
    let of_first: Vec<bool> = told
        .iter()
        .filter(|told| told.contains("198.51.100.1"))
        .map(|told| told.contains(" up:"))
        .collect();
    assert_eq!(of_first, [false, true], "{told:?}");
    w.finish();
}

/// Every peer is down: they are tried all the same, and the caller hears of it as soon as the last has been tried.
#[test]
fn when_all_are_down_all_are_tried() {
    let (mut w, alice, first, second) = two(8, "options: never");
    w.policy(first).deaf = true;
    w.policy(second).deaf = true;
    for _ in 0..2 {
        let before = w.now;
        fails(&mut w, alice, LONDON, 503);
        assert!((s(6)..s(7)).contains(&w.now.since(before)), "{:?}", w.now.since(before));
        assert_eq!(w.cause().1, 38, "Q.850: network out of order");
    }
    w.policy(second).deaf = false;
    works(&mut w, alice, LONDON);
    w.finish();
}

/// RFC 3261 9.1: the caller gives up while the first peer is silent, while the second is tried, while it rings: 487 always, and
/// no peer is left with a call.
#[test]
fn cancel_during_failover() {
    for after in [10, 500, 2_990, 3_000, 3_010, 3_050, 3_400] {
        let (mut w, alice, first, second) = two(9, "options: never, limits: { calls: 1 }");
        w.policy(first).deaf = true;
        w.policy(second).answer = Answer::Manual;
        let call = w.call(alice, LONDON);
        w.run(ms(after));
        w.hang_up(call);
        w.expect_over(call, 487);
        w.run(s(1));
        assert!(
            incoming(&w, second).iter().all(|call| !w.at(*call).is_live()),
            "after {after} ms"
        );
        assert_eq!(w.census().trunk_places, 0, "after {after} ms");
        w.policy(second).answer = Answer::After(ms(100));
        works(&mut w, alice, LONDON);
        w.finish();
    }
}

/// RFC 3261 21.5.4: Retry-After of a 503 is the hold-down, whatever was usual; at most five minutes of it.
#[test]
fn a_peer_says_for_how_long_it_is_unavailable() {
    for (seed, asked, held) in [(40, 120, 120), (41, 86_400, 300), (42, 5, 5)] {
        let (mut w, alice, first, second) = two(seed, "options: never");
        w.policy(first).ring = None;
        w.policy(first).answer = Answer::Status(503, ms(20), vec![format!("Retry-After: {asked}")]);
        works(&mut w, alice, LONDON);
        w.policy(first).answer = Answer::After(ms(20));
        w.run(s(held - 4));
        works(&mut w, alice, LONDON);
        assert_eq!(
            (incoming(&w, first).len(), incoming(&w, second).len()),
            (1, 2),
            "{asked}"
        );
        w.run(s(4));
        works(&mut w, alice, LONDON);
        assert_eq!(
            (incoming(&w, first).len(), incoming(&w, second).len()),
            (2, 2),
            "{asked}"
        );
        w.finish();
    }
}

/// A 408 of a peer that has not rung is a peer that found nobody behind it: the next one is tried, as after a 503. One that rang
/// has told what there is to tell, and is alive.
#[test]
fn a_408_is_failed_over_unless_it_rang() {
    let (mut w, alice, first, second) = two(43, "options: never");
    refuses(&mut w, first, 408);
    works(&mut w, alice, LONDON);
    assert_eq!(incoming(&w, second).len(), 1);
    assert!(trunk_facts(&w).iter().any(|told| told.contains("down")));
    w.run(s(60));
    w.policy(first).ring = Some(ms(10));
    w.policy(first).answer = Answer::Status(408, ms(500), Vec::new());
    fails(&mut w, alice, LONDON, 408);
    assert_eq!((incoming(&w, first).len(), incoming(&w, second).len()), (2, 1));
    assert!(trunk_facts(&w).last().is_some_and(|told| told.contains("up")));
    w.finish();
}

//! INVITE with Replaces: pick-up and take-over: RFC 3891.

use crate::tools::{calling, replaces};
use sip_tests::{CallRef, Peer, State, World, ms, s};

fn three(seed: u64) -> (World, Peer, Peer, Peer) {
    let mut w = World::builder(seed).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    (w, alice, bob, carol)
}

fn take(w: &mut World, who: Peer, line: &str) -> CallRef {
    w.call_with(who, "bob", &[&format!("Replaces: {line}"), "Require: replaces"])
}

/// RFC 3891 3: bob rings, carol takes the call: he is cancelled, alice talks with her.
#[test]
fn a_ringing_call_is_picked_up() {
    let (mut w, alice, bob, carol) = three(1);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    let line = format!("{};early-only", replaces(&w, b));
    let c = take(&mut w, carol, &line);
    w.up(c);
    w.up(a);
    w.expect_over(b, 487);
    w.expect_tones(a, c);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
    assert!(
        w.cdr()
            .changes
            .iter()
            .any(|change| change.contains("takes the call over")),
        "{:?}",
        w.cdr().changes
    );
    assert_eq!(w.records.by_call.len(), 1);
}

/// RFC 3891 3: a call that is up moves to another phone: bob gets a BYE, alice keeps her dialog.
#[test]
fn an_answered_call_is_taken_over() {
    let (mut w, alice, bob, carol) = three(2);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(s(1));
    let line = replaces(&w, b);
    let c = take(&mut w, carol, &line);
    w.up(c);
    w.expect_over(b, 200);
    assert_eq!(w.state(a), State::Up);
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
}

/// The caller's own leg moves to another phone of hers.
#[test]
fn the_callers_leg_is_taken_over() {
    let (mut w, alice, bob, carol) = three(3);
    let (a, b) = w.talk(alice, bob, "bob");
    let line = replaces(&w, a);
    let c = take(&mut w, carol, &line);
    w.up(c);
    w.expect_over(a, 200);
    w.expect_tones(c, b);
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3891 3: no such dialog: 481; an early-only Replaces of an answered call: 486; the call goes on.
#[test]
fn what_cannot_be_replaced() {
    let (mut w, alice, bob, carol) = three(4);
    let (a, b) = w.talk(alice, bob, "bob");
    let line = replaces(&w, b);
    for (line, status) in [
        (format!("{line}x"), 481),
        (line.replace(";to-tag=", ";to-tag=x"), 481),
        (format!("{line};early-only"), 486),
        ("nothing".to_owned(), 400),
    ] {
        let c = take(&mut w, carol, &line);
        assert_eq!(w.over(c), status, "{line}");
    }
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    let c = take(&mut w, carol, &line);
    let status = w.over(c);
    assert!(status == 481 || status == 603, "it is over: {status}");
    w.finish();
}

/// RFC 3891 3: an early dialog that the other side began is not ours to replace.
#[test]
fn the_callers_early_dialog_is_not_replaced() {
    let (mut w, alice, bob, carol) = three(5);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    let line = replaces(&w, a);
    let c = take(&mut w, carol, &line);
    w.expect_over(c, 481);
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3891 8: who may not replace: a carrier.
#[test]
fn a_carrier_may_not_replace() {
    let (mut w, alice, bob, _) = three(6);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a, b) = w.talk(alice, bob, "bob");
    let line = format!("Replaces: {}", replaces(&w, b));
    let c = w.call_with(acme, "+14155550102", &[&line]);
    w.expect_over(c, 403);
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// The race: bob answers while carol takes the call: one of them has it, the other gets 487 or an ended call, nobody both.
#[test]
fn answered_and_picked_up_at_once() {
    for late in 0..24 {
        let (mut w, alice, bob, carol) = three(7);
        let (a, b) = calling(&mut w, alice, bob, "bob");
        w.respond(b, 180);
        w.rings(a);
        let line = format!("{};early-only", replaces(&w, b));
        // The challenge takes a round trip: carol's second INVITE arrives after 15 ms.
        let c = take(&mut w, carol, &line);
        w.run(ms(late));
        if w.at(b).is_live() {
            w.accept(b);
        }
        w.up(a);
        w.run(s(2));
        let up: Vec<CallRef> = [b, c].into_iter().filter(|call| w.state(*call) == State::Up).collect();
        assert_eq!(up.len(), 1, "{late}");
        w.expect_tones(a, up[0]);
        w.hang_up(a);
        w.expect_over(up[0], 200);
        w.finish();
    }
}

/// Whoever picks a call up is in one call, not in two: the place of the search is given back, and the picker's own with the call.
#[test]
fn a_picker_is_in_one_call_and_free_again_after_it() {
    let mut w = World::new(8);
    let (alice, bob, dave) = (w.registered("alice"), w.registered("bob"), w.registered("dave"));
    for _ in 0..3 {
        let (a, b) = calling(&mut w, alice, bob, "bob");
        w.respond(b, 180);
        w.rings(a);
        let line = format!("{};early-only", replaces(&w, b));
        let d = take(&mut w, dave, &line);
        w.up(d);
        w.up(a);
        assert_eq!(w.census().user_places, 2, "alice and dave");
        w.hang_up(a);
        w.expect_over(d, 200);
        w.run(s(1));
        assert_eq!(w.census().user_places, 0);
    }
    // dave has one place only.
    let (a, d) = w.talk(alice, dave, "dave");
    w.hang_up(a);
    w.expect_over(d, 200);
    w.finish();
}

/// RFC 3891 8 leaves to policy who may replace: the users of one domain each other's calls, and nobody else's.
#[test]
fn nobody_picks_up_the_calls_of_another_domain() {
    let yaml = sip_tests::script::EDGE
        .replace("[ example.com ]", "[ example.com, other.example ]")
        .replace(
            "users:\n",
            "users:\n  - { name: erin, password: secret, domain: other.example }\n",
        );
    let mut w = World::builder(9).config(&yaml).build();
    let (alice, bob, erin) = (w.registered("alice"), w.registered("bob"), w.registered("erin"));
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    let line = replaces(&w, b);
    let e = take(&mut w, erin, &line);
    w.expect_over(e, 403);
    w.accept(b);
    w.up(a);
    let e = take(&mut w, erin, &line);
    w.expect_over(e, 403);
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.hang_up(a);
    w.finish();
}

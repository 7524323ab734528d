//! Attended transfer: REFER with Replaces: RFC 3891, RFC 5589 7, interop item 52.

use crate::tools::{calling, notified, refer_to_replace};
use sip_tests::{CallRef, Peer, State, World, ms, s};

/// alice talks with bob and, having put him on hold, with carol.
struct Both {
    w: World,
    carol: Peer,
    /// alice's and bob's sides.
    first: (CallRef, CallRef),
    /// alice's and carol's sides.
    second: (CallRef, CallRef),
}

fn both(seed: u64) -> Both {
    let mut w = World::builder(seed).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let first = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(first.0, "sendonly"), 200);
    let second = w.talk(alice, carol, "carol");
    Both {
        w,
        carol,
        first,
        second,
    }
}

fn refer(w: &mut World, from: CallRef, user: &str, replaced: CallRef) -> u16 {
    let line = refer_to_replace(w, user, replaced);
    w.request(from, "REFER", &[&line], None)
}

/// RFC 5589 7.1: alice joins bob and carol. Their media legs live on different workers: one moves; the hold is over.
#[test]
fn the_far_legs_meet_on_one_worker() {
    let Both {
        mut w,
        carol,
        first: (a1, b),
        second: (a2, c),
    } = both(1);
    w.run(s(1));
    let before = w.media.moves;
    assert_eq!(refer(&mut w, a1, "carol", a2), 202);
    w.expect_over(a1, 200);
    w.expect_over(a2, 200);
    assert_eq!(notified(&w, a1), [100, 200]);
    w.expect_tones(b, c);
    assert_eq!(w.media.moves, before + 1, "the legs of two workers");
    assert_eq!(w.agents[carol.0].calls.len(), 1, "carol got no second call");
    w.hang_up(c);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 2);
    assert!(
        w.records
            .by_call
            .values()
            .all(|cdr| cdr.ended.as_ref().is_some_and(|(_, cause)| cause.q850 == 16))
    );
}

/// The same with the roles changed: alice was called by carol, and sends her REFER in that call.
#[test]
fn by_a_transferor_who_was_called() {
    let mut w = World::builder(2).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (b, a1) = w.talk(bob, alice, "alice");
    assert_eq!(w.hold(a1, "inactive"), 200);
    let (c, a2) = w.talk(carol, alice, "alice");
    assert_eq!(refer(&mut w, a2, "bob", a1), 202);
    w.expect_over(a1, 200);
    w.expect_over(a2, 200);
    w.expect_tones(b, c);
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// A carrier's call and a colleague: the far leg may be a trunk's; its place on the trunk is given back at the end.
#[test]
fn a_trunk_leg_is_joined_with_a_phone() {
    let mut w = World::builder(3).media().build();
    let (alice, carol) = (w.registered("alice"), w.registered("carol"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (t, a1) = w.talk(acme, alice, "+14155550101");
    let (a2, c) = w.talk(alice, carol, "carol");
    assert_eq!(refer(&mut w, a1, "carol", a2), 202);
    w.expect_over(a1, 200);
    w.expect_over(a2, 200);
    w.expect_tones(t, c);
    w.hang_up(c);
    w.expect_over(t, 200);
    w.finish();
}

/// RFC 3891 3, RFC 5589 7.3: a dialog that nobody knows: NOTIFY says 481, and the call goes on.
#[test]
fn an_unknown_dialog() {
    let Both {
        mut w,
        first: (a1, b),
        second: (a2, c),
        ..
    } = both(4);
    let line = refer_to_replace(&w, "carol", a2).replace("to-tag%3D", "to-tag%3Dx");
    assert_eq!(w.request(a1, "REFER", &[&line], None), 202);
    w.run(s(1));
    assert_eq!(notified(&w, a1), [100, 481]);
    assert_eq!(w.resume(a1), 200);
    w.expect_tones(a1, b);
    for call in [a1, a2] {
        w.hang_up(call);
    }
    w.expect_over(b, 200);
    w.expect_over(c, 200);
    w.finish();
}

/// A REFER that replaces its own dialog, and one whose Replaces cannot be read.
#[test]
fn a_dialog_that_replaces_itself() {
    let Both {
        mut w,
        first: (a1, b),
        second: (a2, c),
        ..
    } = both(5);
    assert_eq!(refer(&mut w, a1, "bob", a1), 202);
    w.run(s(1));
    assert_eq!(notified(&w, a1), [100, 481]);
    assert_eq!(
        w.request(
            a1,
            "REFER",
            &["Refer-To: <sip:carol@example.com?Replaces=half%3Bfrom-tag%3D1>"],
            None
        ),
        400
    );
    assert_eq!((w.state(b), w.state(c)), (State::Up, State::Up));
    w.hang_up(a1);
    w.hang_up(a2);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 5589 7.6: carol rings still: the search for her moves; she answers and talks with bob.
#[test]
fn the_target_rings_still() {
    let mut w = World::builder(6).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (a1, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a1, "sendonly"), 200);
    let (a2, c) = calling(&mut w, alice, carol, "carol");
    w.respond(c, 180);
    w.rings(a2);
    assert_eq!(refer(&mut w, a1, "carol", a2), 202);
    w.expect_over(a2, 487);
    w.run(s(1));
    assert_eq!(notified(&w, a1), [100, 180]);
    w.accept(c);
    w.expect_over(a1, 200);
    w.expect_tones(b, c);
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 5589 7.6: the same, and carol refuses: alice has bob back.
#[test]
fn the_target_rings_still_and_refuses() {
    let mut w = World::builder(7).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (a1, b) = w.talk(alice, bob, "bob");
    let (a2, c) = calling(&mut w, alice, carol, "carol");
    w.respond(c, 180);
    w.rings(a2);
    assert_eq!(refer(&mut w, a1, "carol", a2), 202);
    w.expect_over(a2, 487);
    w.respond(c, 603);
    w.run(s(1));
    assert_eq!(notified(&w, a1).last(), Some(&603));
    w.expect_tones(a1, b);
    w.hang_up(a1);
    w.expect_over(b, 200);
    w.finish();
}

/// The race of REFER and BYE: the far side of the other call hangs up around the time of the REFER.
#[test]
fn the_target_hangs_up_meanwhile() {
    for late in 0..25 {
        let Both {
            mut w,
            first: (a1, b),
            second: (a2, c),
            ..
        } = both(8);
        let line = refer_to_replace(&w, "carol", a2);
        w.after(ms(late), move |w| w.hang_up(c));
        w.run(ms(12));
        w.on(a1, |agent, cx, call| {
            agent.send_in_call(cx, call, "REFER", &[&line], None);
        });
        w.run(s(2));
        assert!(!w.at(c).is_live() && !w.at(a2).is_live());
        // Either bob was joined with carol and lost her, or alice still has him.
        let last = notified(&w, a1).last().copied();
        assert_eq!(w.at(b).is_live(), last == Some(481), "{late}: {last:?}");
        w.hang_up(a1);
        w.finish();
    }
}

/// The leg that moves from one worker to another is hung up while it is on its way.
#[test]
fn a_leg_is_closed_while_it_moves() {
    for late in 0..25 {
        let Both {
            mut w,
            first: (a1, b),
            second: (a2, c),
            ..
        } = both(late);
        let line = refer_to_replace(&w, "carol", a2);
        w.on(a1, |agent, cx, call| {
            agent.send_in_call(cx, call, "REFER", &[&line], None);
        });
        w.run(ms(late));
        w.hang_up(b);
        w.expect_over(c, 200);
        w.expect_over(a1, 200);
        w.finish();
    }
}

/// The second call began under another configuration, in which the carrier has another place: its search moves all the same, and its
/// place on the trunk is given back once.
#[test]
fn the_target_rings_still_and_the_configuration_has_changed() {
    let mut w = World::new(9);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a1, b) = w.talk(alice, bob, "bob");
    let other = "trunks:\n  - { name: other, peers: [ \"sip:203.0.113.99\" ], options: never }\n";
    w.reload(&sip_tests::script::EDGE.replace("trunks:\n", other));
    let (a2, c) = calling(&mut w, alice, acme, "+442079460000");
    w.respond(c, 180);
    w.rings(a2);
    assert_eq!(refer(&mut w, a1, "anybody", a2), 202);
    w.expect_over(a2, 487);
    w.run(s(1));
    assert_eq!(notified(&w, a1), [100, 180]);
    w.accept(c);
    w.expect_over(a1, 200);
    assert_eq!(
        (w.state(b), w.state(c), w.census().trunk_places),
        (State::Up, State::Up, 1)
    );
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// The same, and the carrier is gone from the configuration of the first call's side: nothing moves, and both calls go on.
#[test]
fn the_target_rings_at_a_carrier_that_the_first_call_does_not_know() {
    let mut w = World::builder(10)
        .config(&sip_tests::script::EDGE.replace("acme", "other"))
        .build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a1, b) = w.talk(alice, bob, "bob");
    w.reload(sip_tests::script::EDGE);
    let (a2, c) = calling(&mut w, alice, acme, "+442079460000");
    w.respond(c, 180);
    w.rings(a2);
    assert_eq!(refer(&mut w, a1, "anybody", a2), 202);
    w.run(s(1));
    assert_eq!(notified(&w, a1), [100, 481]);
    w.accept(c);
    w.up(a2);
    assert_eq!((w.state(a1), w.state(b)), (State::Up, State::Up));
    w.hang_up(a1);
    w.hang_up(a2);
    w.finish();
}

/// RFC 3891 8: a dialog of somebody else is as unknown as one that is not there: bob may not join the people alice talks with.
#[test]
fn only_calls_of_ones_own_are_joined() {
    let Both {
        mut w,
        first: (a1, b),
        second: (a2, c),
        ..
    } = both(11);
    assert_eq!(refer(&mut w, b, "carol", a2), 202);
    w.run(s(1));
    assert_eq!(notified(&w, b), [100, 481]);
    for call in [a1, b, a2, c] {
        assert_eq!(w.state(call), State::Up);
    }
    w.hang_up(a1);
    w.hang_up(a2);
    w.finish();
}

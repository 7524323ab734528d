//! Two changes at once: RFC 3261 14.1, 14.2, interop item 33.

use crate::tools::{direction, reinvites, same, two};
use sip_tests::{CallRef, Peer, State, World, ms, s};
use std::time::Duration;

/// Holds from one side; the re-INVITE of the other side crosses ours. Gives how long we waited to try again.
fn glare(seed: u64, holder_calls: bool) -> Duration {
    let (mut w, alice, bob) = two(seed);
    let (a, b) = w.talk(alice, bob, "bob");
    let (holder, other, peer) = if holder_calls { (a, b, bob) } else { (b, a, alice) };
    w.on(holder, |agent, cx, call| {
        agent.reinvite(cx, call, direction("sendonly"))
    });
    w.run(ms(8));
    assert_eq!(w.reinvite(other, same()), 491, "RFC 3261 14.2: ours is under way");
    w.run(s(10));
    let ours = reinvites(&w, peer);
    assert_eq!(ours.len(), 2, "refused by 491 once, then taken");
    assert_eq!(w.at(other).sdp.direction, "recvonly");
    assert_eq!(w.reinvite(other, same()), 200, "the state is usable");
    assert_eq!(w.resume(holder), 200);
    w.run(s(1));
    assert_eq!(w.at(other).sdp.direction, "sendrecv");
    w.hang_up(holder);
    w.expect_over(other, 200);
    w.finish();
    ours[1].0.since(ours[0].0)
}

/// RFC 3261 14.1: we made the Call-ID of the callee's leg: 2.1 to 4 s.
#[test]
fn glare_on_the_leg_that_we_called() {
    let waits: Vec<Duration> = (0..12).map(|seed| glare(seed, true)).collect();
    assert!(
        waits.iter().all(|wait| (ms(2100)..=ms(4020)).contains(wait)),
        "{waits:?}"
    );
    assert!(waits.iter().any(|wait| *wait != waits[0]), "by chance: {waits:?}");
}

/// RFC 3261 14.1: the caller made the Call-ID of its leg: we wait 0 to 2 s.
#[test]
fn glare_on_the_callers_leg() {
    let waits: Vec<Duration> = (0..12).map(|seed| glare(seed, false)).collect();
    assert!(waits.iter().all(|wait| *wait <= ms(2020)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait != waits[0]), "by chance: {waits:?}");
}

/// RFC 3261 14.2: a second INVITE before the first has a final response: 500 with Retry-After, and the first goes on.
#[test]
fn an_invite_while_the_first_still_rings() {
    let (mut w, alice, bob) = two(3);
    let (a, b) = crate::tools::calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    assert_eq!(w.reinvite(a, same()), 500);
    check_retry_after(&w, alice);
    w.accept(b);
    w.up(a);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 14.2: the 200 to the first INVITE has no ACK yet.
#[test]
fn an_invite_before_the_ack_of_the_first() {
    let (mut w, alice, _) = two(4);
    w.policy(alice).drop_acks = 1;
    let a = w.call(alice, "bob");
    w.up(a);
    assert_eq!(w.reinvite(a, same()), 500);
    check_retry_after(&w, alice);
    w.run(s(2));
    assert_eq!(w.reinvite(a, same()), 200, "after the ACK of the copy it is taken");
    w.hang_up(a);
    w.finish();
}

fn check_retry_after(w: &World, peer: Peer) {
    let refusal = w.last_received(peer, |m| m.answers("INVITE", 500));
    assert!(
        refusal
            .text("Retry-After")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds <= 10),
        "{}",
        refusal.start
    );
}

/// RFC 3261 14.1: our change is refused with 491 again and again: it is tried at its distances, and the last wish counts.
#[test]
fn our_change_meets_491_again_and_again() {
    let (mut w, alice, bob) = two(5);
    let (a, b) = w.talk(alice, bob, "bob");
    // The peer's script refuses the INVITE as RFC 3261 14.2 says.
    w.policy(bob).refuse_change = Some(491);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(9));
    let tries = reinvites(&w, bob).len();
    assert!((2..=5).contains(&tries), "2.1 to 4 s between them: {tries}");
    // What the holder wants in the end counts, not what it wanted on the way.
    assert_eq!(w.resume(a), 200);
    w.policy(bob).refuse_change = None;
    w.run(s(10));
    assert_eq!(w.at(b).sdp.direction, "sendrecv");
    assert_eq!(w.state(b), State::Up);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3261 14.1: re-INVITEs of both sides every second for a minute: refused or taken, none is left open, the end state counts.
#[test]
fn both_sides_change_all_the_time() {
    for seed in 0..4 {
        let (mut w, alice, bob) = two(seed);
        w.policy(alice).retry_491 = true;
        w.policy(bob).retry_491 = true;
        let (a, b) = w.talk(alice, bob, "bob");
        for round in 0..30 {
            for call in [a, b] {
                let dir = if round % 2 == 0 { "sendonly" } else { "sendrecv" };
                change_if_free(&mut w, call, dir);
                let pause = w.rng.millis(0, 30);
                w.run(pause);
            }
            w.run(s(1));
        }
        w.run(s(20));
        for call in [a, b] {
            assert_eq!(w.resume(call), 200);
            w.run(s(5));
        }
        w.run(s(10));
        assert_eq!(
            (w.at(a).sdp.direction.as_str(), w.at(b).sdp.direction.as_str()),
            ("sendrecv", "sendrecv")
        );
        w.hang_up(a);
        w.expect_over(b, 200);
        w.finish();
    }
}

fn change_if_free(w: &mut World, call: CallRef, dir: &'static str) {
    if w.agents[call.peer.0].open_requests() == 0 {
        w.on(call, |agent, cx, call| agent.reinvite(cx, call, direction(dir)));
    }
}

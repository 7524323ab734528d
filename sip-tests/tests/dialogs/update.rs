//! UPDATE: RFC 3311 in early and confirmed dialogs, and against an INVITE, interop item 32.

use crate::tools::{calling, direction, origin, reinvites, same, two, two_with_tones};
use sip_tests::description::Format;
use sip_tests::{Change, State, ms, s};

/// RFC 3311 5.1: the caller moves its media before the answer, after its first offer was answered reliably.
#[test]
fn the_caller_updates_in_an_early_dialog() {
    let (mut w, alice, bob) = two_with_tones(1);
    w.policy(bob).reliable = true;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    assert_eq!(
        w.update(
            a,
            Change {
                new_port: true,
                ..Change::default()
            }
        ),
        200
    );
    w.expect_hears(a, Some(b));
    assert_eq!(w.at(b).requests, ["PRACK"], "the callee is not concerned");
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3311 5.2: an offer while the one of the INVITE is not answered: 500 with Retry-After of 0 to 10 s.
#[test]
fn the_caller_updates_before_its_offer_is_answered() {
    let (mut w, alice, bob) = two(2);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    assert_eq!(
        w.update(
            a,
            Change {
                new_port: true,
                ..Change::default()
            }
        ),
        500
    );
    let refusal = w.last_received(alice, |m| m.answers("UPDATE", 500));
    assert!(
        refusal
            .text("Retry-After")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds <= 10)
    );
    w.accept(b);
    w.up(a);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3311 5.1: the callee changes its session before it answers; that is what its 200 without description means then.
#[test]
fn the_callee_updates_in_an_early_dialog() {
    let (mut w, alice, bob) = two_with_tones(3);
    w.policy(bob).reliable = true;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    assert_eq!(
        w.update(
            b,
            Change {
                new_port: true,
                ..Change::default()
            }
        ),
        200
    );
    w.expect_hears(a, Some(b));
    w.respond(b, 200);
    w.up(a);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3311 5.2: our own offer, in the INVITE, has no answer that counts yet: 491.
#[test]
fn the_callee_updates_while_our_offer_is_open() {
    let (mut w, alice, bob) = two(4);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.rings(a);
    assert_eq!(w.update(b, direction("sendonly")), 491);
    w.accept(b);
    w.up(a);
    w.finish();
}

/// RFC 3311 5.2: a hold by UPDATE is a hold; the other leg learns of it.
#[test]
fn hold_and_resume_by_update() {
    let (mut w, alice, bob) = two_with_tones(5);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.update(a, direction("sendonly")), 200);
    assert_eq!(
        w.last_received(alice, |m| m.answers("UPDATE", 200))
            .body
            .matches("a=recvonly")
            .count(),
        1
    );
    w.expect_hears(b, Some(a));
    w.expect_hears(a, None);
    assert_eq!(w.at(b).sdp.direction, "recvonly");
    assert_eq!(w.update(a, direction("sendrecv")), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3311 5.2, RFC 4028: an UPDATE without description refreshes and changes nothing.
#[test]
fn an_update_without_description() {
    let (mut w, alice, bob) = two(6);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(
        w.update(
            a,
            Change {
                no_offer: true,
                same: true,
                ..Change::default()
            }
        ),
        200
    );
    let ok = w.last_received(alice, |m| m.answers("UPDATE", 200));
    assert!(!ok.has_sdp() && ok.get("Contact").is_some());
    assert_eq!(w.at(b).requests, [""; 0]);
    w.finish();
}

/// RFC 3264 8, RFC 3311: the same description again is answered with the same description again.
#[test]
fn an_update_that_repeats_the_description() {
    let (mut w, alice, bob) = two(7);
    let (a, b) = w.talk(alice, bob, "bob");
    let before = origin(&w.last_received(alice, |m| m.answers("INVITE", 200)).body);
    assert_eq!(w.update(a, same()), 200);
    assert_eq!(
        origin(&w.last_received(alice, |m| m.answers("UPDATE", 200)).body),
        before
    );
    assert_eq!(w.at(b).requests, [""; 0]);
    w.finish();
}

/// RFC 3311 5.2: our re-INVITE is under way when the peer's UPDATE with an offer comes: 491; without an offer it passes.
#[test]
fn an_update_meets_our_reinvite() {
    for with_offer in [true, false] {
        let (mut w, alice, bob) = two(8);
        let (a, b) = w.talk(alice, bob, "bob");
        w.on(a, |agent, cx, call| agent.reinvite(cx, call, direction("sendonly")));
        // The node's INVITE is on its way to bob from 5 to 10 ms: his UPDATE crosses it.
        w.run(ms(8));
        let change = Change {
            no_offer: !with_offer,
            same: true,
            ..Change::default()
        };
        assert_eq!(w.update(b, change), if with_offer { 491 } else { 200 });
        w.run(s(5));
        assert_eq!(reinvites(&w, bob).len(), 1, "ours was taken");
        assert_eq!(w.at(b).sdp.direction, "recvonly");
        w.hang_up(a);
        w.expect_over(b, 200);
        w.finish();
    }
}

/// RFC 3311 5.2, RFC 3261 14.2: what cannot be agreed is refused with 488, and what was agreed stays.
#[test]
fn an_update_that_cannot_be_taken() {
    let (mut w, alice, bob) = two_with_tones(9);
    let (a, b) = w.talk(alice, bob, "bob");
    let before = w.at(a).sdp.clone();
    let odd = Change {
        formats: Some(vec![Format::new(18, "G729/8000")]),
        new_port: true,
        ..Change::default()
    };
    assert_eq!(w.update(a, odd), 488);
    w.agent(alice).calls[a.call].sdp = before;
    assert_eq!(w.state(a), State::Up);
    w.expect_tones(a, b);
    assert_eq!(w.update(a, same()), 200, "the state is usable");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

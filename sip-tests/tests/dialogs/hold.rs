//! Hold and resume from either side: RFC 3264 8.4, RFC 6337 5.3, interop item 26.

use crate::tools::{direction, reinvites, same, two, two_with_tones};
use sip_tests::{Change, World, s};

fn zero_address(zero_address: bool) -> Change {
    Change {
        zero_address,
        ..Change::default()
    }
}

/// RFC 3264 8.4: `sendonly`: the held side hears the holder, the holder hears nothing; then both again.
#[test]
fn held_by_sendonly_from_either_side() {
    for caller_holds in [true, false] {
        let (mut w, alice, bob) = two_with_tones(1);
        let (a, b) = w.talk(alice, bob, "bob");
        let (holder, held) = if caller_holds { (a, b) } else { (b, a) };
        assert_eq!(w.hold(holder, "sendonly"), 200);
        w.expect_hears(held, Some(holder));
        w.expect_hears(holder, None);
        assert_eq!(
            w.at(holder).remote_sdp.as_ref().map(|sdp| sdp.direction.as_str()),
            Some("recvonly")
        );
        assert_eq!(w.at(held).sdp.direction, "recvonly");
        assert_eq!(w.resume(holder), 200);
        w.expect_tones(a, b);
        w.hang_up(holder);
        w.expect_over(held, 200);
        w.finish();
        let told: Vec<&str> = w.cdr().changes.iter().map(String::as_str).collect();
        let side = if caller_holds { "the caller" } else { "the callee" };
        assert_eq!(
            told,
            [
                format!("{side} put the call on hold"),
                format!("{side} resumed the call")
            ]
        );
    }
}

/// RFC 3264 8.4: `inactive`: nobody hears anybody.
#[test]
fn held_by_inactive() {
    let (mut w, alice, bob) = two_with_tones(2);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(b, "inactive"), 200);
    w.expect_hears(a, None);
    w.expect_hears(b, None);
    assert_eq!(
        (w.at(a).sdp.direction.as_str(), w.at(b).sdp.direction.as_str()),
        ("inactive", "inactive")
    );
    assert_eq!(w.resume(b), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 2543 B.5, RFC 3264 8.4: `c=0.0.0.0` is a hold; the other leg gets a direction, never that address.
#[test]
fn held_by_the_zero_address() {
    let mut w = World::builder(3).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let (c, a) = w.talk(acme, alice, "+14155550101");
    assert_eq!(w.reinvite(c, zero_address(true)), 200);
    w.expect_hears(c, None);
    w.expect_hears(a, Some(c));
    let (_, told) = reinvites(&w, alice).remove(0);
    assert!(
        told.body.contains("a=sendonly") && !told.body.contains("0.0.0.0"),
        "{}",
        told.body
    );
    assert_eq!(w.reinvite(c, zero_address(false)), 200);
    w.expect_tones(a, c);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3264 8.4: resumed from another port (a phone that opens its socket anew).
#[test]
fn resumed_with_a_new_port() {
    let (mut w, alice, bob) = two_with_tones(4);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(s(2));
    assert_eq!(
        w.reinvite(
            b,
            Change {
                new_port: true,
                ..direction("sendrecv")
            }
        ),
        200
    );
    w.expect_tones(a, b);
    assert!(w.voice(b).port >= 30_000);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 8.4, RFC 6337 5.3: both hold, one after the other: silence; the call is back when both have resumed, not before.
#[test]
fn both_hold_and_resume_one_after_the_other() {
    let (mut w, alice, bob) = two_with_tones(5);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(s(1));
    w.expect_hears(a, None);
    w.expect_hears(b, None);
    assert_eq!(w.resume(a), 200);
    w.run(s(1));
    w.expect_hears(a, Some(b));
    w.expect_hears(b, None);
    assert_eq!(w.resume(b), 200);
    w.run(s(1));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 26: both hold in the same instant: both re-INVITEs of ours meet theirs (RFC 3261 14.1), and in the end both are held.
#[test]
fn both_hold_at_once() {
    for seed in 0..5 {
        let (mut w, alice, bob) = two_with_tones(seed);
        w.policy(alice).retry_491 = true;
        w.policy(bob).retry_491 = true;
        let (a, b) = w.talk(alice, bob, "bob");
        for call in [a, b] {
            w.on(call, |agent, cx, call| agent.reinvite(cx, call, direction("sendonly")));
        }
        w.run(s(15));
        w.expect_hears(a, None);
        w.expect_hears(b, None);
        for call in [a, b] {
            assert_eq!(w.resume(call), 200);
            w.run(s(5));
        }
        w.expect_tones(a, b);
        w.hang_up(b);
        w.expect_over(a, 200);
        w.finish();
    }
}

/// RFC 3261 14.2, RFC 3264: the held side changes its port meanwhile; it stays held, and is heard at once after the resume.
#[test]
fn the_held_side_changes_its_session() {
    let (mut w, alice, bob) = two_with_tones(6);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(
        w.reinvite(
            b,
            Change {
                new_port: true,
                ..direction("sendrecv")
            }
        ),
        200
    );
    assert_eq!(
        w.at(b).remote_sdp.as_ref().map(|sdp| sdp.direction.as_str()),
        Some("sendonly"),
        "still held"
    );
    w.expect_hears(b, Some(a));
    w.expect_hears(a, None);
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3264 6.1, RFC 4028: the held side refreshes its session: `recvonly` tells what it was told, and is no wish of its own.
#[test]
fn a_refresh_by_the_held_side_changes_nothing() {
    let (mut w, alice, bob) = two_with_tones(9);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.at(a).sdp.direction, "recvonly");
    assert_eq!((w.reinvite(a, same()), w.update(a, same())), (200, 200));
    w.run(s(10));
    assert!(reinvites(&w, bob).is_empty(), "the holder is told nothing");
    w.expect_hears(a, Some(b));
    // It holds, too: that is a wish of its own, and stands when the other side resumes.
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.resume(b), 200);
    w.run(s(1));
    w.expect_hears(a, None);
    w.expect_hears(b, Some(a));
    assert_eq!(w.resume(a), 200);
    w.run(s(1));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 14.1: the held side refuses to be held (488): its old session stays, the holder's hold stands, the resume works.
#[test]
fn the_other_side_refuses_the_hold() {
    let (mut w, alice, bob) = two_with_tones(7);
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(bob).refuse_change = Some(488);
    assert_eq!(w.hold(a, "inactive"), 200);
    w.run(s(20));
    assert_eq!(reinvites(&w, bob).len(), 1, "it is not asked again and again");
    w.expect_hears(a, None);
    w.policy(bob).refuse_change = None;
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// The race of a hold and a BYE: our re-INVITE is under way to the one who hangs up.
#[test]
fn the_other_side_hangs_up_while_it_is_being_held() {
    for late in 0..20 {
        let (mut w, alice, bob) = two(8);
        let (a, b) = w.talk(alice, bob, "bob");
        w.on(a, |agent, cx, call| agent.reinvite(cx, call, direction("sendonly")));
        w.run(sip_tests::ms(late));
        w.hang_up(b);
        w.expect_over(a, 200);
        w.expect_over(b, 200);
        w.finish();
    }
}

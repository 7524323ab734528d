//! Media before the answer: RFC 3261 13.2.1, 13.3.1.1, RFC 3960, interop item 29.

use crate::tools::{calling, hears_within, statuses, two, two_with_tones};
use sip_tests::description::{events, opus, pcmu};
use sip_tests::{State, World, ms, s};

/// RFC 3960 2: the tone of the callee is heard before the answer, and the 200 repeats the description of the 183.
#[test]
fn a_183_with_sdp_is_heard_before_the_answer() {
    let (mut w, alice, bob) = two_with_tones(1);
    w.policy(alice).supported = "timer".into();
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.rings(a);
    w.expect_tones(a, b);
    assert_eq!(w.state(a), State::Ringing);
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    let body = |status| w.last_received(alice, |m| m.answers("INVITE", status)).body;
    assert_eq!(body(183), body(200), "RFC 3261 13.3.1.1: the same description");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3960 3.2: first it rings, then an announcement comes.
#[test]
fn a_bare_180_and_then_a_183_with_sdp() {
    let (mut w, alice, bob) = two_with_tones(2);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    assert!(
        !w.last_received(alice, |m| m.answers("INVITE", 180)).has_sdp(),
        "the phone rings by itself"
    );
    w.run(s(2));
    w.respond_sdp(b, 183);
    w.run(ms(50));
    w.expect_hears(a, Some(b));
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// Interop 29: a 180 with a description is early media like a 183.
#[test]
fn a_180_with_sdp_is_heard() {
    let (mut w, alice, bob) = two_with_tones(3);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 180);
    w.rings(a);
    assert!(w.last_received(alice, |m| m.answers("INVITE", 180)).has_sdp());
    w.expect_hears(a, Some(b));
    w.hang_up(a);
    w.expect_over(a, 487);
    w.finish();
}

/// Interop 29: a 183 without description says nothing about media; the answer comes with the 200.
#[test]
fn a_183_without_sdp_is_passed_on_bare() {
    let (mut w, alice, bob) = two(4);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 183);
    w.rings(a);
    assert!(!w.last_received(alice, |m| m.answers("INVITE", 183)).has_sdp());
    w.accept(b);
    w.up(a);
    assert!(w.last_received(alice, |m| m.answers("INVITE", 200)).has_sdp());
    w.finish();
}

/// Interop 29: what the 183 described holds when the 200 says nothing.
#[test]
fn a_183_with_sdp_and_a_200_without() {
    let (mut w, alice, bob) = two_with_tones(5);
    w.policy(alice).supported = "timer".into();
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    w.respond(b, 200);
    w.up(a);
    assert!(
        w.last_received(alice, |m| m.answers("INVITE", 200)).has_sdp(),
        "RFC 3261 13.3.1.1"
    );
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 29: the 200 names another port and another codec than the unreliable 183: the 200 counts, and the caller, who has
/// her answer already, is told nothing new.
#[test]
fn the_200_describes_something_else_than_the_183() {
    let (mut w, alice, bob) = two_with_tones(6);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    let sdp = &mut w.agent(bob).calls[b.call].sdp;
    sdp.at.set_port(28_000);
    sdp.formats = vec![pcmu(), events()];
    sdp.version += 1;
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    assert_eq!((w.voice(a).format().pt, w.voice(b).format().pt), (8, 0), "transcoded");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3960 3.2: a description came and no packet; then a bare 180: the caller, who waits for media, hears our ringback.
#[test]
fn a_180_after_silent_early_media_gives_ringback() {
    let (mut w, alice, bob) = two_with_tones(7);
    let tone = w.agent(bob).tone.take();
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    w.respond(b, 180);
    assert!(hears_within(&mut w, a, 425.0, 6), "the ringback tone of E.180");
    w.agent(bob).tone = tone;
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3960 3.2: where packets do come, they win over the 180.
#[test]
fn a_180_does_not_cut_early_media_that_flows() {
    let (mut w, alice, bob) = two_with_tones(8);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    w.respond(b, 180);
    w.run(s(2));
    w.expect_hears(a, Some(b));
    w.hang_up(a);
    w.expect_over(b, 487);
    w.finish();
}

/// RFC 7587, RFC 3960: early media is transcoded as the call is.
#[test]
fn early_media_of_a_carrier_reaches_an_opus_phone() {
    let mut w = World::builder(9).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(alice).formats = vec![opus(), events()];
    let (a, c) = calling(&mut w, alice, acme, "+442079460000");
    w.respond_sdp(c, 183);
    w.rings(a);
    w.expect_hears(a, Some(c));
    w.accept(c);
    w.up(a);
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3261 9.1: given up while an announcement is heard: 487, and nothing is left.
#[test]
fn cancelled_during_early_media() {
    let (mut w, alice, bob) = two_with_tones(10);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.rings(a);
    w.run(s(3));
    w.hang_up(a);
    w.expect_over(a, 487);
    w.expect_over(b, 487);
    w.finish();
    assert!(w.cdr().answered.is_none() && w.cdr().ringing.is_some());
}

/// RFC 3261 13.3.1.1: a call that rings for long is said so each minute, with what was said last.
#[test]
fn a_long_ringing_is_repeated_each_minute() {
    let mut w = World::builder(11)
        .config(&crate::tools::edge_with("").replace("builder,", "builder, ring: 5m,"))
        .build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.run(s(150));
    assert_eq!(
        statuses(&w, alice, "INVITE")[1..],
        [180, 180, 180],
        "at once and after one and two minutes"
    );
    w.accept(b);
    w.up(a);
    w.finish();
}

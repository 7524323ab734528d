//! Basic calls: RFC 3665 3 in both directions, with tones.

use sip_tests::description::{events, opus, pcma};
use sip_tests::{State, World, s};

/// RFC 3665 3.1: phone to phone, hung up by the caller.
#[test]
fn alice_calls_bob_and_hangs_up() {
    let mut w = World::new(1);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(10));
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.cause(), (200, 16));
    assert!(w.cdr().answered.is_some() && w.cdr().ringing.is_some());
}

/// RFC 3665 3.1 the other way: hung up by the callee; by number in place of the name.
#[test]
fn the_callee_hangs_up() {
    let mut w = World::new(2);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "+14155550102");
    w.run(s(2));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3264, RFC 3551: both speak A-law, so packets are relayed; each hears the other's tone.
#[test]
fn g711_on_both_sides_is_relayed() {
    let mut w = World::builder(3).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.cdr().legs.len(), 2);
    assert!(
        w.cdr()
            .legs
            .iter()
            .all(|leg| leg.stats.received > 40 && leg.stats.sent > 40)
    );
}

/// RFC 7587: Opus on one side, A-law on the other: transcoded both ways.
#[test]
fn opus_and_g711_are_transcoded() {
    let mut w = World::builder(4).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).formats = vec![opus(), events()];
    w.policy(bob).formats = vec![pcma(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    assert!(w.voice(a).format().name.starts_with("opus"));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// A carrier's call to alice's number reaches her Opus phone, and her call to the world reaches the carrier.
#[test]
fn carrier_and_opus_phone_both_ways() {
    let mut w = World::builder(5).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(alice).formats = vec![opus(), events()];
    let (c, a) = w.talk(acme, alice, "+14155550101");
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    let (a, c) = w.talk(alice, acme, "+442079460000");
    w.expect_tones(a, c);
    assert!(w.at(c).invite.uri().starts_with("sip:+442079460000@"));
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
    assert_eq!(w.cdr().to, "trunk/acme");
}

/// The echo number: the caller hears itself.
#[test]
fn echo_gives_back_what_it_hears() {
    let mut w = World::builder(6).media().build();
    let alice = w.registered("alice");
    let call = w.call(alice, "600");
    w.up(call);
    w.expect_hears(call, Some(call));
    w.hang_up(call);
    w.finish();
    assert_eq!(w.state(call), State::Ended(200));
}

/// The tone number: 1004 Hz.
#[test]
fn the_tone_number_plays_a_tone() {
    let mut w = World::builder(7).media().build();
    let alice = w.registered("alice");
    let call = w.call(alice, "601");
    w.up(call);
    w.run(s(2));
    let heard = w.voice(call).hears().expect("a tone");
    assert!(heard.is(1004.0, 15.0), "{heard:?}");
    w.hang_up(call);
    w.finish();
}

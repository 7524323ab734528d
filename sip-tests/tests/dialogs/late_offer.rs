//! Offers that come late: RFC 3261 13.2.1, 14.2, RFC 3264, RFC 6337, interop item 28.

use crate::tools::{two, two_with_tones};
use sip_tests::description::{events, opus, pcma, pcmu};
use sip_tests::{Change, State, World, s};

fn no_offer() -> Change {
    Change {
        no_offer: true,
        same: true,
        ..Change::default()
    }
}

/// RFC 3261 13.2.1: an INVITE without offer: the callee is made one all the same, the 200 offers, the ACK answers.
#[test]
fn a_carrier_calls_without_an_offer() {
    let mut w = World::builder(1).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).late_offer = true;
    w.policy(alice).formats = vec![opus(), events()];
    let (c, a) = w.talk(acme, alice, "+14155550101");
    assert!(w.at(a).invite.has_sdp(), "interop 11: the callee always gets an offer");
    w.expect_tones(a, c);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

/// The same from a phone towards a carrier.
#[test]
fn a_phone_calls_without_an_offer() {
    let mut w = World::builder(2).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(alice).late_offer = true;
    w.policy(alice).formats = vec![pcmu(), events()];
    w.policy(acme).formats = vec![pcma(), events()];
    let (a, c) = w.talk(alice, acme, "+442079460000");
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3261 13.2.2.4: the ACK owes an answer and has none: there is no session, so both legs get a BYE.
#[test]
fn an_ack_without_the_answer_it_owes() {
    let (mut w, alice, bob) = two(3);
    w.policy(alice).late_offer = true;
    let a = w.call(alice, "bob");
    let b = w.incoming(bob);
    w.policy(alice).late_offer = false;
    w.expect_over(a, 200);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.cause(), (488, 65));
}

/// RFC 3261 13.3.1.4: the ACK with the answer is lost; the copy that follows the repeated 200 brings it.
#[test]
fn the_ack_with_the_answer_is_lost() {
    let (mut w, alice, bob) = two_with_tones(4);
    w.policy(alice).late_offer = true;
    w.policy(alice).drop_acks = 2;
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(4));
    assert!(w.at(a).repeated_answers >= 2);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 14.2, RFC 6337 5.2.5: a re-INVITE without offer gets all that we can, not only what is in use, in the same session.
#[test]
fn a_reinvite_without_offer_gets_a_full_offer() {
    let (mut w, alice, bob) = two_with_tones(5);
    w.policy(bob).formats = vec![pcma(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(alice).formats = vec![pcmu(), events()];
    assert_eq!(w.reinvite(a, no_offer()), 200);
    let offer = w.at(a).remote_sdp.clone().expect("an offer");
    for name in ["PCMA", "PCMU", "opus", "telephone-event"] {
        assert!(offer.format(name).is_some(), "{name} is offered");
    }
    w.expect_tones(a, b);
    assert_eq!(w.voice(a).format().name, "PCMU/8000", "what the ACK has chosen");
    assert_eq!(w.at(b).requests, [""; 0], "the callee is not concerned");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 8.4: the offer that answers a re-INVITE without one says the hold of the other side.
#[test]
fn a_reinvite_without_offer_while_held_by_the_other_side() {
    let (mut w, alice, bob) = two(6);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.reinvite(a, no_offer()), 200);
    assert_eq!(
        w.at(a).remote_sdp.as_ref().map(|sdp| sdp.direction.as_str()),
        Some("sendonly")
    );
    w.run(s(1));
    assert_eq!(w.resume(b), 200);
    w.run(s(1));
    assert_eq!(w.at(a).sdp.direction, "sendrecv");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 14.1: the ACK of a re-INVITE owes an answer and has none: what was agreed stays.
#[test]
fn the_ack_of_a_reinvite_without_the_answer_it_owes() {
    let (mut w, alice, bob) = two_with_tones(7);
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(alice).drop_acks = 1;
    assert_eq!(w.reinvite(a, no_offer()), 200);
    let cseq = w.at(a).cseq;
    crate::tools::send_ack(&mut w, a, cseq);
    w.run(s(1));
    assert_eq!(w.state(a), State::Up);
    w.expect_tones(a, b);
    assert_eq!(
        w.reinvite(
            a,
            Change {
                same: true,
                ..Change::default()
            }
        ),
        200,
        "the state is usable"
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

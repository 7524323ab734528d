//! CANCEL and its races: RFC 3261 9.1, 16.10, RFC 3326.

use crate::tools::{calling, office, phone, requests, settle, statuses, two};
use sip_tests::{State, ms, s};

/// 16.10: CANCEL is answered here; the phone gets one of ours, with the Reason, and its 487 goes back.
#[test]
fn a_cancel_reaches_the_phone() {
    let (mut w, alice, bob) = two(1);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    w.hang_up(a);
    w.expect_over(a, 487);
    w.expect_over(b, 487);
    assert_eq!(statuses(&w, alice, "CANCEL"), [200]);
    let cancel = w.last_received(bob, |m| m.is("CANCEL"));
    assert_eq!(cancel.branch(), w.at(b).invite.branch(), "9.1");
    assert_eq!(cancel.all("Via").len(), 1);
    w.finish();
    let cdr = w.records.last().unwrap();
    assert_eq!((cdr.ended.as_ref().unwrap().1.status, cdr.answered), (487, None));
}

/// 9.1: before a provisional response no CANCEL goes out; it follows as soon as one comes.
#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let (mut w, alice, bob) = two(2);
    w.policy(bob).trying = false;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    settle(&mut w);
    w.hang_up(a);
    settle(&mut w);
    assert!(requests(&w, bob, "CANCEL").is_empty());
    w.respond(b, 180);
    w.expect_over(b, 487);
    w.expect_over(a, 487);
    w.finish();
}

/// 9.1: the answer was faster: the caller gets the 2xx, and ends the call by BYE.
#[test]
fn an_answer_that_crosses_the_cancel() {
    let (mut w, alice, bob) = two(3);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    w.hang_up(a);
    w.accept(b);
    w.expect_over(b, 200);
    settle(&mut w);
    assert_eq!(statuses(&w, alice, "INVITE"), [180, 200]);
    assert_eq!(requests(&w, bob, "BYE").len(), 1);
    w.finish();
    assert!(w.records.last().unwrap().answered.is_some());
}

/// 16.10: all branches, those of preferences that had not rung included.
#[test]
fn a_cancel_ends_all_branches() {
    let mut w = office(4);
    let alice = w.registered("alice");
    let phones = [("one", ""), ("two", ""), ("low", ";q=0.1")].map(|(name, q)| phone(&mut w, name, "bob", q));
    let a = w.call(alice, "bob");
    settle(&mut w);
    let legs = [w.incoming(phones[0]), w.incoming(phones[1])];
    legs.iter().for_each(|leg| w.respond(*leg, 180));
    settle(&mut w);
    w.hang_up(a);
    w.expect_over(a, 487);
    legs.iter().for_each(|leg| w.expect_over(*leg, 487));
    w.run(s(60));
    assert!(requests(&w, phones[2], "INVITE").is_empty());
    w.finish();
}

/// 9.1: a phone that says nothing after CANCEL does not hold the caller for ever: 64*T1.
#[test]
fn a_phone_that_ignores_the_cancel() {
    let (mut w, alice, bob) = two(5);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    w.policy(bob).deaf = true;
    w.hang_up(a);
    w.run(s(31));
    assert!(w.at(a).is_live());
    w.expect_over(a, 487);
    w.checks.complaints = false;
    w.finish();
}

/// A CANCEL while the store is slow: nobody rings at all.
#[test]
fn a_cancel_before_anybody_was_asked() {
    let (mut w, alice, bob) = two(6);
    w.store.mode = sip_tests::store::Mode::Hangs;
    let a = w.call(alice, "bob");
    w.run(ms(100));
    w.hang_up(a);
    w.expect_over(a, 487);
    assert!(requests(&w, bob, "INVITE").is_empty());
    w.store.mode = sip_tests::store::Mode::Works(ms(2));
    w.finish();
}

/// The store does not answer: 500, in its time.
#[test]
fn a_store_that_is_silent() {
    let (mut w, alice, _) = two(7);
    w.store.mode = sip_tests::store::Mode::Hangs;
    let a = w.call(alice, "bob");
    w.expect_over(a, 500);
    assert_eq!(w.state(a), State::Ended(500));
    w.store.mode = sip_tests::store::Mode::Works(ms(2));
    w.finish();
}

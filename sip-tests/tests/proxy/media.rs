//! A callee with several phones, one of which cannot speak what the caller offers: 488 (RFC 3261 21.4.26), and the bridge that helps it.

use crate::tools::{office, phone, requests, settle, statuses};
use sip_tests::{CallRef, Peer, World, s};

/// A browser and a desk phone of bob by hand, alice calls him.
fn browser_and_desk(seed: u64) -> (World, Peer, CallRef, [CallRef; 2]) {
    let mut w = office(seed);
    let alice = w.registered("alice");
    let phones = ["browser", "desk"].map(|name| phone(&mut w, name, "bob", ""));
    let call = w.call(alice, "bob");
    let legs = phones.map(|peer| w.incoming(peer));
    (w, alice, call, legs)
}

/// Takes the call on a phone that is called once more, and ends it.
fn taken_bridged(mut w: World, call: CallRef, first: CallRef) {
    let again = w.incoming(first.peer);
    assert_ne!(w.at(first).invite.call_id(), w.at(again).invite.call_id(), "bridged");
    w.accept(again);
    w.up(call);
    w.hang_up(call);
    w.expect_over(again, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// The browser could take the call, whatever the desk phone says, and whichever is first.
#[test]
fn one_phone_says_488_and_another_something_else() {
    for (seed, other) in [(1, 486), (2, 480), (3, 404), (4, 415), (5, 503)] {
        for statuses in [[488, other], [other, 488]] {
            let (mut w, _, call, legs) = browser_and_desk(seed);
            for (leg, status) in legs.into_iter().zip(statuses) {
                w.respond(leg, status);
                settle(&mut w);
            }
            taken_bridged(w, call, legs[usize::from(statuses[0] != 488)]);
        }
    }
}

/// Nobody takes the desk phone until the callee's time is over: the browser has its turn all the same.
#[test]
fn one_phone_says_488_and_nobody_answers() {
    let (mut w, _, call, [browser, desk]) = browser_and_desk(6);
    w.respond(desk, 180);
    w.respond(browser, 488);
    w.run(s(59));
    assert!(w.at(desk).is_live());
    w.expect_over(desk, 487);
    settle(&mut w);
    taken_bridged(w, call, browser);
}

/// Who declined everywhere (RFC 3261 21.6.2), or gave the call up, is not asked again.
#[test]
fn one_phone_says_488_and_the_call_is_declined_or_given_up() {
    for (seed, status) in [(7, 603), (8, 487)] {
        let (mut w, alice, call, [browser, desk]) = browser_and_desk(seed);
        w.respond(desk, 180);
        w.respond(browser, 488);
        settle(&mut w);
        match status {
            603 => w.respond(desk, 603),
            _given_up => w.hang_up(call),
        }
        w.expect_over(call, status);
        settle(&mut w);
        w.finish();
        assert_eq!(statuses(&w, alice, "INVITE"), [180, status]);
        let asked = [browser, desk].map(|leg| requests(&w, leg.peer, "INVITE").len());
        assert_eq!(asked, [1, 1], "{status}");
    }
}

/// Whoever has said what is to become of calls that he does not take gets that, and not another round of ringing.
#[test]
fn one_phone_says_488_and_nobody_answers_who_sends_calls_on() {
    let mut w = office(9);
    let (alice, carol) = (w.registered("alice"), w.registered("carol"));
    let phones = ["browser", "desk"].map(|name| phone(&mut w, name, "dave", ""));
    let call = w.call(alice, "dave");
    let [browser, desk] = phones.map(|peer| w.incoming(peer));
    w.respond(desk, 180);
    w.respond(browser, 488);
    w.up(call);
    assert_eq!(requests(&w, carol, "INVITE").len(), 1);
    assert_eq!(phones.map(|peer| requests(&w, peer, "INVITE").len()), [1, 1]);
    w.expect_over(desk, 487);
    w.hang_up(call);
    w.finish();
}

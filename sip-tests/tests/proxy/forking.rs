//! Forking: RFC 3261 16.5, 16.6, 16.7 steps 4, 5 and 10, 16.8; RFC 6228.

use crate::tools::{calling, office, phone, requests, settle, statuses, two};
use sip_tests::{CallRef, Peer, World, ms, s};

/// Three phones of bob by hand, alice calls him.
fn three(seed: u64, params: [&str; 3], lines: &[&str]) -> (World, Peer, CallRef, [Peer; 3]) {
    let mut w = office(seed);
    let alice = w.registered("alice");
    let [a, b, c] = params;
    let phones = [("one", a), ("two", b), ("three", c)].map(|(name, params)| phone(&mut w, name, "bob", params));
    let call = w.call_with(alice, "bob", lines);
    settle(&mut w);
    (w, alice, call, phones)
}

fn asked(w: &World, phones: [Peer; 3]) -> [usize; 3] {
    phones.map(|peer| requests(w, peer, "INVITE").len())
}

/// Equal preference: all at once; the first to answer has the call, and the others a CANCEL that says so (RFC 3326 3.1).
#[test]
fn all_phones_ring_at_once() {
    let (mut w, alice, call, phones) = three(1, ["", "", ""], &[]);
    assert_eq!(asked(&w, phones), [1, 1, 1]);
    let [one, two, three] = phones.map(|peer| w.incoming(peer));
    for leg in [one, two, three] {
        w.respond(leg, 180);
    }
    settle(&mut w);
    assert_eq!(
        statuses(&w, alice, "INVITE"),
        [180, 180, 180],
        "16.7 step 5: each at once"
    );
    w.accept(two);
    w.up(call);
    w.expect_over(one, 487);
    w.expect_over(three, 487);
    assert!(
        w.at(one)
            .reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with("SIP;cause=200"))
    );
    settle(&mut w);
    assert_eq!(
        statuses(&w, alice, "INVITE"),
        [180, 180, 180, 200],
        "their 487 is nobody's business"
    );
    w.hang_up(call);
    w.expect_over(two, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// 16.5, 16.6: the highest preference first, the next when all of it have failed.
#[test]
fn lower_preferences_come_after_higher_ones() {
    let (mut w, alice, call, phones) = three(2, [";q=0.5", ";q=1.0", ";q=0.5"], &[]);
    assert_eq!(asked(&w, phones), [0, 1, 0]);
    let first = w.incoming(phones[1]);
    w.respond(first, 486);
    settle(&mut w);
    assert_eq!(asked(&w, phones), [1, 1, 1]);
    let second = w.incoming(phones[2]);
    w.accept(second);
    w.up(call);
    w.hang_up(call);
    w.finish();
    assert_eq!(statuses(&w, alice, "INVITE"), [200]);
}

/// A phone of the highest preference that only rings does not keep the others for ever: it is cancelled, and they ring.
#[test]
fn the_next_preference_rings_when_nobody_answers() {
    let (mut w, _, call, phones) = three(3, ["", ";q=0.3", ";q=0.3"], &[]);
    let first = w.incoming(phones[0]);
    w.respond(first, 180);
    w.run(s(19));
    assert_eq!(asked(&w, phones), [1, 0, 0]);
    w.run(s(2));
    assert_eq!(asked(&w, phones), [1, 1, 1]);
    w.expect_over(first, 487);
    let second = w.incoming(phones[1]);
    w.accept(second);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// The time of one preference is not counted against the next: the last one rings on.
#[test]
fn each_preference_has_its_own_time() {
    let (mut w, _, call, phones) = three(14, ["", ";q=0.3", ";q=0.3"], &[]);
    let first = w.incoming(phones[0]);
    w.run(s(10));
    w.respond(first, 486);
    settle(&mut w);
    let second = w.incoming(phones[1]);
    w.respond(second, 180);
    w.run(s(40));
    assert!(w.at(second).is_live());
    w.accept(second);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// 16.7 step 5: a 6xx ends the search: the others are cancelled, lower preferences are not asked, and it is what the caller gets.
#[test]
fn a_6xx_stops_everything() {
    let (mut w, alice, call, phones) = three(4, ["", "", ";q=0.1"], &[]);
    let [one, two] = [phones[0], phones[1]].map(|peer| w.incoming(peer));
    w.respond(one, 180);
    w.respond(two, 603);
    w.expect_over(one, 487);
    w.expect_over(call, 603);
    assert_eq!(asked(&w, phones), [1, 1, 0]);
    w.finish();
    assert_eq!(statuses(&w, alice, "INVITE"), [180, 603]);
    assert_eq!(w.records.last().unwrap().ended.as_ref().unwrap().1.status, 603);
}

/// 16.7 step 5, 13.2.2.4: two phones answer at the same time: the caller gets both, and each has its ACK and its BYE.
#[test]
fn two_answers_reach_the_caller() {
    let (mut w, alice, call, phones) = three(5, ["", "", ""], &[]);
    w.checks.complaints = false;
    let [one, two, _] = phones.map(|peer| w.incoming(peer));
    w.accept(one);
    w.accept(two);
    w.up(call);
    settle(&mut w);
    let answers = w.received(alice, |m| m.answers("INVITE", 200));
    let mut tags: Vec<String> = answers.iter().map(|(_, m)| m.to_tag().to_owned()).collect();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 2, "two dialogs");
    let cdr = w.records.last().unwrap();
    assert!(cdr.answered.is_some() && cdr.ended.is_none());
    // The one whose dialog the caller keeps is ended by the caller, the other one by its phone.
    w.hang_up(one);
    w.hang_up(two);
    w.run(s(2));
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// 16.7 step 6: with several failures the best goes back, when all are there.
#[test]
fn the_best_failure_goes_back() {
    let (mut w, alice, call, phones) = three(6, ["", "", ""], &[]);
    let [one, two, three] = phones.map(|peer| w.incoming(peer));
    w.respond(one, 503);
    w.respond(two, 486);
    settle(&mut w);
    assert!(statuses(&w, alice, "INVITE").is_empty(), "one is still ringing");
    w.respond(three, 500);
    w.expect_over(call, 486);
    w.finish();
}

/// 16.7 step 6: a 503 alone does not say that the whole domain is overloaded: it becomes 500.
#[test]
fn a_503_becomes_500() {
    let (mut w, alice, bob) = two(7);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 503);
    w.expect_over(a, 500);
    w.finish();
}

/// 16.8: a phone that rings on and on is cancelled by timer C where the user's own limit is longer; each new provisional response
/// starts it anew, a 100 does not.
#[test]
fn timer_c_ends_what_rings_for_ever() {
    let yaml = crate::tools::OFFICE.replace("ring: 60s", "ring: 1h");
    let mut w = crate::tools::with(8, &yaml);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.run(s(150));
    w.respond(b, 180);
    w.run(s(150));
    assert!(w.at(b).is_live(), "started anew after 150 s");
    w.respond(b, 100);
    w.run(s(49));
    assert!(w.at(b).is_live());
    w.run(s(3));
    w.expect_over(b, 487);
    w.expect_over(a, 487);
    w.finish();
}

/// 16.7, 16.8: a phone that says nothing at all counts as 408 after timer B; with others that failed otherwise, they are the better
/// answer.
#[test]
fn a_silent_phone_counts_as_408() {
    let mut w = office(9);
    let alice = w.registered("alice");
    let phones = ["one", "two"].map(|name| phone(&mut w, name, "bob", ""));
    let silent = w.agents[phones[0].0].addr.ip();
    w.net.link(silent).cut = true;
    let call = w.call(alice, "bob");
    let other = w.incoming(phones[1]);
    w.respond(other, 480);
    w.run(s(20));
    assert!(w.at(call).is_live());
    w.expect_over(call, 480);
    w.net.link(silent).cut = false;
    w.finish();
}

/// Nobody answers in the user's time: 480, and the phone is cancelled.
#[test]
fn nobody_answers_in_the_users_time() {
    let (mut w, alice, bob) = two(10);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.run(s(59));
    assert!(w.at(b).is_live());
    w.expect_over(a, 480);
    w.expect_over(b, 487);
    w.finish();
    assert_eq!(w.records.last().unwrap().ended.as_ref().unwrap().1.q850, 19);
}

/// RFC 6228 6: who supports it hears by 199 that a branch is over whose early dialog he has, while another goes on.
#[test]
fn a_199_for_who_supports_it() {
    for (seed, supported, expected) in [
        (11, "Supported: 199", vec![180, 199, 200]),
        (12, "Supported: timer", vec![180, 200]),
    ] {
        let (mut w, alice, call, phones) = three(seed, ["", "", ""], &[supported]);
        let [one, two, three] = phones.map(|peer| w.incoming(peer));
        w.respond(one, 180);
        settle(&mut w);
        w.respond(one, 486);
        w.respond(three, 486);
        settle(&mut w);
        w.accept(two);
        w.up(call);
        settle(&mut w);
        assert_eq!(statuses(&w, alice, "INVITE"), expected, "{supported}");
        if let Some((_, ended)) = w.received(alice, |m| m.status() == 199).pop() {
            let early = w.last_received(alice, |m| m.status() == 180);
            assert_eq!(
                (ended.to_tag(), ended.text("Reason")),
                (early.to_tag(), "SIP;cause=486")
            );
        }
        w.hang_up(call);
        w.run(ms(200));
        w.finish();
    }
}

/// The caller's own phone does not ring when the caller calls the own name.
#[test]
fn ones_own_phone_does_not_ring() {
    let mut w = office(13);
    let alice = w.registered("alice");
    let other = phone(&mut w, "mobile", "alice", "");
    let call = w.call(alice, "alice");
    let leg = w.incoming(other);
    assert!(requests(&w, alice, "INVITE").is_empty());
    w.accept(leg);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

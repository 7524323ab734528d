//! One preference after the other: RFC 3261 16.5, 16.6, 16.7 step 10 and 9.1, RFC 3263 4.3; RFC 6228.

use crate::tools::{OFFICE, office, phone, requests, settle, statuses, with};
use sip_tests::{CallRef, Peer, World, dns, ms, s};
use tandem::effect::Kind;

/// Two phones of bob by hand, who rings for half a minute: alice calls him, and the first of them is asked.
fn first_and_second(seed: u64, lines: &[&str]) -> (World, Peer, CallRef, [Peer; 2]) {
    let mut w = with(seed, &OFFICE.replace("ring: 60s", "ring: 30s"));
    let alice = w.registered("alice");
    let phones = [("one", ";q=1.0"), ("two", ";q=0.5")].map(|(name, params)| phone(&mut w, name, "bob", params));
    // Not even 100.
    w.policy(phones[0]).trying = false;
    let call = w.call_with(alice, "bob", lines);
    settle(&mut w);
    assert_eq!(phones.map(|peer| requests(&w, peer, "INVITE").len()), [1, 0]);
    (w, alice, call, phones)
}

/// A phone that says nothing at all has its time and no more: it cannot be cancelled (9.1), and the next one rings.
#[test]
fn a_silent_phone_keeps_nobody_waiting() {
    let (mut w, alice, call, [silent, next]) = first_and_second(1, &[]);
    w.run(s(19));
    assert!(requests(&w, next, "INVITE").is_empty());
    w.run(s(2));
    let leg = w.incoming(next);
    w.respond(leg, 180);
    w.run(s(5));
    w.accept(leg);
    w.up(call);
    // As soon as it says something it is cancelled.
    let late = w.incoming(silent);
    w.respond(late, 180);
    w.expect_over(late, 487);
    assert_eq!(statuses(&w, alice, "INVITE"), [180, 200]);
    w.hang_up(call);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// It counts as 408: where the next one fails too, the caller waits no longer.
#[test]
fn a_silent_phone_counts_as_408_after_its_time() {
    let (mut w, _, call, [silent, next]) = first_and_second(2, &[]);
    w.run(s(20));
    let leg = w.incoming(next);
    let before = w.now;
    w.respond(leg, 486);
    w.expect_over(call, 486);
    assert!(w.now.since(before) < s(1));
    let late = w.incoming(silent);
    w.respond(late, 180);
    w.expect_over(late, 487);
    w.finish();
}

/// 16.7 step 5: if it answers after all, it has the call.
#[test]
fn a_silent_phone_answers_late() {
    let (mut w, _, call, [silent, next]) = first_and_second(3, &[]);
    let late = w.incoming(silent);
    w.run(s(21));
    let leg = w.incoming(next);
    w.respond(leg, 180);
    w.accept(late);
    w.up(call);
    w.expect_over(leg, 487);
    w.hang_up(call);
    w.expect_over(late, 200);
    w.finish();
}

/// The caller gives up: no preference's time has a meaning any more, and the silent phone may still answer.
#[test]
fn a_silent_phone_and_a_caller_who_gives_up() {
    let (mut w, alice, call, [silent, next]) = first_and_second(4, &[]);
    let late = w.incoming(silent);
    w.hang_up(call);
    w.run(s(21));
    assert!(statuses(&w, alice, "INVITE").is_empty() && requests(&w, next, "INVITE").is_empty());
    w.respond(late, 180);
    w.expect_over(late, 487);
    w.expect_over(call, 487);
    w.finish();
}

/// Bob redirects to a name with two addresses, and to carol after that. By hand, and without a word where `trying` is false.
fn redirected(seed: u64, trying: bool) -> (World, CallRef, [Peer; 3]) {
    let mut w = with(seed, OFFICE);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| w.registered(name));
    let hosts = [("a", "203.0.113.8"), ("b", "203.0.113.9")].map(|(name, host)| {
        w.dns.addresses(&format!("{name}.far.example"), &[host], 60);
        w.stranger(name, &format!("{host}:5060"))
    });
    let srv = [(1, "a.far.example"), (2, "b.far.example")].map(|(at, name)| dns::srv(at, 0, 5060, name));
    w.dns.add(Kind::Srv, "_sip._udp.far.example", srv.to_vec(), 60);
    for peer in [bob, carol, hosts[0], hosts[1]] {
        crate::tools::by_hand(&mut w, peer);
    }
    w.policy(hosts[0]).trying = trying;
    let call = w.call(alice, "bob");
    let leg = w.incoming(bob);
    let contacts = "Contact: <sip:x@far.example>;q=1.0, <sip:carol@example.com>;q=0.5";
    w.on(leg, |agent, cx, call| agent.respond(cx, call, 302, false, &[contacts]));
    (w, call, [hosts[0], hosts[1], carol])
}

/// RFC 3263 4.3 does not apply to who had the time: no other address of a name is tried when timer B ends the first.
#[test]
fn no_other_address_of_a_silent_target_after_its_time() {
    let (mut w, call, [first, second, carol]) = redirected(5, false);
    let silent = w.incoming(first);
    w.run(s(21));
    let leg = w.incoming(carol);
    w.respond(leg, 180);
    w.run(s(15));
    assert!(requests(&w, second, "INVITE").is_empty());
    w.accept(leg);
    w.up(call);
    w.hang_up(call);
    w.hang_up(silent);
    w.finish();
}

/// Nor where it fails while the CANCEL is under way.
#[test]
fn no_other_address_of_a_cancelled_target() {
    let (mut w, call, [first, second, carol]) = redirected(6, true);
    let cancelled = w.incoming(first);
    w.run(ms(19_800));
    let ip = w.agents[first.0].addr.ip();
    w.net.link(ip).cut = true;
    w.run(ms(400));
    w.net.link(ip).cut = false;
    w.respond(cancelled, 503);
    let leg = w.incoming(carol);
    w.accept(leg);
    w.up(call);
    assert!(requests(&w, second, "INVITE").is_empty());
    w.hang_up(call);
    w.finish();
}

/// RFC 6228 6: an early dialog is over, and the proxy goes on: with the next preference, after a failure or the first one's time.
#[test]
fn a_199_before_the_next_preference() {
    for (seed, fails) in [(7, true), (8, false)] {
        let (mut w, alice, call, phones) = first_and_second(seed, &["Supported: 199"]);
        let first = w.incoming(phones[0]);
        w.respond(first, 180);
        settle(&mut w);
        if fails {
            w.respond(first, 486);
        } else {
            w.run(s(21));
        }
        let second = w.incoming(phones[1]);
        w.accept(second);
        w.up(call);
        settle(&mut w);
        assert_eq!(statuses(&w, alice, "INVITE"), [180, 199, 200], "{fails}");
        let [early, ended] = [180, 199].map(|status| w.last_received(alice, |m| m.status() == status));
        let cause = if fails { "SIP;cause=486" } else { "SIP;cause=487" };
        assert_eq!((ended.to_tag(), ended.text("Reason")), (early.to_tag(), cause));
        w.hang_up(call);
        w.run(ms(200));
        w.finish();
    }
}

/// RFC 6228 6: none where the failure goes to the caller at once: after a 6xx nobody more is asked.
#[test]
fn no_199_before_a_6xx() {
    let (mut w, alice, call, phones) = first_and_second(9, &["Supported: 199"]);
    let first = w.incoming(phones[0]);
    w.respond(first, 180);
    settle(&mut w);
    w.respond(first, 603);
    w.expect_over(call, 603);
    w.finish();
    assert_eq!(statuses(&w, alice, "INVITE"), [180, 603]);
}

/// 16.5: a redirection that comes while another phone rings: that one has its time, and then the new target is asked.
#[test]
fn a_redirection_while_another_phone_rings() {
    let mut w = office(10);
    let (alice, carol) = (w.registered("alice"), w.registered("carol"));
    let phones = ["one", "two"].map(|name| phone(&mut w, name, "bob", ""));
    crate::tools::by_hand(&mut w, carol);
    let call = w.call(alice, "bob");
    let [rings, redirects] = phones.map(|peer| w.incoming(peer));
    w.respond(rings, 180);
    let contact = "Contact: <sip:carol@example.com>";
    w.on(redirects, |agent, cx, call| {
        agent.respond(cx, call, 302, false, &[contact])
    });
    w.run(s(19));
    assert!(requests(&w, carol, "INVITE").is_empty());
    w.run(s(2));
    let leg = w.incoming(carol);
    w.expect_over(rings, 487);
    w.accept(leg);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// A silent phone does not lengthen the time that its user has to answer.
#[test]
fn a_silent_phone_ends_with_the_time_of_its_user() {
    let mut w = with(11, &OFFICE.replace("ring: 60s", "ring: 10s"));
    let (alice, silent) = (w.registered("alice"), phone(&mut w, "one", "bob", ""));
    w.policy(silent).trying = false;
    let call = w.call(alice, "bob");
    let late = w.incoming(silent);
    let before = w.now;
    w.expect_over(call, 480);
    assert!(w.now.since(before) < s(11), "{:?}", w.now.since(before));
    w.respond(late, 180);
    w.expect_over(late, 487);
    w.finish();
}

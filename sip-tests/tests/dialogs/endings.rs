//! How calls end and what is said of it: RFC 3326 and RFC 3398 both ways, the longest duration, silence, interop item 49.

use crate::tools::{calling, edge_with, over_within, two};
use sip_tests::{Answer, World, ms, s};

fn with_calls(seed: u64, sections: &str) -> World {
    World::builder(seed).config(&edge_with(sections)).build()
}

/// RFC 3326: the Q.850 cause of a BYE reaches the other leg's BYE and the record, from either side.
#[test]
fn the_reason_of_a_bye_is_carried_over() {
    for (from_caller, cause) in [(true, 31), (false, 41), (true, 16), (false, 127)] {
        let (mut w, alice, bob) = two(1);
        let (a, b) = w.talk(alice, bob, "bob");
        let (from, to) = if from_caller { (a, b) } else { (b, a) };
        let reason = format!("Reason: SIP;cause=200;text=\"x\", Q.850;cause={cause};text=\"a; b\"");
        assert_eq!(w.request(from, "BYE", &[&reason], None), 200);
        w.expect_over(to, 200);
        assert_eq!(w.at(to).reason, Some(format!("Q.850;cause={cause}")));
        w.finish();
        assert_eq!(w.cause().1, cause);
    }
}

/// RFC 3398 8.2.6.1: a BYE without Reason is normal clearing.
#[test]
fn a_bye_without_reason() {
    let (mut w, alice, bob) = two(2);
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(b);
    w.expect_over(a, 200);
    assert_eq!(w.at(a).reason.as_deref(), Some("Q.850;cause=16"));
    w.finish();
    assert_eq!(w.cause(), (200, 16));
    assert_eq!(w.state(b), sip_tests::State::Ended(200));
}

/// RFC 3326 2, interop 49: a carrier's refusal reaches the caller with its status and cause; without Reason by the table.
#[test]
fn the_reason_of_a_refusal_is_carried_over() {
    for (status, reason, told, q850) in [
        (486, None, 486, 17),
        (404, Some("Q.850;cause=1;text=\"Unallocated\""), 404, 1),
        (480, Some("Q.850;cause=20"), 480, 20),
        (603, None, 603, 21),
        (500, Some("Q.850;cause=34"), 500, 34),
        (407, None, 403, 21),
    ] {
        let mut w = World::new(3);
        let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
        let lines = reason.map(|reason| format!("Reason: {reason}")).into_iter().collect();
        w.policy(acme).answer = Answer::Status(status, ms(50), lines);
        let a = w.call(alice, "+442079460000");
        w.expect_over(a, told);
        let refusal = w.last_received(alice, |m| m.answers("INVITE", told));
        assert_eq!(refusal.text("Reason"), format!("Q.850;cause={q850}"), "{status}");
        w.finish();
        assert_eq!(w.cause(), (told, q850));
    }
}

/// RFC 3326 3.1: the Reason of a caller's CANCEL reaches the callee's.
#[test]
fn the_reason_of_a_cancel_is_carried_over() {
    let (mut w, alice, bob) = two(4);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    let invite = w.at(a).invite.clone();
    let mut cancel = sip_tests::Msg::request("CANCEL", invite.uri());
    for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
        cancel.push(name, invite.text(name));
    }
    cancel.push("CSeq", &format!("{} CANCEL", invite.cseq().0));
    cancel.push("Reason", "Q.850;cause=102;text=\"Timer\"");
    w.checks.complaints = false;
    w.send_raw(alice, cancel.write().to_vec());
    w.expect_over(a, 487);
    w.expect_over(b, 487);
    assert_eq!(w.at(b).reason.as_deref(), Some("Q.850;cause=102"));
    w.finish();
    assert_eq!(w.cause(), (487, 102));
}

/// A call that is longer than it may be: BYE on both legs, the record says why.
#[test]
fn the_longest_duration() {
    let mut w = with_calls(5, "calls: { max_duration: 2h }");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).supported = "100rel".into();
    let (a, b) = w.talk(alice, bob, "bob");
    let up = w.at(a).up_since.expect("it is up");
    assert_eq!(over_within(&mut w, a, 7210), 200);
    assert_eq!(over_within(&mut w, b, 1), 200);
    assert!((s(7199)..s(7202)).contains(&w.now.since(up)));
    w.finish();
    let text = w.cdr().ended.as_ref().map(|(_, cause)| cause.text.clone());
    assert_eq!(text.as_deref(), Some("the call reached its longest duration"));
}

/// A leg without RTP for the configured time ends the call: 480 in the record, Q.850 38, BYE on both legs.
#[test]
fn a_side_that_falls_silent() {
    for caller in [true, false] {
        let yaml = edge_with("").replace("silence: 5m", "silence: 20s");
        let mut w = World::builder(6).media().config(&yaml).build();
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        let (a, b) = w.talk(alice, bob, "bob");
        w.run(s(60));
        assert!(w.at(a).is_live(), "who speaks is not silent");
        let silent = if caller { a } else { b };
        w.voice(silent).sends = false;
        let since = w.now;
        w.expect_over(a, 200);
        w.expect_over(b, 200);
        assert!((s(19)..s(22)).contains(&w.now.since(since)));
        assert_eq!(w.at(b).reason.as_deref(), Some("Q.850;cause=38"));
        w.finish();
        assert_eq!(w.cause(), (480, 38));
        let text = &w.cdr().ended.as_ref().expect("it is over").1.text;
        assert!(text.contains(if caller { "caller" } else { "callee" }), "{text}");
    }
}

/// RFC 3264 8.4: who is on hold owes no media: silence of a held call is not the end of it.
#[test]
fn a_held_call_may_be_silent() {
    let yaml = edge_with("").replace("silence: 5m", "silence: 20s");
    let mut w = World::builder(7).media().config(&yaml).build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    for hold in ["inactive", "sendonly"] {
        let (a, b) = w.talk(alice, bob, "bob");
        assert_eq!(w.hold(a, hold), 200);
        w.run(s(120));
        assert!(w.at(a).is_live() && w.at(b).is_live(), "{hold}");
        assert_eq!(w.resume(a), 200);
        w.expect_tones(a, b);
        w.hang_up(a);
        w.expect_over(b, 200);
    }
    w.finish();
}

/// After the resume the watch is on again.
#[test]
fn silence_counts_again_after_the_resume() {
    let yaml = edge_with("").replace("silence: 5m", "silence: 20s");
    let mut w = World::builder(8).media().config(&yaml).build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "inactive"), 200);
    w.run(s(60));
    assert_eq!(w.resume(a), 200);
    w.run(s(1));
    w.voice(b).sends = false;
    let since = w.now;
    w.expect_over(a, 200);
    w.expect_over(b, 200);
    assert!((s(18)..s(22)).contains(&w.now.since(since)));
    w.finish();
}

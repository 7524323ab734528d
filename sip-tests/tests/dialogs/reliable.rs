//! Reliable provisional responses: RFC 3262 on each leg by itself, interop item 31.

use crate::tools::{calling, fork, requests, statuses, two, two_with_tones};
use sip_tests::{CallRef, Peer, State, World, ms, s};

/// alice calls bob, who rings reliably; the 183 with his description has come to her.
fn reliable_183(seed: u64) -> (World, Peer, Peer, CallRef, CallRef) {
    let (mut w, alice, bob) = two(seed);
    w.policy(bob).reliable = true;
    w.policy(alice).prack = false;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.rings(a);
    (w, alice, bob, a, b)
}

/// RSeq of the last reliable response that a peer received.
fn rseq(w: &World, peer: Peer) -> u32 {
    w.last_received(peer, |m| m.get("RSeq").is_some())
        .text("RSeq")
        .parse()
        .expect("RSeq is a number")
}

fn prack(w: &mut World, call: CallRef, rack: &str) -> u16 {
    w.request(call, "PRACK", &[&format!("RAck: {rack}")], None)
}

/// RFC 3262 3, 4, 5: both sides support it: two PRACKs, two numberings; the acknowledged answer is not repeated in the 200.
#[test]
fn reliable_on_both_legs() {
    let (mut w, alice, bob) = two_with_tones(1);
    w.policy(bob).reliable = true;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    assert_eq!(w.at(b).requests, ["PRACK"]);
    assert_eq!(w.at(a).answer_to("PRACK"), Some(200));
    let early = w.last_received(alice, |m| m.answers("INVITE", 183));
    assert!(early.has_token("Require", "100rel") && early.get("RSeq").is_some() && early.has_sdp());
    let theirs = requests(&w, bob, "PRACK").remove(0).1;
    assert_eq!(theirs.text("RAck"), "1 1 INVITE");
    w.accept(b);
    w.up(a);
    assert!(
        !w.last_received(alice, |m| m.answers("INVITE", 200)).has_sdp(),
        "RFC 3262 5: it has its answer"
    );
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3262 3: the caller does not support it, the callee's leg uses it all the same.
#[test]
fn reliable_on_the_callees_leg_only() {
    let (mut w, alice, bob) = two(2);
    w.policy(bob).reliable = true;
    w.policy(alice).supported = "timer".into();
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.run(s(1));
    assert_eq!(w.at(b).requests, ["PRACK"]);
    let early = w.last_received(alice, |m| m.answers("INVITE", 183));
    assert!(early.get("RSeq").is_none() && !early.has_token("Require", "100rel") && early.has_sdp());
    w.accept(b);
    w.up(a);
    w.finish();
}

/// RFC 3262 3: `Require: 100rel` makes every provisional response above 100 reliable, whatever the callee can.
#[test]
fn the_caller_requires_what_the_callee_does_not_know() {
    let (mut w, alice, bob) = two(3);
    w.policy(bob).answer = sip_tests::Answer::Manual;
    w.policy(bob).ring = None;
    let a = w.call_with(alice, "bob", &["Require: 100rel"]);
    let b = w.incoming(bob);
    w.respond(b, 180);
    w.run(ms(200));
    w.respond_sdp(b, 183);
    w.run(ms(200));
    for status in [180, 183] {
        let response = w.last_received(alice, |m| m.answers("INVITE", status));
        assert!(response.has_token("Require", "100rel"), "{status}");
    }
    let numbers: Vec<u32> = w
        .received(alice, |m| m.get("RSeq").is_some())
        .iter()
        .map(|(_, m)| m.text("RSeq").parse().expect("RSeq is a number"))
        .collect();
    assert_eq!(numbers, [numbers[0], numbers[0] + 1], "RFC 3262 3: one more each");
    assert_eq!(w.at(b).requests, [""; 0], "the callee gets no PRACK");
    w.accept(b);
    w.up(a);
    w.finish();
}

/// RFC 3262 4: our PRACK is lost: the copies of the 183 are swallowed, the PRACK is repeated, the caller sees one 183.
#[test]
fn a_lost_prack_is_repeated_and_copies_of_the_183_stop_here() {
    let (mut w, alice, bob) = two(4);
    w.policy(bob).reliable = true;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.policy(bob).deaf = true;
    w.respond_sdp(b, 183);
    w.run(ms(1700));
    w.policy(bob).deaf = false;
    w.run(s(3));
    let pracks = w.received(bob, |m| m.is("PRACK"));
    assert!(pracks.len() >= 3, "sent again by its transaction");
    assert!(pracks.iter().all(|(_, m)| m.cseq() == pracks[0].1.cseq()), "one PRACK");
    assert_eq!(w.at(b).requests, ["PRACK"]);
    assert_eq!(
        statuses(&w, alice, "INVITE")
            .iter()
            .filter(|status| **status == 183)
            .count(),
        1
    );
    w.accept(b);
    w.up(a);
    w.finish();
}

/// RFC 3262 3: repeated at T1, doubling; after 64*T1 without PRACK the INVITE is refused with a 5xx.
#[test]
fn a_caller_that_never_acknowledges_is_refused() {
    let (mut w, alice, _, a, b) = reliable_183(5);
    let began = w.now;
    assert_eq!(w.over(a), 504);
    assert!((s(31)..=s(33)).contains(&w.now.since(began)));
    assert_eq!(
        statuses(&w, alice, "INVITE")
            .iter()
            .filter(|status| **status == 183)
            .count(),
        7
    );
    w.expect_over(b, 487);
    w.finish();
}

/// RFC 3262 3: a 2xx waits until a reliable response with a description is acknowledged.
#[test]
fn the_answer_waits_for_the_prack() {
    let (mut w, alice, _, a, b) = reliable_183(6);
    w.accept(b);
    w.run(s(2));
    assert_eq!(w.state(a), State::Ringing, "no 200 before the PRACK");
    let rack = format!("{} {} INVITE", rseq(&w, alice), w.at(a).invite.cseq().0);
    assert_eq!(prack(&mut w, a, &rack), 200);
    w.up(a);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// The answer waits, the PRACK never comes: the caller is refused, the callee, who has answered, gets a BYE.
#[test]
fn answered_but_never_acknowledged() {
    let (mut w, _, _, a, b) = reliable_183(7);
    w.accept(b);
    w.expect_over(a, 504);
    w.expect_over(b, 200);
    w.finish();
    assert!(w.cdr().answered.is_none());
}

/// The answer waits for the PRACK and the caller gives up meanwhile (RFC 3261 9 against RFC 3262 3).
#[test]
fn cancelled_while_the_answer_waits_for_the_prack() {
    let (mut w, _, _, a, b) = reliable_183(8);
    w.accept(b);
    w.run(s(1));
    w.hang_up(a);
    w.expect_over(a, 487);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3262 3: a PRACK that matches nothing is answered 481, an unreadable one 400; the right one counts once.
#[test]
fn a_prack_with_a_wrong_rack() {
    let (mut w, alice, _, a, b) = reliable_183(9);
    let (rseq, cseq) = (rseq(&w, alice), w.at(a).invite.cseq().0);
    assert_eq!(prack(&mut w, a, &format!("{} {cseq} INVITE", rseq + 1)), 481);
    assert_eq!(prack(&mut w, a, &format!("{rseq} {} INVITE", cseq + 1)), 481);
    assert_eq!(prack(&mut w, a, &format!("{rseq} {cseq} UPDATE")), 481);
    assert_eq!(prack(&mut w, a, "rubbish"), 400);
    assert_eq!(prack(&mut w, a, &format!("{rseq} {cseq} INVITE")), 200);
    assert_eq!(
        prack(&mut w, a, &format!("{rseq} {cseq} INVITE")),
        481,
        "it is acknowledged already"
    );
    w.accept(b);
    w.up(a);
    w.finish();
}

/// RFC 3262 5: a PRACK may bring an offer of its own once the first is answered; its 200 brings the answer.
#[test]
fn a_prack_with_an_offer() {
    let (mut w, alice, bob) = two_with_tones(10);
    w.policy(bob).reliable = true;
    w.policy(alice).prack = false;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond_sdp(b, 183);
    w.rings(a);
    let sdp = &mut w.agent(alice).calls[a.call].sdp;
    sdp.at.set_port(29_000);
    sdp.version += 1;
    let (offer, cseq) = (sdp.write(), w.at(a).invite.cseq().0);
    let rack = format!("RAck: {} {cseq} INVITE", rseq(&w, alice));
    let status = w.request(a, "PRACK", &[&rack, "Content-Type: application/sdp"], Some(&offer));
    assert_eq!(status, 200);
    assert!(w.last_received(alice, |m| m.answers("PRACK", 200)).has_sdp());
    w.voice(a).port = 29_000;
    w.expect_hears(a, Some(b));
    w.accept(b);
    w.up(a);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3262 5: an INVITE without offer that requires 100rel: our offer is in the first reliable response, the answer in its
/// PRACK, and neither is repeated later.
#[test]
fn a_late_offer_in_a_reliable_response() {
    let (mut w, alice, bob) = two_with_tones(11);
    w.policy(alice).late_offer = true;
    w.policy(alice).invite_lines = vec!["Require: 100rel".into()];
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.run(s(1));
    assert!(w.last_received(alice, |m| m.answers("INVITE", 180)).has_sdp());
    assert_eq!(w.at(a).answer_to("PRACK"), Some(200));
    w.accept(b);
    w.up(a);
    assert!(!w.last_received(alice, |m| m.answers("INVITE", 200)).has_sdp());
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3262 5: an offer of ours in a reliable response whose PRACK has no answer cannot become a session.
#[test]
fn a_prack_without_the_answer_it_owes() {
    let (mut w, alice, bob) = two(12);
    w.policy(alice).late_offer = true;
    w.policy(alice).prack = false;
    w.policy(alice).invite_lines = vec!["Require: 100rel".into()];
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    let rack = format!("{} {} INVITE", rseq(&w, alice), w.at(a).invite.cseq().0);
    assert_eq!(prack(&mut w, a, &rack), 488);
    w.expect_over(a, 488);
    w.expect_over(b, 487);
    w.finish();
}

/// Interop 31, RFC 3262 4: each fork numbers its own responses; each gets its own PRACK in its own dialog.
#[test]
fn each_fork_has_its_own_prack() {
    let mut w = World::new(13);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).reliable = true;
    let (a, c) = calling(&mut w, alice, acme, "+442079460000");
    for tag in ["one", "two"] {
        fork(&mut w, c, tag);
        w.agent(acme).calls[c.call].remote_cseq = 1;
        w.respond_sdp(c, 183);
        w.run(ms(200));
    }
    let pracks = requests(&w, acme, "PRACK");
    let tags: Vec<&str> = pracks.iter().map(|(_, m)| m.to_tag()).collect();
    assert_eq!(tags, ["one", "two"]);
    assert!(
        pracks.iter().all(|(_, m)| m.cseq().0 == 2),
        "each dialog counts for itself"
    );
    w.accept(c);
    w.up(a);
    w.finish();
}

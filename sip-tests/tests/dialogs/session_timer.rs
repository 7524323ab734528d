//! Session timers: RFC 4028 in both roles on each leg, over hours of virtual time, interop item 51.

use crate::tools::{edge_with, origin, over_within, reinvites, requests, same, statuses, two};
use sip_tests::{Answer, Change, Peer, State, World, ms, s};

/// With a minimum of two minutes and a wish of ten.
fn ten_minutes(seed: u64) -> (World, Peer, Peer) {
    let yaml = edge_with("calls: { session_expires: 10m, min_session_expires: 2m, max_duration: 24h }");
    let mut w = World::builder(seed).config(&yaml).build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    (w, alice, bob)
}

fn refresh(line: &str) -> Change {
    Change {
        lines: vec![line.to_owned()],
        ..same()
    }
}

/// RFC 4028 9: an interval that is too small is refused with ours; the next try with it passes.
#[test]
fn a_caller_asks_for_too_short_an_interval() {
    let (mut w, alice, bob) = ten_minutes(1);
    w.policy(alice).session = Some("100".into());
    let a = w.call(alice, "bob");
    w.expect_over(a, 422);
    assert_eq!(
        w.last_received(alice, |m| m.answers("INVITE", 422)).text("Min-SE"),
        "120"
    );
    assert!(w.agents[bob.0].calls.is_empty(), "the callee is not disturbed");
    w.policy(alice).session = Some("120".into());
    let a = w.call_with(alice, "bob", &["Min-SE: 120"]);
    w.up(a);
    let ok = w.last_received(alice, |m| m.answers("INVITE", 200));
    assert!(ok.text("Session-Expires").starts_with("120;refresher=") && ok.has_token("Require", "timer"));
    w.hang_up(a);
    w.finish();
}

/// RFC 4028 7.3, 7.4: the callee wants more: the same INVITE again with its Min-SE; the caller learns nothing of it.
#[test]
fn a_callee_refuses_our_interval() {
    let (mut w, alice, bob) = ten_minutes(2);
    w.policy(bob).ring = None;
    w.policy(bob).answer = Answer::Status(422, ms(100), vec!["Min-SE: 1200".into()]);
    let a = w.call(alice, "bob");
    w.until("the callee has the INVITE", |w| !w.agents[bob.0].calls.is_empty());
    w.run(ms(110));
    w.policy(bob).answer = Answer::After(ms(500));
    w.up(a);
    let invites = requests(&w, bob, "INVITE");
    let asked: Vec<_> = invites
        .iter()
        .map(|(_, m)| (m.cseq().0, m.text("Session-Expires"), m.text("Min-SE")))
        .collect();
    assert_eq!(asked, [(1, "600", "120"), (2, "1200", "1200")]);
    assert!(
        invites.iter().all(|(_, m)| m.call_id() == invites[0].1.call_id()),
        "RFC 4028 7.4: the same Call-ID"
    );
    assert!(!statuses(&w, alice, "INVITE").contains(&422));
    w.hang_up(a);
    w.finish();
}

/// RFC 4028 7.2, table 2: peers that know no timer are refreshed by us, by UPDATE at half the interval, for hours.
#[test]
fn peers_without_timer_are_refreshed_by_us() {
    let (mut w, alice, bob) = ten_minutes(3);
    for peer in [alice, bob] {
        w.policy(peer).supported = "100rel".into();
    }
    let (a, b) = w.talk(alice, bob, "bob");
    let began = w.now;
    w.run(s(6 * 3600));
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    for peer in [alice, bob] {
        let updates = requests(&w, peer, "UPDATE");
        assert!(
            (70..=72).contains(&updates.len()),
            "each five minutes: {}",
            updates.len()
        );
        assert!((s(299)..s(302)).contains(&updates[0].0.since(began)));
        assert!(
            updates
                .iter()
                .all(|(_, m)| m.text("Session-Expires") == "600;refresher=uac" && !m.has_sdp())
        );
        assert!(reinvites(&w, peer).is_empty());
    }
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 4028 7.4, RFC 3264 8: a peer that does not allow UPDATE is refreshed by an INVITE with the description unchanged.
#[test]
fn a_peer_without_update_is_refreshed_by_invite() {
    let (mut w, alice, bob) = ten_minutes(4);
    w.policy(alice).supported = "100rel".into();
    w.policy(alice).invite_lines = Vec::new();
    let a = w.call_with(alice, "bob", &["Allow: INVITE, ACK, BYE, CANCEL"]);
    w.up(a);
    let answer = origin(&w.last_received(alice, |m| m.answers("INVITE", 200)).body);
    w.run(s(3600));
    let refreshes = reinvites(&w, alice);
    assert!((11..=12).contains(&refreshes.len()), "{}", refreshes.len());
    assert!(
        refreshes.iter().all(|(_, m)| origin(&m.body) == answer),
        "the version is the same"
    );
    assert!(requests(&w, alice, "UPDATE").is_empty());
    assert!(reinvites(&w, bob).is_empty(), "each leg refreshes for itself");
    w.hang_up(a);
    w.finish();
}

/// RFC 4028 7.1, 10: the caller refreshes; each refresh is answered here and starts the interval anew.
#[test]
fn the_caller_refreshes_for_hours() {
    let (mut w, alice, bob) = ten_minutes(5);
    w.policy(alice).session = Some("600;refresher=uac".into());
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(
        w.last_received(alice, |m| m.answers("INVITE", 200))
            .text("Session-Expires"),
        "600;refresher=uac"
    );
    w.run(s(3 * 3600));
    assert_eq!(w.state(a), State::Up);
    let count = w
        .at(a)
        .answers
        .iter()
        .filter(|(method, status)| method == "INVITE" && *status == 200)
        .count();
    assert!((34..=36).contains(&count), "{count}");
    assert!(
        requests(&w, alice, "UPDATE").is_empty() && reinvites(&w, alice).is_empty(),
        "we do not refresh, too"
    );
    assert!(reinvites(&w, bob).is_empty(), "nothing of it reaches the other leg");
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 4028 7.1: the caller wants us to refresh, and we do.
#[test]
fn the_caller_leaves_the_refresh_to_us() {
    let (mut w, alice, bob) = ten_minutes(6);
    w.policy(alice).session = Some("400;refresher=uas".into());
    let (a, b) = w.talk(alice, bob, "bob");
    let ok = w.last_received(alice, |m| m.answers("INVITE", 200));
    assert_eq!(
        (ok.text("Session-Expires"), ok.text("Require")),
        ("400;refresher=uas", "timer")
    );
    w.run(s(2000));
    let updates = requests(&w, alice, "UPDATE");
    assert!((9..=10).contains(&updates.len()));
    assert!(
        updates
            .iter()
            .all(|(_, m)| m.text("Session-Expires") == "400;refresher=uac"),
        "the sender is the uac now"
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 4028 10: the callee took the refresh upon itself, does it for a while by UPDATE, then stops: BYE on both
/// legs before the interval ends, with the cause.
#[test]
fn a_refresher_that_falls_silent() {
    let (mut w, alice, bob) = ten_minutes(7);
    w.policy(bob).session = Some("300;refresher=uas".into());
    let (a, b) = w.talk(alice, bob, "bob");
    for _ in 0..10 {
        w.run(s(140));
        assert_eq!(w.update(b, refresh("Session-Expires: 300;refresher=uac")), 200);
    }
    assert_eq!(w.state(a), State::Up);
    let last = w.now;
    w.expect_over(b, 200);
    assert!(
        (s(265)..=s(300)).contains(&w.now.since(last)),
        "RFC 4028 10: not after the interval"
    );
    w.expect_over(a, 200);
    assert_eq!(w.at(b).reason.as_deref(), Some("Q.850;cause=102"));
    assert_eq!(w.at(a).reason.as_deref(), Some("Q.850;cause=102"));
    w.finish();
    assert_eq!(w.cause(), (408, 102));
}

/// RFC 4028 10, RFC 3261 12.2.1.2: nobody answers our refresh: the call ends, and the other side hears why.
#[test]
fn our_refresh_is_not_answered() {
    let (mut w, alice, bob) = ten_minutes(8);
    w.policy(bob).supported = "100rel".into();
    let (a, _) = w.talk(alice, bob, "bob");
    w.run(s(290));
    w.policy(bob).deaf = true;
    w.expect_over(a, 200);
    assert_eq!(w.at(a).reason.as_deref(), Some("Q.850;cause=102"));
    w.finish();
    assert_eq!(w.cause(), (408, 102));
}

/// RFC 3261 12.2.1.2: 481 to our refresh: the peer has lost the call.
#[test]
fn our_refresh_meets_a_peer_that_was_restarted() {
    let (mut w, alice, bob) = ten_minutes(9);
    w.policy(bob).supported = "100rel".into();
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(bob).refuse_change = Some(481);
    assert_eq!(over_within(&mut w, a, 310), 200);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.cause().0, 481);
}

/// RFC 4028 7.4: a refusal that is none of the session's end is no end: the refresh is tried again in time.
#[test]
fn our_refresh_is_refused_for_a_while() {
    let (mut w, alice, bob) = ten_minutes(10);
    w.policy(bob).supported = "100rel".into();
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(bob).refuse_change = Some(500);
    w.run(s(400));
    w.policy(bob).refuse_change = None;
    w.run(s(3600));
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.policy(bob).refuse_change = Some(500);
    assert_eq!(over_within(&mut w, a, 700), 200);
    assert_eq!(over_within(&mut w, b, 1), 200);
    w.finish();
    assert_eq!(w.cause(), (408, 102));
}

/// RFC 4028 7.4: a peer that allows UPDATE but answers 501 to it is refreshed by INVITE from then on.
#[test]
fn update_is_allowed_but_not_implemented() {
    let (mut w, alice, bob) = two(11);
    w.policy(bob).supported = "100rel".into();
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(bob).refuse_change = Some(501);
    w.until_within(s(1000), "our UPDATE", |w| !requests(w, bob, "UPDATE").is_empty());
    w.policy(bob).refuse_change = None;
    w.run(s(3600));
    assert_eq!(requests(&w, bob, "UPDATE").len(), 1);
    assert!(reinvites(&w, bob).len() >= 4);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 4028 7.1, 9: `Require: timer` is understood, and a refresh while the call is on hold does not end the hold.
#[test]
fn a_refresh_keeps_the_hold() {
    let (mut w, alice, bob) = ten_minutes(12);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "inactive"), 200);
    w.run(s(1));
    assert_eq!(w.at(b).sdp.direction, "inactive");
    w.run(s(2000));
    let refresh = refresh("Require: timer");
    assert_eq!(w.reinvite(a, refresh), 200);
    w.run(s(2000));
    assert_eq!(w.at(b).sdp.direction, "inactive");
    assert_eq!(reinvites(&w, bob).len(), 1, "the hold, and nothing since");
    assert_eq!(w.resume(a), 200);
    w.run(s(1));
    assert_eq!(w.at(b).sdp.direction, "sendrecv");
    w.finish();
}

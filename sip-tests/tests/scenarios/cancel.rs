//! CANCEL (RFC 3261 9) at every moment, and the races that it loses.

use sip_tests::agent::Policy;
use sip_tests::script::EDGE;
use sip_tests::store::Mode;
use sip_tests::{Answer, State, World, ms, s};

/// RFC 3665 3.8: CANCEL while it rings: 487 to the caller, CANCEL to the callee.
#[test]
fn cancel_while_ringing() {
    let mut w = World::new(1);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.hang_up(call);
    w.expect_over(call, 487);
    w.expect_over(other, 487);
    w.finish();
    assert_eq!(w.cause().0, 487);
}

/// RFC 3261 9.1: CANCEL before the callee has said anything: the node waits for the callee's first provisional response, then cancels.
#[test]
fn cancel_before_the_callee_has_answered_anything() {
    let mut w = World::new(2);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    *w.policy(bob) = Policy {
        trying: false,
        ring: Some(ms(1500)),
        answer: Answer::Manual,
        ..Policy::default()
    };
    let call = w.call(alice, "bob");
    w.until("the INVITE reaches bob", |w| !w.agents[1].calls.is_empty());
    w.hang_up(call);
    w.expect_over(call, 487);
    assert!(
        w.received(bob, |m| m.is("CANCEL")).is_empty(),
        "nothing was provisional yet"
    );
    w.until("bob is cancelled", |w| !w.agents[1].calls[0].is_live());
    assert_eq!(w.agents[1].calls[0].statuses, [180, 487]);
    w.finish();
}

/// The same, but the callee answers 200 without ever having rung: it is acknowledged and ended by BYE.
#[test]
fn cancel_then_200_without_any_provisional() {
    let mut w = World::new(3);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    *w.policy(bob) = Policy {
        trying: false,
        ring: None,
        answer: Answer::After(ms(800)),
        ..Policy::default()
    };
    let call = w.call(alice, "bob");
    w.until("the INVITE reaches bob", |w| !w.agents[1].calls.is_empty());
    w.hang_up(call);
    w.expect_over(call, 487);
    w.until("bob is released by BYE", |w| {
        w.agents[1].calls[0].requests.contains(&"BYE".to_owned())
    });
    assert!(w.agents[1].calls[0].acked);
    w.finish();
}

/// RFC 3261 9.1, 13.2.2.4: the callee's 200 crosses our CANCEL: it is acknowledged, then BYE; the caller has its 487.
#[test]
fn cancel_crosses_the_200() {
    let mut w = World::new(4);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let ip = w.agents[bob.0].addr.ip();
    w.net.link(ip).delay = ms(100);
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.hang_up(call);
    w.run(ms(50));
    // The CANCEL is on its way; bob lifts the handset.
    w.accept(other);
    w.expect_over(call, 487);
    w.expect_over(other, 200);
    assert!(w.at(other).acked, "RFC 3261 13.2.2.4: every 2xx is acknowledged");
    assert_eq!(w.at(other).requests, ["BYE"]);
    assert_eq!(
        w.at(other).reason.as_deref(),
        Some("Q.850;cause=16"),
        "RFC 3326: the caller gave up, nobody else answered"
    );
    w.finish();
    assert!(w.cdr().answered.is_none());
}

/// The same where the ring time is over: the phone is told that nobody answered, not that somebody else did.
#[test]
fn the_answer_crosses_the_end_of_the_ring_time() {
    let mut w = World::new(11);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let ip = w.agents[bob.0].addr.ip();
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.net.link(ip).delay = s(2);
    w.until("the ring time is over", |w| !w.at(call).is_live());
    w.accept(other);
    w.expect_over(other, 200);
    assert_eq!(w.at(other).reason.as_deref(), Some("Q.850;cause=19"));
    w.finish();
}

/// RFC 3261 13.3.1: an INVITE with Expires is worth something for that long, then 487; a longer one changes nothing.
#[test]
fn an_invite_that_expires() {
    for (expires, status, after) in [(10, 487, 10), (600, 480, 60)] {
        let mut w = World::new(12);
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(bob).answer = Answer::Manual;
        let began = w.now;
        let call = w.call_with(alice, "bob", &[&format!("Expires: {expires}")]);
        w.rings(call);
        let other = w.incoming(bob);
        w.expect_over(call, status);
        assert!((s(after)..s(after + 1)).contains(&w.now.since(began)));
        w.expect_over(other, 487);
        assert_eq!(w.at(other).reason.as_deref(), Some("Q.850;cause=19"));
        w.finish();
        assert_eq!(w.cause(), (status, 19));
    }
}

/// The time of the INVITE ends with its answer.
#[test]
fn an_invite_that_was_answered_in_time_expires_no_more() {
    let mut w = World::new(13);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let call = w.call_with(alice, "bob", &["Expires: 5"]);
    w.up(call);
    w.run(s(20));
    assert_eq!(w.state(call), State::Up);
    assert_eq!(w.agents[bob.0].calls.len(), 1);
    w.hang_up(call);
    w.finish();
}

/// The other end of the same race: the caller's CANCEL crosses our 200: the call is up, and the caller must send BYE.
#[test]
fn the_callers_cancel_crosses_our_200() {
    let mut w = World::new(5);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let ip = w.agents[alice.0].addr.ip();
    w.net.link(ip).delay = ms(100);
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.accept(other);
    w.run(ms(50));
    w.hang_up(call);
    w.expect_over(call, 200);
    w.expect_over(other, 200);
    w.run(s(1));
    let answer = w.last_received(alice, |m| m.method() == "CANCEL");
    assert!([200, 481].contains(&answer.status()));
    w.finish();
    assert!(w.cdr().answered.is_some());
}

/// A CANCEL while the name of the trunk's peer is being resolved: 487, and nothing was ever sent.
#[test]
fn cancel_while_resolving() {
    let mut w = World::builder(6)
        .config(&EDGE.replace("sip:198.51.100.1:5060", "sip:sbc.acme.example"))
        .build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.dns.set(
        "sbc.acme.example",
        &["198.51.100.1:5060".parse().expect("an address")],
        Some(s(3)),
    );
    let call = w.call(alice, "+442079460000");
    w.until("the name is asked for", |w| !w.dns.asked.is_empty());
    w.run(ms(100));
    w.hang_up(call);
    w.expect_over(call, 487);
    w.run(s(10));
    assert!(
        w.agents[acme.0].calls.is_empty(),
        "a late answer of the resolver finds nobody"
    );
    w.finish();
}

/// A CANCEL while the store looks for bob's phones.
#[test]
fn cancel_while_the_store_is_asked() {
    let mut w = World::new(7);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.store.mode = Mode::Hangs;
    let call = w.call(alice, "bob");
    w.run(ms(300));
    w.hang_up(call);
    w.expect_over(call, 487);
    assert!(w.agents[bob.0].calls.is_empty());
    w.finish();
}

/// RFC 3261 9.2: a CANCEL that meets nothing is answered with 481.
#[test]
fn a_cancel_that_meets_nothing() {
    let mut w = World::new(8);
    let alice = w.registered("alice");
    let cancel = sip_tests::Msg::request("CANCEL", "sip:bob@example.com")
        .with("Max-Forwards", "70")
        .with("From", "<sip:alice@example.com>;tag=1")
        .with("To", "<sip:bob@example.com>")
        .with("Call-ID", "nothing@alice")
        .with("CSeq", "1 CANCEL");
    assert_eq!(w.ask(alice, cancel), 481);
    w.finish();
}

/// RFC 3261 9.1: a callee that answers CANCEL but never the INVITE: the node gives up after 64*T1.
#[test]
fn a_callee_that_never_sends_487() {
    let mut w = World::new(9);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    w.policy(bob).deaf = true;
    w.hang_up(call);
    w.expect_over(call, 487);
    w.finish();
}

/// RFC 3326: the reason of a CANCEL is carried over.
#[test]
fn the_reason_of_a_cancel_is_carried_over() {
    let mut w = World::new(10);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.hang_up(call);
    w.expect_over(other, 487);
    assert!(w.at(other).reason.is_some(), "the callee is told why");
    w.finish();
}

/// A CANCEL at every millisecond of a set-up: whatever wins, both sides agree in the end.
#[test]
fn cancel_at_any_moment() {
    for moment in (0..1300).step_by(13) {
        let mut w = World::new(1000 + moment);
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        let call = w.call(alice, "bob");
        w.run(ms(moment));
        w.hang_up(call);
        w.run(s(5));
        let ended = w.state(call);
        assert!(matches!(ended, State::Ended(487 | 200)), "at {moment} ms: {ended:?}");
        assert!(
            w.agents[bob.0].calls.iter().all(|call| !call.is_live()),
            "at {moment} ms"
        );
        w.finish();
    }
}

//! The ACK of a 2xx (RFC 3261 13.2.2.4, 13.3.1.4), lost, late, and crossing BYE.

use sip_tests::{Answer, State, World, ms, s};

/// RFC 3261 13.3.1.4: our 200 is repeated until the ACK comes.
#[test]
fn our_200_is_repeated_until_the_ack_comes() {
    let mut w = World::new(1);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).drop_acks = 3;
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(10));
    assert_eq!(w.at(a).repeated_answers, 3);
    assert!(w.at(b).is_live());
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 13.3.1.4: no ACK at all: after 64*T1 the call is ended by BYE on both sides.
#[test]
fn a_200_that_is_never_acknowledged_ends_the_call() {
    let mut w = World::new(2);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).drop_acks = 1000;
    let call = w.call(alice, "bob");
    w.up(call);
    let other = w.incoming(bob);
    let from = w.now;
    w.expect_over(other, 200);
    w.expect_over(call, 200);
    let took = w.now.since(from);
    assert!(took >= s(30) && took <= s(40), "{took:?}");
    let copies = w.received(alice, |m| m.answers("INVITE", 200)).len();
    assert!((8..=12).contains(&copies), "T1 doubled up to T2 for 64*T1: {copies}");
    w.finish();
}

/// RFC 3261 13.2.2.4: the callee repeats its 200 because our ACK was lost: each copy is acknowledged again.
#[test]
fn a_repeated_200_is_acknowledged_again() {
    let mut w = World::new(3);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.accept(other);
    // Everything to bob is lost until his second copy is out.
    let ip = w.agents[bob.0].addr.ip();
    w.run(ms(2));
    w.net.link(ip).cut = true;
    w.run(ms(1200));
    assert!(!w.at(other).acked);
    w.net.link(ip).cut = false;
    w.until("a copy is acknowledged", |w| w.at(other).acked);
    w.hang_up(call);
    w.expect_over(other, 200);
    w.finish();
}

/// RFC 3261 15.1.1: the callee hangs up before our ACK has reached it.
#[test]
fn bye_before_ack() {
    let mut w = World::new(4);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.accept(other);
    w.hang_up(other);
    w.expect_over(call, 200);
    w.run(s(1));
    assert_eq!(w.at(other).answer_to("BYE"), Some(200));
    w.finish();
}

/// RFC 3261 15.1.1: the caller hangs up at once behind its ACK, and without having sent one.
#[test]
fn the_caller_hangs_up_without_having_acknowledged() {
    let mut w = World::new(5);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).drop_acks = 1000;
    let call = w.call(alice, "bob");
    w.up(call);
    w.hang_up(call);
    let other = w.agents[bob.0].calls.len() - 1;
    w.until("bob's side is over", |w| !w.agents[1].calls[other].is_live());
    w.run(s(1));
    assert_eq!(w.at(call).answer_to("BYE"), Some(200));
    assert_eq!(w.state(call), State::Ended(200));
    w.finish();
}

/// RFC 3261 15: BYE from both at once: both are answered, one record.
#[test]
fn both_hang_up_at_once() {
    let mut w = World::new(6);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.hang_up(b);
    w.run(s(2));
    assert_eq!(
        (w.at(a).answer_to("BYE"), w.at(b).answer_to("BYE")),
        (Some(200), Some(200))
    );
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// RFC 3261 15: BYE that is lost is repeated; one to a peer that is gone ends after 64*T1, and the call with it.
#[test]
fn a_bye_to_a_peer_that_is_gone() {
    let mut w = World::new(7);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    let ip = w.agents[bob.0].addr.ip();
    w.net.link(ip).cut = true;
    w.policy(bob).deaf = true;
    w.hang_up(a);
    w.run(s(1));
    assert_eq!(
        w.at(a).answer_to("BYE"),
        Some(200),
        "the one who hangs up does not wait for the other"
    );
    assert!(w.at(b).is_live());
    w.finish();
}

/// RFC 3261 13.3.1.4: every copy of the callee's 200 is lost, and it hangs up: our INVITE must not wait forever.
#[test]
fn a_callee_whose_200_was_lost_hangs_up() {
    let mut w = World::new(10);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    let ip = w.agents[bob.0].addr.ip();
    w.net.link(ip).cut = true;
    w.accept(other);
    w.run(ms(1));
    w.net.link(ip).cut = false;
    w.hang_up(other);
    w.run(s(1));
    w.expect_over(call, 480);
    w.policy(bob).deaf = true;
    w.run(s(70));
    w.policy(bob).deaf = false;
    w.finish();
}

/// RFC 3261 17.1.1, 17.2.1: the INVITE and every answer may come twice: one call, one record.
#[test]
fn doubled_datagrams_make_one_call() {
    let mut w = World::new(8);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    for peer in [alice, bob] {
        let ip = w.agents[peer.0].addr.ip();
        w.net.link(ip).duplicate = 1.0;
    }
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!((w.records.by_call.len(), w.agents[bob.0].calls.len()), (1, 1));
}

/// RFC 3261 12.2.2: a request within a dialog whose CSeq goes back is refused with 500; one to no dialog with 481.
#[test]
fn wrong_cseq_and_wrong_tag() {
    let mut w = World::new(9);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(a, "INFO", &[], None) / 100, 2);
    w.on(a, |agent, _, call| agent.calls[call].cseq = 0);
    assert_eq!(w.request(a, "INFO", &[], None), 500);
    w.on(a, |agent, _, call| agent.calls[call].cseq = 100);
    let tag = w.at(a).remote_tag.clone();
    w.on(a, |agent, _, call| agent.calls[call].remote_tag = "wrong".into());
    assert_eq!(w.request(a, "INFO", &[], None), 481);
    w.on(a, |agent, _, call| agent.calls[call].remote_tag = tag);
    assert!(w.at(b).is_live());
    w.hang_up(a);
    w.finish();
}

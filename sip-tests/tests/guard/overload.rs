//! Messages wait too long: new calls go first, then other new requests; what is up goes on.

use crate::tools::{Host, cut, status, world};
use sip_tests::{World, ms, s};
use std::time::Duration;
use tandem::effect::Fact;
use tandem::node::Input;

/// As the shell tells it: each ten milliseconds, that the next messages have waited so long.
fn wait(w: &mut World, wait: Duration, lasts: Duration) {
    for _ in 0..lasts.as_millis() / 10 {
        w.feed(Input::Waited(wait));
        w.run(ms(10));
    }
}

fn told(w: &World) -> Vec<bool> {
    let overload = |fact: &Fact| match fact {
        Fact::Overload { begins } => Some(*begins),
        _ => None,
    };
    w.facts.iter().filter_map(overload).collect()
}

#[test]
fn new_calls_are_refused_first_and_calls_that_are_up_go_on() {
    let mut w = world(1, "max_wait: 100");
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (a, b) = w.talk(alice, bob, "bob");
    wait(&mut w, ms(150), s(3));
    assert_eq!(told(&w), [true]);
    for _ in 0..10 {
        let call = w.call(carol, "600");
        assert_eq!(w.over(call), 503);
    }
    let refusal = w.last_received(carol, |m| m.answers("INVITE", 503));
    let seconds: u32 = refusal.text("Retry-After").parse().unwrap();
    assert!((5..15).contains(&seconds));
    // Other requests are served, and so is everything in a call.
    wait(&mut w, ms(150), ms(100));
    w.register(carol);
    assert_eq!(w.hold(a, "sendonly"), 200);
    assert_eq!(w.resume(a), 200);
    // Then those go, too; and still the call lives.
    wait(&mut w, ms(450), s(3));
    assert_eq!(w.register_with(carol, &["Contact: <sip:carol@203.0.0.12>"]), 503);
    let mut host = Host::new("198.51.77.1:5060");
    let options = host.request("OPTIONS", "sip:example.com", "alice", "");
    assert_eq!(status(&host.asks(&mut w, &options)), 503);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.run(s(30));
    assert_eq!(told(&w), [true, false]);
    let call = w.call(carol, "600");
    w.up(call);
    w.hang_up(call);
    w.run(s(60));
    assert!(cut(&w, "by 503").1 >= 12);
    let one_by_one = |fact: &Fact| matches!(fact, Fact::Refused { status: 503, .. });
    assert!(!w.facts.iter().any(one_by_one), "what is refused is only counted");
    w.finish();
}

/// A copy of an INVITE that was taken finds its transaction, not the 503 of a new one.
#[test]
fn a_retransmission_is_no_new_call() {
    let mut w = world(2, "max_wait: 100");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = sip_tests::Answer::Manual;
    let call = w.call(alice, "bob");
    let ringing = w.incoming(bob);
    wait(&mut w, ms(450), s(3));
    let invite = w.agents[alice.0]
        .log
        .iter()
        .rfind(|seen| seen.sent && seen.msg.is("INVITE"))
        .map(|seen| seen.msg.write());
    let addr = w.agents[alice.0].addr;
    let seen = crate::tools::listen(&mut w, addr, std::str::from_utf8(&invite.unwrap()).unwrap());
    assert!(
        !seen.is_empty() && seen.iter().all(|answer| answer.status() < 200),
        "{seen:?}"
    );
    w.accept(ringing);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// What the numbers of waiting tell: one burst is none.
#[test]
fn a_burst_that_is_worked_off_refuses_nobody() {
    let mut w = world(3, "max_wait: 100");
    let carol = w.registered("carol");
    for _ in 0..50 {
        wait(&mut w, ms(300), ms(50));
        wait(&mut w, ms(1), ms(50));
    }
    let call = w.call(carol, "600");
    w.up(call);
    w.hang_up(call);
    assert!(told(&w).is_empty());
    w.finish();
}

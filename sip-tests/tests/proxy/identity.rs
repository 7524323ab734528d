//! No open relay: who may send what where (RFC 3261 16.3 step 6, 22.3, 26.3.2), and other domains (16.5).

use crate::tools::{office, request, requests, settle, two};
use sip_tests::ms;

/// 16.5: a user of a domain that says proxy reaches other domains, by name through RFC 3263.
#[test]
fn a_user_reaches_another_domain() {
    let (mut w, alice, _) = two(1);
    let far = w.stranger("far", "203.0.113.9:5060");
    w.dns.set("far.example", &[w.agents[far.0].addr], Some(ms(20)));
    w.policy(far).loose = 200;
    let ask = request("MESSAGE", "sip:x@far.example", "sip:alice@example.com", "far@alice");
    assert_eq!(w.ask(alice, ask), 200);
    assert_eq!(w.last_received(far, |m| m.is("MESSAGE")).uri(), "sip:x@far.example");
    let call = w.call(alice, "sip:x@far.example");
    w.up(call);
    w.hang_up(call);
    w.finish();
    let cdr = w.records.last().unwrap();
    assert_eq!((cdr.called.as_str(), cdr.to.as_str()), ("x", "far.example"));
    assert!(cdr.answered.is_some());
}

/// RFC 3263 4.3: the next address when the first is silent.
#[test]
fn the_next_address_when_the_first_is_silent() {
    let (mut w, alice, _) = two(2);
    let far = w.stranger("far", "203.0.113.9:5060");
    w.dns.set(
        "far.example",
        &["203.0.113.8:5060".parse().unwrap(), w.agents[far.0].addr],
        Some(ms(20)),
    );
    let call = w.call(alice, "sip:x@far.example");
    w.until_within(sip_tests::s(60), "the second address is called", |w| {
        !w.agents[far.0].calls.is_empty()
    });
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// Users of a bridged domain, trunks and strangers do not.
#[test]
fn nobody_else_reaches_another_domain() {
    let mut w = office(3);
    let erin = w.registered("erin");
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let stranger = w.stranger("stranger", "203.0.113.66:5060");
    let victim = w.stranger("victim", "203.0.113.77:5060");
    let target = "sip:victim@203.0.113.77:5060";
    for (peer, from, status) in [
        (erin, "sip:erin@example.org", 404),
        (acme, "sip:+1@carrier.example", 404),
    ] {
        assert_eq!(
            w.ask(peer, request("MESSAGE", target, from, &format!("{from}@x"))),
            status,
            "{from}"
        );
        let routed = request("MESSAGE", "sip:bob@example.com", from, &format!("{from}@y"))
            .with("Route", "<sip:192.0.2.1;lr>, <sip:203.0.113.77:5060;lr>");
        assert_eq!(w.ask(peer, routed), status, "{from}, by Route");
        let call = w.call(peer, target);
        w.expect_over(call, 404);
    }
    let ask = request("MESSAGE", target, "sip:somebody@elsewhere.example", "z@x");
    w.act(stranger.0, |agent, cx| agent.send_loose(cx, ask));
    settle(&mut w);
    assert!(w.received(stranger, |_| true).is_empty(), "a stranger hears nothing");
    assert!(w.received(victim, |_| true).is_empty());
    w.run(sip_tests::s(40));
    w.checks.complaints = false;
    w.finish();
}

/// A user cannot send in another user's name.
#[test]
fn a_user_is_who_the_credentials_say() {
    let (mut w, alice, bob) = two(4);
    let ask = request(
        "MESSAGE",
        "sip:bob@example.com",
        "sip:carol@example.com",
        "forged@alice",
    );
    assert_eq!(w.ask(alice, ask), 403);
    assert!(requests(&w, bob, "MESSAGE").is_empty());
    w.finish();
}

/// RFC 3261 22.3: a phone that writes one of its user's numbers into From is that user, and no other's number is.
#[test]
fn a_number_stands_for_its_user() {
    let (mut w, alice, bob) = two(7);
    w.policy(bob).loose = 200;
    for (n, (number, status)) in [("+14155550101", 200), ("+14155550102", 403), ("+14155550199", 403)]
        .into_iter()
        .enumerate()
    {
        let from = format!("sip:{number}@example.com");
        let ask = request("MESSAGE", "sip:bob@example.com", &from, &format!("number{n}@alice"));
        assert_eq!(w.ask(alice, ask), status, "{number}");
    }
    assert_eq!(requests(&w, bob, "MESSAGE").len(), 1);
    w.finish();
}

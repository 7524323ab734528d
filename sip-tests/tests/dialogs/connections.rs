//! By which connection requests within a call go: RFC 3261 18, RFC 5923, interop items 45, 46.

use sip_tests::{State, World, ms, s};

/// Interop 45: a carrier behind a NAT that writes its inner address into Contact is reached by the way that it came.
#[test]
fn a_private_contact_behind_a_public_address() {
    let mut w = World::new(8);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).contact = Some("<sip:gw@10.11.12.13:5070>".into());
    let (a, c) = w.talk(alice, acme, "+442079460000");
    w.hang_up(a);
    w.expect_over(c, 200);
    assert_eq!(w.last_received(acme, |m| m.is("BYE")).uri(), "sip:gw@10.11.12.13:5070");
    w.finish();
}

/// Interop 46: the connection of a phone breaks during a call; its next request comes over a new one, and so do ours then.
#[test]
fn a_request_on_a_new_connection() {
    let mut w = World::new(9);
    let (alice, bob) = (w.tcp_phone("alice"), w.registered("bob"));
    w.register(alice);
    let (a, b) = w.talk(alice, bob, "bob");
    w.cut_stream(w.streams.list.len() - 1);
    w.run(s(5));
    assert_eq!(
        (w.state(a), w.state(b)),
        (State::Up, State::Up),
        "a connection is not a dialog"
    );
    assert_eq!(w.request(a, "OPTIONS", &[], None), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// Interop 46: the connection breaks and does not come back: our BYE has no way; the call ends all the same.
#[test]
fn a_bye_over_a_connection_that_is_gone() {
    let mut w = World::new(10);
    let (alice, bob) = (w.tcp_phone("alice"), w.registered("bob"));
    w.register(alice);
    let (a, b) = w.talk(alice, bob, "bob");
    w.cut_stream(w.streams.list.len() - 1);
    let ip = w.agents[alice.0].addr.ip();
    w.net.link(ip).cut = true;
    w.hang_up(b);
    w.expect_over(b, 200);
    w.run(s(60));
    assert_eq!(w.state(a), State::Up, "nobody could tell it");
    assert_eq!(w.cause(), (200, 16));
    w.net.link(ip).cut = false;
    w.hang_up(a);
    w.run(s(1));
    assert_eq!(w.at(a).answer_to("BYE"), Some(481), "its own BYE finds no call");
    w.finish();
}

/// RFC 3261 18.1.1, 12.2.1.1: a Contact with `transport=tcp`: the dialog's requests go there by TCP.
#[test]
fn the_contact_asks_for_tcp() {
    let mut w = World::new(11);
    let alice = w.registered("alice");
    let acme = w.tcp_carrier("acme", "198.51.100.1:5060");
    w.policy(acme).contact = Some("<sip:acme@198.51.100.1:5060;transport=tcp>".into());
    let c = w.call(acme, "+14155550101");
    w.up(c);
    let a = w.incoming(alice);
    w.run(ms(200));
    w.hang_up(a);
    w.expect_over(c, 200);
    let bye = w.last_received(acme, |m| m.is("BYE"));
    assert!(bye.text("Via").starts_with("SIP/2.0/TCP "), "{}", bye.text("Via"));
    w.finish();
}

/// Interop 45: a proxy between two transports records itself twice; the near one of the two says how to reach it.
#[test]
fn a_double_record_route_with_another_transport() {
    let mut w = World::new(13);
    let (alice, acme) = (w.registered("alice"), w.tcp_carrier("acme", "198.51.100.1:5060"));
    let (near, far) = (
        "<sip:198.51.100.1;transport=tcp;r2=on;lr>",
        "<sip:198.51.100.1;r2=on;lr>",
    );
    let c = w.call_with(acme, "+14155550101", &[&format!("Record-Route: {near}, {far}")]);
    w.up(c);
    w.agent(acme).calls[c.call].routes.clear();
    let a = w.incoming(alice);
    w.run(s(1));
    w.hang_up(a);
    w.expect_over(c, 200);
    let bye = w.last_received(acme, |m| m.is("BYE"));
    assert_eq!(bye.all("Route"), [near, far]);
    assert!(bye.text("Via").starts_with("SIP/2.0/TCP "));
    w.finish();
}

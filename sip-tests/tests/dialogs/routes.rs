//! Where requests within a call go: target refresh and route sets: RFC 3261 12.1, 12.2, 16.12, interop items 45, 46.

use crate::tools::{contact_uri, direction, reinvites, requests, same, two};
use sip_tests::{Change, Peer, World, s};

const NUMBER: &str = "+442079460000";

/// A peer has another address from now on; its Contact and its packets say so.
pub fn moves(w: &mut World, peer: Peer, addr: &str) {
    let addr: std::net::SocketAddr = addr.parse().expect("an address of the test");
    has_also(w, peer, &addr.ip().to_string());
    w.agent(peer).addr = addr;
}

/// One more address of a peer's host.
fn has_also(w: &mut World, peer: Peer, ip: &str) {
    let owner = sip_tests::net::Owner::Peer(peer.0);
    w.net.add(
        ip.parse().expect("an address of the test"),
        owner,
        sip_tests::net::Link::default(),
    );
}

fn carrier(seed: u64) -> (World, Peer, Peer) {
    let mut w = World::new(seed);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    (w, alice, acme)
}

/// RFC 3261 12.2.2: a re-INVITE or an UPDATE with another Contact moves the target: later requests go there, and only there.
#[test]
fn the_peer_moves_by_a_request() {
    for update in [false, true] {
        let (mut w, alice, acme) = carrier(1);
        let (a, c) = w.talk(alice, acme, NUMBER);
        let old = w.agents[acme.0].addr;
        moves(&mut w, acme, "198.51.100.9:5060");
        w.net.link(old.ip()).cut = true;
        let status = if update {
            w.update(c, same())
        } else {
            w.reinvite(c, same())
        };
        assert_eq!(status, 200);
        w.hang_up(a);
        w.expect_over(c, 200);
        assert_eq!(w.last_received(acme, |m| m.is("BYE")).uri(), contact_uri(&w, acme));
        w.finish();
    }
}

/// RFC 3261 12.2.1.2: the 2xx of our re-INVITE names another Contact: its ACK and all later requests go there.
#[test]
fn the_peer_moves_by_a_response() {
    let (mut w, alice, acme) = carrier(2);
    let (a, c) = w.talk(alice, acme, NUMBER);
    has_also(&mut w, acme, "198.51.100.9");
    w.policy(acme).contact = Some("<sip:acme@198.51.100.9:5060>".into());
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(
        w.last_received(acme, |m| m.is("ACK")).uri(),
        "sip:acme@198.51.100.9:5060"
    );
    w.hang_up(a);
    w.expect_over(c, 200);
    assert_eq!(
        w.last_received(acme, |m| m.is("BYE")).uri(),
        "sip:acme@198.51.100.9:5060"
    );
    w.finish();
}

/// RFC 3261 12.2: what does not refresh the target does not move it: an INFO with a Contact, and a re-INVITE that is refused.
#[test]
fn other_requests_do_not_move_the_target() {
    let (mut w, alice, acme) = carrier(3);
    let (a, c) = w.talk(alice, acme, NUMBER);
    let before = w.last_received(acme, |m| m.is("ACK")).uri().to_owned();
    assert_eq!(
        w.request(c, "INFO", &["Contact: <sip:elsewhere@198.51.100.77>"], None),
        200
    );
    w.hang_up(a);
    w.expect_over(c, 200);
    assert_eq!(w.last_received(acme, |m| m.is("BYE")).uri(), before);
    w.finish();
}

/// RFC 3261 12.1.1: the proxies of the caller's INVITE stay in the way, in their order; the 200 repeats them.
#[test]
fn the_route_set_of_an_incoming_call() {
    let (mut w, alice, acme) = carrier(4);
    has_also(&mut w, acme, "198.51.100.2");
    let (near, far) = ("<sip:198.51.100.2;lr;ftag=1>", "<sip:198.51.100.3;lr>");
    let c = w.call_with(acme, "+14155550101", &[&format!("Record-Route: {near}, {far}")]);
    w.up(c);
    w.agent(acme).calls[c.call].routes.clear();
    w.run(s(1));
    let ok = w.last_received(acme, |m| m.answers("INVITE", 200));
    assert_eq!(ok.all("Record-Route"), [near, far]);
    assert!(!ok.text("Contact").contains("198.51.100"), "our own Contact");
    let a = w.incoming(alice);
    w.hang_up(a);
    w.expect_over(c, 200);
    let bye = w.last_received(acme, |m| m.is("BYE"));
    assert_eq!(
        (bye.all("Route"), bye.uri()),
        (vec![near, far], contact_uri(&w, acme).as_str())
    );
    assert!(
        w.at(a).invite.get("Record-Route").is_none(),
        "the other leg has its own way"
    );
    w.finish();
}

/// RFC 3261 12.1.2: the proxies of the callee's 200, in reverse: ACK, re-INVITE and BYE take that way.
#[test]
fn the_route_set_of_an_outgoing_call() {
    let (mut w, alice, acme) = carrier(5);
    has_also(&mut w, acme, "198.51.100.2");
    let (near, far) = ("<sip:198.51.100.2;lr>", "<sip:198.51.100.3;transport=udp;lr>");
    w.policy(acme).answer_lines = vec![format!("Record-Route: {far}"), format!("Record-Route: {near}")];
    let (a, c) = w.talk(alice, acme, NUMBER);
    assert_eq!(w.hold(a, "inactive"), 200);
    w.run(s(1));
    w.hang_up(a);
    w.expect_over(c, 200);
    for method in ["ACK", "INVITE", "BYE"] {
        let request = w.last_received(acme, |m| m.is(method) && !m.to_tag().is_empty());
        assert_eq!(
            (request.all("Route"), request.uri()),
            (vec![near, far], contact_uri(&w, acme).as_str()),
            "{method}"
        );
    }
    w.finish();
}

/// RFC 3261 12.2.1.1: a strict router stands in the request line, the target at the end of Route.
#[test]
fn a_strict_router() {
    let (mut w, alice, acme) = carrier(6);
    has_also(&mut w, acme, "198.51.100.2");
    w.policy(acme).answer_lines = vec![
        "Record-Route: <sip:198.51.100.3;lr>".into(),
        "Record-Route: <sip:198.51.100.2>".into(),
    ];
    let (a, c) = w.talk(alice, acme, NUMBER);
    w.hang_up(a);
    w.expect_over(c, 200);
    let bye = w.last_received(acme, |m| m.is("BYE"));
    assert_eq!(bye.uri(), "sip:198.51.100.2");
    assert_eq!(
        bye.all("Route"),
        [
            "<sip:198.51.100.3;lr>".to_owned(),
            format!("<{}>", contact_uri(&w, acme))
        ]
    );
    w.finish();
}

/// RFC 3261 12.2: a re-INVITE with other Record-Routes does not change the route set.
#[test]
fn the_route_set_is_made_once() {
    let (mut w, alice, acme) = carrier(7);
    has_also(&mut w, acme, "198.51.100.2");
    w.policy(acme).answer_lines = vec!["Record-Route: <sip:198.51.100.2;lr>".into()];
    let (a, c) = w.talk(alice, acme, NUMBER);
    let change = Change {
        lines: vec!["Record-Route: <sip:198.51.100.77;lr>".into()],
        ..same()
    };
    assert_eq!(w.reinvite(c, change), 200);
    w.hang_up(a);
    w.expect_over(c, 200);
    assert_eq!(
        w.last_received(acme, |m| m.is("BYE")).all("Route"),
        ["<sip:198.51.100.2;lr>"]
    );
    w.finish();
}

/// RFC 3261 12.2.1.1, 14.1: a hold is told along the route set of the held leg, while the holder's leg has none.
#[test]
fn each_leg_has_its_own_route_set() {
    let (mut w, alice, bob) = two(12);
    let (a, b) = w.talk(alice, bob, "bob");
    w.on(a, |agent, cx, call| agent.reinvite(cx, call, direction("sendonly")));
    w.run(s(1));
    let told = reinvites(&w, bob).remove(0).1;
    assert!(told.get("Route").is_none());
    assert_eq!(requests(&w, alice, "INVITE").len(), 0);
    assert_eq!(told.uri(), contact_uri(&w, bob));
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 45: REFER and its NOTIFYs along the route set of a phone behind a proxy.
#[test]
fn a_transfer_through_a_route_set() {
    let (mut w, alice, bob) = two(14);
    let carol = w.registered("carol");
    let route = "<sip:203.0.0.10:5060;lr>";
    let a = w.call_with(alice, "bob", &[&format!("Record-Route: {route}")]);
    w.up(a);
    let b = w.incoming(bob);
    w.agent(alice).calls[a.call].routes.clear();
    assert_eq!(w.request(a, "REFER", &["Refer-To: <sip:carol@example.com>"], None), 202);
    w.expect_over(a, 200);
    for method in ["NOTIFY", "BYE"] {
        assert_eq!(
            w.last_received(alice, |m| m.is(method)).all("Route"),
            [route],
            "{method}"
        );
    }
    let c = w.incoming(carol);
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

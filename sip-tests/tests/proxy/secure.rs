//! SIPS through the proxy: RFC 3261 16.6 step 4 and 26.2.2, RFC 5630 5.3. Streams stand for TLS here; whole flows are in `flows.rs`.

use crate::tools::{by_hand, request, requests, settle, with};
use sip_tests::agent::Wire;
use sip_tests::{Answer, Peer, World, s};
use std::net::SocketAddr;

const OFFICE: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060", "tls://192.0.2.1:5061" ]
media:    { ports: 20000-20399, workers: 2 }
domains:  [ { name: example.com, do: proxy } ]
users:
  - { name: alice, password: "wonder land" }
  - { name: bob, password: builder }
"#;

/// A phone of a user over TLS, not registered.
fn phone(w: &mut World, name: &str, user: &str) -> Peer {
    let peer = w.device(name, user, tandem::id::Transport::Tcp);
    w.agent(peer).server = Wire::Tcp(SocketAddr::new(w.node_ip, 5061));
    peer
}

fn register(w: &mut World, peer: Peer, scheme: &str, user: &str) {
    let contact = format!("Contact: <{scheme}:{user}@{}>", w.agents[peer.0].addr);
    assert_eq!(w.register_with(peer, &[&contact]), 200);
}

/// alice and bob over TLS, each with one contact of this scheme.
fn two(seed: u64, scheme: &str) -> (World, Peer, Peer) {
    let mut w = with(seed, OFFICE);
    let (alice, bob) = (phone(&mut w, "alice", "alice"), phone(&mut w, "bob", "bob"));
    register(&mut w, alice, scheme, "alice");
    register(&mut w, bob, scheme, "bob");
    (w, alice, bob)
}

/// RFC 5630 5.3, RFC 3261 16.6 step 4: SIPS rings the phone that is registered with SIPS, by its SIPS contact, and we stay on the way as
/// SIPS; what follows in the dialog goes over the same connections.
#[test]
fn sips_goes_on_as_sips() {
    let (mut w, alice, bob) = two(1, "sips");
    let call = w.call(alice, "sips:bob@example.com");
    w.up(call);
    let invite = w.last_received(bob, |m| m.is("INVITE"));
    assert_eq!(invite.uri(), format!("sips:bob@{}", w.agents[bob.0].addr));
    let routes = invite.all("Record-Route");
    assert!(
        routes.len() == 1 && routes[0].starts_with("<sips:tw-") && routes[0].ends_with("@192.0.2.1:5061;lr>"),
        "{routes:?}"
    );
    assert_eq!(w.request(call, "INFO", &[], None), 200);
    w.hang_up(call);
    w.finish();
}

/// RFC 5630 5.3: a phone that is registered with SIP may not ring for SIPS, whatever it is connected by: 480, and why.
#[test]
fn sips_does_not_ring_a_phone_that_says_sip() {
    let (mut w, alice, bob) = two(2, "sip");
    let call = w.call(alice, "sips:bob@example.com");
    w.expect_over(call, 480);
    let refused = w.last_received(alice, |m| m.status() == 480);
    assert!(refused.text("Warning").starts_with("380 "), "{refused:?}");
    assert!(requests(&w, bob, "INVITE").is_empty());
    w.finish();
}

/// RFC 5630 5.3: SIP rings a phone that is registered with SIPS by SIP, over TLS all the same, and nothing says SIPS to it.
#[test]
fn sip_rings_a_phone_that_says_sips() {
    let (mut w, alice, bob) = two(3, "sips");
    let call = w.call(alice, "sip:bob@example.com");
    w.up(call);
    let invite = w.last_received(bob, |m| m.is("INVITE"));
    assert_eq!(invite.uri(), format!("sip:bob@{}", w.agents[bob.0].addr));
    assert!(invite.text("Via").starts_with("SIP/2.0/TLS "));
    assert!(!invite.text("Record-Route").contains("sips:"), "{invite:?}");
    w.hang_up(call);
    w.finish();
}

/// The connection of such a phone is gone: it is called anew by TLS, and never by UDP.
#[test]
fn a_phone_that_says_sips_is_called_anew_by_tls() {
    let (mut w, alice, bob) = two(4, "sips");
    let number = w.streams.list.len() - 1;
    w.cut_stream(number);
    settle(&mut w);
    let call = w.call(alice, "sip:bob@example.com");
    w.up(call);
    let invite = w.last_received(bob, |m| m.is("INVITE"));
    assert!(invite.text("Via").starts_with("SIP/2.0/TLS "), "{invite:?}");
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 26.2.2: SIPS that came without TLS is refused.
#[test]
fn sips_without_tls_is_refused() {
    let (mut w, _, bob) = two(5, "sips");
    let other = w.device("other", "alice", tandem::id::Transport::Udp);
    let call = w.call(other, "sips:bob@example.com");
    w.expect_over(call, 416);
    assert!(requests(&w, bob, "INVITE").is_empty());
    w.finish();
}

/// RFC 3261 16.6 step 7: what goes to a SIPS URI goes by TLS, though its Route says SIP and the next hop has UDP, too.
#[test]
fn a_route_does_not_lead_sips_away_from_tls() {
    let (mut w, alice, _) = two(6, "sips");
    let next = w.tcp_carrier("next", "203.0.113.9:5061");
    w.policy(next).loose = 200;
    let ask = request("MESSAGE", "sips:x@far.example", "sips:alice@example.com", "route@alice")
        .with("Route", "<sip:203.0.113.9;lr>");
    assert_eq!(w.ask(alice, ask), 200);
    let got = w.last_received(next, |m| m.is("MESSAGE"));
    assert!(got.text("Via").starts_with("SIP/2.0/TLS "), "{got:?}");
    w.finish();
}

/// RFC 5630 5.3: a redirection from SIP to SIPS, or back, is the caller's to follow.
#[test]
fn a_redirection_to_another_scheme_is_not_followed() {
    for (seed, called, contact) in [(7, "sip", "sips"), (8, "sips", "sip")] {
        let (mut w, alice, bob) = two(seed, "sips");
        by_hand(&mut w, bob);
        let lines = vec![format!("Contact: <{contact}:alice@example.com>")];
        w.policy(bob).answer = Answer::Status(302, s(1), lines);
        let call = w.call(alice, &format!("{called}:bob@example.com"));
        w.expect_over(call, 302);
        w.finish();
    }
}

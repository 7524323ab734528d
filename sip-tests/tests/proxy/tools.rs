//! What these scripts say in common.

use sip_tests::{Answer, CallRef, Msg, Peer, World, ms};
use tandem::id::Transport;
use tandem::time::Instant;

/// An office whose users are proxied to each other.
pub const OFFICE: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060" ]
media:    { ports: 20000-20399, workers: 2, silence: 5m }
domains:  [ { name: example.com, do: proxy }, example.org ]
users:
  - { name: alice, password: "wonder land", number: "+14155550101", calls: 4 }
  - { name: bob, password: builder, number: "+14155550102", ring: 60s }
  - { name: carol, password: xmas, numbers: [ "+14155550103", "103" ] }
  - { name: dave, password: goliath, calls: 1, on_busy: carol, on_no_answer: carol, on_offline: "600", ring: 15s }
  - { name: erin, password: green, domain: example.org }
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1:5060" ]
    accept_from: [ 198.51.100.0/24 ]
    numbers: { country: US, send: e164 }
    options: never
calls:    { max_duration: 1h }
routes:
  - { to: "600", do: echo }
  - { to: carol, from: user/bob, do: bridge }
  - { to: "+14155550102", from: trunk/acme, do: proxy }
  - { to: "+", from: user/*, do: trunk/acme }
"#;

/// The office. Proxied peers see each other's addresses.
pub fn office(seed: u64) -> World {
    with(seed, OFFICE)
}

/// An office by another file.
pub fn with(seed: u64, yaml: &str) -> World {
    let mut w = World::builder(seed).config(yaml).build();
    w.checks.leaks = false;
    w
}

/// alice and bob, registered.
pub fn two(seed: u64) -> (World, Peer, Peer) {
    let mut w = office(seed);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    (w, alice, bob)
}

/// A phone that says 100 and leaves the rest to the script.
pub fn by_hand(w: &mut World, peer: Peer) {
    w.policy(peer).answer = Answer::Manual;
    w.policy(peer).ring = None;
}

/// Another phone of a user, by hand, with these parameters of its Contact.
pub fn phone(w: &mut World, name: &str, user: &str, params: &str) -> Peer {
    let peer = w.device(name, user, Transport::Udp);
    let contact = format!("Contact: <sip:{user}@{}>{params}", w.agents[peer.0].addr);
    assert_eq!(w.register_with(peer, &[&contact]), 200);
    by_hand(w, peer);
    peer
}

/// A call that has reached its callee, who leaves the rest to the script.
pub fn calling(w: &mut World, from: Peer, to: Peer, number: &str) -> (CallRef, CallRef) {
    by_hand(w, to);
    let call = w.call(from, number);
    (call, w.incoming(to))
}

/// Statuses above 100 to a method that a peer received, challenges left out.
pub fn statuses(w: &World, peer: Peer, method: &str) -> Vec<u16> {
    let all = w.received(peer, |m| m.status() > 100 && m.method() == method && m.status() != 407);
    all.iter().map(|(_, m)| m.status()).collect()
}

/// The requests of a method that a peer received, copies left out.
pub fn requests(w: &World, peer: Peer, method: &str) -> Vec<(Instant, Msg)> {
    let mut all = w.received(peer, |m| m.is(method));
    all.dedup_by(|b, a| a.1.branch() == b.1.branch());
    all
}

/// A request as a phone writes it, without Via, which its peer puts in front.
pub fn request(method: &str, uri: &str, from: &str, call_id: &str) -> Msg {
    Msg::request(method, uri)
        .with("Max-Forwards", "70")
        .with("From", &format!("<{from}>;tag=script"))
        .with("To", &format!("<{uri}>"))
        .with("Call-ID", call_id)
        .with("CSeq", &format!("1 {method}"))
}

/// Lets everything that is under way arrive.
pub fn settle(w: &mut World) {
    w.run(ms(200));
}

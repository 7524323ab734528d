//! Peers given by name: several addresses, none, a slow answer, one that never comes; names that move (RFC 3263, interop 56).

use crate::tools::{USERS, fails, incoming, works, world};
use sip_tests::{Answer, Peer, State, World, ms, s};
use std::net::SocketAddr;

const LONDON: &str = "+442079460000";
const NAME: &str = "sbc.acme.example";

/// One peer by name, one by address behind it.
fn named(seed: u64, more: &str) -> (World, Peer) {
    with_first(seed, NAME, more)
}

fn with_first(seed: u64, first: &str, more: &str) -> (World, Peer) {
    let trunk = format!(
        "trunks:
  - {{ name: acme, peers: [ \"sip:{first}\", \"sip:198.51.100.9:5060\" ], accept_from: [ 198.51.100.0/24 ], options: never,
      numbers: {{ country: US }}, connect: 3s{more} }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
"
    );
    let mut w = world(seed, &format!("{USERS}{trunk}"));
    let alice = w.registered("alice");
    (w, alice)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address of the test")
}

/// RFC 3263 4.3: the addresses of one name are tried in order, before the next peer; a dead one costs `connect`.
#[test]
fn every_address_of_a_name_is_tried() {
    let (mut w, alice) = named(1, "");
    let hosts = ["198.51.100.1:5060", "198.51.100.2:5062", "198.51.100.3:5060"];
    w.dns.set(NAME, &hosts.map(addr), Some(ms(30)));
    let [dead, refusing, working] = ["dead", "refusing", "working"].map(|name| {
        let host = hosts[["dead", "refusing", "working"]
            .iter()
            .position(|known| *known == name)
            .expect("one of them")];
        w.carrier(name, host)
    });
    let last = w.carrier("last", "198.51.100.9:5060");
    w.policy(dead).deaf = true;
    w.policy(refusing).ring = None;
    w.policy(refusing).answer = Answer::Status(503, ms(10), Vec::new());
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!((s(4)..s(5)).contains(&w.now.since(before)), "{:?}", w.now.since(before));
    assert_eq!(
        (
            incoming(&w, refusing).len(),
            incoming(&w, working).len(),
            incoming(&w, last).len()
        ),
        (1, 1, 0)
    );
    // The name stays in the Request-URI; the address is only where it is sent (RFC 3261 8.1.2).
    let uri = w.at(incoming(&w, working)[0]).invite.uri().to_owned();
    assert_eq!(uri, format!("sip:{LONDON}@{NAME}"));
    w.finish();
}

/// A name that does not exist, or whose answer never comes: the next peer, after 5 s at most; without one 503 or 500.
#[test]
fn a_name_without_address_is_left() {
    let (mut w, alice) = named(2, "");
    let last = w.carrier("last", "198.51.100.9:5060");
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(w.now.since(before) < s(2), "it does not exist");
    w.run(s(60));
    w.dns.set(NAME, &[], None);
    let before = w.now;
    works(&mut w, alice, LONDON);
    assert!(
        (s(6)..s(7)).contains(&w.now.since(before)),
        "5 s for the name, 1 s of ringing"
    );
    assert_eq!(incoming(&w, last).len(), 2);
    w.policy(last).deaf = true;
    let call = fails(&mut w, alice, LONDON, 503);
    assert_eq!(w.cause().1, 38);
    assert!(!w.at(call).statuses.contains(&180));
    w.finish();
}

/// RFC 3261 9.1: CANCEL while the name is resolved: 487 at once, and nothing is ever sent to the carrier; the late answer of the
/// resolver is nobody's.
#[test]
fn cancel_while_a_name_is_resolved() {
    for (seed, after) in (3..).zip([1, 500, 1_990, 2_000, 2_005]) {
        let (mut w, alice) = named(seed, ", limits: { calls: 1 }");
        let acme = w.carrier("acme", "198.51.100.1:5060");
        w.policy(acme).answer = Answer::Manual;
        w.dns.set(NAME, &[addr("198.51.100.1:5060")], Some(s(2)));
        let call = w.call(alice, LONDON);
        w.run(ms(10 + after));
        w.hang_up(call);
        w.expect_over(call, 487);
        w.run(s(5));
        let reached = incoming(&w, acme);
        if after < 1_900 {
            assert!(w.received(acme, |_| true).is_empty(), "after {after} ms");
        }
        assert!(
            reached.iter().all(|call| w.state(*call) == State::Ended(487)),
            "after {after} ms"
        );
        assert_eq!(w.census().trunk_places, 0);
        w.finish();
    }
}

/// RFC 3261 9.1: a call that was given up before its carrier's name was known opens no connection for nobody afterwards.
#[test]
fn a_name_that_comes_after_cancel_opens_no_connection() {
    let (mut w, alice) = with_first(8, &format!("{NAME};transport=tcp"), "");
    w.tcp_carrier("acme", "198.51.100.1:5060");
    w.dns.set(NAME, &[addr("198.51.100.1:5060")], Some(s(2)));
    for (cancelled, connections) in [(true, 0), (false, 1)] {
        let call = w.call(alice, LONDON);
        w.run(ms(500));
        if cancelled {
            w.hang_up(call);
            w.expect_over(call, 487);
        }
        w.run(s(3));
        assert_eq!(w.streams.list.len(), connections);
        if !cancelled {
            w.up(call);
            w.hang_up(call);
        }
    }
    w.finish();
}

/// RFC 3261 12.1.2, 12.2.1.1: ACK and BYE go to the host in the Contact of the answer, which need not be the one that was called.
#[test]
fn requests_in_the_dialog_go_where_the_contact_says() {
    let (mut w, alice) = named(9, "");
    w.dns.set(NAME, &[addr("198.51.100.1:5060")], Some(ms(30)));
    let (front, back) = (
        w.carrier("front", "198.51.100.1:5060"),
        w.carrier("back", "198.51.100.7:5080"),
    );
    w.policy(front).contact = Some("<sip:gw@198.51.100.7:5080>".into());
    let call = w.call(alice, LONDON);
    w.up(call);
    w.run(ms(100));
    w.hang_up(call);
    w.run(ms(100));
    for (method, least) in [("ACK", 1), ("BYE", 1)] {
        assert!(
            w.received(back, |m| m.is(method)).len() >= least,
            "{method} to the host in Contact"
        );
        assert!(
            w.received(front, |m| m.is(method)).is_empty(),
            "{method} not to the host that was called"
        );
    }
    // The two hosts of this carrier do not talk to each other, so the front waits for its ACK in vain.
    w.checks.complaints = false;
    w.finish();
}

/// Interop 55, 56: the name moves; calls and the next refresh of our registration follow it without a restart.
#[test]
fn a_name_that_moves_is_followed() {
    let (mut w, alice) = named(10, ", register: { username: tandem, password: hush, expires: 1m }");
    let (old, new) = (
        w.carrier("old", "198.51.100.1:5060"),
        w.carrier("new", "198.51.100.2:5060"),
    );
    for peer in [old, new] {
        (w.agent(peer).registrar.serves, w.agent(peer).password) = (true, "hush".into());
    }
    w.dns.set(NAME, &[addr("198.51.100.1:5060")], Some(ms(30)));
    // The first attempt met no name, and nobody at the second peer.
    w.until_within(s(150), "we are registered", |w| w.agents[old.0].registrar.accepted == 1);
    works(&mut w, alice, LONDON);
    w.dns.set(NAME, &[addr("198.51.100.2:5060")], Some(ms(30)));
    works(&mut w, alice, LONDON);
    assert_eq!((incoming(&w, old).len(), incoming(&w, new).len()), (1, 1));
    w.run(s(60));
    assert!(
        w.agents[new.0].registrar.accepted >= 1,
        "the refresh goes to the new place"
    );
    w.finish();
}

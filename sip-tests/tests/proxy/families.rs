//! Between IPv4 and IPv6: RFC 5658 4 (two Record-Route values where the address family changes), RFC 6157 3.1.

use crate::tools::with;
use sip_tests::agent::Wire;
use sip_tests::{Peer, World};

const OFFICE: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060", "udp://[2001:db8::1]:5060" ]
media:    { ports: 20000-20399, workers: 2 }
domains:  [ { name: example.com, do: proxy } ]
users:
  - { name: alice, password: "wonder land" }
  - { name: bob, password: builder }
"#;

/// A phone of bob that speaks IPv6.
fn bob(w: &mut World) -> Peer {
    let bob = w.carrier("bob", "[2001:db8::5]:5060");
    let agent = w.agent(bob);
    agent.identity = "sip:bob@example.com".into();
    (agent.user, agent.password) = ("bob".into(), "builder".into());
    agent.server = Wire::Udp("[2001:db8::1]:5060".parse().expect("an address"));
    w.register(bob);
    bob
}

/// Each side hears of us by the address of its own family, and requests of both sides pop both values.
#[test]
fn a_double_record_route_between_the_families() {
    let mut w = with(1, OFFICE);
    w.checks.oracle = false; // rsip does not read IPv6.
    let alice = w.registered("alice");
    let bob = bob(&mut w);
    let (a, b) = w.talk(alice, bob, "bob");
    let invite = w.last_received(bob, |m| m.is("INVITE"));
    let routes = invite.all("Record-Route");
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert!(
        routes[0].ends_with("@[2001:db8::1]:5060;lr>") && routes[1].ends_with("@192.0.2.1:5060;lr>"),
        "{routes:?}"
    );
    assert!(invite.text("Via").starts_with("SIP/2.0/UDP [2001:db8::1]:5060;"));
    for (from, to) in [(a, bob), (b, alice)] {
        assert_eq!(w.request(from, "INFO", &[], None), 200);
        assert!(w.last_received(to, |m| m.is("INFO")).get("Route").is_none());
    }
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// The same the other way round.
#[test]
fn a_call_from_ipv6_to_ipv4() {
    let mut w = with(2, OFFICE);
    w.checks.oracle = false;
    let alice = w.registered("alice");
    let bob = bob(&mut w);
    let (a, b) = w.talk(bob, alice, "alice");
    let invite = w.last_received(alice, |m| m.is("INVITE"));
    let routes = invite.all("Record-Route");
    assert!(
        routes.len() == 2 && routes[0].contains("@192.0.2.1:5060") && routes[1].contains("@[2001:db8::1]:5060"),
        "{routes:?}"
    );
    assert_eq!(w.request(b, "INFO", &[], None), 200);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

//! To whom nothing is relayed.

use sip_tests::ms;
use sip_tests::turn::lab::RELAY_V4;
use sip_tests::turn::wire::{attr, channel_data, kind};
use sip_tests::turn::{Caller, Lab};
use std::net::SocketAddr;

fn allocated(lab: &mut Lab) -> Caller {
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    alice
}

#[test]
fn addresses_that_are_nobodys_on_the_internet() {
    let mut lab = Lab::new(
        1,
        "  allowed_peers: [ 10.20.0.0/16 ]\n  denied_peers: [ 198.51.100.0/24, 10.20.5.0/24 ]\n",
    );
    let mut alice = allocated(&mut lab);
    let (denied, open) = (Some(403), None);
    for (peer, code) in [
        ("127.0.0.1", denied),
        ("0.0.0.0", denied),
        ("10.0.0.1", denied),
        ("172.16.0.1", denied),
        ("192.168.0.1", denied),
        ("169.254.169.254", denied),
        ("100.64.0.1", denied),
        ("224.0.0.1", denied),
        ("255.255.255.255", denied),
        ("198.51.100.1", denied),
        ("10.20.5.1", denied),
        ("10.20.6.1", open),
        ("198.51.101.1", open),
    ] {
        let peer = SocketAddr::new(peer.parse().unwrap(), 9_000);
        assert_eq!(lab.permit(&mut alice, &[peer]).error(), code, "{peer}");
        let number = 0x4000 + peer.port() % 7;
        let bound = lab.bind(&mut alice, number, peer).error();
        assert!(
            bound == code || (code == open && bound == Some(400)),
            "{peer}: {bound:?}"
        );
    }
    assert_eq!(lab.server.counters().denied, 22);
}

#[test]
fn of_ours_media_and_relayed_ports_only() {
    let mut lab = Lab::new(2, "  ports: 50000-50099\n  allowed_peers: [ 192.0.2.0/24 ]\n");
    let mut alice = allocated(&mut lab);
    let ours = |port: u16| SocketAddr::new(RELAY_V4.parse().unwrap(), port);
    assert_eq!(lab.permit(&mut alice, &[ours(1)]).error(), None, "media may be reached");
    let ports = [
        (22, false),
        (5060, false),
        (3478, false),
        (20_099, true),
        (20_100, false),
        (50_000, true),
    ];
    for (number, (port, open)) in (0x4000..).zip(ports) {
        let inbox = lab.host(&ours(port).to_string());
        lab.indicate(&alice, ours(port), b"hello");
        let bound = lab.bind(&mut alice, number, ours(port)).error();
        assert_eq!(bound, if open { None } else { Some(403) }, "{port}");
        lab.say(alice.via, &channel_data(number, b"hello", false));
        lab.run(ms(50));
        // Where the relay itself listens, or one of its relayed ports is, nobody else does.
        let heard = lab.heard(inbox).len();
        assert_eq!(heard, if open { 2 } else { 0 }, "{port}");
    }
    assert_eq!(lab.server.counters().denied, 8);
}

/// Behind a NAT that leads nobody back, two of our own clients reach one another.
#[test]
fn two_relayed_addresses_behind_nat() {
    let mut lab = Lab::new(3, "  external: [ 198.18.0.1 ]\n");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let mut bob = lab.caller("203.0.113.6:4000", "bob", "builder");
    let (of_alice, of_bob) = (lab.allocate(&mut alice), lab.allocate(&mut bob));
    assert!(of_alice.ip().to_string() == "198.18.0.1" && of_bob.ip() == of_alice.ip());
    assert_eq!(lab.bind(&mut alice, 0x4000, of_bob).error(), None);
    assert_eq!(lab.bind(&mut bob, 0x4001, of_alice).error(), None);
    lab.say(alice.via, &channel_data(0x4000, b"hello", false));
    lab.run(ms(50));
    assert_eq!(lab.told(bob.via), [channel_data(0x4001, b"hello", false)]);
}

/// What else this machine is called is no peer: whatever listens there is not meant for those on the internet.
#[test]
fn other_addresses_of_this_machine_are_denied() {
    let more = "  allowed_peers: [ 10.20.0.0/16 ]\n";
    let mut lab = Lab::new(4, more);
    let interfaces = ["127.0.0.1", RELAY_V4, "198.51.100.77", "10.20.0.9"].map(|ip| ip.parse().unwrap());
    lab.server.configure(&sip_tests::turn::lab::config(more), &interfaces);
    let mut alice = allocated(&mut lab);
    for (peer, code) in [
        ("198.51.100.77", Some(403)),
        ("10.20.0.9", Some(403)),
        ("127.0.0.1", Some(403)),
        ("10.20.0.8", None),
        ("198.51.100.78", None),
        (RELAY_V4, None),
    ] {
        let peer = SocketAddr::new(peer.parse().unwrap(), 20_010);
        assert_eq!(lab.permit(&mut alice, &[peer]).error(), code, "{peer}");
    }
}

/// What a translator makes an address of IPv4 of is what that is (RFC 6052 2.1, RFC 3056), and no packet has one that is mapped (RFC 4291
/// 2.5.5.2).
#[test]
fn an_address_of_ipv4_in_one_of_ipv6_is_denied_as_it_is() {
    let more = "  allowed_peers: [ \"64:ff9b::/96\", \"2002::/16\" ]\n  denied_peers: [ 203.0.113.0/24 ]\n";
    let mut lab = Lab::new(5, more);
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let wishes = [(attr::TRANSPORT, vec![17, 0, 0, 0]), (attr::FAMILY, vec![2, 0, 0, 0])];
    assert_eq!(lab.ask(&mut alice, kind::ALLOCATE, &wishes).error(), None);
    for (peer, code) in [
        ("64:ff9b::8.8.8.8", None),
        ("64:ff9b::10.0.0.1", Some(403)),
        ("64:ff9b::127.0.0.1", Some(403)),
        ("64:ff9b::203.0.113.9", Some(403)),
        ("64:ff9b::192.0.2.1", Some(403)),
        ("2002:808:808::1", None),
        ("2002:7f00:1::1", Some(403)),
        ("2002:a00:1::1", Some(403)),
        ("::ffff:8.8.8.8", Some(403)),
        ("::ffff:10.0.0.1", Some(403)),
    ] {
        let peer = SocketAddr::new(peer.parse().unwrap(), 9_000);
        assert_eq!(lab.permit(&mut alice, &[peer]).error(), code, "{peer}");
    }
}

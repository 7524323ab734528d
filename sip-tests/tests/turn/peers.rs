//! To whom nothing is relayed.

use sip_tests::ms;
use sip_tests::turn::lab::RELAY_V4;
use sip_tests::turn::wire::channel_data;
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

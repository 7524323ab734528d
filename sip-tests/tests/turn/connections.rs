//! TCP to peers (RFC 6062): which connections there are, and whose.

use sip_tests::s;
use sip_tests::turn::lab::plain;
use sip_tests::turn::wire::{attr, kind};
use sip_tests::turn::{Caller, Lab, Raw, Via};
use std::net::SocketAddr;
use tandem::relay::{ConnectionId, StreamId};
use tandem::{limits, relay};

const TCP: [u8; 4] = [6, 0, 0, 0];
const ON: &str = "  tcp_peers: yes\n";

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// With a relayed address for connections.
fn allocated(lab: &mut Lab, number: u32, user: &str, password: &str) -> (Caller, SocketAddr) {
    let mut caller = lab.stream(number, &format!("203.0.113.5:{}", 4_000 + number), user, password);
    let answer = lab.ask(&mut caller, kind::ALLOCATE, &[(attr::TRANSPORT, TCP.to_vec())]);
    assert_eq!(answer.error(), None);
    let relayed = answer.addresses(attr::RELAYED)[0];
    (caller, relayed)
}

/// A Connect request goes out: it is answered when the peer has been asked.
fn ask(lab: &mut Lab, caller: &Caller, peer: SocketAddr) {
    let request = Raw::new(kind::CONNECT, lab.transaction()).with_address(attr::PEER, peer);
    let octets = lab.sealed(caller, request);
    lab.say(caller.via, &octets);
}

fn answer(lab: &mut Lab, caller: &Caller) -> Raw {
    let told = lab.told(caller.via);
    assert_eq!(told.len(), 1);
    Raw::read(&told[0]).expect("STUN")
}

/// Another stream of this user asks for a connection.
fn bind(lab: &mut Lab, number: u32, (user, password): (&str, &str), id: &[u8]) -> (Caller, Option<u16>) {
    let mut data = lab.stream(number, &format!("203.0.113.5:{}", 4_000 + number), user, password);
    let answer = lab.ask(&mut data, kind::CONNECTION_BIND, &[(attr::CONNECTION_ID, id.to_vec())]);
    let code = answer.error();
    (data, code)
}

const ALICE: (&str, &str) = ("alice", "swordfish");

#[test]
fn a_client_connects_to_a_peer_and_joins_a_stream_to_it() {
    let mut lab = Lab::new(1, ON);
    let (alice, relayed) = allocated(&mut lab, 1, ALICE.0, ALICE.1);
    let peer = addr("198.51.100.20:9000");
    ask(&mut lab, &alice, peer);
    assert!(lab.told(alice.via).is_empty(), "not before the peer has answered");
    let (id, from, to) = lab.wanted[0];
    assert_eq!((from, to), (relayed, peer));
    // One to each peer (RFC 6062 5.2).
    ask(&mut lab, &alice, peer);
    assert_eq!(answer(&mut lab, &alice).error(), Some(446));
    lab.connected(id, true);
    let told = answer(&mut lab, &alice);
    assert_eq!(told.kind, kind::CONNECT | kind::SUCCESS);
    let token = told.get(attr::CONNECTION_ID).expect("it has a number").to_vec();
    assert_eq!(token, id.0.to_be_bytes());
    for (number, user, token, code) in [
        (2, ALICE, vec![1, 2, 3, 4], Some(400)),
        (3, ALICE, vec![1, 2], Some(400)),
        (4, ("bob", "builder"), token.clone(), Some(441)),
        (5, ALICE, token.clone(), None),
        (6, ALICE, token.clone(), Some(400)),
    ] {
        assert_eq!(bind(&mut lab, number, user, &token).1, code, "{number}");
    }
    assert_eq!(lab.joined, [(id, StreamId(5))]);
    lab.run(s(60));
    assert!(
        !lab.hung.contains(&StreamId(5)) && lab.disconnected.is_empty(),
        "it may be silent"
    );
    // The peer goes, and so does the client's stream (5.5).
    lab.over(id);
    assert_eq!(
        (&lab.disconnected[..], lab.hung.contains(&StreamId(5))),
        (&[id][..], true)
    );
    ask(&mut lab, &alice, peer);
    assert_eq!(lab.wanted.len(), 2, "it may connect again");
}

#[test]
fn a_peer_that_has_a_permission_connects_and_the_client_is_told() {
    let mut lab = Lab::new(2, ON);
    let (mut alice, relayed) = allocated(&mut lab, 1, ALICE.0, ALICE.1);
    let (peer, other) = (addr("198.51.100.20:9000"), addr("198.51.100.21:9000"));
    assert_eq!(lab.permit(&mut alice, &[peer]).error(), None);
    assert_eq!(lab.come(other, relayed), None);
    let id = lab.come(peer, relayed).expect("it is taken");
    let told = answer(&mut lab, &alice);
    assert_eq!(told.kind, kind::CONNECTION_ATTEMPT);
    assert_eq!(told.addresses(attr::PEER), [peer]);
    let token = told.get(attr::CONNECTION_ID).expect("it has a number").to_vec();
    assert_eq!(bind(&mut lab, 2, ALICE, &token).1, None);
    assert_eq!(lab.joined, [(id, StreamId(2))]);
    // Nobody comes for the next one.
    let late = lab.come(addr("198.51.100.20:9001"), relayed).expect("it is taken");
    lab.run(s(31));
    assert_eq!(lab.disconnected, [late]);
    assert_eq!(bind(&mut lab, 3, ALICE, &late.0.to_be_bytes()).1, Some(400));
    // With the control connection all of it ends.
    let Via::Stream(control) = alice.via else {
        unreachable!()
    };
    lab.hang_up(control);
    assert!(lab.disconnected.contains(&id) && lab.hung.contains(&StreamId(2)));
    assert_eq!((lab.server.allocations(), lab.open_ports().len()), (0, 0));
}

#[test]
fn what_is_not_to_be_is_refused() {
    let mut lab = Lab::new(3, ON);
    // Not by datagrams, and without what is for datagrams.
    let mut udp = lab.caller("203.0.113.9:4000", ALICE.0, ALICE.1);
    let tcp = (attr::TRANSPORT, TCP.to_vec());
    assert_eq!(
        lab.ask(&mut udp, kind::ALLOCATE, std::slice::from_ref(&tcp)).error(),
        Some(400)
    );
    let mut stream = lab.stream(9, "203.0.113.9:4001", ALICE.0, ALICE.1);
    for more in [(attr::EVEN_PORT, vec![0x80]), (attr::TOKEN, vec![0; 8])] {
        assert_eq!(
            lab.ask(&mut stream, kind::ALLOCATE, &[tcp.clone(), more]).error(),
            Some(400)
        );
    }
    // Connections are for allocations of their kind, and data goes by no channel.
    let peer = addr("198.51.100.20:9000");
    assert_eq!(
        lab.ask(&mut stream, kind::CONNECT, &[(attr::PEER, plain(peer))])
            .error(),
        Some(437)
    );
    lab.allocate(&mut stream);
    assert_eq!(
        lab.ask(&mut stream, kind::CONNECT, &[(attr::PEER, plain(peer))])
            .error(),
        Some(400)
    );
    let (mut alice, relayed) = allocated(&mut lab, 1, ALICE.0, ALICE.1);
    assert_eq!(lab.bind(&mut alice, 0x4000, peer).error(), Some(400));
    let inbox = lab.host("198.51.100.20:9000");
    assert_eq!(lab.permit(&mut alice, &[peer]).error(), None);
    lab.indicate(&alice, peer, b"hello");
    lab.run(s(1));
    assert!(lab.heard(inbox).is_empty());
    // Nor to whom nothing is relayed: of ours, to relayed ports only.
    for (to, code) in [
        ("10.0.0.1:80", Some(403)),
        ("192.0.2.1:5060", Some(403)),
        ("192.0.2.1:3478", Some(403)),
        ("192.0.2.1:20010", Some(403)),
        ("[2001:db8:1::1]:80", Some(443)),
    ] {
        let refused = lab.ask(&mut alice, kind::CONNECT, &[(attr::PEER, plain(addr(to)))]);
        assert_eq!(refused.error(), code, "{to}");
    }
    // What listens at another port of that range is none of it.
    let free = SocketAddr::new(relayed.ip(), relayed.port() ^ 1);
    let refused = lab.ask(&mut alice, kind::CONNECT, &[(attr::PEER, plain(free))]);
    assert_eq!(refused.error(), Some(403));
    assert!(lab.wanted.is_empty());
    let (_other, theirs) = allocated(&mut lab, 2, ALICE.0, ALICE.1);
    ask(&mut lab, &alice, theirs);
    assert_eq!(lab.wanted.len(), 1);
}

#[test]
fn a_peer_that_does_not_answer_is_given_up_and_there_are_so_many() {
    let mut lab = Lab::new(4, ON);
    let (alice, _) = allocated(&mut lab, 1, ALICE.0, ALICE.1);
    ask(&mut lab, &alice, addr("198.51.100.20:9000"));
    lab.connected(lab.wanted[0].0, false);
    assert_eq!(answer(&mut lab, &alice).error(), Some(447));
    ask(&mut lab, &alice, addr("198.51.100.20:9000"));
    lab.run(s(31));
    assert_eq!(answer(&mut lab, &alice).error(), Some(447));
    let most = limits::RELAY_CONNECTIONS_EACH as u16;
    for port in 0..most {
        ask(
            &mut lab,
            &alice,
            SocketAddr::new(addr("198.51.100.20:0").ip(), 1 + port),
        );
    }
    assert!(lab.told(alice.via).is_empty());
    ask(&mut lab, &alice, addr("198.51.100.20:9999"));
    assert_eq!(answer(&mut lab, &alice).error(), Some(508));
    // One whose answer comes late is closed.
    lab.connected(ConnectionId(1), true);
    assert_eq!(lab.disconnected.last(), Some(&ConnectionId(1)));
}

/// RFC 8656 8.1: with one family its peers go, and those of the other stay.
#[test]
fn the_connections_of_a_family_end_with_it() {
    let mut lab = Lab::new(8, ON);
    let mut alice = lab.stream(1, "203.0.113.5:4001", ALICE.0, ALICE.1);
    let both = [(attr::TRANSPORT, TCP.to_vec()), (attr::SECOND_FAMILY, vec![2, 0, 0, 0])];
    assert_eq!(lab.ask(&mut alice, kind::ALLOCATE, &both).error(), None);
    for peer in ["198.51.100.20:9000", "[2001:db8:2::20]:9000"] {
        ask(&mut lab, &alice, addr(peer));
    }
    let (old, new) = (lab.wanted[0].0, lab.wanted[1].0);
    for (id, stream) in [(old, 2), (new, 3)] {
        lab.connected(id, true);
        lab.told(alice.via);
        assert_eq!(bind(&mut lab, stream, ALICE, &id.0.to_be_bytes()).1, None);
    }
    let gone = [(attr::LIFETIME, vec![0; 4]), (attr::FAMILY, vec![2, 0, 0, 0])];
    assert_eq!(lab.ask(&mut alice, kind::REFRESH, &gone).error(), None);
    assert_eq!((&lab.disconnected[..], &lab.hung[..]), (&[new][..], &[StreamId(3)][..]));
    ask(&mut lab, &alice, addr("[2001:db8:2::20]:9000"));
    assert_eq!(answer(&mut lab, &alice).error(), Some(443));
}

/// Octets are not lost as packets are: what is too much waits.
#[test]
fn the_bandwidth_holds_for_connections_too() {
    let mut lab = Lab::new(5, "  bandwidth: 80\n  tcp_peers: yes\n");
    let (alice, _) = allocated(&mut lab, 1, ALICE.0, ALICE.1);
    ask(&mut lab, &alice, addr("198.51.100.20:9000"));
    let id = lab.wanted[0].0;
    lab.connected(id, true);
    let now = lab.now;
    assert_eq!(lab.server.flows(now, id, true, 10_000), None);
    assert_eq!(lab.server.flows(now, id, true, 5_000), Some(now + sip_tests::ms(500)));
    assert_eq!(
        lab.server.flows(now, id, false, 10_000),
        None,
        "each direction by itself"
    );
    let relay::Traffic { packets, octets } = lab.server.counters().to_peers;
    assert_eq!((packets, octets), (2, 15_000));
}

/// Who is denied by a new configuration is let go of.
#[test]
fn a_peer_that_is_denied_meanwhile_is_disconnected() {
    let mut lab = Lab::new(6, ON);
    let (alice, _) = allocated(&mut lab, 1, ALICE.0, ALICE.1);
    ask(&mut lab, &alice, addr("198.51.100.20:9000"));
    let id = lab.wanted[0].0;
    lab.connected(id, true);
    let turn = sip_tests::turn::lab::config("  tcp_peers: yes\n  denied_peers: [ 198.51.100.0/24 ]\n");
    lab.server.configure(&turn, &[]);
    lab.carry_out();
    assert_eq!(lab.disconnected, [id]);
}

#[test]
fn where_it_is_not_switched_on_there_is_none() {
    let mut lab = Lab::new(7, "");
    let mut alice = lab.stream(1, "203.0.113.5:4000", ALICE.0, ALICE.1);
    let asked = lab.ask(&mut alice, kind::ALLOCATE, &[(attr::TRANSPORT, TCP.to_vec())]);
    assert_eq!(asked.error(), Some(442));
}

//! What is relayed, and how.

use sip_tests::ms;
use sip_tests::net::Link;
use sip_tests::s;
use sip_tests::turn::wire::{attr, channel_data, kind};
use sip_tests::turn::{Lab, Raw, Via};
use std::net::SocketAddr;
use tandem::relay::Traffic;

#[test]
fn a_client_behind_nat_learns_its_outside_address() {
    let mut lab = Lab::new(1, "");
    for (inside, outside) in [("10.0.0.2:4000", Some("198.51.100.7")), ("203.0.113.5:4000", None)] {
        let caller = lab.caller(inside, "", "");
        let Via::Udp(from, to) = caller.via else { unreachable!() };
        if let Some(outside) = outside {
            lab.net.behind_nat(from.ip(), outside.parse().unwrap());
        }
        let seen = lab.net.outside(from, to.ip());
        assert_eq!(seen.ip().to_string(), outside.unwrap_or("203.0.113.5"));
        for fingerprint in [false, true] {
            let request = Raw::new(kind::BINDING, lab.transaction());
            let octets = request.write(None, fingerprint);
            let answer = lab
                .exchange(caller.via, request.transaction, &octets)
                .expect("an answer");
            assert_eq!(answer.kind, kind::BINDING | kind::SUCCESS);
            assert_eq!(answer.addresses(attr::MAPPED), [seen]);
            assert_eq!(answer.fingerprint(), fingerprint);
        }
        // RFC 8489 6.3.1: what must be understood and is not.
        let request = Raw::new(kind::BINDING, lab.transaction())
            .with(0x7ff0, b"")
            .with(0x8ff0, b"x");
        let answer = lab.exchange(caller.via, request.transaction, &request.write(None, false));
        let answer = answer.expect("an answer");
        assert_eq!(
            (answer.error(), answer.get(attr::UNKNOWN)),
            (Some(420), Some(&[0x7f, 0xf0][..]))
        );
    }
    assert_eq!(lab.server.counters().bindings, 6);
}

/// Both clients behind NATs, and each packet of them is lost with a probability: a request is repeated, and makes one allocation.
#[test]
fn two_clients_behind_nats_speak_through_the_relay() {
    for seed in 0..20 {
        let mut lab = Lab::new(seed, "");
        let mut alice = lab.caller("10.0.0.2:4000", "alice", "swordfish");
        let mut bob = lab.caller("10.9.0.2:4000", "bob", "builder");
        for (ip, public) in [("10.0.0.2", "198.51.100.7"), ("10.9.0.2", "203.0.113.9")] {
            let ip = ip.parse().unwrap();
            lab.net.behind_nat(ip, public.parse().unwrap());
            *lab.net.link(ip) = Link {
                loss: 0.15,
                duplicate: 0.1,
                ..Link::default()
            };
        }
        let (of_alice, of_bob) = (lab.allocate(&mut alice), lab.allocate(&mut bob));
        assert_eq!(lab.server.allocations(), 2, "seed {seed}");
        // Alice has a channel, bob permissions and indications.
        assert_eq!(lab.bind(&mut alice, 0x4001, of_bob).error(), None);
        assert_eq!(lab.permit(&mut bob, &[of_alice]).error(), None);
        for ip in ["10.0.0.2", "10.9.0.2"] {
            lab.net.link(ip.parse().unwrap()).loss = 0.0;
            lab.net.link(ip.parse().unwrap()).duplicate = 0.0;
        }
        lab.run(s(5));
        let _ = (lab.told(alice.via), lab.told(bob.via));
        for length in [0, 1, 3, 4, 172, 1_400] {
            let data: Vec<u8> = (0..length).map(|n| n as u8).collect();
            lab.say(alice.via, &channel_data(0x4001, &data, false));
            lab.run(ms(100));
            let told = lab.told(bob.via);
            let heard = Raw::read(&told[0]).expect("an indication");
            assert_eq!((told.len(), heard.kind), (1, kind::DATA));
            assert_eq!(heard.addresses(attr::PEER), [of_alice]);
            assert_eq!(heard.get(attr::DATA), Some(&*data));
            lab.indicate(&bob, of_alice, &data);
            lab.run(ms(100));
            assert_eq!(
                lab.told(alice.via),
                [channel_data(0x4001, &data, false)],
                "by the channel"
            );
        }
    }
}

#[test]
fn a_peer_is_heard_while_it_has_a_permission_and_by_its_channel_while_that_is_bound() {
    let mut lab = Lab::new(2, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let (peer, same_host, other) = (
        lab.host("198.51.100.20:9000"),
        lab.host("198.51.100.20:9001"),
        lab.host("198.51.100.21:9000"),
    );
    let relayed = lab.allocate(&mut alice);
    let heard = |lab: &mut Lab, from: SocketAddr| {
        lab.send(from, relayed, b"hello");
        lab.run(ms(50));
        let told = lab.told(alice.via);
        told.into_iter().next()
    };
    assert_eq!(heard(&mut lab, peer), None, "nobody is let in");
    let mut caller = alice.clone();
    lab.permit(&mut caller, &[peer]);
    // RFC 8656 9: the address counts, not the port.
    for from in [peer, same_host] {
        let told = heard(&mut lab, from).expect("it is let in");
        assert_eq!(Raw::read(&told).expect("an indication").addresses(attr::PEER), [from]);
    }
    assert_eq!(heard(&mut lab, other), None);
    lab.bind(&mut caller, 0x4fff, peer);
    assert_eq!(heard(&mut lab, peer), Some(channel_data(0x4fff, b"hello", false)));
    assert!(
        heard(&mut lab, same_host).is_some_and(|told| told[0] == 0),
        "it has no channel"
    );
    // Five minutes after the last request for it the permission is over, after ten the channel.
    lab.run(s(299));
    assert!(heard(&mut lab, peer).is_some());
    lab.run(s(2));
    assert_eq!(heard(&mut lab, peer), None);
    lab.say(caller.via, &channel_data(0x4fff, b"still", false));
    lab.run(ms(50));
    assert_eq!(lab.heard(peer).len(), 1, "the channel leads out");
    lab.refresh(&mut caller, 600);
    lab.run(s(300));
    lab.say(caller.via, &channel_data(0x4fff, b"no more", false));
    lab.indicate(&caller, peer, b"no more");
    lab.run(ms(50));
    assert!(lab.heard(peer).is_empty());
    // Another peer may have its number now.
    assert_eq!(lab.bind(&mut caller, 0x4fff, other).error(), None);
}

#[test]
fn what_is_not_meant_for_a_peer_goes_nowhere() {
    let mut lab = Lab::new(3, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let stranger = lab.caller("203.0.113.6:4000", "alice", "swordfish");
    let peer = lab.host("198.51.100.20:9000");
    lab.allocate(&mut alice);
    lab.bind(&mut alice, 0x4000, peer);
    let transaction = lab.transaction();
    let send = || Raw::new(kind::SEND, transaction);
    let good = channel_data(0x4000, b"data", false);
    for (via, octets, why) in [
        (stranger.via, good.clone(), "no allocation"),
        (
            alice.via,
            channel_data(0x4001, b"data", false),
            "a channel that is not bound",
        ),
        (alice.via, good[..7].to_vec(), "shorter than it says"),
        (alice.via, channel_data(0x8000, b"data", false), "no channel"),
        (alice.via, send().with(attr::DATA, b"x").write(None, false), "no peer"),
        (
            alice.via,
            send().with_address(attr::PEER, peer).write(None, false),
            "no data",
        ),
        (
            alice.via,
            send()
                .with_address(attr::PEER, peer)
                .with(attr::DATA, b"x")
                .with(attr::DONT_FRAGMENT, b"")
                .write(None, false),
            "must not be fragmented",
        ),
        (
            alice.via,
            send()
                .with(attr::PEER, &[0, 3, 0, 0, 0, 0, 0, 0])
                .with(attr::DATA, b"x")
                .write(None, false),
            "a family that there is not",
        ),
    ] {
        lab.say(via, &octets);
        lab.run(ms(50));
        assert!(lab.heard(peer).is_empty(), "{why}");
        assert!(lab.told(via).is_empty(), "{why}: no answer");
    }
    // Padding is allowed by datagrams too.
    lab.say(alice.via, &[&good[..], &[0; 3]].concat());
    lab.run(ms(50));
    assert_eq!(lab.heard(peer)[0].1, b"data");
}

#[test]
fn more_than_its_bandwidth_is_dropped() {
    let mut lab = Lab::new(4, "  bandwidth: 80\n");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let peer = lab.host("198.51.100.20:9000");
    let relayed = lab.allocate(&mut alice);
    lab.bind(&mut alice, 0x4000, peer);
    // 80 kbit/s are ten of these a second, with their headers.
    for _ in 0..200 {
        lab.say(alice.via, &channel_data(0x4000, &[7; 972], false));
        lab.send(peer, relayed, &[8; 972]);
        lab.run(ms(50));
    }
    let (up, down) = (lab.heard(peer).len(), lab.told(alice.via).len());
    assert!(
        (105..=115).contains(&up),
        "{up} in ten seconds, with one second's worth at once"
    );
    assert!((105..=115).contains(&down), "{down}");
    let counters = *lab.server.counters();
    assert_eq!(counters.over as usize, 400 - up - down);
    let all = |packets: usize| Traffic {
        packets: packets as u64,
        octets: 972 * packets as u64,
    };
    assert_eq!((counters.to_peers, counters.to_clients), (all(up), all(down)));
}

//! What is refused, and by which code (RFC 8656 7.2, 8.2, 10.2, 12.2).

use sip_tests::turn::lab::plain;
use sip_tests::turn::wire::{attr, kind};
use sip_tests::turn::{Lab, Raw};
use std::net::SocketAddr;

type Attributes<'a> = &'a [(u16, &'a [u8])];

const UDP: (u16, &[u8]) = (attr::TRANSPORT, &[17, 0, 0, 0]);

fn owned(attributes: Attributes<'_>) -> Vec<(u16, Vec<u8>)> {
    attributes.iter().map(|(kind, value)| (*kind, value.to_vec())).collect()
}

#[test]
fn allocate() {
    let even = (attr::EVEN_PORT, &[0x80][..]);
    let (v4, v6) = ((attr::FAMILY, &[1, 0, 0, 0][..]), (attr::FAMILY, &[2, 0, 0, 0][..]));
    let both = (attr::SECOND_FAMILY, &[2, 0, 0, 0][..]);
    let token = (attr::TOKEN, &[9; 8][..]);
    let cases: [(Attributes<'_>, u16); 20] = [
        (&[], 400),
        (&[(attr::TRANSPORT, &[17])], 400),
        (&[(attr::TRANSPORT, &[6, 0, 0, 0])], 442),
        (&[(attr::TRANSPORT, &[132, 0, 0, 0])], 442),
        (&[UDP, token, even], 400),
        (&[UDP, token, v4], 400),
        (&[UDP, token, both], 400),
        (&[UDP, (attr::TOKEN, &[9; 7])], 400),
        (&[UDP, token], 508),
        (&[UDP, v6, both], 400),
        (&[UDP, (attr::FAMILY, &[3, 0, 0, 0])], 440),
        (&[UDP, (attr::FAMILY, &[1])], 400),
        (&[UDP, (attr::EVEN_PORT, &[0, 0])], 400),
        (&[UDP, both, even], 400),
        (&[UDP, (attr::SECOND_FAMILY, &[1, 0, 0, 0])], 400),
        (&[UDP, (attr::SECOND_FAMILY, &[3, 0, 0, 0])], 400),
        (&[UDP, (attr::LIFETIME, &[0, 0, 1])], 400),
        (&[UDP, (attr::DONT_FRAGMENT, &[])], 420),
        (&[UDP, (attr::USERHASH, &[0; 32])], 420),
        (&[UDP, (0x7fff, &[])], 420),
    ];
    let mut lab = Lab::new(1, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    for (attributes, code) in cases {
        let answer = lab.ask(&mut alice, kind::ALLOCATE, &owned(attributes));
        assert_eq!(answer.error(), Some(code), "{attributes:?}");
        if code == 420 {
            let unknown = attributes[1].0.to_be_bytes();
            assert_eq!(answer.get(attr::UNKNOWN), Some(&unknown[..]));
        }
    }
    assert_eq!((lab.server.allocations(), lab.open_ports().len()), (0, 0));
    assert_eq!(lab.server.counters().refused, 20);
}

#[test]
fn what_needs_an_allocation() {
    let mut lab = Lab::new(2, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let peer: SocketAddr = "198.51.100.20:9000".parse().unwrap();
    assert_eq!(lab.refresh(&mut alice, 600).error(), Some(437));
    assert_eq!(lab.permit(&mut alice, &[peer]).error(), Some(437));
    assert_eq!(lab.bind(&mut alice, 0x4000, peer).error(), Some(437));
    lab.allocate(&mut alice);
    let v6 = plain("[2001:db8:1::20]:9000".parse().unwrap());
    let (v4, number) = (plain(peer), |number: u16| [number.to_be_bytes(), [0, 0]].concat());
    let (peer, channel) = (
        |value: &[u8]| (attr::PEER, value.to_vec()),
        |value: Vec<u8>| (attr::CHANNEL, value),
    );
    for (kind, attributes, code) in [
        (kind::REFRESH, vec![(attr::LIFETIME, vec![1])], 400),
        (kind::REFRESH, vec![(attr::FAMILY, vec![2, 0, 0, 0])], 443),
        (kind::CREATE_PERMISSION, vec![], 400),
        (kind::CREATE_PERMISSION, vec![peer(&v4[..7])], 400),
        (kind::CREATE_PERMISSION, vec![peer(&v4), peer(&[0, 9, 0, 0])], 400),
        (kind::CREATE_PERMISSION, vec![peer(&v4), peer(&v6)], 443),
        (kind::CHANNEL_BIND, vec![channel(number(0x4000))], 400),
        (kind::CHANNEL_BIND, vec![peer(&v4)], 400),
        (kind::CHANNEL_BIND, vec![peer(&v4), channel(vec![0x40, 0])], 400),
        (kind::CHANNEL_BIND, vec![peer(&v4), channel(number(0x3fff))], 400),
        (kind::CHANNEL_BIND, vec![peer(&v4), channel(number(0x8000))], 400),
        (kind::CHANNEL_BIND, vec![peer(&v6), channel(number(0x4000))], 443),
    ] {
        let answer = lab.ask(&mut alice, kind, &attributes);
        assert_eq!(answer.error(), Some(code), "{kind:#x} {attributes:?}");
    }
}

#[test]
fn a_channel_has_one_peer_and_a_peer_one_channel() {
    let mut lab = Lab::new(3, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    let peer = |port: u16| SocketAddr::new("198.51.100.20".parse().unwrap(), port);
    for (number, port, code) in [
        (0x4000, 9_000, None),
        (0x4000, 9_000, None),
        (0x4000, 9_001, Some(400)),
        (0x4001, 9_000, Some(400)),
        (0x4001, 9_001, None),
    ] {
        assert_eq!(
            lab.bind(&mut alice, number, peer(port)).error(),
            code,
            "{number:#x} {port}"
        );
    }
}

/// RFC 8489 6.3: what no server can do anything with has no answer.
#[test]
fn what_has_no_answer() {
    let mut lab = Lab::new(4, "");
    let caller = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let raw = |kind: u16| Raw::new(kind, [7; 12]);
    let good = raw(kind::ALLOCATE).write(None, true);
    let mut wrong_print = good.clone();
    *wrong_print.last_mut().unwrap() ^= 1;
    let mut old_cookie = good.clone();
    old_cookie[4] = 0;
    for (octets, why) in [
        (vec![], "nothing"),
        (vec![0], "one octet"),
        (wrong_print, "another fingerprint"),
        (old_cookie, "RFC 3489"),
        (good[..24].to_vec(), "cut"),
        (raw(0x000c).write(None, false), "what a server tells (RFC 6062)"),
        (raw(0x0fee).write(None, false), "an unknown method"),
        (raw(0x0011).write(None, false), "an indication"),
        (raw(kind::ALLOCATE | kind::SUCCESS).write(None, false), "a response"),
        (raw(kind::DATA).write(None, false), "what a server sends"),
        (vec![0x16, 3, 1, 0, 5, 0, 0, 0, 0, 0], "DTLS"),
        (b"OPTIONS sip:a SIP/2.0\r\n\r\n".to_vec(), "SIP"),
    ] {
        assert_eq!(lab.exchange(caller.via, [7; 12], &octets), None, "{why}");
    }
    assert!(lab.exchange(caller.via, [7; 12], &good).is_some());
}

#[test]
fn strangers_get_so_many_answers_and_users_all() {
    let mut lab = Lab::new(5, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    lab.run(sip_tests::s(2));
    let flood = lab.caller("203.0.113.5:4001", "mallory", "");
    for n in 0..500u16 {
        let mut transaction = [0; 12];
        transaction[..2].copy_from_slice(&n.to_be_bytes());
        let kind = if n % 2 == 0 { kind::BINDING } else { kind::ALLOCATE };
        let octets = Raw::new(kind, transaction).write(None, false);
        lab.say(flood.via, &octets);
    }
    lab.run(sip_tests::ms(50));
    let answered = lab.told(flood.via).len() as u32;
    assert_eq!(answered, tandem::limits::RELAY_ANSWERS_PER_HOST);
    assert_eq!(lab.server.counters().unanswered, 400);
    assert_eq!(lab.refresh(&mut alice, 600).error(), None, "of the same host");
}

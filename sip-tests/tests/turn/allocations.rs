//! Relayed addresses: which, for how long, and how many.

use sip_tests::ms;
use sip_tests::s;
use sip_tests::turn::lab::plain;
use sip_tests::turn::wire::{attr, kind};
use sip_tests::turn::{Lab, Raw, Via};
use std::collections::BTreeSet;
use tandem::relay::{End, Fact};

const UDP: (u16, [u8; 4]) = (attr::TRANSPORT, [17, 0, 0, 0]);

/// The attributes of an Allocate request, with these besides REQUESTED-TRANSPORT.
fn wishes(more: &[(u16, &[u8])]) -> Vec<(u16, Vec<u8>)> {
    let more = more.iter().map(|(kind, value)| (*kind, value.to_vec()));
    [(UDP.0, UDP.1.to_vec())].into_iter().chain(more).collect()
}

#[test]
fn an_allocation_lasts_as_long_as_it_is_refreshed() {
    let mut lab = Lab::new(1, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    for (wish, lasts) in [
        (None, 600),
        (Some(60u32), 600),
        (Some(1_800), 1_800),
        (Some(86_400), 3_600),
    ] {
        let wish = wish.map(u32::to_be_bytes);
        let wish: Vec<(u16, &[u8])> = wish.iter().map(|wish| (attr::LIFETIME, &wish[..])).collect();
        let answer = lab.ask(&mut alice, kind::ALLOCATE, &wishes(&wish));
        assert_eq!(answer.number(attr::LIFETIME), Some(lasts));
        let Via::Udp(from, _) = alice.via else { unreachable!() };
        assert_eq!(answer.addresses(attr::MAPPED), [from]);
        lab.run(s(u64::from(lasts) - 1));
        assert_eq!(lab.server.allocations(), 1);
        assert_eq!(lab.refresh(&mut alice, 700).number(attr::LIFETIME), Some(700));
        lab.run(s(699));
        assert_eq!(lab.server.allocations(), 1);
        lab.run(s(2));
        assert_eq!((lab.server.allocations(), lab.open_ports().len()), (0, 0));
    }
    lab.allocate(&mut alice);
    assert_eq!(lab.refresh(&mut alice, 0).number(attr::LIFETIME), Some(0));
    assert_eq!(lab.server.allocations(), 0);
    // It comes again where its answer was lost: then it is gone already (RFC 8656 8.2).
    assert_eq!(lab.refresh(&mut alice, 0).error(), Some(437));
    let ends: Vec<End> = lab.facts.iter().filter_map(ended).collect();
    assert_eq!(
        ends,
        [End::Expired, End::Expired, End::Expired, End::Expired, End::Asked]
    );
}

fn ended(fact: &Fact) -> Option<End> {
    match fact {
        Fact::Ended { why, .. } => Some(*why),
        Fact::Began { .. } | Fact::Refused { .. } => None,
    }
}

/// RFC 8656 7.2: a request that comes again has the same answer; another one on the same 5-tuple is 437.
#[test]
fn an_allocate_request_that_comes_again_makes_no_other() {
    let mut lab = Lab::new(2, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    alice.patient = false;
    lab.ask(&mut alice, kind::ALLOCATE, &wishes(&[]));
    let request = Raw::new(kind::ALLOCATE, lab.transaction())
        .with(UDP.0, &UDP.1)
        .with(attr::EVEN_PORT, &[0x80]);
    let transaction = request.transaction;
    let octets = lab.sealed(&alice, request);
    let first = lab.exchange(alice.via, transaction, &octets).expect("an answer");
    lab.run(s(10));
    let second = lab.exchange(alice.via, transaction, &octets).expect("an answer");
    assert_eq!(first.addresses(attr::RELAYED), second.addresses(attr::RELAYED));
    assert_eq!(first.get(attr::TOKEN), second.get(attr::TOKEN));
    assert_eq!(
        (first.number(attr::LIFETIME), second.number(attr::LIFETIME)),
        (Some(600), Some(589))
    );
    assert_eq!(lab.server.allocations(), 1);
    let other = lab.ask(&mut alice, kind::ALLOCATE, &wishes(&[]));
    assert_eq!(other.error(), Some(437));
    // From another port it is another 5-tuple.
    let mut beside = lab.caller("203.0.113.5:4001", "alice", "swordfish");
    assert_ne!(lab.allocate(&mut beside), first.addresses(attr::RELAYED)[0]);
}

#[test]
fn ports_are_of_the_range_even_where_that_is_asked_for_and_reserved_for_who_has_the_token() {
    let mut lab = Lab::new(3, "  ports: 50000-50099\n");
    let mut callers: Vec<_> = (0..4)
        .map(|n| lab.caller(&format!("203.0.113.5:{}", 4_000 + n), "alice", "swordfish"))
        .collect();
    let even = lab.ask(&mut callers[0], kind::ALLOCATE, &wishes(&[(attr::EVEN_PORT, &[0])]));
    let port = even.addresses(attr::RELAYED)[0].port();
    assert!((50_000..=50_099).contains(&port) && port.is_multiple_of(2) && even.get(attr::TOKEN).is_none());
    let pair = lab.ask(&mut callers[1], kind::ALLOCATE, &wishes(&[(attr::EVEN_PORT, &[0x80])]));
    let first = pair.addresses(attr::RELAYED)[0];
    let token = pair.get(attr::TOKEN).expect("a token").to_vec();
    assert!(first.port().is_multiple_of(2));
    assert_eq!(lab.open_ports().len(), 3, "the second one is held");
    let second = lab.ask(&mut callers[2], kind::ALLOCATE, &wishes(&[(attr::TOKEN, &token)]));
    assert_eq!(second.addresses(attr::RELAYED)[0].port(), first.port() + 1);
    // A token holds once, and half a minute.
    let again = lab.ask(&mut callers[3], kind::ALLOCATE, &wishes(&[(attr::TOKEN, &token)]));
    assert_eq!(again.error(), Some(508));
    lab.refresh(&mut callers[1], 0);
    let pair = lab.ask(&mut callers[1], kind::ALLOCATE, &wishes(&[(attr::EVEN_PORT, &[0x80])]));
    let token = pair.get(attr::TOKEN).expect("a token").to_vec();
    lab.run(s(31));
    let late = lab.ask(&mut callers[3], kind::ALLOCATE, &wishes(&[(attr::TOKEN, &token)]));
    assert_eq!(late.error(), Some(508));
    assert_eq!(lab.open_ports().len(), 3);
}

#[test]
fn ports_that_others_hold_are_passed_over_and_none_is_left_open_where_there_is_none() {
    let mut lab = Lab::new(4, "  ports: 50000-50003\n");
    lab.held = BTreeSet::from([50_000, 50_001, 50_003]);
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let mut bob = lab.caller("203.0.113.6:4000", "bob", "builder");
    let pair = wishes(&[(attr::EVEN_PORT, &[0x80])]);
    assert_eq!(lab.ask(&mut bob, kind::ALLOCATE, &pair).error(), Some(508));
    assert!(lab.open_ports().is_empty());
    assert_eq!(lab.allocate(&mut alice).port(), 50_002);
    assert_eq!(lab.ask(&mut bob, kind::ALLOCATE, &wishes(&[])).error(), Some(508));
    assert_eq!((lab.open_ports().len(), lab.server.allocations()), (1, 1));
    lab.held.clear();
    assert_ne!(lab.allocate(&mut bob).port(), 50_002);
    let refused = |fact: &&Fact| matches!(fact, Fact::Refused { code: 508, .. });
    assert_eq!(lab.facts.iter().filter(refused).count(), 2);
}

#[test]
fn an_address_of_each_family() {
    let mut lab = Lab::new(5, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let (v4, v6) = (lab.host("198.51.100.20:9000"), lab.host("[2001:db8:1::20]:9000"));
    let dual = lab.ask(
        &mut alice,
        kind::ALLOCATE,
        &wishes(&[(attr::SECOND_FAMILY, &[2, 0, 0, 0])]),
    );
    let relayed = dual.addresses(attr::RELAYED);
    assert!(relayed[0].is_ipv4() && relayed[1].is_ipv6() && dual.get(attr::FAMILY_ERROR).is_none());
    assert_eq!(lab.permit(&mut alice, &[v4, v6]).error(), None);
    for (peer, relayed) in [(v4, relayed[0]), (v6, relayed[1])] {
        lab.indicate(&alice, peer, b"hello");
        lab.run(ms(50));
        assert_eq!(lab.heard(peer), [(relayed, b"hello".to_vec())]);
        lab.send(peer, relayed, b"hi");
        lab.run(ms(50));
        let told = lab.told(alice.via);
        assert_eq!(
            Raw::read(&told[0]).expect("an indication").addresses(attr::PEER),
            [peer]
        );
    }
    // One of the two goes (RFC 8656 8.1).
    let end = [(attr::LIFETIME, vec![0; 4]), (attr::FAMILY, vec![2, 0, 0, 0])];
    assert_eq!(lab.ask(&mut alice, kind::REFRESH, &end).number(attr::LIFETIME), Some(0));
    assert_eq!(lab.open_ports(), [relayed[0]]);
    assert_eq!(lab.permit(&mut alice, &[v6]).error(), Some(443));
    assert_eq!(lab.permit(&mut alice, &[v4]).error(), None);
    assert_eq!(lab.ask(&mut alice, kind::REFRESH, &end).error(), Some(443));
    // A client of IPv6 may have an address of IPv4 (RFC 6156), and the other way about.
    let mut bob = lab.caller("[2001:db8:2::5]:4000", "bob", "builder");
    assert!(lab.allocate(&mut bob).is_ipv4());
    let mut carol = lab.caller("203.0.113.8:4000", "bob", "builder");
    let v6 = lab.ask(&mut carol, kind::ALLOCATE, &wishes(&[(attr::FAMILY, &[2, 0, 0, 0])]));
    assert!(v6.addresses(attr::RELAYED)[0].is_ipv6());
}

#[test]
fn where_there_is_one_family_the_other_is_said_to_be_missing() {
    let mut lab = Lab::new(6, "  addresses: [ 192.0.2.1 ]\n");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let v6 = lab.ask(&mut alice, kind::ALLOCATE, &wishes(&[(attr::FAMILY, &[2, 0, 0, 0])]));
    assert_eq!(v6.error(), Some(440));
    let dual = lab.ask(
        &mut alice,
        kind::ALLOCATE,
        &wishes(&[(attr::SECOND_FAMILY, &[2, 0, 0, 0])]),
    );
    assert_eq!(dual.addresses(attr::RELAYED).len(), 1);
    let told = dual.get(attr::FAMILY_ERROR).expect("it is told");
    assert_eq!(told[..4], [2, 0, 4, 40]);
}

#[test]
fn a_user_and_all_together_have_so_many() {
    let mut lab = Lab::new(7, "  per_user: 3\n  allocations: 5\n");
    let mut callers: Vec<_> = (0..9)
        .map(|n| {
            let (user, password) = if n < 5 {
                ("alice", "swordfish")
            } else {
                ("bob", "builder")
            };
            lab.caller(&format!("203.0.113.5:{}", 4_000 + n), user, password)
        })
        .collect();
    let codes: Vec<Option<u16>> = callers
        .iter_mut()
        .map(|caller| lab.ask(caller, kind::ALLOCATE, &wishes(&[])).error())
        .collect();
    let (quota, full) = (Some(486), Some(508));
    assert_eq!(codes, [None, None, None, quota, quota, None, None, full, full]);
    // What ends gives its place back.
    lab.refresh(&mut callers[0], 0);
    assert_eq!(lab.ask(&mut callers[3], kind::ALLOCATE, &wishes(&[])).error(), None);
    lab.run(s(601));
    assert_eq!(lab.server.allocations(), 0);
    assert_eq!(lab.ask(&mut callers[4], kind::ALLOCATE, &wishes(&[])).error(), None);
}

#[test]
fn permissions_and_channels_of_one_allocation_are_bounded() {
    let mut lab = Lab::new(8, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    let peer = |n: u8| format!("198.51.100.{n}:9000").parse().unwrap();
    let most = tandem::limits::RELAY_PERMISSIONS as u8;
    for n in 0..most {
        assert_eq!(lab.bind(&mut alice, 0x4000 + u16::from(n), peer(n)).error(), None);
    }
    assert_eq!(lab.permit(&mut alice, &[peer(most)]).error(), Some(508));
    assert_eq!(lab.bind(&mut alice, 0x4100, peer(most)).error(), Some(508));
    assert_eq!(
        lab.permit(&mut alice, &[peer(0), peer(most - 1)]).error(),
        None,
        "those that there are"
    );
    lab.run(s(301));
    lab.refresh(&mut alice, 600);
    assert_eq!(
        lab.permit(&mut alice, &[peer(most)]).error(),
        None,
        "the old ones are over"
    );
    // All or none (RFC 8656 10.2).
    let private = "10.0.0.1:9000".parse().unwrap();
    let mixed = [(attr::PEER, plain(peer(1))), (attr::PEER, plain(private))];
    assert_eq!(lab.ask(&mut alice, kind::CREATE_PERMISSION, &mixed).error(), Some(403));
}

/// A port that is held for a user is one of those that he has (EVEN-PORT, RFC 8656 7.2).
#[test]
fn reserved_ports_are_counted_to_who_reserved_them() {
    let mut lab = Lab::new(9, "  per_user: 4\n");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let mut beside = lab.caller("203.0.113.5:4001", "alice", "swordfish");
    let pair = wishes(&[(attr::EVEN_PORT, &[0x80])]);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let answer = lab.ask(&mut alice, kind::ALLOCATE, &pair);
        assert_eq!(answer.error(), None);
        tokens.push(answer.get(attr::TOKEN).expect("a token").to_vec());
        lab.refresh(&mut alice, 0);
    }
    assert_eq!(
        lab.ask(&mut alice, kind::ALLOCATE, &pair).error(),
        Some(486),
        "a pair is two"
    );
    lab.allocate(&mut alice);
    assert_eq!(lab.ask(&mut beside, kind::ALLOCATE, &wishes(&[])).error(), Some(486));
    // Who takes up what was reserved for him has no more than before.
    let taken = lab.ask(&mut beside, kind::ALLOCATE, &wishes(&[(attr::TOKEN, &tokens[0])]));
    assert_eq!(taken.error(), None);
    assert_eq!(lab.open_ports().len(), 4);
    lab.refresh(&mut beside, 0);
    lab.run(s(31));
    assert_eq!(lab.open_ports().len(), 1, "nobody has come for the others");
    assert_eq!(lab.ask(&mut beside, kind::ALLOCATE, &pair).error(), None);
    // What another user takes up is his.
    let mut bob = lab.caller("203.0.113.6:4000", "bob", "builder");
    let answer = lab.ask(&mut bob, kind::ALLOCATE, &pair);
    let token = answer.get(attr::TOKEN).expect("a token").to_vec();
    lab.refresh(&mut bob, 0);
    let mut third = lab.caller("203.0.113.5:4002", "alice", "swordfish");
    let taken = lab.ask(&mut third, kind::ALLOCATE, &wishes(&[(attr::TOKEN, &token)]));
    assert_eq!(taken.error(), None);
    assert_eq!(lab.ask(&mut bob, kind::ALLOCATE, &pair).error(), None);
    lab.run(s(700));
    assert_eq!((lab.server.allocations(), lab.open_ports().len()), (0, 0));
    assert!(lab.server.poll_timeout().is_none());
}

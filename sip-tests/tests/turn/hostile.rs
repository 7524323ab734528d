//! Whatever comes: no panic, no answer that makes a flood larger, nothing that is left behind.

use proptest::prelude::*;
use sip_tests::turn::lab::plain;
use sip_tests::turn::wire::{attr, channel_data, kind};
use sip_tests::turn::{Lab, Raw};
use sip_tests::{ms, s};
use std::net::SocketAddr;
use tandem::limits;
use tandem::relay::{Client, Packet, StreamId};

/// A message with whatever attributes.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop::sample::select(vec![
        kind::BINDING,
        kind::ALLOCATE,
        kind::REFRESH,
        kind::CREATE_PERMISSION,
        kind::CHANNEL_BIND,
        kind::SEND,
        kind::DATA,
        0x000a,
        0x000b,
        0x0103,
        0x3fff,
    ]);
    let attribute = (0u16..0x30, any::<bool>(), prop::collection::vec(any::<u8>(), 0..40));
    let attributes = prop::collection::vec(attribute, 0..12);
    (kinds, attributes, any::<bool>()).prop_map(|(kind, attributes, fingerprint)| {
        let mut raw = Raw::new(kind, [7; 12]);
        for (kind, optional, value) in attributes {
            raw = raw.with(kind | if optional { 0x8000 } else { 0 }, &value);
        }
        raw.write(None, fingerprint)
    })
}

fn datagram() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        message(),
        prop::collection::vec(any::<u8>(), 0..200),
        (0x4000u16..0x5001, prop::collection::vec(any::<u8>(), 0..50)).prop_map(|(n, d)| channel_data(n, &d, false)),
        (any::<u16>(), any::<u16>())
            .prop_map(|(number, length)| { [number.to_be_bytes(), length.to_be_bytes()].concat() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn strangers_leave_nothing_behind(
        datagrams in prop::collection::vec((datagram(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)), 1..12),
    ) {
        let mut lab = Lab::new(1, "");
        let caller = lab.caller("203.0.113.5:4000", "mallory", "");
        for (mut octets, changes) in datagrams {
            for (at, octet) in changes {
                if !octets.is_empty() {
                    let at = at.index(octets.len());
                    octets[at] = octet;
                }
            }
            lab.say(caller.via, &octets);
            lab.run(s(1));
            for answer in lab.told(caller.via) {
                let answer = Raw::read(&answer).expect("we write whole messages");
                prop_assert!(answer.kind & 0x0100 != 0, "an answer");
                prop_assert!(answer.octets.len() <= octets.len() + 180, "{} for {}", answer.octets.len(), octets.len());
            }
        }
        prop_assert_eq!(lab.server.allocations(), 0);
        prop_assert!(lab.server.poll_timeout().is_none());
        prop_assert!(lab.open_ports().is_empty());
    }

    /// A user who has a password sends what he likes.
    #[test]
    fn users_leave_nothing_behind(
        requests in prop::collection::vec(
            (0u16..10, prop::collection::vec((0u16..0x24, prop::collection::vec(any::<u8>(), 0..24), 0usize..4), 0..6)),
            1..12,
        ),
    ) {
        let mut lab = Lab::new(2, "");
        let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
        lab.allocate(&mut alice);
        let kinds = [kind::ALLOCATE, kind::REFRESH, kind::CREATE_PERMISSION, kind::CHANNEL_BIND];
        for (kind, attributes) in requests {
            let own = [attr::USERNAME, attr::REALM, attr::NONCE, attr::MESSAGE_INTEGRITY, attr::MESSAGE_INTEGRITY_SHA256];
            let attributes: Vec<(u16, Vec<u8>)> = attributes
                .into_iter()
                .filter(|(kind, ..)| !own.contains(kind))
                .map(|(kind, value, form)| match form {
                    0 => (kind, value),
                    1 => (attr::PEER, plain("198.51.100.9:4".parse().unwrap())),
                    2 => (attr::CHANNEL, vec![0x40, value.len() as u8, 0, 0]),
                    _ => (attr::TRANSPORT, vec![17, 0, 0, 0]),
                })
                .collect();
            let answer = lab.ask(&mut alice, kinds[usize::from(kind) % 4], &attributes);
            prop_assert!(answer.kind & 0x0100 != 0);
        }
        lab.run(s(3_700));
        prop_assert_eq!(lab.server.allocations(), 0);
        prop_assert!(lab.server.poll_timeout().is_none());
        prop_assert!(lab.open_ports().is_empty());
    }
}

#[test]
fn a_message_that_is_too_long_goes_nowhere() {
    let mut lab = Lab::new(3, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let peer = lab.host("198.51.100.20:9000");
    let relayed = lab.allocate(&mut alice);
    lab.bind(&mut alice, 0x4000, peer);
    let most = limits::RELAY_MESSAGE_BYTES;
    for (length, arrives) in [(most - 4, 1), (most - 3, 0), (9_000, 0)] {
        lab.say(alice.via, &channel_data(0x4000, &vec![1; length], false));
        lab.run(ms(50));
        assert_eq!(lab.heard(peer).len(), arrives, "{length} from the client");
    }
    for (length, arrives) in [(most, 1), (most + 1, 0), (9_000, 0)] {
        lab.send(peer, relayed, &vec![1; length]);
        lab.run(ms(50));
        assert_eq!(lab.told(alice.via).len(), arrives, "{length} from the peer");
    }
}

/// Whoever forges the sources of datagrams uses up what strangers on datagrams are given, and nothing else.
#[test]
fn a_flood_of_datagrams_leaves_streams_their_answers() {
    let mut lab = Lab::new(4, "");
    let binding = Raw::new(kind::BINDING, [1; 12]).write(None, false);
    let mut packet = Packet::default();
    let clock = lab.clock();
    for n in 0..limits::RELAY_ANSWERS + 100 {
        packet.copy(&binding);
        let from = SocketAddr::from(((0x0b00_0000u32 + n).to_be_bytes(), 4_000));
        lab.server
            .from_client(clock, Client::Datagrams { listener: 0, from }, &mut packet);
        while lab.server.poll_output().is_some() {}
    }
    assert!(lab.server.counters().unanswered >= 100);
    let mut alice = lab.stream(1, "203.0.113.5:4000", "alice", "swordfish");
    let asked = lab.ask(&mut alice, kind::ALLOCATE, &[(attr::TRANSPORT, vec![17, 0, 0, 0])]);
    assert_eq!(asked.error(), None);
}

/// Each request of a user costs two hashes and a line in the log; he has so many a second, and the others have theirs.
#[test]
fn requests_of_one_user_are_bounded() {
    let mut lab = Lab::new(5, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let mut bob = lab.caller("203.0.113.6:4000", "bob", "builder");
    lab.allocate(&mut alice);
    lab.allocate(&mut bob);
    lab.run(s(2));
    let request = Raw::new(kind::REFRESH, lab.transaction());
    let octets = lab.sealed(&alice, request);
    for _ in 0..3_000 {
        lab.say(alice.via, &octets);
    }
    lab.run(ms(100));
    let answered = lab.told(alice.via).len();
    assert!((500..=1_500).contains(&answered), "{answered}");
    assert_eq!(lab.refresh(&mut bob, 600).error(), None);
    lab.run(s(2));
    assert_eq!(
        lab.refresh(&mut alice, 600).error(),
        None,
        "and the next second he has them again"
    );
}

/// What is beyond a rate is dropped of datagrams, which come again. On a stream nothing comes again, and who asks there is told.
#[test]
fn on_a_stream_nothing_stays_without_an_answer() {
    let mut lab = Lab::new(6, "");
    let mut alice = lab.stream(1, "203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    lab.run(s(2));
    let stranger = lab.stream(2, "203.0.113.7:4000", "", "");
    let request = Raw::new(kind::REFRESH, lab.transaction());
    let refresh = lab.sealed(&alice, request);
    let binding = Raw::new(kind::BINDING, [1; 12]).write(None, false);
    let allocate = Raw::new(kind::ALLOCATE, [1; 12]).write(None, false);
    for (via, octets, most) in [
        (alice.via, &refresh, limits::RELAY_REQUESTS_PER_USER),
        (stranger.via, &binding, limits::RELAY_ANSWERS_PER_HOST),
        (stranger.via, &allocate, 0),
    ] {
        for _ in 0..most + 10 {
            lab.say(via, octets);
        }
        let told = lab.told(via);
        assert_eq!(told.len() as u32, most + 10);
        let later = told
            .iter()
            .filter(|told| Raw::read(told).expect("STUN").error() == Some(500));
        assert_eq!(later.count(), 10);
    }
    lab.run(s(2));
    assert_eq!(lab.refresh(&mut alice, 600).error(), None);
}

/// Of a host whose passwords are wrong only so many are checked in a second.
#[test]
fn wrong_passwords_are_checked_so_many_in_a_second() {
    let mut lab = Lab::new(7, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    let mut bob = lab.caller("203.0.113.6:4000", "bob", "builder");
    lab.allocate(&mut alice);
    lab.allocate(&mut bob);
    let mut mallory = lab.caller("203.0.113.5:5000", "alice", "wrong");
    let transport = (attr::TRANSPORT, vec![17, 0, 0, 0]);
    assert_eq!(lab.ask(&mut mallory, kind::ALLOCATE, &[transport]).error(), Some(401));
    lab.run(s(2));
    let before = *lab.server.counters();
    let request = Raw::new(kind::REFRESH, lab.transaction());
    let wrong = lab.sealed(&mallory, request);
    let most = u64::from(limits::RELAY_GUESSES_PER_HOST);
    for _ in 0..most + 100 {
        lab.say(mallory.via, &wrong);
    }
    lab.run(ms(50));
    let counters = lab.server.counters();
    assert_eq!(
        (
            counters.challenged - before.challenged,
            counters.wrong - before.wrong,
            counters.guessed
        ),
        (most, most, 100)
    );
    assert_eq!(
        lab.refresh(&mut bob, 600).error(),
        None,
        "another host is not concerned"
    );
    lab.run(s(2));
    assert_eq!(lab.refresh(&mut alice, 600).error(), None, "nor is this one any more");
}

/// However many hosts guess, those who do not are heard: what a network of IPv6 or thousands of stolen machines send bears on nobody else.
#[test]
fn those_who_guess_shut_nobody_else_out() {
    let mut lab = Lab::new(8, "");
    let mut bob = lab.caller("203.0.113.6:4000", "bob", "builder");
    let hosts = limits::RELAY_ANSWERS / limits::RELAY_GUESSES_PER_HOST + 1;
    let mut wrong = Vec::new();
    for host in 0..hosts {
        let address = format!("192.0.{}.{}:5000", 32 + host / 200, 1 + host % 200);
        let mut mallory = lab.caller(&address, "alice", "wrong");
        let transport = (attr::TRANSPORT, vec![17, 0, 0, 0]);
        assert_eq!(lab.ask(&mut mallory, kind::ALLOCATE, &[transport]).error(), Some(401));
        let request = Raw::new(kind::REFRESH, lab.transaction());
        wrong.push((mallory.via, lab.sealed(&mallory, request)));
    }
    assert_eq!(lab.refresh(&mut bob, 600).error(), Some(437), "he has the nonce");
    lab.run(s(2));
    let before = lab.server.counters().challenged;
    for (via, octets) in &wrong {
        for _ in 0..limits::RELAY_GUESSES_PER_HOST {
            lab.say(*via, octets);
        }
    }
    lab.run(ms(50));
    let guessed = lab.server.counters().challenged - before;
    assert_eq!(guessed, u64::from(limits::RELAY_ANSWERS), "all that there are");
    lab.allocate(&mut bob);
    assert_eq!(lab.server.counters().guessed, 0, "nobody was refused unheard");
}

/// Who relays already has shown his password, and is heard beside those who guess behind his address. Who does not is told at once that he has
/// to come again: an answer without a seal he would not believe (RFC 8489 9.2.5), and wait for another.
#[test]
fn who_relays_is_heard_beside_those_who_guess_behind_his_address() {
    let mut lab = Lab::new(9, "");
    let mut alice = lab.stream(1, "203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    let mut bob = lab.stream(2, "203.0.113.5:4001", "bob", "builder");
    assert_eq!(lab.refresh(&mut bob, 600).error(), Some(437), "he has the nonce");
    let mut mallory = lab.caller("203.0.113.5:5000", "alice", "wrong");
    let transport = (attr::TRANSPORT, vec![17, 0, 0, 0]);
    assert_eq!(lab.ask(&mut mallory, kind::ALLOCATE, &[transport]).error(), Some(401));
    lab.run(s(2));
    let request = Raw::new(kind::REFRESH, lab.transaction());
    let wrong = lab.sealed(&mallory, request);
    for _ in 0..limits::RELAY_GUESSES_PER_HOST {
        lab.say(mallory.via, &wrong);
    }
    lab.run(ms(50));
    assert_eq!(lab.refresh(&mut alice, 600).error(), None);
    let request = Raw::new(kind::REFRESH, lab.transaction());
    let refresh = lab.sealed(&bob, request);
    lab.say(bob.via, &refresh);
    assert_eq!(lab.server.counters().guessed, 1);
    assert_eq!(lab.hung, [StreamId(2)], "it is closed, without an answer");
}

/// Beyond the rate of strangers a request with a seal gets no answer without one, which would be taken for forged (RFC 8489 9.2.5): its stream ends, and its
/// client comes again. Who relays by a stream is told of a stale nonce all the same.
#[test]
fn what_has_a_seal_gets_no_answer_without_one_beyond_a_rate() {
    let mut lab = Lab::new(10, "");
    let mut alice = lab.stream(1, "203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    let mut bob = lab.stream(2, "203.0.113.5:4001", "bob", "builder");
    let stranger = lab.stream(3, "203.0.113.5:4002", "", "");
    lab.run(s(2));
    let binding = Raw::new(kind::BINDING, [1; 12]).write(None, false);
    for _ in 0..limits::RELAY_ANSWERS_PER_HOST {
        lab.say(stranger.via, &binding);
    }
    lab.told(stranger.via);
    for caller in [&mut alice, &mut bob] {
        (caller.realm, caller.nonce) = (Some("example.com".into()), Some(b"of yesterday".to_vec()));
        let request = Raw::new(kind::REFRESH, lab.transaction());
        let refresh = lab.sealed(caller, request);
        lab.say(caller.via, &refresh);
    }
    let told: Vec<_> = lab
        .told(alice.via)
        .iter()
        .map(|told| Raw::read(told).expect("STUN").error())
        .collect();
    assert_eq!(told, [Some(438)]);
    assert!(lab.told(bob.via).is_empty(), "nothing that he would not believe");
    assert_eq!(lab.hung, [StreamId(2)]);
    // Who sends no seal believes an answer without one.
    let allocate = Raw::new(kind::ALLOCATE, [1; 12]).write(None, false);
    lab.say(stranger.via, &allocate);
    let told: Vec<_> = lab
        .told(stranger.via)
        .iter()
        .map(|told| Raw::read(told).expect("STUN").error())
        .collect();
    assert_eq!(told, [Some(500)]);
    lab.run(s(2));
    assert_eq!(lab.refresh(&mut alice, 600).error(), None);
}

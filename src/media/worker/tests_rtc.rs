//! A leg whose peer is a browser: nothing is sent or taken before there are keys, and STUN and DTLS are for who sets it up.

use super::sim::*;
use super::*;
use crate::media::command::{Command, Connect, Credentials, DtlsRole, Keys, MasterKey, Stream, Suite, Trouble};
use crate::media::rtcp::extended::Extended;
use crate::media::rtcp::{self, Compound};
use crate::media::sender::Sent;
use crate::media::source::Block;
use crate::media::srtp::{Opener, Sealer};
use crate::pii::Secret;
use crate::stun::message::{BINDING, Class, Writer, kind};
use codecs::Codec;
use std::time::Duration;

const CHECK: &[u8] = &[
    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];
const RECORD: &[u8] = &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn key(first: u8) -> MasterKey {
    MasterKey::new(Suite::AeadAes256Gcm, &[first; 44]).unwrap()
}

/// A phone and a browser that are bridged.
fn pair(world: &mut World) -> (Peer, Peer) {
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    let b = world.browser(2, stream(Codec::Opus), 1_000.0);
    world.bridge(&a, &b);
    (a, b)
}

#[test]
fn nothing_is_sent_or_taken_before_there_are_keys() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world);
    world.steps(300, &mut [&mut a, &mut b]);
    assert!(world.take(&a).is_empty() && world.take(&b).is_empty());
    assert!(!world.rtcp.contains_key(&b.address), "no report either");
    let stats = world.stats(&b);
    assert_eq!((stats.received, stats.dropped), (0, 300));
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    world.command(Command::Protect { leg: b.leg, keys });
    let ends = Keys::new(key(2), vec![key(1)]).unwrap();
    let (mut sealer, mut opener) = (Sealer::new(&ends), Opener::new(&ends));
    for _ in 0..50 {
        let (from_a, from_b) = (a.speak(), b.speak());
        world.deliver(&a, &from_a);
        let mut sealed = [&from_b[..], &[0; 32]].concat();
        let len = sealer.rtp(&mut sealed, from_b.len()).unwrap();
        world.deliver(&b, &sealed[..len]);
        // What is in the clear is still nobody's.
        world.deliver(&b, &from_b);
        world.tick();
    }
    let (by_a, by_b) = (world.take(&a), world.take(&b));
    assert!(by_a.len() > 45 && by_b.len() > 45, "{} {}", by_a.len(), by_b.len());
    let mut packet = vec![0x80, by_b[0].payload_type | u8::from(by_b[0].marker) << 7];
    packet.extend(by_b[0].sequence.to_be_bytes());
    packet.extend(by_b[0].timestamp.to_be_bytes());
    packet.extend(by_b[0].ssrc.to_be_bytes());
    packet.extend(&by_b[0].payload);
    assert!(opener.rtp(&mut packet).is_ok());
}

#[test]
fn stun_and_dtls_are_handed_on_and_no_more_of_them_than_a_set_up_needs() {
    let mut world = World::new();
    let (a, b) = pair(&mut world);
    for bytes in [CHECK, RECORD] {
        world.deliver(&b, bytes);
        world.deliver(&a, bytes);
        world.receive(b.leg, Channel::Rtcp, b.address, bytes);
    }
    assert_eq!(world.set_ups, [b.leg, b.leg]);
    // Those of a phone, and those of the second port, are nobody's.
    let strays = world.worker.strays();
    assert_eq!((strays.stun, strays.dtls), (2, 2));
    world.now += Duration::from_secs(5);
    for _ in 0..1_000 {
        world.deliver(&b, CHECK);
    }
    assert_eq!(world.set_ups.len() as u64, 2 + limits::RTC_BURST);
    world.now += Duration::from_secs(1);
    for _ in 0..1_000 {
        world.deliver(&b, CHECK);
    }
    assert_eq!(
        world.set_ups.len() as u64,
        2 + limits::RTC_BURST + limits::RTC_PER_SECOND
    );
}

/// What a stranger sends does not cost the browser its consent (RFC 7675).
#[test]
fn strangers_do_not_use_up_what_the_browser_may_send() {
    let mut world = World::new();
    let (_a, b) = pair(&mut world);
    let stranger = "127.0.0.66:4000".parse().unwrap();
    for _ in 0..1_000 {
        world.receive(b.leg, Channel::Rtp, stranger, CHECK);
    }
    assert_eq!(world.set_ups.len() as u64, limits::RTC_BURST);
    world.deliver(&b, CHECK);
    assert_eq!(world.set_ups.len() as u64, limits::RTC_BURST + 1);
}

/// Before a way is chosen, and after a move, the browser is where nothing is sent to yet: one that floods leaves it its share.
#[test]
fn a_stranger_does_not_use_up_what_others_may_send_either() {
    let mut world = World::new();
    let (_a, b) = pair(&mut world);
    let mut served = 0;
    for host in 1..=100u8 {
        let stranger = SocketAddr::from(([198, 51, 100, host], 4_000));
        world.set_ups.clear();
        world.now += Duration::from_secs(5);
        for port in 0..2_000 {
            world.receive(b.leg, Channel::Rtp, SocketAddr::new(stranger.ip(), 1_000 + port), CHECK);
        }
        assert_eq!(world.set_ups.len() as u64, limits::RTC_BURST);
        world.receive(b.leg, Channel::Rtp, "192.0.2.7:4000".parse().unwrap(), CHECK);
        served += usize::from(world.set_ups.len() as u64 > limits::RTC_BURST);
    }
    assert!(served >= 75, "{served} of 100");
    // All hosts of the world together get no more than their shares.
    world.set_ups.clear();
    world.now += Duration::from_secs(5);
    for host in 0..10_000u32 {
        let from = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + host), 4_000));
        world.receive(b.leg, Channel::Rtp, from, CHECK);
    }
    let most = limits::RTC_BURST * limits::RTC_SHARES as u64;
    assert_eq!(world.set_ups.len() as u64, most);
}

/// A browser's check, before anybody has looked at its seal.
fn check_of(ufrag: &str) -> Vec<u8> {
    let mut writer = Writer::new(Class::Request, BINDING, [7; 12]);
    writer.attribute(kind::USERNAME, format!("{ufrag}:them").as_bytes());
    writer.finish()
}

/// Whoever sends from so many hosts that all shares are used up: who knows our name is heard all the same, and no more of that than a set-up needs.
#[test]
fn a_check_with_our_name_is_heard_whatever_strangers_send() {
    let mut world = World::new();
    let (_a, b) = pair(&mut world);
    let connect = |ours: &str| Command::Connect {
        leg: b.leg,
        number: 0,
        connect: Box::new(Connect {
            ours: Credentials {
                ufrag: ours.into(),
                pwd: Secret::new("p"),
            },
            theirs: Credentials {
                ufrag: "them".into(),
                pwd: Secret::new("p"),
            },
            fingerprints: Vec::new(),
            role: DtlsRole::Server,
            lite: None,
        }),
    };
    let flood = |world: &mut World| {
        for host in 0..10_000u32 {
            let from = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + host), 4_000));
            world.receive(b.leg, Channel::Rtp, from, &check_of("guess"));
        }
        world.set_ups.clear();
    };
    let elsewhere = "192.0.2.7:4000".parse().unwrap();
    let heard = |world: &mut World, name: &str| {
        world.set_ups.clear();
        world.receive(b.leg, Channel::Rtp, elsewhere, &check_of(name));
        !world.set_ups.is_empty()
    };
    world.command(connect("0123456789abcdef"));
    flood(&mut world);
    assert!(!heard(&mut world, "0123456789abcde") && !heard(&mut world, "0123456789abcdef0"));
    assert!(heard(&mut world, "0123456789abcdef"));
    // After a restart both hold, and a third does not (RFC 8445 9).
    world.command(connect("fedcba9876543210"));
    assert!(heard(&mut world, "0123456789abcdef") && heard(&mut world, "fedcba9876543210"));
    world.command(connect("00112233445566ff"));
    assert!(!heard(&mut world, "0123456789abcdef"));
    // One who has seen it does not get more than one browser needs.
    let named = (0..1_000).filter(|_| heard(&mut world, "fedcba9876543210")).count() as u64;
    assert!(named <= limits::RTC_BURST, "{named}");
}

/// Whoever holds a packet back may send it on from any address: only a check tells where the browser is.
#[test]
fn what_a_browser_sends_from_elsewhere_is_heard_and_turns_nothing_around() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world);
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    world.command(Command::Protect { leg: b.leg, keys });
    let mut sealer = Sealer::new(&Keys::new(key(2), vec![key(1)]).unwrap());
    let elsewhere = "127.0.0.66:4000".parse().unwrap();
    for n in 0..100 {
        let (from_a, from_b) = (a.speak(), b.speak());
        world.deliver(&a, &from_a);
        let mut sealed = [&from_b[..], &[0; 32]].concat();
        let len = sealer.rtp(&mut sealed, from_b.len()).unwrap();
        let from = if n < 25 { b.address } else { elsewhere };
        // A pause after which another leg would follow.
        if n == 25 {
            (0..20).for_each(|_| world.tick());
        }
        world.receive(b.leg, Channel::Rtp, from, &sealed[..len]);
        world.tick();
    }
    let (to_a, to_b) = (world.take(&a), world.take(&b));
    assert!(to_a.len() > 90 && to_b.len() > 90, "{} {}", to_a.len(), to_b.len());
}

/// A fax by UDPTL has no seal: it neither comes nor goes where a browser is.
#[test]
fn no_datagram_of_a_fax_goes_to_a_browser() {
    let mut world = World::new();
    let (a, b) = pair(&mut world);
    for peer in [&a, &b] {
        world.negotiate(peer, Stream::udptl(Codec::Pcma, true, true));
    }
    for _ in 0..3 {
        world.deliver(&a, &[0, 1, 2, 3, 4]);
        world.deliver(&b, &[0, 1, 2, 3, 4]);
    }
    assert!(world.udptl.is_empty(), "{:?}", world.udptl);
}

/// A browser's sender reports have no block, whatever it hears; its receiver reports have one.
#[test]
fn a_browser_that_reports_in_two_kinds_of_packets_hears_all_the_same() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world);
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    world.command(Command::Protect { leg: b.leg, keys });
    let (leg, silence, troubles) = (b.leg, None, true);
    world.command(Command::Watch { leg, silence, troubles });
    let mut sealer = Sealer::new(&Keys::new(key(2), vec![key(1)]).unwrap());
    for n in 0..2_000u32 {
        let from_a = a.speak();
        world.deliver(&a, &from_a);
        world.tick();
        // Every five seconds, two and a half one behind the other.
        let (sent, block) = match n % 250 {
            0 => (Some(n), None),
            125 => (None, Some(n)),
            _ => continue,
        };
        let sent = sent.map(|packets| {
            let sent = Sent {
                ssrc: b.ssrc,
                timestamp: 0,
                packets,
                octets: 0,
            };
            (world.now, sent)
        });
        let block = block.map(|highest| Block {
            ssrc: ours(2),
            highest: 65_500 + highest,
            ..Block::default()
        });
        let compound = Compound {
            ssrc: b.ssrc,
            sent,
            block,
            cname: "browser",
            extended: Extended::default(),
            goodbye: false,
        };
        let mut packet = [0; 256];
        let len = rtcp::write(&mut packet, &compound);
        let len = sealer.rtcp(&mut packet, len).unwrap();
        world.deliver(&b, &packet[..len]);
    }
    let told: Vec<_> = world
        .events
        .iter()
        .filter(|event| {
            matches!(
                event,
                Event::Trouble {
                    trouble: Trouble::NothingArrives,
                    ..
                }
            )
        })
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

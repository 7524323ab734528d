//! A fax by UDPTL: what goes from one peer to the other, and what does not.

use super::sim::*;
use super::*;
use crate::media::command::{Command, Keys, MasterKey, Stream, Suite, Tone, Trouble};
use codecs::Codec;
use std::time::Duration;

fn fax() -> Stream {
    Stream::udptl(Codec::Pcma, true, true)
}

/// A datagram with this sequence number.
fn datagram(sequence: u16) -> Vec<u8> {
    let mut octets = sequence.to_be_bytes().to_vec();
    octets.extend([1, 6, 0, 0, sequence as u8]);
    octets
}

/// Two peers that speak, in a bridge, and then turn to fax at the addresses that they have.
fn turned(world: &mut World) -> (Peer, Peer) {
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    let mut b = world.peer(2, stream(Codec::Pcma), 1_000.0);
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a, &mut b]);
    assert_eq!((world.take(&a).len(), world.take(&b).len()), (10, 10));
    world.negotiate(&a, fax());
    world.negotiate(&b, fax());
    (a, b)
}

fn take(world: &mut World, peer: &Peer) -> Vec<Vec<u8>> {
    world.udptl.remove(&peer.address).unwrap_or_default()
}

/// Whatever RFC 7983 would call them by their first octets, and over the whole range of sequence numbers.
#[test]
fn datagrams_go_as_they_are_both_ways() {
    let mut world = World::new();
    let (a, b) = turned(&mut world);
    let sent: Vec<Vec<u8>> = (0..=u16::MAX).step_by(97).map(datagram).collect();
    for datagram in &sent {
        world.deliver(&a, datagram);
        world.deliver(&b, datagram);
        world.tick();
    }
    assert_eq!(take(&mut world, &a), sent);
    assert_eq!(take(&mut world, &b), sent);
    // Reordered and doubled ones too: that is for who reads them.
    for sequence in [7, 5, 5, 6] {
        world.deliver(&a, &datagram(sequence));
    }
    assert_eq!(take(&mut world, &b), [7, 5, 5, 6].map(datagram));
    let stats = world.stats(&a);
    assert_eq!((stats.received, stats.sent), (10 + 680, 10 + 676));
    assert_eq!((stats.dropped, stats.codec, stats.fax), (0, None, true));
    assert_eq!(stats.spoke(), Some("T.38"));
    assert_eq!(world.worker.strays(), Strays::default());
    assert!(world.rtp.is_empty(), "no audio in a fax");
}

#[test]
fn the_largest_goes_and_what_has_no_number_does_not() {
    let mut world = World::new();
    let (a, b) = turned(&mut world);
    let largest = [&[0, 9][..], &[7; 1_498]].concat();
    world.deliver(&a, &largest);
    for short in [&[][..], &[0]] {
        world.deliver(&a, short);
    }
    world.receive(a.leg, Channel::Rtcp, a.address, &datagram(10));
    assert_eq!(take(&mut world, &b), [largest]);
    assert_eq!(world.stats(&a).dropped, 3);
}

/// RTPbleed: neither the first nor any later datagram of a third party goes on, and nothing goes to it.
#[test]
fn a_stranger_is_not_let_in() {
    let mut world = World::new();
    let (a, b) = turned(&mut world);
    let stranger = SocketAddr::from(([192, 0, 2, 66], 6_666));
    for sequence in 0..200 {
        world.receive(a.leg, Channel::Rtp, stranger, &datagram(sequence));
        world.tick();
    }
    assert_eq!(take(&mut world, &b), Vec::<Vec<u8>>::new());
    world.deliver(&b, &datagram(0));
    assert_eq!(take(&mut world, &a), [datagram(0)]);
    assert!(!world.udptl.contains_key(&stranger));
    let stats = world.stats(&a);
    assert_eq!((stats.strangers, stats.dropped), (200, 200));
    // Another port of the same host is followed in audio by its SSRC; here anybody could guess what goes on.
    let beside = SocketAddr::new(a.address.ip(), 5_555);
    world.deliver(&a, &datagram(0));
    world.receive(a.leg, Channel::Rtp, beside, &datagram(1));
    assert_eq!(take(&mut world, &b), [datagram(0)]);
    // Once the peer is silent it is a named host's.
    world.now += Duration::from_secs(3);
    world.receive(a.leg, Channel::Rtp, beside, &datagram(2));
    world.deliver(&b, &datagram(1));
    assert_eq!(take(&mut world, &b), [datagram(2)]);
    assert_eq!(world.udptl.remove(&beside), Some(vec![datagram(1)]));
}

/// What was said last comes when the other side has changed already: it would be a leap of 32,768 for the fax.
#[test]
fn audio_on_its_way_is_no_fax() {
    let mut world = World::new();
    let (mut a, b) = turned(&mut world);
    for _ in 0..5 {
        let late = a.speak();
        world.deliver(&a, &late);
    }
    assert_eq!(take(&mut world, &b), Vec::<Vec<u8>>::new());
    assert_eq!(world.stats(&a).dropped, 5);
    world.deliver(&a, &datagram(0));
    assert_eq!(take(&mut world, &b), [datagram(0)]);
}

/// One side has changed and the other not yet: nothing of the one goes to the other.
#[test]
fn audio_and_fax_do_not_meet() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    let b = world.peer(2, fax(), 440.0);
    world.bridge(&a, &b);
    world.deliver(&b, &datagram(0));
    world.steps(10, &mut [&mut a]);
    assert!(world.rtp.is_empty() && world.udptl.is_empty());
    // A tone, digits and an echo have no place in it either.
    world.command(Command::SendDigits {
        leg: b.leg,
        digits: "1".into(),
    });
    world.ticks(20);
    world.function(b.leg, Function::Tone(Tone::Sine { hz: 620, level: -16 }));
    world.ticks(10);
    world.function(b.leg, Function::Echo);
    world.deliver(&b, &datagram(1));
    world.ticks(10);
    assert!(world.rtp.is_empty() && world.udptl.is_empty());
}

/// Minutes without a datagram are no silence and no trouble, and there are no reports; as audio it is watched again.
#[test]
fn a_pause_is_none_and_nothing_is_reported() {
    let mut world = World::new();
    let (mut a, mut b) = turned(&mut world);
    for peer in [&a, &b] {
        let (leg, silence) = (peer.leg, Some(Duration::from_secs(30)));
        world.command(Command::Watch {
            leg,
            silence,
            troubles: true,
        });
    }
    world.rtcp.clear();
    world.ticks(50 * 120);
    let silent = |world: &World| {
        let told = |event: &&Event| matches!(event, Event::Silent(_) | Event::Trouble { .. });
        world.events.iter().filter(told).count()
    };
    assert_eq!((silent(&world), world.rtcp.len()), (0, 0));
    world.negotiate(&a, stream(Codec::Pcma));
    world.negotiate(&b, stream(Codec::Pcma));
    world.steps(100, &mut [&mut a, &mut b]);
    assert_eq!(silent(&world), 0, "the pause was the fax's");
    assert_eq!((world.take(&a).len(), world.take(&b).len()), (100, 100));
    assert!(!world.rtcp.is_empty(), "audio has its reports again");
    world.ticks(50 * 40);
    assert!(silent(&world) > 0);
    let comes = |event: &Event| {
        matches!(
            event,
            Event::Trouble {
                trouble: Trouble::NothingComes(_),
                ..
            }
        )
    };
    assert!(world.events.iter().any(comes));
}

/// Back from the fax the audio goes on as the same stream, late datagrams of the fax are none of it, and the worker has all places again
/// when the legs are closed.
#[test]
fn audio_goes_on_after_the_fax() {
    let mut world = World::new();
    let (mut a, b) = turned(&mut world);
    for sequence in 0..50 {
        world.deliver(&a, &datagram(sequence));
        world.tick();
    }
    assert_eq!(take(&mut world, &b).len(), 50);
    world.negotiate(&a, stream(Codec::Pcma));
    world.negotiate(&b, stream(Codec::Pcmu));
    world.deliver(&a, &datagram(50));
    assert!(world.udptl.is_empty() && world.rtp.is_empty());
    world.steps(20, &mut [&mut a]);
    let heard = world.take(&b);
    assert_run(&heard, ours(2), 0, 160, &[0]);
    assert!((level(&listen(Codec::Pcmu, &heard), 440.0) + 10.0).abs() < 2.0);
    let stats = world.stats(&a);
    assert_eq!(
        (stats.codec, stats.fax, stats.spoke()),
        (Some(Codec::Pcma), true, Some("PCMA, T.38"))
    );
    world.negotiate(&a, fax());
    world.rtcp.clear();
    for peer in [&a, &b] {
        world.command(Command::Close(peer.leg));
    }
    assert!(world.worker.is_empty());
    assert!(
        !world.rtcp.contains_key(&SocketAddr::new(a.address.ip(), 4_001)),
        "no farewell in a fax"
    );
}

/// The peer's keys are for RTP: a fax is in the clear, and as audio it is sealed again by the same key, where it was.
#[test]
fn keys_wait_for_the_audio() {
    let mut world = World::new();
    let (mut a, b) = turned(&mut world);
    let key = |first: u8| {
        let suite = Suite::ALL[0];
        MasterKey::new(suite, &vec![first; suite.key_octets() + suite.salt_octets()]).unwrap()
    };
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    world.command(Command::Protect { leg: b.leg, keys });
    for sequence in [0, 0x8000, 0x80c8] {
        world.deliver(&a, &datagram(sequence));
        world.deliver(&b, &datagram(sequence));
    }
    assert_eq!(take(&mut world, &b), [0, 0x8000, 0x80c8].map(datagram));
    assert_eq!(take(&mut world, &a), [0, 0x8000, 0x80c8].map(datagram));
    world.negotiate(&a, stream(Codec::Pcma));
    world.negotiate(&b, stream(Codec::Pcma));
    world.steps(1, &mut [&mut a]);
    assert!(world.take(&b)[0].payload.len() > 160, "there is a tag behind it");
}

/// A fax that floods is held to what a leg may take, and the batch takes what comes of it.
#[test]
fn a_flood_is_bounded() {
    let mut world = World::new();
    let (a, b) = turned(&mut world);
    for sequence in 0..2_000 {
        world.deliver(&a, &datagram(sequence));
    }
    let passed = take(&mut world, &b).len();
    assert!(passed <= 251, "{passed}");
    assert_eq!(world.stats(&a).dropped, 2_000 - passed as u64);
}

/// A fax that was refused goes on in G.711: what is lost of it is silence, in the decoder that there is by then.
#[test]
fn data_in_audio_is_not_made_up() {
    for carries_data in [false, true] {
        let mut world = World::new();
        let spoken = |ptime_ms| Stream {
            ptime_ms,
            carries_data,
            ..stream(Codec::Pcma)
        };
        let mut a = world.peer(1, stream(Codec::Pcma), 1_100.0);
        let b = world.peer(2, spoken(30), 440.0);
        world.bridge(&a, &b);
        world.steps(10, &mut [&mut a]);
        world.negotiate(&a, spoken(20));
        world.steps(10, &mut [&mut a]);
        drop(a.speak());
        world.steps(20, &mut [&mut a]);
        let heard = listen(Codec::Pcma, &world.take(&b));
        let (mut longest, mut run) = (0, 0);
        for sample in &heard[..5_000] {
            run = if sample.abs() <= 8 { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        assert_eq!(longest >= 150, carries_data, "{longest} samples of silence in a row");
        assert_eq!(world.stats(&a).concealed, 1);
    }
}

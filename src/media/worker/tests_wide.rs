//! Wide band: what of it is kept, where, and what it costs to change rates in the middle of a call.

use super::sim::*;
use crate::media::command::{Command, Stream};
use codecs::level::Level;
use codecs::{Codec, Rate};

/// Above everything that telephone band has.
const HIGH_HZ: f32 = 5_000.0;

fn pair(world: &mut World, a: Stream, b: Stream) -> (Peer, Peer) {
    let (a, b) = (world.wide_peer(1, a, HIGH_HZ), world.wide_peer(2, b, HIGH_HZ));
    world.bridge(&a, &b);
    (a, b)
}

/// The level of the high tone in what both have heard since, `a` first.
fn levels(world: &mut World, (a, first): (&Peer, Codec), (b, second): (&Peer, Codec)) -> [f32; 2] {
    [(a, first), (b, second)].map(|(peer, codec)| {
        let pcm = listen_at(Rate::Wide, codec, &world.take(peer));
        level_at(Rate::Wide, &pcm, HIGH_HZ)
    })
}

#[test]
fn wide_band_is_kept_wherever_both_sides_have_it() {
    let thirty = Stream {
        ptime_ms: 30,
        ..stream(Codec::G722)
    };
    for (first, second) in [
        (stream(Codec::G722), stream(Codec::G722)),
        (thirty, stream(Codec::G722)),
        (stream(Codec::G722), stream(Codec::Opus)),
        (stream(Codec::Opus), stream(Codec::G722)),
    ] {
        let mut world = World::new();
        let (mut a, mut b) = pair(&mut world, first, second);
        for _ in 0..60 {
            world.steps(1, &mut [&mut a, &mut b]);
        }
        let levels = levels(&mut world, (&a, first.codec), (&b, second.codec));
        for level in levels {
            assert!((level + 10.0).abs() < 2.0, "{first:?} {second:?}: {levels:?}");
        }
    }
}

/// Telephone band on the other side: the high tone neither passes nor comes back as another.
#[test]
fn what_telephone_band_cannot_carry_is_not_heard() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, stream(Codec::G722), stream(Codec::Pcma));
    world.steps(60, &mut [&mut a]);
    let mirrored = level(&listen(Codec::Pcma, &world.take(&b)), 8_000.0 - HIGH_HZ);
    assert!(mirrored < -50.0, "{mirrored}");
}

/// RFC 7587 6.1: who plays no more than 8 kHz is sent no more.
#[test]
fn a_peer_with_opus_may_have_telephone_band() {
    for (plays, heard) in [
        (Rate::Full, -12.0..-8.0),
        (Rate::Wide, -12.0..-8.0),
        (Rate::Narrow, -130.0..-40.0),
    ] {
        let mut world = World::new();
        let mut opus = stream(Codec::Opus);
        opus.opus.plays = plays;
        let (mut a, b) = pair(&mut world, stream(Codec::G722), opus);
        world.steps(60, &mut [&mut a]);
        let pcm = listen_at(Rate::Wide, Codec::Opus, &world.take(&b));
        let level = level_at(Rate::Wide, &pcm, HIGH_HZ);
        assert!(heard.contains(&level), "{plays:?}: {level}");
    }
}

#[test]
fn a_relay_of_g722_changes_no_octet() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, stream(Codec::G722), stream(Codec::G722));
    let sent: Vec<Vec<u8>> = (0..5).map(|_| a.speak()).collect();
    for packet in &sent {
        world.deliver(&a, packet);
    }
    let heard = world.take(&b);
    assert_run(&heard, ours(2), 9, 160, &[0]);
    for (packet, sent) in heard.iter().zip(&sent) {
        assert_eq!(packet.payload, sent[12..]);
    }
}

/// A transfer from a wide partner to a narrow one and back: the coders change their rate, the stream goes on.
#[test]
fn a_new_partner_changes_the_rate_and_the_stream_goes_on() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, stream(Codec::G722), stream(Codec::Opus));
    let mut c = world.peer(3, stream(Codec::Pcma), 440.0);
    world.steps(30, &mut [&mut a, &mut b]);
    let mut heard = world.take(&a);
    world.bridge(&a, &c);
    world.steps(30, &mut [&mut a, &mut c]);
    let narrow = world.take(&a);
    assert!((level(&listen(Codec::G722, &narrow), 440.0) + 10.0).abs() < 2.0);
    heard.extend(narrow);
    world.bridge(&b, &a);
    world.steps(30, &mut [&mut a, &mut b]);
    heard.extend(world.take(&a));
    assert_run(&heard, ours(1), 9, 160, &[0, 30, 60]);
    let pcm = listen_at(Rate::Wide, Codec::G722, &heard);
    assert!((level_at(Rate::Wide, &pcm[60 * 320..], HIGH_HZ) + 10.0).abs() < 2.0);
    // The peer has one decoder for all of it: what a new encoder says is no bang to it.
    let peak = Level::of(&pcm).peak;
    assert!(peak < 11_000, "{peak}, of a tone of 7,300");
}

/// The partner is narrow from now on, and this leg's decoder is still wide: what it says in between is not heard at half the speed.
#[test]
fn between_the_inputs_that_change_the_rate_nothing_is_said() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, stream(Codec::G722), stream(Codec::Opus));
    world.steps(5, &mut [&mut a]);
    world.take(&b);
    let narrow = Command::Negotiated {
        leg: b.leg,
        remote: remote(b.address),
        stream: stream(Codec::Pcma),
    };
    let inputs = world.preparer.prepare(HERE, narrow, 1).unwrap();
    assert_eq!(inputs.len(), 2);
    for input in inputs {
        world.input(input);
        world.steps(1, &mut [&mut a]);
    }
    world.steps(1, &mut [&mut a]);
    let heard = world.take(&b);
    assert_eq!(heard.len(), 2);
    assert_run(&heard, ours(2), 8, 160, &[0]);
}

/// In a bridge the encoder is wide: a digit of ours has its own pitch all the same.
#[test]
fn digits_as_tones_into_a_wide_bridge_have_their_pitch() {
    let mut world = World::new();
    let deaf = Stream {
        events_tx: None,
        events_rx: None,
        ..stream(Codec::G722)
    };
    let (mut a, _) = pair(&mut world, deaf, stream(Codec::Opus));
    world.steps(5, &mut [&mut a]);
    world.command(Command::SendDigits {
        leg: a.leg,
        digits: "9".into(),
    });
    world.take(&a);
    world.ticks(8);
    let pcm = listen_at(Rate::Wide, Codec::G722, &world.take(&a));
    let dbm0 = |hz| codecs::goertzel::level_dbm0(&pcm[320..1_600], hz, 16_000);
    assert!(
        dbm0(852.0) > -16.0 && dbm0(1_477.0) > -16.0,
        "{} {}",
        dbm0(852.0),
        dbm0(1_477.0)
    );
}

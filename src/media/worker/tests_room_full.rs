//! A room of 48 kHz: what only Opus carries, to whom, and what else is different there.

use super::sim::*;
use super::tests_room::{ROOM, heard_at, spec, spectrum, tone};
use crate::media::command::{Command, OpusParams, Stream};
use codecs::{Codec, Rate};

/// Opus for a peer that plays so much, at a rate that is enough for the whole band (RFC 7587 3.1.1).
fn opus(plays: Rate) -> Stream {
    let stream = stream(Codec::Opus);
    let opus = OpusParams {
        plays,
        bitrate: 40_000,
        ..stream.opus
    };
    Stream { opus, ..stream }
}

/// A room with a member for each stream, each of whom hears and says all that its codec can; the first says this tone, and all others nothing.
fn heard(room: Rate, hz: f32, streams: &[Stream]) -> Vec<Vec<i16>> {
    let mut world = World::new();
    world.command(Command::OpenRoom(spec(room, 4)));
    let peers = (1u8..).zip(streams).map(|(n, stream)| {
        let mut peer = world.full_peer(n, *stream, hz);
        peer.encode_by(codecs::opus::EncoderParams {
            bitrate: 64_000,
            complexity: 0,
            fec: false,
            expected_loss_percent: 0,
            dtx: false,
        });
        world.function(peer.leg, Function::Room(ROOM));
        peer
    });
    let mut peers: Vec<Peer> = peers.collect();
    for _ in 0..60 {
        for (n, peer) in peers.iter_mut().enumerate() {
            let packet = if n == 0 { peer.speak() } else { peer.hush() };
            world.deliver(peer, &packet);
        }
        world.tick();
    }
    let pcm = peers.iter().zip(streams).map(|(peer, stream)| {
        let rate = heard_at(stream.codec, room);
        listen_at(rate, stream.codec, &world.take(peer))
    });
    pcm.collect()
}

/// What is above the band of a listener is neither there nor anywhere else; both of these would be within telephone band if it were mirrored.
#[test]
fn what_only_opus_carries_is_heard_by_opus_alone() {
    for hz in [12_000.0, 10_900.0] {
        let streams = [
            opus(Rate::Full),
            opus(Rate::Full),
            stream(Codec::Pcma),
            stream(Codec::Pcmu),
            stream(Codec::G722),
            opus(Rate::Wide),
        ];
        let all = heard(Rate::Full, hz, &streams);
        for (n, (pcm, stream)) in all.iter().zip(&streams).enumerate() {
            let rate = heard_at(stream.codec, Rate::Full);
            let (levels, rest) = spectrum(pcm, rate, &[hz]);
            if n == 1 {
                assert!((levels[0] + 10.0).abs() < 1.5, "{hz} Hz is heard at {}", levels[0]);
            } else if rate == Rate::Full {
                assert!(levels[0] < -50.0, "{n} hears {hz} Hz at {}", levels[0]);
            }
            assert!(n == 1 || rest < -50.0, "{n} hears {rest} of {hz} Hz");
        }
        // It is the room's rate by which it is heard.
        let [_, pcm, ..] = &heard(Rate::Wide, hz, &streams)[..] else {
            panic!("two of them")
        };
        let (_, rest) = spectrum(pcm, Rate::Wide, &[]);
        assert!(rest < -50.0, "{rest}");
    }
}

/// Up and down again: as loud as it was, to the end of the band of each.
#[test]
fn each_codec_is_heard_in_its_whole_band() {
    for (from, hz) in [
        (Codec::Pcma, 3_400.0),
        (Codec::G722, 6_800.0),
        (Codec::Opus, 3_400.0),
        (Codec::Opus, 6_800.0),
    ] {
        let streams = [
            match from {
                Codec::Opus => opus(Rate::Full),
                Codec::Pcmu | Codec::Pcma | Codec::G722 => stream(from),
            },
            stream(Codec::Pcmu),
            stream(Codec::G722),
            opus(Rate::Full),
        ];
        let all = heard(Rate::Full, hz, &streams);
        for (pcm, stream) in all.iter().zip(&streams).skip(1) {
            let rate = heard_at(stream.codec, Rate::Full);
            if hz < rate.hz() as f32 / 2.0 {
                let level = spectrum(pcm, rate, &[hz]).0[0];
                assert!(
                    (level + 10.0).abs() < 1.5,
                    "{from:?} to {:?}: {hz} Hz at {level}",
                    stream.codec
                );
            }
        }
    }
}

/// Digits as tones, for a member without events: they have their pitch at 48 kHz too.
#[test]
fn digits_as_tones_have_their_pitch() {
    for codec in [Codec::Opus, Codec::Pcma] {
        let mut world = World::new();
        world.command(Command::OpenRoom(spec(Rate::Full, 4)));
        let deaf = Stream {
            events_tx: None,
            events_rx: None,
            ..stream(codec)
        };
        let mut peer = world.full_peer(1, deaf, tone(1));
        world.function(peer.leg, Function::Room(ROOM));
        world.steps(5, &mut [&mut peer]);
        world.command(Command::SendDigits {
            leg: peer.leg,
            digits: "9".into(),
        });
        world.take(&peer);
        world.ticks(8);
        let rate = heard_at(codec, Rate::Full);
        let pcm = listen_at(rate, codec, &world.take(&peer));
        let (from, to) = (rate.hz() as usize / 50, rate.hz() as usize / 10);
        let levels = [852.0, 1_477.0].map(|hz| codecs::goertzel::level_dbm0(&pcm[from..to], hz, rate.hz()));
        assert!(levels.iter().all(|level| *level > -16.0), "{codec:?}: {levels:?}");
    }
}

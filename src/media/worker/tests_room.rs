//! Rooms: each member is a tone, and what each hears has the tones of all who speak but its own.

use super::sim::*;
use super::*;
use crate::id::MediaRoomId;
use crate::media::command::{Command, Music, OpusParams, RoomSpec, Seat, Sound, Stream};
use codecs::g711::{decode_alaw, encode_alaw};
use codecs::level::Level;
use codecs::tone::Sine;
use codecs::{Codec, Rate};
use std::sync::Arc;
use std::time::Duration;

pub const ROOM: MediaRoomId = MediaRoomId(7);

pub fn spec(rate: Rate, speakers: u8) -> RoomSpec {
    RoomSpec {
        id: ROOM,
        rate,
        speakers,
        seats: 250,
        levels: false,
        gate: false,
        forwards: false,
    }
}

/// A room with a member for each stream; each is a tone of its own.
pub fn room(spec: RoomSpec, streams: &[Stream]) -> (World, Vec<Peer>) {
    let mut world = World::of(256);
    world.command(Command::OpenRoom(spec));
    let peers = (1u8..).zip(streams).map(|(n, stream)| {
        let peer = world.peer(n, *stream, tone(n));
        world.function(peer.leg, Function::Room(ROOM));
        peer
    });
    let peers = peers.collect();
    (world, peers)
}

pub fn tone(n: u8) -> f32 {
    400.0 + 170.0 * f32::from(n % 16)
}

/// So many ticks in which the first few say their tones and all others are silent.
pub fn talk(world: &mut World, peers: &mut [Peer], ticks: usize, speakers: usize) {
    for _ in 0..ticks {
        for (n, peer) in peers.iter_mut().enumerate() {
            let packet = if n < speakers {
                peer.speak()
            } else {
                peer.say(&[0; 160])
            };
            world.deliver(peer, &packet);
        }
        world.tick();
    }
}

/// A window whose side lobes are 92 dB down (Blackman-Harris), four bins wide.
pub fn window(n: usize, of: usize) -> f64 {
    let x = std::f64::consts::TAU * n as f64 / of as f64;
    0.358_75 - 0.488_29 * x.cos() + 0.141_28 * (2.0 * x).cos() - 0.011_68 * (3.0 * x).cos()
}

/// A sine at full scale (ITU-T G.711: 3.14 dBm0 in A-law).
const FULL_DBM0: f64 = 314.0 / 100.0;

/// The level in dBm0 of what is there at a frequency (Goertzel's algorithm: there are many of them at 48 kHz).
pub fn at(pcm: &[f64], rate: Rate, hz: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hz / f64::from(rate.hz())).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in pcm {
        (last, before) = (sample + turn * last - before, last);
    }
    let power = last * last + before * before - turn * last * before;
    let amplitude = power.max(0.0).sqrt() * 2.0 / (0.358_75 * pcm.len() as f64);
    20.0 * (amplitude / 32_768.0).max(1e-9).log10() + FULL_DBM0
}

/// The tones of what a peer hears in half a second, and the loudest of all that lies between.
pub fn spectrum(pcm: &[i16], rate: Rate, tones: &[f32]) -> (Vec<f64>, f64) {
    let half = rate.hz() as usize / 2;
    let pcm = &pcm[pcm.len() - half..];
    let windowed: Vec<f64> = pcm
        .iter()
        .enumerate()
        .map(|(n, sample)| f64::from(*sample) * window(n, half))
        .collect();
    let levels = tones.iter().map(|hz| at(&windowed, rate, f64::from(*hz))).collect();
    let top = match rate {
        Rate::Narrow => 3_600,
        Rate::Wide => 7_600,
        Rate::Full => 20_000,
    };
    let rest = (100..top)
        .step_by(4)
        .filter(|hz| {
            tones
                .iter()
                .all(|tone| (f64::from(*hz) - f64::from(*tone)).abs() > 14.0)
        })
        .map(|hz| at(&windowed, rate, f64::from(hz)))
        .fold(f64::MIN, f64::max);
    (levels, rest)
}

/// At which one who speaks this hears a room of this rate.
pub fn heard_at(codec: Codec, room: Rate) -> Rate {
    codec.rate().min(room)
}

/// What each hears: the tones of the speakers but its own within 1 dB, and nothing else above a limit below them.
fn check(world: &mut World, peers: &[Peer], streams: &[Stream], speakers: usize, rate: Rate) {
    let mut seen: Vec<(Vec<u8>, usize)> = Vec::new();
    for (n, (peer, stream)) in peers.iter().zip(streams).enumerate() {
        let heard = world.take(peer);
        let key: Vec<u8> = heard
            .iter()
            .rev()
            .take(25)
            .flat_map(|packet| packet.payload.clone())
            .collect();
        if n >= speakers && seen.iter().any(|(other, _)| *other == key) {
            continue;
        }
        seen.push((key, n));
        let rate = heard_at(stream.codec, rate);
        let pcm = listen_at(rate, stream.codec, &heard);
        let others: Vec<f32> = (0..speakers)
            .filter(|other| *other != n)
            .map(|n| tone(n as u8 + 1))
            .collect();
        let (levels, rest) = spectrum(&pcm, rate, &others);
        for (hz, level) in others.iter().zip(&levels) {
            let bound = if stream.codec == Codec::Opus { 2.0 } else { 1.0 };
            assert!(
                (level + 10.0).abs() < bound,
                "{n} ({:?}) hears {hz} at {level}",
                stream.codec
            );
        }
        // What a speaker's codec adds, all hear.
        let codecs = (0..speakers)
            .filter(|other| *other != n)
            .map(|other| streams[other].codec);
        let limits = codecs.chain([stream.codec]).map(|codec| match codec {
            Codec::Pcmu | Codec::Pcma => -50.0,
            Codec::G722 => -45.0,
            Codec::Opus => alone(rate, &others) + 4.0,
        });
        let limit = limits.fold(f64::MIN, f64::max);
        assert!(
            rest < limit,
            "{n} ({:?}) hears something else at {rest}, over {limit}",
            stream.codec
        );
    }
    // Listeners of one codec hear the same packets.
    let listeners = seen.iter().filter(|(_, n)| *n >= speakers).count();
    assert!(listeners <= 4, "{listeners} streams for listeners");
}

/// What libopus alone adds to these tones.
fn alone(rate: Rate, tones: &[f32]) -> f64 {
    let settings = codecs::opus::EncoderParams {
        complexity: 0,
        ..Default::default()
    };
    let mut encoder = codecs::opus::Encoder::new(rate.hz(), settings).unwrap();
    let mut decoder = codecs::opus::Decoder::new(rate.hz()).unwrap();
    let mut sines: Vec<Sine> = tones.iter().map(|hz| Sine::new(*hz, -10.0, rate.hz())).collect();
    let mut heard = Vec::new();
    for _ in 0..60 {
        let samples = rate.hz() as usize / 50;
        let mut pcm = vec![0i16; samples];
        for sine in &mut sines {
            let mut tone = vec![0; samples];
            sine.fill(&mut tone);
            // As it comes from members who speak G.711.
            let tone = tone.into_iter().map(|sample| decode_alaw(encode_alaw(sample)));
            pcm.iter_mut().zip(tone).for_each(|(sum, sample)| *sum += sample);
        }
        let (mut packet, mut out) = ([0; 1_300], vec![0; samples]);
        let len = encoder.encode(&pcm, &mut packet).unwrap();
        decoder.decode(&packet[..len], &mut out).unwrap();
        heard.extend(out);
    }
    spectrum(&heard, rate, tones).1
}

#[test]
fn each_hears_all_who_speak_but_itself() {
    let codecs = [Codec::Pcma, Codec::Opus, Codec::Pcmu, Codec::G722];
    for (size, speakers) in [(3, 3), (10, 4), (200, 4)] {
        for rate in [Rate::Wide, Rate::Narrow, Rate::Full] {
            let streams: Vec<Stream> = (0..size).map(|n| stream(codecs[n % codecs.len()])).collect();
            let (mut world, mut peers) = room(spec(rate, 4), &streams);
            talk(&mut world, &mut peers, 60, speakers);
            check(&mut world, &peers, &streams, speakers, rate);
            // One encode for each of four codecs, and one for each who speaks.
            let before = world.worker.room(ROOM).unwrap().encodes();
            talk(&mut world, &mut peers, 50, speakers);
            let encodes = world.worker.room(ROOM).unwrap().encodes() - before;
            let classes = size.saturating_sub(speakers).min(4);
            assert_eq!(encodes, 50 * (speakers + classes) as u64, "{size} at {rate:?}");
        }
    }
}

/// A packet of any length is whole, numbers run on, and nothing of a listener's stream is cut when it begins and ceases to speak.
#[test]
fn packets_of_every_length_run_on_while_somebody_begins_and_ceases_to_speak() {
    let codecs = [Codec::Pcma, Codec::G722, Codec::Opus];
    for (codec, rate) in codecs
        .into_iter()
        .flat_map(|codec| [(codec, Rate::Wide), (codec, Rate::Full)])
    {
        for ptime_ms in [10, 20, 40, 60] {
            let long = Stream {
                ptime_ms,
                ..stream(codec)
            };
            let (mut world, mut peers) = room(spec(rate, 4), &[stream(Codec::Pcmu), long]);
            // The second speaks in packets of 20 ms whatever it hears.
            peers[1].samples = 160;
            talk(&mut world, &mut peers, 40, 1);
            talk(&mut world, &mut peers, 40, 2);
            talk(&mut world, &mut peers, 40, 1);
            let heard = world.take(&peers[1]);
            let ticks = codec.clock() / 1_000 * u32::from(ptime_ms);
            assert_run(&heard, ours(2), long.payload_type_tx, ticks, &[0]);
            let want = 120 * 20 / usize::from(ptime_ms);
            assert!(
                heard.len() >= want - 1 && heard.len() <= want,
                "{codec:?} {ptime_ms}: {}",
                heard.len()
            );
            // Each 100 ms of it is as loud as the others: neither a hole nor a burst.
            let rate = heard_at(codec, rate);
            let pcm = listen_at(rate, codec, &heard);
            let tenth = rate.hz() as usize / 10;
            for (n, part) in pcm.chunks_exact(tenth).enumerate().skip(2) {
                let level = Level::of(part).rms_dbm0();
                assert!(
                    (level + 10.0).abs() < 1.5,
                    "{codec:?} {ptime_ms} at {rate:?}: {level} at {n}00 ms"
                );
            }
        }
    }
}

/// More kinds of Opus than a room has shared encoders: who is beyond them has one of his own, also when he has spoken, and so has who comes
/// with another codec when all places are taken.
#[test]
fn who_finds_no_place_for_a_shared_encoder_hears_all_the_same() {
    let kind = |n: u32| Stream {
        ptime_ms: [20, 40, 60, 10][n as usize % 4],
        opus: OpusParams {
            bitrate: 24_000 + 1_000 * n,
            complexity: 0,
            ..OpusParams::default()
        },
        ..stream(Codec::Opus)
    };
    let kinds = (0..limits::ROOM_CLASSES as u32 + 4).map(kind);
    let others = [stream(Codec::Pcmu), stream(Codec::Pcma)];
    let streams: Vec<Stream> = [stream(Codec::Pcma)].into_iter().chain(kinds).chain(others).collect();
    let (mut world, mut peers) = room(spec(Rate::Wide, 4), &streams);
    let beyond = limits::ROOM_CLASSES + 2;
    // They speak in packets of 20 ms whatever they hear.
    peers.iter_mut().for_each(|peer| peer.samples = 160);
    for speakers in [&[0][..], &[0, beyond], &[0]] {
        for _ in 0..60 {
            for (n, peer) in peers.iter_mut().enumerate() {
                let packet = match speakers.contains(&n) {
                    true => peer.speak(),
                    false => peer.say(&[0; 160]),
                };
                world.deliver(peer, &packet);
            }
            world.tick();
        }
        for (n, (peer, stream)) in peers.iter().zip(&streams).enumerate() {
            let pcm = listen(stream.codec, &world.take(peer));
            for tenth in pcm.chunks_exact(800).skip(3).filter(|_| n != 0 || speakers.len() > 1) {
                let loud = Level::of(tenth).rms_dbm0();
                assert!(loud > -16.0, "{n} of {} hears {loud}", streams.len());
            }
            for speaker in speakers.iter().filter(|speaker| **speaker != n) {
                let level = level(&pcm[pcm.len() - 2_400..], tone(*speaker as u8 + 1));
                assert!(level > -20.0, "{n} hears {speaker} at {level}");
            }
        }
    }
}

#[test]
fn who_is_muted_is_not_heard_and_who_is_deaf_hears_nothing() {
    let streams = [stream(Codec::Pcma), stream(Codec::Pcmu), stream(Codec::Opus)];
    let (mut world, mut peers) = room(spec(Rate::Wide, 4), &streams);
    talk(&mut world, &mut peers, 30, 2);
    let seat = |world: &mut World, peer: &Peer, speaks, hears| {
        let seat = Seat {
            speaks,
            hears,
            shows: true,
        };
        world.command(Command::Seat { leg: peer.leg, seat });
    };
    seat(&mut world, &peers[0], false, true);
    seat(&mut world, &peers[1], true, false);
    talk(&mut world, &mut peers, 10, 2);
    peers.iter().for_each(|peer| drop(world.take(peer)));
    talk(&mut world, &mut peers, 30, 2);
    let heard = |world: &mut World, n: usize| {
        let packets = world.take(&peers[n]);
        let pcm = listen(streams[n].codec, &packets);
        [level(&pcm, tone(1)), level(&pcm, tone(2))].map(|level| level.max(-60.0).round())
    };
    assert_eq!(heard(&mut world, 0), [-60.0, -10.0]);
    assert_eq!(heard(&mut world, 1), [-60.0, -60.0]);
    let third = heard(&mut world, 2);
    assert!(third[0] < -45.0 && (third[1] + 10.0).abs() <= 1.0, "{third:?}");
    // And back again.
    seat(&mut world, &peers[0], true, true);
    seat(&mut world, &peers[1], true, true);
    talk(&mut world, &mut peers, 10, 2);
    peers.iter().for_each(|peer| drop(world.take(peer)));
    talk(&mut world, &mut peers, 30, 2);
    let packets = world.take(&peers[1]);
    let level = level(&listen(Codec::Pcmu, &packets), tone(1));
    assert!((level + 10.0).abs() < 1.0, "{level}");
}

#[test]
fn what_is_played_to_the_room_all_hear_beside_one_another() {
    for room_rate in [Rate::Wide, Rate::Full] {
        let streams = [stream(Codec::Pcma), stream(Codec::G722)];
        let (mut world, mut peers) = room(spec(room_rate, 4), &streams);
        talk(&mut world, &mut peers, 20, 2);
        peers.iter().for_each(|peer| drop(world.take(peer)));
        let mut pcm = vec![0; 16_000];
        Sine::new(3_000.0, -13.0, 16_000).fill(&mut pcm);
        let music = Music::new(vec![Arc::new(Sound::new(pcm).unwrap())]);
        world.command(Command::PlayRoom { room: ROOM, music });
        talk(&mut world, &mut peers, 45, 2);
        for (n, stream) in streams.iter().enumerate() {
            let packets = world.take(&peers[n]);
            let rate = stream.codec.rate();
            let pcm = listen_at(rate, stream.codec, &packets);
            let own = level_at(rate, &pcm, tone(n as u8 + 1));
            let other = level_at(rate, &pcm, tone(2 - n as u8));
            let played = level_at(rate, &pcm, 3_000.0);
            assert!(own < -45.0, "{own} in a room of {room_rate:?}");
            assert!(
                (other + 10.0).abs() < 1.0 && (played + 13.0).abs() < 1.0,
                "{other} {played} in a room of {room_rate:?}"
            );
        }
        assert!(!world.events.contains(&Event::RoomPlayed(ROOM)));
        talk(&mut world, &mut peers, 20, 2);
        let ends = world
            .events
            .iter()
            .filter(|event| **event == Event::RoomPlayed(ROOM))
            .count();
        assert_eq!(ends, 1);
    }
}

#[test]
fn what_takes_the_place_of_a_sound_ends_it() {
    let streams = [stream(Codec::Pcma), stream(Codec::Pcma)];
    let (mut world, mut peers) = room(spec(Rate::Wide, 4), &streams);
    let sound = || Music::new(vec![Arc::new(Sound::new(vec![0; 8_000]).unwrap())]);
    let ends = |world: &World| {
        let ends = world.events.iter().filter(|event| **event == Event::RoomPlayed(ROOM));
        ends.count()
    };
    world.command(Command::PlayRoom {
        room: ROOM,
        music: sound(),
    });
    talk(&mut world, &mut peers, 5, 2);
    assert_eq!(ends(&world), 0);
    world.command(Command::PlayRoom {
        room: ROOM,
        music: sound(),
    });
    talk(&mut world, &mut peers, 5, 2);
    assert_eq!(ends(&world), 1);
    talk(&mut world, &mut peers, 40, 2);
    assert_eq!(ends(&world), 2);
    // What has ended does not end again.
    world.command(Command::PlayRoom {
        room: ROOM,
        music: sound(),
    });
    talk(&mut world, &mut peers, 60, 2);
    assert_eq!(ends(&world), 3);
}

/// A clock that is 200 ppm off, jitter of up to 19 ms, and 3 % of loss, for two hours: the tone stays, and nothing comes later and later.
fn two_hours(ppm: i64) {
    let streams = [stream(Codec::Pcma), stream(Codec::Pcmu)];
    let (mut world, mut peers) = room(spec(Rate::Wide, 4), &streams);
    let start = world.now;
    let mut sent = 0u64;
    let at = |n: u64| {
        let jitter = n.wrapping_mul(2_654_435_761) % 19_000;
        let nominal = (n * 20_000) as i64;
        start + Duration::from_micros((nominal + nominal * ppm / 1_000_000) as u64 + jitter)
    };
    let mut heard = Vec::new();
    for minute in 0..120 {
        for _ in 0..3_000 {
            while at(sent) <= world.now {
                let packet = peers[0].speak();
                if sent % 33 != 7 {
                    world.deliver(&peers[0], &packet);
                }
                sent += 1;
            }
            let packet = peers[1].say(&[0; 160]);
            world.deliver(&peers[1], &packet);
            world.tick();
        }
        heard = world.take(&peers[1]);
        let pcm = listen(Codec::Pcmu, &heard[100..]);
        let tenth = 800;
        let quiet = pcm
            .chunks_exact(tenth)
            .filter(|part| Level::of(part).rms_dbm0() < -13.0)
            .count();
        assert!(
            quiet <= 2,
            "{quiet} tenths of a second of minute {minute} are too soft at {ppm} ppm"
        );
    }
    assert_eq!(heard.len(), 3_000);
    // What waits is bounded: at the end of all the speaker is silent soon.
    for n in 0..40 {
        world.tick();
        let heard = world.take(&peers[1]);
        let pcm = listen(Codec::Pcmu, &heard);
        let is_over = Level::of(&pcm).rms_dbm0() < -40.0;
        assert!(n < 15 || is_over, "still heard after {} ms at {ppm} ppm", n * 20);
    }
}

#[test]
fn two_hours_of_a_clock_that_is_fast_do_not_pile_up() {
    two_hours(-200);
}

#[test]
fn two_hours_of_a_clock_that_is_slow_do_not_run_dry() {
    two_hours(200);
}

/// Whoever speaks is told, and no more often than every 200 ms.
#[test]
fn who_speaks_is_told() {
    let streams = [stream(Codec::Pcma), stream(Codec::Pcmu)];
    let (mut world, mut peers) = room(
        RoomSpec {
            gate: true,
            forwards: false,
            ..spec(Rate::Wide, 4)
        },
        &streams,
    );
    talk(&mut world, &mut peers, 30, 1);
    talk(&mut world, &mut peers, 60, 0);
    let told: Vec<(u64, bool)> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Speaking {
                room: ROOM,
                leg,
                speaks,
            } => Some((leg.0, *speaks)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, true), (1, false)]);
}

#[test]
fn a_room_that_is_closed_or_full_or_unknown_leaves_its_members_idle() {
    let streams = [stream(Codec::Pcma); 3];
    let (mut world, mut peers) = room(
        RoomSpec {
            seats: 2,
            ..spec(Rate::Wide, 4)
        },
        &streams,
    );
    talk(&mut world, &mut peers, 30, 3);
    assert_eq!(world.worker.room(ROOM).unwrap().members().len(), 2);
    assert_eq!(world.take(&peers[2]).len(), 0);
    // The seat of one who has gone is free.
    world.command(Command::Close(peers[0].leg));
    world.function(peers[2].leg, Function::Room(ROOM));
    peers.remove(0);
    talk(&mut world, &mut peers, 30, 2);
    let pcm = listen(Codec::Pcma, &world.take(&peers[1]));
    assert!((level(&pcm, tone(2)) + 10.0).abs() < 1.0);
    world.command(Command::CloseRoom(ROOM));
    assert!(world.worker.room(ROOM).is_none());
    peers.iter().for_each(|peer| drop(world.take(peer)));
    talk(&mut world, &mut peers, 10, 2);
    assert_eq!(world.take(&peers[0]).len() + world.take(&peers[1]).len(), 0);
    // Everything came back to the control side: the room, and what its members had.
    let rooms = world
        .others
        .iter()
        .filter(|output| matches!(output, Output::RetiredRoom(_)))
        .count();
    assert_eq!(rooms, 1);
    let again = world.preparer.prepare(HERE, Command::CloseRoom(ROOM), 1);
    assert!(again.is_err());
}

/// Twice as many packets as there is time, timestamps that jump, packets that are too long, and garbage: nobody hears a burst, and the room goes on.
#[test]
fn nothing_that_a_member_sends_is_heard_as_a_burst() {
    let streams = [stream(Codec::Pcma), stream(Codec::Pcmu), stream(Codec::G722)];
    let (mut world, mut peers) = room(spec(Rate::Wide, 4), &streams);
    talk(&mut world, &mut peers, 30, 1);
    drop(world.take(&peers[1]));
    for n in 0..400u32 {
        for _ in 0..2 {
            let mut packet = peers[0].speak();
            match n / 100 {
                1 => packet[4..8].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes()),
                2 => packet.resize(1_400, 0xd5),
                3 => packet.truncate(12 + n as usize % 3),
                _ => {}
            }
            world.deliver(&peers[0], &packet);
        }
        for peer in &mut peers[1..] {
            let packet = peer.say(&[0; 160]);
            world.deliver(peer, &packet);
        }
        world.tick();
    }
    let heard = world.take(&peers[1]);
    assert_eq!(heard.len(), 400);
    let pcm = listen(Codec::Pcmu, &heard);
    let loudest = pcm
        .chunks_exact(160)
        .map(|part| Level::of(part).rms_dbm0())
        .fold(f32::MIN, f32::max);
    assert!(loudest < -8.0, "{loudest}");
    // And is heard again, by everybody and in time, when it behaves.
    talk(&mut world, &mut peers, 30, 1);
    drop(world.take(&peers[2]));
    talk(&mut world, &mut peers, 30, 1);
    let pcm = listen(Codec::G722, &world.take(&peers[2]));
    assert!((level(&pcm, tone(1)) + 10.0).abs() < 1.5);
    for _ in 0..25 {
        for peer in &mut peers {
            let packet = peer.say(&[0; 160]);
            world.deliver(peer, &packet);
        }
        world.tick();
    }
    let pcm = listen(Codec::Pcmu, &world.take(&peers[1]));
    let tail = Level::of(&pcm[pcm.len() - 800..]).rms_dbm0();
    assert!(tail < -40.0, "half a second later it is still heard: {tail}");
}

/// The memory of a member in G.711 is bounded, whatever the room's rate: all that its leg has while it sits in a room.
#[test]
fn a_member_is_small() {
    let sizes = [
        size_of::<Leg>(),
        size_of::<crate::media::decode::Decode>() + 2 * 960 + 160 * limits::JITTER_BLOCKS_PLAYED,
        size_of::<crate::media::encode::Encode>() + 2 * 160,
        size_of::<room::Member>() + 2 * 160 + 2 * 8 * 160,
    ];
    let sum: usize = sizes.iter().sum();
    assert!(sum < 20 * 1_024, "{sum}: {sizes:?}");
}

#[path = "tests_silence.rs"]
mod tests_silence;

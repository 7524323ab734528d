//! Gain, comfort noise, DTX, and an encoder that follows what is reported.

use super::sim::*;
use crate::media::command::{Gains, OpusParams, Stream};
use codecs::Codec;
use codecs::gain::Gain;
use codecs::level::Level;
use codecs::speech::synthesise;

const NOISE: u8 = 13;

fn louder(codec: Codec, from_peer: i8, to_peer: i8) -> Stream {
    Stream {
        gain: Gains {
            from_peer: Gain::new(from_peer),
            to_peer: Gain::new(to_peer),
        },
        ..stream(codec)
    }
}

fn quiet(codec: Codec) -> Stream {
    Stream {
        comfort_noise: true,
        ..stream(codec)
    }
}

/// Both speak at -10 dBm0: what each hears of the other.
#[test]
fn gain_is_heard_on_each_way_but_between_opus_and_opus() {
    use Codec::{G722, Opus, Pcma, Pcmu};
    for (first, second, gained) in [
        (Pcma, Pcma, true),
        (Pcma, Pcmu, true),
        (Pcmu, Pcma, true),
        (G722, G722, true),
        (Pcma, Opus, true),
        (Opus, Opus, false),
    ] {
        let mut world = World::new();
        let mut a = world.peer(1, louder(first, 4, -6), 700.0);
        let mut b = world.peer(2, louder(second, 0, 2), 1_500.0);
        world.bridge(&a, &b);
        world.steps(60, &mut [&mut a, &mut b]);
        let to_b = level(&listen(second, &world.take(&b)), 700.0);
        let to_a = level(&listen(first, &world.take(&a)), 1_500.0);
        let (up, down) = if gained { (6.0, -6.0) } else { (0.0, 0.0) };
        let near = |level: f32, gain: f32| (level - (-10.0 + gain)).abs() < 1.2;
        assert!(
            near(to_b, up) && near(to_a, down),
            "{first:?} {second:?}: {to_b} {to_a}"
        );
    }
}

#[test]
fn comfort_noise_is_passed_on_to_who_makes_it_and_made_for_others() {
    for (second, makes) in [
        (quiet(Codec::Pcma), true),
        (quiet(Codec::Pcmu), true),
        (stream(Codec::Pcma), false),
    ] {
        let mut world = World::new();
        let first = Stream {
            comfort_noise: true,
            ..louder(Codec::Pcma, 6, 0)
        };
        let (mut a, b) = (world.peer(1, first, 700.0), world.peer(2, second, 700.0));
        world.bridge(&a, &b);
        world.steps(3, &mut [&mut a]);
        // The marker begins a talkspurt, and this is none.
        let noise = a.packet(true, NOISE, a.timestamp, &[66, 1]);
        world.deliver(&a, &noise);
        for _ in 0..10 {
            a.timestamp += 160;
            world.tick();
        }
        world.steps(3, &mut [&mut a]);
        let heard = world.take(&b);
        let told: Vec<_> = heard.iter().filter(|packet| packet.payload_type == NOISE).collect();
        assert_eq!(told.len(), usize::from(makes));
        // Whoever makes no noise himself hears all of the pause.
        assert_eq!(heard.len(), if makes { 7 } else { 16 });
        assert!(told.iter().all(|packet| packet.payload == [60, 1] && !packet.marker));
        assert!(
            heard
                .windows(2)
                .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        );
        let last = heard.last().unwrap().timestamp.wrapping_sub(heard[0].timestamp);
        assert_eq!(last, 15 * 160);
    }
}

/// Whoever hears the audio made anew hears the pause as well: a packet every 20 ms, and noise as loud as was said.
#[test]
fn a_pause_is_no_gap_for_who_hears_it_made_anew() {
    for (first, second) in [
        (stream(Codec::Pcma), stream(Codec::Opus)),
        (stream(Codec::Opus), stream(Codec::Pcmu)),
    ] {
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, first, 700.0), world.peer(2, second, 700.0));
        world.bridge(&a, &b);
        world.steps(10, &mut [&mut a]);
        let ticks = first.codec.clock() / 50;
        for round in 0..3 {
            let begins = match first.codec {
                Codec::Opus => {
                    let packet = a.packet(false, 111, a.timestamp, &[0x08]);
                    a.timestamp = a.timestamp.wrapping_add(ticks);
                    packet
                }
                Codec::Pcmu | Codec::Pcma | Codec::G722 => a.packet(false, NOISE, a.timestamp, &[40]),
            };
            world.deliver(&a, &begins);
            for _ in 0..25 {
                world.tick();
                a.timestamp = a.timestamp.wrapping_add(ticks);
            }
            if first.codec == Codec::Opus {
                // The packet that began it was 20 ms of it.
                a.timestamp = a.timestamp.wrapping_sub(ticks);
            }
            world.steps(10, &mut [&mut a]);
            let heard = world.take(&b);
            let step = second.codec.clock() / 50;
            let steps = heard
                .windows(2)
                .map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
            let odd: Vec<_> = steps.filter(|ticks| *ticks != step).collect();
            assert_eq!(odd, [0; 0], "{first:?}, round {round}");
            assert!(heard.len() >= 34, "{first:?}, round {round}: {}", heard.len());
            if second.codec == Codec::Opus && round == 0 {
                let pcm = listen(second.codec, &heard);
                let level = Level::of(&pcm[16 * 160..30 * 160]).rms_dbov();
                assert!((level + 40.0).abs() < 4.0, "{level}");
            }
        }
    }
}

/// Keys that are pressed in a pause, and heard as tones: they are no longer for it, and the pause goes on behind them by the clock.
#[test]
fn a_key_in_a_pause_shifts_nothing() {
    let mut world = World::new();
    let deaf = Stream {
        events_tx: None,
        events_rx: None,
        ..stream(Codec::Pcma)
    };
    let (mut a, b) = (world.peer(1, stream(Codec::Opus), 700.0), world.peer(2, deaf, 700.0));
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a]);
    let rests = a.packet(false, 111, a.timestamp, &[0x08]);
    world.deliver(&a, &rests);
    let start = world.now;
    let from = a.timestamp;
    for digit in 0..3u64 {
        for _ in 0..20 {
            world.tick();
        }
        a.timestamp = from + ((digit + 1) * 400 + digit * 100) as u32 * 48;
        for ms in [20, 40, 60, 80, 100] {
            let packet = a.press(5, ms, ms == 100);
            world.deliver(&a, &packet);
            world.tick();
        }
        a.pressed(100);
    }
    world.ticks(20);
    a.timestamp = from + (world.now.since(start).as_millis() as u32) * 48;
    world.steps(5, &mut [&mut a]);
    let heard = world.take(&b);
    let gone = heard.last().unwrap().timestamp.wrapping_sub(heard[0].timestamp) / 8;
    let by_clock = 200 + world.now.since(start).as_millis() as u32 - 20;
    assert!(gone.abs_diff(by_clock) <= 40, "{gone} ms, by the clock {by_clock}");
    let tones = listen(Codec::Pcma, &heard);
    assert!(level(&tones, 770.0) > -30.0);
}

/// To who makes the noise himself it is told at the beginning and twice a second, and what comes then is at its place by the clock.
#[test]
fn a_pause_of_opus_is_told_as_comfort_noise() {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, stream(Codec::Opus), 700.0),
        world.peer(2, quiet(Codec::Pcma), 700.0),
    );
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a]);
    let rests = a.packet(false, 111, a.timestamp, &[0x08]);
    world.deliver(&a, &rests);
    for _ in 0..60 {
        world.tick();
        a.timestamp += 960;
    }
    world.steps(5, &mut [&mut a]);
    let heard = world.take(&b);
    let told: Vec<_> = heard.iter().filter(|packet| packet.payload_type == NOISE).collect();
    assert_eq!(told.len(), 3);
    assert!(
        told.iter()
            .all(|packet| packet.payload.len() == 1 && packet.payload[0] >= 30)
    );
    let twice = told[1].timestamp.wrapping_sub(told[0].timestamp);
    assert_eq!(twice, 4_000);
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
    );
    let spoken: Vec<_> = heard.iter().filter(|packet| packet.payload_type != NOISE).collect();
    let last = spoken.last().unwrap();
    assert_eq!(last.timestamp.wrapping_sub(spoken[0].timestamp), (10 + 60 + 4) * 160);
}

/// With DTX agreed nothing is sent while nothing is said, but what tells of it.
#[test]
fn opus_ceases_to_send_where_that_was_agreed() {
    let resting = Stream {
        opus: OpusParams {
            dtx: true,
            ..stream(Codec::Opus).opus
        },
        ..stream(Codec::Opus)
    };
    for (second, least, most) in [(resting, 4, 30), (stream(Codec::Opus), 100, 100)] {
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, stream(Codec::Pcma), 700.0), world.peer(2, second, 700.0));
        world.bridge(&a, &b);
        for frame in synthesise(50 * 160, -20.0, 8_000).chunks_exact(160) {
            let packet = a.say(frame);
            world.deliver(&a, &packet);
            world.tick();
        }
        world.take(&b);
        for _ in 0..100 {
            let packet = a.say(&[0; 160]);
            world.deliver(&a, &packet);
            world.tick();
        }
        let heard = world.take(&b);
        assert!((least..=most).contains(&heard.len()), "{}", heard.len());
        let told = heard.iter().filter(|packet| packet.payload.len() <= 2).count();
        assert_eq!(told > 0, second.opus.dtx, "{told}");
    }
}

/// RFC 3550 6.4.2, of the peer about what it hears of us.
fn report(about: u32, from: u32, fraction_lost: u8) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend(from.to_be_bytes());
    packet.extend(about.to_be_bytes());
    packet.extend([fraction_lost, 0, 0, 1]);
    packet.extend([0; 16]);
    packet
}

#[test]
fn an_encoder_follows_what_the_peer_reports_and_what_the_processor_has_left() {
    let plain = Stream {
        opus: OpusParams {
            fec: false,
            complexity: 5,
            ..OpusParams::default()
        },
        ..stream(Codec::Opus)
    };
    let mut world = World::new();
    let (mut a, b) = (world.peer(1, stream(Codec::Pcma), 700.0), world.peer(2, plain, 700.0));
    world.bridge(&a, &b);
    let speech = synthesise(100 * 160, -20.0, 8_000);
    let mut octets = |world: &mut World| {
        for frame in speech.chunks_exact(160) {
            let packet = a.say(frame);
            world.deliver(&a, &packet);
            world.tick();
        }
        let heard = world.take(&b);
        heard.iter().map(|packet| packet.payload.len()).sum::<usize>()
    };
    octets(&mut world);
    let before = octets(&mut world);
    let reports = std::net::SocketAddr::new(b.address.ip(), b.address.port() + 1);
    world.receive(b.leg, super::Channel::Rtcp, reports, &report(ours(2), b.ssrc, 128));
    octets(&mut world);
    let after = octets(&mut world);
    assert!(after < before / 4 * 3, "{before} octets of two seconds, then {after}");
    let effort = |world: &World| {
        let at = world.worker.place(b.leg).unwrap();
        world.worker.legs[at.index()]
            .as_ref()
            .unwrap()
            .tx
            .encode
            .as_ref()
            .unwrap()
            .complexity()
    };
    assert_eq!(effort(&world), Some(5));
    world.worker.limit_effort(2);
    assert_eq!(effort(&world), Some(2));
    // One that is made later has no more.
    let c = world.peer(3, plain, 700.0);
    let d = world.peer(4, stream(Codec::Pcmu), 700.0);
    world.bridge(&c, &d);
    let at = world.worker.place(c.leg).unwrap();
    let encode = world.worker.legs[at.index()]
        .as_ref()
        .unwrap()
        .tx
        .encode
        .as_ref()
        .unwrap();
    assert_eq!(encode.complexity(), Some(2));
}

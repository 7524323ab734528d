//! Music on hold and announcements: what the peer hears, in each codec, again and again or once.

use super::sim::*;
use crate::media::command::{Command, Music, Sound, Stream};
use codecs::tone::Sine;
use codecs::{Codec, Rate};
use std::sync::Arc;

/// A tone of so many milliseconds.
fn sound(hz: f32, ms: usize) -> Arc<Sound> {
    let mut pcm = vec![0; ms * 16];
    Sine::new(hz, -10.0, 16_000).fill(&mut pcm);
    Arc::new(Sound::new(pcm).unwrap())
}

fn music(sounds: &[(f32, usize)]) -> Music {
    Music::new(sounds.iter().map(|(hz, ms)| sound(*hz, *ms)).collect())
}

fn play(world: &mut World, peer: &Peer, music: &Music, repeats: bool) {
    world.command(Command::Play {
        leg: peer.leg,
        music: music.clone(),
        repeats,
    });
}

fn played(world: &World) -> usize {
    let is_end = |event: &&Event| matches!(event, Event::Played(_));
    world.events.iter().filter(is_end).count()
}

#[test]
fn each_codec_carries_the_music_in_its_own_band() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        for ptime_ms in [20, 40, 60] {
            let mut world = World::new();
            let stream = Stream {
                ptime_ms,
                ..stream(codec)
            };
            let mut a = world.peer(1, stream, 440.0);
            // 6 kHz is there only where the band is wide.
            play(&mut world, &a, &music(&[(1_000.0, 2_000), (6_000.0, 1_000)]), true);
            world.ticks(150);
            let heard = world.take(&a);
            let each = usize::from(ptime_ms) / 20;
            assert_eq!(heard.len(), 150 / each, "{codec:?} {ptime_ms}");
            assert_run(
                &heard,
                ours(1),
                stream.payload_type_tx,
                codec.clock() / 50 * each as u32,
                &[0],
            );
            let rate = codec.rate();
            let pcm = listen_at(rate, codec, &heard);
            let second = rate.hz() as usize;
            let level = level_at(rate, &pcm[..2 * second], 1_000.0);
            assert!((level + 10.0).abs() < 1.5, "{codec:?}: {level}");
            if rate >= Rate::Wide {
                let level = level_at(rate, &pcm[2 * second..], 6_000.0);
                assert!((level + 10.0).abs() < 3.0, "{codec:?}: {level} at 6 kHz");
            }
            // What the peer says meanwhile goes nowhere.
            world.steps(5, &mut [&mut a]);
            assert_eq!(world.stats(&a).received, 5);
        }
    }
}

/// The loop is as long as its sounds, to the sample, and nothing jumps where it begins anew.
#[test]
fn a_loop_goes_on_without_a_click() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    // 1,090 ms: no multiple of a packet, nor of the tones' periods.
    let music = music(&[(310.0, 530), (470.0, 560)]);
    play(&mut world, &a, &music, true);
    world.ticks(500);
    let pcm = listen(Codec::Pcma, &world.take(&a));
    let period = 1_090 * 8;
    let whole: Vec<i16> = (0..2)
        .flat_map(|at| music.sound(at).unwrap().samples(Rate::Narrow).to_vec())
        .collect();
    assert_eq!(whole.len(), period);
    for (n, (heard, said)) in pcm.iter().zip(whole.iter().cycle()).enumerate() {
        assert!(
            heard.abs_diff(*said) <= 16 + said.unsigned_abs() / 16,
            "sample {n}: {heard} for {said}"
        );
    }
    let jump = pcm.windows(2).map(|two| two[0].abs_diff(two[1])).max().unwrap();
    // The steepest that a sine of this level is: 7,213 * 2 pi * 470 / 8,000, and a step of the codec.
    assert!(jump < 2_663 + 512, "{jump}");
    assert_eq!(played(&world), 0);
}

#[test]
fn what_is_played_once_is_told_and_then_there_is_silence() {
    for ptime_ms in [20, 60] {
        let mut world = World::new();
        let stream = Stream {
            ptime_ms,
            ..stream(Codec::Pcmu)
        };
        let a = world.peer(1, stream, 440.0);
        play(&mut world, &a, &music(&[(1_000.0, 130)]), false);
        world.ticks(9);
        assert_eq!(played(&world), 0, "the end fills a packet first");
        world.ticks(1);
        assert_eq!(world.events.last(), Some(&Event::Played(a.leg)));
        let pcm = listen(Codec::Pcmu, &world.take(&a));
        assert!(pcm.len() >= 130 * 8, "all of it was sent: {} samples", pcm.len());
        assert!(codecs::goertzel::level_dbm0(&pcm[240..800], 1_000.0, 8_000) > -11.0);
        world.ticks(50);
        assert_eq!((world.take(&a).len(), played(&world)), (0, 1));
        // Again, from its beginning.
        play(&mut world, &a, &music(&[(1_000.0, 130)]), false);
        world.ticks(10);
        assert_eq!(played(&world), 2);
    }
}

#[test]
fn the_music_gives_way_to_the_bridge_and_comes_back() {
    let mut world = World::new();
    let (mut a, mut b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Opus), 700.0),
    );
    world.bridge(&a, &b);
    world.steps(50, &mut [&mut a, &mut b]);
    world.take(&b);
    let music = music(&[(1_500.0, 1_000)]);
    // Alice holds: her leg does nothing, his plays.
    world.function(a.leg, Function::Idle);
    play(&mut world, &b, &music, true);
    world.steps(50, &mut [&mut a, &mut b]);
    let held = listen(Codec::Opus, &world.take(&b));
    assert!(level(&held, 1_500.0) > -12.0 && level(&held, 440.0) < -50.0);
    world.take(&a);
    world.bridge(&a, &b);
    world.steps(50, &mut [&mut a, &mut b]);
    let (first, second) = (world.take(&a), world.take(&b));
    let (first, second) = (listen(Codec::Pcma, &first), listen(Codec::Opus, &second));
    assert!(level(&first, 700.0) > -12.0 && level(&second, 440.0) > -12.0);
    assert!(level(&second, 1_500.0) < -45.0);
    // The music came back to the control side, where it is dropped.
    let handed_back = |output: &Output| matches!(output, Output::Retired(_));
    assert!(world.others.iter().any(handed_back));
}

/// A re-INVITE of the held side: another codec, and the music goes on where it was.
#[test]
fn a_new_codec_takes_the_music_over() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    play(&mut world, &a, &music(&[(600.0, 1_000), (1_200.0, 1_000)]), true);
    world.ticks(25);
    world.take(&a);
    world.negotiate(&a, stream(Codec::G722));
    world.ticks(25);
    let pcm = listen_at(Rate::Wide, Codec::G722, &world.take(&a));
    assert!(level_at(Rate::Wide, &pcm, 600.0) > -12.0);
    world.ticks(50);
    let pcm = listen_at(Rate::Wide, Codec::G722, &world.take(&a));
    assert!(level_at(Rate::Wide, &pcm, 1_200.0) > -12.0 && level_at(Rate::Wide, &pcm, 600.0) < -40.0);
}

/// A leg on hold itself (it takes nothing) is sent nothing, and the end of its music is nobody's.
#[test]
fn who_wants_to_hear_nothing_is_sent_nothing() {
    let mut world = World::new();
    let stream = Stream {
        sends: false,
        ..stream(Codec::Pcma)
    };
    let a = world.peer(1, stream, 440.0);
    play(&mut world, &a, &music(&[(600.0, 100)]), false);
    world.ticks(100);
    assert_eq!((world.take(&a).len(), played(&world)), (0, 0));
}

/// The sounds are dropped where they were made: with the last box that comes back.
#[test]
fn the_worker_drops_no_sound() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    let sound = sound(600.0, 100);
    let weak = Arc::downgrade(&sound);
    let music = Music::new(vec![sound]);
    play(&mut world, &a, &music, true);
    drop(music);
    world.ticks(5);
    let retired = |world: &World| world.others.iter().filter(|o| matches!(o, Output::Retired(_))).count();
    let before = retired(&world);
    world.function(a.leg, Function::Idle);
    assert_eq!(retired(&world), before + 1);
    assert!(weak.upgrade().is_some(), "it is in what came back");
    world.others.clear();
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_leg_that_is_closed_takes_its_music_with_it() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    let sound = sound(600.0, 100);
    let weak = Arc::downgrade(&sound);
    play(&mut world, &a, &Music::new(vec![sound]), true);
    world.ticks(2);
    world.command(Command::Close(a.leg));
    assert!(weak.upgrade().is_none(), "the simulation drops a closed leg at once");
    assert!(matches!(world.events.last(), Some(Event::Closed(..))));
}

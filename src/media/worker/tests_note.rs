//! A name that a peer says: noted in each codec, once, and given back as a sound.

use super::sim::*;
use crate::limits::ROOM_NAME;
use crate::media::command::{Command, Music, Stream};
use codecs::{Codec, Rate};
use std::time::Duration;

const TICKS: usize = ROOM_NAME.as_millis() as usize / 20;

/// What was noted, each time.
fn noted(world: &World) -> Vec<Option<Music>> {
    let noted = |event: &Event| match event {
        Event::Noted(_, name) => Some(name.clone()),
        _ => None,
    };
    world.events.iter().filter_map(noted).collect()
}

fn note(world: &mut World, peer: &Peer) {
    world.function(peer.leg, Function::Note);
}

/// The level of a tone in a sound, without its ends.
fn level_of(music: &Music, hz: f32) -> f32 {
    let pcm = music.sound(0).unwrap().samples(Rate::Wide);
    level_at(Rate::Wide, &pcm[..pcm.len() - 4_800], hz)
}

#[test]
fn what_is_said_is_noted_in_each_codec_until_it_is_long_enough() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let mut a = world.peer(1, stream(codec), 440.0);
        // What was said before is no part of it.
        world.steps(20, &mut [&mut a]);
        note(&mut world, &a);
        world.steps(TICKS - 2, &mut [&mut a]);
        assert_eq!(noted(&world), [], "{codec:?}");
        world.steps(10, &mut [&mut a]);
        let names = noted(&world);
        let [Some(name)] = &names[..] else {
            panic!("{codec:?}: {names:?}")
        };
        let length = name.duration();
        assert!(
            length <= ROOM_NAME && length > ROOM_NAME - Duration::from_millis(100),
            "{codec:?}: {length:?}"
        );
        // -26 dBov, as all sounds are.
        let level = level_of(name, 440.0);
        assert!((level + 20.0).abs() < 1.0, "{codec:?}: {level}");
        assert_eq!(world.take(&a).len(), 0, "he hears nothing meanwhile");
        // It is told once, whatever he says, and then does.
        world.steps(TICKS, &mut [&mut a]);
        world.function(a.leg, Function::Echo);
        world.steps(5, &mut [&mut a]);
        assert_eq!(noted(&world).len(), 1);
        // And may begin anew.
        note(&mut world, &a);
        world.steps(TICKS + 10, &mut [&mut a]);
        assert_eq!(noted(&world).len(), 2);
    }
}

#[test]
fn what_comes_next_ends_it() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    note(&mut world, &a);
    world.steps(50, &mut [&mut a]);
    assert_eq!(noted(&world), []);
    world.function(a.leg, Function::Idle);
    let names = noted(&world);
    let length = names[0].as_ref().unwrap().duration();
    assert!(
        length.abs_diff(Duration::from_secs(1)) < Duration::from_millis(60),
        "{length:?}"
    );
    // One who hangs up has no name.
    note(&mut world, &a);
    world.steps(50, &mut [&mut a]);
    world.command(Command::Close(a.leg));
    assert_eq!(noted(&world).len(), 1);
}

#[test]
fn who_says_nothing_has_no_name() {
    for sends in [true, false] {
        let mut world = World::new();
        let mut a = world.peer(1, stream(Codec::Pcmu), 440.0);
        note(&mut world, &a);
        for _ in 0..TICKS + 10 {
            let packet = a.say(&[0; 160]);
            if sends {
                world.deliver(&a, &packet);
            }
            world.tick();
        }
        world.function(a.leg, Function::Idle);
        assert_eq!(noted(&world), [None], "{sends}");
    }
}

/// A key is heard as such, and its tone is not in the name; neither are gaps shorter than they were.
#[test]
fn keys_and_losses_are_silence_in_it() {
    let tones = Stream {
        events_rx: None,
        ..stream(Codec::Pcma)
    };
    let mut world = World::new();
    let mut a = world.peer(1, tones, 440.0);
    note(&mut world, &a);
    world.steps(50, &mut [&mut a]);
    let (mut low, mut high) = (
        codecs::tone::Sine::new(941.0, -10.0, 8_000),
        codecs::tone::Sine::new(1_477.0, -10.0, 8_000),
    );
    for _ in 0..10 {
        let mut pcm = [0; 160];
        let mut other = [0; 160];
        low.fill(&mut pcm);
        high.fill(&mut other);
        pcm.iter_mut().zip(other).for_each(|(sample, other)| *sample += other);
        let packet = a.say(&pcm);
        world.deliver(&a, &packet);
        world.tick();
    }
    world.steps(10, &mut [&mut a]);
    assert_eq!(world.digits(&a).first().map(|(digit, _)| *digit), Some('#'));
    // Every tenth is lost.
    for n in 0..50 {
        let packet = a.speak();
        if n % 10 != 5 {
            world.deliver(&a, &packet);
        }
        world.tick();
    }
    world.function(a.leg, Function::Idle);
    let names = noted(&world);
    let name = names[0].as_ref().unwrap();
    let length = name.duration();
    assert!(
        length.abs_diff(Duration::from_millis(2_400)) < Duration::from_millis(120),
        "{length:?}"
    );
    for hz in [941.0, 1_477.0] {
        let level = level_of(name, hz);
        assert!(level < -38.0, "{hz} Hz is at {level}");
    }
}

/// Another codec in the midst of it: what was said before is the name.
#[test]
fn a_new_codec_ends_it() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    note(&mut world, &a);
    world.steps(50, &mut [&mut a]);
    world.negotiate(&a, stream(Codec::G722));
    let mut again = Peer::speaking(1, stream(Codec::G722), 700.0);
    // Its stream goes on.
    (0..50).for_each(|_| drop(again.speak()));
    world.steps(20, &mut [&mut again]);
    let names = noted(&world);
    let [Some(name)] = &names[..] else { panic!("{names:?}") };
    let length = name.duration();
    assert!(
        length.abs_diff(Duration::from_secs(1)) < Duration::from_millis(60),
        "{length:?}"
    );
    assert!(level_of(name, 440.0) > -21.0 && level_of(name, 700.0) < -40.0);
}

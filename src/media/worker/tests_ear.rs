//! Keys in the audio of a leg without telephone events: told like others, events for who takes them, and cut from what is heard there.

use super::sim::*;
use crate::media::command::{Command, Dtmf, Stream};
use codecs::tone::Cadence;
use codecs::{Codec, Rate};

const MS: usize = 8;
const KEYS: &str = "0123456789*#ABCD";

/// What was agreed with a peer without telephone events.
fn bare(codec: Codec) -> Stream {
    Stream {
        events_tx: None,
        events_rx: None,
        ..stream(codec)
    }
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * MS]
}

/// A key of the keypad as a phone plays it.
fn key(key: char, ms: usize) -> Vec<i16> {
    let code = crate::media::dtmf::code(key).unwrap();
    let mut pcm = silence(ms);
    Cadence::new(crate::media::dtmf::frequencies(code), -10.0, 1, 0, 8_000).fill(&mut pcm);
    pcm
}

/// A peer says this, packet by packet; at last what is left is filled up with silence.
fn say(world: &mut World, peer: &mut Peer, pcm: &[i16]) {
    for part in pcm.chunks(peer.samples) {
        let mut frame = part.to_vec();
        frame.resize(peer.samples, 0);
        let packet = peer.say(&frame);
        world.deliver(peer, &packet);
        world.tick();
    }
}

fn audio(heard: &[Heard]) -> Vec<Heard> {
    heard
        .iter()
        .filter(|packet| packet.payload_type != EVENTS)
        .cloned()
        .collect()
}

/// Milliseconds in which there is something to be heard.
fn audible_ms(pcm: &[i16]) -> usize {
    pcm.iter().filter(|sample| sample.unsigned_abs() > 600).count() / MS
}

fn assert_in_sequence(heard: &[Heard]) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
}

#[test]
fn a_key_in_the_audio_is_one_press_for_who_takes_events() {
    for (from, to) in [
        (Codec::Pcmu, Codec::Opus),
        (Codec::Pcmu, Codec::Pcma),
        (Codec::Pcma, Codec::Pcma),
        (Codec::G722, Codec::G722),
        (Codec::G722, Codec::Pcmu),
        (Codec::G722, Codec::Opus),
    ] {
        // Wherever in a packet it begins.
        for shift in [0, 3, 7, 11, 16, 19] {
            let mut world = World::new();
            let (mut a, b) = (world.peer(1, bare(from), 440.0), world.peer(2, stream(to), 1_000.0));
            world.bridge(&a, &b);
            let before = silence(200 + shift);
            say(
                &mut world,
                &mut a,
                &[before.clone(), key('5', 100), silence(301 - shift)].concat(),
            );
            let what = format!("{from:?} to {to:?}, {shift} ms later");
            let told = world.digits(&a);
            assert!(matches!(told[..], [('5', 90..=112)]), "{what}: {told:?}");
            assert_eq!(world.stats(&a).digits, 1);
            let heard = world.take(&b);
            assert_in_sequence(&heard);
            let events = event_packets(&heard);
            let first = events[0];
            assert!(events.iter().all(|event| event.0 == first.0 && event.2 == 5), "{what}");
            let markers: Vec<usize> = (0..events.len()).filter(|n| events[*n].1).collect();
            assert_eq!(markers, [0], "{what}: one key");
            let ends: Vec<u16> = events.iter().filter(|event| event.3).map(|event| event.4).collect();
            assert_eq!(ends.len(), 3, "{what}: {events:?}");
            let ms = |ticks: u32| ticks / (to.clock() / 1_000);
            assert!(
                ends.iter()
                    .all(|end| *end == ends[0] && (90..=112).contains(&ms(u32::from(*end))))
            );
            assert!(
                events.windows(2).all(|pair| pair[0].4 <= pair[1].4),
                "{what}: {events:?}"
            );
            // It lies where it was pressed, and what was said after it too.
            let began = ms(first.0.wrapping_sub(heard[0].timestamp)) as usize;
            assert!(began.abs_diff(200 + shift) <= 10, "{what}: it began at {began} ms");
            let audio = audio(&heard);
            let last = audio.last().unwrap().timestamp.wrapping_sub(heard[0].timestamp);
            assert_eq!(ms(last), 600, "{what}");
            let leaked = audible_ms(&listen(to, &audio));
            // What has a memory rings on.
            let most = if from.rate().max(to.rate()) == Rate::Narrow {
                25
            } else {
                40
            };
            assert!(leaked <= most, "{what}: {leaked} ms of the tone were heard");
        }
    }
}

#[test]
fn keys_of_50_milliseconds_are_each_heard_once() {
    for to in [Codec::Pcma, Codec::Opus] {
        let mut world = World::new();
        let (mut a, b) = (
            world.peer(1, bare(Codec::Pcmu), 440.0),
            world.peer(2, stream(to), 1_000.0),
        );
        world.bridge(&a, &b);
        let keys = KEYS.chars().flat_map(|digit| [key(digit, 50), silence(50)]);
        let pcm: Vec<i16> = std::iter::once(silence(109)).chain(keys).flatten().collect();
        say(&mut world, &mut a, &[pcm, silence(100)].concat());
        let told: String = world.digits(&a).iter().map(|(digit, _)| *digit).collect();
        assert_eq!(told, KEYS);
        let heard = world.take(&b);
        assert_in_sequence(&heard);
        let begun: Vec<u8> = event_packets(&heard)
            .iter()
            .filter(|event| event.1)
            .map(|event| event.2)
            .collect();
        assert_eq!(begun, (0..16).collect::<Vec<u8>>());
        let ends = event_packets(&heard).iter().filter(|event| event.3).count();
        assert_eq!(ends, 48);
    }
}

#[test]
fn a_long_key_is_one_and_cut_all_along() {
    for to in [Codec::Pcmu, Codec::Opus] {
        let mut world = World::new();
        let (mut a, b) = (
            world.peer(1, bare(Codec::Pcmu), 440.0),
            world.peer(2, stream(to), 1_000.0),
        );
        world.bridge(&a, &b);
        say(
            &mut world,
            &mut a,
            &[silence(110), key('#', 3_000), silence(210)].concat(),
        );
        let told = world.digits(&a);
        assert!(matches!(told[..], [('#', 2_990..=3_015)]), "{told:?}");
        let heard = world.take(&b);
        let events = event_packets(&heard);
        assert!(events.len() > 145, "with each packet: {}", events.len());
        assert_eq!(events.iter().filter(|event| event.3).count(), 3);
        let (first, last) = (events[0], events[events.len() - 1]);
        let total = last.0.wrapping_sub(first.0) + u32::from(last.4);
        assert!((2_990..=3_015).contains(&(total / (to.clock() / 1_000))), "{total}");
        assert!(audible_ms(&listen(to, &audio(&heard))) <= 32);
    }
}

/// The way is a relay, and stays one.
#[test]
fn who_takes_no_events_hears_the_tones_as_they_came_and_the_key_is_told() {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, bare(Codec::Pcmu), 440.0),
        world.peer(2, bare(Codec::Pcmu), 1_000.0),
    );
    world.bridge(&a, &b);
    say(
        &mut world,
        &mut a,
        &[silence(103), key('9', 100), silence(100)].concat(),
    );
    let told = world.digits(&a);
    assert!(matches!(told[..], [('9', 90..=112)]), "{told:?}");
    let heard = world.take(&b);
    assert_run(&heard, ours(2), 0, 160, &[0]);
    assert!(audible_ms(&listen(Codec::Pcmu, &heard)) > 70);
}

#[test]
fn who_sends_events_or_says_so_is_not_listened_to() {
    let quiet = |dtmf| Stream {
        dtmf,
        ..bare(Codec::Pcmu)
    };
    for from in [
        stream(Codec::Pcmu),
        quiet(Dtmf::Info),
        quiet(Dtmf::Rfc4733),
        bare(Codec::Opus),
    ] {
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, from, 440.0), world.peer(2, stream(Codec::Pcmu), 1_000.0));
        world.bridge(&a, &b);
        say(
            &mut world,
            &mut a,
            &[silence(100), key('9', 200), silence(100)].concat(),
        );
        assert_eq!(world.digits(&a), [], "{from:?}");
        assert!(audible_ms(&listen(Codec::Pcmu, &audio(&world.take(&b)))) > 120);
    }
}

/// `dtmf: info`: signalling brings them, so they are neither tones nor events.
#[test]
fn who_takes_digits_by_info_hears_nothing_of_them() {
    let aside = Stream {
        dtmf: Dtmf::Info,
        ..bare(Codec::Pcmu)
    };
    let mut world = World::new();
    let (mut a, b) = (world.peer(1, bare(Codec::Pcmu), 440.0), world.peer(2, aside, 1_000.0));
    world.bridge(&a, &b);
    say(
        &mut world,
        &mut a,
        &[silence(105), key('1', 200), silence(215)].concat(),
    );
    assert_eq!(world.digits(&a).len(), 1);
    let heard = world.take(&b);
    assert_in_sequence(&heard);
    assert!(event_packets(&heard).is_empty() && audible_ms(&listen(Codec::Pcmu, &heard)) <= 25);
    // Of one who sends events no tones are made, whatever way it is.
    for from in [Codec::Pcmu, Codec::Opus] {
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, stream(from), 440.0), world.peer(2, aside, 1_000.0));
        world.bridge(&a, &b);
        say(&mut world, &mut a, &silence(100));
        for (ms, end) in [(20, false), (40, false), (60, true)] {
            let packet = a.press(5, ms, end);
            world.deliver(&a, &packet);
            world.tick();
        }
        a.pressed(60);
        say(&mut world, &mut a, &silence(100));
        assert_eq!(world.digits(&a), [('5', 60)]);
        let heard = world.take(&b);
        assert!(
            event_packets(&heard).is_empty() && audible_ms(&listen(Codec::Pcmu, &heard)) == 0,
            "{from:?}"
        );
    }
    // Nor where signalling would send digits.
    world.command(Command::SendDigits {
        leg: b.leg,
        digits: "12".into(),
    });
    world.ticks(20);
    assert!(world.take(&b).is_empty());
}

#[test]
fn a_key_outlives_a_lost_packet_and_ends_with_its_stream() {
    for to in [Codec::Pcma, Codec::Opus] {
        let mut world = World::new();
        let (mut a, b) = (
            world.peer(1, bare(Codec::Pcmu), 440.0),
            world.peer(2, stream(to), 1_000.0),
        );
        world.bridge(&a, &b);
        let pcm = [silence(100), key('3', 200), silence(200), key('4', 100)].concat();
        for (n, frame) in pcm.chunks(160).enumerate() {
            let packet = a.say(frame);
            if n != 9 {
                world.deliver(&a, &packet);
            }
            world.tick();
        }
        assert!(
            matches!(world.digits(&a)[..], [('3', 185..=215)]),
            "{:?}",
            world.digits(&a)
        );
        // Nothing comes any more.
        world.ticks(8);
        assert_eq!(world.digits(&a).len(), 1);
        world.ticks(3);
        let told = world.digits(&a);
        assert!(matches!(told[..], [_, ('4', 70..=110)]), "{told:?}");
        world.ticks(50);
        assert_eq!(world.digits(&a).len(), 2);
        let heard = world.take(&b);
        let begun: Vec<u8> = event_packets(&heard)
            .iter()
            .filter(|event| event.1)
            .map(|event| event.2)
            .collect();
        assert_eq!(begun, [3, 4], "{to:?}");
        assert_eq!(event_packets(&heard).iter().filter(|event| event.3).count(), 6);
    }
}

#[test]
fn other_packet_lengths_and_silence_that_is_not_sent() {
    for ptime_ms in [10, 30, 60] {
        let mut world = World::new();
        let from = Stream {
            ptime_ms,
            ..bare(Codec::Pcmu)
        };
        let (mut a, b) = (world.peer(1, from, 440.0), world.peer(2, stream(Codec::Pcmu), 1_000.0));
        world.bridge(&a, &b);
        let pcm = [silence(120), key('7', 50), silence(50), key('8', 50), silence(150)].concat();
        say(&mut world, &mut a, &pcm);
        let told: Vec<char> = world.digits(&a).iter().map(|(digit, _)| *digit).collect();
        assert_eq!(told, ['7', '8'], "packets of {ptime_ms} ms");
        let heard = world.take(&b);
        assert_in_sequence(&heard);
        let begun = event_packets(&heard).iter().filter(|event| event.1).count();
        assert_eq!(begun, 2, "packets of {ptime_ms} ms");
    }
    // A phone that is silent between two keys.
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, bare(Codec::Pcmu), 440.0),
        world.peer(2, stream(Codec::Pcmu), 1_000.0),
    );
    world.bridge(&a, &b);
    for _ in 0..3 {
        say(&mut world, &mut a, &key('6', 80));
        world.ticks(4);
        a.timestamp = a.timestamp.wrapping_add(80 * 8);
    }
    say(&mut world, &mut a, &silence(80));
    let told: Vec<char> = world.digits(&a).iter().map(|(digit, _)| *digit).collect();
    assert_eq!(told, ['6', '6', '6']);
}

#[test]
fn a_key_is_told_whatever_the_leg_does_and_a_phone_hears_it() {
    for function in [Function::Idle, Function::Echo, Function::Phone] {
        let mut world = World::new();
        let mut a = world.peer(1, bare(Codec::Pcma), 440.0);
        world.function(a.leg, function);
        say(&mut world, &mut a, &[silence(60), key('0', 100), silence(80)].concat());
        let told = world.digits(&a);
        assert!(matches!(told[..], [('0', 90..=112)]), "{function:?}: {told:?}");
        if function == Function::Echo {
            assert!(audible_ms(&listen(Codec::Pcma, &world.take(&a))) > 70);
        }
    }
}

/// A carrier's line sends back some of what it is sent.
#[test]
fn the_echo_of_a_tone_that_we_play_is_no_key() {
    let mut world = World::new();
    let (mut a, mut b) = (
        world.peer(1, stream(Codec::Pcmu), 440.0),
        world.peer(2, bare(Codec::Pcmu), 1_000.0),
    );
    world.bridge(&a, &b);
    say(&mut world, &mut a, &silence(100));
    say(&mut world, &mut b, &silence(100));
    let echo = key('5', 100);
    for (n, ms) in [20, 40, 60, 80, 100].into_iter().enumerate() {
        let packet = a.press(5, ms, ms == 100);
        world.deliver(&a, &packet);
        say(&mut world, &mut b, &echo[n * 160..(n + 1) * 160]);
    }
    a.pressed(100);
    say(&mut world, &mut b, &silence(200));
    assert_eq!((world.digits(&a), world.digits(&b)), (vec![('5', 100)], vec![]));
    assert!(event_packets(&world.take(&a)).is_empty());
    // A key of its own is, once that is over.
    say(&mut world, &mut b, &silence(200));
    say(&mut world, &mut b, &[key('6', 100), silence(100)].concat());
    assert_eq!(world.digits(&b).len(), 1);
}

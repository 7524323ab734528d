//! DTMF through a worker: received, relayed, between clocks, as tones, and sent (RFC 4733).

use super::sim::*;
use crate::media::command::{Command, EventFormat, Stream, Tone};
use codecs::Codec;

/// A press of 100 ms in packets of 20 ms, with three ends.
fn press(world: &mut World, peer: &mut Peer, code: u8) {
    for (ms, end) in [
        (20, false),
        (40, false),
        (60, false),
        (80, false),
        (100, true),
        (100, true),
        (100, true),
    ] {
        let packet = peer.press(code, ms, end);
        world.deliver(peer, &packet);
        if ms < 100 {
            world.tick();
        }
    }
    world.tick();
    peer.pressed(100);
}

fn sound(pcm: &[i16], hz: f32) -> f32 {
    codecs::goertzel::level_dbm0(pcm, hz, 8_000)
}

#[test]
fn events_pass_a_relay_with_the_other_sides_type_in_the_same_stream() {
    let mut world = World::new();
    let mut other = stream(Codec::Pcma);
    other.events_tx = Some(EventFormat {
        payload_type: 96,
        clock: 8_000,
    });
    let (mut a, b) = (world.peer(1, stream(Codec::Pcma), 440.0), world.peer(2, other, 1_000.0));
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a]);
    press(&mut world, &mut a, 7);
    world.steps(10, &mut [&mut a]);
    let mut heard = world.take(&b);
    assert_eq!(heard.len(), 27);
    let expected = heard[9].timestamp.wrapping_add(160);
    for (n, packet) in heard.iter_mut().enumerate() {
        assert_eq!(packet.sequence, 65_500u16.wrapping_add(n as u16));
        let is_event = (10..17).contains(&n);
        assert_eq!(packet.payload_type, if is_event { 96 } else { 8 });
        if is_event {
            packet.payload_type = EVENTS;
        }
    }
    let events = event_packets(&heard);
    let durations: Vec<_> = events.iter().map(|e| (e.0 == expected, e.1, e.2, e.3, e.4)).collect();
    let want: Vec<_> = [
        (160, false),
        (320, false),
        (480, false),
        (640, false),
        (800, true),
        (800, true),
        (800, true),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (duration, end))| (true, n == 0, 7, end, duration))
    .collect();
    assert_eq!(durations, want);
    assert_eq!(
        heard[17].timestamp,
        expected.wrapping_add(800),
        "audio goes on after the key"
    );
    assert_eq!(world.digits(&a), [('7', 100)]);
    assert_eq!(world.stats(&a).digits, 1);
}

#[test]
fn events_change_their_clock_with_the_codec() {
    for (from, to, duration) in [
        (Codec::Pcma, Codec::Opus, 4_800),
        (Codec::Opus, Codec::Pcmu, 800),
        (Codec::G722, Codec::Opus, 4_800),
        (Codec::Opus, Codec::G722, 800),
    ] {
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, stream(from), 440.0), world.peer(2, stream(to), 1_000.0));
        world.bridge(&a, &b);
        world.steps(10, &mut [&mut a]);
        press(&mut world, &mut a, 11);
        world.steps(10, &mut [&mut a]);
        let heard = world.take(&b);
        let events = event_packets(&heard);
        let frame = 20 * to.clock() / 1_000;
        let start = heard[9].timestamp.wrapping_add(frame);
        assert_eq!(events.len(), 7);
        assert!(
            events.iter().all(|event| event.0 == start && event.2 == 11),
            "{events:?}"
        );
        assert_eq!(events.iter().filter(|event| event.1).count(), 1);
        assert_eq!(events[6], (start, false, 11, true, duration));
        for pair in heard.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        }
        assert_eq!(
            heard[17].timestamp,
            start.wrapping_add(u32::from(duration)),
            "audio goes on after the key"
        );
        assert_eq!(world.digits(&a), [('#', 100)]);
        let stats = world.stats(&a);
        assert_eq!((stats.concealed, stats.lost), (0, 0));
    }
}

#[test]
fn a_press_too_long_for_48_khz_goes_out_in_segments() {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Opus), 1_000.0),
    );
    world.bridge(&a, &b);
    world.steps(5, &mut [&mut a]);
    for n in 1..=100u32 {
        let packet = a.press(1, n * 20, n == 100);
        world.deliver(&a, &packet);
        world.tick();
    }
    let events = event_packets(&world.take(&b));
    assert_eq!(events.len(), 100);
    let (first, last) = (events[0], events[99]);
    assert_eq!(last.0.wrapping_sub(first.0), 0xffff);
    assert_eq!((last.3, 0xffff + u32::from(last.4)), (true, 2_000 * 48));
    assert_eq!(world.digits(&a), [('1', 2_000)]);
}

#[test]
fn a_lost_end_is_reported_once_and_the_next_press_is_another() {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Opus), 1_000.0),
    );
    world.bridge(&a, &b);
    world.steps(5, &mut [&mut a]);
    for ms in [20, 40, 60] {
        let packet = a.press(3, ms, false);
        world.deliver(&a, &packet);
        world.tick();
    }
    a.pressed(60);
    for _ in 0..3 {
        a.speak();
    }
    world.ticks(20);
    assert_eq!(world.digits(&a), [('3', 60)]);
    world.steps(5, &mut [&mut a]);
    press(&mut world, &mut a, 3);
    world.ticks(20);
    assert_eq!(world.digits(&a), [('3', 60), ('3', 100)]);
}

#[test]
fn who_takes_no_events_hears_the_tones() {
    for (from, to) in [
        (Codec::Pcma, Codec::Pcma),
        (Codec::Opus, Codec::Pcmu),
        (Codec::Pcma, Codec::Opus),
        (Codec::G722, Codec::G722),
        (Codec::G722, Codec::Pcma),
        (Codec::Opus, Codec::G722),
        (Codec::G722, Codec::Opus),
    ] {
        let mut world = World::new();
        let deaf = Stream {
            events_tx: None,
            events_rx: None,
            ..stream(to)
        };
        let (mut a, b) = (world.peer(1, stream(from), 440.0), world.peer(2, deaf, 1_000.0));
        world.bridge(&a, &b);
        world.steps(20, &mut [&mut a]);
        let before = world.take(&b);
        for _ in 0..5 {
            press(&mut world, &mut a, 5);
        }
        let heard = world.take(&b);
        assert_eq!(heard.len(), 25, "{from:?} to {to:?}: each press is 100 ms of audio");
        assert_run(&heard, ours(2), b.payload_type, 20 * to.clock() / 1_000, &[]);
        // A decoder that hears all of it, as the peer's does.
        let pcm = listen(to, &[before.as_slice(), &heard].concat());
        for key in pcm[before.len() * 160..].chunks(800) {
            let dbm0 = |hz| sound(&key[160..], hz);
            assert!(
                dbm0(770.0) > -16.0 && dbm0(1_336.0) > -16.0,
                "{from:?} to {to:?}: {}",
                dbm0(770.0)
            );
            assert!(
                dbm0(697.0) < -24.0 && dbm0(1_209.0) < -24.0,
                "{from:?} to {to:?}: {}",
                dbm0(697.0)
            );
        }
        assert_eq!(world.digits(&a).len(), 5);
        world.steps(20, &mut [&mut a]);
        let after = world.take(&b);
        assert_eq!(after[0].sequence, heard[24].sequence.wrapping_add(1));
        assert_eq!(
            after[0].timestamp,
            heard[24].timestamp.wrapping_add(20 * to.clock() / 1_000)
        );
    }
}

#[test]
fn between_two_opus_legs_a_tone_is_not_made_and_no_hole_is_left() {
    let mut world = World::new();
    let deaf = Stream {
        events_tx: None,
        events_rx: None,
        ..stream(Codec::Opus)
    };
    let (mut a, b) = (world.peer(1, stream(Codec::Opus), 440.0), world.peer(2, deaf, 1_000.0));
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a]);
    press(&mut world, &mut a, 5);
    world.steps(10, &mut [&mut a]);
    let heard = world.take(&b);
    let sequences: Vec<u16> = heard
        .iter()
        .map(|p| p.sequence.wrapping_sub(heard[0].sequence))
        .collect();
    assert_eq!(sequences, (0..20).collect::<Vec<u16>>());
    assert_eq!(world.digits(&a), [('5', 100)]);
}

#[test]
fn digits_are_sent_in_the_stream_of_a_relay() {
    let mut world = World::new();
    let (mut a, mut b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Pcma), 1_000.0),
    );
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a, &mut b]);
    world.command(Command::SendDigits {
        leg: b.leg,
        digits: "1#".into(),
    });
    world.steps(17, &mut [&mut a, &mut b]);
    world.steps(10, &mut [&mut a, &mut b]);
    let heard = world.take(&b);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(
            (pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) >= 0,
            "{pair:?}"
        );
    }
    let events = event_packets(&heard);
    let (one, hash) = events.split_at(7);
    for (press, code) in [(one, 1), (hash, 11)] {
        let want: Vec<_> = [160, 320, 480, 640, 800, 800, 800]
            .into_iter()
            .enumerate()
            .map(|(n, duration)| (press[0].0, n == 0, code, duration == 800, duration))
            .collect();
        assert_eq!(press, want);
    }
    assert_eq!(hash[0].0.wrapping_sub(one[0].0), 160 * 8, "100 ms on, 60 ms off");
    // Nothing else goes out meanwhile, and the relay goes on with a marker where the clock is then.
    let after = heard.iter().rposition(|packet| packet.payload_type == EVENTS).unwrap() + 1;
    assert!(heard[after].marker);
    assert_eq!(world.take(&a).len(), 37, "the other way is not touched");
}

#[test]
fn digits_go_out_as_tones_where_no_events_were_agreed() {
    for codec in [Codec::Pcma, Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let deaf = Stream {
            events_tx: None,
            events_rx: None,
            ..stream(codec)
        };
        let b = world.peer(2, deaf, 1_000.0);
        world.command(Command::SendDigits {
            leg: b.leg,
            digits: "9999999999".into(),
        });
        world.ticks(90);
        let heard = world.take(&b);
        assert_eq!(heard.len(), 80);
        let pcm = listen(codec, &heard);
        // 100 ms of each 160.
        for key in pcm.chunks(1_280) {
            let dbm0 = |hz| sound(&key[160..800], hz);
            assert!(
                dbm0(852.0) > -16.0 && dbm0(1_477.0) > -16.0,
                "{codec:?}: {}",
                dbm0(852.0)
            );
            assert!(
                sound(&key[960..], 852.0) < -30.0,
                "{codec:?}: {}",
                sound(&key[960..], 852.0)
            );
        }
    }
}

#[test]
fn wrong_digits_are_refused_and_do_not_print() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    for digits in ["", "12x", "1234567890123456789012345678901234"] {
        let command = Command::SendDigits {
            leg: a.leg,
            digits: digits.into(),
        };
        let error = world.preparer.prepare(HERE, command, 1).unwrap_err();
        assert_eq!(error.to_string(), "DTMF digits must be 1 to 32 of 0-9, *, #, A-D");
    }
    let command = Command::SendDigits {
        leg: a.leg,
        digits: "4711".into(),
    };
    let printed = format!("{:?}", world.preparer.prepare(HERE, command, 1).unwrap());
    assert!(printed.contains("Digits(4)") && !printed.contains("4711"), "{printed}");
}

#[test]
fn digits_are_heard_whatever_the_leg_does() {
    let tone = Function::Tone(Tone::Sine { hz: 400, level: -10 });
    for function in [Function::Idle, Function::Echo, Function::Phone, tone] {
        let mut world = World::new();
        let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
        world.function(a.leg, function);
        world.steps(3, &mut [&mut a]);
        press(&mut world, &mut a, 0);
        assert_eq!(world.digits(&a), [('0', 100)], "{function:?}");
    }
}

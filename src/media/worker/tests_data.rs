//! Fax machines and modems: heard by their tones, and then carried as they are.

use super::sim::*;
use super::*;
use crate::media::command::{Command, DataTone, Gains, Stream};
use codecs::Codec;
use codecs::gain::Gain;
use codecs::tone::{Cadence, Sine};

fn sine(hz: f32, ms: usize) -> Vec<i16> {
    let mut pcm = vec![0; ms * 8];
    Sine::new(hz, -12.0, 8_000).fill(&mut pcm);
    pcm
}

fn say(world: &mut World, peer: &mut Peer, pcm: &[i16]) {
    for frame in pcm.chunks_exact(peer.samples) {
        let packet = peer.say(frame);
        world.deliver(peer, &packet);
        world.tick();
    }
}

fn machines(world: &World) -> Vec<(MediaLegId, DataTone)> {
    let of = |event: &Event| match event {
        Event::DataTone { leg, tone } => Some((*leg, *tone)),
        _other => None,
    };
    world.events.iter().filter_map(of).collect()
}

#[test]
fn a_machine_that_answers_is_told_once_and_both_legs_know() {
    let thirty = Stream {
        ptime_ms: 30,
        ..stream(Codec::Pcma)
    };
    for other in [stream(Codec::Pcmu), stream(Codec::Pcma), thirty] {
        let mut world = World::new();
        let (mut a, mut b) = (world.peer(1, stream(Codec::Pcmu), 440.0), world.peer(2, other, 440.0));
        world.bridge(&a, &b);
        say(&mut world, &mut a, &sine(440.0, 1_000));
        say(&mut world, &mut b, &sine(2_100.0, 300));
        assert_eq!(machines(&world), []);
        assert!(!world.stats(&a).data);
        say(&mut world, &mut b, &sine(440.0, 300));
        say(&mut world, &mut b, &sine(2_100.0, 3_000));
        assert_eq!(machines(&world), [(b.leg, DataTone::Answering)]);
        assert!(world.stats(&a).data && world.stats(&b).data);
        // The other side's own tone is told too.
        let mut calling = vec![0; 8 * 8_000];
        Cadence::new([1_100.0, 0.0], -20.0, 500, 3_000, 8_000).fill(&mut calling);
        say(&mut world, &mut a, &calling);
        assert_eq!(
            machines(&world),
            [(b.leg, DataTone::Answering), (a.leg, DataTone::Calling)]
        );
    }
}

#[test]
fn other_codecs_carry_no_such_machines() {
    for (from, to) in [
        (Codec::Pcmu, Codec::Opus),
        (Codec::Pcmu, Codec::G722),
        (Codec::G722, Codec::Pcmu),
    ] {
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, stream(from), 440.0), world.peer(2, stream(to), 440.0));
        world.bridge(&a, &b);
        say(&mut world, &mut a, &sine(2_100.0, 2_000));
        assert_eq!(machines(&world), [], "{from:?} {to:?}");
        assert!(!world.stats(&b).data);
    }
}

/// The longest row of samples that are as good as silent.
fn hole(pcm: &[i16]) -> usize {
    let parts = pcm.split(|sample| sample.unsigned_abs() > 16);
    parts.map(<[i16]>::len).max().unwrap_or(0)
}

/// Of packets of 20 ms, which go out in packets of 30: they are decoded.
#[test]
fn what_is_lost_of_a_modem_is_silence_and_its_keys_are_not_looked_for() {
    for is_data in [false, true] {
        let mut world = World::new();
        let bare = Stream {
            events_rx: None,
            events_tx: None,
            ..stream(Codec::Pcmu)
        };
        let thirty = Stream {
            ptime_ms: 30,
            ..stream(Codec::Pcma)
        };
        let (mut a, b) = (world.peer(1, bare, 440.0), world.peer(2, thirty, 440.0));
        world.bridge(&a, &b);
        if is_data {
            say(&mut world, &mut a, &sine(2_100.0, 1_000));
        }
        say(&mut world, &mut a, &sine(1_000.0, 200));
        world.take(&b);
        for (n, frame) in sine(1_000.0, 400).chunks_exact(160).enumerate() {
            let packet = a.say(frame);
            if n != 10 {
                world.deliver(&a, &packet);
            }
            world.tick();
        }
        world.ticks(4);
        let longest = hole(&listen(Codec::Pcma, &world.take(&b)));
        assert_eq!((150..=170).contains(&longest), is_data, "{longest} samples");
        assert!(is_data || longest < 20, "{longest} samples");
        assert_eq!(world.stats(&a).concealed, 1);
        let mut key = vec![0; 1_600];
        Cadence::new([770.0, 1_336.0], -10.0, 1, 0, 8_000).fill(&mut key);
        key.extend([0; 800]);
        say(&mut world, &mut a, &key);
        assert_eq!(world.digits(&a).is_empty(), is_data);
    }
}

#[test]
fn a_hold_changes_nothing_and_another_partner_is_another_call() {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, stream(Codec::Pcmu), 440.0),
        world.peer(2, stream(Codec::Pcma), 440.0),
    );
    let c = world.peer(3, stream(Codec::Pcma), 440.0);
    world.bridge(&a, &b);
    say(&mut world, &mut a, &sine(2_100.0, 1_000));
    world.function(a.leg, Function::Idle);
    world.bridge(&a, &b);
    let carries = |world: &World, peer: &Peer| {
        let at = world.worker.place(peer.leg).unwrap();
        let leg = world.worker.legs[at.index()].as_ref().unwrap();
        (leg.rx.carries_data, leg.tx.carries_data)
    };
    assert_eq!([&a, &b].map(|peer| carries(&world, peer)), [(true, true); 2]);
    world.bridge(&a, &c);
    assert_eq!([&a, &c].map(|peer| carries(&world, peer)), [(false, false); 2]);
    assert!(world.stats(&a).data, "it did before");
    say(&mut world, &mut a, &sine(2_100.0, 1_000));
    assert_eq!(machines(&world), [(a.leg, DataTone::Answering); 2]);
    world.command(Command::Close(a.leg));
    assert!(matches!(world.events.last(), Some(Event::Closed(_, stats)) if stats.data));
}

/// A pause that its sender said by comfort noise, and that was being filled when the other side's modem was heard: nothing of ours comes between
/// what is sent from then on, and without a gain.
#[test]
fn a_pause_and_a_gain_end_where_a_modem_is_heard() {
    let caller = Stream {
        comfort_noise: true,
        gain: Gains {
            from_peer: Gain::new(6),
            to_peer: Gain::new(6),
        },
        ..stream(Codec::Pcma)
    };
    let mut world = World::new();
    let (mut a, mut b) = (world.peer(1, caller, 440.0), world.peer(2, stream(Codec::Pcma), 440.0));
    world.bridge(&a, &b);
    say(&mut world, &mut a, &sine(440.0, 400));
    let rests = a.packet(false, 13, a.timestamp, &[50]);
    world.deliver(&a, &rests);
    say(&mut world, &mut b, &sine(2_100.0, 1_000));
    assert_eq!(machines(&world), [(b.leg, DataTone::Answering)]);
    world.take(&b);
    world.ticks(50);
    assert_eq!(world.take(&b), [], "nothing is made of the pause any more");
    a.timestamp += 160 * 100;
    say(&mut world, &mut a, &sine(1_800.0, 1_000));
    let heard = world.take(&b);
    assert_eq!(heard.len(), 50);
    world.take(&a);
    say(&mut world, &mut b, &sine(1_800.0, 1_000));
    for heard in [heard, world.take(&a)] {
        let level = level(&listen(Codec::Pcma, &heard), 1_800.0);
        assert!((level + 12.0).abs() < 0.5, "{level}");
    }
}

/// Who is bridged with another one is treated as agreed again.
#[test]
fn another_partner_is_heard_with_its_gain_and_its_pauses() {
    let quiet = Stream {
        comfort_noise: true,
        ..stream(Codec::Pcma)
    };
    let mut world = World::new();
    let (mut a, mut b) = (world.peer(1, quiet, 440.0), world.peer(2, quiet, 440.0));
    world.bridge(&a, &b);
    say(&mut world, &mut a, &sine(440.0, 100));
    say(&mut world, &mut b, &sine(2_100.0, 1_000));
    assert_eq!(machines(&world).len(), 1);
    let mut c = world.peer(3, quiet, 440.0);
    world.function(b.leg, Function::Idle);
    world.bridge(&a, &c);
    world.take(&a);
    say(&mut world, &mut c, &sine(1_000.0, 200));
    let noise = c.packet(false, 13, c.timestamp, &[50]);
    world.deliver(&c, &noise);
    let heard = world.take(&a);
    assert_eq!(heard.len(), 11, "it is heard, and its pause is told");
    assert_eq!(heard.last().map(|packet| packet.payload_type), Some(13));
}

/// Signalling knows of a fax before its tones are heard: no key is cut from it.
#[test]
fn no_keys_are_heard_where_signalling_knows_of_a_fax() {
    for carries_data in [false, true] {
        let bare = Stream {
            events_tx: None,
            events_rx: None,
            carries_data,
            ..stream(Codec::Pcmu)
        };
        let mut world = World::new();
        let (mut a, b) = (world.peer(1, bare, 440.0), world.peer(2, stream(Codec::Pcmu), 440.0));
        world.bridge(&a, &b);
        let mut key = vec![0; 8 * 200];
        Cadence::new([770.0, 1_336.0], -10.0, 1, 0, 8_000).fill(&mut key[..1_200]);
        say(&mut world, &mut a, &key);
        let audio = world.take(&b).iter().filter(|packet| packet.payload_type == 0).count();
        assert_eq!(
            (world.digits(&a).len(), audio == 10),
            (usize::from(!carries_data), carries_data)
        );
    }
}

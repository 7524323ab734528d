//! Legs that are copied: what they receive goes out by another leg as well.

use super::sim::*;
use super::*;
use crate::id::WorkerId;
use crate::media::command::{Command, Dtmf, Keys, MasterKey, Stream, Suite};
use crate::media::srtp::{Opener, Sealer};
use codecs::Codec;

/// What is agreed with a recorder.
fn sendonly(codec: Codec) -> Stream {
    Stream {
        events_tx: None,
        events_rx: None,
        dtmf: Dtmf::Rfc4733,
        receives: false,
        ..stream(codec)
    }
}

/// Two that talk, and the copies of both.
fn world(codecs: [Codec; 2]) -> (World, [Peer; 4]) {
    let mut world = World::new();
    let a = world.peer(1, stream(codecs[0]), 440.0);
    let b = world.peer(2, stream(codecs[1]), 1_000.0);
    let c = world.peer(3, sendonly(codecs[0]), 2_000.0);
    let d = world.peer(4, sendonly(codecs[1]), 2_000.0);
    world.bridge(&a, &b);
    world.function(c.leg, Function::Fork(a.leg));
    world.function(d.leg, Function::Fork(b.leg));
    (world, [a, b, c, d])
}

fn payloads(packets: &[Heard]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| packet.payload.clone()).collect()
}

#[test]
fn each_side_is_copied_as_it_came_and_the_talk_is_as_before() {
    for codecs in [[Codec::Pcma, Codec::Pcma], [Codec::Opus, Codec::Pcmu]] {
        let (mut world, [mut a, mut b, c, d]) = world(codecs);
        let mut spoken = [Vec::new(), Vec::new()];
        for _ in 0..50 {
            for (peer, said) in [&mut a, &mut b].into_iter().zip(&mut spoken) {
                let packet = peer.speak();
                world.deliver(peer, &packet);
                said.push(packet[12..].to_vec());
            }
            world.tick();
        }
        let (of_a, of_b) = (world.take(&c), world.take(&d));
        assert_run(
            &of_a,
            ours(3),
            stream(codecs[0]).payload_type_tx,
            codecs[0].clock() / 50,
            &[0],
        );
        assert_run(
            &of_b,
            ours(4),
            stream(codecs[1]).payload_type_tx,
            codecs[1].clock() / 50,
            &[0],
        );
        assert_eq!([payloads(&of_a), payloads(&of_b)], spoken);
        // They hear one another, and nobody hears a recorder.
        let (to_a, to_b) = (world.take(&a), world.take(&b));
        assert!(level(&listen(codecs[0], &to_a), 1_000.0) > -12.0);
        assert!(level(&listen(codecs[1], &to_b), 440.0) > -12.0);
    }
}

#[test]
fn losses_and_order_stay_and_keys_are_not_copied() {
    let (mut world, [mut a, _, c, _]) = world([Codec::Pcma, Codec::Pcma]);
    let packets: Vec<Vec<u8>> = (0..6).map(|_| a.speak()).collect();
    for n in [0, 1, 3, 2, 5] {
        world.deliver(&a, &packets[n]);
    }
    let copied = world.take(&c);
    let first = copied[0].sequence;
    let numbers: Vec<u16> = copied
        .iter()
        .map(|packet| packet.sequence.wrapping_sub(first))
        .collect();
    assert_eq!(numbers, [0, 1, 3, 2, 5]);
    for ms in [20, 40, 60] {
        let press = a.press(5, ms, ms == 60);
        world.deliver(&a, &press);
    }
    a.pressed(60);
    // Noise, which was not agreed with the recorder, and a type that nobody agreed on.
    let packet = a.packet(false, 13, a.timestamp, &[70]);
    world.deliver(&a, &packet);
    let packet = a.packet(false, 77, a.timestamp, &[0; 160]);
    world.deliver(&a, &packet);
    assert!(world.take(&c).is_empty());
    let packet = a.speak();
    world.deliver(&a, &packet);
    let copied = world.take(&c);
    assert_eq!(copied[0].sequence.wrapping_sub(first), 6, "what is left out is no loss");
}

#[test]
fn noise_is_copied_where_the_recorder_takes_it() {
    let (mut world, [mut a, _, c, _]) = world([Codec::Pcma, Codec::Pcma]);
    world.negotiate(
        &c,
        Stream {
            comfort_noise: true,
            ..sendonly(Codec::Pcma)
        },
    );
    let packet = a.packet(true, 13, a.timestamp, &[70, 3]);
    world.deliver(&a, &packet);
    let copied = world.take(&c);
    assert_eq!((copied[0].payload_type, copied[0].marker), (13, false));
    assert_eq!(copied[0].payload, [70, 3]);
}

/// Until the recorder has taken another codec it gets nothing, and no loss is seen then; nor where it wants nothing.
#[test]
fn what_the_recorder_has_not_agreed_to_is_not_sent() {
    let (mut world, [mut a, mut b, c, _]) = world([Codec::Pcma, Codec::Pcma]);
    world.steps(3, &mut [&mut a, &mut b]);
    let last = world.take(&c).pop().unwrap();
    world.negotiate(&a, stream(Codec::Pcmu));
    let mut other = Peer::speaking(1, stream(Codec::Pcmu), 440.0);
    (other.ssrc, other.sequence, other.timestamp) = (a.ssrc, a.sequence, a.timestamp);
    world.steps(5, &mut [&mut other, &mut b]);
    assert!(world.take(&c).is_empty());
    world.negotiate(&c, sendonly(Codec::Pcmu));
    world.steps(2, &mut [&mut other, &mut b]);
    let copied = world.take(&c);
    assert_run(&copied, ours(3), 0, 160, &[0]);
    assert_eq!(copied[0].sequence, last.sequence.wrapping_add(1));
    assert_eq!(
        copied[0].timestamp.wrapping_sub(last.timestamp),
        160 * 6,
        "time has gone by"
    );
    let inactive = Stream {
        sends: false,
        ..sendonly(Codec::Pcmu)
    };
    world.negotiate(&c, inactive);
    world.steps(2, &mut [&mut other, &mut b]);
    assert!(world.take(&c).is_empty());
}

/// Hold and music for the source change nothing of its copy; its own end, that of the copy and a move do.
#[test]
fn a_copy_lasts_as_long_as_both_legs_are_there() {
    let (mut world, [mut a, mut b, mut c, d]) = world([Codec::Pcma, Codec::Pcma]);
    world.function(a.leg, Function::Idle);
    world.steps(2, &mut [&mut a, &mut b]);
    assert_eq!((world.take(&c).len(), world.take(&d).len()), (2, 2));
    world.bridge(&a, &b);
    world.steps(2, &mut [&mut a, &mut b]);
    assert_eq!((world.take(&c).len(), world.take(&d).len()), (2, 2));
    // What a recorder sends is nobody's business.
    let packet = c.speak();
    world.deliver(&c, &packet);
    world.take(&a);
    world.take(&b);
    assert!(world.take(&c).is_empty() && world.take(&d).is_empty());
    // The last that was wanted has the copy.
    let e = world.peer(5, sendonly(Codec::Pcma), 2_000.0);
    world.function(e.leg, Function::Fork(a.leg));
    world.steps(2, &mut [&mut a, &mut b]);
    assert_eq!((world.take(&c).len(), world.take(&e).len()), (0, 2));
    // Its place is another's after it has ended.
    world.command(Command::Close(e.leg));
    let mut f = world.peer(6, sendonly(Codec::Pcma), 2_000.0);
    world.steps(2, &mut [&mut a, &mut b]);
    assert!(world.take(&f).is_empty());
    world.function(f.leg, Function::Fork(a.leg));
    world.command(Command::Move {
        leg: a.leg,
        to: WorkerId(1),
    });
    let Some(Output::Taken { leg, .. }) = world.others.pop() else {
        panic!("{:?}", world.others)
    };
    world.input(Input::Give(leg));
    world.steps(2, &mut [&mut a]);
    assert!(world.take(&f).is_empty(), "who moves is copied anew");
    world.function(f.leg, Function::Fork(a.leg));
    world.steps(2, &mut [&mut a]);
    assert_eq!(world.take(&f).len(), 2);
    world.command(Command::Close(a.leg));
    let packet = f.speak();
    world.deliver(&f, &packet);
    world.ticks(2);
    // A leg that is not there, and itself.
    world.function(f.leg, Function::Fork(MediaLegId(99)));
    world.function(f.leg, Function::Fork(f.leg));
    assert!(world.take(&f).is_empty());
}

/// What comes sealed goes out open, or under other keys.
#[test]
fn the_keys_of_the_call_are_not_those_of_the_copy() {
    let suite = Suite::AesCm128Sha1_80;
    let key = |first: u8| MasterKey::new(suite, &vec![first; suite.key_octets() + suite.salt_octets()]).unwrap();
    let keys = |seal, open| Keys::new(key(seal), vec![key(open)]).unwrap();
    let (mut world, [mut a, _, c, _]) = world([Codec::Pcma, Codec::Pcma]);
    world.command(Command::Protect {
        leg: a.leg,
        keys: Some(Box::new(keys(1, 2))),
    });
    let mut sealer = Sealer::new(&keys(2, 1));
    let mut speak = |world: &mut World| {
        let plain = a.speak();
        let mut sealed = [&plain[..], &[0; 32]].concat();
        let len = sealer.rtp(&mut sealed, plain.len()).unwrap();
        world.deliver(&a, &sealed[..len]);
        plain[12..].to_vec()
    };
    let plain = speak(&mut world);
    assert_eq!(world.take(&c)[0].payload, plain);
    world.command(Command::Protect {
        leg: c.leg,
        keys: Some(Box::new(keys(3, 4))),
    });
    let plain = speak(&mut world);
    let copied = world.take(&c).remove(0);
    assert_ne!(copied.payload[..160], plain[..]);
    let mut packet = Packet::default();
    let header = rtp::Header {
        marker: copied.marker,
        payload_type: copied.payload_type,
        sequence: copied.sequence,
        timestamp: copied.timestamp,
        ssrc: copied.ssrc,
    };
    header.write(&mut packet)[..copied.payload.len()].copy_from_slice(&copied.payload);
    packet.set_len(12 + copied.payload.len());
    let len = Opener::new(&keys(4, 3)).rtp(packet.as_mut_slice()).unwrap();
    packet.set_len(len);
    assert_eq!(&packet.as_slice()[12..], &plain[..]);
}

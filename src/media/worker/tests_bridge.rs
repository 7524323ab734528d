//! Two peers, each a pure tone: what comes out at the other side, in numbers and in sound.

use super::sim::*;
use super::*;
use crate::media::command::{Command, Stream};
use codecs::Codec;
use proptest::prelude::*;
use std::time::Duration;

const ALL: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

fn pair(world: &mut World, a: Codec, b: Codec) -> (Peer, Peer) {
    let (a, b) = (world.peer(1, stream(a), 440.0), world.peer(2, stream(b), 1_000.0));
    world.bridge(&a, &b);
    (a, b)
}

#[test]
fn every_pair_of_codecs_hears_the_other_and_not_itself() {
    for first in ALL {
        for second in ALL {
            let mut world = World::new();
            let (mut a, mut b) = pair(&mut world, first, second);
            world.steps(100, &mut [&mut a, &mut b]);
            for (listener, codec, n, wanted, own) in [(&a, first, 1, 1_000.0, 440.0), (&b, second, 2, 440.0, 1_000.0)] {
                let heard = world.take(listener);
                assert_eq!(heard.len(), 100, "{first:?} and {second:?}");
                assert_run(&heard, ours(n), listener.payload_type, 20 * codec.clock() / 1_000, &[0]);
                let pcm = listen(codec, &heard);
                assert!(
                    (level(&pcm, wanted) + 10.0).abs() < 2.0,
                    "{first:?} {second:?} {}",
                    level(&pcm, wanted)
                );
                assert!(level(&pcm, own) < -35.0, "{first:?} {second:?} {}", level(&pcm, own));
            }
            let stats = world.stats(&a);
            assert_eq!(
                (stats.received, stats.sent, stats.lost, stats.dropped, stats.concealed),
                (100, 100, 0, 0, 0)
            );
            assert!(stats.mos.unwrap() > 4.2 && stats.jitter_us < 100, "{stats:?}");
        }
    }
}

#[test]
fn a_relay_changes_no_octet_of_the_payload_and_keeps_loss_order_and_marker_to_be_seen() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, Codec::Pcma, Codec::Pcma);
    let sent: Vec<Vec<u8>> = (0..6).map(|_| a.speak()).collect();
    // 3 is lost, 1 and 2 change places, 4 comes twice.
    for n in [0, 2, 1, 4, 4, 5] {
        world.deliver(&a, &sent[n]);
    }
    let heard = world.take(&b);
    let order: Vec<u16> = heard
        .iter()
        .map(|p| p.sequence.wrapping_sub(heard[0].sequence))
        .collect();
    assert_eq!(order, [0, 2, 1, 4, 5]);
    for (packet, n) in heard.iter().zip([0, 2, 1, 4, 5]) {
        assert_eq!(packet.payload, sent[n][12..]);
        assert_eq!(packet.timestamp.wrapping_sub(heard[0].timestamp), n as u32 * 160);
    }
    let stats = world.stats(&a);
    assert_eq!((stats.lost, stats.dropped, stats.received), (1, 1, 5));
}

#[test]
fn csrc_extension_and_padding_are_not_passed_on() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, Codec::Pcmu, Codec::Pcmu);
    let plain = a.speak();
    let mut dressed = plain[..12].to_vec();
    dressed[0] = 0x80 | 0x20 | 0x10 | 2;
    dressed.extend([0; 8]);
    dressed.extend([0xbe, 0xde, 0, 1, 0x10, 9, 0, 0]);
    dressed.extend(&plain[12..]);
    dressed.extend([0, 0, 0, 4]);
    world.deliver(&a, &dressed);
    assert_eq!(world.take(&b)[0].payload, plain[12..]);
}

#[test]
fn every_length_of_packets_becomes_every_other() {
    for codec in [Codec::Pcma, Codec::G722, Codec::Opus] {
        for from_ms in [10, 20, 30, 40, 60] {
            for to_ms in [10, 20, 30, 40, 60] {
                if codec == Codec::Opus && from_ms == 30 {
                    continue;
                }
                let mut world = World::new();
                let (mut from, mut to) = (stream(codec), stream(Codec::Pcmu));
                (from.ptime_ms, to.ptime_ms) = (from_ms, to_ms);
                let (mut a, b) = (world.peer(1, from, 440.0), world.peer(2, to, 1_000.0));
                world.bridge(&a, &b);
                for _ in 0..600 / usize::from(from_ms) {
                    let packet = a.speak();
                    world.deliver(&a, &packet);
                    world.now += Duration::from_millis(u64::from(from_ms));
                }
                let heard = world.take(&b);
                assert_eq!(heard.len(), 600 / usize::from(to_ms), "{from_ms} to {to_ms}");
                assert_run(&heard, ours(2), 0, u32::from(to_ms) * 8, &[0]);
                let pcm = listen(Codec::Pcmu, &heard);
                assert!(
                    (level(&pcm, 440.0) + 10.0).abs() < 2.0,
                    "{codec:?} {from_ms} to {to_ms}: {}",
                    level(&pcm, 440.0)
                );
            }
        }
    }
}

/// Loss, reordering and duplication from one seed; returns what `b` hears and the statistics of `a`.
fn rough(world: &mut World, a: &mut Peer, loss: u64, packets: usize) {
    let mut random = 7u64;
    let mut held: Option<Vec<u8>> = None;
    for _ in 0..packets {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let roll = (random >> 33) % 100;
        let packet = a.speak();
        if roll < loss {
            world.tick();
            continue;
        }
        if roll > 95 && held.is_none() {
            held = Some(packet);
        } else {
            world.deliver(a, &packet);
            if roll > 90 {
                world.deliver(a, &packet);
            }
            if let Some(late) = held.take() {
                world.deliver(a, &late);
            }
        }
        world.tick();
    }
}

#[test]
fn a_transcoder_conceals_loss_and_hides_reordering() {
    for (from, to) in [
        (Codec::Pcma, Codec::Opus),
        (Codec::Opus, Codec::Pcmu),
        (Codec::G722, Codec::Pcmu),
        (Codec::G722, Codec::Opus),
    ] {
        let mut world = World::new();
        let (mut a, b) = pair(&mut world, from, to);
        rough(&mut world, &mut a, 8, 1_000);
        let heard = world.take(&b);
        assert_run(&heard, ours(2), b.payload_type, 20 * to.clock() / 1_000, &[0]);
        assert!(heard.len() >= 996, "{}", heard.len());
        let pcm = listen(to, &heard);
        assert!(
            (level(&pcm, 440.0) + 10.0).abs() < 2.5,
            "{from:?}: {}",
            level(&pcm, 440.0)
        );
        let stats = world.stats(&a);
        assert!((60..100).contains(&stats.lost), "{stats:?}");
        assert_eq!((stats.concealed, stats.late), (stats.lost, 0), "{stats:?}");
        // The scores of wide band have a scale of their own.
        let most = if stats.wide_band { 3.8 } else { 3.6 };
        assert!(stats.mos.unwrap() < most && stats.dropped > 20, "{stats:?}");
    }
}

#[test]
fn a_packet_that_comes_after_its_concealment_is_late() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, Codec::Pcma, Codec::Opus);
    world.steps(3, &mut [&mut a]);
    let late = a.speak();
    world.tick();
    world.steps(4, &mut [&mut a]);
    world.deliver(&a, &late);
    assert_run(&world.take(&b), ours(2), 111, 960, &[0]);
    let stats = world.stats(&a);
    assert_eq!((stats.late, stats.concealed, stats.lost), (1, 1, 0));
}

#[test]
fn a_gap_is_concealed_by_the_clock_when_nothing_follows() {
    let mut world = World::new();
    let (mut a, b) = pair(&mut world, Codec::Pcma, Codec::Opus);
    world.steps(5, &mut [&mut a]);
    a.speak();
    let last = a.speak();
    world.deliver(&a, &last);
    assert_eq!(world.take(&b).len(), 5);
    world.ticks(3);
    assert_eq!(world.take(&b).len(), 2);
}

#[test]
fn the_largest_burst_behind_a_gap_fits_in_a_batch() {
    let mut world = World::new();
    let short = Stream {
        ptime_ms: 10,
        ..stream(Codec::Pcma)
    };
    let (mut a, b) = (world.peer(1, stream(Codec::Pcma), 440.0), world.peer(2, short, 1_000.0));
    world.bridge(&a, &b);
    a.samples = 960;
    world.steps(1, &mut [&mut a]);
    a.speak();
    for _ in 0..12 {
        let packet = a.speak();
        world.deliver(&a, &packet);
    }
    let heard = world.take(&b);
    assert_eq!(heard.len(), 14 * 12, "none was dropped for want of room");
    assert_run(&heard, ours(2), 8, 80, &[0]);
}

#[test]
fn a_changed_source_is_one_stream_to_the_other_side() {
    for (from, to) in [
        (Codec::Pcma, Codec::Pcma),
        (Codec::Pcmu, Codec::Pcma),
        (Codec::Pcma, Codec::Opus),
    ] {
        let mut world = World::new();
        let (mut a, b) = pair(&mut world, from, to);
        world.steps(50, &mut [&mut a]);
        // The same address, another SSRC (a transfer behind the peer's SBC); then a jump of both numbers without one.
        (a.ssrc, a.sequence, a.timestamp) = (99, 5, 4_000_000_000);
        world.steps(50, &mut [&mut a]);
        (a.sequence, a.timestamp) = (40_000, 12);
        world.steps(51, &mut [&mut a]);
        let heard = world.take(&b);
        assert_eq!(
            heard.len(),
            150,
            "the first packet after the jump is only believed with the second"
        );
        assert_run(&heard, ours(2), b.payload_type, 20 * to.clock() / 1_000, &[0, 50, 100]);
        let span = heard[149].timestamp.wrapping_sub(heard[0].timestamp);
        assert_eq!(
            span,
            150 * 20 * to.clock() / 1_000,
            "the timestamp follows the clock through both"
        );
        let pcm = listen(to, &heard);
        assert!(level(&pcm, 440.0) > -13.0, "{}", level(&pcm, 440.0));
    }
}

#[test]
fn hold_and_resume_keep_the_stream() {
    for to in [Codec::Pcma, Codec::Opus] {
        let mut world = World::new();
        let (mut a, b) = pair(&mut world, Codec::Pcma, to);
        world.steps(50, &mut [&mut a]);
        let held = Stream {
            sends: false,
            receives: false,
            ..stream(Codec::Pcma)
        };
        world.negotiate(&a, held);
        let before = world.take(&b);
        world.steps(3_000, &mut [&mut a]);
        assert_eq!(world.take(&b), []);
        assert_eq!(world.stats(&a).dropped, 3_000);
        world.negotiate(&a, stream(Codec::Pcma));
        world.steps(50, &mut [&mut a]);
        let after = world.take(&b);
        assert_eq!((before.len(), after.len()), (50, 50));
        let (last, first) = (before.last().unwrap(), &after[0]);
        assert_eq!(first.sequence, last.sequence.wrapping_add(1));
        assert!(first.marker);
        let ticks = 3_001 * 20 * (to.clock() / 1_000);
        assert_eq!(first.timestamp.wrapping_sub(last.timestamp), ticks);
        assert_run(&after, ours(2), b.payload_type, 20 * to.clock() / 1_000, &[0]);
        assert_eq!(world.stats(&a).lost, 0);
    }
}

#[test]
fn what_the_other_side_may_not_be_sent_is_not_sent() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, Codec::Pcma, Codec::Pcma);
    world.negotiate(
        &b,
        Stream {
            sends: false,
            ..stream(Codec::Pcma)
        },
    );
    world.steps(10, &mut [&mut a, &mut b]);
    assert_eq!((world.take(&b).len(), world.take(&a).len()), (0, 10));
}

#[test]
fn a_new_codec_in_mid_call_goes_on_in_the_same_stream() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, Codec::Pcma, Codec::Pcma);
    world.steps(50, &mut [&mut a, &mut b]);
    let first = world.take(&b);
    // The second peer changes to Opus: from now on both ways are transcoded.
    let mut new = Peer::speaking(2, stream(Codec::Opus), 1_000.0);
    (new.ssrc, new.sequence, new.timestamp) = (b.ssrc, b.sequence, b.timestamp);
    world.negotiate(&new, stream(Codec::Opus));
    world.take(&a);
    world.steps(50, &mut [&mut a, &mut new]);
    let second = world.take(&new);
    assert_eq!(second[0].sequence, first[49].sequence.wrapping_add(1));
    assert_run(&second, ours(2), 111, 960, &[0]);
    assert!(level(&listen(Codec::Opus, &second), 440.0) > -13.0);
    assert!(level(&listen(Codec::Pcma, &world.take(&a)), 1_000.0) > -13.0);
    // And back: the decoders and encoders are given back.
    world.others.clear();
    world.negotiate(&b, stream(Codec::Pcma));
    assert_eq!(
        world
            .others
            .iter()
            .filter(|output| matches!(output, Output::Retired(_)))
            .count(),
        2
    );
    b.sequence = new.sequence;
    world.steps(50, &mut [&mut a, &mut b]);
    assert_run(&world.take(&b), ours(2), 8, 160, &[0]);
}

#[test]
fn comfort_noise_and_unknown_types_leave_no_hole() {
    for to in [Codec::Pcma, Codec::Opus] {
        let mut world = World::new();
        let (mut a, b) = pair(&mut world, Codec::Pcma, to);
        world.steps(10, &mut [&mut a]);
        for (payload_type, payload) in [(13, &[40u8][..]), (77, &[0; 20])] {
            let timestamp = a.timestamp;
            let packet = a.packet(false, payload_type, timestamp, payload);
            world.deliver(&a, &packet);
            world.tick();
            a.timestamp += 160;
        }
        world.steps(10, &mut [&mut a]);
        let heard = world.take(&b);
        // Where audio is made anew the pause is heard as well.
        let (packets, pause) = if to == Codec::Opus { (22, 1) } else { (20, 3) };
        assert_eq!(heard.len(), packets);
        let sequences: Vec<u16> = heard
            .iter()
            .map(|p| p.sequence.wrapping_sub(heard[0].sequence))
            .collect();
        assert_eq!(sequences, (0..packets as u16).collect::<Vec<u16>>());
        let step = heard[10].timestamp.wrapping_sub(heard[9].timestamp);
        assert_eq!(step, pause * 20 * to.clock() / 1_000, "the pause is in the timestamps");
        let stats = world.stats(&a);
        assert_eq!((stats.lost, stats.concealed, stats.dropped), (0, 0, 1));
    }
}

#[test]
fn two_hours_of_a_clock_that_is_fast_lose_nothing() {
    // 200 ppm: a packet each 19.996 ms. What is sent follows the source's clock, so nothing piles up and nothing runs dry.
    for (from, to) in [(Codec::Pcma, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)] {
        let mut world = World::new();
        let mut other = stream(to);
        other.ptime_ms = if from == to { 20 } else { 40 };
        let (mut a, b) = (world.peer(1, stream(from), 440.0), world.peer(2, other, 1_000.0));
        world.bridge(&a, &b);
        let payload = a.speak()[12..].to_vec();
        let start = world.now;
        let packets = 360_000u64;
        let (mut count, mut last): (u64, Option<Heard>) = (0, None);
        for n in 0..packets {
            let due = start + Duration::from_nanos(n * 19_996_000);
            while world.now + Duration::from_millis(20) <= due {
                world.tick();
            }
            let timestamp = a.timestamp;
            let packet = a.packet(false, a.payload_type, timestamp, &payload);
            a.timestamp = a.timestamp.wrapping_add(160);
            world.deliver(&a, &packet);
            for packet in world.take(&b) {
                if let Some(last) = &last {
                    assert_eq!(packet.sequence, last.sequence.wrapping_add(1));
                    assert_eq!(
                        packet.timestamp,
                        last.timestamp.wrapping_add(packet.payload.len() as u32)
                    );
                }
                count += 1;
                last = Some(packet);
            }
        }
        assert_eq!(count * u64::from(other.ptime_ms), packets * 20);
        let stats = world.stats(&a);
        assert_eq!((stats.lost, stats.late, stats.concealed, stats.dropped), (0, 0, 0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever comes, from whomever: no panic, nothing is counted twice, and all legs can be closed.
    #[test]
    fn any_datagrams_on_legs_with_any_function(
        datagrams in proptest::collection::vec(
            (0u8..6, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..64), any::<[u8; 12]>(), 0u16..4, 0u64..50),
            1..80,
        ),
    ) {
        let mut world = World::new();
        let codecs = [Codec::G722, Codec::Opus, Codec::Pcmu, Codec::G722, Codec::Opus, Codec::Opus];
        let peers: Vec<Peer> = (0u8..).zip(codecs).map(|(n, codec)| world.peer(n + 1, stream(codec), 440.0)).collect();
        world.bridge(&peers[0], &peers[1]);
        world.function(peers[2].leg, Function::Echo);
        world.function(peers[3].leg, Function::Phone);
        world.function(peers[4].leg, Function::Phone);
        let tone = crate::media::command::Tone::Sine { hz: 65_535, level: 127 };
        world.function(peers[5].leg, Function::Tone(tone));
        let mut given = 0u64;
        for (n, rtcp, tail, mut head, step, ms) in datagrams {
            let peer = &peers[usize::from(n)];
            // Mostly headers that pass, near each other in sequence, of the types that were agreed.
            if head[0] & 3 != 0 {
                head[0] = 0x80 | head[0] & 0x3f & head[10];
                head[1] = [peer.payload_type, EVENTS, 13, head[1], 200 | 0x80, 201 | 0x80][usize::from(head[1] % 6)];
                head[2] = 0;
                head[3] = head[3] % 40 * (step as u8 + 1) % 255;
                let ssrc = head[8] % 2;
                head[8..12].copy_from_slice(&[0, 0, 0, ssrc]);
            }
            let mut bytes = head.to_vec();
            bytes.extend(tail);
            let channel = if rtcp { Channel::Rtcp } else { Channel::Rtp };
            world.receive(peer.leg, channel, peer.address, &bytes);
            given += 1;
            world.now += Duration::from_millis(ms);
            world.tick();
        }
        let counted: u64 = peers.iter().map(|peer| world.stats(peer)).map(|s| s.received + s.dropped).sum();
        let strays = world.worker.strays();
        prop_assert!(counted + strays.stun + strays.dtls <= given);
        prop_assert!(world.worker.len() == 6);
        for peer in &peers {
            world.command(Command::Close(peer.leg));
        }
        prop_assert!(world.worker.is_empty());
    }
}

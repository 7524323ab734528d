//! What a leg tells of its media: quality, level, extended reports, and who is not heard.

use super::sim::*;
use super::*;
use crate::media::command::{Command, LegStats, Missing, PeerView, Remote, Stream, Trouble, Xr};
use crate::media::rtcp::extended::{Extended, Metrics};
use crate::media::rtcp::{self, Compound, Digest};
use crate::media::sender::Sent;
use crate::media::source::Block;
use codecs::{Codec, g711};
use std::time::Duration;

const UNKNOWN: Trouble = Trouble::NothingComes(Missing::Unknown);

/// Where a peer takes RTCP.
fn reports_of(peer: &Peer) -> SocketAddr {
    SocketAddr::new(peer.address.ip(), peer.address.port() + 1)
}

fn watch(world: &mut World, peer: &Peer) {
    world.command(Command::Watch {
        leg: peer.leg,
        silence: None,
        troubles: true,
    });
}

/// Two peers on one bridge, watched.
fn talking(codecs: [Codec; 2]) -> (World, Peer, Peer) {
    let mut world = World::new();
    let a = world.peer(1, stream(codecs[0]), 440.0);
    let b = world.peer(2, stream(codecs[1]), 1_000.0);
    world.bridge(&a, &b);
    watch(&mut world, &a);
    watch(&mut world, &b);
    (world, a, b)
}

/// Troubles so far, with the peer's number.
fn troubles(world: &World) -> Vec<(u64, Trouble, bool)> {
    let of = |event: &Event| match event {
        Event::Trouble { leg, trouble, over } => Some((leg.0, *trouble, *over)),
        _other => None,
    };
    world.events.iter().filter_map(of).collect()
}

/// A report of a peer: its own stream, and what it says of ours.
fn report(world: &mut World, peer: &Peer, sent: Option<u32>, block: Option<Block>, extended: Extended) {
    let sent = sent.map(|packets| {
        let sent = Sent {
            ssrc: peer.ssrc,
            timestamp: 0,
            packets,
            octets: 0,
        };
        (world.now, sent)
    });
    let compound = Compound {
        ssrc: peer.ssrc,
        sent,
        block,
        cname: "peer",
        extended,
        goodbye: false,
    };
    let mut buffer = [0; 256];
    let len = rtcp::write(&mut buffer, &compound);
    world.receive(peer.leg, Channel::Rtcp, reports_of(peer), &buffer[..len]);
}

/// What we have reported to a peer since it was asked last.
fn reported(world: &mut World, peer: &Peer) -> Vec<Digest> {
    let packets = world.rtcp.remove(&reports_of(peer)).unwrap_or_default();
    packets
        .iter()
        .map(|packet| rtcp::read(packet, peer.ssrc).unwrap())
        .collect()
}

fn negotiate(world: &mut World, peer: &Peer, xr: Xr, stream: Stream) {
    world.command(Command::Negotiated {
        leg: peer.leg,
        remote: Remote {
            xr,
            ..remote(peer.address)
        },
        stream,
    });
}

/// So many packets of each of two peers; of the first one's those are lost that a rule says.
fn speak(world: &mut World, a: &mut Peer, b: &mut Peer, packets: usize, lost: impl Fn(usize) -> bool) {
    for n in 0..packets {
        let (from_a, from_b) = (a.speak(), b.speak());
        if !lost(n) {
            world.deliver(a, &from_a);
        }
        world.deliver(b, &from_b);
        world.tick();
    }
}

/// A fifth of a call lost in bursts of eight: it goes on, and the score says how bad it was.
#[test]
fn the_score_falls_as_packets_are_lost_in_bursts() {
    for codecs in [
        [Codec::Pcma, Codec::Pcma],
        [Codec::Pcma, Codec::Opus],
        [Codec::Opus, Codec::Pcmu],
    ] {
        let of = |burst: usize, period: usize| {
            let (mut world, mut a, mut b) = talking(codecs);
            speak(&mut world, &mut a, &mut b, 1_600, |n| n % period >= period - burst);
            let stats = world.stats(&a);
            let heard = world.take(&b);
            assert_eq!(troubles(&world), [], "the call goes on");
            assert!(world.now.since(heard.last().unwrap().at) < Duration::from_millis(400));
            (stats, heard.len())
        };
        let (clean, all) = of(0, 40);
        let (five, _) = of(2, 40);
        let (twenty, fewer) = of(8, 40);
        assert_eq!((clean.lost, five.lost, twenty.lost), (0, 78, 312), "{codecs:?}");
        assert!(all >= 1_590 && fewer < all, "{codecs:?}: {fewer} of {all}");
        let mos = |stats: &LegStats| stats.mos.unwrap();
        assert!((4.3..4.5).contains(&mos(&clean)), "{codecs:?}: {}", mos(&clean));
        assert!((3.5..4.0).contains(&mos(&five)), "{codecs:?}: {}", mos(&five));
        assert!((1.0..2.2).contains(&mos(&twenty)), "{codecs:?}: {}", mos(&twenty));
    }
}

#[test]
fn the_level_of_g711_is_measured_on_its_way_and_that_of_opus_where_it_is_decoded() {
    for (codecs, is_known) in [
        ([Codec::Pcma, Codec::Pcma], true),
        ([Codec::Pcmu, Codec::Pcma], true),
        ([Codec::Pcmu, Codec::Opus], true),
        ([Codec::Opus, Codec::Pcmu], true),
        ([Codec::Opus, Codec::Opus], false),
    ] {
        let (mut world, mut a, mut b) = talking(codecs);
        world.steps(100, &mut [&mut a, &mut b]);
        let stats = world.stats(&a);
        assert_eq!(stats.level_dbm0.is_some(), is_known, "{codecs:?}");
        if let (Some(level), Some(silence)) = (stats.level_dbm0, stats.silence) {
            assert!(
                (level + 10.0).abs() < 1.5 && silence < 0.1,
                "{codecs:?}: {level} dBm0, {silence}"
            );
        }
    }
}

/// What is relayed in wide band is heard in wide band; what is transcoded is not.
#[test]
fn wide_band_is_what_is_relayed_so() {
    // RFC 6716 3.1: SILK, wide band, 20 ms, mono, one frame; and the same in narrow band.
    for (toc, other, want) in [
        (9 << 3, Codec::Opus, true),
        (1 << 3, Codec::Opus, false),
        (9 << 3, Codec::Pcma, false),
    ] {
        let (mut world, mut a, _) = talking([Codec::Opus, other]);
        for _ in 0..100 {
            let packet = a.packet(false, a.payload_type, a.timestamp, &[toc, 0xff, 0xfe, 1, 2, 3]);
            a.timestamp += 960;
            world.deliver(&a, &packet);
            world.tick();
        }
        let stats = world.stats(&a);
        assert_eq!(stats.wide_band, want, "{other:?} {toc}");
        assert!(stats.mos.unwrap() > 4.2);
    }
}

#[test]
fn who_asks_for_metrics_gets_them_and_what_it_says_is_kept() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
    speak(&mut world, &mut a, &mut b, 500, |n| n % 10 == 3);
    let seen = |digests: &[Digest]| {
        digests
            .iter()
            .filter_map(|digest| digest.metrics)
            .collect::<Vec<Metrics>>()
    };
    let unasked = reported(&mut world, &a);
    assert!(!unasked.is_empty() && seen(&unasked).is_empty(), "nobody has asked");
    let both = Xr {
        metrics: true,
        round_trip: true,
    };
    negotiate(&mut world, &a, both, stream(Codec::Pcma));
    speak(&mut world, &mut a, &mut b, 500, |n| n % 10 == 3);
    let told = reported(&mut world, &a);
    let metrics = *seen(&told).last().unwrap();
    assert!((24..=26).contains(&metrics.loss) && metrics.discard == 0, "{metrics:?}");
    assert_eq!(metrics.bursts.gap_density, 0, "all is one burst");
    assert_eq!(metrics.signal, Some(-10));
    let stats = world.stats(&a);
    let tenths = (stats.mos.unwrap() * 10.0).round() as i32;
    let (said, heard) = (metrics.conversation.unwrap(), metrics.listening.unwrap());
    assert!(
        (i32::from(said) - tenths).abs() <= 1 && heard >= said,
        "{metrics:?} {stats:?}"
    );
    assert!(
        told.iter().all(|digest| digest.reference.is_none()),
        "who sends has sender reports"
    );
    // The peer's own view, and a score out of range.
    let view = |conversation| Metrics {
        ssrc: ours(1),
        loss: 25,
        discard: 3,
        conversation,
        ..Metrics::default()
    };
    for (conversation, mos) in [(Some(38), Some(3.8)), (None, None)] {
        let extended = Extended {
            metrics: Some(view(conversation)),
            ..Extended::default()
        };
        report(&mut world, &a, Some(1), None, extended);
        let want = PeerView {
            loss: 25,
            discard: 3,
            mos,
        };
        assert_eq!(world.stats(&a).peer, Some(want));
    }
}

/// RFC 3611 4.4, 4.5: who only listens learns the round trip by reference times, whoever begins.
#[test]
fn a_reference_time_is_answered_once_and_ours_brings_the_round_trip() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    let round_trip = Xr {
        metrics: false,
        round_trip: true,
    };
    let held = Stream {
        sends: false,
        ..stream(Codec::Pcma)
    };
    negotiate(&mut world, &a, round_trip, held);
    let reference = Extended {
        reference: Some(world.now),
        ..Extended::default()
    };
    let asked = rtcp::ntp_middle(world.now);
    report(&mut world, &a, None, None, reference);
    world.steps(1_000, &mut [&mut a]);
    let told = reported(&mut world, &a);
    let answers: Vec<_> = told.iter().filter_map(|digest| digest.delay).collect();
    assert_eq!(answers.len(), 1, "{told:?}");
    assert_eq!((answers[0].ssrc, answers[0].last), (a.ssrc, asked));
    assert!((65_536..7 * 65_536).contains(&answers[0].since), "{answers:?}");
    let (from, ours_asked) = told.iter().rev().find_map(|digest| digest.reference).unwrap();
    assert_eq!(from, ours(1));
    // It came to the peer within 10 ms, was thought of until 30 ms before now, and the answer took 30 ms.
    let away = rtcp::ntp_middle(world.now).wrapping_sub(ours_asked);
    let answer = Extended {
        delay: Some(rtcp::extended::Delay {
            ssrc: ours(1),
            last: ours_asked,
            since: away - 65_536 * 40 / 1_000,
        }),
        ..Extended::default()
    };
    report(&mut world, &a, None, None, answer);
    let stats = world.stats(&a);
    assert!((39_000..41_000).contains(&stats.round_trip_us.unwrap()), "{stats:?}");
}

#[test]
fn a_call_that_is_well_or_held_or_not_answered_has_no_trouble() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Opus]);
    world.steps(500, &mut [&mut a, &mut b]);
    // Held by one, who then sends nothing; the other is told so.
    let direction = |sends, receives| Stream {
        sends,
        receives,
        ..stream(Codec::Pcma)
    };
    world.negotiate(&a, direction(false, true));
    world.ticks(1_000);
    world.negotiate(&a, direction(false, false));
    world.ticks(1_000);
    world.negotiate(&a, stream(Codec::Pcma));
    world.steps(500, &mut [&mut a, &mut b]);
    let of_a: Vec<_> = troubles(&world).into_iter().filter(|(leg, ..)| *leg == 1).collect();
    assert_eq!(of_a, []);
    let mut world = World::new();
    let (a, b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Pcma), 1_000.0),
    );
    world.bridge(&a, &b);
    world.ticks(1_000);
    assert_eq!(troubles(&world), [], "nobody has answered");
}

#[test]
fn nothing_that_comes_is_told_with_its_side_within_five_seconds_and_when_it_is_over() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
    let begun = world.now;
    while troubles(&world).is_empty() {
        world.step(&mut [&mut a]);
    }
    assert_eq!(troubles(&world), [(2, UNKNOWN, false)]);
    assert!(
        world.now.since(begun) < Duration::from_secs(5),
        "within five seconds of the answer"
    );
    world.steps(100, &mut [&mut a, &mut b]);
    assert_eq!(troubles(&world)[1..], [(2, UNKNOWN, true)]);
    world.events.clear();
    let stopped = world.now;
    while troubles(&world).is_empty() {
        world.step(&mut [&mut b]);
    }
    assert_eq!(troubles(&world), [(1, UNKNOWN, false)]);
    assert!(
        world.now.since(stopped) < Duration::from_secs(5),
        "within five seconds of the change"
    );
    assert_eq!(world.stats(&a).troubles.names().as_deref(), Some("nothing came"));
}

#[test]
fn a_stranger_or_another_payload_type_in_place_of_the_peer_is_told() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
    let thief = SocketAddr::from(([127, 0, 0, 99], 9));
    world.steps(50, &mut [&mut a]);
    for _ in 0..260 {
        let packet = b.speak();
        world.receive(b.leg, Channel::Rtp, thief, &packet);
        let packet = a.packet(false, 77, a.timestamp, &[1; 33]);
        world.deliver(&a, &packet);
        world.tick();
    }
    let told = troubles(&world);
    assert!(
        told.contains(&(2, Trouble::NothingComes(Missing::Stranger), false)),
        "{told:?}"
    );
    assert!(
        told.contains(&(1, Trouble::NothingComes(Missing::Unreadable), false)),
        "{told:?}"
    );
}

#[test]
fn only_silence_is_told_of_each_law_and_of_opus_that_is_decoded() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let (mut world, mut a, mut b) = talking([codec, codec]);
        let silence = [if codec == Codec::Pcmu {
            g711::ULAW_SILENCE
        } else {
            g711::ALAW_SILENCE
        }; 160];
        let begun = world.now;
        while troubles(&world).is_empty() {
            let packet = a.packet(false, a.payload_type, a.timestamp, &silence);
            a.timestamp += 160;
            world.deliver(&a, &packet);
            world.step(&mut [&mut b]);
        }
        assert_eq!(troubles(&world), [(1, Trouble::OnlySilence, false)]);
        assert!(world.now.since(begun) < Duration::from_secs(5), "{codec:?}");
        assert_eq!(world.stats(&a).silence, Some(1.0));
        world.steps(50, &mut [&mut a, &mut b]);
        assert_eq!(troubles(&world)[1..], [(1, Trouble::OnlySilence, true)]);
    }
    let (mut world, mut a, mut b) = talking([Codec::Opus, Codec::Pcma]);
    let params = codecs::opus::EncoderParams {
        bitrate: 24_000,
        complexity: 0,
        fec: false,
        expected_loss_percent: 0,
        dtx: false,
    };
    let mut encoder = codecs::opus::Encoder::new(8_000, params).unwrap();
    for _ in 0..250 {
        let mut payload = [0; 400];
        let len = encoder.encode(&[0; 160], &mut payload).unwrap();
        let packet = a.packet(false, a.payload_type, a.timestamp, &payload[..len]);
        a.timestamp += 960;
        world.deliver(&a, &packet);
        world.step(&mut [&mut b]);
    }
    assert_eq!(troubles(&world), [(1, Trouble::OnlySilence, false)]);
}

#[test]
fn comfort_noise_stands_for_a_peer_that_is_silent_by_its_own_word() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
    world.steps(50, &mut [&mut a, &mut b]);
    let noise = a.packet(true, 13, a.timestamp, &[70]);
    world.deliver(&a, &noise);
    world.steps(1_000, &mut [&mut b]);
    assert_eq!(troubles(&world), []);
}

/// The peer's reports tell which way packets are lost.
#[test]
fn reports_tell_what_does_not_arrive_and_what_is_lost_on_the_way() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
    // The second peer hears nothing of us, and its own packets do not come either.
    world.steps(120, &mut [&mut a]);
    report(&mut world, &b, Some(120), None, Extended::default());
    world.steps(120, &mut [&mut a]);
    let told = troubles(&world);
    assert!(told.contains(&(2, Trouble::NothingArrives, false)), "{told:?}");
    assert!(
        told.contains(&(2, Trouble::NothingComes(Missing::OnTheWay), false)),
        "{told:?}"
    );
    world.events.clear();
    let block = |highest| Block {
        ssrc: ours(2),
        highest,
        ..Block::default()
    };
    report(&mut world, &b, Some(360), Some(block(65_700)), Extended::default());
    world.steps(50, &mut [&mut a, &mut b]);
    let told = troubles(&world);
    assert!(told.contains(&(2, Trouble::NothingArrives, true)), "{told:?}");
    assert!(told.contains(&(2, UNKNOWN, true)), "{told:?}");
    // It hears no more than it had then.
    world.events.clear();
    world.steps(200, &mut [&mut a, &mut b]);
    report(&mut world, &b, Some(560), Some(block(65_700)), Extended::default());
    world.steps(50, &mut [&mut a, &mut b]);
    assert_eq!(troubles(&world), [(2, Trouble::NothingArrives, false)]);
    assert_eq!(
        world.stats(&b).troubles.names().as_deref(),
        Some("nothing came, nothing arrived")
    );
}

/// Nothing can go to a peer whose packets are not to be sent anywhere.
#[test]
fn audio_that_comes_and_is_not_sent_on_is_told_of_who_should_have_it() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
    let nowhere = Remote {
        rtp: SocketAddr::from(([0, 0, 0, 0], 4_000)),
        ..remote(b.address)
    };
    world.command(Command::Negotiated {
        leg: b.leg,
        remote: nowhere,
        stream: stream(Codec::Pcma),
    });
    world.steps(250, &mut [&mut a]);
    let told = troubles(&world);
    assert!(told.contains(&(2, Trouble::NothingSent, false)), "{told:?}");
    world.negotiate(&b, stream(Codec::Pcma));
    world.steps(250, &mut [&mut a, &mut b]);
    assert!(troubles(&world).contains(&(2, Trouble::NothingSent, true)));
}

/// Packets without audio only keep a way open (RFC 6263 4.1): they are no audio that would have to be sent on, and have no level.
#[test]
fn packets_without_audio_are_neither_heard_nor_missed() {
    let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Opus]);
    world.steps(50, &mut [&mut a, &mut b]);
    let before = world.stats(&a);
    for _ in 0..400 {
        let empty = a.packet(false, 8, a.timestamp, &[]);
        a.timestamp += 160;
        world.deliver(&a, &empty);
        world.step(&mut [&mut b]);
    }
    let after = world.stats(&a);
    assert_eq!((before.level_dbm0, before.silence), (after.level_dbm0, after.silence));
    assert_eq!(after.received, before.received + 400);
    assert_eq!(troubles(&world), []);
}

/// A report that speaks of others only knows us by no SSRC: it does not say that nothing arrives.
#[test]
fn a_report_about_others_says_nothing_of_us() {
    for (about, told) in [(0xdead, false), (ours(2), true)] {
        let (mut world, mut a, mut b) = talking([Codec::Pcma, Codec::Pcma]);
        let block = Block {
            ssrc: about,
            highest: 1,
            ..Block::default()
        };
        for _ in 0..3 {
            world.steps(120, &mut [&mut a, &mut b]);
            report(&mut world, &b, Some(120), Some(block), Extended::default());
        }
        world.steps(60, &mut [&mut a, &mut b]);
        let missing = troubles(&world).contains(&(2, Trouble::NothingArrives, false));
        assert_eq!(missing, told, "about {about:#x}");
    }
}

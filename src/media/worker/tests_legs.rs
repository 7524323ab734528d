//! One leg at a time: functions, reports, watching, moving, and what a leg costs.

use super::sim::*;
use super::*;
use crate::id::WorkerId;
use crate::limits;
use crate::media::command::{Command, LegSpec, Port, Remote, Stream, Tone};
use crate::media::rtcp::extended::Extended;
use crate::media::rtcp::{self, Compound};
use crate::media::source::Block;
use codecs::Codec;
use std::time::Duration;

#[test]
fn echo_gives_a_peer_its_own_voice_in_our_stream() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let mut a = world.peer(1, stream(codec), 440.0);
        world.function(a.leg, Function::Echo);
        world.steps(50, &mut [&mut a]);
        let heard = world.take(&a);
        assert_run(&heard, ours(1), a.payload_type, 20 * codec.clock() / 1_000, &[0]);
        assert!((level(&listen(codec, &heard), 440.0) + 10.0).abs() < 2.0);
    }
}

#[test]
fn a_tone_is_sent_without_anything_received() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        for ptime in [10, 20, 60] {
            let mut world = World::new();
            let a = world.peer(
                1,
                Stream {
                    ptime_ms: ptime,
                    ..stream(codec)
                },
                440.0,
            );
            world.function(a.leg, Function::Tone(Tone::Sine { hz: 620, level: -16 }));
            world.ticks(60);
            let heard = world.take(&a);
            assert_eq!(heard.len(), 1_200 / usize::from(ptime));
            assert_run(
                &heard,
                ours(1),
                a.payload_type,
                u32::from(ptime) * codec.clock() / 1_000,
                &[0],
            );
            let pcm = listen(codec, &heard);
            assert!(
                (level(&pcm, 620.0) + 16.0).abs() < 1.5,
                "{codec:?} {}",
                level(&pcm, 620.0)
            );
        }
    }
}

#[test]
fn a_tone_that_was_held_goes_on_where_the_clock_is() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    world.function(a.leg, Function::Tone(Tone::Sine { hz: 620, level: -16 }));
    world.ticks(10);
    world.negotiate(
        &a,
        Stream {
            sends: false,
            ..stream(Codec::Pcma)
        },
    );
    world.ticks(500);
    world.negotiate(&a, stream(Codec::Pcma));
    world.ticks(10);
    let heard = world.take(&a);
    assert_run(&heard, ours(1), 8, 160, &[0, 10]);
    assert_eq!(heard[10].timestamp.wrapping_sub(heard[9].timestamp), 501 * 160);
}

#[test]
fn ringback_is_two_frequencies_on_and_off() {
    let mut world = World::new();
    let a = world.peer(1, stream(Codec::Pcma), 440.0);
    world.function(
        a.leg,
        Function::Tone(Tone::Cadence {
            hz: [440, 480],
            on_ms: 400,
            off_ms: 200,
        }),
    );
    world.ticks(60);
    let pcm = listen(Codec::Pcma, &world.take(&a));
    let sounds = |range: std::ops::Range<usize>| codecs::goertzel::level_dbm0(&pcm[range], 440.0, 8_000);
    assert!(sounds(0..3_200) > -18.0 && sounds(4_800..8_000) > -18.0);
    assert!(sounds(3_200..4_800) < -60.0);
}

#[test]
fn a_tone_gives_way_to_a_bridge_in_one_stream() {
    let mut world = World::new();
    let (mut a, mut b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Pcma), 1_000.0),
    );
    world.function(
        a.leg,
        Function::Tone(Tone::Cadence {
            hz: [440, 480],
            on_ms: 2_000,
            off_ms: 4_000,
        }),
    );
    world.ticks(20);
    world.bridge(&a, &b);
    assert!(
        world.others.iter().any(|output| matches!(output, Output::Retired(_))),
        "the encoder is not needed any more"
    );
    world.steps(20, &mut [&mut a, &mut b]);
    assert_run(&world.take(&a), ours(1), 8, 160, &[0, 20]);
    // Whoever leaves, the other becomes idle.
    world.function(b.leg, Function::Echo);
    world.steps(20, &mut [&mut a, &mut b]);
    assert_eq!(world.take(&a), []);
    assert!(level(&listen(Codec::Pcma, &world.take(&b)[20..]), 1_000.0) > -13.0);
}

#[test]
fn a_phone_speaks_and_hears_pcm() {
    for codec in [Codec::Pcma, Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let mut a = world.peer(1, stream(codec), 440.0);
        world.function(a.leg, Function::Phone);
        let at = world.worker.place(a.leg).unwrap();
        let mut voice = codecs::tone::Sine::new(700.0, -10.0, 8_000);
        let mut heard = Vec::new();
        for n in 0..100 {
            let mut pcm = [0; 160];
            voice.fill(&mut pcm);
            let phone = world.worker.phone(at).unwrap();
            assert_eq!(phone.speak(&pcm), 160);
            let mut buffer = [0; 400];
            let samples = phone.hear(&mut buffer);
            heard.extend(&buffer[..samples]);
            if n % 20 == 7 {
                a.speak();
                world.tick();
            } else {
                world.step(&mut [&mut a]);
            }
        }
        assert!(level(&heard, 440.0) > -12.0, "{codec:?} {}", level(&heard, 440.0));
        assert!((15_500..=16_000).contains(&heard.len()), "{}", heard.len());
        let sent = world.take(&a);
        assert_run(&sent, ours(1), a.payload_type, 20 * codec.clock() / 1_000, &[0]);
        assert!(level(&listen(codec, &sent), 700.0) > -12.0);
        world.function(a.leg, Function::Idle);
        assert!(world.worker.phone(at).is_none());
    }
}

#[test]
fn the_first_packet_is_told_and_strangers_are_counted() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    world.function(a.leg, Function::Echo);
    let thief = SocketAddr::from(([127, 0, 0, 99], 9));
    let packet = a.speak();
    world.receive(a.leg, Channel::Rtp, thief, &packet);
    assert_eq!((world.events.len(), world.rtp.len()), (0, 0));
    world.steps(2, &mut [&mut a]);
    let packet = a.speak();
    world.receive(a.leg, Channel::Rtp, thief, &packet);
    world.receive(a.leg, Channel::Rtcp, thief, &[0x80, 201, 0, 1, 0, 0, 0, 1]);
    assert_eq!(world.events, [Event::Started(a.leg, a.address)]);
    assert_eq!(
        world.rtp.keys().collect::<Vec<_>>(),
        [&a.address],
        "nothing goes to the thief"
    );
    let stats = world.stats(&a);
    assert_eq!((stats.received, stats.strangers, stats.dropped), (2, 3, 3));
}

#[test]
fn silence_is_told_once_until_media_comes_again() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    world.command(Command::Watch {
        leg: a.leg,
        silence: Some(Duration::from_secs(2)),
        troubles: false,
    });
    let silent = |world: &World| {
        world
            .events
            .iter()
            .filter(|event| matches!(event, Event::Silent(_)))
            .count()
    };
    world.ticks(99);
    assert_eq!(silent(&world), 0);
    world.ticks(100);
    assert_eq!(silent(&world), 1, "counted from the command, if nothing ever came");
    world.steps(150, &mut [&mut a]);
    world.ticks(98);
    assert_eq!(silent(&world), 1);
    world.ticks(200);
    assert_eq!(silent(&world), 2);
    world.step(&mut [&mut a]);
    world.command(Command::Watch {
        leg: a.leg,
        silence: None,
        troubles: false,
    });
    world.ticks(500);
    assert_eq!(silent(&world), 2);
}

#[test]
fn reports_go_out_at_random_intervals_and_bring_the_round_trip() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    world.function(a.leg, Function::Echo);
    let to = SocketAddr::new(a.address.ip(), a.address.port() + 1);
    let mut times = Vec::new();
    for _ in 0..6_000 {
        // A tenth is lost.
        if a.sequence % 10 == 3 {
            a.speak();
            world.tick();
        } else {
            world.step(&mut [&mut a]);
        }
        if let Some(reports) = world.rtcp.remove(&to) {
            times.push(world.now);
            // Answered after 30 ms of network and 50 ms of thinking.
            let digest = rtcp::read(&reports[0], a.ssrc).unwrap();
            let block = digest.block.unwrap();
            assert!((20..=31).contains(&block.fraction_lost), "{block:?}");
            let sent = digest.sender_report.unwrap();
            let answer = Block {
                ssrc: ours(1),
                fraction_lost: 13,
                last_sr: sent,
                delay_since_last_sr: 65_536 / 20,
                ..Block::default()
            };
            let compound = Compound {
                ssrc: a.ssrc,
                sent: None,
                block: Some(answer),
                cname: "peer",
                extended: Extended::default(),
                goodbye: false,
            };
            let mut buffer = [0; 256];
            let len = rtcp::write(&mut buffer, &compound);
            let before = world.now;
            world.now += Duration::from_millis(80);
            world.receive(a.leg, Channel::Rtcp, to, &buffer[..len]);
            world.now = before;
        }
    }
    let gaps: Vec<u64> = times
        .windows(2)
        .map(|pair| pair[1].since(pair[0]).as_millis() as u64)
        .collect();
    // RFC 3550 6.3.1: 2.05 to 6.16 s.
    assert!(gaps.iter().all(|gap| (2_040..6_200).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().max() > gaps.iter().min(), "{gaps:?}");
    assert!((20..50).contains(&gaps.len()));
    let stats = world.stats(&a);
    assert!((29_900..30_100).contains(&stats.round_trip_us.unwrap()), "{stats:?}");
    assert_eq!(stats.peer_fraction_lost, Some(13));
    assert!(stats.mos.unwrap() < 3.6);
}

#[test]
fn a_closed_leg_says_goodbye_and_frees_its_place() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    let mut mux = world.peer(2, stream(Codec::Pcma), 440.0);
    let quiet = world.peer(3, stream(Codec::Pcma), 440.0);
    let shared = Remote {
        rtcp_mux: true,
        ..remote(mux.address)
    };
    world.command(Command::Negotiated {
        leg: mux.leg,
        remote: shared,
        stream: stream(Codec::Pcma),
    });
    world.bridge(&a, &mux);
    world.step(&mut [&mut a, &mut mux]);
    for leg in [a.leg, mux.leg, quiet.leg] {
        world.command(Command::Close(leg));
    }
    let reports_to = |peer: &Peer| SocketAddr::new(peer.address.ip(), peer.address.port() + 1);
    assert!(rtcp::read(&world.rtcp[&reports_to(&a)][0], 0).unwrap().goodbye);
    assert!(
        !world.rtcp.contains_key(&reports_to(&quiet)),
        "RFC 3550 6.3.7: it has sent nothing"
    );
    assert!(
        rtcp::read(&world.rtcp[&mux.address][0], 0).unwrap().goodbye,
        "with rtcp-mux to the RTP address"
    );
    assert!(world.worker.is_empty());
    let closed = world.events.iter().filter_map(|event| match event {
        Event::Closed(leg, stats) => Some((*leg, stats.received)),
        _other => None,
    });
    assert_eq!(closed.collect::<Vec<_>>(), [(a.leg, 1), (mux.leg, 1), (quiet.leg, 0)]);
    assert_eq!(world.preparer.home(a.leg), None);
    let again = Command::ReadStats(a.leg);
    let error = world.preparer.prepare(HERE, again, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no media leg m1: it was never opened, or it is closed"
    );
}

#[test]
fn a_full_worker_gives_the_leg_back() {
    let mut world = World::new();
    for n in 0..65u64 {
        let spec = LegSpec {
            id: MediaLegId(n),
            port: Port { rtp: 20_000, v6: false },
            ssrc: 1,
            first_sequence: 1,
            first_timestamp: 1,
            cname: String::new(),
            rtc: false,
        };
        world.command(Command::Open(Box::new(spec)));
    }
    assert_eq!(world.worker.len(), 64);
    assert!(matches!(world.events[..], [Event::Closed(MediaLegId(64), _)]));
    world.command(Command::Close(MediaLegId(5)));
    assert_eq!(world.worker.len(), 63);
}

/// A transfer joins legs of two workers: one moves with its codec state, and what was sent to it on the way follows it.
#[test]
fn a_leg_moves_to_another_worker_and_is_joined_there() {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, stream(Codec::Pcma), 440.0),
        world.peer(2, stream(Codec::Opus), 1_000.0),
    );
    world.bridge(&a, &b);
    world.steps(50, &mut [&mut a]);
    let before = world.take(&b);
    let there = WorkerId(1);
    world.others.clear();
    for leg in [a.leg, b.leg] {
        world.command(Command::Move { leg, to: there });
    }
    world.command(Command::Watch {
        leg: a.leg,
        silence: None,
        troubles: false,
    });
    let elsewhere = std::mem::replace(&mut world.worker, Worker::new(8));
    assert!(elsewhere.is_empty());
    for output in std::mem::take(&mut world.others) {
        match output {
            Output::Taken { leg, to, .. } => {
                assert_eq!(to, there);
                world.input(Input::Give(leg));
            }
            Output::Strayed(input) => {
                assert_eq!(world.preparer.home(input.leg().unwrap()), Some(there));
                world.input(input);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        world.events[1..],
        [Event::Moved(a.leg, there), Event::Moved(b.leg, there)]
    );
    world.others.clear();
    world.bridge(&a, &b);
    assert!(
        !world.others.iter().any(|output| matches!(output, Output::Retired(_))),
        "the codecs were kept"
    );
    world.steps(50, &mut [&mut a]);
    let after = world.take(&b);
    assert_eq!(after[0].sequence, before[49].sequence.wrapping_add(1));
    assert_run(&after, ours(2), 111, 960, &[0]);
    assert_eq!(world.stats(&a).received, 100);
}

#[test]
fn an_idle_relayed_call_fits_in_64_kib() {
    let mut world = World::new();
    let (mut a, mut b) = (
        world.peer(1, stream(Codec::Opus), 440.0),
        world.peer(2, stream(Codec::Opus), 1_000.0),
    );
    world.bridge(&a, &b);
    world.steps(10, &mut [&mut a, &mut b]);
    for leg in world.worker.legs.iter().flatten() {
        assert!(leg.rx.decode.is_none() && leg.tx.encode.is_none() && leg.phone.is_none());
    }
    // The leg, its place, its deadline, its entry in the table (twice the legs), its CNAME.
    let place = size_of::<Option<Box<Leg>>>() + size_of::<Instant>() + 2 * (size_of::<(MediaLegId, LegIx)>() + 1);
    let leg = size_of::<Leg>() + place + rtcp::CNAME_BYTES;
    assert!(2 * leg <= 64 * 1024, "{leg} octets a leg");
    assert!(leg <= 2 * 1024, "a leg that is only relayed is small: {leg} octets");
}

#[test]
fn a_tick_of_a_full_worker_is_cut_into_batches() {
    let mut world = World::new();
    world.worker = Worker::new(limits::LEGS_PER_WORKER);
    let count = 300u64;
    for n in 0..count {
        let spec = LegSpec {
            id: MediaLegId(n),
            port: Port { rtp: 20_000, v6: false },
            ssrc: n as u32,
            first_sequence: 1,
            first_timestamp: 1,
            cname: String::new(),
            rtc: false,
        };
        world.command(Command::Open(Box::new(spec)));
        let address = SocketAddr::from(([127, 0, (n / 250) as u8, (n % 250) as u8], 4_000));
        let leg = MediaLegId(n);
        world.command(Command::Negotiated {
            leg,
            remote: remote(address),
            stream: stream(Codec::Pcma),
        });
        world.function(leg, Function::Tone(Tone::Sine { hz: 400, level: -10 }));
        world.command(Command::Watch {
            leg,
            silence: Some(Duration::from_millis(10)),
            troubles: false,
        });
    }
    world.tick();
    assert_eq!(world.rtp.values().map(Vec::len).sum::<usize>(), 300);
    assert_eq!(world.events.len(), 300);
    world.tick();
    assert_eq!(world.rtp.values().map(Vec::len).sum::<usize>(), 600);
}

/// Two legs that name each other's ports would keep a packet circling between them for ever.
#[test]
fn a_leg_takes_no_more_packets_than_speech_can_be() {
    let mut world = World::new();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    world.function(a.leg, Function::Echo);
    for _ in 0..5_000 {
        let packet = a.speak();
        world.deliver(&a, &packet);
    }
    assert_eq!(world.take(&a).len() as u64, limits::RTP_BURST);
    world.ticks(50);
    for _ in 0..5_000 {
        let packet = a.speak();
        world.deliver(&a, &packet);
    }
    let passed = world.take(&a).len() as u64;
    assert!(
        (1..=limits::RTP_BURST).contains(&passed),
        "{passed} in the second after it"
    );
}

//! Voices that are forwarded: who speaks Opus is heard by others who have places as he came, and who speaks something else in a mix beside.

use super::sim::*;
use super::tests_room::{ROOM, room, spec, talk, tone};
use crate::media::command::{Command, Function, Keys, MasterKey, RoomSpec, Seat, Suite, Video, VoiceLine};
use crate::media::rtcp;
use codecs::{Codec, Rate, opus};

/// Of a place of a member.
fn place(n: usize, nth: usize) -> u32 {
    0xee00_0000 + n as u32 * 256 + nth as u32 * 2
}

fn forwarding(speakers: u8) -> RoomSpec {
    RoomSpec {
        forwards: true,
        ..spec(Rate::Wide, speakers)
    }
}

/// So many places for voices of a member.
fn voices(n: usize, places: usize) -> Video {
    let voices = (0..places).map(|nth| VoiceLine {
        mid: format!("v{nth}").into(),
        payload_type: 109,
        ssrc: place(n, nth),
    });
    Video {
        voices: voices.collect(),
        ..Video::default()
    }
}

/// A member has so many places for voices from now on.
fn give(world: &mut World, peer: &Peer, n: usize, places: usize) {
    let (leg, video) = (peer.leg, Some(Box::new(voices(n, places))));
    world.command(Command::Video { leg, video });
}

fn of(heard: &[Heard], ssrc: u32) -> Vec<Heard> {
    heard.iter().filter(|packet| packet.ssrc == ssrc).cloned().collect()
}

/// Which of these members' tones are in a stream.
fn tones(packets: &[Heard], members: usize) -> Vec<usize> {
    if packets.is_empty() {
        return Vec::new();
    }
    let pcm = listen(Codec::Opus, packets);
    (0..members)
        .filter(|n| level(&pcm, tone(*n as u8 + 1)) > -35.0)
        .collect()
}

/// Numbers go up by one, and the clock goes on.
fn is_one_stream(packets: &[Heard]) -> bool {
    packets.windows(2).all(|two| {
        let clock = two[1].timestamp.wrapping_sub(two[0].timestamp) as i32;
        two[1].sequence == two[0].sequence.wrapping_add(1) && clock >= 960
    })
}

#[test]
fn each_hears_the_others_apart_and_a_phone_in_the_rest() {
    let streams = [Codec::Opus, Codec::Opus, Codec::Opus, Codec::Pcmu].map(stream);
    let (mut world, mut all) = room(forwarding(4), &streams);
    for (n, peer) in all[..3].iter().enumerate() {
        give(&mut world, peer, n, 4);
    }
    talk(&mut world, &mut all, 50, 4);
    all.iter().for_each(|peer| drop(world.take(peer)));
    let before = world.worker.room(ROOM).unwrap().encodes();
    talk(&mut world, &mut all, 100, 4);
    // One packet of each tick for all who hear the rest, and one for the phone.
    assert_eq!(world.worker.room(ROOM).unwrap().encodes() - before, 200);
    for (n, peer) in all[..3].iter().enumerate() {
        let heard = world.take(peer);
        assert_eq!(tones(&of(&heard, ours(n as u8 + 1)), 4), [3], "the phone alone");
        let mut others: Vec<usize> = Vec::new();
        for nth in 0..4 {
            let packets = of(&heard, place(n, nth));
            assert!(is_one_stream(&packets) && packets.iter().all(|packet| packet.payload_type == 109));
            assert!([0, 100].contains(&packets.len()), "{}", packets.len());
            let tones = tones(&packets, 4);
            assert!(tones.len() < 2, "one voice: {tones:?}");
            others.extend(tones);
        }
        others.sort_unstable();
        let wanted: Vec<usize> = (0..3).filter(|other| *other != n).collect();
        assert_eq!(others, wanted, "never himself");
    }
    let heard = world.take(&all[3]);
    let pcm = listen(Codec::Pcmu, &heard);
    assert!(
        (0..3u8).all(|n| level(&pcm, tone(n + 1)) > -20.0),
        "the phone hears all"
    );
    assert!(level(&pcm, tone(4)) < -35.0, "but itself");
    // The phone is silent: after a moment nothing is encoded for those with places, and nothing sent on their first line.
    talk(&mut world, &mut all, 50, 3);
    all.iter().for_each(|peer| drop(world.take(peer)));
    let before = world.worker.room(ROOM).unwrap().encodes();
    talk(&mut world, &mut all, 50, 3);
    assert_eq!(world.worker.room(ROOM).unwrap().encodes() - before, 50);
    let heard = world.take(&all[0]);
    assert!(of(&heard, ours(1)).is_empty());
    assert_eq!(heard.len(), 100);
    // It speaks again: the clock of the first line has gone on.
    talk(&mut world, &mut all, 50, 4);
    let heard = world.take(&all[0]);
    let rest = of(&heard, ours(1));
    assert!(rest.len() > 40 && rest[0].marker && is_one_stream(&rest));
    assert_eq!(tones(&rest, 4), [3]);
}

/// One place at once: who speaks is heard on it, one after the other, under one count of numbers; and reports tell of it.
#[test]
fn a_place_is_one_stream_whoever_speaks() {
    let streams = [Codec::Opus; 3].map(stream);
    let (mut world, mut all) = room(forwarding(1), &streams);
    for (n, peer) in all.iter().enumerate() {
        give(&mut world, peer, n, 1);
    }
    let mut heard = Vec::new();
    for round in 0..6 {
        for _ in 0..60 {
            for (n, peer) in all.iter_mut().enumerate() {
                let packet = if n == 1 + round % 2 { peer.speak() } else { peer.hush() };
                world.deliver(peer, &packet);
            }
            world.tick();
        }
        let new = of(&world.take(&all[0]), place(0, 0));
        assert!(new.len() > 45, "{}", new.len());
        assert_eq!(tones(&new[new.len() - 30..], 3), [1 + round % 2]);
        heard.extend(new);
    }
    assert!(is_one_stream(&heard));
    let marked = heard.iter().filter(|packet| packet.marker).count();
    assert!((6..=12).contains(&marked), "{marked} runs");
    // By the clock: six rounds of 60 packets.
    let clock = heard[heard.len() - 1].timestamp.wrapping_sub(heard[0].timestamp);
    assert!((clock as i64 - 355 * 960).abs() < 15 * 960, "{clock}");
    let reports = world.rtcp.remove(&all[0].address).unwrap_or_default();
    let tells = |packet: &Vec<u8>| packet[1] == rtcp::SENDER_REPORT && packet[4..8] == place(0, 0).to_be_bytes();
    let told = reports.iter().filter(|packet| tells(packet)).count();
    assert!((6..=8).contains(&told), "{told}");
}

/// Who has fewer places than may speak at once, or another codec, hears the mix; who is muted is not heard, and who is deaf hears nobody.
#[test]
fn who_has_too_few_places_hears_the_mix() {
    let streams = [Codec::Opus, Codec::Opus, Codec::Opus].map(stream);
    let (mut world, mut all) = room(forwarding(2), &streams);
    give(&mut world, &all[0], 0, 2);
    give(&mut world, &all[1], 1, 1);
    talk(&mut world, &mut all, 100, 3);
    let heard = world.take(&all[1]);
    assert!(heard.iter().all(|packet| packet.ssrc == ours(2)));
    let both = tones(&heard[50..], 3);
    assert!(!both.contains(&1) && !both.is_empty(), "{both:?}");
    let heard = world.take(&all[0]);
    assert!(heard.iter().any(|packet| packet.ssrc == place(0, 0)));
    // A place more, while it sits there.
    give(&mut world, &all[1], 1, 2);
    talk(&mut world, &mut all, 60, 3);
    world.take(&all[1]);
    talk(&mut world, &mut all, 20, 3);
    let heard = world.take(&all[1]);
    assert!(!heard.is_empty() && heard.iter().all(|packet| packet.ssrc != ours(2)));
    // And none any more.
    world.command(Command::Video {
        leg: all[1].leg,
        video: None,
    });
    talk(&mut world, &mut all, 20, 3);
    let heard = world.take(&all[1]);
    assert!(heard.len() >= 20 && heard.iter().all(|packet| packet.ssrc == ours(2)));
    let seat = |world: &mut World, leg, speaks, hears| {
        let shows = true;
        let seat = Seat { speaks, hears, shows };
        world.command(Command::Seat { leg, seat });
    };
    let legs = [0, 1, 2].map(|n: usize| all[n].leg);
    seat(&mut world, legs[1], false, true);
    seat(&mut world, legs[2], false, true);
    let silent = |world: &mut World, peers: &mut [Peer]| {
        talk(world, peers, 20, 3);
        world.take(&peers[0]);
        talk(world, peers, 50, 3);
        let heard = world.take(&peers[0]);
        heard.iter().filter(|packet| packet.ssrc != ours(1)).count()
    };
    assert_eq!(silent(&mut world, &mut all), 0, "both are muted");
    seat(&mut world, legs[1], true, true);
    assert_eq!(silent(&mut world, &mut all), 50, "one is not");
    seat(&mut world, legs[0], true, false);
    assert_eq!(silent(&mut world, &mut all), 0, "he is deaf");
    seat(&mut world, legs[0], true, true);
    assert_eq!(silent(&mut world, &mut all), 50);
    world.command(Command::Close(legs[1]));
    talk(&mut world, &mut all[..1], 50, 0);
    world.take(&all[0]);
    talk(&mut world, &mut all[..1], 50, 0);
    assert!(world.take(&all[0]).is_empty(), "nobody is left");
}

/// A room of one speaker, who is the second member, and a first one with a place for him.
fn one_speaks() -> (World, Vec<Peer>) {
    let (mut world, mut all) = room(forwarding(1), &[Codec::Opus; 2].map(stream));
    give(&mut world, &all[0], 0, 1);
    talk(&mut world, &mut all[1..], 50, 1);
    world.take(&all[0]);
    (world, all)
}

/// How far the numbers have moved in all.
fn moved(packets: &[Heard]) -> u32 {
    let steps = packets.windows(2);
    let steps = steps.map(|two| u32::from(two[1].sequence.wrapping_sub(two[0].sequence)));
    steps.sum()
}

/// RFC 3711 3.3.1: who misses more than 2^15 numbers does not know any more how often they have rolled over. Numbers of a speaker that jump
/// do not bring a listener there by the few packets that he loses.
#[test]
fn a_speaker_whose_numbers_jump_does_not_move_ours() {
    let (mut world, mut all) = one_speaks();
    for _ in 0..50 {
        all[1].sequence = all[1].sequence.wrapping_add(2_998);
        talk(&mut world, &mut all[1..], 1, 1);
    }
    let heard = of(&world.take(&all[0]), place(0, 0));
    assert!(
        heard.len() > 40 && moved(&heard) < 50,
        "{}: {}",
        heard.len(),
        moved(&heard)
    );
    // A few that are lost are seen to be.
    talk(&mut world, &mut all[1..], 1, 1);
    all[1].sequence = all[1].sequence.wrapping_add(3);
    talk(&mut world, &mut all[1..], 1, 1);
    assert_eq!(moved(&of(&world.take(&all[0]), place(0, 0))), 4);
}

/// What is no speech, by its size or its number, is not sent to all the others.
#[test]
fn no_more_is_sent_on_than_speech_is() {
    for (sizes, most) in [([1_290, 3, 1_290, 3, 1_290, 3, 1_290], 8_000), ([1_200; 7], 128_000)] {
        let (mut world, mut all) = one_speaks();
        for _ in 0..50 {
            talk(&mut world, &mut all[1..], 1, 1);
            let (type_, last) = (all[1].payload_type, all[1].timestamp.wrapping_sub(960));
            for size in sizes {
                let packet = all[1].packet(false, type_, last, &vec![0x08; size]);
                world.deliver(&all[1], &packet);
            }
        }
        let heard = of(&world.take(&all[0]), place(0, 0));
        let octets: usize = heard.iter().map(|packet| packet.payload.len()).sum();
        assert!(
            (40..165).contains(&heard.len()) && octets <= most,
            "{} {octets}",
            heard.len()
        );
    }
}

/// Opus has up to 510 kbit/s, and a page may ask for as much: in stereo, which has more than 300.
#[test]
fn who_sends_much_is_heard_too() {
    for (bitrate, least) in [(256_000, 513), (510_000, 961)] {
        let mut world = World::of(8);
        world.command(Command::OpenRoom(forwarding(1)));
        let [listener, mut speaker] = [1, 2].map(|n| world.peer(n, stream(Codec::Opus), tone(n)));
        for (n, peer) in [&listener, &speaker].into_iter().enumerate() {
            world.function(peer.leg, Function::Room(ROOM));
            give(&mut world, peer, n, 1);
        }
        let mut encoder = opus::StereoEncoder::new(48_000, bitrate, 5).unwrap();
        // Something of everything, so that all bits are of use.
        let mut noise = codecs::noise::Noise::new(-20.0);
        let mut say = |world: &mut World, ticks: usize| -> usize {
            let mut octets = 0;
            for _ in 0..ticks {
                let (mut pcm, mut payload) = ([0; 2 * 960], [0; 1_300]);
                noise.fill(&mut pcm);
                let len = encoder.encode(&pcm, &mut payload).unwrap();
                let (number, clock) = (speaker.payload_type, speaker.timestamp);
                let packet = speaker.packet(false, number, clock, &payload[..len]);
                speaker.timestamp = clock.wrapping_add(960);
                octets += len;
                world.deliver(&speaker, &packet);
                world.tick();
            }
            octets
        };
        say(&mut world, 50);
        world.take(&listener);
        let octets = say(&mut world, 200);
        let heard = of(&world.take(&listener), place(0, 0));
        assert!(octets > 200 * least, "they are large: {octets}");
        assert_eq!(heard.len(), 200, "at {bitrate}");
        assert!(is_one_stream(&heard));
    }
}

#[test]
fn who_is_muted_or_deaf_is_so_at_once() {
    let (mut world, mut all) = one_speaks();
    let legs = [all[0].leg, all[1].leg];
    let mut after = |seat: (usize, bool, bool), ticks: usize| {
        let (n, speaks, hears) = seat;
        let seat = Seat {
            speaks,
            hears,
            shows: true,
        };
        world.command(Command::Seat { leg: legs[n], seat });
        world.take(&all[0]);
        talk(&mut world, &mut all[1..], ticks, 1);
        of(&world.take(&all[0]), place(0, 0)).len()
    };
    assert_eq!(after((1, false, true), 15), 0, "muted");
    assert!(after((1, true, true), 20) > 10);
    assert_eq!(after((0, true, false), 15), 0, "deaf");
    assert_eq!(after((0, true, true), 3), 2, "and hears again");
}

/// A number is sealed once: a place that comes back under its SSRC does not begin where it was before, and its packets are not dropped.
#[test]
fn a_place_that_comes_back_goes_on_behind_what_was_sealed() {
    let (mut world, mut all) = room(forwarding(1), &[stream(Codec::Opus)]);
    let listener = world.browser(3, stream(Codec::Opus), 300.0);
    let leg = listener.leg;
    let key = |first| MasterKey::new(Suite::AeadAes128Gcm, &[first; 28]).unwrap();
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    world.command(Command::Protect { leg, keys });
    world.function(leg, Function::Room(ROOM));
    give(&mut world, &listener, 2, 1);
    talk(&mut world, &mut all, 150, 1);
    let mut heard = of(&world.take(&listener), place(2, 0));
    assert!(heard.len() > 100);
    for _ in 0..2 {
        world.command(Command::Video { leg, video: None });
        talk(&mut world, &mut all, 5, 1);
        give(&mut world, &listener, 2, 1);
        world.take(&listener);
        talk(&mut world, &mut all, 40, 1);
        let after = of(&world.take(&listener), place(2, 0));
        assert!(after.len() > 30, "{}", after.len());
        let last = heard[heard.len() - 1].sequence;
        assert_eq!(after[0].sequence, last.wrapping_add(1));
        heard = after;
    }
}

/// A tick in which this one says that, or all are silent; what he sent.
fn say(world: &mut World, all: &mut [Peer], who: Option<usize>) -> Option<Vec<u8>> {
    let mut said = None;
    for (n, peer) in all.iter_mut().enumerate() {
        let packet = if who == Some(n) { peer.speak() } else { peer.hush() };
        if who == Some(n) {
            said = Some(packet[12..].to_vec());
        }
        world.deliver(peer, &packet);
    }
    world.tick();
    said
}

/// Before it is known who speaks, some of it has come: that is heard too, as one stream with what comes then, on a place that another has had before.
#[test]
fn what_is_said_first_is_heard_too() {
    let gated = RoomSpec {
        gate: true,
        ..forwarding(1)
    };
    let (mut world, mut all) = room(gated, &[Codec::Opus; 3].map(stream));
    for (n, peer) in all.iter().enumerate() {
        give(&mut world, peer, n, 1);
    }
    let mut whole = Vec::new();
    for round in 0..6 {
        let who = 1 + round % 2;
        for _ in 0..40 {
            say(&mut world, &mut all, None);
        }
        whole.extend(of(&world.take(&all[0]), place(0, 0)));
        let said: Vec<Vec<u8>> = (0..30).map(|_| say(&mut world, &mut all, Some(who)).unwrap()).collect();
        let heard = of(&world.take(&all[0]), place(0, 0));
        let payloads: Vec<Vec<u8>> = heard.iter().map(|packet| packet.payload.clone()).collect();
        let first = payloads.iter().position(|payload| *payload == said[0]);
        let first = first.unwrap_or_else(|| panic!("round {round}: the first packet of {} is not heard", said.len()));
        assert!(first <= 4, "{first} packets of the silence before");
        assert_eq!(payloads[first..], said);
        assert!(heard[0].marker && heard[1..].iter().all(|packet| !packet.marker));
        let clock = |packet: &Heard| packet.timestamp.wrapping_sub(heard[0].timestamp);
        assert!(heard.iter().zip(0..).all(|(packet, n)| clock(packet) == n * 960));
        whole.extend(heard);
    }
    assert!(is_one_stream(&whole));
    // Nothing is sent twice, nor late: six rounds of 70 packets by the clock.
    let clock = whole[whole.len() - 1].timestamp.wrapping_sub(whole[0].timestamp);
    assert!((i64::from(clock) - 380 * 960).abs() < 10 * 960, "{clock}");
}

/// Browsers that say nothing, with so many places for voices each.
fn fill(world: &mut World, numbers: std::ops::Range<usize>, places: usize) {
    let key = |first| MasterKey::new(Suite::AeadAes128Gcm, &[first; 28]).unwrap();
    for n in numbers {
        let leg = world.numbered(10 + n as u64, stream(Codec::Opus));
        let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
        world.command(Command::Protect { leg, keys });
        let video = Some(Box::new(voices(9, places)));
        world.command(Command::Video { leg, video });
        world.function(leg, Function::Room(ROOM));
    }
}

/// What goes out at once is bounded: the more listeners, the less of what was said first.
#[test]
fn what_is_said_first_is_less_for_many() {
    const LISTENERS: usize = 300;
    let mut world = World::of(LISTENERS + 1);
    world.command(Command::OpenRoom(RoomSpec {
        seats: 1_000,
        gate: true,
        ..forwarding(1)
    }));
    let mut all = [world.peer(1, stream(Codec::Opus), tone(1))];
    world.function(all[0].leg, Function::Room(ROOM));
    fill(&mut world, 0..LISTENERS, 1);
    for _ in 0..30 {
        say(&mut world, &mut all, None);
    }
    let count = |world: &mut World| -> usize {
        let all = std::mem::take(&mut world.rtp).into_values().flatten();
        all.filter(|packet| packet.ssrc == place(9, 0)).count()
    };
    assert_eq!(count(&mut world), 0);
    let mut counts = Vec::new();
    for _ in 0..12 {
        say(&mut world, &mut all, Some(0));
        counts.push(count(&mut world));
    }
    let begin = counts.iter().position(|count| *count > 0).unwrap();
    assert_eq!(counts[begin], 3 * LISTENERS, "{counts:?}");
    assert!(
        counts[begin + 1..].iter().all(|count| *count == LISTENERS),
        "{counts:?}"
    );
}

/// The bound is that of all who begin at the same time.
#[test]
fn what_several_say_first_is_less_for_many_in_all() {
    const LISTENERS: usize = 150;
    let mut world = World::of(LISTENERS + 2);
    world.command(Command::OpenRoom(RoomSpec {
        seats: 1_000,
        gate: true,
        ..forwarding(2)
    }));
    // The same sound, so that both are found out in the same tick.
    let mut all = [1, 2].map(|n| world.peer(n, stream(Codec::Opus), tone(1)));
    for peer in &all {
        world.function(peer.leg, Function::Room(ROOM));
    }
    fill(&mut world, 0..LISTENERS, 2);
    let mut ticks = |world: &mut World, speak: bool, ticks: usize| -> Vec<usize> {
        let tick = |_| {
            for peer in &mut all {
                let packet = if speak { peer.speak() } else { peer.hush() };
                world.deliver(peer, &packet);
            }
            world.tick();
            let all = std::mem::take(&mut world.rtp).into_values().flatten();
            all.filter(|packet| [place(9, 0), place(9, 1)].contains(&packet.ssrc))
                .count()
        };
        (0..ticks).map(tick).collect()
    };
    assert_eq!(ticks(&mut world, false, 30), [0; 30]);
    let counts = ticks(&mut world, true, 12);
    let begin = counts.iter().position(|count| *count > 0).unwrap();
    // Each alone would have had five and more.
    assert_eq!(counts[begin], 6 * LISTENERS, "{counts:?}");
    assert!(
        counts[begin + 1..].iter().all(|count| *count == 2 * LISTENERS),
        "{counts:?}"
    );
}

/// A worker sends no more than it can: with many listeners, some of those who speak at once are in the mix of the rest, and nobody hears himself there.
#[test]
fn the_more_hear_the_fewer_voices_are_forwarded() {
    let mut world = World::of(920);
    world.command(Command::OpenRoom(RoomSpec {
        seats: 1_000,
        ..forwarding(4)
    }));
    let mut all = [1, 2, 3].map(|n| world.peer(n, stream(Codec::Opus), tone(n)));
    for (n, peer) in all.iter().enumerate() {
        world.function(peer.leg, Function::Room(ROOM));
        give(&mut world, peer, n, 4);
    }
    // Which tones each hears on its places, and which in the rest.
    let mut heard = |world: &mut World| {
        talk(world, &mut all, 30, 2);
        world.rtp.clear();
        talk(world, &mut all, 30, 2);
        [0, 1, 2].map(|n: usize| {
            let packets = world.take(&all[n]);
            let apart = (0..4).flat_map(|nth| tones(&of(&packets, place(n, nth)), 3));
            let mut apart: Vec<usize> = apart.collect();
            apart.sort_unstable();
            (apart, tones(&of(&packets, ours(n as u8 + 1)), 3))
        })
    };
    fill(&mut world, 0..300, 4);
    let few = heard(&mut world);
    assert_eq!(few, [(vec![1], vec![]), (vec![0], vec![]), (vec![0, 1], vec![])]);
    fill(&mut world, 300..900, 4);
    let many = heard(&mut world);
    let (apart, rest) = many[2].clone();
    assert_eq!((apart.len(), rest.len()), (1, 1), "{many:?}");
    assert_ne!(apart, rest, "{many:?}");
    for n in [0, 1] {
        let (apart, rest) = &many[n];
        assert_eq!([&apart[..], rest].concat(), [1 - n], "{many:?}");
    }
}

#[path = "tests_level.rs"]
mod level;

//! A room in which nobody speaks: no encoder of Opus runs, and what comes after the silence is heard as ever.

use super::super::sim::*;
use super::{ROOM, room, spec, tone};
use crate::media::command::{OpusParams, RoomSpec, Stream};
use codecs::level::Level;
use codecs::{Codec, Rate};

/// Who takes pauses without packets, or not, in packets of so many milliseconds.
fn listener(dtx: bool, ptime_ms: u8) -> Stream {
    Stream {
        ptime_ms,
        opus: OpusParams {
            dtx,
            ..stream(Codec::Opus).opus
        },
        ..stream(Codec::Opus)
    }
}

/// So many ticks in which these say their tones, with pauses as speech has them, and the others nothing at all.
fn talk(world: &mut World, peers: &mut [Peer], ticks: usize, speakers: &[usize]) {
    for tick in 0..ticks {
        for (n, peer) in peers.iter_mut().enumerate() {
            let packet = match speakers.contains(&n) && tick % 15 < 10 {
                true => peer.speak(),
                false => peer.say(&[0; 160]),
            };
            world.deliver(peer, &packet);
        }
        world.tick();
    }
}

/// A room of these, in which the packets that its members send have 20 ms.
fn room_of(spec: RoomSpec, streams: &[Stream]) -> (World, Vec<Peer>) {
    let (world, mut peers) = room(spec, streams);
    peers.iter_mut().for_each(|peer| peer.samples = 160);
    (world, peers)
}

fn encodes(world: &World) -> u64 {
    world.worker.room(ROOM).unwrap().encodes()
}

/// No number is left out, the clock goes on as time does, and what comes behind a pause is marked (RFC 3551 4.1).
fn assert_in_time(packets: &[Heard], ptime_ms: u8) {
    for two in packets.windows(2) {
        assert_eq!(two[1].sequence, two[0].sequence.wrapping_add(1));
        let gone = two[1].at.since(two[0].at).as_millis() as u32;
        let clock = two[1].timestamp.wrapping_sub(two[0].timestamp);
        // Two packets of 10 ms go out at once.
        assert!(clock.abs_diff(48 * gone) < 960, "{clock} in {gone} ms");
        assert_eq!(two[1].marker, clock > 48 * u32::from(ptime_ms), "{clock}");
    }
}

/// Of each 300 ms, which are one tone and one pause, how loud it is.
fn loud(pcm: &[i16]) -> Vec<f32> {
    pcm.chunks_exact(2_400).map(|part| Level::of(part).rms_dbm0()).collect()
}

/// Two thirds of -10 dBm0.
const TALK: f32 = -11.8;

#[test]
fn what_nobody_says_is_not_encoded_and_what_comes_behind_it_is_heard() {
    for (rate, dtx, ptime) in [
        (Rate::Wide, true, 20),
        (Rate::Wide, true, 60),
        (Rate::Full, true, 20),
        (Rate::Full, true, 10),
        (Rate::Wide, false, 20),
        (Rate::Wide, false, 60),
        (Rate::Narrow, false, 20),
        (Rate::Full, false, 20),
        (Rate::Full, false, 10),
    ] {
        let case = format!("{rate:?} {dtx} {ptime}");
        let listens = listener(dtx, ptime);
        let (mut world, mut peers) = room_of(spec(rate, 4), &[stream(Codec::Pcmu), listens, listens]);
        talk(&mut world, &mut peers, 90, &[0]);
        talk(&mut world, &mut peers, 300, &[]);
        let mut whole = world.take(&peers[1]);
        world.take(&peers[2]);
        let before = encodes(&world);
        talk(&mut world, &mut peers, 300, &[]);
        // Those of the phone, in G.711.
        assert_eq!(encodes(&world) - before, 300, "{case}");
        let silent = world.take(&peers[1]);
        let payloads = |heard: &[Heard]| heard.iter().map(|packet| packet.payload.clone()).collect::<Vec<_>>();
        assert_eq!(
            payloads(&silent),
            payloads(&world.take(&peers[2])),
            "{case}: both hear the same"
        );
        if dtx {
            // One each 400 ms, or with packets of 60 ms each 360.
            assert!((14..=17).contains(&silent.len()), "{case}: {}", silent.len());
        } else {
            assert_eq!(silent.len(), 300 * 20 / usize::from(ptime), "{case}");
            assert!(silent.iter().all(|packet| !packet.marker));
        }
        // It ends between two packets of the pause.
        talk(&mut world, &mut peers, 7, &[]);
        whole.extend(silent);
        whole.extend(world.take(&peers[1]));
        talk(&mut world, &mut peers, 90, &[0]);
        whole.extend(world.take(&peers[1]));
        assert_in_time(&whole, ptime);
        let pcm = listen(Codec::Opus, &whole);
        // 1.8 s of talk, 12.14 of nothing, 1.8 of talk.
        for (n, level) in loud(&pcm).iter().enumerate() {
            match n {
                1..=5 | 47.. => assert!((level - TALK).abs() < 1.5, "{case}: {level} at {n} of 300 ms"),
                8..=45 => assert!(*level < -60.0, "{case}: {level} at {n} of 300 ms"),
                // It begins in these, ends in them.
                0 | 6 | 7 | 46 => {}
            }
        }
        let again = Level::of(&pcm[13_940 * 8..14_240 * 8]).rms_dbm0();
        assert!(again > TALK - 2.5, "{case}: {again} in the first 300 ms");
    }
}

/// Who speaks alone hears nothing, by an encoder of his own, which does not run either; when another begins, he hears him from the first.
#[test]
fn who_speaks_alone_takes_no_encoder_for_what_he_hears() {
    for dtx in [true, false] {
        let (mut world, mut peers) = room_of(spec(Rate::Wide, 4), &[listener(dtx, 20); 3]);
        let mut heard = [Vec::new(), Vec::new()];
        for round in 0..6 {
            let who = round % 2;
            talk(&mut world, &mut peers, 150, &[who]);
            let before = encodes(&world);
            talk(&mut world, &mut peers, 100, &[who]);
            // What he says is encoded once, for the two others.
            assert_eq!(encodes(&world) - before, 100, "{dtx} {round}");
            let levels = [0, 1].map(|n: usize| {
                let new = world.take(&peers[n]);
                heard[n].extend(new);
                let pcm = listen(Codec::Opus, &heard[n]);
                let level = level(&pcm[pcm.len().saturating_sub(4_800)..], tone(2 - n as u8));
                level.max(-60.0)
            });
            // Of who is silent at the end the last packets say so, or there are none.
            assert!((levels[1 - who] + 13.2).abs() < 2.5, "{dtx} {round}: {levels:?}");
            world.take(&peers[2]);
        }
        heard.iter().for_each(|heard| assert_in_time(heard, 20));
    }
}

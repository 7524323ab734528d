//! Rooms as a whole: a ledger of who is in whose mix, speech in turns, a room that lies on several workers.

use super::sim::*;
use super::tests_room::{ROOM, at, room, spec, talk, tone, window};
use crate::id::MediaRoomId;
use crate::media::command::{Command, RoomSpec, Seat, Stream};
use crate::media::room::{Pipe, Pipes};
use codecs::{Codec, Rate};
use std::sync::mpsc;
use std::time::Duration;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// What each of a dozen is by the book: in the room, heard, hearing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Entry {
    sits: bool,
    seat: Seat,
    says: bool,
}

/// 10,000 steps in which somebody comes, goes, is muted, is deaf, speaks, is silent, or is silent and has its seat changed: after each
/// the room is what the ledger says, and every hundredth time what all hear is.
#[test]
fn a_ledger_of_who_is_in_whose_mix_holds() {
    const SIZE: usize = 12;
    let codecs = [Codec::Pcma, Codec::G722, Codec::Pcmu];
    let streams: Vec<Stream> = (0..SIZE).map(|n| stream(codecs[n % 3])).collect();
    let (mut world, mut peers) = room(spec(Rate::Wide, 16), &streams);
    let mut dice = Dice(5);
    let all = Entry {
        sits: true,
        ..Entry::default()
    };
    let mut ledger = [all; SIZE];
    for step in 1..=10_000 {
        let who = dice.roll(SIZE);
        let (entry, leg) = (&mut ledger[who], peers[who].leg);
        match dice.roll(5) {
            0 => {
                entry.sits = !entry.sits;
                let function = if entry.sits {
                    Function::Room(ROOM)
                } else {
                    Function::Idle
                };
                world.function(leg, function);
            }
            1 => entry.seat.speaks = !entry.seat.speaks,
            2 => entry.seat.hears = !entry.seat.hears,
            _ => entry.says = !entry.says,
        }
        let seat = entry.seat;
        world.command(Command::Seat { leg, seat });
        let ticks = if step % 100 == 0 { 45 } else { 1 };
        for _ in 0..ticks {
            for (peer, entry) in peers.iter_mut().zip(&ledger) {
                let packet = if entry.says { peer.speak() } else { peer.say(&[0; 160]) };
                world.deliver(peer, &packet);
            }
            world.tick();
        }
        let room = world.worker.room(ROOM).unwrap();
        let by_leg = |leg| {
            peers
                .iter()
                .position(|peer| world.worker.place(peer.leg) == Some(leg))
                .unwrap()
        };
        let mut sits: Vec<usize> = room.members().iter().map(|at| by_leg(*at)).collect();
        sits.sort_unstable();
        let want: Vec<usize> = (0..SIZE).filter(|n| ledger[*n].sits).collect();
        assert_eq!(sits, want, "step {step}");
        for at in room.heard() {
            let entry = ledger[by_leg(at)];
            assert!(entry.sits && entry.seat.speaks, "step {step}: {entry:?} is heard");
        }
        if step % 100 == 0 {
            whole(&mut world, &peers, &streams, &ledger, step);
        }
        peers.iter().for_each(|peer| drop(world.take(peer)));
    }
}

/// What everybody hears is what the ledger says.
fn whole(world: &mut World, peers: &[Peer], streams: &[Stream], ledger: &[Entry], step: usize) {
    for (n, entry) in ledger.iter().enumerate().filter(|(_, entry)| entry.sits) {
        let heard = world.take(&peers[n]);
        let rate = streams[n].codec.rate();
        let pcm = listen_at(rate, streams[n].codec, &heard);
        let pcm = &pcm[pcm.len() - rate.hz() as usize / 2..];
        let spectrum: Vec<f64> = pcm
            .iter()
            .enumerate()
            .map(|(at, sample)| f64::from(*sample) * window(at, pcm.len()))
            .collect();
        for (other, entry_of) in ledger.iter().enumerate() {
            let level = at(&spectrum, rate, f64::from(tone(other as u8 + 1)));
            let is_there = other != n && entry.seat.hears && entry_of.sits && entry_of.seat.speaks && entry_of.says;
            // Twelve tones of -10 dBm0 are above half of full scale together: they are bent.
            let ok = if is_there {
                (-15.0..-8.0).contains(&level)
            } else {
                level < -32.0
            };
            assert!(ok, "step {step}: {n} hears {other} at {level}, {entry:?}, {entry_of:?}");
        }
    }
}

/// Three who speak in turn: whoever hears them hears the right one within 100 ms.
#[test]
fn speech_in_turns_is_heard_by_the_third_within_a_tenth_of_a_second() {
    let codecs = [Codec::Pcma, Codec::Opus, Codec::G722, Codec::Pcmu];
    let streams = codecs.map(stream);
    let spec = RoomSpec {
        levels: true,
        gate: true,
        forwards: false,
        ..spec(Rate::Wide, 3)
    };
    let (mut world, mut peers) = room(spec, &streams);
    let speech: Vec<Vec<i16>> = (0..3)
        .map(|n| codecs::speech::synthesise(8_000 * (n + 4), -20.0, 8_000)[8_000 * n..].to_vec())
        .collect();
    let mut said: Vec<i16> = Vec::new();
    talk(&mut world, &mut peers, 30, 0);
    drop(world.take(&peers[3]));
    for turn in 0..9 {
        for frame in 0..50 {
            let at = (turn / 3 * 50 + frame) * 160;
            for (n, peer) in peers.iter_mut().enumerate() {
                let speaks = n == turn % 3;
                let pcm = if speaks {
                    speech[n][at..at + 160].to_vec()
                } else {
                    vec![0; 160]
                };
                if speaks {
                    said.extend(&pcm);
                }
                let packet = peer.say(&pcm);
                world.deliver(peer, &packet);
            }
            world.tick();
        }
    }
    let heard = listen(Codec::Pcmu, &world.take(&peers[3]));
    // From 100 ms after each change: what is heard is what was said, up to 120 ms before.
    for turn in 0..9 {
        let from = turn * 8_000 + 800;
        let length = 6_000;
        let best = (0..960)
            .step_by(4)
            .map(|delay| {
                correlation(
                    &said[from..from + length],
                    &heard[from + delay..(from + delay + length).min(heard.len())],
                )
            })
            .fold(f64::MIN, f64::max);
        assert!(best > 0.8, "turn {turn}: {best}");
    }
}

/// From the arrival of a packet to when its sound goes out, whenever between two ticks it came: 20 ms to wait for jitter, up to 20 to wait for the
/// tick, and the filters between the rates.
#[test]
fn what_a_room_adds_to_the_way_is_bounded() {
    for (codec, phase) in [Codec::Pcma, Codec::G722]
        .into_iter()
        .flat_map(|codec| [0u64, 1, 7, 13, 19].map(|ms| (codec, ms)))
    {
        let (mut world, mut peers) = room(spec(Rate::Wide, 3), &[stream(Codec::Pcma), stream(codec)]);
        let said = codecs::speech::synthesise(8_000 * 4, -20.0, 8_000);
        let start = world.now;
        for (tick, frame) in (0u64..).zip(said.chunks_exact(160)) {
            let before = start + Duration::from_millis(20 * tick);
            world.now = before + Duration::from_millis(phase);
            let packet = peers[0].say(frame);
            world.deliver(&peers[0], &packet);
            world.now = before;
            world.tick();
        }
        let heard = world.take(&peers[1]);
        let first = heard[0].at.since(start).as_millis() as i64;
        let pcm = listen(codec, &heard);
        let (from, length) = (8_000, 16_000);
        let (_, lag) = (0..960)
            .map(|lag| {
                (
                    correlation(&said[from..from + length], &pcm[from + lag..from + lag + length]),
                    lag,
                )
            })
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .unwrap();
        let delay = first - phase as i64 + lag as i64 / 8;
        assert!((20..=48).contains(&delay), "{codec:?} at {phase} ms: {delay} ms");
    }
}

fn correlation(one: &[i16], other: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let one = &one[..other.len().min(one.len())];
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt().max(1.0)
}

/// An end of a pipe in memory.
#[derive(Debug)]
struct End(mpsc::Sender<Vec<i16>>, mpsc::Receiver<Vec<i16>>);

impl Pipe for End {
    fn put(&mut self, pcm: &[i16]) {
        // The other part may be gone.
        let _ = self.0.send(pcm.to_vec());
    }

    fn take(&mut self, pcm: &mut [i16]) -> bool {
        self.1.try_recv().is_ok_and(|step| {
            pcm.copy_from_slice(&step);
            true
        })
    }
}

#[derive(Debug)]
struct InMemory;

impl Pipes for InMemory {
    fn pair(&mut self, _: usize) -> [Box<dyn Pipe>; 2] {
        let ((there, from_here), (back, from_there)) = (mpsc::channel(), mpsc::channel());
        [Box::new(End(there, from_there)), Box::new(End(back, from_here))]
    }
}

/// Three parts of a room, each with a speaker and a listener: every listener hears all three, once.
#[test]
fn the_parts_of_a_room_are_one() {
    [Rate::Wide, Rate::Full].into_iter().for_each(parts_are_one);
}

fn parts_are_one(rate: Rate) {
    let mut world = World::of(64);
    world.preparer = std::mem::take(&mut world.preparer).piping(Box::new(InMemory));
    let parts = [MediaRoomId(1), MediaRoomId(2), MediaRoomId(3)];
    for id in parts {
        world.command(Command::OpenRoom(RoomSpec { id, ..spec(rate, 4) }));
    }
    for room in parts {
        for to in parts.into_iter().filter(|to| *to != room) {
            world.command(Command::LinkRoom { room, to });
        }
    }
    let mut peers: Vec<Peer> = (1..=6u8)
        .map(|n| {
            let peer = world.peer(n, stream(Codec::Pcma), tone(n));
            world.function(peer.leg, Function::Room(parts[usize::from(n - 1) % 3]));
            peer
        })
        .collect();
    talk(&mut world, &mut peers, 60, 3);
    for (n, peer) in peers.iter().enumerate() {
        let pcm = listen(Codec::Pcma, &world.take(peer));
        for other in 0..3 {
            let level = level(&pcm, tone(other as u8 + 1));
            let ok = if other == n {
                level < -40.0
            } else {
                (level + 10.0).abs() < 1.0
            };
            assert!(ok, "{n} hears {other} at {level}, {rate:?}");
        }
    }
    // A part that ends takes its own with it.
    world.command(Command::CloseRoom(parts[0]));
    talk(&mut world, &mut peers, 20, 3);
    peers.iter().for_each(|peer| drop(world.take(peer)));
    talk(&mut world, &mut peers, 30, 3);
    let pcm = listen(Codec::Pcma, &world.take(&peers[5]));
    let heard = [1, 2].map(|n| level(&pcm, tone(n)));
    assert!(heard[0] < -40.0 && (heard[1] + 10.0).abs() < 1.0, "{heard:?}");
}

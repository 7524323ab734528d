//! How it sounds, in numbers: between G.711 and Opus without loss, with loss and FEC, through bursts, and over an hour in which the
//! clocks of both sides differ.

use super::sim::*;
use super::*;
use crate::media::command::{Command, LegStats, OpusParams, Stream};
use codecs::level::Level;
use codecs::opus::{Decoder, Encoder, EncoderParams};
use codecs::spectrum::{Dominant, dominant};
use codecs::speech::snr_db;
use codecs::tone::Sine;
use codecs::{Codec, g711};
use std::time::Duration;

const TONES: [f32; 6] = [400.0, 440.0, 697.0, 1_004.0, 1_500.0, 2_500.0];
const FRAME: usize = 160;

/// What an Opus leg has by default, without FEC.
fn opus(fec: bool) -> Stream {
    Stream {
        opus: OpusParams {
            fec,
            bitrate: 24_000,
            complexity: 5,
            ..OpusParams::default()
        },
        ..stream(Codec::Opus)
    }
}

fn settings(fec: bool) -> EncoderParams {
    EncoderParams {
        bitrate: 24_000,
        complexity: 5,
        fec,
        expected_loss_percent: if fec { 10 } else { 0 },
        dtx: false,
    }
}

/// By espeak-ng, at 8 kHz: fixtures/audio/speech/README.md.
fn speech() -> Vec<i16> {
    let octets = include_bytes!("../../../fixtures/audio/speech/espeak-ng.s16");
    let pairs = octets.chunks_exact(2);
    pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn tone(hz: f32, seconds: usize) -> Vec<i16> {
    let mut pcm = vec![0; seconds * 8_000];
    Sine::new(hz, -10.0, 8_000).fill(&mut pcm);
    pcm
}

/// The same chance each time.
struct Dice(u64);

impl Dice {
    /// True with this probability.
    fn roll(&mut self, probability: f64) -> bool {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64) < probability * f64::from(1u32 << 31)
    }
}

/// One side says this, by a network that loses some of it: what the other side is sent, and the statistics.
fn call(from: Stream, to: Stream, pcm: &[i16], fec: bool, mut is_lost: impl FnMut() -> bool) -> (Vec<Heard>, LegStats) {
    let mut world = World::new();
    let (mut a, b) = (world.peer(1, from, 440.0), world.peer(2, to, 440.0));
    a.encode_by(settings(fec));
    world.bridge(&a, &b);
    let frames = pcm.chunks_exact(FRAME);
    let last = frames.len() - 1;
    for (n, frame) in frames.enumerate() {
        let packet = a.say(frame);
        // What is heard begins with the first and ends with the last.
        if n == 0 || n == last || !is_lost() {
            world.deliver(&a, &packet);
        }
        world.tick();
    }
    world.ticks(10);
    let stats = world.stats(&a);
    let heard = world.take(&b);
    for leg in [a.leg, b.leg] {
        world.command(Command::Close(leg));
    }
    assert!(world.worker.is_empty());
    (heard, stats)
}

/// The same frames through both codecs, without a node.
fn alone(from: Codec, pcm: &[i16]) -> Vec<i16> {
    let (mut encoder, mut decoder) = (
        Encoder::new(8_000, settings(false)).unwrap(),
        Decoder::new(8_000).unwrap(),
    );
    let mut by_opus = |frame: &[i16]| {
        let (mut packet, mut out) = ([0; 1_300], [0; FRAME]);
        let len = encoder.encode(frame, &mut packet).unwrap();
        decoder.decode(&packet[..len], &mut out).unwrap();
        out
    };
    let by_alaw = |frame: &[i16]| -> Vec<i16> {
        let codes = frame.iter().map(|sample| g711::encode_alaw(*sample));
        codes.map(g711::decode_alaw).collect()
    };
    let frames = pcm.chunks_exact(FRAME);
    if from == Codec::Opus {
        frames.flat_map(|frame| by_alaw(&by_opus(frame))).collect()
    } else {
        frames.flat_map(|frame| by_opus(&by_alaw(frame))).collect()
    }
}

/// Without the first 200 ms, in which a codec settles.
fn found(pcm: &[i16]) -> Dominant {
    dominant(&pcm[1_600..], 8_000).unwrap()
}

#[test]
fn a_tone_through_both_codecs_is_what_libopus_alone_makes_of_it() {
    for (from, to) in [(stream(Codec::Pcma), opus(false)), (opus(false), stream(Codec::Pcma))] {
        for hz in TONES {
            let pcm = tone(hz, 2);
            let (heard, stats) = call(from, to, &pcm, false, || false);
            let ours = found(&listen(to.codec, &heard));
            let theirs = found(&alone(from.codec, &pcm));
            let told = format!("{:?}, {hz} Hz: {ours:?}, alone {theirs:?}", from.codec);
            assert!(ours.is(hz, 18.0), "{told}");
            assert!((ours.level_dbm0 - theirs.level_dbm0).abs() < 0.5, "{told}");
            assert!((ours.level_dbm0 + 10.0).abs() < 0.5, "{told}");
            assert!(ours.over_rest_db > theirs.over_rest_db - 1.0, "{told}");
            assert_eq!((stats.lost, stats.late, stats.concealed, stats.dropped), (0, 0, 0, 0));
        }
    }
}

/// The longest time, in ms, in which something was said and it is as if it was not: 20 dB less of it are heard than without loss.
fn silenced_ms(clean: &[i16], heard: &[i16]) -> usize {
    let pieces = clean.chunks_exact(80).zip(heard.chunks_exact(80));
    let (mut longest, mut run) = (0, 0);
    for (clean, heard) in pieces {
        let (said, got) = (Level::of(clean).rms_dbm0(), Level::of(heard).rms_dbm0());
        run = if said > -40.0 && got < said - 20.0 { run + 10 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Two packets in a row are 40 ms. What concealment makes of them is less, but for the low tone, of which libopus keeps little.
#[test]
fn with_five_percent_of_loss_and_fec_no_gap_is_heard() {
    let sounds = [(speech(), 40, 40), (tone(440.0, 10), 40, 6), (tone(1_004.0, 10), 20, 6)];
    for (sound, most, seeds) in &sounds {
        for (from, to) in [(opus(true), stream(Codec::Pcma)), (stream(Codec::Pcmu), opus(true))] {
            let (clean, _) = call(from, to, sound, true, || false);
            let clean = listen(to.codec, &clean);
            for seed in 1..=*seeds {
                let mut dice = Dice(seed);
                let (heard, stats) = call(from, to, sound, true, || dice.roll(0.05));
                let heard = listen(to.codec, &heard);
                let share = stats.lost as f64 / (sound.len() / FRAME) as f64;
                assert!((0.02..0.09).contains(&share), "{share}");
                assert_eq!(heard.len(), clean.len(), "{:?}, seed {seed}", from.codec);
                let gap = silenced_ms(&clean, &heard);
                assert!(gap <= *most, "{:?}, seed {seed}: {gap} ms", from.codec);
            }
        }
    }
}

/// The copies of what was lost are used, and those that we send can be: with them what is heard is nearer to what was said.
#[test]
fn fec_brings_back_what_was_lost() {
    let speech = speech();
    let snr = |fec: bool, by_us: bool| {
        let (first, second) = (stream(Codec::Pcma), opus(fec));
        let pass = |loss: f64| {
            let mut dice = Dice(3);
            // Our own copies: one node encodes, the network loses, another node decodes.
            let heard = if by_us {
                let (sent, _) = call(first, second, &speech, fec, || false);
                again(&sent, || dice.roll(loss))
            } else {
                call(second, first, &speech, fec, || dice.roll(loss)).0
            };
            listen(Codec::Pcma, &heard)
        };
        snr_db(&pass(0.0), &pass(0.05))
    };
    for by_us in [false, true] {
        let (with, without) = (snr(true, by_us), snr(false, by_us));
        assert!(
            with > without + 5.0,
            "with FEC {with} dB, without {without} dB, ours: {by_us}"
        );
    }
}

/// What one node has sent as Opus, through another to G.711.
fn again(sent: &[Heard], mut is_lost: impl FnMut() -> bool) -> Vec<Heard> {
    let mut world = World::new();
    let (mut a, b) = (
        world.peer(1, opus(true), 440.0),
        world.peer(2, stream(Codec::Pcma), 440.0),
    );
    world.bridge(&a, &b);
    for (n, packet) in sent.iter().enumerate() {
        let packet = a.packet(packet.marker, 111, packet.timestamp, &packet.payload);
        if n == 0 || n + 1 == sent.len() || !is_lost() {
            world.deliver(&a, &packet);
        }
        world.tick();
    }
    world.ticks(10);
    world.take(&b)
}

/// A fifth is lost, 120 ms at a time in the mean: what comes is heard all the way, and afterwards all is as before.
#[test]
fn a_call_survives_bursts_of_loss() {
    let said: Vec<i16> = speech().into_iter().cycle().take(8_000 * 40).collect();
    let bad = said.len() * 9 / 10 / FRAME;
    for (from, to) in [
        (stream(Codec::Pcma), stream(Codec::Pcma)),
        (stream(Codec::Pcma), opus(false)),
        (opus(true), stream(Codec::Pcmu)),
    ] {
        let (clean, _) = call(from, to, &said, true, || false);
        for seed in 1..=2 {
            let (mut dice, mut is_bad, mut n) = (Dice(seed), false, 0);
            let (heard, stats) = call(from, to, &said, true, || {
                is_bad = dice.roll(if is_bad { 5.0 / 6.0 } else { 1.0 / 24.0 });
                n += 1;
                is_bad && n < bad
            });
            let share = stats.lost as f64 / bad as f64;
            assert!((0.12..0.28).contains(&share), "{share}");
            assert_eq!((stats.late, stats.dropped), (0, 0));
            let (clean, heard) = (listen(to.codec, &clean), listen(to.codec, &heard));
            assert_eq!(heard.len(), clean.len(), "{:?}", from.codec);
            let windows = clean.chunks_exact(16_000).zip(heard.chunks_exact(16_000));
            for (n, (clean, heard)) in windows.enumerate() {
                let step = Level::of(heard).rms_dbm0() - Level::of(clean).rms_dbm0();
                assert!(
                    (-6.0..3.0).contains(&step),
                    "{:?}, 2 s number {n}: {step} dB",
                    from.codec
                );
            }
            // Half a second after the last of them.
            let after = bad * FRAME + 4_000;
            let (clean, heard) = (&clean[after..], &heard[after..]);
            let step = Level::of(heard).rms_dbm0() - Level::of(clean).rms_dbm0();
            assert!(
                silenced_ms(clean, heard) == 0 && step.abs() < 0.3,
                "{:?}: {step} dB",
                from.codec
            );
        }
    }
}

/// One side of a call whose clock is not ours.
struct Skewed {
    peer: Peer,
    /// Packets that are sent again and again.
    payloads: Vec<Vec<u8>>,
    /// Nanoseconds from one packet to the next, by our clock.
    step: u64,
    sent: u64,
    dice: Dice,
    /// What the other side got of it: the first timestamp, the last packet, packets in all, the longest delay.
    first: Option<u32>,
    last: Option<Heard>,
    count: u64,
    delay: Duration,
}

impl Skewed {
    fn new(mut peer: Peer, ppm: i64, seed: u64) -> Skewed {
        let payloads = (0..50).map(|_| peer.speak()[12..].to_vec()).collect();
        Skewed {
            peer,
            payloads,
            step: (20_000_000 - 20 * ppm) as u64,
            sent: 0,
            dice: Dice(seed),
            first: None,
            last: None,
            count: 0,
            delay: Duration::ZERO,
        }
    }

    /// When a packet arrives: at times 12 ms late.
    fn due(&mut self, start: Instant) -> Instant {
        let jitter = if self.dice.roll(0.2) { 12 } else { 0 };
        start + Duration::from_nanos(self.sent * self.step) + Duration::from_millis(jitter)
    }

    fn next(&mut self) -> Vec<u8> {
        let timestamp = self.peer.timestamp;
        let payload = &self.payloads[self.sent as usize % self.payloads.len()];
        let packet = self.peer.packet(false, self.peer.payload_type, timestamp, payload);
        let clock = if self.peer.payload_type == 111 { 960 } else { 160 };
        self.peer.timestamp = timestamp.wrapping_add(clock);
        self.sent += 1;
        packet
    }

    /// What comes out at the other side is whole, in step, and not late.
    fn heard(&mut self, start: Instant, packets: Vec<Heard>, ratio: u32) {
        for packet in packets {
            let first = *self.first.get_or_insert(packet.timestamp);
            if let Some(last) = &self.last {
                assert_eq!(packet.sequence, last.sequence.wrapping_add(1));
                assert_eq!(packet.timestamp, last.timestamp.wrapping_add(160 * ratio), "a gap");
            }
            let place = u64::from(packet.timestamp.wrapping_sub(first) / ratio) / FRAME as u64;
            let said = start + Duration::from_nanos(place * self.step);
            self.delay = self.delay.max(packet.at.since(said));
            self.count += 1;
            self.last = Some(packet);
        }
    }
}

/// An hour in which one side's clock is 100 ppm fast and the other's as slow: one sends 18 packets more than by a clock that is right,
/// the other 18 fewer. Nothing piles up, nothing runs dry, nothing is late.
fn an_hour(one: Stream, other: Stream) {
    const HOUR: u64 = 3_600 * 50;
    let mut world = World::new();
    let (a, b) = (world.peer(1, one, 440.0), world.peer(2, other, 1_000.0));
    world.bridge(&a, &b);
    let start = world.now;
    let mut sides = [Skewed::new(a, 100, 1), Skewed::new(b, -100, 2)];
    let mut dues = [sides[0].due(start), sides[1].due(start)];
    for tick in 0..HOUR {
        let before = start + Duration::from_millis(20 * tick);
        let now = before + Duration::from_millis(20);
        for (side, due) in sides.iter_mut().zip(&mut dues) {
            while *due < now {
                world.now = *due;
                let packet = side.next();
                world.deliver(&side.peer, &packet);
                *due = side.due(start).max(*due);
            }
        }
        world.now = before;
        world.tick();
        let ratios = [other, one].map(|stream| stream.codec.clock() / 8_000);
        let [a, b] = [&sides[1].peer, &sides[0].peer].map(|peer| world.take(peer));
        sides[0].heard(start, a, ratios[0]);
        sides[1].heard(start, b, ratios[1]);
    }
    for side in &sides {
        let stats = world.stats(&side.peer);
        assert_eq!((stats.lost, stats.late, stats.concealed, stats.dropped), (0, 0, 0, 0));
        assert!(side.sent - side.count <= 2, "{} of {}", side.count, side.sent);
        assert!(side.delay < Duration::from_millis(60), "{:?}", side.delay);
    }
    let [fast, slow] = [&sides[0], &sides[1]].map(|side| side.sent as i64 - HOUR as i64);
    assert!(
        (17..=19).contains(&fast) && (-19..=-17).contains(&slow),
        "{fast} {slow}"
    );
}

#[test]
fn an_hour_of_clocks_that_differ_relayed() {
    an_hour(stream(Codec::Pcma), stream(Codec::Pcma));
}

#[test]
fn an_hour_of_clocks_that_differ_transcoded() {
    an_hour(stream(Codec::Pcma), stream(Codec::Opus));
}

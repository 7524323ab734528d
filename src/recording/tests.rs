//! Two peers and a network of any kind between them and the recording: what is in which channel, and when.

use super::timeline::Timeline;
use crate::media::command::Side;
use crate::media::tap::Heard;
use crate::time::Instant;
use codecs::tone::Sine;
use codecs::{Codec, Rate, g711, g722, goertzel, opus};
use proptest::prelude::*;
use std::time::Duration;

const START: Instant = Instant::from_nanos(77_000_000_000);

/// A packet, and when it comes: microseconds after the start.
struct Arrival {
    us: u64,
    side: Side,
    codec: Codec,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Arrival {
    fn heard(&self) -> Heard<'_> {
        Heard {
            at: START + Duration::from_micros(self.us),
            codec: self.codec,
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload: &self.payload,
        }
    }
}

/// Packets of 20 ms, the first of which comes at `us`.
struct Peer {
    side: Side,
    codec: Codec,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    us: u64,
    encoder: opus::Encoder,
    g722: g722::Encoder,
}

impl Peer {
    fn new(side: Side, codec: Codec) -> Peer {
        let params = opus::EncoderParams {
            bitrate: 24_000,
            complexity: 0,
            fec: false,
            expected_loss_percent: 0,
            dtx: false,
        };
        Peer {
            side,
            codec,
            ssrc: side.index() as u32 + 7,
            sequence: 65_500,
            timestamp: u32::MAX - 10_000,
            us: 0,
            encoder: opus::Encoder::new(8_000, params).unwrap(),
            g722: g722::Encoder::new(Rate::Narrow),
        }
    }

    fn say(&mut self, pcm: &[i16]) -> Arrival {
        let mut payload = vec![0; 1_300];
        let len = match self.codec {
            Codec::Pcmu => g711::encode_ulaw_slice(pcm, &mut payload),
            Codec::Pcma => g711::encode_alaw_slice(pcm, &mut payload),
            Codec::G722 => self.g722.encode(pcm, &mut payload),
            Codec::Opus => self.encoder.encode(pcm, &mut payload).unwrap(),
        };
        let said = Arrival {
            us: self.us,
            side: self.side,
            codec: self.codec,
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload: payload[..len].to_vec(),
        };
        self.pass();
        said
    }

    /// 20 ms go by.
    fn pass(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock() / 50);
        self.us += 20_000;
    }

    fn tone(&mut self, hz: f32, packets: usize) -> Vec<Arrival> {
        let mut sine = Sine::new(hz, -10.0, 8_000);
        let mut pcm = [0; 160];
        (0..packets)
            .map(|_| {
                sine.fill(&mut pcm);
                self.say(&pcm)
            })
            .collect()
    }

    /// The same sample all the time: a gap is seen wherever it is.
    fn level(&mut self, packets: usize) -> Vec<Arrival> {
        (0..packets).map(|_| self.say(&[LEVEL; 160])).collect()
    }
}

/// As A-law has it.
const LEVEL: i16 = 8_064;

/// What is recorded of them in so many milliseconds: left and right.
fn record(mut arrivals: Vec<Arrival>, rate: u32, ms: u64) -> [Vec<i16>; 2] {
    arrivals.sort_by_key(|arrival| arrival.us);
    let mut timeline = Timeline::new(START, rate);
    let mut octets = Vec::new();
    let mut arrivals = arrivals.iter().peekable();
    for step in 0..=ms / 100 {
        let now = START + Duration::from_millis(step * 100);
        while let Some(next) = arrivals.next_if(|next| START + Duration::from_micros(next.us) <= now) {
            timeline.hear(next.side, &next.heard());
        }
        timeline.ready(now, &mut octets);
        let most = step.saturating_sub(14) * 100 * u64::from(rate) / 1_000 * 4;
        assert!(octets.len() as u64 <= most, "only what is old is given away");
    }
    timeline.finish(START + Duration::from_millis(ms), &mut octets);
    let sample = |frame: &[u8], at: usize| i16::from_le_bytes([frame[at], frame[at + 1]]);
    [0, 2].map(|at| octets.chunks(4).map(|frame| sample(frame, at)).collect())
}

/// From the first to the last sample that is not silence.
fn span(pcm: &[i16]) -> (usize, usize) {
    let is_loud = |sample: &i16| sample.abs() > 100;
    (
        pcm.iter().position(is_loud).unwrap(),
        pcm.iter().rposition(is_loud).unwrap() + 1,
    )
}

fn is_level(pcm: &[i16]) -> bool {
    pcm.iter().all(|sample| *sample == LEVEL)
}

#[test]
fn each_side_has_its_channel_in_each_codec_and_at_each_rate() {
    for rate in [8_000, 16_000] {
        for codecs in [
            (Codec::Pcma, Codec::Pcmu),
            (Codec::Opus, Codec::Pcma),
            (Codec::Pcmu, Codec::Opus),
            (Codec::G722, Codec::G722),
        ] {
            let mut arrivals = Peer::new(Side::Caller, codecs.0).tone(440.0, 100);
            arrivals.extend(Peer::new(Side::Callee, codecs.1).tone(1_000.0, 100));
            let [left, right] = record(arrivals, rate, 2_000);
            for (pcm, own, other) in [(left, 440.0, 1_000.0), (right, 1_000.0, 440.0)] {
                assert_eq!(pcm.len(), 2 * rate as usize);
                let level = |hz| goertzel::level_dbm0(&pcm[rate as usize / 5..], hz, rate);
                assert!((level(own) + 10.0).abs() < 1.5, "{codecs:?} at {rate}: {}", level(own));
                assert!(level(other) < -40.0, "{codecs:?} at {rate}: {}", level(other));
            }
        }
    }
}

#[test]
fn what_comes_later_is_later_in_the_file_and_pauses_are_silence() {
    let mut late = Peer::new(Side::Callee, Codec::Pcma);
    late.us = 300_000;
    let mut arrivals = late.level(10);
    // A pause that the timestamps count (a phone that sends nothing in silence), then two packets that are lost.
    (0..20).for_each(|_| late.pass());
    arrivals.extend(late.level(10));
    late.pass();
    late.pass();
    arrivals.extend(late.level(1));
    let [left, right] = record(arrivals, 8_000, 2_000);
    assert!(left.iter().all(|sample| *sample == 0) && left.len() == 16_000);
    let want = [(2_400, 4_000), (7_200, 8_800), (9_120, 9_280)];
    let mut before = 0;
    for (from, to) in want {
        assert!(right[before..from].iter().all(|sample| *sample == 0), "before {from}");
        assert!(is_level(&right[from..to]), "from {from}");
        before = to;
    }
    assert!(right[before..].iter().all(|sample| *sample == 0));
}

/// Up to 60 ms of jitter, which changes the order, and one second in which the network gives nothing and then all at once.
#[test]
fn the_network_moves_nothing() {
    for codec in [Codec::Pcma, Codec::G722, Codec::Opus] {
        let smooth = Peer::new(Side::Caller, codec).tone(440.0, 400);
        let mut rough = Peer::new(Side::Caller, codec).tone(440.0, 400);
        for (n, arrival) in rough.iter_mut().enumerate() {
            // Among those that wait is always one without delay: it tells where the others belong.
            let jitter = if arrival.us == 2_980_000 || n > 395 {
                0
            } else {
                [0, 60, 20, 40][n % 4]
            };
            arrival.us += jitter * 1_000;
            if (3_000_000..4_000_000).contains(&arrival.us) {
                arrival.us = 4_000_000;
            }
        }
        let [smooth, _] = record(smooth, 8_000, 8_100);
        let [rough, _] = record(rough, 8_000, 8_100);
        assert!(smooth == rough, "{codec:?}");
    }
}

/// An hour with clocks that differ by 100 ppm: 360 ms.
#[test]
fn clocks_that_differ_are_followed_without_a_gap() {
    for (side, fast) in [(Side::Caller, true), (Side::Callee, false)] {
        let mut peer = Peer::new(side, Codec::Pcma);
        let (mut arrivals, mut end) = (peer.level(180_000), 0);
        for (n, arrival) in (0u64..).zip(&mut arrivals) {
            let skew = arrival.us / 10_000;
            arrival.us = if fast { arrival.us - skew } else { arrival.us + skew };
            end = arrival.us as i64 * 8 / 1_000 + 160;
            arrival.us += n % 3 * 7_000;
        }
        let pcm = &record(arrivals, 8_000, 3_601_000)[side.index()];
        let (from, to) = span(pcm);
        assert!(from < 160, "{from}");
        assert!((to as i64 - end).abs() < 8 * 10, "it ends at {to}, and should at {end}");
        assert!(is_level(&pcm[from..to]), "there is a gap");
    }
}

/// After hold some phones go on with their timestamps where they were, some count anew; a transfer brings another stream.
#[test]
fn a_stream_that_stopped_or_jumped_goes_on_where_it_is() {
    let mut peer = Peer::new(Side::Caller, Codec::Pcma);
    let mut arrivals = peer.level(50);
    peer.us += 5_000_000;
    arrivals.extend(peer.level(50));
    peer.timestamp = peer.timestamp.wrapping_add(0x4000_0000);
    arrivals.extend(peer.level(50));
    peer.ssrc = 99;
    (peer.sequence, peer.timestamp) = (5, 5);
    arrivals.extend(peer.level(50));
    peer.codec = Codec::Pcmu;
    arrivals.extend(peer.level(50));
    let [left, _] = record(arrivals, 8_000, 10_500);
    assert!(is_level(&left[..8_000]));
    assert!(left[8_000..48_000].iter().all(|sample| *sample == 0));
    assert!(is_level(&left[48_000..72_000]), "one after the other");
    let ulaw = left[72_000];
    assert!((ulaw - LEVEL).abs() < 300 && left[72_000..80_000].iter().all(|sample| *sample == ulaw));
    assert_eq!(span(&left).1, 80_000);
}

/// A phone that counts anew under the same SSRC, and a thread that was held up by the disk for longer than lies ahead at once.
#[test]
fn numbers_that_begin_anew_and_a_late_look_lose_nothing() {
    let mut peer = Peer::new(Side::Caller, Codec::Pcma);
    peer.sequence = 40_000;
    let mut arrivals = peer.level(50);
    peer.sequence = 30_000;
    arrivals.extend(peer.level(50));
    let [left, _] = record(arrivals, 8_000, 2_500);
    assert_eq!(span(&left), (0, 16_000));
    assert!(is_level(&left[..16_000]));
    let mut timeline = Timeline::new(START, 8_000);
    for arrival in &Peer::new(Side::Caller, Codec::Pcma).level(240) {
        timeline.hear(arrival.side, &arrival.heard());
    }
    let mut octets = Vec::new();
    timeline.ready(START + Duration::from_secs(10), &mut octets);
    let left: Vec<i16> = octets
        .chunks(4)
        .map(|both| i16::from_le_bytes([both[0], both[1]]))
        .collect();
    assert_eq!((span(&left), timeline.lost()), ((0, 38_400), 0));
    assert!(is_level(&left[..38_400]));
}

/// A packet that is nothing for its codec, one with a timestamp from nowhere, and one that comes after its time.
#[test]
fn what_makes_no_sense_is_left_out() {
    let mut peer = Peer::new(Side::Caller, Codec::Opus);
    let mut arrivals = peer.tone(440.0, 100);
    let clean = record(Peer::new(Side::Caller, Codec::Opus).tone(440.0, 100), 8_000, 2_000);
    arrivals[50].payload = vec![0xff; 3];
    arrivals[60].timestamp = arrivals[60].timestamp.wrapping_add(0x1000_0000);
    arrivals[70].us += 900_000;
    let dirty = record(arrivals, 8_000, 2_000);
    assert_eq!(dirty[0].len(), clean[0].len());
    for lost in [50, 60, 70] {
        assert!(
            dirty[0][lost * 160..(lost + 1) * 160].iter().all(|sample| *sample == 0),
            "{lost}"
        );
    }
    assert_eq!(dirty[0][..8_000], clean[0][..8_000]);
    assert!(is_tone(&dirty[0][80 * 160..]), "the rest is where it was");
}

fn is_tone(pcm: &[i16]) -> bool {
    (goertzel::level_dbm0(pcm, 440.0, 8_000) + 10.0).abs() < 1.5
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, the file is as long as the call, and what waits is bounded.
    #[test]
    fn a_peer_cannot_stretch_the_file(packets in proptest::collection::vec(
        (0u64..3_000_000, any::<bool>(), 0u8..3, 0u32..3, any::<u16>(), any::<u32>(), 0usize..1_400), 0..300)) {
        let arrivals = packets.into_iter().map(|(us, caller, codec, ssrc, sequence, timestamp, len)| Arrival {
            us,
            side: if caller { Side::Caller } else { Side::Callee },
            codec: [Codec::Pcmu, Codec::Pcma, Codec::Opus][usize::from(codec)],
            ssrc,
            sequence,
            timestamp,
            payload: vec![0x55; len],
        });
        let [left, right] = record(arrivals.collect(), 8_000, 3_000);
        prop_assert_eq!(left.len(), right.len());
        prop_assert!((24_000..24_000 + 2 * 8_000).contains(&left.len()), "{}", left.len());
    }
}

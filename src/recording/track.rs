//! One side of a recording: packets as they came -> PCM, each piece with its place in time.
//!
//! Within a stream the timestamps say where a packet belongs, to the sample; when it came says so only within the jitter of the network.
//! But two clocks never agree, and the peer's may stop (hold) or jump (another phone behind the same leg). So each packet waits for
//! [`WAIT`], and the least delayed one among those that wait tells how far its stream has come away from our clock: a little, and the
//! stream is led back by one sample a packet; by much, and it begins anew where it is.

use crate::limits;
use crate::media::tap::Heard;
use codecs::resample::Resampler;
use codecs::{Codec, Rate, g711, g722, opus};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a packet waits for those that belong before it.
pub(super) const WAIT: Duration = Duration::from_millis(500);
/// A stream that is further away than this begins anew.
const JUMP_MS: i64 = 200;
/// Within this a stream is left alone.
const SLACK_MS: i64 = 5;
/// A packet that is further back than this is none that came late: its numbers begin anew (RFC 3550 A.1, MAX_MISORDER).
const MISORDER: i16 = 100;
/// The most that one packet holds, at 16 kHz: 120 ms of Opus, or as many octets of G.711 as there may be, and one sample more.
const PIECE_SAMPLES: usize = 2 * limits::RTP_PACKET_BYTES + 1;

/// PCM with its place: samples since the start of the recording.
pub(super) struct Piece<'p> {
    pub at: i64,
    pub pcm: &'p [i16],
}

struct Waiting {
    at: i64,
    codec: Codec,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload: Box<[u8]>,
}

impl Waiting {
    fn is_of(&self, codec: Codec, ssrc: u32) -> bool {
        (self.codec, self.ssrc) == (codec, ssrc)
    }
}

/// Where a stream stands: `timestamp` belongs to the sample `at`.
#[derive(Clone, Copy)]
struct Place {
    codec: Codec,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    at: i64,
}

enum Voice {
    Pcmu(Box<Resampler>),
    Pcma(Box<Resampler>),
    G722(g722::Decoder),
    Opus(opus::Decoder),
}

/// One side.
pub(super) struct Track {
    rate: u32,
    waiting: VecDeque<Waiting>,
    place: Option<Place>,
    voice: Option<Voice>,
    /// The first sample behind what was given out last.
    end: i64,
    pcm: Box<[i16; PIECE_SAMPLES]>,
    /// Packets that found no place: too late, too many, or nothing that the codec reads.
    pub lost: u64,
}

impl Track {
    pub(super) fn new(rate: u32) -> Track {
        Track {
            rate,
            waiting: VecDeque::new(),
            place: None,
            voice: None,
            end: 0,
            pcm: Box::new([0; PIECE_SAMPLES]),
            lost: 0,
        }
    }

    /// Takes a packet that came at this sample of our clock.
    pub(super) fn hear(&mut self, at: i64, heard: &Heard<'_>) {
        if self.waiting.len() >= limits::RECORDING_WAITING {
            self.lost += 1;
            return;
        }
        let follows = |before: &Waiting| {
            let ahead = heard.sequence.wrapping_sub(before.sequence) as i16;
            !before.is_of(heard.codec, heard.ssrc) || !(-MISORDER..0).contains(&ahead)
        };
        let place = self.waiting.iter().rposition(follows).map_or(0, |place| place + 1);
        let packet = Waiting {
            at,
            codec: heard.codec,
            ssrc: heard.ssrc,
            sequence: heard.sequence,
            timestamp: heard.timestamp,
            payload: heard.payload.into(),
        };
        self.waiting.insert(place, packet);
    }

    /// The next piece whose packet came before `until`.
    pub(super) fn next(&mut self, until: i64) -> Option<Piece<'_>> {
        let (at, samples) = loop {
            if self.waiting.front()?.at > until {
                return None;
            }
            let packet = self.waiting.pop_front()?;
            if let Some(found) = self.play(&packet) {
                break self.joined(found);
            }
            self.lost += 1;
        };
        self.end = at + samples as i64;
        Some(Piece {
            at,
            pcm: &self.pcm[..samples],
        })
    }

    fn play(&mut self, packet: &Waiting) -> Option<(i64, usize)> {
        let at = self.locate(packet)?;
        let samples = decode(self.voice.as_mut()?, &packet.payload, &mut self.pcm[..])?;
        Some((at, samples))
    }

    /// A sample that is missing where a stream was led back is as the one behind it: a zero would click.
    fn joined(&mut self, (at, samples): (i64, usize)) -> (i64, usize) {
        if at != self.end + 1 || samples == 0 {
            return (at, samples);
        }
        self.pcm.copy_within(..samples, 1);
        (self.end, samples + 1)
    }

    /// Where a packet belongs; none for one that comes too late.
    fn locate(&mut self, packet: &Waiting) -> Option<i64> {
        let (jump, slack) = (self.samples(JUMP_MS), self.samples(SLACK_MS));
        let Some(place) = self.place.filter(|place| packet.is_of(place.codec, place.ssrc)) else {
            return self.begin(packet);
        };
        let ahead = packet.sequence.wrapping_sub(place.sequence) as i16;
        if ahead < -MISORDER {
            return self.begin(packet);
        }
        if ahead <= 0 {
            return None;
        }
        let away = self.away(&place, packet);
        // Where nobody is near, it is the stream that has moved.
        let Some(least) = self.least_away(&place, packet) else {
            return self.begin(packet);
        };
        // Ahead of its own arrival, while the others are not: a timestamp that means nothing.
        if away < -jump {
            return None;
        }
        let nudge = i64::from(least > slack) - i64::from(least < -slack);
        Some(self.settle(packet, packet.at - away + nudge))
    }

    /// A stream begins: its least delayed packet belongs where it came.
    fn begin(&mut self, packet: &Waiting) -> Option<i64> {
        let is_same = self.place.is_some_and(|place| packet.is_of(place.codec, place.ssrc));
        if !is_same || self.voice.is_none() {
            self.voice = Voice::new(packet.codec, self.rate);
        }
        let fresh = Place {
            codec: packet.codec,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            at: packet.at,
        };
        let least = self.least_away(&fresh, packet).unwrap_or(0).min(0);
        let at = if is_same { self.end } else { i64::MIN };
        Some(self.settle(packet, (packet.at + least).max(at)))
    }

    fn settle(&mut self, packet: &Waiting, at: i64) -> i64 {
        self.place = Some(Place {
            codec: packet.codec,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            at,
        });
        at
    }

    /// How much later than its place a packet came, in samples.
    fn away(&self, place: &Place, packet: &Waiting) -> i64 {
        let ticks = i64::from(packet.timestamp.wrapping_sub(place.timestamp) as i32);
        packet.at - place.at - ticks * i64::from(self.rate) / i64::from(place.codec.clock())
    }

    /// The least of it among this packet and those that wait behind it, of those that are near.
    fn least_away(&self, place: &Place, packet: &Waiting) -> Option<i64> {
        let behind = self
            .waiting
            .iter()
            .take_while(|waiting| waiting.is_of(place.codec, place.ssrc));
        std::iter::once(packet)
            .chain(behind)
            .map(|waiting| self.away(place, waiting))
            .filter(|away| away.abs() <= self.samples(JUMP_MS))
            .min()
    }

    fn samples(&self, ms: i64) -> i64 {
        ms * i64::from(self.rate) / 1_000
    }
}

impl Voice {
    /// None when libopus has no memory: the side is then silent.
    fn new(codec: Codec, rate: u32) -> Option<Voice> {
        let up = || Resampler::new(8_000, rate).ok().map(Box::new);
        match codec {
            Codec::Pcmu => up().map(Voice::Pcmu),
            Codec::Pcma => up().map(Voice::Pcma),
            Codec::G722 => {
                let rate = if rate == Rate::Narrow.hz() {
                    Rate::Narrow
                } else {
                    Rate::Wide
                };
                Some(Voice::G722(g722::Decoder::new(rate)))
            }
            Codec::Opus => opus::Decoder::new(rate).ok().map(Voice::Opus),
        }
    }
}

/// Samples of a packet at the start of `out`; none where the codec cannot read it.
fn decode(voice: &mut Voice, payload: &[u8], out: &mut [i16]) -> Option<usize> {
    let mut narrow = [0; limits::RTP_PACKET_BYTES];
    match voice {
        Voice::Pcmu(up) => {
            let samples = g711::decode_ulaw_slice(payload, &mut narrow);
            Some(up.process(&narrow[..samples], out))
        }
        Voice::Pcma(up) => {
            let samples = g711::decode_alaw_slice(payload, &mut narrow);
            Some(up.process(&narrow[..samples], out))
        }
        Voice::G722(decoder) => Some(decoder.decode(payload, out)),
        Voice::Opus(decoder) => decoder.decode(payload, out).ok(),
    }
}

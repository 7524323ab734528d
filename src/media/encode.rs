//! From PCM at 8 kHz to packets of the agreed length.

use super::command::Stream;
use super::decode::{Lead, RATE};
use super::packet::TxBatch;
use super::sender::{Route, Sender};
use crate::time::Instant;
use codecs::{Codec, g711, opus};

/// The longest packet that we send: 60 ms.
const FRAME_MAX: usize = 480;
/// What Opus is told to expect, so that it adds FEC (it adds none at 0): a network that is worth the redundancy.
const EXPECTED_LOSS_PERCENT: u8 = 5;

enum Voice {
    Pcmu,
    Pcma,
    Opus(opus::Encoder),
}

/// The encoding half of a leg that is not just relayed.
pub struct Encode {
    voice: Voice,
    payload_type: u8,
    /// Samples of one packet.
    frame: usize,
    pending: [i16; FRAME_MAX],
    filled: usize,
    /// The timestamp of the first pending sample; `None` before a run.
    timestamp: Option<u32>,
    marker: bool,
    /// RTP ticks per sample.
    ratio: u32,
}

impl std::fmt::Debug for Encode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encode")
            .field("frame", &self.frame)
            .field("ratio", &self.ratio)
            .finish_non_exhaustive()
    }
}

/// Samples of one packet: the agreed length between 10 and 60 ms, for Opus the next shorter that it has (RFC 7587 7).
pub fn frame_samples(stream: &Stream) -> usize {
    let ms = usize::from(stream.ptime_ms.clamp(10, 60));
    let ms = match (stream.codec, ms) {
        (Codec::Pcmu | Codec::Pcma, ms) => ms,
        (Codec::Opus, ..20) => 10,
        (Codec::Opus, ..40) => 20,
        (Codec::Opus, ..60) => 40,
        (Codec::Opus, _) => 60,
    };
    ms * RATE as usize / 1_000
}

impl Encode {
    /// An encoder for what was agreed.
    ///
    /// # Errors
    /// As `opus::Encoder::new`: a parameter that libopus does not take, or no memory.
    pub fn new(stream: &Stream) -> Result<Self, opus::OpusError> {
        let voice = match stream.codec {
            Codec::Pcmu => Voice::Pcmu,
            Codec::Pcma => Voice::Pcma,
            Codec::Opus => {
                let params = opus::EncoderParams {
                    bitrate: stream.opus.bitrate.clamp(6_000, 510_000),
                    complexity: stream.opus.complexity.min(10),
                    fec: stream.opus.fec,
                    expected_loss_percent: if stream.opus.fec { EXPECTED_LOSS_PERCENT } else { 0 },
                    dtx: stream.opus.dtx,
                };
                Voice::Opus(opus::Encoder::new(RATE, params)?)
            }
        };
        Ok(Self {
            voice,
            payload_type: stream.payload_type_tx,
            frame: frame_samples(stream),
            pending: [0; FRAME_MAX],
            filled: 0,
            timestamp: None,
            marker: true,
            ratio: stream.codec.clock() / RATE,
        })
    }

    /// What comes next begins a new run; a packet that is not full is dropped.
    pub fn cut(&mut self) {
        self.filled = 0;
        self.timestamp = None;
    }

    /// The timestamp of what comes next, and RTP ticks per sample; `None` before a run.
    pub fn position(&self) -> Option<(u32, u32)> {
        self.timestamp
            .map(|timestamp| (timestamp.wrapping_add(self.filled as u32 * self.ratio), self.ratio))
    }

    /// Takes samples and sends every packet that they fill.
    pub fn push(
        &mut self,
        now: Instant,
        lead: Lead,
        pcm: &[i16],
        sender: &mut Sender,
        route: Route,
        out: &mut TxBatch,
    ) {
        match lead {
            Lead::Joined => {}
            Lead::After(samples) => self.pause(now, samples, sender, route, out),
            Lead::Anew => self.cut(),
        }
        let mut rest = pcm;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(self.frame - self.filled));
            self.pending[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            rest = after;
            if self.filled == self.frame {
                self.flush(now, sender, route, out);
            }
        }
    }

    /// The source pauses: what is pending is filled up with silence, and the timestamp goes on.
    fn pause(&mut self, now: Instant, samples: u32, sender: &mut Sender, route: Route, out: &mut TxBatch) {
        let mut left = samples;
        if self.filled > 0 {
            let padding = self.frame - self.filled;
            self.pending[self.filled..self.frame].fill(0);
            self.flush(now, sender, route, out);
            left = left.saturating_sub(padding as u32);
        }
        if let Some(timestamp) = self.timestamp.as_mut() {
            *timestamp = timestamp.wrapping_add(left.wrapping_mul(self.ratio));
        }
        self.marker |= left > 0;
    }

    fn flush(&mut self, now: Instant, sender: &mut Sender, route: Route, out: &mut TxBatch) {
        let timestamp = match self.timestamp {
            Some(timestamp) => timestamp,
            None => {
                self.marker = true;
                sender.run_timestamp(now)
            }
        };
        let (voice, pcm) = (&mut self.voice, &self.pending[..self.frame]);
        let header = (timestamp, self.marker, self.payload_type);
        let sent = sender.send_own(now, route, header, out, |payload| encode(voice, pcm, payload));
        // After a packet that DTX has swallowed, the next begins a talkspurt (RFC 3551 4.1).
        self.marker = !sent;
        self.filled = 0;
        self.timestamp = Some(timestamp.wrapping_add(self.frame as u32 * self.ratio));
    }
}

/// The payload's length; `None` for nothing to send.
fn encode(voice: &mut Voice, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
    match voice {
        Voice::Pcmu => Some(g711::encode_ulaw_slice(pcm, payload)),
        Voice::Pcma => Some(g711::encode_alaw_slice(pcm, payload)),
        Voice::Opus(encoder) => encoder.encode(pcm, payload).ok().filter(|len| *len > opus::DTX_OCTETS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::OpusParams;
    use crate::media::packet::LegIx;
    use crate::media::rtp::View;
    use std::net::SocketAddr;

    fn stream(codec: Codec, ptime_ms: u8) -> Stream {
        Stream {
            codec,
            payload_type_tx: 96,
            payload_type_rx: 96,
            ptime_ms,
            events_tx: None,
            events_rx: None,
            opus: OpusParams::default(),
            sends: true,
            receives: true,
        }
    }

    #[test]
    fn packet_lengths() {
        let cases = [
            (Codec::Pcma, 0, 80),
            (Codec::Pcma, 30, 240),
            (Codec::Pcma, 255, 480),
            (Codec::Opus, 10, 80),
            (Codec::Opus, 30, 160),
            (Codec::Opus, 50, 320),
            (Codec::Opus, 60, 480),
        ];
        for (codec, ptime, samples) in cases {
            assert_eq!(frame_samples(&stream(codec, ptime)), samples, "{codec:?} {ptime}");
        }
    }

    #[test]
    fn pieces_of_any_length_become_packets_of_one_length() {
        let mut encode = Encode::new(&stream(Codec::Pcma, 30)).unwrap();
        let mut sender = Sender::new(1, 0, 0);
        let mut out = TxBatch::new();
        let route = Route {
            leg: LegIx(0),
            to: SocketAddr::from(([127, 0, 0, 1], 9)),
        };
        for _ in 0..6 {
            encode.push(Instant::ZERO, Lead::Joined, &[100; 160], &mut sender, route, &mut out);
        }
        encode.push(Instant::ZERO, Lead::Joined, &[100; 40], &mut sender, route, &mut out);
        encode.push(
            Instant::ZERO,
            Lead::After(1_000),
            &[100; 240],
            &mut sender,
            route,
            &mut out,
        );
        let seen: Vec<_> = out
            .packets()
            .iter()
            .map(|p| View::parse(p.packet.as_slice()).unwrap())
            .map(|v| (v.sequence, v.timestamp, v.marker, v.payload.len()))
            .collect();
        let want = [
            (0, 0, true, 240),
            (1, 240, false, 240),
            (2, 480, false, 240),
            (3, 720, false, 240),
            (4, 960, false, 240),
            (5, 2_000, true, 240),
        ];
        assert_eq!(seen, want);
    }
}

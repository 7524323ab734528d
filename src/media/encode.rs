//! From PCM to packets of the agreed length.

use super::command::Stream;
use super::decode::{Lead, Ratio};
use super::packet::TxBatch;
use super::sender::{Route, Sender};
use super::tuning::{Setting, Tuning};
use crate::time::Instant;
use codecs::level::Level;
use codecs::noise::Noise;
use codecs::{Codec, Rate, g711, g722, opus};

/// The longest packet that we send: 60 ms at 16 kHz.
const FRAME_MAX: usize = 960;
/// Comfort noise, static (RFC 3551 6, RFC 3389).
pub const COMFORT_NOISE: u8 = 13;
/// Steps of a pause from one comfort noise packet to the next: half a second.
const NOISE_EVERY: u8 = 25;
/// How long a new encoder of G.722 is silent in a stream that has had another: a decoder is tuned to its encoder, and what a new one says
/// comes out of it at full scale.
const HUSH_MS: usize = 60;

enum Voice {
    Pcmu,
    Pcma,
    G722(g722::Encoder),
    Opus(Opus),
}

struct Opus {
    library: opus::Encoder,
    tuning: Tuning,
    set: Setting,
    /// The last frame had nothing new to say (DTX).
    rests: bool,
}

/// The encoding half of a leg that is not just relayed.
pub struct Encode {
    voice: Voice,
    payload_type: u8,
    /// Samples of one packet.
    frame: usize,
    pending: [i16; FRAME_MAX],
    filled: usize,
    /// Samples that are to be silent yet; `None` before the first packet.
    hush: Option<usize>,
    /// The timestamp of the first pending sample; `None` before a run.
    timestamp: Option<u32>,
    marker: bool,
    rate: Rate,
    ratio: Ratio,
    /// Steps of the pause that goes on.
    resting: u8,
    /// Samples by which packets that were filled up are ahead of the source: a pause makes up for them.
    ahead: u32,
}

impl std::fmt::Debug for Encode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encode")
            .field("frame", &self.frame)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// Samples of one packet at a rate: the agreed length between 10 and 60 ms, for Opus the next shorter that it has (RFC 7587 7).
pub fn frame_samples(stream: &Stream, rate: Rate) -> usize {
    let ms = usize::from(stream.ptime_ms.clamp(10, 60));
    let ms = match (stream.codec, ms) {
        (Codec::Pcmu | Codec::Pcma | Codec::G722, ms) => ms,
        (Codec::Opus, ..20) => 10,
        (Codec::Opus, ..40) => 20,
        (Codec::Opus, ..60) => 40,
        (Codec::Opus, _) => 60,
    };
    ms * rate.hz() as usize / 1_000
}

impl Encode {
    /// An encoder for what was agreed, of PCM at this rate or the highest that the codec has.
    ///
    /// # Errors
    /// As `opus::Encoder::new`: a parameter that libopus does not take, or no memory.
    pub fn new(stream: &Stream, rate: Rate) -> Result<Self, opus::OpusError> {
        let rate = rate.min(stream.codec.rate());
        let voice = match stream.codec {
            Codec::Pcmu => Voice::Pcmu,
            Codec::Pcma => Voice::Pcma,
            Codec::G722 => Voice::G722(g722::Encoder::new(rate)),
            Codec::Opus => Voice::Opus(Opus::new(stream, rate)?),
        };
        Ok(Self {
            voice,
            payload_type: stream.payload_type_tx,
            frame: frame_samples(stream, rate),
            pending: [0; FRAME_MAX],
            filled: 0,
            hush: None,
            timestamp: None,
            marker: true,
            rate,
            ratio: Ratio::new(stream.codec, rate),
            resting: 0,
            ahead: 0,
        })
    }

    /// What comes next begins a new run; a packet that is not full is dropped.
    pub fn cut(&mut self) {
        (self.filled, self.timestamp) = (0, None);
        (self.resting, self.ahead) = (0, 0);
    }

    /// Of the PCM.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The timestamp of what comes so many samples later; `None` before a run.
    pub fn position(&self, ahead: u32) -> Option<u32> {
        let ticks = self.ratio.ticks(ahead.wrapping_add(self.filled as u32));
        self.timestamp.map(|timestamp| timestamp.wrapping_add(ticks))
    }

    /// The timestamp of what came so many samples earlier; `None` before a run.
    pub fn position_before(&self, behind: u32) -> Option<u32> {
        self.position(0)
            .map(|position| position.wrapping_sub(self.ratio.ticks(behind)))
    }

    /// The peer reports its loss, in 1/256.
    pub fn reported(&mut self, fraction_lost: u8) {
        if let Voice::Opus(opus) = &mut self.voice {
            opus.tuning.reported(fraction_lost);
            opus.tune();
        }
    }

    /// The most complexity that there is a processor for.
    pub fn limit(&mut self, complexity: u8) {
        if let Voice::Opus(opus) = &mut self.voice {
            opus.tuning.limit(complexity);
            opus.tune();
        }
    }

    /// Of Opus.
    pub fn complexity(&self) -> Option<u8> {
        match &self.voice {
            Voice::Opus(opus) => Some(opus.set.complexity),
            Voice::Pcmu | Voice::Pcma | Voice::G722(_) => None,
        }
    }

    /// Takes a step of a pause for a peer that makes comfort noise itself: at the beginning and twice a second it is told how loud.
    pub fn rest(&mut self, now: Instant, pcm: &[i16], sender: &mut Sender, route: Route, out: &mut TxBatch) {
        self.pause(now, 0, sender, route, out);
        let timestamp = *self.timestamp.get_or_insert_with(|| sender.run_timestamp(now));
        if self.resting.is_multiple_of(NOISE_EVERY) {
            let level = Noise::octet(Level::of(pcm).rms_dbov());
            sender.send_own(now, route, (timestamp, false, COMFORT_NOISE), out, |space| {
                *space.first_mut()? = level;
                Some(1)
            });
        }
        self.resting = (self.resting + 1) % NOISE_EVERY;
        self.pause(now, pcm.len() as u32, sender, route, out);
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
        self.resting = 0;
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
        if self.filled > 0 {
            self.ahead += (self.frame - self.filled) as u32;
            self.pending[self.filled..self.frame].fill(0);
            self.flush(now, sender, route, out);
        }
        let left = samples.saturating_sub(self.ahead);
        self.ahead = self.ahead.saturating_sub(samples);
        if let Some(timestamp) = self.timestamp.as_mut() {
            *timestamp = timestamp.wrapping_add(self.ratio.ticks(left));
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
        let hush = self.hush.get_or_insert_with(|| match self.voice {
            Voice::G722(_) if sender.packets() > 0 => HUSH_MS * self.rate.hz() as usize / 1_000,
            Voice::Pcmu | Voice::Pcma | Voice::G722(_) | Voice::Opus(_) => 0,
        });
        let hushed = (*hush).min(self.frame);
        *hush -= hushed;
        self.pending[..hushed].fill(0);
        let (voice, pcm) = (&mut self.voice, &self.pending[..self.frame]);
        let header = (timestamp, self.marker, self.payload_type);
        let sent = sender.send_own(now, route, header, out, |payload| encode(voice, pcm, payload));
        // After a packet that DTX has swallowed, the next begins a talkspurt (RFC 3551 4.1).
        self.marker = !sent;
        self.filled = 0;
        self.timestamp = Some(timestamp.wrapping_add(self.ratio.ticks(self.frame as u32)));
    }
}

/// The payload's length; `None` for nothing to send.
fn encode(voice: &mut Voice, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
    match voice {
        Voice::Pcmu => Some(g711::encode_ulaw_slice(pcm, payload)),
        Voice::Pcma => Some(g711::encode_alaw_slice(pcm, payload)),
        Voice::G722(encoder) => Some(encoder.encode(pcm, payload)),
        Voice::Opus(opus) => opus.encode(pcm, payload),
    }
}

impl Opus {
    fn new(stream: &Stream, rate: Rate) -> Result<Self, opus::OpusError> {
        let tuning = Tuning::new(stream.opus);
        let set = tuning.setting();
        let params = opus::EncoderParams {
            bitrate: set.bitrate,
            complexity: set.complexity,
            fec: stream.opus.fec,
            expected_loss_percent: set.expected_loss,
            dtx: stream.opus.dtx,
        };
        Ok(Opus {
            library: opus::Encoder::new(rate.hz(), params)?,
            tuning,
            set,
            rests: false,
        })
    }

    /// Tells libopus what has changed.
    fn tune(&mut self) {
        let new = self.tuning.setting();
        let old = std::mem::replace(&mut self.set, new);
        // All are within the bounds that libopus has: should it refuse one, it goes on as before.
        if new.bitrate != old.bitrate {
            let _ = self.library.set_bitrate(new.bitrate);
        }
        if new.complexity != old.complexity {
            let _ = self.library.set_complexity(new.complexity);
        }
        if new.expected_loss != old.expected_loss {
            let _ = self.library.set_expected_loss(new.expected_loss);
        }
    }

    /// Of a pause the first packet is sent, by which a decoder knows it for one, and those that say how it sounds.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
        let len = self.library.encode(pcm, payload).ok()?;
        let rested = std::mem::replace(&mut self.rests, len <= opus::DTX_OCTETS);
        (!self.rests || !rested).then_some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::{Dtmf, OpusParams};
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
            dtmf: Dtmf::default(),
            opus: OpusParams::default(),
            gain: Default::default(),
            comfort_noise: false,
            sends: true,
            receives: true,
            udptl: false,
            carries_data: false,
        }
    }

    #[test]
    fn packet_lengths() {
        let cases = [
            (Codec::Pcma, 0, 80),
            (Codec::Pcma, 30, 240),
            (Codec::Pcma, 255, 480),
            (Codec::G722, 30, 240),
            (Codec::Opus, 10, 80),
            (Codec::Opus, 30, 160),
            (Codec::Opus, 50, 320),
            (Codec::Opus, 60, 480),
        ];
        for (codec, ptime, samples) in cases {
            let of = |rate| frame_samples(&stream(codec, ptime), rate);
            assert_eq!(of(Rate::Narrow), samples, "{codec:?} {ptime}");
            assert_eq!(of(Rate::Wide), 2 * samples, "{codec:?} {ptime}");
        }
    }

    /// What is sent of PCM at a rate: timestamps and payloads.
    fn seen(encode: &mut Encode, pushes: &[(Lead, usize)]) -> Vec<(u16, u32, bool, usize)> {
        let mut sender = Sender::new(1, 0, 0);
        let mut out = TxBatch::new();
        let route = Route {
            leg: LegIx(0),
            to: SocketAddr::from(([127, 0, 0, 1], 9)),
        };
        for (lead, samples) in pushes {
            let pcm = vec![100; *samples];
            encode.push(Instant::ZERO, *lead, &pcm, &mut sender, route, &mut out);
        }
        out.packets()
            .iter()
            .map(|p| View::parse(p.packet.as_slice()).unwrap())
            .map(|v| (v.sequence, v.timestamp, v.marker, v.payload.len()))
            .collect()
    }

    /// G.722 has a tick and an octet for one sample at 8 kHz, and for two at 16 kHz.
    #[test]
    fn pieces_of_any_length_become_packets_of_one_length() {
        for (codec, rate, scale) in [
            (Codec::Pcma, Rate::Narrow, 1),
            (Codec::Pcma, Rate::Wide, 1),
            (Codec::G722, Rate::Narrow, 1),
            (Codec::G722, Rate::Wide, 2),
        ] {
            let mut encode = Encode::new(&stream(codec, 30), rate).unwrap();
            let mut pushes = [(Lead::Joined, 160 * scale); 8];
            pushes[6] = (Lead::Joined, 40 * scale);
            pushes[7] = (Lead::After(1_000 * scale as u32), 240 * scale);
            let want = [
                (0, 0, true, 240),
                (1, 240, false, 240),
                (2, 480, false, 240),
                (3, 720, false, 240),
                (4, 960, false, 240),
                (5, 2_000, true, 240),
            ];
            assert_eq!(seen(&mut encode, &pushes), want, "{codec:?} {rate:?}");
            assert_eq!(encode.position(80 * scale as u32), Some(2_320));
        }
    }
}

//! From PCM to packets of the agreed length.

use super::coder::Coder;
use super::command::Stream;
use super::decode::Lead;
use super::packet::TxBatch;
use super::sender::{Route, Sender};
use crate::time::Instant;
use codecs::level::Level;
use codecs::noise::Noise;
use codecs::{Rate, opus};

pub use super::coder::frame_samples;

/// Comfort noise, static (RFC 3551 6, RFC 3389).
pub const COMFORT_NOISE: u8 = 13;
/// Steps of a pause from one comfort noise packet to the next: half a second.
const NOISE_EVERY: u8 = 25;
/// How long a new encoder of G.722 is silent in a stream that has had another: a decoder is tuned to its encoder, and what a new one says
/// comes out of it at full scale.
const HUSH_MS: usize = 60;

/// The encoding half of a leg that is not just relayed.
#[derive(Debug)]
pub struct Encode {
    coder: Coder,
    payload_type: u8,
    /// Samples that are to be silent yet; `None` before the first packet.
    hush: Option<usize>,
    /// The timestamp of the first pending sample; `None` before a run.
    timestamp: Option<u32>,
    marker: bool,
    /// Steps of the pause that goes on.
    resting: u8,
    /// Samples by which packets that were filled up are ahead of the source: a pause makes up for them.
    ahead: u32,
}

impl Encode {
    /// An encoder for what was agreed, of PCM at this rate or the highest that the codec has.
    ///
    /// # Errors
    /// As `opus::Encoder::new`: a parameter that libopus does not take, or no memory.
    pub fn new(stream: &Stream, rate: Rate) -> Result<Self, opus::OpusError> {
        Ok(Self {
            coder: Coder::new(stream, rate)?,
            payload_type: stream.payload_type_tx,
            hush: None,
            timestamp: None,
            marker: true,
            resting: 0,
            ahead: 0,
        })
    }

    /// What comes next begins a new run; a packet that is not full is dropped.
    pub fn cut(&mut self) {
        self.coder.clear();
        self.timestamp = None;
        (self.resting, self.ahead) = (0, 0);
    }

    /// Of the PCM.
    pub fn rate(&self) -> Rate {
        self.coder.rate()
    }

    /// The timestamp of what comes so many samples later; `None` before a run.
    pub fn position(&self, ahead: u32) -> Option<u32> {
        let ticks = self.coder.ticks(ahead.wrapping_add(self.coder.filled() as u32));
        self.timestamp.map(|timestamp| timestamp.wrapping_add(ticks))
    }

    /// The timestamp of what came so many samples earlier; `None` before a run.
    pub fn position_before(&self, behind: u32) -> Option<u32> {
        self.position(0)
            .map(|position| position.wrapping_sub(self.coder.ticks(behind)))
    }

    /// The peer reports its loss, in 1/256.
    pub fn reported(&mut self, fraction_lost: u8) {
        self.coder.reported(fraction_lost);
    }

    /// The most complexity that there is a processor for.
    pub fn limit(&mut self, complexity: u8) {
        self.coder.limit(complexity);
    }

    /// Of Opus.
    pub fn complexity(&self) -> Option<u8> {
        self.coder.complexity()
    }

    /// As `Coder::encodes`.
    pub fn encodes(&self) -> u64 {
        self.coder.encodes()
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
            rest = self.coder.take(rest);
            if self.coder.is_full() {
                self.flush(now, sender, route, out);
            }
        }
    }

    /// Sends a payload that another coder of the same codec and packet length has made; `None` is one that need not be sent.
    pub fn share(
        &mut self,
        now: Instant,
        payload: Option<&[u8]>,
        sender: &mut Sender,
        route: Route,
        out: &mut TxBatch,
    ) {
        self.packet(now, sender, route, out, |_, space| {
            let payload = payload?;
            space.get_mut(..payload.len())?.copy_from_slice(payload);
            Some(payload.len())
        });
    }

    /// Goes on where another coder is, whose payloads were sent until now (`Coder::follow`).
    pub fn follow(&mut self, other: &Coder, history: &[i16]) -> u64 {
        self.hush = Some(0);
        self.coder.follow(other, history)
    }

    /// Packets begin when those of another coder do.
    pub fn align(&mut self, other: &Coder) {
        if self.coder.frame() == other.frame() {
            self.coder.align(other);
        }
    }

    /// What comes next begins a new run, and nothing of it is there.
    pub fn is_fresh(&self) -> bool {
        self.timestamp.is_none() && self.coder.filled() == 0
    }

    /// The source pauses: what is pending is filled up with silence, and the timestamp goes on.
    fn pause(&mut self, now: Instant, samples: u32, sender: &mut Sender, route: Route, out: &mut TxBatch) {
        if self.coder.filled() > 0 {
            self.ahead += self.coder.fill_up() as u32;
            self.flush(now, sender, route, out);
        }
        let left = samples.saturating_sub(self.ahead);
        self.ahead = self.ahead.saturating_sub(samples);
        let ticks = self.coder.ticks(left);
        if let Some(timestamp) = self.timestamp.as_mut() {
            *timestamp = timestamp.wrapping_add(ticks);
        }
        self.marker |= left > 0;
    }

    fn flush(&mut self, now: Instant, sender: &mut Sender, route: Route, out: &mut TxBatch) {
        let hush = self.hush.get_or_insert_with(|| {
            if self.coder.is_delicate() && sender.packets() > 0 {
                HUSH_MS * self.coder.rate().hz() as usize / 1_000
            } else {
                0
            }
        });
        let hushed = (*hush).min(self.coder.frame());
        *hush -= hushed;
        self.coder.hush(hushed);
        self.packet(now, sender, route, out, Coder::encode);
    }

    /// Sends one packet; `write` writes its payload.
    fn packet(
        &mut self,
        now: Instant,
        sender: &mut Sender,
        route: Route,
        out: &mut TxBatch,
        write: impl FnOnce(&mut Coder, &mut [u8]) -> Option<usize>,
    ) {
        let timestamp = match self.timestamp {
            Some(timestamp) => timestamp,
            None => {
                self.marker = true;
                sender.run_timestamp(now)
            }
        };
        let (coder, header) = (&mut self.coder, (timestamp, self.marker, self.payload_type));
        let sent = sender.send_own(now, route, header, out, |space| write(coder, space));
        // After a packet that DTX has swallowed, the next begins a talkspurt (RFC 3551 4.1).
        self.marker = !sent;
        let ticks = self.coder.ticks(self.coder.frame() as u32);
        self.timestamp = Some(timestamp.wrapping_add(ticks));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::{Dtmf, OpusParams};
    use crate::media::packet::LegIx;
    use crate::media::rtp::View;
    use codecs::Codec;
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

//! From PCM to payloads of the agreed length, of any codec.

use super::command::Stream;
use super::ratio::Ratio;
use super::silence::Silence;
use super::tuning::{Setting, Tuning};
use codecs::{Codec, Rate, g711, g722, opus};

/// Packets from which an encoder of Opus gets the state that its decoder expects.
const PRIME_PACKETS: usize = 2;
/// Room for what nobody is sent.
const PRIME_OCTETS: usize = 400;

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
    /// What it says of zeros, for which it need not run.
    silence: Box<Silence>,
}

/// An encoder, with the samples that wait until they fill a packet.
pub struct Coder {
    voice: Voice,
    /// Samples of one packet.
    frame: usize,
    pending: Box<[i16]>,
    filled: usize,
    rate: Rate,
    ratio: Ratio,
    /// Packets for which the encoder was run, but for those of `prime`.
    encodes: u64,
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coder")
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

impl Coder {
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
        let frame = frame_samples(stream, rate);
        Ok(Self {
            voice,
            frame,
            pending: vec![0; frame].into(),
            filled: 0,
            rate,
            ratio: Ratio::new(stream.codec, rate),
            encodes: 0,
        })
    }

    /// Of the PCM.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Samples of one packet.
    pub fn frame(&self) -> usize {
        self.frame
    }

    /// Samples that wait.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// How many RTP ticks so many samples are.
    pub fn ticks(&self, samples: u32) -> u32 {
        self.ratio.ticks(samples)
    }

    /// What waits is dropped.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Takes what still fits into the packet, and gives back the rest; the packet is full when [`Coder::is_full`].
    pub fn take<'p>(&mut self, pcm: &'p [i16]) -> &'p [i16] {
        let (part, rest) = pcm.split_at(pcm.len().min(self.frame - self.filled));
        self.pending[self.filled..self.filled + part.len()].copy_from_slice(part);
        self.filled += part.len();
        rest
    }

    /// A whole packet waits: it is to be encoded before more is taken.
    pub fn is_full(&self) -> bool {
        self.filled == self.frame
    }

    /// Fills the packet up with silence; tells how many samples were missing.
    pub fn fill_up(&mut self) -> usize {
        let missing = self.frame - self.filled;
        self.pending[self.filled..self.frame].fill(0);
        self.filled = self.frame;
        missing
    }

    /// The first samples of the packet that waits are silent.
    pub fn hush(&mut self, samples: usize) {
        self.pending[..samples.min(self.frame)].fill(0);
    }

    /// Packets for which the encoder was run since it was made, but for those of `prime`: not those of silence that lasts.
    pub fn encodes(&self) -> u64 {
        self.encodes
    }

    /// The payload of the full packet: its length, or `None` where it need not be sent.
    pub fn encode(&mut self, payload: &mut [u8]) -> Option<usize> {
        self.filled = 0;
        let pcm = &self.pending[..self.frame];
        if let Voice::Opus(opus) = &mut self.voice
            && let Some(known) = opus.silence.repeat(pcm, payload)
        {
            return known;
        }
        self.encodes += 1;
        match &mut self.voice {
            Voice::Pcmu => Some(g711::encode_ulaw_slice(pcm, payload)),
            Voice::Pcma => Some(g711::encode_alaw_slice(pcm, payload)),
            Voice::G722(encoder) => Some(encoder.encode(pcm, payload)),
            Voice::Opus(opus) => opus.encode(pcm, payload),
        }
    }

    /// Goes on where another of the same codec, rate and packet length is, so that a decoder that has followed the other follows this one:
    /// the state of G.722 is the other's, and that of Opus is made by what was encoded last, newest last. Tells how many packets that took.
    pub fn follow(&mut self, other: &Coder, history: &[i16]) -> u64 {
        let told = &history[..history.len().saturating_sub(other.filled)];
        let primed = match (&mut self.voice, &other.voice) {
            (Voice::G722(own), Voice::G722(other)) => {
                own.follow(other);
                0
            }
            (Voice::Opus(_), Voice::Opus(_)) => self.prime(told),
            (
                Voice::Pcmu | Voice::Pcma | Voice::G722(_) | Voice::Opus(_),
                Voice::Pcmu | Voice::Pcma | Voice::G722(_) | Voice::Opus(_),
            ) => 0,
        };
        self.filled = other.filled.min(self.frame - 1);
        self.pending[..self.filled].copy_from_slice(&other.pending[..self.filled]);
        primed
    }

    /// Packets begin when those of another do: what is missing is silent.
    pub fn align(&mut self, other: &Coder) {
        self.wait(other.filled);
    }

    /// So many samples of silence wait.
    pub fn wait(&mut self, samples: usize) {
        self.filled = samples.min(self.frame - 1);
        self.pending[..self.filled].fill(0);
    }

    /// Encodes what went out by another encoder, for nobody, as far as this one needs it; tells how many packets that took.
    pub fn prime(&mut self, told: &[i16]) -> u64 {
        let mut payload = [0; PRIME_OCTETS];
        match &mut self.voice {
            Voice::Pcmu | Voice::Pcma => 0,
            // Its state is where any other's is that has coded the same for a tenth of a second.
            Voice::G722(encoder) => {
                for pcm in told.chunks(PRIME_OCTETS) {
                    encoder.encode(pcm, &mut payload);
                }
                1
            }
            Voice::Opus(opus) => {
                let from = told.len().saturating_sub(PRIME_PACKETS * self.frame);
                let packets = told[from..].chunks_exact(self.frame);
                // What it says of zeros is said by another.
                opus.silence.forget();
                packets
                    .map(|pcm| opus.rests = opus.run(pcm, &mut payload).is_none())
                    .map(|()| 1)
                    .sum()
            }
        }
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

    /// A decoder is tuned to its encoder: what another one says comes out of it at full scale at first.
    pub fn is_delicate(&self) -> bool {
        match self.voice {
            Voice::G722(_) => true,
            Voice::Pcmu | Voice::Pcma | Voice::Opus(_) => false,
        }
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
            silence: Box::new(Silence::new(frame_samples(stream, rate) * 1_000 / rate.hz() as usize)),
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

    /// What is said of silence is noted: where it lasts, the encoder need not run.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
        let len = self.run(pcm, payload);
        self.silence.said(len.map(|len| &payload[..len]));
        len
    }

    /// Of a pause the first packet is sent, by which a decoder knows it for one, and those that say how it sounds.
    fn run(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
        let len = self.library.encode(pcm, payload).ok()?;
        let rested = std::mem::replace(&mut self.rests, len <= opus::DTX_OCTETS);
        (!self.rests || !rested).then_some(len)
    }
}

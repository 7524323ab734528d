//! The decoders of all codecs, with what conceals their losses.

use super::pause::{Pause, Sound};
use codecs::plc::{Concealer, WideConcealer};
use codecs::{Codec, Rate, g711, g722, opus};

/// One of them. What is large is apart: the smallest is by far the most frequent.
pub enum Voice {
    Pcmu(Concealer),
    Pcma(Concealer),
    /// At 8 kHz. Over a loss the decoder stays as it was: it is nearer to its encoder then than after hearing what concealment made.
    NarrowG722(Box<(g722::Decoder, Concealer)>),
    /// At 16 kHz.
    G722(Box<(g722::Decoder, WideConcealer)>),
    Opus(opus::Decoder),
}

impl Voice {
    /// For PCM of this rate, which the codec has.
    ///
    /// # Errors
    /// As `opus::Decoder::new`: libopus has no memory.
    pub fn new(codec: Codec, rate: Rate) -> Result<Voice, opus::OpusError> {
        Ok(match (codec, rate) {
            (Codec::Pcmu, _) => Voice::Pcmu(Concealer::new()),
            (Codec::Pcma, _) => Voice::Pcma(Concealer::new()),
            (Codec::G722, Rate::Narrow) => Voice::NarrowG722(Box::new((g722::Decoder::new(rate), Concealer::new()))),
            (Codec::G722, Rate::Wide | Rate::Full) => {
                Voice::G722(Box::new((g722::Decoder::new(rate), WideConcealer::new())))
            }
            (Codec::Opus, _) => Voice::Opus(opus::Decoder::new(rate.hz())?),
        })
    }

    /// A new source: nothing of the old one continues.
    pub fn restart(&mut self) {
        match self {
            Voice::Pcmu(concealer) | Voice::Pcma(concealer) => *concealer = Concealer::new(),
            Voice::NarrowG722(both) => {
                both.0.reset();
                both.1 = Concealer::new();
            }
            Voice::G722(both) => {
                both.0.reset();
                both.1 = WideConcealer::new();
            }
            // A decoder that cannot be reset goes on with the old state, which fades within a packet or two.
            Voice::Opus(decoder) => drop(decoder.reset()),
        }
    }

    /// Whether a packet begins a pause that the decoder knows the sound of.
    pub fn rests_with(&self, payload: &[u8]) -> bool {
        matches!(self, Voice::Opus(_)) && payload.len() <= opus::DTX_OCTETS
    }

    /// How many samples a packet may hold.
    pub fn longest(&self, payload: &[u8], rate: Rate) -> usize {
        match self {
            Voice::Pcmu(_) | Voice::Pcma(_) | Voice::NarrowG722(_) => payload.len(),
            Voice::G722(_) => 2 * payload.len(),
            Voice::Opus(_) => opus::packet_samples(payload, rate.hz()).unwrap_or(0),
        }
    }

    /// Makes samples of a pause.
    pub fn rest(&mut self, pause: &mut Option<Pause>, sound: Sound, out: &mut [i16]) {
        match sound {
            Sound::Decoder => self.conceal(false, None, out),
            Sound::Noise(mut noise) => {
                noise.fill(out);
                if let Some(pause) = pause {
                    pause.sound = Sound::Noise(noise);
                }
                // Whatever comes next joins it.
                self.good(out);
            }
        }
    }

    /// Samples of a packet at the start of `out`, and 1 where they are made up, as many as the packet before had: garbage instead of audio is
    /// as if it were lost.
    pub fn take(&mut self, carries_data: bool, payload: &[u8], out: &mut [i16], frame: usize) -> (usize, u16) {
        match self.decode(payload, out) {
            Some(samples @ 1..) => (samples, 0),
            Some(0) | None => {
                let most = out.len().min(frame);
                self.conceal(carries_data, None, &mut out[..most]);
                (most, 1)
            }
        }
    }

    /// Samples of a packet at the start of `out`; `None` when it is not of this codec.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Option<usize> {
        let samples = match self {
            Voice::Pcmu(_) => g711::decode_ulaw_slice(payload, out),
            Voice::Pcma(_) => g711::decode_alaw_slice(payload, out),
            Voice::NarrowG722(both) => both.0.decode(payload, out),
            Voice::G722(both) => both.0.decode(payload, out),
            Voice::Opus(decoder) => decoder.decode(payload, out).ok()?,
        };
        self.good(&mut out[..samples]);
        Some(samples)
    }

    /// What was heard, for what conceals the next loss.
    fn good(&mut self, pcm: &mut [i16]) {
        match self {
            Voice::Pcmu(concealer) | Voice::Pcma(concealer) => concealer.good(pcm),
            Voice::NarrowG722(both) => both.1.good(pcm),
            Voice::G722(both) => both.1.good(pcm),
            Voice::Opus(_) => {}
        }
    }

    /// Fills `out` with what may have been said, or with silence where that would be taken for data; `following` may carry a copy of it (RFC
    /// 6716 2.1.7).
    pub fn conceal(&mut self, carries_data: bool, following: Option<&[u8]>, out: &mut [i16]) {
        match self {
            Voice::Pcmu(_) | Voice::Pcma(_) | Voice::NarrowG722(_) | Voice::G722(_) if carries_data => out.fill(0),
            Voice::Pcmu(concealer) | Voice::Pcma(concealer) => concealer.lost(out),
            Voice::NarrowG722(both) => both.1.lost(out),
            Voice::G722(both) => both.1.lost(out),
            Voice::Opus(decoder) => {
                let made = match following {
                    Some(packet) => decoder.decode_fec(packet, out).is_ok(),
                    None => false,
                };
                if !made && (carries_data || decoder.conceal(out).is_err()) {
                    out.fill(0);
                }
            }
        }
    }
}

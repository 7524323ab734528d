//! G.722: 7 kHz of sound in 64 kbit/s, one octet for two samples at 16 kHz (ITU-T G.722, mode 1; to the bit).
//!
//! A pair of mirror filters cuts the sound into two halves at 8 kHz each. The lower is coded in six bits a sample and the upper in two, each
//! as its difference from what was to be expected.
//!
//! For a call with telephone band on its other side ([`Rate::Narrow`]) samples are at 8 kHz, and resampled here. The lower half alone would
//! be that band too, at less cost, but not a clean one: of 3.3 and 4.7 kHz each half holds some of the other, which only both together undo.

mod band;
mod qmf;

use crate::Rate;
use crate::resample::Resampler;
use band::{High, Low};
use qmf::Mirror;

/// Samples of a half have 15 bits.
const HALF: std::ops::RangeInclusive<i32> = -16_384..=16_383;
/// Octets that are worked on at a time where samples are resampled: 10 ms.
const BLOCK: usize = 80;

/// The encoder of one stream. It allocates nothing after `new`.
#[derive(Clone, Debug)]
pub struct Encoder {
    to_wide: Option<Resampler>,
    coder: Coder,
}

impl Encoder {
    /// An encoder of samples at this rate, or at 16 kHz where that is lower, that has heard nothing yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            to_wide: resampler(rate, (Rate::Narrow, Rate::Wide)),
            coder: Coder::new(),
        }
    }

    /// Goes on where another one for the same rate is. It allocates nothing.
    pub fn follow(&mut self, other: &Encoder) {
        self.coder.clone_from(&other.coder);
        if let (Some(own), Some(other)) = (&mut self.to_wide, &other.to_wide) {
            own.follow(other);
        }
    }

    /// Encodes as many samples as both slices hold, and says how many octets that were: one a sample at 8 kHz, one for two at 16 kHz, of
    /// which one that is left over is not heard.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        let Some(to_wide) = self.to_wide.as_mut() else {
            return self.coder.encode(pcm, out);
        };
        let mut octets = 0;
        for (pcm, out) in pcm.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let mut wide = [0; 2 * BLOCK];
            let samples = to_wide.process(&pcm[..pcm.len().min(out.len())], &mut wide);
            octets += self.coder.encode(&wide[..samples], out);
        }
        octets
    }
}

/// The decoder of one stream. It allocates nothing after `new`.
#[derive(Clone, Debug)]
pub struct Decoder {
    to_narrow: Option<Resampler>,
    coder: Coder,
}

impl Decoder {
    /// A decoder to samples at this rate, or at 16 kHz where that is lower, for an encoder that begins.
    pub fn new(rate: Rate) -> Self {
        Self {
            to_narrow: resampler(rate, (Rate::Wide, Rate::Narrow)),
            coder: Coder::new(),
        }
    }

    /// Begins anew, for another encoder.
    pub fn reset(&mut self) {
        self.coder = Coder::new();
    }

    /// Decodes as many octets as both slices hold, and says how many samples that were: one an octet at 8 kHz, two at 16 kHz. All octets
    /// mean something.
    pub fn decode(&mut self, codes: &[u8], out: &mut [i16]) -> usize {
        let Some(to_narrow) = self.to_narrow.as_mut() else {
            return self.coder.decode(codes, out);
        };
        let mut samples = 0;
        for (codes, out) in codes.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let mut wide = [0; 2 * BLOCK];
            let length = self.coder.decode(&codes[..codes.len().min(out.len())], &mut wide);
            samples += to_narrow.process(&wide[..length], out);
        }
        samples
    }
}

/// Between the rate of the codec and that of the samples, where it is another.
fn resampler(rate: Rate, (from, to): (Rate, Rate)) -> Option<Resampler> {
    let is_needed = rate == Rate::Narrow;
    is_needed.then(|| Resampler::new(from.hz(), to.hz()).expect("a pair of its rates"))
}

/// What both ends have, at 16 kHz.
#[derive(Clone, Debug)]
struct Coder {
    mirror: Mirror,
    low: Low,
    high: High,
}

impl Coder {
    const fn new() -> Self {
        Self {
            mirror: Mirror::new(),
            low: Low::new(),
            high: High::new(),
        }
    }

    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        let each = |(code, pair): (&mut u8, &[i16])| {
            let (low, high) = self.mirror.split(pair[0], pair[1]);
            *code = self.high.encode(high) << 6 | self.low.encode(low);
        };
        out.iter_mut().zip(pcm.chunks_exact(2)).map(each).count()
    }

    fn decode(&mut self, codes: &[u8], out: &mut [i16]) -> usize {
        let each = |(pair, code): (&mut [i16], &u8)| {
            let (low, high) = (self.low.decode(*code), self.high.decode(*code >> 6));
            pair.copy_from_slice(&self.mirror.join(low, high));
        };
        2 * out.chunks_exact_mut(2).zip(codes).map(each).count()
    }
}

/// Within 16 bits.
fn saturated(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

/// Within what a half may be.
fn limited(value: i32) -> i32 {
    value.clamp(*HALF.start(), *HALF.end())
}

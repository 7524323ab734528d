//! RTP ticks and samples.

use codecs::{Codec, Rate};

/// RTP ticks and samples: Opus has several ticks for a sample, and G.722 one for two (RFC 3551 4.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    ticks: u32,
    samples: u32,
}

impl Ratio {
    /// Of a codec whose PCM has this rate.
    pub const fn new(codec: Codec, rate: Rate) -> Self {
        let (clock, rate) = (codec.clock(), rate.hz());
        if clock >= rate {
            Self {
                ticks: clock / rate,
                samples: 1,
            }
        } else {
            Self {
                ticks: 1,
                samples: rate / clock,
            }
        }
    }

    /// How many ticks so many samples are, modulo 2^32.
    pub const fn ticks(self, samples: u32) -> u32 {
        samples.wrapping_mul(self.ticks) / self.samples
    }

    /// How many samples so many ticks are, at most what 32 bits hold.
    pub const fn samples(self, ticks: u32) -> u32 {
        (ticks / self.ticks).saturating_mul(self.samples)
    }
}

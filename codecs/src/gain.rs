//! Louder and softer, without clipping.
//!
//! Up to half of full scale a sample is multiplied. What would be above is bent towards full scale and never reaches it, so that loud speech that
//! is made louder sounds pressed, not cut off.

use crate::g711;

/// Where the bend begins: half of full scale.
const KNEE: f32 = 16_384.0;
/// What lies above it.
const HEADROOM: f32 = 32_767.0 - KNEE;

/// A gain in whole dB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gain(i8);

impl Gain {
    /// As it is.
    pub const NONE: Gain = Gain(0);
    /// The most of it, either way, in dB.
    pub const MOST: i8 = 40;

    /// A gain of so many dB, at most [`Gain::MOST`] either way.
    pub const fn new(db: i8) -> Gain {
        match db {
            ..-40 => Gain(-Gain::MOST),
            41.. => Gain(Gain::MOST),
            db => Gain(db),
        }
    }

    /// In dB.
    pub const fn db(self) -> i8 {
        self.0
    }

    /// One after the other.
    pub const fn and(self, other: Gain) -> Gain {
        Gain::new(self.0 + other.0)
    }

    fn factor(self) -> f32 {
        10f32.powf(f32::from(self.0) / 20.0)
    }

    /// Changes samples in place.
    pub fn apply(self, pcm: &mut [i16]) {
        if self == Gain::NONE {
            return;
        }
        let factor = self.factor();
        for sample in pcm {
            *sample = amplified(*sample, factor);
        }
    }

    /// The table by which an octet of one law becomes one of another, or of the same.
    pub fn table(self, from: Law, to: Law) -> [u8; 256] {
        let factor = self.factor();
        std::array::from_fn(|code| {
            let sample = (from.decode)(code as u8);
            (to.encode)(if self == Gain::NONE {
                sample
            } else {
                amplified(sample, factor)
            })
        })
    }
}

/// One of the two laws of G.711.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    decode: fn(u8) -> i16,
    encode: fn(i16) -> u8,
}

/// Mu-law.
pub const ULAW: Law = Law {
    decode: g711::decode_ulaw,
    encode: g711::encode_ulaw,
};
/// A-law.
pub const ALAW: Law = Law {
    decode: g711::decode_alaw,
    encode: g711::encode_alaw,
};

fn amplified(sample: i16, factor: f32) -> i16 {
    let wanted = f32::from(sample) * factor;
    nearest(if factor <= 1.0 { wanted } else { bend(wanted) })
}

/// A sample of any size as one that fits: up to half of full scale itself, above that bent towards full scale. No branches, for the vector unit.
#[inline]
pub(crate) fn bend(wanted: f32) -> f32 {
    let size = wanted.abs();
    let over = (size - KNEE).max(0.0);
    (size.min(KNEE) + HEADROOM * over / (HEADROOM + over)).copysign(wanted)
}

/// The whole number next to a value that fits into 16 bits, the even one of two: `f32::round` is a call on x86-64, and what calls is no
/// work for the vector unit.
#[inline]
pub(crate) fn nearest(value: f32) -> i16 {
    // Added to 1.5 times 2^23, a value loses its fraction, and the mantissa ends with the whole number in two's complement.
    (value + 12_582_912.0).to_bits() as i16
}

/// The gain of each of so many samples on an even way from one gain to another, which the last of them has.
#[inline]
pub(crate) fn ramp(from: f32, to: f32, samples: usize) -> impl Iterator<Item = f32> {
    let step = (to - from) / samples.max(1) as f32;
    (0..samples as i32).map(move |n| from + step * (n + 1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::tone::Sine;

    fn tone(dbm0: f32) -> [i16; 800] {
        let mut pcm = [0; 800];
        Sine::new(1_000.0, dbm0, 8_000).fill(&mut pcm);
        pcm
    }

    #[test]
    fn a_quiet_tone_gains_what_is_asked() {
        for db in [-20, -6, -1, 0, 1, 6, 12] {
            let mut pcm = tone(-20.0);
            let before = Level::of(&pcm).rms_dbm0();
            Gain::new(db).apply(&mut pcm);
            let gained = Level::of(&pcm).rms_dbm0() - before;
            assert!((gained - f32::from(db)).abs() < 0.05, "{db} dB: {gained}");
        }
    }

    #[test]
    fn a_loud_one_is_bent_and_never_cut_off() {
        let mut pcm = tone(0.0);
        Gain::new(20).apply(&mut pcm);
        let most = pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((30_000..32_767).contains(&most), "{most}");
        // Cut off, all of a half wave but its flanks would be the same.
        let flat = pcm.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(flat < 10, "{flat}");
        // What was louder is louder still.
        let steps: Vec<i16> = (0..=32_767).step_by(7).map(|sample| amplified(sample, 10.0)).collect();
        assert!(steps.is_sorted() && *steps.last().unwrap() < 32_767);
        assert_eq!(amplified(i16::MIN, 10.0), -amplified(i16::MAX, 10.0));
    }

    #[test]
    fn the_nearest_whole_number_is_found_over_all_the_range() {
        for sample in i16::MIN..=i16::MAX {
            for part in [-0.49, -0.25, 0.0, 0.25, 0.49] {
                let value = f32::from(sample) + part;
                assert_eq!(nearest(value), value.round() as i16, "{value}");
            }
        }
        assert_eq!((nearest(2.5), nearest(3.5), nearest(-2.5)), (2, 4, -2));
    }

    #[test]
    fn a_ramp_ends_where_it_is_to() {
        let gains: Vec<f32> = ramp(1.0, 0.0, 4).collect();
        assert_eq!(gains, [0.75, 0.5, 0.25, 0.0]);
        assert!(ramp(0.3, 0.3, 960).all(|gain| gain == 0.3));
        assert_eq!(ramp(1.0, 0.0, 0).count(), 0);
    }

    #[test]
    fn gains_add_up_within_their_bounds() {
        assert_eq!(Gain::new(12).and(Gain::new(-15)), Gain::new(-3));
        assert_eq!(Gain::new(127).and(Gain::new(127)).db(), Gain::MOST);
        assert_eq!(Gain::new(-128).db(), -Gain::MOST);
    }

    #[test]
    fn a_table_says_the_same_octet_by_octet() {
        let table = Gain::new(6).table(ALAW, ULAW);
        for code in 0..=255u8 {
            let mut pcm = [g711::decode_alaw(code)];
            Gain::new(6).apply(&mut pcm);
            assert_eq!(table[usize::from(code)], g711::encode_ulaw(pcm[0]));
        }
        let same = Gain::NONE.table(ALAW, ALAW);
        assert!(same.iter().enumerate().all(|(code, octet)| code == usize::from(*octet)));
    }
}

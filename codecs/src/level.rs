//! How loud a block of samples is.
//!
//! dBov is relative to the power of a full-scale square wave (ITU-T G.100.1 Annex A, RFC 6464 1.1): a full-scale sine has -3.01 dBov.
//! dBm0 is relative to G.711's reference level, 6.15 dB below: a full-scale sine has +3.14 dBm0 (mu-law says 3.17; the
//! difference is below what anyone measures).

/// How many dBov 0 dBm0 is (ITU-T G.100.1 Annex A, A-law).
pub const DBM0_IN_DBOV: f32 = -6.15;
/// The level of digital silence and of an empty block: the lowest that RFC 6464 can say.
pub const FLOOR_DBOV: f32 = -127.0;

/// Rms and peak of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Root of the mean square, 0 to 32,768.
    pub rms: f32,
    /// Largest magnitude, 0 to 32,768.
    pub peak: u16,
}

impl Level {
    /// Measures a block.
    pub fn of(pcm: &[i16]) -> Self {
        if pcm.is_empty() {
            return Self::default();
        }
        let energy = energy(pcm);
        let peak = pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        Self {
            rms: (energy as f64 / pcm.len() as f64).sqrt() as f32,
            peak,
        }
    }

    /// Rms in dBov.
    pub fn rms_dbov(&self) -> f32 {
        amplitude_dbov(self.rms)
    }

    /// Rms in dBm0.
    pub fn rms_dbm0(&self) -> f32 {
        self.rms_dbov() - DBM0_IN_DBOV
    }
}

/// dBov of an rms amplitude (32,768 is 0 dBov).
pub fn amplitude_dbov(rms: f32) -> f32 {
    (20.0 * (rms / 32_768.0).log10()).max(FLOOR_DBOV)
}

/// Peak amplitude of a sine of this level.
pub fn sine_amplitude(dbm0: f32) -> f32 {
    32_768.0 * std::f32::consts::SQRT_2 * 10f32.powf((dbm0 + DBM0_IN_DBOV) / 20.0)
}

/// Sum of the squares of a block.
pub fn energy(pcm: &[i16]) -> u64 {
    pcm.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Sine;

    fn close(got: f32, expected: f32) {
        assert!((got - expected).abs() < 0.01, "got {got}, expected {expected}");
    }

    /// A sine of full scale: 6.15 - 3.01.
    const FULL_SCALE_DBM0: f32 = 3.1397;

    #[test]
    fn reference_levels() {
        let square = [i16::MIN; 160];
        close(Level::of(&square).rms_dbov(), 0.0);
        let mut pcm = [0; 800];
        Sine::new(1_000.0, FULL_SCALE_DBM0, 8_000).fill(&mut pcm);
        let level = Level::of(&pcm);
        assert!(level.peak >= 32_767);
        close(level.rms_dbov(), -3.01);
        close(level.rms_dbm0(), FULL_SCALE_DBM0);
    }

    #[test]
    fn a_sine_of_a_level_has_that_level() {
        for dbm0 in [-40.0, -18.0, -10.0, 0.0] {
            let mut pcm = [0; 8_000];
            Sine::new(437.0, dbm0, 8_000).fill(&mut pcm);
            close(Level::of(&pcm).rms_dbm0(), dbm0);
        }
    }

    #[test]
    fn silence_has_the_floor() {
        close(Level::of(&[]).rms_dbov(), FLOOR_DBOV);
        close(Level::of(&[0; 160]).rms_dbov(), FLOOR_DBOV);
        assert_eq!(Level::of(&[0, -5, 3]).peak, 5);
    }
}

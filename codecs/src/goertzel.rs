//! How much of one frequency is in a block (Goertzel's algorithm).

use crate::level::{DBM0_IN_DBOV, amplitude_dbov};
use std::f64::consts::TAU;

/// Mean power of the component at `hz`, in squared sample units: a sine of amplitude a gives a^2 / 2. Frequencies nearer than about
/// `rate_hz / pcm.len()` are not told apart.
pub fn power(pcm: &[i16], hz: f32, rate_hz: u32) -> f64 {
    let samples = pcm.iter().map(|sample| f64::from(*sample));
    2.0 * correlation(samples, f64::from(hz), rate_hz) / (pcm.len().max(1) as f64).powi(2)
}

/// Level of the component at `hz`.
pub fn level_dbm0(pcm: &[i16], hz: f32, rate_hz: u32) -> f32 {
    amplitude_dbov(power(pcm, hz, rate_hz).sqrt() as f32) - DBM0_IN_DBOV
}

/// Squared magnitude of the sum of samples times a unit vector that turns at `hz`.
pub(crate) fn correlation(samples: impl Iterator<Item = f64>, hz: f64, rate_hz: u32) -> f64 {
    let coefficient = 2.0 * (TAU * hz / f64::from(rate_hz)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let now = sample + coefficient * last - before;
        before = last;
        last = now;
    }
    // Rounding may leave a hair below zero.
    (last * last + before * before - coefficient * last * before).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Cadence;

    /// DTMF 5 (ITU-T Q.23), in the 40 ms that a receiver has at least (Q.24).
    #[test]
    fn dtmf_pair_stands_out() {
        let mut pcm = [0; 320];
        Cadence::new([770.0, 1_336.0], -9.0, 40, 0, 8_000).fill(&mut pcm);
        for hz in [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0] {
            let level = level_dbm0(&pcm, hz, 8_000);
            if hz == 770.0 || hz == 1_336.0 {
                assert!((level + 9.0).abs() < 0.5, "{hz} Hz has {level} dBm0");
            } else {
                assert!(level < -19.0, "{hz} Hz has {level} dBm0");
            }
        }
    }

    #[test]
    fn nothing_has_no_power() {
        assert_eq!(power(&[], 1_000.0, 8_000), 0.0);
        assert_eq!(power(&[0; 80], 1_000.0, 8_000), 0.0);
    }
}

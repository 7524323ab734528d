//! How much of one frequency is in a block (Goertzel's algorithm).

use crate::level::{DBM0_IN_DBOV, amplitude_dbov};
use std::f64::consts::TAU;

/// Mean power of the component at `hz`, in squared sample units: a sine of amplitude a gives a^2 / 2. The block acts as a rectangular
/// window: what is nearer than about `rate / len` Hz is not told apart.
pub fn power(pcm: &[i16], hz: f32, rate_hz: u32) -> f64 {
    windowed_power(pcm.iter().map(|sample| f64::from(*sample)), hz, rate_hz) * 2.0 / (pcm.len().max(1) as f64).powi(2)
}

/// Level of the component at `hz`, in dBm0.
pub fn level_dbm0(pcm: &[i16], hz: f32, rate_hz: u32) -> f32 {
    amplitude_dbov(power(pcm, hz, rate_hz).sqrt() as f32) - DBM0_IN_DBOV
}

/// Squared magnitude of the sum of samples times a turning unit vector.
pub(crate) fn windowed_power(samples: impl Iterator<Item = f64>, hz: f32, rate_hz: u32) -> f64 {
    let coefficient = 2.0 * (TAU * f64::from(hz) / f64::from(rate_hz)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let now = sample + coefficient * last - before;
        before = last;
        last = now;
    }
    last * last + before * before - coefficient * last * before
}

//! Which tone dominates a signal, for tests that prove who hears whom.

use crate::goertzel::correlation;
use crate::level::{DBM0_IN_DBOV, amplitude_dbov};
use std::f64::consts::TAU;

/// The tone that dominates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dominant {
    /// Hz, within 1 Hz for a steady tone that stands alone.
    pub hz: f32,
    /// Its level.
    pub level_dbm0: f32,
    /// How many dB it is above everything else together (noise, distortion, other tones), 90 at most.
    pub over_rest_db: f32,
}

impl Dominant {
    /// True if the tone is within 8 Hz of `hz` and at least `db` above the rest.
    pub fn is(&self, hz: f32, db: f32) -> bool {
        (self.hz - hz).abs() <= 8.0 && self.over_rest_db >= db
    }
}

/// Length of one window, in milliseconds: lines are 10 Hz apart.
const WINDOW_MS: u32 = 100;
/// Blackman and Harris's four terms: 92 dB down outside of the lobe.
const WINDOW: [f64; 4] = [0.35875, -0.48829, 0.14128, -0.01168];
/// How many lines the window's main lobe reaches to each side.
const LOBE: usize = 5;
/// What `over_rest_db` is at most: the window shows no more.
const CLEAN_DB: f64 = 90.0;

/// Finds the tone that dominates, from 50 Hz to half the rate. `None` for less than 100 ms and for silence.
///
/// Windows of 100 ms, half overlapping, are averaged by power: a slip of phase or a concealed packet costs little. What is within
/// 50 Hz of the tone counts for the tone, so tests use tones that are 150 Hz apart.
pub fn dominant(pcm: &[i16], rate_hz: u32) -> Option<Dominant> {
    let length = (rate_hz * WINDOW_MS / 1_000) as usize;
    if pcm.len() < length || length <= 4 * LOBE {
        return None;
    }
    let window: Vec<f64> = (0..length).map(|n| weight((n as f64 + 0.5) / length as f64)).collect();
    let gain: f64 = window.iter().map(|weight| weight * weight).sum();
    let line_hz = f64::from(rate_hz) / length as f64;
    let mut lines = vec![0.0; length / 2];
    let mut total = 0.0;
    let blocks = pcm.windows(length).step_by(length / 2);
    let count = blocks.len() as f64;
    for block in blocks {
        let weighted = || {
            block
                .iter()
                .zip(&window)
                .map(|(sample, weight)| f64::from(*sample) * weight)
        };
        total += weighted().map(|sample| sample * sample).sum::<f64>() / gain;
        for (line, power) in lines.iter_mut().enumerate() {
            let hz = line as f64 * line_hz;
            *power += 2.0 * correlation(weighted(), hz, rate_hz) / (gain * length as f64);
        }
    }
    // The lobe around 0 Hz is direct current.
    let (peak, _) = lines.iter().enumerate().skip(LOBE).max_by(|a, b| a.1.total_cmp(b.1))?;
    if total == 0.0 {
        return None;
    }
    let lobe = peak - LOBE..(peak + LOBE + 1).min(lines.len());
    let tone: f64 = lines[lobe.clone()].iter().sum();
    let centre = lobe.map(|line| line as f64 * lines[line]).sum::<f64>() / tone.max(f64::MIN_POSITIVE);
    let rest = (total - tone)
        .max(tone * 10f64.powf(-CLEAN_DB / 10.0))
        .max(f64::MIN_POSITIVE);
    Some(Dominant {
        hz: (centre * line_hz) as f32,
        level_dbm0: amplitude_dbov((tone / count).sqrt() as f32) - DBM0_IN_DBOV,
        over_rest_db: (10.0 * (tone / rest).log10()) as f32,
    })
}

/// The window at a part of its length.
fn weight(part: f64) -> f64 {
    WINDOW
        .iter()
        .zip(0u32..)
        .map(|(term, n)| term * (TAU * f64::from(n) * part).cos())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{Cadence, Sine};

    fn sine(hz: f32, dbm0: f32, rate: u32, ms: u32) -> Vec<i16> {
        let mut pcm = vec![0; (rate * ms / 1_000) as usize];
        Sine::new(hz, dbm0, rate).fill(&mut pcm);
        pcm
    }

    /// Also between the lines, and at each rate.
    #[test]
    fn a_tone_has_its_frequency_and_level() {
        for (hz, rate) in [
            (203.7, 8_000),
            (1_004.0, 8_000),
            (3_395.0, 8_000),
            (7_001.0, 16_000),
            (440.0, 48_000),
        ] {
            let found = dominant(&sine(hz, -10.0, rate, 250), rate).expect("a tone");
            assert!((found.hz - hz).abs() < 1.0, "{hz} Hz: {found:?}");
            assert!((found.level_dbm0 + 10.0).abs() < 0.05, "{hz} Hz: {found:?}");
            // What is left is the rounding to 16 bits.
            assert!(found.over_rest_db > 75.0, "{hz} Hz: {found:?}");
        }
    }

    #[test]
    fn the_rest_is_measured() {
        let loud = sine(1_000.0, -10.0, 8_000, 300);
        let soft = sine(600.0, -30.0, 8_000, 300);
        let both: Vec<i16> = loud.iter().zip(&soft).map(|(a, b)| a + b).collect();
        let found = dominant(&both, 8_000).expect("a tone");
        assert!(
            found.is(1_000.0, 19.5) && !found.is(1_000.0, 20.5) && !found.is(600.0, 0.0),
            "{found:?}"
        );
    }

    #[test]
    fn of_equal_tones_none_dominates() {
        let mut pcm = vec![0; 2_400];
        Cadence::new([697.0, 1_336.0], -10.0, 100, 0, 8_000).fill(&mut pcm);
        let found = dominant(&pcm, 8_000).expect("a tone");
        assert!(found.over_rest_db.abs() < 0.5, "{found:?}");
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(dominant(&[0; 800], 8_000), None);
        assert_eq!(dominant(&sine(1_000.0, 0.0, 8_000, 99), 8_000), None);
        assert_eq!(dominant(&[], 0), None);
    }

    #[test]
    fn direct_current_is_rest() {
        let pcm: Vec<i16> = sine(400.0, -10.0, 8_000, 200)
            .iter()
            .map(|sample| sample + 4_000)
            .collect();
        let found = dominant(&pcm, 8_000).expect("a tone");
        assert!((found.hz - 400.0).abs() < 1.0 && found.over_rest_db < 3.0, "{found:?}");
    }
}

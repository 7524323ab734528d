//! Which tone dominates a signal, for tests that prove who hears whom.

use crate::goertzel::windowed_power;
use crate::level::{DBM0_IN_DBOV, FLOOR_DBOV, amplitude_dbov};
use std::f64::consts::TAU;

/// The tone that dominates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dominant {
    /// Hz, within about 1 Hz for a steady tone.
    pub hz: f32,
    /// Its level.
    pub level_dbm0: f32,
    /// How many dB it is above everything else together (noise, distortion, other tones); 120 at most.
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
/// Hann's main lobe reaches two lines to each side.
const LOBE: usize = 2;
/// What `over_rest_db` says where there is no rest.
const CLEAN_DB: f32 = 120.0;

/// Finds the tone that dominates, by Hann windows of 100 ms, half overlapping, whose powers are averaged: a slip of phase or a lost
/// packet costs little. `None` for less than 100 ms and for silence. Tones nearer than 40 Hz count as one.
pub fn dominant(pcm: &[i16], rate_hz: u32) -> Option<Dominant> {
    let length = (rate_hz * WINDOW_MS / 1_000) as usize;
    let window: Vec<f64> = (0..length)
        .map(|n| 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / length as f64).cos())
        .collect();
    let gain: f64 = window.iter().map(|w| w * w).sum();
    let mut lines = vec![0.0; length / 2];
    let mut total = 0.0;
    let mut windows = 0.0;
    for start in (0..)
        .step_by(length / 2)
        .take_while(|start| start + length <= pcm.len())
    {
        let weighted: Vec<f64> = pcm[start..start + length]
            .iter()
            .zip(&window)
            .map(|(sample, w)| f64::from(*sample) * w)
            .collect();
        total += weighted.iter().map(|sample| sample * sample).sum::<f64>() / gain;
        for (line, sum) in lines.iter_mut().enumerate().skip(LOBE) {
            let hz = (line * rate_hz as usize) as f32 / length as f32;
            *sum += 2.0 * windowed_power(weighted.iter().copied(), hz, rate_hz) / (gain * length as f64);
        }
        windows += 1.0;
    }
    let (peak, _) = lines.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    if total == 0.0 {
        return None;
    }
    let lobe = peak.saturating_sub(LOBE)..(peak + LOBE + 1).min(lines.len());
    let tone: f64 = lines[lobe].iter().sum::<f64>().min(total);
    let rest = total - tone;
    let over_rest_db = if rest <= 0.0 {
        CLEAN_DB
    } else {
        (10.0 * (tone / rest).log10() as f32).min(CLEAN_DB)
    };
    let level_dbm0 = amplitude_dbov((tone / windows).sqrt() as f32).max(FLOOR_DBOV) - DBM0_IN_DBOV;
    let hz = (peak as f64 + offset(&lines, peak)) * f64::from(rate_hz) / length as f64;
    Some(Dominant {
        hz: hz as f32,
        level_dbm0,
        over_rest_db,
    })
}

/// Where between its neighbours a peak of Hann windows is, in lines, -0.5 to 0.5: the ratio of the two highest amplitudes tells it.
fn offset(lines: &[f64], peak: usize) -> f64 {
    let amplitude = |line: usize| lines.get(line).copied().unwrap_or(0.0).max(0.0).sqrt();
    let (left, centre, right) = (amplitude(peak.wrapping_sub(1)), amplitude(peak), amplitude(peak + 1));
    let (side, sign) = if right > left { (right, 1.0) } else { (left, -1.0) };
    // For an offset d, side / centre is (1 + d) / (2 - d).
    let ratio = side / centre.max(f64::MIN_POSITIVE);
    sign * ((2.0 * ratio - 1.0) / (1.0 + ratio)).clamp(0.0, 0.5)
}

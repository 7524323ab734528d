//! A signal that behaves like speech, for tests and benches: no recording, the same samples on every machine and run.
//!
//! Syllables of 210 ms with pauses of 90 ms. A voiced one is a train of pulses, whose pitch wanders between 95 and 165 Hz, through
//! three resonances (the formants of five vowels in turn); each fourth one is noise, as of an s.

use crate::level::Level;
use std::f64::consts::TAU;

const SYLLABLE_S: f64 = 0.21;
const PERIOD_S: f64 = 0.30;
/// F1 to F3 of a, e, i, o, u in Hz: textbook values of a man's voice.
const VOWELS: [[f64; 3]; 5] = [
    [730.0, 1_090.0, 2_440.0],
    [530.0, 1_840.0, 2_480.0],
    [270.0, 2_290.0, 3_010.0],
    [570.0, 840.0, 2_410.0],
    [300.0, 870.0, 2_240.0],
];
/// How wide the formants are, in Hz.
const WIDTHS: [f64; 3] = [70.0, 100.0, 150.0];

/// So many samples of speech-like sound, at a level (rms over all of it, pauses included) of `dbm0`.
pub fn synthesise(samples: usize, dbm0: f32, rate_hz: u32) -> Vec<i16> {
    let raw = raw(samples, f64::from(rate_hz));
    let power = raw.iter().map(|sample| sample * sample).sum::<f64>() / samples.max(1) as f64;
    let wanted = f64::from(crate::level::sine_amplitude(dbm0)) * std::f64::consts::FRAC_1_SQRT_2;
    let gain = if power > 0.0 { wanted / power.sqrt() } else { 0.0 };
    raw.iter().map(|sample| (sample * gain).round() as i16).collect()
}

/// How much louder a signal is than its difference from another, in dB; 0 where the other is silence.
pub fn snr_db(reference: &[i16], other: &[i16]) -> f32 {
    let difference: Vec<i16> = reference.iter().zip(other).map(|(a, b)| a.saturating_sub(*b)).collect();
    Level::of(reference).rms_dbov() - Level::of(&difference).rms_dbov()
}

/// The largest step from one sample to the next: a click has a larger one than what it is in.
pub fn steepest(pcm: &[i16]) -> u32 {
    pcm.windows(2)
        .map(|pair| i32::from(pair[1]).abs_diff(i32::from(pair[0])))
        .max()
        .unwrap_or(0)
}

fn raw(samples: usize, rate: f64) -> Vec<f64> {
    let mut phase = 0.0;
    let mut noise = 1u32;
    let mut resonators = [[0.0f64; 2]; 3];
    (0..samples)
        .map(|n| {
            let time = n as f64 / rate;
            let (syllable, into) = ((time / PERIOD_S) as usize, time % PERIOD_S);
            let envelope = if into < SYLLABLE_S {
                (TAU / 2.0 * into / SYLLABLE_S).sin().powi(2)
            } else {
                0.0
            };
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = f64::from(noise) / f64::from(u32::MAX) - 0.5;
            phase += (130.0 + 35.0 * (TAU * 0.9 * time).sin()) / rate;
            phase %= 1.0;
            if syllable % 4 == 3 {
                return 0.4 * envelope * hiss;
            }
            // The flow through the glottis opens for two thirds of a period; its slope is what the mouth hears.
            let pulse = if phase < 0.66 { (TAU * phase / 0.66).sin() } else { 0.0 };
            let excitation = envelope * (pulse + 0.02 * hiss);
            let formants = VOWELS[syllable % VOWELS.len()];
            (0..3)
                .map(|band| resonate(&mut resonators[band], excitation, formants[band], WIDTHS[band], rate))
                .sum()
        })
        .collect()
}

/// A resonator of two poles, with a gain of about 1 at its frequency.
fn resonate(state: &mut [f64; 2], input: f64, hz: f64, width: f64, rate: f64) -> f64 {
    let radius = (-TAU / 2.0 * width / rate).exp();
    let output =
        (1.0 - radius) * input + 2.0 * radius * (TAU * hz / rate).cos() * state[0] - radius * radius * state[1];
    *state = [output, state[0]];
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_level_and_the_pauses() {
        for rate in [8_000, 16_000, 48_000] {
            let pcm = synthesise(3 * rate as usize, -20.0, rate);
            let level = Level::of(&pcm);
            assert!(
                (level.rms_dbm0() + 20.0).abs() < 0.1 && level.peak < 32_767,
                "{rate} Hz: {level:?}"
            );
            let pause = &pcm[(0.26 * f64::from(rate)) as usize..(0.29 * f64::from(rate)) as usize];
            assert!(Level::of(pause).rms_dbm0() < -45.0, "{:?}", Level::of(pause).rms_dbm0());
        }
    }

    #[test]
    fn signal_to_noise() {
        let pcm = synthesise(8_000, -20.0, 8_000);
        let half: Vec<i16> = pcm.iter().map(|sample| sample / 2).collect();
        assert!((snr_db(&pcm, &half) - 6.02).abs() < 0.1);
        assert!(snr_db(&pcm, &[0; 8_000]).abs() < 0.01);
    }
}

//! Sounds that come from files: from any rate to one of ours, and to the level of speech. They are made ready once, before anybody hears
//! them, so this may allocate.
//!
//! The filter is that of [`crate::resample`], for every ratio: a row of taps for each place that an output sample can have between two of
//! the input.

use crate::level::amplitude_dbov;
use crate::resample::{BETA, CUTOFF, LANES, bessel, dot};
use std::ops::RangeInclusive;

/// Rates that are converted, in Hz.
pub const RATES: RangeInclusive<u32> = 8_000..=96_000;
/// Taps on each side of an output sample, at the lower of both rates.
const SIDE: f64 = 28.0;

/// The level that sounds are brought to: that of speech on the telephone (ITU-T P.56, G.115: -26 dBov).
pub const LEVEL_DBOV: f32 = -26.0;
/// What is quieter is a pause, and says nothing of how loud a sound is.
const PAUSE_DBOV: f32 = -56.0;
/// The most that a sound is amplified, 12 dB: what is quieter than that is meant so, or is noise.
const GAIN_MAX: f32 = 4.0;
/// Where the highest peak may come by amplification: 1 dB below the end.
const PEAK_MAX: f32 = 29_204.0;
/// Samples that are measured together: 20 ms at 16 kHz.
const BLOCK: usize = 320;

/// A sound on its way to another rate, in pieces of any length. Samples are floating, 32,768 being full scale.
#[derive(Clone, Debug)]
pub struct Converter {
    /// Output samples to `down` input samples, in lowest terms.
    up: usize,
    down: usize,
    /// A row for each of `up` places; empty where the rates are equal.
    taps: Box<[f32]>,
    row: usize,
    /// Input from the first sample on that the next output needs.
    buffer: Vec<f32>,
    /// Where the next output lies behind an input sample, in `up`ths.
    place: usize,
}

impl Converter {
    /// Between two rates; `None` outside of [`RATES`].
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        if !RATES.contains(&from_hz) || !RATES.contains(&to_hz) {
            return None;
        }
        let common = gcd(from_hz, to_hz);
        let (up, down) = ((to_hz / common) as usize, (from_hz / common) as usize);
        if up == down {
            return Some(Self {
                up,
                down,
                taps: Box::default(),
                row: 0,
                buffer: Vec::new(),
                place: 0,
            });
        }
        let ratio = f64::from(from_hz) / f64::from(to_hz);
        let lanes = LANES as f64 / 2.0;
        let side = ((SIDE * ratio.max(1.0) / lanes).ceil() * lanes) as usize;
        Some(Self {
            up,
            down,
            taps: design(up, side, ratio),
            row: 2 * side,
            // Before the beginning there was silence.
            buffer: vec![0.0; side - 1],
            place: 0,
        })
    }

    /// Takes the next samples and adds what they make to `out`.
    pub fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        if self.taps.is_empty() {
            out.extend_from_slice(input);
            return;
        }
        self.buffer.extend_from_slice(input);
        let mut at = 0;
        while let Some(window) = self.buffer.get(at..at + self.row) {
            let row = self.place * self.row;
            out.push(dot(&self.taps[row..row + self.row], window));
            let next = self.place + self.down;
            self.place = next % self.up;
            at += next / self.up;
        }
        self.buffer.drain(..at.min(self.buffer.len()));
    }

    /// The end: behind it is silence.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        let rest = vec![0.0; self.row / 2];
        self.push(&rest, out);
    }
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The rows of taps, each with a gain of 1 at 0 Hz.
fn design(up: usize, side: usize, ratio: f64) -> Box<[f32]> {
    let cutoff = CUTOFF / ratio.max(1.0);
    let whole = bessel(BETA);
    let tap = |distance: f64| {
        let x = std::f64::consts::TAU * cutoff * distance;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        let inside = (1.0 - (distance / side as f64).powi(2)).max(0.0);
        sinc * bessel(BETA * inside.sqrt()) / whole
    };
    let mut taps = Vec::with_capacity(up * 2 * side);
    for place in 0..up {
        let begin = place as f64 / up as f64 + side as f64 - 1.0;
        let row: Vec<f64> = (0..2 * side).map(|n| tap(n as f64 - begin)).collect();
        let gain: f64 = row.iter().sum();
        taps.extend(row.iter().map(|tap| (tap / gain) as f32));
    }
    taps.into()
}

/// Brings a sound to the level of speech, pauses not counted, as far as its peaks allow; then to 16 bits.
pub fn even(sound: &[f32]) -> Vec<i16> {
    let gain = gain(sound);
    sound.iter().map(|sample| (sample * gain).round() as i16).collect()
}

fn gain(sound: &[f32]) -> f32 {
    let power = |block: &[f32]| block.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / block.len() as f64;
    let (mut sum, mut count) = (0.0, 0u32);
    for power in sound.chunks(BLOCK).map(power) {
        if amplitude_dbov(power.sqrt() as f32) >= PAUSE_DBOV {
            sum += power;
            count += 1;
        }
    }
    if count == 0 {
        return 1.0;
    }
    let level = amplitude_dbov((sum / f64::from(count)).sqrt() as f32);
    let peak = sound.iter().fold(1.0, |peak: f32, sample| peak.max(sample.abs()));
    let wanted = 10f32.powf((LEVEL_DBOV - level) / 20.0).min(GAIN_MAX);
    wanted.min(PEAK_MAX / peak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::level_dbm0;
    use crate::level::Level;
    use crate::spectrum::dominant;
    use crate::tone::Sine;

    fn level_dbov(pcm: &[i16]) -> f32 {
        Level::of(pcm).rms_dbov()
    }

    /// A second of a tone from one rate to another, in pieces.
    fn through(hz: f32, from: u32, to: u32, piece: usize) -> Vec<i16> {
        let mut pcm = vec![0; from as usize];
        Sine::new(hz, 0.0, from).fill(&mut pcm);
        let samples: Vec<f32> = pcm.iter().map(|sample| f32::from(*sample)).collect();
        let mut converter = Converter::new(from, to).expect("rates");
        let mut out = Vec::new();
        for piece in samples.chunks(piece) {
            converter.push(piece, &mut out);
        }
        converter.finish(&mut out);
        out.iter().map(|sample| sample.round() as i16).collect()
    }

    #[test]
    fn a_tone_keeps_its_pitch_its_level_and_its_length_from_any_rate() {
        for from in [
            8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000,
        ] {
            for hz in [200.0, 1_000.0, 3_300.0] {
                let out = through(hz, from, 16_000, 997);
                assert!(out.len().abs_diff(16_000) <= 1, "{from}: {} samples", out.len());
                let middle = &out[800..15_000];
                let level = level_dbm0(middle, hz, 16_000);
                assert!(level.abs() < 0.1, "{from}: {hz} Hz comes out with {level} dBm0");
                let found = dominant(middle, 16_000).expect("a tone");
                assert!(found.is(hz, 55.0), "{from}, {hz} Hz: {found:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_into_the_band_is_left_out() {
        for from in [22_050, 44_100, 96_000] {
            let out = through(9_500.0, from, 16_000, 4_096);
            assert!(level_dbov(&out[800..15_000]) < -60.0, "{from}");
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let whole = through(777.0, 44_100, 16_000, 44_100);
        for piece in [1, 7, 441] {
            assert_eq!(through(777.0, 44_100, 16_000, piece), whole);
        }
    }

    #[test]
    fn rates_that_nobody_has_are_none() {
        assert!(Converter::new(7_999, 16_000).is_none());
        assert!(Converter::new(96_001, 16_000).is_none());
    }

    fn evened(dbm0: f32) -> f32 {
        let mut pcm = vec![0; 16_000];
        Sine::new(500.0, dbm0, 16_000).fill(&mut pcm);
        let mut samples: Vec<f32> = pcm.iter().map(|sample| f32::from(*sample)).collect();
        // Half of it is a pause.
        samples.extend([0.0; 16_000]);
        level_dbov(&even(&samples)[..16_000])
    }

    #[test]
    fn what_is_loud_and_what_is_quiet_comes_to_the_level_of_speech() {
        for dbm0 in [0.0, -10.0, -20.0, -30.0] {
            let level = evened(dbm0);
            assert!((level - LEVEL_DBOV).abs() < 0.1, "{dbm0} dBm0 becomes {level} dBov");
        }
        assert!(
            (evened(-40.0) - (-40.0 - 6.15 + 12.04)).abs() < 0.1,
            "12 dB and no more"
        );
        assert_eq!(even(&[0.0; 640]), [0; 640]);
    }

    #[test]
    fn a_peak_is_not_driven_over_the_end() {
        let mut samples = vec![100.0; 16_000];
        for click in samples.iter_mut().step_by(3_200) {
            *click = 20_000.0;
        }
        let out = even(&samples);
        assert_eq!(out.iter().max(), Some(&29_204));
    }
}

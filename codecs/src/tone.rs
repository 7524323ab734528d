//! Sines, and the call progress tones made of two of them (ITU-T E.180).

use crate::level::sine_amplitude;
use std::f32::consts::TAU;

/// One turn of a phase.
const TURN: f64 = 4_294_967_296.0;

/// A sine without end. The phase is a fraction of a turn in 32 bits: it never drifts, and a frequency is exact to 12 uHz.
#[derive(Clone, Copy, Debug)]
pub struct Sine {
    phase: u32,
    step: u32,
    amplitude: f32,
    rate: u32,
}

impl Sine {
    /// A sine of this frequency (below half the rate) and level, at 8, 16 or 48 kHz (or any other rate).
    pub fn new(hz: f32, dbm0: f32, rate_hz: u32) -> Self {
        let mut sine = Self {
            phase: 0,
            step: 0,
            amplitude: sine_amplitude(dbm0),
            rate: rate_hz,
        };
        sine.set_frequency(hz);
        sine
    }

    /// Changes the frequency; the phase goes on.
    pub fn set_frequency(&mut self, hz: f32) {
        self.step = (f64::from(hz) / f64::from(self.rate) * TURN) as u32;
    }

    /// The next sample, not rounded.
    #[inline]
    pub fn next_sample(&mut self) -> f32 {
        let turns = self.phase as f32 / TURN as f32;
        self.phase = self.phase.wrapping_add(self.step);
        self.amplitude * (turns * TAU).sin()
    }

    /// Writes the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            *sample = self.next_sample().round() as i16;
        }
    }
}

/// Two frequencies, on and off: ringback, busy, DTMF.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    tones: [Sine; 2],
    on: u32,
    period: u32,
    position: u32,
}

impl Cadence {
    /// Two frequencies at a level each (the second frequency may be 0: one only), for `on_ms` and then silence for `off_ms`. With
    /// `off_ms` of 0 it never stops.
    pub fn new(hz: [f32; 2], dbm0: f32, on_ms: u32, off_ms: u32, rate_hz: u32) -> Self {
        let samples = |ms: u32| (u64::from(ms) * u64::from(rate_hz) / 1_000).min(u64::from(u32::MAX / 2)) as u32;
        let on = samples(on_ms);
        Self {
            tones: hz.map(|hz| Sine::new(hz, dbm0, rate_hz)),
            on,
            period: on + samples(off_ms),
            position: 0,
        }
    }

    /// Writes the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            // Both phases go on through the silence.
            let sum = self.tones[0].next_sample() + self.tones[1].next_sample();
            let sounds = self.position < self.on || self.period == self.on;
            *sample = if sounds { sum.round() as i16 } else { 0 };
            self.position += 1;
            if self.position >= self.period {
                self.position = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::level_dbm0;
    use crate::spectrum::dominant;

    #[test]
    fn blocks_join_without_a_seam() {
        let mut whole = [0; 1_600];
        Sine::new(440.0, -10.0, 8_000).fill(&mut whole);
        let mut pieces = [0; 1_600];
        let mut sine = Sine::new(440.0, -10.0, 8_000);
        for block in pieces.chunks_mut(160) {
            sine.fill(block);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn the_frequency_holds_for_an_hour() {
        let mut sine = Sine::new(1_000.0, 0.0, 8_000);
        let mut block = [0; 8_000];
        sine.fill(&mut block);
        let first = block;
        for _ in 0..3_600 {
            sine.phase = sine.phase.wrapping_add(sine.step.wrapping_mul(8_000));
        }
        sine.fill(&mut block);
        assert_eq!(first, block, "1000 Hz divides 8000 Hz: each second is the same");
    }

    #[test]
    fn a_new_frequency_keeps_the_phase() {
        let mut sine = Sine::new(300.0, 0.0, 8_000);
        let mut pcm = [0; 400];
        sine.fill(&mut pcm[..177]);
        sine.set_frequency(500.0);
        sine.fill(&mut pcm[177..]);
        let steepest = sine_amplitude(0.0) * TAU * 500.0 / 8_000.0;
        let step = pcm
            .windows(2)
            .map(|pair| i32::from(pair[1]).abs_diff(i32::from(pair[0])))
            .max();
        assert!(
            step.is_some_and(|step| step as f32 <= steepest + 1.0),
            "{step:?} > {steepest}"
        );
    }

    #[test]
    fn each_rate_gives_the_same_tone() {
        for rate in [8_000, 16_000, 48_000] {
            let mut pcm = vec![0; rate as usize / 5];
            Sine::new(1_400.0, -14.0, rate).fill(&mut pcm);
            let found = dominant(&pcm, rate).expect("a tone");
            assert!(
                found.is(1_400.0, 70.0) && (found.level_dbm0 + 14.0).abs() < 0.05,
                "{rate} Hz: {found:?}"
            );
        }
    }

    /// The American ringback (ITU-T E.180 supplement 2): 440 and 480 Hz, 2 s on, 4 s off.
    #[test]
    fn ringback_is_two_tones_and_then_silence() {
        let mut ringback = Cadence::new([440.0, 480.0], -19.0, 2_000, 4_000, 8_000);
        let mut pcm = vec![0; 2 * 48_000];
        for block in pcm.chunks_mut(160) {
            ringback.fill(block);
        }
        for period in pcm.chunks(48_000) {
            let (on, off) = period.split_at(16_000);
            for hz in [440.0, 480.0] {
                let level = level_dbm0(on, hz, 8_000);
                assert!((level + 19.0).abs() < 0.05, "{hz} Hz has {level} dBm0");
            }
            assert!(off.iter().all(|sample| *sample == 0));
        }
    }

    #[test]
    fn a_cadence_may_have_one_tone_and_no_pause() {
        let mut pcm = vec![0; 8_000];
        Cadence::new([425.0, 0.0], -10.0, 500, 0, 8_000).fill(&mut pcm);
        let found = dominant(&pcm, 8_000).expect("a tone");
        assert!(found.is(425.0, 70.0), "{found:?}");
        Cadence::new([425.0, 0.0], -10.0, 0, 0, 8_000).fill(&mut pcm);
        assert!(
            dominant(&pcm, 8_000).is_some_and(|found| found.is(425.0, 70.0)),
            "no length at all means for ever"
        );
    }
}

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

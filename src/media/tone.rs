//! The tone that a leg's peer hears, 20 ms at a time.

use super::command::Tone;
use codecs::tone::{Cadence, Sine};

/// The level of each frequency of a cadence: what most administrations send (ITU-T E.180 3.4: -10 +- 5 dBm0 in all).
const CADENCE_DBM0: f32 = -15.0;
/// Frequencies that 8 kHz can carry; a wrong one becomes the nearest.
const HZ_MAX: u16 = 3_900;

/// A tone with its phase.
#[derive(Clone, Copy, Debug)]
pub enum Player {
    /// One frequency.
    Sine(Sine),
    /// Two, on and off.
    Cadence(Cadence),
}

impl Player {
    /// A tone from its start, for PCM of this rate.
    pub fn new(tone: Tone, rate: u32) -> Self {
        let hz = |hz: u16| f32::from(hz.min(HZ_MAX));
        match tone {
            Tone::Sine { hz: frequency, level } => {
                Player::Sine(Sine::new(hz(frequency), f32::from(level.min(0)), rate))
            }
            Tone::Cadence {
                hz: frequencies,
                on_ms,
                off_ms,
            } => Player::Cadence(Cadence::new(
                frequencies.map(hz),
                CADENCE_DBM0,
                on_ms.into(),
                off_ms.into(),
                rate,
            )),
        }
    }

    /// Writes the next samples.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        match self {
            Player::Sine(sine) => sine.fill(pcm),
            Player::Cadence(cadence) => cadence.fill(pcm),
        }
    }
}

//! A pause of a peer that says so: comfort noise (RFC 3389), and Opus that has ceased to send (RFC 6716 2.1.9). Whoever gets the audio made
//! anew hears the pause, instead of a stream that stops.

use crate::time::Instant;
use codecs::Rate;
use codecs::noise::Noise;
use std::time::Duration;

/// How much is made at a time.
const STEP: Duration = Duration::from_millis(20);
/// How far what is made stays behind the time, besides what a packet of the peer takes: what ends the pause may come earlier than what began it.
const LAG: Duration = Duration::from_millis(40);
/// What is later than this is not made any more: the thread was held up, or nobody was to hear it.
const STALE: Duration = Duration::from_millis(100);

/// Samples of a step.
pub const fn step_samples(rate: Rate) -> usize {
    rate.hz() as usize / 50
}

/// What it sounds like.
#[derive(Clone, Copy, Debug)]
pub enum Sound {
    /// As the comfort noise packet said.
    Noise(Noise),
    /// The decoder knows: libopus makes the noise that it heard before.
    Decoder,
}

/// A pause that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// What it sounds like.
    pub sound: Sound,
    next: Instant,
}

impl Pause {
    /// One that began now, of a peer whose packets take so long.
    pub fn new(now: Instant, packet: Duration, sound: Sound) -> Pause {
        Pause {
            sound,
            next: now + packet + LAG,
        }
    }

    /// It sounds like this from here on.
    pub fn set_level(&mut self, dbov: f32) {
        match &mut self.sound {
            Sound::Noise(noise) => noise.set_level(dbov),
            Sound::Decoder => self.sound = Sound::Noise(Noise::new(dbov)),
        }
    }

    /// Something else was heard for so long.
    pub fn put_off(&mut self, time: Duration) {
        self.next += time;
    }

    /// When the next step is to be made.
    pub fn due(&self) -> Instant {
        self.next
    }

    /// The next step of it if it is time, with how many are left out before.
    pub fn step(&mut self, now: Instant) -> Option<(Sound, u32)> {
        if self.next > now {
            return None;
        }
        let late = now.since(self.next);
        let skipped = if late > STALE {
            (late.as_nanos() / STEP.as_nanos()) as u32
        } else {
            0
        };
        self.next += STEP * (skipped + 1);
        Some((self.sound, skipped))
    }
}

//! The PCM door of a leg with `Function::Phone`: what the peer says comes out, what it is to hear goes in.

/// Samples that wait in each direction: 200 ms at 8 kHz, ten ticks of the shell.
pub const PHONE_SAMPLES: usize = 1_600;

#[derive(Clone, Debug)]
struct Ring {
    samples: [i16; PHONE_SAMPLES],
    start: usize,
    len: usize,
}

impl Ring {
    fn new() -> Self {
        Ring {
            samples: [0; PHONE_SAMPLES],
            start: 0,
            len: 0,
        }
    }

    fn push(&mut self, sample: i16) {
        self.samples[(self.start + self.len) % PHONE_SAMPLES] = sample;
        self.len += 1;
    }

    fn pop(&mut self) -> Option<i16> {
        self.len = self.len.checked_sub(1)?;
        let sample = self.samples[self.start];
        self.start = (self.start + 1) % PHONE_SAMPLES;
        Some(sample)
    }

    fn read(&mut self, out: &mut [i16]) -> usize {
        for (n, slot) in out.iter_mut().enumerate() {
            match self.pop() {
                Some(sample) => *slot = sample,
                None => return n,
            }
        }
        out.len()
    }
}

/// PCM at 8 kHz, mono, from and to one leg. Found by `Worker::phone`.
#[derive(Clone, Debug)]
pub struct Phone {
    heard: Ring,
    spoken: Ring,
}

impl Default for Phone {
    fn default() -> Self {
        Phone {
            heard: Ring::new(),
            spoken: Ring::new(),
        }
    }
}

impl Phone {
    /// What the peer said, in order; returns how many samples of `out` were written.
    pub fn hear(&mut self, out: &mut [i16]) -> usize {
        self.heard.read(out)
    }

    /// What the peer is to hear: 160 samples go out with each tick, silence when there are fewer. Returns how many were taken.
    pub fn speak(&mut self, samples: &[i16]) -> usize {
        let taken = samples.len().min(self.room());
        for sample in &samples[..taken] {
            self.spoken.push(*sample);
        }
        taken
    }

    /// How many samples `speak` takes now.
    pub fn room(&self) -> usize {
        PHONE_SAMPLES - self.spoken.len
    }

    /// Puts in what was received; the oldest is lost when nobody takes it.
    pub(super) fn received(&mut self, pcm: &[i16]) {
        for sample in pcm {
            if self.heard.len == PHONE_SAMPLES {
                self.heard.pop();
            }
            self.heard.push(*sample);
        }
    }

    /// Puts in silence for a pause of the peer, as far as it would be kept.
    pub(super) fn pause(&mut self, samples: u32) {
        for _ in 0..usize::try_from(samples).unwrap_or(PHONE_SAMPLES).min(PHONE_SAMPLES) {
            self.received(&[0]);
        }
    }

    /// Takes out what goes with the next tick, filled up with silence.
    pub(super) fn outgoing(&mut self, out: &mut [i16]) {
        let spoken = self.spoken.read(out);
        out[spoken..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_bounded_and_keep_their_order() {
        let mut phone = Phone::default();
        let speech: Vec<i16> = (0..2_000).collect();
        assert_eq!(phone.speak(&speech), PHONE_SAMPLES);
        assert_eq!(phone.speak(&speech), 0);
        let mut tick = [7; 160];
        phone.outgoing(&mut tick);
        assert_eq!((tick[0], tick[159], phone.room()), (0, 159, 160));
        phone.received(&speech);
        let mut heard = [0; 2_000];
        assert_eq!(phone.hear(&mut heard), PHONE_SAMPLES);
        assert_eq!((heard[0], heard[1_599]), (400, 1_999));
        for _ in 0..9 {
            phone.outgoing(&mut tick);
        }
        assert_eq!(tick[159], 1_599);
        phone.outgoing(&mut tick);
        assert_eq!(tick, [0; 160]);
    }
}

//! Concealment of lost G.711 packets at 8 kHz, in the manner of ITU-T G.711 Appendix I.
//!
//! The last pitch periods are repeated: one in the first 10 ms, two in the next 10, three from then on, so that no buzz is heard. From
//! 10 ms on they fade, to silence at 60 ms. What comes after the gap is faded in over what the repetition would have said.
//!
//! The appendix delays all speech by 3.75 ms, so that the seam can still be smoothed when a loss is noticed. Here nothing is delayed:
//! the step between the last sample and the first repeated one is taken back over a quarter of a period instead.

/// Samples of 10 ms, the unit of the appendix.
const TEN_MS: u32 = 80;
/// The shortest pitch period: 200 Hz.
const PITCH_MIN: usize = 40;
/// The longest pitch period: 66 Hz.
const PITCH_MAX: usize = 120;
/// Samples that are compared to find the pitch.
const CORRELATION: usize = 160;
/// The most periods that are repeated as one.
const PERIODS_MAX: usize = 3;
/// Three periods of the longest pitch, and a quarter for the seam.
const HISTORY: usize = PITCH_MAX * PERIODS_MAX + PITCH_MAX / 4;
/// When all is silent.
const SILENT_AFTER: u32 = 6 * TEN_MS;
/// What each further 10 ms of loss adds to the fade at its end.
const MERGE_STEP: u32 = 32;

/// One stream's memory. It allocates nothing.
#[derive(Clone, Debug)]
pub struct Concealer {
    /// What was played last, the newest at the end.
    history: [i16; HISTORY],
    gap: Option<Gap>,
}

/// A loss that goes on.
#[derive(Clone, Debug)]
struct Gap {
    /// The history as it was when the loss began.
    source: [f32; HISTORY],
    pitch: usize,
    /// What repeats now.
    cycle: Cycle,
    /// What repeated before, while it is faded out.
    before: Option<Cycle>,
    /// Samples since the loss began.
    elapsed: u32,
}

/// The last `periods` of the source, over and over.
#[derive(Clone, Copy, Debug)]
struct Cycle {
    periods: usize,
    position: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Self::new()
    }
}

impl Concealer {
    /// A stream that has said nothing yet.
    pub const fn new() -> Self {
        Self {
            history: [0; HISTORY],
            gap: None,
        }
    }

    /// Takes a frame that arrived, of any length. After a loss its beginning is merged, in place, with the concealment.
    pub fn good(&mut self, pcm: &mut [i16]) {
        if let Some(mut gap) = self.gap.take() {
            let length = gap.merge_len().min(pcm.len());
            for (n, sample) in pcm[..length].iter_mut().enumerate() {
                *sample = fade(gap.next_sample(), f32::from(*sample), n, length).round() as i16;
            }
        }
        self.remember(pcm);
    }

    /// Makes a frame in place of one that was lost, of any length.
    pub fn lost(&mut self, out: &mut [i16]) {
        let gap = self.gap.get_or_insert_with(|| Gap::new(&self.history));
        for sample in out.iter_mut() {
            *sample = gap.next_sample().round() as i16;
        }
        self.remember(out);
    }

    /// True between a loss and the next frame that arrives.
    pub const fn is_concealing(&self) -> bool {
        self.gap.is_some()
    }

    fn remember(&mut self, pcm: &[i16]) {
        let newest = &pcm[pcm.len().saturating_sub(HISTORY)..];
        self.history.copy_within(newest.len().., 0);
        self.history[HISTORY - newest.len()..].copy_from_slice(newest);
    }
}

impl Gap {
    fn new(history: &[i16; HISTORY]) -> Self {
        let source = history.map(f32::from);
        Self {
            source,
            pitch: pitch(&source),
            cycle: Cycle {
                periods: 1,
                position: 0,
            },
            before: None,
            elapsed: 0,
        }
    }

    /// A quarter of a period: the length of every seam.
    const fn quarter(&self) -> usize {
        self.pitch / 4
    }

    fn next_sample(&mut self) -> f32 {
        if self.elapsed >= SILENT_AFTER {
            return 0.0;
        }
        let since_ten_ms = (self.elapsed % TEN_MS) as usize;
        if since_ten_ms == 0 && self.elapsed > 0 && self.cycle.periods < PERIODS_MAX {
            self.before = Some(self.cycle);
            // The oldest of the periods goes first, in the phase that is due.
            self.cycle = Cycle {
                periods: self.cycle.periods + 1,
                position: self.cycle.position % self.pitch,
            };
        }
        let mut sample = self.read(self.cycle);
        if let Some(before) = self.before {
            sample = fade(self.read(before), sample, since_ten_ms, self.quarter());
            self.before = Some(self.advance(before)).filter(|_| since_ten_ms + 1 < self.quarter());
        }
        if (self.elapsed as usize) < self.quarter() {
            let step = self.source[HISTORY - 1] - self.source[HISTORY - 1 - self.pitch];
            sample += fade(step, 0.0, self.elapsed as usize, self.quarter());
        }
        let gain = (SILENT_AFTER - self.elapsed) as f32 / (SILENT_AFTER - TEN_MS) as f32;
        self.cycle = self.advance(self.cycle);
        self.elapsed += 1;
        sample * gain.min(1.0)
    }

    fn advance(&self, cycle: Cycle) -> Cycle {
        let length = cycle.periods * self.pitch;
        Cycle {
            position: (cycle.position + 1) % length,
            ..cycle
        }
    }

    /// The cycle's last quarter becomes what came before its first sample, so that it closes without a step.
    fn read(&self, cycle: Cycle) -> f32 {
        let length = cycle.periods * self.pitch;
        let start = HISTORY - length;
        let plain = self.source[start + cycle.position];
        let seam = length - self.quarter();
        if cycle.position < seam {
            return plain;
        }
        let n = cycle.position - seam;
        fade(plain, self.source[start - self.quarter() + n], n, self.quarter())
    }

    /// A quarter of a period, and 4 ms for each 10 ms of loss after the first, 10 ms at most (G.711 Appendix I.2.7).
    fn merge_len(&self) -> usize {
        let further = self.elapsed.saturating_sub(1) / TEN_MS;
        (self.quarter() + (further * MERGE_STEP) as usize).min(TEN_MS as usize)
    }
}

/// The step `n` of `length` from one signal to another.
fn fade(from: f32, to: f32, n: usize, length: usize) -> f32 {
    let weight = (n + 1) as f32 / (length + 1) as f32;
    from + (to - from) * weight
}

/// The lag at which the last 20 ms resemble what came before them most.
fn pitch(source: &[f32; HISTORY]) -> usize {
    let recent = &source[HISTORY - CORRELATION..];
    let mut best = (f32::MIN, PITCH_MAX);
    for lag in PITCH_MIN..=PITCH_MAX {
        let earlier = &source[HISTORY - CORRELATION - lag..HISTORY - lag];
        let (mut product, mut energy) = (0.0f32, 1.0f32);
        for (a, b) in recent.iter().zip(earlier) {
            product += a * b;
            energy += b * b;
        }
        let resemblance = product / energy.sqrt();
        if resemblance > best.0 {
            best = (resemblance, lag);
        }
    }
    best.1
}

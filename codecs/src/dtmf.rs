//! Keys in sound: which of the sixteen pairs of tones is heard, and for how long (ITU-T Q.23, Q.24).
//!
//! Sound is cut into steps of 5 ms, and with each the last 25 ms are judged. Most of it is dismissed by how much lies at the eight
//! frequencies. What is left is measured: two sines are fitted, each where its phase turns as it should, and what they leave over must
//! be little, above all at twice their frequencies, where a voice has its harmonics.
//!
//! | of a key | taken | refused |
//! |---|---|---|
//! | frequencies | within 1.5 % | off by 3.5 % |
//! | high tone against low | +4 to -8 dB | beyond +6 and -10 dB |
//! | duration | 40 ms | 23 ms |
//! | gap in it | below 10 ms | 40 ms: it is another |

use crate::level::sine_amplitude;
use std::f32::consts::TAU;
use std::sync::OnceLock;

/// Samples per second of what is listened to.
const RATE: f32 = 8_000.0;
/// The tones of a key's row, and of its column (ITU-T Q.23).
const TONES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// The keys, row by row.
const KEYS: [char; 16] = [
    '1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D',
];
/// Samples of one step.
const STEP: usize = 40;
/// Steps of one window.
const STEPS: usize = 5;
/// Samples of one window: 25 ms.
const WINDOW: usize = STEP * STEPS;
/// How far apart the two parts of a window begin by which a frequency is measured: one that is off by 70 Hz is not mistaken for another.
const HOP: usize = 56;
/// Samples of each of these parts.
const PART: usize = WINDOW - HOP;

/// Mean power below which nothing is looked for: -33 dBm0 of both tones together.
const FLOOR_DBM0: f32 = -33.0;
/// The least share of the power at the two nominal frequencies, which a pair that is off by 1.5 % and unequal still has.
const ROUGH: f32 = 0.25;
/// The least share of the power in the two sines for a key that begins: what is left is 7 dB below.
const CLEAN: f32 = 0.8;
/// The same for one that goes on.
const HELD: f32 = 0.5;
/// The share at the nominal frequencies by which a key goes on without being measured again.
const PLAIN: f32 = 0.7;
/// How far off a tone may be, of its frequency: between 1.5 and 3.5 %.
const OFF: f32 = 0.024;
/// The power of the high tone, of that of the low one: +5 and -9 dB, since what is measured is not exact.
const TWIST: std::ops::RangeInclusive<f32> = 0.126..=3.16;
/// The most power at twice the frequency of a tone, of that of the tone: -12 dB.
const HARMONIC: f32 = 0.063;
/// Windows in a row that make a key: 23 ms have three at most, 40 ms six.
const RUN: u8 = 5;
/// Windows in a row without it that end a key: a gap of 10 ms has two, one of 40 ms seven.
const GONE: u8 = 5;
/// How much of a key was heard when the first of its windows was good, on average.
const FIRST: u64 = 160;
/// How far the last window with a key in it reaches beyond its end, on average.
const BEYOND: u64 = 80;
/// When a key is recognised, it began so long ago.
const HEARD: u64 = FIRST + (RUN as u64 - 1) * STEP as u64;

/// What a detector found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A key is pressed.
    Began {
        /// `0-9*#A-D`.
        key: char,
        /// It began so many samples ago.
        heard: u32,
    },
    /// It is no longer.
    Ended {
        /// Which.
        key: char,
        /// For how many samples it was.
        lasted: u32,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    fn turn(radians: f32) -> Self {
        let (im, re) = radians.sin_cos();
        Self { re, im }
    }

    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    fn conjugate(self) -> Self {
        Self {
            re: self.re,
            im: -self.im,
        }
    }

    /// Adds this so many times.
    fn add(&mut self, factor: f32, other: Self) {
        self.re += factor * other.re;
        self.im += factor * other.im;
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

/// Sines and windows, made once per process.
struct Tables {
    /// Of each sample of a step the cosines of all tones, and then their sines.
    step: [[f32; 16]; STEP],
    /// By which a sum over a step is turned into the time of the next.
    turns: [Complex; 8],
    part: [f32; PART],
    whole: [f32; WINDOW],
    floor: f32,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables {
        step: std::array::from_fn(|n| {
            std::array::from_fn(|column| {
                let angle = TAU * TONES[column % 8] * n as f32 / RATE;
                if column < 8 { angle.cos() } else { -angle.sin() }
            })
        }),
        turns: TONES.map(|hz| Complex::turn(TAU * hz * STEP as f32 / RATE)),
        part: std::array::from_fn(|n| hann(n, PART)),
        whole: std::array::from_fn(|n| hann(n, WINDOW)),
        floor: sine_amplitude(FLOOR_DBM0).powi(2) / 2.0 * WINDOW as f32,
    })
}

fn hann(n: usize, length: usize) -> f32 {
    (TAU / 2.0 * (n as f32 + 0.5) / length as f32).sin().powi(2)
}

/// What one step has of each tone, and in all.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    tones: [f32; 16],
    energy: f32,
}

/// A key that sounds.
#[derive(Clone, Copy)]
struct Pressed {
    key: usize,
    /// By the detector's clock.
    began: u64,
    /// The end of the last window that has it.
    last: u64,
    /// Windows since.
    absent: u8,
}

impl Pressed {
    fn lasted(&self) -> u32 {
        u32::try_from(self.last - self.began - BEYOND).unwrap_or(u32::MAX)
    }

    fn ended(&self) -> Sign {
        Sign::Ended {
            key: KEYS[self.key],
            lasted: self.lasted(),
        }
    }
}

/// Two sines in a window.
#[derive(Clone, Copy)]
struct Look {
    key: usize,
    /// Their share of the power.
    share: f32,
    /// They are as those of a key must be.
    clean: bool,
}

/// Listens to one stream at 8 kHz. It allocates nothing.
#[derive(Clone)]
pub struct Detector {
    tables: &'static Tables,
    window: [f32; WINDOW],
    sums: [Sums; STEPS],
    /// The next step, as far as it has come.
    next: [i16; STEP],
    filled: usize,
    /// The same key in so many windows in a row.
    run: Option<(usize, u8)>,
    pressed: Option<Pressed>,
    /// Samples since the beginning.
    clock: u64,
}

/// What somebody dials is private.
impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// One that has heard nothing yet.
    pub fn new() -> Self {
        Self {
            tables: tables(),
            window: [0.0; WINDOW],
            sums: [Sums::default(); STEPS],
            next: [0; STEP],
            filled: 0,
            run: None,
            pressed: None,
            clock: HEARD,
        }
    }

    /// Takes the next samples, and tells what they bring.
    pub fn hear(&mut self, pcm: &[i16], mut tell: impl FnMut(Sign)) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(STEP - self.filled));
            self.next[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            rest = after;
            if self.filled == STEP {
                self.filled = 0;
                self.step(&mut tell);
            }
        }
    }

    /// So many samples did not come. A key goes on over them if it is still there afterwards.
    pub fn lost(&mut self, samples: u32) {
        self.clock += u64::from(samples);
        (self.filled, self.run) = (0, None);
    }

    /// Nothing of what comes next continues what was; a key that sounds ends with it.
    pub fn end(&mut self) -> Option<Sign> {
        let ended = self.pressed.map(|pressed| pressed.ended());
        *self = Self {
            clock: self.clock,
            ..Self::new()
        };
        ended
    }

    /// The key that is pressed, and for how many samples already.
    pub fn pressed(&self) -> Option<(char, u32)> {
        self.pressed.map(|pressed| (KEYS[pressed.key], pressed.lasted()))
    }

    /// A key is pressed, or may be: of speech there is hardly a single window that is like one.
    pub fn is_suspicious(&self) -> bool {
        self.pressed.is_some() || self.run.is_some()
    }

    fn step(&mut self, tell: &mut impl FnMut(Sign)) {
        let mut sums = Sums::default();
        self.window.copy_within(STEP.., 0);
        let newest = &mut self.window[WINDOW - STEP..];
        for ((slot, sample), row) in newest.iter_mut().zip(self.next).zip(&self.tables.step) {
            let sample = f32::from(sample);
            *slot = sample;
            sums.energy += sample * sample;
            for (sum, factor) in sums.tones.iter_mut().zip(row) {
                *sum += sample * factor;
            }
        }
        self.sums.copy_within(1.., 0);
        self.sums[STEPS - 1] = sums;
        self.clock += STEP as u64;
        let look = self.strongest().map(|(tones, share)| self.look(tones, share));
        self.follow(look, tell);
    }

    /// The strongest tone of each group, and their share of the power, where both together may be a key.
    fn strongest(&self) -> Option<([usize; 2], f32)> {
        let energy: f32 = self.sums.iter().map(|sums| sums.energy).sum();
        if energy < self.tables.floor {
            return None;
        }
        let mut powers = [0.0; 8];
        for (tone, power) in powers.iter_mut().enumerate() {
            let mut whole = Complex::default();
            for sums in &self.sums {
                whole = whole.times(self.tables.turns[tone]);
                whole.re += sums.tones[tone];
                whole.im += sums.tones[tone + 8];
            }
            *power = whole.power();
        }
        let strongest = |group: std::ops::Range<usize>| group.max_by(|a, b| powers[*a].total_cmp(&powers[*b]));
        let (low, high) = (strongest(0..4)?, strongest(4..8)?);
        let share = (powers[low] + powers[high]) * 2.0 / (WINDOW as f32 * energy);
        (share >= ROUGH).then_some(([low, high], share))
    }

    /// Looks at a pair of tones, closely unless they are those of a key that is known.
    fn look(&self, tones: [usize; 2], share: f32) -> Look {
        let key = 4 * tones[0] + tones[1] - 4;
        match self.pressed {
            Some(pressed) if pressed.key == key && share >= PLAIN => Look {
                key,
                share,
                clean: false,
            },
            Some(_) | None => self.measure(key, tones),
        }
    }

    fn measure(&self, key: usize, tones: [usize; 2]) -> Look {
        let offsets = tones.map(|tone| self.offset(TONES[tone]));
        let turns = [0, 1].map(|n| Complex::turn(TAU * (TONES[tones[n]] + offsets[n]) / RATE));
        let sines = turns.map(|turn| self.amplitude(turn));
        let (mut all, mut rest) = (0.0, 0.0);
        let mut places = [Complex::turn(0.0); 2];
        let mut harmonics = [Complex::default(); 2];
        for (sample, weight) in self.window.iter().zip(&self.tables.whole) {
            let [low, high] = [0, 1].map(|n| sines[n].times(places[n]).re);
            let left = sample - low - high;
            all += weight * sample * sample;
            rest += weight * left * left;
            for n in 0..2 {
                harmonics[n].add(weight * left, places[n].times(places[n]).conjugate());
                places[n] = places[n].times(turns[n]);
            }
        }
        let share = 1.0 - rest / all.max(f32::MIN_POSITIVE);
        let [low, high] = sines.map(Complex::power);
        let tuned = (0..2).all(|n| offsets[n].abs() <= OFF * TONES[tones[n]]);
        // The weights add up to half of the window.
        let scale = (4.0 / WINDOW as f32).powi(2);
        let harmonic = (0..2).all(|n| harmonics[n].power() * scale <= HARMONIC * sines[n].power());
        Look {
            key,
            share,
            clean: share >= CLEAN && tuned && harmonic && TWIST.contains(&(high / low.max(f32::MIN_POSITIVE))),
        }
    }

    /// How far the tone near this frequency is off, in Hz: by how much its phase turns from one part of the window to the other.
    fn offset(&self, hz: f32) -> f32 {
        let turn = Complex::turn(-TAU * hz / RATE);
        let mut place = Complex::turn(0.0);
        let mut parts = [Complex::default(); 2];
        for (n, sample) in self.window.iter().enumerate() {
            if let Some(weight) = self.tables.part.get(n) {
                parts[0].add(weight * sample, place);
            }
            if let Some(weight) = n.checked_sub(HOP).map(|n| self.tables.part[n]) {
                parts[1].add(weight * sample, place);
            }
            place = place.times(turn);
        }
        let turned = parts[1].times(parts[0].conjugate());
        turned.im.atan2(turned.re) * RATE / (TAU * HOP as f32)
    }

    /// The sine of this frequency that is in the window.
    fn amplitude(&self, turn: Complex) -> Complex {
        let (mut place, mut sum) = (Complex::turn(0.0), Complex::default());
        for (sample, weight) in self.window.iter().zip(&self.tables.whole) {
            sum.add(weight * sample, place.conjugate());
            place = place.times(turn);
        }
        let scale = 4.0 / WINDOW as f32;
        Complex {
            re: scale * sum.re,
            im: scale * sum.im,
        }
    }

    fn follow(&mut self, look: Option<Look>, tell: &mut impl FnMut(Sign)) {
        self.run = match (look.filter(|look| look.clean), self.run) {
            (Some(look), Some((key, windows))) if key == look.key => Some((key, windows.saturating_add(1))),
            (Some(look), _) => Some((look.key, 1)),
            (None, _) => None,
        };
        let made = self.run.filter(|(_, windows)| *windows >= RUN).map(|(key, _)| key);
        if let Some(pressed) = self.pressed.as_mut() {
            if look.is_some_and(|look| look.key == pressed.key && look.share >= HELD) {
                (pressed.last, pressed.absent) = (self.clock, 0);
            } else {
                pressed.absent += 1;
            }
            if pressed.absent < GONE && made.is_none_or(|key| key == pressed.key) {
                return;
            }
            tell(pressed.ended());
            self.pressed = None;
        }
        if let Some(key) = made {
            self.pressed = Some(Pressed {
                key,
                began: self.clock - HEARD,
                last: self.clock,
                absent: 0,
            });
            let heard = HEARD as u32;
            tell(Sign::Began { key: KEYS[key], heard });
        }
    }
}

#[cfg(test)]
#[path = "dtmf/tests.rs"]
mod tests;

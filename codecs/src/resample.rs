//! Between 8, 16 and 48 kHz: polyphase filters of linear phase, a windowed sinc (Kaiser) each.
//!
//! With the lower of both rates as f: flat to 0.425 f (3.4 kHz of 8), 66 dB down from 0.5 f. The delay is 28 samples of the lower rate less
//! one of the higher: 3.4 ms between 8 and 48 kHz.

use std::fmt;
use std::sync::OnceLock;

/// Taps of one polyphase branch: what Kaiser's formula asks for 66 dB over 0.075 f, rounded up to the vector width.
const TAPS: usize = 56;
/// Input samples that are filtered at a time: 20 ms at 48 kHz.
const CHUNK: usize = 960;
/// Kaiser's shape for 66 dB.
pub(crate) const BETA: f64 = 6.31;
/// Where the filter is 6 dB down, in the middle of the transition, as a part of the lower rate.
pub(crate) const CUTOFF: f64 = 0.4625;
/// Sums that a dot product runs beside each other, for the vector unit.
pub(crate) const LANES: usize = 8;

/// Rates between which there is no resampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedRates {
    /// Hz of the input.
    pub from_hz: u32,
    /// Hz of the output.
    pub to_hz: u32,
}

impl fmt::Display for UnsupportedRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_hz, to_hz } = self;
        write!(
            f,
            "There is no resampler from {from_hz} to {to_hz} Hz; both must be 8000, 16000 or 48000."
        )
    }
}

impl std::error::Error for UnsupportedRates {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Same,
    Up,
    Down,
}

/// One direction of one stream; it keeps the tail of what it heard between calls, and allocates nothing after `new`.
#[derive(Clone, Debug)]
pub struct Resampler {
    direction: Direction,
    factor: usize,
    /// Up: one row of taps for each of the factor's phases. Down: one row with all taps.
    taps: &'static [f32],
    /// Taps of one row.
    row: usize,
    /// The last `row - 1` samples, then room for a chunk.
    buffer: Box<[f32]>,
    /// Down: input samples to skip before the next output.
    skip: usize,
}

impl Resampler {
    /// A resampler between two of 8, 16 and 48 kHz; equal rates copy.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, UnsupportedRates> {
        let (direction, factor) = match (from_hz, to_hz) {
            (8_000, 8_000) | (16_000, 16_000) | (48_000, 48_000) => (Direction::Same, 1),
            (8_000, 16_000) => (Direction::Up, 2),
            (16_000, 48_000) => (Direction::Up, 3),
            (8_000, 48_000) => (Direction::Up, 6),
            (16_000, 8_000) => (Direction::Down, 2),
            (48_000, 16_000) => (Direction::Down, 3),
            (48_000, 8_000) => (Direction::Down, 6),
            _ => return Err(UnsupportedRates { from_hz, to_hz }),
        };
        let (taps, row): (&[f32], usize) = match direction {
            Direction::Same => (&[], 1),
            Direction::Up => (&filter(factor).up, TAPS),
            Direction::Down => (&filter(factor).down, TAPS * factor),
        };
        let room = if direction == Direction::Same {
            0
        } else {
            row - 1 + CHUNK
        };
        Ok(Self {
            direction,
            factor,
            taps,
            row,
            buffer: vec![0.0; room].into(),
            skip: 0,
        })
    }

    /// How many samples the next `process` of so many will write.
    pub fn output_len(&self, input: usize) -> usize {
        match self.direction {
            Direction::Same => input,
            Direction::Up => input * self.factor,
            Direction::Down => input.saturating_sub(self.skip).div_ceil(self.factor),
        }
    }

    /// Resamples a block of any length to the start of `out` and says how many samples it wrote. Downwards, what is left of a
    /// block that is no multiple of the factor counts for the next.
    ///
    /// # Panics
    /// If `out` is shorter than [`Resampler::output_len`].
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let length = self.output_len(input.len());
        assert!(
            out.len() >= length,
            "resampling writes {length} samples, the output has room for {}",
            out.len()
        );
        match self.direction {
            Direction::Same => out[..length].copy_from_slice(input),
            Direction::Up | Direction::Down => {
                let mut written = 0;
                for chunk in input.chunks(CHUNK) {
                    written += self.filter_chunk(chunk, &mut out[written..]);
                }
            }
        }
        length
    }

    /// Goes on where another one between the same rates is. It allocates nothing.
    ///
    /// # Panics
    /// If the other is between other rates.
    pub fn follow(&mut self, other: &Resampler) {
        self.buffer.copy_from_slice(&other.buffer);
        self.skip = other.skip;
    }

    fn filter_chunk(&mut self, chunk: &[i16], out: &mut [i16]) -> usize {
        let history = self.row - 1;
        for (slot, sample) in self.buffer[history..].iter_mut().zip(chunk) {
            *slot = f32::from(*sample);
        }
        let mut written = 0;
        if self.direction == Direction::Up {
            for (window, group) in self
                .buffer
                .windows(self.row)
                .zip(out.chunks_mut(self.factor))
                .take(chunk.len())
            {
                for (row, sample) in self.taps.chunks_exact(self.row).zip(group) {
                    *sample = dot(row, window).round() as i16;
                }
            }
            written = chunk.len() * self.factor;
        } else {
            while self.skip < chunk.len() {
                out[written] = dot(self.taps, &self.buffer[self.skip..self.skip + self.row]).round() as i16;
                written += 1;
                self.skip += self.factor;
            }
            self.skip -= chunk.len();
        }
        self.buffer.copy_within(chunk.len()..chunk.len() + history, 0);
        written
    }
}

/// Both forms of the filter for one factor. Taps are reversed in time, as a dot product with the samples wants them.
struct Filter {
    up: Box<[f32]>,
    down: Box<[f32]>,
}

/// The filter for a factor of 2, 3 or 6, designed once per process.
fn filter(factor: usize) -> &'static Filter {
    static FILTERS: [OnceLock<Filter>; 3] = [const { OnceLock::new() }; 3];
    let slot = match factor {
        2 => &FILTERS[0],
        3 => &FILTERS[1],
        _ => &FILTERS[2],
    };
    slot.get_or_init(|| {
        let taps = design(factor);
        let branch = |phase: usize| (0..TAPS).rev().map(move |tap| tap * factor + phase);
        let up = (0..factor)
            .flat_map(branch)
            .map(|tap| (taps[tap] * factor as f64) as f32)
            .collect();
        let down = taps.iter().rev().map(|tap| *tap as f32).collect();
        Filter { up, down }
    })
}

/// A low pass at the higher rate with a gain of 1 at 0 Hz. Its length is odd (the last tap is 0), for a delay of whole samples.
fn design(factor: usize) -> Vec<f64> {
    let length = TAPS * factor - 1;
    let middle = (length - 1) as f64 / 2.0;
    let cutoff = CUTOFF / factor as f64;
    let mut taps: Vec<f64> = (0..length)
        .map(|n| {
            let t = n as f64 - middle;
            let x = std::f64::consts::TAU * cutoff * t;
            let sinc = if t == 0.0 { 1.0 } else { x.sin() / x };
            let window = bessel(BETA * (1.0 - (t / middle).powi(2)).sqrt()) / bessel(BETA);
            sinc * window
        })
        .collect();
    let gain: f64 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= gain);
    taps.push(0.0);
    taps
}

/// The modified Bessel function of order 0, by its power series: 30 terms are exact for our arguments.
pub(crate) fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..30 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

/// Both have the same length, a multiple of the lanes.
#[inline]
pub(crate) fn dot(taps: &[f32], samples: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (taps, samples) in taps.chunks_exact(LANES).zip(samples.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += taps[lane] * samples[lane];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::level_dbm0;
    use crate::level::Level;
    use crate::spectrum::dominant;
    use crate::tone::Sine;

    const PAIRS: [(u32, u32); 6] = [
        (8_000, 16_000),
        (16_000, 48_000),
        (8_000, 48_000),
        (16_000, 8_000),
        (48_000, 16_000),
        (48_000, 8_000),
    ];

    /// A quarter of a second of a tone through a resampler, without the first 20 ms, in which the filter fills.
    fn through(hz: f32, from: u32, to: u32) -> Vec<i16> {
        let mut pcm = vec![0; from as usize / 4];
        Sine::new(hz, 0.0, from).fill(&mut pcm);
        let mut out = vec![0; to as usize / 4];
        let written = Resampler::new(from, to).expect("rates").process(&pcm, &mut out);
        assert_eq!(written, out.len());
        out.drain(..to as usize / 50);
        out
    }

    #[test]
    fn flat_in_the_pass_band() {
        for (from, to) in PAIRS {
            let edge = 0.425 * from.min(to) as f32;
            for hz in [60.0, 0.1 * edge, 0.31 * edge, 0.5 * edge, 0.77 * edge, 0.9 * edge, edge] {
                let level = level_dbm0(&through(hz, from, to), hz, to);
                assert!(level.abs() < 0.1, "{from} to {to}: {hz} Hz comes out with {level} dBm0");
            }
        }
    }

    /// Everything that is not the tone, rounding included.
    #[test]
    fn no_images_in_the_pass_band() {
        for (from, to) in PAIRS {
            let edge = 0.425 * from.min(to) as f32;
            for hz in [0.1 * edge, 0.62 * edge, edge] {
                let found = dominant(&through(hz, from, to), to).expect("a tone");
                assert!(found.is(hz, 62.0), "{from} to {to}, {hz} Hz: {found:?}");
            }
        }
    }

    #[test]
    fn no_aliases_from_above_the_band() {
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
            for part in [0.5, 0.51, 0.55, 0.71, 0.93, 0.99] {
                let hz = part * to as f32 + if part > 0.9 { (from / 2 - to) as f32 } else { 0.0 };
                let level = Level::of(&through(hz, from, to)).rms_dbm0();
                assert!(level < -62.0, "{from} to {to}: {hz} Hz leaves {level} dBm0");
            }
        }
    }

    /// Blocks may have any length, also one that the factor does not divide.
    #[test]
    fn blocks_do_not_matter() {
        for (from, to) in PAIRS {
            let mut pcm = vec![0; 6_000];
            Sine::new(1_234.0, -3.0, from).fill(&mut pcm);
            let mut expected = vec![0; 6_000 * to as usize / from as usize];
            assert_eq!(
                Resampler::new(from, to).expect("rates").process(&pcm, &mut expected),
                expected.len()
            );
            for size in [1, 7, 80, 160, 961] {
                let mut resampler = Resampler::new(from, to).expect("rates");
                let mut got = Vec::new();
                let mut out = vec![0; 6 * 961];
                for block in pcm.chunks(size) {
                    let announced = resampler.output_len(block.len());
                    let written = resampler.process(block, &mut out);
                    assert_eq!(announced, written);
                    got.extend_from_slice(&out[..written]);
                }
                assert_eq!(got, expected, "{from} to {to} in blocks of {size}");
            }
        }
    }

    #[test]
    fn the_delay_is_as_documented_and_the_phase_linear() {
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| from < to) {
            let factor = (to / from) as usize;
            let mut pcm = [0; 200];
            pcm[0] = 30_000;
            let mut out = vec![0; 200 * factor];
            Resampler::new(from, to).expect("rates").process(&pcm, &mut out);
            let middle = 28 * factor - 1;
            for distance in 0..middle {
                assert_eq!(out[middle - distance], out[middle + distance], "{from} to {to}");
            }
            assert_eq!(out.iter().max(), Some(&out[middle]));
        }
    }

    #[test]
    fn what_is_too_loud_is_clipped() {
        let pcm: Vec<i16> = (0..1_600)
            .map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        let mut out = vec![0; 9_600];
        Resampler::new(8_000, 48_000).expect("rates").process(&pcm, &mut out);
        // The middle of each half wave, where the ringing is over; wrapped samples would have the other sign.
        for half in 4..36 {
            let sample = out[half * 240 + 120 + 167];
            assert_eq!(sample > 0, half % 2 == 0, "half wave {half} is {sample}");
            assert!(sample.unsigned_abs() > 31_000);
        }
    }

    #[test]
    fn equal_rates_copy_and_others_are_refused() {
        let mut out = [0; 3];
        assert_eq!(
            Resampler::new(16_000, 16_000)
                .expect("rates")
                .process(&[1, 2, 3], &mut out),
            3
        );
        assert_eq!(out, [1, 2, 3]);
        let refused = Resampler::new(44_100, 8_000).expect_err("44.1 kHz");
        assert_eq!(
            refused.to_string(),
            "There is no resampler from 44100 to 8000 Hz; both must be 8000, 16000 or 48000."
        );
    }
}

//! Between 16 and 48 kHz for a room of 48 kHz, as [`crate::double`] is between 8 and 16: a third-band filter of linear phase, a third of whose taps
//! are 0. What has 8 kHz goes through both.
//!
//! With the lower rate as f: flat to 0.43 f (6.9 kHz of 16), 62 dB down from 0.57 f (9.1 kHz).

use crate::double::{BEFORE, BEFORE_MIDDLE, BETA, LANES, TAPS, filter, sample};
use crate::gain::nearest;
use crate::resample::bessel;
use std::array;
use std::sync::OnceLock;

/// Samples of the lower rate that are filtered at a time: 20 ms at 16 kHz.
const CHUNK: usize = 320;
/// From the first tap to the one in the middle, each third of which is 0.
const MIDDLE: usize = 3 * TAPS / 2 - 1;

/// Samples of the lower rate, those before a chunk at the beginning, and what the last lanes read behind it.
type Line = [f32; BEFORE + CHUNK + LANES];

/// The taps that make the first and the second of three samples at the higher rate; the third is made by the one in the middle alone, a third. On
/// the way down the former meet the third sample, and the latter the second.
struct Taps([[f32; TAPS]; 2]);

/// To three times the rate; of one stream.
#[derive(Clone, Debug)]
pub struct Up3 {
    before: [f32; BEFORE],
}

/// To a third of the rate; of one stream.
#[derive(Clone, Debug)]
pub struct Down3 {
    /// Of each three the second and the third.
    before: [[f32; BEFORE]; 2],
    /// And the first.
    before_middle: [f32; BEFORE_MIDDLE],
}

impl Default for Up3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Up3 {
    /// How much later everything is, in samples of the higher rate: 1 ms at 48 kHz.
    pub const DELAY: usize = MIDDLE;

    /// Of a stream that was silent.
    pub fn new() -> Self {
        Self { before: [0.0; BEFORE] }
    }

    /// Takes the next samples, of any number, and writes three times as many.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn process(&mut self, pcm: &[i16], out: &mut [i16]) {
        assert_eq!(3 * pcm.len(), out.len(), "three times as many samples");
        let Taps([first, second]) = taps();
        for (pcm, out) in pcm.chunks(CHUNK).zip(out.chunks_mut(3 * CHUNK)) {
            let mut line: Line = [0.0; BEFORE + CHUNK + LANES];
            line[..BEFORE].copy_from_slice(&self.before);
            for (slot, sample) in line[BEFORE..].iter_mut().zip(pcm) {
                *slot = f32::from(*sample);
            }
            let blocks = out.chunks_mut(3 * LANES).zip((0..).step_by(LANES));
            for (out, at) in blocks {
                let first = filter(first, &line[at..], [0.0; LANES]);
                let second = filter(second, &line[at..], [0.0; LANES]);
                let middle = &line[at + TAPS / 2..];
                for (three, ((first, second), middle)) in
                    out.chunks_exact_mut(3).zip(first.iter().zip(&second).zip(middle))
                {
                    three[0] = sample(3.0 * first);
                    three[1] = sample(3.0 * second);
                    three[2] = nearest(*middle);
                }
            }
            self.before.copy_from_slice(&line[pcm.len()..][..BEFORE]);
        }
    }
}

impl Default for Down3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Down3 {
    /// How much later everything is, in samples of the lower rate: 0.9 ms at 16 kHz.
    pub const DELAY: usize = TAPS / 2 - 1;

    /// Of a stream that was silent.
    pub fn new() -> Self {
        Self {
            before: [[0.0; BEFORE]; 2],
            before_middle: [0.0; BEFORE_MIDDLE],
        }
    }

    /// Takes the next samples, a multiple of three, and writes a third as many.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn process(&mut self, pcm: &[i16], out: &mut [i16]) {
        assert_eq!(pcm.len(), 3 * out.len(), "a third as many samples");
        let Taps([for_third, for_second]) = taps();
        for (pcm, out) in pcm.chunks(3 * CHUNK).zip(out.chunks_mut(CHUNK)) {
            let [mut middle, mut second, mut third]: [Line; 3] = [[0.0; BEFORE + CHUNK + LANES]; 3];
            middle[..BEFORE_MIDDLE].copy_from_slice(&self.before_middle);
            second[..BEFORE].copy_from_slice(&self.before[0]);
            third[..BEFORE].copy_from_slice(&self.before[1]);
            let slots = middle[BEFORE_MIDDLE..]
                .iter_mut()
                .zip(second[BEFORE..].iter_mut().zip(&mut third[BEFORE..]));
            for (three, (middle, (second, third))) in pcm.chunks_exact(3).zip(slots) {
                (*middle, *second, *third) = (f32::from(three[0]), f32::from(three[1]), f32::from(three[2]));
            }
            let length = out.len();
            for (out, at) in out.chunks_mut(LANES).zip((0..).step_by(LANES)) {
                let sums = array::from_fn(|lane| middle[at + lane] / 3.0);
                let sums = filter(for_second, &second[at..], sums);
                let sums = filter(for_third, &third[at..], sums);
                for (out, sum) in out.iter_mut().zip(&sums) {
                    *out = sample(*sum);
                }
            }
            self.before_middle.copy_from_slice(&middle[length..][..BEFORE_MIDDLE]);
            self.before[0].copy_from_slice(&second[length..][..BEFORE]);
            self.before[1].copy_from_slice(&third[length..][..BEFORE]);
        }
    }
}

/// Both rows have their taps from the oldest sample to the newest, and are each other's mirror.
fn taps() -> &'static Taps {
    static TABLE: OnceLock<Taps> = OnceLock::new();
    TABLE.get_or_init(|| {
        let tap = |n: usize| {
            let distance = n as f64 - MIDDLE as f64;
            let sinc = (std::f64::consts::FRAC_PI_3 * distance).sin() / distance;
            sinc * bessel(BETA * (1.0 - (distance / (MIDDLE + 1) as f64).powi(2)).sqrt())
        };
        // All of a row are a third together, as the one in the middle is.
        let gain = 3.0 * (0..TAPS).map(|n| tap(3 * n)).sum::<f64>();
        Taps([1, 0].map(|from| array::from_fn(|n| (tap(3 * n + from) / gain) as f32)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::level_dbm0;
    use crate::level::Level;
    use crate::spectrum::dominant;
    use crate::tone::Sine;

    fn tone(hz: f32, rate: u32) -> Vec<i16> {
        let mut pcm = vec![0; rate as usize * 27 / 100];
        Sine::new(hz, 0.0, rate).fill(&mut pcm);
        pcm
    }

    /// In frames of 20 ms, without the first, in which the filter fills.
    fn up(pcm: &[i16]) -> Vec<i16> {
        let (mut up, mut out) = (Up3::new(), vec![0; 3 * pcm.len()]);
        for (pcm, out) in pcm.chunks(320).zip(out.chunks_mut(960)) {
            up.process(pcm, out);
        }
        out.split_off(960)
    }

    fn down(pcm: &[i16]) -> Vec<i16> {
        let (mut down, mut out) = (Down3::new(), vec![0; pcm.len() / 3]);
        for (pcm, out) in pcm.chunks(960).zip(out.chunks_mut(320)) {
            down.process(pcm, out);
        }
        out.split_off(320)
    }

    const BAND: [f32; 8] = [60.0, 300.0, 1_004.0, 2_000.0, 3_400.0, 5_300.0, 6_400.0, 6_900.0];

    #[test]
    fn it_is_flat_to_6900_hz() {
        for hz in BAND {
            for (level, what) in [
                (level_dbm0(&up(&tone(hz, 16_000)), hz, 48_000), "up"),
                (level_dbm0(&down(&tone(hz, 48_000)), hz, 16_000), "down"),
            ] {
                assert!(level.abs() < 0.02, "{what}: {hz} Hz comes out with {level} dBm0");
            }
        }
    }

    /// Everything that is not the tone, rounding included.
    #[test]
    fn it_adds_nothing() {
        for hz in BAND {
            let found = dominant(&up(&tone(hz, 16_000)), 48_000).expect("a tone");
            assert!(found.is(hz, 61.0), "up, {hz} Hz: {found:?}");
            let found = dominant(&down(&tone(hz, 48_000)), 16_000).expect("a tone");
            assert!(found.is(hz, 61.0), "down, {hz} Hz: {found:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        for hz in [
            9_150.0, 9_300.0, 10_300.0, 12_000.0, 15_000.0, 17_000.0, 20_000.0, 23_900.0,
        ] {
            let level = Level::of(&down(&tone(hz, 48_000))).rms_dbm0();
            assert!(level < -61.0, "{hz} Hz leaves {level} dBm0");
        }
    }

    #[test]
    fn the_delay_is_as_said_and_the_phase_linear() {
        let (mut pcm, mut out) = ([0; 160], [0; 480]);
        pcm[0] = 30_000;
        Up3::new().process(&pcm, &mut out);
        assert_eq!(out.iter().position(|sample| *sample == 30_000), Some(Up3::DELAY));
        for distance in 1..=Up3::DELAY {
            assert_eq!(out[Up3::DELAY - distance], out[Up3::DELAY + distance]);
        }
        let (mut pcm, mut out) = ([0; 480], [0; 160]);
        pcm[0] = 30_000;
        Down3::new().process(&pcm, &mut out);
        assert_eq!(out.iter().max(), Some(&out[Down3::DELAY]));
        assert_eq!(out[Down3::DELAY], 10_000);
        assert_eq!(out.iter().filter(|sample| **sample != 0).count(), 1);
    }

    #[test]
    fn blocks_do_not_matter() {
        let pcm = tone(1_234.0, 16_000);
        let (mut above, mut below) = (vec![0; 3 * pcm.len()], vec![0; pcm.len() / 3]);
        Up3::new().process(&pcm, &mut above);
        Down3::new().process(&pcm, &mut below);
        for size in [3, 15, 81, 159, 321, 960, 1_923] {
            let (mut up, mut down) = (Up3::new(), Down3::new());
            let (mut got_above, mut got_below) = (Vec::new(), Vec::new());
            for block in pcm.chunks(size) {
                let (mut thrice, mut third) = (vec![0; 3 * block.len()], vec![0; block.len() / 3]);
                up.process(block, &mut thrice);
                down.process(block, &mut third);
                got_above.extend(thrice);
                got_below.extend(third);
            }
            assert!(got_above == above && got_below == below, "blocks of {size}");
        }
    }

    /// Sample by sample, in double precision, of a filter that is written down in another way.
    #[test]
    fn it_is_what_the_plain_version_says() {
        let mut random = 1u32;
        let pcm: Vec<i16> = (0..960)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 17) as i16 - 16_384
            })
            .collect();
        let Taps([first, second]) = taps();
        // By distance from the middle: 1, 4, 7 and so on, 2, 5, 8 and so on, or none.
        let whole = |n: usize| match n.abs_diff(MIDDLE) {
            0 => 1.0 / 3.0,
            distance if distance % 3 == 1 => f64::from(second[TAPS / 2 + distance / 3]),
            distance if distance % 3 == 2 => f64::from(first[TAPS / 2 + distance / 3]),
            _ => 0.0,
        };
        let convolved = |input: &[f64], at: usize| -> f64 {
            (0..=2 * MIDDLE)
                .filter(|n| *n <= at)
                .map(|n| whole(n) * input[at - n])
                .sum()
        };
        let samples: Vec<f64> = pcm.iter().map(|sample| f64::from(*sample)).collect();
        let between: Vec<f64> = samples.iter().flat_map(|sample| [3.0 * sample, 0.0, 0.0]).collect();
        let mut out = vec![0; 2_880];
        Up3::new().process(&pcm, &mut out);
        for (n, got) in out.iter().enumerate() {
            assert!((f64::from(*got) - convolved(&between, n)).abs() < 0.51, "up: {n}");
        }
        Down3::new().process(&pcm, &mut out[..320]);
        for (n, got) in out[..320].iter().enumerate() {
            assert!(
                (f64::from(*got) - convolved(&samples, 3 * n + 2)).abs() < 0.51,
                "down: {n}"
            );
        }
    }

    #[test]
    fn what_rings_over_full_scale_is_cut_off() {
        let square = |half: usize| -> Vec<i16> {
            let sample = |n: usize| {
                if (n / half).is_multiple_of(2) {
                    i16::MAX
                } else {
                    i16::MIN
                }
            };
            (0..1_920).map(sample).collect()
        };
        for (out, half, delay) in [
            (up(&square(40)), 120, Up3::DELAY),
            (down(&square(48)), 16, Down3::DELAY),
        ] {
            let cut = out
                .iter()
                .filter(|sample| matches!(**sample, i16::MIN | i16::MAX))
                .count();
            assert!(cut > 10, "{cut}");
            for (n, sample) in out.iter().enumerate().skip(delay) {
                let (place, number) = ((n - delay) % half, (n - delay) / half);
                if (half / 4..half * 3 / 4).contains(&place) {
                    assert_eq!(*sample > 0, number % 2 == 0, "{half}: sample {n} is {sample}");
                }
            }
        }
    }
}

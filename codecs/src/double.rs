//! Between 8 and 16 kHz for a room, in which it is done for many every 20 ms: a half-band filter of linear phase, half of whose taps are 0.
//!
//! With the lower rate as f: flat to 0.43 f (3.4 kHz of 8), 62 dB down from 0.57 f (4.6 kHz). What [`crate::resample`] would take away
//! between 0.5 f and that is mirrored there: at the very end of the band, and at a quarter of the cost.

use crate::gain::nearest;
use crate::resample::bessel;
use std::array;
use std::sync::OnceLock;

/// Taps that are not 0, but for the one in the middle: what Kaiser's formula asks for 62 dB over 0.12 f.
pub(crate) const TAPS: usize = 32;
/// Kaiser's shape for 62 dB.
pub(crate) const BETA: f64 = 5.87;
/// Samples that are filtered beside each other, for the vector unit.
pub(crate) const LANES: usize = 16;
/// Samples of the lower rate that are filtered at a time: 20 ms at 24 kHz.
const CHUNK: usize = 480;
/// What a chunk needs of the samples before it.
pub(crate) const BEFORE: usize = TAPS - 1;
/// The same of those that meet only the tap in the middle.
pub(crate) const BEFORE_MIDDLE: usize = TAPS / 2 - 1;

/// Samples of the lower rate, those before a chunk at the beginning, and what the last lanes read behind it.
type Line = [f32; BEFORE + CHUNK + LANES];

/// To twice the rate; of one stream.
#[derive(Clone, Debug)]
pub struct Up2 {
    taps: &'static [f32; TAPS],
    before: [f32; BEFORE],
}

/// To half the rate; of one stream.
#[derive(Clone, Debug)]
pub struct Down2 {
    taps: &'static [f32; TAPS],
    /// Of each pair the second.
    before: [f32; BEFORE],
    /// And the first.
    before_middle: [f32; BEFORE_MIDDLE],
}

impl Default for Up2 {
    fn default() -> Self {
        Self::new()
    }
}

impl Up2 {
    /// How much later everything is, in samples of the higher rate: 1.9 ms at 16 kHz.
    pub const DELAY: usize = TAPS - 1;

    /// Of a stream that was silent.
    pub fn new() -> Self {
        Self {
            taps: taps(),
            before: [0.0; BEFORE],
        }
    }

    /// Takes the next samples, of any number, and writes twice as many.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn process(&mut self, pcm: &[i16], out: &mut [i16]) {
        assert_eq!(2 * pcm.len(), out.len(), "twice as many samples");
        for (pcm, out) in pcm.chunks(CHUNK).zip(out.chunks_mut(2 * CHUNK)) {
            let mut line: Line = [0.0; BEFORE + CHUNK + LANES];
            line[..BEFORE].copy_from_slice(&self.before);
            for (slot, sample) in line[BEFORE..].iter_mut().zip(pcm) {
                *slot = f32::from(*sample);
            }
            let blocks = out.chunks_mut(2 * LANES).zip((0..).step_by(LANES));
            for (out, at) in blocks {
                let filtered = filter(self.taps, &line[at..], [0.0; LANES]);
                let middle = &line[at + TAPS / 2..];
                for ((pair, filtered), middle) in out.chunks_exact_mut(2).zip(&filtered).zip(middle) {
                    pair[0] = sample(2.0 * filtered);
                    pair[1] = nearest(*middle);
                }
            }
            self.before.copy_from_slice(&line[pcm.len()..][..BEFORE]);
        }
    }
}

impl Default for Down2 {
    fn default() -> Self {
        Self::new()
    }
}

impl Down2 {
    /// How much later everything is, in samples of the lower rate: 1.9 ms at 8 kHz.
    pub const DELAY: usize = TAPS / 2 - 1;

    /// Of a stream that was silent.
    pub fn new() -> Self {
        Self {
            taps: taps(),
            before: [0.0; BEFORE],
            before_middle: [0.0; BEFORE_MIDDLE],
        }
    }

    /// Takes the next samples, of any even number, and writes half as many.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn process(&mut self, pcm: &[i16], out: &mut [i16]) {
        assert_eq!(pcm.len(), 2 * out.len(), "half as many samples");
        for (pcm, out) in pcm.chunks(2 * CHUNK).zip(out.chunks_mut(CHUNK)) {
            let (mut line, mut middle): (Line, Line) = ([0.0; BEFORE + CHUNK + LANES], [0.0; BEFORE + CHUNK + LANES]);
            line[..BEFORE].copy_from_slice(&self.before);
            middle[..BEFORE_MIDDLE].copy_from_slice(&self.before_middle);
            let slots = line[BEFORE..].iter_mut().zip(&mut middle[BEFORE_MIDDLE..]);
            for (pair, (second, first)) in pcm.chunks_exact(2).zip(slots) {
                (*first, *second) = (f32::from(pair[0]), f32::from(pair[1]));
            }
            let length = out.len();
            for (out, at) in out.chunks_mut(LANES).zip((0..).step_by(LANES)) {
                let half = array::from_fn(|lane| 0.5 * middle[at + lane]);
                let filtered = filter(self.taps, &line[at..], half);
                for (out, filtered) in out.iter_mut().zip(&filtered) {
                    *out = sample(*filtered);
                }
            }
            self.before.copy_from_slice(&line[length..][..BEFORE]);
            self.before_middle.copy_from_slice(&middle[length..][..BEFORE_MIDDLE]);
        }
    }
}

/// As many samples beside each other as there are lanes, added to what is there.
#[inline]
pub(crate) fn filter(taps: &[f32; TAPS], line: &[f32], mut sums: [f32; LANES]) -> [f32; LANES] {
    let line = &line[..BEFORE + LANES];
    for (at, tap) in taps.iter().enumerate() {
        let samples = &line[at..at + LANES];
        for lane in 0..LANES {
            sums[lane] += tap * samples[lane];
        }
    }
    sums
}

/// What rings over full scale is cut off there.
#[inline]
pub(crate) fn sample(value: f32) -> i16 {
    nearest(value.clamp(-32_768.0, 32_767.0))
}

/// The taps on both sides of the middle, each second of which is 0 and not among them. The one in the middle is a half.
fn taps() -> &'static [f32; TAPS] {
    static TABLE: OnceLock<[f32; TAPS]> = OnceLock::new();
    TABLE.get_or_init(|| {
        let tap = |n: usize| {
            let distance = 2.0 * n as f64 - (TAPS - 1) as f64;
            let sinc = (std::f64::consts::FRAC_PI_2 * distance).sin() / distance;
            sinc * bessel(BETA * (1.0 - (distance / TAPS as f64).powi(2)).sqrt())
        };
        // All of them are a half together, as the one in the middle is.
        let gain = 2.0 * (0..TAPS).map(tap).sum::<f64>();
        array::from_fn(|n| (tap(n) / gain) as f32)
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
        let (mut up, mut out) = (Up2::new(), vec![0; 2 * pcm.len()]);
        for (pcm, out) in pcm.chunks(160).zip(out.chunks_mut(320)) {
            up.process(pcm, out);
        }
        out.split_off(320)
    }

    fn down(pcm: &[i16]) -> Vec<i16> {
        let (mut down, mut out) = (Down2::new(), vec![0; pcm.len() / 2]);
        for (pcm, out) in pcm.chunks(320).zip(out.chunks_mut(160)) {
            down.process(pcm, out);
        }
        out.split_off(160)
    }

    const BAND: [f32; 7] = [60.0, 300.0, 1_004.0, 2_000.0, 2_770.0, 3_200.0, 3_400.0];

    #[test]
    fn it_is_flat_to_3400_hz() {
        for hz in BAND {
            for (level, what) in [
                (level_dbm0(&up(&tone(hz, 8_000)), hz, 16_000), "up"),
                (level_dbm0(&down(&tone(hz, 16_000)), hz, 8_000), "down"),
            ] {
                assert!(level.abs() < 0.02, "{what}: {hz} Hz comes out with {level} dBm0");
            }
        }
    }

    /// Everything that is not the tone, rounding included.
    #[test]
    fn it_adds_nothing() {
        for hz in BAND {
            let found = dominant(&up(&tone(hz, 8_000)), 16_000).expect("a tone");
            assert!(found.is(hz, 61.0), "up, {hz} Hz: {found:?}");
            let found = dominant(&down(&tone(hz, 16_000)), 8_000).expect("a tone");
            assert!(found.is(hz, 61.0), "down, {hz} Hz: {found:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        for hz in [4_600.0, 4_650.0, 4_800.0, 5_300.0, 6_100.0, 7_000.0, 7_900.0] {
            let level = Level::of(&down(&tone(hz, 16_000))).rms_dbm0();
            assert!(level < -61.0, "{hz} Hz leaves {level} dBm0");
        }
    }

    #[test]
    fn the_delay_is_as_said_and_the_phase_linear() {
        let (mut pcm, mut out) = ([0; 160], [0; 320]);
        pcm[0] = 30_000;
        Up2::new().process(&pcm, &mut out);
        assert_eq!(out.iter().position(|sample| *sample == 30_000), Some(Up2::DELAY));
        for distance in 1..=Up2::DELAY {
            assert_eq!(out[Up2::DELAY - distance], out[Up2::DELAY + distance]);
        }
        let (mut pcm, mut out) = ([0; 320], [0; 160]);
        pcm[0] = 30_000;
        Down2::new().process(&pcm, &mut out);
        assert_eq!(out.iter().max(), Some(&out[Down2::DELAY]));
        assert_eq!(out[Down2::DELAY], 15_000);
        assert_eq!(out.iter().filter(|sample| **sample != 0).count(), 1);
    }

    #[test]
    fn blocks_do_not_matter() {
        let pcm = tone(1_234.0, 16_000);
        let (mut above, mut below) = (vec![0; 2 * pcm.len()], vec![0; pcm.len() / 2]);
        Up2::new().process(&pcm, &mut above);
        Down2::new().process(&pcm, &mut below);
        for size in [2, 14, 80, 160, 322, 960, 1_922] {
            let (mut up, mut down) = (Up2::new(), Down2::new());
            let (mut got_above, mut got_below) = (Vec::new(), Vec::new());
            for block in pcm.chunks(size) {
                let (mut twice, mut half) = (vec![0; 2 * block.len()], vec![0; block.len() / 2]);
                up.process(block, &mut twice);
                down.process(block, &mut half);
                got_above.extend(twice);
                got_below.extend(half);
            }
            assert!(got_above == above && got_below == below, "blocks of {size}");
        }
    }

    /// Sample by sample, in double precision.
    #[test]
    fn it_is_what_the_plain_version_says() {
        let mut random = 1u32;
        let pcm: Vec<i16> = (0..640)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 17) as i16 - 16_384
            })
            .collect();
        let whole = |n: usize| match n % 2 {
            0 => f64::from(taps()[n / 2]),
            _ if n == TAPS - 1 => 0.5,
            _ => 0.0,
        };
        let convolved = |input: &[f64], at: usize| -> f64 {
            (0..2 * TAPS - 1)
                .filter(|n| *n <= at)
                .map(|n| whole(n) * input[at - n])
                .sum()
        };
        let samples: Vec<f64> = pcm.iter().map(|sample| f64::from(*sample)).collect();
        let between: Vec<f64> = samples.iter().flat_map(|sample| [2.0 * sample, 0.0]).collect();
        let mut out = vec![0; 1_280];
        Up2::new().process(&pcm, &mut out);
        for (n, got) in out.iter().enumerate() {
            assert!((f64::from(*got) - convolved(&between, n)).abs() < 0.51, "up: {n}");
        }
        Down2::new().process(&pcm, &mut out[..320]);
        for (n, got) in out[..320].iter().enumerate() {
            assert!(
                (f64::from(*got) - convolved(&samples, 2 * n + 1)).abs() < 0.51,
                "down: {n}"
            );
        }
    }

    #[test]
    fn what_rings_over_full_scale_is_cut_off() {
        let square: Vec<i16> = (0..800)
            .map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        for (out, half, delay) in [(up(&square), 80, Up2::DELAY), (down(&square), 20, Down2::DELAY)] {
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

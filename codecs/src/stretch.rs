//! A little shorter, without a click: for a member whose clock is faster than ours.
//!
//! What is left out is as long as the signal takes to be like itself again: one pitch period of a voice or more, found by
//! normalised correlation. Over the seam one is faded into the other for 20 ms. It may be done anywhere, but is heard least in a pause.

use crate::Rate;
use crate::gain::nearest;
use crate::resample::dot;

/// The least that is left out: 2.5 ms.
const LEAST_PER_S: usize = 400;
/// The most: 10 ms.
const MOST_PER_S: usize = 100;
/// The fade, over as many samples as are compared: 20 ms.
const SEAM_PER_S: usize = 50;
/// What is needed of the signal: 40 ms.
const STRETCH_PER_S: usize = 25;
/// The most that is compared: a seam, and another as much later as may be, at 48 kHz.
const COMPARED: usize = 48_000 / SEAM_PER_S + 48_000 / MOST_PER_S;

/// How long a signal must be to be made shorter, in samples: 40 ms.
pub const fn shortest(rate: Rate) -> usize {
    rate.hz() as usize / STRETCH_PER_S
}

/// The most that a signal becomes shorter by, in samples: 10 ms.
pub const fn most(rate: Rate) -> usize {
    rate.hz() as usize / MOST_PER_S
}

/// Makes a signal 2.5 to 10 ms shorter, and says how many samples it wrote to the start of `out`.
///
/// # Panics
/// If the signal is shorter than [`shortest`], or `out` than the signal.
pub fn shorten(pcm: &[i16], rate: Rate, out: &mut [i16]) -> usize {
    let seam = Seam::find(pcm, rate.hz() as usize);
    seam.join(pcm, seam.at, seam.at + seam.lag, out)
}

/// Two places of a signal that are alike.
#[derive(Clone, Copy, Debug)]
struct Seam {
    /// The first of them.
    at: usize,
    /// How much later the second is.
    lag: usize,
    /// How long they are alike.
    length: usize,
}

impl Seam {
    /// In the middle of the signal. Every lag is tried: there are few enough of them.
    fn find(pcm: &[i16], hz: usize) -> Self {
        assert!(
            pcm.len() >= hz / STRETCH_PER_S,
            "{} samples are less than 40 ms at {hz} Hz",
            pcm.len()
        );
        let (least, most, length) = (hz / LEAST_PER_S, hz / MOST_PER_S, hz / SEAM_PER_S);
        let at = (pcm.len() - most - length) / 2;
        let mut samples = [0.0; COMPARED];
        let samples = &mut samples[..most + length];
        for (slot, sample) in samples.iter_mut().zip(&pcm[at..]) {
            *slot = f32::from(*sample);
        }
        let square = |n: usize| f64::from(samples[n]).powi(2);
        // Whole numbers below 2^53: however often one is added and another taken away, none is rounded.
        let mut energy: f64 = (least..least + length).map(square).sum();
        let mut best = (f64::MIN, least);
        for lag in least..=most {
            let product = dot(&samples[..length], &samples[lag..lag + length]);
            let alike = f64::from(product) / (energy + 1.0).sqrt();
            if alike > best.0 {
                best = (alike, lag);
            }
            if lag < most {
                energy += square(lag + length) - square(lag);
            }
        }
        Self {
            at,
            lag: best.1,
            length,
        }
    }

    /// The signal up to one of both places, and from the other on.
    fn join(self, pcm: &[i16], from: usize, to: usize, out: &mut [i16]) -> usize {
        let length = pcm.len() + from - to;
        assert!(
            out.len() >= length,
            "a signal of {length} samples, and room for {}",
            out.len()
        );
        out[..from].copy_from_slice(&pcm[..from]);
        let (before, after) = (&pcm[from..from + self.length], &pcm[to..to + self.length]);
        let weight = 1.0 / (self.length + 1) as f32;
        for (n, (slot, (before, after))) in out[from..].iter_mut().zip(before.iter().zip(after)).enumerate() {
            let (before, after) = (f32::from(*before), f32::from(*after));
            *slot = nearest(before + (after - before) * (n + 1) as f32 * weight);
        }
        out[from + self.length..length].copy_from_slice(&pcm[to + self.length..]);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::noise::Noise;
    use crate::spectrum::dominant;
    use crate::speech;
    use crate::tone::Sine;

    const RATES: [Rate; 3] = [Rate::Narrow, Rate::Wide, Rate::Full];

    fn tone(hz: f32, rate: u32, ms: usize) -> Vec<i16> {
        let mut pcm = vec![0; rate as usize * ms / 1_000];
        Sine::new(hz, -10.0, rate).fill(&mut pcm);
        pcm
    }

    fn changed(change: impl Fn(&[i16], &mut [i16]) -> usize, pcm: &[i16]) -> Vec<i16> {
        let mut out = vec![7; pcm.len() + 480];
        let length = change(pcm, &mut out);
        out.truncate(length);
        out
    }

    /// 40 ms of a signal, changed in place.
    fn within(change: impl Fn(&[i16], &mut [i16]) -> usize, pcm: &[i16], from: usize, stretch: usize) -> Vec<i16> {
        let middle = changed(change, &pcm[from..from + stretch]);
        [&pcm[..from], &middle, &pcm[from + stretch..]].concat()
    }

    /// How far a tone is above all else, in the 100 ms where this is least.
    fn purity(pcm: &[i16], hz: f32, rate: u32) -> f32 {
        pcm.windows(rate as usize / 10)
            .step_by(rate as usize / 80)
            .map(|window| dominant(window, rate).filter(|found| found.is(hz, 0.0)))
            .map(|found| found.map_or(0.0, |found| found.over_rest_db))
            .fold(90.0, f32::min)
    }

    #[test]
    fn a_tone_stays_a_tone() {
        for rate in RATES {
            for hz in [400.0, 1_004.0, 2_500.0] {
                for ms in [40, 60] {
                    let (stretch, ms_100) = (rate.hz() as usize * ms / 1_000, rate.hz() as usize / 10);
                    let pcm = tone(hz, rate.hz(), 240);
                    let out = within(|pcm, out| shorten(pcm, rate, out), &pcm, ms_100 - 3, stretch);
                    let by = pcm.len() - out.len();
                    assert!((most(rate) / 4..=most(rate)).contains(&by), "{by}");
                    let purity = purity(&out, hz, rate.hz());
                    assert!(purity > 50.0, "{rate:?}, {hz} Hz, {ms} ms, by {by}: {purity} dB");
                }
            }
            // What is measured is measured: 2.5 ms cut out without looking.
            let pcm = tone(1_004.0, rate.hz(), 240);
            let by = most(rate) / 4 + 3;
            let cut = [&pcm[..pcm.len() / 2], &pcm[pcm.len() / 2 + by..]].concat();
            assert!(purity(&cut, 1_004.0, rate.hz()) < 20.0);
        }
    }

    /// Any tone, of whose period no multiple need be a whole number of samples.
    #[test]
    fn so_does_any_other() {
        for rate in RATES {
            // At 48 kHz fewer of them: what is measured costs the square of it.
            let each = if rate == Rate::Full { 1_038 } else { 173 };
            for hz in (100..3_400).step_by(each).map(|hz| hz as f32) {
                let pcm = tone(hz, rate.hz(), 240);
                let out = within(|pcm, out| shorten(pcm, rate, out), &pcm, pcm.len() / 2, shortest(rate));
                let purity = purity(&out, hz, rate.hz());
                assert!(purity > 42.0, "{rate:?}, {hz} Hz: {purity} dB");
            }
        }
    }

    #[test]
    fn both_ends_are_untouched_and_the_length_is_told() {
        for rate in RATES {
            for ms in [40, 41, 60, 80] {
                let pcm = speech::synthesise(rate.hz() as usize * ms / 1_000, -20.0, rate.hz());
                let end = (pcm.len() - most(rate) - shortest(rate) / 2) / 2;
                let out = changed(|pcm, out| shorten(pcm, rate, out), &pcm);
                let by = pcm.len() - out.len();
                assert!((most(rate) / 4..=most(rate)).contains(&by), "{rate:?}: {by}");
                assert_eq!(out[..end], pcm[..end]);
                assert_eq!(out[out.len() - end..], pcm[pcm.len() - end..]);
            }
        }
    }

    /// The sharpest corner of a signal: what sounds as a click has one that the signal itself has not.
    fn sharpest(pcm: &[i16]) -> i32 {
        pcm.windows(3)
            .map(|three| (i32::from(three[0]) - 2 * i32::from(three[1]) + i32::from(three[2])).abs())
            .max()
            .unwrap_or(0)
    }

    /// Every 40 ms of some speech.
    #[test]
    fn speech_has_no_click() {
        for rate in RATES {
            let pcm = speech::synthesise(5 * rate.hz() as usize, -16.0, rate.hz());
            let stretch = shortest(rate);
            let clicks = |change: &dyn Fn(&[i16], &mut [i16]) -> usize| {
                (0..pcm.len() - 3 * stretch)
                    .step_by(stretch / 3)
                    .map(|at| &pcm[at..at + 3 * stretch])
                    .filter(|around| {
                        sharpest(&within(change, around, stretch, stretch)) > sharpest(around) * 11 / 10 + 20
                    })
                    .count()
            };
            assert_eq!(clicks(&|pcm, out| shorten(pcm, rate, out)), 0, "{rate:?}");
            let cut = |pcm: &[i16], out: &mut [i16]| {
                let by = most(rate) / 2;
                out[..stretch - by].copy_from_slice(&[&pcm[..stretch / 2], &pcm[stretch / 2 + by..]].concat());
                stretch - by
            };
            assert!(clicks(&cut) > 20, "{rate:?}: only {} by cuts", clicks(&cut));
        }
    }

    /// Speech at a pitch of its own keeps it: of a voice whole periods go.
    #[test]
    fn of_a_voice_whole_periods_go() {
        for rate in RATES {
            let scale = rate.hz() as usize / 8_000;
            for period in [25, 40, 64, 78] {
                let period = period * scale;
                // A pulse and what it leaves behind, as of a mouth.
                let voice: Vec<i16> = (0..shortest(rate))
                    .map(|n| (n % period) as f32 / scale as f32)
                    .map(|since| (12_000.0 * (-since / 9.0).exp() * (since * 0.7).cos()) as i16)
                    .collect();
                let out = changed(|pcm, out| shorten(pcm, rate, out), &voice);
                assert_eq!(out.len().abs_diff(voice.len()) % period, 0, "{rate:?}: {period}");
                for (n, sample) in out.iter().enumerate() {
                    assert_eq!(*sample, voice[n % period], "{rate:?}, {period}: sample {n}");
                }
            }
        }
    }

    #[test]
    fn silence_is_silent_and_noise_as_loud_as_it_was() {
        for rate in RATES {
            let out = changed(|pcm, out| shorten(pcm, rate, out), &vec![0; shortest(rate)]);
            assert!(out.iter().all(|sample| *sample == 0));
            let mut noise = vec![0; shortest(rate)];
            Noise::new(-40.0).fill(&mut noise);
            let out = changed(|pcm, out| shorten(pcm, rate, out), &noise);
            let louder = Level::of(&out).rms_dbov() - Level::of(&noise).rms_dbov();
            assert!(louder.abs() < 2.0, "{louder} dB");
        }
    }

    /// The loudest there is, and what is alike nowhere.
    #[test]
    fn extremes_are_no_trouble() {
        for rate in RATES {
            let flat = vec![i16::MIN; shortest(rate)];
            assert!(
                changed(|pcm, out| shorten(pcm, rate, out), &flat)
                    .iter()
                    .all(|sample| *sample == i16::MIN)
            );
            let step: Vec<i16> = (0..shortest(rate))
                .map(|n| if n % 2 == 0 { i16::MIN } else { i16::MAX })
                .collect();
            let out = changed(|pcm, out| shorten(pcm, rate, out), &step);
            assert_eq!(out.len() % 2, 0, "a period is two samples");
        }
    }

    /// What is louder is not more alike for it.
    #[test]
    fn what_comes_louder_is_not_taken_for_what_was() {
        for rate in RATES {
            let scale = rate.hz() as usize / 8_000;
            let (period, louder) = (40 * scale, (40 + 160 + 45) * scale);
            let voice: Vec<i16> = (0..shortest(rate))
                .map(|n| {
                    let (phase, size) = if n < louder { (0.0, 2_000.0) } else { (0.25, 20_000.0) };
                    let turns = n as f32 / period as f32 + phase;
                    (size * (std::f32::consts::TAU * turns).sin()) as i16
                })
                .collect();
            let out = changed(|pcm, out| shorten(pcm, rate, out), &voice);
            assert_eq!(voice.len() - out.len(), period, "{rate:?}");
        }
    }
}

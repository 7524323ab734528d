//! Concealment of lost packets of a codec that has none of its own, in the manner of ITU-T G.711 Appendix I: of G.711 at 8 kHz, and
//! likewise of G.722 at 16 kHz, whose own appendices III and IV are other methods.
//!
//! The last pitch periods are repeated: one in the first 10 ms, two in the next 10, three from then on, so that no buzz is heard. From
//! 10 ms on they fade, to silence at 60 ms. What comes after the gap is faded in over what the repetition would have said.
//!
//! The appendix delays all speech by 3.75 ms, so that the seam can still be smoothed when a loss is noticed. Here nothing is delayed:
//! the step between the last sample and the first repeated one is taken back over a quarter of a period instead.

use std::ops::RangeInclusive;

/// The shortest pitch period, in samples at 8 kHz: 200 Hz.
const PITCH_MIN: usize = 40;
/// The longest pitch period: 66 Hz.
const PITCH_MAX: usize = 120;
/// The most periods that are repeated as one.
const PERIODS_MAX: usize = 3;
/// Three periods of the longest pitch, and a quarter for the seam.
const NARROW: usize = PITCH_MAX * PERIODS_MAX + PITCH_MAX / 4;
/// The same at 16 kHz.
const WIDE: usize = 2 * NARROW;

/// For a stream at 8 kHz.
pub type Concealer = Conceal<NARROW>;
/// For a stream at 16 kHz.
pub type WideConcealer = Conceal<WIDE>;

/// One stream's memory, of so many samples, which stand for its rate. It allocates nothing.
#[derive(Clone, Debug)]
pub struct Conceal<const HISTORY: usize> {
    /// What was played last, the newest at the end.
    history: [i16; HISTORY],
    gap: Option<Gap<HISTORY>>,
}

/// A loss that goes on.
#[derive(Clone, Debug)]
struct Gap<const HISTORY: usize> {
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

impl<const HISTORY: usize> Default for Conceal<HISTORY> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const HISTORY: usize> Conceal<HISTORY> {
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

impl<const HISTORY: usize> Gap<HISTORY> {
    /// How many samples there are for one at 8 kHz.
    const SCALE: usize = HISTORY / NARROW;
    /// Samples of 10 ms, the unit of the appendix.
    const TEN_MS: u32 = 80 * Self::SCALE as u32;
    /// When all is silent.
    const SILENT_AFTER: u32 = 6 * Self::TEN_MS;
    /// What each further 10 ms of loss adds to the fade at its end.
    const MERGE_STEP: u32 = 32 * Self::SCALE as u32;

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
        if self.elapsed >= Self::SILENT_AFTER {
            return 0.0;
        }
        let since_ten_ms = (self.elapsed % Self::TEN_MS) as usize;
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
        let gain = (Self::SILENT_AFTER - self.elapsed) as f32 / (Self::SILENT_AFTER - Self::TEN_MS) as f32;
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
        let further = self.elapsed.saturating_sub(1) / Self::TEN_MS;
        (self.quarter() + (further * Self::MERGE_STEP) as usize).min(Self::TEN_MS as usize)
    }
}

/// The step `n` of `length` from one signal to another.
fn fade(from: f32, to: f32, n: usize, length: usize) -> f32 {
    let weight = (n + 1) as f32 / (length + 1) as f32;
    from + (to - from) * weight
}

/// The lag at which the last 20 ms resemble what came before them most. At more than 8 kHz it is looked for among what 8 kHz would have
/// first, and then beside what was found there.
fn pitch<const HISTORY: usize>(source: &[f32; HISTORY]) -> usize {
    let scale = HISTORY / NARROW;
    let (least, most) = (PITCH_MIN * scale, PITCH_MAX * scale);
    let found = most_alike(source, least..=most, scale);
    if scale == 1 {
        return found;
    }
    let beside = (found + 1 - scale).max(least)..=(found + scale - 1).min(most);
    most_alike(source, beside, 1)
}

/// The lag of these, each so many from the last, at which every so manieth sample resembles what came before it most.
fn most_alike<const HISTORY: usize>(source: &[f32; HISTORY], lags: RangeInclusive<usize>, each: usize) -> usize {
    // 20 ms.
    let recent = HISTORY - 160 * (HISTORY / NARROW);
    let mut best = (f32::MIN, *lags.end());
    for lag in lags.step_by(each) {
        let pairs = source[recent..].iter().zip(&source[recent - lag..]);
        let (mut product, mut energy) = (0.0f32, 1.0f32);
        for (a, b) in pairs.step_by(each) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::spectrum::dominant;
    use crate::speech::{self, steepest};
    use crate::tone::Sine;
    use proptest::prelude::*;

    fn sine(hz: f32, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        Sine::new(hz, -10.0, 8_000).fill(&mut pcm);
        pcm
    }

    /// Passes frames through a concealer; `lost` tells by the number of a frame whether it is lost.
    fn through(pcm: &[i16], frame: usize, lost: impl Fn(usize) -> bool) -> Vec<i16> {
        through_a(Concealer::new(), pcm, frame, lost)
    }

    fn through_a<const HISTORY: usize>(
        mut concealer: Conceal<HISTORY>,
        pcm: &[i16],
        frame: usize,
        lost: impl Fn(usize) -> bool,
    ) -> Vec<i16> {
        let mut out = pcm.to_vec();
        for (number, block) in out.chunks_mut(frame).enumerate() {
            if lost(number) {
                block.fill(-1);
                concealer.lost(block);
            } else {
                concealer.good(block);
            }
        }
        out
    }

    #[test]
    fn without_loss_nothing_changes() {
        let pcm = speech::synthesise(8_000, -20.0, 8_000);
        assert_eq!(through(&pcm, 160, |_| false), pcm);
    }

    #[test]
    fn before_anything_was_heard_a_loss_is_silence() {
        let mut out = [5; 160];
        Concealer::new().lost(&mut out);
        assert_eq!(out, [0; 160]);
    }

    /// A single lost frame of a tone, of any length: no click, and the tone stays the tone.
    #[test]
    fn a_tone_goes_on_over_a_loss() {
        for hz in [210.0, 437.0, 1_004.0] {
            for frame in [80, 160, 240] {
                let pcm = sine(hz, 9_600);
                let out = through(&pcm, frame, |number| number == 12);
                assert!(
                    steepest(&out) < steepest(&pcm) * 14 / 10,
                    "{hz} Hz, {frame}: a click of {}",
                    steepest(&out)
                );
                let first = &out[12 * frame..12 * frame + 80];
                let level = Level::of(first).rms_dbm0() - Level::of(&pcm[12 * frame..12 * frame + 80]).rms_dbm0();
                assert!(level.abs() < 1.0, "{hz} Hz, {frame}: the level steps by {level} dB");
                let around = &out[12 * frame - 400..13 * frame + 400];
                let found = dominant(around, 8_000).expect("a tone");
                assert!(found.is(hz, 15.0), "{hz} Hz, {frame}: {found:?}");
            }
        }
    }

    /// What repeats exactly goes on exactly, through all the changes of what is repeated, but for the fade.
    #[test]
    fn a_whole_period_is_continued_to_the_sample() {
        let pcm = sine(8_000.0 / 65.0, 1_280);
        let out = through(&pcm, 160, |number| number >= 5);
        for n in 0..480 {
            let gain = ((480 - n) as f32 / 400.0).min(1.0);
            let expected = f32::from(pcm[800 + n]) * gain;
            let got = f32::from(out[800 + n]);
            assert!(
                (got - expected).abs() < 40.0,
                "sample {n}: got {got}, expected {expected}"
            );
        }
    }

    /// A tone on a ramp never repeats: each period is 2,600 above the one before. None of the seams may show that step.
    #[test]
    fn no_seam_clicks() {
        let mut pcm: Vec<i16> = sine(8_000.0 / 65.0, 1_280).iter().map(|sample| sample / 2).collect();
        pcm.iter_mut()
            .zip(0i16..)
            .for_each(|(sample, n)| *sample += 40 * (n % 800) - 16_000);
        let natural = steepest(&pcm[400..800]);
        let out = through(&pcm, 160, |number| number >= 5);
        assert!(
            steepest(&out[400..]) < natural + 250,
            "{} after {natural}",
            steepest(&out[400..])
        );
    }

    /// The second loss begins on what the first one and its merge made: that is what was played.
    #[test]
    fn a_second_loss_continues_what_was_played() {
        let pcm = sine(8_000.0 / 65.0, 1_600);
        let out = through(&pcm, 80, |number| matches!(number, 10 | 11 | 13 | 14));
        let snr = speech::snr_db(&pcm[1_040..1_120], &out[1_040..1_120]);
        assert!(snr > 20.0, "{snr} dB");
    }

    #[test]
    fn a_long_loss_fades_to_silence_in_60_ms() {
        let pcm = sine(400.0, 1_600);
        let out = through(&pcm, 80, |number| number >= 10);
        let heard = Level::of(&pcm[720..800]).rms;
        let levels: Vec<f32> = out[800..]
            .chunks(80)
            .map(|block| Level::of(block).rms / heard)
            .collect();
        for (ten_ms, expected) in [1.0, 0.9, 0.7, 0.5, 0.3, 0.12].into_iter().enumerate() {
            assert!(
                (levels[ten_ms] - expected).abs() < 0.1,
                "10 ms number {ten_ms}: {levels:?}"
            );
        }
        assert!(levels[6..].iter().all(|level| *level == 0.0), "{levels:?}");
    }

    #[test]
    fn what_comes_after_is_merged_and_then_untouched() {
        let pcm = sine(330.0, 4_800);
        for frames in 1..=5 {
            let out = through(&pcm, 160, |number| (10..10 + frames).contains(&number));
            let back = (10 + frames) * 160;
            assert_ne!(
                out[back..back + 80],
                pcm[back..back + 80],
                "the merge changes the first samples"
            );
            assert_eq!(out[back + 80..], pcm[back + 80..], "10 ms later all is as it was");
            assert!(
                steepest(&out[back - 80..]) < 2 * steepest(&pcm),
                "{frames} frames: a click"
            );
        }
    }

    #[test]
    fn how_the_loss_is_cut_into_frames_does_not_matter() {
        let pcm = speech::synthesise(4_800, -20.0, 8_000);
        let mut one = Concealer::new();
        one.good(&mut pcm.clone());
        let mut other = one.clone();
        let (mut whole, mut pieces) = ([0; 480], [0; 480]);
        one.lost(&mut whole);
        for block in pieces.chunks_mut(80) {
            other.lost(block);
        }
        assert_eq!(whole, pieces);
    }

    /// Every tenth frame of speech: the energy stays, and what is heard is nearer to what was said than with gaps.
    #[test]
    fn speech_with_losses_keeps_its_energy() {
        let pcm = speech::synthesise(40_000, -20.0, 8_000);
        let lost = |number: usize| number % 10 == 7;
        let concealed = through(&pcm, 160, lost);
        let mut gaps = pcm.clone();
        gaps.chunks_mut(160)
            .enumerate()
            .filter(|(number, _)| lost(*number))
            .for_each(|(_, block)| block.fill(0));
        let better = speech::snr_db(&pcm, &concealed) - speech::snr_db(&pcm, &gaps);
        assert!(better > 1.5, "only {better} dB better than silence");
        let step = Level::of(&concealed).rms_dbm0() - Level::of(&pcm).rms_dbm0();
        assert!(step.abs() < 0.3, "the level changes by {step} dB");
    }

    /// At 16 kHz all of it takes as long, and what is above 4 kHz is concealed as well.
    #[test]
    fn what_is_wide_is_concealed_in_the_same_time() {
        let tone = |hz: f32| {
            let mut pcm = vec![0; 4_800];
            Sine::new(hz, -10.0, 16_000).fill(&mut pcm);
            pcm
        };
        // An odd number of samples at 16 kHz: no period of 8 kHz is as long.
        let pcm = tone(16_000.0 / 131.0);
        let out = through_a(WideConcealer::new(), &pcm, 320, |number| number >= 5);
        for n in 0..960 {
            let gain = ((960 - n) as f32 / 800.0).min(1.0);
            let (expected, got) = (f32::from(pcm[1_600 + n]) * gain, f32::from(out[1_600 + n]));
            assert!(
                (got - expected).abs() < 40.0,
                "sample {n}: got {got}, expected {expected}"
            );
        }
        assert!(out[1_600 + 960..].iter().all(|sample| *sample == 0));
        for hz in [437.0, 5_200.0] {
            let pcm = tone(hz);
            let out = through_a(WideConcealer::new(), &pcm, 320, |number| number == 7);
            let found = dominant(&out[7 * 320 - 800..8 * 320 + 800], 16_000).expect("a tone");
            assert!(found.is(hz, 15.0), "{hz} Hz: {found:?}");
            assert_ne!(out[8 * 320..8 * 320 + 60], pcm[8 * 320..8 * 320 + 60]);
            assert_eq!(
                out[8 * 320 + 160..],
                pcm[8 * 320 + 160..],
                "10 ms later all is as it was"
            );
        }
    }

    #[test]
    fn pitch_is_found() {
        for (hz, multiple) in [(100.0, 80), (160.0, 50), (125.0, 64)] {
            let mut source = [0.0; NARROW];
            let pcm = sine(hz, NARROW);
            source
                .iter_mut()
                .zip(&pcm)
                .for_each(|(slot, sample)| *slot = f32::from(*sample));
            assert_eq!(pitch(&source) % multiple, 0, "{hz} Hz");
            let mut source = [0.0; WIDE];
            let mut pcm = [0; WIDE];
            Sine::new(hz, -10.0, 16_000).fill(&mut pcm);
            source
                .iter_mut()
                .zip(&pcm)
                .for_each(|(slot, sample)| *slot = f32::from(*sample));
            assert_eq!(pitch(&source) % (2 * multiple), 0, "{hz} Hz, wide");
        }
    }

    proptest! {
        /// Any samples, any losses, any frames: no panic, and no level that was not there before.
        #[test]
        fn any_order_of_frames(
            frames in prop::collection::vec((any::<bool>(), 1usize..=480, any::<i16>()), 1..40),
        ) {
            let mut concealer = Concealer::new();
            let mut loudest = 0;
            for (lost, length, sample) in frames {
                let mut block: Vec<i16> = (0..length).map(|n| if n % 50 < 25 { sample } else { 0 }).collect();
                if lost {
                    concealer.lost(&mut block);
                    // The step that is taken back at the seam may add as much again.
                    prop_assert!(i32::from(Level::of(&block).peak.min(32_767)) <= 3 * loudest);
                } else {
                    loudest = loudest.max(i32::from(Level::of(&block).peak));
                    concealer.good(&mut block);
                }
                prop_assert_eq!(concealer.is_concealing(), lost);
            }
        }
    }
}

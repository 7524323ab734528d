//! Brings everybody who speaks to one loudness, that of speech on the telephone.
//!
//! The loudness is the active speech level in the manner of ITU-T P.56: the mean power of what is speech, 200 ms after each of its parts
//! included, as [`crate::activity`] tells it. While nobody speaks the gain stays as it is, so no noise is brought up in a pause. Frames
//! have 20 ms, of any rate.

use crate::convert::LEVEL_DBOV;
use crate::gain::{bend, nearest, ramp};
use crate::level::{amplitude_dbov, energy};

/// The most that one is made louder or softer, in dB: what is fainter is meant so, or is noise.
pub const MOST_DB: f32 = 12.0;

const FRAMES_PER_S: f32 = 50.0;
/// How quickly one becomes louder, in dB per frame: nobody hears it as a change.
const UP: f32 = 3.0 / FRAMES_PER_S;
/// How quickly one becomes softer: what is too loud hurts.
const DOWN: f32 = 12.0 / FRAMES_PER_S;
/// Frames of speech that the mean is of, once there were so many: 2 s, a sentence.
const MEMORY: u8 = 100;

/// The gain of one who may speak.
#[derive(Clone, Copy, Debug)]
pub struct Agc {
    /// The mean of the squares of what is speech.
    power: f32,
    /// Frames of it, [`MEMORY`] at most.
    frames: u8,
    gain_db: f32,
    /// The gain that the last sample had.
    factor: f32,
}

impl Default for Agc {
    fn default() -> Self {
        Self::new()
    }
}

impl Agc {
    /// Of one who said nothing yet: no gain.
    pub const fn new() -> Self {
        Self {
            power: 0.0,
            frames: 0,
            gain_db: 0.0,
            factor: 1.0,
        }
    }

    /// The gain now, in dB.
    pub const fn gain_db(&self) -> f32 {
        self.gain_db
    }

    /// Takes the next 20 ms and whether they are speech (of [`crate::activity`]). Peaks above half of full scale are bent as by
    /// [`crate::gain`], whatever the gain: so nothing steps when it passes 0 dB.
    pub fn apply(&mut self, pcm: &mut [i16], speech: bool) {
        let from = self.factor;
        if speech && !pcm.is_empty() {
            self.adapt(energy(pcm) as f32 / pcm.len() as f32);
        }
        let length = pcm.len();
        for (sample, gain) in pcm.iter_mut().zip(ramp(from, self.factor, length)) {
            *sample = nearest(bend(f32::from(*sample) * gain));
        }
    }

    fn adapt(&mut self, power: f32) {
        self.frames = (self.frames + 1).min(MEMORY);
        self.power += (power - self.power) / f32::from(self.frames);
        let wanted = (LEVEL_DBOV - amplitude_dbov(self.power.sqrt())).clamp(-MOST_DB, MOST_DB);
        self.gain_db += (wanted - self.gain_db).clamp(-DOWN, UP);
        self.factor = 10f32.powf(self.gain_db / 20.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;
    use crate::level::{DBM0_IN_DBOV, Level};
    use crate::spectrum::dominant;
    use crate::speech::{self, steepest};
    use crate::tone::Sine;

    const FRAME: usize = 320;

    fn tone(dbov: f32, frames: usize) -> Vec<i16> {
        let mut pcm = vec![0; frames * FRAME];
        Sine::new(1_000.0, dbov - DBM0_IN_DBOV, 16_000).fill(&mut pcm);
        pcm
    }

    /// All of it as speech, frame by frame; the gain after each.
    fn through(agc: &mut Agc, pcm: &mut [i16]) -> Vec<f32> {
        pcm.chunks_exact_mut(FRAME)
            .map(|frame| {
                agc.apply(frame, true);
                agc.gain_db()
            })
            .collect()
    }

    #[test]
    fn who_is_soft_and_who_is_loud_come_to_one_level() {
        for rate in [8_000, 16_000, 48_000] {
            let levels = [-34.0, -31.0, -26.0, -20.0, -17.0].map(|dbov| {
                let (mut activity, mut agc) = (Activity::new(), Agc::new());
                let mut pcm = speech::synthesise(12 * rate as usize, dbov - DBM0_IN_DBOV, rate);
                for frame in pcm.chunks_exact_mut(rate as usize / 50) {
                    let speech = activity.hear(frame).speech;
                    agc.apply(frame, speech);
                }
                let gain = LEVEL_DBOV - dbov;
                assert!(
                    (agc.gain_db() - gain).abs() < 0.6,
                    "{rate}, {dbov}: {} dB",
                    agc.gain_db()
                );
                Level::of(&pcm[6 * rate as usize..]).rms_dbov()
            });
            // The second half of it is half a dB louder than all.
            assert!(
                levels.iter().all(|level| (level - LEVEL_DBOV - 0.5).abs() < 0.7),
                "{rate}: {levels:?}"
            );
            let spread = levels
                .iter()
                .fold(0.0, |most: f32, level| most.max((level - levels[0]).abs()));
            assert!(spread < 0.3, "{rate}: {levels:?}");
        }
    }

    #[test]
    fn it_goes_up_slowly_and_down_faster_and_not_too_far() {
        let mut agc = Agc::new();
        let up = through(&mut agc, &mut tone(-50.0, 500));
        assert!((up[49] - 3.0).abs() < 0.01 && (up[99] - 6.0).abs() < 0.01, "{up:?}");
        assert!((up[300] - MOST_DB).abs() < 0.01 && (up[499] - MOST_DB).abs() < 0.01);
        let mut agc = Agc::new();
        let down = through(&mut agc, &mut tone(-6.0, 100));
        assert!((down[24] + 6.0).abs() < 0.01, "{down:?}");
        assert!((down[60] + MOST_DB).abs() < 0.01 && (down[99] + MOST_DB).abs() < 0.01);
    }

    #[test]
    fn in_a_pause_it_stays() {
        let mut agc = Agc::new();
        through(&mut agc, &mut tone(-32.0, 300));
        let gain = agc.gain_db();
        assert!((gain - 6.0).abs() < 0.1, "{gain}");
        let hiss = tone(-60.0, 500);
        let mut pcm = hiss.clone();
        pcm.chunks_exact_mut(FRAME).for_each(|frame| agc.apply(frame, false));
        assert_eq!(agc.gain_db(), gain);
        let louder = Level::of(&pcm).rms_dbov() - Level::of(&hiss).rms_dbov();
        assert!((louder - gain).abs() < 0.1, "{louder} dB");
        // And goes on from there.
        let after = through(&mut agc, &mut tone(-32.0, 1));
        assert!((after[0] - gain).abs() < 0.1);
    }

    /// A tone that becomes softer all the time is a tone: a gain in steps would leave its steps in the spectrum.
    #[test]
    fn it_is_smooth() {
        let mut pcm = tone(-14.0, 40);
        let own = steepest(&pcm);
        let gains = through(&mut Agc::new(), &mut pcm);
        assert!(gains.is_sorted_by(|a, b| a > b), "{gains:?}");
        assert!(steepest(&pcm) <= own);
        let found = dominant(&pcm, 16_000).expect("a tone");
        assert!(found.is(1_000.0, 60.0), "{found:?}");
    }

    #[test]
    fn a_peak_is_bent_and_not_cut_off() {
        let mut agc = Agc::new();
        through(&mut agc, &mut tone(-40.0, 300));
        let loud = tone(-4.0, 1);
        let mut pcm = loud.clone();
        agc.apply(&mut pcm, true);
        assert!(pcm.iter().zip(&loud).all(|(out, own)| out.signum() == own.signum()));
        let most = pcm.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!((29_000..32_767).contains(&most), "{most}");
        let flat = pcm.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(flat < 45, "{flat}");
    }

    #[test]
    fn without_gain_what_is_not_loud_stays_as_it_is() {
        let plain = tone(-10.0, 2);
        let mut pcm = plain.clone();
        Agc::new().apply(&mut pcm, false);
        assert_eq!(pcm, plain);
    }
}

//! Whether somebody speaks: what is well above the noise of his line, and 200 ms more.
//!
//! The noise is what the level does not fall below in 0.6 s, in which every voice has a pause. What is as faint as the hiss of an open line
//! is taken for noise in a second or two; what is louder, a tone or music, not within a minute; and what is as loud as speech is, never.
//! Frames have 20 ms, of any rate.

use crate::level::Level;

/// What is fainter is no speech, whatever the noise.
const FAINTEST_DBOV: f32 = -55.0;
/// How far speech is above the noise.
const MARGIN_DB: f32 = 9.0;
/// Noise below this changes nothing: the faintest speech is above it by the margin.
const NOISE_MIN_DBOV: f32 = FAINTEST_DBOV - MARGIN_DB;
/// Louder than this no noise is believed: what is 9 dB above is heard however long it lasts.
const NOISE_MAX_DBOV: f32 = -36.0;
/// The noise of a line of which nothing was heard yet.
const NOISE_FIRST_DBOV: f32 = FAINTEST_DBOV;
/// What may be the hiss of a line.
const HISS_DBOV: f32 = -42.0;

const FRAMES_PER_S: f32 = 50.0;
/// Frames that the noise is the least of.
const WINDOW: u8 = 30;
/// How quickly hiss becomes noise, in dB per frame.
const RISE: f32 = 20.0 / FRAMES_PER_S;
/// The same of what is louder.
const RISE_LOUD: f32 = 0.25 / FRAMES_PER_S;
/// How quickly the noise falls: a few lost packets do not make one forget it.
const FALL: f32 = 40.0 / FRAMES_PER_S;
/// Frames that count as speech after the last that is: 200 ms, the hangover of ITU-T P.56.
const HANGOVER: u8 = 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Its rms in dBov, [`crate::level::FLOOR_DBOV`] at least.
    pub level_dbov: f32,
    /// True while somebody speaks.
    pub speech: bool,
}

/// Listens to one who may speak.
#[derive(Clone, Copy, Debug)]
pub struct Activity {
    noise: f32,
    /// The least level in the window before this.
    least: f32,
    /// The same of this window, and how many frames it has.
    window: (f32, u8),
    /// Frames that are speech yet.
    hangover: u8,
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Activity {
    /// Of one of whom nothing was heard yet.
    pub const fn new() -> Self {
        Self {
            noise: NOISE_FIRST_DBOV,
            least: NOISE_MIN_DBOV,
            window: (0.0, 0),
            hangover: 0,
        }
    }

    /// Takes the next 20 ms.
    pub fn hear(&mut self, pcm: &[i16]) -> Heard {
        let level_dbov = Level::of(pcm).rms_dbov();
        self.follow(level_dbov);
        if level_dbov > self.noise + MARGIN_DB && level_dbov > FAINTEST_DBOV {
            self.hangover = HANGOVER + 1;
        }
        let speech = self.hangover > 0;
        self.hangover = self.hangover.saturating_sub(1);
        Heard { level_dbov, speech }
    }

    fn follow(&mut self, level: f32) {
        let (least, frames) = (self.window.0.min(level), self.window.1 + 1);
        self.window = (least, frames);
        if frames == WINDOW {
            (self.least, self.window) = (least, (0.0, 0));
        }
        let rise = if self.least < HISS_DBOV { RISE } else { RISE_LOUD };
        let highest = self.least.clamp(self.noise, self.noise + rise);
        self.noise = level
            .clamp(self.noise - FALL, highest)
            .clamp(NOISE_MIN_DBOV, NOISE_MAX_DBOV);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::DBM0_IN_DBOV;
    use crate::noise::Noise;
    use crate::speech;
    use crate::tone::Sine;

    /// Of each frame, whether it is speech.
    fn told(activity: &mut Activity, pcm: &[i16], frame: usize) -> Vec<bool> {
        pcm.chunks_exact(frame)
            .map(|frame| activity.hear(frame).speech)
            .collect()
    }

    fn noise(dbov: f32, frames: usize, frame: usize) -> Vec<i16> {
        let mut pcm = vec![0; frames * frame];
        Noise::new(dbov).fill(&mut pcm);
        pcm
    }

    fn share(told: &[bool]) -> f32 {
        told.iter().filter(|speech| **speech).count() as f32 / told.len() as f32
    }

    #[test]
    fn the_level_is_told() {
        let mut pcm = [0; 320];
        Sine::new(1_000.0, -10.0, 16_000).fill(&mut pcm);
        let heard = Activity::new().hear(&pcm);
        assert!((heard.level_dbov - (DBM0_IN_DBOV - 10.0)).abs() < 0.01, "{heard:?}");
        assert_eq!(Activity::new().hear(&[0; 320]).level_dbov, -127.0);
    }

    /// All syllables and the pauses between them, soft and loud, in silence and over hiss. (At 48 kHz what has noise is much softer.)
    #[test]
    fn speech_is_speech_from_its_first_syllable_on() {
        for (rate, dbov, hiss) in [
            (8_000, -16.0, -127.0),
            (16_000, -26.0, -127.0),
            (8_000, -40.0, -127.0),
            (16_000, -40.0, -127.0),
            (8_000, -26.0, -50.0),
            (16_000, -30.0, -50.0),
            (48_000, -26.0, -127.0),
        ] {
            let frame = rate as usize / 50;
            let mut activity = Activity::new();
            told(&mut activity, &noise(hiss, 100, frame), frame);
            let mut pcm = speech::synthesise(10 * rate as usize, dbov - DBM0_IN_DBOV, rate);
            pcm.iter_mut()
                .zip(noise(hiss, 500, frame))
                .for_each(|(sample, hiss)| *sample += hiss);
            let told = told(&mut activity, &pcm, frame);
            let first = told.iter().position(|speech| *speech);
            // A syllable rises in 100 ms.
            assert!(
                first.is_some_and(|first| first <= 3),
                "{rate}, {dbov}, {hiss}: {first:?}"
            );
            assert!(
                share(&told[5..]) > 0.97,
                "{rate}, {dbov}, {hiss}: {}",
                share(&told[5..])
            );
        }
    }

    #[test]
    fn it_lasts_200_ms_longer() {
        let mut activity = Activity::new();
        let mut tone = [0; 160];
        Sine::new(1_000.0, -20.0, 8_000).fill(&mut tone);
        let frames: Vec<bool> = (0..30)
            .map(|n| activity.hear(if n == 7 { &tone } else { &[0; 160] }).speech)
            .collect();
        for (n, speech) in frames.into_iter().enumerate() {
            assert_eq!(speech, (7..=17).contains(&n), "frame {n}");
        }
    }

    /// A line that was silent begins to hiss, also with packets lost now and then.
    #[test]
    fn hiss_is_no_speech() {
        for rate in [8_000usize, 16_000] {
            let frame = rate / 50;
            for dbov in [-60.0, -52.0, -50.0, -46.0] {
                let mut activity = Activity::new();
                told(&mut activity, &vec![0; 500 * frame], frame);
                let mut pcm = noise(dbov, 1_500, frame);
                for lost in (200..1_500).step_by(97) {
                    pcm[lost * frame..(lost + 3) * frame].fill(0);
                }
                let told = told(&mut activity, &pcm, frame);
                let late = told.iter().skip(if dbov < -48.0 { 100 } else { 150 });
                assert!(late.clone().all(|speech| !speech), "{rate}, {dbov} dBov");
                // In the beginning it might be somebody: this is what the noise is followed for.
                assert_eq!(told[..5].iter().any(|speech| *speech), dbov > -54.0, "{dbov} dBov");
            }
        }
        let mut activity = Activity::new();
        assert_eq!(
            share(&told(&mut activity, &noise(-50.0, 50, 160), 160)),
            0.0,
            "from the start"
        );
    }

    /// A loud tone stays speech for a minute, one at the level of speech for hours; in the end a fainter one is noise.
    #[test]
    fn a_tone_is_speech_for_long() {
        for (dbov, silence) in [(-16.0, 0), (-26.0, 100), (-30.0, 0), (-34.0, 500)] {
            let mut activity = Activity::new();
            told(&mut activity, &vec![0; silence * 160], 160);
            let mut tone = [0; 160];
            Sine::new(1_000.0, dbov - DBM0_IN_DBOV, 8_000).fill(&mut tone);
            let lasted = (0..2 * 3_600 * 50).position(|_| !activity.hear(&tone).speech);
            if dbov >= -26.0 {
                assert_eq!(lasted, None, "{dbov} dBov");
            } else {
                let seconds = lasted.expect("it becomes noise") / 50;
                assert!((60..180).contains(&seconds), "{dbov} dBov: {seconds} s");
            }
        }
    }

    /// Soft as hiss, half a second without a pause: what is noise is what was there in the pauses.
    #[test]
    fn a_soft_voice_is_no_hiss() {
        let (mut activity, mut tone) = (Activity::new(), [0; 160]);
        Sine::new(1_000.0, -44.0 - DBM0_IN_DBOV, 8_000).fill(&mut tone);
        let told: Vec<bool> = (0..500)
            .map(|n| activity.hear(if n % 30 < 25 { &tone } else { &[0; 160] }).speech)
            .collect();
        assert!(share(&told[1..]) == 1.0, "{}", share(&told));
    }
}

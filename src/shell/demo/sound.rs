//! What a phone heard: judged by its spectrum, written to a file that people can play.

use codecs::spectrum;
use std::path::Path;

/// At 8 kHz.
pub const RATE: u32 = 8000;
/// A window of the judgement: 100 ms.
const WINDOW: usize = 800;
/// How far a tone must stand over everything else: G.711 alone leaves some 35 dB.
const OVER_REST_DB: f32 = 20.0;

/// How much of a recording is the tone.
pub struct Judgement {
    /// Windows in which the tone dominates.
    pub tone: usize,
    /// Windows with anything audible.
    pub audible: usize,
    /// The level of the tone in its windows, in dBm0; the loudest.
    pub level: f32,
}

impl Judgement {
    /// Looks for a tone of `hz`.
    pub fn of(pcm: &[i16], hz: f32) -> Judgement {
        let mut judgement = Judgement {
            tone: 0,
            audible: 0,
            level: f32::NEG_INFINITY,
        };
        for window in pcm.chunks_exact(WINDOW) {
            let Some(dominant) = spectrum::dominant(window, RATE) else {
                continue;
            };
            if dominant.level_dbm0 < -45.0 {
                continue;
            }
            judgement.audible += 1;
            if dominant.is(hz, OVER_REST_DB) {
                judgement.tone += 1;
                judgement.level = judgement.level.max(dominant.level_dbm0);
            }
        }
        judgement
    }

    /// Seconds of the tone.
    pub fn seconds(&self) -> f32 {
        self.tone as f32 * WINDOW as f32 / RATE as f32
    }

    /// True if the tone was there for that long and nothing else was to be heard for more than a tenth of it.
    pub fn is_clean(&self, seconds: f32) -> bool {
        self.seconds() >= seconds && (self.audible - self.tone) * 10 <= self.tone
    }
}

/// Writes 16-bit mono.
pub fn write_wav(path: &Path, pcm: &[i16]) -> Result<(), String> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = || -> hound::Result<()> {
        let mut writer = hound::WavWriter::create(path, spec)?;
        pcm.iter().try_for_each(|sample| writer.write_sample(*sample))?;
        writer.finalize()
    };
    write().map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::tone::Sine;

    #[test]
    fn the_right_tone_is_told_from_a_wrong_one_and_from_silence() {
        let mut pcm = vec![0; 16_000];
        assert!(!Judgement::of(&pcm, 440.0).is_clean(0.1));
        Sine::new(440.0, -16.0, RATE).fill(&mut pcm);
        assert!(Judgement::of(&pcm, 440.0).is_clean(1.9));
        assert!(!Judgement::of(&pcm, 600.0).is_clean(0.1));
    }
}

//! Sounds that are played to peers: made ready before, shared by all who hear them.

use codecs::Rate;
use codecs::resample::Resampler;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

/// The shortest sound, in samples at 16 kHz: one step of the media's clock, so that each step of a loop ends.
const SHORTEST: usize = 320;
/// What a sound rises and falls in, at 8 kHz: 4 ms. Its end may be followed by any beginning then, its own too, without a click.
const FADE: usize = 32;
/// By how much the filter between both rates is late, at 8 kHz.
const DELAY: usize = 28;

/// A sound at 8 and at 16 kHz.
pub struct Sound {
    narrow: Box<[i16]>,
    wide: Box<[i16]>,
    /// Of its samples.
    digest: u64,
}

/// By length and digest: a reload compares the sounds of every user, and must not look at each sample for it.
impl PartialEq for Sound {
    fn eq(&self, other: &Sound) -> bool {
        (self.wide.len(), self.digest) == (other.wide.len(), other.digest)
    }
}

impl Eq for Sound {}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sound({} ms)", self.duration().as_millis())
    }
}

impl Sound {
    /// Of PCM at 16 kHz; `None` where it is shorter than 20 ms.
    pub fn new(mut wide: Vec<i16>) -> Option<Sound> {
        if wide.len() < SHORTEST {
            return None;
        }
        wide.truncate(wide.len() / 2 * 2);
        let length = wide.len();
        let mut down = Resampler::new(Rate::Wide.hz(), Rate::Narrow.hz()).ok()?;
        wide.resize(length + 2 * DELAY, 0);
        let mut narrow = vec![0; down.output_len(wide.len())];
        let written = down.process(&wide, &mut narrow);
        narrow.truncate(written);
        narrow.drain(..DELAY);
        wide.truncate(length);
        fade(&mut narrow, FADE);
        fade(&mut wide, 2 * FADE);
        Some(Sound::of(narrow, wide))
    }

    fn of(narrow: Vec<i16>, wide: Vec<i16>) -> Sound {
        Sound {
            digest: foldhash::fast::FixedState::default().hash_one(&wide),
            narrow: narrow.into(),
            wide: wide.into(),
        }
    }

    /// Silence, where nobody listens.
    pub fn silence(time: Duration) -> Sound {
        let narrow = (time.as_millis() as usize * 8).max(SHORTEST / 2);
        Sound::of(vec![0; narrow], vec![0; 2 * narrow])
    }

    /// Its samples, at 16 kHz where the rate is higher.
    pub fn samples(&self, rate: Rate) -> &[i16] {
        match rate {
            Rate::Narrow => &self.narrow,
            Rate::Wide | Rate::Full => &self.wide,
        }
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.wide.len() as u64 * 1_000_000 / u64::from(Rate::Wide.hz()))
    }

    /// The octets of its samples.
    pub fn octets(&self) -> usize {
        2 * (self.narrow.len() + self.wide.len())
    }
}

fn fade(pcm: &mut [i16], over: usize) {
    let last = pcm.len().saturating_sub(1);
    for n in 0..over.min(pcm.len()) {
        for at in [n, last - n] {
            pcm[at] = (i32::from(pcm[at]) * n as i32 / over as i32) as i16;
        }
    }
}

/// Sounds that are played one after the other. A copy is the same sounds.
#[derive(Clone)]
pub struct Music(Arc<[Arc<Sound>]>);

impl Music {
    /// These, in this order.
    pub fn new(sounds: Vec<Arc<Sound>>) -> Music {
        Music(sounds.into())
    }

    /// No sound at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sound at a place.
    pub fn sound(&self, at: usize) -> Option<&Sound> {
        self.0.get(at).map(|sound| &**sound)
    }

    /// How long all of them are.
    pub fn duration(&self) -> Duration {
        self.0.iter().map(|sound| sound.duration()).sum()
    }

    /// These, and those behind them.
    pub fn then(&self, other: &Music) -> Music {
        Music(self.0.iter().chain(other.0.iter()).cloned().collect())
    }

    /// True for a copy: the very same.
    pub fn is(&self, other: &Music) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for Music {
    fn default() -> Music {
        Music::new(Vec::new())
    }
}

/// What is read from files again is the same where its samples are.
impl PartialEq for Music {
    fn eq(&self, other: &Music) -> bool {
        self.is(other) || self.0 == other.0
    }
}

impl Eq for Music {}

impl fmt::Debug for Music {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::goertzel::level_dbm0;
    use codecs::tone::Sine;

    #[test]
    fn a_sound_has_both_rates_and_no_edges() {
        let mut pcm = vec![0; 8_001];
        Sine::new(1_000.0, -10.0, 16_000).fill(&mut pcm);
        let sound = Sound::new(pcm).unwrap();
        let (narrow, wide) = (sound.samples(Rate::Narrow), sound.samples(Rate::Wide));
        assert_eq!((narrow.len(), wide.len()), (4_000, 8_000));
        assert_eq!(sound.duration(), Duration::from_millis(500));
        assert_eq!(sound.octets(), 24_000);
        for (pcm, rate) in [(narrow, 8_000), (wide, 16_000)] {
            let level = level_dbm0(&pcm[400..pcm.len() - 400], 1_000.0, rate);
            assert!((level + 10.0).abs() < 0.1, "{level} at {rate}");
            assert_eq!((pcm[0], pcm[pcm.len() - 1]), (0, 0));
        }
        // Both run at the same time: half a sample apart, as the filter is.
        let both = narrow.iter().zip(wide.iter().step_by(2));
        let apart = both.map(|(narrow, wide)| narrow.abs_diff(*wide)).max();
        assert!(apart < Some(3_500), "{apart:?}");
    }

    #[test]
    fn what_is_shorter_than_a_step_is_no_sound() {
        assert_eq!(Sound::new(vec![1; 319]), None);
        assert_eq!(Sound::new(vec![1; 320]).map(|sound| sound.octets()), Some(960));
        assert_eq!(Sound::silence(Duration::ZERO).octets(), 960);
        assert_eq!(
            Sound::silence(Duration::from_secs(3)).duration(),
            Duration::from_secs(3)
        );
    }

    #[test]
    fn music_is_the_same_when_its_samples_are() {
        let sound = |value| Arc::new(Sound::new(vec![value; 640]).unwrap());
        let (one, again) = (Music::new(vec![sound(5)]), Music::new(vec![sound(5)]));
        assert!(one == again && !one.is(&again) && one.is(&one.clone()));
        assert_ne!(one, Music::new(vec![sound(6)]));
        assert_ne!(one, Music::default());
        assert_eq!(
            Music::new(vec![sound(1), sound(2)]).duration(),
            Duration::from_millis(80)
        );
    }
}

//! What a leg with `Function::Note` notes of what its peer says: once, and not longer than there is room for.
//!
//! The room for it is made on the control side, and there a sound is made of it too; the packet thread only copies samples.

use super::command::{Music, Sound};
use crate::limits::ROOM_NAME;
use codecs::Rate;
use codecs::activity::Activity;
use codecs::convert::{Converter, even};
use std::sync::Arc;

/// Frames of 20 ms in which somebody must speak: 100 ms, and what counts as speech for 200 ms behind it.
const SPOKEN: usize = 15;
/// Frames that are kept before the first in which somebody speaks: a word may begin softly.
const BEFORE: usize = 3;

/// What was said so far.
pub struct Note {
    rate: Rate,
    pcm: Box<[i16]>,
    len: usize,
    /// What comes now does not fit to what is here.
    is_cut: bool,
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Note({} samples)", self.len)
    }
}

impl Note {
    /// Room for a name, at this rate.
    pub fn new(rate: Rate) -> Note {
        let samples = ROOM_NAME.as_millis() as usize * rate.hz() as usize / 1_000;
        Note {
            rate,
            pcm: vec![0; samples].into(),
            len: 0,
            is_cut: false,
        }
    }

    /// Nothing more is noted.
    pub fn is_over(&self) -> bool {
        self.is_cut || self.len == self.pcm.len()
    }

    /// What the peer says next, after a pause of so many samples.
    pub(super) fn take(&mut self, rate: Rate, pause: u32, pcm: &[i16]) {
        // Another codec was agreed in the midst of it.
        self.is_cut |= rate != self.rate;
        if self.is_cut {
            return;
        }
        let begin = self.pcm.len().min(self.len + pause as usize);
        self.pcm[self.len..begin].fill(0);
        let part = pcm.len().min(self.pcm.len() - begin);
        self.pcm[begin..begin + part].copy_from_slice(&pcm[..part]);
        self.len = begin + part;
    }

    /// It as a sound, without the silence before and behind, as loud as all sounds are; none where nobody spoke. This allocates.
    pub fn music(&self) -> Option<Music> {
        let said = self.spoken()?;
        let pcm: Vec<f32> = said.iter().map(|sample| f32::from(*sample)).collect();
        let mut wide = Vec::new();
        let mut converter = Converter::new(self.rate.hz(), Rate::Wide.hz())?;
        converter.push(&pcm, &mut wide);
        converter.finish(&mut wide);
        let sound = Sound::new(even(&wide))?;
        Some(Music::new(vec![Arc::new(sound)]))
    }

    fn spoken(&self) -> Option<&[i16]> {
        let frame = self.rate.hz() as usize / 50;
        let mut activity = Activity::new();
        let frames = self.pcm[..self.len].chunks_exact(frame);
        let speech: Vec<bool> = frames.map(|frame| activity.hear(frame).speech).collect();
        let count = speech.iter().filter(|speech| **speech).count();
        let first = speech.iter().position(|speech| *speech)?;
        let last = speech.iter().rposition(|speech| *speech)?;
        (count >= SPOKEN).then(|| &self.pcm[first.saturating_sub(BEFORE) * frame..(last + 1) * frame])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::goertzel::level_dbm0;
    use codecs::tone::Sine;
    use std::time::Duration;

    /// Silence, a tone, silence, in milliseconds, 20 ms at a time.
    fn noted(rate: Rate, before: usize, tone: usize, behind: usize, level: f32) -> Note {
        let mut note = Note::new(rate);
        let per_ms = rate.hz() as usize / 1_000;
        let mut pcm = vec![0; before * per_ms];
        let mut said = vec![0; tone * per_ms];
        Sine::new(600.0, level, rate.hz()).fill(&mut said);
        pcm.extend(said);
        pcm.extend(vec![0; behind * per_ms]);
        for frame in pcm.chunks(20 * per_ms) {
            note.take(rate, 0, frame);
        }
        note
    }

    #[test]
    fn what_was_said_is_a_sound_without_the_silence_around_it() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let note = noted(rate, 1_000, 800, 700, -20.0);
            assert!(!note.is_over());
            let music = note.music().unwrap();
            let length = music.duration();
            // 60 ms before it, and 200 ms behind.
            let expected = Duration::from_millis(1_060);
            assert!(
                length.abs_diff(expected) <= Duration::from_millis(40),
                "{length:?} at {rate:?}"
            );
            let pcm = music.sound(0).unwrap().samples(Rate::Wide);
            // -26 dBov of speech, in a part that is all tone.
            let level = level_dbm0(&pcm[3_200..12_800], 600.0, 16_000);
            assert!((level + 20.0).abs() < 2.0, "{level} at {rate:?}");
        }
    }

    #[test]
    fn silence_and_a_click_are_no_name() {
        assert_eq!(noted(Rate::Narrow, 2_900, 0, 100, -20.0).music(), None);
        assert_eq!(noted(Rate::Narrow, 1_000, 40, 1_900, -20.0).music(), None);
        assert_eq!(Note::new(Rate::Wide).music(), None);
        // So faint is the hiss of a line.
        assert_eq!(noted(Rate::Narrow, 0, 3_000, 0, -60.0).music(), None);
    }

    #[test]
    fn it_is_over_when_it_is_full_or_another_codec_comes() {
        let mut note = noted(Rate::Narrow, 0, 2_990, 0, -20.0);
        assert!(!note.is_over());
        note.take(Rate::Narrow, 0, &[1; 160]);
        assert!(note.is_over());
        note.take(Rate::Narrow, u32::MAX, &[1; 160]);
        assert_eq!(note.len, note.pcm.len());
        assert_eq!(note.music().unwrap().duration().as_millis(), ROOM_NAME.as_millis());
        let mut note = noted(Rate::Wide, 0, 1_000, 0, -20.0);
        note.take(Rate::Narrow, 0, &[1; 160]);
        assert!(note.is_over() && note.len == 16_000);
        // A pause is silence, and is counted.
        let mut note = Note::new(Rate::Narrow);
        note.take(Rate::Narrow, 800, &[1; 160]);
        assert_eq!((note.len, &note.pcm[..801]), (960, &[&[0; 800][..], &[1]].concat()[..]));
    }
}

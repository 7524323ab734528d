//! What a leg plays to its peer: where it is in which sound, 20 ms at a time.
//!
//! It is made and dropped on the control side, in its box, and with it its share of the sounds: the packet thread only reads them.

use super::command::Music;
use codecs::Rate;
use codecs::triple::Up3;

/// Steps of silence behind the end: the longest packet (60 ms) is full then, so that the end of the sound is in one that was sent.
const TAIL: u8 = 3;
/// Samples at 16 kHz that are brought up to 48 at a time: 20 ms.
const WIDE: usize = 320;

/// Sounds with a place in them.
#[derive(Debug)]
pub struct Play {
    music: Music,
    repeats: bool,
    /// Which sound.
    at: usize,
    /// Where in it, in samples at 8 kHz: what was agreed may change the rate meanwhile.
    position: usize,
    /// Steps of silence that are still to come.
    tail: u8,
    /// To 48 kHz, at which no sound is kept.
    up: Up3,
}

impl Play {
    /// From the beginning; again and again, or once.
    pub fn new(music: Music, repeats: bool) -> Self {
        Self {
            music,
            repeats,
            at: 0,
            position: 0,
            tail: TAIL,
            up: Up3::new(),
        }
    }

    /// Everything was played.
    pub fn is_over(&self) -> bool {
        self.tail == 0
    }

    /// Writes the next samples of this rate, whole milliseconds.
    pub fn fill(&mut self, pcm: &mut [i16], rate: Rate) {
        match rate {
            Rate::Narrow | Rate::Wide => self.read(pcm, rate),
            Rate::Full => {
                for pcm in pcm.chunks_mut(3 * WIDE) {
                    let mut wide = [0; WIDE];
                    let wide = &mut wide[..pcm.len() / 3];
                    self.read(wide, Rate::Wide);
                    self.up.process(wide, pcm);
                }
            }
        }
    }

    /// The same of a rate at which sounds are kept.
    fn read(&mut self, pcm: &mut [i16], rate: Rate) {
        let scale = (rate.hz() / Rate::Narrow.hz()) as usize;
        let mut filled = 0;
        while filled < pcm.len() {
            let Some(sound) = self.music.sound(self.at) else { break };
            let samples = sound.samples(rate);
            let rest = &samples[(self.position * scale).min(samples.len())..];
            if rest.is_empty() {
                self.next();
                continue;
            }
            let part = rest.len().min(pcm.len() - filled);
            pcm[filled..filled + part].copy_from_slice(&rest[..part]);
            filled += part;
            self.position += part / scale;
        }
        pcm[filled..].fill(0);
        if filled == 0 {
            self.tail = self.tail.saturating_sub(1);
        }
    }

    fn next(&mut self) {
        (self.at, self.position) = (self.at + 1, 0);
        if self.repeats && self.music.sound(self.at).is_none() {
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::Sound;
    use codecs::goertzel::level_dbm0;
    use codecs::spectrum::dominant;
    use codecs::tone::Sine;
    use std::sync::Arc;

    /// Sounds of one value each, so many samples at 16 kHz.
    fn music(sounds: &[(i16, usize)]) -> Music {
        let sound = |(value, samples): &(i16, usize)| Arc::new(Sound::new(vec![*value; *samples]).unwrap());
        Music::new(sounds.iter().map(sound).collect())
    }

    fn step(play: &mut Play, rate: Rate) -> Vec<i16> {
        let mut pcm = vec![7; rate.hz() as usize / 50];
        play.fill(&mut pcm, rate);
        pcm
    }

    #[test]
    fn sounds_follow_one_another_and_begin_anew() {
        // 30 ms and 25 ms: no multiple of a step.
        let music = music(&[(1_000, 480), (2_000, 400)]);
        let mut play = Play::new(music.clone(), true);
        let whole: Vec<i16> = [music.sound(0), music.sound(1)]
            .into_iter()
            .flat_map(|sound| sound.unwrap().samples(Rate::Wide).to_vec())
            .collect();
        let heard: Vec<i16> = (0..11).flat_map(|_| step(&mut play, Rate::Wide)).collect();
        assert_eq!(heard[..], whole.repeat(4));
        assert!(!play.is_over());
    }

    #[test]
    fn played_once_it_ends_with_silence_that_fills_the_last_packet() {
        let mut play = Play::new(music(&[(1_000, 480)]), false);
        let first = step(&mut play, Rate::Narrow);
        assert_eq!(first[80], 1_000);
        let second = step(&mut play, Rate::Narrow);
        assert!(second[40] == 1_000 && second[80..] == [0; 80]);
        for over in [false, false, true] {
            assert_eq!(step(&mut play, Rate::Narrow), [0; 160]);
            assert_eq!(play.is_over(), over);
        }
    }

    #[test]
    fn the_place_stays_when_the_rate_changes() {
        let mut play = Play::new(music(&[(1_000, 640), (2_000, 640)]), false);
        step(&mut play, Rate::Wide);
        step(&mut play, Rate::Narrow);
        assert_eq!(step(&mut play, Rate::Wide)[160], 2_000);
    }

    /// A tone at 16 kHz is the same tone at 48, and nothing else.
    #[test]
    fn at_48_khz_it_sounds_the_same() {
        let mut pcm = vec![0; 16_000];
        Sine::new(6_000.0, -10.0, 16_000).fill(&mut pcm);
        let music = Music::new(vec![Arc::new(Sound::new(pcm).unwrap())]);
        let mut play = Play::new(music, false);
        let heard: Vec<i16> = (0..50).flat_map(|_| step(&mut play, Rate::Full)).collect();
        let heard = &heard[4_800..43_200];
        let level = level_dbm0(heard, 6_000.0, 48_000);
        assert!((level + 10.0).abs() < 0.1, "{level}");
        let found = dominant(heard, 48_000).unwrap();
        assert!(found.is(6_000.0, 60.0), "{found:?}");
        for over in [false, false, true] {
            step(&mut play, Rate::Full);
            assert_eq!(play.is_over(), over);
        }
    }

    #[test]
    fn no_sound_at_all_is_over_soon() {
        let mut play = Play::new(Music::default(), true);
        for _ in 0..3 {
            assert!(!play.is_over());
            assert_eq!(step(&mut play, Rate::Narrow), [0; 160]);
        }
        assert!(play.is_over());
    }
}

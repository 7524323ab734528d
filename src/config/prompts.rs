//! What a room says to those who come: the words that the program has in it, or files of the operator's.

use crate::media::command::{Music, Sound};
use codecs::g711::decode_ulaw;
use codecs::resample::Resampler;
use std::sync::{Arc, LazyLock};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prompt {
    /// The PIN is wanted.
    Pin,
    /// It was wrong.
    WrongPin,
    /// Nobody else is there.
    Alone,
    /// Nobody may join.
    Locked,
    /// As many are in as may be.
    Full,
    /// Nobody hears the one to whom it is said.
    Muted,
    /// All hear him again.
    Unmuted,
    /// The moderator is waited for.
    Waiting,
    /// Who was called is asked whether he wants to join.
    Join,
    /// It ends in five minutes.
    EndsSoon,
    /// It has ended.
    Ended,
    /// The one to whom it is said was sent away.
    Removed,
    /// A name is wanted, after the tone.
    Name,
    /// Behind a name: who that is has come.
    HasJoined,
    /// Behind a name: who that was is gone.
    HasLeft,
}

impl Prompt {
    /// All, with the name of the file in the folder `prompts`, in the order of the words.
    pub const ALL: [(Prompt, &'static str); 15] = [
        (Prompt::Pin, "pin.wav"),
        (Prompt::WrongPin, "wrong-pin.wav"),
        (Prompt::Alone, "alone.wav"),
        (Prompt::Locked, "locked.wav"),
        (Prompt::Full, "full.wav"),
        (Prompt::Muted, "muted.wav"),
        (Prompt::Unmuted, "unmuted.wav"),
        (Prompt::Waiting, "waiting.wav"),
        (Prompt::Join, "join.wav"),
        (Prompt::EndsSoon, "ends-soon.wav"),
        (Prompt::Ended, "ended.wav"),
        (Prompt::Removed, "removed.wav"),
        (Prompt::Name, "name.wav"),
        (Prompt::HasJoined, "has-joined.wav"),
        (Prompt::HasLeft, "has-left.wav"),
    ];

    const fn place(self) -> usize {
        self as usize
    }
}

/// `rooms[].prompts`, ready to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts([Music; Prompt::ALL.len()]);

/// The files of `fixtures/prompts/`, in the order of [`Prompt::ALL`].
const FILES: [&[u8]; Prompt::ALL.len()] = [
    include_bytes!("../../fixtures/prompts/pin.wav"),
    include_bytes!("../../fixtures/prompts/wrong-pin.wav"),
    include_bytes!("../../fixtures/prompts/alone.wav"),
    include_bytes!("../../fixtures/prompts/locked.wav"),
    include_bytes!("../../fixtures/prompts/full.wav"),
    include_bytes!("../../fixtures/prompts/muted.wav"),
    include_bytes!("../../fixtures/prompts/unmuted.wav"),
    include_bytes!("../../fixtures/prompts/waiting.wav"),
    include_bytes!("../../fixtures/prompts/join.wav"),
    include_bytes!("../../fixtures/prompts/ends-soon.wav"),
    include_bytes!("../../fixtures/prompts/ended.wav"),
    include_bytes!("../../fixtures/prompts/removed.wav"),
    include_bytes!("../../fixtures/prompts/name.wav"),
    include_bytes!("../../fixtures/prompts/has-joined.wav"),
    include_bytes!("../../fixtures/prompts/has-left.wav"),
];

static BUILT_IN: LazyLock<Arc<Prompts>> = LazyLock::new(|| {
    let music = |file: &&[u8]| {
        let sound = mu_law(file).expect("the files of fixtures/prompts are WAV files in mu-law");
        Music::new(vec![Arc::new(sound)])
    };
    Arc::new(Prompts(std::array::from_fn(|ix| music(&FILES[ix]))))
});

impl Prompts {
    /// Those that the program has in it, in English.
    pub fn built_in() -> Arc<Prompts> {
        BUILT_IN.clone()
    }

    /// Of these, in the order of [`Prompt::ALL`].
    pub fn new(all: [Music; Prompt::ALL.len()]) -> Prompts {
        Prompts(all)
    }

    /// The words of one.
    pub fn get(&self, prompt: Prompt) -> &Music {
        &self.0[prompt.place()]
    }
}

/// The sound of a WAV file of mu-law at 8 kHz, mono.
fn mu_law(file: &[u8]) -> Option<Sound> {
    let mut chunks = file.get(12..)?;
    loop {
        let (name, size) = (chunks.get(..4)?, chunks.get(4..8)?);
        let size = u32::from_le_bytes(size.try_into().ok()?) as usize;
        let body = chunks.get(8..)?;
        if name == b"data" {
            let narrow: Vec<i16> = body.get(..size)?.iter().map(|code| decode_ulaw(*code)).collect();
            let mut up = Resampler::new(8_000, 16_000).ok()?;
            let mut wide = vec![0; up.output_len(narrow.len())];
            let written = up.process(&narrow, &mut wide);
            wide.truncate(written);
            return Sound::new(wide);
        }
        chunks = body.get(size + size % 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::Rate;
    use std::time::Duration;

    #[test]
    fn each_prompt_is_there_at_its_place_and_is_heard() {
        let prompts = Prompts::built_in();
        for (place, (prompt, file)) in Prompt::ALL.into_iter().enumerate() {
            assert_eq!(prompt.place(), place, "{file}");
            let music = prompts.get(prompt);
            let length = music.duration();
            assert!(
                length > Duration::from_millis(500) && length < Duration::from_secs(6),
                "{file}: {length:?}"
            );
            let samples = music.sound(0).unwrap().samples(Rate::Narrow);
            let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
            assert!(loudest > Some(4_000), "{file}: {loudest:?}");
        }
        let octets: usize = FILES.iter().map(|file| file.len()).sum();
        assert!(octets < 700_000, "{octets} octets of prompts are in the program");
    }

    #[test]
    fn what_is_cut_short_is_no_sound() {
        for length in [0, 11, 40, 100] {
            assert!(mu_law(&FILES[0][..length]).is_none(), "{length}");
        }
    }
}

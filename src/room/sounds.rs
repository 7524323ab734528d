//! What all in a room hear besides one another, one after the other; and how a room ends.

use super::live::Live;
use super::view::MemberId;
use super::{Due, Parting, Step};
use crate::config::Prompt;
use crate::limits;
use crate::media::command::{Command, Music, Sound};
use codecs::tone::Sine;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// How much longer than they are the words may last by which somebody is sent away, should the worker not tell their end.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(8);
/// How loud a tone is, in dBm0.
const TONE: f32 = -22.0;
/// How long each half of it is, in samples at 16 kHz.
const HALF: usize = 1_600;

impl Live {
    /// All hear this.
    pub(super) fn play(&mut self, s: &mut Step<'_>, music: &Music) {
        if self.sounds.len() >= limits::ROOM_SOUNDS {
            return;
        }
        self.sounds.push_back(music.clone());
        if self.sounds.len() == 1 {
            self.play_next(s);
        }
    }

    /// The same before whatever waits, and it is not dropped.
    pub(super) fn play_soon(&mut self, s: &mut Step<'_>, music: &Music) {
        if self.sounds.len() >= limits::ROOM_SOUNDS {
            self.sounds.pop_back();
        }
        self.sounds.insert(self.sounds.len().min(1), music.clone());
        if self.sounds.len() == 1 {
            self.play_next(s);
        }
    }

    fn play_next(&mut self, s: &mut Step<'_>) {
        if let Some(music) = self.sounds.front().cloned() {
            self.unended += 1;
            self.command(s, Command::PlayRoom { room: self.id, music });
        }
    }

    /// What all heard is at its end. That of what something else has taken the place of is no news: each has one.
    pub(super) fn played(&mut self, s: &mut Step<'_>) {
        self.unended = self.unended.saturating_sub(1);
        if self.unended > 0 {
            return;
        }
        self.sounds.pop_front();
        self.play_next(s);
        if self.ending && self.sounds.is_empty() {
            self.empty(s);
        }
    }

    /// Everybody is sent away, after the words for it.
    pub(super) fn end(&mut self, s: &mut Step<'_>) {
        if self.ending {
            return;
        }
        self.ending = true;
        self.log(s, "ends");
        let words = self.settings.prompts.get(Prompt::Ended).clone();
        s.timers.set((self.id, Due::End), s.now + words.duration() + LAST_WORDS);
        s.timers.cancel((self.id, Due::Warn));
        for member in self.members.iter_mut().filter(|member| !member.is_in()) {
            member.hush();
        }
        let outside: Vec<MemberId> = self.members.iter().filter(|m| !m.is_in()).map(|m| m.id).collect();
        for id in outside {
            self.send_away(s, id, Prompt::Ended, ENDED);
        }
        // What waits to be heard is not of interest any more.
        self.sounds.clear();
        self.play(s, &words);
    }

    pub(super) fn empty(&mut self, s: &mut Step<'_>) {
        for id in self.members.iter().map(|member| member.id).collect::<Vec<_>>() {
            self.dismiss(s, id, ENDED);
        }
    }
}

const ENDED: Parting = Parting {
    status: 200,
    why: "the room has ended",
};

/// What is heard when somebody comes, and when somebody goes.
pub(super) fn tones() -> &'static [Music; 2] {
    static TONES: LazyLock<[Music; 2]> = LazyLock::new(|| [tone([660.0, 880.0]), tone([880.0, 660.0])]);
    &TONES
}

fn tone(hz: [f32; 2]) -> Music {
    let mut pcm = vec![0; 2 * HALF];
    for (half, hz) in pcm.chunks_exact_mut(HALF).zip(hz) {
        Sine::new(hz, TONE, 16_000).fill(half);
    }
    Music::new(Sound::new(pcm).map(Arc::new).into_iter().collect())
}

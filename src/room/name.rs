//! Who comes says its name, which all hear when it comes and when it goes (`entry: names`).
//!
//! It is asked for by the words and a tone, then it says it, until a key or for `limits::ROOM_NAME`; who says nothing comes in all the same. The
//! sound is kept while the member is there, and nowhere else.

use super::live::Live;
use super::member::Phase;
use super::sounds::{LAST_WORDS, tones};
use super::view::{MemberId, RoomEvent};
use super::{Due, Step};
use crate::config::{EntrySound, Prompt};
use crate::limits;
use crate::media::command::Music;
use std::time::Duration;

/// How much later than it should be the end of a name is not waited for.
const PATIENCE: Duration = Duration::from_millis(500);

impl Live {
    /// Somebody has passed the door: who is to say its name is asked for it.
    pub(super) fn greet(&mut self, s: &mut Step<'_>, id: MemberId) {
        let prompts = self.settings.prompts.clone();
        let (words, tone) = (prompts.get(Prompt::Name), &tones()[0]);
        let has_room = *s.names < limits::ROOM_NAMES;
        let Some(member) = self.member_mut(id).filter(|member| member.says_name && has_room) else {
            return self.admit(s, id);
        };
        *s.names += 1;
        member.is_named = true;
        member.phase = Phase::Name;
        // A # behind the PIN ends no name.
        member.pressed.0.clear();
        member.say_now(words);
        member.say(tone);
        let time = words.duration() + tone.duration() + LAST_WORDS;
        s.timers.set((self.id, Due::Door(id)), s.now + time);
        s.timers.cancel((self.id, Due::Pressed(id)));
        self.event(s, RoomEvent::Changed(id));
    }

    /// The tone was heard.
    pub(super) fn note(&mut self, s: &mut Step<'_>, id: MemberId) {
        if let Some(member) = self.member_mut(id) {
            member.hush();
            member.phase = Phase::Says;
            s.timers
                .set((self.id, Due::Door(id)), s.now + limits::ROOM_NAME + PATIENCE);
        }
    }

    /// It has said enough, by a key or because its time is over: what was noted comes now.
    pub(super) fn said(&mut self, s: &mut Step<'_>, id: MemberId) {
        if let Some(member) = self.member_mut(id) {
            member.phase = Phase::Said;
            s.timers.set((self.id, Due::Door(id)), s.now + limits::ROOM_NAME_COMES);
        }
    }

    /// What was noted: the name, or nothing.
    pub(super) fn named(&mut self, s: &mut Step<'_>, id: MemberId, name: Option<Music>) {
        let Some(member) = self.member_mut(id) else { return };
        if !matches!(member.phase, Phase::Says | Phase::Said) {
            return;
        }
        if name.is_none() {
            *s.names -= usize::from(std::mem::take(&mut member.is_named));
        }
        member.name = name;
        self.let_in(s, id);
    }

    /// All hear that somebody comes, or goes.
    pub(super) fn tell_entry(&mut self, s: &mut Step<'_>, name: Option<&Music>, comes: bool) {
        let (tone, words) = match comes {
            true => (&tones()[0], Prompt::HasJoined),
            false => (&tones()[1], Prompt::HasLeft),
        };
        match (self.settings.entry, name) {
            (EntrySound::Silent, _) => {}
            (EntrySound::Names, Some(name)) => {
                let all = name.then(self.settings.prompts.get(words));
                self.play(s, &all);
            }
            (EntrySound::Names, None) | (EntrySound::Tones, _) => self.play(s, tone),
        }
    }
}

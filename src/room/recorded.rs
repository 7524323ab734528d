//! A room is recorded, and who is told of that: who is in it when it begins, and who comes later before he is in it.

use super::live::Live;
use super::member::{Member, Phase};
use super::sounds::LAST_WORDS;
use super::view::{MemberId, RoomEvent};
use super::{Due, Effect, Place, Step};
use crate::config::Beep;
use crate::media::command::{Music, Sound};
use codecs::tone::Sine;
use std::sync::{Arc, LazyLock};

/// The tone of those who are recorded, as it is in calls: 1,400 Hz for 0.2 s, as loud as speech.
const HZ: f32 = 1_400.0;
const DBM0: f32 = -20.0;
const SAMPLES: usize = 3_200;

fn tone() -> Music {
    static TONE: LazyLock<Music> = LazyLock::new(|| {
        let mut pcm = vec![0; SAMPLES];
        Sine::new(HZ, DBM0, 16_000).fill(&mut pcm);
        Music::new(Sound::new(pcm).map(Arc::new).into_iter().collect())
    });
    TONE.clone()
}

impl Live {
    /// What is said in it is recorded from now on, or no longer.
    pub(super) fn record(&mut self, s: &mut Step<'_>, on: bool) {
        self.recorded = on;
        s.effects.push_back(Effect::Record {
            worker: self.parts.first().0,
            room: self.id,
            name: self.name(),
            settings: on.then(|| self.settings.clone()),
        });
        for id in self.inside() {
            self.record_member(s, id, on);
        }
        match (on, self.settings.beep) {
            (true, Beep::Every(time)) => {
                let notice = self.notice().map(|music| music.duration()).unwrap_or_default();
                s.timers.set((self.id, Due::Beep), s.now + notice + time);
            }
            (true, Beep::Never | Beep::Once) => {}
            (false, Beep::Never | Beep::Once | Beep::Every(_)) => {
                s.timers.cancel((self.id, Due::Beep));
            }
        }
        if !on {
            self.log(s, "is no longer recorded");
        }
        self.event(s, RoomEvent::Room);
    }

    fn inside(&self) -> Vec<MemberId> {
        let inside = self.members.iter().filter(|member| member.is_in());
        inside.map(|member| member.id).collect()
    }

    /// What a member says is recorded, or no longer, where that is configured.
    pub(super) fn record_member(&self, s: &mut Step<'_>, id: MemberId, on: bool) {
        let call = self.member(id).and_then(|member| member.call);
        if let Some(call) = call.filter(|_| self.settings.recording.has_members()) {
            let place = Place {
                room: self.id,
                member: id,
            };
            s.effects.push_back(Effect::RecordMember(call, place, on));
        }
    }

    /// By what it is told that it is recorded.
    fn notice(&self) -> Option<Music> {
        match (&self.settings.announcement, self.settings.beep) {
            (Some(words), _) => Some(words.clone()),
            (None, Beep::Never) => None,
            (None, Beep::Once | Beep::Every(_)) => Some(tone()),
        }
    }

    /// Somebody may be in it now: where it is recorded, as soon as he was told so.
    pub(super) fn come_in(&mut self, s: &mut Step<'_>, id: MemberId) {
        let is_recorded = self.recorded || (self.settings.record && !self.entered);
        let Some(notice) = self.notice().filter(|_| is_recorded) else {
            return self.enter(s, id);
        };
        if let Some(member) = self.member_mut(id) {
            member.phase = Phase::Told;
            member.say_now(&notice);
            s.timers
                .set((self.id, Due::Door(id)), s.now + notice.duration() + LAST_WORDS);
            self.event(s, RoomEvent::Changed(id));
        }
    }

    /// The time is over in which somebody was to hear that it is recorded: who holds us hears nothing, and has not been told.
    pub(super) fn told_due(&mut self, s: &mut Step<'_>, id: MemberId) {
        match self.member(id).is_some_and(|member| member.holds) {
            true => s.timers.set((self.id, Due::Door(id)), s.now + LAST_WORDS),
            false => self.enter(s, id),
        }
    }

    /// Those who are in it are told that it is recorded from now on: together where they hear one another, else each.
    pub(super) fn tell_recorded(&mut self, s: &mut Step<'_>) {
        let Some(notice) = self.notice() else { return };
        let mut is_for_all = false;
        for member in self.members.iter_mut().filter(|member| member.is_in()) {
            match member.is_in_mix() {
                true => is_for_all = true,
                false => member.say(&notice),
            }
        }
        if is_for_all {
            self.play_soon(s, &notice);
        }
    }

    /// The tone, again.
    pub(super) fn beep(&mut self, s: &mut Step<'_>) {
        if let Beep::Every(time) = self.settings.beep {
            s.timers.set((self.id, Due::Beep), s.now + time);
            if self.members.iter().any(Member::is_in_mix) {
                self.play_soon(s, &tone());
            }
        }
    }
}

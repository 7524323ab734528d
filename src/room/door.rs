//! Who may come in: the PIN, and the answer by key of who was called.

use super::guesses::Turn;
use super::live::Live;
use super::member::{Member, Phase};
use super::view::{MemberId, Role, RoomEvent};
use super::{Due, Effect, Parting, Step};
use crate::config::Prompt;
use crate::limits;
use crate::time::Instant;
use std::time::Duration;

/// How long somebody may press nothing before it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after a digit the PIN is taken for whole.
const DIGIT: Duration = Duration::from_secs(4);
/// How long after a PIN that was judged by its length, or after what was pressed behind it, a key still belongs to it.
const OVERRUN: Duration = Duration::from_millis(500);
/// How often who was called is asked whether it wants to join: an answering machine's greeting is shorter than that.
const ASKED: u8 = 3;
/// The key by which it does.
const JOINS: char = '1';

pub(super) const WRONG: Parting = Parting {
    status: 403,
    why: "the PIN of the room was wrong too often",
};
const SILENT: Parting = Parting {
    status: 480,
    why: "who was called did not confirm by a key",
};

impl Member {
    /// Whether a key belongs to a PIN that was judged by its length: those that follow at once, up to a #, which may come later.
    fn overruns(&mut self, now: Instant, digit: char) -> bool {
        let Some(since) = self.judged.map(|at| now.since(at)) else {
            return false;
        };
        let (is_last, belongs) = (digit == '#', if digit == '#' { DIGIT } else { OVERRUN });
        let is_behind = since < belongs;
        self.judged = (is_behind && !is_last).then_some(now);
        is_behind
    }
}

impl Live {
    /// Somebody is asked for the PIN.
    pub(super) fn ask_pin(&mut self, s: &mut Step<'_>, id: MemberId, tries: u8, before: Option<Prompt>) {
        let prompts = self.settings.prompts.clone();
        let words = prompts.get(Prompt::Pin);
        let Some(member) = self.member_mut(id) else { return };
        member.phase = Phase::Pin(tries);
        member.pressed.0.clear();
        member.hush();
        self.event(s, RoomEvent::Door(id));
        let Some(member) = self.member_mut(id) else { return };
        let mut patience = PATIENCE + words.duration();
        if let Some(before) = before {
            member.say(prompts.get(before));
            patience += prompts.get(before).duration();
        }
        member.say(words);
        s.timers.set((self.id, Due::Door(id)), s.now + patience);
    }

    /// A digit of the PIN.
    pub(super) fn pin_digit(&mut self, s: &mut Step<'_>, id: MemberId, digit: char, tries: u8) {
        let settings = self.settings.clone();
        let Some(member) = self.member_mut(id) else { return };
        if member.overruns(s.now, digit) {
            return;
        }
        // Who knows it does not listen to the end.
        member.hush();
        if digit == '#' {
            return self.judge_in_turn(s, id, tries);
        }
        if digit.is_ascii_digit() && member.pressed.0.len() < limits::ROOM_PIN {
            member.pressed.0.push(digit);
        }
        let lengths = [&settings.pin, &settings.moderator_pin].map(|pin| pin.as_ref().map(|pin| pin.expose().len()));
        let longest = lengths.into_iter().flatten().max();
        if Some(member.pressed.0.len()) >= longest {
            member.judged = Some(s.now);
            return self.judge_in_turn(s, id, tries);
        }
        s.timers.cancel((self.id, Due::Door(id)));
        s.timers.set((self.id, Due::Pressed(id)), s.now + DIGIT);
    }

    /// The PIN is whole: it is judged, at once or when it is its turn.
    pub(super) fn judge_in_turn(&mut self, s: &mut Step<'_>, id: MemberId, tries: u8) {
        s.timers.cancel((self.id, Due::Pressed(id)));
        s.timers.cancel((self.id, Due::Door(id)));
        let Some(member) = self.member_mut(id) else { return };
        member.phase = Phase::Judged(tries);
        match s.guesses.turn(s.now, &member.source, &member.uri) {
            Turn::Now => self.judge(s, id, tries),
            Turn::At(at) => s.timers.set((self.id, Due::Door(id)), at),
            Turn::Never => self.send_away(s, id, Prompt::WrongPin, WRONG),
        }
    }

    fn judge(&mut self, s: &mut Step<'_>, id: MemberId, tries: u8) {
        let settings = self.settings.clone();
        let Some(member) = self.member_mut(id) else { return };
        let given = std::mem::take(&mut member.pressed.0);
        let is = |pin: &Option<crate::pii::Secret>| pin.as_ref().is_some_and(|pin| pin.expose() == given);
        let is_moderator = is(&settings.moderator_pin);
        // Where only moderators have one, others press # alone.
        if is_moderator || is(&settings.pin) || (settings.pin.is_none() && given.is_empty()) {
            if is_moderator {
                member.role = Role::Moderator;
            }
            self.event(s, RoomEvent::Door(id));
            return self.pass(s, id);
        }
        s.guesses.wrong(s.now, &member.source);
        if let Some(call) = member.call {
            let told = format!("gave a wrong PIN for room {}", self.name());
            s.effects.push_back(Effect::Tell(call, told));
        }
        self.once_more(s, id, tries + 1, Some(Prompt::WrongPin));
    }

    /// Who had the right PIN may come in, unless the room was locked meanwhile.
    fn pass(&mut self, s: &mut Step<'_>, id: MemberId) {
        if !self.is_kept_out(s, id) {
            self.greet(s, id);
        }
    }

    /// The same for who has said its name.
    pub(super) fn let_in(&mut self, s: &mut Step<'_>, id: MemberId) {
        if !self.is_kept_out(s, id) {
            self.admit(s, id);
        }
    }

    fn is_kept_out(&mut self, s: &mut Step<'_>, id: MemberId) -> bool {
        if self.locked {
            let why = "the room is locked";
            self.send_away(s, id, Prompt::Locked, Parting { status: 403, why });
        }
        self.locked
    }

    fn once_more(&mut self, s: &mut Step<'_>, id: MemberId, tries: u8, before: Option<Prompt>) {
        if tries >= limits::ROOM_PIN_TRIES {
            self.event(s, RoomEvent::Door(id));
            return self.send_away(s, id, Prompt::WrongPin, WRONG);
        }
        self.ask_pin(s, id, tries, before);
    }

    /// Who is called rings.
    pub(super) fn rings(&mut self, s: &mut Step<'_>, id: MemberId) {
        let Some(member) = self.member_mut(id) else { return };
        if member.phase == Phase::Calling {
            member.phase = Phase::Ringing;
            self.event(s, RoomEvent::Changed(id));
        }
    }

    /// Who was called has answered: it may be a machine, so it is asked to press a key.
    pub(super) fn answered(&mut self, s: &mut Step<'_>, id: MemberId) {
        if self.member(id).is_some_and(Member::is_called) {
            self.ask_to_join(s, id, 1);
            self.event(s, RoomEvent::Changed(id));
        }
    }

    fn ask_to_join(&mut self, s: &mut Step<'_>, id: MemberId, times: u8) {
        let prompts = self.settings.prompts.clone();
        let words = prompts.get(Prompt::Join);
        let Some(member) = self.member_mut(id) else { return };
        member.phase = Phase::Asked(times);
        member.say_now(words);
        s.timers.set((self.id, Due::Door(id)), s.now + words.duration() + DIGIT);
    }

    /// Who was called pressed a key.
    pub(super) fn join_digit(&mut self, s: &mut Step<'_>, id: MemberId, digit: char) {
        if digit == JOINS {
            self.admit(s, id);
        }
    }

    /// Somebody at the door has not answered, or it is its turn.
    pub(super) fn door_due(&mut self, s: &mut Step<'_>, id: MemberId) {
        let Some(phase) = self.member(id).map(|member| member.phase) else {
            return;
        };
        match phase {
            Phase::Pin(tries) => self.once_more(s, id, tries + 1, None),
            Phase::Judged(tries) => self.judge(s, id, tries),
            Phase::Asked(times) if times >= ASKED => self.dismiss(s, id, SILENT),
            Phase::Asked(times) => self.ask_to_join(s, id, times + 1),
            Phase::Name => self.note(s, id),
            Phase::Says => self.said(s, id),
            Phase::Said => self.named(s, id, None),
            Phase::Told => self.told_due(s, id),
            Phase::Leaving(parting) => self.dismiss(s, id, parting),
            Phase::Calling | Phase::Ringing | Phase::Waiting | Phase::In => {}
        }
    }
}

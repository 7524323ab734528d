//! What members press.

use super::live::Live;
use super::member::Phase;
use super::view::{Action, Asker, MemberId, Role, Whom};
use super::{Due, Step};
use crate::config::KeyAction;
use crate::pii::Digit;
use std::time::Duration;

/// How long keys wait for the next one.
const NEXT: Duration = Duration::from_secs(3);

impl Live {
    /// A member pressed a key.
    pub(super) fn pressed(&mut self, s: &mut Step<'_>, id: MemberId, digit: Digit) {
        let Some(member) = self.member_mut(id) else { return };
        if !member.may_press(s.now) {
            return;
        }
        match member.phase {
            Phase::Pin(tries) => self.pin_digit(s, id, digit.0, tries),
            Phase::Asked(_) => self.join_digit(s, id, digit.0),
            Phase::Says => self.said(s, id),
            Phase::In => self.menu(s, id, digit.0),
            Phase::Calling
            | Phase::Ringing
            | Phase::Judged(_)
            | Phase::Name
            | Phase::Said
            | Phase::Waiting
            | Phase::Told
            | Phase::Leaving(_) => {}
        }
    }

    /// Keys in the room: those that are whole do something, and those that begin nothing are forgotten, the first ones first.
    fn menu(&mut self, s: &mut Step<'_>, id: MemberId, digit: char) {
        let settings = self.settings.clone();
        let Some(member) = self.member_mut(id) else { return };
        member.pressed.0.push(digit);
        while !member.pressed.0.is_empty() && !settings.keys.is_begun(&member.pressed.0) {
            member.pressed.0.remove(0);
        }
        let found = settings.keys.action(&member.pressed.0);
        if found.is_some() {
            member.pressed.0.clear();
        }
        match member.pressed.0.is_empty() {
            true => {
                s.timers.cancel((self.id, Due::Pressed(id)));
            }
            false => s.timers.set((self.id, Due::Pressed(id)), s.now + NEXT),
        }
        if let Some(action) = found.and_then(|action| self.action_of(id, action)) {
            // Whoever may not is not told so by voice: keys are pressed by accident.
            let _ = self.act(s, &Asker::Member(id), &action);
        }
    }

    /// What keys ask for; nothing where there is nobody to whom it could be done.
    fn action_of(&self, id: MemberId, action: KeyAction) -> Option<Action> {
        let own = self.member(id)?;
        let others = || self.members.iter().filter(|member| member.id != id && member.is_in());
        Some(match action {
            KeyAction::Mute => Action::Mute(Whom::One(id), !own.muted),
            KeyAction::Deafen => Action::Deafen(Whom::One(id), !own.deaf),
            KeyAction::Lock => Action::Lock(!self.locked),
            KeyAction::MuteAll => {
                let is_heard = others().any(|member| member.role == Role::Speaker && !member.muted);
                Action::Mute(Whom::All, is_heard)
            }
            KeyAction::Record => Action::Record(!self.recorded),
            KeyAction::KickLast => Action::Kick(others().max_by_key(|member| member.id)?.id),
            KeyAction::End => Action::End,
        })
    }

    /// No further key came.
    pub(super) fn pressed_due(&mut self, s: &mut Step<'_>, id: MemberId) {
        let Some(member) = self.member_mut(id) else { return };
        match member.phase {
            Phase::Pin(tries) => self.judge_in_turn(s, id, tries),
            Phase::Calling
            | Phase::Ringing
            | Phase::Asked(_)
            | Phase::Judged(_)
            | Phase::Name
            | Phase::Says
            | Phase::Said
            | Phase::Waiting
            | Phase::Told
            | Phase::In
            | Phase::Leaving(_) => member.pressed.0.clear(),
        }
    }
}

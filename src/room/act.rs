//! What is asked of a room, and who may ask it.
//!
//! The operator may all; moderators too, and users of `moderators` who are not in it. Anybody may have himself muted, deafened, or sent away.

use super::live::Live;
use super::member::Member;
use super::view::{Action, Asker, MemberId, Refused, Role, RoomEvent, Whom};
use super::{Effect, Parting, Place, Step};
use crate::config::{Outgoing, Prompt};
use crate::limits;

/// Why a moderator sends somebody away.
const REMOVED: Parting = Parting {
    status: 200,
    why: "a moderator removed the member from the room",
};

/// By whose rights a room calls somebody: those of the user who asks, and for others those that the configuration lends.
///
/// # Errors
/// By nobody's.
pub fn rights(outgoing: &Outgoing, own: Option<&str>) -> Result<String, Refused> {
    match (outgoing, own) {
        (Outgoing::No, _) => Err(Refused::NotAllowed),
        (Outgoing::Own | Outgoing::As(_), Some(own)) => Ok(own.to_owned()),
        (Outgoing::As(user), None) => Ok(user.clone()),
        (Outgoing::Own, None) => Err(Refused::Impossible("nobody's rights are there to call by (outgoing)")),
    }
}

impl Live {
    /// Does what is asked.
    pub(super) fn act(&mut self, s: &mut Step<'_>, asker: &Asker, action: &Action) -> Result<(), Refused> {
        self.may(asker, action)?;
        if self.ending {
            return Err(Refused::Impossible("the room is being closed"));
        }
        match action {
            Action::Lock(locked) => {
                if self.locked != *locked {
                    self.locked = *locked;
                    self.log(s, if *locked { "is locked" } else { "is open to all again" });
                    self.event(s, RoomEvent::Room);
                }
                Ok(())
            }
            Action::Mute(whom, muted) => self.each(s, *whom, |room, s, id| room.mute(s, id, asker, *muted)),
            Action::Deafen(whom, deaf) => {
                self.each(s, *whom, |room, s, id| room.change(s, id, |member| member.deaf = *deaf))
            }
            Action::Hold(whom, held) => {
                self.each(s, *whom, |room, s, id| room.change(s, id, |member| member.held = *held))
            }
            Action::Kick(id) => {
                self.member(*id).ok_or(Refused::NoMember)?;
                self.send_away(s, *id, Prompt::Removed, REMOVED);
                Ok(())
            }
            Action::Promote(id, role) => self.promote(s, *id, *role),
            Action::Call(numbers) => self.call(s, asker, numbers),
            Action::Record(on) => {
                if self.present() == 0 {
                    return Err(Refused::Impossible("nobody is in the room"));
                }
                if self.recorded != *on {
                    self.record(s, *on);
                    if *on {
                        self.tell_recorded(s);
                    }
                }
                Ok(())
            }
            Action::End => {
                self.end(s);
                Ok(())
            }
        }
    }

    fn may(&self, asker: &Asker, action: &Action) -> Result<(), Refused> {
        let is_own = |id: &MemberId| *asker == Asker::Member(*id);
        let concerns_self = match action {
            Action::Mute(Whom::One(id), _) | Action::Deafen(Whom::One(id), _) | Action::Kick(id) => is_own(id),
            Action::Lock(_)
            | Action::Mute(Whom::All, _)
            | Action::Deafen(Whom::All, _)
            | Action::Hold(..)
            | Action::Promote(..)
            | Action::Call(_)
            | Action::Record(_)
            | Action::End => false,
        };
        let is_moderator = match asker {
            Asker::Operator => true,
            Asker::Member(id) => {
                let member = self.member(*id).ok_or(Refused::NoMember)?;
                member.is_in() && member.is_moderator()
            }
            Asker::User(name) => self.settings.moderators.contains(name),
        };
        match is_moderator || concerns_self {
            true => Ok(()),
            false => Err(Refused::NotAllowed),
        }
    }

    /// Does something to one, or to all but moderators.
    fn each(
        &mut self,
        s: &mut Step<'_>,
        whom: Whom,
        mut act: impl FnMut(&mut Live, &mut Step<'_>, MemberId),
    ) -> Result<(), Refused> {
        let ids: Vec<MemberId> = match whom {
            Whom::One(id) => vec![self.member(id).ok_or(Refused::NoMember)?.id],
            Whom::All => {
                let meant = |member: &&Member| member.is_in() && !member.is_moderator();
                self.members.iter().filter(meant).map(|member| member.id).collect()
            }
        };
        ids.into_iter().for_each(|id| act(self, s, id));
        Ok(())
    }

    fn mute(&mut self, s: &mut Step<'_>, id: MemberId, asker: &Asker, muted: bool) {
        let words = if muted { Prompt::Muted } else { Prompt::Unmuted };
        let prompts = self.settings.prompts.clone();
        let Some(member) = self.member_mut(id) else { return };
        // A moderator lets a listener speak; nobody lets himself.
        let speaks = !muted && member.role == Role::Listener && *asker != Asker::Member(id);
        if member.muted == muted && !speaks {
            return;
        }
        member.muted = muted;
        if speaks {
            member.role = Role::Speaker;
        }
        if member.is_in() {
            member.say_now(prompts.get(words));
        }
        self.event(s, RoomEvent::Changed(id));
    }

    fn promote(&mut self, s: &mut Step<'_>, id: MemberId, role: Role) -> Result<(), Refused> {
        let member = self.member_mut(id).ok_or(Refused::NoMember)?;
        member.role = role;
        let is_in = member.is_in();
        self.event(s, RoomEvent::Changed(id));
        if role == Role::Moderator && !is_in && self.member(id).is_some_and(Member::waits) {
            self.admit(s, id);
        } else if role == Role::Moderator && is_in {
            self.moderator_came(s);
        }
        Ok(())
    }

    /// By whose rights somebody is called.
    pub(super) fn may_call(&self, asker: &Asker) -> Result<String, Refused> {
        let own = match asker {
            Asker::Operator => None,
            Asker::Member(id) => self.member(*id).ok_or(Refused::NoMember)?.user.as_deref(),
            Asker::User(name) => Some(&**name),
        };
        rights(&self.settings.outgoing, own)
    }

    fn call(&mut self, s: &mut Step<'_>, asker: &Asker, numbers: &[String]) -> Result<(), Refused> {
        let rights = self.may_call(asker)?;
        let called = self.members.iter().filter(|member| member.is_called()).count();
        if called + numbers.len() > limits::ROOM_DIALS || self.places() + numbers.len() > self.settings.max_members {
            return Err(Refused::Full);
        }
        for number in numbers {
            let id = self.next_id();
            let mut member = Member::called(id, number.clone(), s.wall);
            if self.settings.listeners {
                member.role = Role::Listener;
            }
            self.members.push(member);
            self.event(s, RoomEvent::Changed(id));
            let place = Place {
                room: self.id,
                member: id,
            };
            s.effects.push_back(Effect::Call {
                place,
                number: number.clone(),
                rights: rights.clone(),
            });
        }
        Ok(())
    }
}

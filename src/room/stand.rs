//! A place in a room that another one takes (RFC 5589 7): what was done to who had it holds for who comes.

use super::live::Live;
use super::member::Phase;
use super::view::{MemberId, Role};

/// What goes with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    pub(super) muted: bool,
    pub(super) deaf: bool,
    pub(super) held: bool,
    /// None: that of whoever comes. To be a moderator is the right of a person, and goes with no place.
    pub(super) role: Option<Role>,
    /// Wrong PINs so far; none where it was not at the door any more.
    pub(super) tries: Option<u8>,
}

impl Live {
    /// What goes with the place of a member; none where nobody may have it.
    pub(super) fn stand(&self, id: MemberId) -> Option<Stand> {
        let member = self.member(id).filter(|_| !self.ending)?;
        let tries = match member.phase {
            Phase::In => None,
            // Who is at the door of a locked room is kept out, whoever it is by then.
            Phase::Pin(_)
            | Phase::Name
            | Phase::Says
            | Phase::Said
            | Phase::Waiting
            | Phase::Told
            | Phase::Asked(_)
                if self.locked =>
            {
                return None;
            }
            Phase::Pin(tries) => Some(tries),
            Phase::Name | Phase::Says | Phase::Said | Phase::Waiting | Phase::Told | Phase::Asked(_) => Some(0),
            Phase::Calling | Phase::Ringing | Phase::Judged(_) | Phase::Leaving(_) => return None,
        };
        Some(Stand {
            muted: member.muted,
            deaf: member.deaf,
            held: member.held,
            role: Some(member.role).filter(|role| *role != Role::Moderator),
            tries,
        })
    }
}

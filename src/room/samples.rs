//! Rooms for tests.

use super::view::{Joined, MemberId, MemberView, Role, RoomView, Status};
use crate::time::Wall;

/// Room 3000 with these members.
pub fn room(members: Vec<MemberView>) -> RoomView {
    RoomView {
        number: "3000".into(),
        name: "standup".into(),
        locked: false,
        recorded: false,
        since: Wall(1_795_352_759_000),
        most: 20,
        members,
    }
}

/// One who has called and speaks.
pub fn member(id: u32, uri: &str) -> MemberView {
    MemberView {
        id: MemberId(id),
        uri: uri.into(),
        user: None,
        display: format!("Member {id}"),
        status: Status::Connected,
        joined: Joined::DialedIn,
        role: Role::Speaker,
        muted: false,
        deaf: false,
        speaking: false,
        since: Wall(1_795_352_760_000),
    }
}

//! A room as those see it who may: for the conference event package (RFC 4575) and the control socket. And what they may ask of it.

use crate::time::Wall;
use std::fmt;

/// A room at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// As it is dialled: the user part of the focus URI.
    pub number: String,
    /// What it is called; its number where it was made on demand.
    pub name: String,
    /// Nobody else may join.
    pub locked: bool,
    /// It is being recorded.
    pub recorded: bool,
    /// Since when somebody is in it.
    pub since: Wall,
    /// How many may be in it.
    pub most: usize,
    /// Who is in it, or on the way, in the order in which they came.
    pub members: Vec<MemberView>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// A name within the room that no other member gets: as it is typed (`tandem room 3000 mute 2`).
    pub id: MemberId,
    /// Of a user `sip:alice@example.org`, of a caller from outside what its INVITE said, or `sip:anonymous@anonymous.invalid`.
    pub uri: String,
    /// The user of ours that it is, whether it shows that or not: for what it may, and in no document.
    pub user: Option<String>,
    /// As it is shown.
    pub display: String,
    /// How far it is.
    pub status: Status,
    /// How it came.
    pub joined: Joined,
    /// What it may.
    pub role: Role,
    /// Its microphone is off: nobody hears it.
    pub muted: bool,
    /// It hears nobody.
    pub deaf: bool,
    /// It speaks now.
    pub speaking: bool,
    /// Since when it is in the room.
    pub since: Wall,
}

/// A line of a member's video on which somebody is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its `a=mid`.
    pub line: Box<str>,
    /// Who is seen.
    pub member: MemberId,
    /// It is a screen, and no camera.
    pub is_screen: bool,
}

/// A member of a room, from 1, in the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a member is (RFC 4575 5.7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// We call it.
    DialingOut,
    /// It rings, or is asked whether it wants to join.
    Alerting,
    /// It has been answered, and is asked for the PIN, or waits for a moderator.
    Waiting,
    /// In the room.
    Connected,
    /// It holds, or is held.
    OnHold,
}

/// How a member came (RFC 4575 5.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// By a call to the room.
    DialedIn,
    /// The room called it.
    DialedOut,
}

/// What a member may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Hears, and is not heard until a moderator lets it.
    Listener,
    /// Speaks and hears.
    #[default]
    Speaker,
    /// May do to others what this page lists.
    Moderator,
}

impl Role {
    /// As it is typed and shown, and as it stands in documents.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Listener => "listener",
            Role::Speaker => "speaker",
            Role::Moderator => "moderator",
        }
    }
}

/// What is asked of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nobody else may join, or all may again.
    Lock(bool),
    /// One, or all but moderators, are not heard, or are again.
    Mute(Whom, bool),
    /// One, or all but moderators, hear nobody, or do again.
    Deafen(Whom, bool),
    /// One, or all but moderators, hear music and nobody hears them, or are back.
    Hold(Whom, bool),
    /// One is sent away.
    Kick(MemberId),
    /// Another role.
    Promote(MemberId, Role),
    /// The room calls these, as its configuration lets it: numbers of the dial plan.
    Call(Vec<String>),
    /// It is recorded, or no longer.
    Record(bool),
    /// Everybody is sent away.
    End,
}

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// This one.
    One(MemberId),
    /// All but moderators.
    All,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The operator: on the machine itself.
    Operator,
    /// A member, by its keys or its SIP requests.
    Member(MemberId),
    /// A user who is not in the room.
    User(String),
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such room, or nobody is in it.
    NoRoom,
    /// There is no such member.
    NoMember,
    /// Who asks may not.
    NotAllowed,
    /// A bound is reached.
    Full,
    /// Who is called cannot be reached, as is known at once.
    Unreached,
    /// It cannot be done, in half a sentence.
    Impossible(&'static str),
}

impl Refused {
    /// The status that a request by SIP is refused with.
    pub const fn status(self) -> u16 {
        match self {
            Refused::NoRoom | Refused::NoMember => 404,
            Refused::NotAllowed => 403,
            Refused::Full => 486,
            Refused::Unreached => 480,
            Refused::Impossible(_) => 488,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::NoRoom => "there is no such room, or nobody is in it",
            Refused::NoMember => "there is no such member in the room",
            Refused::NotAllowed => "only a moderator may do that",
            Refused::Full => "as many are in the room, or are being called, as may be",
            Refused::Unreached => "who is called cannot be reached",
            Refused::Impossible(why) => why,
        })
    }
}

/// What happens in a room, as it is told to those who listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// Somebody came in.
    Joined(MemberId),
    /// Somebody is gone.
    Left(MemberId),
    /// Somebody begins to speak, or ends: at most every `limits::ROOM_SPEAKING`.
    Speaking(MemberId, bool),
    /// On a line of a member's video, by its `a=mid`, somebody is seen from now on, or nobody; true where it is a screen. At most every 200 ms.
    Shows(MemberId, Box<str>, Option<(MemberId, bool)>),
    /// Anything else of a member is different: muted, deaf, held, its role.
    Changed(MemberId),
    /// Somebody who is not in it yet is asked for the PIN, or no longer.
    Door(MemberId),
    /// Something of the room itself is different: locked, recorded.
    Room,
    /// Nobody is in it any more.
    Ended,
}

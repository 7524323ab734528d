//! What a leg does, and what kind of payload a packet has.

use super::dtmf::Progress;
use super::packet::LegIx;
use super::room::RoomIx;
use super::tone::Player;

/// What a leg does, as `command::Function` with what it needs at hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Idle,
    Bridge(LegIx),
    Echo,
    Tone(Player),
    Play,
    Phone,
    Note,
    /// It sits in a room.
    Room(RoomIx),
    /// A copy of what that leg receives.
    Fork(LegIx),
}

/// What kind of payload a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Audio,
    /// Audio in which a key is heard, or may be, as `Rx::ear` tells.
    Key,
    /// An event packet and how its event stands; `None` when it says nothing new.
    Event(Option<Progress>),
    /// Comfort noise: a pause begins, or goes on.
    Noise,
    /// Nothing to play: an unknown type.
    Silent,
}

//! Rooms as the workers know them: legs that hear one another.

use crate::id::MediaRoomId;
use codecs::Rate;

/// A room as it is opened: one worker's part of it, on which that part's legs are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSpec {
    /// Its name.
    pub id: MediaRoomId,
    /// Of the mix.
    pub rate: Rate,
    /// How many are heard at once: 1 to `limits::ROOM_SPEAKERS`.
    pub speakers: u8,
    /// How many legs may sit in it.
    pub seats: u16,
    /// Members are brought to a common loudness.
    pub levels: bool,
    /// A line on which nobody speaks is closed, so that its noise is not heard.
    pub gate: bool,
}

/// How a leg sits in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// It is heard.
    pub speaks: bool,
    /// It hears what the room hears.
    pub hears: bool,
    /// Its video is seen.
    pub shows: bool,
}

/// What the mix of a room took in the last ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomStats {
    /// Legs that sit in it now.
    pub members: u16,
    /// Ticks of 20 ms.
    pub ticks: u32,
    /// Packets that were encoded in them, for whomever.
    pub encodes: u64,
}

impl Default for Seat {
    fn default() -> Seat {
        Seat {
            speaks: true,
            hears: true,
            shows: true,
        }
    }
}

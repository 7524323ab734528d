//! Rooms as the workers know them: legs that hear one another.

use super::Stream;
use crate::id::MediaRoomId;
use codecs::{Codec, Rate};

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
    /// Who speaks Opus is forwarded to those who have places for voices, and they hear a mix of the others.
    pub forwards: bool,
}

impl RoomSpec {
    /// Who speaks this, with so many places for voices, hears them apart: those who speak at once have all room there.
    pub fn hears_apart(&self, stream: &Stream, places: usize) -> bool {
        self.forwards && stream.codec == Codec::Opus && places >= usize::from(self.speakers)
    }
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

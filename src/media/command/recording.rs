//! Which recording a leg goes into.

use crate::id::CallId;
use crate::time::Wall;

/// One recording: a file. A call has one for each time that it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recording {
    /// Of which call.
    pub call: CallId,
    /// From 1 within the call.
    pub number: u16,
    /// When it was started.
    pub begun: Wall,
    /// One of the sides speaks with more than 4 kHz of band at the start.
    pub is_wide: bool,
    /// What kind of file.
    pub format: Format,
    /// Of what.
    pub of: Of,
}

/// What a recording is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// A call; or a room, where no call has that name.
    #[default]
    Call,
    /// What a member of a room says: the name of the room's recording, and which member.
    Member(CallId, u32),
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Samples of 16 bits.
    #[default]
    Wav,
    /// Opus in Ogg (RFC 7845).
    Opus,
}

impl Recording {
    /// The day on which it was started, in UTC: the name of its folder.
    pub fn folder(&self) -> String {
        let at = self.begun.civil();
        format!("{:04}-{:02}-{:02}", at.year, at.month, at.day)
    }

    /// Its file below the folder of all recordings. Nothing of those who speak is in the name; that of a room's member begins as that of its
    /// room's mix.
    pub fn file(&self) -> String {
        let ending = match self.format {
            Format::Wav => "wav",
            Format::Opus => "opus",
        };
        let (folder, call, number) = (self.folder(), self.call, self.number);
        match self.of {
            Of::Call => format!("{folder}/{call}-{number}.{ending}"),
            Of::Member(room, member) => format!("{folder}/{room}-m{member}-{call}-{number}.{ending}"),
        }
    }

    /// Samples of each side in a second.
    pub const fn rate(&self) -> u32 {
        if self.is_wide { 16_000 } else { 8_000 }
    }
}

/// Whose words: the channel of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Of the calling side: the left one.
    Caller,
    /// Of the called side: the right one.
    Callee,
}

impl Side {
    /// The place among the channels.
    pub const fn index(self) -> usize {
        match self {
            Side::Caller => 0,
            Side::Callee => 1,
        }
    }

    /// Across the call.
    pub const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_day_and_the_call_and_nothing_of_a_number() {
        let recording = Recording {
            call: CallId(0x1a2b),
            number: 2,
            begun: Wall(1_795_352_759_000),
            is_wide: false,
            format: Format::Wav,
            of: Of::Call,
        };
        assert_eq!(recording.file(), "2026-11-22/c1a2b-2.wav");
        let members = Recording {
            of: Of::Member(CallId(0x1a2a), 7),
            ..recording
        };
        assert_eq!(members.file(), "2026-11-22/c1a2a-m7-c1a2b-2.wav");
        let smaller = Recording {
            format: Format::Opus,
            ..recording
        };
        assert_eq!(smaller.file(), "2026-11-22/c1a2b-2.opus");
        assert_eq!(recording.rate(), 8_000);
    }
}

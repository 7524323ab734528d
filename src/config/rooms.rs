//! `rooms`: where several people hear one another.

use super::checked::Config;
use super::prompts::Prompts;
use super::recording::Beep;
use crate::limits;
use crate::media::command::Music;
use crate::pii::Secret;
use codecs::Rate;
use std::sync::Arc;
use std::time::Duration;

/// One entry of `rooms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// `number`, normalised; `*` for what holds for rooms that are made on demand.
    pub number: String,
    /// `name`; of a room on demand its number.
    pub name: String,
    /// `pin`: who knows it may come in; none: everybody may.
    pub pin: Option<Secret>,
    /// `moderator_pin`: who knows it is a moderator.
    pub moderator_pin: Option<Secret>,
    /// `moderators`: users who are that without a PIN.
    pub moderators: Vec<String>,
    /// `listeners`: who is no moderator only hears, until a moderator lets him speak.
    pub listeners: bool,
    /// `max_members`.
    pub max_members: usize,
    /// `max_duration`: it ends then; none: whenever the last one leaves.
    pub max_duration: Option<Duration>,
    /// `speakers`: how many are heard at once.
    pub speakers: u8,
    /// `rate` of the mix.
    pub rate: Rate,
    /// `agc`: all are brought to a common loudness.
    pub levels: bool,
    /// `gate`: a line on which nobody speaks is not heard.
    pub gate: bool,
    /// `audio: forwarded`: who speaks Opus goes as it comes to browsers that have places for voices.
    pub forwards: bool,
    /// `video`: that of browsers is forwarded to browsers.
    pub video: bool,
    /// `wait_for_moderator`: nobody is let in before a moderator is.
    pub wait_for_moderator: bool,
    /// `entry`: what is heard when somebody comes or goes.
    pub entry: EntrySound,
    /// `music`: what those hear who are alone, wait or are held.
    pub music: Music,
    /// `record`: it is recorded from the first member on.
    pub record: bool,
    /// `recording`: what that is.
    pub recording: RoomRecording,
    /// `recording.tone` of all: how those in it hear that it is recorded.
    pub beep: Beep,
    /// `recording.announcement` of all: what they hear when that begins, and who comes before he is in it.
    pub announcement: Option<Music>,
    /// `prompts`.
    pub prompts: Arc<Prompts>,
    /// `outgoing`: by whose rights the room calls somebody.
    pub outgoing: Outgoing,
    /// `keys`.
    pub keys: RoomKeys,
}

/// `rooms[].entry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntrySound {
    /// `tones`: rising when somebody comes, falling when somebody goes.
    #[default]
    Tones,
    /// `names`: the name that he has said, and that he has joined, or left; of who has said none, the tones.
    Names,
    /// `none`.
    Silent,
}

/// `rooms[].recording`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomRecording {
    /// `mix`: what all hear, in one file.
    #[default]
    Mix,
    /// `members`: what each says, in a file of its own.
    Members,
    /// `both`.
    Both,
}

impl RoomRecording {
    /// What all hear is recorded.
    pub fn has_mix(self) -> bool {
        match self {
            RoomRecording::Mix | RoomRecording::Both => true,
            RoomRecording::Members => false,
        }
    }

    /// What each says is recorded.
    pub fn has_members(self) -> bool {
        match self {
            RoomRecording::Members | RoomRecording::Both => true,
            RoomRecording::Mix => false,
        }
    }
}

/// `rooms[].outgoing`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outgoing {
    /// `no`: the room calls nobody.
    No,
    /// `own`: by the rights of the user who asks for it.
    #[default]
    Own,
    /// `user/NAME`: the same, and by the rights of this user where somebody asks who is no user.
    As(String),
}

/// What keys may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAction {
    /// Nobody hears who presses it, or all do again.
    Mute,
    /// Who presses it hears nobody, or does again.
    Deafen,
    /// Nobody else may join, or all may again.
    Lock,
    /// All but moderators are not heard, or are again.
    MuteAll,
    /// It is recorded, or no longer.
    Record,
    /// Who came last is sent away.
    KickLast,
    /// Everybody is sent away.
    End,
}

impl KeyAction {
    /// All, with the key in the file and the keys of the telephone where the file says nothing.
    pub const ALL: [(KeyAction, &'static str, &'static str); 7] = [
        (KeyAction::Mute, "mute", "*6"),
        (KeyAction::Deafen, "deafen", "*4"),
        (KeyAction::Lock, "lock", "*5"),
        (KeyAction::MuteAll, "mute_all", "*7"),
        (KeyAction::Record, "record", "*3"),
        (KeyAction::KickLast, "kick_last", "*8"),
        (KeyAction::End, "end", "*0"),
    ];
}

/// `rooms[].keys`: none begins with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomKeys(pub Vec<(String, KeyAction)>);

impl Default for RoomKeys {
    fn default() -> RoomKeys {
        let all = KeyAction::ALL.into_iter();
        RoomKeys(all.map(|(action, _, keys)| (keys.to_owned(), action)).collect())
    }
}

impl RoomKeys {
    /// What these keys do.
    pub fn action(&self, pressed: &str) -> Option<KeyAction> {
        let found = self.0.iter().find(|(keys, _)| keys == pressed);
        found.map(|(_, action)| *action)
    }

    /// More may come that does something.
    pub fn is_begun(&self, pressed: &str) -> bool {
        self.0.iter().any(|(keys, _)| keys.starts_with(pressed))
    }
}

impl Room {
    /// It is what holds for rooms that are made on demand.
    pub fn is_on_demand(&self) -> bool {
        self.number == "*"
    }

    /// What the room is called that has this number: one on demand, as it is dialled.
    pub fn name_of<'r>(&'r self, number: &'r str) -> &'r str {
        if self.is_on_demand() { number } else { &self.name }
    }

    /// What holds for rooms on demand where the file says nothing of them.
    pub fn on_demand() -> Room {
        Room {
            number: "*".to_owned(),
            name: "*".to_owned(),
            pin: None,
            moderator_pin: None,
            moderators: Vec::new(),
            listeners: false,
            max_members: limits::ROOM_MEMBERS_USUAL,
            max_duration: None,
            speakers: limits::ROOM_SPEAKERS_USUAL,
            rate: Rate::Wide,
            levels: true,
            gate: true,
            forwards: false,
            video: true,
            wait_for_moderator: false,
            entry: EntrySound::Tones,
            music: Music::default(),
            record: false,
            recording: RoomRecording::Mix,
            beep: Beep::Never,
            announcement: None,
            prompts: Prompts::built_in(),
            outgoing: Outgoing::Own,
            keys: RoomKeys::default(),
        }
    }

    /// True where who comes is asked for a PIN, unless he is one of `moderators`.
    pub fn asks_pin(&self) -> bool {
        self.pin.is_some() || self.moderator_pin.is_some()
    }
}

impl Config {
    /// The configured room with this number or name.
    pub fn room(&self, number: &str) -> Option<&Arc<Room>> {
        self.rooms
            .iter()
            .find(|room| room.number == number || room.name == number)
    }

    /// Those with a number of their own, for people: `the configuration has 3000 (standup), 3001`.
    pub fn room_names(&self) -> String {
        let name = |room: &Arc<Room>| match room.name == room.number {
            true => room.number.clone(),
            false => format!("{} ({})", room.number, room.name),
        };
        let names: Vec<String> = self.rooms.iter().take(limits::ROOM_NAMES_TOLD).map(name).collect();
        match self.rooms.len().saturating_sub(names.len()) {
            0 if names.is_empty() => "the configuration has none".to_owned(),
            0 => format!("the configuration has {}", names.join(", ")),
            more => format!("the configuration has {} and {more} more", names.join(", ")),
        }
    }

    /// The settings of the room that is called by this number: its own, or those of rooms on demand. None for what may be no room's name.
    pub fn room_settings(&self, number: &str) -> Option<&Arc<Room>> {
        let own = self.rooms.iter().find(|room| room.number == number);
        own.or_else(|| is_room_name(number).then_some(&self.room_on_demand))
    }
}

/// What a room on demand may be called: it stands in URIs, in the names of files and on the screens of operators.
pub fn is_room_name(number: &str) -> bool {
    (1..=limits::ROOM_NAME_BYTES).contains(&number.len())
        && number
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+*#-_.".contains(&byte))
}

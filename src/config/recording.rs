//! What is recorded, and where it is kept.

use crate::media::command::{Format, Music};
use std::path::PathBuf;
use std::time::Duration;

/// `recording`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// `directory`: the folder of all recordings.
    pub directory: PathBuf,
    /// `format`.
    pub format: Format,
    /// `keep`: how long a recording is kept; none: as long as there is room.
    pub keep: Option<Duration>,
    /// `max_size`: octets of all recordings; none: as many as there is room for.
    pub max_size: Option<u64>,
    /// `tone`: how those who are recorded hear that they are.
    pub tone: Beep,
    /// `announcement`: what they hear when it begins.
    pub announcement: Option<Music>,
}

/// `recording.tone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beep {
    /// `never`.
    #[default]
    Never,
    /// `once`: when the recording begins.
    Once,
    /// A duration: when it begins, and again so long after each.
    Every(Duration),
}

/// `record` of a user or a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// `no`: unless the other side says so.
    #[default]
    No,
    /// `on_request`: while the user's phone asks for it.
    OnRequest,
    /// `yes`: each call.
    Yes,
}

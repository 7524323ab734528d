//! What is recorded, and where it is kept.

use crate::media::command::{Format, Music, Srtp};
use crate::sip::uri::Uri;
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
    /// `siprec`: who gets it.
    pub siprec: Option<Siprec>,
}

impl Recording {
    /// It is written to files.
    pub fn has_files(&self) -> bool {
        self.siprec.as_ref().is_none_or(|siprec| siprec.files)
    }
}

/// `recording.siprec`: the recording server that gets what is recorded (RFC 7866).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Siprec {
    /// `server`: whom we call.
    pub server: Uri,
    /// `ca`: who may have signed its certificate; none: the public roots.
    pub ca: Option<PathBuf>,
    /// `srtp`: whether it gets it protected.
    pub srtp: Srtp,
    /// `files`: it is written to files, too.
    pub files: bool,
    /// `required`: a call that the server does not record ends.
    pub required: bool,
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

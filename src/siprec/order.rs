//! What those who know the calls tell of what is recorded: the whole of it, each time that something of it has changed.

use crate::config::Config;
use crate::id::{CallId, LegNo, MediaLegId, WorkerId};
use crate::media::command::Recording;
use codecs::Codec;
use std::sync::Arc;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Order {
    /// This is recorded from now on, by the configuration of its call.
    Record(Arc<Config>, Box<Subject>),
    /// Nothing of this call is, any more.
    Stop(CallId),
}

/// A call as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Which recording.
    pub recording: Recording,
    /// `Session-ID` of the caller (RFC 7989).
    pub session_id: Option<Box<str>>,
    /// Who speaks, by `Side::index`; none where nobody does.
    pub speakers: [Option<Speaker>; 2],
}

/// One who is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    /// Which leg of which call: another one is another speaker.
    pub who: (CallId, LegNo),
    /// The address of record, as the other side may see it.
    pub aor: String,
    /// The display name, as the other side may see it.
    pub name: Option<String>,
    /// Its media leg and where that lives; none while it is on its way.
    pub media: Option<(MediaLegId, WorkerId)>,
    /// What it speaks.
    pub codec: Codec,
    /// It may pause with comfort noise.
    pub comfort_noise: bool,
    /// It is heard: its side sends.
    pub sends: bool,
    /// It hears the other speaker: nobody is on hold.
    pub hears: bool,
}

impl Subject {
    /// What a server is told of it.
    pub fn told(&self) -> Subject {
        let speakers = self
            .speakers
            .clone()
            .map(|speaker| speaker.map(|speaker| Speaker { media: None, ..speaker }));
        Subject {
            speakers,
            ..self.clone()
        }
    }
}

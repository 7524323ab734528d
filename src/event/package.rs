//! What differs between event packages: what is watched, what its watchers know of it, and the documents that tell it.

use super::conference::{self, Picture};
use super::progress::{self, Progress};
use super::reginfo::{self, Watched};
use crate::cx::Cx;
use crate::effect::Aor;
use crate::limits;
use crate::room::view::RoomView;
use std::sync::Arc;
use std::time::Duration;

/// What a subscription is to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The bindings of an address of record.
    Bindings(Aor),
    /// A room, by its number.
    Room(Arc<str>),
}

/// The package of a subscription, with what its watcher knows.
#[derive(Debug)]
pub enum Package {
    /// RFC 3680.
    Reg {
        /// The watcher may register for it.
        is_own: bool,
        /// What he was told.
        known: Vec<reginfo::Known>,
    },
    /// RFC 4575.
    Conference {
        /// The room's URI as the watcher knows it.
        focus: Arc<str>,
        /// What he called to find it.
        dialled: Arc<str>,
        /// Which user he is.
        watcher: Arc<str>,
        /// What he was told.
        known: conference::Known,
    },
    /// How it goes with a REFER to a room (RFC 3515).
    Refer {
        /// As above.
        focus: Arc<str>,
        /// As above.
        watcher: Arc<str>,
        /// How far it is.
        progress: Progress,
    },
}

/// What is to be told.
#[derive(Debug, Default)]
pub struct Told {
    /// The document; none where there is nothing new.
    pub document: Option<String>,
    /// Nothing more will come.
    pub is_last: bool,
}

/// What is watched, as it is.
pub enum Seen<'s> {
    /// A user's bindings.
    Bindings(Watched<'s>),
    /// A room.
    Room(Gallery<'s>),
}

/// A room at one moment, drawn once for all who know it by the same URI.
pub struct Gallery<'v> {
    view: Option<&'v RoomView>,
    pictures: Vec<(Arc<str>, Picture)>,
}

impl<'v> Gallery<'v> {
    /// Of a room as it is; none where it is no more.
    pub const fn new(view: Option<&'v RoomView>) -> Gallery<'v> {
        Gallery {
            view,
            pictures: Vec::new(),
        }
    }

    fn picture(&mut self, focus: &Arc<str>) -> Option<&Picture> {
        let view = self.view?;
        // There are as many as the node has domains.
        let at = self.pictures.iter().position(|(known, _)| known == focus);
        let at = at.unwrap_or_else(|| {
            self.pictures.push((focus.clone(), Picture::of(view, focus)));
            self.pictures.len() - 1
        });
        Some(&self.pictures[at].1)
    }
}

impl Package {
    /// As in Event (RFC 6665 7.2.1).
    pub const fn name(&self) -> &'static str {
        match self {
            Package::Reg { .. } => "reg",
            Package::Conference { .. } => "conference",
            Package::Refer { .. } => "refer",
        }
    }

    /// The media type of its documents, for Accept.
    pub const fn accepts(&self) -> &'static str {
        match self {
            Package::Reg { .. } => reginfo::CONTENT,
            Package::Conference { .. } => conference::CONTENT,
            Package::Refer { .. } => progress::CONTENT,
        }
    }

    /// The same for Content-Type.
    pub const fn content_type(&self) -> &'static str {
        match self {
            Package::Reg { .. } | Package::Conference { .. } => self.accepts(),
            Package::Refer { .. } => progress::CONTENT_TYPE,
        }
    }

    /// Between two NOTIFYs that tell changes (RFC 3680 4.10, RFC 4575 3.9). How it goes with a REFER is told at once: it has few steps.
    pub const fn pace(&self) -> Duration {
        match self {
            Package::Reg { .. } | Package::Conference { .. } => limits::NOTIFY_PACE,
            Package::Refer { .. } => Duration::ZERO,
        }
    }

    /// How long a subscription lasts that says nothing, and at most.
    pub const fn longest(&self) -> Duration {
        match self {
            Package::Reg { .. } => limits::SUBSCRIPTION,
            Package::Conference { .. } => limits::CONFERENCE_SUBSCRIPTION,
            Package::Refer { .. } => limits::REFER_PROGRESS,
        }
    }

    /// The URI of the room that is watched.
    pub const fn focus(&self) -> Option<&Arc<str>> {
        match self {
            Package::Reg { .. } => None,
            Package::Conference { focus, .. } | Package::Refer { focus, .. } => Some(focus),
        }
    }

    /// The user who watches a room.
    pub const fn watcher(&self) -> Option<&Arc<str>> {
        match self {
            Package::Reg { .. } => None,
            Package::Conference { watcher, .. } | Package::Refer { watcher, .. } => Some(watcher),
        }
    }

    /// What is to be told to a watcher, who knows it from then on. `full`: all there is.
    pub fn document(&mut self, cx: &mut Cx<'_>, seen: &mut Seen<'_>, version: u32, full: bool) -> Told {
        let document = match (&mut *self, seen) {
            (Package::Reg { known, .. }, Seen::Bindings(watched)) => watched.document(cx, known, version, full),
            (Package::Conference { focus, known, .. }, Seen::Room(gallery)) => match gallery.picture(focus) {
                Some(picture) => picture.document(known, version, full),
                None => {
                    return Told {
                        document: Some(conference::ended(focus, version)),
                        is_last: true,
                    };
                }
            },
            (Package::Refer { progress, .. }, Seen::Room(gallery)) => {
                let told = progress.document(gallery.view, full);
                return told.map_or_else(Told::default, |(text, is_last)| Told {
                    document: Some(text),
                    is_last,
                });
            }
            (Package::Reg { .. }, Seen::Room(_))
            | (Package::Conference { .. } | Package::Refer { .. }, Seen::Bindings(_)) => {
                unreachable!("each package has a topic of its kind")
            }
        };
        Told {
            document,
            is_last: false,
        }
    }

    /// What is told with an end that nothing was seen for.
    pub fn last_words(&self) -> Option<String> {
        match self {
            Package::Reg { .. } | Package::Conference { .. } => None,
            Package::Refer { progress, .. } => Some(progress.last_told()),
        }
    }
}

//! What an operator asks a running node of its rooms, and the answers, as both sides of the control socket write and read them. Values
//! only: [`crate::node`] decides, the shell moves the lines.
//!
//! ```text
//!   -> room 3000 mute 2                     one request, one line
//!   <- ok                                   or: refused SENTENCE
//!   <- room 3000 standup ...                what was asked for
//!   <- member 2 sip:alice@example.org ...
//!   <- .                                    that was all
//! ```
//!
//! After `watch` there are lines with `event` without end.
//!
//! | file | does |
//! |---|---|
//! | `request` | what is asked |
//! | `answer` | what comes back |
//! | `words` | how a line is divided |

mod answer;
mod request;
mod words;

pub use answer::{Happened, Line, Named};
pub use request::Request;

use crate::room::view::{Role, Status};

/// Words for values, the same in both directions.
trait Word: Sized + Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        let of = |(_, value): &&(&str, Self)| *value == self;
        Self::WORDS.iter().find(of).map_or("", |(word, _)| word)
    }

    fn read(word: &str) -> Option<Self> {
        let named = Self::WORDS.iter().find(|(name, _)| *name == word);
        named.map(|(_, value)| *value)
    }
}

impl Word for Role {
    const WORDS: &'static [(&'static str, Role)] = &[
        (Role::Listener.word(), Role::Listener),
        (Role::Speaker.word(), Role::Speaker),
        (Role::Moderator.word(), Role::Moderator),
    ];
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Status)] = &[
        ("called", Status::DialingOut),
        ("ringing", Status::Alerting),
        ("waiting", Status::Waiting),
        ("in", Status::Connected),
        ("held", Status::OnHold),
    ];
}

/// As a status is shown.
pub fn status_word(status: Status) -> &'static str {
    status.word()
}

//! What is played to callers.

use crate::media::command::Music;

/// `announcements`: what a caller hears before the call is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// `busy`: who is called is busy, or declines.
    pub busy: Option<Music>,
    /// `unavailable`: nobody can be reached.
    pub unavailable: Option<Music>,
    /// `no_answer`: nobody answers in time.
    pub no_answer: Option<Music>,
    /// `not_found`: nobody has this number.
    pub not_found: Option<Music>,
}

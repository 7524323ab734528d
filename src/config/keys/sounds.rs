//! The section on announcements, and what all keys have in common that name sounds.

use super::{Section, key};

/// What a sound may be.
pub(super) const SOUND: &str = "the path of a WAV file (PCM of 8 to 32 bits or floating, 8 to 96 kHz, mono or stereo)";
/// What several may be.
pub(super) const SOUNDS: &str =
    "the path of a WAV file (PCM of 8 to 32 bits or floating, 8 to 96 kHz, mono or stereo), or a list of such";
/// Music of several files.
pub(super) const MUSIC_EXAMPLE: &str = "[ /etc/tandem/one.wav, /etc/tandem/two.wav ]";

/// `announcements`.
pub static ANNOUNCEMENTS: Section = Section {
    path: "announcements",
    about: "What a caller hears, as early media (183), before the call is refused: a sound of at most a minute, then the status. Only who has sent \
            an offer with the INVITE can hear it. What is refused by a limit of this node, or by `reject` with another status, is refused at once. \
            A relative path begins at the working directory.",
    keys: &[
        key(
            "busy",
            SOUND,
            "/etc/tandem/busy.wav",
            "none",
            "Who is called is busy or declines (486, 600, 603).",
        ),
        key(
            "unavailable",
            SOUND,
            "/etc/tandem/unavailable.wav",
            "none",
            "No phone is registered, or the carrier cannot be reached or fails (480 that does not speak of an answer, 5xx of others).",
        ),
        key(
            "no_answer",
            SOUND,
            "/etc/tandem/no-answer.wav",
            "none",
            "Nobody answers in time (408, 480 when the time to ring is over or Q.850 says no answer).",
        ),
        key(
            "not_found",
            SOUND,
            "/etc/tandem/not-found.wav",
            "none",
            "Nobody has this number, or it is not complete (404, 410, 484, 604).",
        ),
    ],
};

//! The configuration: text -> `raw` (what the YAML says, with places) -> `check` -> [`Config`] (what the program
//! uses). All problems of a file are found in one pass, and each names its place.
//!
//! Nothing here touches a disk or the environment: [`Sources`] is how the shell lends them.

mod api;
mod check;
mod checked;
mod control;
pub mod country;
mod diff;
mod keys;
mod network;
mod ng;
pub mod number;
mod problem;
mod prompts;
mod raw;
mod read;
mod recording;
mod reference;
mod rooms;
mod route;
mod sounds;
#[cfg(test)]
mod tests;
mod turn;
mod values;

pub use api::{Api, ApiKey, ClientPush, Origins, TurnKeys};
pub use checked::*;
pub use control::Control;
pub use country::Country;
pub use diff::Changes;
pub use network::Network;
pub use ng::Ng;
pub use problem::Problem;
pub use prompts::{Prompt, Prompts};
pub use recording::{Beep, Record, Recording, Siprec};
pub use reference::reference;
pub use rooms::{EntrySound, KeyAction, Outgoing, Room, RoomKeys, RoomRecording};
pub use route::{Action, FromPattern, Pattern, Route};
pub use sounds::Announcements;
pub use turn::{Own, Turn, TurnDoors, TurnUser};

use crate::media::command::Sound;
use crate::pii::Secret;
use std::path::Path;

/// What a file may refer to outside itself.
pub struct Sources<'a> {
    /// Secrets are those of the node. Where they are not, nothing is said of what they look like.
    pub has_secrets: bool,
    /// The value of an environment variable, if it is set.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file, or why there is none, as half a sentence ("it does not exist").
    pub read: &'a dyn Fn(&Path) -> Result<String, String>,
    /// The password of a user from a file of generated passwords, made if it is not in there yet; or why it cannot be.
    pub generate: &'a dyn Fn(&Path, &str) -> Result<Secret, String>,
    /// The sound of a WAV file, or why there is none, as half a sentence.
    pub sound: &'a dyn Fn(&Path) -> Result<Sound, String>,
    /// Whether a certificate and its private key can be used together, or which of the two cannot.
    pub pair: &'a dyn Fn(&KeyPair) -> Result<(), Unfit>,
    /// Whether CAs can be read from a file, or why not, as a sentence.
    pub authorities: &'a dyn Fn(&Path) -> Result<(), String>,
    /// Processor cores, for the default of `media.workers`.
    pub cores: usize,
}

/// Why a certificate and its private key cannot be used together, as a sentence: the fault of one of their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Of the certificate's.
    Certificate(String),
    /// Of the key's.
    Key(String),
}

impl Sources<'_> {
    /// No environment, no files, and `generated-NAME` for generated passwords: for tests.
    pub const NONE: Sources<'static> = Sources {
        has_secrets: true,
        env: &|_| None,
        read: &|_| Err("there are no files here".to_owned()),
        generate: &|_, user| Ok(Secret::new(format!("generated-{user}"))),
        sound: &|_| Err("there are no files here".to_owned()),
        pair: &|_| Ok(()),
        authorities: &|_| Ok(()),
        cores: 1,
    };
}

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: &Path, sources: &Sources<'_>) -> Result<Config, Vec<Problem>> {
    let file = path.display().to_string();
    match (sources.read)(path) {
        Ok(text) => parse(&file, &text, sources),
        Err(why) => {
            let text = format!("the file cannot be read: {why}");
            Err(vec![Problem {
                file,
                line: 1,
                column: 1,
                path: String::new(),
                text,
            }])
        }
    }
}

/// Checks the text of a file; `file` is its name in problems.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn parse(file: &str, text: &str, sources: &Sources<'_>) -> Result<Config, Vec<Problem>> {
    check::check(file, text, sources)
}

/// What `tandem check` prints: every problem and their number, or one line that sums the file up. Ends in a newline.
pub fn report(path: &Path, result: &Result<Config, Vec<Problem>>) -> String {
    match result {
        Ok(config) => format!("{} is good: {}\n", path.display(), summary(config)),
        Err(problems) => {
            let mut text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            text.push_str(&count(problems.len(), "problem"));
            text.push('\n');
            text
        }
    }
}

fn summary(config: &Config) -> String {
    let listen: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    let numbers = config.users.iter().map(|user| user.numbers.len()).sum();
    format!(
        "{} listens on {}; {} with {}, {}, {}{}.",
        config.node_name,
        listen.join(", "),
        count(config.users.len(), "user"),
        count(numbers, "number"),
        count(config.trunks.len(), "trunk"),
        count(config.routes.len(), "route"),
        match config.rooms.len() {
            0 => String::new(),
            rooms => format!(", {}", count(rooms, "room")),
        },
    )
}

/// `1 user`, `2 users`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

//! Every key of the file, once: what it takes, its default, what it means. The reader knows no other keys, the error
//! messages quote this table, and `config/reference.md` is written from it.

mod api;
mod callers;
mod control;
mod guard;
mod ng;
mod node;
mod rooms;
mod siprec;
mod sounds;
mod turn;

pub use api::*;
pub use callers::*;
pub use control::*;
pub use guard::*;
pub use ng::*;
pub use node::*;
pub use rooms::*;
pub use siprec::SIPREC;
pub use sounds::ANNOUNCEMENTS;
pub use turn::{TURN, TURN_USER};

/// One key of a section.
#[derive(Debug)]
pub struct Key {
    /// As in the file.
    pub name: &'static str,
    /// What it takes, so that "is not ..." can stand before it.
    pub form: &'static str,
    /// A value that is right.
    pub example: &'static str,
    /// What holds when the key is absent; `required` when there is no default.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub meaning: &'static str,
}

/// A map in the file.
#[derive(Debug)]
pub struct Section {
    /// Its path, `[]` standing for each entry of a list; empty for the whole file.
    pub path: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

const fn key(
    name: &'static str,
    form: &'static str,
    example: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        form,
        example,
        default,
        meaning,
    }
}

impl Section {
    /// The key of this name, which the caller took from this table.
    pub fn key(&self, name: &str) -> &'static Key {
        let found = self.keys.iter().find(|key| key.name == name);
        found.expect("each key that is read is in the table of its section: the tests load every section")
    }

    /// The key of this name, which somebody wrote.
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// What a duration may look like.
pub(super) const DURATION: &str = "a duration: seconds, or a number with s, m or h";
/// The same where it can be switched off.
pub(super) const DURATION_OR_NEVER: &str = "a duration (seconds, or a number with s, m or h) or never";
/// What a codec list may hold.
pub(super) const CODECS: &str = "a codec: pcmu, pcma, g722 or opus";
/// What a digest list may hold.
pub(super) const DIGEST: &str = "a digest algorithm: md5 or sha-256";
/// What the file of a certificate is.
pub(super) const CERTIFICATES: &str = "the path of a PEM file with certificates";
/// What the file of a key is.
pub(super) const KEY: &str = "the path of a PEM file with a private key";
/// What a password may look like.
pub(super) const PASSWORD: &str = "a password in quotes, or { env: NAME }, or { file: PATH }";

/// All sections, in the order of the reference.
pub static SECTIONS: &[&Section] = &[
    &ROOT,
    &NODE,
    &TLS,
    &DNS,
    &MEDIA,
    &RECORDING,
    &SIPREC,
    &ANNOUNCEMENTS,
    &DOMAIN,
    &USER,
    &PASSWORD_FROM,
    &TRUNK,
    &REGISTER,
    &LIMITS,
    &TRUNK_NUMBERS,
    &TRUNK_TLS,
    &NUMBERS,
    &ROOM,
    &ROOM_KEYS,
    &ROUTE,
    &STORE,
    &CONTROL,
    &REGISTRAR,
    &PUSH,
    &CALLS,
    &GUARD,
    &NG,
    &TURN,
    &TURN_USER,
    &API,
    &API_KEY,
    &API_TURN,
    &API_PUSH,
    &LOG,
];

//! `routes`: the dial plan.

use super::checked::{Config, Way};
use crate::id::TrunkIx;
use std::fmt;

/// One entry of `routes`: the first that matches, decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its line in the file, to name it.
    pub line: usize,
    /// `to`.
    pub to: Pattern,
    /// `from`; `Any` when absent.
    pub from: FromPattern,
    /// `do`.
    pub action: Action,
}

/// `routes[].to`: a whole number or name, a prefix (`+49*`, and `+` alone for every E.164 number), or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The whole.
    Exact(String),
    /// The beginning.
    Prefix(String),
    /// Everything.
    Any,
}

impl Pattern {
    /// True if a normalised number or a name falls under it. `+` is the beginning of every E.164 number.
    pub fn matches(&self, number: &str) -> bool {
        match self {
            Pattern::Exact(whole) => whole == number,
            Pattern::Prefix(start) => number.starts_with(start.as_str()),
            Pattern::Any => true,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(whole) => f.write_str(whole),
            Pattern::Prefix(start) if start == "+" => f.write_str("+"),
            Pattern::Prefix(start) => write!(f, "{start}*"),
            Pattern::Any => f.write_str("*"),
        }
    }
}

/// `routes[].from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromPattern {
    /// Everyone who may call at all.
    Any,
    /// `user/*`.
    AnyUser,
    /// `user/alice`.
    User(String),
    /// `trunk/*`.
    AnyTrunk,
    /// `trunk/acme`.
    Trunk(TrunkIx),
}

/// `routes[].do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `user/alice`: all her phones.
    User(String),
    /// `trunk/acme`.
    Trunk(TrunkIx),
    /// `echo`.
    Echo,
    /// `tone`: a 1,004 Hz milliwatt-like tone.
    Tone,
    /// `room/3000`: this room. None: `room`, the one that has the dialled number, made on demand.
    Room(Option<String>),
    /// `reject/403`: this status.
    Reject(u16),
    /// `proxy` or `bridge`: where the call would go without this route, but that way.
    Way(Way),
}

impl Route {
    /// `from` as in the file.
    pub fn from_words(&self, config: &Config) -> String {
        match &self.from {
            FromPattern::Any => "*".to_owned(),
            FromPattern::AnyUser => "user/*".to_owned(),
            FromPattern::User(name) => format!("user/{name}"),
            FromPattern::AnyTrunk => "trunk/*".to_owned(),
            FromPattern::Trunk(ix) => config.trunk_words(*ix),
        }
    }

    /// `do` as in the file.
    pub fn action_words(&self, config: &Config) -> String {
        match &self.action {
            Action::User(name) => format!("user/{name}"),
            Action::Trunk(ix) => config.trunk_words(*ix),
            Action::Echo => "echo".to_owned(),
            Action::Tone => "tone".to_owned(),
            Action::Room(Some(number)) => format!("room/{number}"),
            Action::Room(None) => "room".to_owned(),
            Action::Reject(status) => format!("reject/{status}"),
            Action::Way(way) => way.name().to_owned(),
        }
    }
}

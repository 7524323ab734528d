//! `api`: the HTTP API for clients.

use super::checked::{Config, HttpUrl};
use crate::pii::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it is served, by TLS.
    pub listen: SocketAddr,
    /// Keys of back ends.
    pub keys: Vec<ApiKey>,
    /// Pages of which origins may use it, besides our own.
    pub origins: Origins,
    /// How long an access token lasts at the most.
    pub token_lifetime: Duration,
    /// Requests of one client in a second.
    pub per_client: u32,
    /// Requests from one address in a second.
    pub per_address: u32,
    /// What clients are told of STUN and TURN.
    pub turn: Option<TurnKeys>,
    /// Who is told of a call to a client that is not connected; none: it is refused.
    pub push: Option<ClientPush>,
}

/// Who wakes clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPush {
    /// Where it is asked for.
    pub url: HttpUrl,
    /// What shows who asks.
    pub token: Option<Secret>,
    /// Who may have signed the certificate of the URL's host; none: the public roots.
    pub ca: Option<PathBuf>,
}

/// A key of a back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose users are apart from those of others.
    pub tenant: Arc<str>,
    /// The key itself: it is shown by back ends, and it signs tokens.
    pub key: Secret,
    /// An identity that has the name of a user of `users` is that user: it calls with his rights, and rings where he is called.
    pub users: bool,
    /// The user by whose rights all other identities call what is not a client; none: they do not.
    pub calls_as: Option<Box<str>>,
    /// With what the numbers of rooms begin into which calls between clients move when a third is added; none: they do not.
    pub meetings: Option<Box<str>>,
}

/// Pages of which origins may use the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These.
    These(Vec<String>),
}

/// Servers for ICE, and what their passwords are made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnKeys {
    /// `stun:`, `turn:` and `turns:` URIs (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// Shared with the TURN servers. Empty where there are none.
    pub secret: Secret,
    /// How long a password is good.
    pub lifetime: Duration,
}

impl Config {
    /// Takes over from `old` where the API is served, which only a restart can change.
    pub fn keep_api(&mut self, old: &Config) {
        match (&mut self.api, &old.api) {
            (Some(new), Some(old)) => new.listen = old.listen,
            // Who takes it out of the file wants nobody to use it any more.
            (new @ None, Some(old)) => {
                *new = Some(Api {
                    keys: Vec::new(),
                    ..old.clone()
                });
            }
            (new, None) => *new = None,
        }
    }
}

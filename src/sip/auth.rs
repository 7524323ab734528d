//! Digest authentication (RFC 3261 22, 7616, 8760): challenges, credentials, answers, as pure functions.

use super::{Message, Method, Name, ParseError};
use crate::config::Algorithm;
use crate::pii::Secret;
use crate::time::Wall;

/// A challenge of WWW-Authenticate or Proxy-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The realm.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// MD5 unless it says otherwise; one that we do not speak is not in the list that `challenges` gives.
    pub algorithm: Algorithm,
    /// `opaque`, to be returned.
    pub opaque: Option<String>,
    /// `qop` contains `auth`.
    pub qop_auth: bool,
    /// `stale=true`: only the nonce was old.
    pub stale: bool,
}

/// Credentials of Authorization or Proxy-Authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Credentials {
    pub username: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub response: String,
    pub algorithm: Algorithm,
    pub cnonce: Option<String>,
    /// The nonce count, where qop is used.
    pub nc: Option<u32>,
    pub opaque: Option<String>,
    /// `qop=auth`; `auth-int` is refused by the parser with 400.
    pub qop_auth: bool,
}

/// The challenges of a 401 or 407 that we can answer, in the order of the message.
pub fn challenges(response: &Message) -> Vec<(Name, Challenge)> {
    let _ = response;
    todo!()
}

/// The credentials for one of our realms in a request; `Ok(None)` when there are none.
pub fn credentials(request: &Message, field: Name, realm: &str) -> Result<Option<Credentials>, ParseError> {
    let _ = (request, field, realm);
    todo!()
}

/// The value of (Proxy-)Authorization that answers a challenge (RFC 7616 3.4). `nc` counts from 1 per nonce.
pub fn answer(
    challenge: &Challenge,
    username: &str,
    password: &Secret,
    method: &Method,
    uri: &str,
    cnonce: &str,
    nc: u32,
) -> String {
    let _ = (challenge, username, password, method, uri, cnonce, nc);
    todo!()
}

/// True if the credentials' response is right for this password; compares in constant time.
pub fn verify(credentials: &Credentials, password: &Secret, method: &Method) -> bool {
    let _ = (credentials, password, method);
    todo!()
}

/// Makes and checks nonces without keeping any: time and a keyed hash. Counts of used nonces are the caller's.
#[derive(Clone, Debug)]
pub struct NonceKey(pub [u8; 32]);

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// Ours and young enough.
    Valid,
    /// Ours and too old: challenge again with `stale=true`.
    Stale,
    /// Not ours.
    Foreign,
}

impl NonceKey {
    /// A nonce for `realm`, valid from `at`.
    pub fn make(&self, realm: &str, at: Wall) -> String {
        let _ = (realm, at);
        todo!()
    }

    /// Judges a nonce; `max_age_secs` decides what is stale.
    pub fn check(&self, nonce: &str, realm: &str, now: Wall, max_age_secs: u64) -> NonceState {
        let _ = (nonce, realm, now, max_age_secs);
        todo!()
    }

    /// The challenge header value for one algorithm.
    pub fn challenge(&self, realm: &str, algorithm: Algorithm, at: Wall, stale: bool) -> String {
        let _ = (realm, algorithm, at, stale);
        todo!()
    }
}

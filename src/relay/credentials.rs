//! Who may relay: users with a password, and user names that hold for a time (draft-uberti-behave-turn-rest-00), which are checked without
//! being known. Each request is checked by itself (RFC 8489 9.2.4); nothing is kept.

use super::{Tuple, nonce};
use crate::config::Turn;
use crate::keyed;
use crate::limits;
use crate::pii::Secret;
use crate::stun::integrity::{Algorithm, Key, Seal, timed_password};
use crate::stun::message::{ErrorCode, Message, Writer, kind};
use crate::time::Clock;
use std::collections::HashMap;
use std::time::Duration;

/// PASSWORD-ALGORITHMS (RFC 8489 14.11): SHA-256 and MD5, each without parameters.
const ALGORITHMS: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

/// All who may.
#[derive(Debug)]
pub(super) struct Credentials {
    realm: String,
    secret: Option<Secret>,
    users: HashMap<String, Secret, foldhash::fast::FixedState>,
}

/// Who has asked, proved.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The user name as it was sent.
    pub(super) user: String,
    /// Of answers.
    pub(super) seal: Seal,
    pub(super) key: Key,
    /// For how long the time is over for which its name holds.
    pub(super) over: Option<Duration>,
}

impl Who {
    /// Where in the user name the name begins to which allocations are counted: behind the time.
    pub(super) fn account_at(&self) -> usize {
        match self.user.split_once(':') {
            Some((end, _)) if !end.is_empty() && end.bytes().all(|octet| octet.is_ascii_digit()) => end.len() + 1,
            Some(_) | None => 0,
        }
    }

    /// That name.
    pub(super) fn account(&self) -> &str {
        &self.user[self.account_at()..]
    }
}

impl Credentials {
    pub(super) fn new(turn: &Turn) -> Credentials {
        let users = turn.users.iter();
        Credentials {
            realm: turn.realm.clone(),
            secret: turn.secret.clone(),
            users: users.map(|user| (user.name.clone(), user.password.clone())).collect(),
        }
    }

    /// The password of a user, and when it ends in seconds since 1970.
    fn password(&self, user: &str) -> Option<(Secret, Option<u64>)> {
        if let Some(password) = self.users.get(user) {
            return Some((password.clone(), None));
        }
        let end = user.split_once(':').map_or(user, |(end, _)| end);
        if end.is_empty() || !end.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        Some((timed_password(self.secret.as_ref()?, user), Some(end.parse().ok()?)))
    }

    /// Who has sent this request; or with which error it is refused.
    pub(super) fn check(
        &self,
        at: Clock,
        nonces: keyed::Key,
        client: Tuple,
        message: &Message<'_>,
    ) -> Result<Who, ErrorCode> {
        let seal = match (message.has_seal(Seal::Sha256), message.has_seal(Seal::Sha1)) {
            (true, _) => Seal::Sha256,
            (false, true) => Seal::Sha1,
            (false, false) => return Err(ErrorCode::UNAUTHENTICATED),
        };
        let all = [kind::USERNAME, kind::REALM, kind::NONCE].map(|kind| message.covers(kind));
        let [Some(user), Some(_), Some(nonce)] = all else {
            return Err(ErrorCode::BAD_REQUEST);
        };
        let algorithm = algorithm(message, nonce)?;
        // Before any hash of a password: a nonce that holds shows that the client hears us where it says it is, and the others are only told to
        // take one.
        if !nonce::holds(nonces, at.now, client, nonce) {
            return Err(ErrorCode::STALE_NONCE);
        }
        let user = std::str::from_utf8(user)
            .ok()
            .filter(|user| user.len() <= limits::RELAY_USER_BYTES);
        let known = user.and_then(|user| Some((user, self.password(user)?)));
        let Some((user, (password, end))) = known else {
            return Err(ErrorCode::UNAUTHENTICATED);
        };
        let key = Key::long_term(algorithm, user, &self.realm, password.expose());
        if message.is_sealed(seal, &key) != Some(true) {
            return Err(ErrorCode::UNAUTHENTICATED);
        }
        // RFC 8489 9.2.4: an answer has the better seal where the request named an algorithm.
        let seal = match message.covers(kind::PASSWORD_ALGORITHM) {
            Some(_) => Seal::Sha256,
            None => Seal::Sha1,
        };
        Ok(Who {
            user: user.to_owned(),
            seal,
            key,
            over: end
                .and_then(|end| at.wall.as_secs().checked_sub(end))
                .map(Duration::from_secs),
        })
    }

    /// What a client needs to ask again: in answers 401 and 438.
    pub(super) fn challenge(&self, at: Clock, nonces: keyed::Key, client: Tuple, writer: &mut Writer) {
        writer.attribute(kind::REALM, self.realm.as_bytes());
        writer.attribute(kind::NONCE, nonce::make(nonces, at.now, client).as_bytes());
        writer.attribute(kind::PASSWORD_ALGORITHMS, &ALGORITHMS);
    }
}

/// By which algorithm the password is a key (RFC 8489 9.2.4). Who answers a nonce of ours with one has to repeat what we offered, so that
/// nobody on the way took the better one out (9.2.1).
fn algorithm(message: &Message<'_>, nonce: &[u8]) -> Result<Algorithm, ErrorCode> {
    if !nonce.starts_with(nonce::COOKIE.as_bytes()) {
        return Ok(Algorithm::Md5);
    }
    let chosen = message.covers(kind::PASSWORD_ALGORITHM);
    let offered = message.covers(kind::PASSWORD_ALGORITHMS);
    let (chosen, offered) = match (chosen, offered) {
        (None, None) => return Ok(Algorithm::Md5),
        (Some(chosen), Some(offered)) => (chosen, offered),
        (Some(_), None) | (None, Some(_)) => return Err(ErrorCode::BAD_REQUEST),
    };
    let mut all = [Algorithm::Md5, Algorithm::Sha256].into_iter();
    let found = all.find(|algorithm| chosen == [&algorithm.number().to_be_bytes()[..], &[0, 0]].concat());
    found.filter(|_| offered == ALGORITHMS).ok_or(ErrorCode::BAD_REQUEST)
}

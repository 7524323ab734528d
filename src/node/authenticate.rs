//! Digest authentication of users (RFC 3261 22, 7616, 8760): a challenge keeps nothing; only a nonce that was used with the
//! right password is remembered, so that its count can't be replayed.

use super::local;
use crate::config::{Algorithm, Config, User};
use crate::cx::Cx;
use crate::id::Flow;
use crate::limits;
use crate::pii::Secret;
use crate::sip::auth::{self, Credentials, NonceKey, NonceState};
use crate::sip::{Draft, Message, Name, UriText};
use crate::time::Wall;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How long a nonce may be used before the phone is given a new one (with `stale=true`, so nobody is asked again).
const NONCE_AGE: Duration = Duration::from_secs(300);
/// Counts below the highest that may still come: requests overtake each other on UDP.
const WINDOW: u32 = 64;

/// What became of a request's credentials.
#[derive(Debug)]
pub(super) enum Verdict<'c> {
    /// This user.
    User(&'c User),
    /// Send this response and forget the request.
    Refused(Draft, &'static str),
}

/// As what we ask for credentials (RFC 3261 22.2, 22.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// As the server that the request is for: 401.
    Server,
    /// As a proxy on its way: 407.
    Proxy,
}

impl By {
    /// Where they are given.
    pub(super) const fn credentials(self) -> Name {
        match self {
            By::Server => Name::Authorization,
            By::Proxy => Name::ProxyAuthorization,
        }
    }

    const fn challenge(self) -> (u16, Name) {
        match self {
            By::Server => (401, Name::WwwAuthenticate),
            By::Proxy => (407, Name::ProxyAuthenticate),
        }
    }
}

/// The highest count seen with a nonce, and which of the 64 below it.
#[derive(Clone, Copy, Debug)]
struct Counted {
    highest: u32,
    seen: u64,
}

/// Challenges and judges.
#[derive(Debug)]
pub(super) struct Authenticator {
    key: NonceKey,
    /// By the number in [`NonceState::Valid`], since a nonce as text would be most of what a registration takes of memory.
    counts: HashMap<u128, Counted, foldhash::fast::FixedState>,
    order: VecDeque<(Wall, u128)>,
    /// Nonces whose first use was before this were forgotten for room, so they count as stale.
    floor: Wall,
    /// Numbers the challenges, so that no two of one millisecond have the same nonce, whoever shares an address.
    challenged: u16,
}

impl Authenticator {
    pub(super) fn new(key: NonceKey) -> Authenticator {
        Authenticator {
            key,
            counts: HashMap::default(),
            order: VecDeque::new(),
            floor: Wall(0),
            challenged: 0,
        }
    }

    /// Judges a request by its credentials, as the server that it is for or the proxy on its way ([`By`]), for the realm of `claimed` (To of a REGISTER, From of everything else). A name
    /// that does not exist gets the same answers at the same cost as one that does.
    pub(super) fn judge<'c>(
        &mut self,
        cx: &mut Cx<'c>,
        flow: Flow,
        request: &Message,
        claimed: &UriText<'_>,
        by: By,
    ) -> Verdict<'c> {
        let config = cx.config;
        let realm = local::realm(config, flow, claimed);
        let user = local::user_of(config, flow, claimed);
        let credentials = match auth::credentials(request, by.credentials(), realm) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return self.challenge(cx, flow, (request, by), realm, user, false, "no credentials yet"),
            Err(error) => {
                let response = Draft::response(request, error.status, Some(&cx.answer_tag())).with_reason(error.reason);
                return Verdict::Refused(response, "unreadable credentials");
            }
        };
        // One that was sent to somebody else is nobody's: whoever guesses has to show where he is.
        let source = cx.marker.source(flow.peer.ip());
        let is_his = cx.marker.read_nonce(source, credentials.nonce.as_bytes()).is_some();
        let nonce = match self.key.check(&credentials.nonce, realm, cx.wall, NONCE_AGE.as_secs()) {
            NonceState::Valid { made, id } if is_his => (made, id),
            NonceState::Valid { .. } | NonceState::Stale | NonceState::Foreign => {
                return self.challenge(cx, flow, (request, by), realm, user, true, "an old or foreign nonce");
            }
        };
        let offered = algorithms(config, user, realm);
        let nobody = Secret::new("no such user");
        let password = user.map_or(&nobody, |user| &user.password);
        let right = auth::verify(&credentials, password, &request.method())
            && offered.contains(&credentials.algorithm)
            && credentials.are_for(request);
        match user.filter(|user| is_named(user, &credentials)) {
            Some(user) if right => {
                if self.count(cx.wall, nonce, &credentials) {
                    Verdict::User(user)
                } else {
                    self.challenge(
                        cx,
                        flow,
                        (request, by),
                        realm,
                        Some(user),
                        true,
                        "a nonce count that was used before",
                    )
                }
            }
            Some(_) | None => {
                let response = Draft::response(request, 403, Some(&cx.answer_tag()));
                Verdict::Refused(response, "wrong user name or password")
            }
        }
    }

    fn challenge(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        (request, by): (&Message, By),
        realm: &str,
        user: Option<&User>,
        stale: bool,
        why: &'static str,
    ) -> Verdict<'static> {
        let (status, field) = by.challenge();
        // Without state (RFC 3261 26.3.2.4): the tag needs no memory, since nothing but a new request can follow.
        let mut response = Draft::response(request, status, Some(&cx.answer_tag()));
        for algorithm in algorithms(cx.config, user, realm) {
            self.challenged = self.challenged.wrapping_add(1);
            let salt = cx.salt(flow, self.challenged);
            let value = self.key.challenge(realm, *algorithm, cx.wall, salt, stale);
            response.push(field, value);
        }
        Verdict::Refused(response, why)
    }

    /// True if this use of the nonce, which was made then, is new. Without qop there is no count: such a nonce serves once.
    fn count(&mut self, now: Wall, (made, nonce): (Wall, u128), credentials: &Credentials<'_>) -> bool {
        let nc = credentials.nc.unwrap_or(1);
        if let Some(counted) = self.counts.get_mut(&nonce) {
            return credentials.qop_auth && counted.is_new(nc);
        }
        if now.since(made).as_secs() >= now.since(self.floor).as_secs() {
            return false;
        }
        self.forget(now);
        self.counts.insert(nonce, Counted { highest: nc, seen: 0 });
        self.order.push_back((now, nonce));
        true
    }

    fn forget(&mut self, now: Wall) {
        while let Some((used, _)) = self.order.front() {
            let old = now.since(*used) > NONCE_AGE;
            if !old && self.order.len() < limits::NONCES {
                return;
            }
            if !old {
                self.floor = *used;
            }
            if let Some((_, nonce)) = self.order.pop_front() {
                self.counts.remove(&nonce);
            }
        }
    }
}

impl Counted {
    fn is_new(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            let shift = nc - self.highest;
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1u64.checked_shl(shift - 1).unwrap_or(0);
            self.highest = nc;
            return true;
        }
        let back = self.highest - nc;
        if back == 0 || back > WINDOW {
            return false;
        }
        let bit = 1u64 << (back - 1);
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

/// What a user is challenged with, the preferred first; a name that does not exist like any other of its domain.
fn algorithms<'a>(config: &'a Config, user: Option<&'a User>, realm: &str) -> &'a [Algorithm] {
    let domain = config.domains.iter().find(|domain| domain.name == realm);
    let own = user.map(|user| &user.digest).or(domain.map(|domain| &domain.digest));
    own.map_or(&[Algorithm::Md5], |digest| &digest[..])
}

fn is_named(user: &User, credentials: &Credentials<'_>) -> bool {
    let name = &*credentials.username;
    name == user.name || name.strip_suffix(&user.domain).and_then(|rest| rest.strip_suffix('@')) == Some(&user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_taken_once_in_any_order_within_the_window() {
        let mut counted = Counted { highest: 1, seen: 0 };
        assert!(!counted.is_new(1));
        assert!(counted.is_new(5));
        assert!(counted.is_new(3) && !counted.is_new(3));
        assert!(
            !counted.is_new(1),
            "the first use is remembered after the window has moved"
        );
        assert!(counted.is_new(200));
        assert!(!counted.is_new(5) && !counted.is_new(100), "below the window");
        assert!(counted.is_new(199) && !counted.is_new(199));
    }
}

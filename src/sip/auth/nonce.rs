//! Nonces that need no memory: they are sealed by a keyed hash.

use super::hex::{Hex, number};
use super::{token_of, write_quoted};
use crate::config::Algorithm;
use crate::keyed;
use crate::time::Wall;
use std::fmt;
use subtle::ConstantTimeEq;

/// Makes and checks nonces without keeping any: time and a keyed hash. Counts of used nonces are the caller's.
///
/// The seal is SipHash-2-4 with 128 bits: what it proves is that we made a nonce, and when. Who could forge one, which takes as many
/// tries as the seal has values, would still have to know a password.
#[derive(Clone)]
pub struct NonceKey(pub [u8; 32]);

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(***)")
    }
}

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// Ours and young enough.
    Valid {
        /// When it was made.
        made: Wall,
        /// What tells it from all others of ours: its time and its salt.
        id: u128,
    },
    /// Ours and too old: challenge again with `stale=true`.
    Stale,
    /// Not ours.
    Foreign,
}

/// Hex digits of the time in a nonce, and of the salt.
const PART: usize = 16;
/// Hex digits of a nonce: time, salt, and a seal as long as both.
const NONCE: usize = 4 * PART;

impl NonceKey {
    /// A nonce for `realm`, valid from `at`: the milliseconds in hex, a random `salt`, then the seal of them and the realm. The salt
    /// keeps phones apart that are challenged in one millisecond: each counts the uses of its own nonce.
    fn make(&self, realm: &str, at: Wall, salt: u64) -> Hex {
        Hex::of(&at.0.to_be_bytes())
            .and(&salt.to_be_bytes())
            .and(&self.seal(realm, at, salt).to_be_bytes())
    }

    fn seal(&self, realm: &str, at: Wall, salt: u64) -> u128 {
        let key = keyed::Key::new(std::array::from_fn(|nth| self.0[nth]));
        let mut hash = key.start();
        hash.number(at.0);
        hash.number(salt);
        hash.part(realm.as_bytes());
        hash.end()
    }

    /// Judges a nonce; `max_age_secs` decides what is stale. One from the future, as after the clock was set back, is stale
    /// too.
    pub fn check(&self, nonce: &str, realm: &str, now: Wall, max_age_secs: u64) -> NonceState {
        let digits = nonce.as_bytes();
        let part = |nth: usize| number(digits.get(PART * nth..PART * (nth + 1))?);
        let (NONCE, Some(time), Some(salt)) = (digits.len(), part(0), part(1)) else {
            return NonceState::Foreign;
        };
        let made = Wall(time);
        let seal = Hex::of(&self.seal(realm, made, salt).to_be_bytes());
        if !bool::from(seal.as_bytes().ct_eq(&digits[2 * PART..])) {
            return NonceState::Foreign;
        }
        let is_young = made <= now && now.since(made).as_secs() < max_age_secs;
        if is_young {
            let id = u128::from(time) << 64 | u128::from(salt);
            NonceState::Valid { made, id }
        } else {
            NonceState::Stale
        }
    }

    /// The challenge header value for one algorithm.
    pub fn challenge<'a>(
        &self,
        realm: &'a str,
        algorithm: Algorithm,
        at: Wall,
        salt: u64,
        stale: bool,
    ) -> impl fmt::Display + use<'a> {
        Offer {
            realm,
            nonce: self.make(realm, at, salt),
            algorithm,
            stale,
        }
    }
}

/// A challenge as it is written.
struct Offer<'a> {
    realm: &'a str,
    nonce: Hex,
    algorithm: Algorithm,
    stale: bool,
}

impl fmt::Display for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest realm=")?;
        write_quoted(f, self.realm)?;
        f.write_str(", nonce=\"")?;
        self.nonce.fmt(f)?;
        f.write_str("\", algorithm=")?;
        f.write_str(token_of(self.algorithm))?;
        f.write_str(", qop=\"auth\"")?;
        f.write_str(if self.stale { ", stale=true" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", NonceKey([1; 32])), "NonceKey(***)");
    }

    #[test]
    fn a_nonce_is_ours_for_its_realm_key_and_time() {
        let key = NonceKey([1; 32]);
        let made = Wall(1_700_000_000_000);
        let nonce = key.make("example.com", made, 3).to_string();
        assert_ne!(nonce, key.make("example.com", made, 4).to_string());
        let check = |nonce: &str, realm: &str, now| key.check(nonce, realm, now, 300);
        let valid = NonceState::Valid {
            made,
            id: 1_700_000_000_000 << 64 | 3,
        };
        assert_eq!(check(&nonce, "example.com", made), valid);
        assert_eq!(
            check(&nonce, "example.com", made + Duration::from_millis(299_999)),
            valid
        );
        assert_eq!(
            check(&nonce, "example.com", made + Duration::from_secs(300)),
            NonceState::Stale
        );
        assert_eq!(check(&nonce, "example.com", Wall(made.0 - 1)), NonceState::Stale);
        assert_eq!(check(&nonce, "example.org", made), NonceState::Foreign);
        assert_eq!(
            NonceKey([2; 32]).check(&nonce, "example.com", made, 300),
            NonceState::Foreign
        );
        for at in 0..nonce.len() {
            let mut other = nonce.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(
                check(std::str::from_utf8(&other).unwrap(), "example.com", made),
                NonceState::Foreign,
                "{at}"
            );
        }
        let (shouted, longer) = (nonce.to_uppercase(), format!("{nonce}0"));
        for nonce in [
            "",
            "0",
            "ü23456789012345",
            "+000000000000001",
            &nonce[..63],
            &shouted,
            &longer,
        ] {
            assert_eq!(check(nonce, "example.com", made), NonceState::Foreign, "{nonce}");
        }
    }
}

//! Nonces that nobody keeps: each is a time and a seal over it and over whom it was made for (RFC 8489 9.2.4: no two clients get the
//! same).
//!
//! ```text
//!   obMatJos2 gAAA TTTTTTTT SSSSSSSSSSSSSSSS
//!   |         |    |        the seal, 64 bits
//!   |         |    seconds since the start
//!   |         what we speak: PASSWORD-ALGORITHMS (RFC 8489 9.2, 18.1: bit 0 of 24 in base64)
//!   this is a server of RFC 8489
//! ```

use super::Tuple;
use crate::keyed::{Key, push_hex};
use crate::limits;
use crate::time::Instant;

/// The cookie, with the bit of PASSWORD-ALGORITHMS.
pub(super) const COOKIE: &str = "obMatJos2gAAA";
/// So that no other hash under this key is a seal.
const SEAL: u64 = 0x7475_726e;

fn seal(key: Key, seconds: u32, client: Tuple) -> u64 {
    let mut hash = key.start();
    hash.number(SEAL);
    hash.number(seconds.into());
    client.0.iter().for_each(|number| hash.number(*number));
    hash.end() as u64
}

/// A nonce for this client.
pub(super) fn make(key: Key, now: Instant, client: Tuple) -> String {
    let seconds = super::seconds(now);
    let mut nonce = String::with_capacity(COOKIE.len() + 24);
    nonce.push_str(COOKIE);
    push_hex(&mut nonce, &seconds.to_be_bytes());
    push_hex(&mut nonce, &seal(key, seconds, client).to_be_bytes());
    nonce
}

/// True for one that was made for this client and is not too old.
pub(super) fn holds(key: Key, now: Instant, client: Tuple, nonce: &[u8]) -> bool {
    let read = || {
        let digits = std::str::from_utf8(nonce).ok()?.strip_prefix(COOKIE)?;
        let (seconds, seal) = digits.split_at_checked(8)?;
        let seconds = u32::from_str_radix(seconds, 16).ok()?;
        (seal.len() == 16).then_some((seconds, u64::from_str_radix(seal, 16).ok()?))
    };
    read().is_some_and(|(made, told)| {
        let age = super::seconds(now).wrapping_sub(made);
        told == seal(key, made, client) && u64::from(age) <= limits::RELAY_NONCE.as_secs()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_nonce_holds_an_hour_for_its_client_under_its_key() {
        let key = Key::new([5; 16]);
        let (client, other) = (Tuple([1, 2, 3]), Tuple([1, 2, 4]));
        let at = |seconds: u64| Instant::ZERO + Duration::from_secs(seconds);
        let nonce = make(key, at(1_000), client);
        assert!(nonce.starts_with(COOKIE) && nonce.len() == 37, "{nonce}");
        let holds = |now, client, nonce: &str| holds(key, now, client, nonce.as_bytes());
        assert!(holds(at(1_000), client, &nonce) && holds(at(4_600), client, &nonce));
        assert!(!holds(at(4_601), client, &nonce), "too old");
        assert!(!holds(at(999), client, &nonce), "from the future");
        assert!(!holds(at(1_000), other, &nonce), "another client's");
        assert!(!super::holds(Key::new([6; 16]), at(1_000), client, nonce.as_bytes()));
        for at_digit in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at_digit] = if forged[at_digit] == b'0' { b'1' } else { b'0' };
            assert!(!super::holds(key, at(1_000), client, &forged), "{at_digit}");
        }
        for odd in ["", COOKIE, "obMatJos2gAAA+", "f//499k954d6OL34oL9FSTvy64sA", "é"] {
            assert!(!holds(at(1_000), client, odd), "{odd}");
        }
    }
}

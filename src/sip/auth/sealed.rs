//! Octets that only we can read, and that nobody can change: what a stateless token says. A counter-mode stream of HMAC-SHA-256,
//! then a seal over all of it; the salt in front keeps two tokens that say the same apart.

use super::NonceKey;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// Octets of the salt and of the seal.
const SALT: usize = 8;
const SEAL: usize = 8;
/// Octets of one block of the stream. What is said is filled up to whole blocks, so that its length says little.
const BLOCK: usize = 32;
/// What a token may say: a user's name and some numbers.
const MOST: usize = 4 * BLOCK;

impl NonceKey {
    /// The token in hex; none for what is too long. `salt` is never the same twice.
    pub fn encrypt(&self, plain: &[u8], salt: u64) -> Option<String> {
        let length = u8::try_from(plain.len()).ok().filter(|_| plain.len() < MOST)?;
        let salt = salt.to_be_bytes();
        let mut octets = vec![length];
        octets.extend_from_slice(plain);
        octets.resize(octets.len().next_multiple_of(BLOCK), 0);
        self.stream(&salt, &mut octets);
        let seal = self.seal_of(&salt, &octets);
        let mut text = String::with_capacity(2 * (SALT + octets.len() + SEAL));
        for part in [&salt[..], &octets, &seal] {
            for octet in part {
                write!(text, "{octet:02x}").expect("writing to a String does not fail");
            }
        }
        Some(text)
    }

    /// What a token of ours says.
    pub fn decrypt(&self, text: &str) -> Option<Vec<u8>> {
        if text.len() > 2 * (SALT + MOST + SEAL) {
            return None;
        }
        let octets = unhex(text)?;
        let (salt, rest) = octets.split_at_checked(SALT)?;
        let (hidden, seal) = rest.split_at_checked(rest.len().checked_sub(SEAL)?)?;
        if hidden.is_empty() || !bool::from(self.seal_of(salt, hidden).ct_eq(seal)) {
            return None;
        }
        let mut plain = hidden.to_vec();
        self.stream(salt, &mut plain);
        let length = usize::from(*plain.first()?);
        plain.get(1..=length).map(<[u8]>::to_vec)
    }

    fn stream(&self, salt: &[u8], octets: &mut [u8]) {
        for (number, block) in (0u8..).zip(octets.chunks_mut(BLOCK)) {
            let pad = hmac(&self.0, &[b"stream", salt, &[number]]);
            block.iter_mut().zip(pad).for_each(|(octet, pad)| *octet ^= pad);
        }
    }

    fn seal_of(&self, salt: &[u8], hidden: &[u8]) -> [u8; SEAL] {
        let whole = hmac(&self.0, &[b"sealed", salt, hidden]);
        let mut seal = [0; SEAL];
        seal.copy_from_slice(&whole[..SEAL]);
        seal
    }
}

/// HMAC with SHA-256 (RFC 2104) for a key that is shorter than its block.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let mut inner = Sha256::new_with_prefix(pad(0x36));
    for part in parts {
        inner.update(part);
    }
    Sha256::new_with_prefix(pad(0x5c))
        .chain_update(inner.finalize())
        .finalize()
        .into()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _odd => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NonceKey = NonceKey([7; 32]);

    #[test]
    fn what_was_said_is_read_back_by_its_key_only() {
        for plain in [&b""[..], b"alice", &[0; 31], &[9; 32], &[1; 127]] {
            let token = KEY.encrypt(plain, 5).expect("it fits");
            assert_eq!(KEY.decrypt(&token).as_deref(), Some(plain));
            assert_eq!(NonceKey([8; 32]).decrypt(&token), None);
            for at in 0..token.len() {
                let mut other = token.clone().into_bytes();
                other[at] = if other[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(KEY.decrypt(&String::from_utf8(other).unwrap()), None);
            }
        }
        assert_eq!(KEY.encrypt(&[0; 128], 5), None);
    }

    #[test]
    fn two_that_say_the_same_have_nothing_in_common_and_one_length() {
        let (one, other) = (KEY.encrypt(b"alice", 1).unwrap(), KEY.encrypt(b"alice", 2).unwrap());
        let same = one.bytes().zip(other.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < one.len() / 4, "{one} {other}");
        assert_eq!(one.len(), KEY.encrypt(b"a-longer-name", 3).unwrap().len());
    }

    /// RFC 4231 4.2 and 4.4 have keys of other lengths; this one was computed with two other implementations.
    #[test]
    fn hmac_is_that_of_rfc_2104() {
        let key: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let seal = hmac(&key, &[b"what do ya want ", b"for nothing?"]);
        let told = unhex("099805f4ac310786968565c098db515cc50862b420ae31e20238312344bed36a").unwrap();
        assert_eq!(seal[..], told);
    }

    #[test]
    fn what_is_no_token_says_nothing() {
        let long = "0".repeat(4000);
        for text in ["", "0", "alice", "00ff", &"0".repeat(96), &long, "ü\u{1F600}"] {
            assert_eq!(KEY.decrypt(text), None, "{text}");
        }
    }
}

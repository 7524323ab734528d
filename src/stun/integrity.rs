//! Who knows the password: message integrity (RFC 8489 9.2.2, 14.5, 14.6), and what else is made of secrets for it.

use super::message::{HEADER, HEADER_OF_ATTRIBUTE, Message, Writer, kind};
use crate::pii::{Secret, SecretOctets};
use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// Octets of HMAC-SHA1.
const SHA1: usize = 20;

/// How a password becomes a key: the numbers of RFC 8489 18.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 1.
    Md5,
    /// 2.
    Sha256,
}

impl Algorithm {
    /// Its number.
    pub const fn number(self) -> u16 {
        match self {
            Algorithm::Md5 => 1,
            Algorithm::Sha256 => 2,
        }
    }
}

/// Which of the two attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// MESSAGE-INTEGRITY.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

impl Seal {
    const fn kind(self) -> u16 {
        match self {
            Seal::Sha1 => kind::MESSAGE_INTEGRITY,
            Seal::Sha256 => kind::MESSAGE_INTEGRITY_SHA256,
        }
    }

    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Seal::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Seal::Sha256 => hmac::HMAC_SHA256,
        }
    }

    const fn length(self) -> usize {
        match self {
            Seal::Sha1 => SHA1,
            Seal::Sha256 => 32,
        }
    }
}

/// What integrity is computed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(SecretOctets);

impl Key {
    /// The password itself (RFC 8489 9.1.1).
    pub fn short_term(password: &str) -> Key {
        Key(SecretOctets::new(password.as_bytes()))
    }

    /// RFC 8489 9.2.2, 18.5.1.
    pub fn long_term(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Key {
        let parts = [user, ":", realm, ":", password];
        match algorithm {
            Algorithm::Md5 => {
                let mut hash = Md5::new();
                parts.iter().for_each(|part| hash.update(part));
                Key(SecretOctets::new(&hash.finalize()))
            }
            Algorithm::Sha256 => {
                let mut hash = digest::Context::new(&digest::SHA256);
                parts.iter().for_each(|part| hash.update(part.as_bytes()));
                Key(SecretOctets::new(hash.finish().as_ref()))
            }
        }
    }

    /// Over a message up to here, as if this seal were its last attribute.
    fn mac(&self, seal: Seal, before: &[u8]) -> hmac::Tag {
        let key = hmac::Key::new(seal.algorithm(), self.0.expose());
        let length = before.len() - HEADER + HEADER_OF_ATTRIBUTE + seal.length();
        let mut context = hmac::Context::with_key(&key);
        context.update(&before[..2]);
        context.update(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        context.update(&before[4..]);
        context.sign()
    }
}

/// The password of a user name that says until when it is good, made of a secret that TURN servers share with who hands it out: the HMAC with
/// SHA-1 in base64 (draft-uberti-behave-turn-rest-00 2.2).
pub fn timed_password(secret: &Secret, user: &str) -> Secret {
    Secret::new(STANDARD.encode(hmac_sha1(secret.expose(), user)))
}

/// HMAC-SHA1.
pub fn hmac_sha1(secret: &str, text: &str) -> [u8; SHA1] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    let mut octets = [0; SHA1];
    octets.copy_from_slice(tag.as_ref());
    octets
}

impl Message<'_> {
    /// Whether its seal is right by this key; none where it has none. One that is cut short is not right: TURN does not allow it
    /// (RFC 8489 14.6).
    pub fn is_sealed(&self, seal: Seal, key: &Key) -> Option<bool> {
        let place = self.place(seal.kind())?;
        let mac = key.mac(seal, &self.octets[..place.start - HEADER_OF_ATTRIBUTE]);
        let told = &self.octets[place];
        Some(constant_time::verify_slices_are_equal(mac.as_ref(), told).is_ok())
    }

    /// Whether there is one.
    pub fn has_seal(&self, seal: Seal) -> bool {
        self.get(seal.kind()).is_some()
    }
}

impl Writer {
    /// Adds it; only FINGERPRINT stands behind it.
    pub fn seal(&mut self, seal: Seal, key: &Key) {
        let mac = key.mac(seal, &self.octets);
        self.attribute(seal.kind(), mac.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::message::{BINDING, Class};

    /// The example of RFC 8489 9.2.2, and the same by SHA-256.
    #[test]
    fn keys_of_passwords() {
        let of = |algorithm| Key::long_term(algorithm, "user", "realm", "pass").0;
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        assert_eq!(hex(of(Algorithm::Md5).expose()), "8493fbc53ba582fb4c044c456bdc40eb");
        assert_eq!(
            hex(of(Algorithm::Sha256).expose()),
            "07e934117abd40836e7c6329b54731b2b2d2a5f9a71f544922d75e0730d8251b"
        );
        // RFC 2202, case 2.
        assert_eq!(
            hex(&hmac_sha1("Jefe", "what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        let password = timed_password(&Secret::new("Jefe"), "what do ya want for nothing?");
        assert_eq!(password.expose(), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }

    #[test]
    fn each_seal_is_read_as_it_was_written_and_another_key_or_octet_is_not() {
        let (key, other) = (Key::short_term("swordfish"), Key::short_term("swordfisk"));
        for seal in [Seal::Sha1, Seal::Sha256] {
            let mut writer = Writer::new(Class::Request, BINDING, [9; 12]);
            writer.software("someone");
            writer.seal(seal, &key);
            writer.fingerprint();
            let octets = writer.finish();
            let message = Message::parse(&octets).expect("it is whole");
            assert_eq!(message.is_sealed(seal, &key), Some(true));
            assert_eq!(message.is_sealed(seal, &other), Some(false));
            assert_eq!(message.fingerprint(), Some(true));
            assert_eq!((message.covered().count(), message.attributes().count()), (1, 3));
            let mut changed = octets.clone();
            changed[25] ^= 1;
            let changed = Message::parse(&changed).expect("it is whole");
            assert_eq!(changed.is_sealed(seal, &key), Some(false));
            let unsealed = Writer::new(Class::Request, BINDING, [9; 12]).finish();
            assert_eq!(
                Message::parse(&unsealed).expect("it is whole").is_sealed(seal, &key),
                None
            );
        }
    }

    #[test]
    fn a_seal_that_is_cut_short_is_wrong() {
        let key = Key::short_term("swordfish");
        let mut writer = Writer::new(Class::Request, BINDING, [9; 12]);
        writer.attribute(kind::MESSAGE_INTEGRITY, &[]);
        writer.attribute(kind::MESSAGE_INTEGRITY_SHA256, &[0; 16]);
        let octets = writer.finish();
        let message = Message::parse(&octets).expect("it is whole");
        assert_eq!(message.is_sealed(Seal::Sha1, &key), Some(false));
        assert_eq!(message.is_sealed(Seal::Sha256, &key), Some(false));
    }
}

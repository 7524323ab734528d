//! Keyed hashes: what tokens are signed by. Comparisons take the same time whatever is in them.

use crate::pii::Secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The signature of RFC 7515 A.1: HMAC with SHA-256, in base64url.
pub(super) fn sign(key: &Secret, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    encode(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// True for a signature of this text by this key.
pub(super) fn is_signed(key: &Secret, text: &str, signature: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    decode(signature).is_some_and(|seal| hmac::verify(&key, text.as_bytes(), &seal).is_ok())
}

/// True for two that are the same; how long they are may be seen.
pub(super) fn is_same(one: &Secret, other: &Secret) -> bool {
    verify_slices_are_equal(one.expose().as_bytes(), other.expose().as_bytes()).is_ok()
}

/// In base64url without padding (RFC 7515 2).
pub(super) fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// From base64url without padding.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515 A.1: its key is octets, not text, so RFC 4231 4.3 stands in (key "Jefe").
    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let key = Secret::new("Jefe");
        let signature = sign(&key, "what do ya want for nothing?");
        assert_eq!(signature, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
        assert!(is_signed(&key, "what do ya want for nothing?", &signature));
        assert!(!is_signed(
            &Secret::new("jefe"),
            "what do ya want for nothing?",
            &signature
        ));
        assert!(!is_signed(&key, "what do ya want for nothing", &signature));
        assert!(!is_signed(&key, "what do ya want for nothing?", &signature[1..]));
    }

    #[test]
    fn the_same_is_the_same() {
        let same = |one: &str, other: &str| is_same(&Secret::new(one), &Secret::new(other));
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa"));
    }
}

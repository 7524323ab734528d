//! Digest authentication of the peers, both roles (RFC 2617, 7616), apart from the code under test.

use md5::{Digest, Md5};
use sha2::Sha256;

/// The value of `name=` in a challenge or in credentials, without quotes.
pub fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let rest = header.trim_start().strip_prefix("Digest ")?;
    let mut rest = rest.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = next.trim_start_matches([',', ' ']);
    }
    None
}

fn hash(algorithm: &str, text: &str) -> String {
    let digest: Vec<u8> = if algorithm.eq_ignore_ascii_case("SHA-256") {
        Sha256::digest(text).to_vec()
    } else {
        Md5::digest(text).to_vec()
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Credentials for a challenge; `nc` counts from 1 for each nonce.
pub fn answer(challenge: &str, user: &str, password: &str, method: &str, uri: &str, nc: u32) -> String {
    let get = |name| field(challenge, name).unwrap_or_default();
    let (realm, nonce) = (get("realm"), get("nonce"));
    let algorithm = field(challenge, "algorithm").unwrap_or("MD5");
    let ha1 = hash(algorithm, &format!("{user}:{realm}:{password}"));
    let ha2 = hash(algorithm, &format!("{method}:{uri}"));
    let mut value = format!("Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\"");
    if field(challenge, "algorithm").is_some() {
        value.push_str(&format!(", algorithm={algorithm}"));
    }
    if let Some(opaque) = field(challenge, "opaque") {
        value.push_str(&format!(", opaque=\"{opaque}\""));
    }
    if get("qop").split(',').any(|qop| qop.trim() == "auth") {
        let response = hash(algorithm, &format!("{ha1}:{nonce}:{nc:08x}:0a4f113b:auth:{ha2}"));
        value.push_str(&format!(
            ", qop=auth, nc={nc:08x}, cnonce=\"0a4f113b\", response=\"{response}\""
        ));
    } else {
        value.push_str(&format!(
            ", response=\"{}\"",
            hash(algorithm, &format!("{ha1}:{nonce}:{ha2}"))
        ));
    }
    value
}

/// True if credentials are right.
pub fn verify(credentials: &str, password: &str, method: &str) -> bool {
    let get = |name| field(credentials, name).unwrap_or_default();
    let algorithm = field(credentials, "algorithm").unwrap_or("MD5");
    let ha1 = hash(algorithm, &format!("{}:{}:{password}", get("username"), get("realm")));
    let ha2 = hash(algorithm, &format!("{method}:{}", get("uri")));
    let text = if field(credentials, "qop").is_some() {
        format!(
            "{ha1}:{}:{}:{}:{}:{ha2}",
            get("nonce"),
            get("nc"),
            get("cnonce"),
            get("qop")
        )
    } else {
        format!("{ha1}:{}:{ha2}", get("nonce"))
    };
    hash(algorithm, &text) == get("response")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2617 3.5, whose answer is known; then our own both ways.
    #[test]
    fn known_and_own_answers() {
        let known = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
                     uri=\"/dir/index.html\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
                     response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        assert!(verify(known, "Circle Of Life", "GET"));
        assert!(!verify(known, "Circle of Life", "GET"));
        for challenge in [
            "Digest realm=\"r\", nonce=\"n,1\", qop=\"auth,auth-int\"",
            "Digest nonce=\"n\", algorithm=SHA-256, realm=\"r\"",
        ] {
            let credentials = answer(challenge, "u", "p", "REGISTER", "sip:h", 7);
            assert!(
                verify(&credentials, "p", "REGISTER") && !verify(&credentials, "q", "REGISTER"),
                "{credentials}"
            );
        }
    }
}

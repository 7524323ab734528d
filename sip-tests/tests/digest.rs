//! Digest authentication against the examples of RFC 2617 3.5 and RFC 7616 3.9.1 (the numbers RFC 8760 relies on).

use serde_yaml::Value;
use tandem::config::Algorithm;
use tandem::pii::Secret;
use tandem::sip::Method;
use tandem::sip::auth::{Challenge, Credentials, answer, verify};

#[test]
fn published_responses_are_computed_and_verified() {
    let path = format!("{}/../fixtures/sip/auth/digest.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let vectors: Value = serde_yaml::from_str(&text).unwrap();
    let mut checked = 0;
    for vector in vectors["vectors"].as_sequence().unwrap() {
        let field = |name: &str| vector[name].as_str().unwrap().to_owned();
        let algorithm = match field("algorithm").as_str() {
            "MD5" => Algorithm::Md5,
            "SHA-256" => Algorithm::Sha256,
            "SHA-512-256" => continue,
            other => panic!("{other} is not an algorithm of this file"),
        };
        let challenge = Challenge {
            realm: field("realm"),
            nonce: field("nonce"),
            algorithm,
            opaque: None,
            qop_auth: true,
            stale: false,
        };
        let (method, password) = (Method::from(field("method").as_str()), Secret::new(field("password")));
        let value = answer(
            &challenge,
            &field("username"),
            &password,
            &method,
            &field("uri"),
            &field("cnonce"),
            1,
        );
        assert!(
            value.contains(&format!("response=\"{}\"", field("response"))),
            "{}: {value}",
            field("id")
        );
        let credentials = Credentials {
            username: field("username").into(),
            realm: field("realm").into(),
            nonce: field("nonce").into(),
            uri: field("uri").into(),
            response: field("response").into(),
            algorithm,
            cnonce: Some(field("cnonce").into()),
            nc: Some(1),
            opaque: None,
            qop_auth: true,
        };
        assert!(verify(&credentials, &password, &method), "{}", field("id"));
        let next = Credentials {
            nc: Some(2),
            ..credentials
        };
        assert!(!verify(&next, &password, &method), "{}", field("id"));
        checked += 1;
    }
    assert_eq!(checked, 3);
}

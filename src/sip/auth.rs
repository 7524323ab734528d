//! Digest authentication (RFC 3261 22, 7616, 8760): challenges, credentials, answers, as pure functions.

mod hex;
mod nonce;
mod scheme;
mod sealed;

pub use nonce::{NonceKey, NonceState};

use super::grammar::write_quoted;
use super::lex::Start;
use super::{Message, Method, Name, ParseError, UriText};
use crate::config::Algorithm;
use crate::pii::Secret;
use hex::Hex;
use md5::{Digest, Md5};
use scheme::{Scheme, schemes};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt;
use subtle::ConstantTimeEq;

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

/// Credentials of Authorization or Proxy-Authorization, as they stand in the request.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Credentials<'m> {
    pub username: Cow<'m, str>,
    pub realm: Cow<'m, str>,
    pub nonce: Cow<'m, str>,
    pub uri: Cow<'m, str>,
    pub response: Cow<'m, str>,
    pub algorithm: Algorithm,
    pub cnonce: Option<Cow<'m, str>>,
    /// The nonce count, where qop is used.
    pub nc: Option<u32>,
    pub opaque: Option<Cow<'m, str>>,
    /// `qop=auth`; `auth-int` is refused by the parser with 400.
    pub qop_auth: bool,
}

/// The challenges of a 401 or 407 that we can answer, in the order of the message. Left out are those with an algorithm
/// or a `qop` that we do not speak.
pub fn challenges(response: &Message) -> Vec<(Name, Challenge)> {
    let mut list = Vec::new();
    for field in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
        for line in response.all(field) {
            list.extend(
                schemes(&line)
                    .iter()
                    .filter_map(challenge)
                    .map(|challenge| (field, challenge)),
            );
        }
    }
    list
}

fn challenge(scheme: &Scheme<'_>) -> Option<Challenge> {
    if !scheme.is_digest() {
        return None;
    }
    let qop_auth = match scheme.get("qop") {
        None => false,
        Some(offered) if offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => true,
        Some(_) => return None,
    };
    Some(Challenge {
        realm: scheme.get("realm")?.into_owned(),
        nonce: scheme.get("nonce")?.into_owned(),
        algorithm: scheme.algorithm()?,
        opaque: scheme.get("opaque").map(Cow::into_owned),
        qop_auth,
        stale: scheme
            .get("stale")
            .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })
}

/// The credentials for one of our realms in a request; `Ok(None)` when there are none. Credentials of another scheme,
/// realm or algorithm count as none (RFC 4475 3.3.7): the answer to them is a challenge.
pub fn credentials<'m>(request: &'m Message, field: Name, realm: &str) -> Result<Option<Credentials<'m>>, ParseError> {
    for line in request.whole_lines(field) {
        let found = match line {
            Cow::Borrowed(line) => credentials_in(line, realm)?,
            Cow::Owned(line) => credentials_in(&line, realm)?.map(Credentials::into_owned),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn credentials_in<'t>(line: &'t str, realm: &str) -> Result<Option<Credentials<'t>>, ParseError> {
    let schemes = schemes(line);
    let ours = schemes.iter().filter(|scheme| is_of(scheme, realm));
    ours.filter_map(|scheme| Some((scheme, scheme.algorithm()?)))
        .map(|(scheme, algorithm)| read_credentials(scheme, algorithm))
        .next()
        .transpose()
}

/// True if a line of credentials is for this realm.
pub fn names_realm(line: &str, realm: &str) -> bool {
    schemes(line).iter().any(|scheme| is_of(scheme, realm))
}

fn is_of(scheme: &Scheme<'_>, realm: &str) -> bool {
    scheme.is_digest() && scheme.get("realm").is_some_and(|written| written == realm)
}

fn read_credentials<'t>(scheme: &Scheme<'t>, algorithm: Algorithm) -> Result<Credentials<'t>, ParseError> {
    let needed = |name| {
        let missing = ParseError::bad("digest credentials lack username, nonce, uri or response");
        scheme.get(name).ok_or(missing)
    };
    let qop_auth = match scheme.get("qop") {
        None => false,
        Some(qop) if qop.eq_ignore_ascii_case("auth") => true,
        Some(_) => return Err(ParseError::bad("digest credentials have a qop that was not offered")),
    };
    let cnonce = scheme.get("cnonce");
    let nc = match scheme.get("nc").filter(|_| qop_auth) {
        Some(count) if count.len() == 8 && count.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(&count, 16).ok()
        }
        Some(_) | None => None,
    };
    if qop_auth && (cnonce.is_none() || nc.is_none()) {
        return Err(ParseError::bad(
            "digest credentials with qop lack cnonce, or nc is not eight hex digits",
        ));
    }
    Ok(Credentials {
        username: needed("username")?,
        realm: needed("realm")?,
        nonce: needed("nonce")?,
        uri: needed("uri")?,
        response: needed("response")?,
        algorithm,
        cnonce,
        nc,
        opaque: scheme.get("opaque"),
        qop_auth,
    })
}

impl Credentials<'_> {
    /// RFC 7616 3.4.6: they are for this request. Proxies may have rewritten it, so equality of the user and host is enough, and a
    /// bare host is taken for a REGISTER as phones write it.
    pub fn are_for(&self, request: &Message) -> bool {
        let is_written_alike = match request.start {
            Start::Request { uri, .. } => request.slice(uri) == self.uri.as_bytes(),
            Start::Response { .. } => false,
        };
        let Ok(target) = request.request_uri_text() else {
            return false;
        };
        let is_same = |uri: UriText<'_>| uri.user == target.user && uri.host == target.host;
        is_written_alike || UriText::parse(&self.uri).is_ok_and(is_same)
    }

    /// The same, on their own.
    fn into_owned(self) -> Credentials<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Credentials {
            username: owned(self.username),
            realm: owned(self.realm),
            nonce: owned(self.nonce),
            uri: owned(self.uri),
            response: owned(self.response),
            algorithm: self.algorithm,
            cnonce: self.cnonce.map(owned),
            nc: self.nc,
            opaque: self.opaque.map(owned),
            qop_auth: self.qop_auth,
        }
    }
}

/// A user name is somebody's number and the response can be attacked off line: neither prints.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Credentials {{ realm: {:?}, algorithm: {:?}, nc: {:?}, .. }}",
            self.realm, self.algorithm, self.nc
        )
    }
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
    let count = Hex::of(&nc.to_be_bytes());
    let used = challenge.qop_auth.then_some((&count, cnonce));
    let user = hash(
        challenge.algorithm,
        &[
            username.as_bytes(),
            challenge.realm.as_bytes(),
            password.expose().as_bytes(),
        ],
    );
    let response = response(challenge.algorithm, &user, &challenge.nonce, used, method, uri);
    let mut value = String::from("Digest ");
    let mut quoted = |name: &str, text: &str| {
        value.push_str(name);
        value.push('=');
        write_quoted(&mut value, text).expect("writing to a String does not fail");
        value.push_str(", ");
    };
    quoted("username", username);
    quoted("realm", &challenge.realm);
    quoted("nonce", &challenge.nonce);
    quoted("uri", uri);
    quoted("response", &response.to_string());
    if let Some(opaque) = &challenge.opaque {
        quoted("opaque", opaque);
    }
    if challenge.qop_auth {
        quoted("cnonce", cnonce);
        value.push_str(&format!("nc={count}, qop=auth, "));
    }
    value.push_str("algorithm=");
    value.push_str(token_of(challenge.algorithm));
    value
}

/// True if the credentials' response is right for this password; compares in constant time.
///
/// The hash of user, realm and password is made each time: it is one block of five, and kept for every user it would be as good as
/// the password to whoever reads our memory.
pub fn verify(credentials: &Credentials<'_>, password: &Secret, method: &Method) -> bool {
    let count = credentials.nc.map(|nc| Hex::of(&nc.to_be_bytes()));
    let used = match (credentials.qop_auth, &count, &credentials.cnonce) {
        (true, Some(count), Some(cnonce)) => Some((count, &**cnonce)),
        (true, _, _) => return false,
        (false, _, _) => None,
    };
    let user = hash(
        credentials.algorithm,
        &[
            credentials.username.as_bytes(),
            credentials.realm.as_bytes(),
            password.expose().as_bytes(),
        ],
    );
    let right = response(
        credentials.algorithm,
        &user,
        &credentials.nonce,
        used,
        method,
        &credentials.uri,
    );
    let mut given = [0; 64];
    let Some(given) = given.get_mut(..credentials.response.len()) else {
        return false;
    };
    given.copy_from_slice(credentials.response.as_bytes());
    given.make_ascii_lowercase();
    right.as_bytes().ct_eq(given).into()
}

/// RFC 7616 3.4.1, and RFC 2069's form where there is no qop. `used` is the nonce count and the client's nonce.
fn response(
    algorithm: Algorithm,
    user: &Hex,
    nonce: &str,
    used: Option<(&Hex, &str)>,
    method: &Method,
    uri: &str,
) -> Hex {
    let request = hash(algorithm, &[method.as_str().as_bytes(), uri.as_bytes()]);
    let (user, nonce, request) = (user.as_bytes(), nonce.as_bytes(), request.as_bytes());
    match used {
        Some((count, cnonce)) => hash(
            algorithm,
            &[user, nonce, count.as_bytes(), cnonce.as_bytes(), b"auth", request],
        ),
        None => hash(algorithm, &[user, nonce, request]),
    }
}

/// The hash of the parts with colons between.
fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> Hex {
    match algorithm {
        Algorithm::Md5 => hash_with(Md5::new(), parts),
        Algorithm::Sha256 => hash_with(Sha256::new(), parts),
    }
}

fn hash_with<D: Digest>(mut hasher: D, parts: &[&[u8]]) -> Hex {
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    Hex::of(&hasher.finalize())
}

fn token_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;
    use bytes::Bytes;

    fn message(start: &str, lines: &[&str]) -> Message {
        let text = format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n"));
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn offered(lines: &[&str]) -> Vec<Challenge> {
        challenges(&message("SIP/2.0 401 Unauthorized", lines))
            .into_iter()
            .map(|(_, challenge)| challenge)
            .collect()
    }

    fn given(line: &str) -> Result<Option<Credentials<'static>>, ParseError> {
        let request = message("REGISTER sip:a SIP/2.0", &[line]);
        credentials(&request, Name::Authorization, "example.com").map(|given| given.map(Credentials::into_owned))
    }

    #[test]
    fn challenges_in_one_line_and_in_many() {
        let one = r#"WWW-Authenticate: Digest realm="a, b", nonce="n1", algorithm=SHA-256, qop="auth,auth-int", Basic realm="x", Negotiate, NTLM abc==, DIGEST nonce = "n2" ,realm= "c\"d", stale=TRUE, opaque="o""#;
        let list = offered(&[one, "Proxy-Authenticate: Digest realm=e,nonce=n3"]);
        let found: Vec<_> = list
            .iter()
            .map(|c| (c.realm.as_str(), c.nonce.as_str(), c.qop_auth, c.stale))
            .collect();
        assert_eq!(
            found,
            [
                ("a, b", "n1", true, false),
                ("c\"d", "n2", false, true),
                ("e", "n3", false, false)
            ]
        );
        assert_eq!(list[0].algorithm, Algorithm::Sha256);
        assert_eq!(
            (list[1].algorithm, list[1].opaque.as_deref()),
            (Algorithm::Md5, Some("o"))
        );
    }

    #[test]
    fn what_we_cannot_answer_is_no_challenge() {
        for line in [
            r#"Digest realm="a", nonce="n", algorithm=MD5-sess"#,
            r#"Digest realm="a", nonce="n", algorithm=SHA-512-256"#,
            r#"Digest realm="a", nonce="n", qop="auth-int""#,
            r#"Digest realm="a""#,
            r#"Digest nonce="never ends"#,
            "",
            ",,, ,",
            "\u{fffd}=",
        ] {
            assert_eq!(offered(&[&format!("WWW-Authenticate: {line}")]), [], "{line}");
        }
    }

    #[test]
    fn an_answer_is_read_and_verified_with_and_without_qop() {
        let password = Secret::new("swor\"dfish");
        let key = NonceKey([7; 32]);
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let line = format!(
                "WWW-Authenticate: {}",
                key.challenge("example.com", algorithm, Wall(5), 9, true)
            );
            let mut challenge = offered(&[&line]).remove(0);
            assert!(challenge.stale && challenge.qop_auth);
            for qop in [true, false] {
                challenge.qop_auth = qop;
                let value = answer(&challenge, "al\\ice", &password, &Method::Register, "sip:a", "c\"n", 10);
                let read = given(&format!("Authorization: {value}")).unwrap().unwrap();
                assert_eq!((&*read.username, read.nc), ("al\\ice", qop.then_some(10)));
                assert!(verify(&read, &password, &Method::Register));
                assert!(!verify(&read, &password, &Method::Invite));
                assert!(!verify(&read, &Secret::new("guess"), &Method::Register));
                let shouted = Credentials {
                    response: read.response.to_uppercase().into(),
                    ..read.clone()
                };
                assert!(verify(&shouted, &password, &Method::Register));
                let empty = Credentials {
                    response: "".into(),
                    ..read
                };
                assert!(!verify(&empty, &password, &Method::Register));
            }
        }
    }

    #[test]
    fn credentials_of_others_count_as_none_and_broken_ones_are_refused() {
        let rest = r#"nonce="n", uri="sip:a", response="00""#;
        let none = [
            r#"NoOneKnowsThisScheme opaque-data=here"#.to_owned(),
            format!(r#"Digest username="a", realm="elsewhere", {rest}"#),
            format!(r#"Digest username="a", realm="example.com", algorithm=AKAv1-MD5, {rest}"#),
        ];
        for line in none {
            assert_eq!(given(&format!("Authorization: {line}")), Ok(None), "{line}");
        }
        for line in [
            r#"realm="example.com", nonce="n", uri="sip:a", response="00""#.to_owned(),
            format!(r#"username="a", realm="example.com", qop=auth-int, nc=00000001, cnonce="c", {rest}"#),
            format!(r#"username="a", realm="example.com", qop=auth, nc=1, cnonce="c", {rest}"#),
            format!(r#"username="a", realm="example.com", qop=auth, nc=+0000001, cnonce="c", {rest}"#),
            format!(r#"username="a", realm="example.com", qop=auth, nc=00000001, {rest}"#),
        ] {
            assert_eq!(
                given(&format!("Authorization: Digest {line}")).unwrap_err().status,
                400,
                "{line}"
            );
        }
    }

    #[test]
    fn a_folded_line_is_the_same_line() {
        let parts = [
            r#"Authorization: Digest username="a\"b", realm="example.com","#,
            r#"nonce="n", uri="sip:a", response="00", cnonce="c", qop=auth, nc=00000001"#,
        ];
        let whole = given(&parts.join(" ")).unwrap();
        assert_eq!(whole.as_ref().map(|given| &*given.username), Some("a\"b"));
        assert_eq!(given(&parts.join("\r\n  ")).unwrap(), whole);
    }

    /// RFC 7616 3.4.6.
    #[test]
    fn credentials_are_for_a_request_to_their_user_and_host() {
        for (target, uri, expected) in [
            ("sip:example.com", "sip:example.com", true),
            ("sip:bob@example.com:5060;x=1", "sip:bob@EXAMPLE.com", true),
            ("sip:bob@example.com", "sip:bob@example.org", false),
            ("sip:example.com", "sip:bob@example.com", false),
            ("sip:bob@example.com", "sip:alice@example.com", false),
            ("sip:example.com", "example.com", false),
            ("sip:a b", "sip:a b", false),
        ] {
            let line = format!(
                r#"Authorization: Digest username="a", realm="example.com", nonce="n", uri="{uri}", response="00""#
            );
            let request = message(&format!("REGISTER {target} SIP/2.0"), &[&line]);
            let given = credentials(&request, Name::Authorization, "example.com")
                .unwrap()
                .unwrap();
            assert_eq!(given.are_for(&request), expected, "{target} {uri}");
        }
    }

    #[test]
    fn neither_user_nor_response_nor_key_prints() {
        let line = r#"Authorization: Digest username="+14155550101", realm="example.com", nonce="n", uri="sip:+14155550101@a", response="c0ffee""#;
        let printed = format!("{:?} {:?}", given(line).unwrap().unwrap(), NonceKey([42; 32]));
        assert!(
            !printed.contains("0101") && !printed.contains("c0ffee") && !printed.contains("42"),
            "{printed}"
        );
    }
}

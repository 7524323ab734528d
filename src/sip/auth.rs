//! Digest authentication (RFC 3261 22, 7616, 8760): challenges, credentials, answers, as pure functions.

mod sealed;

use super::grammar::{lws, quoted, token, write_quoted};
use super::{Message, Method, Name, ParseError};
use crate::config::Algorithm;
use crate::pii::Secret;
use crate::time::Wall;
use md5::{Digest, Md5};
use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::{char, space1};
use nom::combinator::{map, opt};
use nom::sequence::{separated_pair, terminated};
use nom::{IResult, Parser};
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

/// Credentials of Authorization or Proxy-Authorization.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Credentials {
    pub username: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub response: String,
    pub algorithm: Algorithm,
    pub cnonce: Option<String>,
    /// The nonce count, where qop is used.
    pub nc: Option<u32>,
    pub opaque: Option<String>,
    /// `qop=auth`; `auth-int` is refused by the parser with 400.
    pub qop_auth: bool,
}

/// A challenge or credentials as read: the scheme and its parameters.
struct Scheme<'a> {
    name: &'a str,
    params: Vec<(&'a str, Cow<'a, str>)>,
}

impl Scheme<'_> {
    fn is_digest(&self) -> bool {
        self.name.eq_ignore_ascii_case("Digest")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }

    /// `Some(MD5)` without the parameter; `None` for one that we do not speak, the `-sess` forms among them.
    fn algorithm(&self) -> Option<Algorithm> {
        match self.get("algorithm") {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }
}

/// `name = value`, the value quoted or not (RFC 3261 25.1, `auth-param`).
fn auth_param(input: &str) -> IResult<&str, (&str, Cow<'_, str>)> {
    let plain = take_while1(|c: char| !c.is_ascii_whitespace() && c != ',' && c != '"');
    separated_pair(token, (lws, char('='), lws), alt((quoted, map(plain, Cow::Borrowed)))).parse(input)
}

/// The next thing in a line: a scheme begins, a parameter, or both.
type Item<'a> = (Option<&'a str>, Option<(&'a str, Cow<'a, str>)>);

/// RFC 7235 4.1: a token and a space before a parameter begin the next challenge.
fn item(input: &str) -> IResult<&str, Item<'_>> {
    let with_param = map((terminated(token, space1), auth_param), |(name, param)| {
        (Some(name), Some(param))
    });
    let param = map(auth_param, |param| (None, Some(param)));
    // `Negotiate`, or `Basic YWJj`: nothing in it is for us.
    let other = map((token, opt((space1, take_till(|c| c == ',')))), |(name, _)| {
        (Some(name), None)
    });
    alt((with_param, param, other)).parse(input)
}

/// Reads one header line that may hold several challenges. Stops at what it can't read; what stands before that counts.
fn schemes(line: &str) -> Vec<Scheme<'_>> {
    let mut list: Vec<Scheme<'_>> = Vec::new();
    let mut rest = line;
    while let Ok((after, (name, param))) = item(rest.trim_start_matches([',', ' ', '\t'])) {
        list.extend(name.map(|name| Scheme {
            name,
            params: Vec::new(),
        }));
        if let Some(scheme) = list.last_mut() {
            scheme.params.extend(param);
        }
        rest = after;
    }
    list
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
        realm: scheme.get("realm")?.to_owned(),
        nonce: scheme.get("nonce")?.to_owned(),
        algorithm: scheme.algorithm()?,
        opaque: scheme.get("opaque").map(str::to_owned),
        qop_auth,
        stale: scheme
            .get("stale")
            .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })
}

/// The credentials for one of our realms in a request; `Ok(None)` when there are none. Credentials of another scheme,
/// realm or algorithm count as none (RFC 4475 3.3.7): the answer to them is a challenge.
pub fn credentials(request: &Message, field: Name, realm: &str) -> Result<Option<Credentials>, ParseError> {
    for line in request.all(field) {
        for scheme in schemes(&line)
            .iter()
            .filter(|scheme| scheme.is_digest() && scheme.get("realm") == Some(realm))
        {
            if let Some(algorithm) = scheme.algorithm() {
                return read_credentials(scheme, realm, algorithm).map(Some);
            }
        }
    }
    Ok(None)
}

/// True if a line of credentials is for this realm.
pub fn names_realm(line: &str, realm: &str) -> bool {
    schemes(line)
        .iter()
        .any(|scheme| scheme.is_digest() && scheme.get("realm") == Some(realm))
}

fn read_credentials(scheme: &Scheme<'_>, realm: &str, algorithm: Algorithm) -> Result<Credentials, ParseError> {
    let needed = |name| {
        let missing = ParseError::bad("digest credentials lack username, nonce, uri or response");
        scheme.get(name).map(str::to_owned).ok_or(missing)
    };
    let qop_auth = match scheme.get("qop") {
        None => false,
        Some(qop) if qop.eq_ignore_ascii_case("auth") => true,
        Some(_) => return Err(ParseError::bad("digest credentials have a qop that was not offered")),
    };
    let cnonce = scheme.get("cnonce").map(str::to_owned);
    let nc = match scheme.get("nc").filter(|_| qop_auth) {
        Some(count) if count.len() == 8 && count.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(count, 16).ok()
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
        realm: realm.to_owned(),
        nonce: needed("nonce")?,
        uri: needed("uri")?,
        response: needed("response")?,
        algorithm,
        cnonce,
        nc,
        opaque: scheme.get("opaque").map(str::to_owned),
        qop_auth,
    })
}

/// A user name is somebody's number and the response can be attacked off line: neither prints.
impl fmt::Debug for Credentials {
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
    let count = format!("{nc:08x}");
    let used = challenge.qop_auth.then_some((count.as_str(), cnonce));
    let user = hash(challenge.algorithm, &[username, &challenge.realm, password.expose()]);
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
    quoted("response", &response);
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
pub fn verify(credentials: &Credentials, password: &Secret, method: &Method) -> bool {
    let count = credentials.nc.map(|nc| format!("{nc:08x}"));
    let used = match (credentials.qop_auth, &count, &credentials.cnonce) {
        (true, Some(count), Some(cnonce)) => Some((count.as_str(), cnonce.as_str())),
        (true, _, _) => return false,
        (false, _, _) => None,
    };
    let user = hash(
        credentials.algorithm,
        &[&credentials.username, &credentials.realm, password.expose()],
    );
    let right = response(
        credentials.algorithm,
        &user,
        &credentials.nonce,
        used,
        method,
        &credentials.uri,
    );
    right
        .as_bytes()
        .ct_eq(credentials.response.to_ascii_lowercase().as_bytes())
        .into()
}

/// RFC 7616 3.4.1, and RFC 2069's form where there is no qop. `used` is the nonce count and the client's nonce.
fn response(
    algorithm: Algorithm,
    user: &str,
    nonce: &str,
    used: Option<(&str, &str)>,
    method: &Method,
    uri: &str,
) -> String {
    let request = hash(algorithm, &[method.as_str(), uri]);
    match used {
        Some((count, cnonce)) => hash(algorithm, &[user, nonce, count, cnonce, "auth", &request]),
        None => hash(algorithm, &[user, nonce, &request]),
    }
}

/// The hash of the parts with colons between, in lower-case hex.
fn hash(algorithm: Algorithm, parts: &[&str]) -> String {
    match algorithm {
        Algorithm::Md5 => hash_with(Md5::new(), parts),
        Algorithm::Sha256 => hash_with(Sha256::new(), parts),
    }
}

fn hash_with<D: Digest>(mut hasher: D, parts: &[&str]) -> String {
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            hasher.update(b":");
        }
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

fn token_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    }
}

/// Makes and checks nonces without keeping any: time and a keyed hash. Counts of used nonces are the caller's.
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
    Valid,
    /// Ours and too old: challenge again with `stale=true`.
    Stale,
    /// Not ours.
    Foreign,
}

/// Hex digits of the time in a nonce.
const NONCE_TIME: usize = 16;
/// Hex digits before the seal of a nonce: the time and the salt.
const NONCE_HEAD: usize = 32;

/// What tells one nonce of ours from all others: its time and its salt.
pub fn nonce_id(nonce: &str) -> Option<u128> {
    u128::from_str_radix(nonce.get(..NONCE_HEAD)?, 16).ok()
}

impl NonceKey {
    /// A nonce for `realm`, valid from `at`: the milliseconds in hex, a random `salt`, then half of HMAC-SHA-256 over them and
    /// the realm. The salt keeps phones apart that are challenged in one millisecond: each counts the uses of its own nonce.
    pub fn make(&self, realm: &str, at: Wall, salt: u64) -> String {
        let head = format!("{:016x}{salt:016x}", at.0);
        let seal = self.seal(realm, &head);
        head + &seal
    }

    fn seal(&self, realm: &str, head: &str) -> String {
        hex(&hmac(&self.0, &[head.as_bytes(), b":", realm.as_bytes()])[..16])
    }

    /// Judges a nonce; `max_age_secs` decides what is stale. One from the future, as after the clock was set back, is stale
    /// too.
    pub fn check(&self, nonce: &str, realm: &str, now: Wall, max_age_secs: u64) -> NonceState {
        let Some((head, seal)) = nonce.split_at_checked(NONCE_HEAD) else {
            return NonceState::Foreign;
        };
        let is_ours = bool::from(self.seal(realm, head).as_bytes().ct_eq(seal.as_bytes()));
        let time = head
            .get(..NONCE_TIME)
            .and_then(|time| u64::from_str_radix(time, 16).ok());
        let Some(made) = time.filter(|_| is_ours).map(Wall) else {
            return NonceState::Foreign;
        };
        let is_young = made <= now && now.since(made).as_secs() < max_age_secs;
        if is_young { NonceState::Valid } else { NonceState::Stale }
    }

    /// A mark that only who has the key can make: a quarter of HMAC-SHA-256 over the parts, in hex.
    pub fn mark(&self, parts: &[&str]) -> String {
        let mut fed: Vec<&[u8]> = Vec::with_capacity(parts.len() * 2);
        for part in parts {
            // No part of a message can hold a line break, so two lists never give one text.
            fed.extend([part.as_bytes(), b"\n"]);
        }
        hex(&hmac(&self.0, &fed)[..8])
    }

    /// True if `mark` is the one of these parts.
    pub fn is_mark(&self, mark: &str, parts: &[&str]) -> bool {
        bool::from(self.mark(parts).as_bytes().ct_eq(mark.as_bytes()))
    }

    /// The challenge header value for one algorithm.
    pub fn challenge(&self, realm: &str, algorithm: Algorithm, at: Wall, salt: u64, stale: bool) -> String {
        let mut value = String::from("Digest realm=");
        write_quoted(&mut value, realm).expect("writing to a String does not fail");
        let stale = if stale { ", stale=true" } else { "" };
        let (nonce, algorithm) = (self.make(realm, at, salt), token_of(algorithm));
        value.push_str(&format!(
            ", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}"
        ));
        value
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

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

    fn given(line: &str) -> Result<Option<Credentials>, ParseError> {
        let request = message("REGISTER sip:a SIP/2.0", &[line]);
        credentials(&request, Name::Authorization, "example.com")
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
                assert_eq!((read.username.as_str(), read.nc), ("al\\ice", qop.then_some(10)));
                assert!(verify(&read, &password, &Method::Register));
                assert!(!verify(&read, &password, &Method::Invite));
                assert!(!verify(&read, &Secret::new("guess"), &Method::Register));
                let shouted = Credentials {
                    response: read.response.to_uppercase(),
                    ..read.clone()
                };
                assert!(verify(&shouted, &password, &Method::Register));
                let empty = Credentials {
                    response: String::new(),
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
    fn a_nonce_is_ours_for_its_realm_key_and_time() {
        let key = NonceKey([1; 32]);
        let made = Wall(1_700_000_000_000);
        let nonce = key.make("example.com", made, 3);
        assert_ne!(nonce, key.make("example.com", made, 4));
        let check = |nonce: &str, realm: &str, now| key.check(nonce, realm, now, 300);
        assert_eq!(check(&nonce, "example.com", made), NonceState::Valid);
        assert_eq!(
            check(&nonce, "example.com", made + Duration::from_millis(299_999)),
            NonceState::Valid
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
        for nonce in ["", "0", "ü23456789012345", "+000000000000001", &nonce[..63]] {
            assert_eq!(check(nonce, "example.com", made), NonceState::Foreign, "{nonce}");
        }
    }

    /// RFC 4231 4.2 and 4.4 have keys of other lengths; this one was computed with two other implementations.
    #[test]
    fn hmac_is_that_of_rfc_2104() {
        let key: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let seal = hex(&hmac(&key, &[b"what do ya want ", b"for nothing?"]));
        assert_eq!(seal, "099805f4ac310786968565c098db515cc50862b420ae31e20238312344bed36a");
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

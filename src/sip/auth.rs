//! Digest authentication (RFC 3261 22, 7616, 8760): challenges, credentials, answers, as pure functions.

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
use nom::sequence::{preceded, separated_pair, terminated};
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

/// Reads one header line that may hold several challenges (RFC 7235 4.1: a token and a space before a parameter begin the
/// next one). Stops at what it can't read; what stands before that counts.
fn schemes(line: &str) -> Vec<Scheme<'_>> {
    let mut list: Vec<Scheme<'_>> = Vec::new();
    let mut rest = line;
    loop {
        let begins = terminated(token, space1);
        let step = preceded(
            |input| nom::bytes::complete::take_while(|c: char| c == ',' || c.is_ascii_whitespace()).parse(input),
            alt((
                map((begins, auth_param), |(name, param)| (Some(name), Some(param))),
                map(auth_param, |param| (None, Some(param))),
                // A scheme with a token68 or with nothing: `Negotiate`, `Basic YWJj`.
                map((token, opt((space1, take_till(|c| c == ',')))), |(name, _)| {
                    (Some(name), None)
                }),
            )),
        )
        .parse(rest);
        let Ok((after, (name, param))) = step else { return list };
        if let Some(name) = name {
            list.push(Scheme {
                name,
                params: Vec::new(),
            });
        }
        if let (Some(scheme), Some(param)) = (list.last_mut(), param) {
            scheme.params.push(param);
        }
        rest = after;
    }
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
        Some(offered) => offered
            .split(',')
            .any(|qop| qop.trim().eq_ignore_ascii_case("auth"))
            .then_some(true)?,
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

impl NonceKey {
    /// A nonce for `realm`, valid from `at`: the milliseconds in hex, then half of HMAC-SHA-256 over them and the realm.
    pub fn make(&self, realm: &str, at: Wall) -> String {
        let mut nonce = format!("{:016x}", at.0);
        let seal = hmac(&self.0, &[nonce.as_bytes(), b":", realm.as_bytes()]);
        nonce.push_str(&hex(&seal[..16]));
        nonce
    }

    /// Judges a nonce; `max_age_secs` decides what is stale. One from the future, as after the clock was set back, is stale
    /// too.
    pub fn check(&self, nonce: &str, realm: &str, now: Wall, max_age_secs: u64) -> NonceState {
        let time = nonce
            .get(..NONCE_TIME)
            .and_then(|time| u64::from_str_radix(time, 16).ok())
            .map(Wall);
        let Some(made) = time.filter(|made| bool::from(self.make(realm, *made).as_bytes().ct_eq(nonce.as_bytes())))
        else {
            return NonceState::Foreign;
        };
        let is_young = made <= now && now.since(made).as_secs() < max_age_secs;
        if is_young { NonceState::Valid } else { NonceState::Stale }
    }

    /// The challenge header value for one algorithm.
    pub fn challenge(&self, realm: &str, algorithm: Algorithm, at: Wall, stale: bool) -> String {
        let mut value = String::from("Digest realm=");
        write_quoted(&mut value, realm).expect("writing to a String does not fail");
        let stale = if stale { ", stale=true" } else { "" };
        let (nonce, algorithm) = (self.make(realm, at), token_of(algorithm));
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

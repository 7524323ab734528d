//! Access tokens: JSON web tokens (RFC 7519) with HMAC and SHA-256 (`HS256`), signed by the API key of their tenant, which the header
//! names (`kid`). So a back end may have them made by us, or make them itself; and a key that is no longer in the configuration takes all its
//! tokens with it.

use super::body::{self, Body, Head};
use super::problem::{Kind, Problem};
use super::seal;
use crate::config::Api as Config;
use crate::config::ApiKey;
use crate::keyed;
use crate::limits;
use crate::time::Wall;
use std::sync::Arc;
use std::time::Duration;

/// Clocks of back ends that make tokens themselves may be ahead by this.
const LEEWAY: Duration = Duration::from_secs(60);

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Calling and being called.
    Call,
    /// Calling rooms: without `call`, nothing else.
    Join,
    /// Seeing and ending all calls of the tenant.
    Admin,
}

impl Scope {
    const ALL: [Scope; 3] = [Scope::Call, Scope::Join, Scope::Admin];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Scope::Call => "call",
            Scope::Join => "join",
            Scope::Admin => "admin",
        }
    }

    fn read(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.word() == word)
    }
}

/// Several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes(Vec<Scope>);

impl Scopes {
    pub(super) fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Of words, each of which must be one; a token for nothing is refused, since nobody wants it.
    pub(super) fn of(words: &[String]) -> Result<Scopes, Problem> {
        let scopes: Option<Vec<Scope>> = words.iter().map(|word| Scope::read(word)).collect();
        let why = "scopes: one or more of call, join and admin are taken; left out, they are call and join";
        let scopes = scopes.filter(|scopes| !scopes.is_empty());
        scopes.map(Scopes).ok_or_else(|| Problem::new(Kind::CannotBe, why))
    }

    /// As a token has them (RFC 8693 4.2). Unknown ones mean nothing.
    fn read(text: &str) -> Scopes {
        Scopes(text.split(' ').filter_map(Scope::read).collect())
    }

    pub(super) fn write(&self) -> String {
        self.0.iter().map(|scope| scope.word()).collect::<Vec<&str>>().join(" ")
    }
}

/// Somebody: a name that means something within its tenant only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Identity {
    pub(super) tenant: Arc<str>,
    pub(super) name: Arc<str>,
}

/// What a good token says.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    pub(super) who: Identity,
    pub(super) scopes: Scopes,
    pub(super) until: Wall,
    /// Stands for the key that has signed it.
    pub(super) key: u64,
}

/// True for what may be the name of somebody.
pub(super) fn is_name(name: &str) -> bool {
    (1..=limits::API_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b))
}

/// What stands for a key where it is asked later whether it is still in force.
pub(super) fn mark_of(key: &ApiKey) -> u64 {
    keyed::Key::UNKEYED.of(&[key.tenant.as_bytes(), key.key.expose().as_bytes()]) as u64
}

/// Makes one.
pub(super) fn mint(key: &ApiKey, name: &str, scopes: &Scopes, until: Wall) -> String {
    let head = Head {
        alg: "HS256".to_owned(),
        typ: Some("JWT".to_owned()),
        kid: key.tenant.to_string(),
        crit: None,
    };
    let body = Body {
        sub: name.to_owned(),
        scope: scopes.write(),
        exp: until.as_secs(),
        nbf: None,
    };
    let half = |value: serde_json::Value| seal::encode(value.to_string().as_bytes());
    let text = format!("{}.{}", half(body::write(&head)), half(body::write(&body)));
    let signature = seal::sign(&key.key, &text);
    format!("{text}.{signature}")
}

/// Reads one: nothing in it is believed before its signature is found good.
pub(super) fn read(config: &Config, token: &str, now: Wall) -> Result<Claims, Problem> {
    let bad = |why: &str| Problem::new(Kind::BadToken, why);
    if token.len() > limits::API_TOKEN_BYTES {
        return Err(bad("it is too long"));
    }
    let (text, signature) = token.rsplit_once('.').ok_or_else(|| bad("it is no JWT"))?;
    let (head, rest) = text.split_once('.').ok_or_else(|| bad("it is no JWT"))?;
    let head = seal::decode(head).and_then(|octets| body::read_head(&octets));
    let head = head.ok_or_else(|| bad("its header cannot be read"))?;
    // RFC 8725 3.1: the algorithm is ours to choose, and never the token's.
    if head.alg != "HS256" || head.crit.is_some() {
        return Err(bad("HS256 is taken, without extensions"));
    }
    let mut keys = config.keys.iter().filter(|key| *key.tenant == head.kid);
    let key = keys.find(|key| seal::is_signed(&key.key, text, signature));
    let key = key.ok_or_else(|| bad("no key that is in force has signed it"))?;
    let body = seal::decode(rest).and_then(|octets| body::read_claims(&octets));
    let wanted = "its claims cannot be read: sub, exp and scope are wanted, the last as words with spaces between (`scope`, not `scopes`)";
    let body = body.ok_or_else(|| bad(wanted))?;
    let until = Wall(body.exp.saturating_mul(1000));
    if until <= now {
        return Err(Problem::new(Kind::TokenExpired, "ask the back end for a new one"));
    }
    if until > now + config.token_lifetime + LEEWAY {
        return Err(bad("it lasts longer than api.token_lifetime allows"));
    }
    if body
        .nbf
        .is_some_and(|from| Wall(from.saturating_mul(1000)) > now + LEEWAY)
    {
        return Err(bad("its time has not come"));
    }
    if !is_name(&body.sub) {
        return Err(bad("sub is no name that is taken here"));
    }
    let scopes = Scopes::read(&body.scope);
    if scopes == Scopes::default() {
        return Err(bad(
            "its scope has none of call, join and admin: it is for nothing here",
        ));
    }
    Ok(Claims {
        who: Identity {
            tenant: key.tenant.clone(),
            name: body.sub.into(),
        },
        scopes,
        until,
        key: mark_of(key),
    })
}

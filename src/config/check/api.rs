//! `api`: where, for whom, and what clients are told of TURN.

use super::{Check, DAY, HOUR, MINUTE, entries_of, list_of, secret, tls};
use crate::config::api::{Api, ApiKey, ClientPush, Origins, TurnKeys};
use crate::config::checked::{Listen, same_address};
use crate::config::read::{Map, Wrong};
use crate::config::{User, keys, values};
use crate::id::Transport;
use crate::limits;
use crate::pii::Secret;
use std::net::SocketAddr;

/// Reads `api`.
pub(super) fn api(root: &Map<'_>, listen: &[Listen], users: &[User], check: &mut Check<'_>) -> Option<Api> {
    root.get("api")?;
    let map = root.section("api", &keys::API, &mut check.problems);
    let keys = back_ends(&map, users, check);
    let origins = match list_of(&map, "origins", &[], check, origin) {
        all if all.iter().any(|origin| origin == "*") => Origins::Any,
        these => Origins::These(these),
    };
    let (turn, push) = (turn(&map, check), push(&map, check));
    let problems = &mut check.problems;
    let token_lifetime = map.value("token_lifetime", HOUR, problems, |text| {
        values::duration_in(text, MINUTE..=DAY)
    });
    let per_client = map.value("per_client", 20, problems, |text| values::whole(text, 1..=1000));
    let per_address = map.value("per_address", 100, problems, |text| values::whole(text, 1..=100_000));
    let at = map.require("listen", problems)?;
    let addr = at.parse(problems, socket)?;
    let clashes = |other: &&Listen| {
        let same = other.addr.port() == addr.port() && addr.port() != 0;
        other.transport != Transport::Udp && same && same_address(other.addr.ip(), addr.ip())
    };
    if let Some(other) = listen.iter().find(clashes) {
        let text = format!("{addr} clashes with {other} in listen. Give one of them another port.");
        at.wrong(problems, text);
    }
    Some(Api {
        listen: addr,
        keys,
        origins,
        token_lifetime,
        per_client,
        per_address,
        turn,
        push,
    })
}

fn back_ends(map: &Map<'_>, users: &[User], check: &mut Check<'_>) -> Vec<ApiKey> {
    let Some(list) = map.require("keys", &mut check.problems) else {
        return Vec::new();
    };
    let mut found: Vec<ApiKey> = Vec::new();
    for field in list.list(&mut check.problems) {
        let entry = field.map(&keys::API_KEY, &mut check.problems);
        let tenant = entry.require("tenant", &mut check.problems);
        let tenant = tenant.and_then(|field| field.parse(&mut check.problems, values::label));
        let Some(at) = entry.require("key", &mut check.problems) else {
            continue;
        };
        let key = secret::of(&at, check);
        // Where one is missing or empty, that is told already.
        let is_known = check.sources.has_secrets && !key.expose().is_empty();
        if is_known && key.expose().len() < limits::API_SECRET_BYTES {
            let least = limits::API_SECRET_BYTES;
            let text = format!("the key is short: {least} octets are the least. Make one by: openssl rand -hex 32");
            at.wrong(&mut check.problems, text);
        }
        if is_known && found.iter().any(|other| other.key == key) {
            at.wrong(
                &mut check.problems,
                "this key is in the list twice. Each tells whose it is.",
            );
        }
        let is_users = entry.value("users", false, &mut check.problems, values::yes_or_no);
        let calls_as = calls_as(&entry, users, check);
        let meetings = entry.get("meetings");
        let meetings = meetings.and_then(|field| field.parse(&mut check.problems, digits));
        if let Some(tenant) = tenant {
            found.push(ApiKey {
                tenant: tenant.into(),
                key,
                users: is_users,
                calls_as,
                meetings,
            });
        }
    }
    if found.len() > limits::API_KEYS {
        let most = limits::API_KEYS;
        list.wrong(&mut check.problems, format!("{most} keys are the most that is taken."));
    }
    found
}

/// The user by whose rights identities call.
fn calls_as(entry: &Map<'_>, users: &[User], check: &mut Check<'_>) -> Option<Box<str>> {
    let at = entry.get("calls_as")?;
    let name: Box<str> = at.parse(&mut check.problems, |text| Ok(text.into()))?;
    if users.iter().any(|user| *user.name == *name) {
        return Some(name);
    }
    let text = format!(
        "there is no user {name:?} in users. Add one: its number, codecs and limit of calls are those of these clients."
    );
    at.wrong(&mut check.problems, text);
    None
}

fn turn(map: &Map<'_>, check: &mut Check<'_>) -> Option<TurnKeys> {
    map.get("turn")?;
    let map = map.section("turn", &keys::API_TURN, &mut check.problems);
    let lifetime = map.value("lifetime", HOUR, &mut check.problems, |text| {
        values::duration_in(text, MINUTE..=DAY)
    });
    let shared = map.get("secret").map(|field| secret::of(&field, check));
    let list = map.require("urls", &mut check.problems)?;
    let urls: Vec<String> = entries_of(&map, "urls", check, server)
        .into_iter()
        .map(|(url, _)| url)
        .collect();
    if shared.is_none() && urls.iter().any(|url| url.starts_with("turn")) {
        list.wrong(
            &mut check.problems,
            "a TURN server takes nobody without a password. Add the secret that it shares.",
        );
    }
    Some(TurnKeys {
        urls,
        secret: shared.unwrap_or_else(|| Secret::new("")),
        lifetime,
    })
}

fn push(map: &Map<'_>, check: &mut Check<'_>) -> Option<ClientPush> {
    map.get("push")?;
    let map = map.section("push", &keys::API_PUSH, &mut check.problems);
    let token = map.get("token").map(|field| secret::of(&field, check));
    let ca = map.get("ca").and_then(|field| tls::authorities(&field, check));
    let url = map.require("url", &mut check.problems)?;
    let url = url.parse(&mut check.problems, values::http_url)?;
    Some(ClientPush { url, token, ca })
}

/// One to eight digits.
fn digits(text: &str) -> Result<Box<str>, Wrong> {
    let is_good = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_good.then(|| text.into()).ok_or(Wrong::Form)
}

/// As browsers send it (RFC 6454 6.1): without a path, the default port left out.
fn origin(text: &str) -> Result<String, Wrong> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    let is_good = rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_host));
    match text {
        "*" => Ok(text.to_owned()),
        _ if is_good => Ok(text.to_ascii_lowercase()),
        _ => Err(Wrong::Form),
    }
}

/// RFC 7064 3.1, RFC 7065 3.1.
fn server(text: &str) -> Result<String, Wrong> {
    let (scheme, rest) = text.split_once(':').ok_or(Wrong::Form)?;
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]?=".contains(&b);
    let is_known = ["stun", "stuns", "turn", "turns"].contains(&scheme);
    match is_known && !rest.is_empty() && rest.bytes().all(is_host) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::Form),
    }
}

/// `0.0.0.0:8445`, `[::1]:8445`.
fn socket(text: &str) -> Result<SocketAddr, Wrong> {
    let addr: SocketAddr = text.parse().map_err(|_| Wrong::Form)?;
    if addr.ip().is_multicast() {
        Err(Wrong::Form)
    } else {
        Ok(addr)
    }
}

//! `push`, and who may watch registrations.

use super::{Check, MINUTE, SECOND, list_of, secret, tls};
use crate::config::checked::{Push, User};
use crate::config::problem::did_you_mean;
use crate::config::read::Map;
use crate::config::{keys, values};

/// The services that RFC 8599 14.3 names.
const PROVIDERS: [&str; 3] = ["apns", "fcm", "webpush"];

/// Reads `push`.
pub(super) fn push(root: &Map<'_>, check: &mut Check<'_>) -> Option<Push> {
    root.get("push")?;
    let map = root.section("push", &keys::PUSH, &mut check.problems);
    let known = PROVIDERS.map(str::to_owned);
    let providers = list_of(&map, "providers", &known, check, values::label);
    let wait = map.value("wait", 10 * SECOND, &mut check.problems, |text| {
        values::duration_in(text, SECOND..=MINUTE)
    });
    let token = map.get("token").map(|field| secret::of(&field, check));
    let ca = map.get("ca").and_then(|field| tls::authorities(&field, check));
    let url = map
        .require("url", &mut check.problems)?
        .parse(&mut check.problems, values::http_url)?;
    Some(Push {
        url,
        token,
        ca,
        providers,
        wait,
    })
}

/// Reads `registrar.watchers`.
pub(super) fn watchers(map: &Map<'_>, users: &[User], check: &mut Check<'_>) -> Vec<String> {
    let fields = map.list("watchers", &mut check.problems);
    let mut watchers = Vec::new();
    for field in fields {
        let Some(name) = field.parse(&mut check.problems, values::user_name) else {
            continue;
        };
        if users.iter().any(|user| user.name == name) {
            watchers.push(name);
        } else {
            let names = users.iter().map(|user| user.name.as_str());
            let text = format!("there is no user {name}{}", did_you_mean(&name, names));
            field.wrong(&mut check.problems, text);
        }
    }
    watchers
}

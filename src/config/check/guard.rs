//! `guard`.

use super::{Check, DAY, SECOND, list_of};
use crate::config::checked::Guard;
use crate::config::keys;
use crate::config::read::{Map, Wrong};
use crate::config::values;
use std::time::Duration;

/// What the programs that look for open systems call themselves, unless they are told to lie.
const SCANNERS: [&str; 12] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sip-scan",
    "sipcli",
    "sipscan",
    "siparmyknife",
    "sundayddr",
    "VaxSIPUserAgent",
    "VaxIPUserAgent",
    "iWar",
    "pplsip",
];

/// Reads `guard`.
pub(super) fn guard(root: &Map<'_>, check: &mut Check<'_>) -> Guard {
    let map = root.section("guard", &keys::GUARD, &mut check.problems);
    let scanners = match map.get("scanners") {
        Some(_) => list_of(&map, "scanners", &[], check, agent),
        None => SCANNERS.map(str::to_owned).to_vec(),
    };
    let exempt = list_of(&map, "exempt", &[], check, values::network);
    let problems = &mut check.problems;
    let mut number = |name, default, most| map.value(name, default, problems, |text| values::whole(text, 1..=most));
    let per_source = number("per_source", 100, 100_000);
    let per_stranger = number("per_stranger", 10, 10_000);
    let strangers = number("strangers", 500, 100_000);
    let per_user = number("per_user", 20, 10_000);
    let guesses = number("guesses", 10, 1000);
    let max_wait = map.value("max_wait", 100, problems, |text| values::whole(text, 10..=10_000));
    let ban = map.value("ban", Some(600 * SECOND), problems, |text| {
        values::duration_or_never(text, SECOND..=30 * DAY)
    });
    Guard {
        per_source,
        per_stranger,
        strangers,
        per_user,
        guesses,
        ban,
        scanners,
        exempt,
        max_wait: Duration::from_millis(max_wait),
    }
}

/// A header value's octets (RFC 3261 20.41): nothing that could not stand there.
fn agent(text: &str) -> Result<String, Wrong> {
    let printable = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if text.is_empty() || text.starts_with(' ') || !printable {
        return Err(Wrong::Form);
    }
    Ok(text.to_owned())
}

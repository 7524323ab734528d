//! Tables and banners that people read in a terminal.

use super::sources::Generated;
use super::store::{ListedBan, ListedCut, RecentCall};
use crate::config::{Action, Config, Listen, Pattern};
use crate::time::Wall;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

/// What a node prints before it listens: who can register, and what can be dialled.
pub fn banner(config: &Config, path: &Path, generated: &[Generated]) -> String {
    let mut text = format!(
        "Tandem {} runs {} from {}\n",
        env!("CARGO_PKG_VERSION"),
        config.node_name,
        path.display()
    );
    if let Some(first) = generated.first() {
        let _ = writeln!(
            text,
            "\nUsers whose passwords were made for this machine (kept in {}):",
            first.kept_in.display()
        );
        for user in config
            .users
            .iter()
            .filter(|user| generated.iter().any(|made| made.user == user.name))
        {
            let numbers = user.numbers.join(", ");
            let _ = writeln!(
                text,
                "  user {:<8} password {:<18} number {numbers}",
                user.name,
                user.password.expose()
            );
        }
    }
    let services: Vec<String> = config.routes.iter().filter_map(service).collect();
    if !services.is_empty() {
        let _ = writeln!(text, "\nNumbers to try: {}", services.join(", "));
    }
    text
}

fn service(route: &crate::config::Route) -> Option<String> {
    let Pattern::Exact(number) = &route.to else { return None };
    match route.action {
        Action::Echo => Some(format!("{number} (you hear yourself)")),
        Action::Tone => Some(format!("{number} (a tone)")),
        Action::Room(_) => Some(format!("{number} (a room)")),
        Action::User(_) | Action::Trunk(_) | Action::Reject(_) | Action::Way(_) => None,
    }
}

/// Where it listens, for SIP and at `doors` for all else. `own` is the address of this machine that phones can use where a listener has them all.
pub fn listening(bound: &[Listen], doors: &[String], own: Option<IpAddr>) -> String {
    let mut text = String::from("\nListening on:\n");
    for listen in bound {
        let _ = writeln!(text, "  {}://{}", listen.transport.param(), listen.addr);
    }
    for door in doors {
        let _ = writeln!(text, "  {door}");
    }
    if let Some(own) = own.filter(|_| bound.iter().any(|listen| listen.addr.ip().is_unspecified())) {
        let _ = writeln!(text, "Phones in this network use {own} as their server.");
    }
    text.push_str("Ready. Stop with Ctrl-C.\n");
    text
}

/// The table of `tandem calls`.
pub fn calls(calls: &[RecentCall]) -> String {
    if calls.is_empty() {
        return "No calls yet.\n".to_owned();
    }
    let mut text = format!(
        "{:<20} {:<18} {:<18} {:<14} {:>8} {:>4}  {}\n",
        "started (UTC)", "from", "to", "by", "talked", "MOS", "how it ended"
    );
    for call in calls {
        let talked = match (call.answered, call.ended) {
            (Some(answered), Some(ended)) => duration(ended.saturating_sub(answered) / 1000),
            (Some(_), None) => "up".to_owned(),
            (None, _) => "-".to_owned(),
        };
        let ended = match (call.ended, call.status) {
            (Some(_), Some(status)) => format!("{status} {}", cut(call.cause.as_deref().unwrap_or_default(), 200)),
            (_, _) => format!("it is up, as {}", cut(&call.id, 20)),
        };
        let trouble = call
            .trouble
            .as_ref()
            .map_or_else(String::new, |trouble| format!(" ({trouble})"));
        let mos = call.mos.map_or_else(|| "-".to_owned(), |mos| format!("{mos:.1}"));
        let _ = writeln!(
            text,
            "{:<20} {:<18} {:<18} {:<14} {talked:>8} {mos:>4}  {ended}{trouble}",
            utc(call.started),
            cut(&call.caller, 18),
            cut(&call.called, 18),
            cut(call.destination.as_deref().unwrap_or("-"), 14),
        );
    }
    text
}

/// What `tandem guard` prints.
pub fn guard(bans: &[ListedBan], cuts: &[ListedCut]) -> String {
    let mut text = String::new();
    for ban in bans {
        let (source, began, why) = (cut(&ban.source, 40), utc(ban.began), cut(&ban.why, 200));
        // Writing to a String does not fail.
        let _ = match (ban.ended, ban.dropped) {
            (None, _) => writeln!(
                text,
                "{source} is banned from {began} until {} UTC: {why}",
                utc(ban.ends)
            ),
            (Some(ended), Some(dropped)) => writeln!(
                text,
                "{source} was banned from {began} until {} UTC, {dropped} messages were dropped: {why}",
                utc(ended)
            ),
            (Some(ended), None) => writeln!(
                text,
                "{source} was banned from {began} until {} UTC, when the node ended: {why}",
                utc(ended)
            ),
        };
    }
    if bans.is_empty() {
        text.push_str("Nobody is banned, and nobody was.\n");
    }
    if cuts.is_empty() {
        text.push_str("Nothing was dropped or refused unheard within a day.\n");
    } else {
        let _ = writeln!(
            text,
            "{:>12} {:>12}  dropped or refused unheard",
            "within 1 h", "within 24 h"
        );
    }
    for listed in cuts {
        let [hour, day] = listed.counts;
        let _ = writeln!(text, "{hour:>12} {day:>12}  messages {}", cut(&listed.what, 200));
    }
    text.push_str("Bans are listed at once; what is dropped or refused is counted up to a minute later.\n");
    text
}

/// At most so many characters. What a peer wrote must not command the terminal: control characters become `?`.
pub fn cut(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { '?' } else { c });
    if text.chars().count() <= most {
        plain.collect()
    } else {
        plain.take(most - 1).chain(['…']).collect()
    }
}

/// `1:05`, `2:03:04`.
pub fn duration(seconds: u64) -> String {
    if seconds >= 3600 {
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

/// `2026-11-22 13:05:59`.
pub fn utc(millis: u64) -> String {
    let at = Wall(millis).civil();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        at.year, at.month, at.day, at.hour, at.minute, at.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line() {
        let call = RecentCall {
            id: "c1".into(),
            started: 1_795_352_759_000,
            answered: Some(1_795_352_760_000),
            ended: Some(1_795_352_825_000),
            caller: "+14155550101".into(),
            called: "bob".into(),
            destination: Some("user/bob".into()),
            status: Some(200),
            cause: Some("the caller hung up".into()),
            mos: Some(4.36),
            trouble: Some("callee: nothing came".into()),
        };
        let up = RecentCall {
            id: "c1a2b".into(),
            ended: None,
            ..call.clone()
        };
        let text = calls(&[call, up]);
        assert!(
            text.ends_with(" up  4.4  it is up, as c1a2b (callee: nothing came)\n"),
            "{text}"
        );
        let line = text.lines().nth(1).unwrap();
        assert_eq!(
            line,
            "2026-11-22 13:05:59  +14155550101       bob                user/bob           1:05  4.4  200 the caller hung up (callee: nothing came)"
        );
    }

    #[test]
    fn a_ban_and_a_kind_of_cuts_are_one_line_each() {
        let ban = |ended, dropped| ListedBan {
            source: "198.51.77.1".into(),
            began: 1_795_352_759_000,
            ends: 1_795_353_359_000,
            ended,
            why: "it guessed".into(),
            dropped,
        };
        let bans = [
            ban(None, None),
            ban(Some(1_795_353_359_000), Some(7)),
            ban(Some(1_795_352_760_000), None),
        ];
        let cuts = [ListedCut {
            what: "of banned sources".into(),
            counts: [12, 345],
        }];
        assert_eq!(
            guard(&bans, &cuts),
            "198.51.77.1 is banned from 2026-11-22 13:05:59 until 2026-11-22 13:15:59 UTC: it guessed\n\
             198.51.77.1 was banned from 2026-11-22 13:05:59 until 2026-11-22 13:15:59 UTC, 7 messages were dropped: it guessed\n\
             198.51.77.1 was banned from 2026-11-22 13:05:59 until 2026-11-22 13:06:00 UTC, when the node ended: it guessed\n\
             \x20 within 1 h  within 24 h  dropped or refused unheard\n\
             \x20         12          345  messages of banned sources\n\
             Bans are listed at once; what is dropped or refused is counted up to a minute later.\n"
        );
        let nothing = "Nobody is banned, and nobody was.\nNothing was dropped or refused unheard within a day.\n\
                       Bans are listed at once; what is dropped or refused is counted up to a minute later.\n";
        assert_eq!(guard(&[], &[]), nothing);
    }
}

//! Tables and banners that people read in a terminal.

use super::sources::Generated;
use super::store::RecentCall;
use crate::config::{Action, Config, Listen, Pattern};
use std::fmt::Write;
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
        Action::User(_) | Action::Trunk(_) | Action::Reject(_) => None,
    }
}

/// Where it listens.
pub fn listening(bound: &[Listen]) -> String {
    let mut text = String::from("\nListening on:\n");
    for listen in bound {
        let _ = writeln!(text, "  {}://{}", listen.transport.param(), listen.addr);
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
            (Some(_), Some(status)) => format!("{status} {}", call.cause.as_deref().unwrap_or_default()),
            (_, _) => "it is up".to_owned(),
        };
        let mos = call.mos.map_or_else(|| "-".to_owned(), |mos| format!("{mos:.1}"));
        let _ = writeln!(
            text,
            "{:<20} {:<18} {:<18} {:<14} {talked:>8} {mos:>4}  {ended}",
            utc(call.started),
            cut(&call.caller, 18),
            cut(&call.called, 18),
            cut(call.destination.as_deref().unwrap_or("-"), 14),
        );
    }
    text
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

fn duration(seconds: u64) -> String {
    if seconds >= 3600 {
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

/// `2026-11-22 13:05:59`, by the civil calendar from days since 1970 (400-year cycles of 146,097 days from 0000-03-01).
fn utc(millis: u64) -> String {
    let seconds = millis / 1000;
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, date) = (
        if shifted < 10 { shifted + 3 } else { shifted - 9 },
        of_year - (153 * shifted + 2) / 5 + 1,
    );
    let year = era * 400 + year + u64::from(month <= 2);
    let clock = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02}",
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_795_352_759_000), "2026-11-22 13:05:59");
    }

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
        };
        let text = calls(&[call]);
        let line = text.lines().nth(1).unwrap();
        assert_eq!(
            line,
            "2026-11-22 13:05:59  +14155550101       bob                user/bob           1:05  4.4  200 the caller hung up"
        );
    }
}

//! `tandem route`: what would happen to a call, and why, for somebody who reads the file at three in the morning.

use super::called::Called;
use super::{Decision, Pass, Plan, Source, decide, numbers, owner, pass, rule_words};
use crate::config::number::{How, Normal};
use crate::config::{Action, Config, Pattern, Route, Trunk, User, Way};
use std::fmt::Write;

/// What would happen to a call, which line decides, which lines were passed over and why; `called` is a number, a name or a URI. Where that
/// is for the running node to say, it says so. Ends in a newline.
pub fn explain(config: &Config, source: &Source, called: &str) -> String {
    let mut out = format!("{} calls {called}.\n", source.words(config));
    let dialled = match Called::read(config, source, called) {
        Called::Here(dialled, how) => {
            how.iter().for_each(|how| line(&mut out, format_args!("{how}")));
            dialled
        }
        Called::Elsewhere(sentence) => {
            line(&mut out, format_args!("{sentence}"));
            return out;
        }
    };
    let dialled = dialled.as_str();
    let normal = numbers::inward(config, source, dialled);
    let decision = decide(config, source, dialled);
    line(
        &mut out,
        format_args!("{}", number_words(config, source, dialled, &normal)),
    );
    let mut decided = false;
    for (ix, route) in config.routes.iter().enumerate() {
        let rule = rule_words(config, ix, route);
        let verdict = match pass(config, route, source, &normal.number) {
            None if matches!(route.action, Action::Way(_)) => way_words(&decision).to_owned(),
            None => "decides".to_owned(),
            Some(reason) => format!(
                "passed over: {}",
                pass_words(config, route, source, &normal.number, reason)
            ),
        };
        decided = verdict == "decides";
        line(&mut out, format_args!("  {rule}: {verdict}"));
        if decided {
            break;
        }
    }
    if !decided {
        line(&mut out, format_args!("  {}: decides", decision.rule));
    }
    out.push_str(&outcome(config, &decision));
    out.push_str(&fax_words(config, source, &decision));
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a String cannot fail");
}

fn number_words(config: &Config, source: &Source, dialled: &str, normal: &Normal) -> String {
    let country = match source {
        Source::User(_) => config.country,
        Source::Trunk(ix) => config.trunk(*ix).and_then(|trunk| trunk.numbers.country),
    };
    let Normal { number, how } = normal;
    match how {
        How::Name => format!("{dialled} is no number: it is compared as a name."),
        How::Extension if country.is_none() && number.len() > 6 => {
            let key = match source {
                Source::User(_) => "numbers: { country: ... }",
                Source::Trunk(_) => "the trunk's numbers: { country: ... }",
            };
            format!("{number} stays as it is: without {key} only numbers with a plus are read as E.164.")
        }
        How::Extension => format!("{number} stays as it is: {how}."),
        How::International
        | How::InternationalPrefix(_)
        | How::NationalPrefix(_)
        | How::National(_)
        | How::CallingCode(_)
        | How::Plain => format!("The number is {number}: {how}."),
    }
}

fn pass_words(config: &Config, route: &Route, source: &Source, number: &str, pass: Pass) -> String {
    match pass {
        Pass::To => match &route.to {
            Pattern::Exact(whole)
                if number.len() > whole.len() && whole.starts_with('+') && number.starts_with(&**whole) =>
            {
                format!("{number} is not {whole} ({whole}* stands for all that begin so)")
            }
            Pattern::Exact(whole) => format!("{number} is not {whole}"),
            Pattern::Prefix(start) => format!("{number} does not begin with {start}"),
            Pattern::Any => format!("{number} does not match *"),
        },
        Pass::From => format!("{} is not {}", source.words(config), route.from_words(config)),
        Pass::OurOwn => {
            let user = owner(config, number).map_or("a room", |user| &user.name);
            format!("{number} is {user}'s own, and only a route to exactly {number} sends it to a trunk")
        }
        Pass::TrunkToTrunk => {
            "a call from a trunk goes to a trunk only if from names that trunk or says trunk/*".to_owned()
        }
    }
}

/// What a route that only says the way does to this call.
fn way_words(decision: &Decision) -> &'static str {
    match (&decision.plan, decision.way) {
        (Plan::User(_), Way::Proxy) => "the call is proxied; the next that matches says where it goes",
        (Plan::User(_), Way::Bridge) => "the call is bridged; the next that matches says where it goes",
        (
            Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Room(_) | Plan::Reject { .. },
            Way::Proxy | Way::Bridge,
        ) => "without effect, since the call does not go to a user; the next that matches says where it goes",
    }
}

fn outcome(config: &Config, decision: &Decision) -> String {
    match &decision.plan {
        Plan::User(name) => match config.user(name) {
            Some(user) => user_outcome(user, decision.way),
            None => format!("{name} is called.\n"),
        },
        Plan::Trunk { ix, number } => match config.trunk(*ix) {
            Some(trunk) => trunk_outcome(trunk, number),
            None => format!("A trunk is called with the number {number}.\n"),
        },
        Plan::Echo => "The caller hears himself (echo).\n".to_owned(),
        Plan::Tone => "The caller hears a tone of 1,004 Hz.\n".to_owned(),
        Plan::Room(number) => room_outcome(config, number),
        Plan::Reject { status, why } => format!("The call is refused with {status}: {why}.\n"),
    }
}

/// Where a fax would be refused; nothing where it is passed on, or goes by itself.
fn fax_words(config: &Config, source: &Source, decision: &Decision) -> String {
    let of_user = |name: &str| config.user(name).filter(|user| !user.takes_fax()).map(|user| user.t38);
    let of_trunk = |ix| {
        config
            .trunk(ix)
            .filter(|trunk| !trunk.takes_fax())
            .map(|trunk| trunk.t38)
    };
    let caller = match source {
        Source::User(name) => of_user(name),
        Source::Trunk(ix) => of_trunk(*ix),
    };
    let callee = match (&decision.plan, decision.way) {
        (Plan::User(name), Way::Bridge) => of_user(name),
        (Plan::Trunk { ix, .. }, _) => of_trunk(*ix),
        (Plan::User(_), Way::Proxy) | (Plan::Echo | Plan::Tone | Plan::Room(_) | Plan::Reject { .. }, _) => {
            return String::new();
        }
    };
    let (side, t38) = match (caller, callee) {
        (Some(t38), _) => ("the caller", t38),
        (None, Some(t38)) => ("the called side", t38),
        (None, None) => return String::new(),
    };
    let key = if t38 { "srtp: required" } else { "t38: no" };
    format!("  fax (T.38): refused, since {side} has {key}\n")
}

fn user_outcome(user: &User, way: Way) -> String {
    let how = match way {
        Way::Bridge => "",
        Way::Proxy => " The call is proxied: media goes directly between the phones.",
    };
    let mut out = format!(
        "All phones of {} ring for up to {} s.{how}\n",
        user.name,
        user.ring.as_secs()
    );
    let diversions = [
        ("busy", &user.on_busy),
        ("no answer", &user.on_no_answer),
        ("no phone registered", &user.on_offline),
    ];
    for (case, target) in diversions {
        if let Some(target) = target {
            line(&mut out, format_args!("  {case}: the call goes on to {target}"));
        }
    }
    out
}

/// Which room, and what stands before its door.
fn room_outcome(config: &Config, number: &str) -> String {
    let Some(room) = config.room_settings(number) else {
        return format!("The caller joins room {number}.\n");
    };
    let which = match room.name_of(number) {
        _ if room.is_on_demand() => format!("{number}, which is made on demand"),
        name if name == number => number.to_owned(),
        name => format!("{number} ({name})"),
    };
    let mut out = format!("The caller joins room {which}: at most {} members.\n", room.max_members);
    match (&room.pin, &room.moderator_pin) {
        (Some(_), _) => out.push_str("  the PIN is asked for\n"),
        (None, Some(_)) => out.push_str("  the PIN of moderators is asked for; others press #\n"),
        (None, None) => {}
    }
    if room.wait_for_moderator {
        out.push_str("  nobody is let in before a moderator is\n");
    }
    if room.listeners {
        out.push_str("  who is no moderator only hears\n");
    }
    out
}

fn trunk_outcome(trunk: &Trunk, number: &str) -> String {
    let peers: Vec<_> = trunk.peers.iter().map(ToString::to_string).collect();
    format!(
        "Trunk {} is called with the number {number} (send: {}), by {}.\n",
        trunk.name,
        trunk.numbers.send.name(),
        peers.join(", then ")
    )
}

//! `routes`, and where a user's calls go when the user cannot take them.

use super::Check;
use super::users::{Case, Diversion};
use crate::config::checked::{Index, Trunk, User, Way};
use crate::config::country::Country;
use crate::config::number::{How, normalise};
use crate::config::problem::did_you_mean;
use crate::config::read::{Map, Wrong};
use crate::config::rooms::Room;
use crate::config::route::{Action, FromPattern, Pattern, Route};
use crate::config::{keys, values};
use crate::id::TrunkIx;
use std::sync::Arc;

/// Whom a route may name.
pub(super) struct Names<'c> {
    pub(super) users: &'c [User],
    pub(super) index: &'c Index,
    pub(super) trunks: &'c [Trunk],
    pub(super) rooms: &'c [Arc<Room>],
    pub(super) country: Option<&'c Country>,
}

/// Reads `routes`.
pub(super) fn routes(root: &Map<'_>, names: &Names<'_>, check: &mut Check<'_>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for field in root.list("routes", &mut check.problems) {
        let map = field.map(&keys::ROUTE, &mut check.problems);
        let to = map.require("to", &mut check.problems);
        let to = to.and_then(|field| field.parse(&mut check.problems, |text| pattern(text, names.country)));
        let from = match map.get("from") {
            Some(field) => field.parse(&mut check.problems, |text| names.from(text)),
            None => Some(FromPattern::Any),
        };
        let action = map.require("do", &mut check.problems);
        let action = action.and_then(|field| field.parse(&mut check.problems, |text| names.action(text)));
        let (Some(to), Some(from), Some(action)) = (to, from, action) else {
            continue;
        };
        // A route that only says the way lets those behind it decide.
        let is_way = |action: &Action| matches!(action, Action::Way(_));
        let same = |route: &&Route| route.to == to && route.from == from && is_way(&route.action) == is_way(&action);
        if let Some(first) = routes.iter().find(same) {
            let text = format!(
                "the route at line {} has the same to and from and comes first, so this one never decides. Remove one.",
                first.line
            );
            field.wrong(&mut check.problems, text);
        }
        routes.push(Route {
            line: field.mark().line,
            to,
            from,
            action,
        });
    }
    routes
}

/// `routes[].to`.
fn pattern(text: &str, country: Option<&Country>) -> Result<Pattern, Wrong> {
    match text {
        "" => return Err(Wrong::Form),
        "*" => return Ok(Pattern::Any),
        "+" | "+*" => return Ok(Pattern::Prefix("+".to_owned())),
        _ => {}
    }
    let Some(start) = text.strip_suffix('*') else {
        let normal = normalise(text, country, false);
        let is_name = normal.how == How::Name;
        return if is_name {
            values::user_name(text).map(Pattern::Exact)
        } else {
            Ok(Pattern::Exact(normal.number))
        };
    };
    if start.contains('*') {
        return Err(Wrong::Form);
    }
    let start: String = if start.bytes().any(|b| b.is_ascii_alphabetic()) {
        values::user_name(start)?
    } else {
        start
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/'))
            .collect()
    };
    if start
        .strip_prefix('+')
        .is_some_and(|digits| !digits.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(Wrong::Form);
    }
    if let Some(country) = country
        && let Some(better) = outside(&start, country)
    {
        let text = format!(
            "{text} would never match: numbers are compared in E.164, and {} numbers of that form become {better}... \
             Write {better}*.",
            country.iso
        );
        return Err(Wrong::Because(text));
    }
    if start == "+" || values::user_name(&start).is_ok() {
        Ok(Pattern::Prefix(start))
    } else {
        Err(Wrong::Form)
    }
}

/// What a beginning that only dialled numbers have becomes in E.164: `0900` in Germany is `+49900`.
fn outside(start: &str, country: &Country) -> Option<String> {
    if let Some(rest) = start.strip_prefix(country.international_prefix) {
        return Some(format!("+{rest}"));
    }
    if !country.national_prefix.starts_with('0') {
        return None;
    }
    let rest = start
        .strip_prefix(country.national_prefix)
        .filter(|rest| !rest.is_empty())?;
    Some(format!("+{}{rest}", country.code))
}

impl Names<'_> {
    /// `routes[].from`.
    fn from(&self, text: &str) -> Result<FromPattern, Wrong> {
        match text.split_once('/') {
            None if text == "*" => Ok(FromPattern::Any),
            Some(("user", "*")) => Ok(FromPattern::AnyUser),
            Some(("trunk", "*")) => Ok(FromPattern::AnyTrunk),
            Some(("user", name)) => self.user(name).map(FromPattern::User),
            Some(("trunk", name)) => self.trunk(name).map(FromPattern::Trunk),
            Some(_) | None => Err(Wrong::Form),
        }
    }

    /// `routes[].do`.
    fn action(&self, text: &str) -> Result<Action, Wrong> {
        match text.split_once('/') {
            Some(("user", name)) => self.user(name).map(Action::User),
            Some(("trunk", name)) => self.trunk(name).map(Action::Trunk),
            Some(("room", name)) => self.room(name).map(|number| Action::Room(Some(number))),
            Some(("reject", status)) => values::whole(status, 400..=699).map(Action::Reject),
            Some(_) => Err(Wrong::Form),
            None => match values::one_of(text, &["echo", "tone", "room", "reject", "proxy", "bridge"])?.as_str() {
                "echo" => Ok(Action::Echo),
                "tone" => Ok(Action::Tone),
                "room" => Ok(Action::Room(None)),
                "proxy" => Ok(Action::Way(Way::Proxy)),
                "bridge" => Ok(Action::Way(Way::Bridge)),
                _ => Err(Wrong::Because(
                    "with which status? Write, for example, do: reject/403".to_owned(),
                )),
            },
        }
    }

    fn user(&self, name: &str) -> Result<String, Wrong> {
        if self.index.names.contains_key(name) {
            return Ok(name.to_owned());
        }
        let known: Vec<_> = self.users.iter().map(|user| user.name.as_str()).collect();
        Err(missing("user", name, &known))
    }

    fn room(&self, name: &str) -> Result<String, Wrong> {
        let found = self.rooms.iter().find(|room| room.number == name || room.name == name);
        let known: Vec<_> = self.rooms.iter().map(|room| room.number.as_str()).collect();
        found
            .map(|room| room.number.clone())
            .ok_or_else(|| missing("room", name, &known))
    }

    fn trunk(&self, name: &str) -> Result<TrunkIx, Wrong> {
        let place = self.trunks.iter().position(|trunk| trunk.name == name);
        let known: Vec<_> = self.trunks.iter().map(|trunk| trunk.name.as_str()).collect();
        let place = place.and_then(|place| u16::try_from(place).ok());
        place.map(TrunkIx).ok_or_else(|| missing("trunk", name, &known))
    }
}

/// Names that an error message lists before it says "and N more".
const LISTED: usize = 8;

fn missing(kind: &str, name: &str, known: &[&str]) -> Wrong {
    let meant = did_you_mean(name, known.iter().copied());
    let rest = if !meant.is_empty() {
        meant
    } else if known.is_empty() {
        format!("; {kind}s is empty.")
    } else if known.len() > LISTED {
        format!(
            "; there are {} and {} more.",
            known[..LISTED].join(", "),
            known.len() - LISTED
        )
    } else {
        format!("; there is {}.", known.join(", "))
    };
    Wrong::Because(format!("there is no {kind} {name:?}{rest}"))
}

/// Brings each `on_busy`, `on_no_answer` and `on_offline` to the form that is dialled; those that lead nowhere are problems.
pub(super) fn diversions(
    written: &[Diversion<'_>],
    names: &Names<'_>,
    routes: &[Route],
    check: &mut Check<'_>,
) -> Vec<(usize, Case, String)> {
    let mut found = Vec::new();
    for diversion in written {
        let target = diversion
            .field
            .parse(&mut check.problems, |text| names.target(text, diversion.user, routes));
        found.extend(target.map(|target| (diversion.user, diversion.case, target)));
    }
    found
}

impl Names<'_> {
    /// The number or name that a call of `user` goes on to.
    fn target(&self, text: &str, user: usize, routes: &[Route]) -> Result<String, Wrong> {
        let normal = normalise(text, self.country, false);
        match self
            .index
            .names
            .get(&normal.number)
            .or(self.index.numbers.get(&normal.number))
        {
            Some(owner) if *owner == user => return Err(Wrong::Because(format!("{text} is this user again."))),
            Some(_) => return Ok(normal.number),
            None if self.rooms.iter().any(|room| room.number == normal.number) => return Ok(normal.number),
            None => {}
        }
        let leads = |route: &Route| !matches!(route.action, Action::Way(_)) && route.to.matches(&normal.number);
        if routes.iter().any(leads) {
            return Ok(normal.number);
        }
        let meant = did_you_mean(text, self.users.iter().map(|user| user.name.as_str()));
        let rest = if meant.is_empty() { "." } else { &meant };
        let text = format!("{text} leads nowhere: no user has that name or number, and no route takes it{rest}");
        Err(Wrong::Because(text))
    }
}

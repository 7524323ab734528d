//! The dial plan as data: who calls what -> where it goes, and which line decided. Pure: the answer to a call and the
//! answer to `tandem route` are one function.
//!
//! Order: the routes of the file, the first that matches; then our users by name and number; then rooms by number; then 404. Two guards hold
//! before a route to a trunk is taken:
//! - a user's own name or number, or a room's, is not sent to a trunk, unless a route names exactly it: our users reach each other
//!   without a route, also beside `{ to: "+", from: user/*, do: trunk/acme }`;
//! - a call from a trunk is not sent to a trunk, unless the route's `from` names trunks: nobody calls the world at our cost.

mod called;
mod explain;
pub mod numbers;

pub use explain::explain;

use crate::config::{Action, Config, FromPattern, Pattern, Record, Route, User, Way};
use crate::id::TrunkIx;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A user of ours, by name, authenticated.
    User(String),
    /// A carrier, identified.
    Trunk(TrunkIx),
}

/// What is to be done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// All phones of this user ring.
    User(String),
    /// A carrier is called.
    Trunk {
        /// Which.
        ix: TrunkIx,
        /// The number in the form that this carrier wants to see.
        number: String,
    },
    /// The caller hears himself.
    Echo,
    /// The caller hears a tone.
    Tone,
    /// The caller joins the room with this number.
    Room(String),
    /// The call is refused.
    Reject {
        /// The status of the answer.
        status: u16,
        /// Why, as a sentence for the log.
        why: String,
    },
}

/// The answer of the dial plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub plan: Plan,
    /// How a call to a user is taken there. A call to a trunk or a service is bridged whatever this says.
    pub way: Way,
    /// What decided, for the log: `routes[2] at line 31: to +, from user/* -> trunk/acme`.
    pub rule: String,
    /// What was called, in the form that is compared inside (E.164 with plus, an extension, a name).
    pub number: String,
}

/// Why a route does not take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// `to` does not match.
    To,
    /// `from` does not match.
    From,
    /// The number or name is our user's own, and the route would send it out.
    OurOwn,
    /// It would join two trunks without saying so.
    TrunkToTrunk,
}

/// Says where a call goes. `dialled` is the user part that was called, decoded: a number or a name.
pub fn decide(config: &Config, source: &Source, dialled: &str) -> Decision {
    let number = numbers::inward(config, source, dialled).number;
    let mut takers = config
        .routes
        .iter()
        .enumerate()
        .filter(|(_, route)| pass(config, route, source, &number).is_none());
    let mut said = None;
    let found = takers.find(|(_, route)| match route.action {
        Action::Way(way) => {
            said.get_or_insert(way);
            false
        }
        Action::User(_) | Action::Trunk(_) | Action::Echo | Action::Tone | Action::Room(_) | Action::Reject(_) => true,
    });
    let (plan, rule) = match (found, owner(config, &number)) {
        (Some((ix, route)), _) => (plan(config, route, &number), rule_words(config, ix, route)),
        (None, Some(user)) => (Plan::User(user.name.clone()), owner_words(user, &number)),
        (None, None) => match config.rooms.iter().find(|room| room.number == number) {
            Some(room) => (Plan::Room(number.clone()), format!("rooms: {}, by number", room.name)),
            None => {
                let why = "no route takes it, and no user has that name or number".to_owned();
                (Plan::Reject { status: 404, why }, "no rule".to_owned())
            }
        },
    };
    let said = if is_recorded(config, source, &plan) {
        Some(Way::Bridge)
    } else {
        said
    };
    Decision {
        way: said.unwrap_or_else(|| usual_way(config, source, &plan)),
        plan,
        rule,
        number,
    }
}

/// True where a side wants calls recorded, or may: their media must come through this node.
fn is_recorded(config: &Config, source: &Source, plan: &Plan) -> bool {
    let records = |record: Record| record != Record::No;
    let user = |name: &str| config.user(name).is_some_and(|user| records(user.record));
    let caller = match source {
        Source::User(name) => user(name),
        Source::Trunk(ix) => config.trunk(*ix).is_some_and(|trunk| records(trunk.record)),
    };
    // A call to a trunk or a service is bridged anyway.
    caller || matches!(plan, Plan::User(name) if user(name))
}

/// The way where no route says one: a call between users whose domains both say `proxy` is proxied.
fn usual_way(config: &Config, source: &Source, plan: &Plan) -> Way {
    let way_of = |name: &String| {
        config
            .user(name)
            .map_or(Way::Bridge, |user| config.way_of(&user.domain))
    };
    match (source, plan) {
        (Source::User(caller), Plan::User(callee)) if way_of(caller) == Way::Proxy => way_of(callee),
        (Source::User(_) | Source::Trunk(_), _) => Way::Bridge,
    }
}

/// The user who is called by this name or number without a route.
fn owner<'c>(config: &'c Config, number: &str) -> Option<&'c User> {
    config.user(number).or_else(|| config.user_by_number(number))
}

/// The number is a user's, or a room's.
fn is_ours(config: &Config, number: &str) -> bool {
    owner(config, number).is_some() || config.rooms.iter().any(|room| room.number == number)
}

/// Why the route does not take the call; none if it does.
fn pass(config: &Config, route: &Route, source: &Source, number: &str) -> Option<Pass> {
    if !route.to.matches(number) {
        return Some(Pass::To);
    }
    if !comes_from(&route.from, source) {
        return Some(Pass::From);
    }
    match route.action {
        Action::User(_) | Action::Echo | Action::Tone | Action::Room(_) | Action::Reject(_) | Action::Way(_) => None,
        Action::Trunk(_) if joins_trunks_unasked(route, source) => Some(Pass::TrunkToTrunk),
        Action::Trunk(_) if !matches!(route.to, Pattern::Exact(_)) && is_ours(config, number) => Some(Pass::OurOwn),
        Action::Trunk(_) => None,
    }
}

fn comes_from(from: &FromPattern, source: &Source) -> bool {
    match (from, source) {
        (FromPattern::Any, Source::User(_) | Source::Trunk(_)) => true,
        (FromPattern::AnyUser, Source::User(_)) | (FromPattern::AnyTrunk, Source::Trunk(_)) => true,
        (FromPattern::User(name), Source::User(caller)) => name == caller,
        (FromPattern::Trunk(ix), Source::Trunk(caller)) => ix == caller,
        (FromPattern::AnyUser | FromPattern::User(_), Source::Trunk(_)) => false,
        (FromPattern::AnyTrunk | FromPattern::Trunk(_), Source::User(_)) => false,
    }
}

fn joins_trunks_unasked(route: &Route, source: &Source) -> bool {
    let from_trunk = match source {
        Source::Trunk(_) => true,
        Source::User(_) => false,
    };
    from_trunk && route.from == FromPattern::Any
}

fn plan(config: &Config, route: &Route, number: &str) -> Plan {
    match &route.action {
        Action::User(name) => Plan::User(name.clone()),
        Action::Trunk(ix) => {
            let number = config
                .trunk(*ix)
                .map_or_else(|| number.to_owned(), |trunk| numbers::outward(trunk, number));
            Plan::Trunk { ix: *ix, number }
        }
        Action::Echo => Plan::Echo,
        Action::Tone => Plan::Tone,
        Action::Room(room) => joined(config, room.as_deref().unwrap_or(number)),
        Action::Reject(status) => Plan::Reject {
            status: *status,
            why: "the dial plan refuses it".to_owned(),
        },
        // `decide` goes on behind such a route.
        Action::Way(_) => Plan::Reject {
            status: 404,
            why: "the route only says how".to_owned(),
        },
    }
}

/// True where a route makes a room of this number when somebody calls it, though the configuration has none of its own for it.
pub fn makes_room(config: &Config, number: &str) -> bool {
    let makes = |route: &Route| match &route.action {
        Action::Room(Some(room)) => room == number,
        Action::Room(None) => route.to.matches(number) && config.room_settings(number).is_some(),
        Action::User(_) | Action::Trunk(_) | Action::Echo | Action::Tone | Action::Reject(_) | Action::Way(_) => false,
    };
    config.routes.iter().any(makes)
}

/// The room of this number: a number that may be none is refused.
fn joined(config: &Config, number: &str) -> Plan {
    match config.room_settings(number) {
        Some(_) => Plan::Room(number.to_owned()),
        None => {
            let why = "no room can have that number".to_owned();
            Plan::Reject { status: 404, why }
        }
    }
}

/// `routes[2] at line 31: to +, from user/* -> trunk/acme`.
fn rule_words(config: &Config, ix: usize, route: &Route) -> String {
    let (from, action) = (route.from_words(config), route.action_words(config));
    format!(
        "routes[{ix}] at line {}: to {}, from {from} -> {action}",
        route.line, route.to
    )
}

/// `users: bob, by number`: without the number, which a log does not show.
fn owner_words(user: &User, number: &str) -> String {
    format!(
        "users: {}, by {}",
        user.name,
        if user.name == number { "name" } else { "number" }
    )
}

impl Source {
    /// Reads `user/alice` or `trunk/acme`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(config: &Config, text: &str) -> Result<Source, String> {
        let known = |kind: &str, names: Vec<&str>| match names.is_empty() {
            true => format!("the file has no {kind}s"),
            false => format!("the {kind}s are {}", names.join(", ")),
        };
        match text.split_once('/') {
            Some(("user", name)) if config.user(name).is_some() => Ok(Source::User(name.to_owned())),
            Some(("user", name)) => {
                let names = config.users.iter().take(20).map(|user| user.name.as_str()).collect();
                Err(format!("there is no user {name:?}; {}.", known("user", names)))
            }
            Some(("trunk", name)) => config
                .trunk_by_name(name)
                .map(|(ix, _)| Source::Trunk(ix))
                .ok_or_else(|| {
                    let names = config.trunks.iter().take(20).map(|trunk| trunk.name.as_str()).collect();
                    format!("there is no trunk {name:?}; {}.", known("trunk", names))
                }),
            Some(_) | None => {
                let user = config.user(text).map(|user| format!("user/{}", user.name));
                let trunk = config
                    .trunk_by_name(text)
                    .map(|(_, trunk)| format!("trunk/{}", trunk.name));
                let meant = user.or(trunk).unwrap_or_else(|| "user/NAME or trunk/NAME".to_owned());
                Err(format!("{text:?} is no caller. Write {meant}."))
            }
        }
    }

    /// `user/alice`.
    pub fn words(&self, config: &Config) -> String {
        match self {
            Source::User(name) => format!("user/{name}"),
            Source::Trunk(ix) => config.trunk_words(*ix),
        }
    }
}

#[cfg(test)]
mod tests;

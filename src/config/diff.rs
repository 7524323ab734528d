//! What a reload changes: what the node acts on, and sentences for the log.

use super::checked::{Config, Listen};
use super::count;
use crate::media::command::Music;
use crate::pii::Scrubbed;
use std::net::IpAddr;

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names of users who are new.
    pub users_added: Vec<String>,
    /// Names of users who are gone: their bindings go too.
    pub users_removed: Vec<String>,
    /// Names of users of whom anything is different.
    pub users_changed: Vec<String>,
    /// Names of users whose domain is different: their address of record is another one.
    pub users_moved: Vec<String>,
    /// Names of trunks that are new.
    pub trunks_added: Vec<String>,
    /// Names of trunks that are gone: they drain.
    pub trunks_removed: Vec<String>,
    /// Names of trunks of which anything is different.
    pub trunks_changed: Vec<String>,
    /// Listeners to open.
    pub listeners_added: Vec<Listen>,
    /// Listeners to close.
    pub listeners_removed: Vec<Listen>,
    /// The new range of RTP ports, or their address, is different.
    pub ports: bool,
    /// The dial plan is different: `routes` or `numbers`.
    pub routes: bool,
    /// Other keys that apply at once, by path.
    pub others: Vec<&'static str>,
    /// Keys that apply only after a restart, by path.
    pub restart: Vec<&'static str>,
    /// One sentence for each of the above.
    pub sentences: Vec<String>,
}

impl Changes {
    /// True if the two are the same.
    pub fn is_empty(&self) -> bool {
        self.sentences.is_empty()
    }
}

impl Config {
    /// What is different in `new`.
    pub fn diff(old: &Config, new: &Config) -> Changes {
        let mut changes = Changes::default();
        users(old, new, &mut changes);
        trunks(old, new, &mut changes);
        listeners(old, new, &mut changes);
        changes.ports = media_ports(old) != media_ports(new);
        changes.routes = !same_routes(old, new);
        keys(old, new, &mut changes);
        changes.sentences = sentences(old, new, &changes);
        changes
    }

    /// True if new calls have their media elsewhere by `new`: ports that wait for them are then closed, and nobody gives them to a call.
    pub fn moves_media(&self, new: &Config) -> bool {
        media_ports(self) != media_ports(new) || self.listen != new.listen
    }
}

fn media_ports(of: &Config) -> (u16, u16, Option<IpAddr>) {
    (of.media.first_port, of.media.last_port, of.media.address)
}

fn users(old: &Config, new: &Config, changes: &mut Changes) {
    for user in &new.users {
        match old.user(&user.name) {
            None => changes.users_added.push(user.name.clone()),
            Some(before) if before == user => {}
            Some(before) => {
                changes.users_changed.push(user.name.clone());
                if before.domain != user.domain {
                    changes.users_moved.push(user.name.clone());
                }
            }
        }
    }
    let gone = old.users.iter().filter(|user| new.user(&user.name).is_none());
    changes.users_removed = gone.map(|user| user.name.clone()).collect();
}

fn trunks(old: &Config, new: &Config, changes: &mut Changes) {
    for trunk in &new.trunks {
        match old.trunk_by_name(&trunk.name) {
            None => changes.trunks_added.push(trunk.name.clone()),
            Some((_, before)) if before == trunk => {}
            Some(_) => changes.trunks_changed.push(trunk.name.clone()),
        }
    }
    let gone = old
        .trunks
        .iter()
        .filter(|trunk| new.trunk_by_name(&trunk.name).is_none());
    changes.trunks_removed = gone.map(|trunk| trunk.name.clone()).collect();
}

fn listeners(old: &Config, new: &Config, changes: &mut Changes) {
    changes.listeners_added = new
        .listen
        .iter()
        .filter(|listen| !old.listen.contains(listen))
        .copied()
        .collect();
    changes.listeners_removed = old
        .listen
        .iter()
        .filter(|listen| !new.listen.contains(listen))
        .copied()
        .collect();
}

/// Lines and places of trunks may move without a change.
fn same_routes(old: &Config, new: &Config) -> bool {
    let plan = |config: &Config| -> Vec<[String; 3]> {
        let show = |route: &super::Route| {
            [
                route.to.to_string(),
                route.from_words(config),
                route.action_words(config),
            ]
        };
        config.routes.iter().map(show).collect()
    };
    old.country == new.country && plan(old) == plan(new)
}

fn keys(old: &Config, new: &Config, changes: &mut Changes) {
    let (media, other) = (&old.media, &new.media);
    let codec = |media: &super::Media| (media.silence, media.opus());
    let others = [
        ("advertise", old.advertise != new.advertise),
        ("tls", old.tls != new.tls),
        ("dns", old.dns != new.dns),
        ("domains", old.domains != new.domains),
        ("media", codec(media) != codec(other)),
        ("recording", old.recording != new.recording),
        ("music_on_hold", old.music_on_hold != new.music_on_hold),
        ("announcements", old.announcements != new.announcements),
        ("rooms", old.rooms != new.rooms || on_demand(old) != on_demand(new)),
        (
            "registrar",
            old.registrar != new.registrar || old.watchers != new.watchers,
        ),
        ("push", old.push != new.push),
        ("calls", old.calls != new.calls),
        ("guard", old.guard != new.guard),
        ("ng", both(ng(old), ng(new))),
        ("turn", both(turn(old), turn(new))),
        ("api", both(api(old), api(new))),
        ("log.level", old.log.level != new.log.level),
    ];
    let restart = [
        ("node.name", old.node_name != new.node_name),
        ("store.path", old.store.path != new.store.path),
        ("store.records", old.store.records != new.store.records),
        ("store.bindings", old.store.bindings != new.store.bindings),
        ("control.socket", control(old) != control(new)),
        ("media.workers", media.workers != other.workers),
        ("media.browser_ports", media.shared_port != other.shared_port),
        ("media.browser_tcp", media.browser_tcp != other.browser_tcp),
        ("media.address", media.has_doors() && media.address != other.address),
        ("ng", old.ng.is_some() != new.ng.is_some()),
        ("ng.listen", both(ng_listen(old), ng_listen(new))),
        ("turn", old.turn.is_some() != new.turn.is_some()),
        ("turn.listen", both(listen(old), listen(new))),
        ("turn.addresses", both(relayed(old), relayed(new))),
        ("turn.ports", both(relayed_ports(old), relayed_ports(new))),
        ("api", old.api.is_some() != new.api.is_some()),
        ("api.listen", both(api_listen(old), api_listen(new))),
        ("log.format", old.log.json != new.log.json),
    ];
    changes.others = others
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(path, _)| path)
        .collect();
    changes.restart = restart
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(path, _)| path)
        .collect();
}

/// Whether a part of a section that both have differs.
fn both<T: PartialEq>(old: Option<T>, new: Option<T>) -> bool {
    old.zip(new).is_some_and(|(old, new)| old != new)
}

/// Where nobody has written it, it is a matter of the store's path.
fn control(of: &Config) -> Option<&super::Control> {
    Some(&of.control).filter(|control| !control.is_usual)
}

/// Without music that is not their own.
fn on_demand(of: &Config) -> super::Room {
    let mut room = (*of.room_on_demand).clone();
    if room.music == of.music_on_hold {
        room.music = Music::default();
    }
    room
}

/// Without where it listens.
fn ng(of: &Config) -> Option<(&[super::Network], std::time::Duration)> {
    of.ng.as_ref().map(|ng| (&*ng.allow, ng.timeout))
}

fn ng_listen(of: &Config) -> Option<std::net::SocketAddr> {
    of.ng.as_ref().map(|ng| ng.listen)
}

/// Without where it is reached, and what other sections have of our addresses.
fn turn(of: &Config) -> Option<super::Turn> {
    let mut turn = of.turn.clone()?;
    turn.doors.listen.clear();
    turn.doors.addresses.clear();
    turn.doors.external.clear();
    (turn.doors.first_port, turn.doors.last_port) = (0, 0);
    turn.own = super::Own::default();
    Some(turn)
}

fn listen(of: &Config) -> Option<&[Listen]> {
    of.turn.as_ref().map(|turn| &*turn.doors.listen)
}

/// As we and as others see them.
fn relayed(of: &Config) -> Option<[&[IpAddr]; 2]> {
    of.turn
        .as_ref()
        .map(|turn| [&*turn.doors.addresses, &*turn.doors.external])
}

fn relayed_ports(of: &Config) -> Option<(u16, u16)> {
    of.turn
        .as_ref()
        .map(|turn| (turn.doors.first_port, turn.doors.last_port))
}

/// Without where it is served.
fn api(of: &Config) -> Option<super::Api> {
    let mut api = of.api.clone()?;
    api.listen = std::net::SocketAddr::from(([0; 4], 0));
    Some(api)
}

fn api_listen(of: &Config) -> Option<std::net::SocketAddr> {
    of.api.as_ref().map(|api| api.listen)
}

fn sentences(old: &Config, new: &Config, changes: &Changes) -> Vec<String> {
    let mut out = Vec::new();
    let mut name = |what: &str, names: &[String], how: &str| {
        if !names.is_empty() {
            out.push(format!("{} {how}: {}.", count(names.len(), what), listed(names)));
        }
    };
    name("user", &changes.users_added, "added");
    name("user", &changes.users_removed, "removed, with all registrations");
    name("user", &changes.users_changed, "changed");
    name("trunk", &changes.trunks_added, "added");
    name("trunk", &changes.trunks_removed, "removed, and left to drain");
    name("trunk", &changes.trunks_changed, "changed");
    let added: Vec<_> = changes.listeners_added.iter().map(ToString::to_string).collect();
    let removed: Vec<_> = changes.listeners_removed.iter().map(ToString::to_string).collect();
    name("listener", &added, "to open");
    name("listener", &removed, "to close");
    if changes.ports {
        let address = new
            .media
            .address
            .map_or_else(|| "every address".to_owned(), |address| address.to_string());
        let (first, last) = (new.media.first_port, new.media.last_port);
        out.push(format!("New calls take media ports {first}-{last} on {address}."));
    }
    if changes.routes {
        let (before, after) = (count(old.routes.len(), "route"), count(new.routes.len(), "route"));
        out.push(format!("The dial plan is new: {after}, before {before}."));
    }
    out.extend(changes.others.iter().map(|path| format!("{path} changed.")));
    out.extend(changes.restart.iter().map(|path| at_the_next_start(new, path)));
    out
}

/// What a restart changes; of a section that came or went, what is until then.
fn at_the_next_start(new: &Config, path: &str) -> String {
    let is_there = match path {
        "ng" => new.ng.is_some(),
        "turn" => new.turn.is_some(),
        "api" => new.api.is_some(),
        _key => return format!("{path} changed, which takes effect at the next start."),
    };
    match (is_there, path) {
        (true, _) => format!("{path} is new, which takes effect at the next start."),
        (false, "api") => {
            "api is gone from the file: from now on nobody may use it, and its port is closed at the next start."
                .to_owned()
        }
        (false, _) => format!("{path} is gone from the file, and goes on as it was until the next start."),
    }
}

/// Names that a sentence lists before it says "and N more".
const LISTED: usize = 10;

/// A sentence with them goes into the log.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| Scrubbed(name).to_string())
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

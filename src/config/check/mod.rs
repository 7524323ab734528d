//! The tree -> the checked configuration. Each part reports what is wrong and goes on with a default, so that one run
//! finds everything.

mod api;
mod control;
mod guard;
mod listen;
mod ng;
mod push;
mod rooms;
mod routes;
mod secret;
mod siprec;
mod sounds;
mod tls;
mod trunks;
mod turn;
mod users;

use super::api::Api;
use super::checked::{Calls, Config, Listen, Log, Media, Registrar, Store, User};
use super::control::Control;
use super::country::Country;
use super::keys;
use super::ng::Ng;
use super::problem::{Problem, Problems};
use super::raw;
use super::read::{Field, Map, Wrong};
use super::recording::{Beep, Recording};
use super::{Sources, values};
use crate::media::command::{Format, Gains};
use codecs::gain::Gain;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What every part is given.
pub(super) struct Check<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) problems: Problems,
    sounds: sounds::Sounds,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Checks a whole file.
pub(super) fn check(file: &str, text: &str, sources: &Sources<'_>) -> Result<Config, Vec<Problem>> {
    let mut check = Check {
        sources,
        problems: Problems::new(file),
        sounds: sounds::Sounds::default(),
    };
    match raw::read(text) {
        Ok(node) => {
            let root = Map::open(&node, String::new(), &keys::ROOT, &mut check.problems);
            let config = config(&root, &mut check);
            check.problems.or(|| config)
        }
        Err(unreadable) => {
            let raw::Mark { line, column } = unreadable.mark;
            Err(vec![Problem {
                file: file.to_owned(),
                line,
                column,
                path: String::new(),
                text: unreadable.text,
            }])
        }
    }
}

fn store(root: &Map<'_>, check: &mut Check<'_>) -> (Store, Control) {
    let store = root.section("store", &keys::STORE, &mut check.problems);
    let path = PathBuf::from("data/tandem.db");
    let store = Store {
        path: store.value("path", path, &mut check.problems, |text| Ok(text.into())),
        records: store.value("records", true, &mut check.problems, values::yes_or_no),
        bindings: store.value("bindings", true, &mut check.problems, values::yes_or_no),
    };
    let control = control::control(root, &store.path, check);
    (store, control)
}

fn node_name(root: &Map<'_>, check: &mut Check<'_>) -> String {
    let node = root.section("node", &keys::NODE, &mut check.problems);
    node.value("name", "tandem".to_owned(), &mut check.problems, values::label)
}

fn recording(root: &Map<'_>, listen: &[Listen], check: &mut Check<'_>) -> Recording {
    let map = &root.section("recording", &keys::RECORDING, &mut check.problems);
    let directory = PathBuf::from("data/recordings");
    let announcement = sounds::announcement(map, "announcement", check);
    let siprec = siprec::siprec(map, listen, check);
    let problems = &mut check.problems;
    Recording {
        directory: map.value("directory", directory, problems, |text| Ok(text.into())),
        format: map.value("format", Format::Wav, problems, values::format),
        keep: map.value("keep", None, problems, values::keep),
        max_size: map.value("max_size", None, problems, values::size),
        tone: map.value("tone", Beep::Never, problems, values::beep),
        announcement,
        siprec,
    }
}

fn config(root: &Map<'_>, check: &mut Check<'_>) -> Config {
    let node_name = node_name(root, check);
    let advertise = advertise(root, check);
    let listen = listen::listeners(root, check);
    let media = listen::media(root, &listen, check);
    let listen: Vec<Listen> = listen.into_iter().map(|(listen, _)| listen).collect();
    let recording = recording(root, &listen, check);
    let (music_on_hold, announcements) = sounds::of_all(root, check);
    let domains = users::domains(root, advertise, &listen, &node_name, check);
    let written = country(root, check);
    let trunks = trunks::trunks(root, written, check);
    tls::peers_can_be_reached(root, &listen, &trunks, check);
    let country = written.or_else(|| trunks::shared_country(&trunks));
    let users::Users {
        mut users,
        index,
        diversions,
    } = users::users(root, &domains, country.as_ref(), check);
    let sounds = (&music_on_hold, &recording);
    let (rooms, room_on_demand) = rooms::rooms(root, (&users, &index), country.as_ref(), sounds, check);
    let names = routes::Names {
        users: &users,
        index: &index,
        trunks: &trunks,
        rooms: &rooms,
        country: country.as_ref(),
    };
    let routes = routes::routes(root, &names, check);
    let diversions = routes::diversions(&diversions, &names, &routes, check);
    users::divert(&mut users, diversions);
    let (store, control) = store(root, check);
    let section = root.section("registrar", &keys::REGISTRAR, &mut check.problems);
    let (registrar, watchers) = (registrar(&section, check), push::watchers(&section, &users, check));
    let calls = calls(&root.section("calls", &keys::CALLS, &mut check.problems), check);
    let (push, guard) = (push::push(root, check), guard::guard(root, check));
    let (ng, api) = doors(root, &listen, (&media, advertise), &users, check);
    let turn = turn::turn(root, (&listen, &media, advertise, &domains), (&ng, &api), check);
    let (log, tls, dns) = (log(root, check), tls::tls(root, check), tls::dns(root, check));
    tls::clients_can_come(root, &tls, &trunks, check);
    Config {
        node_name,
        listen,
        advertise,
        tls,
        dns,
        media,
        recording,
        music_on_hold,
        announcements,
        domains,
        users,
        trunks,
        rooms,
        room_on_demand,
        routes,
        store,
        control,
        registrar,
        watchers,
        push,
        calls,
        guard,
        ng,
        turn,
        api,
        log,
        country,
        index,
    }
}

/// By which others come than by SIP.
fn doors(
    root: &Map<'_>,
    listen: &[Listen],
    (media, advertise): (&Media, Option<IpAddr>),
    users: &[User],
    check: &mut Check<'_>,
) -> (Option<Ng>, Option<Api>) {
    let ng = ng::ng(root, listen, media, advertise, check);
    let api = api::api(root, listen, users, check);
    if let (Some(api), Some(field)) = (&api, root.get("api")) {
        let listeners = listen.iter().map(|listen| listen.addr.ip());
        let mut known = advertise.into_iter().chain(media.address).chain(listeners);
        let calls = api.keys.iter().any(|key| key.users || key.calls_as.is_some());
        if calls && api.listen.ip().is_loopback() && !listen.is_empty() && known.all(|addr| addr.is_unspecified()) {
            let text = "clients come by a proxy on this host, and no address is known that they can send media to. Write advertise, or media: { \
                        address: ... }.";
            field.wrong(&mut check.problems, text);
        }
    }
    (ng, api)
}

fn advertise(root: &Map<'_>, check: &mut Check<'_>) -> Option<IpAddr> {
    let field = root.get("advertise")?;
    field.parse(&mut check.problems, values::unicast)
}

fn country(root: &Map<'_>, check: &mut Check<'_>) -> Option<Country> {
    let numbers = root.section("numbers", &keys::NUMBERS, &mut check.problems);
    let field = numbers.get("country")?;
    field.parse(&mut check.problems, values::country)
}

fn registrar(map: &Map<'_>, check: &mut Check<'_>) -> Registrar {
    let problems = &mut check.problems;
    let in_day = |text: &str| values::duration_in(text, SECOND..=DAY);
    let min_expires = map.value("min_expires", MINUTE, problems, in_day);
    let max_expires = map.value("max_expires", HOUR.max(min_expires), problems, in_day);
    let default_expires = map.value(
        "default_expires",
        HOUR.clamp(min_expires.min(max_expires), max_expires),
        problems,
        in_day,
    );
    if min_expires > max_expires {
        let text = format!(
            "max_expires ({}) is less than min_expires ({}), so no registration would be accepted.",
            values::spell(max_expires),
            values::spell(min_expires)
        );
        problems.add(map.mark, &map.path, text);
    } else if !(min_expires..=max_expires).contains(&default_expires) {
        let text = format!(
            "default_expires ({}) must lie between min_expires ({}) and max_expires ({}).",
            values::spell(default_expires),
            values::spell(min_expires),
            values::spell(max_expires)
        );
        problems.add(map.mark, &map.path, text);
    }
    Registrar {
        min_expires,
        max_expires,
        default_expires,
    }
}

fn calls(map: &Map<'_>, check: &mut Check<'_>) -> Calls {
    let problems = &mut check.problems;
    let session = |text: &str| values::duration_in(text, 90 * SECOND..=DAY);
    let max_duration = map.value("max_duration", 4 * HOUR, problems, |text| {
        values::duration_in(text, SECOND..=30 * DAY)
    });
    let min_session_expires = map.value("min_session_expires", 90 * SECOND, problems, session);
    let session_expires = map.value(
        "session_expires",
        (30 * MINUTE).max(min_session_expires),
        problems,
        session,
    );
    let stop_grace = map.value("stop_grace", 30 * SECOND, problems, |text| {
        values::duration_in(text, Duration::ZERO..=HOUR)
    });
    let transfer = map.value("transfer", true, problems, values::yes_or_no);
    if session_expires < min_session_expires {
        let text = format!(
            "session_expires ({}) is less than min_session_expires ({}), so we would ask for what we refuse.",
            values::spell(session_expires),
            values::spell(min_session_expires)
        );
        problems.add(map.mark, &map.path, text);
    }
    Calls {
        max_duration,
        session_expires,
        min_session_expires,
        stop_grace,
        transfer,
    }
}

fn log(root: &Map<'_>, check: &mut Check<'_>) -> Log {
    let map = root.section("log", &keys::LOG, &mut check.problems);
    let format = map.value("format", "text".to_owned(), &mut check.problems, |text| {
        values::one_of(text, &["text", "json"])
    });
    let level = map.value("level", "info".to_owned(), &mut check.problems, |text| {
        values::one_of(text, &["error", "warn", "info", "debug", "trace"])
    });
    Log {
        json: format == "json",
        level,
    }
}

/// `gain_in` and `gain_out` of a party.
fn gains(map: &Map<'_>, problems: &mut Problems) -> Gains {
    Gains {
        from_peer: map.value("gain_in", Gain::NONE, problems, values::gain),
        to_peer: map.value("gain_out", Gain::NONE, problems, values::gain),
    }
}

/// The entries that `parse` takes; one that comes twice is a problem. `default` where none is left.
fn list_of<T: PartialEq + Clone>(
    map: &Map<'_>,
    name: &str,
    default: &[T],
    check: &mut Check<'_>,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Vec<T> {
    let entries = entries_of(map, name, check, parse);
    if entries.is_empty() {
        default.to_vec()
    } else {
        entries.into_iter().map(|(value, _)| value).collect()
    }
}

/// The same with where each stands, for those who compare it to others.
fn entries_of<'t, T: PartialEq>(
    map: &Map<'t>,
    name: &str,
    check: &mut Check<'_>,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Vec<(T, Field<'t>)> {
    let mut entries: Vec<(T, Field<'t>)> = Vec::new();
    for field in map.list(name, &mut check.problems) {
        if let Some(value) = field.parse(&mut check.problems, &parse) {
            if entries.iter().any(|(other, _)| *other == value) {
                twice(&field, check);
            } else {
                entries.push((value, field));
            }
        }
    }
    entries
}

/// Reports an entry that was there before.
fn twice(field: &Field<'_>, check: &mut Check<'_>) {
    let text = format!(
        "{} is in the list twice. Remove one of them.",
        field.text().unwrap_or("this")
    );
    field.wrong(&mut check.problems, text);
}

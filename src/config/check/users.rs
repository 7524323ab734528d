//! `domains` and `users`.

use super::{Check, HOUR, SECOND, gains, list_of, secret, sounds, twice};
use crate::config::checked::{Algorithm, Domain, Index, Listen, User, Way, Webrtc};
use crate::config::country::Country;
use crate::config::number::{How, normalise};
use crate::config::problem::did_you_mean;
use crate::config::read::{Field, Map, Wrong};
use crate::config::recording::Record;
use crate::config::{keys, values};
use crate::media::command::{Dtmf, Srtp};
use crate::sip::uri::Host;
use codecs::Codec;
use std::net::IpAddr;

/// Reads `domains`. Without any, the node's address is its domain, or its name where it listens on every address.
pub(super) fn domains(
    root: &Map<'_>,
    advertise: Option<IpAddr>,
    listen: &[Listen],
    node_name: &str,
    check: &mut Check<'_>,
) -> Vec<Domain> {
    let mut found: Vec<Domain> = Vec::new();
    for field in root.list("domains", &mut check.problems) {
        let Some(domain) = domain(&field, check) else {
            continue;
        };
        if found.iter().any(|other| other.name == domain.name) {
            let text = format!("{} is in the list twice. Remove one of them.", domain.name);
            field.wrong(&mut check.problems, text);
        }
        found.push(domain);
    }
    if found.is_empty() {
        let own = listen
            .iter()
            .map(|listen| listen.addr.ip())
            .find(|ip| !ip.is_unspecified());
        let name = advertise
            .or(own)
            .map_or_else(|| node_name.to_ascii_lowercase(), |ip| Host::from(ip).to_string());
        found.push(Domain {
            name,
            digest: vec![Algorithm::Md5],
            way: Way::default(),
        });
    }
    found
}

fn domain(field: &Field<'_>, check: &mut Check<'_>) -> Option<Domain> {
    if !field.is_map() {
        let name = field.parse(&mut check.problems, values::domain)?;
        return Some(Domain {
            name,
            digest: vec![Algorithm::Md5],
            way: Way::default(),
        });
    }
    let map = field.map(&keys::DOMAIN, &mut check.problems);
    let digest = list_of(&map, "digest", &[Algorithm::Md5], check, values::algorithm);
    let way = map.value("do", Way::default(), &mut check.problems, way);
    let name = map
        .require("name", &mut check.problems)?
        .parse(&mut check.problems, values::domain)?;
    Some(Domain { name, digest, way })
}

fn way(text: &str) -> Result<Way, Wrong> {
    Ok(match values::one_of(text, &["bridge", "proxy"])?.as_str() {
        "proxy" => Way::Proxy,
        _bridge => Way::Bridge,
    })
}

/// When a user's call goes elsewhere.
#[derive(Clone, Copy)]
pub(super) enum Case {
    Busy,
    NoAnswer,
    Offline,
}

/// Where a user's call goes then, as it is written: it may name a user or route that comes later in the file.
pub(super) struct Diversion<'t> {
    pub(super) user: usize,
    pub(super) case: Case,
    pub(super) field: Field<'t>,
}

/// What `users` holds.
pub(super) struct Users<'t> {
    pub(super) users: Vec<User>,
    pub(super) index: Index,
    pub(super) diversions: Vec<Diversion<'t>>,
}

/// Reads `users`. Their diversions are left for when the routes are known.
pub(super) fn users<'t>(
    root: &Map<'t>,
    domains: &[Domain],
    country: Option<&Country>,
    check: &mut Check<'_>,
) -> Users<'t> {
    let mut diversions = Vec::new();
    let mut users: Vec<User> = Vec::new();
    let mut index = Index::default();
    let fields = root.list("users", &mut check.problems);
    for (ix, field) in fields.iter().enumerate() {
        let map = field.map(&keys::USER, &mut check.problems);
        let name = map.require("name", &mut check.problems);
        let parsed = name
            .as_ref()
            .and_then(|field| field.parse(&mut check.problems, values::user_name));
        if let (Some(field), Some(name)) = (&name, &parsed)
            && let Some(first) = index.names.insert(name.clone(), ix)
        {
            index.names.insert(name.clone(), first);
            let text = format!("users[{first}] has this name too. Names are unique over all domains.");
            field.wrong(&mut check.problems, text);
        }
        let numbers = numbers(&map, ix, country, &mut index, check);
        for (name, case) in [
            ("on_busy", Case::Busy),
            ("on_no_answer", Case::NoAnswer),
            ("on_offline", Case::Offline),
        ] {
            diversions.extend(map.get(name).map(|field| Diversion { user: ix, case, field }));
        }
        users.push(user(&map, parsed.unwrap_or_default(), numbers, domains, check));
    }
    numbers_are_no_names(&fields, &users, &index, check);
    Users {
        users,
        index,
        diversions,
    }
}

/// Sets the diversions that were found to lead somewhere.
pub(super) fn divert(users: &mut [User], diversions: Vec<(usize, Case, String)>) {
    for (ix, case, target) in diversions {
        let slot = match case {
            Case::Busy => &mut users[ix].on_busy,
            Case::NoAnswer => &mut users[ix].on_no_answer,
            Case::Offline => &mut users[ix].on_offline,
        };
        *slot = Some(target);
    }
}

fn user(map: &Map<'_>, name: String, numbers: Vec<String>, domains: &[Domain], check: &mut Check<'_>) -> User {
    let password = secret::password(map, Some(name.as_str()).filter(|name| !name.is_empty()), check);
    let written = map.get("domain").and_then(|field| {
        field.parse(&mut check.problems, |text| {
            let name = values::domain(text)?;
            let found = domains.iter().find(|domain| domain.name == name);
            found.ok_or_else(|| {
                let names = domains.iter().map(|domain| domain.name.as_str());
                let meant = did_you_mean(&name, names);
                Wrong::Because(format!(
                    "{name} is not in domains{meant}{}",
                    if meant.is_empty() { "." } else { "" }
                ))
            })
        })
    });
    let domain = written.or(domains.first());
    let default_digest = domain.map_or(&[Algorithm::Md5][..], |domain| &domain.digest);
    let digest = list_of(map, "digest", default_digest, check, values::algorithm);
    let codecs = list_of(
        map,
        "codecs",
        &[Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu],
        check,
        values::codec,
    );
    let (music_on_hold, announcements) = (sounds::music(map, check), sounds::announcements(map, check));
    let problems = &mut check.problems;
    User {
        name,
        password,
        numbers,
        domain: domain.map(|domain| domain.name.clone()).unwrap_or_default(),
        digest,
        display_name: map
            .get("display_name")
            .and_then(|field| field.parse(problems, values::visible)),
        codecs,
        record: map.value("record", Record::No, problems, values::record),
        webrtc: map.value("webrtc", Webrtc::Auto, problems, values::webrtc),
        srtp: map.value("srtp", Srtp::Off, problems, values::srtp),
        gain: gains(map, problems),
        comfort_noise: map.value("comfort_noise", false, problems, values::yes_or_no),
        dtmf: map.value("dtmf", Dtmf::Auto, problems, values::dtmf),
        t38: map.value("t38", true, problems, values::yes_or_no),
        calls: map.value("calls", 2, problems, |text| values::whole(text, 1..=100)),
        ring: map.value("ring", 60 * SECOND, problems, |text| {
            values::duration_in(text, SECOND..=HOUR)
        }),
        ringback: map.value("ringback", false, problems, values::yes_or_no),
        music_on_hold,
        announcements,
        on_busy: None,
        on_no_answer: None,
        on_offline: None,
    }
}

fn numbers(
    map: &Map<'_>,
    ix: usize,
    country: Option<&Country>,
    index: &mut Index,
    check: &mut Check<'_>,
) -> Vec<String> {
    if let (Some(_), Some(several)) = (map.get("number"), map.get("numbers")) {
        several.wrong(
            &mut check.problems,
            "number is there too. Put all of them into numbers.",
        );
    }
    let mut found: Vec<String> = Vec::new();
    let mut fields = map.list("number", &mut check.problems);
    if let Some(second) = fields.get(1) {
        second.wrong(
            &mut check.problems,
            "number takes one. Write several as numbers: [ ..., ... ]",
        );
    }
    fields.extend(map.list("numbers", &mut check.problems));
    for field in &fields {
        let Some(number) = field.parse(&mut check.problems, |text| number(text, country)) else {
            continue;
        };
        match index.numbers.get(&number) {
            Some(first) if *first == ix => twice(field, check),
            Some(first) => {
                let text = format!("users[{first}] has the number {number} too. A number rings one user.");
                field.wrong(&mut check.problems, text);
            }
            None => {
                index.numbers.insert(number.clone(), ix);
                found.push(number);
            }
        }
    }
    found
}

/// A user's own number, normalised.
fn number(text: &str, country: Option<&Country>) -> Result<String, Wrong> {
    let normal = normalise(text, country, false);
    match normal.how {
        How::Name => Err(Wrong::Form),
        How::International
        | How::InternationalPrefix(_)
        | How::NationalPrefix(_)
        | How::National(_)
        | How::CallingCode(_)
        | How::Plain
        | How::Extension => Ok(normal.number),
    }
}

/// A name that is somebody else's number would be two people under one word.
fn numbers_are_no_names(fields: &[Field<'_>], users: &[User], index: &Index, check: &mut Check<'_>) {
    for (ix, user) in users.iter().enumerate() {
        if let Some(other) = index.numbers.get(&user.name).filter(|other| **other != ix) {
            let text = format!("the name {} is the number of users[{other}].", user.name);
            fields[ix].wrong(&mut check.problems, text);
        }
    }
}

//! `trunks`.

use super::{Check, DAY, HOUR, SECOND, entries_of, gains, list_of, secret, sounds, tls};
use crate::config::checked::{NumberFormat, Numbers, Trunk, TrunkRegister};
use crate::config::country::Country;
use crate::config::network::Network;
use crate::config::read::{Field, Map};
use crate::config::recording::Record;
use crate::config::{keys, values};
use crate::limits;
use crate::media::command::{Dtmf, Srtp};
use crate::sip::uri::Uri;
use codecs::Codec;

/// Reads `trunks`. `country` is what `numbers.country` says.
pub(super) fn trunks(root: &Map<'_>, country: Option<Country>, check: &mut Check<'_>) -> Vec<Trunk> {
    let fields = root.list("trunks", &mut check.problems);
    let mut trunks: Vec<Trunk> = Vec::new();
    for field in &fields {
        let map = field.map(&keys::TRUNK, &mut check.problems);
        let name = map.require("name", &mut check.problems);
        let parsed = name
            .as_ref()
            .and_then(|field| field.parse(&mut check.problems, values::label));
        if let (Some(field), Some(name)) = (&name, &parsed)
            && let Some(first) = trunks.iter().position(|trunk| trunk.name == *name)
        {
            field.wrong(
                &mut check.problems,
                format!("trunks[{first}] has this name too. Routes could not tell them apart."),
            );
        }
        let peers = peers(&map, check);
        let accept_from = entries_of(&map, "accept_from", check, values::network);
        claims_are_apart(&peers, &accept_from, &trunks, check);
        let trunk = Trunk {
            name: parsed.unwrap_or_default(),
            peers: peers.into_iter().map(|(uri, _)| uri).collect(),
            accept_from: accept_from.into_iter().map(|(network, _)| network).collect(),
            ..trunk(&map, country, check)
        };
        somebody_can_call(&map, &trunk, check);
        trunks.push(trunk);
    }
    if let Some(field) = fields.get(limits::TRUNKS) {
        field.wrong(
            &mut check.problems,
            format!("{} trunks are the most that is taken.", limits::TRUNKS),
        );
    }
    trunks
}

/// The country of all trunks, if they have the same.
pub(super) fn shared_country(trunks: &[Trunk]) -> Option<Country> {
    let first = trunks.first()?.numbers.country?;
    trunks
        .iter()
        .all(|trunk| trunk.numbers.country == Some(first))
        .then_some(first)
}

/// All but who it is.
fn trunk(map: &Map<'_>, country: Option<Country>, check: &mut Check<'_>) -> Trunk {
    let codecs = list_of(map, "codecs", &[Codec::Pcma, Codec::Pcmu], check, values::codec);
    let pass_headers = list_of(map, "pass_headers", &[], check, values::pass_header);
    let register = map.get("register").map(|field| register(&field, check));
    let numbers = numbers(map, country, check);
    let tls = tls::trunk(map, check);
    let host = map
        .get("host")
        .and_then(|field| field.parse(&mut check.problems, values::domain));
    let (music_on_hold, announcements) = (sounds::music(map, check), sounds::announcements(map, check));
    let problems = &mut check.problems;
    let limits = map.section("limits", &keys::LIMITS, problems);
    Trunk {
        name: String::new(),
        peers: Vec::new(),
        host,
        accept_from: Vec::new(),
        register,
        codecs,
        srtp: map.value("srtp", Srtp::Off, problems, values::srtp),
        gain: gains(map, problems),
        comfort_noise: map.value("comfort_noise", false, problems, values::yes_or_no),
        dtmf: map.value("dtmf", Dtmf::Auto, problems, values::dtmf),
        t38: map.value("t38", true, problems, values::yes_or_no),
        record: match map.value("record", false, problems, values::yes_or_no) {
            true => Record::Yes,
            false => Record::No,
        },
        max_calls: limits.value("calls", 100, problems, |text| values::whole(text, 1..=20_000)),
        calls_per_second: limits.value("calls_per_second", 10, problems, |text| values::whole(text, 1..=10_000)),
        numbers,
        options_interval: map.value("options", Some(30 * SECOND), problems, |text| {
            values::duration_or_never(text, SECOND..=HOUR)
        }),
        ring: map.value("ring", 120 * SECOND, problems, |text| {
            values::duration_in(text, SECOND..=HOUR)
        }),
        ringback: map.value("ringback", false, problems, values::yes_or_no),
        music_on_hold,
        announcements,
        connect: map.value("connect", 4 * SECOND, problems, |text| {
            values::duration_in(text, SECOND..=32 * SECOND)
        }),
        pass_headers,
        tls,
    }
}

fn peers<'t>(map: &Map<'t>, check: &mut Check<'_>) -> Vec<(Uri, Field<'t>)> {
    let Some(field) = map.require("peers", &mut check.problems) else {
        return Vec::new();
    };
    let entries = field.list(&mut check.problems);
    if entries.is_empty() && !field.is_map() {
        field.wrong(&mut check.problems, "the list is empty, so no call could be sent. Write, for example, peers: [ \"sip:sbc1.acme.example:5060\" ]");
    }
    entries_of(map, "peers", check, values::peer)
}

fn register(field: &Field<'_>, check: &mut Check<'_>) -> TrunkRegister {
    let map = field.map(&keys::REGISTER, &mut check.problems);
    let username = map.require("username", &mut check.problems);
    let username = username
        .and_then(|field| field.parse(&mut check.problems, values::user_name))
        .unwrap_or_default();
    let password = secret::password(&map, None, check);
    let problems = &mut check.problems;
    let realm = map
        .get("realm")
        .and_then(|field| field.parse(problems, values::visible));
    let expires = map.value("expires", 600 * SECOND, problems, |text| {
        values::duration_in(text, 30 * SECOND..=DAY)
    });
    TrunkRegister {
        username,
        password,
        realm,
        expires,
    }
}

fn numbers(map: &Map<'_>, country: Option<Country>, check: &mut Check<'_>) -> Numbers {
    let map = map.section("numbers", &keys::TRUNK_NUMBERS, &mut check.problems);
    let own = map.get("country");
    let country = match &own {
        Some(field) => field.parse(&mut check.problems, values::country),
        None => country,
    };
    let send = map.value("send", NumberFormat::E164, &mut check.problems, values::number_format);
    if send == NumberFormat::National
        && country.is_none()
        && own.is_none()
        && let Some(field) = map.get("send")
    {
        let text = "national needs to know the country. Write, for example, numbers: { country: US, send: national }";
        field.wrong(&mut check.problems, text);
    }
    Numbers { country, send }
}

/// A trunk over which no call could come in is said to be so by an empty `accept_from`.
fn somebody_can_call(map: &Map<'_>, trunk: &Trunk, check: &mut Check<'_>) {
    let by_address = trunk.peers.iter().any(|peer| peer.host.ip().is_some());
    let by_certificate = !trunk.tls.accept.is_empty();
    if map.get("accept_from").is_none()
        && trunk.register.is_none()
        && !by_address
        && !by_certificate
        && !trunk.peers.is_empty()
    {
        let text = "no call could come in: the peers are names, there is no register, and accept_from is missing. \
                    Write, for example, accept_from: [ 198.51.100.0/24 ], or accept_from: [] if none shall come in.";
        check.problems.add(map.mark, &map.path, text);
    }
}

/// Reports what the trunk claims and an earlier one claims too.
fn claims_are_apart(
    peers: &[(Uri, Field<'_>)],
    accept_from: &[(Network, Field<'_>)],
    earlier: &[Trunk],
    check: &mut Check<'_>,
) {
    let by_peer = peers
        .iter()
        .filter_map(|(uri, field)| Some((Network::single(uri.host.ip()?), field)));
    for (network, field) in accept_from
        .iter()
        .map(|(network, field)| (*network, field))
        .chain(by_peer)
    {
        if let Some((other, claim)) = claimed(network, earlier) {
            let text = format!(
                "{} is claimed by trunk {} too, with {claim}. A source belongs to one trunk only.",
                field.text().unwrap_or_default(),
                other.name
            );
            field.wrong(&mut check.problems, text);
        }
    }
    for (uri, field) in peers.iter().filter(|(uri, _)| uri.host.ip().is_none()) {
        if let Some(other) = earlier
            .iter()
            .find(|other| other.peers.iter().any(|peer| peer.host == uri.host))
        {
            let text = format!(
                "{} is a peer of trunk {} too. A host belongs to one trunk only.",
                uri.host, other.name
            );
            field.wrong(&mut check.problems, text);
        }
    }
}

/// The trunk that claims a part of the network, and how its file entry says so.
fn claimed(network: Network, trunks: &[Trunk]) -> Option<(&Trunk, String)> {
    trunks.iter().find_map(|trunk| {
        let by_network = trunk.accept_from.iter().find(|other| other.overlaps(&network));
        let by_peer = trunk
            .peers
            .iter()
            .find(|peer| peer.host.ip().is_some_and(|ip| network.contains(ip)));
        let claim = by_network.map(|other| format!("accept_from {other}"));
        claim
            .or_else(|| by_peer.map(|peer| format!("peer {peer}")))
            .map(|claim| (trunk, claim))
    })
}

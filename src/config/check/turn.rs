//! `turn`: where it is reached, who may relay, and to whom.

use super::{Check, HOUR, MINUTE, entries_of, secret};
use crate::config::api::Api;
use crate::config::checked::{Domain, Listen, Media, same_address};
use crate::config::ng::Ng;
use crate::config::read::{Field, Map, Wrong};
use crate::config::turn::{Own, Turn, TurnDoors, TurnUser};
use crate::config::{Network, keys, values};
use crate::id::Transport;
use crate::limits;
use std::net::{IpAddr, SocketAddr};

/// What the rest of the file has of our addresses.
struct Others<'a> {
    listen: &'a [Listen],
    media: &'a Media,
    ng: Option<&'a Ng>,
    api: Option<SocketAddr>,
    advertise: Option<IpAddr>,
}

impl Others<'_> {
    /// Where media is bound, of IPv4 and of IPv6.
    fn media_at(&self) -> [Option<IpAddr>; 2] {
        self.media.bound(self.listen.iter().map(|listen| listen.addr.ip()))
    }
}

/// Reads `turn`.
pub(super) fn turn(
    root: &Map<'_>,
    (listen, media, advertise, domains): (&[Listen], &Media, Option<IpAddr>, &[Domain]),
    (ng, api): (&Option<Ng>, &Option<Api>),
    check: &mut Check<'_>,
) -> Option<Turn> {
    let field = root.get("turn")?;
    let map = root.section("turn", &keys::TURN, &mut check.problems);
    let others = Others {
        listen,
        media,
        ng: ng.as_ref(),
        api: api.as_ref().map(|api| api.listen),
        advertise,
    };
    let doors = doors(&map, &others, check);
    let domain = domains.first().map(|domain| domain.name.clone()).unwrap_or_default();
    let secret = map.get("secret").map(|field| secret::of(&field, check));
    let users = users(&map, check);
    if secret.is_none() && users.is_empty() && map.get("users").is_none() {
        let text =
            "nobody could relay. Write secret: { env: TURN_SECRET }, or users: [ { name: office, password: ... } ]";
        field.wrong(&mut check.problems, text);
    }
    let (denied, allowed) = (
        networks(&map, "denied_peers", check),
        networks(&map, "allowed_peers", check),
    );
    let problems = &mut check.problems;
    let count = |text: &str| values::whole(text, 1..=limits::RELAY_ALLOCATIONS);
    Some(Turn {
        realm: map.value("realm", domain, problems, values::domain),
        secret,
        users,
        allocations: map.value("allocations", 10_000, problems, count),
        per_user: map.value("per_user", 20, problems, count),
        bandwidth: map.value("bandwidth", Some(20_000), problems, bandwidth),
        lifetime: map.value("lifetime", HOUR, problems, |text| {
            values::duration_in(text, 10 * MINUTE..=HOUR)
        }),
        tcp_peers: map.value("tcp_peers", false, problems, values::yes_or_no),
        denied,
        allowed,
        own: own(&doors, &others),
        doors,
    })
}

fn bandwidth(text: &str) -> Result<Option<u64>, Wrong> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    values::whole(text, 64..=1_000_000).map(Some)
}

fn networks(map: &Map<'_>, name: &str, check: &mut Check<'_>) -> Vec<Network> {
    let entries = entries_of(map, name, check, values::network);
    too_many(map, name, entries.len(), check);
    entries.into_iter().map(|(network, _)| network).collect()
}

fn too_many(map: &Map<'_>, name: &str, entries: usize, check: &mut Check<'_>) {
    let most = limits::RELAY_ENTRIES;
    if let Some(field) = map.get(name).filter(|_| entries > most) {
        let text = format!("{entries} entries are too many; {most} is the most that is taken.");
        field.wrong(&mut check.problems, text);
    }
}

fn users(map: &Map<'_>, check: &mut Check<'_>) -> Vec<TurnUser> {
    let mut users: Vec<TurnUser> = Vec::new();
    for field in map.list("users", &mut check.problems) {
        let entry = field.map(&keys::TURN_USER, &mut check.problems);
        let password = secret::password(&entry, None, check);
        let Some(at) = entry.require("name", &mut check.problems) else {
            continue;
        };
        let Some(name) = at.parse(&mut check.problems, values::user_name) else {
            continue;
        };
        if users.iter().any(|other| other.name == name) {
            super::twice(&at, check);
        }
        users.push(TurnUser { name, password });
    }
    too_many(map, "users", users.len(), check);
    users
}

/// Ports that one is told to take where nobody says.
const PORTS: (u16, u16) = (49_152, 65_535);

fn doors(map: &Map<'_>, others: &Others<'_>, check: &mut Check<'_>) -> TurnDoors {
    let listen = listeners(map, others, check);
    let named = entries_of(map, "addresses", check, values::unicast);
    one_of_each_family(&named, check);
    let addresses: Vec<IpAddr> = match named.is_empty() {
        false => named.into_iter().map(|(ip, _)| ip).collect(),
        true => [false, true]
            .iter()
            .filter_map(|v6| listen.iter().map(|l| l.addr.ip()).find(|ip| ip.is_ipv6() == *v6))
            .collect(),
    };
    let (first_port, last_port) = map.value("ports", PORTS, &mut check.problems, ports);
    let told = entries_of(map, "external", check, values::unicast);
    one_of_each_family(&told, check);
    for (ip, field) in &told {
        if !addresses.iter().any(|own| own.is_ipv6() == ip.is_ipv6()) {
            let text = format!("{ip} is of a family in which nothing is relayed. Add an address of it to addresses.");
            field.wrong(&mut check.problems, text);
        }
    }
    let external = addresses
        .iter()
        .map(|own| {
            let fits = |ip: &IpAddr| ip.is_ipv6() == own.is_ipv6();
            let told = told.iter().map(|(ip, _)| *ip).find(fits);
            told.or(others.advertise.filter(fits)).unwrap_or(*own)
        })
        .collect();
    let doors = TurnDoors {
        listen,
        addresses,
        external,
        first_port,
        last_port,
    };
    ports_are_free(map, &doors, others, check);
    doors
}

fn one_of_each_family(entries: &[(IpAddr, Field<'_>)], check: &mut Check<'_>) {
    for (at, (ip, field)) in entries.iter().enumerate() {
        if let Some((other, _)) = entries[..at].iter().find(|(other, _)| other.is_ipv6() == ip.is_ipv6()) {
            let text = format!("{other} is of the same family, and one of each is all that is taken.");
            field.wrong(&mut check.problems, text);
        }
    }
}

fn ports(text: &str) -> Result<(u16, u16), Wrong> {
    let (first, last) = text.split_once('-').ok_or(Wrong::Form)?;
    let first: u16 = values::whole(first.trim(), 1024..=65_535)?;
    let last: u16 = values::whole(last.trim(), 1024..=65_535)?;
    if first < last {
        Ok((first, last))
    } else {
        Err(Wrong::Form)
    }
}

/// `udp://192.0.2.1:3478`, `tls://[2001:db8::1]`.
fn listener(text: &str) -> Result<Listen, Wrong> {
    let (scheme, address) = text.split_once("://").ok_or(Wrong::Form)?;
    let (transport, port) = match scheme {
        "udp" => (Transport::Udp, 3478),
        "tcp" => (Transport::Tcp, 3478),
        "tls" => (Transport::Tls, 5349),
        _other => return Err(Wrong::Form),
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let addr = match (address.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(addr), _) => addr,
        (Err(_), Ok(ip)) => SocketAddr::new(ip, port),
        (Err(_), Err(_)) => return Err(Wrong::Form),
    };
    if addr.ip().is_unspecified() {
        let text = format!(
            "{text:?} stands for every address, and clients have to be answered from the one that they wrote to. Name each."
        );
        return Err(Wrong::Because(text));
    }
    values::unicast(&addr.ip().to_string())?;
    Ok(Listen { transport, addr })
}

fn listeners(map: &Map<'_>, others: &Others<'_>, check: &mut Check<'_>) -> Vec<Listen> {
    if map.require("listen", &mut check.problems).is_none() {
        return Vec::new();
    }
    let entries = entries_of(map, "listen", check, listener);
    for (at, (listen, field)) in entries.iter().enumerate() {
        let ours = entries[..at].iter().map(|(other, _)| other);
        if let Some(other) = ours.chain(others.listen).find(|other| other.clashes(listen)) {
            let text = format!("{listen} clashes with {other}. Give one of them another port.");
            field.wrong(&mut check.problems, text);
        }
        let media = others.media;
        let in_media = (media.first_port..=media.last_port).contains(&listen.addr.port())
            && others
                .media_at()
                .into_iter()
                .flatten()
                .any(|own| same_address(own, listen.addr.ip()));
        if listen.transport == Transport::Udp && in_media {
            let (first, last) = (media.first_port, media.last_port);
            let text = format!("{listen} lies in media.ports, {first}-{last}. Give one of them other ports.");
            field.wrong(&mut check.problems, text);
        }
        let tls = Transport::Tls;
        if let Some(addr) = others.api.filter(|addr| {
            Listen {
                transport: tls,
                addr: *addr,
            }
            .clashes(listen)
        }) {
            let text = format!("{listen} clashes with api.listen, {addr}. Give one of them another port.");
            field.wrong(&mut check.problems, text);
        }
        if listen.transport == Transport::Udp && others.ng.is_some_and(|ng| ng.listen == listen.addr) {
            field.wrong(
                &mut check.problems,
                format!("{listen} is ng.listen. Give one of them another port."),
            );
        }
    }
    if entries.len() > limits::LISTENERS {
        too_many_listeners(map, entries.len(), check);
    }
    entries.into_iter().map(|(listen, _)| listen).collect()
}

fn too_many_listeners(map: &Map<'_>, entries: usize, check: &mut Check<'_>) {
    if let Some(field) = map.get("listen") {
        let text = format!(
            "there are {entries} entries, and {} is the most that is taken.",
            limits::LISTENERS
        );
        field.wrong(&mut check.problems, text);
    }
}

/// Relayed ports are nobody else's.
fn ports_are_free(map: &Map<'_>, doors: &TurnDoors, others: &Others<'_>, check: &mut Check<'_>) {
    let range = doors.first_port..=doors.last_port;
    let ours = |ip: IpAddr| doors.addresses.iter().any(|own| same_address(*own, ip));
    let media = others.media;
    let mut wrong = Vec::new();
    let meets = media.first_port <= doors.last_port && doors.first_port <= media.last_port;
    if meets && others.media_at().into_iter().flatten().any(ours) {
        wrong.push(format!("media.ports, {}-{}", media.first_port, media.last_port));
    }
    let listeners = others.listen.iter().chain(&doors.listen);
    let datagrams = listeners.filter(|listen| listen.transport == Transport::Udp);
    let taken = datagrams.filter(|listen| range.contains(&listen.addr.port()) && ours(listen.addr.ip()));
    wrong.extend(taken.map(ToString::to_string));
    if let Some(ng) = others
        .ng
        .filter(|ng| range.contains(&ng.listen.port()) && ours(ng.listen.ip()))
    {
        wrong.push(format!("ng.listen, {}", ng.listen));
    }
    for taken in wrong {
        let text = format!(
            "relayed ports are {}-{}, and {taken} is among them. Give one of them other ports.",
            doors.first_port, doors.last_port
        );
        let (mark, path) = match map.get("ports") {
            Some(field) => (field.mark(), field.path),
            None => (map.mark, map.path_of("ports")),
        };
        check.problems.add(mark, &path, text);
    }
}

/// What peers must not reach, and what of it they may.
fn own(doors: &TurnDoors, others: &Others<'_>) -> Own {
    let media = others.media;
    let named = others.listen.iter().chain(&doors.listen).map(|listen| listen.addr);
    let ng = others.ng.map(|ng| ng.listen);
    let listeners: Vec<SocketAddr> = named.chain(ng).chain(others.api).collect();
    // Behind NAT, others know it by the address that we advertise.
    let outside = |own: IpAddr| {
        (
            own,
            others
                .advertise
                .filter(|ip| ip.is_ipv6() == own.is_ipv6())
                .unwrap_or(own),
        )
    };
    let bound = others.media_at().into_iter().flatten();
    let media_at: Vec<(IpAddr, IpAddr)> = bound.map(outside).collect();
    let relayed = doors.addresses.iter().chain(&doors.external).copied();
    let mut addresses: Vec<IpAddr> = Vec::new();
    let all = listeners.iter().map(SocketAddr::ip).chain(others.advertise);
    let of_media = media_at.iter().flat_map(|(own, outside)| [*own, *outside]);
    for ip in all.chain(of_media).chain(relayed) {
        if !ip.is_unspecified() && !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    Own {
        addresses,
        media: media_at,
        media_ports: (media.first_port, media.last_port),
        listeners,
    }
}

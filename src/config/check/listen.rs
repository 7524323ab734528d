//! `listen` and `media`: which ports are whose.

use super::{Check, HOUR, MINUTE, SECOND};
use crate::config::checked::{Listen, Media, same_address};
use crate::config::read::{Field, Map};
use crate::config::{keys, values};
use crate::id::Transport;
use crate::limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reads `listen`; two entries that want the same port are a problem.
pub(super) fn listeners<'t>(root: &Map<'t>, check: &mut Check<'_>) -> Vec<(Listen, Field<'t>)> {
    let mut found: Vec<(Listen, Field<'t>)> = Vec::new();
    let Some(field) = root.require("listen", &mut check.problems) else {
        return Vec::new();
    };
    let entries = field.list(&mut check.problems);
    if entries.is_empty() && !field.is_map() {
        field.wrong(&mut check.problems, "the list is empty, so nobody could reach this node. Write, for example, listen: [ \"udp://0.0.0.0:5060\" ]");
    }
    for entry in entries {
        let Some(listen) = entry.parse(&mut check.problems, values::listen) else {
            continue;
        };
        if let Some((other, place)) = found.iter().find(|(other, _)| other.clashes(&listen)) {
            let text = format!(
                "{listen} clashes with {}, which has {other}. Give one of them another port.",
                place.path
            );
            entry.wrong(&mut check.problems, text);
        }
        found.push((listen, entry));
    }
    if found.len() > limits::LISTENERS {
        let text = format!(
            "there are {} entries, and {} is the most that is taken.",
            found.len(),
            limits::LISTENERS
        );
        field.wrong(&mut check.problems, text);
    }
    found
}

/// Reads `media`; a UDP listener within its ports is a problem.
pub(super) fn media(root: &Map<'_>, listen: &[(Listen, Field<'_>)], check: &mut Check<'_>) -> Media {
    let map = root.section("media", &keys::MEDIA, &mut check.problems);
    let problems = &mut check.problems;
    let (first_port, last_port) = map.value("ports", (20_000, 29_999), problems, values::ports);
    let address = map
        .get("address")
        .and_then(|field| field.parse(problems, values::unicast));
    let address = address.or_else(|| shared_address(listen));
    let cores = u64::try_from(check.sources.cores).unwrap_or(1).clamp(1, 256);
    let workers = map.value("workers", usize::try_from(cores).unwrap_or(1), problems, |text| {
        values::whole(text, 1..=256)
    });
    let is_shared = map.value("browser_ports", false, problems, values::browser_ports);
    let browser_tcp = map
        .get("browser_tcp")
        .and_then(|field| field.parse(problems, |text| values::whole(text, 1..=65_535)));
    let silence = map.value("silence", Some(5 * MINUTE), problems, |text| {
        values::duration_or_never(text, SECOND..=24 * HOUR)
    });
    let opus_bitrate = map.value("opus_bitrate", 24_000, problems, |text| {
        values::whole(text, 6_000..=128_000)
    });
    let opus_complexity = map.value("opus_complexity", 5, problems, |text| values::whole(text, 0..=10));
    let media = Media {
        first_port,
        last_port,
        browser_tcp,
        shared_port: is_shared.then(|| first_port.next_multiple_of(2)),
        address,
        workers,
        silence,
        opus_bitrate,
        opus_complexity,
        opus_dtx: map.value("opus_dtx", false, problems, values::yes_or_no),
    };
    if let (Some(field), Err(text)) = (map.get("browser_ports"), shared_ports_fit(&media)) {
        field.wrong(&mut check.problems, text);
    }
    if let (Some(field), Some(port)) = (map.get("browser_tcp"), browser_tcp) {
        let addr = SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port);
        let own = Listen {
            transport: Transport::Tcp,
            addr,
        };
        if let Some((other, _)) = listen.iter().find(|(other, _)| own.clashes(other)) {
            let text = format!("{port} is the port of {other}. Give one of them another.");
            field.wrong(&mut check.problems, text);
        }
    }
    ports_are_free(&map, &media, listen, check);
    media
}

/// Behind the ports that browsers share there are some for all others.
fn shared_ports_fit(media: &Media) -> Result<(), String> {
    let (workers, pairs) = (
        media.workers,
        usize::from(media.last_port - media.first_port).div_ceil(2),
    );
    match media.shared_port {
        Some(_) if pairs < workers + 2 => Err(format!(
            "with {workers} workers, browsers share {workers} of the {pairs} pairs of media.ports, and the rest is less than a call takes. Give \
             media.ports at least {} ports.",
            2 * (workers + 2)
        )),
        Some(_) | None => Ok(()),
    }
}

/// The one address of all listeners.
fn shared_address(listen: &[(Listen, Field<'_>)]) -> Option<IpAddr> {
    let first = listen.first()?.0.addr.ip();
    listen
        .iter()
        .all(|(other, _)| other.addr.ip() == first)
        .then_some(first)
}

fn ports_are_free(map: &Map<'_>, media: &Media, listen: &[(Listen, Field<'_>)], check: &mut Check<'_>) {
    for (listen, field) in listen {
        let in_range = (media.first_port..=media.last_port).contains(&listen.addr.port());
        let same = media
            .address
            .is_none_or(|address| same_address(address, listen.addr.ip()));
        if listen.transport == Transport::Udp && in_range && same {
            let place = if map.get("ports").is_some() {
                "media.ports"
            } else {
                "the default of media.ports,"
            };
            let text = format!(
                "{listen} lies in {place} {}-{}. Give one of them other ports.",
                media.first_port, media.last_port
            );
            field.wrong(&mut check.problems, text);
        }
    }
}

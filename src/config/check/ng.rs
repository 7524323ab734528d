//! `ng`: who may bring media, and from where.

use super::{Check, HOUR, SECOND, entries_of};
use crate::config::Network;
use crate::config::checked::{Listen, Media, same_address};
use crate::config::ng::Ng;
use crate::config::read::Map;
use crate::config::{keys, values};
use crate::id::Transport;
use crate::limits;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// This machine.
fn ourselves() -> Vec<Network> {
    let v4 = Network {
        addr: Ipv4Addr::new(127, 0, 0, 0).into(),
        prefix: 8,
    };
    vec![v4, Network::single(Ipv6Addr::LOCALHOST.into())]
}

/// Reads `ng`.
pub(super) fn ng(
    root: &Map<'_>,
    listen: &[Listen],
    media: &Media,
    advertise: Option<IpAddr>,
    check: &mut Check<'_>,
) -> Option<Ng> {
    let field = root.get("ng")?;
    let map = root.section("ng", &keys::NG, &mut check.problems);
    let allowed: Vec<_> = entries_of(&map, "allow", check, values::network);
    let problems = &mut check.problems;
    let timeout = map.value("timeout", 60 * SECOND, problems, |text| {
        values::duration_in(text, SECOND..=24 * HOUR)
    });
    let at = map.require("listen", problems)?;
    let addr = at.parse(problems, values::socket)?;
    if allowed.len() > limits::NG_ALLOWED {
        let text = format!(
            "{} entries are too many; {} is the most that is taken.",
            allowed.len(),
            limits::NG_ALLOWED
        );
        map.get("allow").unwrap_or_else(|| at.clone()).wrong(problems, text);
    }
    if allowed.is_empty() && !addr.ip().is_loopback() {
        let text = format!(
            "others can reach {addr}, and NG asks nobody for a password: whoever sends to it has our ports. Name your proxies: \
             allow: [ 192.0.2.5 ]"
        );
        at.wrong(problems, text);
    }
    let is_same = |ip: IpAddr, port: u16| port == addr.port() && port != 0 && same_address(ip, addr.ip());
    let sip = listen
        .iter()
        .find(|listen| listen.transport == Transport::Udp && is_same(listen.addr.ip(), listen.addr.port()));
    if let Some(sip) = sip {
        at.wrong(
            problems,
            format!("{addr} clashes with {sip} in listen. Give one of them another port."),
        );
    }
    let in_range = (media.first_port..=media.last_port).contains(&addr.port());
    if in_range && media.address.is_none_or(|own| same_address(own, addr.ip())) {
        let (first, last) = (media.first_port, media.last_port);
        at.wrong(
            problems,
            format!("{addr} lies in media.ports, {first}-{last}. Give one of them other ports."),
        );
    }
    let listeners = listen.iter().map(|listen| listen.addr.ip());
    let mut known = advertise.into_iter().chain(media.address).chain(listeners);
    if !listen.is_empty() && known.all(|addr| addr.is_unspecified()) {
        let text = "no address for media is known, which descriptions have to name. Write media: { address: ... }, or advertise.";
        field.wrong(problems, text);
    }
    let allow = match allowed.is_empty() {
        true => ourselves(),
        false => allowed.into_iter().map(|(network, _)| network).collect(),
    };
    Some(Ng {
        listen: addr,
        allow,
        timeout,
    })
}

//! From a URI to an ordered list of targets (RFC 3263): which questions are to be asked, and what the answers mean.
//!
//! ```text
//!    numeric host ------------------------------------------------> target          (4.1, 4.2)
//!    name and port -----------------------------> A, AAAA --------> targets         (4.2)
//!    name and transport ----------> SRV of it --> A, AAAA --------> targets
//!    name alone ----> NAPTR ------> SRV --------> A, AAAA --------> targets
//!                       | none: SRV of each transport that we speak
//!                                      | none: A, AAAA of the name itself, by the transport of the scheme
//! ```
//!
//! It is a pure function of what is known so far: it either names the questions that are missing or gives the list. So an
//! answer that comes late, twice or never needs no state here.

use super::via::ip_of;
use crate::config::Config;
use crate::effect::{Answer, Kind, Question, Record};
use crate::id::{Target, Transport};
use crate::limits;
use crate::sip::uri::Scheme;
use crate::sip::{Host, Uri};
use std::net::{IpAddr, SocketAddr};

/// What a URI says of its next hop.
#[derive(Clone, Debug, PartialEq)]
pub enum Hop {
    /// Address, port and transport are known.
    Target(Target),
    /// This has to be resolved.
    Name(Search),
    /// Nothing here speaks it.
    None,
}

/// A name and what the URI says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// In lower case.
    pub name: Box<str>,
    /// If it is written.
    pub port: Option<u16>,
    /// If it is written; of a SIPS URI the secure one.
    pub transport: Option<Transport>,
    /// SIPS: nothing but TLS will do (RFC 3261 26.2.2).
    pub secure: bool,
}

/// How far a search has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Walk {
    /// These answers are missing.
    Ask(Vec<Question>),
    /// In the order in which they are to be tried; empty if there is nobody.
    Found(Vec<Target>),
}

/// What we can use: transports and families of our listeners, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaks(Vec<(Transport, bool)>);

impl Speaks {
    /// By our listeners. To browsers nobody connects (RFC 7118 5).
    pub fn of(config: &Config) -> Speaks {
        let listens = config.listen.iter().map(|l| (l.transport, l.addr.is_ipv4()));
        Speaks(listens.filter(|(transport, _)| !transport.is_websocket()).collect())
    }

    fn transport(&self, transport: Transport) -> bool {
        self.0.iter().any(|(ours, _)| *ours == transport)
    }

    /// The families of a transport: true is IPv4.
    fn families(&self, transport: Transport) -> Vec<bool> {
        let mut found = Vec::new();
        for (_, is_ipv4) in self.0.iter().filter(|(ours, _)| *ours == transport) {
            if !found.contains(is_ipv4) {
                found.push(*is_ipv4);
            }
        }
        found
    }
}

/// RFC 3263 4.1 and 4.2 as far as they need no question: maddr before host, a numeric host with the port and transport that are
/// written, or else those of the scheme.
pub fn hop(uri: &Uri) -> Hop {
    let secure = match uri.scheme {
        Scheme::Sip => false,
        Scheme::Sips => true,
        Scheme::Tel | Scheme::Other(_) => return Hop::None,
    };
    let written = uri.transport();
    if uri.params.get("transport").is_some() && written.is_none() {
        return Hop::None;
    }
    let transport = match written {
        // `transport=tcp` of a SIPS URI means TLS over TCP (RFC 3261 19.1.2, 26.2.2).
        Some(written) if secure => match written.secured() {
            Some(secured) => Some(secured),
            None => return Hop::None,
        },
        written => written,
    };
    let host = match uri.params.value("maddr") {
        Some(maddr) => ip_of(maddr).map_or_else(|| Host::Name(maddr.to_ascii_lowercase().into()), Into::into),
        None => uri.host.clone(),
    };
    match host {
        Host::Name(name) if name.is_empty() => Hop::None,
        Host::Name(name) => Hop::Name(Search {
            name,
            port: uri.port,
            transport,
            secure,
        }),
        Host::V4(ip) => Hop::Target(numeric(ip.into(), uri.port, transport, secure)),
        Host::V6(ip) => Hop::Target(numeric(ip.into(), uri.port, transport, secure)),
    }
}

fn numeric(ip: IpAddr, port: Option<u16>, transport: Option<Transport>, secure: bool) -> Target {
    let transport = transport.unwrap_or(scheme_s(secure));
    Target::new(transport, SocketAddr::new(ip, port.unwrap_or(transport.default_port())))
}

/// The transport where nothing else decides (RFC 3263 4.1).
const fn scheme_s(secure: bool) -> Transport {
    if secure { Transport::Tls } else { Transport::Udp }
}

/// Where one service lives: an entry of SRV, or the name itself.
struct Place<'a> {
    transport: Transport,
    port: u16,
    host: &'a str,
}

impl Search {
    /// True if whoever wrote the URI left the transport to us.
    pub fn is_open(&self) -> bool {
        self.transport.is_none() && !self.secure
    }

    /// Goes as far as the answers reach. `random` decides among equals (RFC 2782) and is only asked when all are there.
    pub fn walk<'a>(
        &'a self,
        speaks: &Speaks,
        known: &dyn Fn(&Question) -> Option<&'a Answer>,
        random: &mut dyn FnMut() -> u64,
    ) -> Walk {
        let mut missing = Vec::new();
        let services = self.services(speaks, known, &mut missing);
        let mut places: Vec<Vec<Place<'a>>> = Vec::new();
        let mut has_srv = false;
        for (transport, name) in &services {
            let Some(answer) = answer(known, Kind::Srv, name, &mut missing) else {
                continue;
            };
            has_srv |= answer.records.iter().any(|record| matches!(record, Record::Srv { .. }));
            places.push(in_order(*transport, &answer.records, random));
        }
        if !missing.is_empty() {
            return Walk::Ask(missing);
        }
        // A service whose only target is the root is expressly not there (RFC 2782), so the name itself is no way either.
        if !has_srv {
            let transport = self.transport.unwrap_or(scheme_s(self.secure));
            places.push(vec![Place {
                transport,
                port: self.port.unwrap_or(transport.default_port()),
                host: &self.name,
            }]);
        }
        let mut targets = Vec::new();
        for place in places.into_iter().flatten().take(limits::TARGETS) {
            for is_ipv4 in speaks.families(place.transport) {
                let kind = if is_ipv4 { Kind::A } else { Kind::Aaaa };
                let found = answer(known, kind, place.host, &mut missing);
                let ips = found.into_iter().flat_map(|answer| &answer.records);
                targets.extend(ips.filter_map(|record| match record {
                    Record::Address(ip) if ip.is_ipv4() == is_ipv4 && is_host(*ip) => Some(Target {
                        transport: place.transport,
                        addr: SocketAddr::new(*ip, place.port),
                        name: Some(self.name.clone()),
                    }),
                    Record::Address(_) | Record::Srv { .. } | Record::Naptr { .. } => None,
                }));
            }
        }
        if !missing.is_empty() {
            return Walk::Ask(missing);
        }
        let mut once = Vec::new();
        for target in targets {
            if once.len() < limits::TARGETS && !once.contains(&target) {
                once.push(target);
            }
        }
        Walk::Found(once)
    }

    /// The SRV names to ask for, in order, each with the transport that it is for (RFC 3263 4.1).
    fn services<'a>(
        &self,
        speaks: &Speaks,
        known: &dyn Fn(&Question) -> Option<&'a Answer>,
        missing: &mut Vec<Question>,
    ) -> Vec<(Transport, String)> {
        if self.port.is_some() {
            return Vec::new();
        }
        let own = |transport: Transport| srv_name(transport, &self.name).map(|name| (transport, name));
        if let Some(transport) = self.transport {
            return own(transport).into_iter().collect();
        }
        let Some(answer) = answer(known, Kind::Naptr, &self.name, missing) else {
            return Vec::new();
        };
        let mut rules: Vec<(u16, u16, Transport, &str)> = Vec::new();
        for record in answer.records.iter().take(limits::DNS_RECORDS) {
            if let Record::Naptr {
                order,
                preference,
                flags,
                services,
                replacement,
            } = record
                && flags.eq_ignore_ascii_case("s")
                && let Some(transport) = service(services)
                && speaks.transport(transport)
                && (transport.is_secure() || !self.secure)
            {
                rules.push((*order, *preference, transport, replacement));
            }
        }
        rules.sort();
        if rules.is_empty() {
            let all = if self.secure {
                vec![Transport::Tls]
            } else {
                vec![Transport::Udp, Transport::Tcp]
            };
            let ours = all.into_iter().filter(|transport| speaks.transport(*transport));
            return ours.filter_map(own).collect();
        }
        rules
            .into_iter()
            .map(|(_, _, transport, name)| (transport, name.to_owned()))
            .collect()
    }
}

/// A service field of NAPTR (RFC 3263 4.1). Those of WebSockets (RFC 7118 8.2) and SCTP are none that we could use.
fn service(text: &str) -> Option<Transport> {
    let known = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
    ];
    known
        .into_iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name))
        .map(|(_, transport)| transport)
}

/// The name of a service (RFC 3263 4.1, RFC 2782).
fn srv_name(transport: Transport, name: &str) -> Option<String> {
    match transport {
        Transport::Udp => Some(format!("_sip._udp.{name}")),
        Transport::Tcp => Some(format!("_sip._tcp.{name}")),
        Transport::Tls => Some(format!("_sips._tcp.{name}")),
        Transport::Ws | Transport::Wss => None,
    }
}

/// A known answer, or one question more.
fn answer<'a>(
    known: &dyn Fn(&Question) -> Option<&'a Answer>,
    kind: Kind,
    name: &str,
    missing: &mut Vec<Question>,
) -> Option<&'a Answer> {
    let question = Question {
        kind,
        name: name.trim_end_matches('.').to_ascii_lowercase().into(),
    };
    let found = known(&question);
    if found.is_none() && !missing.contains(&question) {
        missing.push(question);
    }
    found
}

/// RFC 2782: by priority; within one by chance, in proportion to the weights, those of weight 0 with a very small chance.
fn in_order<'a>(transport: Transport, records: &'a [Record], random: &mut dyn FnMut() -> u64) -> Vec<Place<'a>> {
    let mut entries: Vec<(u16, u16, u16, &str)> = Vec::new();
    for record in records.iter().take(limits::DNS_RECORDS) {
        if let Record::Srv {
            priority,
            weight,
            port,
            target,
        } = record
            && !matches!(&**target, "" | ".")
            && *port != 0
        {
            entries.push((*priority, *weight, *port, target));
        }
    }
    // Where the list came in another order, the same chance picks the same entry.
    entries.sort();
    let mut out = Vec::new();
    while let Some((first, ..)) = entries.first().copied() {
        let equals = entries.iter().take_while(|(priority, ..)| *priority == first).count();
        let sum: u64 = entries[..equals].iter().map(|(_, weight, ..)| u64::from(*weight)).sum();
        let chosen = random() % (sum + 1);
        let mut running = 0;
        let at = entries[..equals]
            .iter()
            .position(|(_, weight, ..)| {
                running += u64::from(*weight);
                running >= chosen
            })
            .unwrap_or(0);
        let (_, _, port, host) = entries.remove(at);
        out.push(Place { transport, port, host });
    }
    out
}

/// False for what no host has: a server that says so lies.
fn is_host(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::from([255; 4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn seen(uri: &str) -> String {
        match hop(&Uri::parse(uri).unwrap()) {
            Hop::Target(target) => format!("{} {}", target.transport.param(), target.addr),
            Hop::Name(search) => format!("{} {:?} {:?}", search.name, search.port, search.transport),
            Hop::None => "none".to_owned(),
        }
    }

    #[test]
    fn a_numeric_host_needs_no_question() {
        assert_eq!(seen("sip:alice@192.0.2.4"), "udp 192.0.2.4:5060");
        assert_eq!(seen("sip:alice@192.0.2.4:5080;transport=TCP"), "tcp 192.0.2.4:5080");
        assert_eq!(seen("sip:[2001:db8::1]:5070"), "udp [2001:db8::1]:5070");
        assert_eq!(seen("sip:alice@example.com;maddr=192.0.2.9"), "udp 192.0.2.9:5060");
        assert_eq!(seen("sip:alice@192.0.2.4;transport=tls"), "tls 192.0.2.4:5061");
        assert_eq!(seen("sips:alice@192.0.2.4"), "tls 192.0.2.4:5061");
        assert_eq!(seen("sips:alice@192.0.2.4:5090;transport=tcp"), "tls 192.0.2.4:5090");
        assert_eq!(seen("sips:alice@192.0.2.4;transport=ws"), "wss 192.0.2.4:443");
    }

    #[test]
    fn a_name_is_asked_for_and_what_nobody_speaks_is_not() {
        assert_eq!(seen("sip:alice@example.com"), "example.com None None");
        assert_eq!(seen("sip:192.0.2.4;maddr=GW.example.com"), "gw.example.com None None");
        assert_eq!(
            seen("sips:a@example.com:99;transport=tcp"),
            "example.com Some(99) Some(Tls)"
        );
        assert_eq!(seen("sips:alice@192.0.2.4;transport=udp"), "none");
        assert_eq!(seen("sip:alice@192.0.2.4;transport=sctp"), "none");
        assert_eq!(seen("tel:+14155550101"), "none");
    }

    /// RFC 2782: over many draws each of a priority comes first as often as its weight says.
    #[test]
    fn weights_are_shares() {
        let entry = |weight, target: &str| Record::Srv {
            priority: 1,
            weight,
            port: 5060,
            target: target.into(),
        };
        let records = [entry(60, "a"), entry(20, "b"), entry(20, "c"), entry(0, "d")];
        let mut first: BTreeMap<String, u32> = BTreeMap::new();
        let mut state = 1u64;
        for _ in 0..10_000 {
            let mut random = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            let order = in_order(Transport::Udp, &records, &mut random);
            assert_eq!(order.len(), 4);
            *first.entry(order[0].host.to_owned()).or_default() += 1;
        }
        assert!((5_600..6_400).contains(&first["a"]), "{first:?}");
        assert!((1_700..2_300).contains(&first["b"]), "{first:?}");
        assert!(first["d"] < 300, "{first:?}");
    }
}

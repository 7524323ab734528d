//! The way to a next hop (RFC 3263 4, RFC 3261 18.1.1): which name, port and transport, and the next one when that fails.
//!
//! ```text
//!    Destination::Uri --- numeric host ---------------+
//!          | name                                     v
//!          v                 targets            +------------+  opened: Reached
//!    +-----------+ ---------------------------> | Connecting | ------------------>
//!    | Resolving |      Destination::Targets -> |            | ---+ failed, late:
//!    +-----------+                              +------------+ <--+ the next target
//!          | none, late: Unreachable                  | no more: Unreachable
//! ```
//!
//! The transport is chosen before the request is written, so one that turns out larger than `limits::SIP_UDP_SAFE_BYTES` still
//! goes by UDP: RFC 3261 18.1.1 would have it try TCP first. Whoever needs that asks for a URI with `transport=tcp`.

use super::via::ip_of;
use super::{Destination, Event, Failure};
use crate::cx::Cx;
use crate::effect::Output;
use crate::id::{Flow, Owner, Target, Ticket, Transport};
use crate::limits;
use crate::sip::Uri;
use crate::sip::uri::{DEFAULT_PORT, Scheme};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// What a ticket of the layer waits for.
#[derive(Clone, Debug, PartialEq)]
enum Attempt {
    /// Targets of a name.
    Resolving,
    /// A flow; these are next.
    Connecting(Vec<Target>),
}

/// All ways that are being found. Bounded by the users: each owner has one or a few.
#[derive(Debug, Default)]
pub struct Reaching {
    attempts: BTreeMap<Ticket, (Owner, Attempt)>,
    /// Whose each attempt is: a CANCEL must not look at those of all other calls.
    by_owner: BTreeSet<(Owner, Ticket)>,
}

/// What a URI says of its target without asking anybody.
enum Hop {
    /// Address, port and transport are known.
    Target(Target),
    /// This has to be resolved.
    Name(Uri),
    /// Nothing here speaks it.
    None,
}

impl Reaching {
    /// Begins.
    pub fn start(&mut self, cx: &mut Cx<'_>, events: &mut VecDeque<Event>, owner: Owner, destination: Destination) {
        match destination {
            Destination::Flow(flow) => events.push_back(Event::Reached {
                owner,
                flow,
                rest: Vec::new(),
            }),
            Destination::Targets(targets) => self.connect(cx, events, owner, targets, Failure::Transport),
            Destination::Uri(uri) => match hop(uri) {
                Hop::Target(target) => self.connect(cx, events, owner, vec![target], Failure::Transport),
                Hop::Name(uri) => {
                    let ticket = cx.ticket(owner, limits::RESOLVE);
                    self.wait(owner, ticket, Attempt::Resolving);
                    cx.emit(Output::Resolve(ticket, uri));
                }
                Hop::None => events.push_back(Event::Unreachable {
                    owner,
                    failure: Failure::Unresolved,
                }),
            },
        }
    }

    /// Drops what an owner waits for; the replies will find nobody.
    pub fn forget(&mut self, owner: Owner) {
        let own = self.by_owner.range((owner, Ticket(0))..=(owner, Ticket(u64::MAX)));
        for (_, ticket) in own.copied().collect::<Vec<_>>() {
            self.take(ticket);
        }
    }

    fn wait(&mut self, owner: Owner, ticket: Ticket, attempt: Attempt) {
        self.attempts.insert(ticket, (owner, attempt));
        self.by_owner.insert((owner, ticket));
    }

    fn take(&mut self, ticket: Ticket) -> Option<(Owner, Attempt)> {
        let taken = self.attempts.remove(&ticket)?;
        self.by_owner.remove(&(taken.0, ticket));
        Some(taken)
    }

    /// True for a ticket that is waited for.
    pub fn knows(&self, ticket: Ticket) -> bool {
        self.attempts.contains_key(&ticket)
    }

    /// The targets of a name.
    pub fn on_resolved(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut VecDeque<Event>,
        ticket: Ticket,
        mut targets: Vec<Target>,
    ) {
        if let Some((owner, Attempt::Resolving)) = self.take(ticket) {
            targets.truncate(limits::TARGETS);
            self.connect(cx, events, owner, targets, Failure::Unresolved);
        }
    }

    /// A flow, or none.
    pub fn on_flow(&mut self, cx: &mut Cx<'_>, events: &mut VecDeque<Event>, ticket: Ticket, flow: Option<Flow>) {
        match (self.take(ticket), flow) {
            (Some((owner, Attempt::Connecting(rest))), Some(flow)) => {
                events.push_back(Event::Reached { owner, flow, rest });
            }
            (Some((owner, Attempt::Connecting(rest))), None) => {
                self.connect(cx, events, owner, rest, Failure::Transport);
            }
            (Some((owner, Attempt::Resolving)), _) => {
                events.push_back(Event::Unreachable {
                    owner,
                    failure: Failure::Unresolved,
                });
            }
            (None, _) => {}
        }
    }

    /// Asks for the first target; with none left, `failure` is the answer.
    fn connect(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut VecDeque<Event>,
        owner: Owner,
        mut targets: Vec<Target>,
        failure: Failure,
    ) {
        if targets.is_empty() {
            events.push_back(Event::Unreachable { owner, failure });
            return;
        }
        let first = targets.remove(0);
        let ticket = cx.ticket(owner, limits::CONNECT);
        self.wait(owner, ticket, Attempt::Connecting(targets));
        cx.emit(Output::Connect(ticket, first));
    }
}

/// RFC 3263 4.1 and 4.2 as far as they need no question: maddr before host, a numeric host with the port and transport
/// that are written, 5060 and UDP where they are not. SIPS needs TLS, which nothing here speaks.
fn hop(mut uri: Uri) -> Hop {
    if uri.scheme != Scheme::Sip || (uri.params.get("transport").is_some() && uri.transport().is_none()) {
        return Hop::None;
    }
    if let Some(maddr) = uri.params.value("maddr") {
        let named = ip_of(maddr).map_or_else(|| crate::sip::Host::Name(maddr.to_ascii_lowercase().into()), Into::into);
        uri.host = named;
        uri.params.remove("maddr");
    }
    match uri.host.ip() {
        Some(ip) => Hop::Target(Target {
            transport: uri.transport().unwrap_or(Transport::Udp),
            addr: SocketAddr::new(ip, uri.port.unwrap_or(DEFAULT_PORT)),
        }),
        None if uri.host == crate::sip::Host::Name("".into()) => Hop::None,
        None => Hop::Name(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CallId, LegNo};

    fn seen(uri: &str) -> String {
        match hop(Uri::parse(uri).unwrap()) {
            Hop::Target(target) => format!("{} {}", target.transport.param(), target.addr),
            Hop::Name(uri) => uri.to_string(),
            Hop::None => "none".to_owned(),
        }
    }

    /// Only what this owner waits for is dropped, and nothing of it is left.
    #[test]
    fn forgetting_one_owner_leaves_the_others() {
        let owner = |no| Owner::Leg(CallId(7), LegNo(no));
        let mut reaching = Reaching::default();
        for ticket in 1..=6 {
            reaching.wait(owner(ticket as u16 % 3), Ticket(ticket), Attempt::Resolving);
        }
        reaching.forget(owner(1));
        let left: Vec<u64> = (1..=6).filter(|ticket| reaching.knows(Ticket(*ticket))).collect();
        assert_eq!(left, [2, 3, 5, 6]);
        for ticket in left {
            reaching.take(Ticket(ticket));
        }
        assert!(reaching.attempts.is_empty() && reaching.by_owner.is_empty());
    }

    #[test]
    fn a_numeric_host_needs_no_question() {
        assert_eq!(seen("sip:alice@192.0.2.4"), "udp 192.0.2.4:5060");
        assert_eq!(seen("sip:alice@192.0.2.4:5080;transport=TCP"), "tcp 192.0.2.4:5080");
        assert_eq!(seen("sip:[2001:db8::1]:5070"), "udp [2001:db8::1]:5070");
        assert_eq!(seen("sip:alice@example.com;maddr=192.0.2.9"), "udp 192.0.2.9:5060");
    }

    #[test]
    fn a_name_is_asked_for_and_what_nobody_speaks_is_not() {
        assert_eq!(seen("sip:alice@example.com"), "sip:alice@example.com");
        assert_eq!(seen("sip:192.0.2.4;maddr=gw.example.com"), "sip:gw.example.com");
        assert_eq!(seen("sips:alice@192.0.2.4"), "none");
        assert_eq!(seen("sip:alice@192.0.2.4;transport=tls"), "none");
        assert_eq!(seen("tel:+14155550101"), "none");
    }
}

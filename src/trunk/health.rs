//! Which peers of a trunk are alive: by what calls experience, and by OPTIONS (RFC 3261 11) where configured.

use super::{Outcome, Timer, Trunks, outside_dialog, owner};
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::{Flow, TrunkSlot};
use crate::marker::Marker;
use crate::sip::uri::Scheme;
use crate::sip::{Draft, Host, Method, Name, Uri};
use crate::time::Instant;
use crate::transaction::{Destination, Event, Layer};
use std::net::IpAddr;
use std::time::Duration;

/// The first hold-down; it doubles with each further failure.
const HOLD_DOWN: Duration = Duration::from_secs(30);
/// The shortest hold-down, whatever a Retry-After says.
const HOLD_DOWN_LEAST: Duration = Duration::from_secs(1);
/// The longest hold-down.
const HOLD_DOWN_MOST: Duration = Duration::from_secs(300);
/// Addresses that are remembered of one peer's name.
const ADDRESSES: usize = 8;

/// One peer of a trunk.
#[derive(Debug)]
pub(super) struct Peer {
    uri: Uri,
    /// Where its name led, newest last.
    learned: Vec<IpAddr>,
    failures: u32,
    down_until: Option<Instant>,
    asking: bool,
    call_id: Option<String>,
    cseq: u32,
}

impl Peer {
    pub(super) fn new(uri: Uri) -> Peer {
        Peer {
            uri,
            learned: Vec::new(),
            failures: 0,
            down_until: None,
            asking: false,
            call_id: None,
            cseq: 0,
        }
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }

    /// True if the peer's name led to this address before.
    pub(super) fn is_at(&self, source: IpAddr) -> bool {
        self.learned.contains(&source)
    }

    /// The same for any address of one source.
    pub(super) fn is_near(&self, source: IpAddr) -> bool {
        self.learned.iter().any(|own| Marker::is_same(*own, source))
    }

    /// As it is after a reload: what it was asked before is not answered to it.
    pub(super) fn unasked(self) -> Peer {
        Peer { asking: false, ..self }
    }

    fn learn(&mut self, addr: IpAddr) {
        if self.uri.host.ip().is_some() || self.is_at(addr) {
            return;
        }
        if self.learned.len() == ADDRESSES {
            self.learned.remove(0);
        }
        self.learned.push(addr);
    }
}

impl Trunks {
    /// A flow to a peer was opened: its address is the peer's from now on.
    pub(super) fn learn_at(&mut self, slot: TrunkSlot, place: u16, flow: Flow) {
        let state = self.slots.get_mut(&slot);
        if let Some(peer) = state.and_then(|state| state.peers.get_mut(usize::from(place))) {
            peer.learn(flow.peer.ip());
        }
    }

    pub(super) fn judge(&mut self, cx: &mut Cx<'_>, slot: TrunkSlot, place: u16, outcome: Outcome, seen_by: &str) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        let Some(peer) = state.peers.get_mut(usize::from(place)) else {
            return;
        };
        let was_up = peer.down_until.is_none();
        peer.failures = match outcome {
            Outcome::Alive => 0,
            Outcome::Dead(_) | Outcome::Gone(_) | Outcome::Unavailable(_) => (peer.failures + 1).min(16),
        };
        let hold = match outcome {
            Outcome::Alive => None,
            Outcome::Dead(_) | Outcome::Gone(_) => Some(HOLD_DOWN * 2u32.pow(peer.failures.min(8) - 1)),
            Outcome::Unavailable(asked) => Some(asked.max(HOLD_DOWN_LEAST)),
        };
        let hold = hold.map(|hold| hold.min(HOLD_DOWN_MOST));
        peer.down_until = hold.map(|hold| cx.now + hold);
        let up = hold.is_none();
        if up != was_up {
            let mut why = outcome.told(seen_by);
            if let Some(hold) = hold {
                why += &format!("; it is tried last, at first for {} s", hold.as_secs());
            }
            let fact = Fact::TrunkState {
                trunk: state.name.clone(),
                peer: Some(peer.uri.to_string()),
                up,
                why,
            };
            cx.emit(Output::Record(fact));
        }
    }

    pub(super) fn ask_options(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, place: u16) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        let interval = cx
            .config
            .trunks
            .iter()
            .find(|t| t.name == state.name)
            .and_then(|t| t.options_interval);
        let Some(interval) = interval else { return };
        let Some(peer) = state.peers.get_mut(usize::from(place)) else {
            return;
        };
        // A tenth either way, so that the trunks of many nodes do not ask in step.
        let spread = cx.random() % (u64::try_from(interval.as_millis()).unwrap_or(u64::MAX) / 5).max(1);
        let next = cx.now + interval * 9 / 10 + Duration::from_millis(spread);
        self.deadlines.set(Timer::Options(slot, place), next);
        if !peer.asking {
            peer.asking = true;
            layer.reach(cx, owner(slot, place), Destination::Uri(peer.uri.clone()));
        }
    }

    pub(super) fn options_event(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        slot: TrunkSlot,
        place: u16,
        event: Event,
    ) {
        let config = cx.config.clone();
        let Some(state) = self.slots.get_mut(&slot) else { return };
        let Some(peer) = state.peers.get_mut(usize::from(place)) else {
            return;
        };
        match event {
            Event::Reached { flow, .. } => {
                peer.learn(flow.peer.ip());
                let trunk = config.trunk_by_name(&state.name);
                let draft = options(cx, peer, trunk.and_then(|(_, trunk)| trunk.host.as_deref()), flow);
                layer.request(cx, owner(slot, place), flow, draft);
            }
            Event::Response { response, .. } if response.status() < 200 => {}
            Event::Response { response, .. } => {
                peer.asking = false;
                self.judge(cx, slot, place, Outcome::of(&response), "OPTIONS");
            }
            Event::Unreachable { failure, .. } | Event::Failed { failure, .. } => {
                peer.asking = false;
                self.judge(cx, slot, place, Outcome::Gone(failure), "OPTIONS");
            }
            Event::Request { .. } | Event::Cancelled { .. } | Event::Ack { .. } | Event::ServerGone { .. } => {}
        }
    }
}

/// `host` is the name by which the carrier knows us.
fn options(cx: &mut Cx<'_>, peer: &mut Peer, host: Option<&str>, flow: Flow) -> Draft {
    let call_id = peer.call_id.get_or_insert_with(|| cx.token(16)).clone();
    peer.cseq += 1;
    let us = cx.advertised(flow);
    let host = host.map_or_else(|| Host::from(us.ip()), |name| Host::Name(name.into()));
    let from = Uri::sip(None, host, Some(us.port()));
    let to = Uri {
        params: Default::default(),
        ..peer.uri.clone()
    };
    let mut draft = outside_dialog(cx, Method::Options, peer.uri.clone(), &from, &to, &call_id, peer.cseq);
    // Where SIPS is asked, the Contact is SIPS (RFC 3261 8.1.1.8).
    let contact = if peer.uri.scheme == Scheme::Sips {
        format!("<{}>", from.to_string().replacen("sip:", "sips:", 1))
    } else {
        format!("<{from};transport={}>", flow.transport.param())
    };
    draft.push(Name::Contact, contact);
    draft.push(Name::Accept, "application/sdp");
    draft
}

//! Carriers: who is one, which peer is next, whether there is room, and our registration with it.
//!
//! State is kept by the trunk's name, so that a call that began under an older configuration still finds its trunk.

mod health;
mod leave;
mod rate;
mod register;
#[cfg(test)]
mod tests;

use crate::config::{Config, Network, Trunk, TrunkRegister};
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::{Flow, Identity, Owner, TrunkIx, TrunkSlot};
use crate::marker::Marker;
use crate::sip::write::MAX_FORWARDS;
use crate::sip::{Draft, Message, Method, Name, NameAddr, Uri, auth};
use crate::time::{Deadlines, Instant};
use crate::transaction::{Event, Failure, Layer};
use health::Peer;
use leave::Leaving;
use rate::Bucket;
use register::Registration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Why a trunk takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// `limits.calls` are up.
    Calls,
    /// `limits.calls_per_second` is used up.
    Rate,
    /// The trunk was removed from the configuration and drains.
    Draining,
}

/// How an attempt at a peer ended, for its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gave another response than those below.
    Alive,
    /// It gave this status, 408 or 503 (to REGISTER also 500, 502 or 504): held down for a while.
    Dead(u16),
    /// No response came, or there is no way to it: the same.
    Gone(Failure),
    /// 503 that says for how long (Retry-After, RFC 3261 21.5.4).
    Unavailable(Duration),
}

impl Outcome {
    /// What a final response tells of the peer that sent it.
    pub fn of(response: &Message) -> Outcome {
        match (response.status(), response.number(Name::RetryAfter)) {
            (503, Some(Ok(seconds))) => Outcome::Unavailable(Duration::from_secs(seconds.into())),
            (status @ (408 | 503), _) => Outcome::Dead(status),
            _ => Outcome::Alive,
        }
    }

    /// What the peer did with a request, in words.
    fn told(self, request: &str) -> String {
        match self {
            Outcome::Alive => format!("it answered {request}"),
            Outcome::Dead(status) => format!("it answered {request} by {status}"),
            Outcome::Unavailable(_) => format!("it answered {request} by 503 with Retry-After"),
            Outcome::Gone(Failure::Timeout) => format!("it did not answer {request}"),
            Outcome::Gone(Failure::Transport) => format!("the connection for {request} failed"),
            Outcome::Gone(Failure::Unresolved) => "no address for its name came from the DNS".to_owned(),
        }
    }
}

/// What a trunk waits for, by its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Register(TrunkSlot),
    Leave(TrunkSlot),
    Options(TrunkSlot, u16),
}

/// What a request of ours is about: the second half of `Owner::Trunk`. Below these it is the place of a peer.
const REGISTER: u16 = u16::MAX;
const LEAVE: u16 = u16::MAX - 1;

#[derive(Debug)]
struct State {
    name: String,
    calls: u32,
    draining: bool,
    bucket: Bucket,
    peers: Vec<Peer>,
    registration: Option<Registration>,
    leaving: Option<Leaving>,
}

/// All trunks, by a slot number that is never used again.
#[derive(Debug, Default)]
pub struct Trunks {
    slots: BTreeMap<TrunkSlot, State>,
    last_slot: TrunkSlot,
    deadlines: Deadlines<Timer>,
}

impl Trunks {
    /// Takes the configuration over: new trunks begin, changed ones register anew, those that are gone drain.
    pub fn configure(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        let config = cx.config.clone();
        let gone: Vec<TrunkSlot> = self
            .slots
            .iter()
            .filter(|(_, s)| !config.trunks.iter().any(|t| t.name == s.name))
            .map(|(n, _)| *n)
            .collect();
        for slot in gone {
            self.drain(cx, layer, slot);
        }
        for trunk in &config.trunks {
            let slot = self.slot_of(&trunk.name).unwrap_or_else(|| self.new_slot(cx, trunk));
            self.update(cx, layer, slot, trunk);
        }
    }

    /// The trunk that a request comes from: by the certificate that its sender has shown, the source addresses in its configuration,
    /// the addresses that its peers' names led to, or the flow that we registered over. Carriers that share a host are told apart by what is called: the user of
    /// our registration with one of them.
    /// `called` is the user of the Request-URI.
    pub fn identify(&self, cx: &Cx<'_>, flow: Flow, peer: Option<&Identity>, called: Option<&str>) -> Option<TrunkIx> {
        let by_certificate = peer.and_then(|peer| cx.config.trunks_with_ix().find(|(_, trunk)| trunk.accepts(peer)));
        if let Some((trunk, _)) = by_certificate {
            return Some(trunk);
        }
        let source = flow.peer.ip();
        // Strangers come this way too: each trunk is looked at once.
        let knowing: BTreeSet<&str> = self
            .slots
            .values()
            .filter(|state| state.knows(source))
            .map(|state| state.name.as_str())
            .collect();
        let is_known = |trunk: &Trunk| !knowing.is_empty() && knowing.contains(trunk.name.as_str());
        let mut all = cx
            .config
            .trunks_with_ix()
            .filter(|(_, trunk)| trunk.claims(source) || is_known(trunk));
        let (first, _) = all.next()?;
        let is_called = |trunk: &Trunk| {
            let register = trunk.register.as_ref();
            register.is_some_and(|register| called == Some(&register.username))
        };
        let first_is_called = cx.config.trunk(first).is_some_and(is_called);
        let called = all.find(|(_, trunk)| !first_is_called && is_called(trunk));
        Some(called.map_or(first, |(ix, _)| ix))
    }

    /// True for an address from which a trunk's calls come, or another one of the same source.
    pub fn has_peer(&self, config: &Config, ip: IpAddr) -> bool {
        let source = match ip.to_canonical() {
            IpAddr::V4(ip) => Network::single(ip.into()),
            IpAddr::V6(ip) => Network {
                addr: ip.into(),
                prefix: 64,
            },
        };
        let accepts = |trunk: &Trunk| trunk.accept_from.iter().any(|network| network.overlaps(&source));
        let names = |trunk: &Trunk| {
            let mut hosts = trunk.peers.iter().filter_map(|peer| peer.host.ip());
            hosts.any(|host| Marker::is_same(host, ip))
        };
        let learned = |state: &State| {
            let flow = state.registration.as_ref().and_then(Registration::flow);
            flow.is_some_and(|flow| Marker::is_same(flow.peer.ip(), ip))
                || state.peers.iter().any(|peer| peer.is_near(ip))
        };
        config.trunks.iter().any(|trunk| accepts(trunk) || names(trunk)) || self.slots.values().any(learned)
    }

    /// Takes one of the trunk's call places, in either direction; give it back by `release` exactly once.
    pub fn reserve(&mut self, cx: &Cx<'_>, trunk: TrunkIx) -> Result<(), Busy> {
        let limits = trunk_of(cx, trunk);
        let now = cx.now;
        let Some(state) = self.state_mut(&limits.name) else {
            return Err(Busy::Draining);
        };
        if state.draining {
            return Err(Busy::Draining);
        }
        if state.calls >= limits.max_calls {
            return Err(Busy::Calls);
        }
        if !state.bucket.take(now, limits.calls_per_second) {
            return Err(Busy::Rate);
        }
        state.calls += 1;
        Ok(())
    }

    /// Gives a place back. A drained trunk is forgotten with its last call.
    pub fn release(&mut self, cx: &Cx<'_>, trunk: TrunkIx) {
        self.release_by_name(&trunk_of(cx, trunk).name);
    }

    /// The same where the configuration of the call is not kept.
    pub fn release_by_name(&mut self, name: &str) {
        let Some(slot) = self.slot_of(name) else { return };
        let Some(state) = self.slots.get_mut(&slot) else { return };
        debug_assert!(state.calls > 0, "a place of a trunk was given back twice");
        state.calls = state.calls.saturating_sub(1);
        self.forget_if_drained(slot);
    }

    /// Calls that hold a place of this trunk.
    pub fn calls(&self, name: &str) -> u32 {
        self.state(name).map_or(0, |state| state.calls)
    }

    /// Places held on all trunks.
    pub fn reserved(&self) -> u32 {
        self.slots.values().map(|state| state.calls).sum()
    }

    /// The peers to try for one call, by place in the configuration: in order, those held down last.
    pub fn peers(&self, cx: &Cx<'_>, trunk: TrunkIx) -> Vec<(u16, Uri)> {
        let config = trunk_of(cx, trunk);
        let state = self.state(&config.name);
        let down = |place: usize| {
            state
                .and_then(|s| s.peers.get(place))
                .is_some_and(|peer| peer.is_down(cx.now))
        };
        let mut list: Vec<(u16, Uri)> = (0u16..).zip(config.peers.iter().cloned()).collect();
        list.sort_by_key(|(place, _)| (down(usize::from(*place)), *place));
        list
    }

    /// What became of an attempt at a peer.
    pub fn report(&mut self, cx: &mut Cx<'_>, trunk: TrunkIx, peer: u16, outcome: Outcome) {
        let config = trunk_of(cx, trunk);
        let Some(slot) = self.slot_of(&config.name) else { return };
        let place = usize::from(peer);
        let known = self.slots.get(&slot).and_then(|state| state.peers.get(place));
        // A call that began under an older configuration may have met another peer in this place.
        if known.map(Peer::uri) == config.peers.get(place) {
            self.judge(cx, slot, peer, outcome, "a call");
        }
    }

    /// The credentials for a challenge of this carrier, if its realm is the one that we expect.
    pub fn credentials<'a>(&self, cx: &'a Cx<'_>, trunk: TrunkIx, challenge: &Message) -> Option<&'a TrunkRegister> {
        let register = cx.config.trunks.get(usize::from(trunk.0))?.register.as_ref()?;
        let expected = |realm: &str| {
            register
                .realm
                .as_ref()
                .is_none_or(|own| own.eq_ignore_ascii_case(realm))
        };
        auth::challenges(challenge)
            .iter()
            .any(|(_, c)| expected(&c.realm))
            .then_some(register)
    }

    /// An event of the transaction layer whose owner is `Owner::Trunk(slot, about)`.
    pub fn event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, about: u16, event: Event) {
        match about {
            REGISTER => self.registration_event(cx, layer, slot, event),
            LEAVE => self.leave_event(cx, layer, slot, event),
            place => self.options_event(cx, layer, slot, place, event),
        }
    }

    /// A flow broke: a registration over it is made again.
    pub fn on_flow_closed(&mut self, cx: &mut Cx<'_>, flow: Flow) {
        let slots: Vec<TrunkSlot> = self
            .slots
            .iter()
            .filter(|(_, s)| s.registration.as_ref().is_some_and(|r| r.flow() == Some(flow)))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in slots {
            self.registration_lost(cx, slot, flow);
        }
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        while let Some(timer) = self.deadlines.pop_due(cx.now) {
            match timer {
                Timer::Register(slot) => self.begin_registration(cx, layer, slot),
                Timer::Leave(slot) => self.left(cx, slot),
                Timer::Options(slot, peer) => self.ask_options(cx, layer, slot, peer),
            }
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// True when no carrier has to answer the end of a registration.
    pub fn is_quiet(&self) -> bool {
        self.slots.values().all(|state| state.leaving.is_none())
    }

    /// The node stops: no more questions, and our registrations end.
    pub fn stop(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        self.deadlines = Deadlines::default();
        let slots: Vec<TrunkSlot> = self.slots.keys().copied().collect();
        for slot in slots {
            self.end_registration(cx, layer, slot);
        }
    }

    fn new_slot(&mut self, cx: &Cx<'_>, trunk: &Trunk) -> TrunkSlot {
        self.last_slot.0 = self.last_slot.0.wrapping_add(1);
        let state = State {
            name: trunk.name.clone(),
            calls: 0,
            draining: false,
            bucket: Bucket::full(cx.now, trunk.calls_per_second),
            peers: Vec::new(),
            registration: None,
            leaving: None,
        };
        self.slots.insert(self.last_slot, state);
        self.last_slot
    }

    fn update(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, trunk: &Trunk) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        state.draining = false;
        // Where the peer of our registration is in the new list.
        let registered = state.registration.as_ref().map(Registration::place);
        let uri = registered.and_then(|place| state.peers.get(usize::from(place)).map(Peer::uri));
        let place = uri.and_then(|uri| trunk.peers.iter().position(|peer| peer == uri));
        let place = place.and_then(|place| u16::try_from(place).ok());
        if place.is_none() {
            // While its peer is still known.
            self.configure_registration(cx, layer, slot, None, None);
        }
        self.update_peers(cx, layer, slot, trunk);
        self.configure_registration(cx, layer, slot, trunk.register.as_ref(), place);
    }

    /// Peers that stay keep what is known of their health.
    fn update_peers(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, trunk: &Trunk) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        if !state.peers.iter().map(Peer::uri).eq(trunk.peers.iter()) {
            for (place, _) in (0u16..).zip(&state.peers) {
                layer.forget(owner(slot, place));
                self.deadlines.cancel(Timer::Options(slot, place));
            }
            let mut known = std::mem::take(&mut state.peers);
            let mut peer = |uri: &Uri| match known.iter().position(|peer| peer.uri() == uri) {
                Some(at) => known.swap_remove(at).unasked(),
                None => Peer::new(uri.clone()),
            };
            state.peers = trunk.peers.iter().map(&mut peer).collect();
        }
        for (place, _) in (0u16..).zip(&state.peers) {
            let timer = Timer::Options(slot, place);
            match trunk.options_interval {
                Some(_) if self.deadlines.get(timer).is_none() => self.deadlines.set(timer, cx.now),
                Some(_) => {}
                None => {
                    self.deadlines.cancel(timer);
                }
            }
        }
    }

    fn drain(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot) {
        self.end_registration(cx, layer, slot);
        let Some(state) = self.slots.get_mut(&slot) else { return };
        if !state.draining {
            state.draining = true;
            let why = format!(
                "removed from the configuration; {} calls go on until they end",
                state.calls
            );
            cx.emit(Output::Record(Fact::TrunkState {
                trunk: state.name.clone(),
                peer: None,
                up: false,
                why,
            }));
        }
        self.forget_if_drained(slot);
    }

    fn forget_if_drained(&mut self, slot: TrunkSlot) {
        let Some(state) = self.slots.get(&slot) else { return };
        if state.draining && state.calls == 0 && state.leaving.is_none() {
            for place in 0..u16::try_from(state.peers.len()).unwrap_or(u16::MAX) {
                self.deadlines.cancel(Timer::Options(slot, place));
            }
            self.deadlines.cancel(Timer::Register(slot));
            self.slots.remove(&slot);
        }
    }

    fn slot_of(&self, name: &str) -> Option<TrunkSlot> {
        self.slots
            .iter()
            .find(|(_, state)| state.name == name)
            .map(|(slot, _)| *slot)
    }

    fn state(&self, name: &str) -> Option<&State> {
        self.slots.values().find(|state| state.name == name)
    }

    fn state_mut(&mut self, name: &str) -> Option<&mut State> {
        self.slots.values_mut().find(|state| state.name == name)
    }
}

impl State {
    /// The address is that of our registration, or one that a peer's name led to.
    fn knows(&self, source: IpAddr) -> bool {
        let registered = self.registration.as_ref().and_then(Registration::flow);
        registered.is_some_and(|own| own.peer.ip() == source) || self.peers.iter().any(|peer| peer.is_at(source))
    }
}

fn trunk_of<'a>(cx: &'a Cx<'_>, trunk: TrunkIx) -> &'a Trunk {
    &cx.config.trunks[usize::from(trunk.0)]
}

/// A request outside of any dialog from us to a peer (RFC 3261 8.1.1).
fn outside_dialog(
    cx: &mut Cx<'_>,
    method: Method,
    target: Uri,
    from: &Uri,
    to: &Uri,
    call_id: &str,
    cseq: u32,
) -> Draft {
    let mut draft = Draft::request(method.clone(), target);
    let mut from = NameAddr::new(from.clone());
    from.params.set("tag", Some(&cx.tag()));
    draft.push(Name::MaxForwards, MAX_FORWARDS);
    draft.push(Name::From, from);
    draft.push(Name::To, NameAddr::new(to.clone()));
    draft.push(Name::CallId, call_id);
    draft.push(Name::CSeq, format!("{cseq} {method}"));
    draft.push(Name::UserAgent, crate::USER_AGENT);
    draft
}

fn owner(slot: TrunkSlot, about: u16) -> Owner {
    Owner::Trunk(slot, about)
}

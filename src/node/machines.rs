//! The machines of a node, and who gets what.

use super::authenticate::Authenticator;
use super::control::Watches;
use super::{Census, Input, local, relay};
use crate::api::Api;
use crate::b2bua::{Calls, Net};
use crate::cx::Cx;
use crate::effect::{Aor, Fact, Output, Reply};
use crate::event::Notifier;
use crate::guard::{Guard, Suspect};
use crate::id::{Flow, Identity, Owner, Ticket};
use crate::keyed;
use crate::ng::Ng;
use crate::proxy::Proxy;
use crate::registrar::Registrar;
use crate::sip::auth::NonceKey;
use crate::sip::{Message, Uri};
use crate::siprec::Siprec;
use crate::time::Instant;
use crate::transaction::{Event, Layer};
use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use std::time::Duration;

/// All machines of the signalling side.
pub(super) struct Machines {
    pub(super) net: Net,
    pub(super) authenticator: Authenticator,
    pub(super) registrar: Registrar,
    pub(super) calls: Calls,
    pub(super) proxy: Proxy,
    pub(super) guard: Guard,
    pub(super) notifier: Notifier,
    pub(super) ng: Ng,
    pub(super) watches: Watches,
    pub(super) siprec: Siprec,
    pub(super) api: Api,
    pub(super) stopping: bool,
}

impl Machines {
    pub(super) fn new(rng: &mut ChaCha12Rng, guard: Guard) -> Machines {
        let (mut key, mut marks, mut tables, mut gruus) = ([0; 32], [0; 32], [0; 16], [0; 32]);
        rng.fill_bytes(&mut key);
        rng.fill_bytes(&mut marks);
        rng.fill_bytes(&mut tables);
        rng.fill_bytes(&mut gruus);
        let names = keyed::Key::new(tables).of(&[b"clients"]);
        Machines {
            net: Net {
                layer: Layer::new(keyed::Key::new(tables)),
                ..Net::default()
            },
            authenticator: Authenticator::new(NonceKey(key)),
            registrar: Registrar::new(NonceKey(gruus)),
            calls: Calls::default(),
            proxy: Proxy::new(marks),
            guard,
            notifier: Notifier::default(),
            ng: Ng::default(),
            watches: Watches::default(),
            siprec: Siprec::default(),
            api: Api::new(keyed::Key::new(names.to_le_bytes())),
            stopping: false,
        }
    }

    pub(super) fn configure(&mut self, cx: &mut Cx<'_>) {
        self.net.trunks.configure(cx, &mut self.net.layer);
    }

    /// Another configuration is in force; `moved` if media ports are elsewhere now.
    pub(super) fn reconfigure(&mut self, cx: &mut Cx<'_>, moved: bool) {
        // First: the shell has closed them.
        if moved {
            self.calls.renew_ports(cx);
        }
        self.configure(cx);
        self.net.layer.reconfigure();
        self.guard.configure(cx.config.clone());
        self.api.reconfigure(cx);
        self.pardon(cx);
        let config = cx.config.clone();
        let is_there = |aor: &Aor| config.user(aor.user()).is_some_and(|user| local::aor(user) == *aor);
        let is_user = |name: &str| config.user(name).is_some();
        self.notifier.reconfigure(cx, &mut self.net.layer, is_there, is_user);
    }

    pub(super) fn next_deadline(&self) -> Option<(Instant, &'static str)> {
        let wishes = [
            (self.net.layer.next_deadline(), "transactions"),
            (self.calls.next_deadline(), "calls"),
            (self.proxy.next_deadline(), "proxy"),
            (self.notifier.next_deadline(), "subscriptions"),
            (self.net.waker.next_deadline(), "push"),
            (self.net.trunks.next_deadline(), "trunks"),
            (self.guard.next_deadline(), "guard"),
            (self.ng.next_deadline(), "ng"),
            (self.siprec.next_deadline(), "recording sessions"),
            (self.api.next_deadline(), "clients"),
        ];
        wishes.into_iter().filter_map(|(at, who)| at.map(|at| (at, who))).min()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopping
            && self.calls.is_empty()
            && self.siprec.is_empty()
            && self.ng.is_empty()
            && self.proxy.calls() == 0
            && self.registrar.pending() == 0
            && self.net.trunks.is_quiet()
    }

    pub(super) fn calls_up(&self) -> usize {
        self.calls.up() + self.proxy.calls() + self.ng.up()
    }

    pub(super) fn census(&self) -> Census {
        Census {
            calls: self.calls.len() + self.proxy.calls(),
            contexts: self.proxy.contexts(),
            transactions: self.net.layer.len() + self.api.lines().1,
            tickets: 0,
            registers: self.registrar.pending(),
            subscriptions: self.notifier.len(),
            waking: self.net.waker.len(),
            recording_sessions: self.siprec.len(),
            client_lines: self.api.lines().0,
            ng_calls: self.ng.up(),
            ng_legs: self.ng.legs(),
            trunk_places: self.net.trunks.reserved(),
            user_places: self.calls.user_places(),
        }
    }

    /// Hands around what the transaction layer has to tell, until it is silent.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>) {
        loop {
            self.heed_proxy(cx);
            while let Some((owner, reply)) = self.net.waker.poll() {
                self.store(cx, owner, reply);
                self.heed_proxy(cx);
            }
            self.heed_rooms(cx);
            self.heed_recordings(cx);
            match self.net.layer.poll() {
                Some(event) => self.event(cx, event),
                None if self.heed_clients(cx) => {}
                None => return,
            }
        }
    }

    /// What calls tell those who record them, and what these have to tell.
    fn heed_recordings(&mut self, cx: &mut Cx<'_>) {
        loop {
            while let Some(order) = self.calls.poll_order() {
                self.siprec.order(cx, &mut self.net.layer, self.calls.stock(), order);
            }
            let Some(lost) = self.siprec.poll_lost() else { return };
            self.calls.unrecorded(cx, &mut self.net, lost.call, &lost.why);
        }
    }

    pub(super) fn handle(&mut self, cx: &mut Cx<'_>, input: Input) {
        match input {
            Input::Sip(flow, bytes) => self.sip(cx, flow, bytes),
            Input::Identified(flow, identity) => self.identified(cx, flow, identity),
            Input::FlowOpened(ticket, flow) => self.flow(cx, ticket, Some(flow)),
            Input::FlowFailed(ticket) => self.flow(cx, ticket, None),
            Input::FlowClosed(flow) => {
                self.net.layer.on_flow_closed(cx, flow);
                self.net.trunks.on_flow_closed(cx, flow);
            }
            Input::Answered(ticket, answer) => {
                if cx.tickets.take(ticket).is_some() {
                    self.net.layer.on_answer(cx, ticket, answer);
                }
            }
            Input::Store(ticket, reply) => {
                if let Some(owner) = cx.tickets.take(ticket) {
                    self.store(cx, owner, reply);
                }
            }
            Input::Posted(ticket, taken) => {
                if let Some(owner) = cx.tickets.take(ticket) {
                    self.posted(cx, owner, taken);
                }
            }
            Input::Secret(key) => {
                self.proxy.set_key(&key);
                self.registrar.set_key(key);
            }
            Input::Fingerprint(fingerprint) => self.calls.known_by(fingerprint),
            Input::Sleepers(all) => {
                for (aor, bindings) in all {
                    self.net.waker.watch(cx, &aor, &bindings);
                }
            }
            Input::Ng(peer, bytes) => self.ng.datagram(cx, self.calls.stock(), peer, &bytes),
            Input::Control(id, line) => self.asked(cx, id, &line),
            Input::ControlClosed(id) => self.watches.remove(id),
            Input::Api(id, request) => self.api.request(cx, id, &request),
            Input::ApiClosed(id) => self.api.closed(cx, id),
            Input::Media(event) => {
                let stock = self.calls.stock();
                if !self.ng.media(cx, stock, &event) && !self.siprec.media(cx, &mut self.net.layer, stock, &event) {
                    self.calls.media(cx, &mut self.net, event);
                }
            }
            Input::Ports(ports) => self.calls.add_ports(ports),
            Input::Waited(wait) => self.guard.waited(cx, wait),
            Input::Bound(sources) => {
                for (ip, lasts) in sources {
                    self.guard.is_bound(cx, ip, lasts);
                }
            }
            // The node itself switches the configuration.
            Input::Config(_) => {}
            Input::Stop(grace) => self.stop(cx, grace),
            Input::Time => self.time(cx),
        }
    }

    /// A message that the guard has let through.
    fn sip(&mut self, cx: &mut Cx<'_>, flow: Flow, bytes: Bytes) {
        if self.guard.is_acknowledged() {
            return self.probed(cx);
        }
        match Message::parse(bytes) {
            Ok(message) => self.net.layer.receive(cx, flow, message),
            Err(error) => {
                cx.emit(Output::Record(Fact::Refused {
                    peer: flow.peer,
                    status: 0,
                    why: error.reason,
                    what: None,
                }));
            }
        }
    }

    /// A carrier is no stranger, even before its first call.
    fn identified(&mut self, cx: &mut Cx<'_>, flow: Flow, identity: Identity) {
        if cx.config.trunks.iter().any(|trunk| trunk.accepts(&identity)) {
            cx.emit(Output::Known(flow));
        }
        self.net.layer.on_identity(flow, identity);
    }

    fn flow(&mut self, cx: &mut Cx<'_>, ticket: Ticket, flow: Option<Flow>) {
        if cx.tickets.take(ticket).is_some() {
            self.net.layer.on_flow(cx, ticket, flow);
        }
    }

    /// A URL has taken what it was told, or not.
    fn posted(&mut self, cx: &mut Cx<'_>, owner: Owner, taken: bool) {
        match owner {
            Owner::Wake(number) => self.net.waker.posted(number, taken),
            Owner::Phone(call) => self.api.posted(cx, call, taken),
            Owner::Leg(..)
            | Owner::Registrar(_)
            | Owner::Subscription(_)
            | Owner::Trunk(..)
            | Owner::Proxy(..)
            | Owner::Recording(_)
            // These tell no URL anything.
            | Owner::Response(_) => {}
        }
    }

    fn store(&mut self, cx: &mut Cx<'_>, owner: Owner, reply: Reply) {
        match owner {
            Owner::Registrar(number) => {
                let before = cx.out.len();
                let changed = self.registrar.store(cx, &mut self.net.layer, number, reply);
                self.bound(cx, before);
                if let Some((aor, bindings)) = changed {
                    self.notifier.changed(cx, &aor);
                    self.net.waker.registered(cx, &aor, &bindings);
                }
            }
            Owner::Subscription(id) => {
                let gruus = self.registrar.gruus();
                self.notifier.store(cx, &mut self.net.layer, gruus, id, reply);
            }
            Owner::Leg(call, leg) => {
                self.calls.store(cx, &mut self.net, call, leg, reply);
            }
            Owner::Proxy(id, no) => self.proxy.store(cx, &mut self.net.layer, id, no, reply),
            Owner::Trunk(..) | Owner::Recording(_) | Owner::Phone(_) | Owner::Response(_) | Owner::Wake(_) => {
                unreachable!("trunks, recording sessions, phones, transactions and the waker ask the store nothing")
            }
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let owner = match event {
            Event::Request { flow, request } => return self.admit(cx, flow, request),
            Event::Ack { request, .. } if self.siprec.owns(&request) => {
                let stock = self.calls.stock();
                return self.siprec.ack(cx, &mut self.net.layer, stock, &request);
            }
            Event::Ack { flow, request } if !self.calls.owns(&request) => {
                let gruus = self.registrar.gruus();
                let device = |cx: &Cx<'_>, uri: &Uri| {
                    let device = gruus.device(cx.config, flow, uri).ok().flatten()?;
                    Some((local::aor_of(cx.config, &device.user), device.which))
                };
                let consumed = relay::consumed(cx, flow, &request);
                return self.proxy.ack(cx, &mut self.net.layer, flow, request, consumed, device);
            }
            Event::Ack { flow, request } => {
                return self.calls.ack(cx, &mut self.net, flow, request);
            }
            Event::Cancelled { tx, .. } | Event::ServerGone { tx } if self.proxy.owns(tx) => {
                return self.proxy.event(cx, &mut self.net.layer, event);
            }
            Event::Cancelled { .. } | Event::ServerGone { .. } => None,
            Event::Reached { owner, .. }
            | Event::Unreachable { owner, .. }
            | Event::Response { owner, .. }
            | Event::Failed { owner, .. } => Some(owner),
        };
        match owner {
            Some(Owner::Trunk(slot, about)) => self.net.trunks.event(cx, &mut self.net.layer, slot, about, event),
            Some(Owner::Proxy(..)) => self.proxy.event(cx, &mut self.net.layer, event),
            Some(Owner::Subscription(id)) => self.notifier.event(cx, &mut self.net.layer, id, event),
            Some(Owner::Recording(number)) => {
                let stock = self.calls.stock();
                self.siprec.event(cx, &mut self.net.layer, stock, number, event);
            }
            Some(Owner::Leg(..)) | None => {
                // It may be the first that a client says to a call of ours.
                if let Event::Response {
                    owner: Owner::Leg(call, _),
                    response,
                    ..
                } = &event
                {
                    self.api.call_named(cx, response.call_id(), *call);
                }
                self.calls.event(cx, &mut self.net, event);
            }
            Some(Owner::Registrar(_) | Owner::Phone(_) | Owner::Response(_) | Owner::Wake(_)) => {
                unreachable!("the registrar and the layer itself send no requests")
            }
        }
    }

    /// The guard learns from the facts behind `before` whose bindings are live.
    fn bound(&mut self, cx: &mut Cx<'_>, before: usize) {
        let registered = cx.out.range(before..).find_map(|output| match output {
            Output::Record(Fact::Registered {
                contacts: 1..,
                peer,
                expires,
                ..
            }) => Some((peer.ip(), *expires)),
            _other => None,
        });
        if let Some((ip, lasts)) = registered {
            self.guard.is_bound(cx, ip, lasts);
        }
    }

    /// Whoever sent the message at hand was asked who it is, or told that there is nothing for it here.
    pub(super) fn probed(&mut self, cx: &mut Cx<'_>) {
        let suspect = self.guard.is_probe(cx);
        self.ban(cx, suspect);
    }

    /// Whoever sent the message at hand gave a wrong password.
    pub(super) fn guessed(&mut self, cx: &mut Cx<'_>) {
        let suspect = self.guard.is_wrong(cx);
        self.ban(cx, suspect);
    }

    /// Trunks and the peers of calls are never banned.
    fn ban(&mut self, cx: &mut Cx<'_>, suspect: Option<Suspect>) {
        let is_ours =
            |ip| self.net.trunks.has_peer(cx.config, ip) || self.calls.has_peer(ip) || self.siprec.has_peer(ip);
        if let Some(suspect) = suspect.filter(|suspect| !is_ours(suspect.ip)) {
            self.guard.ban(cx, suspect);
        }
    }

    /// A trunk may have come to an address that was banned.
    fn pardon(&mut self, cx: &mut Cx<'_>) {
        let config = cx.config.clone();
        self.guard.pardon(cx, |ip| self.net.trunks.has_peer(&config, ip));
    }

    fn stop(&mut self, cx: &mut Cx<'_>, grace: Duration) {
        self.stopping = true;
        self.net.trunks.stop(cx, &mut self.net.layer);
        self.calls.stop(cx, &mut self.net, grace);
        self.ng.stop(cx, self.calls.stock(), grace);
        self.proxy.stop(cx, &mut self.net.layer, grace);
        self.notifier.stop(cx, &mut self.net.layer);
    }

    fn time(&mut self, cx: &mut Cx<'_>) {
        while let Some((ticket, owner)) = cx.tickets.pop_due(cx.now) {
            match owner {
                Owner::Registrar(_) => self.store(cx, owner, Reply::Failed),
                // These ask the store or for a flow; the layer knows the latter.
                Owner::Leg(..) | Owner::Proxy(..) | Owner::Subscription(_) => {
                    if !self.net.layer.on_late(cx, ticket) {
                        self.store(cx, owner, Reply::Failed);
                    }
                }
                Owner::Wake(_) | Owner::Phone(_) => self.posted(cx, owner, false),
                // These ask for flows only. One that the layer does not know was given up meanwhile.
                Owner::Trunk(..) | Owner::Recording(_) | Owner::Response(_) => {
                    self.net.layer.on_late(cx, ticket);
                }
            }
        }
        let config = cx.config.clone();
        self.guard.on_time(cx, |ip| self.net.trunks.has_peer(&config, ip));
        self.net.layer.on_time(cx);
        self.net.trunks.on_time(cx, &mut self.net.layer);
        self.proxy.on_time(cx, &mut self.net.layer);
        self.notifier.on_time(cx, &mut self.net.layer);
        self.net.waker.on_time(cx);
        self.calls.on_time(cx, &mut self.net);
        self.ng.on_time(cx, self.calls.stock());
        self.siprec.on_time(cx, &mut self.net.layer, self.calls.stock());
        self.api.on_time(cx);
    }
}

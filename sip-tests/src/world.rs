//! The world: one queue of events in order of time, then of number; nothing sleeps.

use crate::agent::{Act, Agent, Ctx, Timer, Wire};
use crate::cdr::Records;
use crate::dns::Dns;
use crate::errors;
use crate::invariants::Checks;
use crate::ladder::Ladder;
use crate::media::{Effect, Media};
use crate::message;
use crate::net::{Arrival, Link, Net, Owner};
use crate::rng::Rng;
use crate::store::{Store, Turn};
use crate::streams::{AGAIN, StreamEvent, Streams};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tandem::config::{Config, Sources};
use tandem::effect::{Fact, Output, Reply};
use tandem::id::{ConnectionId, Flow, ListenerId, Target, Ticket, Transport, WorkerId};
use tandem::media::leg::Leg;
use tandem::node::{Input, Node};
use tandem::registrar::bindings::Change;
use tandem::sip::frame::{self, Frame};
use tandem::time::{Clock, Instant, Wall};

/// 2026-01-01, so that wall-clock time is plausible.
const EPOCH_MS: u64 = 1_767_225_600_000;

/// What happens at some time.
pub(crate) enum Event {
    Udp(Arrival, Bytes),
    Stream(usize, StreamEvent),
    Timer(usize, Timer),
    Input(u64, Input),
    Commit(u64, Ticket, Box<(Reply, Change)>),
    Moved(u64, WorkerId, Box<Leg>),
    Script(Box<dyn FnOnce(&mut World)>),
}

struct Entry(Instant, u64, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// Everything that a run consists of.
pub struct World {
    /// What decided it.
    pub seed: u64,
    /// The clock.
    pub now: Instant,
    /// Chance.
    pub rng: Rng,
    /// Hosts, links, NATs.
    pub net: Net,
    /// Connections.
    pub streams: Streams,
    /// Names.
    pub dns: Dns,
    /// Bindings.
    pub store: Store,
    /// Workers, legs, ports.
    pub media: Media,
    /// The peers.
    pub agents: Vec<Agent>,
    /// All facts.
    pub facts: Vec<Fact>,
    /// Call records.
    pub records: Records,
    /// What is checked after every step.
    pub checks: Checks,
    /// The messages.
    pub ladder: Ladder,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The host of the node.
    pub node_ip: IpAddr,
    pub(crate) names: BTreeMap<String, usize>,
    pub(crate) node: Option<Node>,
    generation: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    inputs: VecDeque<Input>,
    acts: Vec<Act>,
    idle_turns: u32,
    panics: usize,
}

/// How a world is made.
pub struct Builder {
    seed: u64,
    yaml: String,
    real_media: bool,
    quiet: bool,
}

impl Builder {
    /// In place of the default configuration.
    pub fn config(mut self, yaml: &str) -> Builder {
        yaml.clone_into(&mut self.yaml);
        self
    }

    /// With real workers and RTP.
    pub fn media(mut self) -> Builder {
        self.real_media = true;
        self
    }

    /// Keeps no messages (large runs).
    pub fn quiet(mut self) -> Builder {
        self.quiet = true;
        self
    }

    /// The world, with its node started.
    pub fn build(self) -> World {
        errors::watch();
        errors::take();
        let config = Arc::new(read_config(&self.yaml));
        let node_ip = config.listen[0].addr.ip();
        let ports = config.media.first_port..=config.media.last_port;
        let workers = if self.real_media { config.media.workers } else { 0 };
        let mut world = World {
            seed: self.seed,
            now: Instant::ZERO,
            rng: Rng::new(self.seed),
            net: Net::default(),
            streams: Streams::default(),
            dns: Dns::default(),
            store: Store::default(),
            media: Media::new(node_ip, ports, workers),
            agents: Vec::new(),
            facts: Vec::new(),
            records: Records::default(),
            checks: Checks::default(),
            ladder: Ladder::new(self.quiet),
            config,
            node_ip,
            names: BTreeMap::new(),
            node: None,
            generation: 0,
            queue: BinaryHeap::new(),
            number: 0,
            inputs: VecDeque::new(),
            acts: Vec::new(),
            idle_turns: 0,
            panics: errors::panics(),
        };
        world.net.add(
            node_ip,
            Owner::Node,
            Link {
                delay: Duration::ZERO,
                ..Link::default()
            },
        );
        world.start_node();
        world
    }
}

/// Reads a configuration as `tandem check` does.
pub fn read_config(yaml: &str) -> Config {
    match tandem::config::parse("world.yaml", yaml, &Sources::NONE) {
        Ok(config) => config,
        Err(problems) => panic!("the configuration of this test is wrong: {problems:#?}"),
    }
}

impl World {
    /// A world of this seed, to be made to measure.
    pub fn builder(seed: u64) -> Builder {
        Builder {
            seed,
            yaml: crate::script::EDGE.to_owned(),
            real_media: false,
            quiet: false,
        }
    }

    /// A world with the default configuration, without RTP.
    pub fn new(seed: u64) -> World {
        World::builder(seed).build()
    }

    /// Both clocks.
    pub fn clock(&self) -> Clock {
        Clock {
            now: self.now,
            wall: Wall(EPOCH_MS) + self.now.since(Instant::ZERO),
        }
    }

    pub(crate) fn start_node(&mut self) {
        let seed = self.rng.seed();
        self.node = Some(Node::new(self.config.clone(), seed, self.clock()));
        self.turn();
    }

    pub(crate) fn drop_node(&mut self) {
        self.node = None;
        self.generation += 1;
        self.inputs.clear();
    }

    /// Does this at a later time.
    pub fn after(&mut self, after: Duration, script: impl FnOnce(&mut World) + 'static) {
        self.push(self.now + after, Event::Script(Box::new(script)));
    }

    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.number += 1;
        self.queue.push(Reverse(Entry(at, self.number, event)));
    }

    /// The time of the next event, timer or tick.
    pub fn next(&self) -> Option<Instant> {
        let queue = self.queue.peek().map(|Reverse(entry)| entry.0);
        let node = self.node.as_ref().and_then(Node::poll_timeout).map(|(at, _)| at);
        [queue, node, self.media.next_tick()].into_iter().flatten().min()
    }

    /// Runs one event; false when nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next() else { return false };
        if at > self.now {
            self.now = at;
            self.idle_turns = 0;
        }
        if self.queue.peek().is_some_and(|Reverse(entry)| entry.0 <= self.now) {
            if let Some(Reverse(Entry(_, _, event))) = self.queue.pop() {
                self.event(event);
            }
        } else if self.media.next_tick().is_some_and(|tick| tick <= self.now) {
            let effects = self.media.tick(self.now);
            self.media_effects(effects);
        } else {
            self.idle_turns += 1;
            if self.idle_turns > 200 {
                let who = self.node.as_ref().and_then(Node::poll_timeout);
                self.fail(&format!(
                    "the node wants to be woken again and again at the same time: {who:?}"
                ));
            }
            self.inputs.push_back(Input::Time);
        }
        self.turn();
        self.check_step();
        true
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Udp(arrival, bytes) => self.datagram(arrival, bytes),
            Event::Stream(number, event) => self.stream(number, event),
            Event::Timer(agent, timer) => self.act(agent, |agent, cx| agent.timer(cx, timer)),
            Event::Input(generation, input) => {
                if generation == self.generation {
                    self.inputs.push_back(input);
                }
            }
            Event::Commit(generation, ticket, write) => {
                let reply = self.store.commit(write.0, write.1);
                if generation == self.generation {
                    self.inputs.push_back(Input::Store(ticket, reply));
                }
            }
            Event::Moved(generation, to, leg) => {
                if generation == self.generation {
                    let effects = self.media.give(self.now, to, leg);
                    self.media_effects(effects);
                }
            }
            Event::Script(script) => script(self),
        }
    }

    /// Feeds what waits to the node and carries its effects out, until it is silent.
    pub(crate) fn turn(&mut self) {
        let mut outputs = 0;
        loop {
            while let Some(output) = self.node.as_mut().and_then(Node::poll_output) {
                outputs += 1;
                assert!(outputs < 200_000, "seed {}: the node never becomes silent", self.seed);
                self.carry_out(output);
            }
            let (Some(input), Some(_)) = (self.inputs.pop_front(), &self.node) else {
                return;
            };
            let clock = self.clock();
            if let Some(node) = &mut self.node {
                node.handle(clock, input);
            }
        }
    }

    /// Gives the node an input at once.
    pub fn feed(&mut self, input: Input) {
        self.inputs.push_back(input);
        self.turn();
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(flow, bytes) => self.node_sends(flow, bytes),
            Output::Connect(ticket, target) => self.node_connects(ticket, target),
            Output::Resolve(ticket, uri) => {
                if let Some((delay, targets)) = self.dns.resolve(&uri) {
                    self.push(
                        self.now + delay,
                        Event::Input(self.generation, Input::Resolved(ticket, targets)),
                    );
                }
            }
            Output::Store(ticket, op) => match self.store.apply(op, self.clock().wall) {
                Turn::Now(reply) => self.inputs.push_back(Input::Store(ticket, reply)),
                Turn::Later(delay, write) => self.push(self.now + delay, Event::Commit(self.generation, ticket, write)),
                Turn::Never => {}
            },
            Output::Media(worker, command) => {
                self.media.wake(self.now);
                self.ladder
                    .note(self.now, || format!("{:>10}     {worker} {command:?}", "media"));
                let effects = self.media.command(self.now, worker, command);
                self.media_effects(effects);
            }
            Output::Ports(count) => {
                let ports = self.media.bind(count);
                self.inputs.push_back(Input::Ports(ports));
            }
            Output::Record(fact) => {
                self.ladder.note(self.now, || format!("{:>10}     {fact:?}", "fact"));
                if let Err(why) = self.records.fold(&fact) {
                    self.fail(&why);
                }
                if !self.ladder.quiet || !matches!(fact, Fact::CallChanged { .. }) {
                    self.facts.push(fact);
                }
            }
        }
    }

    fn media_effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Event(event) => self.inputs.push_back(Input::Media(event)),
                Effect::Send(from, to, bytes) => self.send_udp(from, to, bytes),
                Effect::Moving(to, leg) => {
                    let delay = self.rng.millis(0, 15);
                    self.push(self.now + delay, Event::Moved(self.generation, to, leg));
                }
            }
        }
    }

    /// Sends a datagram into the network.
    pub fn send_udp(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        for arrival in self.net.send(self.now, &mut self.rng, from, to, bytes.len()) {
            self.push(arrival.at, Event::Udp(arrival, bytes.clone()));
        }
    }

    fn datagram(&mut self, arrival: Arrival, bytes: Bytes) {
        match self.net.owner(arrival.to.ip()) {
            Some(Owner::Node) => {
                let listens = |listen: &tandem::config::Listen| {
                    listen.transport == Transport::Udp && listen.addr.port() == arrival.to.port()
                };
                let Some(listener) = self.config.listen.iter().position(listens) else {
                    let effects = self.media.packet(self.now, arrival.to.port(), arrival.from, &bytes);
                    return self.media_effects(effects);
                };
                let flow = Flow {
                    transport: Transport::Udp,
                    listener: ListenerId(listener as u16),
                    connection: ConnectionId(0),
                    local: arrival.to,
                    peer: arrival.from,
                };
                if let Some(bytes) = frame::datagram(bytes) {
                    self.inputs.push_back(Input::Sip(flow, bytes));
                }
            }
            Some(Owner::Peer(agent)) => {
                let (now, port) = (self.now, arrival.to.port());
                if port == self.agents[agent].addr.port() {
                    self.act(agent, |agent, cx| agent.receive(cx, Wire::Udp(arrival.from), &bytes));
                } else {
                    self.agents[agent].media_in(now, port, arrival.from, &bytes);
                }
            }
            None => {}
        }
    }

    fn node_sends(&mut self, flow: Flow, bytes: Bytes) {
        self.check_wire(flow, &bytes);
        let to = if self.ladder.quiet {
            String::new()
        } else {
            self.name_of(flow.peer)
        };
        match flow.transport {
            Transport::Udp => {
                let arrivals = self
                    .net
                    .send(self.now, &mut self.rng, flow.local, flow.peer, bytes.len());
                self.ladder.message(self.now, "node", &to, &bytes, arrivals.is_empty());
                for arrival in arrivals {
                    self.push(arrival.at, Event::Udp(arrival, bytes.clone()));
                }
            }
            Transport::Tcp => {
                self.ladder.message(self.now, "node", &to, &bytes, false);
                let number = flow.connection.0 as usize - 1;
                if self
                    .streams
                    .list
                    .get(number)
                    .is_some_and(|connection| connection.open && !connection.closed)
                {
                    let end = self.streams.end_of(number, Owner::Node);
                    self.write_stream(number, end, &bytes);
                } else {
                    self.inputs.push_back(Input::FlowClosed(flow));
                }
            }
        }
    }

    fn node_connects(&mut self, ticket: Ticket, target: Target) {
        let fits = |listen: &tandem::config::Listen| {
            listen.transport == target.transport && listen.addr.is_ipv4() == target.addr.is_ipv4()
        };
        let Some(listener) = self.config.listen.iter().position(fits) else {
            return self.inputs.push_back(Input::FlowFailed(ticket));
        };
        if target.transport == Transport::Udp {
            let local = SocketAddr::new(self.node_ip, self.config.listen[listener].addr.port());
            let listener = ListenerId(listener as u16);
            let flow = Flow {
                transport: Transport::Udp,
                listener,
                connection: ConnectionId(0),
                local,
                peer: target.addr,
            };
            return self.inputs.push_back(Input::FlowOpened(ticket, flow));
        }
        match self.streams.find(Owner::Node, target.addr) {
            Some(number) if self.streams.list[number].open => {
                let flow = self.stream_flow(number);
                self.inputs.push_back(Input::FlowOpened(ticket, flow));
            }
            _ => {
                let port = 33_000 + (self.streams.list.len() % 30_000) as u16;
                let from = SocketAddr::new(self.node_ip, port);
                self.open_stream(Owner::Node, from, target.addr, Some(ticket));
            }
        }
    }

    fn stream_flow(&self, number: usize) -> Flow {
        let tcp = |listen: &tandem::config::Listen| listen.transport == Transport::Tcp;
        let listener = self.config.listen.iter().position(tcp).unwrap_or(0);
        let end = self.streams.end_of(number, Owner::Node);
        Flow {
            transport: Transport::Tcp,
            listener: ListenerId(listener as u16),
            connection: ConnectionId(number as u64 + 1),
            local: SocketAddr::new(self.node_ip, self.config.listen[listener].addr.port()),
            peer: self.streams.list[number].ends[1 - end].seen,
        }
    }

    fn open_stream(&mut self, owner: Owner, from: SocketAddr, to: SocketAddr, ticket: Option<Ticket>) -> usize {
        let seen = self.net.outside(from, to.ip());
        let other = self.net.inside(to, seen.ip()).and_then(|to| self.net.owner(to.ip()));
        let number = self
            .streams
            .open((owner, from), seen, (other.unwrap_or(Owner::Node), to), ticket);
        // Nobody there: the opening is never answered.
        if other.is_some() {
            let delay = self
                .net
                .stream_delay(&mut self.rng, from.ip(), to.ip())
                .unwrap_or(AGAIN);
            self.push(self.now + delay, Event::Stream(number, StreamEvent::Opening));
        }
        number
    }

    fn write_stream(&mut self, number: usize, end: usize, bytes: &Bytes) {
        let events = self
            .streams
            .write(self.now, &self.net, &mut self.rng, number, end, bytes);
        for (at, event) in events {
            self.push(at, Event::Stream(number, event));
        }
    }

    fn listens_tcp(&self, number: usize) -> bool {
        let end = &self.streams.list[number].ends[1];
        match end.owner {
            Owner::Node => {
                let at = |l: &tandem::config::Listen| l.transport == Transport::Tcp && l.addr.port() == end.addr.port();
                self.node.is_some() && self.config.listen.iter().any(at)
            }
            Owner::Peer(agent) => {
                let agent = &self.agents[agent];
                agent.addr == end.addr && matches!(agent.server, Wire::Tcp(_))
            }
        }
    }

    fn stream(&mut self, number: usize, event: StreamEvent) {
        let (a, b) = (
            self.streams.list[number].ends[0].addr.ip(),
            self.streams.list[number].ends[1].addr.ip(),
        );
        match event {
            StreamEvent::Opening => {
                let Some(delay) = self.net.stream_delay(&mut self.rng, a, b) else {
                    return self.push(self.now + AGAIN, Event::Stream(number, StreamEvent::Opening));
                };
                let listens = self.listens_tcp(number);
                self.streams.list[number].open = listens;
                self.streams.list[number].closed = !listens;
                let event = if listens {
                    StreamEvent::Opened
                } else {
                    StreamEvent::Refused
                };
                self.push(self.now + delay, Event::Stream(number, event));
            }
            StreamEvent::Opened => {
                if let Some(ticket) = self.streams.list[number].ticket.take() {
                    let flow = self.stream_flow(number);
                    self.inputs.push_back(Input::FlowOpened(ticket, flow));
                }
                for bytes in std::mem::take(&mut self.streams.list[number].waiting) {
                    self.write_stream(number, 0, &bytes);
                }
            }
            StreamEvent::Refused => {
                if let Some(ticket) = self.streams.list[number].ticket.take() {
                    self.inputs.push_back(Input::FlowFailed(ticket));
                }
            }
            StreamEvent::Again(end) => {
                if !self.streams.list[number].closed {
                    for (at, event) in self.streams.again(self.now, &self.net, &mut self.rng, number, end) {
                        self.push(at, Event::Stream(number, event));
                    }
                }
            }
            StreamEvent::Data(end, bytes) => self.stream_data(number, end, &bytes),
            StreamEvent::Closed(end) => match self.streams.list[number].ends[end].owner {
                Owner::Node => {
                    let flow = self.stream_flow(number);
                    self.inputs.push_back(Input::FlowClosed(flow));
                }
                Owner::Peer(agent) => {
                    let wire = Wire::Tcp(self.streams.list[number].ends[1 - end].seen);
                    self.act(agent, |agent, cx| agent.stream_broken(cx, wire));
                }
            },
        }
    }

    fn stream_data(&mut self, number: usize, end: usize, bytes: &Bytes) {
        if self.streams.list[number].closed {
            return;
        }
        self.streams.list[number].ends[end].buffer.extend_from_slice(bytes);
        match self.streams.list[number].ends[end].owner {
            Owner::Node => loop {
                match frame::next(&mut self.streams.list[number].ends[end].buffer) {
                    Ok(Some(Frame::Message(bytes))) => {
                        let flow = self.stream_flow(number);
                        self.inputs.push_back(Input::Sip(flow, bytes));
                    }
                    Ok(Some(Frame::Ping)) => self.write_stream(number, end, &Bytes::from_static(b"\r\n")),
                    Ok(Some(Frame::Pong)) => {}
                    Ok(None) => return,
                    Err(_) => return self.cut_stream(number),
                }
            },
            Owner::Peer(agent) => {
                let from = Wire::Tcp(self.streams.list[number].ends[1 - end].seen);
                while let Some(bytes) = message::cut(&mut self.streams.list[number].ends[end].buffer) {
                    self.act(agent, |agent, cx| agent.receive(cx, from, &bytes));
                }
            }
        }
    }

    /// Cuts a connection: both ends learn of it.
    pub fn cut_stream(&mut self, number: usize) {
        let connection = &mut self.streams.list[number];
        if connection.closed {
            return;
        }
        connection.closed = true;
        connection.open = false;
        for end in 0..2 {
            self.push(self.now, Event::Stream(number, StreamEvent::Closed(end)));
        }
    }

    /// One step of a peer, and what it asks for.
    pub fn act<T>(&mut self, agent: usize, work: impl FnOnce(&mut Agent, &mut Ctx<'_>) -> T) -> T {
        let mut acts = std::mem::take(&mut self.acts);
        let mut cx = Ctx {
            now: self.now,
            rng: &mut self.rng,
            acts: &mut acts,
        };
        let result = work(&mut self.agents[agent], &mut cx);
        for act in acts.drain(..) {
            match act {
                Act::Send(wire, bytes) => self.peer_sends(agent, wire, bytes),
                Act::Timer(at, timer) => self.push(at, Event::Timer(agent, timer)),
                Act::Media(port, to, bytes) => {
                    let from = SocketAddr::new(self.agents[agent].addr.ip(), port);
                    self.send_udp(from, to, bytes);
                }
            }
        }
        self.acts = acts;
        result
    }

    fn peer_sends(&mut self, agent: usize, wire: Wire, bytes: Bytes) {
        let from = self.agents[agent].addr;
        let to = if self.ladder.quiet {
            String::new()
        } else {
            self.name_of(wire.addr())
        };
        match wire {
            Wire::Udp(addr) => {
                let arrivals = self.net.send(self.now, &mut self.rng, from, addr, bytes.len());
                self.ladder
                    .message(self.now, &self.agents[agent].name, &to, &bytes, arrivals.is_empty());
                for arrival in arrivals {
                    self.push(arrival.at, Event::Udp(arrival, bytes.clone()));
                }
            }
            Wire::Tcp(addr) => {
                self.ladder
                    .message(self.now, &self.agents[agent].name, &to, &bytes, false);
                let owner = Owner::Peer(agent);
                let number = self.streams.find(owner, addr).unwrap_or_else(|| {
                    let port = 40_000 + (self.streams.list.len() % 20_000) as u16;
                    self.open_stream(owner, SocketAddr::new(from.ip(), port), addr, None)
                });
                let end = self.streams.end_of(number, owner);
                if self.streams.list[number].open {
                    self.write_stream(number, end, &bytes);
                } else {
                    self.streams.list[number].waiting.push(bytes);
                }
            }
        }
    }

    fn name_of(&self, addr: SocketAddr) -> String {
        match self
            .net
            .inside(addr, self.node_ip)
            .and_then(|addr| self.net.owner(addr.ip()))
        {
            Some(Owner::Node) => "node".to_owned(),
            Some(Owner::Peer(agent)) => self.agents[agent].name.clone(),
            None => addr.to_string(),
        }
    }

    /// Stops the test with the seed; the ladder follows when the world is dropped.
    pub fn fail(&self, why: &str) -> ! {
        panic!(
            "seed {}, at {:.3} s: {why}",
            self.seed,
            self.now.as_nanos() as f64 / 1e9
        )
    }

    pub(crate) fn new_panics(&mut self) -> usize {
        let new = errors::panics() - self.panics;
        self.panics += new;
        new
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}\n{}", self.seed, self.ladder);
        }
    }
}

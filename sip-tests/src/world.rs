//! The world: one queue of events in order of time, then of number; nothing sleeps.

use crate::agent::{Act, Agent, Timer};
use crate::cdr::Records;
use crate::dns::Dns;
use crate::errors;
use crate::hook::Hook;
use crate::invariants::Checks;
use crate::ladder::Ladder;
use crate::ledger::Ledger;
use crate::media::{Effect, Media};
use crate::net::{Arrival, Link, Net, Owner};
use crate::rng::Rng;
use crate::store::{Store, Turn};
use crate::streams::{StreamEvent, Streams};
use bytes::Bytes;
use codecs::tone::Sine;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem::api::wire::Reply as ApiReply;
use tandem::config::{Config, Prompt, Sources};
use tandem::effect::{Fact, Output, Reply};
use tandem::id::{ApiId, ControlId, Ticket, WorkerId};
use tandem::media::command::Sound;
use tandem::media::leg::Leg;
use tandem::node::{Input, Node};
use tandem::registrar::bindings::Change;
use tandem::sip::auth::NonceKey;
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
    /// The URL that wakes phones.
    pub hook: Hook,
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
    /// What is owed for each 2xx.
    pub ledger: Ledger,
    /// The messages.
    pub ladder: Ladder,
    /// Where a test looks at octets: what the node sends, and whereto.
    pub wiretap: Option<Vec<(std::net::SocketAddr, Bytes)>>,
    /// What was said to those on the control socket; true where nothing comes behind it.
    pub controlled: Vec<(ControlId, Bytes, bool)>,
    /// What was answered to requests of the HTTP API, and told by its streams.
    pub replies: Vec<(ApiId, ApiReply)>,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The host of the node.
    pub node_ip: IpAddr,
    pub(crate) names: BTreeMap<String, usize>,
    pub(crate) node: Option<Node>,
    pub(crate) generation: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    pub(crate) inputs: VecDeque<Input>,
    pub(crate) acts: Vec<Act>,
    idle_turns: u32,
    panics: usize,
}

/// How a world is made.
pub struct Builder {
    seed: u64,
    yaml: String,
    real_media: bool,
    legs_per_worker: usize,
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

    /// With real workers that take so many legs each.
    pub fn media_of(mut self, legs_per_worker: usize) -> Builder {
        self.legs_per_worker = legs_per_worker;
        self.media()
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
        let workers = if self.real_media { config.media.workers } else { 0 };
        let mut world = World {
            seed: self.seed,
            now: Instant::ZERO,
            rng: Rng::new(self.seed),
            net: Net::default(),
            streams: Streams::default(),
            dns: Dns::default(),
            store: Store::default(),
            hook: Hook::default(),
            media: Media::new(node_ip, &config.media, workers, self.legs_per_worker),
            agents: Vec::new(),
            facts: Vec::new(),
            records: Records::default(),
            checks: Checks::default(),
            ledger: Ledger::default(),
            ladder: Ladder::new(self.quiet),
            wiretap: None,
            controlled: Vec::new(),
            replies: Vec::new(),
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
        let here = Link {
            delay: Duration::ZERO,
            ..Link::default()
        };
        let families = world.config.listen.iter().map(|listen| listen.addr.ip());
        for ip in families.filter(|ip| ip.is_ipv4() != node_ip.is_ipv4()).chain([node_ip]) {
            world.net.add(ip, Owner::Node, here);
        }
        world.start_node();
        world
    }
}

/// The tone that stands for what a room says, where its configuration has `prompts: tones`.
pub fn prompt_hz(prompt: Prompt) -> f32 {
    2_000.0 + 90.0 * f32::from(prompt as u8)
}

/// The sound of a file: `800.wav` is two seconds of 800 Hz, and each file of a room's prompts a tone of its own.
fn tone(path: &std::path::Path) -> Result<Sound, String> {
    let hz = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
    let prompt = Prompt::ALL.iter().find(|(_, file)| path.ends_with(file));
    let hz = hz.or_else(|| prompt.map(|(prompt, _)| prompt_hz(*prompt)));
    let mut pcm = vec![0; 32_000];
    Sine::new(hz.ok_or("its name is no tone")?, -10.0, 16_000).fill(&mut pcm);
    Sound::new(pcm).ok_or_else(|| "it is too short".to_owned())
}

/// Reads a configuration as `tandem check` does.
pub fn read_config(yaml: &str) -> Config {
    let sources = Sources {
        sound: &tone,
        ..Sources::NONE
    };
    match tandem::config::parse("world.yaml", yaml, &sources) {
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
            legs_per_worker: 64,
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
        let sources = self.store.sources(self.clock().wall);
        self.inputs.push_back(Input::Bound(sources));
        // What the disk keeps.
        self.inputs.push_back(Input::Secret(NonceKey([7; 32])));
        self.inputs.push_back(Input::Fingerprint(self.media.fingerprint()));
        self.inputs.push_back(Input::Sleepers(self.store.sleepers()));
        self.turn();
    }

    pub(crate) fn drop_node(&mut self) {
        self.node = None;
        self.generation += 1;
        self.inputs.clear();
        self.ledger.forget();
    }

    /// How often the node was killed.
    pub fn kills(&self) -> u64 {
        self.generation
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
            Output::Known(_) | Output::Alias(..) => {}
            Output::Query(ticket, question) => {
                if let Some((delay, answer)) = self.dns.resolve(&question) {
                    self.push(
                        self.now + delay,
                        Event::Input(self.generation, Input::Answered(ticket, answer)),
                    );
                }
            }
            Output::Post(ticket, post) => {
                if let Some((delay, taken)) = self.hook.post(*post) {
                    let input = Input::Posted(ticket, taken);
                    self.push(self.now + delay, Event::Input(self.generation, input));
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
            // Who asks by NG is a test of its own.
            Output::Ng(..) => {}
            Output::Api(id, reply) => self.replies.push((id, reply)),
            Output::Control { to, lines, last } => self.controlled.push((to, lines, last)),
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

    pub(crate) fn media_effects(&mut self, effects: Vec<Effect>) {
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

    /// Forgets what is over and was as it should be: facts, call records, what was owed. For runs that last.
    pub fn forget_past(&mut self) {
        if let Some(why) = self.ledger.unpaid() {
            self.fail(&why);
        }
        self.ledger.forget();
        self.facts = Vec::new();
        self.records.by_call.retain(|_, cdr| cdr.ended.is_none());
        for agent in &mut self.agents {
            agent.forget_served(self.now);
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

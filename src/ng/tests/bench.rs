//! What the tests of calls work with.

use crate::config::{Config, Sources};
use crate::cx::{ChaCha12Rng, Cx, SeedableRng, Tickets};
use crate::effect::{Fact, Output};
use crate::id::MediaLegId;
use crate::media::command::{Command, Event, Function, Keys, LegStats, Port, Remote, Stream};
use crate::ng::Ng;
use crate::ng::bencode::{self, Value};
use crate::sdp::Session;
use crate::stock::Stock;
use crate::time::{Instant, Wall};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const PROXY: &str = "127.0.0.1:9000";

const CONFIG: &str = r#"
listen: [ "udp://192.0.2.1:5060" ]
media: { workers: 2 }
ng: { listen: "127.0.0.1:2223", timeout: 40s }
"#;

/// A description by 192.0.2.99 with these formats and further lines.
pub fn sdp(port: u16, formats: &str) -> String {
    let (formats, rest) = formats.split_once('\n').unwrap_or((formats, ""));
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n{rest}\r\n"
    )
}

/// One leg as the worker knows it.
#[derive(Clone, Debug, Default)]
pub struct Leg {
    pub port: u16,
    pub v6: bool,
    pub stream: Option<Stream>,
    pub remote: Option<Remote>,
    pub keys: Option<Keys>,
    pub partner: Option<MediaLegId>,
    pub received: u64,
    pub digits: String,
}

pub struct Bench {
    pub ng: Ng,
    pub stock: Stock,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    config: Arc<Config>,
    pub now: Instant,
    cookies: u32,
    /// What came back, the last cookie's at the end.
    pub said: Vec<(SocketAddr, Vec<u8>)>,
    pub facts: Vec<Fact>,
    pub legs: BTreeMap<MediaLegId, Leg>,
    /// Ports that are in use.
    pub ports: BTreeSet<u16>,
    /// Commands to workers are not answered.
    pub is_deaf: bool,
    next_port: u16,
    /// Negotiations that workers were told of.
    pub negotiated: usize,
    pub functions: usize,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with_config(CONFIG)
    }

    pub fn with_config(yaml: &str) -> Bench {
        let config = match crate::config::parse("test", yaml, &Sources::NONE) {
            Ok(config) => Arc::new(config),
            Err(problems) => panic!("{problems:?}"),
        };
        let mut bench = Bench {
            ng: Ng::default(),
            stock: Stock::default(),
            rng: ChaCha12Rng::seed_from_u64(1),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            config,
            now: Instant::ZERO,
            cookies: 0,
            said: Vec::new(),
            facts: Vec::new(),
            legs: BTreeMap::new(),
            ports: BTreeSet::new(),
            is_deaf: false,
            next_port: 20_000,
            negotiated: 0,
            functions: 0,
        };
        bench.with(|_, cx, _| cx.emit(Output::Ports(64)));
        bench
    }

    pub fn with<R>(&mut self, step: impl FnOnce(&mut Ng, &mut Cx<'_>, &mut Stock) -> R) -> R {
        let mut cx = Cx {
            now: self.now,
            wall: Wall(1_700_000_000_000 + self.now.as_millis()),
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        let result = step(&mut self.ng, &mut cx, &mut self.stock);
        while let Some(output) = self.out.pop_front() {
            self.output(output);
        }
        result
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Ng(peer, octets) => self.said.push((peer, octets.to_vec())),
            Output::Record(fact) => self.facts.push(fact),
            Output::Media(_, command) => self.command(command),
            Output::Ports(count) => {
                let ports = (0..count).map(|nth| {
                    self.next_port += 2;
                    Port {
                        rtp: self.next_port,
                        v6: self.config.media_address(true).is_some() && nth % 2 == 1,
                    }
                });
                self.stock.add(ports.collect());
            }
            other => panic!("{other:?}"),
        }
    }

    fn command(&mut self, command: Command) {
        let id = command.leg().expect("a command about a leg");
        match command {
            Command::Open(spec) => {
                assert!(self.ports.insert(spec.port.rtp), "a port of another leg");
                let leg = Leg {
                    port: spec.port.rtp,
                    v6: spec.port.v6,
                    ..Leg::default()
                };
                assert!(self.legs.insert(id, leg).is_none());
            }
            Command::Negotiated { remote, stream, .. } => {
                self.negotiated += 1;
                let leg = self.leg(id);
                (leg.remote, leg.stream) = (Some(remote), Some(stream));
            }
            Command::Protect { keys, .. } => self.leg(id).keys = keys.map(|keys| *keys),
            Command::Function { function, .. } => {
                self.functions += 1;
                let Function::Bridge(other) = function else {
                    panic!("{function:?}");
                };
                for leg in self.legs.values_mut() {
                    leg.partner = leg.partner.filter(|partner| ![id, other].contains(partner));
                }
                (self.leg(id).partner, self.leg(other).partner) = (Some(other), Some(id));
            }
            Command::SendDigits { digits, .. } => self.leg(id).digits.push_str(&digits.0),
            Command::ReadStats(_) if self.is_deaf => {}
            Command::ReadStats(_) => {
                let event = Event::Stats(id, self.stats(id));
                self.event(event);
            }
            Command::Close(_) if self.is_deaf => {}
            Command::Close(_) => self.close(id),
            Command::Play { .. }
            | Command::Connect { .. }
            | Command::Video { .. }
            | Command::Watch { .. }
            | Command::Record { .. }
            | Command::Seat { .. }
            | Command::OpenRoom(_)
            | Command::CloseRoom(_)
            | Command::LinkRoom { .. }
            | Command::PlayRoom { .. }
            | Command::RecordRoom { .. }
            | Command::Move { .. } => panic!("{command:?}"),
        }
    }

    fn leg(&mut self, id: MediaLegId) -> &mut Leg {
        self.legs.get_mut(&id).expect("a leg that is open")
    }

    fn stats(&self, id: MediaLegId) -> LegStats {
        LegStats {
            received: self.legs.get(&id).map_or(0, |leg| leg.received),
            mos: Some(4.25),
            ..LegStats::default()
        }
    }

    pub fn event(&mut self, event: Event) {
        assert!(self.with(|ng, cx, stock| ng.media(cx, stock, &event)), "{event:?}");
    }

    /// The worker has closed a leg.
    pub fn close(&mut self, id: MediaLegId) {
        let stats = self.stats(id);
        let leg = self.legs.remove(&id).expect("a leg that is open");
        assert!(self.ports.remove(&leg.port));
        for other in self.legs.values_mut() {
            other.partner = other.partner.filter(|partner| *partner != id);
        }
        self.event(Event::Closed(id, stats));
    }

    /// The datagram of a command.
    pub fn datagram(&mut self, octets: &[u8]) {
        self.datagram_of(PROXY, octets);
    }

    pub fn datagram_of(&mut self, peer: &str, octets: &[u8]) {
        let peer = peer.parse().unwrap();
        self.with(|ng, cx, stock| ng.datagram(cx, stock, peer, octets));
    }

    /// Sends a command; gives its cookie.
    pub fn send(&mut self, command: &str, pairs: &[(&str, &str)]) -> String {
        self.cookies += 1;
        let cookie = format!("{}_1", self.cookies);
        let octets = command_octets(&cookie, command, pairs);
        self.datagram(&octets);
        cookie
    }

    /// Sends a command; gives its answer.
    pub fn ask(&mut self, command: &str, pairs: &[(&str, &str)]) -> Answer {
        let before = self.said.len();
        let cookie = self.send(command, pairs);
        assert_eq!(self.said.len(), before + 1, "one answer");
        Answer::read(&cookie, &self.said[before].1)
    }

    /// An offer of `a`, with flags as a script writes them.
    pub fn offer(&mut self, body: &str, flags: &str) -> Answer {
        self.ask(
            "offer",
            &[
                ("call-id", "c"),
                ("from-tag", "a"),
                ("sdp", body),
                ("rtpp-flags", flags),
            ],
        )
    }

    /// The answer of `b`.
    pub fn answer(&mut self, body: &str, flags: &str) -> Answer {
        self.ask(
            "answer",
            &[
                ("call-id", "c"),
                ("from-tag", "a"),
                ("to-tag", "b"),
                ("sdp", body),
                ("rtpp-flags", flags),
            ],
        )
    }

    /// `a` and `b` talk; in these formats.
    pub fn call(&mut self, offer: &str, flags: &str, answer: &str) -> (String, String) {
        let to_b = self.offer(&sdp(4_000, offer), flags).sdp();
        let to_a = self.answer(&sdp(5_000, answer), "").sdp();
        (to_b, to_a)
    }

    /// The leg that a description of ours names.
    pub fn leg_of(&self, body: &str) -> Leg {
        let session = Session::parse(body.as_bytes()).unwrap();
        let port = session.media[0].port;
        let found = self.legs.values().find(|leg| leg.port == port);
        found.unwrap_or_else(|| panic!("no leg has port {port}")).clone()
    }

    /// Media comes to all legs.
    pub fn talk(&mut self) {
        self.legs.values_mut().for_each(|leg| leg.received += 50);
    }

    /// Time passes.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.ng.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.with(|ng, cx, stock| ng.on_time(cx, stock));
        }
        self.now = until;
    }

    /// Nothing is left.
    pub fn is_clean(&self) {
        assert!(self.legs.is_empty() && self.ports.is_empty(), "{:?}", self.legs);
        assert!(self.ng.is_empty() && self.ng.up() == 0 && self.ng.legs() == 0);
        assert_eq!(self.ng.next_deadline(), None, "somebody waits for nothing");
        assert!(
            self.stock
                .has_room(crate::id::WorkerId(0), crate::limits::LEGS_PER_WORKER)
        );
        assert!(
            self.stock
                .has_room(crate::id::WorkerId(1), crate::limits::LEGS_PER_WORKER)
        );
    }

    /// Why calls have ended.
    pub fn ended(&self) -> Vec<&'static str> {
        let why = |fact: &Fact| match fact {
            Fact::NgEnded { why, .. } => Some(*why),
            _ => None,
        };
        self.facts.iter().filter_map(why).collect()
    }
}

pub fn command_octets(cookie: &str, command: &str, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut octets = format!("{cookie} d7:command{}:{command}", command.len()).into_bytes();
    for (key, value) in pairs {
        octets.extend(format!("{}:{key}{}:{value}", key.len(), value.len()).as_bytes());
    }
    octets.push(b'e');
    octets
}

/// An answer that was read.
#[derive(Debug, PartialEq)]
pub struct Answer(pub Value<'static>);

impl Answer {
    pub fn read(cookie: &str, octets: &[u8]) -> Answer {
        let body = octets
            .strip_prefix(format!("{cookie} ").as_bytes())
            .expect("the cookie of the question");
        let body: &'static [u8] = body.to_vec().leak();
        Answer(bencode::parse(body).expect("what we write can be read"))
    }

    pub fn find(&self, path: &str) -> Option<&Value<'static>> {
        let mut at = &self.0;
        for step in path.split('/') {
            at = match at {
                Value::Dict(dict) => dict.get(step.as_bytes())?,
                Value::List(list) => list.get(step.parse::<usize>().ok()?)?,
                Value::Number(_) | Value::Text(_) => return None,
            };
        }
        Some(at)
    }

    pub fn get(&self, path: &str) -> String {
        match self.find(path) {
            Some(Value::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
            Some(Value::Number(number)) => number.to_string(),
            other => panic!("{path} is {other:?} in {self:?}"),
        }
    }

    pub fn sdp(&self) -> String {
        assert_eq!(
            self.get("result"),
            "ok",
            "{}",
            self.find("error-reason")
                .map_or_else(String::new, |_| self.get("error-reason"))
        );
        self.get("sdp")
    }

    /// Why it was not done.
    pub fn why(&self) -> String {
        assert_eq!(self.get("result"), "error");
        self.get("error-reason")
    }
}

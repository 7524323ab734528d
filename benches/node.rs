//! What a call and a registration cost the signalling machine alone: no socket, no thread, no disk.
//!
//! The messages are those of `benches/peers/{uac,uas,register}.xml`, the configuration is the one that `benches/peers/peer.rs`
//! writes. The clock is virtual and runs at 1,000 calls (or registrations) a second; nothing is measured before 35 s of it are
//! over, so that tables and timers are as full as they are in a node that carries this for hours.
//!
//! `cargo bench --bench node` prints the table; `cargo bench --bench node -- proxied 100000` measures one row for long, to be
//! watched by a profiler, and with a second number only so many calls go before it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "it measures in real time"
)]
#![allow(missing_docs, reason = "no bench has an interface")]

use bytes::Bytes;
use std::alloc::{GlobalAlloc, Layout};
use std::collections::VecDeque;
use std::fmt::Write;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tandem::config::{self, Config, Sources};
use tandem::effect::{Fact, Output};
use tandem::id::{ConnectionId, Flow, ListenerId, Transport};
use tandem::media::command::{Command, Event, LegStats, Port};
use tandem::node::{Input, Node};
use tandem::registrar::bindings::Table;
use tandem::sip::auth;
use tandem::sip::{Message, Method, Name};
use tandem::time::{Clock, Wall};

/// The program's allocator, with a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn note(bytes: usize) {
    // One thread allocates here, so no exchange is needed.
    ALLOCATIONS.store(ALLOCATIONS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    BYTES.store(BYTES.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
}

// SAFETY: every method hands its arguments unchanged to jemalloc, which fulfils the contract; counting never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { tikv_jemallocator::Jemalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from jemalloc with this layout.
        unsafe { tikv_jemallocator::Jemalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: `pointer` came from jemalloc with this layout, and the caller's promise about `size` is passed on.
        unsafe { tikv_jemallocator::Jemalloc.realloc(pointer, layout, size) }
    }
}

const NODE: &str = "127.77.0.1:5060";
const UAC: &str = "127.77.0.2:5060";
const UAS: &str = "127.77.0.3:5060";
const USERS: u32 = 1_000;
/// Calls that are up at once: one second of talk.
const TALKING: usize = 1_000;
/// Between two calls.
const PACE: Duration = Duration::from_millis(1);
/// A row is measured in so many parts, of which the median and the least are told.
const SLICES: u64 = 20;
/// Longer than any timer of a finished transaction.
const WARM: u64 = 35_000;

const SDP: &str = "s=-\r\nc=IN IP4 127.77.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
                   a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n";

/// What the node has done so far.
#[derive(Clone, Copy, Default)]
struct Spent {
    time: Duration,
    allocations: u64,
    bytes: u64,
    inputs: u64,
    sent: u64,
}

/// A node, and what stands around it.
struct World {
    node: Node,
    table: Table,
    now: Duration,
    spent: Spent,
    sent: VecDeque<(Flow, Bytes)>,
    ended: u64,
    refused: Option<&'static str>,
    port: u16,
    number: u64,
}

/// A call that is up: what its BYE needs.
struct Talk {
    number: u64,
    user: u32,
    next: String,
    routes: String,
    tag: String,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn flow(peer: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        connection: ConnectionId(0),
        local: address(NODE),
        peer: address(peer),
    }
}

/// As `benches/peers/peer.rs` writes it.
fn configuration(proxy: bool) -> Arc<Config> {
    let mut yaml = format!(
        "node: {{ name: peers }}\nlisten: [ \"udp://{NODE}\" ]\nmedia: {{ ports: 6000-29999, workers: 2 }}\ntrunks:\n  - {{ name: \
         callers, peers: [ \"sip:{UAC}\" ], options: never, limits: {{ calls: 20000, calls_per_second: 10000 }} }}\n"
    );
    yaml += if proxy {
        "domains: [ { name: example.com, do: proxy } ]\nroutes: [ { to: \"*\", from: trunk/callers, do: proxy } ]\n"
    } else {
        "domains: [ example.com ]\n"
    };
    yaml += "guard: { per_source: 100000, per_stranger: 10000, strangers: 100000, per_user: 10000 }\n";
    yaml += "store: { path: none }\nusers:\n";
    for user in 0..USERS {
        writeln!(yaml, "  - {{ name: u{user}, password: secret, calls: 100 }}").expect("a String grows");
    }
    match config::parse("bench", &yaml, &Sources::NONE) {
        Ok(config) => Arc::new(config),
        Err(problems) => panic!("{problems:?}"),
    }
}

impl World {
    fn new(proxy: bool) -> World {
        let node = Node::new(configuration(proxy), [7; 32], Clock::default());
        let mut world = World {
            node,
            table: Table::default(),
            now: Duration::ZERO,
            spent: Spent::default(),
            sent: VecDeque::new(),
            ended: 0,
            refused: None,
            port: 6_000,
            number: 0,
        };
        world.give(Input::Time);
        for user in 0..USERS {
            world.register(user);
            world.pass(PACE);
        }
        world
    }

    fn clock(&self) -> Clock {
        let nanos = u64::try_from(self.now.as_nanos()).expect("a short run");
        Clock {
            now: tandem::time::Instant::from_nanos(nanos),
            wall: Wall(1_700_000_000_000 + nanos / 1_000_000),
        }
    }

    /// Time goes on; the node is woken when it wants to be.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        loop {
            let began = Instant::now();
            let wanted = black_box(&self.node).poll_timeout();
            self.spent.time += began.elapsed();
            match wanted {
                Some((at, _)) if at <= self.clock().now => self.give(Input::Time),
                Some(_) | None => return,
            }
        }
    }

    /// One input and all that it leads to.
    fn give(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let clock = self.clock();
        while let Some(input) = inputs.pop_front() {
            let (allocations, bytes) = (ALLOCATIONS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
            let began = Instant::now();
            self.node.handle(clock, input);
            self.spent.time += began.elapsed();
            self.spent.allocations += ALLOCATIONS.load(Ordering::Relaxed) - allocations;
            self.spent.bytes += BYTES.load(Ordering::Relaxed) - bytes;
            self.spent.inputs += 1;
            while let Some(output) = self.node.poll_output() {
                inputs.extend(self.output(clock, output));
            }
        }
    }

    fn output(&mut self, clock: Clock, output: Output) -> Option<Input> {
        match output {
            Output::Send(flow, bytes) => {
                self.spent.sent += 1;
                self.sent.push_back((flow, bytes));
                None
            }
            Output::Connect(ticket, target) => {
                let peer = Flow {
                    peer: target.addr,
                    ..flow(UAS)
                };
                Some(Input::FlowOpened(ticket, peer))
            }
            Output::Store(ticket, op) => {
                let (reply, _) = self.table.apply(op, clock.wall);
                Some(Input::Store(ticket, reply))
            }
            Output::Media(_, Command::Close(leg)) => {
                let stats = LegStats::default();
                Some(Input::Media(Event::Closed(leg, stats)))
            }
            Output::Ports(count) => {
                let ports = (0..count).map(|_| {
                    self.port = if self.port == 29_998 { 6_000 } else { self.port + 2 };
                    Port {
                        rtp: self.port,
                        v6: false,
                    }
                });
                Some(Input::Ports(ports.collect()))
            }
            Output::Record(fact) => {
                match fact {
                    Fact::CallEnded { .. } => self.ended += 1,
                    Fact::Refused { why, .. } => self.refused = Some(why),
                    _ => {}
                }
                None
            }
            Output::Media(..)
            | Output::Known(_)
            | Output::Query(..)
            | Output::Post(..)
            | Output::Alias(..)
            | Output::Ng(..)
            | Output::Control { .. }
            | Output::Api(..) => None,
        }
    }

    /// The next message that a peer was sent, 100 aside.
    fn heard(&mut self, peer: &str) -> Message {
        while let Some(at) = self.sent.iter().position(|(flow, _)| flow.peer == address(peer)) {
            let (_, bytes) = self.sent.remove(at).expect("it is there");
            let message = Message::parse(bytes).expect("what the node writes can be read");
            if message.status() != 100 {
                return message;
            }
        }
        panic!("{peer} heard nothing; the node says {:?}", self.refused)
    }

    fn say(&mut self, peer: &str, text: String) {
        self.give(Input::Sip(flow(peer), text.into()));
    }

    /// REGISTER, 401, REGISTER, 200.
    fn register(&mut self, user: u32) {
        self.number += 1;
        let number = self.number;
        let text = |cseq: u32, credentials: &str| {
            format!(
                "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {UAS};branch=z9hG4bK-4711-{number}-{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:u{user}@example.com>;tag=4711r{number}\r\nTo: <sip:u{user}@example.com>\r\n\
                 Call-ID: {number}-4711@127.77.0.3\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:u{user}@{UAS}>\r\n{credentials}\
                 Expires: 3600\r\nUser-Agent: sipp\r\nContent-Length: 0\r\n\r\n"
            )
        };
        self.say(UAS, text(1, ""));
        let asked = self.heard(UAS);
        let (_, challenge) = auth::challenges(&asked).remove(0);
        let (name, password) = (format!("u{user}"), tandem::pii::Secret::new("secret"));
        let answer = auth::answer(
            &challenge,
            &name,
            &password,
            &Method::Register,
            "sip:example.com",
            "6b8b4567",
            1,
        );
        self.say(UAS, text(2, &format!("Authorization: {answer}\r\n")));
        assert_eq!(self.heard(UAS).status(), 200);
    }

    /// INVITE, 180, 200, ACK.
    fn call(&mut self, user: u32) -> Talk {
        self.number += 1;
        let number = self.number;
        let sdp = format!("v=0\r\no=caller 1 1 IN IP4 127.77.0.2\r\n{SDP}");
        self.say(
            UAC,
            format!(
                "INVITE sip:u{user}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {UAC};branch=z9hG4bK-4711-{number}-0\r\nMax-Forwards: 70\r\n\
                 From: <sip:caller@127.77.0.2>;tag=4711c{number}\r\nTo: <sip:u{user}@example.com>\r\nCall-ID: {number}-4711@127.77.0.2\r\n\
                 CSeq: 1 INVITE\r\nContact: <sip:caller@{UAC}>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: sipp\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            ),
        );
        let invite = self.heard(UAS);
        assert_eq!(invite.method(), Method::Invite);
        let echo = format!("{};tag=4712s{number}\r\n", echo(&invite));
        self.say(
            UAS,
            format!("SIP/2.0 180 Ringing\r\n{echo}Contact: <sip:{UAS}>\r\nContent-Length: 0\r\n\r\n"),
        );
        assert_eq!(self.heard(UAC).status(), 180);
        let sdp = format!("v=0\r\no=callee 1 1 IN IP4 127.77.0.3\r\n{SDP}");
        self.say(
            UAS,
            format!(
                "SIP/2.0 200 OK\r\n{echo}Contact: <sip:{UAS}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            ),
        );
        let ok = self.heard(UAC);
        assert_eq!(ok.status(), 200);
        let routes = ok.all(Name::RecordRoute).join(", ");
        let talk = Talk {
            number,
            user,
            next: ok.addresses(Name::Contact).expect("readable")[0].uri.to_string(),
            routes: if routes.is_empty() {
                routes
            } else {
                format!("Route: {routes}\r\n")
            },
            tag: ok.to().expect("readable").tag().unwrap_or_default().to_owned(),
        };
        self.say(UAC, talk.request("ACK", 1));
        assert_eq!(self.heard(UAS).method(), Method::Ack);
        talk
    }

    /// BYE, 200.
    fn hang_up(&mut self, talk: &Talk) {
        self.say(UAC, talk.request("BYE", 2));
        let bye = self.heard(UAS);
        assert_eq!(bye.method(), Method::Bye);
        let text = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", echo(&bye));
        self.say(UAS, text);
        assert_eq!(self.heard(UAC).status(), 200);
    }
}

impl Talk {
    fn request(&self, method: &str, cseq: u32) -> String {
        let Talk {
            number,
            user,
            next,
            routes,
            tag,
        } = self;
        format!(
            "{method} {next} SIP/2.0\r\nVia: SIP/2.0/UDP {UAC};branch=z9hG4bK-4711-{number}-{cseq}{method}\r\n{routes}Max-Forwards: 70\r\n\
             From: <sip:caller@127.77.0.2>;tag=4711c{number}\r\nTo: <sip:u{user}@example.com>;tag={tag}\r\n\
             Call-ID: {number}-4711@127.77.0.2\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

/// What SIPp repeats of a request, To last and without its line end.
fn echo(request: &Message) -> String {
    let mut text = String::new();
    for name in [Name::Via, Name::RecordRoute] {
        for value in request.all(name) {
            write!(text, "{}: {value}\r\n", name.as_str()).expect("a String grows");
        }
    }
    for name in [Name::From, Name::CallId, Name::CSeq, Name::To] {
        let value = request.get(name).unwrap_or_default();
        let end = if name == Name::To { "" } else { "\r\n" };
        write!(text, "{}: {value}{end}", name.as_str()).expect("a String grows");
    }
    text
}

/// CPU time that this thread has had, which other programs on the machine do not lengthen (proc(5)).
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.expect("a kernel that keeps scheduler statistics"))
}

/// One row: `count` of them, behind what fills the tables.
fn row(name: &str, count: u64, warm: u64) {
    let mut world = World::new(name != "bridged");
    let mut up = VecDeque::new();
    let mut costs = Vec::new();
    let slice = (count / SLICES).max(1);
    let (mut all, mut before) = (Spent::default(), (Spent::default(), Instant::now(), on_cpu()));
    for nth in 0..warm + count {
        if nth == warm {
            all = world.spent;
        } else if nth > warm && (nth - warm).is_multiple_of(slice) {
            // Of the time on the CPU, the node's part is its part of the time on the clock.
            let (spent, began, cpu) = before;
            let share = (world.spent.time - spent.time).as_secs_f64() / began.elapsed().as_secs_f64();
            costs.push((on_cpu() - cpu).as_secs_f64() * share * 1e6 / slice as f64);
        }
        if nth >= warm && (nth - warm).is_multiple_of(slice) {
            before = (world.spent, Instant::now(), on_cpu());
        }
        let user = u32::try_from(nth % u64::from(USERS)).expect("few users");
        if name == "registered" {
            world.register(user);
        } else {
            up.push_back(world.call(user));
            if up.len() > TALKING
                && let Some(talk) = up.pop_front()
            {
                world.hang_up(&talk);
            }
        }
        world.pass(PACE);
    }
    costs.sort_by(f64::total_cmp);
    let each = |now: u64, then: u64| (now - then) as f64 / count as f64;
    println!(
        "{name:<12} {:>8.2} {:>8.2} {:>12.1} {:>10.0} {:>8.1} {:>6.1} {:>13}",
        costs[costs.len() / 2],
        costs[0],
        each(world.spent.allocations, all.allocations),
        each(world.spent.bytes, all.bytes),
        each(world.spent.inputs, all.inputs),
        each(world.spent.sent, all.sent),
        world.node.census().transactions,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let mut numbers = arguments.iter().filter_map(|word| word.parse().ok());
    let (count, warm) = (numbers.next().unwrap_or(20_000), numbers.next().unwrap_or(WARM));
    let all = ["proxied", "registered", "bridged"];
    let chosen = all.into_iter().filter(|name| {
        arguments.iter().all(|word| !all.contains(&word.as_str())) || arguments.iter().any(|word| word == name)
    });
    println!("each           us CPU    least  allocations      bytes   inputs   sent  transactions");
    for name in chosen {
        row(name, count, warm);
    }
}

//! What a proxied call costs in memory: at most 8 KiB, while it rings, while its transactions linger, and while it is up.
//!
//! The node alone, without a world around it: what is counted is the node's.

#![allow(missing_docs, unsafe_code)]

use bytes::Bytes;
use sip_tests::Msg;
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;
use tandem::config::{Sources, parse};
use tandem::effect::{Binding, Output, Reply};
use tandem::id::{ConnectionId, Flow, ListenerId, Transport};
use tandem::node::{Input, Node};
use tandem::time::{Clock, Instant, Wall};

/// Octets that are allocated now.
static HELD: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator with its own arguments; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: `at` came from `alloc` above with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILE: &str = "listen: [ \"udp://192.0.2.1:5060\" ]\ndomains: [ { name: example.com, do: proxy } ]\n\
                    guard: { exempt: [ 198.51.100.1, 203.0.113.2 ], per_user: 10000 }\n\
                    users:\n  - { name: bob, password: x, calls: 100, number: \"+14155550102\" }\n\
                    trunks:\n  - { name: acme, peers: [ \"sip:198.51.100.1\" ], options: never, limits: { calls: 20000, calls_per_second: 10000 }, numbers: { country: US } }\n\
                    routes:\n  - { to: \"*\", from: trunk/acme, do: proxy }\n";
/// Calls at once.
const CALLS: usize = 90;
/// The most that one may hold.
const MOST: isize = 8 * 1024;

struct Bench {
    node: Node,
    now: Duration,
}

fn flow(peer: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        connection: ConnectionId(0),
        local: "192.0.2.1:5060".parse().expect("an address"),
        peer: peer.parse().expect("an address"),
    }
}

impl Bench {
    fn clock(&self) -> Clock {
        Clock {
            now: Instant::ZERO + self.now,
            wall: Wall(1_767_225_600_000) + self.now,
        }
    }

    /// One input, what it leads to carried out; gives what was sent.
    fn feed(&mut self, input: Input) -> Vec<(SocketAddr, Msg)> {
        let (mut inputs, mut sent) = (vec![input], Vec::new());
        while let Some(input) = inputs.pop() {
            let clock = self.clock();
            self.node.handle(clock, input);
            while let Some(output) = self.node.poll_output() {
                match output {
                    Output::Send(flow, bytes) => sent.push((flow.peer, Msg::read(&bytes).expect("a message"))),
                    Output::Store(ticket, _) => inputs.push(Input::Store(ticket, bob())),
                    _ => {}
                }
            }
        }
        sent
    }

    fn message(&mut self, from: &str, msg: &Msg) -> Vec<(SocketAddr, Msg)> {
        self.feed(Input::Sip(flow(from), msg.write()))
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.node.poll_timeout().filter(|(at, _)| *at <= Instant::ZERO + end) {
            self.now = at.since(Instant::ZERO).max(self.now);
            self.feed(Input::Time);
        }
        self.now = end;
    }
}

fn bob() -> Reply {
    let binding = Binding {
        contact: "sip:bob@203.0.113.2:5060".into(),
        q: 1000,
        call_id: "r".into(),
        cseq: 1,
        expires: Wall(u64::MAX),
        flow: flow(PHONE),
        instance: None,
        user_agent: None,
        more: None,
    };
    Reply::Bindings {
        version: 1,
        bindings: [binding].into(),
    }
}

const TRUNK: &str = "198.51.100.1:5060";
const PHONE: &str = "203.0.113.2:5060";

/// An INVITE as carriers send it, of about 1,200 octets.
fn invite(n: usize) -> Msg {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 0 101\r\n{}",
        "a=rtpmap:101 telephone-event/8000\r\n".repeat(8)
    );
    Msg::request("INVITE", "sip:+14155550102@example.com")
        .with(
            "Via",
            &format!("SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKmemory{n}"),
        )
        .with("Max-Forwards", "70")
        .with(
            "From",
            &format!("\"A Caller\" <sip:+12125550100@carrier.example;user=phone>;tag=from{n}"),
        )
        .with("To", "<sip:+14155550102@example.com;user=phone>")
        .with("Call-ID", &format!("0123456789abcdef0123456789abcdef-{n}@198.51.100.1"))
        .with("CSeq", "1 INVITE")
        .with("Contact", "<sip:gw@198.51.100.1:5060>")
        .with("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO")
        .with("Supported", "100rel, timer")
        .with("P-Asserted-Identity", "<sip:+12125550100@carrier.example>")
        .with_sdp(&sdp)
}

fn answer(invite: &Msg, status: u16) -> Msg {
    let answer = Msg::response(invite, status, "phone").with("Contact", "<sip:bob@203.0.113.2:5060>");
    if status < 200 {
        answer
    } else {
        answer.with_sdp(&invite.body)
    }
}

fn held() -> isize {
    HELD.load(Ordering::Relaxed)
}

#[test]
fn a_call_holds_at_most_8_kib() {
    let config = Arc::new(parse("memory.yaml", FILE, &Sources::NONE).unwrap());
    let node = Node::new(
        config,
        [7; 32],
        Clock {
            now: Instant::ZERO,
            wall: Wall(1_767_225_600_000),
        },
    );
    let mut bench = Bench {
        node,
        now: Duration::ZERO,
    };
    bench.run(Duration::from_secs(1));
    let mut reached: Vec<Msg> = Vec::with_capacity(CALLS);
    // Grows the tables once, so that only what is in them is counted afterwards.
    one_by_one(&mut bench, &mut reached, 1_000);
    reached.clear();
    bench.run(Duration::from_secs(120));
    let before = held();
    one_by_one(&mut bench, &mut reached, 2_000);
    // What the test itself keeps of each call.
    let own: isize = reached.iter().map(own_size).sum();
    let each = |now: isize| (now - before - own) / CALLS.cast_signed();
    let ringing = each(held());
    let mut oks = Vec::new();
    for invite in &reached {
        let sent = bench.message(PHONE, &answer(invite, 200));
        assert_eq!(sent[0].1.status(), 200);
        oks.push(invite.call_id().to_owned());
    }
    let census = bench.node.census();
    assert_eq!((census.calls, census.contexts), (CALLS, CALLS));
    drop(oks);
    let answered = each(held());
    bench.run(Duration::from_secs(70));
    let census = bench.node.census();
    assert_eq!((census.calls, census.contexts, census.transactions), (CALLS, 0, 0));
    let up = each(held());
    println!("octets of a call: {ringing} ringing, {answered} just answered, {up} up");
    assert!(
        ringing <= MOST && answered <= MOST && up <= 2 * 1024,
        "{ringing}, {answered}, {up}"
    );
    assert!(up > 100, "something is counted at all: {up}");
}

fn own_size(msg: &Msg) -> isize {
    let fields: usize = msg
        .headers
        .iter()
        .map(|(name, value)| name.capacity() + value.capacity())
        .sum();
    let list = msg.headers.capacity() * size_of::<(String, String)>();
    (fields + list + msg.start.capacity() + msg.body.capacity()).cast_signed()
}

/// Calls that ring; those of the first round are refused again.
fn one_by_one(bench: &mut Bench, reached: &mut Vec<Msg>, first: usize) {
    for n in first..first + CALLS {
        let sent = bench.message(TRUNK, &invite(n));
        let (_, invite) = sent
            .into_iter()
            .find(|(to, _)| to.to_string() == PHONE)
            .expect("the phone is called");
        bench.message(PHONE, &answer(&invite, 180));
        reached.push(invite);
    }
    if first == 1_000 {
        for invite in reached.iter() {
            bench.message(PHONE, &answer(invite, 486));
        }
    }
}

#[test]
fn octets_are_counted() {
    let before = held();
    let kept = Bytes::from(vec![1; 100_000]);
    assert!(held() - before >= 90_000);
    drop(kept);
}

//! A message that the guard drops takes nothing from the heap and next to no time, and a name that does not exist costs what one costs
//! that does. In its own program, since it counts every allocation.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures time")]

use bytes::Bytes;
use sip_tests::counting::{Counting, count};
use sip_tests::{Msg, digest};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandem::config::{Sources, parse};
use tandem::effect::Output;
use tandem::id::{ConnectionId, Flow, ListenerId, Transport};
use tandem::node::{Input, Node};
use tandem::time::{Clock, Instant as Moment, Wall};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of one message that is dropped, built as tests are.
const DROP: Duration = Duration::from_micros(5);

struct Bench {
    node: Node,
    at: Clock,
}

impl Bench {
    fn new(way: &str) -> Bench {
        let yaml = format!(
            "listen: [ \"udp://192.0.2.1:5060\" ]\ndomains: [ {{ name: example.com, do: {way} }} ]\n\
             users: [ {{ name: alice, password: secret }} ]\nguard: {{ strangers: 1 }}\n"
        );
        let config = Arc::new(parse("test", &yaml, &Sources::NONE).expect("it is right"));
        let at = Clock {
            now: Moment::ZERO + Duration::from_secs(1),
            wall: Wall(1_767_225_600_000),
        };
        let mut node = Node::new(config, [7; 32], at);
        while node.poll_output().is_some() {}
        Bench { node, at }
    }

    fn feed(&mut self, from: SocketAddr, message: &Bytes) {
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: ([192, 0, 2, 1], 5060).into(),
            peer: from,
        };
        self.node.handle(self.at, Input::Sip(flow, message.clone()));
    }

    /// The last message that is sent now.
    fn sent(&mut self) -> Option<Msg> {
        let mut last = None;
        while let Some(output) = self.node.poll_output() {
            if let Output::Send(_, bytes) = output {
                last = Some(Msg::read(&bytes).expect("ours"));
            }
        }
        last
    }
}

fn request(method: &str, user: &str, lines: &str) -> Bytes {
    Bytes::from(format!(
        "{method} sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9:5060;rport;branch=z9hG4bK-524287-1---89c9c7b1\r\n\
         Max-Forwards: 70\r\nContact: <sip:{user}@198.51.100.9:5060>\r\nTo: \"{user}\" <sip:{user}@example.com>\r\n\
         From: \"{user}\" <sip:{user}@example.com>;tag=0f3ad3b7\r\nCall-ID: MTUzNjYxMjBkMTY0\r\nCSeq: 1 {method}\r\nExpires: 3600\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS\r\nUser-Agent: Phone 3.1\r\n{lines}Content-Length: 0\r\n\r\n"
    ))
}

#[test]
fn a_dropped_message_costs_no_allocation_and_next_to_no_time() {
    let mut bench = Bench::new("bridge");
    let credentials = "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"0123456789abcdef0123456789abcdef0123456789abcdef\
                       0123456789abcdef\", uri=\"sip:example.com\", response=\"0123456789abcdef0123456789abcdef\"\r\n";
    let kinds = [
        ("REGISTER", request("REGISTER", "alice", "")),
        ("a guess", request("REGISTER", "alice", credentials)),
        ("INVITE", request("INVITE", "100", "")),
        ("a scanner", Bytes::from(String::from_utf8(request("OPTIONS", "100", "").to_vec()).unwrap().replace("Phone", "sipvicious"))),
        ("malformed", Bytes::from_static(b"INVITE sip:a SIP/2.0\r\nVia nothing\r\nFrom\r\n\r\n")),
        (
            "a stray response",
            Bytes::from_static(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0123456789abcdef.0000deadbeef\r\nCSeq: 1 INVITE\r\n\r\n"),
        ),
    ];
    let from: SocketAddr = "198.51.100.9:5060".parse().unwrap();
    for (kind, message) in &kinds {
        // Until nothing more of it is let through.
        for _ in 0..500 {
            bench.feed(from, message);
        }
        bench.sent();
        let (mut best, mut taken) = (Duration::MAX, 0);
        for _ in 0..20 {
            let (begin, before) = (Instant::now(), count().taken);
            for _ in 0..500 {
                bench.feed(from, message);
            }
            best = best.min(begin.elapsed() / 500);
            taken += count().taken - before;
        }
        assert_eq!((taken, bench.sent()), (0, None), "{kind}");
        println!("{kind}: {} ns for {} octets", best.as_nanos(), message.len());
        assert!(best < DROP, "{kind} costs {best:?}");
    }
}

/// The same branches are taken, digests computed among them: each of their parts is text on the heap.
#[test]
fn a_name_that_does_not_exist_costs_what_one_costs_that_does() {
    // What is made once in a process is made now.
    let mut warm = Bench::new("bridge");
    warm.feed("198.51.100.9:5060".parse().unwrap(), &request("REGISTER", "alice", ""));
    for (way, methods) in [
        ("bridge", ["REGISTER", "INVITE", "OPTIONS"]),
        ("proxy", ["REGISTER", "INVITE", "MESSAGE"]),
    ] {
        for method in methods {
            let mut costs = Vec::new();
            for user in ["alice", "alicf"] {
                let mut bench = Bench::new(way);
                let from: SocketAddr = "198.51.100.9:5060".parse().unwrap();
                let mut ask = |message: Bytes| {
                    let before = count();
                    bench.feed(from, &message);
                    let after = count();
                    let answer = bench.sent().expect("it is answered");
                    (answer, (after.taken - before.taken, after.bytes - before.bytes))
                };
                let (first, challenged) = ask(request(method, user, ""));
                let (field, name) = match first.status() {
                    407 => ("Proxy-Authorization", "Proxy-Authenticate"),
                    _other => ("Authorization", "WWW-Authenticate"),
                };
                let challenge = first.all(name).join(", ");
                let value = digest::answer(&challenge, user, "guess", method, "sip:example.com", 1);
                let (second, judged) = ask(request(method, user, &format!("{field}: {value}\r\n")));
                costs.push((first.status(), second.status(), challenged, judged));
            }
            assert_eq!(costs[0], costs[1], "{way} {method}");
            assert!(
                method == "OPTIONS" || costs[0].1 == 403,
                "{way} {method} {}",
                costs[0].1
            );
        }
    }
}

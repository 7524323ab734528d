//! Any values of the header fields that make a call (RAck, Session-Expires, Replaces, Refer-To, ...), from a carrier, in any order.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tandem::config::{self, Sources};
use tandem::effect::{Answer, Output};
use tandem::id::{ConnectionId, Flow, ListenerId, Transport};
use tandem::media::command::Port;
use tandem::node::{Input, Node};
use tandem::sip::{Message, Name};
use tandem::time::{Clock, Instant, Wall};

/// A request: which method and which field (by number), and the field's value.
pub type Step<'a> = (u8, u8, &'a str);

const CONFIG: &str = r#"
listen: [ "udp://192.0.2.1:5060" ]
domains: [ example.com ]
media: { workers: 1 }
trunks: [ { name: acme, peers: [ "sip:198.51.100.1" ], options: never } ]
routes: [ { to: "600", do: echo } ]
"#;
const METHODS: [&str; 8] = ["INVITE", "UPDATE", "REFER", "PRACK", "INFO", "NOTIFY", "CANCEL", "BYE"];
const FIELDS: [&str; 16] = [
    "RAck",
    "Session-Expires",
    "Min-SE",
    "Replaces",
    "Refer-To",
    "Referred-By",
    "Require",
    "Supported",
    "Reason",
    "Contact",
    "Record-Route",
    "P-Asserted-Identity",
    "Content-Type",
    "Event",
    "Subscription-State",
    "Diversion",
];
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

/// A node and the dialog that the carrier has with it.
struct Line {
    node: Node,
    now: Instant,
    to: String,
    cseq: u32,
    port: u16,
}

/// Takes the steps, a second after each other.
pub fn call(steps: Vec<Step<'_>>) {
    let config = config::parse("fuzz.yaml", CONFIG, &Sources::NONE).expect("our own configuration");
    let mut line = Line {
        node: Node::new(Arc::new(config), [7; 32], clock(Instant::ZERO)),
        now: Instant::ZERO,
        to: "<sip:600@example.com>".into(),
        cseq: 0,
        port: 20_000,
    };
    line.drain();
    line.request("INVITE", "Supported", "100rel, timer, replaces");
    assert!(line.to.contains("tag="), "the echo answers at once");
    for (method, field, value) in steps.into_iter().take(32) {
        let method = METHODS[usize::from(method) % METHODS.len()];
        let field = FIELDS[usize::from(field) % FIELDS.len()];
        line.request(method, field, &value.replace(['\r', '\n', '\0'], " "));
        line.wait(Duration::from_secs(1));
    }
    line.request("BYE", "Reason", "SIP;cause=200");
    line.wait(Duration::from_secs(200));
    let census = line.node.census();
    assert_eq!(
        (census.calls, census.transactions, census.trunk_places),
        (0, 0, 0),
        "left over"
    );
}

impl Line {
    fn request(&mut self, method: &str, field: &str, value: &str) {
        // A CANCEL belongs to the request before it.
        self.cseq += u32::from(method != "CANCEL");
        let (cseq, to) = (self.cseq, &self.to);
        let contact = if field == "Contact" {
            ""
        } else {
            "Contact: <sip:198.51.100.1>\r\n"
        };
        let (kind, body) = match method {
            "INVITE" | "UPDATE" if field != "Content-Type" => ("Content-Type: application/sdp\r\n", SDP),
            _ => ("", SDP),
        };
        let text = format!(
            "{method} sip:600@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:1@carrier.example>;tag=a\r\nTo: {to}\r\nCall-ID: fuzz\r\nCSeq: {cseq} {method}\r\n{contact}{kind}\
             {field}: {value}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: ([192, 0, 2, 1], 5060).into(),
            peer: ([198, 51, 100, 1], 5060).into(),
        };
        self.feed(Input::Sip(flow, Bytes::from(text)));
    }

    fn feed(&mut self, input: Input) {
        self.node.handle(clock(self.now), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Send(_, bytes) => {
                    let message = Message::parse(bytes).expect("what we write can be read");
                    assert_eq!(message.check(), Ok(()), "what we write is good");
                    if !message.is_request() && message.to().is_ok_and(|to| to.tag().is_some()) {
                        self.to = message.get(Name::To).expect("it has one").into_owned();
                    }
                }
                Output::Ports(count) => {
                    let ports = (0..count).map(|_| {
                        self.port += 2;
                        Port {
                            rtp: self.port,
                            v6: false,
                        }
                    });
                    let ports = ports.collect();
                    self.node.handle(clock(self.now), Input::Ports(ports));
                }
                Output::Media(_, tandem::media::command::Command::Close(leg)) => {
                    let closed = tandem::media::command::Event::Closed(leg, Default::default());
                    self.node.handle(clock(self.now), Input::Media(closed));
                }
                Output::Connect(ticket, _) => self.node.handle(clock(self.now), Input::FlowFailed(ticket)),
                Output::Query(ticket, _) => self
                    .node
                    .handle(clock(self.now), Input::Answered(ticket, Answer::default())),
                Output::Post(ticket, _) => self.node.handle(clock(self.now), Input::Posted(ticket, true)),
                Output::Media(..)
                | Output::Store(..)
                | Output::Record(_)
                | Output::Known(_)
                | Output::Alias(..)
                | Output::Ng(..)
                | Output::Control { .. }
                | Output::Api(..) => {}
            }
        }
    }

    /// Runs the node's timers.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.node.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.feed(Input::Time);
        }
        self.now = end;
    }
}

fn clock(now: Instant) -> Clock {
    Clock {
        now,
        wall: Wall(1_700_000_000_000 + now.as_millis()),
    }
}

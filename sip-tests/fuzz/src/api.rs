//! A node whose HTTP API is used by two tenants: requests by templates and as they come, streams that break, time.
//!
//! ```text
//!   0 who what call body            a request by templates
//!   1 who what call length octets   the same with any body, the length in two octets
//!   2 length octets                 any path, by any method
//!   3 seconds                       time passes
//!   4 which                         a stream breaks
//! ```

use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tandem::api::wire::{Event, Method, Reply, Request, Response};
use tandem::config::{self, Sources};
use tandem::effect::{Fact, Output};
use tandem::id::ApiId;
use tandem::node::{Input, Node};
use tandem::pii::Secret;
use tandem::time::{Clock, Instant, Wall};

const ACME: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";
const CONFIG: &str = "listen: [ \"udp://192.0.2.1:5060\" ]
api:
  listen: \"192.0.2.1:8445\"
  keys: [ { tenant: acme, key: 0123456789abcdef0123456789abcdef }, { tenant: other, key: fedcba9876543210fedcba9876543210 } ]
  turn: { urls: [ \"turn:192.0.2.1\" ], secret: north }
";
/// Longer than a call rings, and than somebody who is gone is waited for.
const END: Duration = Duration::from_secs(600);
/// Who asks: two of one tenant, one of another, and two who may not.
const NAMES: [&str; 3] = ["alice", "bob", "mallory"];

const WHAT: [(Method, &str); 18] = [
    (Method::Get, "/v1/events"),
    (Method::Post, "/v1/calls"),
    (Method::Post, "/v1/calls/{call}/accept"),
    (Method::Post, "/v1/calls/{call}/offer"),
    (Method::Post, "/v1/calls/{call}/answer"),
    (Method::Post, "/v1/calls/{call}/candidates"),
    (Method::Post, "/v1/calls/{call}/hangup"),
    (Method::Post, "/v1/calls/{call}/reject"),
    (Method::Post, "/v1/calls/{call}/hold"),
    (Method::Post, "/v1/calls/{call}/mute"),
    (Method::Post, "/v1/calls/{call}/dtmf"),
    (Method::Get, "/v1/calls/{call}"),
    (Method::Get, "/v1/calls"),
    (Method::Get, "/v1/turn"),
    (Method::Post, "/v1/tokens"),
    (Method::Get, "/v1/openapi.json"),
    (Method::Get, "/v1/problems"),
    (Method::Options, "/v1/calls"),
];

const BODIES: [&str; 20] = [
    "{\"targets\":[{\"client\":\"bob\"}],\"offer\":\"v=0\\r\\n\"}",
    "{\"targets\":[{\"client\":\"alice\"}],\"offer\":\"v=0\\r\\n\"}",
    "{\"targets\":[],\"offer\":\"v=0\\r\\n\"}",
    "{\"answer\":\"v=0\\r\\n\",\"device\":\"d\"}",
    "{\"answer\":\"v=0\\r\\n\",\"revision\":1}",
    "{\"answer\":\"v=0\\r\\n\",\"revision\":4294967295}",
    "{\"offer\":\"v=0\\r\\n\"}",
    "{\"offer\":\"\"}",
    "{\"candidates\":[{\"candidate\":\"x\"},{\"candidate\":\"\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0}]}",
    "{\"candidates\":[]}",
    "{\"reason\":\"busy\"}",
    "{\"reason\":\"gone\"}",
    "{\"held\":true}",
    "{\"muted\":false}",
    "{\"digits\":\"12#A\"}",
    "{\"digits\":\"\\n\"}",
    "{\"identity\":\"carol\",\"scopes\":[\"admin\"],\"lifetime\":60}",
    "{\"identity\":\"\\u0000\\r\\ndata: x\"}",
    "{}",
    "",
];

struct Scene {
    node: Node,
    now: Instant,
    last: u64,
    tokens: Vec<Secret>,
    calls: Vec<String>,
    /// Requests that are not answered yet.
    asked: BTreeSet<ApiId>,
    streams: BTreeSet<ApiId>,
    answer: Option<Response>,
}

/// Octets as steps.
pub fn api(octets: &[u8]) {
    let Ok(config) = config::parse("fuzz.yaml", CONFIG, &Sources::NONE) else {
        panic!("the configuration is good");
    };
    let now = Instant::ZERO + Duration::from_secs(1);
    let mut scene = Scene {
        node: Node::new(Arc::new(config), [7; 32], clock(now)),
        now,
        last: 0,
        tokens: Vec::new(),
        calls: Vec::new(),
        asked: BTreeSet::new(),
        streams: BTreeSet::new(),
        answer: None,
    };
    scene.drain();
    for (name, key) in NAMES.iter().zip([ACME, ACME, OTHER]) {
        let body = format!("{{\"identity\":\"{name}\"}}");
        scene.ask(Method::Post, "/v1/tokens", Some(Secret::new(key)), body.as_bytes());
        let told = scene.answer.take().expect("it is answered at once");
        let token = between(&told.body, "\"token\":\"").expect("a token");
        scene.tokens.push(Secret::new(token));
    }
    let mut rest = octets;
    while let Some((step, behind)) = rest.split_first() {
        rest = scene.step(*step, behind).unwrap_or_default();
    }
    scene.wait(END);
    assert!(scene.asked.is_empty(), "each request is answered");
}

fn clock(now: Instant) -> Clock {
    Clock {
        now,
        wall: Wall(1_700_000_000_000 + now.as_millis()),
    }
}

/// What stands behind this, to the next quotation mark.
fn between(body: &[u8], before: &str) -> Option<String> {
    let text = std::str::from_utf8(body).expect("JSON is UTF-8");
    let rest = &text[text.find(before)? + before.len()..];
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

impl Scene {
    fn step<'o>(&mut self, step: u8, rest: &'o [u8]) -> Option<&'o [u8]> {
        match step % 5 {
            0 => {
                let ([who, what, call, body], behind) = rest.split_first_chunk::<4>()?;
                let body = BODIES[usize::from(*body) % BODIES.len()];
                self.by_template([*who, *what, *call], body.as_bytes());
                Some(behind)
            }
            1 => {
                let ([who, what, call, high, low], behind) = rest.split_first_chunk::<5>()?;
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let (body, behind) = behind.split_at(length.min(behind.len()));
                self.by_template([*who, *what, *call], body);
                Some(behind)
            }
            2 => {
                let ([method, length], behind) = rest.split_first_chunk::<2>()?;
                let (path, behind) = behind.split_at(usize::from(*length).min(behind.len()));
                let method = [Method::Get, Method::Post, Method::Options, Method::Other][usize::from(method % 4)];
                self.ask(method, &String::from_utf8_lossy(path), self.token(*length), b"{}");
                Some(behind)
            }
            3 => {
                let (seconds, behind) = rest.split_first()?;
                self.wait(Duration::from_secs(u64::from(*seconds)));
                Some(behind)
            }
            _ => {
                let (which, behind) = rest.split_first()?;
                if let Some(id) = self.streams.iter().nth(usize::from(*which)).copied() {
                    self.streams.remove(&id);
                    self.feed(Input::ApiClosed(id));
                }
                Some(behind)
            }
        }
    }

    fn token(&self, who: u8) -> Option<Secret> {
        match usize::from(who % 6) {
            which @ 0..=2 => Some(self.tokens[which].clone()),
            3 => Some(Secret::new(ACME)),
            4 => Some(Secret::new("forged.token")),
            _ => None,
        }
    }

    fn by_template(&mut self, [who, what, call]: [u8; 3], body: &[u8]) {
        let (method, path) = WHAT[usize::from(what) % WHAT.len()];
        let call = self.calls.get(usize::from(call)).map_or("c0-0", String::as_str);
        let path = path.replace("{call}", call);
        self.ask(method, &path, self.token(who), body);
    }

    fn ask(&mut self, method: Method, path: &str, token: Option<Secret>, body: &[u8]) {
        self.last += 1;
        let id = ApiId(self.last);
        let pick = |most: u64, text: String| self.last.is_multiple_of(most).then_some(text);
        let request = Request {
            peer: [198, 51, 100, (self.last % 3) as u8].into(),
            local: [192, 0, 2, 1].into(),
            method,
            path: path.to_owned(),
            token,
            origin: pick(5, "https://a.example".to_owned()),
            key: pick(4, format!("k{}", self.last % 8)),
            after: pick(3, format!("{}", self.last / 2)),
            body: Bytes::copy_from_slice(body),
        };
        self.asked.insert(id);
        self.feed(Input::Api(id, Box::new(request)));
    }

    fn feed(&mut self, input: Input) {
        self.node.handle(clock(self.now), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Api(id, reply) => self.told(id, reply),
                Output::Record(Fact::Warning(text)) => panic!("an error in the node was caught: {text}"),
                _of_no_client => {}
            }
        }
    }

    fn told(&mut self, id: ApiId, reply: Reply) {
        match reply {
            Reply::Done(response) => {
                assert!(self.asked.remove(&id), "{id} is answered once");
                let Response { status, kind, body, .. } = &response;
                let is_problem = *kind == Some("application/problem+json");
                assert!(
                    (200..=599).contains(status) && is_problem == (*status >= 400),
                    "{status} {kind:?}"
                );
                assert_eq!(kind.is_none(), body.is_empty());
                for (_, value) in &response.headers {
                    assert!(
                        value.bytes().all(|b| (b' '..=b'~').contains(&b)),
                        "a header field has {value:?}"
                    );
                }
                let place = response
                    .headers
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case("location"));
                if let Some((_, place)) = place.filter(|_| self.calls.len() < 100) {
                    let call = place.rsplit_once('/').map_or("", |(_, call)| call);
                    self.calls.push(call.to_owned());
                }
                self.answer = Some(response);
            }
            Reply::Open { events, .. } => {
                assert!(
                    self.asked.remove(&id) && self.streams.insert(id),
                    "{id} is answered once"
                );
                events.iter().for_each(on_one_line);
            }
            Reply::More(event) => {
                assert!(self.streams.contains(&id), "{id} is a stream");
                on_one_line(&event);
            }
            Reply::Last(event) => {
                assert!(self.streams.remove(&id), "{id} is a stream");
                on_one_line(&event);
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some((at, who)) = self.node.poll_timeout().filter(|(at, _)| *at <= end) {
            wakes = if at > self.now { 0 } else { wakes + 1 };
            assert!(wakes < 1_000, "{who} wants to be woken again and again");
            self.now = self.now.max(at);
            self.feed(Input::Time);
        }
        self.now = end;
    }
}

/// A line break would begin a field of the stream that somebody else has chosen.
fn on_one_line(event: &Event) {
    let id = event.id.as_deref().unwrap_or_default().as_bytes();
    assert!(event.data.iter().chain(id).all(|octet| *octet >= b' '), "{event:?}");
}

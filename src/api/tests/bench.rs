//! A machine with two tenants, and what it says to whom.

use crate::api::Api;
use crate::api::route::{self, Found};
use crate::api::wire::{Event, Method, Reply, Request, Response};
use crate::config::{Config, Sources, parse};
use crate::cx::{ChaCha12Rng, Cx, SeedableRng, Tickets};
use crate::effect::{Fact, Output};
use crate::id::ApiId;
use crate::keyed;
use crate::pii::Secret;
use crate::time::{Instant, Wall};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub(super) const ACME: &str = "0123456789abcdef0123456789abcdef";
pub(super) const OTHER: &str = "fedcba9876543210fedcba9876543210";
pub(super) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n";
pub(super) const ANSWER: &str = "v=0\r\no=- 2 1 IN IP4 0.0.0.0\r\n";

/// The machine and its world.
pub(super) struct Bench {
    pub(super) api: Api,
    pub(super) config: Arc<Config>,
    pub(super) now: Instant,
    pub(super) wall: Wall,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    last: u64,
    /// What came by each stream; whether it has ended.
    pub(super) streams: BTreeMap<ApiId, (Vec<Event>, bool)>,
    pub(super) facts: Vec<Fact>,
    /// What URLs were told.
    pub(super) posts: Vec<Value>,
}

/// A configuration whose section `api` has this besides.
pub(super) fn config(rest: &str) -> Arc<Config> {
    let text = format!(
        "listen: [ udp://192.0.2.1:5060 ]\napi:\n  listen: 192.0.2.1:8445\n  keys:\n    - {{ tenant: acme, key: {ACME} }}\n    - {{ tenant: \
         other, key: {OTHER} }}\n{rest}"
    );
    let config = parse("t", &text, &Sources::NONE);
    Arc::new(config.unwrap_or_else(|problems| panic!("{problems:#?}")))
}

/// The JSON of an answer.
pub(super) fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {:?}", response.body))
}

/// The name of its problem.
pub(super) fn problem(response: &Response) -> String {
    assert_eq!(response.kind, Some("application/problem+json"), "{:?}", response.body);
    let told = body(response);
    assert_eq!(told["status"], response.status);
    let kind = told["type"].as_str().expect("a problem has a type");
    kind.strip_prefix("/v1/problems#").expect("of ours").to_owned()
}

/// Each answer of any test here is one that the description has.
fn is_described(method: Method, path: &str, status: u16) {
    static ALL: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../openapi.json")).expect("JSON"));
    let Found::Row(meant) = route::find(method, path) else {
        return;
    };
    let responses = &ALL["paths"][meant.row.path][method.name().to_lowercase()]["responses"];
    assert!(
        responses[status.to_string()].is_object(),
        "openapi.json: {} {} answers {status}",
        method.name(),
        meant.row.path
    );
}

/// The value of a header field.
pub(super) fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let found = response.headers.iter().find(|(field, _)| *field == name);
    found.map(|(_, value)| value.as_str())
}

impl Bench {
    pub(super) fn new(rest: &str) -> Bench {
        Bench {
            api: Api::new(keyed::Key::new([7; 16])),
            config: config(rest),
            now: Instant::ZERO + Duration::from_secs(1),
            wall: Wall(1_800_000_000_000),
            rng: ChaCha12Rng::from_seed([1; 32]),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            last: 0,
            streams: BTreeMap::new(),
            facts: Vec::new(),
            posts: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, work: impl FnOnce(&mut Api, &mut Cx<'_>)) {
        let mut cx = Cx {
            now: self.now,
            wall: self.wall,
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        work(&mut self.api, &mut cx);
    }

    /// Time passes, and what is due is done.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.api.next_deadline().filter(|at| *at <= until) {
            self.pass(at.since(self.now));
            self.step(Api::on_time);
            self.drain();
        }
        self.pass(until.since(self.now));
    }

    fn pass(&mut self, time: Duration) {
        (self.now, self.wall) = (self.now + time, self.wall + time);
    }

    /// A request, answered; `edit` may change it.
    pub(super) fn ask_with(
        &mut self,
        (method, path): (Method, &str),
        token: &str,
        sent: &Value,
        edit: impl FnOnce(&mut Request),
    ) -> Response {
        let mut request = Request {
            peer: "198.51.100.7".parse().unwrap(),
            local: "192.0.2.1".parse().unwrap(),
            method,
            path: path.to_owned(),
            token: (!token.is_empty()).then(|| Secret::new(token)),
            origin: None,
            key: None,
            after: None,
            body: if sent.is_null() {
                "".into()
            } else {
                sent.to_string().into()
            },
        };
        edit(&mut request);
        match self.send(&request).1 {
            Some(Reply::Done(response)) => {
                is_described(method, path, response.status);
                response
            }
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, request: &Request) -> (ApiId, Option<Reply>) {
        self.last += 1;
        let id = ApiId(self.last);
        self.step(|api, cx| api.request(cx, id, request));
        (id, self.drain_for(id))
    }

    pub(super) fn get(&mut self, path: &str, token: &str) -> Response {
        self.ask_with((Method::Get, path), token, &Value::Null, |_| {})
    }

    pub(super) fn post(&mut self, path: &str, token: &str, sent: &Value) -> Response {
        self.ask_with((Method::Post, path), token, sent, |_| {})
    }

    /// The same request each time with this key.
    pub(super) fn post_once(&mut self, key: &str, path: &str, token: &str, sent: &Value) -> Response {
        self.ask_with((Method::Post, path), token, sent, |request| {
            request.key = Some(key.to_owned())
        })
    }

    /// A token of acme, with the scopes of people.
    pub(super) fn token(&mut self, name: &str) -> String {
        self.token_of(ACME, &serde_json::json!({ "identity": name }))
    }

    pub(super) fn token_of(&mut self, key: &str, wanted: &Value) -> String {
        let response = self.post("/v1/tokens", key, wanted);
        assert_eq!(response.status, 201, "{:?}", response.body);
        body(&response)["token"].as_str().expect("a token").to_owned()
    }

    /// Opens a stream behind this place.
    pub(super) fn listen(&mut self, token: &str, after: Option<&str>) -> ApiId {
        let request = Request {
            peer: "198.51.100.7".parse().unwrap(),
            local: "192.0.2.1".parse().unwrap(),
            method: Method::Get,
            path: "/v1/events".to_owned(),
            token: Some(Secret::new(token)),
            origin: None,
            key: None,
            after: after.map(str::to_owned),
            body: "".into(),
        };
        let (id, reply) = self.send(&request);
        match reply {
            Some(Reply::Open { events, .. }) => {
                self.streams.entry(id).or_default().0.splice(0..0, events);
                id
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn close(&mut self, stream: ApiId) {
        self.step(|api, cx| api.closed(cx, stream));
        self.drain();
    }

    /// The names of what came by a stream since it was last asked, with the data of each.
    pub(super) fn told(&mut self, stream: ApiId) -> Vec<(&'static str, Value)> {
        let (events, _) = self.streams.get_mut(&stream).expect("it was opened");
        let read = |event: Event| (event.name, serde_json::from_slice(&event.data).expect("JSON"));
        events.drain(..).map(read).collect()
    }

    /// The only thing that came.
    pub(super) fn only(&mut self, stream: ApiId, name: &str) -> Value {
        let mut told = self.told(stream);
        assert!(told.len() == 1 && told[0].0 == name, "{name} in {told:?}");
        told.remove(0).1
    }

    /// Carries out what the machine wants; `id` is whose reply is wanted.
    fn drain_for(&mut self, id: ApiId) -> Option<Reply> {
        let mut found = None;
        while let Some(output) = self.out.pop_front() {
            match output {
                Output::Api(to, reply @ (Reply::Done(_) | Reply::Open { .. })) => {
                    assert!(to == id && found.is_none(), "one answer to each request");
                    found = Some(reply);
                }
                Output::Api(to, Reply::More(event)) => self.streams.entry(to).or_default().0.push(event),
                Output::Api(to, Reply::Last(event)) => {
                    let stream = self.streams.entry(to).or_default();
                    assert!(!stream.1, "it ends once");
                    stream.0.push(event);
                    stream.1 = true;
                }
                Output::Record(fact) => self.facts.push(fact),
                Output::Post(_, post) => self.posts.push(serde_json::from_slice(&post.body).expect("JSON")),
                other => panic!("{other:?}"),
            }
        }
        found
    }

    pub(super) fn drain(&mut self) {
        let reply = self.drain_for(ApiId(0));
        assert_eq!(reply, None);
    }
}

/// Two who listen, and what is needed to ask in their names.
pub(super) struct Pair {
    pub(super) bench: Bench,
    pub(super) alice: String,
    pub(super) bob: String,
    pub(super) to_alice: ApiId,
    pub(super) to_bob: ApiId,
}

impl Pair {
    pub(super) fn new() -> Pair {
        Pair::with("  per_client: 1000\n  per_address: 100000\n")
    }

    pub(super) fn with(rest: &str) -> Pair {
        let mut bench = Bench::new(rest);
        let (alice, bob) = (bench.token("alice"), bench.token("bob"));
        let (to_alice, to_bob) = (bench.listen(&alice, None), bench.listen(&bob, None));
        bench.told(to_alice);
        bench.told(to_bob);
        Pair {
            bench,
            alice,
            bob,
            to_alice,
            to_bob,
        }
    }

    /// Alice calls Bob: the path of the call.
    pub(super) fn ring(&mut self) -> String {
        let wanted = serde_json::json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
        let response = self.bench.post("/v1/calls", &self.alice, &wanted);
        assert_eq!(response.status, 201, "{:?}", response.body);
        let path = field(&response, "Location").expect("where it is").to_owned();
        assert_eq!(path, format!("/v1/calls/{}", body(&response)["id"].as_str().unwrap()));
        path
    }

    /// And he answers.
    pub(super) fn talk(&mut self) -> String {
        let call = self.ring();
        let wanted = serde_json::json!({ "answer": ANSWER, "device": "d1" });
        let response = self.bench.post(&format!("{call}/accept"), &self.bob, &wanted);
        assert_eq!(response.status, 200, "{:?}", response.body);
        self.hush();
        call
    }

    /// What came by streams is forgotten.
    pub(super) fn hush(&mut self) {
        self.bench.told(self.to_alice);
        self.bench.told(self.to_bob);
    }
}

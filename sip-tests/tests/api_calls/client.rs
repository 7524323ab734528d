//! A client of the HTTP API in the simulated world: what it asks, and what it is told.

use serde_json::{Value, json};
use sip_tests::World;
use sip_tests::script::EDGE;
use tandem::api::wire::{Method, Reply, Request, Response};
use tandem::id::ApiId;
use tandem::node::Input;
use tandem::pii::Secret;

/// A back end whose users call as `web`.
pub const SHOP: &str = "0123456789abcdef0123456789abcdef";
/// One whose users are those of the configuration.
pub const OFFICE: &str = "fedcba9876543210fedcba9876543210";
/// One whose users have no way out.
pub const CHAT: &str = "00112233445566778899aabbccddeeff";

/// Of a browser.
pub const OFFER: &str = "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 110\r\n\
    c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:Zx8f\r\na=ice-pwd:lPq3bT1cYw0c4d5s6f7g8h9j\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 3A:1F:5B:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:110 telephone-event/48000\r\n";

/// The same as an answer.
pub fn answer() -> String {
    OFFER.replace("actpass", "active")
}

pub fn world(seed: u64) -> World {
    World::builder(seed).config(&config()).build()
}

pub fn config() -> String {
    let users = "users:\n  - { name: web, password: nobody registers, number: \"+14155550199\", calls: 3 }\n";
    let rooms = "rooms: [ { number: \"3000\", name: standup }, { number: \"*\", moderators: [ web ] } ]\n";
    let api = format!(
        "api:\n  listen: 192.0.2.1:8445\n  per_client: 1000\n  per_address: 100000\n  keys:\n    - {{ tenant: shop, key: {SHOP}, calls_as: web, meetings: \"88\" }}\n    - {{ tenant: office, key: {OFFICE}, users: \
         yes }}\n    - {{ tenant: chat, key: {CHAT} }}\n"
    );
    let edge = EDGE
        .replace("users:\n", users)
        .replace("routes:\n", "routes:\n  - { to: \"88*\", do: room }\n");
    format!("{edge}{rooms}{api}")
}

/// Somebody with a token, who listens.
#[derive(Clone, Debug)]
pub struct Client {
    token: String,
    stream: ApiId,
    /// Events that were looked at.
    seen: usize,
}

pub fn ask(w: &mut World, method: Method, path: &str, token: &str, body: &Value) -> Response {
    let id = send(w, method, path, token, body);
    let reply = w.replies.iter().find_map(|(to, reply)| match reply {
        Reply::Done(response) if *to == id => Some(response.clone()),
        _other => None,
    });
    reply.unwrap_or_else(|| w.fail(&format!("{path} has no answer")))
}

fn send(w: &mut World, method: Method, path: &str, token: &str, body: &Value) -> ApiId {
    let last = w.replies.iter().map(|(id, _)| id.0).max();
    let id = ApiId(last.unwrap_or_default() + 1);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request {
        peer: "198.51.100.77".parse().unwrap(),
        local: "192.0.2.1".parse().unwrap(),
        method,
        path: path.to_owned(),
        token: Some(Secret::new(token)),
        origin: None,
        key: None,
        after: None,
        body: body.into(),
    };
    w.feed(Input::Api(id, Box::new(request)));
    id
}

pub fn read(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// The name of a refusal.
pub fn problem(response: &Response) -> String {
    let told = read(response);
    let kind = told["type"].as_str().unwrap_or_default();
    kind.trim_start_matches("/v1/problems#").to_owned()
}

impl Client {
    pub fn new(w: &mut World, key: &str, name: &str, scopes: &[&str]) -> Client {
        let wanted = json!({ "identity": name, "scopes": scopes });
        let issued = ask(w, Method::Post, "/v1/tokens", key, &wanted);
        let token = read(&issued)["token"].as_str().expect("a token").to_owned();
        let stream = send(w, Method::Get, "/v1/events", &token, &Value::Null);
        let mut client = Client { token, stream, seen: 0 };
        assert_eq!(client.told(w)[0].0, "ready");
        client
    }

    /// Opens one more stream, and looks at that from now on.
    pub fn listen(&mut self, w: &mut World) {
        self.stream = send(w, Method::Get, "/v1/events", &self.token, &Value::Null);
        self.seen = 0;
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its stream breaks.
    pub fn closes(&self) -> Input {
        Input::ApiClosed(self.stream)
    }

    pub fn post(&self, w: &mut World, path: &str, body: &Value) -> Response {
        ask(w, Method::Post, path, &self.token, body)
    }

    /// Calls; gives the path of the call.
    pub fn call(&self, w: &mut World, target: &Value) -> String {
        self.call_with(w, target, OFFER)
    }

    /// The same with another offer.
    pub fn call_with(&self, w: &mut World, target: &Value, offer: &str) -> String {
        let started = self.post(w, "/v1/calls", &json!({ "targets": [target], "offer": offer }));
        assert_eq!(started.status, 201, "{:?}", started.body);
        format!("/v1/calls/{}", read(&started)["id"].as_str().expect("a name"))
    }

    /// All that came, the first event `ready` included.
    fn all(&self, w: &World) -> Vec<(String, Value)> {
        let of = |reply: &Reply| match reply {
            Reply::Open { events, .. } => events.clone(),
            Reply::More(event) | Reply::Last(event) => vec![event.clone()],
            Reply::Done(_) => Vec::new(),
        };
        let own = w.replies.iter().filter(|(to, _)| *to == self.stream);
        let events = own.flat_map(|(_, reply)| of(reply));
        let read = |data: &[u8]| serde_json::from_slice(data).expect("JSON");
        events.map(|event| (event.name.to_owned(), read(&event.data))).collect()
    }

    /// What came since it was asked last.
    pub fn told(&mut self, w: &World) -> Vec<(String, Value)> {
        let mut all = self.all(w);
        let told = all.split_off(self.seen);
        self.seen += told.len();
        told
    }

    /// Waits for one; what came before it was seen.
    pub fn wait(&mut self, w: &mut World, name: &str) -> Value {
        for _ in 0..600 {
            let all = self.all(w);
            if let Some(at) = (self.seen..all.len()).find(|at| all[*at].0 == name) {
                self.seen = at + 1;
                return all[at].1.clone();
            }
            w.run(sip_tests::ms(100));
        }
        w.fail(&format!("never {name} in {:?}", self.all(w)))
    }
}

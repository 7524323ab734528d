//! The HTTP API over real TLS, by a client of the test's own: what the machine in its own tests cannot show.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;

mod api {
    pub mod https;
    #[allow(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "how long a real hook takes is real time"
    )]
    mod push;
    mod slow;
    mod sockets;
}

use api::https::{Https, Node};
use serde_json::{Value, json};
use std::time::Duration;

/// How long anything may take before a test fails.
const SOON: Duration = Duration::from_secs(20);
const ACME: &str = "0123456789abcdef0123456789abcdef";
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n";

/// A token for somebody.
fn token(node: &Node, name: &str) -> String {
    let answer = Https::open(node).ask(
        "POST",
        "/v1/tokens",
        ACME,
        &[],
        &json!({ "identity": name }).to_string(),
    );
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_call_goes_from_one_to_the_other_and_a_broken_stream_goes_on() {
    let node = Node::start(1, "");
    let (alice, bob) = (token(&node, "alice"), token(&node, "bob"));
    let mut to_bob = Https::open(&node).listen(&bob, None);
    let (_, name, ready) = to_bob.event();
    assert_eq!((name.as_str(), &ready["client"]), ("ready", &json!("bob")));
    let mut to_alice = Https::open(&node).listen(&alice, None);
    to_alice.event();
    // All by one connection.
    let mut ask = Https::open(&node);
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER }).to_string();
    let key = [("Idempotency-Key", "k1")];
    let started = ask.ask("POST", "/v1/calls", &alice, &key, &start);
    assert_eq!(started.status, 201, "{}", started.body);
    let again = ask.ask("POST", "/v1/calls", &alice, &key, &start);
    assert_eq!((again.status, &again.body), (201, &started.body));
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    let call = started.field("location").expect("where it is").to_owned();
    let (place, name, incoming) = to_bob.event();
    assert_eq!(
        (name.as_str(), &incoming["call"]["offer"]),
        ("call.incoming", &json!(OFFER))
    );
    drop(to_bob);
    let candidates = json!({ "candidates": [{ "candidate": "x" }] }).to_string();
    assert_eq!(
        ask.ask("POST", &format!("{call}/candidates"), &alice, &[], &candidates)
            .status,
        204
    );
    let mut to_bob = Https::open(&node).listen(&bob, Some(&place));
    let (_, name, ready) = to_bob.event();
    assert_eq!((name.as_str(), &ready["resumed"]), ("ready", &json!(true)));
    assert_eq!(to_bob.event().1, "call.candidates");
    let accept = json!({ "answer": OFFER, "device": "d" }).to_string();
    assert_eq!(
        ask.ask("POST", &format!("{call}/accept"), &bob, &[], &accept).status,
        200
    );
    let (_, name, accepted) = to_alice.event();
    assert_eq!((name.as_str(), &accepted["answer"]), ("call.accepted", &json!(OFFER)));
    assert_eq!(to_bob.event().1, "call.accepted");
    assert_eq!(ask.ask("POST", &format!("{call}/hangup"), &bob, &[], "").status, 204);
    assert_eq!(to_alice.event().2["reason"], "hung-up");
    assert_eq!(ask.ask("GET", &call, &bob, &[], "").status, 404);
    // One who looks for the call finds all of it by its name.
    let named = format!("client call {}", call.rsplit('/').next().expect("its name"));
    node.process.wait_times(&named, 3, SOON);
    node.process
        .wait_for(&format!("{named} of acme begins: alice calls bob"), SOON);
    node.stop();
}

/// What an operator reads of one who is refused: what he has asked for, who he is as far as that is known, from where, and why.
#[test]
fn who_is_refused_is_told_of_in_the_log() {
    let node = Node::start(12, "  per_address: 1000\n");
    let alice = token(&node, "alice");
    let mut ask = Https::open(&node);
    assert_eq!(ask.ask("GET", "/v1/calls", "nonsense", &[], "").status, 401);
    node.process.wait_for(
        "refused GET /v1/calls by somebody from 127.0.0.1: The access token is not good here: it is no JWT",
        SOON,
    );
    let start = json!({ "targets": [{ "number": "+15551234567" }], "offer": OFFER }).to_string();
    assert_eq!(ask.ask("POST", "/v1/calls", &alice, &[], &start).status, 403);
    node.process.wait_for(
        "refused POST /v1/calls by alice of acme from 127.0.0.1: This client may not call that",
        SOON,
    );
    // What comes of mistakes in a page is told to who looks for it.
    assert_eq!(ask.ask("GET", "/v1/calls/1-a", &alice, &[], "").status, 404);
    // Neither the token nor the number.
    for secret in ["nonsense", "+15551234567"] {
        assert_eq!(node.process.journal.count(secret), 0, "{secret}");
    }
    // So many in a minute, as with all that is refused.
    for _ in 0..60 {
        assert_eq!(ask.ask("GET", "/v1/turn", "", &[], "").status, 401);
    }
    node.process
        .wait_for("further refusals of this minute are only counted", SOON);
    assert!(node.process.journal.count("refused GET /v1/turn") <= 40);
    assert_eq!(node.process.journal.count("There is no such call"), 0);
    node.stop();
}

#[test]
fn what_everybody_may_read_is_there() {
    let node = Node::start(2, "");
    let mut ask = Https::open(&node);
    for path in ["/", "/phone/"] {
        let answer = ask.ask("GET", path, "", &[], "");
        assert_eq!(
            (answer.status, answer.field("location")),
            (302, Some("/phone")),
            "{path}"
        );
    }
    for (path, kind, begins) in [
        ("/sdk/tandem.js", "text/javascript", "// Calls in a page"),
        ("/sdk/tandem.d.ts", "text/plain", ""),
        ("/sdk/package.json", "application/json", "{"),
        ("/sdk/README.md", "text/plain", "# Calls in a page"),
        ("/phone", "text/html", "<!doctype html>"),
        ("/phone/phone.js", "text/javascript", "// A telephone"),
        ("/phone/phone.css", "text/css", ":root"),
        ("/v1/openapi.json", "application/json", "{"),
        ("/v1/problems", "application/json", "{"),
    ] {
        let answer = ask.ask("GET", path, "", &[], "");
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.field("content-type").unwrap().starts_with(kind), "{path}");
        assert!(answer.body.starts_with(begins), "{path}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{path}");
    }
    assert_eq!(
        ask.ask("GET", "/sdk/tandem.js", "", &[], "")
            .field("access-control-allow-origin"),
        Some("*")
    );
    let policy = ask.ask("GET", "/phone", "", &[], "");
    assert!(
        policy
            .field("content-security-policy")
            .unwrap()
            .contains("default-src 'self'")
    );
    assert_eq!(ask.ask("POST", "/phone", "", &[], "").status, 405);
    for path in [
        "/sdk/",
        "/sdk/../Cargo.toml",
        "/sdk/%2e%2e/Cargo.toml",
        "/phone/x",
        "/v1",
        "/v1/calls/x/y",
    ] {
        let answer = ask.ask("GET", path, "", &[], "");
        let told = (answer.status, answer.json()["type"].clone());
        assert_eq!(told, (404, json!("/v1/problems#no-such-path")), "{path}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    }
    node.stop();
}

#[test]
fn who_has_no_good_token_is_told_so_and_pages_of_others_need_an_origin() {
    let node = Node::start(3, "  origins: [ \"https://a.example\" ]\n");
    let mut ask = Https::open(&node);
    let origin = [
        ("Origin", "https://a.example"),
        ("Access-Control-Request-Method", "POST"),
    ];
    let preflight = ask.ask("OPTIONS", "/v1/calls", "", &origin, "");
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.field("access-control-allow-origin"),
        Some("https://a.example")
    );
    let refused = ask.ask("GET", "/v1/calls", "x", &origin, "");
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (401, &json!("/v1/problems#bad-token"))
    );
    assert_eq!(refused.field("access-control-allow-origin"), Some("https://a.example"));
    let instance = refused.json()["instance"].as_str().unwrap().to_owned();
    assert!(instance.starts_with("/v1/calls#h"), "{instance}");
    // Neither a key in place of a token, nor another scheme.
    assert_eq!(ask.ask("GET", "/v1/calls", ACME, &[], "").status, 401);
    let basic = ask.ask("GET", "/v1/calls", "", &[("Authorization", "Basic YTpi")], "");
    assert_eq!(basic.json()["type"], "/v1/problems#no-token");
    assert_eq!(node.process.journal.count(ACME), 0, "keys are not logged");
    node.stop();
}

#[test]
fn a_key_that_is_taken_away_ends_streams_at_once() {
    let node = Node::start(4, "");
    let alice = token(&node, "alice");
    let mut stream = Https::open(&node).listen(&alice, None);
    stream.event();
    node.reload(&"f".repeat(32), "");
    let (_, name, end) = stream.event();
    assert_eq!(name, "end");
    assert!(end["reason"].as_str().unwrap().contains("no longer in force"));
    assert!(stream.is_over());
    assert_eq!(Https::open(&node).ask("GET", "/v1/calls", &alice, &[], "").status, 401);
    node.stop();
}

#[test]
fn clients_are_told_of_turn_servers() {
    let node = Node::start(
        5,
        "  turn: { urls: [ \"stun:t.example\", \"turn:t.example\" ], secret: shared, lifetime: 5m }\n",
    );
    let alice = token(&node, "alice");
    let told = Https::open(&node).ask("GET", "/v1/turn", &alice, &[], "").json();
    assert_eq!(told["iceServers"][0], json!({ "urls": ["stun:t.example"] }));
    let name = told["iceServers"][1]["username"].as_str().unwrap();
    assert!(name.ends_with(":acme:alice"), "{name}");
    assert_ne!(told["iceServers"][1]["credential"], Value::Null);
    node.stop();
}

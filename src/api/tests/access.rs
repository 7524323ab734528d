//! Who may do what: tokens, scopes, tenants, origins.

use super::bench::{ACME, Bench, OFFER, OTHER, Pair, body, config, field, problem};
use crate::api::seal;
use crate::api::wire::Method;
use crate::effect::Fact;
use crate::pii::Secret;
use crate::stun::integrity::timed_password;
use serde_json::{Value, json};
use std::time::Duration;

/// A token that a back end has made itself.
fn made(key: &str, head: &Value, claims: &Value) -> String {
    let half = |value: &Value| seal::encode(value.to_string().as_bytes());
    let text = format!("{}.{}", half(head), half(claims));
    let signature = seal::sign(&Secret::new(key), &text);
    format!("{text}.{signature}")
}

fn head() -> Value {
    json!({ "alg": "HS256", "typ": "JWT", "kid": "acme" })
}

#[test]
fn a_back_end_has_tokens_made_and_they_say_what_was_asked_for() {
    let mut bench = Bench::new("");
    let wanted = json!({ "identity": "alice@example.com", "scopes": ["call", "admin"], "lifetime": 60 });
    let response = bench.post("/v1/tokens", ACME, &wanted);
    assert_eq!(
        (response.status, field(&response, "Cache-Control")),
        (201, Some("no-store"))
    );
    let told = body(&response);
    assert_eq!(told["identity"], "alice@example.com");
    assert_eq!(
        (&told["scopes"], &told["expires"]),
        (&wanted["scopes"], &json!(1_800_000_060))
    );
    let token = told["token"].as_str().unwrap();
    assert_eq!(bench.get("/v1/calls", token).status, 200);
    let halves: Vec<&str> = token.split('.').collect();
    let read = |at: usize| serde_json::from_slice::<Value>(&seal::decode(halves[at]).unwrap()).unwrap();
    assert_eq!(read(0), head());
    let claims = json!({ "sub": "alice@example.com", "scope": "call admin", "exp": 1_800_000_060 });
    assert_eq!(read(1), claims);
    // It is what a back end would have made itself.
    assert_eq!(bench.get("/v1/calls", &made(ACME, &head(), &claims)).status, 200);
}

#[test]
fn what_a_token_cannot_be_for_is_told() {
    let mut bench = Bench::new("  token_lifetime: 10m\n");
    let long = "x".repeat(65);
    for (wanted, kind) in [
        (json!({}), "bad-body"),
        (json!([]), "bad-body"),
        (json!({ "identity": 7 }), "bad-body"),
        (json!({ "identity": "a", "admin": true }), "bad-body"),
        (json!({ "identity": "" }), "cannot-be"),
        (json!({ "identity": "a b" }), "cannot-be"),
        (json!({ "identity": long }), "cannot-be"),
        (json!({ "identity": "a", "scopes": ["root"] }), "cannot-be"),
        (json!({ "identity": "a", "scopes": ["call", "jion"] }), "cannot-be"),
        (json!({ "identity": "a", "scopes": [] }), "cannot-be"),
        (json!({ "identity": "a", "scope": ["call"] }), "bad-body"),
        (json!({ "identity": "a", "lifetime": 0 }), "cannot-be"),
        (json!({ "identity": "a", "lifetime": 601 }), "cannot-be"),
        (json!({ "identity": "a", "lifetime": u64::MAX }), "cannot-be"),
    ] {
        let response = bench.post("/v1/tokens", ACME, &wanted);
        assert_eq!(problem(&response), kind, "{wanted}");
    }
    let token = bench.token("alice");
    for key in ["", "x", &ACME[1..], &token, &ACME.to_uppercase()] {
        let response = bench.post("/v1/tokens", key, &json!({ "identity": "a" }));
        assert_eq!(
            (problem(&response).as_str(), response.status),
            ("bad-key", 401),
            "{key}"
        );
        assert_eq!(field(&response, "WWW-Authenticate"), Some("Bearer"));
    }
}

#[test]
fn a_token_is_good_only_as_it_was_made_and_in_its_time() {
    let mut bench = Bench::new("");
    let (now, soon) = (1_800_000_000u64, 1_800_000_030u64);
    let claims = |exp: u64| json!({ "sub": "alice", "scope": "call", "exp": exp });
    let good = made(ACME, &head(), &claims(soon));
    assert_eq!(bench.get("/v1/calls", &good).status, 200);
    let with = |name: &str, value: Value| {
        let mut head = head();
        head[name] = value;
        made(ACME, &head, &claims(soon))
    };
    let mut early = claims(soon);
    early["nbf"] = json!(now + 61);
    let (text, signature) = good.rsplit_once('.').unwrap();
    let other = good[..20].to_uppercase() + &good[20..];
    for (bad, kind, why) in [
        (String::new(), "no-token", "Authorization"),
        ("x".to_owned(), "bad-token", "no JWT"),
        ("a.b.c".to_owned(), "bad-token", "header"),
        ("x".repeat(3000), "bad-token", "too long"),
        (other, "bad-token", "its header"),
        (text.to_owned() + ".", "bad-token", "no key"),
        (format!("{text}.{}", &signature[1..]), "bad-token", "no key"),
        // RFC 8725 2.1: neither none nor another algorithm.
        (with("alg", json!("none")), "bad-token", "HS256"),
        (with("alg", json!("HS512")), "bad-token", "HS256"),
        (with("crit", json!(["exp"])), "bad-token", "HS256"),
        // Another tenant's key, and another tenant's name.
        (with("kid", json!("other")), "bad-token", "no key"),
        (with("kid", json!("nobody")), "bad-token", "no key"),
        (made(OTHER, &head(), &claims(soon)), "bad-token", "no key"),
        (made(ACME, &head(), &json!({ "sub": "alice" })), "bad-token", "claims"),
        (made(ACME, &head(), &claims(now)), "token-expired", "new one"),
        (made(ACME, &head(), &claims(now + 3661)), "bad-token", "longer"),
        (made(ACME, &head(), &claims(u64::MAX)), "bad-token", "longer"),
        (made(ACME, &head(), &early), "bad-token", "not come"),
        (
            made(ACME, &head(), &json!({ "sub": "a b", "scope": "call", "exp": soon })),
            "bad-token",
            "sub",
        ),
    ] {
        let response = bench.get("/v1/calls", &bad);
        assert_eq!((problem(&response).as_str(), response.status), (kind, 401), "{why}");
        let detail = body(&response)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{why}: {detail}");
        assert!(field(&response, "WWW-Authenticate").unwrap().starts_with("Bearer"));
    }
    bench.wait(Duration::from_secs(29));
    assert_eq!(bench.get("/v1/calls", &good).status, 200);
    bench.wait(Duration::from_secs(1));
    assert_eq!(problem(&bench.get("/v1/calls", &good)), "token-expired");
    assert!(!bench.facts.is_empty(), "each is told as refused");
}

/// What a token is for is misspelt, nothing, or at another name: its back end is told, and not its page that it may not.
#[test]
fn a_token_for_nothing_is_refused() {
    let mut bench = Bench::new("");
    for (name, scope, why) in [
        ("scope", json!("cal"), "none of call, join and admin"),
        ("scope", json!(""), "none of call, join and admin"),
        ("scopes", json!(["call"]), "`scope`, not `scopes`"),
    ] {
        let mut claims = json!({ "sub": "alice", "exp": 1_800_000_030u64 });
        claims[name] = scope;
        let response = bench.get("/v1/calls", &made(ACME, &head(), &claims));
        assert_eq!(
            (problem(&response).as_str(), response.status),
            ("bad-token", 401),
            "{why}"
        );
        let detail = body(&response)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{detail}");
    }
    let shared = json!({ "sub": "alice", "scope": "mail call", "exp": 1_800_000_030u64 });
    assert_eq!(
        bench.get("/v1/calls", &made(ACME, &head(), &shared)).status,
        200,
        "words of others are no fault"
    );
}

#[test]
fn a_key_that_is_gone_takes_its_tokens_and_their_streams_with_it() {
    let mut pair = Pair::new();
    let text = format!("    - {{ tenant: acme, key: {} }}\n", "n".repeat(32));
    // The old key stays beside the new one for a while.
    pair.bench.config = config(&text);
    pair.bench.step(|api, cx| api.reconfigure(cx));
    pair.bench.drain();
    assert_eq!(pair.bench.get("/v1/calls", &pair.alice).status, 200);
    let mut new = (*pair.bench.config).clone();
    new.api.as_mut().unwrap().keys.remove(0);
    pair.bench.config = new.into();
    pair.bench.step(|api, cx| api.reconfigure(cx));
    pair.bench.drain();
    let end = pair.bench.only(pair.to_alice, "end");
    assert!(end["reason"].as_str().unwrap().contains("no longer in force"));
    assert_eq!(problem(&pair.bench.get("/v1/calls", &pair.alice)), "bad-token");
    assert_eq!(pair.bench.api.census().2, 0);
}

#[test]
fn each_path_asks_for_what_it_needs() {
    let mut bench = Bench::new("");
    let scoped =
        |bench: &mut Bench, scopes: &[&str]| bench.token_of(ACME, &json!({ "identity": "alice", "scopes": scopes }));
    let (join, call, admin) = (
        scoped(&mut bench, &["join"]),
        scoped(&mut bench, &["call"]),
        scoped(&mut bench, &["admin"]),
    );
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    for (token, seen, started) in [(&join, 200, 403), (&call, 200, 409), (&admin, 200, 403)] {
        assert_eq!(bench.get("/v1/calls", token).status, seen);
        assert_eq!(bench.post("/v1/calls", token, &start).status, started);
        assert_eq!(bench.get("/v1/turn", token).status, 200);
    }
    let refused = bench.post("/v1/calls/1-x/accept", &join, &json!({ "answer": OFFER }));
    assert_eq!(problem(&refused), "wrong-scope");
    assert_eq!(
        field(&refused, "WWW-Authenticate"),
        Some("Bearer error=\"insufficient_scope\"")
    );
    assert_eq!(problem(&bench.get("/v1/nothing", &call)), "no-such-path");
    let wrong = bench.post("/v1/turn", &call, &Value::Null);
    assert_eq!(
        (problem(&wrong).as_str(), field(&wrong, "Allow")),
        ("no-such-method", Some("GET"))
    );
}

#[test]
fn another_tenant_sees_nothing() {
    let mut pair = Pair::new();
    let call = pair.talk();
    let bench = &mut pair.bench;
    let stranger = bench.token_of(OTHER, &json!({ "identity": "alice", "scopes": ["call", "admin"] }));
    let to_stranger = bench.listen(&stranger, None);
    assert_eq!(bench.only(to_stranger, "ready")["calls"], json!([]));
    assert_eq!(body(&bench.get("/v1/calls", &stranger)), json!({ "calls": [] }));
    assert_eq!(problem(&bench.get(&call, &stranger)), "no-such-call");
    assert_eq!(
        problem(&bench.post(&format!("{call}/hangup"), &stranger, &Value::Null)),
        "no-such-call"
    );
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    assert_eq!(problem(&bench.post("/v1/calls", &stranger, &start)), "not-connected");
    // Nor does somebody of the same tenant who is not in the call.
    let carol = bench.token("carol");
    assert_eq!(body(&bench.get("/v1/calls", &carol)), json!({ "calls": [] }));
    assert_eq!(problem(&bench.get(&call, &carol)), "no-such-call");
    assert_eq!(
        problem(&bench.post(&format!("{call}/hangup"), &carol, &Value::Null)),
        "no-such-call"
    );
    // An administrator does, and may end it.
    let admin = bench.token_of(ACME, &json!({ "identity": "root", "scopes": ["admin"] }));
    assert_eq!(
        body(&bench.get("/v1/calls", &admin))["calls"].as_array().unwrap().len(),
        1
    );
    assert_eq!(body(&bench.get(&call, &admin))["state"], "up");
    // What it says of a page is not said of theirs.
    let closed = json!({ "reason": "closed" });
    assert_eq!(bench.post(&format!("{call}/hangup"), &admin, &closed).status, 204);
    let ended = bench.only(pair.to_bob, "call.ended");
    assert_eq!(
        (&ended["reason"], &ended["detail"]),
        (&json!("ended-by-admin"), &Value::Null)
    );
}

#[test]
fn pages_of_named_origins_may_and_others_may_not() {
    let ask = |rest: &str, origin: &str| {
        let mut bench = Bench::new(rest);
        let get = (Method::Options, "/v1/calls");
        bench.ask_with(get, "", &Value::Null, |request| {
            request.origin = Some(origin.to_owned())
        })
    };
    let these = "  origins: [ \"https://a.example\" ]\n";
    let good = ask(these, "https://a.example");
    assert_eq!(good.status, 204);
    assert_eq!(field(&good, "Access-Control-Allow-Origin"), Some("https://a.example"));
    assert_eq!(field(&good, "Access-Control-Allow-Methods"), Some("GET, POST"));
    assert!(
        field(&good, "Access-Control-Allow-Headers")
            .unwrap()
            .contains("Idempotency-Key")
    );
    assert_eq!(field(&good, "Vary"), Some("Origin"));
    for (rest, origin) in [(these, "https://b.example"), (these, "null"), ("", "https://a.example")] {
        assert_eq!(field(&ask(rest, origin), "Access-Control-Allow-Origin"), None);
    }
    assert_eq!(
        field(
            &ask("  origins: \"*\"\n", "https://b.example"),
            "Access-Control-Allow-Origin"
        ),
        Some("*")
    );
    // What is refused is readable as well: a page is to know why.
    let mut bench = Bench::new(these);
    let origin = |request: &mut crate::api::wire::Request| request.origin = Some("https://a.example".to_owned());
    let refused = bench.ask_with((Method::Get, "/v1/calls"), "x", &Value::Null, origin);
    assert_eq!(problem(&refused), "bad-token");
    assert_eq!(
        field(&refused, "Access-Control-Allow-Origin"),
        Some("https://a.example")
    );
}

#[test]
fn turn_passwords_are_of_a_time_and_a_name() {
    let mut bench = Bench::new(
        "  turn:\n    urls: [ \"stun:t.example:3478\", \"turn:t.example:3478\" ]\n    secret: shared\n    lifetime: 10m\n",
    );
    let alice = bench.token("alice");
    let told = body(&bench.get("/v1/turn", &alice));
    let name = "1800000600:acme:alice";
    let password = timed_password(&Secret::new("shared"), name);
    let servers = json!([
        { "urls": ["stun:t.example:3478"] },
        { "urls": ["turn:t.example:3478"], "username": name, "credential": password.expose() },
    ]);
    assert_eq!(
        told,
        json!({ "iceServers": servers, "relay": true, "expires": 1_800_000_600 })
    );
    let mut none = Bench::new("");
    let alice = none.token("alice");
    assert_eq!(
        body(&none.get("/v1/turn", &alice)),
        json!({ "iceServers": [], "relay": false })
    );
}

#[test]
fn a_token_for_rooms_is_not_called_and_has_no_part_in_other_calls() {
    let mut bench = Bench::new("  per_client: 1000\n  per_address: 100000\n");
    let alice = bench.token("alice");
    bench.listen(&alice, None);
    let wanted = |scopes: &[&str]| json!({ "identity": "bob", "scopes": scopes });
    let join = bench.token_of(ACME, &wanted(&["join"]));
    let call = bench.token_of(ACME, &wanted(&["call"]));
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    bench.listen(&join, None);
    assert_eq!(problem(&bench.post("/v1/calls", &alice, &start)), "not-connected");
    let stream = bench.listen(&call, None);
    let started = bench.post("/v1/calls", &alice, &start);
    assert_eq!(started.status, 201);
    let path = format!("/v1/calls/{}", body(&started)["id"].as_str().unwrap());
    let hang_up = format!("{path}/hangup");
    assert_eq!(problem(&bench.post(&hang_up, &join, &Value::Null)), "wrong-scope");
    let accept = json!({ "answer": OFFER });
    assert_eq!(bench.post(&format!("{path}/accept"), &call, &accept).status, 200);
    assert_eq!(problem(&bench.post(&hang_up, &join, &Value::Null)), "wrong-scope");
    let hold = bench.post(&format!("{path}/hold"), &join, &json!({ "hold": true }));
    assert_eq!(problem(&hold), "wrong-scope");
    assert_eq!(bench.post(&hang_up, &call, &Value::Null).status, 204);
    // Only the page for rooms is left.
    bench.close(stream);
    assert_eq!(problem(&bench.post("/v1/calls", &alice, &start)), "not-connected");
}

/// Whom an operator has to look for: from where, by whom as far as that is known, what for, and why not.
#[test]
fn what_is_refused_is_told_with_who_and_what() {
    let mut bench = Bench::new("  per_client: 1\n");
    let token = bench.token("alice");
    let guest = bench.token_of(ACME, &json!({ "identity": "cem", "scopes": ["join"] }));
    bench.get("/v1/calls", "");
    bench.get("/v1/calls?", "x.y.z");
    bench.post("/v1/tokens", "nonsense", &json!({ "identity": "a" }));
    bench.post("/v1/tokens", ACME, &json!({ "identity": "a b" }));
    bench.post("/v1/tokens", ACME, &json!({ "identity": 4711 }));
    bench.post("/v1/calls/1-a/accept", &guest, &json!({}));
    bench.get("/v1/calls/1-a", &token);
    bench.get("/v1/calls", &token);
    let told = bench.facts.iter().map(|fact| match fact {
        Fact::ApiRefused {
            peer,
            what,
            by,
            status,
            why,
        } => {
            assert_eq!(peer.to_string(), "198.51.100.7");
            format!("{status} {what} by {}: {why}", by.as_deref().unwrap_or("somebody"))
        }
        other => panic!("{other:?}"),
    });
    let told: Vec<String> = told.collect();
    let wanted = [
        "401 GET /v1/calls by somebody: An access token is wanted: Authorization: Bearer with a token",
        "404 GET of a path that is not known here by somebody: There is nothing here: /v1/openapi.json says what there is",
        "401 POST /v1/tokens by somebody: An API key is wanted: Authorization: Bearer with a key of api.keys",
        "422 POST /v1/tokens by the back end of acme: What the body asks for cannot be: identity: 1 to 64 letters, digits and -_.@+ are taken",
        "400 POST /v1/tokens by the back end of acme: The body is not what is taken here",
        "403 POST /v1/calls/1-a/accept by cem of acme: The access token is for other things: it needs call",
        "404 GET /v1/calls/1-a by alice of acme: There is no such call: it is over, or was never here",
        "429 GET /v1/calls by alice of acme: Too many requests: by this client",
    ];
    assert_eq!(told, wanted);
}

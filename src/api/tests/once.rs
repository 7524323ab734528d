//! Requests that come twice are done once.

use super::bench::{ACME, Bench, OFFER, OTHER, Pair, body, field, problem};
use crate::limits;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn the_second_has_the_answer_of_the_first_and_does_nothing() {
    let mut pair = Pair::new();
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    let first = pair.bench.post_once("k1", "/v1/calls", &pair.alice, &start);
    let again = pair.bench.post_once("k1", "/v1/calls", &pair.alice, &start);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(field(&first, "Idempotency-Replayed"), None);
    assert_eq!(field(&again, "Idempotency-Replayed"), Some("true"));
    pair.bench.only(pair.to_bob, "call.incoming");
    // In quotes it is the same key.
    let quoted = pair.bench.post_once("\"k1\"", "/v1/calls", &pair.alice, &start);
    assert_eq!(quoted.body, first.body);
    let call = field(&first, "Location").unwrap().to_owned();
    let hang_up = format!("{call}/hangup");
    for replayed in [None, Some("true")] {
        let done = pair.bench.post_once("k2", &hang_up, &pair.alice, &Value::Null);
        assert_eq!((done.status, field(&done, "Idempotency-Replayed")), (204, replayed));
    }
    pair.bench.only(pair.to_bob, "call.ended");
    // So is what was refused: what has changed since does not change it.
    for _ in 0..2 {
        let refused = pair.bench.post_once("k3", &hang_up, &pair.alice, &Value::Null);
        assert_eq!(problem(&refused), "no-such-call");
    }
}

#[test]
fn a_key_is_for_one_request_of_one_person() {
    let mut pair = Pair::new();
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    let other = json!({ "targets": [{ "client": "bob" }], "offer": format!("{OFFER}s=-\r\n") });
    assert_eq!(pair.bench.post_once("k", "/v1/calls", &pair.alice, &start).status, 201);
    let reused = pair.bench.post_once("k", "/v1/calls", &pair.alice, &other);
    assert_eq!((problem(&reused).as_str(), reused.status), ("key-reused", 422));
    let elsewhere = pair.bench.post_once("k", "/v1/calls/1-x/hangup", &pair.alice, &start);
    assert_eq!(problem(&elsewhere), "key-reused");
    // Bob's key is his own.
    let hang_up = pair
        .bench
        .post_once("k", "/v1/calls/1-x/hangup", &pair.bob, &Value::Null);
    assert_eq!(problem(&hang_up), "no-such-call");
    for bad in ["", "\"\"", "a\tb", &"x".repeat(limits::API_KEY_BYTES + 1)] {
        let refused = pair.bench.post_once(bad, "/v1/calls", &pair.alice, &start);
        assert_eq!(problem(&refused), "bad-body", "{bad}");
    }
}

#[test]
fn back_ends_have_keys_of_their_own_and_the_oldest_makes_room() {
    let mut bench = Bench::new("  per_address: 100000\n");
    let wanted = json!({ "identity": "alice" });
    let first = bench.post_once("k", "/v1/tokens", ACME, &wanted);
    bench.wait(Duration::from_secs(5));
    assert_eq!(bench.post_once("k", "/v1/tokens", ACME, &wanted).body, first.body);
    let theirs = bench.post_once("k", "/v1/tokens", OTHER, &wanted);
    assert_ne!(body(&theirs)["token"], body(&first)["token"]);
    assert_eq!(field(&theirs, "Idempotency-Replayed"), None);
    for n in 0..limits::API_ONCE_OF_BACK_END {
        bench.post_once(&format!("k{n}"), "/v1/tokens", ACME, &wanted);
    }
    let late = bench.post_once("k", "/v1/tokens", ACME, &wanted);
    assert_eq!(field(&late, "Idempotency-Replayed"), None);
}

#[test]
fn an_answer_is_kept_for_a_while_and_no_longer() {
    let mut pair = Pair::new();
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    let first = pair.bench.post_once("k1", "/v1/calls", &pair.alice, &start);
    pair.bench.wait(limits::API_ONCE_LASTS - Duration::from_millis(1));
    let again = pair.bench.post_once("k1", "/v1/calls", &pair.alice, &start);
    assert_eq!(again.body, first.body);
    pair.bench.wait(Duration::from_millis(1));
    let anew = pair.bench.post_once("k1", "/v1/calls", &pair.alice, &start);
    assert_eq!(anew.status, 201);
    assert_ne!(anew.body, first.body);
    // So is a token: one that has expired is of no use to anybody.
    let wanted = json!({ "identity": "carol", "lifetime": 60 });
    let token = pair.bench.post_once("t1", "/v1/tokens", ACME, &wanted);
    pair.bench.wait(limits::API_ONCE_LASTS);
    let later = pair.bench.post_once("t1", "/v1/tokens", ACME, &wanted);
    assert_ne!(body(&later)["token"], body(&token)["token"]);
}

#[test]
fn a_path_that_is_kept_with_an_answer_is_short() {
    let mut pair = Pair::new();
    for (octets, kind) in [(64, "no-such-call"), (65, "no-such-path"), (16_000, "no-such-path")] {
        let path = format!("/v1/calls/{}/hangup", "x".repeat(octets));
        let response = pair
            .bench
            .post_once(&format!("k{octets}"), &path, &pair.alice, &Value::Null);
        assert_eq!(problem(&response), kind, "{octets}");
    }
}

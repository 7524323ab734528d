//! Who asks too often is told to wait, and others are not.

use super::bench::{ACME, Bench, OTHER, field, problem};
use crate::api::token::{self, Scopes};
use crate::api::wire::Method;
use crate::effect::Fact;
use crate::limits;
use serde_json::{Value, json};
use std::time::Duration;

fn from(bench: &mut Bench, address: &str, token: &str) -> u16 {
    let get = (Method::Get, "/v1/calls");
    let response = bench.ask_with(get, token, &Value::Null, |request| {
        request.peer = address.parse().unwrap()
    });
    if response.status == 429 {
        assert_eq!(problem(&response), "too-many");
        assert_eq!(field(&response, "Retry-After"), Some("1"));
    }
    response.status
}

#[test]
fn a_client_has_a_rate() {
    let mut bench = Bench::new("  per_client: 5\n  per_address: 100000\n");
    let (alice, bob) = (bench.token("alice"), bench.token("bob"));
    let answers: Vec<u16> = (0..20).map(|_| from(&mut bench, "198.51.100.1", &alice)).collect();
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 5);
    // His other tokens and addresses are his, too; others are not concerned.
    let again = bench.token("alice");
    assert_eq!(from(&mut bench, "198.51.100.2", &again), 429);
    assert_eq!(from(&mut bench, "198.51.100.1", &bob), 200);
    bench.wait(Duration::from_secs(1));
    assert_eq!(from(&mut bench, "198.51.100.1", &alice), 200);
    let is_told = |fact: &&Fact| matches!(fact, Fact::ApiRefused { status: 429, .. });
    assert_eq!(bench.facts.iter().filter(is_told).count(), 16);
}

#[test]
fn an_address_has_a_rate_whatever_it_asks_for() {
    let mut bench = Bench::new("  per_address: 10\n");
    let alice = bench.token("alice");
    let answers: Vec<u16> = (0..1000).map(|_| from(&mut bench, "198.51.100.1", "x")).collect();
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 10);
    assert_eq!(from(&mut bench, "198.51.100.1", &alice), 429);
    assert_eq!(from(&mut bench, "198.51.100.2", &alice), 200);
    // A network of IPv6 is one address.
    let v6: Vec<u16> = (0..1000)
        .map(|n| from(&mut bench, &format!("2001:db8::{n:x}"), "x"))
        .collect();
    assert_eq!(v6.iter().filter(|status| **status == 401).count(), 10);
}

/// A token that a back end has made itself.
fn made(bench: &Bench, name: &str) -> String {
    let key = &bench.config.api.as_ref().unwrap().keys[0];
    let scopes = Scopes::of(&["call".to_owned()]).unwrap();
    token::mint(key, name, &scopes, bench.wall + Duration::from_secs(600))
}

/// The same with another seal.
fn forged(token: &str) -> String {
    let (text, seal) = token.rsplit_once('.').unwrap();
    format!("{text}.{}", seal.chars().rev().collect::<String>())
}

/// Seals cost a hash: of an address that has wrong ones only so many are checked, and nothing that is not known is taken there meanwhile.
#[test]
fn an_address_has_so_many_wrong_tokens() {
    let mut bench = Bench::new("  per_client: 1000\n  per_address: 100000\n");
    let alice = made(&bench, "alice");
    let forged = forged(&alice);
    let answers: Vec<u16> = (0..100).map(|_| from(&mut bench, "198.51.100.1", &forged)).collect();
    let checked = limits::API_GUESSES as usize;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), checked);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 100 - checked);
    assert_eq!(from(&mut bench, "198.51.100.1", &alice), 429);
    assert_eq!(from(&mut bench, "198.51.100.2", &alice), 200);
    bench.wait(Duration::from_secs(1));
    assert_eq!(from(&mut bench, "198.51.100.1", &alice), 200);
    // Wrong keys count, too; what needs neither is there for all.
    let wrong = |bench: &mut Bench| bench.post("/v1/tokens", "x", &json!({ "identity": "a" })).status;
    let answers: Vec<u16> = (0..100).map(|_| wrong(&mut bench)).collect();
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), checked);
    assert_eq!(bench.get("/v1/problems", "").status, 200);
}

/// Behind a reverse proxy, or one address of many: who sends wrong tokens there takes nothing from those whose token has held, or was made
/// here, nor from the back end. Nor does he get more of his own checked.
#[test]
fn whose_token_has_held_is_heard_beside_those_who_guess() {
    let mut bench = Bench::new("  per_client: 1000\n  per_address: 100000\n");
    let (address, alice) = ("127.0.0.1", made(&bench, "alice"));
    assert_eq!(from(&mut bench, address, &alice), 200);
    let wrong = forged(&alice);
    // What needs no token says nothing of one.
    let open = (Method::Get, "/v1/problems");
    bench.ask_with(open, &wrong, &Value::Null, |request| {
        request.peer = address.parse().unwrap()
    });
    let flood = |bench: &mut Bench| (0..100).filter(|_| from(bench, address, &wrong) == 401).count();
    assert_eq!(flood(&mut bench), limits::API_GUESSES as usize);
    assert_eq!(from(&mut bench, address, &alice), 200);
    let post = |bench: &mut Bench, key: &str, name: &str| {
        let wanted = json!({ "identity": name });
        bench.ask_with((Method::Post, "/v1/tokens"), key, &wanted, |request| {
            request.peer = address.parse().unwrap()
        })
    };
    assert_eq!(post(&mut bench, ACME, "bob").status, 429, "the key was not seen yet");
    bench.wait(Duration::from_secs(1));
    assert_eq!(post(&mut bench, ACME, "bob").status, 201);
    assert_eq!(flood(&mut bench), limits::API_GUESSES as usize);
    let issued = post(&mut bench, ACME, "carol");
    assert_eq!(issued.status, 201, "and now it was");
    let carol = super::bench::body(&issued)["token"].as_str().unwrap().to_owned();
    assert_eq!(from(&mut bench, address, &carol), 200, "it is new, but of here");
    let dora = made(&bench, "dora");
    assert_eq!(from(&mut bench, address, &dora), 429, "nobody knows it yet");
    // What has held does not for ever.
    bench.wait(limits::API_HELD + Duration::from_secs(1));
    assert_eq!(flood(&mut bench), limits::API_GUESSES as usize);
    assert_eq!(post(&mut bench, ACME, "carol").status, 429);
}

/// What has held and does no longer, since its key was withdrawn, is a guess as any other.
#[test]
fn a_token_whose_key_is_withdrawn_is_checked_as_often_as_a_guess() {
    let mut bench = Bench::new("  per_client: 1000\n  per_address: 100000\n");
    let (address, alice) = ("198.51.100.1", made(&bench, "alice"));
    let other = bench.post("/v1/tokens", OTHER, &json!({ "identity": "bob" }));
    let other = super::bench::body(&other)["token"].as_str().unwrap().to_owned();
    assert_eq!(from(&mut bench, address, &alice), 200);
    let mut new = (*bench.config).clone();
    new.api.as_mut().unwrap().keys.remove(0);
    bench.config = new.into();
    bench.step(|api, cx| api.reconfigure(cx));
    let answers: Vec<u16> = (0..100).map(|_| from(&mut bench, address, &alice)).collect();
    let checked = limits::API_GUESSES as usize;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), checked);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 100 - checked);
    assert_eq!(
        from(&mut bench, address, &other),
        200,
        "that of another key still holds"
    );
}

#[test]
fn strangers_leave_nothing_behind() {
    let mut bench = Bench::new("  per_address: 100000\n");
    for n in 0..10_000 {
        from(&mut bench, "198.51.100.1", &format!("x{n}"));
        bench.post("/v1/tokens", "x", &json!({ "identity": "a" }));
        bench.wait(Duration::from_micros(20));
    }
    assert_eq!(bench.api.census(), (0, 0, 0));
    assert_eq!(bench.api.next_deadline(), None);
    // Nor does a token that is never used.
    bench.post("/v1/tokens", ACME, &json!({ "identity": "a" }));
    assert_eq!(bench.api.census(), (0, 0, 0));
}

/// One tenant's back end, or whoever has its key, leaves room for the others.
#[test]
fn no_tenant_takes_all_places() {
    let mut bench = Bench::new("  per_client: 1000\n  per_address: 100000\n");
    let enters = |bench: &mut Bench, key: &str, name: &str| {
        let token = bench.token_of(key, &json!({ "identity": name }));
        bench.get("/v1/calls", &token).status
    };
    let mut entered = 0;
    while enters(&mut bench, ACME, &format!("c{entered}")) == 200 {
        entered += 1;
        bench.wait(Duration::from_micros(40));
    }
    assert_eq!(entered, limits::API_CLIENTS / 2);
    assert_eq!(enters(&mut bench, OTHER, "alice"), 200);
    // Those who do not come back make room.
    bench.wait(limits::API_ABSENCE);
    assert_eq!(enters(&mut bench, ACME, "late"), 200);
}

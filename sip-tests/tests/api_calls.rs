//! Clients of the HTTP API and everybody else: a client calls a number, a SIP address, a room, and is called. All of it is signalling here;
//! `client_sdk.rs` has the sound, with real browsers.

#![allow(missing_docs, clippy::unwrap_used, reason = "all of this is a test")]

#[path = "api_calls/client.rs"]
mod client;
#[path = "api_calls/company.rs"]
mod company;
#[path = "api_calls/meeting.rs"]
mod meeting;
#[path = "api_calls/middle.rs"]
mod middle;
#[path = "api_calls/rooms.rs"]
mod rooms;

use client::{CHAT, Client, OFFER, OFFICE, SHOP, ask, problem, read, world};
use serde_json::{Value, json};
use sip_tests::agent::Wire;
use sip_tests::{Answer, State, World, ms, s};
use std::net::SocketAddr;
use tandem::api::wire::Method;
use tandem::effect::Fact;
use tandem::id::CallId;

const USUAL: [&str; 2] = ["call", "join"];

fn number() -> Value {
    json!({ "number": "+44 (20) 7946-0000" })
}

#[test]
fn a_client_calls_a_phone_number() {
    let mut w = world(1);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::After(s(2));
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let call = ann.call(&mut w, &number());
    let c = w.incoming(acme);
    let invite = w.last_received(acme, |msg| msg.is("INVITE")).write();
    let invite = String::from_utf8(invite.to_vec()).unwrap();
    // By the rights of the user that the key names, and with his number.
    assert!(invite.contains("14155550199"), "{invite}");
    assert!(!invite.contains("SAVPF") && !invite.contains("ann"), "{invite}");
    assert_eq!(
        ann.wait(&mut w, "call.ringing")["call"],
        call.rsplit('/').next().unwrap()
    );
    let accepted = ann.wait(&mut w, "call.accepted");
    assert_eq!(accepted["call"]["state"], "up");
    assert_eq!(accepted["call"]["to"]["number"], "+442079460000");
    let answer = accepted["answer"].as_str().unwrap();
    for line in ["UDP/TLS/RTP/SAVPF", "a=ice-lite", "a=fingerprint:", "a=candidate:"] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    w.up(c);
    w.run(s(5));
    w.hang_up(c);
    let ended = ann.wait(&mut w, "call.ended");
    assert_eq!((&ended["reason"], &ended["by"]), (&json!("hung-up"), &Value::Null));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

#[test]
fn a_client_hangs_up_before_and_after_the_answer() {
    let mut w = world(2);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::Manual;
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    for wait in [ms(0), s(3)] {
        let call = ann.call(&mut w, &number());
        w.run(wait);
        assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
        assert_eq!(ann.wait(&mut w, "call.ended")["reason"], "cancelled");
        w.run(s(1));
        assert_eq!(w.census().calls, 0, "the carrier rings no more");
    }
    w.policy(acme).answer = Answer::After(s(1));
    let call = ann.call(&mut w, &number());
    ann.wait(&mut w, "call.accepted");
    let c = w.incoming(acme);
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    assert_eq!(ann.wait(&mut w, "call.ended")["by"], "ann");
    w.expect_over(c, 200);
    w.finish();
}

#[test]
fn why_a_call_came_to_nothing_is_told_in_words() {
    let mut w = world(3);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    for (status, reason) in [
        (486, "busy"),
        (603, "declined"),
        (404, "not-found"),
        (480, "unavailable"),
        (500, "failed"),
    ] {
        w.policy(acme).answer = Answer::Status(status, ms(500), Vec::new());
        ann.call(&mut w, &number());
        let ended = ann.wait(&mut w, "call.ended");
        assert_eq!(ended["reason"], reason, "{ended}");
        assert!(ended["detail"].as_str().unwrap().contains("SIP status"), "{ended}");
    }
    // Nobody of that name is there.
    ann.call(&mut w, &json!({ "sip": "sip:nobody@example.com" }));
    let told = ann.wait(&mut w, "call.ended");
    assert_eq!(told["reason"], "not-found");
    assert_eq!(
        told["detail"], "no route takes it, and no user has that name or number (SIP status 404)",
        "the node has refused it, and nobody else"
    );
    ann.call(&mut w, &json!({ "sip": "sip:bob@example.com" }));
    assert_eq!(ann.wait(&mut w, "call.ended")["reason"], "unavailable");
    w.finish();
}

#[test]
fn what_is_heard_before_the_answer_comes_early() {
    let mut w = world(4);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).ring_sdp = true;
    w.policy(acme).ring_status = 183;
    w.policy(acme).answer = Answer::After(s(6));
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    ann.call(&mut w, &number());
    let early = ann.wait(&mut w, "call.early")["answer"].clone();
    assert!(early.as_str().unwrap().contains("a=ice-lite"), "{early}");
    // A description that was given holds (RFC 3261 13.2.1).
    assert_eq!(ann.wait(&mut w, "call.accepted")["answer"], early);
    let c = w.incoming(acme);
    w.hang_up(c);
    ann.wait(&mut w, "call.ended");
    w.finish();
}

#[test]
fn who_has_no_way_out_is_told_so() {
    let mut w = world(5);
    let start = |target: Value| json!({ "targets": [target], "offer": OFFER });
    let mut refused = |key: &str, scopes: &[&str], target: Value, kind: &str| {
        let client = Client::new(&mut w, key, "ann", scopes);
        let response = client.post(&mut w, "/v1/calls", &start(target.clone()));
        assert_eq!(problem(&response), kind, "{target} {:?}", response.body);
        w.run(s(61));
    };
    refused(CHAT, &USUAL, number(), "no-way");
    refused(CHAT, &USUAL, json!({ "room": "3000" }), "no-way");
    // Ann is no user.
    refused(OFFICE, &USUAL, number(), "no-way");
    // A token for rooms leads to rooms alone.
    refused(SHOP, &["join"], number(), "wrong-scope");
    refused(SHOP, &["join"], json!({ "sip": "sip:3000@example.com" }), "wrong-scope");
    refused(SHOP, &["join"], json!({ "room": "+442079460000" }), "cannot-be");
    refused(SHOP, &["join"], json!({ "client": "bob" }), "wrong-scope");
    refused(SHOP, &["admin"], json!({ "room": "3000" }), "wrong-scope");
    for target in [
        json!({ "number": "" }),
        json!({ "number": "bob" }),
        json!({ "sip": "bob" }),
        json!({ "sip": "tel:+1" }),
        json!({ "sip": "sip:bob@elsewhere.example" }),
        json!({ "sip": "sip:example.com" }),
        json!({ "room": "nowhere" }),
    ] {
        refused(SHOP, &USUAL, target, "cannot-be");
    }
    refused(SHOP, &USUAL, json!({ "number": "1", "room": "3000" }), "bad-body");
    w.finish();
}

#[test]
fn clients_that_call_as_one_user_have_no_more_calls_than_he_may() {
    let mut w = world(6);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::Manual;
    let mut clients: Vec<Client> = Vec::new();
    // His own, and those that a user may place besides.
    let most = 3 + tandem::limits::CALLS_PLACED as usize;
    for nth in 0..most {
        let client = Client::new(&mut w, SHOP, &format!("c{nth}"), &USUAL);
        client.call(&mut w, &number());
        clients.push(client);
    }
    let mut last = Client::new(&mut w, SHOP, "last", &USUAL);
    last.call(&mut w, &number());
    assert_eq!(last.wait(&mut w, "call.ended")["reason"], "not-allowed");
    assert_eq!(w.census().calls, most);
    // Who does not come back is gone, and so is his call.
    for client in &clients {
        w.feed(client.closes());
    }
    w.run(s(62));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

#[test]
fn a_user_is_called_at_his_client_as_at_his_phone() {
    let mut w = world(7);
    let (alice_phone, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice_phone).answer = Answer::Manual;
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let b = w.call(bob, "alice");
    let incoming = alice.wait(&mut w, "call.incoming")["call"].clone();
    assert_eq!(incoming["from"]["sip"], "sip:bob@example.com");
    assert!(
        incoming["offer"].as_str().unwrap().contains("UDP/TLS/RTP/SAVPF"),
        "{incoming}"
    );
    let call = format!("/v1/calls/{}", incoming["id"].as_str().unwrap());
    w.run(s(1));
    assert_eq!(w.state(b), State::Ringing);
    let p = w.incoming(alice_phone);
    let accept = json!({ "answer": client::answer(), "device": "kitchen" });
    assert_eq!(alice.post(&mut w, &format!("{call}/accept"), &accept).status, 200);
    assert_eq!(alice.wait(&mut w, "call.accepted")["device"], "kitchen");
    w.up(b);
    // Her phone rings no more.
    w.expect_over(p, 487);
    assert_eq!(alice.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    w.expect_over(b, 200);
    // Others take it, or nobody does.
    w.policy(alice_phone).answer = Answer::After(s(2));
    let b = w.call(bob, "alice");
    w.up(b);
    assert_eq!(alice.wait(&mut w, "call.ended")["reason"], "hung-up");
    assert_eq!(alice.wait(&mut w, "call.ended")["reason"], "answered-elsewhere");
    w.hang_up(b);
    w.run(s(1));
    w.finish();
}

/// Of two users whose domain is proxied: the page rings beside the phone, and media is the node's matter then. Where nobody is at a page it is not.
#[test]
fn a_proxied_user_is_called_at_his_client_too() {
    let text = client::config().replace(
        "domains:  [ example.com ]",
        "domains: [ { name: example.com, do: proxy } ]",
    );
    let mut w = World::builder(11).config(&text).build();
    let (alice_phone, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice_phone).answer = Answer::Manual;
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let b = w.call(bob, "alice");
    let id = alice.wait(&mut w, "call.incoming")["call"]["id"].clone();
    let p = w.incoming(alice_phone);
    let call = format!("/v1/calls/{}", id.as_str().unwrap());
    let accept = json!({ "answer": client::answer() });
    assert_eq!(alice.post(&mut w, &format!("{call}/accept"), &accept).status, 200);
    w.up(b);
    w.expect_over(p, 487);
    assert_eq!(alice.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    w.expect_over(b, 200);
    w.feed(alice.closes());
    w.run(s(62));
    // A proxy hands on what phones say.
    w.checks.leaks = false;
    w.policy(alice_phone).answer = Answer::After(s(1));
    let b = w.call(bob, "alice");
    w.up(b);
    let invite = w.last_received(alice_phone, |msg| msg.is("INVITE"));
    assert!(
        invite.text("Record-Route").starts_with("<sip:tw-"),
        "it is proxied again"
    );
    w.hang_up(b);
    w.run(s(1));
    w.finish();
}

/// What the log has of clients' calls, with the name that the node's other lines have.
fn logged(w: &World) -> Vec<(Option<CallId>, String)> {
    let of = |fact: &Fact| match fact {
        Fact::ClientCall { call, what, .. } => Some((*call, what.clone())),
        _other => None,
    };
    w.facts.iter().filter_map(of).collect()
}

/// How the node's calls have ended.
fn ended(w: &World) -> Vec<(CallId, String)> {
    let of = |fact: &Fact| match fact {
        Fact::CallEnded { call, cause, .. } => Some((*call, format!("{} {}", cause.status, cause.text))),
        _other => None,
    };
    w.facts.iter().filter_map(of).collect()
}

/// All that the log has of a call is found by one name; and a page that is gone has not hung up, of which the record says the same.
#[test]
fn the_log_has_a_call_by_one_name_and_says_how_its_page_left() {
    let mut w = world(13);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::After(s(1));
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    for (sent, reason, record) in [
        (Value::Null, "hung-up by ann", "200 the caller hung up"),
        (
            json!({ "reason": "closed" }),
            "gone by ann (its client was closed)",
            "200 the caller is gone: its client was closed",
        ),
    ] {
        let call = ann.call(&mut w, &number());
        ann.wait(&mut w, "call.accepted");
        w.run(s(5));
        assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &sent).status, 204);
        w.run(s(1));
        check_log(&w, "ann calls +442079460000", reason, record);
    }
    ann.call(&mut w, &number());
    ann.wait(&mut w, "call.accepted");
    w.feed(ann.closes());
    w.run(s(62));
    let why = "its page has listened to no events for 60 s: its connection was lost";
    check_log(
        &w,
        "ann calls +442079460000",
        &format!("gone by ann ({why})"),
        &format!("480 the caller is gone: {why}"),
    );
    // Of those who are called, too.
    let bob = w.registered("bob");
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let b = w.call(bob, "alice");
    let id = alice.wait(&mut w, "call.incoming")["call"]["id"].clone();
    let call = format!("/v1/calls/{}", id.as_str().unwrap());
    let accept = json!({ "answer": client::answer() });
    assert_eq!(alice.post(&mut w, &format!("{call}/accept"), &accept).status, 200);
    w.up(b);
    let closed = json!({ "reason": "closed" });
    assert_eq!(alice.post(&mut w, &format!("{call}/hangup"), &closed).status, 204);
    w.expect_over(b, 200);
    check_log(
        &w,
        "sip:bob@example.com calls alice",
        "gone by alice (its client was closed)",
        "200 the callee is gone: its client was closed",
    );
    // One that leads nowhere.
    ann.post(
        &mut w,
        "/v1/calls",
        &json!({ "targets": [{ "number": "5" }], "offer": OFFER }),
    );
    w.run(s(1));
    let (told, ended) = (logged(&w), ended(&w));
    let last = ended.last().unwrap();
    assert!(last.1.starts_with("404"), "{last:?}");
    let own = told.iter().filter(|(call, _)| *call == Some(last.0)).count();
    assert_eq!(own, 2, "{told:?}");
    w.finish();
}

/// Of the last call: its lines have the name by which the node's other lines have it.
fn check_log(w: &World, who: &str, reason: &str, record: &str) {
    let (told, ended) = (logged(w), ended(w));
    let (call, text) = ended.last().unwrap();
    assert_eq!(text, record);
    let own = told.iter().filter(|(named, _)| *named == Some(*call));
    let own: Vec<&str> = own.map(|(_, what)| what.as_str()).collect();
    assert_eq!(own.len(), 3, "{told:?}");
    assert!(own[0].contains(" begins: ") && own[0].ends_with(who), "{own:?}");
    assert_eq!(own[1], "was accepted");
    assert!(
        own[2].starts_with("ended after ") && own[2].ends_with(reason),
        "{own:?}"
    );
}

/// A client asks by TLS, so that it may be called by SIPS (RFC 5630 5.3).
#[test]
fn a_client_is_called_by_sips() {
    let tls = "\"tcp://192.0.2.1:5060\", \"tls://192.0.2.1:5061\" ]";
    let text = client::config().replace("\"tcp://192.0.2.1:5060\" ]", tls);
    let mut w = World::builder(12).config(&text).build();
    let bob = w.device("bob", "bob", tandem::id::Transport::Tcp);
    w.agent(bob).server = Wire::Tcp(SocketAddr::new(w.node_ip, 5061));
    let contact = format!("Contact: <sips:bob@{}>", w.agents[bob.0].addr);
    assert_eq!(w.register_with(bob, &[&contact]), 200);
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let b = w.call(bob, "sips:alice@example.com");
    let id = alice.wait(&mut w, "call.incoming")["call"]["id"].clone();
    let call = format!("/v1/calls/{}", id.as_str().unwrap());
    let accept = json!({ "answer": client::answer() });
    assert_eq!(alice.post(&mut w, &format!("{call}/accept"), &accept).status, 200);
    w.up(b);
    // A long one, too: what refreshes it goes by the same way.
    w.run(s(3000));
    assert_eq!(w.state(b), State::Up);
    assert_eq!(alice.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    w.expect_over(b, 200);
    w.run(s(1));
    w.finish();
}

#[test]
fn a_client_refuses_is_busy_and_is_gone() {
    let mut w = world(8);
    let bob = w.registered("bob");
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    for (verb, body, status) in [
        ("reject", json!({ "reason": "busy" }), 486),
        ("reject", json!({}), 603),
        ("hangup", Value::Null, 603),
    ] {
        let b = w.call(bob, "alice");
        let call = alice.wait(&mut w, "call.incoming")["call"]["id"].clone();
        let path = format!("/v1/calls/{}/{verb}", call.as_str().unwrap());
        assert_eq!(alice.post(&mut w, &path, &body).status, 204);
        w.expect_over(b, status);
    }
    let b = w.call(bob, "alice");
    alice.wait(&mut w, "call.incoming");
    w.hang_up(b);
    loop {
        let ended = alice.wait(&mut w, "call.ended");
        if ended["reason"] == "cancelled" {
            break;
        }
    }
    // Who is called by the name of another key's client is somebody else.
    let mut other = Client::new(&mut w, SHOP, "alice", &USUAL);
    let b = w.call(bob, "alice");
    alice.wait(&mut w, "call.incoming");
    assert_eq!(other.told(&w), Vec::new());
    w.hang_up(b);
    w.run(s(1));
    w.feed(alice.closes());
    w.run(s(62));
    let b = w.call(bob, "alice");
    w.expect_over(b, 480);
    // Who may call rooms alone does not ring.
    let mut alice = Client::new(&mut w, OFFICE, "alice", &["join"]);
    let b = w.call(bob, "alice");
    w.expect_over(b, 480);
    assert_eq!(alice.told(&w), Vec::new());
    w.finish();
}

#[test]
fn a_client_joins_a_room_with_a_token_for_rooms() {
    let mut w = world(9);
    let bob = w.registered("bob");
    let b = w.call(bob, "3000");
    w.up(b);
    let mut ann = Client::new(&mut w, SHOP, "ann", &["join"]);
    let call = ann.call(&mut w, &json!({ "room": "3000" }));
    assert_eq!(ann.wait(&mut w, "call.accepted")["call"]["to"]["room"], "3000");
    let seen = ask(&mut w, Method::Get, &call, ann.token(), &Value::Null);
    assert_eq!(read(&seen)["state"], "up");
    assert!(
        w.control("room 3000").unwrap().join("\n").contains("ann"),
        "the others see who it is"
    );
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    w.hang_up(b);
    w.run(s(1));
    w.finish();
}

#[test]
fn a_user_who_is_taken_out_of_the_configuration_calls_no_more() {
    let mut w = world(10);
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let text = client::config()
        .replace(", calls_as: web", "")
        .replace(", users: yes", "");
    w.reload(&text);
    let start = json!({ "targets": [number()], "offer": OFFER });
    for client in [&ann, &alice] {
        assert_eq!(problem(&client.post(&mut w, "/v1/calls", &start)), "no-way");
    }
    let bob = w.registered("bob");
    let b = w.call(bob, "alice");
    w.expect_over(b, 480);
    assert_eq!((ann.told(&w), alice.told(&w)), (Vec::new(), Vec::new()));
    w.finish();
}

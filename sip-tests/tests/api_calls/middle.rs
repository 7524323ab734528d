//! In the middle of a call: hold from either side, another path, digits, transfer, and a client that does not answer.

use crate::client::{Client, OFFER, OFFICE, SHOP, answer, config, problem, read, world};
use serde_json::{Value, json};
use sip_tests::{Answer, CallRef, Peer, State, World, ms, s};

/// Alice at her client calls Bob's phone, who answers.
fn talk(w: &mut World) -> (Client, String, Peer, CallRef) {
    let bob = w.registered("bob");
    let mut alice = Client::new(w, OFFICE, "alice", &["call"]);
    let call = alice.call(w, &json!({ "sip": "sip:bob@example.com" }));
    alice.wait(w, "call.accepted");
    let b = w.incoming(bob);
    w.up(b);
    w.run(s(1));
    (alice, call, bob, b)
}

fn is_over(w: &mut World, mut alice: Client, call: &str, b: CallRef) {
    assert_eq!(alice.post(w, &format!("{call}/hangup"), &Value::Null).status, 204);
    alice.wait(w, "call.ended");
    w.expect_over(b, 200);
    w.run(s(1));
    assert_eq!(w.census().calls, 0);
}

#[test]
fn a_client_holds_and_resumes() {
    let mut w = world(20);
    let (mut alice, call, _, b) = talk(&mut w);
    let direction = |w: &World| w.at(b).remote_sdp.as_ref().map(|sdp| sdp.direction.clone()).unwrap();
    let path = format!("{call}/hold");
    for (hold, wanted) in [(true, "sendonly"), (false, "sendrecv"), (true, "sendonly")] {
        let held = alice.post(&mut w, &path, &json!({ "hold": hold }));
        assert_eq!(held.status, 200, "{:?}", held.body);
        assert_eq!(read(&held)["from"]["holds"], hold);
        assert_eq!(alice.wait(&mut w, "call.updated")["call"]["from"]["holds"], hold);
        w.run(s(2));
        assert_eq!(direction(&w), wanted);
        // The same again changes nothing.
        assert_eq!(alice.post(&mut w, &path, &json!({ "hold": hold })).status, 200);
        w.run(s(1));
        alice.told(&w);
    }
    is_over(&mut w, alice, &call, b);
    w.finish();
}

/// A browser knows nothing of hold: its descriptions say sendrecv.
#[test]
fn a_client_that_holds_looks_for_another_path_and_holds() {
    let mut w = world(27);
    let (mut alice, call, _, b) = talk(&mut w);
    let direction = |w: &World| w.at(b).remote_sdp.as_ref().map(|sdp| sdp.direction.clone()).unwrap();
    alice.post(&mut w, &format!("{call}/hold"), &json!({ "hold": true }));
    w.run(s(2));
    assert_eq!(direction(&w), "sendonly");
    let again = OFFER.replace("4611 2", "4611 9").replace("Zx8f", "Yy9g");
    alice.post(&mut w, &format!("{call}/offer"), &json!({ "offer": again }));
    alice.wait(&mut w, "call.answer");
    w.run(s(2));
    assert_eq!(direction(&w), "sendonly");
    alice.post(&mut w, &format!("{call}/hold"), &json!({ "hold": false }));
    w.run(s(2));
    assert_eq!(direction(&w), "sendrecv");
    is_over(&mut w, alice, &call, b);
    w.finish();
}

#[test]
fn the_other_side_holds_and_the_client_answers_or_does_not() {
    let mut w = world(21);
    let (mut alice, call, _, b) = talk(&mut w);
    let begun = w.request(b, "OPTIONS", &[], None);
    assert_eq!(begun, 200);
    let status = w.hold(b, "sendonly");
    assert_eq!(status, 200);
    w.run(s(1));
    // Whether the node lets the client know is its affair: what it offers is answered.
    let told = alice.told(&w);
    for (name, data) in &told {
        if name == "call.offer" {
            let answered = json!({ "answer": answer(), "revision": data["revision"] });
            assert_eq!(alice.post(&mut w, &format!("{call}/answer"), &answered).status, 204);
        }
    }
    assert_eq!(w.resume(b), 200);
    // One that waits for an answer is in the way of the client's own, until its time is over.
    w.run(ms(500));
    if alice.told(&w).iter().any(|(name, _)| name == "call.offer") {
        let offered = alice.post(&mut w, &format!("{call}/offer"), &json!({ "offer": OFFER }));
        assert_eq!(problem(&offered), "glare");
        let held = alice.post(&mut w, &format!("{call}/hold"), &json!({ "hold": true }));
        assert_eq!(problem(&held), "glare");
        w.run(s(21));
    }
    let offered = alice.post(&mut w, &format!("{call}/offer"), &json!({ "offer": OFFER }));
    assert_eq!(offered.status, 200, "{:?}", offered.body);
    assert_eq!(w.state(b), State::Up);
    alice.wait(&mut w, "call.answer");
    is_over(&mut w, alice, &call, b);
    w.finish();
}

#[test]
fn a_client_looks_for_another_path() {
    let mut w = world(22);
    let (mut alice, call, _, b) = talk(&mut w);
    let again = OFFER
        .replace("4611 2", "4611 3")
        .replace("Zx8f", "Yy9g")
        .replace("lPq3", "mQr4");
    let path = format!("{call}/offer");
    let offered = alice.post(&mut w, &path, &json!({ "offer": again }));
    let revision = read(&offered)["revision"].clone();
    let told = alice.wait(&mut w, "call.answer");
    assert_eq!(told["revision"], revision);
    assert!(told["answer"].as_str().unwrap().contains("a=ice-ufrag:"), "{told}");
    // What cannot be taken is told, and the call goes on.
    let other = again
        .replace("4611 3", "4611 4")
        .replace("SAVPF 111 0 8 110", "SAVPF 96")
        .replace("rtpmap:111", "rtpmap:96")
        .replace("opus/48000/2", "unheard-of/8000");
    assert_eq!(alice.post(&mut w, &path, &json!({ "offer": other })).status, 200);
    assert_eq!(alice.wait(&mut w, "call.refused")["revision"], 3);
    assert_eq!(w.state(b), State::Up);
    is_over(&mut w, alice, &call, b);
    w.finish();
}

#[test]
fn digits_of_a_client_are_tones_of_rtp_for_the_other() {
    let mut w = World::builder(23).config(&config()).media().build();
    let bob = w.registered("bob");
    let mut alice = Client::new(&mut w, OFFICE, "alice", &["call"]);
    let call = alice.call(&mut w, &json!({ "sip": "sip:bob@example.com" }));
    alice.wait(&mut w, "call.accepted");
    let b = w.incoming(bob);
    w.up(b);
    let sent = alice.post(&mut w, &format!("{call}/dtmf"), &json!({ "digits": "15#" }));
    assert_eq!(sent.status, 204);
    w.run(s(2));
    assert_eq!(w.voice(b).digits, "15#");
    is_over(&mut w, alice, &call, b);
    w.finish();
}

#[test]
fn a_client_transfers_the_other_side() {
    let mut w = world(24);
    let (mut alice, call, _, b) = talk(&mut w);
    let carol = w.registered("carol");
    let path = format!("{call}/transfer");
    let nowhere = json!({ "target": { "sip": "sip:carol@elsewhere.example" } });
    assert_eq!(problem(&alice.post(&mut w, &path, &nowhere)), "cannot-be");
    let target = json!({ "target": { "sip": "sip:carol@example.com" } });
    assert_eq!(alice.post(&mut w, &path, &target).status, 204);
    assert_eq!(alice.wait(&mut w, "call.transfer")["status"], 200);
    assert_eq!(alice.wait(&mut w, "call.ended")["reason"], "hung-up");
    let c = w.incoming(carol);
    w.up(c);
    assert_eq!(w.state(b), State::Up);
    w.hang_up(c);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 4028: the node refreshes by itself, and the client is not asked.
#[test]
fn a_long_call_is_refreshed_without_the_client() {
    let mut w = world(25);
    let (mut alice, call, _, b) = talk(&mut w);
    alice.told(&w);
    w.run(s(3000));
    assert_eq!(alice.told(&w), Vec::new());
    assert_eq!(w.state(b), State::Up);
    is_over(&mut w, alice, &call, b);
    w.finish();
}

/// The same of a call that the client has begun: what it has offered is no answer to the node's refresh.
#[test]
fn a_long_call_of_a_client_is_refreshed_without_it() {
    let mut w = world(27);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::After(s(1));
    let mut ann = Client::new(&mut w, SHOP, "ann", &["call"]);
    let call = ann.call(&mut w, &json!({ "number": "+442079460000" }));
    ann.wait(&mut w, "call.accepted");
    let c = w.incoming(acme);
    // On hold, too: the last offer is of the client's line then.
    for hold in [false, true] {
        if hold {
            assert_eq!(
                ann.post(&mut w, &format!("{call}/hold"), &json!({ "hold": true }))
                    .status,
                200
            );
            w.run(s(1));
        }
        ann.told(&w);
        w.run(s(1700));
        assert_eq!(ann.told(&w), Vec::new());
        assert_eq!(w.state(c), State::Up);
    }
    w.hang_up(c);
    assert_eq!(ann.wait(&mut w, "call.ended")["reason"], "hung-up");
    w.finish();
}

/// The node offers anew, the client does not answer, and the call is over: nothing waits for an answer any more.
#[test]
fn a_call_ends_while_the_client_is_asked() {
    let mut w = world(26);
    let (mut alice, _, _, b) = talk(&mut w);
    assert_eq!(w.hold(b, "sendonly"), 200);
    alice.wait(&mut w, "call.offer");
    w.run(s(1));
    w.hang_up(b);
    alice.wait(&mut w, "call.ended");
    w.run(s(2));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

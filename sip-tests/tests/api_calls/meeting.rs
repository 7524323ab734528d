//! A third participant: a call between two clients moves into a room.

use crate::client::{Client, OFFER, SHOP, answer, config, problem, read, world};
use serde_json::{Value, json};
use sip_tests::{Answer, CallRef, State, World, s};

fn talk(w: &mut World) -> (Client, Client, String) {
    let mut ann = Client::new(w, SHOP, "ann", &["call", "join"]);
    let mut ben = Client::new(w, SHOP, "ben", &["call", "join"]);
    let call = ann.call(w, &json!({ "client": "ben" }));
    ben.wait(w, "call.incoming");
    let accepted = ben.post(w, &format!("{call}/accept"), &json!({ "answer": answer() }));
    assert_eq!(accepted.status, 200);
    ann.wait(w, "call.accepted");
    ben.told(w);
    (ann, ben, call)
}

/// Each calls the room that he was told of.
fn moves(w: &mut World, client: &mut Client) -> String {
    let room = client.wait(w, "call.moved")["room"].clone();
    let call = client.call(w, &json!({ "room": room }));
    assert_eq!(client.wait(w, "call.accepted")["call"]["to"]["room"], room);
    call
}

/// Who is called by a room is asked whether he wants to be in it; whoever had him called is told.
fn wants_in(w: &mut World, called: CallRef, by: &mut Client) {
    let one = "Signal=1\r\nDuration=160\r\n";
    let kind = "Content-Type: application/dtmf-relay";
    assert_eq!(w.request(called, "INFO", &[kind], Some(one)), 200);
    assert_eq!(by.wait(w, "call.participant")["status"], 200);
}

/// Somebody is to be sent away from the room that this call is with, and that comes to this.
fn removes(w: &mut World, (by, call): (&mut Client, &str), target: Value, status: u16) {
    let asked = by.post(w, &format!("{call}/participants/remove"), &json!({ "target": target }));
    assert_eq!(asked.status, 204, "{:?}", asked.body);
    let told = by.wait(w, "call.removed");
    assert_eq!(
        told,
        json!({ "call": call.rsplit('/').next(), "participant": target, "status": status })
    );
}

#[test]
fn a_number_is_added_to_a_call_between_two_clients() {
    let mut w = world(30);
    let bob = w.registered("bob");
    let (mut ann, mut ben, call) = talk(&mut w);
    let add = json!({ "target": { "sip": "sip:bob@example.com" } });
    let added = ann.post(&mut w, &format!("{call}/participants"), &add);
    assert_eq!(added.status, 200, "{:?}", added.body);
    let room = read(&added)["room"].as_str().unwrap().to_owned();
    assert!(room.starts_with("88") && room.len() == 12, "{room}");
    // Not twice.
    assert_eq!(
        problem(&ben.post(&mut w, &format!("{call}/participants"), &add)),
        "wrong-moment"
    );
    // Ben is faster, and has left the call: nothing is lost by it.
    let of_ben = moves(&mut w, &mut ben);
    assert_eq!(ben.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    assert_eq!(ann.wait(&mut w, "call.moved")["room"], room.as_str());
    let of_ann = ann.call(&mut w, &json!({ "room": room }));
    assert_eq!(ann.wait(&mut w, "call.ended")["reason"], "moved");
    ann.wait(&mut w, "call.accepted");
    // The room calls Bob, once Ann is in it.
    let b = w.incoming(bob);
    w.up(b);
    wants_in(&mut w, b, &mut ann);
    w.run(s(2));
    assert_eq!(
        w.control(&format!("room {room}"))
            .unwrap()
            .iter()
            .filter(|line| line.starts_with("member"))
            .count(),
        3
    );
    for (client, call) in [(&ann, of_ann), (&ben, of_ben)] {
        assert_eq!(client.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    }
    assert_eq!(w.state(b), State::Up);
    w.hang_up(b);
    w.run(s(2));
    w.finish();
}

#[test]
fn a_client_is_added_and_a_number_to_a_room() {
    let mut w = world(31);
    let bob = w.registered("bob");
    let (mut ann, mut ben, call) = talk(&mut w);
    let mut cem = Client::new(&mut w, SHOP, "cem", &["join"]);
    let path = format!("{call}/participants");
    let nobody = json!({ "target": { "client": "nobody" } });
    assert_eq!(problem(&ann.post(&mut w, &path, &nobody)), "not-connected");
    let added = ben.post(&mut w, &path, &json!({ "target": { "client": "cem" } }));
    assert_eq!(added.status, 200, "{:?}", added.body);
    let invited = cem.wait(&mut w, "call.invited");
    assert_eq!(
        (&invited["room"], &invited["from"]["client"]),
        (&read(&added)["room"], &json!("ben"))
    );
    let calls = [
        moves(&mut w, &mut ann),
        moves(&mut w, &mut ben),
        cem.call(&mut w, &json!({ "room": invited["room"] })),
    ];
    cem.wait(&mut w, "call.accepted");
    // One more, from within.
    let more = json!({ "target": { "sip": "sip:bob@example.com" } });
    assert_eq!(
        problem(&cem.post(&mut w, &format!("{}/participants", calls[2]), &more)),
        "wrong-scope"
    );
    assert_eq!(
        ann.post(&mut w, &format!("{}/participants", calls[0]), &more).status,
        200
    );
    let b = w.incoming(bob);
    w.up(b);
    wants_in(&mut w, b, &mut ann);
    for (client, call) in [&ann, &ben, &cem].into_iter().zip(&calls) {
        assert_eq!(client.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    }
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    w.hang_up(b);
    w.run(s(2));
    w.finish();
}

/// Whose own call to the room comes to nothing is in the call that there was, which is one like any other again.
#[test]
fn a_move_that_fails_leaves_the_call_as_it_was() {
    let mut w = world(33);
    let (mut ann, mut ben, call) = talk(&mut w);
    let add = json!({ "target": { "client": "ben" } });
    let path = format!("{call}/participants");
    for _ in 0..2 {
        assert_eq!(ann.post(&mut w, &path, &add).status, 200);
        let room = ann.wait(&mut w, "call.moved")["room"].clone();
        let own = ann.call(&mut w, &json!({ "room": room }));
        // He thinks better of it before he is in it.
        assert_eq!(ann.post(&mut w, &format!("{own}/hangup"), &Value::Null).status, 204);
        ann.wait(&mut w, "call.ended");
        // The other may be on the way there.
        assert_eq!(ben.wait(&mut w, "call.unmoved")["room"], room);
    }
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    assert_eq!(ben.wait(&mut w, "call.ended")["reason"], "hung-up");
    w.finish();
}

/// Nobody calls the room: neither is the call moved for ever, nor is whom somebody wanted in it called when it is his again.
#[test]
fn a_move_that_nobody_makes_is_forgotten() {
    let mut w = world(34);
    w.registered("bob");
    let (mut ann, mut ben, call) = talk(&mut w);
    let path = format!("{call}/participants");
    let add = json!({ "target": { "sip": "sip:bob@example.com" } });
    assert_eq!(ann.post(&mut w, &path, &add).status, 200);
    let forgotten = ann.wait(&mut w, "call.moved")["room"].clone();
    w.run(s(29));
    assert_eq!(problem(&ann.post(&mut w, &path, &add)), "wrong-moment");
    w.run(s(2));
    for client in [&mut ann, &mut ben] {
        assert_eq!(
            client.wait(&mut w, "call.unmoved"),
            json!({ "call": call.rsplit('/').next(), "room": forgotten })
        );
    }
    let own = ann.call(&mut w, &json!({ "room": forgotten }));
    ann.wait(&mut w, "call.accepted");
    w.run(s(5));
    assert_eq!(w.census().calls, 1, "the room calls nobody");
    assert_eq!(ann.post(&mut w, &format!("{own}/hangup"), &Value::Null).status, 204);
    assert_eq!(
        ben.post(&mut w, &path, &json!({ "target": { "client": "ann" } }))
            .status,
        200
    );
    w.run(s(31));
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    assert_eq!(ben.wait(&mut w, "call.ended")["reason"], "hung-up");
    w.finish();
}

/// By the room's moderators, and each by the name by which it was added.
#[test]
fn who_is_in_a_room_is_sent_away() {
    let mut w = world(35);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::Manual;
    let bob = w.registered("bob");
    let (mut ann, mut ben, call) = talk(&mut w);
    let two = format!("{call}/participants/remove");
    let of_ben = json!({ "target": { "client": "ben" } });
    assert_eq!(
        problem(&ann.post(&mut w, &two, &of_ben)),
        "cannot-be",
        "a call has two sides"
    );
    let add = json!({ "target": { "sip": "sip:bob@example.com" } });
    assert_eq!(ann.post(&mut w, &format!("{call}/participants"), &add).status, 200);
    let [own, other] = [moves(&mut w, &mut ann), moves(&mut w, &mut ben)];
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    let b = w.incoming(bob);
    w.up(b);
    wants_in(&mut w, b, &mut ann);

    let remove = format!("{own}/participants/remove");
    removes(&mut w, (&mut ann, &own), json!({ "sip": "sip:carol@example.com" }), 404);
    // By whatever name leads to him.
    removes(&mut w, (&mut ann, &own), json!({ "number": "+1 415 555 0102" }), 202);
    w.expect_over(b, 200);
    // While the room calls somebody, and that one.
    let number = json!({ "number": "+44 20 7946 0000" });
    let added = ann.post(&mut w, &format!("{own}/participants"), &json!({ "target": number }));
    assert_eq!(added.status, 200, "{:?}", added.body);
    let c = w.incoming(acme);
    w.run(s(1));
    removes(&mut w, (&mut ann, &own), number, 202);
    w.expect_over(c, 487);
    // One of the clients that call as the same user, and nobody else.
    removes(&mut w, (&mut ann, &own), json!({ "client": "ben" }), 202);
    assert_eq!(ben.wait(&mut w, "call.ended")["reason"], "moved", "that of the two");
    let ended = ben.wait(&mut w, "call.ended");
    assert_eq!(
        (&ended["call"], &ended["reason"]),
        (&json!(other.rsplit('/').next()), &json!("hung-up"))
    );
    let members = w.control("rooms").unwrap();
    assert!(members.join(" ").contains("88"), "the other stays: {members:?}");
    for (target, kind) in [
        (json!({ "client": "nobody" }), "not-connected"),
        (json!({ "room": "3000" }), "cannot-be"),
    ] {
        assert_eq!(problem(&ann.post(&mut w, &remove, &json!({ "target": target }))), kind);
    }
    // Of others' calls nobody sends anybody away.
    assert_eq!(problem(&ben.post(&mut w, &remove, &of_ben)), "no-such-call");
    assert_eq!(ann.post(&mut w, &format!("{own}/hangup"), &Value::Null).status, 204);
    w.run(s(2));
    w.finish();
}

/// Who is no moderator of the room may send away only himself.
#[test]
fn who_is_no_moderator_sends_nobody_away() {
    let mut w = world(36);
    let mut ann = Client::new(&mut w, SHOP, "ann", &["call"]);
    let mut ben = Client::new(&mut w, SHOP, "ben", &["call"]);
    let calls = [&mut ann, &mut ben].map(|client| {
        let call = client.call(&mut w, &json!({ "room": "3000" }));
        client.wait(&mut w, "call.accepted");
        call
    });
    removes(&mut w, (&mut ann, &calls[0]), json!({ "client": "ben" }), 403);
    removes(&mut w, (&mut ann, &calls[0]), json!({ "client": "ann" }), 202);
    assert_eq!(ann.wait(&mut w, "call.ended")["reason"], "hung-up");
    assert_eq!(
        ben.post(&mut w, &format!("{}/hangup", calls[1]), &Value::Null).status,
        204
    );
    w.run(s(1));
    w.finish();
}

#[test]
fn where_no_room_is_for_it_nothing_moves() {
    let text = config().replace(", meetings: \"88\"", "");
    let mut w = World::builder(32).config(&text).build();
    let (ann, mut ben, call) = talk(&mut w);
    let add = json!({ "target": { "number": "+442079460000" } });
    assert_eq!(
        problem(&ann.post(&mut w, &format!("{call}/participants"), &add)),
        "no-way"
    );
    w.reload(&config().replace("{ to: \"88*\", do: room }", "{ to: \"87*\", do: room }"));
    assert_eq!(
        problem(&ann.post(&mut w, &format!("{call}/participants"), &add)),
        "no-way"
    );
    assert_eq!(ben.told(&w), Vec::new());
    let other = ann.post(
        &mut w,
        "/v1/calls",
        &json!({ "targets": [{ "client": "nobody" }], "offer": OFFER }),
    );
    assert_eq!(problem(&other), "not-connected");
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    assert_eq!(ben.wait(&mut w, "call.ended")["reason"], "hung-up");
    w.finish();
}

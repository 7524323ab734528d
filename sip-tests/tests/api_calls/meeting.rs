//! A third participant: a call between two clients moves into a room.

use crate::client::{Client, OFFER, SHOP, answer, config, problem, read, world};
use serde_json::{Value, json};
use sip_tests::{State, World, s};

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
    // Who is called by a room is asked whether he wants to be in it.
    let one = "Signal=1\r\nDuration=160\r\n";
    assert_eq!(
        w.request(b, "INFO", &["Content-Type: application/dtmf-relay"], Some(one)),
        200
    );
    assert_eq!(ann.wait(&mut w, "call.participant")["status"], 200);
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
    // Who is called by a room is asked whether he wants to be in it.
    let one = "Signal=1\r\nDuration=160\r\n";
    assert_eq!(
        w.request(b, "INFO", &["Content-Type: application/dtmf-relay"], Some(one)),
        200
    );
    assert_eq!(ann.wait(&mut w, "call.participant")["status"], 200);
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
    }
    assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    assert_eq!(ben.wait(&mut w, "call.ended")["reason"], "hung-up");
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

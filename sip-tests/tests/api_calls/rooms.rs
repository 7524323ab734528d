//! Rooms and clients: what a page asks before it calls one, and a client whom a room calls.

use crate::client::{CHAT, Client, OFFER, OFFICE, SHOP, answer, ask, config, problem, read};
use serde_json::{Value, json};
use sip_tests::{World, s};
use tandem::api::wire::Method;

const USUAL: [&str; 2] = ["call", "join"];

fn world(seed: u64) -> World {
    let text = config().replace(
        "name: standup }",
        "name: standup }, { number: \"3001\", name: forum, audio: forwarded, speakers: 5 }",
    );
    World::builder(seed).config(&text).build()
}

/// So many lines behind that of the microphone, on which a page receives.
fn with_voices(count: usize) -> String {
    let (mids, lines): (Vec<String>, Vec<String>) = (1..=count)
        .map(|mid| {
            let line = format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
            );
            (format!(" {mid}"), line)
        })
        .unzip();
    format!(
        "{}{}",
        OFFER.replace("BUNDLE 0", &format!("BUNDLE 0{}", mids.concat())),
        lines.concat()
    )
}

/// How many voices come on lines of their own; a page that offers so many gets them.
#[test]
fn a_page_is_told_how_many_voices_a_room_forwards() {
    let mut w = world(60);
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let guest = Client::new(&mut w, SHOP, "cem", &["join"]);
    let get = |w: &mut World, client: &Client, path: &str| ask(w, Method::Get, path, client.token(), &Value::Null);
    for (room, voices) in [("3001", 5), ("3000", 0), ("8800", 0), ("%33001", 5)] {
        for client in [&ann, &guest] {
            let told = get(&mut w, client, &format!("/v1/rooms/{room}"));
            assert_eq!((told.status, read(&told)), (200, json!({ "voices": voices })), "{room}");
        }
    }
    // By its name, too.
    for (room, voices) in [("forum", 5), ("standup", 0)] {
        let told = get(&mut w, &ann, &format!("/v1/rooms/{room}"));
        assert_eq!((told.status, read(&told)), (200, json!({ "voices": voices })), "{room}");
    }
    for nothing in ["bob", "600", "9999", "%2A", "%0d%0a", "+442079460000"] {
        let refused = get(&mut w, &ann, &format!("/v1/rooms/{nothing}"));
        assert_eq!(
            (refused.status, problem(&refused).as_str()),
            (404, "no-such-room"),
            "{nothing}"
        );
    }
    let kim = Client::new(&mut w, CHAT, "kim", &USUAL);
    assert_eq!(problem(&get(&mut w, &kim, "/v1/rooms/3001")), "no-way");
    for (voices, forwarded) in [(5, 5), (4, 0)] {
        let call = ann.call_with(&mut w, &json!({ "room": "3001" }), &with_voices(voices));
        let answer = ann.wait(&mut w, "call.accepted")["answer"].as_str().unwrap().to_owned();
        assert_eq!(answer.matches("a=sendonly").count(), forwarded, "{answer}");
        assert_eq!(ann.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
        ann.wait(&mut w, "call.ended");
    }
    w.run(s(1));
    w.finish();
}

/// A room has somebody called by number who is at a page: that is told that it is a room, who is in it, and is offered video.
#[test]
fn a_client_whom_a_room_calls_is_with_that_room() {
    let mut w = world(61);
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let a = ann.call(&mut w, &json!({ "room": "8800" }));
    ann.wait(&mut w, "call.accepted");
    let add = json!({ "target": { "sip": "sip:alice@example.com" } });
    assert_eq!(ann.post(&mut w, &format!("{a}/participants"), &add).status, 200);
    let incoming = alice.wait(&mut w, "call.incoming")["call"].clone();
    assert_eq!(incoming["from"]["room"], "8800", "{incoming}");
    let offer = incoming["offer"].as_str().unwrap();
    let videos = offer.lines().filter(|line| line.starts_with("m=video ")).count();
    assert_eq!(videos, tandem::limits::VIDEO_OFFERED, "{offer}");
    assert_eq!(
        offer.matches("m=audio ").count(),
        1,
        "a page that does not play voices would hear nobody"
    );
    // Its camera is off, and no place for others is on its screen.
    let refused = "m=video 0 UDP/TLS/RTP/SAVPF 120\r\nc=IN IP4 0.0.0.0\r\n".repeat(videos);
    let call = format!("/v1/calls/{}", incoming["id"].as_str().unwrap());
    let accepted = json!({ "answer": format!("{}{refused}", answer()) });
    assert_eq!(alice.post(&mut w, &format!("{call}/accept"), &accepted).status, 200);
    // Not before it says that it wants to be in it.
    w.run(s(2));
    assert!(alice.told(&w).iter().all(|(name, _)| name != "call.members"));
    assert_eq!(
        alice
            .post(&mut w, &format!("{call}/dtmf"), &json!({ "digits": "1" }))
            .status,
        204
    );
    assert_eq!(ann.wait(&mut w, "call.participant")["status"], 200);
    let members = alice.wait(&mut w, "call.members");
    let names: Vec<&Value> = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(
        (names.len(), &members["me"]),
        (2, &members["members"][1]["id"]),
        "{names:?}"
    );
    for (client, call) in [(&ann, &a), (&alice, &call)] {
        assert_eq!(client.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    }
    w.run(s(1));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

//! What clients in a room may do, and what they are told of it: each only what his token, his tenant and the door let him.

use crate::client::{Client, OFFICE, SHOP, config, problem, read, world};
use serde_json::{Value, json};
use sip_tests::{Answer, World, ms, s};

const USUAL: [&str; 2] = ["call", "join"];

fn joins(w: &mut World, client: &mut Client, room: &str) -> String {
    let call = client.call(w, &json!({ "room": room }));
    client.wait(w, "call.accepted");
    call
}

fn leaves(w: &mut World, calls: &[(&Client, &str)]) {
    for (client, call) in calls {
        assert_eq!(client.post(w, &format!("{call}/hangup"), &Value::Null).status, 204);
    }
    w.run(s(1));
    assert_eq!(w.census().calls, 0);
}

fn names(told: &Value) -> Vec<&str> {
    let members = told["members"].as_array().into_iter().flatten();
    members.filter_map(|member| member["name"].as_str()).collect()
}

/// Who asks for somebody to be sent away has nobody called by it, whatever he writes; and where nobody is meant, all stay.
#[test]
fn a_removal_calls_nobody() {
    let mut w = world(40);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::Manual;
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let call = joins(&mut w, &mut ann, "8800");
    let path = format!("{call}/participants/remove");
    let ask = |w: &mut World, target: Value| ann.post(w, &path, &json!({ "target": target }));
    for target in [
        json!({ "sip": "sip:+442079460000;method=INVITE@x" }),
        json!({ "sip": "sip:bob@evil.example" }),
        json!({ "sip": format!("sip:{}@example.com", "b".repeat(65)) }),
        json!({ "number": "+442079460000;method=INVITE" }),
    ] {
        assert_eq!(problem(&ask(&mut w, target.clone())), "cannot-be", "{target}");
    }
    let mut ann = ann.clone();
    for user in [
        "+442079460000;method=INVITE",
        "+442079460000%3Bmethod=INVITE",
        "+442079460000;member=1",
        "8800;member=1",
        "zoro",
    ] {
        let target = json!({ "sip": format!("sip:{user}@example.com") });
        let asked = ann.post(&mut w, &path, &json!({ "target": target }));
        assert_eq!(asked.status, 204, "{user}: {:?}", asked.body);
        assert_eq!(ann.wait(&mut w, "call.removed")["status"], 404, "{user}");
    }
    w.run(s(2));
    assert_eq!(w.census().calls, 1, "nobody is called");
    leaves(&mut w, &[(&ann, &call)]);
    w.finish();
}

/// A guest's token is for being in a room. And whom all clients call as is nobody of them.
#[test]
fn a_guest_sends_nobody_away_and_nobody_all() {
    let mut w = world(41);
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let mut cem = Client::new(&mut w, SHOP, "cem", &["join"]);
    let [a, c] = [&mut ann, &mut cem].map(|client| joins(&mut w, client, "8800"));
    for target in [json!({ "client": "ann" }), json!({ "client": "cem" })] {
        let asked = cem.post(
            &mut w,
            &format!("{c}/participants/remove"),
            &json!({ "target": target }),
        );
        assert_eq!(problem(&asked), "wrong-scope");
    }
    for target in [
        json!({ "sip": "sip:web@example.com" }),
        json!({ "number": "+14155550199" }),
    ] {
        let asked = ann.post(
            &mut w,
            &format!("{a}/participants/remove"),
            &json!({ "target": target }),
        );
        assert_eq!(problem(&asked), "cannot-be", "{target}");
    }
    leaves(&mut w, &[(&ann, &a), (&cem, &c)]);
    w.finish();
}

/// A moderator is there with a page and a phone, and sends away who he is: the page that asks goes last.
#[test]
fn who_sends_himself_away_sends_all_of_himself_away() {
    let text = config().replace("moderators: [ web ]", "moderators: [ web, alice ]");
    let mut w = World::builder(42).config(&text).build();
    let phone = w.registered("alice");
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let call = joins(&mut w, &mut alice, "8800");
    let p = w.call(phone, "8800");
    w.up(p);
    w.run(s(1));
    let path = format!("{call}/participants/remove");
    let target = json!({ "sip": "sip:alice@example.com" });
    assert_eq!(alice.post(&mut w, &path, &json!({ "target": target })).status, 204);
    assert_eq!(alice.wait(&mut w, "call.removed")["status"], 202);
    assert_eq!(alice.wait(&mut w, "call.ended")["reason"], "hung-up");
    w.expect_over(p, 200);
    w.run(s(1));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

/// Who is asked for a PIN learns nothing of who is inside, nor is anybody called for him.
#[test]
fn at_the_door_only_the_pin_is_told() {
    let text = config().replace("name: standup }", "name: standup, entry: none, pin: \"4711\" }");
    let mut w = World::builder(43).config(&text).media().build();
    let bob = w.registered("bob");
    let b = w.call(bob, "3000");
    w.up(b);
    w.voice(b).dial("4711#");
    w.run(s(5));
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let call = joins(&mut w, &mut ann, "3000");
    w.run(s(3));
    let id = call.rsplit('/').next().unwrap();
    let asked = |wrong: u8| json!({ "call": id, "asked": true, "wrong": wrong, "left": 3 - wrong });
    let pin = |data: Value| vec![("call.pin".to_owned(), data)];
    // But that the PIN is asked for, and is wrong: once for each that is given.
    assert_eq!(ann.told(&w), pin(asked(0)));
    let press = |w: &mut World, ann: &Client, digits: &str| {
        let digits = json!({ "digits": digits });
        assert_eq!(ann.post(w, &format!("{call}/dtmf"), &digits).status, 204);
        w.run(s(1));
    };
    press(&mut w, &ann, "1111#");
    assert_eq!(ann.told(&w), pin(asked(1)));
    // Who comes back is told where he is.
    ann.listen(&mut w);
    w.run(s(1));
    assert_eq!(ann.wait(&mut w, "call.pin"), asked(1));
    press(&mut w, &ann, "4711#");
    assert_eq!(ann.wait(&mut w, "call.pin"), json!({ "call": id, "asked": false }));
    let told = ann.wait(&mut w, "call.members");
    assert_eq!(names(&told), ["bob", "ann"]);
    w.hang_up(b);
    leaves(&mut w, &[(&ann, &call)]);
    w.finish();
}

/// Who does not know the PIN is told so to the end.
#[test]
fn who_is_wrong_too_often_is_told_why_he_is_sent_away() {
    let text = config().replace("name: standup }", "name: standup, pin: \"4711\" }");
    let mut w = World::builder(47).config(&text).media().build();
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let call = joins(&mut w, &mut ann, "standup");
    assert_eq!(ann.wait(&mut w, "call.pin")["left"], 3);
    for (pin, left) in [("1#", 2), ("2222#", 1), ("3#", 0)] {
        let digits = json!({ "digits": pin });
        assert_eq!(ann.post(&mut w, &format!("{call}/dtmf"), &digits).status, 204);
        let told = ann.wait(&mut w, "call.pin");
        assert_eq!((&told["left"], &told["asked"]), (&json!(left), &json!(left > 0)));
    }
    let ended = ann.wait(&mut w, "call.ended");
    assert_eq!(
        (&ended["reason"], &ended["detail"]),
        (&json!("not-allowed"), &json!("the PIN of the room was wrong too often"))
    );
    w.run(s(1));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

/// Clients of a tenant call as one user; whose wrong PINs are whose is known by their tokens.
#[test]
fn who_guesses_keeps_no_other_client_out() {
    let text = config().replace("name: standup }", "name: standup, pin: \"4711\" }");
    let mut w = World::builder(48).config(&text).media().build();
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    for _ in 0..8 {
        let call = joins(&mut w, &mut ann, "standup");
        ann.wait(&mut w, "call.pin");
        for _ in 0..3 {
            ann.post(&mut w, &format!("{call}/dtmf"), &json!({ "digits": "1#" }));
            w.run(ms(200));
        }
    }
    let mut ben = Client::new(&mut w, SHOP, "ben", &USUAL);
    let call = joins(&mut w, &mut ben, "standup");
    ben.wait(&mut w, "call.pin");
    ben.post(&mut w, &format!("{call}/dtmf"), &json!({ "digits": "4711#" }));
    w.run(s(1));
    assert_eq!(ben.wait(&mut w, "call.pin")["asked"], false);
    assert_eq!(names(&ben.wait(&mut w, "call.members")), ["ben"]);
    assert_eq!(ben.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    // Ann's calls end behind what they hear, and the last PINs wait for their turn.
    w.run(s(60));
    assert_eq!(w.census().calls, 0);
    w.finish();
}

/// A phone number is no name: a guest sees what a log shows of it, and so does everybody where another tenant's clients have been.
#[test]
fn a_phone_number_is_shown_to_whom_it_may_be() {
    let mut w = world(44);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).answer = Answer::After(s(1));
    let mut ann = Client::new(&mut w, SHOP, "ann", &USUAL);
    let mut cem = Client::new(&mut w, SHOP, "cem", &["join"]);
    let [a, c] = [&mut ann, &mut cem].map(|client| joins(&mut w, client, "8800"));
    let add = json!({ "target": { "number": "+44 20 7946 0000" } });
    assert_eq!(ann.post(&mut w, &format!("{a}/participants"), &add).status, 200);
    let n = w.incoming(acme);
    w.up(n);
    assert_eq!(
        w.request(
            n,
            "INFO",
            &["Content-Type: application/dtmf-relay"],
            Some("Signal=1\r\nDuration=160\r\n")
        ),
        200
    );
    let seen = |w: &mut World, client: &mut Client, count: usize| loop {
        let told = client.wait(w, "call.members");
        if names(&told).len() == count {
            break names(&told).join(" ");
        }
    };
    let (clear, masked) = ("ann cem +442079460000", "ann cem +4420***000");
    assert_eq!(seen(&mut w, &mut ann, 3), clear);
    assert_eq!(seen(&mut w, &mut cem, 3), masked);
    // Of the office, which has no part in it.
    let mut alice = Client::new(&mut w, OFFICE, "alice", &USUAL);
    let other = joins(&mut w, &mut alice, "8800");
    let masked = format!("{masked} alice");
    for client in [&mut ann, &mut cem, &mut alice] {
        assert_eq!(seen(&mut w, client, 4), masked);
    }
    // Whose number it is has gone, and it stays.
    leaves_only(&mut w, &[(&ann, &a), (&cem, &c), (&alice, &other)]);
    let other = joins(&mut w, &mut alice, "8800");
    assert_eq!(seen(&mut w, &mut alice, 2), "+4420***000 alice");
    w.hang_up(n);
    w.run(s(1));
    leaves(&mut w, &[(&alice, &other)]);
    w.finish();
}

fn leaves_only(w: &mut World, calls: &[(&Client, &str)]) {
    for (client, call) in calls {
        assert_eq!(client.post(w, &format!("{call}/hangup"), &Value::Null).status, 204);
    }
    w.run(s(1));
}

/// By whatever number: it is the same room.
#[test]
fn a_room_that_is_dialled_by_another_number_is_told_of() {
    let text = config().replace("routes:\n", "routes:\n  - { to: \"77\", do: room/3000 }\n");
    let mut w = World::builder(45).config(&text).build();
    let mut ann = Client::new(&mut w, SHOP, "ann", &["join"]);
    let mut ben = Client::new(&mut w, SHOP, "ben", &USUAL);
    let a = ann.call(&mut w, &json!({ "room": "77" }));
    assert_eq!(ann.wait(&mut w, "call.accepted")["call"]["to"]["room"], "77");
    assert_eq!(names(&ann.wait(&mut w, "call.members")), ["ann"]);
    let b = joins(&mut w, &mut ben, "3000");
    assert_eq!(names(&ann.wait(&mut w, "call.members")), ["ann", "ben"]);
    // Others are asked to call what was called.
    let _cem = Client::new(&mut w, SHOP, "cem", &["join"]);
    let add = json!({ "target": { "client": "cem" } });
    let added = ann.post(&mut w, &format!("{a}/participants"), &add);
    assert_eq!(read(&added)["room"], "77");
    leaves(&mut w, &[(&ann, &a), (&ben, &b)]);
    w.finish();
}

/// However often something changes, it is told five times a second, and how it is in the end.
#[test]
fn a_room_is_told_of_so_often() {
    let mut w = world(46);
    let mut ann = Client::new(&mut w, SHOP, "ann", &["join"]);
    let mut ben = Client::new(&mut w, SHOP, "ben", &["join"]);
    let [a, b] = [&mut ann, &mut ben].map(|client| joins(&mut w, client, "3000"));
    w.run(s(1));
    ben.told(&w);
    for nth in 0..201 {
        let mute = json!({ "mute": nth % 2 == 0 });
        assert_eq!(ann.post(&mut w, &format!("{a}/mute"), &mute).status, 200);
        w.run(ms(10));
    }
    w.run(s(1));
    let told: Vec<Value> = ben
        .told(&w)
        .into_iter()
        .filter_map(|(name, data)| (name == "call.members").then_some(data))
        .collect();
    assert!((1..=12).contains(&told.len()), "{}", told.len());
    assert_eq!(told.last().unwrap()["members"][0]["muted"], true);
    leaves(&mut w, &[(&ann, &a), (&ben, &b)]);
    w.finish();
}

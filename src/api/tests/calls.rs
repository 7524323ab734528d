//! A call, from either side, whatever comes in between.

use super::bench::{ANSWER, OFFER, Pair, body, problem};
use crate::effect::Fact;
use crate::limits;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn one_calls_another_who_accepts_and_hangs_up() {
    let mut pair = Pair::new();
    let call = pair.ring();
    let incoming = pair.bench.only(pair.to_bob, "call.incoming")["call"].clone();
    assert_eq!(
        (&incoming["state"], &incoming["offer"]),
        (&json!("ringing"), &json!(OFFER))
    );
    assert_eq!(incoming["from"]["client"], "alice");
    assert_eq!(pair.bench.told(pair.to_alice), Vec::new());
    let accept = json!({ "answer": ANSWER, "device": "kitchen" });
    let accepted = pair.bench.post(&format!("{call}/accept"), &pair.bob, &accept);
    assert_eq!(body(&accepted)["state"], "up");
    let told = pair.bench.only(pair.to_alice, "call.accepted");
    assert_eq!(
        (&told["answer"], &told["call"]["state"]),
        (&json!(ANSWER), &json!("up"))
    );
    // His other devices learn that one of them has taken it.
    let told = pair.bench.only(pair.to_bob, "call.accepted");
    assert_eq!((&told["device"], &told["answer"]), (&json!("kitchen"), &Value::Null));
    pair.bench.wait(Duration::from_secs(30));
    assert_eq!(
        pair.bench
            .post(&format!("{call}/hangup"), &pair.bob, &Value::Null)
            .status,
        204
    );
    for stream in [pair.to_alice, pair.to_bob] {
        let told = pair.bench.only(stream, "call.ended");
        assert_eq!((&told["reason"], &told["by"]), (&json!("hung-up"), &json!("bob")));
    }
    assert_eq!(problem(&pair.bench.get(&call, &pair.alice)), "no-such-call");
    assert_eq!(pair.bench.api.census().1, 0);
    // Who calls whom; and what the call is called is in each line.
    let id = call.rsplit('/').next().unwrap();
    let told = logged(&pair);
    assert!(told.iter().all(|(name, _)| name == id), "{told:?}");
    let told: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(
        told,
        [
            "of acme begins: alice calls bob",
            "was accepted",
            "ended after 30 s: hung-up by bob"
        ]
    );
}

/// What the log has of calls: the name of the call, and what has happened.
fn logged(pair: &Pair) -> Vec<(String, String)> {
    let of = |fact: &Fact| match fact {
        Fact::ClientCall { name, call: None, what } => Some((name.to_string(), what.clone())),
        _other => None,
    };
    pair.bench.facts.iter().filter_map(of).collect()
}

/// A page that closes says so, and the other is told; who only hangs up has hung up.
#[test]
fn a_page_that_closes_has_not_hung_up() {
    let closed = json!({ "reason": "closed" });
    for (sent, up, reason, detail) in [
        (json!({ "reason": "hung-up" }), true, "hung-up", Value::Null),
        (closed.clone(), true, "gone", json!("its client was closed")),
        (closed, false, "cancelled", json!("its client was closed")),
    ] {
        let mut pair = Pair::new();
        let call = if up { pair.talk() } else { pair.ring() };
        pair.hush();
        let done = pair.bench.post(&format!("{call}/hangup"), &pair.alice, &sent);
        assert_eq!(done.status, 204);
        let told = pair.bench.only(pair.to_bob, "call.ended");
        assert_eq!(
            (&told["reason"], &told["by"], &told["detail"]),
            (&json!(reason), &json!("alice"), &detail)
        );
        let (_, last) = logged(&pair).pop().unwrap();
        assert!(last.contains(&format!(": {reason} by alice")), "{last}");
        assert_eq!(last.contains("its client was closed"), !detail.is_null(), "{last}");
    }
    let mut pair = Pair::new();
    let call = pair.talk();
    let sent = json!({ "reason": "bored" });
    pair.hush();
    assert_eq!(
        pair.bench.post(&format!("{call}/hangup"), &pair.alice, &sent).status,
        204
    );
    assert_eq!(pair.bench.only(pair.to_bob, "call.ended")["reason"], "hung-up");
}

/// Who writes a number where a client's name is wanted is told how a number is called.
#[test]
fn who_calls_a_number_as_a_client_is_told_how() {
    let mut pair = Pair::new();
    for (name, hints) in [("600", true), ("+15551234567", true), ("carol", false)] {
        let wanted = json!({ "targets": [{ "client": name }], "offer": OFFER });
        let refused = pair.bench.post("/v1/calls", &pair.alice, &wanted);
        assert_eq!(problem(&refused), "not-connected");
        let detail = body(&refused)["detail"].as_str().unwrap().to_owned();
        assert_eq!(detail.contains(&format!("{{ number: '{name}' }}")), hints, "{detail}");
    }
}

#[test]
fn a_call_that_rings_ends_in_each_way() {
    for (who, verb, sent, reason) in [
        ("bob", "reject", Value::Null, "declined"),
        ("bob", "reject", json!({ "reason": "busy" }), "busy"),
        ("bob", "hangup", Value::Null, "declined"),
        ("alice", "hangup", Value::Null, "cancelled"),
    ] {
        let mut pair = Pair::new();
        let call = pair.ring();
        pair.hush();
        let token = if who == "bob" {
            pair.bob.clone()
        } else {
            pair.alice.clone()
        };
        assert_eq!(pair.bench.post(&format!("{call}/{verb}"), &token, &sent).status, 204);
        assert_eq!(pair.bench.only(pair.to_alice, "call.ended")["reason"], reason);
        assert_eq!(pair.bench.only(pair.to_bob, "call.ended")["reason"], reason);
    }
    let mut pair = Pair::new();
    pair.ring();
    pair.hush();
    pair.bench.wait(limits::API_RING - Duration::from_millis(1));
    assert_eq!(pair.bench.told(pair.to_alice), Vec::new());
    pair.bench.wait(Duration::from_millis(1));
    for stream in [pair.to_alice, pair.to_bob] {
        let told = pair.bench.only(stream, "call.ended");
        assert_eq!((&told["reason"], &told["by"]), (&json!("no-answer"), &Value::Null));
    }
}

#[test]
fn each_thing_is_done_by_who_may_and_in_its_moment() {
    let accept = json!({ "answer": ANSWER });
    let offer = json!({ "offer": OFFER });
    let answer = json!({ "answer": ANSWER, "revision": 1 });
    // By whom, what, what with, and the status while it rings, and while it is up.
    let table = [
        ("alice", "accept", accept.clone(), 409, 409),
        ("bob", "accept", accept, 200, 409),
        ("alice", "reject", Value::Null, 409, 409),
        ("bob", "reject", Value::Null, 204, 409),
        ("alice", "hangup", Value::Null, 204, 204),
        ("bob", "hangup", Value::Null, 204, 204),
        ("alice", "offer", offer.clone(), 409, 200),
        ("bob", "offer", offer, 409, 200),
        ("alice", "answer", answer.clone(), 409, 409),
        ("bob", "answer", answer, 409, 409),
        ("alice", "hold", json!({ "hold": true }), 409, 200),
        ("bob", "mute", json!({ "mute": true }), 409, 200),
        ("alice", "dtmf", json!({ "digits": "1#" }), 409, 204),
        (
            "alice",
            "candidates",
            json!({ "candidates": [{ "candidate": "" }] }),
            204,
            204,
        ),
    ];
    for (who, verb, sent, ringing, up) in table {
        for (is_up, wanted) in [(false, ringing), (true, up)] {
            let mut pair = Pair::new();
            let call = if is_up { pair.talk() } else { pair.ring() };
            let token = if who == "bob" {
                pair.bob.clone()
            } else {
                pair.alice.clone()
            };
            let response = pair.bench.post(&format!("{call}/{verb}"), &token, &sent);
            assert_eq!(response.status, wanted, "{who} {verb} up: {is_up}");
        }
    }
}

#[test]
fn offers_take_turns() {
    let mut pair = Pair::new();
    let call = pair.talk();
    let (offer_at, answer_at) = (format!("{call}/offer"), format!("{call}/answer"));
    let offered = pair.bench.post(&offer_at, &pair.alice, &json!({ "offer": OFFER }));
    assert_eq!(body(&offered)["revision"], 2);
    let told = pair.bench.only(pair.to_bob, "call.offer");
    assert_eq!((&told["offer"], &told["revision"]), (&json!(OFFER), &json!(2)));
    // Both at once: the second is told to answer first.
    let glare = pair.bench.post(&offer_at, &pair.bob, &json!({ "offer": OFFER }));
    assert_eq!(problem(&glare), "glare");
    // Who changes his mind may; the answer to what he offered before is none.
    let again = pair.bench.post(&offer_at, &pair.alice, &json!({ "offer": OFFER }));
    assert_eq!(body(&again)["revision"], 3);
    let answer = |revision: u32| json!({ "answer": ANSWER, "revision": revision });
    assert_eq!(
        problem(&pair.bench.post(&answer_at, &pair.bob, &answer(2))),
        "stale-answer"
    );
    assert_eq!(
        problem(&pair.bench.post(&answer_at, &pair.alice, &answer(3))),
        "stale-answer"
    );
    // Who comes back meanwhile finds the offer.
    assert_eq!(body(&pair.bench.get(&call, &pair.bob))["revision"], 3);
    assert_eq!(body(&pair.bench.get(&call, &pair.alice)).get("offer"), None);
    assert_eq!(pair.bench.post(&answer_at, &pair.bob, &answer(3)).status, 204);
    assert_eq!(pair.bench.only(pair.to_alice, "call.answer")["answer"], ANSWER);
    assert_eq!(
        problem(&pair.bench.post(&answer_at, &pair.bob, &answer(3))),
        "stale-answer"
    );
    pair.hush();
    let other = pair.bench.post(&offer_at, &pair.bob, &json!({ "offer": OFFER }));
    assert_eq!(body(&other)["revision"], 4);
}

#[test]
fn what_each_does_is_told_to_the_other() {
    let mut pair = Pair::new();
    let call = pair.talk();
    let one = json!({ "candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "x" });
    let sent = json!({ "candidates": [one, { "candidate": "" }] });
    assert_eq!(
        pair.bench
            .post(&format!("{call}/candidates"), &pair.alice, &sent)
            .status,
        204
    );
    assert_eq!(
        pair.bench.only(pair.to_bob, "call.candidates")["candidates"],
        sent["candidates"]
    );
    pair.bench
        .post(&format!("{call}/mute"), &pair.bob, &json!({ "mute": true }));
    let view = pair.bench.only(pair.to_alice, "call.updated")["call"].clone();
    assert_eq!(
        (&view["to"]["muted"], &view["from"]["muted"]),
        (&json!(true), &json!(false))
    );
    pair.bench
        .post(&format!("{call}/hold"), &pair.alice, &json!({ "hold": true }));
    let view = pair.bench.only(pair.to_alice, "call.updated")["call"].clone();
    assert_eq!(
        (&view["from"]["holds"], &view["to"]["holds"]),
        (&json!(true), &json!(false))
    );
    pair.hush();
    pair.bench
        .post(&format!("{call}/dtmf"), &pair.bob, &json!({ "digits": "12#" }));
    assert_eq!(pair.bench.only(pair.to_alice, "call.dtmf")["digits"], "12#");
}

#[test]
fn what_cannot_be_is_refused() {
    let mut pair = Pair::new();
    let long = format!("v=0\r\n{}", "a".repeat(limits::API_SDP_BYTES));
    let target = json!([{ "client": "bob" }]);
    for (sent, kind) in [
        (json!({ "targets": [], "offer": OFFER }), "cannot-be"),
        (
            json!({ "targets": [{ "client": "bob" }, { "client": "carol" }], "offer": OFFER }),
            "cannot-be",
        ),
        (
            json!({ "targets": [{ "client": "alice" }], "offer": OFFER }),
            "cannot-be",
        ),
        (
            json!({ "targets": [{ "client": "carol" }], "offer": OFFER }),
            "not-connected",
        ),
        (json!({ "targets": [{ "number": "1" }], "offer": OFFER }), "no-way"),
        (json!({ "targets": [{ "fax": "1" }], "offer": OFFER }), "bad-body"),
        (json!({ "targets": [{}], "offer": OFFER }), "bad-body"),
        (json!({ "targets": target, "offer": "" }), "cannot-be"),
        (json!({ "targets": target, "offer": "v=0\u{0}" }), "cannot-be"),
        (json!({ "targets": target, "offer": long }), "cannot-be"),
        (json!({ "targets": target }), "bad-body"),
        (json!({ "targets": target, "offer": OFFER, "video": 1 }), "bad-body"),
        (Value::Null, "bad-body"),
    ] {
        assert_eq!(
            problem(&pair.bench.post("/v1/calls", &pair.alice, &sent)),
            kind,
            "{sent}"
        );
    }
    let deep = "[".repeat(100_000);
    let response = pair.bench.ask_with(
        (crate::api::wire::Method::Post, "/v1/calls"),
        &pair.alice,
        &Value::Null,
        |request| request.body = deep.into(),
    );
    assert_eq!(problem(&response), "bad-body");
    let call = pair.talk();
    for (verb, sent) in [
        ("dtmf", json!({ "digits": "" })),
        ("dtmf", json!({ "digits": "x" })),
        ("dtmf", json!({ "digits": "1".repeat(33) })),
        ("candidates", json!({ "candidates": [] })),
        ("candidates", json!({ "candidates": [{ "candidate": "a\r\nb" }] })),
        (
            "candidates",
            json!({ "candidates": [{ "candidate": "", "sdpMid": "a\nb" }] }),
        ),
        (
            "candidates",
            json!({ "candidates": [{ "candidate": "a".repeat(513) }] }),
        ),
        (
            "candidates",
            json!({ "candidates": vec![json!({ "candidate": "a" }); 33] }),
        ),
        ("offer", json!({ "offer": "x" })),
    ] {
        let response = pair.bench.post(&format!("{call}/{verb}"), &pair.bob, &sent);
        assert_eq!(problem(&response), "cannot-be", "{verb} {sent}");
    }
    assert_eq!(pair.bench.told(pair.to_alice), Vec::new());
}

#[test]
fn candidates_are_bounded_for_each_offer() {
    let mut pair = Pair::new();
    let call = pair.talk();
    let path = format!("{call}/candidates");
    let sent = json!({ "candidates": vec![json!({ "candidate": "a" }); limits::API_CANDIDATES] });
    let send = |pair: &mut Pair| pair.bench.post(&path, &pair.alice, &sent).status;
    let taken = (0..20).filter(|_| send(&mut pair) == 204).count();
    assert_eq!(taken, limits::API_CANDIDATES_PER_OFFER / limits::API_CANDIDATES);
    pair.bench
        .post(&format!("{call}/offer"), &pair.alice, &json!({ "offer": OFFER }));
    assert_eq!(send(&mut pair), 204);
}

#[test]
fn nobody_has_more_calls_than_he_may() {
    let mut pair = Pair::new();
    for _ in 0..limits::API_CALLS_PER_CLIENT {
        pair.ring();
    }
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER });
    let busy = pair.bench.post("/v1/calls", &pair.alice, &start);
    assert_eq!((problem(&busy).as_str(), busy.status), ("busy", 409));
    let carol = pair.bench.token("carol");
    assert_eq!(problem(&pair.bench.post("/v1/calls", &carol, &start)), "busy");
    pair.bench.wait(limits::API_RING);
    pair.ring();
}

#[test]
fn who_is_not_connected_is_woken() {
    let mut pair = Pair::with("  push: { url: \"https://shop.example/wake\" }\n");
    let start = json!({ "targets": [{ "client": "carol" }], "offer": OFFER });
    let started = pair.bench.post("/v1/calls", &pair.alice, &start);
    assert_eq!(started.status, 201, "{:?}", started.body);
    let id = body(&started)["id"].clone();
    let told = json!({ "reason": "call", "tenant": "acme", "client": "carol", "from": "alice", "call": id });
    assert_eq!(pair.bench.posts, [told]);
    pair.bench.wait(Duration::from_secs(30));
    let carol = pair.bench.token("carol");
    let to_carol = pair.bench.listen(&carol, None);
    let ready = pair.bench.only(to_carol, "ready");
    assert_eq!(ready["calls"][0]["offer"], OFFER);
    let accept = format!("/v1/calls/{}/accept", id.as_str().unwrap());
    let accepted = pair.bench.post(&accept, &carol, &json!({ "answer": ANSWER }));
    assert_eq!(accepted.status, 200);
    pair.bench.only(pair.to_alice, "call.accepted");
    // Who does not come has not answered; who cannot be woken is told of at once. Neither leaves anything behind.
    let missed = json!({ "targets": [{ "client": "dave" }], "offer": OFFER });
    assert_eq!(pair.bench.post("/v1/calls", &pair.alice, &missed).status, 201);
    pair.bench.wait(limits::API_RING);
    assert_eq!(pair.bench.only(pair.to_alice, "call.ended")["reason"], "no-answer");
    let asleep = json!({ "targets": [{ "client": "erin" }], "offer": OFFER });
    assert_eq!(pair.bench.post("/v1/calls", &pair.alice, &asleep).status, 201);
    let last = pair.bench.api.calls.last();
    pair.bench.step(|api, cx| api.posted(cx, last, false));
    pair.bench.drain();
    let ended = pair.bench.only(pair.to_alice, "call.ended");
    assert_eq!(ended["reason"], "unavailable");
    assert!(
        ended["detail"].as_str().unwrap().contains("could not be woken"),
        "{ended}"
    );
    pair.bench.wait(limits::API_RING + limits::API_ABSENCE);
    assert_eq!(pair.bench.api.census().0, 3, "alice, bob and carol");
    let nobody = json!({ "targets": [{ "client": "a b" }], "offer": OFFER });
    let refused = pair.bench.post("/v1/calls", &pair.alice, &nobody);
    assert_eq!(problem(&refused), "not-connected");
}

/// Media of a client is protected by DTLS: what is not would be sent to whatever address is named.
#[test]
fn a_description_that_is_no_browsers_is_refused() {
    let with = |media: &str| format!("{OFFER}s=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n{media}\r\n");
    let good = with(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=video 0 RTP/AVP 31\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    );
    let mut pair = Pair::new();
    let call = pair.talk();
    for media in [
        "m=audio 5000 RTP/AVP 0",
        "m=audio 5000 RTP/SAVP 0",
        "m=image 5000 udptl t38",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=video 5000 RTP/AVPF 96",
        "a=x\rm=audio 5000 RTP/AVP 0",
        "m=audio 5000",
    ] {
        let start = json!({ "targets": [{ "client": "bob" }], "offer": with(media) });
        let refused = pair.bench.post("/v1/calls", &pair.alice, &start);
        assert_eq!(problem(&refused), "cannot-be", "{media}");
        assert!(body(&refused)["detail"].as_str().unwrap().contains("DTLS"), "{media}");
        let offer = json!({ "offer": with(media) });
        let refused = pair.bench.post(&format!("{call}/offer"), &pair.alice, &offer);
        assert_eq!(problem(&refused), "cannot-be", "{media}");
    }
    let offered = pair
        .bench
        .post(&format!("{call}/offer"), &pair.alice, &json!({ "offer": good }));
    assert_eq!(offered.status, 200, "{:?}", offered.body);
    let answer = json!({ "answer": with("m=audio 5000 RTP/AVP 0"), "revision": 2 });
    let refused = pair.bench.post(&format!("{call}/answer"), &pair.bob, &answer);
    assert_eq!(problem(&refused), "cannot-be");
}

const PUSH: &str = "  per_client: 1000\n  per_address: 100000\n  push: { url: \"https://shop.example/wake\" }\n";

/// Alice calls somebody who sleeps.
fn wakes(pair: &mut Pair, name: &str) -> String {
    let start = json!({ "targets": [{ "client": name }], "offer": OFFER });
    let started = pair.bench.post("/v1/calls", &pair.alice, &start);
    assert_eq!(started.status, 201, "{:?}", started.body);
    format!("/v1/calls/{}", body(&started)["id"].as_str().unwrap())
}

#[test]
fn a_push_that_fails_late_ends_no_call_of_who_is_there() {
    let mut pair = Pair::with(PUSH);
    let call = wakes(&mut pair, "carol");
    let number = pair.bench.api.calls.last();
    let carol = pair.bench.token("carol");
    pair.bench.listen(&carol, None);
    pair.bench.step(|api, cx| api.posted(cx, number, false));
    pair.bench.drain();
    assert_eq!(pair.bench.told(pair.to_alice), Vec::new());
    let accepted = pair
        .bench
        .post(&format!("{call}/accept"), &carol, &json!({ "answer": ANSWER }));
    assert_eq!(accepted.status, 200);
}

#[test]
fn who_was_only_called_is_forgotten_with_the_call_and_nobody_wakes_without_end() {
    let mut pair = Pair::with(PUSH);
    let start = |n: u32| json!({ "targets": [{ "client": format!("x{n}") }], "offer": OFFER });
    let mut woken = 0;
    let refused = loop {
        let started = pair
            .bench
            .post_once(&format!("k{woken}"), "/v1/calls", &pair.alice, &start(woken));
        if started.status != 201 {
            break started;
        }
        let call = format!("/v1/calls/{}", body(&started)["id"].as_str().unwrap());
        assert_eq!(pair.bench.api.census().0, 3);
        pair.bench.post(&format!("{call}/hangup"), &pair.alice, &Value::Null);
        assert_eq!(pair.bench.api.census().0, 2, "alice and bob");
        woken += 1;
        assert!(woken < 100, "there is an end");
    };
    assert_eq!(problem(&refused), "too-many");
    assert_eq!((pair.bench.posts.len(), pair.bench.api.census().0), (woken as usize, 2));
    // A while later the same request, with the same key, is done.
    pair.bench.wait(Duration::from_secs(15));
    let again = pair
        .bench
        .post_once(&format!("k{woken}"), "/v1/calls", &pair.alice, &start(woken));
    assert_eq!(again.status, 201, "{:?}", again.body);
    // Who is there is called without being woken.
    pair.ring();
    // Who came is kept for a while as everybody is.
    let name = format!("x{woken}");
    let token = pair.bench.token(&name);
    pair.bench.get("/v1/calls", &token);
    let call = format!("/v1/calls/{}", body(&again)["id"].as_str().unwrap());
    pair.bench.post(&format!("{call}/hangup"), &pair.alice, &Value::Null);
    assert_eq!(pair.bench.api.census().0, 3);
}

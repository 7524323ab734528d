//! Events: nothing is lost and nothing comes twice, and where something is lost it is told.

use super::bench::{ACME, OFFER, Pair, body};
use crate::api::call::Side;
use crate::api::wire::Event;
use crate::limits;
use serde_json::{Value, json};
use std::time::Duration;

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(|event| event.id.clone()).collect()
}

/// Bob sends a key: one event for Alice.
fn press(pair: &mut Pair, call: &str, digit: usize) {
    let sent = json!({ "digits": format!("{}", digit % 10) });
    assert_eq!(pair.bench.post(&format!("{call}/dtmf"), &pair.bob, &sent).status, 204);
}

#[test]
fn a_stream_goes_on_where_it_broke() {
    let mut pair = Pair::new();
    let call = pair.talk();
    press(&mut pair, &call, 1);
    let seen = pair.bench.streams[&pair.to_alice].0.clone();
    let place = ids(&seen).last().cloned().expect("an event");
    pair.bench.close(pair.to_alice);
    for digit in 2..5 {
        press(&mut pair, &call, digit);
    }
    let again = pair.bench.listen(&pair.alice, Some(&place));
    let mut told = pair.bench.told(again);
    let (name, ready) = told.remove(0);
    assert_eq!(
        (name, &ready["resumed"], &ready["lost"]),
        ("ready", &json!(true), &json!(false))
    );
    let digits: Vec<&Value> = told.iter().map(|(_, data)| &data["digits"]).collect();
    assert_eq!(digits, [&json!("2"), &json!("3"), &json!("4")]);
    press(&mut pair, &call, 5);
    assert_eq!(pair.bench.only(again, "call.dtmf")["digits"], "5");
    // A second device has its own place.
    let other = pair.bench.listen(&pair.alice, None);
    let ready = pair.bench.only(other, "ready");
    assert_eq!((&ready["resumed"], &ready["lost"]), (&json!(false), &json!(false)));
    assert_eq!(ready["calls"][0]["state"], "up");
    press(&mut pair, &call, 6);
    assert_eq!(pair.bench.only(other, "call.dtmf"), pair.bench.only(again, "call.dtmf"));
}

#[test]
fn a_stream_that_tells_nothing_can_be_resumed_from_its_beginning() {
    let mut pair = Pair::new();
    pair.bench.close(pair.to_alice);
    let stream = pair.bench.listen(&pair.alice, None);
    let place = ids(&pair.bench.streams[&stream].0)[0].clone();
    pair.bench.close(stream);
    let call = pair.talk_without_alice();
    let again = pair.bench.listen(&pair.alice, Some(&place));
    let told = pair.bench.told(again);
    let names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["ready", "call.accepted"], "{call}");
    // And once more from the same place, since it had broken before anything came.
    pair.bench.close(again);
    let twice = pair.bench.listen(&pair.alice, Some(&place));
    assert_eq!(pair.bench.told(twice).len(), 2);
}

#[test]
fn what_is_too_long_ago_is_told_as_lost_with_what_holds_now() {
    let mut pair = Pair::new();
    let call = pair.talk();
    press(&mut pair, &call, 0);
    let stream = pair.bench.streams[&pair.to_alice].0.clone();
    let place = ids(&stream)[0].clone();
    pair.bench.close(pair.to_alice);
    for digit in 0..limits::API_LOG_EVENTS + 1 {
        press(&mut pair, &call, digit);
    }
    pair.bench
        .post(&format!("{call}/offer"), &pair.bob, &json!({ "offer": OFFER }));
    for bad in [place.as_str(), "x", "00000000-1", ""] {
        let again = pair.bench.listen(&pair.alice, Some(bad));
        let ready = pair.bench.only(again, "ready");
        assert_eq!(
            (&ready["resumed"], &ready["lost"]),
            (&json!(false), &json!(true)),
            "{bad}"
        );
        // The offer that waits is there: nothing has to be guessed.
        assert_eq!(
            (&ready["calls"][0]["offer"], &ready["calls"][0]["revision"]),
            (&json!(OFFER), &json!(2))
        );
    }
}

#[test]
fn a_million_events_to_one_who_does_not_listen_take_no_more_room_than_a_few() {
    let mut pair = Pair::with("  per_client: 1000\n  per_address: 100000\n");
    let call = pair.talk();
    pair.bench.close(pair.to_alice);
    let alice = pair
        .bench
        .api
        .calls
        .of(&"acme".into())
        .next()
        .and_then(|call| call.member(Side::Caller).who.client());
    let alice = alice.expect("she has a call");
    for number in 0..1_000_000u32 {
        pair.bench
            .step(|api, cx| api.tell(cx, alice, "call.dtmf", &json!(number)));
    }
    pair.bench.drain();
    let (kept, octets) = pair.bench.api.clients.get(alice).expect("she is there").log.size();
    assert!(kept <= limits::API_LOG_EVENTS && octets <= limits::API_LOG_BYTES);
    let again = pair.bench.listen(&pair.alice, None);
    pair.bench.told(again);
    for digit in 0..300 {
        press(&mut pair, &call, digit);
        pair.bench.wait(Duration::from_millis(2));
    }
    assert_eq!(pair.bench.told(again).len(), 300, "who listens is told all");
}

#[test]
fn who_does_not_come_back_is_gone_with_his_calls() {
    let mut pair = Pair::new();
    let call = pair.talk();
    pair.bench.close(pair.to_bob);
    pair.bench.wait(limits::API_ABSENCE - Duration::from_millis(1));
    assert_eq!(pair.bench.told(pair.to_alice), Vec::new());
    // Any request keeps him, a stream for good.
    pair.bench.get(&call, &pair.bob);
    pair.bench.wait(limits::API_ABSENCE - Duration::from_millis(1));
    let again = pair.bench.listen(&pair.bob, None);
    pair.bench.wait(2 * limits::API_ABSENCE);
    assert_eq!(pair.bench.told(pair.to_alice), Vec::new());
    pair.bench.close(again);
    pair.bench.wait(limits::API_ABSENCE);
    let ended = pair.bench.only(pair.to_alice, "call.ended");
    let why = "its page has listened to no events for 60 s: its connection was lost";
    assert_eq!(
        (&ended["reason"], &ended["by"], &ended["detail"]),
        (&json!("gone"), &json!("bob"), &json!(why))
    );
    let told = format!("{:?}", pair.bench.facts.last());
    assert!(told.contains(": gone by bob") && told.contains(why), "{told}");
    assert_eq!(pair.bench.api.census(), (1, 0, 1));
    pair.bench.close(pair.to_alice);
    pair.bench.wait(limits::API_ABSENCE);
    assert_eq!(pair.bench.api.census(), (0, 0, 0));
    assert_eq!(pair.bench.api.next_deadline(), None);
}

/// Whose token has expired, and who got no new one, is gone for that.
#[test]
fn who_is_gone_for_his_token_is_told_of_so() {
    let mut pair = Pair::new();
    let token = pair
        .bench
        .token_of(ACME, &json!({ "identity": "carol", "lifetime": 90 }));
    let stream = pair.bench.listen(&token, None);
    let wanted = json!({ "targets": [{ "client": "carol" }], "offer": OFFER });
    let started = pair.bench.post("/v1/calls", &pair.alice, &wanted);
    let call = format!("/v1/calls/{}", body(&started)["id"].as_str().unwrap());
    let accept = json!({ "answer": OFFER });
    assert_eq!(pair.bench.post(&format!("{call}/accept"), &token, &accept).status, 200);
    pair.hush();
    pair.bench.wait(Duration::from_secs(151));
    pair.bench.told(stream);
    let detail = pair.bench.only(pair.to_alice, "call.ended")["detail"].clone();
    assert!(
        detail.as_str().unwrap().ends_with(": its token has expired"),
        "{detail}"
    );
}

#[test]
fn a_stream_lasts_as_long_as_its_token() {
    let mut pair = Pair::new();
    let token = pair
        .bench
        .token_of(ACME, &json!({ "identity": "carol", "lifetime": 60 }));
    let stream = pair.bench.listen(&token, None);
    pair.bench.told(stream);
    pair.bench.wait(Duration::from_millis(59_999));
    assert_eq!(pair.bench.told(stream), Vec::new());
    pair.bench.wait(Duration::from_millis(1));
    assert!(
        pair.bench.only(stream, "end")["reason"]
            .as_str()
            .unwrap()
            .contains("expired")
    );
    assert!(pair.bench.streams[&stream].1);
}

#[test]
fn one_has_so_many_streams_and_the_oldest_makes_room() {
    let mut pair = Pair::new();
    let streams: Vec<_> = (0..limits::API_STREAMS_PER_CLIENT)
        .map(|_| pair.bench.listen(&pair.alice, None))
        .collect();
    assert_eq!(
        pair.bench.only(pair.to_alice, "end")["reason"],
        "the client has opened too many others"
    );
    pair.ring();
    for stream in &streams {
        pair.bench.told(*stream);
    }
    assert_eq!(pair.bench.api.census().2, limits::API_STREAMS_PER_CLIENT + 1);
}

impl Pair {
    /// A call that Bob has accepted while Alice had no stream.
    fn talk_without_alice(&mut self) -> String {
        let call = self.ring();
        let wanted = json!({ "answer": OFFER, "device": "d1" });
        assert_eq!(
            self.bench.post(&format!("{call}/accept"), &self.bob, &wanted).status,
            200
        );
        call
    }
}

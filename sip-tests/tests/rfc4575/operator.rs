//! Rooms of a node, asked by the control socket's lines.

use super::rooms::{control, join, member, rooms};
use bytes::Bytes;
use sip_tests::{World, s};
use tandem::id::ControlId;
use tandem::node::Input;

/// `take`: two who talk with one another go on in the room, and nobody hangs up.
#[test]
fn an_operator_moves_a_call_into_a_room() {
    let mut w = rooms(11);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let c = join(&mut w, carol, "3000");
    let (a, b) = w.talk(alice, bob, "bob");
    let id = *w.records.by_call.keys().next_back().expect("two calls are up");
    for (line, why) in [
        (
            "room 3999 take c1".to_owned(),
            "there is no room \"3999\": the configuration has 3000 (standup), 3001 (private)",
        ),
        (
            "room 3000 take c1".to_owned(),
            "it is no call of two who talk with one another",
        ),
    ] {
        assert_eq!(control(&mut w, &line), Err(why.to_owned()), "{line}");
    }
    assert_eq!(control(&mut w, &format!("room standup take {id}")), Ok(vec![]));
    w.run(s(1));
    for number in 1..=3 {
        let member = member(&mut w, number).expect("three are in it");
        assert_eq!(member[0], "in", "member {number}");
    }
    assert!(control(&mut w, &format!("room 3000 take {id}")).is_err(), "it is in it");
    for call in [a, b, c] {
        w.hang_up(call);
    }
    w.run(s(1));
    assert_eq!(control(&mut w, "rooms"), Ok(vec![]));
    w.finish();
}

/// Each action by the control socket, as it is seen in the room.
#[test]
fn an_operator_controls_a_room() {
    let mut w = rooms(7);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    assert_eq!(control(&mut w, "rooms"), Ok(vec![]));
    let (a, b) = (join(&mut w, alice, "3000"), join(&mut w, bob, "3000"));
    let listed = control(&mut w, "rooms").expect("two are in it");
    assert!(
        listed.len() == 1 && listed[0].starts_with("room 3000 standup no no "),
        "{listed:?}"
    );
    assert!(listed[0].ends_with(" 2"), "{listed:?}");
    let is = |w: &mut World, id: u32, expected: [&str; 4]| {
        let member = member(w, id).unwrap_or_default();
        assert_eq!(member, expected.map(str::to_owned), "member {id}");
    };
    is(&mut w, 1, ["in", "moderator", "no", "no"]);
    is(&mut w, 2, ["in", "speaker", "no", "no"]);
    for (line, expected) in [
        ("mute 2", ["in", "speaker", "yes", "no"]),
        ("unmute 2", ["in", "speaker", "no", "no"]),
        ("mute all", ["in", "speaker", "yes", "no"]),
        ("unmute all", ["in", "speaker", "no", "no"]),
        ("deafen 2", ["in", "speaker", "no", "yes"]),
        ("undeafen all", ["in", "speaker", "no", "no"]),
        ("hold 2", ["held", "speaker", "no", "no"]),
        ("unhold 2", ["in", "speaker", "no", "no"]),
        ("promote 2 listener", ["in", "listener", "no", "no"]),
        ("promote 2 moderator", ["in", "moderator", "no", "no"]),
        ("promote 2 speaker", ["in", "speaker", "no", "no"]),
    ] {
        assert_eq!(control(&mut w, &format!("room standup {line}")), Ok(vec![]), "{line}");
        w.run(s(1));
        is(&mut w, 2, expected);
        is(&mut w, 1, ["in", "moderator", "no", "no"]);
    }
    assert_eq!(control(&mut w, "room 3000 lock"), Ok(vec![]));
    assert!(control(&mut w, "rooms").is_ok_and(|lines| lines[0].starts_with("room 3000 standup yes ")));
    let shut_out = w.call(carol, "3000");
    assert!(w.over(shut_out) >= 400, "nobody else may join");
    assert_eq!(control(&mut w, "room 3000 unlock"), Ok(vec![]));
    for line in ["mute 9", "kick 9", "promote 9 speaker"] {
        let refused = control(&mut w, &format!("room 3000 {line}"));
        assert_eq!(refused, Err("there is no such member in the room".into()), "{line}");
    }
    assert_eq!(control(&mut w, "room 3000 kick 2"), Ok(vec![]));
    w.expect_over(b, 200);
    assert!(member(&mut w, 2).is_none());
    assert_eq!(control(&mut w, "room 3000 end"), Ok(vec![]));
    w.until_within(s(30), "the room has ended", |w| w.census().calls == 0);
    w.expect_over(a, 200);
    assert_eq!(control(&mut w, "rooms"), Ok(vec![]));
    assert_eq!(
        control(&mut w, "room 3999 end"),
        Err("there is no room \"3999\": the configuration has 3000 (standup), 3001 (private)".into())
    );
    w.finish();
}

/// What happens in a room is told to who looks on, in order, and once.
#[test]
fn an_operator_looks_on() {
    let mut w = rooms(8);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let id = ControlId(7);
    w.feed(Input::Control(id, Bytes::from("room 3000 watch")));
    let (a, b) = (join(&mut w, alice, "3000"), join(&mut w, bob, "3000"));
    for line in [
        "mute 2",
        "unmute 2",
        "deafen 2",
        "undeafen 2",
        "hold 2",
        "unhold 2",
        "promote 2 listener",
        "lock",
        "unlock",
    ] {
        assert_eq!(control(&mut w, &format!("room 3000 {line}")), Ok(vec![]), "{line}");
    }
    w.hang_up(b);
    w.run(s(1));
    w.hang_up(a);
    w.run(s(1));
    let said: String = w
        .controlled
        .iter()
        .filter(|(to, ..)| *to == id)
        .map(|(_, lines, last)| {
            assert!(!last);
            String::from_utf8_lossy(lines).into_owned()
        })
        .collect();
    let bob = "2 sip:bob@example.com bob";
    let expected = [
        "ok".to_owned(),
        "event joined 1 sip:alice@example.com Alice\\s&\\sCo".to_owned(),
        format!("event joined {bob}"),
        format!("event muted {bob}"),
        format!("event unmuted {bob}"),
        format!("event deafened {bob}"),
        format!("event undeafened {bob}"),
        format!("event held {bob}"),
        format!("event back {bob}"),
        format!("event listener {bob}"),
        "event locked".to_owned(),
        "event unlocked".to_owned(),
        format!("event left {bob}"),
        "event left 1 sip:alice@example.com Alice\\s&\\sCo".to_owned(),
        "event ended".to_owned(),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    w.feed(Input::ControlClosed(id));
    let before = w.controlled.len();
    let a = join(&mut w, alice, "3000");
    assert_eq!(w.controlled.len(), before, "he is gone");
    w.hang_up(a);
    w.run(s(1));
    w.finish();
}

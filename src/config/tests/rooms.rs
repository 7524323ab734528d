//! `rooms`.

use super::{Sources, good, parse, with};
use crate::config::{EntrySound, KeyAction, Outgoing, Prompt};
use crate::media::command::Sound;
use codecs::Rate;
use std::cell::Cell;
use std::time::Duration;

const USERS: &str = "users: [ { name: alice, password: x, number: \"101\" } ]\n";

fn rooms(text: &str) -> Vec<String> {
    with(&format!("{USERS}rooms: [ {text} ]"))
}

#[test]
fn a_room_has_what_is_written_and_else_what_is_usual() {
    let config = good(&format!(
        "listen: [ udp://127.0.0.1:5060 ]\n{USERS}rooms:
  - {{ number: \"3000\", name: standup, pin: \"4711\", moderator_pin: \"990011\", moderators: [ alice ], listeners: yes, max_members: 7, \
       max_duration: 1h, speakers: 2, rate: 8000, agc: no, gate: no, wait_for_moderator: yes, entry: none, record: yes, \
       outgoing: user/alice, keys: {{ mute: \"1\", end: no }} }}
  - {{ number: \"3001\" }}
  - {{ number: \"3002\", rate: 48000 }}"
    ));
    let room = config.room("standup").unwrap();
    assert_eq!(room.number, "3000");
    assert_eq!(room.pin.as_ref().map(|pin| pin.expose()), Some("4711"));
    assert_eq!(room.moderators, ["alice"]);
    assert!(room.listeners && room.wait_for_moderator && room.record && !room.levels && !room.gate);
    assert_eq!((room.max_members, room.speakers, room.rate), (7, 2, Rate::Narrow));
    assert_eq!(room.max_duration, Some(Duration::from_secs(3600)));
    assert_eq!(
        (room.entry, &room.outgoing),
        (EntrySound::Silent, &Outgoing::As("alice".to_owned()))
    );
    assert_eq!(room.keys.action("1"), Some(KeyAction::Mute));
    assert_eq!(room.keys.action("*5"), Some(KeyAction::Lock));
    assert_eq!((room.keys.action("*6"), room.keys.action("*0")), (None, None));
    assert!(!format!("{config:?}").contains("4711") && !format!("{config:?}").contains("990011"));
    assert_eq!(config.room("3002").unwrap().rate, Rate::Full);
    let room = config.room("3001").unwrap();
    assert_eq!(room.rate, Rate::Wide);
    assert_eq!((room.name.as_str(), room.max_members, room.speakers), ("3001", 100, 4));
    assert!(room.pin.is_none() && room.levels && room.gate && !room.listeners);
    assert_eq!(
        (room.outgoing.clone(), room.keys.action("*0")),
        (Outgoing::Own, Some(KeyAction::End))
    );
    // Those on demand.
    assert_eq!(config.room_settings("7001").unwrap().max_members, 100);
    assert_eq!(config.room_settings("../x"), None);
}

#[test]
fn what_is_wrong_with_a_room_is_said() {
    for (text, expected) in [
        ("{ name: a }", "number is missing"),
        (
            "{ number: \"3000\" }, { number: \"3000\", name: b }",
            "there is a room 3000 (3000) already.",
        ),
        (
            "{ number: \"3000\", name: b }, { number: \"3001\", name: b }",
            "there is a room 3000 (b) already.",
        ),
        (
            "{ number: \"3000\", name: \"3001\" }, { number: \"3001\" }",
            "there is a room 3000 (3001) already.",
        ),
        (
            "{ number: \"3001\", name: a }, { number: \"3000\", name: \"3001\" }",
            "there is a room 3001 (a) already.",
        ),
        ("{ number: \"*\" }, { number: \"*\" }", "there is a room * (*) already."),
        ("{ number: \"101\" }", "101 is alice's own already."),
        ("{ number: alice }", "alice is alice's own already."),
        ("{ number: \"a b\" }", "is not a number or an extension"),
        (
            "{ number: \"3000\", pin: \"12\" }",
            "a PIN has 4 to 16 digits, and nothing else.",
        ),
        (
            "{ number: \"3000\", pin: \"12x4\" }",
            "a PIN has 4 to 16 digits, and nothing else.",
        ),
        (
            "{ number: \"3000\", pin: \"1234\", moderator_pin: \"1234\" }",
            "are the same",
        ),
        ("{ number: \"3000\", moderators: [ bob ] }", "there is no user \"bob\"."),
        ("{ number: \"3000\", outgoing: user/bob }", "there is no user \"bob\"."),
        (
            "{ number: \"3000\", wait_for_moderator: yes }",
            "nobody would ever be let in",
        ),
        ("{ number: \"3000\", max_members: 1 }", "is not a number from 2 to 2000"),
        ("{ number: \"3000\", speakers: 17 }", "is not a number from 1 to 16"),
        ("{ number: \"3000\", rate: 44100 }", "is not 8000, 16000 or 48000"),
        (
            "{ number: \"3000\", keys: { mute: \"*6\", lock: \"*61\" } }",
            "*61 for lock and *6 cannot be told apart",
        ),
        (
            "{ number: \"3000\", keys: { mute: x } }",
            "is not one to four keys of a telephone",
        ),
        (
            "{ number: \"3000\", prompts: /nowhere }",
            "the file /nowhere/pin.wav cannot be played",
        ),
    ] {
        let found = rooms(text);
        assert!(
            found.iter().any(|problem| problem.contains(expected)),
            "{text}: {found:?}"
        );
        assert!(
            !found.iter().any(|problem| problem.contains("12x4")),
            "a PIN is not shown: {found:?}"
        );
    }
}

#[test]
fn a_folder_of_prompts_takes_the_place_of_all() {
    let read = Cell::new(0);
    let sources = Sources {
        sound: &|path| {
            read.set(read.get() + 1);
            assert!(path.starts_with("/p"));
            let long = path.ends_with("full.wav");
            Ok(Sound::silence(Duration::from_secs(if long { 9 } else { 1 })))
        },
        ..Sources::NONE
    };
    let text = "listen: [ udp://127.0.0.1:5060 ]\nrooms: [ { number: \"3000\", prompts: /p }, { number: \"3001\", prompts: /p } ]";
    let config = parse("x", text, &sources).unwrap();
    let prompts = &config.room("3000").unwrap().prompts;
    assert_eq!(prompts.get(Prompt::Full).duration(), Duration::from_secs(9));
    assert_eq!(prompts.get(Prompt::Pin).duration(), Duration::from_secs(1));
    assert_eq!(read.get(), 15, "each file is read once");
}

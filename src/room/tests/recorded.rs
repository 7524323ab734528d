//! A room that is recorded: who is told, and whose words go where.

use super::*;

/// With words of three seconds.
const WORDS: &str = "recording: { announcement: words.wav }";

/// What all were to hear, by its milliseconds.
fn for_all(w: &World) -> Vec<u128> {
    let played = |effect: &Effect| match effect {
        Effect::Media(_, Command::PlayRoom { music, .. }) => Some(music.duration().as_millis()),
        _ => None,
    };
    w.effects.iter().filter_map(played).collect()
}

/// Whose words are recorded from when on, and until when.
fn members(w: &World) -> Vec<(u32, bool)> {
    let told = |effect: &Effect| match effect {
        Effect::RecordMember(_, place, on) => Some((place.member.0, *on)),
        _ => None,
    };
    w.effects.iter().filter_map(told).collect()
}

#[test]
fn who_comes_to_a_recorded_room_is_told_before_he_is_in_it() {
    let mut w = world_with(WORDS, "record: yes");
    let a = w.dials("alice");
    assert_eq!((w.hears(a), w.status(a)), ("a sound".to_owned(), Status::Waiting));
    assert_eq!(w.commands(), ["open"], "nothing is recorded of who does not know it");
    w.tell(a, Input::Played);
    assert_eq!((w.hears(a), w.status(a)), ("Alone".to_owned(), Status::Connected));
    assert_eq!(w.commands(), ["open", "record"]);
    for entrance in [Entrance::Dialled, Entrance::Brought] {
        let b = w.comes("bob", entrance);
        assert_eq!((w.hears(b), w.status(b)), ("a sound".to_owned(), Status::Waiting));
        w.tell(b, Input::Played);
        assert_eq!((w.hears(b), w.status(b)), ("mix".to_owned(), Status::Connected));
    }
    // As soon as it is not recorded any more nobody is told.
    w.operator(Action::Record(false));
    let c = w.dials("bob");
    assert_eq!(w.status(c), Status::Connected);
}

#[test]
fn who_holds_while_he_is_to_be_told_is_told_later() {
    let mut w = world_with(WORDS, "record: yes");
    let a = w.dials("alice");
    w.tell(a, Input::Holds(true));
    w.wait(Duration::from_secs(60));
    assert_eq!(w.status(a), Status::Waiting);
    w.tell(a, Input::Holds(false));
    assert_eq!(w.hears(a), "a sound");
    w.tell(a, Input::Played);
    assert_eq!(w.status(a), Status::Connected);
    // One whose worker does not tell the end is let in.
    let b = w.dials("bob");
    w.wait(Duration::from_secs(20));
    assert_eq!(w.status(b), Status::Connected);
}

#[test]
fn those_who_are_in_it_are_told_when_it_begins() {
    let mut w = world_with(WORDS, "moderators: [ alice ], entry: none");
    let a = w.dials("alice");
    w.tell(a, Input::Played);
    // Who is alone hears it himself.
    w.press(a, "*3");
    assert_eq!((w.hears(a), for_all(&w).len()), ("a sound".to_owned(), 0));
    w.press(a, "*3");
    w.tell(a, Input::Played);
    let (b, c, d) = (w.dials("bob"), w.dials("bob"), w.dials("bob"));
    w.operator(Action::Deafen(Whom::One(c.member), true));
    w.operator(Action::Hold(Whom::One(d.member), true));
    w.operator(Action::Record(true));
    assert_eq!(for_all(&w), [3_000], "the others beside one another");
    let hear = [a, b, c, d].map(|place| w.hears(place));
    assert_eq!(hear, ["mix", "mix", "a sound", "a sound"]);
}

#[test]
fn the_tone_stands_for_the_words_and_comes_again() {
    for (recording, at_once, later) in [
        ("", 0, 0),
        ("recording: { tone: never }", 0, 0),
        ("recording: { tone: once }", 1, 0),
        ("recording: { tone: 15s }", 1, 2),
        ("recording: { tone: 15s, announcement: words.wav }", 1, 2),
    ] {
        let mut w = world_with(recording, "entry: none");
        let a = w.dials("alice");
        w.dials("bob");
        w.operator(Action::Record(true));
        assert_eq!(for_all(&w).len(), at_once, "{recording}");
        w.rooms.played(a.room);
        w.tend();
        for _ in 0..38 {
            w.wait(S1);
            w.rooms.played(a.room);
            w.tend();
        }
        let lengths = for_all(&w);
        assert_eq!(lengths.len(), at_once + later, "{recording}");
        assert!(lengths.iter().skip(1).all(|ms| *ms == 200), "{recording}: {lengths:?}");
        w.operator(Action::Record(false));
        w.wait(Duration::from_secs(60));
        assert_eq!(for_all(&w).len(), at_once + later, "{recording}, when it is over");
        assert!(w.rooms.next_deadline().is_none());
    }
}

/// What waits to be heard does not keep it away, and is heard after it.
#[test]
fn that_it_is_recorded_is_heard_before_what_waits() {
    let mut w = world_with(WORDS, "");
    let a = w.dials("alice");
    for _ in 0..20 {
        w.dials("bob");
    }
    w.operator(Action::Record(true));
    w.rooms.played(a.room);
    w.tend();
    assert_eq!(for_all(&w), [200, 3_000]);
    for _ in 0..20 {
        w.rooms.played(a.room);
        w.tend();
    }
    assert_eq!(for_all(&w).len(), limits::ROOM_SOUNDS);
}

#[test]
fn what_each_says_is_recorded_where_that_is_configured() {
    for (recording, has_members) in [("mix", false), ("members", true), ("both", true)] {
        let mut w = world_with(WORDS, &format!("recording: {recording}"));
        let (a, b) = (w.dials("alice"), w.dials("bob"));
        let waits = w.comes("bob", Entrance::Dialled);
        w.tell(waits, Input::Left);
        assert!(members(&w).is_empty());
        w.operator(Action::Record(true));
        let c = w.dials("bob");
        assert_eq!(w.status(c), Status::Waiting);
        let begun = [(1, true), (2, true)];
        assert_eq!(
            members(&w),
            &begun[..if has_members { 2 } else { 0 }],
            "{recording}: not before he is told"
        );
        w.tell(c, Input::Played);
        w.tell(b, Input::Left);
        w.operator(Action::Kick(a.member));
        w.operator(Action::Record(false));
        let all = [(1, true), (2, true), (4, true), (1, false), (4, false)];
        assert_eq!(members(&w), &all[..if has_members { 5 } else { 0 }], "{recording}");
    }
}

#[test]
fn what_each_says_is_recorded_from_the_first_on() {
    let mut w = world("record: yes, recording: members");
    w.dials("alice");
    w.dials("bob");
    assert_eq!(members(&w), [(1, true), (2, true)]);
    assert_eq!(w.commands()[..2], ["open", "record"]);
}

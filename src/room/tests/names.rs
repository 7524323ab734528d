//! Names of those who come: who is asked, and what all hear.

use super::super::sounds::tones;
use super::*;

/// A name of so many seconds.
fn name(seconds: u32) -> Music {
    Music::new(vec![Arc::new(Sound::silence(S1 * seconds))])
}

/// What all were to hear, in order: each name by its seconds, and the tones.
fn for_all(w: &mut World, room: MediaRoomId) -> Vec<String> {
    for _ in 0..10 {
        w.rooms.played(room);
        w.tend();
    }
    let prompts = Prompts::built_in();
    let word = |music: &Music| {
        let says = |n: u32, prompt| *music == name(n).then(prompts.get(prompt));
        let named = (1..=9).find_map(|n| match () {
            () if says(n, Prompt::HasJoined) => Some(format!("{n} joins")),
            () if says(n, Prompt::HasLeft) => Some(format!("{n} leaves")),
            () => None,
        });
        named.unwrap_or_else(|| match tones().iter().position(|tone| tone == music) {
            Some(0) => "rises".to_owned(),
            Some(_) => "falls".to_owned(),
            None => format!("{music:?}"),
        })
    };
    let played = |effect: &Effect| match effect {
        Effect::Media(_, Command::PlayRoom { music, .. }) => Some(word(music)),
        _ => None,
    };
    w.effects.iter().filter_map(played).collect()
}

/// Hears the words and the tone.
fn is_asked(w: &mut World, place: Place) {
    assert_eq!((w.hears(place), w.status(place)), ("Name".to_owned(), Status::Waiting));
    w.tell(place, Input::Played);
    assert_eq!(w.hears(place), "a sound");
    w.tell(place, Input::Played);
    assert_eq!(
        (w.hears(place), w.status(place)),
        ("is noted".to_owned(), Status::Waiting)
    );
}

fn comes_as(w: &mut World, user: &str, name: Option<Music>) -> Place {
    let place = w.dials(user);
    is_asked(w, place);
    w.tell(place, Input::Named(name));
    place
}

#[test]
fn all_hear_the_name_of_who_comes_and_goes() {
    let mut w = world("entry: names");
    let a = comes_as(&mut w, "alice", Some(name(1)));
    assert_eq!((w.hears(a), w.status(a)), ("Alone".to_owned(), Status::Connected));
    let b = comes_as(&mut w, "bob", Some(name(2)));
    assert_eq!((w.hears(a), w.hears(b)), ("mix".to_owned(), "mix".to_owned()));
    let c = comes_as(&mut w, "bob", None);
    assert_eq!(
        for_all(&mut w, a.room),
        ["2 joins", "rises"],
        "who says nothing has the tone"
    );
    w.effects.clear();
    w.tell(a, Input::Left);
    // One who is sent away is told of when that is, and once.
    w.operator(Action::Kick(b.member));
    w.tell(b, Input::Left);
    assert_eq!(for_all(&mut w, a.room), ["1 leaves", "2 leaves"]);
    assert_eq!(w.hears(c), "silence");
    w.tell(c, Input::Left);
    assert!(w.rooms.is_empty() && w.rooms.next_deadline().is_none());
    assert_eq!(w.rooms.names, 0, "what was said is not kept longer");
}

#[test]
fn a_key_ends_a_name_and_none_before_the_tone_does() {
    let mut w = world("entry: names, pin: \"4711\"");
    let a = w.dials("alice");
    // The # is a habit.
    w.press(a, "4711#");
    is_asked(&mut w, a);
    w.press(a, "5");
    assert_eq!(
        (w.hears(a), w.status(a)),
        ("silence".to_owned(), Status::Waiting),
        "it is on its way"
    );
    w.tell(a, Input::Named(Some(name(1))));
    assert_eq!(w.status(a), Status::Connected);
    // One that comes once more is nobody's.
    w.tell(a, Input::Named(Some(name(9))));
    let b = w.dials("bob");
    w.press(b, "4711");
    is_asked(&mut w, b);
    w.tell(b, Input::Named(None));
    w.effects.clear();
    w.tell(a, Input::Left);
    assert_eq!(for_all(&mut w, a.room).last().map(String::as_str), Some("1 leaves"));
}

/// Neither the end of the words nor the name comes: he is let in all the same, and what comes then is not heard.
#[test]
fn who_cannot_be_heard_comes_in_without_a_name() {
    let mut w = world("entry: names");
    let a = w.dials("alice");
    w.wait(Duration::from_secs(30));
    assert_eq!(w.status(a), Status::Connected);
    assert_eq!(w.rooms.names, 0);
    w.tell(a, Input::Named(Some(name(1))));
    let b = w.dials("bob");
    w.wait(Duration::from_secs(30));
    assert_eq!(w.status(b), Status::Connected);
    w.tell(a, Input::Left);
    assert_eq!(for_all(&mut w, a.room), ["rises", "falls"]);
}

#[test]
fn who_is_brought_or_called_is_not_asked() {
    let mut w = world("entry: names, outgoing: user/alice");
    let a = comes_as(&mut w, "alice", Some(name(1)));
    let b = w.comes("bob", Entrance::Brought);
    assert_eq!(w.status(b), Status::Connected);
    w.operator(Action::Call(vec!["bob".to_owned()]));
    let called = Place {
        room: a.room,
        member: MemberId(3),
    };
    w.tell(called, Input::Answered);
    w.press(called, "1");
    assert_eq!(w.status(called), Status::Connected);
    let c = w.takes_place("carol", a).unwrap();
    w.tell(a, Input::Left);
    assert_eq!(w.status(c), Status::Connected);
    assert_eq!(for_all(&mut w, a.room), ["rises", "rises", "rises", "1 leaves"]);
    assert_eq!(w.rooms.names, 0, "the name goes with the one who has said it");
}

#[test]
fn who_says_his_name_at_a_locked_door_stays_outside() {
    let mut w = world("entry: names");
    comes_as(&mut w, "alice", Some(name(1)));
    let b = w.dials("bob");
    is_asked(&mut w, b);
    w.operator(Action::Lock(true));
    assert!(w.takes_place("carol", b).is_none());
    w.tell(b, Input::Named(Some(name(2))));
    assert_eq!(w.hears(b), "Locked");
    w.tell(b, Input::Played);
    assert_eq!(w.dismissed(b), Some("the room is locked"));
    w.tell(b, Input::Left);
    assert_eq!(w.rooms.names, 1);
}

#[test]
fn the_moderator_is_waited_for_with_a_name() {
    let mut w = world("entry: names, wait_for_moderator: yes, moderators: [ alice ]");
    let b = comes_as(&mut w, "bob", Some(name(2)));
    assert_eq!(w.hears(b), "Waiting");
    let a = comes_as(&mut w, "alice", Some(name(1)));
    assert_eq!(w.status(b), Status::Connected);
    assert_eq!(for_all(&mut w, a.room), ["2 joins"]);
}

/// Whoever comes when so many names are kept is not asked, whatever room it is; one who goes makes room.
#[test]
fn names_are_bounded() {
    let mut w = world("entry: names, max_members: 2000");
    let places: Vec<Place> = (0..limits::ROOM_NAMES).map(|_| w.dials("bob")).collect();
    assert!(places.iter().all(|place| w.hears(*place) == "Name"));
    let one_more = w.dials("alice");
    assert_eq!(w.status(one_more), Status::Connected);
    // Who says nothing keeps no place, and who hangs up neither.
    is_asked(&mut w, places[0]);
    w.tell(places[0], Input::Named(None));
    w.tell(places[1], Input::Left);
    for _ in 0..2 {
        let place = w.dials("alice");
        assert_eq!(w.hears(place), "Name");
    }
    let one_more = w.dials("alice");
    assert_eq!(w.status(one_more), Status::Connected);
}

//! Rooms without any calls: what goes in, and what comes out.

mod names;
mod pins;
mod places;
mod recorded;

use super::view::{Joined, Role, Status, Whom};
use super::*;
use crate::config::{Config, Prompt, Prompts, Sources};
use crate::media::command::{Music, Seat, Sound};
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);

/// Rooms, and what they wanted.
struct World {
    config: Config,
    rooms: Rooms,
    now: Instant,
    last: u64,
    effects: Vec<Effect>,
}

/// A room 3000 with these keys, and users alice and bob.
fn world(keys: &str) -> World {
    world_with("", keys)
}

/// The same with more in the configuration. Each sound of a file lasts three seconds.
fn world_with(more: &str, keys: &str) -> World {
    let yaml = format!(
        "listen: [ udp://192.0.2.1:5060 ]\nusers: [ {{ name: alice, password: x }}, {{ name: bob, password: x }} ]\n{more}\n\
         rooms: [ {{ number: \"3000\", name: standup, {keys} }} ]"
    );
    let sources = Sources {
        sound: &|_| Ok(Sound::silence(S1 * 3)),
        ..Sources::NONE
    };
    let config = config::parse("test", &yaml, &sources).unwrap_or_else(|problems| panic!("{problems:?}"));
    World {
        config,
        rooms: Rooms::default(),
        now: Instant::ZERO + S1,
        last: 0,
        effects: Vec::new(),
    }
}

impl World {
    fn at(&self) -> (Instant, Wall) {
        (self.now, Wall(self.now.as_millis()))
    }

    fn tend(&mut self) {
        let (now, wall) = self.at();
        while let Some(effect) = self.rooms.tend(now, wall) {
            if let Effect::Call { place, number, .. } = &effect {
                self.last += 1;
                let callee = Callee {
                    uri: format!("sip:{number}@x"),
                    display: number.clone(),
                    user: None,
                };
                self.rooms.called(*place, CallId(self.last), callee);
            }
            self.effects.push(effect);
        }
    }

    fn comes(&mut self, user: &str, entrance: Entrance) -> Place {
        self.last += 1;
        let arrival = Arrival {
            call: CallId(self.last),
            uri: format!("sip:{user}@example.com"),
            display: user.to_owned(),
            user: Some(user.to_owned()),
            source: format!("user/{user}"),
            entrance,
        };
        let settings = self.config.room_settings("3000").unwrap().clone();
        let at = self.at();
        let place = self.rooms.arrive(at, ("3000", &settings), WorkerId(0), arrival);
        self.tend();
        place
    }

    fn takes_place(&mut self, user: &str, of: Place) -> Option<Place> {
        let stand = self.rooms.stand(of)?;
        Some(self.comes(user, Entrance::InPlace(stand)))
    }

    fn dials(&mut self, user: &str) -> Place {
        self.comes(user, Entrance::Dialled)
    }

    fn tell(&mut self, place: Place, input: Input) {
        self.rooms.tell(place, input);
        self.tend();
    }

    fn press(&mut self, place: Place, keys: &str) {
        for key in keys.chars() {
            self.tell(place, Input::Digit(key.into()));
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.rooms.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let (now, wall) = self.at();
            self.rooms.on_time(now, wall);
            self.tend();
        }
        self.now = until;
    }

    fn admits(&self) -> Result<(), (Option<Prompt>, Parting)> {
        let settings = self.config.room_settings("3000").unwrap();
        self.rooms.admits("3000", settings, 1)
    }

    fn act(&mut self, asker: Asker, action: Action) -> Result<(), Refused> {
        let at = self.at();
        let done = self.rooms.act(at, "3000", &asker, &action);
        self.tend();
        done
    }

    fn operator(&mut self, action: Action) {
        assert_eq!(self.act(Asker::Operator, action.clone()), Ok(()), "{action:?}");
    }

    /// What a member hears by now, in a word.
    fn hears(&self, place: Place) -> String {
        let last = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Hear(_, to, hears) if *to == place => Some(hears),
            _ => None,
        });
        let prompts = Prompts::built_in();
        match last {
            None => "nothing".to_owned(),
            Some(Hears::Once(music, _)) => Prompt::ALL
                .iter()
                .find(|(prompt, _)| prompts.get(*prompt) == music)
                .map_or_else(|| "a sound".to_owned(), |(prompt, _)| format!("{prompt:?}")),
            Some(Hears::Always(music)) if *music == silence() => "silence".to_owned(),
            Some(Hears::Always(_)) => "music".to_owned(),
            Some(Hears::Note) => "is noted".to_owned(),
            Some(Hears::Mix(Seat { speaks, hears, .. })) => match (speaks, hears) {
                (true, true) => "mix",
                (false, true) => "mix, muted",
                (true, false) => "mix, deaf",
                (false, false) => "mix, muted and deaf",
            }
            .to_owned(),
        }
    }

    /// The same after all that it is to hear once.
    fn then_hears(&mut self, place: Place) -> String {
        for _ in 0..5 {
            if self.hears(place).contains("mix") {
                break;
            }
            self.tell(place, Input::Played);
        }
        self.hears(place)
    }

    fn dismissed(&self, place: Place) -> Option<&'static str> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Dismiss(_, to, parting) if *to == place => Some(parting.why),
            _ => None,
        })
    }

    fn events(&self) -> Vec<RoomEvent> {
        let event = |effect: &Effect| match effect {
            Effect::Event(_, event) => Some(event.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(event).collect()
    }

    fn commands(&self) -> Vec<&'static str> {
        let name = |effect: &Effect| match effect {
            Effect::Media(_, Command::OpenRoom(_)) => Some("open"),
            Effect::Media(_, Command::CloseRoom(_)) => Some("close"),
            Effect::Media(_, Command::PlayRoom { .. }) => Some("play"),
            Effect::Record { settings: Some(_), .. } => Some("record"),
            Effect::Record { settings: None, .. } => Some("stop recording"),
            _ => None,
        };
        self.effects.iter().filter_map(name).collect()
    }

    fn status(&self, place: Place) -> Status {
        let view = self.rooms.view("3000").unwrap();
        let found = view.members.iter().find(|member| member.id == place.member);
        found.map(|member| member.status).unwrap()
    }
}

#[test]
fn two_who_dial_hear_each_other_and_the_room_is_gone_with_the_last() {
    let mut w = world("");
    let a = w.dials("alice");
    assert_eq!(w.hears(a), "Alone");
    w.tell(a, Input::Played);
    assert_eq!(w.hears(a), "silence", "there is no music");
    let b = w.dials("bob");
    assert_eq!((w.hears(a), w.hears(b)), ("mix".to_owned(), "mix".to_owned()));
    assert_eq!((w.status(a), w.status(b)), (Status::Connected, Status::Connected));
    w.rooms.played(a.room);
    w.tell(a, Input::Left);
    assert_eq!(w.hears(b), "silence");
    w.tell(b, Input::Left);
    assert_eq!(
        w.commands(),
        ["open", "play", "play", "close"],
        "a tone when bob comes, and when alice goes"
    );
    let (one, two) = (a.member, b.member);
    let expected = [
        RoomEvent::Changed(one),
        RoomEvent::Joined(one),
        RoomEvent::Changed(two),
        RoomEvent::Joined(two),
        RoomEvent::Left(one),
        RoomEvent::Left(two),
        RoomEvent::Ended,
    ];
    assert_eq!(w.events(), expected);
    assert!(w.rooms.is_empty() && w.rooms.next_deadline().is_none());
    // Another room of this number is another room.
    assert_ne!(w.dials("alice").room, a.room);
}

#[test]
fn a_locked_or_full_room_admits_nobody() {
    let mut w = world("max_members: 2");
    let a = w.dials("alice");
    assert_eq!(w.admits(), Ok(()));
    w.operator(Action::Lock(true));
    let refused = |w: &World| w.admits().unwrap_err().1.why;
    assert_eq!(refused(&w), "the room is locked");
    w.operator(Action::Lock(false));
    w.dials("bob");
    assert_eq!(refused(&w), "the room is full");
    w.tell(a, Input::Left);
    assert_eq!(w.admits(), Ok(()));
    assert_eq!(w.events().iter().filter(|event| **event == RoomEvent::Room).count(), 2);
}

#[test]
fn who_is_at_the_door_when_it_is_locked_stays_outside() {
    let mut w = world("pin: \"4711\"");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.press(a, "4711");
    w.operator(Action::Lock(true));
    w.press(b, "4711");
    assert_eq!(w.hears(b), "Locked");
    w.tell(b, Input::Played);
    assert_eq!(w.dismissed(b), Some("the room is locked"));
}

#[test]
fn all_wait_for_the_moderator() {
    let mut w = world("wait_for_moderator: yes, moderators: [ alice ]");
    let b = w.dials("bob");
    assert_eq!((w.hears(b), w.status(b)), ("Waiting".to_owned(), Status::Waiting));
    w.tell(b, Input::Played);
    assert_eq!(w.hears(b), "silence");
    let a = w.dials("alice");
    assert_eq!((w.hears(a), w.hears(b)), ("mix".to_owned(), "mix".to_owned()));
}

#[test]
fn keys_do_what_the_configuration_says_and_only_for_those_who_may() {
    let keys = "moderators: [ alice ], keys: { mute: \"1\", lock: \"*1\", end: no }";
    let table: [(&str, &str, &str); 9] = [
        // Who presses, what, what comes of it.
        ("bob", "1", "bob muted"),
        ("bob", "11", "nothing"),
        ("bob", "*1", "nothing"),
        ("alice", "*1", "locked"),
        ("alice", "*7", "bob muted"),
        ("alice", "*77*7", "nothing"),
        ("alice", "*3", "recorded"),
        ("bob", "*4", "bob deaf"),
        ("alice", "*0", "nothing"),
    ];
    for (who, pressed, expected) in table {
        let mut w = world(keys);
        let (a, b) = (w.dials("alice"), w.dials("bob"));
        w.press(if who == "alice" { a } else { b }, pressed);
        let view = w.rooms.view("3000").unwrap();
        let bob = &view.members[1];
        let is = match (view.locked, view.recorded, bob.muted, bob.deaf) {
            (true, false, false, false) => "locked",
            (false, true, false, false) => "recorded",
            (false, false, true, false) => "bob muted",
            (false, false, false, true) => "bob deaf",
            (false, false, false, false) => "nothing",
            _ => "?",
        };
        assert_eq!(is, expected, "{who} presses {pressed}");
        assert!(!view.members[0].muted);
    }
}

#[test]
fn keys_that_are_pressed_too_late_or_too_fast_do_nothing() {
    let mut w = world("");
    let (a, _) = (w.dials("alice"), w.dials("bob"));
    w.press(a, "*");
    w.wait(Duration::from_secs(4));
    w.press(a, "6");
    assert!(!w.rooms.view("3000").unwrap().members[0].muted, "the star was long ago");
    w.wait(S1);
    let before = w.effects.len();
    for _ in 0..1_000 {
        w.press(a, "*6");
    }
    let said = w.effects[before..]
        .iter()
        .filter(|effect| matches!(effect, Effect::Hear(..)));
    assert!(said.count() <= 10, "twenty keys a second are ten changes");
}

#[test]
fn what_a_moderator_may_and_others_may_not() {
    let mut w = world("moderators: [ alice ]");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    let (alice, bob) = (a.member, b.member);
    let all = [
        Action::Lock(true),
        Action::Mute(Whom::All, true),
        Action::Mute(Whom::One(alice), true),
        Action::Deafen(Whom::One(alice), true),
        Action::Hold(Whom::One(alice), true),
        Action::Kick(alice),
        Action::Promote(bob, Role::Moderator),
        Action::Call(vec!["alice".to_owned()]),
        Action::Record(true),
        Action::End,
    ];
    for action in all {
        for asker in [Asker::Member(bob), Asker::User("bob".to_owned())] {
            assert_eq!(w.act(asker, action.clone()), Err(Refused::NotAllowed), "{action:?}");
        }
    }
    for action in [
        Action::Mute(Whom::One(bob), true),
        Action::Mute(Whom::One(bob), false),
        Action::Deafen(Whom::One(bob), true),
        Action::Deafen(Whom::One(bob), false),
    ] {
        assert_eq!(w.act(Asker::Member(bob), action.clone()), Ok(()), "{action:?}");
    }
    for action in [
        Action::Hold(Whom::One(bob), true),
        Action::Promote(bob, Role::Listener),
        Action::Record(true),
        Action::Kick(bob),
        Action::End,
    ] {
        assert_eq!(w.act(Asker::Member(alice), action.clone()), Ok(()), "{action:?}");
    }
    let unknown = Action::Kick(MemberId(9));
    let mut w = world("moderators: [ alice ]");
    assert_eq!(w.act(Asker::Operator, Action::Lock(true)), Err(Refused::NoRoom));
    w.dials("alice");
    assert_eq!(w.act(Asker::User("alice".to_owned()), unknown), Err(Refused::NoMember));
}

#[test]
fn seats_follow_mute_deafen_hold_and_role() {
    let mut w = world("listeners: yes, moderators: [ alice ]");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    assert_eq!(w.then_hears(b), "mix, muted", "a listener");
    w.operator(Action::Mute(Whom::One(b.member), false));
    assert_eq!(w.hears(b), "Unmuted");
    assert_eq!(w.then_hears(b), "mix", "a moderator lets him speak");
    w.operator(Action::Deafen(Whom::All, true));
    assert_eq!((w.hears(a), w.hears(b)), ("mix".to_owned(), "mix, deaf".to_owned()));
    w.operator(Action::Hold(Whom::One(b.member), true));
    assert_eq!((w.hears(b), w.status(b)), ("silence".to_owned(), Status::OnHold));
    w.operator(Action::Hold(Whom::One(b.member), false));
    w.operator(Action::Mute(Whom::All, true));
    assert_eq!(w.then_hears(b), "mix, muted and deaf");
    assert_eq!(w.hears(a), "mix", "moderators are spared");
    w.operator(Action::Promote(b.member, Role::Listener));
    // Who is a listener cannot let himself speak.
    w.press(b, "*6*6");
    assert_eq!(w.then_hears(b), "mix, muted and deaf");
}

#[test]
fn who_is_kicked_hears_why() {
    let mut w = world("max_members: 2");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.operator(Action::Kick(b.member));
    assert_eq!((w.hears(b), w.dismissed(b)), ("Removed".to_owned(), None));
    assert_eq!(w.hears(a), "silence", "alice is alone");
    assert_eq!(w.admits(), Ok(()), "his place is free");
    w.tell(b, Input::Played);
    assert_eq!(w.dismissed(b), Some("a moderator removed the member from the room"));
    // One whose worker does not tell the end is sent away all the same.
    w.operator(Action::Kick(a.member));
    w.wait(Duration::from_secs(20));
    assert!(w.dismissed(a).is_some());
}

#[test]
fn a_room_ends_when_its_time_is_over_and_says_so_before() {
    let mut w = world("max_duration: 10m, entry: none");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.wait(Duration::from_secs(299));
    assert_eq!(w.commands(), ["open"]);
    w.wait(Duration::from_secs(2));
    assert_eq!(w.commands(), ["open", "play"]);
    w.rooms.played(a.room);
    w.tend();
    w.wait(Duration::from_secs(300));
    assert_eq!((w.commands().len(), w.dismissed(a)), (3, None), "it says that it ends");
    assert_eq!(w.admits().unwrap_err().1.why, "the room is being closed");
    w.rooms.played(a.room);
    w.tend();
    assert!(w.dismissed(a).is_some() && w.dismissed(b).is_some());
    w.tell(a, Input::Left);
    w.tell(b, Input::Left);
    assert!(w.rooms.is_empty() && w.rooms.next_deadline().is_none());
}

#[test]
fn sounds_for_all_are_played_one_after_the_other_and_bounded() {
    let mut w = world("");
    let a = w.dials("alice");
    for _ in 0..20 {
        w.dials("bob");
    }
    let played = |w: &World| w.commands().iter().filter(|command| **command == "play").count();
    assert_eq!(played(&w), 1);
    for _ in 0..20 {
        w.rooms.played(a.room);
        w.tend();
    }
    assert_eq!(played(&w), limits::ROOM_SOUNDS);
}

#[test]
fn who_is_called_joins_by_a_key_and_a_machine_does_not() {
    let mut w = world("outgoing: user/alice");
    w.dials("alice");
    w.operator(Action::Call(vec!["bob".to_owned(), "600".to_owned()]));
    let place = |n| Place {
        room: MediaRoomId(16),
        member: MemberId(n),
    };
    let (b, machine) = (place(2), place(3));
    let rights = |effect: &Effect| match effect {
        Effect::Call { rights, .. } => Some(rights.clone()),
        _ => None,
    };
    assert_eq!(
        w.effects.iter().filter_map(rights).collect::<Vec<_>>(),
        ["alice", "alice"]
    );
    assert_eq!(w.status(b), Status::DialingOut);
    w.tell(b, Input::Rings);
    assert_eq!(w.status(b), Status::Alerting);
    for place in [b, machine] {
        w.tell(place, Input::Answered);
        assert_eq!((w.hears(place), w.status(place)), ("Join".to_owned(), Status::Alerting));
    }
    w.press(b, "5");
    assert_eq!(w.status(b), Status::Alerting);
    w.press(b, "1");
    assert_eq!(w.then_hears(b), "mix");
    w.wait(Duration::from_secs(60));
    assert_eq!(w.dismissed(machine), Some("who was called did not confirm by a key"));
    let view = w.rooms.view("3000").unwrap();
    assert_eq!(view.members[1].joined, Joined::DialedOut);
}

#[test]
fn those_who_are_called_are_not_called_for_an_empty_room() {
    let mut w = world("outgoing: user/alice");
    let a = w.dials("alice");
    w.operator(Action::Call(vec!["bob".to_owned()]));
    w.tell(a, Input::Left);
    let b = Place {
        room: a.room,
        member: MemberId(2),
    };
    assert_eq!(w.dismissed(b), Some("nobody is in the room any more"));
    w.tell(b, Input::Left);
    assert!(w.rooms.is_empty());
}

#[test]
fn dialling_out_is_bounded_and_needs_rights() {
    let call = |n: usize| Action::Call(vec!["bob".to_owned(); n]);
    for (keys, asker, n, expected) in [
        (
            "outgoing: own",
            Asker::Operator,
            1,
            Err(Refused::Impossible("nobody's rights are there to call by (outgoing)")),
        ),
        ("outgoing: user/bob", Asker::Operator, 1, Ok(())),
        ("outgoing: no", Asker::Member(MemberId(1)), 1, Err(Refused::NotAllowed)),
        ("outgoing: own", Asker::Member(MemberId(1)), limits::ROOM_DIALS, Ok(())),
        (
            "outgoing: own",
            Asker::Member(MemberId(1)),
            limits::ROOM_DIALS + 1,
            Err(Refused::Full),
        ),
        ("max_members: 2", Asker::Member(MemberId(1)), 2, Err(Refused::Full)),
    ] {
        let mut w = world(&format!("moderators: [ alice ], {keys}"));
        w.dials("alice");
        assert_eq!(w.act(asker.clone(), call(n)), expected, "{keys}, {asker:?}, {n}");
    }
}

#[test]
fn who_speaks_is_told_at_most_five_times_a_second() {
    let mut w = world("");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.effects.clear();
    for n in 0..50 {
        w.tell(a, Input::Speaks(n % 2 == 0));
        w.wait(Duration::from_millis(20));
    }
    w.tell(b, Input::Speaks(true));
    w.wait(S1);
    let told = w.events();
    assert!(told.len() <= 7, "{told:?}");
    assert_eq!(told.last(), Some(&RoomEvent::Speaking(b.member, true)));
    let view = w.rooms.view("3000").unwrap();
    assert_eq!(
        view.members.iter().map(|m| m.speaking).collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn the_key_that_mutes_all_lets_listeners_speak_at_once_and_mutes_them_then() {
    let mut w = world("moderators: [ alice ], listeners: yes");
    let (a, _) = (w.dials("alice"), w.dials("bob"));
    for (role, muted) in [(Role::Speaker, false), (Role::Speaker, true), (Role::Speaker, false)] {
        w.press(a, "*7");
        let bob = &w.rooms.view("3000").unwrap().members[1];
        assert_eq!((bob.role, bob.muted), (role, muted));
    }
}

#[test]
fn a_recording_begins_with_the_first_and_ends_with_the_last() {
    let mut w = world("record: yes, entry: none, pin: \"4711\"");
    let a = w.dials("alice");
    assert_eq!(w.commands(), ["open"], "nobody is in it");
    w.press(a, "4711");
    w.operator(Action::Record(false));
    w.operator(Action::Record(true));
    w.tell(a, Input::Left);
    assert_eq!(
        w.commands(),
        ["open", "record", "stop recording", "record", "stop recording", "close"]
    );
}

#[test]
fn who_is_brought_is_asked_for_nothing() {
    let mut w = world("pin: \"4711\"");
    let a = w.comes("alice", Entrance::Brought);
    assert_eq!(w.status(a), Status::Connected);
    assert_eq!(w.hears(a), "Alone");
}

#[test]
fn music_is_heard_by_who_is_alone() {
    let music = Music::new(vec![Arc::new(Sound::silence(S1 * 7))]);
    let mut w = world("");
    let mut settings = config::Room::on_demand();
    settings.number = "3000".to_owned();
    settings.music = music;
    w.config.rooms = vec![Arc::new(settings)];
    let a = w.dials("alice");
    w.tell(a, Input::Played);
    assert_eq!(w.hears(a), "music");
}

#[test]
fn a_room_that_may_call_nobody_is_not_left_open() {
    let mut w = world("outgoing: user/alice, max_members: 2");
    let settings = w.config.room_settings("3000").unwrap().clone();
    w.rooms.prepare(w.at(), "3000", &settings, WorkerId(0)).unwrap();
    let many = Action::Call(vec!["bob".to_owned(); 3]);
    assert_eq!(w.act(Asker::Operator, many), Err(Refused::Full));
    assert!(w.rooms.is_empty());
    assert_eq!(w.commands(), ["open", "close"]);
}

#[test]
fn a_room_without_keys_hears_none_and_what_is_pressed_does_not_print() {
    let no = config::KeyAction::ALL
        .map(|(_, name, _)| format!("{name}: no"))
        .join(", ");
    let mut w = world(&format!("keys: {{ {no} }}"));
    let (a, _) = (w.dials("alice"), w.dials("bob"));
    w.press(a, "*60#1");
    assert!(!w.rooms.view("3000").unwrap().members[0].muted);
    let mut w = world("pin: \"9753186420975318\"");
    let a = w.dials("alice");
    w.press(a, "975318642");
    assert!(!format!("{:?}", w.rooms).contains("975318642"));
}

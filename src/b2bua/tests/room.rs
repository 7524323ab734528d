//! Calls in rooms: dialled, asked for a PIN, and what is done to them there.

use super::bench::*;
use crate::dialog::Dialog;
use crate::effect::{Fact, Party};
use crate::id::{MediaLegId, MediaRoomId};
use crate::media::command::{Command, Event as MediaEvent, Function, Seat};
use crate::room::view::{Action, Asker, MemberId, Refused, RoomEvent, Status, Whom};
use crate::sip::{Message, Method, Name};
use std::time::Duration;

pub const S1: Duration = Duration::from_secs(1);
const ROUTES: &str = "routes:\n";

/// A bench with room 3000, which has these keys.
pub fn with_room(keys: &str) -> Bench {
    let rooms = format!("rooms: [ {{ number: \"3000\", name: standup, {keys} }} ]\nroutes:\n");
    Bench::changed(ROUTES, &rooms)
}

/// Somebody dials a number and is answered.
pub fn dials(b: &mut Bench, peer: &str, user: &str, number: &str) -> (Dialog, Message, MediaLegId) {
    let invite = b.invite(peer, user, number, Some(sdp(4000, "")));
    let ok = b.one(peer);
    assert_eq!(ok.status(), 200, "{number}");
    let leg = *b.media_legs().last().unwrap();
    (b.ack(peer, &invite, &ok), ok, leg)
}

pub fn joins(b: &mut Bench, peer: &str, user: &str) -> (Dialog, MediaLegId) {
    let (dialog, _, leg) = dials(b, peer, user, "3000");
    (dialog, leg)
}

/// What a leg hears once is at its end.
pub fn played(b: &mut Bench, leg: MediaLegId) {
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::Played(leg)));
}

pub fn press(b: &mut Bench, leg: MediaLegId, keys: &str) {
    for key in keys.chars() {
        let event = MediaEvent::Digit {
            leg,
            digit: key.into(),
            ms: 100,
        };
        b.with(|calls, cx, net| calls.media(cx, net, event));
    }
}

pub fn act(b: &mut Bench, asker: Asker, action: Action) -> Result<(), Refused> {
    b.with(|calls, cx, net| calls.room_act(cx, net, "3000", asker, action))
}

pub fn operator(b: &mut Bench, action: Action) {
    assert_eq!(act(b, Asker::Operator, action.clone()), Ok(()), "{action:?}");
}

pub fn does(b: &Bench, leg: MediaLegId) -> Option<Function> {
    b.does(leg).0
}

pub const IN: Option<Function> = Some(Function::Room(MediaRoomId(16)));

/// The peer of a leg hangs up.
pub fn hangs_up(b: &mut Bench, peer: &str, dialog: &mut Dialog) {
    b.ask(peer, dialog, Method::Bye, None);
    assert!(b.heads(peer).contains(&"200 BYE".to_owned()));
}

/// A peer is sent a BYE, and answers it.
pub fn is_released(b: &mut Bench, peer: &str) {
    let bye = b.one(peer);
    assert_eq!(bye.method(), Method::Bye);
    b.answer(peer, &bye, 200, None);
}

/// The same within a minute.
pub fn is_released_in_time(b: &mut Bench, peer: &str) {
    for _ in 0..600 {
        b.wait(Duration::from_millis(100));
        if let Some(bye) = b.heard(peer).first() {
            assert_eq!(bye.method(), Method::Bye);
            b.answer(peer, bye, 200, None);
            return;
        }
    }
    panic!("{peer} is not released");
}

pub fn statuses(b: &Bench) -> Vec<Status> {
    let view = b.calls.room_view("3000").expect("somebody is there");
    view.members.iter().map(|member| member.status).collect()
}

pub fn seat(b: &Bench, leg: MediaLegId) -> Option<Seat> {
    b.media.iter().rev().find_map(|command| match command {
        Command::Seat { leg: of, seat } if *of == leg => Some(*seat),
        _ => None,
    })
}

fn changed(b: &Bench) -> Vec<String> {
    let what = |fact: &Fact| match fact {
        Fact::CallChanged { what, .. } => Some(what.clone()),
        Fact::Room { room, what } => Some(format!("{room}: {what}")),
        _ => None,
    };
    b.facts.iter().filter_map(what).collect()
}

#[test]
fn who_dials_the_number_sits_with_the_others() {
    let mut b = with_room("");
    let (mut alice, ok, first) = dials(&mut b, ALICE, "alice", "3000");
    let contact = ok.get(Name::Contact).unwrap().to_string();
    assert_eq!(contact, "<sip:3000@192.0.2.1:5060>;isfocus", "RFC 4579 5.1");
    assert_eq!(does(&b, first), Some(Function::Play), "she is told that she is alone");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    assert_eq!((does(&b, first), does(&b, second)), (IN, IN));
    let view = b.calls.room_view("3000").unwrap();
    let members: Vec<_> = view
        .members
        .iter()
        .map(|m| (m.uri.as_str(), m.display.as_str()))
        .collect();
    assert_eq!(
        members,
        [("sip:alice@example.com", "Alice"), ("sip:bob@example.com", "bob")]
    );
    assert_eq!((view.name.as_str(), view.most), ("standup", 100));
    assert_eq!(b.calls.room_views(), [view]);
    let opened = b.media.iter().filter(|command| matches!(command, Command::OpenRoom(_)));
    assert_eq!(opened.count(), 1);
    hangs_up(&mut b, ALICE, &mut alice);
    assert_eq!(does(&b, second), Some(Function::Play), "he is alone");
    hangs_up(&mut b, BOB, &mut bob);
    assert_eq!(b.calls.room_view("3000"), None);
    assert!(b.media.contains(&Command::CloseRoom(MediaRoomId(16))));
    b.rest();
    let by =
        |fact: &Fact| matches!(fact, Fact::CallAnswered { by: Party::Service(name), .. } if name == "room/standup");
    assert_eq!(b.facts.iter().filter(|fact| by(fact)).count(), 2);
    let routed = |fact: &Fact| matches!(fact, Fact::CallRouted { to, rule, .. } if to == "room/standup" && rule == "rooms: standup, by number");
    assert!(b.facts.iter().any(routed));
    let told = changed(&b);
    for sentence in [
        "joins room standup as member 1",
        "joins room standup as member 2",
        "standup: is open",
        "standup: is closed, since nobody is in it",
    ] {
        assert!(told.iter().any(|own| own == sentence), "{sentence}: {told:?}");
    }
}

#[test]
fn the_pin_is_pressed_as_events_or_told_by_info() {
    let mut b = with_room("pin: \"4711\"");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    assert_eq!(statuses(&b), [Status::Waiting, Status::Waiting]);
    press(&mut b, first, "4711");
    assert_eq!(statuses(&b), [Status::Connected, Status::Waiting]);
    for key in ["4", "7", "1", "1"] {
        b.ask(
            BOB,
            &mut bob,
            Method::Info,
            Some(("application/dtmf-relay", format!("Signal={key}\r\nDuration=100\r\n"))),
        );
    }
    assert_eq!(statuses(&b), [Status::Connected, Status::Connected]);
    assert_eq!((does(&b, first), does(&b, second)), (IN, IN));
    b.heard(BOB);
    hangs_up(&mut b, BOB, &mut bob);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn three_wrong_pins_end_the_call() {
    let mut b = with_room("pin: \"4711\"");
    let (_, leg) = joins(&mut b, ALICE, "alice");
    press(&mut b, leg, "0000#");
    // Both are said: that it was wrong, and what is wanted.
    played(&mut b, leg);
    assert_eq!(does(&b, leg), Some(Function::Play));
    press(&mut b, leg, "0000#1111");
    assert_eq!(b.heads(ALICE), [""; 0], "she hears it first");
    played(&mut b, leg);
    is_released(&mut b, ALICE);
    b.rest();
    assert_eq!(b.ended()[0].status, 403);
    let printed = format!("{:?}", b.facts);
    assert!(!printed.contains("4711"), "no PIN is told");
}

#[test]
fn a_locked_room_is_told_before_the_answer() {
    let mut b = with_room("");
    let (mut alice, _) = joins(&mut b, ALICE, "alice");
    operator(&mut b, Action::Lock(true));
    b.invite(BOB, "bob", "3000", Some(sdp(5000, "")));
    assert_eq!(b.one(BOB).status(), 183);
    let leg = *b.media_legs().last().unwrap();
    assert_eq!(does(&b, leg), Some(Function::Play));
    played(&mut b, leg);
    assert_eq!(b.one(BOB).status(), 403);
    // Who can hear nothing before the answer is refused at once.
    b.invite(CAROL, "carol", "3000", None);
    assert_eq!(b.one(CAROL).status(), 403);
    assert_eq!(statuses(&b).len(), 1);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn rooms_on_demand_have_the_number_that_was_dialled() {
    let parts = [(
        ROUTES,
        "rooms: [ { number: \"*\", max_members: 2 } ]\nroutes:\n  - { to: \"7*\", do: room }\n".to_owned(),
    )];
    let mut b = Bench::changed_in(&parts);
    let (mut alice, ok, _) = dials(&mut b, ALICE, "alice", "7001");
    assert!(ok.get(Name::Contact).unwrap().starts_with("<sip:7001@"));
    let (mut bob, ..) = dials(&mut b, BOB, "bob", "7002");
    let rooms: Vec<_> = b
        .calls
        .room_views()
        .into_iter()
        .map(|room| (room.number, room.name))
        .collect();
    let expected = ["7001", "7002"].map(|number| (number.to_owned(), number.to_owned()));
    assert_eq!(rooms, expected);
    assert_eq!(b.calls.room_view("7001").unwrap().most, 2);
    // What can be no room's number is none.
    b.invite(CAROL, "carol", &format!("7{}", "0".repeat(40)), Some(sdp(4000, "")));
    assert_eq!(b.one(CAROL).status(), 404);
    hangs_up(&mut b, ALICE, &mut alice);
    hangs_up(&mut b, BOB, &mut bob);
    b.rest();
}

#[test]
fn each_action_reaches_its_member() {
    let mut b = with_room("moderators: [ alice ]");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (_, second) = joins(&mut b, BOB, "bob");
    let bob = MemberId(2);
    let muted = Seat {
        speaks: false,
        hears: true,
        shows: true,
    };
    // By a moderator's key, by a control.
    press(&mut b, first, "*7");
    assert_eq!(does(&b, second), Some(Function::Play), "he hears that he is muted");
    played(&mut b, second);
    assert_eq!((does(&b, second), seat(&b, second)), (IN, Some(muted)));
    operator(&mut b, Action::Mute(Whom::One(bob), false));
    played(&mut b, second);
    assert_eq!((does(&b, second), seat(&b, second)), (IN, Some(Seat::default())));
    operator(&mut b, Action::Deafen(Whom::One(bob), true));
    assert_eq!(seat(&b, second).map(|seat| seat.hears), Some(false));
    operator(&mut b, Action::Hold(Whom::All, true));
    assert_eq!((does(&b, first), does(&b, second)), (IN, Some(Function::Play)));
    operator(&mut b, Action::Hold(Whom::All, false));
    assert_eq!(does(&b, second), IN);
    operator(&mut b, Action::Record(true));
    let recorded = b.media.iter().find_map(|command| match command {
        Command::RecordRoom { to: Some(to), .. } => Some(*to),
        _ => None,
    });
    let recording = recorded.expect("the room is recorded");
    let file = recording.file();
    assert!(b.facts.contains(&Fact::RecordingStarted { recording }));
    assert!(changed(&b).contains(&format!("standup: is recorded in {file}")));
    let asked = act(&mut b, Asker::Member(bob), Action::Kick(MemberId(1)));
    assert_eq!(asked, Err(Refused::NotAllowed));
    assert_eq!(act(&mut b, Asker::Member(MemberId(1)), Action::Kick(bob)), Ok(()));
    assert_eq!(does(&b, second), Some(Function::Play), "he hears that he was removed");
    played(&mut b, second);
    is_released(&mut b, BOB);
    hangs_up(&mut b, ALICE, &mut alice);
    assert!(b.media.contains(&Command::RecordRoom {
        room: MediaRoomId(16),
        to: None
    }));
    b.rest();
}

#[test]
fn the_end_of_a_room_is_said_and_ends_all_calls() {
    let mut b = with_room("");
    joins(&mut b, ALICE, "alice");
    joins(&mut b, BOB, "bob");
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::RoomPlayed(MediaRoomId(16))));
    operator(&mut b, Action::End);
    assert!(matches!(b.media.last(), Some(Command::PlayRoom { .. })));
    assert_eq!(b.heads(ALICE), [""; 0]);
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::RoomPlayed(MediaRoomId(16))));
    is_released(&mut b, ALICE);
    is_released(&mut b, BOB);
    assert_eq!(b.calls.room_view("3000"), None);
    b.rest();
}

#[test]
fn who_holds_the_room_is_not_heard_and_comes_back() {
    let mut b = with_room("");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    for (wish, function, status) in [
        ("a=sendonly\r\n", Some(Function::Idle), Status::OnHold),
        ("", IN, Status::Connected),
        ("a=inactive\r\n", Some(Function::Idle), Status::OnHold),
        ("a=sendrecv\r\n", IN, Status::Connected),
    ] {
        let body = Some(("application/sdp", sdp(5000, wish)));
        b.ask(BOB, &mut bob, Method::Invite, body);
        let ok = b.one(BOB);
        assert_eq!(ok.status(), 200);
        assert!(ok.get(Name::Contact).unwrap().ends_with(";isfocus"));
        b.say(BOB, bob.ack(bob.local_cseq));
        assert_eq!((does(&b, second), statuses(&b)[1]), (function, status), "{wish}");
        assert_eq!(does(&b, first), IN, "alice hears nothing of it");
    }
    assert_eq!(b.heads(BOB), [""; 0], "nothing is to be reconciled");
    hangs_up(&mut b, ALICE, &mut alice);
    hangs_up(&mut b, BOB, &mut bob);
    b.rest();
}

#[test]
fn who_falls_silent_or_breaks_leaves_the_room_and_nobody_else_does() {
    let mut b = with_room("");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (_, second) = joins(&mut b, BOB, "bob");
    let (_, third) = joins(&mut b, CAROL, "carol");
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::Silent(second)));
    is_released(&mut b, BOB);
    assert_eq!(statuses(&b).len(), 2);
    let broken = *b.calls.calls.keys().max().unwrap();
    b.with(|calls, cx, net| calls.turn(cx, net, broken, |_, _| panic!("a fault, made for this test")));
    is_released(&mut b, CAROL);
    assert_eq!((statuses(&b).len(), does(&b, first)), (1, Some(Function::Play)));
    assert!(b.calls.desk.by_media(third).is_none());
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn who_listens_hears_what_happens_and_whose_dialog_it_is() {
    let mut b = with_room("");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let room = MediaRoomId(16);
    for speaks in [true, false] {
        let event = MediaEvent::Speaking {
            room,
            leg: first,
            speaks,
        };
        b.with(|calls, cx, net| calls.media(cx, net, event));
        b.wait(S1);
    }
    let one = MemberId(1);
    let told = b.calls.room_events();
    let expected = [
        RoomEvent::Changed(one),
        RoomEvent::Joined(one),
        RoomEvent::Speaking(one, true),
        RoomEvent::Speaking(one, false),
    ];
    assert_eq!(told, expected.map(|event| ("3000".to_owned(), event)));
    assert!(b.calls.room_events().is_empty());
    let mut request = alice.request(Method::Options);
    request.push_front(Name::Via, format!("SIP/2.0/UDP {ALICE};branch=z9hG4bKo"));
    let request = request.to_message().unwrap();
    assert_eq!(b.calls.room_member(&request), Some(("3000".to_owned(), one)));
    hangs_up(&mut b, ALICE, &mut alice);
    assert_eq!(b.calls.room_member(&request), None);
    b.rest();
}

#[test]
fn a_user_who_is_recorded_is_recorded_in_a_room_too() {
    let parts = [
        (ROUTES, "rooms: [ { number: \"3000\" } ]\nroutes:\n".to_owned()),
        ("display_name: Alice", "display_name: Alice, record: yes".to_owned()),
    ];
    let mut b = Bench::changed_in(&parts);
    let (mut alice, leg) = joins(&mut b, ALICE, "alice");
    let recorded = |command: &Command| matches!(command, Command::Record { leg: of, to: Some(_) } if *of == leg);
    assert!(b.media.iter().any(recorded));
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn the_end_of_an_announcement_is_not_that_of_the_rooms_words() {
    let parts = [
        (ROUTES, "rooms: [ { number: \"3000\" } ]\nroutes:\n".to_owned()),
        ("media: {", "recording: { announcement: 3.wav }\nmedia: {".to_owned()),
        ("display_name: Alice", "display_name: Alice, record: yes".to_owned()),
    ];
    let mut b = Bench::changed_in(&parts);
    let (mut bob, first) = joins(&mut b, BOB, "bob");
    let alone = b.does(first);
    played(&mut b, first);
    let silence = b.does(first);
    assert_ne!(alone, silence);
    hangs_up(&mut b, BOB, &mut bob);
    let (mut alice, leg) = joins(&mut b, ALICE, "alice");
    assert_eq!(b.does(leg), (Some(Function::Play), Some(3)), "that she is recorded");
    b.wait(Duration::from_secs(3));
    played(&mut b, leg);
    b.wait(S1);
    assert_eq!(b.does(leg), alone, "and then that she is alone");
    played(&mut b, leg);
    assert_eq!(b.does(leg), silence);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

/// A number that an outsider shows is one of its carrier's, even if a user of ours is called so; and what it shows is bounded.
#[test]
fn who_comes_from_outside_is_not_shown_as_one_of_ours() {
    let routes = "rooms: [ { number: \"3000\" } ]\nroutes:\n  - { to: \"+14155553000\", do: room/3000 }\n";
    let mut b = Bench::changed(ROUTES, routes);
    let (long, too_long) = ("a1".repeat(40), "a1".repeat(150));
    for (from, uri) in [
        ("+12125550123", "sip:+12125550123@198.51.100.1"),
        // What is no number says nothing of who it is.
        ("alice", "sip:anonymous@anonymous.invalid"),
        ("alice1", "sip:alice1@198.51.100.1"),
        (&*long, &*format!("sip:{long}@198.51.100.1")),
        (&*too_long, "sip:anonymous@anonymous.invalid"),
    ] {
        let (mut caller, ..) = dials(&mut b, ACME, from, "+14155553000");
        let view = b.calls.room_view("3000").unwrap();
        let member = &view.members[0];
        assert_eq!(member.uri, uri, "{from}");
        assert!(member.display.chars().count() <= crate::limits::DISPLAY_CHARS);
        hangs_up(&mut b, ACME, &mut caller);
    }
    b.rest();
}

#[test]
fn a_key_that_comes_in_both_ways_is_pressed_once() {
    let mut b = with_room("pin: \"4411\"");
    let (mut alice, leg) = joins(&mut b, ALICE, "alice");
    let inform = |b: &mut Bench, alice: &mut Dialog, key: char| {
        let body = format!("Signal={key}\r\nDuration=100\r\n");
        b.ask(ALICE, alice, Method::Info, Some(("application/dtmf-relay", body)));
        b.wait(Duration::from_millis(100));
    };
    // Whichever comes first.
    press(&mut b, leg, "4");
    inform(&mut b, &mut alice, '4');
    press(&mut b, leg, "4");
    inform(&mut b, &mut alice, '4');
    inform(&mut b, &mut alice, '1');
    press(&mut b, leg, "1");
    assert_eq!(statuses(&b), [Status::Waiting]);
    inform(&mut b, &mut alice, '1');
    assert_eq!(statuses(&b), [Status::Connected]);
    press(&mut b, leg, "1");
    b.heard(ALICE);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

//! Whose place is whose, and what goes with it; what ends, and what does not.

use super::*;

#[test]
fn who_leaves_the_mix_does_not_speak_any_more() {
    for leaves in [
        |w: &mut World, a: Place, _: Place| w.operator(Action::Hold(Whom::One(a.member), true)),
        |w: &mut World, a: Place, _: Place| w.tell(a, Input::Holds(true)),
        |w: &mut World, a: Place, _: Place| w.operator(Action::Mute(Whom::One(a.member), true)),
        |w: &mut World, a: Place, _: Place| w.operator(Action::Kick(a.member)),
        |w: &mut World, _: Place, b: Place| w.tell(b, Input::Left),
    ] {
        let mut w = world("");
        let (a, b) = (w.dials("alice"), w.dials("bob"));
        w.tell(a, Input::Speaks(true));
        assert!(w.rooms.view("3000").unwrap().members[0].speaking);
        leaves(&mut w, a, b);
        w.wait(S1);
        assert!(!w.rooms.view("3000").unwrap().members[0].speaking);
        assert!(w.events().contains(&RoomEvent::Speaking(a.member, false)));
    }
}

#[test]
fn the_end_of_a_tone_does_not_end_the_room() {
    let mut w = world("");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.operator(Action::End);
    assert_eq!(w.commands(), ["open", "play", "play"], "its end in place of the tone");
    w.rooms.played(a.room);
    w.tend();
    assert_eq!((w.dismissed(a), w.dismissed(b)), (None, None), "that was the tone");
    w.rooms.played(a.room);
    w.tend();
    assert!(w.dismissed(a).is_some() && w.dismissed(b).is_some());
}

#[test]
fn what_was_done_to_a_member_holds_for_who_takes_its_place() {
    let mut w = world("moderators: [ alice ]");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    for action in [Action::Mute, Action::Deafen, Action::Hold] {
        w.operator(action(Whom::One(b.member), true));
    }
    w.operator(Action::Promote(b.member, Role::Listener));
    // Who is in a locked room may leave it to another.
    w.operator(Action::Lock(true));
    let carol = w.takes_place("carol", b).unwrap();
    w.tell(b, Input::Left);
    let view = w.rooms.view("3000").unwrap();
    let new = view.members.iter().find(|member| member.id == carol.member).unwrap();
    assert_eq!(
        (new.muted, new.deaf, new.role, new.status),
        (true, true, Role::Listener, Status::OnHold)
    );
    // To be a moderator goes with nobody's place.
    let dave = w.takes_place("dave", a).unwrap();
    let view = w.rooms.view("3000").unwrap();
    let new = view.members.iter().find(|member| member.id == dave.member).unwrap();
    assert_eq!((new.role, new.status), (Role::Speaker, Status::Connected));
    // Whoever is sent away stays so.
    w.operator(Action::Kick(carol.member));
    assert_eq!(w.takes_place("bob", carol), None);
    w.operator(Action::End);
    assert_eq!(w.takes_place("bob", dave), None);
}

#[test]
fn at_the_door_a_place_is_one_at_the_door() {
    let mut w = world("pin: \"4711\"");
    let a = w.dials("alice");
    w.press(a, "0000#0000");
    let b = w.takes_place("bob", a).unwrap();
    w.tell(a, Input::Left);
    w.press(b, "0000");
    w.tell(b, Input::Played);
    assert_eq!(w.dismissed(b), Some(door::WRONG.why), "the third in all");
    let c = w.dials("carol");
    w.operator(Action::Lock(true));
    assert_eq!(w.takes_place("dave", c), None);
}

#[test]
fn who_was_called_has_the_rights_of_the_user_who_answered() {
    let mut w = world("outgoing: user/alice, moderators: [ bob ], wait_for_moderator: yes");
    let a = w.dials("alice");
    w.operator(Action::Call(vec!["bob".to_owned()]));
    let b = Place {
        room: a.room,
        member: MemberId(2),
    };
    w.rooms.answered_by(b, "bob");
    w.tell(b, Input::Answered);
    w.press(b, "1");
    assert_eq!(w.rooms.view("3000").unwrap().members[1].role, Role::Moderator);
    assert_eq!((w.status(a), w.status(b)), (Status::Connected, Status::Connected));
}

#[test]
fn rooms_on_demand_leave_room_for_those_of_the_configuration() {
    let mut w = world("");
    let on_demand = Arc::new(config::Room::on_demand());
    for n in 0..limits::ROOMS_ON_DEMAND {
        let number = format!("7{n}");
        assert_eq!(w.rooms.admits(&number, &on_demand, 1), Ok(()));
        w.rooms.prepare(w.at(), &number, &on_demand, WorkerId(0)).unwrap();
    }
    assert_eq!(w.rooms.admits("8", &on_demand, 1).unwrap_err().1.status, 503);
    let full = w.rooms.prepare(w.at(), "8", &on_demand, WorkerId(0));
    assert_eq!(full, Err(Refused::Full));
    assert_eq!(w.admits(), Ok(()));
}

fn slots(w: &World, place: Place) -> Vec<Box<str>> {
    let slots = w.rooms.slots(place);
    slots.into_iter().map(|slot| slot.line).collect()
}

/// A browser that names its lines anew again and again leaves no names behind, and who has left the mix sees nobody.
#[test]
fn whom_a_member_sees_is_bounded_and_forgotten_with_the_mix() {
    let mut w = world("");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.then_hears(a);
    w.then_hears(b);
    // The second call.
    let bob = Some((CallId(2), false));
    for n in 0..100 {
        w.tell(a, Input::Shows(format!("m{n}").into(), bob));
    }
    assert_eq!(slots(&w, a).len(), limits::VIDEO_LINES);
    let lines = ["m3", "m90"].map(Into::into);
    w.tell(a, Input::Lines(lines.to_vec()));
    assert_eq!(slots(&w, a), ["m3".into()] as [Box<str>; 1]);
    w.tell(a, Input::Holds(true));
    assert!(slots(&w, a).is_empty());
    let gone = |event: &RoomEvent| matches!(event, RoomEvent::Shows(id, _, None) if *id == a.member);
    assert!(w.events().iter().any(gone));
}

//! Names of who comes into a room, and recordings of it and of its members.

use super::bench::*;
use super::room::{IN, act, does, hangs_up, joins, operator, played, press, statuses, with_room};
use crate::effect::Fact;
use crate::id::{MediaLegId, MediaRoomId};
use crate::media::command::{Command, Event as MediaEvent, Function, Music, Of, Recording, Side, Sound};
use crate::room::view::{Action, Asker, MemberId, Status};
use crate::sip::Method;
use std::sync::Arc;
use std::time::Duration;

const ROUTES: &str = "routes:\n";

fn name() -> Music {
    Music::new(vec![Arc::new(Sound::silence(Duration::from_secs(2)))])
}

fn noted(b: &mut Bench, leg: MediaLegId, name: Option<Music>) {
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::Noted(leg, name)));
}

/// How long what the room heard last is.
fn room_hears(b: &Bench) -> Option<Duration> {
    b.media.iter().rev().find_map(|command| match command {
        Command::PlayRoom { music, .. } => Some(music.duration()),
        _ => None,
    })
}

fn room_played(b: &mut Bench) {
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::RoomPlayed(MediaRoomId(16))));
}

/// Where a leg is recorded by now.
fn recorded(b: &Bench, leg: MediaLegId) -> Option<(Recording, Side)> {
    let to = b.media.iter().rev().find_map(|command| match command {
        Command::Record { leg: of, to } if *of == leg => Some(*to),
        _ => None,
    });
    to.flatten()
}

fn mix(b: &Bench) -> Option<Recording> {
    let to = b.media.iter().rev().find_map(|command| match command {
        Command::RecordRoom { to, .. } => Some(*to),
        _ => None,
    });
    to.flatten()
}

fn begun(b: &Bench) -> Vec<Recording> {
    let recording = |fact: &Fact| match fact {
        Fact::RecordingStarted { recording } => Some(*recording),
        _ => None,
    };
    b.facts.iter().filter_map(recording).collect()
}

#[test]
fn what_who_comes_says_after_the_tone_is_noted_and_heard_by_all() {
    let mut b = with_room("entry: names");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    for leg in [first, second] {
        // The words, and the tone.
        for _ in 0..2 {
            assert_eq!(does(&b, leg), Some(Function::Play));
            played(&mut b, leg);
        }
        assert_eq!(does(&b, leg), Some(Function::Note));
    }
    assert_eq!(statuses(&b), [Status::Waiting, Status::Waiting]);
    // One is silent at last, the other presses a key.
    noted(&mut b, first, None);
    assert_eq!(statuses(&b), [Status::Connected, Status::Waiting]);
    press(&mut b, second, "#");
    assert_eq!(
        does(&b, second),
        Some(Function::Play),
        "silence, which ends what is noted"
    );
    noted(&mut b, second, Some(name()));
    assert_eq!((does(&b, first), does(&b, second)), (IN, IN));
    let both = |hears: Option<Duration>| hears.is_some_and(|hears| hears > Duration::from_millis(2_500));
    assert!(both(room_hears(&b)), "bob, and that he has joined");
    room_played(&mut b);
    hangs_up(&mut b, BOB, &mut bob);
    assert!(both(room_hears(&b)), "and that he has left");
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

/// The tone of a recording does not come into a name; a hold ends it.
#[test]
fn nobody_is_disturbed_who_says_his_name() {
    let parts = [
        (
            ROUTES,
            "rooms: [ { number: \"3000\", entry: names } ]\nroutes:\n".to_owned(),
        ),
        ("media: {", "recording: { tone: 5s }\nmedia: {".to_owned()),
        ("display_name: Alice", "display_name: Alice, record: yes".to_owned()),
    ];
    let mut b = Bench::changed_in(&parts);
    let (mut alice, leg) = joins(&mut b, ALICE, "alice");
    b.wait(Duration::from_secs(4));
    for _ in 0..2 {
        assert_eq!(does(&b, leg), Some(Function::Play));
        played(&mut b, leg);
    }
    for _ in 0..3 {
        assert_eq!(does(&b, leg), Some(Function::Note));
        b.wait(Duration::from_secs(1));
    }
    let body = Some(("application/sdp", sdp(5000, "a=sendonly\r\n")));
    b.ask(ALICE, &mut alice, Method::Invite, body);
    assert_eq!(b.one(ALICE).status(), 200);
    b.say(ALICE, alice.ack(alice.local_cseq));
    assert_eq!(does(&b, leg), Some(Function::Idle));
    noted(&mut b, leg, Some(name()));
    assert_eq!(statuses(&b), [Status::OnHold]);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn each_member_is_recorded_in_a_file_that_names_the_rooms() {
    let mut b = with_room("record: yes, recording: both");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    let mix_of = mix(&b).expect("the mix is recorded");
    assert_eq!(mix_of.of, Of::Call);
    for (n, leg) in [(1, first), (2, second)] {
        let (recording, side) = recorded(&b, leg).expect("each is recorded");
        assert_eq!((recording.of, side), (Of::Member(mix_of.call, n), Side::Caller));
        let begins = format!("{}/{}-m{n}-", mix_of.folder(), mix_of.call);
        assert!(recording.file().starts_with(&begins), "{}", recording.file());
        assert!(begun(&b).contains(&recording));
    }
    operator(&mut b, Action::Record(false));
    assert_eq!((mix(&b), recorded(&b, first), recorded(&b, second)), (None, None, None));
    // Once more: other files.
    operator(&mut b, Action::Record(true));
    let again = mix(&b).expect("it is recorded again");
    let (recording, _) = recorded(&b, second).expect("he too");
    assert_eq!((recording.of, recording.number), (Of::Member(again.call, 2), 2));
    assert_ne!(again.call, mix_of.call);
    assert_eq!(begun(&b).len(), 6);
    hangs_up(&mut b, BOB, &mut bob);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
    let told = format!(
        "what its members say is recorded in {}/{}-m*",
        mix_of.folder(),
        mix_of.call
    );
    let is_told = |fact: &Fact| matches!(fact, Fact::Room { what, .. } if *what == told);
    assert!(b.facts.iter().any(is_told));
}

#[test]
fn the_members_are_recorded_without_the_mix() {
    let mut b = with_room("recording: members, moderators: [ alice ]");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    press(&mut b, first, "*3");
    assert_eq!(mix(&b), None);
    let (recording, _) = recorded(&b, first).expect("what she says is recorded");
    assert!(matches!(recording.of, Of::Member(_, 1)));
    let told = b
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::RecordingStarted { .. }));
    assert_eq!(told.count(), 1);
    press(&mut b, first, "*3");
    assert_eq!(recorded(&b, first), None);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

/// Who is recorded in any case has one file, whatever the room does; by his phone he cannot switch off what the room wants.
#[test]
fn whose_calls_are_recorded_has_the_file_of_his_call() {
    let parts = [
        (
            ROUTES,
            "rooms: [ { number: \"3000\", recording: both } ]\nroutes:\n".to_owned(),
        ),
        ("display_name: Alice", "display_name: Alice, record: yes".to_owned()),
        ("ring: 30s", "ring: 30s, record: on_request".to_owned()),
    ];
    let mut b = Bench::changed_in(&parts);
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    let own = recorded(&b, first);
    assert_eq!(own.map(|(recording, _)| recording.of), Some(Of::Call));
    for on in [true, false] {
        assert_eq!(act(&mut b, Asker::Operator, Action::Record(on)), Ok(()));
        assert_eq!(recorded(&b, first), own);
        assert_eq!(recorded(&b, second).is_some(), on);
        let asked = if on { 403 } else { 200 };
        b.ask_with(BOB, &mut bob, Method::Info, None, &[("Record", "off")]);
        assert_eq!(b.one(BOB).status(), asked);
    }
    // He asks for one of his own while the room has him recorded: that begins when the room's ends.
    operator(&mut b, Action::Record(true));
    b.ask_with(BOB, &mut bob, Method::Info, None, &[("Record", "on")]);
    assert_eq!(b.one(BOB).status(), 200);
    let of = |b: &Bench| recorded(b, second).map(|(recording, _)| recording.of);
    assert!(matches!(of(&b), Some(Of::Member(_, 2))));
    operator(&mut b, Action::Record(false));
    assert_eq!(of(&b), Some(Of::Call));
    assert_eq!(act(&mut b, Asker::Operator, Action::Kick(MemberId(2))), Ok(()));
    played(&mut b, second);
    let bye = b.one(BOB);
    b.answer(BOB, &bye, 200, None);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn that_it_is_recorded_is_told_by_the_room() {
    let parts = [
        (
            ROUTES,
            "rooms: [ { number: \"3000\", entry: none, recording: both } ]\nroutes:\n".to_owned(),
        ),
        ("media: {", "recording: { announcement: 3.wav }\nmedia: {".to_owned()),
    ];
    let mut b = Bench::changed_in(&parts);
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    let (mut bob, second) = joins(&mut b, BOB, "bob");
    operator(&mut b, Action::Record(true));
    assert_eq!(room_hears(&b), Some(Duration::from_secs(3)));
    // His call's own recording does not tell it once more.
    assert_eq!((does(&b, first), does(&b, second)), (IN, IN));
    let (mut carol, third) = joins(&mut b, CAROL, "carol");
    assert_eq!(b.does(third), (Some(Function::Play), Some(3)));
    assert_eq!((statuses(&b)[2], recorded(&b, third)), (Status::Waiting, None));
    played(&mut b, third);
    assert_eq!((statuses(&b)[2], does(&b, third)), (Status::Connected, IN));
    assert!(recorded(&b, third).is_some());
    hangs_up(&mut b, ALICE, &mut alice);
    hangs_up(&mut b, BOB, &mut bob);
    hangs_up(&mut b, CAROL, &mut carol);
    b.rest();
}

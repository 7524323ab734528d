//! Who is called into a room, transferred or moved there.

use super::super::focus::Wanted;
use super::bench::*;
use super::room::{
    IN, S1, act, dials, does, hangs_up, is_released_in_time, joins, operator, played, press, statuses, with_room,
};
use crate::dialog::Dialog;
use crate::effect::{Fact, Party};
use crate::id::CallId;
use crate::media::command::{Command, Function};
use crate::room::view::{Action, Asker, MemberId, Refused, Status};
use crate::sip::{Message, Method, Name};

fn call(numbers: &[&str]) -> Action {
    Action::Call(numbers.iter().map(|number| (*number).to_owned()).collect())
}

#[test]
fn who_is_called_joins_by_pressing_one() {
    let mut b = with_room("moderators: [ alice ]");
    let (mut alice, first) = joins(&mut b, ALICE, "alice");
    assert_eq!(act(&mut b, Asker::Member(MemberId(1)), call(&["bob"])), Ok(()));
    let invite = b.one(BOB);
    let from = invite.get(Name::From).unwrap().to_string();
    assert!(from.starts_with("\"standup\" <sip:3000@example.com>;tag="), "{from}");
    assert_eq!(
        invite.get(Name::Contact).unwrap(),
        "<sip:3000@192.0.2.1:5060>;isfocus",
        "RFC 4579 5.5"
    );
    assert_eq!(statuses(&b), [Status::Connected, Status::DialingOut]);
    b.answer(BOB, &invite, 180, None);
    assert_eq!(statuses(&b)[1], Status::Alerting);
    let mut bob = b.answer(BOB, &invite, 200, Some(sdp(5000, ""))).unwrap();
    assert_eq!(b.heads(BOB), ["ACK"]);
    let second = *b.media_legs().last().unwrap();
    assert_eq!(does(&b, second), Some(Function::Play), "he is asked");
    assert_eq!(does(&b, first), Some(Function::Play), "alice is alone still");
    press(&mut b, second, "1");
    assert_eq!((does(&b, first), does(&b, second)), (IN, IN));
    let view = b.calls.room_view("3000").unwrap();
    assert_eq!(view.members[1].uri, "sip:bob@example.com");
    hangs_up(&mut b, BOB, &mut bob);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
    let started = |fact: &Fact| {
        matches!(fact, Fact::CallStarted { from: Party::Service(from), caller, called, .. }
            if from == "room/standup" && caller == "3000" && called == "bob")
    };
    assert_eq!(b.facts.iter().filter(|fact| started(fact)).count(), 1);
    let answered = |fact: &Fact| matches!(fact, Fact::CallAnswered { by: Party::User(name), .. } if name == "bob");
    assert_eq!(b.facts.iter().filter(|fact| answered(fact)).count(), 1);
}

#[test]
fn a_voicemail_does_not_join() {
    let mut b = with_room("outgoing: user/alice");
    let (mut alice, _) = joins(&mut b, ALICE, "alice");
    operator(&mut b, call(&["bob"]));
    let invite = b.one(BOB);
    b.answer(BOB, &invite, 200, Some(sdp(5000, "")));
    b.heard(BOB);
    is_released_in_time(&mut b, BOB);
    assert_eq!(statuses(&b), [Status::Connected]);
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

#[test]
fn who_is_busy_or_hangs_up_early_is_no_member_any_more() {
    let mut b = with_room("outgoing: user/alice");
    let (mut alice, _) = joins(&mut b, ALICE, "alice");
    operator(&mut b, call(&["bob"]));
    let invite = b.one(BOB);
    b.answer(BOB, &invite, 486, None);
    assert_eq!(b.heads(BOB), ["ACK"]);
    assert_eq!(statuses(&b).len(), 1);
    // Nobody waits for one who is called when the last one leaves.
    operator(&mut b, call(&["bob"]));
    let invite = b.one(BOB);
    b.answer(BOB, &invite, 180, None);
    hangs_up(&mut b, ALICE, &mut alice);
    let cancel = b.one(BOB);
    assert_eq!(cancel.method(), Method::Cancel);
    b.answer(BOB, &cancel, 200, None);
    b.answer(BOB, &invite, 487, None);
    assert_eq!(b.calls.room_view("3000"), None);
    b.heard(BOB);
    b.rest();
}

/// Who has as many calls as he may have: what fails at once is no call that was made.
#[test]
fn who_cannot_be_reached_is_not_told_as_called() {
    let rooms = "rooms: [ { number: \"3000\", outgoing: user/alice } ]\nroutes:\n".to_owned();
    let parts = [
        ("ring: 30s }", "ring: 30s, calls: 1 }".to_owned()),
        ("routes:\n", rooms),
    ];
    let mut b = Bench::changed_in(&parts);
    let asked = |b: &mut Bench, number: &str| {
        let wanted = Wanted::Call(number.to_owned());
        b.with(|calls, cx, net| calls.room_asked(cx, net, "3000", Asker::Operator, wanted))
    };
    let (mut bob, _) = joins(&mut b, BOB, "bob");
    assert_eq!(asked(&mut b, "bob"), Err(Refused::Unreached));
    assert_eq!(asked(&mut b, "alice"), Ok(Some(MemberId(3))));
    let invite = b.one(ALICE);
    b.answer(ALICE, &invite, 486, None);
    b.heard(ALICE);
    hangs_up(&mut b, BOB, &mut bob);
    b.rest();
}

#[test]
fn a_room_calls_by_the_rights_of_who_asks() {
    let parts = [(
        "routes:\n",
        "rooms: [ { number: \"3000\", moderators: [ alice, bob ] } ]\nroutes:\n  - { to: \"+1900*\", from: user/bob, do: reject/403 }\n"
            .to_owned(),
    )];
    let mut b = Bench::changed_in(&parts);
    let (mut alice, _) = joins(&mut b, ALICE, "alice");
    let (mut bob, _) = joins(&mut b, BOB, "bob");
    let premium = "+19005550199";
    assert_eq!(
        act(&mut b, Asker::Member(MemberId(2)), call(&[premium])),
        Err(Refused::NotAllowed)
    );
    let operators = act(&mut b, Asker::Operator, call(&[premium]));
    assert!(
        matches!(operators, Err(Refused::Impossible(_))),
        "nobody's rights are there: {operators:?}"
    );
    for (number, refused) in [
        ("600", "the number is no person's"),
        ("3000", "the number is no person's"),
        ("nobody", "nobody has that number"),
    ] {
        let asked = act(&mut b, Asker::Member(MemberId(1)), call(&[number]));
        assert_eq!(asked, Err(Refused::Impossible(refused)), "{number}");
    }
    assert_eq!(statuses(&b).len(), 2);
    assert_eq!(act(&mut b, Asker::Member(MemberId(1)), call(&[premium])), Ok(()));
    let invite = b.one(ACME);
    assert!(
        invite.get(Name::From).unwrap().contains("14155550101"),
        "the carrier sees who pays"
    );
    b.answer(ACME, &invite, 603, None);
    b.heard(ACME);
    hangs_up(&mut b, ALICE, &mut alice);
    hangs_up(&mut b, BOB, &mut bob);
    b.rest();
}

#[test]
fn a_room_that_nobody_is_in_may_call_somebody() {
    let mut b = with_room("outgoing: user/alice");
    assert_eq!(
        act(&mut b, Asker::User("bob".to_owned()), call(&["bob"])),
        Err(Refused::NotAllowed)
    );
    operator(&mut b, call(&["bob", "alice"]));
    let invites = [b.one(BOB), b.one(ALICE)];
    for ((peer, invite), leg) in [BOB, ALICE].into_iter().zip(&invites).zip(b.media_legs()) {
        b.answer(peer, invite, 200, Some(sdp(5000, "")));
        b.heard(peer);
        press(&mut b, leg, "1");
    }
    assert_eq!(statuses(&b), [Status::Connected, Status::Connected]);
    operator(&mut b, Action::Kick(MemberId(1)));
    operator(&mut b, Action::Kick(MemberId(2)));
    is_released_in_time(&mut b, BOB);
    is_released_in_time(&mut b, ALICE);
    b.rest();
}

fn refers(b: &mut Bench, alice: &mut Dialog, to: &str) -> Vec<Message> {
    b.ask_with(ALICE, alice, Method::Refer, None, &[("Refer-To", to)]);
    let heard = b.heard(ALICE);
    for request in heard.iter().filter(|message| message.status() == 0) {
        b.answer(ALICE, request, 200, None);
    }
    heard
}

fn frag(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap().trim().to_owned()
}

/// RFC 4488 4.
#[test]
fn who_wants_to_hear_nothing_of_its_refer_hears_nothing() {
    let mut b = with_room("moderators: [ alice ]");
    let (mut alice, _) = joins(&mut b, ALICE, "alice");
    for (wish, told) in [("false", 0), ("true", 1)] {
        let mut refer = alice.request(Method::Refer);
        refer.push_front(Name::Via, format!("SIP/2.0/UDP {ALICE};branch=z9hG4bK{wish}"));
        refer.push(Name::ReferTo, "<sip:bob@example.com>");
        refer.push(Name::ReferSub, wish);
        let refer = refer.to_message().unwrap();
        b.with(|calls, cx, net| {
            let tx = net.layer.accept(cx, flow(ALICE), &refer).unwrap();
            calls.room_refer(cx, net, flow(ALICE), tx, &refer, ("3000".to_owned(), MemberId(1)));
        });
        let notified = |b: &mut Bench| {
            let heard = b.heard(ALICE);
            let notifies = heard.iter().filter(|message| message.status() == 0);
            notifies.map(|notify| b.answer(ALICE, notify, 200, None)).count()
        };
        assert_eq!((notified(&mut b), b.calls.referred.len()), (told, told));
        let invite = b.one(BOB);
        b.answer(BOB, &invite, 486, None);
        b.heard(BOB);
        b.with(|calls, cx, net| calls.room_progress(cx, net, "3000"));
        assert_eq!((notified(&mut b), b.calls.referred.len()), (told, 0));
    }
    hangs_up(&mut b, ALICE, &mut alice);
    b.rest();
}

/// Bob's phone is told by UPDATE or INVITE that it talks with a focus.
fn is_told_of_focus(b: &mut Bench, peer: &str) {
    let request = b.one(peer);
    assert!(request.get(Name::Contact).unwrap().ends_with(";isfocus"), "{request:?}");
    let body = (!request.body().is_empty()).then(|| sdp(5000, ""));
    b.answer(peer, &request, 200, body);
    b.heard(peer);
}

#[test]
fn a_call_is_transferred_into_a_room() {
    let mut b = with_room("");
    let (mut carol, _) = joins(&mut b, CAROL, "carol");
    let (mut alice, mut bob) = b.talk();
    let heard = refers(&mut b, &mut alice, "<sip:3000@example.com>");
    let heads: Vec<String> = heard.iter().map(head).collect();
    assert_eq!(heads[..3], ["202 REFER", "NOTIFY", "NOTIFY"]);
    assert_eq!(frag(&heard[2]), "SIP/2.0 200 OK");
    b.heard(ALICE);
    is_told_of_focus(&mut b, BOB);
    assert!(
        b.media.iter().any(|c| matches!(c, Command::Move { .. })),
        "the room is on another worker"
    );
    let legs = b.media_legs();
    assert_eq!((does(&b, legs[0]), does(&b, legs[2])), (IN, IN));
    assert_eq!(statuses(&b), [Status::Connected, Status::Connected]);
    hangs_up(&mut b, BOB, &mut bob);
    hangs_up(&mut b, CAROL, &mut carol);
    b.wait(S1 * 40);
    b.heard(ALICE);
    b.rest();
}

#[test]
fn who_consulted_the_room_leaves_its_place_to_whom_it_brings() {
    let mut b = with_room("pin: \"4711\"");
    let (mut alice, mut bob) = b.talk();
    let (consult, _, leg) = dials(&mut b, ALICE, "alice", "3000");
    press(&mut b, leg, "4711");
    played(&mut b, leg);
    let id = id_of(&consult);
    let to = format!(
        "<sip:3000@example.com?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
        id.call_id(),
        id.local_tag(),
        id.remote_tag()
    );
    let heard = refers(&mut b, &mut alice, &to);
    assert!(
        heard.iter().any(|message| frag(message) == "SIP/2.0 200 OK"),
        "{heard:?}"
    );
    b.heard(ALICE);
    is_told_of_focus(&mut b, BOB);
    let view = b.calls.room_view("3000").unwrap();
    let members: Vec<_> = view.members.iter().map(|m| (m.id, m.uri.as_str(), m.status)).collect();
    assert_eq!(
        members,
        [(MemberId(2), "sip:bob@example.com", Status::Connected)],
        "bob was asked for nothing"
    );
    hangs_up(&mut b, BOB, &mut bob);
    b.wait(S1 * 40);
    b.heard(ALICE);
    b.rest();
}

#[test]
fn a_call_of_two_is_moved_into_a_room() {
    let mut b = with_room("pin: \"4711\"");
    let (mut alice, mut bob) = b.talk();
    let id: CallId = *b.calls.calls.keys().next().unwrap();
    let take = |b: &mut Bench, number: &str, id| b.with(|calls, cx, net| calls.room_take(cx, net, number, id));
    assert_eq!(take(&mut b, "3000", CallId(1)).map_err(Refused::status), Err(488));
    assert_eq!(take(&mut b, "no room", id), Err(Refused::NoRoom));
    assert_eq!(take(&mut b, "3000", id), Ok(()));
    is_told_of_focus(&mut b, ALICE);
    is_told_of_focus(&mut b, BOB);
    let legs = b.media_legs();
    assert_eq!((does(&b, legs[0]), does(&b, legs[1])), (IN, IN));
    assert_eq!(statuses(&b), [Status::Connected, Status::Connected]);
    assert_eq!(b.calls.len(), 2);
    // Neither ends the other's any more.
    hangs_up(&mut b, ALICE, &mut alice);
    assert_eq!(b.heads(BOB), [""; 0]);
    assert_eq!(statuses(&b).len(), 1);
    hangs_up(&mut b, BOB, &mut bob);
    b.rest();
    assert_eq!(b.ended().len(), 2);
}

//! REFER and Replaces.

use super::bench::*;
use crate::dialog::Dialog;
use crate::media::command::{Command, Function};
use crate::sip::{Draft, Message, Method, Name};
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);

fn frag(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap().trim().to_owned()
}

fn ok(b: &mut Bench, peer: &str, request: &Message) {
    b.answer(peer, request, 200, None);
}

/// Alice transfers Bob to Carol; Carol's INVITE.
fn refer(b: &mut Bench, alice: &mut Dialog, to: &str) -> Message {
    b.ask_with(ALICE, alice, Method::Refer, None, &[("Refer-To", to)]);
    let heard = b.heard(ALICE);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["202 REFER", "NOTIFY"]);
    assert_eq!(frag(&heard[1]), "SIP/2.0 100 Trying");
    ok(b, ALICE, &heard[1]);
    b.one(CAROL)
}

#[test]
fn blind() {
    let mut b = Bench::new();
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    let theirs = refer(&mut b, &mut alice, "<sip:carol@example.com>");
    assert!(
        theirs.get(Name::From).unwrap().contains("sip:bob@example.com"),
        "carol sees who will talk with her"
    );
    b.answer(CAROL, &theirs, 180, None);
    let rings = b.one(ALICE);
    assert_eq!(frag(&rings), "SIP/2.0 180 Ringing");
    ok(&mut b, ALICE, &rings);
    let mut carol = b.answer(CAROL, &theirs, 200, Some(sdp(6000, ""))).unwrap();
    assert_eq!(b.heads(CAROL), ["ACK"]);
    let done = b.one(ALICE);
    assert_eq!(frag(&done), "SIP/2.0 200 OK");
    assert!(done.get(Name::SubscriptionState).unwrap().starts_with("terminated"));
    ok(&mut b, ALICE, &done);
    let bye = b.one(ALICE);
    assert_eq!(bye.method(), Method::Bye);
    ok(&mut b, ALICE, &bye);
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    assert!(b.ended().is_empty(), "bob and carol talk");
    b.ask(CAROL, &mut carol, Method::Bye, None);
    let bye = b.one(BOB);
    assert_eq!(bye.method(), Method::Bye);
    ok(&mut b, BOB, &bye);
    b.rest();
}

#[test]
fn a_transferor_who_leaves_early_and_a_held_party_that_is_resumed() {
    let mut b = Bench::new();
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    b.ask(
        ALICE,
        &mut alice,
        Method::Invite,
        Some(("application/sdp", sdp(4000, "a=sendonly\r\n"))),
    );
    b.heard(ALICE);
    b.say(ALICE, alice.ack(alice.local_cseq));
    let held = b.one(BOB);
    b.answer(BOB, &held, 200, Some(sdp(5000, "a=recvonly\r\n")));
    b.heard(BOB);
    let theirs = refer(&mut b, &mut alice, "<sip:carol@example.com>");
    b.ask(ALICE, &mut alice, Method::Bye, None);
    assert!(matches!(b.function(), Some(Function::Tone(_))), "bob hears ringback");
    let resume = b.one(BOB);
    assert!(frag(&resume).contains("a=sendrecv"));
    b.answer(BOB, &resume, 200, Some(sdp(5000, "")));
    b.heard(BOB);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    assert!(b.ended().is_empty());
}

#[test]
fn a_target_that_refuses_leaves_the_call_as_it_was() {
    let mut b = Bench::changed(", on_no_answer: bob, on_busy: bob, on_offline: bob", "");
    b.register("carol", CAROL);
    let (mut alice, mut bob) = b.talk();
    let theirs = refer(&mut b, &mut alice, "<sip:carol@example.com>");
    b.answer(CAROL, &theirs, 486, None);
    let failed = b.one(ALICE);
    assert_eq!(frag(&failed), "SIP/2.0 486 Busy Here");
    ok(&mut b, ALICE, &failed);
    assert!(b.ended().is_empty());
    // Another try is told apart by its id (RFC 3515 2.4.6).
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", "<sip:nobody@example.com>")],
    );
    let heard = b.heard(ALICE);
    assert_eq!(
        heard.iter().map(head).collect::<Vec<_>>(),
        ["202 REFER", "NOTIFY", "NOTIFY"]
    );
    assert!(heard[1].get(Name::Event).unwrap().starts_with("refer;id="));
    assert_eq!(frag(&heard[2]), "SIP/2.0 404 Not Found");
    for notify in &heard[1..] {
        ok(&mut b, ALICE, notify);
    }
    b.ask(BOB, &mut bob, Method::Bye, None);
    let bye = b.one(ALICE);
    ok(&mut b, ALICE, &bye);
    b.heard(CAROL);
    b.rest();
}

#[test]
fn refer_is_refused_where_it_may_not_be() {
    let mut b = Bench::changed("max_duration: 7200s", "max_duration: 7200s, transfer: false");
    let (mut alice, _) = b.talk();
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", "<sip:carol@example.com>")],
    );
    assert_eq!(b.heads(ALICE), ["403 REFER"]);
    let mut b = Bench::new();
    let (mut alice, _) = b.talk();
    b.ask(ALICE, &mut alice, Method::Refer, None);
    assert_eq!(b.heads(ALICE), ["400 REFER"]);
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", "<sip:x@example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>")],
    );
    let heard = b.heard(ALICE);
    assert_eq!(
        frag(heard.last().unwrap()),
        "SIP/2.0 481 Call/Transaction Does Not Exist"
    );
    assert!(b.ended().is_empty());
}

/// Alice's second call, to Carol, up to Carol's INVITE.
fn second(b: &mut Bench) -> (Draft, Message) {
    b.register("carol", CAROL);
    let invite = b.invite(ALICE, "alice", "carol", Some(sdp(4002, "")));
    let theirs = b.one(CAROL);
    (invite, theirs)
}

fn replaces(dialog: &Dialog) -> String {
    let id = id_of(dialog);
    format!(
        "<sip:carol@example.com?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
        id.call_id(),
        id.local_tag(),
        id.remote_tag()
    )
}

#[test]
fn attended() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    let (invite, theirs) = second(&mut b);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    b.heard(CAROL);
    let answer = b.one(ALICE);
    let other = b.ack(ALICE, &invite, &answer);
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", &replaces(&other))],
    );
    let heard = b.heard(ALICE);
    let heads: Vec<String> = heard.iter().map(head).collect();
    assert_eq!(
        heads,
        ["202 REFER", "NOTIFY", "NOTIFY", "BYE"],
        "the second call's leg ends at once"
    );
    assert_eq!(frag(&heard[2]), "SIP/2.0 200 OK");
    for request in &heard[1..] {
        ok(&mut b, ALICE, request);
    }
    let bye = b.one(ALICE);
    assert_eq!(bye.method(), Method::Bye);
    ok(&mut b, ALICE, &bye);
    assert_eq!(b.ended().len(), 1, "the call that gave its far side away");
    assert!(
        b.media.iter().any(|c| matches!(c, Command::Move { .. })),
        "the legs lived on two workers"
    );
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    assert_eq!(b.heads(CAROL), [""; 0]);
    b.ask(BOB, &mut bob, Method::Bye, None);
    let bye = b.one(CAROL);
    assert_eq!(bye.method(), Method::Bye);
    ok(&mut b, CAROL, &bye);
    b.rest();
}

#[test]
fn a_dialog_of_the_same_call_is_no_target_and_the_call_goes_on() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    let to = replaces(&bob);
    b.ask_with(ALICE, &mut alice, Method::Refer, None, &[("Refer-To", &to)]);
    let heard = b.heard(ALICE);
    assert_eq!(
        frag(heard.last().unwrap()),
        "SIP/2.0 481 Call/Transaction Does Not Exist"
    );
    for notify in &heard[1..] {
        ok(&mut b, ALICE, notify);
    }
    assert!(b.ended().is_empty());
    b.ask(BOB, &mut bob, Method::Bye, None);
    let bye = b.one(ALICE);
    assert_eq!(bye.method(), Method::Bye);
    ok(&mut b, ALICE, &bye);
    b.rest();
}

#[test]
fn attended_while_the_target_still_rings() {
    let mut b = Bench::new();
    let (mut alice, _bob) = b.talk();
    let (invite, theirs) = second(&mut b);
    b.answer(CAROL, &theirs, 180, None);
    let ringing = b.one(ALICE);
    let other = Dialog::uac(crate::dialog::Begun::of(&invite).unwrap(), &ringing).unwrap();
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", &replaces(&other))],
    );
    let heard = b.heard(ALICE);
    let heads: Vec<String> = heard.iter().map(head).collect();
    assert_eq!(heads, ["202 REFER", "NOTIFY", "NOTIFY", "487 INVITE"]);
    assert_eq!(frag(&heard[2]), "SIP/2.0 180 Ringing");
    ok(&mut b, ALICE, &heard[1]);
    ok(&mut b, ALICE, &heard[2]);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    assert_eq!(b.heads(CAROL), ["ACK"]);
    let done = b.heard(ALICE);
    assert!(
        done.iter()
            .any(|m| m.method() == Method::Notify && frag(m) == "SIP/2.0 200 OK")
    );
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    b.wait(60 * S1);
}

#[test]
fn invite_with_replaces_takes_over_a_leg() {
    let mut b = Bench::new();
    let (_alice, bob) = b.talk();
    let id = id_of(&bob);
    let field = format!(
        "{};to-tag={};from-tag={}",
        id.call_id(),
        id.local_tag(),
        id.remote_tag()
    );
    b.invite_with(
        CAROL,
        "carol",
        "bob",
        Some(sdp(6000, "")),
        &[("Replaces", &format!("{field};early-only"))],
    );
    assert_eq!(b.one(CAROL).status(), 486);
    let invite = b.invite_with(CAROL, "carol", "bob", Some(sdp(6000, "")), &[("Replaces", &field)]);
    let answer = b.heard(CAROL).pop().unwrap();
    assert_eq!(answer.status(), 200);
    b.ack(CAROL, &invite, &answer);
    let bye = b.one(BOB);
    assert_eq!(bye.method(), Method::Bye);
    ok(&mut b, BOB, &bye);
    assert!(b.ended().is_empty());
    assert_eq!(b.heads(ALICE), [""; 0]);
    b.invite_with(
        CAROL,
        "carol",
        "bob",
        Some(sdp(6000, "")),
        &[("Replaces", "x;to-tag=y;from-tag=z")],
    );
    assert_eq!(b.one(CAROL).status(), 481);
}

#[test]
fn invite_with_replaces_picks_up_what_rings() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 180, None);
    b.heard(ALICE);
    let (call_id, tag) = (
        theirs.call_id().to_owned(),
        theirs.from().unwrap().tag().unwrap().to_owned(),
    );
    let field = format!("{call_id};to-tag={tag};from-tag=p;early-only");
    let picks = b.invite_with(CAROL, "carol", "bob", Some(sdp(6000, "")), &[("Replaces", &field)]);
    let answer = b.one(CAROL);
    assert_eq!(answer.status(), 200);
    b.ack(CAROL, &picks, &answer);
    let ok_alice = b.one(ALICE);
    assert_eq!(ok_alice.status(), 200);
    let mut alice = b.ack(ALICE, &invite, &ok_alice);
    let cancel = b.one(BOB);
    assert_eq!(cancel.method(), Method::Cancel);
    ok(&mut b, BOB, &cancel);
    b.answer(BOB, &theirs, 487, None);
    b.ask(ALICE, &mut alice, Method::Bye, None);
    let bye = b.one(CAROL);
    ok(&mut b, CAROL, &bye);
    b.rest();
}

//! Session descriptions: early media, late offers, hold, glare, refresh.

use super::bench::*;
use crate::dialog::Dialog;
use crate::media::command::{Command, Function};
use crate::sip::{Message, Method, Name};
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

fn hold(direction: &str) -> Option<(&'static str, String)> {
    Some(("application/sdp", sdp(4000, &format!("a={direction}\r\n"))))
}

/// Bob takes the re-INVITE that he was sent; what it offered.
fn take(b: &mut Bench, peer: &str, answer: &str) -> String {
    let invite = b.one(peer);
    assert_eq!(invite.method(), Method::Invite);
    b.answer(peer, &invite, 200, Some(sdp(5000, &format!("a={answer}\r\n"))));
    assert_eq!(b.heads(peer), ["ACK"]);
    body(&invite)
}

#[test]
fn early_media_is_bridged_and_its_answer_is_the_answer() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 183, Some(sdp(5000, "")));
    let early = b.one(ALICE);
    assert_eq!(early.status(), 183);
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    // 183 with a description, then 200 without one.
    b.answer(BOB, &theirs, 200, None);
    assert_eq!(b.heads(BOB), ["ACK"]);
    let ok = b.one(ALICE);
    assert_eq!(body(&ok), body(&early), "RFC 3261 13.3.1.1");
    b.ack(ALICE, &invite, &ok);
    assert!(b.ended().is_empty());
}

#[test]
fn a_bare_180_after_a_silent_183_is_heard_as_ringback() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 183, Some(sdp(5000, "")));
    b.answer(BOB, &theirs, 180, None);
    assert!(matches!(b.function(), Some(Function::Tone(_))));
    let media = b
        .media
        .iter()
        .filter_map(|c| {
            if let Command::Open(spec) = c {
                Some(spec.id)
            } else {
                None
            }
        })
        .next_back()
        .unwrap();
    b.with(|calls, cx, net| {
        calls.media(
            cx,
            net,
            crate::media::command::Event::Started(media, "192.0.2.99:5000".parse().unwrap()),
        );
    });
    assert!(
        matches!(b.function(), Some(Function::Bridge(_))),
        "RFC 3960 3.2: packets win"
    );
    b.wait(100 * S1);
    b.rest();
}

#[test]
fn forks_behind_the_callee_and_a_200_from_a_third() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer_with(BOB, &theirs, 183, "one", Some(sdp(5000, "")), &[]);
    b.answer_with(BOB, &theirs, 183, "two", Some(sdp(5002, "")), &[]);
    b.answer_with(BOB, &theirs, 200, "three", Some(sdp(5004, "")), &[]);
    let heads = b.heads(ALICE);
    assert_eq!(heads, ["183 INVITE", "200 INVITE"]);
    assert_eq!(b.heads(BOB), ["ACK"]);
    // A fourth fork answers too.
    b.answer_with(BOB, &theirs, 200, "four", Some(sdp(5006, "")), &[]);
    let heard = b.heard(BOB);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!(heard[1].to().unwrap().tag(), Some("four"));
    b.answer_with(BOB, &theirs, 200, "three", Some(sdp(5004, "")), &[]);
    let again = b.one(BOB);
    assert_eq!(
        (again.method(), again.to().unwrap().tag()),
        (Method::Ack, Some("three"))
    );
    drop(invite);
}

#[test]
fn a_late_offer_is_made_to_the_caller_in_200_and_answered_in_ack() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", None);
    let theirs = b.one(BOB);
    assert!(
        body(&theirs).contains("m=audio"),
        "the callee always gets an offer of ours"
    );
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    let ok = b.one(ALICE);
    assert!(body(&ok).contains("m=audio"));
    let dialog = Dialog::uac(crate::dialog::Begun::of(&invite).unwrap(), &ok).unwrap();
    let mut ack = dialog.ack(1);
    ack.set_body("application/sdp", sdp(4000, ""));
    let before = b.media.len();
    b.say(ALICE, ack);
    assert!(
        b.media[before..]
            .iter()
            .any(|c| matches!(c, Command::Negotiated { .. }))
    );
    assert!(b.ended().is_empty());

    // An ACK without the answer ends the call.
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", None);
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    b.heard(BOB);
    let ok = b.one(ALICE);
    b.ack(ALICE, &invite, &ok);
    let (a, c) = (b.one(ALICE), b.one(BOB));
    assert_eq!((a.method(), c.method()), (Method::Bye, Method::Bye));
    b.answer(ALICE, &a, 200, None);
    b.answer(BOB, &c, 200, None);
    b.rest();
}

#[test]
fn an_answer_without_description_is_ended() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 200, None);
    let heard = b.heard(BOB);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!(b.one(ALICE).status(), 488);
    b.answer(BOB, &heard[1], 200, None);
    b.rest();
}

#[test]
fn hold_is_answered_at_once_and_carried_to_the_other_side() {
    for (said, answered, other, theirs) in [
        ("sendonly", "recvonly", "sendonly", "recvonly"),
        ("inactive", "inactive", "inactive", "inactive"),
    ] {
        let mut b = Bench::new();
        let (mut alice, _bob) = b.talk();
        b.ask(ALICE, &mut alice, Method::Invite, hold(said));
        let ok = b.one(ALICE);
        assert!(body(&ok).contains(&format!("a={answered}")), "{}", body(&ok));
        assert!(take(&mut b, BOB, theirs).contains(&format!("a={other}")));
        b.say(ALICE, alice.ack(1));
        b.ask(ALICE, &mut alice, Method::Invite, hold("sendrecv"));
        assert_eq!(
            b.one(ALICE).status(),
            500,
            "an ACK with another CSeq is not that of the answer before"
        );
    }
}

#[test]
fn hold_and_resume() {
    let mut b = Bench::new();
    let (mut alice, _bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
    b.heard(ALICE);
    b.say(ALICE, alice.ack(2));
    assert!(take(&mut b, BOB, "recvonly").contains("a=sendonly"));
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendrecv"));
    assert!(body(&b.one(ALICE)).contains("a=sendrecv"));
    b.say(ALICE, alice.ack(3));
    assert!(take(&mut b, BOB, "sendrecv").contains("a=sendrecv"));
    assert_eq!(b.heads(ALICE), [""; 0]);
    assert_eq!(b.heads(BOB), [""; 0]);
}

#[test]
fn both_sides_hold_and_each_is_brought_to_what_the_other_wishes() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
    b.heard(ALICE);
    b.say(ALICE, alice.ack(2));
    take(&mut b, BOB, "recvonly");
    b.ask(
        BOB,
        &mut bob,
        Method::Invite,
        Some(("application/sdp", sdp(5000, "a=inactive\r\n"))),
    );
    b.heard(BOB);
    b.say(BOB, bob.ack(bob.local_cseq));
    assert!(take(&mut b, ALICE, "inactive").contains("a=inactive"));
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendrecv"));
    assert!(body(&b.one(ALICE)).contains("a=inactive"), "bob still holds");
    b.say(ALICE, alice.ack(alice.local_cseq));
    assert!(take(&mut b, BOB, "inactive").contains("a=sendrecv"));
    b.ask(
        BOB,
        &mut bob,
        Method::Invite,
        Some(("application/sdp", sdp(5000, "a=sendrecv\r\n"))),
    );
    b.heard(BOB);
    b.say(BOB, bob.ack(bob.local_cseq));
    assert!(take(&mut b, ALICE, "sendrecv").contains("a=sendrecv"));
}

#[test]
fn glare_is_491_in_both_roles_and_the_change_is_made_later() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
    b.heard(ALICE);
    b.say(ALICE, alice.ack(2));
    let ours = b.one(BOB);
    // Bob's own re-INVITE crosses ours.
    b.ask(BOB, &mut bob, Method::Invite, Some(("application/sdp", sdp(5000, ""))));
    assert_eq!(b.heads(BOB), ["491 INVITE"]);
    b.answer(BOB, &ours, 491, None);
    b.heard(BOB);
    b.wait(2 * S1);
    let ours_again = |b: &mut Bench| {
        b.heard(BOB)
            .into_iter()
            .find(|message| message.method() == Method::Invite && message.is_request())
    };
    assert!(ours_again(&mut b).is_none(), "we made the Call-ID: 2.1 s at least");
    b.wait(3 * S1);
    let again = ours_again(&mut b).expect("the change is made later");
    assert!(body(&again).contains("a=sendonly"));
}

/// RFC 3311 5.2 refuses an offer that meets an offer of ours; our refresh by UPDATE has none (RFC 4028 7.4).
#[test]
fn a_change_that_meets_our_refresh_without_offer_is_taken() {
    let mut b = Bench::new();
    let (mut alice, _bob) = b.talk();
    b.wait(901 * S1);
    let refresh = b.heard(ALICE).remove(0);
    assert_eq!((refresh.method(), refresh.body().len()), (Method::Update, 0));
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
    let ok = b.one(ALICE);
    assert_eq!(head(&ok), "200 INVITE");
    b.say(ALICE, alice.ack(ok.cseq().unwrap().number));
    b.answer(ALICE, &refresh, 200, None);
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendrecv"));
    assert_eq!(b.heads(ALICE), ["200 INVITE"], "nothing is left open");
    assert!(b.ended().is_empty());
}

/// RFC 3261 14.2, 20.33: put off by Retry-After our change is made after that time, within bounds; without one it is not.
#[test]
fn a_change_that_is_put_off_is_made_later() {
    for (status, retry_after, waits) in [
        (500, Some("7"), Some(7)),
        (503, Some("7"), Some(7)),
        (500, Some("0"), Some(1)),
        (503, Some("3600"), Some(30)),
        (500, None, None),
    ] {
        let mut b = Bench::new();
        let (mut alice, _) = b.talk();
        b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
        b.heard(ALICE);
        b.say(ALICE, alice.ack(2));
        let ours = b.one(BOB);
        let fields: Vec<_> = retry_after.map(|after| ("Retry-After", after)).into_iter().collect();
        b.answer_with(BOB, &ours, status, "p", None, &fields);
        assert_eq!(b.heads(BOB), ["ACK"]);
        let made = (1..=40).find(|_| {
            b.wait(S1);
            b.heads(BOB).contains(&"INVITE".to_owned())
        });
        assert_eq!(made, waits, "{status} {retry_after:?}");
    }
}

#[test]
fn a_refused_change_keeps_the_session_and_is_not_repeated() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
    b.heard(ALICE);
    b.say(ALICE, alice.ack(2));
    let ours = b.one(BOB);
    b.answer(BOB, &ours, 488, None);
    b.heard(BOB);
    b.wait(60 * S1);
    assert_eq!(b.heads(BOB), [""; 0]);
    b.ask(BOB, &mut bob, Method::Options, None);
    assert_eq!(b.heads(BOB), ["200 OPTIONS"]);
    // A codec that we do not have: the session stays.
    b.ask(
        ALICE,
        &mut alice,
        Method::Invite,
        Some((
            "application/sdp",
            "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 9 RTP/AVP 18\r\n".to_owned(),
        )),
    );
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
    assert!(b.ended().is_empty());
}

#[test]
fn a_second_invite_before_the_ack_is_500_with_retry_after() {
    let mut b = Bench::new();
    let (mut alice, _bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendrecv"));
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendrecv"));
    let heard = b.heard(ALICE);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["200 INVITE", "500 INVITE"]);
    assert!(heard[1].get(Name::RetryAfter).is_some());
}

#[test]
fn a_peer_that_lost_the_dialog_ends_the_call() {
    let mut b = Bench::new();
    let (mut alice, _bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
    b.heard(ALICE);
    b.say(ALICE, alice.ack(2));
    let ours = b.one(BOB);
    b.answer(BOB, &ours, 481, None);
    assert!(b.heads(BOB).contains(&"BYE".to_owned()));
    assert_eq!(b.heads(ALICE), ["BYE"]);
    b.rest();
}

#[test]
fn update_changes_and_refreshes() {
    let mut b = Bench::new();
    let (mut alice, _bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Update, hold("sendonly"));
    assert!(body(&b.one(ALICE)).contains("a=recvonly"));
    take(&mut b, BOB, "recvonly");
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Update,
        None,
        &[("Session-Expires", "1800;refresher=uac"), ("Supported", "timer")],
    );
    let ok = b.one(ALICE);
    assert_eq!((ok.status(), ok.body().len()), (200, 0));
    assert!(ok.get(Name::SessionExpires).is_some());
}

#[test]
fn we_refresh_the_session_or_end_it() {
    let mut b = Bench::new();
    let (_alice, _bob) = b.talk();
    b.wait(901 * S1);
    // Bob's 200 said nothing of timers, so the refreshing is ours; his Allow has no UPDATE.
    let refresh = b.heard(BOB).remove(0);
    assert_eq!(refresh.method(), Method::Invite);
    assert!(refresh.get(Name::SessionExpires).unwrap().contains("refresher=uac"));
    b.answer(BOB, &refresh, 200, Some(sdp(5000, "")));
    let other = b.heard(ALICE).remove(0);
    assert_eq!(other.method(), Method::Update);
    b.answer(ALICE, &other, 481, None);
    assert_eq!(b.ended().len(), 1);
    b.rest();
}

#[test]
fn reliable_provisional_responses_on_each_leg() {
    let mut b = Bench::new();
    let invite = b.invite_with(ALICE, "alice", "bob", Some(sdp(4000, "")), &[("Require", "100rel")]);
    let theirs = b.one(BOB);
    assert!(theirs.has_token(Name::Supported, "100rel"));
    b.answer_with(
        BOB,
        &theirs,
        183,
        "p",
        Some(sdp(5000, "")),
        &[("Require", "100rel"), ("RSeq", "7")],
    );
    let prack = b.one(BOB);
    assert_eq!(
        (prack.method(), prack.get(Name::RAck).unwrap().into_owned()),
        (Method::Prack, "7 1 INVITE".to_owned())
    );
    b.answer(BOB, &prack, 200, None);
    let early = b.one(ALICE);
    assert!(early.has_token(Name::Require, "100rel") && early.get(Name::RSeq).is_some());
    b.answer(BOB, &theirs, 200, None);
    assert_eq!(b.heads(BOB), ["ACK"]);
    assert_eq!(b.heads(ALICE), [""; 0], "the 2xx waits for the PRACK (RFC 3262 3)");
    let mut alice = Dialog::uac(crate::dialog::Begun::of(&invite).unwrap(), &early).unwrap();
    let rack = format!("{} 1 INVITE", early.get(Name::RSeq).unwrap());
    b.ask_with(ALICE, &mut alice, Method::Prack, None, &[("RAck", &rack)]);
    let heard = b.heard(ALICE);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["200 PRACK", "200 INVITE"]);
    assert_eq!(heard[1].body().len(), 0, "the answer was said and acknowledged");
    b.ack(ALICE, &invite, &heard[1]);
    assert!(b.ended().is_empty());
}

/// RFC 3262 3, 5: a PRACK whose offer is refused acknowledges nothing, so one without it, or with a better one, still can.
#[test]
fn a_prack_with_a_bad_offer_leaves_its_response_pending() {
    let no_codec = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 9 RTP/AVP 18\r\n";
    for (kind, body, status) in [
        ("application/sdp", no_codec, 488),
        ("application/sdp", "this is no description", 400),
        ("text/plain", "hello", 415),
    ] {
        let mut b = Bench::new();
        let invite = b.invite_with(ALICE, "alice", "bob", Some(sdp(4000, "")), &[("Require", "100rel")]);
        let theirs = b.one(BOB);
        b.answer(BOB, &theirs, 183, Some(sdp(5000, "")));
        let early = b.one(ALICE);
        let mut alice = Dialog::uac(crate::dialog::Begun::of(&invite).unwrap(), &early).unwrap();
        let rack = format!("{} 1 INVITE", early.get(Name::RSeq).unwrap());
        let rack = [("RAck", rack.as_str())];
        b.ask_with(ALICE, &mut alice, Method::Prack, Some((kind, body.to_owned())), &rack);
        assert_eq!(b.heads(ALICE), [format!("{status} PRACK")]);
        b.wait(S1);
        assert_eq!(
            b.heads(ALICE),
            ["183 INVITE"],
            "it is repeated until it is acknowledged"
        );
        let better = Some(("application/sdp", sdp(4002, "")));
        b.ask_with(ALICE, &mut alice, Method::Prack, better, &rack);
        let ok = b.one(ALICE);
        assert_eq!((head(&ok).as_str(), ok.body().is_empty()), ("200 PRACK", false));
        b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
        assert_eq!(b.heads(ALICE), ["200 INVITE"]);
    }
}

/// RFC 3311 5.2: our offer in a reliable response waits for its answer in the PRACK.
#[test]
fn a_callers_offer_that_meets_ours_before_the_prack_is_491() {
    let mut b = Bench::new();
    let invite = b.invite_with(ALICE, "alice", "bob", None, &[("Require", "100rel")]);
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 180, None);
    let early = b.one(ALICE);
    assert!(
        !early.body().is_empty(),
        "RFC 3262 5: the first reliable response has an offer"
    );
    let mut alice = Dialog::uac(crate::dialog::Begun::of(&invite).unwrap(), &early).unwrap();
    b.ask(ALICE, &mut alice, Method::Update, hold("sendonly"));
    assert_eq!(b.heads(ALICE), ["491 UPDATE"]);
}

#[test]
fn silence_and_length_end_a_call() {
    let mut b = Bench::new();
    b.talk();
    let media = b
        .media
        .iter()
        .find_map(|c| {
            if let Command::Open(spec) = c {
                Some(spec.id)
            } else {
                None
            }
        })
        .unwrap();
    b.with(|calls, cx, net| calls.media(cx, net, crate::media::command::Event::Silent(media)));
    assert_eq!(
        (b.heads(ALICE), b.heads(BOB)),
        (vec!["BYE".to_owned()], vec!["BYE".to_owned()])
    );
    b.rest();
    assert!(b.ended()[0].text.contains("silent"));

    let mut b = Bench::changed(
        "session_expires: 1800s, max_duration: 7200s",
        "session_expires: 1800s, max_duration: 600s",
    );
    b.talk();
    b.wait(601 * S1);
    assert!(b.heads(ALICE).contains(&"BYE".to_owned()));
    b.rest();
}

#[test]
fn dtmf_by_info_becomes_events() {
    let mut b = Bench::new();
    let (mut alice, _) = b.talk();
    b.ask(
        ALICE,
        &mut alice,
        Method::Info,
        Some(("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n".to_owned())),
    );
    assert_eq!(b.heads(ALICE), ["200 INFO"]);
    assert!(
        b.media
            .iter()
            .any(|c| matches!(c, Command::SendDigits { digits, .. } if digits == "5"))
    );
    b.ask(ALICE, &mut alice, Method::Info, Some(("text/plain", "x".to_owned())));
    b.ask_with(ALICE, &mut alice, Method::Info, None, &[("Info-Package", "foo")]);
    b.ask(ALICE, &mut alice, Method::Message, None);
    b.ask(ALICE, &mut alice, Method::Other("FOO".into()), None);
    assert_eq!(b.heads(ALICE), ["415 INFO", "469 INFO", "405 MESSAGE", "501 FOO"]);
}

#[test]
fn a_callee_may_change_its_early_session_once_it_is_complete() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer_with(BOB, &theirs, 183, "p", Some(sdp(5000, "")), &[]);
    let mut bob = Dialog::uas(&theirs, "p").unwrap();
    b.ask(BOB, &mut bob, Method::Update, Some(("application/sdp", sdp(5002, ""))));
    assert_eq!(
        b.heads(BOB),
        ["491 UPDATE"],
        "its answer was not reliable: our offer is still open"
    );
    let reliable = [("Require", "100rel"), ("RSeq", "1")];
    b.answer_with(BOB, &theirs, 183, "p", Some(sdp(5000, "")), &reliable);
    let prack = b.one(BOB);
    b.answer(BOB, &prack, 200, None);
    b.ask(BOB, &mut bob, Method::Update, Some(("application/sdp", sdp(5002, ""))));
    assert_eq!(b.one(BOB).status(), 200);
    let negotiated = b.media.iter().rev().find_map(|c| match c {
        Command::Negotiated { remote, .. } => Some(remote.rtp.port()),
        _ => None,
    });
    assert_eq!(negotiated, Some(5002));
    b.answer(BOB, &theirs, 200, None);
    assert_eq!(b.heads(BOB), ["ACK"]);
    assert!(b.ended().is_empty());
}

/// RFC 3261 15.1.2: what the peer of a dialog that is over has not answered is not waited for.
#[test]
fn a_phone_that_never_answers_a_change_keeps_no_call() {
    for by_bob in [false, true] {
        let mut b = Bench::new();
        let (mut alice, mut bob) = b.talk();
        b.ask(ALICE, &mut alice, Method::Invite, hold("sendonly"));
        b.heard(ALICE);
        b.say(ALICE, alice.ack(2));
        let change = b.one(BOB);
        b.answer(BOB, &change, 100, None);
        let (leaves, other) = if by_bob { (BOB, ALICE) } else { (ALICE, BOB) };
        let dialog = if by_bob { &mut bob } else { &mut alice };
        b.ask(leaves, dialog, Method::Bye, None);
        let bye = b.heard(other).into_iter().find(|heard| heard.method() == Method::Bye);
        b.answer(other, &bye.expect("the other is told"), 200, None);
        assert!(b.heads(BOB).contains(&"CANCEL".to_owned()), "its transaction ends too");
        b.rest();
    }
}

//! Hold with music: the held side hears it and is told nothing; everything else goes on.

use super::bench::*;
use crate::dialog::Dialog;
use crate::id::MediaLegId;
use crate::media::command::{Command, Event as MediaEvent, Function};
use crate::sip::{Message, Method, Name};
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);
const DOMAINS: &str = "domains: [ example.com ]";
const ALICE_USER: &str = "display_name: Alice }";
const NONE: [&str; 0] = [];
/// A hold of RFC 2543: by the address.
const ZERO: &str = "0.0.0.0";
const IDLE: (Option<Function>, Option<u64>) = (Some(Function::Idle), None);

/// A second of music for everybody.
fn music() -> Bench {
    with("")
}

/// The same, and what alice has of her own.
fn with(alice: &str) -> Bench {
    Bench::changed_in(&[
        (DOMAINS, format!("{DOMAINS}\nmusic_on_hold: 1.wav")),
        (ALICE_USER, format!("display_name: Alice{alice} }}")),
    ])
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

/// A peer asks for this in a re-INVITE, and acknowledges the answer, which comes back. Nobody else is told anything.
fn change(b: &mut Bench, peer: &str, dialog: &mut Dialog, rest: &str) -> String {
    let port = if peer == ALICE { 4000 } else { 5000 };
    let body_of = match rest {
        ZERO => sdp(port, "").replace("192.0.2.99\r\nt", "0.0.0.0\r\nt"),
        rest => sdp(port, rest),
    };
    b.ask(peer, dialog, Method::Invite, Some(("application/sdp", body_of)));
    let ok = b.one(peer);
    assert_eq!(head(&ok), "200 INVITE");
    b.say(peer, dialog.ack(dialog.local_cseq));
    body(&ok)
}

/// Nobody was told anything.
fn quiet(b: &mut Bench) -> bool {
    b.heads(ALICE).is_empty() && b.heads(BOB).is_empty()
}

fn plays(seconds: u64) -> (Option<Function>, Option<u64>) {
    (Some(Function::Play), Some(seconds))
}

fn bridged(b: &Bench, [one, other]: [MediaLegId; 2]) -> bool {
    b.does(one).0 == Some(Function::Bridge(other)) || b.does(other).0 == Some(Function::Bridge(one))
}

/// The legs of alice and bob.
fn pair(b: &Bench) -> [MediaLegId; 2] {
    b.media_legs()[..2].try_into().unwrap()
}

/// The last word on what is watched for on a leg.
fn watched(b: &Bench, leg: MediaLegId) -> Option<(bool, bool)> {
    let watch = |command: &Command| match command {
        Command::Watch {
            leg: own,
            silence,
            troubles,
        } if *own == leg => Some((silence.is_some(), *troubles)),
        _ => None,
    };
    b.media.iter().rev().find_map(watch)
}

#[test]
fn the_held_side_hears_music_and_is_told_nothing() {
    for (said, answered) in [
        ("a=sendonly\r\n", "a=recvonly"),
        ("a=inactive\r\n", "a=inactive"),
        (ZERO, "a="),
    ] {
        let mut b = music();
        let (mut alice, _bob) = b.talk();
        let [a, c] = pair(&b);
        assert_eq!(
            (watched(&b, a), watched(&b, c)),
            (Some((true, true)), Some((true, true)))
        );
        let answer = change(&mut b, ALICE, &mut alice, said);
        assert!(answer.contains(answered), "{said}: {answer}");
        assert_eq!(b.heads(BOB), NONE);
        assert_eq!((b.does(a), b.does(c)), (IDLE, plays(1)));
        let repeats = b
            .media
            .iter()
            .any(|command| matches!(command, Command::Play { repeats: true, .. }));
        assert!(repeats, "again and again");
        // Silence is as it should be now, on both sides.
        assert_eq!(
            (watched(&b, a), watched(&b, c)),
            (Some((false, false)), Some((false, false)))
        );
        b.wait(600 * S1);
        assert!(b.ended().is_empty());
        let answer = change(&mut b, ALICE, &mut alice, "a=sendrecv\r\n");
        assert!(answer.contains("a=sendrecv"));
        assert!(quiet(&mut b));
        assert!(bridged(&b, [a, c]));
        assert_eq!(
            (watched(&b, a), watched(&b, c)),
            (Some((true, true)), Some((true, true)))
        );
    }
}

#[test]
fn the_music_is_that_of_the_one_who_holds() {
    let mut b = with(", music_on_hold: [ 2.wav, 3.wav ]");
    let (mut alice, mut bob) = b.talk();
    let [a, c] = pair(&b);
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    assert_eq!(b.does(c), plays(5), "hers, one after the other");
    change(&mut b, ALICE, &mut alice, "a=sendrecv\r\n");
    change(&mut b, BOB, &mut bob, "a=sendonly\r\n");
    assert_eq!((b.does(a), b.does(c)), (plays(1), IDLE), "his is the one for all");
}

#[test]
fn without_music_the_hold_goes_through() {
    for mut b in [Bench::new(), with(", music_on_hold: []")] {
        let (mut alice, _bob) = b.talk();
        let [a, c] = pair(&b);
        change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
        let theirs = b.one(BOB);
        assert!(body(&theirs).contains("a=sendonly"));
        b.answer(BOB, &theirs, 200, Some(sdp(5000, "a=recvonly\r\n")));
        assert_eq!(b.heads(BOB), ["ACK"]);
        assert!(bridged(&b, [a, c]), "what alice's phone sends is heard");
        assert_eq!(
            watched(&b, a),
            Some((false, false)),
            "her phone may send nothing, and the call goes on"
        );
    }
}

#[test]
fn both_hold_and_each_resumes() {
    let mut b = music();
    let (mut alice, mut bob) = b.talk();
    let [a, c] = pair(&b);
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    change(&mut b, BOB, &mut bob, "a=inactive\r\n");
    assert!(quiet(&mut b));
    // Alice comes back: she is held by bob, and he hears nothing, as he wants.
    let answer = change(&mut b, ALICE, &mut alice, "a=sendrecv\r\n");
    assert!(answer.contains("a=sendrecv"));
    assert_eq!((b.does(a), b.does(c)), (plays(1), IDLE));
    change(&mut b, BOB, &mut bob, "a=sendrecv\r\n");
    assert!(bridged(&b, [a, c]));
    assert!(quiet(&mut b));
    b.ask(BOB, &mut bob, Method::Bye, None);
    b.heard(BOB);
    let bye = b.one(ALICE);
    b.answer(ALICE, &bye, 200, None);
    b.rest();
}

#[test]
fn the_held_side_changes_its_session_and_the_music_goes_on() {
    let mut b = music();
    let (mut alice, mut bob) = b.talk();
    let [_, c] = pair(&b);
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    let since = b.media.len();
    let answer = change(&mut b, BOB, &mut bob, "a=ptime:40\r\n");
    assert!(answer.contains("a=sendrecv"), "he can be heard, and hears: {answer}");
    assert_eq!(b.heads(ALICE), NONE);
    let told = &b.media[since..];
    assert!(
        told.iter()
            .any(|command| matches!(command, Command::Negotiated { leg, .. } if *leg == c))
    );
    let other = |command: &Command| matches!(command, Command::Function { .. } | Command::Play { .. });
    assert!(!told.iter().any(other), "it is not begun anew: {told:?}");
}

#[test]
fn a_session_is_refreshed_while_it_is_held() {
    let mut b = music();
    let (mut alice, _bob) = b.talk();
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    let [_, c] = pair(&b);
    b.wait(901 * S1);
    for peer in [ALICE, BOB] {
        for refresh in b.heard(peer) {
            assert!(!body(&refresh).contains("a=sendonly"), "{peer} is told of no hold");
            let answer = (!refresh.body().is_empty()).then(|| sdp(5000, ""));
            b.answer(peer, &refresh, 200, answer);
        }
    }
    b.wait(60 * S1);
    assert!(b.ended().is_empty());
    assert_eq!(b.does(c), plays(1));
}

#[test]
fn either_side_hangs_up_while_it_is_held() {
    for (who, other) in [(ALICE, BOB), (BOB, ALICE)] {
        let mut b = music();
        let (mut alice, mut bob) = b.talk();
        change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
        let own = if who == ALICE { &mut alice } else { &mut bob };
        b.ask(who, own, Method::Bye, None);
        assert_eq!(b.heads(who), ["200 BYE"]);
        let bye = b.one(other);
        b.answer(other, &bye, 200, None);
        assert_eq!(b.ended()[0].status, 200);
        b.rest();
    }
}

/// Bob hears music while carol rings, then carol; he is told nothing by SIP from first to last.
#[test]
fn who_is_held_is_transferred() {
    let mut b = music();
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    let [a, c] = pair(&b);
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", "<sip:carol@example.com>")],
    );
    let notify = b.heard(ALICE).pop().unwrap();
    b.answer(ALICE, &notify, 200, None);
    let theirs = b.one(CAROL);
    assert!(body(&theirs).contains("a=sendrecv"));
    b.answer(CAROL, &theirs, 180, None);
    assert_eq!((b.does(a), b.does(c)), (IDLE, plays(1)));
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    let carol = b.media_legs()[2];
    assert!(bridged(&b, [c, carol]));
    assert_eq!(watched(&b, c), Some((true, true)), "they talk, and are watched");
    assert_eq!(b.heads(BOB), NONE);
    assert!(b.ended().is_empty());
}

/// The transferor leaves at once: a ringback tone in place of the music.
#[test]
fn who_is_held_hears_ringback_when_the_transferor_has_left() {
    let mut b = music();
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    let [_, c] = pair(&b);
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Refer,
        None,
        &[("Refer-To", "<sip:carol@example.com>")],
    );
    b.ask(ALICE, &mut alice, Method::Bye, None);
    b.heard(ALICE);
    assert!(matches!(b.does(c).0, Some(Function::Tone(_))));
    let theirs = b.one(CAROL);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    assert!(bridged(&b, [c, b.media_legs()[2]]));
    assert_eq!(b.heads(BOB), NONE);
}

/// Both calls of an attended transfer are held, and lie on different workers.
#[test]
fn both_far_sides_of_an_attended_transfer_are_held() {
    let mut b = music();
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    let invite = b.invite(ALICE, "alice", "carol", Some(sdp(4002, "")));
    let theirs = b.one(CAROL);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    let ok = b.one(ALICE);
    let mut second = b.ack(ALICE, &invite, &ok);
    b.heard(CAROL);
    change(&mut b, ALICE, &mut second, "a=sendonly\r\n");
    let [_, bob, _, carol] = b.media_legs()[..] else {
        panic!()
    };
    assert_eq!((b.does(bob), b.does(carol)), (plays(1), plays(1)));
    let replaces = format!(
        "{};to-tag={};from-tag={}",
        invite.get(Name::CallId).unwrap(),
        second.id.remote_tag(),
        second.id.local_tag()
    );
    let to = format!(
        "<sip:carol@example.com?Replaces={}>",
        replaces.replace(';', "%3B").replace('=', "%3D")
    );
    b.ask_with(ALICE, &mut alice, Method::Refer, None, &[("Refer-To", &to)]);
    assert!(bridged(&b, [bob, carol]));
    assert_eq!((b.heads(BOB).len(), b.heads(CAROL).len()), (0, 0));
    assert_eq!(b.ended().len(), 1, "the second call of alice");
}

/// The end of something that was played is nothing to a call that is held.
#[test]
fn the_end_of_a_sound_ends_no_call() {
    let mut b = music();
    let (mut alice, _bob) = b.talk();
    change(&mut b, ALICE, &mut alice, "a=sendonly\r\n");
    let [a, c] = pair(&b);
    for leg in [a, c] {
        b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::Played(leg)));
    }
    assert!(b.ended().is_empty());
    assert_eq!(b.does(c), plays(1));
}

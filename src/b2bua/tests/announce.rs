//! What a caller is told by voice before the call is refused.

use super::bench::*;
use crate::id::MediaLegId;
use crate::media::command::{Command, Event as MediaEvent, Function};
use crate::sip::{Message, Method, Name};
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);
const DOMAINS: &str = "domains: [ example.com ]";
const ALL: &str = "announcements: { busy: 2.wav, unavailable: 3.wav, no_answer: 4.wav, not_found: 5.wav }";

fn bench() -> Bench {
    Bench::changed(DOMAINS, &format!("{DOMAINS}\n{ALL}"))
}

fn plays(seconds: u64) -> (Option<Function>, Option<u64>) {
    (Some(Function::Play), Some(seconds))
}

/// The caller is told that there is something to hear, and hears it once.
fn announces(b: &mut Bench, peer: &str, seconds: u64) -> (MediaLegId, Message) {
    let early = b.one(peer);
    assert_eq!(early.status(), 183);
    assert!(String::from_utf8_lossy(&early.body()).contains("m=audio"));
    let caller = b.media_legs()[0];
    assert_eq!(b.does(caller), plays(seconds));
    let once = |command: &Command| matches!(command, Command::Play { repeats: false, .. });
    assert_eq!(b.media.iter().filter(|command| once(command)).count(), 1);
    (caller, early)
}

fn played(b: &mut Bench, leg: MediaLegId) {
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::Played(leg)));
}

fn status(b: &mut Bench, peer: &str) -> u16 {
    let last = b.one(peer);
    if last.status() >= 300 {
        // What a non-2xx is owed is the layer's.
        assert!(last.get(Name::Reason).is_some());
    }
    last.status()
}

#[test]
fn a_busy_phone_is_announced_and_then_it_is_486() {
    let mut b = bench();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 486, None);
    let (caller, _) = announces(&mut b, ALICE, 2);
    b.wait(S1);
    assert_eq!((b.heads(ALICE).len(), b.ended().len()), (0, 0), "not before its end");
    played(&mut b, caller);
    assert_eq!(status(&mut b, ALICE), 486);
    assert_eq!((b.ended()[0].status, b.ended()[0].q850), (486, 17));
    b.rest();
}

#[test]
fn each_failure_has_its_own() {
    for (called, peer, answer, seconds, last) in [
        ("nobody", None, 0, 5, 404),
        ("carol", None, 0, 3, 480),
        ("bob", Some(BOB), 603, 2, 603),
        ("bob", Some(BOB), 480, 3, 480),
        ("bob", Some(BOB), 404, 5, 404),
        ("bob", Some(BOB), 0, 4, 480),
    ] {
        let mut b = Bench::changed_in(&[
            (DOMAINS, format!("{DOMAINS}\n{ALL}")),
            (", on_no_answer: bob, on_busy: bob, on_offline: bob", String::new()),
        ]);
        b.invite(ALICE, "alice", called, Some(sdp(4000, "")));
        if let Some(peer) = peer {
            let theirs = b.one(peer);
            if answer > 0 {
                b.answer(peer, &theirs, answer, None);
            } else {
                b.answer(peer, &theirs, 180, None);
                b.heard(ALICE);
                b.wait(30 * S1);
                let cancel = b.one(peer);
                assert_eq!(cancel.method(), Method::Cancel);
                b.answer(peer, &theirs, 487, None);
            }
        }
        let (caller, _) = announces(&mut b, ALICE, seconds);
        played(&mut b, caller);
        assert_eq!(status(&mut b, ALICE), last, "{called} {answer}");
        b.rest();
    }
}

/// The worker's word may be lost, and the caller may be one that is sent nothing.
#[test]
fn its_time_is_bounded() {
    let mut b = bench();
    b.invite(ALICE, "alice", "nobody", Some(sdp(4000, "")));
    announces(&mut b, ALICE, 5);
    b.wait(Duration::from_millis(6_900));
    assert_eq!(b.heads(ALICE), [""; 0]);
    b.wait(Duration::from_millis(150));
    assert_eq!(status(&mut b, ALICE), 404);
    b.rest();
}

#[test]
fn the_caller_gives_up_meanwhile() {
    let mut b = bench();
    let invite = b.invite(ALICE, "alice", "nobody", Some(sdp(4000, "")));
    announces(&mut b, ALICE, 5);
    b.cancel(ALICE, &invite);
    assert_eq!(b.heads(ALICE), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(b.ended()[0].status, 487);
    b.rest();
}

#[test]
fn a_reliable_announcement_is_acknowledged_and_the_failure_waits_for_nothing() {
    let mut b = bench();
    b.invite_with(ALICE, "alice", "nobody", Some(sdp(4000, "")), &[("Require", "100rel")]);
    let (caller, early) = announces(&mut b, ALICE, 5);
    assert!(early.get(Name::RSeq).is_some());
    played(&mut b, caller);
    assert_eq!(status(&mut b, ALICE), 404);
    b.rest();
}

/// Without an offer nothing can be heard before the answer, and who wants to hear nothing hears nothing.
#[test]
fn who_cannot_hear_it_is_refused_at_once() {
    for (body, heads) in [
        (None, &["404 INVITE"][..]),
        (Some(sdp(4000, "a=sendonly\r\n")), &["183 INVITE", "404 INVITE"][..]),
    ] {
        let mut b = bench();
        b.invite(ALICE, "alice", "nobody", body);
        assert_eq!(b.heads(ALICE), heads);
        b.rest();
    }
}

#[test]
fn only_those_who_are_to_hear_it_do() {
    // Nobody has any.
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "nobody", Some(sdp(4000, "")));
    assert_eq!(b.heads(ALICE), ["404 INVITE"]);
    b.rest();
    // Alice has some of her own: not all of them.
    let own = "display_name: Alice, announcements: { busy: 7.wav } }";
    let mut b = Bench::changed_in(&[
        (DOMAINS, format!("{DOMAINS}\n{ALL}")),
        ("display_name: Alice }", own.to_owned()),
    ]);
    b.invite(ALICE, "alice", "nobody", Some(sdp(4000, "")));
    assert_eq!(b.heads(ALICE), ["404 INVITE"]);
    // The carrier wants none: it has others to try.
    let mut b = Bench::changed_in(&[
        (DOMAINS, format!("{DOMAINS}\n{ALL}")),
        ("    connect: 4s", "    connect: 4s\n    announcements: {}".to_owned()),
    ]);
    b.invite(ACME, "+14155550199", "+14155550102", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 486, None);
    assert_eq!(b.heads(ACME), ["486 INVITE"]);
    // What is refused by the dial plan with another status.
    let mut b = bench();
    b.invite(ALICE, "alice", "699", Some(sdp(4000, "")));
    assert_eq!(b.heads(ALICE), ["403 INVITE"]);
}

/// The callee's early media is over: the announcement takes its place under the same description.
#[test]
fn after_early_media_there_is_no_second_description() {
    let mut b = bench();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 183, Some(sdp(5000, "")));
    assert_eq!(b.one(ALICE).status(), 183);
    b.answer(BOB, &theirs, 486, None);
    assert_eq!(b.heads(ALICE), [""; 0]);
    let caller = b.media_legs()[0];
    assert_eq!(b.does(caller), plays(2));
    played(&mut b, caller);
    assert_eq!(status(&mut b, ALICE), 486);
    b.rest();
}

//! Which calls are recorded, on which channel, and until when.

use super::bench::*;
use crate::dialog::Dialog;
use crate::effect::Fact;
use crate::id::{CallId, MediaLegId};
use crate::media::command::{Command, DataTone, Event as MediaEvent, Function, Recording, Side, Tone};
use crate::sip::{Method, Name};
use std::time::Duration;

const BOB_YES: (&str, &str) = ("ring: 30s }", "ring: 30s, record: yes }");
const ALICE_ASKS: (&str, &str) = ("display_name: Alice }", "display_name: Alice, record: on_request }");

/// What media was told of recording since then: leg, number of the recording, side.
fn told(b: &Bench, since: usize) -> Vec<(u64, Option<(u16, Side)>)> {
    let record = |command: &Command| match command {
        Command::Record { leg, to } => Some((leg.0, to.map(|(recording, side)| (recording.number, side)))),
        _ => None,
    };
    b.media[since..].iter().filter_map(record).collect()
}

fn begun(b: &Bench) -> Vec<Recording> {
    let recording = |fact: &Fact| match fact {
        Fact::RecordingStarted { recording } => Some(*recording),
        _ => None,
    };
    b.facts.iter().filter_map(recording).collect()
}

fn call(b: &Bench) -> CallId {
    let id = |fact: &Fact| match fact {
        Fact::CallStarted { call, .. } => Some(*call),
        _ => None,
    };
    b.facts.iter().find_map(id).unwrap()
}

/// The media legs in the order in which they were opened.
fn legs(b: &Bench) -> Vec<MediaLegId> {
    let id = |command: &Command| match command {
        Command::Open(spec) => Some(spec.id),
        _ => None,
    };
    b.media.iter().filter_map(id).collect()
}

/// Alice's key is pressed; the status of the answer.
fn key(b: &mut Bench, peer: &str, dialog: &mut Dialog, wish: &str) -> u16 {
    b.ask_with(peer, dialog, Method::Info, None, &[("Record", wish)]);
    b.one(peer).status()
}

#[test]
fn nobody_is_recorded_who_is_not_to_be() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    for wish in ["on", "off"] {
        assert_eq!(key(&mut b, ALICE, &mut alice, wish), 403);
        assert_eq!(key(&mut b, BOB, &mut bob, wish), 403);
    }
    assert!(told(&b, 0).is_empty() && begun(&b).is_empty());
}

#[test]
fn a_call_with_a_side_that_is_recorded_is_so_from_its_answer_on() {
    let mut b = Bench::changed(BOB_YES.0, BOB_YES.1);
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 183, Some(sdp(5000, "")));
    b.heard(ALICE);
    assert!(told(&b, 0).is_empty(), "who only rings is not recorded");
    b.answer(BOB, &theirs, 200, None);
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.heard(BOB);
    let [a, bob] = legs(&b)[..] else { panic!() };
    assert_eq!(
        told(&b, 0),
        [(a.0, Some((1, Side::Caller))), (bob.0, Some((1, Side::Callee)))]
    );
    let [recording] = begun(&b)[..] else { panic!() };
    assert_eq!((recording.call, recording.is_wide), (call(&b), false));
    // Alice may not end it, and hold does not.
    assert_eq!(key(&mut b, ALICE, &mut alice, "off"), 403);
    let held = Some(("application/sdp", sdp(4000, "a=sendonly\r\n")));
    b.ask(ALICE, &mut alice, Method::Invite, held);
    assert_eq!((told(&b, 0).len(), begun(&b).len()), (2, 1));
}

#[test]
fn a_phone_that_may_switches_it_on_and_off_and_each_time_is_a_file() {
    let mut b = Bench::changed(ALICE_ASKS.0, ALICE_ASKS.1);
    let (mut alice, mut bob) = b.talk();
    let [a, other] = legs(&b)[..] else { panic!() };
    assert!(told(&b, 0).is_empty());
    assert_eq!(key(&mut b, BOB, &mut bob, "on"), 403, "it is alice's to say");
    assert_eq!(key(&mut b, ALICE, &mut alice, "of"), 400);
    for number in [1, 2] {
        let since = b.media.len();
        assert_eq!(key(&mut b, ALICE, &mut alice, " ON "), 200);
        assert_eq!(key(&mut b, ALICE, &mut alice, "on"), 200);
        let both = [
            (a.0, Some((number, Side::Caller))),
            (other.0, Some((number, Side::Callee))),
        ];
        assert_eq!(told(&b, since), both);
        let since = b.media.len();
        assert_eq!(key(&mut b, ALICE, &mut alice, "off"), 200);
        assert_eq!(told(&b, since), [(a.0, None), (other.0, None)]);
    }
    let files: Vec<String> = begun(&b).iter().map(Recording::file).collect();
    let call = call(&b);
    assert_eq!(
        files,
        [format!("2023-11-14/{call}-1.wav"), format!("2023-11-14/{call}-2.wav")]
    );
    // The same by who is not in the call; a call that is not there.
    let switched = |b: &mut Bench, call, on| b.with(|calls, cx, net| calls.record(cx, net, call, on));
    assert!(switched(&mut b, call, true) && switched(&mut b, call, false));
    assert_eq!(begun(&b).len(), 3);
    assert!(!switched(&mut b, CallId(1), true));
}

/// Alice, whose calls are recorded, calls Bob and transfers him: Carol comes in her place, on her channel, and the file goes on.
#[test]
fn a_transfer_goes_on_in_the_same_file() {
    let mut b = Bench::changed(ALICE_ASKS.0, "display_name: Alice, record: yes }");
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    let since = b.media.len();
    let to = [("Refer-To", "<sip:carol@example.com>")];
    b.ask_with(ALICE, &mut alice, Method::Refer, None, &to);
    let heard = b.heard(ALICE);
    b.answer(ALICE, &heard[1], 200, None);
    let theirs = b.one(CAROL);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    let [a, _, carol] = legs(&b)[..] else { panic!() };
    assert_eq!(told(&b, since), [(a.0, None), (carol.0, Some((1, Side::Caller)))]);
    assert_eq!(begun(&b).len(), 1);
}

/// Attended: the leg that moves from one recorded call to another goes on in that one's file.
#[test]
fn a_leg_that_moves_to_another_call_is_recorded_there() {
    let mut b = Bench::changed(ALICE_ASKS.0, "display_name: Alice, record: yes }");
    b.register("carol", CAROL);
    let (mut alice, _bob) = b.talk();
    let invite = b.invite(ALICE, "alice", "carol", Some(sdp(4004, "")));
    let theirs = b.one(CAROL);
    b.answer(CAROL, &theirs, 200, Some(sdp(6000, "")));
    let ok = b.one(ALICE);
    let second = b.ack(ALICE, &invite, &ok);
    b.heard(CAROL);
    let [first_call, second_call] = begun(&b)[..] else {
        panic!()
    };
    assert_ne!(first_call.call, second_call.call);
    let [_, bob, _, carol] = legs(&b)[..] else { panic!() };
    let since = b.media.len();
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
    let moved = b.media[since..].iter().find_map(|command| match command {
        Command::Record { leg, to: Some(to) } if *leg == carol => Some(*to),
        _ => None,
    });
    assert_eq!(moved, Some((first_call, Side::Caller)), "in alice's place");
    assert!(!told(&b, since).iter().any(|(leg, _)| *leg == bob.0), "bob's goes on");
    assert_eq!(begun(&b).len(), 2);
}

const HEAD: &str = "media: { workers: 2 }
calls: { session_expires: 1800s, max_duration: 7200s }
users:
  - { name: alice, password: \"a long secret\", number: \"+14155550101\", display_name: Alice }";

/// Every fifteen seconds both hear it instead of one another, and the recording goes on.
#[test]
fn where_configured_both_hear_that_they_are_recorded() {
    let is_beep = |function: &Function| matches!(function, Function::Tone(Tone::Sine { hz: 1400, .. }));
    for (tone, times) in [("15s", 3), ("once", 1), ("never", 0)] {
        let head = HEAD.replace(ALICE_ASKS.0, ALICE_ASKS.1);
        let mut b = Bench::changed(HEAD, &format!("recording: {{ tone: {tone} }}\n{head}"));
        let (mut alice, _bob) = b.talk();
        let functions = |b: &Bench, since: usize| -> Vec<Function> {
            let function = |command: &Command| match command {
                Command::Function { function, .. } => Some(*function),
                _ => None,
            };
            b.media[since..].iter().filter_map(function).collect()
        };
        let since = b.media.len();
        assert_eq!(key(&mut b, ALICE, &mut alice, "on"), 200);
        assert_eq!(functions(&b, since).len(), if times > 0 { 2 } else { 0 });
        assert!(functions(&b, since).iter().all(is_beep));
        b.wait(Duration::from_millis(200));
        assert!(matches!(b.function(), Some(Function::Bridge(_))), "they talk again");
        b.wait(Duration::from_secs(40));
        let all = functions(&b, since);
        assert_eq!(
            all.iter().filter(|function| is_beep(function)).count(),
            2 * times,
            "{tone}"
        );
        assert_eq!(all.len(), 3 * times, "both hear it, then they are joined again");
        assert!(matches!(b.function(), Some(Function::Bridge(_))));
        // Nobody hears it who is not recorded any more, not even for the rest of its time.
        let since = b.media.len();
        assert_eq!(key(&mut b, ALICE, &mut alice, "off"), 200);
        assert_eq!(key(&mut b, ALICE, &mut alice, "on"), 200);
        assert_eq!(key(&mut b, ALICE, &mut alice, "off"), 200);
        b.wait(Duration::from_secs(40));
        assert_eq!(functions(&b, since).len(), if times > 0 { 3 } else { 0 });
        assert!(matches!(b.function(), Some(Function::Bridge(_))));
        assert_eq!(begun(&b).len(), 2);
    }
}

/// What a fax machine says is not cut by the tone, whether it was known by its tones or by what was asked before.
#[test]
fn no_tone_is_heard_in_a_fax() {
    let is_beep = |command: &&Command| {
        matches!(
            command,
            Command::Function {
                function: Function::Tone(_),
                ..
            }
        )
    };
    let head = HEAD.replace(ALICE_ASKS.0, ALICE_ASKS.1);
    let mut b = Bench::changed(HEAD, &format!("recording: {{ tone: 15s }}\n{head}"));
    let (mut alice, _bob) = b.talk();
    assert_eq!(key(&mut b, ALICE, &mut alice, "on"), 200);
    b.wait(Duration::from_secs(1));
    let since = b.media.len();
    let leg = legs(&b)[0];
    let tone = DataTone::Answering;
    b.with(|calls, cx, net| calls.media(cx, net, MediaEvent::DataTone { leg, tone }));
    let carry = |command: &&Command| matches!(command, Command::Negotiated { stream, .. } if stream.carries_data);
    assert_eq!(b.media[since..].iter().filter(carry).count(), 2);
    b.wait(Duration::from_secs(60));
    assert_eq!(b.media[since..].iter().filter(is_beep).count(), 0);
}

/// Both are told by voice once, in the place of the first tone; then they talk, and the tone comes in its time.
#[test]
fn where_configured_both_are_told_that_they_are_recorded() {
    for (tone, beeps) in [("", 0), (", tone: once", 0), (", tone: 15s", 2)] {
        let head = HEAD.replace(ALICE_ASKS.0, ALICE_ASKS.1);
        let mut b = Bench::changed(HEAD, &format!("recording: {{ announcement: 3.wav{tone} }}\n{head}"));
        let (mut alice, _bob) = b.talk();
        let [a, c] = legs(&b)[..] else { panic!() };
        assert_eq!(key(&mut b, ALICE, &mut alice, "on"), 200);
        let hears = |b: &Bench| [a, c].map(|leg| b.does(leg));
        assert_eq!(hears(&b), [(Some(Function::Play), Some(3)); 2]);
        b.wait(Duration::from_secs(3));
        assert_eq!(hears(&b), [(Some(Function::Play), Some(3)); 2], "to its end");
        let since = b.media.len();
        b.wait(Duration::from_secs(38));
        let is_beep = |command: &&Command| {
            matches!(
                command,
                Command::Function {
                    function: Function::Tone(Tone::Sine { hz: 1400, .. }),
                    ..
                }
            )
        };
        assert_eq!(b.media[since..].iter().filter(is_beep).count(), 2 * beeps, "{tone}");
        assert!(matches!(b.function(), Some(Function::Bridge(_))));
        // Switched off in its midst, it is not heard to its end.
        assert_eq!(key(&mut b, ALICE, &mut alice, "off"), 200);
        assert_eq!(key(&mut b, ALICE, &mut alice, "on"), 200);
        assert_eq!(hears(&b), [(Some(Function::Play), Some(3)); 2]);
        assert_eq!(key(&mut b, ALICE, &mut alice, "off"), 200);
        assert!(matches!(b.function(), Some(Function::Bridge(_))));
    }
}

//! Fax by T.38: a change that both sides have to make.

use super::bench::*;
use crate::dialog::Dialog;
use crate::effect::Fact;
use crate::id::MediaLegId;
use crate::media::command::{Command, Stream};
use crate::sip::{Message, Method, Name};
use std::collections::BTreeMap;
use std::time::Duration;

pub const S1: Duration = Duration::from_secs(1);
pub const SDP: &str = "application/sdp";
pub const ALICE_NOT: (&str, &str) = ("display_name: Alice }", "display_name: Alice, t38: no }");
pub const BOB_NOT: (&str, &str) = ("ring: 30s }", "ring: 30s, t38: no }");
const BOB_MUST: (&str, &str) = ("ring: 30s }", "ring: 30s, srtp: required }");

pub fn fax(port: u16, rest: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=image {port} udptl t38\r\na=T38FaxVersion:0\r\n{rest}"
    )
}

fn beside_audio(port: u16) -> String {
    fax(port, "").replace("m=image", "m=audio 0 RTP/AVP 8\r\nm=image")
}

pub fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

/// The m-lines of a message.
fn lines(message: &Message) -> Vec<String> {
    let lines = body(message);
    let media = lines.lines().filter_map(|line| line.strip_prefix("m="));
    media
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect()
}

/// The m-line of a leg's only stream is of this kind, and up.
pub fn is_only(message: &Message, kind: &str) -> bool {
    matches!(&lines(message)[..], [line] if line.starts_with(kind) && !line.ends_with(" 0"))
}

/// What each leg was told last: the port of its peer, and the stream. Alice's leg is the first.
pub fn told(b: &Bench) -> Vec<(u16, Stream)> {
    let mut legs: BTreeMap<MediaLegId, (u16, Stream)> = BTreeMap::new();
    for command in &b.media {
        if let Command::Negotiated { leg, remote, stream } = command {
            legs.insert(*leg, (remote.rtp.port(), *stream));
        }
    }
    legs.into_values().collect()
}

pub fn are_fax(b: &Bench) -> [bool; 2] {
    let told = told(b);
    [told[0].1.udptl, told[1].1.udptl]
}

pub fn carry_data(b: &Bench) -> [bool; 2] {
    let told = told(b);
    [told[0].1.carries_data, told[1].1.carries_data]
}

pub fn changes(b: &Bench) -> Vec<&str> {
    let what = b.facts.iter().filter_map(|fact| match fact {
        Fact::CallChanged { what, .. } => Some(what.as_str()),
        _ => None,
    });
    what.collect()
}

/// Bob asks for a fax; what alice is sent then.
pub fn ask(b: &mut Bench, bob: &mut Dialog, offer: String) -> Message {
    b.ask(BOB, bob, Method::Invite, Some((SDP, offer)));
    let passed = b.one(ALICE);
    assert_eq!(passed.method(), Method::Invite);
    assert_eq!(b.heads(BOB), [""; 0], "it waits for alice");
    passed
}

/// Alice and bob are in a fax, which bob asked for.
pub fn in_fax(b: &mut Bench) -> (Dialog, Dialog) {
    let (alice, mut bob) = b.talk();
    let passed = ask(b, &mut bob, fax(5010, "a=T38FaxMaxDatagram:400\r\n"));
    b.answer(ALICE, &passed, 200, Some(fax(4010, "a=T38FaxMaxDatagram:200\r\n")));
    assert_eq!(b.heads(ALICE), ["ACK"]);
    let ok = b.one(BOB);
    b.say(BOB, bob.ack(ok.cseq().unwrap().number));
    assert_eq!((ok.status(), are_fax(b)), (200, [true, true]));
    (alice, bob)
}

#[test]
fn a_fax_is_passed_on_and_answered_as_the_other_side_does() {
    let mut b = Bench::new();
    let (_alice, mut bob) = b.talk();
    let passed = ask(
        &mut b,
        &mut bob,
        fax(5010, "a=T38VendorInfo:1 2 3\r\na=T38FaxUdpEC:t38UDPFEC\r\n"),
    );
    assert!(is_only(&passed, "image"));
    let said = body(&passed);
    assert!(
        said.contains("a=T38FaxVersion:0\r\na=T38VendorInfo:1 2 3\r\na=T38FaxUdpEC:t38UDPFEC\r\n"),
        "{said}"
    );
    assert!(
        said.contains("c=IN IP4 192.0.2.1\r\n") && !said.contains("192.0.2.99"),
        "{said}"
    );
    b.answer(
        ALICE,
        &passed,
        200,
        Some(fax(4010, "a=T38FaxUdpEC:t38UDPRedundancy\r\n")),
    );
    assert_eq!(b.heads(ALICE), ["ACK"]);
    let ok = b.one(BOB);
    assert_eq!(head(&ok), "200 INVITE");
    assert!(is_only(&ok, "image"));
    let said = body(&ok);
    assert!(
        said.contains("t38UDPRedundancy") && !said.contains("t38UDPFEC") && !said.contains("192.0.2.99"),
        "{said}"
    );
    b.say(BOB, bob.ack(ok.cseq().unwrap().number));
    let told = told(&b);
    assert_eq!((told[0].0, told[1].0), (4010, 5010));
    assert_eq!((are_fax(&b), carry_data(&b)), ([true, true], [false, false]));
    // Its pauses are no silence.
    let watched = b.media.iter().rev().find_map(|command| match command {
        Command::Watch { silence, .. } => Some(*silence),
        _ => None,
    });
    assert_eq!(watched, Some(None));
    assert_eq!(changes(&b), ["the callee has made it a fax (T.38)"]);
    assert!(b.ended().is_empty());
}

#[test]
fn its_form_is_that_of_who_asks() {
    let mut b = Bench::new();
    let (_alice, mut bob) = b.talk();
    let passed = ask(&mut b, &mut bob, beside_audio(5010));
    assert_eq!(lines(&passed).len(), 2);
    assert!(lines(&passed)[0].ends_with("audio 0") && lines(&passed)[1].starts_with("image 2"));
    b.answer(ALICE, &passed, 200, Some(beside_audio(4010)));
    assert_eq!(b.heads(ALICE), ["ACK"]);
    let ok = b.one(BOB);
    assert!(
        lines(&ok)[0].ends_with("audio 0") && lines(&ok)[1].starts_with("image 2"),
        "{:?}",
        lines(&ok)
    );
    assert_eq!(are_fax(&b), [true, true]);
}

#[test]
fn back_to_audio_from_either_side() {
    for from_bob in [true, false] {
        let mut b = Bench::new();
        let (mut alice, mut bob) = in_fax(&mut b);
        let (asker, other) = if from_bob { (BOB, ALICE) } else { (ALICE, BOB) };
        let dialog = if from_bob { &mut bob } else { &mut alice };
        b.ask(asker, dialog, Method::Invite, Some((SDP, sdp(5020, ""))));
        let passed = b.one(other);
        assert!(is_only(&passed, "audio"), "{}", body(&passed));
        assert_eq!(b.heads(asker), [""; 0]);
        b.answer(other, &passed, 200, Some(sdp(4020, "")));
        assert_eq!(b.heads(other), ["ACK"]);
        let ok = b.one(asker);
        assert!(is_only(&ok, "audio") && ok.status() == 200);
        b.say(asker, dialog.ack(ok.cseq().unwrap().number));
        assert_eq!((are_fax(&b), carry_data(&b)), ([false, false], [false, false]));
        assert!(changes(&b).last().unwrap().ends_with("in audio again"));
        // The silence of audio is watched again.
        let watches = b
            .media
            .iter()
            .filter(|command| matches!(command, Command::Watch { silence: Some(_), .. }));
        assert_eq!(watches.count(), 4);
        // A hold is what it was, and so is the end.
        b.ask(asker, dialog, Method::Invite, Some((SDP, sdp(5020, "a=sendonly\r\n"))));
        assert!(body(&b.one(asker)).contains("a=recvonly"));
        assert!(body(&b.one(other)).contains("a=sendonly"));
        assert!(b.ended().is_empty());
    }
}

#[test]
fn a_refusal_goes_back_and_the_fax_goes_on_in_audio() {
    for status in [488, 415, 606, 403, 480, 500, 603] {
        let mut b = Bench::new();
        let (_alice, mut bob) = b.talk();
        let before = told(&b);
        let passed = ask(&mut b, &mut bob, fax(5010, ""));
        b.answer(ALICE, &passed, status, None);
        assert_eq!(b.heads(ALICE), ["ACK"], "{status}");
        assert_eq!(b.heads(BOB), ["488 INVITE"], "{status}");
        let after = told(&b);
        for (before, after) in before.iter().zip(&after) {
            let carries_data = Stream {
                carries_data: true,
                ..before.1
            };
            assert_eq!((after.0, after.1), (before.0, carries_data), "{status}");
        }
        b.wait(60 * S1);
        assert!(
            !b.heads(ALICE).contains(&"INVITE".to_owned()),
            "{status}: it is not asked again"
        );
        // The audio may change as before.
        b.ask(BOB, &mut bob, Method::Invite, Some((SDP, sdp(5030, ""))));
        assert!(b.heads(BOB).contains(&"200 INVITE".to_owned()));
        assert_eq!((told(&b)[1].0, carry_data(&b)), (5030, [true, true]));
        assert!(b.ended().is_empty());
    }
}

#[test]
fn what_is_put_off_is_for_the_asker_to_ask_again() {
    for (status, fields) in [
        (491, vec![]),
        (500, vec![("Retry-After", "3")]),
        (503, vec![("Retry-After", "3")]),
    ] {
        let mut b = Bench::new();
        let (mut alice, mut bob) = b.talk();
        let passed = ask(&mut b, &mut bob, fax(5010, ""));
        b.answer_with(ALICE, &passed, status, "p", None, &fields);
        b.heard(ALICE);
        assert_eq!(b.heads(BOB), ["491 INVITE"]);
        assert_eq!(carry_data(&b), [false, false]);
        b.wait(5 * S1);
        assert!(!b.heads(ALICE).contains(&"INVITE".to_owned()));
        b.heard(BOB);
        // Alice, who had one under way herself, is the first.
        b.ask(ALICE, &mut alice, Method::Invite, Some((SDP, fax(4010, ""))));
        let passed = b
            .heard(BOB)
            .into_iter()
            .find(|message| message.method() == Method::Invite && message.is_request());
        b.answer(BOB, &passed.unwrap(), 200, Some(fax(5010, "")));
        assert!(b.heads(ALICE).contains(&"200 INVITE".to_owned()));
        assert_eq!(are_fax(&b), [true, true]);
    }
}

#[test]
fn glare_and_a_second_change_meanwhile() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    let passed = ask(&mut b, &mut bob, fax(5010, ""));
    // Alice's own change, of whatever kind, crosses ours.
    for offer in [fax(4010, ""), sdp(4000, "")] {
        b.ask(ALICE, &mut alice, Method::Invite, Some((SDP, offer)));
        assert_eq!(b.heads(ALICE), ["491 INVITE"]);
    }
    // Bob's second one before the answer to the first: RFC 3261 14.2, RFC 3311 5.2.
    for method in [Method::Invite, Method::Update] {
        b.ask(BOB, &mut bob, method.clone(), Some((SDP, sdp(5000, ""))));
        let refused = b.one(BOB);
        assert_eq!(head(&refused), format!("500 {method}"));
        assert!(refused.get(Name::RetryAfter).is_some());
    }
    b.ask(BOB, &mut bob, Method::Options, None);
    assert_eq!(b.heads(BOB), ["200 OPTIONS"]);
    b.answer(ALICE, &passed, 200, Some(fax(4010, "")));
    assert_eq!(b.heads(ALICE), ["ACK"]);
    assert_eq!(b.heads(BOB), ["200 INVITE"]);
    assert_eq!(are_fax(&b), [true, true]);
}

/// Alice's phone has not acknowledged our answer yet, or is just being put on hold: it is asked once that is done.
#[test]
fn a_side_that_is_busy_is_asked_when_it_is_free() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    let mut bob = b.answer(BOB, &theirs, 200, Some(sdp(5000, ""))).unwrap();
    let ok = b.one(ALICE);
    b.heard(BOB);
    b.ask(BOB, &mut bob, Method::Invite, Some((SDP, fax(5010, ""))));
    assert_eq!(b.heads(ALICE), [""; 0]);
    b.ack(ALICE, &invite, &ok);
    let passed = b.one(ALICE);
    assert!(is_only(&passed, "image"));
    b.answer(ALICE, &passed, 200, Some(fax(4010, "")));
    assert_eq!(b.heads(BOB), ["200 INVITE"]);
    assert_eq!(are_fax(&b), [true, true]);
}

/// The offer of an INVITE without one is ours: in a fax it is the fax, and the answer in the ACK changes where it goes.
#[test]
fn a_late_offer_in_a_fax_is_the_fax() {
    let mut b = Bench::new();
    let (_alice, mut bob) = in_fax(&mut b);
    b.ask(BOB, &mut bob, Method::Invite, None);
    let ok = b.one(BOB);
    assert!(
        is_only(&ok, "image") && body(&ok).contains("a=T38FaxMaxDatagram:200"),
        "{}",
        body(&ok)
    );
    let mut ack = bob.ack(ok.cseq().unwrap().number);
    ack.set_body(SDP, fax(5012, "a=T38FaxMaxDatagram:400\r\n"));
    b.say(BOB, ack);
    assert_eq!((told(&b)[1].0, are_fax(&b)), (5012, [true, true]));
    // What is no answer to it leaves it as it was.
    b.ask(BOB, &mut bob, Method::Invite, None);
    let ok = b.one(BOB);
    let mut ack = bob.ack(ok.cseq().unwrap().number);
    ack.set_body(SDP, sdp(5000, ""));
    b.say(BOB, ack);
    assert_eq!((told(&b)[1].0, are_fax(&b)), (5012, [true, true]));
    assert_eq!(b.heads(ALICE), [""; 0], "all of it was bob's affair");
    assert!(b.ended().is_empty());
}

/// Interop 51: a refresh does not break a fax, by whomever it is made.
#[test]
fn a_refresh_is_the_fax_again() {
    let mut b = Bench::new();
    let (_alice, mut bob) = in_fax(&mut b);
    b.ask(
        BOB,
        &mut bob,
        Method::Invite,
        Some((SDP, fax(5010, "a=T38FaxMaxDatagram:400\r\n"))),
    );
    let ok = b.one(BOB);
    assert!(is_only(&ok, "image"));
    assert_eq!(b.heads(ALICE), [""; 0], "the same again concerns nobody else");
    b.say(BOB, bob.ack(ok.cseq().unwrap().number));
    b.wait(901 * S1);
    let refresh = b.heard(BOB).remove(0);
    assert_eq!(refresh.method(), Method::Invite);
    assert!(is_only(&refresh, "image"), "{}", body(&refresh));
    b.answer(BOB, &refresh, 200, Some(fax(5010, "a=T38FaxMaxDatagram:400\r\n")));
    assert_eq!(b.heads(BOB), ["ACK"]);
    assert_eq!(are_fax(&b), [true, true]);
    // Other words are for alice to hear.
    b.heard(ALICE);
    b.ask(
        BOB,
        &mut bob,
        Method::Invite,
        Some((SDP, fax(5010, "a=T38FaxMaxDatagram:72\r\n"))),
    );
    assert!(b.heads(BOB).is_empty());
}

#[test]
fn a_side_without_fax_refuses_it_before_the_other_is_asked() {
    for (from, to) in [ALICE_NOT, BOB_NOT] {
        let mut b = Bench::changed(from, to);
        let (mut alice, mut bob) = b.talk();
        b.ask(BOB, &mut bob, Method::Invite, Some((SDP, fax(5010, ""))));
        let refused = b.one(BOB);
        assert_eq!(head(&refused), "488 INVITE");
        assert!(refused.get(Name::Warning).unwrap().contains("takes no fax"));
        b.ask(ALICE, &mut alice, Method::Invite, Some((SDP, beside_audio(4010))));
        assert_eq!(b.heads(ALICE), ["488 INVITE"]);
        assert_eq!(b.heads(BOB), [""; 0]);
        assert_eq!(carry_data(&b), [true, true], "it will be tried in audio");
        assert!(b.ended().is_empty());
    }
}

/// A fax has no encryption.
#[test]
fn a_side_that_must_be_encrypted_refuses_it() {
    let mut b = Bench::changed(BOB_MUST.0, BOB_MUST.1);
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    let key = "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let secure = sdp(5000, key).replace("RTP/AVP", "RTP/SAVP");
    let mut bob = b.answer(BOB, &theirs, 200, Some(secure)).unwrap();
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.heard(BOB);
    for (peer, dialog) in [(ALICE, &mut alice), (BOB, &mut bob)] {
        b.ask(peer, dialog, Method::Invite, Some((SDP, fax(4010, ""))));
        assert_eq!(b.heads(peer), ["488 INVITE"]);
    }
    assert_eq!((are_fax(&b), carry_data(&b)), ([false, false], [true, true]));
    // And one that begins so.
    let mut b = Bench::changed(BOB_MUST.0, BOB_MUST.1);
    b.invite(ALICE, "alice", "bob", Some(fax(4010, "")));
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
    assert_eq!(b.heads(BOB), [""; 0]);
    b.invite(BOB, "bob", "alice", Some(fax(5010, "")));
    assert_eq!(b.heads(BOB), ["488 INVITE"]);
    b.rest();
}

#[test]
fn what_can_not_be_passed_on_is_refused() {
    // By UPDATE, which is answered at once (RFC 3311 5.2).
    let mut b = Bench::new();
    let (_alice, mut bob) = b.talk();
    b.ask(BOB, &mut bob, Method::Update, Some((SDP, fax(5010, ""))));
    assert_eq!(b.heads(BOB), ["488 UPDATE"]);
    // Nowhere to send it to, and more than is carried.
    let many = "a=T38Vendor:1\r\n".repeat(100);
    for offer in [fax(5010, "c=IN IP4 fax.example.com\r\n"), fax(5010, &many)] {
        b.ask(BOB, &mut bob, Method::Invite, Some((SDP, offer)));
        assert_eq!(b.heads(BOB), ["488 INVITE"]);
    }
    assert_eq!(b.heads(ALICE), [""; 0]);
    // The node itself takes none.
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "600", Some(sdp(4000, "")));
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.ask(ALICE, &mut alice, Method::Invite, Some((SDP, fax(4010, ""))));
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
    b.invite(ALICE, "alice", "600", Some(fax(4010, "")));
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
}

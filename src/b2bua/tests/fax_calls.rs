//! Calls that begin as a fax by T.38, and how a change to one is given up: by an answer that is none, by CANCEL, BYE, time, another phone.

use super::bench::*;
use super::fax::*;
use crate::dialog::{Begun, Dialog};
use crate::effect::Fact;
use crate::media::command::{Command, Function};
use crate::sdp::Session;
use crate::sip::{Message, Method, Name};

#[test]
fn a_call_may_begin_as_a_fax() {
    let mut b = Bench::new();
    let invite = b.invite(
        ALICE,
        "alice",
        "bob",
        Some(fax(4010, "a=T38FaxRateManagement:transferredTCF\r\n")),
    );
    let theirs = b.one(BOB);
    assert!(is_only(&theirs, "image") && body(&theirs).contains("a=T38FaxRateManagement:transferredTCF\r\n"));
    b.answer(BOB, &theirs, 180, None);
    b.answer(BOB, &theirs, 183, Some(fax(5010, "")));
    let heard = b.heard(ALICE);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["180 INVITE", "183 INVITE"]);
    assert!(
        heard.iter().all(|message| message.body().is_empty()),
        "a fax has no early media"
    );
    let mut bob = b
        .answer(BOB, &theirs, 200, Some(fax(5012, "a=T38FaxMaxBuffer:72\r\n")))
        .unwrap();
    assert_eq!(b.heads(BOB), ["ACK"]);
    let ok = b.one(ALICE);
    assert!(ok.status() == 200 && is_only(&ok, "image"));
    assert!(body(&ok).contains("a=T38FaxMaxBuffer:72") && !body(&ok).contains("TCF"));
    let mut alice = b.ack(ALICE, &invite, &ok);
    let told = told(&b);
    assert_eq!((told[0].0, told[1].0, are_fax(&b)), (4010, 5012, [true, true]));
    assert_eq!(changes(&b), ["it is a fax (T.38)"]);
    // It may become audio, and end.
    b.ask(ALICE, &mut alice, Method::Invite, Some((SDP, sdp(4000, ""))));
    let passed = b.one(BOB);
    assert!(is_only(&passed, "audio"), "{}", body(&passed));
    b.answer(BOB, &passed, 200, Some(sdp(5000, "")));
    let ok = b.one(ALICE);
    assert!(is_only(&ok, "audio"));
    b.say(ALICE, alice.ack(ok.cseq().unwrap().number));
    assert_eq!(are_fax(&b), [false, false]);
    b.heard(BOB);
    b.ask(BOB, &mut bob, Method::Bye, None);
    b.heard(BOB);
    let bye = b.one(ALICE);
    b.answer(ALICE, &bye, 200, None);
    b.rest();
}

#[test]
fn a_fax_that_begins_a_call_is_settled_by_an_early_answer_too() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(fax(4010, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 183, Some(fax(5010, "a=T38FaxMaxBuffer:72\r\n")));
    b.answer(BOB, &theirs, 200, None);
    let heard = b.heard(ALICE);
    let ok = heard.last().unwrap();
    assert!(ok.status() == 200 && body(ok).contains("a=T38FaxMaxBuffer:72"));
    b.ack(ALICE, &invite, ok);
    assert_eq!(are_fax(&b), [true, true]);
}

#[test]
fn a_fax_that_begins_a_call_is_refused_where_nobody_takes_it() {
    // The callee's phone says so.
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", Some(fax(4010, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 488, None);
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
    // It takes the call, and not the fax.
    b.invite(ALICE, "alice", "bob", Some(fax(4010, "")));
    let theirs = b.heard(BOB).pop().unwrap();
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    let heard = b.heard(BOB);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    b.answer(BOB, &heard[1], 200, None);
    assert!(b.heads(ALICE).contains(&"488 INVITE".to_owned()));
    b.rest();
    for (from, to) in [ALICE_NOT, BOB_NOT] {
        let mut b = Bench::changed(from, to);
        b.invite(ALICE, "alice", "bob", Some(fax(4010, "")));
        assert_eq!(b.heads(ALICE), ["488 INVITE"]);
        assert_eq!(b.heads(BOB), [""; 0]);
        b.rest();
    }
}

/// A 2xx that takes nothing: its sender has no stream at all then, and gets its audio back.
#[test]
fn an_answer_without_a_fax_is_a_refusal() {
    let no_image = || fax(4010, "").replace("m=image 4010", "m=image 0");
    for answer in [Some(no_image()), Some(sdp(4000, "")), None] {
        let mut b = Bench::new();
        let (_alice, mut bob) = b.talk();
        let passed = ask(&mut b, &mut bob, fax(5010, ""));
        b.answer(ALICE, &passed, 200, answer);
        let heard = b.heard(ALICE);
        assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "INVITE"]);
        assert!(is_only(&heard[1], "audio"));
        // RFC 3264 8: what was taken had a version, and this is another one.
        let version = |message: &Message| {
            let session = Session::parse(&message.body()).unwrap().into_owned();
            session.origin.version.parse::<u64>().unwrap()
        };
        assert!(version(&heard[1]) > version(&passed));
        assert_eq!(b.heads(BOB), ["488 INVITE"]);
        b.answer(ALICE, &heard[1], 200, Some(sdp(4000, "")));
        assert_eq!(b.heads(ALICE), ["ACK"]);
        assert_eq!((are_fax(&b), carry_data(&b)), ([false, false], [true, true]));
        // One that is as useless is not answered by a third.
        let mut b = Bench::new();
        let (_alice, mut bob) = b.talk();
        let passed = ask(&mut b, &mut bob, fax(5010, ""));
        b.answer(ALICE, &passed, 200, None);
        let again = b.heard(ALICE).pop().unwrap();
        b.answer(ALICE, &again, 200, None);
        assert_eq!(b.heads(ALICE), ["ACK"]);
        assert!(b.ended().is_empty());
    }
}

/// The asker gives up; an answer that crosses our CANCEL leaves its sender in a fax alone, and it is brought back.
#[test]
fn a_change_is_cancelled() {
    for crosses in [false, true] {
        let mut b = Bench::new();
        let (_alice, mut bob) = b.talk();
        let mut asked = bob.request(Method::Invite);
        asked.push(Name::Contact, format!("<sip:{BOB}>"));
        asked.push_front(Name::Via, format!("SIP/2.0/UDP {BOB};branch=z9hG4bKfax"));
        asked.set_body(SDP, fax(5010, ""));
        b.say(BOB, asked.clone());
        let passed = b.one(ALICE);
        b.answer(ALICE, &passed, 100, None);
        let crate::sip::write::Start::Request(_, uri) = asked.start.clone() else {
            panic!("no request")
        };
        let mut cancel = crate::sip::Draft::request(Method::Cancel, uri);
        for name in [Name::Via, Name::MaxForwards, Name::From, Name::To, Name::CallId] {
            if let Some(value) = asked.get(name) {
                cancel.push(name, value);
            }
        }
        let cseq = asked.get(Name::CSeq).unwrap().replace("INVITE", "CANCEL");
        cancel.push(Name::CSeq, cseq);
        b.say(BOB, cancel);
        assert_eq!(b.heads(BOB), ["200 CANCEL", "487 INVITE"]);
        let cancelled = b.one(ALICE);
        assert_eq!(cancelled.method(), Method::Cancel);
        b.answer(ALICE, &cancelled, 200, None);
        if crosses {
            b.answer(ALICE, &passed, 200, Some(fax(4010, "")));
            let heard = b.heard(ALICE);
            assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "INVITE"]);
            assert!(is_only(&heard[1], "audio"));
            assert_eq!(are_fax(&b), [true, false]);
            b.answer(ALICE, &heard[1], 200, Some(sdp(4000, "")));
        } else {
            b.answer(ALICE, &passed, 487, None);
        }
        assert_eq!(b.heads(ALICE), ["ACK"]);
        assert_eq!((are_fax(&b), carry_data(&b)), ([false, false], [false, false]));
        assert!(b.ended().is_empty());
    }
}

#[test]
fn a_side_that_stays_in_a_fax_alone_ends_the_call() {
    let mut b = Bench::new();
    let (_alice, mut bob) = in_fax(&mut b);
    b.ask(BOB, &mut bob, Method::Invite, Some((SDP, sdp(5020, ""))));
    let passed = b.one(ALICE);
    b.answer(ALICE, &passed, 488, None);
    b.heard(ALICE);
    assert_eq!(b.heads(BOB), ["488 INVITE"], "refused, the fax goes on");
    assert_eq!(are_fax(&b), [true, true]);
    assert_eq!(carry_data(&b), [false, false]);
    b.ask(BOB, &mut bob, Method::Invite, Some((SDP, sdp(5020, ""))));
    let passed = b.heard(ALICE).pop().unwrap();
    b.answer(ALICE, &passed, 200, None);
    let heard = b.heard(ALICE);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    b.answer(ALICE, &heard[1], 200, None);
    let heard = b.heard(BOB);
    assert!(heard.iter().any(|message| head(message) == "488 INVITE"));
    b.answer(BOB, heard.last().unwrap(), 200, None);
    b.rest();
}

#[test]
fn nobody_waits_for_ever() {
    // No response at all: the peer is lost, and so is the call.
    let mut b = Bench::new();
    let (_alice, mut bob) = b.talk();
    ask(&mut b, &mut bob, fax(5010, ""));
    b.wait(33 * S1);
    let heads = b.heads(BOB);
    assert!(
        heads.contains(&"487 INVITE".to_owned()) && heads.contains(&"BYE".to_owned()),
        "{heads:?}"
    );
    b.rest();
    // Only a provisional one: the call goes on in audio.
    let mut b = Bench::new();
    let (_alice, mut bob) = b.talk();
    let passed = ask(&mut b, &mut bob, fax(5010, ""));
    b.answer(ALICE, &passed, 100, None);
    b.wait(39 * S1);
    assert_eq!(b.heads(BOB), [""; 0]);
    b.wait(2 * S1);
    let heads = b.heads(BOB);
    assert!(
        heads.iter().all(|head| head == "488 INVITE") && !heads.is_empty(),
        "{heads:?}"
    );
    let cancelled = b.heard(ALICE).remove(0);
    assert_eq!(cancelled.method(), Method::Cancel);
    b.answer(ALICE, &cancelled, 200, None);
    b.answer(ALICE, &passed, 487, None);
    assert_eq!(carry_data(&b), [true, true]);
    assert!(b.ended().is_empty());
}

#[test]
fn a_bye_meanwhile_ends_the_call_and_the_change() {
    for by_asker in [true, false] {
        let mut b = Bench::new();
        let (mut alice, mut bob) = b.talk();
        let passed = ask(&mut b, &mut bob, fax(5010, ""));
        b.answer(ALICE, &passed, 100, None);
        let (peer, dialog) = if by_asker { (BOB, &mut bob) } else { (ALICE, &mut alice) };
        b.ask(peer, dialog, Method::Bye, None);
        let (at_alice, at_bob) = (b.heard(ALICE), b.heard(BOB));
        assert!(at_bob.iter().any(|message| head(message) == "487 INVITE"), "{by_asker}");
        for (peer, message) in at_alice
            .iter()
            .map(|message| (ALICE, message))
            .chain(at_bob.iter().map(|message| (BOB, message)))
        {
            if message.is_request() {
                b.answer(peer, message, 200, None);
            }
        }
        b.answer(ALICE, &passed, 487, None);
        b.rest();
        assert_eq!(b.ended().len(), 1);
    }
}

/// A phone that takes the call over in audio: who is left in the fax comes back.
#[test]
fn who_is_left_in_a_fax_is_brought_back() {
    let mut b = Bench::new();
    b.register("carol", CAROL);
    let (_alice, bob) = in_fax(&mut b);
    let replaces = format!(
        "{};to-tag={};from-tag={}",
        bob.id.call_id(),
        bob.id.remote_tag(),
        bob.id.local_tag()
    );
    let field = [("Replaces", replaces.as_str())];
    let invite = b.invite_with(CAROL, "carol", "alice", Some(sdp(6000, "")), &field);
    let ok = b.heard(CAROL).pop().unwrap();
    assert_eq!(head(&ok), "200 INVITE");
    b.ack(CAROL, &invite, &ok);
    let back = b.heard(ALICE).pop().unwrap();
    assert!(
        back.method() == Method::Invite && is_only(&back, "audio"),
        "{}",
        body(&back)
    );
    b.answer(ALICE, &back, 200, Some(sdp(4000, "")));
    assert!(!told(&b)[0].1.udptl);
    // Nobody takes it over by a fax.
    let bye = b.heard(BOB).pop().unwrap();
    b.answer(BOB, &bye, 200, None);
    assert!(b.ended().is_empty());
}

/// A transfer in a fax is put off, since its target would be called in audio.
#[test]
fn a_fax_is_not_transferred() {
    let mut b = Bench::new();
    let (mut alice, _bob) = in_fax(&mut b);
    let refer = [("Refer-To", "<sip:carol@example.com>")];
    b.ask_with(ALICE, &mut alice, Method::Refer, None, &refer);
    assert_eq!(b.heads(ALICE), ["491 REFER"]);
}

/// A call by the trunk's rights, and a caller's own: the words of the trunk's fax are those that the phone gets.
#[test]
fn a_carrier_s_fax_reaches_a_phone() {
    let mut b = Bench::new();
    let invite = b.invite(
        ACME,
        "+14155550199",
        "+14155550102",
        Some(fax(7000, "a=T38FaxMaxBuffer:1\r\n")),
    );
    let theirs = b.one(BOB);
    assert!(body(&theirs).contains("a=T38FaxMaxBuffer:1"));
    b.answer(BOB, &theirs, 200, Some(fax(5010, "")));
    let ok = b.one(ACME);
    assert!(ok.status() == 200 && is_only(&ok, "image"));
    let dialog = Dialog::uac(Begun::of(&invite).unwrap(), &ok).unwrap();
    b.say(ACME, dialog.ack(1));
    assert_eq!(are_fax(&b), [true, true]);
}

/// The tone of a recording would come in the place of the fax: in it there is none, and behind it there is again.
#[test]
fn a_recorded_fax_hears_no_tone() {
    let head = "media: { workers: 2 }\n";
    let mut b = Bench::changed(head, &format!("recording: {{ tone: 15s }}\n{head}"));
    let (_alice, mut bob) = in_fax(&mut b);
    let call = b.facts.iter().find_map(|fact| match fact {
        Fact::CallStarted { call, .. } => Some(*call),
        _ => None,
    });
    let tones = |b: &Bench| {
        let is_tone = |command: &&Command| {
            matches!(
                command,
                Command::Function {
                    function: Function::Tone(_),
                    ..
                }
            )
        };
        b.media.iter().filter(is_tone).count()
    };
    assert!(b.with(|calls, cx, net| calls.record(cx, net, call.unwrap(), true)));
    b.wait(60 * S1);
    assert_eq!(tones(&b), 0);
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    b.ask(BOB, &mut bob, Method::Invite, Some((SDP, sdp(5020, ""))));
    let passed = b.one(ALICE);
    b.answer(ALICE, &passed, 200, Some(sdp(4020, "")));
    assert_eq!(b.one(BOB).status(), 200);
    b.say(BOB, bob.ack(bob.local_cseq));
    b.wait(20 * S1);
    assert!(tones(&b) > 0);
}

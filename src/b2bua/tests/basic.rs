//! Set-up, failure and end of calls.

use super::bench::*;
use crate::b2bua::call::Call;
use crate::b2bua::leg::Leg;
use crate::effect::{Blame, Fact};
use crate::id::{CallId, LegNo, MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::Function;
use crate::sip::{Draft, Method, Name, Uri};
use crate::transaction::Event;
use std::time::Duration;

const S1: Duration = Duration::from_secs(1);
const CALLED: &str = "+12125550199";

#[test]
fn echo_answers_at_once_and_ends_with_bye() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "600", Some(sdp(4000, "")));
    let ok = b.one(ALICE);
    assert_eq!(ok.status(), 200);
    assert_eq!(b.function(), Some(Function::Echo));
    let mut alice = b.ack(ALICE, &invite, &ok);
    b.ask(ALICE, &mut alice, Method::Bye, None);
    assert_eq!(b.heads(ALICE), ["200 BYE"]);
    b.rest();
    assert_eq!((b.ended()[0].status, b.ended()[0].q850), (200, 16));
}

#[test]
fn the_dial_plan_refuses() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "699", Some(sdp(4000, "")));
    assert_eq!(b.one(ALICE).status(), 403);
    b.invite(ALICE, "alice", "nobody", Some(sdp(4000, "")));
    assert_eq!(b.one(ALICE).status(), 404);
    b.rest();
}

#[test]
fn user_to_user() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    assert_eq!(
        theirs.from().unwrap().to_string().split(";tag").next(),
        Some("\"Alice\" <sip:alice@example.com>")
    );
    assert_ne!(theirs.call_id(), invite.get(Name::CallId).unwrap());
    b.answer(BOB, &theirs, 180, None);
    let ringing = b.one(ALICE);
    assert_eq!((ringing.status(), ringing.body().len()), (180, 0));
    let mut bob = b.answer(BOB, &theirs, 200, Some(sdp(5000, ""))).unwrap();
    assert_eq!(b.heads(BOB), ["ACK"]);
    let ok = b.one(ALICE);
    assert_eq!(ok.status(), 200);
    b.ack(ALICE, &invite, &ok);
    assert!(matches!(b.function(), Some(Function::Bridge(_))));
    b.ask(BOB, &mut bob, Method::Bye, None);
    assert_eq!(b.heads(BOB), ["200 BYE"]);
    let bye = b.one(ALICE);
    assert_eq!(
        (bye.method(), bye.get(Name::Reason).unwrap().into_owned()),
        (Method::Bye, "Q.850;cause=16".to_owned())
    );
    b.answer(ALICE, &bye, 200, None);
    b.rest();
    let kinds: Vec<&str> = b
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::CallStarted { .. } => Some("started"),
            Fact::CallRouted { .. } => Some("routed"),
            Fact::CallRinging { .. } => Some("ringing"),
            Fact::CallAnswered { .. } => Some("answered"),
            Fact::CallEnded { .. } => Some("ended"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["started", "routed", "ringing", "answered", "ended"]);
}

#[test]
fn cancel_before_and_while_it_rings() {
    for ringing in [false, true] {
        let mut b = Bench::new();
        let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
        let theirs = b.one(BOB);
        if ringing {
            b.answer(BOB, &theirs, 180, None);
            b.heard(ALICE);
        }
        b.cancel(ALICE, &invite);
        assert_eq!(b.heads(ALICE), ["200 CANCEL", "487 INVITE"]);
        if !ringing {
            assert_eq!(b.heads(BOB), [""; 0], "no CANCEL before a provisional response");
            b.answer(BOB, &theirs, 180, None);
        }
        let cancel = b.one(BOB);
        assert_eq!(cancel.method(), Method::Cancel);
        b.answer(BOB, &cancel, 200, None);
        b.answer(BOB, &theirs, 487, None);
        b.rest();
        assert_eq!(b.ended()[0].status, 487);
    }
}

#[test]
fn an_answer_that_crosses_our_cancel_is_acknowledged_and_ended() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 180, None);
    b.cancel(ALICE, &invite);
    b.heard(BOB);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    let heard = b.heard(BOB);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    assert_eq!(b.heads(BOB), ["ACK"], "a copy is acknowledged again");
    b.answer(BOB, &heard[1], 200, None);
    b.rest();
}

#[test]
fn all_phones_ring_and_the_first_answer_wins() {
    let mut b = Bench::new();
    b.register("bob", BOB2);
    let invite = b.invite(ALICE, "alice", "+14155550102", Some(sdp(4000, "")));
    let (first, second) = (b.one(BOB), b.one(BOB2));
    b.answer(BOB, &first, 180, None);
    b.answer(BOB2, &second, 180, None);
    assert_eq!(b.heads(ALICE), ["180 INVITE"], "one 180 is enough");
    b.answer(BOB2, &second, 200, Some(sdp(5000, "")));
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    let cancel = b.one(BOB);
    assert!(cancel.get(Name::Reason).unwrap().contains("cause=200"));
    b.answer(BOB, &cancel, 200, None);
    b.answer(BOB, &first, 487, None);
    b.heard(BOB2);
    b.ask(ALICE, &mut alice, Method::Bye, None);
    let bye = b.one(BOB2);
    b.answer(BOB2, &bye, 200, None);
    b.rest();
}

#[test]
fn busy_everywhere_is_486_and_a_decline_speaks_for_all() {
    let mut b = Bench::new();
    b.register("bob", BOB2);
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let (first, second) = (b.one(BOB), b.one(BOB2));
    b.answer(BOB, &first, 480, None);
    b.answer(BOB2, &second, 486, None);
    let busy = b.one(ALICE);
    assert_eq!(
        (busy.status(), busy.get(Name::Reason).unwrap().into_owned()),
        (486, "Q.850;cause=17".to_owned())
    );
    b.heard(BOB);
    b.heard(BOB2);
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let (first, second) = (b.one(BOB), b.one(BOB2));
    b.answer(BOB, &first, 180, None);
    b.heard(ALICE);
    b.answer(BOB2, &second, 603, None);
    assert_eq!(b.one(ALICE).status(), 603);
    let cancel = b.one(BOB);
    b.answer(BOB, &cancel, 200, None);
    b.answer(BOB, &first, 487, None);
    b.rest();
}

#[test]
fn nobody_answers_in_time() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 180, None);
    b.heard(ALICE);
    b.wait(29 * S1);
    assert_eq!(b.heads(ALICE), [""; 0]);
    b.wait(2 * S1);
    assert!(b.heads(ALICE).contains(&"480 INVITE".to_owned()));
    let cancel = b.heard(BOB).remove(0);
    b.answer(BOB, &cancel, 200, None);
    b.answer(BOB, &theirs, 487, None);
    b.rest();
    assert_eq!(b.ended()[0].q850, 19);
}

#[test]
fn a_user_who_is_offline_busy_or_silent_sends_the_call_on() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "carol", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    assert_eq!(theirs.method(), Method::Invite, "carol has no phone: on_offline");
    b.answer(BOB, &theirs, 486, None);
    assert_eq!(b.one(ALICE).status(), 486);
    b.heard(BOB);
    b.register("carol", CAROL);
    b.invite(ALICE, "alice", "carol", Some(sdp(4000, "")));
    let theirs = b.one(CAROL);
    b.answer(CAROL, &theirs, 486, None);
    let on = b.one(BOB);
    b.answer(BOB, &on, 486, None);
    b.rest();
}

#[test]
fn the_number_of_calls_a_user_may_have() {
    let mut b = Bench::new();
    let mut invites = Vec::new();
    for _ in 0..2 {
        invites.push(b.invite(CAROL, "carol", "bob", Some(sdp(4000, ""))));
    }
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    assert_eq!(b.one(ALICE).status(), 486);
    for invite in invites {
        b.cancel(CAROL, &invite);
    }
    b.heard(BOB);
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    assert_eq!(b.heads(BOB), ["INVITE"], "call waiting has room again");
    b.wait(90 * S1);
    b.rest();
}

#[test]
fn an_unacknowledged_answer_is_repeated_and_then_ended() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    b.wait(33 * S1);
    let heads = b.heads(ALICE);
    assert!(
        heads.iter().filter(|head| *head == "200 INVITE").count() >= 10,
        "{heads:?}"
    );
    assert!(heads.contains(&"BYE".to_owned()), "{heads:?}");
    assert!(b.heads(BOB).contains(&"BYE".to_owned()));
    b.rest();
    assert_eq!(b.ended()[0].status, 408);
}

#[test]
fn both_hang_up_at_once() {
    let mut b = Bench::new();
    let (mut alice, mut bob) = b.talk();
    b.ask(ALICE, &mut alice, Method::Bye, None);
    assert_eq!(b.heads(ALICE), ["200 BYE"]);
    let bye = b.one(BOB);
    b.ask(BOB, &mut bob, Method::Bye, None);
    assert_eq!(b.heads(BOB), ["200 BYE"]);
    b.answer(BOB, &bye, 481, None);
    b.rest();
}

#[test]
fn the_callee_hangs_up_before_the_callers_ack() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    let mut bob = b.answer(BOB, &theirs, 200, Some(sdp(5000, ""))).unwrap();
    let ok = b.one(ALICE);
    b.ask(BOB, &mut bob, Method::Bye, None);
    assert_eq!(b.heads(ALICE), [""; 0], "no BYE before the ACK (RFC 3261 15)");
    b.ack(ALICE, &invite, &ok);
    let bye = b.one(ALICE);
    assert_eq!(bye.method(), Method::Bye);
    b.answer(ALICE, &bye, 200, None);
    b.rest();
}

#[test]
fn what_is_no_call_leaves_no_record() {
    let mut b = Bench::new();
    b.invite(
        ALICE,
        "alice",
        "600",
        Some("v=0\r\nm=audio 4000 RTP/AVP 18\r\nc=IN IP4 192.0.2.9\r\n".to_owned()),
    );
    assert_eq!(b.one(ALICE).status(), 488);
    b.invite_with(
        ALICE,
        "alice",
        "600",
        Some(sdp(4000, "")),
        &[("Session-Expires", "30"), ("Supported", "timer")],
    );
    let small = b.one(ALICE);
    assert_eq!((small.status(), small.get(Name::MinSe).is_some()), (422, true));
    assert!(b.facts.iter().all(|fact| !matches!(fact, Fact::CallStarted { .. })));
    b.rest();
}

/// Without what a trunk does by itself (REGISTER, OPTIONS): all transactions are those of calls.
fn without_trunk_business() -> Bench {
    let line = "    register: { username: tandem, password: \"another secret\", realm: acme.example }\n";
    Bench::changed(line, "    options: never\n")
}

#[test]
fn an_error_in_one_call_costs_that_call_only() {
    let mut b = without_trunk_business();
    let (mut alice, _bob) = b.talk();
    b.invite(CAROL, "carol", "+12125550199", Some(sdp(4000, "")));
    assert_eq!(b.net.trunks.reserved(), 1);
    let theirs = b.one(ACME);
    b.answer(ACME, &theirs, 180, None);
    b.heard(CAROL);
    let broken = *b.calls.calls.keys().last().unwrap();
    b.with(|calls, cx, net| calls.turn(cx, net, broken, |_, _| panic!("a fault, made for this test")));
    assert_eq!((b.calls.len(), b.net.trunks.reserved()), (1, 0));
    // Its peers are told.
    assert_eq!(b.heads(CAROL), ["500 INVITE"]);
    let cancel = b.one(ACME);
    assert_eq!(cancel.method(), Method::Cancel);
    b.answer(ACME, &cancel, 200, None);
    b.answer(ACME, &theirs, 487, None);
    assert!(b.facts.iter().any(|fact| matches!(fact, Fact::Warning(_))));
    assert_eq!((b.ended().len(), b.ended()[0].by), (1, Blame::Node));
    b.ask(ALICE, &mut alice, Method::Bye, None);
    assert_eq!(b.heads(ALICE), ["200 BYE"]);
    let bye = b.one(BOB);
    b.answer(BOB, &bye, 200, None);
    b.rest();
    assert!(b.net.layer.is_empty(), "no transaction of the broken call is left");
}

#[test]
fn both_sides_of_a_broken_call_that_was_up_get_a_bye() {
    let mut b = without_trunk_business();
    b.talk();
    let broken = *b.calls.calls.keys().last().unwrap();
    b.with(|calls, cx, net| calls.turn(cx, net, broken, |_, _| panic!("a fault, made for this test")));
    for peer in [ALICE, BOB] {
        let bye = b.one(peer);
        assert_eq!(bye.method(), Method::Bye);
        b.answer(peer, &bye, 200, None);
    }
    b.rest();
    assert!(b.net.layer.is_empty());
}

#[test]
fn what_was_given_up_takes_no_place_of_those_who_ring() {
    let mut b = Bench::changed("ring: 30s }", "ring: 30s, calls: 100 }");
    let phone = |user: usize, number: usize| format!("203.0.{user}.{}:5060", number + 1);
    for number in 0..15 {
        b.register("bob", &phone(1, number));
    }
    for number in 0..16 {
        b.register("carol", &phone(2, number));
    }
    b.invite(ALICE, "alice", "carol", Some(sdp(4000, "")));
    for number in 0..16 {
        let theirs = b.one(&phone(2, number));
        b.answer(&phone(2, number), &theirs, 180, None);
    }
    // They never answer our CANCEL, and bob has sixteen phones too.
    b.wait(61 * S1);
    for number in 0..15 {
        assert!(b.heads(&phone(1, number)).contains(&"INVITE".to_owned()), "{number}");
    }
    assert!(b.heads(BOB).contains(&"INVITE".to_owned()));
    b.wait(90 * S1);
    b.rest();
}

#[test]
fn a_call_that_no_media_worker_has_room_for_is_refused() {
    let mut b = Bench::new();
    let own = super::super::leg::LegId {
        call: CallId(1),
        no: LegNo(0),
    };
    let fill = |worker: u16| (0..limits::LEGS_PER_WORKER as u64 - 1).map(move |n| (worker, n));
    for (worker, n) in fill(0).chain(fill(1)) {
        let id = MediaLegId(1 << 40 | u64::from(worker) << 32 | n);
        b.calls.desk.add_media(id, own, WorkerId(worker));
    }
    b.invite(CAROL, "carol", "600", Some(sdp(4000, "")));
    let refused = b.one(CAROL);
    assert_eq!(refused.status(), 503);
    assert!(refused.get(Name::RetryAfter).is_some());
    // One leg less on the second worker, which takes the next call, though it is the first one's turn.
    b.calls.desk.remove_media(MediaLegId(1 << 40 | 1 << 32));
    assert_eq!(
        b.with(|calls, cx, _| calls.desk.next_worker(cx.config)),
        Some(WorkerId(1))
    );
    b.invite(CAROL, "carol", "600", Some(sdp(4000, "")));
    assert_eq!(b.one(CAROL).status(), 200);
    b.wait(90 * S1);
    b.rest();
}

const ISUP: &str = "Content-Type: application/ISUP\r\nContent-Disposition: signal;handling=optional\r\n\r\nabc";

fn several(first: &str, description: &str) -> String {
    format!("--part\r\n{first}\r\n--part\r\nContent-Type: application/sdp\r\n\r\n{description}\r\n--part--\r\n")
}

/// RFC 5621 4: the description is one part of a body, in the INVITE and in its answer; what need not be understood is not.
#[test]
fn a_description_among_several_parts() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", CALLED, Some(several(ISUP, &sdp(4000, ""))));
    let theirs = b.one(ACME);
    assert_eq!(theirs.content_type().as_deref(), Some("application/sdp"));
    assert!(!String::from_utf8_lossy(&theirs.body()).contains("abc"));
    let mut acme = b
        .answer(ACME, &theirs, 200, Some(several(ISUP, &sdp(5000, ""))))
        .unwrap();
    let ok = b.one(ALICE);
    assert_eq!(ok.status(), 200);
    b.ack(ALICE, &invite, &ok);
    b.heard(ACME);
    // Within the call as well.
    let again = several(ISUP, &sdp(5002, "a=sendonly\r\n"));
    b.ask(
        ACME,
        &mut acme,
        Method::Update,
        Some(("multipart/mixed; boundary=\"part\"", again)),
    );
    let heard = b.heard(ACME);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["200 UPDATE"]);
    assert!(String::from_utf8_lossy(&heard[0].body()).contains("a=recvonly"));
    b.heard(ALICE);
    b.wait(90 * S1);
    b.rest();
}

/// RFC 5621 4.1, RFC 3261 21.4.13: what must be understood and is not: 415 with what we read.
#[test]
fn a_part_that_must_be_understood() {
    let mut b = Bench::new();
    let required = ISUP.replace(";handling=optional", "");
    b.invite(ALICE, "alice", CALLED, Some(several(&required, &sdp(4000, ""))));
    let refused = b.one(ALICE);
    assert_eq!(refused.status(), 415);
    assert_eq!(refused.get(Name::Accept).unwrap(), "application/sdp, multipart/mixed");
    assert_eq!(b.heads(ACME), [""; 0]);
    b.rest();
}

#[test]
fn a_stopping_node_takes_no_calls_and_ends_those_that_are_up_after_the_grace() {
    let mut b = Bench::new();
    b.talk();
    b.with(|calls, cx, net| calls.stop(cx, net, 10 * S1));
    b.invite(CAROL, "carol", "600", Some(sdp(4000, "")));
    assert_eq!(b.one(CAROL).status(), 503);
    b.wait(9 * S1);
    assert_eq!(b.heads(BOB), [""; 0]);
    b.wait(2 * S1);
    assert_eq!(b.heads(BOB).first().map(String::as_str), Some("BYE"));
    assert_eq!(b.heads(ALICE).first().map(String::as_str), Some("BYE"));
    b.rest();
}

#[test]
fn an_idle_call_is_small() {
    assert!(size_of::<Leg>() <= 3072, "{}", size_of::<Leg>());
    assert!(size_of::<Call>() <= 512, "{}", size_of::<Call>());
}

#[test]
fn a_phone_that_sends_its_calls_on_and_a_chain_that_never_ends() {
    let mut b = Bench::new();
    b.register("carol", CAROL);
    b.invite(ALICE, "alice", "carol", Some(sdp(4000, "")));
    let theirs = b.one(CAROL);
    b.answer_with(CAROL, &theirs, 302, "p", None, &[("Contact", "<sip:bob@example.com>")]);
    let on = b.one(BOB);
    assert_eq!(on.method(), Method::Invite);
    b.answer(BOB, &on, 486, None);
    assert_eq!(b.one(ALICE).status(), 486);
    b.heard(BOB);
    b.heard(CAROL);
    b.invite(ALICE, "alice", "carol", Some(sdp(4000, "")));
    for _ in 0..6 {
        let theirs = b
            .heard(CAROL)
            .into_iter()
            .find(|message| message.method() == Method::Invite)
            .unwrap();
        b.answer_with(
            CAROL,
            &theirs,
            302,
            "p",
            None,
            &[("Contact", "<sip:carol@example.com>")],
        );
    }
    assert_eq!(b.one(ALICE).status(), 480);
    b.rest();
    assert_eq!(b.ended()[1].q850, 25);
}

#[test]
fn a_user_who_calls_himself_rings_his_other_phones_only() {
    let mut b = Bench::new();
    b.register("bob", BOB2);
    let invite = b.invite(BOB, "bob", "bob", Some(sdp(4000, "")));
    assert_eq!(b.heads(BOB), [""; 0]);
    assert_eq!(b.heads(BOB2), ["INVITE"]);
    b.cancel(BOB, &invite);
    b.wait(40 * S1);
    b.rest();
    // Two users on one device are two users.
    b.register("carol", BOB);
    b.invite(BOB, "bob", "carol", Some(sdp(4000, "")));
    assert!(b.heads(BOB).contains(&"INVITE".to_owned()));
    b.wait(90 * S1);
    b.rest();
}

#[test]
fn a_call_that_was_answered_elsewhere_is_no_missed_call() {
    let mut b = Bench::new();
    b.invite(ACME, "+12125550123", "+14155550102", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 180, None);
    // The carrier's own fork was answered: its CANCEL says so.
    let tx = b.calls.calls.values().next().unwrap().legs[0].incoming().unwrap().tx;
    let mut cancel = Draft::request(Method::Cancel, Uri::parse("sip:x@example.com").unwrap());
    cancel.push(Name::Reason, "SIP;cause=200;text=\"Call completed elsewhere\"");
    let cancel = cancel.to_message().unwrap();
    b.with(|calls, cx, net| calls.event(cx, net, Event::Cancelled { tx, cancel }));
    let cancel = b.one(BOB);
    assert!(cancel.get(Name::Reason).unwrap().contains("cause=200"));
    b.answer(BOB, &cancel, 200, None);
    b.answer(BOB, &theirs, 487, None);
    b.rest();
}

#[test]
fn a_caller_without_a_port_is_refused() {
    let mut b = Bench::new();
    b.invite(ALICE, "alice", "bob", None);
    b.heard(BOB);
    b.with(|calls, _, _| while calls.desk.stock.take(false).is_some() {});
    b.invite(CAROL, "carol", "600", Some(sdp(4000, "")));
    assert_eq!(b.one(CAROL).status(), 503);
    b.wait(90 * S1);
    b.rest();
}

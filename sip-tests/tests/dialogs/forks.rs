//! Several early dialogs of one INVITE: RFC 3261 12.1, 13.2.2.4, interop item 30.

use crate::tools::{calling, fork, requests, two};
use sip_tests::{Answer, CallRef, Msg, Peer, State, World, ms, s};
use tandem::id::Transport;

fn carrier_call(seed: u64) -> (World, Peer, CallRef, Peer, CallRef) {
    let mut w = World::builder(seed).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let (a, c) = calling(&mut w, alice, acme, "+442079460000");
    (w, alice, a, acme, c)
}

/// RFC 3261 13.2.2.4: two forks behind the carrier describe media, a third one answers: it has the call, and the caller saw
/// one dialog all the time.
#[test]
fn two_early_dialogs_and_an_answer_from_a_third() {
    let (mut w, alice, a, acme, c) = carrier_call(1);
    for tag in ["one", "two"] {
        fork(&mut w, c, tag);
        w.respond_sdp(c, 183);
        w.run(ms(500));
    }
    w.expect_hears(a, Some(c));
    fork(&mut w, c, "three");
    w.accept(c);
    w.up(a);
    w.expect_tones(a, c);
    let ack = w.last_received(acme, |m| m.is("ACK"));
    assert_eq!(ack.to_tag(), "three");
    let tags: Vec<String> = w
        .received(alice, |m| {
            m.status() > 100 && m.method() == "INVITE" && m.status() != 401
        })
        .iter()
        .map(|(_, m)| m.to_tag().to_owned())
        .collect();
    assert!(
        tags.len() >= 2 && tags.iter().all(|tag| *tag == tags[0]),
        "one dialog towards the caller: {tags:?}"
    );
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3261 13.2.2.4: another fork answers as well: its answer is acknowledged and ended at once, its copies acknowledged again.
#[test]
fn a_second_answer_is_acknowledged_and_ended() {
    let (mut w, _, a, acme, c) = carrier_call(2);
    w.accept(c);
    w.up(a);
    let description = w.at(c).sdp.write();
    let late = Msg::response(&w.at(c).invite, 200, "late")
        .with("Contact", "<sip:late@198.51.100.1:5060>")
        .with_sdp(&description);
    for _ in 0..2 {
        w.send_raw(acme, late.write().to_vec());
        w.run(s(1));
    }
    let acks = w.received(acme, |m| m.is("ACK") && m.to_tag() == "late");
    assert_eq!(acks.len(), 2, "each copy is acknowledged");
    let byes = requests(&w, acme, "BYE");
    assert_eq!(byes.len(), 1);
    assert_eq!(
        (byes[0].1.to_tag(), byes[0].1.uri()),
        ("late", "sip:late@198.51.100.1:5060")
    );
    assert_eq!(w.state(c), State::Up, "the call itself is not hurt");
    w.expect_tones(a, c);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3261 12.1.2, 12.3: a fork that had an early dialog and did not answer is forgotten with the 2xx of another.
#[test]
fn the_early_dialog_of_a_fork_that_lost_is_gone() {
    let (mut w, _, a, acme, c) = carrier_call(3);
    fork(&mut w, c, "one");
    w.respond_sdp(c, 183);
    w.run(ms(100));
    let bye = w.at(c).request("BYE", 300);
    fork(&mut w, c, "two");
    w.accept(c);
    w.up(a);
    assert_eq!(w.ask(acme, bye), 481);
    assert_eq!(w.state(a), State::Up);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3261 16.7 in a B2BUA's words: two phones of one user give early media; the first is heard until the other answers.
#[test]
fn two_phones_with_early_media_and_the_second_answers() {
    let mut w = World::builder(4).media().build();
    let alice = w.registered("alice");
    let (desk, mobile) = (
        w.device("desk", "bob", Transport::Udp),
        w.device("mobile", "bob", Transport::Udp),
    );
    w.register(desk);
    w.register(mobile);
    w.policy(mobile).answer = Answer::Manual;
    let (a, d) = calling(&mut w, alice, desk, "bob");
    let m = w.incoming(mobile);
    w.respond_sdp(d, 183);
    w.run(ms(500));
    w.respond_sdp(m, 183);
    w.expect_hears(a, Some(d));
    w.accept(m);
    w.up(a);
    w.expect_over(d, 487);
    assert!(
        w.at(d)
            .reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with("SIP;cause=200")),
        "RFC 3326: elsewhere"
    );
    w.expect_tones(a, m);
    w.hang_up(a);
    w.expect_over(m, 200);
    w.finish();
}

/// The phone whose early media is heard refuses while another rings: the caller hears ringback, then the one who answers.
#[test]
fn early_media_of_a_phone_that_refuses_gives_way_to_ringback() {
    let mut w = World::builder(5).media().build();
    let alice = w.registered("alice");
    let (desk, mobile) = (
        w.device("desk", "bob", Transport::Udp),
        w.device("mobile", "bob", Transport::Udp),
    );
    w.register(desk);
    w.register(mobile);
    w.policy(mobile).answer = Answer::Manual;
    let (a, d) = calling(&mut w, alice, desk, "bob");
    let m = w.incoming(mobile);
    w.respond_sdp(d, 183);
    w.respond(m, 180);
    w.expect_hears(a, Some(d));
    w.respond(d, 486);
    assert!(crate::tools::hears_within(&mut w, a, 425.0, 6));
    w.accept(m);
    w.up(a);
    w.expect_tones(a, m);
    w.hang_up(m);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 6228: a 199 ends an early dialog and is none of the caller's business.
#[test]
fn a_199_stays_on_its_leg() {
    let (mut w, alice, bob) = two(6);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    w.respond(b, 199);
    w.run(s(1));
    assert!(w.received(alice, |m| m.status() == 199).is_empty());
    w.accept(b);
    w.up(a);
    w.finish();
}

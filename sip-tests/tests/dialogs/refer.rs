//! Blind transfer: RFC 3515, 4488, 5589 6, interop item 52.

use crate::tools::{hears_within, notified, requests, same};
use sip_tests::{Answer, CallRef, Peer, State, World, ms, s};

pub const CAROL: &str = "Refer-To: <sip:carol@example.com>";

/// alice has called bob; carol is there.
pub struct Three {
    pub w: World,
    pub alice: Peer,
    pub carol: Peer,
    pub a: CallRef,
    pub b: CallRef,
}

pub fn three(seed: u64, media: bool) -> Three {
    let builder = World::builder(seed);
    let mut w = if media { builder.media() } else { builder }.build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (a, b) = w.talk(alice, bob, "bob");
    Three { w, alice, carol, a, b }
}

/// RFC 3515 2.4: 202, NOTIFY 100, 180, 200 in order within the subscription; then the two others talk, on our re-INVITEs.
#[test]
fn the_caller_transfers_after_holding() {
    let Three {
        mut w,
        alice,
        carol,
        a,
        b,
        ..
    } = three(1, true);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    w.expect_over(a, 200);
    assert_eq!(notified(&w, a), [100, 180, 200]);
    let notifies = requests(&w, alice, "NOTIFY");
    assert!(
        notifies
            .iter()
            .all(|(_, m)| m.text("Event") == "refer" && m.text("Content-Type").starts_with("message/sipfrag"))
    );
    let states: Vec<&str> = notifies
        .iter()
        .map(|(_, m)| m.text("Subscription-State").split(';').next().unwrap_or(""))
        .collect();
    assert_eq!(states, ["active", "active", "terminated"]);
    let c = w.incoming(carol);
    assert!(
        w.at(c).invite.text("From").contains("bob"),
        "the target sees who will be on the call"
    );
    w.expect_tones(b, c);
    assert_eq!(w.at(b).sdp.direction, "sendrecv", "resumed");
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 5589 6: the callee transfers the caller.
#[test]
fn the_callee_transfers() {
    let Three { mut w, carol, a, b, .. } = three(2, true);
    assert_eq!(w.request(b, "REFER", &[CAROL], None), 202);
    w.expect_over(b, 200);
    let c = w.incoming(carol);
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
    let changes = w.cdr().changes.join("; ");
    assert!(
        changes.contains("bob transfers the call") && changes.contains("the transfer is done"),
        "{changes}"
    );
}

/// RFC 3515 2.4.4, RFC 5589 6.1: the target is busy, refuses, does not exist, is not there: the transferor hears it and still
/// RFC 3515 2.4.6: a second REFER of the dialog names its subscription by its CSeq; the first has failed before.
#[test]
fn a_second_transfer_after_a_failed_one() {
    let Three {
        mut w,
        alice,
        carol,
        a,
        b,
        ..
    } = three(4, false);
    w.policy(carol).answer = Answer::Status(486, ms(300), Vec::new());
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    w.run(s(2));
    w.policy(carol).answer = Answer::After(ms(300));
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    let cseq = w.agents[alice.0]
        .log
        .iter()
        .rev()
        .find(|seen| seen.sent && seen.msg.is("REFER"))
        .map_or(0, |seen| seen.msg.cseq().0);
    w.expect_over(a, 200);
    let events: Vec<String> = requests(&w, alice, "NOTIFY")
        .iter()
        .map(|(_, m)| m.text("Event").to_owned())
        .collect();
    assert_eq!(events.last(), Some(&format!("refer;id={cseq}")));
    assert_eq!(events[0], "refer");
    w.hang_up(b);
    w.finish();
}

/// RFC 4488: who wants no subscription gets none, and is told so; the transfer is done all the same.
#[test]
fn a_transfer_without_subscription() {
    let Three {
        mut w,
        alice,
        carol,
        a,
        b,
        ..
    } = three(6, false);
    assert_eq!(
        w.request(a, "REFER", &[CAROL, "Refer-Sub: false", "Supported: norefersub"], None),
        202
    );
    assert_eq!(
        w.last_received(alice, |m| m.answers("REFER", 202)).text("Refer-Sub"),
        "false"
    );
    w.expect_over(a, 200);
    assert!(requests(&w, alice, "NOTIFY").is_empty());
    let c = w.incoming(carol);
    w.hang_up(c);
    w.expect_over(b, 200);
    w.finish();
}

/// A transfer to the world: by the transferor's rights, over the trunk, shown as the one who stays.
#[test]
fn transferred_to_a_trunk_number() {
    let Three { mut w, a, b, .. } = three(7, true);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    assert_eq!(
        w.request(
            a,
            "REFER",
            &["Refer-To: <sip:+442079460000@example.com;user=phone>"],
            None
        ),
        202
    );
    w.expect_over(a, 200);
    let c = w.incoming(acme);
    assert!(w.at(c).invite.uri().starts_with("sip:+442079460000@198.51.100.1"));
    assert!(w.at(c).invite.text("P-Asserted-Identity").contains("+14155550102"));
    w.expect_tones(b, c);
    w.hang_up(c);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 5589 6.1: the transferor hangs up at once: the kept party hears ringback until the target answers.
#[test]
fn the_transferor_leaves_before_the_target_answers() {
    let Three { mut w, carol, a, b, .. } = three(8, true);
    w.policy(carol).answer = Answer::Manual;
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    let c = w.incoming(carol);
    w.hang_up(a);
    w.expect_over(a, 200);
    assert_eq!(w.state(b), State::Up);
    assert!(hears_within(&mut w, b, 425.0, 6));
    w.accept(c);
    w.run(s(1));
    w.expect_tones(b, c);
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// The transferor is gone and the target refuses: nobody is left to take the kept party back, so its call ends.
#[test]
fn the_transferor_has_left_and_the_target_refuses() {
    let Three { mut w, carol, a, b, .. } = three(9, false);
    w.policy(carol).answer = Answer::Manual;
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    let c = w.incoming(carol);
    w.hang_up(a);
    w.run(s(1));
    w.respond(c, 486);
    w.expect_over(b, 200);
    assert_eq!(w.at(b).reason.as_deref(), Some("Q.850;cause=17"));
    w.finish();
}

/// The kept party hangs up while the target rings: the target is cancelled, the transferor's call ends.
#[test]
fn the_kept_party_leaves_before_the_target_answers() {
    let Three { mut w, carol, a, b, .. } = three(10, false);
    w.policy(carol).answer = Answer::Manual;
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    let c = w.incoming(carol);
    w.run(s(1));
    w.hang_up(b);
    w.expect_over(c, 487);
    w.expect_over(a, 200);
    w.finish();
}

/// The transferred call is transferred again, by the one who was kept.
#[test]
fn a_transferred_call_is_transferred_again() {
    let Three {
        mut w,
        alice,
        carol,
        a,
        b,
        ..
    } = three(11, true);
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    w.expect_over(a, 200);
    let c = w.incoming(carol);
    w.run(s(1));
    assert_eq!(w.request(b, "REFER", &["Refer-To: <sip:alice@example.com>"], None), 202);
    w.expect_over(b, 200);
    let again = w.incoming(alice);
    w.expect_tones(c, again);
    assert_eq!(w.reinvite(c, same()), 200);
    w.hang_up(again);
    w.expect_over(c, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1, "one call, one record");
}

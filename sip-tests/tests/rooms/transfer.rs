//! Calls that come into a room by a transfer, and members that go by one.

use crate::tools::{all_hear, all_join, is_up, joins, leave, phone, three, world};
use sip_tests::description::{events, pcma};
use sip_tests::{CallRef, Peer, World, s};

fn refer(w: &mut World, call: CallRef, to: &str) {
    let line = format!("Refer-To: <{to}>");
    assert_eq!(w.request(call, "REFER", &[&line], None), 202);
}

/// The place of a call within a URI (RFC 3891 3).
fn replacing(w: &World, call: CallRef) -> String {
    let escaped = w.replaces(call).replace('@', "%40").replace(';', "%3B");
    format!("sip:3000@example.com?Replaces={}", escaped.replace('=', "%3D"))
}

fn callee(w: &World, peer: Peer) -> CallRef {
    let call = w.agents[peer.0].calls.len() - 1;
    CallRef { peer, call }
}

/// RFC 3515: blind. Who transfers is out; whom he transfers is asked for the PIN.
#[test]
fn a_call_is_transferred_into_the_room() {
    let mut w = world(100, "pin: \"4711\", moderators: [ carol ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let dave = phone(&mut w, "dave", vec![pcma(), events()]);
    let c = joins(&mut w, carol);
    let d = joins(&mut w, dave);
    crate::tools::press(&mut w, d, "4711");
    let (a, b) = w.talk(alice, bob, "bob");
    refer(&mut w, a, "sip:3000@example.com");
    w.expect_over(a, 200);
    w.run(s(5));
    crate::tools::hear(&mut w, &[(b, &[]), (c, &[d]), (d, &[c])]);
    crate::tools::press(&mut w, b, "4711");
    all_hear(&mut w, &[b, c, d]);
    leave(&mut w, &[b, c, d]);
}

/// RFC 5589 7: attended. Whom a member brings gets his place, and is asked for nothing.
#[test]
fn a_member_gives_his_place_to_another() {
    let mut w = world(101, "pin: \"4711\", moderators: [ alice, carol ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, c] = all_join(&mut w, [alice, carol]);
    assert_eq!(w.hold(a, "inactive"), 200);
    let (consulted, b) = w.talk(alice, bob, "bob");
    let to = replacing(&w, a);
    refer(&mut w, consulted, &to);
    w.expect_over(a, 200);
    w.run(s(5));
    assert!(!is_up(&w, consulted));
    all_hear(&mut w, &[b, c]);
    leave(&mut w, &[b, c]);
}

/// RFC 3891: a member goes on at another phone, which takes his dialog over.
#[test]
fn a_member_goes_on_at_another_phone() {
    let mut w = world(102, "entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, b, c] = all_join(&mut w, [alice, bob, carol]);
    let mobile = w.device("mobile", "bob", tandem::id::Transport::Udp);
    w.register(mobile);
    let line = format!("Replaces: {}", w.replaces(b));
    let m = w.call_with(mobile, "3000", &[&line, "Require: replaces"]);
    w.up(m);
    w.expect_over(b, 200);
    w.run(s(5));
    all_hear(&mut w, &[a, c, m]);
    leave(&mut w, &[a, c, m]);
}

/// RFC 3891 3: nobody else takes a member's place by his own wish, and what goes with it; the room goes on.
#[test]
fn nobody_takes_the_place_of_another() {
    let mut w = world(104, "pin: \"4711\", moderators: [ alice, bob ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, b] = all_join(&mut w, [alice, bob]);
    for referred in ["Subject: x", "Referred-By: <sip:bob@example.com>"] {
        let line = format!("Replaces: {}", w.replaces(b));
        let c = w.call_with(carol, "3000", &[&line, "Require: replaces", referred]);
        w.expect_over(c, 403);
    }
    all_hear(&mut w, &[a, b]);
    leave(&mut w, &[a, b]);
}

/// A member is called by somebody and leaves the room for him: the others stay.
#[test]
fn a_member_leaves_for_another_call() {
    let mut w = world(103, "entry: none");
    let [alice, bob, carol] = three(&mut w);
    let dave = phone(&mut w, "dave", vec![pcma(), events()]);
    let [a, b, c] = all_join(&mut w, [alice, bob, carol]);
    let d = w.call(dave, "bob");
    w.up(d);
    w.hang_up(b);
    w.run(s(1));
    let taken = callee(&w, bob);
    all_hear(&mut w, &[a, c]);
    all_hear(&mut w, &[taken, d]);
    w.hang_up(d);
    leave(&mut w, &[a, c]);
}

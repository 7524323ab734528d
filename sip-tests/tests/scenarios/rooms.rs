//! Rooms by SIP alone (RFC 4579): who joins, is asked, is called, transferred, and leaves. What is heard is told in `tests/rooms`.

use sip_tests::script::EDGE;
use sip_tests::{CallRef, Peer, State, World, s};

/// The usual node with a room 3000 that has these keys.
pub fn edge(keys: &str) -> String {
    EDGE.replace(
        "routes:\n",
        &format!("rooms: [ {{ number: \"3000\", name: standup, {keys} }} ]\nroutes:\n  - {{ to: \"7*\", do: room }}\n"),
    )
}

fn world(seed: u64, keys: &str) -> World {
    World::builder(seed).config(&edge(keys)).build()
}

/// Keys, one by one, by INFO.
fn press(w: &mut World, call: CallRef, keys: &str) {
    for key in keys.chars() {
        let body = format!("Signal={key}\r\nDuration=100\r\n");
        let lines = ["Content-Type: application/dtmf-relay"];
        assert_eq!(w.request(call, "INFO", &lines, Some(&body)), 200);
    }
}

fn joins(w: &mut World, peer: Peer, number: &str) -> CallRef {
    let call = w.call(peer, number);
    w.up(call);
    call
}

fn is_up(w: &World, call: CallRef) -> bool {
    w.state(call) == State::Up
}

/// RFC 4579 5.1: the Contact of the focus; each leaves without the others.
#[test]
fn three_join_and_leave_one_by_one() {
    let mut w = world(1, "");
    let peers = ["alice", "bob", "carol"].map(|name| w.registered(name));
    let calls = peers.map(|peer| joins(&mut w, peer, "3000"));
    let ok = w.last_received(peers[2], |msg| msg.answers("INVITE", 200));
    assert!(ok.text("Contact").contains("sip:3000@"), "{ok:?}");
    assert!(ok.text("Contact").ends_with(";isfocus"), "{ok:?}");
    for (n, call) in calls.into_iter().enumerate() {
        w.hang_up(call);
        w.run(s(1));
        assert!(calls[n + 1..].iter().all(|call| is_up(&w, *call)));
    }
    w.finish();
}

/// The PIN by INFO; three wrong ones end the call.
#[test]
fn a_pin_is_asked_for() {
    let mut w = world(2, "pin: \"4711\"");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = (joins(&mut w, alice, "3000"), joins(&mut w, bob, "3000"));
    press(&mut w, a, "4711");
    press(&mut w, b, "000011112222");
    // What is said to him ends by the clock where no worker tells.
    w.expect_over(b, 200);
    assert!(is_up(&w, a));
    w.hang_up(a);
    w.finish();
}

/// A locked room: early media, then 403; open again, it is joined.
#[test]
fn a_moderator_locks_and_ends_the_room_by_keys() {
    let mut w = world(3, "moderators: [ alice ]");
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let a = joins(&mut w, alice, "3000");
    press(&mut w, a, "*5");
    let b = w.call(bob, "3000");
    w.expect_over(b, 403);
    press(&mut w, a, "*5");
    let c = joins(&mut w, carol, "3000");
    press(&mut w, c, "*0");
    w.run(s(20));
    assert!(is_up(&w, a) && is_up(&w, c), "carol is no moderator");
    press(&mut w, a, "*0");
    w.expect_over(a, 200);
    w.expect_over(c, 200);
    w.finish();
}

/// Who came last is sent away.
#[test]
fn a_moderator_removes_who_came_last() {
    let mut w = world(4, "moderators: [ alice ]");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = (joins(&mut w, alice, "3000"), joins(&mut w, bob, "3000"));
    press(&mut w, a, "*8");
    w.expect_over(b, 200);
    assert!(is_up(&w, a));
    w.hang_up(a);
    w.finish();
}

/// RFC 3515: a call is transferred into a room on demand; its phone is told of the focus and stays.
#[test]
fn a_call_is_transferred_into_a_room() {
    let mut w = world(5, "");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    let refer = [
        "Refer-To: <sip:7001@example.com>",
        "Referred-By: <sip:alice@example.com>",
    ];
    assert_eq!(w.request(a, "REFER", &refer, None), 202);
    w.run(s(5));
    assert!(is_up(&w, b) && !is_up(&w, a));
    let told = w.last_received(bob, |msg| msg.is("INVITE") || msg.is("UPDATE"));
    assert!(told.text("Contact").ends_with(";isfocus"), "{told:?}");
    w.hang_up(b);
    w.finish();
}

/// A hold and its end, refused by nobody; and members over a network that loses.
#[test]
fn a_member_holds_and_comes_back_over_a_bad_network() {
    let mut w = world(6, "");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    for peer in [alice, bob] {
        let ip = w.agents[peer.0].addr.ip();
        w.net.link(ip).loss = 0.2;
    }
    let (a, b) = (joins(&mut w, alice, "3000"), joins(&mut w, bob, "3000"));
    assert_eq!(w.hold(b, "sendonly"), 200);
    // Its ACK may be lost, and a change before it has come is refused (RFC 3261 14.2).
    w.run(s(5));
    assert_eq!(w.resume(b), 200);
    w.run(s(5));
    w.hang_up(a);
    w.run(s(40));
    w.hang_up(b);
    w.finish();
}

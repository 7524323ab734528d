//! What is heard in rooms: two members are each other's tone.

use super::rooms::edge;
use sip_tests::description::{events, g722, opus, pcma, pcmu};
use sip_tests::{CallRef, Peer, World, s};

fn world(seed: u64, keys: &str) -> World {
    World::builder(seed).config(&edge(keys)).media().build()
}

fn joins(w: &mut World, peer: Peer) -> CallRef {
    let call = w.call(peer, "3000");
    w.up(call);
    call
}

/// Each codec with each other.
#[test]
fn two_members_hear_each_other() {
    for (n, formats) in [vec![pcma(), events()], vec![pcmu(), events()], vec![g722(), events()], vec![opus(), events()]]
        .into_iter()
        .enumerate()
    {
        let mut w = world(10 + n as u64, "agc: no, gate: no, entry: none");
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(alice).formats = formats;
        let (a, b) = (joins(&mut w, alice), joins(&mut w, bob));
        w.run(s(5));
        w.expect_tones(a, b);
        w.hang_up(a);
        w.hang_up(b);
        w.finish();
    }
}

/// The PIN by RFC 4733 events, over what is said; then mute by a key, and back.
#[test]
fn digits_of_members_do_what_they_say() {
    let mut w = world(20, "pin: \"4711\", agc: no, gate: no, entry: none");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = (joins(&mut w, alice), joins(&mut w, bob));
    for call in [a, b] {
        w.voice(call).dial("4711");
        w.run(s(5));
    }
    w.expect_tones(a, b);
    w.voice(a).dial("*6");
    w.run(s(5));
    w.expect_hears(b, None);
    w.expect_hears(a, Some(b));
    w.voice(a).dial("*6");
    w.run(s(5));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.hang_up(b);
    w.finish();
}

/// Who puts the room on hold and sends its own music is not heard, and is heard again after.
#[test]
fn the_music_of_who_holds_is_not_heard() {
    let mut w = world(30, "agc: no, gate: no, entry: none");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = (joins(&mut w, alice), joins(&mut w, bob));
    w.run(s(5));
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.expect_hears(a, None);
    assert_eq!(w.resume(b), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.hang_up(b);
    w.finish();
}

/// A call of two is transferred into a room on another worker, where it is heard.
#[test]
fn who_is_transferred_is_heard_in_the_room() {
    let mut w = world(40, "agc: no, gate: no, entry: none");
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let c = joins(&mut w, carol);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(a, "REFER", &["Refer-To: <sip:3000@example.com>"], None), 202);
    w.run(s(5));
    w.expect_tones(b, c);
    w.hang_up(b);
    w.hang_up(c);
    w.finish();
}

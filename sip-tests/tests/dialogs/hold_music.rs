//! Music on hold and announcements, heard over a real media path: `music_on_hold`, `announcements`, `recording.announcement`.

use crate::refer::CAROL;
use crate::tools::{direction, edge_with, hears_within, reinvites, statuses};
use sip_tests::script::EDGE;
use sip_tests::{Answer, CallRef, Change, Peer, World, ms, s};

const MUSIC: f32 = 800.0;

fn world(seed: u64) -> (World, Peer, Peer) {
    let mut w = World::builder(seed)
        .config(&edge_with("music_on_hold: 800.wav"))
        .media()
        .build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    (w, alice, bob)
}

/// For a while nothing else than this is heard.
fn hears_tone(w: &mut World, who: CallRef, hz: f32) {
    w.run(ms(300));
    w.voice(who).forget();
    w.run(s(1));
    let heard = w.voice(who).hears();
    assert!(
        heard.is_some_and(|heard| heard.is(hz, 12.0)),
        "{hz} Hz, and not {heard:?}"
    );
}

/// From either side, by each way to say it: the held side hears music and is told nothing, the holder hears nothing.
#[test]
fn the_held_side_hears_music_from_either_side() {
    let zero = Change {
        zero_address: true,
        ..Change::default()
    };
    for (seed, change) in [(1, direction("sendonly")), (2, direction("inactive")), (3, zero)] {
        for caller_holds in [true, false] {
            let (mut w, alice, bob) = world(seed);
            let (a, b) = w.talk(alice, bob, "bob");
            let (holder, held) = if caller_holds { (a, b) } else { (b, a) };
            assert_eq!(w.reinvite(holder, change.clone()), 200);
            hears_tone(&mut w, held, MUSIC);
            w.expect_hears(holder, None);
            // Longer than `media.silence`, of a phone that sends nothing while it holds.
            w.run(s(400));
            hears_tone(&mut w, held, MUSIC);
            assert!(reinvites(&w, held.peer).is_empty());
            assert_eq!(w.resume(holder), 200);
            w.expect_tones(a, b);
            assert!(reinvites(&w, held.peer).is_empty());
            w.hang_up(held);
            w.expect_over(holder, 200);
            w.finish();
        }
    }
}

#[test]
fn both_hold_and_resume_one_after_the_other() {
    let (mut w, alice, bob) = world(4);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(s(1));
    w.expect_hears(a, None);
    w.expect_hears(b, None);
    assert_eq!(w.resume(a), 200);
    w.run(s(1));
    hears_tone(&mut w, a, MUSIC);
    w.expect_hears(b, None);
    assert_eq!(w.resume(b), 200);
    w.run(s(1));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Who is held changes its port and refreshes: the music goes on, and the bridge comes back.
#[test]
fn the_held_side_changes_its_session() {
    let (mut w, alice, bob) = world(5);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    let moved = Change {
        new_port: true,
        ..direction("sendrecv")
    };
    assert_eq!(w.reinvite(b, moved), 200);
    hears_tone(&mut w, b, MUSIC);
    assert_eq!(w.update(b, direction("sendrecv")), 200);
    hears_tone(&mut w, b, MUSIC);
    assert!(reinvites(&w, alice).is_empty());
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

#[test]
fn who_is_held_is_transferred_out_of_the_music() {
    let (mut w, alice, bob) = world(6);
    let carol = w.registered("carol");
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.hold(a, "sendonly"), 200);
    hears_tone(&mut w, b, MUSIC);
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    w.expect_over(a, 200);
    let c = w.incoming(carol);
    w.expect_tones(b, c);
    assert!(reinvites(&w, bob).is_empty());
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3960: the reason is heard before the failure comes, and the call was never answered.
#[test]
fn a_caller_hears_why_nobody_answers() {
    let yaml = edge_with("announcements: { not_found: 1200.wav, busy: 900.wav }");
    let mut w = World::builder(7).config(&yaml).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let a = w.call(alice, "777");
    w.rings(a);
    assert!(hears_within(&mut w, a, 1_200.0, 3));
    w.expect_over(a, 404);
    assert_eq!(statuses(&w, alice, "INVITE"), [401, 183, 404]);
    w.policy(bob).answer = Answer::Status(486, ms(100), Vec::new());
    let a = w.call(alice, "bob");
    w.rings(a);
    assert!(hears_within(&mut w, a, 900.0, 3));
    w.expect_over(a, 486);
    w.finish();
    assert_eq!(w.cause().0, 486);
}

/// Both are told, in the place of one another, and then they talk.
#[test]
fn both_sides_hear_that_they_are_recorded() {
    let yaml = EDGE.replace("password: builder,", "password: builder, record: yes,");
    let yaml = format!("{yaml}recording: {{ announcement: 1500.wav }}\n");
    let mut w = World::builder(8).config(&yaml).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    hears_tone(&mut w, a, 1_500.0);
    assert!(w.voice(b).hears().is_some_and(|heard| heard.is(1_500.0, 12.0)));
    w.run(s(2));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

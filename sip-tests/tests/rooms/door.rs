//! Who may come in: the PIN by telephone-event, and the lock.

use crate::tools::{all_hear, all_join, hear, is_up, joins, leave, press, three, world};
use sip_tests::s;

/// Who is asked for the PIN hears words, nothing of the room, and is not heard.
#[test]
fn who_has_not_given_the_pin_hears_nothing_of_the_room() {
    let mut w = world(20, "pin: \"4711\", moderators: [ alice ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let (a, c) = (joins(&mut w, alice), joins(&mut w, carol));
    press(&mut w, c, "4711");
    all_hear(&mut w, &[a, c]);
    let b = joins(&mut w, bob);
    w.voice(b).forget();
    w.run(s(2));
    let said = codecs::level::Level::of(w.voice(b).heard()).rms_dbm0();
    assert!(said > -40.0, "he is asked for it: {said} dBm0");
    // The words are over, and the next ones not due.
    w.run(s(4));
    hear(&mut w, &[(a, &[c]), (b, &[]), (c, &[a])]);
    press(&mut w, b, "47");
    press(&mut w, b, "4711");
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// Three wrong ones end the call; the others do not notice, and its record has it.
#[test]
fn three_wrong_pins_end_the_call() {
    let mut w = world(21, "pin: \"4711\", moderators: [ alice ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let (a, c) = (joins(&mut w, alice), joins(&mut w, carol));
    press(&mut w, c, "4711");
    let b = joins(&mut w, bob);
    for wrong in ["0000", "1111"] {
        press(&mut w, b, wrong);
        assert!(is_up(&w, b));
    }
    press(&mut w, b, "4710");
    hear(&mut w, &[(a, &[c]), (c, &[a])]);
    w.expect_over(b, 200);
    let cdr = w.cdr();
    let wrong = cdr.changes.iter().filter(|change| change.contains("wrong PIN"));
    assert_eq!(wrong.count(), 3, "{:?}", cdr.changes);
    assert_eq!(w.cause().0, 403);
    leave(&mut w, &[a, c]);
}

/// He hears why by early media, and comes in when it is open again.
#[test]
fn a_locked_room_takes_nobody() {
    let mut w = world(22, "moderators: [ alice ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, c] = all_join(&mut w, [alice, carol]);
    press(&mut w, a, "*5");
    let b = w.call(bob, "3000");
    w.expect_over(b, 403);
    let said = codecs::level::Level::of(w.voice(b).heard()).rms_dbm0();
    assert!(said > -40.0, "he hears that it is locked: {said} dBm0");
    press(&mut w, c, "*5");
    let b = w.call(bob, "3000");
    w.expect_over(b, 403);
    all_hear(&mut w, &[a, c]);
    press(&mut w, a, "*5");
    let b = joins(&mut w, bob);
    w.run(s(2));
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// Nobody is heard before the moderator is there, and all are as soon as he is.
#[test]
fn a_room_waits_for_its_moderator() {
    let mut w = world(23, "wait_for_moderator: yes, moderator_pin: \"990011\", entry: none");
    let [alice, bob, carol] = three(&mut w);
    let (b, c) = (joins(&mut w, bob), joins(&mut w, carol));
    for call in [b, c] {
        press(&mut w, call, "#");
    }
    w.run(s(5));
    hear(&mut w, &[(b, &[]), (c, &[])]);
    let a = joins(&mut w, alice);
    press(&mut w, a, "990011");
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// RFC 4579 5.5: whom the room calls joins by a key; a machine that answers does not.
#[test]
fn who_is_called_joins_by_a_key() {
    let mut w = world(24, "outgoing: user/alice, entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, b] = all_join(&mut w, [alice, bob]);
    assert_eq!(w.control("room standup call 103"), Ok(Vec::new()));
    let c = w.incoming(carol);
    w.up(c);
    w.run(s(1));
    hear(&mut w, &[(a, &[b]), (b, &[a])]);
    w.expect_over(c, 200);
    assert_eq!(w.control("room standup call 103"), Ok(Vec::new()));
    let c = w.incoming(carol);
    w.up(c);
    w.run(s(1));
    press(&mut w, c, "1");
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

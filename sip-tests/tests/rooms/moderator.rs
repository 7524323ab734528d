//! What members do by keys, and moderators to others: as it is heard.

use crate::tools::{all_hear, all_join, hear, is_up, leave, press, three, world};
use sip_tests::s;

/// `*6` and `*4`, by telephone-event, of a member in each codec.
#[test]
fn a_member_mutes_and_deafens_himself() {
    let mut w = world(40, "entry: none");
    let phones = three(&mut w);
    let calls = all_join(&mut w, phones);
    for n in 0..3 {
        let [own, one, other] = [0, 1, 2].map(|more| calls[(n + more) % 3]);
        press(&mut w, own, "*6");
        hear(&mut w, &[(own, &[one, other]), (one, &[other]), (other, &[one])]);
        press(&mut w, own, "*6");
        all_hear(&mut w, &calls);
        press(&mut w, own, "*4");
        hear(&mut w, &[(own, &[]), (one, &[own, other]), (other, &[own, one])]);
        press(&mut w, own, "*4");
        all_hear(&mut w, &calls);
    }
    leave(&mut w, &calls);
}

/// `*7`, mute and hold by the control socket; no member may what a moderator may.
#[test]
fn a_moderator_mutes_and_holds_others() {
    let mut w = world(41, "moderators: [ alice ], entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    press(&mut w, b, "*7");
    all_hear(&mut w, &[a, b, c]);
    press(&mut w, a, "*7");
    hear(&mut w, &[(a, &[]), (b, &[a]), (c, &[a])]);
    press(&mut w, a, "*7");
    all_hear(&mut w, &[a, b, c]);
    for (line, back) in [("mute 2", "unmute 2"), ("mute all", "unmute all")] {
        assert_eq!(w.control(&format!("room 3000 {line}")), Ok(Vec::new()));
        w.run(s(4));
        match line {
            "mute 2" => hear(&mut w, &[(a, &[c]), (b, &[a, c]), (c, &[a])]),
            _ => hear(&mut w, &[(a, &[]), (b, &[a]), (c, &[a])]),
        }
        assert_eq!(w.control(&format!("room 3000 {back}")), Ok(Vec::new()));
        w.run(s(4));
        all_hear(&mut w, &[a, b, c]);
    }
    assert_eq!(w.control("room 3000 hold 3"), Ok(Vec::new()));
    w.run(s(1));
    hear(&mut w, &[(a, &[b]), (b, &[a]), (c, &[])]);
    assert_eq!(w.control("room 3000 unhold 3"), Ok(Vec::new()));
    w.run(s(1));
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// By `*8` the one who came last, by the control socket another: they hear why, and the others go on.
#[test]
fn who_is_removed_is_told_so_and_the_others_go_on() {
    let mut w = world(42, "moderators: [ alice ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, b, c] = all_join(&mut w, [alice, bob, carol]);
    w.voice(c).forget();
    press(&mut w, a, "*8");
    w.expect_over(c, 200);
    hear(&mut w, &[(a, &[b]), (b, &[a])]);
    assert!(
        w.facts
            .iter()
            .any(|fact| format!("{fact:?}").contains("a moderator removed")),
        "its record has it"
    );
    let c = crate::tools::joins(&mut w, carol);
    w.run(s(2));
    assert_eq!(w.control("room standup kick 2"), Ok(Vec::new()));
    w.expect_over(b, 200);
    all_hear(&mut w, &[a, c]);
    leave(&mut w, &[a, c]);
}

/// `*0`, and `end` by the control socket: all hear it and are out, and whoever calls then is in a new room.
#[test]
fn the_end_of_a_room_is_everybody_s() {
    let mut w = world(43, "moderators: [ alice ], entry: none");
    let phones = three(&mut w);
    for by_key in [true, false] {
        let calls = all_join(&mut w, phones);
        all_hear(&mut w, &calls);
        press(&mut w, calls[1], "*0");
        assert!(calls.iter().all(|call| is_up(&w, *call)), "he is no moderator");
        if by_key {
            w.voice(calls[0]).dial("*0");
        } else {
            assert_eq!(w.control("room standup end"), Ok(Vec::new()));
        }
        for call in calls {
            w.expect_over(call, 200);
        }
        w.run(s(1));
        assert_eq!(w.control("rooms"), Ok(Vec::new()));
    }
    w.finish();
}

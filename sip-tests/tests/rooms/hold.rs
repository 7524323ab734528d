//! A member that holds the room: neither he nor his music is heard (RFC 3264 8.4), and he is back when he is back.

use crate::tools::{all_hear, all_join, hear, leave, three, world};
use sip_tests::{Change, s};

#[test]
fn who_holds_is_not_heard_until_he_is_back() {
    let mut w = world(60, "entry: none");
    let phones = three(&mut w);
    let calls = all_join(&mut w, phones);
    for (n, direction) in [(0, "sendonly"), (1, "inactive"), (2, "sendonly")] {
        let [own, one, other] = [0, 1, 2].map(|more| calls[(n + more) % 3]);
        assert_eq!(w.hold(own, direction), 200);
        hear(&mut w, &[(own, &[]), (one, &[other]), (other, &[one])]);
        w.run(s(10));
        assert_eq!(w.resume(own), 200);
        // A decoder of Opus that begins anew in the middle of a tone takes a second to be as loud.
        w.run(s(1));
        all_hear(&mut w, &calls);
    }
    leave(&mut w, &calls);
}

/// RFC 2543: `c=0.0.0.0`. And by UPDATE.
#[test]
fn the_old_hold_and_the_one_by_update() {
    let mut w = world(61, "entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    let old = Change {
        zero_address: true,
        ..Change::default()
    };
    assert_eq!(w.reinvite(c, old), 200);
    hear(&mut w, &[(a, &[b]), (b, &[a]), (c, &[])]);
    assert_eq!(w.resume(c), 200);
    w.run(s(1));
    all_hear(&mut w, &[a, b, c]);
    for (direction, held) in [("sendonly", true), ("sendrecv", false)] {
        let change = Change {
            direction: Some(direction),
            ..Change::default()
        };
        assert_eq!(w.update(b, change), 200);
        match held {
            true => hear(&mut w, &[(a, &[c]), (b, &[]), (c, &[a])]),
            false => {
                w.run(s(1));
                all_hear(&mut w, &[a, b, c]);
            }
        }
    }
    leave(&mut w, &[a, b, c]);
}

/// He leaves while he holds.
#[test]
fn who_holds_may_leave() {
    let mut w = world(62, "entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    assert_eq!(w.hold(c, "sendonly"), 200);
    w.hang_up(c);
    w.run(s(1));
    all_hear(&mut w, &[a, b]);
    leave(&mut w, &[a, b]);
}

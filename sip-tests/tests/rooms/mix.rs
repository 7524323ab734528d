//! Who hears whom, from the first who comes to the last who leaves.

use crate::tools::{all_hear, all_join, fourth, hear, joins, leave, level, three, world};
use sip_tests::s;

/// A-law, Opus, G.722, and mu-law by SRTP.
#[test]
fn members_of_every_codec_hear_one_another_and_nobody_himself() {
    let mut w = world(1, "");
    let phones = three(&mut w);
    let dave = fourth(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    all_hear(&mut w, &[a, b, c]);
    let d = joins(&mut w, dave);
    assert!(w.voice(d).is_secure());
    w.run(s(2));
    all_hear(&mut w, &[a, b, c, d]);
    leave(&mut w, &[a, b, c, d]);
}

/// A mix of 8 or 48 kHz is all the same to them.
#[test]
fn a_room_of_another_rate_sounds_like_a_wide_one() {
    for (seed, rate) in [(2, "rate: 8000"), (6, "rate: 48000")] {
        let mut w = world(seed, rate);
        let phones = three(&mut w);
        let calls = all_join(&mut w, phones);
        all_hear(&mut w, &calls);
        leave(&mut w, &calls);
    }
}

/// Who leaves is not heard any more, and comes back as another member.
#[test]
fn who_leaves_is_not_heard_any_more() {
    let mut w = world(3, "");
    let [alice, bob, carol] = three(&mut w);
    let [a, b, c] = all_join(&mut w, [alice, bob, carol]);
    w.hang_up(b);
    w.run(s(1));
    hear(&mut w, &[(a, &[c]), (c, &[a])]);
    w.hang_up(c);
    // It is said to nobody that he is alone again, and he hears music: here none.
    w.run(s(2));
    hear(&mut w, &[(a, &[])]);
    let b = joins(&mut w, bob);
    w.run(s(2));
    all_hear(&mut w, &[a, b]);
    leave(&mut w, &[a, b]);
}

/// Two speak at once at most: who comes third is heard when one of them is silent.
#[test]
fn no_more_are_heard_at_once_than_may_be() {
    let mut w = world(4, "speakers: 2");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    // Who came first has kept the place.
    hear(&mut w, &[(a, &[b]), (b, &[a]), (c, &[a, b])]);
    w.voice(a).sends = false;
    w.run(s(1));
    hear(&mut w, &[(a, &[b, c]), (b, &[c]), (c, &[b])]);
    leave(&mut w, &[a, b, c]);
}

/// Tones at the door: in the mix of who was there, and gone a moment later.
#[test]
fn a_tone_tells_who_comes() {
    let mut w = world(5, "entry: tones");
    let [alice, bob, carol] = three(&mut w);
    let [a, b] = all_join(&mut w, [alice, bob]);
    // The loudest tenth of a second of each half of the tone.
    let loudest = |pcm: &[i16]| {
        [660.0, 880.0].map(|hz| {
            let tenths = pcm.windows(800).step_by(80);
            tenths.map(|tenth| level(tenth, hz)).fold(f32::MIN, f32::max)
        })
    };
    w.voice(a).forget();
    w.run(s(1));
    let before = loudest(w.voice(a).heard());
    w.voice(a).forget();
    let c = joins(&mut w, carol);
    w.run(s(1));
    let then = loudest(w.voice(a).heard());
    for (before, then) in before.into_iter().zip(then) {
        assert!(
            before < -35.0 && (-25.0..-20.0).contains(&then),
            "{before} and {then} dBm0"
        );
    }
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

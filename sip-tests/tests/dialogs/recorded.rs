//! A recorded call in which everything happens: hold, transfer, a leg that moves to another worker. One file has it all.

use crate::refer::CAROL;
use codecs::spectrum::dominant;
use sip_tests::script::EDGE;
use sip_tests::{World, s};

/// Seconds of a channel in which the tone is heard.
fn seconds_of(pcm: &[i16], rate: usize, hz: f32) -> Vec<usize> {
    let heard = |second: &[i16]| dominant(second, rate as u32).is_some_and(|tone| tone.is(hz, 12.0));
    let seconds = pcm.chunks_exact(rate).enumerate();
    seconds.filter(|(_, pcm)| heard(pcm)).map(|(n, _)| n).collect()
}

#[test]
fn a_recorded_call_is_one_file_over_hold_and_transfer() {
    let yaml = EDGE.replace("password: builder,", "password: builder, record: yes,");
    let mut w = World::builder(11).config(&yaml).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (a, b) = w.talk(alice, bob, "bob");
    let tones = [alice, bob, carol].map(|peer| w.agent(peer).tone.expect("phones speak"));
    w.run(s(5));
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(5));
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    w.expect_over(a, 200);
    let c = w.incoming(carol);
    w.expect_tones(b, c);
    w.run(s(5));
    w.hang_up(c);
    w.expect_over(b, 200);
    w.finish();
    let [recording] = w.cdr().recordings[..] else {
        panic!("one recording, and not {:?}", w.cdr().recordings)
    };
    assert!(!recording.is_wide, "they speak G.711");
    let [left, right] = w.media.tapes.channels(&recording);
    let seconds = |pcm: &[i16], hz| seconds_of(pcm, recording.rate() as usize, hz);
    let [of_alice, of_bob, of_carol] = [
        seconds(&left, tones[0]),
        seconds(&right, tones[1]),
        seconds(&left, tones[2]),
    ];
    assert!(of_alice.len() >= 8 && of_carol.len() >= 4, "{of_alice:?} {of_carol:?}");
    assert!(
        of_alice.last() < of_carol.first(),
        "carol comes after alice: {of_alice:?} {of_carol:?}"
    );
    // Bob is held for five seconds, and speaks before and after.
    let pause = of_bob.windows(2).map(|two| two[1] - two[0]).max();
    assert!((5..10).contains(&pause.unwrap_or(0)), "{of_bob:?}");
    for (pcm, hz) in [(&right, tones[0]), (&left, tones[1]), (&right, tones[2])] {
        assert!(seconds(pcm, hz).is_empty(), "{hz} Hz is in the wrong channel");
    }
}

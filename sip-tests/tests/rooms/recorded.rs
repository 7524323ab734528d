//! What is recorded of a room: the mix, from the first who comes or from the key on, and not longer.

use crate::tools::{all_hear, all_join, leave, press, three, world};
use codecs::goertzel::level_dbm0;
use sip_tests::{World, s};
use tandem::media::command::Recording;

/// In how many seconds of the mix these are heard all at once, and how many it has.
fn seconds(w: &World, recording: &Recording, tones: &[f32]) -> (usize, usize) {
    let [left, right] = w.media.tapes.channels(recording);
    assert_eq!(left, right, "both sides are the mix");
    let rate = recording.rate();
    let mut seconds = left.chunks_exact(rate as usize);
    let all = seconds.len();
    let are_heard = |pcm: &&[i16]| tones.iter().all(|hz| (level_dbm0(pcm, *hz, rate) + 10.0).abs() < 1.0);
    (seconds.by_ref().filter(are_heard).count(), all)
}

#[test]
fn a_room_is_recorded_from_the_first_who_comes() {
    for (seed, keys) in [
        (120, "record: yes, entry: none"),
        (122, "record: yes, entry: none, rate: 48000"),
    ] {
        let mut w = world(seed, keys);
        let phones = three(&mut w);
        let tones = phones.map(|peer| w.agent(peer).tone.expect("phones speak"));
        let calls = all_join(&mut w, phones);
        w.run(s(10));
        leave(&mut w, &calls);
        let [recording] = w.media.tapes.all()[..] else {
            panic!("one recording, and not {:?}", w.media.tapes.all())
        };
        assert_eq!(recording.rate(), 16_000, "{keys}");
        let (heard, all) = seconds(&w, &recording, &tones);
        assert!(heard >= 9 && all <= 25, "{heard} of {all} seconds");
    }
}

/// `*3`, and the control socket.
#[test]
fn a_moderator_has_the_room_recorded_for_a_while() {
    let mut w = world(121, "moderators: [ alice ], entry: none");
    let phones = three(&mut w);
    let tones = phones.map(|peer| w.agent(peer).tone.expect("phones speak"));
    let calls = all_join(&mut w, phones);
    w.run(s(10));
    assert!(w.media.tapes.all().is_empty());
    press(&mut w, calls[1], "*3");
    assert!(w.media.tapes.all().is_empty(), "he is no moderator");
    for by_key in [true, false] {
        for on in [true, false] {
            match (by_key, on) {
                (true, _) => press(&mut w, calls[0], "*3"),
                (false, true) => assert_eq!(w.control("room 3000 record"), Ok(Vec::new())),
                (false, false) => assert_eq!(w.control("room 3000 stop-recording"), Ok(Vec::new())),
            }
            w.run(s(10));
            all_hear(&mut w, &calls);
        }
    }
    let recordings = w.media.tapes.all();
    assert_eq!(recordings.len(), 2, "{recordings:?}");
    assert_eq!(w.records.rooms, recordings, "each is told of when it begins");
    for recording in &recordings {
        let (heard, all) = seconds(&w, recording, &tones);
        assert!(heard >= 7 && (9..=20).contains(&all), "{heard} of {all} seconds");
    }
    leave(&mut w, &calls);
}

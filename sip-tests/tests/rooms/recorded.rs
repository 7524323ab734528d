//! What is recorded of a room, from the first who comes or from the key on, and not longer; and that all are told so.

use crate::tools::{all_hear, all_join, fourth, joins, leave, level, press, tenths, three, world, world_with};
use codecs::goertzel::level_dbm0;
use sip_tests::{World, ms, s};
use tandem::media::command::{Of, Recording};

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

/// Each in its own file, with nothing of the others in it.
#[test]
fn each_member_is_recorded_apart() {
    let mut w = world(122, "record: yes, recording: both, entry: none");
    let phones = three(&mut w);
    let tones = phones.map(|peer| w.agent(peer).tone.expect("phones speak"));
    let calls = all_join(&mut w, phones);
    w.run(s(10));
    leave(&mut w, &calls);
    let [mix] = w.records.rooms[..] else {
        panic!("one mix, and not {:?}", w.records.rooms)
    };
    let (heard, _) = seconds(&w, &mix, &tones);
    assert!(heard >= 9, "{heard} seconds");
    let all = w.media.tapes.all();
    assert_eq!(all.len(), 4, "{all:?}");
    for (n, own) in (1..).zip(tones) {
        let of = Of::Member(mix.call, n);
        let recording = all.iter().find(|recording| recording.of == of).expect("each has one");
        let file = recording.file();
        let begins = mix.file().replace("-1.wav", &format!("-m{n}-"));
        assert!(file.starts_with(&begins), "{file} is of {}", mix.file());
        let [left, right] = w.media.tapes.channels(recording);
        assert!(right.iter().all(|sample| *sample == 0), "there is one side only");
        let rate = recording.rate();
        for hz in tones {
            let has = |pcm: &&[i16]| level_dbm0(pcm, hz, rate) > -45.0;
            let said = left.chunks_exact(rate as usize).filter(has).count();
            let is_right = if hz == own { said >= 9 } else { said == 0 };
            assert!(is_right, "{hz} Hz is in {said} seconds of {file}");
        }
    }
}

const WORDS: &str = "recording: { announcement: 1300.wav }";

/// Two seconds of 1,300 Hz are the words. Who is in it hears them beside the others, and they are in the mix; who comes hears them alone.
#[test]
fn all_are_told_that_the_room_is_recorded() {
    let mut w = world_with(123, WORDS, "entry: none");
    let phones = three(&mut w);
    let dave = fourth(&mut w);
    let calls = all_join(&mut w, phones);
    let forget = |w: &mut World| calls.iter().for_each(|call| w.voice(*call).forget());
    forget(&mut w);
    w.run(s(3));
    for call in calls {
        assert_eq!(tenths(w.voice(call).heard(), 1_300.0, -10.0), 0, "not before it begins");
    }
    forget(&mut w);
    assert_eq!(w.control("room 3000 record"), Ok(Vec::new()));
    w.run(s(4));
    for call in calls {
        let told = tenths(w.voice(call).heard(), 1_300.0, -10.0);
        assert!((17..=21).contains(&told), "{told} tenths");
    }
    let d = joins(&mut w, dave);
    forget(&mut w);
    w.run(ms(1_600));
    let heard = w.voice(d).heard().to_vec();
    assert!(tenths(&heard, 1_300.0, -10.0) >= 12, "he is told");
    assert!(level(&heard, 450.0) < -45.0, "and hears nobody");
    for call in calls {
        let pcm = w.voice(call).heard().to_vec();
        assert_eq!(tenths(&pcm, 1_300.0, -10.0), 0, "nobody else is told once more");
        assert!(level(&pcm, 1_090.0) < -45.0, "and nobody hears him");
    }
    w.run(s(1));
    let all = [calls[0], calls[1], calls[2], d];
    all_hear(&mut w, &all);
    w.run(s(5));
    let [mix] = w.media.tapes.all()[..] else { panic!("one") };
    let [left, _] = w.media.tapes.channels(&mix);
    let words = left
        .chunks_exact(1_600)
        .filter(|pcm| level_dbm0(pcm, 1_300.0, 16_000) > -13.0);
    let words = words.count();
    assert!((17..=21).contains(&words), "{words} tenths of the mix");
    leave(&mut w, &all);
}

/// The first is told before anything is recorded; who is moved in is told too.
#[test]
fn nobody_is_recorded_who_was_not_told() {
    let mut w = world_with(124, WORDS, "record: yes, recording: both, entry: none");
    let [alice, bob, carol] = three(&mut w);
    let a = joins(&mut w, alice);
    w.run(ms(1_500));
    assert!(tenths(w.voice(a).heard(), 1_300.0, -10.0) >= 10);
    assert!(w.media.tapes.all().is_empty(), "not before she knows");
    w.run(s(5));
    let (b, c) = w.talk(bob, carol, "103");
    let id = *w.records.by_call.keys().next_back().expect("two calls are up");
    for call in [a, b, c] {
        w.voice(call).forget();
    }
    assert_eq!(w.control(&format!("room 3000 take {id}")), Ok(Vec::new()));
    w.run(ms(1_600));
    for call in [b, c] {
        assert!(tenths(w.voice(call).heard(), 1_300.0, -10.0) >= 12, "they are told");
    }
    let heard = w.voice(a).heard().to_vec();
    for hz in [620.0, 830.0, 1_300.0] {
        assert!(
            level(&heard, hz) < -45.0,
            "she hears nothing of it, nor of them: {hz} Hz"
        );
    }
    w.run(s(2));
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// Without words it is the tone, 1,400 Hz, and again in its time.
#[test]
fn the_tone_of_a_recording_is_heard_by_all() {
    let mut w = world_with(125, "recording: { tone: 15s }", "entry: none");
    let phones = three(&mut w);
    let calls = all_join(&mut w, phones);
    assert_eq!(w.control("room 3000 record"), Ok(Vec::new()));
    for _ in 0..2 {
        for call in calls {
            w.voice(call).forget();
        }
        w.run(s(14));
        for call in calls {
            // Which tenths it lies in is chance: of two whole ones it may touch three.
            let pcm = w.voice(call).heard().to_vec();
            let told = pcm
                .chunks_exact(800)
                .filter(|tenth| level(tenth, 1_400.0) > -30.0)
                .count();
            assert!((2..=3).contains(&told), "{told} tenths");
        }
        w.run(s(1));
    }
    leave(&mut w, &calls);
}

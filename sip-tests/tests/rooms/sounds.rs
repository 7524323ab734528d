//! What a room says and plays: words of the operator's own, music for who is alone, tones at the door, and its end.

use crate::tools::{all_hear, all_join, is_said, joins, leave, level, loud, press, three, world};
use sip_tests::{CallRef, World, ms, s};
use tandem::config::Prompt;

const MUSIC: f32 = 1_500.0;
/// What is softer is not played.
const SILENT: f32 = -45.0;
/// What is played is about as loud as this, in dBm0.
const PLAYED: std::ops::Range<f32> = -12.0..-8.0;

fn hears_music(w: &mut World, call: CallRef) {
    let heard = loud(w, call, MUSIC);
    assert!(PLAYED.contains(&heard), "the music is at {heard} dBm0");
}

/// Who is alone is told so, and hears music until somebody comes, and again when he is gone.
#[test]
fn who_is_alone_hears_music_until_somebody_comes() {
    let mut w = world(140, "music: 1500.wav, prompts: tones, entry: none");
    let [alice, bob, _] = three(&mut w);
    let a = joins(&mut w, alice);
    is_said(&mut w, a, Prompt::Alone);
    w.run(s(3));
    for _ in 0..2 {
        hears_music(&mut w, a);
        let b = joins(&mut w, bob);
        w.run(s(1));
        all_hear(&mut w, &[a, b]);
        for call in [a, b] {
            let heard = loud(&mut w, call, MUSIC);
            assert!(heard < SILENT, "the music is still at {heard} dBm0");
        }
        w.hang_up(b);
        w.run(s(1));
    }
    hears_music(&mut w, a);
    leave(&mut w, &[a]);
}

/// `prompts`: each of the words is the operator's own file. Who is meant hears it, and nobody else.
#[test]
fn what_is_said_are_the_operator_s_own_words() {
    let keys = "pin: \"4711\", moderators: [ alice ], prompts: tones, entry: none";
    let mut w = world(141, keys);
    let [alice, bob, carol] = three(&mut w);
    let a = joins(&mut w, alice);
    is_said(&mut w, a, Prompt::Alone);
    let b = joins(&mut w, bob);
    is_said(&mut w, b, Prompt::Pin);
    w.voice(b).dial("0000");
    is_said(&mut w, b, Prompt::WrongPin);
    is_said(&mut w, b, Prompt::Pin);
    press(&mut w, b, "4711");
    all_hear(&mut w, &[a, b]);
    for (line, prompt) in [("mute 2", Prompt::Muted), ("unmute 2", Prompt::Unmuted)] {
        w.voice(a).forget();
        assert_eq!(w.control(&format!("room 3000 {line}")), Ok(Vec::new()));
        is_said(&mut w, b, prompt);
        let beside = level(w.voice(a).heard(), sip_tests::world::prompt_hz(prompt));
        assert!(beside < SILENT, "{prompt:?} is at {beside} dBm0 for another one");
        w.run(s(3));
    }
    assert_eq!(w.control("room 3000 lock"), Ok(Vec::new()));
    let c = w.call(carol, "3000");
    w.run(ms(200));
    is_said(&mut w, c, Prompt::Locked);
    w.expect_over(c, 403);
    assert_eq!(w.control("room 3000 kick 2"), Ok(Vec::new()));
    is_said(&mut w, b, Prompt::Removed);
    w.expect_over(b, 200);
    assert_eq!(w.control("room 3000 end"), Ok(Vec::new()));
    is_said(&mut w, a, Prompt::Ended);
    w.expect_over(a, 200);
    w.run(s(1));
    assert_eq!(w.control("rooms"), Ok(Vec::new()));
    w.finish();
}

/// When the tone is loudest for this member: tenths of a second since `forget`, of its lower and its higher half.
fn halves(w: &mut World, call: CallRef) -> [usize; 2] {
    let pcm = w.voice(call).heard().to_vec();
    [660.0, 880.0].map(|hz| {
        let tenths: Vec<f32> = pcm.windows(800).step_by(80).map(|tenth| level(tenth, hz)).collect();
        let loudest = tenths.iter().copied().fold(f32::MIN, f32::max);
        assert!(
            (-25.0..-20.0).contains(&loudest),
            "{hz} Hz is at {loudest} dBm0 at most"
        );
        tenths.iter().position(|tenth| *tenth == loudest).unwrap_or_default()
    })
}

/// It rises when somebody comes, and falls when somebody goes.
#[test]
fn a_tone_tells_who_goes_from_who_comes() {
    let mut w = world(142, "entry: tones");
    let [alice, bob, carol] = three(&mut w);
    let [a, b] = all_join(&mut w, [alice, bob]);
    for _ in 0..2 {
        w.voice(a).forget();
        let c = joins(&mut w, carol);
        w.run(s(1));
        let [low, high] = halves(&mut w, a);
        assert!(low < high, "it rises: {low} {high}");
        w.run(s(2));
        w.voice(a).forget();
        w.hang_up(c);
        w.run(s(1));
        let [low, high] = halves(&mut w, a);
        assert!(high < low, "it falls: {low} {high}");
    }
    all_hear(&mut w, &[a, b]);
    leave(&mut w, &[a, b]);
}

/// `max_duration`: five minutes before its end it is said to all, and at its end all are out.
#[test]
fn a_room_ends_when_its_time_is_over() {
    let mut w = world(143, "max_duration: 6m, prompts: tones, entry: none");
    let [alice, bob, carol] = three(&mut w);
    let a = joins(&mut w, alice);
    w.run(s(20));
    let b = joins(&mut w, bob);
    w.run(s(37));
    for call in [a, b] {
        w.voice(call).forget();
    }
    is_said(&mut w, a, Prompt::EndsSoon);
    w.run(s(1));
    let hz = sip_tests::world::prompt_hz(Prompt::EndsSoon);
    let heard = w.voice(b).heard().to_vec();
    let loudest = heard
        .chunks_exact(1_600)
        .map(|part| level(part, hz))
        .fold(f32::MIN, f32::max);
    assert!(PLAYED.contains(&loudest), "bob hears it, too: {loudest} dBm0");
    w.run(s(280));
    all_hear(&mut w, &[a, b]);
    w.until_within(s(30), "the room ends", |w| !w.at(b).is_live());
    for call in [a, b] {
        w.expect_over(call, 200);
        let said = w.voice(call).heard().to_vec();
        let hz = sip_tests::world::prompt_hz(Prompt::Ended);
        let last = said.len().saturating_sub(12_000);
        let loudest = said[last..]
            .chunks_exact(1_600)
            .map(|part| level(part, hz))
            .fold(f32::MIN, f32::max);
        assert!(PLAYED.contains(&loudest), "that it has ended is at {loudest} dBm0");
    }
    w.run(s(1));
    assert_eq!(w.control("rooms"), Ok(Vec::new()));
    // Whoever calls then has all the time again.
    let c = joins(&mut w, carol);
    w.run(s(30));
    leave(&mut w, &[c]);
}

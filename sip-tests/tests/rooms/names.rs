//! Names (`entry: names`): each says its tone for one, and the others hear it when he comes and when he goes.

use crate::tools::{joins, leave, level, phone, tenths, three, world};
use sip_tests::description::{events, pcma};
use sip_tests::{CallRef, World, ms, s};
use std::time::Duration;
use tandem::config::{Prompt, Prompts};

/// Only alice is heard in it, so that a tone of the others is their name.
const KEYS: &str = "entry: names, listeners: yes, moderators: [ alice ]";
/// How loud a name is: -26 dBov, as all sounds.
const NAME: f32 = -20.0;

fn words(prompt: Prompt) -> Duration {
    Prompts::built_in().get(prompt).duration()
}

/// The time in which somebody is asked, and hears the tone: each ends with the packet that it fills.
fn asked() -> Duration {
    words(Prompt::Name) + ms(200 + 2 * 80)
}

/// What somebody hears in this time.
fn hears(w: &mut World, who: CallRef, time: Duration) -> Vec<i16> {
    w.voice(who).forget();
    w.run(time);
    w.voice(who).heard().to_vec()
}

/// Tenths of a second behind the last in which this tone is heard that are as loud as words.
fn words_behind(pcm: &[i16], hz: f32) -> usize {
    let tenths: Vec<&[i16]> = pcm.chunks_exact(800).collect();
    let last = tenths.iter().rposition(|tenth| (level(tenth, hz) - NAME).abs() < 3.0);
    let behind = &tenths[last.map_or(0, |last| last + 1)..];
    let is_loud = |tenth: &&&[i16]| codecs::level::Level::of(tenth).rms_dbm0() > -40.0;
    behind.iter().filter(is_loud).count()
}

#[test]
fn all_hear_the_name_of_who_comes_and_goes() {
    let mut w = world(140, KEYS);
    let [alice, bob, carol] = three(&mut w);
    let a = joins(&mut w, alice);
    w.run(asked() + s(6));
    let c = joins(&mut w, carol);
    w.run(asked() + s(10));
    // He says it for as long as he may.
    let b = joins(&mut w, bob);
    let meanwhile = hears(&mut w, a, asked() + ms(2_500));
    assert!(level(&meanwhile, 620.0) < -45.0, "it is not heard while he says it");
    let heard = hears(&mut w, a, s(6));
    let name = tenths(&heard, 620.0, NAME);
    assert!((25..=31).contains(&name), "{name} tenths");
    let spoken = words_behind(&heard, 620.0);
    assert!((3..=12).contains(&spoken), "that he has joined: {spoken} tenths");
    // He hears her, and says no more.
    let heard = hears(&mut w, b, s(1));
    assert!((level(&heard, 450.0) + 10.0).abs() < 3.0);
    let heard = hears(&mut w, a, s(1));
    assert!(level(&heard, 620.0) < -45.0);
    w.hang_up(b);
    let heard = hears(&mut w, a, s(6));
    let name = tenths(&heard, 620.0, NAME);
    assert!((25..=31).contains(&name), "{name} tenths when he has gone");
    let spoken = words_behind(&heard, 620.0);
    assert!((3..=12).contains(&spoken), "that he has left: {spoken} tenths");
    leave(&mut w, &[a, c]);
}

/// The key, by telephone-event, is no part of it.
#[test]
fn a_key_ends_the_name() {
    let mut w = world(141, KEYS);
    let [alice, _, carol] = three(&mut w);
    let a = joins(&mut w, alice);
    w.run(asked() + s(6));
    let c = joins(&mut w, carol);
    w.run(asked() + s(1));
    w.voice(c).dial("#");
    let heard = hears(&mut w, a, s(4));
    let name = tenths(&heard, 830.0, NAME);
    assert!((7..=14).contains(&name), "{name} tenths");
    assert!(words_behind(&heard, 830.0) >= 3);
    leave(&mut w, &[a, c]);
}

/// Of who says nothing, and of whom the room calls, the tone is heard: no words.
#[test]
fn who_says_nothing_has_the_tone() {
    let mut w = world(142, &format!("{KEYS}, outgoing: user/alice"));
    let alice = phone(&mut w, "alice", vec![pcma(), events()]);
    let [bob, dave] = ["bob", "dave"].map(|name| w.registered(name));
    for peer in [bob, dave] {
        w.agent(peer).tone = None;
    }
    let carol = phone(&mut w, "carol", vec![pcma(), events()]);
    let a = joins(&mut w, alice);
    w.run(asked() + s(6));
    let b = joins(&mut w, bob);
    w.run(asked());
    let has_tone = |w: &mut World, time: Duration| {
        let pcm = hears(w, a, time);
        let loudest = |hz| {
            let parts = pcm.windows(800).step_by(160);
            parts.map(|part| level(part, hz)).fold(f32::MIN, f32::max)
        };
        let [low, high] = [660.0, 880.0].map(loudest);
        assert!((low + 22.0).abs() < 3.0 && (high + 22.0).abs() < 3.0, "{low} {high}");
        let is_loud = |tenth: &&[i16]| codecs::level::Level::of(tenth).rms_dbm0() > -40.0;
        let loud = pcm.chunks_exact(800).filter(is_loud).count();
        assert!(loud <= 3, "no words: {loud} tenths");
    };
    // The time for it is over then.
    has_tone(&mut w, s(6));
    assert_eq!(w.control("room standup call 103"), Ok(Vec::new()));
    let c = w.incoming(carol);
    w.up(c);
    w.run(s(1));
    w.voice(c).dial("1");
    has_tone(&mut w, s(3));
    w.hang_up(b);
    has_tone(&mut w, s(2));
    leave(&mut w, &[a, c]);
}

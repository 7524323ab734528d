//! Who may speak, who hears, and who lets others: roles, listeners, those who wait, are deafened or held; as it is heard.

use crate::tools::{all_hear, all_join, hear, is_said, joins, leave, loud, press, three, world};
use sip_tests::{CallRef, World, s};
use tandem::config::Prompt;

const MUSIC: f32 = 1_500.0;

/// The control socket does it; and time for what is said of it.
fn order(w: &mut World, line: &str) {
    assert_eq!(w.control(&format!("room standup {line}")), Ok(Vec::new()), "{line}");
    w.run(s(4));
}

fn is_locked(w: &mut World) -> bool {
    let rooms = w.control("rooms").expect("somebody is in it");
    rooms[0].starts_with("room 3000 standup yes ")
}

fn hears_music(w: &mut World, call: CallRef) {
    let heard = loud(w, call, MUSIC);
    assert!((-12.0..-8.0).contains(&heard), "the music is at {heard} dBm0");
}

/// `listeners`: nobody lets himself speak; all by `*7`, one by the control socket.
#[test]
fn listeners_are_let_speak() {
    let mut w = world(150, "moderators: [ alice ], listeners: yes, entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    hear(&mut w, &[(a, &[]), (b, &[a]), (c, &[a])]);
    press(&mut w, b, "*6");
    press(&mut w, b, "*6");
    press(&mut w, b, "*7");
    hear(&mut w, &[(a, &[]), (b, &[a]), (c, &[a])]);
    order(&mut w, "unmute 2");
    hear(&mut w, &[(a, &[b]), (b, &[a]), (c, &[a, b])]);
    order(&mut w, "promote 2 listener");
    hear(&mut w, &[(a, &[]), (b, &[a]), (c, &[a])]);
    press(&mut w, a, "*7");
    all_hear(&mut w, &[a, b, c]);
    press(&mut w, a, "*7");
    hear(&mut w, &[(a, &[]), (b, &[a]), (c, &[a])]);
    leave(&mut w, &[a, b, c]);
}

/// `promote`: what a role may is heard at once, and so is that it may no longer.
#[test]
fn another_role_holds_at_once() {
    let mut w = world(151, "moderators: [ alice ], entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    order(&mut w, "promote 2 listener");
    hear(&mut w, &[(a, &[c]), (b, &[a, c]), (c, &[a])]);
    order(&mut w, "promote 2 speaker");
    all_hear(&mut w, &[a, b, c]);
    press(&mut w, b, "*5");
    assert!(!is_locked(&mut w), "he is no moderator yet");
    order(&mut w, "promote 2 moderator");
    press(&mut w, b, "*5");
    assert!(is_locked(&mut w));
    order(&mut w, "promote 2 speaker");
    press(&mut w, b, "*5");
    assert!(is_locked(&mut w), "he is none any more");
    press(&mut w, a, "*5");
    assert!(!is_locked(&mut w));
    // By `all` no moderator is meant.
    order(&mut w, "promote 3 moderator");
    order(&mut w, "mute all");
    hear(&mut w, &[(a, &[c]), (b, &[a, c]), (c, &[a])]);
    leave(&mut w, &[a, b, c]);
}

/// `wait_for_moderator`: who waits hears music and nobody, and is let in as soon as one of them is made a moderator.
#[test]
fn one_of_those_who_wait_is_made_a_moderator() {
    let keys = "wait_for_moderator: yes, moderators: [ alice ], music: 1500.wav, prompts: tones, entry: none";
    let mut w = world(152, keys);
    let [_, bob, carol] = three(&mut w);
    let (b, c) = (joins(&mut w, bob), joins(&mut w, carol));
    is_said(&mut w, c, Prompt::Waiting);
    w.run(s(3));
    for call in [b, c] {
        hears_music(&mut w, call);
    }
    hear(&mut w, &[(b, &[]), (c, &[])]);
    order(&mut w, "promote 2 moderator");
    all_hear(&mut w, &[b, c]);
    leave(&mut w, &[b, c]);
}

/// One, and all but moderators, by the control socket.
#[test]
fn an_operator_deafens_others() {
    let mut w = world(153, "moderators: [ alice ], entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    order(&mut w, "deafen 2");
    hear(&mut w, &[(a, &[b, c]), (b, &[]), (c, &[a, b])]);
    order(&mut w, "undeafen 2");
    all_hear(&mut w, &[a, b, c]);
    order(&mut w, "deafen all");
    hear(&mut w, &[(a, &[b, c]), (b, &[]), (c, &[])]);
    order(&mut w, "undeafen all");
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// Who is held hears music and nobody, and nobody hears him: one, and all but moderators.
#[test]
fn who_is_held_hears_music() {
    let mut w = world(154, "moderators: [ alice ], music: 1500.wav, entry: none");
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    order(&mut w, "hold 2");
    hears_music(&mut w, b);
    hear(&mut w, &[(a, &[c]), (b, &[]), (c, &[a])]);
    order(&mut w, "hold all");
    for call in [b, c] {
        hears_music(&mut w, call);
    }
    hear(&mut w, &[(a, &[]), (b, &[]), (c, &[])]);
    order(&mut w, "unhold 2");
    hear(&mut w, &[(a, &[b]), (b, &[a]), (c, &[])]);
    order(&mut w, "unhold all");
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

/// `keys`: menus are data; what they do not name does nothing.
#[test]
fn keys_are_those_of_the_configuration() {
    let keys = "moderators: [ alice ], entry: none, keys: { mute: \"1\", lock: \"#9\", deafen: \"22\", end: no }";
    let mut w = world(155, keys);
    let phones = three(&mut w);
    let [a, b, c] = all_join(&mut w, phones);
    press(&mut w, b, "1");
    hear(&mut w, &[(a, &[c]), (b, &[a, c]), (c, &[a])]);
    press(&mut w, b, "*6");
    hear(&mut w, &[(a, &[c]), (b, &[a, c]), (c, &[a])]);
    press(&mut w, b, "1");
    press(&mut w, c, "22");
    hear(&mut w, &[(a, &[b, c]), (b, &[a, c]), (c, &[])]);
    press(&mut w, c, "22");
    press(&mut w, b, "#9");
    assert!(!is_locked(&mut w), "he is no moderator");
    press(&mut w, a, "#9");
    assert!(is_locked(&mut w));
    press(&mut w, a, "*5");
    assert!(is_locked(&mut w), "that key does nothing here");
    press(&mut w, a, "*0");
    w.run(s(10));
    all_hear(&mut w, &[a, b, c]);
    leave(&mut w, &[a, b, c]);
}

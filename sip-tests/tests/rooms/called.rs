//! Who comes into a room without dialling it: called by it, one or many; moved there in the middle of a call; and when there is no place.

use crate::tools::{all_hear, all_join, hear, is_said, is_up, joins, leave, phone, press, three, world};
use sip_tests::description::{events, pcma};
use sip_tests::{Answer, CallRef, World, ms, s};
use tandem::config::Prompt;

const FULL: &str = "as many are in the room, or are being called, as may be";

/// Members as the control socket lists them: their numbers.
fn members(w: &mut World) -> Vec<String> {
    let lines = w.control("room 3000").expect("somebody is in it");
    let numbers = lines
        .iter()
        .filter_map(|line| line.strip_prefix("member ")?.split(' ').next());
    numbers.map(str::to_owned).collect()
}

/// One is busy, one is a machine that answers, one joins.
#[test]
fn a_room_calls_many_at_once() {
    let mut w = world(160, "outgoing: user/alice, prompts: tones, entry: none");
    let [alice, bob, carol] = three(&mut w);
    let dave = phone(&mut w, "dave", vec![pcma(), events()]);
    let a = joins(&mut w, alice);
    w.run(s(4));
    w.policy(bob).answer = Answer::Status(486, ms(100), Vec::new());
    assert_eq!(w.control("room 3000 call bob 103 dave"), Ok(Vec::new()));
    assert_eq!(members(&mut w), ["1", "2", "3", "4"]);
    let (c, d) = (w.incoming(carol), w.incoming(dave));
    for call in [c, d] {
        w.up(call);
    }
    is_said(&mut w, d, Prompt::Join);
    hear(&mut w, &[(a, &[]), (c, &[]), (d, &[])]);
    press(&mut w, d, "1");
    all_hear(&mut w, &[a, d]);
    w.expect_over(c, 200);
    assert_eq!(members(&mut w), ["1", "4"]);
    all_hear(&mut w, &[a, d]);
    leave(&mut w, &[a, d]);
}

/// RFC 4579 5.5, 5.11: REFER in a member's dialog, and BYE in REFER.
#[test]
fn a_moderator_has_somebody_called_and_sent_away_by_refer() {
    let mut w = world(161, "moderators: [ alice ], prompts: tones, entry: none");
    let [alice, bob, carol] = three(&mut w);
    let [a, b] = all_join(&mut w, [alice, bob]);
    let line = "Refer-To: <sip:103@example.com>";
    assert_eq!(w.request(a, "REFER", &[line], None), 202);
    let c = w.incoming(carol);
    w.up(c);
    w.run(s(1));
    hear(&mut w, &[(a, &[b]), (b, &[a]), (c, &[])]);
    press(&mut w, c, "1");
    all_hear(&mut w, &[a, b, c]);
    let line = "Refer-To: <sip:carol@example.com;method=BYE>";
    assert_eq!(w.request(b, "REFER", &[line], None), 202);
    w.run(s(2));
    assert!(is_up(&w, c), "bob is no moderator");
    assert_eq!(w.request(a, "REFER", &[line], None), 202);
    w.expect_over(c, 200);
    all_hear(&mut w, &[a, b]);
    leave(&mut w, &[a, b]);
}

/// `take`: two who talk go on in the room, by their own dialogs and without a PIN, and neither ends the other's call any more.
#[test]
fn a_call_of_two_is_moved_into_the_room() {
    let mut w = world(162, "pin: \"4711\", moderators: [ carol ], entry: none");
    let [alice, bob, carol] = three(&mut w);
    let c = joins(&mut w, carol);
    w.run(s(4));
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    let id = *w.records.by_call.keys().next_back().expect("two calls are up");
    assert_eq!(w.control(&format!("room standup take {id}")), Ok(Vec::new()));
    assert_eq!(members(&mut w), ["1", "2", "3"]);
    w.run(s(2));
    all_hear(&mut w, &[a, b, c]);
    w.hang_up(a);
    w.run(s(1));
    assert!(is_up(&w, b));
    all_hear(&mut w, &[b, c]);
    leave(&mut w, &[b, c]);
}

/// `max_members`: who is one too many hears so, and is not called or moved there; when one has left he comes in.
#[test]
fn a_full_room_takes_nobody_else() {
    let mut w = world(163, "max_members: 2, outgoing: user/alice, prompts: tones, entry: none");
    let [alice, bob, carol] = three(&mut w);
    let dave = phone(&mut w, "dave", vec![pcma(), events()]);
    let [a, c] = all_join(&mut w, [alice, carol]);
    let b = w.call(bob, "3000");
    w.run(ms(200));
    is_said(&mut w, b, Prompt::Full);
    w.expect_over(b, 486);
    assert_eq!(w.control("room 3000 call dave"), Err(FULL.to_owned()));
    let (b, d): (CallRef, CallRef) = w.talk(bob, dave, "dave");
    let id = *w.records.by_call.keys().next_back().expect("calls are up");
    assert_eq!(w.control(&format!("room 3000 take {id}")), Err(FULL.to_owned()));
    w.expect_tones(b, d);
    w.hang_up(b);
    all_hear(&mut w, &[a, c]);
    w.hang_up(c);
    w.run(s(1));
    let b = joins(&mut w, bob);
    w.run(s(1));
    all_hear(&mut w, &[a, b]);
    leave(&mut w, &[a, b]);
}

//! The node of these runs, and what is dialled, pressed and asked in them.

use sip_tests::description::{Format, events, g722, opus, pcma, pcmu};
use sip_tests::rng::Rng;

pub const CONFIG: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060" ]
media:    { ports: 20000-20399, workers: 3, silence: 30s, opus_complexity: 0 }
domains:  [ example.com ]
calls:    { max_duration: 4m }
users:
  - { name: alice, password: a, number: "101", calls: 6 }
  - { name: bob, password: b, number: "102", calls: 6 }
  - { name: carol, password: c, number: "103", calls: 6 }
  - { name: dave, password: d, number: "104", calls: 2 }
  - { name: erin, password: e, number: "105", calls: 6, srtp: offered }
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1:5060" ]
    accept_from: [ 198.51.100.0/24 ]
    codecs: [ pcma, pcmu ]
    numbers: { country: US, send: e164 }
    options: never
rooms:
  - { number: "3000", name: standup, pin: "4711", moderator_pin: "990011", moderators: [ alice ], record: yes, outgoing: user/bob, gate: no }
  - { number: "3001", name: lecture, moderators: [ bob ], listeners: yes, wait_for_moderator: yes, max_members: 4, max_duration: 60s }
  - { number: "*", moderators: [ carol ], max_members: 5, gate: no, agc: no, rate: 8000 }
routes:
  - { to: "7*", do: room }
  - { to: "+14155553000", do: room/3000 }
  - { to: "+1900*", do: reject/403 }
  - { to: "+", from: user/*, do: trunk/acme }
"#;

/// Where it is looked at who hears whom, nobody has three calls at once: the tone of one would seem to be in the middle of the others.
pub fn plan(yaml: &str, media: bool) -> String {
    match media {
        true => yaml.replace("calls: 6", "calls: 2"),
        false => yaml.to_owned(),
    }
}

/// What a reload may bring: another PIN, a room that is gone or smaller, no rooms on demand, and back.
pub fn reloads() -> [String; 4] {
    let changed = |from: &str, to: &str| {
        assert!(CONFIG.contains(from), "{from}");
        CONFIG.replace(from, to)
    };
    [
        CONFIG.to_owned(),
        changed("pin: \"4711\"", "pin: \"0815\""),
        changed("number: \"3001\"", "number: \"3002\"").replace("max_members: 5", "max_members: 2"),
        changed("  - { to: \"7*\", do: room }\n", "").replace("record: yes", "listeners: yes"),
    ]
}

/// What a phone speaks: so that any two of them can be bridged, too.
pub fn formats(rng: &mut Rng) -> Vec<Format> {
    let first = rng.pick(&[pcma(), pcmu(), g722(), opus()]).clone();
    let mut all = vec![first];
    let first = all[0].pt;
    all.extend([pcma(), events()].into_iter().filter(|format| format.pt != first));
    all
}

/// Whom somebody calls.
pub const DIALLED: [&str; 11] = [
    "3000",
    "3000",
    "3000",
    "3001",
    "7001",
    "7001",
    "7002",
    "bob",
    "carol",
    "erin",
    "+442079460000",
];

/// What somebody presses.
pub const KEYS: [&str; 16] = [
    "4711", "4711", "0000", "990011", "#", "1", "1", "*6", "*6", "*4", "*5", "*7", "*3", "*8", "*0", "47*6#*",
];

/// Where somebody is sent.
pub const REFERRED: [&str; 10] = [
    "sip:3000@example.com",
    "sip:3001@example.com",
    "sip:3000@example.com",
    "sip:7001@example.com",
    "sip:carol@example.com",
    "sip:104@example.com",
    "sip:+19005550100@example.com",
    "sip:bob@example.com;method=BYE",
    "sip:3000@example.com;member=2;method=BYE",
    "sip:nobody@example.com",
];

/// What the operator asks of a room; `N` is some member.
pub const ASKED: [&str; 20] = [
    "kick N",
    "kick N",
    "kick N",
    "mute N",
    "mute all",
    "unmute all",
    "deafen N",
    "undeafen all",
    "hold N",
    "hold all",
    "unhold all",
    "lock",
    "unlock",
    "unlock",
    "record",
    "stop-recording",
    "promote N moderator",
    "call 102",
    "call 103 104 +442079460000",
    "end",
];

/// Of which room.
pub const ROOMS: [&str; 5] = ["3000", "3000", "3001", "7001", "7002"];

//! Music on hold, announcements and the word on recording, as real phones and a carrier hear them from files.

use super::baresip::{Account, Phone, QUIET, Speaks};
use super::node::{Node, tandem};
use super::phones::{all_calls_end, all_hung_up};
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use super::softphone::write_tone;
use codecs::Codec;
use std::fs;

const ALICE: u8 = 2;
const BOB: u8 = 3;
const CARRIER: u8 = 4;

/// What is in the files.
const MUSIC: f32 = 600.0;
const NOT_FOUND: f32 = 800.0;
const RECORDED: f32 = 1_300.0;

/// Files of rates that phones do not have.
fn configuration(scene: &Scene) -> String {
    let files = [
        ("music", MUSIC, 44_100),
        ("not-found", NOT_FOUND, 22_050),
        ("recorded", RECORDED, 48_000),
    ];
    let [music, not_found, recorded] = files.map(|(name, hz, rate)| {
        let path = scene.folder().join(format!("{name}.wav"));
        write_tone(&path, hz, rate, 3);
        path.display().to_string()
    });
    format!(
        "music_on_hold: {music}
announcements: {{ not_found: {not_found} }}
recording: {{ directory: {folder}, announcement: {recorded} }}
users:
  - {{ name: alice, password: secret-alice, number: \"+14155550101\" }}
  - {{ name: bob, password: secret-bob, number: \"+14155550102\" }}
trunks:
  - name: acme
    peers: [ \"sip:{carrier}\" ]
    options: never
    record: yes
    numbers: {{ country: US, send: e164 }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
",
        folder = scene.folder().join("recordings").display(),
        carrier = scene.sip(CARRIER),
    )
}

/// baresip holds, by `sendonly` or `inactive` as it likes; the other hears music in its own codec and is told nothing.
#[test]
fn a_phone_holds_another_which_hears_music() {
    let scene = Scene::new("music");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let pcmu = Account {
        speaks: Speaks::Pcmu,
        ..Account::new("bob", BOB, 440.0)
    };
    let bob = Phone::start(&scene, &pcmu, node.sip);
    bob.dial("alice", node.sip);
    bob.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(440.0);
    bob.hears(1_000.0);
    for (holder, held, tones) in [(&alice, &bob, (440.0, 1_000.0)), (&bob, &alice, (1_000.0, 440.0))] {
        holder.command("hold", "");
        // Longer than the music is, so that it begins anew.
        for _ in 0..8 {
            held.hears(MUSIC);
        }
        if let Some(ear) = holder.ear() {
            ear.wait_quiet(QUIET, SOON);
        }
        holder.command("resume", "");
        let ears = [(holder.ear(), tones.0), (held.ear(), tones.1)];
        for (ear, hz) in ears.into_iter().filter_map(|(ear, hz)| Some((ear?, hz))) {
            ear.wait_tone(hz, SOON);
        }
    }
    bob.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 1);
    all_hung_up(&node, 1);
    node.stop();
}

/// A carrier that is held by a phone hears the music, and knows no re-INVITE: the scenario would fail at one. Both hear first that they are
/// recorded.
#[test]
fn a_carrier_is_told_that_it_is_recorded_and_hears_music() {
    let scene = Scene::new("music-carrier");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let carrier = Setup::new(&scene, "callee", CARRIER).listen();
    alice.dial("+14155550199", node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(RECORDED, SOON);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hold", "");
    sink.ear.wait_tone(MUSIC, SOON);
    alice.command("resume", "");
    sink.ear.wait_tone(1_000.0, SOON);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    node.stop();
}

/// A number that nobody has: the phone hears why, as early media, and then its call fails.
#[test]
fn a_phone_hears_that_there_is_no_such_number() {
    let scene = Scene::new("announced");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    alice.dial("777", node.sip);
    alice.hears(NOT_FOUND);
    alice.wait_event("CALL_CLOSED", 1);
    all_calls_end(&node, 1);
    assert_eq!(
        node.number("SELECT count(*) FROM calls WHERE status = 404 AND answered IS NULL"),
        1
    );
    node.stop();
}

/// A file that cannot be played is told by `tandem check`, and a reload with it changes nothing.
#[test]
fn a_broken_file_is_refused_at_the_start_and_at_a_reload() {
    let scene = Scene::new("music-broken");
    let good = configuration(&scene);
    let node = Node::start(&scene, &good);
    let broken = scene.folder().join("broken.wav");
    fs::write(&broken, b"no music at all, but some words that are long enough").expect("our own folder");
    let music = scene.folder().join("music.wav").display().to_string();
    let bad = good.replacen(&music, &broken.display().to_string(), 1);
    node.reload(&scene, &bad);
    node.wait_log("reload refused, nothing was changed: 1 problem", 1);
    let checked = tandem(&["check", node.file()]);
    let text = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success());
    assert!(
        text.contains("music_on_hold: the file ") && text.contains("broken.wav cannot be played: it is no WAV file"),
        "{text}"
    );
    node.stop();
}

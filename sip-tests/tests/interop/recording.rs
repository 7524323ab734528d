//! Calls that are recorded: what is in the file, who said it, and what is left of it when the disk or the node gives up.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene, eventually};
use super::sink::Sink;
use super::sipp::{Setup, Sipp};
use codecs::Codec;
use codecs::spectrum::dominant;
use std::fs;
use std::path::{Path, PathBuf};

const ALICE: u8 = 2;
const CARRIER: u8 = 4;

const NUMBER: &str = "+14155550101";
/// Of the carrier, and of alice.
const TONES: (f32, f32) = (440.0, 1_000.0);

fn configuration(scene: &Scene, alice: &str) -> String {
    format!(
        "recording: {{ directory: {} }}
users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\"{alice} }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    numbers: {{ country: US, send: e164 }}
    record: yes
routes:
  - {{ to: \"{NUMBER}\", do: user/alice }}
",
        folder(scene).display(),
        scene.sip(CARRIER)
    )
}

fn folder(scene: &Scene) -> PathBuf {
    scene.folder().join("recordings")
}

/// The only recording, as `day/name`.
fn file(scene: &Scene) -> String {
    let day = only(&folder(scene));
    let name = only(&folder(scene).join(&day));
    format!("{day}/{name}")
}

/// The one thing in a folder.
fn only(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("recordings are there").flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

/// What is in it: samples in a second, left, right.
fn play(scene: &Scene, file: &str) -> (u32, [Vec<i16>; 2]) {
    let reader = hound::WavReader::open(folder(scene).join(file)).expect("it can be played");
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (2, 16));
    let samples: Vec<i16> = reader.into_samples().map(|sample| sample.expect("PCM")).collect();
    let channel = |at: usize| samples.iter().skip(at).step_by(2).copied().collect();
    (spec.sample_rate, [channel(0), channel(1)])
}

/// Some second in a channel is this tone, and none is the other's.
fn is_of(pcm: &[i16], rate: u32, own: f32, other: f32) {
    let tones = |hz| {
        let seconds = pcm.chunks_exact(rate as usize / 2);
        seconds
            .filter(|half| dominant(half, rate).is_some_and(|tone| tone.is(hz, 10.0)))
            .count()
    };
    assert!(tones(own) >= 2, "{own} Hz is {} halves of a second", tones(own));
    assert_eq!(tones(other), 0, "{other} Hz is in the wrong channel");
}

/// The carrier calls alice, and both hear one another.
fn call(scene: &Scene, node: &Node, alice: &Phone, sink: &Sink) -> Sipp {
    let call = Setup::new(scene, "caller", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(TONES.1, SOON);
    alice.hears(TONES.0);
    carrier
}

/// So much is in the file by its header.
fn seconds(scene: &Scene, file: &str) -> f32 {
    let bytes = fs::read(folder(scene).join(file)).unwrap_or_default();
    let number = |at: usize| {
        bytes
            .get(at..at + 4)
            .map_or(0, |four| u32::from_le_bytes(four.try_into().expect("four")))
    };
    number(40) as f32 / number(28).max(1) as f32
}

/// Alice's phone encrypts, and holds the call for a while; it speaks Opus, the carrier G.711.
#[test]
fn each_side_of_a_recorded_call_has_its_channel() {
    let scene = Scene::new("recorded");
    let node = Node::start(&scene, &configuration(&scene, ", srtp: required"));
    let account = Account {
        encrypts: Some("srtp-mand"),
        ..Account::new("alice", ALICE, TONES.1)
    };
    let alice = Phone::start(&scene, &account, node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES.0);
    let carrier = call(&scene, &node, &alice, &sink);
    let file = file(&scene);
    eventually("there are two seconds", SOON, || seconds(&scene, &file) > 2.0);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    let row = format!(
        "SELECT milliseconds FROM recordings JOIN calls ON calls.id = recordings.call
         WHERE file = '{file}' AND fault IS NULL AND lost < 20 AND status = 200"
    );
    eventually("the record says so", SOON, || {
        node.number(&format!("SELECT count(*) FROM ({row}) WHERE milliseconds IS NOT NULL")) == 1
    });
    let (rate, [left, right]) = play(&scene, &file);
    assert_eq!(rate, 16_000, "one side has a wide band");
    assert_eq!(node.number(&row) as usize, left.len() / 16);
    is_of(&left, rate, TONES.0, TONES.1);
    is_of(&right, rate, TONES.1, TONES.0);
    node.stop();
}

/// The same as Opus in Ogg, which opusdec reads, both while it is written and at its end.
#[test]
fn a_recording_as_opus_is_read_by_others() {
    let scene = Scene::new("recorded-opus");
    let opus = configuration(&scene, "").replace("recording: {", "recording: { format: opus,");
    let node = Node::start(&scene, &opus);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, TONES.1), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES.0);
    let carrier = call(&scene, &node, &alice, &sink);
    let file = file(&scene);
    assert!(file.ends_with(".opus"), "{file}");
    let size = || fs::metadata(folder(&scene).join(&file)).map_or(0, |about| about.len());
    eventually("there are two seconds", SOON, || size() > 8_000);
    let check = |what: &str| {
        let wav = folder(&scene).join("decoded.wav");
        let mut decoder = std::process::Command::new("opusdec");
        decoder
            .args(["--quiet", "--rate", "16000"])
            .arg(folder(&scene).join(&file))
            .arg(&wav);
        assert!(decoder.status().expect("the package opus-tools").success(), "{what}");
        let (rate, [left, right]) = play(&scene, "decoded.wav");
        assert_eq!(rate, 16_000);
        is_of(&left, rate, TONES.0, TONES.1);
        is_of(&right, rate, TONES.1, TONES.0);
        left.len() / 16
    };
    check("while it is written");
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    let row = format!("SELECT milliseconds FROM recordings WHERE file = '{file}' AND fault IS NULL");
    eventually("the record says so", SOON, || {
        node.number(&format!("SELECT count(*) FROM ({row}) WHERE milliseconds IS NOT NULL")) == 1
    });
    assert_eq!(check("at its end"), node.number(&row) as usize);
    node.stop();
}

/// A node that is killed leaves a file that can be played, and its record names it.
#[test]
fn a_crash_leaves_what_was_said_before() {
    let scene = Scene::new("recorded-killed");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, TONES.1), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES.0);
    let _carrier = call(&scene, &node, &alice, &sink);
    let file = file(&scene);
    eventually("there are three seconds", SOON, || seconds(&scene, &file) > 3.0);
    let row = format!("SELECT count(*) FROM recordings WHERE file = '{file}' AND milliseconds IS NULL");
    assert_eq!(node.number(&row), 1);
    node.kill();
    let (rate, [left, right]) = play(&scene, &file);
    assert!(left.len() as u32 > 3 * rate);
    is_of(&left, rate, TONES.0, TONES.1);
    is_of(&right, rate, TONES.1, TONES.0);
}

/// What a full disk does: the recording ends, which is told once, and the call does not notice.
#[test]
fn a_disk_that_takes_no_more_ends_the_recording_and_not_the_call() {
    let scene = Scene::new("recorded-full");
    let node = Node::start_with_small_files(&scene, &configuration(&scene, ""), 400);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, TONES.1), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES.0);
    let carrier = call(&scene, &node, &alice, &sink);
    node.wait_log(
        "and the call goes on without: its file cannot be written: File too large",
        1,
    );
    let fault = "SELECT count(*) FROM recordings WHERE fault LIKE '%File too large%' AND milliseconds > 3000";
    eventually("the record says so", SOON, || node.number(fault) == 1);
    let file = file(&scene);
    let (rate, [left, right]) = play(&scene, &file);
    let bytes = fs::metadata(folder(&scene).join(&file)).expect("it stays").len() as usize;
    assert_eq!(bytes, 44 + 4 * left.len(), "nothing is behind what its header says");
    is_of(&left, rate, TONES.0, TONES.1);
    is_of(&right, rate, TONES.1, TONES.0);
    // They talk on.
    let before = sink.ear.packets();
    eventually("packets go on", SOON, || sink.ear.packets() > before + 50);
    alice.hears(TONES.0);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    node.wait_log("and the call goes on without", 1);
    node.stop();
}

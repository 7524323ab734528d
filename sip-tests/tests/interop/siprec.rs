//! Calls that go to a recording server (RFC 7866): SIPp stands for it, and Python reads what it was told.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene, eventually};
use super::sink::{PORT, Sink};
use super::sipp::{Setup, Sipp};
use codecs::Codec;
use std::io::Write;
use std::process::{Command, Stdio};

const ALICE: u8 = 2;
const CARRIER: u8 = 4;
const RECORDER: u8 = 5;

const NUMBER: &str = "+14155550101";
/// Of the carrier, and of alice.
const TONES: (f32, f32) = (440.0, 1_000.0);
/// Where the second stream is received.
const SECOND: u16 = PORT + 2;

fn configuration(scene: &Scene) -> String {
    format!(
        "recording: {{ directory: {}, siprec: {{ server: \"sip:recorder@{}\" }} }}
users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\", display_name: \"Alice <&> 'Smith'\" }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    numbers: {{ country: US, send: e164 }}
    record: yes
routes:
  - {{ to: \"{NUMBER}\", do: user/alice }}
",
        scene.folder().join("recordings").display(),
        scene.sip(RECORDER),
        scene.sip(CARRIER)
    )
}

/// A recorder that takes the streams at its host.
fn recorder(scene: &Scene, scenario: &str) -> Sipp {
    let setup = Setup::new(scene, scenario, RECORDER);
    setup.key("second_port", &SECOND.to_string()).listen()
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

/// What a document says, by Python's reader: for each stream's label who is heard on it, and his name.
fn read(document: &str) -> String {
    const SCRIPT: &str = "
import sys, xml.etree.ElementTree as tree
ns = '{urn:ietf:params:xml:ns:recording:1}'
root = tree.fromstring(sys.stdin.buffer.read())
assert root.tag == ns + 'recording' and root.find(ns + 'datamode').text == 'complete'
names = {p.get('participant_id'): p.find(ns + 'nameID') for p in root.iter(ns + 'participant')}
streams = {s.get('stream_id'): s.find(ns + 'label').text for s in root.iter(ns + 'stream')}
for one in root.iter(ns + 'participantstreamassoc'):
    own, name = names[one.get('participant_id')], ''
    for found in own.iter(ns + 'name'):
        name = found.text
    print(streams[one.find(ns + 'send').text], streams[one.find(ns + 'recv').text], own.get('aor'), name)
";
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("the package python3");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(document.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it is not well-formed:\n{document}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_recording_server_gets_both_sides_and_who_they_are() {
    let scene = Scene::new("siprec");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, TONES.1), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES.0);
    let (caller, callee) = (
        Sink::listen(scene.host(RECORDER), PORT),
        Sink::listen(scene.host(RECORDER), SECOND),
    );
    let recorder = recorder(&scene, "recorder");
    let carrier = call(&scene, &node, &alice, &sink);
    caller.ear.wait_tone(TONES.0, SOON);
    callee.ear.wait_tone(TONES.1, SOON);
    assert_eq!(
        (caller.ear.codec(), callee.ear.codec()),
        (Some(Codec::Pcma), Some(Codec::Opus))
    );
    let messages = recorder.messages();
    let begin = messages.find("<?xml").expect("a document was sent");
    let end = messages[begin..].find("</recording>").expect("it has an end") + begin;
    let told = read(&messages[begin..end + "</recording>".len()]);
    let number = format!("1 2 sip:+14155550199@{} ", scene.host(1));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines, [number.as_str(), "2 1 sip:alice@example.com Alice <&> 'Smith'"]);
    alice.command("hangup", "");
    carrier.finish();
    recorder.finish();
    all_hung_up(&node, 1);
    let row = "SELECT count(*) FROM recording_sessions JOIN calls ON calls.id = recording_sessions.call
               WHERE milliseconds > 1000 AND fault IS NULL AND server LIKE 'sip:recorder@%' AND length(recording_sessions.sip_call_id) > 10";
    eventually("the record says so", SOON, || node.number(row) == 1);
    assert_eq!(node.number("SELECT count(*) FROM recordings"), 0);
    assert!(!scene.folder().join("recordings").exists(), "there are no files");
    node.stop();
}

#[test]
fn a_recording_server_that_refuses_is_told_of_and_the_call_goes_on() {
    let scene = Scene::new("siprec-refused");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, TONES.1), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES.0);
    let recorder = recorder(&scene, "callee-busy");
    let carrier = call(&scene, &node, &alice, &sink);
    recorder.finish();
    node.wait_log(
        "the recording server has 0 s of it and no more: the recording server refused it with 486",
        1,
    );
    let fault = "SELECT count(*) FROM recording_sessions WHERE fault LIKE '%refused it with 486' AND milliseconds = 0";
    eventually("the record says so", SOON, || node.number(fault) == 1);
    let before = sink.ear.packets();
    eventually("packets go on", SOON, || sink.ear.packets() > before + 50);
    alice.hears(TONES.0);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    node.stop();
}

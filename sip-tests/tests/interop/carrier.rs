//! A carrier (SIPp, with its media in the test) and a phone, both ways.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;

/// Alice's phone, the carrier.
const ALICE: u8 = 2;
const CARRIER: u8 = 4;

const NUMBER: &str = "+14155550101";

/// One carrier that is asked nothing between calls: a SIPp scenario knows only its own call.
fn configuration(scene: &Scene) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\" }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    numbers: {{ country: US, send: e164 }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
  - {{ to: \"{NUMBER}\", from: trunk/acme, do: user/alice }}
",
        scene.sip(CARRIER)
    )
}

#[test]
fn the_carrier_calls_a_phone_with_opus() {
    let scene = Scene::new("inbound");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    assert_eq!(sink.ear.codec(), Some(Codec::Pcma));
    if let Some(ear) = alice.ear() {
        assert_eq!(ear.codec(), Some(Codec::Opus));
    }
    alice.command("hangup", "");
    carrier.finish();
    alice.has_heard(440.0);
    all_hung_up(&node, 1);
    let legs = "SELECT count(*) FROM legs WHERE received > 20 AND sent > 20 AND codec = ";
    assert_eq!(
        (
            node.number(&format!("{legs}'PCMA'")),
            node.number(&format!("{legs}'opus'"))
        ),
        (1, 1)
    );
    let line = node.calls();
    assert!(line.contains(" user/alice ") && line.contains(" 200 "), "{line}");
    node.stop();
}

#[test]
fn the_carrier_calls_without_an_offer() {
    let scene = Scene::new("late-offer");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller-late-offer", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn the_carrier_calls_over_tcp() {
    let scene = Scene::new("carrier-tcp");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.with(&["-t", "t1"]).call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn the_carrier_hangs_up() {
    let scene = Scene::new("carrier-bye");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let _sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller-hangs-up", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.with(&["-d", "1000"]).call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    alice.wait_event("CALL_CLOSED", 1);
    carrier.finish();
    all_hung_up(&node, 1);
    assert_eq!(node.number("SELECT count(*) FROM calls WHERE ended_by = 'caller'"), 1);
    node.stop();
}

#[test]
fn a_phone_with_opus_calls_the_carrier() {
    let scene = Scene::new("outbound");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let carrier = Setup::new(&scene, "callee", CARRIER).listen();
    alice.dial("+14155550199", node.sip);
    alice.wait_event("CALL_RINGING", 1);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("sndcode", "4711#");
    sink.ear.wait_digits("4711#", SOON);
    alice.command("hangup", "");
    let messages = carrier.messages();
    carrier.finish();
    // Two independent dialogs: nothing of the phone's own leg is seen at the carrier.
    assert!(messages.contains("INVITE sip:+14155550199@"), "{messages}");
    for leak in ["baresip", "alice-0x", &format!("{}", scene.host(ALICE))] {
        assert!(!messages.contains(leak), "the carrier sees {leak:?}:\n{messages}");
    }
    assert!(
        messages.contains(NUMBER),
        "the carrier is not told who calls:\n{messages}"
    );
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn early_media_of_the_carrier_is_heard() {
    let scene = Scene::new("early");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let carrier = Setup::new(&scene, "callee-early-media", CARRIER)
        .with(&["-d", "3000"])
        .listen();
    alice.dial("+14155550199", node.sip);
    alice.wait_event("CALL_PROGRESS", 1);
    alice.hears(440.0);
    assert_eq!(alice.events_of("CALL_ESTABLISHED"), 0, "the tone was early media");
    alice.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(440.0);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn the_carrier_gives_up_while_the_phone_rings() {
    let scene = Scene::new("cancel");
    let node = Node::start(&scene, &configuration(&scene));
    let manual = Account {
        answers: false,
        ..Account::new("alice", ALICE, 1_000.0)
    };
    let alice = Phone::start(&scene, &manual, node.sip);
    let call = Setup::new(&scene, "caller-cancels", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    alice.wait_event("CALL_INCOMING", 1);
    alice.wait_event("CALL_CLOSED", 1);
    carrier.finish();
    super::phones::all_calls_end(&node, 1);
    assert_eq!(node.number("SELECT status FROM calls"), 487);
    node.stop();
}

#[test]
fn a_stranger_is_told_nothing() {
    let scene = Scene::new("stranger");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let call = Setup::new(&scene, "caller-is-ignored", 66)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let stranger = call.with(&["-d", "1500"]).call(node.sip);
    stranger.finish();
    assert_eq!(alice.events_of("CALL_INCOMING"), 0);
    assert_eq!(node.number("SELECT count(*) FROM calls"), 0);
    node.stop();
}

//! Phones with G.722 (baresip): with each other, with Opus, and with a carrier that has telephone band (SIPp).

use super::baresip::{Account, Phone, Speaks};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;

const ALICE: u8 = 2;
const BOB: u8 = 3;
const CARRIER: u8 = 4;

const NUMBER: &str = "+14155550101";
/// Above everything that telephone band has: only what a phone itself writes down shows it.
const HIGH_HZ: f32 = 5_000.0;

fn configuration(scene: &Scene) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\" }}
  - {{ name: bob, password: secret-bob, number: \"102\" }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    numbers: {{ country: US, send: e164 }}
routes:
  - {{ to: \"102\", do: user/bob }}
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
  - {{ to: \"{NUMBER}\", do: user/alice }}
",
        scene.sip(CARRIER)
    )
}

/// A phone with G.722 alone.
fn wide(scene: &Scene, node: &Node, name: &str, host: u8, hz: f32) -> Phone {
    let account = Account {
        speaks: Speaks::G722,
        ..Account::new(name, host, hz)
    };
    Phone::start(scene, &account, node.sip)
}

fn legs_with(node: &Node, codec: &str) -> i64 {
    node.number(&format!(
        "SELECT count(*) FROM legs WHERE received > 20 AND sent > 20 AND codec = '{codec}'"
    ))
}

#[test]
fn a_carrier_and_a_phone_with_g722_call_each_other() {
    let scene = Scene::new("g722-carrier");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = wide(&scene, &node, "alice", ALICE, 1_000.0);
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
        assert_eq!(ear.codec(), Some(Codec::G722));
    }
    alice.command("hangup", "");
    carrier.finish();
    alice.has_heard(440.0);
    let carrier = Setup::new(&scene, "callee", CARRIER).listen();
    alice.dial("+14155550199", node.sip);
    alice.wait_event("CALL_ESTABLISHED", 2);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("sndcode", "4711#");
    sink.ear.wait_digits("4711#", SOON);
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 2);
    assert_eq!((legs_with(&node, "PCMA"), legs_with(&node, "G722")), (2, 2));
    node.stop();
}

/// What one phone says above telephone band, the other writes down.
#[test]
fn wide_band_passes_between_g722_and_g722_or_opus() {
    for (speaks, codec) in [(Speaks::G722, "G722"), (Speaks::Opus, "opus")] {
        let scene = Scene::new("g722-wide");
        let node = Node::start(&scene, &configuration(&scene));
        let alice = wide(&scene, &node, "alice", ALICE, HIGH_HZ);
        let account = Account {
            speaks,
            ..Account::new("bob", BOB, 1_000.0)
        };
        let bob = Phone::start(&scene, &account, node.sip);
        alice.dial("102", node.sip);
        alice.wait_event("CALL_ESTABLISHED", 1);
        bob.wait_event("CALL_ESTABLISHED", 1);
        for _ in 0..4 {
            alice.hears(1_000.0);
        }
        alice.command("hangup", "");
        bob.wait_event("CALL_CLOSED", 1);
        bob.has_heard(HIGH_HZ);
        alice.has_heard(1_000.0);
        all_hung_up(&node, 1);
        let want = if codec == "G722" { 2 } else { 1 };
        assert_eq!(
            (legs_with(&node, codec), legs_with(&node, "G722")),
            (want, want),
            "{codec}"
        );
        node.stop();
    }
}

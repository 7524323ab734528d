//! A node that is killed, and the one that starts in its place.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::scene::{SOON, Scene, eventually};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;
use std::thread;
use std::time::Duration;

const ALICE: u8 = 2;
const CARRIER: u8 = 4;
const CALLS: usize = 50;

/// How long after the last answer the node dies: its records must be safe by then.
const SAFE_AFTER: Duration = Duration::from_millis(200);

fn configuration(scene: &Scene) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"+14155550101\" }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    limits: {{ calls: 100, calls_per_second: 1000 }}
    numbers: {{ country: US }}
routes:
  - {{ to: \"+14155550600\", from: trunk/acme, do: echo }}
  - {{ to: \"+14155550101\", from: trunk/acme, do: user/alice }}
",
        scene.sip(CARRIER)
    )
}

#[test]
fn after_kill_9_bindings_are_back_and_each_call_is_closed_once() {
    let scene = Scene::new("kill");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let many = CALLS.to_string();
    let setup = Setup::new(&scene, "caller-stays", CARRIER)
        .key("number", "+14155550600")
        .key("caller", "+14155550199");
    let calls = setup
        .with(&["-m", &many, "-l", &many, "-r", "100", "-d", "60000"])
        .call(node.sip);
    node.wait_log("answered by", CALLS);
    // The time itself is what is tested here.
    thread::sleep(SAFE_AFTER);
    node.kill();
    drop(calls);

    let node = Node::start(&scene, &configuration(&scene));
    assert_eq!(node.number("SELECT count(*) FROM calls"), CALLS as i64);
    let killed =
        "SELECT count(*) FROM calls WHERE answered IS NOT NULL AND ended IS NOT NULL AND status = 500 AND q850 = 41";
    assert_eq!(node.number(killed), CALLS as i64, "{}", node.calls());
    let ended = "SELECT sum(ended) FROM calls";
    let once = node.number(ended);

    // The phone did not register again: the node remembers where it is.
    let _sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let setup = Setup::new(&scene, "caller", CARRIER)
        .key("number", "+14155550101")
        .key("caller", "+14155550199");
    let call = setup.call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(440.0);
    alice.command("hangup", "");
    call.finish();
    assert_eq!(alice.registrations(), 1);
    eventually("the last call is closed", SOON, || {
        node.number("SELECT count(*) FROM calls WHERE ended IS NULL") == 0
    });
    let last = node.number("SELECT ended FROM calls ORDER BY started DESC LIMIT 1");
    assert_eq!(node.number(ended), once + last, "a call was closed twice");
    node.stop();

    // A third start finds nothing to close.
    let mut node = Node::start(&scene, &configuration(&scene));
    assert_eq!(node.number(ended), once + last);
    assert_eq!(node.process().journal.count("were up when the node was killed"), 0);
    node.stop();
}

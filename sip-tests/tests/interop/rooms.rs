//! A room of real phones: two that speak G.711 (a carrier's and baresip), one with Opus, one that encrypts. Each hears the three others, and
//! not itself.

use super::baresip::{Account, Phone, Speaks};
use super::node::{Node, tandem};
use super::phones::all_hung_up;
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;

const ALICE: u8 = 2;
const BOB: u8 = 3;
const CARRIER: u8 = 4;
const CAROL: u8 = 5;

/// The tone of each.
const TONES: [f32; 4] = [440.0, 700.0, 1_000.0, 1_300.0];

fn configuration(scene: &Scene) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice }}
  - {{ name: bob, password: secret-bob }}
  - {{ name: carol, password: secret-carol, srtp: required }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
rooms:
  - {{ number: \"3000\", name: standup }}
routes:
  - {{ to: \"3000\", do: room }}
",
        scene.sip(CARRIER)
    )
}

#[test]
fn carriers_and_phones_of_all_kinds_hear_one_another_in_a_room() {
    let scene = Scene::new("rooms");
    let node = Node::start(&scene, &configuration(&scene));
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, TONES[0]);
    let speaking = |name, host, hz, speaks| Account {
        speaks,
        ..Account::new(name, host, hz)
    };
    let alice = Phone::start(&scene, &speaking("alice", ALICE, TONES[1], Speaks::Pcmu), node.sip);
    let bob = Phone::start(&scene, &speaking("bob", BOB, TONES[2], Speaks::Opus), node.sip);
    let account = Account {
        encrypts: Some("srtp-mand"),
        ..Account::new("carol", CAROL, TONES[3])
    };
    let carol = Phone::start(&scene, &account, node.sip);
    let phones = [&alice, &bob, &carol];
    for phone in phones {
        phone.dial("3000", node.sip);
        phone.wait_event("CALL_ESTABLISHED", 1);
    }
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", "3000")
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    let others = |own: f32| -> Vec<f32> { TONES.into_iter().filter(|hz| *hz != own).collect() };
    for (phone, hz) in phones.into_iter().zip(&TONES[1..]) {
        phone.hears_all(&others(*hz), *hz);
    }
    sink.ear.wait_tones(&others(TONES[0]), TONES[0], SOON);
    // One goes: the others no longer hear it.
    bob.command("hangup", "");
    bob.wait_event("CALL_CLOSED", 1);
    alice.hears_all(&[TONES[0], TONES[3]], TONES[2]);
    let told = tandem(&["room", "standup", "-c", node.file()]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("sip:alice@"), "{told}");
    assert!(told.contains("sip:carol@") && !told.contains("bob"), "{told}");
    // The room ends: it says so, and sends all away.
    let ended = tandem(&["room", "3000", "end", "-c", node.file()]);
    assert!(ended.status.success(), "{ended:?}");
    for phone in [&alice, &carol] {
        phone.wait_event("CALL_CLOSED", 1);
    }
    carrier.finish();
    all_hung_up(&node, 4);
    node.stop();
}

//! Keys that a carrier has in its audio reach a phone that knows only telephone events, or takes them by SIP INFO.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;

const ALICE: u8 = 2;
const CARRIER: u8 = 4;

const NUMBER: &str = "+14155550101";
/// 1, 5, 9, # (ITU-T Q.23).
const KEYS: [([f32; 2], char); 4] = [
    ([697.0, 1_209.0], '1'),
    ([770.0, 1_336.0], '5'),
    ([852.0, 1_477.0], '9'),
    ([941.0, 1_477.0], '#'),
];

fn configuration(scene: &Scene, alice: &str) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\", dtmf: {alice} }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    dtmf: inband
    numbers: {{ country: US, send: e164 }}
routes:
  - {{ to: \"{NUMBER}\", from: trunk/acme, do: user/alice }}
",
        scene.sip(CARRIER)
    )
}

#[test]
fn keys_in_a_carriers_audio_reach_a_phone_as_it_takes_them() {
    for dtmf in ["auto", "info"] {
        let scene = Scene::new(&format!("digits-{dtmf}"));
        let node = Node::start(&scene, &configuration(&scene, dtmf));
        let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
        let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
        let call = Setup::new(&scene, "caller", CARRIER)
            .key("number", NUMBER)
            .key("caller", "+14155550199");
        let carrier = call.call(node.sip);
        alice.wait_event("CALL_ESTABLISHED", 1);
        sink.ear.wait_tone(1_000.0, SOON);
        alice.hears(440.0);
        for (nth, (hz, key)) in (1..).zip(KEYS) {
            sink.press(hz);
            alice.wait_event("CALL_DTMF_START", nth);
            alice.wait_event(&format!("\"param\":\"{key}\""), 1);
        }
        alice.hears(440.0);
        assert_eq!(alice.events_of("CALL_DTMF_START"), KEYS.len(), "each once");
        alice.command("hangup", "");
        carrier.finish();
        all_hung_up(&node, 1);
        node.stop();
    }
}

//! A phone that encrypts (baresip with SDES, RFC 4568) and a carrier that does not (SIPp): the node opens and seals between them.

use super::baresip::{Account, Phone, QUIET};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene, eventually};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;

const ALICE: u8 = 2;
const BOB: u8 = 3;
const CARRIER: u8 = 4;

const NUMBER: &str = "+14155550101";

fn configuration(scene: &Scene, alice: &str) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\", srtp: {alice} }}
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

/// Alice's phone, which encrypts as baresip's `mediaenc` says.
fn alice(scene: &Scene, node: &Node, encrypts: &'static str) -> Phone {
    let account = Account {
        encrypts: Some(encrypts),
        ..Account::new("alice", ALICE, 1_000.0)
    };
    Phone::start(scene, &account, node.sip)
}

#[test]
fn a_carrier_in_the_clear_calls_a_phone_that_must_encrypt() {
    let scene = Scene::new("srtp-inbound");
    let node = Node::start(&scene, &configuration(&scene, "required"));
    let alice = alice(&scene, &node, "srtp-mand");
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hangup", "");
    carrier.finish();
    alice.has_heard(440.0);
    all_hung_up(&node, 1);
    assert_eq!(
        node.number("SELECT count(*) FROM legs WHERE received > 20 AND sent > 20"),
        2
    );
    node.stop();
}

/// Each of the two ways in which a phone offers it: RTP/SAVP, and lines beside RTP/AVP. The other phone has none.
#[test]
fn a_phone_that_encrypts_calls_one_that_does_not_and_is_called() {
    for (encrypts, srtp) in [("srtp-mand", "required"), ("srtp", "offered"), ("srtp", "required")] {
        let scene = Scene::new("srtp-phones");
        let node = Node::start(&scene, &configuration(&scene, srtp));
        let alice = alice(&scene, &node, encrypts);
        let bob = Phone::start(&scene, &Account::new("bob", BOB, 440.0), node.sip);
        for (times, caller, called, number) in [(1, &alice, &bob, "102"), (2, &bob, &alice, NUMBER)] {
            caller.dial(number, node.sip);
            caller.wait_event("CALL_ESTABLISHED", times);
            called.wait_event("CALL_ESTABLISHED", times);
            alice.hears(440.0);
            bob.hears(1_000.0);
            // After hold the same keys go on. Only packets in the clear tell: the phone writes nothing down any more.
            alice.command("hold", "");
            if let Some(ear) = bob.ear() {
                ear.wait_quiet(QUIET, SOON);
            }
            alice.command("resume", "");
            if let Some(ear) = bob.ear() {
                ear.wait_tone(1_000.0, SOON);
            }
            caller.command("hangup", "");
            called.wait_event("CALL_CLOSED", times);
        }
        all_hung_up(&node, 2);
        assert_eq!(
            node.number("SELECT count(*) FROM legs WHERE received > 20 AND sent > 20"),
            4
        );
        node.stop();
    }
}

/// A call that could not be kept secret, or is not to be, does not come about.
#[test]
fn a_call_that_does_not_fit_is_refused() {
    for (encrypts, srtp) in [(None, "required"), (Some("srtp-mand"), "off")] {
        let scene = Scene::new("srtp-refused");
        let node = Node::start(&scene, &configuration(&scene, srtp));
        let account = Account {
            encrypts,
            ..Account::new("alice", ALICE, 1_000.0)
        };
        let alice = Phone::start(&scene, &account, node.sip);
        let bob = Phone::start(&scene, &Account::new("bob", BOB, 440.0), node.sip);
        alice.dial("102", node.sip);
        alice.wait_event("CALL_CLOSED", 1);
        alice.wait_event("488", 1);
        bob.dial(NUMBER, node.sip);
        bob.wait_event("CALL_CLOSED", 1);
        // What cannot be answered is refused before it is a call: the other one is.
        let refused = "SELECT count(*) FROM calls WHERE status = 488 AND answered IS NULL";
        eventually("the call to the phone is refused", SOON, || node.number(refused) == 1);
        node.stop();
    }
}

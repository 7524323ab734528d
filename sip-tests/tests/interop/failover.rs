//! Carriers that refuse, are dead, want credentials or a registration.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::phones::{all_calls_end, all_hung_up};
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;
use sip_tests::digest::verify;
use std::net::UdpSocket;

const ALICE: u8 = 2;
const FIRST: u8 = 4;
const SECOND: u8 = 5;

const DIALLED: &str = "+14155550199";

fn configuration(scene: &Scene, more: &str) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"+14155550101\" }}
trunks:
  - name: acme
    peers: [ \"sip:{}\", \"sip:{}\" ]
    options: never
    connect: 1s
    numbers: {{ country: US }}
{more}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
  - {{ to: \"+\", from: trunk/acme, do: user/alice }}
",
        scene.sip(FIRST),
        scene.sip(SECOND)
    )
}

/// Alice calls, and the second peer answers.
fn the_second_peer_answers(scene: &Scene, node: &Node) {
    let alice = Phone::start(scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(SECOND), Codec::Pcma, 440.0);
    let second = Setup::new(scene, "callee", SECOND).listen();
    alice.dial(DIALLED, node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hangup", "");
    second.finish();
    all_hung_up(node, 1);
}

#[test]
fn a_peer_that_is_silent_is_passed_over() {
    let scene = Scene::new("silent");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let _dead = UdpSocket::bind(scene.sip(FIRST)).expect("the address is this test's own");
    the_second_peer_answers(&scene, &node);
    node.stop();
}

#[test]
fn a_peer_that_answers_503_is_passed_over() {
    let scene = Scene::new("unavailable");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let first = Setup::new(&scene, "callee-unavailable", FIRST).listen();
    the_second_peer_answers(&scene, &node);
    first.finish();
    node.stop();
}

#[test]
fn a_peer_whose_connection_is_refused_is_passed_over() {
    let scene = Scene::new("refused");
    let tcp = configuration(&scene, "").replace(
        &format!("{}\",", scene.sip(FIRST)),
        &format!("{};transport=tcp\",", scene.sip(FIRST)),
    );
    let node = Node::start(&scene, &tcp);
    the_second_peer_answers(&scene, &node);
    node.stop();
}

#[test]
fn busy_is_the_answer_and_nobody_else_is_asked() {
    let scene = Scene::new("busy");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let second = UdpSocket::bind(scene.sip(SECOND)).expect("the address is this test's own");
    second.set_nonblocking(true).expect("a socket");
    let first = Setup::new(&scene, "callee-busy", FIRST).listen();
    alice.dial(DIALLED, node.sip);
    alice.wait_event("CALL_CLOSED", 1);
    alice.wait_event("486 Busy Here", 1);
    first.finish();
    assert!(second.recv(&mut [0; 2000]).is_err(), "the second peer was asked, too");
    all_calls_end(&node, 1);
    assert_eq!(node.number("SELECT status * 1000 + q850 FROM calls"), 486_017);
    node.stop();
}

#[test]
fn a_user_with_one_call_is_busy() {
    let scene = Scene::new("one-call");
    let one = configuration(&scene, "").replace("number: \"+14155550101\"", "number: \"+14155550101\", calls: 1");
    let node = Node::start(&scene, &one);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let _sink = Sink::open(scene.host(FIRST), Codec::Pcma, 440.0);
    let call = |scenario, host| {
        let setup = Setup::new(&scene, scenario, host)
            .key("number", "+14155550101")
            .key("caller", DIALLED);
        setup.call(node.sip)
    };
    let first = call("caller", FIRST);
    alice.wait_event("CALL_ESTABLISHED", 1);
    call("caller-meets-busy", SECOND).finish();
    alice.command("hangup", "");
    first.finish();
    all_calls_end(&node, 2);
    node.stop();
}

#[test]
fn a_carrier_that_wants_credentials_gets_them() {
    let scene = Scene::new("challenge");
    let register = "    register: { username: tandem, password: trunk-secret, realm: acme.example }";
    // The first peer plays both parts: the registrar, and after it the callee.
    let registrar = Setup::new(&scene, "registrar", FIRST).listen();
    let node = Node::start(&scene, &configuration(&scene, register));
    registrar.finish();
    node.wait_log("trunk acme is up", 1);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(FIRST), Codec::Pcma, 440.0);
    let callee = Setup::new(&scene, "callee-challenges", FIRST).listen();
    alice.dial(DIALLED, node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hangup", "");
    let messages = callee.messages();
    callee.finish();
    let credentials = messages
        .lines()
        .find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    assert!(
        verify(credentials.expect("credentials"), "trunk-secret", "INVITE"),
        "wrong credentials:\n{messages}"
    );
    assert!(
        !messages.contains("trunk-secret"),
        "the password is on the wire:\n{messages}"
    );
    all_hung_up(&node, 1);
    node.stop();
}

//! Registered phones with each other and with the node's own services.

use super::baresip::{Account, Phone, QUIET, Speaks};
use super::node::Node;
use super::scene::{SOON, Scene, eventually};
use codecs::Codec;
use std::net::UdpSocket;

const USERS: &str = "
users:
  - { name: alice, password: secret-alice, number: \"101\" }
  - { name: bob, password: secret-bob, number: \"102\" }
routes:
  - { to: \"600\", do: echo }
  - { to: \"601\", do: tone }
";

/// The tone of the node's own service.
const SERVICE_HZ: f32 = 1_004.0;

/// Waits until every call of a node has ended, and asserts how many there were.
pub fn all_calls_end(node: &Node, calls: i64) {
    let ended = "SELECT count(*) FROM calls WHERE ended IS NOT NULL";
    eventually("every call record is closed", SOON, || node.number(ended) == calls);
    assert_eq!(node.number("SELECT count(*) FROM calls"), calls, "{}", node.calls());
}

/// Every answered call of a node ended by somebody who hung up.
pub fn all_hung_up(node: &Node, calls: i64) {
    all_calls_end(node, calls);
    let normal = "SELECT count(*) FROM calls WHERE answered IS NOT NULL AND status = 200 AND q850 = 16";
    assert_eq!(node.number(normal), calls, "{}", node.calls());
}

#[test]
fn two_phones_register_by_digest_and_talk_in_opus() {
    let scene = Scene::new("opus");
    let node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    let bob = Phone::start(&scene, &Account::new("bob", 3, 440.0), node.sip);
    alice.dial("102", node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    bob.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(440.0);
    bob.hears(1_000.0);
    for ear in [alice.ear(), bob.ear()].into_iter().flatten() {
        assert_eq!(ear.codec(), Some(Codec::Opus));
    }
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED", 1);
    alice.has_heard(440.0);
    bob.has_heard(1_000.0);
    all_hung_up(&node, 1);
    node.stop();
}

/// RFC 3261 26.3: a phone that registers over TLS is called over the same connection, and calls.
#[test]
fn a_phone_on_tls_and_one_on_udp_call_each_other() {
    let scene = Scene::new("tls");
    let node = Node::start(&scene, USERS);
    let account = Account {
        transport: "tls",
        ..Account::new("alice", 2, 1_000.0)
    };
    let alice = Phone::start(&scene, &account, node.sip);
    let bob = Phone::start(&scene, &Account::new("bob", 3, 440.0), node.sip);
    for (times, caller, called, number) in [(1, &alice, &bob, "102"), (2, &bob, &alice, "101")] {
        caller.dial(number, node.sip);
        caller.wait_event("CALL_ESTABLISHED", times);
        called.wait_event("CALL_ESTABLISHED", times);
        alice.hears(440.0);
        bob.hears(1_000.0);
        caller.command("hangup", "");
        called.wait_event("CALL_CLOSED", times);
    }
    all_hung_up(&node, 2);
    node.stop();
}

#[test]
fn a_phone_hears_itself_and_the_tone() {
    let scene = Scene::new("services");
    let node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 700.0), node.sip);
    alice.dial("600", node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(700.0);
    alice.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 1);
    alice.has_heard(700.0);
    alice.dial("601", node.sip);
    alice.wait_event("CALL_ESTABLISHED", 2);
    alice.hears(SERVICE_HZ);
    alice.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 2);
    alice.has_heard(SERVICE_HZ);
    all_hung_up(&node, 2);
    node.stop();
}

#[test]
fn opus_and_g711_are_bridged_and_hold_stops_the_sound() {
    let scene = Scene::new("hold");
    let node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    let pcmu = Account {
        speaks: Speaks::Pcmu,
        ..Account::new("bob", 3, 440.0)
    };
    let bob = Phone::start(&scene, &pcmu, node.sip);
    bob.dial("alice", node.sip);
    bob.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(440.0);
    bob.hears(1_000.0);
    let codecs = [(alice.ear(), Codec::Opus), (bob.ear(), Codec::Pcmu)];
    for (ear, codec) in codecs.into_iter().filter_map(|(ear, codec)| Some((ear?, codec))) {
        assert_eq!(ear.codec(), Some(codec));
    }
    alice.command("hold", "");
    // Only the packets tell here: the phone writes nothing down after hold.
    if let Some(ear) = alice.ear() {
        ear.wait_quiet(QUIET, SOON);
    }
    alice.command("resume", "");
    let tones = [(alice.ear(), 440.0), (bob.ear(), 1_000.0)];
    for (ear, hz) in tones.into_iter().filter_map(|(ear, hz)| Some((ear?, hz))) {
        ear.wait_tone(hz, SOON);
    }
    bob.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 1);
    alice.has_heard(440.0);
    bob.has_heard(1_000.0);
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn a_phone_registers_and_talks_over_tcp() {
    let scene = Scene::new("tcp");
    let node = Node::start(&scene, USERS);
    let tcp = Account {
        transport: "tcp",
        ..Account::new("alice", 2, 1_000.0)
    };
    let alice = Phone::start(&scene, &tcp, node.sip);
    let bob = Phone::start(&scene, &Account::new("bob", 3, 440.0), node.sip);
    let transport = "SELECT count(*) FROM bindings WHERE aor = 'alice@example.com' AND transport = 'tcp'";
    assert_eq!(node.number(transport), 1);
    for (caller, called, name) in [(&bob, &alice, "alice"), (&alice, &bob, "bob")] {
        caller.dial(name, node.sip);
        alice.hears(440.0);
        bob.hears(1_000.0);
        caller.command("hangup", "");
        caller.wait_event("CALL_CLOSED", if name == "alice" { 1 } else { 2 });
        called.wait_event("CALL_CLOSED", if name == "alice" { 1 } else { 2 });
    }
    assert_eq!(
        alice.messages_over("UDP"),
        0,
        "the phone was reached beside its connection"
    );
    all_hung_up(&node, 2);
    node.stop();
}

#[test]
fn all_phones_of_a_user_ring_and_the_first_answer_wins() {
    let scene = Scene::new("fork");
    let node = Node::start(&scene, USERS);
    let bob = Phone::start(&scene, &Account::new("bob", 2, 440.0), node.sip);
    let desk = Account {
        answers: false,
        ..Account::new("alice", 3, 700.0)
    };
    let desk = Phone::start(&scene, &desk, node.sip);
    let mobile = Account {
        answers: false,
        ..Account::new("alice", 4, 1_000.0)
    };
    let mobile = Phone::start(&scene, &mobile, node.sip);
    bob.dial("alice", node.sip);
    desk.wait_event("CALL_INCOMING", 1);
    mobile.wait_event("CALL_INCOMING", 1);
    mobile.command("accept", "");
    bob.wait_event("CALL_ESTABLISHED", 1);
    desk.wait_event("CALL_CLOSED", 1);
    bob.hears(1_000.0);
    mobile.hears(440.0);
    assert_eq!(desk.events_of("CALL_ESTABLISHED"), 0);
    bob.command("hangup", "");
    mobile.wait_event("CALL_CLOSED", 1);
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn a_phone_sends_its_caller_on() {
    let scene = Scene::new("transfer");
    let node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    let bob = Phone::start(&scene, &Account::new("bob", 3, 440.0), node.sip);
    bob.dial("alice", node.sip);
    bob.wait_event("CALL_ESTABLISHED", 1);
    bob.hears(1_000.0);
    // RFC 3515: alice asks the node to connect bob with the tone.
    alice.command("transfer", &format!("sip:601@{}", node.sip.ip()));
    alice.wait_event("CALL_CLOSED", 1);
    bob.hears(SERVICE_HZ);
    assert_eq!(bob.events_of("CALL_CLOSED"), 0, "bob's own call goes on");
    bob.command("hangup", "");
    bob.wait_event("CALL_CLOSED", 1);
    all_hung_up(&node, 1);
    node.stop();
}

#[test]
fn a_wrong_password_registers_nobody() {
    let scene = Scene::new("password");
    let node = Node::start(&scene, &USERS.replace("secret-alice", "another"));
    Phone::start_refused(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    assert_eq!(node.number("SELECT count(*) FROM bindings"), 0);
    node.stop();
}

#[test]
fn garbage_is_not_answered_and_disturbs_nobody() {
    let scene = Scene::new("garbage");
    let node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 700.0), node.sip);
    alice.dial("600", node.sip);
    alice.hears(700.0);
    let socket = UdpSocket::bind((scene.host(9), 0)).expect("the address is this test's own");
    let huge = vec![b'A'; 60_000];
    let texts: [&[u8]; 5] = [b"", b"\r\n\r\n", b"INVITE", &[0xff; 1200], &huge];
    for text in texts {
        socket.send_to(text, node.sip).expect("the node listens");
    }
    alice.hears(700.0);
    alice.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 1);
    socket.set_nonblocking(true).expect("a socket");
    assert!(socket.recv(&mut [0; 100]).is_err(), "garbage was answered");
    all_hung_up(&node, 1);
    node.stop();
}

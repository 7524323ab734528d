//! Kamailio keeps the dialogs, the node has the media (NG): a phone with Opus (baresip) and a carrier with G.711 (SIPp).

use super::baresip::{Account, Phone, QUIET};
use super::kamailio::{Kamailio, Setup as Proxy};
use super::node::Node;
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const NODE: u8 = 1;
const ALICE: u8 = 2;
const CARRIER: u8 = 4;
const PROXY: u8 = 5;

/// What the phones of these tests speak is not what the carrier does.
const TO_PHONE: &str = "trust-address replace-origin replace-session-connection ICE=remove RTP/AVP transcode-opus";
const TO_CARRIER: &str =
    "trust-address replace-origin replace-session-connection ICE=remove RTP/AVP codec-mask-opus transcode-PCMA";

/// A node without users, and a proxy that has its media there.
fn start(scene: &Scene, to_phone: &'static str, to_carrier: &'static str) -> (Node, Kamailio) {
    let ng = SocketAddr::from((scene.host(NODE), 2223));
    let node = Node::start(scene, &format!("ng: {{ listen: \"{ng}\" }}\n"));
    let proxy = Proxy {
        host: PROXY,
        ng,
        carrier: scene.sip(CARRIER),
        to_phone,
        to_carrier,
    };
    (node, Kamailio::start(scene, &proxy))
}

/// So many calls went through the node, and all are over.
fn all_deleted(node: Node, proxy: &Kamailio, calls: usize) {
    node.wait_log("is over: the proxy has deleted it", calls);
    proxy.is_content();
    // None of its own: the dialogs were elsewhere.
    assert_eq!(node.number("SELECT count(*) FROM calls"), 0);
    node.stop();
}

#[test]
fn a_carrier_calls_a_phone_by_kamailio_and_is_transcoded() {
    let scene = Scene::new("ng-inbound");
    let (node, proxy) = start(&scene, TO_PHONE, TO_CARRIER);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), proxy.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", "alice")
        .key("caller", "+14155550199");
    let carrier = call.call(proxy.sip);
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
    all_deleted(node, &proxy, 1);
}

#[test]
fn a_phone_calls_a_carrier_by_kamailio_sends_digits_and_holds() {
    let scene = Scene::new("ng-outbound");
    let (node, proxy) = start(&scene, TO_PHONE, TO_CARRIER);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), proxy.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let carrier = Setup::new(&scene, "callee-holds", CARRIER).listen();
    alice.dial("+14155550199", proxy.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("sndcode", "4711#");
    sink.ear.wait_digits("4711#", SOON);
    // Two re-INVITEs, whose answers find the same sides.
    alice.command("hold", "");
    if let Some(ear) = alice.ear() {
        ear.wait_quiet(QUIET, SOON);
    }
    alice.command("resume", "");
    if let Some(ear) = alice.ear() {
        ear.wait_tone(440.0, SOON);
    }
    sink.ear.wait_tone(1_000.0, SOON);
    alice.command("hangup", "");
    carrier.finish();
    all_deleted(node, &proxy, 1);
}

#[test]
fn a_phone_that_must_encrypt_talks_with_a_carrier_in_the_clear() {
    let scene = Scene::new("ng-srtp");
    let (node, proxy) = start(
        &scene,
        "trust-address replace-origin ICE=remove RTP/SAVP SDES-no-AEAD_AES_256_GCM transcode-opus",
        TO_CARRIER,
    );
    let account = Account {
        encrypts: Some("srtp-mand"),
        ..Account::new("alice", ALICE, 1_000.0)
    };
    let alice = Phone::start(&scene, &account, proxy.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", "alice")
        .key("caller", "+14155550199");
    let carrier = call.call(proxy.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    alice.command("hangup", "");
    carrier.finish();
    alice.has_heard(440.0);
    let callee = Setup::new(&scene, "callee", CARRIER).listen();
    alice.dial("+14155550199", proxy.sip);
    alice.wait_event("CALL_ESTABLISHED", 2);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.command("hangup", "");
    callee.finish();
    all_deleted(node, &proxy, 2);
}

#[test]
fn a_call_that_is_not_taken_leaves_nothing() {
    let scene = Scene::new("ng-busy");
    let (node, proxy) = start(&scene, TO_PHONE, TO_CARRIER);
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), proxy.sip);
    let carrier = Setup::new(&scene, "callee-busy", CARRIER).listen();
    alice.dial("+14155550199", proxy.sip);
    alice.wait_event("CALL_CLOSED", 1);
    carrier.finish();
    all_deleted(node, &proxy, 1);
}

#[test]
fn only_who_is_named_is_answered() {
    let scene = Scene::new("ng-stranger");
    let ng = SocketAddr::from((scene.host(NODE), 2223));
    let allowed = scene.host(PROXY);
    let node = Node::start(&scene, &format!("ng: {{ listen: \"{ng}\", allow: [ {allowed} ] }}\n"));
    let ask = |host, within| {
        let socket = UdpSocket::bind((scene.host(host), 0)).expect("the address is this test's own");
        socket.set_read_timeout(Some(within)).expect("it is not zero");
        socket.send_to(b"1_1 d7:command4:pinge", ng).expect("the node listens");
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    };
    assert_eq!(ask(CARRIER, Duration::from_millis(500)), None);
    assert_eq!(ask(PROXY, SOON).as_deref(), Some(&b"1_1 d6:result4:ponge"[..]));
    node.stop();
}

//! Clients behind NATs and firewalls: two of Debian's Chromium, each in a network of its own, with the package for pages and with JsSIP. Which
//! pair of candidates they use is what their statistics say; what went through the node is what the system has counted there.
//!
//! Needs root, for network namespaces and iptables; without, it says so and does nothing. That two who reach each other talk directly is in
//! `client_sdk.rs`, and a browser that calls a phone without any NAT in `browser.rs`.

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests with real peers use the rest of it, and those live in real time"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "browser/network.rs"]
mod network;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;
#[allow(dead_code, reason = "another test uses the rest of it")]
#[path = "interop/softphone.rs"]
mod softphone;

#[path = "browser/baresip.rs"]
mod baresip;
#[path = "nat/cases.rs"]
mod cases;
#[path = "nat/driver.rs"]
mod driver;
#[path = "nat/internet.rs"]
mod internet;
#[path = "nat/node.rs"]
mod node;
#[path = "nat/phone.rs"]
mod phone;

use driver::Driver;
use internet::Internet;
use network::Folder;
use node::{Node, Turn};
use std::process::Command;

/// All that takes part.
struct Stage {
    internet: Internet,
    node: Node,
    driver: Driver,
}

fn is_possible() -> bool {
    let probe = Command::new("unshare")
        .args(["--net", "iptables", "-t", "nat", "-L"])
        .output();
    network::is_root() && probe.is_ok_and(|probe| probe.status.success())
}

#[test]
fn behind_nats_and_firewalls() {
    if !is_possible() {
        eprintln!("skipped: network namespaces with NAT need root, unshare and iptables (`make peers` installs them)");
        return;
    }
    let folder = Folder::new("nat");
    let internet = Internet::new();
    let node = Node::start(&internet.middle, &folder, Turn::StunOnly);
    let bob = phone::start(&internet.phone, &folder.0);
    let driver = Driver::start(&internet, &folder);
    let mut stage = Stage { internet, node, driver };
    cases::by_stun(&mut stage);
    cases::without_a_microphone(&mut stage);
    cases::by_turn(&mut stage);
    cases::without_udp(&mut stage);
    cases::without_udp_to_a_phone(&mut stage);
    cases::without_udp_by_tcp_to_the_node(&mut stage);
    cases::turn_is_off(&mut stage);
    cases::turn_does_not_help(&mut stage);
    cases::troubles_in_words(&mut stage);
    stage.driver.does("close");
    drop(bob);
    let tones = phone::heard(&folder.0);
    let is_alice = |tone: &Option<f32>| tone.is_some_and(|hz| (hz - 1_000.0).abs() < 10.0);
    assert!(tones.len() == 4 && tones.iter().all(is_alice), "Bob heard {tones:?}");
    // Three calls between clients, and two with a phone by the relay.
    stage.node.stop(5 * cases::SPEECH);
}

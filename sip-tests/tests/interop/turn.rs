//! coturn's client, its STUN client and its peer (Debian's coturn) against our relay: by UDP, TCP and TLS, with channels and with indications.

use super::node::Node;
use super::process::Process;
use super::scene::{SOON, Scene, eventually};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

/// Where the peer is that sends back what it gets.
const PEER: u8 = 9;
const PEER_PORT: u16 = 3480;
/// Where the client is.
const CLIENT: u8 = 5;

fn node(scene: &Scene, more: &str) -> Node {
    let host = scene.host(1);
    let rest = format!(
        "turn:
  listen: [ \"udp://{host}\", \"tcp://{host}\", \"tls://{host}\" ]
  secret: north
  users: [ {{ name: alice, password: swordfish }} ]
  ports: 49152-49999
  allowed_peers: [ 127.0.0.0/8 ]
{more}"
    );
    Node::start(scene, &rest)
}

fn peer(scene: &Scene) -> Process {
    let host = scene.host(PEER);
    let (ip, port) = (host.to_string(), PEER_PORT.to_string());
    let mut command = Command::new("turnutils_peer");
    let peer = Process::start("turnutils_peer", "coturn", command.args(["-L", &ip, "-p", &port]));
    let asks = UdpSocket::bind((scene.host(CLIENT), 0)).expect("a port");
    asks.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
    eventually("the peer answers", SOON, || {
        asks.send_to(b"?", (host, PEER_PORT)).is_ok() && asks.recv(&mut [0; 8]).is_ok()
    });
    peer
}

/// What the client says of a run: messages sent and received, and all of its words.
fn run(scene: &Scene, arguments: &[&str]) -> (u64, u64, String) {
    let (peer, local, port) = (
        scene.host(PEER).to_string(),
        scene.host(CLIENT).to_string(),
        PEER_PORT.to_string(),
    );
    let mut command = Command::new("timeout");
    command.args([
        "90",
        "turnutils_uclient",
        "-L",
        &local,
        "-e",
        &peer,
        "-r",
        &port,
        "-n",
        "25",
        "-l",
        "171",
    ]);
    let done = command.args(arguments).arg(scene.host(1).to_string()).output();
    let done = done.expect("coreutils");
    let words = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    let last = |name: &str| {
        let at = words.rfind(name)? + name.len();
        let digits: String = words[at..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let all = (last("tot_send_msgs="), last("tot_recv_msgs="));
    let (Some(sent), Some(received)) = all else {
        panic!("turnutils_uclient {arguments:?} (it comes with coturn) said:\n{words}")
    };
    (sent, received, words)
}

#[test]
fn the_client_of_coturn_passes_by_udp_tcp_and_tls_with_channels_and_with_indications() {
    let scene = Scene::new("turn");
    let node = node(&scene, "");
    let _peer = peer(&scene);
    let user = ["-u", "alice", "-w", "swordfish"];
    let ways: [&[&str]; 6] = [&[], &["-s"], &["-t"], &["-t", "-s"], &["-t", "-S"], &["-t", "-S", "-s"]];
    let mut all = 0;
    for way in ways {
        // Each client has RTP and RTCP: with EVEN-PORT, and the port behind it by RESERVATION-TOKEN.
        let (sent, received, words) = run(&scene, &[way, &["-m", "2"], &user].concat());
        assert!(sent == 50 && received == sent, "{way:?}: {received} of {sent}\n{words}");
        all += sent;
    }
    node.wait_log("is done after", 2 * ways.len());
    node.stop();
    assert_eq!(all, 50 * ways.len() as u64);
}

/// Both ends are clients of ours: what one sends comes out of the other's relayed address.
#[test]
fn two_clients_of_coturn_speak_with_one_another_with_passwords_that_hold_for_a_time() {
    let scene = Scene::new("turn-pairs");
    let node = node(&scene, "");
    for way in [&["-y"][..], &["-y", "-t"], &["-y", "-s"]] {
        let rest = ["-c", "-m", "4", "-u", "bob", "-W", "north"];
        let (sent, received, words) = run(&scene, &[way, &rest].concat());
        assert!(
            sent >= 100 && received == sent,
            "{way:?}: {received} of {sent}\n{words}"
        );
    }
    node.stop();
}

/// RFC 6062: each client connects to the other's relayed address.
#[test]
fn two_clients_of_coturn_speak_with_one_another_by_tcp_to_their_peers() {
    let scene = Scene::new("turn-tcp");
    let node = node(&scene, "  tcp_peers: yes\n");
    for way in [&["-T"][..], &["-T", "-S"]] {
        let rest = ["-m", "2", "-u", "alice", "-w", "swordfish"];
        let (sent, received, words) = run(&scene, &[way, &rest].concat());
        assert!(sent >= 50 && received == sent, "{way:?}: {received} of {sent}\n{words}");
    }
    node.stop();
}

#[test]
fn a_wrong_password_and_a_denied_peer_are_refused() {
    let scene = Scene::new("turn-refused");
    let host = scene.host(PEER);
    let node = node(&scene, &format!("  denied_peers: [ {host} ]"));
    let _peer = peer(&scene);
    for wrong in [["-u", "alice", "-w", "swordfisk"], ["-u", "bob", "-W", "south"]] {
        let words = failed(&scene, &wrong);
        assert!(words.contains("Cannot complete Allocation"), "{wrong:?}: {words}");
    }
    let words = failed(&scene, &["-u", "alice", "-w", "swordfish"]);
    assert!(words.contains("403"), "{words}");
    node.stop();
}

/// The words of a run that does not come to its end.
fn failed(scene: &Scene, arguments: &[&str]) -> String {
    let (peer, port) = (scene.host(PEER).to_string(), PEER_PORT.to_string());
    let mut command = Command::new("timeout");
    command.args([
        "20",
        "turnutils_uclient",
        "-v",
        "-c",
        "-n",
        "2",
        "-e",
        &peer,
        "-r",
        &port,
    ]);
    let done = command.args(arguments).arg(scene.host(1).to_string()).output();
    let done = done.expect("coreutils");
    assert!(!done.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

#[test]
fn the_stun_client_of_coturn_learns_its_address() {
    let scene = Scene::new("stun");
    let node = node(&scene, "");
    let local = scene.host(CLIENT).to_string();
    let mut command = Command::new("timeout");
    command.args(["20", "turnutils_stunclient", "-L", &local]);
    let done = command.arg(scene.host(1).to_string()).output().expect("coreutils");
    let words = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(words.contains(&format!("UDP reflexive addr: {local}")), "{words}");
    node.stop();
}

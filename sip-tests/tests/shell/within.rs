//! A client of TURN whose peer is media of the same node: nothing of it goes by the network, which is shown by the system's own counters in a
//! network that only this test has.

use super::{Node, SOON, USERS, Ua};
use sip_tests::turn::Raw;
use sip_tests::turn::wire::{Hash, attr, channel_data, kind, long_term};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;
use tandem::config::Algorithm;
use tandem::sip::Method;

/// Set in the run of this test that has the network.
const ALONE: &str = "TANDEM_TEST_ALONE";
const REALM: &str = "example.com";
const PACKETS: u16 = 100;

/// False where this run only starts the other one, in a network of its own, and sees it pass.
fn is_alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("iproute2").success());
        return true;
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    // Without root, in a user namespace of its own, where one is root.
    let make: &[&str] = if is_root {
        &["--net"]
    } else {
        &["--net", "--user", "--map-root-user"]
    };
    let mut command = Command::new("unshare");
    command.args(make).arg(std::env::current_exe().expect("this program"));
    let passed = command.args(["--exact", name, "--nocapture"]).env(ALONE, "1").status();
    assert!(passed.expect("util-linux").success(), "see above");
    false
}

/// A client with its credentials.
struct Turn {
    socket: UdpSocket,
    nonce: Option<Vec<u8>>,
    transactions: u8,
}

impl Turn {
    fn new(node: &Node) -> Turn {
        let ip = node.ip.rsplit_once('.').expect("an address").0;
        let socket = UdpSocket::bind(format!("{ip}.7:0")).expect("our own address");
        socket.connect(format!("{}:3478", node.ip)).expect("our own network");
        socket.set_read_timeout(Some(SOON)).expect("a time");
        Turn {
            socket,
            nonce: None,
            transactions: 0,
        }
    }

    fn ask(&mut self, what: u16, with: impl Fn(Raw) -> Raw) -> Raw {
        for _ in 0..2 {
            self.transactions += 1;
            let mut request = with(Raw::new(what, [self.transactions; 12]));
            let key = long_term(false, "alice", REALM, "swordfish");
            let mut seal = None;
            if let Some(nonce) = &self.nonce {
                request = request
                    .with(attr::USERNAME, b"alice")
                    .with(attr::REALM, REALM.as_bytes());
                request = request.with(attr::NONCE, nonce);
                seal = Some((Hash::Sha1, &key[..]));
            }
            self.socket.send(&request.write(seal, false)).expect("our own network");
            let answer = Raw::read(&self.receive().expect("an answer")).expect("STUN");
            if answer.error() != Some(401) {
                assert_eq!(answer.error(), None);
                return answer;
            }
            self.nonce = answer.get(attr::NONCE).map(<[u8]>::to_vec);
        }
        panic!("asked for a password twice")
    }

    fn receive(&self) -> Option<Vec<u8>> {
        let mut octets = [0; 2_048];
        let length = self.socket.recv(&mut octets).ok()?;
        Some(octets[..length].to_vec())
    }
}

/// Datagrams that the system has sent in this network.
fn datagrams() -> u64 {
    let text = fs::read_to_string("/proc/self/net/snmp").expect("Linux has it");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().expect("its names"), lines.next().expect("its values"));
    let mut both = names.split(' ').zip(values.split(' '));
    let found = both.find(|(name, _)| *name == "OutDatagrams").expect("it is counted");
    found.1.parse().expect("a number")
}

#[test]
fn media_of_this_node_is_reached_by_turn_without_the_network() {
    if !is_alone("within::media_of_this_node_is_reached_by_turn_without_the_network") {
        return;
    }
    let turn = "turn: { listen: [ \"udp://127.82.30.1\" ], users: [ { name: alice, password: swordfish } ], ports: 50000-50099 }\n";
    let node = Node::start(30, &format!("{USERS}{turn}"));
    let mut turn = Turn::new(&node);
    let allocated = turn.ask(kind::ALLOCATE, |raw| raw.with(attr::TRANSPORT, &[17, 0, 0, 0]));
    let relayed = allocated.addresses(attr::RELAYED)[0];
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    alice.media = relayed;
    let response = alice.ask(Method::Invite, "sip:600@example.com", "call", Algorithm::Md5);
    assert_eq!(response.status(), 200);
    alice.ack("sip:600@example.com", "call", &response);
    let answer = String::from_utf8(response.body().to_vec()).expect("SDP");
    let port = answer.split_once("m=audio ").and_then(|(_, rest)| rest.split_once(' '));
    let port: u16 = port.expect("an answer").0.parse().expect("a port");
    let media = SocketAddr::new(relayed.ip(), port);
    turn.ask(kind::CHANNEL_BIND, |raw| {
        raw.with(attr::CHANNEL, &[0x40, 0, 0, 0])
            .with_address(attr::PEER, media)
    });
    turn.socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a time");
    let before = datagrams();
    let mut heard = 0;
    for sequence in 0..PACKETS {
        let mut rtp = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        rtp[2..4].copy_from_slice(&sequence.to_be_bytes());
        rtp[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        rtp.extend([sequence as u8; 160]);
        turn.socket
            .send(&channel_data(0x4000, &rtp, false))
            .expect("our own network");
        // The echo of each, which paces this too.
        if let Some(echo) = turn.receive() {
            assert_eq!((&echo[..2], echo[4] >> 6), (&[0x40, 0][..], 2), "RTP by the channel");
            heard += 1;
        }
    }
    let sent = datagrams() - before;
    assert!(heard >= PACKETS - 5, "{heard} of {PACKETS} came back");
    // Those of the client, and those to it; by the network it would be twice as many.
    let wanted = u64::from(PACKETS + heard);
    assert!(
        (wanted..wanted + 10).contains(&sent),
        "{sent} datagrams were sent, and not {wanted}"
    );
    node.process.signal("TERM");
    node.process.signal("TERM");
    node.says(&format!("{PACKETS} packets to media of this node, past the network"));
}

//! TCP to peers (RFC 6062) and relayed addresses of IPv6, over real sockets.

use super::{Node, SOON, USERS};
use sip_tests::turn::Raw;
use sip_tests::turn::wire::{Hash, attr, kind, long_term};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

const REALM: &str = "example.com";

/// Each has addresses of its own.
fn node(number: u8) -> Node {
    let turn = format!(
        "turn:
  listen: [ \"tcp://127.82.{number}.1\" ]
  addresses: [ 127.82.{number}.1, \"::1\" ]
  users: [ {{ name: alice, password: swordfish }} ]
  ports: 50000-50099
  bandwidth: never
  tcp_peers: yes
  allowed_peers: [ 127.0.0.0/8 ]
"
    );
    Node::start(number, &format!("{USERS}{turn}"))
}

/// A stream to the relay, with credentials.
struct Stream {
    socket: TcpStream,
    nonce: Option<Vec<u8>>,
    transactions: u8,
}

impl Stream {
    fn new(node: &Node) -> Stream {
        let socket = TcpStream::connect(format!("{}:3478", node.ip)).expect("the relay listens");
        socket.set_read_timeout(Some(SOON)).expect("a time");
        Stream {
            socket,
            nonce: None,
            transactions: 0,
        }
    }

    fn receive(&mut self) -> Raw {
        let mut head = [0; 20];
        self.socket.read_exact(&mut head).expect("a message");
        let mut octets = head.to_vec();
        octets.resize(20 + usize::from(u16::from_be_bytes([head[2], head[3]])), 0);
        self.socket.read_exact(&mut octets[20..]).expect("the rest of it");
        Raw::read(&octets).expect("STUN")
    }

    /// With `more` behind the last request in the same write.
    fn ask(&mut self, what: u16, more: &[u8], with: impl Fn(Raw) -> Raw) -> Raw {
        for _ in 0..2 {
            self.transactions += 1;
            let mut request = with(Raw::new(what, [self.transactions; 12]));
            let key = long_term(false, "alice", REALM, "swordfish");
            let mut octets = request.write(None, false);
            if let Some(nonce) = &self.nonce {
                request = request
                    .with(attr::USERNAME, b"alice")
                    .with(attr::REALM, REALM.as_bytes());
                request = request.with(attr::NONCE, nonce);
                octets = request.write(Some((Hash::Sha1, &key)), false);
                octets.extend_from_slice(more);
            }
            self.socket.write_all(&octets).expect("the relay reads");
            let answer = self.receive();
            if answer.error() != Some(401) {
                return answer;
            }
            self.nonce = answer.get(attr::NONCE).map(<[u8]>::to_vec);
        }
        panic!("asked for a password twice")
    }

    fn allocate(&mut self, transport: u8, v6: bool) -> SocketAddr {
        let allocated = self.ask(kind::ALLOCATE, &[], |raw| {
            let family = if v6 { 2 } else { 1 };
            raw.with(attr::TRANSPORT, &[transport, 0, 0, 0])
                .with(attr::FAMILY, &[family, 0, 0, 0])
        });
        assert_eq!(allocated.error(), None);
        allocated.addresses(attr::RELAYED)[0]
    }
}

/// Goes both ways at once, as much as no buffer takes.
fn pass(one: &TcpStream, other: &TcpStream) {
    let octets: Vec<u8> = (0..8_000_000u32).map(|n| ((n * 7) >> 5) as u8).collect();
    let send = |mut socket: &TcpStream| socket.write_all(&octets).expect("it is taken");
    let receive = |mut socket: &TcpStream| {
        socket.set_read_timeout(Some(SOON)).expect("a time");
        let mut came = vec![0; octets.len()];
        socket.read_exact(&mut came).expect("it comes");
        assert!(came == octets, "as it was sent");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| send(one));
        scope.spawn(|| send(other));
        scope.spawn(|| receive(one));
        receive(other);
    });
}

/// A connection of the client's own for one with a peer; something is sent behind the request at once.
fn joined(node: &Node, id: &[u8], peer: &mut TcpStream) -> TcpStream {
    let mut data = Stream::new(node);
    let bound = data.ask(kind::CONNECTION_BIND, b"at once", |raw| {
        raw.with(attr::CONNECTION_ID, id)
    });
    assert_eq!(bound.error(), None);
    let mut early = [0; 7];
    peer.set_read_timeout(Some(SOON)).expect("a time");
    peer.read_exact(&mut early).expect("what was sent with the request");
    assert_eq!(&early, b"at once");
    data.socket
}

#[test]
fn a_client_and_a_peer_speak_by_tcp_whoever_begins() {
    let node = node(31);
    let mut control = Stream::new(&node);
    let relayed = control.allocate(6, false);
    let listener = TcpListener::bind("127.82.31.9:0").expect("our own address");
    let there = listener.local_addr().expect("it is bound");
    // The client begins.
    let connected = control.ask(kind::CONNECT, &[], |raw| raw.with_address(attr::PEER, there));
    assert_eq!(connected.error(), None);
    let id = connected.get(attr::CONNECTION_ID).expect("it has a number").to_vec();
    let (mut peer, from) = listener.accept().expect("it has come");
    assert_eq!(from, relayed, "from the relayed address");
    // What the peer says before its client has come waits.
    peer.write_all(b"early").expect("the relay reads");
    let mut data = joined(&node, &id, &mut peer);
    let mut early = [0; 5];
    data.read_exact(&mut early).expect("it was kept");
    assert_eq!(&early, b"early");
    pass(&data, &peer);
    // What was sent before the end arrives before it.
    peer.write_all(b"goodbye").expect("the relay reads");
    peer.shutdown(Shutdown::Both).expect("it is open");
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).expect("its end");
    assert_eq!(rest, b"goodbye");
    // The peer begins, once it may.
    let mut refused = TcpStream::connect(relayed).expect("it listens");
    refused.set_read_timeout(Some(SOON)).expect("a time");
    match refused.read(&mut [0; 1]) {
        Ok(length) => assert_eq!(length, 0, "it is closed"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    let own = SocketAddr::from(([127, 82, 31, 9], 0));
    let mut permitted = control.ask(kind::CREATE_PERMISSION, &[], |raw| raw.with_address(attr::PEER, own));
    assert_eq!(permitted.error(), None);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&own.into()).expect("our own address");
    socket.connect(&relayed.into()).expect("it listens");
    let mut peer = TcpStream::from(socket);
    permitted = control.receive();
    assert_eq!(permitted.kind, kind::CONNECTION_ATTEMPT);
    assert_eq!(
        permitted.addresses(attr::PEER),
        [peer.local_addr().expect("it is bound")]
    );
    let id = permitted.get(attr::CONNECTION_ID).expect("it has a number").to_vec();
    let data = joined(&node, &id, &mut peer);
    pass(&data, &peer);
    // The client's stream ends, and so does the peer's.
    drop(data);
    assert_eq!(peer.read(&mut [0; 1]).expect("its end"), 0);
    // Where nobody listens, it is said.
    let nowhere = SocketAddr::from(([127, 82, 31, 9], 1));
    let failed = control.ask(kind::CONNECT, &[], |raw| raw.with_address(attr::PEER, nowhere));
    assert_eq!(failed.error(), Some(447));
    node.stop();
}

/// A client of IPv4 with a relayed address of IPv6 (RFC 8656 7.2, RFC 6156).
#[test]
fn a_relayed_address_of_ipv6_reaches_peers_of_ipv6() {
    let node = node(32);
    let peer = UdpSocket::bind("[::1]:50099").expect("IPv6 on the loopback");
    peer.set_read_timeout(Some(SOON)).expect("a time");
    let there = peer.local_addr().expect("it is bound");
    let mut control = Stream::new(&node);
    let relayed = control.allocate(17, true);
    assert!(relayed.is_ipv6());
    let permitted = control.ask(kind::CREATE_PERMISSION, &[], |raw| raw.with_address(attr::PEER, there));
    assert_eq!(permitted.error(), None);
    let send = Raw::new(kind::SEND, [9; 12])
        .with_address(attr::PEER, there)
        .with(attr::DATA, b"hello");
    control
        .socket
        .write_all(&send.write(None, false))
        .expect("the relay reads");
    let mut octets = [0; 16];
    let (length, from) = peer.recv_from(&mut octets).expect("it comes");
    assert_eq!((&octets[..length], from), (&b"hello"[..], relayed));
    peer.send_to(b"hi", relayed).expect("our own network");
    let told = control.receive();
    assert_eq!((told.kind, told.addresses(attr::PEER)), (kind::DATA, vec![there]));
    assert_eq!(told.get(attr::DATA), Some(&b"hi"[..]));
    node.stop();
}

/// Processor time that the node has had, in ticks of a hundredth of a second (proc(5)).
fn ticks(node: &Node) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.process.id())).expect("it runs");
    let fields = stat.rsplit(')').next().expect("behind its name").split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum()
}

/// How many files the node may open from now on.
fn limit(node: &Node, files: u32) {
    let pid = node.process.id();
    let set = Command::new("prlimit")
        .args([format!("--pid={pid}"), format!("--nofile={files}:")])
        .status();
    assert!(set.expect("prlimit is there (util-linux)").success());
}

/// Without descriptors a peer waits, and the thread that relays does not turn round and round for it.
#[test]
fn a_peer_waits_for_a_descriptor() {
    let node = node(33);
    let mut control = Stream::new(&node);
    let relayed = control.allocate(6, false);
    let own = SocketAddr::from(([127, 82, 33, 9], 0));
    let permitted = control.ask(kind::CREATE_PERMISSION, &[], |raw| raw.with_address(attr::PEER, own));
    assert_eq!(permitted.error(), None);
    limit(&node, 8);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&own.into()).expect("our own address");
    socket.connect(&relayed.into()).expect("the system takes it");
    let before = ticks(&node);
    let second = Some(std::time::Duration::from_secs(1));
    control.socket.set_read_timeout(second).expect("a time");
    assert!(control.socket.read(&mut [0; 1]).is_err(), "nobody is told of him");
    control.socket.set_read_timeout(Some(SOON)).expect("a time");
    let spent = ticks(&node) - before;
    assert!(spent < 30, "{spent} hundredths of a second in one second");
    limit(&node, 1_000);
    assert_eq!(control.receive().kind, kind::CONNECTION_ATTEMPT, "he had only to wait");
    node.process.signal("TERM");
    node.says("may open no more files");
    node.stop();
}

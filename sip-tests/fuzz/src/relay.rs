//! STUN messages as they come, and a relay between clients that have a password, strangers and peers.
//!
//! ```text
//!   0 client length octets     as it is, the length in two octets
//!   1 client method choices    a request of a user, sealed, with the attributes that six choices name
//!   2 client peer length       data for a peer: by a channel, or by an indication
//!   3 port peer length         a datagram of a peer for a relayed port
//!   4 seconds                  time passes
//!   5 what                     a port cannot be opened, a stream ends, another configuration
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tandem::config::{self, Sources, Turn};
use tandem::relay::{Client, ConnectionId, Output, Packet, RelayId, Server, StreamId, Way};
use tandem::stun;
use tandem::stun::integrity::{Algorithm, Key, Seal};
use tandem::stun::message::{Class, Message, Writer, kind, method};
use tandem::time::{Clock, Instant, Wall};

const CONFIG: &str = "listen: [ \"udp://192.0.2.1:5060\" ]
domains: [ example.com ]
media: { ports: 20000-20099, address: 192.0.2.1 }
turn:
  listen: [ \"udp://192.0.2.1\", \"udp://[2001:db8::1]\", \"tcp://192.0.2.1\" ]
  users: [ { name: alice, password: swordfish }, { name: bob, password: builder } ]
  ports: 50000-50015
  per_user: 4
  allocations: 6
  bandwidth: 64
  tcp_peers: yes
";
/// Longer than any allocation lasts.
const END: Duration = Duration::from_secs(2 * 3600);
/// Clients: two on datagrams, one of IPv6, two on streams, in this order; each second one is bob.
const CLIENTS: u8 = 5;
/// Addresses that are never reached: of a network inside, of this machine, of nobody.
const DENIED: [&str; 4] = ["10.0.0.1:9000", "192.0.2.1:22", "127.0.0.1:80", "[64:ff9b::a00:1]:80"];
const PEERS: [&str; 8] = [
    "198.51.100.1:9000",
    "198.51.100.2:9001",
    "192.0.2.1:20002",
    "[2001:db8:1::1]:9000",
    DENIED[0],
    DENIED[1],
    DENIED[2],
    DENIED[3],
];

fn peer(which: u8) -> SocketAddr {
    PEERS[usize::from(which) % PEERS.len()].parse().expect("an address")
}

/// Any octets as a message: what is read lies in them, and what answers it can be read.
pub fn stun(octets: &[u8]) {
    let from = ([198, 51, 100, 1], 4000).into();
    if let Some(answer) = stun::answer(octets, from) {
        let read = Message::parse(&answer).expect("what we write can be read");
        assert!(read.fingerprint() != Some(false) && answer.len() <= octets.len() + 160);
    }
    let Some(message) = Message::parse(octets) else {
        return;
    };
    for (kind, value) in message.attributes() {
        let place = message.place(kind).expect("it is there");
        assert!(place.end <= octets.len());
        let _ = (message.unxored(value), message.covers(kind));
    }
    let key = Key::short_term("swordfish");
    let _ = (
        message.unknown(),
        message.is_sealed(Seal::Sha1, &key),
        message.is_sealed(Seal::Sha256, &key),
    );
}

struct Scene {
    server: Server,
    now: Instant,
    nonces: [Option<Vec<u8>>; CLIENTS as usize],
    /// Relayed ports that are open.
    open: BTreeMap<RelayId, SocketAddr>,
    connections: BTreeSet<ConnectionId>,
    /// The next port is somebody else's.
    is_held: bool,
    packet: Packet,
    transactions: u8,
}

fn turn(more: &str) -> Turn {
    let config = config::parse("fuzz.yaml", &format!("{CONFIG}{more}"), &Sources::NONE);
    config.expect("the configuration is good").turn.expect("it is there")
}

/// Octets as steps.
pub fn relay(octets: &[u8]) {
    let mut scene = Scene {
        server: Server::new(&turn(""), &[], [7; 32]),
        now: Instant::ZERO + Duration::from_secs(1),
        nonces: Default::default(),
        open: BTreeMap::new(),
        connections: BTreeSet::new(),
        is_held: false,
        packet: Packet::default(),
        transactions: 0,
    };
    for id in [3, 4] {
        scene.server.stream_opened(scene.now, StreamId(id));
    }
    let mut rest = octets;
    while let Some((step, behind)) = rest.split_first() {
        rest = scene.step(*step, behind).unwrap_or_default();
    }
    scene.wait(END);
    let left = (scene.server.allocations(), scene.open.len(), scene.connections.len());
    assert_eq!(left, (0, 0, 0), "nothing is left");
    assert_eq!(scene.server.poll_timeout(), None, "nobody is waited for");
}

impl Scene {
    fn client(&self, which: u8) -> Client {
        match which % CLIENTS {
            0 | 1 => Client::Datagrams {
                listener: 0,
                from: ([203, 0, 113, which % CLIENTS], 4000).into(),
            },
            2 => Client::Datagrams {
                listener: 1,
                from: "[2001:db8:2::5]:4000".parse().expect("an address"),
            },
            id => Client::Stream {
                id: StreamId(id.into()),
                from: ([203, 0, 113, id], 4000).into(),
            },
        }
    }

    fn clock(&self) -> Clock {
        Clock {
            now: self.now,
            wall: Wall(1_700_000_000_000 + self.now.as_millis()),
        }
    }

    fn step<'o>(&mut self, step: u8, rest: &'o [u8]) -> Option<&'o [u8]> {
        match step % 6 {
            0 => {
                let ([client, high, low], behind) = rest.split_first_chunk::<3>()?;
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let (octets, behind) = behind.split_at(length.min(behind.len()));
                self.say(*client, octets);
                Some(behind)
            }
            1 => {
                let (choices, behind) = rest.split_first_chunk::<8>()?;
                self.ask(*choices);
                Some(behind)
            }
            2 => {
                let ([client, which, length], behind) = rest.split_first_chunk::<3>()?;
                let data = vec![9; usize::from(*length)];
                let octets = match which % 2 {
                    0 => channel_data(0x4000 + u16::from(which / 2 % 8), &data),
                    _ => {
                        let mut writer = Writer::new(Class::Indication, method::SEND, self.transaction());
                        writer.xor_address(kind::XOR_PEER_ADDRESS, peer(which / 2));
                        writer.attribute(kind::DATA, &data);
                        writer.finish()
                    }
                };
                self.say(*client, &octets);
                Some(behind)
            }
            3 => {
                let ([port, from, length], behind) = rest.split_first_chunk::<3>()?;
                self.packet.copy(&vec![9; 16 * usize::from(*length)]);
                let way = self
                    .server
                    .from_peer(self.now, RelayId((*port % 16).into()), peer(*from), &mut self.packet);
                self.went(way);
                Some(behind)
            }
            4 => {
                let (seconds, behind) = rest.split_first()?;
                self.wait(Duration::from_secs(u64::from(*seconds) * 4));
                Some(behind)
            }
            _ => {
                let (what, behind) = rest.split_first()?;
                self.upset(*what);
                Some(behind)
            }
        }
    }

    /// Something that nobody has asked for.
    fn upset(&mut self, what: u8) {
        match what % 6 {
            0 => self.is_held = true,
            1 => self.server.configure(&turn("  denied_peers: [ 198.51.100.2 ]\n"), &[]),
            2 => self.server.configure(&turn(""), &[]),
            3 => {
                if let Some(id) = self.connections.pop_first() {
                    self.server.over(id);
                    self.carry_out();
                }
            }
            4 => {
                let came = self
                    .server
                    .accepted(self.clock(), RelayId((what / 6 % 16).into()), peer(what / 6));
                self.connections.extend(came);
                self.carry_out();
            }
            _ => {
                let from = self.client(3).from();
                self.server.stream_closed(self.now, StreamId(3), from);
                self.carry_out();
                self.server.stream_opened(self.now, StreamId(3));
            }
        }
    }

    fn transaction(&mut self) -> [u8; 12] {
        self.transactions = self.transactions.wrapping_add(1);
        [self.transactions; 12]
    }

    /// A request of a user; without a nonce it is challenged, and learns one.
    fn ask(&mut self, [client, what, choices @ ..]: [u8; 8]) {
        let methods = [
            method::ALLOCATE,
            method::REFRESH,
            method::CREATE_PERMISSION,
            method::CHANNEL_BIND,
            method::CONNECT,
            method::CONNECTION_BIND,
        ];
        let what = methods[usize::from(what) % methods.len()];
        let mut writer = Writer::new(Class::Request, what, self.transaction());
        if what == method::ALLOCATE {
            let transport = if choices[5] % 16 < 8 { 17 } else { 6 };
            writer.attribute(kind::REQUESTED_TRANSPORT, &[transport, 0, 0, 0]);
        }
        for choice in choices {
            let value = choice / 8;
            match choice % 8 {
                0 => writer.xor_address(kind::XOR_PEER_ADDRESS, peer(value)),
                1 => writer.attribute(kind::CHANNEL_NUMBER, &[0x40, value % 8, 0, 0]),
                2 => writer.attribute(kind::LIFETIME, &(u32::from(value) * 200).to_be_bytes()),
                3 => writer.attribute(kind::EVEN_PORT, &[value << 7]),
                4 => writer.attribute(kind::REQUESTED_ADDRESS_FAMILY, &[value % 4, 0, 0, 0]),
                5 => writer.attribute(kind::ADDITIONAL_ADDRESS_FAMILY, &[value % 4, 0, 0, 0]),
                6 if value < 8 => {
                    if let Some(id) = self.connections.iter().nth(value.into()) {
                        writer.attribute(kind::CONNECTION_ID, &id.0.to_be_bytes());
                    }
                }
                6 => writer.attribute(0x0030 + u16::from(value), &[value; 5]),
                _ => {}
            }
        }
        let (name, password) = match client % 2 {
            0 => ("alice", "swordfish"),
            _ => ("bob", "builder"),
        };
        if let Some(nonce) = self.nonces[usize::from(client % CLIENTS)].clone() {
            writer.attribute(kind::USERNAME, name.as_bytes());
            writer.attribute(kind::REALM, b"example.com");
            writer.attribute(kind::NONCE, &nonce);
            writer.seal(
                Seal::Sha1,
                &Key::long_term(Algorithm::Md5, name, "example.com", password),
            );
        }
        self.say(client, &writer.finish());
    }

    fn say(&mut self, client: u8, octets: &[u8]) {
        let (clock, from) = (self.clock(), self.client(client));
        self.packet.copy(octets);
        let way = self.server.from_client(clock, from, &mut self.packet);
        self.went(way);
        self.carry_out();
    }

    fn went(&self, way: Way) {
        match way {
            Way::Nowhere => {}
            Way::Peer(relay, to) | Way::Media(relay, to) => {
                assert!(self.open.contains_key(&relay), "by a port that is open");
                let is_denied = DENIED.iter().any(|denied| to == denied.parse().expect("an address"));
                assert!(!is_denied, "{to} is reached");
            }
            Way::Client(client) => {
                let octets = self.packet.octets();
                assert!(
                    octets[0] >> 6 == 1 || Message::parse(octets).is_some(),
                    "for {client:?}"
                );
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Answer(client, octets) => {
                    let answer = Message::parse(&octets).expect("what we write can be read");
                    if let Some(nonce) = answer.get(kind::NONCE) {
                        let which = (0..CLIENTS).find(|which| self.client(*which) == client);
                        self.nonces[usize::from(which.expect("one of them"))] = Some(nonce.to_vec());
                    }
                }
                Output::Open(relay, address) | Output::Listen(relay, address) => {
                    let open = !std::mem::take(&mut self.is_held);
                    if open {
                        let is_new = self.open.values().all(|other| *other != address);
                        assert!(is_new && self.open.insert(relay, address).is_none(), "{address} twice");
                    }
                    self.server.opened(self.clock(), relay, open);
                }
                Output::Close(relay) => {
                    self.open.remove(&relay).expect("it was open");
                }
                Output::Connect(id, relay, peer) => {
                    self.went(Way::Peer(relay, peer));
                    self.server
                        .connected(self.clock(), id, !std::mem::take(&mut self.is_held));
                    self.connections.insert(id);
                }
                Output::Disconnect(id) => {
                    self.connections.remove(&id);
                }
                Output::Join(id, _) => assert!(self.connections.contains(&id), "it is there"),
                Output::Hang(_) | Output::Fact(_) => {}
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.server.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.on_time(self.clock());
            self.carry_out();
        }
        self.now = end;
    }
}

fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut octets = number.to_be_bytes().to_vec();
    octets.extend((data.len() as u16).to_be_bytes());
    octets.extend(data);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

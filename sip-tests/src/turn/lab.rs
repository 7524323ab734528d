//! The relay, its clients and peers, and the network between them.

use super::wire::{self, Hash, Raw, attr, kind};
use crate::net::{Link, Net, Owner};
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tandem::config::{Sources, parse};
use tandem::relay::frame::{self, Frame};
use tandem::relay::{Client, ConnectionId, Fact, Output, Packet, RelayId, Server, StreamId, Way};
use tandem::time::{Clock, Instant, Wall};

/// The relay's address of IPv4.
pub const RELAY_V4: &str = "192.0.2.1";
/// And of IPv6.
pub const RELAY_V6: &str = "2001:db8::1";
/// Where it listens.
pub const PORT: u16 = 3478;
/// 1970 and so many seconds when a lab begins.
pub const EPOCH: u64 = 1_800_000_000;
/// What the relay's realm is.
pub const REALM: &str = "example.com";
/// Of its REST credentials.
pub const SECRET: &str = "north";

/// A configuration with more keys of `turn`.
pub fn config(more: &str) -> tandem::config::Turn {
    let yaml = format!(
        "listen: [ \"udp://{RELAY_V4}:5060\" ]
domains: [ {REALM} ]
media: {{ ports: 20000-20099, address: {RELAY_V4} }}
turn:
  listen: [ \"udp://{RELAY_V4}\", \"udp://[{RELAY_V6}]\", \"tcp://{RELAY_V4}\" ]
  secret: {SECRET}
  users: [ {{ name: alice, password: swordfish }}, {{ name: bob, password: builder }} ]
{more}"
    );
    let config = parse("lab", &yaml, &Sources::NONE).unwrap_or_else(|problems| panic!("{problems:#?}"));
    config.turn.expect("it is there")
}

/// By which way a client speaks with the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// From this address to that one.
    Udp(SocketAddr, SocketAddr),
    /// By a stream.
    Stream(StreamId),
}

/// A client with its credentials, and what it learned.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How it speaks.
    pub via: Via,
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// What the relay has told.
    pub realm: Option<String>,
    /// The nonce that is in use.
    pub nonce: Option<Vec<u8>>,
    /// It speaks SHA-256 where that is offered.
    pub sha256: bool,
    /// What was offered (PASSWORD-ALGORITHMS).
    pub offered: Option<Vec<u8>>,
    /// Answers to 401 and 438 by asking again.
    pub patient: bool,
}

impl Caller {
    /// The key of its messages.
    pub fn key(&self) -> Vec<u8> {
        let realm = self.realm.as_deref().unwrap_or(REALM);
        let sha256 = self.sha256 && self.offered.is_some();
        wire::long_term(sha256, &self.user, realm, &self.password)
    }
}

/// The world.
pub struct Lab {
    /// The virtual time.
    pub now: Instant,
    /// What happens by chance.
    pub rng: Rng,
    /// Links and NATs.
    pub net: Net,
    /// What is tested.
    pub server: Server,
    /// What it told.
    pub facts: Vec<Fact>,
    /// Relayed ports that other programs hold.
    pub held: BTreeSet<u16>,
    /// Ports that it asked for, in order.
    pub asked: Vec<SocketAddr>,
    /// Streams that it closed.
    pub hung: Vec<StreamId>,
    /// Connections with peers that it wants, from where and whereto; see [`Lab::connected`].
    pub wanted: Vec<(ConnectionId, SocketAddr, SocketAddr)>,
    /// Those that are joined to a stream.
    pub joined: Vec<(ConnectionId, StreamId)>,
    /// Those that it closed.
    pub disconnected: Vec<ConnectionId>,
    relays: BTreeMap<RelayId, SocketAddr>,
    flying: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    inboxes: BTreeMap<SocketAddr, VecDeque<(SocketAddr, Vec<u8>)>>,
    /// Octets in both directions.
    streams: BTreeMap<StreamId, (SocketAddr, Vec<u8>, Vec<u8>)>,
    packet: Packet,
}

impl Lab {
    /// With more keys of `turn`.
    pub fn new(seed: u64, more: &str) -> Lab {
        let mut rng = Rng::new(seed);
        let server = Server::new(&config(more), &[], rng.seed());
        let mut net = Net::default();
        for ip in [RELAY_V4, RELAY_V6] {
            net.add(ip.parse().expect("an address"), Owner::Node, Link::default());
        }
        Lab {
            now: Instant::ZERO + Duration::from_secs(100),
            rng,
            net,
            server,
            facts: Vec::new(),
            held: BTreeSet::new(),
            asked: Vec::new(),
            hung: Vec::new(),
            wanted: Vec::new(),
            joined: Vec::new(),
            disconnected: Vec::new(),
            relays: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            inboxes: BTreeMap::new(),
            streams: BTreeMap::new(),
            packet: Packet::default(),
        }
    }

    /// A host with this address: for clients and peers.
    pub fn host(&mut self, address: &str) -> SocketAddr {
        let address: SocketAddr = address.parse().expect("an address");
        if self.net.owner(address.ip()).is_none() {
            self.net.add(address.ip(), Owner::Peer(0), Link::default());
        }
        self.inboxes.entry(address).or_default();
        address
    }

    /// A client on UDP.
    pub fn caller(&mut self, address: &str, user: &str, password: &str) -> Caller {
        let from = self.host(address);
        let to = if from.is_ipv4() { RELAY_V4 } else { RELAY_V6 };
        let to = SocketAddr::new(to.parse().expect("an address"), PORT);
        self.caller_via(Via::Udp(from, to), user, password)
    }

    /// A client on a stream.
    pub fn stream(&mut self, number: u32, from: &str, user: &str, password: &str) -> Caller {
        let id = StreamId(number);
        let from = from.parse().expect("an address");
        self.streams.insert(id, (from, Vec::new(), Vec::new()));
        self.server.stream_opened(self.now, id);
        self.caller_via(Via::Stream(id), user, password)
    }

    fn caller_via(&mut self, via: Via, user: &str, password: &str) -> Caller {
        Caller {
            via,
            user: user.to_owned(),
            password: password.to_owned(),
            realm: None,
            nonce: None,
            sha256: false,
            offered: None,
            patient: true,
        }
    }

    /// The clocks.
    pub fn clock(&self) -> Clock {
        Clock {
            now: self.now,
            wall: Wall(EPOCH * 1000 + self.now.as_millis()),
        }
    }

    /// A datagram leaves a host.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        for arrival in self.net.send(self.now, &mut self.rng, from, to, octets.len()) {
            self.sent += 1;
            self.flying
                .insert((arrival.at, self.sent), (arrival.from, arrival.to, octets.to_vec()));
        }
    }

    /// Octets leave a client.
    pub fn say(&mut self, via: Via, octets: &[u8]) {
        match via {
            Via::Udp(from, to) => self.send(from, to, octets),
            Via::Stream(id) => {
                let Some((_, up, _)) = self.streams.get_mut(&id) else {
                    return;
                };
                up.extend_from_slice(octets);
                self.cut(id);
            }
        }
    }

    /// A stream is closed by its client.
    pub fn hang_up(&mut self, id: StreamId) {
        if let Some((from, ..)) = self.streams.remove(&id) {
            self.server.stream_closed(self.now, id, from);
            self.carry_out();
        }
    }

    /// What has come to a host.
    pub fn heard(&mut self, at: SocketAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        self.inboxes
            .get_mut(&at)
            .map(|inbox| inbox.drain(..).collect())
            .unwrap_or_default()
    }

    /// Whole messages that have come to a client.
    pub fn told(&mut self, via: Via) -> Vec<Vec<u8>> {
        match via {
            Via::Udp(from, _) => self.heard(from).into_iter().map(|(_, octets)| octets).collect(),
            Via::Stream(id) => {
                let Some((_, _, down)) = self.streams.get_mut(&id) else {
                    return Vec::new();
                };
                let mut told = Vec::new();
                while down.len() >= 4 {
                    let length = usize::from(u16::from_be_bytes([down[2], down[3]]));
                    let whole = match down[0] >> 6 {
                        0 => 20 + length,
                        _ => 4 + length.next_multiple_of(4),
                    };
                    told.push(down.drain(..whole).collect());
                }
                told
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.server.poll_timeout().map(|(at, _)| at);
            let lands = self.flying.keys().next().map(|(at, _)| *at);
            let next = [due, lands].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if due == Some(next) {
                self.server.on_time(self.clock());
                self.carry_out();
            } else if let Some((_, (from, to, octets))) = self.flying.pop_first() {
                self.land(from, to, &octets);
            }
        }
        self.now = end;
    }

    fn land(&mut self, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        let clock = self.clock();
        self.packet.copy(octets);
        let is_ours = [RELAY_V4, RELAY_V6].iter().any(|ip| to.ip().to_string() == *ip);
        if is_ours && to.port() == PORT {
            let listener = u16::from(to.is_ipv6());
            let client = Client::Datagrams { listener, from };
            let way = self.server.from_client(clock, client, &mut self.packet);
            self.go(way);
        } else if let Some((id, _)) = self.relays.iter().find(|(_, at)| **at == to) {
            let way = self.server.from_peer(clock.now, *id, from, &mut self.packet);
            self.go(way);
        } else if let Some(inbox) = self.inboxes.get_mut(&to) {
            inbox.push_back((from, octets.to_vec()));
        }
        self.carry_out();
    }

    fn cut(&mut self, id: StreamId) {
        while let Some((from, up, _)) = self.streams.get_mut(&id) {
            match frame::next(up) {
                Frame::Whole(length) => {
                    let message: Vec<u8> = up.drain(..length).collect();
                    let client = Client::Stream { id, from: *from };
                    self.packet.copy(&message);
                    let way = self.server.from_client(self.clock(), client, &mut self.packet);
                    self.go(way);
                    self.carry_out();
                }
                Frame::Part => return,
                Frame::Broken => return self.hang_up(id),
            }
        }
    }

    fn go(&mut self, way: Way) {
        let octets = self.packet.octets().to_vec();
        match way {
            Way::Nowhere => {}
            Way::Peer(relay, to) | Way::Media(relay, to) => {
                let from = self.relays[&relay];
                self.send(from, to, &octets);
            }
            Way::Client(client) => self.answer(client, &octets),
        }
    }

    fn answer(&mut self, client: Client, octets: &[u8]) {
        match client {
            Client::Datagrams { listener, from } => {
                let ip: IpAddr = [RELAY_V4, RELAY_V6][usize::from(listener)].parse().expect("an address");
                self.send(SocketAddr::new(ip, PORT), from, octets);
            }
            Client::Stream { id, .. } => {
                if let Some((_, _, down)) = self.streams.get_mut(&id) {
                    assert!(octets.len().is_multiple_of(4), "a stream has whole words");
                    down.extend_from_slice(octets);
                }
            }
        }
    }

    /// Does what the relay asks for.
    pub fn carry_out(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Answer(client, octets) => self.answer(client, &octets),
                Output::Open(id, address) | Output::Listen(id, address) => {
                    self.asked.push(address);
                    let taken = self.relays.values().any(|other| *other == address);
                    assert!(!taken, "{address} is open already");
                    let open = !self.held.contains(&address.port());
                    if open {
                        self.relays.insert(id, address);
                    }
                    self.server.opened(self.clock(), id, open);
                }
                Output::Close(id) => {
                    self.relays.remove(&id).expect("it was open");
                }
                Output::Connect(id, relay, peer) => self.wanted.push((id, self.relays[&relay], peer)),
                Output::Join(id, stream) => self.joined.push((id, stream)),
                Output::Disconnect(id) => self.disconnected.push(id),
                Output::Hang(id) => {
                    self.hung.push(id);
                    self.hang_up(id);
                }
                Output::Fact(fact) => self.facts.push(fact),
            }
        }
    }

    /// A peer has taken a connection that was wanted, or has not.
    pub fn connected(&mut self, id: ConnectionId, open: bool) {
        self.server.connected(self.clock(), id, open);
        self.carry_out();
    }

    /// A peer connects to a relayed address: which connection it is, if it is taken.
    pub fn come(&mut self, from: SocketAddr, relayed: SocketAddr) -> Option<ConnectionId> {
        let (relay, _) = self.relays.iter().find(|(_, at)| **at == relayed).expect("it is open");
        let id = self.server.accepted(self.clock(), *relay, from);
        self.carry_out();
        id
    }

    /// A connection with a peer ends.
    pub fn over(&mut self, id: ConnectionId) {
        self.server.over(id);
        self.carry_out();
    }

    /// Relayed ports that are open.
    pub fn open_ports(&self) -> Vec<SocketAddr> {
        self.relays.values().copied().collect()
    }

    /// A transaction.
    pub fn transaction(&mut self) -> [u8; 12] {
        let mut transaction = [0; 12];
        for part in transaction.chunks_mut(6) {
            part.copy_from_slice(&self.rng.number().to_be_bytes()[..6]);
        }
        transaction
    }

    /// A request of this caller as it goes out: with credentials, if it has a nonce.
    pub fn sealed(&mut self, caller: &Caller, request: Raw) -> Vec<u8> {
        let Some(nonce) = &caller.nonce else {
            return request.write(None, false);
        };
        let realm = caller.realm.clone().unwrap_or_default();
        let mut request = request
            .with(attr::USERNAME, caller.user.as_bytes())
            .with(attr::REALM, realm.as_bytes())
            .with(attr::NONCE, nonce);
        let mut hash = Hash::Sha1;
        if let Some(offered) = caller.offered.as_ref().filter(|_| caller.sha256) {
            hash = Hash::Sha256;
            request = request
                .with(attr::PASSWORD_ALGORITHMS, offered)
                .with(attr::PASSWORD_ALGORITHM, &[0, 2, 0, 0]);
        }
        request.write(Some((hash, &caller.key())), false)
    }

    /// Sends a message until it is answered, as RFC 8489 6.2.1 has it; none where it never is.
    pub fn exchange(&mut self, via: Via, transaction: [u8; 12], octets: &[u8]) -> Option<Raw> {
        let mut wait = Duration::from_millis(500);
        for _ in 0..7 {
            self.say(via, octets);
            let end = self.now + wait;
            while self.now < end {
                self.run(Duration::from_millis(5));
                let told = self.told(via);
                let answers = told.iter().filter_map(|octets| Raw::read(octets));
                if let Some(answer) = answers.into_iter().find(|raw| raw.transaction == transaction) {
                    return Some(answer);
                }
            }
            if let Via::Stream(_) = via {
                return None;
            }
            wait *= 2;
        }
        None
    }

    /// Asks, with credentials where the relay wants them, and gives the last answer. An answer that should be sealed is.
    pub fn ask(&mut self, caller: &mut Caller, kind: u16, attributes: &[(u16, Vec<u8>)]) -> Raw {
        for _ in 0..3 {
            let mut request = Raw::new(kind, self.transaction());
            request.attributes = attributes
                .iter()
                .map(|(kind, value)| (*kind, readdressed(*kind, value, &request.transaction)))
                .collect();
            let transaction = request.transaction;
            let octets = self.sealed(caller, request);
            let answer = self.exchange(caller.via, transaction, &octets);
            let answer = answer.unwrap_or_else(|| panic!("no answer to {kind:#x}"));
            let again = answer.error().filter(|code| [401, 438].contains(code));
            if again.is_none() {
                let seal = answer.seal(&caller.key());
                assert!(
                    seal.is_some() || answer.error() == Some(400),
                    "an answer is sealed: {answer:?}"
                );
                return answer;
            }
            let had_nonce = caller.nonce.is_some();
            caller.realm = Some(String::from_utf8(answer.get(attr::REALM).expect("a realm").to_vec()).expect("UTF-8"));
            caller.nonce = answer.get(attr::NONCE).map(<[u8]>::to_vec);
            caller.offered = answer.get(attr::PASSWORD_ALGORITHMS).map(<[u8]>::to_vec);
            if !caller.patient || (again == Some(401) && had_nonce) {
                return answer;
            }
        }
        panic!("it is asked for a password again and again")
    }

    /// An allocation of IPv4 by UDP.
    pub fn allocate(&mut self, caller: &mut Caller) -> SocketAddr {
        let answer = self.ask(caller, kind::ALLOCATE, &[(attr::TRANSPORT, vec![17, 0, 0, 0])]);
        assert_eq!(answer.kind, kind::ALLOCATE | kind::SUCCESS, "{answer:?}");
        answer.addresses(attr::RELAYED)[0]
    }

    /// Permissions for these.
    pub fn permit(&mut self, caller: &mut Caller, peers: &[SocketAddr]) -> Raw {
        let peers: Vec<(u16, Vec<u8>)> = peers.iter().map(|peer| (attr::PEER, plain(*peer))).collect();
        self.ask(caller, kind::CREATE_PERMISSION, &peers)
    }

    /// A channel.
    pub fn bind(&mut self, caller: &mut Caller, number: u16, peer: SocketAddr) -> Raw {
        let channel = [number.to_be_bytes(), [0, 0]].concat();
        self.ask(
            caller,
            kind::CHANNEL_BIND,
            &[(attr::CHANNEL, channel), (attr::PEER, plain(peer))],
        )
    }

    /// Another lifetime.
    pub fn refresh(&mut self, caller: &mut Caller, seconds: u32) -> Raw {
        self.ask(
            caller,
            kind::REFRESH,
            &[(attr::LIFETIME, seconds.to_be_bytes().to_vec())],
        )
    }

    /// Data to a peer by an indication.
    pub fn indicate(&mut self, caller: &Caller, peer: SocketAddr, data: &[u8]) {
        let message = Raw::new(kind::SEND, self.transaction());
        let message = message.with_address(attr::PEER, peer).with(attr::DATA, data);
        self.say(caller.via, &message.write(None, false));
    }
}

/// An address in a list of attributes, before its transaction is known.
pub fn plain(address: SocketAddr) -> Vec<u8> {
    wire::xored(address, &[0; 12])
}

/// XOR-PEER-ADDRESS as [`plain`] gives it, for this transaction: of IPv6 it differs with each.
fn readdressed(kind: u16, value: &[u8], transaction: &[u8; 12]) -> Vec<u8> {
    match wire::unxored(value, &[0; 12]).filter(|_| kind == attr::PEER && value.len() == 20) {
        Some(address) => wire::xored(address, transaction),
        None => value.to_vec(),
    }
}

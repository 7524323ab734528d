//! STUN and TURN (RFC 8489, RFC 8656): clients behind NATs learn their outside address, and have a relayed one.
//!
//! ```text
//!   client ---- ChannelData, Send ----> [ 5-tuple -> allocation -> channel ] ---- datagram ----> peer
//!   client <--- ChannelData, Data ----- [ channel or permission <- relayed port ] <-- datagram --- peer
//!   client <--- answers ------------->  [ credentials, then what is asked ]
//! ```
//!
//! The machine owns all allocations. A packet goes through it in place, by two or three steps of hash tables and without the allocator; what
//! clients ask for goes into [`Output`]s. Ports are opened by the shell: it answers each [`Output::Open`] by [`Server::opened`] before it
//! gives the machine anything else.
//!
//! | file | does |
//! |---|---|
//! | `packet`, `frame` | a message in its place; messages on a stream |
//! | `path` | packets between clients and peers |
//! | `request`, `allocate`, `bind` | what clients ask for |
//! | `connect` | TCP to peers |
//! | `credentials`, `nonce` | who may ask |
//! | `allocation`, `ports` | what there is of each client |
//! | `peers`, `rates` | to whom, and how much |
//! | `fact` | what is told |
//!
//! Not done: DTLS to clients, ICMP and DONT-FRAGMENT (which gets 420), the fields of IP packets (RFC 8656 14: the
//! system's are taken), USERHASH (which no name that holds for a time could have).

mod allocate;
mod allocation;
mod bind;
mod connect;
mod credentials;
mod fact;
pub mod frame;
mod nonce;
mod packet;
mod path;
mod peers;
mod ports;
mod rates;
mod request;

pub use connect::ConnectionId;
pub use fact::{COUNTERS, Counters, End, Fact, Traffic};
pub use packet::Packet;

use crate::config::Turn;
use crate::keyed::Key;
use crate::limits;
use crate::time::{Clock, Deadlines, Instant};
use allocate::Pending;
use allocation::Allocation;
use connect::Connection;
use credentials::Credentials;
use peers::Peers;
use ports::Ports;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rates::Shares;
use slab::Slab;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// A socket of a relayed address, by a number that is small and is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId(pub u32);

/// A stream connection, by a number that is small and is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// Who is at the other end: what tells one 5-tuple from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// By datagrams to one of our sockets.
    Datagrams {
        /// Which of them.
        listener: u16,
        /// Its address.
        from: SocketAddr,
    },
    /// By a stream.
    Stream {
        /// Which.
        id: StreamId,
        /// Its address.
        from: SocketAddr,
    },
}

impl Client {
    /// Its address.
    pub fn from(self) -> SocketAddr {
        match self {
            Client::Datagrams { from, .. } | Client::Stream { from, .. } => from,
        }
    }

    fn tuple(self) -> Tuple {
        match self {
            Client::Datagrams { listener, from } => {
                let ip = match from.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
                    IpAddr::V6(ip) => ip.to_bits(),
                };
                let rest = u64::from(listener) << 16 | u64::from(from.port());
                Tuple([(ip >> 64) as u64, ip as u64, rest])
            }
            Client::Stream { id, .. } => Tuple([u64::MAX, u64::from(id.0), u64::MAX]),
        }
    }

    fn is_stream(self) -> bool {
        match self {
            Client::Datagrams { .. } => false,
            Client::Stream { .. } => true,
        }
    }
}

/// A client in three words, which a keyed hash takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tuple([u64; 3]);

impl Hash for Tuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|number| state.write_u64(*number));
    }
}

/// Where a packet goes on to, as it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It was meant for us, or is dropped.
    Nowhere,
    /// From this relayed address to a peer.
    Peer(RelayId, SocketAddr),
    /// The same, where the peer is media of this node, to which there may be a shorter way than the network.
    Media(RelayId, SocketAddr),
    /// To a client.
    Client(Client),
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send an answer.
    Answer(Client, Vec<u8>),
    /// Bind a socket for datagrams to this address: for [`Server::opened`].
    Open(RelayId, SocketAddr),
    /// The same for connections (RFC 6062): bind one, and listen.
    Listen(RelayId, SocketAddr),
    /// Close it.
    Close(RelayId),
    /// Connect from this relayed address to a peer: for [`Server::connected`].
    Connect(ConnectionId, RelayId, SocketAddr),
    /// From now on what comes by this stream goes to the peer, and back.
    Join(ConnectionId, StreamId),
    /// Close a connection with a peer.
    Disconnect(ConnectionId),
    /// Close a stream.
    Hang(StreamId),
    /// Tell.
    Fact(Fact),
}

/// What wakes the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// An allocation, by its place, was not refreshed.
    Allocation(u32),
    /// Nobody has come for a reserved port.
    Reservation(u64),
    /// A stream has no allocation.
    Stream(StreamId),
    /// A connection with a peer is not there yet, or nobody has come for it.
    Connection(ConnectionId),
}

/// A socket of a relayed address.
#[derive(Debug)]
struct Relay {
    /// As it is bound.
    port: u16,
    v6: bool,
    /// Whose it is: nobody's while it is opened, or reserved.
    owner: Option<u32>,
}

/// A relayed port that is held for whoever has its token (EVEN-PORT).
#[derive(Debug)]
struct Reserved {
    relay: RelayId,
    /// To whom it is counted.
    account: Box<str>,
}

/// See the module.
#[derive(Debug)]
pub struct Server {
    turn: Turn,
    credentials: Credentials,
    peers: Peers,
    key: Key,
    rng: ChaCha12Rng,
    allocations: Slab<Allocation>,
    by_client: HashMap<Tuple, u32, Key>,
    /// Allocations of each user, and ports that are reserved for him.
    by_user: HashMap<Box<str>, u32, Key>,
    relays: Slab<Relay>,
    /// Of IPv4 and of IPv6.
    ports: [Ports; 2],
    reservations: HashMap<u64, Reserved, foldhash::fast::FixedState>,
    pending: Option<Box<Pending>>,
    connections: HashMap<ConnectionId, Connection, Key>,
    deadlines: Deadlines<Timer>,
    /// To strangers: by datagrams, whose sources may be forged, and by streams.
    answers: [Shares<IpAddr>; 2],
    /// Wrong passwords of those who are where they say they are.
    guesses: Shares<IpAddr>,
    /// Of users, by a hash of their name.
    requests: Shares<u64>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

/// Whole seconds since the start, by which permissions and channels are timed.
fn seconds(now: Instant) -> u32 {
    (now.as_millis() / 1_000) as u32
}

impl Server {
    /// `interfaces` are the addresses of this machine, `seed` is random.
    pub fn new(turn: &Turn, interfaces: &[IpAddr], seed: [u8; 32]) -> Server {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut octets = [0; 16];
        rng.fill_bytes(&mut octets);
        let key = Key::new(octets);
        let ports = || Ports::new(turn.doors.first_port, turn.doors.last_port);
        let answers = || Shares::new(limits::RELAY_ANSWERS_PER_HOST, limits::RELAY_ANSWERS);
        Server {
            turn: turn.clone(),
            credentials: Credentials::new(turn),
            peers: Peers::new(turn, interfaces),
            key,
            rng,
            allocations: Slab::new(),
            by_client: HashMap::with_hasher(key),
            by_user: HashMap::with_hasher(key),
            relays: Slab::new(),
            ports: [ports(), ports()],
            reservations: HashMap::default(),
            pending: None,
            connections: HashMap::with_hasher(key),
            deadlines: Deadlines::default(),
            answers: [answers(), answers()],
            guesses: Shares::new(limits::RELAY_GUESSES_PER_HOST, limits::RELAY_ANSWERS),
            requests: Shares::new(limits::RELAY_REQUESTS_PER_USER, limits::RELAY_REQUESTS),
            counters: Counters::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Another configuration from now on. Allocations stay; peers that are denied by it are reached no more.
    pub fn configure(&mut self, turn: &Turn, interfaces: &[IpAddr]) {
        self.turn = turn.clone();
        self.credentials = Credentials::new(turn);
        let before = std::mem::replace(&mut self.peers, Peers::new(turn, interfaces));
        let peers = &self.peers;
        // What has become ours since has ports that were never asked for.
        let fits = |ip| peers.standing(ip) != peers::Standing::Denied && peers.standing(ip) == before.standing(ip);
        for (_, allocation) in &mut self.allocations {
            allocation.retain(fits);
        }
        self.disconnect_denied();
    }

    /// A stream has come.
    pub fn stream_opened(&mut self, now: Instant, id: StreamId) {
        self.deadlines.set(Timer::Stream(id), now + limits::RELAY_STREAM_IDLE);
    }

    /// A stream has ended.
    pub fn stream_closed(&mut self, now: Instant, id: StreamId, from: SocketAddr) {
        if let Some(at) = self.by_client.get(&Client::Stream { id, from }.tuple()).copied() {
            self.end(now, at, End::Closed);
        }
        self.deadlines.cancel(Timer::Stream(id));
    }

    /// Does what is due.
    pub fn on_time(&mut self, at: Clock) {
        while let Some(timer) = self.deadlines.pop_due(at.now) {
            match timer {
                Timer::Allocation(place) => self.end(at.now, place, End::Expired),
                Timer::Reservation(token) => {
                    if let Some(Reserved { relay, account }) = self.reservations.remove(&token) {
                        self.uncount(&account);
                        self.close(relay);
                    }
                }
                Timer::Stream(id) => self.outputs.push_back(Output::Hang(id)),
                Timer::Connection(id) => self.over(id),
            }
        }
    }

    /// What the shell has to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the machine wants to be woken, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.deadlines.next()
    }

    /// Counters since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Allocations that there are.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// Ends an allocation.
    fn end(&mut self, now: Instant, at: u32, why: End) {
        let Some(allocation) = self.allocations.try_remove(at as usize) else {
            return;
        };
        self.deadlines.cancel(Timer::Allocation(at));
        if allocation.tcp {
            self.disconnect(at, |_all| true);
        }
        self.by_client.remove(&allocation.client.tuple());
        self.uncount(allocation.account());
        for relay in allocation.relays.into_iter().flatten() {
            self.close(relay);
        }
        if let Client::Stream { id, .. } = allocation.client {
            self.stream_opened(now, id);
        }
        self.outputs.push_back(Output::Fact(Fact::Ended {
            lasted: now.since(allocation.began),
            user: allocation.user,
            client: allocation.client,
            why,
            relayed: allocation.traffic,
        }));
    }

    /// One more is this user's.
    fn count(&mut self, account: &str) {
        *self.by_user.entry(account.into()).or_default() += 1;
    }

    /// One less.
    fn uncount(&mut self, account: &str) {
        if let Some(count) = self.by_user.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(account);
            }
        }
    }

    fn close(&mut self, relay: RelayId) {
        if let Some(Relay { port, v6, .. }) = self.relays.try_remove(relay.0 as usize) {
            self.ports[usize::from(v6)].free(port);
            self.outputs.push_back(Output::Close(relay));
        }
    }
}

//! Clients with an allocation each, and their one peer: they send a packet in each direction every 20 ms, and judge what comes.

use crate::media::generator::{OVER, PORT, Record, WINDOW, Work, control, open, pace, take};
use crate::peer::Hosts;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tandem::stun::integrity::{Algorithm, Key, Seal};
use tandem::stun::message::{BINDING, Class, Message, Writer, kind, method};

/// The one user.
pub const USER: &str = "bench";
pub const PASSWORD: &str = "secret";
pub const REALM: &str = "example.com";

/// Where both programs listen.
const TURN: u16 = 3478;
/// Octets of a packet: a G.711 packet with its RTP header.
const PACKET: usize = 172;
/// The channel of each client.
const CHANNEL: u16 = 0x4000;
/// Before a packet of a client by its channel, and by an indication.
const CHANNEL_HEAD: usize = 4;
const SEND_HEAD: usize = 36;
/// Between two allocations: no more than a host without credentials is answered.
const APART: Duration = Duration::from_millis(13);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(500);
/// The token of the peer's socket; clients have their numbers.
const PEER: u64 = u64::MAX;
/// From the start of a run until the delay counts: first packets meet cold caches.
const COLD: Duration = Duration::from_millis(500);

struct Client {
    socket: UdpSocket,
    relayed: SocketAddr,
}

/// All of them.
pub struct Clients {
    server: SocketAddrV4,
    peer: UdpSocket,
    at: SocketAddrV4,
    from: Ipv4Addr,
    channels: bool,
    clients: Vec<Client>,
    epoll: OwnedFd,
    buffer: [u8; 2_048],
    control: Vec<u8>,
}

/// Whether a STUN request is answered.
pub fn is_up(hosts: Hosts) -> bool {
    let Ok(socket) = UdpSocket::bind((hosts.uac, 0)) else {
        return false;
    };
    let request = Writer::new(Class::Request, BINDING, [1; 12]).finish();
    let wait = socket.set_read_timeout(Some(Duration::from_millis(100)));
    let sent = socket.send_to(&request, (hosts.peer, TURN));
    let is_up = wait.is_ok() && sent.is_ok() && socket.recv(&mut [0; 512]).is_ok();
    if !is_up {
        std::thread::sleep(Duration::from_millis(50));
    }
    is_up
}

impl Clients {
    pub fn new(hosts: Hosts, channels: bool) -> Result<Clients, String> {
        let [peer, _] = open(hosts.uas).map_err(|error| format!("a socket of the bench: {error}"))?;
        let clients = Clients {
            server: SocketAddrV4::new(hosts.peer, TURN),
            peer,
            at: SocketAddrV4::new(hosts.uas, PORT),
            from: hosts.uac,
            channels,
            clients: Vec::new(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?,
            buffer: [0; 2_048],
            control: control(),
        };
        clients.watch(&clients.peer, PEER)?;
        Ok(clients)
    }

    fn watch(&self, socket: &UdpSocket, token: u64) -> Result<(), String> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN).map_err(|error| error.to_string())
    }

    /// So many more get an allocation, and a channel or a permission.
    pub fn add(&mut self, count: usize) -> Result<(), String> {
        for _ in 0..count {
            std::thread::sleep(APART);
            let socket = UdpSocket::bind((self.from, 0)).map_err(|error| error.to_string())?;
            setsockopt(socket.as_raw_fd(), ReceiveTimestampns, &true).map_err(|error| error.to_string())?;
            let relayed = self.allocate(&socket)?;
            self.watch(&socket, self.clients.len() as u64)?;
            self.clients.push(Client { socket, relayed });
        }
        Ok(())
    }

    fn allocate(&self, socket: &UdpSocket) -> Result<SocketAddr, String> {
        socket
            .set_read_timeout(Some(ANSWER))
            .map_err(|error| error.to_string())?;
        let transport = (kind::REQUESTED_TRANSPORT, vec![17, 0, 0, 0]);
        let challenge = self.ask(socket, method::ALLOCATE, std::slice::from_ref(&transport), None)?;
        let nonce = read(&challenge)?.get(kind::NONCE).map(<[u8]>::to_vec);
        let nonce = nonce.ok_or("a challenge without a nonce")?;
        let answer = self.ask(socket, method::ALLOCATE, &[transport], Some(&nonce))?;
        let answer = read(&answer)?;
        let relayed = answer.get(kind::XOR_RELAYED_ADDRESS);
        let relayed = relayed.and_then(|value| answer.unxored(value));
        let relayed = relayed.ok_or_else(|| format!("no allocation: {:?}", answer.get(kind::ERROR_CODE)))?;
        let (what, mut attributes) = match self.channels {
            true => {
                let number = [CHANNEL.to_be_bytes(), [0, 0]].concat();
                (method::CHANNEL_BIND, vec![(kind::CHANNEL_NUMBER, number)])
            }
            false => (method::CREATE_PERMISSION, Vec::new()),
        };
        attributes.push((kind::XOR_PEER_ADDRESS, xored(self.at)));
        let bound = self.ask(socket, what, &attributes, Some(&nonce))?;
        match read(&bound)?.class {
            Class::Success => Ok(relayed),
            Class::Error | Class::Request | Class::Indication => Err("no channel or permission".to_owned()),
        }
    }

    fn ask(
        &self,
        socket: &UdpSocket,
        method: u16,
        attributes: &[(u16, Vec<u8>)],
        nonce: Option<&[u8]>,
    ) -> Result<Vec<u8>, String> {
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&since_1970().to_be_bytes());
        let mut writer = Writer::new(Class::Request, method, transaction);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        if let Some(nonce) = nonce {
            writer.attribute(kind::USERNAME, USER.as_bytes());
            writer.attribute(kind::REALM, REALM.as_bytes());
            writer.attribute(kind::NONCE, nonce);
            writer.seal(Seal::Sha1, &Key::long_term(Algorithm::Md5, USER, REALM, PASSWORD));
        }
        let request = writer.finish();
        let mut answer = vec![0; 1_500];
        for _ in 0..6 {
            socket
                .send_to(&request, self.server)
                .map_err(|error| error.to_string())?;
            if let Ok(length) = socket.recv(&mut answer) {
                answer.truncate(length);
                return Ok(answer);
            }
        }
        Err("no answer".to_owned())
    }

    /// All at work until the phase is `OVER`.
    pub fn run(&mut self, phase: &AtomicU8) -> Record {
        let packets = self.clients.len() as u64 * 2;
        let mut run = Run {
            clients: self,
            record: Record::default(),
        };
        let behind = pace(&mut run, packets, phase);
        let mut record = run.record;
        record.behind = behind;
        record
    }
}

struct Run<'c> {
    clients: &'c mut Clients,
    record: Record,
}

impl Work for Run<'_> {
    fn send(&mut self, number: u64, phase: u8) {
        let all = &*self.clients;
        let which = (number / 2) as usize % all.clients.len();
        let client = &all.clients[which];
        let mut packet = [0; SEND_HEAD + PACKET];
        let sent = if number.is_multiple_of(2) {
            let head = head(all.channels);
            write_head(&mut packet[..head], all.at);
            write(&mut packet[head..head + PACKET], which);
            client.socket.send_to(&packet[..head + PACKET], all.server)
        } else {
            write(&mut packet[..PACKET], which);
            all.peer.send_to(&packet[..PACKET], client.relayed)
        };
        if sent.is_ok() {
            self.record.sent[0] += 1;
            self.record.sent[1] += u64::from(phase == WINDOW);
        }
    }

    fn receive(&mut self, phase: u8, begin: Instant) {
        let mut events = Vec::with_capacity(64);
        let room = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.clients.epoll, room, Some(&Timespec::default())).is_err() {
            return;
        }
        for event in &events {
            let Clients {
                peer,
                clients,
                buffer,
                control,
                channels,
                ..
            } = &mut *self.clients;
            let token = event.data.u64();
            let socket = match token {
                PEER => &*peer,
                client => &clients[client as usize].socket,
            };
            while let Some(came) = take(socket, buffer, control) {
                let octets = buffer.get(..came.length).unwrap_or_default();
                let packet = match token {
                    PEER => octets,
                    _client => carried(octets, *channels),
                };
                let read = read_packet(packet).filter(|(which, _)| token == PEER || token == *which);
                let Some((_, left)) = read else {
                    self.record.wrong += 1;
                    continue;
                };
                self.record.received[0] += 1;
                self.record.received[1] += u64::from(phase == WINDOW);
                if phase != OVER && begin.elapsed() > COLD {
                    let delay = came.at.saturating_sub(Duration::from_nanos(left));
                    self.record.delay[usize::from(phase)].note(delay);
                }
            }
        }
    }
}

fn head(channels: bool) -> usize {
    if channels { CHANNEL_HEAD } else { SEND_HEAD }
}

/// What a message to a client carries. In a Data indication it may lie before the peer's address or behind it.
fn carried(octets: &[u8], channels: bool) -> &[u8] {
    let data = match channels {
        true => octets.get(CHANNEL_HEAD..),
        false => Message::parse(octets).and_then(|message| message.get(kind::DATA)),
    };
    data.unwrap_or_default()
}

/// Of a ChannelData message, or of a Send indication to the peer.
fn write_head(head: &mut [u8], peer: SocketAddrV4) {
    if head.len() == CHANNEL_HEAD {
        head[..2].copy_from_slice(&CHANNEL.to_be_bytes());
        head[2..].copy_from_slice(&(PACKET as u16).to_be_bytes());
        return;
    }
    let mut writer = Writer::new(Class::Indication, method::SEND, [9; 12]);
    writer.xor_address(kind::XOR_PEER_ADDRESS, peer.into());
    writer.attribute(kind::DATA, &[0; PACKET]);
    head.copy_from_slice(&writer.finish()[..SEND_HEAD]);
}

/// Whose it is, and when it left.
fn write(packet: &mut [u8], client: usize) {
    packet[0] = 0x80;
    packet[4..12].copy_from_slice(&(client as u64).to_be_bytes());
    packet[12..20].copy_from_slice(&since_1970().to_be_bytes());
}

fn read_packet(packet: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| Some(u64::from_be_bytes(packet.get(at..at + 8)?.try_into().ok()?));
    let is_whole = packet.len() == PACKET && packet[0] == 0x80;
    number(4).zip(number(12)).filter(|_| is_whole)
}

fn read(octets: &[u8]) -> Result<Message<'_>, String> {
    Message::parse(octets).ok_or_else(|| "an answer that is no STUN".to_owned())
}

/// XOR-PEER-ADDRESS of IPv4.
fn xored(peer: SocketAddrV4) -> Vec<u8> {
    let mut writer = Writer::new(Class::Request, BINDING, [0; 12]);
    writer.xor_address(kind::XOR_PEER_ADDRESS, peer.into());
    writer.finish()[24..].to_vec()
}

fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_nanos() as u64
}

//! The thread that relays: its sockets, and the machine that says where each packet goes.
//!
//! ```text
//!   commands --> timers that are due --> sleep --> sockets that have something, a bounded turn each --> again
//! ```

use super::accept::Came;
use super::pipe::Peer;
use super::stream::{Sent, Stream};
use crate::config::Turn;
use crate::limits;
use crate::relay::frame::{self, Frame};
use crate::relay::{COUNTERS, Client, ConnectionId, Fact, Output, Packet, RelayId, Server, StreamId, Way};
use crate::shell::bell::Bell;
use crate::shell::clock::SystemClock;
use crate::shell::within::RelayEnd;
use crate::time::{Clock, Deadlines};
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use slab::Slab;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Sockets looked at in one turn.
const READY: usize = 256;
/// The longest sleep.
const SLEEP: Duration = Duration::from_secs(60);
/// What is read of a stream at once.
const ROOM: usize = 16 * 1024;
/// Reads of one stream before others have their turn.
const READS: usize = 4;

/// What a token of epoll stands for; below it is which.
pub(super) const KIND: u64 = 1 << 32;
const BELL: u64 = 0;
const LISTENER: u64 = 1;
const RELAY: u64 = 2;
pub(super) const STREAM: u64 = 3;
/// A connection with a peer.
pub(super) const PEER: u64 = 4;
/// A relayed address for connections.
pub(super) const DOOR: u64 = 5;

/// To the thread.
pub(super) enum Command {
    /// A client has come by a stream.
    Stream(Box<Came>),
    /// Another configuration, and the addresses of this machine.
    Configure(Box<Turn>, Vec<IpAddr>),
}

/// What the thread tells those who only look.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) counters: [AtomicU64; COUNTERS],
    /// Allocations that there are.
    pub(super) allocations: AtomicU64,
    /// Packets that the system would not send.
    pub(super) unsent: AtomicU64,
    /// Times that a peer's connection had to wait, since there were no descriptors.
    pub(super) no_files: AtomicU64,
    /// Packets dropped since their client reads too slowly.
    pub(super) slow: AtomicU64,
    /// The end: said here, whatever waits among the commands. The bell that follows shows it to the thread.
    pub(super) stop: AtomicBool,
}

/// The socket of a relayed address, with where it is bound.
pub(super) enum Relayed {
    /// For datagrams.
    Datagrams(UdpSocket, SocketAddr),
    /// For connections (RFC 6062).
    Connections(TcpListener, SocketAddr),
}

impl Relayed {
    fn datagrams(&self) -> Option<(&UdpSocket, SocketAddr)> {
        match self {
            Relayed::Datagrams(socket, own) => Some((socket, *own)),
            Relayed::Connections(..) => None,
        }
    }
}

/// What of a stream is left when its messages are handled.
enum Rest {
    /// Less than a message.
    Part,
    /// Messages for the next turn.
    More,
    /// Nothing: it is joined to a connection with a peer, which has got what was left.
    Joined,
    /// What is none.
    Broken,
}

/// All of it.
pub(super) struct Thread {
    pub(super) clock: SystemClock,
    pub(super) server: Server,
    pub(super) bell: Arc<Bell>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) facts: mpsc::Sender<Fact>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) epoll: OwnedFd,
    listeners: Vec<UdpSocket>,
    /// By `RelayId`.
    pub(super) relays: Vec<Option<Relayed>>,
    /// Connections with peers.
    pub(super) peers: HashMap<ConnectionId, Peer>,
    /// Until when one of them, or its client, is not read.
    pub(super) rests: Deadlines<(ConnectionId, bool)>,
    /// Until when relayed addresses for connections are not listened to.
    pub(super) shut: Deadlines<RelayId>,
    /// To media of this node.
    within: Option<RelayEnd>,
    pub(super) streams: Slab<Stream>,
    /// To be closed at the end of the turn.
    broken: Vec<StreamId>,
    /// Of whom more may have come than was read in a turn: of what is deciphered already the socket says nothing.
    pub(super) unread: Vec<StreamId>,
    packet: Packet,
    pub(super) room: Box<[u8]>,
    /// So far, this one among them.
    turns: u64,
}

impl Thread {
    pub(super) fn new(
        (clock, server, bell): (SystemClock, Server, Arc<Bell>),
        listeners: Vec<UdpSocket>,
        commands: mpsc::Receiver<Command>,
        (facts, within): (mpsc::Sender<Fact>, Option<RelayEnd>),
        gauges: Arc<Gauges>,
    ) -> io::Result<Thread> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &*bell, BELL * KIND)?;
        for (number, listener) in (0..).zip(&listeners) {
            watch(&epoll, listener, LISTENER * KIND + number)?;
        }
        Ok(Thread {
            clock,
            server,
            bell,
            commands,
            facts,
            gauges,
            epoll,
            listeners,
            relays: Vec::new(),
            peers: HashMap::new(),
            rests: Deadlines::default(),
            shut: Deadlines::default(),
            within,
            streams: Slab::new(),
            broken: Vec::new(),
            unread: Vec::new(),
            packet: Packet::default(),
            room: vec![0; ROOM].into_boxed_slice(),
            turns: 0,
        })
    }

    /// Until it is stopped.
    pub(super) fn run(mut self) {
        let mut ready = Vec::with_capacity(READY);
        while self.turn(&mut ready) {}
    }

    /// Waits, and gives everybody who has something his share; false at the end.
    pub(super) fn turn(&mut self, ready: &mut Vec<epoll::Event>) -> bool {
        if self.bell.has_rung() && !self.take_commands() {
            return false;
        }
        let now = self.clock.now();
        if self.server.poll_timeout().is_some_and(|(at, _)| at <= now.now) {
            self.server.on_time(now);
            self.carry_out(now);
        }
        while let Some((id, to_peer)) = self.rests.pop_due(now.now) {
            self.rested(id, to_peer);
        }
        while let Some(relay) = self.shut.pop_due(now.now) {
            self.reopen(relay);
        }
        self.close_broken(now);
        self.show();
        if let Some(within) = &mut self.within {
            within.flush();
        }
        self.wait(ready);
        // Who had a turn before the wait, as one who has just come, has another behind it.
        self.turns += 1;
        let now = self.clock.now();
        self.read_media(now);
        for id in std::mem::take(&mut self.unread) {
            self.read_stream(now, id, epoll::EventFlags::IN);
        }
        for event in ready {
            let token = event.data.u64();
            let which = token as u32;
            let now = self.clock.now();
            match token / KIND {
                LISTENER => self.read_listener(now, which as u16),
                RELAY => self.read_relay(now, RelayId(which)),
                STREAM => self.read_stream(now, StreamId(which), event.flags),
                PEER => self.peer_ready(now, ConnectionId(which), event.flags),
                DOOR => self.accept(now, RelayId(which)),
                _bell => self.bell.silence(),
            }
        }
        true
    }

    /// Sleeps until something happens or is due.
    fn wait(&self, ready: &mut Vec<epoll::Event>) {
        ready.clear();
        let rests = self.rests.next().map(|(at, _)| at);
        let shut = self.shut.next().map(|(at, _)| at);
        let due = self
            .server
            .poll_timeout()
            .map(|(at, _)| at)
            .into_iter()
            .chain(rests)
            .chain(shut)
            .min();
        let has_more = !self.unread.is_empty() || self.within.as_ref().is_some_and(RelayEnd::has_more);
        let sleep = match !has_more && self.bell.may_sleep() {
            true => due.map_or(SLEEP, |at| at.since(self.clock.instant()).min(SLEEP)),
            false => Duration::ZERO,
        };
        let timeout = Timespec::try_from(sleep).ok();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll on our own descriptors: {error}"),
        }
    }

    /// False at the end.
    fn take_commands(&mut self) -> bool {
        if self.gauges.stop.load(Ordering::Acquire) {
            return false;
        }
        let waker = self.bell.waker();
        let mut context = Context::from_waker(&waker);
        loop {
            match self.commands.poll_recv(&mut context) {
                Poll::Pending => return true,
                Poll::Ready(None) => return false,
                Poll::Ready(Some(Command::Configure(turn, interfaces))) => {
                    self.server.configure(&turn, &interfaces);
                    self.carry_out(self.clock.now());
                }
                Poll::Ready(Some(Command::Stream(came))) => self.begin(*came),
            }
        }
    }

    fn begin(&mut self, came: Came) {
        let now = self.clock.now();
        let stream = Stream::new(came.socket, came.session, came.from, came.place);
        let id = StreamId(self.streams.insert(stream) as u32);
        let socket = &self.streams[id.0 as usize].socket;
        if watch(&self.epoll, socket, STREAM * KIND + u64::from(id.0)).is_err() {
            self.streams.remove(id.0 as usize);
            return;
        }
        self.server.stream_opened(now.now, id);
        // What came together with the end of the handshake is not in the socket any more.
        self.read_stream(now, id, epoll::EventFlags::IN);
    }

    fn read_listener(&mut self, now: Clock, listener: u16) {
        for _ in 0..limits::RELAY_TURN {
            let socket = &self.listeners[usize::from(listener)];
            // None is there any more; or an error of what was sent before, which says nothing of what comes next.
            let Ok((length, from)) = socket.recv_from(self.packet.room()) else {
                return;
            };
            self.packet.came(length);
            let client = Client::Datagrams { listener, from };
            let way = self.server.from_client(now, client, &mut self.packet);
            self.go(way);
            self.carry_out(now);
        }
    }

    /// Takes one datagram: what else is there makes the socket ready in the next turn again, and mostly there is none, for which to ask would
    /// cost each a system call.
    fn read_relay(&mut self, now: Clock, relay: RelayId) {
        let relayed = self.relays.get(relay.0 as usize).and_then(Option::as_ref);
        let Some((socket, _)) = relayed.and_then(Relayed::datagrams) else {
            return;
        };
        if let Ok((length, from)) = socket.recv_from(self.packet.room()) {
            self.packet.came(length);
            let way = self.server.from_peer(now.now, relay, from, &mut self.packet);
            self.go(way);
        }
    }

    /// Takes what media of this node has for relayed addresses, a share of each worker's.
    fn read_media(&mut self, now: Clock) {
        let Some(mut within) = self.within.take() else { return };
        for worker in 0..within.workers() {
            for _ in 0..limits::RELAY_TURN {
                let packet = &mut self.packet;
                let Some((to, from)) = within.take(worker, |octets| packet.copy(octets)) else {
                    break;
                };
                // It may have been closed meanwhile.
                if let Some(relay) = within.relay(to) {
                    let way = self.server.from_peer(now.now, relay, from, &mut self.packet);
                    self.go(way);
                }
            }
        }
        self.within = Some(within);
    }

    fn read_stream(&mut self, now: Clock, id: StreamId, flags: epoll::EventFlags) {
        if flags.contains(epoll::EventFlags::OUT) {
            self.flush(id);
        }
        let turns = self.turns;
        let stream = self.streams.get_mut(id.0 as usize);
        if stream.is_none_or(|stream| std::mem::replace(&mut stream.turn, turns) == turns) {
            // It is gone, or has had its turn.
            return;
        }
        if let Some(connection) = self.joined(id) {
            self.flow_up(now, id, connection, flags);
            return self.carry_out(now);
        }
        let mut left = limits::RELAY_TURN;
        for _ in 0..READS {
            // What is left of the turn before is handled before more is read.
            match self.messages(now, id, &mut left) {
                Rest::Part => {}
                Rest::More | Rest::Joined => return self.unread.push(id),
                Rest::Broken => return self.broken.push(id),
            }
            let Some(stream) = self.streams.get_mut(id.0 as usize) else {
                return;
            };
            match stream.read(&mut self.room) {
                Ok(0) => return self.broken.push(id),
                Ok(length) => stream.inbox.extend_from_slice(&self.room[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.broken.push(id),
            }
        }
        self.unread.push(id);
    }

    /// Handles the messages that have come whole, so many at most.
    fn messages(&mut self, now: Clock, id: StreamId, left: &mut usize) -> Rest {
        let Some(stream) = self.streams.get_mut(id.0 as usize) else {
            return Rest::Part;
        };
        let from = stream.from;
        let mut inbox = std::mem::take(&mut stream.inbox);
        let mut taken = 0;
        let rest = loop {
            match frame::next(&inbox[taken..]) {
                Frame::Whole(_) if *left == 0 => break Rest::More,
                Frame::Whole(length) => {
                    *left -= 1;
                    self.packet.copy(&inbox[taken..taken + length]);
                    taken += length;
                    let way = self
                        .server
                        .from_client(now, Client::Stream { id, from }, &mut self.packet);
                    self.go(way);
                    self.carry_out(now);
                    if let Some(connection) = self.joined(id) {
                        self.send_up(now, connection, &inbox[taken..]);
                        self.interest(connection);
                        taken = inbox.len();
                        break Rest::Joined;
                    }
                }
                Frame::Part => break Rest::Part,
                Frame::Broken => break Rest::Broken,
            }
        };
        inbox.drain(..taken);
        if let Some(stream) = self.streams.get_mut(id.0 as usize) {
            stream.inbox = inbox;
        }
        rest
    }

    /// The connection with a peer to which a stream is joined.
    fn joined(&self, id: StreamId) -> Option<ConnectionId> {
        self.streams.get(id.0 as usize)?.joined
    }

    /// Sends the packet on.
    fn go(&mut self, way: Way) {
        match way {
            Way::Nowhere => {}
            Way::Media(relay, peer) => {
                let own = self.datagrams(relay).map(|(_, own)| own);
                let within = self.within.as_mut().zip(own);
                if !within.is_some_and(|(within, own)| within.put(own, peer, self.packet.octets())) {
                    self.go(Way::Peer(relay, peer));
                }
            }
            Way::Peer(relay, peer) => {
                let relayed = self.datagrams(relay);
                let sent = relayed.map(|(socket, _)| socket.send_to(self.packet.octets(), peer));
                self.note(sent.is_some_and(|sent| sent.is_ok()));
            }
            Way::Client(Client::Datagrams { listener, from }) => {
                let sent = self.listeners[usize::from(listener)].send_to(self.packet.octets(), from);
                self.note(sent.is_ok());
            }
            Way::Client(Client::Stream { id, .. }) => {
                if let Some(stream) = self.streams.get_mut(id.0 as usize) {
                    let sent = stream.send(self.packet.octets());
                    self.sent(id, sent);
                }
            }
        }
    }

    /// What the system will not take now is late already: it counts as lost on the way.
    fn note(&self, sent: bool) {
        if !sent {
            self.gauges.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sent(&mut self, id: StreamId, sent: Sent) {
        match sent {
            Sent::Whole => {}
            Sent::Waits => match self.joined(id) {
                Some(connection) => self.interest(connection),
                None => self.listen_for(id, epoll::EventFlags::IN | epoll::EventFlags::OUT),
            },
            Sent::Dropped => {
                self.gauges.slow.fetch_add(1, Ordering::Relaxed);
            }
            Sent::Broken => self.broken.push(id),
        }
    }

    fn flush(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0 as usize) else {
            return;
        };
        match stream.flush() {
            Ok(true) => match stream.joined {
                Some(connection) => self.interest(connection),
                None => self.listen_for(id, epoll::EventFlags::IN),
            },
            Ok(false) => {}
            Err(_) => self.broken.push(id),
        }
    }

    fn listen_for(&mut self, id: StreamId, flags: epoll::EventFlags) {
        let Some(stream) = self.streams.get(id.0 as usize) else {
            return;
        };
        let data = epoll::EventData::new_u64(STREAM * KIND + u64::from(id.0));
        if epoll::modify(&self.epoll, &stream.socket, data, flags).is_err() {
            self.broken.push(id);
        }
    }

    /// Does what the machine asks for.
    pub(super) fn carry_out(&mut self, now: Clock) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Answer(client, answer) => self.answer(client, &answer),
                Output::Open(relay, address) => {
                    let open = self.open(relay, address);
                    self.server.opened(now, relay, open);
                }
                // With the socket goes its entry in epoll.
                Output::Close(relay) => {
                    self.shut.cancel(relay);
                    let closed = self.relays.get_mut(relay.0 as usize).and_then(Option::take);
                    let own = closed.as_ref().and_then(Relayed::datagrams).map(|(_, own)| own);
                    if let Some((within, own)) = self.within.as_ref().zip(own) {
                        within.open(own, None);
                    }
                }
                Output::Listen(relay, address) => {
                    let open = self.listen(relay, address);
                    self.server.opened(now, relay, open);
                }
                Output::Connect(id, relay, peer) => self.connect(now, id, relay, peer),
                Output::Join(id, stream) => self.join(id, stream),
                Output::Disconnect(id) => self.disconnect(id),
                Output::Hang(id) => self.broken.push(id),
                Output::Fact(fact) => {
                    // A log that is behind loses lines; the counters have them all.
                    let _ = self.facts.try_send(fact);
                }
            }
        }
    }

    fn answer(&mut self, client: Client, answer: &[u8]) {
        match client {
            Client::Datagrams { listener, from } => {
                let sent = self.listeners[usize::from(listener)].send_to(answer, from);
                self.note(sent.is_ok());
            }
            Client::Stream { id, .. } => {
                if let Some(stream) = self.streams.get_mut(id.0 as usize) {
                    // Who asks and does not read is not kept. An indication (RFC 8489 5) nobody has asked for.
                    let is_asked_for = answer
                        .get(..2)
                        .is_none_or(|head| head[0] & 1 != 0 || head[1] & 0x10 == 0);
                    let sent = match stream.send(answer) {
                        Sent::Dropped if is_asked_for => Sent::Broken,
                        Sent::Dropped => Sent::Dropped,
                        sent @ (Sent::Whole | Sent::Waits | Sent::Broken) => sent,
                    };
                    self.sent(id, sent);
                }
            }
        }
    }

    fn open(&mut self, relay: RelayId, address: SocketAddr) -> bool {
        let bind = || {
            let socket = UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            watch(&self.epoll, &socket, RELAY * KIND + u64::from(relay.0))?;
            io::Result::Ok(socket)
        };
        let Ok(socket) = bind() else { return false };
        self.keep(relay, Relayed::Datagrams(socket, address));
        if let Some(within) = &self.within {
            within.open(address, Some(relay));
        }
        true
    }

    pub(super) fn keep(&mut self, relay: RelayId, relayed: Relayed) {
        let at = relay.0 as usize;
        if self.relays.len() <= at {
            self.relays.resize_with(at + 1, || None);
        }
        self.relays[at] = Some(relayed);
    }

    /// The socket of a relayed address for datagrams.
    fn datagrams(&self, relay: RelayId) -> Option<(&UdpSocket, SocketAddr)> {
        let relayed = self.relays.get(relay.0 as usize).and_then(Option::as_ref);
        relayed.and_then(Relayed::datagrams)
    }

    fn close_broken(&mut self, now: Clock) {
        while let Some(id) = self.broken.pop() {
            if let Some(stream) = self.streams.try_remove(id.0 as usize) {
                match stream.joined {
                    Some(connection) => self.server.over(connection),
                    None => self.server.stream_closed(now.now, id, stream.from),
                }
            }
            self.carry_out(now);
        }
    }

    fn show(&self) {
        let counters = self.server.counters().words();
        for (gauge, (count, _)) in self.gauges.counters.iter().zip(counters) {
            gauge.store(count, Ordering::Relaxed);
        }
        self.gauges
            .allocations
            .store(self.server.allocations() as u64, Ordering::Relaxed);
    }
}

pub(super) fn watch(epoll: &OwnedFd, socket: impl AsFd, token: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(token);
    Ok(epoll::add(epoll, socket, data, epoll::EventFlags::IN)?)
}

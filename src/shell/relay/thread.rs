//! The thread that relays: its sockets, and the machine that says where each packet goes.
//!
//! ```text
//!   commands --> timers that are due --> sleep --> sockets that have something, a bounded turn each --> again
//! ```

use super::accept::Came;
use super::stream::{Sent, Stream};
use crate::config::Turn;
use crate::limits;
use crate::relay::frame::{self, Frame};
use crate::relay::{COUNTERS, Client, Fact, Output, Packet, RelayId, Server, StreamId, Way};
use crate::shell::bell::Bell;
use crate::shell::clock::SystemClock;
use crate::time::Clock;
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use slab::Slab;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
const KIND: u64 = 1 << 32;
const BELL: u64 = 0;
const LISTENER: u64 = 1;
const RELAY: u64 = 2;
const STREAM: u64 = 3;

/// To the thread.
pub(super) enum Command {
    /// A client has come by a stream.
    Stream(Box<Came>),
    /// Another configuration, and the addresses of this machine.
    Configure(Box<Turn>, Vec<IpAddr>),
    /// The end.
    Stop,
}

/// What the thread tells those who only look.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) counters: [AtomicU64; COUNTERS],
    /// Allocations that there are.
    pub(super) allocations: AtomicU64,
    /// Packets that the system would not send.
    pub(super) unsent: AtomicU64,
    /// Packets dropped since their client reads too slowly.
    pub(super) slow: AtomicU64,
}

/// All of it.
pub(super) struct Thread {
    pub(super) clock: SystemClock,
    pub(super) server: Server,
    pub(super) bell: Arc<Bell>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) facts: mpsc::Sender<Fact>,
    pub(super) gauges: Arc<Gauges>,
    epoll: OwnedFd,
    listeners: Vec<UdpSocket>,
    /// By `RelayId`.
    relays: Vec<Option<UdpSocket>>,
    streams: Slab<Stream>,
    /// To be closed at the end of the turn.
    broken: Vec<StreamId>,
    /// Of whom more may have come than was read in a turn: of what is deciphered already the socket says nothing.
    unread: Vec<StreamId>,
    packet: Packet,
    room: Box<[u8]>,
}

impl Thread {
    pub(super) fn new(
        (clock, server, bell): (SystemClock, Server, Arc<Bell>),
        listeners: Vec<UdpSocket>,
        commands: mpsc::Receiver<Command>,
        facts: mpsc::Sender<Fact>,
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
            streams: Slab::new(),
            broken: Vec::new(),
            unread: Vec::new(),
            packet: Packet::default(),
            room: vec![0; ROOM].into_boxed_slice(),
        })
    }

    /// Until it is stopped.
    pub(super) fn run(mut self) {
        let mut ready = Vec::with_capacity(READY);
        loop {
            if self.bell.has_rung() && !self.take_commands() {
                return;
            }
            let now = self.clock.now();
            if self.server.poll_timeout().is_some_and(|(at, _)| at <= now.now) {
                self.server.on_time(now);
                self.carry_out(now);
            }
            self.close_broken(now);
            self.show();
            self.wait(&mut ready);
            let now = self.clock.now();
            for id in std::mem::take(&mut self.unread) {
                self.read_stream(now, id, epoll::EventFlags::IN);
            }
            for event in &ready {
                let token = event.data.u64();
                let which = token as u32;
                let now = self.clock.now();
                match token / KIND {
                    LISTENER => self.read_listener(now, which as u16),
                    RELAY => self.read_relay(now, RelayId(which)),
                    STREAM => self.read_stream(now, StreamId(which), event.flags),
                    _bell => self.bell.silence(),
                }
            }
        }
    }

    /// Sleeps until something happens or is due.
    fn wait(&self, ready: &mut Vec<epoll::Event>) {
        ready.clear();
        let due = self.server.poll_timeout().map(|(at, _)| at);
        let sleep = match self.unread.is_empty() && self.bell.may_sleep() {
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
        let waker = self.bell.waker();
        let mut context = Context::from_waker(&waker);
        loop {
            match self.commands.poll_recv(&mut context) {
                Poll::Pending => return true,
                Poll::Ready(None | Some(Command::Stop)) => return false,
                Poll::Ready(Some(Command::Configure(turn, interfaces))) => self.server.configure(&turn, &interfaces),
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
        let Some(socket) = self.relays.get(relay.0 as usize).and_then(Option::as_ref) else {
            return;
        };
        if let Ok((length, from)) = socket.recv_from(self.packet.room()) {
            self.packet.came(length);
            let way = self.server.from_peer(now.now, relay, from, &mut self.packet);
            self.go(way);
        }
    }

    fn read_stream(&mut self, now: Clock, id: StreamId, flags: epoll::EventFlags) {
        if flags.contains(epoll::EventFlags::OUT) {
            self.flush(id);
        }
        for _ in 0..READS {
            let Some(stream) = self.streams.get_mut(id.0 as usize) else {
                return;
            };
            match stream.read(&mut self.room) {
                Ok(0) => return self.broken.push(id),
                Ok(length) => {
                    stream.inbox.extend_from_slice(&self.room[..length]);
                    if !self.messages(now, id) {
                        return self.broken.push(id);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.broken.push(id),
            }
        }
        self.unread.push(id);
    }

    /// Handles the messages that have come whole; false where there is something that is none.
    fn messages(&mut self, now: Clock, id: StreamId) -> bool {
        let Some(stream) = self.streams.get_mut(id.0 as usize) else {
            return true;
        };
        let from = stream.from;
        let mut inbox = std::mem::take(&mut stream.inbox);
        let mut taken = 0;
        let whole = loop {
            match frame::next(&inbox[taken..]) {
                Frame::Whole(length) => {
                    self.packet.copy(&inbox[taken..taken + length]);
                    taken += length;
                    let way = self
                        .server
                        .from_client(now, Client::Stream { id, from }, &mut self.packet);
                    self.go(way);
                    self.carry_out(now);
                }
                Frame::Part => break true,
                Frame::Broken => break false,
            }
        };
        inbox.drain(..taken);
        if let Some(stream) = self.streams.get_mut(id.0 as usize) {
            stream.inbox = inbox;
        }
        whole
    }

    /// Sends the packet on.
    fn go(&mut self, way: Way) {
        match way {
            Way::Nowhere => {}
            Way::Peer(relay, peer) => {
                let socket = self.relays.get(relay.0 as usize).and_then(Option::as_ref);
                let sent = socket.map(|socket| socket.send_to(self.packet.octets(), peer));
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
            Sent::Waits => self.listen_for(id, epoll::EventFlags::IN | epoll::EventFlags::OUT),
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
            Ok(true) => self.listen_for(id, epoll::EventFlags::IN),
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
    fn carry_out(&mut self, now: Clock) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Answer(client, answer) => self.answer(client, &answer),
                Output::Open(relay, address) => {
                    let open = self.open(relay, address);
                    self.server.opened(now, relay, open);
                }
                // With the socket goes its entry in epoll.
                Output::Close(relay) => {
                    if let Some(socket) = self.relays.get_mut(relay.0 as usize) {
                        *socket = None;
                    }
                }
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
                    // Who asks and does not read is not kept.
                    let sent = match stream.send(answer) {
                        Sent::Dropped => Sent::Broken,
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
        let at = relay.0 as usize;
        if self.relays.len() <= at {
            self.relays.resize_with(at + 1, || None);
        }
        self.relays[at] = Some(socket);
        true
    }

    fn close_broken(&mut self, now: Clock) {
        while let Some(id) = self.broken.pop() {
            if let Some(stream) = self.streams.try_remove(id.0 as usize) {
                self.server.stream_closed(now.now, id, stream.from);
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

fn watch(epoll: &OwnedFd, socket: impl AsFd, token: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(token);
    Ok(epoll::add(epoll, socket, data, epoll::EventFlags::IN)?)
}

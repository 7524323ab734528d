//! The thread that sets up media with browsers: what comes by the rings of the media threads goes to the machine (`crate::rtc`), and what
//! that has to send goes out by a second handle of the leg's socket. A burst of handshakes makes no packet late.
//!
//! ```text
//!   media threads --- datagrams: a ring each ---+
//!                                               +--> thread `rtc` --> the leg's socket
//!   signalling ------ what was agreed: a ring --+        '--> Event::Setup, as any event of media
//! ```

use super::clock::SystemClock;
use super::media::{MediaEvent, Shared, StrayCounters, Wake};
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{Connect, Event, Fingerprint, Setup as Came, stream};
use crate::media::packet::Packet;
use crate::media::worker::Strays;
use crate::rtc::{Identity, Machine, Output};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Datagrams of one media thread that are looked at before the others have their turn.
const TURN: usize = 64;
/// How long it may sleep where nothing is due.
const LONGEST: Duration = Duration::from_secs(60);
/// How soon what found no room is told again.
const AGAIN: Duration = Duration::from_millis(20);

/// A datagram for the set-up of a leg.
type Datagram = (MediaLegId, SocketAddr, Packet);

/// To the thread.
enum Message {
    /// A leg lives from now on; by this it is spoken for.
    Open(MediaLegId, Handle),
    Connect(MediaLegId, u32, Box<Connect>),
    Close(MediaLegId),
    /// Workers hear by these whose sources are.
    Doors(Vec<Heard>),
    /// By these what is sent goes to streams of theirs.
    Streams(Vec<Answers>),
    Stop,
}

/// By what is sent for a leg.
pub enum Handle {
    /// Its own port.
    Own(UdpSocket),
    /// The port of its worker.
    Shared(Arc<Shared>),
}

impl Handle {
    fn socket(&self) -> &UdpSocket {
        match self {
            Handle::Own(socket) => socket,
            Handle::Shared(shared) => &shared.socket,
        }
    }
}

/// The way to one media thread: whose its sources are.
pub struct Heard {
    pub(super) ring: rtrb::Producer<Source>,
    pub(super) wake: Wake,
}

/// The way to the streams of one media thread.
pub struct Answers {
    pub(super) ring: rtrb::Producer<Answer>,
    pub(super) wake: Wake,
}

/// A packet for a stream.
pub type Answer = (SocketAddr, Packet);

/// What a leg's peer is known to send from, or no longer.
pub type Source = (MediaLegId, SocketAddr, bool);

/// The way of one media thread to it.
pub struct Door {
    ring: rtrb::Producer<Datagram>,
    wake: Wake,
}

impl Door {
    /// Hands a datagram on. A full ring loses it, as a network may: its sender repeats it.
    pub fn put(&mut self, leg: MediaLegId, from: SocketAddr, packet: &Packet) {
        if self.ring.push((leg, from, packet.clone())).is_ok() {
            self.wake.wake();
        }
    }
}

/// The thread, seen from signalling.
pub struct Setup {
    ring: rtrb::Producer<Message>,
    /// What found no room: at most what `limits::RTC_COMMANDS` says, again.
    backlog: VecDeque<Message>,
    wake: Wake,
    refused: Arc<StrayCounters>,
    fingerprint: Fingerprint,
    /// Legs that it has.
    legs: BTreeSet<MediaLegId>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Setup {
    /// Starts it, with a way to it for each of so many media threads. The certificate is made anew with each start: it says nothing about who
    /// we are, but that it is the same as in the description.
    pub fn start(
        clock: SystemClock,
        workers: usize,
        events: mpsc::Sender<MediaEvent>,
    ) -> Result<(Setup, Vec<Door>), String> {
        let (certificate, key) = super::net::browser_certificate()?;
        let identity = Identity::new(&certificate, &key, clock.epoch())?;
        let fingerprint = identity.fingerprint();
        let refused = Arc::<StrayCounters>::default();
        let failed = |error: io::Error| format!("the thread that sets up media with browsers: {error}");
        let wake = Wake::new().map_err(failed)?;
        let (ring, commands) = rtrb::RingBuffer::new(limits::RTC_COMMANDS);
        let mut doors = Vec::with_capacity(workers);
        let mut datagrams = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (ring, from) = rtrb::RingBuffer::new(limits::RTC_DATAGRAMS);
            let wake = wake.clone();
            doors.push(Door { ring, wake });
            datagrams.push(from);
        }
        let mut thread = Thread {
            clock,
            machine: Machine::new(identity),
            wake: wake.clone(),
            commands,
            datagrams,
            sockets: BTreeMap::new(),
            heard: Vec::new(),
            streams: Vec::new(),
            lives: BTreeMap::new(),
            events,
            late: VecDeque::new(),
            refused: refused.clone(),
        };
        let builder = std::thread::Builder::new().name("rtc".to_owned());
        let thread = builder.spawn(move || thread.run()).map_err(failed)?;
        let setup = Setup {
            ring,
            backlog: VecDeque::new(),
            wake,
            refused,
            fingerprint,
            legs: BTreeSet::new(),
            thread: Some(thread),
        };
        Ok((setup, doors))
    }

    /// By which browsers know us.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// A leg lives from now on, with this socket.
    pub fn open(&mut self, leg: MediaLegId, socket: Handle) {
        self.legs.insert(leg);
        self.send(Message::Open(leg, socket));
    }

    /// Media threads have ports that are shared; there is a way to each, in the order of their numbers.
    pub fn tell(&mut self, doors: Vec<Heard>) {
        self.send(Message::Doors(doors));
    }

    /// Media threads have streams; there is a way to each, in the order of their numbers.
    pub fn answer(&mut self, streams: Vec<Answers>) {
        self.send(Message::Streams(streams));
    }

    /// What both sides have said of it; the number is that of `Command::Connect`.
    pub fn connect(&mut self, leg: MediaLegId, number: u32, connect: Box<Connect>) {
        if self.legs.contains(&leg) {
            self.send(Message::Connect(leg, number, connect));
        }
    }

    /// It lives no more; nothing happens to one that is not a browser's.
    pub fn close(&mut self, leg: MediaLegId) {
        if self.legs.remove(&leg) {
            self.send(Message::Close(leg));
        }
    }

    /// What it has refused since the start.
    pub fn refused(&self) -> Strays {
        self.refused.read()
    }

    /// False when it has ended before its time, which only a bug can bring about.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.send(Message::Stop);
        let Some(thread) = self.thread.take() else { return };
        while !self.backlog.is_empty() && !thread.is_finished() {
            self.push();
            std::thread::yield_now();
        }
        let _ = thread.join();
    }

    /// Hands on what found no room before.
    pub fn flush(&mut self) {
        if !self.backlog.is_empty() {
            self.push();
        }
    }

    fn send(&mut self, message: Message) {
        self.backlog.push_back(message);
        self.push();
    }

    fn push(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            if let Err(rtrb::PushError::Full(message)) = self.ring.push(message) {
                self.backlog.push_front(message);
                break;
            }
        }
        self.wake.wake();
    }
}

struct Thread {
    clock: SystemClock,
    machine: Machine,
    wake: Wake,
    commands: rtrb::Consumer<Message>,
    datagrams: Vec<rtrb::Consumer<Datagram>>,
    sockets: BTreeMap<MediaLegId, Handle>,
    /// By worker.
    heard: Vec<Heard>,
    streams: Vec<Answers>,
    /// Where what comes for a leg by a stream has come from last: there it lives.
    lives: BTreeMap<MediaLegId, usize>,
    events: mpsc::Sender<MediaEvent>,
    /// Events that found no room in the queue.
    late: VecDeque<Event>,
    refused: Arc<StrayCounters>,
}

impl Thread {
    fn run(&mut self) {
        loop {
            self.sleep();
            if !self.take_commands() {
                return;
            }
            self.take_datagrams();
            self.machine.on_time(self.clock.instant());
            self.carry_out();
            self.hand_over();
            let refused = self.machine.refused();
            self.refused.write(Strays {
                no_leg: refused.no_leg,
                stun: refused.checks + refused.stun,
                dtls: refused.strangers,
                unknown: 0,
            });
        }
    }

    fn sleep(&mut self) {
        let now = self.clock.instant();
        let mut wait = self
            .machine
            .next_deadline()
            .map_or(LONGEST, |at| at.since(now))
            .min(LONGEST);
        if self.datagrams.iter().any(|ring| !ring.is_empty()) {
            wait = Duration::ZERO;
        } else if !self.late.is_empty() {
            wait = wait.min(AGAIN);
        }
        let timeout = Timespec::try_from(wait).ok();
        let mut waits = [PollFd::new(self.wake.counter(), PollFlags::IN)];
        match poll(&mut waits, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => self.wake.reset(),
            Err(error) => panic!("poll on our own descriptor: {error}"),
        }
    }

    /// False at the end.
    fn take_commands(&mut self) -> bool {
        while let Ok(message) = self.commands.pop() {
            let now = self.clock.instant();
            match message {
                Message::Open(leg, socket) => {
                    if let Handle::Shared(shared) = &socket {
                        self.machine.share(leg, shared.home);
                    }
                    self.sockets.insert(leg, socket);
                }
                Message::Doors(doors) => self.heard = doors,
                Message::Streams(streams) => self.streams = streams,
                Message::Connect(leg, number, connect) => self.machine.connect(now, leg, number, *connect),
                Message::Close(leg) => {
                    self.machine.close(now, leg);
                    self.carry_out();
                    self.sockets.remove(&leg);
                    self.lives.remove(&leg);
                }
                Message::Stop => return false,
            }
        }
        true
    }

    fn take_datagrams(&mut self) {
        for number in 0..self.datagrams.len() {
            for _ in 0..TURN {
                let Ok((leg, from, packet)) = self.datagrams[number].pop() else {
                    break;
                };
                let now = self.clock.instant();
                if stream::connection(from).is_some() && self.sockets.contains_key(&leg) {
                    self.lives.insert(leg, number);
                }
                self.machine.datagram(now, leg, from, packet.as_slice());
                self.carry_out();
            }
        }
    }

    /// Of the ways of a leg only the last counts: however often a peer changes it while signalling is behind, one waits.
    fn keep(&mut self, event: Event) {
        if let Event::Setup(leg, number, Came::Path(_)) = &event {
            let is_before =
                |old: &Event| matches!(old, Event::Setup(other, of, Came::Path(_)) if (other, of) == (leg, number));
            self.late.retain(|old| !is_before(old));
        }
        self.late.push_back(event);
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { leg, to, octets } if stream::connection(to).is_some() => {
                    self.send_stream(leg, to, &octets)
                }
                Output::Send { leg, to, octets } => {
                    if let Some(handle) = self.sockets.get(&leg) {
                        // What the system will not take now is lost on the way, and repeated.
                        let _ = handle.socket().send_to(&octets, to);
                    }
                }
                Output::Source { leg, from, is_its } => self.tell_source(leg, from, is_its),
                Output::Event(event) => self.keep(event),
            }
        }
    }

    /// What finds no room is lost, and repeated.
    fn send_stream(&mut self, leg: MediaLegId, to: SocketAddr, octets: &[u8]) {
        let worker = self.lives.get(&leg).and_then(|worker| self.streams.get_mut(*worker));
        let (Some(streams), Some(packet)) = (worker, Packet::from_slice(octets)) else {
            return;
        };
        if streams.ring.push((to, packet)).is_ok() {
            streams.wake.wake();
        }
    }

    /// What finds no room is told again with the next check.
    fn tell_source(&mut self, leg: MediaLegId, from: SocketAddr, is_its: bool) {
        let Some(Handle::Shared(shared)) = self.sockets.get(&leg) else {
            return;
        };
        if stream::connection(from).is_some() {
            // It is one leg's all its life.
            return;
        }
        if let Some(heard) = self.heard.get_mut(usize::from(shared.home.0))
            && heard.ring.push((leg, from, is_its)).is_ok()
        {
            heard.wake.wake();
        }
    }

    /// Each leg has few of them, and there are as many legs as there are.
    fn hand_over(&mut self) {
        while let Some(event) = self.late.pop_front() {
            let event = MediaEvent::of(WorkerId(0), event);
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.late.extend(event.into_event());
                self.late.rotate_right(1);
                return;
            }
        }
    }
}

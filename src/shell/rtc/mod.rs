//! The thread that sets up media with browsers: what comes by the rings of the media threads goes to the machine (`crate::rtc`), and what
//! that has to send goes out by a second handle of the leg's socket. A burst of handshakes makes no packet late.
//!
//! ```text
//!   media threads --- datagrams: a ring each ---+
//!                                               +--> thread `rtc` --> the leg's socket
//!   signalling ------ what was agreed: a ring --+        '--> Event::Setup, as any event of media
//! ```

use super::clock::SystemClock;
use super::media::{MediaEvent, StrayCounters, Wake};
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{Connect, Event, Fingerprint, Setup as Came};
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
    Open(MediaLegId, UdpSocket),
    Connect(MediaLegId, u32, Box<Connect>),
    Close(MediaLegId),
    Stop,
}

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
    pub fn open(&mut self, leg: MediaLegId, socket: UdpSocket) {
        self.legs.insert(leg);
        self.send(Message::Open(leg, socket));
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
    sockets: BTreeMap<MediaLegId, UdpSocket>,
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
                    self.sockets.insert(leg, socket);
                }
                Message::Connect(leg, number, connect) => self.machine.connect(now, leg, number, *connect),
                Message::Close(leg) => {
                    self.machine.close(now, leg);
                    self.carry_out();
                    self.sockets.remove(&leg);
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
                Output::Send { leg, to, octets } => {
                    if let Some(socket) = self.sockets.get(&leg) {
                        // What the system will not take now is lost on the way, and repeated.
                        let _ = socket.send_to(&octets, to);
                    }
                }
                Output::Event(event) => self.keep(event),
            }
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

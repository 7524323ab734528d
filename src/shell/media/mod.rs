//! Media threads: one per worker, with its sockets; commands go in by a ring, events come out by a queue.

mod gate;
mod pipe;
mod ports;
mod stream;
#[cfg(test)]
mod tests;
mod thread;

pub(super) use ports::Shared;
pub use thread::{MediaEvent, Tap};
pub(super) use thread::{StrayCounters, Wake};

use super::bell::Bell;
use super::clock::SystemClock;
use super::net::{self, Aside};
use super::rtc::{Answers, Door, Handle as Sending, Setup};
use super::within::{self, RelayEnd};
use crate::config;
use crate::id::{MediaLegId, Transport, WorkerId};
use crate::keyed::Key;
use crate::limits;
use crate::media::command::{CheckName, Command, Connect, Event, Fingerprint, LegSpec, LegStats, Port};
use crate::media::input::{Input, Output};
use crate::media::prepare::{PrepareError, Preparer};
use crate::media::tap::Sinks;
use crate::media::worker::Strays;
use gate::Share;
use ports::{PortRange, Way};
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use stream::{Stream, StreamDoor, Streams};
use thread::{Gauges, Message};
use tokio::sync::mpsc;
use tracing::warn;

struct Handle {
    ring: rtrb::Producer<Message>,
    /// What found no room in the ring: `limits::MEDIA_BACKLOG` at most, and legs that come or go.
    backlog: VecDeque<Message>,
    /// Something is in the ring that the thread was not woken for.
    has_news: bool,
    wake: Wake,
    gauges: Arc<Gauges>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// All media threads of a node, seen from signalling.
pub struct MediaThreads {
    workers: Vec<Handle>,
    /// Who sets up media with browsers.
    setup: Setup,
    clock: SystemClock,
    preparer: Preparer,
    ports: PortRange,
    /// What browsers share.
    shared: Vec<Arc<Shared>>,
    /// For browsers that come by TCP, if they may.
    door: Option<(Arc<StreamDoor>, Aside)>,
    /// Streams of legs that are between two workers: they come behind their leg.
    moving: BTreeMap<MediaLegId, SmallVec<[Box<Stream>; limits::STREAMS_PER_LEG]>>,
    /// Legs that share a port, and whose that is.
    sharing: BTreeMap<MediaLegId, WorkerId>,
    seeds: u64,
    /// Commands that were dropped because their worker was too far behind.
    dropped: u64,
}

impl MediaThreads {
    /// Starts `media.workers` threads. `listeners` are where signalling listens.
    pub fn start(
        media: &config::Media,
        listeners: impl Iterator<Item = SocketAddr>,
        clock: SystemClock,
    ) -> Result<(MediaThreads, mpsc::Receiver<MediaEvent>), String> {
        let (events, receiver) = mpsc::channel(limits::MEDIA_EVENTS);
        let mut workers = Vec::with_capacity(media.workers);
        let ports = PortRange::new(media, listeners);
        let shared = ports.shared(media)?;
        let (setup, doors) = Setup::start(clock, media.workers, events.clone())?;
        for (number, door) in doors.into_iter().enumerate() {
            let id = WorkerId(u16::try_from(number).map_err(|_| "media.workers is too large".to_owned())?);
            let started = start(id, clock, events.clone(), door, &shared);
            workers.push(started.map_err(|error| format!("media thread {id}: {error}"))?);
        }
        let seed = super::clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
        let seeds = seed.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let mut threads = MediaThreads {
            workers,
            setup,
            clock,
            preparer: Preparer::default().piping(Box::new(pipe::Rings)),
            ports,
            shared,
            sharing: BTreeMap::new(),
            moving: BTreeMap::new(),
            door: None,
            seeds,
            dropped: 0,
        };
        threads.open_gates(seed);
        if let Some(port) = media.browser_tcp {
            threads.open_door(port, events)?;
        }
        Ok((threads, receiver))
    }

    /// Browsers may connect by TCP from now on.
    fn open_door(&mut self, port: u16, events: mpsc::Sender<MediaEvent>) -> Result<(), String> {
        let (door, aside) = (StreamDoor::new(), Aside::default());
        let runtime = aside.handle();
        for ip in self.ports.addresses() {
            let addr = SocketAddr::new(ip, port);
            let _within = runtime.enter();
            let listener = net::bind_stream(addr).and_then(tokio::net::TcpListener::from_std);
            let listener = listener.map_err(|error| {
                let listen = config::Listen {
                    transport: Transport::Tcp,
                    addr,
                };
                net::explain(&error, listen, "media.browser_tcp")
            })?;
            runtime.spawn(stream::accept(listener, door.clone(), events.clone()));
        }
        let mut answers = Vec::with_capacity(self.workers.len());
        for number in 0..self.workers.len() {
            let (ring, from_setup) = rtrb::RingBuffer::new(limits::STREAM_ANSWERS);
            let wake = self.workers[number].wake.clone();
            answers.push(Answers { ring, wake });
            let worker = WorkerId(u16::try_from(number).unwrap_or(u16::MAX));
            self.send(worker, Message::Streams(Box::new(Streams::new(from_setup))));
        }
        self.setup.answer(answers);
        self.door = Some((door, aside));
        self.flush();
        Ok(())
    }

    /// Each thread has its shared ports from now on, and ways to the others, whose legs may come to them.
    fn open_gates(&mut self, seed: [u8; 32]) {
        if self.shared.is_empty() {
            return;
        }
        let wakes: Vec<Wake> = self.workers.iter().map(|handle| handle.wake.clone()).collect();
        let mut key = [0; 16];
        key.copy_from_slice(&seed[16..]);
        let (gates, heard) = gate::gates(&self.shared, &wakes, Key::new(key));
        self.setup.tell(heard);
        for (number, gate) in (0..).zip(gates) {
            self.send(WorkerId(number), Message::Gate(Box::new(gate)));
        }
        self.flush();
    }

    /// Recorded legs go there; before there are legs.
    pub fn record_by(&mut self, sinks: Box<dyn Sinks>) {
        self.preparer = Preparer::recording(sinks).piping(Box::new(pipe::Rings));
    }

    /// Carries a command to its worker with the next [`MediaThreads::flush`]. One that is `limits::MEDIA_BACKLOG` commands behind opens and closes its legs, in time,
    /// and hears of their keys and recordings, but is told nothing else: nobody waits for it.
    /// What comes back is for signalling: the end of a leg that could not be opened.
    pub fn command(&mut self, worker: WorkerId, command: Command) -> Option<Event> {
        // Without its keys a leg would go on in the clear; and what is recorded, and what is not, may be a matter of law.
        let must_come = matches!(
            command,
            Command::Open(_)
                | Command::Close(_)
                | Command::Protect { .. }
                | Command::Connect { .. }
                | Command::Record { .. }
                | Command::OpenRoom(_)
                | Command::CloseRoom(_)
                | Command::LinkRoom { .. }
                | Command::RecordRoom { .. }
        );
        if !must_come && self.backlog(worker) >= limits::MEDIA_BACKLOG {
            self.drop_command(worker);
            return None;
        }
        let leg = command.leg();
        let mut sockets = match &command {
            Command::Open(spec) => match self.sockets(spec) {
                Some(sockets) => Some(sockets),
                None => return Some(Event::Closed(spec.id, LegStats::default())),
            },
            Command::Connect { leg, number, connect } => {
                self.connect(*leg, *number, connect);
                None
            }
            Command::Close(leg) => {
                self.setup.close(*leg);
                None
            }
            _ => None,
        };
        // The prepared parts spread their timers by it: any sequence of different numbers will do.
        self.seeds = self
            .seeds
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match self.preparer.prepare(worker, command, self.seeds) {
            Ok(inputs) => {
                for input in inputs {
                    if let Input::Take { leg, .. } = &input {
                        self.moving.entry(*leg).or_default();
                    }
                    let own = sockets.take_if(|_| matches!(input, Input::Open(_)));
                    self.send(worker, Message::Input(input, own));
                }
            }
            Err(error) => {
                warn!("a media command was refused: {error}");
                match (error, leg) {
                    // The leg can't do what was agreed: it is closed, which ends its call.
                    (PrepareError::Opus(_), Some(leg)) => return self.command(worker, Command::Close(leg)),
                    (
                        PrepareError::Opus(_)
                        | PrepareError::UnknownLeg(_)
                        | PrepareError::LegExists(_)
                        | PrepareError::Room(_)
                        | PrepareError::Digits,
                        _,
                    ) => {}
                }
            }
        }
        None
    }

    /// Who sets legs up is told, and who finds them by their name.
    fn connect(&mut self, leg: MediaLegId, number: u32, connect: &Connect) {
        self.setup.connect(leg, number, Box::new(connect.clone()));
        let home = self.sharing.get(&leg).copied();
        let name = CheckName::of(connect.ours.ufrag.as_bytes());
        if let (Some((door, _)), Some(name)) = (&self.door, name) {
            door.name(leg, name);
        }
        if let Some((home, name)) = home.zip(name) {
            self.send(home, Message::Share(leg, Share::Named(name)));
        }
    }

    /// Those of a leg that is opened; who sets it up, if its peer is a browser, has a handle of them too.
    fn sockets(&mut self, spec: &LegSpec) -> Option<Way> {
        if let Some(shared) = self.shared.iter().find(|shared| shared.port == spec.port && spec.rtc) {
            self.sharing.insert(spec.id, shared.home);
            self.setup.open(spec.id, Sending::Shared(shared.clone()));
            return Some(Way::Shared(shared.clone()));
        }
        let Some(sockets) = self.ports.take(spec.port) else {
            warn!(
                "media leg {} was opened on a port that is not bound; its call ends",
                spec.id
            );
            return None;
        };
        if spec.rtc {
            match sockets.rtp.try_clone() {
                Ok(socket) => self.setup.open(spec.id, Sending::Own(socket)),
                Err(error) => {
                    warn!(
                        "media leg {} of a browser cannot be set up: {error}; its call ends",
                        spec.id
                    );
                    self.ports.close(sockets, self.clock.instant());
                    return None;
                }
            }
        }
        Some(Way::Own(sockets))
    }

    /// By which browsers know us.
    pub fn fingerprint(&self) -> Fingerprint {
        self.setup.fingerprint()
    }

    /// Takes what a thread had to tell; gives what signalling is to hear of it.
    pub fn event(&mut self, event: MediaEvent) -> Option<Event> {
        let told = event.output.as_ref().and_then(Output::event);
        let came = match &event.output {
            Some(Output::Taken { leg, .. }) => self.moving.remove(&leg.id()).unwrap_or_default(),
            Some(_) | None => SmallVec::new(),
        };
        self.settle(event.worker, event.output, event.sockets);
        for stream in event.streams.into_iter().chain(came) {
            if let Some((door, _)) = self.door.as_ref().filter(|_| stream.is_refused) {
                door.refuse();
            }
            if stream.is_over {
                continue;
            }
            if let Some(waiting) = self.moving.get_mut(&stream.leg) {
                // As at its worker: the oldest makes room.
                if waiting.len() == limits::STREAMS_PER_LEG {
                    waiting.remove(0);
                }
                waiting.push(stream);
                continue;
            }
            match self.preparer.home(stream.leg) {
                Some(home) => self.send(home, Message::Stream(stream)),
                // Its leg has ended meanwhile.
                None => self.door.iter().for_each(|(door, _)| door.refuse()),
            }
        }
        told
    }

    fn settle(&mut self, worker: WorkerId, output: Option<Output>, sockets: Option<Way>) {
        let Some(output) = output else { return };
        match output {
            Output::Closed { leg, .. } => {
                if let Some((door, _)) = &self.door {
                    door.forget(leg.id());
                }
                self.preparer.closed(leg.id());
                self.moving.remove(&leg.id());
                self.setup.close(leg.id());
                if let Some(home) = self.sharing.remove(&leg.id()) {
                    self.send(home, Message::Share(leg.id(), Share::Gone));
                }
                if let Some(Way::Own(sockets)) = sockets {
                    self.ports.close(sockets, self.clock.instant());
                }
            }
            Output::Taken { leg, to, .. } => {
                let (id, home) = (leg.id(), self.sharing.get(&leg.id()).copied());
                self.send(to, Message::Input(Input::Give(leg), sockets));
                if let Some(home) = home {
                    self.send(home, Message::Share(id, Share::LivesOn(to)));
                }
            }
            Output::Strayed(input) => {
                if let Some(home) = input
                    .leg()
                    .and_then(|leg| self.preparer.home(leg))
                    .filter(|home| *home != worker)
                {
                    self.send(home, Message::Input(input, None));
                }
            }
            // Dropped here, on the control side, is the point of these.
            Output::Noted { .. }
            | Output::Retired(_)
            | Output::RetiredRoom(_)
            | Output::Opened { .. }
            | Output::Event(_) => {}
        }
    }

    /// Joins a leg's PCM door (`Function::Phone`) to rings of the caller.
    pub fn tap(&mut self, worker: WorkerId, leg: MediaLegId, tap: Tap) {
        self.send(worker, Message::Tap(leg, Box::new(tap)));
    }

    /// Joins the workers to the relay that has this bell and these addresses: between the two, datagrams then need no network.
    pub(super) fn join(&mut self, bell: &Arc<Bell>, addresses: &[IpAddr]) -> RelayEnd {
        let wakes = self.workers.iter().map(|handle| handle.wake.clone()).collect();
        let (relay, ends) = within::ends(wakes, bell, addresses);
        for (number, end) in (0..).zip(ends) {
            self.send(WorkerId(number), Message::Join(Box::new(end)));
        }
        self.flush();
        relay
    }

    /// Binds spare ports. None while a worker is half of `limits::MEDIA_BACKLOG` behind: new calls then get 503, those that
    /// are up keep the rest.
    pub fn bind_ports(&mut self, count: usize) -> Vec<Port> {
        let behind = |handle: &Handle| handle.backlog.len() >= limits::MEDIA_BACKLOG / 2;
        if self.workers.iter().any(behind) {
            return Vec::new();
        }
        self.ports.bind(count, self.clock.instant())
    }

    /// Another range or another address from now on.
    pub fn set_ports(&mut self, media: &config::Media, listeners: impl Iterator<Item = SocketAddr>) {
        self.ports.change(media, listeners);
    }

    /// Datagrams since the start that belonged to no leg's media.
    pub fn strays(&self) -> Strays {
        let each = self.workers.iter().map(|handle| handle.gauges.strays.read());
        let refused = self.door.as_ref().map(|(door, _)| Strays {
            no_leg: door.refused.load(Ordering::Relaxed),
            ..Strays::default()
        });
        each.chain(refused).fold(self.setup.refused(), |sum, one| sum + one)
    }

    /// Ticks since the start that began more than 5 ms after their time.
    pub fn late_ticks(&self) -> u64 {
        let each = self
            .workers
            .iter()
            .map(|handle| handle.gauges.late.load(Ordering::Relaxed));
        each.sum()
    }

    /// The most complexity that Opus is encoded with now, on the thread that has the least to spare; 10 where nothing is short.
    pub fn effort(&self) -> u8 {
        let each = self
            .workers
            .iter()
            .map(|handle| handle.gauges.effort.load(Ordering::Relaxed));
        each.min().unwrap_or(10)
    }

    /// False when a thread has ended before its time, which only a bug can bring about.
    pub fn is_alive(&self) -> bool {
        self.setup.is_alive()
            && self
                .workers
                .iter()
                .all(|handle| handle.thread.as_ref().is_some_and(|thread| !thread.is_finished()))
    }

    /// Ends the threads.
    pub fn stop(mut self) {
        for handle in &mut self.workers {
            handle.backlog.push_back(Message::Stop);
        }
        for handle in &mut self.workers {
            let Some(thread) = handle.thread.take() else { continue };
            // The thread empties its ring without waiting for anybody, so this ends.
            while !handle.backlog.is_empty() && !thread.is_finished() {
                handle.flush();
                std::thread::yield_now();
            }
            let _ = thread.join();
        }
        self.setup.stop();
    }

    /// Hands on what was commanded since the last time, and what found no room before. Each thread is woken once.
    pub fn flush(&mut self) {
        self.setup.flush();
        self.workers
            .iter_mut()
            .filter(|handle| handle.has_news || !handle.backlog.is_empty())
            .for_each(Handle::flush);
    }

    fn backlog(&self, worker: WorkerId) -> usize {
        let handle = self.workers.get(usize::from(worker.0));
        handle.map_or(0, |handle| handle.backlog.len())
    }

    fn drop_command(&mut self, worker: WorkerId) {
        self.dropped += 1;
        if self.dropped.is_power_of_two() {
            warn!(
                "media worker {worker} is too far behind: {} commands were dropped so far, and new calls get 503 until it has \
                 caught up",
                self.dropped
            );
        }
    }

    fn send(&mut self, worker: WorkerId, message: Message) {
        let Some(handle) = self.workers.get_mut(usize::from(worker.0)) else {
            return;
        };
        handle.backlog.push_back(message);
        handle.push();
    }
}

impl Handle {
    fn flush(&mut self) {
        self.push();
        self.has_news = false;
        self.wake.wake();
    }

    fn push(&mut self) {
        self.has_news = true;
        while let Some(message) = self.backlog.pop_front() {
            if let Err(rtrb::PushError::Full(message)) = self.ring.push(message) {
                self.backlog.push_front(message);
                break;
            }
        }
    }
}

fn start(
    id: WorkerId,
    clock: SystemClock,
    events: mpsc::Sender<MediaEvent>,
    door: Door,
    shared: &[Arc<Shared>],
) -> std::io::Result<Handle> {
    let (ring, commands) = rtrb::RingBuffer::new(limits::MEDIA_COMMANDS);
    let gauges = Arc::<Gauges>::default();
    let (wake, thread) = thread::start(id, clock, commands, events, gauges.clone(), door, shared)?;
    Ok(Handle {
        gauges,
        ring,
        backlog: VecDeque::new(),
        has_news: false,
        wake,
        thread: Some(thread),
    })
}

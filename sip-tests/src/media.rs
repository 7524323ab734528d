//! The media side of the node in the world: real workers, or only the book-keeping of legs and ports for runs without RTP.

use crate::browser::node_identity;
use crate::tapes::Tapes;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tandem::config;
use tandem::id::{MediaLegId, MediaRoomId, WorkerId};
use tandem::keyed::Key;
use tandem::media::command::{CheckName, Command, Event, Fingerprint, Function, LegStats, Port};
use tandem::media::input::{Input, Output, Outputs};
use tandem::media::leg::Leg;
use tandem::media::packet::{Channel, LegIx, Packet, TxBatch};
use tandem::media::prepare::Preparer;
use tandem::media::shared::SharedPort;
use tandem::media::worker::{Tick, Worker};
use tandem::rtc::{self, Machine};
use tandem::time::Instant;

/// The workers' grid.
const TICK: Duration = Duration::from_millis(20);

/// What the world is to do for a media step.
#[derive(Debug)]
pub enum Effect {
    /// For signalling.
    Event(Event),
    /// A datagram.
    Send(SocketAddr, SocketAddr, Bytes),
    /// A leg on its way to another worker.
    Moving(WorkerId, Box<Leg>),
}

/// Workers, ports and legs.
pub struct Media {
    ip: IpAddr,
    workers: Vec<Worker>,
    preparer: Preparer,
    /// Sets up media with browsers.
    rtc: Machine,
    batch: TxBatch,
    outputs: Outputs,
    /// Legs with ports of their own, by these.
    places: BTreeMap<u16, (WorkerId, LegIx)>,
    /// Ports that browsers share, of each worker.
    shared: Vec<(u16, SharedPort)>,
    /// Legs that do, and of whose port.
    sharing: BTreeMap<MediaLegId, WorkerId>,
    free: VecDeque<u16>,
    spare: BTreeSet<u16>,
    open: BTreeMap<MediaLegId, Port>,
    /// Rooms that are open, and where.
    rooms: BTreeMap<MediaRoomId, WorkerId>,
    /// Legs that a worker closed by itself: the node may not know yet.
    lost: BTreeSet<MediaLegId>,
    /// Legs of one worker.
    capacity: usize,
    next_tick: Instant,
    seed: u64,
    effects: Vec<Effect>,
    /// What the node did that it must not.
    pub faults: Vec<String>,
    /// Commands that came, by leg, in words.
    pub moves: usize,
    /// What was recorded.
    pub tapes: Tapes,
}

impl Media {
    /// For a range of ports; without workers only the books are kept. Each worker takes so many legs.
    pub fn new(ip: IpAddr, config: &config::Media, workers: usize, capacity: usize) -> Media {
        let tapes = Tapes::default();
        let ports = config.first_own_port()..=config.last_port;
        let of_worker = |number: usize| {
            let port = config.shared_port_of(WorkerId(number as u16))?;
            Some((port, SharedPort::new(capacity, Key::UNKEYED)))
        };
        Media {
            ip,
            workers: (0..workers).map(|_| Worker::new(capacity)).collect(),
            lost: BTreeSet::new(),
            capacity,
            preparer: Preparer::recording(Box::new(tapes.clone())),
            tapes,
            rtc: Machine::new(node_identity()),
            batch: TxBatch::new(),
            outputs: Outputs::default(),
            places: BTreeMap::new(),
            shared: (0..workers).filter_map(of_worker).collect(),
            sharing: BTreeMap::new(),
            free: ports.step_by(2).collect(),
            spare: BTreeSet::new(),
            open: BTreeMap::new(),
            rooms: BTreeMap::new(),
            next_tick: Instant::ZERO,
            seed: 1,
            effects: Vec::new(),
            faults: Vec::new(),
            moves: 0,
        }
    }

    /// Ports for the node, possibly fewer.
    pub fn bind(&mut self, count: usize) -> Vec<Port> {
        let count = count.min(self.free.len());
        let ports: Vec<u16> = self.free.drain(..count).collect();
        self.spare.extend(&ports);
        let v6 = self.ip.is_ipv6();
        ports.into_iter().map(|rtp| Port { rtp, v6 }).collect()
    }

    /// A command of the node.
    pub fn command(&mut self, now: Instant, worker: WorkerId, command: Command) -> Vec<Effect> {
        if let Command::Open(spec) = &command {
            let shared = self.shared.iter().position(|(port, _)| *port == spec.port.rtp);
            if let Some(home) = shared.filter(|_| spec.rtc) {
                let home = WorkerId(home as u16);
                self.sharing.insert(spec.id, home);
                self.rtc.share(spec.id, home);
            } else if !self.spare.remove(&spec.port.rtp) {
                self.faults.push(format!(
                    "leg {} was opened on port {}, which is not bound and spare",
                    spec.id, spec.port.rtp
                ));
            }
            self.open.insert(spec.id, spec.port);
        } else if command.leg().is_some_and(|leg| self.lost.contains(&leg)) {
            return Vec::new();
        } else if command.leg().is_some_and(|leg| !self.open.contains_key(&leg)) {
            self.faults
                .push(format!("a command for a leg that is not open: {command:?}"));
            return Vec::new();
        }
        self.keep_rooms(worker, &command);
        if self.workers.is_empty() {
            return self.bare(worker, command);
        }
        if let Command::Connect { leg, number, connect } = &command {
            let name = CheckName::of(connect.ours.ufrag.as_bytes());
            if let Some((home, name)) = self.sharing.get(leg).zip(name) {
                self.shared[usize::from(home.0)].1.name(*leg, name);
            }
            self.rtc.connect(now, *leg, *number, *connect.clone());
            self.set_up();
        } else if let Command::Close(leg) = command {
            self.rtc.close(now, leg);
            self.set_up();
        }
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match self.preparer.prepare(worker, command, self.seed) {
            Ok(inputs) => inputs.into_iter().for_each(|input| self.input(now, worker, input)),
            Err(error) => self.faults.push(format!("a media command was refused: {error}")),
        }
        std::mem::take(&mut self.effects)
    }

    /// A room is opened once, closed once, and what is done with it is done where it is.
    fn keep_rooms(&mut self, worker: WorkerId, command: &Command) {
        let (room, at) = if let Command::OpenRoom(spec) = command {
            if self.rooms.insert(spec.id, worker).is_some() {
                self.faults.push(format!("a room was opened twice: {command:?}"));
            }
            return;
        } else if let Command::CloseRoom(room) = command {
            (room, self.rooms.remove(room))
        } else if let Command::LinkRoom { room, .. }
        | Command::PlayRoom { room, .. }
        | Command::RecordRoom { room, .. }
        | Command::Function {
            function: Function::Room(room),
            ..
        } = command
        {
            (room, self.rooms.get(room).copied())
        } else {
            return;
        };
        if at != Some(worker) {
            self.faults
                .push(format!("room {room} is on {at:?}, and not on {worker}: {command:?}"));
        }
    }

    fn bare(&mut self, worker: WorkerId, command: Command) -> Vec<Effect> {
        let event = match command {
            Command::Close(leg) => {
                self.release(leg);
                Event::Closed(leg, LegStats::default())
            }
            Command::ReadStats(leg) => Event::Stats(leg, LegStats::default()),
            Command::Move { leg, to } => {
                self.moves += 1;
                if to == worker {
                    self.faults.push(format!("leg {leg} was moved to where it is"));
                }
                Event::Moved(leg, to)
            }
            Command::Open(_)
            | Command::Negotiated { .. }
            | Command::Protect { .. }
            | Command::Connect { .. }
            | Command::Video { .. }
            | Command::Function { .. }
            | Command::Play { .. }
            | Command::SendDigits { .. }
            | Command::Watch { .. }
            | Command::Record { .. }
            | Command::Seat { .. }
            | Command::OpenRoom(_)
            | Command::CloseRoom(_)
            | Command::LinkRoom { .. }
            | Command::RecordRoom { .. } => return Vec::new(),
            Command::PlayRoom { room, .. } => Event::RoomPlayed(room),
        };
        vec![Effect::Event(event)]
    }

    /// A leg that moves has arrived at its new worker.
    pub fn give(&mut self, now: Instant, to: WorkerId, leg: Box<Leg>) -> Vec<Effect> {
        self.input(now, to, Input::Give(leg));
        std::mem::take(&mut self.effects)
    }

    /// A datagram that came to one of our ports.
    pub fn packet(&mut self, now: Instant, port: u16, from: SocketAddr, bytes: &[u8]) -> Vec<Effect> {
        let place = match self.shared.iter_mut().find(|(own, _)| *own == port) {
            Some((_, shared)) => {
                let leg = shared.leg(from, bytes);
                leg.and_then(|leg| {
                    let lives =
                        |(number, worker): (usize, &Worker)| Some((WorkerId(number as u16), worker.place(leg)?));
                    self.workers.iter().enumerate().find_map(lives)
                })
            }
            None => self.places.get(&(port & !1)).copied(),
        };
        let Some((worker, at)) = place else {
            return Vec::new();
        };
        let Some(mut packet) = Packet::from_slice(bytes) else {
            return Vec::new();
        };
        let channel = if port.is_multiple_of(2) {
            Channel::Rtp
        } else {
            Channel::Rtcp
        };
        let target = &mut self.workers[usize::from(worker.0)];
        let set_up = target.on_packet(now, at, channel, from, &mut packet, &mut self.batch, &mut self.outputs);
        self.drain(now, worker);
        while self.workers[usize::from(worker.0)].forward(now, &mut self.batch) {
            self.drain(now, worker);
        }
        self.drain(now, worker);
        if let Some(leg) = set_up {
            self.rtc.datagram(now, leg, from, bytes);
            self.set_up();
        }
        std::mem::take(&mut self.effects)
    }

    /// When `tick` is due, while a leg is open.
    pub fn next_tick(&self) -> Option<Instant> {
        (!self.workers.is_empty() && !self.open.is_empty()).then_some(self.next_tick)
    }

    /// One step of 20 ms for every worker.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.rtc.on_time(now);
        self.set_up();
        for number in 0..self.workers.len() {
            loop {
                let done = self.workers[number].on_tick(now, &mut self.batch, &mut self.outputs);
                self.drain(now, WorkerId(number as u16));
                if done == Tick::Done {
                    break;
                }
            }
        }
        self.next_tick = now + TICK;
        std::mem::take(&mut self.effects)
    }

    /// What came of the set-up of legs.
    fn set_up(&mut self) {
        while let Some(output) = self.rtc.poll_output() {
            let effect = match output {
                rtc::Output::Event(event) => Some(Effect::Event(event)),
                rtc::Output::Send { leg, to, octets } => {
                    let port = self.open.get(&leg).map(|port| port.rtp);
                    port.map(|port| Effect::Send((self.ip, port).into(), to, octets.into()))
                }
                rtc::Output::Source { leg, from, is_its } => {
                    if let Some(home) = self.sharing.get(&leg) {
                        self.shared[usize::from(home.0)].1.source(leg, from, is_its);
                    }
                    None
                }
            };
            self.effects.extend(effect);
        }
    }

    /// By which browsers know the node.
    pub fn fingerprint(&self) -> Fingerprint {
        node_identity().fingerprint()
    }

    /// What was refused of STUN and DTLS.
    pub fn refused(&self) -> rtc::Refused {
        self.rtc.refused()
    }

    /// Legs that are set up, or are to be.
    pub fn set_ups(&self) -> usize {
        self.rtc.len()
    }

    /// After a time without legs the grid goes on from now.
    pub fn wake(&mut self, now: Instant) {
        if self.open.is_empty() {
            self.next_tick = now + TICK;
        }
    }

    fn input(&mut self, now: Instant, worker: WorkerId, input: Input) {
        let Some(target) = self.workers.get_mut(usize::from(worker.0)) else {
            return self.faults.push(format!("there is no worker {worker}"));
        };
        target.on_input(now, input, &mut self.batch, &mut self.outputs);
        self.drain(now, worker);
    }

    /// Sends the batch and takes the outputs.
    fn drain(&mut self, now: Instant, worker: WorkerId) {
        for outgoing in self.batch.packets() {
            let lives = |leg: &MediaLegId| self.workers[usize::from(worker.0)].place(*leg) == Some(outgoing.leg);
            let sharing = self.sharing.iter().find(|(leg, _)| lives(leg));
            let place = self.places.iter().find(|(_, place)| **place == (worker, outgoing.leg));
            let port = match (sharing, place, outgoing.channel) {
                (Some((_, home)), _, _) => self.shared[usize::from(home.0)].0,
                (None, Some((port, _)), Channel::Rtp) => *port,
                (None, Some((port, _)), Channel::Rtcp) => port + 1,
                (None, None, _) => continue,
            };
            let bytes = Bytes::copy_from_slice(outgoing.packet.as_slice());
            self.effects
                .push(Effect::Send((self.ip, port).into(), outgoing.to, bytes));
        }
        self.batch.clear();
        while let Some(output) = self.outputs.pop() {
            self.effects.extend(output.event().map(Effect::Event));
            match output {
                Output::Opened { at, leg, port } => {
                    if !self.sharing.contains_key(&leg) {
                        self.places.insert(port.rtp, (worker, at));
                    }
                }
                Output::Closed { at, leg, .. } => {
                    let id = leg.id();
                    if at.is_none() {
                        self.lost.insert(id);
                    }
                    if let Some(port) = self.open.get(&id).filter(|_| !self.sharing.contains_key(&id)) {
                        self.places.remove(&port.rtp);
                    }
                    self.release(id);
                    self.preparer.closed(id);
                }
                Output::Taken { leg, to, .. } => {
                    self.moves += 1;
                    if !self.sharing.contains_key(&leg.id()) {
                        self.places.remove(&leg.port().rtp);
                    }
                    self.effects.push(Effect::Moving(to, leg));
                }
                Output::Strayed(input) => {
                    let home = input.leg().and_then(|leg| self.preparer.home(leg));
                    let home = home.filter(|home| *home != worker);
                    if let Some(home) = home {
                        self.input(now, home, input);
                    }
                }
                Output::Event(_) | Output::Noted { .. } | Output::Retired(_) | Output::RetiredRoom(_) => {}
            }
        }
        if self.batch.overflow() > 0 || self.outputs.overflow() > 0 {
            self.faults.push("a worker's batch or outputs overflowed".into());
        }
    }

    fn release(&mut self, leg: MediaLegId) {
        let shared = self.sharing.remove(&leg);
        if let Some(home) = shared {
            self.shared[usize::from(home.0)].1.forget(leg);
        }
        if let Some(port) = self.open.remove(&leg).filter(|_| shared.is_none()) {
            self.free.push_back(port.rtp);
        }
    }

    /// What the node keeps in memory of it.
    pub(crate) fn into_workers(self) -> (Vec<Worker>, Preparer) {
        (self.workers, self.preparer)
    }

    /// True with workers.
    pub fn is_real(&self) -> bool {
        !self.workers.is_empty()
    }

    /// Legs that are open.
    pub fn legs(&self) -> usize {
        self.open.len()
    }

    /// Rooms that are open.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Ports that the node keeps spare.
    pub fn spare(&self) -> usize {
        self.spare.len()
    }

    /// Ports that nobody has.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// The node is gone: its sockets are closed, its legs are gone with it.
    pub fn restart(&mut self) {
        let ports: Vec<u16> = self
            .spare
            .iter()
            .copied()
            .chain(self.open.values().map(|port| port.rtp))
            .filter(|port| self.shared.iter().all(|(shared, _)| shared != port))
            .collect();
        self.free.extend(ports);
        self.spare.clear();
        self.open.clear();
        self.rooms.clear();
        self.places.clear();
        self.preparer = Preparer::recording(Box::new(self.tapes.clone()));
        let count = self.workers.len();
        self.workers = (0..count).map(|_| Worker::new(self.capacity)).collect();
        self.rtc = Machine::new(node_identity());
        self.sharing.clear();
        for (_, shared) in &mut self.shared {
            *shared = SharedPort::new(self.capacity, Key::UNKEYED);
        }
    }
}

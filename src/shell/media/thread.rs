//! One media thread: waits for packets, commands and the next tick, and walks the worker through them.

mod doors;
#[cfg(test)]
mod tests;

use super::gate::{self, Gate, Share};
use super::ports::{Shared, Way, throw_away};
use super::stream::{self, Stream, Streams};
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{self, Event};
use crate::media::input::{Input, Output, Outputs};
use crate::media::packet::{Channel, LegIx, Packet, TxBatch};
use crate::media::tuning::Load;
use crate::media::worker::{Strays, Tick, Worker};
use crate::shell::clock::SystemClock;
use crate::shell::net::burst::Bursts;
use crate::shell::rtc::Door;
use crate::shell::within::{self, Arrival, MediaEnd};
use crate::time::Instant;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::OwnedFd;
use rustix::time::{ClockId, clock_gettime};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::mpsc;

/// The grid of the tick.
const TICK: Duration = Duration::from_millis(20);
/// A tick that begins later than this is told of.
const LATE: Duration = Duration::from_millis(5);
/// A thread that was held up for longer makes up for nothing: it is history.
const CATCH_UP: Duration = Duration::from_millis(500);
/// Sockets looked at in one turn.
const READY: usize = 256;
/// The epoll token of the command ring.
const COMMANDS: u64 = u64::MAX;

/// To a thread.
pub(super) enum Message {
    /// A prepared command; with the leg's sockets when it begins to live here.
    Input(Input, Option<Way>),
    /// Rings for a leg's PCM door.
    Tap(MediaLegId, Box<Tap>),
    /// The way to the relay of this node, and from there.
    Join(Box<MediaEnd>),
    /// Ports that browsers share, and all that belongs to them.
    Gate(Box<Gate>),
    /// Legs may have streams.
    Streams(Box<Streams>),
    /// One of a leg that lives here.
    Stream(Box<Stream>),
    /// Something about a leg that has such a port.
    Share(MediaLegId, Share),
    /// The end.
    Stop,
}

/// From a thread.
pub struct MediaEvent {
    /// Which.
    pub(super) worker: WorkerId,
    /// What.
    pub(super) output: Option<Output>,
    /// The sockets of a leg that left this worker: to be closed, or to go with it.
    pub(super) sockets: Option<Way>,
    /// Streams of a leg that go with it, or to its worker, or are over.
    pub(super) streams: SmallVec<[Box<Stream>; limits::STREAMS_PER_LEG]>,
}

impl MediaEvent {
    /// One that no worker has told.
    pub(in crate::shell) fn of(worker: WorkerId, event: Event) -> MediaEvent {
        MediaEvent {
            worker,
            output: Some(Output::Event(event)),
            sockets: None,
            streams: SmallVec::new(),
        }
    }

    /// A browser has come by a stream, or one is over.
    pub(super) fn stream(stream: Box<Stream>) -> MediaEvent {
        MediaEvent {
            worker: WorkerId(0),
            output: None,
            sockets: None,
            streams: SmallVec::from_iter([stream]),
        }
    }

    /// What signalling is to hear.
    pub(in crate::shell) fn into_event(self) -> Option<Event> {
        self.output.as_ref().and_then(Output::event)
    }
}

/// PCM at 8 kHz between a leg with `Function::Phone` and somebody outside of the media threads, and every datagram that
/// arrives for the leg. Full or empty rings lose samples and datagrams or give silence; nobody waits.
pub struct Tap {
    /// What arrives, as it arrives.
    pub wire: rtrb::Producer<(Channel, Packet)>,
    /// What the peer says.
    pub heard: rtrb::Producer<i16>,
    /// What the peer is to hear.
    pub spoken: rtrb::Consumer<i16>,
}

/// A worker's strays, for those who only look.
#[derive(Debug, Default)]
pub(in crate::shell) struct StrayCounters([AtomicU64; 4]);

impl StrayCounters {
    pub(in crate::shell) fn write(&self, strays: Strays) {
        let Strays {
            no_leg,
            stun,
            dtls,
            unknown,
        } = strays;
        for (counter, count) in self.0.iter().zip([no_leg, stun, dtls, unknown]) {
            counter.store(count, Ordering::Relaxed);
        }
    }

    pub(in crate::shell) fn read(&self) -> Strays {
        let [no_leg, stun, dtls, unknown] = self.0.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        Strays {
            no_leg,
            stun,
            dtls,
            unknown,
        }
    }
}

/// What a thread tells those who only look.
#[derive(Debug)]
pub(super) struct Gauges {
    /// See there.
    pub strays: StrayCounters,
    /// The most complexity that Opus is encoded with now.
    pub effort: AtomicU8,
    /// Ticks that began later than `LATE` after their time.
    pub late: AtomicU64,
}

impl Default for Gauges {
    fn default() -> Self {
        Gauges {
            strays: StrayCounters::default(),
            effort: AtomicU8::new(10),
            late: AtomicU64::new(0),
        }
    }
}

/// Wakes a thread that waits.
#[derive(Clone)]
pub(in crate::shell) struct Wake(Arc<OwnedFd>);

impl Wake {
    pub(in crate::shell) fn new() -> io::Result<Wake> {
        let counter = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Wake(Arc::new(counter)))
    }

    pub(in crate::shell) fn wake(&self) {
        // It can only fail when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// What is waited on.
    pub(in crate::shell) fn counter(&self) -> &OwnedFd {
        &self.0
    }

    /// It is awake.
    pub(in crate::shell) fn reset(&self) {
        let mut count = [0; 8];
        // Only resets the counter; that it was zero already is no fault.
        let _ = rustix::io::read(&*self.0, &mut count);
    }
}

pub(super) fn start(
    id: WorkerId,
    clock: SystemClock,
    commands: rtrb::Consumer<Message>,
    events: mpsc::Sender<MediaEvent>,
    gauges: Arc<Gauges>,
    door: Door,
    shared: &[Arc<Shared>],
) -> io::Result<(Wake, std::thread::JoinHandle<()>)> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let waiter = Wake::new()?;
    let wake = waiter.0.clone();
    epoll::add(
        &epoll,
        &*wake,
        epoll::EventData::new_u64(COMMANDS),
        epoll::EventFlags::IN,
    )?;
    gate::watch(id, shared, &epoll)?;
    let thread = std::thread::Builder::new()
        .name(format!("media-{}", id.0))
        .spawn(move || {
            hurry(id);
            Thread::new(id, clock, (epoll, wake), (commands, events), gauges, door).run();
        })?;
    Ok((waiter, thread))
}

struct Thread {
    id: WorkerId,
    clock: SystemClock,
    worker: Worker,
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    /// By `LegIx`.
    sockets: Box<[Option<Way>]>,
    taps: Vec<(MediaLegId, Box<Tap>)>,
    /// The sockets of the leg that the current input brings.
    coming: Option<Way>,
    batch: TxBatch,
    bursts: Bursts,
    outputs: Outputs,
    commands: rtrb::Consumer<Message>,
    events: mpsc::Sender<MediaEvent>,
    /// Events that found no room in the queue.
    late: VecDeque<MediaEvent>,
    gauges: Arc<Gauges>,
    /// To who sets up media with browsers.
    door: Door,
    /// To the relay, if there is one.
    within: Option<Box<MediaEnd>>,
    /// Of the port that browsers share, if they do.
    gate: Option<Box<Gate>>,
    /// Of browsers that come by TCP, if they may.
    streams: Option<Box<Streams>>,
    load: Load,
    packet: Packet,
}

impl Thread {
    fn new(
        id: WorkerId,
        clock: SystemClock,
        (epoll, wake): (OwnedFd, Arc<OwnedFd>),
        (commands, events): (rtrb::Consumer<Message>, mpsc::Sender<MediaEvent>),
        gauges: Arc<Gauges>,
        door: Door,
    ) -> Thread {
        Thread {
            id,
            clock,
            worker: Worker::new(limits::LEGS_PER_WORKER),
            epoll,
            wake,
            sockets: std::iter::repeat_with(|| None).take(limits::LEGS_PER_WORKER).collect(),
            taps: Vec::new(),
            coming: None,
            batch: TxBatch::new(),
            bursts: Bursts::new(),
            outputs: Outputs::default(),
            commands,
            events,
            late: VecDeque::new(),
            gauges,
            door,
            within: None,
            gate: None,
            streams: None,
            load: Load::default(),
            packet: Packet::default(),
        }
    }

    fn run(&mut self) {
        let mut ready = Vec::with_capacity(READY);
        let mut next_tick = self.clock.instant() + TICK;
        loop {
            let now = self.clock.instant();
            // Without legs there is nothing to do on a tick, unless something waits to be told.
            let ticks = !self.worker.is_empty() || !self.late.is_empty();
            let wait = ticks.then(|| next_tick.since(now));
            ready.clear();
            let timeout = wait.and_then(|wait| Timespec::try_from(wait).ok());
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut ready),
                timeout.as_ref(),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("epoll on our own descriptors: {error}"),
            }
            if self.worker.is_empty() {
                // The grid begins with the first leg.
                next_tick = self.clock.instant() + TICK;
            }
            for event in &ready {
                match event.data.u64() {
                    COMMANDS => {
                        if !self.take_commands() {
                            return;
                        }
                        next_tick = self.take_within(next_tick);
                        next_tick = self.take_handed(next_tick);
                        self.take_answers();
                    }
                    token if gate::is_gate(token) => next_tick = self.take_shared(token, next_tick),
                    token => match stream::place_of(token) {
                        Some(place) => next_tick = self.take_stream(place, event.flags, next_tick),
                        // A tick does not wait for all that came meanwhile.
                        None => {
                            let came = self.receive(token);
                            if came.is_some_and(|now| next_tick <= now) {
                                next_tick = self.ticks(next_tick);
                            }
                        }
                    },
                }
            }
            next_tick = self.ticks(next_tick);
            self.send_batch();
            self.hand_over();
            let shared = self.gate.as_ref().map(|gate| gate.whose.strays());
            self.gauges
                .strays
                .write(self.worker.strays() + shared.unwrap_or_default());
        }
    }

    /// Runs the ticks that are due and tells when the next one is.
    fn ticks(&mut self, mut next: Instant) -> Instant {
        let now = self.clock.instant();
        let behind = now.since(next);
        if behind > LATE {
            self.gauges.late.fetch_add(1, Ordering::Relaxed);
        }
        if behind > CATCH_UP {
            next = now;
        }
        while next <= now {
            while self.worker.on_tick(now, &mut self.batch, &mut self.outputs) == Tick::More {
                self.send_batch();
                self.take_outputs();
            }
            self.take_outputs();
            self.serve_taps();
            next += TICK;
        }
        if self.load.is_due(now) {
            self.look_at_load(now);
        }
        next
    }

    fn look_at_load(&mut self, now: Instant) {
        if let Some(effort) = self.load.look(now, used(), || self.worker.highest_effort()) {
            self.worker.limit_effort(effort);
            self.gauges.effort.store(effort, Ordering::Relaxed);
        }
    }

    /// Empties the command ring; false at the end.
    fn take_commands(&mut self) -> bool {
        let mut count = [0; 8];
        // Only resets the counter; that it was zero already is no fault.
        let _ = rustix::io::read(&*self.wake, &mut count);
        while let Ok(message) = self.commands.pop() {
            match message {
                Message::Input(input, sockets) => {
                    self.coming = sockets;
                    let now = self.clock.instant();
                    self.worker.on_input(now, input, &mut self.batch, &mut self.outputs);
                    self.send_batch();
                    self.take_outputs();
                }
                Message::Tap(leg, tap) => self.taps.push((leg, tap)),
                Message::Join(end) => {
                    self.within = Some(end);
                    self.join_gate();
                }
                Message::Gate(gate) => {
                    self.gate = Some(gate);
                    self.join_gate();
                }
                Message::Streams(streams) => self.streams = Some(streams),
                Message::Stream(stream) => self.add_stream(stream),
                Message::Share(leg, share) => {
                    if let Some(gate) = &mut self.gate {
                        gate.share(self.id, leg, share);
                    }
                }
                Message::Stop => return false,
            }
        }
        true
    }

    /// Takes one packet of a socket. What else is there makes the socket ready in the next turn again: of most there is none, and to ask would
    /// cost each packet a system call; nor does a flood on one leg keep the others waiting. Behind video more is asked for while that is video too, since it goes
    /// on to each who sees it in one go. Tells when the last came, if one did.
    fn receive(&mut self, token: u64) -> Option<Instant> {
        let index = u16::try_from(token >> 1).ok()?;
        let (at, channel) = (LegIx(index), if token & 1 == 0 { Channel::Rtp } else { Channel::Rtcp });
        let mut came = None;
        while let Some(sockets) = self.sockets[at.index()].as_mut() {
            let Ok((length, from)) = sockets.socket(channel).recv_from(self.packet.buffer()) else {
                break;
            };
            watch_rtcp(&self.epoll, at, sockets);
            self.packet.set_len(length);
            let before = self.worker.gathered();
            came = Some(self.take(at, channel, from));
            if self.worker.gathers().is_none() || self.worker.gathered() == before {
                break;
            }
        }
        came.inspect(|now| self.go_on(*now))
    }

    /// Takes what the relay of this node has for legs, a share of it; what else is there wakes the thread again. Tells when the next tick is.
    fn take_within(&mut self, mut next_tick: Instant) -> Instant {
        for _ in 0..limits::WITHIN_TURN {
            let came = self.within.as_mut().and_then(|end| end.take(&mut self.packet));
            let Some(Arrival { at, channel, to, from }) = came else {
                return next_tick;
            };
            if at == within::SHARED {
                if let Some(at) = self.sort(from) {
                    next_tick = self.arrive_in_time(at, from, next_tick);
                }
                continue;
            }
            // Its leg may have gone, and another have its place.
            let sockets = self.sockets[at.index()].as_mut();
            let Some(sockets) = sockets.filter(|sockets| sockets.address(channel).port() == to) else {
                continue;
            };
            watch_rtcp(&self.epoll, at, sockets);
            if next_tick <= self.arrive(at, channel, from) {
                next_tick = self.ticks(next_tick);
            }
        }
        if self.within.as_ref().is_some_and(|end| end.has_more()) {
            // It can only fail when the counter is full, and then the thread does not sleep.
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        }
        next_tick
    }

    /// A datagram of a leg lies in `packet`; tells when it came.
    fn arrive(&mut self, at: LegIx, channel: Channel, from: SocketAddr) -> Instant {
        let now = self.take(at, channel, from);
        self.go_on(now);
        now
    }

    /// The same, but what it brings others stays with the worker until `go_on`.
    fn take(&mut self, at: LegIx, channel: Channel, from: SocketAddr) -> Instant {
        let now = self.clock.instant();
        if self.batch.must_flush() || self.worker.gathers().is_some_and(|gathered| gathered != at) {
            self.go_on(now);
        }
        self.show(at, channel);
        let set_up = self.worker.on_packet(
            now,
            at,
            channel,
            from,
            &mut self.packet,
            &mut self.batch,
            &mut self.outputs,
        );
        if let Some(leg) = set_up {
            self.door.put(leg, from, &self.packet);
        }
        now
    }

    fn go_on(&mut self, now: Instant) {
        while self.worker.forward(now, &mut self.batch) {
            self.send_batch();
        }
        if self.batch.must_flush() {
            self.send_batch();
        }
        self.take_outputs();
    }

    fn send_batch(&mut self) {
        for burst in self.batch.bursts() {
            let Some(first) = burst.first() else { break };
            if command::stream::connection(first.to).is_some() {
                if let Some(streams) = &mut self.streams {
                    for outgoing in burst {
                        let (now, packet) = (self.clock.instant(), outgoing.packet.as_slice());
                        let broken = streams.send(&self.epoll, now, outgoing.to, packet);
                        self.late.extend(broken.map(Stream::over));
                    }
                }
                continue;
            }
            if let Some(sockets) = &mut self.sockets[first.leg.index()] {
                watch_rtcp(&self.epoll, first.leg, sockets);
                let socket = sockets.socket(first.channel);
                match self.within.as_mut().filter(|end| end.has(first.to)) {
                    Some(end) => {
                        let from = sockets.address(first.channel);
                        for outgoing in burst {
                            if !end.put(from, outgoing.to, &outgoing.packet) {
                                self.bursts.send(socket, std::slice::from_ref(outgoing));
                            }
                        }
                    }
                    None => self.bursts.send(socket, burst),
                }
            }
        }
        self.batch.clear();
        if let Some(end) = &mut self.within {
            end.flush();
        }
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.outputs.pop() {
            let mut streams = SmallVec::new();
            let sockets = match &output {
                Output::Opened { at, .. } => {
                    self.settle(*at);
                    None
                }
                Output::Closed { at: Some(at), leg, .. } => {
                    let id = leg.id();
                    self.taps.retain(|(tapped, _)| *tapped != id);
                    streams = self.streams_of(id);
                    streams.iter_mut().for_each(|stream| stream.is_over = true);
                    self.unsettle(*at)
                }
                Output::Closed { at: None, .. } => self.coming.take(),
                Output::Taken { at, leg, .. } => {
                    let sockets = self.unsettle(*at);
                    streams = self.streams_of(leg.id());
                    sockets
                }
                Output::Event(_)
                | Output::Noted { .. }
                | Output::Strayed(_)
                | Output::Retired(_)
                | Output::RetiredRoom(_) => None,
            };
            let event = MediaEvent {
                worker: self.id,
                output: Some(output),
                sockets,
                streams,
            };
            self.late.push_back(event);
        }
        self.hand_over();
    }

    /// Signalling that is behind loses digits and the like, but never a leg: of those there are as many as places.
    fn hand_over(&mut self) {
        if self.late.len() > limits::MEDIA_EVENTS {
            self.late
                .retain(|event| !matches!(event.output, Some(Output::Event(_) | Output::Retired(_))));
        }
        while let Some(event) = self.late.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.late.push_front(event);
                return;
            }
        }
    }

    /// The coming sockets belong to this place from now on.
    fn settle(&mut self, at: LegIx) {
        let Some(sockets) = self.coming.take() else { return };
        if let Way::Own(own) = &sockets {
            if let Some(end) = &self.within {
                end.settle(at, own.port.v6, own.port.rtp);
            }
            watch(&self.epoll, at, &own.rtp, Channel::Rtp);
            if own.hears_rtcp {
                watch(&self.epoll, at, &own.rtcp, Channel::Rtcp);
            }
        }
        self.sockets[at.index()] = Some(sockets);
    }

    fn unsettle(&mut self, at: LegIx) -> Option<Way> {
        self.send_batch();
        let sockets = self.sockets[at.index()].take()?;
        if let Way::Own(own) = &sockets {
            if let Some(end) = &self.within {
                end.unsettle(at, own.port.v6, own.port.rtp);
            }
            let _ = epoll::delete(&self.epoll, &own.rtp);
            if own.hears_rtcp {
                let _ = epoll::delete(&self.epoll, &own.rtcp);
            }
        }
        Some(sockets)
    }

    /// Gives a copy of the packet to whoever taps its leg. Only the demo's phones are tapped.
    fn show(&mut self, at: LegIx, channel: Channel) {
        let worker = &self.worker;
        if let Some((_, tap)) = self.taps.iter_mut().find(|(leg, _)| worker.place(*leg) == Some(at)) {
            let _ = tap.wire.push((channel, self.packet.clone()));
        }
    }

    fn serve_taps(&mut self) {
        let mut samples = [0i16; 160];
        for (leg, tap) in &mut self.taps {
            let Some(phone) = self.worker.place(*leg).and_then(|at| self.worker.phone(at)) else {
                continue;
            };
            loop {
                let heard = phone.hear(&mut samples);
                for sample in &samples[..heard] {
                    // A full ring loses them: nobody listens.
                    let _ = tap.heard.push(*sample);
                }
                if heard < samples.len() {
                    break;
                }
            }
            let mut spoken = 0;
            while spoken < samples.len().min(phone.room()) {
                let Ok(sample) = tap.spoken.pop() else { break };
                samples[spoken] = sample;
                spoken += 1;
            }
            phone.speak(&samples[..spoken]);
        }
    }
}

/// A packet can't wait, and all else can: without this, whatever else has the core keeps it for milliseconds. What is not of real time has
/// a twentieth of each core in any case (sched(7), "Limiting the CPU usage of real-time and deadline processes").
fn hurry(id: WorkerId) {
    let class = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let refused = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, class).err();
    // One is as the other.
    if let Some(error) = refused.filter(|_| id.0 == 0) {
        tracing::info!(
            "The media threads do not run in real time ({error}): sound can be some milliseconds late when the machine is busy. \
             CAP_SYS_NICE lets them, or LimitRTPRIO=1 in a systemd unit."
        );
    }
}

/// The processor time of this thread since its start.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec as u32)
}

fn watch(epoll: &OwnedFd, at: LegIx, socket: &UdpSocket, channel: Channel) {
    let data = epoll::EventData::new_u64(u64::from(at.0) << 1 | u64::from(channel == Channel::Rtcp));
    // It fails only when memory for it has run out: the leg is then silent, and its call ends for that; without RTCP only reports are missing.
    let _ = epoll::add(epoll, socket, data, epoll::EventFlags::IN);
}

/// There is RTP, on which RTCP reports (RFC 3550 6): its socket is watched from here on. Many calls end before that. What came until now
/// would be taken for new.
fn watch_rtcp(epoll: &OwnedFd, at: LegIx, way: &mut Way) {
    if let Way::Own(sockets) = way
        && !sockets.hears_rtcp
    {
        sockets.hears_rtcp = true;
        throw_away(&sockets.rtcp);
        watch(epoll, at, &sockets.rtcp, Channel::Rtcp);
    }
}

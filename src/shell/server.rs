//! The signalling loop: one thread that owns a machine, its sockets for datagrams, its store and the way to the media threads.
//!
//! ```text
//!   timers that are due --> what the bell told of: control, store, media, connections --> sleep --> datagrams --> again
//! ```
//!
//! Each part has a bounded turn, so that a flood of one leaves the others theirs. What a turn has to say to sockets and media
//! threads is handed over at its end.

mod reload;
mod start;
mod stop;

use super::api::{Api, Asked};
use super::bell::{Bell, take};
use super::clock::SystemClock;
use super::control::{Operators, Spoken};
use super::media::{MediaEvent, MediaThreads};
use super::net::{Net, NetEvent};
use super::ng::{Datagram, NgSocket};
use super::pace::Pace;
use super::record::Recorder;
use super::recording::{Recorded, Recordings};
use super::relay::Relay;
use super::store::{GuardRow, RecordingRow, Store, Written};
use crate::config::{Config, Listen};
use crate::effect::{Answer, Output};
use crate::id::Flow;
use crate::node::{Input, Node};
use crate::time::{Instant, Wall};
use bytes::Bytes;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use stop::Stopping;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

/// Events of one kind that are handled before the others have their turn.
const TURN: usize = 128;
/// The machine's timers run no oftener than this: each wake-up has its price, and RFC 3261 counts in halves of a second.
const GRAIN: Duration = Duration::from_millis(5);
/// How often expired bindings are swept, and what was only counted is told.
const SWEEP: Duration = Duration::from_secs(30);
/// Inputs that may meet a bug before the node ends, so that its supervisor starts a clean one.
const BUGS: u32 = 100;

/// What an operator asks of a running node.
#[derive(Debug)]
pub enum Control {
    /// A checked configuration takes the place of the old one.
    Reload(Box<Config>),
    /// No new calls; those that are up have the configured grace time. Asked again: they end now. A third time: at once.
    Stop,
}

/// A node with everything around it.
pub struct Server {
    config: Arc<Config>,
    clock: SystemClock,
    node: Node,
    net: Net,
    ng: NgSocket,
    operators: Operators,
    api: Api,
    store: Store,
    media: MediaThreads,
    recordings: Recordings,
    relay: Relay,
    recorder: Recorder,
    inputs: VecDeque<Input>,
    runtime: Handle,
    bell: Arc<Bell>,
    queues: Queues,
    /// When timers ran last.
    timed: Instant,
    /// When the sleep before this turn ended.
    woke: Instant,
    pace: Pace,
    /// Datagrams of a turn on their way: of each socket as many as it may have in a turn.
    taken: Vec<(Flow, Bytes)>,
    /// How long this turn was put off for the pace.
    paused: Duration,
    /// Other threads have put more into the queues than one turn takes.
    is_more: bool,
    stopping: Option<Stopping>,
    bugs: u32,
    /// The day on which the operator was last told of certificates that end.
    told_day: u64,
}

/// What wakes the loop.
struct Queues {
    net: mpsc::Receiver<NetEvent>,
    written: mpsc::Receiver<Vec<Written>>,
    media: mpsc::Receiver<MediaEvent>,
    recorded: mpsc::Receiver<Recorded>,
    ng: mpsc::Receiver<Datagram>,
    spoken: mpsc::Receiver<Spoken>,
    asked: mpsc::Receiver<Asked>,
    control: mpsc::Receiver<Control>,
    /// Events of a turn on their way.
    taken: (Vec<NetEvent>, Vec<Vec<Written>>, Vec<MediaEvent>, Vec<Datagram>),
}

impl Server {
    /// Where it listens for SIP.
    pub fn bound(&self) -> Vec<Listen> {
        self.net.bound()
    }

    /// Where others than by SIP come, each with a word on what is there.
    pub fn doors(&self) -> Vec<String> {
        let api = self
            .api
            .bound()
            .map(|addr| format!("https://{addr} (the API, and a telephone at /phone)"));
        let turn = self.config.turn.iter().flat_map(|turn| &turn.doors.listen);
        let turn = turn.map(|listen| format!("{listen} (STUN and TURN)"));
        let ng = self.ng.bound().map(|addr| format!("udp://{addr} (NG)"));
        api.into_iter().chain(turn).chain(ng).collect()
    }

    /// Runs in a thread of its own until it was stopped and nothing is left. The error is a sentence: what in the node itself broke.
    pub async fn run(self) -> Result<(), String> {
        let (told, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("signalling".to_owned());
        let started = thread.spawn(move || {
            // Nobody waits for it any more: the process ends.
            let _ = told.send(self.work());
        });
        started.map_err(|error| format!("the thread of signalling could not be started: {error}"))?;
        let bug = "the thread of signalling has ended by the bug that is told above: please start the node anew";
        ended.await.unwrap_or_else(|_| Err(bug.to_owned()))
    }

    fn work(mut self) -> Result<(), String> {
        let mut sweep_at = self.clock.instant();
        let ended = loop {
            self.on_time();
            if let Some(ended) = self.queues() {
                break ended;
            }
            if self.clock.instant() >= sweep_at {
                self.sweep();
                sweep_at = self.clock.instant() + SWEEP;
            }
            self.media.flush();
            if let Some(why) = self.broken() {
                break Err(why);
            }
            if self.is_over() {
                break Ok(());
            }
            self.sleep(sweep_at);
            self.datagrams();
        };
        self.close();
        ended
    }

    /// Sleeps until something happens, unless something has happened already.
    fn sleep(&mut self, sweep_at: Instant) {
        let due = self.node.poll_timeout().map(|(at, _)| at.max(self.timed + GRAIN));
        let stops = self.stopping.map(|stopping| stopping.at);
        let until = [due, stops].into_iter().flatten().fold(sweep_at, Instant::min);
        self.net.flush();
        self.paused = Duration::ZERO;
        if !self.net.is_behind() && !self.is_more {
            let next = self.woke + self.pace.wait();
            self.paused = next.since(self.clock.instant());
            self.clock.sleep(self.paused);
        }
        let timeout = match self.bell.may_sleep() {
            true => until.since(self.clock.instant()),
            false => Duration::ZERO,
        };
        self.net.wait(Some(&self.bell), Some(timeout));
        self.woke = self.clock.instant();
    }

    /// Takes the datagrams that have come, then feeds them to the machine, each with all its effects before the next: what it did is seen
    /// by it. The system's code and ours take turns once, and not for each, since they drive one another out of the caches.
    fn datagrams(&mut self) {
        let mut taken = std::mem::take(&mut self.taken);
        taken.extend(std::iter::from_fn(|| self.net.datagram()));
        self.pace.add(self.clock.instant(), taken.len());
        let waited = self.net.waited();
        if !taken.is_empty() {
            // What they were let wait for the pace is no sign of load.
            self.inputs.push_back(Input::Waited(waited.saturating_sub(self.paused)));
        }
        for (flow, bytes) in taken.drain(..) {
            self.inputs.push_back(Input::Sip(flow, bytes));
            self.turn();
        }
        self.taken = taken;
    }

    /// Takes from the queues what other threads put there; gives the end of the node, if that is what an operator asked for.
    fn queues(&mut self) -> Option<Result<(), String>> {
        self.is_more = false;
        if !self.bell.has_rung() {
            return None;
        }
        let waker = self.bell.waker();
        let mut context = Context::from_waker(&waker);
        let (mut net, mut written, mut media, mut ng) = std::mem::take(&mut self.queues.taken);
        while let Poll::Ready(control) = self.queues.control.poll_recv(&mut context) {
            if self.control(control) {
                return Some(Ok(()));
            }
        }
        let mut is_more = take(&mut self.queues.written, &mut context, &mut written, TURN);
        for written in written.drain(..).flatten() {
            let (ticket, reply) = self.store.written(written);
            self.inputs.push_back(Input::Store(ticket, reply));
        }
        is_more |= take(&mut self.queues.media, &mut context, &mut media, TURN);
        for event in media.drain(..) {
            self.inputs.extend(self.media.event(event).map(Input::Media));
        }
        while let Poll::Ready(Some(recorded)) = self.queues.recorded.poll_recv(&mut context) {
            self.recorded(recorded);
        }
        self.turn();
        is_more |= take(&mut self.queues.net, &mut context, &mut net, TURN);
        for event in net.drain(..) {
            self.net_event(event);
            self.turn();
        }
        is_more |= take(&mut self.queues.ng, &mut context, &mut ng, TURN);
        for (peer, bytes) in ng.drain(..) {
            self.inputs.push_back(Input::Ng(peer, bytes));
            self.turn();
        }
        // Who asks sends one line, and there are few.
        while let Poll::Ready(Some(spoken)) = self.queues.spoken.poll_recv(&mut context) {
            let asked = self.operators.spoken(spoken);
            self.inputs.extend(asked.map(|(id, line)| match line {
                Some(line) => Input::Control(id, line),
                None => Input::ControlClosed(id),
            }));
            self.turn();
        }
        for _ in 0..TURN {
            let Poll::Ready(Some(asked)) = self.queues.asked.poll_recv(&mut context) else {
                break;
            };
            self.inputs.push_back(self.api.asked(asked));
            self.turn();
        }
        is_more |= !self.queues.asked.is_empty();
        self.queues.taken = (net, written, media, ng);
        self.is_more = is_more;
        if is_more {
            self.bell.ring();
        }
        None
    }

    /// Does what an operator asks for; true if that is to end at once.
    fn control(&mut self, control: Option<Control>) -> bool {
        match (control, self.stopping) {
            (Some(Control::Reload(config)), None) => self.reload(*config),
            (Some(Control::Reload(_)), Some(_)) => {
                warn!("reload refused, nothing was changed: the node is stopping; start it anew with the new file");
            }
            (Some(Control::Stop), None) => self.stopping = Some(self.stop()),
            (Some(Control::Stop), Some(Stopping { hurried: false, .. })) => self.stopping = Some(self.stop_now()),
            // Asked a third time, or nobody is left to ask.
            (Some(Control::Stop) | None, _) => return true,
        }
        self.turn();
        false
    }

    /// Runs the machine's timers that are due.
    fn on_time(&mut self) {
        self.turn();
        let next = self.node.poll_timeout().map(|(at, _)| at);
        let now = self.clock.instant();
        if next.is_some_and(|at| at <= now) && now >= self.timed + GRAIN {
            self.timed = now;
            self.inputs.push_back(Input::Time);
            self.turn();
        }
    }

    /// Feeds what waits to the machine and carries its effects out, until it is silent: all at one moment.
    fn turn(&mut self) {
        let at = self.clock.now();
        loop {
            while let Some(output) = self.node.poll_output() {
                self.carry_out(output, at.wall);
            }
            let Some(input) = self.inputs.pop_front() else { break };
            let node = &mut self.node;
            // A bug outside of the calls (those catch their own) costs the input that met it.
            if catch_unwind(AssertUnwindSafe(|| node.handle(at, input))).is_err() {
                self.bugs += 1;
                error!("what came last met the bug that is told above and was dropped; the node goes on");
            }
        }
        self.recorder.tell_begun();
    }

    /// Why the node cannot go on, if so.
    fn broken(&self) -> Option<String> {
        if self.bugs >= BUGS {
            return Some(format!(
                "{BUGS} bugs were met since the start: the node ends, please start it anew"
            ));
        }
        let thread = match (self.media.is_alive(), self.store.is_alive(), self.relay.is_alive()) {
            (true, true, true) => return None,
            (false, ..) => "a media thread",
            (true, false, _) => "the store's thread",
            (true, true, false) => "the thread of TURN",
        };
        Some(format!(
            "{thread} has ended by the bug that is told above: the node ends, please start it anew"
        ))
    }

    fn sweep(&mut self) {
        let wall = self.clock.now().wall;
        self.store.sweep(wall);
        self.net.sweep();
        self.recorder.tell_counted(
            wall.as_secs() / 60,
            self.net.counters(),
            self.media.strays(),
            self.media.late_ticks(),
        );
        self.relay.tell();
        self.recorder
            .tell_effort(self.media.effort(), self.config.media.opus_complexity);
        let today = wall.as_secs() / 86_400;
        if self.told_day != today {
            self.told_day = today;
            self.warn_of_certificates();
        }
    }

    fn carry_out(&mut self, output: Output, wall: Wall) {
        match output {
            Output::Send(flow, bytes) => {
                if !self.net.send(flow, bytes) {
                    self.inputs.push_back(Input::FlowClosed(flow));
                }
            }
            Output::Connect(ticket, target) => match self.net.connect(ticket, target) {
                Some(Ok(flow)) => self.inputs.push_back(Input::FlowOpened(ticket, flow)),
                Some(Err(())) => self.inputs.push_back(Input::FlowFailed(ticket)),
                None => {}
            },
            Output::Known(flow) => self.net.known(flow),
            Output::Alias(flow, target) => self.net.alias(flow, target),
            Output::Query(ticket, question) => {
                if !self.net.query(ticket, question) {
                    self.inputs.push_back(Input::Answered(ticket, Answer::default()));
                }
            }
            Output::Post(ticket, post) => {
                if !self.net.post(ticket, *post) {
                    self.inputs.push_back(Input::Posted(ticket, false));
                }
            }
            Output::Store(ticket, op) => {
                let reply = self.store.apply(ticket, op, wall);
                self.inputs.extend(reply.map(|reply| Input::Store(ticket, reply)));
            }
            Output::Media(worker, command) => {
                let ended = self.media.command(worker, command);
                self.inputs.extend(ended.map(Input::Media));
            }
            Output::Ng(peer, answer) => self.ng.send(peer, &answer),
            Output::Control { to, lines, last } => self.operators.say(to, lines, last),
            Output::Api(to, reply) => {
                if !self.api.say(to, reply) {
                    self.inputs.push_back(Input::ApiClosed(to));
                }
            }
            Output::Ports(count) => self.inputs.push_back(Input::Ports(self.media.bind_ports(count))),
            Output::Record(fact) => {
                if let Some(row) = GuardRow::of(&fact, wall) {
                    self.store.guard(row);
                }
                if let Some(row) = RecordingRow::of(&fact)
                    && !self.store.recording(row)
                {
                    self.recorder.lost();
                }
                let minute = wall.as_secs() / 60;
                if let Some(row) = self.recorder.fold(fact, minute)
                    && !self.store.call(row)
                {
                    self.recorder.lost();
                }
            }
        }
    }

    fn recorded(&mut self, recorded: Recorded) {
        let minute = self.clock.now().wall.as_secs() / 60;
        let row = self.recorder.recorded(recorded, minute);
        if !self.store.recording(row) {
            self.recorder.lost();
        }
    }

    fn net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Message(flow, bytes) => self.inputs.push_back(Input::Sip(flow, bytes)),
            NetEvent::Opened(flow, handle) => {
                let opened = |ticket| Input::FlowOpened(ticket, flow);
                self.inputs
                    .extend(self.net.opened(flow, handle).into_iter().map(opened));
            }
            NetEvent::Identified(flow, identity) => self.inputs.push_back(Input::Identified(flow, identity)),
            NetEvent::Failed(peer) => {
                self.inputs
                    .extend(self.net.failed(peer).into_iter().map(Input::FlowFailed));
            }
            NetEvent::Closed(flow) => {
                self.net.closed(flow);
                self.inputs.push_back(Input::FlowClosed(flow));
            }
            NetEvent::Answered(ticket, answer) => self.inputs.push_back(Input::Answered(ticket, answer)),
            NetEvent::Posted(ticket, taken) => self.inputs.push_back(Input::Posted(ticket, taken)),
        }
    }
}

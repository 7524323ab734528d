//! The signalling loop: one thread that owns a machine, its sockets, its store and the way to the media threads.

use super::clock::SystemClock;
use super::media::{MediaEvent, MediaThreads};
use super::net::{Net, NetEvent};
use super::record::Recorder;
use super::store::{Store, Written};
use crate::config::{Config, Listen};
use crate::effect::Output;
use crate::node::{Input, Node, aor};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Events of one kind that are handled before the others have their turn.
const TURN: usize = 128;
/// How often expired bindings are swept.
const SWEEP: Duration = Duration::from_secs(30);
/// After the grace time, calls get their BYE answered for at most this long.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// What an operator asks of a running node.
#[derive(Debug)]
pub enum Control {
    /// A checked configuration takes the place of the old one.
    Reload(Box<Config>),
    /// No new calls; those that are up have the configured grace time.
    Stop,
}

/// A node with everything around it.
pub struct Server {
    config: Arc<Config>,
    clock: SystemClock,
    node: Node,
    net: Net,
    store: Store,
    media: MediaThreads,
    recorder: Recorder,
    inputs: VecDeque<Input>,
    queues: Queues,
}

/// What wakes the loop.
struct Queues {
    net: mpsc::Receiver<NetEvent>,
    written: mpsc::Receiver<Written>,
    media: mpsc::Receiver<MediaEvent>,
    control: mpsc::Receiver<Control>,
}

impl Server {
    /// Opens the store and every socket. Must run within a tokio runtime. The error is a sentence for the operator.
    pub fn start(config: Config, control: mpsc::Receiver<Control>) -> Result<Server, String> {
        let clock = SystemClock::start();
        let now = clock.now();
        let (mut net, net_events) = Net::new(now.wall.0);
        for listen in &config.listen {
            net.listen(*listen)?;
        }
        let (store, written, closed) = Store::open(&config.store.path, now.wall)?;
        if closed > 0 {
            warn!("{closed} calls were up when the node was killed; their records are closed now");
        }
        let (media, media_events) = MediaThreads::start(&config.media, net.bound().iter().map(|l| l.addr), clock)?;
        let seed = super::clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
        let config = Arc::new(config);
        let node = Node::new(config.clone(), seed, now);
        let queues = Queues {
            net: net_events,
            written,
            media: media_events,
            control,
        };
        let recorder = Recorder::default();
        Ok(Server {
            config,
            clock,
            node,
            net,
            store,
            media,
            recorder,
            inputs: VecDeque::new(),
            queues,
        })
    }

    /// Where it listens.
    pub fn bound(&self) -> Vec<Listen> {
        self.net.bound()
    }

    /// Runs until it was stopped and nothing is left.
    pub async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut stop_at: Option<tokio::time::Instant> = None;
        let mut events = Vec::with_capacity(TURN);
        let mut media_events = Vec::with_capacity(TURN);
        loop {
            self.turn();
            let done = stop_at.is_some() && self.node.is_stopped();
            if done {
                break;
            }
            if self.node.calls_up() == 0
                && let Some(at) = &mut stop_at
            {
                // What is left are last answers: of a peer that is dead, perhaps.
                *at = (*at).min(tokio::time::Instant::now() + LAST_ANSWERS);
            }
            let wake = self.node.poll_timeout().map(|(at, _)| self.clock.tokio(at));
            // In order of urgency: an operator, the store and the media before new work from the network.
            tokio::select! {
                biased;
                control = self.queues.control.recv() => match control {
                    Some(Control::Reload(config)) => self.reload(*config),
                    Some(Control::Stop) if stop_at.is_none() => stop_at = Some(self.stop()),
                    // Asked twice, or nobody is left to ask: at once.
                    Some(Control::Stop) | None => break,
                },
                Some(written) = self.queues.written.recv() => {
                    let (ticket, reply) = self.store.written(written);
                    self.inputs.push_back(Input::Store(ticket, reply));
                }
                _ = self.queues.media.recv_many(&mut media_events, TURN) => {
                    for event in media_events.drain(..) {
                        self.inputs.extend(self.media.event(event).map(Input::Media));
                    }
                }
                _ = self.queues.net.recv_many(&mut events, TURN) => {
                    for event in events.drain(..) {
                        self.net_event(event);
                        // Effects of one message before the next: what it did is seen by it.
                        self.turn();
                    }
                }
                () = until(wake) => self.inputs.push_back(Input::Time),
                () = until(stop_at) => {
                    warn!("{} calls end without a last answer of their peers", self.node.census().calls);
                    break;
                }
                _ = sweep.tick() => self.store.sweep(self.clock.now().wall),
            }
        }
        self.close();
    }

    /// Feeds what waits to the machine and carries its effects out, until it is silent.
    fn turn(&mut self) {
        loop {
            while let Some(output) = self.node.poll_output() {
                self.carry_out(output);
            }
            let Some(input) = self.inputs.pop_front() else { return };
            self.node.handle(self.clock.now(), input);
        }
    }

    fn carry_out(&mut self, output: Output) {
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
            Output::Resolve(ticket, uri) => self.net.resolve(ticket, &uri),
            Output::Store(ticket, op) => {
                let reply = self.store.apply(ticket, op, self.clock.now().wall);
                self.inputs.extend(reply.map(|reply| Input::Store(ticket, reply)));
            }
            Output::Media(worker, command) => self.media.command(worker, command),
            Output::Ports(count) => self.inputs.push_back(Input::Ports(self.media.bind_ports(count))),
            Output::Record(fact) => {
                let minute = self.clock.now().wall.as_secs() / 60;
                if let Some(row) = self.recorder.fold(fact, minute)
                    && !self.store.call(row)
                {
                    self.recorder.lost();
                }
            }
        }
    }

    fn net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Message(flow, bytes) => self.inputs.push_back(Input::Sip(flow, bytes)),
            NetEvent::Opened(ticket, flow, handle) => {
                self.net.opened(flow, handle);
                self.inputs.extend(ticket.map(|ticket| Input::FlowOpened(ticket, flow)));
            }
            NetEvent::Failed(ticket) => self.inputs.push_back(Input::FlowFailed(ticket)),
            NetEvent::Closed(flow) => {
                self.net.closed(flow);
                self.inputs.push_back(Input::FlowClosed(flow));
            }
            NetEvent::Resolved(ticket, targets) => self.inputs.push_back(Input::Resolved(ticket, targets)),
        }
    }

    /// Switches to a new configuration everywhere at once, or refuses it whole.
    fn reload(&mut self, config: Config) {
        let changes = Config::diff(&self.config, &config);
        if !changes.restart.is_empty() {
            warn!(
                "reload refused, nothing was changed: {} can only change by a restart",
                changes.restart.join(", ")
            );
            return;
        }
        for (opened, listen) in changes.listeners_added.iter().enumerate() {
            if let Err(why) = self.net.listen(*listen) {
                changes.listeners_added[..opened]
                    .iter()
                    .for_each(|listen| self.net.unlisten(*listen));
                warn!("reload refused, nothing was changed: {why}");
                return;
            }
        }
        for listen in &changes.listeners_removed {
            self.net.unlisten(*listen);
        }
        for sentence in &changes.sentences {
            info!("reloaded: {sentence}");
        }
        self.media.set_ports(&config.media);
        let kept: Vec<_> = config.users.iter().map(aor).collect();
        for gone in self.store.retain(|aor| kept.contains(aor)) {
            info!("reloaded: the bindings of {gone} are removed");
        }
        self.config = Arc::new(config);
        self.inputs.push_back(Input::Config(self.config.clone()));
    }

    fn stop(&mut self) -> tokio::time::Instant {
        let grace = self.config.calls.stop_grace;
        let calls = self.node.calls_up();
        info!(
            "stopping: no new calls; {calls} calls that are up have {} s",
            grace.as_secs()
        );
        self.inputs.push_back(Input::Stop(grace));
        tokio::time::Instant::now() + grace + LAST_ANSWERS
    }

    fn close(mut self) {
        self.turn();
        drop(self.queues);
        self.media.stop();
        self.store.close();
        info!("stopped");
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

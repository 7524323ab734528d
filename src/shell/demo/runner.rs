//! One phone of the demo with real sockets and real media: carries its effects out, speaks a tone and keeps what it hears.

use crate::config::Config;
use crate::effect::{Answer, Fact, Output};
use crate::id::{Flow, WorkerId};
use crate::media::command::{Command as Media, LegSpec};
use crate::media::packet::{Channel, Packet};
use crate::media::witness::{self, Testimony};
use crate::phone::{Command, Input, Phone, Report, Settings};
use crate::pii::Scrubbed;
use crate::shell::clock::{self, SystemClock};
use crate::shell::media::{MediaEvent, MediaThreads, Tap};
use crate::shell::net::{Net, NetEvent};
use crate::sip::witness::{self as ladder, Step};
use bytes::Bytes;
use codecs::tone::Sine;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Samples in each ring between the runner and its media thread: one second at 8 kHz.
const RING: usize = 8000;
/// Datagrams in the ring of the wire: five seconds of packets of 20 ms.
const WIRE: usize = 256;
/// How often the rings are served.
const SERVE: Duration = Duration::from_millis(10);
/// Samples that are kept ready for the media thread: 400 ms, so that a busy machine leaves no gap in a tone.
const AHEAD: usize = 3200;
/// How long one call is recorded at most.
const RECORDED: usize = 8000 * 60;
const RATE: u32 = 8000;
/// The level of the tone that a phone speaks.
const LEVEL: f32 = -16.0;

/// What the script hears of a phone.
#[derive(Debug)]
pub enum Heard {
    /// As the phone reports it.
    Report(Report),
    /// What was received in the call that has ended, at 8 kHz.
    Sound(Vec<i16>),
    /// A SIP message was sent (true) or received, as rsip reads it.
    Step(bool, Step),
    /// A SIP message that rsip cannot read, or that fits nowhere: a sentence.
    Objection(String),
    /// What arrived in the call that has ended, as the crates rtp and rtcp read it. Comes before `Report::Media`.
    Testimony(Testimony),
}

/// The script's end of a phone.
pub struct Handle {
    /// What to do.
    pub commands: mpsc::Sender<Command>,
    /// What happened.
    pub heard: mpsc::Receiver<Heard>,
}

struct Sound {
    heard: rtrb::Consumer<i16>,
    spoken: rtrb::Producer<i16>,
    recorded: Vec<i16>,
}

/// The media that arrives, and who counts it.
struct Wire {
    arriving: rtrb::Consumer<(Channel, Packet)>,
    witness: witness::Witness,
}

struct Runner {
    clock: SystemClock,
    phone: Phone,
    net: Net,
    media: MediaThreads,
    inputs: VecDeque<Input>,
    tone: Sine,
    sound: Option<Sound>,
    wire: Option<Wire>,
    ladder: ladder::Witness,
    told: mpsc::Sender<Heard>,
}

/// Starts a phone as a task of the current runtime. It speaks a tone of `hz` in its calls.
pub fn start(config: Config, settings: Settings, hz: f32) -> Result<Handle, String> {
    let clock = SystemClock::start();
    let (mut net, net_events) =
        Net::new(clock.now().wall.0).map_err(|error| format!("the system gives no events of sockets: {error}"))?;
    for listen in &config.listen {
        net.listen(*listen)?;
    }
    let (media, media_events) = MediaThreads::start(&config.media, net.bound().iter().map(|l| l.addr), clock)?;
    let seed = clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
    let (commands, orders) = mpsc::channel(16);
    let (told, heard) = mpsc::channel(1024);
    let runner = Runner {
        clock,
        phone: Phone::new(Arc::new(config), settings, seed),
        net,
        media,
        inputs: VecDeque::new(),
        tone: Sine::new(hz, LEVEL, RATE),
        sound: None,
        wire: None,
        ladder: ladder::Witness::default(),
        told,
    };
    tokio::task::spawn_local(runner.run(net_events, media_events, orders));
    Ok(Handle { commands, heard })
}

impl Runner {
    async fn run(
        mut self,
        mut net: mpsc::Receiver<NetEvent>,
        mut media: mpsc::Receiver<MediaEvent>,
        mut orders: mpsc::Receiver<Command>,
    ) {
        let mut serve = tokio::time::interval(SERVE);
        loop {
            self.turn();
            self.media.flush();
            self.net.flush();
            let wake = self.phone.poll_timeout().map(|at| self.clock.tokio(at));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.phone.command(self.clock.now(), order),
                    None => break,
                },
                Some(event) = net.recv() => self.net_event(event),
                Some(event) = media.recv() => {
                    self.inputs.extend(self.media.event(event).map(Input::Media));
                }
                _ = serve.tick() => {
                    self.serve();
                    self.datagrams();
                }
                () = until(wake) => self.inputs.push_back(Input::Time),
            }
        }
        self.media.stop();
    }

    fn turn(&mut self) {
        loop {
            while let Some(output) = self.phone.poll_output() {
                self.carry_out(output);
            }
            while let Some(report) = self.phone.poll_report() {
                self.report(report);
            }
            let Some(input) = self.inputs.pop_front() else { return };
            self.phone.handle(self.clock.now(), input);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(flow, bytes) => {
                self.step(true, &bytes);
                if !self.net.send(flow, bytes) {
                    self.inputs.push_back(Input::FlowClosed(flow));
                }
            }
            Output::Connect(ticket, target) => {
                if let Some(flow) = self.net.connect(ticket, target) {
                    self.inputs.push_back(Input::Flow(ticket, flow.ok()));
                }
            }
            Output::Query(ticket, question) => {
                if !self.net.query(ticket, question) {
                    self.inputs.push_back(Input::Answered(ticket, Answer::default()));
                }
            }
            Output::Media(worker, command) => {
                match &command {
                    // Before the leg has its sockets: nothing may arrive unseen.
                    Media::Open(spec) => self.listen(worker, spec),
                    Media::Negotiated { stream, .. } => {
                        let events = stream.events_rx.map(|format| format.payload_type);
                        if let Some(wire) = &mut self.wire {
                            wire.witness.agreed(stream.payload_type_rx, events);
                        }
                    }
                    Media::Protect { .. }
                    | Media::Connect { .. }
                    | Media::Video { .. }
                    | Media::Function { .. }
                    | Media::Play { .. }
                    | Media::SendDigits { .. }
                    | Media::Watch { .. }
                    | Media::Record { .. }
                    | Media::Seat { .. }
                    | Media::OpenRoom(_)
                    | Media::CloseRoom(_)
                    | Media::LinkRoom { .. }
                    | Media::PlayRoom { .. }
                    | Media::RecordRoom { .. }
                    | Media::Move { .. }
                    | Media::ReadStats(_)
                    | Media::Close(_) => {}
                }
                let ended = self.media.command(worker, command);
                self.inputs.extend(ended.map(Input::Media));
            }
            Output::Ports(count) => self.inputs.push_back(Input::Ports(self.media.bind_ports(count))),
            Output::Record(Fact::Warning(text)) => tracing::warn!("{}", Scrubbed(&text)),
            // A phone asks no store, wakes nobody, leaves no records, and takes neither connections nor commands of strangers.
            Output::Record(_)
            | Output::Store(..)
            | Output::Post(..)
            | Output::Known(_)
            | Output::Alias(..)
            | Output::Ng(..)
            | Output::Control { .. }
            | Output::Api(..) => {}
        }
    }

    /// Fetches what has come. Looked for as often as the rings are served, which for a phone is soon enough.
    fn datagrams(&mut self) {
        self.net.wait(None, Some(Duration::ZERO));
        while let Some((flow, bytes)) = self.net.datagram() {
            self.message(flow, bytes);
        }
    }

    fn message(&mut self, flow: Flow, bytes: Bytes) {
        self.step(false, &bytes);
        self.inputs.push_back(Input::Sip(flow, bytes));
    }

    fn net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Message(flow, bytes) => self.message(flow, bytes),
            NetEvent::Opened(flow, handle) => {
                let opened = |ticket| Input::Flow(ticket, Some(flow));
                self.inputs
                    .extend(self.net.opened(flow, handle).into_iter().map(opened));
            }
            NetEvent::Identified(..) => {}
            NetEvent::Failed(peer) => {
                let failed = |ticket| Input::Flow(ticket, None);
                self.inputs.extend(self.net.failed(peer).into_iter().map(failed));
            }
            NetEvent::Closed(flow) => {
                self.net.closed(flow);
                self.inputs.push_back(Input::FlowClosed(flow));
            }
            NetEvent::Answered(ticket, answer) => self.inputs.push_back(Input::Answered(ticket, answer)),
            NetEvent::Posted(..) => {}
        }
    }

    fn report(&mut self, report: Report) {
        match &report {
            Report::Media(_) => {
                self.serve();
                if let Some(wire) = self.wire.take() {
                    let testimony = wire.witness.testimony().clone();
                    let _ = self.told.try_send(Heard::Testimony(testimony));
                }
            }
            Report::Ended { .. } => {
                self.serve();
                if let Some(sound) = self.sound.take() {
                    let _ = self.told.try_send(Heard::Sound(sound.recorded));
                }
            }
            Report::Registered
            | Report::NotRegistered(_)
            | Report::Incoming
            | Report::Ringing
            | Report::Up(..)
            | Report::Held(_)
            | Report::Changed
            | Report::Digit(_) => {}
        }
        // The script takes them as they come; it is never a thousand behind.
        let _ = self.told.try_send(Heard::Report(report));
    }

    /// Shows a message to the witness, and the script what it is.
    fn step(&mut self, sent: bool, octets: &Bytes) {
        let heard = match self.ladder.message(sent, octets) {
            Ok(step) => Heard::Step(sent, step),
            Err(why) => Heard::Objection(why),
        };
        let _ = self.told.try_send(heard);
    }

    fn listen(&mut self, worker: WorkerId, leg: &LegSpec) {
        let (heard_in, heard) = rtrb::RingBuffer::new(RING);
        let (spoken, spoken_out) = rtrb::RingBuffer::new(RING);
        let (wire, arriving) = rtrb::RingBuffer::new(WIRE);
        let tap = Tap {
            wire,
            heard: heard_in,
            spoken: spoken_out,
        };
        self.media.tap(worker, leg.id, tap);
        self.wire = Some(Wire {
            arriving,
            witness: witness::Witness::new(leg.ssrc),
        });
        self.sound = Some(Sound {
            heard,
            spoken,
            recorded: Vec::new(),
        });
    }

    fn serve(&mut self) {
        if let Some(wire) = &mut self.wire {
            while let Ok((channel, packet)) = wire.arriving.pop() {
                wire.witness.datagram(channel, packet.as_slice());
            }
        }
        let Some(sound) = &mut self.sound else { return };
        while let Ok(sample) = sound.heard.pop() {
            if sound.recorded.len() < RECORDED {
                sound.recorded.push(sample);
            }
        }
        while RING - sound.spoken.slots() < AHEAD {
            let mut samples = [0; 80];
            self.tone.fill(&mut samples);
            for sample in samples {
                // There is room: the loop looked.
                let _ = sound.spoken.push(sample);
            }
        }
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

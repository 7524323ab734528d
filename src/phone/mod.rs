//! A scriptable phone: registers, calls, answers, holds, sends digits. It lives on the same transactions, dialogs, offers and
//! media as the node, and plays the people and the carrier of the demo. One call at a time.

mod call;
mod register;

use crate::config::Config;
use crate::cx::{Cx, Tickets};
use crate::effect::Output;
use crate::id::{Flow, MediaLegId, Owner};
use crate::limits;
use crate::media::command::{Event as MediaEvent, LegStats, Port};
use crate::pii::{Digit, Digits, Secret};
use crate::sdp::Capabilities;
use crate::sip::{Draft, Message, Method, Name, Uri, auth};
use crate::time::{Clock, Instant};
use crate::transaction::{Event, Layer};
use call::Call;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use register::Registration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// `Owner::Phone` of the registration; those of calls count up from the next number.
const REGISTRATION: u64 = 0;

/// Who a phone is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of record: From of its calls.
    pub identity: Uri,
    /// Where its requests go first.
    pub proxy: Uri,
    /// For digest challenges.
    pub password: Option<Secret>,
    /// What it can speak.
    pub capabilities: Capabilities,
    /// How long it rings before it answers.
    pub answer_after: Duration,
}

/// What a phone is told to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Registers for an hour.
    Register,
    /// Calls somebody.
    Call(Uri),
    /// Puts the other side on hold.
    Hold,
    /// Takes it back.
    Resume,
    /// Sends DTMF.
    Digits(Digits),
    /// Ends the call, or gives it up.
    HangUp,
}

/// What a phone tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The registrar said yes.
    Registered,
    /// The registrar said no, or nothing (0).
    NotRegistered(u16),
    /// Somebody calls.
    Incoming,
    /// It rings at the other side.
    Ringing,
    /// The call is up; its media leg and the codec's name.
    Up(MediaLegId, &'static str),
    /// The other side has put us on hold, or taken us back.
    Held(bool),
    /// Our own hold or resume was accepted.
    Changed,
    /// The other side sent a digit.
    Digit(Digit),
    /// The call is over: the status (200 after it was up), and who ended it.
    Ended {
        /// SIP status.
        status: u16,
        /// True when it was this phone.
        by_us: bool,
    },
    /// What the media of the last call saw.
    Media(LegStats),
}

/// A phone.
pub struct Phone {
    config: Arc<Config>,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    line: Line,
}

/// What a phone consists of beside its context.
struct Line {
    settings: Settings,
    layer: Layer,
    reports: VecDeque<Report>,
    registration: Registration,
    call: Option<Call>,
    calls: u64,
    ports: Vec<Port>,
}

impl Phone {
    /// A phone that does nothing yet. Of the configuration it uses where to listen and the media ports.
    pub fn new(config: Arc<Config>, settings: Settings, seed: [u8; 32]) -> Phone {
        let line = Line {
            settings,
            layer: Layer::default(),
            reports: VecDeque::new(),
            registration: Registration::default(),
            call: None,
            calls: 0,
            ports: Vec::new(),
        };
        let out = VecDeque::from([Output::Ports(limits::SPARE_PORTS)]);
        Phone {
            config,
            rng: ChaCha12Rng::from_seed(seed),
            tickets: Tickets::default(),
            out,
            line,
        }
    }

    /// Does what it is told; a command that makes no sense now is ignored.
    pub fn command(&mut self, at: Clock, command: Command) {
        self.step(at, |line, cx| match command {
            Command::Register => line.register(cx),
            Command::Call(to) => line.begin_call(cx, to),
            Command::Hold => line.change(cx, true),
            Command::Resume => line.change(cx, false),
            Command::Digits(digits) => line.digits(cx, digits),
            Command::HangUp => line.hang_up(cx),
        });
    }

    /// One mutation; then drain `poll_output` and `poll_report`.
    pub fn handle(&mut self, at: Clock, input: Input) {
        self.step(at, |line, cx| line.input(cx, input));
    }

    /// The next effect, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The next thing to tell, in order.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.line.reports.pop_front()
    }

    /// When `Input::Time` is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = self.line.call.as_ref().and_then(Call::next_deadline);
        [self.line.layer.next_deadline(), self.tickets.next_deadline(), call]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self, at: Clock, work: impl FnOnce(&mut Line, &mut Cx<'_>)) {
        let Phone {
            config,
            rng,
            tickets,
            out,
            line,
        } = self;
        let mut cx = Cx {
            now: at.now,
            wall: at.wall,
            rng,
            config,
            out,
            tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        work(line, &mut cx);
        while let Some(event) = line.layer.poll() {
            line.event(&mut cx, event);
        }
    }
}

impl Line {
    fn input(&mut self, cx: &mut Cx<'_>, input: Input) {
        match input {
            Input::Sip(flow, bytes) => {
                if let Ok(message) = Message::parse(bytes) {
                    self.layer.receive(cx, flow, message);
                }
            }
            Input::Flow(ticket, flow) => {
                if cx.tickets.take(ticket).is_some() {
                    self.layer.on_flow(cx, ticket, flow);
                }
            }
            Input::Answered(ticket, answer) => {
                if cx.tickets.take(ticket).is_some() {
                    self.layer.on_answer(cx, ticket, answer);
                }
            }
            Input::FlowClosed(flow) => self.layer.on_flow_closed(cx, flow),
            Input::Media(event) => self.media(event),
            Input::Ports(ports) => self.ports.extend(ports),
            Input::Time => {
                while let Some((ticket, _)) = cx.tickets.pop_due(cx.now) {
                    self.layer.on_late(cx, ticket);
                }
                self.layer.on_time(cx);
                self.call_time(cx);
            }
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let owner = match &event {
            Event::Reached { owner, .. }
            | Event::Unreachable { owner, .. }
            | Event::Response { owner, .. }
            | Event::Failed { owner, .. } => Some(*owner),
            Event::Request { .. } | Event::Cancelled { .. } | Event::Ack { .. } | Event::ServerGone { .. } => None,
        };
        if owner == Some(Owner::Phone(REGISTRATION)) {
            self.registration_event(cx, event);
        } else {
            self.call_event(cx, event);
        }
    }

    fn media(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Digit { digit, .. } => self.reports.push_back(Report::Digit(digit)),
            MediaEvent::Closed(_, stats) | MediaEvent::Stats(_, stats) => self.reports.push_back(Report::Media(stats)),
            MediaEvent::Started(..) | MediaEvent::Silent(_) | MediaEvent::Trouble { .. } => {}
            MediaEvent::Played(_) | MediaEvent::Noted(..) | MediaEvent::Moved(..) => {}
            MediaEvent::DataTone { .. } | MediaEvent::Setup(..) => {}
            MediaEvent::Speaking { .. }
            | MediaEvent::Shows { .. }
            | MediaEvent::RoomPlayed(_)
            | MediaEvent::RoomMeasured(..) => {}
        }
    }

    /// A copy of a challenged request with credentials and the next CSeq; `None` when we have none that fit.
    fn authorised(&mut self, cx: &mut Cx<'_>, request: &Draft, challenge: &Message) -> Option<Draft> {
        let password = self.settings.password.as_ref()?;
        let (name, challenge) = auth::challenges(challenge).into_iter().next()?;
        let crate::sip::write::Start::Request(method, uri) = &request.start else {
            return None;
        };
        let mut again = request.clone();
        again.remove(Name::Via);
        let number: u32 = request.get(Name::CSeq)?.split(' ').next()?.parse().ok()?;
        again.set(Name::CSeq, format!("{} {method}", number + 1));
        let user = self.settings.identity.user.as_deref().unwrap_or_default();
        let value = auth::answer(&challenge, user, password, method, &uri.to_string(), &cx.token(8), 1);
        let field = if name == Name::ProxyAuthenticate {
            Name::ProxyAuthorization
        } else {
            Name::Authorization
        };
        again.set(field, value);
        Some(again)
    }

    /// Contact of our messages on this flow.
    fn contact(&self, cx: &Cx<'_>, flow: Flow) -> String {
        let us = cx.advertised(flow);
        let user = self.settings.identity.user.as_deref().unwrap_or("phone");
        format!("<sip:{user}@{us};transport={}>", flow.transport.param())
    }

    /// A request outside of a dialog (RFC 3261 8.1.1), without Via.
    fn first_request(&self, cx: &mut Cx<'_>, method: Method, target: Uri, to: &Uri) -> Draft {
        let mut draft = Draft::request(method.clone(), target);
        draft.push(Name::MaxForwards, crate::sip::write::MAX_FORWARDS);
        draft.push(Name::From, format!("<{}>;tag={}", self.settings.identity, cx.token(8)));
        draft.push(Name::To, format!("<{to}>"));
        draft.push(Name::CallId, cx.token(16));
        draft.push(Name::CSeq, format!("1 {method}"));
        draft.push(Name::UserAgent, crate::USER_AGENT);
        draft
    }
}

/// What the shell tells a phone: as the node's inputs, without what a phone has not.
#[derive(Clone, Debug)]
pub enum Input {
    /// One framed message.
    Sip(Flow, bytes::Bytes),
    /// Answer to `Output::Connect`; `None` when it failed.
    Flow(crate::id::Ticket, Option<Flow>),
    /// Answer to `Output::Query`.
    Answered(crate::id::Ticket, crate::effect::Answer),
    /// A connection ended.
    FlowClosed(Flow),
    /// From its media worker.
    Media(MediaEvent),
    /// Answer to `Output::Ports`.
    Ports(Vec<Port>),
    /// Nothing but time has passed.
    Time,
}

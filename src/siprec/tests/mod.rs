//! Recording sessions with nothing around them: a server is an address that writes messages by hand.

mod changes;
mod endings;
mod sessions;

use super::order::{Order, Speaker, Subject};
use super::{Lost, Siprec};
use crate::config::{Config, Sources};
use crate::cx::{ChaCha12Rng, Cx, SeedableRng, Tickets};
use crate::effect::{Answer, Fact, Output, Record};
use crate::id::{CallId, ConnectionId, Flow, LegNo, ListenerId, MediaLegId, Transport, WorkerId};
use crate::media::command::{Command, Event as MediaEvent, Format, Function, LegStats, Of, Port, Recording, Stream};
use crate::sdp::Session;
use crate::sip::multipart::{Part, parts};
use crate::sip::{Draft, Message, Method, Name, Uri};
use crate::stock::Stock;
use crate::time::{Instant, Wall};
use crate::transaction::{Event, Layer};
use bytes::Bytes;
use codecs::Codec;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const SRS: &str = "192.0.2.9:5060";

/// The configuration with this in `recording.siprec`, beside a server.
pub fn config(siprec: &str) -> Arc<Config> {
    let server = match siprec.contains("server:") {
        true => "",
        false => "server: \"sip:srs@192.0.2.9\",",
    };
    let yaml = format!(
        "listen: [ \"udp://192.0.2.1:5060\", \"tcp://192.0.2.1:5060\" ]\nmedia: {{ workers: 2 }}\n\
         recording: {{ siprec: {{ {server} {siprec} }} }}\n"
    );
    match crate::config::parse("test", &yaml, &Sources::NONE) {
        Ok(config) => Arc::new(config),
        Err(problems) => panic!("{problems:?}"),
    }
}

pub fn speaker(no: u16, aor: &str) -> Speaker {
    Speaker {
        who: (CallId(1), LegNo(no)),
        aor: aor.to_owned(),
        name: None,
        media: Some((MediaLegId(1_000 + u64::from(no)), WorkerId(0))),
        codec: Codec::Pcma,
        comfort_noise: false,
        sends: true,
        hears: true,
    }
}

/// Alice and bob talk.
pub fn subject() -> Subject {
    let alice = Speaker {
        name: Some("Alice".to_owned()),
        ..speaker(0, "sip:alice@example.com")
    };
    Subject {
        recording: Recording {
            call: CallId(1),
            number: 1,
            begun: Wall(1_700_000_000_000),
            is_wide: false,
            format: Format::Wav,
            of: Of::Call,
        },
        session_id: None,
        speakers: [Some(alice), Some(speaker(1, "sip:bob@example.com"))],
    }
}

/// One media leg as its worker knows it.
#[derive(Clone, Debug, Default)]
pub struct Leg {
    pub port: u16,
    pub worker: u16,
    pub stream: Option<Stream>,
    pub to: Option<SocketAddr>,
    pub copies: Option<MediaLegId>,
    pub is_protected: bool,
}

pub struct Bench {
    pub siprec: Siprec,
    pub layer: Layer,
    pub stock: Stock,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    pub config: Arc<Config>,
    pub now: Instant,
    pub inbox: VecDeque<(SocketAddr, Message)>,
    pub facts: Vec<Fact>,
    pub lost: Vec<Lost>,
    pub legs: BTreeMap<MediaLegId, Leg>,
    /// Moves wait for the test.
    pub is_slow: bool,
    pub moving: Vec<(MediaLegId, WorkerId)>,
    branch: u32,
    port: u16,
    /// The last CSeq of the server, and that of its last INVITE.
    cseq: (u32, u32),
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn flow(transport: Transport, peer: SocketAddr) -> Flow {
    Flow {
        transport,
        listener: ListenerId(0),
        connection: ConnectionId(u64::from(transport.is_reliable())),
        local: addr("192.0.2.1:5060"),
        peer,
    }
}

/// A description of a server: its direction for each stream, and the port of the first.
pub fn answer(port: u16, directions: &[&str]) -> String {
    let mut text = "v=0\r\no=srs 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n".to_owned();
    for (at, direction) in (0u16..).zip(directions) {
        let port = if *direction == "refused" { 0 } else { port + 2 * at };
        let direction = direction.replace("refused", "inactive");
        text.push_str(&format!(
            "m=audio {port} RTP/AVP 8 0 9\r\na={direction}\r\na=label:{}\r\n",
            at + 1
        ));
    }
    text
}

impl Bench {
    pub fn new(siprec: &str) -> Bench {
        let mut bench = Bench {
            siprec: Siprec::default(),
            layer: Layer::default(),
            stock: Stock::default(),
            rng: ChaCha12Rng::seed_from_u64(1),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            config: config(siprec),
            now: Instant::ZERO,
            inbox: VecDeque::new(),
            facts: Vec::new(),
            lost: Vec::new(),
            legs: BTreeMap::new(),
            is_slow: false,
            moving: Vec::new(),
            branch: 0,
            port: 20_000,
            cseq: (100, 0),
        };
        bench.with(|_, cx, _, _| cx.emit(Output::Ports(64)));
        bench
    }

    pub fn with<R>(&mut self, step: impl FnOnce(&mut Siprec, &mut Cx<'_>, &mut Layer, &mut Stock) -> R) -> R {
        let mut cx = Cx {
            now: self.now,
            wall: Wall(1_700_000_000_000 + self.now.as_millis()),
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        let result = step(&mut self.siprec, &mut cx, &mut self.layer, &mut self.stock);
        while let Some(lost) = self.siprec.poll_lost() {
            self.lost.push(lost);
        }
        self.pump();
        result
    }

    fn pump(&mut self) {
        loop {
            if let Some(event) = self.layer.poll() {
                self.event(event);
            } else if let Some(output) = self.out.pop_front() {
                self.output(output);
            } else {
                return;
            }
        }
    }

    fn event(&mut self, event: Event) {
        let owner = match &event {
            Event::Reached { owner, .. }
            | Event::Unreachable { owner, .. }
            | Event::Response { owner, .. }
            | Event::Failed { owner, .. } => Some(*owner),
            Event::Request { .. } | Event::Ack { .. } | Event::Cancelled { .. } | Event::ServerGone { .. } => None,
        };
        match (owner, event) {
            (Some(crate::id::Owner::Recording(number)), event) => {
                self.with(|siprec, cx, layer, stock| siprec.event(cx, layer, stock, number, event));
            }
            (Some(other), event) => panic!("{other:?}: {event:?}"),
            (None, Event::Request { flow, request }) => self.with(|siprec, cx, layer, stock| {
                let tx = layer.accept(cx, flow, &request).unwrap();
                assert!(siprec.owns(&request), "{request:?}");
                siprec.request(cx, layer, stock, tx, &request);
            }),
            (None, Event::Ack { request, .. }) => {
                self.with(|siprec, cx, layer, stock| siprec.ack(cx, layer, stock, &request));
            }
            (None, _) => {}
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send(flow, bytes) => {
                let message = Message::parse(bytes).unwrap();
                message.check().unwrap_or_else(|error| panic!("{error:?}: {message:?}"));
                self.inbox.push_back((flow.peer, message));
            }
            Output::Connect(ticket, target) => {
                self.tickets.take(ticket);
                let found = flow(target.transport, target.addr);
                self.with(|_, cx, layer, _| layer.on_flow(cx, ticket, Some(found)));
            }
            Output::Query(ticket, question) => {
                self.tickets.take(ticket);
                let answer = match (&*question.name, question.kind) {
                    ("rec.example", crate::effect::Kind::A) => Answer {
                        records: vec![
                            Record::Address(addr(SRS).ip()),
                            Record::Address("192.0.2.10".parse().unwrap()),
                        ],
                        ttl: Duration::from_secs(60),
                    },
                    _ => Answer::default(),
                };
                self.with(|_, cx, layer, _| layer.on_answer(cx, ticket, answer));
            }
            Output::Media(worker, command) => self.media(worker, command),
            Output::Ports(count) => {
                let ports = (0..count).map(|_| {
                    self.port += 2;
                    Port {
                        rtp: self.port,
                        v6: false,
                    }
                });
                self.stock.add(ports.collect());
            }
            Output::Record(fact) => self.facts.push(fact),
            Output::Known(_) | Output::Alias(..) => {}
            Output::Store(..) | Output::Post(..) | Output::Ng(..) | Output::Control { .. } | Output::Api(..) => {
                panic!("{output:?}")
            }
        }
    }

    fn media(&mut self, worker: WorkerId, command: Command) {
        let id = command.leg().expect("a command about a leg");
        if let Command::Open(spec) = &command {
            let leg = Leg {
                port: spec.port.rtp,
                worker: worker.0,
                ..Leg::default()
            };
            assert!(self.legs.insert(id, leg).is_none());
            return;
        }
        let leg = self.legs.get_mut(&id).expect("it is open");
        assert_eq!(leg.worker, worker.0, "{command:?}");
        match command {
            Command::Negotiated { remote, stream, .. } => (leg.to, leg.stream) = (Some(remote.rtp), Some(stream)),
            Command::Protect { keys, .. } => leg.is_protected = keys.is_some(),
            Command::Function { function, .. } => {
                leg.copies = match function {
                    Function::Fork(source) => Some(source),
                    Function::Idle => None,
                    other => panic!("{other:?}"),
                };
            }
            Command::Move { to, .. } => {
                (leg.worker, leg.copies) = (to.0, None);
                self.moving.push((id, to));
                if !self.is_slow {
                    self.arrive();
                }
            }
            Command::Close(_) => {
                self.legs.remove(&id);
                self.event_of(MediaEvent::Closed(id, LegStats::default()));
            }
            other => panic!("{other:?}"),
        }
    }

    /// What moves has come.
    pub fn arrive(&mut self) {
        for (leg, to) in std::mem::take(&mut self.moving) {
            self.event_of(MediaEvent::Moved(leg, to));
        }
    }

    pub fn event_of(&mut self, event: MediaEvent) {
        let is_ours = self.with(|siprec, cx, layer, stock| siprec.media(cx, layer, stock, &event));
        assert!(is_ours, "{event:?}");
    }

    /// The call is recorded like this.
    pub fn record(&mut self, subject: &Subject) {
        let order = Order::Record(self.config.clone(), Box::new(subject.clone()));
        self.with(|siprec, cx, layer, stock| siprec.order(cx, layer, stock, order));
    }

    pub fn stop(&mut self) {
        self.with(|siprec, cx, layer, stock| siprec.order(cx, layer, stock, Order::Stop(CallId(1))));
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.siprec.next_deadline(), self.layer.next_deadline()]
                .into_iter()
                .flatten()
                .min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.with(|siprec, cx, layer, stock| {
                layer.on_time(cx);
                siprec.on_time(cx, layer, stock);
            });
        }
        self.now = end;
    }

    pub fn receive(&mut self, from: &str, draft: &Draft) {
        let bytes = draft.to_bytes();
        let message = Message::parse(bytes).unwrap();
        let flow = flow(Transport::Udp, addr(from));
        self.with(|_, cx, layer, _| layer.receive(cx, flow, message));
    }

    /// The next message to a server, which is of this kind: a method, or a status.
    pub fn take(&mut self, kind: &str) -> Message {
        let Some((_, message)) = self.inbox.pop_front() else {
            panic!("{kind} should have come")
        };
        let is = match message.is_request() {
            true => message.method().as_str().to_owned(),
            false => message.status().to_string(),
        };
        assert_eq!(is, kind, "{message:?}");
        message
    }

    pub fn nothing(&self) {
        assert!(self.inbox.is_empty(), "{:?}", self.inbox);
    }

    /// A server answers a request of ours; with a description where there is one.
    pub fn respond(&mut self, request: &Message, status: u16, body: &str) {
        self.respond_as(SRS, request, status, body, "srs");
    }

    pub fn respond_as(&mut self, from: &str, request: &Message, status: u16, body: &str, tag: &str) {
        let mut response = Draft::response(request, status, Some(tag));
        response.push(Name::Contact, format!("<sip:srs@{from}>"));
        if status == 422 {
            response.push(Name::MinSe, 3_600);
        }
        if !body.is_empty() {
            response.set_body("application/sdp", body.to_owned());
        }
        self.receive(from, &response);
    }

    /// A session that is up: the INVITE that began it.
    pub fn up(&mut self, subject: &Subject) -> Message {
        self.record(subject);
        let invite = self.take("INVITE");
        self.respond(&invite, 200, &answer(40_000, &["recvonly", "recvonly"]));
        self.take("ACK");
        self.nothing();
        invite
    }

    /// A request of the server in the dialog that this INVITE began.
    pub fn ask(&mut self, invite: &Message, method: Method, body: Option<(&str, &str)>) {
        self.cseq.0 += 1;
        if method == Method::Invite {
            self.cseq.1 = self.cseq.0;
        }
        self.branch += 1;
        let contact = invite.get(Name::Contact).unwrap().into_owned();
        let contact = contact.strip_prefix('<').unwrap().split('>').next().unwrap();
        let mut request = Draft::request(method.clone(), Uri::parse(contact).unwrap());
        request.push(Name::Via, format!("SIP/2.0/UDP {SRS};branch=z9hG4bKsrs{}", self.branch));
        request.push(Name::MaxForwards, 70);
        request.push(Name::From, format!("{};tag=srs", invite.get(Name::To).unwrap()));
        request.push(Name::To, invite.get(Name::From).unwrap());
        request.push(Name::CallId, invite.call_id());
        request.push(Name::CSeq, format!("{} {method}", self.cseq.0));
        request.push(Name::Contact, format!("<sip:srs@{SRS}>;+sip.srs"));
        request.push(Name::Require, "siprec");
        if let Some((kind, body)) = body {
            request.set_body(kind, body.to_owned());
        }
        self.receive(SRS, &request);
    }

    /// The ACK of our 2xx to an INVITE of the server, with a description where there is one.
    pub fn acknowledge(&mut self, invite: &Message, body: &str) {
        self.branch += 1;
        let mut ack = Draft::request(Method::Ack, Uri::parse("sip:tandem@192.0.2.1:5060").unwrap());
        ack.push(Name::Via, format!("SIP/2.0/UDP {SRS};branch=z9hG4bKack{}", self.branch));
        ack.push(Name::MaxForwards, 70);
        ack.push(Name::From, format!("{};tag=srs", invite.get(Name::To).unwrap()));
        ack.push(Name::To, invite.get(Name::From).unwrap());
        ack.push(Name::CallId, invite.call_id());
        ack.push(Name::CSeq, format!("{} ACK", self.cseq.1));
        if !body.is_empty() {
            ack.set_body("application/sdp", body.to_owned());
        }
        self.receive(SRS, &ack);
    }

    /// Of whom the streams have a copy, and whether they send it.
    pub fn copies(&self) -> Vec<(Option<MediaLegId>, bool)> {
        let sends = |leg: &Leg| leg.stream.is_some_and(|stream| stream.sends);
        self.legs.values().map(|leg| (leg.copies, sends(leg))).collect()
    }

    /// How the record of the last session ended, if it did.
    pub fn ended(&self) -> Option<(u64, Option<String>)> {
        self.facts.iter().rev().find_map(|fact| match fact {
            Fact::RecordingSessionEnded { millis, fault, .. } => Some((*millis, fault.clone())),
            _other => None,
        })
    }

    /// Nothing is left, once the last transactions are.
    pub fn finish(mut self) {
        self.pass(Duration::from_secs(64));
        assert!(self.siprec.is_empty() && self.legs.is_empty());
        assert_eq!((self.siprec.next_deadline(), self.layer.len()), (None, 0));
        assert!(self.siprec.tables.dialogs.is_empty() && self.siprec.tables.media.is_empty());
        assert!(
            self.stock.has_room(WorkerId(0), crate::limits::LEGS_PER_WORKER),
            "places come back"
        );
        let is = |wanted: fn(&Fact) -> bool| self.facts.iter().filter(|fact| wanted(fact)).count();
        let begun = is(|fact| matches!(fact, Fact::RecordingSession { .. }));
        let ended = is(|fact| matches!(fact, Fact::RecordingSessionEnded { .. }));
        assert_eq!(begun, ended);
    }
}

/// The two parts of a body of ours.
pub fn body(message: &Message) -> (Session<'static>, String) {
    let kind = message.get(Name::ContentType).unwrap();
    let [description, metadata]: [Part; 2] = parts(&kind, &message.body()).unwrap().try_into().unwrap();
    assert_eq!(description.kind, "application/sdp");
    assert_eq!(
        (&*metadata.kind, &*metadata.disposition),
        ("application/rs-metadata+xml", "recording-session")
    );
    let text = String::from_utf8(metadata.body.to_vec()).unwrap();
    (
        Session::parse(&Bytes::clone(&description.body)).unwrap().into_owned(),
        text,
    )
}

//! Calls, trunks and the transaction layer with nothing around them: peers are addresses that write messages by hand.

use crate::b2bua::{Calls, Net, Source};
use crate::config::{Config, Sources};
use crate::cx::{ChaCha12Rng, Cx, SeedableRng, Tickets};
use crate::dialog::{Dialog, DialogId};
use crate::effect::{Binding, Cause, Fact, Op, Output, Reply};
use crate::id::{CallId, ConnectionId, Flow, ListenerId, MediaLegId, Owner, Transport, TrunkIx};
use crate::media::command::{Command, Event as MediaEvent, Function, LegStats, Port, Sound};
use crate::sip::{Draft, Message, Method, Name, Uri};
use crate::time::{Instant, Wall};
use crate::transaction::Event;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const ALICE: &str = "192.0.2.11:5060";
pub const BOB: &str = "192.0.2.12:5060";
pub const BOB2: &str = "192.0.2.13:5060";
pub const CAROL: &str = "192.0.2.14:5060";
pub const ACME: &str = "198.51.100.1:5060";
pub const ACME2: &str = "198.51.100.2:5060";

const CONFIG: &str = r#"
listen: [ "udp://192.0.2.1:5060" ]
domains: [ example.com ]
media: { workers: 2 }
calls: { session_expires: 1800s, max_duration: 7200s }
users:
  - { name: alice, password: "a long secret", number: "+14155550101", display_name: Alice }
  - { name: bob, password: "a long secret", number: "+14155550102", codecs: [ opus, pcma, pcmu ], ring: 30s }
  - { name: carol, password: "a long secret", number: "+14155550103", on_no_answer: bob, on_busy: bob, on_offline: bob }
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1", "sip:198.51.100.2" ]
    accept_from: [ 198.51.100.0/24 ]
    register: { username: tandem, password: "another secret", realm: acme.example }
    limits: { calls: 2 }
    connect: 4s
    pass_headers: [ X-Account ]
routes:
  - { to: "600", do: echo }
  - { to: "601", do: tone }
  - { to: "699", do: reject/403 }
  - { to: "+", from: user/*, do: trunk/acme }
"#;

pub fn sdp(port: u16, rest: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n{rest}"
    )
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn flow(peer: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        connection: ConnectionId(0),
        local: addr("192.0.2.1:5060"),
        peer: addr(peer),
    }
}

pub struct Bench {
    pub calls: Calls,
    pub net: Net,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    config: Arc<Config>,
    pub now: Instant,
    inbox: VecDeque<(SocketAddr, Message)>,
    pub facts: Vec<Fact>,
    pub media: Vec<Command>,
    bindings: BTreeMap<String, Vec<Binding>>,
    branch: u32,
    port: u16,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with_config(CONFIG)
    }

    pub fn changed(from: &str, to: &str) -> Bench {
        assert!(CONFIG.contains(from), "{from}");
        Bench::with_config(&CONFIG.replace(from, to))
    }

    /// The same with several parts that are others.
    pub fn changed_in(parts: &[(&str, String)]) -> Bench {
        let text = parts.iter().fold(CONFIG.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        Bench::with_config(&text)
    }

    fn with_config(yaml: &str) -> Bench {
        let sources = Sources {
            sound: &|path| Ok(seconds(path)),
            ..Sources::NONE
        };
        let config = match crate::config::parse("test", yaml, &sources) {
            Ok(config) => Arc::new(config),
            Err(problems) => panic!("{problems:?}"),
        };
        let mut bench = Bench {
            calls: Calls::default(),
            net: Net::default(),
            rng: ChaCha12Rng::seed_from_u64(1),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            config,
            now: Instant::ZERO,
            inbox: VecDeque::new(),
            facts: Vec::new(),
            media: Vec::new(),
            bindings: BTreeMap::new(),
            branch: 0,
            port: 20_000,
        };
        bench.with(|calls, cx, net| {
            net.trunks.configure(cx, &mut net.layer);
            calls.add_ports(Vec::new());
            cx.emit(Output::Ports(64));
        });
        bench.register("alice", ALICE);
        bench.register("bob", BOB);
        bench.inbox.clear();
        bench
    }

    pub fn register(&mut self, user: &str, peer: &str) {
        let binding = Binding {
            contact: format!("sip:{user}@{peer}").into(),
            q: 1000,
            call_id: "r".into(),
            cseq: 1,
            expires: Wall(u64::MAX),
            flow: flow(peer),
            instance: None,
            user_agent: None,
            more: None,
        };
        self.bindings
            .entry(format!("{user}@example.com"))
            .or_default()
            .push(binding);
    }

    pub fn with<R>(&mut self, step: impl FnOnce(&mut Calls, &mut Cx<'_>, &mut Net) -> R) -> R {
        let mut cx = Cx {
            now: self.now,
            wall: Wall(1_700_000_000_000 + self.now.as_millis()),
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        let result = step(&mut self.calls, &mut cx, &mut self.net);
        self.pump();
        result
    }

    /// Hands everything around until nothing moves.
    fn pump(&mut self) {
        loop {
            if let Some(event) = self.net.layer.poll() {
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
            (Some(Owner::Trunk(slot, about)), event) => {
                self.with(|_, cx, net| net.trunks.event(cx, &mut net.layer, slot, about, event));
            }
            (_, Event::Request { flow, request }) => self.with(|calls, cx, net| {
                let tx = net.layer.accept(cx, flow, &request).unwrap();
                if request.to().unwrap().tag().is_none() {
                    calls.invite(cx, net, source(flow.peer), flow, tx, (request, None));
                } else if calls.owns(&request) {
                    calls.request(cx, net, flow, tx, request);
                } else {
                    net.layer.respond(cx, tx, Draft::response(&request, 481, None));
                }
            }),
            (_, Event::Ack { flow, request }) => self.with(|calls, cx, net| calls.ack(cx, net, flow, request)),
            (_, event) => self.with(|calls, cx, net| calls.event(cx, net, event)),
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
                let found = flow(&target.addr.to_string());
                self.tickets.take(ticket);
                self.with(|_, cx, net| net.layer.on_flow(cx, ticket, Some(found)));
            }
            Output::Query(ticket, _) => {
                self.tickets.take(ticket);
                self.with(|_, cx, net| net.layer.on_answer(cx, ticket, crate::effect::Answer::default()));
            }
            Output::Store(ticket, Op::Bindings(aor)) => {
                let bindings = self.bindings.get(&*aor.0).cloned().unwrap_or_default().into();
                let Some(Owner::Leg(call, leg)) = self.tickets.take(ticket) else {
                    return;
                };
                self.with(|calls, cx, net| calls.store(cx, net, call, leg, Reply::Bindings { version: 1, bindings }));
            }
            Output::Store(..) => panic!("calls replace no bindings"),
            Output::Post(..) => panic!("nobody is woken without a URL"),
            Output::Media(_, command) => {
                self.media.push(command.clone());
                let event = match command {
                    Command::Close(leg) => MediaEvent::Closed(leg, LegStats::default()),
                    Command::Move { leg, to } => MediaEvent::Moved(leg, to),
                    _ => return,
                };
                self.with(|calls, cx, net| calls.media(cx, net, event));
            }
            Output::Ports(count) => {
                let ports = (0..count).map(|_| {
                    self.port += 2;
                    Port {
                        rtp: self.port,
                        v6: false,
                    }
                });
                self.calls.add_ports(ports.collect());
            }
            Output::Record(fact) => self.facts.push(fact),
            Output::Known(_) | Output::Alias(..) => panic!("admission and the layer tell whom they know"),
            Output::Ng(..) | Output::Control { .. } | Output::Api(..) => {
                panic!("calls of our own know nothing of NG, nor of who controls")
            }
        }
    }

    /// Runs the clock, timer by timer.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let calls = self.calls.next_deadline();
            let next = [calls, self.net.layer.next_deadline(), self.net.trunks.next_deadline()]
                .into_iter()
                .flatten()
                .min();
            let Some(at) = next.filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.with(|calls, cx, net| {
                net.layer.on_time(cx);
                net.trunks.on_time(cx, &mut net.layer);
                calls.on_time(cx, net);
            });
        }
        self.now = until;
    }

    /// A peer writes.
    pub fn say(&mut self, peer: &str, mut draft: Draft) {
        if draft.method().is_some() && draft.get(Name::Via).is_none() {
            self.branch += 1;
            draft.push_front(Name::Via, format!("SIP/2.0/UDP {peer};branch=z9hG4bK{}", self.branch));
        }
        let message = draft.to_message().unwrap();
        self.with(|_, cx, net| net.layer.receive(cx, flow(peer), message));
    }

    /// Everything that a peer was sent since last asked, 100 aside.
    pub fn heard(&mut self, peer: &str) -> Vec<Message> {
        let (own, others) = std::mem::take(&mut self.inbox)
            .into_iter()
            .partition(|(to, _)| *to == addr(peer));
        self.inbox = others;
        let own: VecDeque<(SocketAddr, Message)> = own;
        own.into_iter()
            .map(|(_, message)| message)
            .filter(|message| message.status() != 100)
            .collect()
    }

    /// The only message that a peer was sent since last asked.
    pub fn one(&mut self, peer: &str) -> Message {
        let mut all = self.heard(peer);
        assert_eq!(
            all.len(),
            1,
            "{peer} heard {:?}",
            all.iter().map(head).collect::<Vec<_>>()
        );
        all.remove(0)
    }

    /// First lines of all that a peer was sent since last asked.
    pub fn heads(&mut self, peer: &str) -> Vec<String> {
        self.heard(peer).iter().map(head).collect()
    }

    /// An INVITE outside of dialogs.
    pub fn invite(&mut self, peer: &str, from: &str, to: &str, body: Option<String>) -> Draft {
        self.invite_with(peer, from, to, body, &[])
    }

    pub fn invite_with(
        &mut self,
        peer: &str,
        from: &str,
        to: &str,
        body: Option<String>,
        fields: &[(&'static str, &str)],
    ) -> Draft {
        self.branch += 1;
        let uri = Uri::parse(&format!("sip:{to}@example.com")).unwrap();
        let mut invite = Draft::request(Method::Invite, uri.clone());
        invite.push_front(Name::Via, format!("SIP/2.0/UDP {peer};branch=z9hG4bKi{}", self.branch));
        invite.push(Name::MaxForwards, 70);
        invite.push(Name::From, format!("<sip:{from}@example.com>;tag=f{}", self.branch));
        invite.push(Name::To, format!("<{uri}>"));
        invite.push(Name::CallId, format!("call-{}", self.branch));
        invite.push(Name::CSeq, "1 INVITE");
        invite.push(Name::Contact, format!("<sip:{from}@{peer}>"));
        invite.push(Name::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK");
        for (name, value) in fields {
            invite.push_named(*name, value);
        }
        if let Some(body) = body {
            invite.set_body(kind_of(&body), body);
        }
        self.say(peer, invite.clone());
        invite
    }

    /// A CANCEL of an INVITE.
    pub fn cancel(&mut self, peer: &str, invite: &Draft) {
        let crate::sip::write::Start::Request(_, uri) = invite.start.clone() else {
            panic!("no request")
        };
        let mut cancel = Draft::request(Method::Cancel, uri);
        for name in [Name::Via, Name::MaxForwards, Name::From, Name::To, Name::CallId] {
            cancel.push(name, invite.get(name).unwrap());
        }
        cancel.push(Name::CSeq, "1 CANCEL");
        self.say(peer, cancel);
    }

    /// A peer answers a request that it was sent; the dialog of an INVITE comes back.
    pub fn answer(&mut self, peer: &str, request: &Message, status: u16, body: Option<String>) -> Option<Dialog> {
        self.answer_with(peer, request, status, "p", body, &[])
    }

    pub fn answer_with(
        &mut self,
        peer: &str,
        request: &Message,
        status: u16,
        tag: &str,
        body: Option<String>,
        fields: &[(&'static str, &str)],
    ) -> Option<Dialog> {
        let mut response = Draft::response(request, status, Some(tag));
        if fields.iter().all(|(name, _)| *name != "Contact") {
            response.push(Name::Contact, format!("<sip:{peer}>"));
        }
        for (name, value) in fields {
            response.push_named(*name, value);
        }
        if let Some(body) = body {
            response.set_body(kind_of(&body), body);
        }
        self.say(peer, response);
        let dialog = (request.method() == Method::Invite).then(|| Dialog::uas(request, tag).unwrap());
        dialog.map(|mut dialog| {
            dialog.confirm();
            dialog
        })
    }

    /// A peer acknowledges a 2xx that it was sent.
    pub fn ack(&mut self, peer: &str, invite: &Draft, response: &Message) -> Dialog {
        let dialog = Dialog::uac(crate::dialog::Begun::of(invite).unwrap(), response).unwrap();
        self.say(peer, dialog.ack(response.cseq().unwrap().number));
        dialog
    }

    /// A peer asks something in its dialog.
    pub fn ask(&mut self, peer: &str, dialog: &mut Dialog, method: Method, body: Option<(&str, String)>) {
        self.ask_with(peer, dialog, method, body, &[]);
    }

    pub fn ask_with(
        &mut self,
        peer: &str,
        dialog: &mut Dialog,
        method: Method,
        body: Option<(&str, String)>,
        fields: &[(&'static str, &str)],
    ) {
        let mut request = dialog.request(method);
        request.push(Name::Contact, format!("<sip:{peer}>"));
        for (name, value) in fields {
            request.push_named(*name, value);
        }
        if let Some((kind, body)) = body {
            request.set_body(kind, body);
        }
        self.say(peer, request);
    }

    /// Alice calls Bob, Bob answers, Alice acknowledges: their dialogs.
    pub fn talk(&mut self) -> (Dialog, Dialog) {
        let invite = self.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
        let theirs = self.one(BOB);
        let bob = self.answer(BOB, &theirs, 200, Some(sdp(5000, ""))).unwrap();
        let ok = self.one(ALICE);
        assert_eq!(ok.status(), 200);
        let alice = self.ack(ALICE, &invite, &ok);
        assert_eq!(self.one(BOB).method(), Method::Ack);
        (alice, bob)
    }

    pub fn ended(&self) -> Vec<&Cause> {
        self.facts
            .iter()
            .filter_map(|fact| {
                if let Fact::CallEnded { cause, .. } = fact {
                    Some(cause)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Nothing is left, and each call that began has ended once.
    pub fn rest(&mut self) {
        self.wait(Duration::from_secs(70));
        assert_eq!(self.calls.len(), 0, "calls are left: {:?}", self.calls);
        assert_eq!(self.net.trunks.reserved(), 0, "places of a trunk are left");
        let started: Vec<CallId> = self
            .facts
            .iter()
            .filter_map(|fact| {
                if let Fact::CallStarted { call, .. } = fact {
                    Some(*call)
                } else {
                    None
                }
            })
            .collect();
        let mut ended: Vec<CallId> = self
            .facts
            .iter()
            .filter_map(|fact| {
                if let Fact::CallEnded { call, .. } = fact {
                    Some(*call)
                } else {
                    None
                }
            })
            .collect();
        ended.sort();
        assert_eq!(started, ended);
        let opened = self
            .media
            .iter()
            .filter(|command| matches!(command, Command::Open(_)))
            .count();
        let closed = self
            .media
            .iter()
            .filter(|command| matches!(command, Command::Close(_)))
            .count();
        assert_eq!(opened, closed, "ports are left");
        assert!(
            self.calls.next_deadline().is_none(),
            "timers are left: {:?}",
            self.calls
        );
    }

    /// Media legs in the order in which they were opened.
    pub fn media_legs(&self) -> Vec<MediaLegId> {
        let opened = |command: &Command| match command {
            Command::Open(spec) => Some(spec.id),
            _ => None,
        };
        self.media.iter().filter_map(opened).collect()
    }

    /// What a media leg does by now: its function, and the seconds that it plays, if it does. Whoever is left by the other of a bridge is idle.
    pub fn does(&self, leg: MediaLegId) -> (Option<Function>, Option<u64>) {
        let mut legs = BTreeMap::new();
        for command in &self.media {
            let (own, function, seconds) = match command {
                Command::Function { leg, function } => (*leg, *function, None),
                Command::Play { leg, music, .. } => (*leg, Function::Play, Some(music.duration().as_secs())),
                _ => continue,
            };
            let other = match function {
                Function::Bridge(other) => Some(other),
                _ => None,
            };
            for (function, _) in legs.values_mut() {
                if *function == Function::Bridge(own) || other.is_some_and(|other| *function == Function::Bridge(other))
                {
                    *function = Function::Idle;
                }
            }
            legs.insert(own, (function, seconds));
            legs.extend(other.map(|other| (other, (Function::Bridge(own), None))));
        }
        legs.get(&leg)
            .map(|(function, seconds)| (Some(*function), *seconds))
            .unwrap_or_default()
    }

    /// The last function that was set.
    pub fn function(&self) -> Option<Function> {
        self.media.iter().rev().find_map(|command| {
            if let Command::Function { function, .. } = command {
                Some(*function)
            } else {
                None
            }
        })
    }
}

/// The silence of a file: `3.wav` is three seconds long.
fn seconds(path: &std::path::Path) -> Sound {
    let seconds = path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
    Sound::silence(Duration::from_secs(seconds.expect("a number of seconds")))
}

/// The Content-Type of a body: one that begins with a delimiter is of several parts.
fn kind_of(body: &str) -> &'static str {
    if body.starts_with("--part") {
        "multipart/mixed;boundary=part"
    } else {
        "application/sdp"
    }
}

fn source(peer: SocketAddr) -> Source {
    let user = |name: &str| Source::User(name.to_owned());
    match peer.to_string().as_str() {
        ALICE => user("alice"),
        BOB | BOB2 => user("bob"),
        CAROL => user("carol"),
        _ => Source::Trunk(TrunkIx(0)),
    }
}

/// `INVITE` or `200 INVITE`.
pub fn head(message: &Message) -> String {
    match message.status() {
        0 => message.method().to_string(),
        status => format!("{status} {}", message.method()),
    }
}

pub fn id_of(dialog: &Dialog) -> DialogId {
    // The same dialog seen from the other side.
    DialogId::new(dialog.id.call_id(), dialog.id.remote_tag(), dialog.id.local_tag())
}

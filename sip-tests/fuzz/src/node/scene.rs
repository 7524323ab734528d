//! The node and those around it.

use super::Extra;
use super::words::{CONFIGS, SDP};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tandem::config::{self, Config, Sources};
use tandem::effect::{Answer, Fact, Kind, Output, Question, Record, Reply};
use tandem::id::{CallId, ConnectionId, Flow, ListenerId, Target, Ticket, Transport};
use tandem::media::command::{Command, DataTone, Event, Port, Trouble as MediaTrouble};
use tandem::node::{Input, Node};
use tandem::pii::Secret;
use tandem::registrar::bindings::Table;
use tandem::sip::auth::{Challenge, answer, challenges};
use tandem::sip::frame::{Frame, datagram, next};
use tandem::sip::{Message, Method, Name};
use tandem::time::{Clock, Instant, Wall};

/// Outputs of one input: a fork to sixteen phones, twice, with room.
const OUTPUTS: usize = 2_000;
/// How often the node may want to be woken at the same time.
const WAKES: usize = 200;
/// Messages that peers keep to answer.
const KEPT: usize = 12;

/// Who is around: transport, listener, address, and for users name and password.
const PEERS: [(Transport, u16, &str, &str, &str); 8] = [
    (Transport::Udp, 0, "203.0.113.1:5060", "alice", "a"),
    (Transport::Udp, 0, "203.0.113.2:5060", "bob", "b"),
    (Transport::Tcp, 1, "203.0.113.3:40000", "bob", "b"),
    (Transport::Tls, 2, "203.0.113.4:40000", "carol", "c"),
    (Transport::Ws, 3, "203.0.113.5:40000", "alice", "a"),
    (Transport::Udp, 0, "198.51.100.1:5060", "", ""),
    (Transport::Udp, 0, "203.0.113.9:5060", "", ""),
    (Transport::Tcp, 1, "203.0.113.66:40000", "", ""),
];

/// One of them.
struct Peer {
    flow: Flow,
    user: &'static str,
    password: &'static str,
    challenge: Option<(Name, Challenge)>,
    uses: u32,
    /// The last that it sent.
    last: Bytes,
    stream: BytesMut,
}

/// A dialog or transaction of the script, as its starter sees it.
#[derive(Clone, Default)]
struct Slot {
    cseq: u32,
    /// To with its tag, as the last response had it.
    to: Option<String>,
    routes: Vec<String>,
    contact: Option<String>,
    /// Branch and Request-URI of the last INVITE.
    invite: Option<(String, String)>,
}

/// What a request says that is in a dialog, or is not.
#[derive(Default)]
struct Way {
    uri: String,
    from: Option<String>,
    to: String,
    call_id: String,
    routes: Vec<String>,
}

/// How the world behaves.
#[derive(Clone, Copy, Default)]
struct Trouble {
    store: usize,
    dns: usize,
    connect: usize,
}

/// Everything.
pub struct Scene {
    node: Node,
    now: Instant,
    configs: Vec<Arc<Config>>,
    peers: Vec<Peer>,
    slots: Vec<Slot>,
    table: Table,
    trouble: Trouble,
    /// Replies that come at the next step of time.
    later: Vec<Input>,
    /// Requests that the node sent, for its peers to answer.
    asked: Vec<(usize, Message)>,
    legs: Vec<tandem::id::MediaLegId>,
    connections: u64,
    port: u16,
    serial: u32,
    /// Who asked anything, and whether answers may go elsewhere.
    came: BTreeSet<IpAddr>,
    elsewhere: bool,
    /// Calls that have begun and not ended.
    open: BTreeSet<CallId>,
    calls: BTreeMap<CallId, u32>,
}

fn clock(now: Instant) -> Clock {
    Clock {
        now,
        wall: Wall(1_700_000_000_000 + now.as_millis()),
    }
}

/// Read once: that takes longer than most inputs.
fn configs() -> Vec<Arc<Config>> {
    static READ: OnceLock<Vec<Arc<Config>>> = OnceLock::new();
    let read = |text: &&str| {
        let config = config::parse("fuzz.yaml", text, &Sources::NONE);
        Arc::new(config.expect("our own configuration"))
    };
    READ.get_or_init(|| CONFIGS.iter().map(read).collect()).clone()
}

impl Scene {
    /// With phones that are registered.
    pub fn new() -> Scene {
        let configs = configs();
        let peers = (1u64..)
            .zip(PEERS)
            .map(|(number, (transport, listener, addr, user, password))| Peer {
                flow: Flow {
                    transport,
                    listener: ListenerId(listener),
                    connection: ConnectionId(if transport == Transport::Udp { 0 } else { number }),
                    local: configs[0].listen[usize::from(listener)].addr,
                    peer: addr.parse().expect("our own address"),
                },
                user,
                password,
                challenge: None,
                uses: 0,
                last: Bytes::new(),
                stream: BytesMut::new(),
            });
        let mut scene = Scene {
            node: Node::new(configs[0].clone(), [7; 32], clock(Instant::ZERO)),
            now: Instant::ZERO,
            peers: peers.collect(),
            configs,
            slots: vec![Slot::default(); 4],
            table: Table::default(),
            trouble: Trouble::default(),
            later: Vec::new(),
            asked: Vec::new(),
            legs: Vec::new(),
            connections: 100,
            port: 20_000,
            serial: 0,
            came: BTreeSet::new(),
            elsewhere: false,
            open: BTreeSet::new(),
            calls: BTreeMap::new(),
        };
        scene.drain();
        for peer in 0..5 {
            scene.register(peer);
        }
        scene
    }

    fn register(&mut self, peer: usize) {
        for _ in 0..2 {
            let user = self.peers[peer].user;
            let domain = if user == "carol" { "example.org" } else { "example.com" };
            let aor = format!("sip:{user}@{domain}");
            let credentials = self.credentials(peer, "REGISTER", &format!("sip:{domain}"));
            self.serial += 1;
            let (serial, addr, via) = (self.serial, self.peers[peer].flow.peer, self.via(peer));
            let text = format!(
                "REGISTER sip:{domain} SIP/2.0\r\nVia: {via};branch=z9hG4bKr{serial}\r\nMax-Forwards: 70\r\nFrom: <{aor}>;tag=r\r\n\
                 To: <{aor}>\r\nCall-ID: r{peer}\r\nCSeq: {serial} REGISTER\r\nContact: <sip:{user}@{addr}>;q=0.{}\r\n{credentials}\
                 Content-Length: 0\r\n\r\n",
                9 - peer
            );
            self.octets(peer, text.into_bytes());
        }
    }

    fn via(&self, peer: usize) -> String {
        let flow = self.peers[peer].flow;
        format!("SIP/2.0/{} {};rport", flow.transport.via(), flow.peer)
    }

    fn credentials(&mut self, peer: usize, method: &str, uri: &str) -> String {
        let peer = &mut self.peers[peer];
        let Some((field, challenge)) = &peer.challenge else {
            return String::new();
        };
        peer.uses += 1;
        let name = match field {
            Name::WwwAuthenticate => "Authorization",
            _proxy => "Proxy-Authorization",
        };
        let method = Method::from(method);
        let password = Secret::new(peer.password);
        let value = answer(challenge, peer.user, &password, &method, uri, "c", peer.uses);
        format!("{name}: {value}\r\n")
    }

    /// Octets from a peer, as its transport carries them.
    pub fn octets(&mut self, peer: usize, octets: Vec<u8>) {
        let peer = peer % self.peers.len();
        let flow = self.peers[peer].flow;
        self.peers[peer].last = Bytes::from(octets);
        let octets = self.peers[peer].last.clone();
        if !flow.transport.is_reliable() || flow.transport.is_websocket() {
            if let Some(message) = datagram(&octets) {
                self.came(flow, octets.slice_ref(message));
            }
            return;
        }
        self.peers[peer].stream.extend_from_slice(&octets);
        loop {
            match next(&mut self.peers[peer].stream) {
                Ok(Some(Frame::Message(bytes))) => self.came(flow, bytes),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => return,
                Err(_) => return self.close(peer),
            }
        }
    }

    fn came(&mut self, flow: Flow, bytes: Bytes) {
        if let Ok(message) = Message::parse(bytes.clone())
            && message.is_request()
            && message.method() != Method::Ack
        {
            self.came.insert(flow.peer.ip());
            // Its answers go where that says (RFC 3261 18.2.2).
            self.elsewhere |= message.all(Name::Via).iter().any(|via| via.contains("maddr"));
        }
        self.feed(Input::Sip(flow, bytes));
    }

    /// A request from a template.
    pub fn request(&mut self, peer: usize, method: &str, target: &str, slot: usize, flags: usize, extra: &Extra) {
        let (peer, number) = (peer % self.peers.len(), slot % self.slots.len());
        let [within, knows, sdp, below, answers, same] = [1, 2, 4, 8, 16, 32].map(|bit| flags & bit != 0);
        let user = self.peers[peer].user;
        let domain = if user == "carol" { "example.org" } else { "example.com" };
        let user = if user.is_empty() { "+12125550100" } else { user };
        let from = format!("<sip:{user}@{domain}>;tag=f{number}");
        let mut way = match self.within(peer, number, answers) {
            Some(way) if within => Way {
                uri: if way.uri.is_empty() { target.to_owned() } else { way.uri },
                ..way
            },
            _outside => Way {
                uri: target.to_owned(),
                to: format!("<{target}>"),
                call_id: format!("c{number}"),
                ..Way::default()
            },
        };
        let slot = &mut self.slots[number];
        slot.cseq += u32::from(!matches!(method, "ACK" | "CANCEL"));
        self.serial += 1;
        let (cseq, mut branch) = (slot.cseq, format!("z9hG4bKf{}", self.serial));
        if let Some((known, asked)) = slot.invite.clone().filter(|_| method == "CANCEL" || same) {
            (branch, way.uri) = (known, asked);
        }
        if method == "INVITE" {
            slot.invite = Some((branch.clone(), way.uri.clone()));
        }
        let credentials = if knows {
            self.credentials(peer, method, &way.uri)
        } else {
            String::new()
        };
        let below = if below {
            "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"
        } else {
            ""
        };
        let routes: String = way.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let (kind, body) = described(sdp);
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: {};branch={branch}\r\n{below}{routes}Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{user}@{}>\r\n{credentials}{}{kind}Content-Length: {}\r\n\r\n{body}",
            way.uri,
            self.via(peer),
            way.from.unwrap_or(from),
            way.to,
            way.call_id,
            self.peers[peer].flow.peer,
            extra.line,
            body.len()
        );
        self.octets(peer, changed(text, extra));
    }

    /// The dialog of a slot, or (`answers`) that of the last request that this peer got.
    fn within(&self, peer: usize, number: usize, answers: bool) -> Option<Way> {
        let asked = self.asked.iter().rev().find(|(asked, _)| answers && *asked == peer);
        if let Some((_, asked)) = asked {
            let get = |name: Name| asked.get(name).unwrap_or_default().into_owned();
            return Some(Way {
                uri: contact_of(asked).unwrap_or_default(),
                from: Some(with_tag(get(Name::To), "p")),
                to: get(Name::From),
                call_id: asked.call_id().to_owned(),
                routes: asked
                    .all(Name::RecordRoute)
                    .iter()
                    .map(|route| route.to_string())
                    .collect(),
            });
        }
        let slot = &self.slots[number];
        Some(Way {
            uri: slot.contact.clone().unwrap_or_default(),
            from: None,
            to: slot.to.clone()?,
            call_id: format!("c{number}"),
            routes: slot.routes.iter().rev().cloned().collect(),
        })
    }

    /// A response to one of the last requests that the node sent.
    pub fn respond(&mut self, which: usize, status: u16, contact: &str, flags: usize, extra: &Extra) {
        if self.asked.is_empty() {
            return;
        }
        let at = self.asked.len() - 1 - which % self.asked.len();
        let (peer, asked) = self.asked[at].clone();
        let [sdp, other, no_routes, elsewhere, reliable, twice] = [1, 2, 4, 8, 16, 32].map(|bit| flags & bit != 0);
        let mut text = format!("SIP/2.0 {status} Whatever\r\n");
        for name in [Name::Via, Name::RecordRoute, Name::From, Name::CallId, Name::CSeq] {
            if name == Name::RecordRoute && no_routes {
                continue;
            }
            for value in asked.all(name) {
                text += &format!("{}: {value}\r\n", name.as_str());
            }
        }
        let to = asked.get(Name::To).unwrap_or_default().into_owned();
        text += &format!("To: {}\r\n", with_tag(to, if other { "q" } else { "p" }));
        let own = format!("sip:x@{}", self.peers[peer].flow.peer);
        text += &format!("Contact: <{}>\r\n", if elsewhere { contact } else { &own });
        if reliable {
            text += "Require: 100rel\r\nRSeq: 1\r\n";
        }
        let (kind, body) = described(sdp);
        text += &format!("{}{kind}Content-Length: {}\r\n\r\n{body}", extra.line, body.len());
        let octets = changed(text, extra);
        for _ in 0..1 + usize::from(twice) {
            self.octets(peer, octets.clone());
        }
    }

    /// The last message of a peer once more.
    pub fn again(&mut self, peer: usize) {
        let peer = peer % self.peers.len();
        let last = self.peers[peer].last.to_vec();
        self.octets(peer, last);
    }

    /// A connection closes; the peer comes back by another.
    pub fn close(&mut self, peer: usize) {
        let peer = peer % self.peers.len();
        let flow = self.peers[peer].flow;
        self.peers[peer].stream.clear();
        if flow.transport.is_reliable() {
            self.connections += 1;
            self.peers[peer].flow.connection = ConnectionId(self.connections);
        }
        self.feed(Input::FlowClosed(flow));
    }

    /// How the store, the DNS or connections behave from now on.
    pub fn trouble(&mut self, which: usize, how: usize) {
        match which % 3 {
            0 => self.trouble.store = how % 4,
            1 => self.trouble.dns = how % 5,
            _connect => self.trouble.connect = how % 3,
        }
    }

    /// Another configuration.
    pub fn configure(&mut self, which: usize) {
        let config = self.configs[which % self.configs.len()].clone();
        let kept: Vec<_> = config.users.iter().map(tandem::node::aor).collect();
        self.table.retain(|aor| kept.contains(aor));
        self.feed(Input::Config(config));
    }

    /// A worker has something to say of a leg.
    pub fn media(&mut self, which: usize) {
        let Some(leg) = self.legs.get(which / 2 % self.legs.len().max(1)).copied() else {
            return;
        };
        let event = match which % 6 {
            0 => Event::Silent(leg),
            2 => Event::Trouble {
                leg,
                trouble: MediaTrouble::NothingArrives,
                over: which & 4 != 0,
            },
            4 => Event::Digit {
                leg,
                digit: '5'.into(),
                ms: 100,
            },
            5 => Event::DataTone {
                leg,
                tone: DataTone::Answering,
            },
            _started => Event::Started(leg, SocketAddr::from(([203, 0, 113, 9], 4000))),
        };
        self.feed(Input::Media(event));
    }

    fn feed(&mut self, input: Input) {
        self.node.handle(clock(self.now), input);
        self.drain();
        self.check();
    }

    /// Runs the node's timers.
    pub fn wait(&mut self, time: Duration) {
        for input in std::mem::take(&mut self.later) {
            self.feed(input);
        }
        let end = self.now + time;
        let (mut at, mut wakes) = (self.now, 0);
        while let Some((next, who)) = self.node.poll_timeout().filter(|(next, _)| *next <= end) {
            wakes = if next > at { 0 } else { wakes + 1 };
            assert!(wakes < WAKES, "{who} wants to be woken again and again");
            at = at.max(next);
            self.now = at;
            self.feed(Input::Time);
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.node.poll_output() {
            outputs += 1;
            assert!(outputs < OUTPUTS, "the node never becomes silent");
            match output {
                Output::Send(flow, bytes) => self.sent(flow, bytes),
                Output::Connect(ticket, target) => self.connect(ticket, &target),
                Output::Query(ticket, question) => self.query(ticket, &question),
                Output::Store(ticket, op) => {
                    let (reply, change) = match self.trouble.store {
                        2 => (Reply::Failed, None),
                        _works => self.table.apply(op, clock(self.now).wall),
                    };
                    match (self.trouble.store, change) {
                        (3, _) => {}
                        (1, _) => self.later.push(Input::Store(ticket, reply)),
                        (_, _) => self.node.handle(clock(self.now), Input::Store(ticket, reply)),
                    }
                }
                Output::Media(_, command) => self.command(command),
                Output::Ports(count) => {
                    let ports = (0..count.min(64)).map(|_| {
                        self.port = if self.port > 60_000 { 20_000 } else { self.port + 2 };
                        Port {
                            rtp: self.port,
                            v6: false,
                        }
                    });
                    let ports = ports.collect();
                    self.node.handle(clock(self.now), Input::Ports(ports));
                }
                Output::Record(fact) => self.fact(fact),
                Output::Post(ticket, _) => self
                    .node
                    .handle(clock(self.now), Input::Posted(ticket, self.trouble.store != 2)),
                Output::Known(_) | Output::Alias(..) | Output::Ng(..) | Output::Control { .. } | Output::Api(..) => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Open(spec) => self.legs.push(spec.id),
            Command::Close(leg) => {
                self.legs.retain(|known| *known != leg);
                let closed = Event::Closed(leg, Default::default());
                self.node.handle(clock(self.now), Input::Media(closed));
            }
            Command::Move { leg, to, .. } => self.node.handle(clock(self.now), Input::Media(Event::Moved(leg, to))),
            Command::ReadStats(leg) => {
                let stats = Event::Stats(leg, Default::default());
                self.node.handle(clock(self.now), Input::Media(stats));
            }
            Command::Negotiated { .. }
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
            | Command::RecordRoom { .. } => {}
            Command::PlayRoom { room, .. } => self.node.handle(clock(self.now), Input::Media(Event::RoomPlayed(room))),
        }
    }

    fn connect(&mut self, ticket: Ticket, target: &Target) {
        let listener = self.configs[0]
            .listen
            .iter()
            .position(|listen| listen.transport == target.transport);
        let input = match (self.trouble.connect, listener) {
            (0, Some(listener)) => {
                self.connections += 1;
                let connection = if target.transport == Transport::Udp {
                    0
                } else {
                    self.connections
                };
                let flow = Flow {
                    transport: target.transport,
                    listener: ListenerId(listener as u16),
                    connection: ConnectionId(connection),
                    local: self.configs[0].listen[listener].addr,
                    peer: target.addr,
                };
                Input::FlowOpened(ticket, flow)
            }
            (2, Some(_)) => return,
            (_, _) => Input::FlowFailed(ticket),
        };
        self.node.handle(clock(self.now), input);
    }

    fn query(&mut self, ticket: Ticket, question: &Question) {
        let address = || Record::Address("203.0.113.9".parse().expect("an address"));
        let srv = |target: &str| Record::Srv {
            priority: 1,
            weight: 1,
            port: 5060,
            target: target.into(),
        };
        let records = match (self.trouble.dns, question.kind) {
            (0, Kind::A) => vec![address()],
            (1, Kind::A) => vec![address(), Record::Address("203.0.113.2".parse().expect("an address"))],
            (1, Kind::Srv) => vec![srv("a.far.example"), srv("b.far.example")],
            // It lies: itself again, and addresses that were not asked for.
            (2, _) => vec![srv(&question.name), address(), srv(".")],
            (3, _) => return,
            (_, _) => Vec::new(),
        };
        let ttl = Duration::from_secs(60);
        self.node
            .handle(clock(self.now), Input::Answered(ticket, Answer { records, ttl }));
    }

    fn fact(&mut self, fact: Fact) {
        match fact {
            Fact::CallStarted { call, .. } => {
                assert!(self.open.insert(call), "{call:?} begins twice");
                *self.calls.entry(call).or_default() += 1;
            }
            Fact::CallEnded { call, .. } => assert!(self.open.remove(&call), "{call:?} ends and has not begun"),
            Fact::Warning(text) => panic!("an error in the node was caught: {text}"),
            _other => {}
        }
    }

    /// What the node sends can be read, and an answer is one to what came.
    fn sent(&mut self, flow: Flow, bytes: Bytes) {
        let message = Message::parse(bytes).expect("what we write can be read");
        let known = |peer: &Peer| peer.flow.peer == flow.peer;
        let peer = self.peers.iter().position(known).unwrap_or(6);
        if message.is_request() {
            assert_eq!(message.check(), Ok(()), "what we ask is good");
            if message.method() != Method::Ack {
                self.asked.push((peer, message));
                let more = self.asked.len().saturating_sub(KEPT);
                self.asked.drain(..more);
            }
            return;
        }
        assert!(
            self.elsewhere || self.came.contains(&flow.peer.ip()),
            "an answer to nobody: {}",
            String::from_utf8_lossy(message.bytes())
        );
        if let Some(found) = challenges(&message).into_iter().next() {
            (self.peers[peer].challenge, self.peers[peer].uses) = (Some(found), 0);
        }
        let number = message
            .call_id()
            .strip_prefix('c')
            .and_then(|text| text.parse::<usize>().ok());
        if let Some(slot) = number.and_then(|number| self.slots.get_mut(number))
            && message.status() > 100
            && message.status() < 300
        {
            slot.to = message.get(Name::To).map(std::borrow::Cow::into_owned);
            slot.routes = message
                .all(Name::RecordRoute)
                .iter()
                .map(|route| route.to_string())
                .collect();
            slot.contact = contact_of(&message);
        }
    }

    /// After each input.
    fn check(&self) {
        let census = self.node.census();
        let timer = self.node.poll_timeout().is_some();
        let waits = census.calls + census.transactions + census.contexts + census.tickets;
        assert!(waits == 0 || timer, "something waits without a deadline: {census:?}");
        let messages = self.serial as usize + 4 * super::STEPS;
        assert!(census.contexts <= messages && census.calls <= messages, "{census:?}");
        assert!(
            census.transactions <= 64 * messages && census.tickets <= 64 * messages,
            "{census:?}"
        );
    }

    /// Nobody says anything any more: everything ends.
    pub fn end(mut self) {
        self.trouble = Trouble::default();
        self.asked.clear();
        self.wait(Duration::from_secs(1_500));
        self.wait(Duration::from_secs(200));
        let census = self.node.census();
        let left = (
            census.calls,
            census.contexts,
            census.transactions,
            census.tickets,
            census.registers,
        );
        let places = (census.trunk_places, census.user_places);
        let next = self.node.poll_timeout();
        assert_eq!((left, places), ((0, 0, 0, 0, 0), (0, 0)), "left over; next {next:?}");
        assert!(self.open.is_empty(), "calls without an end: {:?}", self.open);
        assert!(self.calls.values().all(|count| *count == 1));
        assert!(self.legs.is_empty(), "legs are left: {:?}", self.legs);
        assert!(
            next.is_none_or(|(_, who)| who == "trunks"),
            "a deadline is left: {next:?}"
        );
    }
}

fn contact_of(message: &Message) -> Option<String> {
    let contacts = message.addresses(Name::Contact).ok()?;
    contacts.first().map(|contact| contact.uri.to_string())
}

/// A Content-Type line and a body.
fn described(sdp: bool) -> (&'static str, &'static str) {
    if sdp {
        ("Content-Type: application/sdp\r\n", SDP)
    } else {
        ("", "")
    }
}

fn with_tag(value: String, tag: &str) -> String {
    if value.contains("tag=") {
        value
    } else {
        format!("{value};tag={tag}")
    }
}

fn changed(text: String, extra: &Extra) -> Vec<u8> {
    let mut octets = text.into_bytes();
    if let Some((at, octet)) = extra.octet {
        let at = at % octets.len();
        octets[at] = octet;
    }
    octets
}

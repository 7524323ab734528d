//! What a machine may ask of the world, what it is told, and the facts that it leaves.

use crate::api::wire::Reply as ApiReply;
use crate::config::HttpUrl;
use crate::id::{ApiId, CallId, ControlId, Flow, Target, Ticket, TrunkIx, WorkerId};
use crate::media::command::{Command, LegStats, Recording, RoomStats, Trouble};
use crate::pii::Secret;
use crate::sip::uri::{Uri, unescape};
use crate::time::Wall;
use bytes::Bytes;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// From a signalling machine to the shell.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Writes a message to a flow. A flow that cannot take it is answered with `Input::FlowClosed`.
    Send(Flow, Bytes),
    /// Finds or opens a flow to a target: answered with `FlowOpened` (UDP and open connections: in the same turn) or `FlowFailed`.
    Connect(Ticket, Target),
    /// Somebody whom we know (a user with credentials, a carrier, a peer of a dialog) has spoken on this stream flow: it is worth
    /// keeping while nothing is said. One of a stranger is not.
    Known(Flow),
    /// Requests to this target go by this connection, which its peer has opened to us (RFC 5923): `Connect` finds it.
    Alias(Flow, Target),
    /// One question to the DNS: answered with `Answered`. What is made of the answers is decided here (RFC 3263).
    Query(Ticket, Question),
    /// A store operation: answered with `Input::Store`.
    Store(Ticket, Op),
    /// Tells a URL of HTTP something: answered with `Input::Posted`.
    Post(Ticket, Box<Post>),
    /// A command for a media worker, in order per worker.
    Media(WorkerId, Command),
    /// An answer of NG to whoever sent the command.
    Ng(SocketAddr, Bytes),
    /// Lines for whoever is connected to the control socket; nothing more comes behind them if `last`.
    Control {
        /// Whom.
        to: ControlId,
        /// Whole lines.
        lines: Bytes,
        /// The connection is to be closed.
        last: bool,
    },
    /// A reply of the HTTP API. A stream that cannot take it is answered with `Input::ApiClosed`.
    Api(ApiId, ApiReply),
    /// Wants this many more spare ports: answered with `Input::Ports`, possibly fewer.
    Ports(usize),
    /// One more fact of the stream that CDRs, logs and counters are folded from.
    Record(Fact),
}

/// Which URL of the operator is told something: each has places, certificates and a line in the log of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Who wakes phones (`push`).
    Phones,
    /// Who wakes clients of the HTTP API (`api.push`).
    Clients,
}

/// A POST of a JSON object.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// Which hook it is.
    pub hook: Hook,
    /// Whereto.
    pub url: HttpUrl,
    /// What shows who asks: `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// The object.
    pub body: Bytes,
}

/// By whom a phone is reached at a push service is nobody's business.
impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Post({}, {} octets)", self.url.host, self.body.len())
    }
}

/// What kind of record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// IPv4 addresses (RFC 1035).
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
    /// Where a service lives (RFC 2782).
    Srv,
    /// Which services there are (RFC 3403).
    Naptr,
}

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Of which kind.
    pub kind: Kind,
    /// About which name: in lower case, without the dot at its end.
    pub name: Box<str>,
}

/// The answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Of the kind that was asked for, aliases followed. Empty where there is no such name, no such record, or no answer at all.
    pub records: Vec<Record>,
    /// How long it may be kept, also where it is empty (RFC 2308); zero where nobody answered.
    pub ttl: Duration,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A or AAAA.
    Address(IpAddr),
    /// SRV.
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share among those of the same priority.
        weight: u16,
        /// Of the service.
        port: u16,
        /// The host; the root where the service is expressly not there.
        target: Box<str>,
    },
    /// NAPTR, without its regular expression, which SIP does not use (RFC 3263 4.1).
    Naptr {
        /// The lowest is tried first.
        order: u16,
        /// The lowest of an order is tried first.
        preference: u16,
        /// `s`: `replacement` has SRV records.
        flags: Box<str>,
        /// `SIP+D2U` and its like.
        services: Box<str>,
        /// The next name.
        replacement: Box<str>,
    },
}

/// A store operation on one address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads the bindings: `Reply::Bindings`.
    Bindings(Aor),
    /// Replaces all bindings if `version` is still the one that was read (compare and set): `Replaced` once it is durable, or at once where
    /// they only last longer; else `Conflict`.
    Replace {
        /// Whose.
        aor: Aor,
        /// As in `Reply::Bindings`.
        version: u64,
        /// The new list; empty removes the address of record.
        bindings: Arc<[Binding]>,
    },
}

/// The answer to an `Op`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The bindings that have not expired; version 0 and none when the address of record is unknown.
    Bindings {
        /// For a later `Replace`.
        version: u64,
        /// In order of registration.
        bindings: Arc<[Binding]>,
    },
    /// Durable, unless it only lasts longer.
    Replaced {
        /// The new version.
        version: u64,
    },
    /// Somebody else was faster: read again.
    Conflict,
    /// The store is down or full; nothing was changed.
    Failed,
}

/// An address of record in canonical form: `user@domain`, the domain in lower case (RFC 3261 10.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aor(pub Arc<str>);

impl Aor {
    /// The name in it.
    pub fn user(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(user, _)| user)
    }
}

impl std::fmt::Display for Aor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One contact of an address of record (RFC 3261 10.3). Its texts are shared: those that stay are not written anew with each list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The Contact URI as the phone wrote it.
    pub contact: Arc<str>,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// Call-ID of the REGISTER that made it.
    pub call_id: Arc<str>,
    /// CSeq of the REGISTER that made it.
    pub cseq: u32,
    /// When it ends.
    pub expires: Wall,
    /// The flow that the REGISTER came by: the way back through NAT.
    pub flow: Flow,
    /// `+sip.instance`, without quotes and angle brackets.
    pub instance: Option<Arc<str>>,
    /// User-Agent, cut to 64 characters.
    pub user_agent: Option<Arc<str>>,
    /// What most phones do not have, so that it costs the others a word.
    pub more: Option<Box<More>>,
}

/// What a binding may have beyond RFC 3261.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// `reg-id`: it is one of the flows of its instance (RFC 5626 6).
    pub reg_id: Option<u32>,
    /// Path: the proxies on the way to the phone, as they came, with commas between (RFC 3327 5.3).
    pub path: Option<Box<str>>,
    /// Its instance has GRUUs.
    pub gruu: Option<Gruu>,
    /// The parameters of Contact that mean nothing to us, as they are written (`;audio;+sip.note="x"`): what the phone can do (RFC
    /// 3840), for who asks (RFC 5626 6).
    pub params: Option<Box<str>>,
}

/// Which temporary GRUUs of an instance are good: those of this age. All bindings of the instance say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gruu {
    /// When the first of them was given: a REGISTER with another Call-ID makes all before it bad (RFC 5627 5.1).
    pub age: Wall,
    /// CSeq of the REGISTER that was given the first (RFC 5628 5).
    pub first_cseq: u32,
}

impl Binding {
    /// It can be called: another URI may be registered (RFC 3261 10.2.1, RFC 3665 2.2), and only told to who asks.
    pub fn is_sip(&self) -> bool {
        self.contact.starts_with("sip:") || self.contact.starts_with("sips:")
    }

    /// `reg-id`, where it is one of the flows of its instance.
    pub fn reg_id(&self) -> Option<u32> {
        self.more.as_ref().and_then(|more| more.reg_id)
    }

    /// The proxies on the way to it.
    pub fn path(&self) -> Option<&str> {
        self.more.as_ref().and_then(|more| more.path.as_deref())
    }

    /// The parameters of Contact that mean nothing to us.
    pub fn params(&self) -> Option<&str> {
        self.more.as_ref().and_then(|more| more.params.as_deref())
    }

    /// Which temporary GRUUs of its instance are good.
    pub fn gruu(&self) -> Option<Gruu> {
        self.more.as_ref().and_then(|more| more.gruu)
    }
}

/// A device of a user, as a GRUU names it (RFC 5627).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whose.
    pub user: Box<str>,
    /// Which.
    pub which: Which,
}

/// Which of a user's devices is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this instance: a public GRUU, which is good as long as the user.
    Instance(Box<str>),
    /// The one with an instance of this digest, while its temporary GRUUs of this age are good.
    Temporary {
        /// See [`digest_of`].
        instance: u64,
        /// See [`Gruu::age`].
        age: Wall,
    },
}

impl Which {
    /// The one that a public GRUU means (RFC 5627 A.1).
    pub fn public(uri: &Uri) -> Option<Which> {
        let gr = uri.params.value("gr")?;
        Some(Which::Instance(unescape(gr).into()))
    }

    /// True for a binding of the device.
    pub fn is(&self, binding: &Binding) -> bool {
        let instance = binding.instance.as_deref();
        match self {
            Which::Instance(own) => instance == Some(own),
            Which::Temporary { instance: own, age } => {
                instance.map(digest_of) == Some(*own) && binding.gruu().is_some_and(|gruu| gruu.age == *age)
            }
        }
    }

    /// The status where nobody can be reached by these bindings (RFC 5627 5.3, 6.1): if the device is not among them, a temporary GRUU is
    /// bad for ever.
    pub fn absent(&self, bindings: &[Binding]) -> u16 {
        match self {
            Which::Temporary { .. } if !bindings.iter().any(|binding| self.is(binding)) => 404,
            Which::Instance(_) | Which::Temporary { .. } => 480,
        }
    }
}

/// The digest of an instance, the same in each process.
pub fn digest_of(instance: &str) -> u64 {
    foldhash::quality::FixedState::default().hash_one(instance)
}

/// The bindings of a user as targets: those of one device together, the flow that was refreshed last first, since a request goes to
/// one of them at a time (RFC 5626 7, RFC 5627 6.1). `which` is the only one that is meant, if any. `own` is the sender's flow: the device
/// behind it is left out.
pub fn devices(bindings: &[Binding], which: Option<&Which>, own: Option<Flow>) -> Vec<Vec<Binding>> {
    let is_meant = |binding: &&Binding| which.is_none_or(|which| which.is(binding));
    let meant = || bindings.iter().filter(is_meant);
    let asks = own.and_then(|own| meant().find(|binding| binding.flow == own));
    let is_own = |binding: &Binding| {
        asks.is_some_and(|asks| {
            binding.flow == asks.flow || (binding.instance.is_some() && binding.instance == asks.instance)
        })
    };
    let mut devices: Vec<Vec<Binding>> = Vec::with_capacity(bindings.len());
    for binding in meant().filter(|binding| binding.is_sip() && !is_own(binding)) {
        let same = |device: &&mut Vec<Binding>| binding.instance.is_some() && device[0].instance == binding.instance;
        match devices.iter_mut().find(same) {
            Some(device) => device.insert(0, binding.clone()),
            None => devices.push(vec![binding.clone()]),
        }
    }
    devices
}

/// Who a call or request comes from or goes to, as routing and records see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// A configured user, by name.
    User(String),
    /// A trunk.
    Trunk(TrunkIx, String),
    /// The node itself: echo, tone, a room.
    Service(String),
}

/// Why a call ended, for the CDR and the peers: one sentence can be made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The SIP status that describes it (200 for a normal end).
    pub status: u16,
    /// The ITU-T Q.850 cause (16 normal clearing, 17 busy, 19 no answer, ...).
    pub q850: u8,
    /// Whose doing it was.
    pub by: Blame,
    /// In words, without personal data.
    pub text: String,
}

impl Cause {
    /// From a status, with the Q.850 cause that stands for it.
    pub fn of_status(status: u16, by: Blame, text: impl Into<String>) -> Cause {
        Cause {
            status,
            q850: q850_of(status),
            by,
            text: text.into(),
        }
    }
}

/// Who ended or failed a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// The calling side.
    Caller,
    /// The called side.
    Callee,
    /// This node: a limit, a timer, a stop.
    Node,
    /// The network between us and a peer.
    Network,
}

/// One side of a call's media at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct LegReport {
    /// Which side: true for the caller's.
    pub caller: bool,
    /// Its counters and quality.
    pub stats: LegStats,
}

/// What happened, in order per call. CDRs, log lines and counters are folds over this stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// An INVITE was accepted as a new call: the CDR begins.
    CallStarted {
        /// The call.
        call: CallId,
        /// When.
        at: Wall,
        /// From whom.
        from: Party,
        /// The caller's number or name as presented.
        caller: String,
        /// The number or name that was dialled (normalised).
        called: String,
        /// The caller's Call-ID, to find the call in other systems.
        sip_call_id: String,
    },
    /// Routing has decided.
    CallRouted {
        /// The call.
        call: CallId,
        /// Whereto, in words (`trunk/acme`, `user/alice`, `echo`).
        to: String,
        /// The line or rule that decided.
        rule: String,
    },
    /// The callee's side rings (first 180 or 183).
    CallRinging {
        /// The call.
        call: CallId,
        /// When.
        at: Wall,
    },
    /// Answered by both sides' dialogs.
    CallAnswered {
        /// The call.
        call: CallId,
        /// When.
        at: Wall,
        /// Who answered.
        by: Party,
    },
    /// Something worth a log line on the way: hold, resume, transfer, failover, re-negotiation.
    CallChanged {
        /// The call.
        call: CallId,
        /// In words, without personal data.
        what: String,
    },
    /// A call is recorded from now on, or the mix of a room. (How that ended is known to who writes it.)
    RecordingStarted {
        /// Its file, which names the call; where it is of a room, no call has that name.
        recording: Recording,
    },
    /// What is recorded of a call is to go to a recording server (RFC 7866).
    RecordingSession {
        /// Which recording.
        recording: Recording,
        /// The server's URI.
        server: String,
        /// The Call-ID there.
        sip_call_id: String,
    },
    /// It does no longer: one for each `RecordingSession`.
    RecordingSessionEnded {
        /// Which recording.
        recording: Recording,
        /// How long it did; zero where it never did.
        millis: u64,
        /// Why it ended before it was to, or never began.
        fault: Option<String>,
    },
    /// How the media goes of a call that is up.
    CallMeasured {
        /// The call.
        call: CallId,
        /// The legs that talk.
        legs: Vec<LegReport>,
    },
    /// Somebody is not heard, or only silence is; or it is over.
    CallTrouble {
        /// The call.
        call: CallId,
        /// On whose leg.
        leg: Party,
        /// Whom that one talks with.
        other: Option<Party>,
        /// What it is, and where it is lost as far as that is known.
        trouble: Trouble,
        /// It was so, and is no longer.
        over: bool,
        /// Now neither hears the other.
        both: bool,
    },
    /// The call is over; exactly one for each `CallStarted`.
    CallEnded {
        /// The call.
        call: CallId,
        /// When.
        at: Wall,
        /// Why.
        cause: Cause,
        /// What the media saw, as far as legs were open.
        legs: Vec<LegReport>,
    },
    /// What the mix of a room took in the last seconds.
    RoomMeasured {
        /// As the log names it.
        room: String,
        /// What.
        stats: RoomStats,
    },
    /// A user's bindings changed.
    Registered {
        /// Whose.
        aor: Aor,
        /// How many contacts are left.
        contacts: usize,
        /// False when it only lasts longer now.
        changed: bool,
        /// From where.
        peer: SocketAddr,
        /// The longest that was granted.
        expires: Duration,
    },
    /// A trunk's registration or a peer's health changed.
    TrunkState {
        /// Its name.
        trunk: String,
        /// The peer, where it is about one.
        peer: Option<String>,
        /// Usable from now on.
        up: bool,
        /// In words.
        why: String,
    },
    /// A request was refused or dropped before it became a call or a binding.
    Refused {
        /// From where.
        peer: SocketAddr,
        /// The status, or 0 when nothing was answered.
        status: u16,
        /// Why, in words, without personal data.
        why: &'static str,
        /// What it was and in whose name, where that helps whoever has to find out: `REGISTER of alice@example.com`.
        what: Option<Box<str>>,
    },
    /// Nothing is heard of a source for a while.
    Banned {
        /// One address of it.
        source: IpAddr,
        /// For how long.
        lasts: Duration,
        /// Why, in words.
        why: &'static str,
    },
    /// A source that was banned is heard again.
    BanEnded {
        /// One address of it.
        source: IpAddr,
        /// Messages that came meanwhile.
        dropped: u64,
    },
    /// What was dropped or refused within the last minute without being told of one by one.
    Cut {
        /// So many messages.
        count: u64,
        /// Which.
        what: &'static str,
    },
    /// Messages wait too long, so that new requests are refused; or no longer.
    Overload {
        /// It begins.
        begins: bool,
    },
    /// A proxy has brought the media of a call (`ng`).
    NgBegan {
        /// Its Call-ID.
        name: Arc<str>,
    },
    /// Such a call is over: one for each `NgBegan`, unless a bug has ended it.
    NgEnded {
        /// Its Call-ID.
        name: Arc<str>,
        /// Why, in words.
        why: &'static str,
        /// What the media saw; the first side that offered counts as the caller.
        legs: Vec<LegReport>,
    },
    /// A command of NG was not done.
    NgRefused {
        /// Who sent it.
        peer: SocketAddr,
        /// What it was.
        what: &'static str,
        /// Why, as a sentence.
        why: String,
    },
    /// A flag of NG that this node does not heed.
    NgUnheeded {
        /// With what stands behind it.
        flag: Box<str>,
    },
    /// Something happened to a call of a client of the HTTP API.
    ClientCall {
        /// As the API names it.
        name: Box<str>,
        /// The same call as the other facts name it; none of one between two clients.
        call: Option<CallId>,
        /// In words.
        what: String,
    },
    /// A request of the HTTP API was refused.
    ApiRefused {
        /// From where.
        peer: IpAddr,
        /// Its method and its path, without what may be secret.
        what: String,
        /// Who has asked, as far as its key or token was good.
        by: Option<String>,
        /// The status of HTTP.
        status: u16,
        /// Why, as a sentence.
        why: String,
    },
    /// Something happened in a room.
    Room {
        /// What it is called.
        room: String,
        /// In words, without personal data.
        what: String,
    },
    /// Something that an operator should know.
    Warning(String),
}

/// The causes of Q.850 that we tell, by its table 1.
#[allow(missing_docs)]
pub mod q850 {
    pub const UNALLOCATED_NUMBER: u8 = 1;
    pub const NORMAL_CLEARING: u8 = 16;
    pub const USER_BUSY: u8 = 17;
    pub const NO_USER_RESPONDING: u8 = 18;
    pub const NO_ANSWER: u8 = 19;
    pub const SUBSCRIBER_ABSENT: u8 = 20;
    pub const CALL_REJECTED: u8 = 21;
    pub const NUMBER_CHANGED: u8 = 22;
    pub const ROUTING_ERROR: u8 = 25;
    pub const INVALID_NUMBER: u8 = 28;
    pub const NORMAL_UNSPECIFIED: u8 = 31;
    pub const NO_CIRCUIT: u8 = 34;
    pub const NETWORK_OUT_OF_ORDER: u8 = 38;
    pub const TEMPORARY_FAILURE: u8 = 41;
    pub const SERVICE_NOT_AVAILABLE: u8 = 63;
    pub const BEARER_NOT_IMPLEMENTED: u8 = 65;
    pub const SERVICE_NOT_IMPLEMENTED: u8 = 79;
    pub const TIMER_EXPIRED: u8 = 102;
    pub const INTERWORKING: u8 = 127;
}

/// The Q.850 cause that stands for a SIP status (RFC 3398 8.2.6.1).
pub const fn q850_of(status: u16) -> u8 {
    match status {
        200..=299 | 487 => q850::NORMAL_CLEARING,
        400 | 481 | 500 | 503 => q850::TEMPORARY_FAILURE,
        401 | 402 | 403 | 407 | 603 => q850::CALL_REJECTED,
        404 | 485 | 604 => q850::UNALLOCATED_NUMBER,
        405 => q850::SERVICE_NOT_AVAILABLE,
        406 | 415 | 488 | 606 => q850::BEARER_NOT_IMPLEMENTED,
        408 | 504 => q850::TIMER_EXPIRED,
        410 => q850::NUMBER_CHANGED,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => q850::INTERWORKING,
        480 => q850::NO_USER_RESPONDING,
        482 | 483 => q850::ROUTING_ERROR,
        484 => q850::INVALID_NUMBER,
        486 | 600 => q850::USER_BUSY,
        501 => q850::SERVICE_NOT_IMPLEMENTED,
        502 => q850::NETWORK_OUT_OF_ORDER,
        _ => q850::NORMAL_UNSPECIFIED,
    }
}

//! The configuration: `raw` reads what the YAML says, `checked` is what the program uses.

use crate::id::{Transport, TrunkIx};
use crate::pii::Secret;
use codecs::Codec;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Everything that the program takes from its file, checked: no reader of it validates again.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `node.name`.
    pub node_name: String,
    /// `listen`, in order; `ListenerId` is the index.
    pub listen: Vec<Listen>,
    /// `advertise`: our address as others see it, in Via, Contact and SDP.
    pub advertise: Option<IpAddr>,
    /// `media`.
    pub media: Media,
    /// `domains`, in order; the first is the one that we use for users without their own.
    pub domains: Vec<Domain>,
    /// `users`, in order.
    pub users: Vec<User>,
    /// `trunks`, in order; `TrunkIx` is the index.
    pub trunks: Vec<Trunk>,
    /// `routes`, in order.
    pub routes: Vec<Route>,
    /// `store`.
    pub store: Store,
    /// `registrar`.
    pub registrar: Registrar,
    /// `calls`.
    pub calls: Calls,
    /// `log`.
    pub log: Log,
}

/// One entry of `listen`: `udp://0.0.0.0:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// UDP or TCP.
    pub transport: Transport,
    /// Address and port; port 0 asks the system for one (tests).
    pub addr: SocketAddr,
}

/// `media`.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// The lowest RTP port (even).
    pub first_port: u16,
    /// The highest port, RTCP included.
    pub last_port: u16,
    /// `address`: where RTP sockets are bound; default: the listeners' address if all share one, else every address.
    pub address: Option<IpAddr>,
    /// `workers`: media threads; default one per core.
    pub workers: usize,
    /// `silence`: a leg that receives nothing for this long ends its call; `None` never.
    pub silence: Option<Duration>,
    /// `opus_bitrate` in bits per second.
    pub opus_bitrate: u32,
    /// `opus_complexity`, 0 to 10.
    pub opus_complexity: u8,
}

/// A digest algorithm (RFC 7616, RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
}

/// One entry of `domains`: a name, or `{ name, digest }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Lower case.
    pub name: String,
    /// Challenges, in order of preference; default `[md5]`.
    pub digest: Vec<Algorithm>,
}

/// One entry of `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user part of the address of record and the digest user name.
    pub name: String,
    /// The digest password.
    pub password: Secret,
    /// `number` or `numbers`, in E.164 or as an extension, normalised; the first is presented as caller.
    pub numbers: Vec<String>,
    /// `domain`; default the first of `domains`.
    pub domain: String,
    /// `digest`; default that of the domain.
    pub digest: Vec<Algorithm>,
    /// `display_name` presented to others.
    pub display_name: Option<String>,
    /// `codecs`, in order of preference; default opus, pcma, pcmu.
    pub codecs: Vec<Codec>,
    /// `calls`: how many at once before the user is busy; default 2 (call waiting). 1 turns call waiting off.
    pub calls: u32,
    /// `ring`: how long the phones ring before there is no answer.
    pub ring: Duration,
    /// `on_busy`, `on_no_answer`, `on_offline`: where the call goes then (a number or name, routed anew); none refuses it.
    pub on_busy: Option<String>,
    /// See `on_busy`.
    pub on_no_answer: Option<String>,
    /// See `on_busy`.
    pub on_offline: Option<String>,
}

/// One entry of `trunks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// `name`.
    pub name: String,
    /// `peers` in order of failover.
    pub peers: Vec<crate::sip::uri::Uri>,
    /// `accept_from`: source networks that are this carrier.
    pub accept_from: Vec<Network>,
    /// `register`; none: identified by address alone.
    pub register: Option<TrunkRegister>,
    /// `codecs` in order; default pcma, pcmu.
    pub codecs: Vec<Codec>,
    /// `limits.calls`.
    pub max_calls: u32,
    /// `limits.calls_per_second`.
    pub calls_per_second: u32,
    /// `numbers`.
    pub numbers: Numbers,
    /// `options`: how often each peer's health is asked; `None` never.
    pub options_interval: Option<Duration>,
    /// `ring`: how long a call may ring at the carrier.
    pub ring: Duration,
    /// `connect`: how long a peer may stay silent after INVITE before the next one is tried.
    pub connect: Duration,
    /// `pass_headers`: names that are carried to and from the other leg; all others stay.
    pub pass_headers: Vec<String>,
}

/// `trunks[].register`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRegister {
    /// Digest user name and user part of the address of record.
    pub username: String,
    /// Digest password.
    pub password: Secret,
    /// Expected realm and domain of the address of record; default the peer's host.
    pub realm: Option<String>,
    /// `expires` asked for.
    pub expires: Duration,
}

/// `trunks[].numbers`: how numbers look on this trunk; inside they are E.164 with plus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// `country`: ISO code whose national form incoming numbers may have.
    pub country: Option<Country>,
    /// `send`: what the carrier wants to see.
    pub send: NumberFormat,
}

/// `numbers.send`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// `+14155550101`.
    E164,
    /// `14155550101`.
    Plain,
    /// As dialled within the country: `4155550101`, `0301234567`; others with the international prefix.
    National,
}

/// A country's dialling habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166 alpha-2.
    pub iso: &'static str,
    /// Country calling code without plus: `1`, `49`.
    pub code: &'static str,
    /// Trunk prefix of national numbers: `0`, `1`, or empty.
    pub national_prefix: &'static str,
    /// `00`, `011`.
    pub international_prefix: &'static str,
}

/// An address range: `198.51.100.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub addr: IpAddr,
    /// Prefix length.
    pub prefix: u8,
}

/// One entry of `routes`: the first that matches, decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its line in the file, to name it.
    pub line: usize,
    /// `to`.
    pub to: Pattern,
    /// `from`; `Any` when absent.
    pub from: FromPattern,
    /// `do`.
    pub action: Action,
}

/// `routes[].to`: a whole number or name, a prefix (`+49*`, and `+` alone for every E.164 number), or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The whole.
    Exact(String),
    /// The beginning.
    Prefix(String),
    /// Everything.
    Any,
}

/// `routes[].from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromPattern {
    /// Everyone who may call at all.
    Any,
    /// `user/*`.
    AnyUser,
    /// `user/alice`.
    User(String),
    /// `trunk/*`.
    AnyTrunk,
    /// `trunk/acme`.
    Trunk(TrunkIx),
}

/// `routes[].do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `user/alice`: all her phones.
    User(String),
    /// `trunk/acme`.
    Trunk(TrunkIx),
    /// `echo`.
    Echo,
    /// `tone`: a 1,004 Hz milliwatt-like tone.
    Tone,
    /// `reject/403`: this status.
    Reject(u16),
}

/// `store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// `path` of the SQLite file, relative to the working directory.
    pub path: std::path::PathBuf,
}

/// `registrar`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registrar {
    /// `min_expires`: shorter wishes get 423.
    pub min_expires: Duration,
    /// `max_expires`: longer wishes are cut.
    pub max_expires: Duration,
    /// `default_expires`: for a REGISTER that says none.
    pub default_expires: Duration,
}

/// `calls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// `max_duration`: a longer call is ended.
    pub max_duration: Duration,
    /// `session_expires` (RFC 4028).
    pub session_expires: Duration,
    /// `min_session_expires` (RFC 4028 Min-SE).
    pub min_session_expires: Duration,
    /// `stop_grace`: how long calls may go on after SIGTERM.
    pub stop_grace: Duration,
    /// `transfer`: whether phones may transfer (REFER).
    pub transfer: bool,
}

/// `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `format: json` instead of text.
    pub json: bool,
    /// `level`: error, warn, info, debug, trace.
    pub level: String,
}

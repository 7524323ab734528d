//! What the program uses: every value is complete and cannot be wrong, so nobody checks again.

use super::country::Country;
use super::network::Network;
use super::recording::{Record, Recording};
use super::rooms::Room;
use super::route::Route;
use super::sounds::Announcements;
use crate::id::{Identity, Transport, TrunkIx};
use crate::media::command::{Dtmf, Gains, Music, Srtp};
use crate::pii::Secret;
use crate::sip::uri::{Host, HostText, Scheme, SchemeText, Uri, UriText};
use codecs::Codec;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the program takes from its file, checked: no reader of it validates again.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `node.name`.
    pub node_name: String,
    /// `listen`, in order.
    pub listen: Vec<Listen>,
    /// `advertise`: our address as others see it; read by `own_address`.
    pub advertise: Option<IpAddr>,
    /// `tls`.
    pub tls: Tls,
    /// `dns`.
    pub dns: Dns,
    /// `media`.
    pub media: Media,
    /// `recording`.
    pub recording: Recording,
    /// `music_on_hold` of those who have none of their own; empty: a hold goes through to who is held.
    pub music_on_hold: Music,
    /// `announcements` of those who have none of their own.
    pub announcements: Announcements,
    /// `domains`, in order; the first is the one that we use for users without their own.
    pub domains: Vec<Domain>,
    /// `users`, in order.
    pub users: Vec<User>,
    /// `trunks`, in order; `TrunkIx` is the index.
    pub trunks: Vec<Trunk>,
    /// `rooms`, in order.
    pub rooms: Vec<Arc<Room>>,
    /// What holds for rooms that are made on demand.
    pub room_on_demand: Arc<Room>,
    /// `routes`, in order.
    pub routes: Vec<Route>,
    /// `store`.
    pub store: Store,
    /// `control`.
    pub control: super::Control,
    /// `registrar`.
    pub registrar: Registrar,
    /// `registrar.watchers`: users who may watch everybody's registration.
    pub watchers: Vec<String>,
    /// `push`; none: phones are not woken.
    pub push: Option<Push>,
    /// `calls`.
    pub calls: Calls,
    /// `guard`.
    pub guard: Guard,
    /// `ng`; none: no proxy has its media here.
    pub ng: Option<super::Ng>,
    /// `turn`; none: neither STUN nor TURN.
    pub turn: Option<super::Turn>,
    /// `api`; none: it is not served.
    pub api: Option<super::Api>,
    /// `log`.
    pub log: Log,
    /// `numbers.country`, or else the country of all trunks if they agree: how numbers that users dial are read.
    pub country: Option<Country>,
    /// Users by name and by number: places in `users`.
    pub(super) index: Index,
}

/// What is looked up by a word at every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) names: HashMap<String, usize, foldhash::fast::FixedState>,
    pub(super) numbers: HashMap<String, usize, foldhash::fast::FixedState>,
}

impl Config {
    /// The user of this name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.index.names.get(name).and_then(|ix| self.users.get(*ix))
    }

    /// The user who has this number, in its normalised form.
    pub fn user_by_number(&self, number: &str) -> Option<&User> {
        self.index.numbers.get(number).and_then(|ix| self.users.get(*ix))
    }

    /// The trunk at this place; none if the place is of another configuration.
    pub fn trunk(&self, ix: TrunkIx) -> Option<&Trunk> {
        self.trunks.get(usize::from(ix.0))
    }

    /// The trunk of this name.
    pub fn trunk_by_name(&self, name: &str) -> Option<(TrunkIx, &Trunk)> {
        self.trunks_with_ix().find(|(_, trunk)| trunk.name == name)
    }

    /// `trunk/acme`.
    pub fn trunk_words(&self, ix: TrunkIx) -> String {
        self.trunk(ix)
            .map_or_else(|| format!("trunk/{}", ix.0), |trunk| format!("trunk/{}", trunk.name))
    }

    /// All trunks with their places.
    pub fn trunks_with_ix(&self) -> impl Iterator<Item = (TrunkIx, &Trunk)> {
        (0u16..).map(TrunkIx).zip(&self.trunks)
    }

    /// How users of this domain call each other.
    pub fn way_of(&self, domain: &str) -> Way {
        let found = self.domains.iter().find(|own| own.name == domain);
        found.map_or(Way::Bridge, |domain| domain.way)
    }

    /// Our address as the peer of a flow sees it, for Via, Contact and SDP: `advertise`, else the flow's own (`local`). An
    /// address of the other family is no use to a peer that can't reach it.
    pub fn own_address(&self, local: IpAddr) -> IpAddr {
        let fits = |addr: &IpAddr| addr.is_ipv4() == local.is_ipv4();
        self.advertise.filter(fits).unwrap_or(local)
    }

    /// The domain that a host in a request stands for, if it is one of ours: by name, or by any address of ours
    /// (`advertise`, a listener, the address `arrived_on`) or name of ours (`trunks[].host`), which stand for the first domain.
    pub fn local_domain<'t>(&self, host: impl Into<HostText<'t>>, arrived_on: IpAddr) -> Option<&Domain> {
        let host = host.into();
        if let Some(named) = self.domains.iter().find(|domain| domain.is_named(host)) {
            return Some(named);
        }
        let is_ours = |name: &str| matches!(host, HostText::Name(text) if text.eq_ignore_ascii_case(name));
        if self
            .trunks
            .iter()
            .any(|trunk| trunk.host.as_deref().is_some_and(is_ours))
        {
            return self.domains.first();
        }
        let ip = host.ip()?;
        let ours = ip == arrived_on
            || self.advertise == Some(ip)
            || self
                .listen
                .iter()
                .any(|listen| listen.addr.ip() == ip && !ip.is_unspecified());
        if ours { self.domains.first() } else { None }
    }

    /// True if the URI names this node: one of `domains`, an address that we listen on or advertise, or a bare number.
    pub fn is_local(&self, uri: &Uri, arrived_on: IpAddr) -> bool {
        match &uri.scheme {
            Scheme::Tel => true,
            Scheme::Sip | Scheme::Sips => self.local_domain(&uri.host, arrived_on).is_some(),
            Scheme::Other(_) => false,
        }
    }

    /// The same of a URI as text.
    pub fn is_local_text(&self, uri: &UriText<'_>, arrived_on: IpAddr) -> bool {
        match uri.scheme {
            SchemeText::Tel => true,
            SchemeText::Sip | SchemeText::Sips => self.local_domain(uri.host, arrived_on).is_some(),
            SchemeText::Other(_) => false,
        }
    }
}

/// One entry of `listen`: `udp://0.0.0.0:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// How.
    pub transport: Transport,
    /// Address and port; port 0 asks the system for one (tests).
    pub addr: SocketAddr,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.param(), self.addr)
    }
}

impl Listen {
    /// True if the system would refuse one of the two: both datagrams or both streams, same port, and one address takes in the other.
    /// A wildcard takes in the addresses of its own family (the listeners for IPv6 are set to IPv6 only).
    pub fn clashes(&self, other: &Listen) -> bool {
        let (a, b) = (self.addr, other.addr);
        let same_kind = (self.transport == Transport::Udp) == (other.transport == Transport::Udp);
        same_kind && a.port() == b.port() && a.port() != 0 && same_address(a.ip(), b.ip())
    }
}

/// True if a socket on one address would collide with one on the other.
pub(super) fn same_address(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
}

/// A certificate chain and its private key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// `certificate`: ours first, then those that lead to the root.
    pub certificate: PathBuf,
    /// `key`.
    pub key: PathBuf,
}

/// `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `certificate` and `key`; none: one that the node makes and signs itself.
    pub certificate: Option<KeyPair>,
    /// `client_ca`: who vouches for those who come, besides the CAs of trunks with `tls.accept`.
    pub client_ca: Option<PathBuf>,
    /// `client_required`: who comes by tls and is vouched for by nobody is refused.
    pub client_required: bool,
    /// `min_expiry_warning`: a certificate that ends within this is warned of.
    pub min_expiry_warning: Duration,
}

/// `trunks[].tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkTls {
    /// `ca`: who may have signed the carrier's certificate; none: the public roots.
    pub ca: Option<PathBuf>,
    /// `name`: what we ask for (SNI) and what the certificate must say; none: the host of the peer.
    pub name: Option<String>,
    /// `certificate` and `key`: who we are to the carrier; none: as `tls` says.
    pub certificate: Option<KeyPair>,
    /// `accept`: domains whose certificate makes a connection this carrier's, if `ca` vouches for it.
    pub accept: Vec<Box<str>>,
}

/// `dns`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// `servers`; none: those of /etc/resolv.conf.
    pub servers: Vec<SocketAddr>,
}

/// `media`.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// The lowest RTP port (even).
    pub first_port: u16,
    /// The highest port, RTCP included.
    pub last_port: u16,
    /// `browser_ports: shared`: the port of the first worker, as at the start of the node.
    pub shared_port: Option<u16>,
    /// `browser_tcp`: the port on which browsers that cannot send UDP connect.
    pub browser_tcp: Option<u16>,
    /// `address`: where RTP sockets are bound; default: the listeners' address if all share one, else every address.
    pub address: Option<IpAddr>,
    /// `workers`: media threads, at least 1; default one per core.
    pub workers: usize,
    /// `silence`: a leg that receives nothing for this long ends its call; `None` never.
    pub silence: Option<Duration>,
    /// `opus_bitrate` in bits per second.
    pub opus_bitrate: u32,
    /// `opus_complexity`, 0 to 10.
    pub opus_complexity: u8,
    /// `opus_dtx`.
    pub opus_dtx: bool,
}

impl Media {
    /// Where RTP sockets are bound, of IPv4 and of IPv6; a wildcard is all addresses of its family. `listeners` are where signalling
    /// listens: they decide where the configuration names no address.
    pub fn bound(&self, listeners: impl Iterator<Item = IpAddr>) -> [Option<IpAddr>; 2] {
        let addrs: Vec<IpAddr> = match self.address {
            Some(address) => vec![address],
            None => listeners.collect(),
        };
        let wildcards = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        wildcards.map(|wildcard: IpAddr| {
            let mut own = addrs.iter().filter(|ip| ip.is_ipv4() == wildcard.is_ipv4());
            let first = own.next().copied()?;
            Some(if own.all(|ip| *ip == first) { first } else { wildcard })
        })
    }
}

/// A digest algorithm (RFC 7616, RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
}

/// How a call is taken from one user to another: `do` of a domain or a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// `bridge`: two dialogs, and media through the node.
    #[default]
    Bridge,
    /// `proxy`: one dialog between the phones, and media between them (RFC 3261 16).
    Proxy,
}

impl Way {
    /// As in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Bridge => "bridge",
            Way::Proxy => "proxy",
        }
    }
}

/// One entry of `domains`: a name, or `{ name, digest, do }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Lower case.
    pub name: String,
    /// Challenges, in order of preference; default `[md5]`.
    pub digest: Vec<Algorithm>,
    /// `do`: how its users call each other.
    pub way: Way,
}

impl Domain {
    /// True for the host that is written like it. An address may be a domain's name.
    fn is_named(&self, host: HostText<'_>) -> bool {
        match host {
            HostText::Name(name) => self.name.eq_ignore_ascii_case(name),
            HostText::V4(ip) => {
                self.name.starts_with(|first: char| first.is_ascii_digit()) && self.name == ip.to_string()
            }
            HostText::V6(ip) => self.name.starts_with('[') && self.name == format!("[{ip}]"),
        }
    }
}

/// Whether a phone may be a browser, whose media is by ICE and DTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Webrtc {
    /// As it offers; it is offered what it needs where it is reached by a WebSocket.
    #[default]
    Auto,
    /// As it offers, and it is offered nothing else.
    Yes,
    /// Never.
    No,
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
    /// `codecs`, in order of preference; default opus, g722, pcma, pcmu.
    pub codecs: Vec<Codec>,
    /// `webrtc`.
    pub webrtc: Webrtc,
    /// `srtp`.
    pub srtp: Srtp,
    /// `gain_in`, `gain_out`.
    pub gain: Gains,
    /// `comfort_noise`.
    pub comfort_noise: bool,
    /// `dtmf`.
    pub dtmf: Dtmf,
    /// `t38`: its phones may be fax machines.
    pub t38: bool,
    /// `record`.
    pub record: Record,
    /// `calls`: how many at once before the user is busy; default 2 (call waiting). 1 turns call waiting off.
    pub calls: u32,
    /// `ring`: how long the phones ring before there is no answer.
    pub ring: Duration,
    /// `ringback`: its phones can't make a ringback tone, so they get ours.
    pub ringback: bool,
    /// `music_on_hold`: what those hear whom this user holds; none: as for the whole file.
    pub music_on_hold: Option<Music>,
    /// `announcements`: what this user hears when a call fails; none: as for the whole file.
    pub announcements: Option<Box<Announcements>>,
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
    pub peers: Vec<Uri>,
    /// `host`: the name by which the carrier knows us; none: our address.
    pub host: Option<String>,
    /// `accept_from`: source networks that are this carrier.
    pub accept_from: Vec<Network>,
    /// `register`; none: identified by address alone.
    pub register: Option<TrunkRegister>,
    /// `codecs` in order; default pcma, pcmu.
    pub codecs: Vec<Codec>,
    /// `srtp`.
    pub srtp: Srtp,
    /// `gain_in`, `gain_out`.
    pub gain: Gains,
    /// `comfort_noise`.
    pub comfort_noise: bool,
    /// `dtmf`.
    pub dtmf: Dtmf,
    /// `t38`: faxes may go over it.
    pub t38: bool,
    /// `record`.
    pub record: Record,
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
    /// `ringback`: the carrier's callers get our ringback tone.
    pub ringback: bool,
    /// `music_on_hold`: what those hear whom the carrier's side holds; none: as for the whole file.
    pub music_on_hold: Option<Music>,
    /// `announcements`: what the carrier's callers hear when a call fails; none: as for the whole file.
    pub announcements: Option<Box<Announcements>>,
    /// `connect`: how long a peer may stay silent after INVITE before the next one is tried.
    pub connect: Duration,
    /// `pass_headers`: names that are carried to and from the other leg; all others stay.
    pub pass_headers: Vec<String>,
    /// `tls`.
    pub tls: TrunkTls,
}

impl User {
    /// A fax by T.38 goes to and from its phones: it has no encryption.
    pub fn takes_fax(&self) -> bool {
        self.t38 && self.srtp != Srtp::Required && self.webrtc != Webrtc::Yes
    }
}

impl Trunk {
    /// A fax by T.38 goes over it: it has no encryption.
    pub fn takes_fax(&self) -> bool {
        self.t38 && self.srtp != Srtp::Required
    }

    /// True if a request over a connection whose peer has shown this comes from this carrier, by `tls.accept`.
    pub fn accepts(&self, peer: &Identity) -> bool {
        peer.by.contains(&self.tls.ca) && self.tls.accept.iter().any(|name| peer.names.contains(name))
    }

    /// True if a request from this address comes from this carrier, by `accept_from` or by a peer that is an address.
    pub fn claims(&self, source: IpAddr) -> bool {
        self.accept_from.iter().any(|network| network.contains(source))
            || self
                .peers
                .iter()
                .any(|peer| peer.host.ip() == Some(source.to_canonical()))
    }
}

/// `trunks[].register`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRegister {
    /// Digest user name and user part of the address of record.
    pub username: String,
    /// Digest password.
    pub password: Secret,
    /// The only realm that gets the password, and the domain of the address of record; none: any realm, the first peer's host.
    pub realm: Option<String>,
    /// `expires` asked for.
    pub expires: Duration,
}

impl TrunkRegister {
    /// The domain of our address of record there: the realm, where that can be a host, else that of the peer.
    pub fn domain(&self, peer: &Uri) -> Host {
        match &self.realm {
            Some(realm) if !realm.contains(|c: char| c.is_whitespace() || c == '@') => {
                Host::Name(realm.to_lowercase().into())
            }
            Some(_) | None => peer.host.clone(),
        }
    }
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

impl NumberFormat {
    /// As in the file.
    pub const fn name(self) -> &'static str {
        match self {
            NumberFormat::E164 => "e164",
            NumberFormat::Plain => "plain",
            NumberFormat::National => "national",
        }
    }
}

/// `store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// `path` of the SQLite file, relative to the working directory.
    pub path: PathBuf,
    /// `records`: a record of each call is kept.
    pub records: bool,
    /// `bindings`: registrations outlive the node.
    pub bindings: bool,
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

/// `push`: who wakes phones that sleep (RFC 8599).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// `url`: where it is asked for.
    pub url: HttpUrl,
    /// `token`: what shows who asks.
    pub token: Option<Secret>,
    /// `ca`: who may have signed the certificate of the URL's host; none: the public roots.
    pub ca: Option<PathBuf>,
    /// `providers`: the push services that it knows (`pn-provider`).
    pub providers: Vec<String>,
    /// `wait`: how long a call waits for its phone.
    pub wait: Duration,
}

/// A URL of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// `https`.
    pub secure: bool,
    /// The host.
    pub host: Host,
    /// The port, 80 or 443 where none is written.
    pub port: u16,
    /// What is asked for: the path, and a query.
    pub path: String,
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

/// `guard`: requests per second, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// `per_source`: of an address that has shown that it is where it claims.
    pub per_source: u32,
    /// `per_stranger`: of one that has not.
    pub per_stranger: u32,
    /// `strangers`: of all such together.
    pub strangers: u32,
    /// `per_user`.
    pub per_user: u32,
    /// `guesses`: wrong passwords within ten minutes that lead to a ban.
    pub guesses: u32,
    /// `ban`: how long it lasts; none: nobody is banned.
    pub ban: Option<Duration>,
    /// `scanners`: how User-Agents begin that are not answered.
    pub scanners: Vec<String>,
    /// `exempt`: sources that are let through.
    pub exempt: Vec<Network>,
    /// `max_wait`: messages that wait longer mean overload.
    pub max_wait: Duration,
}

/// `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `format: json` instead of text.
    pub json: bool,
    /// `level`: error, warn, info, debug, trace.
    pub level: String,
}

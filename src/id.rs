//! Newtypes: which call, leg, transaction, trunk, worker; and what a flow is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:x}"), self.0)
            }
        }
    };
}

id!(
    /// One call in this node: unique over restarts (start time in the upper bits), the key of its CDR.
    CallId(u64), "c"
);

impl CallId {
    /// Reads it as it is printed.
    pub fn parse(text: &str) -> Option<CallId> {
        let digits = text.strip_prefix('c')?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(digits, 16).ok().filter(|_| is_hex).map(CallId)
    }
}

id!(
    /// One signalling leg of a call: an index that is not used again within that call.
    LegNo(u16), "l"
);
id!(
    /// One media leg: unique in the life of the process.
    MediaLegId(u64), "m"
);
id!(
    /// A room on a media worker: unique in the life of the process.
    MediaRoomId(u64), "r"
);
id!(
    /// A media worker thread.
    WorkerId(u16), "w"
);
id!(
    /// A socket that listens, by a number that no other gets while the process lives: a reload may open and close sockets.
    ListenerId(u16), "s"
);
id!(
    /// A stream connection, unique in the life of the process; zero for datagrams.
    ConnectionId(u64), "t"
);
id!(
    /// A connection to the control socket, unique in the life of the process.
    ControlId(u64), "o"
);
id!(
    /// A request of the HTTP API, and the stream of events that it may become: unique in the life of the process.
    ApiId(u64), "h"
);
id!(
    /// A client transaction.
    ClientTx(u64), "x"
);
id!(
    /// A server transaction.
    ServerTx(u64), "y"
);
id!(
    /// A response context of the proxy (RFC 3261 16.2).
    ContextId(u64), "p"
);
id!(
    /// An effect in flight. Never used twice, so a late reply finds nobody and is dropped.
    Ticket(u64), "k"
);
id!(
    /// A trunk, by its place in the configuration's `trunks`.
    TrunkIx(u16), "trunk"
);

id!(
    /// A trunk, by a number that it keeps over reloads and that no other gets, while its [`TrunkIx`] may change.
    TrunkSlot(u16), "slot"
);

/// Who started a transaction or asked for an effect, and hears of its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A leg of a call.
    Leg(CallId, LegNo),
    /// A REGISTER that waits for the store, by a number of the registrar's own.
    Registrar(u64),
    /// A subscription, by a number of the notifier's own.
    Subscription(u64),
    /// A phone that is being woken, by a number of the waker's own.
    Wake(u64),
    /// A trunk's own requests (REGISTER, OPTIONS) towards one of its peers, by place.
    Trunk(TrunkSlot, u16),
    /// A branch of a request that the proxy sends on, by a number within its response context.
    Proxy(ContextId, u16),
    /// A recording session, by a number of the recording client's own.
    Recording(u64),
    /// A request of the scriptable phone, by a number of its own, or of a client of the HTTP API, by that of its call.
    Phone(u64),
    /// The transaction layer itself: the response of a server transaction needs a new connection (RFC 3261 18.2.2).
    Response(ServerTx),
}

/// How SIP travels (RFC 3261 18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams: the transaction layer retransmits.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket under TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 5] = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ];

    /// True where the transport itself repeats what is lost, so the transaction layer does not.
    pub const fn is_reliable(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => true,
        }
    }

    /// True for what a SIPS URI may use (RFC 3261 26.2.2).
    pub const fn is_secure(self) -> bool {
        match self {
            Transport::Tls | Transport::Wss => true,
            Transport::Udp | Transport::Tcp | Transport::Ws => false,
        }
    }

    /// True for the two that carry one message in each WebSocket message.
    pub const fn is_websocket(self) -> bool {
        match self {
            Transport::Ws | Transport::Wss => true,
            Transport::Udp | Transport::Tcp | Transport::Tls => false,
        }
    }

    /// The same under TLS; datagrams have no such form here.
    pub const fn secured(self) -> Option<Transport> {
        match self {
            Transport::Udp => None,
            Transport::Tcp | Transport::Tls => Some(Transport::Tls),
            Transport::Ws | Transport::Wss => Some(Transport::Wss),
        }
    }

    /// The port where none is written (RFC 3261 18.2.2, RFC 7118 5.4 by RFC 6455 3).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }

    /// As in Via: `UDP`.
    pub const fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As in the configuration and in the store: `udp`.
    pub const fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// As `transport` in a URI of ours with the scheme `sip`, where it has to be said: `wss` is no such value (RFC 7118 5.2.2).
    pub const fn uri_param(self) -> Option<&'static str> {
        match self {
            Transport::Udp => None,
            Transport::Tcp => Some("tcp"),
            Transport::Tls => Some("tls"),
            Transport::Ws | Transport::Wss => Some("ws"),
        }
    }

    /// From Via, a URI parameter or the configuration, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Transport::ALL
            .into_iter()
            .find(|transport| name.eq_ignore_ascii_case(transport.param()))
    }
}

/// The path a message came by or goes by: plain data, so that it can be kept in a binding and written to disk.
///
/// A UDP flow is always usable. Any other whose connection has closed is answered with `FlowClosed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// How it travels.
    pub transport: Transport,
    /// The listener that it belongs to (for a connection we opened: the listener whose address we advertise on it).
    pub listener: ListenerId,
    /// The connection; zero for UDP.
    pub connection: ConnectionId,
    /// Our address as the peer's side of the network sees it without NAT: a concrete IP and the listener's port.
    pub local: SocketAddr,
    /// The peer's address.
    pub peer: SocketAddr,
}

impl Flow {
    /// Listeners that no socket has: of messages that never leave the node. The first is that of what goes to a client of the HTTP API,
    /// the second that of what comes from it.
    const INSIDE: [ListenerId; 2] = [ListenerId(u16::MAX), ListenerId(u16::MAX - 1)];

    /// The way to a client of the HTTP API within the node, as a WebSocket under TLS would be: `client` is its number, `local` and `peer`
    /// are the ends of the connection by which it asks.
    pub const fn to_client(client: u64, local: SocketAddr, peer: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Wss,
            listener: Flow::INSIDE[0],
            connection: ConnectionId(client),
            local,
            peer,
        }
    }

    /// Leads to a client of the HTTP API, or from one: no message on it leaves the node.
    pub fn is_inside(&self) -> bool {
        Flow::INSIDE.contains(&self.listener)
    }

    /// What is sent on it is for the client, not for the node.
    pub fn is_to_client(&self) -> bool {
        self.listener == Flow::INSIDE[0]
    }

    /// The same flow as its other end knows it; itself where it leaves the node.
    #[must_use]
    pub fn other_end(self) -> Flow {
        let [to, from] = Flow::INSIDE;
        let listener = match self.listener {
            listener if listener == to => from,
            listener if listener == from => to,
            listener => listener,
        };
        Flow { listener, ..self }
    }
}

/// A list of CAs: a file of the configuration; none: the public ones.
pub type Authority = Option<PathBuf>;

/// Who the peer of a connection has shown to be by a certificate, when it opened the connection to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The domains that its certificate is for (RFC 5922 7.1), lower case.
    pub names: Vec<Box<str>>,
    /// Who vouches for that: those of our lists that its chain leads to.
    pub by: Vec<Authority>,
}

/// Where a request may be sent: one step of RFC 3263's list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Address and port.
    pub addr: SocketAddr,
    /// Whom the peer's certificate must name (RFC 5922 7): the host of the URI that was resolved, not what DNS made of it. None
    /// where no name is known: the address itself has to be in the certificate.
    pub name: Option<Box<str>>,
}

impl Target {
    /// An address for which no name is known.
    pub fn new(transport: Transport, addr: SocketAddr) -> Target {
        Target {
            transport,
            addr,
            name: None,
        }
    }

    /// The name if there is one, else the address.
    pub fn host(&self) -> String {
        self.name
            .as_deref()
            .map_or_else(|| self.addr.ip().to_string(), str::to_owned)
    }
}

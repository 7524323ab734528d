//! Every bound of the system: one constant each, with its reason.

use std::time::Duration;

/// The largest SIP message: RFC 3261 18.1.1 wants 65,535 octets of UDP to be taken; streams get the same.
pub const SIP_MESSAGE_BYTES: usize = 65_535;
/// Header fields in one message: the largest of the torture messages has 60.
pub const SIP_HEADERS: usize = 256;
/// Above this a request on UDP is at risk of fragmentation (RFC 3261 18.1.1).
pub const SIP_UDP_SAFE_BYTES: usize = 1300;
/// Client transactions at once: 10,000 calls ringing on several phones each.
pub const CLIENT_TRANSACTIONS: usize = 100_000;
/// Server transactions at once; above it a request is refused with 503.
pub const SERVER_TRANSACTIONS: usize = 100_000;
/// Calls at once; above it an INVITE is refused with 503.
pub const CALLS: usize = 20_000;
/// Legs of one call: forks of several phones each with early dialogs.
pub const LEGS_PER_CALL: usize = 32;
/// Early dialogs that one forked INVITE may open before further ones are ignored.
pub const EARLY_DIALOGS: usize = 12;
/// Contacts of one address of record: a person's phones.
pub const CONTACTS_PER_AOR: usize = 16;
/// Bindings in memory: 1 KiB each at most.
pub const BINDINGS: usize = 200_000;
/// Stream connections at once.
pub const CONNECTIONS: usize = 10_000;
/// Bytes that wait for one slow stream peer before its connection is closed.
pub const CONNECTION_BACKLOG_BYTES: usize = 256 * 1024;
/// A stream connection on which nothing was said for this long is closed.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(300);
/// A stream peer has this long to finish a message it began.
pub const CONNECTION_MESSAGE: Duration = Duration::from_secs(30);
/// How long a name may take to resolve before the next target is tried.
pub const RESOLVE: Duration = Duration::from_secs(5);
/// How long a connection may take to open before the next target is tried.
pub const CONNECT: Duration = Duration::from_secs(4);
/// How long the store may take before the request that waits for it is answered without it.
pub const STORE_REPLY: Duration = Duration::from_secs(5);
/// Targets that one name may resolve to.
pub const TARGETS: usize = 16;
/// Facts that wait for the recorder before new ones are counted and dropped.
pub const FACTS: usize = 100_000;
/// The largest RTP or RTCP packet: Ethernet's 1500 less IP and UDP, with room for a tunnel.
pub const RTP_PACKET_BYTES: usize = 1500;
/// Legs of one media worker.
pub const LEGS_PER_WORKER: usize = 8_192;
/// Packets in one leg's jitter buffer: 1.28 s at 20 ms.
pub const JITTER_PACKETS: usize = 64;
/// Media commands that wait for one worker.
pub const MEDIA_COMMANDS: usize = 8_192;
/// Events that wait from one worker to signalling.
pub const MEDIA_EVENTS: usize = 16_384;
/// Spare RTP port pairs that the node keeps bound, so that a call never waits for a socket.
pub const SPARE_PORTS: usize = 64;

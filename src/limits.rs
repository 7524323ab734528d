//! Every bound of the system: one constant each, with its reason.

use std::time::Duration;

/// Domains of one peer's certificate that are looked at: those of a large carrier have a dozen.
pub const CERTIFICATE_NAMES: usize = 32;
/// The largest SIP message: RFC 3261 18.1.1 wants 65,535 octets of UDP to be taken; streams get the same.
pub const SIP_MESSAGE_BYTES: usize = 65_535;
/// Header fields in one message: the largest of the torture messages has 60.
pub const SIP_HEADERS: usize = 256;
/// Parameters of one URI or header value: real ones have under ten, and to compare two lists costs their product.
pub const SIP_PARAMS: usize = 64;
/// Above this a request on UDP is at risk of fragmentation (RFC 3261 18.1.1).
pub const SIP_UDP_SAFE_BYTES: usize = 1300;
/// Client transactions at once. Those of a call stay for 64*T1 after it (RFC 3261 17, RFC 6026): 12,000 calls per second on UDP.
pub const CLIENT_TRANSACTIONS: usize = 800_000;
/// Server transactions at once, two of each call; above it a request is refused with 503.
pub const SERVER_TRANSACTIONS: usize = 800_000;
/// Calls at once; above it an INVITE is refused with 503. What the media workers have room for may be less: then so is this.
pub const CALLS: usize = 20_000;
/// Legs of one call that talk or ring: forks of several phones each with early dialogs. What was cancelled does not count: it
/// waits for its last response only.
pub const LEGS_PER_CALL: usize = 32;
/// The same with those that only wait: a user's sixteen phones for each time that a call is sent on, with room.
pub const LEGS_PER_CALL_IN_ALL: usize = 128;
/// Reliable provisional responses of one INVITE that wait for the PRACK of the one before (RFC 3262); a later one is dropped.
pub const RELIABLE_RESPONSES_WAITING: usize = 8;
/// Early dialogs that one forked INVITE may open before further ones are ignored.
pub const EARLY_DIALOGS: usize = 12;
/// Contacts of one address of record: a person's phones.
pub const CONTACTS_PER_AOR: usize = 16;
/// Bytes of a contact's URI: those with the token of a push service have 400.
pub const CONTACT_BYTES: usize = 512;
/// Bytes of the other texts that a binding keeps (Call-ID, instance), so that it stays near 1 KiB at its longest.
pub const BINDING_TEXT_BYTES: usize = 200;
/// For how many days a proxied dialog is known by what we wrote into its first request; calls are shorter, and who watches somebody
/// for longer subscribes anew.
pub const DIALOG_DAYS: u16 = 7;
/// Bytes of the parameters of Contact that a binding keeps for others; of more, it keeps none.
pub const CONTACT_PARAMS_BYTES: usize = 512;
/// Bytes of the Path that a binding keeps: a handful of proxies, each with the token of a flow in its URI.
pub const PATH_BYTES: usize = 1024;
/// How long a request may wait on one flow of a device without any response before it goes by the next one (RFC 5626 7): over three
/// retransmissions.
pub const FLOW_SILENCE: Duration = Duration::from_secs(4);
/// Subscriptions at once: for one user in ten of a full node; above it a SUBSCRIBE is refused with 503. Each keeps what its watcher
/// knows: 16 contacts at most, with their URIs and Call-IDs, as their bindings do.
pub const SUBSCRIPTIONS: usize = 10_000;
/// Of them one user's to one registration or one room: as many phones as he may have; the one that ends first makes room.
pub const SUBSCRIPTIONS_PER_WATCHER: usize = 16;
/// Of them one user's to rooms, and to what he has asked of them by REFER: one to each room that there may be (`ROOMS`), for a screen that
/// shows them all; above it his next one is refused with 503, and others' are not.
pub const SUBSCRIPTIONS_PER_USER: usize = 1_000;
/// How long a subscription lasts that says nothing, and at most: RFC 3680 4.4, somewhat longer than a registration.
pub const SUBSCRIPTION: Duration = Duration::from_secs(3761);
/// The same for one to a room: RFC 4575 3.3.
pub const CONFERENCE_SUBSCRIPTION: Duration = Duration::from_secs(3600);
/// A shorter wish is answered with 423: each costs a NOTIFY.
pub const SUBSCRIPTION_SHORTEST: Duration = Duration::from_secs(60);
/// Subscriptions to one room: as many as a large one has members, with room; above it a SUBSCRIBE is refused with 503.
pub const SUBSCRIPTIONS_PER_ROOM: usize = 2_000;
/// What one user has asked a room for by REFER at once, outside of calls: each may ring a phone; above it a REFER is refused with 486.
pub const REFERS_PER_USER: usize = 8;
/// How long it is told how a REFER to a room goes: longer than a phone rings.
pub const REFER_PROGRESS: Duration = Duration::from_secs(180);
/// Octets of the part of a document that tells who is in a room: with the rest it fits into one message. Those for whom it has no room
/// are counted only (RFC 4575 5.5.1). A member takes about 500.
pub const CONFERENCE_USERS_BYTES: usize = 48 * 1024;
/// Octets of a member's URI as it is told to others; one that has a longer one is anonymous.
pub const MEMBER_URI_BYTES: usize = 256;
/// Characters of a name in a document.
pub const DISPLAY_CHARS: usize = 64;
/// Between two NOTIFYs that tell changes to one watcher (RFC 3680 4.10, RFC 4575 3.9).
pub const NOTIFY_PACE: Duration = Duration::from_secs(5);
/// Calls that wait for a phone that is being woken; the next one goes on without.
pub const WAKING: usize = 10_000;
/// How long a phone is woken before its registration ends (RFC 8599 5.5).
pub const PUSH_BEFORE: Duration = Duration::from_secs(120);
/// A phone that has to be woken may not register for less: it would be woken all the time (RFC 8599 5.6.1.1).
pub const PUSH_SHORTEST: Duration = Duration::from_secs(300);
/// How long a URL that wakes phones or clients may take to answer.
pub const POST: Duration = Duration::from_secs(5);
/// Requests to each of the two at once; the next one has failed. A slow one is not to take all descriptors, nor the places of the other.
pub const POSTS: usize = 128;
/// The log tells of each of them once in so long that it takes nothing.
pub const POST_TOLD: Duration = Duration::from_secs(60);
/// Octets of its answer that are read: a status is in the first line.
pub const POST_ANSWER_BYTES: usize = 4_096;
/// Bindings in memory: 1 KiB each at most.
pub const BINDINGS: usize = 200_000;
/// Different User-Agents whose text is shared.
pub const USER_AGENTS: usize = 1024;
/// Nonces whose counts are remembered: five minutes of phones that authenticate; the oldest make room and become stale.
pub const NONCES: usize = 50_000;
/// REGISTERs that wait for the store at once; above it they are refused with 503.
pub const REGISTERS_PENDING: usize = 20_000;
/// Stream connections at once.
pub const CONNECTIONS: usize = 10_000;
/// Of them with one host: the phones of an office behind one address, and no more than a tenth for one who means ill.
pub const CONNECTIONS_PER_HOST: usize = 1_000;
/// Connections that are in a TLS handshake or in the upgrade to a WebSocket: each costs a handshake's CPU time at most once.
pub const HALF_OPEN: usize = 1_000;
/// Of them with one host: an office's phones that come back all at once are let in within seconds.
pub const HALF_OPEN_PER_HOST: usize = 100;
/// How long a TLS handshake and the upgrade to a WebSocket may take together.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// Bytes that wait for one slow stream peer before its connection is closed.
pub const CONNECTION_BACKLOG_BYTES: usize = 256 * 1024;
/// A stream connection on which nothing was said for this long is closed: longer than a phone that sends no keep-alives takes
/// to register anew. (A peer that has vanished is noticed sooner, by the probes of TCP.)
pub const CONNECTION_IDLE: Duration = Duration::from_secs(7200);
/// The same before its peer has shown who it is: longer than a phone takes to register, and no more for one who only keeps it open.
pub const CONNECTION_STRANGER: Duration = Duration::from_secs(120);
/// A stream peer has this long to finish a message it began.
pub const CONNECTION_MESSAGE: Duration = Duration::from_secs(30);
/// How long a name may take to resolve before the next target is tried.
pub const RESOLVE: Duration = Duration::from_secs(5);
/// Names that wait to be resolved or are being resolved: as many as calls may begin within `RESOLVE` when no resolver answers.
pub const RESOLVING: usize = 4_096;
/// How long a connection may take to open before the next target is tried.
pub const CONNECT: Duration = Duration::from_secs(4);
/// How long the store may take before the request that waits for it is answered without it.
pub const STORE_REPLY: Duration = Duration::from_secs(5);
/// Records of one answer that are looked at: a server that lies may send thousands.
pub const DNS_RECORDS: usize = 32;
/// Questions for one next hop: NAPTR, three SRV, and two addresses of each target.
pub const DNS_QUESTIONS: usize = 4 + 2 * TARGETS;
/// Answers that are kept for as long as they say; the one that ends first makes room.
pub const DNS_ANSWERS: usize = 10_000;
/// The longest that an answer is kept, whatever it says, so that no wrong one lasts.
pub const DNS_TTL: Duration = Duration::from_secs(86_400);
/// The same for an answer that there is nothing (RFC 2308 5 advises at most three hours; a new record must be seen sooner).
pub const DNS_NEGATIVE_TTL: Duration = Duration::from_secs(300);
/// Targets that are remembered as dead; the one that is tried again first makes room.
pub const DEAD_TARGETS: usize = 1_000;
/// A target that failed comes last in its list for this long: twice the interval of a carrier's health checks.
pub const HOLD_DOWN: Duration = Duration::from_secs(60);
/// Peers on UDP of whom it is remembered that they may as well be reached by TCP; the oldest makes room.
pub const OPEN_PEERS: usize = 1_000;
/// How long a connection for a request too large for UDP may take to open before it goes by UDP all the same.
pub const LARGER: Duration = Duration::from_secs(2);
/// Targets that one name may resolve to.
pub const TARGETS: usize = 16;
/// Bytes of writes that wait for the store before new ones are dropped: an hour of 50 calls per second while the disk fails
/// (and at most one list of bindings of each user).
/// Beyond half of it only the starts and ends of calls are taken, beyond three quarters only the ends of calls whose start was
/// taken: of `CALLS` calls, all of them find room in the last quarter.
pub const STORE_WAITING_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of log lines that wait for standard error before further ones are only counted: two seconds of 5,000 calls each.
pub const LOG_BYTES: usize = 4 * 1024 * 1024;
/// The largest RTP or RTCP packet: Ethernet's 1500 less IP and UDP, with room for a tunnel.
pub const RTP_PACKET_BYTES: usize = 1500;
/// Calls that a user may place beyond those that make him busy (`users[].calls`).
pub const CALLS_PLACED: u32 = 10;
/// Octets of a master key identifier of SRTP. RFC 4568 6.1 allows 128; what is in use has one to four, and it has to fit behind a packet.
pub const SRTP_MKI_BYTES: usize = 8;
/// Video lines of one browser: its camera, its screen, and places for fifteen others, which is what a screen has room for.
pub const VIDEO_LINES: usize = 17;
/// Lines that are offered to a browser which a room calls: its camera with the first place, and five more places.
pub const VIDEO_OFFERED: usize = 6;
/// Of them those on which it sends: a camera, and a screen.
pub const VIDEO_PUBLISHED: usize = 2;
/// Layers of simulcast of one of those: what browsers have.
pub const VIDEO_LAYERS: usize = 3;
/// Packets of one published stream that are kept for those who have lost them: a second of 2.5 Mbit/s. With a second layer and more, half of it
/// for each.
pub const VIDEO_CACHE: usize = 256;
/// Video packets that one leg takes in a second, over time: of 20 Mbit/s in packets of 1,200 octets.
pub const VIDEO_PER_SECOND: u64 = 2_000;
/// The same at once: a key frame of a large screen.
pub const VIDEO_BURST: u64 = 1_000;
/// Packets of a browser of which it is remembered when they came, until it is told: of 20 Mbit/s in a quarter of a second.
pub const VIDEO_ARRIVALS: usize = 512;
/// Publishers of a room that are considered for what its members see: who spoke last comes first. The mix lets at most sixteen speak.
pub const ROOM_PUBLISHERS: usize = 64;
/// Streams of a browser that are told from copies at once: its audio, and video in layers with their retransmissions.
pub const SRTP_STREAMS_WEB: usize = 1 + VIDEO_PUBLISHED * VIDEO_LAYERS * 2 + 3;
/// Streams that we send to a browser: audio, each place of video with its retransmissions, and each place for a voice.
pub const SRTP_SENT_WEB: usize = 1 + VIDEO_LINES * 2 + ROOM_SPEAKERS as usize;
/// Lines `a=crypto` of a stream that are looked at: each suite that there is, and as many that nobody knows.
pub const SDP_CRYPTO: usize = 16;
/// Master keys that a peer may give for what it sends (RFC 4568 6.1): one, or an old and a new one.
pub const SRTP_KEYS: usize = 4;
/// SSRCs of a peer whose packets are told from copies at once: it has one, or another after a restart.
pub const SRTP_STREAMS: usize = 4;
/// RTP packets that one leg takes in a second, over time: speech in packets of 10 ms is 100, and as many again are events and copies.
pub const RTP_PER_SECOND: u64 = 400;
/// Octets of a packet that is sent on to all who hear a voice apart: the longest frame of Opus, behind its first octet (RFC 6716 3.2.1).
pub const VOICE_BYTES: usize = 1_276;
/// The octets of one voice that are sent on in a second, over time and at once: 512 kbit/s, of which Opus takes 510 (RFC 7587 6.1).
pub const VOICE_BYTES_PER_SECOND: u64 = 64_000;
/// Copies of voices that a part of a room forwards at once, one for each who hears one: 80,000 packets of 20 ms a second. Each costs some 10 us, so that
/// is four fifths of a core: 16 voices for a hundred, 4 for four hundred, and one for a thousand.
pub const VOICE_COPIES: usize = 1_600;
/// Copies of packets that go out at once when some are forwarded from then on: of what they said before it was known. They cost what those of
/// `VOICE_COPIES` do, so that they take half of a tick; where more than a thousand hear, there are none.
pub const VOICE_EARLY_COPIES: usize = 1_000;
/// The packets of one voice that are sent on in a second, over time: speech in packets of 10 ms.
pub const VOICE_PER_SECOND: u64 = 110;
/// The same at once: a second of speech in packets of 20 ms that a network held back.
pub const VOICE_BURST: u64 = 50;
/// RTP packets that one leg takes at once: five seconds of speech in 20 ms that a network held back.
pub const RTP_BURST: u64 = 250;
/// Datagrams of STUN and DTLS that one leg hands on in a second, over time, of its peer and in each share of all others: a browser checks twenty
/// times a second while it looks for a way, and a handshake is some ten of them.
pub const RTC_PER_SECOND: u64 = 100;
/// The same at once: a handshake with a large certificate, and checks of all its addresses.
pub const RTC_BURST: u64 = 100;
/// Shares of a leg's strangers. Where a browser is before it is known, and where it has moved, it is one of them: who floods a leg from one host
/// leaves it its share seven times in eight.
pub const RTC_SHARES: usize = 8;
/// Such datagrams of one worker that wait for the thread that sets up: of eight browsers that send as much as they may at once. Further ones
/// are lost, which is what a network does too.
pub const RTC_DATAGRAMS: usize = 1_024;
/// What the set-up of legs waits for: an opening, a description and an end of each leg of a worker, and as much again of those before.
pub const RTC_COMMANDS: usize = 6 * LEGS_PER_WORKER;
/// Addresses of one browser from which checks have come: those of its networks, and of the NATs before them. The oldest is forgotten.
pub const RTC_ADDRESSES: usize = 8;
/// Checks of one browser that are told from copies: those of the last minute and a half, and of a search for a way.
pub const RTC_CHECKS: usize = 64;
/// Ways of one browser that are tried at the same time, before it is followed there: one for each of its addresses.
pub const RTC_TRIALS: usize = RTC_ADDRESSES;
/// Checks of one trial, which may be lost, and the time between two (RFC 8445 14.3: 500 ms at least).
pub const RTC_TRIAL_CHECKS: u32 = 3;
/// See `RTC_TRIAL_CHECKS`.
pub const RTC_TRIAL_PACE: Duration = Duration::from_millis(500);
/// Sources of browsers' legs on a shared port, for each of the legs that there may be: the browser itself, and the NATs and relays that it tries.
/// One leg may have as many as it has addresses.
pub const SHARED_SOURCES: usize = 4;
/// Datagrams that are handed over to legs which have moved away from the worker whose port they have, all that wait at once for one worker: a
/// tick of a hundred browsers that talk and show themselves.
pub const HANDED_OVER: usize = 1_024;
/// What the set-up of legs tells a worker, and has not been taken: a check of each leg at once.
pub const HEARD: usize = LEGS_PER_WORKER;
/// Datagrams of a shared port that are taken in one turn, before others have theirs.
pub const SHARED_TURN: usize = 64;
/// Streams of browsers that cannot send UDP (RFC 6544), all of a node: each costs 8 KiB, and what the system keeps for it.
pub const STREAMS: usize = 1_024;
/// The same of one host: of an office behind one address, with two for each call while ways are tried.
pub const STREAMS_PER_HOST: usize = 64;
/// The same of one leg: of each network of its browser one, and of each before a restart. The oldest is closed.
pub const STREAMS_PER_LEG: usize = 4;
/// How long a stream may take until its first packet is there, which is a check with a name of ours.
pub const STREAM_BEGINS: Duration = Duration::from_secs(5);
/// Octets of that check.
pub const STREAM_FIRST: usize = 548;
/// How long a client may read nothing until its stream is closed.
pub const STREAM_STUCK: Duration = Duration::from_secs(10);
/// Packets of the set-up that wait for a worker's streams: a handshake's flight of some browsers.
pub const STREAM_ANSWERS: usize = 128;
/// How soon a browser that has moved is followed again: one that has two ways and chooses both in turn costs signalling twice a second.
pub const RTC_MOVE: Duration = Duration::from_millis(500);
/// How long a browser may take until it is connected, from the moment that both sides have described themselves.
pub const RTC_SETUP: Duration = Duration::from_secs(30);
/// How long it may be silent in its checks (RFC 7675 5.1).
pub const RTC_CONSENT: Duration = Duration::from_secs(30);
/// Lines `a=candidate` of a peer that is ICE lite that are looked at.
pub const SDP_CANDIDATES: usize = 32;
/// Certificates that a peer's description may name (RFC 8122 5): one, and another one that is to come.
pub const SDP_FINGERPRINTS: usize = 4;
/// Legs of one media worker; a call for which no worker has two places left is refused with 503.
pub const LEGS_PER_WORKER: usize = 8_192;
/// Other parts of a room that lies on several workers: as many as its members need, and each may be on its way out while another comes.
pub const ROOM_LINKS: usize = 2 * ROOM_MEMBERS / ROOM_PART - 1;
/// Encoders that listeners of a room share: four codecs in packets of 10, 20, 30 and 60 ms; for anything else a member has its own.
pub const ROOM_CLASSES: usize = 16;
/// How often a room tells what its mix takes: of `ROOMS` rooms, a hundred events a second.
pub const ROOM_MEASURE: Duration = Duration::from_secs(10);
/// When the media of a call that is up is asked for its counters first: whoever looks then sees how it goes.
pub const MEASURE_FIRST: Duration = Duration::from_secs(10);
/// How often later: of `CALLS` calls, 333 rows a second.
pub const MEASURE: Duration = Duration::from_secs(60);
/// Packets in one leg's jitter buffer: a gap waits 120 ms at most, which is 12 packets of 10 ms, behind as many that are missing.
pub const JITTER_PACKETS: usize = 24;
/// The largest payload that a jitter buffer holds: the longest frame of Opus, behind its first octet (RFC 6716 3.2.1). 120 ms of G.711 or G.722 have 960
/// octets.
pub const JITTER_PAYLOAD_BYTES: usize = VOICE_BYTES;
/// Blocks of 160 octets that a jitter buffer has for its payloads: nine of the largest, twelve of those of 120 ms of G.711, or all that it holds of
/// 60 ms of G.711.
pub const JITTER_BLOCKS: usize = 72;
/// The same for who plays what comes, in time: a room's member. Half a second of 20 ms, with room for a burst.
pub const JITTER_BLOCKS_PLAYED: usize = 32;
/// Packets of one side of a recording that wait for those before them: half a second of speech, or a second of it that came at once; as many
/// as a leg takes at once (`RTP_BURST`).
pub const RECORDING_WAITING: usize = 250;
/// Octets of packets of one recorded leg that wait for the thread that writes: over three seconds of G.711, in which a disk may be busy.
pub const RECORDING_RING: usize = 32 * 1024;
/// Recordings that could not be written of which it is remembered that they ended: another leg of the same call begins none anew. The
/// oldest is forgotten.
pub const RECORDINGS_FAILED: usize = CALLS;
/// Recordings of one call: a phone may switch them on and off by a key.
pub const RECORDINGS_PER_CALL: u16 = 100;
/// What waits for the thread that writes recordings: each leg that is recorded is there once, with its ring.
pub const RECORDINGS_WAITING: usize = 2_048;
/// Ends of recordings that wait for signalling.
pub const RECORDING_EVENTS: usize = 4_096;
/// Sessions with recording servers at once, one for each call, those that end included.
pub const RECORDING_SESSIONS: usize = CALLS;
/// How long a recording server may take to answer an INVITE, whatever it says meanwhile: as long as one that says nothing has (RFC 3261
/// 17.1.1.2, timer B). It rings nobody.
pub const RECORDING_ANSWER: Duration = Duration::from_secs(32);
/// Those who took part in a recorded call whom its metadata names: of a call that is passed on more often, who left first is forgotten.
pub const RECORDED_PARTICIPANTS: usize = 16;
/// Characters of an address or a name in metadata: longer ones are no names.
pub const RECORDED_NAME_CHARS: usize = 128;
/// The longest sound that is played: a loop of ten minutes bores nobody.
pub const SOUND: Duration = Duration::from_secs(600);
/// Octets of all sounds together, as they are kept: 22 minutes at 8 and at 16 kHz.
pub const SOUNDS_BYTES: usize = 64_000_000;
/// The longest announcement: within the time that a proxy lets a call ring (RFC 3261 16.6 step 11), with room for the ringing.
pub const ANNOUNCEMENT: Duration = Duration::from_secs(60);
/// DTMF digits that wait to be sent on one leg.
pub const DIGITS: usize = 32;
/// Media commands that wait for one worker.
pub const MEDIA_COMMANDS: usize = 8_192;
/// Media commands that wait behind those, if a worker cannot keep up: four to set each of its legs up, twice. From the half on
/// new calls are refused with 503; beyond it a command that neither opens nor closes a leg is dropped.
pub const MEDIA_BACKLOG: usize = 65_536;
/// Events that wait from one worker to signalling.
pub const MEDIA_EVENTS: usize = 16_384;
/// Spare RTP port pairs that the node keeps bound, so that a call never waits for a socket.
pub const SPARE_PORTS: usize = 64;
/// Connections to the control socket: operators with several windows, and what looks on for them; further ones are closed at once.
pub const CONTROL_CONNECTIONS: usize = 32;
/// Octets of its path: what `sockaddr_un` of Linux holds, less the NUL behind it (unix(7)).
pub const CONTROL_PATH_BYTES: usize = 107;
/// Octets of a line that comes by one: the longest request names ten numbers (`ROOM_DIALS`).
pub const CONTROL_LINE_BYTES: usize = 2_048;
/// How long a connection may take to ask, and to take what it is told: the other end is a program on this machine.
pub const CONTROL_PATIENCE: Duration = Duration::from_secs(10);
/// Answers that wait for a slow reader of the control socket; one more and it is closed. Each is all that one turn has to say.
pub const CONTROL_QUEUE: usize = 256;
/// Octets of a message of NG: a datagram holds no more.
pub const NG_MESSAGE_BYTES: usize = 65_535;
/// How deep lists and dictionaries of a message of NG may lie in one another: what is read goes four deep, what we answer seven.
pub const NG_DEPTH: usize = 10;
/// Values of one message of NG: a command has some dozens.
pub const NG_VALUES: usize = 2_048;
/// Octets of the cookie before a message of NG: Kamailio's have about 20.
pub const NG_COOKIE_BYTES: usize = 128;
/// Octets of a Call-ID, a tag, a branch or a label as NG names them.
pub const NG_NAME_BYTES: usize = 512;
/// Words of one list of flags or codecs in a command of NG.
pub const NG_WORDS: usize = 64;
/// Calls by NG at once, as many as of our own; above it an offer is answered "load limit", and the proxy takes another engine.
pub const NG_CALLS: usize = CALLS;
/// Sides of a call by NG: who calls, and the branches of a fork.
pub const NG_SIDES: usize = 16;
/// Commands that wait for the statistics of one call; the next one is told what is known.
pub const NG_WAITING: usize = 4;
/// How long the media workers may take to tell statistics before a command is answered without: half of what Kamailio waits.
pub const NG_STATISTICS: Duration = Duration::from_millis(500);
/// How long an answer of NG is kept for a command that comes again: Kamailio repeats one five times, a second apart.
pub const NG_KEPT: Duration = Duration::from_secs(10);
/// Answers that are kept: 400 commands a second; the oldest make room.
pub const NG_ANSWERS: usize = 4_096;
/// Octets of the answers that are kept.
pub const NG_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The longest that a call by NG may be kept after it was to be deleted.
pub const NG_DELAY: Duration = Duration::from_secs(3600);
/// How long an offer of NG may be unanswered: longer than a proxy lets a call ring (RFC 3261 16.6 step 11).
pub const NG_UNANSWERED: Duration = Duration::from_secs(300);
/// How long a call by NG is kept that is on hold on both sides, where nothing is to be heard.
pub const NG_HELD: Duration = Duration::from_secs(3600);
/// How often it is looked whether a call by NG is silent, at the longest.
pub const NG_LOOK: Duration = Duration::from_secs(15);
/// Commands of NG that wait for the signalling machine; further ones are dropped, and their senders repeat them.
pub const NG_QUEUE: usize = 1_024;
/// Flags of NG that are named in the log because they are not heeded, each once.
pub const NG_UNHEEDED: usize = 256;
/// Addresses and networks in `ng.allow`.
pub const NG_ALLOWED: usize = 64;
/// Call-IDs in an answer to `list`, whatever is asked for: with the longest of them it still fits into a datagram.
pub const NG_LISTED: usize = 100;
/// The largest configuration file: 100,000 users take about 10 MiB.
pub const CONFIG_BYTES: usize = 16 * 1024 * 1024;
/// Values in a configuration file, aliases counted as what they stand for: 100,000 users with ten keys each.
pub const CONFIG_NODES: usize = 2_000_000;
/// Entries of `listen`: each is a socket with its own queue.
pub const LISTENERS: usize = 64;
/// Entries of `trunks`: each is looked at for the source of every call from outside.
pub const TRUNKS: usize = 1_000;
/// Parts of one message body: a description, and what networks add for themselves (ISUP, location, metadata).
pub const BODY_PARTS: usize = 16;
/// Lines of one session description: a browser with many video sources writes some hundreds.
pub const SDP_LINES: usize = 2_000;
/// Bytes of one SDP line: a video format's parameter sets fill two thousand.
pub const SDP_LINE_BYTES: usize = 8_192;
/// Streams of one session description; those after the first audio stream are only refused.
pub const SDP_MEDIA: usize = 64;
/// Attributes of a fax (`a=T38...`) that are carried to the other side: T.38 has nine, and vendors have added as many.
pub const SDP_T38: usize = 24;
/// Octets of them: a vendor's description has some dozens.
pub const SDP_T38_BYTES: usize = 1_024;
/// Formats of one m-line: there are 128 RTP payload types.
pub const SDP_FORMATS: usize = 128;
/// Requests of one leg that wait while the way to the peer is found: an ACK, a re-INVITE and a BYE, with room.
pub const LEG_REQUESTS_WAITING: usize = 8;
/// How long a change to fax, or back, may wait for the other side: longer than a re-INVITE that nobody answers takes to fail (RFC 3261
/// 17.1.1.2: 32 s).
pub const CHANGE_PASSED: Duration = Duration::from_secs(40);
/// How often one call may be sent on (`on_busy`, `on_no_answer`, `on_offline`, 302) before it fails: longer chains are loops.
pub const FORWARDS: u8 = 5;
/// Second answers of forks that one leg remembers, to acknowledge their copies; more are left to time out.
pub const STRAY_ANSWERS: usize = 8;
/// Bytes of an INFO body that are looked at for a DTMF digit: two short lines.
pub const DTMF_INFO_BYTES: usize = 256;
/// Flows to peers on UDP that are remembered: under load the next hops are few, and what is forgotten is asked for anew.
pub const WAYS: usize = 1024;
/// How long each is: a route that has changed is taken that soon.
pub const WAY: Duration = Duration::from_secs(1);
/// Response contexts of the proxy at once (RFC 3261 16.2), and INVITEs that were answered: each has a server transaction.
pub const PROXY_CONTEXTS: usize = SERVER_TRANSACTIONS;
/// Branches that one request may have over its life, recursion and the questions to the store included.
pub const PROXY_BRANCHES: usize = 48;
/// Redirections that one request may follow (RFC 3261 16.5: recursion must end).
pub const PROXY_RECURSIONS: u8 = 5;
/// Concurrent branches that one request may have over all proxies (RFC 5393 5.3.3: the default of Max-Breadth).
pub const MAX_BREADTH: u32 = 60;
/// Hops that a request may take where it says nothing (RFC 3261 16.6 step 3).
pub const MAX_FORWARDS: u32 = 70;
/// Timer C: how long a proxied INVITE may ring without a new provisional response (RFC 3261 16.6 step 11: over three minutes).
pub const TIMER_C: Duration = Duration::from_secs(200);
/// How long the phones of one preference ring before those of the next lower one do.
pub const SERIAL_RING: Duration = Duration::from_secs(20);
/// Vias that are looked at for a loop: as many as a request can have taken hops.
pub const LOOP_VIAS: usize = 70;
/// Answered dialogs of one proxied call: forks that answered at the same time. And calls that are branches of one fork before us.
pub const PROXY_DIALOGS: usize = EARLY_DIALOGS;
/// Cells of each of the two rows of a table of rates, of which the guard has two: so many that a thousand floods at once leave others alone. A power of two.
pub const GUARD_CELLS: usize = 65_536;
/// Places for what the guard has seen of sources: programs that proved where they are, phones that had the right password. A power
/// of two.
pub const GUARD_SEEN: usize = 262_144;
/// Sources that are banned at once: as many hosts as a botnet sends against one node.
pub const GUARD_BANS: usize = 10_000;
/// Sources that have live bindings: as many as there are bindings.
pub const GUARD_BOUND: usize = BINDINGS;
/// Rooms of the configuration, and rooms in which somebody is: one for each twenty calls.
pub const ROOMS: usize = 1_000;
/// Of them those that are made on demand: so that callers who dial ever new numbers leave a tenth to the rooms of the configuration.
pub const ROOMS_ON_DEMAND: usize = ROOMS - ROOMS / 10;
/// Members of one room, whatever its configuration says: two cores' worth of them (`ROOM_PART`).
pub const ROOM_MEMBERS: usize = 2_000;
/// Members of one room on one worker: a core's worth of them in G.711. More go to the next worker.
pub const ROOM_PART: usize = 1_000;
/// Members of a room whose configuration says nothing.
pub const ROOM_MEMBERS_USUAL: usize = 100;
/// Speakers of a room that are heard at once, at the most: beyond a dozen nobody is understood.
pub const ROOM_SPEAKERS: u8 = 16;
/// The same where the configuration says nothing.
pub const ROOM_SPEAKERS_USUAL: u8 = 4;
/// Octets of a room's number.
pub const ROOM_NAME_BYTES: usize = 32;
/// Digits of a PIN; what is pressed beyond them is dropped.
pub const ROOM_PIN: usize = 16;
/// Wrong PINs after which a call is ended.
pub const ROOM_PIN_TRIES: u8 = 3;
/// Keys of a member that are heard in one second: a PIN that a phone has stored, and no generator of tones.
pub const ROOM_KEYS_PER_SECOND: u32 = 20;
/// Members whom one room calls at once.
pub const ROOM_DIALS: usize = 10;
/// How often it is told at most who speaks in a room.
pub const ROOM_SPEAKING: Duration = Duration::from_millis(200);
/// Sounds that wait to be played to a room; further ones are not played.
pub const ROOM_SOUNDS: usize = 8;
/// The longest name that is noted of who comes, and heard when he comes and when he goes.
pub const ROOM_NAME: Duration = Duration::from_secs(3);
/// Names that are kept at once, in all rooms: as sounds they take 144 kB each, and while they are said 96. Who comes when there are so many is
/// not asked for his.
pub const ROOM_NAMES: usize = 256;
/// How long the sound of a name that was said may take to come from the worker.
pub const ROOM_NAME_COMES: Duration = Duration::from_secs(2);
/// What happened in rooms and waits for those who listen; the oldest is forgotten.
pub const ROOM_EVENTS: usize = 4_096;
/// Sources of wrong PINs that are remembered; the oldest is forgotten.
pub const ROOM_GUESSERS: usize = 1_000;
/// Numbers of one of them of which it is remembered that they have guessed: as many as a small exchange has callers at once.
pub const ROOM_GUESSER_NUMBERS: usize = 32;
/// Octets of a message of a TURN client, and of a datagram of its peer: what Ethernet carries, with room for the head of an indication
/// and for larger frames; what is longer is dropped.
pub const RELAY_MESSAGE_BYTES: usize = 4_096;
/// Rooms of the configuration that an operator is told of who asks for one that there is not: a screen's worth.
pub const ROOM_NAMES_TOLD: usize = 20;
/// Characters of a user's name, and of a host, that a stranger's refused request puts into the log.
pub const REFUSED_CHARS: usize = 64;
/// TURN allocations at once, whatever the configuration says: nearly all ports that one address has.
pub const RELAY_ALLOCATIONS: u64 = 60_000;
/// Permissions of one allocation: as many peers as a client may have, and as many as a table of 32 places takes; further ones are
/// refused with 508. With as many channels, an allocation stays below 3.5 KiB.
pub const RELAY_PERMISSIONS: usize = 28;
/// Its channels.
pub const RELAY_CHANNELS: usize = 28;
/// Relayed ports that are tried for one allocation, where other programs hold them, before it is refused with 508.
pub const RELAY_PORT_TRIES: u32 = 16;
/// Reservations (EVEN-PORT) at once, each of which counts as an allocation too; further ones are refused with 508.
pub const RELAY_RESERVATIONS: usize = 1_000;
/// For how long a port is held for the client that will ask for it (RFC 8656 7.2).
pub const RELAY_RESERVATION: Duration = Duration::from_secs(30);
/// How long a nonce holds (RFC 8656 5).
pub const RELAY_NONCE: Duration = Duration::from_secs(3600);
/// Answers in a second to one host that has not shown that it knows a password: a forged source gets no more of what is longer than its
/// requests.
pub const RELAY_ANSWERS_PER_HOST: u32 = 100;
/// The same to all together: what half a million phones ask for. Streams have as many of their own.
pub const RELAY_ANSWERS: u32 = 20_000;
/// Wrong TURN passwords in a second of one host whose nonce holds; of further requests nothing is checked in it. Behind one address many have the
/// same mistake in the configuration of their phones.
pub const RELAY_GUESSES_PER_HOST: u32 = 50;
/// Requests in a second of one TURN user, who has shown that he knows his password: each costs two hashes and may cost a socket and a line in
/// the log. A gateway that has a thousand allocations refreshes them in one; more is dropped, and comes again. On a stream it gets 500.
pub const RELAY_REQUESTS_PER_USER: u32 = 1_000;
/// The same of all together: what one core does beside the packets.
pub const RELAY_REQUESTS: u32 = 20_000;
/// Octets of a user's name in TURN (RFC 8489 14.3).
pub const RELAY_USER_BYTES: usize = 508;
/// Stream connections of TURN clients at once.
pub const RELAY_STREAMS: usize = 10_000;
/// Of them with one host.
pub const RELAY_STREAMS_PER_HOST: usize = 1_000;
/// A stream connection without an allocation is closed after this: a client asks for one at once, and once more after the challenge.
pub const RELAY_STREAM_IDLE: Duration = Duration::from_secs(30);
/// Connections with TCP peers (RFC 6062) of one allocation; further ones are refused with 508, or closed.
pub const RELAY_CONNECTIONS_EACH: usize = 16;
/// The same of all: each has a stream of its client beside it.
pub const RELAY_CONNECTIONS: usize = RELAY_STREAMS / 2;
/// How long a peer has to take a connection, and then a client to come for it (RFC 6062 5.2, 5.3).
pub const RELAY_CONNECTION_WAIT: Duration = Duration::from_secs(30);
/// Octets that wait for a stream client that reads slowly before what its peers send is dropped, as a network would: a quarter of a
/// second at 2 Mbit/s.
pub const RELAY_BACKLOG_BYTES: usize = 64 * 1024;
/// How long an allocation is refreshed behind the end of a name that holds for a time: as long as a call may take (`calls.max_duration`, if
/// nothing else is configured).
pub const RELAY_OUTLIVES: Duration = Duration::from_secs(4 * 3600);
/// Datagrams taken of one socket of TURN, and messages of one stream, before others have their turn.
pub const RELAY_TURN: usize = 64;
/// Datagrams that wait between the relay and a thread of media of the same node, in each direction, before further ones go by the network: a
/// tenth of a second of 100 calls.
pub const WITHIN: usize = 512;
/// Of those media takes so many in a turn, in which it takes one of each socket: what is made anew may cost a millisecond each.
pub const WITHIN_TURN: usize = 8;
/// What waits for the thread of TURN: connections that have come, mostly.
pub const RELAY_COMMANDS: usize = 1_024;
/// What is to be told of allocations and waits for the log; further ones are only counted.
pub const RELAY_FACTS: usize = 4_096;
/// Entries of `turn.users`, and of `turn.denied_peers` and `turn.allowed_peers` each.
pub const RELAY_ENTRIES: usize = 1_000;
/// Clients of the HTTP API that are there at once; the next one is refused with 503.
pub const API_CLIENTS: usize = 10_000;
/// Calls between them.
pub const API_CALLS: usize = 10_000;
/// Calls of one of them: those that wait among them.
pub const API_CALLS_PER_CLIENT: usize = 8;
/// Members of a room whose clients are told of all others: in a larger one each is told only whom it sees.
pub const API_ROOM_MEMBERS: usize = 50;
/// Streams of events of one of them: a person's devices and pages; the oldest makes room.
pub const API_STREAMS_PER_CLIENT: usize = 8;
/// Events that are kept for a stream that breaks: a call's set-up has ten.
pub const API_LOG_EVENTS: usize = 256;
/// Octets of these: several session descriptions, and 640 MB for all clients at their worst.
pub const API_LOG_BYTES: usize = 64 * 1024;
/// How long somebody may be without a stream before he is gone, and with him his calls: longer than a change of networks takes.
pub const API_ABSENCE: Duration = Duration::from_secs(60);
/// Wrong tokens and keys of one address that are checked in a second; then only those that have held before are taken there until it is over.
pub const API_GUESSES: u32 = 20;
/// How long after a token or key has held it is checked in spite of that: the time that tokens are mostly made for.
pub const API_HELD: Duration = Duration::from_secs(3600);
/// How long a call between clients rings.
pub const API_RING: Duration = Duration::from_secs(60);
/// Clients that are not connected which one client may have woken in a row, and then one each so long: a push rings somebody's telephone.
pub const API_WAKES: u32 = 8;
/// See above.
pub const API_WAKE_EACH: Duration = Duration::from_secs(10);
/// How long a client may take to answer what the other side of a call by SIP offers anew: less than its transaction (timer B, 32 s).
pub const API_REOFFER: Duration = Duration::from_secs(20);
/// How long a call between clients waits until one of them calls the room that it is to move into. Who does, does so at once.
pub const API_MOVE: Duration = Duration::from_secs(30);
/// Octets of a session description: that of a page which sees 16 others in a room and hears 16 on lines of their own has over forty thousand.
pub const API_SDP_BYTES: usize = 48 * 1024;
/// Candidates in one request.
pub const API_CANDIDATES: usize = 32;
/// Candidates of one side for one offer or answer: a host with many interfaces has some dozens.
pub const API_CANDIDATES_PER_OFFER: usize = 256;
/// Octets of one: they have 150.
pub const API_CANDIDATE_BYTES: usize = 512;
/// Digits in one request.
pub const API_DIGITS: usize = 32;
/// Answers of one client that are kept for requests that come twice: a call's set-up has a dozen.
pub const API_ONCE: usize = 64;
/// The same of one back end, whose requests are all for tokens.
pub const API_ONCE_OF_BACK_END: usize = 1_024;
/// How long they are kept: who has had no answer asks again within seconds.
pub const API_ONCE_LASTS: Duration = Duration::from_secs(300);
/// Octets of what stands for a call in a path: ours have under 40, and answers that are kept quote them.
pub const API_CALL_NAME_BYTES: usize = 64;
/// Octets of an Idempotency-Key: a UUID has 36.
pub const API_KEY_BYTES: usize = 128;
/// Octets of an access token: those that we make have under 300.
pub const API_TOKEN_BYTES: usize = 2_048;
/// Octets of a client's name, and of its device's.
pub const API_NAME_BYTES: usize = 64;
/// Characters of what a parser says of a body.
pub const API_DETAIL_CHARS: usize = 200;
/// Keys of back ends in the configuration: each token is tried with those of its tenant.
pub const API_KEYS: usize = 1_000;
/// Octets of such a key at the least: it signs, and nobody is to find it by trying.
pub const API_SECRET_BYTES: usize = 32;
/// Connections to the HTTP API at once: each client has one for events and one for requests.
pub const API_CONNECTIONS: usize = 2 * API_CLIENTS;
/// Of them with one host: an office behind one address.
pub const API_CONNECTIONS_PER_HOST: usize = 1_000;
/// Octets of a request's body: a session description in JSON, where each line's end takes two more.
pub const API_BODY_BYTES: usize = 64 * 1024;
/// Octets of a longer one that are read before it is refused.
pub const API_DROPPED_BYTES: usize = 1024 * 1024;
/// Octets of its header: a token and what browsers add.
pub const API_HEAD_BYTES: usize = 16 * 1024;
/// How long the header may take, and a connection may be without a request.
pub const API_HEAD: Duration = Duration::from_secs(15);
/// How long the body may take, and then the machine's answer.
pub const API_BODY: Duration = Duration::from_secs(10);
/// How often a stream without events says that it is there: proxies give up after half a minute and more.
pub const API_HEARTBEAT: Duration = Duration::from_secs(15);
/// How long what was written may stay unacknowledged before a connection is given up.
pub const API_UNHEARD: Duration = Duration::from_secs(30);
/// Requests that wait for the signalling loop: beyond it, connections wait.
pub const API_QUEUE: usize = 1_024;
/// Events that wait for one slow stream; then it is closed, and may be resumed.
pub const API_STREAM_QUEUE: usize = 64;

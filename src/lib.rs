//! Tandem: a telephony edge node. SIP proxy and registrar, back-to-back user agent and media processor in one program.
//!
//! # The idea
//!
//! The node is pure machines and a shell. [`node::Node`] (signalling), [`media::worker::Worker`] (media), [`rtc::Machine`] (set-up of
//! media with browsers) and [`relay::Server`] (STUN and TURN) take `(now, input)` and give outputs. They own their state by `&mut`; they read no clock, no socket, no file and no random source, and they never
//! wait. The [`shell`] moves bytes and time, and decides nothing. In tests the same machines run in a simulated world, with a
//! virtual clock and a lossy network made from one seed.
//!
//! ```text
//!   sockets  --> Input::Sip ------+                      +--> Output::Send ------> sockets
//!   store    --> Input::Store ----+--> node::Node -------+--> Output::Store -----> store
//!   media    --> Input::Media ----+      one mutation,   +--> Output::Media -----> worker
//!   operator --> Input::Control --+      then drain      +--> Output::Control ---> control socket
//!   client   --> Input::Api ------+                      +--> Output::Api -------> HTTP, event streams
//!   clock    --> Input::Time -----+                      +--> Output::Record ----> call records, log, counters
//! ```
//!
//! # The map
//!
//! | place | what it is |
//! |---|---|
//! | `src/sip/` | bytes and values, no state: the wire index, URIs, header values, writing, framing, digest |
//! | `src/sdp/` | session descriptions; offer and answer as pure functions |
//! | `src/stun/` | STUN messages as pure functions: the keep-alive of phones on UDP (RFC 5626 8), and what the relay and checks of ICE need |
//! | `src/relay/` | STUN and TURN for those behind NATs (RFC 8489, RFC 8656): a machine of its own |
//! | `src/transaction/` | RFC 3261 17, one diagram a file; the way to a next hop (RFC 3263) |
//! | `src/dialog/` | RFC 3261 12; session timers, reliable provisional responses, the 2xx and its ACK |
//! | `src/proxy/` | RFC 3261 16: requests sent on as they came; forking; the record of a proxied call |
//! | `src/registrar/` | REGISTER to a new list of bindings, through the store's compare-and-set |
//! | `src/push/` | phones that sleep are woken before they are called (RFC 8599) |
//! | `src/event/` | subscriptions (RFC 6665): who watches a user's registration (RFC 3680) or a room (RFC 4575) |
//! | `src/control/` | what an operator asks a running node, and the answers: words on a local socket |
//! | `src/api/` | the HTTP API for clients: tokens, calls between them and with everybody else, events that can be resumed |
//! | `src/trunk/` | a carrier: who it is, its peers' health, its limits, our registration with it |
//! | `src/routing/` | the dial plan as data, numbers, the dry run of `tandem route` |
//! | `src/b2bua/` | a call: two legs and what joins them, or one leg in a room; hold, transfer |
//! | `src/room/` | a room: who is in it, who may what, what each hears |
//! | `src/guard/` | who is heard at all, decided on raw octets: rates, bans, overload |
//! | `src/ng/` | rtpengine's control protocol: a proxy that keeps the dialogs has its media here |
//! | `src/node/` | sorts inputs to the machines; who is admitted, and what is proxied |
//! | `src/phone/` | a scriptable phone on the same dialogs: the people of the demo |
//! | `src/rtc/` | media with browsers: who the peer is and where (ICE), and its keys (DTLS-SRTP) |
//! | `src/media/` | the packet path, and the mix of rooms: no allocation, no lock, no log |
//! | `src/siprec/` | a recorded call at a recording server: its dialog, its metadata, copies of both sides (RFC 7866) |
//! | `src/recording/` | a recorded call: packets of both sides to one stereo file; which files go |
//! | `src/config/` | from YAML to values that cannot be wrong |
//! | `src/shell/` | tokio, sockets, threads, disk, clock, commands |
//! | `src/shell/recording/` | the thread that writes recordings; rings to it; a full disk |
//! | `src/shell/relay/` | the thread that relays, its sockets and streams |
//! | `src/shell/within.rs` | datagrams between the relay and media of this process, without the network |
//! | `src/shell/rtc/` | the thread that sets up media with browsers |
//! | `src/shell/api/` | HTTP/1.1, event streams and WebSockets of the API; the files of the SDK and of the phone page |
//! | `src/shell/net/` | UDP, TCP, TLS, WebSockets, certificates, DNS questions |
//! | `src/effect.rs` | what a machine may ask of the world, and the facts that it leaves |
//! | `src/cx.rs` | the one context that every signalling machine receives |
//! | `src/stock.rs` | spare RTP ports, and places on the media workers: what calls take from |
//! | `src/id.rs`, `src/time.rs`, `src/pii.rs` | what everybody names: numbers of things, time and deadlines, what does not print |
//! | `src/keyed.rs` | a keyed hash: tables whose keys a peer chooses, marks and nonces that only we can make |
//! | `src/marker.rs` | what marks what we hand out, so that the guard knows it again |
//! | `src/limits.rs` | every bound of the system, each with its reason |
//! | `sdk/` | what pages use: a module in JavaScript, and the phone page made with it |
//! | `codecs/src/` | PCM in, PCM out; the codecs in C are called from here |
//! | `sip-tests/src/` | the simulated world, and peers written apart from the code under test |
//! | `fixtures/` | messages, flows and sounds that the tests read, each with its source |
//! | `benches/` | what is measured, alone and beside peers |
//! | `config/reference.md` | every key of the configuration |
//!
//! # The three paths
//!
//! **An INVITE from a trunk to a softphone.** `src/shell/net/` reads a datagram; [`sip::frame`] cuts it, [`sip::lex`] indexes it;
//! [`transaction`] absorbs retransmissions, and sends 100 when no answer comes soon; `src/node/admission.rs` asks [`trunk`] who it
//! is; [`routing`] decides;
//! [`b2bua`] asks the store for the phones, opens a leg for each and offers SDP; 180 and 200 go back by the caller's own dialog; the
//! media is opened on one worker and joined; one call record is written.
//!
//! **One RTP packet.** The socket is the leg. `src/media/worker.rs` checks the header, latches the source, then walks what was
//! decided at set-up: relayed, only the header is rewritten; transcoded, it goes through jitter buffer, decoder and encoder. Of a leg that
//! is recorded, a copy goes into a ring, and `src/shell/recording/` makes the file of it. Legs in a room are mixed each 20 ms
//! (`src/media/room.rs`), and those who only listen share an encoder for each codec. A copy for a recording server goes out by a leg of
//! its own (`src/media/fork.rs`). What browsers in a room show is passed on as it came, by `src/media/video.rs`,
//! and what they say, where the room wants that, by `src/media/room/apart.rs`.
//! Where browsers share a port, `src/media/shared.rs` tells whose a datagram is; one without UDP comes by a stream (`src/shell/media/stream.rs`).
//! STUN and DTLS of a browser are handed on to `src/rtc/`, on a thread of its own; the keys come back as a command, and before them nothing is
//! sent or taken.
//!
//! **A record.** A machine emits [`effect::Fact`]s; `src/shell/record.rs` folds them into log lines, counters and rows;
//! `src/shell/store/` commits rows in groups on a thread of its own.
//!
//! # Errors and bugs
//!
//! A peer's fault is a typed error that knows its SIP status. A bug is a panic: within a call it
//! costs that call, elsewhere the input that met it; a node that meets a hundred ends in order.
//! The house rules, and the table of who may use whom, are tests: `src/tidy.rs`.

pub mod api;
pub mod b2bua;
pub mod config;
pub mod control;
pub mod cx;
pub mod dialog;
pub mod effect;
pub mod event;
pub mod guard;
pub mod id;
pub mod keyed;
pub mod limits;
pub mod marker;
pub mod media;
pub mod ng;
pub mod node;
pub mod phone;
pub mod pii;
pub mod proxy;
pub mod push;
pub mod recording;
pub mod registrar;
pub mod relay;
pub mod room;
pub mod routing;
pub mod rtc;
pub mod sdp;
#[cfg(feature = "shell")]
pub mod shell;
pub mod sip;
pub mod siprec;
pub mod stock;
pub mod stun;
#[cfg(test)]
mod tidy;
pub mod time;
pub mod transaction;
pub mod trunk;

/// What we call ourselves in User-Agent and Server.
pub const USER_AGENT: &str = concat!("tandem/", env!("CARGO_PKG_VERSION"));

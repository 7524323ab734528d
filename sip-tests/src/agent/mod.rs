//! A peer: a phone or a carrier as one SIP user agent, written frame by frame from the RFCs, apart from the code under test.
//!
//! What it does by itself is its [`Policy`]; scripts do everything else. What the other side does wrong becomes a complaint.

mod call;
pub mod recorder;
mod register;
mod transaction;
mod uac;
mod uas;

pub use call::{Call, Change, State};
pub use register::{Registration, Server as RegistrarServer};

use crate::browser::Manners;
use crate::description::{self, Format};
use crate::message::{self, Msg};
use crate::rng::Rng;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tandem::time::Instant;
use transaction::{Client, Served};

/// How a peer's SIP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// Datagrams to this address.
    Udp(SocketAddr),
    /// A stream to this address: opened when there is none.
    Tcp(SocketAddr),
}

impl Wire {
    /// The address.
    pub fn addr(self) -> SocketAddr {
        match self {
            Wire::Udp(addr) | Wire::Tcp(addr) => addr,
        }
    }

    fn via(self) -> &'static str {
        match self {
            Wire::Udp(_) => "UDP",
            Wire::Tcp(_) => "TCP",
        }
    }
}

/// What wakes a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A client transaction's retransmission or end.
    Client(String),
    /// A final response to INVITE that waits for its ACK.
    Final(usize),
    /// A reliable provisional response that waits for its PRACK.
    Reliable(usize),
    /// Time to ring.
    Ring(usize),
    /// Time to answer.
    Answer(usize),
    /// Time to hang up.
    Hangup(usize),
    /// Time to refresh the session (RFC 4028).
    Refresh(usize),
    /// Time to try a re-INVITE again after 491.
    Retry(usize),
    /// Time to register again.
    Register,
    /// Time for the next RTP packet.
    Voice(usize),
}

/// What a peer asks of the world.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends SIP.
    Send(Wire, Bytes),
    /// Wants to be woken.
    Timer(Instant, Timer),
    /// Sends RTP or RTCP from a port of its own.
    Media(u16, SocketAddr, Bytes),
}

/// What a peer is given for one step.
pub struct Ctx<'a> {
    /// The clock.
    pub now: Instant,
    /// Chance.
    pub rng: &'a mut Rng,
    /// Effects, in order.
    pub acts: &'a mut Vec<Act>,
}

impl Ctx<'_> {
    fn send(&mut self, wire: Wire, bytes: Bytes) {
        self.acts.push(Act::Send(wire, bytes));
    }

    fn wake(&mut self, after: Duration, timer: Timer) {
        self.acts.push(Act::Timer(self.now + after, timer));
    }
}

/// How an INVITE that came is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 200 after this time.
    After(Duration),
    /// This status after this time, with these header lines.
    Status(u16, Duration, Vec<String>),
    /// By the script.
    Manual,
}

/// What a peer does by itself.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Nothing that arrives is looked at.
    pub deaf: bool,
    /// Sends 100 to an INVITE at once.
    pub trying: bool,
    /// When it rings; `None` never.
    pub ring: Option<Duration>,
    /// The provisional status: 180, 183.
    pub ring_status: u16,
    /// The provisional response carries SDP, and media flows from then on.
    pub ring_sdp: bool,
    /// Provisional responses are reliable (RFC 3262): as soon as the caller supports it.
    pub reliable: bool,
    /// What becomes of an INVITE.
    pub answer: Answer,
    /// What a request outside of calls is answered with that is neither INVITE nor OPTIONS.
    pub loose: u16,
    /// Hangs up after this time of an answered call.
    pub hangup: Option<Duration>,
    /// How many 2xx are not acknowledged (lost ACK).
    pub drop_acks: u32,
    /// What a re-INVITE or UPDATE is answered with, in place of 200.
    pub refuse_change: Option<u16>,
    /// BYE is answered.
    pub answer_bye: bool,
    /// PRACK is sent for reliable provisional responses.
    pub prack: bool,
    /// Formats in offers and answers.
    pub formats: Vec<Format>,
    /// Packet time that its SDP asks for, and sends with itself.
    pub ptime: u8,
    /// INVITEs carry no offer.
    pub late_offer: bool,
    /// `Supported` of its requests.
    pub supported: String,
    /// `Session-Expires` of its INVITE and of its 2xx to one: `90;refresher=uac`.
    pub session: Option<String>,
    /// More header lines of its INVITEs.
    pub invite_lines: Vec<String>,
    /// More header lines of its 2xx to INVITE.
    pub answer_lines: Vec<String>,
    /// More m-sections of its SDP.
    pub sections: Vec<(bool, String)>,
    /// Offers and takes keys for SRTP beside RTP in the clear (RFC 8643).
    pub srtp: bool,
    /// Its media is that of a browser.
    pub browser: Option<Manners>,
    /// Challenges INVITE, REGISTER with this realm: user and password are its own.
    pub challenge: Option<String>,
    /// Challenges every request within a call with this status (401, 407) and realm, by the same password.
    pub challenge_within: Option<(u16, String)>,
    /// Tries a re-INVITE again after 491 (RFC 3261 14.1).
    pub retry_491: bool,
    /// The body of requests is sent to this address in place of the one in Contact (misbehaviour).
    pub contact: Option<String>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            deaf: false,
            trying: true,
            ring: Some(Duration::from_millis(100)),
            ring_status: 180,
            ring_sdp: false,
            reliable: false,
            answer: Answer::After(Duration::from_secs(1)),
            loose: 481,
            hangup: None,
            drop_acks: 0,
            refuse_change: None,
            answer_bye: true,
            prack: true,
            formats: vec![description::pcma(), description::pcmu(), description::events()],
            ptime: 20,
            late_offer: false,
            supported: "100rel, timer, replaces".into(),
            session: None,
            invite_lines: Vec::new(),
            answer_lines: Vec::new(),
            sections: Vec::new(),
            srtp: false,
            browser: None,
            challenge: None,
            challenge_within: None,
            retry_491: false,
            contact: None,
        }
    }
}

/// A message that a peer sent or received.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// By this peer.
    pub sent: bool,
    /// What.
    pub msg: Msg,
}

/// One peer.
pub struct Agent {
    /// Its name in scripts.
    pub name: String,
    /// Its address of record: `sip:alice@example.com`.
    pub identity: String,
    /// Its host and SIP port.
    pub addr: SocketAddr,
    /// Where its requests outside of dialogs go.
    pub server: Wire,
    /// Digest user name.
    pub user: String,
    /// Digest password.
    pub password: String,
    /// What it does by itself.
    pub policy: Policy,
    /// Its calls, in order.
    pub calls: Vec<Call>,
    /// Its registration with the node.
    pub registration: Registration,
    /// The registrations that it has accepted (a carrier).
    pub registrar: RegistrarServer,
    /// All messages, unless `quiet`.
    pub log: Vec<Seen>,
    /// Keeps no log (large runs).
    pub quiet: bool,
    /// What the other side did wrong.
    pub complaints: Vec<String>,
    /// Its tone in Hz; `None`: no RTP.
    pub tone: Option<f32>,
    /// How much higher the tone of each further call is, in Hz: one who talks with himself must not seem to hear an echo.
    pub tone_step: f32,
    clients: BTreeMap<String, Client>,
    served: BTreeMap<(String, String), Served>,
    /// When `served` is cleaned next.
    served_bound: usize,
    /// Loose requests that were sent again with credentials: the key of the new transaction.
    retried: BTreeMap<String, String>,
    /// Calls by Call-ID, and by the branch of the INVITE that is being answered.
    index: BTreeMap<String, Vec<usize>>,
    serial: u64,
}

impl Agent {
    /// A peer with default behaviour.
    pub fn new(name: &str, identity: &str, addr: SocketAddr, server: Wire, password: &str) -> Agent {
        let user = message::uri_of(identity)
            .trim_start_matches("sip:")
            .split('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        Agent {
            name: name.to_owned(),
            identity: identity.to_owned(),
            addr,
            server,
            user,
            password: password.to_owned(),
            policy: Policy::default(),
            calls: Vec::new(),
            registration: Registration::default(),
            registrar: RegistrarServer::default(),
            log: Vec::new(),
            quiet: false,
            complaints: Vec::new(),
            tone: None,
            tone_step: 0.0,
            clients: BTreeMap::new(),
            served: BTreeMap::new(),
            served_bound: 4096,
            retried: BTreeMap::new(),
            index: BTreeMap::new(),
            serial: 0,
        }
    }

    /// SIP that arrived from a wire.
    pub fn receive(&mut self, cx: &mut Ctx<'_>, from: Wire, bytes: &[u8]) {
        if bytes.iter().all(|byte| b"\r\n".contains(byte)) {
            return;
        }
        let msg = match Msg::read(bytes) {
            Ok(msg) => msg,
            Err(why) => return self.complain(format!("a message that cannot be read: {why}")),
        };
        self.note(cx.now, false, &msg);
        if self.policy.deaf {
            return;
        }
        if msg.is_request() {
            self.request_in(cx, from, msg);
        } else {
            self.response_in(cx, msg);
        }
    }

    /// A timer of ours is due.
    pub fn timer(&mut self, cx: &mut Ctx<'_>, timer: Timer) {
        match timer {
            Timer::Client(branch) => self.client_timer(cx, &branch),
            Timer::Final(call) => self.final_timer(cx, call),
            Timer::Reliable(call) => self.reliable_timer(cx, call),
            Timer::Ring(call) => self.ring(cx, call),
            Timer::Answer(call) => self.answer_now(cx, call),
            Timer::Hangup(call) => self.hang_up(cx, call),
            Timer::Refresh(call) => self.refresh(cx, call),
            Timer::Retry(call) => self.retry_change(cx, call),
            Timer::Register => self.reregister(cx),
            Timer::Voice(call) => self.speak(cx, call),
        }
    }

    /// RTP or RTCP that arrived at one of our ports.
    pub fn media_in(&mut self, now: Instant, port: u16, from: SocketAddr, bytes: &[u8]) {
        let voice = self.calls.iter_mut().rev().flat_map(Call::voices);
        if let Some(voice) = voice
            .into_iter()
            .find(|voice| voice.port == port || voice.port + 1 == port)
        {
            voice.receive(now, from, port != voice.port, bytes);
        }
    }

    /// Writes down what the other side did wrong.
    pub(crate) fn complain(&mut self, what: String) {
        self.complaints.push(format!("{}: {what}", self.name));
    }

    /// Requests that wait for their final response.
    pub fn open_requests(&self) -> usize {
        self.clients.values().filter(|client| client.is_open()).count()
    }

    fn note(&mut self, at: Instant, sent: bool, msg: &Msg) {
        if !self.quiet {
            self.log.push(Seen {
                at,
                sent,
                msg: msg.clone(),
            });
        }
    }

    /// Forgets calls that are over: nothing may wait for one of them.
    pub fn forget_calls(&mut self) {
        assert!(!self.calls.iter().any(Call::is_live), "a call of {} is up", self.name);
        self.calls = Vec::new();
        self.index.clear();
    }

    /// Keeps a new call where it is found again. Gives its number.
    fn add(&mut self, call: Call) -> usize {
        let number = self.calls.len();
        self.index.entry(call.call_id.clone()).or_default().push(number);
        self.calls.push(call);
        number
    }

    /// The newest call with this Call-ID that fits.
    fn find_call(&self, call_id: &str, fits: impl Fn(&Call) -> bool) -> Option<usize> {
        self.index
            .get(call_id)?
            .iter()
            .rev()
            .copied()
            .find(|number| fits(&self.calls[*number]))
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// `sip:alice@192.0.2.1:5060`, with transport where it is not UDP.
    fn contact(&self) -> String {
        if let Some(contact) = &self.policy.contact {
            return contact.clone();
        }
        let transport = if let Wire::Tcp(_) = self.server {
            ";transport=tcp"
        } else {
            ""
        };
        format!("<sip:{}@{}{transport}>", self.user, self.addr)
    }

    /// A Via value with a new branch.
    fn via(&mut self, wire: Wire) -> (String, String) {
        let serial = self.serial();
        let branch = format!("z9hG4bK-{}-{serial}", self.name);
        (
            format!("SIP/2.0/{} {};branch={branch};rport", wire.via(), self.addr),
            branch,
        )
    }
}

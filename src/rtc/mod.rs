//! Media with browsers is set up here, beside the packet path: who the peer is, where it is, and by which keys it is spoken with.
//!
//! ```text
//!   description --> connect --> checks of the peer (ICE lite) --> DTLS --> its certificate is the described one --> Setup::Secured
//!                                      |                                                                               |
//!                                      '--> answered, from here and as long as the leg lives (consent, RFC 7675)       '--> the worker
//! ```
//!
//! We are ICE lite (RFC 8445 2.5): a server is reached by who wants to reach it, so that we answer checks, and send one only to where a peer
//! says that it has moved (`ice`). With a peer that is lite itself we look for the way (`ice/full.rs`). Nothing of DTLS is
//! looked at that comes from where no check of the peer came from: who does not know the password of the description cannot
//! make us compute anything but an HMAC. There is no media before the certificate is the one of the description.
//!
//! | file | what it is |
//! |---|---|
//! | `ice` | checks, and the way that the peer has chosen |
//! | `sources` | whose a source is, of legs that share a port |
//! | `dtls` | handshakes, by `dimpl` |

mod dtls;
mod ice;
mod sources;

pub use dtls::Identity;

use crate::id::{MediaLegId, WorkerId};
use crate::keyed::Key;
use crate::limits;
use crate::media::command::{Connect, DtlsRole, Event, Setup, Unsecured};
use crate::stun::message::{Class, Message};
use crate::time::{Deadlines, Instant};
use dtls::{Handshake, Step};
use ice::{Came, Check, Ice};
use smallvec::SmallVec;
use sources::Sources;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// What is to be done for a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A datagram, by the leg's socket.
    Send {
        /// Whose.
        leg: MediaLegId,
        /// To where.
        to: SocketAddr,
        /// What.
        octets: Vec<u8>,
    },
    /// For signalling.
    Event(Event),
    /// What comes to a shared port from there is this leg's from now on, or no longer: for the worker that has the port.
    Source {
        /// Whose.
        leg: MediaLegId,
        /// From where.
        from: SocketAddr,
        /// It is.
        is_its: bool,
    },
}

/// What was refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Checks that are not the peer's: another name or password, or none.
    pub checks: u64,
    /// Other messages of STUN, and what is none.
    pub stun: u64,
    /// DTLS from where the peer is not.
    pub strangers: u64,
    /// For a leg that has no description (any more).
    pub no_leg: u64,
}

/// One leg.
#[derive(Debug)]
struct Agent {
    /// Of `Command::Connect`.
    number: u32,
    connect: Connect,
    ice: Ice,
    dtls: Option<Handshake>,
    /// Where the handshake comes from, until a way is chosen.
    dtls_from: Option<SocketAddr>,
    /// The keys were told, for this address.
    secured: Option<SocketAddr>,
    /// It is told once, and nothing more is done about it.
    failed: bool,
    /// Since when it may come.
    since: Instant,
    /// When a check of it came last.
    heard: Instant,
    /// When the handshake has something to repeat.
    wake: Option<Instant>,
}

impl Agent {
    /// Where it is to be spoken to.
    fn way(&self) -> Option<SocketAddr> {
        self.ice.chosen().or(self.secured).or(self.dtls_from)
    }

    /// When it is given up.
    fn ends(&self) -> Instant {
        match self.secured {
            Some(_) => self.heard + limits::RTC_CONSENT,
            None => self.since + limits::RTC_SETUP,
        }
    }

    /// Why it is given up then.
    fn why(&self) -> Unsecured {
        match (self.secured, self.ice.is_heard(), &self.connect.lite) {
            (Some(_), _, None) => Unsecured::NoConsent,
            (Some(_), _, Some(_)) => Unsecured::AnswersCeased,
            (None, true, _) => Unsecured::NoHandshake,
            (None, false, None) => Unsecured::NoCheck,
            (None, false, Some(lite)) if lite.candidates.is_empty() => Unsecured::NoCandidate,
            (None, false, Some(_)) => Unsecured::NoAnswer,
        }
    }

    fn due(&self) -> Instant {
        let sooner = self.wake.into_iter().chain(self.ice.due());
        sooner.fold(self.ends(), Instant::min)
    }
}

/// The set-up of all legs of a node.
#[derive(Debug)]
pub struct Machine {
    identity: Identity,
    /// As many as there are legs, which the workers bound.
    legs: BTreeMap<MediaLegId, Agent>,
    due: Deadlines<MediaLegId>,
    /// Of one input: whoever gives it takes what came of it.
    out: VecDeque<Output>,
    refused: Refused,
    /// Of legs that share a port.
    sources: Sources,
    secret: Key,
}

impl Machine {
    /// Without legs; by this certificate we are known.
    pub fn new(identity: Identity) -> Machine {
        Machine {
            secret: identity.secret(),
            sources: Sources::default(),
            identity,
            legs: BTreeMap::new(),
            due: Deadlines::default(),
            out: VecDeque::new(),
            refused: Refused::default(),
        }
    }

    /// A leg that is opened has no port of its own: it shares that of this worker.
    pub fn share(&mut self, leg: MediaLegId, home: WorkerId) {
        self.sources.share(leg, home);
    }

    /// Both sides have described themselves. Again with another name of the peer: it looks for another way (RFC 8445 9), and the keys go
    /// on; with more candidates of a peer that is lite, those are looked at too; with another number it is another peer.
    pub fn connect(&mut self, now: Instant, leg: MediaLegId, number: u32, connect: Connect) {
        match self.legs.get_mut(&leg) {
            Some(agent) if agent.number == number && !agent.failed => {
                if agent.connect.theirs != connect.theirs {
                    agent.ice.restart(agent.connect.ours.clone());
                    agent.heard = now;
                    agent.ice.search(now, &connect);
                } else {
                    agent.ice.widen(now, &connect);
                }
                agent.connect = connect;
            }
            Some(_) | None => {
                let mut ice = Ice::new(self.secret);
                ice.search(now, &connect);
                let agent = Agent {
                    number,
                    connect,
                    ice,
                    dtls: None,
                    dtls_from: None,
                    secured: None,
                    failed: false,
                    since: now,
                    heard: now,
                    wake: None,
                };
                self.sources.release(leg);
                self.legs.insert(leg, agent);
            }
        }
        self.keep(leg, None);
        self.arm(leg);
    }

    /// Takes what came to a leg's port and is STUN or DTLS (RFC 7983 7).
    pub fn datagram(&mut self, now: Instant, leg: MediaLegId, from: SocketAddr, octets: &[u8]) {
        if !self.legs.contains_key(&leg) {
            self.refused.no_leg += 1;
            return;
        }
        match octets.first() {
            Some(0..=3) => {
                let leg = self.asked(octets).unwrap_or(leg);
                self.check(now, leg, from, octets);
                self.arm(leg);
            }
            Some(20..=63) => self.record(now, leg, from, octets),
            Some(_) | None => self.refused.stun += 1,
        }
        self.arm(leg);
    }

    /// Whose check of ours this answers, of those that were sent to where another leg is spoken to.
    fn asked(&self, octets: &[u8]) -> Option<MediaLegId> {
        let answer = Message::parse(octets).filter(|message| message.class == Class::Success)?;
        self.sources.asked(&answer.transaction)
    }

    /// What a leg knows of its peer may be other than before; there it is for sure.
    fn keep(&mut self, leg: MediaLegId, proven: Option<SocketAddr>) {
        let Some(agent) = self.legs.get(&leg) else { return };
        let told = self.sources.keep(leg, &agent.ice, proven).into_iter();
        self.out
            .extend(told.map(|(from, is_its)| Output::Source { leg, from, is_its }));
    }

    /// Checks of ours go there: where no other leg is spoken to, what comes back is this one's.
    fn expect(&mut self, leg: MediaLegId, asked: &[SocketAddr]) {
        for to in asked {
            let is_lite = self.legs.get(&leg).is_some_and(|agent| agent.ice.expects(*to));
            if is_lite && self.sources.is_free(leg, *to) {
                self.keep(leg, Some(*to));
            }
        }
    }

    fn check(&mut self, now: Instant, leg: MediaLegId, from: SocketAddr, octets: &[u8]) {
        let Some(agent) = self.legs.get_mut(&leg) else { return };
        let (before, way) = (agent.ice.chosen(), agent.way());
        let is_free = self.sources.is_free(leg, from);
        let came = Came { from, octets, is_free };
        let (check, answer) = agent.ice.message(now, &agent.connect, way, came);
        match check {
            // Consent is for the way that media takes (RFC 7675 5.1).
            Check::Peer if agent.ice.chosen().is_none_or(|chosen| chosen == from) => agent.heard = now,
            Check::Peer => {}
            Check::Refused => self.refused.checks += 1,
            Check::Other => self.refused.stun += 1,
        }
        let (chosen, secured) = (agent.ice.chosen(), agent.secured);
        // An answer proves who is there, whosever that was.
        let is_its = check == Check::Peer && agent.ice.knows(from) && (is_free || answer.is_none());
        let begins = agent.connect.role == DtlsRole::Client && agent.dtls.is_none() && !agent.failed;
        let asks = agent.ice.on_time(now, &agent.connect);
        let asked: SmallVec<[SocketAddr; 2]> = asks.iter().map(|(to, _)| *to).collect();
        let sends = answer.map(|octets| (from, octets)).into_iter().chain(asks);
        // Before the answer: what the peer sends when it has that should find its leg.
        self.keep(leg, Some(from).filter(|_| is_its));
        self.expect(leg, &asked);
        self.out
            .extend(sends.map(|(to, octets)| Output::Send { leg, to, octets }));
        let Some(chosen) = chosen.filter(|chosen| Some(*chosen) != before) else {
            return;
        };
        if secured.is_some_and(|told| told != chosen) {
            if let Some(agent) = self.legs.get_mut(&leg) {
                agent.secured = Some(chosen);
            }
            self.tell(leg, Setup::Path(chosen));
        }
        if begins {
            self.handshake(now, leg, None);
        }
    }

    fn record(&mut self, now: Instant, leg: MediaLegId, from: SocketAddr, octets: &[u8]) {
        let Some(agent) = self.legs.get_mut(&leg) else { return };
        if !agent.ice.knows(from) {
            self.refused.strangers += 1;
            return;
        }
        if !agent.failed {
            agent.dtls_from = Some(from);
            self.handshake(now, leg, Some(octets));
        }
    }

    /// The handshake goes on: by what came, or by time.
    fn handshake(&mut self, now: Instant, leg: MediaLegId, octets: Option<&[u8]>) {
        let Some(agent) = self.legs.get_mut(&leg) else { return };
        let connect = &agent.connect;
        let handshake = agent
            .dtls
            .get_or_insert_with(|| Handshake::new(&self.identity, connect.role, &connect.fingerprints, now));
        let (steps, failed) = handshake.advance(&self.identity, now, octets);
        let way = agent.way();
        agent.wake = None;
        let mut keys = None;
        for step in steps {
            match step {
                Step::Send(octets) => {
                    self.out.extend(way.map(|to| Output::Send { leg, to, octets }));
                }
                Step::Keys(own) => keys = Some(own),
                Step::Wake(at) => agent.wake = Some(at),
            }
        }
        if let Some(fault) = failed {
            (agent.failed, agent.dtls, agent.wake) = (true, None, None);
            return self.tell(leg, Setup::Failed(Unsecured::Dtls(fault)));
        }
        if let (Some(keys), Some(peer)) = (keys, way) {
            (agent.secured, agent.heard) = (Some(peer), now);
            self.tell(leg, Setup::Secured { peer, keys });
        }
    }

    /// Forgets a leg, and says farewell.
    pub fn close(&mut self, now: Instant, leg: MediaLegId) {
        self.due.cancel(leg);
        self.sources.forget(leg);
        let Some(mut agent) = self.legs.remove(&leg) else {
            return;
        };
        let (way, dtls) = (agent.way(), agent.dtls.as_mut());
        let farewell = dtls.map(|dtls| dtls.close(&self.identity, now)).unwrap_or_default();
        let send = |octets| way.map(|to| Output::Send { leg, to, octets });
        self.out.extend(farewell.into_iter().filter_map(send));
    }

    /// Runs what is due.
    pub fn on_time(&mut self, now: Instant) {
        while let Some(leg) = self.due.pop_due(now) {
            let Some(agent) = self.legs.get_mut(&leg) else { continue };
            let asks = agent.ice.on_time(now, &agent.connect);
            let asked: SmallVec<[SocketAddr; 2]> = asks.iter().map(|(to, _)| *to).collect();
            self.expect(leg, &asked);
            self.out
                .extend(asks.into_iter().map(|(to, octets)| Output::Send { leg, to, octets }));
            let Some(agent) = self.legs.get_mut(&leg) else { continue };
            if agent.wake.is_some_and(|wake| wake <= now) {
                self.handshake(now, leg, None);
            } else if agent.ends() <= now {
                // Who is not connected yet may still come, if signalling lets the leg live.
                (agent.since, agent.heard) = (now, now);
                let why = agent.why();
                if !agent.failed {
                    self.tell(leg, Setup::Failed(why));
                }
            }
            self.arm(leg);
        }
    }

    /// The next effect.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.next().map(|(at, _)| at)
    }

    /// What was refused since the start.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Legs that it knows.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// True when it knows none.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    fn tell(&mut self, leg: MediaLegId, setup: Setup) {
        if let Some(agent) = self.legs.get(&leg) {
            self.out
                .push_back(Output::Event(Event::Setup(leg, agent.number, setup)));
        }
    }

    fn arm(&mut self, leg: MediaLegId) {
        if let Some(agent) = self.legs.get(&leg) {
            self.due.set(leg, agent.due());
        }
    }
}

//! The guard: it decides, before a message is parsed, whether the node has time for its sender.
//!
//! ```text
//!   octets --> exempt? --> banned? --> look at it
//!                                        |
//!     a response with a branch of ours, a request with a tag or a Record-Route token of ours -----------------> passes
//!     a program that calls itself a scanner ------------------------------------------------------------------> dropped
//!     credentials with a nonce that we sent to this very address ---> too many wrong passwords before? -------> dropped, or passes
//!     what looks like something that has proved to be from there ---> more than `per_source`? ----------------> dropped, or passes
//!     anything else ---> more than `per_stranger`, or of all of them more than `strangers`? ------------------> dropped, or passes
//! ```
//!
//! | file | does |
//! |---|---|
//! | `look` | finds in raw octets what decides |
//! | `keys` | what rates and memories are kept by |
//! | `sort` | decides, in the order above |
//! | `cells` | rates and memories of any number of keys in memory that does not grow |
//! | `bans` | of whom nothing is heard |
//! | `load` | refuses new work when messages wait too long |
//!
//! A datagram can claim any source. So what others send in the name of a trunk or a phone draws on other rates than what the two send
//! themselves: those have shown that they are there, by something that only they can have received ([`crate::marker`]), and at that
//! moment what their requests look like is remembered. Only what was shown in this way leads to a ban.
//!
//! A drop costs no allocation, no answer and no line in a log: it is counted, and the counts are told once a minute.

mod bans;
pub(crate) mod cells;
mod keys;
mod load;
mod look;
mod sort;
#[cfg(test)]
mod tests;

use crate::config::{self, Config};
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::Flow;
use crate::limits;
use crate::marker::{Mark, Marker, Origin};
use crate::time::{Clock, Instant};
use bans::Bans;
use cells::{Cell, Cells, Rate, Seen};
use keys::*;
use load::{Load, News};
use look::{Kind, look};
use sort::{DIALOG, PROBES, TRUNK, WRONG};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often what was dropped is told.
const TOLD: Duration = Duration::from_secs(60);
/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Its source is banned.
    Banned,
    /// It says itself that it is a scanner.
    Scanner,
    /// Its mark was used too often.
    Repeated,
    /// Its source or its user had too many wrong passwords.
    Guess,
    /// Its source is known and sends too much.
    Source,
    /// Its source is not known and sends too much.
    Stranger,
    /// Strangers send too much together.
    Strangers,
    /// It lacks what an answer needs.
    Malformed,
    /// A response for which nobody waits.
    Stray,
}

impl Cut {
    const ALL: [Cut; 9] = [
        Cut::Banned,
        Cut::Scanner,
        Cut::Repeated,
        Cut::Guess,
        Cut::Source,
        Cut::Stranger,
        Cut::Strangers,
        Cut::Malformed,
        Cut::Stray,
    ];

    /// What stands behind "messages".
    const fn words(self) -> &'static str {
        match self {
            Cut::Banned => "of banned sources",
            Cut::Scanner => "of programs that call themselves scanners",
            Cut::Repeated => "with a dialog, transaction or nonce of ours that is used too often",
            Cut::Guess => "with credentials, after too many wrong ones",
            Cut::Source => "beyond the rate of one known source (guard.per_source)",
            Cut::Stranger => "beyond the rate of one unknown source (guard.per_stranger)",
            Cut::Strangers => "beyond the rate of all unknown sources (guard.strangers)",
            Cut::Malformed => "without the fields that an answer needs",
            Cut::Stray => "that answer nothing of ours",
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The node handles it.
    Pass(Origin),
    /// Nobody hears of it.
    Drop(Cut),
}

/// A source that is to be banned, if nothing speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Its address.
    pub ip: IpAddr,
    why: &'static str,
}

/// What is known of the message at hand.
#[derive(Clone, Copy, Debug)]
struct Hand {
    source: u64,
    ip: IpAddr,
    /// Its return path is proved by the message itself.
    proven: bool,
    nonce: Option<u64>,
    user: u64,
    /// It acknowledges an answer that keeps no state.
    acknowledges: bool,
}

/// All that is remembered of those who send.
pub struct Guard {
    config: Arc<Config>,
    marker: Marker,
    /// Of strangers and guesses: some of their rates look minutes ahead, and a flood fills many cells.
    cells: Cells,
    /// Of what has proved to be ours: apart, so that no flood meets a dialog in both its cells.
    proved: Cells,
    seen: Seen,
    strangers: Cell,
    unproven: Cell,
    strays: Cell,
    malformed: Cell,
    /// Until which second sources have live bindings, by their keyed names.
    bound: HashMap<u64, u32, foldhash::fast::FixedState>,
    bans: Bans,
    load: Load,
    hand: Option<Hand>,
    counts: [u64; Cut::ALL.len()],
    refused: u64,
    /// When the counts are told; none while there is nothing to tell.
    tell: Option<Instant>,
}

impl Guard {
    /// One that has seen nobody.
    pub fn new(config: Arc<Config>, marker: Marker) -> Guard {
        Guard {
            config,
            marker,
            cells: Cells::new(),
            proved: Cells::new(),
            seen: Seen::new(),
            strangers: Cell::default(),
            unproven: Cell::default(),
            strays: Cell::default(),
            malformed: Cell::default(),
            bound: HashMap::default(),
            bans: Bans::default(),
            load: Load::default(),
            hand: None,
            counts: [0; Cut::ALL.len()],
            refused: 0,
            tell: None,
        }
    }

    /// Other rules from now on.
    pub fn configure(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    fn rules(&self) -> &config::Guard {
        &self.config.guard
    }

    /// Whether the node hears of this message.
    pub fn admit(&mut self, at: Clock, flow: Flow, message: &[u8]) -> Verdict {
        let ip = flow.peer.ip();
        self.hand = None;
        if self.rules().exempt.iter().any(|network| network.contains(ip)) {
            return Verdict::Pass(Origin::default());
        }
        let source = self.marker.source(ip);
        if self.bans.holds(source) {
            return self.drop(at.now, Cut::Banned);
        }
        let look = look(message);
        let shape = fold(source, look.shape) as u16;
        let passes = match look.kind {
            Kind::Response => self.response(at.now, source, &look),
            Kind::Invite | Kind::Register | Kind::Ack | Kind::Cancel | Kind::Other => {
                self.hand = Some(Hand {
                    source,
                    ip,
                    proven: flow.transport.is_reliable(),
                    nonce: None,
                    user: 0,
                    acknowledges: false,
                });
                self.request(at, source, shape, &look)
            }
        };
        match passes {
            Ok(()) => Verdict::Pass(Origin {
                source: (source >> 32) as u32,
                shape,
            }),
            Err(cut) => self.drop(at.now, cut),
        }
    }

    fn drop(&mut self, now: Instant, cut: Cut) -> Verdict {
        self.counts[cut as usize] += 1;
        if self.tell.is_none() {
            self.tell = Some(now + TOLD);
        }
        Verdict::Drop(cut)
    }
}

/// What the node tells of the message at hand.
impl Guard {
    /// Its credentials are those of a user, who is heard unless he sends too much.
    pub fn is_user(&mut self, cx: &Cx<'_>, name: &str) -> bool {
        let (nanos, now) = (cx.now.as_nanos(), second(cx.now));
        let Some(hand) = self.hand else { return true };
        if let Some(nonce) = hand.nonce {
            self.seen.put(Guard::nonce_of(nonce, hand.user), now);
            self.seen.put(fold(hand.source, hand.user), now);
        }
        self.cells.forgive(fold(hand.source, ABOUT_PROBES));
        let user = fold(self.marker.hash(Mark::Source, name.as_bytes()), ABOUT_RATE);
        let most = self.rules().per_user;
        self.proved.take(user, nanos, Rate::per_second(most, 2 * most))
    }

    /// It is a trunk's.
    pub fn is_trunk(&mut self, cx: &Cx<'_>) {
        if let Some(hand) = self.hand {
            self.seen.put(fold(hand.source, ABOUT_TRUNK), second(cx.now));
        }
    }

    /// True for one that needs no machine: the ACK of an answer that keeps no state only shows that its sender had it.
    pub fn is_acknowledged(&self) -> bool {
        self.hand.is_some_and(|hand| hand.acknowledges)
    }

    /// Its credentials are wrong.
    pub fn is_wrong(&mut self, cx: &Cx<'_>) -> Option<Suspect> {
        // A nonce that went elsewhere proves nothing: its guesses are not taken for those of this source.
        let hand = self.hand.filter(|hand| hand.nonce.is_some())?;
        let nanos = cx.now.as_nanos();
        for (key, rate) in self.wrong(hand.source, hand.user).into_iter().zip(WRONG) {
            self.cells.take(key, nanos, rate);
        }
        let (key, rate) = self.guesses(hand.source);
        // The last one that fits leads to it, and not the one after.
        self.cells.take(key, nanos, rate);
        let is_over = !self.cells.has(key, nanos, rate);
        self.suspect(is_over, "it gave wrong passwords again and again")
    }

    /// It asks for something that it was not given, and gives no credentials.
    pub fn is_probe(&mut self, cx: &Cx<'_>) -> Option<Suspect> {
        let hand = self.hand.filter(|hand| hand.proven)?;
        let is_over = !self
            .cells
            .take(fold(hand.source, ABOUT_PROBES), cx.now.as_nanos(), PROBES);
        self.suspect(is_over, "it asked again and again and never said who it is")
    }

    fn suspect(&self, is_over: bool, why: &'static str) -> Option<Suspect> {
        let hand = self.hand.filter(|hand| hand.proven && is_over)?;
        Some(Suspect { ip: hand.ip, why })
    }

    /// Nothing speaks against the ban, as far as the node knows.
    pub fn ban(&mut self, cx: &mut Cx<'_>, suspect: Suspect) {
        let source = self.marker.source(suspect.ip);
        let now = second(cx.now);
        let lately = |about, within| self.seen.has(fold(source, about), now, within);
        let is_ours = self.is_bound_now(source, now) || lately(ABOUT_DIALOG, DIALOG) || lately(ABOUT_TRUNK, TRUNK);
        let Some(lasts) = self.rules().ban.filter(|_| !is_ours) else {
            return;
        };
        if let Some(room) = self.bans.begin(cx.now, source, suspect.ip, lasts) {
            tell_end(cx, room);
        }
        cx.emit(Output::Record(Fact::Banned {
            source: suspect.ip,
            lasts,
            why: suspect.why,
        }));
    }

    /// A source has live bindings for so long.
    pub fn is_bound(&mut self, cx: &Cx<'_>, ip: IpAddr, lasts: Duration) {
        let (source, now) = (self.marker.source(ip), second(cx.now));
        let until = second(cx.now + lasts);
        if self.bound.len() >= limits::GUARD_BOUND && !self.bound.contains_key(&source) {
            self.bound.retain(|_, until| *until >= now);
            if self.bound.len() >= limits::GUARD_BOUND {
                return;
            }
        }
        let known = self.bound.entry(source).or_insert(until);
        *known = until.max(*known);
    }

    /// Whether a new request is refused because the node is behind with its work.
    pub fn sheds(&mut self, cx: &mut Cx<'_>, is_call: bool) -> bool {
        if self.load.is_calm() {
            return false;
        }
        let dice = cx.random();
        let sheds = self.load.refuses(cx.now, is_call, dice);
        if sheds {
            self.refused += 1;
            self.tell.get_or_insert(cx.now + TOLD);
        }
        sheds
    }

    /// The messages that come next have waited so long.
    pub fn waited(&mut self, cx: &mut Cx<'_>, wait: Duration) {
        self.load.waited(cx.now, wait, self.config.guard.max_wait);
        self.tell_load(cx);
    }

    /// Bans that are over, and what was counted. `is_ours` says where nobody is to be banned any more.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, is_ours: impl Fn(IpAddr) -> bool) {
        while let Some(ban) = self.bans.pop_due(cx.now) {
            tell_end(cx, ban);
        }
        self.tell_load(cx);
        if self.tell.is_none_or(|at| at > cx.now) {
            return;
        }
        self.tell = None;
        self.pardon(cx, is_ours);
        for cut in Cut::ALL {
            let count = std::mem::take(&mut self.counts[cut as usize]);
            tell_cut(cx, count, cut.words());
        }
        let refused = std::mem::take(&mut self.refused);
        tell_cut(cx, refused, "that are new, by 503, since others wait too long");
    }

    /// Ends the bans of those who have become ours.
    pub fn pardon(&mut self, cx: &mut Cx<'_>, is_ours: impl Fn(IpAddr) -> bool) {
        for ban in self.bans.pardon(is_ours) {
            tell_end(cx, ban);
        }
    }

    fn tell_load(&mut self, cx: &mut Cx<'_>) {
        if let Some(news) = self.load.news(cx.now) {
            let begins = news == News::Began;
            cx.emit(Output::Record(Fact::Overload { begins }));
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let wishes = [self.bans.next_deadline(), self.load.next_deadline(), self.tell];
        wishes.into_iter().flatten().min()
    }

    /// Sources that are banned now.
    pub fn banned(&self) -> usize {
        self.bans.len()
    }
}

fn tell_end(cx: &mut Cx<'_>, ban: bans::Ban) {
    cx.emit(Output::Record(Fact::BanEnded {
        source: ban.ip,
        dropped: ban.dropped,
    }));
}

fn tell_cut(cx: &mut Cx<'_>, count: u64, what: &'static str) {
    if count > 0 {
        cx.emit(Output::Record(Fact::Cut { count, what }));
    }
}

//! One call: an offer goes on from one side to another, its answer comes back, and the two are bridged.
//!
//! ```text
//!              offer (from-tag a)               answer (from-tag a, to-tag b)            delete, silence
//!   nothing ----------------------> a, b asked ------------------------------> a <=> b ------------------> Ending
//!                                       |  offer (another via-branch): one more side b' is asked      the workers close;
//!                                       +-> who answers last, is heard                               then the last answer
//! ```
//!
//! Each side has a description of its own, as the legs of our own calls have: what crosses is who sends and receives.

use super::answers::Asker;
use super::flags::Flags;
use super::message::{Named, Refused};
use super::report;
use super::side::{Asked, Side, Turn, believe, limit, onward, signalling, wanted};
use crate::effect::{Fact, LegReport, Output};
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{Command, LegStats};
use crate::sdp::{Local, Session, acceptable, wish_of};
use crate::time::{Instant, Wall};
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What a call is about to be.
#[derive(Debug)]
struct Ending {
    why: &'static str,
    asker: Option<Asker>,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// Its Call-ID.
    pub name: Arc<str>,
    /// Which it is.
    pub number: u64,
    /// Where its media is.
    pub worker: WorkerId,
    /// Who is in it, or was asked.
    pub sides: Vec<Side>,
    /// Since when it is.
    pub created: Wall,
    /// When it was last signalled.
    pub signalled: Wall,
    touched: Instant,
    queries: Vec<Asker>,
    /// Whose counters are awaited.
    reading: Vec<MediaLegId>,
    ending: Option<Ending>,
}

/// What may be said of an offer before anything is opened for it.
fn check(offer: &Session<'_>, flags: &Flags, v6: bool) -> Result<(), Refused> {
    let addr: IpAddr = match v6 {
        true => Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    let local = Local {
        addr,
        port: 0,
        session_id: 0,
        version: 0,
        direction: crate::sdp::Direction::SendRecv,
    };
    acceptable(offer, &local, &offer.audio_codecs(), wanted(offer, flags), false).map_err(|error| error.reason().into())
}

impl Call {
    /// One with nobody in it.
    pub fn new(t: &Turn<'_, '_>, name: Arc<str>, number: u64, worker: WorkerId) -> Call {
        Call {
            name,
            number,
            worker,
            sides: Vec::with_capacity(2),
            created: t.cx.wall,
            signalled: t.cx.wall,
            touched: t.cx.now,
            queries: Vec::new(),
            reading: Vec::new(),
            ending: None,
        }
    }

    /// Its legs are being closed.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// A description goes on: what its other side is to read.
    pub fn offer(
        &mut self,
        t: &mut Turn<'_, '_>,
        named: &Named,
        sdp: &[u8],
        flags: Box<Flags>,
    ) -> Result<Bytes, Refused> {
        let session = Session::parse(sdp).map_err(|error| Refused::from(error.reason()))?;
        let session = limit(believe(session, &flags), &flags);
        let v6 = session.audio_address().is_some_and(|addr| addr.is_ipv6());
        check(&session, &flags, v6)?;
        let known = (self.by_tag(named.from.as_deref()), self.callee(named));
        let came = wanted(&session, &flags);
        let agreed = known.1.map(|at| &self.sides[at]).filter(|side| side.spoken().is_some());
        let srtp = onward(&flags, agreed.map(|side| side.oa.srtp()), came)?;
        let new = usize::from(known.0.is_none()) + usize::from(known.1.is_none());
        if self.sides.len() + new > limits::NG_SIDES {
            return Err("The call has as many sides as it may have.".into());
        }
        let from = match known.0 {
            Some(at) => at,
            None => self.open(t, v6, &Flags::default(), named.from.clone())?,
        };
        let to = match known.1 {
            Some(at) => at,
            None => self.open(t, flags.v6.unwrap_or(v6), &flags, None)?,
        };
        if flags.label.is_some() {
            self.sides[from].label.clone_from(&flags.label);
        }
        let by = self.sides[from].id;
        let side = &mut self.sides[to];
        side.tag.clone_from(&named.to);
        if named.branch.is_some() {
            side.branch.clone_from(&named.branch);
        }
        side.oa.speak(
            flags.choice.onward(&session.audio_codecs(), side.spoken()),
            flags.choice.has_events(),
        );
        side.protect(t, srtp, |suite| flags.sdes.allows(suite));
        let body = side.oa.offer(wish_of(&session));
        side.asked = Some(Asked {
            by,
            offer: session.into_owned(),
            flags,
        });
        self.touch(t);
        Ok(body)
    }

    /// A description comes back: what who offered is to read.
    pub fn answer(&mut self, t: &mut Turn<'_, '_>, named: &Named, sdp: &[u8], flags: &Flags) -> Result<Bytes, Refused> {
        let from = self
            .by_tag(named.from.as_deref())
            .ok_or("Nobody with this from-tag has offered anything in this call.")?;
        let to = self
            .answerer(named, self.sides[from].id)
            .ok_or("Nobody was asked what this could be the answer to.")?;
        let session = Session::parse(sdp).map_err(|error| Refused::from(error.reason()))?;
        let session = believe(session, flags);
        let said = |error: crate::sdp::SdpError| Refused::from(error.reason());
        let agreed = self.sides[to]
            .oa
            .preview(&session, signalling(&session, flags))
            .map_err(said)?;
        let Some(asked) = self.sides[to].asked.take() else {
            return Err("Nobody was asked what this could be the answer to.".into());
        };
        let came = wanted(&asked.offer, &asked.flags);
        let back = asked
            .flags
            .choice
            .back(&asked.offer.audio_codecs(), agreed.stream.codec);
        let offerer = &mut self.sides[from];
        offerer.protect(t, came, |_| true);
        offerer.oa.speak(back, true);
        let source = signalling(&asked.offer, &asked.flags);
        let body = offerer.oa.answer(&asked.offer, wish_of(&session), source).map_err(said);
        let side = &mut self.sides[to];
        side.asked = Some(asked);
        let body = body?;
        side.tag.clone_from(&named.to);
        if flags.label.is_some() {
            side.label.clone_from(&flags.label);
        }
        side.oa.settle(agreed, wish_of(&session));
        self.sides[from].tell(t);
        self.sides[to].tell(t);
        self.join(t, from, to);
        self.touch(t);
        Ok(body)
    }

    /// Whoever they were joined with before, is heard no more.
    fn join(&mut self, t: &mut Turn<'_, '_>, one: usize, other: usize) {
        let (a, b) = (self.sides[one].id, self.sides[other].id);
        if self.sides[one].partner == Some(b) && self.sides[other].partner == Some(a) {
            return;
        }
        for side in &mut self.sides {
            if [Some(a), Some(b)].contains(&side.partner) {
                side.partner = None;
            }
        }
        (self.sides[one].partner, self.sides[other].partner) = (Some(b), Some(a));
        self.sides[one].join(t, b);
    }

    fn open(&mut self, t: &mut Turn<'_, '_>, v6: bool, flags: &Flags, tag: Option<Box<str>>) -> Result<usize, Refused> {
        let mut side = Side::open(t, (self.number, self.worker), v6, flags)?;
        side.tag = tag;
        self.sides.push(side);
        Ok(self.sides.len() - 1)
    }

    fn touch(&mut self, t: &Turn<'_, '_>) {
        (self.signalled, self.touched) = (t.cx.wall, t.cx.now);
    }

    /// Whether a command names a side of it, or none: a phone that knows the Call-ID may invent tags.
    pub fn knows(&self, named: &Named) -> bool {
        let tags = [named.from.as_deref(), named.to.as_deref()];
        tags == [None, None] || tags.into_iter().any(|tag| self.by_tag(tag).is_some())
    }

    fn by_tag(&self, tag: Option<&str>) -> Option<usize> {
        let tag = tag?;
        self.sides.iter().position(|side| side.tag.as_deref() == Some(tag))
    }

    fn asked_by(&self, by: MediaLegId) -> impl Iterator<Item = (usize, &Side)> {
        let asked = move |side: &Side| side.asked.as_ref().is_some_and(|asked| asked.by == by);
        self.sides.iter().enumerate().filter(move |(_, side)| asked(side))
    }

    /// Whom an offer goes to: the side of its tag; without one, the branch that was asked before by the same side.
    fn callee(&self, named: &Named) -> Option<usize> {
        let by_tag = self.by_tag(named.to.as_deref());
        by_tag.or_else(|| {
            let by = self.sides[self.by_tag(named.from.as_deref())?].id;
            let fits = |side: &Side| side.branch == named.branch && (named.to.is_none() || side.tag.is_none());
            self.asked_by(by).find(|(_, side)| fits(side)).map(|(at, _)| at)
        })
    }

    /// Who answers: the side of the tag or the branch, else one that nobody has answered for, else the last that was asked (a fork
    /// behind the proxy, which has one branch and several answers).
    fn answerer(&self, named: &Named, by: MediaLegId) -> Option<usize> {
        let find = |fits: &dyn Fn(&Side) -> bool| {
            self.asked_by(by)
                .filter(|(_, side)| fits(side))
                .last()
                .map(|(at, _)| at)
        };
        find(&|side| side.tag == named.to)
            .or_else(|| find(&|side| named.branch.is_some() && side.branch == named.branch))
            .or_else(|| find(&|side| side.tag.is_none()))
            .or_else(|| find(&|_| true))
    }

    /// Blocks the digits of the side of this tag, or of all; or no longer. False if there is none.
    pub fn block(&mut self, t: &mut Turn<'_, '_>, from: Option<&str>, is_blocked: bool) -> bool {
        let mut is_there = false;
        for side in &mut self.sides {
            if from.is_none() || from == side.tag.as_deref() {
                side.block(t, is_blocked);
                is_there = true;
            }
        }
        is_there
    }

    /// Sends a digit to whoever hears the side of this tag. False if nobody does.
    pub fn play(&self, t: &mut Turn<'_, '_>, from: Option<&str>, digit: char) -> bool {
        let partner = self.by_tag(from).and_then(|at| self.sides[at].partner);
        let Some(side) = partner.and_then(|id| self.sides.iter().find(|side| side.id == id)) else {
            return false;
        };
        let digits = digit.to_string().into();
        side.command(t, Command::SendDigits { leg: side.id, digits });
        true
    }

    /// Ends one branch, if others are left. True if it did.
    pub fn end_branch(&mut self, t: &mut Turn<'_, '_>, branch: &str) -> bool {
        let is_meant = |side: &Side| side.branch.as_deref() == Some(branch) && !side.is_closed;
        let others = self
            .sides
            .iter()
            .filter(|side| side.asked.is_some() && !is_meant(side))
            .count();
        let Some(at) = self
            .sides
            .iter()
            .position(|side| is_meant(side) && side.asked.is_some())
            .filter(|_| others > 0)
        else {
            return false;
        };
        // The worker leaves its partner idle.
        let side = self.sides.remove(at);
        side.command(t, Command::Close(side.id));
        self.reading.retain(|leg| *leg != side.id);
        for other in &mut self.sides {
            if other.partner == Some(side.id) {
                other.partner = None;
            }
        }
        true
    }

    /// Ends it, for this reason; who asked for that is told when the workers have closed its legs.
    pub fn end(&mut self, t: &mut Turn<'_, '_>, why: &'static str, asker: Option<Asker>) {
        if self.ending.is_some() {
            return;
        }
        for side in &self.sides {
            side.command(t, Command::Close(side.id));
        }
        self.ending = Some(Ending { why, asker });
        self.reading.clear();
        self.tell_queries(t);
    }

    /// All that is to be known is known, or has to do: true if it is over.
    pub fn finish(&mut self, t: &mut Turn<'_, '_>, is_late: bool) -> bool {
        let Some(ending) = &mut self.ending else { return false };
        if !is_late && self.sides.iter().any(|side| !side.is_closed) {
            return false;
        }
        let (why, asker) = (ending.why, ending.asker.take());
        t.said.extend(asker.map(|asker| (asker, report::of(self))));
        let legs = self.sides.iter().enumerate().map(|(at, side)| LegReport {
            caller: at == 0,
            stats: side.stats,
        });
        t.cx.emit(Output::Record(Fact::NgEnded {
            name: self.name.clone(),
            why,
            legs: legs.collect(),
        }));
        true
    }

    /// Somebody wants its counters: they are read from the workers first.
    pub fn query(&mut self, t: &mut Turn<'_, '_>, asker: Asker) {
        self.queries.push(asker);
        if self.queries.len() > limits::NG_WAITING {
            return self.tell_queries(t);
        }
        self.read(t);
    }

    /// Asks the workers anew, whatever was lost before.
    pub fn look(&mut self, t: &mut Turn<'_, '_>) {
        self.reading.clear();
        self.read(t);
    }

    /// Asks the workers, unless they are being asked.
    pub fn read(&mut self, t: &mut Turn<'_, '_>) {
        if self.reading.is_empty() && self.ending.is_none() {
            let open = self.sides.iter().filter(|side| !side.is_closed);
            self.reading = open.map(|side| side.id).collect();
            for side in &self.sides {
                side.command(t, Command::ReadStats(side.id));
            }
        }
    }

    /// What is known is told to who asked.
    pub fn tell_queries(&mut self, t: &mut Turn<'_, '_>) {
        for asker in std::mem::take(&mut self.queries) {
            t.said.push((asker, report::of(self)));
        }
    }

    /// The counters of a leg.
    pub fn counted(&mut self, t: &mut Turn<'_, '_>, leg: MediaLegId, stats: LegStats) {
        let now = t.cx.now;
        if let Some(side) = self.sides.iter_mut().find(|side| side.id == leg) {
            side.count(now, stats);
        }
        self.reading.retain(|other| *other != leg);
        if self.reading.is_empty() {
            self.tell_queries(t);
            if let Some(why) = self.is_silent(t) {
                self.end(t, why, None);
            }
        }
    }

    /// A leg is closed: by us, or since no worker could open it.
    pub fn closed(&mut self, t: &mut Turn<'_, '_>, leg: MediaLegId, stats: LegStats) {
        let Some(side) = self.sides.iter_mut().find(|side| side.id == leg) else {
            return;
        };
        side.stats = stats;
        side.is_closed = true;
        self.end(t, "a media worker could not open a leg, or lost it", None);
    }

    /// Why it is over where nobody says so: nothing has come from any side for too long. What the counters say must be new.
    fn is_silent(&self, t: &Turn<'_, '_>) -> Option<&'static str> {
        let up = || self.sides.iter().filter(|side| side.spoken().is_some());
        let heard = up()
            .map(|side| side.heard)
            .max()
            .unwrap_or(self.touched)
            .max(self.touched);
        let timeout = t.cx.config.ng.as_ref().map_or(limits::NG_HELD, |ng| ng.timeout);
        let (longest, why) = if up().next().is_none() {
            (limits::NG_UNANSWERED, "its offer was never answered")
        } else if up().any(Side::receives) {
            (
                timeout,
                "no media has come from any side for as long as ng.timeout says",
            )
        } else {
            (
                limits::NG_HELD.max(timeout),
                "it was on hold on both sides for too long",
            )
        };
        (t.cx.now.since(heard) >= longest).then_some(why)
    }
}

//! The way to a next hop: its name is walked to targets (see `resolve`), and the first that can be connected is taken.
//!
//! ```text
//!    Destination::Uri --- numeric host ---------------+
//!          | name                                     v
//!          v                 targets            +------------+  opened: Reached
//!    +-----------+ ---------------------------> | Connecting | ------------------>
//!    |  Asking   |      Destination::Targets -> |            | ---+ failed, late:
//!    +-----------+                              +------------+ <--+ the next target
//!      ^   |   | none, late: Unreachable              | no more: Unreachable
//!      +---+ answers that lead to further questions
//! ```

use super::known::{Answers, Dead, Open, Ways};
use super::resolve::{self, Hop, Search, Speaks, Walk};
use super::{Destination, Event, Failure};
use crate::cx::{Cx, RngCore};
use crate::effect::{Answer, Output, Question};
use crate::id::{Flow, Owner, Target, Ticket, Transport};
use crate::limits;
use crate::sip::Uri;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What a ticket of the layer waits for.
#[derive(Clone, Debug, PartialEq)]
enum Attempt {
    /// The answer to a question of this search.
    Asking(u64, Question),
    /// A flow to this; these are next.
    Connecting(Target, Vec<Target>),
}

/// A search under way.
#[derive(Debug)]
struct Searching {
    search: Search,
    answers: BTreeMap<Question, Answer>,
    asked: BTreeMap<Ticket, Question>,
    until: Instant,
}

/// All ways that are being found, and what is remembered of the world. Bounded by the users: each owner has one or a few.
#[derive(Debug, Default)]
pub struct Reaching {
    attempts: BTreeMap<Ticket, (Owner, Attempt)>,
    /// Whose each attempt is: a CANCEL must not look at those of all other calls.
    by_owner: BTreeSet<(Owner, Ticket)>,
    searches: BTreeMap<u64, Searching>,
    last_search: u64,
    known: Answers,
    dead: Dead,
    open: Open,
    ways: Ways,
}

impl Reaching {
    /// Begins.
    pub fn start(&mut self, cx: &mut Cx<'_>, events: &mut VecDeque<Event>, owner: Owner, destination: Destination) {
        match destination {
            Destination::Flow(flow) => events.push_back(Event::Reached {
                owner,
                flow,
                rest: Vec::new(),
            }),
            Destination::Targets(targets) => self.connect(cx, events, owner, targets, Failure::Transport),
            Destination::Uri(uri) => match resolve::hop(&uri) {
                Hop::Target(target) => {
                    if is_open(&uri, &target) {
                        self.open.add(target.addr);
                    }
                    self.connect(cx, events, owner, vec![target], Failure::Transport);
                }
                Hop::Name(search) => {
                    self.last_search += 1;
                    let searching = Searching {
                        search,
                        answers: BTreeMap::new(),
                        asked: BTreeMap::new(),
                        until: cx.now + limits::RESOLVE,
                    };
                    self.walk(cx, events, owner, self.last_search, searching);
                }
                Hop::None => events.push_back(Event::Unreachable {
                    owner,
                    failure: Failure::Unresolved,
                }),
            },
        }
    }

    /// Goes on with a search: asks what is missing, or connects to what was found.
    fn walk(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut VecDeque<Event>,
        owner: Owner,
        number: u64,
        mut searching: Searching,
    ) {
        let speaks = Speaks::of(cx.config);
        loop {
            let mut missing = match searching.walk(cx, &speaks) {
                Walk::Found(targets) => return self.found(cx, events, owner, &searching.search, targets),
                Walk::Ask(missing) => missing,
            };
            let before = missing.len();
            missing.retain(|question| match self.known.get(cx.now, question) {
                Some(answer) => searching.answers.insert(question.clone(), answer.clone()).is_some(),
                None => true,
            });
            if missing.len() < before {
                continue;
            }
            let asked: BTreeSet<&Question> = searching.asked.values().collect();
            missing.retain(|question| !asked.contains(question));
            // One that leads us on and on gets no more questions: what it has left out is not there.
            let room = limits::DNS_QUESTIONS.saturating_sub(searching.answers.len() + searching.asked.len());
            for question in missing.split_off(room.min(missing.len())) {
                searching.answers.insert(question, Answer::default());
            }
            let limit = searching.until.since(cx.now);
            for question in missing {
                let ticket = cx.ticket(owner, limit);
                self.wait(owner, ticket, Attempt::Asking(number, question.clone()));
                searching.asked.insert(ticket, question.clone());
                cx.emit(Output::Query(ticket, question));
            }
            if !searching.asked.is_empty() {
                self.searches.insert(number, searching);
                return;
            }
        }
    }

    fn found(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut VecDeque<Event>,
        owner: Owner,
        search: &Search,
        targets: Vec<Target>,
    ) {
        if search.is_open() {
            let datagrams = targets.iter().filter(|target| target.transport == Transport::Udp);
            datagrams.for_each(|target| self.open.add(target.addr));
        }
        self.connect(cx, events, owner, targets, Failure::Unresolved);
    }

    /// Drops what an owner waits for; the replies will find nobody.
    pub fn forget(&mut self, owner: Owner) {
        let own = self.by_owner.range((owner, Ticket(0))..=(owner, Ticket(u64::MAX)));
        for (_, ticket) in own.copied().collect::<Vec<_>>() {
            if let Some((_, Attempt::Asking(number, _))) = self.take(ticket) {
                self.searches.remove(&number);
            }
        }
    }

    fn wait(&mut self, owner: Owner, ticket: Ticket, attempt: Attempt) {
        self.attempts.insert(ticket, (owner, attempt));
        self.by_owner.insert((owner, ticket));
    }

    fn take(&mut self, ticket: Ticket) -> Option<(Owner, Attempt)> {
        let taken = self.attempts.remove(&ticket)?;
        self.by_owner.remove(&(taken.0, ticket));
        Some(taken)
    }

    /// True for a ticket that is waited for.
    pub fn knows(&self, ticket: Ticket) -> bool {
        self.attempts.contains_key(&ticket)
    }

    /// The answer to a question.
    pub fn on_answer(&mut self, cx: &mut Cx<'_>, events: &mut VecDeque<Event>, ticket: Ticket, mut answer: Answer) {
        let Some((owner, Attempt::Asking(number, question))) = self.take(ticket) else {
            return;
        };
        let Some(mut searching) = self.searches.remove(&number) else {
            return;
        };
        answer.records.truncate(limits::DNS_RECORDS);
        self.known.keep(cx.now, &question, &answer);
        searching.asked.remove(&ticket);
        searching.answers.insert(question, answer);
        self.walk(cx, events, owner, number, searching);
    }

    /// A flow, or none.
    pub fn on_flow(&mut self, cx: &mut Cx<'_>, events: &mut VecDeque<Event>, ticket: Ticket, flow: Option<Flow>) {
        match (self.take(ticket), flow) {
            (Some((owner, Attempt::Connecting(_, rest))), Some(flow)) => {
                self.ways.keep(cx.now, flow);
                events.push_back(Event::Reached { owner, flow, rest });
            }
            (Some((owner, Attempt::Connecting(target, rest))), None) => {
                self.dead.died(cx.now, target.transport, target.addr, limits::HOLD_DOWN);
                self.connect(cx, events, owner, rest, Failure::Transport);
            }
            (Some((owner, Attempt::Asking(number, _))), _) => self.late(cx, events, owner, number),
            (None, _) => {}
        }
    }

    /// The time of a search is over: with what is known by now, or not at all.
    fn late(&mut self, cx: &mut Cx<'_>, events: &mut VecDeque<Event>, owner: Owner, number: u64) {
        let Some(mut searching) = self.searches.remove(&number) else {
            return;
        };
        for (ticket, question) in std::mem::take(&mut searching.asked) {
            self.take(ticket);
            searching.answers.insert(question, Answer::default());
        }
        let speaks = Speaks::of(cx.config);
        let targets = match searching.walk(cx, &speaks) {
            Walk::Found(targets) => targets,
            Walk::Ask(_) => Vec::new(),
        };
        self.found(cx, events, owner, &searching.search, targets);
    }

    /// Asks for the first target, the living before the dead; with none left, `failure` is the answer.
    fn connect(
        &mut self,
        cx: &mut Cx<'_>,
        events: &mut VecDeque<Event>,
        owner: Owner,
        mut targets: Vec<Target>,
        failure: Failure,
    ) {
        if targets.is_empty() {
            events.push_back(Event::Unreachable { owner, failure });
            return;
        }
        targets.truncate(limits::TARGETS);
        targets.sort_by_key(|target| self.dead.until(cx.now, target));
        let first = targets.remove(0);
        self.dead.probe(cx.now, &first);
        if let Some(flow) = self.ways.get(cx.now, &first) {
            let rest = targets;
            events.push_back(Event::Reached { owner, flow, rest });
            return;
        }
        let ticket = cx.ticket(owner, limits::CONNECT);
        self.wait(owner, ticket, Attempt::Connecting(first.clone(), targets));
        cx.emit(Output::Connect(ticket, first));
    }

    /// The peer of a flow did not answer, or said for how long it cannot (RFC 3263 4.3, RFC 3261 21.5.4).
    pub fn died(&mut self, now: Instant, flow: Flow, for_long: Option<Duration>) {
        let for_long = for_long.unwrap_or(limits::HOLD_DOWN).min(limits::HOLD_DOWN);
        self.dead.died(now, flow.transport, flow.peer, for_long);
    }

    /// The peer of a flow answered.
    pub fn lives(&mut self, flow: Flow) {
        self.dead.lives(flow.transport, flow.peer);
    }

    /// Listeners may have come or gone.
    pub fn reconfigure(&mut self) {
        self.ways.clear();
    }

    /// A flow closed.
    pub fn gone(&mut self, flow: Flow) {
        self.ways.forget(flow);
    }

    /// True for a peer on UDP that may as well be reached by TCP (RFC 3261 18.1.1).
    pub fn is_open(&self, flow: Flow) -> bool {
        flow.transport == Transport::Udp && self.open.has(flow.peer)
    }
}

impl Searching {
    fn walk(&self, cx: &mut Cx<'_>, speaks: &Speaks) -> Walk {
        let known = |question: &Question| self.answers.get(question);
        self.search.walk(speaks, &known, &mut || cx.rng.next_u64())
    }
}

/// Nobody said how: neither the URI, nor its scheme.
fn is_open(uri: &Uri, target: &Target) -> bool {
    target.transport == Transport::Udp && uri.transport().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CallId, LegNo};

    /// Only what this owner waits for is dropped, and nothing of it is left.
    #[test]
    fn forgetting_one_owner_leaves_the_others() {
        let owner = |no| Owner::Leg(CallId(7), LegNo(no));
        let target = Target::new(Transport::Udp, ([127, 0, 0, 1], 5060).into());
        let mut reaching = Reaching::default();
        for ticket in 1..=6 {
            let attempt = Attempt::Connecting(target.clone(), Vec::new());
            reaching.wait(owner(ticket as u16 % 3), Ticket(ticket), attempt);
        }
        reaching.forget(owner(1));
        let left: Vec<u64> = (1..=6).filter(|ticket| reaching.knows(Ticket(*ticket))).collect();
        assert_eq!(left, [2, 3, 5, 6]);
        for ticket in left {
            reaching.take(Ticket(ticket));
        }
        assert!(reaching.attempts.is_empty() && reaching.by_owner.is_empty());
    }
}

//! What is remembered of the world outside: DNS answers for as long as they say, targets that failed, ways on UDP, peers that may be
//! reached by TCP as well. Each is bounded, and what is forgotten is only found out anew.

use crate::effect::{Answer, Question};
use crate::id::{Flow, Target, Transport};
use crate::limits;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// DNS answers.
#[derive(Debug, Default)]
pub struct Answers {
    kept: BTreeMap<Question, (Instant, Answer)>,
    ends: BTreeSet<(Instant, Question)>,
}

impl Answers {
    /// One that may still be used.
    pub fn get(&self, now: Instant, question: &Question) -> Option<&Answer> {
        self.kept
            .get(question)
            .filter(|(end, _)| *end > now)
            .map(|(_, answer)| answer)
    }

    /// Keeps one, unless it says that it must not be kept.
    pub fn keep(&mut self, now: Instant, question: &Question, answer: &Answer) {
        let longest = if answer.records.is_empty() {
            limits::DNS_NEGATIVE_TTL
        } else {
            limits::DNS_TTL
        };
        self.drop_one(question);
        if answer.ttl.is_zero() {
            return;
        }
        let end = now + answer.ttl.min(longest);
        self.kept.insert(question.clone(), (end, answer.clone()));
        self.ends.insert((end, question.clone()));
        if self.kept.len() > limits::DNS_ANSWERS
            && let Some((_, first)) = self.ends.first().cloned()
        {
            self.drop_one(&first);
        }
    }

    fn drop_one(&mut self, question: &Question) {
        if let Some((end, _)) = self.kept.remove(question) {
            self.ends.remove(&(end, question.clone()));
        }
    }
}

/// Targets that failed (RFC 3263 4.3), by when they are tried in their turn again.
#[derive(Debug, Default)]
pub struct Dead(BTreeMap<(Transport, SocketAddr), Held>);

/// How one is left alone.
#[derive(Clone, Copy, Debug)]
struct Held {
    until: Instant,
    /// One request finds out whether it lives again.
    probed: bool,
}

impl Dead {
    /// It did not answer, or said that it cannot.
    pub fn died(&mut self, now: Instant, transport: Transport, addr: SocketAddr, for_long: Duration) {
        let held = self.0.get(&(transport, addr));
        // What was sent before it was known to be dead tells nothing new.
        if held.is_some_and(|held| held.until > now && !held.probed) {
            return;
        }
        let held = Held {
            until: now + for_long,
            probed: false,
        };
        self.0.insert((transport, addr), held);
        if self.0.len() > limits::DEAD_TARGETS
            && let Some(first) = self.0.iter().min_by_key(|(_, held)| held.until).map(|(key, _)| *key)
        {
            self.0.remove(&first);
        }
    }

    /// It answered.
    pub fn lives(&mut self, transport: Transport, addr: SocketAddr) {
        if !self.0.is_empty() {
            self.0.remove(&(transport, addr));
        }
    }

    /// Until when it is to be left alone, if so.
    pub fn until(&self, now: Instant, target: &Target) -> Option<Instant> {
        self.0
            .get(&(target.transport, target.addr))
            .map(|held| held.until)
            .filter(|until| *until > now)
    }

    /// It is about to be tried. If it was dead, this one is the probe, and until it is decided the others leave it alone.
    pub fn probe(&mut self, now: Instant, target: &Target) {
        if let Some(held) = self.0.get_mut(&(target.transport, target.addr))
            && held.until <= now
        {
            *held = Held {
                until: now + limits::CONNECT,
                probed: true,
            };
        }
    }
}

/// The flows to peers on UDP, where there is nothing to open, so that the world is not asked for the way of each request. They are
/// asked for anew after a while, since routes change.
#[derive(Debug, Default)]
pub struct Ways(BTreeMap<SocketAddr, (Instant, Flow)>);

impl Ways {
    /// One that was found lately.
    pub fn get(&self, now: Instant, target: &Target) -> Option<Flow> {
        if target.transport != Transport::Udp {
            return None;
        }
        let (until, flow) = self.0.get(&target.addr)?;
        (*until > now).then_some(*flow)
    }

    /// One was found.
    pub fn keep(&mut self, now: Instant, flow: Flow) {
        if flow.transport != Transport::Udp {
            return;
        }
        if self.0.len() >= limits::WAYS {
            self.0.clear();
        }
        self.0.insert(flow.peer, (now + limits::WAY, flow));
    }

    /// One is no longer there.
    pub fn forget(&mut self, flow: Flow) {
        self.0.remove(&flow.peer);
    }

    /// None may be.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Peers on UDP whose URI leaves the transport to us (RFC 3261 18.1.1).
#[derive(Debug, Default)]
pub struct Open {
    order: u64,
    since: BTreeMap<SocketAddr, u64>,
    oldest: BTreeMap<u64, SocketAddr>,
}

impl Open {
    /// It may be reached by TCP as well.
    pub fn add(&mut self, addr: SocketAddr) {
        self.order += 1;
        if let Some(before) = self.since.insert(addr, self.order) {
            self.oldest.remove(&before);
        }
        self.oldest.insert(self.order, addr);
        if self.since.len() > limits::OPEN_PEERS
            && let Some((_, addr)) = self.oldest.pop_first()
        {
            self.since.remove(&addr);
        }
    }

    /// True for one that was added.
    pub fn has(&self, addr: SocketAddr) -> bool {
        self.since.contains_key(&addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Kind;

    const S: Duration = Duration::from_secs(1);

    fn question(number: usize) -> Question {
        Question {
            kind: Kind::A,
            name: format!("h{number}.example").into(),
        }
    }

    fn answer(ttl: u64) -> Answer {
        Answer {
            records: vec![crate::effect::Record::Address([192, 0, 2, 1].into())],
            ttl: S * u32::try_from(ttl).unwrap(),
        }
    }

    #[test]
    fn an_answer_is_kept_as_long_as_it_says_and_no_longer() {
        let (mut answers, now) = (Answers::default(), Instant::ZERO + S);
        answers.keep(now, &question(1), &answer(10));
        assert!(answers.get(now + 9 * S, &question(1)).is_some());
        assert!(answers.get(now + 10 * S, &question(1)).is_none());
        answers.keep(now, &question(1), &answer(0));
        assert!(answers.get(now, &question(1)).is_none());
        let nothing = Answer {
            records: Vec::new(),
            ttl: 10_000 * S,
        };
        answers.keep(now, &question(2), &nothing);
        assert!(answers.get(now + limits::DNS_NEGATIVE_TTL, &question(2)).is_none());
        answers.keep(now, &question(3), &answer(1_000_000));
        assert!(answers.get(now + limits::DNS_TTL, &question(3)).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut answers, mut dead, mut open) = (Answers::default(), Dead::default(), Open::default());
        let addr = |number: usize| SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 5060));
        for number in 0..limits::DNS_ANSWERS + 5 {
            answers.keep(Instant::ZERO, &question(number), &answer(number as u64 + 1));
        }
        for number in 0..limits::DEAD_TARGETS + 5 {
            dead.died(Instant::ZERO, Transport::Udp, addr(number), S * (number as u32 + 1));
            open.add(addr(number));
        }
        assert_eq!(
            (answers.kept.len(), answers.ends.len()),
            (limits::DNS_ANSWERS, limits::DNS_ANSWERS)
        );
        assert!(
            answers.get(Instant::ZERO, &question(4)).is_none() && answers.get(Instant::ZERO, &question(5)).is_some()
        );
        assert_eq!(dead.0.len(), limits::DEAD_TARGETS);
        assert_eq!(
            (open.since.len(), open.oldest.len()),
            (limits::OPEN_PEERS, limits::OPEN_PEERS)
        );
        assert!(!open.has(addr(4)) && open.has(addr(5)));
    }

    #[test]
    fn a_dead_target_is_probed_by_one_at_a_time() {
        let (mut dead, now) = (Dead::default(), Instant::ZERO);
        let target = Target::new(Transport::Udp, ([10, 0, 0, 1], 5060).into());
        dead.died(now, target.transport, target.addr, limits::HOLD_DOWN);
        assert!(dead.until(now, &target).is_some());
        let later = now + limits::HOLD_DOWN;
        assert!(dead.until(later, &target).is_none());
        dead.probe(later, &target);
        assert!(dead.until(later, &target).is_some(), "the others wait for the probe");
        dead.lives(target.transport, target.addr);
        assert!(dead.until(later, &target).is_none());
    }
}

//! Wrong PINs: who was wrong often is judged slowly.
//!
//! They are counted per source, a user or a trunk as a whole, since the number that a trunk shows can be anything. After three of them each
//! further PIN from there, right or wrong, is judged in its turn, at most one in two seconds, in however many calls they come: ten thousand
//! PINs take hours. The first PIN of a number waits in a queue of its own, each of the two having half of that: who goes on guessing from one
//! number keeps nobody else out.

use crate::limits;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Wrong PINs of a source until it is judged slowly.
const FREE: u32 = 3;
/// How far apart two judgements of one queue are then: of both together there is one in two seconds.
const APART: Duration = Duration::from_secs(4);
/// Who would wait longer than this is told that the PIN is wrong without a look at it.
const LONGEST: Duration = Duration::from_secs(20);
/// After so long without a wrong one a source is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// When a PIN is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now.
    Now,
    /// Then.
    At(Instant),
    /// Not at all: too many wait before it.
    Never,
}

#[derive(Debug)]
struct Source {
    wrong: u32,
    last: Instant,
    /// When its next one may be judged: the first of a number, a further one.
    next: [Instant; 2],
    /// Numbers of it that have given a PIN since it is judged slowly.
    numbers: BTreeSet<String>,
}

/// Who was wrong.
#[derive(Debug, Default)]
pub(super) struct Guesses(BTreeMap<String, Source>);

impl Guesses {
    /// A PIN comes from this source, which shows this number.
    pub(super) fn turn(&mut self, now: Instant, source: &str, number: &str) -> Turn {
        let Some(found) = self.0.get_mut(source) else {
            return Turn::Now;
        };
        if now.since(found.last) >= FORGOTTEN {
            self.0.remove(source);
            return Turn::Now;
        }
        if found.wrong < FREE {
            return Turn::Now;
        }
        let next = &mut found.next[usize::from(found.numbers.contains(number))];
        let at = (*next).max(now);
        if at.since(now) > LONGEST {
            return Turn::Never;
        }
        *next = at + APART;
        // Where there are more, somebody shows ever new ones: further ones are in the queue of the new.
        if found.numbers.len() < limits::ROOM_GUESSER_NUMBERS {
            found.numbers.insert(number.to_owned());
        }
        if at > now { Turn::At(at) } else { Turn::Now }
    }

    /// It was wrong.
    pub(super) fn wrong(&mut self, now: Instant, source: &str) {
        if !self.0.contains_key(source) && self.0.len() >= limits::ROOM_GUESSERS {
            let oldest = self.0.iter().min_by_key(|(_, source)| source.last);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.0.remove(&oldest);
            }
        }
        let found = self.0.entry(source.to_owned()).or_insert(Source {
            wrong: 0,
            last: now,
            next: [now; 2],
            numbers: BTreeSet::new(),
        });
        found.wrong = found.wrong.saturating_add(1);
        found.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_wrong_thrice_is_judged_one_by_one() {
        let mut guesses = Guesses::default();
        let start = Instant::ZERO + Duration::from_secs(1);
        for _ in 0..3 {
            assert_eq!(guesses.turn(start, "trunk/acme", "1"), Turn::Now);
            guesses.wrong(start, "trunk/acme");
        }
        assert_eq!(guesses.turn(start, "trunk/acme", "1"), Turn::Now);
        let turns: Vec<Turn> = (0..8).map(|_| guesses.turn(start, "trunk/acme", "1")).collect();
        let at = |seconds| Turn::At(start + Duration::from_secs(seconds));
        let expected: Vec<Turn> = std::iter::once(Turn::Now)
            .chain((1..=5).map(|n| at(4 * n)))
            .chain([Turn::Never, Turn::Never])
            .collect();
        assert_eq!(turns, expected);
        // The first of another number has a place still, and no second.
        assert_eq!(guesses.turn(start, "trunk/acme", "2"), at(4));
        assert_eq!(guesses.turn(start, "trunk/acme", "2"), Turn::Never);
        assert_eq!(
            guesses.turn(start, "user/alice", "3"),
            Turn::Now,
            "others are not slowed"
        );
        assert_eq!(guesses.turn(start + FORGOTTEN, "trunk/acme", "1"), Turn::Now);
        assert!(guesses.0.is_empty());
    }

    /// Whoever shows ever new numbers beside one that is known gains nothing by the second queue.
    #[test]
    fn of_both_queues_together_one_in_two_seconds_is_judged() {
        let mut guesses = Guesses::default();
        let start = Instant::ZERO + Duration::from_secs(1);
        (0..3).for_each(|_| guesses.wrong(start, "trunk/acme"));
        let mut judged = 0;
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            for number in [&format!("new {second}"), "old"] {
                judged += usize::from(guesses.turn(now, "trunk/acme", number) != Turn::Never);
            }
            guesses.wrong(now, "trunk/acme");
        }
        // Those are among them that wait at the end.
        assert!((300..=315).contains(&judged), "{judged} in ten minutes");
    }

    #[test]
    fn numbers_of_a_source_are_bounded() {
        let mut guesses = Guesses::default();
        let start = Instant::ZERO + Duration::from_secs(1);
        (0..3).for_each(|_| guesses.wrong(start, "trunk/acme"));
        let mut now = start;
        for n in 0..=limits::ROOM_GUESSER_NUMBERS {
            assert_eq!(guesses.turn(now, "trunk/acme", &n.to_string()), Turn::Now);
            guesses.wrong(now, "trunk/acme");
            now += LONGEST;
        }
        assert_eq!(guesses.0["trunk/acme"].numbers.len(), limits::ROOM_GUESSER_NUMBERS);
    }

    #[test]
    fn sources_are_bounded_and_the_oldest_is_forgotten() {
        let mut guesses = Guesses::default();
        for n in 0..=limits::ROOM_GUESSERS as u64 {
            guesses.wrong(Instant::ZERO + Duration::from_millis(n), &format!("user/{n}"));
        }
        assert_eq!(guesses.0.len(), limits::ROOM_GUESSERS);
        assert!(!guesses.0.contains_key("user/0") && guesses.0.contains_key("user/1"));
    }
}

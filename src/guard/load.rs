//! Overload, told by how long messages wait before the node comes to them: a queue that does not become empty (as CoDel sees it, RFC
//! 8289 3.2), answered by refusing a share of what is new (as the loss-based control of RFC 7339 5.10.1 and RFC 6357 do between hops).
//!
//! ```text
//!   an interval in which no batch waited for less than four times `max_wait`       the share grows by 25, to 200
//!   one in which none waited for less than `max_wait`                              it grows by 10, to 100; what is more, shrinks by 5
//!   one in which some batch waited for less than half of it, and an idle one       it shrinks by 5
//!
//!   share   0 ........ 100 ........ 200
//!           calls only     then all other new requests, too
//! ```
//!
//! What the system drops since a socket is full has waited for ever: a small socket never holds what is old.
//!
//! What belongs to a call or a transaction is never refused.

use crate::time::Instant;
use std::time::Duration;

/// As long as CoDel's: over the round trips of a call's first messages.
const INTERVAL: Duration = Duration::from_millis(100);
/// All calls.
const CALLS: u32 = 100;
/// As much as there is to refuse: all calls, and all else.
const MOST: u32 = 200;
/// Calm for so long is told.
const CALM: Duration = Duration::from_secs(10);

/// A change that an operator wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Began,
    Ended,
}

/// How much of what is new is refused.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Percent: of new calls, and beyond 100 of all other new requests.
    share: u32,
    /// When this interval began, and the shortest wait in it.
    interval: Option<(Instant, Duration)>,
    /// It was told that there is overload; since when nothing is refused.
    told: bool,
    calm: Option<Instant>,
}

impl Load {
    /// The messages that are taken up now waited so long: the oldest of them.
    pub(super) fn waited(&mut self, now: Instant, wait: Duration, limit: Duration) {
        let (began, least) = *self.interval.get_or_insert((now, wait));
        let least = least.min(wait);
        let intervals = now.since(began).as_nanos() / INTERVAL.as_nanos();
        if intervals == 0 {
            self.interval = Some((began, least));
            return;
        }
        self.interval = Some((now, wait));
        let share = if least >= 4 * limit {
            (self.share + 25).min(MOST)
        } else if least >= limit {
            (self.share + 10).min(CALLS).max(self.share.saturating_sub(5))
        } else if least < limit / 2 {
            self.share.saturating_sub(5)
        } else {
            self.share
        };
        let idle = u32::try_from(intervals - 1).unwrap_or(MOST).min(MOST);
        self.share = share.saturating_sub(5 * idle);
        self.calm = match self.share {
            0 => self.calm.or(Some(now)),
            _ => None,
        };
    }

    /// Whether a new request is refused; `dice` is chance.
    pub(super) fn refuses(&self, now: Instant, is_call: bool, dice: u64) -> bool {
        let share = if is_call {
            self.share
        } else {
            self.share.saturating_sub(CALLS)
        };
        // Where nothing has come for long, what comes first finds an empty house.
        let is_fresh = self.interval.is_some_and(|(began, _)| now.since(began) < 10 * INTERVAL);
        is_fresh && dice % 100 < u64::from(share)
    }

    /// Nothing is refused.
    pub(super) fn is_calm(&self) -> bool {
        self.share == 0
    }

    /// What is to be told.
    pub(super) fn news(&mut self, now: Instant) -> Option<News> {
        match (self.told, self.share) {
            (false, 1..) => {
                self.told = true;
                Some(News::Began)
            }
            (true, _) if self.next_deadline().is_some_and(|at| at <= now) => {
                (self.told, self.share) = (false, 0);
                Some(News::Ended)
            }
            (true, _) | (false, 0) => None,
        }
    }

    /// When there is news at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let (began, _) = self.interval.filter(|_| self.told)?;
        // Without a message nothing shrinks; then it is over all the same.
        Some(self.calm.map_or(began + 2 * CALM, |calm| calm + CALM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + ms(millis)
    }

    /// A message each 10 ms, all of which waited as long.
    fn run(load: &mut Load, from: u64, to: u64, wait: Duration) {
        for now in (from..to).step_by(10) {
            load.waited(at(now), wait, LIMIT);
        }
    }

    #[test]
    fn a_standing_queue_refuses_more_and_more_calls_and_then_everything() {
        let mut load = Load::default();
        run(&mut load, 0, 100, ms(150));
        assert_eq!((load.share, load.news(at(100))), (0, None));
        run(&mut load, 100, 600, ms(150));
        assert_eq!((load.share, load.news(at(600))), (50, Some(News::Began)));
        assert!(load.refuses(at(600), true, 49) && !load.refuses(at(600), true, 50));
        assert!(!load.refuses(at(600), false, 0));
        run(&mut load, 600, 1100, ms(400));
        assert!(load.refuses(at(1100), true, 99) && load.refuses(at(1100), false, 0));
        run(&mut load, 1100, 9000, ms(400));
        assert_eq!(load.share, MOST);
        run(&mut load, 9000, 19000, ms(150));
        assert_eq!(load.share, CALLS);
        run(&mut load, 19_000, 20_000, Duration::MAX);
        assert_eq!(load.share, MOST);
    }

    #[test]
    fn one_burst_is_no_overload() {
        let mut load = Load::default();
        for now in (0..10_000).step_by(10) {
            // Each interval has a message that did not wait.
            load.waited(at(now), if now % 50 == 0 { ms(1) } else { ms(500) }, LIMIT);
        }
        assert_eq!(load.share, 0);
    }

    #[test]
    fn it_ends_slowly_and_between_the_two_bounds_nothing_changes() {
        let mut load = Load::default();
        run(&mut load, 0, 610, ms(150));
        assert_eq!(load.news(at(610)), Some(News::Began));
        let share = load.share;
        run(&mut load, 610, 5_000, ms(70));
        assert_eq!(load.share, share);
        run(&mut load, 5_000, 5_600, ms(5));
        assert!(load.share < share && load.share > 0);
        run(&mut load, 5_600, 8_000, ms(5));
        assert_eq!((load.share, load.news(at(8_000))), (0, None));
        let end = load.next_deadline().unwrap();
        assert_eq!((load.news(end), load.next_deadline()), (Some(News::Ended), None));
    }

    #[test]
    fn after_a_silence_nobody_is_refused() {
        let mut load = Load::default();
        run(&mut load, 0, 5_000, ms(400));
        assert_eq!(load.news(at(5_000)), Some(News::Began));
        assert!(load.refuses(at(5_000), true, 0) && !load.refuses(at(6_100), true, 0));
        let end = load.next_deadline().unwrap();
        assert_eq!(load.news(end), Some(News::Ended));
        assert!(!load.refuses(end, true, 0));
    }
}

//! How long turns wait for one another. Under load, what comes within a moment is fetched together and answered together: that saves
//! most wake-ups, ours and our peers', and finds the caches warm. A node with little to do answers at once.

use crate::time::Instant;
use std::time::Duration;

/// The longest wait, where sockets hold what comes meanwhile. RFC 3261 counts in halves of a second.
const LONGEST: Duration = Duration::from_millis(20);
/// The rate is counted over this time.
const WINDOW: Duration = Duration::from_millis(100);
/// Datagrams of a window from which on turns wait: two hundred calls a second.
const BUSY: usize = 150;

/// Decides.
#[derive(Debug)]
pub struct Pace {
    wait: Duration,
    began: Instant,
    fetched: usize,
    is_busy: bool,
}

impl Pace {
    /// For sockets that hold at least this share of what they should.
    pub fn new(now: Instant, share: f64) -> Pace {
        Pace {
            wait: LONGEST.mul_f64(share.clamp(0.0, 1.0)),
            began: now,
            fetched: 0,
            is_busy: false,
        }
    }

    /// A turn has fetched so many datagrams.
    pub fn add(&mut self, now: Instant, fetched: usize) {
        self.fetched += fetched;
        if now.since(self.began) >= WINDOW {
            // Of a longer time without a turn, nothing is known: few.
            self.is_busy = self.fetched >= BUSY && now.since(self.began) < 2 * WINDOW;
            (self.began, self.fetched) = (now, 0);
        }
    }

    /// How long after the turn before the next one begins.
    pub fn wait(&self) -> Duration {
        if self.is_busy { self.wait } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(pace: &mut Pace, from: u64, turns: u64, fetched: usize) {
        for turn in from..from + turns {
            pace.add(Instant::ZERO + Duration::from_millis(10 * turn), fetched);
        }
    }

    #[test]
    fn turns_wait_while_much_comes_and_no_longer() {
        let mut pace = Pace::new(Instant::ZERO, 1.0);
        fed(&mut pace, 1, 20, 10);
        assert_eq!(pace.wait(), Duration::ZERO);
        fed(&mut pace, 21, 20, 20);
        assert_eq!(pace.wait(), LONGEST);
        fed(&mut pace, 41, 20, 10);
        assert_eq!(pace.wait(), Duration::ZERO);
        fed(&mut pace, 61, 20, 20);
        // After a pause one datagram is few.
        fed(&mut pace, 1000, 1, 1);
        assert_eq!(pace.wait(), Duration::ZERO);
    }

    #[test]
    fn sockets_with_little_room_are_emptied_sooner() {
        let mut pace = Pace::new(Instant::ZERO, 0.05);
        fed(&mut pace, 1, 20, 100);
        assert_eq!(pace.wait(), Duration::from_millis(1));
    }
}

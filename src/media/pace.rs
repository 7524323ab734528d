//! How many packets a leg takes: whoever sends more than speech can be is not served faster for it.
//!
//! It also ends what SDP can ask for and nobody can see coming: two legs, of one node or of several, that name each other's
//! ports. Without a bound a packet would circle between them as fast as a core can turn it round.

use crate::limits::{RTP_BURST, RTP_PER_SECOND};
use crate::time::Instant;

/// A token bucket, full at first.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Packets taken and not yet given back, in nanoseconds of the rate.
    spent: u64,
    last: Instant,
}

impl Pace {
    /// True if one more packet of media may pass now.
    pub fn takes(&mut self, now: Instant) -> bool {
        self.takes_at(now, RTP_PER_SECOND, RTP_BURST)
    }

    /// True if one more of so many in a second, and so many at once, may pass now.
    pub fn takes_at(&mut self, now: Instant, per_second: u64, burst: u64) -> bool {
        self.takes_some(now, 1, per_second, burst)
    }

    /// The same of so many that pass together, or not at all.
    pub fn takes_some(&mut self, now: Instant, count: u64, per_second: u64, burst: u64) -> bool {
        let each = 1_000_000_000 / per_second;
        let gone = now.as_nanos().saturating_sub(self.last.as_nanos());
        self.last = now;
        self.spent = self.spent.saturating_sub(gone);
        let takes = self.spent + count * each <= burst * each;
        if takes {
            self.spent += count * each;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut pace = Pace::default();
        let mut now = Instant::ZERO + Duration::from_secs(9);
        let taken = (0..RTP_BURST * 2).filter(|_| pace.takes(now)).count() as u64;
        assert_eq!(taken, RTP_BURST);
        now += Duration::from_secs(1);
        let taken = (0..RTP_BURST * 20).filter(|_| pace.takes(now)).count() as u64;
        assert_eq!(taken, RTP_PER_SECOND.min(RTP_BURST));
    }

    #[test]
    fn speech_in_the_smallest_packets_always_passes() {
        let mut pace = Pace::default();
        let mut now = Instant::ZERO;
        for _ in 0..100_000 {
            now += Duration::from_millis(10);
            assert!(pace.takes(now));
        }
    }
}

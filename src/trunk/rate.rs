//! Calls per second as a token bucket.

use crate::time::Instant;
use std::time::Duration;

/// One second's worth of calls, refilled evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Millionths of a call.
    level: u64,
    filled: Instant,
}

const CALL: u64 = 1_000_000;

impl Bucket {
    pub(super) fn full(now: Instant, per_second: u32) -> Bucket {
        Bucket {
            level: u64::from(per_second) * CALL,
            filled: now,
        }
    }

    /// True if there was room for one more call.
    pub(super) fn take(&mut self, now: Instant, per_second: u32) -> bool {
        let passed = now.since(self.filled).min(Duration::from_secs(1)).as_micros();
        let earned = u64::try_from(passed).unwrap_or(CALL) * u64::from(per_second);
        self.level = (self.level + earned).min(u64::from(per_second) * CALL);
        self.filled = now;
        if self.level < CALL {
            return false;
        }
        self.level -= CALL;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_its_calls_and_refills_evenly() {
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let mut bucket = Bucket::full(at(0), 10);
        assert_eq!((0..20).filter(|_| bucket.take(at(0), 10)).count(), 10);
        assert!(!bucket.take(at(99), 10));
        assert!(bucket.take(at(100), 10));
        assert_eq!((0..50).filter(|_| bucket.take(at(60_000), 10)).count(), 10);
    }
}

//! How much of what there is a viewer gets: what its own estimate allows (REMB).
//!
//! A browser estimates no more than half as much again as what comes, so that an estimate alone would never lead back to a larger layer. So one
//! is tried from time to time where the estimate has room: for a moment it is sent whatever the estimate says, which then shows whether it arrives.
//! After each time that it does not, the next one is later.

use crate::time::Instant;
use std::time::Duration;

/// Part of an estimate that larger layers may fill, in percent: what is measured lags behind what is sent.
const FILL: u64 = 85;
/// An estimate has room where it is so much of what is sent, in percent.
const ROOM: u64 = 120;
/// How long a trial takes: until an estimate follows what comes.
const TRIAL: Duration = Duration::from_secs(3);
/// From one to the next, at least.
const FIRST: Duration = Duration::from_secs(5);
/// And at most.
const MOST: Duration = Duration::from_secs(60);

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// In bits per second: layers that are sent already, and larger ones.
    Fits(u64, u64),
    /// What is sent already.
    Keep,
    /// And one layer more.
    Try,
}

/// What is known of a viewer.
#[derive(Debug)]
pub(super) struct Budget {
    /// A trial ends then.
    trial: Option<Instant>,
    /// The next may begin then.
    next: Option<Instant>,
    patience: Duration,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            trial: None,
            next: None,
            patience: FIRST,
        }
    }
}

impl Budget {
    /// What may be sent to who estimates that, or says nothing, where so much is sent and some of it is lost, or nothing.
    pub fn look(&mut self, now: Instant, estimate: Option<u64>, sent: u64, is_lossy: bool) -> Verdict {
        let Some(estimate) = estimate else {
            return Verdict::Fits(u64::MAX, u64::MAX);
        };
        if let Some(end) = self.trial {
            if now < end && !is_lossy {
                return Verdict::Keep;
            }
            let has_failed = is_lossy || sent > estimate;
            self.patience = if has_failed {
                (2 * self.patience).min(MOST)
            } else {
                FIRST
            };
            (self.trial, self.next) = (None, Some(now + self.patience));
        }
        let next = *self.next.get_or_insert(now + self.patience);
        let has_room = sent > 0 && sent.saturating_mul(ROOM) / 100 <= estimate;
        if has_room && now >= next && !is_lossy {
            self.trial = Some(now + TRIAL);
            return Verdict::Try;
        }
        Verdict::Fits(estimate, estimate / 100 * FILL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_fails_makes_the_next_one_later() {
        let mut budget = Budget::default();
        let start = Instant::ZERO + Duration::from_secs(1);
        let mut trials = Vec::new();
        let mut sent = 100_000;
        for tenth in 0..2_000u64 {
            let now = start + Duration::from_millis(tenth * 100);
            match budget.look(now, Some(150_000), sent, false) {
                Verdict::Try => {
                    trials.push(tenth / 10);
                    sent = 1_000_000;
                }
                Verdict::Keep => {}
                Verdict::Fits(kept, _) if sent > kept => sent = 100_000,
                Verdict::Fits(kept, more) => assert_eq!((kept, more), (150_000, 127_500)),
            }
        }
        assert_eq!(trials, [5, 18, 41, 84, 147]);
    }

    #[test]
    fn a_trial_that_goes_well_may_be_followed_by_the_next() {
        let mut budget = Budget::default();
        let at = |tenth: u64| Instant::ZERO + Duration::from_millis(tenth * 100);
        assert_eq!(budget.look(at(0), None, 1, false), Verdict::Fits(u64::MAX, u64::MAX));
        assert_eq!(budget.look(at(1), Some(300), 200, false), Verdict::Fits(300, 255));
        assert_eq!(budget.look(at(51), Some(300), 200, false), Verdict::Try);
        assert_eq!(budget.look(at(60), Some(300), 800, false), Verdict::Keep);
        assert_eq!(
            budget.look(at(81), Some(1_200), 800, false),
            Verdict::Fits(1_200, 1_020)
        );
        assert_eq!(budget.look(at(131), Some(1_200), 800, false), Verdict::Try);
        // Losses end it, and there is none while they last.
        assert!(matches!(
            budget.look(at(140), Some(1_200), 900, true),
            Verdict::Fits(..)
        ));
        assert!(matches!(
            budget.look(at(900), Some(1_200), 900, true),
            Verdict::Fits(..)
        ));
    }
}

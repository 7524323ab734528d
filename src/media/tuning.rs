//! How Opus is encoded: what was agreed, then what the peer reports and what the processor has left.
//!
//! | | |
//! |---|---|
//! | FEC | for as much loss as the peer reports: 5 % until it has reported, none while it loses nothing |
//! | bit rate | as configured; three quarters of it from 10 % of loss on, half from 20 % on: such a path is full |
//! | complexity | as configured, less by one for each second in which the media thread is near its limit |
//!
//! What is reported is taken at once where it is worse, and by a quarter a report where it is better.

use super::command::OpusParams;
use crate::time::Instant;
use std::time::Duration;

/// The loss that FEC is made for before the peer has reported any, in percent.
const LOSS_BEFORE: f32 = 5.0;
/// The most that FEC is made for.
const LOSS_MAX: f32 = 25.0;
/// Below this the half rate of what was agreed is no speech with FEC any more.
const BITRATE_MIN: u32 = 12_000;

/// What an encoder is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Percent of packets that FEC is made for; 0 is none.
    pub expected_loss: u8,
    /// Bits per second.
    pub bitrate: u32,
    /// 0 to 10.
    pub complexity: u8,
}

/// What one encoder follows.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    agreed: OpusParams,
    loss: f32,
    limit: u8,
}

impl Tuning {
    /// Nothing is reported yet.
    pub fn new(agreed: OpusParams) -> Tuning {
        Tuning {
            agreed,
            loss: LOSS_BEFORE,
            limit: 10,
        }
    }

    /// The peer reports what it lost since its last report, in 1/256 (RFC 3550 6.4.1).
    pub fn reported(&mut self, fraction_lost: u8) {
        let now = f32::from(fraction_lost) / 2.56;
        self.loss = now.max(self.loss * 0.75 + now * 0.25);
    }

    /// The most complexity that there is a processor for.
    pub fn limit(&mut self, complexity: u8) {
        self.limit = complexity;
    }

    /// What follows.
    pub fn setting(&self) -> Setting {
        let agreed = self.agreed.bitrate.clamp(6_000, 510_000);
        let least = agreed.min(BITRATE_MIN);
        let bitrate = match self.loss {
            20.0.. => agreed / 2,
            10.0.. => agreed / 4 * 3,
            _ => agreed,
        };
        // Below half a percent nothing is lost that FEC would bring back often enough to be worth a third of the packet.
        let loss = if self.agreed.fec && self.loss >= 0.5 {
            self.loss.ceil().min(LOSS_MAX)
        } else {
            0.0
        };
        Setting {
            expected_loss: loss as u8,
            bitrate: bitrate.max(least),
            complexity: self.agreed.complexity.min(10).min(self.limit),
        }
    }
}

/// How much of its core a media thread uses, second by second, and the complexity that this leaves to all its encoders.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    limit: u8,
    calm: u8,
    /// When it was looked at last, and the processor time of the thread then.
    looked: Option<(Instant, Duration)>,
}

/// From this share of a core on there is less of it: audio is late well before all is used.
const NEAR_LIMIT: f64 = 0.8;
/// Below this share there is more of it again, after a while.
const CALM: f64 = 0.6;
/// Seconds below it before each step back.
const CALM_SECONDS: u8 = 5;
const SECOND: Duration = Duration::from_secs(1);

impl Default for Load {
    fn default() -> Self {
        Load {
            limit: 10,
            calm: 0,
            looked: None,
        }
    }
}

impl Load {
    /// True when it is time to look at the processor time again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.looked.is_none_or(|(at, _)| now.since(at) >= SECOND)
    }

    /// Takes the processor time that the thread has used since its start, and the most complexity that one of its encoders has. The limit, if it is
    /// another one than before.
    pub fn look(&mut self, now: Instant, used: Duration, highest: impl FnOnce() -> Option<u8>) -> Option<u8> {
        let before = self.looked.replace((now, used));
        let (at, then) = before?;
        let share = used.saturating_sub(then).as_secs_f64() / now.since(at).as_secs_f64().max(0.001);
        let old = self.limit;
        self.calm = if share < CALM { self.calm + 1 } else { 0 };
        if share >= NEAR_LIMIT {
            // Without such encoders there is nothing to save.
            self.limit = highest().map_or(old, |highest| old.min(highest).saturating_sub(1));
        } else if self.calm >= CALM_SECONDS {
            (self.limit, self.calm) = ((self.limit + 1).min(10), 0);
        }
        (self.limit != old).then_some(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning(fec: bool) -> Tuning {
        Tuning::new(OpusParams {
            fec,
            ..OpusParams::default()
        })
    }

    #[test]
    fn fec_and_bitrate_follow_what_is_reported() {
        let mut opus = tuning(true);
        let set = |opus: &Tuning| (opus.setting().expected_loss, opus.setting().bitrate);
        assert_eq!(set(&opus), (5, 24_000));
        for _ in 0..12 {
            opus.reported(0);
        }
        assert_eq!(set(&opus), (0, 24_000), "nothing is lost");
        opus.reported(31);
        assert_eq!(set(&opus), (13, 18_000), "12 % are, at once");
        opus.reported(128);
        assert_eq!(set(&opus), (25, 12_000));
        opus.reported(0);
        assert_eq!(set(&opus), (25, 12_000), "one good report is none");
        for _ in 0..20 {
            opus.reported(0);
        }
        assert_eq!(set(&opus), (0, 24_000));
    }

    #[test]
    fn what_was_not_agreed_does_not_come() {
        let mut opus = tuning(false);
        opus.reported(60);
        assert_eq!(opus.setting().expected_loss, 0);
        let mut low = Tuning::new(OpusParams {
            bitrate: 8_000,
            ..OpusParams::default()
        });
        low.reported(255);
        assert_eq!(low.setting().bitrate, 8_000, "there is nothing left to save");
    }

    /// Steps down second by second, comes back slowly, and never above what is configured.
    #[test]
    fn complexity_follows_the_load() {
        let (mut load, mut opus) = (Load::default(), tuning(true));
        let (mut now, mut used) = (Instant::ZERO, Duration::ZERO);
        assert_eq!(load.look(now, used, || Some(5)), None);
        assert!(!load.is_due(now));
        let mut second = |load: &mut Load, share: f64| {
            (now, used) = (now + SECOND, used + SECOND.mul_f64(share));
            assert!(load.is_due(now));
            let highest = load.limit.min(5);
            load.look(now, used, || Some(highest))
        };
        assert_eq!(second(&mut load, 0.7), None);
        let down: Vec<_> = (0..12).map(|_| second(&mut load, 0.95)).collect();
        assert_eq!(down[..2], [Some(4), Some(3)]);
        assert_eq!(down[4..7], [Some(0), None, None]);
        opus.limit(3);
        assert_eq!(opus.setting().complexity, 3);
        let up: Vec<_> = (0..10).map(|_| second(&mut load, 0.5)).collect();
        assert_eq!((up[3], up[4], up[9]), (None, Some(1), Some(2)));
        assert_eq!(second(&mut load, 0.7), None, "between the two all stays");
        opus.limit(10);
        assert_eq!(opus.setting().complexity, 5);
        let (mut idle, second) = (Load::default(), Instant::ZERO + SECOND);
        idle.look(Instant::ZERO, Duration::ZERO, || None);
        assert_eq!(idle.look(second, SECOND, || None), None, "nobody encodes");
    }
}

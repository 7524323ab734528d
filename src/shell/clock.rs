//! The only place that reads a clock.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door to the system's clock"
)]

use crate::time::{Clock, Instant, Wall};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The process's clock: monotonic time counts from its making.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// Starts counting.
    pub fn start() -> SystemClock {
        SystemClock {
            start: std::time::Instant::now(),
        }
    }

    /// The monotonic clock.
    pub fn instant(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Both clocks.
    pub fn now(&self) -> Clock {
        Clock {
            now: self.instant(),
            wall: wall(),
        }
    }

    /// Lets this thread sleep.
    pub fn sleep(&self, time: Duration) {
        if !time.is_zero() {
            std::thread::sleep(time);
        }
    }

    /// The moment at which it was zero.
    pub fn epoch(&self) -> std::time::Instant {
        self.start
    }

    /// A moment of the machines' clock as tokio wants it.
    pub fn tokio(&self, at: Instant) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + Duration::from_nanos(at.as_nanos()))
    }
}

/// The wall clock.
pub fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long ago something came that has this time since 1970; nothing if the wall clock was set back meanwhile.
pub fn age(came: Duration) -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.saturating_sub(came)
}

/// 32 bytes from the operating system.
pub fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    Ok(seed)
}

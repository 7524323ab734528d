//! Sources of which nothing is heard for a while.

use crate::limits;
use crate::time::{Deadlines, Instant};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// One source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ban {
    /// Its address, or one of its network.
    pub(super) ip: IpAddr,
    /// What came since.
    pub(super) dropped: u64,
}

/// All of them, by the keyed name of the source.
#[derive(Debug, Default)]
pub(super) struct Bans {
    by_source: HashMap<u64, Ban, foldhash::fast::FixedState>,
    ends: Deadlines<u64>,
}

impl Bans {
    /// True if nothing is heard of it; counts what comes.
    pub(super) fn holds(&mut self, source: u64) -> bool {
        match self.by_source.get_mut(&source) {
            Some(ban) => {
                ban.dropped += 1;
                true
            }
            None => false,
        }
    }

    /// Begins one. The one that ends first makes room.
    pub(super) fn begin(&mut self, now: Instant, source: u64, ip: IpAddr, lasts: Duration) -> Option<Ban> {
        let room = match self.ends.next() {
            Some((_, first)) if self.by_source.len() >= limits::GUARD_BANS => self.end(first),
            Some(_) | None => None,
        };
        self.by_source.insert(source, Ban { ip, dropped: 0 });
        self.ends.set(source, now + lasts);
        room
    }

    /// One that is over now.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Ban> {
        let source = self.ends.pop_due(now)?;
        self.by_source.remove(&source)
    }

    /// Those that are not to be banned any more.
    pub(super) fn pardon(&mut self, is_pardoned: impl Fn(IpAddr) -> bool) -> Vec<Ban> {
        let pardoned = self.by_source.iter().filter(|(_, ban)| is_pardoned(ban.ip));
        let mut sources: Vec<u64> = pardoned.map(|(source, _)| *source).collect();
        sources.sort_unstable();
        sources.into_iter().filter_map(|source| self.end(source)).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ends.next().map(|(at, _)| at)
    }

    pub(super) fn len(&self) -> usize {
        self.by_source.len()
    }

    fn end(&mut self, source: u64) -> Option<Ban> {
        self.ends.cancel(source);
        self.by_source.remove(&source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_end_and_the_first_to_end_makes_room() {
        let (mut bans, s) = (Bans::default(), Duration::from_secs(1));
        let ip = |n: usize| IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        for n in 0..limits::GUARD_BANS {
            assert_eq!(bans.begin(Instant::ZERO, n as u64, ip(n), s * (n as u32 + 1)), None);
        }
        assert!(bans.holds(0) && bans.holds(0));
        let last = limits::GUARD_BANS;
        let room = bans.begin(Instant::ZERO, last as u64, ip(last), s * 2).unwrap();
        assert_eq!((room.ip, room.dropped, bans.len()), (ip(0), 2, limits::GUARD_BANS));
        assert_eq!(bans.next_deadline(), Some(Instant::ZERO + 2 * s));
        assert_eq!(bans.pop_due(Instant::ZERO + s), None);
        assert!(bans.pop_due(Instant::ZERO + 2 * s).is_some() && bans.pop_due(Instant::ZERO + 2 * s).is_some());
        assert_eq!(bans.pop_due(Instant::ZERO + 2 * s), None);
        assert!(!bans.holds(0) && !bans.holds(last as u64) && bans.holds(2));
        assert_eq!(bans.pardon(|at| at == ip(7)).len(), 1);
        assert!(!bans.holds(7));
    }
}

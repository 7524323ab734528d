//! What flows how fast: the bandwidth of allocations, answers to those who have shown nothing, requests of those who have.

use crate::time::Instant;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Octets of the headers of IPv4 and UDP.
const HEADERS: usize = 28;
const SECOND: Duration = Duration::from_secs(1);

/// A bandwidth: what is beyond it over time, with a second's worth at once, is dropped (ITU-T I.371 A, by octets).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cap {
    /// When what was taken would have passed, had it come evenly.
    due: Instant,
}

impl Cap {
    /// Takes a datagram of so many octets at this rate in kbit/s, if there is room for it and for its headers: what is empty is not
    /// for nothing.
    pub(super) fn take(&mut self, now: Instant, octets: usize, rate: Option<u64>) -> bool {
        let Some(rate) = rate else { return true };
        if self.due.since(now) >= SECOND {
            return false;
        }
        let nanos = (octets + HEADERS) as u64 * 8_000_000 / rate.max(1);
        self.due = self.due.max(now) + Duration::from_nanos(nanos);
        true
    }
}

impl Cap {
    /// Takes what has flowed already. Where that is more than a second ahead, it is told until when nothing more should flow.
    pub(super) fn owe(&mut self, now: Instant, octets: usize, rate: Option<u64>) -> Option<Instant> {
        let nanos = octets as u64 * 8_000_000 / rate?.max(1);
        self.due = self.due.max(now) + Duration::from_nanos(nanos);
        let ahead = self.due.since(now);
        (ahead > SECOND).then(|| now + (ahead - SECOND))
    }
}

/// What is given in each second: so much to each who asks, and so much to all together.
#[derive(Debug)]
pub(super) struct Shares<K> {
    each: u32,
    all: u32,
    began: Instant,
    given: u32,
    /// At most as many as are given to all.
    by: HashMap<K, u32>,
}

impl<K: Eq + Hash> Shares<K> {
    pub(super) fn new(each: u32, all: u32) -> Shares<K> {
        Shares {
            each,
            all,
            began: Instant::default(),
            given: 0,
            by: HashMap::new(),
        }
    }

    /// True if there is one more for this one.
    pub(super) fn take(&mut self, now: Instant, who: K) -> bool {
        let has = self.has(now, &who) && self.given < self.all;
        if has {
            *self.by.entry(who).or_default() += 1;
            self.given += 1;
        }
        has
    }

    /// True unless this one has taken all of its own, whatever others take.
    pub(super) fn has(&mut self, now: Instant, who: &K) -> bool {
        if now.since(self.began) >= SECOND {
            (self.began, self.given) = (now, 0);
            self.by.clear();
        }
        self.by.get(who).is_none_or(|own| *own < self.each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn what_is_beyond_the_bandwidth_is_dropped() {
        let mut cap = Cap::default();
        // 80 kbit/s are ten packets of a thousand octets, headers among them, a second.
        let mut taken = |from: u64, to: u64, each: u64| {
            let times = (from..to).step_by(each as usize);
            times.filter(|ms| cap.take(at(*ms), 1_000 - HEADERS, Some(80))).count()
        };
        assert_eq!(taken(10_000, 10_010, 1), 10, "a second's worth at once");
        assert_eq!(taken(10_010, 20_010, 10), 100, "and then evenly");
        assert_eq!(taken(30_000, 40_000, 100), 100, "as much as is allowed");
        // A stream cannot lose anything: it waits.
        let mut cap = Cap::default();
        assert_eq!(cap.owe(at(0), 10_000, Some(80)), None);
        assert_eq!(cap.owe(at(0), 5_000, Some(80)), Some(at(500)));
        assert_eq!(
            (cap.owe(at(500), 0, Some(80)), cap.owe(at(0), 1 << 20, None)),
            (None, None)
        );
        let mut free = Cap::default();
        assert!((0..1_000).all(|_| free.take(at(0), 1_500, None)));
    }

    #[test]
    fn neither_one_nor_all_together_are_given_more_than_their_share() {
        let mut shares = Shares::new(100, 20_000);
        let mut given = |second: u64, asks: std::ops::Range<u32>| {
            asks.filter(|ask| shares.take(at(1_000 * second), ask / 200)).count()
        };
        assert_eq!(given(1, 0..200), 100);
        assert_eq!(given(1, 0..200_000), 20_000 - 100);
        assert_eq!(given(2, 0..400), 200);
        assert_eq!(given(3, 0..200_000), 20_000);
        let has = |shares: &mut Shares<u32>, who| shares.has(at(3_000), &who);
        assert!(!has(&mut shares, 0) && has(&mut shares, 1_000), "who has taken nothing");
    }
}

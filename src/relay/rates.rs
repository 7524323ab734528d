//! What flows how fast: the bandwidth of allocations, and answers to those who have shown nothing.

use crate::limits;
use crate::marker::Marker;
use crate::time::Instant;
use std::collections::HashMap;
use std::net::IpAddr;
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

/// How many answers went out in this second.
#[derive(Debug, Default)]
pub(super) struct Answers {
    began: Instant,
    all: u32,
    /// At most as many as `limits::RELAY_ANSWERS`.
    by_host: HashMap<IpAddr, u32>,
}

impl Answers {
    /// True if one more is given to this host.
    pub(super) fn take(&mut self, now: Instant, host: IpAddr) -> bool {
        if now.since(self.began) >= SECOND {
            (self.began, self.all) = (now, 0);
            self.by_host.clear();
        }
        if self.all >= limits::RELAY_ANSWERS {
            return false;
        }
        let own = self.by_host.entry(Marker::host(host)).or_default();
        if *own >= limits::RELAY_ANSWERS_PER_HOST {
            return false;
        }
        *own += 1;
        self.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

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
        let mut free = Cap::default();
        assert!((0..1_000).all(|_| free.take(at(0), 1_500, None)));
    }

    #[test]
    fn neither_one_host_nor_all_together_are_answered_without_end() {
        let mut answers = Answers::default();
        let mut given = |second: u64, hosts: std::ops::Range<u32>| {
            let hosts = hosts.map(|host| IpAddr::from(Ipv4Addr::from_bits(0xc633_0000 + host / 200)));
            hosts.filter(|host| answers.take(at(1_000 * second), *host)).count() as u32
        };
        assert_eq!(given(1, 0..200), limits::RELAY_ANSWERS_PER_HOST);
        assert_eq!(
            given(1, 0..200_000),
            limits::RELAY_ANSWERS - limits::RELAY_ANSWERS_PER_HOST
        );
        assert_eq!(given(2, 0..400), 2 * limits::RELAY_ANSWERS_PER_HOST);
    }
}

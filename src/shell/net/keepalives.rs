//! How many keep-alives are answered (RFC 5626 8). A phone sends one in some 25 seconds; a source may be forged, and an answer is
//! longer than its request.

use crate::marker::Marker;
use crate::shell::clock::SystemClock;
use crate::time::Instant;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// To one host in a second: an office of two thousand phones.
const EACH: u32 = 100;
/// To all together: what half a million phones send. A forged flood beyond it takes the answers of the others.
const ALL: usize = 20_000;

/// Counts them.
#[derive(Debug)]
pub(super) struct Keepalives {
    clock: SystemClock,
    began: Instant,
    all: usize,
    /// At most `ALL`.
    by_host: HashMap<IpAddr, u32>,
}

impl Keepalives {
    pub(super) fn new() -> Keepalives {
        let clock = SystemClock::start();
        Keepalives {
            began: clock.instant(),
            clock,
            all: 0,
            by_host: HashMap::new(),
        }
    }

    /// True if one more is answered.
    pub(super) fn take(&mut self, from: IpAddr) -> bool {
        self.take_at(self.clock.instant(), from)
    }

    fn take_at(&mut self, now: Instant, from: IpAddr) -> bool {
        if now.since(self.began) >= SECOND {
            (self.began, self.all) = (now, 0);
            self.by_host.clear();
        }
        if self.all >= ALL {
            return false;
        }
        let own = self.by_host.entry(Marker::host(from)).or_default();
        if *own >= EACH {
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

    #[test]
    fn neither_one_host_nor_all_together_are_answered_without_end() {
        let mut keepalives = Keepalives::new();
        let mut answered = |at: u64, hosts: std::ops::Range<u32>| {
            let now = Instant::ZERO + Duration::from_secs(3600 + at);
            let hosts = hosts.map(|host| Ipv4Addr::from_bits(0x7f00_0000 + host / 200).into());
            hosts.filter(|host| keepalives.take_at(now, *host)).count()
        };
        assert_eq!(answered(0, 0..200), EACH as usize);
        assert_eq!(answered(0, 0..200_000), ALL - EACH as usize);
        assert_eq!(answered(1, 0..400), 2 * EACH as usize);
    }
}

//! How many connections are open, altogether and with each host.

use crate::marker::Marker;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_host: HashMap<IpAddr, usize>,
}

/// The places for connections, shared by the tasks that serve them.
#[derive(Debug)]
pub(in crate::shell) struct Places {
    /// For all, and for one host.
    limits: (usize, usize),
    taken: Mutex<Taken>,
    empty: Notify,
}

/// One place; given back when dropped.
#[derive(Debug)]
pub(in crate::shell) struct Place {
    places: Arc<Places>,
    host: IpAddr,
}

impl Places {
    /// For this many altogether, and this many with one host.
    pub(in crate::shell) fn new(all: usize, by_host: usize) -> Arc<Places> {
        Arc::new(Places {
            limits: (all, by_host),
            taken: Mutex::default(),
            empty: Notify::new(),
        })
    }

    /// A place for a connection with this host, unless it or all of them together have enough.
    pub(in crate::shell) fn take(self: &Arc<Self>, host: IpAddr) -> Option<Place> {
        let (mut taken, host) = (self.taken(), Marker::host(host));
        let own = taken.by_host.get(&host).copied().unwrap_or(0);
        if taken.all >= self.limits.0 || own >= self.limits.1 {
            return None;
        }
        taken.all += 1;
        taken.by_host.insert(host, own + 1);
        Some(Place {
            places: self.clone(),
            host,
        })
    }

    /// Returns when no place is taken.
    pub(super) async fn all_free(&self) {
        loop {
            let freed = self.empty.notified();
            if self.taken().all == 0 {
                return;
            }
            freed.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nobody panics while counting")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let own = taken.by_host.get(&self.host).map_or(0, |own| own - 1);
        if own == 0 {
            taken.by_host.remove(&self.host);
        } else {
            taken.by_host.insert(self.host, own);
        }
        if taken.all == 0 {
            self.places.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn one_host_cannot_take_every_place_and_places_come_back() {
        let places = Places::new(11, 10);
        let (one, two): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
        let mut held: Vec<Place> = std::iter::from_fn(|| places.take(one)).collect();
        assert_eq!(held.len(), 10);
        let other = places.take(two);
        assert!(other.is_some() && places.take(two).is_none());
        drop(other);
        held.pop();
        assert!(places.take(one).is_some());
        held.clear();
        // Whoever has one address of an IPv6 network has them all.
        held.extend((0..20).filter_map(|number| places.take(Ipv6Addr::from_bits(0x2001_0db8 << 96 | number).into())));
        assert_eq!(held.len(), 10);
        drop(held);
        assert!(places.taken().by_host.is_empty() && places.taken().all == 0);
    }
}

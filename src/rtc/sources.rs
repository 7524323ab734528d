//! Whose each source is, of legs that share a port. By name a check finds its leg; all else finds it by where it comes from, so that a source is
//! one leg's at a time.
//!
//! Whoever has a leg of his own can send its checks in the name of any address, and so a check, whatever its seal, takes a source from no other
//! leg: who is there is asked first (a trial, as before a move), and his answer comes to who has the source now, by a transaction that only he
//! can know.

use super::ice::Ice;
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::stream;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

/// A source of one port.
type Source = (WorkerId, IpAddr, u16, Option<NonZeroU32>);

/// What one leg has of it.
#[derive(Debug, Default)]
struct Has {
    /// By whose port it is reached.
    home: WorkerId,
    sources: SmallVec<[SocketAddr; limits::RTC_ADDRESSES]>,
    /// Of checks that were sent to it, and wait for an answer.
    transactions: SmallVec<[[u8; 12]; limits::RTC_TRIALS]>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    legs: BTreeMap<MediaLegId, Has>,
    owners: BTreeMap<Source, MediaLegId>,
    asked: BTreeMap<[u8; 12], MediaLegId>,
}

fn source(home: WorkerId, from: SocketAddr) -> Source {
    (home, from.ip(), from.port(), stream::connection(from))
}

impl Sources {
    /// A leg shares the port of this worker.
    pub fn share(&mut self, leg: MediaLegId, home: WorkerId) {
        let has = Has { home, ..Has::default() };
        self.legs.insert(leg, has);
    }

    /// Whether a check from there may tell where the peer is: another leg has this source, or not.
    pub fn is_free(&self, leg: MediaLegId, from: SocketAddr) -> bool {
        let owner = self
            .legs
            .get(&leg)
            .and_then(|has| self.owners.get(&source(has.home, from)));
        owner.is_none_or(|owner| *owner == leg)
    }

    /// Who was asked by this transaction.
    pub fn asked(&self, transaction: &[u8; 12]) -> Option<MediaLegId> {
        self.asked.get(transaction).copied()
    }

    /// What a leg knows now; from `proven` it has answered, whosever that was. Gives what is its from now on, and what no longer.
    pub fn keep(
        &mut self,
        leg: MediaLegId,
        ice: &Ice,
        proven: Option<SocketAddr>,
    ) -> SmallVec<[(SocketAddr, bool); 2]> {
        let mut told = SmallVec::new();
        let Some(has) = self.legs.get_mut(&leg) else {
            return told;
        };
        let home = has.home;
        let is_known = |from: &SocketAddr| ice.knows(*from) || ice.expects(*from);
        for old in has.sources.iter().filter(|old| !is_known(old)) {
            if self.owners.get(&source(home, *old)) == Some(&leg) {
                self.owners.remove(&source(home, *old));
                told.push((*old, false));
            }
        }
        has.sources.retain(|old| is_known(old));
        if let Some(from) = proven.filter(is_known) {
            if !has.sources.contains(&from) {
                has.sources.push(from);
            }
            // Told each time: what was lost on the way is made good by the next check.
            self.owners.insert(source(home, from), leg);
            told.push((from, true));
        }
        for old in has.transactions.drain(..) {
            self.asked.remove(&old);
        }
        for new in ice.transactions() {
            has.transactions.push(new);
            self.asked.insert(new, leg);
        }
        told
    }

    /// A leg is gone, or is another peer's from now on.
    pub fn release(&mut self, leg: MediaLegId) {
        let Some(has) = self.legs.get_mut(&leg) else { return };
        for transaction in has.transactions.drain(..) {
            self.asked.remove(&transaction);
        }
        for from in has.sources.drain(..) {
            let source = source(has.home, from);
            if self.owners.get(&source) == Some(&leg) {
                self.owners.remove(&source);
            }
        }
    }

    /// A leg is gone.
    pub fn forget(&mut self, leg: MediaLegId) {
        self.release(leg);
        self.legs.remove(&leg);
    }
}

//! A port that browsers' legs share: whose a datagram is that came to it.
//!
//! ```text
//!   a check (STUN) -----> our name in its USERNAME ----------> the leg (RFC 8445 7.2.2)
//!   all else -----------> who has been there with its seal --> the leg: DTLS, media, answers to checks of ours
//! ```
//!
//! Who sets up legs (`crate::rtc`) looks at seals and tells whose a source is; nothing that a datagram says of itself makes it anybody's. What no
//! leg knows is counted and dropped. The leg itself may have moved to another worker: this one has the port, and hands over.

use super::command::CheckName;
use super::rtp::{self, Kind};
use super::worker::Strays;
use crate::id::{MediaLegId, WorkerId};
use crate::keyed::Key;
use crate::limits;
use std::collections::HashMap;
use std::net::SocketAddr;

/// One of its legs.
#[derive(Clone, Debug, Default)]
struct Member {
    /// Ours: the last, and the one before.
    names: [Option<CheckName>; 2],
    /// Where its peer is known to be; the last that was told is the first.
    sources: [Option<SocketAddr>; limits::RTC_ADDRESSES],
    /// It lives on another worker.
    away: Option<WorkerId>,
}

/// All legs of one port.
#[derive(Debug)]
pub struct SharedPort {
    names: HashMap<CheckName, MediaLegId, Key>,
    /// What peers choose: by a key that they do not know.
    sources: HashMap<SocketAddr, MediaLegId, Key>,
    legs: HashMap<MediaLegId, Member, Key>,
    capacity: usize,
    strays: Strays,
}

impl SharedPort {
    /// For at most so many legs (`limits::LEGS_PER_WORKER` in the shell); the key is random.
    pub fn new(capacity: usize, key: Key) -> SharedPort {
        // Twice as many as there may be: a hash table that is half empty cleans itself in place and never grows.
        SharedPort {
            names: HashMap::with_capacity_and_hasher(4 * capacity, key),
            sources: HashMap::with_capacity_and_hasher(2 * limits::SHARED_SOURCES * capacity, key),
            legs: HashMap::with_capacity_and_hasher(2 * capacity, key),
            capacity,
            strays: Strays::default(),
        }
    }

    /// Whose a datagram is, if a leg knows its name or where it comes from.
    pub fn leg(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<MediaLegId> {
        let kind = rtp::kind(datagram);
        let named = match kind {
            Kind::Stun => CheckName::said_by(datagram),
            Kind::Rtp | Kind::Rtcp | Kind::Dtls | Kind::Unknown => None,
        };
        let leg = match named {
            Some(name) => self.names.get(&name),
            None => self.sources.get(&from),
        };
        if leg.is_none() {
            let stray = match kind {
                Kind::Stun => &mut self.strays.stun,
                Kind::Dtls => &mut self.strays.dtls,
                Kind::Rtp | Kind::Rtcp => &mut self.strays.no_leg,
                Kind::Unknown => &mut self.strays.unknown,
            };
            *stray += 1;
        }
        leg.copied()
    }

    /// The worker on which a leg of this port lives, where that is another one.
    pub fn away(&self, leg: MediaLegId) -> Option<WorkerId> {
        self.legs.get(&leg)?.away
    }

    /// Checks with this name are the leg's from now on, and those with the name before (RFC 8445 9). A leg for which there is no room is never
    /// heard, and its call ends for that.
    pub fn name(&mut self, leg: MediaLegId, name: CheckName) {
        if !self.legs.contains_key(&leg) && self.legs.len() >= self.capacity {
            return;
        }
        let member = self.legs.entry(leg).or_default();
        if member.names[0] == Some(name) {
            return;
        }
        let [last, old] = member.names;
        member.names = [Some(name), last];
        if let Some(old) = old.filter(|old| self.names.get(old) == Some(&leg)) {
            self.names.remove(&old);
        }
        self.names.insert(name, leg);
    }

    /// What comes from there is the leg's from now on, whosever it was, or no longer. Of one leg the oldest source goes when there are too many.
    pub fn source(&mut self, leg: MediaLegId, from: SocketAddr, is_its: bool) {
        let owner = self.sources.get(&from).copied();
        let Some(member) = self.legs.get_mut(&leg) else { return };
        let place = member.sources.iter().position(|own| *own == Some(from));
        if !is_its {
            if let Some(place) = place {
                member.sources[place] = None;
                self.sources.remove(&from);
            }
            return;
        }
        let is_full = self.sources.len() >= limits::SHARED_SOURCES * self.capacity;
        if place.is_some() || (owner.is_none() && is_full) {
            return;
        }
        let free = member.sources.iter().position(Option::is_none);
        let last = free.unwrap_or(limits::RTC_ADDRESSES - 1);
        if let Some(oldest) = member.sources[last].take() {
            self.sources.remove(&oldest);
        }
        member.sources[..=last].rotate_right(1);
        member.sources[0] = Some(from);
        if let Some(other) = owner.and_then(|owner| self.legs.get_mut(&owner)) {
            other
                .sources
                .iter_mut()
                .filter(|own| **own == Some(from))
                .for_each(|own| *own = None);
        }
        self.sources.insert(from, leg);
    }

    /// A leg lives on that worker from now on; none where that is this port's own.
    pub fn moved(&mut self, leg: MediaLegId, away: Option<WorkerId>) {
        if let Some(member) = self.legs.get_mut(&leg) {
            member.away = away;
        }
    }

    /// A leg is gone.
    pub fn forget(&mut self, leg: MediaLegId) {
        let Some(member) = self.legs.remove(&leg) else { return };
        for name in member.names.into_iter().flatten() {
            if self.names.get(&name) == Some(&leg) {
                self.names.remove(&name);
            }
        }
        for from in member.sources.into_iter().flatten() {
            self.sources.remove(&from);
        }
    }

    /// Something nobody has asked for, of a leg that is not there any more.
    pub fn stray(&mut self) {
        self.strays.no_leg += 1;
    }

    /// What was nobody's.
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Legs, and sources that are known.
    pub fn len(&self) -> (usize, usize) {
        (self.legs.len(), self.sources.len())
    }

    /// True without legs.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }
}

#[cfg(test)]
#[path = "shared/tests.rs"]
mod tests;

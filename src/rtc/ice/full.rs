//! The part of a full agent (RFC 8445 6.1.1, 7.2): a peer that is ICE lite, as another edge or a forwarder of media is, looks for no way, so that
//! we do, and control.
//!
//! ```text
//!   its candidates --> a check each 50 ms, the best first, and each again after half a second, seven times
//!   an answer -------> that one is nominated: a check with USE-CANDIDATE
//!   answered --------> chosen; from then on a check every four to six seconds, for consent (RFC 7675 5.1)
//! ```

use super::{Check, PRIORITY, transaction};
use crate::keyed::Key as Secret;
use crate::limits;
use crate::media::command::Connect;
use crate::stun::integrity::{Key, Seal};
use crate::stun::message::{BINDING, Class, Message, Writer, kind};
use crate::time::Instant;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::time::Duration;

/// Between checks of different candidates (RFC 8445 14.2).
const PACE: Duration = Duration::from_millis(50);
/// Until one is repeated (RFC 8445 14.3).
const REPEAT: Duration = Duration::from_millis(500);
/// So many of one candidate (RFC 8489 6.2.1).
const CHECKS: u32 = 7;
/// Between checks for consent, 0.8 to 1.2 times (RFC 7675 5.1).
const CONSENT: Duration = Duration::from_secs(5);

/// One candidate of the peer, with the only one of ours.
#[derive(Debug)]
struct Pair {
    to: SocketAddr,
    transaction: [u8; 12],
    sent: u32,
    at: Instant,
}

/// What is done with the pair that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// None has.
    Searching,
    /// This one is nominated.
    Nominating(usize),
    /// It is in use.
    Chosen(usize),
}

/// A way is looked for, or kept open.
#[derive(Debug)]
pub(super) struct Search {
    pairs: SmallVec<[Pair; limits::RTC_ADDRESSES]>,
    /// When the next candidate may be checked.
    next: Instant,
    phase: Phase,
    secret: Secret,
}

impl Search {
    /// Of these candidates, the best first.
    pub fn new(now: Instant, candidates: &[SocketAddr], secret: Secret) -> Search {
        let mut search = Search {
            pairs: SmallVec::new(),
            next: now,
            phase: Phase::Searching,
            secret,
        };
        search.widen(now, candidates);
        search
    }

    /// More of them, which are checked too, unless one is nominated already (RFC 8838 11, 13). None is forgotten by a list that lacks it: an answer
    /// that is repeated need not have what came since (RFC 8840 4.3.2).
    pub fn widen(&mut self, now: Instant, candidates: &[SocketAddr]) {
        if self.phase != Phase::Searching {
            return;
        }
        for to in candidates {
            let is_known = self.pairs.iter().any(|pair| pair.to == *to);
            if is_known || self.pairs.len() == limits::RTC_ADDRESSES {
                continue;
            }
            self.pairs.push(Pair {
                to: *to,
                transaction: transaction(self.secret, now, *to),
                sent: 0,
                at: now,
            });
        }
    }

    /// Checks that are due.
    pub fn on_time(&mut self, now: Instant, connect: &Connect) -> Option<(SocketAddr, Vec<u8>)> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let (secret, phase) = (self.secret, self.phase);
        let pair = match phase {
            Phase::Searching => {
                self.next = now + PACE;
                let due = self
                    .pairs
                    .iter_mut()
                    .filter(|pair| pair.at <= now && pair.sent < CHECKS);
                let pair = due.min_by_key(|pair| (pair.sent, pair.at))?;
                pair.at = now + REPEAT;
                pair
            }
            Phase::Nominating(at) => {
                let pair = self.pairs.get_mut(at)?;
                pair.at = now + REPEAT;
                pair
            }
            Phase::Chosen(at) => {
                let pair = self.pairs.get_mut(at)?;
                // Each is another (RFC 7675 5.1), and no two peers are asked in step.
                pair.transaction = transaction(secret, now, pair.to);
                pair.at = now + CONSENT * (80 + u32::from(pair.transaction[0]) * 40 / 255) / 100;
                pair
            }
        };
        pair.sent += 1;
        let nominates = phase != Phase::Searching;
        Some((pair.to, check(connect, pair.transaction, nominates)))
    }

    /// A check went there.
    pub fn asks(&self, from: SocketAddr) -> bool {
        self.pairs.iter().any(|pair| pair.to == from && pair.sent > 0)
    }

    /// When `on_time` is due next; never when all candidates were tried in vain.
    pub fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Searching => {
                let open = self.pairs.iter().filter(|pair| pair.sent < CHECKS);
                open.map(|pair| pair.at.max(self.next)).min()
            }
            Phase::Nominating(at) | Phase::Chosen(at) => self.pairs.get(at).map(|pair| pair.at),
        }
    }

    /// An answer: it is one when it comes from where the check went, with the peer's seal. True where it settles the way.
    pub fn answered(
        &mut self,
        now: Instant,
        connect: &Connect,
        from: SocketAddr,
        answer: &Message<'_>,
    ) -> (Check, bool) {
        let is_of = |pair: &Pair| pair.to == from && pair.transaction == answer.transaction && pair.sent > 0;
        let Some(at) = self.pairs.iter().position(is_of) else {
            return (Check::Other, false);
        };
        if answer.is_sealed(Seal::Sha1, &Key::short_term(connect.theirs.pwd.expose())) != Some(true) {
            return (Check::Refused, false);
        }
        match self.phase {
            Phase::Searching => {
                let pair = &mut self.pairs[at];
                (pair.transaction, pair.at) = (nomination(self.secret, now, from), now);
                self.phase = Phase::Nominating(at);
            }
            Phase::Nominating(nominated) if nominated == at => {
                self.pairs[at].at = now + CONSENT;
                self.phase = Phase::Chosen(at);
                return (Check::Peer, true);
            }
            Phase::Chosen(chosen) if chosen == at => {}
            // Of another candidate, which came later.
            Phase::Nominating(_) | Phase::Chosen(_) => return (Check::Other, false),
        }
        (Check::Peer, false)
    }
}

/// Another than that of the first check, though it may be made in the same moment.
fn nomination(secret: Secret, now: Instant, to: SocketAddr) -> [u8; 12] {
    let mut own = transaction(secret, now, to);
    own.reverse();
    own
}

/// RFC 8445 7.2.2: who controls sends it.
fn check(connect: &Connect, transaction: [u8; 12], nominates: bool) -> Vec<u8> {
    let (ours, theirs) = (&connect.ours, &connect.theirs);
    let mut writer = Writer::new(Class::Request, BINDING, transaction);
    writer.attribute(kind::USERNAME, format!("{}:{}", theirs.ufrag, ours.ufrag).as_bytes());
    writer.attribute(kind::PRIORITY, &PRIORITY.to_be_bytes());
    // The tie-breaker decides between two that both want to control, and a peer that is lite does not.
    writer.attribute(kind::ICE_CONTROLLING, &[1; 8]);
    if nominates {
        writer.attribute(kind::USE_CANDIDATE, &[]);
    }
    writer.seal(Seal::Sha1, &Key::short_term(theirs.pwd.expose()));
    writer.fingerprint();
    writer.finish()
}

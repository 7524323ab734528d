//! Which message passes, in the order of the diagram.

use super::cells::Rate;
use super::keys::*;
use super::look::{Kind, Look};
use super::{Cut, Guard};
use crate::marker::Mark;
use crate::time::{Clock, Instant};
use std::time::Duration;

/// Seconds for which a source is known by what it proved: over a night.
pub(super) const KNOWN: u32 = 24 * 3600;
/// The same for a trunk, which shows itself with every call.
pub(super) const TRUNK: u32 = 3600;
/// The same for a dialog: its session is refreshed more often (RFC 4028 4.2 has half an hour).
pub(super) const DIALOG: u32 = 2 * 3600;
/// A nonce tells where its user is for as long as a registration may last; whether it is good for anything else is the digest's
/// business.
const NONCE: Duration = Duration::from_secs(24 * 3600);

/// Of one dialog or transaction: DTMF by INFO is ten a second.
const MARK: Rate = Rate::per_second(50, 100);
/// ACKs of one answer that keeps no state: its copies.
const ANSWERED: Rate = Rate::per_second(1, 8);
/// Responses without a branch of ours, for which nobody waits: some, so that they are seen.
const STRAYS: [Rate; 2] = [Rate::per_second(1, 20), Rate::per_second(50, 100)];
/// Requests that lack what an answer needs, and so have none.
const MALFORMED: [Rate; 2] = [Rate::per_second(2, 50), Rate::per_second(50, 200)];
/// What looks like nothing that was proved, from the address of a trunk or a live binding, of which nothing was proved either: room for
/// a carrier's first calls, which ring before anything is.
const FIRST: Rate = Rate::each(SECOND / 20, 1000);
/// All that a source sends in further forms once one was proved: a carrier has several, and each is proved by its first answer.
const FURTHER: Rate = Rate::per_second(5, 100);
/// What is not proved, of all trunks and live bindings together.
const UNPROVEN: Rate = Rate::each(SECOND / 200, 2000);
/// ACK and CANCEL from where somebody is: they follow from what was let through.
const FOLLOWS: Rate = Rate::per_second(1000, 2000);
/// What a trunk sends, which has a limit of its own.
const CARRIER: Rate = Rate::per_second(20_000, 40_000);
/// New looks of one source: what its phones are, and not so many that those of others are forgotten.
const LOOKS: Rate = Rate::each(60 * SECOND, 32);
/// Wrong passwords for one user from one source; from one source; for one user.
pub(super) const WRONG: [Rate; 3] = [
    Rate::each(20 * SECOND, 5),
    Rate::each(2 * SECOND, 3),
    Rate::each(10 * SECOND, 20),
];
/// Challenges that are not answered, by one who has received them: more than the phones of an office that come all at once have open.
pub(super) const PROBES: Rate = Rate::each(6 * SECOND, 300);
/// Wrong passwords of a source that lead to a ban are counted over this many seconds.
const GUESSING: u64 = 600;

impl Guard {
    pub(super) fn response(&mut self, now: Instant, source: u64, look: &Look<'_>) -> Result<(), Cut> {
        let branch = look.branch.and_then(|branch| self.marker.read_branch(now, branch));
        let nanos = now.as_nanos();
        if let Some(branch) = branch {
            self.seen.put(fold(source, ABOUT_SOURCE), second(now));
            let key = fold(u64::from(branch), ABOUT_MARK);
            return take(self.proved.take(key, nanos, MARK), Cut::Repeated);
        }
        let [each, all] = STRAYS;
        let key = fold(source, ABOUT_STRAYS);
        take(
            self.cells.take(key, nanos, each) && self.strays.take(nanos, all),
            Cut::Stray,
        )
    }

    pub(super) fn request(&mut self, at: Clock, source: u64, shape: u16, look: &Look<'_>) -> Result<(), Cut> {
        let nanos = at.now.as_nanos();
        if let Some(mark) = self.dialog_mark(at.now, source, look) {
            return take(self.proved.take(fold(mark, ABOUT_MARK), nanos, MARK), Cut::Repeated);
        }
        if look.agent.is_some_and(|agent| self.is_scanner(agent)) {
            return Err(Cut::Scanner);
        }
        if look.kind == Kind::Ack
            && let Some(tag) = look.to_tag
            && let Some((_, answer)) = self.marker.read(Mark::Answer, tag)
        {
            if let Some(hand) = &mut self.hand {
                (hand.proven, hand.acknowledges) = (true, true);
            }
            let key = fold(u64::from(answer), ABOUT_MARK);
            return take(self.cells.take(key, nanos, ANSWERED), Cut::Repeated);
        }
        if let Some(nonce) = look.nonce
            && let Some(nonce) = self.marker.read_nonce(source, nonce)
            && at.wall.since(nonce.made) < NONCE
        {
            self.learn(at.now, source, nonce.shape);
            return self.credentials(at.now, source, nonce.id, look);
        }
        if !look.is_whole {
            let [each, all] = MALFORMED;
            let key = fold(source, ABOUT_JUNK);
            let room = self.cells.take(key, nanos, each) && self.malformed.take(nanos, all);
            return take(room, Cut::Malformed);
        }
        self.outside(at.now, source, shape, look.kind)
    }

    /// A request of a dialog that was made here, or through here.
    fn dialog_mark(&mut self, now: Instant, source: u64, look: &Look<'_>) -> Option<u64> {
        // One of our own, which spirals (RFC 3261 16.3), or was sent back to us.
        if let Some(seal) = look.branch.and_then(|branch| self.marker.read_branch(now, branch)) {
            return Some(u64::from(seal));
        }
        let tag = look.to_tag.and_then(|tag| self.marker.read(Mark::Tag, tag));
        let token = || look.token.and_then(|token| self.marker.read(Mark::Token, token));
        let (origin, seal) = tag.or_else(token)?;
        self.seen.put(fold(source, ABOUT_DIALOG), second(now));
        // It was made for what this source sent: now it is sure that it was this source.
        if origin.source == (source >> 32) as u32 {
            self.learn(now, source, origin.shape);
        }
        Some(u64::from(seal))
    }

    /// Who answers a nonce is where he claims to be. What is left to fear is that he guesses.
    fn credentials(&mut self, now: Instant, source: u64, nonce: u64, look: &Look<'_>) -> Result<(), Cut> {
        let (nanos, now) = (now.as_nanos(), second(now));
        let user = self.marker.hash(Mark::Source, look.username.unwrap_or_default());
        if let Some(hand) = &mut self.hand {
            (hand.proven, hand.nonce, hand.user) = (true, Some(nonce), user);
        }
        let proved = self.seen.has(Guard::nonce_of(nonce, user), now, KNOWN);
        let [pair, ours, theirs] = self.wrong(source, user);
        let (guesses, of_guesses) = self.guesses(source);
        let [of_pair, of_source, of_user] = WRONG;
        let free = proved
            || self.cells.has(pair, nanos, of_pair)
                && (self.seen.has(pair, now, KNOWN)
                    || self.cells.has(guesses, nanos, of_guesses)
                        && self.cells.has(ours, nanos, of_source)
                        && self.cells.has(theirs, nanos, of_user));
        if !free {
            return Err(Cut::Guess);
        }
        let rate = Rate::per_second(self.rules().per_source, 2 * self.rules().per_source);
        take(self.proved.take(fold(nonce, ABOUT_MARK), nanos, rate), Cut::Repeated)
    }

    /// The key of a nonce that was used with this user's password: it says nothing of others.
    pub(super) fn nonce_of(nonce: u64, user: u64) -> u64 {
        fold(fold(nonce, ABOUT_NONCE), user)
    }

    /// The keys of what was guessed: by this source of this user, by this source, of this user.
    pub(super) fn wrong(&self, source: u64, user: u64) -> [u64; 3] {
        [fold(source, user), fold(source, ABOUT_WRONG), fold(user, ABOUT_WRONG)]
    }

    /// The key of all that a source guessed, and how much is too much.
    pub(super) fn guesses(&self, source: u64) -> (u64, Rate) {
        let most = self.rules().guesses;
        let rate = Rate::each(GUESSING * SECOND / u64::from(most), most);
        (fold(source, ABOUT_GUESSES), rate)
    }

    fn outside(&mut self, now: Instant, source: u64, shape: u16, kind: Kind) -> Result<(), Cut> {
        let (nanos, now) = (now.as_nanos(), second(now));
        let is_trunk = self.seen.has(fold(source, ABOUT_TRUNK), now, TRUNK);
        let is_bound = self.is_bound_now(source, now);
        let is_there = is_trunk || is_bound || self.seen.has(fold(source, ABOUT_SOURCE), now, KNOWN);
        let key = fold(source, ABOUT_RATE);
        if is_there && matches!(kind, Kind::Ack | Kind::Cancel) {
            let key = fold(source, ABOUT_FOLLOWS);
            return take(self.proved.take(key, nanos, FOLLOWS), Cut::Source);
        }
        let look = fold(source, u64::from(shape) ^ ABOUT_LOOK);
        if self.seen.has(look, now, KNOWN) {
            let per_source = self.rules().per_source;
            let rate = if is_trunk {
                CARRIER
            } else {
                Rate::per_second(per_source, 2 * per_source)
            };
            return take(self.proved.take(key, nanos, rate), Cut::Source);
        }
        if is_trunk || is_bound {
            let is_known = self.seen.has(fold(source, ABOUT_PROVED), now, KNOWN);
            let is_first = !is_known || self.cells.take(fold(source, ABOUT_FURTHER), nanos, FURTHER);
            let room = is_first && self.cells.take(look, nanos, FIRST) && self.unproven.take(nanos, UNPROVEN);
            return take(room, Cut::Stranger);
        }
        let (each, all) = (self.rules().per_stranger, self.rules().strangers);
        let rate = Rate::per_second(each, each.saturating_mul(10));
        // One look of several at an address leaves half of it to the others.
        let share = Rate::per_second(each.div_ceil(2), each.saturating_mul(8));
        if !self.cells.take(look, nanos, share) || !self.cells.take(fold(source, ABOUT_STRANGER), nanos, rate) {
            return Err(Cut::Stranger);
        }
        take(
            self.strangers.take(nanos, Rate::per_second(all, 2 * all)),
            Cut::Strangers,
        )
    }

    pub(super) fn is_bound_now(&self, source: u64, now: u32) -> bool {
        self.bound.get(&source).is_some_and(|until| *until >= now)
    }

    fn is_scanner(&self, agent: &[u8]) -> bool {
        let begins = |name: &String| {
            let head = agent.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
        };
        self.rules().scanners.iter().any(begins)
    }

    /// What this source sends looks like this, as is sure from now on.
    fn learn(&mut self, now: Instant, source: u64, shape: u16) {
        let (nanos, now) = (now.as_nanos(), second(now));
        self.seen.put(fold(source, ABOUT_SOURCE), now);
        let look = fold(source, u64::from(shape) ^ ABOUT_LOOK);
        if self.seen.has(look, now, KNOWN) || self.cells.take(fold(source, ABOUT_LOOK), nanos, LOOKS) {
            self.seen.put(look, now);
            self.seen.put(fold(source, ABOUT_PROVED), now);
        }
    }
}

const fn take(room: bool, cut: Cut) -> Result<(), Cut> {
    if room { Ok(()) } else { Err(cut) }
}

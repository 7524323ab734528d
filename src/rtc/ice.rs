//! ICE lite (RFC 8445 2.5): checks of the peer are answered, and the way is the one that it nominates. The peer is a full agent, and so it
//! controls (RFC 8445 6.1.1), whatever it offers first. With one that is lite itself we are the full agent (`full`).
//!
//! A nomination says nothing of where it comes from that its seal would cover: whoever sees one can send it on from any address. So the way
//! that a peer has is left for another only when who is there has answered a check of ours, which an agent that is lite need not send and a
//! full one answers (RFC 8445 7.3):
//!
//! ```text
//!   peer                         we                          the same, from the way that it has: nothing to do
//!     --- USE-CANDIDATE ---------> trial -- check, at most three times, at most so many trials
//!     <-- answer, and a check ----
//!     --- answer, its seal ------> chosen; for half a second no other
//! ```

#[path = "ice/full.rs"]
mod full;

use crate::keyed::Key as Key128;
use crate::limits;
use crate::media::command::{Connect, Credentials, stream};
use crate::stun::integrity::{Key, Seal};
use crate::stun::message::{BINDING, Class, ErrorCode, Message, Writer, kind};
use crate::time::Instant;
use full::Search;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What a message of STUN was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// A check of the peer, or its answer to one of ours.
    Peer,
    /// One that is not its, or is wrong.
    Refused,
    /// No check at all: nothing is owed for it.
    Other,
}

const BAD_REQUEST: ErrorCode = ErrorCode(400, "Bad Request");
const UNAUTHENTICATED: ErrorCode = ErrorCode(401, "Unauthenticated");
/// RFC 8445 7.3.1.1.
const ROLE_CONFLICT: ErrorCode = ErrorCode(487, "Role Conflict");

/// The priority of a candidate that is found by a check (RFC 8445 5.1.2.1): 110, 65535, 1.
const PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;

/// A way that the peer has nominated, and of which it has not shown that it is there.
#[derive(Debug)]
struct Trial {
    to: SocketAddr,
    transaction: [u8; 12],
    /// Checks that were sent.
    sent: u32,
    /// When the next is due, or the end.
    at: Instant,
    /// The peer wants to be spoken to there; else it has only been heard from there.
    is_nominated: bool,
}

/// What is known of the ways to one peer.
#[derive(Debug, Default)]
pub(super) struct Ice {
    /// Where checks of it came from, the last heard at the end.
    known: SmallVec<[SocketAddr; limits::RTC_ADDRESSES]>,
    /// Checks that it has sent, and where each came from first: a copy comes from elsewhere. The last at the end.
    checks: VecDeque<([u8; 12], SocketAddr)>,
    chosen: Option<SocketAddr>,
    /// Ours before a restart: it keeps the old way open until it has a new one (RFC 8445 9).
    before: Option<Credentials>,
    trials: SmallVec<[Trial; limits::RTC_TRIALS]>,
    /// Where the peer is lite.
    search: Option<Search>,
    /// When it was followed elsewhere last.
    moved: Option<Instant>,
    /// What nobody else knows, for transactions.
    secret: Key128,
}

/// A check, or what came in its place: from where, what, and whether no other leg on this port is spoken to there.
pub(super) struct Came<'a> {
    pub from: SocketAddr,
    pub octets: &'a [u8],
    pub is_free: bool,
}

impl Ice {
    /// Nothing is known; the secret is for transactions of ours.
    pub fn new(secret: Key128) -> Ice {
        Ice {
            secret,
            ..Ice::default()
        }
    }

    /// The way that it has chosen last.
    pub fn chosen(&self) -> Option<SocketAddr> {
        self.chosen
    }

    /// Checks came from there.
    pub fn knows(&self, from: SocketAddr) -> bool {
        self.known.contains(&from)
    }

    /// The peer is lite, and what it has to say to our checks comes from there.
    pub fn expects(&self, from: SocketAddr) -> bool {
        self.search.as_ref().is_some_and(|search| search.asks(from))
    }

    /// A check came.
    pub fn is_heard(&self) -> bool {
        !self.known.is_empty()
    }

    /// The peer begins anew, with other credentials of ours than these. What it has chosen stays until it chooses again.
    pub fn restart(&mut self, before: Credentials) {
        self.before = Some(before);
        self.trials.clear();
    }

    /// The peer is lite: a way is looked for among its candidates. What is chosen already stays until another is.
    pub fn search(&mut self, now: Instant, connect: &Connect) {
        let lite = connect.lite.as_ref();
        self.search = lite.map(|lite| Search::new(now, &lite.candidates, self.secret));
    }

    /// The same peer has told more candidates (RFC 8838 11).
    pub fn widen(&mut self, now: Instant, connect: &Connect) {
        if let (Some(search), Some(lite)) = (&mut self.search, &connect.lite) {
            search.widen(now, &lite.candidates);
        }
    }

    /// Takes a message of STUN, and answers it where an answer is owed. `way` is where the peer is spoken to so far.
    pub fn message(
        &mut self,
        now: Instant,
        connect: &Connect,
        way: Option<SocketAddr>,
        came: Came<'_>,
    ) -> (Check, Option<Vec<u8>>) {
        let (from, message) = (came.from, Message::parse(came.octets));
        let Some(message) = message.filter(|message| message.method == BINDING && message.fingerprint() != Some(false))
        else {
            return (Check::Other, None);
        };
        match message.class {
            Class::Request => self.check(now, &connect.ours, way, &came, &message),
            Class::Success => (self.found(now, connect, from, &message), None),
            Class::Indication | Class::Error => (Check::Other, None),
        }
    }

    fn check(
        &mut self,
        now: Instant,
        ours: &Credentials,
        way: Option<SocketAddr>,
        came: &Came<'_>,
        request: &Message<'_>,
    ) -> (Check, Option<Vec<u8>>) {
        let from = came.from;
        let known = match self.judge(ours, request) {
            Ok(known) => known,
            Err(error) => return (Check::Refused, Some(refuse(request, error, &[], None))),
        };
        let (credentials, is_current) = known;
        let key = Key::short_term(credentials.pwd.expose());
        let mut unknown = request.unknown();
        unknown.retain(|own| *own != kind::USE_CANDIDATE);
        if !unknown.is_empty() {
            let refusal = refuse(request, ErrorCode::UNKNOWN_ATTRIBUTE, &unknown, Some(&key));
            return (Check::Refused, Some(refusal));
        }
        if request.covers(kind::ICE_CONTROLLED).is_some() {
            let refusal = refuse(request, ROLE_CONFLICT, &[], Some(&key));
            return (Check::Refused, Some(refusal));
        }
        let is_copy = self.is_copy(request.transaction, from);
        let is_nominated = is_current && request.covers(kind::USE_CANDIDATE).is_some();
        if !is_copy && came.is_free {
            self.note(from);
        }
        if !is_copy && (is_nominated || !came.is_free) {
            match way {
                Some(way) if way != from => self.try_out(now, from, is_nominated),
                _ if !came.is_free => self.try_out(now, from, is_nominated),
                Some(_) | None => self.choose(from),
            }
        }
        let mut writer = Writer::new(Class::Success, BINDING, request.transaction);
        writer.xor_mapped_address(stream::plain(from));
        writer.seal(Seal::Sha1, &key);
        writer.fingerprint();
        (Check::Peer, Some(writer.finish()))
    }

    /// RFC 8489 9.1.3: the name is ours, a colon and the peer's (RFC 8445 7.2.2), and the password ours. Whose credentials it has; true
    /// for those that hold now.
    fn judge<'c>(&'c self, ours: &'c Credentials, request: &Message<'_>) -> Result<(&'c Credentials, bool), ErrorCode> {
        let name = request.covers(kind::USERNAME).ok_or(BAD_REQUEST)?;
        if !request.has_seal(Seal::Sha1) {
            return Err(BAD_REQUEST);
        }
        let is_named = |own: &Credentials| {
            let rest = name.strip_prefix(own.ufrag.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&b':'))
        };
        let both = std::iter::once((ours, true)).chain(self.before.as_ref().map(|before| (before, false)));
        let mut named = both.filter(|(own, _)| is_named(own));
        named
            .find(|(own, _)| request.is_sealed(Seal::Sha1, &Key::short_term(own.pwd.expose())) == Some(true))
            .ok_or(UNAUTHENTICATED)
    }

    fn choose(&mut self, to: SocketAddr) {
        self.chosen = Some(to);
        self.before = None;
    }

    /// The peer says that it is there, too.
    fn try_out(&mut self, now: Instant, to: SocketAddr, is_nominated: bool) {
        let rests = self.moved.is_some_and(|moved| now.since(moved) < limits::RTC_MOVE);
        if let Some(trial) = self.trials.iter_mut().find(|trial| trial.to == to) {
            trial.is_nominated |= is_nominated;
            return;
        }
        if rests {
            return;
        }
        if self.trials.len() == limits::RTC_TRIALS {
            self.trials.remove(0);
        }
        self.trials.push(Trial {
            to,
            transaction: transaction(self.secret, now, to),
            sent: 0,
            at: now,
            is_nominated,
        });
    }

    /// An answer to a check of a search, or of a trial.
    fn found(&mut self, now: Instant, connect: &Connect, from: SocketAddr, answer: &Message<'_>) -> Check {
        let found = self
            .search
            .as_mut()
            .map(|search| search.answered(now, connect, from, answer));
        match found {
            Some((Check::Peer, true)) => {
                self.note(from);
                self.choose(from);
                Check::Peer
            }
            Some((check @ (Check::Peer | Check::Refused), _)) => check,
            Some((Check::Other, _)) | None => self.answered(now, &connect.theirs, from, answer),
        }
    }

    /// An answer: it proves a way when it comes from there, to what was sent there, with the peer's seal.
    fn answered(&mut self, now: Instant, theirs: &Credentials, from: SocketAddr, answer: &Message<'_>) -> Check {
        let is_of = |trial: &&Trial| trial.to == from && trial.transaction == answer.transaction;
        let Some(is_nominated) = self.trials.iter().find(is_of).map(|trial| trial.is_nominated) else {
            return Check::Other;
        };
        let key = Key::short_term(theirs.pwd.expose());
        if answer.is_sealed(Seal::Sha1, &key) != Some(true) {
            return Check::Refused;
        }
        self.note(from);
        if is_nominated {
            self.trials.clear();
            self.moved = Some(now);
            self.choose(from);
        } else {
            self.trials.retain(|trial| trial.to != from);
        }
        Check::Peer
    }

    /// Of our checks that wait for an answer.
    pub fn transactions(&self) -> impl Iterator<Item = [u8; 12]> + '_ {
        self.trials.iter().map(|trial| trial.transaction)
    }

    /// The checks of ours that are due, and where they go.
    pub fn on_time(&mut self, now: Instant, connect: &Connect) -> Vec<(SocketAddr, Vec<u8>)> {
        self.trials
            .retain(|trial| trial.at > now || trial.sent < limits::RTC_TRIAL_CHECKS);
        let due = self.trials.iter_mut().filter(|trial| trial.at <= now);
        let send = |trial: &mut Trial| {
            trial.sent += 1;
            trial.at = now + limits::RTC_TRIAL_PACE;
            (trial.to, ask(connect, trial.transaction))
        };
        let search = self.search.as_mut().and_then(|search| search.on_time(now, connect));
        due.map(send).chain(search).collect()
    }

    /// When `on_time` is due next.
    pub fn due(&self) -> Option<Instant> {
        let trials = self.trials.iter().map(|trial| trial.at);
        trials.chain(self.search.as_ref().and_then(Search::due)).min()
    }

    /// A check is the peer's wherever it comes from, and is answered. It tells of one address only, the first: whoever sees it may send it on from
    /// many.
    fn is_copy(&mut self, transaction: [u8; 12], from: SocketAddr) -> bool {
        let mut checks = self.checks.iter();
        if let Some((_, first)) = checks.find(|(own, _)| *own == transaction) {
            return *first != from;
        }
        if self.checks.len() == limits::RTC_CHECKS {
            self.checks.pop_front();
        }
        self.checks.push_back((transaction, from));
        false
    }

    fn note(&mut self, from: SocketAddr) {
        self.known.retain(|own| *own != from);
        if self.known.len() == limits::RTC_ADDRESSES {
            self.known.remove(0);
        }
        self.known.push(from);
    }
}

/// Of our check: nobody else can know it, not even the peer, and none comes twice, so that an old answer proves nothing.
fn transaction(secret: Key128, now: Instant, to: SocketAddr) -> [u8; 12] {
    let hash = secret.of(&[&now.as_nanos().to_be_bytes(), to.to_string().as_bytes()]);
    let mut transaction = [0; 12];
    transaction.copy_from_slice(&hash.to_be_bytes()[..12]);
    transaction
}

/// A check of ours (RFC 8445 7.2.2): who is controlled sends it.
fn ask(connect: &Connect, transaction: [u8; 12]) -> Vec<u8> {
    let (ours, theirs) = (&connect.ours, &connect.theirs);
    let mut writer = Writer::new(Class::Request, BINDING, transaction);
    writer.attribute(kind::USERNAME, format!("{}:{}", theirs.ufrag, ours.ufrag).as_bytes());
    writer.attribute(kind::PRIORITY, &PRIORITY.to_be_bytes());
    // The tie-breaker decides between two that both want to be controlled, and the peer does not.
    writer.attribute(kind::ICE_CONTROLLED, &transaction[..8]);
    writer.seal(Seal::Sha1, &Key::short_term(theirs.pwd.expose()));
    writer.fingerprint();
    writer.finish()
}

/// An error, which only who knows the password can have made where it was there.
fn refuse(request: &Message<'_>, error: ErrorCode, unknown: &[u16], key: Option<&Key>) -> Vec<u8> {
    let mut writer = Writer::new(Class::Error, BINDING, request.transaction);
    writer.error(error);
    if !unknown.is_empty() {
        writer.unknown_attributes(unknown);
    }
    if let Some(key) = key {
        writer.seal(Seal::Sha1, key);
    }
    writer.fingerprint();
    writer.finish()
}

#[cfg(test)]
#[path = "ice/tests.rs"]
mod tests;
#[cfg(test)]
#[path = "ice/tests_full.rs"]
mod tests_full;

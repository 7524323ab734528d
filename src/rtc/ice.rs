//! ICE lite (RFC 8445 2.5): checks of the peer are answered, and the way is the one that it nominates. The peer is a full agent, and so it
//! controls (RFC 8445 6.1.1), whatever it offers first.

use crate::limits;
use crate::media::command::Credentials;
use crate::stun::integrity::{Key, Seal};
use crate::stun::message::{BINDING, Class, ErrorCode, Message, Writer, kind};
use smallvec::SmallVec;
use std::net::SocketAddr;

/// What a message of STUN was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// A check of the peer.
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

/// What is known of the ways to one peer.
#[derive(Debug, Default)]
pub(super) struct Ice {
    /// Where checks of it came from, the last heard at the end.
    known: SmallVec<[SocketAddr; limits::RTC_ADDRESSES]>,
    chosen: Option<SocketAddr>,
    /// Ours before a restart: it keeps the old way open until it has a new one (RFC 8445 9).
    before: Option<Credentials>,
}

impl Ice {
    /// The way that it has chosen last.
    pub fn chosen(&self) -> Option<SocketAddr> {
        self.chosen
    }

    /// Checks came from there.
    pub fn knows(&self, from: SocketAddr) -> bool {
        self.known.contains(&from)
    }

    /// A check came.
    pub fn is_heard(&self) -> bool {
        !self.known.is_empty()
    }

    /// The peer begins anew, with other credentials of ours than these. What it has chosen stays until it chooses again.
    pub fn restart(&mut self, before: Credentials) {
        self.before = Some(before);
    }

    /// Takes a message of STUN, and answers it where an answer is owed.
    pub fn check(&mut self, ours: &Credentials, from: SocketAddr, octets: &[u8]) -> (Check, Option<Vec<u8>>) {
        let Some(request) = Message::parse(octets) else {
            return (Check::Other, None);
        };
        let is_check = request.class == Class::Request && request.method == BINDING;
        if !is_check || request.fingerprint() == Some(false) {
            return (Check::Other, None);
        }
        let known = match self.judge(ours, &request) {
            Ok(known) => known,
            Err(error) => return (Check::Refused, Some(refuse(&request, error, &[], None))),
        };
        let (credentials, is_current) = known;
        let key = Key::short_term(credentials.pwd.expose());
        let mut unknown = request.unknown();
        unknown.retain(|own| *own != kind::USE_CANDIDATE);
        if !unknown.is_empty() {
            let refusal = refuse(&request, ErrorCode::UNKNOWN_ATTRIBUTE, &unknown, Some(&key));
            return (Check::Refused, Some(refusal));
        }
        if request.covers(kind::ICE_CONTROLLED).is_some() {
            let refusal = refuse(&request, ROLE_CONFLICT, &[], Some(&key));
            return (Check::Refused, Some(refusal));
        }
        self.note(from);
        if is_current && request.covers(kind::USE_CANDIDATE).is_some() {
            self.chosen = Some(from);
            self.before = None;
        }
        let mut writer = Writer::new(Class::Success, BINDING, request.transaction);
        writer.xor_mapped_address(from);
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

    fn note(&mut self, from: SocketAddr) {
        self.known.retain(|own| *own != from);
        if self.known.len() == limits::RTC_ADDRESSES {
            self.known.remove(0);
        }
        self.known.push(from);
    }
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

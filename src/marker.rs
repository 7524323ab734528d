//! Marks: what this node writes into messages so that it knows them again in their raw octets, long before it parses them.
//!
//! Every branch, dialog tag, Record-Route token and nonce that we hand out ends in a short seal, a keyed hash (`keyed`) under a key
//! of this process. Who shows one of them has
//! received something from us; that no one on the way read along is not promised, and no more than a place ahead of strangers
//! rests on it. What may be done at all is still decided by credentials, transactions and dialogs.
//!
//! ```text
//!   branch    z9hG4bK BODY . MMMM SSSSSSSS           MMMM: the minute, since no response comes after a quarter of an hour
//!   tag       RRRRRRRRRRRR OOOOOOOO HHHH SSSSSSSS    OOOOOOOO HHHH: the source of the request at hand, and its shape
//!   token     TEXT OOOOOOOO HHHH SSSSSSSS            the same
//!   salt      HHHH NNNN SSSSSSSS                     of a nonce: sealed together with its time and the source it goes to
//! ```

use crate::keyed::Key;
use crate::time::{Instant, Wall};
use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};

/// Hex digits of a seal.
const SEAL: usize = 8;
/// Hex digits of an origin.
const ORIGIN: usize = 12;
/// Hex digits of the minute.
const MINUTE: usize = 4;
/// Minutes for which a branch may have responses: an INVITE rings for three (timer C), and a late one waits as long in queues.
const BRANCH_MINUTES: u16 = 15;
/// Octets behind the text of a Record-Route token.
pub const TOKEN_MARK: usize = ORIGIN + SEAL;

/// Who sent the message that is being handled, as far as marks remember it: zero for what no message caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Half of the source's keyed hash.
    pub source: u32,
    /// What the message looks like, by a keyed hash: what its sender's later ones look like, too.
    pub shape: u16,
}

/// What a seal is for, so that none serves for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A branch of a client transaction.
    Branch,
    /// A tag of a dialog.
    Tag,
    /// A To tag of an answer that keeps no state: it proves that its receiver is where it claims to be, and nothing else.
    Answer,
    /// A Record-Route token.
    Token,
    /// A nonce.
    Nonce,
    /// No mark: names of sources.
    Source,
}

/// What a nonce of ours in a request proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// When it was made.
    pub made: Wall,
    /// What the request looked like that was challenged.
    pub shape: u16,
    /// Which nonce.
    pub id: u64,
}

/// Makes and checks marks.
#[derive(Clone, Debug)]
pub struct Marker {
    key: Key,
    origin: Origin,
}

impl Marker {
    /// For machines that run alone in a test, and for phones, which nobody floods.
    pub const UNKEYED: Marker = Marker::new(Key::UNKEYED);

    /// With this key.
    pub const fn new(key: Key) -> Marker {
        Marker {
            key,
            origin: Origin { source: 0, shape: 0 },
        }
    }

    /// The same, for what this message causes.
    pub const fn about(&self, origin: Origin) -> Marker {
        Marker { key: self.key, origin }
    }

    /// Whose message is at hand.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The name of a source: of its address, or of its network of 64 bits where it has IPv6 and may choose the rest as it likes.
    pub fn source(&self, ip: IpAddr) -> u64 {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.hash(Mark::Source, &ip.octets()),
            IpAddr::V6(ip) => self.hash(Mark::Source, &ip.octets()[..8]),
        }
    }

    /// A keyed hash of what a peer chose.
    pub fn hash(&self, mark: Mark, text: &[u8]) -> u64 {
        let mut hash = self.key.start();
        hash.number(mark as u64);
        hash.part(text);
        hash.finish()
    }

    fn seal(&self, mark: Mark, text: &[u8]) -> u32 {
        (self.hash(mark, text) >> 32) as u32
    }

    /// True for two addresses of one source.
    pub fn is_same(one: IpAddr, other: IpAddr) -> bool {
        Marker::host(one) == Marker::host(other)
    }

    /// What stands for all addresses that one host may have: of IPv6 the first of its network.
    pub fn host(ip: IpAddr) -> IpAddr {
        match ip.to_canonical() {
            IpAddr::V4(ip) => ip.into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        }
    }

    /// Ends a branch by our mark.
    pub fn mark_branch(&self, now: Instant, branch: &mut String) {
        branch.push('.');
        push_hex(branch, u64::from(minute(now)), MINUTE);
        self.push_seal(Mark::Branch, branch);
    }

    /// Which branch of ours this is, unless it is none, or old.
    pub fn read_branch(&self, now: Instant, branch: &[u8]) -> Option<u32> {
        let (text, seal) = self.read_seal(Mark::Branch, branch)?;
        let made = hex(text.get(text.len().checked_sub(MINUTE)?..)?)?;
        let age = minute(now).wrapping_sub(made as u16);
        (age <= BRANCH_MINUTES).then_some(seal)
    }

    /// A tag of a dialog, or of an answer; `random` is what makes it one that nobody has (RFC 3261 19.3).
    pub fn tag(&self, mark: Mark, random: u64) -> String {
        let mut tag = String::with_capacity(12 + ORIGIN + SEAL);
        push_hex(&mut tag, random & 0xffff_ffff_ffff, 12);
        self.push_origin(mark, self.origin, &mut tag);
        tag
    }

    /// Ends the text of a Record-Route token; `origin` is who sent the request that it is for.
    pub fn mark_token(&self, origin: Origin, token: &mut String) {
        self.push_origin(Mark::Token, origin, token);
    }

    /// Who sent the message that this tag or token was made for, and which it is; nothing where it is not ours.
    pub fn read(&self, mark: Mark, text: &[u8]) -> Option<(Origin, u32)> {
        let (text, seal) = self.read_seal(mark, text)?;
        let origin = hex(text.get(text.len().checked_sub(ORIGIN)?..)?)?;
        let origin = Origin {
            source: (origin >> 16) as u32,
            shape: origin as u16,
        };
        Some((origin, seal))
    }

    /// The salt of a nonce that is made at this time for this source: with another `number` it is another.
    pub fn salt(&self, at: Wall, source: u64, number: u16) -> u64 {
        let head = u64::from(self.origin.shape) << 16 | u64::from(number);
        head << 32 | u64::from(self.seal_nonce(at.0, source, head as u32))
    }

    /// What a nonce proves that comes from this source: nothing, where it was not made for it. The digits behind time and salt are
    /// left to those who check credentials.
    pub fn read_nonce(&self, source: u64, nonce: &[u8]) -> Option<Nonce> {
        let (made, salt) = (hex(nonce.get(..16)?)?, hex(nonce.get(16..32)?)?);
        let right = self.seal_nonce(made, source, (salt >> 32) as u32) == salt as u32;
        right.then_some(Nonce {
            made: Wall(made),
            shape: (salt >> 48) as u16,
            id: salt,
        })
    }

    fn seal_nonce(&self, made: u64, source: u64, head: u32) -> u32 {
        let mut hash = self.key.start();
        for number in [Mark::Nonce as u64, made, source, head.into()] {
            hash.number(number);
        }
        (hash.finish() >> 32) as u32
    }

    fn push_origin(&self, mark: Mark, origin: Origin, text: &mut String) {
        push_hex(text, u64::from(origin.source) << 16 | u64::from(origin.shape), ORIGIN);
        self.push_seal(mark, text);
    }

    fn push_seal(&self, mark: Mark, text: &mut String) {
        let seal = self.seal(mark, text.as_bytes());
        push_hex(text, u64::from(seal), SEAL);
    }

    fn read_seal<'t>(&self, mark: Mark, text: &'t [u8]) -> Option<(&'t [u8], u32)> {
        let (text, seal) = text.split_at_checked(text.len().checked_sub(SEAL)?)?;
        let seal = hex(seal)? as u32;
        (self.seal(mark, text) == seal).then_some((text, seal))
    }
}

/// Minutes since the start; after 45 days they begin anew.
fn minute(now: Instant) -> u16 {
    (now.as_millis() / 60_000) as u16
}

fn push_hex(text: &mut String, number: u64, digits: usize) {
    for at in (0..digits).rev() {
        text.push(char::from(b"0123456789abcdef"[(number >> (4 * at)) as usize & 15]));
    }
}

/// Digits as we write them: lower case, at most sixteen.
fn hex(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _no_digit => return None,
        };
        number = number << 4 | u64::from(value);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn marker() -> Marker {
        Marker::new(Key::new([1; 16])).about(Origin {
            source: 0xdead_beef,
            shape: 0x1234,
        })
    }

    #[test]
    fn a_mark_is_read_back_where_it_is_ours_and_of_its_kind() {
        let (marker, other) = (marker(), Marker::new(Key::new([3; 16])));
        for mark in [Mark::Tag, Mark::Answer] {
            let tag = marker.tag(mark, 0xffff_0123_4567_89ab);
            assert!(tag.starts_with("0123456789ab") && tag.len() == 32, "{tag}");
            let (origin, _) = marker.read(mark, tag.as_bytes()).unwrap();
            assert_eq!(origin, marker.origin());
            assert_eq!(marker.read(Mark::Token, tag.as_bytes()), None);
            assert_eq!(other.read(mark, tag.as_bytes()), None);
            for at in 0..tag.len() {
                let mut forged = tag.clone().into_bytes();
                forged[at] ^= 1;
                assert_eq!(marker.read(mark, &forged), None, "{at}");
            }
        }
        let mut token = "tw-nn".to_owned();
        marker.mark_token(marker.origin(), &mut token);
        assert_eq!(token.len(), 5 + TOKEN_MARK);
        assert!(marker.read(Mark::Token, token.as_bytes()).is_some());
        for odd in ["", "1", "0123456", "01234567", "+123456789012345678901234567890"] {
            assert_eq!(marker.read(Mark::Tag, odd.as_bytes()), None, "{odd}");
            assert_eq!(marker.read_branch(Instant::ZERO, odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn a_branch_is_ours_for_a_quarter_of_an_hour() {
        let at = |minutes: u64| Instant::ZERO + Duration::from_secs(60 * minutes);
        for made in [0, 65_530] {
            let mut branch = "z9hG4bK0123456789abcdef".to_owned();
            marker().mark_branch(at(made), &mut branch);
            assert!(marker().read_branch(at(made), branch.as_bytes()).is_some());
            assert!(marker().read_branch(at(made + 15), branch.as_bytes()).is_some());
            assert_eq!(marker().read_branch(at(made + 16), branch.as_bytes()), None);
            assert_eq!(
                Marker::new(Key::new([3; 16])).read_branch(at(made), branch.as_bytes()),
                None
            );
        }
    }

    #[test]
    fn a_nonce_proves_the_source_that_it_was_made_for_and_no_other() {
        let marker = marker();
        let (alice, other) = (
            marker.source("192.0.2.1".parse().unwrap()),
            marker.source("192.0.2.2".parse().unwrap()),
        );
        let made = Wall(1_767_225_600_123);
        let nonce = format!("{:016x}{:016x}rest", made.0, marker.salt(made, alice, 7));
        let read = marker.read_nonce(alice, nonce.as_bytes()).unwrap();
        assert_eq!((read.made, read.shape), (made, 0x1234));
        assert_eq!(marker.read_nonce(other, nonce.as_bytes()), None);
        for at in 0..32 {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(marker.read_nonce(alice, &forged), None, "{at}");
        }
        assert_eq!(marker.read_nonce(alice, b"0123"), None);
    }

    #[test]
    fn a_source_of_ipv6_is_its_network() {
        let name = |ip: &str| marker().source(ip.parse().unwrap());
        assert_eq!(name("2001:db8::1"), name("2001:db8::ffff:1"));
        assert_ne!(name("2001:db8::1"), name("2001:db8:0:1::1"));
        assert_ne!(name("192.0.2.1"), name("192.0.2.2"));
        for (one, other) in [
            ("2001:db8::1", "2001:db8::2"),
            ("2001:db8::1", "2001:db8:0:1::1"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
        ] {
            let is_same = Marker::is_same(one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(is_same, name(one) == name(other), "{one} {other}");
        }
    }
}

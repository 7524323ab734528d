//! Marks: what this node writes into messages so that it knows them again in their raw octets, long before it parses them.
//!
//! Every branch, dialog tag, Record-Route token and nonce that we hand out ends in a short seal, SipHash-2-4 under a key of this
//! process (Aumasson and Bernstein 2012: a MAC made for short inputs, at some tens of nanoseconds). Who shows one of them has
//! received something from us; that no one on the way read along is not promised, and no more than a place ahead of strangers
//! rests on it. What may be done at all is still decided by credentials, transactions and dialogs.
//!
//! ```text
//!   branch    z9hG4bK BODY . MMMM SSSSSSSS           MMMM: the minute, since no response comes after a quarter of an hour
//!   tag       RRRRRRRRRRRR OOOOOOOO HHHH SSSSSSSS    OOOOOOOO HHHH: the source of the request at hand, and its shape
//!   token     TEXT OOOOOOOO HHHH SSSSSSSS            the same
//!   salt      HHHH NNNN SSSSSSSS                     of a nonce: sealed together with its time and the source it goes to
//! ```

use crate::time::{Instant, Wall};
use std::net::IpAddr;

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
#[derive(Clone)]
pub struct Marker {
    key: [u64; 2],
    origin: Origin,
}

/// A key does not print.
impl std::fmt::Debug for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Marker {{ origin: {:?}, .. }}", self.origin)
    }
}

impl Marker {
    /// For machines that run alone in a test, and for phones, which nobody floods.
    pub const UNKEYED: Marker = Marker::new([0; 2]);

    /// With this key.
    pub const fn new(key: [u64; 2]) -> Marker {
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
        siphash(self.key, text, mark as u8)
    }

    fn seal(&self, mark: Mark, text: &[u8]) -> u32 {
        (self.hash(mark, text) >> 32) as u32
    }

    /// True for two addresses of one source.
    pub fn is_same(one: IpAddr, other: IpAddr) -> bool {
        match (one.to_canonical(), other.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => one == other,
            (IpAddr::V6(one), IpAddr::V6(other)) => one.octets()[..8] == other.octets()[..8],
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
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
        let mut text = [0; 20];
        text[..8].copy_from_slice(&made.to_le_bytes());
        text[8..16].copy_from_slice(&source.to_le_bytes());
        text[16..].copy_from_slice(&head.to_le_bytes());
        self.seal(Mark::Nonce, &text)
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

/// SipHash-2-4. `kind` goes in behind the text.
fn siphash(key: [u64; 2], text: &[u8], kind: u8) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        absorb(&mut v, u64::from_le_bytes(word.try_into().expect("chunks of eight")));
    }
    let rest = words.remainder();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The number of octets counts modulo 256 (2.2 there); `kind` tells apart what has one length.
    last[7] = text.len() as u8;
    absorb(&mut v, u64::from_le_bytes(last));
    if kind != 0 {
        absorb(&mut v, u64::from(kind));
    }
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    fn marker() -> Marker {
        Marker::new([1, 2]).about(Origin {
            source: 0xdead_beef,
            shape: 0x1234,
        })
    }

    /// The vectors of the paper's appendix A and of its reference implementation.
    #[test]
    fn siphash_is_that_of_its_authors() {
        let text: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(KEY, &text, 0), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(KEY, &[], 0), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(KEY, &text[..8], 0), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn a_mark_is_read_back_where_it_is_ours_and_of_its_kind() {
        let (marker, other) = (marker(), Marker::new([1, 3]));
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
            assert_eq!(Marker::new([1, 3]).read_branch(at(made), branch.as_bytes()), None);
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

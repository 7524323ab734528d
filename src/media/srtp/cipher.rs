//! What a key does to one packet, in place: RFC 3711 4 (AES in counter mode, HMAC-SHA1), RFC 7714 (AES in Galois counter mode), and
//! the derivation of session keys (RFC 3711 4.3, RFC 6188 3).

use crate::media::command::{MasterKey, Suite};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// Octets of RTCP that stay in the clear: the first header and its SSRC (RFC 3711 3.4).
const RTCP_HEAD: usize = 8;
/// The flag that RTCP is encrypted, in front of its index. Nothing else is agreed here (RFC 4568 6.3.2), so nothing else is taken.
const ENCRYPTED: u32 = 1 << 31;
/// Octets of flag and index behind RTCP.
const TRAILER: usize = 4;
/// Octets of a GCM tag.
const GCM_TAG: usize = 16;
/// Octets of the HMAC on RTCP, in each of the suites (RFC 4568 6.2).
const RTCP_MAC: usize = 10;

/// Whose packet it is: each pair comes once under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub ssrc: u32,
    /// Of RTP 48 bits, of RTCP 31.
    pub index: u64,
}

impl Place {
    /// The part of the index that an RTP packet does not carry.
    fn rolled_over(self) -> [u8; 4] {
        ((self.index >> 16) as u32).to_be_bytes()
    }

    /// SSRC and index as they stand in the vectors of both ciphers.
    fn octets(self) -> [u8; 10] {
        let mut octets = [0; 10];
        octets[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        octets[4..].copy_from_slice(&self.index.to_be_bytes()[2..]);
        octets
    }
}

/// The session keys of one master key.
pub(super) struct Session {
    pub rtp: Cipher,
    pub rtcp: Cipher,
}

impl Session {
    /// By RFC 3711 4.3.1, with a derivation rate of 0: once and for all.
    pub(super) fn new(master: &MasterKey) -> Session {
        let derive = Derive::new(master);
        let (rtp_mac, rtcp_mac) = match master.suite() {
            Suite::AesCm128Sha1_32 | Suite::Aes256CmSha1_32 => (4, RTCP_MAC),
            Suite::AesCm128Sha1_80 | Suite::Aes256CmSha1_80 => (RTCP_MAC, RTCP_MAC),
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => (GCM_TAG, GCM_TAG),
        };
        Session {
            rtp: derive.cipher(0, rtp_mac),
            rtcp: derive.cipher(3, rtcp_mac),
        }
    }
}

/// A pseudo-random function: the key stream of AES in counter mode from a point that label and salt give.
struct Derive<'k> {
    master: &'k MasterKey,
    key: EncryptingKey,
}

impl Derive<'_> {
    fn new(master: &MasterKey) -> Derive<'_> {
        Derive {
            master,
            key: counter_key(master.key()),
        }
    }

    fn octets<const N: usize>(&self, label: u8) -> [u8; N] {
        let mut from = [0; 16];
        let salt = self.master.salt();
        from[..salt.len()].copy_from_slice(salt);
        from[7] ^= label;
        let mut octets = [0; N];
        xor_stream(&self.key, from, &mut octets);
        octets
    }

    /// The labels of a cipher are three in a row: key, authentication, salt.
    fn cipher(&self, first: u8, tag: usize) -> Cipher {
        let key: [u8; 32] = self.octets(first);
        let key = &key[..self.master.suite().key_octets()];
        match self.master.suite() {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Cipher::Galois(Galois {
                key: galois_key(key),
                salt: self.octets(first + 2),
            }),
            Suite::AesCm128Sha1_80 | Suite::AesCm128Sha1_32 | Suite::Aes256CmSha1_80 | Suite::Aes256CmSha1_32 => {
                let mac: [u8; 20] = self.octets(first + 1);
                Cipher::Counter(Counter {
                    key: counter_key(key),
                    salt: self.octets(first + 2),
                    mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &mac),
                    tag,
                })
            }
        }
    }
}

fn counter_key(octets: &[u8]) -> EncryptingKey {
    let algorithm = if octets.len() == 16 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, octets)
        .and_then(EncryptingKey::ctr)
        .expect("a key of AES has 16 or 32 octets")
}

fn galois_key(octets: &[u8]) -> LessSafeKey {
    let algorithm = if octets.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
    LessSafeKey::new(UnboundKey::new(algorithm, octets).expect("a key of AES has 16 or 32 octets"))
}

/// Adds the key stream that begins at this counter.
fn xor_stream(key: &EncryptingKey, from: [u8; 16], octets: &mut [u8]) {
    key.less_safe_encrypt(octets, EncryptionContext::Iv128(FixedLength::from(from)))
        .expect("counter mode takes any length");
}

/// AES in counter mode with HMAC-SHA1.
pub(super) struct Counter {
    key: EncryptingKey,
    salt: [u8; 14],
    mac: hmac::Key,
    tag: usize,
}

impl Counter {
    /// RFC 3711 4.1.1: salt, SSRC and index, each at its place; the last two octets count blocks.
    fn apply(&self, place: Place, octets: &mut [u8]) {
        let mut from = [0; 16];
        from[..14].copy_from_slice(&self.salt);
        for (octet, more) in from[4..14].iter_mut().zip(place.octets()) {
            *octet ^= more;
        }
        xor_stream(&self.key, from, octets);
    }

    fn mac(&self, parts: [&[u8]; 2]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }

    fn is_right(&self, parts: [&[u8]; 2], tag: &[u8]) -> bool {
        let right = self.mac(parts);
        aws_lc_rs::constant_time::verify_slices_are_equal(&right.as_ref()[..self.tag], tag).is_ok()
    }
}

/// AES in Galois counter mode.
pub(super) struct Galois {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Galois {
    /// RFC 7714 8.1 and 9.1: the same octets for RTP and RTCP, whose index has fewer bits.
    fn nonce(&self, place: Place) -> Nonce {
        let mut nonce = self.salt;
        for (octet, more) in nonce[2..].iter_mut().zip(place.octets()) {
            *octet ^= more;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, place: Place, head: &[u8], body: &mut [u8]) -> Tag {
        self.key
            .seal_in_place_separate_tag(self.nonce(place), Aad::from(head), body)
            .expect("a packet is no longer than GCM allows")
    }

    fn open(&self, place: Place, head: &[u8], body_and_tag: &mut [u8]) -> bool {
        let opened = self.key.open_in_place(self.nonce(place), Aad::from(head), body_and_tag);
        opened.is_ok()
    }
}

/// One of the two.
pub(super) enum Cipher {
    Counter(Counter),
    Galois(Galois),
}

impl Cipher {
    /// Seals the RTP packet of `len` octets in front of `buffer`, whose header has `head`. The new length; none where there is no room.
    ///
    /// ```text
    ///   header | encrypted | MKI | HMAC         (RFC 3711 3.1)
    ///   header | encrypted | GCM tag | MKI      (RFC 7714 8.2)
    /// ```
    pub(super) fn seal_rtp(
        &self,
        place: Place,
        head: usize,
        buffer: &mut [u8],
        len: usize,
        mki: &[u8],
    ) -> Option<usize> {
        match self {
            Cipher::Counter(counter) => {
                counter.apply(place, buffer.get_mut(head..len)?);
                let mac = counter.mac([&buffer[..len], &place.rolled_over()]);
                append(buffer, len, [mki, &mac.as_ref()[..counter.tag], &[]])
            }
            Cipher::Galois(galois) => {
                let (head, body) = buffer.get_mut(..len)?.split_at_mut_checked(head)?;
                let tag = galois.seal(place, head, body);
                append(buffer, len, [tag.as_ref(), mki, &[]])
            }
        }
    }

    /// Opens it again: the length of the plain packet; none if it is not genuine.
    pub(super) fn open_rtp(&self, place: Place, head: usize, packet: &mut [u8], mki: usize) -> Option<usize> {
        match self {
            Cipher::Counter(counter) => {
                let (before, tag) = packet.split_at_checked(packet.len().checked_sub(counter.tag)?)?;
                let end = before.len().checked_sub(mki).filter(|end| *end >= head)?;
                if !counter.is_right([&before[..end], &place.rolled_over()], tag) {
                    return None;
                }
                counter.apply(place, &mut packet[head..end]);
                Some(end)
            }
            Cipher::Galois(galois) => {
                let sealed = packet.len().checked_sub(mki)?;
                let end = sealed.checked_sub(GCM_TAG).filter(|end| *end >= head)?;
                let (head, body) = packet[..sealed].split_at_mut(head);
                galois.open(place, head, body).then_some(end)
            }
        }
    }

    /// Seals the RTCP packet of `len` octets in front of `buffer`. The new length; none where there is no room, or no packet.
    ///
    /// ```text
    ///   header | encrypted | flag, index | MKI | HMAC         (RFC 3711 3.4)
    ///   header | encrypted | GCM tag | flag, index | MKI      (RFC 7714 9.2)
    /// ```
    pub(super) fn seal_rtcp(&self, place: Place, buffer: &mut [u8], len: usize, mki: &[u8]) -> Option<usize> {
        let trailer = (ENCRYPTED | place.index as u32).to_be_bytes();
        match self {
            Cipher::Counter(counter) => {
                counter.apply(place, buffer.get_mut(RTCP_HEAD..len)?);
                let mac = counter.mac([&buffer[..len], &trailer]);
                append(buffer, len, [&trailer, mki, &mac.as_ref()[..counter.tag]])
            }
            Cipher::Galois(galois) => {
                let (head, body) = buffer.get_mut(..len)?.split_at_mut_checked(RTCP_HEAD)?;
                let tag = galois.seal(place, &with_trailer(head, trailer)?, body);
                append(buffer, len, [tag.as_ref(), &trailer, mki])
            }
        }
    }

    /// Octets that stand behind the master key identifier.
    pub(super) fn behind_mki(&self) -> usize {
        match self {
            Cipher::Counter(counter) => counter.tag,
            Cipher::Galois(_) => 0,
        }
    }

    /// The index of an RTCP packet with a master key identifier of so many octets; none where it is too short to have one, or is not
    /// encrypted.
    pub(super) fn rtcp_index(&self, packet: &[u8], mki: usize) -> Option<u64> {
        let at = packet.len().checked_sub(self.behind_mki() + mki + TRAILER)?;
        let trailer = u32::from_be_bytes(*packet.get(at..)?.first_chunk()?);
        (trailer & ENCRYPTED != 0).then_some(u64::from(trailer & !ENCRYPTED))
    }

    /// Opens it again: the length of the plain packet; none if it is not genuine.
    pub(super) fn open_rtcp(&self, place: Place, packet: &mut [u8], mki: usize) -> Option<usize> {
        match self {
            Cipher::Counter(counter) => {
                let (before, tag) = packet.split_at_checked(packet.len().checked_sub(counter.tag)?)?;
                let authentic = before.len().checked_sub(mki)?;
                let end = authentic.checked_sub(TRAILER).filter(|end| *end >= RTCP_HEAD)?;
                if !counter.is_right([&before[..authentic], &[]], tag) {
                    return None;
                }
                counter.apply(place, &mut packet[RTCP_HEAD..end]);
                Some(end)
            }
            Cipher::Galois(galois) => {
                let sealed = packet.len().checked_sub(mki + TRAILER)?;
                let end = sealed.checked_sub(GCM_TAG).filter(|end| *end >= RTCP_HEAD)?;
                let trailer = *packet[sealed..].first_chunk()?;
                let (head, body) = packet[..sealed].split_at_mut(RTCP_HEAD);
                galois.open(place, &with_trailer(head, trailer)?, body).then_some(end)
            }
        }
    }
}

/// What GCM authenticates of RTCP beside what it encrypts (RFC 7714 9.2).
fn with_trailer(head: &[u8], trailer: [u8; TRAILER]) -> Option<[u8; RTCP_HEAD + TRAILER]> {
    let mut octets = [0; RTCP_HEAD + TRAILER];
    octets[..RTCP_HEAD].copy_from_slice(head.first_chunk::<RTCP_HEAD>()?);
    octets[RTCP_HEAD..].copy_from_slice(&trailer);
    Some(octets)
}

/// Puts the parts behind a packet; gives its new length, or nothing where there is no room for all of them.
fn append(buffer: &mut [u8], len: usize, parts: [&[u8]; 3]) -> Option<usize> {
    let mut end = len;
    for part in parts {
        buffer.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    Some(end)
}

#[cfg(test)]
#[path = "tests_cipher.rs"]
mod tests;

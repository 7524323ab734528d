//! A keyed hash: SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012).
//!
//! It serves where a peer chooses what is hashed and must neither steer where it lands nor make a hash of his own: keys of tables
//! that hold a Call-ID or a branch, the marks that the node writes into messages, and nonces. An attacker sees outputs at most, never
//! the key; for that a short-input PRF is enough, at a tenth of the cost of HMAC with SHA-256, which stays for temporary GRUUs
//! (`sip::auth`). Two inputs with one 128-bit output are not to be expected: a table may take
//! the hash for the key.

use std::hash::{BuildHasher, Hasher};

/// A key. The default is for tests and for phones, which nobody floods; a node draws its own.
#[derive(Clone, Copy, Default)]
pub struct Key(u64, u64);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// That of the default.
    pub const UNKEYED: Key = Key(0, 0);

    /// From random octets.
    pub fn new(octets: [u8; 16]) -> Key {
        let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|nth| octets[at + nth]));
        Key(half(0), half(8))
    }

    /// The beginning of a hash.
    pub fn start(self) -> Hash {
        Hash {
            v: [
                self.0 ^ 0x736f_6d65_7073_6575,
                self.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                self.0 ^ 0x6c79_6765_6e65_7261,
                self.1 ^ 0x7465_6462_7974_6573,
            ],
            words: 0,
        }
    }

    /// The hash of some parts; two lists of parts that differ are two inputs.
    pub fn of(self, parts: &[&[u8]]) -> u128 {
        let mut hash = self.start();
        for part in parts {
            hash.part(part);
        }
        hash.end()
    }
}

/// Tables whose keys a peer chooses.
impl BuildHasher for Key {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        self.start()
    }
}

/// A hash under way. It is fed whole words: what is shorter is filled up with zeros behind its length, so that no two lists of parts
/// give the same words.
#[derive(Clone, Copy, Debug)]
pub struct Hash {
    v: [u64; 4],
    words: u64,
}

impl Hash {
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        *v0 = v0.wrapping_add(*v1);
        *v2 = v2.wrapping_add(*v3);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v1);
        *v0 = v0.wrapping_add(*v3);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.rotate_left(32);
    }

    fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.round();
        self.v[0] ^= word;
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        self.words += 1;
        self.word(number);
    }

    /// Octets, and how many.
    pub fn part(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        let (words, rest) = octets.as_chunks::<8>();
        self.words += words.len() as u64 + u64::from(!rest.is_empty());
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let last = match octets.last_chunk::<8>() {
                Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
                None => rest.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet)),
            };
            self.word(last);
        }
    }

    /// The 128 bits.
    pub fn end(mut self) -> u128 {
        let low = self.first_half();
        self.v[1] ^= 0xdd;
        for _ in 0..4 {
            self.round();
        }
        u128::from(self.v.iter().fold(0, |all, v| all ^ v)) << 64 | u128::from(low)
    }

    /// The lower 64 of them.
    fn first_half(&mut self) -> u64 {
        self.word((8 * self.words) << 56);
        self.v[2] ^= 0xee;
        for _ in 0..4 {
            self.round();
        }
        self.v.iter().fold(0, |all, v| all ^ v)
    }
}

impl Hasher for Hash {
    fn write(&mut self, octets: &[u8]) {
        self.part(octets);
    }

    fn write_u64(&mut self, number: u64) {
        self.number(number);
    }

    fn write_u16(&mut self, number: u16) {
        self.number(number.into());
    }

    fn write_isize(&mut self, number: isize) {
        self.number(number as u64);
    }

    fn finish(&self) -> u64 {
        let mut ending = *self;
        ending.first_half()
    }
}

/// Two digits of each octet.
const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\
                   303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\
                   606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f\
                   909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\
                   c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef\
                   f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

/// Appends octets in lower-case hex.
pub fn push_hex(text: &mut String, octets: &[u8]) {
    text.reserve(2 * octets.len());
    for octet in octets {
        let at = 2 * usize::from(*octet);
        text.push_str(&HEX[at..at + 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(std::array::from_fn(|n| n as u8))
    }

    /// Of the vectors of the reference implementation (`vectors_sip128` of its authors) those of whole words: no octet, and 00 01 ...
    /// 07.
    #[test]
    fn the_vectors_of_the_reference() {
        let read = |hash: Hash| -> String {
            hash.end()
                .to_le_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        assert_eq!(read(key().start()), "a3817f04ba25a8e66df67214c7550293");
        let mut hash = key().start();
        hash.number(0x0706_0504_0302_0100);
        assert_eq!(read(hash), "3b62a9ba6258f5610f83e264f31497b4");
        assert_eq!(hash.finish(), hash.end() as u64);
    }

    #[test]
    fn a_part_is_its_length_and_its_octets_filled_up() {
        for length in 0..40u8 {
            let octets: Vec<u8> = (1..=length).collect();
            let (mut part, mut words) = (key().start(), key().start());
            part.part(&octets);
            words.number(length.into());
            for chunk in octets.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                words.number(u64::from_le_bytes(word));
            }
            assert_eq!(part.end(), words.end(), "{length}");
        }
    }

    #[test]
    fn parts_are_kept_apart_and_the_key_counts() {
        let of = |parts: &[&[u8]]| key().of(parts);
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab", b""]), of(&[b"ab"]));
        assert_ne!(of(&[b"ab"]), Key::default().of(&[b"ab"]));
        assert_eq!(format!("{:?}", key()), "Key(***)");
    }

    #[test]
    fn hex_digits() {
        let mut text = String::from("x");
        let all: Vec<u8> = (0..=255).collect();
        push_hex(&mut text, &all);
        let expected: String = all.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(text, format!("x{expected}"));
    }
}

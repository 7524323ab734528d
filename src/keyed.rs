//! A keyed hash: SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012).
//!
//! It serves where a peer chooses what is hashed and must neither steer where it lands nor make a hash of his own: keys of tables
//! that hold a Call-ID or a branch, and the marks that the proxy writes into requests. An attacker sees outputs at most, never the
//! key, which lives as long as the process; for that a short-input PRF is enough, at a tenth of the cost of HMAC with SHA-256, which
//! stays where a password is behind it (`sip::auth`). Two inputs with one 128-bit output are not to be expected: a table may take
//! the hash for the key.

use std::hash::{BuildHasher, Hasher};

/// A key. The default is for tests; a node draws its own.
#[derive(Clone, Copy, Default)]
pub struct Key(u64, u64);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// From random octets.
    pub fn new(octets: [u8; 16]) -> Key {
        let half = |at: usize| {
            let bytes = octets[at..at + 8].iter().rev();
            bytes.fold(0, |word: u64, byte| word << 8 | u64::from(*byte))
        };
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
            tail: 0,
            length: 0,
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

/// A hash under way.
#[derive(Clone, Copy, Debug)]
pub struct Hash {
    v: [u64; 4],
    /// Octets that are not a whole word yet, the first lowest.
    tail: u64,
    length: usize,
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

    /// Octets that go on where the last ones ended.
    pub fn push(&mut self, octets: &[u8]) {
        let filled = 8 * (self.length % 8);
        self.length += octets.len();
        let mut words = octets.chunks_exact(8);
        for chunk in &mut words {
            let word = chunk
                .iter()
                .rev()
                .fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
            self.whole(word, filled);
        }
        for (nth, byte) in words.remainder().iter().enumerate() {
            self.tail |= u64::from(*byte) << ((filled + 8 * nth) % 64);
            if (filled + 8 * nth) % 64 == 56 {
                let word = std::mem::take(&mut self.tail);
                self.word(word);
            }
        }
    }

    /// Eight octets behind those that wait.
    fn whole(&mut self, word: u64, filled: usize) {
        if filled == 0 {
            return self.word(word);
        }
        let full = self.tail | word << filled;
        self.tail = word >> (64 - filled);
        self.word(full);
    }

    /// A part of its own: its length tells where it ends.
    pub fn part(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.push(octets);
    }

    /// Eight octets.
    pub fn number(&mut self, number: u64) {
        let filled = 8 * (self.length % 8);
        self.length += 8;
        self.whole(number, filled);
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
        let word = self.tail | (self.length as u64) << 56;
        self.word(word);
        self.v[2] ^= 0xee;
        for _ in 0..4 {
            self.round();
        }
        self.v.iter().fold(0, |all, v| all ^ v)
    }
}

impl Hasher for Hash {
    fn write(&mut self, octets: &[u8]) {
        self.push(octets);
    }

    fn write_u64(&mut self, number: u64) {
        self.number(number);
    }

    fn finish(&self) -> u64 {
        let mut ending = *self;
        ending.first_half()
    }
}

/// Appends so many of the lowest digits of a number in lower-case hex.
pub fn push_hex(text: &mut String, number: u128, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) & 15;
        text.push(char::from(b"0123456789abcdef"[digit as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(std::array::from_fn(|n| n as u8))
    }

    /// The first vectors of the reference implementation (`vectors_sip128` of its authors): 0, 1, 2, ... octets 00 01 02 ...
    #[test]
    fn the_vectors_of_the_reference() {
        let expected = [
            "a3817f04ba25a8e66df67214c7550293",
            "da87c1d86b99af44347659119b22fc45",
            "8177228da4a45dc7fca38bdef60affe4",
            "9c70b60c5267a94e5f33b6b02985ed51",
            "f88164c12d9c8faf7d0f6e7c7bcd5579",
            "1368875980776f8854527a07690e9627",
            "14eeca338b208613485ea0308fd7a15e",
            "a1f1ebbed8dbc153c0b84aa61ff08239",
            "3b62a9ba6258f5610f83e264f31497b4",
        ];
        for (length, expected) in expected.iter().enumerate() {
            let input: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut hash = key().start();
            hash.push(&input);
            let read: String = hash
                .end()
                .to_le_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(read, *expected, "{length} octets");
        }
    }

    #[test]
    fn octets_in_pieces_are_the_same_octets() {
        let input: Vec<u8> = (0..60).collect();
        let mut whole = key().start();
        whole.push(&input);
        for first in 0..input.len() {
            for second in first..input.len() {
                let mut hash = key().start();
                hash.push(&input[..first]);
                hash.push(&input[first..second]);
                hash.push(&input[second..]);
                assert_eq!(hash.end(), whole.end(), "{first} {second}");
            }
        }
        let mut numbers = key().start();
        numbers.push(b"abc");
        numbers.number(7);
        let mut octets = key().start();
        octets.push(b"abc\x07\0\0\0\0\0\0\0");
        assert_eq!(numbers.end(), octets.end());
        assert_eq!(numbers.finish(), numbers.end() as u64);
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
        push_hex(&mut text, 0xabc, 4);
        push_hex(&mut text, 0x1234, 2);
        assert_eq!(text, "x0abc34");
    }
}

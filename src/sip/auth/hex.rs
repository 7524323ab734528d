//! Hex digits in place: hashes, nonces and counts are written and compared without the heap.

use std::fmt;

/// Up to 64 digits in lower case, as many as SHA-256 has.
#[derive(Clone, Copy)]
pub(super) struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    /// None yet.
    pub(super) const EMPTY: Hex = Hex {
        digits: [0; 64],
        length: 0,
    };

    /// Two for each octet.
    pub(super) fn of(octets: &[u8]) -> Hex {
        Hex::EMPTY.and(octets)
    }

    /// These behind those that are there. What is beyond 64 digits is left out.
    pub(super) fn and(mut self, octets: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (pair, octet) in self.digits[self.length..].chunks_exact_mut(2).zip(octets) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
            self.length += 2;
        }
        self
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(self.as_bytes()).expect("digits are ASCII"))
    }
}

/// The number that at most sixteen digits in lower case stand for.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _no_digit => None,
    };
    let digits = Some(digits).filter(|digits| !digits.is_empty() && digits.len() <= 16)?;
    digits
        .iter()
        .try_fold(0, |number: u64, digit| Some(number << 4 | u64::from(value(*digit)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let written = Hex::of(&0x0123_4567_89ab_cdef_u64.to_be_bytes()).and(&[0xf0]);
        assert_eq!(written.to_string(), "0123456789abcdeff0");
        assert_eq!(number(&written.as_bytes()[..16]), Some(0x0123_4567_89ab_cdef));
        for odd in ["", "+1", "A", "g", "0123456789abcdef0", "\u{fc}"] {
            assert_eq!(number(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(Hex::of(&[7; 40]).as_bytes().len(), 64);
    }
}

//! What must not be read in a log: secrets never print, numbers and user names print in part.

use std::fmt;
use zeroize::Zeroize;

/// A password or key: prints as `***`, is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself: for hashing and comparing, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Octets of a key: print as `***`, are wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretOctets(Box<[u8]>);

impl SecretOctets {
    /// A copy of these.
    pub fn new(octets: &[u8]) -> Self {
        SecretOctets(octets.into())
    }

    /// The octets themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretOctets {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A DTMF digit, `0-9*#A-D`: people dial PINs with them. Prints as `*`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digit(pub char);

impl From<char> for Digit {
    fn from(digit: char) -> Self {
        Digit(digit)
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*")
    }
}

/// DTMF digits in a row: print as `***`, however many they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(pub String);

impl From<String> for Digits {
    fn from(digits: String) -> Self {
        Digits(digits)
    }
}

impl From<&str> for Digits {
    fn from(digits: &str) -> Self {
        Digits(digits.to_owned())
    }
}

impl PartialEq<str> for Digits {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Digits that make a telephone number.
const NUMBER: usize = 7;

/// A number or a user name as a log may show it: telephone numbers lose their middle (`+1415***101`), names stay. Control
/// characters become `?`: what a peer wrote must not begin a line of its own.
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.bytes().filter(u8::is_ascii_digit).count();
        let is_number = digits >= NUMBER && self.0.bytes().all(|b| b.is_ascii_digit() || b"+-.() ".contains(&b));
        if !is_number {
            return plain(self.0, f);
        }
        let head: String = self.0.chars().take(5).collect();
        let tail: String = self.0.chars().skip(self.0.chars().count() - 3).collect();
        write!(f, "{head}***{tail}")
    }
}

/// A sentence as a log may show it: every telephone number in it (seven digits and more in a row) loses its middle, and
/// control characters become `?`.
pub struct Scrubbed<'a>(pub &'a str);

impl fmt::Display for Scrubbed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().filter(u8::is_ascii_digit).count() < NUMBER {
            return plain(self.0, f);
        }
        for word in self.0.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '+')) {
            let end = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '+'));
            write!(f, "{}", Redacted(end))?;
            plain(&word[end.len()..], f)?;
        }
        Ok(())
    }
}

fn plain(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return f.write_str(text);
    }
    text.chars()
        .try_for_each(|c| fmt::Write::write_char(f, if c.is_control() { '?' } else { c }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print_and_numbers_lose_their_middle() {
        assert_eq!(
            format!("{:?} {}", Secret::new("swordfish"), Secret::new("x")),
            "*** ***"
        );
        assert_eq!(Redacted("+14155550101").to_string(), "+1415***101");
        assert_eq!(Redacted("alice").to_string(), "alice");
        assert_eq!(Redacted("600").to_string(), "600");
        assert_eq!(Redacted("a\r\nb\u{1b}[2J").to_string(), "a??b?[2J");
    }

    #[test]
    fn digits_do_not_print_whoever_carries_them() {
        use crate::id::MediaLegId;
        use crate::media::command::{Command, Event};
        use crate::phone;
        let (leg, digits) = (MediaLegId(1), "83");
        let printed = [
            format!(
                "{:?}",
                Command::SendDigits {
                    leg,
                    digits: digits.into()
                }
            ),
            format!(
                "{:?}",
                Event::Digit {
                    leg,
                    digit: '8'.into(),
                    ms: 100
                }
            ),
            format!("{:?}", phone::Command::Digits(digits.into())),
            format!("{:?}", phone::Report::Digit('8'.into())),
        ];
        for text in printed {
            assert!(text.contains("Digit") && !text.contains(['8', '3']), "{text}");
        }
    }

    #[test]
    fn a_sentence_loses_the_middle_of_its_numbers_only() {
        let shown = |text| Scrubbed(text).to_string();
        assert_eq!(
            shown("routes[2] at line 31: to +14155550101, from user/* -> user/14155550102"),
            "routes[2] at line 31: to +1415***101, from user/* -> user/14155***102"
        );
        assert_eq!(
            shown("call c12345678 from 192.0.2.10:5060\n"),
            "call c12345678 from 192.0.2.10:5060?"
        );
        assert_eq!(shown("4155550101@example.com"), "41555***101@example.com");
    }
}

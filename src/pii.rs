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

/// Digits that make a telephone number: with fewer it is an extension, which stays readable.
const NUMBER: usize = 7;
/// Of a number's digits these may be seen in front and at its end, and as many as this are never.
const HEAD: usize = 4;
const TAIL: usize = 3;
const HIDDEN: usize = 4;
/// What people write between two digits is no longer than this.
const BETWEEN: usize = 3;

/// Text as a log may show it: telephone numbers in it lose their middle (`+1415***101`, `***101`), however they are written (`00`, separators,
/// `tel:`, as the user of a SIP URI, with escapes); names, extensions, IP addresses and dates stay. Control characters become `?`: what a peer wrote must not begin a
/// line of its own.
pub struct Scrubbed<'a>(pub &'a str);

impl fmt::Display for Scrubbed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, number)) = first_number(rest) {
            plain(&rest[..at], f)?;
            number.write(f)?;
            rest = &rest[at + number.bytes..];
        }
        plain(rest, f)
    }
}

/// A telephone number in a text.
#[derive(Debug, Default)]
struct Number {
    has_plus: bool,
    digits: Vec<char>,
    bytes: usize,
}

impl Number {
    /// The one that a text begins with, if it does.
    fn read(text: &str) -> Number {
        let mut number = Number::default();
        let mut at = 0;
        if let Some((Unit::Plus, bytes)) = Unit::first(text) {
            (number.has_plus, at) = (true, bytes);
        }
        loop {
            let before = number.digits.len();
            while let Some((Unit::Digit(digit), bytes)) = Unit::first(&text[at..]) {
                number.digits.push(digit);
                at += bytes;
            }
            if number.digits.len() == before {
                return number;
            }
            number.bytes = at;
            let mut is_apart = false;
            for _ in 0..BETWEEN {
                let Some((Unit::Between { is_space }, bytes)) = Unit::first(&text[at..]) else {
                    break;
                };
                is_apart |= is_space;
                at += bytes;
            }
            let rest = &text[at..];
            // A sentence may go on with a number of something else.
            let is_other = kept(rest).is_some() || (is_apart && !has_two_digits(rest));
            if is_other {
                return number;
            }
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.digits.len();
        let head = count.saturating_sub(TAIL + HIDDEN).min(HEAD);
        let text = |digits: &[char]| digits.iter().collect::<String>();
        let plus = if self.has_plus { "+" } else { "" };
        let (head, tail) = (text(&self.digits[..head]), text(&self.digits[count - TAIL..]));
        write!(f, "{plus}{head}***{tail}")
    }
}

/// What numbers are written with.
enum Unit {
    Digit(char),
    Plus,
    Between { is_space: bool },
}

impl Unit {
    /// The first of a text, and its octets.
    fn first(text: &str) -> Option<(Unit, usize)> {
        let first = text.chars().next()?;
        let escaped = || text.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (unit, bytes) = match (first, escaped()) {
            ('%', Some(octet)) if octet.is_ascii() => (char::from(octet), 3),
            _ => (first, first.len_utf8()),
        };
        // RFC 3966 5.1.1, and what else is in use; the figures of other scripts are digits, too.
        let unit = match unit {
            '+' | '\u{ff0b}' => Unit::Plus,
            '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' => Unit::Between { is_space: false },
            space if space == ' ' || (!space.is_ascii() && space.is_whitespace()) => Unit::Between { is_space: true },
            digit if digit.is_numeric() => Unit::Digit(digit),
            _ => return None,
        };
        Some((unit, bytes))
    }
}

fn has_two_digits(text: &str) -> bool {
    let mut rest = text;
    (0..2).all(|_| {
        let digit = Unit::first(rest).filter(|(unit, _)| matches!(unit, Unit::Digit(_)));
        rest = &rest[digit.as_ref().map_or(0, |(_, bytes)| *bytes)..];
        digit.is_some()
    })
}

/// The first number in a text, and where it begins.
fn first_number(text: &str) -> Option<(usize, Number)> {
    if text.len() < NUMBER {
        return None;
    }
    let (mut at, mut is_word) = (0, false);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let bytes = kept(rest).filter(|_| !is_word);
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => {
                let number = Number::read(rest);
                if number.digits.len() >= NUMBER {
                    return Some((at, number));
                }
                number.bytes.max(first.len_utf8())
            }
        };
        is_word = rest[..bytes].chars().next_back().is_some_and(char::is_alphanumeric);
        at += bytes;
    }
    None
}

/// The octets of what a text begins with, where that has digits and is no telephone number.
fn kept(text: &str) -> Option<usize> {
    address(text).or_else(|| date(text)).or_else(|| id(text))
}

/// An address of IPv4, unless it stands where users do.
fn address(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let address = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    let is_address = address.parse::<std::net::Ipv4Addr>().is_ok() && !text[address.len()..].starts_with('@');
    is_address.then_some(address.len())
}

/// `2026-12-01`, `2026/12/01`.
fn date(text: &str) -> Option<usize> {
    let date = text.get(..10)?.as_bytes();
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u8>().ok();
    let is_date = date[..2] == *b"20"
        && number(&date[2..4]).is_some()
        && matches!((date[4], date[7]), (b'-', b'-') | (b'/', b'/'))
        && number(&date[5..7]).is_some_and(|month| (1..=12).contains(&month))
        && number(&date[8..10]).is_some_and(|day| (1..=31).contains(&day))
        && !text[10..].starts_with(|c: char| c.is_numeric());
    is_date.then_some(10)
}

/// A call as this node names it, or a long word of hexadecimal digits that has letters, too.
fn id(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let (word, is_hex) = (&text[..end], |word: &str| word.bytes().all(|b| b.is_ascii_hexdigit()));
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_call = word
        .strip_prefix('c')
        .is_some_and(|number| !number.is_empty() && is_hex(number));
    let is_long = word.len() >= 16 && letters >= 3 && is_hex(word);
    (is_call || is_long).then_some(end)
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
        assert_eq!(Scrubbed("+14155550101").to_string(), "+1415***101");
        assert_eq!(Scrubbed("alice").to_string(), "alice");
        assert_eq!(Scrubbed("600").to_string(), "600");
        assert_eq!(Scrubbed("a\r\nb\u{1b}[2J").to_string(), "a??b?[2J");
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

    /// Whatever is between its digits, and whatever stands around it; of each at least four digits are not shown.
    #[test]
    fn no_number_of_seven_digits_or_more_is_shown_whole() {
        for (written, shown) in [
            ("5550101", "***101"),
            ("55501012", "5***012"),
            ("555010123", "55***123"),
            ("4155550101", "415***101"),
            ("14155550101", "1415***101"),
            ("+4930123456", "+493***456"),
            ("004930123456", "0049***456"),
            ("555-0101", "***101"),
            ("+1 (415) 555-0101", "+1415***101"),
            ("(415) 555.0101", "(415***101"),
            ("030/123456", "03***456"),
            ("06 12 34 56 78", "061***678"),
            ("+49\u{a0}30\u{2011}1234567", "+4930***567"),
            ("tel:+1-415-555-0101;ext=22", "tel:+1415***101;ext=22"),
            ("tel:5550101;phone-context=+1415", "tel:***101;phone-context=+1415"),
            ("sip:5550101@192.0.2.10:5060", "sip:***101@192.0.2.10:5060"),
            ("sip:41.55.55.10@example.com", "sip:4***510@example.com"),
            ("<sip:%2B14155550101@example.com>", "<sip:+1415***101@example.com>"),
            ("sip:%34155550101@example.com", "sip:415***101@example.com"),
            (
                "sip:+14155550101;npdi;rn=+14155550000@x",
                "sip:+1415***101;npdi;rn=+1415***000@x",
            ),
            ("user/14155550101x22", "user/1415***101x22"),
            ("line5550101", "line***101"),
            ("u_5550101, 5550102", "u_***101, ***102"),
            (
                "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}",
                "***\u{665}\u{666}\u{667}",
            ),
        ] {
            assert_eq!(Scrubbed(written).to_string(), shown, "{written}");
        }
        let mut digits = String::new();
        for count in 1..=20 {
            digits.push_str(&(count % 10).to_string());
            let shown = Scrubbed(&digits).to_string();
            let seen = shown.bytes().filter(u8::is_ascii_digit).count();
            assert!(
                if count < NUMBER {
                    seen == count
                } else {
                    seen <= 7 && seen + HIDDEN <= count
                },
                "{shown}"
            );
        }
    }

    #[test]
    fn a_sentence_loses_the_middle_of_its_numbers_only() {
        let shown = |text| Scrubbed(text).to_string();
        assert_eq!(
            shown("routes[2] at line 31: to +14155550101, from user/* -> user/14155550102"),
            "routes[2] at line 31: to +1415***101, from user/* -> user/1415***102"
        );
        assert_eq!(
            shown("call c12345678 from 192.0.2.10:5060\n"),
            "call c12345678 from 192.0.2.10:5060?"
        );
        assert_eq!(shown("4155550101@example.com"), "415***101@example.com");
        for same in [
            "room 3000 has 12 members; alice and 101 and 65432",
            "from [2001:db8::1]:50002 to 192.0.2.10:5060, by 198.51.100.20",
            "what its members say is recorded in 2026-12-01/c5-m*, and in 2026/12/01",
            "until 2026-12-01T15:42:34Z, 503 within 65000 ms",
            "call c1234567a and 8f14e45fceea167a5a36dedd40000000",
        ] {
            assert_eq!(shown(same), same);
        }
    }
}

//! The small grammars that values share (RFC 3261 25.1): tokens, quoted strings, lists. Those of digest, which is read once a
//! request, are in nom.
//!
//! Each of these reads its input once, left to right, and none calls itself: time is linear in the octets of a value.

use memchr::memchr;
use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{anychar, char};
use nom::combinator::recognize;
use nom::multi::many0_count;
use nom::sequence::{delimited, pair};
use nom::{IResult, Parser};
use std::borrow::Cow;
use std::fmt;

/// What the rules here give: the rest, and what was read.
pub(super) type Read<'a, T> = IResult<&'a str, T>;

/// Octets of `token` (RFC 3261 25.1).
pub(super) const TOKEN: u8 = 1;
/// Octets of a host that is a name or an IPv4 address; the underscore is met in the field.
pub(super) const HOST: u8 = 2;
/// Octets of a parameter's name that is not escaped.
pub(super) const NAME: u8 = 8;
/// Octets of a parameter's value that needs no quotes: `token`, and what addresses need.
pub(super) const PLAIN: u8 = 16;
/// Octets of a user part that is not escaped and has no parameters.
pub(super) const USER: u8 = 32;
/// Octets of a quoted string that are not escaped.
pub(super) const QUOTABLE: u8 = 64;

/// The classes of each octet.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let byte = octet as u8;
        if byte.is_ascii_alphanumeric() || is_one_of(byte, b"-.!%*_+`'~") {
            classes[octet] |= TOKEN;
        }
        if byte.is_ascii_alphanumeric() || is_one_of(byte, b"-._") {
            classes[octet] |= HOST;
        }
        if classes[octet] & TOKEN != 0 {
            classes[octet] |= PLAIN;
            if byte != b'%' {
                classes[octet] |= NAME;
            }
        }
        if is_one_of(byte, b"[]:") {
            classes[octet] |= PLAIN;
        }
        if byte.is_ascii_alphanumeric() || is_one_of(byte, b"-_.!~*'()&=+$,") {
            classes[octet] |= USER;
        }
        if byte >= b' ' && byte < 0x7f && !is_one_of(byte, b"\"\\") {
            classes[octet] |= QUOTABLE;
        }
        octet += 1;
    }
    classes
}

const fn is_one_of(byte: u8, list: &[u8]) -> bool {
    let mut at = 0;
    while at < list.len() {
        if list[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

/// True for an octet of this class.
pub(super) fn is_class(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// `token` of RFC 3261 25.1.
pub(super) fn is_token_byte(byte: u8) -> bool {
    is_class(byte, TOKEN)
}

/// True for a text that may stand where the grammar wants `token`.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// LWS that has been unfolded: any number of spaces and tabs.
pub(super) fn lws(input: &str) -> Read<'_, &str> {
    take_while(|c| c == ' ' || c == '\t').parse(input)
}

/// `token`.
pub(super) fn token(input: &str) -> Read<'_, &str> {
    take_while1(|c: char| u8::try_from(c).is_ok_and(is_token_byte)).parse(input)
}

/// `quoted-string` without its quotes, escapes and all.
pub(super) fn quoted_text(input: &str) -> Read<'_, &str> {
    let plain = take_while1(|c| c != '"' && c != '\\');
    let escape = recognize(pair(char('\\'), anychar));
    let inside = recognize(many0_count(alt((plain, escape))));
    delimited(char('"'), inside, char('"')).parse(input)
}

/// Resolves the `\x` of a quoted string.
pub(super) fn unescape_quoted(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    Cow::Owned(plain)
}

/// Writes a `quoted-string`.
pub(super) fn write_quoted(f: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if c == '"' || c == '\\' {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

/// The elements of a list, cut at the commas outside quotes and angle brackets (RFC 3261 7.3.1), trimmed; empty ones are left out.
#[derive(Clone, Debug)]
pub(super) struct Parts<'t> {
    rest: Option<&'t str>,
}

/// Cuts a list.
pub(super) fn split_list(text: &str) -> Parts<'_> {
    Parts { rest: Some(text) }
}

impl<'t> Iterator for Parts<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        loop {
            let text = self.rest?;
            let part = match comma(text.as_bytes()) {
                Some(at) => {
                    self.rest = Some(&text[at + 1..]);
                    &text[..at]
                }
                None => {
                    self.rest = None;
                    text
                }
            };
            let part = trimmed(part);
            if !part.is_empty() {
                return Some(part);
            }
        }
    }
}

/// Where the first element of a list ends, if there are more: at the first comma outside quotes and angle brackets.
pub fn first_comma(text: &str) -> Option<usize> {
    comma(text.as_bytes())
}

/// The same of octets.
pub(super) fn comma(text: &[u8]) -> Option<usize> {
    // Most lists have one element.
    memchr(b',', text)?;
    let (mut quoted, mut escaped, mut bracket) = (false, false, false);
    for (at, byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' if !bracket => quoted = !quoted,
            b'<' if !quoted => bracket = true,
            b'>' if !quoted => bracket = false,
            b',' if !quoted && !bracket => return Some(at),
            _ => {}
        }
    }
    None
}

/// Without LWS at both ends, folding included.
pub(super) fn trimmed(text: &str) -> &str {
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let octets = text.as_bytes();
    let first = octets.iter().position(|octet| !is_blank(octet)).unwrap_or(octets.len());
    let last = octets
        .iter()
        .rposition(|octet| !is_blank(octet))
        .map_or(first, |last| last + 1);
    &text[first..last]
}

/// What LWS consists of, folding included.
pub(super) const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_outside_quotes_and_brackets() {
        let cases: [(&str, &[&str]); 6] = [
            ("a, b ,c", &["a", "b", "c"]),
            (
                r#""Bell, A" <sip:a,b@x>, <sip:c>"#,
                &[r#""Bell, A" <sip:a,b@x>"#, "<sip:c>"],
            ),
            (r#""a\",b", c"#, &[r#""a\",b""#, "c"]),
            (" , ,, ", &[]),
            ("", &[]),
            (r#"<sip:a>;x="1,2",b"#, &[r#"<sip:a>;x="1,2""#, "b"]),
        ];
        for (text, parts) in cases {
            assert_eq!(split_list(text).collect::<Vec<_>>(), parts, "{text}");
        }
    }

    #[test]
    fn quoted_strings_end_or_fail() {
        assert_eq!(quoted_text(r#""a\\\"b" c"#).unwrap(), (" c", r#"a\\\"b"#));
        assert_eq!(unescape_quoted(r#"a\\\"b"#), r#"a\"b"#);
        assert!(quoted_text("\"never ends").is_err());
        assert!(quoted_text("\"ends in an escape\\\"").is_err());
        assert_eq!(quoted_text("\"\"").unwrap().1, "");
    }
}

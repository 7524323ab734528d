//! The small grammars that values share (RFC 3261 25.1), in nom: tokens, quoted strings, parameters, lists.
//!
//! Each of these reads its input once, left to right, and none calls itself: time is linear in the octets of a value.

use super::header::Params;
use crate::limits::SIP_PARAMS;
use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{anychar, char};
use nom::combinator::{map, opt, recognize};
use nom::multi::{many_m_n, many0_count};
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};
use std::borrow::Cow;
use std::fmt;

/// What the rules here give: the rest, and what was read.
pub(super) type Read<'a, T> = IResult<&'a str, T>;

/// `token` of RFC 3261 25.1.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
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

/// One character with LWS on both sides: SEMI, EQUAL, SLASH, COLON of RFC 3261 25.1.
pub(super) fn around<'a>(separator: char) -> impl Parser<&'a str, Output = char, Error = nom::error::Error<&'a str>> {
    delimited(lws, char(separator), lws)
}

/// `quoted-string` without its quotes and escapes.
pub(super) fn quoted(input: &str) -> Read<'_, Cow<'_, str>> {
    let plain = take_while1(|c| c != '"' && c != '\\');
    let escape = recognize(pair(char('\\'), anychar));
    let inside = recognize(many0_count(alt((plain, escape))));
    map(delimited(char('"'), inside, char('"')), unescape_quoted).parse(input)
}

/// Resolves the `\x` of a quoted string.
fn unescape_quoted(text: &str) -> Cow<'_, str> {
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

/// The value of a header parameter: quoted, or whatever reaches to the next separator. More is taken than `token / host`,
/// because `received=2001:db8::1` and `rport=` are met in the field.
fn param_value(input: &str) -> Read<'_, Cow<'_, str>> {
    let plain = take_while(|c: char| !c.is_ascii_whitespace() && !";,\"<>".contains(c));
    alt((quoted, map(plain, Cow::Borrowed))).parse(input)
}

/// `;name=value;flag` of a header value, at most `SIP_PARAMS`. One semicolon too many at the end is overlooked, in the middle it is not.
pub(super) fn params(input: &str) -> Read<'_, Params> {
    let value = opt(preceded(around('='), param_value));
    let param = map(preceded(around(';'), pair(token, value)), |(name, value)| {
        (name.into(), value.map(|value| value.into_owned().into()))
    });
    let end = pair(opt(pair(lws, char(';'))), lws);
    let (rest, list) = terminated(many_m_n(0, SIP_PARAMS, param), end).parse(input)?;
    Ok((rest, Params(list)))
}

/// Cuts a list at the commas outside quotes and angle brackets (RFC 3261 7.3.1), trims, and drops empty elements.
pub(super) fn split_list(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut bracket) = (0, false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' if !bracket => quoted = !quoted,
            b'<' if !quoted => bracket = true,
            b'>' if !quoted => bracket = false,
            b',' if !quoted && !bracket => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
        .iter()
        .map(|part| part.trim_matches(BLANK))
        .filter(|part| !part.is_empty())
        .collect()
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
            assert_eq!(split_list(text), parts, "{text}");
        }
    }

    #[test]
    fn parameters_with_blanks_quotes_and_one_semicolon_too_many() {
        let (rest, read) = params(r#" ; a = 1 ;b; c="x\"y;z";d=[::1] ;"#).unwrap();
        assert_eq!(rest, "");
        assert_eq!(read.value("a"), Some("1"));
        assert_eq!(read.get("B"), Some(None));
        assert_eq!(read.value("c"), Some(r#"x"y;z"#));
        assert_eq!(read.value("d"), Some("[::1]"));
        assert_eq!(params(";;a").unwrap().0, ";a");
    }

    #[test]
    fn quoted_strings_end_or_fail() {
        assert_eq!(quoted(r#""a\\\"b" c"#).unwrap(), (" c", Cow::Borrowed(r#"a\"b"#)));
        assert!(quoted("\"never ends").is_err());
        assert!(quoted("\"ends in an escape\\\"").is_err());
        assert_eq!(quoted("\"\"").unwrap().1, "");
    }
}

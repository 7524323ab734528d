//! A line of challenges or credentials as it is written (RFC 3261 25.1, RFC 7235 4.1), with nothing copied. One pass, left to right.

use crate::config::Algorithm;
use crate::sip::grammar::{Read, lws, quoted_text, token};
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::char;
use nom::combinator::{map, opt};
use nom::sequence::{pair, preceded};
use smallvec::SmallVec;
use std::borrow::Cow;

/// A challenge or credentials as read: the scheme and its parameters.
pub(super) struct Scheme<'t> {
    name: &'t str,
    /// Ten is what credentials with everything have.
    params: SmallVec<[Param<'t>; 10]>,
}

type Param<'t> = (&'t str, Value<'t>);

/// The value of a parameter as it is written.
#[derive(Clone, Copy)]
enum Value<'t> {
    Plain(&'t str),
    /// What is between the quotes, escapes and all.
    Quoted(&'t str),
}

impl<'t> Value<'t> {
    fn read(self) -> Cow<'t, str> {
        match self {
            Value::Quoted(inside) if inside.contains('\\') => {
                let mut plain = String::with_capacity(inside.len());
                let mut chars = inside.chars();
                while let Some(c) = chars.next() {
                    plain.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                plain.into()
            }
            Value::Plain(text) | Value::Quoted(text) => text.into(),
        }
    }
}

impl<'t> Scheme<'t> {
    pub(super) fn is_digest(&self) -> bool {
        self.name.eq_ignore_ascii_case("Digest")
    }

    pub(super) fn get(&self, name: &str) -> Option<Cow<'t, str>> {
        self.params
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.read())
    }

    /// `Some(MD5)` without the parameter; `None` for one that we do not speak, the `-sess` forms among them.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        match self.get("algorithm") {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }
}

/// Reads one header line that may hold several challenges. Stops at what it can't read; what stands before that counts.
pub(super) fn schemes(line: &str) -> SmallVec<[Scheme<'_>; 1]> {
    let mut list: SmallVec<[Scheme<'_>; 1]> = SmallVec::new();
    let mut rest = line;
    while let Ok((after, (name, param))) = item(rest.trim_start_matches([',', ' ', '\t'])) {
        if let Some(name) = name {
            list.push(Scheme {
                name,
                params: SmallVec::new(),
            });
        }
        if let (Some(scheme), Some(param)) = (list.last_mut(), param) {
            scheme.params.push(param);
        }
        rest = after;
    }
    list
}

/// `=` and a value, quoted or not (RFC 3261 25.1, `auth-param`).
fn value(input: &str) -> Read<'_, Value<'_>> {
    let plain = take_while1(|c: char| !c.is_ascii_whitespace() && c != ',' && c != '"');
    preceded(
        (lws, char('='), lws),
        alt((map(quoted_text, Value::Quoted), map(plain, Value::Plain))),
    )
    .parse(input)
}

/// The next thing in a line: a scheme begins, a parameter, or both.
type Item<'t> = (Option<&'t str>, Option<Param<'t>>);

/// RFC 7235 4.1: a token and a space before a parameter begin the next challenge.
fn item(input: &str) -> Read<'_, Item<'_>> {
    let (rest, first) = token(input)?;
    if let Ok((rest, value)) = value(rest) {
        return Ok((rest, (None, Some((first, value)))));
    }
    let of_first = map(preceded(blanks, pair(token, value)), |param| (Some(first), Some(param)));
    // `Negotiate`, or `Basic YWJj`: nothing in it is for us.
    let other = map(opt((blanks, take_till(|c| c == ','))), |_| (Some(first), None));
    alt((of_first, other)).parse(rest)
}

fn blanks(input: &str) -> Read<'_, &str> {
    take_while1(|c| c == ' ' || c == '\t').parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<(String, Vec<(String, String)>)> {
        let params = |scheme: &Scheme<'_>| {
            let params = scheme.params.iter();
            params
                .map(|(name, value)| (name.to_string(), value.read().into_owned()))
                .collect()
        };
        schemes(line)
            .iter()
            .map(|scheme| (scheme.name.to_owned(), params(scheme)))
            .collect()
    }

    /// Scheme, and parameters as they are read.
    type Shape<'a> = (&'a str, &'a [(&'a str, &'a str)]);

    #[test]
    fn lines_in_all_their_shapes() {
        let cases: [(&str, &[Shape<'_>]); 14] = [
            ("Digest a=b", &[("Digest", &[("a", "b")])]),
            (
                "\t, Digest\ta = \"b\" ,, c=d,",
                &[("Digest", &[("a", "b"), ("c", "d")])],
            ),
            (
                "Digest a=b, Basic x=\"y\"",
                &[("Digest", &[("a", "b")]), ("Basic", &[("x", "y")])],
            ),
            (
                "Negotiate, NTLM abc==, Digest a=b",
                &[("Negotiate", &[]), ("NTLM", &[("abc", "=")]), ("Digest", &[("a", "b")])],
            ),
            (
                r#"Digest a="b\"c\\", d="e, f""#,
                &[("Digest", &[("a", "b\"c\\"), ("d", "e, f")])],
            ),
            ("Digest a=\"\", b=c", &[("Digest", &[("a", ""), ("b", "c")])]),
            ("Digest a=\"ü\\ü\"", &[("Digest", &[("a", "üü")])]),
            // A parameter before any scheme belongs to none.
            ("a=b, Digest c=d", &[("Digest", &[("c", "d")])]),
            // What can't be read ends the line.
            ("Digest a=b, c=\"never ends", &[("Digest", &[("a", "b")]), ("c", &[])]),
            (
                "Digest a=b, c=\"ends in an escape\\\"",
                &[("Digest", &[("a", "b")]), ("c", &[])],
            ),
            ("Digest a=b, =c, d=e", &[("Digest", &[("a", "b")])]),
            ("Digest a=, b=c", &[("Digest", &[("b", "c")])]),
            ("Digest", &[("Digest", &[])]),
            ("", &[]),
        ];
        for (line, expected) in cases {
            let owned = |(name, params): &Shape<'_>| {
                let params = params.iter().map(|(name, value)| (name.to_string(), value.to_string()));
                (name.to_string(), params.collect())
            };
            let expected: Vec<(String, Vec<(String, String)>)> = expected.iter().map(owned).collect();
            assert_eq!(read(line), expected, "{line}");
        }
    }
}

//! A line of challenges or credentials as it is written (RFC 3261 25.1, RFC 7235 4.1), with nothing copied. One pass, left to right.

use crate::config::Algorithm;
use crate::sip::grammar::is_token_byte;
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
    let mut scan = Scan { text: line, at: 0 };
    loop {
        scan.take_while(|byte| matches!(byte, b',' | b' ' | b'\t'));
        let Some((name, param)) = scan.item() else { return list };
        list.extend(name.map(|name| Scheme {
            name,
            params: SmallVec::new(),
        }));
        if let Some(scheme) = list.last_mut() {
            scheme.params.extend(param);
        }
    }
}

/// The next thing in a line: a scheme begins, a parameter, or both.
type Item<'t> = (Option<&'t str>, Option<Param<'t>>);

/// A place in a line.
#[derive(Clone, Copy)]
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    /// The octets that are of this kind; a kind takes in none or all of what is not ASCII, so that no character is cut.
    fn take_while(&mut self, is_in: impl Fn(u8) -> bool) -> &'t str {
        let from = self.at;
        let octets = &self.text.as_bytes()[from..];
        self.at += octets.iter().position(|octet| !is_in(*octet)).unwrap_or(octets.len());
        &self.text[from..self.at]
    }

    fn token(&mut self) -> Option<&'t str> {
        Some(self.take_while(is_token_byte)).filter(|token| !token.is_empty())
    }

    /// True if there are any.
    fn blanks(&mut self) -> bool {
        !self.take_while(|byte| matches!(byte, b' ' | b'\t')).is_empty()
    }

    /// `auth-param`.
    fn param(&mut self) -> Option<Param<'t>> {
        let name = self.token()?;
        Some((name, self.value()?))
    }

    /// What follows the name of a parameter, the equals sign with it.
    fn value(&mut self) -> Option<Value<'t>> {
        self.blanks();
        if self.text.as_bytes().get(self.at) != Some(&b'=') {
            return None;
        }
        self.at += 1;
        self.blanks();
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            return self.quoted().map(Value::Quoted);
        }
        let plain = self.take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b',' | b'"'));
        Some(Value::Plain(plain)).filter(|_| !plain.is_empty())
    }

    /// A quoted string that has an end.
    fn quoted(&mut self) -> Option<&'t str> {
        let octets = self.text.as_bytes();
        let from = self.at + 1;
        let mut at = from;
        loop {
            match octets.get(at)? {
                b'"' => break,
                // What follows is one character; the rest of a longer one is neither of these two octets.
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(&self.text[from..at])
    }

    /// RFC 7235 4.1: a token and a space before a parameter begin the next challenge.
    fn item(&mut self) -> Option<Item<'t>> {
        let first = self.token()?;
        let mut ahead = *self;
        if let Some(value) = ahead.value() {
            *self = ahead;
            return Some((None, Some((first, value))));
        }
        if !self.blanks() {
            return Some((Some(first), None));
        }
        ahead = *self;
        if let Some(param) = ahead.param() {
            *self = ahead;
            return Some((Some(first), Some(param)));
        }
        // `Negotiate`, or `Basic YWJj`: nothing in it is for us.
        self.take_while(|byte| byte != b',');
        Some((Some(first), None))
    }
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

//! Bencode: octets <-> values. `i42e`, `5:hello`, `l...e`, `d...e`.
//!
//! Strict where a mistake could be read in two ways: numbers and lengths have one form, keys are strings, nothing stands behind the
//! value. Not strict where real senders are not: keys stand in any order (Kamailio's do), and of a key that comes twice the
//! first counts. What is written has its keys in order.

use crate::limits;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A string: any octets.
pub type Text<'t> = Cow<'t, [u8]>;
/// What stands between `d` and `e`.
pub type Dict<'t> = BTreeMap<Text<'t>, Value<'t>>;

/// A value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'t> {
    /// `i42e`.
    Number(i64),
    /// `5:hello`.
    Text(Text<'t>),
    /// `l...e`.
    List(Vec<Value<'t>>),
    /// `d...e`.
    Dict(Dict<'t>),
}

/// Why octets are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end in the middle of it.
    Short,
    /// Something else stands where a value, a key or an end has to be.
    Kind,
    /// A number or a length is not in its one form, or too large.
    Number,
    /// There is more behind it.
    Rest,
    /// It is too deep, or there is too much in it (`limits::NG_DEPTH`, `limits::NG_VALUES`).
    Large,
}

impl Fault {
    /// As a sentence.
    pub const fn reason(self) -> &'static str {
        match self {
            Fault::Short => "The message ends in the middle of a value.",
            Fault::Kind => "The message is not bencoded.",
            Fault::Number => "The message has a number or a length that is not written as bencode wants it.",
            Fault::Rest => "Something stands behind the end of the message.",
            Fault::Large => "The message has more values than a command can have, or they lie too deep in one another.",
        }
    }
}

/// Reads one value that is all of the octets.
pub fn parse(octets: &[u8]) -> Result<Value<'_>, Fault> {
    let mut reader = Reader {
        rest: octets,
        values: limits::NG_VALUES,
    };
    let value = reader.value(limits::NG_DEPTH)?;
    match reader.rest {
        [] => Ok(value),
        [..] => Err(Fault::Rest),
    }
}

struct Reader<'t> {
    rest: &'t [u8],
    /// How many more there may be.
    values: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Value<'t>, Fault> {
        self.values = self.values.checked_sub(1).ok_or(Fault::Large)?;
        match self.rest.first() {
            None => Err(Fault::Short),
            Some(b'i') => self.number(),
            Some(b'0'..=b'9') => Ok(Value::Text(self.text()?)),
            Some(b'l') => {
                let depth = self.deeper(depth)?;
                let mut list = Vec::new();
                while !self.is_end()? {
                    list.push(self.value(depth)?);
                }
                Ok(Value::List(list))
            }
            Some(b'd') => {
                let depth = self.deeper(depth)?;
                let mut dict = Dict::new();
                while !self.is_end()? {
                    let key = self.text()?;
                    let value = self.value(depth)?;
                    dict.entry(key).or_insert(value);
                }
                Ok(Value::Dict(dict))
            }
            Some(_) => Err(Fault::Kind),
        }
    }

    /// Behind the letter that begins a list or a dictionary.
    fn deeper(&mut self, depth: usize) -> Result<usize, Fault> {
        self.rest = &self.rest[1..];
        depth.checked_sub(1).ok_or(Fault::Large)
    }

    /// Takes the `e` if it is there.
    fn is_end(&mut self) -> Result<bool, Fault> {
        match self.rest {
            [] => Err(Fault::Short),
            [b'e', rest @ ..] => {
                self.rest = rest;
                Ok(true)
            }
            [..] => Ok(false),
        }
    }

    /// What stands before this octet, which is taken too.
    fn until(&mut self, octet: u8, longest: usize) -> Result<&'t [u8], Fault> {
        let window = &self.rest[..self.rest.len().min(longest + 1)];
        let fault = if window.len() > longest {
            Fault::Number
        } else {
            Fault::Short
        };
        let at = window.iter().position(|other| *other == octet).ok_or(fault)?;
        let before = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Ok(before)
    }

    fn number(&mut self) -> Result<Value<'t>, Fault> {
        self.rest = &self.rest[1..];
        // As long as the lowest number of 64 bits.
        let text = self.until(b'e', 20)?;
        let number: i64 = decimal(text)?;
        // No zeros in front, no `-0`, no `+`: it reads as it is written.
        if number.to_string().as_bytes() == text {
            Ok(Value::Number(number))
        } else {
            Err(Fault::Number)
        }
    }

    fn text(&mut self) -> Result<Text<'t>, Fault> {
        match self.rest.first() {
            None => return Err(Fault::Short),
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(Fault::Kind),
        }
        let text = self.until(b':', 5)?;
        let length: usize = decimal(text)?;
        if length.to_string().as_bytes() != text {
            return Err(Fault::Number);
        }
        let (octets, rest) = self.rest.split_at_checked(length).ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(Cow::Borrowed(octets))
    }
}

fn decimal<N: std::str::FromStr>(text: &[u8]) -> Result<N, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::Number)?;
    text.parse().map_err(|_| Fault::Number)
}

impl<'t> Value<'t> {
    /// Text of ours.
    pub fn text(text: impl Into<Cow<'t, str>>) -> Value<'t> {
        Value::Text(match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// A count.
    pub fn count(number: u64) -> Value<'t> {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A dictionary of ours.
    pub fn dict<const N: usize>(entries: [(&'t str, Value<'t>); N]) -> Value<'t> {
        let entries = entries.into_iter();
        Value::Dict(
            entries
                .map(|(key, value)| (Cow::Borrowed(key.as_bytes()), value))
                .collect(),
        )
    }

    /// As octets.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        self.write(&mut octets);
        octets
    }

    /// Puts its octets behind others.
    pub fn write(&self, octets: &mut Vec<u8>) {
        match self {
            Value::Number(number) => octets.extend(format!("i{number}e").as_bytes()),
            Value::Text(text) => write_text(text, octets),
            Value::List(list) => {
                octets.push(b'l');
                for value in list {
                    value.write(octets);
                }
                octets.push(b'e');
            }
            Value::Dict(dict) => {
                octets.push(b'd');
                for (key, value) in dict {
                    write_text(key, octets);
                    value.write(octets);
                }
                octets.push(b'e');
            }
        }
    }
}

/// Descriptions in it may hold keys.
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{} octets", text.len()),
            Value::List(list) => f.debug_list().entries(list).finish(),
            Value::Dict(dict) => {
                let entries = dict.iter().map(|(key, value)| (String::from_utf8_lossy(key), value));
                f.debug_map().entries(entries).finish()
            }
        }
    }
}

fn write_text(text: &[u8], octets: &mut Vec<u8>) {
    octets.extend(format!("{}:", text.len()).as_bytes());
    octets.extend(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value<'static>> {
        let text = || proptest::collection::vec(any::<u8>(), 0..20).prop_map(Cow::Owned);
        let leaf = prop_oneof![any::<i64>().prop_map(Value::Number), text().prop_map(Value::Text)];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
                proptest::collection::btree_map(text(), inner, 0..8).prop_map(Value::Dict),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in value()) {
            let octets = value.to_octets();
            prop_assert_eq!(parse(&octets), Ok(value));
        }

        #[test]
        fn no_octets_break_it_and_a_beginning_is_too_short(value in value(), junk in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&junk);
            let octets = value.to_octets();
            for end in 0..octets.len() {
                prop_assert_eq!(parse(&octets[..end]), Err(Fault::Short));
            }
        }
    }

    #[test]
    fn there_is_one_form_of_each_value() {
        for (octets, expected) in [
            (&b"i42e"[..], Ok(Value::Number(42))),
            (b"i-1e", Ok(Value::Number(-1))),
            (b"0:", Ok(Value::text(""))),
            (b"le", Ok(Value::List(Vec::new()))),
            (
                b"d1:b1:x1:ai1ee",
                Ok(Value::dict([("a", Value::Number(1)), ("b", Value::text("x"))])),
            ),
            (b"d1:a1:x1:a1:ye", Ok(Value::dict([("a", Value::text("x"))]))),
            (b"i042e", Err(Fault::Number)),
            (b"i-0e", Err(Fault::Number)),
            (b"i+1e", Err(Fault::Number)),
            (b"ie", Err(Fault::Number)),
            (b"i9223372036854775808e", Err(Fault::Number)),
            (b"i111111111111111111111111111", Err(Fault::Number)),
            (b"01:x", Err(Fault::Number)),
            (b"999999:x", Err(Fault::Number)),
            (b"99999:x", Err(Fault::Short)),
            (b"-1:x", Err(Fault::Kind)),
            (b"di1e1:xe", Err(Fault::Kind)),
            (b"i1ei2e", Err(Fault::Rest)),
            (b"x", Err(Fault::Kind)),
            (b"", Err(Fault::Short)),
            (b"d1:ae", Err(Fault::Kind)),
        ] {
            assert_eq!(parse(octets), expected, "{}", String::from_utf8_lossy(octets));
        }
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_refused_at_once() {
        let deep = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
        assert!(parse(&deep(limits::NG_DEPTH)).is_ok());
        assert_eq!(parse(&deep(limits::NG_DEPTH + 1)), Err(Fault::Large));
        assert_eq!(parse(&[b'l'; 65_000]), Err(Fault::Large));
        let many = |count: usize| [&b"l"[..], &b"0:".repeat(count), b"e"].concat();
        assert!(parse(&many(limits::NG_VALUES - 1)).is_ok());
        assert_eq!(parse(&many(limits::NG_VALUES)), Err(Fault::Large));
    }

    #[test]
    fn what_is_in_it_does_not_print() {
        let value = Value::dict([("sdp", Value::text("a=crypto:1 secret"))]);
        assert_eq!(format!("{value:?}"), "{\"sdp\": 17 octets}");
    }
}

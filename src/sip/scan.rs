//! Values as text: where their parts stand, with nothing copied (RFC 3261 19.1, 20, 25.1). What is looked up at every step of every
//! message is looked up here; the owned values of `header` and `uri` are made from these.
//!
//! A scanner reads its input once, left to right, and none calls itself: time is linear in the octets of a value.

use super::ParseError;
use super::grammar::{HOST, TOKEN, is_class, trimmed, unescape_quoted};
use super::uri::{HostText, UriText};
use crate::limits::SIP_PARAMS;
use std::borrow::Cow;
use std::net::IpAddr;

/// A place in a text.
#[derive(Clone, Copy)]
pub(super) struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str) -> Scan<'t> {
        Scan { text, at: 0 }
    }

    pub(super) fn rest(self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn is_at_end(self) -> bool {
        self.at == self.text.len()
    }

    fn next(self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// LWS that has been unfolded: any number of spaces and tabs.
    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.next() {
            self.at += 1;
        }
    }

    /// One octet of ASCII, if it is this one.
    pub(super) fn eat(&mut self, octet: u8) -> bool {
        let found = self.next() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// The same with LWS on both sides: SEMI, EQUAL, SLASH, COLON of RFC 3261 25.1. Nothing is taken where it is another.
    pub(super) fn eat_around(&mut self, octet: u8) -> bool {
        let mut ahead = *self;
        ahead.blanks();
        let found = ahead.eat(octet);
        if found {
            ahead.blanks();
            *self = ahead;
        }
        found
    }

    /// The octets that are of this kind; a kind takes in none or all of what is not ASCII, so that no character is cut.
    pub(super) fn take_while(&mut self, is_in: impl Fn(u8) -> bool) -> &'t str {
        let from = self.at;
        let octets = &self.text.as_bytes()[from..];
        self.at += octets.iter().position(|octet| !is_in(*octet)).unwrap_or(octets.len());
        &self.text[from..self.at]
    }

    /// At least one octet of a class.
    pub(super) fn class(&mut self, class: u8) -> Option<&'t str> {
        Some(self.take_while(|octet| is_class(octet, class))).filter(|text| !text.is_empty())
    }

    /// The inside of a quoted string as it is escaped. Nothing is taken where there is none, or one without end.
    fn quoted(&mut self) -> Option<&'t str> {
        let octets = self.text.as_bytes();
        if self.next() != Some(b'"') {
            return None;
        }
        let (from, mut at) = (self.at + 1, self.at + 1);
        loop {
            match octets.get(at)? {
                b'"' => break,
                // What follows is one character; the rest of a longer one is none of these two octets.
                b'\\' if at + 1 < octets.len() => at += 2,
                b'\\' => return None,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(&self.text[from..at])
    }

    /// A host as it is written: an IPv6 address with its brackets, or what may stand in a name.
    pub(super) fn host(&mut self) -> Option<&'t str> {
        if self.next() != Some(b'[') {
            return self.class(HOST);
        }
        let inside = self.rest().find(']').filter(|end| *end > 1)?;
        let host = &self.rest()[..=inside];
        self.at += host.len();
        Some(host)
    }

    /// A port as it is written, after its colon.
    pub(super) fn port(&mut self) -> Option<&'t str> {
        Some(self.take_while(|octet| octet.is_ascii_digit())).filter(|digits| !digits.is_empty())
    }

    /// The next parameter of a header value with its semicolon: name, and value.
    fn param(&mut self) -> Option<(&'t str, Option<ValueText<'t>>)> {
        let mut ahead = *self;
        if !ahead.eat_around(b';') {
            return None;
        }
        let name = ahead.class(TOKEN)?;
        let value = ahead.eat_around(b'=').then(|| ahead.param_value());
        *self = ahead;
        Some((name, value))
    }

    /// Quoted, or whatever reaches to the next separator. More is taken than `token / host`, because `received=2001:db8::1` and
    /// `rport=` are met in the field.
    fn param_value(&mut self) -> ValueText<'t> {
        match self.quoted() {
            Some(inside) => ValueText::Quoted(inside),
            None => ValueText::Plain(self.take_while(|octet| {
                !matches!(
                    octet,
                    b' ' | b'\t' | b'\r' | b'\n' | 0x0c | b';' | b',' | b'"' | b'<' | b'>'
                )
            })),
        }
    }

    /// All parameters to the end of the text, at most `SIP_PARAMS`. One semicolon too many at the end is overlooked, in the middle
    /// it is not.
    fn params(&mut self) -> Option<ParamsText<'t>> {
        let params = ParamsText(self.rest());
        let mut count = 0;
        while count < SIP_PARAMS && self.param().is_some() {
            count += 1;
        }
        self.eat_around(b';');
        self.blanks();
        self.is_at_end().then_some(params)
    }
}

/// The value of a parameter as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueText<'t> {
    Plain(&'t str),
    /// Without its quotes.
    Quoted(&'t str),
}

impl<'t> ValueText<'t> {
    fn read(self) -> Cow<'t, str> {
        match self {
            ValueText::Plain(text) => Cow::Borrowed(text),
            ValueText::Quoted(inside) => unescape_quoted(inside),
        }
    }
}

/// `;name=value;flag` of a header value that was found well-formed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParamsText<'t>(&'t str);

impl<'t> ParamsText<'t> {
    /// Names as they are written, and values without quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'t str, Option<Cow<'t, str>>)> {
        let mut scan = Scan::new(self.0);
        std::iter::from_fn(move || scan.param().map(|(name, value)| (name, value.map(ValueText::read))))
    }

    /// As [`super::Params::get`].
    pub fn get(self, name: &str) -> Option<Option<Cow<'t, str>>> {
        let mut scan = Scan::new(self.0);
        while let Some((written, value)) = scan.param() {
            if super::header::same_name(written, name) {
                return Some(value.map(ValueText::read));
            }
        }
        None
    }

    /// The value, where there is one.
    pub fn value(self, name: &str) -> Option<Cow<'t, str>> {
        self.get(name).flatten()
    }

    /// True if it is there, as a flag or with a value.
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// `"Display" <uri>;params` as text (RFC 3261 20.10). The URI was not looked at.
#[derive(Clone, Copy, Debug)]
pub struct AddrText<'t> {
    display: Option<ValueText<'t>>,
    /// Between the brackets, or up to the first semicolon.
    pub uri: &'t str,
    /// Header parameters.
    pub params: ParamsText<'t>,
}

impl<'t> AddrText<'t> {
    /// Reads one value (the whole text). Without angle brackets, parameters belong to the header (RFC 3261 20).
    pub fn parse(text: &'t str) -> Result<AddrText<'t>, ParseError> {
        let text = trimmed(text);
        let shape = |(display, mut scan, uri): (_, Scan<'t>, _)| {
            let params = scan.params()?;
            Some(AddrText { display, uri, params })
        };
        bracketed(text)
            .or_else(|| bare(text))
            .and_then(shape)
            .ok_or(ParseError::bad("a name-addr is malformed"))
    }

    /// The display name without quotes and escapes.
    pub fn display(self) -> Option<Cow<'t, str>> {
        self.display.map(ValueText::read)
    }

    /// The URI's parts.
    pub fn uri(self) -> Result<UriText<'t>, ParseError> {
        UriText::parse(self.uri)
    }

    /// The `tag` parameter.
    pub fn tag(self) -> Option<Cow<'t, str>> {
        self.params.value("tag")
    }
}

/// `name-addr`. A display name without quotes may hold more than tokens, since it does in the field, but no separator.
fn bracketed(text: &str) -> Option<(Option<ValueText<'_>>, Scan<'_>, &str)> {
    let mut scan = Scan::new(text);
    let display = match scan.quoted() {
        Some(inside) => Some(ValueText::Quoted(inside)),
        None => {
            let words = scan.take_while(|octet| !matches!(octet, b',' | b';' | b'<' | b'>' | b'"' | b'\\'));
            Some(trimmed(words))
                .filter(|words| !words.is_empty())
                .map(ValueText::Plain)
        }
    };
    scan.blanks();
    if !scan.eat(b'<') {
        return None;
    }
    let uri = scan.take_while(|octet| octet != b'>');
    scan.eat(b'>').then_some((display, scan, uri))
}

/// `addr-spec` without brackets: what follows the first semicolon are the field's parameters, and a `?` may not stand
/// there (RFC 3261 20.10).
fn bare(text: &str) -> Option<(Option<ValueText<'_>>, Scan<'_>, &str)> {
    let mut scan = Scan::new(text);
    let uri = scan.take_while(|octet| {
        !matches!(
            octet,
            b' ' | b'\t' | b'\r' | b'\n' | 0x0c | b',' | b';' | b'<' | b'>' | b'?' | b'"'
        )
    });
    (!uri.is_empty()).then_some((None, scan, uri))
}

/// One Via value as text (RFC 3261 20.42).
#[derive(Clone, Copy, Debug)]
pub struct ViaText<'t> {
    /// `UDP`, in any case.
    pub transport: &'t str,
    /// sent-by host.
    pub host: HostText<'t>,
    /// sent-by port.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, ...
    pub params: ParamsText<'t>,
}

impl<'t> ViaText<'t> {
    /// Reads one value (the whole text), of any version: the answer 505 finds its way by it too.
    pub fn parse(text: &'t str) -> Result<ViaText<'t>, ParseError> {
        let malformed = ParseError::bad("a Via value is malformed");
        let (transport, host, port, params) = via(trimmed(text)).ok_or(malformed)?;
        Ok(ViaText {
            transport,
            host: HostText::of_scan(host)?,
            port: port.map(super::uri::port).transpose()?,
            params,
        })
    }

    /// The `branch` parameter.
    pub fn branch(self) -> Option<Cow<'t, str>> {
        self.params.value("branch")
    }

    /// The address of sent-by, where it is one.
    pub fn ip(self) -> Option<IpAddr> {
        self.host.ip()
    }
}

/// Transport, host and port as text, parameters.
type ViaParts<'t> = (&'t str, &'t str, Option<&'t str>, ParamsText<'t>);

/// `via-parm`.
fn via(text: &str) -> Option<ViaParts<'_>> {
    let mut scan = Scan::new(text);
    for _name_and_version in 0..2 {
        scan.class(TOKEN)?;
        scan.eat_around(b'/').then_some(())?;
    }
    let transport = scan.class(TOKEN)?;
    scan.blanks();
    let host = scan.host()?;
    let port = if scan.eat_around(b':') {
        Some(scan.port()?)
    } else {
        None
    };
    Some((transport, host, port, scan.params()?))
}

/// A host, the whole text.
#[cfg(test)]
pub(super) fn host(text: &str) -> Option<HostText<'_>> {
    HostText::parse(text).ok()
}

/// Number and method of a CSeq (RFC 3261 20.16): the number is below 2^31.
pub(super) fn cseq(text: &str) -> Result<(u32, &str), ParseError> {
    let mut scan = Scan::new(trimmed(text));
    let mut shape = || {
        let number = scan.port()?;
        let blanks = scan.take_while(|octet| matches!(octet, b' ' | b'\t'));
        let method = scan.class(TOKEN).filter(|_| !blanks.is_empty())?;
        scan.is_at_end().then_some((number, method))
    };
    let (number, method) = shape().ok_or(ParseError::bad("CSeq is not a number and a method"))?;
    let number: Option<u32> = number.parse().ok().filter(|number| *number < 1 << 31);
    let number = number.ok_or(ParseError::bad("the number in CSeq is not below 2^31"))?;
    Ok((number, method))
}

//! URIs and hosts as text: found well-formed, with nothing copied (RFC 3261 19.1, RFC 3966).

use super::ParseError;
use super::grammar::{HOST, is_class};
use super::header::{Params, same_name};
use super::scan::Scan;
use super::uri::{Host, Scheme, Uri, escapes_are_whole, port, unescape, without_separators};
use crate::limits::SIP_PARAMS;
use memchr::memchr;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The scheme of a URI as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeText<'t> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, as it is written.
    Other(&'t str),
}

/// A URI that was found well-formed, with nothing copied.
#[derive(Clone, Copy, Debug)]
pub struct UriText<'t> {
    /// The scheme.
    pub scheme: SchemeText<'t>,
    /// As [`Uri::user`].
    pub user: Option<&'t str>,
    /// As [`Uri::password`].
    pub password: Option<&'t str>,
    /// The host; of tel and unknown URIs an empty name.
    pub host: HostText<'t>,
    /// The port, if it is written.
    pub port: Option<u16>,
    /// `;name=value`.
    pub params: UriParamsText<'t>,
    /// What follows `?`.
    pub headers: Option<&'t str>,
}

impl<'t> UriText<'t> {
    /// Reads one URI, the whole text.
    pub fn parse(text: &'t str) -> Result<UriText<'t>, ParseError> {
        if has_what_no_uri_has(text) {
            return Err(ParseError::bad("a URI holds a blank, a quote or an angle bracket"));
        }
        let (scheme, rest) = scheme(text).ok_or(ParseError::bad("a URI has no scheme"))?;
        match scheme {
            SchemeText::Sip | SchemeText::Sips => UriText::of_sip(scheme, rest),
            SchemeText::Tel => {
                let (number, mut scan) = split_at_octet(rest, b';');
                let params = uri_params(&mut scan).filter(|_| scan.is_at_end());
                let params = params.ok_or(ParseError::bad("a tel URI is malformed"))?;
                if !number
                    .bytes()
                    .any(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#'))
                {
                    return Err(ParseError::bad("a tel URI has no digits"));
                }
                Ok(UriText {
                    params,
                    ..UriText::opaque(scheme, number)
                })
            }
            SchemeText::Other(_) => Ok(UriText::opaque(scheme, rest)),
        }
    }

    /// What follows `sip:`. The first `@` ends the user part: neither parameters nor headers may hold one unescaped, while
    /// the user part may hold `;` and `?` (RFC 3261 25.1, `user-unreserved`).
    fn of_sip(scheme: SchemeText<'t>, text: &'t str) -> Result<UriText<'t>, ParseError> {
        let malformed = ParseError::bad("a SIP URI is malformed");
        let (user, password, rest) = match split_once(text, b'@') {
            Some((info, rest)) => match split_once(info, b':') {
                Some((user, password)) => (Some(user), Some(password), rest),
                None => (Some(info), None, rest),
            },
            None => (None, None, text),
        };
        if user == Some("") {
            return Err(malformed);
        }
        let mut scan = Scan::new(rest);
        let mut shape = || {
            let host = scan.host()?;
            let port = if scan.eat(b':') { Some(scan.port()?) } else { None };
            let params = uri_params(&mut scan)?;
            let headers = scan.eat(b'?').then(|| scan.rest());
            (headers.is_some() || scan.is_at_end()).then_some((host, port, params, headers))
        };
        let (host, written_port, params, headers) = shape().ok_or(malformed)?;
        if [user, password]
            .into_iter()
            .flatten()
            .any(|part| !escapes_are_whole(part))
        {
            return Err(ParseError::bad(
                "a percent sign in a URI's user part is not followed by two hex digits",
            ));
        }
        Ok(UriText {
            scheme,
            user,
            password,
            host: HostText::of_scan(host)?,
            port: written_port.map(port).transpose()?,
            params,
            headers,
        })
    }

    /// A URI without a host.
    fn opaque(scheme: SchemeText<'t>, rest: &'t str) -> UriText<'t> {
        UriText {
            scheme,
            user: Some(rest),
            password: None,
            host: HostText::Name(""),
            port: None,
            params: UriParamsText::default(),
            headers: None,
        }
    }

    /// As [`Uri::user_decoded`].
    pub fn user_decoded(&self) -> Option<Cow<'t, str>> {
        let user = self.user?;
        let is_phone = || {
            let kind = self.params.value("user");
            kind.is_some_and(|kind| kind.eq_ignore_ascii_case("phone"))
        };
        Some(match self.scheme {
            SchemeText::Sip | SchemeText::Sips if !is_phone() => unescape(user),
            SchemeText::Sip | SchemeText::Sips => {
                let number = user.split(';').next().unwrap_or_default();
                without_separators(&unescape(number)).into()
            }
            SchemeText::Tel => without_separators(&unescape(user)).into(),
            SchemeText::Other(_) => user.into(),
        })
    }
}

impl From<UriText<'_>> for Uri {
    fn from(text: UriText<'_>) -> Uri {
        let params = text
            .params
            .iter()
            .map(|(name, value)| (name.into(), value.map(Into::into)));
        Uri {
            scheme: match text.scheme {
                SchemeText::Sip => Scheme::Sip,
                SchemeText::Sips => Scheme::Sips,
                SchemeText::Tel => Scheme::Tel,
                SchemeText::Other(other) => Scheme::Other(other.to_ascii_lowercase().into()),
            },
            user: text.user.map(Into::into),
            password: text.password.map(Into::into),
            host: text.host.into(),
            port: text.port,
            params: Params(params.collect()),
            headers: text.headers.map(Into::into),
        }
    }
}

/// `;name=value;flag` of a URI that was found well-formed: never quoted, kept as it came.
#[derive(Clone, Copy, Debug, Default)]
pub struct UriParamsText<'t>(&'t str);

impl<'t> UriParamsText<'t> {
    /// Names and values as they are written.
    pub fn iter(self) -> impl Iterator<Item = (&'t str, Option<&'t str>)> {
        let mut scan = Scan::new(self.0);
        std::iter::from_fn(move || uri_param(&mut scan))
    }

    /// As [`Params::get`].
    pub fn get(self, name: &str) -> Option<Option<&'t str>> {
        self.iter()
            .find(|(written, _)| same_name(written, name))
            .map(|(_, value)| value)
    }

    /// The value, where there is one.
    pub fn value(self, name: &str) -> Option<&'t str> {
        self.get(name).flatten()
    }
}

/// `sip:` and its like, and what follows; the scheme ends at the first colon.
fn scheme(text: &str) -> Option<(SchemeText<'_>, &str)> {
    // Nearly all of them.
    if let Some(rest) = text.strip_prefix("sip:") {
        return Some((SchemeText::Sip, rest));
    }
    let (name, rest) = text.split_once(':')?;
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let is_form = name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(is_in);
    let known = [
        ("sip", SchemeText::Sip),
        ("sips", SchemeText::Sips),
        ("tel", SchemeText::Tel),
    ];
    let known = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let scheme = known.map_or(SchemeText::Other(name), |(_, scheme)| *scheme);
    is_form.then_some((scheme, rest))
}

/// Blanks and controls, quotes, angle brackets. Without a way out before the end, so that many octets are looked at at once.
fn has_what_no_uri_has(text: &str) -> bool {
    let is_bad = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'<' || byte == b'>' || byte == b'"';
    text.bytes().fold(false, |bad, byte| bad | is_bad(byte))
}

/// At the first such octet of ASCII.
fn split_once(text: &str, octet: u8) -> Option<(&str, &str)> {
    let at = memchr(octet, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// What stands before the first such octet, and the place where it is.
fn split_at_octet(text: &str, octet: u8) -> (&str, Scan<'_>) {
    let mut scan = Scan::new(text);
    let before = scan.take_while(|other| other != octet);
    (before, scan)
}

/// All parameters of a URI, at most `SIP_PARAMS`; one semicolon too many at their end is overlooked.
fn uri_params<'t>(scan: &mut Scan<'t>) -> Option<UriParamsText<'t>> {
    let from = scan.rest();
    let mut count = 0;
    while count < SIP_PARAMS && uri_param(scan).is_some() {
        count += 1;
    }
    scan.eat(b';');
    let length = from.len() - scan.rest().len();
    Some(UriParamsText(&from[..length]))
}

/// The next `;name=value` or `;name`. An `=` in the value belongs to it.
fn uri_param<'t>(scan: &mut Scan<'t>) -> Option<(&'t str, Option<&'t str>)> {
    let mut ahead = *scan;
    if !ahead.eat(b';') {
        return None;
    }
    let name = ahead.take_while(|octet| !matches!(octet, b';' | b'?' | b'='));
    let value = ahead
        .eat(b'=')
        .then(|| ahead.take_while(|octet| !matches!(octet, b';' | b'?')));
    if name.is_empty() {
        return None;
    }
    *scan = ahead;
    Some((name, value))
}

/// The host of a URI or Via as text.
#[derive(Clone, Copy, Debug)]
pub enum HostText<'t> {
    /// A domain name, in any case.
    Name(&'t str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl<'t> HostText<'t> {
    /// Reads a host as it stands in a URI or Via: IPv6 in brackets, IPv4, or a name.
    pub fn parse(text: &'t str) -> Result<HostText<'t>, ParseError> {
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // RFC 5118 4.10: the ABNF of RFC 3261 lets `:::` through, so somebody sends it.
            let address = inside.parse().or_else(|_| inside.replacen(":::", "::", 1).parse());
            return address
                .map(HostText::V6)
                .map_err(|_| ParseError::bad("an IPv6 address is malformed"));
        }
        if text.is_empty() || !text.bytes().all(|byte| is_class(byte, HOST)) {
            return Err(ParseError::bad(
                "a host name is empty or holds a character that no name has",
            ));
        }
        Ok(v4(text).map_or(HostText::Name(text), HostText::V4))
    }

    /// One whose octets a scanner has found to be those of a host.
    pub(super) fn of_scan(text: &'t str) -> Result<HostText<'t>, ParseError> {
        match text.starts_with('[') {
            true => HostText::parse(text),
            false => Ok(v4(text).map_or(HostText::Name(text), HostText::V4)),
        }
    }

    /// The address, where it is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            HostText::Name(_) => None,
            HostText::V4(v4) => Some(IpAddr::V4(v4)),
            HostText::V6(v6) => Some(IpAddr::V6(v6)),
        }
    }
}

/// Names compare without case.
impl PartialEq for HostText<'_> {
    fn eq(&self, other: &HostText<'_>) -> bool {
        match (self, other) {
            (HostText::Name(a), HostText::Name(b)) => a.eq_ignore_ascii_case(b),
            (HostText::V4(a), HostText::V4(b)) => a == b,
            (HostText::V6(a), HostText::V6(b)) => a == b,
            (HostText::Name(_), _) | (HostText::V4(_), _) | (HostText::V6(_), _) => false,
        }
    }
}

impl<'t> From<&'t Host> for HostText<'t> {
    fn from(host: &'t Host) -> HostText<'t> {
        match host {
            Host::Name(name) => HostText::Name(name),
            Host::V4(v4) => HostText::V4(*v4),
            Host::V6(v6) => HostText::V6(*v6),
        }
    }
}

impl From<HostText<'_>> for Host {
    fn from(host: HostText<'_>) -> Host {
        match host {
            HostText::Name(name) => Host::Name(name.to_ascii_lowercase().into()),
            HostText::V4(v4) => Host::V4(v4),
            HostText::V6(v6) => Host::V6(v6),
        }
    }
}

/// An IPv4 address: four numbers below 256 without zeros in front (RFC 6943 3.1.1: what else might be one, is read as many things).
fn v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let (mut place, mut digits) = (0, 0);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if digits == 0 || octets[place] > 0 => {
                octets[place] = octets[place].checked_mul(10)?.checked_add(byte - b'0')?;
                digits += 1;
            }
            b'.' if digits > 0 && place < 3 => (place, digits) = (place + 1, 0),
            _ => return None,
        }
    }
    (place == 3 && digits > 0).then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_addresses_as_the_standard_library_reads_them() {
        for text in [
            "0.0.0.0",
            "1.2.3.4",
            "255.255.255.255",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.04",
            "00.0.0.0",
            "1..2.3",
            ".1.2.3.4",
            "1.2.3.4.",
            "1.2.3.",
            "",
            "1",
            "a.b.c.d",
            "1.2.3.4a",
            "999.1.1.1",
            "1.2.3.0",
            "10.20.30.40",
        ] {
            assert_eq!(v4(text), text.parse().ok(), "{text}");
        }
    }
}

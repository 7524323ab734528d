//! SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966).

use super::ParseError;
use super::grammar::{HOST, NOT_URI, is_class};
use super::header::Params;
use super::scan::Scan;
use super::write::{push_ip, push_number};
use crate::id::Transport;
use crate::limits::SIP_PARAMS;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port where none is written (RFC 3261 18.2.2, 19.1.2).
pub const DEFAULT_PORT: u16 = 5060;

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, in lower case; its rest is kept as `Uri::user`.
    Other(Box<str>),
}

/// The host of a URI or Via.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name, in lower case.
    Name(Box<str>),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address (in brackets on the wire).
    V6(Ipv6Addr),
}

/// A parsed URI. Writing it gives an equal URI, escapes as they came.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part as it was escaped; the whole number of a tel URI; the rest of an unknown scheme.
    pub user: Option<Box<str>>,
    /// The password part, which nobody should use.
    pub password: Option<Box<str>>,
    /// The host; of tel and unknown URIs an empty name.
    pub host: Host,
    /// The port, if it is written.
    pub port: Option<u16>,
    /// `;name=value`.
    pub params: Params,
    /// What follows `?`, as it came.
    pub headers: Option<Box<str>>,
}

impl Uri {
    /// Reads one URI, the whole text.
    pub fn parse(text: &str) -> Result<Uri, ParseError> {
        UriText::parse(text).map(Uri::from)
    }

    /// `sip:user@host:port` with nothing else.
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Uri {
        Uri {
            scheme: Scheme::Sip,
            user: user.map(Into::into),
            password: None,
            host,
            port,
            params: Params::default(),
            headers: None,
        }
    }

    /// The user part with escapes resolved (RFC 3261 19.1.2). Of a tel URI or one with `user=phone` it is the number without
    /// visual separators (RFC 3966 5.1.1) and, for `user=phone`, without the parameters that follow it in the user part.
    pub fn user_decoded(&self) -> Option<String> {
        let user = self.user.as_deref()?;
        let is_phone = self
            .params
            .value("user")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("phone"));
        match self.scheme {
            Scheme::Sip | Scheme::Sips if !is_phone => Some(unescape(user).into_owned()),
            Scheme::Sip | Scheme::Sips => {
                let number = user.split(';').next().unwrap_or_default();
                Some(without_separators(&unescape(number)))
            }
            Scheme::Tel => Some(without_separators(&unescape(user))),
            Scheme::Other(_) => Some(user.to_owned()),
        }
    }

    /// `transport=`, if it is one that we speak; an unknown one is seen through `params`.
    pub fn transport(&self) -> Option<Transport> {
        self.params.value("transport").and_then(Transport::from_name)
    }

    /// `;lr` is there: the route is loose (RFC 3261 19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params.get("lr").is_some()
    }
}

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
        if text.bytes().any(|byte| is_class(byte, NOT_URI)) {
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
        let (user, password, rest) = match text.split_once('@') {
            Some((info, rest)) => match info.split_once(':') {
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
        let (host, port, params, headers) = shape().ok_or(malformed)?;
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
            host: HostText::parse(host)?,
            port: port.map(self::port).transpose()?,
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
            .find(|(written, _)| super::header::same_name(written, name))
            .map(|(_, value)| value)
    }

    /// The value, where there is one.
    pub fn value(self, name: &str) -> Option<&'t str> {
        self.get(name).flatten()
    }
}

/// `sip:` and its like, and what follows; the scheme ends at the first colon.
fn scheme(text: &str) -> Option<(SchemeText<'_>, &str)> {
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

/// A port as it is written.
pub(super) fn port(text: &str) -> Result<u16, ParseError> {
    text.parse()
        .map_err(|_| ParseError::bad("a port is not between 0 and 65535"))
}

/// Resolves percent escapes once (RFC 3261 19.1.2); what is not an escape stays.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escape_at(bytes, at) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// The octet that `%hh` at this place stands for.
pub(super) fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = *bytes.get(at..at + 3)? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|at| escape_at(bytes, at).is_some())
}

fn without_separators(number: &str) -> String {
    number.chars().filter(|c| !"-.()".contains(*c)).collect()
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
        // An IPv4 address ends in a digit, which hardly any name does.
        let ends_in_digit = text.ends_with(|last: char| last.is_ascii_digit());
        let v4 = if ends_in_digit { text.parse().ok() } else { None };
        Ok(v4.map_or(HostText::Name(text), HostText::V4))
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

impl Host {
    /// Reads a host as it stands in a URI or Via: IPv6 in brackets, IPv4, or a name.
    pub fn parse(text: &str) -> Result<Host, ParseError> {
        HostText::parse(text).map(Host::from)
    }

    /// The address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(v4) => Some(IpAddr::V4(*v4)),
            Host::V6(v6) => Some(IpAddr::V6(*v6)),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Host {
        match ip {
            IpAddr::V4(v4) => Host::V4(v4),
            IpAddr::V6(v6) => Host::V6(v6),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(v4) => v4.fmt(f),
            Host::V6(v6) => write!(f, "[{v6}]"),
        }
    }
}

impl Uri {
    fn write(&self, f: &mut fmt::Formatter<'_>, password: Option<&str>) -> fmt::Result {
        match &self.scheme {
            Scheme::Sip => f.write_str("sip:")?,
            Scheme::Sips => f.write_str("sips:")?,
            Scheme::Tel => f.write_str("tel:")?,
            Scheme::Other(scheme) => write!(f, "{scheme}:")?,
        }
        if let Some(user) = &self.user {
            f.write_str(user)?;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                if let Some(password) = password {
                    write!(f, ":{password}")?;
                }
                let at = if self.user.is_some() { "@" } else { "" };
                write!(f, "{at}{}", self.host)?;
                if let Some(port) = self.port {
                    write!(f, ":{port}")?;
                }
            }
            Scheme::Tel | Scheme::Other(_) => {}
        }
        for (name, value) in &self.params.0 {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

impl Uri {
    /// As on the wire. The same as `to_string`, sooner.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(64);
        self.push_to(&mut text);
        text
    }

    fn push_to(&self, text: &mut String) {
        match &self.scheme {
            Scheme::Sip => text.push_str("sip:"),
            Scheme::Sips => text.push_str("sips:"),
            Scheme::Tel | Scheme::Other(_) => {
                return write!(text, "{self}").expect("writing to a String does not fail");
            }
        }
        if let Some(user) = &self.user {
            text.push_str(user);
        }
        if let Some(password) = &self.password {
            text.push(':');
            text.push_str(password);
        }
        if self.user.is_some() {
            text.push('@');
        }
        match &self.host {
            Host::Name(name) => text.push_str(name),
            Host::V4(ip) => push_ip(text, IpAddr::V4(*ip)),
            Host::V6(ip) => write!(text, "[{ip}]").expect("writing to a String does not fail"),
        }
        if let Some(port) = self.port {
            text.push(':');
            push_number(text, port.into());
        }
        for (name, value) in &self.params.0 {
            text.push(';');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        if let Some(headers) = &self.headers {
            text.push('?');
            text.push_str(headers);
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.password.as_deref())
    }
}

/// As on the wire, but a password does not print.
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.password.as_ref().map(|_| "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_parts_of_a_sip_uri() {
        let read = uri("SIPS:al%69ce;x=1?y:pw@Example.COM:5061;transport=tcp;lr;a=b=c?Subject=x&y=z@w");
        assert_eq!(read.scheme, Scheme::Sips);
        assert_eq!(read.user.as_deref(), Some("al%69ce;x=1?y"));
        assert_eq!(read.user_decoded().as_deref(), Some("alice;x=1?y"));
        assert_eq!(read.password.as_deref(), Some("pw"));
        assert_eq!((read.host.to_string().as_str(), read.port), ("example.com", Some(5061)));
        assert_eq!(read.transport(), Some(Transport::Tcp));
        assert!(read.is_loose());
        assert_eq!(read.params.value("A"), Some("b=c"));
        assert_eq!(read.headers.as_deref(), Some("Subject=x&y=z@w"));
    }

    #[test]
    fn what_is_read_is_written() {
        for text in [
            "sip:example.com",
            "sip:alice@192.0.2.1:5060",
            "sip:a:@b",
            "sip:+14155550101;npdi;rn=+14155550100@gw.example;user=phone",
            "sip:*67#%23@[2001:db8::1]:5070;transport=ws;ob;x=",
            "tel:+1-(415)-555.0101;phone-context=example.com;isub=12",
            "tel:*21#",
            "urn:service:sos.fire",
            "mailto:a;b?c",
        ] {
            assert_eq!(uri(text).to_string(), text);
            assert_eq!(uri(&uri(text).to_string()), uri(text));
        }
    }

    #[test]
    fn numbers_lose_separators_and_parameters_where_the_uri_says_phone() {
        for (text, user) in [
            ("tel:+1-(415)-555.0101", "+14155550101"),
            ("sip:+1-415-555-0101;npdi;rn=+1@gw;user=PHONE", "+14155550101"),
            ("sip:+1-415;npdi@gw", "+1-415;npdi"),
            ("sip:%2B1415@gw;user=phone", "+1415"),
            ("sip:%C3%A4%ff%zz@gw", ""),
        ] {
            match Uri::parse(text) {
                Ok(read) => assert_eq!(read.user_decoded().as_deref(), Some(user), "{text}"),
                Err(error) => assert_eq!((error.status, user), (400, ""), "{text}"),
            }
        }
        assert_eq!(uri("sip:gw").user_decoded(), None);
    }

    #[test]
    fn malformed_uris_are_refused() {
        for text in [
            "",
            "sip:",
            "sip",
            ":x",
            "1sip:a",
            "sip:@host",
            "sip:a b@c",
            "<sip:a>",
            "sip:a@",
            "sip:a@:5060",
            "sip:a@b:",
            "sip:a@b:x",
            "sip:a@b:65536",
            "sip:a@[2001:db8::1",
            "sip:a@[2001::db8::1]",
            "sip:a@[192.0.2.1]",
            "sip:a@2001:db8::1",
            "sip:a@b c",
            "sip:a@b;;c",
            "sip:a@b;=c",
            "sip:a@b/c",
            "sip:a%4@b",
            "sip:a:%@b",
            "sip:a@b@c",
            "sip:a\r\n@b",
            "sip:a@b\0",
            "tel:",
            "tel:-",
            "tel:;x",
            "sip:ä@ö",
        ] {
            assert_eq!(Uri::parse(text).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn no_more_parameters_than_the_bound() {
        let most = format!("sip:a{}", ";x".repeat(SIP_PARAMS));
        assert_eq!(uri(&most).params.0.len(), SIP_PARAMS);
        assert!(Uri::parse(&format!("{most};x")).is_err());
    }

    #[test]
    fn a_semicolon_too_many_at_the_end_is_overlooked() {
        assert_eq!(uri("sip:a@b;lr;"), uri("sip:a@b;lr"));
    }

    #[test]
    fn escapes_are_resolved_once() {
        for (text, plain) in [
            ("%2541", "%41"),
            ("a%", "a%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%00", "\0"),
        ] {
            assert_eq!(unescape(text), plain);
        }
    }

    #[test]
    fn a_password_does_not_print_in_a_log() {
        let read = uri("sip:alice:swordfish@example.com");
        assert_eq!(format!("{read:?}"), "sip:alice:***@example.com");
        assert!(read.to_string().contains("swordfish"));
    }
}

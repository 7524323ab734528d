//! SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966).

use super::ParseError;
use super::header::Params;
pub use super::uri_text::{HostText, SchemeText, UriParamsText, UriText};
use super::write::{push_ip, push_number};
use crate::id::Transport;
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

/// A user part as it may stand in a URI (RFC 3261 25.1: unreserved and user-unreserved).
pub fn escaped(user: &str) -> Cow<'_, str> {
    escaped_but(user, b"-_.!~*'()&=+$,;?/")
}

/// The value of a parameter as it may stand in a URI: nothing in it ends the value (RFC 3261 25.1: unreserved).
pub fn escaped_value(value: &str) -> Cow<'_, str> {
    escaped_but(value, b"-_.!~*'()")
}

/// Escapes all but letters, digits and these.
fn escaped_but<'t>(plain: &'t str, marks: &[u8]) -> Cow<'t, str> {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || marks.contains(&byte);
    if plain.bytes().all(may_stand) {
        return Cow::Borrowed(plain);
    }
    let mut text = String::with_capacity(plain.len() + 16);
    for byte in plain.bytes() {
        if may_stand(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Cow::Owned(text)
}

/// The octet that `%hh` at this place stands for.
pub(super) fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = *bytes.get(at..at + 3)? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

pub(super) fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|at| escape_at(bytes, at).is_some())
}

pub(super) fn without_separators(number: &str) -> String {
    number.chars().filter(|c| !"-.()".contains(*c)).collect()
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
        let most = format!("sip:a{}", ";x".repeat(crate::limits::SIP_PARAMS));
        assert_eq!(uri(&most).params.0.len(), crate::limits::SIP_PARAMS);
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

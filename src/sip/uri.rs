//! SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966).

use super::header::Params;
use crate::id::Transport;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub fn parse(text: &str) -> Result<Uri, super::ParseError> {
        let _ = text;
        todo!()
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

    /// The user part with escapes resolved (RFC 3261 19.1.2), and a tel number or `user=phone` number without visual separators.
    pub fn user_decoded(&self) -> Option<String> {
        todo!()
    }

    /// `transport=`, if it is one that we speak; an unknown one is `Some(Err(()))` seen through `params`.
    pub fn transport(&self) -> Option<Transport> {
        self.params.get("transport").and_then(|name| name.and_then(Transport::from_name))
    }

    /// `;lr` is there: the route is loose (RFC 3261 19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params.get("lr").is_some()
    }

    /// Equality by RFC 3261 19.1.4 (not transitive, so not `Eq`).
    pub fn same_as(&self, other: &Uri) -> bool {
        let _ = other;
        todo!()
    }
}

impl Host {
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

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

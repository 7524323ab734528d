//! A session description as a value: what negotiation reads is typed, everything else is kept as it came.

use super::codec::{self, Payload};
use super::negotiate::Direction;
use codecs::Codec;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A piece of a description: of the body that was read, of our own words, or written for it.
pub type Text<'t> = Cow<'t, str>;

/// A session description. Within a section the lines stand in the order of RFC 8866 5, whatever order they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session<'t> {
    /// `o=`: who made it, and its version.
    pub origin: Origin<'t>,
    /// `s=`: `-` where there is none.
    pub name: Text<'t>,
    /// `c=` for the streams that have none of their own.
    pub connection: Option<Connection<'t>>,
    /// All other lines before the first `m=` but attributes: `i u e p b t r z k` and unknown ones.
    pub lines: Vec<Line<'t>>,
    /// `a=` before the first `m=`.
    pub attributes: Vec<Attribute<'t>>,
    /// The streams. Their number and order never change in a session's life, they only grow (RFC 3264 8).
    pub media: Vec<Media<'t>>,
}

/// `o=` (RFC 8866 5.2). The numbers stay text: peers write numbers of any length, and we only compare them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'t> {
    /// `-` where there is none.
    pub username: Text<'t>,
    /// The same for the life of a session.
    pub session_id: Text<'t>,
    /// One more whenever the description changes.
    pub version: Text<'t>,
    /// Where it was made.
    pub address: Connection<'t>,
}

/// The address of `c=` and `o=` (RFC 8866 5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection<'t> {
    /// `IN IP4` or `IN IP6` with an address; the address decides which of them is written.
    Ip(IpAddr),
    /// A host name: legal, but media needs an address, and no name is resolved in the middle of an offer.
    Name {
        /// `IP6`, not `IP4`.
        v6: bool,
        /// The name.
        host: Text<'t>,
    },
    /// Anything else, as it came: multicast with a TTL, other network types.
    Other(Text<'t>),
}

/// A line that negotiation does not read.
#[derive(Clone, PartialEq, Eq)]
pub struct Line<'t> {
    /// Its letter.
    pub kind: char,
    /// What follows the `=`.
    pub value: Text<'t>,
}

/// `a=name` or `a=name:value` (RFC 8866 5.13). Keys do not print in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute<'t> {
    /// Before the colon; names are case-sensitive (RFC 8866 5.13).
    pub name: Text<'t>,
    /// After the colon.
    pub value: Option<Text<'t>>,
}

/// A stream: `m=` and what follows it (RFC 8866 5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'t> {
    /// `audio`, `video`, `image`, `application`, ...
    pub kind: Text<'t>,
    /// Where it is received; 0: refused or ended (RFC 3264 6, 8.2).
    pub port: u16,
    /// The number after `/`: ports of a layered stream.
    pub port_count: Option<u16>,
    /// The transport.
    pub proto: Proto<'t>,
    /// Formats in order of preference: payload types for RTP.
    pub formats: Vec<Text<'t>>,
    /// `c=` of this stream alone.
    pub connection: Option<Connection<'t>>,
    /// `i b k` and unknown lines.
    pub lines: Vec<Line<'t>>,
    /// `a=` lines in order.
    pub attributes: Vec<Attribute<'t>>,
}

/// The transport of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proto<'t> {
    /// `RTP/AVP` (RFC 3551).
    RtpAvp,
    /// `RTP/AVPF` (RFC 4585).
    RtpAvpf,
    /// `RTP/SAVP` (RFC 3711).
    RtpSavp,
    /// `RTP/SAVPF` (RFC 5124).
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVP` (RFC 5764).
    UdpTlsRtpSavp,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764).
    UdpTlsRtpSavpf,
    /// Anything else, as it came: `udptl`, `TCP/MSRP`, ...
    Other(Text<'t>),
}

/// What RTP in the clear and SRTP are called in an m-line.
const PROTOCOLS: [(Proto<'static>, &str); 6] = [
    (Proto::RtpAvp, "RTP/AVP"),
    (Proto::RtpAvpf, "RTP/AVPF"),
    (Proto::RtpSavp, "RTP/SAVP"),
    (Proto::RtpSavpf, "RTP/SAVPF"),
    (Proto::UdpTlsRtpSavp, "UDP/TLS/RTP/SAVP"),
    (Proto::UdpTlsRtpSavpf, "UDP/TLS/RTP/SAVPF"),
];

impl<'t> Proto<'t> {
    /// Reads the token; case does not matter, since peers write both.
    pub fn parse(token: &'t str) -> Proto<'t> {
        PROTOCOLS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(token))
            .map_or(Proto::Other(token.into()), |(proto, _)| proto.clone())
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        match self {
            Proto::Other(token) => token,
            Proto::RtpAvp => "RTP/AVP",
            Proto::RtpAvpf => "RTP/AVPF",
            Proto::RtpSavp => "RTP/SAVP",
            Proto::RtpSavpf => "RTP/SAVPF",
            Proto::UdpTlsRtpSavp => "UDP/TLS/RTP/SAVP",
            Proto::UdpTlsRtpSavpf => "UDP/TLS/RTP/SAVPF",
        }
    }

    /// RTP, in the clear or with keys that the description itself has (RFC 4568).
    pub fn is_rtp(&self) -> bool {
        match self {
            Proto::RtpAvp | Proto::RtpAvpf | Proto::RtpSavp | Proto::RtpSavpf => true,
            Proto::UdpTlsRtpSavp | Proto::UdpTlsRtpSavpf | Proto::Other(_) => false,
        }
    }

    /// RTP with keys by DTLS: a browser's.
    pub fn is_dtls(&self) -> bool {
        match self {
            Proto::UdpTlsRtpSavp | Proto::UdpTlsRtpSavpf => true,
            Proto::RtpAvp | Proto::RtpAvpf | Proto::RtpSavp | Proto::RtpSavpf | Proto::Other(_) => false,
        }
    }

    /// What is negotiated.
    pub fn is_known(&self) -> bool {
        self.is_rtp() || self.is_dtls()
    }
}

impl<'t> Connection<'t> {
    /// Reads what follows `c=`, or the last three fields of `o=`.
    pub fn parse(value: &'t str) -> Connection<'t> {
        let mut fields = value.split_ascii_whitespace();
        let (net, family, host) = (fields.next(), fields.next(), fields.next());
        let (Some(net), Some(family), Some(host), None) = (net, family, host, fields.next()) else {
            return Connection::Other(value.into());
        };
        let v6 = family.eq_ignore_ascii_case("IP6");
        if !net.eq_ignore_ascii_case("IN") || !(v6 || family.eq_ignore_ascii_case("IP4")) || host.contains('/') {
            return Connection::Other(value.into());
        }
        match host.parse::<IpAddr>() {
            Ok(addr) => Connection::Ip(addr),
            Err(_) => Connection::Name { v6, host: host.into() },
        }
    }

    /// "Do not send": 0.0.0.0 (RFC 3264 8.4), `::`, or a name below `.invalid`
    /// (foreseen by RFC 3725 4.2).
    pub fn is_unspecified(&self) -> bool {
        match self {
            Connection::Ip(addr) => addr.is_unspecified(),
            Connection::Name { host, .. } => {
                let host = host.strip_suffix('.').unwrap_or(host);
                host.rsplit('.')
                    .next()
                    .is_some_and(|label| label.eq_ignore_ascii_case("invalid"))
            }
            Connection::Other(_) => false,
        }
    }
}

impl<'t> Attribute<'t> {
    /// `a=name`.
    pub const fn flag(name: &'t str) -> Attribute<'t> {
        Attribute {
            name: Cow::Borrowed(name),
            value: None,
        }
    }

    /// `a=name:value`.
    pub fn new(name: &'t str, value: impl Into<Text<'t>>) -> Attribute<'t> {
        Attribute {
            name: Cow::Borrowed(name),
            value: Some(value.into()),
        }
    }
}

impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys of RFC 4568, RFC 4567 and the ICE password of RFC 8839 5.4.
        let secret = ["crypto", "key-mgmt", "ice-pwd"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&self.name));
        match &self.value {
            None => write!(f, "a={}", self.name),
            Some(_) if secret => write!(f, "a={}:***", self.name),
            Some(value) => write!(f, "a={}:{value:?}", self.name),
        }
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // k= is a key in the clear (RFC 4566 5.12).
        if self.kind == 'k' {
            f.write_str("k=***")
        } else {
            write!(f, "{}={:?}", self.kind, self.value)
        }
    }
}

impl<'t> Media<'t> {
    /// True for `m=audio`.
    pub fn is_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio")
    }

    /// The values of all attributes of that name, in order; a flag's value is empty.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a, 't> {
        values(&self.attributes, name)
    }

    /// The value of the first attribute of that name.
    pub fn attribute<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.attributes(name).next()
    }

    /// The same line refused (RFC 3264 6): port 0, formats mirrored since at least one must stand there, no attributes.
    pub fn refused(&self) -> Media<'t> {
        let mut formats = self.formats.clone();
        if formats.is_empty() {
            formats.push("0".into());
        }
        Media {
            kind: self.kind.clone(),
            port: 0,
            port_count: None,
            proto: self.proto.clone(),
            formats,
            connection: None,
            lines: Vec::new(),
            attributes: Vec::new(),
        }
    }
}

impl<'t> Session<'t> {
    /// The values of all session-level attributes of that name, in order; a flag's value is empty.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a, 't> {
        values(&self.attributes, name)
    }

    /// The direction of a stream, seen from who wrote the description: its own, else the session's, else sendrecv
    /// (RFC 8866 6.7).
    pub fn direction(&self, media: &Media<'_>) -> Direction {
        let said = |attributes: &[Attribute<'_>]| attributes.iter().find_map(|a| Direction::parse(&a.name));
        said(&media.attributes)
            .or_else(|| said(&self.attributes))
            .unwrap_or_default()
    }

    /// The address of a stream: its own `c=`, else the session's (RFC 8866 5.7).
    pub fn connection<'a>(&'a self, media: &'a Media<'t>) -> Option<&'a Connection<'t>> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// The first audio stream that can be negotiated and is not refused.
    pub fn audio(&self) -> Option<&Media<'t>> {
        self.media
            .iter()
            .find(|media| media.is_audio() && media.proto.is_known() && media.port != 0)
    }

    /// That stream is a browser's, or of another peer with ICE: protected by DTLS.
    pub fn has_dtls(&self) -> bool {
        self.audio().is_some_and(|audio| audio.proto.is_dtls())
    }

    /// The codecs of that stream that this node can speak, in the writer's order.
    pub fn audio_codecs(&self) -> Vec<Codec> {
        let formats = self
            .audio()
            .map(|media| codec::formats(media, None))
            .unwrap_or_default();
        let mut codecs = Vec::new();
        for format in formats {
            if let Payload::Audio(codec) = format.payload
                && !codecs.contains(&codec)
            {
                codecs.push(codec);
            }
        }
        codecs
    }

    /// Where that stream is to be sent, if it is an IP address (0.0.0.0 and `::` included). Tells which family a leg needs.
    pub fn audio_address(&self) -> Option<IpAddr> {
        match self.connection(self.audio()?)? {
            Connection::Ip(addr) => Some(*addr),
            unspecified @ Connection::Name { v6, .. } if unspecified.is_unspecified() => Some(if *v6 {
                Ipv6Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            }),
            Connection::Name { .. } | Connection::Other(_) => None,
        }
    }

    /// The same description but for its version: then the version must not change either (RFC 3264 8).
    pub fn same_but_version(&self, other: &Session<'_>) -> bool {
        let (a, b) = (&self.origin, &other.origin);
        (&a.username, &a.session_id, &a.address) == (&b.username, &b.session_id, &b.address)
            && (&self.name, &self.connection, &self.lines) == (&other.name, &other.connection, &other.lines)
            && (&self.attributes, &self.media) == (&other.attributes, &other.media)
    }

    /// Writes another version into `o=`.
    pub fn set_version(&mut self, version: u64) {
        self.origin.version = decimal(version);
    }

    /// The same without the body that it was read from.
    pub fn into_owned(self) -> Session<'static> {
        Session {
            origin: Origin {
                username: owned(self.origin.username),
                session_id: owned(self.origin.session_id),
                version: owned(self.origin.version),
                address: self.origin.address.into_owned(),
            },
            name: owned(self.name),
            connection: self.connection.map(Connection::into_owned),
            lines: self.lines.into_iter().map(Line::into_owned).collect(),
            attributes: self.attributes.into_iter().map(Attribute::into_owned).collect(),
            media: self.media.into_iter().map(Media::into_owned).collect(),
        }
    }
}

/// What stands before the first such octet of ASCII, and what behind it.
pub(super) fn split_at_octet(text: &str, octet: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|other| other == octet)?;
    Some((&text[..at], &text[at + 1..]))
}

/// A number as text; the small ones, which are most, need no room of their own.
pub(super) fn decimal(number: u64) -> Text<'static> {
    const DIGITS: &str = "0123456789";
    match usize::try_from(number) {
        Ok(digit @ 0..=9) => Cow::Borrowed(&DIGITS[digit..=digit]),
        Ok(_) | Err(_) => Cow::Owned(number.to_string()),
    }
}

fn owned(text: Text<'_>) -> Text<'static> {
    Cow::Owned(text.into_owned())
}

impl Connection<'_> {
    fn into_owned(self) -> Connection<'static> {
        match self {
            Connection::Ip(addr) => Connection::Ip(addr),
            Connection::Name { v6, host } => Connection::Name { v6, host: owned(host) },
            Connection::Other(text) => Connection::Other(owned(text)),
        }
    }
}

impl Line<'_> {
    fn into_owned(self) -> Line<'static> {
        Line {
            kind: self.kind,
            value: owned(self.value),
        }
    }
}

impl Attribute<'_> {
    pub(super) fn into_owned(self) -> Attribute<'static> {
        Attribute {
            name: owned(self.name),
            value: self.value.map(owned),
        }
    }
}

impl Proto<'_> {
    fn into_owned(self) -> Proto<'static> {
        match self {
            Proto::RtpAvp => Proto::RtpAvp,
            Proto::RtpAvpf => Proto::RtpAvpf,
            Proto::RtpSavp => Proto::RtpSavp,
            Proto::RtpSavpf => Proto::RtpSavpf,
            Proto::UdpTlsRtpSavp => Proto::UdpTlsRtpSavp,
            Proto::UdpTlsRtpSavpf => Proto::UdpTlsRtpSavpf,
            Proto::Other(token) => Proto::Other(owned(token)),
        }
    }
}

impl Media<'_> {
    fn into_owned(self) -> Media<'static> {
        Media {
            kind: owned(self.kind),
            port: self.port,
            port_count: self.port_count,
            proto: self.proto.into_owned(),
            formats: self.formats.into_iter().map(owned).collect(),
            connection: self.connection.map(Connection::into_owned),
            lines: self.lines.into_iter().map(Line::into_owned).collect(),
            attributes: self.attributes.into_iter().map(Attribute::into_owned).collect(),
        }
    }
}

fn values<'a, 't>(attributes: &'a [Attribute<'t>], name: &'a str) -> impl Iterator<Item = &'a str> + use<'a, 't> {
    attributes
        .iter()
        .filter(move |a| a.name == name)
        .map(|a| a.value.as_deref().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_for_what_they_are() {
        let ip = |text: &str| Connection::Ip(text.parse().unwrap());
        assert_eq!(Connection::parse("IN IP4 192.0.2.1"), ip("192.0.2.1"));
        assert_eq!(Connection::parse("in ip6 2001:DB8::1"), ip("2001:db8::1"));
        // The family is wrong, the address is clear.
        assert_eq!(Connection::parse("IN IP4 fe80::1"), ip("fe80::1"));
        let name = Connection::Name {
            v6: false,
            host: "host.example.com".into(),
        };
        assert_eq!(Connection::parse("IN IP4 host.example.com"), name);
        for odd in ["ATM - -", "IN IP4 233.252.0.1/127", "IN IP4", "IN IP9 x", ""] {
            assert_eq!(Connection::parse(odd), Connection::Other(odd.into()));
        }
    }

    #[test]
    fn the_unspecified_address_has_three_forms() {
        for hold in [
            "IN IP4 0.0.0.0",
            "IN IP6 ::",
            "IN IP6 anything.INVALID",
            "IN IP4 invalid.",
        ] {
            assert!(Connection::parse(hold).is_unspecified(), "{hold}");
        }
        for not in [
            "IN IP4 192.0.2.1",
            "IN IP4 invalid.example.com",
            "IN IP4 notinvalid",
            "ATM - -",
        ] {
            assert!(!Connection::parse(not).is_unspecified(), "{not}");
        }
    }

    #[test]
    fn keys_do_not_print() {
        let crypto = Attribute::new("crypto", "1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0");
        let line = Line {
            kind: 'k',
            value: "clear:c2VjcmV0".into(),
        };
        let password = Attribute::new("ice-pwd", "c2VjcmV0");
        assert_eq!(
            format!("{crypto:?} {line:?} {password:?}"),
            "a=crypto:*** k=*** a=ice-pwd:***"
        );
        assert_eq!(format!("{:?}", Attribute::new("ptime", "20")), "a=ptime:\"20\"");
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 1, 9, 10, 4_711, u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
    }

    #[test]
    fn transports_are_known_in_any_case() {
        for (proto, name) in PROTOCOLS {
            assert_eq!(Proto::parse(&name.to_lowercase()), proto);
            assert_eq!(proto.as_str(), name);
            assert_eq!(
                (proto.is_rtp(), proto.is_dtls()),
                (!name.contains("TLS"), name.contains("TLS"))
            );
        }
        assert_eq!(Proto::parse("udptl").as_str(), "udptl");
    }
}

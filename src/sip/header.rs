//! Names of header fields and the typed values of those that we read.

use super::ParseError;
use super::grammar::{BLANK, around, is_token, lws, params, quoted, token, write_quoted};
use super::uri::{self, Host, Uri, unescape};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::character::complete::{digit1, space1};
use nom::combinator::{all_consuming, map, opt};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// A request method (RFC 3261 7.1). Methods are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Register,
    Prack,
    Update,
    Refer,
    Notify,
    Subscribe,
    Info,
    Message,
    Publish,
    /// A method that we do not know, as written.
    Other(Box<str>),
}

impl Method {
    /// As on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Options => "OPTIONS",
            Method::Register => "REGISTER",
            Method::Prack => "PRACK",
            Method::Update => "UPDATE",
            Method::Refer => "REFER",
            Method::Notify => "NOTIFY",
            Method::Subscribe => "SUBSCRIBE",
            Method::Info => "INFO",
            Method::Message => "MESSAGE",
            Method::Publish => "PUBLISH",
            Method::Other(name) => name,
        }
    }
}

impl From<&str> for Method {
    fn from(text: &str) -> Method {
        match text {
            "INVITE" => Method::Invite,
            "ACK" => Method::Ack,
            "BYE" => Method::Bye,
            "CANCEL" => Method::Cancel,
            "OPTIONS" => Method::Options,
            "REGISTER" => Method::Register,
            "PRACK" => Method::Prack,
            "UPDATE" => Method::Update,
            "REFER" => Method::Refer,
            "NOTIFY" => Method::Notify,
            "SUBSCRIBE" => Method::Subscribe,
            "INFO" => Method::Info,
            "MESSAGE" => Method::Message,
            "PUBLISH" => Method::Publish,
            other => Method::Other(other.into()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A header field that we know by name. Others are asked for by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Name {
    Accept,
    AlertInfo,
    Allow,
    AllowEvents,
    Authorization,
    CallId,
    CallInfo,
    Contact,
    ContentEncoding,
    ContentLength,
    ContentType,
    CSeq,
    Date,
    Diversion,
    Event,
    Expires,
    From,
    MaxForwards,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    Path,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    Reason,
    RecordRoute,
    ReferSub,
    ReferTo,
    ReferredBy,
    RemotePartyId,
    Replaces,
    Require,
    RetryAfter,
    Route,
    RSeq,
    Server,
    ServiceRoute,
    SessionExpires,
    SubscriptionState,
    Supported,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
}

impl Name {
    /// The long form as RFC texts write it: `P-Asserted-Identity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Name::Accept => "Accept",
            Name::AlertInfo => "Alert-Info",
            Name::Allow => "Allow",
            Name::AllowEvents => "Allow-Events",
            Name::Authorization => "Authorization",
            Name::CallId => "Call-ID",
            Name::CallInfo => "Call-Info",
            Name::Contact => "Contact",
            Name::ContentEncoding => "Content-Encoding",
            Name::ContentLength => "Content-Length",
            Name::ContentType => "Content-Type",
            Name::CSeq => "CSeq",
            Name::Date => "Date",
            Name::Diversion => "Diversion",
            Name::Event => "Event",
            Name::Expires => "Expires",
            Name::From => "From",
            Name::MaxForwards => "Max-Forwards",
            Name::MinExpires => "Min-Expires",
            Name::MinSe => "Min-SE",
            Name::PAssertedIdentity => "P-Asserted-Identity",
            Name::Path => "Path",
            Name::Privacy => "Privacy",
            Name::ProxyAuthenticate => "Proxy-Authenticate",
            Name::ProxyAuthorization => "Proxy-Authorization",
            Name::ProxyRequire => "Proxy-Require",
            Name::RAck => "RAck",
            Name::Reason => "Reason",
            Name::RecordRoute => "Record-Route",
            Name::ReferSub => "Refer-Sub",
            Name::ReferTo => "Refer-To",
            Name::ReferredBy => "Referred-By",
            Name::RemotePartyId => "Remote-Party-ID",
            Name::Replaces => "Replaces",
            Name::Require => "Require",
            Name::RetryAfter => "Retry-After",
            Name::Route => "Route",
            Name::RSeq => "RSeq",
            Name::Server => "Server",
            Name::ServiceRoute => "Service-Route",
            Name::SessionExpires => "Session-Expires",
            Name::SubscriptionState => "Subscription-State",
            Name::Supported => "Supported",
            Name::To => "To",
            Name::Unsupported => "Unsupported",
            Name::UserAgent => "User-Agent",
            Name::Via => "Via",
            Name::Warning => "Warning",
            Name::WwwAuthenticate => "WWW-Authenticate",
        }
    }

    /// From any case and the compact forms (RFC 3261 7.3.3).
    pub fn from_bytes(name: &[u8]) -> Option<Name> {
        let first = match name {
            [] => return None,
            [letter] => return Name::from_compact(letter.to_ascii_lowercase()),
            [first, ..] => first,
        };
        // Most names come in the RFCs' spelling: that comparison is the cheap one.
        Name::of_length(name.len()).iter().copied().find(|known| {
            let known = known.as_str().as_bytes();
            known[0].eq_ignore_ascii_case(first) && (known == name || known.eq_ignore_ascii_case(name))
        })
    }

    const fn from_compact(letter: u8) -> Option<Name> {
        match letter {
            b'b' => Some(Name::ReferredBy),
            b'c' => Some(Name::ContentType),
            b'e' => Some(Name::ContentEncoding),
            b'f' => Some(Name::From),
            b'i' => Some(Name::CallId),
            b'k' => Some(Name::Supported),
            b'l' => Some(Name::ContentLength),
            b'm' => Some(Name::Contact),
            b'o' => Some(Name::Event),
            b'r' => Some(Name::ReferTo),
            b't' => Some(Name::To),
            b'u' => Some(Name::AllowEvents),
            b'v' => Some(Name::Via),
            b'x' => Some(Name::SessionExpires),
            _ => None,
        }
    }

    /// The names that are so many octets long, so that few need comparing.
    const fn of_length(length: usize) -> &'static [Name] {
        match length {
            2 => &[Name::To],
            3 => &[Name::Via],
            4 => &[Name::CSeq, Name::Date, Name::From, Name::Path, Name::RAck, Name::RSeq],
            5 => &[Name::Allow, Name::Event, Name::Route],
            6 => &[Name::Accept, Name::MinSe, Name::Reason, Name::Server],
            7 => &[
                Name::CallId,
                Name::Contact,
                Name::Expires,
                Name::Privacy,
                Name::Require,
                Name::Warning,
            ],
            8 => &[Name::ReferTo, Name::Replaces],
            9 => &[Name::CallInfo, Name::Diversion, Name::ReferSub, Name::Supported],
            10 => &[Name::AlertInfo, Name::UserAgent],
            11 => &[Name::MinExpires, Name::ReferredBy, Name::RetryAfter, Name::Unsupported],
            12 => &[
                Name::AllowEvents,
                Name::ContentType,
                Name::MaxForwards,
                Name::RecordRoute,
            ],
            13 => &[Name::Authorization, Name::ProxyRequire, Name::ServiceRoute],
            14 => &[Name::ContentLength],
            15 => &[Name::RemotePartyId, Name::SessionExpires],
            16 => &[Name::ContentEncoding, Name::WwwAuthenticate],
            18 => &[Name::ProxyAuthenticate, Name::SubscriptionState],
            19 => &[Name::PAssertedIdentity, Name::ProxyAuthorization],
            _ => &[],
        }
    }

    /// True where commas separate values (RFC 3261 7.3.1).
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Name::Accept
                | Name::AlertInfo
                | Name::Allow
                | Name::AllowEvents
                | Name::CallInfo
                | Name::Contact
                | Name::ContentEncoding
                | Name::Diversion
                | Name::PAssertedIdentity
                | Name::Path
                | Name::ProxyRequire
                | Name::Reason
                | Name::RecordRoute
                | Name::RemotePartyId
                | Name::Require
                | Name::Route
                | Name::ServiceRoute
                | Name::Supported
                | Name::Unsupported
                | Name::Via
                | Name::Warning
        )
    }

    /// True where a second field of the name makes the message malformed (RFC 3261 7.3.1, RFC 4475 3.3.8).
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Name::CallId
                | Name::ContentLength
                | Name::ContentType
                | Name::CSeq
                | Name::Date
                | Name::Event
                | Name::Expires
                | Name::From
                | Name::MaxForwards
                | Name::MinExpires
                | Name::MinSe
                | Name::RAck
                | Name::ReferSub
                | Name::ReferTo
                | Name::ReferredBy
                | Name::Replaces
                | Name::RetryAfter
                | Name::RSeq
                | Name::SessionExpires
                | Name::SubscriptionState
                | Name::To
        )
    }
}

/// `;name=value;flag`: names compare without case and with escapes resolved (RFC 4475 3.1.1.3: `;%6C%72` is `;lr`), order
/// and spelling are kept. Quoted values are held without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(pub Vec<(Box<str>, Option<Box<str>>)>);

impl Params {
    /// `None`: absent; `Some(None)`: a flag; `Some(Some(value))`.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .iter()
            .find(|(n, _)| same_name(n, name))
            .map(|(_, value)| value.as_deref())
    }

    /// The value, where there is one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Sets or replaces.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(Into::into);
        match self.0.iter_mut().find(|(n, _)| same_name(n, name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Removes; true if it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| !same_name(n, name));
        before != self.0.len()
    }
}

fn same_name(written: &str, name: &str) -> bool {
    written.eq_ignore_ascii_case(name) || (written.contains('%') && unescape(written).eq_ignore_ascii_case(name))
}

/// As parameters of a header field: a value that is no token and no address is quoted.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            match value {
                Some(value) if needs_quotes(name, value) => {
                    f.write_str("=")?;
                    write_quoted(f, value)?;
                }
                Some(value) => write!(f, "={value}")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// The value of a feature tag is quoted even where it is a token (RFC 3840 9: `+sip.events="reg"`, `audio="TRUE"`).
fn needs_quotes(name: &str, value: &str) -> bool {
    const FEATURES: [&str; 18] = [
        "actor",
        "application",
        "audio",
        "automata",
        "class",
        "control",
        "data",
        "description",
        "duplex",
        "events",
        "extensions",
        "isfocus",
        "language",
        "methods",
        "mobility",
        "priority",
        "schemes",
        "video",
    ];
    let is_feature = name.starts_with('+') || FEATURES.iter().any(|feature| feature.eq_ignore_ascii_case(name));
    is_feature || !(is_token(value.as_bytes()) || address(value).is_some())
}

/// An IP address as a parameter holds it: IPv6 with or without brackets (RFC 5118 4.5).
fn address(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text)
        .parse()
        .ok()
}

/// `"Display" <uri>;params`: From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity (RFC 3261 20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name without quotes and escapes.
    pub display: Option<Box<str>>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters.
    pub params: Params,
}

impl NameAddr {
    /// Reads one value (the whole text). Without angle brackets, parameters belong to the header (RFC 3261 20).
    pub fn parse(text: &str) -> Result<NameAddr, ParseError> {
        let malformed = |_| ParseError::bad("a name-addr is malformed");
        let (_, (display, uri, params)) = all_consuming(alt((bracketed, bare)))
            .parse(text.trim_matches(BLANK))
            .map_err(malformed)?;
        Ok(NameAddr {
            display: display.map(|name| name.into_owned().into()),
            uri: Uri::parse(uri)?,
            params,
        })
    }

    /// With a URI and nothing else.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }
}

/// Display name, URI and parameters as text.
type AddrParts<'a> = (Option<Cow<'a, str>>, &'a str, Params);

/// `name-addr`. A display name without quotes may hold more than tokens, since it does in the field, but no separator.
fn bracketed(input: &str) -> IResult<&str, AddrParts<'_>> {
    let words = map(take_while(|c: char| !",;<>\"\\".contains(c)), |words: &str| {
        words.trim_matches(BLANK)
    });
    let words = map(words, |words| (!words.is_empty()).then_some(Cow::Borrowed(words)));
    let display = alt((map(quoted, Some), words));
    let (rest, (display, _, _, uri, _)) = (display, lws, tag("<"), take_till(|c| c == '>'), tag(">")).parse(input)?;
    let (rest, params) = params(rest)?;
    Ok((rest, (display, uri, params)))
}

/// `addr-spec` without brackets: what follows the first semicolon are the field's parameters, and a `?` may not stand
/// there (RFC 3261 20.10).
fn bare(input: &str) -> IResult<&str, AddrParts<'_>> {
    let (rest, uri) = take_while1(|c: char| !c.is_ascii_whitespace() && !",;<>?\"".contains(c)).parse(input)?;
    let (rest, params) = params(rest)?;
    Ok((rest, (None, uri, params)))
}

/// Always with angle brackets; the display name always quoted.
impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write_quoted(f, display)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// One Via value (RFC 3261 20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, ... in upper case.
    pub transport: Box<str>,
    /// sent-by host.
    pub host: Host,
    /// sent-by port.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, ...
    pub params: Params,
}

impl Via {
    /// Reads one value (the whole text).
    pub fn parse(text: &str) -> Result<Via, ParseError> {
        let malformed = |_| ParseError::bad("a Via value is malformed");
        let (_, (transport, host, port, params)) =
            all_consuming(via).parse(text.trim_matches(BLANK)).map_err(malformed)?;
        Ok(Via {
            transport: transport.to_ascii_uppercase().into(),
            host: Host::parse(host)?,
            port: port.map(uri::port).transpose()?,
            params,
        })
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// The `received` parameter as an address, with or without brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.params.value("received").and_then(address)
    }
}

/// Transport, host and port as text, parameters.
type ViaParts<'a> = (&'a str, &'a str, Option<&'a str>, Params);

/// `via-parm` of any version: the answer 505 finds its way by it too.
fn via(input: &str) -> IResult<&str, ViaParts<'_>> {
    let protocol = (
        terminated(token, around('/')),
        terminated(token, around('/')),
        terminated(token, lws),
    );
    let sent_by = (uri::host_text, opt(preceded(around(':'), digit1)));
    let (rest, ((_, _, transport), (host, port), params)) = (protocol, sent_by, params).parse(input)?;
    Ok((rest, (transport, host, port, params)))
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

/// `CSeq: 4711 INVITE` (RFC 3261 20.16): the number is below 2^31.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// The sequence number.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the whole text.
    pub fn parse(text: &str) -> Result<CSeq, ParseError> {
        let malformed = |_| ParseError::bad("CSeq is not a number and a method");
        let (_, (number, _, method)) = all_consuming((digit1, space1, token))
            .parse(text.trim_matches(BLANK))
            .map_err(malformed)?;
        let number: Option<u32> = number.parse().ok().filter(|number| *number < 1 << 31);
        let number = number.ok_or(ParseError::bad("the number in CSeq is not below 2^31"))?;
        Ok(CSeq {
            number,
            method: Method::from(method),
        })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

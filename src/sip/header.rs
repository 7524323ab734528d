//! Names of header fields and the typed values of those that we read.

use super::uri::{Host, Uri};
use std::fmt;

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
        todo!()
    }
}

impl From<&str> for Method {
    fn from(text: &str) -> Method {
        let _ = text;
        todo!()
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
        todo!()
    }

    /// From any case and the compact forms (RFC 3261 7.3.3).
    pub fn from_bytes(name: &[u8]) -> Option<Name> {
        let _ = name;
        todo!()
    }

    /// True where commas separate values (RFC 3261 7.3.1).
    pub const fn is_list(self) -> bool {
        todo!()
    }
}

/// `;name=value;flag`: names compare without case, order and spelling are kept. Quoted values are held without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(pub Vec<(Box<str>, Option<Box<str>>)>);

impl Params {
    /// `None`: absent; `Some(None)`: a flag; `Some(Some(value))`.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_deref())
    }

    /// The value, where there is one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Sets or replaces.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(Into::into);
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Removes; true if it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        before != self.0.len()
    }
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
    pub fn parse(text: &str) -> Result<NameAddr, super::ParseError> {
        let _ = text;
        todo!()
    }

    /// With a URI and nothing else.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr { display: None, uri, params: Params::default() }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
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
    pub fn parse(text: &str) -> Result<Via, super::ParseError> {
        let _ = text;
        todo!()
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
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

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

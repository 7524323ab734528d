//! Methods, and names of header fields.

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
        Method::known(text.as_bytes()).unwrap_or_else(|| Method::Other(text.into()))
    }
}

impl Method {
    /// From octets; those of one that we do not know and that are not UTF-8 make an empty one.
    pub fn from_bytes(octets: &[u8]) -> Method {
        Method::known(octets).unwrap_or_else(|| Method::from(std::str::from_utf8(octets).unwrap_or_default()))
    }

    fn known(octets: &[u8]) -> Option<Method> {
        Some(match octets {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"OPTIONS" => Method::Options,
            b"REGISTER" => Method::Register,
            b"PRACK" => Method::Prack,
            b"UPDATE" => Method::Update,
            b"REFER" => Method::Refer,
            b"NOTIFY" => Method::Notify,
            b"SUBSCRIBE" => Method::Subscribe,
            b"INFO" => Method::Info,
            b"MESSAGE" => Method::Message,
            b"PUBLISH" => Method::Publish,
            _other => return None,
        })
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
        let mut slot = slot(name, *first);
        while let (spelling, Some(known)) = TABLE[slot] {
            // Most names come in the RFCs' spelling: that comparison is the cheap one.
            if spelling == name || spelling.eq_ignore_ascii_case(name) {
                return Some(known);
            }
            slot = (slot + 1) % TABLE.len();
        }
        None
    }

    /// The compact form (RFC 3261 7.3.3), where there is one.
    pub fn compact(self) -> Option<&'static str> {
        const LETTERS: [&str; 14] = ["b", "c", "e", "f", "i", "k", "l", "m", "o", "r", "t", "u", "v", "x"];
        LETTERS
            .into_iter()
            .find(|letter| Name::from_compact(letter.as_bytes()[0]) == Some(self))
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

/// How many names we know.
pub(super) const NAMES: usize = 49;

/// Every name that we know.
const ALL: [Name; NAMES] = [
    Name::Accept,
    Name::AlertInfo,
    Name::Allow,
    Name::AllowEvents,
    Name::Authorization,
    Name::CallId,
    Name::CallInfo,
    Name::Contact,
    Name::ContentEncoding,
    Name::ContentLength,
    Name::ContentType,
    Name::CSeq,
    Name::Date,
    Name::Diversion,
    Name::Event,
    Name::Expires,
    Name::From,
    Name::MaxForwards,
    Name::MinExpires,
    Name::MinSe,
    Name::PAssertedIdentity,
    Name::Path,
    Name::Privacy,
    Name::ProxyAuthenticate,
    Name::ProxyAuthorization,
    Name::ProxyRequire,
    Name::RAck,
    Name::Reason,
    Name::RecordRoute,
    Name::ReferSub,
    Name::ReferTo,
    Name::ReferredBy,
    Name::RemotePartyId,
    Name::Replaces,
    Name::Require,
    Name::RetryAfter,
    Name::Route,
    Name::RSeq,
    Name::Server,
    Name::ServiceRoute,
    Name::SessionExpires,
    Name::SubscriptionState,
    Name::Supported,
    Name::To,
    Name::Unsupported,
    Name::UserAgent,
    Name::Via,
    Name::Warning,
    Name::WwwAuthenticate,
];

/// Open addressing by `slot`, filled at compile time. A fifth of it is taken, so a search ends soon at a free place.
static TABLE: [(&[u8], Option<Name>); 256] = table();

const fn table() -> [(&'static [u8], Option<Name>); 256] {
    let mut table: [(&[u8], Option<Name>); 256] = [(b"", None); 256];
    let mut at = 0;
    while at < ALL.len() {
        let name = ALL[at].as_str().as_bytes();
        let mut slot = slot(name, name[0]);
        while table[slot].1.is_some() {
            slot = (slot + 1) % table.len();
        }
        table[slot] = (name, Some(ALL[at]));
        at += 1;
    }
    table
}

/// Where the search for a name begins: by its length and its first and last letter, in any case.
const fn slot(name: &[u8], first: u8) -> usize {
    let last = name[name.len() - 1];
    (name.len().wrapping_mul(29) ^ (((first | 0x20) as usize) << 3) ^ ((last | 0x20) as usize)) % 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_in_any_case() {
        for name in ALL {
            let written = name.as_str();
            for spelling in [written.to_owned(), written.to_uppercase(), written.to_lowercase()] {
                assert_eq!(Name::from_bytes(spelling.as_bytes()), Some(name), "{spelling}");
            }
            assert!((name as u32) < 64, "check() keeps names in the bits of a u64");
            assert!(!(name.is_list() && name.is_single()), "{written}");
        }
        assert_eq!(ALL.last(), Some(&Name::WwwAuthenticate), "the list is whole");
        assert_eq!(ALL.len(), Name::WwwAuthenticate as usize + 1, "the list is whole");
    }

    #[test]
    fn compact_forms_and_strangers() {
        let compact: Vec<_> = (b'a'..=b'z').filter_map(|letter| Name::from_bytes(&[letter])).collect();
        assert_eq!(compact.len(), 14);
        assert_eq!(Name::from_bytes(b"v"), Some(Name::Via));
        assert_eq!(Name::from_bytes(b"I"), Some(Name::CallId));
        for stranger in [
            &b""[..],
            b"s",
            b"Viaa",
            b"Vi",
            b"Call ID",
            b"Call\rID",
            b"C%6Fntact",
            b"\xff",
            b"Subject",
        ] {
            assert_eq!(Name::from_bytes(stranger), None, "{stranger:?}");
        }
    }

    #[test]
    fn methods_are_case_sensitive() {
        assert_eq!(Method::from("INVITE"), Method::Invite);
        assert_eq!(Method::from("invite"), Method::Other("invite".into()));
        assert_eq!(Method::from("PRACK").to_string(), "PRACK");
    }
}

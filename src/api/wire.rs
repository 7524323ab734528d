//! What passes between the shell and the machine: requests in, replies out. Values only.

use crate::pii::Secret;
use bytes::Bytes;
use std::fmt;
use std::net::IpAddr;

/// One request of HTTP.
#[derive(Clone)]
pub struct Request {
    /// From where.
    pub peer: IpAddr,
    /// To which of our addresses.
    pub local: IpAddr,
    /// How.
    pub method: Method,
    /// What for, without the query.
    pub path: String,
    /// What stands behind `Bearer` in `Authorization`.
    pub token: Option<Secret>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// `Last-Event-ID`.
    pub after: Option<String>,
    /// All of its body.
    pub body: Bytes,
}

/// What is said in it is between two people.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} of {} octets", self.method, self.path, self.body.len())
    }
}

/// The methods that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Options,
    /// Any other.
    Other,
}

impl Method {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Options => "OPTIONS",
            Method::Other => "",
        }
    }
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The whole answer.
    Done(Response),
    /// The request has become a stream of events.
    Open {
        /// More header fields.
        headers: Headers,
        /// What it begins with.
        events: Vec<Event>,
    },
    /// One more event of the stream.
    More(Event),
    /// The stream ends by this one.
    Last(Event),
}

/// Names and values of header fields.
pub type Headers = Vec<(&'static str, String)>;

/// One answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Content-Type; none where there is no body.
    pub kind: Option<&'static str>,
    /// Other header fields.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// Tokens and keys may be in it.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} octets", self.status, self.body.len())
    }
}

/// One event of a stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// By which the stream is resumed behind it; none where it stands for no place in it.
    pub id: Option<String>,
    /// Which kind.
    pub name: &'static str,
    /// JSON on one line.
    pub data: Bytes,
}

/// Session descriptions are in it.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} octets", self.name, self.data.len())
    }
}

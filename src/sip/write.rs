//! What we are about to send.

use super::header::{Method, Name};
use super::uri::Uri;
use super::{Message, ParseError};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt::Display;

/// The first line of a draft.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// A request.
    Request(Method, Uri),
    /// A response: status and reason phrase.
    Response(u16, Cow<'static, str>),
}

/// A message under construction: header fields in order. Content-Length is written by `to_bytes`. No value can carry a line
/// break out: CR, LF and NUL in a value become spaces.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The first line.
    pub start: Start,
    /// Fields in order.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Bytes,
}

impl Draft {
    /// A request with no fields yet.
    pub fn request(method: Method, uri: Uri) -> Draft {
        Draft { start: Start::Request(method, uri), headers: Vec::new(), body: Bytes::new() }
    }

    /// A response to `request` by RFC 3261 8.2.6.2: Via, From, To, Call-ID, CSeq copied (and Timestamp for 100), the
    /// standard reason phrase. `to_tag` is added where To has none and the status is not 100.
    pub fn response(request: &Message, status: u16, to_tag: Option<&str>) -> Draft {
        let _ = (request, status, to_tag);
        todo!()
    }

    /// Another reason phrase.
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Draft {
        if let Start::Response(_, phrase) = &mut self.start {
            *phrase = reason.into();
        }
        self
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: Name, value: impl Display) {
        self.headers.push((Cow::Borrowed(name.as_str()), value.to_string()));
    }

    /// Adds a field that has no `Name`.
    pub fn push_named(&mut self, name: impl Into<Cow<'static, str>>, value: impl Display) {
        self.headers.push((name.into(), value.to_string()));
    }

    /// Adds a field in front of all others (Via).
    pub fn push_front(&mut self, name: Name, value: impl Display) {
        self.headers.insert(0, (Cow::Borrowed(name.as_str()), value.to_string()));
    }

    /// Replaces all fields of that name by one, in the place of the first.
    pub fn set(&mut self, name: Name, value: impl Display) {
        let _ = (name, value.to_string());
        todo!()
    }

    /// Removes all fields of that name.
    pub fn remove(&mut self, name: Name) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name.as_str()));
    }

    /// The first field of that name.
    pub fn get(&self, name: Name) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_str())).map(|(_, value)| value.as_str())
    }

    /// Sets Content-Type and the body.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.set(Name::ContentType, content_type);
        self.body = body.into();
    }

    /// The method of a request draft.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request(method, _) => Some(method),
            Start::Response(..) => None,
        }
    }

    /// The octets to send.
    pub fn to_bytes(&self) -> Bytes {
        todo!()
    }

    /// The same read back: for code that must treat what we send as what came (RFC 3261 17.1.1.3: the ACK of a failure).
    pub fn to_message(&self) -> Result<Message, ParseError> {
        Message::parse(self.to_bytes())
    }
}

/// The standard reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    let _ = status;
    todo!()
}

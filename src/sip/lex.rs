//! The lazy index over a message that came: one pass over the bytes finds the lines; values are read when somebody asks.

use super::header::{CSeq, Method, Name, NameAddr, Via};
use super::uri::Uri;
use bytes::Bytes;
use std::borrow::Cow;

/// Why a message, or a value in it, cannot be read. Knows the status that its sender is owed, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// 400 by default; 416, 505, ... where the RFC says so.
    pub status: u16,
    /// In words, for a reason phrase and a log: no data of the message in it.
    pub reason: &'static str,
}

/// A received request or response. Cheap to clone: its text is shared.
#[derive(Clone, Debug)]
pub struct Message {
    // The implementation's own: the bytes, the start line, the index of header lines, the body.
    bytes: Bytes,
}

impl Message {
    /// Indexes one whole message (as `frame` cut it). Mandatory fields are checked by the accessors and by `check`.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        Ok(Message { bytes })
    }

    /// The octets as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What RFC 3261 8.1.1 and 16.3 demand of every message: To, From, CSeq, Call-ID, Via (and Max-Forwards readable), no
    /// single-valued field twice, CSeq method as the request's, Content-Length within the datagram.
    pub fn check(&self) -> Result<(), ParseError> {
        todo!()
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        todo!()
    }

    /// The method: of a response that of its CSeq (`Other("")` when it is unreadable).
    pub fn method(&self) -> Method {
        todo!()
    }

    /// The request URI; an error with 416 or 400 when it cannot be read, and for responses.
    pub fn request_uri(&self) -> Result<Uri, ParseError> {
        todo!()
    }

    /// The status code of a response, 0 for a request.
    pub fn status(&self) -> u16 {
        todo!()
    }

    /// The reason phrase of a response.
    pub fn reason(&self) -> &str {
        todo!()
    }

    /// The first value line of a field as text, unfolded and trimmed; `None` when absent or not UTF-8.
    pub fn get(&self, name: Name) -> Option<Cow<'_, str>> {
        let _ = name;
        todo!()
    }

    /// All values of a field in order: of list fields the single values, split at commas outside quotes and brackets.
    pub fn all(&self, name: Name) -> Vec<Cow<'_, str>> {
        let _ = name;
        todo!()
    }

    /// The values of a field that has no `Name`.
    pub fn all_named(&self, name: &str) -> Vec<Cow<'_, str>> {
        let _ = name;
        todo!()
    }

    /// True if the comma-separated tokens of a field contain this one, without case (Supported, Require, Allow).
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        let _ = (name, token);
        todo!()
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        todo!()
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        todo!()
    }

    /// Call-ID, empty if absent.
    pub fn call_id(&self) -> &str {
        todo!()
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        todo!()
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Via, ParseError> {
        todo!()
    }

    /// All values of a field as name-addr (Contact without `*`, Route, Record-Route, ...).
    pub fn addresses(&self, name: Name) -> Result<Vec<NameAddr>, ParseError> {
        let _ = name;
        todo!()
    }

    /// A field that is a number (Expires, Max-Forwards, Min-Expires, RSeq, ...; parameters after `;` ignored).
    pub fn number(&self, name: Name) -> Option<Result<u32, ParseError>> {
        let _ = name;
        todo!()
    }

    /// The body: cut to Content-Length where that is shorter.
    pub fn body(&self) -> Bytes {
        todo!()
    }

    /// The media type of the body in lower case without parameters; `None` when there is no body or no Content-Type.
    pub fn content_type(&self) -> Option<String> {
        todo!()
    }
}

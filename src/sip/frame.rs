//! Cutting messages out of datagrams and streams (RFC 3261 18.3, RFC 5626 3.5.1).

use super::ParseError;
use bytes::{Bytes, BytesMut};

/// What a stream holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// A keep-alive `CRLF CRLF`: owed one CRLF (RFC 5626 4.4.1).
    Ping,
    /// The answer to our own ping.
    Pong,
}

/// Cuts the next frame off a stream's buffer; `None` until more came. An error ends the connection: a stream cannot
/// resynchronise.
pub fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
    let _ = buffer;
    todo!()
}

/// A datagram: leading CRLFs dropped; `None` for a keep-alive or for nothing that begins like SIP.
pub fn datagram(bytes: Bytes) -> Option<Bytes> {
    let _ = bytes;
    todo!()
}

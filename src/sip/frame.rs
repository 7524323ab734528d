//! Cutting messages out of datagrams and streams (RFC 3261 18.3, RFC 5626 3.5.1).

use super::ParseError;
use super::grammar::is_token_byte;
use super::header::Name;
use crate::limits::SIP_MESSAGE_BYTES;
use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr_iter};

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

const NOT_SIP: ParseError = ParseError::bad("the stream does not carry SIP");
const TOO_LARGE: ParseError = ParseError {
    status: 513,
    reason: "a message on the stream is larger than 65535 octets",
};
const LENGTH: ParseError = ParseError::bad("Content-Length on the stream is no number, or two that differ");

/// Cuts the next frame off a stream's buffer; `None` until more came. An error ends the connection: a stream cannot
/// resynchronise.
///
/// A message without Content-Length has no body here (RFC 3261 20.14 demands the field on streams; the element that
/// leaves it out sends no body, and one that does is caught at the next message). A single CRLF is a pong at once: a
/// ping that arrives in two halves counts as two pongs, since to wait for its second half would hold back real pongs.
/// Each call looks at most once at each octet of the first message's header.
pub fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
    loop {
        match buffer.as_ref() {
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                buffer.advance(4);
                return Ok(Some(Frame::Ping));
            }
            [b'\r', b'\n', b'\r'] | [b'\r'] | [] => return Ok(None),
            [b'\r', b'\n', ..] => {
                buffer.advance(2);
                return Ok(Some(Frame::Pong));
            }
            [b'\n', ..] => buffer.advance(1),
            [..] => return message(buffer),
        }
    }
}

fn message(buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
    if !may_be_sip(buffer) {
        return Err(NOT_SIP);
    }
    let Some(head) = head_length(buffer) else {
        return if buffer.len() > SIP_MESSAGE_BYTES {
            Err(TOO_LARGE)
        } else {
            Ok(None)
        };
    };
    let total = head.checked_add(content_length(&buffer[..head])?).ok_or(TOO_LARGE)?;
    if total > SIP_MESSAGE_BYTES {
        return Err(TOO_LARGE);
    }
    if buffer.len() < total {
        return Ok(None);
    }
    Ok(Some(Frame::Message(buffer.split_to(total).freeze())))
}

/// A datagram: leading CRLFs dropped; `None` for a keep-alive or for nothing that begins like SIP.
pub fn datagram(bytes: Bytes) -> Option<Bytes> {
    let begin = bytes
        .iter()
        .take_while(|byte| **byte == b'\r' || **byte == b'\n')
        .count();
    let message = bytes.slice(begin..);
    let has_line = memchr(b'\n', &message).is_some();
    (has_line && may_be_sip(&message)).then_some(message)
}

/// False as soon as the octets can't become a SIP message: the first line begins with a method or version and, once it is
/// whole, names the protocol.
fn may_be_sip(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return false };
    // `SIP/2.0` is no token for its slash, but begins like one.
    if !is_token_byte(*first) {
        return false;
    }
    match memchr(b'\n', bytes) {
        Some(end) => memchr_iter(b'/', &bytes[..end])
            .any(|at| at >= 3 && bytes[at - 3..at].eq_ignore_ascii_case(b"SIP") && (at == 3 || bytes[at - 4] == b' ')),
        None => true,
    }
}

/// Octets up to and with the empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes).find_map(|at| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// The value of Content-Length, 0 when there is none.
fn content_length(head: &[u8]) -> Result<usize, ParseError> {
    let mut found = None;
    let mut lines = head.split(|byte| *byte == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = memchr(b':', line) else { continue };
        if Name::from_bytes(line[..colon].trim_ascii_end()) != Some(Name::ContentLength) {
            continue;
        }
        let mut value = line[colon + 1..].trim_ascii().to_vec();
        while let Some(more) = lines.next_if(|next| matches!(next, [b' ' | b'\t', ..])) {
            value.extend_from_slice(more.trim_ascii());
        }
        let number = std::str::from_utf8(&value)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number: usize = number.and_then(|text| text.parse().ok()).ok_or(LENGTH)?;
        if found.is_some_and(|other| other != number) {
            return Err(LENGTH);
        }
        found = Some(number);
    }
    Ok(found.unwrap_or(0))
}

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

/// The message in a datagram: leading CRLFs dropped; `None` for a keep-alive or for nothing that begins like SIP.
pub fn datagram(octets: &[u8]) -> Option<&[u8]> {
    let begin = octets
        .iter()
        .take_while(|byte| **byte == b'\r' || **byte == b'\n')
        .count();
    let message = &octets[begin..];
    let has_line = memchr(b'\n', message).is_some();
    (has_line && may_be_sip(message)).then_some(message)
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

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP b\r\nContent-Length: 4\r\n\r\nbody";

    fn all(stream: &[u8]) -> Result<Vec<Frame>, ParseError> {
        let mut buffer = BytesMut::from(stream);
        let mut frames = Vec::new();
        while let Some(frame) = next(&mut buffer)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn message_of(text: &str) -> Frame {
        Frame::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// A message whose Content-Length lines are these.
    fn with_lengths(lines: &str) -> Vec<u8> {
        format!("OPTIONS sip:a SIP/2.0\r\n{lines}\r\nbody").into_bytes()
    }

    #[test]
    fn messages_and_keep_alives_in_a_row() {
        let stream = format!("\r\n\r\n{OPTIONS}\r\n{OPTIONS}{OPTIONS}\r\n\r\n\r\n");
        let frames = all(stream.as_bytes()).unwrap();
        let message = message_of(OPTIONS);
        let parts = [
            Frame::Ping,
            message.clone(),
            Frame::Pong,
            message.clone(),
            message,
            Frame::Ping,
            Frame::Pong,
        ];
        assert_eq!(frames, parts);
    }

    #[test]
    fn a_message_cut_at_every_place_is_the_same_message() {
        let stream = format!("{OPTIONS}{OPTIONS}");
        for cut in 0..=stream.len() {
            let (first, second) = stream.as_bytes().split_at(cut);
            let mut buffer = BytesMut::from(first);
            let mut frames = Vec::new();
            while let Some(frame) = next(&mut buffer).unwrap() {
                frames.push(frame);
            }
            buffer.extend_from_slice(second);
            while let Some(frame) = next(&mut buffer).unwrap() {
                frames.push(frame);
            }
            assert_eq!(frames, [message_of(OPTIONS), message_of(OPTIONS)], "{cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn every_single_octet_in_its_own_segment() {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for octet in OPTIONS.bytes().chain(OPTIONS.bytes()) {
            buffer.extend_from_slice(&[octet]);
            frames.extend(next(&mut buffer).unwrap());
        }
        assert_eq!(frames, [message_of(OPTIONS), message_of(OPTIONS)]);
    }

    #[test]
    fn content_length_in_all_its_spellings() {
        for lines in [
            "Content-Length: 4\r\n",
            "l:4\r\n",
            "CONTENT-LENGTH \t:  004  \r\n",
            "L:\r\n 4\r\n",
            "Content-Length: 4\r\nl: 4\r\n",
            "Content-Length: 4\n",
        ] {
            let stream = with_lengths(lines);
            assert_eq!(all(&stream).unwrap().len(), 1, "{lines:?}");
        }
    }

    #[test]
    fn a_length_that_means_nothing_ends_the_connection() {
        for value in [
            "-4",
            "+4",
            "",
            "four",
            "4 4",
            "0x4",
            "4;a",
            "4,4",
            "99999999999999999999999999",
            "4\r\nl: 5",
        ] {
            let error = all(&with_lengths(&format!("Content-Length: {value}\r\n"))).unwrap_err();
            assert_eq!(error.status, 400, "{value}");
        }
        for value in ["65535", "18446744073709551615"] {
            let error = all(&with_lengths(&format!("Content-Length: {value}\r\n"))).unwrap_err();
            assert_eq!(error.status, 513, "{value}");
        }
    }

    #[test]
    fn without_length_there_is_no_body_and_one_that_comes_anyway_ends_the_connection() {
        let mut buffer = BytesMut::from(&with_lengths("")[..]);
        assert!(matches!(next(&mut buffer), Ok(Some(Frame::Message(_)))));
        assert_eq!(buffer, "body");
        buffer.extend_from_slice(b" of text\r\n");
        assert_eq!(next(&mut buffer), Err(NOT_SIP));
    }

    #[test]
    fn bare_line_feeds_end_lines_too() {
        let stream = "\nOPTIONS sip:a SIP/2.0\nl: 2\n\nhi\n\n";
        assert_eq!(
            all(stream.as_bytes()).unwrap(),
            [message_of("OPTIONS sip:a SIP/2.0\nl: 2\n\nhi")]
        );
    }

    #[test]
    fn sizes_are_bounded_in_header_and_body() {
        let mut buffer = BytesMut::from("OPTIONS sip:a SIP/2.0\r\nX: ");
        buffer.resize(SIP_MESSAGE_BYTES, b'x');
        assert_eq!(next(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"x");
        assert_eq!(next(&mut buffer), Err(TOO_LARGE));

        let head = "OPTIONS sip:a SIP/2.0\r\nl: 65500\r\n\r\n".len();
        let mut most = with_lengths(&format!("l: {}\r\n", SIP_MESSAGE_BYTES - head));
        most.resize(SIP_MESSAGE_BYTES, b'x');
        assert_eq!(all(&most).unwrap().len(), 1);
        assert_eq!(
            all(&with_lengths(&format!("l: {}\r\n", SIP_MESSAGE_BYTES - head + 1))),
            Err(TOO_LARGE)
        );
    }

    #[test]
    fn what_is_not_sip_ends_the_connection_early() {
        for stream in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b" OPTIONS",
            b"HELO\n",
            b"xSIP/2.0\r\n",
            b"\0",
        ] {
            assert_eq!(all(stream), Err(NOT_SIP), "{stream:?}");
        }
        assert_eq!(all(b"SIP/2.0 200 OK\r\n\r\n").unwrap().len(), 1);
        assert_eq!(all(b"OPTIONS sip:a sip/2.0\r\n\r\n").unwrap().len(), 1);
    }

    #[test]
    fn datagrams_lose_leading_line_breaks_and_keep_alives_are_nothing() {
        for nothing in [
            &b""[..],
            b"\r\n",
            b"\r\n\r\n",
            b"\0\0\0\0",
            b"\0\x01\0\0\x21\x12\xa4\x42",
            b"jaK",
            b"hello\r\n",
        ] {
            assert_eq!(datagram(nothing), None, "{nothing:?}");
        }
        assert_eq!(
            datagram(b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\n\r\n").unwrap(),
            b"OPTIONS sip:a SIP/2.0\r\n\r\n"
        );
        assert!(datagram(b"OPTIONS sip:a SIP/7.0\r\n").is_some());
    }
}

//! The lazy index over a message that came: one pass over the bytes finds the lines; values are read when somebody asks.

use super::facts::Facts;
use super::grammar::is_token;
use super::header::Name;
use super::name::NAMES;
use crate::limits::{SIP_HEADERS, SIP_MESSAGE_BYTES};
use bytes::Bytes;
use memchr::{memchr, memrchr};
use smallvec::SmallVec;
use std::fmt;
use std::sync::OnceLock;

/// Why a message, or a value in it, cannot be read. Knows the status that its sender is owed, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// 400 by default; 416, 505, ... where the RFC says so.
    pub status: u16,
    /// In words, for a reason phrase and a log: no data of the message in it.
    pub reason: &'static str,
}

impl ParseError {
    /// A peer's fault that 400 answers.
    pub const fn bad(reason: &'static str) -> ParseError {
        ParseError { status: 400, reason }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.status)
    }
}

impl std::error::Error for ParseError {}

/// A received request or response. Cheap to clone: its text is shared.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    pub(super) start: Start,
    lines: SmallVec<[Line; INLINE_LINES]>,
    body_at: u16,
    /// What the index stumbled over and could step across, so that the message can still be answered.
    pub(super) fault: Option<ParseError>,
    pub(super) facts: OnceLock<Facts>,
    /// The first line of each name that we know, `NOWHERE` where there is none.
    first: [u8; NAMES],
}

/// In `first`: more lines than a message may have.
const NOWHERE: u8 = u8::MAX;

/// Header lines that the index holds without the heap: an INVITE of a carrier has around 20.
const INLINE_LINES: usize = 32;

/// A piece of the message, as offsets: they fit because `SIP_MESSAGE_BYTES` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: u16,
    to: u16,
}

/// The start line.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Request { method: Span, uri: Span },
    Response { status: u16, reason: Span },
}

/// One header field.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) known: Option<Name>,
    /// There are line breaks in the value (RFC 3261 7.3.1).
    pub(super) is_folded: bool,
    pub(super) name: Span,
    /// Without blanks at both ends.
    pub(super) value: Span,
}

const NOT_SIP: ParseError = ParseError::bad("the first line is neither a SIP request line nor a status line");
const SPACING: ParseError = ParseError::bad("the request line is not three words with single spaces between");
const NO_NAME: ParseError = ParseError::bad("a header line has no field name with a colon");
const NO_END: ParseError = ParseError::bad("the message ends before the empty line that ends its header");
const VERSION: ParseError = ParseError {
    status: 505,
    reason: "the SIP version is not 2.0",
};
const TOO_LARGE: ParseError = ParseError {
    status: 513,
    reason: "the message is larger than 65535 octets",
};
const TOO_MANY: ParseError = ParseError {
    status: 513,
    reason: "the message has too many header fields",
};

impl Message {
    /// Indexes one whole message (as `frame` cut it). Mandatory fields are checked by the accessors and by `check`.
    ///
    /// Fails only where there is nothing that could be answered: no SIP start line, or a size beyond `limits`. Faults
    /// that the index can step across (version, spacing, a line without colon) are kept for `check`. Linear in the
    /// octets; no allocation up to 32 header lines.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        if bytes.len() > SIP_MESSAGE_BYTES {
            return Err(TOO_LARGE);
        }
        let text = bytes.as_ref();
        let begin = text
            .iter()
            .take_while(|byte| **byte == b'\r' || **byte == b'\n')
            .count();
        let (end, next) = line_at(text, begin);
        let (start, mut fault) = start_line(text, Span::new(begin, end))?;
        let mut lines = SmallVec::new();
        let body_at = index(text, next, &mut lines, &mut fault)?;
        Ok(Message {
            start,
            body_at: Span::new(body_at, body_at).from,
            fault,
            facts: OnceLock::new(),
            first: first_lines(&lines),
            lines,
            bytes,
        })
    }

    /// The octets as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The status code of a response, 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines of a field, in order.
    pub(super) fn lines_of(&self, name: Name) -> impl Iterator<Item = &Line> {
        let first = self.first[name as usize];
        let from = if first == NOWHERE {
            self.lines.len()
        } else {
            usize::from(first)
        };
        self.lines[from..].iter().filter(move |line| line.known == Some(name))
    }

    pub(super) fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.from)..usize::from(span.to)]
    }

    /// Where a piece of the message's text stands.
    pub(super) fn span_of(&self, piece: &str) -> Span {
        let from = piece.as_ptr() as usize - self.bytes.as_ptr() as usize;
        debug_assert!(from + piece.len() <= self.bytes.len(), "a piece of another text");
        Span::new(from, from + piece.len())
    }

    /// Where the start line begins, and where the Request-URI of a request stands.
    pub(super) fn start_spans(&self) -> (usize, Option<std::ops::Range<usize>>) {
        match self.start {
            Start::Request { method, uri } => (method.range().start, Some(uri.range())),
            Start::Response { .. } => {
                let line_breaks = self.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                (line_breaks.count(), None)
            }
        }
    }

    /// Where the header lines end: before the empty line, or at the end of a message that has none.
    pub(super) fn head_end(&self) -> usize {
        let body_at = usize::from(self.body_at);
        let head = &self.bytes[..body_at];
        let blank = if head.ends_with(b"\n\r\n") {
            2
        } else {
            usize::from(head.ends_with(b"\n\n"))
        };
        body_at - blank
    }

    /// What follows the empty line, whatever Content-Length says.
    pub(super) fn rest(&self) -> Bytes {
        self.bytes.slice(usize::from(self.body_at)..)
    }

    /// The same without a share in the message.
    pub(super) fn rest_octets(&self) -> &[u8] {
        &self.bytes[usize::from(self.body_at)..]
    }
}

/// What a log may show: neither addresses nor credentials.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Request { .. } => write!(f, "Message({} request", self.method().as_str().escape_debug())?,
            Start::Response { status, .. } => write!(f, "Message({status} response")?,
        }
        write!(f, ", {} fields, {} octets)", self.lines.len(), self.bytes.len())
    }
}

impl Span {
    /// The offsets are of a text that `parse` found no longer than 65535 octets: nothing is cut off.
    pub(super) const fn new(from: usize, to: usize) -> Span {
        Span {
            from: from as u16,
            to: to as u16,
        }
    }

    /// As offsets into the octets.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.from)..usize::from(self.to)
    }

    fn is_empty(self) -> bool {
        self.from == self.to
    }
}

/// Where the line that begins at `from` ends without its line break, and where the next begins.
fn line_at(text: &[u8], from: usize) -> (usize, usize) {
    match memchr(b'\n', &text[from..]) {
        Some(length) => {
            let end = from + length;
            let has_cr = end > from && text[end - 1] == b'\r';
            (end - usize::from(has_cr), end + 1)
        }
        None => (text.len(), text.len()),
    }
}

/// Where each name stands first.
fn first_lines(lines: &[Line]) -> [u8; NAMES] {
    let mut first = [NOWHERE; NAMES];
    // The last of the lines that a message may have has number 255: it is looked for from there on.
    for (at, line) in lines.iter().enumerate().rev() {
        if let Some(name) = line.known {
            first[name as usize] = u8::try_from(at.min(SIP_HEADERS - 2)).unwrap_or(NOWHERE);
        }
    }
    first
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The piece without blanks at both ends.
fn trim(text: &[u8], mut from: usize, mut to: usize) -> Span {
    while from < to && is_blank(text[from]) {
        from += 1;
    }
    while from < to && is_blank(text[to - 1]) {
        to -= 1;
    }
    Span::new(from, to)
}

/// Reads the start line, strictly where it can't be answered and leniently where it can.
fn start_line(text: &[u8], line: Span) -> Result<(Start, Option<ParseError>), ParseError> {
    let (from, to) = (usize::from(line.from), usize::from(line.to));
    let first = from + memchr(b' ', &text[from..to]).ok_or(NOT_SIP)?;
    if is_version(&text[from..first]) {
        return status_line(text, Span::new(from, first), to);
    }
    let end = usize::from(trim(text, from, to).to);
    let last = from + memrchr(b' ', &text[from..end]).ok_or(NOT_SIP)?;
    let version = &text[last + 1..end];
    if !is_token(&text[from..first]) || !is_version(version) || last <= first {
        return Err(NOT_SIP);
    }
    let uri = trim(text, first, last);
    let is_spaced = end == to && usize::from(uri.from) == first + 1 && usize::from(uri.to) == last;
    let fault = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(VERSION)
    } else if !is_spaced || uri.is_empty() {
        Some(SPACING)
    } else {
        None
    };
    Ok((
        Start::Request {
            method: Span::new(from, first),
            uri,
        },
        fault,
    ))
}

fn is_version(word: &[u8]) -> bool {
    word.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
}

/// `SIP/2.0 200 OK`; the space before an empty reason phrase may be missing (RFC 4475 3.1.1.13).
fn status_line(text: &[u8], version: Span, to: usize) -> Result<(Start, Option<ParseError>), ParseError> {
    let code_at = usize::from(version.to) + 1;
    let code_end = memchr(b' ', &text[code_at..to]).map_or(to, |length| code_at + length);
    let [a @ b'1'..=b'6', b @ b'0'..=b'9', c @ b'0'..=b'9'] = text[code_at..code_end] else {
        return Err(ParseError::bad("the status code is not between 100 and 699"));
    };
    let status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    let is_ours = text[usize::from(version.from)..usize::from(version.to)].eq_ignore_ascii_case(b"SIP/2.0");
    let reason = trim(text, code_end, to);
    Ok((Start::Response { status, reason }, (!is_ours).then_some(VERSION)))
}

/// Finds the header lines from `at` on; gives the offset of the body.
fn index(
    text: &[u8],
    mut at: usize,
    lines: &mut SmallVec<[Line; INLINE_LINES]>,
    fault: &mut Option<ParseError>,
) -> Result<usize, ParseError> {
    while at < text.len() {
        let (end, next) = line_at(text, at);
        if end == at && next > end {
            return Ok(next);
        }
        if matches!(text[at], b' ' | b'\t') {
            fold(text, at, end, lines.last_mut(), fault);
        } else if lines.len() == SIP_HEADERS {
            return Err(TOO_MANY);
        } else if let Some(line) = header_line(text, at, end) {
            lines.push(line);
        } else {
            fault.get_or_insert(NO_NAME);
        }
        at = next;
    }
    fault.get_or_insert(NO_END);
    Ok(text.len())
}

/// Reads `Name : value`; `None` without a name.
fn header_line(text: &[u8], from: usize, to: usize) -> Option<Line> {
    let line = &text[from..to];
    // A name is short: a plain loop finds its end sooner than memchr starts.
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line[..colon].trim_ascii_end();
    let known = Name::from_bytes(name);
    if known.is_none() && !is_token(name) {
        return None;
    }
    Some(Line {
        known,
        is_folded: false,
        name: Span::new(from, from + name.len()),
        value: trim(text, from + colon + 1, to),
    })
}

/// Joins a continuation line to the field before it.
fn fold(text: &[u8], from: usize, to: usize, line: Option<&mut Line>, fault: &mut Option<ParseError>) {
    let Some(line) = line else {
        fault.get_or_insert(NO_NAME);
        return;
    };
    let more = trim(text, from, to);
    if more.is_empty() {
        return;
    }
    if line.value.is_empty() {
        line.value = more;
    } else {
        line.value.to = more.to;
        line.is_folded = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: impl Into<Vec<u8>>) -> Result<Message, ParseError> {
        Message::parse(Bytes::from(text.into()))
    }

    fn fault(text: &str) -> Option<u16> {
        parse(text).unwrap().fault.map(|fault| fault.status)
    }

    #[test]
    fn start_lines_that_can_be_answered_and_such_that_cannot() {
        for (line, expected) in [
            ("OPTIONS sip:a SIP/2.0", Ok(None)),
            ("\r\n\r\nOPTIONS sip:a SIP/2.0", Ok(None)),
            ("OPTIONS sip:a sip/2.0", Ok(None)),
            ("OPTIONS sip:a SIP/3.0", Ok(Some(505))),
            ("OPTIONS  sip:a SIP/2.0", Ok(Some(400))),
            ("OPTIONS sip:a  SIP/2.0", Ok(Some(400))),
            ("OPTIONS sip:a SIP/2.0 ", Ok(Some(400))),
            ("OPTIONS sip:a b SIP/2.0", Ok(None)),
            ("OPTIONS  SIP/2.0", Ok(Some(400))),
            ("SIP/2.0 200 OK", Ok(None)),
            ("SIP/2.0 200", Ok(None)),
            ("SIP/2.0 100 ", Ok(None)),
            ("SIP/7.0 200 OK", Ok(Some(505))),
            ("SIP/2.0 099 Low", Err(400)),
            ("SIP/2.0 700 High", Err(400)),
            ("SIP/2.0 4294967301 Better not break the receiver", Err(400)),
            ("SIP/2.0 2x0 OK", Err(400)),
            ("SIP/2.0  200 OK", Err(400)),
            ("OPTIONS SIP/2.0", Err(400)),
            ("OPTIONS sip:a", Err(400)),
            ("OPT(IONS sip:a SIP/2.0", Err(400)),
            (" OPTIONS sip:a SIP/2.0", Err(400)),
            ("GET / HTTP/1.1", Err(400)),
            ("", Err(400)),
        ] {
            let found = parse(format!("{line}\r\n\r\n")).map(|message| message.fault.map(|fault| fault.status));
            assert_eq!(found.map_err(|error| error.status), expected, "{line:?}");
        }
    }

    /// A URI with a blank inside is no fault of spacing: the URI itself can't be read (RFC 4475 3.1.2.8).
    #[test]
    fn a_blank_in_the_request_uri_makes_it_unreadable() {
        let message = parse("INVITE sip:a; lr SIP/2.0\r\n\r\n").unwrap();
        assert_eq!(message.request_uri().unwrap_err().status, 400);
    }

    #[test]
    fn header_lines_in_all_their_shapes() {
        let message = parse(
            "INVITE sip:a SIP/2.0\r\nVia : one\r\nX-Thing:\r\n  folded\r\n\tand  on \r\nv:two\nF:  \r\nto:\r\n \r\n x\r\n\r\nbody: no",
        )
        .unwrap();
        let fields: Vec<(String, String)> = message
            .fields()
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect();
        let expected = [
            ("Via", "one"),
            ("X-Thing", "folded and  on"),
            ("v", "two"),
            ("F", ""),
            ("to", "x"),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(message.fault, None);
        assert_eq!(message.rest(), "body: no");
    }

    #[test]
    fn faults_that_can_be_stepped_across() {
        assert_eq!(fault("OPTIONS sip:a SIP/2.0\r\nno colon\r\nVia: x\r\n\r\n"), Some(400));
        assert_eq!(fault("OPTIONS sip:a SIP/2.0\r\n: no name\r\n\r\n"), Some(400));
        assert_eq!(fault("OPTIONS sip:a SIP/2.0\r\nbad name: x\r\n\r\n"), Some(400));
        assert_eq!(
            fault("OPTIONS sip:a SIP/2.0\r\n folded onto nothing\r\n\r\n"),
            Some(400)
        );
        assert_eq!(fault("OPTIONS sip:a SIP/2.0\r\nVia: x\r\n"), Some(400));
        assert_eq!(fault("OPTIONS sip:a SIP/2.0"), Some(400));
        assert_eq!(fault("OPTIONS sip:a SIP/9.0\r\nno colon\r\n\r\n"), Some(505));
        assert_eq!(fault("OPTIONS sip:a SIP/2.0\r\n\r\n"), None);
    }

    #[test]
    fn sizes_are_bounded() {
        let lines = |count: usize| format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(count));
        assert_eq!(parse(lines(SIP_HEADERS)).unwrap().lines().len(), SIP_HEADERS);
        assert_eq!(parse(lines(SIP_HEADERS + 1)).unwrap_err().status, 513);
        let mut text = lines(0).into_bytes();
        text.resize(SIP_MESSAGE_BYTES, b'x');
        assert_eq!(
            parse(text.clone()).unwrap().rest().len(),
            SIP_MESSAGE_BYTES - lines(0).len()
        );
        text.push(b'x');
        assert_eq!(parse(text).unwrap_err().status, 513);
    }

    /// Whatever is longest or most of its kind within the bounds is still read.
    #[test]
    fn the_worst_shapes_are_read() {
        for piece in [
            ":", "\r", "\n", " \r\n", "a:\r\n ", ",", "\"", "<", ";", "\\", "%", "X:", "v:,\r\n", "\u{e4}",
        ] {
            for before in [
                "",
                "Contact: ",
                "Via: SIP/2.0/UDP a",
                "From: \"",
                "WWW-Authenticate: Digest ",
            ] {
                let text = format!(
                    "OPTIONS sip:a SIP/2.0\r\n{before}{}",
                    piece.repeat(60_000 / piece.len())
                );
                if let Ok(message) = parse(text) {
                    let _ = (
                        message.check(),
                        message.from(),
                        message.top_via(),
                        message.addresses(Name::Contact),
                    );
                    let _ = (message.fields().count(), crate::sip::auth::challenges(&message));
                }
            }
        }
    }

    #[test]
    fn a_log_shows_neither_address_nor_credentials() {
        let message =
            parse("REGISTER sip:alice@a SIP/2.0\r\nAuthorization: Digest username=\"alice\"\r\n\r\n").unwrap();
        assert_eq!(format!("{message:?}"), "Message(REGISTER request, 1 fields, 72 octets)");
    }
}

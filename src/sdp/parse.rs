//! Reading a session description.
//!
//! Real peers are not held to the letter. Tolerated: lines that end in CR, LF or both, blank lines, trailing spaces, lines in any
//! order within their section, a missing `o=`, `s=` or `t=`, `o=` without or with several words of user name, an address of the
//! other family than the one said, `m=` without formats (seen in refusals), bytes that are not UTF-8. Not tolerated: a body
//! that does not begin with `v=0`, a line that is not `letter=value`, an `m=` line without a numeric port and transport.

use super::session::{Attribute, Connection, Line, Media, Origin, Proto, Text, split_at_octet};
use crate::limits::{SDP_FORMATS, SDP_LINE_BYTES, SDP_LINES, SDP_MEDIA, SIP_MESSAGE_BYTES};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

pub use super::session::Session;

/// Why a description, an offer or an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It is not SDP: 400.
    Malformed(&'static str),
    /// Nothing in it that both sides can do: 488.
    NotAcceptable(&'static str),
}

impl SdpError {
    /// The SIP status that the sender is owed.
    pub const fn status(&self) -> u16 {
        match self {
            SdpError::Malformed(_) => 400,
            SdpError::NotAcceptable(_) => 488,
        }
    }

    /// In words.
    pub const fn reason(&self) -> &'static str {
        match self {
            SdpError::Malformed(why) | SdpError::NotAcceptable(why) => why,
        }
    }
}

impl std::fmt::Display for SdpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for SdpError {}

impl<'t> Session<'t> {
    /// Reads a body; unknown lines are kept. Costs time linear in the body; what exceeds the `SDP_` limits is `Malformed`.
    pub fn parse(body: &'t [u8]) -> Result<Session<'t>, SdpError> {
        Session::parse_as(body, Form::Whole)
    }

    /// Reads a part of a description, in the form of RFC 8840 9.2: attributes, and m-lines with theirs. The same limits hold.
    pub fn fragment(body: &'t [u8]) -> Result<Session<'t>, SdpError> {
        Session::parse_as(body, Form::Fragment)
    }

    fn parse_as(body: &'t [u8], form: Form) -> Result<Session<'t>, SdpError> {
        if body.len() > SIP_MESSAGE_BYTES {
            return Err(SdpError::Malformed(
                "The session description is larger than a SIP message may be.",
            ));
        }
        if memchr::memchr(0, body).is_some() {
            return Err(SdpError::Malformed(
                "The session description contains a NUL byte (RFC 8866 9 allows none).",
            ));
        }
        match std::str::from_utf8(body) {
            Ok(text) => read(text, form),
            Err(_) => read(&String::from_utf8_lossy(body), form).map(Session::into_owned),
        }
    }
}

/// What a body is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Fragment,
}

fn read(text: &str, form: Form) -> Result<Session<'_>, SdpError> {
    let mut rest = text;
    if form == Form::Whole && next_line(&mut rest).map(str::trim_end) != Some("v=0") {
        return Err(SdpError::Malformed(
            "The body does not begin with v=0, so it is not SDP.",
        ));
    }
    let mut reader = Reader::new();
    let mut count = 0;
    while let Some(line) = next_line(&mut rest) {
        if count >= SDP_LINES {
            return Err(SdpError::Malformed("The session description has too many lines."));
        }
        count += 1;
        if line.len() > SDP_LINE_BYTES {
            return Err(SdpError::Malformed("A line of the session description is too long."));
        }
        let (kind, value) = split_line(line).ok_or(SdpError::Malformed(
            "A line of the session description is not of the form letter=value.",
        ))?;
        if form == Form::Fragment && !matches!(kind, 'a' | 'm') {
            return Err(SdpError::Malformed(
                "A line of the fragment is neither a= nor m=, and no others are allowed there (RFC 8840 9.2).",
            ));
        }
        reader.line(kind, value)?;
    }
    if form == Form::Fragment && count == 0 {
        return Err(SdpError::Malformed("The fragment of a session description is empty."));
    }
    Ok(reader.finish())
}

/// The next line that is not empty.
fn next_line<'t>(rest: &mut &'t str) -> Option<&'t str> {
    loop {
        let text = *rest;
        let end = memchr::memchr2(b'\r', b'\n', text.as_bytes());
        let line = &text[..end.unwrap_or(text.len())];
        *rest = end.map_or("", |end| &text[end + 1..]);
        if !line.is_empty() {
            return Some(line);
        }
        if rest.is_empty() {
            return None;
        }
    }
}

fn split_line(line: &str) -> Option<(char, &str)> {
    let kind = line.chars().next()?;
    let value = line[kind.len_utf8()..].strip_prefix('=')?;
    Some((kind, value.trim_end()))
}

/// The session section, then one m-line after the other.
struct Reader<'t> {
    origin: Option<Origin<'t>>,
    name: Option<&'t str>,
    connection: Option<Connection<'t>>,
    lines: Vec<Line<'t>>,
    attributes: Vec<Attribute<'t>>,
    media: Vec<Media<'t>>,
}

/// Attributes of an audio stream for which room is made at once: two codecs and telephone events with their parameters.
const ATTRIBUTES: usize = 8;

impl<'t> Reader<'t> {
    fn new() -> Reader<'t> {
        Reader {
            origin: None,
            name: None,
            connection: None,
            lines: Vec::new(),
            attributes: Vec::new(),
            media: Vec::new(),
        }
    }

    fn line(&mut self, kind: char, value: &'t str) -> Result<(), SdpError> {
        if kind == 'm' {
            if self.media.len() >= SDP_MEDIA {
                return Err(SdpError::Malformed("The session description has too many m= lines."));
            }
            self.media.push(media(value)?);
            return Ok(());
        }
        let in_session = self.media.is_empty();
        let (connection, attributes, lines) = match self.media.last_mut() {
            Some(media) => (&mut media.connection, &mut media.attributes, &mut media.lines),
            None => (&mut self.connection, &mut self.attributes, &mut self.lines),
        };
        match kind {
            'o' if in_session && self.origin.is_none() => self.origin = Some(origin(value)?),
            's' if in_session && self.name.is_none() => self.name = Some(value),
            'c' if connection.is_none() => *connection = Some(Connection::parse(value)),
            'a' => {
                if attributes.is_empty() {
                    attributes.reserve(ATTRIBUTES);
                }
                attributes.push(attribute(value));
            }
            _ => {
                if lines.is_empty() {
                    lines.reserve_exact(1);
                }
                lines.push(Line {
                    kind,
                    value: value.into(),
                });
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Session<'t> {
        if !self.lines.iter().any(|line| line.kind == 't') {
            self.lines.push(Line {
                kind: 't',
                value: "0 0".into(),
            });
        }
        self.lines.sort_by_key(|line| rank(line.kind));
        for media in &mut self.media {
            media.lines.sort_by_key(|line| rank(line.kind));
        }
        Session {
            origin: self.origin.unwrap_or(Origin {
                username: "-".into(),
                session_id: "0".into(),
                version: "0".into(),
                address: Connection::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            }),
            name: self.name.filter(|name| !name.is_empty()).unwrap_or("-").into(),
            connection: self.connection,
            lines: self.lines,
            attributes: self.attributes,
            media: self.media,
        }
    }
}

/// The place of a line in its section (RFC 8866 5): repeats and zones belong to the time before them.
pub(super) fn rank(kind: char) -> u8 {
    match kind {
        'v' => 0,
        'o' => 1,
        's' => 2,
        'i' => 3,
        'u' => 4,
        'e' => 5,
        'p' => 6,
        'c' => 7,
        'b' => 8,
        't' | 'r' | 'z' => 9,
        'k' => 10,
        _ => 11,
    }
}

fn origin(value: &str) -> Result<Origin<'_>, SdpError> {
    // The user name may be none or several words: the other five are counted from the end.
    let mut rest = value.trim_ascii_end();
    let address_at = |rest: &str| {
        let mut words = rest.len();
        for _ in 0..3 {
            words = word_before(&rest[..words])?.0;
        }
        Some(words)
    };
    let few = SdpError::Malformed("The o= line has too few fields: it needs user, id, version and address.");
    let at = address_at(rest).ok_or(few.clone())?;
    let address = &rest[at..];
    let (at, version) = word_before(&rest[..at]).ok_or(few.clone())?;
    rest = &rest[..at];
    let (at, session_id) = word_before(rest).ok_or(few)?;
    let username = rest[..at].trim_ascii();
    Ok(Origin {
        username: if username.is_empty() {
            "-".into()
        } else {
            single_spaced(username)
        },
        session_id: session_id.into(),
        version: version.into(),
        address: Connection::parse(address),
    })
}

/// The last word of a text, and where it begins.
fn word_before(text: &str) -> Option<(usize, &str)> {
    let text = text.trim_ascii_end();
    let blank = text.bytes().rposition(|byte| byte.is_ascii_whitespace());
    let at = blank.map_or(0, |at| at + 1);
    (at < text.len()).then(|| (at, &text[at..]))
}

/// Words with one space between them.
fn single_spaced(text: &str) -> Text<'_> {
    let is_plain = !text.contains("  ") && text.bytes().all(|byte| byte == b' ' || !byte.is_ascii_whitespace());
    match is_plain {
        true => text.into(),
        false => Cow::Owned(text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn attribute(value: &str) -> Attribute<'_> {
    match split_at_octet(value, b':') {
        Some((name, value)) => Attribute::new(name, value),
        None => Attribute::flag(value),
    }
}

fn media(value: &str) -> Result<Media<'_>, SdpError> {
    let mut fields = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(proto)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(SdpError::Malformed(
            "An m= line has too few fields: it needs media, port, transport and formats.",
        ));
    };
    let bad_port = SdpError::Malformed("The port of an m= line is not a number from 0 to 65535.");
    let (port, port_count) = match port.split_once('/') {
        None => (port, None),
        Some((port, count)) => (port, Some(count.parse().map_err(|_| bad_port.clone())?)),
    };
    let formats: Vec<Text<'_>> = fields.map(Cow::Borrowed).collect();
    if formats.len() > SDP_FORMATS {
        return Err(SdpError::Malformed(
            "An m= line lists more formats than there are payload types.",
        ));
    }
    Ok(Media {
        kind: kind.into(),
        port: port.parse().map_err(|_| bad_port)?,
        port_count,
        proto: Proto::parse(proto),
        formats,
        connection: None,
        lines: Vec::new(),
        attributes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: &str = "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call to John Smith\r\n\
        i=SDP Offer #1\r\nu=http://www.jdoe.example.com/home.html\r\ne=Jane Doe <jane@jdoe.example.com>\r\np=+1 617 555-6011\r\n\
        c=IN IP4 198.51.100.1\r\nb=AS:128\r\nt=0 0\r\na=recvonly\r\nm=audio 49170/2 RTP/AVP 0 99\r\nc=IN IP6 2001:db8::2\r\n\
        b=TIAS:64000\r\na=rtpmap:99 opus/48000/2\r\nm=video 0 udp/tls/rtp/savpf 31\r\n";

    #[test]
    fn a_full_description_reads_and_writes_back() {
        let session = Session::parse(FULL.as_bytes()).unwrap();
        assert_eq!(session.origin.username, "jdoe");
        assert_eq!(session.origin.version, "3724394405");
        assert_eq!(session.media[0].port_count, Some(2));
        assert_eq!(session.media[0].attribute("rtpmap"), Some("99 opus/48000/2"));
        assert_eq!(session.media[1].proto, Proto::UdpTlsRtpSavpf);
        assert_eq!(
            session.to_string(),
            FULL.replace("udp/tls/rtp/savpf", "UDP/TLS/RTP/SAVPF")
        );
    }

    #[test]
    fn what_real_peers_leave_out_is_filled_in() {
        let session = Session::parse(b"\r\nv=0 \nm=audio 4000 RTP/AVP\r\r\n").unwrap();
        assert_eq!(
            session.to_string(),
            "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP\r\n"
        );
        let spaced = Session::parse(b"v=0\ns= \no=John Q. Doe 1 2 IN IP4 192.0.2.1\n").unwrap();
        assert_eq!(
            (&*spaced.origin.username, &*spaced.origin.session_id),
            ("John Q. Doe", "1")
        );
        assert_eq!(spaced.name, "-");
        assert_eq!(
            Session::parse(b"v=0\no= 1 2 IN IP4 192.0.2.1\n")
                .unwrap()
                .origin
                .username,
            "-"
        );
    }

    #[test]
    fn lines_in_odd_order_and_unknown_ones_are_kept() {
        let session =
            Session::parse(b"v=0\nx=odd\nt=0 0\nc=IN IP4 192.0.2.1\ns=x\nc=IN IP4 192.0.2.2\nm=audio 1 X\nq=1\n")
                .unwrap();
        let kinds: String = session.lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, "ctx");
        assert_eq!(
            session.media[0].lines,
            [Line {
                kind: 'q',
                value: "1".into()
            }]
        );
        assert_eq!(Session::parse(session.to_string().as_bytes()).unwrap(), session);
    }

    #[test]
    fn what_is_not_sdp_is_refused_with_400_and_a_sentence() {
        let many_media = format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(SDP_MEDIA + 1));
        let many_lines = format!("v=0\n{}", "a=x\n".repeat(SDP_LINES + 1));
        let many_formats = format!("v=0\nm=audio 1 RTP/AVP{}\n", " 0".repeat(SDP_FORMATS + 1));
        let long = format!("v=0\na={}\n", "x".repeat(SDP_LINE_BYTES));
        let huge = "v=0\n".to_owned() + &"\n".repeat(SIP_MESSAGE_BYTES);
        for body in [
            "",
            "v=1\n",
            "v=0\nhello\n",
            "v=0\n=\n",
            "v=0\na=\0\n",
            "v=0\no=- 1 IN IP4\n",
            "v=0\nm=audio\n",
            "v=0\nm=audio 65536 RTP/AVP 0\n",
            "v=0\nm=audio -1 RTP/AVP 0\n",
            "v=0\nm=audio 1/x RTP/AVP 0\n",
            &many_media,
            &many_lines,
            &many_formats,
            &long,
            &huge,
        ] {
            let error = Session::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.status(), 400, "{}", &body[..body.len().min(40)]);
            assert!(error.to_string().ends_with('.'));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Session::parse(&body);
            let mut lines = b"v=0\n".to_vec();
            lines.extend(body);
            let _ = Session::parse(&lines);
        }

        #[test]
        fn what_reads_writes_back_to_itself(lines in proptest::collection::vec("[a-zé=]=[ -~]{0,30}|m=[a-z]{1,5} [0-9]{1,4} [A-Z/]{1,8}( [0-9]{1,3}){0,4}", 0..20)) {
            let body = format!("v=0\n{}", lines.join("\n"));
            if let Ok(session) = Session::parse(body.as_bytes()) {
                let written = session.to_string();
                prop_assert_eq!(Session::parse(written.as_bytes()), Ok(session));
            }
        }
    }
}

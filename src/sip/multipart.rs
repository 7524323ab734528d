//! Bodies of several parts (RFC 2046 5.1, RFC 5621): where the session description is in a message.

use super::{Message, Name, ParseError};
use crate::limits;
use bytes::Bytes;

/// The bodies that we can read, for Accept.
pub const ACCEPTED: &str = "application/sdp, multipart/mixed";

/// How deep multiparts may lie within each other.
const DEPTH: u8 = 3;

/// The session description that a message carries: its body, or the part of a multipart body that is one. `None` without any.
///
/// # Errors
/// 415 for a body or part that we do not know and that must be understood (RFC 5621 4.1: `handling=optional` need not); 400 for
/// a multipart body that can't be taken apart.
pub fn session_description(message: &Message) -> Result<Option<Bytes>, ParseError> {
    let body = message.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = message.get(Name::ContentType).unwrap_or_default();
    let disposition = message.all_named("Content-Disposition");
    let disposition = disposition.first().map(AsRef::as_ref).unwrap_or_default();
    find(&kind, disposition, body, DEPTH)
}

const UNSUPPORTED: ParseError = ParseError {
    status: 415,
    reason: "the body is no session description",
};

fn find(kind: &str, disposition: &str, body: Bytes, depth: u8) -> Result<Option<Bytes>, ParseError> {
    let media_type = main_of(kind);
    let is_early = main_of(disposition).eq_ignore_ascii_case("early-session");
    let is_optional = param(disposition, "handling").is_some_and(|value| value.eq_ignore_ascii_case("optional"));
    // RFC 3959: it describes another session than the one of the dialog.
    if media_type.eq_ignore_ascii_case("application/sdp") && !is_early {
        return Ok(Some(body));
    }
    let is_multipart = media_type
        .get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
    if !is_multipart || depth == 0 {
        return if is_optional { Ok(None) } else { Err(UNSUPPORTED) };
    }
    let is_choice = media_type.eq_ignore_ascii_case("multipart/alternative");
    let mut found: Option<Bytes> = None;
    for part in parts(kind, &body)? {
        match find(&part.kind, &part.disposition, part.body, depth - 1) {
            // RFC 2046 5.1.4: of alternatives the last that is understood.
            Ok(Some(description)) if is_choice || found.is_none() => found = Some(description),
            Ok(_) => {}
            Err(UNSUPPORTED) if is_choice => {}
            Err(error) => return Err(error),
        }
    }
    match found {
        None if is_choice && !is_optional => Err(UNSUPPORTED),
        found => Ok(found),
    }
}

/// One part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Content-Type with its parameters; empty where the part has none.
    pub kind: String,
    /// Content-Disposition with its parameters; empty where the part has none.
    pub disposition: String,
    /// What it holds.
    pub body: Bytes,
}

/// The parts of a body by its Content-Type: at most `limits::BODY_PARTS`.
///
/// # Errors
/// 400 for a body without boundary, without end, or with too many parts.
pub fn parts(kind: &str, body: &Bytes) -> Result<Vec<Part>, ParseError> {
    let boundary = param(kind, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()));
    let boundary = boundary.ok_or(ParseError::bad("the multipart body has no boundary"))?;
    let mut parts = Vec::new();
    // Where the current part begins, and where the line before this one ends.
    let (mut begin, mut before, mut at): (Option<usize>, usize, usize) = (None, 0, 0);
    while at < body.len() {
        let end = memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |end| at + end + 1);
        let line = body[at..end].trim_ascii_end();
        let delimiter = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary.as_bytes()));
        if let Some(rest @ (b"" | b"--")) = delimiter {
            if let Some(begin) = begin {
                if parts.len() >= limits::BODY_PARTS {
                    return Err(ParseError::bad("the multipart body has too many parts"));
                }
                parts.push(part(&body.slice(begin..before.max(begin))));
            }
            if !rest.is_empty() {
                return Ok(parts);
            }
            begin = Some(end);
        }
        // The line break before a delimiter belongs to it (RFC 2046 5.1.1).
        let has_cr = end >= 2 && end > at + 1 && body[end - 2] == b'\r';
        before = end - if has_cr { 2 } else { 1 };
        at = end;
    }
    Err(ParseError::bad("the multipart body has no end"))
}

/// Fields and content of a part, with an empty line between them.
fn part(bytes: &Bytes) -> Part {
    let (mut kind, mut disposition, mut at) = (String::new(), String::new(), 0);
    while at < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1);
        let line = String::from_utf8_lossy(&bytes[at..end]);
        at = end;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-type" | "c" => kind = value,
            "content-disposition" => disposition = value,
            _ => {}
        }
    }
    Part {
        kind,
        disposition,
        body: bytes.slice(at..),
    }
}

/// A value without its parameters.
fn main_of(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// A parameter of a Content-Type or Content-Disposition, without its quotes.
fn param(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let mut quoted = false;
        let end = rest
            .find(|c: char| {
                quoted ^= c == '"';
                c == ';' && !quoted
            })
            .unwrap_or(rest.len());
        if let Some((own, value)) = rest[..end].split_once('=')
            && own.trim().eq_ignore_ascii_case(name)
        {
            return Some(value.trim().trim_matches('"').to_owned());
        }
        rest = rest.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n";

    fn message(kind: &str, body: &str) -> Message {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn found(kind: &str, body: &str) -> Result<Option<String>, u16> {
        let found = session_description(&message(kind, body)).map_err(|error| error.status)?;
        Ok(found.map(|body| String::from_utf8(body.to_vec()).unwrap()))
    }

    #[test]
    fn the_description_is_found_beside_what_need_not_be_understood() {
        let isup = "--x\r\nContent-Type: application/ISUP;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\nabc";
        let body = format!("--x\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n{isup}\r\n--x--\r\n");
        assert_eq!(found("multipart/mixed;boundary=x", &body), Ok(Some(SDP.to_owned())));
        assert_eq!(
            found(
                "Multipart/Mixed ; a=\"b;c\"; BOUNDARY=\"x\"",
                &format!("preamble\r\n{body}epilogue")
            ),
            Ok(Some(SDP.to_owned()))
        );
        let required = body.replace(";handling=optional", "");
        assert_eq!(found("multipart/mixed;boundary=x", &required), Err(415));
        assert_eq!(found("multipart/mixed", &body), Err(400));
        assert_eq!(found("multipart/mixed;boundary=y", &body), Err(400));
        assert_eq!(found("application/sdp", SDP), Ok(Some(SDP.to_owned())));
        assert_eq!(found("text/plain", "hello"), Err(415));
        assert_eq!(
            found("text/plain\r\nContent-Disposition: render;handling=OPTIONAL", "hello"),
            Ok(None)
        );
        assert_eq!(found("application/sdp", ""), Ok(None));
    }

    #[test]
    fn of_alternatives_the_last_that_is_known_and_no_early_session() {
        let body = "--x\r\nContent-Type: application/sdp\r\n\r\none\r\n--x\r\nContent-Type: application/sdp\r\n\r\ntwo\r\n--x\r\n\r\nno\r\n--x--";
        assert_eq!(
            found("multipart/alternative;boundary=x", body),
            Ok(Some("two".to_owned()))
        );
        let nested = format!("--y\r\nContent-Type: multipart/alternative;boundary=x\r\n\r\n{body}\r\n--y--");
        assert_eq!(found("multipart/mixed;boundary=y", &nested), Ok(Some("two".to_owned())));
        assert_eq!(
            found("multipart/alternative;boundary=x", "--x\r\n\r\nno\r\n--x--"),
            Err(415)
        );
        let early = "application/sdp\r\nContent-Disposition: early-session;handling=optional";
        assert_eq!(found(early, SDP), Ok(None));
    }

    #[test]
    fn parts_are_bounded() {
        let body = |count: usize| Bytes::from("--x\r\n\r\na\r\n".repeat(count) + "--x--");
        assert_eq!(
            parts("a/b;boundary=x", &body(limits::BODY_PARTS)).unwrap().len(),
            limits::BODY_PARTS
        );
        assert!(parts("a/b;boundary=x", &body(limits::BODY_PARTS + 1)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_put_together_comes_apart(bodies in prop::collection::vec("[ -~\r\n]{0,40}", 0..8), lf in any::<bool>()) {
            let end = if lf { "\n" } else { "\r\n" };
            // A line break of ours after a bare CR would read as one of both.
            let bodies: Vec<String> = bodies.iter().map(|body| body.trim_end_matches('\r').replace("--limit", "")).collect();
            let mut text = String::new();
            for body in &bodies {
                text += &format!("--limit{end}Content-Type: text/plain{end}{end}{body}{end}");
            }
            text += "--limit--";
            let read = parts("multipart/mixed; boundary=limit", &Bytes::from(text)).unwrap();
            let read: Vec<&[u8]> = read.iter().map(|part| &*part.body).collect();
            let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
            prop_assert_eq!(read, bodies);
        }

        #[test]
        fn junk_is_no_panic(kind in "[ -~]{0,40}", body in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(body);
            let _ = parts(&kind, &body);
            let _ = parts("multipart/mixed;boundary=-", &body);
            let _ = find(&format!("multipart/mixed;boundary={kind}"), &kind, body, DEPTH);
        }
    }
}

//! Values read out of the index when somebody asks (RFC 3261 7.3, 20).

use super::grammar::{BLANK, Parts, split_list};
use super::header::{CSeq, Method, Name, NameAddr, Via};
use super::lex::{Line, Message, ParseError, Start};
use super::uri::{SchemeText, Uri, UriText};
use bytes::Bytes;
use std::borrow::Cow;

impl Message {
    /// The method: of a response that of its CSeq (`Other("")` when it is unreadable).
    pub fn method(&self) -> Method {
        match self.start {
            Start::Request { method, .. } => Method::from_bytes(self.slice(method)),
            Start::Response { .. } => self.cseq().map_or_else(|_| Method::from(""), |cseq| cseq.method),
        }
    }

    /// The request URI; an error with 416 or 400 when it cannot be read, and for responses.
    ///
    /// 416 (RFC 3261 8.2.2.1) is for schemes that nothing here can route: all but sip, sips, tel and the service URNs of
    /// emergency calls (RFC 5031), which the dial plan decides on.
    pub fn request_uri(&self) -> Result<Uri, ParseError> {
        self.request_uri_text().map(Uri::from)
    }

    /// The same with nothing copied.
    pub fn request_uri_text(&self) -> Result<UriText<'_>, ParseError> {
        let Start::Request { uri, .. } = self.start else {
            return Err(ParseError::bad("a response has no request URI"));
        };
        let written = text(self.slice(uri)).ok_or(ParseError::bad("the request URI is not UTF-8"))?;
        let uri = UriText::parse(written)?;
        match uri.scheme {
            SchemeText::Sip | SchemeText::Sips | SchemeText::Tel => Ok(uri),
            SchemeText::Other(scheme) if scheme.eq_ignore_ascii_case("urn") => Ok(uri),
            SchemeText::Other(_) => Err(ParseError {
                status: 416,
                reason: "the scheme of the request URI is unknown",
            }),
        }
    }

    /// The request URI as it is written; empty for a response.
    pub fn uri_octets(&self) -> &[u8] {
        match self.start {
            Start::Request { uri, .. } => self.slice(uri),
            Start::Response { .. } => &[],
        }
    }

    /// The reason phrase of a response; empty where it is not UTF-8.
    pub fn reason(&self) -> &str {
        match self.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => text(self.slice(reason)).unwrap_or_default(),
        }
    }

    /// The first value line of a field as text, unfolded and trimmed; `None` when absent or not UTF-8.
    pub fn get(&self, name: Name) -> Option<Cow<'_, str>> {
        self.lines_of(name).next().and_then(|line| self.value(line))
    }

    /// All values of a field in order: of list fields the single values, split at commas outside quotes and brackets.
    /// Octets that are not UTF-8 are replaced by U+FFFD.
    pub fn all(&self, name: Name) -> Vec<Cow<'_, str>> {
        self.values(name).collect()
    }

    /// The same one by one.
    pub fn values(&self, name: Name) -> impl Iterator<Item = Cow<'_, str>> {
        self.lines_of(name).flat_map(move |line| match self.lossy(line) {
            value if !name.is_list() => Values::One(Some(value)),
            Cow::Borrowed(value) => Values::Parts(split_list(value)),
            Cow::Owned(value) => {
                let parts: Vec<String> = split_list(&value).map(str::to_owned).collect();
                Values::Owned(parts.into_iter())
            }
        })
    }

    /// The values of a field that has no `Name`, one per line. Compact forms count (RFC 3261 7.3.3).
    pub fn all_named(&self, name: &str) -> Vec<Cow<'_, str>> {
        if let Some(known) = Name::from_bytes(name.as_bytes()) {
            return self.all(known);
        }
        let compact = compact_of(name);
        let is_meant = |line: &&Line| {
            let written = self.slice(line.name);
            written.eq_ignore_ascii_case(name.as_bytes()) || compact.is_some_and(|c| written.eq_ignore_ascii_case(&[c]))
        };
        self.lines()
            .iter()
            .filter(is_meant)
            .map(|line| self.lossy(line))
            .collect()
    }

    /// Every field as it came, in order: the name as written, the value unfolded, octets that are not UTF-8 replaced.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.lines()
            .iter()
            .map(|line| (text(self.slice(line.name)).unwrap_or_default(), self.lossy(line)))
    }

    /// The lines of a field as they came, lists uncut: what a response echoes.
    pub(super) fn whole_lines(&self, name: Name) -> impl Iterator<Item = Cow<'_, str>> {
        self.lines_of(name).map(|line| self.lossy(line))
    }

    /// True if the comma-separated tokens of a field contain this one, without case and without regard to parameters
    /// (Supported, Require, Allow, Accept).
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.lines_of(name).any(|line| {
            let value = self.lossy(line);
            split_list(&value).any(|part| without_params(part).eq_ignore_ascii_case(token))
        })
    }

    /// From as it stands, unfolded.
    pub fn from_line(&self) -> Result<Cow<'_, str>, ParseError> {
        self.whole_lines(Name::From)
            .next()
            .ok_or(ParseError::bad("From is missing"))
    }

    /// To as it stands, unfolded.
    pub fn to_line(&self) -> Result<Cow<'_, str>, ParseError> {
        self.whole_lines(Name::To)
            .next()
            .ok_or(ParseError::bad("To is missing"))
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.address(Name::From, "From is missing")
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.address(Name::To, "To is missing")
    }

    /// Call-ID, empty if absent.
    pub fn call_id(&self) -> &str {
        match self.lines_of(Name::CallId).next() {
            Some(line) if !line.is_folded => text(self.slice(line.value)).unwrap_or_default(),
            Some(_) | None => "",
        }
    }

    /// Call-ID as its octets came, for a hash; empty if absent or folded.
    pub fn call_id_octets(&self) -> &[u8] {
        match self.lines_of(Name::CallId).next() {
            Some(line) if !line.is_folded => self.slice(line.value),
            Some(_) | None => &[],
        }
    }

    /// The number of CSeq, 0 where it cannot be read.
    pub fn cseq_number(&self) -> u32 {
        let known = self.facts().cseq.map(|(number, _)| number);
        known.unwrap_or_else(|| self.cseq().map_or(0, |cseq| cseq.number))
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        if let Some((number, method)) = self.facts().cseq {
            let method = Method::from_bytes(self.slice(method));
            return Ok(CSeq { number, method });
        }
        CSeq::parse(&self.get(Name::CSeq).ok_or(ParseError::bad("CSeq is missing"))?)
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Via, ParseError> {
        Via::parse(&self.top_via_line()?)
    }

    /// The topmost value of Via as text.
    pub fn top_via_line(&self) -> Result<Cow<'_, str>, ParseError> {
        let missing = match self.lines_of(Name::Via).next() {
            Some(_) => "Via is empty",
            None => "Via is missing",
        };
        self.values(Name::Via).next().ok_or(ParseError::bad(missing))
    }

    /// All values of a field as name-addr (Contact without `*`, Route, Record-Route, ...).
    pub fn addresses(&self, name: Name) -> Result<Vec<NameAddr>, ParseError> {
        self.values(name)
            .filter(|value| value != "*")
            .map(|value| NameAddr::parse(&value))
            .collect()
    }

    /// A field that is a number (Expires, Max-Forwards, Min-Expires, RSeq, ...; parameters after `;` ignored, and the
    /// comment of Retry-After). An error when it is none or above 2^32-1.
    pub fn number(&self, name: Name) -> Option<Result<u32, ParseError>> {
        self.lines_of(name).next().map(|line| {
            if let Some(number) = plain_number(self.slice(line.value)) {
                return Ok(number);
            }
            let value = self.lossy(line);
            let end = value.bytes().position(|byte| !byte.is_ascii_digit());
            let (digits, rest) = value.split_at(end.unwrap_or(value.len()));
            match digits.parse() {
                Ok(number) if rest.is_empty() || rest.starts_with([';', '(', ' ', '\t']) => Ok(number),
                Ok(_) | Err(_) => Err(ParseError::bad("a header field that should be a number is none")),
            }
        })
    }

    /// The body: cut to Content-Length where that is shorter.
    pub fn body(&self) -> Bytes {
        self.rest().slice(..self.body_octets().len())
    }

    /// The same without a share in the message.
    pub fn body_octets(&self) -> &[u8] {
        let rest = self.rest_octets();
        match self.number(Name::ContentLength) {
            Some(Ok(length)) => &rest[..usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()))],
            Some(Err(_)) | None => rest,
        }
    }

    /// The media type of the body in lower case without parameters; `None` when there is no body or no Content-Type.
    pub fn content_type(&self) -> Option<String> {
        if self.body_octets().is_empty() {
            return None;
        }
        self.get(Name::ContentType)
            .map(|value| without_params(&value).to_ascii_lowercase())
    }

    fn address(&self, name: Name, missing: &'static str) -> Result<NameAddr, ParseError> {
        let line = self.lines_of(name).next().ok_or(ParseError::bad(missing))?;
        NameAddr::parse(&self.lossy(line))
    }

    fn value(&self, line: &Line) -> Option<Cow<'_, str>> {
        let value = text(self.slice(line.value))?;
        Some(if line.is_folded {
            unfold(value).into()
        } else {
            value.into()
        })
    }

    /// A display name in Latin-1 must not cost the call: octets that are not UTF-8 are replaced.
    pub(super) fn lossy(&self, line: &Line) -> Cow<'_, str> {
        let octets = self.slice(line.value);
        match text(octets).map_or_else(|| String::from_utf8_lossy(octets), Cow::Borrowed) {
            value if line.is_folded => unfold(&value).into(),
            value => value,
        }
    }
}

/// The values of one line.
enum Values<'m> {
    One(Option<Cow<'m, str>>),
    Parts(Parts<'m>),
    /// Of a line that had to be copied.
    Owned(std::vec::IntoIter<String>),
}

impl<'m> Iterator for Values<'m> {
    type Item = Cow<'m, str>;

    fn next(&mut self) -> Option<Cow<'m, str>> {
        match self {
            Values::One(value) => value.take(),
            Values::Parts(parts) => parts.next().map(Cow::Borrowed),
            Values::Owned(parts) => parts.next().map(Cow::Owned),
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A number of at most nine digits and nothing else.
fn plain_number(octets: &[u8]) -> Option<u32> {
    if octets.is_empty() || octets.len() > 9 {
        return None;
    }
    octets.iter().try_fold(0, |number: u32, octet| match octet {
        b'0'..=b'9' => Some(number * 10 + u32::from(octet - b'0')),
        _other => None,
    })
}

/// `a/b` of `a/b;q=1`.
fn without_params(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim_matches(BLANK)
}

/// A line break and the blanks around it become one space (RFC 3261 7.3.1). A CR alone is no line break and stays.
pub(super) fn unfold(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    for (nth, line) in value.split('\n').enumerate() {
        let line = if nth == 0 {
            line
        } else {
            line.trim_start_matches([' ', '\t'])
        };
        let line = line.strip_suffix('\r').unwrap_or(line).trim_end_matches([' ', '\t']);
        if nth > 0 && !line.is_empty() {
            plain.push(' ');
        }
        plain.push_str(line);
    }
    plain
}

/// The compact forms of fields that have no `Name` (RFC 3261 20, RFC 3841, RFC 8224).
fn compact_of(name: &str) -> Option<u8> {
    const FORMS: [(&str, u8); 5] = [
        ("Subject", b's'),
        ("Identity", b'y'),
        ("Accept-Contact", b'a'),
        ("Reject-Contact", b'j'),
        ("Request-Disposition", b'd'),
    ];
    FORMS
        .iter()
        .find(|(long, _)| long.eq_ignore_ascii_case(name))
        .map(|(_, letter)| *letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, lines: &[u8]) -> Message {
        let text = [start.as_bytes(), b"\r\n", lines, b"\r\n"].concat();
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn request(lines: &str) -> Message {
        message("OPTIONS sip:a SIP/2.0", lines.as_bytes())
    }

    #[test]
    fn lists_over_several_lines_are_one_list() {
        let read =
            request("Contact: <sip:a,b@x>, \"x, y\" <sip:c>\r\nVia: z\r\nm:\r\n <sip:d>,\r\n <sip:e>\r\nm: ,\r\n");
        assert_eq!(
            read.all(Name::Contact),
            ["<sip:a,b@x>", "\"x, y\" <sip:c>", "<sip:d>", "<sip:e>"]
        );
        assert_eq!(read.addresses(Name::Contact).unwrap().len(), 4);
        assert_eq!(
            read.get(Name::Contact).as_deref(),
            Some("<sip:a,b@x>, \"x, y\" <sip:c>")
        );
        assert_eq!(read.all(Name::Route), [""; 0]);
        assert_eq!(read.get(Name::Route), None);
    }

    #[test]
    fn commas_do_not_cut_fields_that_are_no_lists() {
        let read = request("Date: Mon, 02 Nov 2026 10:00:00 GMT\r\nUser-Agent: a, b\r\n");
        assert_eq!(read.all(Name::Date), ["Mon, 02 Nov 2026 10:00:00 GMT"]);
        assert_eq!(read.all(Name::UserAgent), ["a, b"]);
    }

    #[test]
    fn tokens_are_found_without_case_and_parameters() {
        let read = request(
            "Supported: timer, 100REL\r\nk: path\r\nAccept: application/sdp;level=1, text/plain\r\nRequire:\r\n",
        );
        for (name, token, is_there) in [
            (Name::Supported, "100rel", true),
            (Name::Supported, "PATH", true),
            (Name::Supported, "100", false),
            (Name::Supported, "", false),
            (Name::Accept, "application/sdp", true),
            (Name::Require, "", false),
            (Name::Allow, "INVITE", false),
        ] {
            assert_eq!(read.has_token(name, token), is_there, "{token}");
        }
    }

    #[test]
    fn numbers_and_what_is_none() {
        for (value, expected) in [
            ("70", Some(70)),
            ("0068", Some(68)),
            ("1800;refresher=uac", Some(1800)),
            ("18000 (in a meeting);duration=3600", Some(18000)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("7x", None),
            ("7,8", None),
        ] {
            let read = request(&format!("Expires: {value}\r\n"));
            assert_eq!(read.number(Name::Expires).unwrap().ok(), expected, "{value}");
        }
        assert_eq!(request("").number(Name::Expires), None);
    }

    #[test]
    fn octets_that_are_not_utf_8_cost_a_character_and_no_call() {
        let read = message(
            "OPTIONS sip:a SIP/2.0",
            b"From: \"M\xfcller\" <sip:m@a>;tag=1\r\nCall-ID: \xff\r\nX: \xe4\r\n",
        );
        assert_eq!(read.from().unwrap().display.as_deref(), Some("M\u{fffd}ller"));
        assert_eq!(read.get(Name::From), None);
        assert_eq!(read.call_id(), "");
        assert_eq!(read.all_named("x"), ["\u{fffd}"]);
    }

    #[test]
    fn fields_without_a_name_of_ours_are_found_in_their_compact_form() {
        let read = request("s: hello\r\nSubject: again, and again\r\nX-A: 1\r\nx-a: 2\r\n");
        assert_eq!(read.all_named("SUBJECT"), ["hello", "again, and again"]);
        assert_eq!(read.all_named("X-A"), ["1", "2"]);
        assert_eq!(request("v: a, b\r\n").all_named("Via"), ["a", "b"]);
    }

    #[test]
    fn bodies_end_where_content_length_says() {
        let body = |lines: &str| request(&format!("{lines}\r\n12345")).body();
        // The blank line is written by `lines`; what `request` adds behind it belongs to the body.
        assert_eq!(body("Content-Length: 3\r\n"), "123");
        assert_eq!(body("l: 0\r\n"), "");
        assert_eq!(body(""), "12345\r\n");
        assert_eq!(body("l: 99\r\n"), "12345\r\n");
        assert_eq!(body("l: x\r\n"), "12345\r\n");
        let typed = |lines: &str| request(&format!("{lines}\r\nx")).content_type();
        assert_eq!(
            typed("c: Application/SDP ; charset=x\r\n").as_deref(),
            Some("application/sdp")
        );
        assert_eq!(typed("c: application/sdp\r\nl: 0\r\n"), None);
        assert_eq!(typed(""), None);
    }

    #[test]
    fn a_response_has_the_method_of_its_cseq_and_no_uri() {
        let read = message("SIP/2.0 180 Ringing ", b"CSeq: 1 INVITE\r\n");
        assert_eq!(
            (read.status(), read.reason(), read.method()),
            (180, "Ringing", Method::Invite)
        );
        assert!(read.request_uri().is_err());
        assert_eq!(message("SIP/2.0 180", b"").method(), Method::Other("".into()));
    }

    #[test]
    fn schemes_that_nothing_routes_are_416() {
        for (uri, status) in [
            ("sip:a", None),
            ("sips:a", None),
            ("tel:112", None),
            ("urn:service:sos", None),
            ("mailto:a@b", Some(416)),
            ("soap.beep://a", Some(416)),
            ("<sip:a>", Some(400)),
            ("nothing", Some(400)),
        ] {
            let read = message(&format!("OPTIONS {uri} SIP/2.0"), b"");
            assert_eq!(read.request_uri().err().map(|error| error.status), status, "{uri}");
        }
    }

    #[test]
    fn missing_fields_say_so() {
        let read = request("");
        let reasons = [read.from().unwrap_err(), read.to().unwrap_err()].map(|error| error.reason);
        assert_eq!(reasons, ["From is missing", "To is missing"]);
        assert_eq!(read.cseq().unwrap_err().reason, "CSeq is missing");
        assert_eq!(read.top_via().unwrap_err().reason, "Via is missing");
        assert_eq!(request("Via: ,\r\n").top_via().unwrap_err().reason, "Via is empty");
    }
}

//! What we are about to send.

use super::grammar::is_token_byte;
use super::header::{Method, Name};
use super::uri::Uri;
use super::{Message, ParseError};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::sync::LazyLock;

/// How many hops a request of ours may take (RFC 3261 8.1.1.6).
pub const MAX_FORWARDS: u32 = 70;

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
#[derive(Clone, PartialEq)]
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
        Draft {
            start: Start::Request(method, uri),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A response to `request` by RFC 3261 8.2.6.2: Via, From, To, Call-ID, CSeq copied (and Timestamp for 100), the
    /// standard reason phrase. `to_tag` is added where To has none and the status is not 100.
    pub fn response(request: &Message, status: u16, to_tag: Option<&str>) -> Draft {
        let mut draft = Draft {
            start: Start::Response(status, Cow::Borrowed(reason(status))),
            headers: Vec::with_capacity(8),
            body: Bytes::new(),
        };
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            // Of a field that must not come twice the first counts, so that the refusal is no fault of the same kind.
            let most = if name.is_single() { 1 } else { usize::MAX };
            for value in request.whole_lines(name).take(most) {
                draft.push(name, value);
            }
        }
        if status == 100 {
            for value in request.all_named("Timestamp") {
                draft.push_named("Timestamp", value);
            }
        } else if let Some(tag) = to_tag
            && request.to().is_ok_and(|to| to.tag().is_none())
            && let Some((_, to)) = draft.headers.iter_mut().find(|(name, _)| name == Name::To.as_str())
        {
            to.push_str(";tag=");
            to.push_str(tag);
        }
        draft
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
        self.headers
            .insert(0, (Cow::Borrowed(name.as_str()), value.to_string()));
    }

    /// Replaces all fields of that name by one, in the place of the first.
    pub fn set(&mut self, name: Name, value: impl Display) {
        let value = value.to_string();
        match self.headers.iter().position(|(field, _)| is(field, name)) {
            Some(place) => {
                self.headers[place].1 = value;
                let mut nth = 0;
                self.headers.retain(|(field, _)| {
                    nth += 1;
                    nth <= place + 1 || !is(field, name)
                });
            }
            None => self.push(name, value),
        }
    }

    /// Removes all fields of that name.
    pub fn remove(&mut self, name: Name) {
        self.headers.retain(|(field, _)| !is(field, name));
    }

    /// The first field of that name.
    pub fn get(&self, name: Name) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| is(field, name));
        field.map(|(_, value)| value.as_str())
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

    /// How many octets it will have at most, unless its URI is very long.
    pub fn size(&self) -> usize {
        let fields = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        fields.sum::<usize>() + self.body.len() + 256
    }

    /// With as few octets as mean the same: names in their compact forms, which are there for messages that would else be too large
    /// for their transport (RFC 3261 7.3.3), and no User-Agent (20.41).
    pub fn slim(&mut self) {
        self.remove(Name::UserAgent);
        for (name, _) in &mut self.headers {
            if let Some(short) = Name::from_bytes(name.as_bytes()).and_then(Name::compact) {
                *name = Cow::Borrowed(short);
            }
        }
    }

    /// The octets to send.
    pub fn to_bytes(&self) -> Bytes {
        let mut text = String::with_capacity(self.size());
        self.write_start(&mut text).expect("writing to a String does not fail");
        for (name, value) in &self.headers {
            if is(name, Name::ContentLength) {
                continue;
            }
            text.extend(name.chars().map(|c| if is_token_char(c) { c } else { '-' }));
            text.push_str(": ");
            push_line(&mut text, value);
        }
        write!(text, "Content-Length: {}\r\n\r\n", self.body.len()).expect("writing to a String does not fail");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    fn write_start(&self, text: &mut String) -> fmt::Result {
        match &self.start {
            Start::Request(method, uri) => {
                text.extend(method.as_str().chars().map(|c| if is_token_char(c) { c } else { '-' }));
                text.push(' ');
                push_without_blanks(text, &uri.to_string());
                text.push_str(" SIP/2.0\r\n");
            }
            Start::Response(status, reason) => {
                write!(text, "SIP/2.0 {status} ")?;
                push_line(text, reason);
            }
        }
        Ok(())
    }

    /// The same read back: for code that must treat what we send as what came (RFC 3261 17.1.1.3: the ACK of a failure).
    pub fn to_message(&self) -> Result<Message, ParseError> {
        Message::parse(self.to_bytes())
    }
}

/// What a log may show: no value of a field that carries credentials, and of the body only its length.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entry(&self.start);
        for (name, value) in &self.headers {
            let is_secret = is(name, Name::Authorization) || is(name, Name::ProxyAuthorization);
            list.entry(&format_args!("{name}: {}", if is_secret { "***" } else { value }));
        }
        list.entry(&format_args!("{} octets of body", self.body.len())).finish()
    }
}

/// True if a field is written with this name, in any case or compact.
fn is(field: &str, name: Name) -> bool {
    Name::from_bytes(field.as_bytes()) == Some(name)
}

fn is_token_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_token_byte)
}

/// A value and its line break; what could end the line earlier becomes a space.
fn push_line(text: &mut String, value: &str) {
    text.extend(
        value
            .chars()
            .map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }),
    );
    text.push_str("\r\n");
}

/// A request URI; what would end it, or the line, is escaped.
fn push_without_blanks(text: &mut String, uri: &str) {
    for c in uri.chars() {
        match c {
            '\0'..=' ' | '\x7f' => text.push_str(&format!("%{:02X}", u32::from(c))),
            c => text.push(c),
        }
    }
}

/// The standard reason phrase of a status; of a status without one, that of its class (RFC 3261 8.1.3.2).
pub fn reason(status: u16) -> &'static str {
    let known = usize::from(status)
        .checked_sub(100)
        .and_then(|at| PHRASES.get(at))
        .map(String::as_str);
    match known {
        Some(phrase) if !phrase.is_empty() => phrase,
        Some(_) | None => match status / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Multiple Choices",
            4 => "Bad Request",
            5 => "Server Internal Error",
            _ => "Busy Everywhere",
        },
    }
}

/// The phrases of 100 to 699. rsip holds the list of codes that the IANA registry names, as identifiers: `NotFound` is
/// cut into `Not Found`. What the RFCs spell otherwise, or rsip lacks, stands here.
static PHRASES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let spelled = |status| match status {
        201 => Some(""), // rsip calls it Accepted, which is 202.
        202 => Some("Accepted"),
        414 => Some("Request-URI Too Long"),
        416 => Some("Unsupported URI Scheme"),
        417 => Some("Unknown Resource-Priority"),
        425 => Some("Bad Alert Message"),
        437 => Some("Unsupported Credential"),
        481 => Some("Call/Transaction Does Not Exist"),
        504 => Some("Server Time-out"),
        555 => Some("Push Notification Service Not Supported"),
        606 => Some("Not Acceptable"),
        608 => Some("Rejected"),
        _ => None,
    };
    (100..700)
        .map(|status| spelled(status).map_or_else(|| phrase_of(status), str::to_owned))
        .collect()
});

/// rsip's identifier of a status in words, empty for one that it does not know.
fn phrase_of(status: u16) -> String {
    let code = rsip::StatusCode::from(status);
    if matches!(code, rsip::StatusCode::Other(..)) {
        return String::new();
    }
    let printed = code.to_string();
    let name = printed.split_once(' ').map_or("", |(_, name)| name);
    let mut words = String::with_capacity(name.len() + 8);
    let mut after_lower = false;
    for c in name.chars() {
        if after_lower && c.is_ascii_uppercase() {
            words.push(' ');
        }
        after_lower = c.is_ascii_lowercase();
        words.push(c);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Message {
        let text = "INVITE sip:bob@b SIP/2.0\r\nv: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP c\r\nVia: SIP/2.0/UDP d\r\n\
                    Record-Route: <sip:p;lr>\r\nf: A\r\n <sip:a>;tag=1\r\nt: <sip:b>\r\ni: x\r\nCSeq: 2 INVITE\r\n\
                    Timestamp: 54\r\n\r\n";
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn text(draft: &Draft) -> String {
        String::from_utf8(draft.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_response_echoes_what_8_2_6_2_names() {
        let trying = Draft::response(&request(), 100, Some("ignored"));
        assert_eq!(
            text(&trying),
            "SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP c\r\nVia: SIP/2.0/UDP d\r\nFrom: A <sip:a>;tag=1\r\n\
             To: <sip:b>\r\nCall-ID: x\r\nCSeq: 2 INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n"
        );
        let busy = Draft::response(&request(), 486, Some("z"));
        assert_eq!(busy.get(Name::To), Some("<sip:b>;tag=z"));
        assert!(!text(&busy).contains("Timestamp"));
        assert_eq!(Draft::response(&request(), 486, None).get(Name::To), Some("<sip:b>"));
        let again = Draft::response(&busy.to_message().unwrap(), 487, Some("other"));
        assert_eq!(again.get(Name::To), Some("<sip:b>;tag=z"));
    }

    #[test]
    fn nothing_that_is_written_can_break_a_line() {
        let uri = Uri::sip(Some("a\r\nX: y \0"), crate::sip::Host::Name("b".into()), None);
        let mut draft = Draft::request(Method::from("IN VITE\r\n"), uri);
        draft.push(Name::UserAgent, "a\r\nEvil: yes\0\n\r\n");
        draft.push_named("X\r\nEvil: x", "ä");
        draft.push_named("l", "7");
        draft.set_body("text/plain", "hi");
        assert_eq!(
            text(&draft),
            "IN-VITE-- sip:a%0D%0AX:%20y%20%00@b SIP/2.0\r\nUser-Agent: a  Evil: yes    \r\nX--Evil--x: ä\r\n\
             Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
        );
        let draft = Draft::response(&request(), 400, None).with_reason("No\r\nEvil: x");
        assert!(text(&draft).starts_with("SIP/2.0 400 No  Evil: x\r\nVia"));
    }

    #[test]
    fn fields_are_replaced_in_place_and_removed_in_any_spelling() {
        let mut draft = Draft::response(&request(), 200, None);
        draft.push_named("m", "<sip:1>");
        draft.push(Name::Contact, "<sip:2>");
        draft.push(Name::Server, "x");
        draft.set(Name::Contact, "<sip:3>");
        draft.set(Name::Allow, "INVITE");
        draft.push_front(Name::Via, "first");
        let tail: Vec<_> = draft
            .headers
            .iter()
            .skip(7)
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(tail, ["m: <sip:3>", "Server: x", "Allow: INVITE"]);
        assert_eq!(draft.get(Name::Via), Some("first"));
        draft.remove(Name::Contact);
        assert_eq!((draft.get(Name::Contact), draft.method()), (None, None));
    }

    #[test]
    fn every_status_has_a_phrase() {
        for (status, phrase) in [
            (100, "Trying"),
            (181, "Call Is Being Forwarded"),
            (199, "Early Dialog Terminated"),
            (200, "OK"),
            (202, "Accepted"),
            (404, "Not Found"),
            (407, "Proxy Authentication Required"),
            (414, "Request-URI Too Long"),
            (481, "Call/Transaction Does Not Exist"),
            (488, "Not Acceptable Here"),
            (491, "Request Pending"),
            (504, "Server Time-out"),
            (603, "Decline"),
            (608, "Rejected"),
            (201, "OK"),
            (499, "Bad Request"),
            (599, "Server Internal Error"),
            (0, "Busy Everywhere"),
            (u16::MAX, "Busy Everywhere"),
        ] {
            assert_eq!(reason(status), phrase, "{status}");
        }
        assert!((100..700).all(|status| !reason(status).is_empty()));
    }

    #[test]
    fn a_log_shows_no_credentials() {
        let mut draft = Draft::request(Method::Register, Uri::parse("sip:a:secret@b").unwrap());
        draft.push(Name::Authorization, "Digest secret");
        draft.push_named("proxy-authorization", "Digest secret");
        draft.set_body("text/plain", "secret");
        assert!(!format!("{draft:?}").contains("secret"), "{draft:?}");
    }
}

//! What we are about to send.

use super::grammar::is_token_byte;
use super::header::{Method, Name};
use super::uri::Uri;
use super::{Message, ParseError};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
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

/// A message under construction: header fields in order, written as they are added. Content-Length is written by `to_bytes`. No
/// value can carry a line break out: CR, LF and NUL in a value become spaces.
#[derive(Clone, PartialEq)]
pub struct Draft {
    /// The first line.
    pub start: Start,
    /// The header lines as they will be sent.
    pub(super) lines: String,
    /// Where in them each field is.
    pub(super) fields: Vec<Field>,
    /// The body.
    pub body: Bytes,
}

/// Where a field stands in the lines of its draft. Its line break follows the value.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Field {
    known: Option<Name>,
    from: usize,
    value: usize,
    to: usize,
}

impl Field {
    fn name(self) -> Range<usize> {
        self.from..self.value - SEPARATOR.len()
    }

    fn value(self) -> Range<usize> {
        self.value..self.to
    }

    fn line(self) -> Range<usize> {
        self.from..self.to + LINE_BREAK.len()
    }

    /// So many octets before it have become so many.
    fn moved(self, old: usize, new: usize) -> Field {
        Field {
            known: self.known,
            from: self.from - old + new,
            value: self.value - old + new,
            to: self.to - old + new,
        }
    }
}

const SEPARATOR: &str = ": ";
const LINE_BREAK: &str = "\r\n";

impl Draft {
    /// With no fields yet, and room for those that most messages have.
    pub fn new(start: Start) -> Draft {
        Draft::with_room(start, 768)
    }

    fn with_room(start: Start, octets: usize) -> Draft {
        Draft {
            start,
            lines: String::with_capacity(octets),
            fields: Vec::with_capacity(16),
            body: Bytes::new(),
        }
    }

    /// A request with no fields yet.
    pub fn request(method: Method, uri: Uri) -> Draft {
        Draft::new(Start::Request(method, uri))
    }

    /// A response to `request` by RFC 3261 8.2.6.2: Via, From, To, Call-ID, CSeq copied, the
    /// standard reason phrase. `to_tag` is added where To has none and the status is not 100.
    pub fn response(request: &Message, status: u16, to_tag: Option<&str>) -> Draft {
        // Room for what is copied, and for as much as most responses add.
        let octets = request.bytes().len() + 256;
        let mut draft = Draft::with_room(Start::Response(status, Cow::Borrowed(reason(status))), octets);
        let tag = to_tag.filter(|_| status != 100 && request.tags().is_some_and(|(_, to)| to.is_none()));
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            // Of a field that must not come twice the first counts, so that the refusal is no fault of the same kind.
            let most = if name.is_single() { 1 } else { usize::MAX };
            for value in request.whole_lines(name).take(most) {
                draft.add(Some(name), name.as_str(), |line| match (name, tag) {
                    (Name::To, Some(tag)) => {
                        // An empty parameter is no worse than none, but only at the end.
                        push_in_line(line, value.trim_end_matches([';', ' ', '\t']));
                        push_in_line(line, ";tag=");
                        push_in_line(line, tag);
                    }
                    _other => push_in_line(line, &value),
                });
            }
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
        self.add(Some(name), name.as_str(), |line| write_in_line(line, value));
    }

    /// Adds a field that has no `Name`.
    pub fn push_named(&mut self, name: impl AsRef<str>, value: impl Display) {
        let name = name.as_ref();
        self.add(Name::from_bytes(name.as_bytes()), name, |line| {
            write_in_line(line, value)
        });
    }

    /// Adds a field in front of all others (Via).
    pub fn push_front(&mut self, name: Name, value: impl Display) {
        let before = std::mem::take(&mut self.lines);
        self.lines.reserve(before.len() + 160);
        self.push(name, value);
        self.fields.rotate_right(1);
        self.shift(1, 0, self.lines.len());
        self.lines.push_str(&before);
    }

    /// Replaces all fields of that name by one, in the place of the first.
    pub fn set(&mut self, name: Name, value: impl Display) {
        let Some(place) = self.place(name) else {
            return self.push(name, value);
        };
        self.put(place, value.to_string());
        for nth in (place + 1..self.fields.len()).rev() {
            if self.fields[nth].known == Some(name) {
                self.cut(nth);
            }
        }
    }

    /// Gives the first field of that name another value, unless there is none to give.
    pub fn rewrite(&mut self, name: Name, another: impl FnOnce(&str) -> Option<String>) {
        if let Some(place) = self.place(name)
            && let Some(value) = another(&self.lines[self.fields[place].value()])
        {
            self.put(place, value);
        }
    }

    /// Removes all fields of that name.
    pub fn remove(&mut self, name: Name) {
        while let Some(place) = self.place(name) {
            self.cut(place);
        }
    }

    /// The first field of that name.
    pub fn get(&self, name: Name) -> Option<&str> {
        self.place(name).map(|place| &self.lines[self.fields[place].value()])
    }

    /// Names and values, as they will be sent.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = |field: &Field| (&self.lines[field.name()], &self.lines[field.value()]);
        self.fields.iter().map(parts)
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

    fn place(&self, name: Name) -> Option<usize> {
        self.fields.iter().position(|field| field.known == Some(name))
    }

    fn add(&mut self, known: Option<Name>, name: &str, value: impl FnOnce(&mut String)) {
        if known == Some(Name::ContentLength) {
            return;
        }
        let from = self.lines.len();
        push_token(&mut self.lines, name);
        self.lines.push_str(SEPARATOR);
        let begin = self.lines.len();
        value(&mut self.lines);
        let to = self.lines.len();
        self.lines.push_str(LINE_BREAK);
        self.fields.push(Field {
            known,
            from,
            value: begin,
            to,
        });
    }

    /// The value of the field at this place becomes another.
    fn put(&mut self, place: usize, value: String) {
        let value = if value.contains(BREAKS) {
            value.replace(BREAKS, " ")
        } else {
            value
        };
        let old = self.fields[place].value();
        self.fields[place].to = old.start + value.len();
        self.shift(place + 1, old.len(), value.len());
        self.lines.replace_range(old, &value);
    }

    /// The field at this place goes.
    fn cut(&mut self, place: usize) {
        let line = self.fields.remove(place).line();
        self.shift(place, line.len(), 0);
        self.lines.replace_range(line, "");
    }

    fn shift(&mut self, from: usize, old: usize, new: usize) {
        for field in &mut self.fields[from..] {
            *field = field.moved(old, new);
        }
    }

    /// Header fields that are sent, Content-Length among them.
    pub fn header_fields(&self) -> usize {
        self.fields.len() + 1
    }

    /// How many octets it will have at most, unless its URI is very long.
    pub fn size(&self) -> usize {
        self.lines.len() + self.body.len() + 256
    }

    /// With as few octets as mean the same: names in their compact forms, which are there for messages that would else be too large
    /// for their transport (RFC 3261 7.3.3), and no User-Agent (20.41).
    pub fn slim(&mut self) {
        self.remove(Name::UserAgent);
        let (lines, fields) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.fields));
        for field in fields {
            let name = &lines[field.from..field.value - SEPARATOR.len()];
            let short = field.known.and_then(Name::compact).unwrap_or(name);
            self.add(field.known, short, |line| push_in_line(line, &lines[field.value()]));
        }
    }

    /// The octets to send.
    pub fn to_bytes(&self) -> Bytes {
        const LENGTH: &str = "Content-Length: ";
        let digits = self.body.len().checked_ilog10().unwrap_or_default() as usize + 1;
        let known = self.lines.len() + LENGTH.len() + digits + 2 * LINE_BREAK.len() + self.body.len();
        // Octets that fill their room are taken over as they are.
        let start = match &self.start {
            Start::Request(..) => 256,
            Start::Response(_, reason) => "SIP/2.0 100 \r\n".len() + reason.len(),
        };
        let mut text = String::with_capacity(start + known);
        self.write_start(&mut text);
        text.push_str(&self.lines);
        text.push_str(LENGTH);
        push_number(&mut text, self.body.len() as u64);
        text.push_str(LINE_BREAK);
        text.push_str(LINE_BREAK);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    fn write_start(&self, text: &mut String) {
        match &self.start {
            Start::Request(method, uri) => {
                push_token(text, method.as_str());
                text.push(' ');
                push_without_blanks(text, &uri.text());
                text.push_str(" SIP/2.0\r\n");
            }
            Start::Response(status, reason) => {
                text.push_str("SIP/2.0 ");
                push_number(text, (*status).into());
                text.push(' ');
                push_in_line(text, reason);
                text.push_str(LINE_BREAK);
            }
        }
    }

    /// The same read back: what we send, treated as what came.
    pub fn to_message(&self) -> Result<Message, ParseError> {
        Message::parse(self.to_bytes())
    }
}

/// What a log may show: no value of a field that carries credentials, and of the body only its length.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entry(&self.start);
        for (field, (name, value)) in self.fields.iter().zip(self.fields()) {
            let is_secret = matches!(field.known, Some(Name::Authorization | Name::ProxyAuthorization));
            list.entry(&format_args!("{name}: {}", if is_secret { "***" } else { value }));
        }
        list.entry(&format_args!("{} octets of body", self.body.len())).finish()
    }
}

/// A name; what may not stand in one becomes a hyphen.
fn push_token(text: &mut String, name: &str) {
    if name.bytes().all(is_token_byte) {
        return text.push_str(name);
    }
    let is_in = |c: char| u8::try_from(c).is_ok_and(is_token_byte);
    text.extend(name.chars().map(|c| if is_in(c) { c } else { '-' }));
}

/// What could end a line.
const BREAKS: [char; 3] = ['\r', '\n', '\0'];

/// A text within a line; what could end the line earlier becomes a space.
fn push_in_line(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = memchr::memchr3(b'\r', b'\n', 0, rest.as_bytes()) {
        text.push_str(&rest[..at]);
        text.push(' ');
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
}

/// The same with whatever can be written.
fn write_in_line(line: &mut String, value: impl Display) {
    struct InLine<'t>(&'t mut String);
    impl Write for InLine<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            push_in_line(self.0, text);
            Ok(())
        }
    }
    write!(InLine(line), "{value}").expect("writing to a String does not fail");
}

/// A request URI; what would end it, or the line, is escaped.
fn push_without_blanks(text: &mut String, uri: &str) {
    if uri.bytes().all(|byte| byte > b' ' && byte != 0x7f) {
        return text.push_str(uri);
    }
    for c in uri.chars() {
        match c {
            '\0'..=' ' | '\x7f' => text.push_str(&format!("%{:02X}", u32::from(c))),
            c => text.push(c),
        }
    }
}

/// A number in decimal.
pub fn push_number(text: &mut String, number: u64) {
    if number >= 100 {
        push_number(text, number / 100);
    }
    let at = 2 * (number % 100) as usize;
    let is_short = number < 10;
    text.push_str(&PAIRS[at + usize::from(is_short)..at + 2]);
}

/// Two digits of each number below a hundred.
const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                     5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// An address without brackets.
pub fn push_ip(text: &mut String, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (nth, octet) in ip.octets().into_iter().enumerate() {
                if nth > 0 {
                    text.push('.');
                }
                push_number(text, octet.into());
            }
        }
        IpAddr::V6(ip) => write!(text, "{ip}").expect("writing to a String does not fail"),
    }
}

/// An address with its port, that of IPv6 in brackets.
pub fn push_address(text: &mut String, address: SocketAddr) {
    if address.is_ipv6() {
        text.push('[');
    }
    push_ip(text, address.ip());
    text.push_str(if address.is_ipv6() { "]:" } else { ":" });
    push_number(text, address.port().into());
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
                    Record-Route: <sip:p;lr>\r\nf: A\r\n <sip:a>;tag=1\r\nt: <sip:b>\r\ni: x\r\nCSeq: 2 INVITE\r\n\r\n";
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
             To: <sip:b>\r\nCall-ID: x\r\nCSeq: 2 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        let busy = Draft::response(&request(), 486, Some("z"));
        assert_eq!(busy.get(Name::To), Some("<sip:b>;tag=z"));
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
        draft.set(Name::ContentLength, 8);
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
            .fields()
            .skip(7)
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(tail, ["m: <sip:3>", "Server: x", "Allow: INVITE"]);
        assert_eq!(draft.get(Name::Via), Some("first"));
        draft.remove(Name::Contact);
        assert_eq!((draft.get(Name::Contact), draft.method()), (None, None));
    }

    /// Every short sequence of edits makes of a draft what it makes of a plain list of names and values.
    #[test]
    fn edits_are_those_of_a_plain_list() {
        const VALUES: [&str; 3] = ["", "<sip:a>", "longer\r\nthan the others"];
        const NAMES: [Name; 2] = [Name::Contact, Name::Route];
        const KINDS: usize = 5;
        const EDITS: usize = KINDS * VALUES.len() * NAMES.len();
        for sequence in 0..EDITS.pow(3) {
            let mut draft = Draft::new(Start::Response(200, "OK".into()));
            let mut list = Vec::new();
            for (written, value) in [("m", "1"), ("Route", "2"), ("X", "3"), ("Contact", "4")] {
                draft.push_named(written, value);
                list.push((Name::from_bytes(written.as_bytes()), written, value.to_owned()));
            }
            for edit in [sequence % EDITS, sequence / EDITS % EDITS, sequence / EDITS.pow(2)] {
                let (kind, rest) = (edit % KINDS, edit / KINDS);
                let (name, value) = (NAMES[rest % NAMES.len()], VALUES[rest / NAMES.len()]);
                let is_it = |(known, ..): &(Option<Name>, &str, String)| *known == Some(name);
                let clean = value.replace(['\r', '\n'], " ");
                let (place, field) = (list.iter().position(is_it), (Some(name), name.as_str(), clean.clone()));
                match (kind, place) {
                    (0, _) | (2, None) => list.push(field),
                    (1, _) => list.insert(0, field),
                    (2, Some(place)) => {
                        list[place].2 = clean;
                        let rest = list.split_off(place + 1);
                        list.extend(rest.into_iter().filter(|field| !is_it(field)));
                    }
                    (3, Some(place)) => list[place].2 += &clean,
                    (4, _) => list.retain(|field| !is_it(field)),
                    (_, _) => {}
                }
                match kind {
                    0 => draft.push(name, value),
                    1 => draft.push_front(name, value),
                    2 => draft.set(name, value),
                    3 => draft.rewrite(name, |old| Some(format!("{old}{value}"))),
                    _ => draft.remove(name),
                }
            }
            let expected: Vec<(&str, &str)> = list.iter().map(|(_, name, value)| (*name, value.as_str())).collect();
            assert_eq!(draft.fields().collect::<Vec<_>>(), expected, "{sequence}");
            let lines: String = list
                .iter()
                .map(|(_, name, value)| format!("{name}: {value}\r\n"))
                .collect();
            assert_eq!(
                text(&draft),
                format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n")
            );
        }
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

//! What came, sent on: a request or response with a proxy's edits and every other octet as it was (RFC 3261 16.6, 16.7).
//!
//! Nothing is read into values and written again: the octets are spliced from the index, so folded lines, odd spellings and
//! fields that nobody knows leave as they came.

use super::facts::TopVia;
use super::field::unfold;
use super::grammar::{comma, is_token};
use super::header::{Name, Via};
use super::lex::{Line, Message};
use super::write::{push_ip, push_number};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;

/// The edits of a request that is forwarded. Made from a request that passed `Message::check`.
#[derive(Clone, Debug)]
pub struct Forward<'m> {
    message: Cow<'m, Message>,
    /// In place of the Request-URI.
    pub uri: Option<String>,
    /// The new value of Max-Forwards, written where there is none.
    pub max_forwards: Option<u32>,
    /// The new value of Max-Breadth (RFC 5393 5.3.3), written where there is none.
    pub max_breadth: Option<u32>,
    /// So many values of Route are taken away from the front.
    pub pop_routes: usize,
    /// The last value of Route is taken away (RFC 3261 16.4: a strict router put the request's target there).
    pub pop_last_route: bool,
    /// Values that become the first of Route (RFC 3327 5.4: the path to a phone).
    pub preload: Option<String>,
    /// A value that becomes the last of Route (RFC 3261 16.6 step 6: the next hop is a strict router).
    pub push_route: Option<String>,
    /// Values that become the first of Record-Route, the topmost first.
    pub record_routes: Vec<String>,
    /// Where the request came from: the topmost Via gets `received` and `rport` (RFC 3261 18.2.1, RFC 3581 4).
    pub source: Option<SocketAddr>,
    /// Fields of these names whose value this says are ours are taken away (credentials that were meant for us).
    pub consumed: Vec<(Name, String)>,
    /// Content-Length is written where there is none: the next hop is reached over a stream (RFC 3261 16.6 step 9).
    pub needs_length: bool,
}

/// The edits of a response that is forwarded: the topmost Via goes, `extra` fields come at the end of the header.
#[derive(Clone, Debug)]
pub struct Backward<'m> {
    message: &'m Message,
    /// Fields at the end of the header (RFC 3261 16.7 step 7: challenges of other branches).
    pub extra: Vec<(Name, String)>,
    /// Content-Length is written where there is none.
    pub needs_length: bool,
}

impl<'m> Forward<'m> {
    /// The request as it came.
    pub fn new(message: &'m Message) -> Forward<'m> {
        Forward {
            message: Cow::Borrowed(message),
            uri: None,
            max_forwards: None,
            max_breadth: None,
            pop_routes: 0,
            pop_last_route: false,
            preload: None,
            push_route: None,
            record_routes: Vec::new(),
            source: None,
            consumed: Vec::new(),
            needs_length: false,
        }
    }

    /// The request that is edited.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// For later.
    pub fn into_owned(self) -> Forward<'static> {
        Forward {
            message: Cow::Owned(self.message.into_owned()),
            ..self
        }
    }

    /// Header fields that are sent at most, the new Via among them.
    pub fn header_fields(&self) -> usize {
        // Via, Route in front and behind, Max-Forwards, Max-Breadth, Content-Length.
        self.message.lines().len() + self.record_routes.len() + 6
    }

    /// The octets to send, with `via` in front of every other Via.
    pub fn to_bytes(&self, via: &str) -> Bytes {
        let more: usize = self.record_routes.iter().map(|route| route.len() + 20).sum();
        let written = [&self.uri, &self.preload, &self.push_route];
        let written: usize = written.into_iter().flatten().map(String::len).sum();
        let room = self.message.bytes().len() + via.len() + more + written + 128;
        let (begin, uri) = self.message.start_spans();
        let mut out = Splice::new(self.message.bytes(), begin, room);
        if let (Some(new), Some(uri)) = (&self.uri, uri) {
            out.copy_to(uri.start);
            out.text
                .extend(new.bytes().filter(|byte| *byte > b' ' && *byte != 0x7f));
            out.skip_to(uri.end);
        }
        let lines = self.message.lines();
        let place = |name: Name| lines.iter().position(|line| line.known == Some(name));
        let last = |name: Name| lines.iter().rposition(|line| line.known == Some(name));
        let (first_via, last_via) = (place(Name::Via).unwrap_or(0), last(Name::Via).unwrap_or(0));
        let first_record = place(Name::RecordRoute);
        let (first_route, last_route) = (place(Name::Route), last(Name::Route));
        let mut routes = 0;
        for (at, line) in lines.iter().enumerate() {
            if at == first_via {
                out.copy_to(raw(&self.message, at).start);
                field(&mut out.text, Name::Via.as_str(), via);
            }
            if first_record == Some(at) {
                out.copy_to(raw(&self.message, at).start);
                self.add_record_routes(&mut out.text);
            }
            if first_route == Some(at) {
                out.copy_to(raw(&self.message, at).start);
                self.add_preload(&mut out.text);
            }
            match line.known {
                Some(Name::Via) if at == first_via => self.stamped_via(&mut out, line),
                Some(Name::MaxForwards) => out.number(line, self.max_forwards),
                Some(Name::Route) => self.route_line(&mut out, line, raw(&self.message, at), &mut routes),
                Some(name) if self.is_consumed(name, line) => {
                    let raw = raw(&self.message, at);
                    out.copy_to(raw.start);
                    out.skip_to(raw.end);
                }
                None if self.is_max_breadth(line) => out.number(line, self.max_breadth),
                Some(_) | None => {}
            }
            if at == last_via {
                out.copy_to(raw(&self.message, at).end);
                self.add_missing(&mut out.text, first_record.is_none());
                if first_route.is_none() {
                    self.add_preload(&mut out.text);
                }
            }
            if last_route.unwrap_or(last_via) == at
                && let Some(route) = &self.push_route
            {
                out.copy_to(raw(&self.message, at).end);
                field(&mut out.text, Name::Route.as_str(), route);
            }
        }
        finish(out, &self.message, self.needs_length)
    }

    fn add_record_routes(&self, out: &mut Vec<u8>) {
        for route in &self.record_routes {
            field(out, Name::RecordRoute.as_str(), route);
        }
    }

    fn add_preload(&self, out: &mut Vec<u8>) {
        if let Some(path) = &self.preload {
            field(out, Name::Route.as_str(), path);
        }
    }

    /// What the request has no line for.
    fn add_missing(&self, out: &mut Vec<u8>, no_record_route: bool) {
        if no_record_route {
            self.add_record_routes(out);
        }
        let lines = self.message.lines();
        if let Some(hops) = self.max_forwards
            && !lines.iter().any(|line| line.known == Some(Name::MaxForwards))
        {
            field(out, Name::MaxForwards.as_str(), &hops.to_string());
        }
        if let Some(breadth) = self.max_breadth
            && !lines.iter().any(|line| self.is_max_breadth(line))
        {
            field(out, MAX_BREADTH, &breadth.to_string());
        }
    }

    /// The topmost Via, stamped with where the request came from.
    fn stamped_via(&self, out: &mut Splice<'_>, line: &Line) {
        let octets = self.message.bytes();
        let Some(first) = values(octets, line.value.range()).into_iter().next() else {
            return;
        };
        let stamped = || {
            let (source, top) = (self.source?, self.message.top().ok()?);
            stamped(std::str::from_utf8(&octets[first.clone()]).ok()?, &top, source)
        };
        if let Some(stamped) = stamped() {
            out.copy_to(first.start);
            out.text.extend_from_slice(stamped.as_bytes());
            out.skip_to(first.end);
        }
    }

    /// A line of Route without the values that are taken away; `seen` counts those of the lines before.
    fn route_line(&self, out: &mut Splice<'_>, line: &Line, raw: Range<usize>, seen: &mut usize) {
        let octets = self.message.bytes();
        let all = values(octets, line.value.range());
        let before = *seen;
        *seen += all.len();
        let first = self.pop_routes.saturating_sub(before).min(all.len());
        let pops_last = self.pop_last_route && !all.is_empty() && *seen == self.message.route_count();
        let end = all.len() - usize::from(pops_last);
        match all.get(first..end) {
            Some(kept) if kept.len() == all.len() => {}
            Some([]) | None => {
                out.copy_to(raw.start);
                out.skip_to(raw.end);
            }
            Some(kept) => {
                out.copy_to(all[0].start);
                out.skip_to(kept[0].start);
                out.copy_to(kept[kept.len() - 1].end);
                out.skip_to(line.value.range().end);
            }
        }
    }

    fn is_consumed(&self, name: Name, line: &Line) -> bool {
        self.consumed
            .iter()
            .any(|(ours, text)| *ours == name && *text == self.message.lossy(line))
    }

    fn is_max_breadth(&self, line: &Line) -> bool {
        self.message
            .slice(line.name)
            .eq_ignore_ascii_case(MAX_BREADTH.as_bytes())
    }
}

/// RFC 5393 5.3.1.
pub const MAX_BREADTH: &str = "Max-Breadth";

impl<'m> Backward<'m> {
    /// The response without its topmost Via.
    pub fn new(message: &'m Message) -> Backward<'m> {
        Backward {
            message,
            extra: Vec::new(),
            needs_length: false,
        }
    }

    /// The octets to send.
    pub fn to_bytes(&self) -> Bytes {
        let octets = self.message.bytes();
        let more: usize = self.extra.iter().map(|(_, value)| value.len() + 24).sum();
        let mut out = Splice::new(octets, self.message.start_spans().0, octets.len() + more + 32);
        let lines = self.message.lines();
        if let Some(at) = lines.iter().position(|line| line.known == Some(Name::Via)) {
            let raw = raw(self.message, at);
            let value = lines[at].value.range();
            let mut all = values(octets, value).into_iter();
            match (all.next(), all.next()) {
                (Some(first), Some(second)) => {
                    out.copy_to(first.start);
                    out.skip_to(second.start);
                }
                (_, _) => {
                    out.copy_to(raw.start);
                    out.skip_to(raw.end);
                }
            }
        }
        out.copy_to(self.message.head_end());
        for (name, value) in &self.extra {
            field(&mut out.text, name.as_str(), value);
        }
        finish(out, self.message, self.needs_length)
    }
}

/// Octets that are copied but for some places.
struct Splice<'o> {
    octets: &'o [u8],
    /// What stands before this is copied or left out.
    at: usize,
    text: Vec<u8>,
}

impl<'o> Splice<'o> {
    fn new(octets: &'o [u8], at: usize, room: usize) -> Splice<'o> {
        let text = Vec::with_capacity(room);
        Splice { octets, at, text }
    }

    fn copy_to(&mut self, to: usize) {
        self.text.extend_from_slice(&self.octets[self.at..to]);
        self.at = to;
    }

    fn skip_to(&mut self, to: usize) {
        self.at = to;
    }

    /// Another number as the value of a line, which is spelled as it was.
    fn number(&mut self, line: &Line, number: Option<u32>) {
        let Some(number) = number else { return };
        let value = line.value.range();
        let mut digits = String::new();
        push_number(&mut digits, number.into());
        self.copy_to(value.start);
        self.text.extend_from_slice(digits.as_bytes());
        self.skip_to(value.end);
    }
}

impl Message {
    /// Without those values of Contact for which `kept` is false, in their order (RFC 3261 16.7 step 4).
    pub fn with_contacts(&self, kept: &[bool]) -> Option<Message> {
        let octets = self.bytes();
        let mut out = Splice::new(octets, 0, octets.len());
        let mut kept = kept.iter();
        for (at, line) in self.lines().iter().enumerate() {
            if line.known != Some(Name::Contact) {
                continue;
            }
            let mut left = values(octets, line.value.range());
            left.retain(|_| kept.next() != Some(&false));
            let raw = raw(self, at);
            out.copy_to(if left.is_empty() {
                raw.start
            } else {
                line.value.range().start
            });
            for (nth, value) in left.iter().enumerate() {
                out.text.extend_from_slice(if nth > 0 { b", " } else { b"" });
                out.text.extend_from_slice(&octets[value.clone()]);
            }
            out.skip_to(if left.is_empty() {
                raw.end
            } else {
                line.value.range().end
            });
        }
        out.copy_to(octets.len());
        Message::parse(Bytes::from(out.text)).ok()
    }

    /// How many values Route has.
    pub fn route_count(&self) -> usize {
        let count = |line: &Line| values(self.bytes(), line.value.range()).len();
        self.lines_of(Name::Route).map(count).sum()
    }

    /// The first value of Max-Breadth, an error where it is no number (RFC 5393 5.3.1).
    pub fn max_breadth(&self) -> Option<Result<u32, super::ParseError>> {
        let is_it =
            |line: &&Line| line.known.is_none() && self.slice(line.name).eq_ignore_ascii_case(MAX_BREADTH.as_bytes());
        let line = self.lines().iter().find(is_it)?;
        Some(
            self.lossy(line)
                .parse()
                .map_err(|_| super::ParseError::bad("Max-Breadth is no number")),
        )
    }
}

/// The octets of a header line, its line breaks included.
fn raw(message: &Message, at: usize) -> Range<usize> {
    let start = |at: usize| message.lines().get(at).map(|line| line.name.range().start);
    start(at).unwrap_or(message.head_end())..start(at + 1).unwrap_or(message.head_end())
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let from = out.len();
    out.extend_from_slice(value.as_bytes());
    for byte in &mut out[from..] {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The rest of the header, Content-Length if it is wanted and missing, the empty line, and the body without what lies behind it.
fn finish(mut out: Splice<'_>, message: &Message, needs_length: bool) -> Bytes {
    out.copy_to(message.head_end().max(out.at));
    let (mut text, body) = (out.text, message.body_octets());
    if needs_length && message.lines_of(Name::ContentLength).next().is_none() {
        field(&mut text, Name::ContentLength.as_str(), &body.len().to_string());
    }
    if !text.ends_with(b"\n") {
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body);
    text.into()
}

/// Where the values of a list stand, without blanks around them: cut at commas outside of quotes and angle brackets.
fn values(octets: &[u8], all: Range<usize>) -> SmallVec<[Range<usize>; 4]> {
    let mut found = SmallVec::new();
    let mut from = all.start;
    while let Some(length) = comma(&octets[from..all.end]) {
        found.extend(trimmed(octets, from..from + length));
        from += length + 1;
    }
    found.extend(trimmed(octets, from..all.end));
    found
}

fn trimmed(octets: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let text = &octets[range.clone()];
    let is_blank = |byte: &u8| b" \t\r\n".contains(byte);
    let first = text.iter().position(|byte| !is_blank(byte))?;
    let last = text.iter().rposition(|byte| !is_blank(byte))?;
    Some(range.start + first..range.start + last + 1)
}

/// The topmost Via value, which says `top`, with `received` and `rport` (RFC 3261 18.2.1, RFC 3581 4); nothing where it says all that
/// already.
pub fn stamped(value: &str, top: &TopVia, source: SocketAddr) -> Option<String> {
    let differs = top.host.ip() != Some(source.ip());
    // A `received` that the sender wrote itself is not believed.
    if top.is_forged {
        let mut own = Via::parse(&unfold(value)).ok()?;
        own.params.remove("received");
        if top.asks_port {
            own.params.set("rport", Some(&source.port().to_string()));
        }
        own.params.set("received", Some(&source.ip().to_string()));
        return Some(own.to_string());
    }
    if !top.asks_port && !differs {
        return None;
    }
    // The grammar has no empty parameter (25.1), and a reader overlooks at most the last.
    let value = value.trim_end_matches([';', ' ', '\t']);
    let mut text = String::with_capacity(value.len() + 64);
    let end = if top.asks_port { rport_end(value)? } else { value.len() };
    text.push_str(&value[..end]);
    if top.asks_port {
        text.push('=');
        push_number(&mut text, source.port().into());
    }
    text.push_str(&value[end..]);
    text.push_str(";received=");
    push_ip(&mut text, source.ip());
    Some(text)
}

/// Where the word `rport` ends that stands as a parameter of its own.
fn rport_end(value: &str) -> Option<usize> {
    const WORD: &[u8] = b"rport";
    let octets = value.as_bytes();
    (0..octets.len().saturating_sub(WORD.len() - 1)).find_map(|at| {
        let end = at + WORD.len();
        if !octets[at..end].eq_ignore_ascii_case(WORD) {
            return None;
        }
        let (before, after) = (value.get(..at)?.trim_end(), value.get(end..)?.trim_start());
        let next = after.bytes().next();
        let alone = !next.is_some_and(|byte| is_token(&[byte]) || byte == b'=');
        (before.ends_with(';') && alone).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ODD: &str = "INVITE sip:bob@example.com;x=%41 sip/2.0\r\nvIA :  SIP/2.0/UDP 10.0.0.1 ;branch=z9hG4bKa;rport ,\r\n \
                       SIP/2.0/TCP c;branch=z9hG4bKb\r\nX-Odd: \u{fc}\u{1} a,\r\n\tb \r\nROUTE: <sip:us;lr>,\r\n <sip:next;lr>;p=\"a,b\"\r\n\
                       Max-forwards :  9 \r\nf: A <sip:a@x>;tag=1\r\nt: <sip:bob@example.com>\r\ni: c\r\nRecord-Route: <sip:p;lr>\r\n\
                       CSeq:  1   INVITE\r\nl: 2\r\nmax-breadth: 60\r\n\r\nhibeyond";

    fn message(text: &str) -> Message {
        Message::parse(Bytes::from(text.to_owned())).unwrap()
    }

    fn text(bytes: &Bytes) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn our_edits_and_every_other_octet_as_it_was() {
        let request = message(ODD);
        let mut forward = Forward::new(&request);
        forward.uri = Some("sip:bob@10.0.0.2:5070".into());
        forward.max_forwards = Some(8);
        forward.max_breadth = Some(30);
        forward.pop_routes = 1;
        forward.record_routes = vec!["<sip:out;lr>".into(), "<sip:in;lr>".into()];
        forward.source = Some("10.0.0.1:40000".parse().unwrap());
        let expected = ODD
            .replace("sip:bob@example.com;x=%41", "sip:bob@10.0.0.2:5070")
            .replace("vIA", "Via: SIP/2.0/UDP us;branch=z9hG4bKus\r\nvIA")
            .replace("rport ,", "rport=40000;received=10.0.0.1 ,")
            .replace("ROUTE: <sip:us;lr>,\r\n <sip", "ROUTE: <sip")
            .replace(":  9 ", ":  8 ")
            .replace(
                "Record-Route: ",
                "Record-Route: <sip:out;lr>\r\nRecord-Route: <sip:in;lr>\r\nRecord-Route: ",
            )
            .replace("breadth: 60", "breadth: 30")
            .replace("hibeyond", "hi");
        assert_eq!(text(&forward.to_bytes("SIP/2.0/UDP us;branch=z9hG4bKus")), expected);
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_ours_is_taken() {
        let request = message(
            "MESSAGE sip:b SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\nRoute: <sip:us;lr>\nProxy-Authorization: Digest x\n\
             proxy-authorization: Digest y\nFrom: <sip:a>;tag=1\n\nhello",
        );
        let mut forward = Forward::new(&request);
        forward.max_forwards = Some(70);
        forward.max_breadth = Some(60);
        forward.pop_routes = 1;
        forward.push_route = Some("<sip:b>".into());
        forward.record_routes = vec!["<sip:us;lr>".into()];
        forward.consumed = vec![(Name::ProxyAuthorization, "Digest x".into())];
        forward.needs_length = true;
        assert_eq!(
            text(&forward.to_bytes("v")),
            "MESSAGE sip:b SIP/2.0\nVia: v\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\nRecord-Route: <sip:us;lr>\r\nMax-Forwards: \
             70\r\nMax-Breadth: 60\r\nRoute: <sip:b>\r\nproxy-authorization: Digest y\nFrom: <sip:a>;tag=1\nContent-Length: \
             5\r\n\r\nhello"
        );
    }

    #[test]
    fn the_last_route_of_a_strict_router_is_taken() {
        for (routes, left) in [
            ("Route: <sip:a;lr>, <sip:b>\r\n", "Route: <sip:a;lr>\r\n"),
            ("Route: <sip:a;lr>\r\nRoute: <sip:b>\r\n", "Route: <sip:a;lr>\r\n"),
            ("Route: <sip:b>\r\n", ""),
        ] {
            let head = "BYE sip:us SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n";
            let request = message(&format!("{head}{routes}\r\n"));
            let mut forward = Forward::new(&request);
            forward.pop_last_route = true;
            assert_eq!(
                text(&forward.to_bytes("v")),
                format!("BYE sip:us SIP/2.0\r\nVia: v\r\nVia: SIP/2.0/UDP a\r\n{left}\r\n")
            );
        }
    }

    #[test]
    fn a_via_says_where_the_request_came_from() {
        let source = "192.0.2.9:5061".parse().unwrap();
        for (value, expected) in [
            ("SIP/2.0/UDP 192.0.2.9;branch=a", None),
            (
                "SIP/2.0/UDP b ; RPORT;branch=rport",
                Some("SIP/2.0/UDP b ; RPORT=5061;branch=rport;received=192.0.2.9"),
            ),
            (
                "SIP/2.0/UDP 192.0.2.8;branch=a",
                Some("SIP/2.0/UDP 192.0.2.8;branch=a;received=192.0.2.9"),
            ),
            (
                "SIP/2.0/UDP b;received=1.2.3.4",
                Some("SIP/2.0/UDP b;received=192.0.2.9"),
            ),
            (
                "SIP/2.0/UDP b;branch=a; ",
                Some("SIP/2.0/UDP b;branch=a;received=192.0.2.9"),
            ),
            (
                "SIP/2.0/UDP b;rport;",
                Some("SIP/2.0/UDP b;rport=5061;received=192.0.2.9"),
            ),
        ] {
            let top = TopVia::read(&unfold(value)).unwrap();
            assert_eq!(stamped(value, &top, source).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_redirection_loses_the_contacts_that_were_tried() {
        let head = "SIP/2.0 302 Moved\r\nVia: SIP/2.0/UDP a\r\n";
        let contacts = "Contact: \"A, b\" <sip:a>;q=1 , ,<sip:b>,\r\n <sip:c>\r\nX: 1\r\nm : <sip:d>\r\n";
        for (kept, left) in [
            (
                [true; 4],
                "Contact: \"A, b\" <sip:a>;q=1, <sip:b>, <sip:c>\r\nX: 1\r\nm : <sip:d>\r\n",
            ),
            (
                [true, false, true, false],
                "Contact: \"A, b\" <sip:a>;q=1, <sip:c>\r\nX: 1\r\n",
            ),
            ([false, false, false, true], "X: 1\r\nm : <sip:d>\r\n"),
            ([false; 4], "X: 1\r\n"),
        ] {
            let response = message(&format!("{head}{contacts}l: 2\r\n\r\nhi"));
            let got = response.with_contacts(&kept).unwrap();
            assert_eq!(text(got.bytes()), format!("{head}{left}l: 2\r\n\r\nhi"));
        }
    }

    #[test]
    fn a_response_loses_its_topmost_via_and_nothing_else() {
        let response = message(
            "SIP/2.0 200  Odd phrase\r\nX: 1\r\nv: SIP/2.0/UDP us,\r\n SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\nl: 0\r\n\r\n",
        );
        assert_eq!(
            text(&Backward::new(&response).to_bytes()),
            "SIP/2.0 200  Odd phrase\r\nX: 1\r\nv: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\nl: 0\r\n\r\n"
        );
        let response = message("SIP/2.0 407 x\r\nVia: SIP/2.0/UDP us\r\nVia: SIP/2.0/UDP b\r\n\r\n");
        let mut backward = Backward::new(&response);
        backward.extra = vec![(Name::ProxyAuthenticate, "Digest realm=\"b\"".into())];
        assert_eq!(
            text(&backward.to_bytes()),
            "SIP/2.0 407 x\r\nVia: SIP/2.0/UDP b\r\nProxy-Authenticate: Digest realm=\"b\"\r\n\r\n"
        );
    }

    fn line() -> impl Strategy<Value = String> {
        let fold = prop_oneof![Just(""), Just("\r\n "), Just("\r\n\t\t")];
        (
            "X-[A-Za-z0-9]{1,8}",
            "[ \t]{0,2}",
            "[ -~]{0,20}",
            fold,
            "[!-~]{0,12}",
            "[ ]{0,2}",
        )
            .prop_map(|(name, blank, a, fold, b, tail)| format!("{name}{blank}:{a}{fold}{b}{tail}\r\n"))
    }

    proptest! {
        #[test]
        fn what_is_not_ours_is_identical(
            before in proptest::collection::vec(line(), 0..6),
            after in proptest::collection::vec(line(), 0..6),
            body in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let own = "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: <sip:a>;tag=1\r\n";
            let head = format!("FROB sip:b SIP/2.0\r\n{}{own}{}\r\n", before.concat(), after.concat());
            let whole = [head.as_bytes(), &body].concat();
            let request = Message::parse(Bytes::from(whole)).unwrap();
            let mut forward = Forward::new(&request);
            forward.uri = Some("sip:c".into());
            forward.max_forwards = Some(69);
            forward.source = Some("10.0.0.1:5060".parse().unwrap());
            let sent = forward.to_bytes("SIP/2.0/UDP us;branch=z9hG4bKus");
            let expected = head
                .replacen("sip:b", "sip:c", 1)
                .replacen(own, &format!("Via: SIP/2.0/UDP us;branch=z9hG4bKus\r\n{}", own.replace("70", "69")), 1);
            prop_assert_eq!(&sent[..], &[expected.as_bytes(), &body].concat()[..]);
            // And back: the response that repeats these fields loses our Via alone.
            let answer = [b"SIP/2.0 200 OK\r\n", &sent[sent.iter().position(|b| *b == b'\n').unwrap() + 1..]].concat();
            let response = Message::parse(Bytes::from(answer)).unwrap();
            let back = Backward::new(&response).to_bytes();
            let expected = expected
                .replacen("FROB sip:c SIP/2.0", "SIP/2.0 200 OK", 1)
                .replacen("Via: SIP/2.0/UDP us;branch=z9hG4bKus\r\n", "", 1);
            prop_assert_eq!(&back[..], &[expected.as_bytes(), &body].concat()[..]);
        }

        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let whole = [b"A sip:b SIP/2.0\r\nVia:x\r\nRoute:", &octets[..]].concat();
            if let Ok(request) = Message::parse(Bytes::from(whole)) {
                let mut forward = Forward::new(&request);
                forward.pop_routes = 1;
                forward.pop_last_route = true;
                forward.source = Some("10.0.0.1:5060".parse().unwrap());
                let _ = (forward.to_bytes("v"), Backward::new(&request).to_bytes());
            }
        }
    }
}

//! What the octets of a message tell before it is parsed: of which kind it is, where the marks are that may be ours, and what it looks
//! like. Nothing is believed that is read here; what is overlooked (a folded line, an odd spelling) makes a friend a stranger, and no
//! stranger a friend.

use memchr::{memchr, memchr_iter, memmem};

/// Lines that are looked at: more than real messages have.
const LINES: usize = 100;

/// The kinds of messages that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Response,
    Invite,
    Register,
    Ack,
    Cancel,
    Other,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look<'m> {
    pub(super) kind: Kind,
    /// Of the topmost Via.
    pub(super) branch: Option<&'m [u8]>,
    /// The tag of To.
    pub(super) to_tag: Option<&'m [u8]>,
    /// The user part of Request-URI or a Route that may be a token of our Record-Route.
    pub(super) token: Option<&'m [u8]>,
    /// Of the credentials.
    pub(super) nonce: Option<&'m [u8]>,
    /// Of the credentials.
    pub(super) username: Option<&'m [u8]>,
    /// User-Agent.
    pub(super) agent: Option<&'m [u8]>,
    /// The order and spelling of its fields, its program and the host that it names in Via.
    pub(super) shape: u64,
    /// It has the five fields without which nobody could be answered (RFC 3261 8.2.6.2).
    pub(super) is_whole: bool,
}

/// Fields that are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Route,
    Credentials,
    Agent,
    Other,
}

/// Looks at a message as [`crate::sip::frame`] gives it.
pub(super) fn look(message: &[u8]) -> Look<'_> {
    let end = memchr(b'\n', message).unwrap_or(message.len());
    let first = &message[..end];
    let mut look = Look {
        kind: kind(first),
        branch: None,
        to_tag: None,
        token: token(first),
        nonce: None,
        username: None,
        agent: None,
        shape: 0,
        is_whole: false,
    };
    let mut rest = message.get(end + 1..).unwrap_or_default();
    let mut found = 0u8;
    for _ in 0..LINES {
        // All that a response shows is whose it is.
        if look.kind == Kind::Response && look.branch.is_some() {
            break;
        }
        let Some(line) = next_line(&mut rest) else { break };
        let Some(colon) = line.iter().take(32).position(|octet| *octet == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii_end();
        let field = field(name);
        found |= seen(field);
        if matches!(field, Field::Credentials | Field::Route) {
            // The same message again with credentials, or by another way, looks the same.
            look.read(field, line, colon);
            continue;
        }
        look.shape = fold(look.shape, name);
        if field != Field::Other {
            look.read(field, line, colon);
        }
    }
    look.is_whole = found == WHOLE;
    look
}

const WHOLE: u8 = 31;

fn seen(field: Field) -> u8 {
    match field {
        Field::Via => 1,
        Field::From => 2,
        Field::To => 4,
        Field::CallId => 8,
        Field::CSeq => 16,
        Field::Route | Field::Credentials | Field::Agent | Field::Other => 0,
    }
}

impl<'m> Look<'m> {
    fn read(&mut self, field: Field, line: &'m [u8], colon: usize) {
        let value = &line[colon + 1..];
        match field {
            Field::Via if self.branch.is_none() => {
                self.branch = Some(param(value, b"branch=").unwrap_or_default());
                let host = &value[..memchr(b';', value).unwrap_or(value.len())];
                self.shape = fold(self.shape, host.trim_ascii());
            }
            Field::To => {
                let behind = memchr(b'>', value).map_or(value, |at| &value[at..]);
                self.to_tag = param(behind, b"tag=");
            }
            Field::Route => self.token = self.token.or_else(|| token(value)),
            Field::Credentials if self.nonce.is_none() => {
                self.nonce = quoted(value, b"nonce=\"");
                self.username = quoted(value, b"username=\"");
            }
            Field::Agent => {
                let agent = value.trim_ascii();
                self.shape = fold(self.shape, agent);
                self.agent = Some(agent);
            }
            Field::Via | Field::Credentials | Field::From | Field::CallId | Field::CSeq | Field::Other => {}
        }
    }
}

/// The next line of the header with its continuations (RFC 3261 7.3.1); none at its end.
fn next_line<'m>(rest: &mut &'m [u8]) -> Option<&'m [u8]> {
    let all = *rest;
    let mut end = 0;
    loop {
        end += memchr(b'\n', &all[end..]).unwrap_or(all.len() - end);
        *rest = all.get(end + 1..).unwrap_or_default();
        let line = all[..end].strip_suffix(b"\r").unwrap_or(&all[..end]);
        if line.is_empty() {
            return None;
        }
        if !matches!(rest.first(), Some(b' ' | b'\t')) {
            return Some(line);
        }
        end += 1;
    }
}

fn kind(first: &[u8]) -> Kind {
    let method = &first[..memchr(b' ', first).unwrap_or(first.len())];
    match method {
        b"INVITE" => Kind::Invite,
        b"REGISTER" => Kind::Register,
        b"ACK" => Kind::Ack,
        b"CANCEL" => Kind::Cancel,
        _ if method.len() >= 4 && method[..4].eq_ignore_ascii_case(b"SIP/") => Kind::Response,
        _other => Kind::Other,
    }
}

fn field(name: &[u8]) -> Field {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match (name.len(), name.first().map_or(0, |first| first | 0x20)) {
        (1, b'v') | (3, b'v') if name.len() == 1 || is(b"via") => Field::Via,
        (1, b'f') | (4, b'f') if name.len() == 1 || is(b"from") => Field::From,
        (1, b't') | (2, b't') if name.len() == 1 || is(b"to") => Field::To,
        (1, b'i') | (7, b'c') if name.len() == 1 || is(b"call-id") => Field::CallId,
        (4, b'c') if is(b"cseq") => Field::CSeq,
        (5, b'r') if is(b"route") => Field::Route,
        (13, b'a') if is(b"authorization") => Field::Credentials,
        (19, b'p') if is(b"proxy-authorization") => Field::Credentials,
        (10, b'u') if is(b"user-agent") => Field::Agent,
        _other => Field::Other,
    }
}

/// The value of a parameter that begins behind a semicolon.
fn param<'m>(value: &'m [u8], name: &[u8]) -> Option<&'m [u8]> {
    let value = memchr_iter(b';', value).find_map(|at| value[at + 1..].strip_prefix(name))?;
    let end = value
        .iter()
        .position(|octet| matches!(octet, b';' | b',' | b' ' | b'\t' | b'>' | b'\r' | b'\n'));
    Some(&value[..end.unwrap_or(value.len())])
}

/// The quoted value of a parameter of credentials; `cnonce` is another one than `nonce`.
fn quoted<'m>(value: &'m [u8], name: &[u8]) -> Option<&'m [u8]> {
    let mut from = 0;
    loop {
        let at = from + memmem::find(&value[from..], name)?;
        from = at + name.len();
        if at
            .checked_sub(1)
            .is_some_and(|before| !value[before].is_ascii_alphanumeric())
        {
            let value = &value[from..];
            return Some(&value[..memchr(b'"', value)?]);
        }
    }
}

/// What may be the token of our Record-Route.
fn token(value: &[u8]) -> Option<&[u8]> {
    let at = memchr_iter(b':', value).find(|at| value[at + 1..].starts_with(b"tw-"))?;
    let value = &value[at + 1..];
    Some(&value[..memchr(b'@', value)?])
}

/// Goes on with what something looks like, eight octets at a time.
fn fold(shape: u64, text: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut shape = (shape ^ text.len() as u64).wrapping_mul(ODD);
    let mut mix = |word: u64| {
        let product = u128::from(shape ^ word) * u128::from(ODD);
        shape = product as u64 ^ (product >> 64) as u64;
    };
    let (words, rest) = text.as_chunks::<8>();
    words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        mix(rest.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet)));
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bKabc\r\n\
        Max-Forwards: 70\r\nTo: \"x;tag=no\" <sip:bob@example.com;tag=no>\r\nf: <sip:alice@example.com>;tag=mine\r\nCall-ID: 1\r\n\
        CSEQ : 1 INVITE\r\nUser-Agent: Phone 1.0\r\nContent-Length: 9\r\n\r\nRoute: ab";

    fn with(line: &str) -> String {
        INVITE.replace("CSEQ", &format!("{line}\r\nCSEQ"))
    }

    fn text(part: Option<&[u8]>) -> &str {
        part.map_or("-", |part| std::str::from_utf8(part).unwrap())
    }

    #[test]
    fn kinds() {
        let kind = |line: &str| look(line.as_bytes()).kind;
        assert_eq!(kind("INVITE sip:a SIP/2.0\r\n"), Kind::Invite);
        assert_eq!(kind("REGISTER sip:a SIP/2.0\r\n"), Kind::Register);
        assert_eq!(kind("ACK sip:a SIP/2.0\r\n"), Kind::Ack);
        assert_eq!(kind("CANCEL sip:a SIP/2.0\r\n"), Kind::Cancel);
        assert_eq!(kind("sip/2.0 200 OK\r\n"), Kind::Response);
        for other in ["invite sip:a SIP/2.0", "BYE sip:a SIP/2.0\r\n", "", " ", "\n", "SIP"] {
            assert_eq!(kind(other), Kind::Other, "{other:?}");
        }
    }

    #[test]
    fn marks_are_found_where_they_stand() {
        let seen = look(INVITE.as_bytes());
        assert!(seen.is_whole && seen.kind == Kind::Invite);
        assert_eq!(
            (text(seen.branch), text(seen.to_tag), text(seen.agent)),
            ("z9hG4bKabc", "-", "Phone 1.0")
        );
        assert_eq!(
            (text(seen.nonce), text(seen.username), text(seen.token)),
            ("-", "-", "-")
        );
        let inside = INVITE.replace("tag=no>", "tag=no>;x=y;tag=ours");
        assert_eq!(text(look(inside.as_bytes()).to_tag), "ours");
        let bare = INVITE.replace(
            "To: \"x;tag=no\" <sip:bob@example.com;tag=no>",
            "t: sip:bob@example.com;tag=ours ",
        );
        assert_eq!(text(look(bare.as_bytes()).to_tag), "ours");
        let routed = with("Route: <sip:other.example;lr>\r\nRoute: <sip:tw-abc@192.0.2.1;lr>");
        assert_eq!(text(look(routed.as_bytes()).token), "tw-abc");
        let strict = INVITE.replace("sip:bob@example.com SIP", "sip:tw-def@192.0.2.1;lr SIP");
        assert_eq!(text(look(strict.as_bytes()).token), "tw-def");
        let credentials = "Authorization: Digest username=\"alice\", cnonce=\"no\",\r\n\tnonce=\"yes\", uri=\"sip:a\"";
        let seen = with(credentials);
        let seen = look(seen.as_bytes());
        assert_eq!((text(seen.nonce), text(seen.username)), ("yes", "alice"));
    }

    #[test]
    fn what_lacks_one_of_the_five_is_not_whole() {
        for lacks in ["Via", "To", "f", "Call-ID", "CSEQ "] {
            let message = INVITE.replace(&format!("\n{lacks}:"), "\nX:");
            assert!(!look(message.as_bytes()).is_whole, "{lacks}");
        }
        assert!(!look(b"INVITE sip:a SIP/2.0\r\n\r\nVia: a\r\n").is_whole);
        let long = format!("INVITE sip:a SIP/2.0\r\n{}", "x: y\r\n".repeat(10_000));
        assert!(!look(long.as_bytes()).is_whole);
    }

    #[test]
    fn the_same_request_again_looks_the_same_and_one_of_another_program_does_not() {
        let shape = |message: &str| look(message.as_bytes()).shape;
        let again = with("Authorization: Digest nonce=\"a\"")
            .replace("abc", "xyz")
            .replace("bob", "carol")
            .replace("1 INV", "2 INV");
        assert_eq!(shape(INVITE), shape(&again));
        for other in [
            INVITE.replace("Phone 1.0", "Phone 1.1"),
            INVITE.replace("192.0.2.9:5060", "192.0.2.9:5061"),
            INVITE.replace("f:", "From:"),
            INVITE.replace("User-Agent: Phone 1.0\r\n", ""),
            with("Expires: 60"),
        ] {
            assert_ne!(shape(INVITE), shape(&other), "{other}");
        }
    }

    #[test]
    fn no_octets_are_too_odd_to_be_looked_at() {
        let message = with("Authorization: Digest nonce=\"a\", username=\"b\"");
        for cut in 0..message.len() {
            look(&message.as_bytes()[..cut]);
            look(&message.as_bytes()[cut..]);
        }
        look(b"\r\n\r\n");
        look(b"A\n :\n\t\n:\nVia\nVia:\nTo:tag=\nTo:;tag=\nRoute::tw-\n");
    }
}

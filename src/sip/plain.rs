//! The usual form of what every message has: From, To, Contact, Via and CSeq as nearly all of them are written. Found in one pass over
//! the octets, and only found: whatever is written otherwise, well-formed or not, is read by `scan`.

use super::grammar::{HOST, NAME, PLAIN, QUOTABLE, TOKEN, USER, is_class};
use std::ops::Range;

/// Parameters of one value in the usual form: more are read by `scan`, which counts them.
const PARAMS: usize = 16;

/// A place in octets.
struct Cursor<'o> {
    octets: &'o [u8],
    at: usize,
}

impl Cursor<'_> {
    fn next(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn eat(&mut self, octet: u8) -> Option<()> {
        let found = self.next() == Some(octet);
        self.at += usize::from(found);
        found.then_some(())
    }

    /// What is of a class from here on; it may be nothing.
    fn class(&mut self, class: u8) -> Range<usize> {
        let from = self.at;
        while self.next().is_some_and(|octet| is_class(octet, class)) {
            self.at += 1;
        }
        from..self.at
    }

    /// The same, and something.
    fn some(&mut self, class: u8) -> Option<Range<usize>> {
        Some(self.class(class)).filter(|found| !found.is_empty())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let found = self.octets.get(self.at..)?.starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found.then_some(())
    }

    /// A number of at most nine digits.
    fn number(&mut self) -> Option<u32> {
        let (from, mut number) = (self.at, 0);
        while let Some(digit @ b'0'..=b'9') = self.next() {
            if self.at - from == 9 {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
            self.at += 1;
        }
        (self.at > from).then_some(number)
    }

    /// A name or an IPv4 address, and a port.
    fn host_port(&mut self) -> Option<(Range<usize>, Option<u16>)> {
        let host = self.some(HOST)?;
        let port = match self.eat(b':') {
            Some(()) => Some(u16::try_from(self.number()?).ok()?),
            None => None,
        };
        Some((host, port))
    }

    /// `;name=value;flag`, neither escaped nor quoted, up to the end or a comma.
    fn params(&mut self, mut each: impl FnMut(Range<usize>, Option<Range<usize>>)) -> Option<()> {
        for _ in 0..PARAMS {
            if matches!(self.next(), None | Some(b',')) {
                return Some(());
            }
            self.eat(b';')?;
            let name = self.some(NAME)?;
            let value = self.eat(b'=').map(|()| self.class(PLAIN));
            each(name, value);
        }
        None
    }
}

/// `"Display" <sip:user@host:port>;tag=x`: where the tag is, if there is one.
pub(super) fn addr(octets: &[u8]) -> Option<Option<Range<usize>>> {
    let mut cursor = Cursor { octets, at: 0 };
    if cursor.eat(b'"').is_some() {
        cursor.class(QUOTABLE);
        cursor.eat(b'"')?;
        while cursor.eat(b' ').is_some() {}
    } else {
        while cursor.some(HOST).is_some() || cursor.eat(b' ').is_some() {}
    }
    cursor.eat(b'<')?;
    cursor.word(b"sip")?;
    // RFC 3261 19.1.1: `sips:`.
    let _ = cursor.eat(b's');
    cursor.eat(b':')?;
    let from = cursor.at;
    let user = cursor.class(USER);
    if user.is_empty() || cursor.eat(b'@').is_none() {
        cursor.at = from;
    }
    cursor.host_port()?;
    cursor.eat(b'>')?;
    let (mut tag, mut is_odd) = (None, false);
    cursor.params(|name, value| {
        if tag.is_none() && octets[name].eq_ignore_ascii_case(b"tag") {
            is_odd |= value.is_none();
            tag = value;
        }
    })?;
    (cursor.at == octets.len() && !is_odd).then_some(tag)
}

/// The first value of Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Top {
    pub(super) host: Range<usize>,
    pub(super) port: Option<u16>,
    pub(super) branch: Option<Range<usize>>,
    /// `rport` is there.
    pub(super) asks_port: bool,
    /// It has a value, or `received` is there: its sender cannot know what that is.
    pub(super) is_forged: bool,
    pub(super) has_maddr: bool,
}

/// `SIP/2.0/UDP host:port;branch=x;rport`.
pub(super) fn via(octets: &[u8]) -> Option<Top> {
    let mut cursor = Cursor { octets, at: 0 };
    cursor.word(b"SIP/2.0/")?;
    cursor.some(TOKEN)?;
    cursor.eat(b' ')?;
    let (host, port) = cursor.host_port()?;
    let mut top = Top {
        host,
        port,
        branch: None,
        asks_port: false,
        is_forged: false,
        has_maddr: false,
    };
    let (mut has_branch, mut is_odd) = (false, false);
    cursor.params(|name, value| {
        let name = &octets[name];
        if name.eq_ignore_ascii_case(b"branch") && !has_branch {
            has_branch = true;
            is_odd |= value.is_none();
            top.branch = value;
        } else if name.eq_ignore_ascii_case(b"rport") {
            top.asks_port = true;
            top.is_forged |= value.is_some();
        } else if name.eq_ignore_ascii_case(b"received") {
            top.is_forged = true;
        } else if name.eq_ignore_ascii_case(b"maddr") {
            top.has_maddr = true;
        }
    })?;
    (!is_odd).then_some(top)
}

/// `1 INVITE`: the number, and where the method is.
pub(super) fn cseq(octets: &[u8]) -> Option<(u32, Range<usize>)> {
    let mut cursor = Cursor { octets, at: 0 };
    let number = cursor.number()?;
    cursor.eat(b' ')?;
    let method = cursor.some(TOKEN)?;
    (cursor.at == octets.len()).then_some((number, method))
}

#[cfg(test)]
mod tests {
    use super::super::scan::{self, AddrText, ViaText};
    use super::*;
    use proptest::prelude::*;

    /// What is found is what `scan` reads.
    fn agrees(text: &str) {
        if let Some(tag) = addr(text.as_bytes()) {
            let read = AddrText::parse(text).unwrap();
            assert!(read.uri().is_ok(), "{text}");
            assert_eq!(tag.map(|tag| &text[tag]), read.tag().as_deref(), "{text}");
        }
        if let Some(top) = via(text.as_bytes()) {
            let first = &text[..super::super::first_comma(text).unwrap_or(text.len())];
            let read = ViaText::parse(first).unwrap();
            assert_eq!(
                top.branch.map(|branch| &text[branch]),
                read.branch().as_deref(),
                "{text}"
            );
            assert_eq!(
                (scan::host(&text[top.host]), top.port),
                (Some(read.host), read.port),
                "{text}"
            );
            let rport = read.params.get("rport");
            assert_eq!(top.asks_port, rport.is_some(), "{text}");
            let is_forged = rport.flatten().is_some() || read.params.has("received");
            assert!(top.is_forged || !is_forged, "{text}");
            assert_eq!(top.has_maddr, read.params.has("maddr"), "{text}");
        }
        if let Some((number, method)) = cseq(text.as_bytes()) {
            assert_eq!(scan::cseq(text), Ok((number, &text[method])), "{text}");
        }
    }

    #[test]
    fn the_usual_form_is_found() {
        let tag = |text: &str| addr(text.as_bytes()).map(|tag| tag.map(|tag| text[tag].to_owned()));
        assert_eq!(tag("<sip:alice@a.example>;tag=1"), Some(Some("1".into())));
        assert_eq!(
            tag("\"A. B\" <sips:+1415@10.0.0.1:5061>;x;Tag=q.w;tag=2"),
            Some(Some("q.w".into()))
        );
        assert_eq!(tag("Bob B <sip:example.com>"), Some(None));
        for odd in [
            "sip:a@b;tag=1",
            "<sip:a@b>;tag",
            "<sip:a@b> ;tag=1",
            "<sip:a@b;lr>",
            "<tel:1>",
            "<sip:a@b>;tag=\"1\"",
            "<sip:@b>",
        ] {
            assert_eq!(tag(odd), None, "{odd}");
        }
        let top = via(b"SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bKx, SIP/2.0/TCP b").unwrap();
        assert_eq!(
            (top.port, top.asks_port, top.is_forged, top.branch),
            (Some(5070), true, false, Some(39..47))
        );
        assert!(via(b"SIP/2.0/UDP a;received=1.2.3.4;maddr=x").is_some_and(|top| top.is_forged && top.has_maddr));
        for odd in [
            &b"SIP/2.0/UDP [::1]"[..],
            b"SIP / 2.0 / UDP a",
            b"SIP/2.0/UDP a ;rport",
            b"SIP/2.0/UDP a;branch",
        ] {
            assert_eq!(via(odd), None);
        }
        assert_eq!(cseq(b"999999999 BYE"), Some((999_999_999, 10..13)));
        assert_eq!(cseq(b"99999999999 BYE"), None);
        assert_eq!(via(b"SIP/2.0/UDP a:4294967296999"), None);
        assert_eq!(
            (cseq(b"2147483648 BYE"), cseq(b"1  BYE"), cseq(b"1 BYE ")),
            (None, None, None)
        );
    }

    fn pieces() -> impl Strategy<Value = String> {
        let list = vec![
            "\"A b\" ",
            "A b ",
            "<",
            ">",
            "sip:",
            "sips:",
            "tel:",
            "a@",
            "+1@",
            "b.example",
            "10.0.0.1",
            ":5060",
            ":70000",
            ":1",
            ";",
            ";tag=1",
            ";tag",
            ";x=",
            ";TAG=y",
            ";%74ag=z",
            ";lr",
            "=",
            " ",
            ",",
            "SIP/2.0/UDP ",
            "SIP/2.0/TLS ",
            ";branch=z9hG4bK1",
            ";branch",
            ";rport",
            ";rport=",
            ";received=1.1.1.1",
            ";maddr=2.2.2.2",
            "1 ",
            "INVITE",
            "00",
            "4294967295",
            ":999999999999",
            "\\",
            "\u{fc}",
        ];
        prop::collection::vec(prop::sample::select(list), 0..9).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8192))]

        #[test]
        fn what_is_found_is_what_scan_reads(text in pieces()) {
            agrees(&text);
        }
    }
}

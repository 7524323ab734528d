//! What every message must satisfy before a machine sees it (RFC 3261 8.1.1, 8.2, 16.3, 18.3; RFC 4475 for the doubtful).

use super::facts::{Facts, Tag};
use super::header::{Method, Name};
use super::lex::{Message, ParseError, Start};
use super::plain;
use super::scan::AddrText;

impl Message {
    /// What RFC 3261 8.1.1 and 16.3 demand of every message: To, From, CSeq, Call-ID, Via (and Max-Forwards readable), no
    /// single-valued field twice, CSeq method as the request's, Content-Length within the datagram.
    ///
    /// The error's status answers a request; a response that fails is dropped (RFC 3261 8.1.3.1, 18.1.2), and so is an ACK.
    /// Not demanded, since RFC 2543 elements lack them (RFC 4475 3.4.1): From tag, branch, Max-Forwards, Content-Length.
    pub fn check(&self) -> Result<(), ParseError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.check_repeats()?;
        if self.is_request() {
            self.check_request_uri()?;
            self.check_contacts()?;
        }
        let facts = self.facts();
        // What is odd is read again, to be found good after all or to say what is wrong.
        if facts.from == Tag::Odd {
            self.from()?;
        }
        if facts.to == Tag::Odd {
            self.to()?;
        }
        if self.call_id().is_empty() {
            return Err(ParseError::bad("Call-ID is missing, empty or folded"));
        }
        self.check_via(facts)?;
        self.check_cseq()?;
        self.number(Name::MaxForwards).transpose()?;
        self.check_length()
    }

    fn check_repeats(&self) -> Result<(), ParseError> {
        let mut seen = 0u64;
        for name in self
            .lines()
            .iter()
            .filter_map(|line| line.known)
            .filter(|name| name.is_single())
        {
            let bit = 1 << name as u32;
            if seen & bit != 0 {
                return Err(ParseError::bad("a header field that may occur once occurs twice"));
            }
            seen |= bit;
        }
        Ok(())
    }

    /// RFC 3261 19.1.1, table 1: a request URI has no headers.
    fn check_request_uri(&self) -> Result<(), ParseError> {
        match self.request_uri_text()?.headers {
            Some(_) => Err(ParseError::bad("the request URI has headers")),
            None => Ok(()),
        }
    }

    fn check_contacts(&self) -> Result<(), ParseError> {
        let mut lines = self.lines_of(Name::Contact);
        if lines.all(|line| !line.is_folded && plain::addr(self.slice(line.value)).is_some()) {
            return Ok(());
        }
        self.values(Name::Contact)
            .filter(|value| value != "*")
            .try_for_each(|value| AddrText::parse(&value).and_then(AddrText::uri).map(drop))
    }

    /// Only the topmost is ours to act on; the others are echoed as they came. A branch that is nothing but the magic
    /// cookie identifies no transaction (RFC 4475 3.2.1).
    fn check_via(&self, facts: Facts) -> Result<(), ParseError> {
        if facts.via.is_none() {
            self.top_via()?;
        }
        match self.top_branch().as_deref() {
            Some("z9hG4bK") => Err(ParseError::bad(
                "the branch of the topmost Via is only the magic cookie",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// RFC 3261 8.1.1.5. With a method that nobody knows, that is the graver fault (RFC 4475 3.1.2.18).
    fn check_cseq(&self) -> Result<(), ParseError> {
        if let (Some((_, method)), Start::Request { method: own, .. }) = (self.facts().cseq, self.start)
            && self.slice(method) == self.slice(own)
        {
            return Ok(());
        }
        let cseq = self.cseq()?;
        match self.method() {
            method if !self.is_request() || method == cseq.method => Ok(()),
            Method::Other(_) => Err(ParseError {
                status: 501,
                reason: "the method is unknown, and CSeq has another",
            }),
            _known => Err(ParseError::bad("the method in CSeq is not that of the request")),
        }
    }

    /// RFC 3261 18.3: a datagram that is shorter than it says was cut off.
    fn check_length(&self) -> Result<(), ParseError> {
        match self.number(Name::ContentLength).transpose()? {
            Some(length) if usize::try_from(length).is_ok_and(|length| length <= self.rest_octets().len()) => Ok(()),
            Some(_) => Err(ParseError::bad("Content-Length is larger than the body")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Draft;
    use crate::sip::uri::Uri;

    /// A request without fault, to be spoiled.
    fn good() -> Draft {
        let mut draft = Draft::request(Method::Invite, Uri::parse("sip:bob@example.com").unwrap());
        draft.push(Name::Via, "SIP/2.0/UDP a;branch=z9hG4bKx");
        draft.push(Name::From, "<sip:alice@a>;tag=1");
        draft.push(Name::To, "<sip:bob@example.com>");
        draft.push(Name::CallId, "c@a");
        draft.push(Name::CSeq, "1 INVITE");
        draft.push(Name::MaxForwards, 70);
        draft.push(Name::Contact, "<sip:alice@a>");
        draft
    }

    fn status(draft: &Draft) -> Option<u16> {
        draft.to_message().unwrap().check().err().map(|error| error.status)
    }

    #[test]
    fn what_is_missing_is_400_and_what_rfc_2543_left_out_is_not() {
        assert_eq!(status(&good()), None);
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            let mut draft = good();
            draft.remove(name);
            assert_eq!(status(&draft), Some(400), "{name:?}");
        }
        let mut draft = good();
        draft.remove(Name::MaxForwards);
        draft.remove(Name::Contact);
        draft.set(Name::From, "<sip:alice@a>");
        draft.set(Name::Via, "SIP/2.0/UDP a");
        assert_eq!(status(&draft), None);
    }

    #[test]
    fn values_that_cannot_be_read_are_400() {
        for (name, value) in [
            (Name::Via, "SIP/2.0/UDP a;branch=z9hG4bK"),
            (Name::Via, "SIP/2.0/UDP"),
            (Name::From, "\"x <sip:a>"),
            (Name::To, "< sip:a >"),
            (Name::CallId, " "),
            (Name::CSeq, "1 BYE"),
            (Name::CSeq, "2147483648 INVITE"),
            (Name::MaxForwards, "many"),
            (Name::Contact, "sip:a?b=c"),
            (Name::Contact, "<sip:a>, <b>"),
        ] {
            let mut draft = good();
            draft.set(name, value);
            assert_eq!(status(&draft), Some(400), "{name:?}: {value}");
        }
    }

    #[test]
    fn single_fields_twice_are_400_and_lists_are_not() {
        for name in [
            Name::From,
            Name::To,
            Name::CallId,
            Name::CSeq,
            Name::MaxForwards,
            Name::Expires,
            Name::Event,
        ] {
            let mut draft = good();
            let value = draft.get(name).unwrap_or("1").to_owned();
            draft.set(name, &value);
            draft.push(name, &value);
            assert_eq!(status(&draft), Some(400), "{name:?}");
        }
        let mut draft = good();
        draft.push(Name::Via, "what nobody reads");
        draft.push(Name::Contact, "*");
        assert_eq!(status(&draft), None);
    }

    #[test]
    fn request_uris_and_methods() {
        for (uri, expected) in [
            ("sip:bob@example.com?Subject=x", Some(400)),
            ("http://example.com", Some(416)),
            ("tel:+14155550101", None),
        ] {
            let draft = Draft {
                start: Draft::request(Method::Invite, Uri::parse(uri).unwrap()).start,
                ..good()
            };
            assert_eq!(status(&draft), expected, "{uri}");
        }
        let uri = Uri::parse("sip:a").unwrap();
        let draft = Draft {
            start: Draft::request(Method::from("NEW"), uri).start,
            ..good()
        };
        assert_eq!(status(&draft), Some(501));
    }

    /// RFC 3261 18.3: the datagram was cut off. `to_bytes` writes its own Content-Length, so the text is spoiled.
    #[test]
    fn content_length_beyond_the_datagram_is_400() {
        let text = |length: &str| {
            let text = String::from_utf8(good().to_bytes().to_vec()).unwrap();
            let text = text.replace("Content-Length: 0", &format!("Content-Length: {length}"));
            Message::parse(text.into())
                .unwrap()
                .check()
                .err()
                .map(|error| error.status)
        };
        assert_eq!(text("0"), None);
        for length in ["1", "-1", "x", "99999999999999999999", "0\r\nl: 0"] {
            assert_eq!(text(length), Some(400), "{length}");
        }
    }

    #[test]
    fn responses_are_held_to_the_same_without_uri_and_contact() {
        let request = good().to_message().unwrap();
        let mut draft = Draft::response(&request, 200, Some("t"));
        draft.push(Name::Contact, "nonsense");
        assert_eq!(status(&draft), None);
        draft.set(Name::CSeq, "x");
        assert_eq!(status(&draft), Some(400));
    }
}

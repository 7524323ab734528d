//! What every message must satisfy before a machine sees it (RFC 3261 8.1.1, 8.2, 16.3, 18.3; RFC 4475 for the doubtful).

use super::header::{Method, Name, NameAddr};
use super::lex::{Message, ParseError};

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
        self.from()?;
        self.to()?;
        if self.call_id().is_empty() {
            return Err(ParseError::bad("Call-ID is missing, empty or folded"));
        }
        self.check_via()?;
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
        match self.request_uri()?.headers {
            Some(_) => Err(ParseError::bad("the request URI has headers")),
            None => Ok(()),
        }
    }

    fn check_contacts(&self) -> Result<(), ParseError> {
        self.all(Name::Contact)
            .iter()
            .filter(|value| *value != "*")
            .try_for_each(|value| NameAddr::parse(value).map(drop))
    }

    /// Only the topmost is ours to act on; the others are echoed as they came. A branch that is nothing but the magic
    /// cookie identifies no transaction (RFC 4475 3.2.1).
    fn check_via(&self) -> Result<(), ParseError> {
        match self.top_via()?.branch() {
            Some("z9hG4bK") => Err(ParseError::bad(
                "the branch of the topmost Via is only the magic cookie",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// RFC 3261 8.1.1.5. With a method that nobody knows, that is the graver fault (RFC 4475 3.1.2.18).
    fn check_cseq(&self) -> Result<(), ParseError> {
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
            Some(length) if usize::try_from(length).is_ok_and(|length| length <= self.rest().len()) => Ok(()),
            Some(_) => Err(ParseError::bad("Content-Length is larger than the body")),
            None => Ok(()),
        }
    }
}

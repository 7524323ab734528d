//! A second opinion on SIP messages, for the demo: rsip reads each one, typed, and what it reads is held against our own
//! reading and against the messages before it.

use super::Message;
use bytes::Bytes;
use rsip::SipMessage;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HeadersExt;
use std::collections::BTreeMap;
use std::fmt;

/// Call-IDs that are followed at once: a phone of the demo has one for each call and one for its registration.
const CONVERSATIONS: usize = 64;
/// Requests of one Call-ID that are remembered to find the one that a response answers.
const REQUESTS: usize = 64;

/// What a message is, for a ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A method.
    Request(String),
    /// A status.
    Response(u16),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Request(method) => f.write_str(method),
            Step::Response(status) => write!(f, "{status}"),
        }
    }
}

/// What rsip reads in a message, and we too.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    step: Step,
    call_id: String,
    cseq: (u32, String),
    from_tag: Option<String>,
    to_tag: Option<String>,
}

/// All messages with one Call-ID.
#[derive(Debug, Default)]
struct Conversation {
    /// Who sent the first request, and the tag in its From.
    opener: (bool, Option<String>),
    /// The tag of the other side, once a 2xx to INVITE has made a dialog (RFC 3261 12.1).
    answerer: Option<String>,
    /// Who asked, number and method.
    requests: Vec<(bool, u32, String)>,
}

/// Follows the messages that one user agent sends and receives.
#[derive(Debug, Default)]
pub struct Witness {
    conversations: BTreeMap<String, Conversation>,
}

impl Witness {
    /// One message, sent or received by the user agent.
    ///
    /// # Errors
    /// A sentence: rsip cannot read it, reads it otherwise than we do, or it does not fit to those before it.
    pub fn message(&mut self, sent: bool, octets: &Bytes) -> Result<Step, String> {
        let theirs = read_by_rsip(octets).map_err(|why| format!("rsip cannot read a message: {why}"))?;
        let ours = read_by_us(octets)?;
        if ours != theirs {
            return Err(format!(
                "a message reads {ours:?} by our parser and {theirs:?} by that of rsip"
            ));
        }
        let Reading {
            step,
            call_id,
            cseq,
            from_tag,
            to_tag,
        } = theirs;
        if !self.conversations.contains_key(&call_id) && self.conversations.len() >= CONVERSATIONS {
            return Err(format!(
                "more than {CONVERSATIONS} Call-IDs: the demo has not so many calls"
            ));
        }
        let conversation = self.conversations.entry(call_id).or_default();
        conversation
            .follow(sent, &step, cseq, from_tag, to_tag)
            .map_err(|why| format!("{step} does not fit: {why}"))?;
        Ok(step)
    }
}

impl Conversation {
    fn follow(
        &mut self,
        sent: bool,
        step: &Step,
        cseq: (u32, String),
        from_tag: Option<String>,
        to_tag: Option<String>,
    ) -> Result<(), String> {
        let (number, method) = cseq;
        // Whose request it is, or is answered by it.
        let asker = match step {
            Step::Request(_) => sent,
            Step::Response(_) => !sent,
        };
        let is_first = self.requests.is_empty();
        match step {
            Step::Request(name) if *name != method => return Err(format!("its CSeq names {method}")),
            Step::Request(_) => {
                let highest = self.requests.iter().filter(|r| r.0 == asker).map(|r| r.1).max();
                if highest.is_some_and(|highest| number < highest) {
                    return Err(format!("its CSeq goes back to {number} (RFC 3261 12.2.1.1)"));
                }
                if is_first {
                    self.opener = (sent, from_tag.clone());
                }
                if self.requests.len() < REQUESTS {
                    self.requests.push((asker, number, method.clone()));
                }
            }
            Step::Response(_) => {
                let is_asked = |r: &(bool, u32, String)| (r.0, r.1, &r.2) == (asker, number, &method);
                if !self.requests.iter().any(is_asked) {
                    return Err(format!("nobody asked {number} {method}"));
                }
            }
        }
        let (opener, answerer) = if asker == self.opener.0 {
            (from_tag, to_tag)
        } else {
            (to_tag, from_tag)
        };
        if opener != self.opener.1 {
            return Err("the caller's tag is another than at first (RFC 3261 12.2)".to_owned());
        }
        if self.answerer.is_some() && answerer != self.answerer {
            return Err("the callee's tag is another than in the 2xx (RFC 3261 12.2)".to_owned());
        }
        if matches!(step, Step::Response(200..=299)) && method == "INVITE" {
            self.answerer = answerer;
        }
        Ok(())
    }
}

fn read_by_rsip(octets: &[u8]) -> Result<Reading, rsip::Error> {
    let message = SipMessage::try_from(octets)?;
    let cseq = message.cseq_header()?.typed()?;
    let (from, to) = (message.from_header()?.typed()?, message.to_header()?.typed()?);
    let step = match &message {
        SipMessage::Request(request) => Step::Request(request.method.to_string()),
        SipMessage::Response(response) => Step::Response(response.status_code.code()),
    };
    Ok(Reading {
        step,
        call_id: message.call_id_header()?.value().to_owned(),
        cseq: (cseq.seq, cseq.method.to_string()),
        from_tag: from.tag().map(|tag| tag.value().to_owned()),
        to_tag: to.tag().map(|tag| tag.value().to_owned()),
    })
}

fn read_by_us(octets: &Bytes) -> Result<Reading, String> {
    let unread = |why: &dyn fmt::Debug| format!("our parser cannot read what rsip reads: {why:?}");
    let message = Message::parse(octets.clone()).map_err(|why| unread(&why))?;
    let cseq = message.cseq().map_err(|why| unread(&why))?;
    let step = if message.is_request() {
        Step::Request(message.method().to_string())
    } else {
        Step::Response(message.status())
    };
    let tag = |address: &super::NameAddr| address.tag().map(str::to_owned);
    Ok(Reading {
        step,
        call_id: message.call_id().to_string(),
        cseq: (cseq.number, cseq.method.to_string()),
        from_tag: tag(&message.from().map_err(|why| unread(&why))?),
        to_tag: tag(&message.to().map_err(|why| unread(&why))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, from: &str, to: &str, cseq: &str) -> Bytes {
        let to = if to.is_empty() {
            String::new()
        } else {
            format!(";tag={to}")
        };
        Bytes::from(format!(
            "{start}\r\nVia: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@a.example>;tag={from}\r\nTo: <sip:b@a.example>{to}\r\nCall-ID: c\r\nCSeq: {cseq}\r\n\
             Content-Length: 0\r\n\r\n"
        ))
    }

    const INVITE: &str = "INVITE sip:b@a.example SIP/2.0";
    const ACK: &str = "ACK sip:b@a.example SIP/2.0";
    const BYE: &str = "BYE sip:a@a.example SIP/2.0";

    /// The dialog of `a`, who calls and is hung up on.
    fn call() -> Vec<(bool, Bytes)> {
        vec![
            (true, message(INVITE, "a", "", "1 INVITE")),
            (false, message("SIP/2.0 100 Trying", "a", "", "1 INVITE")),
            (false, message("SIP/2.0 180 Ringing", "a", "b", "1 INVITE")),
            (false, message("SIP/2.0 200 OK", "a", "b", "1 INVITE")),
            (true, message(ACK, "a", "b", "1 ACK")),
            (false, message(BYE, "b", "a", "1 BYE")),
            (true, message("SIP/2.0 200 OK", "b", "a", "1 BYE")),
        ]
    }

    fn ladder(messages: &[(bool, Bytes)]) -> Result<Vec<String>, String> {
        let mut witness = Witness::default();
        let step = |(sent, octets): &(bool, Bytes)| Ok(witness.message(*sent, octets)?.to_string());
        messages.iter().map(step).collect()
    }

    #[test]
    fn a_call_is_a_ladder() {
        let want = ["INVITE", "100", "180", "200", "ACK", "BYE", "200"];
        assert_eq!(ladder(&call()).unwrap(), want);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let cases = [
            (
                3,
                false,
                message("SIP/2.0 200 OK", "a", "b", "2 INVITE"),
                "nobody asked 2 INVITE",
            ),
            (
                3,
                true,
                message("SIP/2.0 200 OK", "a", "b", "1 INVITE"),
                "nobody asked 1 INVITE",
            ),
            (
                3,
                false,
                message("SIP/2.0 200 OK", "x", "b", "1 INVITE"),
                "the caller's tag",
            ),
            (4, true, message(ACK, "a", "x", "1 ACK"), "the callee's tag"),
            (4, true, message(ACK, "a", "b", "0 ACK"), "goes back to 0"),
            (4, true, message(ACK, "a", "b", "1 BYE"), "its CSeq names BYE"),
            (5, false, message(BYE, "a", "b", "1 BYE"), "the caller's tag"),
            (
                4,
                true,
                Bytes::from_static(b"ACK sip:b@[::1] SIP/2.0\r\n\r\n"),
                "rsip cannot read",
            ),
        ];
        for (at, sent, wrong, why) in cases {
            let mut messages = call();
            messages[at] = (sent, wrong);
            let said = ladder(&messages).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
    }
}

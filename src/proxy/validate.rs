//! RFC 3261 16.3: may a request be sent on at all? The syntax was checked by the transaction layer, and who sends it is asked by the
//! node, which holds the credentials.

use super::mark::{Marks, Passed};
use crate::id::{ContextId, Flow};
use crate::limits;
use crate::sip::uri::SchemeText;
use crate::sip::{Message, Name};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status that its sender is owed.
    pub status: u16,
    /// Why, in words.
    pub why: &'static str,
    /// Further fields of the response.
    pub fields: Vec<(Name, String)>,
}

impl Refusal {
    /// Without further fields.
    pub fn new(status: u16, why: &'static str) -> Refusal {
        Refusal {
            status,
            why,
            fields: Vec::new(),
        }
    }
}

/// Steps 2 to 5, and Max-Breadth (RFC 5393 5.3.3). Tells whether the request was here before with another target.
pub fn validate(
    marks: &Marks,
    flow: Flow,
    request: &Message,
    is_live: impl Fn(ContextId) -> bool,
) -> Result<Passed, Refusal> {
    let uri = request
        .request_uri_text()
        .map_err(|error| Refusal::new(error.status, error.reason))?;
    match uri.scheme {
        SchemeText::Sip | SchemeText::Tel => {}
        SchemeText::Sips if flow.transport.is_secure() => {}
        // Somebody on the way did not keep what `sips` promises (RFC 3261 26.2.2).
        SchemeText::Sips => return Err(Refusal::new(416, "SIPS that came without TLS")),
        SchemeText::Other(_) => return Err(Refusal::new(416, "the scheme of the Request-URI is unknown")),
    }
    match request.number(Name::MaxForwards) {
        Some(Ok(0)) => {
            return Err(Refusal::new(
                483,
                "Max-Forwards is used up: the request runs in a circle",
            ));
        }
        Some(Err(error)) => return Err(Refusal::new(error.status, error.reason)),
        Some(Ok(_)) | None => {}
    }
    breadth(request)?;
    let passed = marks.passed(request, is_live);
    if passed == Passed::Looped {
        return Err(Refusal::new(482, "the request was here before, with the same target"));
    }
    proxy_require(request)?;
    Ok(passed)
}

/// How many concurrent branches the request may have.
pub fn breadth(request: &Message) -> Result<u32, Refusal> {
    match request.max_breadth() {
        None => Ok(limits::MAX_BREADTH),
        Some(Ok(0)) => Err(Refusal::new(440, "Max-Breadth leaves no branch")),
        Some(Ok(breadth)) => Ok(breadth.min(limits::MAX_BREADTH)),
        Some(Err(error)) => Err(Refusal::new(error.status, error.reason)),
    }
}

/// We support no extension that a proxy could be required to have.
fn proxy_require(request: &Message) -> Result<(), Refusal> {
    let tags: Vec<String> = request
        .values(Name::ProxyRequire)
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect();
    if tags.is_empty() {
        return Ok(());
    }
    let mut refusal = Refusal::new(420, "an extension is required of the proxy that it does not have");
    refusal.fields.push((Name::Unsupported, tags.join(", ")));
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ConnectionId, ListenerId, Transport};
    use bytes::Bytes;

    fn status(transport: Transport, uri: &str, lines: &str) -> u16 {
        let flow = Flow {
            transport,
            listener: ListenerId(0),
            connection: ConnectionId(1),
            local: "192.0.2.1:5061".parse().unwrap(),
            peer: "192.0.2.9:5061".parse().unwrap(),
        };
        let text = format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\n\
             CSeq: 1 MESSAGE\r\n{lines}\r\n"
        );
        let request = Message::parse(Bytes::from(text)).unwrap();
        let marks = Marks::new(crate::keyed::Key::default());
        validate(&marks, flow, &request, |_| false).map_or_else(|refusal| refusal.status, |_| 0)
    }

    #[test]
    fn what_16_3_refuses() {
        for (uri, lines, expected) in [
            ("sip:b", "", 0),
            ("tel:+1415", "Max-Forwards: 1\r\nMax-Breadth: 1\r\n", 0),
            ("sips:b", "", 416),
            ("urn:service:sos", "", 416),
            ("http:b", "", 416),
            ("sip:b", "Max-Forwards: 0\r\n", 483),
            ("sip:b", "Max-Forwards: x\r\n", 400),
            ("sip:b", "Max-Breadth: 0\r\n", 440),
            ("sip:b", "Max-Breadth: wide\r\n", 400),
            ("sip:b", "Proxy-Require: foo, bar\r\n", 420),
            ("sip:b", "Require: foo\r\n", 0),
        ] {
            assert_eq!(status(Transport::Udp, uri, lines), expected, "{uri} {lines}");
        }
        let by = |transport| status(transport, "sips:b", "");
        let all = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss].map(by);
        assert_eq!(all, [416, 0, 416, 0], "RFC 3261 26.2.2");
    }
}

//! One description of two streams: each is negotiated by itself, as that of a leg of a call is, and they are put together here.

use super::metadata::{self, LABELS};
use crate::sdp::{Attribute, Session};
use bytes::Bytes;

/// Two descriptions of one stream each, as one; its streams are told apart by their labels (RFC 7866 7.1.1).
pub(super) fn joined(parts: &[Bytes; 2]) -> Session<'static> {
    let read = |part: &Bytes| Session::parse(part).expect("what we write can be read").into_owned();
    let [mut whole, second] = [&parts[0], &parts[1]].map(read);
    whole.media.extend(second.media);
    for (media, label) in whole.media.iter_mut().zip(LABELS) {
        media.attributes.push(Attribute::new("label", label));
    }
    whole
}

/// A description with one of its streams alone.
pub(super) fn alone<'s>(whole: &Session<'s>, at: usize) -> Option<Session<'s>> {
    let media = whole.media.get(at)?.clone();
    Some(Session {
        media: vec![media],
        ..whole.clone()
    })
}

/// A body with a description and what is told of its streams (RFC 7866 9.1), and its type.
pub(super) fn body(description: &Session<'_>, metadata: &str, boundary: &str) -> (String, String) {
    let body = format!(
        "--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{description}\r\n--{boundary}\r\nContent-Type: {}\r\n\
         Content-Disposition: recording-session\r\n\r\n{metadata}\r\n--{boundary}--\r\n",
        metadata::CONTENT
    );
    (format!("multipart/mixed;boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::multipart;

    fn one(port: u16) -> Bytes {
        Bytes::from(format!(
            "v=0\r\no=- {port} 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
             a=rtpmap:8 PCMA/8000\r\na=sendonly\r\n"
        ))
    }

    #[test]
    fn two_streams_are_one_description_and_apart_again() {
        let whole = joined(&[one(4000), one(4002)]);
        let text = whole.to_string();
        assert_eq!(text.matches("m=audio").count(), 2);
        assert!(
            text.contains("a=sendonly\r\na=label:1\r\nm=audio 4002") && text.ends_with("a=label:2\r\n"),
            "{text}"
        );
        assert_eq!(alone(&whole, 1).unwrap().media[0].port, 4002);
        assert_eq!(alone(&whole, 2), None);
        let (kind, body) = body(&whole, "<a/>", "x");
        let parts = multipart::parts(&kind, &Bytes::from(body)).unwrap();
        assert_eq!(parts[0].body, whole.to_body());
        assert_eq!(
            (&*parts[1].kind, &*parts[1].disposition),
            (metadata::CONTENT, "recording-session")
        );
        assert_eq!(&parts[1].body[..], b"<a/>");
    }
}

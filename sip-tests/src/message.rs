//! SIP messages of the peers: read and written line by line, apart from the code under test.

use bytes::{Buf, Bytes, BytesMut};

/// A message as a list of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msg {
    /// The first line.
    pub start: String,
    /// Header fields in order, names as written.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

const COMPACT: [(&str, &str); 10] = [
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("k", "Supported"),
    ("r", "Refer-To"),
    ("x", "Session-Expires"),
];

impl Msg {
    /// Reads a whole message; folding is not expected from the code under test.
    pub fn read(bytes: &[u8]) -> Result<Msg, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no empty line")?;
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("a header line without colon: {line:?}"))?;
            headers.push((name.trim_end().to_owned(), value.trim().to_owned()));
        }
        Ok(Msg {
            start,
            headers,
            body: body.to_owned(),
        })
    }

    /// A request with nothing in it yet.
    pub fn request(method: &str, uri: &str) -> Msg {
        Msg {
            start: format!("{method} {uri} SIP/2.0"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A response that copies what RFC 3261 8.2.6.2 says.
    pub fn response(request: &Msg, status: u16, tag: &str) -> Msg {
        let mut response = Msg {
            start: format!("SIP/2.0 {status} {}", phrase(status)),
            headers: Vec::new(),
            body: String::new(),
        };
        for (name, value) in &request.headers {
            match long(name) {
                "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => response.push(name, value),
                "To" if !value.contains(";tag=") && status > 100 && !tag.is_empty() => {
                    response.push(name, &format!("{value};tag={tag}"));
                }
                "To" => response.push(name, value),
                _ => {}
            }
        }
        response
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a field at the end, and gives the message on.
    pub fn with(mut self, name: &str, value: &str) -> Msg {
        self.push(name, value);
        self
    }

    /// Adds a whole line `Name: value`.
    pub fn push_line(&mut self, line: &str) {
        let (name, value) = line.split_once(':').expect("a header line of a test has a colon");
        self.push(name.trim(), value.trim());
    }

    /// Replaces the first field of this name, or adds it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(n, _)| is(n, name)) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.push(name, value),
        }
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(n, _)| !is(n, name));
    }

    /// With an SDP body.
    pub fn with_sdp(mut self, sdp: &str) -> Msg {
        self.push("Content-Type", "application/sdp");
        self.body = sdp.to_owned();
        self
    }

    /// The octets, Content-Length included.
    pub fn write(&self) -> Bytes {
        let mut text = String::with_capacity(1024);
        text.push_str(&self.start);
        text.push_str("\r\n");
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        if self.get("Content-Length").is_none() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        Bytes::from(text)
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        !self.start.starts_with("SIP/2.0 ")
    }

    /// The status of a response, 0 for a request.
    pub fn status(&self) -> u16 {
        let word = self
            .start
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.split(' ').next());
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// The method, of a response by its CSeq.
    pub fn method(&self) -> &str {
        if self.is_request() {
            self.start.split(' ').next().unwrap_or_default()
        } else {
            self.cseq().1
        }
    }

    /// The request URI.
    pub fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// True for a request with this method.
    pub fn is(&self, method: &str) -> bool {
        self.is_request() && self.method() == method
    }

    /// True for a response with this status to this method.
    pub fn answers(&self, method: &str, status: u16) -> bool {
        self.status() == status && self.method() == method
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| is(n, name))
            .map(|(_, value)| value.as_str())
    }

    /// How many lines there are of a field.
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(n, _)| is(n, name)).count()
    }

    /// The first value of a field; empty when it is absent.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of a field, lists split.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(n, _)| is(n, name));
        lines.flat_map(|(_, value)| split_list(value)).collect()
    }

    /// CSeq: number and method.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.text("CSeq").split_once(' ').unwrap_or_default();
        (number.parse().unwrap_or(0), method.trim())
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.text("Call-ID")
    }

    /// The branch of the top Via.
    pub fn branch(&self) -> String {
        self.all("Via")
            .first()
            .and_then(|via| param(via, "branch"))
            .unwrap_or_default()
            .to_owned()
    }

    /// Tag of From.
    pub fn from_tag(&self) -> &str {
        param(self.text("From"), "tag").unwrap_or_default()
    }

    /// Tag of To.
    pub fn to_tag(&self) -> &str {
        param(self.text("To"), "tag").unwrap_or_default()
    }

    /// True if the body is SDP.
    pub fn has_sdp(&self) -> bool {
        !self.body.is_empty() && self.text("Content-Type").starts_with("application/sdp")
    }

    /// True if a list field has this token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().any(|value| value.eq_ignore_ascii_case(token))
    }
}

fn is(written: &str, name: &str) -> bool {
    written.eq_ignore_ascii_case(name) || written.len() == 1 && long(written).eq_ignore_ascii_case(name)
}

fn long(name: &str) -> &str {
    if name.len() > 1 {
        return name;
    }
    COMPACT
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name))
        .map_or(name, |(_, long)| long)
}

/// Splits at commas that stand outside of quotes and angle brackets.
fn split_list(value: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut depth) = (Vec::new(), 0, false, 0);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'<' if !quoted => depth += 1,
            b'>' if !quoted => depth -= 1,
            b',' if !quoted && depth == 0 => {
                parts.push(value[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[begin..].trim());
    parts
}

/// A `;name=value` parameter behind the angle bracket of a header value (or anywhere when it has none).
pub fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let rest = value.rsplit_once('>').map_or(value, |(_, rest)| rest);
    rest.split(';')
        .skip(usize::from(!rest.starts_with(';')))
        .find_map(|part| match part.trim().split_once('=') {
            Some((n, v)) if n.trim().eq_ignore_ascii_case(name) => Some(v.trim().trim_matches('"')),
            Some(_) => None,
            None => part.trim().eq_ignore_ascii_case(name).then_some(""),
        })
}

/// The URI of a name-addr.
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// Cuts one message off a stream; `None` until it is complete. Keep-alive line ends are dropped.
pub fn cut(stream: &mut BytesMut) -> Option<Bytes> {
    while stream.first().is_some_and(|byte| b"\r\n".contains(byte)) {
        stream.advance(1);
    }
    let head = stream.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&stream[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:").map(str::trim).map(str::to_owned));
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    if stream.len() < head + length {
        None
    } else {
        Some(stream.split_to(head + length).freeze())
    }
}

/// Reason phrases that the peers write.
pub fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        401 => "Unauthorized",
        407 => "Proxy Authentication Required",
        486 => "Busy Here",
        487 => "Request Terminated",
        491 => "Request Pending",
        _ => "Whatever",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let request = Msg::request("INVITE", "sip:bob@h")
            .with("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b")
            .with("t", "\"B, b\" <sip:bob@h;x=1>;tag=77")
            .with("CSeq", "3 INVITE")
            .with_sdp("v=0\r\n");
        let back = Msg::read(&request.write()).unwrap();
        assert_eq!(
            (back.method(), back.uri(), back.to_tag(), back.cseq()),
            ("INVITE", "sip:bob@h", "77", (3, "INVITE"))
        );
        assert_eq!(
            (back.branch().as_str(), back.all("Via").len(), back.all("To").len()),
            ("z9hG4bK1", 2, 1)
        );
        assert!(back.has_sdp() && back.body == "v=0\r\n");
    }

    #[test]
    fn a_stream_is_cut_at_content_length() {
        let one = Msg::request("OPTIONS", "sip:h").with("Call-ID", "1").write();
        let two = Msg::request("OPTIONS", "sip:h").with_sdp("abc").write();
        let mut stream = BytesMut::from(&b"\r\n\r\n"[..]);
        stream.extend_from_slice(&one);
        stream.extend_from_slice(&two[..two.len() - 1]);
        assert_eq!(cut(&mut stream), Some(one));
        assert_eq!(cut(&mut stream), None);
        stream.extend_from_slice(b"c");
        assert_eq!(cut(&mut stream), Some(two));
    }
}

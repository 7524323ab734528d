//! rtpengine, by its control protocol: a cookie and a dictionary in bencode, over UDP.

use super::sdp::{self, Called, End, Offered};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// The port of the protocol.
pub const PORT: u16 = 2223;

/// A value of bencode.
enum Value<'v> {
    Text(&'v str),
    List(Vec<Value<'v>>),
    Dictionary(Vec<(&'v str, Value<'v>)>),
}

impl Value<'_> {
    fn write(&self, to: &mut String) {
        match self {
            Value::Text(text) => {
                to.push_str(&text.len().to_string());
                to.push(':');
                to.push_str(text);
            }
            Value::List(values) => {
                to.push('l');
                values.iter().for_each(|value| value.write(to));
                to.push('e');
            }
            Value::Dictionary(entries) => {
                to.push('d');
                for (key, value) in entries {
                    Value::Text(key).write(to);
                    value.write(to);
                }
                to.push('e');
            }
        }
    }
}

/// Who asks it.
pub struct Ng {
    socket: UdpSocket,
    cookie: u64,
}

impl Ng {
    pub fn new(own: Ipv4Addr, peer: Ipv4Addr) -> Result<Ng, String> {
        let connect = || {
            let socket = UdpSocket::bind((own, 0))?;
            socket.connect((peer, PORT))?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            Ok(socket)
        };
        let socket = connect().map_err(|error: std::io::Error| format!("a socket for NG: {error}"))?;
        Ok(Ng { socket, cookie: 0 })
    }

    /// True once it answers.
    pub fn is_up(own: Ipv4Addr, peer: Ipv4Addr) -> bool {
        let answered = Ng::new(own, peer).and_then(|mut ng| {
            let short = ng.socket.set_read_timeout(Some(Duration::from_millis(200)));
            short.map_err(|error| error.to_string())?;
            ng.ask(&[("command", Value::Text("ping"))])
        });
        if answered.is_err() {
            // An ICMP answer comes at once.
            std::thread::sleep(Duration::from_millis(100));
        }
        answered.is_ok()
    }

    /// Sets up one call by offer and answer, as a proxy between both sides would. `opus` is how the codec is named in the offer.
    pub fn set_up(
        &mut self,
        call: usize,
        called: Called,
        opus: &str,
        sides: [SocketAddrV4; 2],
    ) -> Result<[End; 2], String> {
        let id = format!("call-{call}");
        let (offer, transport) = (
            sdp::offer(Offered::Alaw, sides[0]),
            if called == Called::Srtp { "RTP/SAVP" } else { "RTP/AVP" },
        );
        let text = Value::Text;
        let both = |command, sdp| {
            let replaced = Value::List(vec![text("origin"), text("session-connection")]);
            vec![
                ("command", text(command)),
                ("call-id", text(&id)),
                ("from-tag", text("caller")),
                ("sdp", text(sdp)),
                ("replace", replaced),
                ("ICE", text("remove")),
                ("DTLS", text("off")),
            ]
        };
        let mut asked = both("offer", &offer);
        asked.push(("transport-protocol", text(transport)));
        if called.is_opus() {
            let codec = vec![
                ("mask", Value::List(vec![text("PCMA")])),
                ("transcode", Value::List(vec![text(opus)])),
            ];
            asked.push(("codec", Value::Dictionary(codec)));
        }
        let offered = self.ask(&asked)?;
        let (answer, at_called) = sdp::answer(&offered, called, sides[1])?;
        let mut asked = both("answer", &answer);
        asked.push(("to-tag", text("called")));
        let answered = self.ask(&asked)?;
        Ok([sdp::accepted(Offered::Alaw, &answered)?, at_called])
    }

    /// Sends a command; gives the SDP that came back, or nothing where there is none.
    fn ask(&mut self, entries: &[(&str, Value<'_>)]) -> Result<String, String> {
        self.cookie += 1;
        let port = self.socket.local_addr().map_or(0, |own| own.port());
        // It answers a cookie that it has seen with what it said then, whoever asks.
        let cookie = format!("{port}-{} ", self.cookie);
        let mut asked = format!("{cookie}d");
        for (key, value) in entries {
            Value::Text(key).write(&mut asked);
            value.write(&mut asked);
        }
        asked.push('e');
        let told = |error: std::io::Error| format!("rtpengine does not answer: {error}");
        self.socket.send(asked.as_bytes()).map_err(told)?;
        let mut buffer = [0; 8192];
        let length = self.socket.recv(&mut buffer).map_err(told)?;
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let found = |key| text_of(said.strip_prefix(&cookie)?, key);
        match found("result") {
            Some("ok" | "pong") => Ok(found("sdp").unwrap_or_default().to_owned()),
            Some(_) | None => Err(format!("rtpengine says {said}")),
        }
    }
}

/// The text under a key of a dictionary. What is none of texts and numbers is jumped over.
fn text_of<'t>(dictionary: &'t str, wanted: &str) -> Option<&'t str> {
    let mut rest = dictionary.strip_prefix('d')?;
    while !rest.starts_with('e') {
        let (key, after) = text(rest)?;
        if key == wanted {
            return text(after).map(|(text, _)| text);
        }
        rest = behind(after)?;
    }
    None
}

/// A text in front, and what is behind it.
fn text(from: &str) -> Option<(&str, &str)> {
    let (length, rest) = from.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

/// What is behind a value.
fn behind(value: &str) -> Option<&str> {
    if value.starts_with('i') {
        return value.split_once('e').map(|(_, rest)| rest);
    }
    let Some(mut rest) = value.strip_prefix(['d', 'l']) else {
        return text(value).map(|(_, rest)| rest);
    };
    while !rest.starts_with('e') {
        rest = behind(rest)?;
    }
    rest.strip_prefix('e')
}

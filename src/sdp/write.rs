//! Writing a session description: CRLF, in the order of RFC 8866 5.

use super::parse::rank;
use super::session::{Attribute, Connection, Line, Media, Session};
use bytes::Bytes;
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

/// A description of ours fits into this many octets.
const USUAL: usize = 512;

impl Session<'_> {
    /// The body of a message.
    pub fn to_body(&self) -> Bytes {
        self.text().into()
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(USUAL);
        let o = &self.origin;
        let origin = ["v=0\r\no=", &o.username, " ", &o.session_id, " ", &o.version, " "];
        push(&mut text, &origin);
        o.address.push_to(&mut text);
        push(&mut text, &["\r\ns=", &self.name, "\r\n"]);
        push_section(&mut text, self.connection.as_ref(), &self.lines, &self.attributes);
        for media in &self.media {
            media.push_to(&mut text);
        }
        text
    }
}

impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Media<'_> {
    fn push_to(&self, text: &mut String) {
        push(text, &["m=", &self.kind, " "]);
        push_number(text, self.port);
        if let Some(count) = self.port_count {
            text.push('/');
            push_number(text, count);
        }
        push(text, &[" ", self.proto.as_str()]);
        for format in &self.formats {
            push(text, &[" ", format]);
        }
        text.push_str("\r\n");
        push_section(text, self.connection.as_ref(), &self.lines, &self.attributes);
    }
}

fn push(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

fn push_number(text: &mut String, number: u16) {
    let mut unit = 10_000;
    while unit > 1 && number < unit {
        unit /= 10;
    }
    while unit > 0 {
        text.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

fn push_section(
    text: &mut String,
    connection: Option<&Connection<'_>>,
    lines: &[Line<'_>],
    attributes: &[Attribute<'_>],
) {
    let (before, after) = lines.split_at(lines.partition_point(|line| rank(line.kind) < rank('c')));
    before.iter().for_each(|line| line.push_to(text));
    if let Some(connection) = connection {
        text.push_str("c=");
        connection.push_to(text);
        text.push_str("\r\n");
    }
    after.iter().for_each(|line| line.push_to(text));
    for attribute in attributes {
        match &attribute.value {
            Some(value) => push(text, &["a=", &attribute.name, ":", value, "\r\n"]),
            None => push(text, &["a=", &attribute.name, "\r\n"]),
        }
    }
}

impl Line<'_> {
    fn push_to(&self, text: &mut String) {
        text.push(self.kind);
        push(text, &["=", &self.value, "\r\n"]);
    }
}

impl Connection<'_> {
    fn push_to(&self, text: &mut String) {
        match self {
            Connection::Ip(IpAddr::V4(addr)) => {
                text.push_str("IN IP4 ");
                push_v4(text, *addr);
            }
            Connection::Ip(IpAddr::V6(addr)) => {
                write!(text, "IN IP6 {addr}").expect("writing to a String does not fail");
            }
            Connection::Name { v6, host } => push(text, &["IN ", if *v6 { "IP6" } else { "IP4" }, " ", host]),
            Connection::Other(other) => text.push_str(other),
        }
    }
}

fn push_v4(text: &mut String, addr: Ipv4Addr) {
    for (nth, octet) in addr.octets().into_iter().enumerate() {
        if nth > 0 {
            text.push('.');
        }
        push_number(text, octet.into());
    }
}

#[cfg(test)]
mod tests {
    use crate::sdp::{Attribute, Connection, Line, Media, Origin, Proto, Session};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn connection() -> impl Strategy<Value = Connection<'static>> {
        prop_oneof![
            any::<IpAddr>().prop_map(Connection::Ip),
            ("[a-z]{1,9}\\.example", any::<bool>()).prop_map(|(host, v6)| Connection::Name { v6, host: host.into() }),
            Just(Connection::Other("IN IP4 233.252.0.1/127".into())),
        ]
    }

    fn attributes() -> impl Strategy<Value = Vec<Attribute<'static>>> {
        let value = proptest::option::of("[!-~]([ -~]{0,20}[!-~])?");
        let one = ("[a-z-]{1,12}", value).prop_map(|(name, value)| Attribute {
            name: name.into(),
            value: value.map(Into::into),
        });
        proptest::collection::vec(one, 0..6)
    }

    fn media() -> impl Strategy<Value = Media<'static>> {
        let proto = prop_oneof![
            Just(Proto::RtpAvp),
            Just(Proto::UdpTlsRtpSavpf),
            Just(Proto::Other("udptl".into()))
        ];
        let formats = proptest::collection::vec("[0-9]{1,3}", 0..5);
        let head = (
            "audio|video|image",
            any::<u16>(),
            proptest::option::of(any::<u16>()),
            proto,
            formats,
        );
        (head, proptest::option::of(connection()), attributes()).prop_map(
            |((kind, port, port_count, proto, formats), connection, attributes)| Media {
                kind: kind.into(),
                port,
                port_count,
                proto,
                formats: formats.into_iter().map(Into::into).collect(),
                connection,
                lines: vec![Line {
                    kind: 'b',
                    value: "AS:64".into(),
                }],
                attributes,
            },
        )
    }

    prop_compose! {
        fn session()(
            username in "[a-z]{1,8}( [a-z]{1,8})?", session_id in "[0-9]{1,25}", version in "[0-9]{1,5}", address in connection(),
            name in "[!-~]{1,9}", connection in proptest::option::of(connection()),
            attributes in attributes(), media in proptest::collection::vec(media(), 0..5),
        ) -> Session<'static> {
            let line = |kind, value: &'static str| Line { kind, value: value.into() };
            let lines = vec![line('i', "about"), line('t', "0 0"), line('r', "7d 1h 0 25h"), line('t', "1 2"), line('y', "?")];
            let origin = Origin { username: username.into(), session_id: session_id.into(), version: version.into(), address };
            Session { origin, name: name.into(), connection, lines, attributes, media }
        }
    }

    #[test]
    fn numbers_have_no_zeros_in_front() {
        for number in [0, 1, 9, 10, 99, 100, 5_060, 10_000, u16::MAX] {
            let mut text = String::new();
            super::push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    proptest! {
        #[test]
        fn every_description_reads_back(session in session()) {
            let written = session.to_string();
            prop_assert_eq!(Session::parse(written.as_bytes()), Ok(session));
        }
    }
}

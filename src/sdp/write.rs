//! Writing a session description: CRLF, in the order of RFC 8866 5.

use super::parse::rank;
use super::session::{Attribute, Connection, Line, Media, Session};
use bytes::Bytes;
use std::fmt::{self, Display, Write};
use std::net::IpAddr;

/// A description of ours fits into this many octets.
const USUAL: usize = 448;

impl Session<'_> {
    /// The body of a message.
    pub fn to_body(&self) -> Bytes {
        let mut text = String::with_capacity(USUAL);
        write!(text, "{self}").expect("writing to a String does not fail");
        text.into()
    }
}

impl Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        let origin = ["v=0\r\no=", &o.username, " ", &o.session_id, " ", &o.version, " "];
        all(f, &origin)?;
        o.address.fmt(f)?;
        all(f, &["\r\ns=", &self.name, "\r\n"])?;
        section(f, self.connection.as_ref(), &self.lines, &self.attributes)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl Display for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        all(f, &["m=", &self.kind, " "])?;
        self.port.fmt(f)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        all(f, &[" ", self.proto.as_str()])?;
        self.formats.iter().try_for_each(|format| all(f, &[" ", format]))?;
        f.write_str("\r\n")?;
        section(f, self.connection.as_ref(), &self.lines, &self.attributes)
    }
}

fn all(f: &mut fmt::Formatter<'_>, parts: &[&str]) -> fmt::Result {
    parts.iter().try_for_each(|part| f.write_str(part))
}

fn section(
    f: &mut fmt::Formatter<'_>,
    connection: Option<&Connection<'_>>,
    lines: &[Line<'_>],
    attributes: &[Attribute<'_>],
) -> fmt::Result {
    let (before, after) = lines.split_at(lines.partition_point(|line| rank(line.kind) < rank('c')));
    before.iter().try_for_each(|line| line.fmt(f))?;
    if let Some(connection) = connection {
        f.write_str("c=")?;
        connection.fmt(f)?;
        f.write_str("\r\n")?;
    }
    after.iter().try_for_each(|line| line.fmt(f))?;
    attributes.iter().try_for_each(|attribute| attribute.fmt(f))
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.kind)?;
        all(f, &["=", &self.value, "\r\n"])
    }
}

impl Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => all(f, &["a=", &self.name, ":", value, "\r\n"]),
            None => all(f, &["a=", &self.name, "\r\n"]),
        }
    }
}

impl Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Connection::Ip(IpAddr::V4(addr)) => write!(f, "IN IP4 {addr}"),
            Connection::Ip(IpAddr::V6(addr)) => write!(f, "IN IP6 {addr}"),
            Connection::Name { v6, host } => all(f, &["IN ", if *v6 { "IP6" } else { "IP4" }, " ", host]),
            Connection::Other(text) => f.write_str(text),
        }
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

    proptest! {
        #[test]
        fn every_description_reads_back(session in session()) {
            let written = session.to_string();
            prop_assert_eq!(Session::parse(written.as_bytes()), Ok(session));
        }
    }
}

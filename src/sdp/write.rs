//! Writing a session description: CRLF, in the order of RFC 8866 5.

use super::parse::rank;
use super::session::{Attribute, Connection, Line, Media, Session};
use std::fmt;
use std::net::IpAddr;

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        write!(
            f,
            "v=0\r\no={} {} {} {}\r\n",
            o.username, o.session_id, o.version, o.address
        )?;
        write!(f, "s={}\r\n", self.name)?;
        section(f, self.connection.as_ref(), &self.lines, &self.attributes)?;
        self.media.iter().try_for_each(|media| write!(f, "{media}"))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {}", self.proto.as_str())?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
        f.write_str("\r\n")?;
        section(f, self.connection.as_ref(), &self.lines, &self.attributes)
    }
}

fn section(
    f: &mut fmt::Formatter<'_>,
    connection: Option<&Connection>,
    lines: &[Line],
    attributes: &[Attribute],
) -> fmt::Result {
    let (before, after) = lines.split_at(lines.partition_point(|line| rank(line.kind) < rank('c')));
    before.iter().try_for_each(|line| write!(f, "{line}"))?;
    if let Some(connection) = connection {
        write!(f, "c={connection}\r\n")?;
    }
    after.iter().try_for_each(|line| write!(f, "{line}"))?;
    attributes.iter().try_for_each(|attribute| write!(f, "{attribute}"))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}\r\n", self.kind, self.value)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "a={}:{value}\r\n", self.name),
            None => write!(f, "a={}\r\n", self.name),
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Connection::Ip(IpAddr::V4(addr)) => write!(f, "IN IP4 {addr}"),
            Connection::Ip(IpAddr::V6(addr)) => write!(f, "IN IP6 {addr}"),
            Connection::Name { v6, host } => write!(f, "IN {} {host}", if *v6 { "IP6" } else { "IP4" }),
            Connection::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sdp::{Attribute, Connection, Line, Media, Origin, Proto, Session};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn connection() -> impl Strategy<Value = Connection> {
        prop_oneof![
            any::<IpAddr>().prop_map(Connection::Ip),
            ("[a-z]{1,9}\\.example", any::<bool>()).prop_map(|(host, v6)| Connection::Name { v6, host }),
            Just(Connection::Other("IN IP4 233.252.0.1/127".to_owned())),
        ]
    }

    fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
        let value = proptest::option::of("[!-~]([ -~]{0,20}[!-~])?");
        let one = ("[a-z-]{1,12}", value).prop_map(|(name, value)| Attribute { name, value });
        proptest::collection::vec(one, 0..6)
    }

    fn media() -> impl Strategy<Value = Media> {
        let proto = prop_oneof![
            Just(Proto::RtpAvp),
            Just(Proto::UdpTlsRtpSavpf),
            Just(Proto::Other("udptl".to_owned()))
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
                kind,
                port,
                port_count,
                proto,
                formats,
                connection,
                lines: vec![Line {
                    kind: 'b',
                    value: "AS:64".to_owned(),
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
        ) -> Session {
            let line = |kind, value: &str| Line { kind, value: value.to_owned() };
            let lines = vec![line('i', "about"), line('t', "0 0"), line('r', "7d 1h 0 25h"), line('t', "1 2"), line('y', "?")];
            Session { origin: Origin { username, session_id, version, address }, name, connection, lines, attributes, media }
        }
    }

    proptest! {
        #[test]
        fn every_description_reads_back(session in session()) {
            prop_assert_eq!(Session::parse(session.to_string().as_bytes()), Ok(session));
        }
    }
}

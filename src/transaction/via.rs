//! Via: ours on what we send, the peer's on what we answer (RFC 3261 18.1.1, 18.2.1, 18.2.2; RFC 3581).

use crate::cx::Cx;
use crate::id::Flow;
use crate::sip::forward::stamped;
use crate::sip::uri::DEFAULT_PORT;
use crate::sip::write::push_address;
use crate::sip::{Draft, Message, Name, TopVia, first_comma};
use std::net::{IpAddr, SocketAddr};

/// What every branch of RFC 3261 begins with (8.1.1.7).
pub const COOKIE: &str = "z9hG4bK";

/// A branch that nobody else has.
pub fn new_branch(cx: &mut Cx<'_>) -> String {
    let mut branch = format!("{COOKIE}{}", cx.token(8));
    cx.marker.mark_branch(cx.now, &mut branch);
    branch
}

/// Our Via for a request over `flow`: sent-by is the address by which the peer sees us, `alias` as in RFC 5923.
pub fn ours(cx: &Cx<'_>, flow: Flow, branch: &str, alias: bool) -> String {
    let seen = cx.advertised(flow);
    let mut text = String::with_capacity(80 + branch.len());
    for part in ["SIP/2.0/", flow.transport.via(), " "] {
        text.push_str(part);
    }
    push_address(&mut text, seen);
    text.push_str(";rport;branch=");
    text.push_str(branch);
    if alias {
        text.push_str(";alias");
    }
    text
}

/// Marks the topmost Via of a response with where its request came from: `received` (RFC 3261 18.2.1), and `rport` where it
/// was asked for (RFC 3581 4, which then wants `received` too).
pub fn stamp(response: &mut Draft, source: SocketAddr) {
    if let Some(Ok(said)) = response.get(Name::Via).map(|line| TopVia::read(top_and_rest(line).0)) {
        stamp_known(response, &said, source);
    }
}

/// The same where it is known what the topmost Via says.
pub fn stamp_known(response: &mut Draft, said: &TopVia, source: SocketAddr) {
    response.rewrite(Name::Via, |line| {
        let (top, rest) = top_and_rest(line);
        Some(stamped(top, said, source)? + rest)
    });
}

/// The first value of a list, and what is behind it; a list may begin with empty elements.
fn top_and_rest(line: &str) -> (&str, &str) {
    let line = line.trim_start_matches([',', ' ', '\t']);
    line.split_at(first_comma(line).unwrap_or(line.len()))
}

/// Where a response goes (RFC 3261 18.2.2, RFC 3581 4): over a stream the same connection; over datagrams the source port if `rport`
/// was asked for, else the sent-by port of the source address.
///
/// `maddr` in a Via is written by a client that sends to a multicast address, with that address (18.1.1: "MUST add the maddr
/// parameter to its Via header field value containing the destination multicast address"). Any other address in it would let whoever
/// likes aim our responses at a third party, so it is not obeyed.
pub fn response_flow(flow: Flow, via: &TopVia) -> Flow {
    if flow.transport.is_reliable() {
        return flow;
    }
    let port = via.port.unwrap_or(DEFAULT_PORT);
    let maddr = via
        .maddr
        .filter(|ip| ip.is_multicast() && ip.is_ipv4() == flow.peer.is_ipv4());
    let peer = match maddr {
        Some(ip) => SocketAddr::new(ip, port),
        None if via.asks_port => flow.peer,
        None => SocketAddr::new(flow.peer.ip(), port),
    };
    Flow { peer, ..flow }
}

/// True for a response whose only Via is the one that we put: another below it means that it is somebody else's (RFC 3261
/// 8.1.3.3).
pub fn is_alone(response: &Message) -> bool {
    response.values(Name::Via).nth(1).is_none()
}

/// An address as a parameter writes it, IPv6 with or without brackets.
pub fn ip_of(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ConnectionId, ListenerId, Transport};
    use crate::sip::{Method, Uri};

    fn flow(transport: Transport) -> Flow {
        Flow {
            transport,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: "198.51.100.7:40000".parse().unwrap(),
        }
    }

    fn top(via: &str) -> TopVia {
        let mut draft = Draft::request(Method::Options, Uri::parse("sip:a@b").unwrap());
        draft.push(Name::Via, via);
        draft.to_message().unwrap().top().unwrap()
    }

    fn stamped(via: &str) -> String {
        let mut draft = Draft::request(Method::Options, Uri::parse("sip:a@b").unwrap());
        draft.push(Name::Via, via);
        stamp(&mut draft, flow(Transport::Udp).peer);
        draft.get(Name::Via).unwrap().to_owned()
    }

    #[test]
    fn received_is_added_where_sent_by_is_not_the_source() {
        assert_eq!(
            stamped("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa"),
            "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa"
        );
        assert!(stamped("SIP/2.0/UDP phone.example;branch=z9hG4bKa").contains("received=198.51.100.7"));
        assert!(stamped("SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa").contains("received=198.51.100.7"));
        let forged = stamped("SIP/2.0/UDP 198.51.100.7;received=203.0.113.66;branch=z9hG4bKa");
        assert!(
            forged.contains("received=198.51.100.7") && !forged.contains("203.0.113.66"),
            "{forged}"
        );
    }

    #[test]
    fn the_first_value_is_behind_empty_elements() {
        assert_eq!(
            stamped(" , SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa, SIP/2.0/UDP b"),
            "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa;received=198.51.100.7, SIP/2.0/UDP b"
        );
    }

    #[test]
    fn rport_is_filled_in_and_brings_received() {
        let via = stamped("SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb");
        assert!(
            via.contains("rport=40000") && via.contains("received=198.51.100.7"),
            "{via}"
        );
        assert!(via.ends_with(", SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb"), "{via}");
    }

    #[test]
    fn a_response_goes_where_the_via_says() {
        let to = |via: &str| response_flow(flow(Transport::Udp), &top(via)).peer.to_string();
        assert_eq!(
            to("SIP/2.0/UDP 10.0.0.9:5070;rport;branch=z9hG4bKa"),
            "198.51.100.7:40000"
        );
        assert_eq!(to("SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKa"), "198.51.100.7:5070");
        assert_eq!(to("SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa"), "198.51.100.7:5060");
        assert_eq!(
            to("SIP/2.0/UDP 10.0.0.9:5070;maddr=239.1.1.1;branch=z9hG4bKa"),
            "239.1.1.1:5070"
        );
        assert_eq!(
            to("SIP/2.0/UDP 10.0.0.9:5070;maddr=203.0.113.66;branch=z9hG4bKa"),
            "198.51.100.7:5070"
        );
        let via = top("SIP/2.0/TCP 10.0.0.9:5070;branch=z9hG4bKa");
        assert_eq!(response_flow(flow(Transport::Tcp), &via), flow(Transport::Tcp));
    }
}

//! The way of requests in a dialog: whether it is that of the flow which is there.

use crate::id::{Flow, Transport};
use crate::sip::Uri;
use crate::sip::uri::Scheme;
use std::net::{IpAddr, SocketAddr};

/// The next hop is the peer of this flow, or can only be meant so: a private address behind a public one is its NAT's inside.
pub fn is_on_flow(next_hop: &Uri, flow: &Flow) -> bool {
    if !matches!(next_hop.scheme, Scheme::Sip | Scheme::Sips) {
        return true;
    }
    let Some(ip) = next_hop.host.ip() else { return false };
    let same = match flow.transport {
        Transport::Udp => {
            next_hop.transport().is_none_or(|transport| transport == Transport::Udp)
                && SocketAddr::new(ip, next_hop.port.unwrap_or(Transport::Udp.default_port())) == flow.peer
        }
        // A connection that the peer opened has a port of its own; it is used again (RFC 5923 says how that is asked for).
        Transport::Tcp | Transport::Tls => {
            next_hop
                .transport()
                .is_none_or(|transport| transport == flow.transport || transport.secured() == Some(flow.transport))
                && ip == flow.peer.ip()
        }
        // A browser is reached by its own connection only.
        Transport::Ws | Transport::Wss => true,
    };
    same || (is_private(ip) && !is_private(flow.peer.ip()))
}

/// Of a network that is not the Internet, or of this host.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ConnectionId, ListenerId};

    fn flow(transport: Transport, peer: &str) -> Flow {
        Flow {
            transport,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: peer.parse().unwrap(),
        }
    }

    #[test]
    fn a_private_contact_behind_a_public_address_is_reached_by_the_flow() {
        let hop = |text: &str| Uri::parse(text).unwrap();
        let public = flow(Transport::Udp, "198.51.100.7:5060");
        assert!(is_on_flow(&hop("sip:x@198.51.100.7"), &public));
        assert!(is_on_flow(&hop("sip:x@10.0.0.4:5070"), &public));
        assert!(!is_on_flow(&hop("sip:x@198.51.100.8"), &public));
        assert!(!is_on_flow(&hop("sip:x@198.51.100.7;transport=tcp"), &public));
        assert!(!is_on_flow(&hop("sip:x@sbc.example"), &public));
        let stream = flow(Transport::Tcp, "198.51.100.7:41234");
        assert!(is_on_flow(&hop("sip:x@198.51.100.7;transport=tcp"), &stream));
        assert!(!is_on_flow(&hop("sip:x@198.51.100.7;transport=udp"), &stream));
        assert!(!is_on_flow(
            &hop("sip:x@10.0.0.4:5070"),
            &flow(Transport::Udp, "10.0.0.5:5060")
        ));
    }
}

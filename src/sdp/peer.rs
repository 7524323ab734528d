//! What one audio m-line of the peer says: address, packet time, telephone events.

use super::codec::Payload;
use super::negotiate::Local;
use super::parse::{SdpError, Session};
use super::session::{Connection, Media};
use crate::media::command::{EventFormat, Remote, Xr};
use codecs::Codec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The packet times that our encoders and repacketiser work with, in ms.
pub(super) const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=60;
/// RFC 3551 4.2: the packet time of who says none, in ms.
const DEFAULT_PTIME_MS: u32 = 20;
/// The clock of telephone events that peers with one clock only have.
pub(super) const NARROWBAND_HZ: u32 = 8_000;

/// The telephone events that go with a codec, as `theirs` (we send) and `ours` (we receive) number them: those of its clock, so that
/// a stream has one timestamp clock, else those at 8 kHz, which is all that many peers have beside Opus.
pub(super) fn common_events(
    codec: Codec,
    ours: &[(u8, Payload)],
    theirs: &[(u8, Payload)],
) -> Option<(EventFormat, EventFormat)> {
    let of = |numbered: &[(u8, Payload)], clock| {
        let (payload_type, _) = *numbered
            .iter()
            .find(|(_, payload)| *payload == Payload::Events(clock))?;
        Some(EventFormat { payload_type, clock })
    };
    [codec.clock(), NARROWBAND_HZ]
        .into_iter()
        .find_map(|clock| Some((of(theirs, clock)?, of(ours, clock)?)))
}

/// Where a stream is to be sent; 0.0.0.0 and `::` mean nowhere.
pub(super) fn media_address<'t>(session: &Session<'t>, media: &Media<'t>, local: &Local) -> Result<IpAddr, SdpError> {
    let connection = session.connection(media).ok_or(SdpError::Malformed(
        "The stream has no c= line, neither of its own nor of the session.",
    ))?;
    if connection.is_unspecified() {
        return Ok(unspecified(local));
    }
    let addr = match connection {
        Connection::Ip(addr) => addr.to_canonical(),
        Connection::Name { .. } => {
            return Err(SdpError::NotAcceptable(
                "The c= line has a host name where this node needs an IP address.",
            ));
        }
        Connection::Other(_) => {
            return Err(SdpError::NotAcceptable(
                "The c= line has no address of the form IN IP4 or IN IP6 for one receiver.",
            ));
        }
    };
    if addr.is_multicast() || addr == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(SdpError::NotAcceptable(
            "The c= line has a multicast or broadcast address; media goes to one receiver.",
        ));
    }
    if addr.is_ipv4() != local.addr.is_ipv4() {
        return Err(SdpError::NotAcceptable(
            "The c= line and this side's media are of different IP versions.",
        ));
    }
    Ok(addr)
}

/// The address that nothing is sent to, of our IP version.
pub(super) fn unspecified(local: &Local) -> IpAddr {
    match local.addr {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// RTP and RTCP address of the peer, without what it wants reported: `a=rtcp` (RFC 3605) names another port, and perhaps another address.
pub(super) fn remote(addr: IpAddr, media: &Media<'_>, rtcp_mux: bool, signalling: IpAddr) -> Remote {
    let rtp = SocketAddr::new(addr, media.port);
    let next = SocketAddr::new(addr, media.port.checked_add(1).unwrap_or(media.port));
    let named = media.attribute("rtcp").and_then(|value| {
        let (port, address) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        let port = port.parse().ok().filter(|port| *port != 0)?;
        match Connection::parse(address) {
            Connection::Ip(other) if is_receiver_beside(other, addr) => Some(SocketAddr::new(other, port)),
            Connection::Ip(_) | Connection::Name { .. } | Connection::Other(_) => Some(SocketAddr::new(addr, port)),
        }
    });
    Remote {
        rtp,
        rtcp: if rtcp_mux { rtp } else { named.unwrap_or(next) },
        rtcp_mux,
        signalling,
        xr: Xr::default(),
        forks: false,
    }
}

/// An address that RTCP may go to although RTP goes to `addr`.
fn is_receiver_beside(other: IpAddr, addr: IpAddr) -> bool {
    let reachable = other.is_ipv4() == addr.is_ipv4() && !other.is_unspecified() && !addr.is_unspecified();
    reachable && !other.is_multicast() && other != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// The packet time that we send with, in ms: what the peer asks for, at most its maxptime, as our encoders can do it.
pub(super) fn ptime(media: &Media<'_>, codec: Codec) -> u8 {
    let read = |name| {
        let value: &str = media.attribute(name)?.trim();
        // RFC 8866 6.4 allows a fraction.
        value.split('.').next()?.parse::<u32>().ok().filter(|ms| *ms > 0)
    };
    let asked = read("ptime")
        .unwrap_or(DEFAULT_PTIME_MS)
        .min(read("maxptime").unwrap_or(u32::MAX));
    let ms = asked.clamp(*PTIME_MS.start(), *PTIME_MS.end()) / 10 * 10;
    let ms = match (codec, ms) {
        // RFC 6716 2.1.4: of these, 10, 20, 40 and 60 ms are one Opus frame.
        (Codec::Opus, 30) => 20,
        (Codec::Opus, 50) => 40,
        (Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722, ms) => ms,
    };
    u8::try_from(ms).expect("at most 60")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_time_is_the_peers() {
        for (rest, g711, opus) in [
            ("", 20, 20),
            ("a=ptime:10", 10, 10),
            ("a=ptime:30", 30, 20),
            ("a=ptime:40", 40, 40),
            ("a=ptime:50", 50, 40),
            ("a=ptime:60 ", 60, 60),
            ("a=ptime:25", 20, 20),
            ("a=ptime:5", 10, 10),
            ("a=ptime:120", 60, 60),
            ("a=ptime:0", 20, 20),
            ("a=ptime:20.5", 20, 20),
            ("a=ptime:long", 20, 20),
            ("a=ptime:99999999999", 20, 20),
            ("a=maxptime:10", 10, 10),
            ("a=ptime:60\na=maxptime:35", 30, 20),
        ] {
            let body = format!("v=0\nm=audio 1 RTP/AVP 0\n{rest}");
            let session = Session::parse(body.as_bytes()).unwrap();
            let of = |codec| ptime(&session.media[0], codec);
            assert_eq!(
                (of(Codec::Pcmu), of(Codec::Pcma), of(Codec::G722), of(Codec::Opus)),
                (g711, g711, g711, opus),
                "{rest}"
            );
        }
    }

    #[test]
    fn rtcp_goes_where_the_peer_says() {
        let addr: IpAddr = "192.0.2.20".parse().unwrap();
        for (rest, mux, rtcp) in [
            ("", false, "192.0.2.20:4001"),
            ("a=rtcp:53020", false, "192.0.2.20:53020"),
            ("a=rtcp:53020 IN IP4 192.0.2.99", false, "192.0.2.99:53020"),
            ("a=rtcp:9 IN IP4 0.0.0.0", false, "192.0.2.20:9"),
            ("a=rtcp:9 IN IP4 224.0.0.1", false, "192.0.2.20:9"),
            ("a=rtcp:9 IN IP6 2001:db8::1", false, "192.0.2.20:9"),
            ("a=rtcp:9 IN IP7 X", false, "192.0.2.20:9"),
            ("a=rtcp:0", false, "192.0.2.20:4001"),
            ("a=rtcp:many", false, "192.0.2.20:4001"),
            ("a=rtcp:53020", true, "192.0.2.20:4000"),
        ] {
            let body = format!("v=0\nm=audio 4000 RTP/AVP 0\n{rest}");
            let session = Session::parse(body.as_bytes()).unwrap();
            let remote = remote(addr, &session.media[0], mux, addr);
            assert_eq!((remote.rtcp, remote.rtcp_mux), (rtcp.parse().unwrap(), mux), "{rest}");
        }
        let last = Session::parse(b"v=0\nm=audio 65535 RTP/AVP 0").unwrap();
        assert_eq!(remote(addr, &last.media[0], false, addr).rtcp.port(), 65_535);
    }
}

//! What one audio m-line of the peer says: profile, address, packet time, telephone events.

use super::codec::{Format, Payload};
use super::negotiate::Local;
use super::parse::{SdpError, Session};
use super::session::{Connection, Media};
use crate::media::command::{EventFormat, Remote};
use codecs::Codec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The packet times that our encoders and repacketiser work with, in ms.
pub(super) const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=60;
/// RFC 3551 4.2: the packet time of who says none, in ms.
const DEFAULT_PTIME_MS: u32 = 20;
/// The clock of telephone events that peers with one clock only have.
pub(super) const NARROWBAND_HZ: u32 = 8_000;

/// Only RTP in the clear is negotiated; an `a=crypto` beside RTP/AVP is an offer to do more, which we may leave (RFC 4568 5.1.2).
pub(super) fn check_profile(media: &Media) -> Result<(), SdpError> {
    if media.proto.is_plain() {
        Ok(())
    } else if media.proto.is_secure() {
        Err(SdpError::NotAcceptable(
            "The audio stream is SRTP (SAVP or SAVPF), this node speaks RTP/AVP and RTP/AVPF.",
        ))
    } else {
        Err(SdpError::NotAcceptable(
            "The transport of the audio stream is neither RTP/AVP nor RTP/AVPF.",
        ))
    }
}

/// The telephone events that go with a codec, as `theirs` (we send) and `ours` (we receive) number them: those of its clock
/// (RFC 4733 2.4.1), else those at 8 kHz, which is what many peers have beside Opus.
pub(super) fn common_events(
    codec: Codec,
    ours: &[Format<'_>],
    theirs: &[Format<'_>],
) -> Option<(EventFormat, EventFormat)> {
    let of = |formats: &[Format<'_>], clock| {
        let format = formats.iter().find(|format| format.payload == Payload::Events(clock))?;
        Some(EventFormat {
            payload_type: format.payload_type,
            clock,
        })
    };
    [codec.clock(), NARROWBAND_HZ]
        .into_iter()
        .find_map(|clock| Some((of(theirs, clock)?, of(ours, clock)?)))
}

/// Where a stream is to be sent; 0.0.0.0 and `::` mean nowhere.
pub(super) fn media_address(session: &Session, media: &Media, local: &Local) -> Result<IpAddr, SdpError> {
    let connection = session.connection(media).ok_or(SdpError::Malformed(
        "The audio stream has no c= line, neither of its own nor of the session.",
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

/// RTP and RTCP address of the peer: `a=rtcp` (RFC 3605) names another port, and perhaps another address.
pub(super) fn remote(addr: IpAddr, media: &Media, rtcp_mux: bool, signalling: IpAddr) -> Remote {
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
    }
}

/// An address that RTCP may go to although RTP goes to `addr`.
fn is_receiver_beside(other: IpAddr, addr: IpAddr) -> bool {
    let reachable = other.is_ipv4() == addr.is_ipv4() && !other.is_unspecified() && !addr.is_unspecified();
    reachable && !other.is_multicast() && other != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// The packet time that we send with, in ms: what the peer asks for, at most its maxptime, as our encoders can do it.
pub(super) fn ptime(media: &Media, codec: Codec) -> u8 {
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
        // RFC 6716 2.1.4: there are Opus frames of 10, 20, 40 and 60 ms.
        (Codec::Opus, 30) => 20,
        (Codec::Opus, 50) => 40,
        (Codec::Opus | Codec::Pcmu | Codec::Pcma, ms) => ms,
    };
    u8::try_from(ms).expect("at most 60")
}

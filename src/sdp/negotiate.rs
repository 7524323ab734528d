//! Offer and answer (RFC 3264) for one audio stream, as a pure function of offer, policy and leg.

use super::parse::{SdpError, Session};
use crate::media::command::{OpusParams, Remote, Stream};
use codecs::Codec;
use std::net::IpAddr;

/// Direction of a stream, seen from the side that says it (RFC 3264 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send only: the other side is on hold.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// What we can do on a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// Telephone events (RFC 4733), one per clock rate.
    pub events: bool,
    /// The packet time that we prefer to receive, in ms.
    pub ptime_ms: u8,
    /// How we encode Opus where the peer does not limit it.
    pub opus: OpusParams,
}

/// Our end of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address that we write into `c=` (advertised).
    pub addr: IpAddr,
    /// The RTP port that we write into `m=`.
    pub port: u16,
    /// `o=` session id: the same for the life of a leg.
    pub session_id: u64,
    /// `o=` version: one more whenever the description changes (RFC 3264 8).
    pub version: u64,
    /// What we want to do.
    pub direction: Direction,
}

/// What an offer and its answer agreed on, seen from us.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    /// Where the peer wants its media (`signalling` is filled in by the caller's argument).
    pub remote: Remote,
    /// What is spoken; `sends` and `receives` follow the directions.
    pub stream: Stream,
    /// Our direction.
    pub direction: Direction,
    /// The peer has put us on hold: its direction is sendonly or inactive, or its address is 0.0.0.0 (RFC 3264 8.4).
    pub held_by_peer: bool,
}

/// An offer. With `previous` (our last description of this leg) the m-lines keep their number, order and payload types
/// (RFC 3264 8).
pub fn offer(local: &Local, capabilities: &Capabilities, previous: Option<&Session>) -> Session {
    let _ = (local, capabilities, previous);
    todo!()
}

/// Our answer to an offer: the first acceptable audio stream is taken, every other m-line is refused in its place with port 0
/// (RFC 3264 6). `signalling` is the address that the offer came from.
pub fn answer(
    offer: &Session,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<(Session, Agreed), SdpError> {
    let _ = (offer, local, capabilities, signalling);
    todo!()
}

/// The peer's answer to our offer.
pub fn complete(
    our_offer: &Session,
    answer: &Session,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<Agreed, SdpError> {
    let _ = (our_offer, answer, local, capabilities, signalling);
    todo!()
}

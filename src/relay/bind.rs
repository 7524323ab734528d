//! What is asked of an allocation: that it goes on, and with whom it may speak.

use super::allocation::Unbound;
use super::credentials::Who;
use super::fact::End;
use super::peers::Standing;
use super::request::Back;
use super::{Server, Timer, seconds};
use crate::stun::message::{ErrorCode, Message, Writer, kind};
use crate::time::Instant;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// RFC 8656 3.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// RFC 8656 12.2 ends at 0x4fff. Up to 0x7fff was RFC 5766 (11), and clients of it, coturn's among them, take any of these; nothing else that
/// begins so comes to us.
const CHANNELS: RangeInclusive<u16> = 0x4000..=0x7fff;

/// A number of four octets.
fn number(value: &[u8]) -> Result<u32, ErrorCode> {
    let octets = value.try_into().map_err(|_| ErrorCode::BAD_REQUEST)?;
    Ok(u32::from_be_bytes(octets))
}

/// REQUESTED-ADDRESS-FAMILY and its like: true for IPv6.
pub(super) fn family(value: &[u8]) -> Result<bool, ErrorCode> {
    match value {
        [1, _, _, _] => Ok(false),
        [2, _, _, _] => Ok(true),
        [_, _, _, _] => Err(ErrorCode::FAMILY_NOT_SUPPORTED),
        [..] => Err(ErrorCode::BAD_REQUEST),
    }
}

impl Server {
    /// How long an allocation lasts that asks for this (RFC 8656 7.2, 8.2); nothing where it asks for its end.
    pub(super) fn lifetime(&self, message: &Message<'_>) -> Result<Option<Duration>, ErrorCode> {
        let wished = message.covers(kind::LIFETIME).map(number).transpose()?;
        let wished = wished.map(|seconds| Duration::from_secs(seconds.into()));
        if wished == Some(Duration::ZERO) {
            return Ok(None);
        }
        let most = self.turn.lifetime.max(DEFAULT_LIFETIME);
        Ok(Some(wished.map_or(DEFAULT_LIFETIME, |wished| {
            wished.clamp(DEFAULT_LIFETIME, most)
        })))
    }

    /// RFC 8656 8.2.
    pub(super) fn refresh(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        back: &Back,
        who: &Who,
    ) -> Result<Writer, ErrorCode> {
        let at = self.own(back.client, who)?;
        let v6 = message.covers(kind::REQUESTED_ADDRESS_FAMILY).map(family).transpose()?;
        let allocation = &mut self.allocations[at as usize];
        if v6.is_some_and(|v6| allocation.relays[usize::from(v6)].is_none()) {
            return Err(ErrorCode::FAMILY_MISMATCH);
        }
        let lifetime = self.lifetime(message)?;
        let allocation = &mut self.allocations[at as usize];
        let mut writer = back.success();
        match (lifetime, v6) {
            (Some(lifetime), _) => {
                allocation.expires = now + lifetime;
                self.deadlines.set(Timer::Allocation(at), allocation.expires);
            }
            // One of two families goes, with all its peers (8.1).
            (None, Some(v6)) if allocation.relays[usize::from(!v6)].is_some() => {
                allocation.retain(|ip| ip.is_ipv6() != v6);
                if let Some(relay) = allocation.relays[usize::from(v6)].take() {
                    self.close(relay);
                }
                self.disconnect(at, |peer| peer.is_ipv6() == v6);
            }
            (None, _) => self.end(now, at, End::Asked),
        }
        let seconds = lifetime.map_or(0, |lifetime| lifetime.as_secs() as u32);
        writer.attribute(kind::LIFETIME, &seconds.to_be_bytes());
        Ok(writer)
    }

    /// RFC 8656 10.2. All of its peers get a permission, or none.
    pub(super) fn create_permission(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        back: &Back,
        who: &Who,
    ) -> Result<Writer, ErrorCode> {
        let at = self.own(back.client, who)?;
        let named = message.covered().filter(|(kind, _)| *kind == kind::XOR_PEER_ADDRESS);
        let peers: Option<Vec<SocketAddr>> = named.map(|(_, value)| message.unxored(value)).collect();
        let peers = peers.filter(|peers| !peers.is_empty()).ok_or(ErrorCode::BAD_REQUEST)?;
        let mut standings = Vec::with_capacity(peers.len());
        for peer in &peers {
            standings.push(self.reachable(at, *peer)?);
        }
        let allocation = &mut self.allocations[at as usize];
        if !allocation.has_room(&peers, seconds(now)) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        for (peer, standing) in peers.iter().zip(standings) {
            allocation.permit(peer.ip(), standing, seconds(now));
        }
        Ok(back.success())
    }

    /// RFC 8656 12.2.
    pub(super) fn channel_bind(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        back: &Back,
        who: &Who,
    ) -> Result<Writer, ErrorCode> {
        let at = self.own(back.client, who)?;
        if self.allocations[at as usize].tcp {
            // Connections have no channels (RFC 6062 4.5).
            return Err(ErrorCode::BAD_REQUEST);
        }
        let channel = message
            .covers(kind::CHANNEL_NUMBER)
            .ok_or(ErrorCode::BAD_REQUEST)
            .and_then(number)?;
        let channel = (channel >> 16) as u16;
        let peer = message.covers(kind::XOR_PEER_ADDRESS);
        let peer = peer.and_then(|value| message.unxored(value));
        let peer = peer
            .filter(|_| CHANNELS.contains(&channel))
            .ok_or(ErrorCode::BAD_REQUEST)?;
        let standing = self.reachable(at, peer)?;
        if standing == Standing::Ours && !self.peers.is_open(peer) {
            self.counters.denied += 1;
            return Err(ErrorCode::FORBIDDEN);
        }
        let allocation = &mut self.allocations[at as usize];
        if !allocation.has_room(&[peer], seconds(now)) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        allocation
            .bind(channel, peer, seconds(now))
            .map_err(|unbound| match unbound {
                Unbound::Taken => ErrorCode::BAD_REQUEST,
                Unbound::Full => ErrorCode::INSUFFICIENT_CAPACITY,
            })?;
        allocation.permit(peer.ip(), standing, seconds(now));
        Ok(back.success())
    }

    /// Whether this allocation may speak with this address.
    fn reachable(&mut self, at: u32, peer: SocketAddr) -> Result<Standing, ErrorCode> {
        if self.allocations[at as usize].relay(peer.ip()).is_none() {
            return Err(ErrorCode::FAMILY_MISMATCH);
        }
        match self.peers.standing(peer.ip()) {
            Standing::Denied => {
                self.counters.denied += 1;
                Err(ErrorCode::FORBIDDEN)
            }
            standing @ (Standing::Open | Standing::Ours) => Ok(standing),
        }
    }
}

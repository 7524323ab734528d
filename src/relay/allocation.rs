//! One allocation (RFC 8656 2.2): who has it, and with whom it speaks.

use super::fact::Traffic;
use super::peers::Standing;
use super::rates::Cap;
use super::{Client, RelayId};
use crate::limits;
use crate::time::Instant;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// RFC 8656 9.
const PERMISSION: u32 = 300;
/// RFC 8656 12.
const CHANNEL: u32 = 600;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A peer in 19 octets; `SocketAddr` has 32, most of which no peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Peer {
    ip: IpAddr,
    port: [u8; 2],
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Peer {
        Peer {
            ip: addr.ip(),
            port: addr.port().to_be_bytes(),
        }
    }
}

impl From<Peer> for SocketAddr {
    fn from(peer: Peer) -> SocketAddr {
        SocketAddr::new(peer.ip, u16::from_be_bytes(peer.port))
    }
}

/// See there. Its tables are those of one client, and short: whom a client of ours puts there can slow down nobody else.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) client: Client,
    pub(super) user: Box<str>,
    /// Octets of the user name before the name that is counted.
    pub(super) account_at: u16,
    /// Of the request that made it, to know it again.
    pub(super) transaction: [u8; 12],
    /// Of the port that was reserved with it.
    pub(super) token: Option<u64>,
    /// Of IPv4 and of IPv6.
    pub(super) relays: [Option<RelayId>; 2],
    /// These are for connections (RFC 6062), and not for datagrams.
    pub(super) tcp: bool,
    pub(super) began: Instant,
    pub(super) expires: Instant,
    pub(super) caps: [Cap; 2],
    pub(super) traffic: [Traffic; 2],
    permissions: Map<IpAddr, Permission>,
    channels: Map<u16, Channel>,
    numbers: Map<Peer, u16>,
}

/// Until when, in seconds since the start.
#[derive(Clone, Copy, Debug)]
struct Permission {
    until: u32,
    /// The address is ours: not all its ports may be reached.
    ours: bool,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    peer: Peer,
    until: u32,
}

/// Why no channel is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbound {
    /// Number or peer belong to another one (RFC 8656 12.2).
    Taken,
    /// There are too many.
    Full,
}

impl Allocation {
    pub(super) fn new(
        client: Client,
        user: Box<str>,
        account_at: u16,
        transaction: [u8; 12],
        now: Instant,
    ) -> Allocation {
        Allocation {
            client,
            user,
            account_at,
            transaction,
            token: None,
            relays: [None; 2],
            tcp: false,
            began: now,
            expires: now,
            caps: [Cap::default(); 2],
            traffic: [Traffic::default(); 2],
            permissions: Map::default(),
            channels: Map::default(),
            numbers: Map::default(),
        }
    }

    pub(super) fn account(&self) -> &str {
        &self.user[usize::from(self.account_at)..]
    }

    /// The relayed address for a peer, by the peer's family.
    pub(super) fn relay(&self, peer: IpAddr) -> Option<RelayId> {
        self.relays[usize::from(peer.is_ipv6())]
    }

    /// True if there is a permission for this address; and whether the address is ours.
    pub(super) fn permits(&self, peer: IpAddr, seconds: u32) -> Option<bool> {
        let permission = self.permissions.get(&peer)?;
        (permission.until > seconds).then_some(permission.ours)
    }

    /// Whether so many more addresses find room.
    pub(super) fn has_room(&mut self, peers: &[SocketAddr], seconds: u32) -> bool {
        let mut new: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
        new.retain(|ip| !self.permissions.contains_key(ip));
        new.sort_unstable();
        new.dedup();
        if self.permissions.len() + new.len() > limits::RELAY_PERMISSIONS {
            self.permissions.retain(|_, permission| permission.until > seconds);
        }
        self.permissions.len() + new.len() <= limits::RELAY_PERMISSIONS
    }

    /// Adds or refreshes a permission, for which there is room.
    pub(super) fn permit(&mut self, peer: IpAddr, standing: Standing, seconds: u32) {
        let permission = Permission {
            until: seconds + PERMISSION,
            ours: standing == Standing::Ours,
        };
        self.permissions.insert(peer, permission);
    }

    /// The peer of a channel.
    pub(super) fn peer(&self, number: u16, seconds: u32) -> Option<SocketAddr> {
        let channel = self.channels.get(&number)?;
        (channel.until > seconds).then_some(channel.peer.into())
    }

    /// The channel of a peer.
    pub(super) fn number(&self, peer: SocketAddr, seconds: u32) -> Option<u16> {
        let number = *self.numbers.get(&peer.into())?;
        self.peer(number, seconds).map(|_| number)
    }

    /// Adds or refreshes a channel.
    pub(super) fn bind(&mut self, number: u16, peer: SocketAddr, seconds: u32) -> Result<(), Unbound> {
        let other_peer = self.peer(number, seconds).is_some_and(|bound| bound != peer);
        let other_number = self.number(peer, seconds).is_some_and(|bound| bound != number);
        if other_peer || other_number {
            return Err(Unbound::Taken);
        }
        self.channels
            .retain(|own, channel| channel.until > seconds && *own != number);
        let (channels, peer) = (&self.channels, peer.into());
        self.numbers
            .retain(|own, number| channels.contains_key(number) && *own != peer);
        if self.channels.len() >= limits::RELAY_CHANNELS {
            return Err(Unbound::Full);
        }
        let until = seconds + CHANNEL;
        self.channels.insert(number, Channel { peer, until });
        self.numbers.insert(peer, number);
        Ok(())
    }

    /// Forgets those peers that do not fit.
    pub(super) fn retain(&mut self, fits: impl Fn(IpAddr) -> bool) {
        self.permissions.retain(|ip, _| fits(*ip));
        self.channels.retain(|_, channel| fits(channel.peer.ip));
        self.numbers.retain(|peer, _| fits(peer.ip));
    }
}

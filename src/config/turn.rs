//! `turn`: STUN and TURN for those behind NATs.

use super::checked::{Config, Listen};
use super::network::Network;
use crate::pii::Secret;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Who has relayed addresses, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What only a restart can change.
    pub doors: TurnDoors,
    /// In whose name passwords are asked for.
    pub realm: String,
    /// What passwords that hold for a time are made of.
    pub secret: Option<Secret>,
    /// Those with a password of their own.
    pub users: Vec<TurnUser>,
    /// Allocations at once.
    pub allocations: usize,
    /// Of them those of one user.
    pub per_user: usize,
    /// Of one allocation, in each direction, in kbit/s; none: no limit.
    pub bandwidth: Option<u64>,
    /// The longest that an allocation lasts without being refreshed.
    pub lifetime: Duration,
    /// Clients on a stream may have connections with their peers (RFC 6062).
    pub tcp_peers: bool,
    /// No peers, besides those that never are.
    pub denied: Vec<Network>,
    /// Peers, although they are private.
    pub allowed: Vec<Network>,
    /// What the configuration has of our own addresses.
    pub own: Own,
}

/// Where it is reached, and what is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnDoors {
    /// By UDP, TCP or TLS.
    pub listen: Vec<Listen>,
    /// Relayed addresses: one of IPv4, one of IPv6, or one of the two.
    pub addresses: Vec<IpAddr>,
    /// As others see them, of the same families.
    pub external: Vec<IpAddr>,
    /// The lowest relayed port.
    pub first_port: u16,
    /// The highest.
    pub last_port: u16,
}

/// One of `turn.users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnUser {
    /// `name`.
    pub name: String,
    /// `password`.
    pub password: Secret,
}

/// Ourselves as a peer: media and relayed ports may be reached, all others not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Our addresses that the file names. Those of this machine's interfaces are ours too.
    pub addresses: Vec<IpAddr>,
    /// Where media is bound, by family, and the same address as others see it; the wildcard is all of our addresses of its family.
    pub media: Vec<(IpAddr, IpAddr)>,
    /// At which ports.
    pub media_ports: (u16, u16),
    /// Where others come to us, by whatever protocol.
    pub listeners: Vec<SocketAddr>,
}

impl Config {
    /// Takes over from `old` where TURN is reached, which only a restart can change.
    pub fn keep_turn(&mut self, old: &Config) {
        match (&mut self.turn, &old.turn) {
            (Some(new), Some(old)) => new.doors.clone_from(&old.doors),
            (new, old) => new.clone_from(old),
        }
    }
}

//! What is told of the relay: facts for the log, counters for those who look.

use super::Client;
use std::net::SocketAddr;
use std::time::Duration;

/// Something has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A client has a relayed address now.
    Began {
        /// Its user name.
        user: Box<str>,
        /// Who.
        client: Client,
        /// Its relayed addresses as others see them.
        relayed: Vec<SocketAddr>,
    },
    /// It has none any more.
    Ended {
        /// Its user name.
        user: Box<str>,
        /// Who.
        client: Client,
        /// Why.
        why: End,
        /// How long it had it.
        lasted: Duration,
        /// From it to its peers, and back: packets and octets.
        relayed: [Traffic; 2],
    },
    /// A user who has proved who he is did not get what he asked for.
    Refused {
        /// His user name.
        user: Box<str>,
        /// Who.
        client: Client,
        /// The error code.
        code: u16,
    },
}

/// Why an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its client said so.
    Asked,
    /// Its client did not refresh it.
    Expired,
    /// The connection of its client was closed.
    Closed,
}

/// How much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Octets of data in them.
    pub octets: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Binding requests that were answered.
    pub bindings: u64,
    /// Allocations begun.
    pub begun: u64,
    /// Requests that were asked for a password, or for a new nonce (401, 438).
    pub challenged: u64,
    /// Those of them whose password was wrong, or of an unknown user, or has ended.
    pub wrong: u64,
    /// Requests that were refused by another error.
    pub refused: u64,
    /// From clients to their peers.
    pub to_peers: Traffic,
    /// Back.
    pub to_clients: Traffic,
    /// Data for or from a peer without a permission or channel.
    pub unpermitted: u64,
    /// Permissions, channels and data for peers that are not to be reached.
    pub denied: u64,
    /// Data beyond the bandwidth of its allocation.
    pub over: u64,
    /// Data of those who have no allocation.
    pub strange: u64,
    /// What is neither STUN nor ChannelData, or not whole.
    pub broken: u64,
    /// Requests of those who have shown nothing, beyond the rate of their host or of all.
    pub unanswered: u64,
    /// Requests of a user beyond his rate, which were not done.
    pub hurried: u64,
    /// Requests of hosts that have guessed wrong too often in a second, whose password was not checked.
    pub guessed: u64,
}

/// How many there are.
pub const COUNTERS: usize = 17;

impl Counters {
    /// Each with its words.
    pub fn words(&self) -> [(u64, &'static str); COUNTERS] {
        [
            (self.bindings, "STUN requests answered"),
            (self.begun, "TURN allocations begun"),
            (self.to_peers.packets, "packets relayed from clients"),
            (self.to_peers.octets, "octets of theirs"),
            (self.to_clients.packets, "packets relayed to clients"),
            (self.to_clients.octets, "octets of theirs"),
            (self.challenged, "requests asked for a password"),
            (self.wrong, "of them with a wrong one, or one that has ended"),
            (self.refused, "requests refused"),
            (self.unpermitted, "packets of peers without a permission"),
            (self.denied, "attempts to reach a denied peer"),
            (self.over, "packets beyond the bandwidth of their allocation"),
            (self.strange, "packets without an allocation"),
            (self.broken, "messages that are no STUN"),
            (self.unanswered, "requests of strangers beyond the rate"),
            (self.hurried, "requests of users beyond the rate"),
            (
                self.guessed,
                "requests of hosts that had wrong passwords beyond the rate",
            ),
        ]
    }
}

//! `ng`, and which addresses media has.

use super::checked::{Config, Media};
use super::network::Network;
use crate::id::{Flow, WorkerId};
use crate::media::command::OpusParams;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `ng`: who may bring the media of its calls by rtpengine's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ng {
    /// Where commands are taken.
    pub listen: SocketAddr,
    /// From whom; where nothing is written, this machine.
    pub allow: Vec<Network>,
    /// A call from none of whose sides anything has come for this long is over.
    pub timeout: Duration,
}

impl Ng {
    /// True for an address that may send commands.
    pub fn hears(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(ip))
    }
}

impl Media {
    /// The port that browsers on this worker share, if they do.
    pub fn shared_port_of(&self, worker: WorkerId) -> Option<u16> {
        self.shared_port?.checked_add(2 * worker.0)
    }

    /// There are ports that are bound once, at the start.
    pub fn has_doors(&self) -> bool {
        self.shared_port.is_some() || self.browser_tcp.is_some()
    }

    /// The first port that one leg has for itself.
    pub fn first_own_port(&self) -> u16 {
        let shared = match self.shared_port {
            Some(_) => u16::try_from(2 * self.workers).unwrap_or(u16::MAX),
            None => 0,
        };
        self.first_port.next_multiple_of(2).saturating_add(shared)
    }

    /// Takes over from `old` what only a restart can change.
    pub fn keep(&mut self, old: &Media) {
        self.workers = old.workers;
        self.shared_port = old.shared_port;
        self.browser_tcp = old.browser_tcp;
        if old.has_doors() {
            // Whatever browsers are told, their port is there.
            self.address = old.address;
        }
    }
}

impl Config {
    /// Our address as the peer of a flow sees it, for media, whose sockets may be bound to another address than that of signalling.
    pub fn own_media_address(&self, local: IpAddr) -> IpAddr {
        let fits = |addr: &IpAddr| addr.is_ipv4() == local.is_ipv4() && !addr.is_unspecified();
        self.own_address(self.media.address.filter(fits).unwrap_or(local))
    }

    /// The same of a flow that need not leave the node: a client of the HTTP API whose proxy is on this host has to be told an address that others
    /// reach.
    pub fn own_media_address_on(&self, flow: Flow) -> IpAddr {
        let local = flow.local.ip();
        if !flow.is_inside() || !local.is_loopback() {
            return self.own_media_address(local);
        }
        let own = [local.is_ipv6(), !local.is_ipv6()];
        let own = own.into_iter().find_map(|v6| self.media_address(v6));
        own.unwrap_or(local)
    }

    /// The same where there is no flow: of this family, if we have one that can be written down.
    pub fn media_address(&self, v6: bool) -> Option<IpAddr> {
        let listeners = self.listen.iter().map(|listen| listen.addr.ip());
        let own = self.advertise.into_iter().chain(self.media.address).chain(listeners);
        own.into_iter()
            .find(|addr| addr.is_ipv6() == v6 && !addr.is_unspecified())
    }

    /// Takes over from `old` where NG is taken, which only a restart can change.
    pub fn keep_ng(&mut self, old: &Config) {
        match (&mut self.ng, &old.ng) {
            (Some(new), Some(old)) => new.listen = old.listen,
            (new, old) => new.clone_from(old),
        }
    }
}

impl Media {
    /// How Opus is encoded where the peer does not limit it.
    pub fn opus(&self) -> OpusParams {
        OpusParams {
            bitrate: self.opus_bitrate,
            complexity: self.opus_complexity,
            dtx: self.opus_dtx,
            ..OpusParams::default()
        }
    }
}

//! The packet path: nothing here takes memory, and nothing is told but by counters.

use super::packet::{HEAD, Packet};
use super::{Client, RelayId, Server, Way, seconds};
use crate::stun::indication;
use crate::stun::message::{Class, Message, kind, method};
use crate::time::{Clock, Instant};
use rand_chacha::rand_core::RngCore;
use std::net::SocketAddr;
use std::ops::Range;

/// Octets before the data of a ChannelData message.
const CHANNEL_HEAD: usize = 4;

/// What a packet of a client is for.
enum Meant {
    Channel(u16, usize),
    Send(SocketAddr, Range<usize>),
    Request,
    Nothing,
}

impl Server {
    /// Something has come from a client: a datagram, or a message of a stream ([`frame`](super::frame)).
    pub fn from_client(&mut self, at: Clock, client: Client, packet: &mut Packet) -> Way {
        match meaning(packet) {
            Meant::Channel(number, length) => self.channel_data(at.now, client, number, length, packet),
            Meant::Send(peer, data) => self.send(at.now, client, peer, data, packet),
            Meant::Request => {
                self.request(at, client, packet.octets());
                Way::Nowhere
            }
            Meant::Nothing => {
                self.counters.broken += 1;
                Way::Nowhere
            }
        }
    }

    /// RFC 8656 12.6.
    fn channel_data(&mut self, now: Instant, client: Client, number: u16, length: usize, packet: &mut Packet) -> Way {
        let Some(at) = self.by_client.get(&client.tuple()) else {
            self.counters.strange += 1;
            return Way::Nowhere;
        };
        let Some(peer) = self.allocations[*at as usize].peer(number, seconds(now)) else {
            self.counters.unpermitted += 1;
            return Way::Nowhere;
        };
        let at = *at;
        self.pass_on(now, at, peer, CHANNEL_HEAD..CHANNEL_HEAD + length, packet)
    }

    /// RFC 8656 11.2.
    fn send(&mut self, now: Instant, client: Client, peer: SocketAddr, data: Range<usize>, packet: &mut Packet) -> Way {
        let Some(at) = self.by_client.get(&client.tuple()).copied() else {
            self.counters.strange += 1;
            return Way::Nowhere;
        };
        match self.allocations[at as usize].permits(peer.ip(), seconds(now)) {
            None => {
                self.counters.unpermitted += 1;
                Way::Nowhere
            }
            Some(true) if !self.peers.is_open(peer) => {
                self.counters.denied += 1;
                Way::Nowhere
            }
            Some(_) => self.pass_on(now, at, peer, data, packet),
        }
    }

    fn pass_on(&mut self, now: Instant, at: u32, peer: SocketAddr, data: Range<usize>, packet: &mut Packet) -> Way {
        let allocation = &mut self.allocations[at as usize];
        let Some(relay) = allocation.relay(peer.ip()).filter(|_| !allocation.tcp) else {
            self.counters.unpermitted += 1;
            return Way::Nowhere;
        };
        if !allocation.caps[0].take(now, data.len(), self.turn.bandwidth) {
            self.counters.over += 1;
            return Way::Nowhere;
        }
        allocation.traffic[0].add(data.len());
        self.counters.to_peers.add(data.len());
        packet.keep(data.start, data.len());
        let inward = self.peers.inward(peer);
        match self.peers.is_media(peer) {
            true => Way::Media(relay, inward),
            false => Way::Peer(relay, inward),
        }
    }

    /// A datagram has come to a relayed address (RFC 8656 11.3, 12.7).
    pub fn from_peer(&mut self, now: Instant, relay: RelayId, from: SocketAddr, packet: &mut Packet) -> Way {
        let owner = self.relays.get(relay.0 as usize).and_then(|relay| relay.owner);
        let allocation = owner.and_then(|at| self.allocations.get_mut(at as usize));
        let Some(allocation) = allocation.filter(|_| !packet.is_too_long()) else {
            self.counters.strange += 1;
            return Way::Nowhere;
        };
        let from = self.peers.outward(from);
        if allocation.permits(from.ip(), seconds(now)).is_none() {
            self.counters.unpermitted += 1;
            return Way::Nowhere;
        }
        let length = packet.octets().len();
        if !allocation.caps[1].take(now, length, self.turn.bandwidth) {
            self.counters.over += 1;
            return Way::Nowhere;
        }
        allocation.traffic[1].add(length);
        self.counters.to_clients.add(length);
        // What came is at most `limits::RELAY_MESSAGE_BYTES`.
        let short = length as u16;
        match allocation.number(from, seconds(now)) {
            Some(number) => {
                let mut head = [0; CHANNEL_HEAD];
                head[..2].copy_from_slice(&number.to_be_bytes());
                head[2..].copy_from_slice(&short.to_be_bytes());
                packet.put_before(&head);
                if allocation.client.is_stream() {
                    packet.pad();
                }
            }
            None => {
                let mut transaction = [0; 12];
                self.rng.fill_bytes(&mut transaction);
                let mut head = [0; HEAD];
                let taken = indication::data(transaction, from, short, &mut head);
                packet.put_before(&head[..taken]);
                packet.pad();
            }
        }
        Way::Client(allocation.client)
    }
}

fn meaning(packet: &Packet) -> Meant {
    let octets = packet.octets();
    let Some(head) = octets.first_chunk::<CHANNEL_HEAD>().filter(|_| !packet.is_too_long()) else {
        return Meant::Nothing;
    };
    match head[0] >> 6 {
        0b00 => stun(octets).unwrap_or(Meant::Nothing),
        0b01 => {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            // Behind it may be padding, by datagrams too (RFC 8656 12.5).
            match octets.len() >= CHANNEL_HEAD + length {
                true => Meant::Channel(u16::from_be_bytes([head[0], head[1]]), length),
                false => Meant::Nothing,
            }
        }
        _no_kind => Meant::Nothing,
    }
}

fn stun(octets: &[u8]) -> Option<Meant> {
    let message = Message::parse(octets).filter(|message| message.fingerprint() != Some(false))?;
    match (message.class, message.method) {
        (Class::Request, _) => Some(Meant::Request),
        (Class::Indication, method::SEND) => {
            // What must be understood and is not makes it worth nothing (RFC 8489 6.3.2), DONT-FRAGMENT among it (RFC 8656 11.2).
            let known = [kind::XOR_PEER_ADDRESS, kind::DATA];
            if message
                .attributes()
                .any(|(kind, _)| kind < 0x8000 && !known.contains(&kind))
            {
                return None;
            }
            let peer = message.unxored(message.get(kind::XOR_PEER_ADDRESS)?)?;
            Some(Meant::Send(peer, message.place(kind::DATA)?))
        }
        // A keep-alive, or what no client sends.
        (Class::Indication | Class::Success | Class::Error, _) => None,
    }
}

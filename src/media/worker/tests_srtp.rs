//! A peer whose packets are sealed, and one whose are not: they hear one another, and nobody else is heard.

use super::sim::*;
use super::*;
use crate::media::command::{Command, Keys, MasterKey, Remote, Suite, Xr};
use crate::media::srtp::{Fault, Opener, Sealer};
use codecs::Codec;
use std::net::SocketAddr;
use std::time::Duration;

fn key(suite: Suite, first: u8) -> MasterKey {
    MasterKey::new(suite, &vec![first; suite.key_octets() + suite.salt_octets()]).unwrap()
}

/// A peer, and its end of the keys.
struct Secure {
    peer: Peer,
    ours: MasterKey,
    theirs: MasterKey,
    sealer: Sealer,
    opener: Opener,
}

impl Secure {
    fn new(world: &mut World, n: u8, codec: Codec, suite: Suite) -> Secure {
        let peer = world.peer(n, stream(codec), 1_000.0);
        let (ours, theirs) = (key(suite, 2 * n), key(suite, 2 * n + 1));
        let end = Keys::new(theirs.clone(), vec![ours.clone()]).unwrap();
        let secure = Secure {
            peer,
            ours,
            theirs,
            sealer: Sealer::new(&end),
            opener: Opener::new(&end),
        };
        secure.protect(world);
        secure
    }

    /// As signalling does it before each negotiation.
    fn protect(&self, world: &mut World) {
        let keys = Keys::new(self.ours.clone(), vec![self.theirs.clone()]).map(Box::new);
        assert!(keys.is_some());
        let leg = self.peer.leg;
        world.command(Command::Protect { leg, keys });
    }

    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut packet = [plain, &[0; 32]].concat();
        let len = self.sealer.rtp(&mut packet, plain.len()).unwrap();
        packet.truncate(len);
        packet
    }

    fn speak(&mut self) -> Vec<u8> {
        let plain = self.peer.speak();
        self.seal(&plain)
    }

    fn open(&mut self, heard: &Heard) -> Result<Heard, Fault> {
        let mut packet = vec![0x80, u8::from(heard.marker) << 7 | heard.payload_type];
        packet.extend(heard.sequence.to_be_bytes());
        packet.extend(heard.timestamp.to_be_bytes());
        packet.extend(heard.ssrc.to_be_bytes());
        packet.extend(&heard.payload);
        let len = self.opener.rtp(&mut packet)?;
        Ok(Heard {
            payload: packet[12..len].to_vec(),
            ..heard.clone()
        })
    }

    /// What came since it was asked last, opened.
    fn heard(&mut self, world: &mut World) -> Vec<Heard> {
        let packets = world.take(&self.peer);
        packets.iter().map(|packet| self.open(packet).unwrap()).collect()
    }
}

/// Both speak for so many packets; what each has heard then.
fn talk(world: &mut World, a: &mut Peer, b: &mut Secure, packets: usize) -> (Vec<Heard>, Vec<Heard>) {
    for _ in 0..packets {
        let (from_a, from_b) = (a.speak(), b.speak());
        world.deliver(a, &from_a);
        world.deliver(&b.peer, &from_b);
        world.tick();
    }
    (world.take(a), b.heard(world))
}

fn pair(world: &mut World, codecs: (Codec, Codec), suite: Suite) -> (Peer, Secure) {
    let a = world.peer(1, stream(codecs.0), 440.0);
    let b = Secure::new(world, 2, codecs.1, suite);
    world.bridge(&a, &b.peer);
    (a, b)
}

/// The sequence numbers of the sealed leg begin at 65,500: each run goes through a roll-over.
#[test]
fn rtp_and_srtp_are_bridged_relayed_and_transcoded() {
    for suite in Suite::ALL {
        for codecs in [(Codec::Pcma, Codec::Pcma), (Codec::Pcmu, Codec::Opus)] {
            let mut world = World::new();
            let (mut a, mut b) = pair(&mut world, codecs, suite);
            let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 100);
            assert_eq!((by_a.len(), by_b.len()), (100, 100), "{suite:?}");
            assert_run(&by_b, ours(2), b.peer.payload_type, 20 * codecs.1.clock() / 1_000, &[0]);
            for (codec, heard, hz) in [(codecs.0, &by_a, 1_000.0), (codecs.1, &by_b, 440.0)] {
                let level = level(&listen(codec, heard), hz);
                assert!((level + 10.0).abs() < 2.0, "{suite:?} {codec:?}: {level}");
            }
            let stats = world.stats(&b.peer);
            assert_eq!((stats.received, stats.sent, stats.dropped), (100, 100, 0));
        }
    }
}

/// The packet types of a compound packet (RFC 3550 6.1).
fn types(mut compound: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, kind, high, low, ..] = *compound {
        types.push(kind);
        let octets = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        compound = compound.get(octets..).expect("its length is true");
    }
    types
}

#[test]
fn reports_and_the_farewell_are_sealed_too() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, (Codec::Pcmu, Codec::Pcmu), Suite::AesCm128Sha1_80);
    let xr = Xr {
        metrics: true,
        round_trip: true,
    };
    world.command(Command::Negotiated {
        leg: b.peer.leg,
        remote: Remote {
            xr,
            ..remote(b.peer.address)
        },
        stream: stream(Codec::Pcmu),
    });
    talk(&mut world, &mut a, &mut b, 1_000);
    // Another key of ours: its RTCP goes on with the next index (RFC 3711 3.4).
    b.ours = key(Suite::AesCm128Sha1_80, 98);
    let end = Keys::new(b.theirs.clone(), vec![b.ours.clone()]).unwrap();
    let mut before = std::mem::replace(&mut b.opener, Opener::new(&end));
    b.protect(&mut world);
    let leg = b.peer.leg;
    world.command(Command::Close(leg));
    let to = SocketAddr::new(b.peer.address.ip(), b.peer.address.port() + 1);
    let reports = world.rtcp.remove(&to).unwrap();
    assert!(reports.len() > 2, "{}", reports.len());
    let last = reports.len() - 1;
    for (at, mut report) in reports.into_iter().enumerate() {
        let index = *report[report.len() - 14..].first_chunk::<4>().unwrap();
        assert_eq!(u32::from_be_bytes(index), 1 << 31 | at as u32);
        let opener = if at == last { &mut b.opener } else { &mut before };
        let len = opener.rtcp(&mut report).unwrap();
        let types = types(&report[..len]);
        assert_eq!(types.contains(&203), at == last, "RFC 3550 6.6: {types:?}");
        assert!(types.contains(&207), "RFC 3611: {types:?}");
    }
}

#[test]
fn what_is_not_sealed_by_the_agreed_key_is_neither_heard_nor_followed() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, (Codec::Pcmu, Codec::Pcmu), Suite::AeadAes128Gcm);
    talk(&mut world, &mut a, &mut b, 10);
    let clear = b.peer.speak();
    world.deliver(&b.peer, &clear);
    let stranger = SocketAddr::from(([127, 0, 0, 66], 6_666));
    world.receive(b.peer.leg, Channel::Rtp, stranger, &clear);
    // Its own packet sent on by a stranger, who has no other.
    let genuine = b.speak();
    // By the socket for RTCP, where it is not taken: that makes no copy of the packet itself.
    world.receive(b.peer.leg, Channel::Rtcp, stranger, &genuine);
    world.deliver(&b.peer, &genuine);
    world.receive(b.peer.leg, Channel::Rtp, stranger, &genuine);
    world.receive(
        b.peer.leg,
        Channel::Rtcp,
        b.peer.address,
        &[0x80, 201, 0, 1, 0, 0, 0, 2],
    );
    let stats = world.stats(&b.peer);
    assert_eq!(
        (stats.received, stats.dropped, stats.forged, stats.strangers),
        (11, 5, 2, 0)
    );
    let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 10);
    assert_eq!((by_a.len(), by_b.len()), (11, 10));
    assert!(!world.rtp.contains_key(&stranger));
}

/// Whoever has the key is the peer, wherever it is now: a phone that went from one network to another.
#[test]
fn a_peer_that_moves_is_known_by_its_key() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, (Codec::Pcmu, Codec::Pcmu), Suite::AesCm128Sha1_80);
    talk(&mut world, &mut a, &mut b, 10);
    let held_back = b.speak();
    let old = b.peer.address;
    b.peer.address = SocketAddr::from(([127, 0, 9, 9], 9_000));
    let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 30);
    assert_eq!(
        (by_a.len(), by_b.len()),
        (21, 20),
        "for a fifth of a second it could be a copy"
    );
    // What comes late from where it was is its own, and turns nothing around.
    world.receive(b.peer.leg, Channel::Rtp, old, &held_back);
    world.rtp.remove(&old);
    let (_, by_b) = talk(&mut world, &mut a, &mut b, 10);
    assert_eq!(by_b.len(), 10);
    assert!(!world.rtp.contains_key(&old));
}

/// RFC 3711 3.3.1, RFC 4568 7.1.4: with the same key the counters go on, with a new one they begin anew.
#[test]
fn the_same_key_goes_on_and_a_new_one_begins_anew() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, (Codec::Pcmu, Codec::Pcmu), Suite::AesCm128Sha1_80);
    talk(&mut world, &mut a, &mut b, 100);
    let seen = b.speak();
    world.deliver(&b.peer, &seen);
    // A refresh: the roll-over counter, which is 1 by now, and what was seen are as before.
    b.protect(&mut world);
    world.negotiate(&b.peer, stream(Codec::Pcmu));
    world.deliver(&b.peer, &seen);
    assert_eq!(world.stats(&b.peer).dropped, 1);
    let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 10);
    assert_eq!((by_a.len(), by_b.len()), (11, 10));
    // The peer has a new key for what it sends, and ours is as it was.
    b.theirs = key(Suite::AesCm128Sha1_80, 99);
    let end = Keys::new(b.theirs.clone(), vec![b.ours.clone()]).unwrap();
    b.sealer = Sealer::new(&end);
    b.protect(&mut world);
    let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 10);
    assert_eq!((by_a.len(), by_b.len()), (10, 10));
    // Now ours: the peer opens by a counter of 0.
    b.ours = key(Suite::AesCm128Sha1_80, 98);
    let end = Keys::new(b.theirs.clone(), vec![b.ours.clone()]).unwrap();
    b.opener = Opener::new(&end);
    b.protect(&mut world);
    let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 10);
    assert_eq!((by_a.len(), by_b.len()), (10, 10));
    // And none.
    let leg = b.peer.leg;
    world.command(Command::Protect { leg, keys: None });
    let clear = b.peer.speak();
    world.deliver(&b.peer, &clear);
    assert_eq!(world.take(&a).len(), 1);
}

/// Keys and counters go along when a leg moves to another worker.
#[test]
fn a_leg_that_moves_takes_its_keys_along() {
    let mut world = World::new();
    let (mut a, mut b) = pair(&mut world, (Codec::Pcmu, Codec::Pcmu), Suite::AeadAes256Gcm);
    talk(&mut world, &mut a, &mut b, 100);
    let leg = b.peer.leg;
    world.command(Command::Move { leg, to: HERE });
    let taken = world
        .others
        .iter()
        .position(|output| matches!(output, Output::Taken { .. }));
    let Some(Output::Taken { leg: moving, .. }) = taken.map(|at| world.others.remove(at)) else {
        panic!("the leg was not taken")
    };
    world.input(Input::Give(moving));
    world.bridge(&a, &b.peer);
    world.now += Duration::from_millis(100);
    let (by_a, by_b) = talk(&mut world, &mut a, &mut b, 10);
    assert_eq!((by_a.len(), by_b.len()), (10, 10));
}

//! SRTP from one end to another, by an input that says what happens on the way: packets are sealed and lost, altered, cut, put together,
//! copied, held back, rolled over, by several keys with identifiers, from several sources.
//!
//! What is taken was sealed by the other end, is what it was, and was not taken before. What was sealed and comes in time is taken,
//! whatever came between: nothing is learned from a forgery.

use super::node::Reader;
use std::collections::BTreeMap;
use tandem::limits;
use tandem::media::command::{Keys, MasterKey, Suite};
use tandem::media::srtp::{Opener, Sealer};

/// Steps of one input.
const STEPS: usize = 200;
/// Sources: fewer than are remembered.
const SOURCES: usize = 3;
/// How far behind the newest a packet is taken at least (RFC 3711 3.3.2).
const WINDOW: u64 = 64;
/// How far ahead of the newest a number is understood (RFC 3711 3.3.1).
const AHEAD: u64 = (1 << 15) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Rtp,
    Rtcp,
}

/// Who seals: one source under one key.
struct Sender {
    sealer: Sealer,
    key: usize,
    ssrc: u32,
    /// The index of the next packet.
    next: BTreeMap<Kind, u64>,
    sealed: BTreeMap<Kind, u64>,
}

/// A packet as it was sealed.
struct Sealed {
    kind: Kind,
    key: usize,
    /// Source and index.
    place: (u32, u64),
    plain: Vec<u8>,
    octets: Vec<u8>,
    taken: bool,
}

struct Scene {
    senders: Vec<Sender>,
    opener: Opener,
    lifetime: u64,
    sent: Vec<Sealed>,
    /// The newest index that was taken.
    newest: BTreeMap<(Kind, u32), u64>,
    /// What each key has opened.
    opened: BTreeMap<(Kind, usize), u64>,
}

/// Takes the steps: which suite, keys and first number, and then what happens.
pub fn srtp(octets: &[u8]) {
    let mut reader = Reader(octets);
    let mut scene = Scene::new(&mut reader);
    for _ in 0..STEPS {
        let Some(step) = reader.byte() else { break };
        scene.step(step, &mut reader);
    }
}

fn masters(reader: &mut Reader<'_>, lifetime: u64) -> Vec<MasterKey> {
    let suite = reader.pick(&Suite::ALL);
    let (first, mki) = (reader.number(), reader.number() % (limits::SRTP_MKI_BYTES + 1));
    let count = if mki == 0 {
        1
    } else {
        1 + reader.number() % limits::SRTP_KEYS
    };
    let length = suite.key_octets() + suite.salt_octets();
    let master = |number: usize| {
        let octets: Vec<u8> = (0..length).map(|n| (first + 31 * number + 7 * n) as u8).collect();
        let mut identifier = vec![0; mki];
        if let Some(last) = identifier.last_mut() {
            *last = number as u8;
        }
        let key = MasterKey::new(suite, &octets).and_then(|key| key.with_mki(&identifier));
        key.and_then(|key| key.with_lifetime(lifetime))
            .expect("within the bounds")
    };
    (0..count).map(master).collect()
}

impl Scene {
    fn new(reader: &mut Reader<'_>) -> Scene {
        let lifetime = reader.pick(&[1 << 48, 1 << 48, 1 << 48, 3]);
        let masters = masters(reader, lifetime);
        let sequence = u64::from(reader.pick(&[0u16, 1, 0x7fff, 0x8000, 0xfff0, 0xffff]));
        let keys = |key: usize| Keys::new(masters[key].clone(), masters.clone()).expect("they are told apart");
        let all = (0..masters.len()).flat_map(|key| (0..SOURCES).map(move |source| (key, source)));
        let sender = |(key, source): (usize, usize)| Sender {
            sealer: Sealer::new(&keys(key)),
            key,
            ssrc: 0xabcd_0000 + source as u32,
            next: [(Kind::Rtp, sequence), (Kind::Rtcp, 0)].into(),
            sealed: BTreeMap::new(),
        };
        Scene {
            senders: all.map(sender).collect(),
            opener: Opener::new(&keys(0)),
            lifetime,
            sent: Vec::new(),
            newest: BTreeMap::new(),
            opened: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: u8, reader: &mut Reader<'_>) {
        match step % 16 {
            0..=4 => {
                let sealed = self.seal(Kind::Rtp, 0, reader);
                self.deliver_sealed(sealed);
            }
            5 => {
                let sealed = self.seal(Kind::Rtcp, 0, reader);
                self.deliver_sealed(sealed);
            }
            6 | 7 => {
                let skipped = reader.pick(&[1, 63, 64, 127, 128, 1_000, 0x7ffe, 0x4000]);
                let sealed = self.seal(Kind::Rtp, skipped, reader);
                self.deliver_sealed(sealed);
            }
            8 => self.lose(Kind::Rtp, reader),
            9 => self.lose(Kind::Rtcp, reader),
            10 => {
                let again = self.pick(reader);
                self.deliver_sealed(again);
            }
            11 => self.altered(reader, |octets, reader| {
                let at = reader.number() * 256 + reader.number();
                if !octets.is_empty() {
                    let at = at % octets.len();
                    octets[at] ^= reader.number() as u8;
                }
            }),
            12 => self.altered(reader, |octets, reader| octets.truncate(reader.number())),
            13 => self.altered(reader, |octets, reader| {
                octets.extend_from_slice(reader.take(1));
            }),
            14 => self.joined(reader),
            _any => {
                let (kind, length) = (reader.pick(&[Kind::Rtp, Kind::Rtcp]), reader.number());
                let octets = reader.take(length).to_vec();
                self.deliver(kind, &octets);
            }
        }
    }

    fn pick(&self, reader: &mut Reader<'_>) -> Option<usize> {
        reader.number().checked_rem(self.sent.len())
    }

    /// A copy of a sealed packet with a change, by either channel.
    fn altered(&mut self, reader: &mut Reader<'_>, change: impl FnOnce(&mut Vec<u8>, &mut Reader<'_>)) {
        let Some(at) = self.pick(reader) else { return };
        let mut octets = self.sent[at].octets.clone();
        change(&mut octets, reader);
        let kind = reader.pick(&[Kind::Rtp, Kind::Rtcp]);
        self.deliver(kind, &octets);
    }

    /// The beginning of one packet and the end of another.
    fn joined(&mut self, reader: &mut Reader<'_>) {
        let (Some(one), Some(other)) = (self.pick(reader), self.pick(reader)) else {
            return;
        };
        let (one, other) = (&self.sent[one], &self.sent[other]);
        let tail = reader.number().min(other.octets.len());
        let head = one.octets.len().saturating_sub(tail);
        let octets = [&one.octets[..head], &other.octets[other.octets.len() - tail..]].concat();
        let kind = one.kind;
        self.deliver(kind, &octets);
    }

    /// The next packet of a sender, after some that were never made: where it is among those that were sent.
    fn seal(&mut self, kind: Kind, skipped: u64, reader: &mut Reader<'_>) -> Option<usize> {
        let who = reader.number() % self.senders.len();
        let sender = &mut self.senders[who];
        let is_first = !sender.sealed.contains_key(&kind);
        let index = sender.next[&kind] + skipped;
        let index = if is_first { index & 0xffff } else { index };
        let plain = match kind {
            Kind::Rtp => rtp(sender.ssrc, index as u16, reader),
            Kind::Rtcp => rtcp(sender.ssrc, reader),
        };
        let mut octets = [&plain[..], &[0; 32]].concat();
        let sealed = match kind {
            Kind::Rtp => sender.sealer.rtp(&mut octets, plain.len()),
            Kind::Rtcp => sender.sealer.rtcp(&mut octets, plain.len()),
        };
        let count = sender.sealed.entry(kind).or_default();
        assert_eq!(sealed.is_ok(), *count < self.lifetime, "{sealed:?} after {count}");
        octets.truncate(sealed.ok()?);
        *count += 1;
        sender.next.insert(kind, index + 1);
        if kind == Kind::Rtp {
            let again = sender.sealer.rtp(&mut [&plain[..], &[0; 32]].concat(), plain.len());
            assert!(again.is_err(), "a number was sealed twice");
        }
        self.sent.push(Sealed {
            kind,
            key: sender.key,
            place: (sender.ssrc, index),
            plain,
            octets,
            taken: false,
        });
        Some(self.sent.len() - 1)
    }

    /// Sealed, and perhaps delivered later.
    fn lose(&mut self, kind: Kind, reader: &mut Reader<'_>) {
        let _kept = self.seal(kind, 0, reader);
    }

    fn deliver_sealed(&mut self, at: Option<usize>) {
        if let Some(at) = at {
            let (kind, octets) = (self.sent[at].kind, self.sent[at].octets.clone());
            self.deliver(kind, &octets);
        }
    }

    fn deliver(&mut self, kind: Kind, octets: &[u8]) {
        let is_this = |sealed: &Sealed| sealed.kind == kind && sealed.octets == octets;
        let known = self.sent.iter().position(is_this);
        let must_be_taken = known.is_some_and(|at| self.is_in_time(&self.sent[at]));
        let mut packet = octets.to_vec();
        let opened = match kind {
            Kind::Rtp => self.opener.rtp(&mut packet),
            Kind::Rtcp => self.opener.rtcp(&mut packet),
        };
        let len = match opened {
            Ok(len) => len,
            Err(why) => return assert!(!must_be_taken, "a good packet was refused: {why:?}"),
        };
        let sealed = &mut self.sent[known.expect("what is taken was sealed")];
        assert!(!sealed.taken, "a packet was taken twice");
        assert_eq!(packet[..len], sealed.plain, "what was sealed comes out");
        sealed.taken = true;
        let (ssrc, index) = sealed.place;
        let newest = self.newest.entry((kind, ssrc)).or_insert(index);
        *newest = index.max(*newest);
        *self.opened.entry((kind, sealed.key)).or_default() += 1;
    }

    /// Neither known already nor too late, nor so far ahead that its index is not understood; and its key may still be used.
    fn is_in_time(&self, sealed: &Sealed) -> bool {
        let Sealed { kind, key, place, .. } = *sealed;
        let is_same = |other: &&Sealed| (other.kind, other.place) == (kind, place);
        let is_known = self.sent.iter().filter(is_same).any(|other| other.taken);
        let is_worn_out = self
            .opened
            .get(&(kind, key))
            .is_some_and(|count| *count >= self.lifetime);
        let (ssrc, index) = place;
        let is_near = match (self.newest.get(&(kind, ssrc)), kind) {
            // RFC 4568 6.4: the first has roll-over counter 0.
            (None, Kind::Rtp) => index <= u64::from(u16::MAX),
            (None, Kind::Rtcp) => true,
            (Some(newest), Kind::Rtp) => index + WINDOW > *newest && index <= newest + AHEAD,
            (Some(newest), Kind::Rtcp) => index + WINDOW > *newest,
        };
        is_near && !is_known && !is_worn_out
    }
}

/// With contributing sources and a header extension at times.
fn rtp(ssrc: u32, sequence: u16, reader: &mut Reader<'_>) -> Vec<u8> {
    let shape = reader.number() as u8;
    let (csrcs, extension) = (shape & 3, shape & 4 != 0);
    let mut packet = vec![0x80 | u8::from(extension) << 4 | csrcs, shape >> 3];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..4 * csrcs).map(|octet| octet ^ shape));
    if extension {
        packet.extend([0xbe, 0xde, 0, 1, 0x10, shape, 0, 0]);
    }
    let length = reader.number() % 48;
    packet.extend((0..length).map(|octet| octet as u8 ^ shape));
    packet
}

/// A receiver report without blocks, and words of which nobody knows what they say.
fn rtcp(ssrc: u32, reader: &mut Reader<'_>) -> Vec<u8> {
    let words = reader.number() as u8 % 8;
    let mut packet = vec![0x80, 201, 0, 1 + words];
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..4 * words).map(|octet| octet ^ words));
    packet
}

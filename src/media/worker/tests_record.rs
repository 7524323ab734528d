//! Legs that are recorded: what is handed on, as it came, and what is not.

use super::sim::*;
use super::*;
use crate::id::{CallId, WorkerId};
use crate::media::command::{Command, Format, Keys, MasterKey, Of, Recording, Side, Stream, Suite};
use crate::media::prepare::Preparer;
use crate::media::srtp::Sealer;
use crate::media::tap::{Heard, Sink, Sinks};
use crate::time::Wall;
use codecs::Codec;
use std::sync::mpsc::{Receiver, Sender, channel};

const RECORDING: Recording = Recording {
    call: CallId(1),
    number: 1,
    begun: Wall(0),
    is_wide: false,
    format: Format::Wav,
    of: Of::Call,
};

/// As it was handed on.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    side: Side,
    at: Instant,
    codec: Codec,
    header: (u32, u16, u32),
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Tape(Sender<Kept>);

#[derive(Debug)]
struct Head(Side, Sender<Kept>);

impl Sinks for Tape {
    fn open(&mut self, recording: Recording, side: Side) -> Option<Box<dyn Sink>> {
        assert_eq!(recording, RECORDING);
        Some(Box::new(Head(side, self.0.clone())))
    }
}

impl Sink for Head {
    fn take(&mut self, heard: &Heard<'_>) {
        let kept = Kept {
            side: self.0,
            at: heard.at,
            codec: heard.codec,
            header: (heard.ssrc, heard.sequence, heard.timestamp),
            payload: heard.payload.to_vec(),
        };
        let _ = self.1.send(kept);
    }
}

fn world() -> (World, Receiver<Kept>) {
    let (tape, kept) = channel();
    let mut world = World::new();
    world.preparer = Preparer::recording(Box::new(Tape(tape)));
    (world, kept)
}

fn record(world: &mut World, peer: &Peer, side: Option<Side>) {
    world.command(Command::Record {
        leg: peer.leg,
        to: side.map(|side| (RECORDING, side)),
    });
}

fn kept(tape: &Receiver<Kept>) -> Vec<Kept> {
    tape.try_iter().collect()
}

#[test]
fn each_packet_of_a_recorded_leg_is_handed_on_while_it_is_recorded() {
    let (mut world, tape) = world();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    let mut b = world.peer(2, stream(Codec::Pcma), 1_000.0);
    world.bridge(&a, &b);
    world.steps(5, &mut [&mut a, &mut b]);
    assert!(kept(&tape).is_empty());
    record(&mut world, &a, Some(Side::Caller));
    record(&mut world, &b, Some(Side::Callee));
    let at = world.now;
    let (header, payload) = ((a.ssrc, a.sequence, a.timestamp), a.speak());
    world.deliver(&a, &payload);
    let first = Kept {
        side: Side::Caller,
        at,
        codec: Codec::Pcma,
        header,
        payload: payload[12..].to_vec(),
    };
    assert_eq!(kept(&tape), [first]);
    world.steps(10, &mut [&mut a, &mut b]);
    let sides: Vec<Side> = kept(&tape).iter().map(|kept| kept.side).collect();
    assert_eq!(sides, [Side::Caller, Side::Callee].repeat(10));
    // The others hear what they would hear anyway.
    assert_eq!((world.take(&a).len(), world.take(&b).len()), (15, 16));
    record(&mut world, &b, None);
    world.steps(1, &mut [&mut a, &mut b]);
    assert_eq!(kept(&tape).len(), 1);
    // A key, a duplicate, comfort noise, a type that nobody agreed on, a stranger.
    for ms in [20, 40, 60] {
        let press = a.press(5, ms, ms == 60);
        world.deliver(&a, &press);
    }
    let packet = a.packet(false, 13, a.timestamp, &[70]);
    world.deliver(&a, &packet);
    let packet = a.packet(false, 77, a.timestamp, &[0; 160]);
    world.deliver(&a, &packet);
    let packet = a.speak();
    world.receive(a.leg, Channel::Rtp, b.address, &packet);
    assert!(kept(&tape).is_empty());
    world.deliver(&a, &packet);
    world.deliver(&a, &packet);
    assert_eq!(kept(&tape).len(), 1);
}

#[test]
fn what_is_recorded_of_a_protected_leg_is_open() {
    let (mut world, tape) = world();
    let mut a = world.peer(1, stream(Codec::Opus), 440.0);
    let mut b = world.peer(2, stream(Codec::Pcma), 1_000.0);
    let suite = Suite::AesCm128Sha1_80;
    let key = |first: u8| MasterKey::new(suite, &vec![first; suite.key_octets() + suite.salt_octets()]).unwrap();
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    let mut sealer = Sealer::new(&Keys::new(key(2), vec![key(1)]).unwrap());
    world.command(Command::Protect { leg: b.leg, keys });
    world.bridge(&a, &b);
    record(&mut world, &a, Some(Side::Caller));
    record(&mut world, &b, Some(Side::Callee));
    let mut spoken = Vec::new();
    for _ in 0..20 {
        let (from_a, plain) = (a.speak(), b.speak());
        world.deliver(&a, &from_a);
        let mut sealed = [&plain[..], &[0; 32]].concat();
        let len = sealer.rtp(&mut sealed, plain.len()).unwrap();
        world.deliver(&b, &sealed[..len]);
        // Sent in the clear it is nobody's word.
        world.deliver(&b, &plain);
        spoken.extend([from_a[12..].to_vec(), plain[12..].to_vec()]);
        world.tick();
    }
    let kept = kept(&tape);
    assert_eq!(kept.iter().map(|kept| kept.payload.clone()).collect::<Vec<_>>(), spoken);
    assert!(
        kept.iter()
            .all(|kept| (kept.codec == Codec::Opus) == (kept.side == Side::Caller))
    );
}

/// Hold, another codec, and a move to another worker: the same recording goes on.
#[test]
fn a_recording_outlives_what_happens_to_a_call() {
    let (mut world, tape) = world();
    let mut a = world.peer(1, stream(Codec::Pcma), 440.0);
    record(&mut world, &a, Some(Side::Caller));
    world.steps(3, &mut [&mut a]);
    assert_eq!(kept(&tape).len(), 3, "also while nobody listens");
    let held = Stream {
        receives: false,
        ..stream(Codec::Pcma)
    };
    world.negotiate(&a, held);
    world.steps(3, &mut [&mut a]);
    assert!(kept(&tape).is_empty());
    world.negotiate(&a, stream(Codec::Opus));
    let mut opus = Peer::speaking(1, stream(Codec::Opus), 440.0);
    (opus.ssrc, opus.sequence) = (a.ssrc, a.sequence);
    world.steps(3, &mut [&mut opus]);
    let codecs: Vec<Codec> = kept(&tape).iter().map(|kept| kept.codec).collect();
    assert_eq!(codecs, [Codec::Opus; 3]);
    world.command(Command::Move {
        leg: a.leg,
        to: WorkerId(1),
    });
    let Some(Output::Taken { leg, .. }) = world.others.pop() else {
        panic!("{:?}", world.others)
    };
    world.input(Input::Give(leg));
    world.steps(3, &mut [&mut opus]);
    assert_eq!(kept(&tape).len(), 3);
    // The end of the leg is the end of its part.
    world.command(Command::Close(a.leg));
    world.preparer = Preparer::default();
    world.others.clear();
    assert!(tape.recv().is_err(), "nobody holds the tape");
}

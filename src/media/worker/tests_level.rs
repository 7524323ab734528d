//! What packets say of their own loudness (RFC 6464): that they are silent is believed, that they are loud is not.

use super::super::tests_room::spec;
use super::*;
use crate::media::command::LegStats;

const LEVEL: u8 = 1;
/// Speech, as loud as can be.
const LOUD: u8 = 0x80;
const SILENT: u8 = 127;

/// A packet that says how loud it is.
fn says(packet: &[u8], level: u8) -> Vec<u8> {
    let mut with = packet.to_vec();
    with[0] |= 0x10;
    with.splice(12..12, [0xbe, 0xde, 0, 1, LEVEL << 4, level, 0, 0]);
    with
}

/// A member says how loud its packets are, and has so many places for voices.
fn tells(world: &mut World, peer: &Peer, n: usize, places: usize) {
    let video = Some(Box::new(Video {
        level: Some(LEVEL),
        ..voices(n, places)
    }));
    world.command(Command::Video { leg: peer.leg, video });
}

/// Of whom the last hears a tone, while the first does this and the second that: what it says, and how loud it says that is.
fn heard(world: &mut World, all: &mut [Peer; 3], does: [(bool, Option<u8>); 2]) -> Vec<usize> {
    for _ in 0..50 {
        for (peer, (speaks, level)) in all.iter_mut().zip(does) {
            let packet = if speaks { peer.speak() } else { peer.hush() };
            let packet = level.map_or_else(|| packet.clone(), |level| says(&packet, level));
            world.deliver(peer, &packet);
        }
        world.tick();
    }
    let packets = world.take(&all[2]);
    tones(&packets[20..], 3)
}

fn gated(forwards: bool) -> RoomSpec {
    RoomSpec {
        gate: true,
        forwards,
        ..spec(Rate::Wide, 1)
    }
}

#[test]
fn who_says_that_he_is_loud_takes_no_place_and_who_says_that_he_is_silent_is_not_heard() {
    let (mut world, all) = room(gated(false), &[Codec::Opus; 3].map(stream));
    let mut all: [Peer; 3] = all.try_into().ok().unwrap();
    tells(&mut world, &all[0], 0, 0);
    let silence = (false, None);
    let concealed = |world: &mut World, peer: &Peer| -> LegStats { world.stats(peer) };
    assert_eq!(heard(&mut world, &mut all, [silence, silence]), [0usize; 0]);
    assert_eq!(heard(&mut world, &mut all, [(false, Some(LOUD)), (true, None)]), [1]);
    assert_eq!(
        heard(&mut world, &mut all, [(true, Some(SILENT)), silence]),
        [0usize; 0]
    );
    let before = concealed(&mut world, &all[0]);
    for _ in 0..4 {
        // What he says truly is heard, and each pause of it is silent.
        assert_eq!(heard(&mut world, &mut all, [(true, Some(30)), silence]), [0]);
        heard(&mut world, &mut all, [(false, Some(SILENT)), silence]);
        assert_eq!(heard(&mut world, &mut all, [(false, Some(SILENT)), (true, None)]), [1]);
    }
    // Nothing was made up at the ends.
    let after = concealed(&mut world, &all[0]);
    assert_eq!(after.concealed, before.concealed);
    // Without the number being agreed on it means nothing.
    assert_eq!(heard(&mut world, &mut all, [silence, (true, Some(SILENT))]), [1]);
}

/// A pause within a word is not the end of it: who says so keeps his voice, its stream and its time.
#[test]
fn a_short_silence_is_heard_as_it_is() {
    let (mut world, all) = room(gated(true), &[Codec::Opus; 3].map(stream));
    let mut all: [Peer; 3] = all.try_into().ok().unwrap();
    for (n, peer) in all.iter().enumerate() {
        tells(&mut world, peer, n, 1);
    }
    let say = |world: &mut World, peer: &mut Peer, is_pause: bool| {
        let packet = if is_pause { peer.hush() } else { peer.speak() };
        world.deliver(peer, &says(&packet, if is_pause { SILENT } else { 20 }));
        world.tick();
    };
    (0..50).for_each(|_| say(&mut world, &mut all[0], false));
    let before: LegStats = world.stats(&all[0]);
    drop(world.take(&all[2]));
    let sent = 100;
    (0..sent).for_each(|n| say(&mut world, &mut all[0], n % 10 >= 6));
    let packets = of(&world.take(&all[2]), place(2, 0));
    assert_eq!(
        (packets.len(), packets.iter().filter(|packet| packet.marker).count()),
        (sent, 0)
    );
    let after: LegStats = world.stats(&all[0]);
    assert_eq!(after.concealed, before.concealed);
}

/// What is lost while nobody speaks is not made up from what was said before.
#[test]
fn losses_of_silence_are_silence() {
    let (mut world, all) = room(gated(false), &[Codec::Opus; 3].map(stream));
    let mut all: [Peer; 3] = all.try_into().ok().unwrap();
    tells(&mut world, &all[0], 0, 0);
    let silence = (false, None);
    heard(&mut world, &mut all, [(true, Some(20)), silence]);
    heard(&mut world, &mut all, [(false, Some(SILENT)), silence]);
    for n in 0..50 {
        let packet = says(&all[0].hush(), SILENT);
        if n % 5 != 0 {
            world.deliver(&all[0], &packet);
        }
        world.tick();
    }
    let packets = world.take(&all[2]);
    let pcm = listen(Codec::Opus, &packets);
    let loudest = pcm.iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest < Some(30), "{loudest:?}");
}

/// Of who is forwarded, what comes first begins behind what he said to be silent.
#[test]
fn what_is_said_first_begins_where_the_silence_ends() {
    let (mut world, all) = room(gated(true), &[Codec::Opus; 3].map(stream));
    let mut all: [Peer; 3] = all.try_into().ok().unwrap();
    for (n, peer) in all.iter().enumerate() {
        tells(&mut world, peer, n, 1);
    }
    for _ in 0..40 {
        let packet = says(&all[0].hush(), SILENT);
        world.deliver(&all[0], &packet);
        world.tick();
    }
    assert!(of(&world.take(&all[2]), place(2, 0)).is_empty());
    let mut said = Vec::new();
    for _ in 0..30 {
        let packet = all[0].speak();
        world.deliver(&all[0], &says(&packet, LOUD | 20));
        said.push(packet[12..].to_vec());
        world.tick();
    }
    let heard = of(&world.take(&all[2]), place(2, 0));
    let payloads: Vec<Vec<u8>> = heard.iter().map(|packet| packet.payload.clone()).collect();
    // One before it, since it begins softly.
    assert_eq!(payloads[1..], said);
    assert!(is_one_stream(&heard));
}

//! Video in a room: what one publishes the others see, as one unbroken stream, whoever is shown.

use super::sim::*;
use super::tests_room::{ROOM, spec};
use super::*;
use crate::media::command::{
    Command, Keys, MasterKey, Seat, Suite, Video, VideoCodec, VideoFormat, VideoLine, VideoSource,
};
use crate::media::rtcp::feedback::{self, Head, Said};
use crate::media::srtp::Sealer;
use codecs::{Codec, Rate};
use std::time::Duration;

/// Payload types: of VP8, of its retransmissions, of H.264, of its.
const VP8: u8 = 96;
const VP8_RTX: u8 = 97;
const H264: u8 = 102;
const H264_RTX: u8 = 103;
/// Numbers of header extensions.
const MID: u8 = 4;
const RID: u8 = 10;
const TRANSPORT: u8 = 5;
const SEND_TIME: u8 = 2;

fn key(first: u8) -> MasterKey {
    MasterKey::new(Suite::AeadAes128Gcm, &[first; 28]).unwrap()
}

fn format(codec: VideoCodec) -> VideoFormat {
    let (payload_type, rtx) = match codec {
        VideoCodec::Vp8 => (VP8, VP8_RTX),
        VideoCodec::H264 => (H264, H264_RTX),
    };
    VideoFormat {
        codec,
        payload_type,
        rtx: Some(rtx),
    }
}

/// The SSRC of a camera, or of a layer of it.
fn camera_ssrc(n: u8, layer: u8) -> u32 {
    0xcc00_0000 + u32::from(n) * 16 + u32::from(layer)
}

/// Of a place of a browser's.
fn slot_ssrc(n: u8, slot: usize) -> u32 {
    0xdd00_0000 + u32::from(n) * 256 + slot as u32 * 2
}

/// A browser with a camera, and places for some others.
struct Viewer {
    peer: Peer,
    sealer: Sealer,
    camera: Camera,
    n: u8,
}

/// What a camera sends: packets of frames of two packets each.
struct Camera {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    base: u8,
    codec: VideoCodec,
    mid: &'static str,
    rid: Option<u8>,
    /// Of the next packet on its way, where it numbers them.
    on_way: Option<u16>,
    /// Octets of each packet's payload behind its descriptor.
    size: usize,
}

impl Camera {
    fn new(n: u8, layer: u8, rid: Option<u8>) -> Camera {
        Camera {
            ssrc: camera_ssrc(n, layer),
            sequence: 65_530 - u16::from(n) * 1_000,
            timestamp: u32::MAX - 4_000 * u32::from(n),
            picture: 0x7ffe - u16::from(n),
            base: 250,
            codec: VideoCodec::Vp8,
            mid: "1",
            rid,
            on_way: None,
            size: 60,
        }
    }

    /// The two packets of the next frame.
    fn frame(&mut self, is_key: bool) -> [Vec<u8>; 2] {
        self.picture = (self.picture + 1) & 0x7fff;
        self.base = self.base.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(3_000);
        [true, false].map(|is_first| {
            let mut payload = match self.codec {
                VideoCodec::Vp8 => {
                    let [high, low] = (0x8000 | self.picture).to_be_bytes();
                    vec![
                        0x80 | u8::from(is_first) << 4,
                        0xe0,
                        high,
                        low,
                        self.base,
                        0x00,
                        u8::from(!is_key),
                    ]
                }
                VideoCodec::H264 if is_first && is_key => vec![0x67, 0x42],
                VideoCodec::H264 => vec![0x41, 0x9a],
            };
            payload.extend(vec![self.ssrc as u8; self.size]);
            self.packet(&payload, !is_first)
        })
    }

    fn packet(&mut self, payload: &[u8], marker: bool) -> Vec<u8> {
        let payload_type = format(self.codec).payload_type;
        let packet = self.write((payload_type, self.ssrc, self.sequence), payload, marker);
        self.on_way = self.on_way.map(|number| number.wrapping_add(1));
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    fn write(&self, (payload_type, ssrc, sequence): (u8, u32, u16), payload: &[u8], marker: bool) -> Vec<u8> {
        let mut packet = vec![0x90, payload_type | u8::from(marker) << 7];
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        let mid = self.mid.as_bytes();
        let mut extensions = vec![MID << 4 | (mid.len() as u8 - 1)];
        extensions.extend(mid);
        if let Some(rid) = self.rid {
            extensions.extend([RID << 4, rid]);
        }
        if let Some(number) = self.on_way {
            let [high, low] = number.to_be_bytes();
            extensions.extend([TRANSPORT << 4 | 1, high, low]);
        }
        extensions.resize(extensions.len().next_multiple_of(4), 0);
        packet.extend([0xbe, 0xde, 0, extensions.len() as u8 / 4]);
        packet.extend(extensions);
        packet.extend(payload);
        packet
    }
}

fn video(n: u8, places: usize, layers: &[&str], codecs: &[VideoCodec]) -> Video {
    let formats: Vec<VideoFormat> = codecs.iter().map(|codec| format(*codec)).collect();
    let lines = (0..places.max(1)).map(|slot| VideoLine {
        mid: (slot + 1).to_string().into(),
        formats: formats.clone(),
        receives: slot == 0,
        sends: (slot < places).then(|| (slot_ssrc(n, slot), slot_ssrc(n, slot) + 1)),
        layers: if slot == 0 {
            layers.iter().map(|rid| (*rid).into()).collect()
        } else {
            Vec::new()
        },
        sources: Vec::new(),
        is_screen: false,
    });
    Video {
        lines: lines.collect(),
        voices: Vec::new(),
        mid: Some(MID),
        rid: Some(RID),
        repaired_rid: None,
        transport: Some(TRANSPORT),
        send_time: Some(SEND_TIME),
        level: None,
    }
}

fn enter(world: &mut World, n: u8, video: Video) -> Viewer {
    let peer = world.browser(n, stream(Codec::Opus), 300.0 + 50.0 * f32::from(n));
    let leg = peer.leg;
    let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
    world.command(Command::Protect { leg, keys });
    world.command(Command::Video {
        leg,
        video: Some(Box::new(video)),
    });
    world.function(leg, Function::Room(ROOM));
    Viewer {
        peer,
        sealer: Sealer::for_streams(&Keys::new(key(2), vec![key(1)]).unwrap(), 8),
        camera: Camera::new(n, 0, None),
        n,
    }
}

/// A room of browsers that can see so many others each.
fn room(members: u8, places: usize) -> (World, Vec<Viewer>) {
    let mut world = World::of(64);
    world.command(Command::OpenRoom(spec(Rate::Wide, 4)));
    let viewers = (1..=members).map(|n| {
        enter(
            &mut world,
            n,
            video(n, places, &[], &[VideoCodec::Vp8, VideoCodec::H264]),
        )
    });
    let viewers = viewers.collect();
    (world, viewers)
}

fn seal(viewer: &mut Viewer, plain: &[u8]) -> Vec<u8> {
    let mut sealed = [plain, &[0; 32]].concat();
    let len = match rtp::kind(plain) {
        Kind::Rtcp => viewer.sealer.rtcp(&mut sealed, plain.len()),
        _ => viewer.sealer.rtp(&mut sealed, plain.len()),
    };
    sealed.truncate(len.unwrap());
    sealed
}

fn send(world: &mut World, viewer: &mut Viewer, plain: &[u8]) {
    let sealed = seal(viewer, plain);
    world.deliver(&viewer.peer, &sealed);
}

/// A browser sends so many frames at once.
fn shoot_some(world: &mut World, viewer: &mut Viewer, frames: usize, is_key: bool) {
    let packets: Vec<_> = (0..frames).flat_map(|_| viewer.camera.frame(is_key)).collect();
    let sealed: Vec<_> = packets.iter().map(|plain| seal(viewer, plain)).collect();
    let sealed: Vec<_> = sealed.iter().map(Vec::as_slice).collect();
    world.deliver_all(&viewer.peer, &sealed);
}

fn shoot(world: &mut World, viewer: &mut Viewer, is_key: bool) {
    shoot_some(world, viewer, 1, is_key);
}

/// What came on a place, opened. The worker of this world shows headers only: of what is sealed the payload is as long, and no more.
fn seen(heard: &[Heard], ssrc: u32) -> Vec<&Heard> {
    heard.iter().filter(|packet| packet.ssrc == ssrc).collect()
}

/// What was asked of a browser since.
fn asked(world: &mut World, viewer: &Viewer, opener: &mut crate::media::srtp::Opener) -> Vec<Said> {
    let mut all = Vec::new();
    for mut packet in world.rtcp.remove(&viewer.peer.address).unwrap_or_default() {
        let len = opener.rtcp(&mut packet).expect("sealed by the node");
        feedback::each(&packet[..len], |said| all.push(said));
    }
    all
}

fn opener() -> crate::media::srtp::Opener {
    crate::media::srtp::Opener::for_streams(&Keys::new(key(2), vec![key(1)]).unwrap(), 64)
}

fn is_gapless(packets: &[&Heard]) -> bool {
    packets
        .windows(2)
        .all(|two| two[1].sequence == two[0].sequence.wrapping_add(1))
}

/// One who is alone is asked for nothing; with a second one each is asked for a key frame, and from it on each sees the other.
#[test]
fn two_see_each_other_from_a_key_frame_on() {
    let (mut world, mut all) = room(1, 2);
    let mut openers = [opener(), opener()];
    for _ in 0..20 {
        shoot(&mut world, &mut all[0], false);
        world.ticks(2);
    }
    let before = asked(&mut world, &all[0], &mut openers[0]);
    assert!(
        !before.contains(&Said::Key(camera_ssrc(1, 0))),
        "nobody looks: {before:?}"
    );
    assert!(before.contains(&Said::Bound(300_000)), "{before:?}");
    let both = [VideoCodec::Vp8, VideoCodec::H264];
    all.push(enter(&mut world, 2, video(2, 2, &[], &both)));
    for _ in 0..20 {
        for viewer in &mut all {
            shoot(&mut world, viewer, false);
        }
        world.ticks(2);
    }
    for (viewer, opener) in all.iter().zip(&mut openers) {
        let all = asked(&mut world, viewer, opener);
        let keys = all
            .iter()
            .filter(|said| **said == Said::Key(camera_ssrc(viewer.n, 0)))
            .count();
        assert!((1..=3).contains(&keys), "once each half second: {all:?}");
        let heard = world.take(&viewer.peer);
        assert!(
            seen(&heard, slot_ssrc(viewer.n, 0)).is_empty(),
            "nothing before a key frame"
        );
    }
    for n in 0..30 {
        for viewer in &mut all {
            shoot(&mut world, viewer, n == 0);
        }
        world.tick();
    }
    for viewer in &all {
        let heard = world.take(&viewer.peer);
        let packets = seen(&heard, slot_ssrc(viewer.n, 0));
        assert_eq!(packets.len(), 60);
        assert!(is_gapless(&packets) && packets.iter().all(|packet| packet.payload_type == VP8));
        assert!(seen(&heard, slot_ssrc(viewer.n, 1)).is_empty());
        assert!(packets.iter().step_by(2).all(|packet| !packet.marker) && packets[1].marker);
    }
    let shows = |viewer: usize, other: usize| Event::Shows {
        leg: all[viewer].peer.leg,
        line: 0,
        shown: Some((all[other].peer.leg, false)),
    };
    for event in [shows(0, 1), shows(1, 0)] {
        assert_eq!(world.events.iter().filter(|own| **own == event).count(), 1, "{event:?}");
    }
}

/// Where there is one place and two to be seen, who speaks is: the picture changes at his key frame, and the numbers go on.
#[test]
fn who_speaks_takes_the_place_and_the_numbers_go_on() {
    let (mut world, mut all) = room(3, 1);
    let talk = |world: &mut World, all: &mut Vec<Viewer>, who: usize, ticks: usize| {
        for n in 0..ticks {
            for (nth, viewer) in all.iter_mut().enumerate() {
                let packet = if nth == who {
                    viewer.peer.speak()
                } else {
                    viewer.peer.say(&[0; 160])
                };
                send(world, viewer, &packet);
                if n % 2 == 0 {
                    shoot(world, viewer, n % 50 == 0);
                }
            }
            world.tick();
        }
    };
    talk(&mut world, &mut all, 1, 200);
    let first = world.take(&all[0].peer);
    talk(&mut world, &mut all, 2, 200);
    let second = world.take(&all[0].peer);
    let both = [first, second].concat();
    let packets = seen(&both, slot_ssrc(1, 0));
    assert!(packets.len() > 300 && is_gapless(&packets), "{}", packets.len());
    let clock = |two: &[&Heard]| two[1].timestamp.wrapping_sub(two[0].timestamp);
    assert!(
        packets
            .windows(2)
            .all(|two| clock(two) <= 90_000 && (clock(two) as i32) >= 0),
        "the clock goes on"
    );
    let shown: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Shows { leg, shown, .. } if *leg == all[0].peer.leg => Some(*shown),
            _ => None,
        })
        .collect();
    let of = |nth: usize| Some((all[nth].peer.leg, false));
    assert_eq!(shown, [of(1), of(2)]);
    // Who speaks does not see himself: the last picture of the third is of another.
    assert!(
        !world
            .events
            .iter()
            .any(|event| matches!(event, Event::Shows { leg, shown: Some((shown, _)), .. } if leg == shown))
    );
}

/// What is lost on the way to a viewer comes again, in the stream of retransmissions.
#[test]
fn what_is_lost_comes_again() {
    let (mut world, mut all) = room(2, 1);
    for n in 0..40 {
        for viewer in &mut all {
            shoot(&mut world, viewer, n % 20 == 0);
        }
        world.ticks(2);
    }
    let heard = world.take(&all[1].peer);
    let lost = seen(&heard, slot_ssrc(2, 0))
        .iter()
        .rev()
        .map(|packet| packet.sequence)
        .nth(5)
        .unwrap();
    let head = Head { ssrc: 1, cname: "v" };
    let mut packet = [0; 200];
    let len = feedback::write_missing(
        &mut packet,
        head,
        slot_ssrc(2, 0),
        ([lost, lost.wrapping_add(2), 0, 0], 2),
    );
    send(&mut world, &mut all[1], &packet[..len]);
    let again = world.take(&all[1].peer);
    let again = seen(&again, slot_ssrc(2, 0) + 1);
    assert_eq!(
        again.iter().map(|packet| packet.payload_type).collect::<Vec<_>>(),
        [VP8_RTX, VP8_RTX]
    );
    assert!(is_gapless(&again));
    // What was never sent is not made up, and nobody gets what another sees.
    for (place, sequence) in [(slot_ssrc(2, 0), lost.wrapping_add(5_000)), (slot_ssrc(1, 0), lost)] {
        let len = feedback::write_missing(&mut packet, head, place, ([sequence], 1));
        send(&mut world, &mut all[1], &packet[..len]);
    }
    assert!(world.take(&all[1].peer).is_empty());
}

/// What is lost on the way to us is asked for.
#[test]
fn what_does_not_come_is_asked_for() {
    let (mut world, mut all) = room(2, 1);
    let mut openers = [opener(), opener()];
    for n in 0..20 {
        shoot(&mut world, &mut all[0], n == 0 || n == 15);
        world.ticks(2);
    }
    world.take(&all[1].peer);
    // A frame of the first one does not arrive.
    let lost = all[0].camera.sequence;
    let mut packets: Vec<Vec<u8>> = (0..2).flat_map(|_| all[0].camera.frame(false)).collect();
    packets.swap(0, 2);
    asked(&mut world, &all[0], &mut openers[0]);
    send(&mut world, &mut all[0], &packets[3].clone());
    world.tick();
    let said = asked(&mut world, &all[0], &mut openers[0]);
    let missing = Said::Missing {
        ssrc: camera_ssrc(1, 0),
        first: lost,
        more: 0b11,
    };
    assert!(said.contains(&missing), "{said:?}");
    // It comes, partly as a retransmission: the viewer gets it with the number that was left for it.
    let before = world.take(&all[1].peer);
    let newest = seen(&before, slot_ssrc(2, 0)).last().unwrap().sequence;
    let view = View::parse(&packets[2]).unwrap();
    let again = [&lost.to_be_bytes(), view.payload].concat();
    let again = all[0].camera.write((VP8_RTX, camera_ssrc(1, 9), 1), &again, false);
    send(&mut world, &mut all[0], &again);
    let after = world.take(&all[1].peer);
    let came = seen(&after, slot_ssrc(2, 0));
    assert_eq!(
        came.iter().map(|packet| packet.sequence).collect::<Vec<_>>(),
        [newest.wrapping_sub(3)]
    );
    // Twice it is not forwarded.
    let again = [&lost.to_be_bytes(), view.payload].concat();
    let again = all[0].camera.write((VP8_RTX, camera_ssrc(1, 9), 2), &again, false);
    send(&mut world, &mut all[0], &again);
    assert!(world.take(&all[1].peer).is_empty());
}

/// Layers of simulcast: who reports little bandwidth gets the small one, and back.
#[test]
fn a_viewer_gets_the_layer_that_fits() {
    let mut world = World::of(64);
    world.command(Command::OpenRoom(spec(Rate::Wide, 4)));
    let codecs = [VideoCodec::Vp8];
    let mut publisher = enter(&mut world, 1, video(1, 0, &["h", "l"], &codecs));
    let mut viewer = enter(&mut world, 2, video(2, 1, &[], &codecs));
    let mut layers = [Camera::new(1, 1, Some(b'h')), Camera::new(1, 2, Some(b'l'))];
    (layers[0].size, layers[1].size) = (1_000, 100);
    let mut run = |world: &mut World, viewer: &mut Viewer, bits: Option<u64>, steps: usize| {
        for n in 0..steps {
            for layer in &mut layers {
                for packet in layer.frame(n % 10 == 0) {
                    send(world, &mut publisher, &packet);
                }
            }
            if let Some(bits) = bits.filter(|_| n % 25 == 0) {
                let mut packet = [0; 200];
                let head = Head { ssrc: 1, cname: "v" };
                let len = feedback::write_bound(&mut packet, head, bits, [slot_ssrc(2, 0)].into_iter());
                send(world, viewer, &packet[..len]);
            }
            world.tick();
        }
        let heard = world.take(&viewer.peer);
        let packets = seen(&heard, slot_ssrc(2, 0));
        assert!(is_gapless(&packets));
        packets.last().unwrap().payload.len()
    };
    let large = run(&mut world, &mut viewer, None, 150);
    let small = run(&mut world, &mut viewer, Some(200_000), 100);
    let back = run(&mut world, &mut viewer, Some(9_000_000), 100);
    assert!(large > 900 && back > 900 && small < 200, "{large} {small} {back}");
}

/// Who cannot decode what another publishes does not get it; numbers of formats are the viewer's own.
#[test]
fn codecs_are_not_mixed_up() {
    let mut world = World::of(64);
    world.command(Command::OpenRoom(spec(Rate::Wide, 4)));
    let mut publisher = enter(&mut world, 1, video(1, 1, &[], &[VideoCodec::H264]));
    publisher.camera.codec = VideoCodec::H264;
    let both = enter(&mut world, 2, video(2, 1, &[], &[VideoCodec::Vp8, VideoCodec::H264]));
    let one = enter(&mut world, 3, video(3, 1, &[], &[VideoCodec::Vp8]));
    for n in 0..40 {
        shoot(&mut world, &mut publisher, n % 10 == 0);
        world.tick();
    }
    let heard = world.take(&both.peer);
    let packets = seen(&heard, slot_ssrc(2, 0));
    assert!(packets.len() > 30 && packets.iter().all(|packet| packet.payload_type == H264));
    assert!(world.take(&one.peer).iter().all(|packet| packet.ssrc == ours(3)));
}

/// Who is not to be seen is not, who hears nobody sees nobody, and who leaves is seen by nobody; nor is what comes in the clear.
#[test]
fn nobody_is_seen_who_is_not_to_be() {
    let (mut world, mut all) = room(2, 1);
    let count = |world: &mut World, all: &mut Vec<Viewer>, sealed: bool| {
        world.ticks(10);
        world.take(&all[1].peer);
        for _ in 0..20 {
            for packet in all[0].camera.frame(true) {
                match sealed {
                    true => send(world, &mut all[0], &packet),
                    false => world.deliver(&all[0].peer, &packet),
                }
            }
            world.tick();
        }
        let heard = world.take(&all[1].peer);
        seen(&heard, slot_ssrc(2, 0)).len()
    };
    count(&mut world, &mut all, true);
    assert_eq!(count(&mut world, &mut all, false), 0, "in the clear");
    assert_eq!(count(&mut world, &mut all, true), 40);
    let legs = [all[0].peer.leg, all[1].peer.leg];
    let seat = |world: &mut World, nth: usize, shows, hears| {
        let seat = Seat {
            speaks: true,
            hears,
            shows,
        };
        world.command(Command::Seat { leg: legs[nth], seat });
    };
    seat(&mut world, 0, false, true);
    assert_eq!(count(&mut world, &mut all, true), 0, "he is not shown");
    seat(&mut world, 0, true, true);
    seat(&mut world, 1, true, false);
    assert_eq!(count(&mut world, &mut all, true), 0, "she hears nobody");
    seat(&mut world, 1, true, true);
    assert_eq!(count(&mut world, &mut all, true), 40);
    world.function(legs[0], Function::Idle);
    assert_eq!(count(&mut world, &mut all, true), 0, "he has left");
    world.function(legs[0], Function::Room(ROOM));
    assert_eq!(count(&mut world, &mut all, true), 40, "he is back");
    world.command(Command::Close(legs[0]));
    world.ticks(20);
    let gone = Event::Shows {
        leg: legs[1],
        line: 0,
        shown: None,
    };
    assert_eq!(world.events.iter().filter(|event| **event == gone).count(), 3);
}

/// A packet for more viewers than a batch has room for is sent on in parts; and the packet path does not grow anything.
#[test]
fn a_packet_goes_to_more_than_a_batch_holds() {
    const VIEWERS: usize = 300;
    let mut world = World::of(VIEWERS + 1);
    world.command(Command::OpenRoom(crate::media::command::RoomSpec {
        seats: 1_000,
        ..spec(Rate::Narrow, 4)
    }));
    let mut publisher = enter(&mut world, 1, video(1, 0, &[], &[VideoCodec::Vp8]));
    let mut viewers = Vec::new();
    for n in 0..VIEWERS {
        // Peers of this world are told apart by an octet, and these need not be.
        let peer = world.numbered(10 + n as u64, stream(Codec::Opus));
        let keys = Keys::new(key(1), vec![key(2)]).map(Box::new);
        world.command(Command::Protect { leg: peer, keys });
        let mut video = video(2, 1, &[], &[VideoCodec::Vp8]);
        video.lines[0].receives = false;
        world.command(Command::Video {
            leg: peer,
            video: Some(Box::new(video)),
        });
        world.function(peer, Function::Room(ROOM));
        viewers.push(peer);
    }
    shoot(&mut world, &mut publisher, true);
    world.ticks(20);
    let count = |world: &World| -> usize {
        let all = world.rtp.values().flatten();
        all.filter(|packet| packet.ssrc == slot_ssrc(2, 0)).count()
    };
    assert_eq!(count(&world), 0);
    shoot(&mut world, &mut publisher, true);
    assert_eq!(count(&world), 2 * VIEWERS);
}

/// What comes at once goes to each viewer in one go, in its order, however much it is.
#[test]
fn a_frame_goes_to_each_viewer_in_one_go() {
    let (mut world, mut all) = room(3, 2);
    shoot(&mut world, &mut all[0], true);
    world.ticks(20);
    shoot(&mut world, &mut all[0], true);
    // What is no video is not waited behind.
    let packet = all[0].camera.frame(false).map(|plain| seal(&mut all[0], &plain));
    let at = world.worker.place(all[0].peer.leg).unwrap();
    assert_eq!(world.gather(&all[0].peer, &packet[0]), (1, Some(at)));
    assert_eq!(world.gather(&all[0].peer, &[0x80; 12]), (1, Some(at)));
    assert_eq!(world.gather(&all[0].peer, &packet[1]), (2, Some(at)));
    world.deliver(&all[0].peer, &[0x80; 12]);
    for (frames, goes) in [(1, &[2, 2][..]), (20, &[16, 16, 16, 16, 8, 8])] {
        all.iter().for_each(|viewer| drop(world.take(&viewer.peer)));
        world.bursts.clear();
        shoot_some(&mut world, &mut all[0], frames, false);
        assert_eq!(world.bursts, goes);
        for (viewer, n) in all[1..].iter().zip(2..) {
            let heard = world.take(&viewer.peer);
            let packets = seen(&heard, slot_ssrc(n, 0));
            assert_eq!(packets.len(), 2 * frames);
            assert!(is_gapless(&packets));
        }
    }
}

/// A stream that begins anew, or is another, is shown from its next key frame on, under numbers that go on.
#[test]
fn a_camera_that_begins_anew_is_seen_as_one_stream() {
    let (mut world, mut all) = room(2, 1);
    for round in 0..3u32 {
        for n in 0..30 {
            shoot(&mut world, &mut all[0], n % 10 == 0);
            world.ticks(2);
        }
        all[0].camera.ssrc = camera_ssrc(1, 5) + round;
        all[0].camera.sequence = all[0].camera.sequence.wrapping_add(20_000);
        all[0].camera.picture = 77;
    }
    let heard = world.take(&all[1].peer);
    let packets = seen(&heard, slot_ssrc(2, 0));
    assert!(packets.len() > 140 && is_gapless(&packets), "{}", packets.len());
}

/// A description that changes keeps what goes on.
#[test]
fn another_place_leaves_the_first_as_it_was() {
    let (mut world, mut all) = room(3, 1);
    let run = |world: &mut World, all: &mut Vec<Viewer>| {
        for n in 0..30 {
            for viewer in all.iter_mut() {
                shoot(world, viewer, n % 10 == 0);
            }
            world.ticks(2);
        }
        world.take(&all[2].peer)
    };
    let before = run(&mut world, &mut all);
    let leg = all[2].peer.leg;
    world.command(Command::Video {
        leg,
        video: Some(Box::new(video(3, 2, &[], &[VideoCodec::Vp8, VideoCodec::H264]))),
    });
    let after = run(&mut world, &mut all);
    let both = [before, after].concat();
    assert!(is_gapless(&seen(&both, slot_ssrc(3, 0))));
    let second = seen(&both, slot_ssrc(3, 1));
    assert!(second.len() > 30 && is_gapless(&second));
    // An announced source is known without a name.
    let mut named = video(1, 1, &[], &[VideoCodec::Vp8]);
    named.lines[0].sources = vec![VideoSource { ssrc: 9, rtx: None }];
    let leg = all[0].peer.leg;
    world.command(Command::Video {
        leg,
        video: Some(Box::new(named)),
    });
    world.take(&all[2].peer);
    (all[0].camera.ssrc, all[0].camera.mid) = (9, "x");
    let after = run(&mut world, &mut all);
    assert!(seen(&after, slot_ssrc(3, 0)).len() + seen(&after, slot_ssrc(3, 1)).len() > 80);
    world.now += Duration::from_secs(1);
}

#[path = "tests_loss.rs"]
mod loss;
#[path = "tests_seats.rs"]
mod seats;
#[path = "tests_way.rs"]
mod way;

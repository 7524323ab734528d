//! Video and voices that are forwarded in a room, with what is lost and asked for.

use super::*;
use tandem::media::command::{Video, VideoCodec, VideoFormat, VideoLine, VoiceLine};

/// A camera, a place on which the other is seen, and two for voices.
fn shown(leg: u64) -> Command {
    let line = VideoLine {
        mid: "1".into(),
        formats: vec![VideoFormat {
            codec: VideoCodec::Vp8,
            payload_type: 96,
            rtx: Some(97),
        }],
        receives: true,
        sends: Some((0x1000 * leg as u32, 0x1000 * leg as u32 + 1)),
        layers: Vec::new(),
        sources: Vec::new(),
        is_screen: false,
    };
    let voices = (0..2).map(|nth| VoiceLine {
        mid: "2".into(),
        payload_type: 111,
        ssrc: 0x9000 + 2 * (10 * leg as u32 + nth),
    });
    let video = Video {
        lines: vec![line],
        voices: voices.collect(),
        transport: Some(5),
        send_time: Some(2),
        ..Video::default()
    };
    Command::Video {
        leg: MediaLegId(leg),
        video: Some(Box::new(video)),
    }
}

/// One of the two packets of a frame.
fn frame(leg: u64, n: u16, part: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 96 | u8::from(part == 1) << 7];
    packet.extend((n * 2 + part).to_be_bytes());
    packet.extend((u32::from(n) * 1_800).to_be_bytes());
    packet.extend([0, 0, 0, 100 + leg as u8]);
    let [high, low] = (n * 2 + part).to_be_bytes();
    packet.extend([0xbe, 0xde, 0, 1, 5 << 4 | 1, high, low, 0]);
    let [high, low] = (0x8000 | n).to_be_bytes();
    let is_start = u8::from(part == 0) << 4;
    packet.extend([
        0x80 | is_start,
        0xe0,
        high,
        low,
        low,
        0,
        u8::from(!n.is_multiple_of(20)),
    ]);
    packet.extend([0x55; 900]);
    packet
}

/// A NACK of packets, a PLI and a REMB, of the place of whoever says it.
fn asks(leg: u64, n: u16) -> Vec<u8> {
    let place = (0x1000 * leg as u32).to_be_bytes();
    let [high, low] = n.wrapping_mul(400).to_be_bytes();
    let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 205, 0, 3, 0, 0, 0, 9];
    packet.extend(place);
    packet.extend([high, low, 0xff, 0xff, 0x81, 206, 0, 2, 0, 0, 0, 9]);
    packet.extend(place);
    packet.extend([0x8f, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0]);
    packet.extend([b'R', b'E', b'M', b'B', 0, 4, 0, 255]);
    packet
}

/// Two who see each other, with losses, what is asked for on both sides, and one who comes and goes.
pub fn video() {
    let mut world = bridged(Codec::Opus, Codec::Opus, None, None);
    world.command(Command::OpenRoom(RoomSpec {
        id: ROOM,
        rate: Rate::Wide,
        speakers: 2,
        seats: 8,
        levels: true,
        gate: true,
        forwards: true,
    }));
    let materials = [1, 2].map(|leg| material(Codec::Opus, leg));
    for round in 0..3u16 {
        for leg in [1, 2] {
            world.command(shown(leg));
            let (leg, function) = (MediaLegId(leg), Function::Room(ROOM));
            world.command(Command::Function { leg, function });
        }
        for n in round * 200..round * 200 + 200 {
            for leg in [1, 2] {
                for part in [0, 1].into_iter().filter(|part| (n * 2 + part) % 33 != 7) {
                    world.deliver(leg, &frame(leg, n, part));
                }
                world.deliver(leg, &asks(leg, n));
                if let Some(voice) = materials[leg as usize - 1].get(usize::from(n)) {
                    world.deliver(leg, voice);
                }
            }
            world.tick();
        }
        let (leg, function) = (MediaLegId(1), Function::Idle);
        world.command(Command::Function { leg, function });
    }
    world.command(Command::Close(MediaLegId(1)));
    world.command(Command::Close(MediaLegId(2)));
    assert!(world.sent > 2_000, "only {} packets were made", world.sent);
    assert_eq!(world.counted, 0, "video: the worker called the allocator");
}

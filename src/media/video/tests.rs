//! A place, packet by packet: what a decoder gets is one stream.

use super::slot::Layer;
use super::*;
use crate::id::MediaLegId;
use crate::media::rtp::Header;

const SSRC: u32 = 7;

fn slot() -> Slot {
    let format = VideoFormat {
        codec: VideoCodec::Vp8,
        payload_type: 96,
        rtx: Some(97),
    };
    Slot::new(0, (SSRC, SSRC + 1), Some(3), &[format], 0x1234_5678_9abc_def0)
}

fn shown(leg: u64) -> Shown {
    Shown {
        id: MediaLegId(leg),
        at: LegIx(0),
        published: 0,
        is_screen: false,
    }
}

fn from(layer: u8) -> Layer {
    Layer {
        nth: layer,
        generation: 1,
        codec: VideoCodec::Vp8,
    }
}

/// A packet of a frame with this picture identifier.
fn packet(sequence: u16, timestamp: u32, picture: u16, base: u8, is_key: bool) -> Packet {
    let mut packet = Packet::default();
    let header = Header {
        marker: true,
        payload_type: 0,
        sequence,
        timestamp,
        ssrc: 1,
    };
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let payload = [0x90, 0xe0, high, low, base, 0, u8::from(!is_key), 0xaa];
    header.write(&mut packet)[..payload.len()].copy_from_slice(&payload);
    packet.set_len(12 + payload.len());
    packet
}

/// Number, clock, picture and base layer of what the viewer gets.
fn written(slot: &mut Slot, now: Instant, layer: u8, kept: &Packet) -> Option<(u16, u32, u16, u8)> {
    let mut out = Packet::default();
    slot.write(now, from(layer), kept, &mut out).then(|| {
        let view = View::parse(out.as_slice()).unwrap();
        let payload = view.payload;
        assert_eq!((view.ssrc, view.payload_type, payload.len()), (SSRC, 96, 8));
        // When it went out, in 2^-18 s.
        let [a, b, c] = *extension::find(out.as_slice(), 3).unwrap().first_chunk().unwrap();
        let wanted = (now.as_millis() as u128) * (1 << 18) / 1_000 % (1 << 24);
        assert_eq!(u128::from(u32::from_be_bytes([0, a, b, c])), wanted);
        let picture = u16::from_be_bytes([payload[2], payload[3]]) & 0x7fff;
        (view.sequence, view.timestamp, picture, payload[4])
    })
}

#[test]
fn a_switch_is_invisible_in_all_numbers() {
    let mut slot = slot();
    let mut now = Instant::ZERO + Duration::from_secs(1);
    slot.show(Some(shown(1)));
    assert_eq!(
        written(&mut slot, now, 0, &packet(5, 9, 9, 9, false)),
        None,
        "no key frame"
    );
    let (sequence, clock, picture, base) =
        written(&mut slot, now, 0, &packet(65_535, 1_000, 0x7fff, 255, true)).unwrap();
    assert_eq!((picture, base), (1, 1));
    now += Duration::from_millis(33);
    let next = written(&mut slot, now, 0, &packet(0, 4_000, 0, 0, false));
    assert_eq!(next, Some((sequence + 1, clock.wrapping_add(3_000), 2, 2)));
    // Another: from its key frame on, a tenth of a second later.
    slot.show(Some(shown(2)));
    now += Duration::from_millis(100);
    assert_eq!(written(&mut slot, now, 0, &packet(300, 70, 50, 60, false)), None);
    let next = written(&mut slot, now, 0, &packet(301, 80, 51, 61, true));
    assert_eq!(next, Some((sequence + 2, clock.wrapping_add(12_000), 3, 3)));
    // What is older than that is not of it.
    assert_eq!(written(&mut slot, now, 0, &packet(299, 60, 49, 59, true)), None);
    // One that was late has the number that was left for it.
    let later = written(&mut slot, now, 0, &packet(303, 180, 53, 63, false)).unwrap();
    let late = written(&mut slot, now, 0, &packet(302, 130, 52, 62, false)).unwrap();
    assert_eq!((late.0, later.0), (sequence + 3, sequence + 4));
    assert_eq!(slot.origin(sequence + 3), Some((0, 302)));
    assert_eq!(slot.origin(sequence + 1), None, "of another");
    assert_eq!(slot.origin(sequence + 5), None, "not sent yet");
}

#[test]
fn a_layer_goes_on_until_the_other_one_begins() {
    let mut slot = slot();
    let now = Instant::ZERO + Duration::from_secs(1);
    slot.show(Some(shown(1)));
    let first = written(&mut slot, now, 0, &packet(1, 1, 1, 1, true)).unwrap().0;
    slot.target = 1;
    assert!(slot.waits_for_key(1));
    assert_eq!(written(&mut slot, now, 1, &packet(900, 1, 1, 1, false)), None);
    assert_eq!(
        written(&mut slot, now, 0, &packet(2, 2, 2, 2, false)).unwrap().0,
        first + 1
    );
    assert_eq!(
        written(&mut slot, now, 1, &packet(901, 1, 1, 1, true)).unwrap().0,
        first + 2
    );
    assert!(
        !slot.waits_for_key(1) && slot.waits_for_key(2),
        "its numbers begin anew"
    );
    assert_eq!(written(&mut slot, now, 0, &packet(3, 3, 3, 3, true)), None);
}

#[test]
fn padding_leaves_no_gap_and_what_is_sent_again_is_the_same() {
    let mut slot = slot();
    let now = Instant::ZERO + Duration::from_secs(1);
    slot.show(Some(shown(1)));
    let first = written(&mut slot, now, 0, &packet(1, 1, 1, 1, true)).unwrap();
    let mut empty = packet(2, 1, 1, 1, false);
    empty.set_len(12);
    assert_eq!(written(&mut slot, now, 0, &empty), None);
    let kept = packet(3, 3_001, 2, 2, false);
    let next = written(&mut slot, now, 0, &kept).unwrap();
    assert_eq!(next.0, first.0 + 1);
    assert_eq!(
        (slot.origin(first.0), slot.origin(next.0)),
        (Some((0, 1)), Some((0, 3)))
    );
    let mut out = Packet::default();
    assert!(slot.rewrite(now, next.0, &kept, &mut out));
    let view = View::parse(out.as_slice()).unwrap();
    assert_eq!((view.ssrc, view.payload_type, view.timestamp), (SSRC + 1, 97, next.1));
    assert_eq!(view.payload[..2], next.0.to_be_bytes());
    assert_eq!(u16::from_be_bytes([view.payload[4], view.payload[5]]) & 0x7fff, next.2);
}

#[test]
fn what_is_lost_is_asked_for_a_few_times_and_then_a_key_frame_is() {
    let mut track = Track::new(16, VideoCodec::Vp8);
    track.learn(1, false);
    let mut now = Instant::ZERO + Duration::from_secs(1);
    let take = |track: &mut Track, now, sequence| {
        let mut packet = packet(sequence, 0, 1, 1, false);
        packet.as_mut_slice()[8..12].copy_from_slice(&1u32.to_be_bytes());
        let view = View::parse(packet.as_slice()).unwrap();
        track.take(now, &view, VideoCodec::Vp8)
    };
    assert_eq!(take(&mut track, now, 65_534), Some(65_534));
    assert_eq!(take(&mut track, now, 1), Some(1));
    assert_eq!(take(&mut track, now, 1), None, "twice");
    let asked = |track: &mut Track, now| track.missing(now).map(|(all, len)| all[..len].to_vec());
    assert_eq!(asked(&mut track, now), Some(vec![0, 65_535]));
    assert_eq!(asked(&mut track, now), None, "not at once again");
    assert_eq!(take(&mut track, now, 65_535), Some(65_535));
    assert!(!track.asks_for_key(now));
    for _ in 0..4 {
        now += Duration::from_millis(100);
        assert_eq!(asked(&mut track, now), Some(vec![0]));
    }
    now += Duration::from_millis(100);
    assert_eq!(asked(&mut track, now), None);
    assert!(track.asks_for_key(now) && !track.asks_for_key(now));
    track.want_key();
    assert!(!track.asks_for_key(now) && track.asks_for_key(now + KEY_EVERY));
    // What is no longer kept is nobody's.
    assert!(track.kept(1).is_some());
    assert_eq!(take(&mut track, now, 17), Some(17));
    assert!(track.kept(1).is_none() && track.kept(17).is_some());
}

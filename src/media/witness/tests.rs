use super::*;
use crate::media::rtcp::Compound;
use crate::media::rtcp::extended::Extended;
use crate::media::sender::Sent;
use crate::media::source::Block;
use crate::time::Instant;
use proptest::prelude::*;

const AUDIO: u8 = 8;
const EVENT: u8 = 101;

fn packet(first: u8, marker: bool, payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![first, u8::from(marker) << 7 | payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 16]);
    packet
}

/// Audio in step with its sequence number.
fn audio(sequence: u16) -> Vec<u8> {
    packet(0x80, false, AUDIO, sequence, u32::from(sequence) * 160, 7)
}

fn seen(packets: impl IntoIterator<Item = Vec<u8>>) -> Testimony {
    let mut witness = Witness::new(1);
    witness.agreed(AUDIO, Some(EVENT));
    for packet in packets {
        witness.datagram(Channel::Rtp, &packet);
    }
    witness.testimony().clone()
}

#[test]
fn a_stream_in_order_gives_no_offence_also_over_the_wrap() {
    let stream = (0u16..300).map(|n| {
        let sequence = n.wrapping_add(65_400);
        packet(0x80, n == 0, AUDIO, sequence, u32::from(n) * 160, 7)
    });
    let want = Testimony {
        packets: 300,
        sources: 1,
        markers: 1,
        payload_types: [AUDIO].into(),
        agreed: [AUDIO, EVENT].into(),
        ..Testimony::default()
    };
    assert_eq!(seen(stream), want);
}

#[test]
fn gaps_stragglers_and_copies_are_told_apart() {
    let seen_of = |numbers: &[u16]| {
        let seen = seen(numbers.iter().map(|n| audio(*n)));
        (seen.missing, seen.disordered)
    };
    assert_eq!(seen_of(&[1, 2, 5, 6]), (2, 0));
    assert_eq!(seen_of(&[1, 3, 2, 4]), (0, 1));
    assert_eq!(seen_of(&[1, 2, 2, 3]), (0, 1));
}

#[test]
fn another_source_and_a_jump_of_the_timestamp_are_seen_unless_a_marker_explains_it() {
    let other = packet(0x80, false, AUDIO, 4, 640, 8);
    assert_eq!(seen([audio(1), audio(2), audio(3), other]).sources, 2);
    let jump = |marker| packet(0x80, marker, AUDIO, 4, 5000, 7);
    assert_eq!(seen([audio(1), audio(2), audio(3), jump(false)]).jumps, 1);
    assert_eq!(seen([audio(1), audio(2), audio(3), jump(true)]).jumps, 0);
    // The packets of one event share a timestamp (RFC 4733 2.5.1.2).
    let event = |n| packet(0x80, n == 4, EVENT, n, 640, 7);
    let told = seen([
        audio(1),
        audio(2),
        audio(3),
        event(4),
        event(5),
        packet(0x80, false, AUDIO, 6, 1800, 7),
    ]);
    assert_eq!((told.jumps, told.payload_types), (0, [AUDIO, EVENT].into()));
}

#[test]
fn a_header_extension_is_objected_to_and_never_reaches_the_crate() {
    // RFC 8285 one-byte form whose element leads beyond the extension: what the crate panics on.
    let mut crafted = packet(0x90, false, AUDIO, 1, 160, 7);
    crafted.truncate(12);
    crafted.extend([0xbe, 0xde, 0, 1, 0x1f, 0, 0, 0]);
    let told = seen([crafted]);
    assert_eq!((told.packets, told.objections.len()), (0, 1));
    assert!(told.objections[0].contains("header extension"), "{:?}", told.objections);
}

#[test]
fn reports_are_read_for_what_they_say_of_us() {
    let sent = Sent {
        ssrc: 7,
        timestamp: 20_000,
        packets: 125,
        octets: 20_000,
    };
    let block = |ssrc| Block {
        ssrc,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest: 70_001,
        jitter: 12,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    let mut witness = Witness::new(9);
    for (ours, lost) in [(8, None), (9, Some(-3))] {
        let compound = Compound {
            ssrc: 7,
            sent: Some((Instant::ZERO, sent)),
            block: Some(block(ours)),
            cname: "c",
            extended: Extended::default(),
            goodbye: true,
        };
        let mut buffer = [0; 256];
        let length = rtcp::write(&mut buffer, &compound);
        witness.datagram(Channel::Rtcp, &buffer[..length]);
        assert_eq!(
            (witness.testimony().sent, witness.testimony().peer_lost),
            (Some(125), lost)
        );
    }
    assert_eq!(witness.testimony().reports, 2);
    assert!(witness.testimony().objections.is_empty());
}

proptest! {
    #[test]
    fn any_octets_are_read_or_objected_to(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..40),
        rtcp: bool,
        first in 0x80u8..0xc0,
    ) {
        let mut witness = Witness::new(1);
        for mut octets in datagrams {
            // Often enough what looks like media or a report.
            if octets.len() >= 4 {
                octets[0] = first;
                if rtcp {
                    octets[1] = 200 + octets[1] % 4;
                    octets[2] = 0;
                    octets[3] = (octets.len() / 4 - 1) as u8;
                    let whole = octets.len() / 4 * 4;
                    octets.truncate(whole);
                }
            }
            witness.datagram(if rtcp { Channel::Rtcp } else { Channel::Rtp }, &octets);
        }
        prop_assert!(witness.testimony().objections.len() <= OBJECTIONS);
    }
}

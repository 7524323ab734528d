//! Any octets as an Opus packet: an answer, never a panic, and the same one as libopus's.

use audiopus::SampleRate;
use audiopus::packet::{self, Packet};
use codecs::opus::{Bandwidth, Decoder, Encoder, EncoderParams, OpusError, PacketInfo, packet_info, packet_samples};
use codecs::speech;
use proptest::prelude::*;

/// What libopus says of a packet.
fn oracle(octets: &[u8]) -> Option<(usize, usize, usize, Bandwidth)> {
    let view = || Packet::try_from(octets).ok();
    let samples = packet::nb_samples(view()?, SampleRate::Hz48000).ok()?;
    let frames = packet::nb_frames(view()?).ok()?;
    let channels = i32::from(packet::nb_channels(view()?).ok()?) as usize;
    let bandwidth = match packet::bandwidth(view()?).ok()? {
        audiopus::Bandwidth::Narrowband => Bandwidth::Narrow,
        audiopus::Bandwidth::Mediumband => Bandwidth::Medium,
        audiopus::Bandwidth::Wideband => Bandwidth::Wide,
        audiopus::Bandwidth::Superwideband => Bandwidth::SuperWide,
        audiopus::Bandwidth::Fullband => Bandwidth::Full,
        audiopus::Bandwidth::Auto => return None,
    };
    (samples > 0).then_some((samples, frames, channels, bandwidth))
}

fn ours(info: PacketInfo) -> (usize, usize, usize, Bandwidth) {
    (
        info.samples(48_000),
        usize::from(info.frames),
        usize::from(info.channels),
        info.bandwidth,
    )
}

/// The first octet says nearly everything: all of them, with each count of frames.
#[test]
fn every_toc_is_read_as_libopus_does() {
    for toc in 0..=u8::MAX {
        for count in 0..=u8::MAX {
            let octets = [toc, count, 0, 0];
            assert_eq!(packet_info(&octets).ok().map(ours), oracle(&octets), "{octets:02x?}");
        }
        assert_eq!(packet_info(&[toc]).ok().map(ours), oracle(&[toc]), "{toc:02x}");
    }
}

/// RFC 6716 4.2.3 by hand: mono SILK of 20 ms, of 60 ms (three VAD flags first), stereo (the flag of the side channel), in a second
/// form of framing, and CELT, which has no such flag.
#[test]
fn the_copy_is_announced_by_the_lbrr_flag() {
    let fec = |octets: &[u8]| packet_info(octets).map(|info| info.fec);
    assert_eq!(fec(&[0x08, 0b0100_0000]), Ok(true));
    assert_eq!(fec(&[0x08, 0b1011_1111]), Ok(false));
    assert_eq!(fec(&[0x18, 0b0001_0000]), Ok(true));
    assert_eq!(fec(&[0x18, 0b1110_1111]), Ok(false));
    assert_eq!(fec(&[0x0c, 0b0001_0000]), Ok(true), "stereo: VAD, LBRR, VAD, LBRR");
    assert_eq!(fec(&[0x0c, 0b1010_1111]), Ok(false));
    assert_eq!(
        fec(&[0x0a, 2, 0b0100_0000, 0, 0]),
        Ok(true),
        "two frames of different length"
    );
    assert_eq!(
        fec(&[0x0a, 0, 0b0100_0000, 0, 0]),
        Ok(false),
        "the first frame is empty"
    );
    assert_eq!(
        fec(&[0x0b, 0x42, 1, 0b0100_0000, 0, 0]),
        Ok(true),
        "any number of frames, padded"
    );
    assert_eq!(
        fec(&[0x0b, 0xc2, 255, 1, 252, 0, 0b0100_0000]),
        Ok(true),
        "of different length, long padding"
    );
    assert_eq!(fec(&[0x88, 0xff]), Ok(false));
    assert_eq!(fec(&[0x08]), Ok(false));
    assert_eq!(fec(&[0x0b, 0x41]), Ok(false));
}

/// Junk must leave the decoder fit for the next good packet.
fn feed(decoder: &mut Decoder, octets: &[u8]) -> Result<usize, OpusError> {
    let mut out = [0; 5_760];
    let room = 120 * decoder.rate() as usize / 1_000;
    let decoded = decoder.decode(octets, &mut out[..room]);
    if let Ok(samples) = decoded {
        assert_eq!(Ok(samples), packet_samples(octets, decoder.rate()));
    }
    let gap = decoder.rate() as usize / 50;
    let recovered = decoder.decode_fec(octets, &mut out[..gap]);
    assert!(
        matches!(recovered, Ok(samples) if samples == gap) || recovered == Err(OpusError::BadPacket),
        "{recovered:?}"
    );
    assert_eq!(decoder.conceal(&mut out[..gap]), Ok(gap));
    decoded
}

fn good_packets() -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(8_000, EncoderParams::default()).expect("an encoder");
    let mut out = [0; 1_275];
    speech::synthesise(8_000, -18.0, 8_000)
        .chunks_exact(160)
        .map(|frame| {
            encoder
                .encode(frame, &mut out)
                .map(|length| out[..length].to_vec())
                .expect("a packet")
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6)) {
        for rate in [8_000, 48_000] {
            let mut decoder = Decoder::new(rate).expect("a decoder");
            for octets in &packets {
                prop_assert_eq!(packet_info(octets).ok().map(ours), oracle(octets));
                match feed(&mut decoder, octets) {
                    Ok(_) | Err(OpusError::BadPacket) => {}
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }

    /// Good packets that a bad line has touched: shortened, lengthened, with octets changed.
    #[test]
    fn damaged_packets(number in 0usize..50, at in 0usize..80, octet in any::<u8>(), length in 0usize..120) {
        let packets = good_packets();
        let mut damaged = packets[number].clone();
        let at = at % damaged.len();
        damaged[at] ^= octet;
        damaged.resize(length, octet);
        let mut decoder = Decoder::new(8_000).expect("a decoder");
        for packet in &packets[..number] {
            decoder.decode(packet, &mut [0; 160]).expect("a good packet");
        }
        match feed(&mut decoder, &damaged) {
            Ok(_) | Err(OpusError::BadPacket) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(decoder.decode(&packets[number], &mut [0; 160]), Ok(160));
    }
}

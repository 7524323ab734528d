//! What a leg seals another opens, once, in order or not, by the key that was agreed and by no other.

use super::*;
use crate::media::command::Suite;

const SSRC: u32 = 0xabcd_0001;

fn master(suite: Suite, first: u8) -> MasterKey {
    let length = suite.key_octets() + suite.salt_octets();
    let octets: Vec<u8> = (0..length).map(|n| first.wrapping_add(n as u8)).collect();
    MasterKey::new(suite, &octets).unwrap()
}

/// Both ends of one direction.
fn ends(master: MasterKey) -> (Sealer, Opener) {
    let keys = Keys::new(master.clone(), vec![master]).unwrap();
    (Sealer::new(&keys), Opener::new(&keys))
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 160];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}

fn seal(plain: &[u8], by: impl FnOnce(&mut [u8], usize) -> Result<usize, Fault>) -> Result<Vec<u8>, Fault> {
    let mut buffer = [plain, &[0; 32]].concat();
    let len = by(&mut buffer, plain.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn sealed(sealer: &mut Sealer, sequence: u16) -> Vec<u8> {
    seal(&rtp(SSRC, sequence, b"speech"), |buffer, len| sealer.rtp(buffer, len)).unwrap()
}

fn opened(opener: &mut Opener, mut packet: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let len = opener.rtp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

fn report_opened(opener: &mut Opener, mut packet: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let len = opener.rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

#[test]
fn what_is_sealed_is_opened_in_every_suite_through_a_roll_over() {
    for suite in Suite::ALL {
        let (mut sealer, mut opener) = ends(master(suite, 1));
        for n in 0..140_000u32 {
            let sequence = 30_000u16.wrapping_add(n as u16);
            let packet = sealed(&mut sealer, sequence);
            // Every third is lost, and at times many in a row.
            if n % 3 == 0 || n % 50_000 < 20_000 {
                continue;
            }
            assert_eq!(
                opened(&mut opener, packet),
                Ok(rtp(SSRC, sequence, b"speech")),
                "{suite:?} {n}"
            );
        }
        let plain = report(SSRC);
        for _ in 0..3 {
            let packet = seal(&plain, |buffer, len| sealer.rtcp(buffer, len)).unwrap();
            assert_eq!(report_opened(&mut opener, packet), Ok(plain.clone()));
        }
    }
}

#[test]
fn a_header_with_everything_stays_in_the_clear() {
    let (mut sealer, mut opener) = ends(master(Suite::AeadAes256Gcm, 1));
    let mut plain = vec![0xb2, 0x80, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9, 1, 1, 1, 1, 2, 2, 2, 2];
    plain.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    let head = plain.len();
    plain.extend(b"speech\0\0\x03");
    let packet = seal(&plain, |buffer, len| sealer.rtp(buffer, len)).unwrap();
    assert!(packet[..head] == plain[..head] && packet[head..plain.len()] != plain[head..]);
    assert_eq!(opened(&mut opener, packet), Ok(plain));
}

#[test]
fn a_packet_is_taken_once_and_not_too_late() {
    let (mut sealer, mut opener) = ends(master(Suite::AesCm128Sha1_80, 1));
    let packets: Vec<Vec<u8>> = (0..300).map(|sequence| sealed(&mut sealer, sequence)).collect();
    for at in [0, 2, 1, 250, 200] {
        assert!(opened(&mut opener, packets[at].clone()).is_ok(), "{at}");
        assert_eq!(opened(&mut opener, packets[at].clone()), Err(Fault::Replayed), "{at}");
    }
    assert_eq!(opened(&mut opener, packets[100].clone()), Err(Fault::Old));
    let reports: Vec<Vec<u8>> = (0..3)
        .map(|_| seal(&report(SSRC), |buffer, len| sealer.rtcp(buffer, len)).unwrap())
        .collect();
    assert!(report_opened(&mut opener, reports[2].clone()).is_ok());
    assert!(report_opened(&mut opener, reports[0].clone()).is_ok());
    assert_eq!(report_opened(&mut opener, reports[0].clone()), Err(Fault::Replayed));
}

/// What is forged leaves no trace: neither an SSRC nor an index of it is believed.
#[test]
fn nothing_is_learned_from_a_forgery() {
    let (mut sealer, mut opener) = ends(master(Suite::AesCm128Sha1_32, 1));
    let keys = Keys::new(
        master(Suite::AesCm128Sha1_32, 2),
        vec![master(Suite::AesCm128Sha1_32, 2)],
    )
    .unwrap();
    let mut thief = Sealer::for_streams(&keys, 21);
    assert!(opened(&mut opener, sealed(&mut sealer, 10)).is_ok());
    for sequence in [11, 5_000, 20_000] {
        assert_eq!(opened(&mut opener, sealed(&mut thief, sequence)), Err(Fault::Forged));
    }
    for ssrc in 0..20 {
        let packet = rtp(ssrc, 20_001 + ssrc as u16, b"noise");
        let packet = seal(&packet, |buffer, len| thief.rtp(buffer, len));
        assert_eq!(
            packet.and_then(|packet| opened(&mut opener, packet)),
            Err(Fault::Forged)
        );
    }
    assert!(opened(&mut opener, sealed(&mut sealer, 11)).is_ok());
    assert_eq!(opened(&mut opener, rtp(SSRC, 12, b"in the clear")), Err(Fault::Forged));
    assert_eq!(report_opened(&mut opener, report(SSRC)), Err(Fault::UnknownKey));
}

/// Each SSRC has numbers of its own, and none is forgotten so that they could be used again.
#[test]
fn streams_are_sealed_beside_one_another() {
    let (mut sealer, mut opener) = ends(master(Suite::AeadAes128Gcm, 1));
    let mut packet = |ssrc, sequence| seal(&rtp(ssrc, sequence, b"x"), |buffer, len| sealer.rtp(buffer, len));
    for ssrc in 0..limits::SRTP_STREAMS as u32 {
        assert!(opened(&mut opener, packet(ssrc, 60_000).unwrap()).is_ok());
        assert_eq!(packet(ssrc, 60_000), Err(Fault::Replayed));
    }
    assert_eq!(packet(99, 1), Err(Fault::TooMany));
    assert!(opened(&mut opener, packet(0, 60_001).unwrap()).is_ok());
}

/// RFC 3711 9.1: two packets under one key stream would tell both.
#[test]
fn no_number_is_sealed_twice() {
    let (mut sealer, _) = ends(master(Suite::AesCm128Sha1_80, 1));
    let mut again = |sequence| seal(&rtp(SSRC, sequence, b"x"), |buffer, len| sealer.rtp(buffer, len)).map(drop);
    assert_eq!(again(500), Ok(()));
    assert_eq!(again(499), Ok(()), "one that was reordered on its way to us");
    assert_eq!(again(500), Err(Fault::Replayed));
    assert_eq!(again(300), Err(Fault::Old));
}

#[test]
fn a_new_ssrc_begins_anew_and_the_oldest_is_forgotten() {
    let (mut sealer, mut opener) = ends(master(Suite::AeadAes128Gcm, 1));
    let of = |ssrc| {
        let keys = master(Suite::AeadAes128Gcm, 1);
        let keys = Keys::new(keys.clone(), vec![keys]).unwrap();
        seal(&rtp(ssrc, 9, b"x"), |buffer, len| Sealer::new(&keys).rtp(buffer, len)).unwrap()
    };
    assert!(opened(&mut opener, sealed(&mut sealer, 60_000)).is_ok());
    for ssrc in 1..=3 {
        assert!(opened(&mut opener, of(ssrc)).is_ok());
    }
    assert_eq!(opener.streams.len(), limits::SRTP_STREAMS);
    assert!(
        opened(&mut opener, sealed(&mut sealer, 60_001)).is_ok(),
        "it is heard again"
    );
    assert!(opened(&mut opener, of(4)).is_ok());
    assert_eq!(opener.streams.len(), limits::SRTP_STREAMS);
    let known = |ssrc| opener.streams.iter().any(|stream| stream.ssrc == ssrc);
    assert!(known(SSRC) && !known(1) && known(4));
}

#[test]
fn a_key_is_found_by_its_identifier() {
    let suite = Suite::AesCm128Sha1_80;
    let key = |first, mki: &[u8]| master(suite, first).with_mki(mki).unwrap();
    let keys = |seal| Keys::new(seal, vec![key(1, &[0, 1]), key(2, &[0, 2])]).unwrap();
    let mut opener = Opener::new(&keys(key(1, &[])));
    let (mut old, mut new) = (Sealer::new(&keys(key(1, &[0, 1]))), Sealer::new(&keys(key(2, &[0, 2]))));
    let mut other = Sealer::new(&keys(key(3, &[0, 3])));
    assert!(opened(&mut opener, sealed(&mut old, 1)).is_ok());
    assert!(opened(&mut opener, sealed(&mut new, 2)).is_ok());
    assert_eq!(opened(&mut opener, sealed(&mut other, 3)), Err(Fault::UnknownKey));
    let mut liar = Sealer::new(&keys(key(3, &[0, 2])));
    assert_eq!(opened(&mut opener, sealed(&mut liar, 3)), Err(Fault::Forged));
    let packet = seal(&report(SSRC), |buffer, len| new.rtcp(buffer, len)).unwrap();
    assert_eq!(report_opened(&mut opener, packet), Ok(report(SSRC)));
}

/// RFC 4568 6.1: "MUST NOT accept incoming packets that violate the policy".
#[test]
fn a_key_serves_as_long_as_it_was_said_to() {
    let key = master(Suite::AeadAes256Gcm, 1);
    let (mut endless, mut opener) = ends(key.clone().with_lifetime(2).unwrap());
    let (mut sealer, _) = ends(key);
    assert!(opened(&mut opener, sealed(&mut endless, 1)).is_ok());
    // One that was refused counts for nothing.
    assert_eq!(opened(&mut opener, rtp(SSRC, 2, &[0; 40])), Err(Fault::Forged));
    assert!(opened(&mut opener, sealed(&mut endless, 2)).is_ok());
    let third = seal(&rtp(SSRC, 3, b"x"), |buffer, len| endless.rtp(buffer, len));
    assert_eq!(third, Err(Fault::WornOut));
    assert_eq!(opened(&mut opener, sealed(&mut sealer, 3)), Err(Fault::WornOut));
    for expected in [Ok(()), Ok(()), Err(Fault::WornOut)] {
        let packet = seal(&report(SSRC), |buffer, len| endless.rtcp(buffer, len));
        assert_eq!(packet.map(drop), expected);
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    let (mut sealer, mut opener) = ends(master(Suite::AesCm128Sha1_80, 1));
    for octets in [&[][..], &[0x80; 11], &[0x40; 60], &[0x9f; 20], &[0x90; 13]] {
        let mut buffer = octets.to_vec();
        assert!(opener.rtp(&mut buffer).is_err(), "{octets:?}");
        assert!(sealer.rtp(&mut buffer, octets.len()).is_err(), "{octets:?}");
    }
    assert_eq!(sealer.rtp(&mut [0x80; 60], 61), Err(Fault::Malformed));
    for length in 0..8 {
        assert_eq!(opener.rtcp(&mut vec![0x80; length]), Err(Fault::Malformed));
        assert_eq!(sealer.rtcp(&mut vec![0x80; length], length), Err(Fault::Malformed));
    }
    assert_eq!(format!("{sealer:?} {opener:?}"), "Sealer(***) Opener(1 keys)");
}

//! Our SRTP and that of others (rtc-srtp): each opens what the other seals, octet for octet, through roll-overs, losses and reordering.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use proptest::prelude::*;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use tandem::media::command::{Keys, MasterKey, Suite};
use tandem::media::srtp::{Opener, Sealer};

const PROFILES: [(Suite, ProtectionProfile); 6] = [
    (Suite::AeadAes256Gcm, ProtectionProfile::AeadAes256Gcm),
    (Suite::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm),
    (Suite::Aes256CmSha1_80, ProtectionProfile::Aes256CmHmacSha1_80),
    (Suite::Aes256CmSha1_32, ProtectionProfile::Aes256CmHmacSha1_32),
    (Suite::AesCm128Sha1_80, ProtectionProfile::Aes128CmHmacSha1_80),
    (Suite::AesCm128Sha1_32, ProtectionProfile::Aes128CmHmacSha1_32),
];

/// Both ends of both: ours and theirs with one key.
struct Ends {
    sealer: Sealer,
    opener: Opener,
    seals: Context,
    opens: Context,
}

fn ends((suite, profile): (Suite, ProtectionProfile), octets: &[u8; 46]) -> Ends {
    let octets = &octets[..suite.key_octets() + suite.salt_octets()];
    let master = MasterKey::new(suite, octets).unwrap();
    let keys = Keys::new(master.clone(), vec![master.clone()]).unwrap();
    let provider = rtc_crypto::default_provider().unwrap();
    let theirs = || Context::new(master.key(), master.salt(), profile, None, None, provider.crypto()).unwrap();
    Ends {
        sealer: Sealer::new(&keys),
        opener: Opener::new(&keys),
        seals: theirs(),
        opens: theirs(),
    }
}

fn rtp(ssrc: u32, sequence: u16, csrcs: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | csrcs, 0x60];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 1, 2, 3]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..4 * csrcs).map(|octet| octet ^ 0x55));
    packet.extend(payload);
    packet
}

/// A receiver report without blocks and a CNAME.
fn rtcp(ssrc: u32, name: &[u8; 6]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 4]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, 6]);
    packet.extend(name);
    packet.extend([0, 0, 0, 0]);
    packet
}

fn sealed(plain: &[u8], seal: impl FnOnce(&mut [u8], usize) -> usize) -> Vec<u8> {
    let mut buffer = [plain, &[0; 32]].concat();
    let len = seal(&mut buffer, plain.len());
    buffer.truncate(len);
    buffer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rtp_goes_both_ways(
        octets in any::<[u8; 46]>(),
        ssrc in any::<u32>(),
        first in 0..0x8000u16,
        steps in prop::collection::vec((1..6_000u16, 0..4u8, prop::collection::vec(any::<u8>(), 0..300)), 1..30),
    ) {
        for profile in PROFILES {
            let mut ends = ends(profile, &octets);
            let mut sequence = first;
            for (step, csrcs, payload) in &steps {
                sequence = sequence.wrapping_add(*step);
                let plain = rtp(ssrc, sequence, *csrcs, payload);
                let ours = sealed(&plain, |buffer, len| ends.sealer.rtp(buffer, len).unwrap());
                let theirs = ends.seals.encrypt_rtp(&plain).unwrap();
                prop_assert_eq!(&ours[..], &theirs[..], "{:?}", profile.0);
                prop_assert_eq!(&ends.opens.decrypt_rtp(&ours).unwrap()[..], &plain[..]);
                let mut packet = theirs.to_vec();
                let len = ends.opener.rtp(&mut packet).unwrap();
                prop_assert_eq!(&packet[..len], &plain[..]);
            }
        }
    }

    /// The first index is a matter of taste (RFC 3711 3.4 asks for none), so what is sealed is compared by opening it.
    #[test]
    fn rtcp_goes_both_ways(octets in any::<[u8; 46]>(), ssrc in any::<u32>(), names in prop::collection::vec(any::<[u8; 6]>(), 1..8)) {
        for profile in PROFILES {
            let mut ends = ends(profile, &octets);
            for name in &names {
                let plain = rtcp(ssrc, name);
                let ours = sealed(&plain, |buffer, len| ends.sealer.rtcp(buffer, len).unwrap());
                prop_assert_eq!(&ends.opens.decrypt_rtcp(&ours).unwrap()[..], &plain[..]);
                let mut packet = ends.seals.encrypt_rtcp(&plain).unwrap().to_vec();
                let len = ends.opener.rtcp(&mut packet).unwrap();
                prop_assert_eq!(&packet[..len], &plain[..]);
            }
        }
    }

    /// Any octets at all are opened or refused, and nothing else.
    #[test]
    fn no_octets_are_too_odd(key in any::<[u8; 46]>(), mut octets in prop::collection::vec(any::<u8>(), 0..120)) {
        for profile in PROFILES {
            let mut ends = ends(profile, &key);
            prop_assert!(ends.opener.rtp(&mut octets).is_err());
            prop_assert!(ends.opener.rtcp(&mut octets).is_err());
        }
    }
}

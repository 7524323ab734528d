//! The vectors of RFC 3711, RFC 6188 and RFC 7714, and what is no packet.

use super::*;
use serde_yaml::Value;

fn vectors() -> Value {
    serde_yaml::from_str(include_str!("../../../fixtures/srtp/vectors.json")).unwrap()
}

fn hex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

fn array<const N: usize>(text: &Value) -> [u8; N] {
    hex(text).try_into().unwrap()
}

#[test]
fn the_key_stream_of_rfc_3711_b_2() {
    let vectors = vectors();
    let of = &vectors["rfc3711"]["B.2_aes_cm"];
    let counter = Counter {
        key: counter_key(&hex(&of["session_key"])),
        salt: array(&of["session_salt"]),
        mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]),
        tag: 0,
    };
    let mut stream = vec![0; usize::try_from(of["keystream_octets"].as_u64().unwrap()).unwrap()];
    counter.apply(Place { ssrc: 0, index: 0 }, &mut stream);
    let blocks = of["keystream_blocks"].as_mapping().unwrap();
    assert_eq!(blocks.len(), 6);
    for (number, block) in blocks {
        let number = number.as_str().unwrap().trim_start_matches("0x");
        let at = 16 * usize::from_str_radix(number, 16).unwrap();
        assert_eq!(stream[at..at + 16], hex(block), "block {number}");
    }
    use sha2::Digest;
    let digest = sha2::Sha256::digest(&stream);
    assert_eq!(digest.to_vec(), hex(&of["keystream_sha256"]));
}

#[test]
fn the_session_keys_of_rfc_3711_b_3() {
    let vectors = vectors();
    let of = &vectors["rfc3711"]["B.3_kdf"];
    let octets = [hex(&of["master_key"]), hex(&of["master_salt"])].concat();
    let master = MasterKey::new(Suite::AesCm128Sha1_80, &octets).unwrap();
    let derive = Derive::new(&master);
    assert_eq!(derive.octets(0), array::<16>(&of["cipher_key"]));
    assert_eq!(derive.octets(2), array::<14>(&of["cipher_salt"]));
    let auth = hex(&of["auth_key"]);
    assert_eq!(derive.octets::<94>(1).to_vec(), auth);
}

fn octets<const N: usize>(digits: &str) -> [u8; N] {
    array(&Value::String(digits.to_owned()))
}

#[test]
fn the_key_stream_of_rfc_6188_7_1() {
    let counter = Counter {
        key: counter_key(&octets::<32>(
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
        )),
        salt: octets("f0f1f2f3f4f5f6f7f8f9fafbfcfd"),
        mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]),
        tag: 0,
    };
    let mut stream = vec![0; 16 * 0xff02];
    counter.apply(Place { ssrc: 0, index: 0 }, &mut stream);
    for (number, block) in [
        (0, "92bdd28a93c3f52511c677d08b5515a4"),
        (1, "9da71b2378a854f67050756ded165bac"),
        (2, "63c4868b7096d88421b563b8c94c9a31"),
        (0xfeff, "cea518c90fd91ced9cbb18c078a54711"),
        (0xff00, "3dbc4814f4da5f00a08772b63c6a046d"),
        (0xff01, "6eb246913062a16891433e97dd01a57f"),
    ] {
        assert_eq!(
            stream[16 * number..16 * number + 16],
            octets::<16>(block),
            "block {number:#x}"
        );
    }
}

#[test]
fn the_session_keys_of_rfc_6188_7_2() {
    let master =
        octets::<46>("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2");
    let master = MasterKey::new(Suite::Aes256CmSha1_80, &master).unwrap();
    let derive = Derive::new(&master);
    let key = octets::<32>("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4");
    assert_eq!(derive.octets(0), key);
    assert_eq!(derive.octets(2), octets::<14>("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(
        derive.octets(1),
        octets::<20>("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
    );
}

/// One entry of RFC 7714.
struct Entry {
    id: String,
    galois: Galois,
    place: Place,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    iv: Vec<u8>,
}

fn entries(kind: &str, ssrc_at: usize) -> Vec<Entry> {
    let vectors = vectors();
    let all = vectors["rfc7714"].as_sequence().unwrap().iter();
    all.filter(|of| of["id"].as_str().unwrap().starts_with(kind))
        .map(|of| {
            let plain = hex(if kind == "srtp-" { &of["rtp"] } else { &of["rtcp"] });
            let index = match of["index"].as_u64() {
                Some(index) => index,
                None => of["roc"].as_u64().unwrap() << 16 | u64::from(u16::from_be_bytes([plain[2], plain[3]])),
            };
            let ssrc = u32::from_be_bytes(*plain[ssrc_at..].first_chunk().unwrap());
            Entry {
                id: of["id"].as_str().unwrap().to_owned(),
                galois: Galois {
                    key: galois_key(&hex(&of["key"])),
                    salt: array(&of["salt"]),
                },
                place: Place { ssrc, index },
                sealed: hex(&of["protected"]),
                iv: hex(&of["iv"]),
                plain,
            }
        })
        .collect()
}

#[test]
fn the_rtp_of_rfc_7714_16() {
    let entries = entries("srtp-", 8);
    assert_eq!(entries.len(), 4);
    for entry in entries {
        assert_eq!(
            entry.galois.nonce(entry.place).as_ref().to_vec(),
            entry.iv,
            "{}",
            entry.id
        );
        let mut buffer = [entry.plain.clone(), vec![0; 16]].concat();
        let len = entry.plain.len();
        if entry.id.ends_with("tag-only") {
            let tag = entry.galois.seal(entry.place, &entry.plain, &mut []);
            assert_eq!([&entry.plain, tag.as_ref()].concat(), entry.sealed, "{}", entry.id);
            continue;
        }
        let cipher = Cipher::Galois(entry.galois);
        assert_eq!(cipher.seal_rtp(entry.place, 12, &mut buffer, len, &[]), Some(len + 16));
        assert_eq!(buffer, entry.sealed, "{}", entry.id);
        assert_eq!(cipher.open_rtp(entry.place, 12, &mut buffer, 0), Some(len));
        assert_eq!(buffer[..len], entry.plain, "{}", entry.id);
    }
}

#[test]
fn the_rtcp_of_rfc_7714_17() {
    let entries = entries("srtcp-", 4);
    assert_eq!(entries.len(), 4);
    for entry in entries {
        assert_eq!(
            entry.galois.nonce(entry.place).as_ref().to_vec(),
            entry.iv,
            "{}",
            entry.id
        );
        let mut buffer = [entry.plain.clone(), vec![0; 20]].concat();
        let len = entry.plain.len();
        if entry.id.ends_with("tag-only") {
            let trailer = (entry.place.index as u32).to_be_bytes();
            let head = [&entry.plain[..], &trailer].concat();
            let tag = entry.galois.seal(entry.place, &head, &mut []);
            let sealed = [&entry.plain, tag.as_ref(), &trailer].concat();
            assert_eq!(sealed, entry.sealed, "{}", entry.id);
            // Not encrypted, which is not agreed: it has no index for us.
            assert_eq!(Cipher::Galois(entry.galois).rtcp_index(&entry.sealed, 0), None);
            continue;
        }
        let cipher = Cipher::Galois(entry.galois);
        assert_eq!(cipher.seal_rtcp(entry.place, &mut buffer, len, &[]), Some(len + 20));
        assert_eq!(buffer, entry.sealed, "{}", entry.id);
        assert_eq!(cipher.rtcp_index(&buffer, 0), Some(entry.place.index));
        assert_eq!(cipher.open_rtcp(entry.place, &mut buffer, 0), Some(len));
        assert_eq!(buffer[..len], entry.plain, "{}", entry.id);
    }
}

fn session(suite: Suite) -> Session {
    let octets: Vec<u8> = (0..suite.key_octets() + suite.salt_octets()).map(|n| n as u8).collect();
    Session::new(&MasterKey::new(suite, &octets).unwrap())
}

/// What is behind a packet takes the room that RFC 4568 6.2 and RFC 7714 12 say, and no octet of it may be another.
#[test]
fn each_octet_is_authentic_in_every_suite() {
    for suite in Suite::ALL {
        let Session { rtp, rtcp } = session(suite);
        let (place, mki) = (
            Place {
                ssrc: 7,
                index: 1 << 16 | 9,
            },
            [5, 6],
        );
        let (rtp_tag, rtcp_tag) = match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => (16, 16),
            Suite::AesCm128Sha1_80 | Suite::Aes256CmSha1_80 => (10, 10),
            Suite::AesCm128Sha1_32 | Suite::Aes256CmSha1_32 => (4, 10),
        };
        let plain: Vec<u8> = (0..60).map(|n| 0x80 | n).collect();
        let mut buffer = [plain.clone(), vec![0; 40]].concat();
        let end = rtp.seal_rtp(place, 12, &mut buffer, 60, &mki).unwrap();
        assert_eq!(end, 60 + rtp_tag + 2, "{suite:?}");
        assert!(buffer[..12] == plain[..12] && buffer[12..60] != plain[12..]);
        let of_mki = end - rtp.behind_mki() - 2..end - rtp.behind_mki();
        assert_eq!(buffer[of_mki.clone()], mki);
        for spoilt in (0..end).filter(|at| !of_mki.contains(at)) {
            let mut packet = buffer[..end].to_vec();
            packet[spoilt] ^= 1;
            assert_eq!(
                rtp.open_rtp(place, 12, &mut packet, 2),
                None,
                "{suite:?}: octet {spoilt}"
            );
        }
        let later = Place {
            index: 2 << 16 | 9,
            ..place
        };
        assert_eq!(rtp.open_rtp(later, 12, &mut buffer[..end].to_vec(), 2), None);
        assert_eq!(rtp.open_rtp(place, 12, &mut buffer[..end], 2), Some(60));
        assert_eq!(buffer[..60], plain);

        let place = Place { ssrc: 7, index: 9 };
        let end = rtcp.seal_rtcp(place, &mut buffer, 60, &mki).unwrap();
        assert_eq!(end, 60 + rtcp_tag + 4 + 2, "{suite:?}");
        assert_eq!(rtcp.rtcp_index(&buffer[..end], 2), Some(9));
        let of_mki = end - rtcp.behind_mki() - 2..end - rtcp.behind_mki();
        for spoilt in (0..end).filter(|at| !of_mki.contains(at)) {
            let mut packet = buffer[..end].to_vec();
            packet[spoilt] ^= 1;
            assert_eq!(rtcp.open_rtcp(place, &mut packet, 2), None, "{suite:?}: octet {spoilt}");
        }
        assert_eq!(rtcp.open_rtcp(place, &mut buffer[..end], 2), Some(60));
        assert_eq!(buffer[..60], plain);
    }
}

#[test]
fn what_is_too_short_or_has_no_room_is_nothing() {
    for suite in Suite::ALL {
        let Session { rtp, rtcp } = session(suite);
        let place = Place { ssrc: 7, index: 9 };
        for length in 0..48 {
            let mut packet = vec![0x80; length];
            assert_eq!(rtp.open_rtp(place, 12, &mut packet.clone(), 8), None);
            assert_eq!(rtcp.open_rtcp(place, &mut packet, 8), None);
            let _ = rtcp.rtcp_index(&packet, 8);
        }
        let mut buffer = [0x80; 60];
        assert_eq!(rtp.seal_rtp(place, 12, &mut buffer, 58, &[]), None, "no room");
        assert_eq!(
            rtp.seal_rtp(place, 12, &mut buffer, 61, &[]),
            None,
            "more than there is"
        );
        assert_eq!(
            rtp.seal_rtp(place, 200, &mut buffer, 20, &[]),
            None,
            "a header beyond the packet"
        );
        assert_eq!(rtcp.seal_rtcp(place, &mut buffer, 58, &[]), None, "no room");
        assert_eq!(rtcp.seal_rtcp(place, &mut buffer, 4, &[]), None, "no header");
    }
}

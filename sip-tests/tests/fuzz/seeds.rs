//! What the corpora of the media targets begin with: written here, and kept as files for libFuzzer beside what it has found.

use sip_tests::turn::Raw;
use sip_tests::turn::wire::{Hash, attr, kind};
use std::fs;
use std::path::{Path, PathBuf};
use tandem::media::command::Suite;

/// Target, name and octets of each.
fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |target, list: Vec<Vec<u8>>| {
        let named = list.into_iter().enumerate();
        seeds.extend(named.map(|(number, octets)| (target, format!("seed-{number:02}"), octets)));
    };
    add("rtp", rtp());
    add("rtcp", rtcp());
    add("srtp", srtp());
    add("crypto", crypto());
    add("stun", stun());
    seeds
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// `UPDATE=1 cargo test -p sip-tests --test fuzz seeds` writes them.
#[test]
fn they_are_in_the_corpora() {
    for (target, name, octets) in all() {
        let path = corpora().join(target).join(&name);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(corpora().join(target)).expect("our own folder");
            fs::write(&path, &octets).expect("our own file");
        }
        let kept = fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        assert!(kept == octets, "{} is not what is written here", path.display());
    }
}

/// Each form of the header once, and each lie of a length.
fn rtp() -> Vec<Vec<u8>> {
    let packet = |first: u8, second: u8, more: &[u8]| {
        let fixed = [first, second, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
        [&fixed[..], more].concat()
    };
    let speech = [0xd5; 20];
    let dressed = [&[0; 8][..], &[0xab, 0xcd, 0, 1, 1, 2, 3, 4], &speech, &[0, 0, 0, 4]].concat();
    vec![
        packet(0x80, 0, &speech),
        packet(0x80, 0x80 | 111, &[0x08, 0xff, 0xfe]),
        packet(0x80, 101, &[5, 0x8a, 3, 0x20]),
        packet(0xb2, 8, &dressed),
        packet(0x90, 8, &[0xbe, 0xde, 0, 1, 0x1f, 0, 0, 0]),
        packet(0x90, 8, &[0x10, 0, 0, 200, 1, 0, 0, 0]),
        packet(0x8f, 8, &speech),
        packet(0xa0, 8, &[1, 2, 3, 200]),
        packet(0xa0, 8, &[1, 2, 3, 0]),
        packet(0x40, 8, &speech),
        packet(0x80, 200, &speech),
    ]
}

/// Our SSRC, then a compound packet.
fn rtcp() -> Vec<Vec<u8>> {
    let ours = [0u8, 0, 0, 9];
    let peer = [0u8, 0, 0, 7];
    let header = |count: u8, kind: u8, words: u8| vec![0x80 | count, kind, 0, words];
    let block = |ssrc: u8| [&[0, 0, 0, ssrc, 64, 0xff, 0xff, 0xfd][..], &[0, 1, 2, 3].repeat(4)].concat();
    let sender = |blocks: &[u8]| {
        let count = (blocks.len() / 24) as u8;
        let times = [0x1122_3344u32, 0x5566_7788, 20_000, 125, 20_000]
            .map(u32::to_be_bytes)
            .concat();
        [&header(count, 200, 6 + 6 * count)[..], &peer, &times, blocks].concat()
    };
    let receiver = |blocks: &[u8]| {
        let count = (blocks.len() / 24) as u8;
        [&header(count, 201, 1 + 6 * count)[..], &peer, blocks].concat()
    };
    let name = [&header(1, 202, 3)[..], &peer, &[1, 4], b"name", &[0, 0]].concat();
    let goodbye = [&header(1, 203, 1)[..], &peer].concat();
    let application = [&header(0, 204, 2)[..], &peer, b"test"].concat();
    let extended = [&header(0, 207, 3)[..], &peer, &[4, 0, 0, 0], &[0; 4]].concat();
    let mut lying = receiver(&[]);
    lying[0] |= 0x1f;
    let mut old = sender(&[]);
    old[0] = 0x40;
    let compounds = [
        sender(&[]),
        [sender(&block(9)), name.clone()].concat(),
        [receiver(&[block(8), block(9)].concat()), name.clone(), goodbye.clone()].concat(),
        [
            sender(&block(9)),
            receiver(&block(9)),
            name,
            application,
            extended,
            goodbye,
        ]
        .concat(),
        receiver(&block(8)),
        [receiver(&[]), vec![0x80, 201]].concat(),
        lying,
        old,
    ];
    compounds
        .iter()
        .map(|compound| [&ours[..], compound].concat())
        .collect()
}

/// In each suite, without and with identifiers: in order, lost, late, copied, changed, cut, joined, reports, across a roll-over.
fn srtp() -> Vec<Vec<u8>> {
    // A step, and what it is told: who seals, with which header and how much, or which one and where.
    let seal = [0, 0, 0, 20];
    let hold = [8, 0, 7, 20];
    let steps = [
        &seal[..],
        &seal,
        &hold,
        &hold,
        &seal,
        // The second that was held, a copy of it, and the first.
        &[10, 3, 10, 3, 10, 2],
        // Changed in its payload, its header and its end; cut; longer; joined of two.
        &[11, 4, 0, 14, 1, 0, 11, 4, 0, 3, 1, 0, 11, 4, 0, 40, 128, 0],
        &[12, 4, 20, 0, 12, 4, 11, 0, 13, 4, 9, 0, 14, 3, 4, 10],
        // Far ahead, three times: the counter rolls over.
        &[6, 6, 0, 0, 20, 6, 7, 0, 0, 20, 6, 7, 0, 0, 20],
        &seal,
        // Reports, one of them late; another source; octets that nobody sealed.
        &[5, 0, 3, 9, 0, 2, 5, 0, 1, 10, 10],
        &[0, 1, 4, 30, 0, 2, 3, 0],
        &[15, 0, 12, 0x80, 0, 0, 9, 0, 0, 0, 1, 0xab, 0xcd, 0, 0],
    ];
    let steps = steps.concat();
    let begin = |lifetime: u8, suite: u8, identifier: &[u8], sequence: u8| {
        let head = [&[lifetime, suite, 17][..], identifier, &[sequence]].concat();
        [head, steps.clone()].concat()
    };
    let suites = 0..Suite::ALL.len() as u8;
    let plain = suites.clone().map(|suite| begin(0, suite, &[0], 4));
    let named = suites.map(|suite| begin(0, suite, &[4, 1], 2));
    let worn = [begin(3, 1, &[1, 3], 0), begin(3, 4, &[0], 5)];
    plain.chain(named).chain(worn).collect()
}

fn crypto() -> Vec<Vec<u8>> {
    let (key, other) = (
        "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2",
    );
    let short = "AES_CM_128_HMAC_SHA1_32";
    [
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
        format!("2 {short} inline:{key}|2^20|1:4"),
        format!("9 {short} inline:{key}|1000|1:1;inline:{other}|2^9|2:1"),
        format!("3 AES_CM_128_HMAC_SHA1_80 inline:{key}|1066:2 WSH=128 -X=y KDR=0"),
        format!("1 AEAD_AES_256_GCM inline:{}=", "A".repeat(59)),
        format!("1 AEAD_AES_128_GCM inline:{}", "b".repeat(38)),
        format!("4 AES_256_CM_HMAC_SHA1_80 inline:{}", "c".repeat(62)),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^49"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP"),
        format!("1 F8_128_HMAC_SHA1_80 inline:{key}"),
        format!("1234567890 {short} inline:{key}"),
        String::new(),
    ]
    .map(String::into_bytes)
    .into()
}

/// Each method with what it has, sealed in both ways; lies of a length, and of a fingerprint.
fn stun() -> Vec<Vec<u8>> {
    let (v4, v6) = (
        "192.0.2.1:32853".parse().expect("an address"),
        "[2001:db8::1]:32853".parse().expect("an address"),
    );
    let raw = |kind| Raw::new(kind, [7; 12]);
    let named = |raw: Raw| {
        let raw = raw.with(attr::USERNAME, b"alice").with(attr::REALM, b"example.com");
        raw.with(attr::NONCE, b"obMatJos2gAAA0000000100000000000000ff")
    };
    let key = b"swordfish";
    let (sha1, sha256) = (Some((Hash::Sha1, &key[..])), Some((Hash::Sha256, &key[..])));
    let allocate = named(raw(kind::ALLOCATE))
        .with(attr::TRANSPORT, &[17, 0, 0, 0])
        .with(attr::EVEN_PORT, &[0x80])
        .with(attr::LIFETIME, &[0, 0, 2, 88]);
    let channel = named(raw(kind::CHANNEL_BIND)).with(attr::CHANNEL, &[0x40, 0, 0, 0]);
    let send = raw(kind::SEND).with_address(attr::PEER, v4).with(attr::DATA, b"hello");
    let answer = raw(kind::BINDING | kind::SUCCESS).with_address(attr::MAPPED, v6);
    let refused = raw(kind::ALLOCATE | kind::ERROR).with(attr::ERROR_CODE, b"\0\0\x04\x01Unauthenticated");
    let mut short = raw(kind::BINDING).with(attr::USERNAME, b"alice").write(None, true);
    short[23] = 200;
    let mut forged = raw(kind::BINDING).write(None, true);
    forged[27] ^= 1;
    vec![
        raw(kind::BINDING).write(None, false),
        raw(kind::BINDING).with(0x0033, b"?").write(None, true),
        allocate.write(sha1, true),
        channel.with_address(attr::PEER, v6).write(sha256, false),
        named(raw(kind::REFRESH))
            .with(attr::LIFETIME, &[0; 4])
            .write(sha1, false),
        named(raw(kind::CREATE_PERMISSION))
            .with_address(attr::PEER, v4)
            .write(sha1, true),
        send.write(None, false),
        answer.write(sha1, true),
        refused.write(None, true),
        short,
        forged,
    ]
}

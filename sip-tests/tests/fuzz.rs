//! The fuzz targets on stable Rust: each over the fixtures, and over what chance makes of them.

#[path = "fuzz/seeds.rs"]
mod seeds;
#[path = "../fuzz/src/lib.rs"]
mod targets;

use sip_tests::rng::Rng;
use std::fs;
use std::path::{Path, PathBuf};

/// Changed copies of each fixture.
const COPIES: usize = 20;

/// All files below a folder of the fixtures, or one file of the repository.
fn corpus(path: &str) -> Vec<Vec<u8>> {
    let mut left: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)];
    let mut all = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .expect("our own folder")
                    .flatten()
                    .map(|entry| entry.path()),
            );
        } else {
            all.push(fs::read(&path).expect("our own file"));
        }
    }
    all.sort();
    assert!(!all.is_empty(), "{path} has no files");
    all
}

/// Each of them, and copies with some octets changed, cut out or doubled.
fn each(path: &str, mut target: impl FnMut(&[u8])) {
    let mut rng = Rng::new(1);
    for octets in corpus(path) {
        target(&octets);
        for _ in 0..COPIES {
            let mut copy = octets.clone();
            for _ in 0..=rng.below(4) {
                change(&mut rng, &mut copy);
            }
            target(&copy);
        }
    }
}

fn change(rng: &mut Rng, octets: &mut Vec<u8>) {
    if octets.is_empty() {
        return;
    }
    let at = rng.below(octets.len() as u64) as usize;
    let end = (at + rng.below(20) as usize).min(octets.len());
    match rng.below(4) {
        0 => octets[at] = rng.number() as u8,
        1 => octets[at] ^= 1 << rng.below(8),
        2 => drop(octets.drain(at..end)),
        _ => {
            let piece = octets[at..end].to_vec();
            octets.splice(at..at, piece);
        }
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn messages_and_streams() {
    each("fixtures/sip/torture", |octets| {
        targets::message(octets);
        targets::frame((octets.len() as u16 / 2, octets));
    });
}

#[test]
fn addresses_and_credentials() {
    each("fixtures/sip/torture", |octets| {
        for line in text(octets).lines() {
            let value = line.split_once(':').map_or(line, |(_, value)| value.trim());
            targets::uri(value);
            targets::auth(value);
        }
    });
}

#[test]
fn descriptions() {
    each("fixtures/sdp", targets::sdp);
}

#[test]
fn configurations() {
    each("config", |octets| targets::config(&text(octets)));
}

#[test]
fn numbers() {
    let mut rng = Rng::new(2);
    for _ in 0..20_000 {
        let len = rng.below(20);
        let text: String = (0..len)
            .map(|_| *rng.pick(&['0', '1', '4', '9', '+', '0', '-', '(', ' ', 'x', '*', '#']))
            .collect();
        targets::number((rng.below(5) as u8, rng.chance(0.5), &text));
    }
}

/// What the fields of a call look like: read by the rules, and out of them.
const VALUES: [&str; 14] = [
    "1 1 INVITE",
    "90;refresher=uas",
    "4294967296",
    "fuzz;to-tag=a;from-tag=b;early-only",
    "<sip:600@example.com?Replaces=fuzz%3Bto-tag%3Da%3Bfrom-tag%3Db>",
    "<sip:600@example.com;method=BYE>",
    "100rel, timer, replaces",
    "SIP;cause=200;text=\"Call completed elsewhere\"",
    "<sip:198.51.100.1;lr>, <sip:h>",
    "application/dtmf-relay",
    "refer;id=1",
    "terminated;reason=noresource",
    "\"",
    "",
];

#[test]
fn calls() {
    let mut rng = Rng::new(3);
    for _ in 0..1_500 {
        let count = 1 + rng.below(8);
        let values: Vec<String> = (0..count)
            .map(|_| {
                let mut value = rng.pick(&VALUES).as_bytes().to_vec();
                if rng.chance(0.3) {
                    change(&mut rng, &mut value);
                }
                text(&value)
            })
            .collect();
        let steps = values
            .iter()
            .map(|value| (rng.number() as u8, rng.number() as u8, value.as_str()));
        targets::call::call(steps.collect());
    }
}

#[test]
fn media() {
    let mut rng = Rng::new(4);
    let rtp = [0x80u8, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
    let event = [0x80, 101, 0, 2, 0, 0, 0, 160, 0, 0, 0, 7, 5, 0x0a, 0, 160];
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    for _ in 0..2_000 {
        let datagrams: Vec<(u8, Vec<u8>)> = (0..rng.below(30))
            .map(|n| {
                let mut octets = rng.pick(&[&rtp[..], &event, &report]).to_vec();
                octets[3] = octets[3].wrapping_add(n as u8);
                octets.extend((0..rng.below(200)).map(|at| at as u8));
                if rng.chance(0.5) {
                    change(&mut rng, &mut octets);
                }
                (rng.number() as u8, octets)
            })
            .collect();
        targets::media::media(
            datagrams
                .iter()
                .map(|(how, octets)| (*how, octets.as_slice()))
                .collect(),
        );
    }
}

/// Commands of NG in an order that may lead somewhere, with time and workers between.
fn ng_steps(rng: &mut Rng) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..rng.below(30) {
        let mut number = || rng.number() as u8;
        match number() % 8 {
            0 => octets.extend([2, number()]),
            1 => octets.extend([3, number()]),
            // An offer or an answer of a call, between two tags.
            2..=5 => octets.extend([1, number() % 2, 0, number() % 2, number() % 3, number() % 12, number()]),
            6 => octets.extend([1, number() % 10, number(), number(), number(), number(), number()]),
            _ => {
                let datagram = b"9_9 d7:command5:offer7:call-id1:c8:from-tag1:a3:sdp5:v=0\r\ne";
                octets.extend([0, 0, datagram.len() as u8]);
                octets.extend(datagram);
            }
        }
    }
    octets
}

/// The corpus of the target `ng` (what a Kamailio has sent, and what has broken something), and steps by chance.
#[test]
fn commands_of_ng() {
    sip_tests::errors::watch();
    let before = sip_tests::errors::panics();
    each("sip-tests/fuzz/corpus/ng", targets::ng::ng);
    let mut rng = Rng::new(6);
    for _ in 0..600 {
        let mut octets = ng_steps(&mut rng);
        if rng.chance(0.3) {
            change(&mut rng, &mut octets);
        }
        targets::ng::ng(&octets);
    }
    assert_eq!(sip_tests::errors::panics(), before, "an error in the node was caught");
}

#[test]
fn messages_of_stun() {
    each("sip-tests/fuzz/corpus/stun", targets::relay::stun);
    let mut rng = Rng::new(10);
    for _ in 0..20_000 {
        let mut octets: Vec<u8> = (0..rng.below(80)).map(|_| rng.number() as u8).collect();
        octets.resize(octets.len().next_multiple_of(4), 0);
        if octets.len() >= 20 {
            let length = (octets.len() - 20) as u16;
            octets[0] &= 1;
            octets[1] &= 0x1f;
            octets[2..4].copy_from_slice(&length.to_be_bytes());
            octets[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        }
        targets::relay::stun(&octets);
    }
}

/// Steps of users and peers in an order that may lead somewhere.
fn relay_steps(rng: &mut Rng) -> Vec<u8> {
    // Each learns a nonce, and has an allocation.
    let mut octets = Vec::new();
    for client in [0, 1, 2, 3, 4] {
        octets.extend([1, client, 0, 7, 7, 7, 7, 7, 7].repeat(1 + rng.below(2) as usize));
    }
    for _ in 0..rng.below(40) {
        let mut number = || rng.number() as u8;
        let peer = 8 * (number() % 8);
        match number() % 10 {
            0 => octets.extend([1, number() % 5, 0, number(), number(), 7, 7, 7, 7]),
            1 => octets.extend([1, number() % 5, 1, 2 + 8 * (number() % 20), 7, 7, 7, 7, 7]),
            2 | 3 => octets.extend([1, number() % 5, 2, peer, 7, 7, 7, 7, 7]),
            4 | 5 => octets.extend([1, number() % 5, 3, peer, 1 + 8 * (number() % 8), 7, 7, 7, 7]),
            6 => octets.extend([2, number() % 5, number(), number()]),
            7 => octets.extend([3, number(), number(), number()]),
            8 => octets.extend([4 + number() % 2, number() % 80]),
            _ => octets.extend([0, number(), 0, 8, 0, number(), 0, 0, 0x21, 0x12, 0xa4, 0x42]),
        }
    }
    octets
}

#[test]
fn a_relay() {
    let mut rng = Rng::new(8);
    for _ in 0..3_000 {
        let mut octets = relay_steps(&mut rng);
        if rng.chance(0.3) {
            change(&mut rng, &mut octets);
        }
        targets::relay::relay(&octets);
    }
}

/// Requests of the API in an order that may lead somewhere, with any body between.
fn api_steps(rng: &mut Rng) -> Vec<u8> {
    // Two who listen, and a call between them.
    let mut octets = vec![0, 0, 0, 0, 19, 0, 1, 0, 0, 19, 0, 0, 1, 0, 0];
    for _ in 0..rng.below(30) {
        let mut number = || rng.number() as u8;
        match number() % 8 {
            0..=3 => octets.extend([0, number() % 3, number(), number() % 2, number()]),
            4 => octets.extend([0, number(), number(), number(), number()]),
            5 => octets.extend([3 + number() % 2, number() % 90]),
            6 => {
                let body = b"{\"targets\":[{\"client\":\"bob\"}],\"offer\":\"v=0\\r\\n\"}";
                octets.extend([1, number() % 3, number() % 11, 0, 0, body.len() as u8]);
                octets.extend(body);
            }
            _ => {
                octets.extend([2, number(), 12]);
                octets.extend(b"/v1/calls/c1");
            }
        }
    }
    octets
}

#[test]
fn requests_of_the_api() {
    sip_tests::errors::watch();
    let before = sip_tests::errors::panics();
    let mut rng = Rng::new(9);
    for _ in 0..600 {
        let mut octets = api_steps(&mut rng);
        for _ in 0..rng.below(3) {
            change(&mut rng, &mut octets);
        }
        targets::api::api(&octets);
    }
    assert_eq!(sip_tests::errors::panics(), before, "an error in the node was caught");
}

/// The corpora, and what chance makes of them.
#[test]
fn packets_on_the_wire() {
    each("sip-tests/fuzz/corpus/rtp", targets::wire::rtp);
    each("sip-tests/fuzz/corpus/rtcp", targets::wire::rtcp);
    let mut rng = Rng::new(6);
    for _ in 0..20_000 {
        let mut octets: Vec<u8> = (0..rng.below(80)).map(|_| rng.number() as u8).collect();
        if let [first, second, ..] = &mut octets[..] {
            (*first, *second) = (0x80 | *first & 0x3f, *second & 0x7f);
        }
        targets::wire::rtp(&octets);
    }
}

#[test]
fn sealed_packets() {
    each("sip-tests/fuzz/corpus/srtp", targets::srtp::srtp);
    let mut rng = Rng::new(7);
    for _ in 0..400 {
        let octets: Vec<u8> = (0..rng.below(400)).map(|_| rng.number() as u8).collect();
        targets::srtp::srtp(&octets);
    }
}

#[test]
fn keys_in_descriptions() {
    each("sip-tests/fuzz/corpus/crypto", |octets| {
        targets::crypto::crypto(&text(octets));
    });
}

/// Steps that lead deep: a call and what its peers answer, in any order and with anything between.
fn steps(rng: &mut Rng) -> Vec<u8> {
    let mut octets = Vec::new();
    let peer = rng.below(8) as u8;
    // Twice, since the first is asked for credentials.
    let call = [0, peer, 0, rng.below(16) as u8, 0, 0b1_1000];
    octets.extend(call.iter().chain(&call));
    for _ in 0..rng.below(24) {
        let mut number = || rng.number() as u8;
        match number() % 10 {
            0..=3 => octets.extend([0, number() % 8, number(), number(), number() % 4, number() & 0xfc]),
            4..=7 => octets.extend([3, number() % 6, number(), number(), number() & 0xfc]),
            8 => octets.extend([6, number()]),
            _ => octets.extend([number(), number(), number()]),
        }
    }
    octets
}

/// The corpus of the target `node` (what libFuzzer found worth keeping, and what it has broken), and steps by chance.
#[test]
fn nodes() {
    sip_tests::errors::watch();
    let before = sip_tests::errors::panics();
    for octets in corpus("sip-tests/fuzz/corpus/node") {
        targets::node::node(&octets);
    }
    let mut rng = Rng::new(5);
    for _ in 0..400 {
        let mut octets = steps(&mut rng);
        if rng.chance(0.3) {
            change(&mut rng, &mut octets);
        }
        targets::node::node(&octets);
    }
    assert_eq!(sip_tests::errors::panics(), before, "an error in the node was caught");
}

//! G.711 against the vectors of ITU-T G.191: every 16-bit sample, both laws, both ways, to the bit.

use codecs::g711;

fn words(name: &str) -> Vec<u16> {
    let path = format!("{}/../fixtures/audio/g711/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(bytes.len(), 131_072, "{name} is damaged");
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

fn samples(name: &str) -> Vec<i16> {
    words(name).into_iter().map(u16::cast_signed).collect()
}

fn codes(name: &str) -> Vec<u8> {
    words(name)
        .into_iter()
        .map(|word| u8::try_from(word).expect("a code is an octet"))
        .collect()
}

/// Where two sequences differ first, for a message that fits a screen.
fn assert_same<T: PartialEq + std::fmt::Debug>(got: &[T], expected: &[T], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let differences = got.iter().zip(expected).filter(|(a, b)| a != b).count();
    if let Some(at) = got.iter().zip(expected).position(|(a, b)| a != b) {
        panic!(
            "{what}: {differences} differ, the first at {at}: got {:?}, expected {:?}",
            got[at], expected[at]
        );
    }
}

#[test]
fn encodes_as_g191() {
    let source = samples("sweep.src");
    let mut out = vec![0; source.len()];
    assert_eq!(g711::encode_ulaw_slice(&source, &mut out), source.len());
    assert_same(&out, &codes("sweep-r.u"), "mu-law");
    assert_eq!(g711::encode_alaw_slice(&source, &mut out), source.len());
    assert_same(&out, &codes("sweep-r.a"), "A-law");
}

#[test]
fn decodes_as_g191() {
    let mut out = vec![0; 65_536];
    assert_eq!(g711::decode_ulaw_slice(&codes("sweep-r.u"), &mut out), out.len());
    assert_same(&out, &samples("sweep-r.u-u"), "mu-law");
    assert_eq!(g711::decode_alaw_slice(&codes("sweep-r.a"), &mut out), out.len());
    assert_same(&out, &samples("sweep-r.a-a"), "A-law");
}

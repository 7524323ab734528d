//! The test vectors of RFC 5769, and what was changed on the way.

use super::integrity::{Key, Seal};
use super::message::{BINDING, Class, Message, Writer, kind};

/// RFC 5769 2.1: the sample request; its password is that of 2.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae80220010\
    5354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36\
    000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2\
    80280004e57a3bcf";
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

#[test]
fn the_sample_request_is_of_who_knows_its_password() {
    let sample = octets(REQUEST);
    let message = Message::parse(&sample).unwrap();
    assert_eq!((message.class, message.method), (Class::Request, BINDING));
    assert_eq!(message.fingerprint(), Some(true));
    assert_eq!(message.is_sealed(Seal::Sha1, &Key::short_term(PASSWORD)), Some(true));
    assert_eq!(message.is_sealed(Seal::Sha1, &Key::short_term("another")), Some(false));
    assert_eq!(message.covers(kind::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.covers(kind::FINGERPRINT), None);
}

#[test]
fn no_octet_before_it_can_be_changed() {
    let sample = octets(REQUEST);
    // The length in the header is judged by who parses.
    for at in (4..sample.len() - 8 - 24).chain([0, 1]) {
        let mut changed = sample.clone();
        changed[at] ^= 1;
        if let Some(message) = Message::parse(&changed) {
            assert_ne!(
                message.is_sealed(Seal::Sha1, &Key::short_term(PASSWORD)),
                Some(true),
                "octet {at}"
            );
        }
    }
}

#[test]
fn what_is_written_is_read_and_what_comes_behind_it_does_not_count() {
    let mut writer = Writer::new(Class::Request, BINDING, [7; 12]);
    writer.attribute(kind::USERNAME, b"one:other");
    writer.seal(Seal::Sha1, &Key::short_term("password"));
    writer.attribute(kind::USE_CANDIDATE, &[]);
    writer.fingerprint();
    let written = writer.finish();
    let message = Message::parse(&written).unwrap();
    assert_eq!(
        (
            message.is_sealed(Seal::Sha1, &Key::short_term("password")),
            message.fingerprint()
        ),
        (Some(true), Some(true))
    );
    assert!(message.get(kind::USE_CANDIDATE).is_some() && message.covers(kind::USE_CANDIDATE).is_none());
    let bare = Writer::new(Class::Request, BINDING, [7; 12]).finish();
    assert_eq!(
        Message::parse(&bare)
            .unwrap()
            .is_sealed(Seal::Sha1, &Key::short_term("password")),
        None
    );
}

//! The vectors of RFC 5769, and whatever comes.

use super::answer;
use super::integrity::{Algorithm, Key, Seal};
use super::message::{BINDING, Class, Message, Writer, kind};
use proptest::prelude::*;
use std::net::SocketAddr;

/// RFC 5769 2.1: a request of ICE, with all that may be in it.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1\
                       51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
/// RFC 5769 2.2 and 2.3: responses, with the address that each tells.
const RESPONSES: [(&str, &str); 2] = [
    (
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c3\
         8c7489f92af9ba53f06be7d780280004c07d4c96",
        "192.0.2.1:32853",
    ),
    (
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9\
         00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
        "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
    ),
];
/// RFC 5769 2.4: a request with credentials for a long term.
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c662f2f3439396b3935\
                         3464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700000800 14f67024656dd64a3e02b8e0712e85c9a28ca89666";

const FROM: &str = "198.51.100.7:40000";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(value).collect()
}

fn from() -> SocketAddr {
    FROM.parse().unwrap()
}

/// A Binding request with these attributes.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Class::Request, BINDING, [7; 12]);
    for (kind, value) in attributes {
        writer.attribute(*kind, value);
    }
    writer.finish()
}

#[test]
fn the_requests_of_rfc_5769() {
    let octets = octets(REQUEST);
    let message = Message::parse(&octets).expect("it is whole");
    assert_eq!((message.class, message.method), (Class::Request, BINDING));
    assert_eq!(message.get(kind::SOFTWARE), Some(&b"STUN test client"[..]));
    assert_eq!(message.get(kind::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.fingerprint(), Some(true));
    assert_eq!(message.attributes().count(), 6);
    let long = self::octets(LONG_TERM);
    let message = Message::parse(&long).expect("it is whole");
    assert_eq!(message.get(kind::REALM), Some(&b"example.org"[..]));
    assert_eq!((message.fingerprint(), message.unknown()), (None, vec![]));
}

#[test]
fn the_responses_of_rfc_5769_are_read_and_written() {
    for (hex, address) in RESPONSES {
        let octets = octets(hex);
        let message = Message::parse(&octets).expect("it is whole");
        assert_eq!((message.class, message.method), (Class::Success, BINDING));
        assert_eq!(message.xor_mapped_address(), Some(address.parse().unwrap()));
        assert_eq!(message.fingerprint(), Some(true));
        // The padding of SOFTWARE is a blank there (RFC 5769 2.2), which is ours to fill with zero.
        let mut writer = Writer::new(message.class, message.method, message.transaction);
        writer.attribute(kind::SOFTWARE, b"test vector ");
        writer.xor_mapped_address(address.parse().unwrap());
        writer.attribute(kind::MESSAGE_INTEGRITY, message.get(kind::MESSAGE_INTEGRITY).unwrap());
        let written = writer.finish();
        assert_eq!(
            written[32..],
            octets[32..octets.len() - 8],
            "all but the length, SOFTWARE's and the fingerprint"
        );
        assert_eq!(answer(&octets, from()), None, "a response is owed nothing");
    }
}

/// RFC 5626 8: a Binding request needs no attributes, and its response tells where it came from.
#[test]
fn a_keep_alive_is_told_where_it_came_from() {
    for from in [FROM, "[2001:db8::9]:5060"] {
        let from = from.parse().unwrap();
        let response = answer(&request(&[]), from).expect("an answer");
        let response = Message::parse(&response).expect("it is whole");
        assert_eq!((response.class, response.method), (Class::Success, BINDING));
        assert_eq!(
            (response.transaction, response.xor_mapped_address()),
            ([7; 12], Some(from))
        );
        assert_eq!(response.fingerprint(), None, "it was not asked for");
    }
    let response = answer(&octets(REQUEST), from()).expect("an answer");
    let response = Message::parse(&response).expect("it is whole");
    assert_eq!((response.class, response.fingerprint()), (Class::Success, Some(true)));
}

/// RFC 8489 6.3.1: 420 with the types that must be understood; those that need not be are left alone.
#[test]
fn what_must_be_understood_and_is_not() {
    let octets = request(&[(0x0003, &[0, 0, 0, 2]), (0x8030, b"x"), (0x7ff0, b"")]);
    let response = answer(&octets, from()).expect("an answer");
    let response = Message::parse(&response).expect("it is whole");
    assert_eq!(response.class, Class::Error);
    assert_eq!(
        response.get(kind::ERROR_CODE),
        Some(&b"\0\0\x04\x14Unknown Attribute"[..])
    );
    assert_eq!(response.get(kind::UNKNOWN_ATTRIBUTES), Some(&[0, 3, 0x7f, 0xf0][..]));
    let response = answer(&request(&[(0x8030, b"x")]), from()).expect("an answer");
    assert_eq!(
        Message::parse(&response).map(|response| response.class),
        Some(Class::Success)
    );
}

#[test]
fn what_is_owed_no_answer() {
    let good = request(&[(kind::SOFTWARE, b"phone")]);
    let with = |at: usize, octet: u8| {
        let mut other = good.clone();
        other[at] = octet;
        other
    };
    let mut wrong_print = octets(REQUEST);
    *wrong_print.last_mut().unwrap() ^= 1;
    let indication = Writer::new(Class::Indication, BINDING, [0; 12]).finish();
    let allocate = Writer::new(Class::Request, 0x003, [0; 12]).finish();
    for (octets, why) in [
        (vec![], "nothing"),
        (b"\r\n\r\n".to_vec(), "the other keep-alive"),
        (b"OPTIONS sip:example.com SIP/2.0\r\n\r\n".to_vec(), "SIP"),
        (with(0, 0x40), "no STUN by its first bits"),
        (with(4, 0x22), "another cookie: RFC 3489"),
        (with(3, good[3] - 4), "longer than it says"),
        (good[..good.len() - 4].to_vec(), "shorter than it says"),
        (with(23, 200), "an attribute beyond the end"),
        (vec![0; 20], "zeros"),
        (wrong_print, "another fingerprint"),
        (indication, "an indication"),
        (allocate, "another method"),
    ] {
        assert_eq!(answer(&octets, from()), None, "{why}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_answered_by_a_whole_message_or_not_at_all(
        head in prop::sample::select(vec![octets(REQUEST), octets(RESPONSES[1].0), request(&[]), vec![]]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut octets = head;
        for (at, octet) in changes {
            if !octets.is_empty() {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
        }
        octets.extend(tail);
        if let Some(answer) = answer(&octets, from()) {
            let message = Message::parse(&answer).expect("we write what we read");
            prop_assert!(matches!(message.class, Class::Success | Class::Error));
            prop_assert!(answer.len() <= octets.len() + 80, "{} for {}", answer.len(), octets.len());
        }
    }
}

/// RFC 8489 B.1 with the length that the message has (the RFC prints one that counts the header too), and the integrity for that.
const LONG_TERM_SHA256: &str = "000100882112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f17040015\
                                00296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b6578616d706c652e6f72\
                                6700001c0020234112fbd4e27f983eb4032836f998216f5b23f8d927753fbc4f882bfbdf0dec";

#[test]
fn the_integrity_of_rfc_5769_and_rfc_8489() {
    let short = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    let user = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
    let long = |algorithm| Key::long_term(algorithm, user, "example.org", "TheMatrIX");
    for (hex, seal, key) in [
        (REQUEST, Seal::Sha1, short.clone()),
        (RESPONSES[0].0, Seal::Sha1, short.clone()),
        (RESPONSES[1].0, Seal::Sha1, short),
        (LONG_TERM, Seal::Sha1, long(Algorithm::Md5)),
        (LONG_TERM_SHA256, Seal::Sha256, long(Algorithm::Sha256)),
    ] {
        let octets = octets(hex);
        let message = Message::parse(&octets).expect("it is whole");
        assert_eq!(message.is_sealed(seal, &key), Some(true), "{hex}");
        assert_eq!(message.is_sealed(seal, &Key::short_term("other")), Some(false), "{hex}");
    }
    let mut as_printed = octets(LONG_TERM_SHA256);
    as_printed[3] = 0x9c;
    assert_eq!(Message::parse(&as_printed), None, "another length");
}

/// RFC 8489 14.5: nobody vouches for what stands behind.
#[test]
fn what_follows_integrity_is_ignored() {
    let mut writer = Writer::new(Class::Request, BINDING, [7; 12]);
    writer.seal(Seal::Sha1, &Key::short_term("x"));
    writer.attribute(0x7ff0, b"");
    let response = answer(&writer.finish(), from()).expect("an answer");
    assert_eq!(
        Message::parse(&response).map(|response| response.class),
        Some(Class::Success)
    );
}

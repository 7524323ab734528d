use super::*;
use crate::stun::message::{BINDING, Class, Writer, kind};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn check(name: &str) -> Vec<u8> {
    let mut writer = Writer::new(Class::Request, BINDING, [1; 12]);
    writer.attribute(kind::USERNAME, format!("{name}:them").as_bytes());
    writer.finish()
}

fn name(text: &str) -> CheckName {
    CheckName::of(text.as_bytes()).unwrap()
}

fn port() -> SharedPort {
    SharedPort::new(4, Key::new([7; 16]))
}

const ONE: MediaLegId = MediaLegId(1);
const TWO: MediaLegId = MediaLegId(2);
const RTP: &[u8] = &[0x80, 111, 0, 1];
const RECORD: &[u8] = &[22, 254, 253];

#[test]
fn a_check_finds_its_leg_by_name_and_all_else_by_where_it_comes_from() {
    let mut port = port();
    let (alice, other) = (addr("203.0.113.5:4000"), addr("203.0.113.5:4001"));
    port.name(ONE, name("one"));
    port.name(TWO, name("two"));
    assert_eq!(port.leg(alice, &check("one")), Some(ONE));
    // Nothing is anybody's for having been answered: that is told.
    assert_eq!((port.leg(alice, RTP), port.leg(alice, RECORD)), (None, None));
    port.source(ONE, alice, true);
    assert_eq!((port.leg(alice, RTP), port.leg(alice, RECORD)), (Some(ONE), Some(ONE)));
    // Two browsers behind one address have two ports; what neither has is nobody's.
    port.source(TWO, other, true);
    assert_eq!((port.leg(other, RTP), port.leg(alice, RTP)), (Some(TWO), Some(ONE)));
    assert_eq!(port.leg(addr("203.0.113.5:4002"), RTP), None);
    // Answers to checks of ours have no name.
    let answer = Writer::new(Class::Success, BINDING, [1; 12]).finish();
    assert_eq!(port.leg(alice, &answer), Some(ONE));
    assert_eq!(
        (port.leg(alice, &check("three")), port.leg(alice, &[64; 9])),
        (None, Some(ONE))
    );
    assert_eq!(port.leg(addr("192.0.2.1:9"), &[64; 9]), None);
    let strays = port.strays();
    assert_eq!((strays.no_leg, strays.dtls, strays.stun, strays.unknown), (2, 1, 1, 1));
}

/// A name before a restart holds until the next one.
#[test]
fn a_leg_has_two_names() {
    let mut port = port();
    for (nth, text) in ["first", "second", "third"].into_iter().enumerate() {
        port.name(ONE, name(text));
        port.name(ONE, name(text));
        assert_eq!(port.leg(addr("192.0.2.1:9"), &check("first")), (nth < 2).then_some(ONE));
        assert_eq!(port.leg(addr("192.0.2.1:9"), &check(text)), Some(ONE));
    }
    port.forget(ONE);
    assert_eq!(port.leg(addr("192.0.2.1:9"), &check("third")), None);
    assert!(port.is_empty() && port.names.is_empty());
}

/// A browser that uses its port again, while the leg before lives on: what is told last holds, and the end of the old leg takes nothing.
#[test]
fn a_source_goes_to_another_leg_and_stays_there() {
    let mut port = port();
    let from = addr("203.0.113.5:4000");
    port.name(ONE, name("one"));
    port.name(TWO, name("two"));
    port.source(ONE, from, true);
    port.source(TWO, from, true);
    assert_eq!(port.leg(from, RTP), Some(TWO));
    port.source(ONE, from, false);
    assert_eq!(port.leg(from, RTP), Some(TWO), "it was not its any more");
    port.forget(ONE);
    assert_eq!(port.leg(from, RTP), Some(TWO));
    port.forget(TWO);
    assert_eq!((port.leg(from, RTP), port.len()), (None, (0, 0)));
    // What is told of a leg that is gone makes nothing.
    port.source(ONE, from, true);
    assert_eq!(port.len(), (0, 0));
}

#[test]
fn everything_has_a_bound_and_nothing_grows() {
    let mut port = port();
    let room = (port.names.capacity(), port.sources.capacity(), port.legs.capacity());
    for leg in 1..=9 {
        for turn in 0..3 {
            port.name(MediaLegId(leg), name(&format!("n{leg}x{turn}")));
        }
        for from in 0..100 {
            port.source(
                MediaLegId(leg),
                SocketAddr::from(([203, 0, 113, leg as u8], 1_000 + from)),
                true,
            );
        }
    }
    assert_eq!(port.legs.len(), 4);
    assert_eq!(port.leg(addr("203.0.113.1:1099"), RTP), Some(ONE), "the last is kept");
    assert!(port.sources.len() <= limits::SHARED_SOURCES * 4 && port.names.len() == 8);
    assert_eq!(
        room,
        (port.names.capacity(), port.sources.capacity(), port.legs.capacity())
    );
    (1..=9).for_each(|leg| port.forget(MediaLegId(leg)));
    assert!(port.names.is_empty() && port.sources.is_empty() && port.is_empty());
}

#[test]
fn a_leg_that_has_moved_is_handed_over_to() {
    let mut port = port();
    port.name(ONE, name("one"));
    port.moved(ONE, Some(WorkerId(1)));
    assert_eq!(
        (port.leg(addr("192.0.2.1:9"), &check("one")), port.away(ONE)),
        (Some(ONE), Some(WorkerId(1)))
    );
    port.moved(ONE, None);
    assert_eq!((port.away(ONE), port.away(TWO)), (None, None));
}

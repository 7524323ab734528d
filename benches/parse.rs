//! One 900-byte INVITE, three ways: our index, rsip, and a plain nom parser that copies fields into pairs.
//!
//! The goal for the index is 0.5 us; `sip-tests/tests/alloc_sip_parse.rs` holds that it does not allocate.

use bytes::Bytes;
use criterion::Criterion;
use nom::bytes::complete::{tag, take_till, take_until, take_while1};
use nom::multi::many0;
use nom::sequence::{separated_pair, terminated};
use nom::{IResult, Parser};
use std::hint::black_box;
use tandem::sip::frame::{self, Frame};
use tandem::sip::{Draft, Message};

const INVITE: &[u8] = include_bytes!("../fixtures/sip/invite-900.sip");

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The plain parser that the index is measured against: request line, then `name: value` until the empty line.
fn pairs(input: &str) -> IResult<&str, Pairs<'_>> {
    let (rest, _) = terminated(take_until("\r\n"), tag("\r\n")).parse(input)?;
    let name = take_while1(|c: char| c != ':' && c != '\r');
    let value = take_till(|c| c == '\r');
    let line = terminated(separated_pair(name, tag(": "), value), tag("\r\n"));
    terminated(many0(line), tag("\r\n")).parse(rest)
}

fn bench(c: &mut Criterion) {
    let bytes = Bytes::from_static(INVITE);
    let text = std::str::from_utf8(INVITE).expect("the fixture is ASCII");
    let message = Message::parse(bytes.clone()).expect("the fixture parses");
    assert_eq!(message.check(), Ok(()));
    assert!(pairs(text).is_ok_and(|(_, pairs)| pairs.len() == message.fields().count()));
    assert!(rsip::SipMessage::try_from(INVITE).is_ok());

    let mut group = c.benchmark_group("INVITE of 900 octets");
    group.bench_function("index", |b| b.iter(|| Message::parse(black_box(bytes.clone()))));
    group.bench_function("nom into pairs", |b| {
        b.iter(|| pairs(black_box(text)).map(|(_, pairs)| pairs.len()))
    });
    group.bench_function("rsip", |b| b.iter(|| rsip::SipMessage::try_from(black_box(INVITE))));
    group.bench_function("check", |b| b.iter(|| black_box(&message).check()));
    group.bench_function("From, To, CSeq, Via", |b| {
        b.iter(|| (message.from(), message.to(), message.cseq(), message.top_via()));
    });
    group.bench_function("frame on a stream", |b| {
        b.iter_with_setup(
            || INVITE.into(),
            |mut stream| matches!(frame::next(&mut stream), Ok(Some(Frame::Message(_)))),
        );
    });
    group.bench_function("100 Trying to bytes", |b| {
        b.iter(|| Draft::response(black_box(&message), 100, None).to_bytes());
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}

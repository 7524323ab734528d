//! The index over a message takes nothing from the heap. In its own program, since it counts every allocation.

use bytes::Bytes;
use sip_tests::counting::{Counting, count};
use tandem::sip::{Message, Name};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INVITE: &[u8] = include_bytes!("../../fixtures/sip/invite-900.sip");

/// How often `work` allocated, and what it gave.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = count().taken;
    let result = work();
    (count().taken - before, result)
}

#[test]
fn a_900_byte_invite_is_indexed_without_allocation() {
    assert_eq!(INVITE.len(), 900);
    let bytes = Bytes::from_static(INVITE);
    let (count, message) = allocations(|| Message::parse(bytes));
    let message = message.expect("the fixture parses");
    assert_eq!(count, 0);
    // What the stateless parts of a node ask of every message costs nothing either.
    let (count, length) =
        allocations(|| message.call_id().len() + message.get(Name::CSeq).map_or(0, |cseq| cseq.len()));
    assert_eq!((count, length), (0, "3848276298220188511@192.0.2.10102 INVITE".len()));
}

#[test]
fn a_message_on_the_heap_is_indexed_and_cloned_without_allocation() {
    let bytes = Bytes::from(INVITE.to_vec());
    // A `Bytes` made from a vector moves its count to the heap at the first clone.
    let shared = bytes.clone();
    let (count, message) = allocations(|| Message::parse(bytes));
    let (clones, copy) = allocations(|| message.clone());
    assert_eq!((count, clones, copy.is_ok()), (0, 0, true));
    drop(shared);
}

/// The counter itself works, and beyond the inline lines the index takes the heap.
#[test]
fn many_header_lines_spill_to_the_heap() {
    let lines = |count: usize| Bytes::from(format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(count)));
    let (few, many) = (lines(32), lines(33));
    assert_eq!(allocations(|| Message::parse(few)).0, 0);
    assert!(allocations(|| Message::parse(many)).0 > 0);
}

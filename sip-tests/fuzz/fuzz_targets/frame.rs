//! Any octets as a stream: whole and in two pieces, the same messages come out, and then the same error.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use tandem::sip::ParseError;
use tandem::sip::frame::{Frame, datagram, next};

/// Takes all messages; keep-alives depend on where the stream is cut and do not count.
fn take(buffer: &mut BytesMut, messages: &mut Vec<Bytes>) -> Result<(), ParseError> {
    while let Some(frame) = next(buffer)? {
        match frame {
            Frame::Message(bytes) => messages.push(bytes),
            Frame::Ping | Frame::Pong => {}
        }
    }
    Ok(())
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, octets) = input;
    let _ = datagram(Bytes::copy_from_slice(octets));
    let mut whole = Vec::new();
    let verdict = take(&mut BytesMut::from(octets), &mut whole);

    let (first, second) = octets.split_at(usize::from(cut).min(octets.len()));
    let (mut buffer, mut pieces) = (BytesMut::from(first), Vec::new());
    let early = take(&mut buffer, &mut pieces);
    let late = early.and_then(|()| {
        buffer.extend_from_slice(second);
        take(&mut buffer, &mut pieces)
    });
    assert_eq!((whole, verdict.is_ok()), (pieces, late.is_ok()));
});

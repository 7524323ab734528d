//! Messages on a stream: STUN messages say how long they are (RFC 8489 6.2.2), and so do ChannelData messages, which are filled up to whole
//! words there (RFC 8656 12.5).

use crate::limits;
use crate::stun::message::HEADER;

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of so many octets, padding included.
    Whole(usize),
    /// Less than a message.
    Part,
    /// No message, or one that is too long: where the next one begins cannot be known.
    Broken,
}

/// Looks for the next message.
pub fn next(octets: &[u8]) -> Frame {
    let Some(head) = octets.first_chunk::<4>() else {
        return match octets.first() {
            Some(first) if first >> 6 > 1 => Frame::Broken,
            Some(_) | None => Frame::Part,
        };
    };
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let whole = match head[0] >> 6 {
        0b00 if length.is_multiple_of(4) => HEADER + length,
        0b01 => (4 + length).next_multiple_of(4),
        _none => return Frame::Broken,
    };
    if whole > limits::RELAY_MESSAGE_BYTES {
        Frame::Broken
    } else if whole > octets.len() {
        Frame::Part
    } else {
        Frame::Whole(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_where_they_say() {
        for (octets, frame) in [
            (&[][..], Frame::Part),
            (&[0x40], Frame::Part),
            (&[0x80], Frame::Broken),
            (&[0xff, 0, 0, 0], Frame::Broken),
            (&[0x40, 0, 0, 0], Frame::Whole(4)),
            (&[0x40, 0, 0, 1, 9, 0, 0], Frame::Part),
            (&[0x40, 0, 0, 1, 9, 0, 0, 0, 0x40], Frame::Whole(8)),
            (&[0x40, 0, 0, 4, 1, 2, 3, 4, 0x40], Frame::Whole(8)),
            (&[0, 1, 0, 0], Frame::Part),
            (&[0, 1, 0, 3], Frame::Broken),
            (&[0, 1, 0xff, 0xfc], Frame::Broken),
            (&[0x4f, 0xff, 0xff, 0xff], Frame::Broken),
        ] {
            assert_eq!(next(octets), frame, "{octets:?}");
        }
        let mut binding = vec![0, 1, 0, 4];
        binding.resize(30, 0);
        assert_eq!(next(&binding), Frame::Whole(24));
    }
}

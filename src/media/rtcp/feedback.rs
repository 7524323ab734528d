//! Feedback about video (RFC 4585, RFC 5104 4.3.1, draft-alvestrand-rmcat-remb): what a browser asks for, and what we ask it for. Ours go in
//! compound packets with an empty report and our name before them, as RFC 4585 3.1 wants.

use super::{BLOCK_BYTES, Pen, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION, read_block, word};
use crate::media::sender::Sent;
use crate::media::source::Block;
use crate::time::Instant;

/// Transport-layer feedback (RFC 4585 6.2).
pub(super) const TRANSPORT: u8 = 205;
/// Payload-specific feedback (RFC 4585 6.3).
const PAYLOAD: u8 = 206;
const NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
/// Application layer: REMB by its name.
const APPLICATION: u8 = 15;
/// The most blocks of one report (RFC 3550 6.4.1).
const BLOCKS: usize = 31;
/// The most streams whose sender reports are in one packet: with names as long as they may be, 100 octets each.
const SENT: usize = 14;

/// One thing that a peer says about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A sender report: whose, and the middle of its NTP timestamp.
    Sent(u32, u32),
    /// A report block about a stream.
    Report(Block),
    /// These packets of a stream are missing: the first, and a bit for each of the next sixteen.
    Missing {
        /// Of which stream.
        ssrc: u32,
        /// The first.
        first: u16,
        /// Those behind it.
        more: u16,
    },
    /// A key frame of a stream is needed.
    Key(u32),
    /// The peer can receive so many bits per second.
    Bound(u64),
}

/// Reads a compound packet that was found whole (`rtcp::read`).
pub fn each(datagram: &[u8], mut said: impl FnMut(Said)) {
    let mut rest = datagram;
    while let Some(header) = rest.first_chunk::<4>() {
        let len = 4 + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some((packet, after)) = rest.split_at_checked(len) else {
            return;
        };
        one(header[1], header[0] & 0x1f, &packet[4..], &mut said);
        rest = after;
    }
}

/// The SSRC of who wrote a compound packet.
pub fn author(datagram: &[u8]) -> u32 {
    word(datagram, 4)
}

fn one(kind: u8, form: u8, body: &[u8], said: &mut impl FnMut(Said)) {
    match (kind, form) {
        (SENDER_REPORT, count) if body.len() >= 24 => {
            said(Said::Sent(word(body, 0), word(body, 6)));
            reports(&body[24..], count, said);
        }
        (RECEIVER_REPORT, count) if body.len() >= 4 => reports(&body[4..], count, said),
        // Behind both SSRCs (RFC 4585 6.1) come the entries.
        (TRANSPORT, NACK) if body.len() >= 8 => {
            for entry in body[8..].chunks_exact(4) {
                said(Said::Missing {
                    ssrc: word(body, 4),
                    first: u16::from_be_bytes([entry[0], entry[1]]),
                    more: u16::from_be_bytes([entry[2], entry[3]]),
                });
            }
        }
        (PAYLOAD, PLI) if body.len() >= 8 => said(Said::Key(word(body, 4))),
        (PAYLOAD, FIR) if body.len() >= 8 => {
            for entry in body[8..].chunks_exact(8) {
                said(Said::Key(word(entry, 0)));
            }
        }
        (PAYLOAD, APPLICATION) if body.get(8..12) == Some(&b"REMB"[..]) && body.len() >= 16 => {
            // A count of SSRCs, 6 bits of exponent, 18 of mantissa.
            let value = word(body, 12);
            let (exponent, mantissa) = ((value >> 18) & 0x3f, u64::from(value & 0x3_ffff));
            said(Said::Bound(mantissa.checked_shl(exponent).unwrap_or(u64::MAX)));
        }
        _ => {}
    }
}

fn reports(blocks: &[u8], count: u8, said: &mut impl FnMut(Said)) {
    for block in blocks.chunks_exact(BLOCK_BYTES).take(count.into()) {
        said(Said::Report(read_block(block)));
    }
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// By which SSRC.
    pub ssrc: u32,
    /// By which name.
    pub cname: &'a str,
}

impl Pen<'_> {
    /// What stands before feedback: an empty report, and our name.
    pub(super) fn empty(&mut self, head: Head<'_>) {
        let report = self.begin(RECEIVER_REPORT, 0);
        self.word(head.ssrc);
        self.end(report);
        self.named(head.ssrc, head.cname);
    }
}

/// A receiver report with these blocks, to the start of a buffer for a packet; its length.
pub fn write_reports(buffer: &mut [u8], head: Head<'_>, blocks: impl Iterator<Item = Block>) -> usize {
    let mut pen = Pen { buffer, len: 0 };
    let report = pen.begin(RECEIVER_REPORT, 0);
    pen.word(head.ssrc);
    let mut count = 0;
    for block in blocks.take(BLOCKS) {
        count += 1;
        pen.block(&block);
    }
    pen.buffer[report] |= count;
    pen.end(report);
    pen.named(head.ssrc, head.cname);
    pen.len
}

/// Sender reports of streams, of as many as a packet has room for, and our name for each. The others wait for the next.
pub fn write_sent(buffer: &mut [u8], cname: &str, now: Instant, streams: &mut impl Iterator<Item = Sent>) -> usize {
    let mut pen = Pen { buffer, len: 0 };
    let (mut written, mut count) = ([0; SENT], 0);
    for stream in streams.take(SENT) {
        let report = pen.begin(SENDER_REPORT, 0);
        pen.word(stream.ssrc);
        pen.sent(now, stream);
        pen.end(report);
        written[count] = stream.ssrc;
        count += 1;
    }
    let names = pen.begin(SOURCE_DESCRIPTION, count as u8);
    for ssrc in &written[..count] {
        pen.name(*ssrc, cname);
    }
    pen.end(names);
    pen.len
}

/// A key frame is needed (RFC 4585 6.3.1).
pub fn write_key(buffer: &mut [u8], head: Head<'_>, of: u32) -> usize {
    let mut pen = Pen { buffer, len: 0 };
    pen.empty(head);
    let key = pen.begin(PAYLOAD, PLI);
    pen.word(head.ssrc);
    pen.word(of);
    pen.end(key);
    pen.len
}

/// These are missing, in ascending order but for a wrap (RFC 4585 6.2.1): so many of them.
pub fn write_missing<const N: usize>(buffer: &mut [u8], head: Head<'_>, of: u32, missing: ([u16; N], usize)) -> usize {
    let mut pen = Pen { buffer, len: 0 };
    pen.empty(head);
    let nack = pen.begin(TRANSPORT, NACK);
    pen.word(head.ssrc);
    pen.word(of);
    let mut rest = &missing.0[..missing.1];
    while let Some((first, behind)) = rest.split_first() {
        let (mut more, mut taken) = (0u16, 0);
        for next in behind {
            let ahead = next.wrapping_sub(*first);
            if !(1..=16).contains(&ahead) {
                break;
            }
            more |= 1 << (ahead - 1);
            taken += 1;
        }
        pen.word(u32::from(*first) << 16 | u32::from(more));
        rest = &behind[taken..];
    }
    pen.end(nack);
    pen.len
}

/// The author of these streams may send so many bits per second.
pub fn write_bound(buffer: &mut [u8], head: Head<'_>, bits: u64, of: impl Iterator<Item = u32>) -> usize {
    let mut pen = Pen { buffer, len: 0 };
    pen.empty(head);
    let bound = pen.begin(PAYLOAD, APPLICATION);
    pen.word(head.ssrc);
    pen.word(0);
    pen.bytes(b"REMB");
    let exponent = 64u32.saturating_sub(bits.leading_zeros()).saturating_sub(18);
    let value = pen.len;
    pen.word(exponent << 18 | (bits >> exponent) as u32);
    let mut count = 0;
    for ssrc in of.take(BLOCKS) {
        count += 1;
        pen.word(ssrc);
    }
    pen.buffer[value] = count;
    pen.end(bound);
    pen.len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtcp;
    use std::time::Duration;

    const HEAD: Head<'static> = Head { ssrc: 7, cname: "x" };

    fn read(packet: &[u8]) -> Vec<Said> {
        assert!(rtcp::read(packet, 0).is_ok(), "{packet:?}");
        let mut all = Vec::new();
        each(packet, |said| all.push(said));
        all
    }

    #[test]
    fn what_is_written_is_read() {
        let mut buffer = [0; 1_500];
        let len = write_key(&mut buffer, HEAD, 9);
        assert_eq!(read(&buffer[..len]), [Said::Key(9)]);
        for bits in [60_000, 20_000_000, 1, 0x3_ffff] {
            let len = write_bound(&mut buffer, HEAD, bits, [1, 2].into_iter());
            let [Said::Bound(read)] = read(&buffer[..len])[..] else {
                panic!("one bound")
            };
            assert!(read <= bits && bits - read <= bits >> 16, "{bits} {read}");
        }
        let missing = ([10, 11, 26, 27, 65_535], 5);
        let len = write_missing(&mut buffer, HEAD, 9, missing);
        let of = |first, more| Said::Missing { ssrc: 9, first, more };
        assert_eq!(read(&buffer[..len]), [of(10, 1 | 1 << 15), of(27, 0), of(65_535, 0)]);
        let block = Block {
            ssrc: 5,
            fraction_lost: 3,
            cumulative_lost: -2,
            highest: 70_000,
            jitter: 8,
            last_sr: 9,
            delay_since_last_sr: 10,
        };
        let len = write_reports(&mut buffer, HEAD, std::iter::repeat_n(block, 2));
        assert_eq!(read(&buffer[..len]), [Said::Report(block), Said::Report(block)]);
        let stream = Sent {
            ssrc: 3,
            timestamp: 4,
            packets: 5,
            octets: 6,
        };
        let now = Instant::ZERO + Duration::from_secs(3);
        // With the longest name there is room for so many, and the others are left.
        let mut streams = std::iter::repeat_n(stream, 20);
        for count in [SENT, 20 - SENT] {
            let len = write_sent(&mut buffer, &"x".repeat(200), now, &mut streams);
            assert_eq!(read(&buffer[..len]), vec![Said::Sent(3, 3 << 16); count]);
        }
    }

    /// RFC 5104 4.3.1: the entries of a FIR name the streams; and whatever else comes.
    #[test]
    fn foreign_feedback_is_read_or_passed_over() {
        let fir = [
            0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 9, 2, 0, 0, 0,
        ];
        assert_eq!(read(&fir), [Said::Key(8), Said::Key(9)]);
        assert_eq!(author(&fir), 1);
        let odd: [&[u8]; 4] = [
            &[0x8f, 206, 0, 1, 0, 0, 0, 1],
            &[0x81, 205, 0, 1, 0, 0, 0, 1],
            &[0x8f, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
            &[0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B'],
        ];
        for odd in odd {
            assert_eq!(read(odd), []);
        }
        each(&fir[..9], |said| panic!("{said:?}"));
    }
}

//! RTCP on the wire (RFC 3550 6): reads compound packets in place, writes ours.

pub mod extended;
pub mod feedback;
pub mod transport;

use super::rtp::Malformed;
use super::sender::Sent;
use super::source::Block;
use crate::time::Instant;
use extended::{Delay, Extended, Metrics};

/// Packet type of a sender report.
pub const SENDER_REPORT: u8 = 200;
/// Packet type of a receiver report.
pub const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const SDES_CNAME: u8 = 1;
/// The bit of a header that says that the packet ends with padding (RFC 3550 6.4.1).
const PADDED: u8 = 0x20;
const BLOCK_BYTES: usize = 24;
/// A CNAME is cut to this; RFC 7022's random ones have 16 to 24 characters.
pub const CNAME_BYTES: usize = 64;

/// What a compound packet tells us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The middle 32 bits of the NTP timestamp of a sender report.
    pub sender_report: Option<u32>,
    /// Packets that the peer says it has sent.
    pub sent: Option<u32>,
    /// It has a report, of a sender or of a receiver.
    pub reports: bool,
    /// What the peer says of the stream that we send.
    pub block: Option<Block>,
    /// It has blocks.
    pub others: bool,
    /// Who sent a receiver reference time, and its middle 32 bits (RFC 3611 4.4).
    pub reference: Option<(u32, u32)>,
    /// The answer to a reference time of ours (RFC 3611 4.5).
    pub delay: Option<Delay>,
    /// The peer's metrics of the stream that we send (RFC 3611 4.7).
    pub metrics: Option<Metrics>,
    /// The peer says goodbye.
    pub goodbye: bool,
}

/// Reads a compound packet; blocks about other SSRCs than `ours` are passed over.
///
/// # Errors
/// `Malformed`, when a length leads beyond the datagram or a version is wrong (RFC 3550 A.2): nothing of it is used then.
pub fn read(datagram: &[u8], ours: u32) -> Result<Digest, Malformed> {
    let mut digest = Digest::default();
    let mut rest = datagram;
    loop {
        let header: &[u8; 4] = rest.first_chunk().ok_or(Malformed::Truncated)?;
        if header[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let len = 4 + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (packet, after) = rest.split_at_checked(len).ok_or(Malformed::Truncated)?;
        let padding = match (header[0] & PADDED, packet.last()) {
            (0, _) | (_, None) => 0,
            (_, Some(octets)) => usize::from(*octets),
        };
        let body = packet.get(4..len.saturating_sub(padding));
        let (count, body) = (usize::from(header[0] & 0x1f), body.ok_or(Malformed::Truncated)?);
        match header[1] {
            SENDER_REPORT => {
                // SSRC, NTP (8), RTP timestamp, packet count, octet count.
                let info = body.get(..24).ok_or(Malformed::Truncated)?;
                digest.reports = true;
                digest.sender_report = Some(word(info, 6));
                digest.sent = Some(word(info, 16));
                digest.others |= count > 0;
                digest.block = blocks(&body[24..], count, ours)?.or(digest.block);
            }
            RECEIVER_REPORT => {
                let after_ssrc = body.get(4..).ok_or(Malformed::Truncated)?;
                digest.reports = true;
                digest.others |= count > 0;
                digest.block = blocks(after_ssrc, count, ours)?.or(digest.block);
            }
            extended::PACKET_TYPE => extended::read(body, ours, &mut digest)?,
            GOODBYE => digest.goodbye = true,
            // SDES, APP and feedback are of no use to us.
            _ => {}
        }
        if after.is_empty() {
            return Ok(digest);
        }
        rest = after;
    }
}

/// A big-endian word; the caller has checked the length.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

fn blocks(bytes: &[u8], count: usize, ours: u32) -> Result<Option<Block>, Malformed> {
    let blocks = bytes.get(..count * BLOCK_BYTES).ok_or(Malformed::Truncated)?;
    let own = blocks.chunks_exact(BLOCK_BYTES).find(|block| word(block, 0) == ours);
    Ok(own.map(read_block))
}

/// A report block of `BLOCK_BYTES`.
fn read_block(block: &[u8]) -> Block {
    Block {
        ssrc: word(block, 0),
        fraction_lost: block[4],
        // 24 bits, signed.
        cumulative_lost: (word(block, 4) << 8) as i32 >> 8,
        highest: word(block, 8),
        jitter: word(block, 12),
        last_sr: word(block, 16),
        delay_since_last_sr: word(block, 20),
    }
}

/// What goes into our compound packet.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    /// Our SSRC.
    pub ssrc: u32,
    /// Now and our stream, if we have sent since the last report but one: makes it a sender report.
    pub sent: Option<(Instant, Sent)>,
    /// The stream that we receive.
    pub block: Option<Block>,
    /// Our CNAME.
    pub cname: &'a str,
    /// What the peer asked for besides.
    pub extended: Extended,
    /// We leave.
    pub goodbye: bool,
}

/// Seconds and fraction since the start of our clock: RFC 3550 6.4.1 allows elapsed time where no wall clock is at hand.
pub fn ntp(now: Instant) -> (u32, u32) {
    let nanos = now.as_nanos();
    (
        (nanos / 1_000_000_000) as u32,
        ((nanos % 1_000_000_000) << 32).div_euclid(1_000_000_000) as u32,
    )
}

/// The middle 32 bits of `ntp`.
pub fn ntp_middle(now: Instant) -> u32 {
    let (seconds, fraction) = ntp(now);
    seconds << 16 | fraction >> 16
}

/// Writes a compound packet to the start of a buffer of at least 256 octets, which is more than it can have, and returns its length.
pub fn write(buffer: &mut [u8], compound: &Compound<'_>) -> usize {
    let mut pen = Pen { buffer, len: 0 };
    let count = u8::from(compound.block.is_some());
    let report = pen.begin(
        if compound.sent.is_some() {
            SENDER_REPORT
        } else {
            RECEIVER_REPORT
        },
        count,
    );
    pen.word(compound.ssrc);
    if let Some((now, sent)) = compound.sent {
        pen.sent(now, sent);
    }
    if let Some(block) = compound.block {
        pen.block(&block);
    }
    pen.end(report);
    pen.named(compound.ssrc, compound.cname);
    extended::write(&mut pen, compound.ssrc, &compound.extended);
    if compound.goodbye {
        let goodbye = pen.begin(GOODBYE, 1);
        pen.word(compound.ssrc);
        pen.end(goodbye);
    }
    pen.len
}

struct Pen<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl Pen<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn word(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Starts a packet and returns where.
    fn begin(&mut self, packet_type: u8, count: u8) -> usize {
        let start = self.len;
        self.bytes(&[0x80 | count, packet_type, 0, 0]);
        start
    }

    /// Writes the length of the packet that started there.
    fn end(&mut self, start: usize) {
        let words = (self.len - start) / 4 - 1;
        self.buffer[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
    }

    /// What a sender report says behind its SSRC (RFC 3550 6.4.1).
    fn sent(&mut self, now: Instant, sent: Sent) {
        let (seconds, fraction) = ntp(now);
        for value in [seconds, fraction, sent.timestamp, sent.packets, sent.octets] {
            self.word(value);
        }
    }

    fn block(&mut self, block: &Block) {
        self.word(block.ssrc);
        self.word(u32::from(block.fraction_lost) << 24 | block.cumulative_lost as u32 & 0xff_ffff);
        for value in [block.highest, block.jitter, block.last_sr, block.delay_since_last_sr] {
            self.word(value);
        }
    }

    /// Our name, for one SSRC.
    fn name(&mut self, ssrc: u32, cname: &str) {
        let cname = &cname.as_bytes()[..cname.len().min(CNAME_BYTES)];
        self.word(ssrc);
        self.bytes(&[SDES_CNAME, cname.len() as u8]);
        self.bytes(cname);
        // RFC 3550 6.5: a null octet ends the list, more fill the word.
        self.bytes(&[0; 4][..4 - self.len % 4]);
    }

    /// The same as a packet.
    fn named(&mut self, ssrc: u32, cname: &str) {
        let names = self.begin(SOURCE_DESCRIPTION, 1);
        self.name(ssrc, cname);
        self.end(names);
    }
}

#[cfg(test)]
#[path = "rtcp/tests.rs"]
mod tests;

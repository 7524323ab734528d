//! What an Opus packet says of itself in its first octets (RFC 6716 3), read without decoding and without trust.

use super::{MAX_PACKET_MS, OpusError, half_ms, sample_rate};

/// Which layers of Opus coded the packet (RFC 6716 3.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Speech coding by linear prediction; the only mode, with `Hybrid`, that may carry FEC.
    Silk,
    /// SILK below 8 kHz, CELT above.
    Hybrid,
    /// Transform coding.
    Celt,
}

/// The audio bandwidth of a packet (RFC 6716 2, table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInfo {
    /// Coding layers.
    pub mode: Mode,
    /// Audio bandwidth.
    pub bandwidth: Bandwidth,
    /// 1 or 2. We decode to mono in any case.
    pub channels: u8,
    /// Frames in the packet, 1 to 48.
    pub frames: u8,
    /// Microseconds of each frame, 2,500 to 60,000.
    pub frame_us: u32,
    /// The packet carries a copy of the frame before it, for [`super::Decoder::decode_fec`].
    pub fec: bool,
}

impl PacketInfo {
    /// Samples of the whole packet at this rate (Hz), for one channel.
    pub const fn samples(&self, rate: u32) -> usize {
        half_ms(rate, self.frame_us / 500) * self.frames as usize
    }
}

/// Reads mode, channels, frames and length of a packet; an error for what can't be an Opus packet. It does not check that the
/// frames are whole: decoding does.
pub fn packet_info(packet: &[u8]) -> Result<PacketInfo, OpusError> {
    let toc = *packet.first().ok_or(OpusError::BadPacket)?;
    let (mode, bandwidth, frame_us) = configuration(toc >> 3);
    // RFC 6716 3.2: one frame, two of equal length, two of different length, any number.
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).ok_or(OpusError::BadPacket)? & 0x3f,
    };
    if frames == 0 || u32::from(frames) * frame_us > MAX_PACKET_MS * 1_000 {
        return Err(OpusError::BadPacket);
    }
    let channels = if toc & 4 == 0 { 1 } else { 2 };
    let fec = match mode {
        Mode::Silk | Mode::Hybrid => first_frame(packet).is_some_and(|octet| has_fec(octet, channels, frame_us)),
        Mode::Celt => false,
    };
    Ok(PacketInfo {
        mode,
        bandwidth,
        channels,
        frames,
        frame_us,
        fec,
    })
}

/// The audio bandwidth of a packet, by its first octet alone.
pub fn packet_bandwidth(packet: &[u8]) -> Option<Bandwidth> {
    let toc = packet.first()?;
    Some(configuration(toc >> 3).1)
}

/// Samples of a packet at this rate (8, 12, 16, 24 or 48 kHz), for one channel: 2.5 to 120 ms.
pub fn packet_samples(packet: &[u8], rate: u32) -> Result<usize, OpusError> {
    sample_rate(rate)?;
    Ok(packet_info(packet)?.samples(rate))
}

/// RFC 6716 3.1, table 2.
const fn configuration(number: u8) -> (Mode, Bandwidth, u32) {
    const SILK_US: [u32; 4] = [10_000, 20_000, 40_000, 60_000];
    const HYBRID_US: [u32; 2] = [10_000, 20_000];
    const CELT_US: [u32; 4] = [2_500, 5_000, 10_000, 20_000];
    let quarter = (number & 3) as usize;
    match number {
        0..=3 => (Mode::Silk, Bandwidth::Narrow, SILK_US[quarter]),
        4..=7 => (Mode::Silk, Bandwidth::Medium, SILK_US[quarter]),
        8..=11 => (Mode::Silk, Bandwidth::Wide, SILK_US[quarter]),
        12..=13 => (Mode::Hybrid, Bandwidth::SuperWide, HYBRID_US[quarter & 1]),
        14..=15 => (Mode::Hybrid, Bandwidth::Full, HYBRID_US[quarter & 1]),
        16..=19 => (Mode::Celt, Bandwidth::Narrow, CELT_US[quarter]),
        20..=23 => (Mode::Celt, Bandwidth::Wide, CELT_US[quarter]),
        24..=27 => (Mode::Celt, Bandwidth::SuperWide, CELT_US[quarter]),
        _ => (Mode::Celt, Bandwidth::Full, CELT_US[quarter]),
    }
}

/// The first octet of the first frame; `None` where that frame is empty or missing (RFC 6716 3.2.2 to 3.2.5).
fn first_frame(packet: &[u8]) -> Option<u8> {
    let body = &packet[1..];
    match packet[0] & 3 {
        0 | 1 => body.first().copied(),
        2 => {
            let (length, rest) = frame_length(body)?;
            rest.first().copied().filter(|_| length > 0)
        }
        _ => {
            let (count, mut rest) = body.split_first()?;
            let (variable, padded, frames) = (count & 0x80 != 0, count & 0x40 != 0, usize::from(count & 0x3f));
            if padded {
                rest = skip_padding_length(rest)?;
            }
            let mut first_length = None;
            if variable {
                for _ in 1..frames {
                    let (length, after) = frame_length(rest)?;
                    first_length.get_or_insert(length);
                    rest = after;
                }
            }
            rest.first().copied().filter(|_| first_length != Some(0))
        }
    }
}

/// A frame's length and what follows it (RFC 6716 3.2.1).
fn frame_length(body: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = body.split_first()?;
    if *first < 252 {
        return Some((usize::from(*first), rest));
    }
    let (second, rest) = rest.split_first()?;
    Some((usize::from(*first) + 4 * usize::from(*second), rest))
}

/// Walks over the padding's length, 255 meaning 254 and another octet (RFC 6716 3.2.5).
fn skip_padding_length(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (octet, after) = rest.split_first()?;
        rest = after;
        if *octet != 255 {
            return Some(rest);
        }
    }
}

/// The LBRR flags: the first bits of a SILK frame are, per channel, one VAD flag for each 20 ms and then the LBRR flag
/// (RFC 6716 4.2.3), each coded with even odds, so that they are plain bits.
const fn has_fec(first_octet: u8, channels: u8, frame_us: u32) -> bool {
    let silk_frames = if frame_us <= 20_000 { 1 } else { frame_us / 20_000 };
    let mid = first_octet >> (7 - silk_frames) & 1;
    let side = if channels == 2 {
        first_octet >> (6 - 2 * silk_frames) & 1
    } else {
        0
    };
    mid | side != 0
}

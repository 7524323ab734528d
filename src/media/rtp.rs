//! RTP on the wire (RFC 3550 5.1): what a datagram is (RFC 7983), a bounds-checked view of its header, and ours to write.

use super::packet::Packet;

/// Octets of the fixed header.
pub const HEADER_BYTES: usize = 12;

/// Octets of the header extension that `write_extended` adds.
pub const EXTENSION_BYTES: usize = 8;

/// What the first octets of a datagram on an RTP port say it is (RFC 7983 7, RFC 5761 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Media.
    Rtp,
    /// Reports.
    Rtcp,
    /// STUN (first octet 0 to 3).
    Stun,
    /// DTLS (first octet 20 to 63).
    Dtls,
    /// Nothing that belongs here.
    Unknown,
}

/// Sorts a datagram by its first octet, and RTCP from RTP by the second: the packet types 192 to 223 (RFC 5761 4).
pub fn kind(datagram: &[u8]) -> Kind {
    match (datagram.first(), datagram.get(1)) {
        (Some(0..=3), _) => Kind::Stun,
        (Some(20..=63), _) => Kind::Dtls,
        (Some(128..=191), Some(192..=223)) => Kind::Rtcp,
        (Some(128..=191), Some(_)) => Kind::Rtp,
        (Some(_) | None, _) => Kind::Unknown,
    }
}

/// Why a datagram is not RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its header says.
    Truncated,
    /// Not version 2.
    Version,
    /// The padding count is 0 or more than there is.
    Padding,
}

/// Octets of the header with its CSRC list and extension. They may lead beyond the datagram.
///
/// # Errors
/// `Malformed`, when the datagram ends before its header tells.
pub fn head_octets(datagram: &[u8]) -> Result<usize, Malformed> {
    let header: &[u8; HEADER_BYTES] = datagram.first_chunk().ok_or(Malformed::Truncated)?;
    if header[0] >> 6 != 2 {
        return Err(Malformed::Version);
    }
    let start = HEADER_BYTES + 4 * usize::from(header[0] & 0x0f);
    if header[0] & 0x10 == 0 {
        return Ok(start);
    }
    // RFC 3550 5.3.1: two octets of profile, two of length in words.
    let words: [u8; 2] = datagram
        .get(start + 2..start + 4)
        .and_then(|w| w.try_into().ok())
        .ok_or(Malformed::Truncated)?;
    Ok(start + 4 + 4 * usize::from(u16::from_be_bytes(words)))
}

/// A packet whose lengths were all checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Without CSRC list, header extension and padding.
    pub payload: &'a [u8],
}

impl<'a> View<'a> {
    /// Reads the header and finds the payload.
    ///
    /// # Errors
    /// `Malformed`, when any length in the header leads beyond the datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_BYTES] = datagram.first_chunk().ok_or(Malformed::Truncated)?;
        let start = head_octets(datagram)?;
        let mut payload = datagram.get(start..).ok_or(Malformed::Truncated)?;
        if header[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(Malformed::Padding)?);
            if padding == 0 || padding > payload.len() {
                return Err(Malformed::Padding);
            }
            payload = &payload[..payload.len() - padding];
        }
        Ok(View {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }
}

/// The header of a packet that we send: no CSRC, no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Our SSRC.
    pub ssrc: u32,
}

impl Header {
    /// Writes the fixed header to the start of a packet's buffer and returns the space behind it.
    pub fn write(self, packet: &mut Packet) -> &mut [u8] {
        let buffer = packet.buffer();
        buffer[0] = 0x80;
        buffer[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        buffer[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        buffer[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        buffer[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        &mut buffer[HEADER_BYTES..]
    }

    /// The same with one header extension of three octets, by its number (RFC 8285 4.2), which has `EXTENSION_BYTES`.
    pub fn write_extended(self, (id, [a, b, c]): (u8, [u8; 3]), packet: &mut Packet) -> &mut [u8] {
        self.write(packet);
        let buffer = packet.buffer();
        buffer[0] |= 0x10;
        let (extension, rest) = buffer[HEADER_BYTES..].split_at_mut(EXTENSION_BYTES);
        extension.copy_from_slice(&[0xbe, 0xde, 0, 1, id << 4 | 2, a, b, c]);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::rtp::packet::Packet as Oracle;
    use proptest::prelude::*;
    use webrtc_util::marshal::Unmarshal;

    #[test]
    fn the_first_octets_tell_what_it_is() {
        let cases: [(&[u8], Kind); 12] = [
            (&[0, 1], Kind::Stun),
            (&[3], Kind::Stun),
            (&[4, 0], Kind::Unknown),
            (&[20, 254], Kind::Dtls),
            (&[63], Kind::Dtls),
            (&[64, 0], Kind::Unknown),
            (&[0x80, 0], Kind::Rtp),
            (&[0xbf, 0x80 | 111], Kind::Rtp),
            (&[0x80, 200], Kind::Rtcp),
            (&[0x80, 0x80 | 0x60], Kind::Rtp),
            (&[0xc0, 0], Kind::Unknown),
            (&[], Kind::Unknown),
        ];
        for (bytes, want) in cases {
            assert_eq!(kind(bytes), want, "{bytes:?}");
        }
    }

    #[test]
    fn lengths_that_lie_are_found() {
        let header = |first: u8, more: &[u8]| [&[first, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3][..], more].concat();
        assert_eq!(View::parse(&header(0x80, &[])).map(|view| view.payload.len()), Ok(0));
        assert_eq!(View::parse(&header(0x80, &[])[..11]), Err(Malformed::Truncated));
        assert_eq!(View::parse(&header(0x40, &[])), Err(Malformed::Version));
        assert_eq!(View::parse(&header(0x82, &[0; 7])), Err(Malformed::Truncated));
        assert_eq!(View::parse(&header(0x90, &[0xbe, 0xde, 0])), Err(Malformed::Truncated));
        assert_eq!(
            View::parse(&header(0x90, &[0xbe, 0xde, 0, 2, 0, 0, 0, 0])),
            Err(Malformed::Truncated)
        );
        assert_eq!(View::parse(&header(0xa0, &[])), Err(Malformed::Padding));
        assert_eq!(View::parse(&header(0xa0, &[1, 0])), Err(Malformed::Padding));
        assert_eq!(View::parse(&header(0xa0, &[1, 3])), Err(Malformed::Padding));
        assert_eq!(
            View::parse(&header(0xa0, &[9, 0, 2])).map(|view| view.payload.len()),
            Ok(1)
        );
    }

    proptest! {
        /// What we take, the `rtp` crate reads the same way. Header extensions of the profiles that it looks into are left
        /// out: there it panics on what a peer may send.
        #[test]
        fn another_implementation_reads_the_same(mut bytes in proptest::collection::vec(any::<u8>(), 12..80)) {
            bytes[0] = 0x80 | bytes[0] & 0x33;
            let Ok(view) = View::parse(&bytes) else { return Ok(()) };
            let csrc = usize::from(bytes[0] & 15);
            let profile = bytes.get(12 + 4 * csrc..14 + 4 * csrc);
            prop_assume!(bytes[0] & 0x10 == 0 || profile.is_some_and(|p| p != [0xbe, 0xde] && p != [0x10, 0]));
            let oracle = Oracle::unmarshal(&mut &bytes[..]).unwrap();
            prop_assert_eq!(oracle.header.marker, view.marker);
            prop_assert_eq!(oracle.header.payload_type, view.payload_type);
            prop_assert_eq!(oracle.header.sequence_number, view.sequence);
            prop_assert_eq!(oracle.header.timestamp, view.timestamp);
            prop_assert_eq!(oracle.header.ssrc, view.ssrc);
            prop_assert_eq!(&oracle.payload[..], view.payload);
        }

        #[test]
        fn what_we_write_is_read_back(marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32) {
            let mut packet = Packet::default();
            Header { marker, payload_type, sequence, timestamp, ssrc }.write(&mut packet)[..2].copy_from_slice(&[5, 6]);
            packet.set_len(HEADER_BYTES + 2);
            let payload = &[5u8, 6][..];
            let want = View { marker, payload_type, sequence, timestamp, ssrc, payload };
            prop_assert_eq!(View::parse(packet.as_slice()), Ok(want));
        }
    }
}

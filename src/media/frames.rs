//! Packets on a stream: each stands behind its length in two octets (RFC 4571 2).

use super::packet::Packet;
use crate::limits;

/// Octets before a packet.
pub const HEAD: usize = 2;
/// What has come and is no whole packet yet, and some that came with it.
const ROOM: usize = 4 * (HEAD + limits::RTP_PACKET_BYTES);

/// A packet that is longer than any of media: where the next one begins is not worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What has come on a stream.
pub struct Inbox {
    octets: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox {
            octets: vec![0; ROOM].into(),
            from: 0,
            to: 0,
        }
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox({} octets)", self.to - self.from)
    }
}

impl Inbox {
    /// The space to receive into; `came` follows. There is some as long as `next` is asked until it has nothing.
    pub fn space(&mut self) -> &mut [u8] {
        self.octets.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        &mut self.octets[self.to..]
    }

    /// So many octets were put there.
    pub fn came(&mut self, octets: usize) {
        self.to = (self.to + octets).min(self.octets.len());
    }

    /// True if no octet waits.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The next whole packet is in this one then; false where there is none. An empty one is none (RFC 4571 2).
    ///
    /// # Errors
    /// `TooLong`: nothing more can be read.
    pub fn next(&mut self, into: &mut Packet) -> Result<bool, TooLong> {
        loop {
            let rest = &self.octets[self.from..self.to];
            let Some(head) = rest.first_chunk::<HEAD>() else {
                return Ok(false);
            };
            let length = usize::from(u16::from_be_bytes(*head));
            if length > limits::RTP_PACKET_BYTES {
                return Err(TooLong);
            }
            let Some(packet) = rest.get(HEAD..HEAD + length) else {
                return Ok(false);
            };
            if length > 0 {
                into.buffer()[..length].copy_from_slice(packet);
                into.set_len(length);
            }
            self.from += HEAD + length;
            if length > 0 {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_cut_where_they_say_however_they_come() {
        let sent = [
            vec![1; 3],
            vec![],
            vec![2; 1_500],
            vec![3; 1],
            vec![4; 1_500],
            vec![5; 1_499],
        ];
        let stream: Vec<u8> = sent
            .iter()
            .flat_map(|packet| [&(packet.len() as u16).to_be_bytes()[..], packet].concat())
            .collect();
        let whole: Vec<&Vec<u8>> = sent.iter().filter(|packet| !packet.is_empty()).collect();
        for step in [1, 2, 3, 7, 1_501, 4_000, 10_000] {
            let (mut inbox, mut packet, mut rest) = (Inbox::default(), Packet::default(), &stream[..]);
            let mut came: Vec<Vec<u8>> = Vec::new();
            while !rest.is_empty() {
                let space = inbox.space();
                let octets = step.min(rest.len()).min(space.len());
                assert!(octets > 0);
                space[..octets].copy_from_slice(&rest[..octets]);
                inbox.came(octets);
                rest = &rest[octets..];
                while inbox.next(&mut packet).unwrap() {
                    came.push(packet.as_slice().to_vec());
                }
            }
            assert_eq!(came.iter().collect::<Vec<_>>(), whole, "in steps of {step}");
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_ends_a_stream() {
        let (mut inbox, mut packet) = (Inbox::default(), Packet::default());
        inbox.space()[..2].copy_from_slice(&1_501u16.to_be_bytes());
        inbox.came(2);
        assert_eq!(inbox.next(&mut packet), Err(TooLong));
    }
}

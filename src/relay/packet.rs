//! A message on its way, in the one place where it lies from the socket that it came by to the one that it leaves by.
//!
//! ```text
//!   | room for a head | what came ............................ | room for padding |
//!                     ^ start                          end ^
//! ```

use crate::limits;

/// Before what came: the head of an indication with an address of IPv6.
pub(super) const HEAD: usize = 48;
/// One octet more than may come, so that what is too long is known.
const ROOM: usize = limits::RELAY_MESSAGE_BYTES + 1;
/// Behind it.
const PADDING: usize = 4;

/// See there.
#[derive(Clone, Debug)]
pub struct Packet {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Default for Packet {
    fn default() -> Packet {
        Packet {
            octets: vec![0; HEAD + ROOM + PADDING].into_boxed_slice(),
            start: HEAD,
            end: HEAD,
        }
    }
}

impl Packet {
    /// Where a datagram is received; [`Packet::came`] says how long it is.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.octets[HEAD..HEAD + ROOM]
    }

    /// So many octets have come.
    pub fn came(&mut self, length: usize) {
        (self.start, self.end) = (HEAD, HEAD + length.min(ROOM));
    }

    /// These have come.
    pub fn copy(&mut self, octets: &[u8]) {
        let length = octets.len().min(ROOM);
        self.room()[..length].copy_from_slice(&octets[..length]);
        self.came(length);
    }

    /// What is to be handled, or to be sent.
    pub fn octets(&self) -> &[u8] {
        &self.octets[self.start..self.end]
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.end - self.start > limits::RELAY_MESSAGE_BYTES
    }

    /// Leaves only so many octets from here.
    pub(super) fn keep(&mut self, from: usize, length: usize) {
        self.start += from;
        self.end = self.start + length;
    }

    /// Puts a head before it. There is room for one.
    pub(super) fn put_before(&mut self, head: &[u8]) {
        self.start -= head.len();
        self.octets[self.start..self.start + head.len()].copy_from_slice(head);
    }

    /// Fills it up to whole words.
    pub(super) fn pad(&mut self) {
        let end = self.start + (self.end - self.start).next_multiple_of(4);
        self.octets[self.end..end].fill(0);
        self.end = end;
    }
}

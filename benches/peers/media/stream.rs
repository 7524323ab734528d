//! One end of a call at work: what it sends, and its judgement of what it hears.

use super::content::{FRAME, Material, Stamp, energy};
use super::sdp::{Called, End};
use codecs::{g711, opus};

/// Octets of a header without extensions.
const HEADER: usize = 12;
/// Octets of the longest packet.
pub const PACKET: usize = 2_048;

/// What is in the packets of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Octets that must arrive as they were sent.
    Stamps,
    Alaw,
    Opus,
}

/// An end of a call.
pub struct Stream {
    pub end: End,
    /// Call and side.
    whose: u32,
    sends: Content,
    hears: Content,
    sent: u32,
    decoder: Option<opus::Decoder>,
    /// Of stamps: what RTP's sequence numbers are ahead of theirs, and the last of them.
    numbers: Option<(u16, u32)>,
    /// What was sent in the window, and what was heard in it.
    pub energy: [f64; 2],
}

/// A packet that was as it should be.
pub enum Heard {
    /// It left then, in nanoseconds since 1970.
    Stamp(u64),
    Sound(f64),
}

impl Stream {
    pub fn new(end: End, called: Called, call: usize, side: usize) -> Stream {
        let opus_at = |at: usize| match (called.is_opus(), at) {
            (false, _) => Content::Stamps,
            (true, 0) => Content::Alaw,
            (true, _) => Content::Opus,
        };
        let hears = opus_at(side);
        Stream {
            end,
            whose: u32::try_from(call * 2 + side).expect("few calls"),
            sends: opus_at(side),
            hears,
            sent: 0,
            decoder: (hears == Content::Opus).then(|| opus::Decoder::new(8_000).expect("a valid rate")),
            numbers: None,
            energy: [0.0; 2],
        }
    }

    /// Writes the next packet; gives its length and the energy of what it says.
    pub fn next(&mut self, now: u64, material: &Material, packet: &mut [u8; PACKET]) -> (usize, f64) {
        let number = self.sent;
        self.sent += 1;
        // Calls are not at the same place of the speech.
        let frame = number as usize + self.whose as usize * 37;
        let (octets, energy, ticks) = match self.sends {
            Content::Stamps => {
                let mut payload = [0; FRAME];
                Stamp {
                    left: now,
                    number,
                    whose: self.whose,
                }
                .write(&mut payload);
                packet[HEADER..HEADER + FRAME].copy_from_slice(&payload);
                (FRAME, 0.0, 160)
            }
            Content::Alaw => copy(material.alaw(frame), &mut packet[HEADER..], 160),
            Content::Opus => copy(material.opus(frame), &mut packet[HEADER..], 960),
        };
        packet[0] = 0x80;
        packet[1] = self.end.payload_type | if number == 0 { 0x80 } else { 0 };
        packet[2..4].copy_from_slice(&(number as u16).wrapping_add(self.whose as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&number.wrapping_mul(ticks).to_be_bytes());
        packet[8..HEADER].copy_from_slice(&(0x7a00_0000 | self.whose).to_be_bytes());
        let length = HEADER + octets;
        let Some(keys) = &mut self.end.keys else {
            return (length, energy);
        };
        let sealed = keys.seals.encrypt_rtp(&packet[..length]).expect("a packet of ours");
        packet[..sealed.len()].copy_from_slice(&sealed);
        (sealed.len(), energy)
    }

    /// Judges a packet; none where it is not what the other end sent.
    pub fn hear(&mut self, packet: &[u8]) -> Option<Heard> {
        let opened;
        let packet = match &mut self.end.keys {
            None => packet,
            Some(keys) => {
                opened = keys.opens.decrypt_rtp(packet).ok()?;
                &opened[..]
            }
        };
        let (head, payload) = packet.split_at_checked(HEADER)?;
        if head[0] != 0x80 || head[1] & 0x7f != self.end.payload_type {
            return None;
        }
        let sequence = u16::from_be_bytes([head[2], head[3]]);
        match self.hears {
            Content::Stamps => self.stamp(sequence, payload),
            Content::Alaw => {
                let mut pcm = [0; FRAME];
                let samples = g711::decode_alaw_slice(payload, &mut pcm);
                (samples == FRAME).then(|| Heard::Sound(energy(&pcm)))
            }
            Content::Opus => {
                let mut pcm = [0; FRAME];
                let decoder = self.decoder.as_mut()?;
                let samples = decoder.decode(payload, &mut pcm).ok()?;
                (samples == FRAME).then(|| Heard::Sound(energy(&pcm)))
            }
        }
    }

    /// It must be of the other end, whole, newer than all before, and RTP must number it as the sender did.
    fn stamp(&mut self, sequence: u16, payload: &[u8]) -> Option<Heard> {
        let stamp = Stamp::read(payload).filter(|stamp| stamp.whose == self.whose ^ 1)?;
        let ahead = sequence.wrapping_sub(stamp.number as u16);
        let before = self.numbers.replace((ahead, stamp.number));
        let is_next = before.is_none_or(|(before, last)| before == ahead && last < stamp.number);
        is_next.then_some(Heard::Stamp(stamp.left))
    }
}

fn copy((frame, energy): (&[u8], f64), to: &mut [u8], ticks: u32) -> (usize, f64, u32) {
    to[..frame.len()].copy_from_slice(frame);
    (frame.len(), energy, ticks)
}

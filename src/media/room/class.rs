//! Listeners of one codec, who hear the same packets.

use crate::media::coder::{Coder, frame_samples};
use crate::media::command::Stream;
use codecs::opus::OpusError;
use codecs::{Codec, Rate};

/// The longest payload: 60 ms of G.711, or of Opus at 128 kbit/s.
const PAYLOAD: usize = 960;
/// Packets of a tick: two of 10 ms.
const PACKETS: usize = 2;
/// Loss in percent that FEC is made for where listeners lose packets, in 1/256.
const EXPECTED: u8 = 26;

/// What listeners have in common who share an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassKey {
    codec: Codec,
    rate: Rate,
    /// Samples of a packet.
    samples: usize,
    /// They hear what is not forwarded.
    pub rest: bool,
    /// They lose packets.
    lossy: bool,
    /// Of Opus: bits per second, and whether pauses are left out, which is each peer's to say.
    opus: Option<(u32, bool)>,
}

impl ClassKey {
    /// Of who speaks this in a room of this rate, hears what is not forwarded alone, and loses packets, or not.
    pub fn new(stream: &Stream, room: Rate, (rest, lossy): (bool, bool)) -> ClassKey {
        let rate = stream.rate_in(room);
        ClassKey {
            codec: stream.codec,
            rate,
            samples: frame_samples(stream, rate),
            rest,
            lossy: lossy && stream.codec == Codec::Opus,
            opus: (stream.codec == Codec::Opus).then_some((stream.opus.bitrate, stream.opus.dtx)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    octets: [u8; PAYLOAD],
    /// `None` where it need not be sent.
    len: Option<usize>,
}

/// An encoder for all of them.
#[derive(Debug)]
pub struct Class {
    /// For whom.
    pub key: ClassKey,
    /// Their encoder.
    pub coder: Coder,
    packets: [Payload; PACKETS],
    count: usize,
    /// Somebody listens at this tick.
    pub listeners: bool,
    runs: bool,
}

impl Class {
    /// One for this stream in a room of this rate: for those who lose packets with FEC, for all others without.
    ///
    /// # Errors
    /// As `Coder::new`.
    pub fn new(stream: &Stream, room: Rate, (rest, lossy): (bool, bool)) -> Result<Class, OpusError> {
        let mut stream = *stream;
        // A decoder takes it whatever its peer has said of it.
        stream.opus.fec = lossy;
        let key = ClassKey::new(&stream, room, (rest, lossy));
        let mut coder = Coder::new(&stream, key.rate)?;
        if lossy {
            coder.reported(EXPECTED);
        }
        let empty = Payload {
            octets: [0; PAYLOAD],
            len: None,
        };
        Ok(Class {
            key,
            coder,
            packets: [empty; PACKETS],
            count: 0,
            listeners: false,
            runs: false,
        })
    }

    /// Packets begin where those of all others of this length do; so many ticks have gone by.
    pub fn align(&mut self, ticks: u32) {
        let (step, frame) = (self.key.rate.hz() as usize / 50, self.coder.frame());
        self.coder.wait(ticks as usize % (frame * step) * step % frame);
    }

    /// Encodes what is heard at this tick, if somebody listens; tells how many packets that were. Where it `rests`, there are packets that need
    /// not be sent.
    pub fn tick(&mut self, (pcm, history): (&[i16], &[i16]), rests: bool) -> u64 {
        self.count = 0;
        let listens = std::mem::take(&mut self.listeners);
        let runs = listens && !rests;
        let mut primed = 0;
        if runs && !self.runs {
            // Nothing was encoded for a while.
            let before = history.len() - pcm.len() - self.coder.filled();
            primed = self.coder.prime(&history[..before]);
        }
        self.runs = runs;
        let before = self.coder.encodes();
        let mut rest = pcm;
        while !rest.is_empty() {
            rest = self.coder.take(rest);
            if self.coder.is_full() && !runs {
                // Packets begin where they would, so that who comes to listen has missed nothing.
                self.coder.clear();
                if let Some(packet) = self.packets.get_mut(self.count).filter(|_| listens) {
                    packet.len = None;
                    self.count += 1;
                }
            } else if self.coder.is_full() {
                let Some(packet) = self.packets.get_mut(self.count) else {
                    break;
                };
                packet.len = self.coder.encode(&mut packet.octets);
                self.count += 1;
            }
        }
        primed + self.coder.encodes() - before
    }

    /// The packets of this tick.
    pub fn payloads(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.packets[..self.count]
            .iter()
            .map(|packet| packet.len.map(|len| &packet.octets[..len]))
    }
}

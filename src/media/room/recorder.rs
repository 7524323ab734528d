//! The mix as it is recorded: encoded once more, as if a leg had said it. A recording has 16 kHz at most.

use crate::media::coder::Coder;
use crate::media::command::{Dtmf, OpusParams, Stream};
use crate::media::tap::{Heard, Sink};
use crate::time::Instant;
use codecs::opus::OpusError;
use codecs::{Codec, Rate};

/// Octets of 20 ms in G.711 and in G.722.
const PAYLOAD: usize = 160;

/// Writes the mix down, on both sides of a recording.
#[derive(Debug)]
pub struct Recorder {
    codec: Codec,
    coder: Coder,
    sinks: Vec<Box<dyn Sink>>,
    sequence: u16,
    timestamp: u32,
}

impl Recorder {
    /// Of a room of this rate, to these.
    ///
    /// # Errors
    /// As `Coder::new`.
    pub fn new(rate: Rate, sinks: Vec<Box<dyn Sink>>) -> Result<Recorder, OpusError> {
        let codec = match rate {
            Rate::Narrow => Codec::Pcmu,
            Rate::Wide | Rate::Full => Codec::G722,
        };
        let stream = Stream {
            udptl: false,
            dtmf: Dtmf::default(),
            opus: OpusParams::default(),
            ..Stream::udptl(codec, true, true)
        };
        Ok(Recorder {
            codec,
            coder: Coder::new(&stream, rate)?,
            sinks,
            sequence: 0,
            timestamp: 0,
        })
    }

    /// Of the PCM that it takes.
    pub fn rate(&self) -> Rate {
        self.coder.rate()
    }

    /// Takes 20 ms.
    pub fn take(&mut self, now: Instant, pcm: &[i16]) {
        let mut payload = [0; PAYLOAD];
        self.coder.take(pcm);
        let Some(len) = self.coder.is_full().then(|| self.coder.encode(&mut payload)).flatten() else {
            return;
        };
        let heard = Heard {
            at: now,
            codec: self.codec,
            ssrc: 1,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload: &payload[..len],
        };
        for sink in &mut self.sinks {
            sink.take(&heard);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.coder.ticks(pcm.len() as u32));
    }
}

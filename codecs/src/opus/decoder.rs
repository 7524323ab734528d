//! Opus packets to PCM.

use super::{MAX_PACKET_MS, OpusError, from_library, half_ms, packet_samples, sample_rate};
use audiopus::coder::{Decoder as Library, GenericCtl};
use audiopus::packet::Packet;
use audiopus::{Channels, MutSignals};

/// One stream from a peer, mono whatever the packets hold. It may move between threads; it allocates nothing after `new`.
#[derive(Debug)]
pub struct Decoder {
    library: Library,
    rate: u32,
}

impl Decoder {
    /// A decoder that gives PCM of this rate (8, 12, 16, 24 or 48 kHz).
    pub fn new(rate_hz: u32) -> Result<Self, OpusError> {
        let library = Library::new(sample_rate(rate_hz)?, Channels::Mono).map_err(from_library)?;
        Ok(Self { library, rate: rate_hz })
    }

    /// Hz of the PCM.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Decodes a packet to the start of `out` and says how many samples it held (at most 120 ms).
    pub fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize, OpusError> {
        let needed = packet_samples(packet, self.rate)?;
        if out.len() < needed {
            return Err(OpusError::OutputTooSmall {
                needed,
                given: out.len(),
            });
        }
        self.run(Some(packet), &mut out[..needed], false)
    }

    /// Makes the samples that were lost just before `next_packet`, from the copy it may carry of them (RFC 6716 2.1.7).
    ///
    /// `out` is as long as what was lost. Where the packet has no copy, it is filled as by [`Decoder::conceal`]; that `next_packet`
    /// has one can be seen in [`super::PacketInfo::fec`]. Decode `next_packet` itself after this, as usual.
    pub fn decode_fec(&mut self, next_packet: &[u8], out: &mut [i16]) -> Result<usize, OpusError> {
        packet_samples(next_packet, self.rate)?;
        self.check_gap(out.len())?;
        self.run(Some(next_packet), out, true)
    }

    /// Fills `out`, a multiple of 2.5 ms up to 120 ms, with what libopus makes of what it heard before.
    pub fn conceal(&mut self, out: &mut [i16]) -> Result<usize, OpusError> {
        self.check_gap(out.len())?;
        self.run(None, out, false)
    }

    /// Forgets what was heard, as for a new stream (a changed SSRC).
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.library.reset_state().map_err(from_library)
    }

    /// A gap that libopus can fill. Its working memory is on the stack and as large as the gap, so the bound is for safety too.
    fn check_gap(&self, samples: usize) -> Result<(), OpusError> {
        let longest = half_ms(self.rate, 2 * MAX_PACKET_MS);
        if samples == 0 || samples > longest || !samples.is_multiple_of(half_ms(self.rate, 5)) {
            return Err(OpusError::FrameLength {
                samples,
                rate: self.rate,
            });
        }
        Ok(())
    }

    fn run(&mut self, packet: Option<&[u8]>, out: &mut [i16], fec: bool) -> Result<usize, OpusError> {
        let packet = packet.map(Packet::try_from).transpose().map_err(from_library)?;
        let out = MutSignals::try_from(out).map_err(from_library)?;
        self.library.decode(packet, out, fec).map_err(from_library)
    }
}

//! PCM to Opus packets.

use super::{OpusError, from_library, half_ms, sample_rate};
use audiopus::coder::Encoder as Library;
use audiopus::{Application, Bitrate, Channels, Signal};

/// With DTX, a packet of at most this many octets says nothing new and need not be sent (libopus, `opus_encode`).
pub const DTX_OCTETS: usize = 2;

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderParams {
    /// Bits per second, 6,000 to 510,000 (RFC 7587 6.1).
    pub bitrate: u32,
    /// libopus's effort, 0 to 10.
    pub complexity: u8,
    /// In-band forward error correction (RFC 6716 2.1.7). It adds data only when `expected_loss_percent` is above 0.
    pub fec: bool,
    /// How many packets of a hundred the peer is expected to lose, 0 to 100.
    pub expected_loss_percent: u8,
    /// Discontinuous transmission (RFC 6716 2.1.9).
    pub dtx: bool,
}

impl Default for EncoderParams {
    fn default() -> Self {
        Self {
            bitrate: 24_000,
            complexity: 5,
            fec: true,
            expected_loss_percent: 5,
            dtx: false,
        }
    }
}

/// One mono stream to a peer. It may move between threads; it allocates nothing after `new`.
#[derive(Debug)]
pub struct Encoder {
    library: Library,
    rate: u32,
}

impl Encoder {
    /// An encoder for PCM of this rate (8, 12, 16, 24 or 48 kHz).
    pub fn new(rate_hz: u32, params: EncoderParams) -> Result<Self, OpusError> {
        let library = Library::new(sample_rate(rate_hz)?, Channels::Mono, Application::Voip).map_err(from_library)?;
        let mut encoder = Self { library, rate: rate_hz };
        encoder.set_bitrate(params.bitrate)?;
        encoder.set_complexity(params.complexity)?;
        encoder.set_expected_loss(params.expected_loss_percent)?;
        encoder.library.set_inband_fec(params.fec).map_err(from_library)?;
        encoder.library.set_dtx(params.dtx).map_err(from_library)?;
        if params.fec {
            // FEC exists only in the SILK layer; what libopus takes for music would be coded without it.
            encoder.library.set_signal(Signal::Voice).map_err(from_library)?;
        }
        Ok(encoder)
    }

    /// Hz of the PCM.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Encodes one frame of 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms and says how many octets it became.
    ///
    /// The packet is fitted into `out` (at a lower quality if `out` is small). See [`DTX_OCTETS`] for frames that need not be sent.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, OpusError> {
        const FRAME_HALF_MS: [u32; 9] = [5, 10, 20, 40, 80, 120, 160, 200, 240];
        if !FRAME_HALF_MS
            .iter()
            .any(|count| half_ms(self.rate, *count) == pcm.len())
        {
            return Err(OpusError::FrameLength {
                samples: pcm.len(),
                rate: self.rate,
            });
        }
        if out.is_empty() {
            return Err(OpusError::OutputTooSmall { needed: 1, given: 0 });
        }
        // libopus counts in i32, and no packet of 120 ms is longer than this.
        let room = out.len().min(6 * super::MAX_FRAME_OCTETS + 7);
        self.library.encode(pcm, &mut out[..room]).map_err(from_library)
    }

    /// Sets the bits per second, 6,000 to 510,000.
    pub fn set_bitrate(&mut self, bitrate: u32) -> Result<(), OpusError> {
        if !(6_000..=510_000).contains(&bitrate) {
            return Err(OpusError::Parameter {
                name: "bitrate",
                value: bitrate,
                range: "6000 to 510000 bit/s",
            });
        }
        self.library
            .set_bitrate(Bitrate::BitsPerSecond(bitrate as i32))
            .map_err(from_library)
    }

    /// Sets libopus's effort, 0 to 10.
    pub fn set_complexity(&mut self, complexity: u8) -> Result<(), OpusError> {
        if complexity > 10 {
            return Err(OpusError::Parameter {
                name: "complexity",
                value: complexity.into(),
                range: "0 to 10",
            });
        }
        self.library.set_complexity(complexity).map_err(from_library)
    }

    /// Sets how many packets of a hundred the peer is expected to lose, 0 to 100: more of it buys more FEC.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), OpusError> {
        if percent > 100 {
            return Err(OpusError::Parameter {
                name: "expected loss",
                value: percent.into(),
                range: "0 to 100 percent",
            });
        }
        self.library.set_packet_loss_perc(percent).map_err(from_library)
    }
}

/// Two voices in one stream, left and right, as recordings have them.
#[derive(Debug)]
pub struct StereoEncoder {
    library: Library,
    rate: u32,
}

impl StereoEncoder {
    /// An encoder for PCM of this rate (8, 12, 16, 24 or 48 kHz) to so many bits per second, 6,000 to 510,000, with an effort of 0 to 10.
    pub fn new(rate_hz: u32, bitrate: u32, complexity: u8) -> Result<Self, OpusError> {
        let mut library =
            Library::new(sample_rate(rate_hz)?, Channels::Stereo, Application::Voip).map_err(from_library)?;
        library
            .set_bitrate(Bitrate::BitsPerSecond(bitrate.clamp(6_000, 510_000) as i32))
            .map_err(from_library)?;
        library.set_complexity(complexity.min(10)).map_err(from_library)?;
        Ok(Self { library, rate: rate_hz })
    }

    /// Samples by which what comes out of a decoder is behind what went in.
    pub fn lookahead(&self) -> Result<u32, OpusError> {
        self.library.lookahead().map_err(from_library)
    }

    /// Encodes 20 ms, left and right in turns, and says how many octets it became.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, OpusError> {
        if pcm.len() != 2 * half_ms(self.rate, 40) {
            return Err(OpusError::FrameLength {
                samples: pcm.len() / 2,
                rate: self.rate,
            });
        }
        let room = out.len().min(super::MAX_FRAME_OCTETS);
        self.library.encode(pcm, &mut out[..room]).map_err(from_library)
    }
}

//! Opus (RFC 6716) by the system's libopus: mono, the VoIP application, 8 to 48 kHz of PCM on our side.
//!
//! The RTP clock is 48 kHz whatever the rate here (RFC 7587 4.1): libopus itself takes and gives 8 and 16 kHz, so that a
//! call between Opus and G.711 or G.722 needs no resampler for it.

mod decoder;
mod encoder;
mod packet;

pub use decoder::Decoder;
pub use encoder::{DTX_OCTETS, Encoder, EncoderParams, StereoEncoder};
pub use packet::{Bandwidth, Mode, PacketInfo, packet_bandwidth, packet_info, packet_samples};

use audiopus::{ErrorCode, SampleRate};
use std::fmt;

/// The largest frame that one packet may hold, in milliseconds (RFC 6716 3.2.5, R5).
pub const MAX_PACKET_MS: u32 = 120;
/// The largest packet that one 20 ms mono frame can become, in octets (RFC 6716 3.2.1: a frame has at most 1275).
pub const MAX_FRAME_OCTETS: usize = 1275;

/// Why Opus could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusError {
    /// Opus does not know this sample rate (Hz).
    Rate(u32),
    /// So many samples are no Opus frame at this rate (Hz).
    FrameLength {
        /// What was given.
        samples: usize,
        /// Hz.
        rate: u32,
    },
    /// A parameter is out of its range.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: u32,
        /// What would be right.
        range: &'static str,
    },
    /// The peer's packet breaks RFC 6716 3.4.
    BadPacket,
    /// The output is too small for the packet's samples, or for one encoded octet.
    OutputTooSmall {
        /// Samples or octets that are needed.
        needed: usize,
        /// What was given.
        given: usize,
    },
    /// libopus has no memory for a new state.
    NoMemory,
    /// libopus failed in a way that its documentation rules out.
    Library,
}

impl fmt::Display for OpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpusError::Rate(rate) => {
                write!(
                    f,
                    "Opus has no sample rate of {rate} Hz; it has 8000, 12000, 16000, 24000 and 48000."
                )
            }
            OpusError::FrameLength { samples, rate } => write!(
                f,
                "{samples} samples at {rate} Hz are not an Opus frame; it has 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms, \
                 and what is concealed has a multiple of 2.5 ms up to 120 ms."
            ),
            OpusError::Parameter { name, value, range } => {
                write!(f, "The Opus parameter {name} can't be {value}; it must be {range}.")
            }
            OpusError::BadPacket => write!(f, "The Opus packet is malformed (RFC 6716 3.4)."),
            OpusError::OutputTooSmall { needed, given } => {
                write!(f, "The buffer for Opus has room for {given}, but {needed} are needed.")
            }
            OpusError::NoMemory => write!(f, "There is no memory for another Opus state."),
            OpusError::Library => write!(f, "libopus reported an internal error."),
        }
    }
}

impl std::error::Error for OpusError {}

/// The sample rate as libopus names it.
fn sample_rate(hz: u32) -> Result<SampleRate, OpusError> {
    match hz {
        8_000 => Ok(SampleRate::Hz8000),
        12_000 => Ok(SampleRate::Hz12000),
        16_000 => Ok(SampleRate::Hz16000),
        24_000 => Ok(SampleRate::Hz24000),
        48_000 => Ok(SampleRate::Hz48000),
        other => Err(OpusError::Rate(other)),
    }
}

/// libopus's own error as ours, for calls whose arguments were checked before.
fn from_library(error: audiopus::Error) -> OpusError {
    match error {
        audiopus::Error::Opus(ErrorCode::InvalidPacket) | audiopus::Error::EmptyPacket => OpusError::BadPacket,
        audiopus::Error::Opus(ErrorCode::AllocFail) => OpusError::NoMemory,
        audiopus::Error::Opus(
            ErrorCode::BadArgument
            | ErrorCode::BufferTooSmall
            | ErrorCode::InternalError
            | ErrorCode::Unimplemented
            | ErrorCode::InvalidState
            | ErrorCode::Unknown,
        )
        | audiopus::Error::InvalidApplication
        | audiopus::Error::InvalidBandwidth(_)
        | audiopus::Error::InvalidBitrate(_)
        | audiopus::Error::InvalidSignal(_)
        | audiopus::Error::InvalidComplexity(_)
        | audiopus::Error::InvalidSampleRate(_)
        | audiopus::Error::InvalidChannels(_)
        | audiopus::Error::SignalsTooLarge
        | audiopus::Error::PacketTooLarge
        | audiopus::Error::MappingExpectedLen(_) => OpusError::Library,
    }
}

/// Samples in so many half milliseconds at this rate; exact, because every rate of Opus is a multiple of 2 kHz.
const fn half_ms(rate: u32, count: u32) -> usize {
    (rate / 2_000 * count) as usize
}

//! PCM in, PCM out: the codecs and the arithmetic on samples. All foreign code of the project is called from here.
//!
//! | module | what it is |
//! |---|---|
//! | [`g711`] | mu-law and A-law (ITU-T G.711) |
//! | [`opus`] | Opus by the system's libopus (RFC 6716), and what a packet says of itself |
//! | [`resample`] | between 8, 16 and 48 kHz |
//! | [`plc`] | concealment of lost G.711 packets |
//! | [`level`] | rms, peak, silence |
//! | [`tone`] | sines and call progress tones |
//! | [`goertzel`], [`spectrum`] | how much of a frequency, and which tone dominates |
//! | [`speech`] | what behaves like speech, for tests and benches |
//!
//! A sample is 16-bit linear PCM, mono. Nothing here allocates once it is built, and nothing panics on what a peer sent.

pub mod g711;
pub mod goertzel;
pub mod level;
pub mod opus;
pub mod plc;
pub mod resample;
pub mod spectrum;
pub mod speech;
pub mod tone;

/// The codecs that a leg can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 mu-law, 8 kHz, static payload type 0 (RFC 3551 4.5.14).
    Pcmu,
    /// G.711 A-law, 8 kHz, static payload type 8 (RFC 3551 4.5.14).
    Pcma,
    /// Opus, RTP clock 48 kHz always (RFC 7587 4.1).
    Opus,
}

impl Codec {
    /// The encoding name of `a=rtpmap` (RFC 3551, RFC 7587 7).
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::Opus => "opus",
        }
    }

    /// The RTP clock rate in Hz.
    pub const fn clock(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::Opus => 48_000,
        }
    }
}

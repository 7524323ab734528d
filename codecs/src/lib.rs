//! PCM in, PCM out: the codecs and the arithmetic on samples. All foreign code of the project is called from here.

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

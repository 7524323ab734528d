//! PCM in, PCM out: the codecs and the arithmetic on samples. All foreign code of the project is called from here.
//!
//! | module | what it is |
//! |---|---|
//! | [`g711`] | mu-law and A-law (ITU-T G.711) |
//! | [`g722`] | wide band in sub-bands (ITU-T G.722) |
//! | [`opus`] | Opus by the system's libopus (RFC 6716), and what a packet says of itself |
//! | [`resample`] | between 8, 16 and 48 kHz |
//! | [`double`], [`triple`] | between 8 and 16 kHz and between 16 and 48, for a room |
//! | [`convert`] | whole sounds of any rate, and how loud they are |
//! | [`plc`] | concealment of lost G.711 and G.722 packets |
//! | [`level`] | rms and peak |
//! | [`gain`] | louder and softer, without clipping |
//! | [`mix`] | the sum of all who speak, and what each hears of it |
//! | [`activity`], [`agc`] | who speaks, at one loudness |
//! | [`stretch`] | a little shorter, for a clock that is faster than ours |
//! | [`noise`] | comfort noise (RFC 3389) |
//! | [`tone`] | sines and call progress tones |
//! | [`dtmf`], [`modem`] | keys, and the tones of fax machines and modems, in what is heard |
//! | [`goertzel`], [`spectrum`] | how much of a frequency, and which tone dominates |
//! | [`speech`] | what behaves like speech, for tests and benches |
//!
//! A sample is 16-bit linear PCM, mono. Nothing here allocates once it is built, and nothing panics on what a peer sent.

pub mod activity;
pub mod agc;
pub mod convert;
pub mod double;
pub mod dtmf;
pub mod g711;
pub mod g722;
pub mod gain;
pub mod goertzel;
pub mod level;
pub mod mix;
pub mod modem;
pub mod noise;
pub mod opus;
pub mod plc;
pub mod resample;
pub mod spectrum;
pub mod speech;
pub mod stretch;
pub mod tone;
pub mod triple;

/// The codecs that a leg can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 mu-law, 8 kHz, static payload type 0 (RFC 3551 4.5.14).
    Pcmu,
    /// G.711 A-law, 8 kHz, static payload type 8 (RFC 3551 4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9. Its RTP clock is 8 kHz by an old error, its sound has 16 kHz (RFC 3551 4.5.2).
    G722,
    /// Opus, RTP clock 48 kHz always (RFC 7587 4.1).
    Opus,
}

/// The rates at which sound is worked on between two codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// 8 kHz: telephone band.
    Narrow,
    /// 16 kHz: wide band.
    Wide,
    /// 48 kHz: all that one hears.
    Full,
}

impl Rate {
    /// Samples per second.
    pub const fn hz(self) -> u32 {
        match self {
            Rate::Narrow => 8_000,
            Rate::Wide => 16_000,
            Rate::Full => 48_000,
        }
    }
}

impl Codec {
    /// The encoding name of `a=rtpmap` (RFC 3551, RFC 7587 7).
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// The RTP clock rate in Hz.
    pub const fn clock(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            Codec::Opus => 48_000,
        }
    }

    /// The widest of our rates at which it has something to say.
    pub const fn rate(self) -> Rate {
        match self {
            Codec::Pcmu | Codec::Pcma => Rate::Narrow,
            Codec::G722 => Rate::Wide,
            Codec::Opus => Rate::Full,
        }
    }
}

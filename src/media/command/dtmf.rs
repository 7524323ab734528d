//! How digits go to a peer and come from it.

/// By which of the three ways a peer takes DTMF digits, and sends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtmf {
    /// As telephone events (RFC 4733) where these are agreed, else as tones.
    #[default]
    Auto,
    /// As telephone events; where these are not agreed, not at all.
    Rfc4733,
    /// As SIP INFO: nothing of them is in the media.
    Info,
    /// As tones in the audio.
    Inband,
}

impl Dtmf {
    /// Telephone events may be agreed.
    pub const fn has_events(self) -> bool {
        matches!(self, Dtmf::Auto | Dtmf::Rfc4733)
    }

    /// Where they are not, digits are tones.
    pub const fn has_tones(self) -> bool {
        matches!(self, Dtmf::Auto | Dtmf::Inband)
    }
}

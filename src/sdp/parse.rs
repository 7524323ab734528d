//! Reading a session description.

/// Why a description, an offer or an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It is not SDP: 400.
    Malformed(&'static str),
    /// Nothing in it that both sides can do: 488.
    NotAcceptable(&'static str),
}

impl SdpError {
    /// The SIP status that the sender is owed.
    pub const fn status(&self) -> u16 {
        match self {
            SdpError::Malformed(_) => 400,
            SdpError::NotAcceptable(_) => 488,
        }
    }

    /// In words.
    pub const fn reason(&self) -> &'static str {
        match self {
            SdpError::Malformed(why) | SdpError::NotAcceptable(why) => why,
        }
    }
}

/// A session description: all of it is kept, in order, so that an answer can mirror it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {}

impl Session {
    /// Reads a body; LF or CRLF, unknown lines kept.
    pub fn parse(body: &[u8]) -> Result<Session, SdpError> {
        let _ = body;
        todo!()
    }
}

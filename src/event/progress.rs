//! How it goes with what a room was asked for by REFER (RFC 3515 2.4.5), as `message/sipfrag`.

use crate::room::progress::status;
use crate::room::view::{MemberId, RoomView};
use crate::sip::write::reason;

/// The media type.
pub const CONTENT: &str = "message/sipfrag";
/// As it stands in Content-Type.
pub const CONTENT_TYPE: &str = "message/sipfrag;version=2.0";

/// What was asked for, and how much of it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Who is being called; none where it is done already.
    called: Option<MemberId>,
    /// The last status that NOTIFY told; 0 before the first.
    told: u16,
}

impl Progress {
    /// The room calls somebody, or all is done (none).
    pub const fn new(called: Option<MemberId>) -> Progress {
        Progress { called, told: 0 }
    }

    /// What is to be told, if that is new; true if it is the last.
    pub fn document(&mut self, view: Option<&RoomView>, full: bool) -> Option<(String, bool)> {
        let (status, is_last) = self.called.map_or((200, true), |called| status(view, called));
        if status == self.told && !full {
            return None;
        }
        self.told = status;
        Some((fragment(status), is_last))
    }

    /// What is told with the end of a subscription that saw no last status: RFC 3515 2.4.5 wants a status in each NOTIFY.
    pub fn last_told(&self) -> String {
        fragment(self.told.max(100))
    }
}

fn fragment(status: u16) -> String {
    format!("SIP/2.0 {status} {}\r\n", reason(status))
}

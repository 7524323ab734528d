//! How far somebody is whom a room calls, as who asked for it is told (RFC 3515 2.4.5).

use super::view::{MemberId, RoomView, Status};

/// The status that stands for it; true if it is the last. Who was called and is not there any more did not come.
pub fn status(view: Option<&RoomView>, called: MemberId) -> (u16, bool) {
    let member = view.and_then(|view| view.members.iter().find(|member| member.id == called));
    match member.map(|member| member.status) {
        Some(Status::DialingOut) => (100, false),
        Some(Status::Alerting | Status::Waiting) => (180, false),
        Some(Status::Connected | Status::OnHold) => (200, true),
        None => (480, true),
    }
}

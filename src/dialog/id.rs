//! What tells one dialog from another (RFC 3261 12), seen from our side.

use crate::sip::Message;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The three texts that name a dialog. Cheap to clone: they are shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialogId {
    /// Call-ID, our tag and the peer's, one behind the other.
    text: Arc<str>,
    /// Where each tag begins.
    tags: [u32; 2],
}

impl DialogId {
    /// By its parts. The peer's tag is empty for a peer of RFC 2543, which may have none (RFC 3261 12.1.1, 12.1.2).
    pub fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> DialogId {
        // Each is a part of a message, which `SIP_MESSAGE_BYTES` bounds.
        let end = |length: usize| u32::try_from(length).expect("parts of one message");
        let text = [call_id, local_tag, remote_tag].concat();
        DialogId {
            text: text.into(),
            tags: [end(call_id.len()), end(call_id.len() + local_tag.len())],
        }
    }

    /// The dialog that a request which came belongs to, as [`Naming::of_request`].
    pub fn of_request(request: &Message) -> Option<DialogId> {
        Naming::of_request(request).map(|naming| naming.id())
    }

    /// The dialog that a response to our request belongs to, as [`Naming::of_response`].
    pub fn of_response(response: &Message) -> Option<DialogId> {
        Naming::of_response(response).map(|naming| naming.id())
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        &self.text[..self.tags[0] as usize]
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.text[self.tags[0] as usize..self.tags[1] as usize]
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> &str {
        &self.text[self.tags[1] as usize..]
    }
}

impl fmt::Debug for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DialogId")
            .field(&self.call_id())
            .field(&self.local_tag())
            .field(&self.remote_tag())
            .finish()
    }
}

/// A dialog as a message names it: what is only looked up is not copied.
#[derive(Clone, Debug)]
pub struct Naming<'m> {
    call_id: &'m str,
    local_tag: Cow<'m, str>,
    remote_tag: Cow<'m, str>,
}

impl<'m> Naming<'m> {
    /// The dialog that a request which came belongs to: our tag is in To. `None` when To has no tag: a request outside of
    /// dialogs.
    pub fn of_request(request: &'m Message) -> Option<Naming<'m>> {
        Some(Naming {
            call_id: request.call_id(),
            local_tag: request.to_tag()?,
            remote_tag: request.from_tag().unwrap_or_default(),
        })
    }

    /// The dialog that a response to our request belongs to: our tag is in From. `None` for a 100, which makes no dialog.
    pub fn of_response(response: &'m Message) -> Option<Naming<'m>> {
        if response.status() == 100 {
            return None;
        }
        Some(Naming {
            call_id: response.call_id(),
            local_tag: response.from_tag()?,
            remote_tag: response.to_tag().unwrap_or_default(),
        })
    }

    /// A name to be kept.
    pub fn id(&self) -> DialogId {
        DialogId::new(self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// It names this dialog.
    pub fn is(&self, id: &DialogId) -> bool {
        *self.local_tag == *id.local_tag() && *self.remote_tag == *id.remote_tag() && self.call_id == id.call_id()
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The peer has given a tag.
    pub fn has_remote_tag(&self) -> bool {
        !self.remote_tag.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        let id = DialogId::new("a@b", "l", "");
        assert_eq!((id.call_id(), id.local_tag(), id.remote_tag()), ("a@b", "l", ""));
        assert_ne!(DialogId::new("a", "bc", "d"), DialogId::new("ab", "c", "d"));
        assert_eq!(format!("{id:?}"), "DialogId(\"a@b\", \"l\", \"\")");
    }
}

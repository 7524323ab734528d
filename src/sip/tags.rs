//! The tags of From and To, which every step of every dialog asks for.

use super::{Message, Name, NameAddr, ParseError};
use std::borrow::Cow;

impl Message {
    /// The tag of From.
    pub fn from_tag(&self) -> Option<Cow<'_, str>> {
        self.tag_in(Name::From, Message::from)
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<Cow<'_, str>> {
        self.tag_in(Name::To, Message::to)
    }

    fn tag_in(&self, name: Name, parsed: impl Fn(&Message) -> Result<NameAddr, ParseError>) -> Option<Cow<'_, str>> {
        if let Some(Cow::Borrowed(value)) = self.get(name)
            && let Some(tag) = plain_tag(value)
        {
            return tag.map(Cow::Borrowed);
        }
        Some(parsed(self).ok()?.tag()?.to_owned().into())
    }
}

/// The tag of a value without anything quoted or escaped, `None` inside where it has none; `None` for one that must be read in full.
fn plain_tag(value: &str) -> Option<Option<&str>> {
    if value.contains(['"', '\\', '%', ' ', '\t']) {
        return None;
    }
    let params = match value.split_once('>') {
        Some((_, params)) => params,
        None => value.split_once(';').map_or("", |(_, params)| params),
    };
    let mut params = params.split(';');
    Some(params.find_map(|param| {
        let (name, tag) = param.split_once('=')?;
        name.eq_ignore_ascii_case("tag").then_some(tag)
    }))
}

//! What every step asks of every message: tags, branch, CSeq. Read once, when it is first asked for, and kept as places in the octets.

use super::field::text;
use super::grammar::split_list;
use super::header::Name;
use super::lex::{Message, Span};
use super::scan::{self, AddrText, ViaText};
use std::borrow::Cow;

/// The tag of From or To.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tag {
    /// The field is malformed, or not a piece of the octets as they came: folded, escaped, not UTF-8. Whoever asks reads it himself.
    #[default]
    Odd,
    /// The field is well-formed and has none.
    None,
    /// Here.
    At(Span),
}

/// The facts of one message. What is not there is odd in one of the ways of [`Tag::Odd`], or missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) from: Tag,
    pub(super) to: Tag,
    /// The topmost Via is well-formed; its branch.
    pub(super) via: Option<Option<Span>>,
    /// Number and method.
    pub(super) cseq: Option<(u32, Span)>,
}

/// The tag of From and that of To.
pub type Tags<'m> = (Option<Cow<'m, str>>, Option<Cow<'m, str>>);

impl Message {
    pub(super) fn facts(&self) -> Facts {
        *self.facts.get_or_init(|| Facts {
            from: self.read_tag(Name::From),
            to: self.read_tag(Name::To),
            via: self.read_via(),
            cseq: self.read_cseq(),
        })
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<Cow<'_, str>> {
        self.tag(self.facts().from, Name::From)
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<Cow<'_, str>> {
        self.tag(self.facts().to, Name::To)
    }

    /// The tags of From and To; none where one of the fields cannot be read.
    pub fn tags(&self) -> Option<Tags<'_>> {
        let facts = self.facts();
        if facts.from == Tag::Odd {
            self.from().ok()?;
        }
        if facts.to == Tag::Odd {
            self.to().ok()?;
        }
        Some((self.from_tag(), self.to_tag()))
    }

    /// The branch of the topmost Via.
    pub fn top_branch(&self) -> Option<Cow<'_, str>> {
        match self.facts().via {
            Some(branch) => branch.and_then(|branch| text(self.slice(branch))).map(Cow::Borrowed),
            None => self.top_via().ok()?.branch().map(|branch| branch.to_owned().into()),
        }
    }

    fn tag(&self, tag: Tag, name: Name) -> Option<Cow<'_, str>> {
        match tag {
            Tag::At(span) => text(self.slice(span)).map(Cow::Borrowed),
            Tag::None => None,
            Tag::Odd => {
                let line = self.lossy(self.lines_of(name).next()?);
                let address = super::NameAddr::parse(&line).ok()?;
                address.tag().map(|tag| tag.to_owned().into())
            }
        }
    }

    fn read_tag(&self, name: Name) -> Tag {
        let Some(address) = self.plain(name).and_then(|line| AddrText::parse(line).ok()) else {
            return Tag::Odd;
        };
        match (address.uri(), address.tag()) {
            (Ok(_), None) => Tag::None,
            (Ok(_), Some(Cow::Borrowed(tag))) => Tag::At(self.span_of(tag)),
            (Ok(_), Some(Cow::Owned(_))) | (Err(_), _) => Tag::Odd,
        }
    }

    fn read_via(&self) -> Option<Option<Span>> {
        let top = split_list(self.plain(Name::Via)?).next()?;
        match ViaText::parse(top).ok()?.branch() {
            None => Some(None),
            Some(Cow::Borrowed(branch)) => Some(Some(self.span_of(branch))),
            Some(Cow::Owned(_)) => None,
        }
    }

    fn read_cseq(&self) -> Option<(u32, Span)> {
        let (number, method) = scan::cseq(self.plain(Name::CSeq)?).ok()?;
        Some((number, self.span_of(method)))
    }

    /// The first line of a field, where it can be read as it came.
    fn plain(&self, name: Name) -> Option<&str> {
        let line = self.lines_of(name).next().filter(|line| !line.is_folded)?;
        text(self.slice(line.value))
    }
}

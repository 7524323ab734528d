//! What every step asks of every message: tags, branch, CSeq. Read once, when it is first asked for, and kept as places in the octets.

use super::field::text;
use super::header::Name;
use super::lex::{Message, Span};
use super::scan::{AddrText, ViaText};
use super::{Host, HostText, ParseError, plain};
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

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
    /// The topmost Via; none where it is odd.
    pub(super) via: Option<ViaFacts>,
    /// Number and method.
    pub(super) cseq: Option<(u32, Span)>,
}

/// The tag of From and that of To.
pub type Tags<'m> = (Option<Cow<'m, str>>, Option<Cow<'m, str>>);

/// The topmost Via.
#[derive(Clone, Copy, Debug)]
pub(super) struct ViaFacts {
    host: Span,
    port: Option<u16>,
    branch: Option<Span>,
    asks_port: bool,
    is_forged: bool,
    has_maddr: bool,
}

/// What is acted on of the topmost Via, its branch aside (RFC 3261 18.2, RFC 3581).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopVia {
    /// sent-by host.
    pub host: Host,
    /// sent-by port.
    pub port: Option<u16>,
    /// `rport` is there.
    pub asks_port: bool,
    /// `rport` has a value, or `received` is there: written by one who cannot know it.
    pub is_forged: bool,
    /// `maddr`, where it is an address.
    pub maddr: Option<IpAddr>,
}

impl TopVia {
    /// From the value as text.
    pub fn read(value: &str) -> Result<TopVia, ParseError> {
        let via = ViaText::parse(value)?;
        let rport = via.params.get("rport");
        let maddr = via.params.value("maddr");
        Ok(TopVia {
            host: via.host.into(),
            port: via.port,
            asks_port: rport.is_some(),
            is_forged: rport.flatten().is_some() || via.params.has("received"),
            maddr: maddr.and_then(|maddr| address(&maddr)),
        })
    }
}

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

    /// The octets of the tag of From or To, for a hash; none where it has none.
    pub fn tag_octets(&self, name: Name) -> Cow<'_, [u8]> {
        let facts = self.facts();
        let tag = if name == Name::From { facts.from } else { facts.to };
        match tag {
            Tag::At(span) => Cow::Borrowed(self.slice(span)),
            Tag::None => Cow::Borrowed(&[]),
            Tag::Odd => Cow::Owned(self.tag(tag, name).unwrap_or_default().into_owned().into_bytes()),
        }
    }

    /// True for a request within a dialog: To has a tag.
    pub fn has_to_tag(&self) -> bool {
        match self.facts().to {
            Tag::At(_) => true,
            Tag::None => false,
            Tag::Odd => self.to_tag().is_some(),
        }
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
            Some(via) => via
                .branch
                .and_then(|branch| text(self.slice(branch)))
                .map(Cow::Borrowed),
            None => {
                let line = self.top_via_line().ok()?;
                let branch = ViaText::parse(&line).ok()?.branch()?;
                Some(Cow::Owned(branch.into_owned()))
            }
        }
    }

    /// The topmost Via.
    pub fn top(&self) -> Result<TopVia, ParseError> {
        if let Some(via) = self.facts().via.filter(|via| !via.has_maddr) {
            return Ok(TopVia {
                host: HostText::of_scan(text(self.slice(via.host)).unwrap_or_default())?.into(),
                port: via.port,
                asks_port: via.asks_port,
                is_forged: via.is_forged,
                maddr: None,
            });
        }
        TopVia::read(&self.top_via_line()?)
    }

    /// The branches of all Vias that can be read.
    pub fn branches(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.values(Name::Via).filter_map(|value| match value {
            Cow::Borrowed(value) => match plain::via(value.as_bytes()) {
                Some(top) => top.branch.map(|branch| Cow::Borrowed(&value[branch])),
                None => ViaText::parse(value).ok()?.branch(),
            },
            Cow::Owned(value) => {
                let branch = ViaText::parse(&value).ok()?.branch()?;
                Some(Cow::Owned(branch.into_owned()))
            }
        })
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
        let Some((octets, from)) = self.plain(name) else {
            return Tag::Odd;
        };
        match plain::addr(octets) {
            Some(Some(tag)) => Tag::At(Span::new(from + tag.start, from + tag.end)),
            Some(None) => Tag::None,
            None => self.scan_tag(octets),
        }
    }

    /// What is well-formed without being usual.
    fn scan_tag(&self, octets: &[u8]) -> Tag {
        let Some(address) = text(octets).and_then(|line| AddrText::parse(line).ok()) else {
            return Tag::Odd;
        };
        match (address.uri(), address.tag()) {
            (Ok(_), None) => Tag::None,
            (Ok(_), Some(Cow::Borrowed(tag))) => Tag::At(self.span_of(tag)),
            (Ok(_), Some(Cow::Owned(_))) | (Err(_), _) => Tag::Odd,
        }
    }

    fn read_via(&self) -> Option<ViaFacts> {
        let (octets, from) = self.plain(Name::Via)?;
        let top = plain::via(octets)?;
        let span = |range: Range<usize>| Span::new(from + range.start, from + range.end);
        Some(ViaFacts {
            host: span(top.host),
            port: top.port,
            branch: top.branch.map(span),
            asks_port: top.asks_port,
            is_forged: top.is_forged,
            has_maddr: top.has_maddr,
        })
    }

    fn read_cseq(&self) -> Option<(u32, Span)> {
        let (octets, from) = self.plain(Name::CSeq)?;
        let (number, method) = plain::cseq(octets)?;
        Some((number, Span::new(from + method.start, from + method.end)))
    }

    /// The first line of a field, where it is not folded, and where it stands.
    fn plain(&self, name: Name) -> Option<(&[u8], usize)> {
        let line = self.lines_of(name).next().filter(|line| !line.is_folded)?;
        Some((self.slice(line.value), line.value.range().start))
    }
}

/// An address as a parameter holds it: IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

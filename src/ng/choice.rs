//! Which codecs an offer goes on with, and which one its answer comes back with: the lists of `codec` in a command.
//!
//! | list | in what the offer goes on with | towards who offered |
//! |---|---|---|
//! | `strip` | left out | could be spoken all the same |
//! | `mask`, `consume` | left out | could be spoken |
//! | `ignore` | stays | never spoken |
//! | `except`, `offer` | stay where `all` are left out; those of `offer` come first | |
//! | `transcode` | added at the end, if not there | |
//! | `accept`, `set` | change nothing | |
//!
//! Whatever differs between the two sides, the worker transcodes.

use crate::sdp::{Codecs, ordered};
use codecs::Codec;

/// Those that can be named.
const CODECS: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
/// How telephone events are named.
const EVENTS: &str = "telephone-event";

/// The lists, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// `strip`, `mask` and `consume`.
    pub left_out: Vec<Box<str>>,
    /// `except`.
    pub except: Vec<Box<str>>,
    /// `offer`.
    pub first: Vec<Box<str>>,
    /// `transcode`.
    pub added: Vec<Box<str>>,
    /// `ignore`.
    pub ignored: Vec<Box<str>>,
}

/// The codec of a name, behind which `/48000/2` and more may stand.
pub fn codec(name: &str) -> Option<Codec> {
    CODECS.into_iter().find(|codec| is(name, codec.name()))
}

fn is(written: &str, name: &str) -> bool {
    let written = written.split('/').next().unwrap_or_default();
    written.eq_ignore_ascii_case(name)
}

fn names(list: &[Box<str>], name: &str) -> bool {
    list.iter().any(|written| is(written, name))
}

impl Choice {
    /// What goes on of an offer with these codecs, to a side that speaks `spoken` already: that stays possible, and comes first, so
    /// that a new offer changes no codec that needs no change.
    pub fn onward(&self, offered: &[Codec], spoken: Option<Codec>) -> Codecs {
        let all = names(&self.left_out, "all") || names(&self.left_out, "full");
        let is_kept = |codec: &Codec| {
            let name = codec.name();
            let restored = [&self.except, &self.first, &self.added]
                .into_iter()
                .any(|list| names(list, name));
            !names(&self.left_out, name) && (!all || restored)
        };
        let kept: Vec<Codec> = offered.iter().copied().filter(is_kept).collect();
        let first: Vec<Codec> = self.first.iter().filter_map(|name| codec(name)).collect();
        let mut list = ordered(&kept, &first);
        let goes_on = spoken.filter(|codec| !names(&self.left_out, codec.name()));
        for codec in self.added.iter().filter_map(|name| codec(name)).chain(goes_on) {
            if !list.contains(&codec) {
                list.push(codec);
            }
        }
        // To leave out all of them is an error, and then none is.
        if list.is_empty() {
            list = offered.into();
        }
        match goes_on {
            Some(codec) => ordered(&list, &[codec]),
            None => list,
        }
    }

    /// Whether telephone events go on.
    pub fn has_events(&self) -> bool {
        !names(&self.left_out, EVENTS)
    }

    /// What may be answered to an offer with these codecs, once the other side speaks `answered`: that, so that it is relayed; else in
    /// the order of the offer.
    pub fn back(&self, offered: &[Codec], answered: Codec) -> Codecs {
        let allowed: Vec<Codec> = offered
            .iter()
            .copied()
            .filter(|codec| !names(&self.ignored, codec.name()))
            .collect();
        ordered(&allowed, &[answered])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Codec::{Opus, Pcma, Pcmu};

    fn choice(lists: &str) -> Choice {
        let mut choice = Choice::default();
        for word in lists.split_ascii_whitespace() {
            let (list, name) = word.split_once('=').unwrap();
            let list = match list {
                "strip" => &mut choice.left_out,
                "except" => &mut choice.except,
                "offer" => &mut choice.first,
                "transcode" => &mut choice.added,
                _ => &mut choice.ignored,
            };
            list.push(name.into());
        }
        choice
    }

    #[test]
    fn what_goes_on_is_what_the_lists_say() {
        for (lists, offered, spoken, expected) in [
            ("", &[Pcma, Pcmu][..], None, &[Pcma, Pcmu][..]),
            ("transcode=opus", &[Pcmu], None, &[Pcmu, Opus]),
            ("transcode=OPUS/48000/2/24000", &[Pcmu], None, &[Pcmu, Opus]),
            ("transcode=PCMU", &[Pcmu, Opus], None, &[Pcmu, Opus]),
            ("strip=PCMU", &[Pcmu, Opus], None, &[Opus]),
            ("strip=pcmu transcode=PCMU", &[Pcmu, Opus], None, &[Opus, Pcmu]),
            ("strip=all transcode=opus", &[Pcmu, Pcma], None, &[Opus]),
            ("strip=all transcode=PCMA", &[Pcmu, Pcma], None, &[Pcma]),
            ("strip=full except=PCMA", &[Pcmu, Pcma], None, &[Pcma]),
            ("offer=PCMA", &[Pcmu, Pcma], None, &[Pcma, Pcmu]),
            ("strip=all offer=PCMA offer=opus", &[Pcmu, Pcma], None, &[Pcma]),
            ("strip=all", &[Pcmu, Pcma], None, &[Pcmu, Pcma]),
            ("strip=PCMU strip=PCMA", &[Pcmu, Pcma], None, &[Pcmu, Pcma]),
            ("transcode=G729", &[Pcmu], None, &[Pcmu]),
            ("", &[Opus, Pcmu], Some(Pcmu), &[Pcmu, Opus]),
            ("", &[Opus], Some(Pcma), &[Pcma, Opus]),
            ("strip=PCMA", &[Opus], Some(Pcma), &[Opus]),
        ] {
            assert_eq!(
                choice(lists).onward(offered, spoken)[..],
                *expected,
                "{lists} {offered:?} {spoken:?}"
            );
        }
    }

    #[test]
    fn what_comes_back_is_relayed_where_it_can_be() {
        for (lists, offered, answered, expected) in [
            ("", &[Pcma, Pcmu][..], Pcmu, &[Pcmu, Pcma][..]),
            ("", &[Pcma, Pcmu], Opus, &[Pcma, Pcmu]),
            ("strip=PCMA", &[Pcma], Opus, &[Pcma]),
            ("ignore=PCMU", &[Pcma, Pcmu], Pcmu, &[Pcma]),
        ] {
            assert_eq!(
                choice(lists).back(offered, answered)[..],
                *expected,
                "{lists} {offered:?}"
            );
        }
        assert!(!choice("strip=telephone-event").has_events() && choice("strip=all").has_events());
    }
}

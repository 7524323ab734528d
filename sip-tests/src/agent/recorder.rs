//! A recording server (RFC 7866 6.2, 7.2): it takes several streams, each at a port of its own, and reads who speaks on them.

use super::{Agent, Call};
use crate::description::{Description, answer};
use crate::message::Msg;
use crate::tone::Voice;
use std::collections::BTreeMap;

/// What a document of metadata says (RFC 7865): found by looking for tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Who takes part now, by address: the label of the stream on which he is heard, where he is, and of the one that he hears.
    pub streams: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Who has left.
    pub left: Vec<String>,
}

impl Metadata {
    /// Reads it.
    pub fn read(xml: &str) -> Metadata {
        let label = |stream: &str| {
            let own = elements(xml, "stream").find(|text| text.contains(&format!("stream_id=\"{stream}\"")))?;
            Some(between(own, "<label>", "</label>")?.to_owned())
        };
        let mut read = Metadata::default();
        for participant in elements(xml, "participant") {
            let id = between(participant, "participant_id=\"", "\"").unwrap_or_default();
            let aor = between(participant, "aor=\"", "\"").unwrap_or_default().to_owned();
            let is_own = |text: &&str| text.contains(&format!("participant_id=\"{id}\""));
            let is_gone = |text: &str| text.contains("<disassociate-time>");
            if elements(xml, "participantsessionassoc")
                .find(is_own)
                .is_some_and(is_gone)
            {
                read.left.push(aor);
                continue;
            }
            let streams = elements(xml, "participantstreamassoc").find(is_own).unwrap_or_default();
            let named = |open, close| label(between(streams, open, close)?);
            read.streams
                .insert(aor, (named("<send>", "</send>"), named("<recv>", "</recv>")));
        }
        read
    }
}

/// The elements of this name, each from its start tag to its end tag.
fn elements<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name} "), format!("</{name}>"));
    let starts: Vec<usize> = xml.match_indices(&open).map(|(at, _)| at).collect();
    starts.into_iter().filter_map(move |at| {
        let rest = &xml[at..];
        Some(&rest[..rest.find(&close)?])
    })
}

fn between<'x>(text: &'x str, before: &str, after: &str) -> Option<&'x str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// The parts of a body of several, by their types.
fn parts(msg: &Msg) -> Vec<(String, String)> {
    let Some(boundary) = between(&format!("{};", msg.text("Content-Type")), "boundary=", ";").map(str::to_owned) else {
        return Vec::new();
    };
    let delimiter = format!("--{boundary}");
    let part = |piece: &str| {
        let (head, body) = piece.trim_start().split_once("\r\n\r\n")?;
        let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: "))?;
        // The line break before a delimiter belongs to it.
        Some((kind.to_owned(), body.strip_suffix("\r\n")?.to_owned()))
    };
    msg.body.split(&delimiter).filter_map(part).collect()
}

/// What a message says of who takes part, if it does.
pub fn metadata(msg: &Msg) -> Option<Metadata> {
    let all = parts(msg);
    let (_, xml) = all.iter().find(|(kind, _)| kind == "application/rs-metadata+xml")?;
    Some(Metadata::read(xml))
}

/// The streams of an offer, each as a description of its own.
fn streams(msg: &Msg) -> Vec<Description> {
    let all = parts(msg);
    let Some((_, sdp)) = all.iter().find(|(kind, _)| kind == "application/sdp") else {
        return Vec::new();
    };
    let mut sections = sdp.split("m=audio");
    let session = sections.next().unwrap_or_default();
    sections
        .filter_map(|section| Description::read(&format!("{session}m=audio{section}")))
        .collect()
}

impl Agent {
    /// The answer of a recording server to an offer; none where it is no offer of several streams.
    pub(super) fn record(&mut self, call: usize, request: &Msg) -> Option<String> {
        let offers = streams(request);
        if offers.len() < 2 {
            return None;
        }
        if request.is("INVITE")
            && !(request.has_token("Require", "siprec") && request.text("Contact").contains(";+sip.src"))
        {
            self.complain("an INVITE that is no recording session (RFC 7866 6.2)".to_owned());
        }
        if metadata(request).is_none() {
            self.complain("a recording session without metadata".to_owned());
        }
        let mut text = String::new();
        for (at, offer) in offers.iter().enumerate() {
            let port = 30_000 + (call % 5_000) as u16 * 4 + 2 * at as u16;
            let mut own = answer(offer, &self.policy.formats, (self.addr.ip(), port).into())?;
            own.lines = offer
                .lines
                .iter()
                .filter(|line| line.starts_with("a=label:"))
                .cloned()
                .collect();
            let written = own.write();
            text.push_str(match at {
                0 => &written,
                _ => &written[written.find("m=audio").unwrap_or_default()..],
            });
            self.calls[call].take_stream(at, port, offer, &own);
        }
        Some(text)
    }
}

impl Call {
    /// Its media, of whichever kind.
    pub(super) fn voices(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.voice.iter_mut().chain(&mut self.recorded)
    }

    fn take_stream(&mut self, at: usize, port: u16, offer: &Description, own: &Description) {
        match self.recorded.get_mut(at) {
            Some(voice) => {
                voice.negotiated(offer, own);
            }
            None => self.recorded.extend(Voice::new(port, offer, own, 0.0, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_says_who_is_on_which_label() {
        let xml = "<recording><participant participant_id=\"a\"><nameID aor=\"sip:al@h\"></nameID></participant>\
                   <participant participant_id=\"b\"><nameID aor=\"sip:bo@h\"/></participant>\
                   <participant participant_id=\"c\"><nameID aor=\"sip:ca@h\"/></participant>\
                   <stream stream_id=\"s\" session_id=\"x\"><label>1</label></stream>\
                   <stream stream_id=\"t\" session_id=\"x\"><label>2</label></stream>\
                   <participantsessionassoc participant_id=\"c\"><disassociate-time>z</disassociate-time></participantsessionassoc>\
                   <participantstreamassoc participant_id=\"a\"><send>s</send><recv>t</recv></participantstreamassoc>\
                   <participantstreamassoc participant_id=\"b\"><send>t</send></participantstreamassoc></recording>";
        let read = Metadata::read(xml);
        let label = |text: &str| Some(text.to_owned());
        assert_eq!(read.streams["sip:al@h"], (label("1"), label("2")));
        assert_eq!(read.streams["sip:bo@h"], (label("2"), None));
        assert_eq!((read.streams.len(), read.left), (2, vec!["sip:ca@h".to_owned()]));
    }
}

//! `application/rs-metadata+xml` (RFC 7865): who takes part in what is recorded, and on which stream each is heard.
//!
//! Each document is complete: a server that has lost one knows all again by the next. Who has left is in it with the time of that.

use super::order::{Speaker, Subject};
use crate::cx::{Cx, RngCore};
use crate::id::{CallId, LegNo};
use crate::limits;
use crate::media::command::Side;
use crate::sip::xml::{AnyUri, DateTime, Escaped, cut};
use crate::time::Wall;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::{self, Write};

/// The media type.
pub const CONTENT: &str = "application/rs-metadata+xml";
/// The streams' `a=label` (RFC 4574), by `Side::index`.
pub const LABELS: [&str; 2] = ["1", "2"];

/// A name within a document: a UUID of chance, in base64 (RFC 7865 6.10).
type Id = String;

fn new_id(cx: &mut Cx<'_>) -> Id {
    let mut octets = [0; 16];
    cx.rng.fill_bytes(&mut octets);
    // Version 4 and the variant of RFC 4122 4.1.
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    STANDARD.encode(octets)
}

/// Who took part for a while.
#[derive(Clone, Debug)]
struct Participant {
    id: Id,
    who: (CallId, LegNo),
    aor: String,
    name: Option<String>,
    side: Side,
    since: Wall,
    until: Option<Wall>,
}

/// Whom a server was told of, by the names that it knows them by.
#[derive(Clone, Debug)]
pub struct Cast {
    session: Id,
    streams: [Id; 2],
    began: Wall,
    participants: Vec<Participant>,
}

impl Cast {
    /// Nobody yet.
    pub fn new(cx: &mut Cx<'_>) -> Cast {
        Cast {
            session: new_id(cx),
            streams: [new_id(cx), new_id(cx)],
            began: cx.wall,
            participants: Vec::with_capacity(2),
        }
    }

    /// These speak from now on. Who comes back is somebody new.
    pub fn follow(&mut self, cx: &mut Cx<'_>, speakers: &[Option<Speaker>; 2]) {
        for side in [Side::Caller, Side::Callee] {
            let speaker = speakers[side.index()].as_ref();
            let mut here = self
                .participants
                .iter_mut()
                .filter(|one| one.side == side && one.until.is_none());
            match (here.next(), speaker) {
                (Some(one), Some(speaker)) if one.who == speaker.who => {
                    (one.aor, one.name) = (kept(&speaker.aor), speaker.name.as_deref().map(kept));
                    continue;
                }
                (Some(gone), _) => gone.until = Some(cx.wall),
                (None, _) => {}
            }
            if let Some(speaker) = speaker {
                self.enter(cx, side, speaker);
            }
        }
    }

    fn enter(&mut self, cx: &mut Cx<'_>, side: Side, speaker: &Speaker) {
        if self.participants.len() >= limits::RECORDED_PARTICIPANTS
            && let Some(oldest) = self.participants.iter().position(|one| one.until.is_some())
        {
            self.participants.remove(oldest);
        }
        self.participants.push(Participant {
            id: new_id(cx),
            who: speaker.who,
            aor: kept(&speaker.aor),
            name: speaker.name.as_deref().map(kept),
            side,
            since: cx.wall,
            until: None,
        });
    }

    /// All that a server is to know. The elements stand in the order of the schema (RFC 7865 9).
    pub fn document(&self, subject: &Subject) -> String {
        let mut text = String::with_capacity(2_048);
        self.write(&mut text, subject)
            .expect("writing to a String does not fail");
        text
    }

    fn write(&self, text: &mut String, subject: &Subject) -> fmt::Result {
        let Cast {
            session,
            streams,
            began,
            ..
        } = self;
        text.push_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n\
             <datamode>complete</datamode>\r\n",
        );
        write!(text, "<session session_id=\"{session}\">")?;
        if let Some(id) = &subject.session_id {
            write!(text, "<sipSessionID>{}</sipSessionID>", Escaped(id))?;
        }
        text.push_str("</session>\r\n");
        for Participant { id, aor, name, .. } in &self.participants {
            write!(
                text,
                "<participant participant_id=\"{id}\"><nameID aor=\"{}\">",
                AnyUri(aor)
            )?;
            if let Some(name) = name {
                write!(text, "<name>{}</name>", Escaped(name))?;
            }
            text.push_str("</nameID></participant>\r\n");
        }
        for (stream, label) in streams.iter().zip(LABELS) {
            write!(
                text,
                "<stream stream_id=\"{stream}\" session_id=\"{session}\"><label>{label}</label></stream>\r\n"
            )?;
        }
        write!(
            text,
            "<sessionrecordingassoc session_id=\"{session}\"><associate-time>{}</associate-time></sessionrecordingassoc>\r\n",
            DateTime(*began)
        )?;
        for Participant { id, since, until, .. } in &self.participants {
            write!(
                text,
                "<participantsessionassoc participant_id=\"{id}\" session_id=\"{session}\"><associate-time>{}</associate-time>",
                DateTime(*since)
            )?;
            if let Some(until) = until {
                write!(text, "<disassociate-time>{}</disassociate-time>", DateTime(*until))?;
            }
            text.push_str("</participantsessionassoc>\r\n");
        }
        for one in self.participants.iter().filter(|one| one.until.is_none()) {
            self.write_streams(text, one, subject)?;
        }
        text.push_str("</recording>\r\n");
        Ok(())
    }

    /// Who says what to whom (RFC 7865 6.8).
    fn write_streams(&self, text: &mut String, one: &Participant, subject: &Subject) -> fmt::Result {
        write!(text, "<participantstreamassoc participant_id=\"{}\">", one.id)?;
        if let Some(speaker) = &subject.speakers[one.side.index()] {
            if speaker.sends {
                write!(text, "<send>{}</send>", self.streams[one.side.index()])?;
            }
            if speaker.hears {
                write!(text, "<recv>{}</recv>", self.streams[one.side.other().index()])?;
            }
        }
        write!(
            text,
            "<associate-time>{}</associate-time></participantstreamassoc>\r\n",
            DateTime(one.since)
        )
    }
}

/// A text of a peer, as long as one may be.
fn kept(text: &str) -> String {
    cut(text, limits::RECORDED_NAME_CHARS).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{speaker, subject};
    use super::*;
    use crate::cx::{ChaCha12Rng, SeedableRng, Tickets};
    use std::collections::VecDeque;

    fn with_cx<T>(wall: u64, work: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let config = super::super::tests::config("");
        let mut cx = Cx {
            now: crate::time::Instant::ZERO,
            wall: Wall(wall),
            rng: &mut ChaCha12Rng::seed_from_u64(wall),
            config: &config,
            out: &mut VecDeque::new(),
            tickets: &mut Tickets::default(),
            marker: &crate::marker::Marker::UNKEYED,
        };
        work(&mut cx)
    }

    /// A reader of its own: the tags of a document with their texts; it fails where one is not closed, or an entity is none.
    fn read(text: &str) -> Vec<(String, String)> {
        let (mut open, mut found) = (Vec::new(), Vec::new());
        let body = text
            .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
            .expect("a declaration");
        for piece in body.split('<').skip(1) {
            let (tag, behind) = piece.split_once('>').expect("a tag has an end");
            assert!(
                !behind.contains('>') && tag.matches('"').count().is_multiple_of(2),
                "{piece}"
            );
            for part in piece.split('&').skip(1) {
                let name = part.split(';').next().unwrap();
                assert!(["amp", "lt", "gt", "quot", "apos"].contains(&name), "{piece}");
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "{text}");
                continue;
            }
            open.push(tag.split(' ').next().unwrap().to_owned());
            found.push((tag.to_owned(), behind.trim().to_owned()));
        }
        assert!(open.is_empty(), "{open:?}");
        found
    }

    fn of<'f>(found: &'f [(String, String)], name: &str) -> Vec<&'f (String, String)> {
        let is = |tag: &str| tag.split(' ').next() == Some(name);
        found.iter().filter(|(tag, _)| is(tag)).collect()
    }

    #[test]
    fn a_document_has_everybody_in_the_order_of_the_schema() {
        let mut subject = subject();
        subject.session_id = Some("ab30317f1a784dc48ff824d0d3715d86".into());
        let text = with_cx(1_795_352_759_000, |cx| {
            let mut cast = Cast::new(cx);
            cast.follow(cx, &subject.speakers);
            cast.document(&subject)
        });
        let found = read(&text);
        let mut order: Vec<&str> = found.iter().map(|(tag, _)| tag.split(' ').next().unwrap()).collect();
        order.dedup();
        let inner = [
            "nameID",
            "name",
            "sipSessionID",
            "label",
            "send",
            "recv",
            "associate-time",
        ];
        order.retain(|name| !inner.contains(name));
        order.dedup();
        assert_eq!(
            order,
            [
                "recording",
                "datamode",
                "session",
                "participant",
                "stream",
                "sessionrecordingassoc",
                "participantsessionassoc",
                "participantstreamassoc"
            ]
        );
        assert_eq!(of(&found, "sipSessionID")[0].1, "ab30317f1a784dc48ff824d0d3715d86");
        let labels: Vec<&str> = of(&found, "label").iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(labels, LABELS);
        // What one sends, the other receives.
        let texts = |name| {
            of(&found, name)
                .iter()
                .map(|(_, text)| text.clone())
                .collect::<Vec<_>>()
        };
        let (sent, received) = (texts("send"), texts("recv"));
        assert_eq!(sent, received.into_iter().rev().collect::<Vec<_>>());
        for (tag, _) in of(&found, "stream") {
            assert!(
                tag.contains(&format!("stream_id=\"{}\"", sent[0]))
                    || tag.contains(&format!("stream_id=\"{}\"", sent[1]))
            );
        }
        let octets = STANDARD.decode(&sent[0]).unwrap();
        assert_eq!((octets.len(), octets[6] >> 4, octets[8] >> 6), (16, 4, 2));
        assert!(
            text.contains("<associate-time>2026-11-22T13:05:59Z</associate-time>"),
            "{text}"
        );
        assert!(text.contains("<nameID aor=\"sip:alice@example.com\"><name>Alice</name></nameID>"));
    }

    /// RFC 7865 9: `aor` is an xs:anyURI.
    #[test]
    fn an_address_of_ipv6_is_a_uri_there_too() {
        let mut subject = subject();
        subject.speakers[0] = Some(speaker(0, "sip:a@[::1]"));
        let text = with_cx(1, |cx| {
            let mut cast = Cast::new(cx);
            cast.follow(cx, &subject.speakers);
            cast.document(&subject)
        });
        assert!(text.contains("<nameID aor=\"sip:a@%5B::1%5D\">"), "{text}");
    }

    #[test]
    fn words_of_peers_stay_words() {
        let mut subject = subject();
        let hostile = "\"/><session session_id='x'>&lt;]]>\u{0}\u{b}\u{fffe}é";
        for speaker in subject.speakers.iter_mut().flatten() {
            (speaker.aor, speaker.name) = (hostile.to_owned(), Some(hostile.repeat(100)));
        }
        let text = with_cx(1, |cx| {
            let mut cast = Cast::new(cx);
            cast.follow(cx, &subject.speakers);
            cast.document(&subject)
        });
        let found = read(&text);
        assert_eq!(of(&found, "session").len(), 1);
        assert!(
            of(&found, "nameID")[0]
                .0
                .contains("aor=\"&quot;/&gt;&lt;session session_id=&apos;x&apos;&gt;&amp;lt;%5D%5D&gt;é\"")
        );
        assert!(!text.contains(['\u{0}', '\u{b}', '\u{fffe}']));
        assert!(text.len() < 10_000, "{} octets", text.len());
    }

    #[test]
    fn who_leaves_is_told_with_the_time_and_who_is_held_hears_nobody() {
        let mut subject = subject();
        let mut cast = with_cx(1_000, |cx| {
            let mut cast = Cast::new(cx);
            cast.follow(cx, &subject.speakers);
            cast
        });
        if let Some(speaker) = &mut subject.speakers[0] {
            (speaker.sends, speaker.hears) = (false, false);
        }
        let found = read(&cast.document(&subject));
        assert_eq!((of(&found, "send").len(), of(&found, "recv").len()), (1, 1));
        assert_eq!(of(&found, "participantstreamassoc").len(), 2);
        subject.speakers[0] = Some(speaker(7, "sip:carol@example.com"));
        with_cx(61_000, |cx| cast.follow(cx, &subject.speakers));
        let found = read(&cast.document(&subject));
        assert_eq!(of(&found, "participant").len(), 3);
        assert_eq!(of(&found, "disassociate-time")[0].1, "1970-01-01T00:01:01Z");
        assert_eq!(of(&found, "participantstreamassoc").len(), 2, "those who are there");
        subject.speakers[1] = None;
        with_cx(62_000, |cx| cast.follow(cx, &subject.speakers));
        assert_eq!(of(&read(&cast.document(&subject)), "participantstreamassoc").len(), 1);
        // However often it is passed on.
        for no in 0..100 {
            subject.speakers[1] = Some(speaker(100 + no, "sip:x@example.com"));
            with_cx(63_000, |cx| cast.follow(cx, &subject.speakers));
        }
        assert_eq!(
            of(&read(&cast.document(&subject)), "participant").len(),
            limits::RECORDED_PARTICIPANTS
        );
    }
}

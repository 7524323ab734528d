//! What a recording server knows of a recorded call, and what it takes of it: offers, answers, metadata (RFC 7866 7, 9).
//!
//! Each change is a re-INVITE with the whole description and all metadata: a document that names labels needs the description that defines them
//! in the same message (RFC 7866 9.1). The offer has one codec for each stream, the one that its side speaks now: what is copied is what was
//! agreed, whatever the server may have preferred.

use super::session::{Change, Session, State, What};
use super::stream::{self, Stream};
use super::{Turn, description};
use crate::dialog::accepted::Unacknowledged;
use crate::dialog::{ends_dialog, glare};
use crate::id::{Flow, ServerTx};
use crate::sdp::{Direction, Media, Session as Description};
use crate::sip::multipart::session_description;
use crate::sip::{Draft, Message, Method};
use crate::time::Instant;
use bytes::Bytes;
use std::mem;

impl Session {
    /// Brings media and the server's knowledge to what is recorded. Called after each event.
    pub fn settle(&mut self, t: &mut Turn<'_, '_>) {
        if self.is_ended {
            // One that was on its way has come.
            self.streams.iter_mut().flatten().for_each(|stream| stream.close(t));
        } else if self.since.is_some() {
            for (stream, speaker) in self.streams.iter_mut().flatten().zip(&self.subject.speakers) {
                stream.tend(t, speaker.as_ref().and_then(|speaker| speaker.media));
            }
        }
        let is_quiet = self.state == State::Up && self.change == Change::None && self.unacked.is_none();
        let is_known = self.told.as_ref() == Some(&self.subject.told()) && !self.wants_all;
        if is_quiet && !is_known && !self.is_offering() {
            self.reinvite(t);
        }
        self.arm(t);
    }

    fn is_offering(&self) -> bool {
        self.streams.iter().flatten().any(Stream::is_offering)
    }

    pub(super) fn open_streams(&mut self, t: &mut Turn<'_, '_>, flow: Flow) -> Result<(), &'static str> {
        if self.streams.is_some() {
            return Ok(());
        }
        let addr = t.cx.config.own_media_address(flow.local.ip());
        let worker = self
            .subject
            .speakers
            .iter()
            .flatten()
            .find_map(|speaker| Some(speaker.media?.1));
        let worker = worker.unwrap_or_default();
        let comfort_noise = self
            .subject
            .speakers
            .iter()
            .flatten()
            .any(|speaker| speaker.comfort_noise);
        let mut open = |codec| {
            let can = stream::capabilities(t, codec, comfort_noise, self.settings.srtp);
            Stream::open(t, self.number, worker, addr, can)
        };
        let [first, second] = self.codecs.map(&mut open);
        self.open = [&first, &second].into_iter().flatten().count();
        match (first, second) {
            (Some(first), Some(second)) => {
                self.streams = Some([first, second]);
                Ok(())
            }
            (first, second) => {
                first.into_iter().chain(second).for_each(|mut one| one.close(t));
                Err("there is no room for its media")
            }
        }
    }

    /// Puts our offer and all that is to be known into a request or response.
    pub(super) fn describe(&mut self, t: &mut Turn<'_, '_>, draft: &mut Draft) {
        self.cast.follow(t.cx, &self.subject.speakers);
        self.told = Some(self.subject.told());
        self.wants_all = false;
        let Some(streams) = &mut self.streams else { return };
        let mut offers = [Bytes::new(), Bytes::new()];
        for (at, stream) in streams.iter_mut().enumerate() {
            let speaker = self.subject.speakers[at].as_ref();
            self.codecs[at] = speaker.map_or(self.codecs[at], |speaker| speaker.codec);
            offers[at] = stream.offer(self.codecs[at], wants(speaker.is_some()));
        }
        let described = self.numbered(description::joined(&offers));
        let (kind, body) = description::body(&described, &self.cast.document(&self.subject), &t.cx.token(16));
        draft.set_body(&kind, body);
        self.described = Some(described);
    }

    /// The version goes up when our description changes, and only then (RFC 3264 8).
    fn numbered(&mut self, mut described: Description<'static>) -> Description<'static> {
        let is_same = self
            .described
            .as_ref()
            .is_some_and(|last| last.same_but_version(&described));
        self.version += u64::from(!is_same);
        described.set_version(self.version);
        described
    }

    fn reinvite(&mut self, t: &mut Turn<'_, '_>) {
        let (Some(flow), Some(mut invite)) = (
            self.flow,
            self.dialog.as_mut().map(|dialog| dialog.request(Method::Invite)),
        ) else {
            return;
        };
        self.describe_us(t.cx, flow, &mut invite);
        self.describe(t, &mut invite);
        self.change = Change::Ours(None);
        self.say(t, What::Change, invite);
    }

    /// The answer to our offer. A stream that is refused leaves the other one.
    pub(super) fn answered(&mut self, t: &mut Turn<'_, '_>, message: &Message) {
        let body = session_description(message).ok().flatten();
        let answer = body.as_ref().and_then(|body| Description::parse(body).ok());
        let (Some(answer), Some(flow), Some(streams)) = (answer, self.flow, &mut self.streams) else {
            return self.fail(
                t,
                "the recording server gave no description of its media that can be read",
            );
        };
        let mut faults = Vec::new();
        for (at, stream) in streams.iter_mut().enumerate() {
            let done = stream.complete(description::alone(&answer, at).as_ref(), flow.peer.ip());
            faults.extend(done.err());
        }
        if faults.len() == streams.len() {
            self.fail(
                t,
                format!("the recording server takes none of the streams: {}", faults[0]),
            );
        } else if let Some(fault) = faults.first() {
            self.tell(t, format!("the recording server takes one side only: {fault}"));
        }
    }

    /// The final response to our re-INVITE.
    pub(super) fn changed(&mut self, t: &mut Turn<'_, '_>, status: u16, response: &Message) {
        self.change = Change::None;
        let is_refresh = mem::take(&mut self.is_refresh);
        if (200..300).contains(&status) {
            if let Some(dialog) = &mut self.dialog {
                // What cannot be read leaves the target as it is.
                let _ = dialog.refresh(response);
            }
            self.timer.on_success(t.cx.now, response);
            self.acknowledge(t, response);
            if self.state == State::Up {
                self.answered(t, response);
            }
            return;
        }
        for stream in self.streams.iter_mut().flatten() {
            stream.withdraw();
        }
        match status {
            491 => {
                self.told = None;
                self.change = Change::Waiting(t.cx.now + glare::wait_after_491(true, t.cx.rng));
            }
            422 if self.lasts_longer(response) => self.told = None,
            _ if ends_dialog(status) => {
                self.fail(t, format!("the recording server has lost its session ({status})"));
            }
            _ => {
                self.tell(
                    t,
                    format!("the recording server refused a change with {status}: it goes on as it was"),
                );
                if is_refresh {
                    self.timer.on_refresh_failed(t.cx.now);
                }
            }
        }
    }

    /// The server wants to hear all again (RFC 7866 9.2).
    pub fn on_snapshot_request(&mut self) {
        self.wants_all = true;
    }

    /// May the server change the session now (RFC 3261 14.2, RFC 3311 5.2)? Else with what it is refused.
    pub fn may_change(&self) -> Result<(), u16> {
        match (&self.state, self.change) {
            (State::Up, Change::Ours(_)) => Err(491),
            (State::Up, Change::None | Change::Waiting(_)) if self.unacked.is_some() || self.is_offering() => Err(500),
            (State::Up, Change::None | Change::Waiting(_)) => Ok(()),
            (State::Reaching | State::Inviting { .. } | State::Leaving | State::Gone, _) => Err(481),
        }
    }

    /// Our answer to an offer of the server; further streams than ours are refused (RFC 7866 7.2).
    pub fn answer(&mut self, offer: &Description<'_>) -> Result<Description<'static>, u16> {
        let (Some(flow), Some(streams)) = (self.flow, &mut self.streams) else {
            return Err(481);
        };
        let mut answers = [Bytes::new(), Bytes::new()];
        // Of an offer that is refused for one of them the other one knows nothing.
        let mut answered = streams.each_ref().map(Stream::negotiation);
        for (at, oa) in answered.iter_mut().enumerate() {
            let one = description::alone(offer, at).ok_or(488u16)?;
            let wants = wants(self.subject.speakers[at].is_some());
            let answer = oa.answer(&one, wants, flow.peer.ip());
            answers[at] = answer.map_err(|error| error.status())?;
        }
        for (stream, oa) in streams.iter_mut().zip(answered) {
            stream.answered(oa);
        }
        let mut described: Description<'_> = description::joined(&answers);
        let further = offer.media.iter().skip(answers.len());
        described.media.extend(further.map(Media::refused));
        let described = self.numbered(described.into_owned());
        self.described = Some(described.clone());
        Ok(described)
    }

    /// Puts our offer into the 2xx to an INVITE that has none; its ACK brings the answer.
    pub fn offer_late(&mut self, t: &mut Turn<'_, '_>, response: &mut Draft) {
        self.describe(t, response);
    }

    /// Our 2xx to an INVITE waits for its ACK.
    pub fn await_ack(&mut self, now: Instant, tx: ServerTx, invite_cseq: u32) {
        self.unacked = Some((tx, Unacknowledged::new(now, invite_cseq)));
    }

    /// The ACK of a 2xx of ours.
    pub fn on_ack(&mut self, t: &mut Turn<'_, '_>, ack: &Message) {
        let is_own = |(_, unacked): &mut (ServerTx, Unacknowledged)| unacked.is_acknowledged_by(ack);
        if self.unacked.take_if(is_own).is_some() && self.is_offering() {
            self.answered(t, ack);
        }
    }
}

/// The direction of a stream: nothing is taken of a server, and nothing is sent while nobody is there.
fn wants(is_there: bool) -> Direction {
    if is_there {
        Direction::SendOnly
    } else {
        Direction::Inactive
    }
}

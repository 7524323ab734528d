//! One recording session: our dialog with a recording server, and what it was told of the call (RFC 7866 6.1, 9.1).
//!
//! ```text
//!              Reached               2xx, ACK
//!   Reaching ----------> Inviting ------------> Up ---+ what is recorded changes: re-INVITE with all of it
//!      |                  |    ^                ^  |  |
//!      | the call ends    |    | timeout, 503:  +--|--+
//!      |                  |    | next target       | the call ends, or we give it up: BYE
//!      |   refused, or    |    |                   v
//!      |   487 after our  +----+               Leaving
//!      v   CANCEL         v                        | answered
//!    Gone <---------------+------------------------+------ BYE of the server
//! ```
//!
//! What it has to know of a call is a value, the `Subject`. While it is up and nothing is under way, what it knows is held against what it
//! should know, so that changes that come fast are told together. Whatever goes wrong ends the session and nothing else.

use super::metadata::Cast;
use super::order::Subject;
use super::stream::Stream;
use super::{Lost, Turn};
use crate::config::{Config, Siprec};
use crate::dialog::accepted::{Acknowledged, Due as AckDue, Unacknowledged};
use crate::dialog::session_timer::{Due, SessionTimer};
use crate::dialog::way::is_on_flow;
use crate::dialog::{Begun, Dialog, DialogId};
use crate::effect::{Fact, Output};
use crate::id::{ClientTx, Flow, Owner, ServerTx, Target};
use crate::limits;
use crate::media::command::{Event as MediaEvent, Side};
use crate::sdp::Session as Description;
use crate::sip::{Draft, Message, Method};
use crate::time::Instant;
use crate::transaction::{Destination, Failure};
use codecs::Codec;
use std::mem;

/// Where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// A way to the server is looked for.
    Reaching,
    /// Our INVITE has no final response.
    Inviting {
        tx: ClientTx,
        /// Further targets.
        rest: Vec<Target>,
        /// Until when it may be answered; none: it was cancelled then.
        until: Option<Instant>,
        /// It was cancelled.
        given_up: bool,
    },
    /// The dialog is confirmed.
    Up,
    /// BYE is said, or waits for its way.
    Leaving,
    /// Nothing more is said.
    Gone,
}

/// Our re-INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// It has no final response; none: its way is being found.
    Ours(Option<ClientTx>),
    /// It met one of the server, and is tried again then (RFC 3261 14.1).
    Waiting(Instant),
}

/// What a request in the dialog is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Ack,
    Change,
    Bye,
}

/// One recording session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) settings: Siprec,
    /// As it should be known.
    pub(super) subject: Subject,
    /// As it is known, or was offered last.
    pub(super) told: Option<Subject>,
    pub(super) cast: Cast,
    pub(super) state: State,
    pub(super) flow: Option<Flow>,
    pub(super) streams: Option<[Stream; 2]>,
    /// Media legs that are not closed yet.
    pub(super) open: usize,
    /// The codecs that were offered last: those of who has left stay.
    pub(super) codecs: [Codec; 2],
    /// Our last description.
    pub(super) described: Option<Description<'static>>,
    pub(super) version: u64,
    /// From with our tag, Call-ID, the number of the last CSeq outside of the dialog.
    pub(super) from: (String, String),
    pub(super) cseq: u32,
    pub(super) dialog: Option<Dialog>,
    acknowledged: Option<Acknowledged>,
    /// Further answers of forks, which were ended.
    strays: Vec<DialogId>,
    pub(super) change: Change,
    /// Our re-INVITE is the refresh of the session.
    pub(super) is_refresh: bool,
    /// All is to be told, whether it has changed or not.
    pub(super) wants_all: bool,
    bye: Option<ClientTx>,
    /// What waits for its way.
    waiting: Vec<(What, Draft)>,
    pub(super) timer: SessionTimer,
    /// It is as long as a 422 wanted it.
    is_longer: bool,
    /// A 2xx of ours without its ACK.
    pub(super) unacked: Option<(ServerTx, Unacknowledged)>,
    /// Since when it has been up.
    pub(super) since: Option<Instant>,
    pub(super) is_ended: bool,
}

impl Session {
    /// Begins: the way to the server is looked for.
    pub fn begin(t: &mut Turn<'_, '_>, number: u64, config: &Config, settings: Siprec, subject: Subject) -> Session {
        let (tag, call_id) = (t.cx.tag(), t.cx.token(16));
        let owner = Owner::Recording(number);
        t.layer.reach(t.cx, owner, Destination::Uri(settings.server.clone()));
        t.cx.emit(Output::Record(Fact::RecordingSession {
            recording: subject.recording,
            server: settings.server.to_string(),
            sip_call_id: call_id.clone(),
        }));
        let spoken = |side: Side| subject.speakers[side.index()].as_ref().map(|speaker| speaker.codec);
        let usual = spoken(Side::Caller).or(spoken(Side::Callee)).unwrap_or(Codec::Pcma);
        let codecs = [Side::Caller, Side::Callee].map(|side| spoken(side).unwrap_or(usual));
        Session {
            number,
            settings,
            told: None,
            cast: Cast::new(t.cx),
            state: State::Reaching,
            flow: None,
            streams: None,
            open: 0,
            codecs,
            described: None,
            version: 0,
            from: (tag, call_id),
            cseq: 0,
            dialog: None,
            acknowledged: None,
            strays: Vec::new(),
            change: Change::None,
            is_refresh: false,
            wants_all: false,
            bye: None,
            waiting: Vec::new(),
            timer: SessionTimer::new(config.calls.session_expires, config.calls.min_session_expires),
            is_longer: false,
            unacked: None,
            since: None,
            is_ended: false,
            subject,
        }
    }

    /// As the layer knows it.
    pub const fn owner(&self) -> Owner {
        Owner::Recording(self.number)
    }

    /// Nothing of it is left.
    pub fn is_done(&self) -> bool {
        self.state == State::Gone && self.open == 0
    }

    /// This is recorded from now on.
    pub fn follow(&mut self, subject: Subject) {
        self.subject = subject;
    }

    /// Nothing is recorded any more.
    pub fn stop(&mut self, t: &mut Turn<'_, '_>) {
        let early = self
            .since
            .is_none()
            .then_some("the call ended before the server answered");
        self.end(t, early.map(str::to_owned));
        self.leave(t);
    }

    /// It fails by itself, and the server is told goodbye.
    pub fn fail(&mut self, t: &mut Turn<'_, '_>, why: impl Into<String>) {
        self.lose(t, why);
        self.leave(t);
    }

    /// It fails by itself: the call is told, which may go on.
    fn lose(&mut self, t: &mut Turn<'_, '_>, why: impl Into<String>) {
        let why = why.into();
        if !self.is_ended {
            t.tables.lost.push_back(Lost {
                call: self.subject.recording.call,
                why: why.clone(),
            });
        }
        self.end(t, Some(why));
    }

    /// The record of it ends, and its media.
    fn end(&mut self, t: &mut Turn<'_, '_>, fault: Option<String>) {
        for stream in self.streams.iter_mut().flatten() {
            stream.close(t);
        }
        if mem::replace(&mut self.is_ended, true) {
            return;
        }
        let lasted = self.since.map(|since| t.cx.now.since(since)).unwrap_or_default();
        t.cx.emit(Output::Record(Fact::RecordingSessionEnded {
            recording: self.subject.recording,
            millis: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            fault,
        }));
    }

    /// Says goodbye, in the way that fits.
    fn leave(&mut self, t: &mut Turn<'_, '_>) {
        match &mut self.state {
            State::Reaching => self.gone(t),
            State::Inviting {
                tx, until, given_up, ..
            } => {
                if !mem::replace(given_up, true) && until.take().is_some() {
                    t.layer.cancel(t.cx, *tx, None);
                }
            }
            State::Up => {
                self.state = State::Leaving;
                self.waiting.retain(|(what, _)| *what == What::Ack);
                if let Some(bye) = self.dialog.as_mut().map(|dialog| dialog.request(Method::Bye)) {
                    self.say(t, What::Bye, bye);
                }
            }
            State::Leaving | State::Gone => {}
        }
    }

    fn gone(&mut self, t: &mut Turn<'_, '_>) {
        self.state = State::Gone;
        t.layer.forget(self.owner());
        if let Some(dialog) = &self.dialog {
            t.tables.dialogs.remove(&dialog.id);
        }
        (self.change, self.unacked) = (Change::None, None);
        self.waiting.clear();
        self.end(t, None);
    }

    /// The way is found.
    pub fn on_reached(&mut self, t: &mut Turn<'_, '_>, flow: Flow, rest: Vec<Target>) {
        match self.state {
            State::Reaching => {
                self.flow = Some(flow);
                self.invite(t, flow, rest);
            }
            State::Up | State::Leaving => {
                self.flow = Some(flow);
                for (what, draft) in mem::take(&mut self.waiting) {
                    self.say_over(t, flow, what, draft);
                }
            }
            State::Inviting { .. } | State::Gone => {}
        }
    }

    /// There is none.
    pub fn on_unreachable(&mut self, t: &mut Turn<'_, '_>, failure: Failure) {
        let why = match failure {
            Failure::Unresolved => "no address for the recording server came from the DNS",
            Failure::Timeout | Failure::Transport => "there is no connection to the recording server",
        };
        match self.state {
            State::Reaching | State::Up | State::Leaving => {
                self.lose(t, why);
                self.gone(t);
            }
            State::Inviting { .. } | State::Gone => {}
        }
    }

    fn invite(&mut self, t: &mut Turn<'_, '_>, flow: Flow, rest: Vec<Target>) {
        if let Err(why) = self.open_streams(t, flow) {
            return self.fail(t, why);
        }
        self.cseq += 1;
        let mut invite = self.first_invite(t.cx, flow);
        self.describe(t, &mut invite);
        let tx = t.layer.request(t.cx, self.owner(), flow, invite);
        self.state = State::Inviting {
            tx,
            rest,
            until: Some(t.cx.now + limits::RECORDING_ANSWER),
            given_up: false,
        };
    }

    /// A response to a request of ours.
    pub fn on_response(&mut self, t: &mut Turn<'_, '_>, tx: ClientTx, response: &Message) {
        let status = response.status();
        if status < 200 || self.is_acknowledged(t, response) {
            return;
        }
        match &self.state {
            State::Inviting { tx: own, .. } if *own == tx => match status {
                200..=299 => self.established(t, response),
                _ => self.refused(t, status, response),
            },
            State::Up | State::Leaving if self.bye == Some(tx) => self.gone(t),
            State::Up | State::Leaving if self.change == Change::Ours(Some(tx)) => self.changed(t, status, response),
            State::Reaching | State::Inviting { .. } | State::Up | State::Leaving | State::Gone => {}
        }
    }

    /// A 2xx that came before is owed its ACK again; that of another fork the end.
    fn is_acknowledged(&mut self, t: &mut Turn<'_, '_>, response: &Message) -> bool {
        let (Some(dialog), Some(id), Some(flow)) = (&self.dialog, DialogId::of_response(response), self.flow) else {
            return false;
        };
        if dialog.id == id {
            let owed = self.acknowledged.as_ref().filter(|known| known.is_owed_to(response));
            if let Some(ack) = owed.map(|known| known.ack(dialog)) {
                t.layer.send_ack(t.cx, flow, ack);
            }
            return self
                .acknowledged
                .as_ref()
                .is_some_and(|known| known.is_owed_to(response));
        }
        if response.method() != Method::Invite || response.status() >= 300 {
            return false;
        }
        let (from, to) = (dialog.local.clone(), self.to());
        let begun = Begun {
            local: &from,
            remote: &to,
            target: &self.settings.server,
        };
        if let Ok(mut stray) = Dialog::uac(begun, response) {
            t.layer
                .send_ack(t.cx, flow, Acknowledged::new(response, Vec::new()).ack(&stray));
            if !self.strays.contains(&id) && self.strays.len() < limits::STRAY_ANSWERS {
                self.strays.push(id);
                let bye = stray.request(Method::Bye);
                t.layer.request(t.cx, self.owner(), flow, bye);
            }
        }
        true
    }

    fn established(&mut self, t: &mut Turn<'_, '_>, response: &Message) {
        let given_up = matches!(self.state, State::Inviting { given_up: true, .. });
        let (from, to) = (self.address_of_ours(t.cx), self.to());
        let begun = Begun {
            local: &from,
            remote: &to,
            target: &self.settings.server,
        };
        let Ok(dialog) = Dialog::uac(begun, response) else {
            self.lose(t, "the answer of the recording server cannot be read");
            return self.gone(t);
        };
        t.tables.dialogs.insert(dialog.id.clone(), self.number);
        self.dialog = Some(dialog);
        self.state = State::Up;
        self.timer.on_success(t.cx.now, response);
        self.acknowledge(t, response);
        if given_up {
            return self.leave(t);
        }
        self.since = Some(t.cx.now);
        self.answered(t, response);
    }

    pub(super) fn acknowledge(&mut self, t: &mut Turn<'_, '_>, response: &Message) {
        let Some(dialog) = &self.dialog else { return };
        let known = Acknowledged::new(response, Vec::new());
        let ack = known.ack(dialog);
        self.acknowledged = Some(known);
        self.say(t, What::Ack, ack);
    }

    /// A line in the log of the call.
    pub(super) fn tell(&self, t: &mut Turn<'_, '_>, what: String) {
        let call = self.subject.recording.call;
        t.cx.emit(Output::Record(Fact::CallChanged { call, what }));
    }

    fn refused(&mut self, t: &mut Turn<'_, '_>, status: u16, response: &Message) {
        let State::Inviting {
            rest, until, given_up, ..
        } = &mut self.state
        else {
            return;
        };
        let (rest, given_up, is_late) = (mem::take(rest), *given_up, until.is_none());
        if !given_up && status == 422 && self.lasts_longer(response) {
            return self.next(t, rest);
        }
        if !given_up && (status == 503 || is_late) && !rest.is_empty() {
            return self.next(t, rest);
        }
        match is_late {
            true => self.lose(t, "the recording server does not answer"),
            false => self.lose(t, format!("the recording server refused it with {status}")),
        }
        self.gone(t);
    }

    /// A 422 asks for a longer session than ours: it gets that, once.
    pub(super) fn lasts_longer(&mut self, response: &Message) -> bool {
        let longer = !self.is_longer && self.timer.on_too_small(response);
        self.is_longer |= longer;
        longer
    }

    /// Asks again: the next target, or the same one where none is left.
    fn next(&mut self, t: &mut Turn<'_, '_>, rest: Vec<Target>) {
        match (rest.is_empty(), self.flow) {
            (true, Some(flow)) => self.invite(t, flow, rest),
            (false, _) | (true, None) => {
                self.state = State::Reaching;
                t.layer.reach(t.cx, self.owner(), Destination::Targets(rest));
            }
        }
    }

    /// A request of ours has no response.
    pub fn on_failed(&mut self, t: &mut Turn<'_, '_>, tx: ClientTx) {
        let why = "the recording server does not answer";
        match &mut self.state {
            State::Inviting {
                tx: own,
                rest,
                given_up,
                ..
            } if *own == tx => {
                let rest = mem::take(rest);
                if !*given_up && !rest.is_empty() {
                    return self.next(t, rest);
                }
                self.lose(t, why);
                self.gone(t);
            }
            State::Up | State::Leaving if self.bye == Some(tx) => self.gone(t),
            State::Up | State::Leaving if self.change == Change::Ours(Some(tx)) => {
                self.change = Change::None;
                self.fail(t, why);
            }
            State::Reaching | State::Inviting { .. } | State::Up | State::Leaving | State::Gone => {}
        }
    }

    /// Says something in the dialog, as soon as its way is known.
    pub(super) fn say(&mut self, t: &mut Turn<'_, '_>, what: What, draft: Draft) {
        self.waiting.push((what, draft));
        if self.waiting.len() == 1
            && let Some(way) = self.way()
        {
            t.layer.reach(t.cx, self.owner(), way);
        }
    }

    fn say_over(&mut self, t: &mut Turn<'_, '_>, flow: Flow, what: What, draft: Draft) {
        if what == What::Ack {
            return t.layer.send_ack(t.cx, flow, draft);
        }
        let tx = Some(t.layer.request(t.cx, self.owner(), flow, draft));
        match what {
            What::Ack => {}
            What::Change => self.change = Change::Ours(tx),
            What::Bye => self.bye = tx,
        }
    }

    /// Arms the timer of everything that time moves.
    pub(super) fn arm(&mut self, t: &mut Turn<'_, '_>) {
        let again = match self.change {
            Change::Waiting(at) => Some(at),
            Change::None | Change::Ours(_) => None,
        };
        let answer = match self.state {
            State::Inviting { until, .. } => until,
            State::Reaching | State::Up | State::Leaving | State::Gone => None,
        };
        let waits = [
            again,
            answer,
            self.unacked.as_ref().map(|(_, unacked)| unacked.next_deadline()),
            self.timer.next_deadline().filter(|_| self.state == State::Up),
        ];
        match waits.into_iter().flatten().min() {
            Some(at) => t.tables.timers.set(self.number, at),
            None => {
                t.tables.timers.cancel(self.number);
            }
        }
    }

    /// Its timer is due.
    pub fn on_time(&mut self, t: &mut Turn<'_, '_>) {
        if let Change::Waiting(at) = self.change
            && at <= t.cx.now
        {
            self.change = Change::None;
        }
        if let State::Inviting { tx, until, .. } = &mut self.state
            && until.take_if(|until| *until <= t.cx.now).is_some()
        {
            t.layer.cancel(t.cx, *tx, None);
        }
        let due = self
            .unacked
            .as_mut()
            .and_then(|(tx, unacked)| Some((*tx, unacked.poll(t.cx.now)?)));
        match due {
            Some((tx, AckDue::Resend)) => t.layer.repeat(t.cx, tx),
            Some((_, AckDue::GiveUp)) => {
                self.unacked = None;
                self.fail(t, "the recording server acknowledges nothing");
            }
            None => {}
        }
        if self.state != State::Up {
            return;
        }
        match self.timer.poll(t.cx.now) {
            Some(Due::Refresh) => (self.wants_all, self.is_refresh) = (true, true),
            Some(Due::Expired) => self.fail(t, "its session with the recording server has run out"),
            None => {}
        }
    }

    /// A worker has something to tell of one of its streams.
    pub fn on_media(&mut self, t: &mut Turn<'_, '_>, event: &MediaEvent) {
        match event {
            MediaEvent::Moved(leg, worker) => {
                let mut streams = self.streams.iter_mut().flatten();
                if let Some(stream) = streams.find(|stream| stream.id == *leg) {
                    stream.moved(*worker);
                }
            }
            MediaEvent::Closed(leg, _) => {
                self.open -= 1;
                let mut streams = self.streams.iter_mut().flatten();
                if let Some(stream) = streams.find(|stream| stream.id == *leg) {
                    stream.closed();
                }
                if !self.is_ended {
                    self.fail(t, "its media could not be opened");
                }
            }
            MediaEvent::Started(..)
            | MediaEvent::Silent(_)
            | MediaEvent::Trouble { .. }
            | MediaEvent::Digit { .. }
            | MediaEvent::DataTone { .. }
            | MediaEvent::Setup(..)
            | MediaEvent::Played(_)
            | MediaEvent::Noted(..)
            | MediaEvent::Speaking { .. }
            | MediaEvent::Shows { .. }
            | MediaEvent::RoomPlayed(_)
            | MediaEvent::RoomMeasured(..)
            | MediaEvent::Stats(..) => {}
        }
    }

    /// BYE of the server.
    pub fn on_bye(&mut self, t: &mut Turn<'_, '_>) {
        self.lose(t, "the recording server ended it");
        self.gone(t);
    }

    /// The way of what is said in the dialog: over the flow that is there where it is that, even after its connection broke.
    fn way(&self) -> Option<Destination> {
        let (dialog, flow) = (self.dialog.as_ref()?, self.flow?);
        let next_hop = dialog.next_hop();
        if !is_on_flow(next_hop, &flow) {
            return Some(Destination::Uri(next_hop.clone()));
        }
        if !flow.transport.is_reliable() {
            return Some(Destination::Flow(flow));
        }
        let mut target = Target::new(flow.transport, flow.peer);
        target.name = self
            .settings
            .server
            .host
            .ip()
            .is_none()
            .then(|| self.settings.server.host.to_string().into());
        Some(Destination::Targets(vec![target]))
    }
}

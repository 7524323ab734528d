//! Rooms as others see and ask them, and what rooms want of calls.

use super::call::{Call, Other, Stage};
use super::room::{Membership, host_of};
use super::{Calls, Net};
use crate::config::{Config, Room};
use crate::cx::Cx;
use crate::dialog::{DialogId, Naming};
use crate::effect::{Fact, Output};
use crate::id::CallId;
use crate::limits;
use crate::media::command::{Command, Of, Recording};
use crate::room::view::{Action, Asker, MemberId, Refused, RoomEvent, RoomView, Slot};
use crate::room::{Callee, Effect, Input, Parting, Place, at_rest, rights};
use crate::routing::{self, Plan, Source};
use crate::sip::Message;
use crate::sip::uri::escaped;
use codecs::Rate;

impl Calls {
    /// The room of this number, if somebody is in it or on the way.
    pub fn room_view(&self, number: &str) -> Option<RoomView> {
        self.desk.rooms.view(number)
    }

    /// The room of this number, where nobody is in it too if the configuration has it.
    pub fn room_here(&self, cx: &Cx<'_>, number: &str) -> Option<RoomView> {
        let view = self.room_view(number);
        view.or_else(|| at_rest(cx.config, number))
    }

    /// All rooms in which somebody is, by number.
    pub fn room_views(&self) -> Vec<RoomView> {
        self.desk.rooms.views()
    }

    /// What happened in rooms since this was asked last, with their numbers: the newest `limits::ROOM_EVENTS`.
    pub fn room_events(&mut self) -> Vec<(String, RoomEvent)> {
        self.room_events.drain(..).collect()
    }

    /// The room and the member of it whose dialog a request is in.
    pub fn room_member(&self, request: &Message) -> Option<(String, MemberId)> {
        let leg = self.desk.by_naming(&Naming::of_request(request)?)?;
        let call = self.calls.get(&self.desk.home(leg))?;
        let place = call.place_of(leg)?;
        let number = self.desk.rooms.number(place.room)?;
        Some((number.to_string(), place.member))
    }

    /// The place in a room that a dialog of ours has.
    pub fn room_place(&self, dialog: &DialogId) -> Option<Place> {
        let leg = self.desk.by_dialog(dialog)?;
        self.calls.get(&self.desk.home(leg))?.place_of(leg)
    }

    /// Whom a member sees on which lines of its video.
    pub fn room_slots(&self, place: Place) -> Vec<Slot> {
        self.desk.rooms.slots(place)
    }

    /// How often a member was wrong that is asked for the PIN; none where it is not, or no longer.
    pub fn room_asks_pin(&self, place: Place) -> Option<u8> {
        self.desk.rooms.asked_pin(place)
    }

    /// Does what is asked of a room. One that nobody is in can be asked to call somebody.
    ///
    /// # Errors
    /// Why not. What becomes of calls that are made is seen in the room.
    pub fn room_act(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        number: &str,
        asker: Asker,
        action: Action,
    ) -> Result<(), Refused> {
        if let Action::Call(numbers) = &action {
            self.may_call_out(cx, number, &asker, numbers)?;
        }
        let at = (cx.now, cx.wall);
        let done = self.desk.rooms.act(at, number, &asker, &action);
        self.tend_rooms(cx, net);
        done
    }

    /// Whether a room may call these for this asker, by the dial plan; it is opened for it.
    fn may_call_out(
        &mut self,
        cx: &mut Cx<'_>,
        number: &str,
        asker: &Asker,
        numbers: &[String],
    ) -> Result<(), Refused> {
        let settings = match self.desk.rooms.view(number) {
            Some(_) => None,
            None => Some(cx.config.room_settings(number).cloned().ok_or(Refused::NoRoom)?),
        };
        let rights = match &settings {
            Some(settings) => settings_rights(settings, asker)?,
            None => self.desk.rooms.rights(number, asker)?,
        };
        let source = Source::User(rights);
        for called in numbers {
            match routing::decide(cx.config, &source, called).plan {
                Plan::User(_) | Plan::Trunk { .. } => {}
                Plan::Reject { status: 404, .. } => return Err(Refused::Impossible("nobody has that number")),
                Plan::Reject { .. } => return Err(Refused::NotAllowed),
                Plan::Echo | Plan::Tone | Plan::Room(_) => {
                    return Err(Refused::Impossible("the number is no person's"));
                }
            }
        }
        if let Some(settings) = settings.filter(|_| !numbers.is_empty()) {
            let worker = self.desk.next_worker(cx.config).ok_or(Refused::Full)?;
            let at = (cx.now, cx.wall);
            self.desk.rooms.prepare(at, number, &settings, worker)?;
        }
        Ok(())
    }

    /// Both sides of a call of two become members of a room, and do not notice but by what they hear.
    ///
    /// # Errors
    /// It is no such call, or the room does not take them.
    pub fn room_take(&mut self, cx: &mut Cx<'_>, net: &mut Net, number: &str, id: CallId) -> Result<(), Refused> {
        let settings = cx.config.room_settings(number).cloned().ok_or(Refused::NoRoom)?;
        let no_call = Refused::Impossible("it is no call of two who talk with one another");
        let call = self.calls.get(&id).ok_or(no_call)?;
        let (one, other) = call.two().ok_or(no_call)?;
        match self.desk.rooms.admits(number, &settings, 2) {
            Ok(()) => {}
            Err((_, Parting { status: 403, .. })) => return Err(Refused::Impossible("the room is locked")),
            Err(_) => return Err(Refused::Full),
        }
        if self.calls.len() >= limits::CALLS {
            return Err(Refused::Full);
        }
        let (config, worker) = (call.config.clone(), call.worker);
        let new = self.new_call_id(cx);
        let Some(mut theirs) = self.calls.remove(&id) else {
            return Err(no_call);
        };
        let mut own = Call::new(new, config, worker);
        own.stage = Stage::Talk {
            one: other,
            other: Other::Nobody,
        };
        self.calls.insert(new, Box::new(own));
        let room = (number, &settings);
        let moved = self.step(cx, net, new, |call, t| {
            if !call.adopt_from(t, &mut theirs, other, true) {
                call.forget(t);
                return false;
            }
            theirs.tell(t, format!("is moved into room {number}"));
            // Who stays comes first.
            theirs.move_in(t, one, room);
            call.move_in_apart(t, other, room);
            true
        });
        self.calls.insert(id, theirs);
        self.step(cx, net, id, |_, _| {});
        self.tend_rooms(cx, net);
        match moved {
            Some(true) => Ok(()),
            Some(false) | None => Err(no_call),
        }
    }

    /// Hears what calls have told their rooms, and does what the rooms want.
    pub(super) fn tend_rooms(&mut self, cx: &mut Cx<'_>, net: &mut Net) {
        while let Some(effect) = self.desk.rooms.tend(cx.now, cx.wall) {
            self.room_effect(cx, net, effect);
        }
    }

    fn room_effect(&mut self, cx: &mut Cx<'_>, net: &mut Net, effect: Effect) {
        match effect {
            Effect::Media(worker, command) => cx.emit(Output::Media(worker, command)),
            Effect::Record {
                worker,
                room,
                name,
                settings,
            } => {
                let id = settings.as_ref().map(|_| self.new_call_id(cx));
                self.desk.rooms.set_recording(room, id);
                let to = id.zip(settings);
                let to = to.and_then(|(id, settings)| room_recording(cx, id, &name, &settings));
                cx.emit(Output::Media(worker, Command::RecordRoom { room, to }));
            }
            Effect::RecordMember(call, place, on) => {
                let recording = self.desk.rooms.recording(place.room).filter(|_| on);
                let of = recording.map(|recording| Of::Member(recording, place.member.0));
                self.step(cx, net, call, |call, _| call.room_records(place, of));
            }
            Effect::Hear(call, place, hears) => {
                self.step(cx, net, call, |call, _| call.room_hears(place, hears));
            }
            Effect::Dismiss(id, place, parting) => {
                let done = self.step(cx, net, id, |call, t| call.leave_room(t, place, parting));
                if done.is_none() {
                    self.desk.rooms.tell(place, Input::Left);
                }
            }
            Effect::Call { place, number, rights } => self.call_out(cx, net, place, &number, rights),
            Effect::Tell(call, what) => cx.emit(Output::Record(Fact::CallChanged { call, what })),
            Effect::Log(room, what) => cx.emit(Output::Record(Fact::Room { room, what })),
            Effect::Event(number, event) => {
                if self.room_events.len() >= limits::ROOM_EVENTS {
                    self.room_events.pop_front();
                }
                self.room_events.push_back((number.to_string(), event));
            }
        }
    }

    /// A room calls somebody: a call that nobody has begun.
    fn call_out(&mut self, cx: &mut Cx<'_>, net: &mut Net, place: Place, number: &str, rights: String) {
        let worker = self.desk.rooms.seat(place).map(|(worker, _)| worker);
        let worker = worker.filter(|worker| self.desk.has_room(*worker, 1));
        let worker = worker.or_else(|| self.desk.next_worker(cx.config));
        let room = self.desk.rooms.number(place.room).cloned();
        let settings = self.desk.rooms.settings(place.room).cloned();
        let full = self.stopping || self.calls.len() >= limits::CALLS;
        let (Some(worker), Some(room), Some(settings), false) = (worker, room, settings, full) else {
            return self.desk.rooms.tell(place, Input::Left);
        };
        let id = self.new_call_id(cx);
        let mut call = Call::new(id, cx.config.clone(), worker);
        call.stage = Stage::DialOut(place);
        call.room = Some(Box::new(Membership::new(place, &room, &settings)));
        self.calls.insert(id, Box::new(call));
        let callee = callee(cx.config, &rights, number);
        self.desk.rooms.called(place, id, callee);
        self.step(cx, net, id, |call, t| call.call_out(t, number, rights));
    }
}

/// A recording of a room has a name like that of a call, which no call has: that of its mix, and what those of its members begin with.
fn room_recording(cx: &mut Cx<'_>, id: CallId, room: &str, settings: &Room) -> Option<Recording> {
    let recording = Recording {
        call: id,
        number: 1,
        begun: cx.wall,
        is_wide: settings.rate >= Rate::Wide,
        format: cx.config.recording.format,
        of: Of::Call,
    };
    let fact = |what| {
        let room = room.to_owned();
        Output::Record(Fact::Room { room, what })
    };
    if settings.recording.has_members() && cx.config.recording.has_files() {
        cx.emit(fact(format!(
            "what its members say is recorded in {}/{id}-m*",
            recording.folder()
        )));
    }
    if !settings.recording.has_mix() {
        return None;
    }
    cx.emit(Output::Record(Fact::RecordingStarted { recording }));
    cx.emit(fact(format!("is recorded in {}", recording.file())));
    Some(recording)
}

/// By whose rights a room calls in which nobody is.
fn settings_rights(settings: &Room, asker: &Asker) -> Result<String, Refused> {
    let own = match asker {
        Asker::Member(_) => return Err(Refused::NoRoom),
        Asker::User(name) if settings.moderators.contains(name) => Some(&**name),
        Asker::User(_) => return Err(Refused::NotAllowed),
        Asker::Operator => None,
    };
    rights(&settings.outgoing, own)
}

/// Who is called, as others in the room see him.
fn callee(config: &Config, rights: &str, number: &str) -> Callee {
    let decision = routing::decide(config, &Source::User(rights.to_owned()), number);
    let (user, host) = match &decision.plan {
        Plan::User(name) => (config.user(name), String::new()),
        Plan::Trunk { ix, .. } => (None, host_of(config, *ix)),
        Plan::Echo | Plan::Tone | Plan::Room(_) | Plan::Reject { .. } => (None, String::new()),
    };
    match user {
        Some(user) => {
            let display = user.display_name.clone().unwrap_or_else(|| user.name.clone());
            Callee {
                uri: format!("sip:{}@{}", escaped(&user.name), user.domain),
                display,
                user: Some(user.name.clone()),
            }
        }
        None => Callee {
            uri: format!("sip:{}@{host}", escaped(&decision.number)),
            display: decision.number,
            user: None,
        },
    }
}

//! What operators ask by the control socket, and what those of them are told who look on.

use super::machines::Machines;
use crate::config::Config;
use crate::control::{Happened, Line, Named, Request};
use crate::cx::Cx;
use crate::effect::Output;
use crate::id::ControlId;
use crate::limits;
use crate::room::view::{Action, Asker, MemberId, MemberView, Refused, RoomEvent, RoomView, Status};
use crate::routing;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Who looks on. The shell bounds the connections, and so these.
#[derive(Debug, Default)]
pub(super) struct Watches(BTreeMap<ControlId, Watch>);

/// One who is told what happens in a room.
#[derive(Debug)]
struct Watch {
    /// Its number.
    room: String,
    seen: Known,
}

/// What of a room was told last.
#[derive(Debug, Default)]
struct Known {
    locked: bool,
    recorded: bool,
    members: BTreeMap<MemberId, MemberView>,
}

impl Known {
    fn of(view: &RoomView) -> Known {
        Known {
            locked: view.locked,
            recorded: view.recorded,
            members: view.members.iter().map(|member| (member.id, member.clone())).collect(),
        }
    }

    /// What is told of an event, by the room as it is now.
    fn lines(&mut self, now: &Known, event: &RoomEvent) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut tell = |happened, member: Option<&MemberView>| {
            lines.push(Line::Event(happened, member.map(Named::of)));
        };
        match *event {
            RoomEvent::Joined(id) => {
                if let Some(member) = now.members.get(&id) {
                    self.members.insert(id, member.clone());
                    tell(Happened::Joined, Some(member));
                }
            }
            RoomEvent::Left(id) => {
                if let Some(member) = self.members.remove(&id) {
                    tell(Happened::Left, Some(&member));
                }
            }
            RoomEvent::Speaking(id, speaks) => {
                let happened = if speaks { Happened::Speaks } else { Happened::Silent };
                if let Some(member) = self.members.get_mut(&id) {
                    member.speaking = speaks;
                    tell(happened, Some(member));
                }
            }
            // Pictures are of pages, and so is the question for a PIN in words.
            RoomEvent::Shows(..) | RoomEvent::Door(_) => {}
            RoomEvent::Changed(id) => {
                if let Some(member) = now.members.get(&id) {
                    let old = self.members.insert(id, member.clone());
                    let all = old.map_or_else(Vec::new, |old| differences(&old, member));
                    all.into_iter().for_each(|happened| tell(happened, Some(member)));
                }
            }
            RoomEvent::Room => {
                let switches = [
                    (self.locked, now.locked, [Happened::Unlocked, Happened::Locked]),
                    (self.recorded, now.recorded, [Happened::NotRecorded, Happened::Recorded]),
                ];
                for (_, is, words) in switches.into_iter().filter(|(was, is, _)| was != is) {
                    tell(words[usize::from(is)], None);
                }
                (self.locked, self.recorded) = (now.locked, now.recorded);
            }
            RoomEvent::Ended => {
                *self = Known::default();
                tell(Happened::Ended, None);
            }
        }
        lines
    }
}

fn differences(old: &MemberView, new: &MemberView) -> Vec<Happened> {
    let is_held = |member: &MemberView| member.status == Status::OnHold;
    let mut all = Vec::new();
    let mut switch = |was: bool, is: bool, words: [Happened; 2]| {
        if was != is {
            all.push(words[usize::from(is)]);
        }
    };
    switch(old.muted, new.muted, [Happened::Unmuted, Happened::Muted]);
    switch(old.deaf, new.deaf, [Happened::Undeafened, Happened::Deafened]);
    switch(is_held(old), is_held(new), [Happened::Back, Happened::Held]);
    if old.role != new.role {
        all.push(Happened::Role(new.role));
    }
    all
}

impl Machines {
    /// A request by the control socket. One that is not for ever is answered whole, and its connection closed.
    pub(super) fn asked(&mut self, cx: &mut Cx<'_>, id: ControlId, line: &[u8]) {
        let request = match std::str::from_utf8(line) {
            Ok(line) => Request::parse(line),
            Err(_) => Err("that line is not UTF-8".to_owned()),
        };
        let answered = request.and_then(|request| match request {
            Request::Rooms => {
                let rooms = self.calls.room_views();
                let lines = rooms.into_iter().map(|view| summed_up(&view)).collect();
                Ok((lines, true))
            }
            Request::Room(name) => {
                let view = self.room_named(cx, &name)?;
                let members = view.members.iter().cloned().map(Line::Member);
                Ok((std::iter::once(summed_up(&view)).chain(members).collect(), true))
            }
            Request::Act(name, action) => self.act(cx, &name, action).map(|()| (Vec::new(), true)),
            Request::Take(name, call) => {
                let room = self.room_named(cx, &name)?.number;
                let taken = self.calls.room_take(cx, &mut self.net, &room, call);
                taken.map_err(|refused| words(&room, refused))?;
                Ok((Vec::new(), true))
            }
            Request::Watch(name) => {
                let view = self.room_named(cx, &name)?;
                self.watches.add(id, &view).map(|()| (Vec::new(), false))
            }
        });
        let (lines, last) = match answered {
            Ok((mut lines, last)) => {
                lines.insert(0, Line::Done);
                lines.extend(last.then_some(Line::End));
                (lines, last)
            }
            Err(why) => (vec![Line::Refused(why), Line::End], true),
        };
        tell(cx, id, &lines, last);
    }

    fn act(&mut self, cx: &mut Cx<'_>, name: &str, action: Action) -> Result<(), String> {
        let room = self.room_named(cx, name)?.number;
        self.calls
            .room_act(cx, &mut self.net, &room, Asker::Operator, action)
            .map_err(|refused| words(&room, refused))
    }

    /// The room with this number, or else the only one with this name; where nobody is in it too, if the configuration has it.
    fn room_named(&self, cx: &Cx<'_>, name: &str) -> Result<RoomView, String> {
        let number = cx.config.room(name).map_or(name, |room| &room.number);
        if let Some(view) = self.calls.room_here(cx, number) {
            return Ok(view);
        }
        let mut named = self.calls.room_views().into_iter().filter(|view| view.name == name);
        match (named.next(), named.next()) {
            (Some(view), None) => Ok(view),
            (Some(_), Some(_)) => Err(format!("several rooms are called {name:?}: write the number")),
            (None, _) => Err(no_room(cx.config, name)),
        }
    }

    /// What has happened in rooms is told to who looks on.
    pub(super) fn tell_watches(&mut self, cx: &mut Cx<'_>, events: &[(String, RoomEvent)]) {
        for (id, watch) in &mut self.watches.0 {
            let mut own = events.iter().filter(|(room, _)| *room == watch.room).peekable();
            if own.peek().is_none() {
                continue;
            }
            let now = self
                .calls
                .room_view(&watch.room)
                .as_ref()
                .map(Known::of)
                .unwrap_or_default();
            let lines: Vec<Line> = own.flat_map(|(_, event)| watch.seen.lines(&now, event)).collect();
            if !lines.is_empty() {
                tell(cx, *id, &lines, false);
            }
        }
    }
}

impl Watches {
    fn add(&mut self, id: ControlId, view: &RoomView) -> Result<(), String> {
        if self.0.len() >= limits::CONTROL_CONNECTIONS {
            return Err("as many look on as may".to_owned());
        }
        let room = view.number.clone();
        let seen = Known::of(view);
        self.0.insert(id, Watch { room, seen });
        Ok(())
    }

    /// One is gone.
    pub(super) fn remove(&mut self, id: ControlId) {
        self.0.remove(&id);
    }
}

/// Why something was not done with a room that there is.
fn words(room: &str, refused: Refused) -> String {
    match refused {
        Refused::NoRoom => format!("nobody is in room {room}"),
        Refused::NoMember | Refused::NotAllowed | Refused::Full | Refused::Unreached | Refused::Impossible(_) => {
            refused.to_string()
        }
    }
}

/// Nobody is in a room of this name, and the configuration has none; one may be made of a number that is called.
fn no_room(config: &Config, name: &str) -> String {
    if routing::makes_room(config, name) {
        return format!("nobody is in room {name}: it is made on demand, when somebody calls it");
    }
    let rooms = config.room_names();
    format!("there is no room {name:?}: {rooms}")
}

fn summed_up(view: &RoomView) -> Line {
    let room = RoomView {
        members: Vec::new(),
        number: view.number.clone(),
        name: view.name.clone(),
        ..*view
    };
    Line::Room(room, view.members.len())
}

fn tell(cx: &mut Cx<'_>, to: ControlId, lines: &[Line], last: bool) {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    cx.emit(Output::Control {
        to,
        lines: Bytes::from(lines),
        last,
    });
}

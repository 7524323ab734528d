//! The rooms of a worker.

use super::{Tick, Worker};
use crate::id::MediaRoomId;
use crate::media::command::Function;
use crate::media::input::{Output, Outputs, RoomChange, RoomPart};
use crate::media::leg::Role;
use crate::media::packet::{LegIx, TxBatch};
use crate::media::room::{Room, RoomIx};
use crate::time::Instant;

impl Worker {
    /// A room that lives here.
    pub fn room(&self, id: MediaRoomId) -> Option<&Room> {
        let at = self.room_by_id.get(&id)?;
        self.rooms[at.index()].as_deref()
    }

    /// Rooms that live here.
    pub fn has_rooms(&self) -> bool {
        !self.room_by_id.is_empty()
    }

    /// The rooms' part of a tick.
    pub(super) fn tick_rooms(&mut self, now: Instant, out: &mut TxBatch, outputs: &mut Outputs) -> Tick {
        if !self.has_rooms() {
            return Tick::Done;
        }
        while self.room_cursor < self.rooms.len() {
            let Some(mut room) = self.rooms[self.room_cursor].take() else {
                self.room_cursor += 1;
                continue;
            };
            let from_here = out.len();
            let has_room = !outputs.must_drain();
            let is_done = has_room && {
                room.hear(now, &mut self.legs, outputs);
                room.send(now, &mut self.legs, out, outputs)
            };
            self.rooms[self.room_cursor] = Some(room);
            self.seal(out, from_here);
            if !is_done {
                return Tick::More;
            }
            self.room_cursor += 1;
        }
        Tick::Done
    }

    pub(super) fn open_room(&mut self, room: Box<Room>, outputs: &mut Outputs) {
        let place = (0u16..).zip(&self.rooms).find(|(_, slot)| slot.is_none());
        match place.map(|(at, _)| RoomIx(at)) {
            Some(at) if !self.room_by_id.contains_key(&room.id()) => {
                self.room_by_id.insert(room.id(), at);
                self.rooms[at.index()] = Some(room);
            }
            Some(_) | None => outputs.push(Output::RetiredRoom(RoomPart::Room(room))),
        }
    }

    pub(super) fn change_room(&mut self, now: Instant, id: MediaRoomId, change: RoomChange, outputs: &mut Outputs) {
        let at = self.room_by_id.get(&id).copied();
        let room = at.and_then(|at| self.rooms[at.index()].as_mut());
        let old = match (change, room) {
            (RoomChange::Close, _) => self.close_room(now, id).map(RoomPart::Room),
            (RoomChange::Class(mut class, old), Some(room)) => {
                class.coder.limit(self.effort);
                room.add_class(class, old).map(RoomPart::Class)
            }
            (RoomChange::Link(link), Some(room)) => room.link(link).map(RoomPart::Link),
            (RoomChange::Play(play), Some(room)) => room.play(play, outputs).map(RoomPart::Play),
            (RoomChange::Record(recorder), Some(room)) => room.record(recorder).map(RoomPart::Recorder),
            // It is gone: what was for it goes back.
            (RoomChange::Class(class, _), None) => Some(RoomPart::Class(class)),
            (RoomChange::Link(link), None) => Some(RoomPart::Link(link)),
            (RoomChange::Play(play), None) => play.map(RoomPart::Play),
            (RoomChange::Record(recorder), None) => recorder.map(RoomPart::Recorder),
        };
        if let Some(part) = old {
            outputs.push(Output::RetiredRoom(part));
        }
    }

    fn close_room(&mut self, now: Instant, id: MediaRoomId) -> Option<Box<Room>> {
        let at = self.room_by_id.remove(&id)?;
        while let Some(member) = self.rooms[at.index()]
            .as_ref()
            .and_then(|room| room.members().last().copied())
        {
            self.set_function(now, member, Function::Idle);
            self.refresh(now, member);
        }
        self.rooms[at.index()].take()
    }

    /// A leg sits down in a room, if that is here and has a seat for it.
    pub(super) fn sit(&mut self, at: LegIx, id: MediaRoomId) -> Role {
        let place = self.room_by_id.get(&id).copied();
        let room = place.and_then(|place| self.rooms[place.index()].as_mut());
        let sits = room.is_some_and(|room| room.enter(at));
        match place {
            Some(place) if sits => Role::Room(place),
            Some(_) | None => Role::Idle,
        }
    }
}

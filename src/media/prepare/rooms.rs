//! Commands about rooms.

use super::{Known, PrepareError, Preparer};
use crate::id::{MediaLegId, MediaRoomId};
use crate::limits;
use crate::media::command::{Command, Function, Recording, RoomSpec, Side, Stream};
use crate::media::input::{Input, RoomChange};
use crate::media::play::Play;
use crate::media::room::{Class, ClassKey, Link, Recorder, Room, step};
use codecs::{Codec, Rate};

/// What is known of a room.
#[derive(Clone, Debug)]
pub(super) struct KnownRoom {
    pub(super) spec: RoomSpec,
    classes: Vec<ClassKey>,
}

impl Preparer {
    /// What is commanded of a room.
    pub(super) fn room_command(&mut self, command: Command) -> Result<Vec<Input>, PrepareError> {
        let (room, change) = match command {
            Command::OpenRoom(spec) => return self.open_room(spec),
            Command::CloseRoom(room) => (room, RoomChange::Close),
            Command::LinkRoom { room, to } => return Ok(self.link(room, to).into_iter().collect()),
            Command::PlayRoom { room, music } => (room, RoomChange::Play(Some(Box::new(Play::new(music, false))))),
            Command::RecordRoom { room, to } => {
                let known = self.rooms.get(&room).ok_or(PrepareError::Room(room))?;
                let rate = known.spec.rate;
                let recorder = to.map(|to| self.recorder(rate, to)).transpose()?;
                (room, RoomChange::Record(recorder))
            }
            Command::Open(_)
            | Command::Negotiated { .. }
            | Command::Protect { .. }
            | Command::Connect { .. }
            | Command::Video { .. }
            | Command::Function { .. }
            | Command::Play { .. }
            | Command::SendDigits { .. }
            | Command::Watch { .. }
            | Command::Record { .. }
            | Command::Seat { .. }
            | Command::Move { .. }
            | Command::ReadStats(_)
            | Command::Close(_) => return Ok(Vec::new()),
        };
        if !self.rooms.contains_key(&room) {
            return Err(PrepareError::Room(room));
        }
        if matches!(change, RoomChange::Close) {
            self.rooms.remove(&room);
            self.pipe_ends.retain(|(one, other), _| *one != room && *other != room);
            return Ok(self.disperse(room, change));
        }
        Ok(vec![Input::Room { room, change }])
    }

    fn open_room(&mut self, spec: RoomSpec) -> Result<Vec<Input>, PrepareError> {
        if self.rooms.contains_key(&spec.id) {
            return Err(PrepareError::Room(spec.id));
        }
        let known = KnownRoom {
            spec,
            classes: Vec::new(),
        };
        self.rooms.insert(spec.id, known);
        Ok(vec![Input::OpenRoom(Box::new(Room::new(spec)))])
    }

    /// One end of the pipe between two parts of a room; the other waits for its command.
    fn link(&mut self, room: MediaRoomId, to: MediaRoomId) -> Option<Input> {
        let known = self.rooms.get(&room)?;
        let pipe = match self.pipe_ends.remove(&(room, to)) {
            Some(end) => end,
            None => {
                let samples = step(known.spec.rate);
                let [here, there] = self.pipes.as_mut()?.pair(samples);
                self.pipe_ends.insert((to, room), there);
                here
            }
        };
        let change = RoomChange::Link(Link(pipe));
        Some(Input::Room { room, change })
    }

    fn recorder(&mut self, rate: Rate, to: Recording) -> Result<Box<Recorder>, PrepareError> {
        let sinks = self.sinks.as_mut();
        let sinks = sinks.map(|sinks| [Side::Caller, Side::Callee].map(|side| sinks.open(to, side)));
        let sinks = sinks.into_iter().flatten().flatten().collect();
        Recorder::new(rate, sinks).map(Box::new).map_err(PrepareError::Opus)
    }

    /// A room ends: its members are idle.
    fn disperse(&mut self, room: MediaRoomId, change: RoomChange) -> Vec<Input> {
        let mut inputs = vec![Input::Room { room, change }];
        let members = self
            .legs
            .iter_mut()
            .filter(|(_, known)| known.function == Function::Room(room));
        let members: Vec<MediaLegId> = members
            .map(|(leg, known)| {
                known.function = Function::Idle;
                *leg
            })
            .collect();
        inputs.extend(members.into_iter().filter_map(|leg| self.fit(leg)));
        inputs
    }

    /// Of who sits in a room, whether what he says in this codec may be forwarded there.
    pub(super) fn seated(&self, function: Function, codec: Codec) -> Option<bool> {
        let Function::Room(room) = function else { return None };
        let forwards = self.rooms.get(&room).is_some_and(|room| room.spec.forwards);
        Some(forwards && codec == Codec::Opus)
    }

    /// The encoders for listeners that a member of a room brings, where it is the first of its kind.
    pub(super) fn classes(&mut self, known: &Known) -> Result<Vec<Input>, PrepareError> {
        let (Function::Room(id), Some(stream)) = (known.function, known.stream.filter(|stream| !stream.udptl)) else {
            return Ok(Vec::new());
        };
        let room = self.rooms.get_mut(&id).ok_or(PrepareError::Room(id))?;
        let (rate, spec) = (room.spec.rate, room.spec);
        let legs = &self.legs;
        let key_of =
            |stream: &Stream, places, lossy| ClassKey::new(stream, rate, (spec.hears_apart(stream, places), lossy));
        let is_used = |key: &ClassKey| {
            let members = legs.values().filter(|known| known.function == Function::Room(id));
            let members = members.filter_map(|known| Some((known.stream?, known.voices)));
            let mut streams = members.chain([(stream, known.voices)]);
            streams.any(|(stream, places)| [false, true].map(|lossy| key_of(&stream, places, lossy)).contains(key))
        };
        let mut inputs = Vec::new();
        for lossy in [false, true] {
            let key = key_of(&stream, known.voices, lossy);
            if room.classes.contains(&key) {
                continue;
            }
            let is_full = room.classes.len() >= limits::ROOM_CLASSES;
            let old = is_full.then(|| room.classes.iter().position(|key| !is_used(key)));
            if old == Some(None) {
                continue;
            }
            let old = old.flatten().map(|place| room.classes.swap_remove(place));
            let class = Class::new(&stream, rate, (key.rest, lossy)).map_err(PrepareError::Opus)?;
            room.classes.push(key);
            inputs.push(Input::Room {
                room: id,
                change: RoomChange::Class(Box::new(class), old),
            });
        }
        Ok(inputs)
    }
}

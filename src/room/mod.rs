//! Rooms: where several people hear one another. A pure machine: who comes and goes, keys, what is asked for and time go in; what each
//! member hears, and what the workers and the calls are to do, comes out.
//!
//! ```text
//!   dials in ------> Pin ------+--> Name, Says --+                 +--> Waiting --+ a moderator comes
//!                     | 3 times wrong            |                 |              v
//!   is called --> Calling, Ringing --> Asked --> admitted --> Told (it is recorded) --> In ----> Leaving (hears why) --> gone
//!                                       | no answer by key      | kicked, the end
//!                                       v                       v
//!                                      gone                  hangs up: gone
//! ```
//!
//! A member is a call of [`crate::b2bua`], which sees a room through [`Rooms`]: it tells [`Input`]s, and carries [`Effect`]s out after its
//! own turn. The mix itself is the workers' (`Command::OpenRoom` and what follows it).
//!
//! | file | what |
//! |---|---|
//! | `view` | a room as others see it, and what they may ask of it |
//! | `member` | one member: how far it is, what it hears |
//! | `live` | one room: who comes in, who leaves |
//! | `name` | who comes says its name |
//! | `sounds` | what all in it hear besides one another; how it ends |
//! | `recorded` | it is recorded, and who is told of that |
//! | `door` | who may come in: the PIN, the answer by key of who was called |
//! | `keys` | what members press |
//! | `act` | what is asked of a room, and by whose rights |
//! | `guesses` | wrong PINs |
//! | `parts` | a room that lies on several workers |
//! | `address` | how a room and its members are named in URIs |
//! | `progress` | how far somebody is whom a room calls, as a status |
//! | `rest` | a room in which nobody is |

mod act;
pub mod address;
mod door;
mod guesses;
mod keys;
mod live;
mod member;
mod name;
mod parts;
pub mod progress;
mod recorded;
mod rest;
#[cfg(test)]
pub mod samples;
mod sounds;
mod stand;
#[cfg(test)]
mod tests;
pub mod view;

pub use act::rights;
pub use member::{Hears, silence};
pub use rest::at_rest;

use crate::config;
use crate::id::{CallId, MediaRoomId, WorkerId};
use crate::limits;
use crate::media::command::{Command, Music};
use crate::pii::Digit;
use crate::time::{Deadlines, Instant, Wall};
use guesses::Guesses;
use live::Live;
use member::Member;
pub use stand::Stand;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use view::{Action, Asker, MemberId, Refused, RoomEvent, RoomView, Slot};

/// A member, as its call knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room, for as long as somebody is in it.
    pub room: MediaRoomId,
    /// Which member of it.
    pub member: MemberId,
}

/// How somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// By a call to the room: it is asked for the PIN, if there is one.
    Dialled,
    /// Somebody who may has brought it in: it is asked nothing.
    Brought,
    /// It takes the place of another member, with what goes with that.
    InPlace(Stand),
}

/// Who comes.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its call.
    pub call: CallId,
    /// As it is shown.
    pub uri: String,
    /// Its name for others.
    pub display: String,
    /// The user of ours that it is.
    pub user: Option<String>,
    /// Whose wrong PINs are counted together.
    pub source: String,
    /// How.
    pub entrance: Entrance,
}

/// Whom a room calls.
#[derive(Clone, Debug)]
pub struct Callee {
    /// As it is shown.
    pub uri: String,
    /// Its name for others.
    pub display: String,
    /// The user of ours that it is.
    pub user: Option<String>,
}

/// What a member's call tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Who is called rings.
    Rings,
    /// Who was called has answered.
    Answered,
    /// A key was pressed.
    Digit(Digit),
    /// What it was to hear once is at its end.
    Played,
    /// What was noted of what it said: its name, unless it said nothing.
    Named(Option<Music>),
    /// Its peer holds us, or no longer.
    Holds(bool),
    /// It speaks, or no longer.
    Speaks(bool),
    /// On a line of its video, by its `a=mid`, the member with this call is seen now, or nobody; true where it is a screen.
    Shows(Box<str>, Option<(CallId, bool)>),
    /// Its video has these lines from now on, by their `a=mid`.
    Lines(Vec<Box<str>>),
    /// Its call is over, or elsewhere.
    Left,
}

/// Why a member is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The status that describes it.
    pub status: u16,
    /// In words.
    pub why: &'static str,
}

/// What a room wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A worker is told something.
    Media(WorkerId, Command),
    /// What is said in it is recorded from now on, or no longer.
    Record {
        /// On this worker.
        worker: WorkerId,
        /// What.
        room: MediaRoomId,
        /// Its name, for the log.
        name: String,
        /// By these settings; none: no longer.
        settings: Option<Arc<config::Room>>,
    },
    /// What a member says is recorded from now on, or no longer.
    RecordMember(CallId, Place, bool),
    /// A member hears this from now on.
    Hear(CallId, Place, Hears),
    /// A member's call is ended.
    Dismiss(CallId, Place, Parting),
    /// Somebody is called.
    Call {
        /// Who it becomes.
        place: Place,
        /// What is dialled.
        number: String,
        /// By the rights of this user.
        rights: String,
    },
    /// Something for the record of a member's call.
    Tell(CallId, String),
    /// Something for the log: the room's name, and what.
    Log(String, String),
    /// Something for those who listen: the room's number, and what.
    Event(Arc<str>, RoomEvent),
}

/// What a room wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Due {
    /// Somebody at the door has not answered, or it is its turn to be judged.
    Door(MemberId),
    /// No further key came.
    Pressed(MemberId),
    /// All hear again that it is recorded.
    Beep,
    /// It ends soon.
    Warn,
    /// It ends.
    End,
    /// Who speaks may be told again.
    Speaking,
}

/// What a room is given for one step.
struct Step<'s> {
    now: Instant,
    wall: Wall,
    effects: &'s mut VecDeque<Effect>,
    timers: &'s mut Deadlines<(MediaRoomId, Due)>,
    guesses: &'s mut Guesses,
    /// Names that are kept, or being said, in all rooms.
    names: &'s mut usize,
}

/// All rooms in which somebody is, or is on the way.
#[derive(Debug, Default)]
pub struct Rooms {
    rooms: BTreeMap<MediaRoomId, Live>,
    numbers: BTreeMap<Arc<str>, MediaRoomId>,
    last: u64,
    inputs: VecDeque<(Place, Input)>,
    played: VecDeque<MediaRoomId>,
    effects: VecDeque<Effect>,
    timers: Deadlines<(MediaRoomId, Due)>,
    guesses: Guesses,
    names: usize,
}

impl Rooms {
    /// The worker on which a room has a place for one more, if somebody is in it.
    pub fn worker(&self, number: &str) -> Option<WorkerId> {
        self.by_number(number).and_then(Live::free_worker)
    }

    /// Where a member sits: the worker, and what the room is called there.
    pub fn seat(&self, place: Place) -> Option<(WorkerId, MediaRoomId)> {
        self.rooms.get(&place.room)?.seat(place.member)
    }

    /// Whether so many more may join: the error is what it would be told by voice, and why.
    ///
    /// # Errors
    /// It is locked or full, or there are as many rooms as there may be.
    pub fn admits(
        &self,
        number: &str,
        settings: &config::Room,
        more: usize,
    ) -> Result<(), (Option<config::Prompt>, Parting)> {
        match self.by_number(number) {
            Some(room) => room.admits(more),
            None if !self.has_place(settings) => {
                let why = "as many rooms are up as may be";
                Err((None, Parting { status: 503, why }))
            }
            None => Ok(()),
        }
    }

    /// One more room of these settings may be opened.
    fn has_place(&self, settings: &config::Room) -> bool {
        let is_on_demand = |settings: &config::Room| settings.number == "*";
        let on_demand = self.rooms.values().filter(|room| is_on_demand(&room.settings));
        self.rooms.len() < limits::ROOMS && (!is_on_demand(settings) || on_demand.count() < limits::ROOMS_ON_DEMAND)
    }

    /// Somebody comes to a room, which is made where there is none: `admits` was asked before.
    pub fn arrive(
        &mut self,
        (now, wall): (Instant, Wall),
        (number, settings): (&str, &Arc<config::Room>),
        worker: WorkerId,
        arrival: Arrival,
    ) -> Place {
        let id = self.open((now, wall), number, settings, worker);
        self.step(now, wall, id, |room, s| room.arrive(s, worker, arrival))
            .expect("the room was opened above")
    }

    fn open(
        &mut self,
        (now, wall): (Instant, Wall),
        number: &str,
        settings: &Arc<config::Room>,
        worker: WorkerId,
    ) -> MediaRoomId {
        if let Some(id) = self.numbers.get(number) {
            return *id;
        }
        self.last += parts::NAMES;
        let (id, number) = (MediaRoomId(self.last), Arc::<str>::from(number));
        self.numbers.insert(number.clone(), id);
        self.rooms
            .insert(id, Live::new(id, number, settings.clone(), worker, wall));
        self.step(now, wall, id, |room, s| room.open(s));
        id
    }

    /// A member's call tells something; it is heard with `tend`.
    pub fn tell(&mut self, place: Place, input: Input) {
        self.inputs.push_back((place, input));
    }

    /// What was played to a room is at its end.
    pub fn played(&mut self, room: MediaRoomId) {
        self.played.push_back(room);
    }

    /// Hears what calls have told, until there is something to be done. `None`: nothing is left.
    pub fn tend(&mut self, now: Instant, wall: Wall) -> Option<Effect> {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Some(effect);
            }
            if let Some((place, input)) = self.inputs.pop_front() {
                self.step(now, wall, place.room, |room, s| room.input(s, place.member, input));
            } else if let Some(room) = self.played.pop_front() {
                self.step(now, wall, room, Live::played);
            } else {
                return None;
            }
        }
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, now: Instant, wall: Wall) {
        while let Some((room, due)) = self.timers.pop_due(now) {
            self.step(now, wall, room, |room, s| room.due(s, due));
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    /// Does what is asked of a room.
    ///
    /// # Errors
    /// Why not.
    pub fn act(
        &mut self,
        (now, wall): (Instant, Wall),
        number: &str,
        asker: &Asker,
        action: &Action,
    ) -> Result<(), Refused> {
        let id = self.numbers.get(number).copied().ok_or(Refused::NoRoom)?;
        let done = self.step(now, wall, id, |room, s| {
            // One that was opened only to call somebody does not stay where it may not.
            room.begun = true;
            room.act(s, asker, action)
        });
        done.unwrap_or(Err(Refused::NoRoom))
    }

    /// A room from which somebody is to be called is opened, if there is none.
    ///
    /// # Errors
    /// There are as many rooms as there may be.
    pub fn prepare(
        &mut self,
        at: (Instant, Wall),
        number: &str,
        settings: &Arc<config::Room>,
        worker: WorkerId,
    ) -> Result<(), Refused> {
        if !self.numbers.contains_key(number) && !self.has_place(settings) {
            return Err(Refused::Full);
        }
        self.open(at, number, settings, worker);
        Ok(())
    }

    /// By whose rights a room calls somebody for this asker.
    ///
    /// # Errors
    /// By nobody's.
    pub fn rights(&self, number: &str, asker: &Asker) -> Result<String, Refused> {
        let room = self.by_number(number).ok_or(Refused::NoRoom)?;
        room.may_call(asker)
    }

    /// Who was called has answered on a phone of this user: `Input::Answered` is told after it.
    pub fn answered_by(&mut self, place: Place, user: &str) {
        if let Some(room) = self.rooms.get_mut(&place.room) {
            room.answered_by(place.member, user);
        }
    }

    /// Who is called has a call now, and is shown like this.
    pub fn called(&mut self, place: Place, call: CallId, callee: Callee) {
        if let Some(room) = self.rooms.get_mut(&place.room) {
            room.called(place.member, call, callee);
        }
    }

    /// A room of this number, if somebody is in it or on the way.
    pub fn view(&self, number: &str) -> Option<RoomView> {
        self.by_number(number).map(Live::view)
    }

    /// Whom a member sees on which lines of its video.
    pub fn slots(&self, place: Place) -> Vec<Slot> {
        let member = self.rooms.get(&place.room).and_then(|room| room.member(place.member));
        member.map(Member::slots).unwrap_or_default()
    }

    /// How often a member was wrong that is asked for the PIN; none where it is not, or no longer.
    pub fn asked_pin(&self, place: Place) -> Option<u8> {
        self.rooms.get(&place.room)?.member(place.member)?.asked_pin()
    }

    /// All of them, by number.
    pub fn views(&self) -> Vec<RoomView> {
        let rooms = self.numbers.values().filter_map(|id| self.rooms.get(id));
        rooms.map(Live::view).collect()
    }

    /// The number of a room.
    pub fn number(&self, room: MediaRoomId) -> Option<&Arc<str>> {
        self.rooms.get(&room).map(|room| &room.number)
    }

    /// What a room is called in the log.
    pub fn name(&self, room: MediaRoomId) -> Option<String> {
        self.rooms.get(&room).map(Live::name)
    }

    /// The settings of a room.
    pub fn settings(&self, room: MediaRoomId) -> Option<&Arc<config::Room>> {
        self.rooms.get(&room).map(|room| &room.settings)
    }

    /// The name of the recording that is made of a room from now on, or none.
    pub fn set_recording(&mut self, room: MediaRoomId, recording: Option<CallId>) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.recording = recording;
        }
    }

    /// The name of the recording that is made of a room.
    pub fn recording(&self, room: MediaRoomId) -> Option<CallId> {
        self.rooms.get(&room)?.recording
    }

    /// What goes with the place of a member to who takes it (`Entrance::InPlace`); none where nobody may.
    pub fn stand(&self, place: Place) -> Option<Stand> {
        self.rooms.get(&place.room)?.stand(place.member)
    }

    /// Rooms in which somebody is, or is on the way.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    fn by_number(&self, number: &str) -> Option<&Live> {
        self.numbers.get(number).and_then(|id| self.rooms.get(id))
    }

    /// One step of one room; one that nobody is left in is gone after it.
    fn step<R>(
        &mut self,
        now: Instant,
        wall: Wall,
        id: MediaRoomId,
        step: impl FnOnce(&mut Live, &mut Step<'_>) -> R,
    ) -> Option<R> {
        let room = self.rooms.get_mut(&id)?;
        let s = &mut Step {
            now,
            wall,
            effects: &mut self.effects,
            timers: &mut self.timers,
            guesses: &mut self.guesses,
            names: &mut self.names,
        };
        let result = step(room, s);
        room.settle(s);
        if room.is_over() {
            room.close(s);
            let number = room.number.clone();
            self.rooms.remove(&id);
            self.numbers.remove(&number);
        }
        Some(result)
    }
}

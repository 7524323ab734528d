//! Somebody who is heard: faded in and out, at the room's rate.

use super::apart::{Apart, Place, Whose};
use super::bands::{Bands, Down, Up};
use super::recent::Recent;
use super::step;
use crate::id::MediaLegId;
use crate::media::packet::LegIx;
use crate::time::Instant;
use codecs::{Rate, mix};

/// One of a few who are heard at once.
#[derive(Debug)]
pub struct Voice {
    /// Whose, unless it is free.
    pub at: LegIx,
    id: MediaLegId,
    state: State,
    /// How loud it was at the end of the last tick, of `mix::ONE`.
    gain: i32,
    /// From its own rate to the room's.
    up: Up,
    /// And back.
    down: Down,
    frame: Box<[i16]>,
    /// It goes as it comes to those who hear it apart.
    pub is_apart: bool,
    /// Who those are; in a room that forwards voices.
    pub apart: Option<Apart>,
    /// Who was forwarded at the last tick.
    forwarded: Option<Whose>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Heard,
    /// It has lost its place, and is faded out.
    Leaves,
}

impl Voice {
    /// Nobody's yet, in a room of this rate; for so many listeners, where voices are forwarded.
    pub fn new(room: Rate, forwards: Option<usize>) -> Voice {
        Voice {
            at: LegIx(0),
            id: MediaLegId(0),
            state: State::Free,
            gain: 0,
            up: Up::default(),
            down: Down::default(),
            frame: vec![0; step(room)].into(),
            is_apart: false,
            apart: forwards.map(Apart::new),
            forwarded: None,
        }
    }

    /// Nobody's.
    pub fn is_free(&self) -> bool {
        self.state == State::Free
    }

    /// Whether it is this one's.
    pub fn is_of(&self, at: LegIx) -> bool {
        !self.is_free() && self.at == at
    }

    /// Its leg has a place, or not. False where it becomes free by that: it was faded out at the last tick.
    pub fn keep(&mut self, has_place: bool) -> bool {
        self.state = match self.state {
            State::Free => State::Free,
            State::Heard | State::Leaves if has_place => State::Heard,
            State::Leaves if self.gain == 0 => {
                self.state = State::Free;
                return false;
            }
            State::Heard | State::Leaves => State::Leaves,
        };
        true
    }

    /// Its leg is gone.
    pub fn forget(&mut self, at: LegIx) {
        if self.is_of(at) {
            self.state = State::Free;
        }
    }

    /// It is forwarded, or was until a moment ago.
    pub fn is_forwarded(&self) -> bool {
        self.is_apart && !self.is_free()
    }

    /// Whose it is, while it is forwarded.
    pub fn whose(&self) -> Option<Whose> {
        (self.is_apart && self.state == State::Heard).then_some((self.at, self.id))
    }

    /// It is forwarded from this tick on: what was kept of what its leg said before goes first, as much of it as is wanted. The leg gets an empty
    /// place for it in turn. Tells how many packets that is.
    pub fn take_early(&mut self, now: Instant, recent: &mut Box<Recent>, (ms, most): (u32, usize)) -> usize {
        let Some(apart) = &mut self.apart else { return 0 };
        std::mem::swap(recent, &mut apart.early);
        apart.early.trim(now, ms, most);
        apart.early.iter().count()
    }

    /// The tick is over.
    pub fn end(&mut self) {
        if let Some(apart) = &mut self.apart {
            apart.early.clear();
        }
    }

    /// Whether another is forwarded than at the last tick, and who; asked once a tick.
    pub fn turn(&mut self) -> Option<Option<Whose>> {
        let now = self.whose();
        let before = std::mem::replace(&mut self.forwarded, now);
        (before != now).then_some(now)
    }

    /// Nobody hears it apart.
    pub fn unhear(&mut self) {
        if let Some(apart) = &mut self.apart {
            apart.listeners.clear();
        }
    }

    /// Somebody begins to be heard, forwarded or not, who has heard what everybody did, brought down by this.
    pub fn begin(&mut self, (at, id): Whose, is_apart: bool, down: &Down) {
        (self.at, self.id, self.is_apart) = (at, id, is_apart);
        (self.state, self.gain) = (State::Heard, 0);
        (self.up, self.down) = (Up::default(), down.clone());
    }

    /// Takes the next 20 ms at the member's own rate; what comes out is as it is heard, at the room's.
    pub fn speak(&mut self, pcm: &[i16], rates: (Rate, Rate)) -> &[i16] {
        let frame = &mut self.frame;
        self.up.process(pcm, rates, frame);
        let (before, after) = match self.state {
            State::Heard => (self.gain, mix::ONE),
            State::Free | State::Leaves => (self.gain, 0),
        };
        if (before, after) != (mix::ONE, mix::ONE) {
            mix::scale(frame, before, after);
        }
        self.gain = after;
        frame
    }

    /// What was heard of it at this tick.
    pub fn frame(&self) -> &[i16] {
        &self.frame
    }

    /// What it hears at the room's rate, also at the lower one that its encoder has.
    pub fn lower(&mut self, heard: &mut Bands, to: Rate) {
        self.down.process(heard, to);
    }
}

/// Puts the voices of others on a member's places; who is on one stays there.
pub fn take_places(voices: &mut [Voice], member: LegIx, places: &mut [Place]) {
    let of_other = |voice: &Voice| voice.whose().filter(|whose| whose.0 != member);
    for place in &mut *places {
        let stays = |whose| voices.iter().any(|voice| of_other(voice) == Some(whose));
        if !place.whose.is_some_and(stays) {
            place.hear(None);
        }
    }
    for voice in voices {
        let Some(whose) = of_other(voice) else { continue };
        let at = |wanted: Option<Whose>| places.iter().position(|place| place.whose == wanted);
        let Some(at) = at(Some(whose)).or_else(|| at(None)) else {
            continue;
        };
        places[at].hear(Some(whose));
        let apart = voice.apart.as_mut();
        let apart = apart.filter(|apart| apart.listeners.len() < apart.listeners.capacity());
        if let (Some(apart), Ok(at)) = (apart, u8::try_from(at)) {
            apart.listeners.push((member, at));
        }
    }
}

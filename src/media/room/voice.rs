//! Somebody who is heard: faded in and out, at the room's rate.

use super::bands::{Bands, Down, Up};
use super::step;
use crate::media::packet::LegIx;
use codecs::{Rate, mix};

/// One of a few who are heard at once.
#[derive(Debug)]
pub struct Voice {
    /// Whose, unless it is free.
    pub at: LegIx,
    state: State,
    /// How loud it was at the end of the last tick, of `mix::ONE`.
    gain: i32,
    /// From its own rate to the room's.
    up: Up,
    /// And back.
    down: Down,
    frame: Box<[i16]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Heard,
    /// It has lost its place, and is faded out.
    Leaves,
}

impl Voice {
    /// Nobody's yet, in a room of this rate.
    pub fn new(room: Rate) -> Voice {
        Voice {
            at: LegIx(0),
            state: State::Free,
            gain: 0,
            up: Up::default(),
            down: Down::default(),
            frame: vec![0; step(room)].into(),
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

    /// Somebody begins to be heard, who has heard what everybody did, brought down by this.
    pub fn begin(&mut self, at: LegIx, down: &Down) {
        (self.at, self.state, self.gain) = (at, State::Heard, 0);
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

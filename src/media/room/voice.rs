//! Somebody who is heard: faded in and out, at the room's rate.

use super::STEP;
use crate::media::packet::LegIx;
use codecs::double::{Down2, Up2};
use codecs::mix;

/// One of a few who are heard at once.
#[derive(Debug)]
pub struct Voice {
    /// Whose, unless it is free.
    pub at: LegIx,
    state: State,
    /// How loud it was at the end of the last tick, of `mix::ONE`.
    gain: i32,
    /// From telephone band to a wide room.
    up: Up2,
    /// From a wide room to telephone band.
    down: Down2,
    frame: [i16; STEP],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Heard,
    /// It has lost its place, and is faded out.
    Leaves,
}

impl Default for Voice {
    fn default() -> Voice {
        Voice {
            at: LegIx(0),
            state: State::Free,
            gain: 0,
            up: Up2::new(),
            down: Down2::new(),
            frame: [0; STEP],
        }
    }
}

impl Voice {
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

    /// Somebody begins to be heard; `before` is what he heard at the last tick, at 16 kHz, if it has that.
    pub fn begin(&mut self, at: LegIx, before: &[i16]) {
        (self.at, self.state, self.gain) = (at, State::Heard, 0);
        (self.up, self.down) = (Up2::new(), Down2::new());
        if before.len() == STEP {
            self.down.process(before, &mut [0; STEP / 2]);
        }
    }

    /// Takes the next 20 ms at the member's own rate; what comes out is as it is heard, `samples` long.
    pub fn speak(&mut self, pcm: &[i16], samples: usize) -> &[i16] {
        let frame = &mut self.frame[..samples];
        if pcm.len() == samples {
            frame.copy_from_slice(pcm);
        } else {
            self.up.process(pcm, frame);
        }
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
    pub fn frame(&self, samples: usize) -> &[i16] {
        &self.frame[..samples]
    }

    /// What it hears in a wide room, for an encoder of 8 kHz.
    pub fn narrow(&mut self, whole: &[i16], out: &mut [i16]) {
        self.down.process(whole, out);
    }
}

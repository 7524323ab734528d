//! The quadrature mirror filters (ITU-T G.722 3.1 and 4.4): what cuts sound into two halves puts them together again.

use super::{limited, saturated};

/// Half of the impulse response: the other half is its mirror image.
const RESPONSE: [i32; 12] = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3_876];
/// Taps of each of the two branches.
const TAPS: usize = 12;
/// The taps that meet every second sample, the newest among them first, and those that meet the ones between.
const BRANCHES: [[i32; TAPS]; 2] = {
    let mut branches = [[0; TAPS]; 2];
    let mut n = 0;
    while n < 2 * TAPS {
        branches[n % 2][n / 2] = RESPONSE[if n < TAPS { n } else { 2 * TAPS - 1 - n }];
        n += 1;
    }
    branches
};
/// How many pairs are taken in before the window moves back to the start.
const ROOM: usize = 64;

/// The pairs that the filters still see.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// By branch, the newest first, `ROOM` of them at most before the older ones.
    past: [[i32; ROOM + TAPS]; 2],
    /// Where the newest is.
    newest: usize,
}

impl Mirror {
    /// Silence until now.
    pub const fn new() -> Self {
        Self {
            past: [[0; ROOM + TAPS]; 2],
            newest: ROOM,
        }
    }

    /// Two samples at 16 kHz to one of the lower and one of the upper half.
    pub fn split(&mut self, first: i16, second: i16) -> (i32, i32) {
        let [even, odd] = self.filter(second.into(), first.into());
        (limited((even + odd) >> 14), limited((even - odd) >> 14))
    }

    /// One sample of each half to two at 16 kHz.
    pub fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        let sums = self.filter(low - high, low + high);
        sums.map(|sum| saturated(sum >> 11) as i16)
    }

    /// Takes in a sample for each branch and gives the sums of both.
    fn filter(&mut self, even: i32, odd: i32) -> [i32; 2] {
        if self.newest == 0 {
            for past in &mut self.past {
                past.copy_within(..TAPS, ROOM);
            }
            self.newest = ROOM;
        }
        self.newest -= 1;
        let window = self.newest..self.newest + TAPS;
        self.past[0][self.newest] = even;
        self.past[1][self.newest] = odd;
        [0, 1].map(|branch| {
            let seen = &self.past[branch][window.clone()];
            BRANCHES[branch]
                .iter()
                .zip(seen)
                .map(|(tap, sample)| tap * sample)
                .sum()
        })
    }
}

//! One sound at the rate of a room and at all lower ones, and what brings it from one to another: G.711 has 8 kHz, G.722 16 and Opus 48.

use super::step;
use codecs::Rate;
use codecs::double::{Down2, Up2};
use codecs::triple::{Down3, Up3};

/// Some ticks of a sound. What is above the room's rate is empty.
#[derive(Debug)]
pub struct Bands {
    narrow: Box<[i16]>,
    wide: Box<[i16]>,
    full: Box<[i16]>,
}

impl Bands {
    /// So many ticks of silence, for a room of this rate.
    pub fn new(room: Rate, ticks: usize) -> Bands {
        let silence = |rate| vec![0; if rate <= room { ticks * step(rate) } else { 0 }].into_boxed_slice();
        Bands {
            narrow: silence(Rate::Narrow),
            wide: silence(Rate::Wide),
            full: silence(Rate::Full),
        }
    }

    /// At this rate, the room's or a lower one.
    pub fn at(&self, rate: Rate) -> &[i16] {
        match rate {
            Rate::Narrow => &self.narrow,
            Rate::Wide => &self.wide,
            Rate::Full => &self.full,
        }
    }

    /// The same, to be written.
    pub fn at_mut(&mut self, rate: Rate) -> &mut [i16] {
        match rate {
            Rate::Narrow => &mut self.narrow,
            Rate::Wide => &mut self.wide,
            Rate::Full => &mut self.full,
        }
    }

    /// A tick goes out; the oldest is forgotten.
    pub fn push(&mut self, tick: &Bands) {
        for rate in [Rate::Narrow, Rate::Wide, Rate::Full] {
            let (all, new) = (self.at_mut(rate), tick.at(rate));
            all.copy_within(new.len().., 0);
            let from = all.len() - new.len();
            all[from..].copy_from_slice(new);
        }
    }
}

/// From a member's rate to the room's.
#[derive(Debug, Default)]
pub struct Up {
    to_wide: Up2,
    to_full: Up3,
}

impl Up {
    /// Takes 20 ms.
    pub fn process(&mut self, pcm: &[i16], (from, to): (Rate, Rate), out: &mut [i16]) {
        match (from, to) {
            (Rate::Narrow, Rate::Wide) => self.to_wide.process(pcm, out),
            (Rate::Wide, Rate::Full) => self.to_full.process(pcm, out),
            (Rate::Narrow, Rate::Full) => {
                let mut wide = [0; step(Rate::Wide)];
                self.to_wide.process(pcm, &mut wide);
                self.to_full.process(&wide, out);
            }
            // No member is above its room.
            (Rate::Narrow, Rate::Narrow) | (Rate::Wide | Rate::Full, Rate::Narrow | Rate::Wide | Rate::Full) => {
                out.copy_from_slice(pcm);
            }
        }
    }
}

/// From the room's rate to those below.
#[derive(Clone, Debug, Default)]
pub struct Down {
    to_wide: Down3,
    to_narrow: Down2,
}

impl Down {
    /// Takes 20 ms at the room's rate, and brings it down as far as this one.
    pub fn process(&mut self, bands: &mut Bands, least: Rate) {
        if least < Rate::Full && !bands.full.is_empty() {
            self.to_wide.process(&bands.full, &mut bands.wide);
        }
        if least < Rate::Wide && !bands.wide.is_empty() {
            self.to_narrow.process(&bands.wide, &mut bands.narrow);
        }
    }
}

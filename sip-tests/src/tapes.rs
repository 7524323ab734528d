//! Who writes recordings down in the world: the program's own time line, fed at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tandem::media::command::{Recording, Side};
use tandem::media::tap::{Heard, Sink, Sinks};
use tandem::recording::timeline::Timeline;

/// One recording.
struct Tape {
    timeline: Timeline,
    octets: Vec<u8>,
}

/// All recordings, by call and number.
#[derive(Clone, Default)]
pub struct Tapes(Arc<Mutex<BTreeMap<Recording, Tape>>>);

impl std::fmt::Debug for Tapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tapes")
    }
}

/// One side of one.
#[derive(Debug)]
struct Head(Tapes, Recording, Side);

impl Sinks for Tapes {
    fn open(&mut self, recording: Recording, side: Side) -> Option<Box<dyn Sink>> {
        Some(Box::new(Head(self.clone(), recording, side)))
    }
}

impl Sink for Head {
    fn take(&mut self, heard: &Heard<'_>) {
        let Head(tapes, recording, side) = self;
        let mut tapes = tapes.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It begins with the first packet of either side.
        let tape = tapes.entry(*recording).or_insert_with(|| Tape {
            timeline: Timeline::new(heard.at, recording.rate()),
            octets: Vec::new(),
        });
        tape.timeline.hear(*side, heard);
        tape.timeline.ready(heard.at, &mut tape.octets);
    }
}

impl Tapes {
    /// All that was recorded, in order.
    pub fn all(&self) -> Vec<Recording> {
        let tapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tapes.keys().copied().collect()
    }

    /// What was recorded but for its last second and a half: left, right.
    pub fn channels(&self, recording: &Recording) -> [Vec<i16>; 2] {
        let tapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let octets = tapes.get(recording).map(|tape| &tape.octets[..]).unwrap_or_default();
        let sample = |two: &[u8]| i16::from_le_bytes([two[0], two[1]]);
        [0, 2].map(|at| octets.chunks_exact(4).map(|frame| sample(&frame[at..])).collect())
    }
}

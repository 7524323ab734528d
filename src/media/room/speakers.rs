//! Who of a room is heard: a few at once, since more than a few are noise, and cost.
//!
//! A free place goes to the loudest who speaks. Where all are taken, somebody who has been clearly louder for a while takes the place of the
//! one who is softest. Who ceases to speak keeps the place for a moment, so that the ends of words are heard.

use crate::limits;
use crate::media::packet::LegIx;

/// Places, if all are given.
const PLACES: usize = limits::ROOM_SPEAKERS as usize;
/// By how much louder than the softest speaker somebody must be who takes his place, in dB.
const LOUDER: f32 = 6.0;
/// For how many ticks: 60 ms.
const PATIENCE: u8 = 3;
/// Ticks for which a place is kept in any case: 300 ms.
const KEPT: u16 = 15;
/// Below this nobody is heard, whatever he says.
pub const INAUDIBLE: f32 = -65.0;

/// Who may be heard, at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub at: LegIx,
    /// How loud, over a moment, in dBov.
    pub loud: f32,
}

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Whose.
    pub at: LegIx,
    loud: f32,
    ticks: u16,
    seen: bool,
}

/// All places.
#[derive(Clone, Debug)]
pub struct Speakers {
    places: [Option<Place>; PLACES],
    most: usize,
    /// Who wants a place that is taken, and for how many ticks.
    challenge: Option<(LegIx, u8)>,
    /// The loudest who have no place, loudest first.
    waiting: [Option<Candidate>; PLACES],
}

impl Speakers {
    /// For so many at once.
    pub fn new(most: usize) -> Speakers {
        Speakers {
            places: [None; PLACES],
            most: most.clamp(1, PLACES),
            challenge: None,
            waiting: [None; PLACES],
        }
    }

    /// Those who have a place.
    pub fn all(&self) -> impl Iterator<Item = Place> {
        self.places.iter().flatten().copied()
    }

    /// Whether this one has a place.
    pub fn has(&self, at: LegIx) -> bool {
        self.all().any(|place| place.at == at)
    }

    /// A tick begins.
    pub fn begin(&mut self) {
        for place in self.places.iter_mut().flatten() {
            place.seen = false;
        }
        self.waiting = [None; PLACES];
    }

    /// Somebody speaks, or has just spoken.
    pub fn offer(&mut self, candidate: Candidate) {
        let own = self.places.iter_mut().flatten().find(|place| place.at == candidate.at);
        if let Some(place) = own {
            (place.seen, place.loud) = (true, candidate.loud);
            place.ticks = place.ticks.saturating_add(1);
            return;
        }
        let mut next = Some(candidate);
        for slot in &mut self.waiting[..self.most] {
            match (*slot, next) {
                (_, None) => return,
                (Some(waits), Some(comes)) if waits.loud >= comes.loud => {}
                (Some(_) | None, Some(_)) => next = std::mem::replace(slot, next),
            }
        }
    }

    /// A tick ends: who has not been offered has no place any more, and places are given.
    pub fn end(&mut self) {
        for slot in &mut self.places {
            if slot.is_some_and(|place| !place.seen) {
                *slot = None;
            }
        }
        let mut waiting = self.waiting.into_iter().flatten();
        let mut next = waiting.next();
        while let Some(candidate) = next {
            let Some(free) = self.places[..self.most].iter_mut().find(|slot| slot.is_none()) else {
                break;
            };
            *free = Some(Place::new(candidate));
            next = waiting.next();
        }
        self.compete(next);
    }

    /// Who has no place, and is louder than one who has.
    fn compete(&mut self, rival: Option<Candidate>) {
        let taken = self.places.iter_mut().flatten().filter(|place| place.ticks >= KEPT);
        let softest = taken.min_by(|one, other| one.loud.total_cmp(&other.loud));
        let (Some(rival), Some(softest)) = (rival, softest) else {
            self.challenge = None;
            return;
        };
        if rival.loud < softest.loud + LOUDER {
            self.challenge = None;
            return;
        }
        let ticks = match self.challenge {
            Some((at, ticks)) if at == rival.at => ticks + 1,
            Some(_) | None => 1,
        };
        if ticks >= PATIENCE {
            *softest = Place::new(rival);
            self.challenge = None;
        } else {
            self.challenge = Some((rival.at, ticks));
        }
    }

    /// Somebody has left.
    pub fn forget(&mut self, at: LegIx) {
        for slot in &mut self.places {
            if slot.is_some_and(|place| place.at == at) {
                *slot = None;
            }
        }
        self.challenge = self.challenge.filter(|(rival, _)| *rival != at);
    }
}

impl Place {
    /// For how many ticks it has it.
    pub fn lasts(&self) -> u16 {
        self.ticks
    }

    fn new(candidate: Candidate) -> Place {
        Place {
            at: candidate.at,
            loud: candidate.loud,
            ticks: 0,
            seen: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(speakers: &mut Speakers, who: &[(u16, f32)]) -> Vec<u16> {
        speakers.begin();
        for (at, loud) in who {
            speakers.offer(Candidate {
                at: LegIx(*at),
                loud: *loud,
            });
        }
        speakers.end();
        let mut all: Vec<u16> = speakers.all().map(|place| place.at.0).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn free_places_go_to_the_loudest() {
        let mut speakers = Speakers::new(2);
        assert_eq!(tick(&mut speakers, &[(1, -40.0), (2, -20.0), (3, -30.0)]), [2, 3]);
        // Who is softer gets the place of one who is gone.
        assert_eq!(tick(&mut speakers, &[(1, -40.0), (2, -20.0)]), [1, 2]);
        speakers.forget(LegIx(2));
        assert_eq!(tick(&mut speakers, &[(1, -40.0)]), [1]);
        assert_eq!(tick(&mut speakers, &[]), [0u16; 0]);
    }

    #[test]
    fn a_place_is_taken_by_who_is_clearly_louder_for_a_while() {
        let mut speakers = Speakers::new(1);
        tick(&mut speakers, &[(1, -30.0)]);
        // Not within 300 ms.
        for _ in 0..KEPT - 1 {
            assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -10.0)]), [1]);
        }
        // Nor by a little.
        for _ in 0..10 {
            assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -25.0)]), [1]);
        }
        assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -20.0)]), [1]);
        assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -20.0)]), [1]);
        // Another in between begins anew.
        assert_eq!(tick(&mut speakers, &[(1, -30.0), (3, -20.0)]), [1]);
        assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -20.0)]), [1]);
        assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -20.0)]), [1]);
        assert_eq!(tick(&mut speakers, &[(1, -30.0), (2, -20.0)]), [2]);
    }

    #[test]
    fn many_who_speak_at_once_are_sorted() {
        let mut speakers = Speakers::new(4);
        let who: Vec<(u16, f32)> = (0..100).map(|n| (n, -60.0 + f32::from(n * 37 % 100) / 2.0)).collect();
        let mut want: Vec<(f32, u16)> = who.iter().map(|(at, loud)| (*loud, *at)).collect();
        want.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut want: Vec<u16> = want[..4].iter().map(|(_, at)| *at).collect();
        want.sort_unstable();
        assert_eq!(tick(&mut speakers, &who), want);
    }
}

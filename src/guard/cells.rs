//! Rates and memories of as many keys as there are, in memory that never grows and is never allocated again.
//!
//! A key is a keyed hash of what a peer chose, so nobody can tell which keys meet in one cell. Where two meet, they share a rate;
//! with two rows a key is cut wrongly only if it meets somebody greedy in both.

use crate::limits;

/// How often, and how often at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Nanoseconds from one to the next.
    interval: u64,
    /// Nanoseconds by which one may be early.
    early: u64,
}

impl Rate {
    /// So many a second, and `burst` at once.
    pub(crate) const fn per_second(number: u32, burst: u32) -> Rate {
        Rate::each(1_000_000_000 / number as u64, burst)
    }

    /// One each so many nanoseconds, and `burst` at once.
    pub(crate) const fn each(interval: u64, burst: u32) -> Rate {
        Rate {
            interval,
            early: interval * (burst as u64 - 1),
        }
    }

    /// The generic cell rate algorithm (ITU-T I.371 A): `due` is when the next one is due, if all came evenly.
    fn conforms(self, due: u64, now: u64) -> bool {
        due <= now + self.early
    }

    fn after(self, due: u64, now: u64) -> u64 {
        due.max(now) + self.interval
    }
}

/// One rate for all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell(u64);

impl Cell {
    pub(crate) fn take(&mut self, now: u64, rate: Rate) -> bool {
        let conforms = rate.conforms(self.0, now);
        if conforms {
            self.0 = rate.after(self.0, now);
        }
        conforms
    }
}

/// One rate for each key.
#[derive(Debug)]
pub(crate) struct Cells {
    /// When the next one is due: two rows, zeroed pages that the system hands out when they are first touched.
    due: Vec<u64>,
}

impl Cells {
    pub(crate) fn new() -> Cells {
        Cells {
            due: vec![0; 2 * limits::GUARD_CELLS],
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, key: u64, now: u64, rate: Rate) -> bool {
        let (places, due) = self.due(key);
        let conforms = rate.conforms(due, now);
        if conforms {
            let after = rate.after(due, now);
            for place in places {
                self.due[place] = self.due[place].max(after);
            }
        }
        conforms
    }

    /// True if one could be taken.
    pub(crate) fn has(&self, key: u64, now: u64, rate: Rate) -> bool {
        rate.conforms(self.due(key).1, now)
    }

    /// What the key took is forgiven.
    pub(crate) fn forgive(&mut self, key: u64) {
        let (places, due) = self.due(key);
        for place in places {
            // One that it shares with somebody greedier is left as it is.
            if self.due[place] == due {
                self.due[place] = 0;
            }
        }
    }

    fn due(&self, key: u64) -> ([usize; 2], u64) {
        let mask = limits::GUARD_CELLS - 1;
        let places = [key as usize & mask, limits::GUARD_CELLS + ((key >> 32) as usize & mask)];
        (places, self.due[places[0]].min(self.due[places[1]]))
    }
}

/// When a key was seen last, for as many keys as fit: the one that was not seen for longest makes room.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The upper half of the key, and the second, counted from one.
    places: Vec<u64>,
}

/// Places that a key may have.
const WAYS: usize = 4;

impl Seen {
    pub(crate) fn new() -> Seen {
        Seen {
            places: vec![0; limits::GUARD_SEEN],
        }
    }

    /// True if it was seen within so many seconds.
    pub(crate) fn has(&self, key: u64, second: u32, within: u32) -> bool {
        let set = &self.places[Seen::set(key)];
        set.iter()
            .any(|place| *place != 0 && place >> 32 == key >> 32 && second.saturating_sub(*place as u32 - 1) <= within)
    }

    /// It is seen.
    pub(crate) fn put(&mut self, key: u64, second: u32) {
        let set = &mut self.places[Seen::set(key)];
        let found = set.iter().position(|place| *place != 0 && place >> 32 == key >> 32);
        let oldest = || (0..WAYS).min_by_key(|at| set[*at] as u32).unwrap_or_default();
        let at = found.unwrap_or_else(oldest);
        set[at] = (key >> 32) << 32 | u64::from(second.saturating_add(1));
    }

    /// It is as if it was never seen.
    pub(crate) fn forget(&mut self, key: u64) {
        let set = &mut self.places[Seen::set(key)];
        set.iter_mut()
            .filter(|place| **place >> 32 == key >> 32)
            .for_each(|place| *place = 0);
    }

    fn set(key: u64) -> std::ops::Range<usize> {
        let first = (key as usize).wrapping_mul(WAYS) & (limits::GUARD_SEEN - 1);
        first..first + WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn scatter(n: u64) -> u64 {
        let spread = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        (spread >> 60) as u64 ^ spread as u64
    }

    #[test]
    fn a_rate_has_its_burst_and_refills_evenly() {
        let (mut cells, rate) = (Cells::new(), Rate::per_second(10, 20));
        let taken = |cells: &mut Cells, now, tries| (0..tries).filter(|_| cells.take(7, now, rate)).count();
        assert_eq!(taken(&mut cells, 0, 50), 20);
        assert!(!cells.has(7, S / 10 - 1, rate) && cells.has(7, S / 10, rate));
        assert_eq!(taken(&mut cells, S, 50), 10);
        assert_eq!(taken(&mut cells, 1000 * S, 50), 20);
        cells.forgive(7);
        assert_eq!(taken(&mut cells, 1000 * S, 50), 20);
        let mut cell = Cell::default();
        assert_eq!((0..50).filter(|_| cell.take(5 * S, rate)).count(), 20);
    }

    #[test]
    fn those_who_take_nothing_too_much_are_not_cut_for_those_who_do() {
        let (mut cells, rate) = (Cells::new(), Rate::per_second(1, 5));
        for round in 0..20 {
            for greedy in 0..2_000 {
                cells.take(scatter(greedy), round * S / 100, rate);
            }
        }
        let cut = (1_000_000..1_010_000)
            .filter(|other| !cells.has(scatter(*other), S / 5, rate))
            .count();
        assert!(cut < 50, "{cut} of 10,000 share both cells with one of 2,000");
    }

    #[test]
    fn what_was_seen_is_known_for_its_time_and_the_oldest_makes_room() {
        let mut seen = Seen::new();
        seen.put(0, 0);
        assert!(seen.has(0, 10, 10) && !seen.has(0, 11, 10));
        assert!(!seen.has(1 << 32, 0, 10), "another key of the same set");
        for key in 1..=4u64 {
            seen.put(key << 32, key as u32);
        }
        assert!(!seen.has(0, 4, 10), "it was the oldest");
        assert!((1..=4).all(|key| seen.has(key << 32, 4, 10)));
        seen.forget(2 << 32);
        assert!(!seen.has(2 << 32, 4, 10) && seen.has(3 << 32, 4, 10));
    }
}

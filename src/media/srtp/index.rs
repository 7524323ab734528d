//! Packet indices (RFC 3711 3.3.1, appendix A) and which of them were seen (3.3.2).

/// How far behind the newest an index may come: RFC 3711 3.3.2 wants 64 at least, and what a network reorders is less.
pub(super) const WINDOW: u64 = 128;

/// Why an index is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was seen.
    Again,
    /// It is too far behind to know.
    Old,
}

/// The newest index of a stream, and which of those before it were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    newest: Option<u64>,
    /// Bit n: the one n before the newest.
    seen: u128,
}

impl Window {
    /// The index of a sequence number: the nearest to the newest; none for one before the first packet of all. The first that comes
    /// has roll-over counter 0 (RFC 4568 6.4).
    pub(super) fn of_sequence(&self, sequence: u16) -> Option<u64> {
        let Some(newest) = self.newest else {
            return Some(sequence.into());
        };
        let (rolled, last) = (newest >> 16, newest as u16);
        let ahead = sequence.wrapping_sub(last);
        let rolled = if ahead < 1 << 15 {
            rolled + u64::from(sequence < last)
        } else {
            rolled.checked_sub(u64::from(sequence > last))?
        };
        Some(rolled << 16 | u64::from(sequence))
    }

    /// The sequence number behind the newest.
    pub(super) fn next(&self) -> Option<u16> {
        self.newest.map(|newest| (newest as u16).wrapping_add(1))
    }

    /// Whether this one may be taken. Nothing is noted yet: first it has to prove that it is genuine.
    pub(super) fn check(&self, index: u64) -> Result<(), Refused> {
        let Some(behind) = self.newest.and_then(|newest| newest.checked_sub(index)) else {
            return Ok(());
        };
        match behind {
            WINDOW.. => Err(Refused::Old),
            _ if self.seen >> behind & 1 == 1 => Err(Refused::Again),
            _ => Ok(()),
        }
    }

    /// It was taken.
    pub(super) fn note(&mut self, index: u64) {
        let newest = self.newest.unwrap_or(index);
        if let Some(behind) = newest.checked_sub(index) {
            self.newest = Some(newest);
            self.seen |= 1u128.checked_shl(behind.try_into().unwrap_or(u32::MAX)).unwrap_or(0);
        } else {
            let by = u32::try_from(index - newest).unwrap_or(u32::MAX);
            self.newest = Some(index);
            self.seen = self.seen.checked_shl(by).unwrap_or(0) | 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(indices: &[u64]) -> Window {
        let mut window = Window::default();
        indices.iter().for_each(|index| window.note(*index));
        window
    }

    #[test]
    fn the_counter_rolls_over_forwards_and_back() {
        assert_eq!(Window::default().of_sequence(65_535), Some(65_535));
        let at = |newest: u64, sequence: u16| taken(&[newest]).of_sequence(sequence);
        assert_eq!(at(65_535, 0), Some(65_536));
        assert_eq!(at(65_536, 65_535), Some(65_535));
        assert_eq!(at(65_530, 20_000), Some(65_536 + 20_000));
        assert_eq!(at(3 << 16 | 40_000, 7_232), Some(3 << 16 | 7_232), "32,768 behind");
        assert_eq!(at(3 << 16 | 40_000, 7_231), Some(4 << 16 | 7_231), "32,767 ahead");
        assert_eq!(at(10, 65_000), None, "before the first packet of all");
        assert_eq!(at(1 << 16 | 10, 65_000), Some(65_000));
    }

    #[test]
    fn each_index_is_taken_once_and_none_that_is_too_far_behind() {
        let window = taken(&[1_000, 1_005, 1_003]);
        for (index, expected) in [
            (1_006, Ok(())),
            (1_005, Err(Refused::Again)),
            (1_004, Ok(())),
            (1_003, Err(Refused::Again)),
            (1_000, Err(Refused::Again)),
            (1_005 - WINDOW + 1, Ok(())),
            (1_005 - WINDOW, Err(Refused::Old)),
            (0, Err(Refused::Old)),
        ] {
            assert_eq!(window.check(index), expected, "{index}");
        }
        let jumped = taken(&[1_000, 1_000 + WINDOW * 5]);
        assert_eq!(jumped.check(1_000 + WINDOW * 5 - 1), Ok(()));
        assert_eq!(jumped.check(1_000), Err(Refused::Old));
    }

    /// The window against a set that remembers all.
    #[test]
    fn whatever_comes_in_whatever_order() {
        use rand_chacha::ChaCha12Rng;
        use rand_chacha::rand_core::{RngCore, SeedableRng};
        let mut rng = ChaCha12Rng::seed_from_u64(3);
        let (mut window, mut seen, mut newest) = (Window::default(), std::collections::BTreeSet::new(), 100_000u64);
        window.note(newest);
        seen.insert(newest);
        for _ in 0..100_000 {
            let index = newest + u64::from(rng.next_u32() % 8) - u64::from(rng.next_u32() % 200).min(newest);
            let expected = match (newest.saturating_sub(index), seen.contains(&index)) {
                (WINDOW.., _) => Err(Refused::Old),
                (_, true) => Err(Refused::Again),
                (_, false) => Ok(()),
            };
            assert_eq!(window.of_sequence(index as u16), Some(index));
            assert_eq!(window.check(index), expected, "{index} behind {newest}");
            if expected.is_ok() {
                window.note(index);
                seen.insert(index);
                newest = newest.max(index);
            }
        }
    }
}

//! Relayed ports: which are taken, and which is next. By chance, so that nobody knows the next one (RFC 8656 7.2, RFC 6056).

/// The range, and of one family the ports that are taken.
#[derive(Debug)]
pub(super) struct Ports {
    first: u16,
    last: u16,
    /// A bit for each port.
    taken: Box<[u64; 1024]>,
}

impl Ports {
    pub(super) fn new(first: u16, last: u16) -> Ports {
        Ports {
            first,
            last,
            taken: Box::new([0; 1024]),
        }
    }

    fn is_taken(&self, port: u16) -> bool {
        self.taken[usize::from(port / 64)] >> (port % 64) & 1 == 1
    }

    fn is_free(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port) && !self.is_taken(port)
    }

    fn set(&mut self, port: u16, taken: bool) {
        let (word, bit) = (&mut self.taken[usize::from(port / 64)], 1 << (port % 64));
        if taken { *word |= bit } else { *word &= !bit }
    }

    /// Takes a free one, from a place that `random` names upwards; an even one (EVEN-PORT), and beside it the next one free.
    pub(super) fn take(&mut self, random: u64, even: bool, pair: bool) -> Option<u16> {
        let count = u64::from(self.last - self.first) + 1;
        let start = random % count;
        let ports = (0..count).map(|step| self.first + ((start + step) % count) as u16);
        let fits = |port: &u16| {
            let next = || port.checked_add(1).is_some_and(|next| self.is_free(next));
            self.is_free(*port) && (!even || port.is_multiple_of(2)) && (!pair || next())
        };
        let port = ports.into_iter().find(fits)?;
        self.set(port, true);
        Some(port)
    }

    /// Takes this one.
    pub(super) fn take_this(&mut self, port: u16) -> bool {
        let is_free = self.is_free(port);
        if is_free {
            self.set(port, true);
        }
        is_free
    }

    /// Gives one back.
    pub(super) fn free(&mut self, port: u16) {
        self.set(port, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_the_range_is_given_once_and_comes_back() {
        let mut ports = Ports::new(50_001, 50_010);
        let mut taken: Vec<u16> = (0..12).map_while(|n| ports.take(n * 7, false, false)).collect();
        taken.sort_unstable();
        assert_eq!(taken, (50_001..=50_010).collect::<Vec<u16>>());
        ports.free(50_004);
        assert_eq!(ports.take(0, false, false), Some(50_004));
        assert!(!ports.take_this(50_004) && !ports.take_this(50_000) && !ports.take_this(50_011));
    }

    #[test]
    fn an_even_port_and_the_one_behind_it() {
        let mut ports = Ports::new(50_000, 50_005);
        assert!(ports.take_this(50_001));
        assert_eq!(ports.take(0, true, true), Some(50_002));
        assert!(ports.take_this(50_003));
        assert_eq!(ports.take(0, true, true), Some(50_004));
        assert_eq!(ports.take(4, true, false), Some(50_000));
        assert_eq!(ports.take(0, true, false), None);
        // The last port of all has none behind it.
        let mut last = Ports::new(65_534, 65_535);
        assert_eq!(last.take(1, true, true), Some(65_534));
        assert_eq!(last.take(0, true, true), None);
    }
}

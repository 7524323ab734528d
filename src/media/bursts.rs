//! How lost packets lie in time: bursts and gaps (RFC 3611 4.7.2), and the burst ratio of the E-model.

use super::rtcp::extended::GMIN;

/// The largest burst ratio that G.107 allows (table 2 of its clause 7.7).
const RATIO_MAX: f32 = 8.0;

/// As metrics say it (RFC 3611 4.7.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lost or discarded within bursts, in 1/256.
    pub burst_density: u8,
    /// The same between them.
    pub gap_density: u8,
    /// Mean length of a burst.
    pub burst_ms: u16,
    /// Mean length of what is between two.
    pub gap_ms: u16,
}

/// A stream, packet by packet in order of sequence: each came in time or did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts {
    packets: u64,
    /// Lost or discarded.
    bad: u64,
    /// Good ones since the last bad one.
    good: u64,
    /// Bad ones right behind one another, as one.
    stretches: u64,
    /// Packets, and bad ones among them, of what may become a burst.
    open: (u64, u64),
    /// The same of all bursts that are over, and how many those are.
    within: (u64, u64),
    bursts: u64,
}

impl Bursts {
    /// One that came in time.
    pub fn good(&mut self) {
        self.packets += 1;
        self.good += 1;
    }

    /// So many in a row that did not.
    pub fn bad(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        self.stretches += u64::from(self.good > 0 || self.bad == 0);
        if self.good >= u64::from(GMIN) || self.bad == 0 {
            self.close();
            self.open = (count, count);
        } else {
            self.open.0 += self.good + count;
            self.open.1 += count;
        }
        self.packets += count;
        self.bad += count;
        self.good = 0;
    }

    /// A bad one alone, with `GMIN` good ones on both sides, is part of a gap.
    fn close(&mut self) {
        if self.open.1 > 1 {
            self.within.0 += self.open.0;
            self.within.1 += self.open.1;
            self.bursts += 1;
        }
        self.open = (0, 0);
    }

    /// For a packet time. RFC 3611's example and its appendix A.2 count a gap for each burst, and one where there is none.
    pub fn summary(mut self, packet_ms: u8) -> Summary {
        self.close();
        let (packets, bad) = self.within;
        let (gap_packets, gap_bad) = (self.packets - packets, self.bad - bad);
        let share = |part: u64, all: u64| (256 * part).checked_div(all).unwrap_or(0).min(255) as u8;
        let mean = |packets: u64, periods: u64| {
            let ms = (packets * u64::from(packet_ms)).checked_div(periods).unwrap_or(0);
            u16::try_from(ms).unwrap_or(u16::MAX)
        };
        Summary {
            burst_density: share(bad, packets),
            gap_density: share(gap_bad, gap_packets),
            burst_ms: mean(packets, self.bursts),
            gap_ms: mean(gap_packets, self.bursts.max(1)),
        }
    }

    /// BurstR of G.107 clause 7.5: how many are lost in a row, by how many would be if each were lost by chance of its own.
    pub fn ratio(&self) -> f32 {
        if self.bad == 0 {
            return 1.0;
        }
        let loss = self.bad as f32 / self.packets as f32;
        let in_a_row = self.bad as f32 / self.stretches as f32;
        (in_a_row * (1.0 - loss)).clamp(1.0, RATIO_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Bursts {
        let mut bursts = Bursts::default();
        for packet in pattern.bytes() {
            match packet {
                b'1' => bursts.good(),
                _ => bursts.bad(1),
            }
        }
        bursts
    }

    /// Its densities are rounded from per cent; here they are exact.
    #[test]
    fn the_example_of_rfc_3611() {
        let bursts = of("11110111111111111111111X111X1011110111111111111111111X111111111");
        assert_eq!((bursts.packets, bursts.bad), (63, 6));
        // It says 64 packets and draws 63.
        let summary = bursts.summary(10);
        let want = Summary {
            burst_density: 85,
            gap_density: 10,
            burst_ms: 120,
            gap_ms: 510,
        };
        assert_eq!(summary, want);
    }

    #[test]
    fn what_is_lost_together_counts_as_what_is_lost_one_by_one() {
        let mut together = Bursts::default();
        for (count, good) in [(3, 20), (2, 5), (40, 0), (0, 17), (1, 1)] {
            together.bad(count);
            (0..good).for_each(|_| together.good());
        }
        let pattern = [
            "X".repeat(3),
            "1".repeat(20),
            "XX11111".into(),
            "X".repeat(40),
            "1".repeat(17),
            "X1".into(),
        ];
        assert_eq!(together, of(&pattern.concat()));
        assert_eq!((together.bursts, together.within), (2, (50, 45)));
        assert_eq!(Bursts::default().summary(20), Summary::default());
    }

    #[test]
    fn the_ratio_is_one_for_chance_and_more_for_bursts() {
        assert_eq!(of("1111").ratio(), 1.0);
        // A tenth, each alone: chance alone would put some in a row.
        assert_eq!(of(&"X111111111".repeat(100)).ratio(), 1.0);
        // A fifth, four in a row: 4 by 1/(1 - 0.2).
        let bursts = of(&format!("{}{}", "X".repeat(4), "1".repeat(16)).repeat(50));
        assert!((bursts.ratio() - 3.2).abs() < 0.01, "{}", bursts.ratio());
        assert_eq!(
            of(&"X".repeat(1_000)).ratio(),
            1.0,
            "all is lost, which is no question of bursts"
        );
        let long = format!("{}{}", "X".repeat(100), "1".repeat(900));
        assert_eq!(of(&long).ratio(), RATIO_MAX);
    }
}

//! What is measured of a row, and how it is kept.

use crate::media::figures::{self, median};
use crate::saved::Saved;

/// One run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// CPU time per member and tick, or per packet, in microseconds.
    pub each: f64,
    /// Memory per member, in KiB.
    pub memory: f64,
    /// Packets that are encoded in a tick, in all rooms together, if they told.
    pub encodes: Option<f64>,
    /// Ticks in which a packet was more than 5 ms late, at the member who had most of them.
    pub late: u64,
    /// Times that a member had nothing for more than 25 ms.
    pub gaps: u64,
    /// By how much 999 of 1,000 packets are late at most, in microseconds; of a loop and a relay, how long it keeps them.
    pub tail: f64,
    /// The most that others used of the machine meanwhile, in percent.
    pub others: f64,
    pub lost: u64,
    pub wrong: u64,
}

/// A number of several runs.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub least: f64,
    pub middle: f64,
    pub most: f64,
}

/// All runs of a row: medians; what was lost, wrong or late in any of them counts.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub each: Spread,
    pub load: Load,
}

impl From<figures::Load> for Load {
    fn from(load: figures::Load) -> Load {
        Load {
            each: load.each,
            tail: load.tail,
            others: load.others,
            lost: load.lost,
            wrong: load.wrong,
            ..Load::default()
        }
    }
}

/// How often a row was measured.
pub fn count(saved: &Saved, row: &str) -> usize {
    saved.read(row, parse).len()
}

/// None where it was not measured.
pub fn summary(saved: &Saved, row: &str) -> Option<Summary> {
    let loads = saved.read(row, parse);
    let of = |number: fn(&Load) -> f64| median(loads.iter().map(number).collect());
    let sum = |number: fn(&Load) -> u64| loads.iter().map(number).sum();
    let each = |load: &Load| load.each;
    let spread = Spread {
        least: loads.iter().map(each).reduce(f64::min)?,
        middle: of(each)?,
        most: loads.iter().map(each).reduce(f64::max)?,
    };
    Some(Summary {
        each: spread,
        load: Load {
            each: spread.middle,
            memory: of(|load| load.memory)?,
            encodes: median(loads.iter().filter_map(|load| load.encodes).collect()),
            late: sum(|load| load.late),
            gaps: sum(|load| load.gaps),
            tail: of(|load| load.tail)?,
            others: loads.iter().map(|load| load.others).fold(0.0, f64::max),
            lost: sum(|load| load.lost),
            wrong: sum(|load| load.wrong),
        },
    })
}

pub fn keep(saved: &Saved, row: &str, load: &Load) -> Result<(), String> {
    let Load {
        each,
        memory,
        encodes,
        late,
        gaps,
        tail,
        others,
        lost,
        wrong,
    } = load;
    let encodes = encodes.map_or_else(|| "-".to_owned(), |encodes| encodes.to_string());
    let fields = format!("load\t{each}\t{memory}\t{encodes}\t{late}\t{gaps}\t{tail}\t{others}\t{lost}\t{wrong}");
    saved.write(row, &fields)
}

fn parse(fields: &[&str]) -> Option<Load> {
    let ["load", each, memory, encodes, late, gaps, tail, others, lost, wrong] = fields else {
        return None;
    };
    Some(Load {
        each: each.parse().ok()?,
        memory: memory.parse().ok()?,
        encodes: encodes.parse().ok(),
        late: late.parse().ok()?,
        gaps: gaps.parse().ok()?,
        tail: tail.parse().ok()?,
        others: others.parse().ok()?,
        lost: lost.parse().ok()?,
        wrong: wrong.parse().ok()?,
    })
}

//! What is measured of a row, and how it is kept.

use crate::saved::Saved;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Its calls at work.
    Load,
    /// Calls that are up while many others are set up.
    SetUp,
    /// The most that it carries without loss.
    Highest,
}

/// Calls at work: one run, or the median of several.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// CPU time per packet, in microseconds.
    pub each: f64,
    /// Delay that half of the packets, and 99 of 100, do not exceed, in microseconds.
    pub delay: [f64; 2],
    /// The same of 999 of 1,000.
    pub tail: f64,
    /// Memory per call, in KiB.
    pub memory: f64,
    /// The most that others used of the machine meanwhile, in percent.
    pub others: f64,
    pub lost: u64,
    pub wrong: u64,
}

/// What a figure came to.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    Load(Load),
    /// The longest delay before the others were set up, and meanwhile, in milliseconds.
    SetUp([f64; 2]),
    /// Packets per second.
    Highest(u64),
}

/// All of a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub load: Option<Load>,
    pub set_up: Option<[f64; 2]>,
    pub highest: Option<u64>,
}

/// How often it was measured.
pub fn count(saved: &Saved, row: &str, figure: Figure) -> usize {
    let is_it = |value: &Value| {
        matches!(
            (value, figure),
            (Value::Load(_), Figure::Load) | (Value::SetUp(_), Figure::SetUp) | (Value::Highest(_), Figure::Highest)
        )
    };
    saved.read(row, parse).iter().filter(|value| is_it(value)).count()
}

/// The median of the runs, each number by itself; what was lost or wrong in any of them counts.
pub fn figures(saved: &Saved, row: &str) -> Figures {
    let (mut loads, mut set_ups, mut figures) = (Vec::new(), Vec::new(), Figures::default());
    for value in saved.read(row, parse) {
        match value {
            Value::Load(load) => loads.push(load),
            Value::SetUp(delays) => set_ups.push(delays),
            Value::Highest(rate) => figures.highest = Some(rate),
        }
    }
    let of = |number: fn(&Load) -> f64| median(loads.iter().map(number).collect());
    figures.load = of(|load| load.each).map(|each| Load {
        each,
        delay: [of(|load| load.delay[0]), of(|load| load.delay[1])].map(|delay| delay.unwrap_or(0.0)),
        tail: of(|load| load.tail).unwrap_or(0.0),
        memory: of(|load| load.memory).unwrap_or(0.0),
        others: loads.iter().map(|load| load.others).fold(0.0, f64::max),
        lost: loads.iter().map(|load| load.lost).sum(),
        wrong: loads.iter().map(|load| load.wrong).sum(),
    });
    let worst = |at: usize| median(set_ups.iter().map(|delays| delays[at]).collect());
    figures.set_up = worst(0).zip(worst(1)).map(|(before, meanwhile)| [before, meanwhile]);
    figures
}

pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

pub fn keep(saved: &Saved, row: &str, value: Value) -> Result<(), String> {
    let fields = match value {
        Value::Load(load) => {
            let Load {
                each,
                delay: [half, most],
                tail,
                memory,
                others,
                lost,
                wrong,
            } = load;
            format!("load\t{each}\t{half}\t{most}\t{tail}\t{memory}\t{others}\t{lost}\t{wrong}")
        }
        Value::SetUp([before, meanwhile]) => format!("set-up\t{before}\t{meanwhile}"),
        Value::Highest(rate) => format!("highest\t{rate}"),
    };
    saved.write(row, &fields)
}

fn parse(fields: &[&str]) -> Option<Value> {
    match fields {
        ["load", each, half, most, tail, memory, others, lost, wrong] => Some(Value::Load(Load {
            each: each.parse().ok()?,
            delay: [half.parse().ok()?, most.parse().ok()?],
            tail: tail.parse().ok()?,
            memory: memory.parse().ok()?,
            others: others.parse().ok()?,
            lost: lost.parse().ok()?,
            wrong: wrong.parse().ok()?,
        })),
        ["set-up", before, meanwhile] => Some(Value::SetUp([before.parse().ok()?, meanwhile.parse().ok()?])),
        ["highest", rate] => rate.parse().ok().map(Value::Highest),
        _ => None,
    }
}

//! What has been measured, on disk: a run that is interrupted goes on where it was.

use crate::measure::{Cpu, Figures};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One thing that is measured of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// CPU time at this rate.
    Cpu(u64),
    /// The highest rate.
    Highest,
    /// Memory for each call or binding.
    Memory,
}

/// What a figure came to.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    Cpu(Cpu),
    Highest(u64),
    Memory(f64),
}

/// The file of results.
pub struct Saved {
    path: PathBuf,
}

impl Saved {
    /// Goes on with what is there, if that was measured with the same program and in the same way. `key` says which and how.
    pub fn open(path: &Path, key: &str) -> Result<Saved, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().next() != Some(key) {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(told)?;
            }
            fs::write(path, format!("{key}\n")).map_err(told)?;
        }
        Ok(Saved { path: path.to_owned() })
    }

    /// All figures of a row so far: of CPU time at each rate the median of the runs.
    pub fn figures(&self, row: &str) -> Figures {
        let mut figures = Figures::default();
        let mut runs: BTreeMap<u64, Vec<Cpu>> = BTreeMap::new();
        for value in self.values(row) {
            match value {
                Value::Cpu(cpu) => runs.entry(cpu.rate).or_default().push(cpu),
                Value::Highest(rate) => figures.highest = Some(rate),
                Value::Memory(bytes) => figures.memory = Some(bytes),
            }
        }
        figures.cpu = runs.into_values().filter_map(median).collect();
        figures
    }

    /// How often it was measured.
    pub fn count(&self, row: &str, figure: Figure) -> usize {
        let is_it = |value: &Value| match (value, figure) {
            (Value::Cpu(cpu), Figure::Cpu(rate)) => cpu.rate == rate,
            (Value::Highest(_), Figure::Highest) | (Value::Memory(_), Figure::Memory) => true,
            (Value::Cpu(_) | Value::Highest(_) | Value::Memory(_), _) => false,
        };
        self.values(row).iter().filter(|value| is_it(value)).count()
    }

    fn values(&self, row: &str) -> Vec<Value> {
        self.read(row, parse)
    }

    /// What was kept of a row, each by its fields.
    pub fn read<T>(&self, row: &str, parse: impl Fn(&[&str]) -> Option<T>) -> Vec<T> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let fields = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields.first() == Some(&row)).then(|| parse(&fields[1..])).flatten()
        };
        text.lines().skip(1).filter_map(fields).collect()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps one more.
    pub fn keep(&self, row: &str, value: Value) -> Result<(), String> {
        let line = match value {
            Value::Cpu(cpu) => format!(
                "cpu\t{}\t{}\t{}\t{}\t{}",
                cpu.rate, cpu.each, cpu.others, cpu.failed, cpu.repeated
            ),
            Value::Highest(rate) => format!("highest\t{rate}"),
            Value::Memory(bytes) => format!("memory\t{bytes}"),
        };
        self.write(row, &line)
    }

    /// Keeps fields of a row.
    pub fn write(&self, row: &str, fields: &str) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = OpenOptions::new().append(true).open(&self.path).map_err(told)?;
        writeln!(file, "{row}\t{fields}").map_err(told)
    }
}

fn parse(fields: &[&str]) -> Option<Value> {
    match fields {
        ["cpu", rate, each, others, failed, repeated] => Some(Value::Cpu(Cpu {
            rate: rate.parse().ok()?,
            each: each.parse().ok()?,
            others: others.parse().ok()?,
            failed: failed.parse().ok()?,
            repeated: repeated.parse().ok()?,
        })),
        ["highest", rate] => rate.parse().ok().map(Value::Highest),
        ["memory", bytes] => bytes.parse().ok().map(Value::Memory),
        _ => None,
    }
}

/// Of runs at one rate; what failed in any of them counts.
fn median(mut runs: Vec<Cpu>) -> Option<Cpu> {
    runs.sort_by(|a, b| a.each.total_cmp(&b.each));
    let middle = *runs.get(runs.len() / 2)?;
    Some(Cpu {
        others: runs.iter().map(|run| run.others).fold(0.0, f64::max),
        failed: runs.iter().map(|run| run.failed).sum(),
        repeated: runs.iter().map(|run| run.repeated).sum(),
        ..middle
    })
}

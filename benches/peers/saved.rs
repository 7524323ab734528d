//! What has been measured, on disk: a run that is interrupted goes on where it was.

use crate::measure::{Cpu, Figures};
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

    /// All figures of a row so far.
    pub fn figures(&self, row: &str) -> Figures {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut figures = Figures::default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            if fields.first() == Some(&row) {
                match parse(&fields[1..]) {
                    Some(Value::Cpu(cpu)) => figures.cpu.push(cpu),
                    Some(Value::Highest(rate)) => figures.highest = Some(rate),
                    Some(Value::Memory(bytes)) => figures.memory = Some(bytes),
                    None => {}
                }
            }
        }
        figures.cpu.sort_by_key(|cpu| cpu.rate);
        figures
    }

    /// Keeps one more.
    pub fn keep(&self, row: &str, value: Value) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = OpenOptions::new().append(true).open(&self.path).map_err(told)?;
        let line = match value {
            Value::Cpu(cpu) => format!(
                "cpu\t{}\t{}\t{}\t{}\t{}",
                cpu.rate, cpu.each, cpu.others, cpu.failed, cpu.repeated
            ),
            Value::Highest(rate) => format!("highest\t{rate}"),
            Value::Memory(bytes) => format!("memory\t{bytes}"),
        };
        writeln!(file, "{row}\t{line}").map_err(told)
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

impl Figures {
    /// True if it is among them.
    pub fn has(&self, figure: Figure) -> bool {
        match figure {
            Figure::Cpu(rate) => self.cpu.iter().any(|cpu| cpu.rate == rate),
            Figure::Highest => self.highest.is_some(),
            Figure::Memory => self.memory.is_some(),
        }
    }
}

//! Half an hour at a steady rate with many registrations: nothing may fail, and nothing may grow.

use crate::load::{Load, Outcome, Sipp};
use crate::peer::{Hosts, Peer, Running, Tandem};
use crate::{BINDINGS, Kind};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Users who are called; the others are registered only.
const CALLED: usize = 1_000;
/// Calls per second.
const RATE: u64 = 500;
/// Each stays up so long, in milliseconds.
const TALK: u64 = 10_000;
/// Every binding is refreshed once in this time.
const REFRESH: u64 = 1_800;
/// How often is looked.
const LOOK: Duration = Duration::from_secs(10);
/// The part of the time after which memory must stay where it is: calls are up, transactions of the beginning are gone.
const WARM: f64 = 0.2;
/// How much it may grow from there to the end, in percent of what it is.
const GROWTH: f64 = 3.0;

/// One look at everything.
struct Look {
    at: f64,
    rss: u64,
    pss: u64,
    cpu: u64,
    calls: Outcome,
    answered: Outcome,
    registers: Outcome,
}

/// Runs it and writes `log`. The error says what failed or grew.
pub fn run(folder: &Path, log: &Path, minutes: u64) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", log.display());
    let mut log = File::create(log).map_err(told)?;
    let mut say = |line: &str| {
        println!("{line}");
        writeln!(log, "{line}")
    };
    let hosts = Hosts::of(99);
    let load = Load::new(&folder.join("called"), hosts, 0..CALLED, false)?;
    // They live on a host of their own, since a SIPp has its port to itself.
    let silent = Hosts {
        uas: std::net::Ipv4Addr::from_bits(hosts.uas.to_bits() + 1),
        ..hosts
    };
    let others = Load::new(&folder.join("others"), silent, CALLED..BINDINGS, false)?;
    let peer = Peer::Tandem(Tandem {
        proxy: true,
        ..Tandem::default()
    });
    let running = peer.start(&load, BINDINGS)?;
    let idle = running.memory();
    load.register(CALLED, 500)?;
    // Twice: a binding that is refreshed is written anew, and what memory looks like then is what is to stay.
    for _ in 0..2 {
        others.register(BINDINGS - CALLED, 2_000)?;
    }
    let head = format!(
        "{minutes} minutes at {RATE} calls per second of {} s each, through the proxy with its defaults; {BINDINGS} registrations, each \
         refreshed within {} minutes.\nMemory: {} MiB with {BINDINGS} users in the configuration, {} MiB with their registrations.\n\n{}",
        TALK / 1000,
        REFRESH / 60,
        idle / 1024,
        running.memory() / 1024,
        titles()
    );
    say(&head).map_err(told)?;
    let looks = steady(&load, &others, &running, minutes * 60, &mut |line| {
        say(line).map_err(told)
    })?;
    let verdict = judge(&looks);
    let words = match &verdict {
        Ok(words) | Err(words) => words,
    };
    say(words).map_err(told)?;
    verdict.map(|_| ())
}

/// The load, and a look at it now and then.
fn steady(
    load: &Load,
    others: &Load,
    running: &Running,
    seconds: u64,
    say: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<Vec<Look>, String> {
    let answering = load.answer()?;
    let refreshes = (BINDINGS - CALLED) as u64 / REFRESH;
    let mut registering = others.begin(Kind::Register, refreshes, refreshes * seconds, &[])?;
    let talk = TALK.to_string();
    let mut calling = load.begin(Kind::Call, RATE, RATE * seconds, &["-d", &talk])?;
    let from = Instant::now();
    let mut looks: Vec<Look> = Vec::new();
    // The last calls need their time to end.
    let most = Duration::from_secs(seconds + TALK / 1000 + 30);
    let mut before = running.ticks();
    while (calling.is_running() || registering.is_running()) && from.elapsed() < most {
        std::thread::sleep(LOOK);
        let outcome = |sipp: &Sipp| sipp.outcome();
        let now = running.ticks();
        let look = Look {
            at: from.elapsed().as_secs_f64(),
            rss: running.resident(),
            pss: running.memory(),
            cpu: now - before,
            calls: outcome(&calling)?,
            answered: outcome(&answering)?,
            registers: outcome(&registering)?,
        };
        before = now;
        say(&look.line())?;
        looks.push(look);
    }
    let late = calling.is_running() || registering.is_running();
    if late {
        return Err("the generators did not come to an end: calls hang".to_owned());
    }
    Ok(looks)
}

fn titles() -> String {
    format!(
        "{:>7} {:>9} {:>9} {:>7} {:>9} {:>7} {:>9} {:>9} {:>7} {:>9}",
        "s", "RSS KiB", "Pss KiB", "CPU %", "calls", "failed", "repeated", "registers", "failed", "repeated"
    )
}

impl Look {
    fn line(&self) -> String {
        let mut line = String::new();
        // It cannot fail: a `String` grows.
        let _ = write!(
            line,
            "{:>7.0} {:>9} {:>9} {:>7.1} {:>9} {:>7} {:>9} {:>9} {:>7} {:>9}",
            self.at,
            self.rss,
            self.pss,
            self.cpu as f64 / LOOK.as_secs_f64(),
            self.calls.successful,
            self.calls.failed,
            self.calls.repeated + self.answered.repeated,
            self.registers.successful,
            self.registers.failed,
            self.registers.repeated,
        );
        line
    }
}

/// What the run shows.
fn judge(looks: &[Look]) -> Result<String, String> {
    let last = looks.last().ok_or("the run was too short for a look")?;
    let load_ends = last.at - TALK as f64 / 1000.0 - LOOK.as_secs_f64();
    let steady: Vec<&Look> = looks
        .iter()
        .filter(|look| look.at >= WARM * last.at && look.at <= load_ends)
        .collect();
    let growth = growth(&steady).ok_or("the run was too short to see whether memory grows")?;
    let words = format!(
        "\n{} calls, {} failed, {} messages repeated; {} registrations, {} failed, {} repeated. From the first fifth to the end, \
         memory grew by {growth:.2} % (by the straight line through Pss; up to {GROWTH} % counts as none).",
        last.calls.successful,
        last.calls.failed + last.answered.failed,
        last.calls.repeated + last.answered.repeated,
        last.registers.successful,
        last.registers.failed,
        last.registers.repeated,
    );
    let failed = last.calls.failed + last.answered.failed + last.registers.failed;
    match failed == 0 && growth <= GROWTH {
        true => Ok(words),
        false => Err(words),
    }
}

/// Least squares: how much Pss grows over the looks, in percent of its mean.
fn growth(looks: &[&Look]) -> Option<f64> {
    if looks.len() < 3 {
        return None;
    }
    let count = looks.len() as f64;
    let at = looks.iter().map(|look| look.at).sum::<f64>() / count;
    let pss = looks.iter().map(|look| look.pss as f64).sum::<f64>() / count;
    let both: f64 = looks.iter().map(|look| (look.at - at) * (look.pss as f64 - pss)).sum();
    let spread: f64 = looks.iter().map(|look| (look.at - at).powi(2)).sum();
    let time = looks[looks.len() - 1].at - looks[0].at;
    Some(both / spread * time / pss * 100.0)
}

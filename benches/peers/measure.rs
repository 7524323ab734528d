//! The measurements.

use crate::load::{Load, Sipp};
use crate::peer::Running;
use crate::{Kind, Times};
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

/// /proc counts in hundredths of a second (USER_HZ, the same on every Linux that Debian has).
pub const MICROSECONDS_PER_TICK: f64 = 10_000.0;
/// The generators cannot do more on two cores.
const MOST: u64 = 12_000;
/// The search ends when it knows the highest rate to one part in this many.
const GRAIN: u64 = 16;
/// Where it begins.
const FIRST: u64 = 2_000;
/// Seconds of a step that only narrows it.
const PROBE: u64 = 5;

/// CPU time at one rate, in one run or the median of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cpu {
    pub rate: u64,
    /// Microseconds per call or registration.
    pub each: f64,
    /// The most that others used of the whole machine meanwhile, in percent.
    pub others: f64,
    /// Calls that failed, and messages that were sent twice.
    pub failed: u64,
    pub repeated: u64,
}

/// What a row is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub cpu: Vec<Cpu>,
    /// Calls per second.
    pub highest: Option<u64>,
    /// Bytes per call or binding.
    pub memory: Option<f64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cpu in &self.cpu {
            write!(f, "{:.0} us at {}/s (others {:.0} %", cpu.each, cpu.rate, cpu.others)?;
            if cpu.failed + cpu.repeated > 0 {
                write!(f, "; {} failed, {} repeated", cpu.failed, cpu.repeated)?;
            }
            f.write_str("), ")?;
        }
        if let Some(highest) = self.highest {
            write!(f, "at most {highest}/s, ")?;
        }
        match self.memory {
            Some(bytes) => write!(f, "{bytes:.0} bytes each"),
            None => f.write_str("memory not measured"),
        }
    }
}

/// Says how loaded the machine is, and whether that is little enough.
pub fn is_quiet(limit: f64) -> bool {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(f64::MAX);
    let cores = cores();
    println!("load {load:.2} on {cores} cores; quiet is below {limit:.1}");
    load < limit
}

/// Those of the machine, however many of them this process may use.
pub fn cores() -> usize {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    text.lines().filter(is_core).count().max(1)
}

/// CPU ticks that all processes together have used since the start of the machine.
pub fn busy() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq: all but the two in which nobody works.
    fields.iter().take(7).sum::<u64>() - fields.iter().skip(3).take(2).sum::<u64>()
}

/// CPU time per call or registration in a window of one run at a steady rate.
pub fn cpu(load: &Load, peer: &Running, kind: Kind, rate: u64, times: &Times) -> Result<Cpu, String> {
    let seconds = times.warm + times.window + 1;
    let count = rate * seconds;
    let sipp = load.begin(kind, rate, count, &[])?;
    std::thread::sleep(Duration::from_secs(times.warm));
    let (each, others) = window(peer, &sipp, rate, times.window)?;
    let outcome = sipp.finish(Duration::from_secs(2))?;
    Ok(Cpu {
        rate,
        each,
        others,
        failed: count - outcome.successful,
        repeated: outcome.repeated,
    })
}

/// Microseconds per call in one window, and the percentage of the machine that neither the peer nor the calling SIPp used: the
/// called SIPp is in it, at about 45 us per call.
fn window(peer: &Running, sipp: &Sipp, rate: u64, seconds: u64) -> Result<(f64, f64), String> {
    let done = || sipp.outcome().map(|outcome| outcome.successful);
    let (from, before) = (Instant::now(), [peer.ticks(), sipp.ticks(), busy()]);
    let calls = done()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = [peer.ticks(), sipp.ticks(), busy()];
    let elapsed = from.elapsed().as_secs_f64();
    if done()? == calls {
        return Err(format!("at {rate}/s nothing got through"));
    }
    let [peer, sipp, all] = [0, 1, 2].map(|at| (after[at] - before[at]) as f64);
    let others = (all - peer - sipp).max(0.0) / (elapsed * 100.0 * cores() as f64) * 100.0;
    Ok((peer * MICROSECONDS_PER_TICK / (elapsed * rate as f64), others))
}

/// The highest rate at which for `step` seconds nothing fails and neither side sends anything twice.
pub fn highest(load: &Load, uas: &Sipp, step: u64) -> Result<u64, String> {
    search(FIRST, MOST, step, |rate, seconds| holds(load, uas, rate, seconds))
}

/// The highest rate that holds for `step` seconds. Short steps, each a quarter faster than the one before, show where it must be; steps of
/// full length find it by halves.
pub fn search(
    first: u64,
    most: u64,
    step: u64,
    mut holds: impl FnMut(u64, u64) -> Result<bool, String>,
) -> Result<u64, String> {
    let (mut low, mut high) = (0, first);
    while high <= most && holds(high, PROBE.min(step))? {
        (low, high) = (high, high * 5 / 4);
    }
    let mut high = high.min(most);
    // What held for a short time may not hold for long.
    while low > 0 && !holds(low, step)? {
        (low, high) = (low * 4 / 5, low);
        if low < first / 8 {
            low = 0;
        }
    }
    while high - low > (low / GRAIN).max(first / 40) {
        let middle = u64::midpoint(low, high);
        if holds(middle, step)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn holds(load: &Load, uas: &Sipp, rate: u64, seconds: u64) -> Result<bool, String> {
    let (count, repeated) = (rate * seconds, uas.outcome()?.repeated);
    let sipp = load.begin(Kind::Call, rate, count, &[])?;
    let outcome = sipp.finish(Duration::from_secs(seconds))?;
    // The called side tells once a second; and what is still under way must not disturb the next step.
    std::thread::sleep(Duration::from_secs(if outcome.is_clean(count) { 2 } else { 6 }));
    let held = outcome.is_clean(count) && uas.outcome()?.repeated == repeated;
    println!(
        "    {rate}/s for {seconds} s: {}",
        if held { "holds" } else { "does not hold" }
    );
    Ok(held)
}

/// Bytes per call that is up, a few seconds after the last was answered.
pub fn calls_memory(load: &Load, peer: &Running, calls: usize) -> Result<f64, String> {
    let rate = 500;
    let before = peer.memory();
    let mut sipp = load.begin(Kind::Call, rate, calls as u64, &["-d", "600000"])?;
    std::thread::sleep(Duration::from_secs(calls as u64 / rate + 2));
    if !sipp.is_running() {
        return Err("the calls did not stay up".to_owned());
    }
    let after = peer.memory();
    let failed = sipp.outcome()?.failed;
    if failed > 0 {
        return Err(format!("{failed} of {calls} calls failed"));
    }
    Ok(after.saturating_sub(before) as f64 * 1024.0 / calls as f64)
}

/// Bytes per binding: what the peer takes with its bindings, less what it took with its users alone.
pub fn bindings_memory(load: &Load, peer: &Running, bindings: usize) -> Result<f64, String> {
    let before = peer.memory();
    load.register(bindings, 2_000)?;
    // The last transactions, which are no binding's, end after 32 s, and what is free goes back to the system twice a minute.
    std::thread::sleep(Duration::from_secs(65));
    Ok(peer.memory().saturating_sub(before) as f64 * 1024.0 / bindings as f64)
}

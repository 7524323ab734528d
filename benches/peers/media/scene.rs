//! A program with its calls, and what is measured of it.

use super::bare;
use super::figures::Load;
use super::generator::{Generator, OVER, WARM, WINDOW, places};
use super::ng::{self, Ng};
use super::phones::Phones;
use super::sdp::{Called, End};
use crate::load;
use crate::measure::{self, MICROSECONDS_PER_TICK};
use crate::peer::{self, Half, Hosts, Peer, Running, Tandem};
use std::fs;
use std::net::UdpSocket;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Calls that are set up in a second.
pub const RATE: usize = 500;
/// Calls that are up while others are set up, and those others.
const UP: usize = 100;
const OTHERS: usize = 1_000;
/// One of so many calls is at work before memory is looked at.
pub const FEW: usize = 4;
/// Packets per second of a call: both its ends.
pub const PACKETS: u64 = 100;
/// Where the search for the highest rate begins, and where it ends: rtpengine has ports for no more.
const FIRST: u64 = 400;
const MOST: u64 = 2_400;
/// A packet of a hundred may be late by this much at the highest rate, in microseconds. Queues are long: what is over the highest rate is late
/// for seconds before it is lost.
const LATE: f64 = 10_000.0;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A loop of the bench itself.
    Bare,
    /// Debian's, with this name of Opus in its offers, which says how it encodes.
    Rtpengine(&'static str),
    /// This repository's, with further keys of `media`.
    Tandem(&'static str),
}

/// How long everything takes.
pub struct Times {
    /// Before figures count.
    pub warm: Duration,
    /// While they do.
    pub window: Duration,
    /// Seconds of a step of the search for the highest rate.
    pub step: u64,
    pub runs: usize,
}

/// Who sets up calls.
enum Control {
    Bare,
    Ng(Ng, &'static str),
    Sip(Phones),
}

/// A program that runs.
pub struct Scene {
    hosts: Hosts,
    called: Called,
    running: Running,
    control: Control,
    generator: Generator,
}

impl Scene {
    /// Starts it, ready for so many calls.
    pub fn start(folder: &Path, hosts: Hosts, program: Program, called: Called, calls: usize) -> Result<Scene, String> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // Before the peer, which must find somebody there.
        let generator = Generator::new(hosts, called)?;
        let (running, control) = match program {
            Program::Bare => (bare_loop(folder, hosts, called, calls)?, Control::Bare),
            Program::Rtpengine(opus) => {
                let running = peer::start(rtpengine(hosts), folder, || Ng::is_up(hosts.uac, hosts.peer))?;
                (running, Control::Ng(Ng::new(hosts.uac, hosts.peer)?, opus))
            }
            Program::Tandem(media) => {
                let load = load::Load::new(folder, hosts, 0..calls, true)?;
                let user = if called == Called::Srtp { ", srtp: required" } else { "" };
                let tandem = Tandem {
                    media,
                    user,
                    ..Tandem::default()
                };
                let running = Peer::Tandem(tandem).start(&load, calls)?;
                load.register(calls, RATE as u64)?;
                (running, Control::Sip(Phones::new(hosts)?))
            }
        };
        Ok(Scene {
            hosts,
            called,
            running,
            control,
            generator,
        })
    }

    fn add(&mut self, calls: usize) -> Result<(), String> {
        let first = self.generator.calls();
        let ends = self.control.set_up(first..first + calls, self.called, self.hosts)?;
        self.generator.add(ends);
        Ok(())
    }

    /// So many calls at work.
    pub fn load(&mut self, calls: usize, times: &Times) -> Result<Load, String> {
        // What the first calls make a program touch is not what a call takes.
        let few = calls / FEW;
        self.add(few)?;
        let generator = &mut self.generator;
        at_work(|phase| generator.run(few, phase), a_second);
        let idle = self.running.memory();
        self.add(calls - few)?;
        let Scene { running, generator, .. } = self;
        let (record, window) = at_work(
            |phase| generator.run(calls, phase),
            |phase| watch(running, times, phase),
        );
        let Window {
            used,
            elapsed,
            memory,
            others,
        } = window;
        if record.received[1] == 0 {
            return Err(format!(
                "nothing got through: {} of {} packets were wrong",
                record.wrong, record.sent[0]
            ));
        }
        let packets = elapsed.as_secs_f64() * (calls as u64 * PACKETS) as f64;
        if (record.sent[1] as f64) < packets * 0.98 {
            return Err(format!("the generator sent {} of {packets:.0} packets", record.sent[1]));
        }
        let quantile = |part| record.delay[1].quantile(part).unwrap_or(0.0);
        let load = Load {
            each: used / packets,
            delay: [quantile(0.5), quantile(0.99)],
            tail: quantile(0.999),
            memory: memory.saturating_sub(idle) as f64 / (calls - few) as f64,
            others,
            lost: record.lost,
            wrong: record.wrong,
        };
        println!(
            "    {load:.2?}, at most {:?}; {:.1} octets a packet to the called side; levels {:.1?} dB; the generator was {} packets behind",
            record.delay[1].most,
            record.octets as f64 * 2.0 / record.received[1] as f64,
            record.level,
            record.behind
        );
        Ok(load)
    }

    /// The longest delays of calls that are up, before others are set up and meanwhile, in milliseconds.
    pub fn set_up(&mut self, times: &Times) -> Result<[f64; 2], String> {
        self.add(UP)?;
        let Scene { control, generator, .. } = self;
        let (called, hosts) = (self.called, self.hosts);
        let mut done = Ok(Vec::new());
        let (record, ()) = at_work(
            |phase| generator.run(UP, phase),
            |phase| {
                std::thread::sleep(times.warm + Duration::from_secs((OTHERS / RATE) as u64));
                phase.store(WINDOW, Ordering::Release);
                done = control.set_up(UP..UP + OTHERS, called, hosts);
                std::thread::sleep(Duration::from_millis(500));
                phase.store(OVER, Ordering::Release);
            },
        );
        done?;
        if record.lost + record.wrong > 0 {
            return Err(format!("{} packets were lost, {} wrong", record.lost, record.wrong));
        }
        let worst = [0, 1].map(|at| record.delay[at].most.as_secs_f64() * 1_000.0);
        println!("    {worst:.2?} ms");
        Ok(worst)
    }

    /// Packets per second that come through, all of them and in time.
    pub fn highest(&mut self, step: u64) -> Result<u64, String> {
        let calls = measure::search(FIRST, MOST, step, |calls, seconds| self.holds(calls as usize, seconds))?;
        Ok(calls * PACKETS)
    }

    fn holds(&mut self, calls: usize, seconds: u64) -> Result<bool, String> {
        self.add(calls.saturating_sub(self.generator.calls()))?;
        let generator = &mut self.generator;
        let (record, ()) = at_work(
            |phase| generator.run(calls, phase),
            |phase| {
                std::thread::sleep(Duration::from_secs(1));
                phase.store(WINDOW, Ordering::Release);
                std::thread::sleep(Duration::from_secs(seconds));
                phase.store(OVER, Ordering::Release);
            },
        );
        let wanted = calls as u64 * PACKETS * seconds;
        let is_sent = record.sent[1] * 100 >= wanted * 98;
        let late = record.delay[1].quantile(0.99).unwrap_or(f64::MAX);
        let held = is_sent && record.lost + record.wrong == 0 && late < LATE;
        println!(
            "    {} packets/s for {seconds} s: {} lost, {} wrong, 99 of 100 within {late:.0} us{}: {}",
            calls as u64 * PACKETS,
            record.lost,
            record.wrong,
            if is_sent {
                ""
            } else {
                ", and the generator could not send as many"
            },
            if held { "holds" } else { "does not hold" }
        );
        Ok(held)
    }
}

/// A generator on a thread of its own, while `control` says when which phase begins.
pub fn at_work<R: Send, C>(
    generator: impl FnOnce(&AtomicU8) -> R + Send,
    control: impl FnOnce(&AtomicU8) -> C,
) -> (R, C) {
    let phase = AtomicU8::new(WARM);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| generator(&phase));
        let controlled = control(&phase);
        (run.join().expect("the generator does not panic"), controlled)
    })
}

/// A run of one second.
pub fn a_second(phase: &AtomicU8) {
    std::thread::sleep(Duration::from_secs(1));
    phase.store(OVER, Ordering::Release);
}

/// What a program took in a window.
pub struct Window {
    /// CPU time, in microseconds.
    pub used: f64,
    pub elapsed: Duration,
    /// At the end, in KiB.
    pub memory: u64,
    /// What others used of the machine, in percent.
    pub others: f64,
}

/// Watches a program while it warms up and in the window.
pub fn watch(running: &Running, times: &Times, phase: &AtomicU8) -> Window {
    let servants = soft_interrupts();
    let ticks = || {
        [
            running.ticks() + sum(&servants),
            peer::ticks(std::process::id()),
            measure::busy(),
        ]
    };
    std::thread::sleep(times.warm);
    let (before, from) = (ticks(), Instant::now());
    phase.store(WINDOW, Ordering::Release);
    std::thread::sleep(times.window);
    let (after, elapsed) = (ticks(), from.elapsed());
    phase.store(OVER, Ordering::Release);
    let [own, bench, all] = [0, 1, 2].map(|at| after[at] - before[at]);
    let machine = elapsed.as_secs_f64() * 100.0 * measure::cores() as f64;
    Window {
        used: own as f64 * MICROSECONDS_PER_TICK,
        elapsed,
        memory: running.memory(),
        others: all.saturating_sub(own + bench) as f64 / machine * 100.0,
    }
}

impl Control {
    fn set_up(&mut self, calls: Range<usize>, called: Called, hosts: Hosts) -> Result<Vec<[End; 2]>, String> {
        match self {
            Control::Bare => {
                let own = |call| bare::ports(hosts.peer, call).map(End::plain);
                let mut ends: Vec<[End; 2]> = calls.map(own).collect();
                if called.is_opus() {
                    ends.iter_mut().for_each(|[_, end]| end.payload_type = bare::OPUS);
                }
                Ok(ends)
            }
            Control::Ng(ng, opus) => {
                let (begin, first) = (Instant::now(), calls.start);
                let mut ends = Vec::with_capacity(calls.len());
                for call in calls {
                    let due = Duration::from_secs_f64((call - first) as f64 / RATE as f64);
                    std::thread::sleep(due.saturating_sub(begin.elapsed()));
                    ends.push(ng.set_up(call, called, opus, places(hosts))?);
                }
                Ok(ends)
            }
            Control::Sip(phones) => phones.set_up(calls, RATE, called, places(hosts)),
        }
    }
}

fn bare_loop(folder: &Path, hosts: Hosts, called: Called, calls: usize) -> Result<Running, String> {
    let own = std::env::current_exe().map_err(|error| format!("the bench's own program: {error}"))?;
    let mut command = peer::command(&own.to_string_lossy(), Some(Half::Peer));
    command.args(["loop", &hosts.peer.to_string(), &calls.to_string()]);
    command.arg(match called {
        Called::Alaw | Called::Srtp => "relay",
        Called::Opus => "opus",
        Called::OpusFec => "fec",
    });
    command.args(places(hosts).map(|place| place.to_string()));
    let [_, last] = bare::ports(hosts.peer, calls - 1);
    // Its last port is taken once it is up.
    peer::start(command, folder, || {
        let is_up = UdpSocket::bind(last).is_err();
        if !is_up {
            std::thread::sleep(Duration::from_millis(50));
        }
        is_up
    })
}

/// What rtpengine is told.
pub const RTPENGINE: [&str; 7] = [
    "--config-file=none",
    "--foreground",
    "--table=-1",
    "--num-threads=1",
    "--media-num-threads=1",
    "--endpoint-learning=off",
    "--timeout=3600",
];

fn rtpengine(hosts: Hosts) -> Command {
    let mut command = peer::command("rtpengine", Some(Half::Peer));
    command.args(RTPENGINE);
    command.arg(format!("--interface={}", hosts.peer));
    command.arg(format!("--listen-ng={}:{}", hosts.peer, ng::PORT));
    command
}

/// The system's threads for packets that are handed on later, on the cores of the peer: what they do is done for it.
fn soft_interrupts() -> Vec<u32> {
    let cores = (measure::cores() / 2).max(1);
    let names: Vec<String> = (0..cores).map(|core| format!("ksoftirqd/{core}")).collect();
    let pids = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        names.iter().any(|one| one == name.trim())
    };
    pids.filter(is_one).collect()
}

fn sum(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| peer::ticks(*pid)).sum()
}

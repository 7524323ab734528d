//! Tandem side by side with other programs, in one run on one machine: with Kamailio, SIPp on both ends (`make bench-proxy`,
//! benches/peers/README.md), and with rtpengine (`make bench-media`, benches/peers/media/README.md); and its rooms beside a relay
//! (`make bench-mix`, benches/peers/mix/README.md); and its TURN relay beside coturn (`make bench-turn`, benches/peers/turn/README.md); and what browsers
//! cost, beside Janus (`make bench-webrtc`, benches/peers/webrtc/README.md).
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures real programs in real time"
)]
#![allow(missing_docs, reason = "criterion aside, no bench has an interface")]

mod load;
mod measure;
mod media;
mod mix;
mod peer;
mod saved;
mod soak;
mod table;
mod turn;
mod webrtc;

use load::Load;
use measure::Figures;
use peer::{Hosts, Kamailio, Peer, Tandem};
use saved::{Figure, Saved, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Users of a peer in the rows of calls and of registrations.
const USERS: usize = 1_000;
/// Bindings whose memory is asked for.
const BINDINGS: usize = 100_000;
/// Above this, somebody else works on the machine, and figures do not hold.
const QUIET: f64 = 1.0;

/// How often it is asked, ten seconds apart.
const PATIENCE: u32 = 12;

/// What a row measures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// INVITE 180 200 ACK BYE 200 through the peer.
    Call,
    /// REGISTER 401 REGISTER 200.
    Register,
}

/// How long everything takes.
struct Times {
    /// At the rate, before CPU time is counted: as long as a transaction lives (RFC 3261 17, 64*T1), so that what expires is counted.
    warm: u64,
    /// Seconds in which CPU time is counted.
    window: u64,
    /// Seconds of a step of the search for the highest rate.
    step: u64,
    /// Calls that are up when memory is asked for.
    calls: usize,
}

const FULL: Times = Times {
    warm: 35,
    window: 10,
    step: 30,
    calls: 4_000,
};
const SHORT: Times = Times {
    warm: 3,
    window: 2,
    step: 4,
    calls: 1_000,
};

const RATES: [Figure; 2] = [Figure::Cpu(1_000), Figure::Cpu(3_000)];
/// Runs of which the median counts. A machine has better and worse minutes, so all rows take turns.
const RUNS: usize = 5;

/// Something that is compared.
struct Row {
    name: &'static str,
    kind: Kind,
    peer: Peer,
    /// Besides CPU time at each of the rates.
    figures: Vec<Figure>,
}

/// Everything that is compared. What no ratio asks for is not measured.
fn rows() -> Vec<Row> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let kamailio = |stateful, workers| Peer::Kamailio(Kamailio { stateful, workers });
    let tandem = |proxy, plain| {
        Peer::Tandem(Tandem {
            proxy,
            plain,
            ..Tandem::default()
        })
    };
    let row = |name, kind, peer, more: &[Figure]| Row {
        name,
        kind,
        peer,
        figures: more.to_vec(),
    };
    let (call, register) = (Kind::Call, Kind::Register);
    let most = [Figure::Highest, Figure::Memory];
    vec![
        row("Kamailio, stateful, 1 worker", call, kamailio(true, 1), &most),
        row(
            "Kamailio, stateful, a worker per core",
            call,
            kamailio(true, workers),
            &[Figure::Highest],
        ),
        row("Kamailio, stateless, 1 worker", call, kamailio(false, 1), &[]),
        row("Tandem, proxy, defaults", call, tandem(true, false), &most),
        row("Tandem, proxy, no records, no store", call, tandem(true, true), &[]),
        row("Tandem, bridge, defaults, no RTP", call, tandem(false, false), &[]),
        row(
            "Kamailio, REGISTER, 1 worker",
            register,
            kamailio(true, 1),
            &[Figure::Memory],
        ),
        row(
            "Tandem, REGISTER, defaults",
            register,
            tandem(false, false),
            &[Figure::Memory],
        ),
    ]
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let folder = std::env::temp_dir().join(format!("tandem-peers-{}", std::process::id()));
    let done = match wanted.first().map(String::as_str) {
        Some("run") => compare(&folder, &wanted[1..]),
        Some("soak") => soaked(&folder),
        Some("media") => media::compare(&folder, &wanted[1..]),
        Some("mix") => mix::compare(&folder, &wanted[1..]),
        Some("turn") => turn::compare(&folder, &wanted[1..]),
        Some("webrtc") => webrtc::compare(&folder, &wanted[1..]),
        Some("loop") => media::bare::run(&wanted[1..]),
        Some(_) | None => {
            println!(
                "The comparisons take long and want a quiet machine: `make bench-proxy`, `make bench-media`, `make bench-mix`, \
                 `make bench-turn` and `make bench-webrtc` run them."
            );
            Ok(())
        }
    };
    // It holds only what the peers logged; what fails to go away is found in the temporary directory.
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(why) = done {
        eprintln!("{why}");
        std::process::exit(1);
    }
}

fn wait_for_quiet() -> Result<(), String> {
    // What has just built this program is still in the load.
    for _ in 0..PATIENCE {
        if measure::is_quiet(QUIET) || std::env::var_os("BUSY").is_some() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_secs(10));
    }
    Err("BUSY=1 measures all the same; the figures are then no better than the column `others` says.".to_owned())
}

/// All rows, or those whose name has one of the words.
fn compare(folder: &Path, words: &[String]) -> Result<(), String> {
    wait_for_quiet()?;
    let short = std::env::var_os("QUICK").is_some();
    let times = if short { &SHORT } else { &FULL };
    let saved = kept("results.tsv", short)?;
    let rows = rows();
    let is_wanted = |row: &Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    let wanted: Vec<usize> = (0..rows.len()).filter(|place| is_wanted(&rows[*place])).collect();
    let runs = (1..=RUNS).flat_map(|run| RATES.map(|rate| (rate, run)));
    let in_turn = runs.flat_map(|(rate, run)| wanted.iter().map(move |place| (*place, rate, run)));
    let others = |place: usize| rows[place].figures.iter().map(move |figure| (place, *figure, 1));
    let all: Vec<_> = in_turn.chain(wanted.iter().copied().flat_map(others)).collect();
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    for (place, figure, run) in all {
        if failed.contains_key(&place) {
            continue;
        }
        let own = folder.join(place.to_string());
        if let Err(why) = rows[place].measure(&own, place, (figure, run), times, &saved) {
            println!("{}: {why}", rows[place].name);
            failed.insert(place, why);
        }
    }
    let mut results = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let figures = saved.figures(row.name);
        match failed.remove(&place) {
            Some(why) => results.push((row.name, Err(why))),
            None if figures != Figures::default() => {
                println!("{}: {figures}", row.name);
                results.push((row.name, Ok(figures)));
            }
            None => {}
        }
    }
    table::print(&results, times.step);
    println!("\nkept in {}; FRESH=1 begins anew", saved.path().display());
    Ok(())
}

/// What was measured before in the same way.
fn kept(name: &str, short: bool) -> Result<Saved, String> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers").join(name);
    if std::env::var_os("FRESH").is_some() {
        // It may not be there.
        let _ = std::fs::remove_file(&path);
    }
    Saved::open(&path, &key(short))
}

/// What must be the same for results to belong together.
fn key(short: bool) -> String {
    let program = std::fs::metadata(peer::program());
    let built = program.and_then(|program| program.modified()).ok();
    let built = built.and_then(|built| built.duration_since(std::time::UNIX_EPOCH).ok());
    let length = if short { "short" } else { "full" };
    format!("{length}, built at {}", built.unwrap_or_default().as_secs())
}

/// `make soak-proxy`.
fn soaked(folder: &Path) -> Result<(), String> {
    wait_for_quiet()?;
    let minutes = std::env::var("MINUTES").ok().and_then(|text| text.parse().ok());
    soak::run(folder, &peer::path("soak.log"), minutes.unwrap_or(30))
}

impl Row {
    /// Measures what has not been measured so many times yet. The peer is started anew for each figure, so that none sees what another
    /// left.
    fn measure(
        &self,
        folder: &Path,
        place: usize,
        (figure, run): (Figure, usize),
        times: &Times,
        saved: &Saved,
    ) -> Result<(), String> {
        if saved.count(self.name, figure) >= run {
            return Ok(());
        }
        println!("{}: {figure:?}, {run}", self.name);
        let value = self.figure(folder, Hosts::of(place), figure, times)?;
        saved.keep(self.name, value)
    }

    fn figure(&self, folder: &Path, hosts: Hosts, figure: Figure, times: &Times) -> Result<Value, String> {
        let users = match (figure, self.kind) {
            (Figure::Memory, Kind::Register) => BINDINGS,
            (Figure::Memory, Kind::Call) | (Figure::Cpu(_) | Figure::Highest, _) => USERS,
        };
        // For the highest rate a peer may use what the generators leave it; CPU time is steadier where nobody moves.
        let pinned = figure != Figure::Highest;
        let load = Load::new(folder, hosts, 0..users, pinned)?;
        let running = self.peer.start(&load, users)?;
        if users == BINDINGS {
            return measure::bindings_memory(&load, &running, BINDINGS).map(Value::Memory);
        }
        load.register(USERS, 500)?;
        let uas = (self.kind == Kind::Call).then(|| load.answer()).transpose()?;
        match (figure, &uas) {
            (Figure::Cpu(rate), _) => measure::cpu(&load, &running, self.kind, rate, times).map(Value::Cpu),
            (Figure::Highest, Some(uas)) => measure::highest(&load, uas, times.step).map(Value::Highest),
            (Figure::Memory, Some(_)) => measure::calls_memory(&load, &running, times.calls).map(Value::Memory),
            (Figure::Highest | Figure::Memory, None) => Err("is not measured of registrations".to_owned()),
        }
    }
}

//! Tandem side by side with Kamailio: one run, one machine, SIPp on both ends. `make bench-proxy`; benches/peers/README.md.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures real programs in real time"
)]
#![allow(missing_docs, reason = "criterion aside, no bench has an interface")]

mod load;
mod measure;
mod peer;
mod table;

use load::Load;
use measure::Figures;
use peer::{Kamailio, Peer, Tandem};
use std::path::Path;

/// Users of a peer in the rows of calls and of registrations.
const USERS: usize = 1_000;
/// Bindings whose memory is asked for.
const BINDINGS: usize = 100_000;
/// Above this, somebody else works on the machine, and figures do not hold.
const QUIET: f64 = 1.0;

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
    /// At the rate, before the first window: as long as a transaction lives (RFC 3261 17, 64*T1), so that what expires is counted.
    warm: u64,
    /// Seconds of each of the five windows.
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

/// Everything that is compared. A bridged call takes four sockets for media.
fn rows() -> Vec<(&'static str, Kind, Peer)> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let kamailio = |stateful, workers| Peer::Kamailio(Kamailio { stateful, workers });
    let tandem = |proxy, plain| Peer::Tandem(Tandem { proxy, plain });
    vec![
        ("Kamailio, stateful, 1 worker", Kind::Call, kamailio(true, 1)),
        (
            "Kamailio, stateful, a worker per core",
            Kind::Call,
            kamailio(true, workers),
        ),
        ("Kamailio, stateless, 1 worker", Kind::Call, kamailio(false, 1)),
        ("Tandem, proxy, defaults", Kind::Call, tandem(true, false)),
        ("Tandem, proxy, no records, no store", Kind::Call, tandem(true, true)),
        ("Tandem, bridge, defaults, no RTP", Kind::Call, tandem(false, false)),
        ("Kamailio, REGISTER, 1 worker", Kind::Register, kamailio(true, 1)),
        ("Tandem, REGISTER, defaults", Kind::Register, tandem(false, false)),
    ]
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if wanted.first().map(String::as_str) != Some("run") {
        return println!(
            "The comparison with Kamailio takes an hour and wants a quiet machine: `make bench-proxy` runs it."
        );
    }
    let short = std::env::var_os("QUICK").is_some();
    let times = if short { &SHORT } else { &FULL };
    if !measure::is_quiet(QUIET) && std::env::var_os("BUSY").is_none() {
        eprintln!("BUSY=1 measures all the same; the figures are then no better than the column `others` says.");
        std::process::exit(1);
    }
    let folder = std::env::temp_dir().join(format!("tandem-peers-{}", std::process::id()));
    let mut results = Vec::new();
    for (place, (name, kind, peer)) in rows().into_iter().enumerate() {
        if wanted.len() > 1 && !wanted[1..].iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let result = row(&folder.join(place.to_string()), place, kind, &peer, times);
        match &result {
            Ok(figures) => println!("{name}: {figures}"),
            Err(why) => println!("{name}: {why}"),
        }
        results.push((name, result));
    }
    // It holds only what the peers logged; what fails to go away is found in the temporary directory.
    let _ = std::fs::remove_dir_all(&folder);
    table::print(&results, times.step);
}

/// All figures of one row. The peer is started anew for each kind of figure, so that none sees what another left.
fn row(folder: &Path, place: usize, kind: Kind, peer: &Peer, times: &Times) -> Result<Figures, String> {
    let hosts = peer::Hosts::of(place);
    let mut figures = Figures::default();
    {
        let load = Load::new(&folder.join("cpu"), hosts, USERS)?;
        let running = peer.start(&load, USERS)?;
        load.register(USERS, 500)?;
        let uas = (kind == Kind::Call).then(|| load.answer()).transpose()?;
        for rate in [1_000, 3_000] {
            figures.cpu.push(measure::cpu(&load, &running, kind, rate, times)?);
        }
        if let Some(uas) = &uas {
            figures.highest = Some(measure::highest(&load, uas, times.step)?);
        }
    }
    figures.memory = Some(match kind {
        Kind::Call => {
            let load = Load::new(&folder.join("calls"), hosts, USERS)?;
            let running = peer.start(&load, USERS)?;
            load.register(USERS, 500)?;
            let _uas = load.answer()?;
            measure::calls_memory(&load, &running, times.calls)?
        }
        Kind::Register => {
            let load = Load::new(&folder.join("bindings"), hosts, BINDINGS)?;
            let running = peer.start(&load, BINDINGS)?;
            measure::bindings_memory(&load, &running, BINDINGS)?
        }
    });
    Ok(figures)
}

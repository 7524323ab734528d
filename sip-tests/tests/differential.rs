//! The same 500 requests, generated from a grid (method x URI form x route set x header forms x transport), through Tandem as a proxy and
//! through Kamailio (Debian's package, with `differential/kamailio.cfg`): what arrives at the next hop, and what comes back, is
//! the same, or the difference is named in `differential/named.rs` with the sentence that makes us right.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real peers live in real time"
)]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[allow(dead_code, reason = "shared with the tests of interop")]
#[path = "interop/journal.rs"]
mod journal;
#[allow(dead_code, reason = "shared with the tests of interop")]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;

mod differential {
    pub mod bench;
    pub mod grid;
    pub mod named;
}

use differential::bench::{Bench, Seen};
use differential::grid::{self, Case};
use differential::named::NAMED;
use std::collections::BTreeMap;

/// How the two differ on one request: what differs, ours, theirs.
type Difference = (&'static str, String, String);

/// What did not arrive with both has no fields to compare.
fn differences(ours: &Seen, theirs: &Seen) -> Vec<Difference> {
    let both = ours.arrived.is_some() && theirs.arrived.is_some();
    let answers = ["status", "arrived", "response"];
    let (ours, theirs) = (ours.fields(), theirs.fields());
    let pairs = ours.into_iter().zip(theirs);
    let differ = pairs.filter(|((what, ours), (_, theirs))| (both || answers.contains(what)) && ours != theirs);
    differ.map(|((what, ours), (_, theirs))| (what, ours, theirs)).collect()
}

#[test]
fn tandem_does_what_kamailio_does_or_the_rfc_says_why_not() {
    let cases = grid::cases();
    assert_eq!(cases.len(), 500);
    let kamailio: Vec<Seen> = run(Bench::kamailio(), &cases);
    let tandem: Vec<Seen> = run(Bench::tandem(), &cases);
    let mut used: BTreeMap<usize, usize> = BTreeMap::new();
    let mut unnamed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (case, (ours, theirs)) in cases.iter().zip(tandem.iter().zip(&kamailio)) {
        for (what, ours, theirs) in differences(ours, theirs) {
            match NAMED.iter().position(|named| named.covers(case, what, &ours, &theirs)) {
                Some(at) => *used.entry(at).or_default() += 1,
                None => {
                    let kind = format!("{what} {:?} {:?}", case.form, case.transport);
                    let told = format!("{case}: {what}\n    ours:   {ours}\n    theirs: {theirs}");
                    unnamed.entry(kind).or_default().push(told);
                }
            }
        }
    }
    let idle: Vec<&str> = (0..NAMED.len())
        .filter(|at| !used.contains_key(at))
        .map(|at| NAMED[at].why)
        .collect();
    let kinds = unnamed.values().map(|told| format!("{} like {}", told.len(), told[0]));
    let kinds = kinds.collect::<Vec<_>>().join("\n");
    assert!(unnamed.is_empty(), "differences without a name:\n{kinds}");
    assert!(idle.is_empty(), "named, but not seen: {idle:#?}");
}

fn run(mut bench: Bench, cases: &[Case]) -> Vec<Seen> {
    let seen: Vec<Seen> = cases.iter().map(|case| bench.ask(case)).collect();
    let arrived = seen.iter().filter(|seen| seen.arrived.is_some()).count();
    // Two elements that forward nothing would agree, too.
    assert!(
        arrived >= 300,
        "{}: only {arrived} of {} requests arrived",
        bench.name(),
        cases.len()
    );
    seen
}

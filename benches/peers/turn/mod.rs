//! The TURN relay side by side with coturn, and with a loop that does the least. `make bench-turn`; README.md in this folder.

mod clients;
mod scene;
mod table;

use crate::media::figures::{self, Figure, Value};
use crate::media::scene::Times;
use crate::media::{BOUND, bound, enough_files};
use crate::peer::Hosts;
use crate::{kept, wait_for_quiet};
use scene::Program;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FULL: Times = Times {
    warm: Duration::from_secs(4),
    window: Duration::from_secs(10),
    step: 0,
    runs: 5,
};
const SHORT: Times = Times {
    warm: Duration::from_secs(1),
    window: Duration::from_secs(3),
    step: 0,
    runs: 1,
};

/// Clients, each with an allocation and a peer; each sends 50 packets a second and gets as many.
const CLIENTS: usize = 200;
/// The first part of its loopback networks that no other comparison has.
const PLACE: usize = 170;

const LOOP: &str = "loop, relay";
const COTURN: &str = "coturn, channels";
const TANDEM: &str = "Tandem, channels";
const COTURN_SENDS: &str = "coturn, indications";
const TANDEM_SENDS: &str = "Tandem, indications";

const ROWS: [(&str, Program); 5] = [
    (LOOP, Program::Bare),
    (COTURN, Program::Coturn { channels: true }),
    (TANDEM, Program::Tandem { channels: true }),
    (COTURN_SENDS, Program::Coturn { channels: false }),
    (TANDEM_SENDS, Program::Tandem { channels: false }),
];

/// All rows, or those whose name has one of the words.
pub fn compare(folder: &Path, words: &[String]) -> Result<(), String> {
    if std::env::var_os(BOUND).is_none() {
        return bound("turn", words);
    }
    wait_for_quiet()?;
    enough_files();
    let short = std::env::var_os("QUICK").is_some();
    let times = if short { &SHORT } else { &FULL };
    let saved = kept("turn.tsv", short)?;
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut failed: BTreeMap<&str, String> = BTreeMap::new();
    // A machine has better and worse minutes, so all rows take turns.
    for run in 1..=times.runs {
        for (place, (name, program)) in ROWS.iter().enumerate() {
            let measured = figures::count(&saved, name, Figure::Load);
            if !is_wanted(name) || failed.contains_key(name) || measured >= run {
                continue;
            }
            println!("{name}: {run}");
            let own = folder.join(place.to_string());
            let load = scene::load(*program, &own, Hosts::of(PLACE + place), CLIENTS, times);
            if let Err(why) = load.and_then(|load| figures::keep(&saved, name, Value::Load(load))) {
                println!("{name}: {why}");
                failed.insert(name, why);
            }
        }
    }
    let result = |(name, _): &(&'static str, Program)| match failed.remove(name) {
        Some(why) => (*name, Err(why)),
        None => (*name, Ok(figures::figures(&saved, name).load)),
    };
    table::print(&ROWS.iter().map(result).collect::<Vec<_>>(), times);
    println!("\nkept in {}; FRESH=1 begins anew", saved.path().display());
    Ok(())
}

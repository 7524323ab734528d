//! What rooms cost, beside a loop that does the least and beside calls that are relayed. `make bench-mix`; README.md in this folder.

mod figures;
pub mod members;
mod picture;
pub mod scene;
mod table;
pub mod voice;

use crate::media::bound;
use crate::media::scene::{PACKETS, Program, Scene, Times};
use crate::media::sdp::{Called, Offered};
use crate::media::{ALONE, BOUND, enough_files};
use crate::peer::{self, Hosts};
use crate::saved::Saved;
use crate::{kept, wait_for_quiet};
use figures::Load;
use scene::Spec;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A room tells every ten seconds what it took: within both times twice.
const FULL: Times = Times {
    warm: Duration::from_secs(11),
    window: Duration::from_secs(10),
    step: 0,
    runs: 5,
};
const SHORT: Times = Times { runs: 1, ..FULL };

/// Members of the room that is compared with the loop, which has as many packets.
const COMPARED: usize = 100;
/// Calls whose ends are as many as the members of the small rooms.
const RELAYED: usize = 500;
/// How many speak in a room; in a small one it is one.
const SPEAKERS: usize = 3;
/// The first part of its loopback networks that no other comparison has.
const PLACE: usize = 150;

const LOOP: &str = "loop, 5,000 packets a second";
/// As many packets as the largest room has.
const FAST_LOOP: &str = "loop, 50,000 packets a second";
const CODECS: &str = "codecs alone, G.711";
const RELAY: &str = "500 calls, relayed";
const SMALL: &str = "200 rooms of 5, G.711";
const OPUS: &str = "room of 300, Opus, one lossy";
/// Rooms by their members, as they are in the picture.
const ROOMS: [(usize, &str); 5] = [
    (10, "room of 10, G.711"),
    (30, "room of 30, G.711"),
    (100, "room of 100, G.711"),
    (300, "room of 300, G.711"),
    (1_000, "room of 1,000, G.711"),
];

/// What a row is about.
#[derive(Clone, Copy)]
enum Kind {
    /// The loop of the bench, with so many calls.
    Bare(usize),
    /// Calls that Tandem relays.
    Relay(usize),
    Rooms(Spec),
    /// A frame decoded and encoded, without anything around it.
    Codecs,
}

fn rows() -> Vec<(&'static str, Kind)> {
    let room = |(members, name)| {
        let spec = Spec {
            rooms: 1,
            members,
            speakers: SPEAKERS,
            offered: Offered::Alaw,
            lossy: false,
        };
        (name, Kind::Rooms(spec))
    };
    let small = Spec {
        rooms: 200,
        members: 5,
        speakers: 1,
        offered: Offered::Alaw,
        lossy: false,
    };
    let opus = Spec {
        rooms: 1,
        members: 300,
        speakers: SPEAKERS,
        offered: Offered::Opus,
        lossy: true,
    };
    let mut rows = vec![
        (LOOP, Kind::Bare(COMPARED * 50 / PACKETS as usize)),
        (FAST_LOOP, Kind::Bare(RELAYED)),
    ];
    rows.extend(ROOMS.map(room));
    rows.extend([
        (OPUS, Kind::Rooms(opus)),
        (SMALL, Kind::Rooms(small)),
        (RELAY, Kind::Relay(RELAYED)),
        (CODECS, Kind::Codecs),
    ]);
    rows
}

/// All rows, or those whose name has one of the words.
pub fn compare(folder: &Path, words: &[String]) -> Result<(), String> {
    if std::env::var_os(BOUND).is_none() {
        return bound("mix", words);
    }
    wait_for_quiet()?;
    enough_files();
    let short = std::env::var_os("QUICK").is_some();
    let times = if short { &SHORT } else { &FULL };
    let saved = kept("mix.tsv", short)?;
    let rows = rows();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut failed: BTreeMap<&str, String> = BTreeMap::new();
    // A machine has better and worse minutes, so all rows take turns.
    for run in 1..=times.runs {
        for (place, (name, kind)) in rows.iter().enumerate() {
            if !is_wanted(name) || failed.contains_key(name) || figures::count(&saved, name) >= run {
                continue;
            }
            println!("{name}: {run}");
            let own = folder.join(place.to_string());
            let measured = kind.measure(&own, Hosts::of(PLACE + place), times);
            if let Err(why) = measured.and_then(|load| figures::keep(&saved, name, &load)) {
                println!("{name}: {why}");
                failed.insert(name, why);
            }
        }
    }
    let result = |(name, _): &(&'static str, Kind)| match failed.remove(name) {
        Some(why) => (*name, Err(why)),
        None => (*name, Ok(figures::summary(&saved, name))),
    };
    table::print(&rows.iter().map(result).collect::<Vec<_>>(), times);
    draw(&saved, short)?;
    println!("\nkept in {}; FRESH=1 begins anew", saved.path().display());
    Ok(())
}

/// The picture of what a member costs; a short run does not take the place of the one that README shows.
fn draw(saved: &Saved, short: bool) -> Result<(), String> {
    let point = |(members, name)| Some((members, figures::summary(saved, name)?.each));
    let points: Vec<_> = ROOMS.into_iter().filter_map(point).collect();
    let Some(svg) = picture::draw(&points, figures::summary(saved, LOOP).map(|load| load.each.middle)) else {
        return Ok(());
    };
    let path = match short {
        true => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers/cost.svg"),
        false => peer::path("mix/cost.svg"),
    };
    fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("\nthe picture is {}", path.display());
    Ok(())
}

impl Kind {
    fn measure(self, folder: &Path, hosts: Hosts, times: &Times) -> Result<Load, String> {
        let relay = |program, calls| {
            let mut scene = Scene::start(folder, hosts, program, Called::Alaw, calls)?;
            scene.load(calls, times).map(Load::from)
        };
        match self {
            Kind::Bare(calls) => relay(Program::Bare, calls),
            Kind::Relay(calls) => relay(Program::Tandem(ALONE), calls),
            Kind::Rooms(spec) => scene::load(spec, folder, hosts, times),
            Kind::Codecs => Ok(Load {
                each: voice::codecs_alone(),
                ..Load::default()
            }),
        }
    }
}

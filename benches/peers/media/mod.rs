//! Tandem side by side with rtpengine, and with a loop that does the least. `make bench-media`; README.md in this folder.

pub mod bare;
pub mod content;
pub mod figures;
pub mod generator;
mod ng;
pub mod phones;
pub mod scene;
pub mod sdp;
pub mod stream;
mod table;

use crate::peer::{self, Half, Hosts};
use crate::saved::Saved;
use crate::{kept, wait_for_quiet};
use figures::{Figure, Value};
use scene::{Program, Scene, Times};
use sdp::Called;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FULL: Times = Times {
    warm: Duration::from_secs(4),
    window: Duration::from_secs(10),
    step: 15,
    runs: 5,
};
const SHORT: Times = Times {
    warm: Duration::from_secs(1),
    window: Duration::from_secs(3),
    step: 3,
    runs: 1,
};

/// Calls that are relayed, and that are transcoded: fewer, so that nobody's core is full.
const RELAYED: usize = 400;
const TRANSCODED: usize = 40;
/// What the search for the highest rate may need.
const MOST: usize = 2_400;
/// Calls of the row of set-ups: 100 that are up, 1,000 others.
const SET_UP: usize = 1_100;
/// The first part of their loopback networks that is not of the comparison with Kamailio.
const PLACE: usize = 100;
/// Set for the process that has the second half of the cores.
pub const BOUND: &str = "TANDEM_BENCH_BOUND";

/// How rtpengine names Opus without forward error correction, which it has unless told otherwise.
const PLAIN: &str = "opus/48000/2///useinbandfec=0";
/// With it.
const FEC: &str = "opus/48000/2";
/// Tandem with one media thread, and with the complexity of Opus that rtpengine has, which cannot be told another.
pub const ALONE: &str = ", workers: 1";
const HARDER: &str = ", workers: 1, opus_complexity: 10";

/// Something that is compared.
struct Row {
    name: &'static str,
    program: Program,
    called: Called,
    calls: usize,
    figures: &'static [Figure],
}

fn rows() -> Vec<Row> {
    let row = |name, program, called, figures| Row {
        name,
        program,
        called,
        calls: if called == Called::Alaw || called == Called::Srtp {
            RELAYED
        } else {
            TRANSCODED
        },
        figures,
    };
    let rtpengine = Program::Rtpengine(PLAIN);
    let tandem = Program::Tandem(ALONE);
    let all = &[Figure::Load, Figure::SetUp, Figure::Highest];
    let load = &[Figure::Load];
    vec![
        row(
            "loop, relay",
            Program::Bare,
            Called::Alaw,
            &[Figure::Load, Figure::Highest],
        ),
        row("rtpengine, relay", rtpengine, Called::Alaw, all),
        row("Tandem, relay", tandem, Called::Alaw, all),
        row("rtpengine, SRTP <-> RTP", rtpengine, Called::Srtp, load),
        row("Tandem, SRTP <-> RTP", tandem, Called::Srtp, load),
        row("loop with libopus, G.711 <-> Opus", Program::Bare, Called::Opus, load),
        row("rtpengine, G.711 <-> Opus", rtpengine, Called::Opus, load),
        row("Tandem, G.711 <-> Opus", tandem, Called::Opus, load),
        row(
            "rtpengine, G.711 <-> Opus with FEC",
            Program::Rtpengine(FEC),
            Called::OpusFec,
            load,
        ),
        row("Tandem, G.711 <-> Opus with FEC", tandem, Called::OpusFec, load),
        row(
            "Tandem, G.711 <-> Opus, complexity 10",
            Program::Tandem(HARDER),
            Called::Opus,
            load,
        ),
    ]
}

/// All rows, or those whose name has one of the words.
pub fn compare(folder: &Path, words: &[String]) -> Result<(), String> {
    if std::env::var_os(BOUND).is_none() {
        return bound("media", words);
    }
    wait_for_quiet()?;
    enough_files();
    let short = std::env::var_os("QUICK").is_some();
    let times = if short { &SHORT } else { &FULL };
    let saved = kept("media.tsv", short)?;
    let rows = rows();
    let is_wanted = |row: &Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    let wanted: Vec<usize> = (0..rows.len()).filter(|place| is_wanted(&rows[*place])).collect();
    // A machine has better and worse minutes, so all rows take turns.
    let turns = (1..=times.runs).flat_map(|run| [(Figure::Load, run), (Figure::SetUp, run)]);
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    for (figure, run) in turns.chain([(Figure::Highest, 1)]) {
        for place in &wanted {
            let row = &rows[*place];
            if failed.contains_key(place) || !row.figures.contains(&figure) {
                continue;
            }
            let own = folder.join(place.to_string());
            if let Err(why) = row.measure(&own, *place, (figure, run), times, &saved) {
                println!("{}: {why}", row.name);
                failed.insert(*place, why);
            }
        }
    }
    let result = |(place, row): (usize, &Row)| match failed.remove(&place) {
        Some(why) => (row.name, Err(why)),
        None => (row.name, Ok(figures::figures(&saved, row.name))),
    };
    table::print(&rows.iter().enumerate().map(result).collect::<Vec<_>>(), times);
    println!("\nkept in {}; FRESH=1 begins anew", saved.path().display());
    Ok(())
}

/// A comparison with its generator, and all that belongs to that, on the second half of the cores.
pub fn bound(which: &str, words: &[String]) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("the bench's own program: {error}"))?;
    let mut command = peer::command(&own.to_string_lossy(), Some(Half::Generators));
    let status = command.arg(which).args(words).env(BOUND, "1").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the comparison ended with {status}")),
        Err(error) => Err(format!("the comparison cannot be started: {error}")),
    }
}

/// Lets this process and those that it starts open as many files as the system allows: the loop has two for each call.
pub fn enough_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Without, the highest rates cannot be measured, and the row says so.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
}

impl Row {
    /// Measures what has not been measured so many times yet. The program is started anew for each figure.
    fn measure(
        &self,
        folder: &Path,
        place: usize,
        (figure, run): (Figure, usize),
        times: &Times,
        saved: &Saved,
    ) -> Result<(), String> {
        if figures::count(saved, self.name, figure) >= run {
            return Ok(());
        }
        println!("{}: {figure:?}, {run}", self.name);
        let most = match figure {
            Figure::Load => self.calls,
            Figure::SetUp => SET_UP,
            Figure::Highest => MOST,
        };
        let mut scene = Scene::start(folder, Hosts::of(PLACE + place), self.program, self.called, most)?;
        let value = match figure {
            Figure::Load => Value::Load(scene.load(self.calls, times)?),
            Figure::SetUp => Value::SetUp(scene.set_up(times)?),
            Figure::Highest => Value::Highest(scene.highest(times.step)?),
        };
        figures::keep(saved, self.name, value)
    }
}

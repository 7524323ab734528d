//! What browsers cost, side by side with Janus, and with loops that do the least. `make bench-webrtc`; README.md in this folder.

mod browser;
mod calls;
mod crowd;
mod film;
mod handshakes;
mod janus;
mod join;
mod scene;
mod sdp;
mod sip;
mod table;
mod voices;

use crate::media::figures::{self, Figure, Value};
use crate::media::scene::{Program as Packets, Scene, Times};
use crate::media::sdp::Called;
use crate::media::{BOUND, enough_files};
use crate::peer::{self, Half, Hosts};
use crate::saved::Saved;
use crate::{kept, wait_for_quiet};
use join::Program;
use scene::spec;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FULL: Times = Times {
    warm: Duration::from_secs(4),
    window: Duration::from_secs(10),
    step: 0,
    runs: 5,
};
const SHORT: Times = Times {
    warm: Duration::from_secs(2),
    window: Duration::from_secs(3),
    step: 0,
    runs: 1,
};

/// Calls between browsers and the carrier.
const CALLS: usize = 40;
/// Members of a room, and those of them who speak.
const MEMBERS: usize = 40;
const SPEAKERS: usize = 3;
/// Who sees one who shows himself, and who hears one who speaks.
const VIEWERS: usize = 100;
const LISTENERS: usize = 300;
/// Set-ups that are counted.
const HANDSHAKES: usize = 1_000;
/// Where all of it is: on a link that only this comparison sees.
const LINK: &str = "tandem0";
const NETWORK: [u8; 2] = [10, 77];

const LOOP: &str = "loop with libopus";
const CALL: &str = "Tandem, call with a carrier";
const LOOP_FEC: &str = "loop with libopus, FEC";
const CALL_FEC: &str = "Tandem, call with a carrier, FEC";
const JANUS_ROOM: [&str; 2] = ["Janus, AudioBridge of 40", "Janus, AudioBridge of 40, one thread"];
const ROOM: &str = "Tandem, room of 40";
const JANUS_FILM: [&str; 2] = ["Janus, 100 see one", "Janus, 100 see one, one thread"];
const FILM: &str = "Tandem, 100 see one";
const FILM_ALONE: &str = "Tandem, 100 see one, no mix";
const JANUS_SOUND: [&str; 2] = ["Janus, 300 hear one", "Janus, 300 hear one, one thread"];
const SOUND: &str = "Tandem, 300 hear one, mixed";
const VOICE: &str = "Tandem, 300 hear one, forwarded";
const SET_UP: &str = "Tandem, set-up";

/// What a row is about.
#[derive(Clone, Copy)]
enum Kind {
    /// The loop of the bench, with libopus between.
    Bare(Called),
    Calls {
        fec: bool,
    },
    Room(Program),
    Film(Program),
    FilmAlone,
    Sound(Program),
    Voice,
    SetUp,
}

const ROWS: [(&str, Kind); 16] = [
    (LOOP, Kind::Bare(Called::Opus)),
    (CALL, Kind::Calls { fec: false }),
    (LOOP_FEC, Kind::Bare(Called::OpusFec)),
    (CALL_FEC, Kind::Calls { fec: true }),
    (JANUS_ROOM[0], Kind::Room(Program::Janus(0))),
    (JANUS_ROOM[1], Kind::Room(Program::Janus(1))),
    (ROOM, Kind::Room(Program::Tandem)),
    (JANUS_FILM[0], Kind::Film(Program::Janus(0))),
    (JANUS_FILM[1], Kind::Film(Program::Janus(1))),
    (FILM, Kind::Film(Program::Tandem)),
    (FILM_ALONE, Kind::FilmAlone),
    (JANUS_SOUND[0], Kind::Sound(Program::Janus(0))),
    (JANUS_SOUND[1], Kind::Sound(Program::Janus(1))),
    (SOUND, Kind::Sound(Program::Tandem)),
    (VOICE, Kind::Voice),
    (SET_UP, Kind::SetUp),
];

/// All rows, or those whose name has one of the words.
pub fn compare(folder: &Path, words: &[String]) -> Result<(), String> {
    if std::env::var_os(BOUND).is_none() {
        return apart(words);
    }
    link()?;
    wait_for_quiet()?;
    enough_files();
    let short = std::env::var_os("QUICK").is_some();
    let times = if short { &SHORT } else { &FULL };
    let saved = kept("webrtc.tsv", short)?;
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut failed: BTreeMap<&str, String> = BTreeMap::new();
    // A machine has better and worse minutes, so all rows take turns.
    for run in 1..=times.runs {
        for (place, (name, kind)) in ROWS.iter().enumerate() {
            let measured = figures::count(&saved, name, Figure::Load);
            if !is_wanted(name) || failed.contains_key(name) || measured >= run {
                continue;
            }
            println!("{name}: {run}");
            let own = folder.join(place.to_string());
            let done = hosts(place).and_then(|hosts| kind.measure(name, &own, hosts, times, &saved));
            if let Err(why) = done {
                println!("{name}: {why}");
                failed.insert(name, why);
            }
        }
    }
    let result = |(name, _): &(&'static str, Kind)| {
        let measured = match failed.remove(name) {
            Some(why) => Err(why),
            None => Ok(figures::figures(&saved, name)),
        };
        (*name, measured, profile(&saved, name))
    };
    table::print(&ROWS.iter().map(result).collect::<Vec<_>>(), times);
    println!("\nkept in {}; FRESH=1 begins anew", saved.path().display());
    Ok(())
}

impl Kind {
    fn measure(self, name: &str, folder: &Path, hosts: Hosts, times: &Times, saved: &Saved) -> Result<(), String> {
        let (load, profile) = match self {
            Kind::Bare(called) => {
                let mut scene = Scene::start(folder, hosts, Packets::Bare, called, CALLS)?;
                (scene.load(CALLS, times)?, String::new())
            }
            Kind::Calls { fec } => scene::calls(folder, hosts, CALLS, fec, times)?,
            Kind::Room(program) => scene::room(program, folder, hosts, spec(MEMBERS, SPEAKERS), times)?,
            Kind::Film(program) => scene::film(program, false, folder, hosts, VIEWERS, times)?,
            Kind::FilmAlone => scene::film(Program::Tandem, true, folder, hosts, VIEWERS, times)?,
            Kind::Sound(program) => scene::audience(program, false, folder, hosts, spec(LISTENERS + 1, 1), times)?,
            Kind::Voice => scene::audience(Program::Tandem, true, folder, hosts, spec(LISTENERS + 1, 1), times)?,
            Kind::SetUp => {
                let (load, rate, profile) = handshakes::load(folder, hosts, HANDSHAKES)?;
                figures::keep(saved, name, Value::Highest(rate))?;
                (load, profile)
            }
        };
        figures::keep(saved, name, Value::Load(load))?;
        saved.write(name, &format!("profile\t{profile}"))
    }
}

/// By which profile a row's media was sealed.
fn profile(saved: &Saved, name: &str) -> Option<String> {
    let of = |fields: &[&str]| match fields {
        ["profile", profile] => Some((*profile).to_owned()),
        _ => None,
    };
    saved.read(name, of).pop()
}

/// This comparison in a network of its own: Janus takes no loopback addresses, and what is sent to an address of the same machine goes the same way
/// as on the loopback.
fn apart(words: &[String]) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("the bench's own program: {error}"))?;
    let bound = peer::command(&own.to_string_lossy(), Some(Half::Generators));
    let mut command = Command::new("unshare");
    command
        .arg("--net")
        .arg("--")
        .arg(bound.get_program())
        .args(bound.get_args());
    let status = command.arg("webrtc").args(words).env(BOUND, "1").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "the comparison ended with {status}; it needs a network of its own, which only root can make (unshare --net)"
        )),
        Err(error) => Err(format!("the comparison cannot be started: unshare: {error}")),
    }
}

fn ip(words: &[&str]) -> Result<(), String> {
    let said = Command::new("ip").args(words).output();
    let said = said.map_err(|error| format!("ip: {error}"))?;
    if said.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    Err(format!("ip {}: {why}", words.join(" ")))
}

fn link() -> Result<(), String> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", LINK, "type", "veth", "peer", "name", "tandem1"])?;
    ip(&["link", "set", LINK, "up"])?;
    ip(&["link", "set", "tandem1", "up"])
}

/// Three addresses that no other row has.
fn hosts(place: usize) -> Result<Hosts, String> {
    let [a, b] = NETWORK;
    let at = |host| Ipv4Addr::new(a, b, u8::try_from(place).expect("few rows"), host);
    let hosts = Hosts {
        peer: at(1),
        uac: at(2),
        uas: at(3),
    };
    for host in [hosts.peer, hosts.uac, hosts.uas] {
        ip(&["address", "replace", &format!("{host}/16"), "dev", LINK])?;
    }
    Ok(hosts)
}

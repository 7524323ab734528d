//! Rooms with their members at work.

use super::figures::Load;
use super::members::Members;
use super::voice::TONES;
use crate::load;
use crate::media::ALONE;
use crate::media::phones::Phones;
use crate::media::scene::{FEW, RATE, Times, Window, a_second, at_work, watch};
use crate::media::sdp::Offered;
use crate::peer::{Hosts, Peer, Running, Tandem};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

/// The number of the first room.
const FIRST: usize = 3_000;
/// Ticks of a second.
const TICKS: f64 = 50.0;
/// Behind this in the log is what a room took.
const TOLD: &str = " packets were encoded in the last ";

/// Rooms of one kind. Members are numbered through all rooms: the first of each, the second of each, and so on.
#[derive(Clone, Copy)]
pub struct Spec {
    pub rooms: usize,
    /// Of each.
    pub members: usize,
    /// The first so many of each speak all the time.
    pub speakers: usize,
    pub offered: Offered,
    /// The last of all reports that it loses packets.
    pub lossy: bool,
}

impl Spec {
    /// Members of all rooms.
    pub fn all(&self) -> usize {
        self.rooms * self.members
    }

    fn room(&self, member: usize) -> usize {
        member % self.rooms
    }

    /// Which tone a member says. Rooms beside one another have different ones: what came from another room would be heard.
    pub fn says(&self, member: usize) -> Option<usize> {
        let place = member / self.rooms;
        (place < self.speakers).then_some((place + self.room(member)) % TONES.len())
    }

    /// Which it is to hear.
    pub fn hears(&self, member: usize) -> Vec<usize> {
        let speakers = (0..self.speakers).map(|place| place * self.rooms + self.room(member));
        speakers
            .filter(|other| *other != member)
            .filter_map(|other| self.says(other))
            .collect()
    }

    /// The sections of the configuration.
    fn sections(&self) -> String {
        let mut yaml = "log: { level: debug }\nrooms:\n".to_owned();
        for room in 0..self.rooms {
            // It cannot fail: a `String` grows.
            let _ = writeln!(
                yaml,
                "  - {{ number: \"{}\", max_members: {}, entry: none }}",
                FIRST + room,
                self.members
            );
        }
        yaml
    }
}

/// All members at work.
pub fn load(spec: Spec, folder: &Path, hosts: Hosts, times: &Times) -> Result<Load, String> {
    let load = load::Load::new(folder, hosts, 0..1, true)?;
    let mut members = Members::new(hosts.uac, spec)?;
    let tandem = Tandem {
        media: ALONE,
        trunk: ", codecs: [ opus, pcma ]",
        more: spec.sections(),
        ..Tandem::default()
    };
    let running = Peer::Tandem(tandem).start(&load, 1)?;
    let mut phones = Phones::new(hosts)?;
    let mut join = |members: &mut Members, range: Range<usize>| {
        let dialled = |member| (FIRST + spec.room(member)).to_string();
        let ends = phones.join(range, RATE, dialled, spec.offered, members.place())?;
        members.add(ends);
        Ok::<(), String>(())
    };
    // What the first members make a program touch is not what a member takes.
    let (all, few) = (spec.all(), spec.all() / FEW);
    join(&mut members, 0..few)?;
    at_work(|phase| members.run(phase), a_second);
    let idle = running.memory();
    join(&mut members, few..all)?;
    let before = told(&running);
    let times = long(times, all);
    let (record, window) = at_work(|phase| members.run(phase), |phase| watch(&running, &times, phase));
    let Window {
        used,
        elapsed,
        memory,
        others,
    } = window;
    let packets = elapsed.as_secs_f64() * TICKS * all as f64;
    if (record.sent as f64) < packets * 0.98 {
        return Err(format!("the generator sent {} of {packets:.0} packets", record.sent));
    }
    // What came not at all is lost, too.
    let missing = (packets * 0.98) as u64;
    let load = Load {
        each: used / packets,
        memory: memory.saturating_sub(idle) as f64 / (all - few) as f64,
        encodes: encodes(&before, &told(&running)),
        late: record.late,
        gaps: record.gaps,
        tail: record.delay.quantile(0.999).unwrap_or(0.0),
        others,
        lost: record.lost.max(missing.saturating_sub(record.received)),
        wrong: record.wrong + record.deceived.len() as u64,
    };
    println!(
        "    {load:.2?}, at most {:?} late; the generator was {} packets behind",
        record.delay.most, record.behind
    );
    if let Some((number, levels)) = record.deceived.first() {
        println!(
            "    {} members did not hear what they should; the first is number {number}, to whom the tones had {levels:.1?} dBm0",
            record.deceived.len()
        );
    }
    Ok(load)
}

/// The system counts CPU time in hundredths of a second, of which a few members take little.
fn long(times: &Times, members: usize) -> Times {
    Times {
        window: if members < 100 && times.runs > 1 {
            times.window * 3
        } else {
            times.window
        },
        ..*times
    }
}

/// What rooms have told, each by its name: how often, and the packets encoded in a tick that it told last.
fn told(running: &Running) -> BTreeMap<String, (usize, f64)> {
    let mut told = BTreeMap::new();
    for line in running.log().lines() {
        if let Some((room, encodes)) = encodes_of(line) {
            let (times, last) = told.entry(room.to_owned()).or_insert((0, encodes));
            (*times, *last) = (*times + 1, encodes);
        }
    }
    told
}

fn encodes_of(line: &str) -> Option<(&str, f64)> {
    let (before, after) = line.split_once(TOLD)?;
    let (_, room) = before.split_once("room ")?;
    let (name, rest) = room.split_once(": ")?;
    let encodes: f64 = rest.rsplit(' ').next()?.parse().ok()?;
    let ticks: f64 = after.split(' ').next()?.parse().ok()?;
    Some((name, encodes / ticks))
}

/// Packets encoded in a tick, of all rooms. In what each told first since all had joined, some may have joined yet; none where a room has not
/// told twice since.
fn encodes(before: &BTreeMap<String, (usize, f64)>, now: &BTreeMap<String, (usize, f64)>) -> Option<f64> {
    let times = |room: &String| before.get(room).map_or(0, |(times, _)| *times);
    let of = |(room, (told, last)): (&String, &(usize, f64))| (*told >= times(room) + 2).then_some(*last);
    (!now.is_empty())
        .then(|| now.iter().map(of).sum::<Option<f64>>())
        .flatten()
}

//! A program with browsers at work, and what is measured of it.

use super::browser::Browser;
use super::calls::Calls;
use super::film::{self, Film};
use super::join::{FORWARDED, Kind, PLAIN, Part, Program, QUIET, WIDE, tandem};
use super::sdp::{self, Line, Medium, OPUS};
use super::voices::Voices;
use crate::media::figures::Load;
use crate::media::generator::Delay;
use crate::media::scene::{FEW, PACKETS, Times, Window, a_second, at_work, watch};
use crate::media::sdp::Offered;
use crate::mix::scene::Spec;
use crate::peer::{Hosts, Running};
use std::path::Path;

/// Packets of a member, or of one who publishes sound, in a second.
const TICKS: f64 = 50.0;

/// Members of a room who are browsers, of whom some speak: CPU time per member and 20 ms.
pub fn room(
    program: Program,
    folder: &Path,
    hosts: Hosts,
    spec: Spec,
    times: &Times,
) -> Result<(Load, String), String> {
    let (running, mut control) = program.start(folder, hosts, spec.members, WIDE)?;
    let mut voices = Voices::new(spec, spec.members)?;
    // What the first members make a program touch is not what a member takes.
    let (all, few) = (spec.members, spec.members / FEW);
    voices.add(control.join(0, few, Part::Member)?)?;
    at_work(|phase| voices.run(phase), a_second);
    let idle = running.memory();
    voices.add(control.join(few, all - few, Part::Member)?)?;
    listen(&running, &mut voices, (all, all, all - few, idle), times)
}

/// One speaks, many hear: CPU time per packet that one of them gets. `forwarded`: as he came, and not the mix.
pub fn audience(
    program: Program,
    forwarded: bool,
    folder: &Path,
    hosts: Hosts,
    spec: Spec,
    times: &Times,
) -> Result<(Load, String), String> {
    let (setting, kind) = match forwarded {
        true => (FORWARDED, Kind::Voice),
        false => (PLAIN, Kind::Sound),
    };
    let (running, mut control) = program.start(folder, hosts, spec.members, setting)?;
    let mut voices = Voices::new(spec, 1)?;
    voices.add(control.join(0, 1, Part::Publishes(kind))?)?;
    let (all, few) = (spec.members - 1, spec.members / FEW);
    voices.add(control.join(1, few, Part::Watches(kind))?)?;
    at_work(|phase| voices.run(phase), a_second);
    let idle = running.memory();
    voices.add(control.join(1 + few, all - few, Part::Watches(kind))?)?;
    listen(&running, &mut voices, (all, 1, all - few, idle), times)
}

/// `all` hear and `sends` send, of whom the last so many came after memory was looked at.
fn listen(
    running: &Running,
    voices: &mut Voices,
    (all, sends, later, idle): (usize, usize, usize, u64),
    times: &Times,
) -> Result<(Load, String), String> {
    let (record, window) = at_work(|phase| voices.run(phase), |phase| watch(running, times, phase));
    let ticks = window.elapsed.as_secs_f64() * TICKS;
    enough(record.sent, ticks * sends as f64)?;
    // What came not at all is lost, too.
    let missing = (ticks * all as f64 * 0.98) as u64;
    let load = Load {
        lost: record.lost.max(missing.saturating_sub(record.received)),
        wrong: record.wrong + record.deceived.len() as u64,
        ..figures(&window, &record.delay, ticks * all as f64, idle, later)
    };
    let profile = voices.crowd.profile();
    println!(
        "    {load:.2?}, {} gaps; {profile}; the generator was {} packets behind",
        record.gaps, record.behind
    );
    if let Some((number, levels)) = record.deceived.first() {
        println!(
            "    {} members did not hear what they should; the first is number {number}, to whom the tones had {levels:.1?} dBm0",
            record.deceived.len()
        );
    }
    Ok((load, profile))
}

/// One publishes video, so many see it: CPU time per packet that one of them gets. `forwarded`: there is no mix beside it.
pub fn film(
    program: Program,
    forwarded: bool,
    folder: &Path,
    hosts: Hosts,
    audience: usize,
    times: &Times,
) -> Result<(Load, String), String> {
    let (setting, kind) = match forwarded {
        true => (FORWARDED, Kind::VideoAlone),
        false => (QUIET, Kind::Video),
    };
    let (running, mut control) = program.start(folder, hosts, audience + 1, setting)?;
    let mut film = Film::new()?;
    film.add(control.join(0, 1, Part::Publishes(kind))?)?;
    let few = audience / FEW;
    film.add(control.join(1, few, Part::Watches(kind))?)?;
    at_work(|phase| film.run(phase), a_second);
    let idle = running.memory();
    film.add(control.join(1 + few, audience - few, Part::Watches(kind))?)?;
    let ((record, keys), window) = at_work(|phase| film.run(phase), |phase| watch(&running, times, phase));
    let packets = window.elapsed.as_secs_f64() * film::RATE as f64;
    enough(record.sent[1], packets)?;
    if record.received[1] == 0 {
        return Err(format!(
            "nothing got through: {} packets were sent, {} of those that came were wrong",
            record.sent[0], record.wrong
        ));
    }
    let load = Load {
        lost: record.lost,
        wrong: record.wrong,
        ..figures(
            &window,
            &record.delay[1],
            packets * audience as f64,
            idle,
            audience - few,
        )
    };
    let profile = film.crowd.profile();
    println!(
        "    {load:.2?}, at most {:?}; {keys} key frames were asked for, {} packets of sound came; {profile}; the generator was {} turns behind",
        record.delay[1].most, record.octets, record.behind
    );
    Ok((load, profile))
}

/// Calls between browsers and a carrier: CPU time per packet, of both directions.
pub fn calls(folder: &Path, hosts: Hosts, count: usize, fec: bool, times: &Times) -> Result<(Load, String), String> {
    let (running, mut users) = tandem(folder, hosts, count, PLAIN)?;
    let mut calls = Calls::new(hosts.uac)?;
    let mut add = |calls: &mut Calls, first: usize, count: usize| {
        let browsers = (first..first + count).map(|number| Browser::new(hosts.uas, number));
        let mut browsers: Vec<Browser> = browsers.collect::<Result<_, _>>()?;
        for (at, browser) in browsers.iter().enumerate() {
            let lines = [Line(Medium::Opus { fec }, "sendrecv", None)];
            users.call_in_turn(
                first + at,
                format!("+{}", number(first + at)),
                sdp::offer(browser, &lines),
            )?;
        }
        for (call, answer) in users.answers()? {
            browsers[call - first].described(&answer, true)?;
        }
        let end = |(at, browser)| {
            let end = users.ends.remove(&number(first + at));
            Ok((browser, OPUS, end.ok_or("the carrier was not called")?))
        };
        let ready: Vec<_> = browsers
            .into_iter()
            .enumerate()
            .map(end)
            .collect::<Result<_, String>>()?;
        calls.add(ready)
    };
    let few = count / FEW;
    add(&mut calls, 0, few)?;
    at_work(|phase| calls.run(phase), a_second);
    let idle = running.memory();
    add(&mut calls, few, count - few)?;
    let (record, window) = at_work(|phase| calls.run(phase), |phase| watch(&running, times, phase));
    let packets = window.elapsed.as_secs_f64() * (count as u64 * PACKETS) as f64;
    enough(record.sent[1], packets)?;
    let load = Load {
        lost: record.lost,
        wrong: record.wrong,
        ..figures(&window, &record.delay[1], packets, idle, count - few)
    };
    let profile = calls.crowd.profile();
    println!(
        "    {load:.2?}; {profile}; levels {:.1?} dB; the generator was {} packets behind",
        record.level, record.behind
    );
    Ok((load, profile))
}

/// A number of the carrier's, which has no country that anything would be known of.
fn number(call: usize) -> usize {
    14_155_550_000 + call
}

fn enough(sent: u64, wanted: f64) -> Result<(), String> {
    if (sent as f64) < wanted * 0.98 {
        return Err(format!("the generator sent {sent} of {wanted:.0} packets"));
    }
    Ok(())
}

/// What is the same of all: by so many units of work, and by so many browsers who came after memory was looked at.
fn figures(window: &Window, delay: &Delay, units: f64, idle: u64, later: usize) -> Load {
    let quantile = |part| delay.quantile(part).unwrap_or(0.0);
    Load {
        each: window.used / units,
        delay: [quantile(0.5), quantile(0.99)],
        tail: quantile(0.999),
        memory: window.memory.saturating_sub(idle) as f64 / later as f64,
        others: window.others,
        lost: 0,
        wrong: 0,
    }
}

/// A room's members, of whom the first so many speak.
pub fn spec(members: usize, speakers: usize) -> Spec {
    Spec {
        rooms: 1,
        members,
        speakers,
        offered: Offered::Opus,
        lossy: false,
    }
}

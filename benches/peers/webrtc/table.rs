//! The table, and what it is to show.

use super::*;
use crate::media::figures::Figures;
use crate::table::{over, say};

type Row = (&'static str, Result<Figures, String>, Option<String>);

/// Microseconds of a core for each packet of a call: what a packet takes of this is a call's part of a core.
const CORE: f64 = 1_000_000.0 / crate::media::scene::PACKETS as f64;

/// Prints all rows, then each ratio with what is wanted of it.
pub fn print(rows: &[Row], times: &Times) {
    println!(
        "\n{:<36} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6} {:>7}  SRTP profile",
        "", "us", "p50 us", "p99 us", "KiB", "lost", "wrong", "others"
    );
    for (name, result, profile) in rows {
        match result {
            Ok(Figures { load: Some(load), .. }) => {
                let sign = if load.lost + load.wrong > 0 { "*" } else { "" };
                let known = |number: f64, decimals: usize| match number > 0.0 {
                    true => format!("{number:.decimals$}"),
                    false => String::new(),
                };
                let [half, most] = match *name {
                    SET_UP => [0.0; 2],
                    _ => load.delay,
                };
                println!(
                    "{name:<36} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6} {:>6.0}%  {}",
                    format!("{:.2}{sign}", load.each),
                    known(half, 0),
                    known(most, 0),
                    known(load.memory, 0),
                    load.lost,
                    load.wrong,
                    load.others,
                    profile.as_deref().unwrap_or_default()
                );
            }
            Ok(Figures { load: None, .. }) => println!("{name:<36} {:>8}", "-"),
            Err(why) => println!("{name:<36} {why}"),
        }
    }
    println!(
        "us: CPU time of the program, median of {} (* packets were lost or wrong): of calls per packet; of a room or AudioBridge per member and 20 ms; where\n\
         many see or hear one, per packet that one of them gets; of set-up, of the thread that does it, per handshake. p50, p99: how long packets of\n\
         video were under way; of sound, how much later than their time they came. KiB: of memory per browser. others: % of the machine.\n\
         one thread: Janus with `event_loops = 1`, else it has one for each browser. mixed: it is a room's mix, which all who only listen share; forwarded:\n\
         his own packets, as those of Janus\n",
        times.runs
    );
    ratios(rows);
}

fn ratios(rows: &[Row]) {
    let find = |wanted: &str| {
        let row = rows.iter().find(|(name, ..)| *name == wanted);
        row.and_then(|(_, result, _)| result.as_ref().ok())
            .copied()
            .unwrap_or_default()
    };
    let load = |row: &str| find(row).load;
    let each = |row: &str| load(row).map(|load| load.each);
    let at_most = |what: &str, ratio, wanted| say(what, ratio, "at most", wanted);
    let at_least = |what: &str, ratio, wanted| say(what, ratio, "at least", wanted);
    for (own, bare, kind, wanted) in [(CALL, LOOP, "", 215.0), (CALL_FEC, LOOP_FEC, " with FEC", 175.0)] {
        at_most(
            &format!("call{kind} / loop with libopus, CPU per packet"),
            over(each(own), each(bare)),
            1.25,
        );
        at_least(
            &format!("calls of a browser with a carrier a core{kind}"),
            each(own).map(|each| CORE / each),
            wanted,
        );
        if let Some(bare) = each(bare) {
            println!(
                "  of the loop there would be {:.0} a core on this machine, and 1.25 of it are {:.0}",
                CORE / bare,
                CORE / bare / 1.25
            );
        }
    }
    // The peer is Janus as it does better.
    let janus = |rows: [&str; 2]| rows.into_iter().filter_map(each).reduce(f64::min);
    at_most(
        "room / the better AudioBridge, CPU per member",
        over(each(ROOM), janus(JANUS_ROOM)),
        0.5,
    );
    let lost = |row: &str| load(row).map(|load| (load.lost + load.wrong) as f64);
    for (row, kind) in [(FILM, ""), (FILM_ALONE, " without a mix")] {
        at_most(
            &format!("video{kind} / the better VideoRoom, per packet"),
            over(each(row), janus(JANUS_FILM)),
            0.5,
        );
        at_most(&format!("packets of video{kind} lost or wrong"), lost(row), 0.0);
        let delay = load(row).map(|load| load.delay[1] / 1_000.0);
        at_most(&format!("ms of delay of video{kind}, 99 of 100"), delay, 10.0);
    }
    for (row, kind) in [(SOUND, "mixed"), (VOICE, "forwarded")] {
        at_most(
            &format!("sound to 300, {kind} / the better VideoRoom"),
            over(each(row), janus(JANUS_SOUND)),
            0.5,
        );
        at_most(&format!("packets of sound, {kind}, lost or wrong"), lost(row), 0.0);
    }
    at_least(
        "DTLS handshakes a second and core, of the thread",
        each(SET_UP).map(|each| 1_000_000.0 / each),
        400.0,
    );
    if let Some(load) = load(SET_UP) {
        println!(
            "whole set-ups: {} a second were seen, with the other ends on one core of the bench; {:.0} us of the whole program each",
            find(SET_UP).highest.unwrap_or_default(),
            load.delay[0]
        );
    }
}

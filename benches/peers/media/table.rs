//! The table, and what it is to show.

use super::figures::{Figures, Load};
use super::scene::{RTPENGINE, Times};
use crate::table::{over, say};

type Row = (&'static str, Result<Figures, String>);

/// Prints all rows, the settings of both sides, then each ratio with what is wanted of it.
pub fn print(rows: &[Row], times: &Times) {
    println!(
        "\n{:<36} {:>8} {:>8} {:>8} {:>9} {:>10} {:>16} {:>6} {:>6} {:>7}",
        "", "us", "p50 us", "p99 us", "KiB/call", "highest/s", "set-up ms", "lost", "wrong", "others"
    );
    for (name, result) in rows {
        match result {
            Ok(figures) => println!("{name:<36} {}", line(figures)),
            Err(why) => println!("{name:<36} {why}"),
        }
    }
    println!(
        "us: CPU time of the program per packet, median of {} (* packets were lost or wrong). p50, p99: how long half of the packets, and 99 of 100, were under way.\n\
         highest/s: {} s without loss. set-up: the longest delay before, and while 1,000 calls are set up. others: % of the machine",
        times.runs, times.step
    );
    println!(
        "rtpengine: {}; Opus as it is by default (48 kHz, stereo, complexity 10, 32 kbit/s), useinbandfec=0\n\
         Tandem: media: {{ workers: 1 }}, else as it is by default; Opus 8 kHz, mono, complexity 5, 24 kbit/s, useinbandfec=0\n",
        RTPENGINE.join(" ")
    );
    ratios(rows);
}

fn line(figures: &Figures) -> String {
    let highest = figures.highest.map_or_else(String::new, |rate| rate.to_string());
    let set_up = figures.set_up.map_or_else(String::new, |[before, meanwhile]| {
        format!("{before:.2}, {meanwhile:.2}")
    });
    let load = figures.load.map_or_else(
        || format!("{:>8} {:>8} {:>8} {:>9}", "", "", "", ""),
        |load| {
            // Of transcoded packets it is not known, and the loop has all its memory from the start.
            let known = |number: f64, decimals: usize| {
                if number > 0.5 {
                    format!("{number:.decimals$}")
                } else {
                    String::new()
                }
            };
            let [half, most] = load.delay.map(|delay| known(delay, 0));
            let sign = if load.lost + load.wrong > 0 { "*" } else { "" };
            let each = format!("{:.2}{sign}", load.each);
            format!("{each:>8} {half:>8} {most:>8} {:>9}", known(load.memory, 1))
        },
    );
    let rest = figures.load.map_or_else(String::new, |load| {
        format!("{:>6} {:>6} {:>6.0}%", load.lost, load.wrong, load.others)
    });
    format!("{load} {highest:>10} {set_up:>16} {rest}")
}

fn ratios(rows: &[Row]) {
    let find = |wanted: &str| {
        let row = rows.iter().find(|(name, _)| *name == wanted);
        row.and_then(|(_, result)| result.as_ref().ok())
            .copied()
            .unwrap_or_default()
    };
    let load = |row: &str, of: fn(&Load) -> f64| find(row).load.as_ref().map(of);
    let each = |row: &str| load(row, |load| load.each);
    let (ours, theirs, least) = ("Tandem, relay", "rtpengine, relay", "loop, relay");
    let at_most = |what: &str, ratio, wanted| say(what, ratio, "at most", wanted);
    at_most("relay / rtpengine, CPU per packet", over(each(ours), each(theirs)), 0.7);
    at_most("relay / loop, CPU per packet", over(each(ours), each(least)), 1.25);
    let half = |row: &str| load(row, |load| load.delay[0]);
    let most = |row: &str| load(row, |load| load.delay[1]);
    at_most("relay / rtpengine, delay p50", over(half(ours), half(theirs)), 1.0);
    at_most("relay / rtpengine, delay p99", over(most(ours), most(theirs)), 1.0);
    let highest = |row: &str| find(row).highest.map(|rate| rate as f64);
    say(
        "relay / rtpengine, highest rate without loss",
        over(highest(ours), highest(theirs)),
        "at least",
        1.3,
    );
    let (secure, their_secure) = ("Tandem, SRTP <-> RTP", "rtpengine, SRTP <-> RTP");
    at_most(
        "SRTP / rtpengine, CPU per packet",
        over(each(secure), each(their_secure)),
        0.6,
    );
    let more = each(secure).zip(each(ours)).map(|(secure, plain)| secure - plain);
    at_most("us of SRTP beyond relay", more, 1.0);
    let (opus, their_opus) = ("Tandem, G.711 <-> Opus", "rtpengine, G.711 <-> Opus");
    at_most(
        "G.711 <-> Opus / rtpengine, CPU per packet",
        over(each(opus), each(their_opus)),
        0.22,
    );
    let floor = each("loop with libopus, G.711 <-> Opus");
    at_most("G.711 <-> Opus / loop with libopus", over(each(opus), floor), 1.2);
    at_most("KiB per relayed call", load(ours, |load| load.memory), 64.0);
    at_most("KiB per transcoded call", load(opus, |load| load.memory), 160.0);
    let late = find(ours).set_up.map(|[_, meanwhile]| meanwhile);
    at_most("ms of delay while 1,000 calls are set up", late, 5.0);
}

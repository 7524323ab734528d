//! The table, and what it is to show.

use super::figures::{Load, Summary};
use super::{CODECS, LOOP, OPUS, RELAY, ROOMS, SMALL, SPEAKERS};
use crate::media::scene::Times;
use crate::table::{over, say};

type Row = (&'static str, Result<Option<Summary>, String>);

/// Prints all rows, then each ratio with what is wanted of it.
pub fn print(rows: &[Row], times: &Times) {
    println!(
        "\n{:<32} {:>8} {:>13} {:>8} {:>8} {:>6} {:>6} {:>8} {:>6} {:>6} {:>7}",
        "", "us", "runs", "KiB", "encodes", "late", "gaps", "p99.9 us", "lost", "wrong", "others"
    );
    for (name, result) in rows {
        match result {
            Ok(Some(summary)) => println!("{name:<32} {}", line(summary)),
            Ok(None) => println!("{name:<32} {:>8}", "-"),
            Err(why) => println!("{name:<32} {why}"),
        }
    }
    println!(
        "us: CPU time of the program per member and 20 ms, or per packet, median of {} (* packets were lost or wrong). KiB: of memory per member.\n\
         encodes: packets encoded in 20 ms, of all rooms. late: ticks in which a packet came over 5 ms after its time; gaps: over 25 ms after the one before.\n\
         p99.9: how much later than its time 999 of 1,000 packets come at most, or how long they are kept. others: % of the machine\n",
        times.runs
    );
    ratios(rows);
}

fn line(summary: &Summary) -> String {
    let Summary { each, load } = summary;
    let sign = if load.lost + load.wrong > 0 { "*" } else { "" };
    // Not each row has each.
    let known = |number: f64, decimals: usize| match number > 0.0 {
        true => format!("{number:.decimals$}"),
        false => String::new(),
    };
    let runs = format!("{:.2}-{:.2}", each.least, each.most);
    let encodes = load.encodes.map_or_else(String::new, |encodes| format!("{encodes:.2}"));
    let is_room = load.encodes.is_some();
    let count = |number: u64| if is_room { number.to_string() } else { String::new() };
    format!(
        "{:>8} {runs:>13} {:>8} {encodes:>8} {:>6} {:>6} {:>8} {:>6} {:>6} {:>6.0}%",
        format!("{:.2}{sign}", each.middle),
        known(load.memory, 1),
        count(load.late),
        count(load.gaps),
        known(load.tail, 0),
        load.lost,
        load.wrong,
        load.others
    )
}

fn ratios(rows: &[Row]) {
    let find = |wanted: &str| {
        let row = rows.iter().find(|(name, _)| *name == wanted);
        row.and_then(|(_, result)| result.as_ref().ok()).copied().flatten()
    };
    let load = |row: &str| find(row).map(|summary| summary.load);
    let each = |row: &str| load(row).map(|load| load.each);
    let at_most = |what: &str, ratio, wanted| say(what, ratio, "at most", wanted);
    let [_, (_, thirty), (_, hundred), _, (_, thousand)] = ROOMS;
    at_most(
        "member of 100 and 20 ms / a packet of the loop",
        over(each(hundred), each(LOOP)),
        2.0,
    );
    at_most(
        "member of 1,000 / member of 30",
        over(each(thousand), each(thirty)),
        1.0,
    );
    let tail = |load: Load| load.tail / 1_000.0;
    at_most(
        "ms that 999 of 1,000 packets are late, of 1,000 members",
        load(thousand).map(tail),
        5.0,
    );
    let most = SPEAKERS as f64 + 2.0;
    at_most(
        "encodes in 20 ms for 300 members in Opus",
        load(OPUS).and_then(|load| load.encodes),
        most,
    );
    let without = each(SMALL).zip(each(CODECS)).map(|(small, codecs)| small - codecs);
    at_most(
        "200 rooms of 5, less the codecs / 1,000 relayed legs",
        over(without, each(RELAY)),
        1.3,
    );
    at_most("KiB per member of 1,000", load(thousand).map(|load| load.memory), 32.0);
}

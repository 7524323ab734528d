//! The table, and what it is to show.

use super::{COTURN, COTURN_SENDS, LOOP, TANDEM, TANDEM_SENDS};
use crate::media::figures::Load;
use crate::media::scene::Times;
use crate::table::{over, say};

type Row = (&'static str, Result<Option<Load>, String>);

/// Prints all rows, then each ratio with what is wanted of it.
pub fn print(rows: &[Row], times: &Times) {
    println!(
        "\n{:<24} {:>8} {:>8} {:>8} {:>9} {:>6} {:>6} {:>7}",
        "", "us", "p50 us", "p99 us", "KiB", "lost", "wrong", "others"
    );
    for (name, result) in rows {
        match result {
            Ok(Some(load)) => println!(
                "{name:<24} {:>8.2} {:>8.0} {:>8.0} {:>9.1} {:>6} {:>6} {:>6.0}%",
                load.each, load.delay[0], load.delay[1], load.memory, load.lost, load.wrong, load.others
            ),
            Ok(None) => println!("{name:<24} {:>8}", "-"),
            Err(why) => println!("{name:<24} {why}"),
        }
    }
    println!(
        "us: CPU time of the program per relayed packet, median of {}. p50, p99: delay through it. KiB: memory per allocation. others: % of the machine\n",
        times.runs
    );
    let find = |wanted: &str| {
        let row = rows.iter().find(|(name, _)| *name == wanted);
        row.and_then(|(_, result)| result.as_ref().ok()).copied().flatten()
    };
    let each = |row: &str| find(row).map(|load| load.each);
    let at_most = |what: &str, ratio, wanted| say(what, ratio, "at most", wanted);
    at_most(
        "channels / coturn, CPU per packet",
        over(each(TANDEM), each(COTURN)),
        0.85,
    );
    at_most("channels / loop, CPU per packet", over(each(TANDEM), each(LOOP)), 1.25);
    at_most(
        "indications / coturn, CPU per packet",
        over(each(TANDEM_SENDS), each(COTURN_SENDS)),
        0.85,
    );
    at_most("KiB per allocation", find(TANDEM).map(|load| load.memory), 4.0);
}

//! The table, and what it is to show.

use crate::BINDINGS;
use crate::measure::Figures;

type Row = (&'static str, Result<Figures, String>);

/// Prints all rows, then each ratio with what is wanted of it.
pub fn print(rows: &[Row], step: u64) {
    println!(
        "\n{:<40} {:>12} {:>12} {:>10} {:>10} {:>7}",
        "", "us, 1000/s", "us, 3000/s", "highest/s", "bytes", "others"
    );
    for (name, result) in rows {
        match result {
            Ok(figures) => println!("{name:<40} {}", line(figures)),
            Err(why) => println!("{name:<40} {why}"),
        }
    }
    println!(
        "us: CPU time of all processes of the peer per call or registration, median of five runs (* calls failed, or messages were repeated)"
    );
    println!(
        "highest/s: {step} s without a failure or a repeated message. bytes: per call that is up, per binding. others: % of the machine\n"
    );
    ratios(rows);
}

fn line(figures: &Figures) -> String {
    let cpu = |at: usize| {
        figures.cpu.get(at).map_or_else(String::new, |cpu| {
            let sign = if cpu.failed + cpu.repeated > 0 { "*" } else { "" };
            format!("{:.0}{sign}", cpu.each)
        })
    };
    let highest = figures.highest.map_or_else(String::new, |rate| rate.to_string());
    let memory = figures.memory.map_or_else(String::new, |bytes| format!("{bytes:.0}"));
    let others = figures.cpu.iter().map(|cpu| cpu.others).fold(0.0, f64::max);
    format!(
        "{:>12} {:>12} {highest:>10} {memory:>10} {others:>6.0}%",
        cpu(0),
        cpu(1)
    )
}

fn ratios(rows: &[Row]) {
    let find = |part: &'static str| {
        rows.iter()
            .filter(move |(name, _)| name.contains(part))
            .filter_map(|(_, result)| result.as_ref().ok())
            .collect::<Vec<_>>()
    };
    let least = |part, at: usize| {
        find(part)
            .iter()
            .filter_map(|row| Some(row.cpu.get(at)?.each))
            .reduce(f64::min)
    };
    let most = |part| {
        find(part)
            .iter()
            .filter_map(|row| row.highest)
            .max()
            .map(|rate| rate as f64)
    };
    let memory = |part| find(part).iter().find_map(|row| row.memory);
    let proxy = "Tandem, proxy, defaults";
    for (at, rate) in [(0, "1000/s"), (1, "3000/s")] {
        say(
            &format!("proxy / Kamailio stateful, CPU per call at {rate}"),
            over(least(proxy, at), least("Kamailio, stateful", at)),
            "at most",
            0.4,
        );
    }
    say(
        "proxy / Kamailio stateful, highest rate",
        over(most(proxy), most("Kamailio, stateful")),
        "at least",
        1.5,
    );
    for (at, rate) in [(0, "1000/s"), (1, "3000/s")] {
        say(
            &format!("REGISTER / Kamailio's, CPU at {rate}"),
            over(least("Tandem, REGISTER", at), least("Kamailio, REGISTER", at)),
            "at most",
            0.6,
        );
    }
    for (at, rate) in [(0, "1000/s"), (1, "3000/s")] {
        say(
            &format!("bridge / proxy, CPU per call at {rate}"),
            over(least("Tandem, bridge", at), least(proxy, at)),
            "at most",
            1.5,
        );
    }
    say(
        "KiB per call in the proxy",
        memory(proxy).map(|bytes| bytes / 1024.0),
        "at most",
        8.0,
    );
    let bindings = memory("Tandem, REGISTER").map(|bytes| bytes * BINDINGS as f64 / 1_048_576.0);
    say("MiB for 100,000 bindings", bindings, "at most", 100.0);
}

pub fn over(of: Option<f64>, by: Option<f64>) -> Option<f64> {
    Some(of? / by?)
}

/// One ratio, and whether it is as wanted.
pub fn say(what: &str, ratio: Option<f64>, how: &str, wanted: f64) {
    let Some(ratio) = ratio else {
        return println!("{what:<52}      -  {how} {wanted}");
    };
    let holds = if how == "at most" {
        ratio <= wanted
    } else {
        ratio >= wanted
    };
    println!(
        "{what:<52} {ratio:>6.2}  {how} {wanted}: {}",
        if holds { "holds" } else { "does not hold" }
    );
}

//! Calls of browsers as fast as they are set up: INVITE with its challenge, ICE, DTLS until both sides have keys. Nothing is said in them.

use super::browser::Browser;
use super::join::{PLAIN, echo, tandem};
use super::sdp::{self, Line, Medium};
use crate::measure::MICROSECONDS_PER_TICK;
use crate::media::figures::Load;
use crate::peer::{self, Hosts};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The thread of the program that does it.
const THREAD: &str = "rtc";
/// So many calls are being set up at any time.
const AT_ONCE: usize = 12;
/// When nothing has gone on for so long, something hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What so many took: CPU time of the thread for each, how many there were in a second, and the profile.
pub fn load(folder: &Path, hosts: Hosts, count: usize) -> Result<(Load, u64, String), String> {
    let warm = count / 10;
    let (running, mut users) = tandem(folder, hosts, count + warm, PLAIN)?;
    // The first ones meet cold caches.
    let mut done = Vec::new();
    set_up(&mut users, hosts, 0..warm, &mut done)?;
    let pid = running.pid();
    let ticks = || (peer::thread_ticks(pid, THREAD), running.ticks());
    let (before, begin) = (ticks(), Instant::now());
    set_up(&mut users, hosts, warm..warm + count, &mut done)?;
    let (after, elapsed) = (ticks(), begin.elapsed());
    let each = |used: u64| used as f64 * MICROSECONDS_PER_TICK / count as f64;
    let (own, all) = (each(after.0 - before.0), each(after.1 - before.1));
    let rate = count as f64 / elapsed.as_secs_f64();
    let profile = done.last().and_then(|browser: &Browser| browser.profile);
    let profile = profile.map(|profile| profile.to_string()).unwrap_or_default();
    println!(
        "    {own:.0} us of the thread {THREAD} for each, {all:.0} us of the whole program; {rate:.0} a second, {AT_ONCE} at once; {profile}"
    );
    let load = Load {
        each: own,
        delay: [all, 0.0],
        tail: 0.0,
        memory: 0.0,
        others: 0.0,
        lost: 0,
        wrong: 0,
    };
    Ok((load, rate as u64, profile))
}

fn set_up(
    users: &mut super::sip::Users,
    hosts: Hosts,
    calls: std::ops::Range<usize>,
    done: &mut Vec<Browser>,
) -> Result<(), String> {
    let (mut next, mut open) = (calls.start, BTreeMap::new());
    let mut heard = Instant::now();
    while next < calls.end || !open.is_empty() {
        while next < calls.end && open.len() < AT_ONCE {
            let browser = Browser::new(hosts.uas, next)?;
            let lines = [Line(Medium::Opus { fec: true }, "sendrecv", None)];
            users.call(next, echo(), sdp::offer(&browser, &lines))?;
            open.insert(next, browser);
            next += 1;
        }
        while let Some((call, answer)) = users.poll()? {
            if let Some(browser) = open.get_mut(&call) {
                browser.described(&answer, true)?;
            }
        }
        for browser in open.values_mut().filter(|browser| browser.is_described()) {
            browser.set_up()?;
        }
        let keyed: Vec<usize> = open
            .iter()
            .filter(|(_, browser)| browser.is_keyed())
            .map(|(call, _)| *call)
            .collect();
        if !keyed.is_empty() {
            heard = Instant::now();
        } else if heard.elapsed() > PATIENCE {
            return Err(format!("{} of {} calls have no keys", open.len(), calls.len()));
        }
        done.extend(keyed.iter().filter_map(|call| open.remove(call)));
    }
    Ok(())
}

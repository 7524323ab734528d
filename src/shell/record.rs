//! The folds over the facts: call records, log lines, counters.

use super::net::NetCounters;
use super::store::{CallRow, LegRow};
use crate::effect::{Blame, Cause, Fact, LegReport, Party};
use crate::id::CallId;
use crate::pii::{Redacted, Scrubbed};
use crate::time::Wall;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use tracing::{debug, info, warn};

/// Source addresses whose refusals are logged one by one within a minute; further ones are only counted.
const REFUSALS_LOGGED: u32 = 20;

/// Counters of what happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls begun.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls ended, by SIP status.
    pub ended: BTreeMap<u16, u64>,
    /// Changes of bindings.
    pub registrations: u64,
    /// Requests refused, by status; 0 for those that were not answered.
    pub refused: BTreeMap<u16, u64>,
    /// Call records that found no room in memory.
    pub lost_records: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        write!(
            f,
            "{} calls, of which {} were answered, {} changes of registrations, {refused} refused requests",
            self.calls, self.answered, self.registrations
        )
    }
}

/// Folds facts.
#[derive(Debug, Default)]
pub struct Recorder {
    counters: Counters,
    /// The current minute and the refusals in it.
    refusals: (u64, u32),
    /// What was told of the sockets' counters.
    told: [u64; 5],
}

impl Recorder {
    /// The counters so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A record could not be kept.
    pub fn lost(&mut self) {
        self.counters.lost_records += 1;
        if self.counters.lost_records.is_power_of_two() {
            warn!(
                "{} call records lost: the store is too slow or down, and memory for them is used up",
                self.counters.lost_records
            );
        }
    }

    /// Counts and logs one fact; gives the change of a call record that it means, if any.
    pub fn fold(&mut self, fact: Fact, minute: u64) -> Option<CallRow> {
        match fact {
            Fact::CallStarted {
                call,
                at,
                from,
                caller,
                called,
                sip_call_id,
            } => {
                self.counters.calls += 1;
                let source = party(&from);
                let (from, to, source_shown) = (Redacted(&caller), Redacted(&called), Scrubbed(&source));
                info!(%call, "call from {from} ({source_shown}) to {to}");
                Some(CallRow::Started {
                    call,
                    at,
                    source,
                    caller,
                    called,
                    sip_call_id,
                })
            }
            Fact::CallRouted { call, to, rule } => {
                info!(%call, "routed to {} by {}", Scrubbed(&to), Scrubbed(&rule));
                Some(CallRow::Routed {
                    call,
                    destination: to,
                    rule,
                })
            }
            Fact::CallRinging { call, .. } => {
                info!(%call, "ringing");
                None
            }
            Fact::CallAnswered { call, at, by } => {
                self.counters.answered += 1;
                info!(%call, "answered by {}", Scrubbed(&party(&by)));
                Some(CallRow::Answered { call, at })
            }
            Fact::CallChanged { call, what } => {
                info!(%call, "{}", Scrubbed(&what));
                None
            }
            Fact::CallEnded { call, at, cause, legs } => Some(self.ended(call, at, cause, legs)),
            other => {
                self.fold_other(other, minute);
                None
            }
        }
    }

    fn ended(&mut self, call: CallId, at: Wall, cause: Cause, legs: Vec<LegReport>) -> CallRow {
        *self.counters.ended.entry(cause.status).or_default() += 1;
        let by = blame(cause.by);
        let media: String = legs.iter().map(|leg| format!("; {}", describe(leg))).collect();
        info!(%call, status = cause.status, q850 = cause.q850, "ended by the {by}: {}{media}", Scrubbed(&cause.text));
        let side = |leg: &LegReport| if leg.caller { "caller" } else { "callee" };
        let legs = legs
            .into_iter()
            .map(|leg| LegRow {
                side: side(&leg),
                stats: leg.stats,
            })
            .collect();
        CallRow::Ended {
            call,
            at,
            status: cause.status,
            q850: cause.q850,
            by,
            cause: cause.text,
            legs,
        }
    }

    fn fold_other(&mut self, fact: Fact, minute: u64) {
        match fact {
            Fact::Registered {
                aor,
                contacts,
                changed,
                peer,
                expires,
            } => {
                self.counters.registrations += 1;
                let (aor, seconds) = (Scrubbed(&aor.0), expires.as_secs());
                match (contacts, changed) {
                    (0, _) => info!("{aor} is no longer registered (from {peer})"),
                    (_, true) => info!("{aor} is registered from {peer} for {seconds} s, {contacts} contacts"),
                    // Each phone says so every few minutes: no news.
                    (_, false) => debug!("{aor} stays registered from {peer} for {seconds} s, {contacts} contacts"),
                }
            }
            Fact::TrunkState { trunk, peer, up, why } => {
                let what = peer.map_or_else(
                    || format!("trunk {trunk}"),
                    |peer| format!("trunk {trunk}, peer {peer}"),
                );
                let (what, why) = (Scrubbed(&what), Scrubbed(&why));
                if up {
                    info!("{what} is up: {why}");
                } else {
                    warn!("{what} is down: {why}");
                }
            }
            Fact::Refused { peer, status, why } => self.refused(peer, status, why, minute),
            Fact::Warning(text) => warn!("{}", Scrubbed(&text)),
            Fact::CallStarted { .. }
            | Fact::CallRouted { .. }
            | Fact::CallRinging { .. }
            | Fact::CallAnswered { .. }
            | Fact::CallChanged { .. }
            | Fact::CallEnded { .. } => unreachable!("facts of calls are folded before"),
        }
    }

    fn refused(&mut self, peer: std::net::SocketAddr, status: u16, why: &'static str, minute: u64) {
        *self.counters.refused.entry(status).or_default() += 1;
        self.new_minute(minute);
        self.refusals.1 += 1;
        match self.refusals.1 {
            n if n < REFUSALS_LOGGED => info!(status, "refused a request from {peer}: {why}"),
            REFUSALS_LOGGED => {
                info!(
                    status,
                    "refused a request from {peer}: {why}; further refusals of this minute are only counted"
                );
            }
            _ => debug!(status, "refused a request from {peer}: {why}"),
        }
    }

    fn new_minute(&mut self, minute: u64) {
        if self.refusals.0 != minute {
            let unlogged = self.refusals.1.saturating_sub(REFUSALS_LOGGED);
            if unlogged > 0 {
                info!("{unlogged} more requests were refused in that minute");
            }
            self.refusals = (minute, 0);
        }
    }

    /// Tells what was only counted since it was told last: a flood of garbage is one line.
    pub fn tell_counted(&mut self, minute: u64, net: &NetCounters) {
        self.new_minute(minute);
        let now = [
            &net.not_sip,
            &net.dropped_full,
            &net.send_failed,
            &net.refused_connections,
            &net.handshakes_failed,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        let words = [
            "datagrams that are no SIP",
            "messages dropped because we were too busy",
            "datagrams that the system would not send",
            "connections refused because there were too many",
            "TLS or WebSocket handshakes that failed or were given up",
        ];
        let news: Vec<String> = (0..now.len())
            .filter(|at| now[*at] > self.told[*at])
            .map(|at| format!("{} {}", now[at] - self.told[at], words[at]))
            .collect();
        self.told = now;
        if !news.is_empty() {
            info!("since the last line of this kind: {}", news.join(", "));
        }
    }
}

fn party(party: &Party) -> String {
    match party {
        Party::User(name) => format!("user/{name}"),
        Party::Trunk(_, name) => format!("trunk/{name}"),
        Party::Service(name) => name.clone(),
    }
}

fn blame(by: Blame) -> &'static str {
    match by {
        Blame::Caller => "caller",
        Blame::Callee => "callee",
        Blame::Node => "node",
        Blame::Network => "network",
    }
}

fn describe(leg: &LegReport) -> String {
    let stats = &leg.stats;
    let side = if leg.caller { "caller" } else { "callee" };
    let codec = stats.codec.map_or("no codec", |codec| codec.name());
    let mos = stats.mos.map_or_else(|| "-".to_owned(), |mos| format!("{mos:.1}"));
    format!(
        "{side} {codec}, {} packets in, {} out, {} lost, jitter {:.1} ms, MOS {mos}",
        stats.received,
        stats.sent,
        stats.lost,
        f64::from(stats.jitter_us) / 1000.0
    )
}

//! What a group of writes comes to: a call that begins and ends within it is one row, and of an address of record only the last list
//! of bindings counts.

use super::guard::GuardRow;
use super::recordings::RecordingRow;
use super::rows::{CallRow, LegRow};
use super::writer::Write;
use crate::effect::{Aor, Binding};
use crate::id::CallId;
use crate::time::Wall;
use std::collections::HashMap;

/// All that a group says of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub id: CallId,
    pub started: Option<Started<'a>>,
    pub routed: Option<Routed<'a>>,
    pub answered: Option<Wall>,
    /// Its legs while it is up.
    pub measured: Option<&'a [LegRow]>,
    pub ended: Option<Ended<'a>>,
}

/// Of `CallRow::Started`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started<'a> {
    pub at: Wall,
    pub source: &'a str,
    pub caller: &'a str,
    pub called: &'a str,
    pub sip_call_id: &'a str,
}

/// Of `CallRow::Routed`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routed<'a> {
    pub destination: &'a str,
    pub rule: &'a str,
}

/// Of `CallRow::Ended`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended<'a> {
    pub at: Wall,
    pub status: u16,
    pub q850: u8,
    pub by: &'static str,
    pub cause: &'a str,
    pub legs: &'a [LegRow],
}

/// The bindings of one address of record.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub bindings: &'a [Binding],
    /// Rows that there are at most; none where that is not known.
    pub before: Option<usize>,
    /// The rows are there, and only last longer.
    pub is_refresh: bool,
}

/// A group of writes.
#[derive(Debug, Default)]
pub(super) struct Folded<'a> {
    /// In the order of their first rows.
    pub calls: Vec<Call<'a>>,
    pub bindings: HashMap<&'a Aor, List<'a>>,
    pub guard: Vec<&'a GuardRow>,
    pub recordings: Vec<&'a RecordingRow>,
    pub alive: Option<Wall>,
    pub end: Option<Wall>,
}

impl<'a> Folded<'a> {
    pub(super) fn of(writes: &'a [Write]) -> Folded<'a> {
        let mut folded = Folded::default();
        let mut places = HashMap::new();
        for write in writes {
            match write {
                Write::Bindings(_, change, before) => folded.list(&change.aor, &change.bindings, Some(*before), false),
                Write::Refreshed(aor, bindings) => folded.list(aor, bindings, Some(bindings.len()), true),
                Write::Swept(aor, left) => folded.list(aor, left, None, false),
                Write::Call(row) => {
                    let place = *places.entry(row.call()).or_insert(folded.calls.len());
                    if place == folded.calls.len() {
                        folded.calls.push(Call::new(row.call()));
                    }
                    folded.calls[place].add(row);
                }
                Write::Guard(row) => folded.guard.push(row),
                Write::Recording(row) => folded.recordings.push(row),
                Write::Alive(now) => folded.alive = Some(*now),
                Write::End(now) => folded.end = Some(*now),
            }
        }
        folded
    }

    /// The last list holds, in place of what was there before the first.
    fn list(&mut self, aor: &'a Aor, bindings: &'a [Binding], before: Option<usize>, is_refresh: bool) {
        let list = self.bindings.entry(aor).or_insert(List {
            bindings,
            before,
            is_refresh,
        });
        // What a list of the same group has not written is not there; what it was to remove is.
        *list = List {
            bindings,
            before: list.before.zip(before).map(|(first, later)| first.max(later)),
            is_refresh: list.is_refresh && is_refresh,
        };
    }
}

impl<'a> Call<'a> {
    fn new(id: CallId) -> Call<'a> {
        Call {
            id,
            started: None,
            routed: None,
            answered: None,
            measured: None,
            ended: None,
        }
    }

    /// The first start, answer and end hold; the last route and measurement do.
    fn add(&mut self, row: &'a CallRow) {
        match row {
            CallRow::Started {
                call: _,
                at,
                source,
                caller,
                called,
                sip_call_id,
            } => {
                self.started.get_or_insert(Started {
                    at: *at,
                    source,
                    caller,
                    called,
                    sip_call_id,
                });
            }
            CallRow::Routed {
                call: _,
                destination,
                rule,
            } => self.routed = Some(Routed { destination, rule }),
            CallRow::Answered { call: _, at } => {
                self.answered.get_or_insert(*at);
            }
            CallRow::Measured { call: _, legs } => self.measured = Some(legs),
            CallRow::Ended {
                call: _,
                at,
                status,
                q850,
                by,
                cause,
                legs,
            } => {
                self.ended.get_or_insert(Ended {
                    at: *at,
                    status: *status,
                    q850: *q850,
                    by,
                    cause,
                    legs,
                });
            }
        }
    }
}

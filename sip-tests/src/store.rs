//! The store: the node's own table of bindings in front of a disk that can be slow, fail and survive a crash.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tandem::effect::{Aor, Binding, Op, Reply};
use tandem::registrar::bindings::{Change, Table};
use tandem::time::Wall;

/// How the disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A write is durable after this time.
    Works(Duration),
    /// A write fails after this time; what is in memory is read.
    DiskFails(Duration),
    /// Everything fails at once.
    Fails,
    /// Nothing is ever answered.
    Hangs,
}

/// What the world is to do with an operation.
#[derive(Debug)]
pub enum Turn {
    /// Answer in the same turn.
    Now(Reply),
    /// Answer later, after `commit`.
    Later(Duration, Box<(Reply, Change)>),
    /// No answer.
    Never,
}

/// Memory and disk.
#[derive(Debug)]
pub struct Store {
    table: Table,
    disk: BTreeMap<Aor, Arc<[Binding]>>,
    /// Refreshes that wait for the next write.
    refreshed: BTreeMap<Aor, Arc<[Binding]>>,
    /// How it behaves from now on.
    pub mode: Mode,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            table: Table::default(),
            disk: BTreeMap::new(),
            refreshed: BTreeMap::new(),
            mode: Mode::Works(Duration::from_millis(2)),
        }
    }
}

impl Store {
    /// An operation of the node.
    pub fn apply(&mut self, op: Op, now: Wall) -> Turn {
        let delay = match self.mode {
            Mode::Works(delay) | Mode::DiskFails(delay) => delay,
            Mode::Fails => return Turn::Now(Reply::Failed),
            Mode::Hangs => return Turn::Never,
        };
        match self.table.apply(op, now) {
            (reply, None) => Turn::Now(reply),
            (reply, Some(change)) if change.is_refresh => {
                self.refreshed.insert(change.aor, change.bindings);
                Turn::Now(reply)
            }
            (reply, Some(change)) => Turn::Later(delay, Box::new((reply, change))),
        }
    }

    /// The write has reached the disk, or it fails now.
    pub fn commit(&mut self, reply: Reply, change: Change) -> Reply {
        if let Mode::Works(_) = self.mode {
            self.table.confirm(&change);
            self.disk.append(&mut self.refreshed);
            self.disk.insert(change.aor, change.bindings);
            reply
        } else {
            self.table.undo(change);
            Reply::Failed
        }
    }

    /// Forgets the bindings of everybody else, on the disk too.
    pub fn retain(&mut self, keep: impl Fn(&Aor) -> bool) {
        for gone in self.table.retain(keep) {
            self.disk.remove(&gone);
        }
    }

    /// What the node keeps in memory of it.
    pub(crate) fn into_table(self) -> Table {
        self.table
    }

    /// What was not committed is gone.
    pub fn restart(&mut self) {
        self.refreshed.clear();
        self.table = Table::default();
        for (aor, bindings) in &self.disk {
            self.table.load(aor.clone(), bindings.clone());
        }
    }

    /// From where the live bindings come.
    pub fn sources(&self, now: Wall) -> Vec<(std::net::IpAddr, Duration)> {
        self.table.sources(now)
    }

    /// The bindings whose phones have to be woken before they end.
    pub fn sleepers(&self) -> Vec<(Aor, Vec<Binding>)> {
        self.table.sleepers()
    }

    /// The bindings in memory of `user@domain`, those that expired included.
    pub fn bindings(&self, aor: &str) -> &[Binding] {
        self.table.get(&Aor(aor.into()))
    }

    /// Contacts on the disk.
    pub fn durable(&self, aor: &str) -> usize {
        self.disk.get(&Aor(aor.into())).map_or(0, |bindings| bindings.len())
    }
}

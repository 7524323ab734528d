//! The embedded store: one SQLite file, one writer thread with group commit; bindings are also in memory. What the configuration
//! does not want in the file is not written: bindings are then in memory only, and without both there is no file and no thread.
//!
//! What is durable: a REGISTER is confirmed after the commit of its bindings, unless they are there and only last longer; that is
//! committed within a second, or when the node stops if it is less than a tenth of the time that is left; and a call's record within
//! 100 ms. A commit is in the system's hands (SQLite's WAL with
//! `synchronous = NORMAL`): it outlives the process however that ends, and when the machine itself loses power, what was committed in the
//! last half minute, and while the disk then takes its time, may be lost, but the file is whole.

mod checkpoint;
mod fold;
mod guard;
mod recordings;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_legs;
#[cfg(test)]
mod tests_refresh;
mod writer;

pub use guard::{GuardRow, ListedBan, ListedCut};
pub use recordings::RecordingRow;
pub use rows::{CallRow, LegRow};
pub use schema::{Database, RecentCall};

use crate::config;
use crate::effect::{Aor, Binding, Op, Reply};
use crate::id::{CallId, Ticket};
use crate::limits;
use crate::registrar::bindings::{Change, Table};
use crate::sip::auth::NonceKey;
use crate::time::Wall;
use checkpoint::Checkpoints;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;
use tokio::sync::mpsc;
use writer::Write;

/// Addresses of record that one sweep cleans.
const SWEEP: usize = 1000;

/// The store as the signalling loop uses it.
pub struct Store {
    table: Table,
    secret: NonceKey,
    /// None where nothing is to be written.
    writer: Option<Writer>,
    shared: Arc<Shared>,
    /// `store.records`.
    records: bool,
    /// `store.bindings`.
    bindings: bool,
    /// Bytes of writes that may wait.
    room: usize,
    /// Calls that are up and whose start found no room: nothing else of them is written. At most `limits::CALLS`.
    unrecorded: HashSet<CallId>,
}

struct Writer {
    queue: std_mpsc::Sender<Write>,
    thread: std::thread::JoinHandle<()>,
}

/// What the loop and the writer thread share.
#[derive(Debug, Default)]
struct Shared {
    /// Writes that wait.
    waiting: AtomicUsize,
    /// Their bytes, so that memory is bounded when the disk is slow.
    bytes: AtomicUsize,
    /// The thread lets gather what nobody waits for: what somebody waits for wakes it.
    is_patient: AtomicBool,
    /// The node ends: a disk that fails is not tried for ever.
    closing: AtomicBool,
}

impl Shared {
    fn add(&self, write: &Write) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(write.bytes(), Ordering::Relaxed);
    }

    fn done(&self, write: &Write) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(write.bytes(), Ordering::Relaxed);
    }
}

/// A write that has ended: the change, and whether it is durable.
#[derive(Debug)]
pub struct Written {
    /// Who waits for it.
    pub ticket: Ticket,
    /// What was written.
    pub change: Change,
    /// False if it could not be written.
    pub durable: bool,
}

impl Store {
    /// Opens the file, closes what a crash left open, reads the bindings and starts the writer. Tells how many calls it
    /// closed.
    pub fn open(config: &config::Store, now: Wall) -> Result<(Store, mpsc::Receiver<Vec<Written>>, usize), String> {
        let (done, written) = mpsc::channel(8192);
        let fresh = super::clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
        let mut store = Store {
            table: Table::default(),
            secret: NonceKey(fresh),
            writer: None,
            shared: Arc::default(),
            records: config.records,
            bindings: config.bindings,
            room: limits::STORE_WAITING_BYTES,
            unrecorded: HashSet::new(),
        };
        if !config.records && !config.bindings {
            return Ok((store, written, 0));
        }
        let database = Database::open(&config.path)?;
        let closed = database.close_killed_calls(now)?;
        store.secret = NonceKey(database.secret(fresh)?);
        if config.bindings {
            for (aor, bindings) in database.bindings(now)? {
                store.table.load(aor, bindings.into());
            }
        } else {
            database.forget_bindings()?;
        }
        let checkpoints = Checkpoints::start(&config.path, database.connection())?;
        let (queue, writes) = std_mpsc::channel();
        let shared = store.shared.clone();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer::run(database, checkpoints, &writes, &done, &shared))
            .map_err(|error| format!("the store's thread could not be started: {error}"))?;
        store.writer = Some(Writer { queue, thread });
        Ok((store, written, closed))
    }

    /// False when the writer has ended before its time, which only a bug can bring about.
    pub fn is_alive(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| !writer.thread.is_finished())
    }

    /// Answers at once, or `None` when the reply follows as `Written`.
    pub fn apply(&mut self, ticket: Ticket, op: Op, now: Wall) -> Option<Reply> {
        let before = match &op {
            Op::Replace { aor, .. } => self.table.get(aor).len(),
            Op::Bindings(_) => 0,
        };
        let (reply, change) = self.table.apply(op, now);
        let Some(change) = change else { return Some(reply) };
        if !self.bindings {
            self.table.confirm(&change);
            return Some(reply);
        }
        if change.is_refresh {
            let write = Write::Refreshed(change.aor.clone(), change.bindings.clone());
            if self.queue_within(write, self.room / 2).is_ok() {
                return Some(reply);
            }
            self.table.undo(change);
            return Some(Reply::Failed);
        }
        match self.queue_within(Write::Bindings(ticket, change, before), self.room) {
            Ok(()) => return None,
            Err(Write::Bindings(_, change, _)) => self.table.undo(change),
            Err(_other) => {}
        }
        Some(Reply::Failed)
    }

    /// The reply to a write that has ended.
    pub fn written(&mut self, written: Written) -> (Ticket, Reply) {
        let version = written.change.version;
        if written.durable {
            self.table.confirm(&written.change);
            return (written.ticket, Reply::Replaced { version });
        }
        self.table.undo(written.change);
        (written.ticket, Reply::Failed)
    }

    /// Queues a CDR's change; false if memory for it has run out. As it runs out, what a record is poorer without goes first,
    /// then whole records of new calls: the end of a call whose start was taken always finds room.
    pub fn call(&mut self, row: CallRow) -> bool {
        if !self.records {
            return true;
        }
        let call = row.call();
        match &row {
            CallRow::Started { .. } => {
                let taken = self.queue_within(Write::Call(Box::new(row)), self.room / 4 * 3).is_ok();
                if !taken {
                    self.unrecorded.insert(call);
                }
                taken
            }
            // That its record is lost was told at its start.
            CallRow::Ended { .. } if self.unrecorded.remove(&call) => true,
            CallRow::Routed { .. } | CallRow::Answered { .. } | CallRow::Measured { .. }
                if self.unrecorded.contains(&call) =>
            {
                true
            }
            CallRow::Routed { .. } | CallRow::Answered { .. } | CallRow::Measured { .. } => {
                self.queue_within(Write::Call(Box::new(row)), self.room / 2).is_ok()
            }
            CallRow::Ended { .. } => self.queue(Write::Call(Box::new(row))),
        }
    }

    /// Queues what the guard did; it is left out while memory for what waits runs out.
    pub fn guard(&self, row: GuardRow) {
        let _ = self.queue_within(Write::Guard(row), self.room / 4);
    }

    /// Queues what became of a recording; false if memory for it has run out.
    pub fn recording(&self, row: RecordingRow) -> bool {
        !self.records || self.queue_within(Write::Recording(row), self.room / 4 * 3).is_ok()
    }

    /// Forgets expired bindings, in memory and on disk, and notes that the node is alive.
    pub fn sweep(&mut self, now: Wall) {
        self.queue(Write::Alive(now));
        for aor in self.table.sweep(now, SWEEP) {
            if self.bindings {
                let left = self.table.get(&aor).to_vec();
                self.queue(Write::Swept(aor, left));
            }
        }
    }

    /// Forgets the bindings of users that are gone, and names them.
    pub fn retain(&mut self, keep: impl Fn(&Aor) -> bool) -> Vec<Aor> {
        let gone = self.table.retain(keep);
        for aor in &gone {
            self.queue(Write::Swept(aor.clone(), Vec::new()));
        }
        gone
    }

    /// From where the live bindings come, and for how long they hold.
    pub fn sources(&self, now: Wall) -> Vec<(IpAddr, Duration)> {
        self.table.sources(now)
    }

    /// The key that stays the same over restarts.
    pub fn secret(&self) -> NonceKey {
        self.secret.clone()
    }

    /// The bindings whose phones have to be woken before they end.
    pub fn sleepers(&self) -> Vec<(Aor, Vec<Binding>)> {
        self.table.sleepers()
    }

    /// Bindings in memory.
    pub fn bindings(&self) -> usize {
        self.table.len()
    }

    /// Writes what waits, closes the records of calls that are still open, and closes the file.
    pub fn close(self, now: Wall) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if self.bindings {
            // What the disk was spared. Where memory for what waits runs out, it stays a little behind, as after a crash.
            for (aor, bindings) in self.table.ahead() {
                let write = Write::Refreshed(aor.clone(), bindings.clone());
                if self.queue_within(write, self.room / 2).is_err() {
                    break;
                }
            }
        }
        self.queue(Write::End(now));
        let Some(Writer { queue, thread }) = self.writer else {
            return;
        };
        // Nobody else has a sender: the thread ends when it has written all.
        drop(queue);
        let _ = thread.join();
    }

    fn queue(&self, write: Write) -> bool {
        self.queue_within(write, self.room).is_ok()
    }

    /// Queues a write while less than `room` bytes wait, or gives it back.
    fn queue_within(&self, write: Write, room: usize) -> Result<(), Write> {
        if self.shared.bytes.load(Ordering::Relaxed) >= room {
            return Err(write);
        }
        let Some(writer) = &self.writer else {
            return Err(write);
        };
        self.shared.add(&write);
        let is_urgent = matches!(write, Write::Bindings(..) | Write::End(_));
        writer.queue.send(write).map_err(|unsent| unsent.0)?;
        if is_urgent && self.shared.is_patient.swap(false, Ordering::SeqCst) {
            writer.thread.thread().unpark();
        }
        Ok(())
    }
}

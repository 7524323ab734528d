//! The embedded store: one SQLite file, one writer thread with group commit; bindings are also in memory.

mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub use rows::{CallRow, LegRow};
pub use schema::{Database, RecentCall};

use crate::effect::{Aor, Binding, Op, Reply};
use crate::id::{CallId, Ticket};
use crate::limits;
use crate::registrar::bindings::{Change, Table};
use crate::time::Wall;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc as std_mpsc;
use tokio::sync::mpsc;
use writer::Write;

/// Addresses of record that one sweep cleans.
const SWEEP: usize = 1000;

/// The store as the signalling loop uses it.
pub struct Store {
    table: Table,
    writer: std_mpsc::Sender<Write>,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Bytes of writes that may wait.
    room: usize,
    /// Calls that are up and whose start found no room: nothing else of them is written. At most `limits::CALLS`.
    unrecorded: HashSet<CallId>,
}

/// What the loop and the writer thread share.
#[derive(Debug, Default)]
struct Shared {
    /// Writes that wait.
    waiting: AtomicUsize,
    /// Their bytes, so that memory is bounded when the disk is slow.
    bytes: AtomicUsize,
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
    pub fn open(path: &Path, now: Wall) -> Result<(Store, mpsc::Receiver<Written>, usize), String> {
        let database = Database::open(path)?;
        let closed = database.close_killed_calls(now)?;
        let mut table = Table::default();
        for (aor, bindings) in database.bindings(now)? {
            table.load(aor, bindings);
        }
        let (writer, queue) = std_mpsc::channel();
        let (done, written) = mpsc::channel(8192);
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn({
                let shared = shared.clone();
                move || writer::run(database, &queue, &done, &shared)
            })
            .map_err(|error| format!("the store's thread could not be started: {error}"))?;
        let store = Store {
            table,
            writer,
            shared,
            thread: Some(thread),
            room: limits::STORE_WAITING_BYTES,
            unrecorded: HashSet::new(),
        };
        Ok((store, written, closed))
    }

    /// False when the writer has ended before its time, which only a bug can bring about.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Answers at once, or `None` when the reply follows as `Written`.
    pub fn apply(&mut self, ticket: Ticket, op: Op, now: Wall) -> Option<Reply> {
        let (reply, change) = self.table.apply(op, now);
        let Some(change) = change else { return Some(reply) };
        if self.queue(Write::Bindings(ticket, change.clone())) {
            return None;
        }
        self.table.undo(change);
        Some(Reply::Failed)
    }

    /// The reply to a write that has ended.
    pub fn written(&mut self, written: Written) -> (Ticket, Reply) {
        let version = written.change.version;
        if written.durable {
            return (written.ticket, Reply::Replaced { version });
        }
        self.table.undo(written.change);
        (written.ticket, Reply::Failed)
    }

    /// Queues a CDR's change; false if memory for it has run out. As it runs out, what a record is poorer without goes first,
    /// then whole records of new calls: the end of a call whose start was taken always finds room.
    pub fn call(&mut self, row: CallRow) -> bool {
        let call = row.call();
        match &row {
            CallRow::Started { .. } => {
                let taken = self.queue_within(Write::Call(Box::new(row)), self.room / 4 * 3);
                if !taken {
                    self.unrecorded.insert(call);
                }
                taken
            }
            // That its record is lost was told at its start.
            CallRow::Ended { .. } if self.unrecorded.remove(&call) => true,
            CallRow::Routed { .. } | CallRow::Answered { .. } if self.unrecorded.contains(&call) => true,
            CallRow::Routed { .. } | CallRow::Answered { .. } => {
                self.queue_within(Write::Call(Box::new(row)), self.room / 2)
            }
            CallRow::Ended { .. } => self.queue(Write::Call(Box::new(row))),
        }
    }

    /// Forgets expired bindings, in memory and on disk, and notes that the node is alive.
    pub fn sweep(&mut self, now: Wall) {
        self.queue(Write::Alive(now));
        for aor in self.table.sweep(now, SWEEP) {
            let left = self.table.get(&aor).to_vec();
            self.queue(Write::Swept(aor, left));
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
        let Store {
            writer, shared, thread, ..
        } = self;
        shared.closing.store(true, Ordering::Relaxed);
        let end = Write::End(now);
        shared.add(&end);
        let _ = writer.send(end);
        // Nobody else has a sender: the thread ends when it has written all.
        drop(writer);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn queue(&self, write: Write) -> bool {
        self.queue_within(write, self.room)
    }

    /// Queues a write while less than `room` bytes wait.
    fn queue_within(&self, write: Write, room: usize) -> bool {
        if self.shared.bytes.load(Ordering::Relaxed) >= room {
            return false;
        }
        self.shared.add(&write);
        self.writer.send(write).is_ok()
    }
}

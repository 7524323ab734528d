//! The embedded store: one SQLite file, one writer thread with group commit; bindings are also in memory.

mod rows;
mod schema;
mod writer;

pub use rows::{CallRow, LegRow};
pub use schema::{Database, RecentCall};

use crate::effect::{Aor, Op, Reply};
use crate::id::Ticket;
use crate::registrar::bindings::{Change, Table};
use crate::time::Wall;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as std_mpsc;
use tokio::sync::mpsc;
use writer::Write;

/// Addresses of record that one sweep cleans.
const SWEEP: usize = 1000;

/// The store as the signalling loop uses it.
pub struct Store {
    table: Table,
    writer: std_mpsc::Sender<Write>,
    /// Writes that wait, so that memory is bounded when the disk is slow.
    waiting: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
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
        let closed = database.close_open_calls(now)?;
        let mut table = Table::default();
        for (aor, bindings) in database.bindings(now)? {
            table.load(aor, bindings);
        }
        let (writer, queue) = std_mpsc::channel();
        let (done, written) = mpsc::channel(8192);
        let waiting = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn({
                let waiting = waiting.clone();
                move || writer::run(database, &queue, &done, &waiting)
            })
            .map_err(|error| format!("the store's thread could not be started: {error}"))?;
        Ok((
            Store {
                table,
                writer,
                waiting,
                thread: Some(thread),
            },
            written,
            closed,
        ))
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

    /// Queues a CDR's change; false if memory for it has run out.
    pub fn call(&mut self, row: CallRow) -> bool {
        self.queue(Write::Call(Box::new(row)))
    }

    /// Forgets expired bindings, in memory and on disk.
    pub fn sweep(&mut self, now: Wall) {
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

    /// Bindings in memory.
    pub fn bindings(&self) -> usize {
        self.table.len()
    }

    /// Writes what waits and closes the file.
    pub fn close(mut self) {
        let (unused, _) = std_mpsc::channel();
        drop(std::mem::replace(&mut self.writer, unused));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn queue(&self, write: Write) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= crate::limits::FACTS {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.writer.send(write).is_ok()
    }
}

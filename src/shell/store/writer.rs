//! The writer thread: takes all that waits, commits it at once, then tells who waited.

use super::Written;
use super::rows::CallRow;
use super::schema::{self, Database};
use crate::effect::{Aor, Binding};
use crate::id::Ticket;
use crate::registrar::bindings::Change;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Writes of one commit.
const BATCH: usize = 2000;
/// How long a failed commit of CDRs waits before it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the last CDRs are tried when the node stops and the disk fails.
const LAST_TRIES: usize = 5;

/// One thing to write.
#[derive(Debug)]
pub(super) enum Write {
    /// Somebody waits for it.
    Bindings(Ticket, Change),
    /// Expired or removed; nobody waits.
    Swept(Aor, Vec<Binding>),
    /// A CDR: is kept until it is written.
    Call(Box<CallRow>),
}

pub(super) fn run(
    mut database: Database,
    queue: &Receiver<Write>,
    done: &mpsc::Sender<Written>,
    waiting: &AtomicUsize,
) {
    let mut pending: Vec<Write> = Vec::new();
    let mut tries = 0;
    loop {
        let open = fill(queue, &mut pending);
        if pending.is_empty() {
            return;
        }
        match database.transaction(|connection| pending.iter().try_for_each(|write| put(connection, write))) {
            Ok(()) => {
                tries = 0;
                waiting.fetch_sub(pending.len(), Ordering::Relaxed);
                for write in pending.drain(..) {
                    answer(write, true, done);
                }
            }
            Err(error) => {
                tracing::warn!(
                    "the store cannot write ({error}); {} records wait in memory",
                    pending.len()
                );
                let before = pending.len();
                pending = keep_calls(std::mem::take(&mut pending), done);
                waiting.fetch_sub(before - pending.len(), Ordering::Relaxed);
                tries += 1;
                if !open && tries >= LAST_TRIES {
                    tracing::error!(
                        "{} call records are lost: the store cannot write and the node stops",
                        pending.len()
                    );
                    return;
                }
                std::thread::park_timeout(RETRY);
            }
        }
    }
}

/// Waits for the first write unless some wait already, then takes what else is there. False when no more will come.
fn fill(queue: &Receiver<Write>, pending: &mut Vec<Write>) -> bool {
    if pending.is_empty() {
        match queue.recv() {
            Ok(write) => pending.push(write),
            Err(_) => return false,
        }
    }
    while pending.len() < BATCH {
        match queue.recv_timeout(Duration::ZERO) {
            Ok(write) => pending.push(write),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

fn put(connection: &rusqlite::Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Bindings(_, change) => schema::put_bindings(connection, &change.aor, &change.bindings),
        Write::Swept(aor, left) => schema::put_bindings(connection, aor, left),
        Write::Call(row) => schema::put_call(connection, row),
    }
}

fn answer(write: Write, durable: bool, done: &mpsc::Sender<Written>) {
    match write {
        Write::Bindings(ticket, change) => {
            let _ = done.blocking_send(Written {
                ticket,
                change,
                durable,
            });
        }
        Write::Swept(..) | Write::Call(_) => {}
    }
}

/// After a failed commit: who waits is told, CDRs stay.
fn keep_calls(pending: Vec<Write>, done: &mpsc::Sender<Written>) -> Vec<Write> {
    let mut kept = Vec::new();
    for write in pending {
        match write {
            Write::Call(_) => kept.push(write),
            Write::Bindings(..) | Write::Swept(..) => answer(write, false, done),
        }
    }
    kept
}

//! Checkpoints of SQLite's log, by a thread of their own: they wait for the disk itself (fsync), which under load of others may take
//! seconds, and registrations wait for the writer. SQLite lets both work at the same time.

use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tracing::warn;

/// Rows after which one is due: some 16 MB of log.
const ROWS: usize = 4000;
/// Tries in a row: what was written beside one is left for the next, and the log begins anew only when nothing is left.
const TRIES: u32 = 4;
/// Pages of a log that is brought to an end while the writer waits: a quarter of a gigabyte, on a disk that cannot keep up.
const LONGEST: i64 = 65_536;

/// The thread, as the writer sees it.
pub(super) struct Checkpoints {
    /// One message is enough: it holds for all that was written before it is taken.
    due: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Rows since the last one was asked for.
    rows: usize,
}

impl Checkpoints {
    /// For the file that `writer` has open and from now on leaves to this thread.
    pub(super) fn start(path: &Path, writer: &Connection) -> rusqlite::Result<Checkpoints> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.busy_timeout(super::schema::BUSY)?;
        let (due, asked) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&connection, &asked))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(Checkpoints { due, thread, rows: 0 })
    }

    /// So many rows were committed; `now` if they are to be on the disk itself soon, however few.
    pub(super) fn committed(&mut self, rows: usize, now: bool) {
        self.rows += rows;
        if now || self.rows >= ROWS {
            self.rows = 0;
            // Where one is asked for already, that is the one.
            let _ = self.due.try_send(());
        }
    }

    /// Returns when the thread has closed the file: who closes it last makes one checkpoint more, and removes the log.
    pub(super) fn end(self) {
        drop(self.due);
        let _ = self.thread.join();
    }
}

fn run(connection: &Connection, asked: &Receiver<()>) {
    let mut failed: u32 = 0;
    while asked.recv().is_ok() {
        match checkpoint(connection) {
            Ok(()) => failed = 0,
            Err(error) => {
                failed += 1;
                if failed.is_power_of_two() {
                    warn!("the store's log cannot be brought into its file, and grows: {error}");
                }
            }
        }
    }
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let mut pages = 0;
    for _ in 0..TRIES {
        let (all, left) = step(connection, "PASSIVE")?;
        if left == 0 {
            return Ok(());
        }
        pages = all;
    }
    if pages > LONGEST {
        step(connection, "RESTART")?;
    }
    Ok(())
}

/// Pages in the log, and how many of them are not in the file yet.
fn step(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let (all, done): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok((all, all - done))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_need_nobody_s_word_and_a_log_without_an_end_begins_anew() {
        let file = std::env::temp_dir().join(format!("tandem-checkpoint-{}.db", std::process::id()));
        let writer = Connection::open(&file).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let mut checkpoints = Checkpoints::start(&file, &writer).unwrap();
        let write = |rows: usize| {
            for _ in 0..rows {
                writer.execute("INSERT INTO t VALUES (zeroblob(2000))", []).unwrap();
            }
            rows
        };
        checkpoints.committed(write(1), false);
        assert!(checkpoints.due.try_send(()).is_ok(), "nothing was asked for");
        checkpoints.committed(write(ROWS), false);
        assert_eq!(checkpoints.rows, 0);
        checkpoints.end();
        // All is in the file, so that the next page begins the log anew.
        write(1);
        let other = Connection::open(&file).unwrap();
        let (pages, _) = step(&other, "PASSIVE").unwrap();
        assert!(pages < 10, "{pages} pages");
        drop((writer, other));
        std::fs::remove_file(file).unwrap();
    }
}

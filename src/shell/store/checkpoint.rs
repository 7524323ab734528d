//! What of the store waits for the disk itself (fsync), which under load of others may take seconds: a thread of its own does it, so
//! that registrations, which wait for the writer, do not. SQLite lets both work at the same time.
//!
//! The log is put on the disk every half minute. When it is long, it is brought into the file, and begins anew: the writer then
//! waits for the disk once, so it is done while the disk is quick.

use crate::shell::clock::SystemClock;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::warn;

/// Writes after which the log is long: some 7 MB.
const WRITES: usize = 4000;
/// A disk that takes no longer for what was written last is quick.
const QUICK: Duration = Duration::from_millis(500);
/// How often the log becomes long before a slow disk is no reason to wait any more.
const PATIENCE: u32 = 8;
/// Passes in a row beside the writer: the log begins anew only if nothing was written during the last one. Then as many tries to keep
/// the writer out for the little that is left.
const PASSES: u32 = 4;
/// Until the writer is done with what it is at.
const RETRY: Duration = Duration::from_millis(3);
/// Pages of a log that is brought into the file however slow the disk is, at last by the writer: a quarter of a gigabyte.
const LONGEST: i64 = 65_536;

/// The thread, as the writer sees it.
pub(super) struct Checkpoints {
    /// One message is enough: it holds for all that was written before it is taken.
    due: SyncSender<Due>,
    thread: JoinHandle<()>,
    /// Writes since the log was long.
    writes: usize,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The log is to be on the disk.
    Sync,
    /// It is long, too.
    Checkpoint,
}

impl Checkpoints {
    /// For the file that `writer` has open and from now on leaves to this thread. The error is a sentence.
    pub(super) fn start(path: &Path, writer: &Connection) -> Result<Checkpoints, String> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // Whoever waits for a lock may hold another one.
            connection.busy_timeout(Duration::ZERO)?;
            writer.pragma_update(None, "wal_autocheckpoint", LONGEST)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            format!(
                "the store {} cannot be opened twice: {error} (key `store.path`)",
                path.display()
            )
        })?;
        let log = PathBuf::from(format!("{}-wal", path.display()));
        let (due, asked) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&connection, &log, &asked))
            .map_err(|error| {
                format!("the thread that brings the store's log into its file could not be started: {error}")
            })?;
        Ok(Checkpoints { due, thread, writes: 0 })
    }

    /// So many writes were committed; half a minute is over if `is_time`.
    pub(super) fn committed(&mut self, writes: usize, is_time: bool) {
        self.writes += writes;
        let due = match self.writes >= WRITES {
            true => Due::Checkpoint,
            false if is_time => Due::Sync,
            false => return,
        };
        // Where the thread has not begun with the last one, a long log stays long until the next commit.
        if self.due.try_send(due).is_ok() && due == Due::Checkpoint {
            self.writes = 0;
        }
    }

    /// Returns when the thread has closed the file: who closes it last makes one checkpoint more, and removes the log.
    pub(super) fn end(self) {
        drop(self.due);
        let _ = self.thread.join();
    }
}

fn run(connection: &Connection, log: &Path, asked: &Receiver<Due>) {
    let clock = SystemClock::start();
    // How often the log became long since it was in the file.
    let (mut long, mut failed) = (0u32, 0u32);
    while let Ok(due) = asked.recv() {
        long += u32::from(due == Due::Checkpoint);
        match serve(connection, log, long, &clock) {
            Ok(is_in_file) => {
                failed = 0;
                long = if is_in_file { 0 } else { long };
            }
            Err(why) => {
                failed += 1;
                if failed.is_power_of_two() {
                    warn!("the store's log cannot be brought into its file, and grows: {why}");
                }
            }
        }
    }
}

/// True if the log is in the file.
fn serve(connection: &Connection, log: &Path, long: u32, clock: &SystemClock) -> Result<bool, String> {
    let from = clock.instant();
    let synced = File::open(log).and_then(|log| log.sync_data());
    synced.map_err(|error| format!("{}: {error}", log.display()))?;
    let is_quick = clock.instant().since(from) < QUICK;
    match long {
        1.. if is_quick || long >= PATIENCE => checkpoint(connection),
        _ => Ok(false),
    }
}

/// True if the log begins anew with what is written next.
fn checkpoint(connection: &Connection) -> Result<bool, String> {
    let mut before = i64::MIN;
    for _ in 0..PASSES {
        let (_, all, done) = pass(connection, "PASSIVE").map_err(|error| error.to_string())?;
        if done < all && all > LONGEST {
            return Err("somebody has been reading the store for long".to_owned());
        }
        // Or another process is at it.
        if done < all || all < 0 {
            return Ok(false);
        }
        if all == before {
            return Ok(true);
        }
        before = all;
    }
    for _ in 0..PASSES {
        if let (0, ..) = pass(connection, "FULL").map_err(|error| error.to_string())? {
            return Ok(true);
        }
        std::thread::park_timeout(RETRY);
    }
    Ok(false)
}

/// Zero if nobody was in the way; the pages in the log as the pass began; how many of them are in the file.
fn pass(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64, i64)> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch {
        folder: PathBuf,
        file: PathBuf,
        writer: Connection,
    }

    fn scratch(name: &str) -> Scratch {
        let folder = std::env::temp_dir().join(format!("tandem-checkpoint-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("t.db");
        let writer = Connection::open(&file).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        Scratch { folder, file, writer }
    }

    impl Scratch {
        fn write(&self, rows: usize) -> usize {
            self.writer.execute_batch("BEGIN").unwrap();
            for _ in 0..rows {
                let insert = "INSERT INTO t VALUES (zeroblob(3000))";
                self.writer.execute(insert, []).unwrap();
            }
            self.writer.execute_batch("COMMIT").unwrap();
            rows
        }

        fn log(&self) -> PathBuf {
            self.folder.join("t.db-wal")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn a_log_that_has_become_long_begins_anew() {
        let scratch = scratch("long");
        let mut checkpoints = Checkpoints::start(&scratch.file, &scratch.writer).unwrap();
        checkpoints.committed(scratch.write(100), false);
        assert_eq!(checkpoints.writes, 100);
        scratch.write(WRITES);
        // On a disk that is slow just now it takes so many.
        for _ in 0..PATIENCE {
            checkpoints.committed(WRITES, false);
            std::thread::park_timeout(Duration::from_millis(20));
        }
        checkpoints.end();
        scratch.write(1);
        let other = Connection::open(&scratch.file).unwrap();
        let (_, pages, _) = pass(&other, "PASSIVE").unwrap();
        assert!(pages < 10, "{pages} pages");
    }

    #[test]
    fn who_reads_for_long_keeps_the_log_long_and_is_told_of() {
        let scratch = scratch("pinned");
        scratch.write(1);
        let reader = Connection::open(&scratch.file).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        scratch.write(10);
        let other = Connection::open(&scratch.file).unwrap();
        assert_eq!(checkpoint(&other), Ok(false));
        scratch.write(LONGEST as usize);
        assert_eq!(
            checkpoint(&other),
            Err("somebody has been reading the store for long".to_owned())
        );
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(checkpoint(&other), Ok(true));
        scratch.write(1);
        assert!(pass(&other, "PASSIVE").unwrap().1 < 10);
    }

    #[test]
    fn a_slow_disk_is_no_reason_to_wait_for_ever() {
        let scratch = scratch("slow");
        scratch.write(20);
        let serve = |log: &Path, long| serve(&scratch.writer, log, long, &SystemClock::start());
        assert_eq!(serve(&scratch.log(), 0), Ok(false));
        assert_eq!(serve(&scratch.log(), PATIENCE), Ok(true));
        let gone = serve(&scratch.folder.join("nothing"), 1);
        assert!(gone.is_err());
    }
}

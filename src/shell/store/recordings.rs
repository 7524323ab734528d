//! Which files a call was recorded to.

use crate::media::command::Recording;
use rusqlite::{Connection, params};

/// What has no length yet is being recorded, or was when the node was killed.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS recordings (
    call TEXT NOT NULL,
    number INTEGER NOT NULL,
    file TEXT NOT NULL,
    milliseconds INTEGER,
    lost INTEGER,
    fault TEXT,
    PRIMARY KEY (call, number)
) STRICT, WITHOUT ROWID;
";

/// One change.
#[derive(Clone, Debug)]
pub enum RecordingRow {
    /// It begins.
    Began(Recording),
    /// It is over.
    Ended {
        /// Which.
        recording: Recording,
        /// How long it lasts.
        millis: u64,
        /// Packets that are not in it.
        lost: u64,
        /// Why it ended before its call, if it did.
        fault: Option<String>,
    },
}

impl RecordingRow {
    pub(super) fn bytes(&self) -> usize {
        match self {
            RecordingRow::Began(_) | RecordingRow::Ended { fault: None, .. } => 0,
            RecordingRow::Ended { fault: Some(fault), .. } => fault.len(),
        }
    }
}

/// Writes it; again without harm.
pub(super) fn put(connection: &Connection, row: &RecordingRow) -> rusqlite::Result<()> {
    let integer = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match row {
        RecordingRow::Began(recording) => connection
            .prepare_cached("INSERT OR IGNORE INTO recordings (call, number, file) VALUES (?1, ?2, ?3)")?
            .execute(params![recording.call.to_string(), recording.number, recording.file()])?,
        RecordingRow::Ended {
            recording,
            millis,
            lost,
            fault,
        } => connection
            .prepare_cached("INSERT OR REPLACE INTO recordings VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                recording.call.to_string(),
                recording.number,
                recording.file(),
                integer(*millis),
                integer(*lost),
                fault
            ])?,
    };
    Ok(())
}

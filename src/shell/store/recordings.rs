//! Which files a call was recorded to, or the mix of a room, and which recording servers.

use crate::effect::Fact;
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
CREATE TABLE IF NOT EXISTS recording_sessions (
    call TEXT NOT NULL,
    number INTEGER NOT NULL,
    server TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    milliseconds INTEGER,
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
    /// It is to go to a recording server.
    Session {
        /// Which.
        recording: Recording,
        /// Whereto.
        server: String,
        /// The Call-ID there.
        sip_call_id: String,
    },
    /// It does no longer.
    SessionEnded {
        /// Which.
        recording: Recording,
        /// How long it did.
        millis: u64,
        /// Why it ended before its call, or never began, if so.
        fault: Option<String>,
    },
}

impl RecordingRow {
    /// What a fact means for it, if anything.
    pub fn of(fact: &Fact) -> Option<RecordingRow> {
        match fact {
            Fact::RecordingStarted { recording } => Some(RecordingRow::Began(*recording)),
            Fact::RecordingSession {
                recording,
                server,
                sip_call_id,
            } => Some(RecordingRow::Session {
                recording: *recording,
                server: server.clone(),
                sip_call_id: sip_call_id.clone(),
            }),
            Fact::RecordingSessionEnded {
                recording,
                millis,
                fault,
            } => Some(RecordingRow::SessionEnded {
                recording: *recording,
                millis: *millis,
                fault: fault.clone(),
            }),
            _other => None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            RecordingRow::Began(_) => 0,
            RecordingRow::Ended { fault, .. } | RecordingRow::SessionEnded { fault, .. } => {
                fault.as_ref().map_or(0, String::len)
            }
            RecordingRow::Session {
                server, sip_call_id, ..
            } => server.len() + sip_call_id.len(),
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
        RecordingRow::Session {
            recording,
            server,
            sip_call_id,
        } => connection
            .prepare_cached(
                "INSERT OR IGNORE INTO recording_sessions (call, number, server, sip_call_id) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                recording.call.to_string(),
                recording.number,
                server,
                sip_call_id
            ])?,
        RecordingRow::SessionEnded {
            recording,
            millis,
            fault,
        } => connection
            .prepare_cached(
                "UPDATE recording_sessions SET milliseconds = ?3, fault = ?4 WHERE call = ?1 AND number = ?2",
            )?
            .execute(params![
                recording.call.to_string(),
                recording.number,
                integer(*millis),
                fault
            ])?,
    };
    Ok(())
}

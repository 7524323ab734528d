//! The tables, and every statement on them.

use super::fold::{Call, Routed, Started};
use super::rows::LegRow;
use crate::effect::{Aor, Binding, Gruu, More};
use crate::id::{CallId, ConnectionId, Flow, ListenerId, Transport};
use crate::shell::sources::{folder, plain};
use crate::time::Wall;
use rusqlite::{Connection, OpenFlags, Row, params};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long one statement waits for another process: somebody who looks into the file.
const BUSY: Duration = Duration::from_secs(2);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS calls (
    id TEXT PRIMARY KEY,
    started INTEGER NOT NULL,
    answered INTEGER,
    ended INTEGER,
    source TEXT NOT NULL,
    caller TEXT NOT NULL,
    called TEXT NOT NULL,
    destination TEXT,
    rule TEXT,
    sip_call_id TEXT NOT NULL,
    status INTEGER,
    q850 INTEGER,
    ended_by TEXT,
    cause TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS calls_by_start ON calls (started);
CREATE INDEX IF NOT EXISTS calls_open ON calls (id) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS legs (
    call TEXT NOT NULL,
    place INTEGER NOT NULL,
    side TEXT NOT NULL,
    codec TEXT,
    received INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    late INTEGER,
    dropped INTEGER,
    strangers INTEGER,
    concealed INTEGER,
    jitter_us INTEGER NOT NULL,
    round_trip_us INTEGER,
    mos REAL,
    wide_band INTEGER,
    level_dbm0 REAL,
    silence REAL,
    underruns INTEGER,
    peer_lost INTEGER,
    peer_mos REAL,
    trouble TEXT,
    data INTEGER,
    PRIMARY KEY (call, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bindings (
    aor TEXT NOT NULL,
    place INTEGER NOT NULL,
    contact TEXT NOT NULL,
    q INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    transport TEXT NOT NULL,
    listener INTEGER NOT NULL,
    connection INTEGER NOT NULL,
    local TEXT NOT NULL,
    peer TEXT NOT NULL,
    instance TEXT,
    user_agent TEXT,
    reg_id INTEGER,
    path TEXT,
    gruu_age INTEGER,
    gruu_cseq INTEGER,
    params TEXT,
    PRIMARY KEY (aor, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    alive INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS secret (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL
) STRICT;
";

/// The version of these tables, which the file carries.
const VERSION: i64 = 6;

/// Version 1 kept one leg of a side, and fewer counters: those are unknown (NULL) for its calls.
const FROM_1_BEGIN: &str = "ALTER TABLE legs RENAME TO legs_1;";
const FROM_1_END: &str = "
INSERT INTO legs (call, place, side, codec, received, sent, lost, jitter_us, round_trip_us, mos)
    SELECT call, row_number() OVER (PARTITION BY call ORDER BY side) - 1, side, codec, received, sent, lost, jitter_us,
        round_trip_us, mos
    FROM legs_1;
DROP TABLE legs_1;
";

/// Version 2 knew bindings by RFC 3261 only.
const FROM_2: &str = "
ALTER TABLE bindings ADD COLUMN reg_id INTEGER;
ALTER TABLE bindings ADD COLUMN path TEXT;
ALTER TABLE bindings ADD COLUMN gruu_age INTEGER;
ALTER TABLE bindings ADD COLUMN gruu_cseq INTEGER;
";

/// Version 3 forgot what Contact says for others.
const FROM_3: &str = "ALTER TABLE bindings ADD COLUMN params TEXT;";

/// Version 4 measured packets only, and not how they sound.
const FROM_4: &str = "
ALTER TABLE legs ADD COLUMN wide_band INTEGER;
ALTER TABLE legs ADD COLUMN level_dbm0 REAL;
ALTER TABLE legs ADD COLUMN silence REAL;
ALTER TABLE legs ADD COLUMN underruns INTEGER;
ALTER TABLE legs ADD COLUMN peer_lost INTEGER;
ALTER TABLE legs ADD COLUMN peer_mos REAL;
ALTER TABLE legs ADD COLUMN trouble TEXT;
";

/// Version 5 did not listen for fax machines and modems.
const FROM_5: &str = "ALTER TABLE legs ADD COLUMN data INTEGER;";

/// The file.
pub struct Database {
    connection: Connection,
    /// Held until the connection is closed: two nodes on one file would close each other's calls.
    _lock: Option<File>,
}

/// A CDR as `tandem calls` lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentCall {
    /// Its key.
    pub id: String,
    /// Milliseconds since 1970.
    pub started: u64,
    /// Likewise.
    pub answered: Option<u64>,
    /// Likewise.
    pub ended: Option<u64>,
    /// As presented.
    pub caller: String,
    /// As dialled.
    pub called: String,
    /// `trunk/acme`, `user/alice`, ...
    pub destination: Option<String>,
    /// SIP status.
    pub status: Option<u16>,
    /// In words.
    pub cause: Option<String>,
    /// The lower of both sides' scores.
    pub mos: Option<f64>,
    /// What was wrong with its media, by side.
    pub trouble: Option<String>,
}

impl Database {
    /// Opens or makes the file, and its folder.
    pub fn open(path: &Path) -> Result<Database, String> {
        folder(path).map_err(|error| {
            let folder = path.parent().unwrap_or(path).display();
            let why = plain(&error);
            format!("the folder {folder}, where the store goes, cannot be made: {why} (key `store.path`)")
        })?;
        let failed = |why: String| {
            format!(
                "the store {} cannot be opened: {why} (key `store.path`)",
                path.display()
            )
        };
        let lock = lock(path).map_err(&failed)?;
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let mut connection = Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.busy_timeout(BUSY)?;
            let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if version <= VERSION {
                migrate(&mut connection, version)?;
            }
            Ok((connection, version))
        };
        let (connection, version) = open().map_err(|error| failed(error.to_string()))?;
        if version > VERSION {
            return Err(failed(format!(
                "a newer tandem wrote it (version {version}, this one knows {VERSION}); run that one, or choose another file"
            )));
        }
        Ok(Database {
            connection,
            _lock: Some(lock),
        })
    }

    /// Opens the file for reading only, beside a running node or without one. Leaves no file behind.
    pub fn read(path: &Path) -> Result<Database, String> {
        let text = path.to_string_lossy();
        // Without a log beside it nobody has the file open, and SQLite is told not to begin one.
        let closed = !Path::new(&format!("{text}-wal")).exists();
        let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let uri = format!("file:{escaped}{}", if closed { "?immutable=1" } else { "" });
        let open = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let connection = Connection::open_with_flags(&uri, flags)?;
            connection.busy_timeout(BUSY)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| unreadable(path, &error))?;
        Ok(Database {
            connection,
            _lock: None,
        })
    }

    /// For statements on tables of other files.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs several writes as one commit.
    pub fn transaction(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        work(&transaction)?;
        transaction.commit()
    }

    /// Closes every CDR that a crash left open: at the last time when the node was known to live.
    pub fn close_killed_calls(&self, now: Wall) -> Result<usize, String> {
        self.connection
            .execute(
                "UPDATE calls SET status = 500, q850 = 41, ended_by = 'node',
                     ended = min(?1, max(started, coalesce(answered, 0), coalesce((SELECT alive FROM node), 0))),
                     cause = 'the node was killed while the call was up; closed at its next start'
                 WHERE ended IS NULL",
                params![integer(now.0)],
            )
            .map_err(|error| format!("the store's open calls cannot be closed: {error}"))
    }

    /// The key that stays the same over restarts; `fresh` where there is none yet.
    pub fn secret(&self, fresh: [u8; 32]) -> Result<[u8; 32], String> {
        let keep = || -> rusqlite::Result<[u8; 32]> {
            self.connection
                .execute("INSERT OR IGNORE INTO secret (one, key) VALUES (1, ?1)", params![fresh])?;
            self.connection
                .query_row("SELECT key FROM secret", [], |row| row.get(0))
        };
        keep().map_err(|error| format!("the store's key cannot be read: {error}"))
    }

    /// All bindings that have not expired; the others are removed, and no list keeps a gap in its places.
    pub fn bindings(&self, now: Wall) -> Result<Vec<(Aor, Vec<Binding>)>, String> {
        let read = || -> rusqlite::Result<Vec<(Aor, Vec<Binding>)>> {
            self.connection
                .execute("DELETE FROM bindings WHERE expires <= ?1", params![integer(now.0)])?;
            let mut statement = self.connection.prepare(
                "SELECT aor, contact, q, call_id, cseq, expires, transport, listener, connection, local, peer, instance,
                     user_agent, reg_id, path, gruu_age, gruu_cseq, params, place FROM bindings ORDER BY aor, place",
            )?;
            let mut rows = statement.query([])?;
            let (mut all, mut gaps): (Vec<(Aor, Vec<Binding>)>, Vec<usize>) = (Vec::new(), Vec::new());
            while let Some(row) = rows.next()? {
                let aor = Aor(row.get::<_, String>(0)?.into());
                if all.last().is_none_or(|(last, _)| *last != aor) {
                    all.push((aor, Vec::new()));
                }
                let at = all.len() - 1;
                if row.get::<_, i64>(18)? != integer(all[at].1.len() as u64) {
                    gaps.push(at);
                }
                all[at].1.extend(binding(row)?);
            }
            gaps.dedup();
            for (aor, list) in gaps.into_iter().map(|at| &all[at]) {
                put_bindings(&self.connection, aor, list, None)?;
            }
            all.retain(|(_, list)| !list.is_empty());
            Ok(all)
        };
        read().map_err(|error| format!("the store's bindings cannot be read: {error}"))
    }

    /// Removes all bindings.
    pub fn forget_bindings(&self) -> Result<(), String> {
        let removed = self.connection.execute("DELETE FROM bindings", []);
        removed.map_err(|error| format!("the store's bindings cannot be removed: {error}"))?;
        Ok(())
    }

    /// The newest calls first.
    pub fn recent_calls(&self, path: &Path, most: usize) -> Result<Vec<RecentCall>, String> {
        let read = || -> rusqlite::Result<Vec<RecentCall>> {
            // A file that no node of this version has opened yet has none.
            let trouble = match self.connection.column_exists(None, "legs", "trouble")? {
                true => "group_concat(side || ': ' || trouble, '; ')",
                false => "NULL",
            };
            let mut statement = self.connection.prepare(&format!(
                "SELECT id, started, answered, ended, caller, called, destination, status, cause,
                     (SELECT min(mos) FROM legs WHERE legs.call = calls.id),
                     (SELECT {trouble} FROM legs WHERE legs.call = calls.id LIMIT 1)
                 FROM calls ORDER BY started DESC, id DESC LIMIT ?1",
            ))?;
            let rows = statement.query_map(params![integer(most as u64)], |row| {
                Ok(RecentCall {
                    id: row.get(0)?,
                    started: row.get::<_, i64>(1)?.unsigned_abs(),
                    answered: row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs),
                    ended: row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs),
                    caller: row.get(4)?,
                    called: row.get(5)?,
                    destination: row.get(6)?,
                    status: row.get(7)?,
                    cause: row.get(8)?,
                    mos: row.get(9)?,
                    trouble: row.get(10)?,
                })
            })?;
            rows.collect()
        };
        read().map_err(|error| unreadable(path, &error))
    }
}

/// Makes the tables, or brings those of an older version up: all of it or nothing.
fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if version == 1 {
        transaction.execute_batch(FROM_1_BEGIN)?;
    }
    let has_bindings = transaction.table_exists(None, "bindings")?;
    if (version == 1 || version == 2) && has_bindings {
        transaction.execute_batch(FROM_2)?;
    }
    if (1..=3).contains(&version) && has_bindings {
        transaction.execute_batch(FROM_3)?;
    }
    if (2..=4).contains(&version) && transaction.table_exists(None, "legs")? {
        transaction.execute_batch(FROM_4)?;
    }
    if (2..=5).contains(&version) && transaction.table_exists(None, "legs")? {
        transaction.execute_batch(FROM_5)?;
    }
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(super::guard::TABLES)?;
    transaction.execute_batch(super::recordings::TABLES)?;
    if version == 1 {
        transaction.execute_batch(FROM_1_END)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> String {
    format!(
        "the store {} cannot be read: {error} (key `store.path`)",
        path.display()
    )
}

/// One node at a time: the system gives the lock back when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        // Who called whom is nobody else's business; SQLite gives its side files the same mode.
        .mode(0o600)
        .open(path)
        .map_err(|error| plain(&error))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err("another node has it open; each needs a file of its own".to_owned()),
        Err(error) => Err(format!("it cannot be locked: {error}")),
    }
}

/// Writes that the node lives.
pub(super) fn put_alive(connection: &Connection, now: Wall) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO node (one, alive) VALUES (1, ?1)")?
        .execute(params![integer(now.0)])?;
    Ok(())
}

/// Closes what is open when the node stops: calls whose end nobody waited for.
pub(super) fn close_stopped_calls(connection: &Connection, now: Wall) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE calls SET ended = ?1, status = 503, q850 = 41, ended_by = 'node', cause = 'the node was stopped'
         WHERE ended IS NULL",
        params![integer(now.0)],
    )?;
    Ok(())
}

/// Writes one address of record's bindings, in place of all it had: `before` rows at most, where that is known.
pub(super) fn put_bindings(
    connection: &Connection,
    aor: &Aor,
    bindings: &[Binding],
    before: Option<usize>,
) -> rusqlite::Result<()> {
    if before.is_none_or(|before| before > bindings.len()) {
        connection
            .prepare_cached("DELETE FROM bindings WHERE aor = ?1 AND place >= ?2")?
            .execute(params![&*aor.0, integer(bindings.len() as u64)])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO bindings (aor, place, contact, q, call_id, cseq, expires, transport, listener, connection, local, peer,
             instance, user_agent, reg_id, path, gruu_age, gruu_cseq, params)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?;
    for (place, b) in (0i64..).zip(bindings) {
        insert.execute(params![
            &*aor.0,
            place,
            &*b.contact,
            b.q,
            &*b.call_id,
            b.cseq,
            integer(b.expires.0),
            b.flow.transport.param(),
            b.flow.listener.0,
            integer(b.flow.connection.0),
            b.flow.local.to_string(),
            b.flow.peer.to_string(),
            b.instance.as_deref(),
            b.user_agent.as_deref(),
            b.reg_id(),
            b.path(),
            b.gruu().map(|gruu| integer(gruu.age.0)),
            b.gruu().map(|gruu| gruu.first_cseq),
            b.params(),
        ])?;
    }
    Ok(())
}

/// The same for one binding that is there and only lasts longer, at less cost; false, and nothing is done, where it is not so.
pub(super) fn put_refresh(connection: &Connection, aor: &Aor, bindings: &[Binding]) -> rusqlite::Result<bool> {
    let [b] = bindings else { return Ok(false) };
    let changed = connection
        .prepare_cached(
            "UPDATE bindings SET call_id = ?3, cseq = ?4, expires = ?5 WHERE aor = ?1 AND place = 0 AND contact = ?2
                 AND reg_id IS ?6",
        )?
        .execute(params![
            &*aor.0,
            &*b.contact,
            &*b.call_id,
            b.cseq,
            integer(b.expires.0),
            b.reg_id()
        ])?;
    Ok(changed == 1)
}

/// Writes what is known of a CDR: as one new row if its start is among it, else as changes of its row.
pub(super) fn put_call(connection: &Connection, call: &Call<'_>) -> rusqlite::Result<()> {
    let legs = call.ended.map(|ended| ended.legs).or(call.measured);
    for (place, leg) in (0i64..).zip(legs.unwrap_or_default()) {
        put_leg(connection, call.id, place, leg)?;
    }
    let key = key(call.id);
    if let Some(started) = call.started
        && put_new_call(connection, &key, started, call)? > 0
    {
        return Ok(());
    }
    if let Some(legs) = legs {
        // Those that talked before a transfer, and have other places now.
        connection
            .prepare_cached("DELETE FROM legs WHERE call = ?1 AND place >= ?2")?
            .execute(params![key, integer(legs.len() as u64)])?;
    }
    if let Some(Routed { destination, rule }) = call.routed {
        connection
            .prepare_cached("UPDATE calls SET destination = ?2, rule = ?3 WHERE id = ?1")?
            .execute(params![key, destination, rule])?;
    }
    if let Some(at) = call.answered {
        connection
            .prepare_cached("UPDATE calls SET answered = ?2 WHERE id = ?1 AND answered IS NULL")?
            .execute(params![key, integer(at.0)])?;
    }
    if let Some(ended) = call.ended {
        connection
            .prepare_cached(
                "UPDATE calls SET ended = ?2, status = ?3, q850 = ?4, ended_by = ?5, cause = ?6
                 WHERE id = ?1 AND ended IS NULL",
            )?
            .execute(params![
                key,
                integer(ended.at.0),
                ended.status,
                ended.q850,
                ended.by,
                ended.cause
            ])?;
    }
    Ok(())
}

/// Zero if there is a row already.
fn put_new_call(connection: &Connection, key: &str, started: Started<'_>, call: &Call<'_>) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            key,
            integer(started.at.0),
            call.answered.map(|at| integer(at.0)),
            call.ended.map(|ended| integer(ended.at.0)),
            started.source,
            started.caller,
            started.called,
            call.routed.map(|routed| routed.destination),
            call.routed.map(|routed| routed.rule),
            started.sip_call_id,
            call.ended.map(|ended| ended.status),
            call.ended.map(|ended| ended.q850),
            call.ended.map(|ended| ended.by),
            call.ended.map(|ended| ended.cause),
        ])
}

/// A call with a transfer or a pick-up has several legs of a side: `place` tells them apart.
fn put_leg(connection: &Connection, call: CallId, place: i64, leg: &LegRow) -> rusqlite::Result<()> {
    let stats = &leg.stats;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO legs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                 ?20, ?21, ?22)",
        )?
        .execute(params![
            key(call),
            place,
            leg.side,
            stats.spoke(),
            integer(stats.received),
            integer(stats.sent),
            integer(stats.lost),
            integer(stats.late),
            integer(stats.dropped),
            integer(stats.strangers),
            integer(stats.concealed),
            stats.jitter_us,
            stats.round_trip_us,
            stats.mos.map(f64::from),
            stats.mos.map(|_| stats.wide_band),
            stats.level_dbm0.map(f64::from),
            stats.silence.map(f64::from),
            integer(stats.underruns),
            stats.peer_lost,
            stats.peer.and_then(|peer| peer.mos).map(f64::from),
            stats.troubles.names(),
            stats.data,
        ])?;
    Ok(())
}

fn binding(row: &Row<'_>) -> rusqlite::Result<Option<Binding>> {
    let text = |at: usize| row.get::<_, String>(at);
    let (transport, local, peer) = (text(6)?, text(9)?.parse(), text(10)?.parse());
    let (Some(transport), Ok(local), Ok(peer)) = (Transport::from_name(&transport), local, peer) else {
        return Ok(None);
    };
    let flow = Flow {
        transport,
        listener: ListenerId(row.get(7)?),
        connection: ConnectionId(row.get::<_, i64>(8)?.unsigned_abs()),
        local,
        peer,
    };
    let more = More {
        reg_id: row.get(13)?,
        path: row.get::<_, Option<String>>(14)?.map(Into::into),
        gruu: match (row.get::<_, Option<i64>>(15)?, row.get(16)?) {
            (Some(age), Some(first_cseq)) => Some(Gruu {
                age: Wall(age.unsigned_abs()),
                first_cseq,
            }),
            (_, None) | (None, _) => None,
        },
        params: row.get::<_, Option<String>>(17)?.map(Into::into),
    };
    Ok(Some(Binding {
        contact: text(1)?.into(),
        q: row.get(2)?,
        call_id: text(3)?.into(),
        cseq: row.get(4)?,
        expires: Wall(row.get::<_, i64>(5)?.unsigned_abs()),
        flow,
        instance: row.get::<_, Option<String>>(11)?.map(Into::into),
        user_agent: row.get::<_, Option<String>>(12)?.map(Into::into),
        more: (more != More::default()).then(|| Box::new(more)),
    }))
}

fn key(call: CallId) -> String {
    call.to_string()
}

/// SQLite has signed integers only; ours stay below 2^63.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

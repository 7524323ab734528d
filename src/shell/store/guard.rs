//! What the guard did, for `tandem guard`: bans, and what was cut in each minute.

use super::schema::Database;
use crate::effect::Fact;
use crate::time::Wall;
use rusqlite::{Connection, params};
use std::net::IpAddr;
use std::time::Duration;

/// A ban lasts no longer than the process that began it.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS bans (
    source TEXT NOT NULL,
    began INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    ended INTEGER,
    why TEXT NOT NULL,
    dropped INTEGER,
    PRIMARY KEY (source, began)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cuts (
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (at, what)
) STRICT, WITHOUT ROWID;
UPDATE bans SET ended = max(began, coalesce((SELECT alive FROM node), 0)) WHERE ended IS NULL;
";

/// How long it is kept: a flood writes ten lines a minute, for as long as it lasts.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One change.
#[derive(Clone, Debug)]
pub enum GuardRow {
    /// A ban begins.
    Banned(IpAddr, Wall, Duration, &'static str),
    /// It is over, with so many messages dropped.
    Ended(IpAddr, Wall, u64),
    /// So much was cut in the minute that ends now.
    Cut(Wall, &'static str, u64),
}

impl GuardRow {
    /// What a fact says of the guard, if anything.
    pub fn of(fact: &Fact, now: Wall) -> Option<GuardRow> {
        match fact {
            Fact::Banned { source, lasts, why } => Some(GuardRow::Banned(*source, now, *lasts, why)),
            Fact::BanEnded { source, dropped } => Some(GuardRow::Ended(*source, now, *dropped)),
            Fact::Cut { count, what } => Some(GuardRow::Cut(now, what, *count)),
            _other => None,
        }
    }
}

pub(super) fn put(connection: &Connection, row: &GuardRow) -> rusqlite::Result<()> {
    let integer = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match row {
        GuardRow::Banned(source, at, lasts, why) => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO bans VALUES (?1, ?2, ?3, NULL, ?4, NULL)")?
                .execute(params![
                    source.to_string(),
                    integer(at.0),
                    integer((*at + *lasts).0),
                    why
                ])?;
        }
        GuardRow::Ended(source, at, dropped) => {
            connection
                .prepare_cached("UPDATE bans SET ended = ?2, dropped = ?3 WHERE source = ?1 AND ended IS NULL")?
                .execute(params![source.to_string(), integer(at.0), integer(*dropped)])?;
        }
        GuardRow::Cut(at, what, count) => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO cuts VALUES (?1, ?2, ?3)")?
                .execute(params![integer(at.0), what, integer(*count)])?;
        }
    }
    Ok(())
}

/// Removes what is older than a week.
pub(super) fn forget(connection: &Connection, now: Wall) -> rusqlite::Result<()> {
    let old = i64::try_from(now.0).unwrap_or(i64::MAX) - KEPT.as_millis() as i64;
    connection
        .prepare_cached("DELETE FROM cuts WHERE at < ?1")?
        .execute(params![old])?;
    connection
        .prepare_cached("DELETE FROM bans WHERE ended < ?1")?
        .execute(params![old])?;
    Ok(())
}

/// A ban as `tandem guard` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBan {
    /// The address.
    pub source: String,
    /// Milliseconds since 1970.
    pub began: u64,
    /// When it is to end.
    pub ends: u64,
    /// When it has ended.
    pub ended: Option<u64>,
    /// In words.
    pub why: String,
    /// Messages that came meanwhile, once it is over.
    pub dropped: Option<u64>,
}

/// What was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCut {
    /// In words, behind "messages".
    pub what: String,
    /// Within the last hour, and the last day.
    pub counts: [u64; 2],
}

impl Database {
    /// The newest bans first, those that last before all others; and what was cut. Nothing in a file that an older program wrote.
    pub fn guard(&self, now: Wall, most: usize) -> rusqlite::Result<(Vec<ListedBan>, Vec<ListedCut>)> {
        let connection = self.connection();
        let known: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('bans', 'cuts')",
            [],
            |row| row.get(0),
        )?;
        if known < 2 {
            return Ok((Vec::new(), Vec::new()));
        }
        let number = |number: i64| number.unsigned_abs();
        let mut statement = connection.prepare(
            "SELECT source, began, ends, ended, why, dropped FROM bans ORDER BY ended IS NOT NULL, began DESC LIMIT ?1",
        )?;
        let bans = statement.query_map(params![most as i64], |row| {
            Ok(ListedBan {
                source: row.get(0)?,
                began: number(row.get(1)?),
                ends: number(row.get(2)?),
                ended: row.get::<_, Option<i64>>(3)?.map(number),
                why: row.get(4)?,
                dropped: row.get::<_, Option<i64>>(5)?.map(number),
            })
        })?;
        let bans = bans.collect::<rusqlite::Result<Vec<_>>>()?;
        let since = |time: Duration| i64::try_from(now.0).unwrap_or(i64::MAX) - time.as_millis() as i64;
        let mut statement = connection.prepare(
            "SELECT what, sum(CASE WHEN at >= ?1 THEN count ELSE 0 END), sum(count) FROM cuts WHERE at >= ?2
             GROUP BY what ORDER BY what",
        )?;
        let cuts = statement.query_map(params![since(HOUR), since(DAY)], |row| {
            Ok(ListedCut {
                what: row.get(0)?,
                counts: [number(row.get(1)?), number(row.get(2)?)],
            })
        })?;
        Ok((bans, cuts.collect::<rusqlite::Result<Vec<_>>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::store::Store;

    const NOW: Wall = Wall(1_800_000_000_000);

    #[test]
    fn bans_and_cuts_are_listed_for_their_time_and_end_with_the_process() {
        let folder = std::env::temp_dir().join(format!("tandem-store-guard-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("t.db");
        let config = crate::config::Store {
            path: file.clone(),
            records: true,
            bindings: true,
        };
        let ip = |last| IpAddr::from([198, 51, 77, last]);
        let later = |hours: u64| NOW + HOUR * u32::try_from(hours).unwrap();
        let list = |now| Database::read(&file).unwrap().guard(now, 10).unwrap();

        let (store, _written, _) = Store::open(&config, NOW).unwrap();
        store.guard(GuardRow::Banned(ip(1), NOW, HOUR, "it guessed"));
        store.guard(GuardRow::Banned(ip(2), NOW, HOUR, "it guessed"));
        store.guard(GuardRow::Ended(ip(1), later(1), 7));
        store.guard(GuardRow::Cut(NOW, "of one kind", 3));
        store.guard(GuardRow::Cut(later(2), "of one kind", 4));
        store.close(later(2));
        let (bans, cuts) = list(later(2));
        let seen: Vec<_> = bans
            .iter()
            .map(|ban| (ban.source.as_str(), ban.ended, ban.dropped))
            .collect();
        assert_eq!(
            seen,
            [("198.51.77.2", None, None), ("198.51.77.1", Some(later(1).0), Some(7))]
        );
        assert_eq!((cuts.len(), cuts[0].counts), (1, [4, 7]));

        let (mut store, _written, _) = Store::open(&config, later(3)).unwrap();
        store.sweep(later(3));
        store.close(later(3));
        assert!(
            list(later(3)).0.iter().all(|ban| ban.ended.is_some()),
            "a new process has banned nobody"
        );
        let (mut store, _written, _) = Store::open(&config, later(24 * 8)).unwrap();
        store.sweep(later(24 * 8));
        store.close(later(24 * 8));
        assert_eq!(list(later(24 * 8)), (Vec::new(), Vec::new()));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! The store on a real disk: crashes, disks that fail, and what is left when the node stops.

use super::schema::Database;
use super::{CallRow, Store, Written};
use crate::config;
use crate::effect::{Aor, Binding, Gruu, More, Op, Reply};
use crate::id::{CallId, ConnectionId, Flow, ListenerId, Ticket, Transport};
use crate::time::Wall;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long anything may take before the test fails.
const SOON: Duration = Duration::from_secs(30);
pub(super) const NOW: Wall = Wall(1_800_000_000_000);

/// A folder of the test's own, gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tandem-store-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("t.db")
    }

    fn config(&self) -> config::Store {
        config::Store {
            path: self.file(),
            records: true,
            bindings: true,
        }
    }

    pub(super) fn open(&self, now: Wall) -> (Store, mpsc::Receiver<Vec<Written>>, usize) {
        Store::open(&self.config(), now).unwrap()
    }

    pub(super) fn number(&self, query: &str) -> i64 {
        let connection = Connection::open(self.file()).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn started(call: u64) -> CallRow {
    CallRow::Started {
        call: CallId(call),
        at: NOW,
        source: "user/alice".into(),
        caller: "101".into(),
        called: "102".into(),
        sip_call_id: "x".into(),
    }
}

pub(super) fn ended(call: u64) -> CallRow {
    CallRow::Ended {
        call: CallId(call),
        at: NOW + Duration::from_secs(9),
        status: 200,
        q850: 16,
        by: "caller",
        cause: "the caller hung up".into(),
        legs: Vec::new(),
    }
}

pub(super) fn replace(aor: &str, version: u64, contacts: &[&str]) -> Op {
    let addr = "127.0.0.1:5060".parse().unwrap();
    let binding = |contact: &&str| Binding {
        contact: (*contact).into(),
        q: 1000,
        call_id: "c".into(),
        cseq: 1,
        expires: NOW + Duration::from_secs(3600),
        flow: Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: addr,
            peer: addr,
        },
        instance: None,
        user_agent: None,
        more: None,
    };
    Op::Replace {
        aor: Aor(aor.into()),
        version,
        bindings: contacts.iter().map(binding).collect(),
    }
}

/// The replies to what was committed, or could not be, together.
pub(super) async fn replies(store: &mut Store, written: &mut mpsc::Receiver<Vec<Written>>) -> Vec<(Ticket, Reply)> {
    let written = timeout(SOON, written.recv()).await.expect("the writer is silent");
    let written = written.expect("the writer lives");
    written.into_iter().map(|written| store.written(written)).collect()
}

pub(super) async fn reply(store: &mut Store, written: &mut mpsc::Receiver<Vec<Written>>) -> (Ticket, Reply) {
    let mut replies = replies(store, written).await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

pub(super) fn contacts(store: &mut Store, aor: &str) -> usize {
    match store.apply(Ticket(0), Op::Bindings(Aor(aor.into())), NOW) {
        Some(Reply::Bindings { bindings, .. }) => bindings.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bindings_are_there_after_a_restart_and_expired_ones_leave_the_disk() {
    let folder = Folder::new("restart");
    let (mut store, mut written, _) = folder.open(NOW);
    assert_eq!(
        store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h", "sip:2@h"]), NOW),
        None
    );
    assert!(matches!(
        reply(&mut store, &mut written).await,
        (Ticket(1), Reply::Replaced { .. })
    ));
    store.close(NOW);
    let (mut store, _written, _) = folder.open(NOW);
    assert_eq!(contacts(&mut store, "a@h"), 2);
    store.close(NOW);
    let (store, _written, _) = folder.open(NOW + Duration::from_secs(3600));
    assert_eq!(store.bindings(), 0);
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 0);
}

#[tokio::test]
async fn a_kill_leaves_calls_that_the_next_start_closes_at_the_last_sign_of_life() {
    let folder = Folder::new("kill");
    let (mut store, written, _) = folder.open(NOW);
    assert!(store.call(started(1)) && store.call(started(2)) && store.call(ended(2)));
    store.sweep(NOW + Duration::from_secs(30));
    // Without `close`: what was queued is written, and nothing else is tidied up.
    drop(store);
    drop(written);
    let later = NOW + Duration::from_secs(86_400);
    let (store, _written, closed) = timeout(SOON, async {
        loop {
            // The writer of before has the file until it is done.
            match Store::open(&folder.config(), later) {
                Ok(opened) => return opened,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(closed, 1);
    store.close(later);
    let seconds = format!("SELECT (ended - {}) / 1000 FROM calls WHERE status = 500", NOW.0);
    assert_eq!(folder.number(&seconds), 30);
    assert_eq!(folder.number("SELECT count(*) FROM calls WHERE ended IS NOT NULL"), 2);
    assert_eq!(
        folder.number("SELECT status FROM calls WHERE cause = 'the caller hung up'"),
        200
    );
}

#[test]
fn stop_leaves_no_record_open_and_no_file_behind() {
    let folder = Folder::new("stop");
    let (mut store, _written, _) = folder.open(NOW);
    for call in 0..5000 {
        assert!(store.call(started(call)));
    }
    store.close(NOW);
    assert_eq!(
        folder.number("SELECT count(*) FROM calls WHERE status = 503 AND ended_by = 'node'"),
        5000
    );
    let listed = Database::read(&folder.file()).unwrap().recent_calls(&folder.file(), 9);
    assert_eq!(listed.unwrap().len(), 9);
    let files: Vec<_> = std::fs::read_dir(&folder.0)
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(files, ["t.db"], "neither the node nor who looks leaves a file behind");
    let mode = std::fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Beside a running node: what is in its log is seen.
    let (mut store, _written, _) = folder.open(NOW);
    assert!(store.call(started(9999)));
    let other = Database::read(&folder.file()).unwrap();
    let mut seen = (0..100_000).map(|_| other.recent_calls(&folder.file(), 9999).unwrap().len());
    assert!(seen.any(|count| count == 5001));
    drop(other);
    store.close(NOW);
}

/// What the file says without its log, once it does; `None` until then, and while it is being written.
fn in_file(folder: &Folder, query: &str) -> Option<i64> {
    let uri = format!("file:{}?immutable=1", folder.file().display());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).ok()?;
    connection.query_row(query, [], |row| row.get(0)).ok()
}

pub(super) async fn comes_true(mut what: impl FnMut() -> bool) -> bool {
    let waits = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, waits).await.is_ok()
}

#[tokio::test]
async fn what_was_written_comes_into_the_file_itself() {
    let folder = Folder::new("checkpoint");
    let (mut store, mut written, _) = folder.open(NOW);
    store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h"]), NOW);
    reply(&mut store, &mut written).await;
    assert_ne!(
        in_file(&folder, "SELECT count(*) FROM bindings"),
        Some(1),
        "it is in the log only"
    );
    for call in 0..10_000 {
        store.call(started(call));
    }
    assert!(comes_true(|| in_file(&folder, "SELECT count(*) FROM bindings") == Some(1)).await);
    store.close(NOW);
}

#[tokio::test]
async fn while_the_disk_fails_registers_are_refused_and_call_records_wait_and_none_is_lost() {
    let folder = Folder::new("locked");
    let (mut store, mut written, _) = folder.open(NOW);
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for call in 0..3000 {
        assert!(store.call(started(call)), "a call never waits for the disk");
    }
    assert_eq!(store.apply(Ticket(7), replace("a@h", 0, &["sip:1@h"]), NOW), None);
    // Two changes on one address of record: both are taken back.
    let second = replace("a@h", 1, &["sip:1@h", "sip:2@h"]);
    assert_eq!(store.apply(Ticket(8), second, NOW), None);
    let refused = [(Ticket(8), Reply::Failed), (Ticket(7), Reply::Failed)];
    assert_eq!(replies(&mut store, &mut written).await, refused);
    assert_eq!(contacts(&mut store, "a@h"), 0);
    assert!(store.call(ended(1)));
    other.execute_batch("ROLLBACK").unwrap();
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM calls"), 3000);
    assert_eq!(folder.number("SELECT count(*) FROM calls WHERE status = 200"), 1);
}

#[test]
fn a_disk_that_stays_broken_does_not_keep_the_node_from_ending() {
    let folder = Folder::new("broken");
    let (mut store, _written, _) = folder.open(NOW);
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("DROP TABLE calls").unwrap();
    for call in 0..5000 {
        assert!(store.call(started(call)));
    }
    store.close(NOW);
}

#[tokio::test]
async fn one_write_that_cannot_be_taken_takes_no_other_with_it() {
    let folder = Folder::new("poison");
    let (mut store, mut written, _) = folder.open(NOW);
    let other = Connection::open(folder.file()).unwrap();
    let trigger =
        "CREATE TRIGGER t BEFORE INSERT ON calls WHEN new.caller = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(trigger).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let CallRow::Started {
        call,
        at,
        source,
        called,
        sip_call_id,
        ..
    } = started(2)
    else {
        panic!()
    };
    let bad = CallRow::Started {
        call,
        at,
        source,
        caller: "bad".into(),
        called,
        sip_call_id,
    };
    assert!(store.call(started(1)) && store.call(bad) && store.call(started(3)));
    assert_eq!(store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h"]), NOW), None);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(
        reply(&mut store, &mut written).await.1,
        Reply::Replaced { .. }
    ));
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM calls"), 2);
}

#[test]
fn a_second_node_on_the_same_file_is_refused_and_so_are_files_that_are_none() {
    let folder = Folder::new("second");
    let (store, _written, _) = folder.open(NOW);
    let Err(why) = Store::open(&folder.config(), NOW) else {
        panic!("two nodes on one file")
    };
    assert!(
        why.contains("another node has it open") && why.contains("store.path"),
        "{why}"
    );
    store.close(NOW);
    let (store, _written, _) = folder.open(NOW);
    store.close(NOW);
    let newer = Connection::open(folder.file()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let Err(why) = Store::open(&folder.config(), NOW) else {
        panic!("a file of the future")
    };
    assert!(why.contains("a newer tandem wrote it (version 99"), "{why}");
    let junk = folder.0.join("junk.db");
    std::fs::write(
        &junk,
        "this is no database, and long enough to be told from one".repeat(40),
    )
    .unwrap();
    let config = config::Store {
        path: junk.clone(),
        ..folder.config()
    };
    let Err(why) = Store::open(&config, NOW) else {
        panic!("junk")
    };
    assert!(why.contains("not a database"), "{why}");
    let Err(why) = Database::read(&junk).and_then(|database| database.recent_calls(&junk, 1)) else {
        panic!("junk")
    };
    assert!(
        why.contains("junk.db cannot be read") && why.contains("not a database"),
        "{why}"
    );
}

#[test]
fn bindings_of_version_2_stay_and_what_a_binding_has_besides_is_kept() {
    let folder = Folder::new("version-2");
    let old = Connection::open(folder.file()).unwrap();
    old.execute_batch(
        "CREATE TABLE bindings (aor TEXT NOT NULL, place INTEGER NOT NULL, contact TEXT NOT NULL, q INTEGER NOT NULL,
             call_id TEXT NOT NULL, cseq INTEGER NOT NULL, expires INTEGER NOT NULL, transport TEXT NOT NULL,
             listener INTEGER NOT NULL, connection INTEGER NOT NULL, local TEXT NOT NULL, peer TEXT NOT NULL, instance TEXT,
             user_agent TEXT, PRIMARY KEY (aor, place)) STRICT, WITHOUT ROWID;
         INSERT INTO bindings VALUES ('a@h', 0, 'sip:1@h', 1000, 'c', 1, 9000000000000000, 'udp', 0, 0, '127.0.0.1:5060',
             '127.0.0.2:5060', 'urn:uuid:1', NULL);
         PRAGMA user_version = 2;",
    )
    .unwrap();
    drop(old);
    let more = More {
        reg_id: Some(7),
        path: Some("<sip:t@edge;lr;ob>".into()),
        gruu: Some(Gruu {
            age: Wall(12),
            first_cseq: 3,
        }),
        params: Some(";audio;+sip.x=\"a b\"".into()),
    };
    let (mut store, mut written, _) = folder.open(NOW);
    let found = |store: &mut Store| match store.apply(Ticket(0), Op::Bindings(Aor("a@h".into())), NOW) {
        Some(Reply::Bindings { version, bindings }) => (version, bindings),
        other => panic!("{other:?}"),
    };
    let (version, mut bindings) = found(&mut store);
    assert_eq!((bindings.len(), &bindings[0].more), (1, &None));
    Arc::make_mut(&mut bindings)[0].more = Some(Box::new(more.clone()));
    let op = Op::Replace {
        aor: Aor("a@h".into()),
        version,
        bindings,
    };
    assert_eq!(store.apply(Ticket(1), op, NOW), None);
    written.blocking_recv().expect("it is written");
    store.close(NOW);
    let (mut store, _written, _) = folder.open(NOW);
    let (_, bindings) = found(&mut store);
    assert_eq!(bindings[0].more.as_deref(), Some(&more));
    store.close(NOW);
}

#[test]
fn the_key_is_the_same_over_restarts_and_another_in_another_file() {
    let (folder, other) = (Folder::new("secret"), Folder::new("secret-2"));
    let key = |folder: &Folder| {
        let (store, _written, _) = folder.open(NOW);
        let key = store.secret().0;
        store.close(NOW);
        key
    };
    let first = key(&folder);
    assert_eq!(key(&folder), first);
    assert_ne!(key(&other), first);
}

#[test]
fn when_memory_for_records_runs_out_every_call_that_has_a_start_gets_its_end() {
    let folder = Folder::new("room");
    let (mut store, _written, _) = folder.open(NOW);
    store.room = 512 * 1024;
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let routed = |call| CallRow::Routed {
        call: CallId(call),
        destination: "user/bob".into(),
        rule: "bob is a user".into(),
    };
    let (mut routes, mut starts) = (0, 0);
    for call in 0..10_000 {
        let started = store.call(started(call));
        let routed = store.call(routed(call));
        starts += u64::from(started);
        routes += u64::from(started && routed);
        // A hundred are up at any time.
        assert!(call < 100 || store.call(ended(call - 100)));
    }
    assert!(0 < routes && routes < starts && starts < 10_000, "{routes} of {starts}");
    for call in 9_900..10_000 {
        assert!(store.call(ended(call)));
    }
    assert!(store.unrecorded.is_empty());
    other.execute_batch("ROLLBACK").unwrap();
    store.close(NOW);
    let count = |condition: &str| {
        folder
            .number(&format!("SELECT count(*) FROM calls {condition}"))
            .unsigned_abs()
    };
    assert_eq!(count(""), starts);
    assert_eq!(
        count("WHERE status = 200 AND ended_by = 'caller'"),
        starts,
        "none was closed for want of its end"
    );
    assert_eq!(count("WHERE destination IS NOT NULL"), routes);
}

#[tokio::test]
async fn what_was_written_makes_room_again() {
    let folder = Folder::new("again");
    let (mut store, mut written, _) = folder.open(NOW);
    for version in 0..50 {
        assert!(store.call(started(version)) && store.call(ended(version)));
        let contact = format!("sip:{version}@h");
        let op = replace("a@h", version, &[&contact]);
        assert_eq!(store.apply(Ticket(version), op, NOW), None);
        assert!(matches!(
            reply(&mut store, &mut written).await.1,
            Reply::Replaced { .. }
        ));
    }
    let shared = store.shared.clone();
    store.close(NOW);
    assert_eq!(
        (
            shared.waiting.load(Ordering::Relaxed),
            shared.bytes.load(Ordering::Relaxed)
        ),
        (0, 0)
    );
}

/// A call that begins and ends within one commit is one row, with the same in it as one that is written change by change.
#[test]
fn a_short_call_is_as_complete_as_a_long_one() {
    let folder = Folder::new("short");
    let rows = |call| {
        let routed = CallRow::Routed {
            call: CallId(call),
            destination: "user/bob".into(),
            rule: "bob is a user".into(),
        };
        let answered = CallRow::Answered {
            call: CallId(call),
            at: NOW + Duration::from_secs(2),
        };
        [started(call), routed, answered, ended(call)]
    };
    let (mut store, _written, _) = folder.open(NOW);
    rows(1).into_iter().for_each(|row| assert!(store.call(row)));
    store.close(NOW);
    let (mut store, _written, _) = folder.open(NOW);
    for row in rows(2) {
        assert!(store.call(row));
        while store.shared.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }
    store.close(NOW);
    let same =
        "SELECT count(*) FROM (SELECT DISTINCT started, answered, ended, source, caller, called, destination, rule,
                sip_call_id, status, q850, ended_by, cause FROM calls)";
    assert_eq!(folder.number("SELECT count(*) FROM calls WHERE status = 200"), 2);
    assert_eq!(folder.number(same), 1);
    // Written again, as after a commit of which it is not known whether it was done: nothing is different, and nothing is twice.
    let (mut store, _written, _) = folder.open(NOW);
    rows(1).into_iter().for_each(|row| assert!(store.call(row)));
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM calls"), 2);
    assert_eq!(folder.number(same), 1);
}

#[tokio::test]
async fn of_several_changes_in_one_commit_the_last_holds() {
    let folder = Folder::new("last");
    let (mut store, mut written, _) = folder.open(NOW);
    // An empty list has no version.
    let changes = [(0, &["sip:1@h", "sip:2@h"][..]), (1, &[]), (0, &["sip:3@h"])];
    for (ticket, (version, contacts)) in (0..).zip(changes) {
        let op = replace("a@h", version, contacts);
        assert_eq!(store.apply(Ticket(ticket), op, NOW), None);
    }
    let mut replies = Vec::new();
    while replies.len() < 3 {
        replies.extend(self::replies(&mut store, &mut written).await);
    }
    assert!(replies.iter().all(|(_, reply)| matches!(reply, Reply::Replaced { .. })));
    store.close(NOW);
    assert_eq!(
        folder.number("SELECT count(*) FROM bindings WHERE contact = 'sip:3@h'"),
        1
    );
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 1);
}

/// The list that a restart leaves is shorter than its rows were: the next change must not leave one of them behind.
#[tokio::test]
async fn a_list_of_which_a_part_has_expired_is_replaced_as_a_whole() {
    let folder = Folder::new("gap");
    let (mut store, mut written, _) = folder.open(NOW);
    let Op::Replace {
        aor,
        version,
        mut bindings,
    } = replace("a@h", 0, &["sip:1@h", "sip:2@h", "sip:3@h"])
    else {
        panic!()
    };
    for binding in &mut Arc::make_mut(&mut bindings)[..2] {
        binding.expires = NOW + Duration::from_secs(1);
    }
    assert_eq!(
        store.apply(Ticket(1), Op::Replace { aor, version, bindings }, NOW),
        None
    );
    reply(&mut store, &mut written).await;
    store.close(NOW);
    let (mut store, mut written, _) = folder.open(NOW + Duration::from_secs(2));
    assert_eq!(contacts(&mut store, "a@h"), 1);
    assert_eq!(folder.number("SELECT place FROM bindings"), 0);
    assert_eq!(store.apply(Ticket(2), replace("a@h", 1, &["sip:4@h"]), NOW), None);
    reply(&mut store, &mut written).await;
    store.close(NOW);
    assert_eq!(
        folder.number("SELECT count(*) FROM bindings WHERE contact = 'sip:4@h'"),
        1
    );
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 1);
}

#[test]
fn what_is_not_wanted_in_the_file_is_not_there_and_without_both_there_is_no_file() {
    let folder = Folder::new("parts");
    let parts = |records, bindings| config::Store {
        records,
        bindings,
        ..folder.config()
    };
    let register = |store: &mut Store| {
        let reply = store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h"]), NOW);
        assert_eq!(contacts(store, "a@h"), 1);
        reply
    };
    let (mut store, _written, _) = Store::open(&parts(false, false), NOW).unwrap();
    assert!(matches!(register(&mut store), Some(Reply::Replaced { .. })));
    assert!(store.call(started(1)) && store.is_alive());
    store.sweep(NOW);
    store.close(NOW);
    assert!(!folder.file().exists());
    let (mut store, _written, _) = Store::open(&parts(false, true), NOW).unwrap();
    assert_eq!(register(&mut store), None);
    assert!(store.call(started(1)));
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 1);
    assert_eq!(folder.number("SELECT count(*) FROM calls"), 0);
    let (mut store, _written, _) = Store::open(&parts(true, false), NOW).unwrap();
    assert_eq!(store.bindings(), 0);
    assert!(matches!(register(&mut store), Some(Reply::Replaced { .. })));
    assert!(store.call(started(1)));
    store.sweep(NOW + Duration::from_secs(7200));
    assert_eq!(store.bindings(), 0, "it has expired");
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 0);
    assert_eq!(folder.number("SELECT count(*) FROM calls"), 1);
}

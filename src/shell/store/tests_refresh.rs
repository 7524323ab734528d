//! Registrations that only last longer: nobody waits for the disk.

use super::tests::{Folder, NOW, comes_true, contacts, replace, replies, reply, started};
use crate::effect::{Op, Reply};
use crate::id::Ticket;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The same bindings for so many hours.
fn refresh(aor: &str, version: u64, contacts: &[&str], hours: u64) -> Op {
    let mut op = replace(aor, version, contacts);
    if let Op::Replace { bindings, .. } = &mut op {
        for binding in Arc::make_mut(bindings) {
            binding.expires = NOW + Duration::from_secs(3600 * hours);
        }
    }
    op
}

#[tokio::test]
async fn who_refreshes_waits_for_no_disk_and_the_file_has_it_soon() {
    let folder = Folder::new("refresh");
    let (mut store, mut written, _) = folder.open(NOW);
    let list = ["sip:1@h", "sip:2@h"];
    assert_eq!(store.apply(Ticket(1), replace("a@h", 0, &list), NOW), None);
    reply(&mut store, &mut written).await;
    let taken = |version| Some(Reply::Replaced { version });
    assert_eq!(store.apply(Ticket(2), refresh("a@h", 1, &list, 2), NOW), taken(2));
    let until = |hours: i64| i64::try_from(NOW.0).unwrap() + 3_600_000 * hours;
    let query = "SELECT min(expires) FROM bindings";
    assert!(comes_true(|| folder.number(query) == until(2)).await);
    // While the disk fails, too: a phone keeps what it has.
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for version in 2..12 {
        let op = refresh("a@h", version, &list, 1 << version);
        assert_eq!(store.apply(Ticket(3), op, NOW), taken(version + 1));
    }
    assert_eq!(store.apply(Ticket(4), replace("b@h", 0, &["sip:b@h"]), NOW), None);
    assert_eq!(reply(&mut store, &mut written).await, (Ticket(4), Reply::Failed));
    assert!(
        comes_true(|| store.shared.waiting.load(Ordering::Relaxed) == 1).await,
        "of what waits the last list is kept"
    );
    // What is built on a change that may fail fails with it.
    let (more, longer) = (["sip:1@h", "sip:2@h", "sip:3@h"], ["sip:1@h", "sip:2@h"]);
    assert_eq!(store.apply(Ticket(6), replace("c@h", 0, &longer), NOW), None);
    assert_eq!(store.apply(Ticket(7), refresh("c@h", 14, &longer, 2), NOW), None);
    assert_eq!(store.apply(Ticket(8), refresh("c@h", 15, &more, 2), NOW), None);
    let refused = [8, 7, 6].map(|ticket| (Ticket(ticket), Reply::Failed));
    assert_eq!(replies(&mut store, &mut written).await, refused);
    assert_eq!(contacts(&mut store, "c@h"), 0);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(comes_true(|| folder.number(query) == until(2048)).await);
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 2);
    // For shorter is a change like any other.
    assert_eq!(store.apply(Ticket(5), refresh("a@h", 12, &list, 1), NOW), None);
    assert!(matches!(
        reply(&mut store, &mut written).await,
        (Ticket(5), Reply::Replaced { .. })
    ));
    store.close(NOW);
    let (store, _written, _) = folder.open(NOW);
    assert_eq!(store.bindings(), 2);
    store.close(NOW);
}

/// A list that the disk does not take now is not written after the one that came later.
#[tokio::test]
async fn where_each_write_goes_alone_none_overtakes_another() {
    let folder = Folder::new("order");
    let (mut store, mut written, _) = folder.open(NOW);
    assert_eq!(store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h"]), NOW), None);
    reply(&mut store, &mut written).await;
    let until = |hours: u64| NOW.0 + 3_600_000 * hours;
    let other = Connection::open(folder.file()).unwrap();
    // No call is ever taken; the first list is taken as soon as the second trigger is gone.
    let triggers = format!(
        "CREATE TRIGGER never BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'no'); END;
         CREATE TRIGGER later BEFORE INSERT ON bindings WHEN new.expires = {} BEGIN SELECT json('{{'); END",
        until(2)
    );
    other.execute_batch(&triggers).unwrap();
    assert!(store.call(started(1)));
    for version in 1..3 {
        let op = refresh("a@h", version, &["sip:1@h"], 2 * version);
        assert!(matches!(store.apply(Ticket(2), op, NOW), Some(Reply::Replaced { .. })));
    }
    let query = "SELECT expires FROM bindings";
    assert!(comes_true(|| folder.number(query) == until(4) as i64).await);
    other.execute_batch("DROP TRIGGER later").unwrap();
    store.close(NOW);
    assert_eq!(folder.number(query), until(4) as i64);
}

#[tokio::test]
async fn what_comes_beside_a_refresh_is_written_whole() {
    let folder = Folder::new("beside");
    let (mut store, mut written, _) = folder.open(NOW);
    assert_eq!(store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h"]), NOW), None);
    reply(&mut store, &mut written).await;
    let op = refresh("a@h", 1, &["sip:1@h"], 2);
    assert_eq!(store.apply(Ticket(2), op, NOW), Some(Reply::Replaced { version: 2 }));
    let mut op = refresh("a@h", 2, &["sip:1@h"], 4);
    if let Op::Replace { bindings, .. } = &mut op {
        Arc::make_mut(bindings)[0].q = 500;
    }
    assert_eq!(store.apply(Ticket(3), op, NOW), None);
    reply(&mut store, &mut written).await;
    store.close(NOW);
    assert_eq!(folder.number("SELECT q FROM bindings"), 500);
    assert_eq!(
        folder.number("SELECT expires FROM bindings"),
        NOW.0 as i64 + 4 * 3_600_000
    );
}

/// A phone that comes back every minute is written when the node stops.
#[tokio::test]
async fn what_the_disk_was_spared_is_written_at_the_end() {
    let folder = Folder::new("spared");
    let (mut store, mut written, _) = folder.open(NOW);
    assert_eq!(store.apply(Ticket(1), replace("a@h", 0, &["sip:1@h"]), NOW), None);
    reply(&mut store, &mut written).await;
    let mut op = refresh("a@h", 1, &["sip:1@h"], 1);
    if let Op::Replace { bindings, .. } = &mut op {
        Arc::make_mut(bindings)[0].expires = NOW + Duration::from_secs(3660);
    }
    assert_eq!(store.apply(Ticket(2), op, NOW), Some(Reply::Replaced { version: 2 }));
    assert_eq!(store.shared.waiting.load(Ordering::Relaxed), 0, "nothing is queued");
    store.close(NOW);
    assert_eq!(folder.number("SELECT expires FROM bindings"), NOW.0 as i64 + 3_660_000);
}

//! Registrations that only last longer: nobody waits for the disk.

use super::tests::{Folder, NOW, comes_true, replace, reply};
use crate::effect::{Op, Reply};
use crate::id::Ticket;
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;

/// The same bindings for `more` seconds than an hour.
fn refresh(aor: &str, version: u64, contacts: &[&str], more: u64) -> Op {
    let mut op = replace(aor, version, contacts);
    if let Op::Replace { bindings, .. } = &mut op {
        for binding in Arc::make_mut(bindings) {
            binding.expires = NOW + Duration::from_secs(3600 + more);
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
    assert_eq!(store.apply(Ticket(2), refresh("a@h", 1, &list, 60), NOW), taken(2));
    let until = |more: i64| i64::try_from(NOW.0).unwrap() + (3600 + more) * 1000;
    let query = "SELECT min(expires) FROM bindings";
    assert!(comes_true(|| folder.number(query) == until(60)).await);
    // While the disk fails, too: a phone keeps what it has.
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(store.apply(Ticket(3), refresh("a@h", 2, &list, 120), NOW), taken(3));
    assert_eq!(store.apply(Ticket(4), replace("b@h", 0, &["sip:b@h"]), NOW), None);
    assert_eq!(reply(&mut store, &mut written).await, (Ticket(4), Reply::Failed));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(comes_true(|| folder.number(query) == until(120)).await);
    assert_eq!(folder.number("SELECT count(*) FROM bindings"), 2);
    // For shorter is a change like any other.
    assert_eq!(store.apply(Ticket(5), refresh("a@h", 3, &list, 30), NOW), None);
    assert!(matches!(
        reply(&mut store, &mut written).await,
        (Ticket(5), Reply::Replaced { .. })
    ));
    store.close(NOW);
    let (store, _written, _) = folder.open(NOW);
    assert_eq!(store.bindings(), 2);
    store.close(NOW);
}

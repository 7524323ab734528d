//! Legs in call records: each with its counters, and those of older files.

use super::tests::{Folder, NOW, ended, started};
use super::{CallRow, LegRow};
use crate::media::command::{LegStats, PeerView, Trouble};
use rusqlite::Connection;

fn leg(side: &'static str, late: u64) -> LegRow {
    let stats = LegStats {
        late,
        dropped: 5,
        strangers: 4,
        concealed: 3,
        ..LegStats::default()
    };
    LegRow { side, stats }
}

#[test]
fn every_leg_of_a_call_is_kept_with_its_counters_however_often_it_is_written() {
    let folder = Folder::new("legs");
    let (mut store, _written, _) = folder.open(NOW);
    let mut end = ended(1);
    if let CallRow::Ended { legs, .. } = &mut end {
        // A transfer: the second callee took the place of the first.
        legs.extend([leg("caller", 1), leg("callee", 2), leg("callee", 7)]);
    }
    assert!(store.call(started(1)) && store.call(end.clone()) && store.call(end));
    store.close(NOW);
    assert_eq!(folder.number("SELECT count(*) FROM legs"), 3);
    assert_eq!(
        folder.number(
            "SELECT sum(late) FROM legs WHERE side = 'callee' AND dropped = 5 AND strangers = 4 AND concealed = 3"
        ),
        9
    );
}

#[test]
fn a_file_of_version_1_is_brought_up_with_all_that_is_in_it() {
    let folder = Folder::new("version-1");
    let old = Connection::open(folder.file()).unwrap();
    old.execute_batch(
        "CREATE TABLE legs (call TEXT NOT NULL, side TEXT NOT NULL, codec TEXT, received INTEGER NOT NULL, sent INTEGER NOT NULL,
             lost INTEGER NOT NULL, jitter_us INTEGER NOT NULL, round_trip_us INTEGER, mos REAL, PRIMARY KEY (call, side))
             STRICT, WITHOUT ROWID;
         INSERT INTO legs VALUES ('c1', 'caller', 'PCMA', 10, 11, 1, 500, NULL, 4.4), ('c1', 'callee', 'opus', 20, 21, 2, 600, 9, 4.1),
             ('c2', 'caller', NULL, 0, 0, 0, 0, NULL, NULL);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let (store, _written, _) = folder.open(NOW);
        store.close(NOW);
        assert_eq!(folder.number("PRAGMA user_version"), 6);
        assert_eq!(folder.number("SELECT count(*) FROM legs WHERE late IS NULL"), 3);
        assert_eq!(folder.number("SELECT sum(place) FROM legs"), 1);
        assert_eq!(
            folder.number("SELECT received FROM legs WHERE call = 'c1' AND side = 'callee' AND codec = 'opus'"),
            20
        );
        assert_eq!(
            folder.number("SELECT count(*) FROM sqlite_master WHERE name = 'legs_1'"),
            0
        );
    }
}

#[test]
fn legs_of_version_4_stay_and_what_is_measured_now_is_kept() {
    let folder = Folder::new("version-4");
    let old = Connection::open(folder.file()).unwrap();
    old.execute_batch(
        "CREATE TABLE legs (call TEXT NOT NULL, place INTEGER NOT NULL, side TEXT NOT NULL, codec TEXT, received INTEGER NOT NULL,
             sent INTEGER NOT NULL, lost INTEGER NOT NULL, late INTEGER, dropped INTEGER, strangers INTEGER, concealed INTEGER,
             jitter_us INTEGER NOT NULL, round_trip_us INTEGER, mos REAL, PRIMARY KEY (call, place)) STRICT, WITHOUT ROWID;
         INSERT INTO legs VALUES ('c9', 0, 'caller', 'PCMA', 10, 11, 1, 0, 0, 0, 0, 500, NULL, 4.4);
         PRAGMA user_version = 4;",
    )
    .unwrap();
    drop(old);
    let (mut store, _written, _) = folder.open(NOW);
    let mut end = ended(1);
    if let CallRow::Ended { legs, .. } = &mut end {
        let mut row = leg("callee", 0);
        row.stats = LegStats {
            mos: Some(4.25),
            wide_band: true,
            level_dbm0: Some(-18.5),
            silence: Some(0.5),
            underruns: 6,
            data: true,
            peer_lost: Some(7),
            peer: Some(PeerView {
                mos: Some(3.5),
                ..PeerView::default()
            }),
            ..row.stats
        };
        row.stats.troubles.set(Trouble::OnlySilence, true);
        legs.push(row);
    }
    assert!(store.call(started(1)) && store.call(end));
    store.close(NOW);
    assert_eq!(folder.number("PRAGMA user_version"), 6);
    assert_eq!(
        folder.number(
            "SELECT received FROM legs WHERE call = 'c9' AND trouble IS NULL AND wide_band IS NULL AND data IS NULL"
        ),
        10
    );
    let kept = "SELECT count(*) FROM legs WHERE mos = 4.25 AND wide_band = 1 AND level_dbm0 = -18.5 AND silence = 0.5 AND underruns = 6
        AND peer_lost = 7 AND peer_mos = 3.5 AND trouble = 'only silence came' AND data = 1";
    assert_eq!(folder.number(kept), 1);
}

/// A call that is up shows how it goes, and one that was killed has what was known last.
#[test]
fn what_is_measured_while_a_call_is_up_makes_room_for_what_its_end_tells() {
    let folder = Folder::new("measured");
    let measured = |late| CallRow::Measured {
        call: crate::id::CallId(1),
        legs: vec![leg("caller", late), leg("callee", late)],
    };
    let (mut store, _written, _) = folder.open(NOW);
    assert!(store.call(started(1)) && store.call(measured(1)));
    store.close(NOW);
    assert_eq!(folder.number("SELECT sum(late) FROM legs"), 2);
    let (mut store, _written, _) = folder.open(NOW);
    assert!(store.call(measured(5)) && store.call(measured(2)));
    store.close(NOW);
    assert_eq!(folder.number("SELECT sum(late) FROM legs"), 4, "the last holds");
    let (mut store, _written, _) = folder.open(NOW);
    let mut end = ended(1);
    if let CallRow::Ended { legs, .. } = &mut end {
        legs.push(leg("caller", 9));
    }
    assert!(store.call(end));
    store.close(NOW);
    assert_eq!(folder.number("SELECT sum(late) FROM legs"), 9);
}

//! The writer thread: lets writes gather for a little, commits them at once, then tells who waited.

use super::checkpoint::Checkpoints;
use super::fold::Folded;
use super::guard;
use super::recordings::{self, RecordingRow};
use super::rows::CallRow;
use super::schema::{self, Database};
use super::{Shared, Written};
use crate::effect::{Aor, Binding, More};
use crate::id::Ticket;
use crate::registrar::bindings::Change;
use crate::time::Wall;
use rusqlite::{Connection, ErrorCode};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::sync::mpsc;

/// Writes of one commit.
const BATCH: usize = 2000;
/// How long a write for which somebody waits lets others join its commit.
const GROUP: Duration = Duration::from_millis(10);
/// The same after a commit of many of those: what a commit costs is shared by all that are in it.
const LARGE_GROUP: Duration = Duration::from_millis(40);
/// How many those are.
const MANY: usize = 8;
/// The same for what nobody waits for, whose commit costs more than it does: a call's start is in the file within 100 ms.
const RECORDS: Duration = Duration::from_millis(60);
/// What only makes registrations last longer lets others join for this many times as long: a crash takes at most a second of it.
const REFRESHES: usize = 16;
/// How long a failed commit waits at least before it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the last CDRs are tried when the node stops and the disk fails.
const LAST_TRIES: u32 = 5;

/// The way back to those who wait.
pub(super) type Done = mpsc::Sender<Vec<Written>>;

/// One thing to write.
#[derive(Debug)]
pub(super) enum Write {
    /// Somebody waits for it. With the number of bindings that there were before.
    Bindings(Ticket, Change, usize),
    /// The same bindings for longer; nobody waits.
    Refreshed(Aor, Arc<[Binding]>),
    /// Expired or removed; nobody waits.
    Swept(Aor, Vec<Binding>),
    /// A CDR: is kept until it is written.
    Call(Box<CallRow>),
    /// What the guard did.
    Guard(guard::GuardRow),
    /// What became of a recording: is kept until it is written.
    Recording(RecordingRow),
    /// The node is alive at this time.
    Alive(Wall),
    /// The node stops: no record stays open. The last write.
    End(Wall),
}

impl Write {
    /// Whose bindings it writes, if nobody waits for it.
    fn list_of(&self) -> Option<&Aor> {
        match self {
            Write::Refreshed(aor, _) | Write::Swept(aor, _) => Some(aor),
            Write::Bindings(..)
            | Write::Call(_)
            | Write::Guard(_)
            | Write::Recording(_)
            | Write::Alive(_)
            | Write::End(_) => None,
        }
    }

    /// What it takes of memory while it waits, with the queue's own share.
    pub(super) fn bytes(&self) -> usize {
        let own = 2 * size_of::<Write>();
        match self {
            Write::Bindings(_, change, _) => own + change.bindings.iter().map(binding_bytes).sum::<usize>(),
            Write::Refreshed(_, bindings) => own + bindings.iter().map(binding_bytes).sum::<usize>(),
            Write::Swept(aor, bindings) => own + aor.0.len() + bindings.iter().map(binding_bytes).sum::<usize>(),
            Write::Call(row) => own + row.bytes(),
            Write::Recording(row) => own + row.bytes(),
            Write::Guard(_) | Write::Alive(_) | Write::End(_) => own,
        }
    }
}

fn binding_bytes(binding: &Binding) -> usize {
    let texts = [
        Some(&binding.contact),
        Some(&binding.call_id),
        binding.instance.as_ref(),
        binding.user_agent.as_ref(),
    ];
    let more = binding.more.as_ref().map_or(0, |more| {
        let texts = [&more.path, &more.params];
        size_of::<More>() + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    });
    size_of::<Binding>() + more + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
}

pub(super) fn run(
    mut database: Database,
    mut checkpoints: Checkpoints,
    queue: &Receiver<Write>,
    done: &Done,
    shared: &Shared,
) {
    work(&mut database, &mut checkpoints, queue, done, shared);
    checkpoints.end();
}

/// Until no more will come.
fn work(database: &mut Database, checkpoints: &mut Checkpoints, queue: &Receiver<Write>, done: &Done, shared: &Shared) {
    let mut pending: Vec<Write> = Vec::new();
    let mut tries = 0;
    let mut is_sure = true;
    let mut group = GROUP;
    loop {
        // While the disk fails all is taken: registrations that wait are to hear of it.
        let most = if tries == 0 { BATCH } else { usize::MAX };
        fill(queue, &mut pending, (most, group), shared);
        let waited_for = pending.iter().filter(|write| matches!(write, Write::Bindings(..)));
        group = if waited_for.count() < MANY { GROUP } else { LARGE_GROUP };
        if pending.is_empty() {
            return;
        }
        match commit(database, &pending, is_sure) {
            Ok(()) => {
                if tries > 0 {
                    tracing::info!("the store can write again; nothing was lost");
                }
                tries = 0;
                pending.iter().for_each(|write| shared.done(write));
                let is_time = pending.iter().any(|write| matches!(write, Write::Alive(_)));
                checkpoints.committed(pending.len(), is_time);
                tell(pending.drain(..).filter_map(|write| answer(write, true)), done);
            }
            Err(error) => {
                is_sure = false;
                let before = pending.len();
                // Counted anew below: what is left of them.
                pending.iter().for_each(|write| shared.done(write));
                pending = if is_temporary(&error) {
                    kept(std::mem::take(&mut pending), done)
                } else {
                    tracing::error!("the store does not take one of {before} writes ({error}); it is left out");
                    one_by_one(database, std::mem::take(&mut pending), done)
                };
                pending.iter().for_each(|write| shared.add(write));
                tries += 1;
                complain(tries, &error, shared);
                if shared.closing.load(Ordering::Relaxed) && tries >= LAST_TRIES {
                    let lost = pending.iter().filter(|write| matches!(write, Write::Call(_))).count();
                    tracing::error!(
                        "{lost} changes of call records are lost: the store cannot write and the node stops"
                    );
                    return;
                }
                std::thread::park_timeout(RETRY);
            }
        }
    }
}

/// Waits for the first write unless some wait already, then for as long as it lets others join, `group` if somebody waits. Leaves
/// nothing when no more will come.
fn fill(queue: &Receiver<Write>, pending: &mut Vec<Write>, (most, group): (usize, Duration), shared: &Shared) {
    if pending.is_empty() {
        pending.extend(queue.recv());
    }
    let mut looked = 0;
    let mut may_wait_long = true;
    // Whether somebody waits for one of those that came, whether it is time to commit in any case, and whether it may wait long.
    let mut take = || {
        let room = most.saturating_sub(pending.len());
        pending.extend(queue.try_iter().take(room));
        let is_waited_for = |write: &Write| matches!(write, Write::Bindings(..));
        let is_urgent = pending[looked..].iter().any(is_waited_for);
        may_wait_long &= pending[looked..]
            .iter()
            .all(|write| matches!(write, Write::Refreshed(..)));
        looked = pending.len();
        let is_ready = looked == 0 || looked >= most || shared.closing.load(Ordering::Relaxed);
        (is_urgent, is_ready, may_wait_long)
    };
    let (mut is_urgent, mut is_ready, _) = take();
    if !is_ready && !is_urgent {
        // Whoever queues what somebody waits for, from here on, wakes this thread.
        shared.is_patient.store(true, Ordering::SeqCst);
        let mut may_wait = true;
        (is_urgent, is_ready, _) = take();
        for _ in 0..REFRESHES {
            if is_ready || is_urgent || !may_wait {
                break;
            }
            std::thread::park_timeout(RECORDS);
            (is_urgent, is_ready, may_wait) = take();
        }
        shared.is_patient.store(false, Ordering::SeqCst);
    }
    if !is_ready && is_urgent {
        std::thread::park_timeout(group);
        take();
    }
}

/// `is_sure` while no commit has failed: what is in the file is then what was written last.
fn commit(database: &mut Database, writes: &[Write], is_sure: bool) -> rusqlite::Result<()> {
    let folded = Folded::of(writes);
    database.transaction(|connection| put(connection, &folded, is_sure))
}

fn put(connection: &Connection, folded: &Folded<'_>, is_sure: bool) -> rusqlite::Result<()> {
    for (aor, list) in &folded.bindings {
        let before = list.before.filter(|_| is_sure);
        let is_put = is_sure && list.is_refresh && schema::put_refresh(connection, aor, list.bindings)?;
        if !is_put {
            schema::put_bindings(connection, aor, list.bindings, before)?;
        }
    }
    for call in &folded.calls {
        schema::put_call(connection, call)?;
    }
    for row in &folded.guard {
        guard::put(connection, row)?;
    }
    for row in &folded.recordings {
        recordings::put(connection, row)?;
    }
    if let Some(now) = folded.alive {
        guard::forget(connection, now)?;
        schema::put_alive(connection, now)?;
    }
    if let Some(now) = folded.end {
        schema::close_stopped_calls(connection, now)?;
    }
    Ok(())
}

/// What to tell those who wait for a write.
fn answer(write: Write, durable: bool) -> Option<Written> {
    match write {
        Write::Bindings(ticket, change, _) => Some(Written {
            ticket,
            change,
            durable,
        }),
        Write::Refreshed(..)
        | Write::Swept(..)
        | Write::Call(_)
        | Write::Guard(_)
        | Write::Recording(_)
        | Write::Alive(_)
        | Write::End(_) => None,
    }
}

/// All at once: whoever hears it is woken once.
fn tell(answers: impl Iterator<Item = Written>, done: &Done) {
    let answers: Vec<Written> = answers.collect();
    if !answers.is_empty() {
        let _ = done.blocking_send(answers);
    }
}

/// The disk may take it later: full, locked, failing. All else is the fault of what is written.
fn is_temporary(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::TooBig
            | ErrorCode::TypeMismatch
            | ErrorCode::ParameterOutOfRange,
        ) => false,
        Some(_) => true,
        None => false,
    }
}

/// After a failed commit: who waits is told, the latest change first (`Table::undo`). What nobody waits for stays, of each address of
/// record the last list.
fn kept(pending: Vec<Write>, done: &Done) -> Vec<Write> {
    let (waited_for, kept): (Vec<Write>, Vec<Write>) = pending
        .into_iter()
        .partition(|write| matches!(write, Write::Bindings(..)));
    tell(
        waited_for.into_iter().rev().filter_map(|write| answer(write, false)),
        done,
    );
    let lists: HashMap<Aor, usize> = kept
        .iter()
        .enumerate()
        .filter_map(|(at, write)| Some((write.list_of()?.clone(), at)))
        .collect();
    let is_last = |at: usize, write: &Write| write.list_of().is_none_or(|aor| lists[aor] == at);
    let kept = kept.into_iter().enumerate();
    kept.filter(|(at, write)| is_last(*at, write))
        .map(|(_, write)| write)
        .collect()
}

/// Writes each by itself, so that one that cannot be written takes no other with it. What failed for the disk's sake is left.
fn one_by_one(database: &mut Database, pending: Vec<Write>, done: &Done) -> Vec<Write> {
    let (mut left, mut answers) = (Vec::new(), Vec::new());
    for write in pending {
        // What comes later of the same address of record must not be overtaken.
        if !left.is_empty() {
            left.push(write);
            continue;
        }
        match commit(database, std::slice::from_ref(&write), false) {
            Ok(()) => answers.extend(answer(write, true)),
            Err(error) if is_temporary(&error) => left.push(write),
            Err(_) => answers.extend(answer(write, false)),
        }
    }
    tell(answers.into_iter(), done);
    kept(left, done)
}

/// The first failure, then ever more rarely: a disk that is full stays full for long.
fn complain(tries: u32, error: &rusqlite::Error, shared: &Shared) {
    if tries.is_power_of_two() {
        let waiting = shared.waiting.load(Ordering::Relaxed);
        tracing::warn!(
            "the store cannot write: {error}. New and changed registrations are refused; {waiting} changes wait in memory"
        );
    }
}

//! The table of bindings in memory: what stands behind the store effect in the shell and in the simulated world.

use crate::effect::{Aor, Binding, Op, Reply};
use crate::limits;
use crate::push::sleeps;
use crate::time::Wall;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One address of record.
#[derive(Clone, Debug, Default, PartialEq)]
struct Entry {
    version: u64,
    bindings: Arc<[Binding]>,
    /// By how much they last longer than what was given to the disk says, at most.
    ahead: Duration,
}

/// Of the time that a binding has left, the disk may have less by one part in this many: a phone that comes back before that much of its
/// time is over comes back before it is missed, and what it adds needs no writing.
const SLACK: u32 = 10;

/// A change that must be made durable before it is confirmed, unless it is a refresh; given back to [`Table::undo`] if that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Whose.
    pub aor: Aor,
    /// The new version, which is also its place in the order of writes.
    pub version: u64,
    /// The new list.
    pub bindings: Arc<[Binding]>,
    /// It only makes bindings last longer that are there, and durable. What a crash takes of it is what they last longer: nobody has to
    /// wait for it.
    pub is_refresh: bool,
    previous: Entry,
}

/// By how much the new list makes live bindings last longer at most, if it does nothing else.
fn refreshes(before: &[Binding], after: &[Binding], now: Wall) -> Option<Duration> {
    let longer = |old: &Binding, new: &Binding| {
        let Binding {
            contact,
            q,
            call_id: _,
            cseq: _,
            expires,
            flow,
            instance,
            user_agent,
            more,
        } = old;
        let place = (contact, q, flow) == (&new.contact, &new.q, &new.flow);
        let device = (instance, user_agent, more) == (&new.instance, &new.user_agent, &new.more);
        let is_it = place && device && now < *expires && *expires <= new.expires;
        is_it.then(|| new.expires.since(*expires))
    };
    if before.len() != after.len() {
        return None;
    }
    let mut most = None;
    for new in after {
        let more = before.iter().find_map(|old| longer(old, new))?;
        most = most.max(Some(more));
    }
    most
}

/// Bindings by address of record, each list with a version for compare-and-set. Bounded by [`limits::BINDINGS`].
#[derive(Debug, Default)]
pub struct Table {
    /// By address of record: of users of the configuration, so that nobody makes two meet.
    by_aor: HashMap<Aor, Entry, foldhash::fast::FixedState>,
    by_expiry: BTreeSet<(Wall, Aor)>,
    /// User-Agents: all phones of a model have one text.
    agents: HashSet<Arc<str>>,
    count: usize,
    last_version: u64,
    /// How many changes are not durable yet, refreshes apart: at most what may wait for the store.
    waiting: HashMap<Aor, u32, foldhash::fast::FixedState>,
}

impl Table {
    /// Answers an operation. A `Replace` that was taken also gives the change to be made durable, for [`Table::confirm`] or
    /// [`Table::undo`], unless it is a refresh by so little that the disk needs not know; its `Replaced` must be held back until it is,
    /// unless it is a refresh.
    pub fn apply(&mut self, op: Op, now: Wall) -> (Reply, Option<Change>) {
        match op {
            Op::Bindings(aor) => (self.read(&aor, now), None),
            Op::Replace { aor, version, bindings } => self.replace(aor, (version, bindings), now),
        }
    }

    fn read(&self, aor: &Aor, now: Wall) -> Reply {
        let Some(entry) = self.by_aor.get(aor) else {
            return Reply::Bindings {
                version: 0,
                bindings: Arc::default(),
            };
        };
        let is_live = |binding: &&Binding| binding.expires > now;
        let bindings = if entry.bindings.iter().all(|binding| is_live(&binding)) {
            entry.bindings.clone()
        } else {
            entry.bindings.iter().filter(is_live).cloned().collect()
        };
        Reply::Bindings {
            version: entry.version,
            bindings,
        }
    }

    fn replace(&mut self, aor: Aor, (version, bindings): (u64, Arc<[Binding]>), now: Wall) -> (Reply, Option<Change>) {
        let entry = self.by_aor.get(&aor);
        if entry.map_or(0, |entry| entry.version) != version {
            return (Reply::Conflict, None);
        }
        let old = entry.map_or(0, |entry| entry.bindings.len());
        if self.count - old + bindings.len() > limits::BINDINGS {
            return (Reply::Failed, None);
        }
        self.last_version += 1;
        let version = self.last_version;
        let previous = self.set(&aor, version, bindings.clone());
        // One that is not durable yet may fail, and what is built on it with it.
        let is_durable = !self.waiting.contains_key(&aor);
        let more = refreshes(&previous.bindings, &bindings, now).filter(|_| is_durable);
        let is_refresh = more.is_some();
        let left = bindings.iter().map(|binding| binding.expires.since(now)).min();
        if let Some((more, left)) = more.zip(left)
            && (previous.ahead + more) * SLACK <= left
            // Who sleeps does not come back by itself.
            && !bindings.iter().any(sleeps)
        {
            if let Some(entry) = self.by_aor.get_mut(&aor) {
                entry.ahead = previous.ahead + more;
            }
            return (Reply::Replaced { version }, None);
        }
        if !is_refresh {
            *self.waiting.entry(aor.clone()).or_default() += 1;
        }
        (
            Reply::Replaced { version },
            Some(Change {
                aor,
                version,
                bindings,
                is_refresh,
                previous,
            }),
        )
    }

    /// A change is durable.
    pub fn confirm(&mut self, change: &Change) {
        if change.is_refresh {
            return;
        }
        if let Some(count) = self.waiting.get_mut(&change.aor) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&change.aor);
            }
        }
    }

    /// Takes a change back that could not be made durable, unless a later one has replaced it: of several on one address of
    /// record the last comes first.
    pub fn undo(&mut self, change: Change) {
        self.confirm(&change);
        let is_last = match self.by_aor.get(&change.aor) {
            Some(entry) => entry.version == change.version,
            None => change.bindings.is_empty(),
        };
        if is_last {
            let Entry {
                version,
                bindings,
                ahead,
            } = change.previous;
            self.set(&change.aor, version, bindings);
            if let Some(entry) = self.by_aor.get_mut(&change.aor) {
                entry.ahead = ahead;
            }
        }
    }

    /// Takes over what was read from disk at the start.
    pub fn load(&mut self, aor: Aor, bindings: Arc<[Binding]>) {
        self.last_version += 1;
        self.set(&aor, self.last_version, bindings);
    }

    /// From where bindings come that have not expired, and for how long they hold.
    pub fn sources(&self, now: Wall) -> Vec<(IpAddr, Duration)> {
        let bindings = self.by_aor.values().flat_map(|entry| &*entry.bindings);
        let live = bindings.filter(|binding| binding.expires > now);
        live.map(|binding| (binding.flow.peer.ip(), binding.expires.since(now)))
            .collect()
    }

    /// Removes what has expired, at most `most` addresses of record, and names those that changed: their rows go too.
    pub fn sweep(&mut self, now: Wall, most: usize) -> Vec<Aor> {
        let due: Vec<Aor> = self
            .by_expiry
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(most)
            .map(|(_, aor)| aor.clone())
            .collect();
        for aor in &due {
            let left = self.get(aor).iter().filter(|b| b.expires > now).cloned().collect();
            self.last_version += 1;
            self.set(aor, self.last_version, left);
        }
        due
    }

    /// Removes every binding of users that are gone, and names them.
    pub fn retain(&mut self, keep: impl Fn(&Aor) -> bool) -> Vec<Aor> {
        let mut gone: Vec<Aor> = self.by_aor.keys().filter(|aor| !keep(aor)).cloned().collect();
        gone.sort();
        for aor in &gone {
            self.last_version += 1;
            self.set(aor, self.last_version, Arc::default());
        }
        gone
    }

    /// The current list of one address of record, expired ones included.
    pub fn get(&self, aor: &Aor) -> &[Binding] {
        self.by_aor.get(aor).map_or(&[], |entry| &entry.bindings)
    }

    /// The bindings whose phones have to be woken before they end.
    pub fn sleepers(&self) -> Vec<(Aor, Vec<Binding>)> {
        let sleeping = |(aor, entry): (&Aor, &Entry)| {
            let list: Vec<Binding> = entry.bindings.iter().filter(|b| sleeps(b)).cloned().collect();
            (!list.is_empty()).then(|| (aor.clone(), list))
        };
        let mut all: Vec<_> = self.by_aor.iter().filter_map(sleeping).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The lists that last longer than the disk was told.
    pub fn ahead(&self) -> impl Iterator<Item = (&Aor, &Arc<[Binding]>)> {
        let ahead = self.by_aor.iter().filter(|(_, entry)| !entry.ahead.is_zero());
        ahead.map(|(aor, entry)| (aor, &entry.bindings))
    }

    /// When `sweep` has work next.
    pub fn next_expiry(&self) -> Option<Wall> {
        self.by_expiry.first().map(|(at, _)| *at)
    }

    /// All bindings.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn set(&mut self, aor: &Aor, version: u64, bindings: Arc<[Binding]>) -> Entry {
        let bindings = self.with_shared(bindings);
        let first = |bindings: &[Binding]| bindings.iter().map(|b| b.expires).min();
        let (count, ends) = (bindings.len(), first(&bindings));
        // One text for both tables, however often it is written anew.
        let own = self.by_aor.get_key_value(aor).map_or(aor, |(own, _)| own).clone();
        let previous = match ends {
            Some(_) => {
                let ahead = Duration::ZERO;
                self.by_aor.insert(
                    own.clone(),
                    Entry {
                        version,
                        bindings,
                        ahead,
                    },
                )
            }
            None => self.by_aor.remove(aor),
        };
        let previous = previous.unwrap_or_default();
        self.count = self.count - previous.bindings.len() + count;
        let ended = first(&previous.bindings);
        if ended != ends {
            if let Some(ended) = ended {
                self.by_expiry.remove(&(ended, own.clone()));
            }
            self.by_expiry.extend(ends.map(|ends| (ends, own)));
        }
        previous
    }

    /// The same list; only where a User-Agent has a text of its own, another one.
    fn with_shared(&mut self, mut bindings: Arc<[Binding]>) -> Arc<[Binding]> {
        let is_shared = |agent: &Arc<str>| self.agents.get(agent).is_some_and(|same| Arc::ptr_eq(same, agent));
        if bindings
            .iter()
            .filter_map(|binding| binding.user_agent.as_ref())
            .all(is_shared)
        {
            return bindings;
        }
        let list = Arc::make_mut(&mut bindings);
        for agent in list.iter_mut().filter_map(|binding| binding.user_agent.as_mut()) {
            self.share(agent);
        }
        bindings
    }

    fn share(&mut self, agent: &mut Arc<str>) {
        if let Some(same) = self.agents.get(agent) {
            *agent = same.clone();
            return;
        }
        if self.agents.len() >= limits::USER_AGENTS {
            // Those in use live on in their bindings.
            self.agents.clear();
        }
        self.agents.insert(agent.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ConnectionId, Flow, ListenerId, Transport};

    fn binding(contact: &str, expires: u64) -> Binding {
        let addr = "127.0.0.1:5060".parse().unwrap();
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: addr,
            peer: addr,
        };
        Binding {
            contact: contact.into(),
            q: 1000,
            call_id: "c".into(),
            cseq: 1,
            expires: Wall(expires),
            flow,
            instance: None,
            user_agent: None,
            more: None,
        }
    }

    #[test]
    fn compare_and_set_lets_one_of_two_writers_win() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        let write = |version| Op::Replace {
            aor: aor.clone(),
            version,
            bindings: [binding("sip:a@h", 50)].into(),
        };
        let (reply, change) = table.apply(write(0), Wall(0));
        let Reply::Replaced { version } = reply else {
            panic!("{reply:?}")
        };
        assert!(change.is_some());
        assert_eq!(table.apply(write(0), Wall(0)), (Reply::Conflict, None));
        assert!(matches!(table.apply(write(version), Wall(0)).0, Reply::Replaced { .. }));
    }

    #[test]
    fn phones_of_one_model_have_one_text_and_so_have_the_tables() {
        let mut table = Table::default();
        let names = ["a@h", "b@h"].map(|name| Aor(name.into()));
        for (aor, expires) in names.iter().flat_map(|aor| [(aor, 50), (aor, 60)]) {
            let mut binding = binding("sip:a@h", expires);
            binding.user_agent = Some("phone".into());
            // A REGISTER comes with texts of its own.
            table.load(Aor((*aor.0).into()), [binding].into());
        }
        let agent = |aor| table.get(aor)[0].user_agent.clone().unwrap();
        assert!(Arc::ptr_eq(&agent(&names[0]), &agent(&names[1])));
        for (_, aor) in &table.by_expiry {
            let (own, _) = table.by_aor.get_key_value(aor).unwrap();
            assert!(Arc::ptr_eq(&own.0, &aor.0));
        }
        // What stays as it is is written and read without a copy.
        let same: Arc<[Binding]> = table.get(&names[0]).to_vec().into();
        table.load(names[0].clone(), same.clone());
        let Reply::Bindings { bindings, .. } = table.apply(Op::Bindings(names[0].clone()), Wall(0)).0 else {
            panic!()
        };
        assert!(Arc::ptr_eq(&bindings, &same));
        for number in 0..=limits::USER_AGENTS {
            let mut other: Arc<str> = number.to_string().into();
            table.share(&mut other);
        }
        assert!(table.agents.len() <= limits::USER_AGENTS);
    }

    #[test]
    fn an_undone_change_leaves_what_was_before() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        table.load(aor.clone(), [binding("sip:old@h", 50)].into());
        let Reply::Bindings { version, .. } = table.apply(Op::Bindings(aor.clone()), Wall(0)).0 else {
            panic!()
        };
        let op = Op::Replace {
            aor: aor.clone(),
            version,
            bindings: [binding("sip:new@h", 60)].into(),
        };
        let change = table.apply(op, Wall(0)).1.expect("taken");
        table.undo(change);
        assert_eq!(&*table.get(&aor)[0].contact, "sip:old@h");
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn changes_that_failed_together_are_all_undone_and_one_that_was_replaced_stays() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        let change = |table: &mut Table, contacts: &[&str]| {
            let Reply::Bindings { version, .. } = table.apply(Op::Bindings(aor.clone()), Wall(0)).0 else {
                panic!()
            };
            let bindings = contacts.iter().map(|contact| binding(contact, 50)).collect();
            let op = Op::Replace {
                aor: aor.clone(),
                version,
                bindings,
            };
            table.apply(op, Wall(0)).1.expect("taken")
        };
        let first = change(&mut table, &["sip:a@h"]);
        let second = change(&mut table, &["sip:a@h", "sip:b@h"]);
        table.undo(second.clone());
        assert_eq!(table.get(&aor).len(), 1);
        table.undo(first.clone());
        assert!(table.is_empty());
        // Only the first failed: the second holds all that it said.
        let first = change(&mut table, &["sip:a@h"]);
        change(&mut table, &["sip:a@h", "sip:b@h"]);
        table.undo(first);
        assert_eq!(table.get(&aor).len(), 2);
        // The user was removed meanwhile: nothing of him comes back.
        let third = change(&mut table, &["sip:c@h"]);
        table.retain(|_| false);
        table.undo(third);
        assert!(table.is_empty());
    }

    #[test]
    fn a_refresh_is_the_same_for_longer() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        let mut change = |bindings: &[Binding]| {
            let Reply::Bindings { version, .. } = table.apply(Op::Bindings(aor.clone()), Wall(0)).0 else {
                panic!()
            };
            let op = Op::Replace {
                aor: aor.clone(),
                version,
                bindings: bindings.into(),
            };
            let change = table.apply(op, Wall(0)).1.expect("taken");
            table.confirm(&change);
            change.is_refresh
        };
        let (a, b) = (binding("sip:a@h", 50), binding("sip:b@h", 50));
        assert!(!change(&[a.clone(), b.clone()]));
        let longer = Binding {
            cseq: 2,
            call_id: "d".into(),
            ..binding("sip:a@h", 60)
        };
        // A device that is refreshed goes to the end.
        assert!(change(&[b.clone(), longer.clone()]));
        assert!(!change(&[b.clone(), a.clone()]), "for shorter");
        assert!(!change(std::slice::from_ref(&b)));
        let others = [
            Binding { q: 500, ..b.clone() },
            Binding {
                instance: Some("urn:x".into()),
                ..b.clone()
            },
            Binding {
                user_agent: Some("x".into()),
                ..b.clone()
            },
            Binding {
                more: Some(Box::default()),
                ..b.clone()
            },
            binding("sip:c@h", 50),
        ];
        for other in others {
            assert!(!change(std::slice::from_ref(&other)), "{other:?}");
            change(std::slice::from_ref(&b));
        }
        let mut moved = b.clone();
        moved.flow.peer = "127.0.0.2:5060".parse().unwrap();
        assert!(!change(&[moved]));
    }

    /// The disk may be a tenth of the time short that is left, of whichever binding ends first.
    #[test]
    fn the_disk_is_told_before_it_has_missed_much() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        // Until when both bindings hold, and whether that is to be written: as what, and with what end of the first one.
        let replace = |table: &mut Table, until: [u64; 2]| {
            let version = table.by_aor.get(&aor).map_or(0, |entry| entry.version);
            let bindings = [binding("sip:a@h", until[0]), binding("sip:b@h", until[1])].into();
            let aor = aor.clone();
            let (reply, change) = table.apply(Op::Replace { aor, version, bindings }, Wall(0));
            assert!(matches!(reply, Reply::Replaced { .. }));
            assert_eq!(table.get(&Aor("alice@example.com".into()))[0].expires, Wall(until[0]));
            change
        };
        let first = replace(&mut table, [1_000, 2_000]).expect("it is new");
        let second = replace(&mut table, [1_001, 2_000]).expect("the first may fail");
        assert!(!second.is_refresh);
        table.confirm(&first);
        table.confirm(&second);
        // 50, then 50 more, of either.
        assert_eq!(replace(&mut table, [1_051, 2_000]), None);
        assert_eq!(replace(&mut table, [1_051, 2_050]), None);
        let third = replace(&mut table, [1_060, 2_050]).expect("109 of 1,060");
        assert!(third.is_refresh);
        table.confirm(&third);
        assert_eq!(replace(&mut table, [1_150, 2_050]), None);
        // The disk does not take it: what it missed before is still owed.
        let fourth = replace(&mut table, [1_200, 2_050]).expect("140 of 1,200");
        table.undo(fourth);
        assert_eq!(table.get(&aor)[0].expires, Wall(1_150));
        let fifth = replace(&mut table, [1_180, 2_050]).expect("120 of 1,180");
        table.confirm(&fifth);
        assert_eq!(replace(&mut table, [1_280, 2_050]), None);
        // For shorter is always told.
        assert!(replace(&mut table, [1_279, 2_050]).is_some_and(|change| !change.is_refresh));
    }

    #[test]
    fn what_is_built_on_what_may_fail_is_no_refresh_nor_is_what_had_expired() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        let change = |table: &mut Table, bindings: &[Binding], now: u64| {
            let version = table.by_aor.get(&aor).map_or(0, |entry| entry.version);
            let op = Op::Replace {
                aor: aor.clone(),
                version,
                bindings: bindings.into(),
            };
            table.apply(op, Wall(now)).1.expect("taken")
        };
        let until = |expires| [binding("sip:a@h", expires)];
        let (first, second) = (change(&mut table, &until(50), 0), change(&mut table, &until(60), 0));
        assert!(!second.is_refresh, "the first is not durable");
        table.undo(second);
        table.undo(first);
        assert!(table.is_empty() && table.waiting.is_empty());
        let first = change(&mut table, &until(50), 0);
        table.confirm(&first);
        let second = change(&mut table, &until(60), 49);
        assert!(second.is_refresh);
        table.undo(second);
        assert_eq!(table.get(&aor)[0].expires, Wall(50));
        let third = change(&mut table, &until(70), 50);
        assert!(!third.is_refresh, "it had expired");
        table.confirm(&third);
        let none = change(&mut table, &[], 0);
        table.confirm(&none);
        assert!(
            !change(&mut table, &[], 0).is_refresh,
            "nothing is no refresh of nothing"
        );
    }

    #[test]
    fn what_expired_is_not_read_and_is_swept() {
        let mut table = Table::default();
        let aor = Aor("alice@example.com".into());
        table.load(aor.clone(), [binding("sip:a@h", 50), binding("sip:b@h", 90)].into());
        let Reply::Bindings { bindings, .. } = table.apply(Op::Bindings(aor.clone()), Wall(50)).0 else {
            panic!()
        };
        assert_eq!(bindings.len(), 1);
        assert_eq!(table.sweep(Wall(60), 10), std::slice::from_ref(&aor));
        assert_eq!((table.len(), table.next_expiry()), (1, Some(Wall(90))));
        assert_eq!(table.sweep(Wall(90), 10), [aor]);
        assert!(table.is_empty() && table.by_aor.is_empty() && table.by_expiry.is_empty());
    }
}

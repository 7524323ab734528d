//! What all calls share: the tables that find a call's leg, the timers, what there is of the workers, and who is on the telephone.

use super::Net;
use super::leg::LegId;
use crate::config::Config;
use crate::cx::Cx;
use crate::dialog::{DialogId, Naming};
use crate::effect::Binding;
use crate::id::{CallId, Flow, MediaLegId, ServerTx, TrunkIx, WorkerId};
use crate::media::command::Fingerprint;
use crate::room::Rooms;
use crate::siprec::order::Order;
use crate::stock::Stock;
use crate::time::{Deadlines, Instant, Wall};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

type Table<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Why a leg wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LegTimer {
    /// What its dialog repeats or lets expire: an unacknowledged 2xx, a reliable provisional response, the session.
    Dialog,
    /// A carrier's peer said nothing to our INVITE.
    Connect,
    /// A change that was refused for now is tried again (491, Retry-After).
    Change,
}

/// Why a call wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallTimer {
    /// Nobody answered.
    Ring,
    /// The caller's INVITE says how long it is worth anything (RFC 3261 13.3.1).
    Expires,
    /// `calls.max_duration`.
    Length,
    /// The tone of a recording begins or ends, or its announcement ends.
    Beep,
    /// An announcement should have come to its end.
    Announce,
    /// Its media is asked how it goes.
    Measure,
    /// A change that was passed on to the other side has no answer.
    Passing,
    /// The workers had their time to close the media; the record is written without them.
    Reports,
}

/// All reasons to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A leg's.
    Leg(LegId, LegTimer),
    /// A call's.
    Call(CallId, CallTimer),
    /// The grace of `stop` is over.
    Stop,
}

/// A place that is taken and must be given back once.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// One of a user's calls.
    User(Arc<str>),
    /// One of a trunk's calls.
    Trunk(TrunkIx),
}

/// What one call wants done together with another one, after its own turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// REFER with Replaces: the far leg of `transferor`'s call meets the far leg of `replaced`'s.
    Attended {
        /// Who sent REFER.
        transferor: LegId,
        /// The same phone's other leg.
        replaced: LegId,
    },
}

/// The shared tables.
#[derive(Debug, Default)]
pub struct Desk {
    /// Of our certificate for browsers.
    pub fingerprint: Option<Fingerprint>,
    /// Spare ports, and places on the workers.
    pub stock: Stock,
    /// Timers.
    pub timers: Deadlines<Timer>,
    /// What is to be done between calls.
    pub wishes: Vec<Wish>,
    /// Rooms in which calls are.
    pub rooms: Rooms,
    /// What is to go to a recording server: drained after each input, so it holds what one input brings.
    pub orders: VecDeque<Order>,
    /// By our own tag, which is random: nobody else chooses the keys. Forks behind a peer share it.
    dialogs: Table<u64, SmallVec<[(DialogId, LegId); 1]>>,
    servers: Table<ServerTx, LegId>,
    media: Table<MediaLegId, (LegId, WorkerId)>,
    homes: Table<LegId, CallId>,
    /// Users who are at a client of the HTTP API, and the ways to these.
    clients: BTreeMap<Arc<str>, Vec<Flow>>,
    users: BTreeMap<Arc<str>, u32>,
}

impl Desk {
    /// A user is at a client of the HTTP API, or no longer.
    pub fn client(&mut self, user: &Arc<str>, flow: Flow, is_there: bool) {
        let all = self.clients.entry(user.clone()).or_default();
        all.retain(|other| *other != flow);
        if is_there {
            all.push(flow);
        }
        if all.is_empty() {
            self.clients.remove(user);
        }
    }

    /// True for a user who is at a client.
    pub fn is_at_client(&self, user: &str) -> bool {
        self.clients.contains_key(user)
    }

    /// Where a user is: at phones that have registered, and at clients, which are as good as phones on a WebSocket.
    pub fn with_clients<'b>(&self, user: &str, bindings: &'b [Binding]) -> Cow<'b, [Binding]> {
        let Some(clients) = self.clients.get(user) else {
            return bindings.into();
        };
        let client = |flow: &Flow| Binding {
            contact: format!("sips:{:x}@client.invalid;transport=ws", flow.connection.0).into(),
            q: 1000,
            call_id: "".into(),
            cseq: 0,
            expires: Wall(u64::MAX),
            flow: *flow,
            instance: None,
            user_agent: None,
            more: None,
        };
        bindings
            .iter()
            .cloned()
            .chain(clients.iter().map(client))
            .collect::<Vec<_>>()
            .into()
    }

    /// The worker for a new call's legs. `None` when none has room for two.
    pub fn next_worker(&mut self, config: &Config) -> Option<WorkerId> {
        self.stock.next_worker(config)
    }

    /// True if a worker can take so many more legs.
    pub fn has_room(&self, worker: WorkerId, legs: usize) -> bool {
        self.stock.has_room(worker, legs)
    }

    /// A dialog belongs to a leg.
    pub fn add_dialog(&mut self, id: &DialogId, leg: LegId) {
        let Some(tag) = own_tag(id.local_tag()) else { return };
        let forks = self.dialogs.entry(tag).or_default();
        forks.retain(|(old, _)| old != id);
        forks.push((id.clone(), leg));
    }

    /// The leg of a dialog.
    pub fn by_dialog(&self, id: &DialogId) -> Option<LegId> {
        let forks = self.dialogs.get(&own_tag(id.local_tag())?)?;
        forks.iter().find(|(own, _)| own == id).map(|(_, leg)| *leg)
    }

    /// The leg of the dialog that a message names.
    pub fn by_naming(&self, naming: &Naming<'_>) -> Option<LegId> {
        let forks = self.dialogs.get(&own_tag(naming.local_tag())?)?;
        forks.iter().find(|(own, _)| naming.is(own)).map(|(_, leg)| *leg)
    }

    /// A dialog is over.
    pub fn remove_dialog(&mut self, id: &DialogId) {
        let Some(tag) = own_tag(id.local_tag()) else { return };
        let Some(forks) = self.dialogs.get_mut(&tag) else {
            return;
        };
        forks.retain(|(own, _)| own != id);
        if forks.is_empty() {
            self.dialogs.remove(&tag);
        }
    }

    /// An INVITE's server transaction belongs to a leg.
    pub fn add_server(&mut self, tx: ServerTx, leg: LegId) {
        self.servers.insert(tx, leg);
    }

    /// The leg of a server transaction.
    pub fn by_server(&self, tx: ServerTx) -> Option<LegId> {
        self.servers.get(&tx).copied()
    }

    /// It has its final response.
    pub fn remove_server(&mut self, tx: ServerTx) {
        self.servers.remove(&tx);
    }

    /// A media leg belongs to a leg, and lives on a worker.
    pub fn add_media(&mut self, id: MediaLegId, leg: LegId, worker: WorkerId) {
        self.media.insert(id, (leg, worker));
        self.stock.enter(worker);
    }

    /// A media leg goes to another worker.
    pub fn move_media(&mut self, id: MediaLegId, to: WorkerId) {
        if let Some((_, worker)) = self.media.get_mut(&id) {
            let from = std::mem::replace(worker, to);
            self.stock.leave(from);
            self.stock.enter(to);
        }
    }

    /// The leg of a media leg.
    pub fn by_media(&self, id: MediaLegId) -> Option<LegId> {
        self.media.get(&id).map(|(leg, _)| *leg)
    }

    /// It is closed.
    pub fn remove_media(&mut self, id: MediaLegId) {
        if let Some((_, worker)) = self.media.remove(&id) {
            self.stock.leave(worker);
        }
    }

    /// The call that a leg is in: the one that it was born in, unless a transfer moved it.
    pub fn home(&self, leg: LegId) -> CallId {
        self.homes.get(&leg).copied().unwrap_or(leg.call)
    }

    /// A leg is in another call from now on.
    pub fn set_home(&mut self, leg: LegId, call: CallId) {
        if leg.call == call {
            self.homes.remove(&leg);
        } else {
            self.homes.insert(leg, call);
        }
    }

    /// A leg is no more: its timers and its home are forgotten.
    pub fn remove_leg(&mut self, leg: LegId) {
        self.homes.remove(&leg);
        for timer in [LegTimer::Dialog, LegTimer::Connect, LegTimer::Change] {
            self.timers.cancel(Timer::Leg(leg, timer));
        }
    }

    /// A call is no more.
    pub fn remove_call(&mut self, call: CallId) {
        for timer in [
            CallTimer::Ring,
            CallTimer::Expires,
            CallTimer::Length,
            CallTimer::Beep,
            CallTimer::Announce,
            CallTimer::Measure,
            CallTimer::Passing,
            CallTimer::Reports,
        ] {
            self.timers.cancel(Timer::Call(call, timer));
        }
    }

    /// Forgets everything of a call that broke, whatever state its legs were in.
    pub fn purge(&mut self, call: CallId, legs: &[LegId]) {
        self.dialogs.retain(|_, forks| {
            forks.retain(|(_, leg)| !legs.contains(leg));
            !forks.is_empty()
        });
        self.servers.retain(|_, leg| !legs.contains(leg));
        let own = |(id, (leg, _)): (&MediaLegId, &(LegId, WorkerId))| legs.contains(leg).then_some(*id);
        for id in self.media.iter().filter_map(own).collect::<Vec<_>>() {
            self.remove_media(id);
        }
        for leg in legs {
            self.remove_leg(*leg);
        }
        self.remove_call(call);
    }

    /// Places that users hold.
    pub fn user_places(&self) -> u32 {
        self.users.values().sum()
    }

    /// How many calls a user is in.
    pub fn calls_of(&self, user: &str) -> u32 {
        self.users.get(user).copied().unwrap_or(0)
    }

    /// One more call of a user.
    pub fn claim_user(&mut self, user: Arc<str>) -> Claim {
        *self.users.entry(user.clone()).or_default() += 1;
        Claim::User(user)
    }

    /// One call less of a user.
    pub fn release_user(&mut self, user: &str) {
        if let Some(calls) = self.users.get_mut(user) {
            *calls -= 1;
            if *calls == 0 {
                self.users.remove(user);
            }
        }
    }
}

/// The number that a tag of ours begins with: sixteen hex digits, most of them chance. `None` for a tag that we never gave.
fn own_tag(tag: &str) -> Option<u64> {
    tag.get(..16)?.bytes().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

/// What a call is given for one step: the node's context with the call's own configuration, the machines that it works with,
/// and the shared tables.
pub struct Turn<'t, 'c> {
    /// The context.
    pub cx: &'t mut Cx<'c>,
    /// Transactions and trunks.
    pub net: &'t mut Net,
    /// Shared tables.
    pub desk: &'t mut Desk,
}

impl Turn<'_, '_> {
    /// Now.
    pub fn now(&self) -> Instant {
        self.cx.now
    }

    /// Wakes a leg after some time.
    pub fn wake_leg(&mut self, leg: LegId, timer: LegTimer, after: Duration) {
        self.desk.timers.set(Timer::Leg(leg, timer), self.cx.now + after);
    }

    /// Wakes a call after some time.
    pub fn wake_call(&mut self, call: CallId, timer: CallTimer, after: Duration) {
        self.desk.timers.set(Timer::Call(call, timer), self.cx.now + after);
    }

    /// Gives a place back.
    pub fn release(&mut self, claim: Claim) {
        match claim {
            Claim::User(name) => self.desk.release_user(&name),
            Claim::Trunk(trunk) => self.net.trunks.release(self.cx, trunk),
        }
    }
}

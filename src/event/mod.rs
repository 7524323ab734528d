//! Subscriptions (RFC 6665) of which this node is the notifier: the registration event package (RFC 3680, with GRUUs by RFC 5628),
//! by which a phone or an application hears when a user's bindings change; the conference event package (RFC 4575), by which one hears who
//! is in a room; and what a REFER to a room makes (RFC 3515).
//!
//! | file | does |
//! |---|---|
//! | `subscription` | one subscription: the diagram of RFC 6665 4.2.2, its dialog, one NOTIFY at a time |
//! | `answer` | what a SUBSCRIBE asks for, and its answer |
//! | `package` | what differs between packages |
//! | `reginfo`, `conference` | what a NOTIFY says of bindings and of a room, as XML |
//! | `progress` | what a NOTIFY says of a REFER |
//!
//! The bindings are the store's, and rooms are the calls': whoever changes them tells the notifier which ([`Notifier::changed`],
//! [`Notifier::room_changed`]), which asks for them and says what is different. That a binding has expired it finds out by itself.

mod answer;
pub mod conference;
mod package;
mod progress;
mod reginfo;
mod subscription;

pub use answer::package;
pub use subscription::Subscription;

use crate::cx::Cx;
use crate::dialog::DialogId;
use crate::effect::{Aor, Op, Output, Reply};
use crate::id::{Flow, Owner, ServerTx};
use crate::limits;
use crate::registrar::gruu::Gruus;
use crate::room::view::{MemberId, RoomView};
use crate::sip::{Draft, Message, Method, Name};
use crate::time::{Deadlines, Instant};
use crate::transaction::{Event, Failure, Layer};
use answer::{accept, asked, refuse};
use package::{Gallery, Package, Seen, Topic};
use progress::Progress;
use reginfo::Watched;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use subscription::Why;

/// RFC 3680 4.1.
pub const REG: &str = "reg";
/// RFC 4575 3.1.
pub const CONFERENCE: &str = "conference";

/// All reasons to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A subscription was not refreshed.
    End(u64),
    /// A binding that is watched expires, or a change may be told that had to wait (RFC 3680 4.10).
    Look(u64),
}

/// Who asks for a subscription, and to what.
#[derive(Clone, Debug)]
pub enum Watch {
    /// To somebody's registration.
    Bindings {
        /// Whose bindings are watched.
        aor: Aor,
        /// The watcher may register for that address of record: he is told temporary GRUUs (RFC 5628 5).
        is_own: bool,
    },
    /// To a room.
    Room(Onlooker),
}

/// Who looks at a room.
#[derive(Clone, Debug)]
pub struct Onlooker {
    /// The room's number.
    pub room: Arc<str>,
    /// Its URI as the onlooker knows it.
    pub focus: Arc<str>,
    /// What he called to find it: its number, or another one that the dial plan sends there.
    pub dialled: Arc<str>,
    /// A user of ours, by name.
    pub user: Arc<str>,
}

impl Watch {
    fn parts(self) -> (Topic, Package) {
        match self {
            Watch::Bindings { aor, is_own } => {
                let known = Vec::new();
                (Topic::Bindings(aor), Package::Reg { is_own, known })
            }
            Watch::Room(Onlooker {
                room,
                focus,
                dialled,
                user,
            }) => (
                Topic::Room(room),
                Package::Conference {
                    focus,
                    dialled,
                    watcher: user,
                    known: conference::Known::default(),
                },
            ),
        }
    }
}

/// All subscriptions of a node.
#[derive(Debug, Default)]
pub struct Notifier {
    last: u64,
    subscriptions: BTreeMap<u64, Box<Subscription>>,
    /// Ordered, as peers choose parts of the keys.
    by_dialog: BTreeMap<DialogId, u64>,
    by_topic: BTreeMap<Topic, BTreeSet<u64>>,
    /// How many of rooms each user has that is not at its end.
    by_watcher: BTreeMap<Arc<str>, usize>,
    /// Rooms that are asked for, and who wants to look at each.
    looks: BTreeMap<Arc<str>, Vec<u64>>,
    timers: Deadlines<Timer>,
}

impl Notifier {
    /// A SUBSCRIBE outside of dialogs, of one who is allowed (RFC 6665 4.2.1). `tx` is its transaction.
    pub fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        flow: Flow,
        tx: ServerTx,
        request: &Message,
        watch: Watch,
    ) {
        let tag = cx.token(8);
        let (topic, package) = watch.parts();
        let asked = match asked(request, &package) {
            Ok(asked) => asked,
            Err(refusal) => return refuse(layer, cx, tx, request, Some(&tag), &package, refusal),
        };
        let old = self.surplus(&topic, &package);
        if self.is_full() || (old.is_none() && self.has_no_place(&topic, package.watcher())) {
            let mut response = Draft::response(request, 503, Some(&tag));
            response.push(Name::RetryAfter, 60);
            return layer.respond(cx, tx, response);
        }
        let subscription = match Subscription::new(request, flow, &tag, (topic, package)) {
            Ok(subscription) => subscription,
            Err(reject) => {
                let response = Draft::response(request, reject.status, Some(&tag)).with_reason(reject.reason);
                return layer.respond(cx, tx, response);
            }
        };
        if let Some(old) = old {
            self.end(cx, layer, old, Why::Timeout);
        }
        accept(layer, cx, tx, request, Some(&tag), &subscription, Some(asked));
        let id = self.add(subscription);
        self.granted(cx, id, asked);
    }

    /// The subscription that a REFER outside of dialogs makes (RFC 3515 2.4.4), not begun yet.
    ///
    /// # Errors
    /// The status with which the REFER is to be refused.
    pub fn refer(&self, cx: &mut Cx<'_>, flow: Flow, request: &Message, by: Onlooker) -> Result<Subscription, u16> {
        let topic = Topic::Room(by.room);
        let is_his = |of: &&Package| match of {
            Package::Refer { watcher, .. } => *watcher == by.user,
            Package::Reg { .. } | Package::Conference { .. } => false,
        };
        if self.of(&topic).map(|(_, one)| &one.package).filter(is_his).count() >= limits::REFERS_PER_USER {
            return Err(486);
        }
        if self.is_full() || self.has_no_place(&topic, Some(&by.user)) {
            return Err(503);
        }
        let package = Package::Refer {
            focus: by.focus,
            watcher: by.user,
            progress: Progress::new(None),
        };
        let tag = cx.token(8);
        Subscription::new(request, flow, &tag, (topic, package)).map_err(|reject| reject.status)
    }

    /// Begins it: 202, and how it goes from now on. `called` is whom the room calls; none where all is done.
    pub fn referred(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        tx: ServerTx,
        request: &Message,
        (mut subscription, called): (Subscription, Option<MemberId>),
    ) {
        if let Package::Refer { progress, .. } = &mut subscription.package {
            *progress = Progress::new(called);
        }
        let tag = subscription.dialog.id.local_tag().to_owned();
        accept(layer, cx, tx, request, Some(&tag), &subscription, None);
        let id = self.add(subscription);
        self.granted(cx, id, limits::REFER_PROGRESS);
    }

    fn add(&mut self, subscription: Subscription) -> u64 {
        self.last += 1;
        let id = self.last;
        self.by_dialog.insert(subscription.dialog.id.clone(), id);
        self.by_topic.entry(subscription.topic.clone()).or_default().insert(id);
        if let Some(watcher) = subscription.package.watcher() {
            *self.by_watcher.entry(watcher.clone()).or_default() += 1;
        }
        self.subscriptions.insert(id, Box::new(subscription));
        id
    }

    /// The subscriptions to something.
    fn of(&self, topic: &Topic) -> impl Iterator<Item = (u64, &Subscription)> {
        let ids = self.by_topic.get(topic).into_iter().flatten();
        ids.filter_map(|id| self.subscriptions.get(id).map(|one| (*id, &**one)))
    }

    /// No further one has a place, whoever's it is.
    fn is_full(&self) -> bool {
        self.subscriptions.len() >= limits::SUBSCRIPTIONS
    }

    /// No further one to this has a place, or none of this user.
    fn has_no_place(&self, topic: &Topic, watcher: Option<&Arc<str>>) -> bool {
        let of_topic = match topic {
            // One of them makes room.
            Topic::Bindings(_) => false,
            Topic::Room(_) => self.by_topic.get(topic).map_or(0, BTreeSet::len) >= limits::SUBSCRIPTIONS_PER_ROOM,
        };
        let of_watcher = watcher.and_then(|watcher| self.by_watcher.get(watcher));
        of_topic || of_watcher.is_some_and(|count| *count >= limits::SUBSCRIPTIONS_PER_USER)
    }

    /// True for a request in the dialog of a subscription.
    pub fn owns(&self, request: &Message) -> bool {
        self.by_request(request).is_some()
    }

    fn by_request(&self, request: &Message) -> Option<u64> {
        if self.by_dialog.is_empty() {
            return None;
        }
        let id = DialogId::of_request(request)?;
        self.by_dialog.get(&id).copied()
    }

    /// The room that is watched by the subscription in whose dialog a request is, and who does.
    pub fn watched_room(&self, request: &Message) -> Option<Onlooker> {
        let one = self.subscriptions.get(&self.by_request(request)?)?;
        match (&one.topic, &one.package) {
            (
                Topic::Room(room),
                Package::Conference {
                    focus,
                    dialled,
                    watcher,
                    ..
                },
            ) => Some(Onlooker {
                room: room.clone(),
                focus: focus.clone(),
                dialled: dialled.clone(),
                user: watcher.clone(),
            }),
            // Whoever had somebody called is told to the end how that goes.
            (
                Topic::Room(_) | Topic::Bindings(_),
                Package::Reg { .. } | Package::Conference { .. } | Package::Refer { .. },
            ) => None,
        }
    }

    /// A request in the dialog of a subscription: a refresh, or the end of it (RFC 6665 4.2.1.4). `may`: its watcher may go on.
    pub fn request(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        flow: Flow,
        tx: ServerTx,
        request: &Message,
        may: bool,
    ) {
        let Some(id) = self.by_request(request) else { return };
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if request.method() != Method::Subscribe {
            let mut response = Draft::response(request, 405, None);
            response.push(Name::Allow, "SUBSCRIBE");
            return layer.respond(cx, tx, response);
        }
        if subscription.is_ending() {
            return layer.respond(cx, tx, Draft::response(request, 481, None));
        }
        if let Err(reject) = subscription.dialog.receive(request) {
            let response = Draft::response(request, reject.status, None).with_reason(reject.reason);
            return layer.respond(cx, tx, response);
        }
        if !may {
            layer.respond(cx, tx, Draft::response(request, 403, None));
            return self.end(cx, layer, id, Why::Rejected);
        }
        match asked(request, &subscription.package) {
            Err(refusal) => refuse(layer, cx, tx, request, None, &subscription.package, refusal),
            Ok(asked) => {
                subscription.flow = flow;
                accept(layer, cx, tx, request, None, subscription, Some(asked));
                self.granted(cx, id, asked);
            }
        }
    }

    /// The subscription lasts so long from now on; its state is told at once (RFC 6665 4.2.1.2).
    fn granted(&mut self, cx: &mut Cx<'_>, id: u64, asked: Duration) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        subscription.granted(cx.now, asked);
        if asked.is_zero() {
            self.timers.cancel(Timer::End(id));
        } else {
            self.timers.set(Timer::End(id), cx.now + asked);
        }
        self.look(cx, id);
    }

    /// A user whose phones forget their subscriptions has room for new ones: the one that ends first goes.
    fn surplus(&self, topic: &Topic, new: &Package) -> Option<u64> {
        let is_alike = |(_, old): &(u64, &Subscription)| {
            old.package.name() == new.name() && old.package.watcher() == new.watcher()
        };
        let alike = || self.of(topic).filter(is_alike);
        let has_all = alike().count() >= limits::SUBSCRIPTIONS_PER_WATCHER;
        let first = alike().min_by_key(|(_, old)| old.until()).filter(|_| has_all);
        first.map(|(id, _)| id)
    }

    /// The bindings of an address of record are others than before.
    pub fn changed(&mut self, cx: &mut Cx<'_>, aor: &Aor) {
        self.topic_changed(cx, &Topic::Bindings(aor.clone()));
    }

    /// A room is another than before, or no more.
    pub fn room_changed(&mut self, cx: &mut Cx<'_>, room: &str) {
        self.topic_changed(cx, &Topic::Room(room.into()));
    }

    fn topic_changed(&mut self, cx: &mut Cx<'_>, topic: &Topic) {
        let due: Vec<(u64, Instant)> = self
            .of(topic)
            .map(|(id, watcher)| (id, watcher.may_tell_at()))
            .collect();
        for (id, at) in due {
            if at <= cx.now {
                self.look(cx, id);
            } else {
                self.timers.set(Timer::Look(id), at);
            }
        }
    }

    /// Asks for what is watched: the store, or whoever has the rooms.
    fn look(&mut self, cx: &mut Cx<'_>, id: u64) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if !subscription.wants_look() {
            return;
        }
        match &subscription.topic {
            Topic::Bindings(aor) => {
                let ticket = cx.ticket(Owner::Subscription(id), limits::STORE_REPLY);
                cx.emit(Output::Store(ticket, Op::Bindings(aor.clone())));
            }
            Topic::Room(room) => {
                self.looks.entry(room.clone()).or_default().push(id);
            }
        }
    }

    /// A room that is asked for: `room` is the answer.
    pub fn poll_room(&self) -> Option<Arc<str>> {
        self.looks.first_key_value().map(|(room, _)| room.clone())
    }

    /// A room as it is; none where it is no more, and whoever watches it has nothing more to see.
    pub fn room(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, room: &Arc<str>, view: Option<&RoomView>) {
        let mut seen = Seen::Room(Gallery::new(view));
        for id in self.looks.remove(room).unwrap_or_default() {
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            if let Some(notify) = subscription.seen(cx, &mut seen) {
                subscription.send(cx, layer, Owner::Subscription(id), notify);
            }
            if subscription.is_ending() {
                self.unlist(id);
            }
        }
    }

    /// The store's answer.
    pub fn store(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, gruus: &Gruus, id: u64, reply: Reply) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let bindings = match reply {
            Reply::Bindings { bindings, .. } => bindings,
            Reply::Failed | Reply::Replaced { .. } | Reply::Conflict => {
                // Nothing is known: it is tried again as after any change.
                subscription.not_seen();
                return self.timers.set(Timer::Look(id), cx.now + limits::NOTIFY_PACE);
            }
        };
        let (Topic::Bindings(aor), Package::Reg { is_own, .. }) = (&subscription.topic, &subscription.package) else {
            return;
        };
        let (aor, tells_temporary) = (aor.clone(), *is_own);
        let watched = Watched {
            aor: &aor,
            bindings: &bindings,
            gruus,
            tells_temporary,
        };
        let notify = subscription.seen(cx, &mut Seen::Bindings(watched));
        if let Some(notify) = notify {
            subscription.send(cx, layer, Owner::Subscription(id), notify);
        }
        let next = bindings.iter().map(|binding| binding.expires).min();
        match next.filter(|_| !subscription.is_ending()) {
            // A binding is over at the millisecond of its end, and the store says so from then on.
            Some(next) => self.timers.set(Timer::Look(id), cx.now + next.since(cx.wall)),
            None => {
                self.timers.cancel(Timer::Look(id));
            }
        }
    }

    /// An event of the transaction layer whose owner is a subscription.
    pub fn event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, id: u64, event: Event) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let ended = match event {
            Event::Reached { flow, .. } => {
                subscription.reached(cx, layer, Owner::Subscription(id), flow);
                false
            }
            Event::Response { response, .. } => subscription.answered(response.status()),
            Event::Failed { failure, .. } => subscription.answered(status_of(failure)),
            Event::Unreachable { failure, .. } => subscription.answered(status_of(failure)),
            Event::Request { .. } | Event::Ack { .. } | Event::Cancelled { .. } | Event::ServerGone { .. } => false,
        };
        if ended {
            self.forget(layer, id);
        } else if self.subscriptions.get(&id).is_some_and(|watcher| watcher.has_more()) {
            self.look(cx, id);
        }
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        while let Some(timer) = self.timers.pop_due(cx.now) {
            match timer {
                Timer::End(id) => self.end(cx, layer, id, Why::Timeout),
                Timer::Look(id) => {
                    // What expired is as any change.
                    let at = self.subscriptions.get(&id).map(|watcher| watcher.may_tell_at());
                    match at {
                        Some(at) if at > cx.now => self.timers.set(Timer::Look(id), at),
                        Some(_) => self.look(cx, id),
                        None => {}
                    }
                }
            }
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    /// Users who are gone are watched no more, and watch no rooms. Rooms may be gone too.
    pub fn reconfigure(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        is_there: impl Fn(&Aor) -> bool,
        is_user: impl Fn(&str) -> bool,
    ) {
        let (mut gone, mut rooms) = (Vec::new(), BTreeSet::new());
        for (id, one) in &self.subscriptions {
            match &one.topic {
                Topic::Bindings(aor) if !is_there(aor) => gone.push((*id, Why::NoResource)),
                Topic::Bindings(_) => {}
                Topic::Room(_) if one.package.watcher().is_some_and(|name| !is_user(name)) => {
                    gone.push((*id, Why::Rejected))
                }
                Topic::Room(room) => {
                    rooms.insert(room.clone());
                }
            }
        }
        for (id, why) in gone {
            self.end(cx, layer, id, why);
        }
        for room in rooms {
            self.room_changed(cx, &room);
        }
    }

    /// The node stops: whoever watches may subscribe elsewhere.
    pub fn stop(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        let all: Vec<u64> = self.subscriptions.keys().copied().collect();
        for id in all {
            self.end(cx, layer, id, Why::Deactivated);
        }
    }

    /// Subscriptions.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    fn end(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, id: u64, why: Why) {
        self.unlist(id);
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let last = subscription.end(why);
        if let Some(last) = last {
            subscription.send(cx, layer, Owner::Subscription(id), last);
        }
    }

    /// It hears of no changes any more.
    fn unlist(&mut self, id: u64) {
        self.timers.cancel(Timer::Look(id));
        self.timers.cancel(Timer::End(id));
        let Some(one) = self.subscriptions.get(&id) else { return };
        let Some(watchers) = self.by_topic.get_mut(&one.topic) else {
            return;
        };
        let was_listed = watchers.remove(&id);
        if watchers.is_empty() {
            self.by_topic.remove(&one.topic);
        }
        if let Some(watcher) = one.package.watcher().filter(|_| was_listed)
            && let Some(count) = self.by_watcher.get_mut(watcher)
        {
            *count -= 1;
            if *count == 0 {
                self.by_watcher.remove(watcher);
            }
        }
    }

    fn forget(&mut self, layer: &mut Layer, id: u64) {
        self.unlist(id);
        if let Some(subscription) = self.subscriptions.remove(&id) {
            layer.forget(Owner::Subscription(id));
            self.by_dialog.remove(&subscription.dialog.id);
        }
    }
}

fn status_of(failure: Failure) -> u16 {
    match failure {
        Failure::Timeout => 408,
        Failure::Transport | Failure::Unresolved => 481,
    }
}

#[cfg(test)]
mod tests;

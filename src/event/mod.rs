//! Subscriptions (RFC 6665) of which this node is the notifier: the registration event package (RFC 3680, with GRUUs by RFC 5628),
//! by which a phone or an application hears when a user's bindings change.
//!
//! | file | does |
//! |---|---|
//! | `subscription` | one subscription: the diagram of RFC 6665 4.2.2, its dialog, one NOTIFY at a time |
//! | `reginfo` | what a NOTIFY says of bindings, as XML |
//!
//! The bindings are the store's: whoever changes them tells the notifier whose they are ([`Notifier::changed`]), which reads them and
//! says what is different. That one has expired it finds out by itself.

mod reginfo;
mod subscription;

use crate::cx::Cx;
use crate::dialog::DialogId;
use crate::effect::{Aor, Op, Output, Reply};
use crate::id::{Flow, Owner, ServerTx};
use crate::limits;
use crate::registrar::gruu::Gruus;
use crate::sip::{Draft, Message, Method, Name};
use crate::time::{Deadlines, Instant};
use crate::transaction::{Event, Failure, Layer};
use reginfo::{CONTENT, Watched};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use subscription::{Subscription, Why};

/// The one package that we have (RFC 3680 4.1).
pub const REG: &str = "reg";

/// All reasons to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A subscription was not refreshed.
    End(u64),
    /// A binding that is watched expires, or a change may be told that had to wait (RFC 3680 4.10).
    Look(u64),
}

/// Who asks for a subscription, and for whose registration.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Whose bindings are watched.
    pub aor: Aor,
    /// The watcher may register for that address of record: he is told temporary GRUUs (RFC 5628 5).
    pub is_own: bool,
}

/// All subscriptions of a node.
#[derive(Debug, Default)]
pub struct Notifier {
    last: u64,
    subscriptions: BTreeMap<u64, Box<Subscription>>,
    /// Ordered, as peers choose parts of the keys.
    by_dialog: BTreeMap<DialogId, u64>,
    by_aor: BTreeMap<Aor, BTreeSet<u64>>,
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
        let asked = match asked(request) {
            Ok(asked) => asked,
            Err(refusal) => return refuse(layer, cx, tx, request, &tag, refusal),
        };
        if self.subscriptions.len() >= limits::SUBSCRIPTIONS {
            let mut response = Draft::response(request, 503, Some(&tag));
            response.push(Name::RetryAfter, 60);
            return layer.respond(cx, tx, response);
        }
        let Watch { aor, is_own } = watch;
        let subscription = match Subscription::new(request, flow, &tag, aor.clone(), is_own) {
            Ok(subscription) => subscription,
            Err(reject) => {
                let response = Draft::response(request, reject.status, Some(&tag)).with_reason(reject.reason);
                return layer.respond(cx, tx, response);
            }
        };
        self.make_room(cx, layer, &aor);
        self.last += 1;
        let id = self.last;
        self.by_dialog.insert(subscription.dialog.id.clone(), id);
        self.by_aor.entry(aor).or_default().insert(id);
        self.subscriptions.insert(id, Box::new(subscription));
        accept(layer, cx, tx, request, Some(&tag), flow, asked);
        self.granted(cx, id, asked);
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

    /// A request in the dialog of a subscription: a refresh, or the end of it (RFC 6665 4.2.1.4).
    pub fn request(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, flow: Flow, tx: ServerTx, request: &Message) {
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
        match asked(request) {
            Err(refusal) => refuse(layer, cx, tx, request, "", refusal),
            Ok(asked) => {
                subscription.flow = flow;
                accept(layer, cx, tx, request, None, flow, asked);
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
    fn make_room(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, aor: &Aor) {
        let of_aor = self.by_aor.get(aor).into_iter().flatten();
        if of_aor.clone().count() < limits::SUBSCRIPTIONS_PER_AOR {
            return;
        }
        let until = |id: &u64| self.subscriptions.get(id).map(|subscription| subscription.until());
        if let Some(first) = of_aor.min_by_key(|id| until(id)).copied() {
            self.end(cx, layer, first, Why::Timeout);
        }
    }

    /// The bindings of an address of record are others than before.
    pub fn changed(&mut self, cx: &mut Cx<'_>, aor: &Aor) {
        let Some(watchers) = self.by_aor.get(aor) else { return };
        let due: Vec<(u64, Instant)> = watchers
            .iter()
            .filter_map(|id| self.subscriptions.get(id).map(|watcher| (*id, watcher.may_tell_at())))
            .collect();
        for (id, at) in due {
            if at <= cx.now {
                self.look(cx, id);
            } else {
                self.timers.set(Timer::Look(id), at);
            }
        }
    }

    /// Reads the bindings that are watched.
    fn look(&mut self, cx: &mut Cx<'_>, id: u64) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if subscription.wants_look() {
            let ticket = cx.ticket(Owner::Subscription(id), limits::STORE_REPLY);
            cx.emit(Output::Store(ticket, Op::Bindings(subscription.aor.clone())));
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
        let aor = subscription.aor.clone();
        let watched = Watched {
            aor: &aor,
            bindings: &bindings,
            gruus,
            tells_temporary: subscription.is_own,
        };
        let notify = subscription.seen(cx, &watched);
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

    /// Users who are gone are watched no more.
    pub fn reconfigure(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, is_there: impl Fn(&Aor) -> bool) {
        let gone: Vec<u64> = self
            .by_aor
            .iter()
            .filter(|(aor, _)| !is_there(aor))
            .flat_map(|(_, ids)| ids.iter().copied())
            .collect();
        for id in gone {
            self.end(cx, layer, id, Why::NoResource);
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
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let aor = subscription.aor.clone();
        self.timers.cancel(Timer::Look(id));
        self.timers.cancel(Timer::End(id));
        if let Some(watchers) = self.by_aor.get_mut(&aor) {
            watchers.remove(&id);
            if watchers.is_empty() {
                self.by_aor.remove(&aor);
            }
        }
        let last = subscription.end(why);
        if let Some(last) = last {
            subscription.send(cx, layer, Owner::Subscription(id), last);
        }
    }

    fn forget(&mut self, layer: &mut Layer, id: u64) {
        let Some(subscription) = self.subscriptions.remove(&id) else {
            return;
        };
        layer.forget(Owner::Subscription(id));
        self.by_dialog.remove(&subscription.dialog.id);
        self.timers.cancel(Timer::Look(id));
        self.timers.cancel(Timer::End(id));
        if let Some(watchers) = self.by_aor.get_mut(&subscription.aor) {
            watchers.remove(&id);
            if watchers.is_empty() {
                self.by_aor.remove(&subscription.aor);
            }
        }
    }
}

fn status_of(failure: Failure) -> u16 {
    match failure {
        Failure::Timeout => 408,
        Failure::Transport | Failure::Unresolved => 481,
    }
}

/// A SUBSCRIBE that is not taken.
enum Refusal {
    /// RFC 6665 4.2.1.1: 423.
    TooBrief,
    /// RFC 3680 4.5: it does not take what we write.
    NotAcceptable,
}

/// How long a subscription is to last; zero ends it, or only asks (RFC 6665 4.4.3).
fn asked(request: &Message) -> Result<Duration, Refusal> {
    let takes = [CONTENT, "application/*", "*/*"];
    if request.get(Name::Accept).is_some() && !takes.iter().any(|range| request.has_token(Name::Accept, range)) {
        return Err(Refusal::NotAcceptable);
    }
    let seconds = match request.number(Name::Expires) {
        Some(Ok(seconds)) => Duration::from_secs(seconds.into()),
        Some(Err(_)) | None => limits::SUBSCRIPTION,
    };
    if !seconds.is_zero() && seconds < limits::SUBSCRIPTION_SHORTEST {
        return Err(Refusal::TooBrief);
    }
    Ok(seconds.min(limits::SUBSCRIPTION))
}

fn refuse(layer: &mut Layer, cx: &mut Cx<'_>, tx: ServerTx, request: &Message, tag: &str, refusal: Refusal) {
    let response = match refusal {
        Refusal::TooBrief => {
            let mut response = Draft::response(request, 423, Some(tag));
            response.push(Name::MinExpires, limits::SUBSCRIPTION_SHORTEST.as_secs());
            response
        }
        Refusal::NotAcceptable => {
            let mut response = Draft::response(request, 406, Some(tag));
            response.push(Name::Accept, CONTENT);
            response
        }
    };
    layer.respond(cx, tx, response);
}

fn accept(
    layer: &mut Layer,
    cx: &mut Cx<'_>,
    tx: ServerTx,
    request: &Message,
    tag: Option<&str>,
    flow: Flow,
    lasts: Duration,
) {
    let mut response = Draft::response(request, 200, tag);
    for route in request.all(Name::RecordRoute) {
        response.push(Name::RecordRoute, route);
    }
    response.push(Name::Contact, subscription::contact(cx, flow));
    response.push(Name::Expires, lasts.as_secs());
    response.push(Name::Server, crate::USER_AGENT);
    layer.respond(cx, tx, response);
}

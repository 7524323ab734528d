//! Calls: two independent dialogs and what joins them.
//!
//! [`Calls`] finds the call that an event is about and lets it act; the calls know nothing of each other. One event, one call,
//! one [`desk::Turn`]; then the call settles ([`call::Call::settle`]). What must involve two calls (attended transfer) is
//! wished for in a turn and done after it.
//!
//! | file | what |
//! |---|---|
//! | `call`, `wire` | stages of a call; who hears whom |
//! | `leg`, `send` | a peer: states, its dialog, how we speak in it |
//! | `setup`, `answer` | the caller's leg until it is answered |
//! | `hunt`, `branch`, `outcome` | the search for somebody who answers: its steps, each branch of it, what comes of it |
//! | `outgoing` | a leg that we call, until it answers |
//! | `whereabouts` | where a phone is in the middle of a call |
//! | `change`, `hold` | what changes session descriptions: hold, re-INVITE, UPDATE, refresh; music for who is held |
//! | `fax` | T.38: a change that both sides have to make |
//! | `announce` | what a caller is told by voice before the call is refused |
//! | `request`, `response` | what comes in dialogs |
//! | `info` | digits that go out by INFO |
//! | `webrtc`, `trickle` | sides that are browsers; candidates that they tell by INFO |
//! | `transfer`, `refer`, `replaces` | transfer and pick-up |
//! | `focus` | what a room is asked for by REFER |
//! | `end`, `cause` | how it ends, and why |
//! | `identity` | who is shown to whom |
//! | `record`, `siprec` | which calls are recorded; what a recording server is told of them |
//! | `room`, `dial_out`, `rooms` | a call in a room; a call that a room makes; rooms as others see and ask them |
//! | `media`, `desk` | media legs; the shared tables |
//! | `measured` | how the media of a call goes, while it is up; who does not hear whom |

mod announce;
mod answer;
mod branch;
mod call;
mod cause;
mod change;
mod desk;
mod dial_out;
mod end;
mod fax;
mod focus;
mod hold;
mod hunt;
mod identity;
mod info;
mod leg;
mod measured;
mod media;
mod outcome;
mod outgoing;
mod record;
mod refer;
mod replaces;
mod request;
mod response;
mod room;
mod rooms;
mod send;
mod setup;
mod siprec;
#[cfg(test)]
mod tests;
mod transfer;
mod trickle;
mod webrtc;
mod whereabouts;
mod wire;

pub use crate::routing::Source;
pub use focus::wanted;
pub use outcome::Missed;
pub use refer::wants_no_subscription;
pub use send::{allow, supported};
pub use webrtc::offers_ice;

use crate::config::Config;
use crate::cx::Cx;
use crate::dialog::Naming;
use crate::effect::{Blame, Device, Fact, Output, Reply};
use crate::id::{CallId, Flow, LegNo, Owner, ServerTx};
use crate::limits;
use crate::marker::Marker;
use crate::media::command::{Event as MediaEvent, Fingerprint, Port};
use crate::push::Waker;
use crate::room::Input as RoomInput;
use crate::room::view::RoomEvent;
use crate::sdp::offer_answer as offer;
use crate::sip::{Message, Name};
use crate::siprec::order::Order;
use crate::stock::Stock;
use crate::time::Instant;
use crate::transaction::{Event, Layer};
use crate::trunk::Trunks;
use call::Call;
use desk::{CallTimer, Desk, LegTimer, Timer, Turn, Wish};
use focus::Referred;
use leg::LegId;
use setup::{Entry, Refusal};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The machines that a call works with.
#[derive(Debug, Default)]
pub struct Net {
    /// Transactions and flows.
    pub layer: Layer,
    /// Carriers.
    pub trunks: Trunks,
    /// Phones that sleep.
    pub waker: Waker,
}

/// All calls of a node.
#[derive(Debug, Default)]
pub struct Calls {
    calls: HashMap<CallId, Box<Call>, foldhash::fast::FixedState>,
    desk: Desk,
    /// What happened in rooms, for those who listen.
    room_events: VecDeque<(String, RoomEvent)>,
    last: u64,
    stopping: bool,
    /// At most one for each leg in a room.
    referred: Vec<Referred>,
}

impl Calls {
    /// A new INVITE (no To tag) from an admitted source; `tx` is its transaction; `device` where it is for one by its GRUU. Routing
    /// is decided here.
    pub fn invite(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        source: Source,
        flow: Flow,
        tx: ServerTx,
        (request, device): (Message, Option<Device>),
    ) {
        let tag = cx.tag();
        let copy = request.clone();
        let entered = self.enter(
            cx,
            net,
            Entry::read(cx.config, source, flow, tx, (request, device), &tag),
            None,
        );
        if let Err(refusal) = entered {
            let t = &mut Turn {
                cx,
                net,
                desk: &mut self.desk,
            };
            setup::refuse(t, flow, tx, &copy, &tag, &refusal);
        }
    }

    /// An INVITE that the proxy could not place: its record has begun and goes on here, and its transaction rings. `missed` is why,
    /// where the callee's phones were asked and did not take it; else they are called anew, with our own offer.
    pub fn adopt(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        (call, missed): (CallId, Option<Missed>),
        source: Source,
        flow: Flow,
        tx: ServerTx,
        (request, device): (Message, Option<Device>),
    ) {
        let tag = cx.tag();
        let copy = request.clone();
        let entry = Entry::read(cx.config, source, flow, tx, (request, device), &tag);
        if let Err(refusal) = self.enter(cx, net, entry, Some((call, missed))) {
            let cause = cause::cause(refusal.status, Blame::Node, refusal.why);
            let t = &mut Turn {
                cx,
                net,
                desk: &mut self.desk,
            };
            setup::refuse(t, flow, tx, &copy, &tag, &refusal);
            cx.emit(Output::Record(Fact::CallEnded {
                call,
                at: cx.wall,
                cause,
                legs: Vec::new(),
            }));
        }
    }

    /// A user is at a client of the HTTP API, which rings where he is called, or no longer.
    pub fn client(&mut self, user: &Arc<str>, flow: Flow, is_there: bool) {
        self.desk.client(user, flow, is_there);
    }

    /// True for a user who is at one.
    pub fn is_at_client(&self, user: &str) -> bool {
        self.desk.is_at_client(user)
    }

    /// How many calls a user is in, those included that the proxy has claimed.
    pub fn calls_of(&self, user: &str) -> u32 {
        self.desk.calls_of(user)
    }

    /// One more call of a user, for the proxy; to be given back by `release`.
    pub fn claim(&mut self, user: &str) {
        self.desk.claim_user(user.into());
    }

    /// One call less of a user.
    pub fn release(&mut self, user: &str) {
        self.desk.release_user(user);
    }

    fn enter(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        entry: Result<Entry, Refusal>,
        adopted: Option<(CallId, Option<Missed>)>,
    ) -> Result<(), Refusal> {
        let entry = entry?;
        if self.stopping {
            return Err(Refusal::overload("the node is being stopped"));
        }
        if self.calls.len() >= limits::CALLS {
            return Err(Refusal::overload("as many calls as the node may have are up"));
        }
        if let Some((id, early_only)) = entry.replaces()? {
            let Some(replaced) = self.desk.by_dialog(&id) else {
                return Err(Refusal::new(481, "the dialog that Replaces names is not known"));
            };
            let home = self.desk.home(replaced);
            return self
                .turn(cx, net, home, |call, t| {
                    replaces::pick_up(call, t, entry, replaced, early_only)
                })
                .unwrap_or(Err(Refusal::new(481, "the call to be replaced is gone")));
        }
        let Some(worker) = self.desk.next_worker(cx.config) else {
            return Err(Refusal::overload("every media worker has as many legs as it can hold"));
        };
        let id = adopted.map_or_else(|| self.new_call_id(cx), |(id, _)| id);
        self.calls
            .insert(id, Box::new(Call::new(id, cx.config.clone(), worker)));
        let begun = self.turn(cx, net, id, |call, t| {
            let begun = setup::begin(call, t, entry, adopted.map(|(_, missed)| missed));
            if begun.is_err() {
                call.forget(t);
            }
            begun
        });
        begun.unwrap_or(Ok(()))
    }

    /// True if a leg's signalling comes from this source.
    pub fn has_peer(&self, ip: IpAddr) -> bool {
        self.calls
            .values()
            .any(|call| call.legs.iter().any(|leg| Marker::is_same(leg.signalling(), ip)))
    }

    /// True if a request with a To tag belongs to a dialog of ours. (An INVITE with Replaces and no To tag is a new one.)
    pub fn owns(&self, request: &Message) -> bool {
        Naming::of_request(request).is_some_and(|naming| self.desk.by_naming(&naming).is_some())
    }

    /// A request in a dialog that `owns` said is ours.
    pub fn request(&mut self, cx: &mut Cx<'_>, net: &mut Net, flow: Flow, tx: ServerTx, request: Message) {
        let Some(leg) = Naming::of_request(&request).and_then(|naming| self.desk.by_naming(&naming)) else {
            return;
        };
        self.leg_turn(cx, net, leg, |call, t| call.on_request(t, leg, flow, tx, &request));
        self.grant_wishes(cx, net);
    }

    /// True for an INVITE that is to replace a dialog of ours (RFC 3891).
    pub fn is_replaced(&self, invite: &Message) -> bool {
        let values = invite.all(Name::Replaces);
        let named = values.iter().filter_map(|value| replaces::replaces_id(value));
        named.into_iter().any(|(id, _)| self.desk.by_dialog(&id).is_some())
    }

    /// The ACK of a 2xx that we sent.
    pub fn ack(&mut self, cx: &mut Cx<'_>, net: &mut Net, flow: Flow, ack: Message) {
        // The way back is that of requests; an ACK changes nothing in it.
        let _ = flow;
        let Some(leg) = Naming::of_request(&ack).and_then(|naming| self.desk.by_naming(&naming)) else {
            return;
        };
        self.leg_turn(cx, net, leg, |call, t| call.on_ack(t, leg, &ack));
    }

    /// An event of the transaction layer whose owner is `leg`, or whose server transaction is a call's.
    pub fn event(&mut self, cx: &mut Cx<'_>, net: &mut Net, event: Event) {
        match event {
            Event::Reached { owner, flow, rest } => {
                self.owner_turn(cx, net, owner, |call, t, leg| call.on_reached(t, leg, flow, rest));
            }
            Event::Unreachable { owner, failure } => {
                self.owner_turn(cx, net, owner, |call, t, leg| call.on_unreachable(t, leg, failure));
            }
            Event::Response {
                tx, owner, response, ..
            } => {
                self.owner_turn(cx, net, owner, |call, t, leg| call.on_response(t, leg, tx, &response));
            }
            Event::Failed { tx, owner, failure } => {
                self.owner_turn(cx, net, owner, |call, t, leg| call.on_no_response(t, leg, tx, failure));
            }
            Event::Cancelled { tx, cancel } => {
                if let Some(leg) = self.desk.by_server(tx) {
                    self.leg_turn(cx, net, leg, |call, t| call.on_cancelled(t, leg, &cancel));
                }
            }
            Event::ServerGone { tx } => {
                if let Some(leg) = self.desk.by_server(tx) {
                    self.leg_turn(cx, net, leg, |call, t| call.on_server_gone(t, leg));
                }
            }
            // Admission's, and `ack`'s.
            Event::Request { .. } | Event::Ack { .. } => {}
        }
    }

    /// The store's answer to a leg's question.
    pub fn store(&mut self, cx: &mut Cx<'_>, net: &mut Net, call: CallId, leg: LegNo, reply: Reply) {
        let leg = LegId { call, no: leg };
        self.leg_turn(cx, net, leg, |call, t| call.on_store(t, leg, reply));
    }

    /// An event of a media worker.
    pub fn media(&mut self, cx: &mut Cx<'_>, net: &mut Net, event: MediaEvent) {
        if let MediaEvent::RoomPlayed(room) = event {
            self.desk.rooms.played(room);
            return self.tend_rooms(cx, net);
        }
        if let MediaEvent::RoomMeasured(room, stats) = event {
            let room = self.desk.rooms.name(room);
            cx.out
                .extend(room.map(|room| Output::Record(Fact::RoomMeasured { room, stats })));
            return;
        }
        if let Some(leg) = event.leg().and_then(|leg| self.desk.by_media(leg)) {
            self.leg_turn(cx, net, leg, |call, t| call.on_media(t, leg, event));
        }
    }

    /// Starts or stops the recording of a call; false where that is not possible: it is not up, or it is recorded in any case.
    pub fn record(&mut self, cx: &mut Cx<'_>, net: &mut Net, call: CallId, on: bool) -> bool {
        self.turn(cx, net, call, |call, _| call.switch_recording(on))
            .unwrap_or(false)
    }

    /// What is to go to a recording server, in order.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.desk.orders.pop_front()
    }

    /// What is recorded of a call does not reach the recording server any more.
    pub fn unrecorded(&mut self, cx: &mut Cx<'_>, net: &mut Net, call: CallId, why: &str) {
        self.turn(cx, net, call, |call, t| call.unrecorded(t, why));
    }

    /// The port range or address was changed by a reload: what is spare is forgotten. The shell closes those sockets.
    pub fn renew_ports(&mut self, cx: &mut Cx<'_>) {
        self.desk.stock.renew(cx);
    }

    /// By this certificate we are known to browsers; without it there are none.
    pub fn known_by(&mut self, fingerprint: Fingerprint) {
        self.desk.fingerprint = Some(fingerprint);
    }

    /// There is a certificate by which browsers know us.
    pub fn has_ice(&self) -> bool {
        self.desk.fingerprint.is_some()
    }

    /// Spare ports.
    pub fn add_ports(&mut self, ports: Vec<Port>) {
        self.desk.stock.add(ports);
    }

    /// What there is of the media workers: others take from it too.
    pub fn stock(&mut self) -> &mut Stock {
        &mut self.desk.stock
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, net: &mut Net) {
        self.desk.rooms.on_time(cx.now, cx.wall);
        self.tend_rooms(cx, net);
        while let Some(timer) = self.desk.timers.pop_due(cx.now) {
            match timer {
                Timer::Leg(leg, LegTimer::Dialog) => {
                    self.leg_turn(cx, net, leg, |call, t| call.on_dialog_time(t, leg));
                }
                Timer::Leg(leg, LegTimer::Connect) => {
                    self.leg_turn(cx, net, leg, |call, t| call.on_silent_peer(t, leg));
                }
                Timer::Leg(leg, LegTimer::Change) => {
                    self.leg_turn(cx, net, leg, |call, _| call.change_again(leg));
                }
                Timer::Call(id, CallTimer::Ring) => {
                    self.turn(cx, net, id, |call, t| call.ring_timeout(t));
                }
                Timer::Call(id, CallTimer::Expires) => {
                    self.turn(cx, net, id, |call, t| call.expired(t));
                }
                Timer::Call(id, CallTimer::Length) => {
                    let cause = cause::cause(200, Blame::Node, "the call reached its longest duration");
                    self.turn(cx, net, id, |call, t| call.end(t, cause));
                }
                Timer::Call(id, CallTimer::Beep) => {
                    self.turn(cx, net, id, |call, t| call.on_beep(t));
                }
                Timer::Call(id, CallTimer::Announce) => {
                    self.turn(cx, net, id, |call, t| call.announced(t));
                }
                Timer::Call(id, CallTimer::Measure) => {
                    self.turn(cx, net, id, |call, t| call.measure(t));
                }
                Timer::Call(id, CallTimer::Passing) => {
                    self.turn(cx, net, id, |call, t| call.passing_timeout(t));
                }
                Timer::Call(id, CallTimer::Reports) => {
                    self.turn(cx, net, id, |call, t| call.give_up_reports(t));
                }
                Timer::Stop => self.end_all(cx, net),
            }
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let own = self.desk.timers.next().map(|(at, _)| at);
        own.into_iter().chain(self.desk.rooms.next_deadline()).min()
    }

    /// No new calls; those that are up get a BYE after `grace`.
    pub fn stop(&mut self, cx: &mut Cx<'_>, net: &mut Net, grace: Duration) {
        self.stopping = true;
        if grace.is_zero() {
            self.desk.timers.cancel(Timer::Stop);
            self.end_all(cx, net);
        } else {
            self.desk.timers.set(Timer::Stop, cx.now + grace);
        }
    }

    /// Calls that are up, being set up, or ending.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Calls that are up or being set up. One that has ended may still wait for the last answer of a peer.
    pub fn up(&self) -> usize {
        self.calls.values().filter(|call| !call.is_over()).count()
    }

    /// Places that users hold: one for each call that they are in, or that rings at their phones.
    pub fn user_places(&self) -> u32 {
        self.desk.user_places()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    fn end_all(&mut self, cx: &mut Cx<'_>, net: &mut Net) {
        let mut ids: Vec<CallId> = self.calls.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let cause = cause::cause(503, Blame::Node, "the node is stopped");
            self.turn(cx, net, id, |call, t| call.end(t, cause));
        }
    }

    /// A name that no call of this node had, before a restart either: the wall clock in its upper bits.
    pub fn new_call_id(&mut self, cx: &Cx<'_>) -> CallId {
        self.last = (self.last + 1).max(cx.wall.0 << 20);
        CallId(self.last)
    }

    fn owner_turn(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        owner: Owner,
        step: impl FnOnce(&mut Call, &mut Turn<'_, '_>, LegId),
    ) {
        if let Owner::Leg(call, no) = owner {
            let leg = LegId { call, no };
            self.leg_turn(cx, net, leg, |call, t| step(call, t, leg));
        }
    }

    fn leg_turn(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        leg: LegId,
        step: impl FnOnce(&mut Call, &mut Turn<'_, '_>),
    ) {
        let home = self.desk.home(leg);
        self.turn(cx, net, home, step);
    }

    /// One step of one call, and what rooms want done because of it.
    fn turn<R>(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        id: CallId,
        step: impl FnOnce(&mut Call, &mut Turn<'_, '_>) -> R,
    ) -> Option<R> {
        let result = self.step(cx, net, id, step);
        self.tend_rooms(cx, net);
        result
    }

    /// One step of one call: out of the table, the step, settled, back. A panic in it costs this call and no other.
    fn step<R>(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        id: CallId,
        step: impl FnOnce(&mut Call, &mut Turn<'_, '_>) -> R,
    ) -> Option<R> {
        let mut call = self.calls.remove(&id)?;
        let config: Arc<Config> = call.config.clone();
        let mut own = Cx {
            now: cx.now,
            wall: cx.wall,
            rng: cx.rng,
            config: &config,
            out: cx.out,
            tickets: cx.tickets,
            marker: cx.marker,
        };
        let mut t = Turn {
            cx: &mut own,
            net,
            desk: &mut self.desk,
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            let result = step(&mut call, &mut t);
            call.settle(&mut t);
            result
        }));
        match done {
            Ok(result) => {
                t.desk.stock.top_up(t.cx);
                if !call.is_done() {
                    self.calls.insert(id, call);
                }
                Some(result)
            }
            Err(_) => {
                call.abandon(&mut t);
                if let Some(room) = &call.room {
                    t.desk.rooms.tell(room.place, RoomInput::Left);
                }
                None
            }
        }
    }

    /// What a call wished to do together with another one.
    fn grant_wishes(&mut self, cx: &mut Cx<'_>, net: &mut Net) {
        while let Some(wish) = self.desk.wishes.pop() {
            let Wish::Attended { transferor, replaced } = wish;
            let (here, there) = (self.desk.home(transferor), self.desk.home(replaced));
            // A dialog of the transferor's own call can't be joined with it.
            let theirs = if here == there { None } else { self.calls.remove(&there) };
            let Some(mut theirs) = theirs else {
                self.turn(cx, net, here, |call, t| call.replaced_unknown(t));
                continue;
            };
            // What rooms want may concern both.
            let over = self
                .step(cx, net, here, |call, t| call.attend(t, &mut theirs, replaced))
                .flatten();
            self.calls.insert(there, theirs);
            if let Some(cause) = over {
                self.step(cx, net, there, |call, t| call.end(t, cause));
            }
            self.tend_rooms(cx, net);
        }
    }
}

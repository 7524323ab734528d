//! The proxy (RFC 3261 16, with RFC 4320, 5393, 6026 and 6228): a request comes, is checked, and is sent on to one target or
//! several; of what they answer, what 16.7 says goes back.
//!
//! | file | 16. | does |
//! |---|---|---|
//! | `validate` | 3 | may it be sent on at all |
//! | `route` | 4 | our own values are taken out of Request-URI and Route |
//! | `context` | 8, 10 | the response context: its branches, and when it is over |
//! | `targets` | 5 | whom to ask, in which order |
//! | `branch` | 6, 9 | one target: reached, asked, given up |
//! | `respond` | 7 | what comes back |
//! | `answered` | 7 | what comes back after a 2xx |
//! | `best` | 7 | the best of the failures |
//! | `mark` | | what we write into a request to know it again |
//! | `calls` | | the record of a proxied call |
//!
//! The machine decides nothing about people: who may send what to whom, and whom a number means, is said by the node ([`Order`]),
//! which is told by [`Told`] what is to be given back to it.

mod answered;
mod best;
mod branch;
mod calls;
mod context;
mod mark;
mod respond;
mod route;
mod targets;
mod validate;

pub use branch::Aim;
pub use calls::{Claim, Start};
pub use context::Order;
pub use mark::Passed;
pub use route::{Prepared, is_us};
pub use validate::Refusal;

use crate::cx::Cx;
use crate::effect::{Aor, Blame, Cause, Op, Output, Party, Reply, Which, devices};
use crate::id::{CallId, ContextId, Flow, Owner, ServerTx};
use crate::keyed;
use crate::limits;
use crate::push::Asleep;
use crate::sip::auth::NonceKey;
use crate::sip::{Draft, Forward, Message, Name, NameAddr, Uri};
use crate::time::{Deadlines, Instant, T1_64};
use crate::transaction::{Destination, Event, Layer};
use answered::Answered;
use calls::Calls;
use context::Context;
use mark::Marks;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What the node has to do.
#[derive(Clone, Debug)]
pub enum Told {
    /// A call that held these is over.
    Released(Vec<Claim>),
    /// The phone of this branch sleeps: it is to be woken, and `store` hears its bindings then.
    Wake(Owner, Box<Asleep>),
    /// The call is to be bridged: the transaction of its INVITE, which has no final response, is the node's.
    Bridge {
        /// The call, whose record goes on.
        call: CallId,
        /// Who calls.
        from: Party,
        /// From where.
        flow: Flow,
        /// The transaction.
        tx: ServerTx,
        /// The INVITE as it came.
        request: Message,
        /// Why nobody has the call.
        missed: Missed,
    },
}

/// Why a proxied call becomes a bridged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The callee cannot speak what the caller offers (488, 606).
    Media,
    /// The callee is busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// The callee has no phone that is registered.
    Offline,
}

/// All reasons to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A branch has said nothing new for too long (16.8).
    C(ContextId, u16),
    /// One flow of a device said nothing at all: the next one (RFC 5626 7).
    Flow(ContextId, u16),
    /// The phones of this preference had their time.
    Step(ContextId),
    /// Nobody answered in the callee's time.
    Ring(ContextId),
    /// No further 2xx can come.
    Linger(ContextId),
    /// The session was not refreshed.
    Session(CallId),
    /// `calls.max_duration`.
    Length(CallId),
    /// The grace of `stop` is over.
    Stop,
}

/// An ACK whose next hop is being found.
#[derive(Debug)]
struct Ack {
    from: Flow,
    ack: Message,
    prepared: Prepared,
    consumed: Vec<(Name, String)>,
    /// Where it is for a GRUU: which device of its user is meant, and the proxies on the way to that.
    device: Option<Which>,
    path: Vec<NameAddr>,
}

/// Fields that are for us alone, by name and value.
pub type Consumed = Vec<(Name, String)>;

/// What all contexts share.
#[derive(Debug)]
struct Desk {
    marks: Marks,
    timers: Deadlines<Timer>,
    servers: HashMap<ServerTx, ContextId, foldhash::fast::FixedState>,
    calls: Calls,
    told: VecDeque<Told>,
}

impl Desk {
    fn turn<'t, 'c>(&'t mut self, cx: &'t mut Cx<'c>, layer: &'t mut Layer) -> Turn<'t, 'c> {
        Turn { cx, layer, desk: self }
    }
}

/// What a context is given for one step.
struct Turn<'t, 'c> {
    cx: &'t mut Cx<'c>,
    layer: &'t mut Layer,
    desk: &'t mut Desk,
}

/// All requests that are being sent on, and all calls among them.
#[derive(Debug)]
pub struct Proxy {
    contexts: HashMap<ContextId, Box<Context>, foldhash::fast::FixedState>,
    answered: HashMap<ContextId, Answered, foldhash::fast::FixedState>,
    /// ACKs whose next hop is being found.
    acks: HashMap<ContextId, Ack, foldhash::fast::FixedState>,
    desk: Desk,
    last: u64,
}

impl Proxy {
    /// With the key of its marks and tables.
    pub fn new(key: [u8; 32]) -> Proxy {
        let half = |at: usize| keyed::Key::new(std::array::from_fn(|nth| key[at + nth]));
        let (marks, dialogs) = (half(0), half(16));
        Proxy {
            contexts: HashMap::default(),
            answered: HashMap::default(),
            acks: HashMap::default(),
            desk: Desk {
                marks: Marks::new(marks),
                timers: Deadlines::default(),
                servers: HashMap::default(),
                calls: Calls::new(dialogs),
                told: VecDeque::new(),
            },
            last: 0,
        }
    }

    /// The key that outlives the process: phones in a dialog that was set up before a restart reach each other as before.
    pub fn set_key(&mut self, key: &NonceKey) {
        let own = keyed::Key::new(std::array::from_fn(|nth| key.0[nth]));
        self.desk
            .marks
            .set_dialogs(keyed::Key::new(own.of(&[b"dialogs"]).to_be_bytes()));
    }

    /// May the request be sent on (16.3 without 16.3 step 6, which is the node's)?
    ///
    /// # Errors
    /// What its sender is to be answered.
    pub fn validate(&self, flow: Flow, request: &Message) -> Result<Passed, Refusal> {
        let waits = |id| self.contexts.contains_key(&id);
        validate::validate(&self.desk.marks, flow, request, waits)
    }

    /// Takes our own values out of Request-URI and Route (16.4).
    ///
    /// # Errors
    /// What its sender is to be answered.
    pub fn prepare(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> Result<Prepared, Refusal> {
        route::prepare(&self.desk.marks, cx.config, cx.wall, flow, request)
    }

    /// Sends a request on that was accepted. What it leads to is told by `poll`.
    pub fn begin(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, order: Order) {
        if self.contexts.len() + self.answered.len() >= limits::PROXY_CONTEXTS {
            let mut response = Draft::response(&order.request, 503, Some(&cx.tag()));
            response.push(Name::RetryAfter, 10);
            layer.respond(cx, order.tx, response);
            if let Some(start) = order.call {
                self.desk.told.push_back(Told::Released(start.claims));
            }
            return;
        }
        let id = self.next_id();
        self.desk.servers.insert(order.tx, id);
        let (context, aim) = Context::new(cx, &mut self.desk, id, order);
        self.contexts.insert(id, Box::new(context));
        self.turn(cx, layer, id, |context, t| context.begin(t, aim));
    }

    /// True for an INVITE that comes back to us on its way: it is a call already, and is counted once.
    pub fn is_counted(&self, passed: Passed, request: &Message) -> bool {
        passed == Passed::Spiral && self.desk.calls.alike(request) > 0
    }

    /// True where an INVITE that did not pass here before would be one too many with its Call-ID and tag.
    pub fn has_too_many(&self, passed: Passed, request: &Message) -> bool {
        passed != Passed::Spiral && self.desk.calls.alike(request) >= limits::PROXY_DIALOGS
    }

    /// True for the transaction of a request that is being sent on.
    pub fn owns(&self, tx: ServerTx) -> bool {
        self.desk.servers.contains_key(&tx)
    }

    /// The ACK of a 2xx: sent on without a transaction (16.11), if it takes a way that we wrote, and dropped if not. `device` where it
    /// is for a GRUU, `consumed` as in [`Order`].
    pub fn ack(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        flow: Flow,
        ack: Message,
        consumed: Consumed,
        device: impl FnOnce(&Cx<'_>, &Uri) -> Option<(Aor, Which)>,
    ) {
        let spent = matches!(ack.number(Name::MaxForwards), Some(Ok(0) | Err(_)));
        let Ok(prepared) = self.prepare(cx, flow, &ack) else {
            return;
        };
        let Some(passage) = prepared.passage.filter(|_| !spent) else {
            return;
        };
        if self.acks.len() >= limits::PROXY_CONTEXTS {
            return;
        }
        let id = self.next_id();
        let owner = Owner::Proxy(id, 0);
        let device = match prepared.next_route {
            Some(_) => None,
            None => device(cx, &prepared.uri),
        };
        match &device {
            Some((aor, _)) => {
                let ticket = cx.ticket(owner, limits::STORE_REPLY);
                cx.emit(Output::Store(ticket, Op::Bindings(aor.clone())));
            }
            None => layer.reach(cx, owner, branch::destination(&prepared, passage.flow())),
        }
        let ack = Ack {
            from: flow,
            ack,
            consumed,
            prepared,
            device: device.map(|(_, which)| which),
            path: Vec::new(),
        };
        self.acks.insert(id, ack);
    }

    /// The ACK for a GRUU goes where its device is.
    fn ack_to(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, id: ContextId, reply: Reply) {
        let Some(mut ack) = self.acks.remove(&id) else { return };
        let (Reply::Bindings { bindings, .. }, Some(which)) = (reply, &ack.device) else {
            return;
        };
        let aim = devices(&bindings, Some(which), None)
            .into_iter()
            .next()
            .and_then(|device| targets::aim_of(device, ack.prepared.is_secure()).ok());
        let Some(Aim::Target {
            uri: Some(uri), flow, ..
        }) = &aim
        else {
            return;
        };
        ack.prepared.uri = uri.clone();
        ack.prepared.rewritten = true;
        let destination = match aim.as_ref().and_then(|aim| aim.path().first()) {
            Some(first) => Destination::Uri(first.uri.clone()),
            None => branch::destination(&ack.prepared, *flow),
        };
        ack.path = aim.as_ref().map(|aim| aim.path().to_vec()).unwrap_or_default();
        self.acks.insert(id, ack);
        layer.reach(cx, Owner::Proxy(id, 0), destination);
    }

    /// An event of the transaction layer whose owner is ours, or whose server transaction `owns` said is.
    pub fn event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, event: Event) {
        match event {
            Event::Reached { owner, flow, rest } => {
                let Owner::Proxy(id, no) = owner else { return };
                match self.acks.remove(&id) {
                    Some(ack) => self.send_ack(cx, layer, flow, ack),
                    None => self.turn(cx, layer, id, |context, t| context.on_reached(t, no, flow, rest)),
                }
            }
            Event::Unreachable { owner, failure } => {
                let Owner::Proxy(id, no) = owner else { return };
                self.acks.remove(&id);
                self.turn(cx, layer, id, |context, t| context.on_failed(t, no, failure));
            }
            Event::Response { owner, response, .. } => {
                let Owner::Proxy(id, no) = owner else { return };
                match self.answered.contains_key(&id) {
                    true => self.late(cx, layer, id, &response),
                    false => self.turn(cx, layer, id, |context, t| context.on_response(t, no, response)),
                }
            }
            Event::Failed { owner, failure, .. } => {
                let Owner::Proxy(id, no) = owner else { return };
                self.turn(cx, layer, id, |context, t| context.on_failed(t, no, failure));
            }
            Event::Cancelled { tx, cancel } => {
                if let Some(id) = self.desk.servers.get(&tx).copied() {
                    let reason = cancel.get(Name::Reason).map(std::borrow::Cow::into_owned);
                    self.turn(cx, layer, id, |context, t| context.on_cancelled(t, reason));
                }
            }
            // Against the SHOULD NOT of 16.9: whoever closes the browser in which he calls wants no phone to ring on. Nobody else's
            // requests hang on it, since each has a context of its own.
            Event::ServerGone { tx } => {
                if let Some(id) = self.desk.servers.get(&tx).copied() {
                    self.turn(cx, layer, id, |context, t| context.on_cancelled(t, None));
                }
            }
            // Admission's, and `ack`'s.
            Event::Request { .. } | Event::Ack { .. } => {}
        }
    }

    /// The store's answer to a branch's question.
    pub fn store(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, id: ContextId, no: u16, reply: Reply) {
        match self.acks.contains_key(&id) {
            true => self.ack_to(cx, layer, id, reply),
            false => self.turn(cx, layer, id, |context, t| context.on_bindings(t, no, reply)),
        }
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        while let Some(timer) = self.desk.timers.pop_due(cx.now) {
            match timer {
                Timer::C(id, no) => self.turn(cx, layer, id, |context, t| context.on_timer_c(t, no)),
                Timer::Flow(id, no) => self.turn(cx, layer, id, |context, t| context.on_silent_flow(t, no)),
                Timer::Step(id) => self.turn(cx, layer, id, |context, t| context.on_step(t)),
                Timer::Ring(id) => self.turn(cx, layer, id, |context, t| context.on_no_answer(t)),
                Timer::Linger(id) => {
                    self.answered.remove(&id);
                }
                Timer::Session(call) => {
                    let cause = Cause::of_status(408, Blame::Network, "the session was not refreshed in time");
                    self.desk.end_call(cx, call, cause);
                }
                Timer::Length(call) => {
                    let cause = Cause::of_status(200, Blame::Node, "the call reached its longest duration");
                    self.desk.end_call(cx, call, cause);
                }
                Timer::Stop => self.end_all(cx, layer),
            }
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.desk.timers.next().map(|(at, _)| at)
    }

    /// What the node has to do, in order.
    pub fn poll(&mut self) -> Option<Told> {
        self.desk.told.pop_front()
    }

    /// After `grace` no call is up any more: requests under way get 503, and what is up is ended in our books.
    pub fn stop(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, grace: Duration) {
        if grace.is_zero() {
            self.desk.timers.cancel(Timer::Stop);
            self.end_all(cx, layer);
        } else {
            self.desk.timers.set(Timer::Stop, cx.now + grace);
        }
    }

    fn end_all(&mut self, cx: &mut Cx<'_>, layer: &mut Layer) {
        let mut ids: Vec<ContextId> = self.contexts.keys().copied().collect();
        ids.sort();
        for id in ids {
            self.turn(cx, layer, id, |context, t| context.on_stop(t));
        }
        for call in self.desk.calls.ids() {
            let cause = Cause::of_status(503, Blame::Node, "the node is stopped");
            self.desk.end_call(cx, call, cause);
        }
    }

    /// Calls that are up or being set up.
    pub fn calls(&self) -> usize {
        self.desk.calls.len()
    }

    /// Requests that are being sent on, or may still have late answers.
    pub fn contexts(&self) -> usize {
        self.contexts.len() + self.answered.len() + self.acks.len()
    }

    fn next_id(&mut self) -> ContextId {
        self.last += 1;
        ContextId(self.last)
    }

    fn send_ack(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, flow: Flow, ack: Ack) {
        let mut forward = Forward::new(&ack.ack);
        forward.source = Some(ack.from.peer);
        forward.consumed = ack.consumed;
        branch::edit_way(&mut forward, &ack.prepared, None);
        branch::edit_path(&mut forward, &ack.path, &ack.prepared.uri);
        let hops = ack.ack.number(Name::MaxForwards).and_then(Result::ok);
        forward.max_forwards = Some(hops.map_or(limits::MAX_FORWARDS, |hops| hops.min(255) - 1));
        let branch = self.desk.marks.stateless_branch(&ack.ack);
        layer.forward_stateless(cx, flow, &branch, forward);
    }

    /// A response to an INVITE that was answered.
    fn late(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, id: ContextId, response: &Message) {
        let Some(answered) = self.answered.get(&id) else { return };
        let t = &mut self.desk.turn(cx, layer);
        // As in `turn`.
        if catch_unwind(AssertUnwindSafe(|| answered.on_response(t, response))).is_err() {
            self.answered.remove(&id);
        }
    }

    /// One step of one context, which is forgotten when it is over, or answered.
    fn turn(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        id: ContextId,
        step: impl FnOnce(&mut Context, &mut Turn<'_, '_>),
    ) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let t = &mut self.desk.turn(cx, layer);
        // A panic costs this request and no other.
        if catch_unwind(AssertUnwindSafe(|| step(context, t))).is_err() {
            context.abandon(t);
        }
        let answered = Answered::of(context);
        if answered.is_some() || context.is_over() {
            context.leave(t);
            self.contexts.remove(&id);
        }
        if let Some(answered) = answered {
            self.desk.timers.set(Timer::Linger(id), cx.now + T1_64);
            self.answered.insert(id, answered);
        }
    }
}

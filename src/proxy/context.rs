//! The response context (RFC 3261 16.2): the targets of one request in order, its branches, and when it is over.
//!
//! ```text
//!               all targets of a preference         2xx
//!   Forking ------------------------------------> Answered: what is left of it is in `answered`
//!      |  ^ |                                        ^
//!      |  +-+ the next preference                    | 2xx
//!      | CANCEL, 6xx, nobody answered in time        |
//!      v                                             |
//!   Ending ------------------------------------------+--- every branch is over: the best ------> Closed
//! ```

use super::best::Final;
use super::branch::{Aim, Branch, Stage, makes_dialog};
use super::calls::{Start, Within};
use super::route::Prepared;
use super::{Desk, Missed, Timer, Told, Turn};
use crate::cx::Cx;
use crate::effect::{Blame, Cause, Fact, Output};
use crate::id::{CallId, ContextId, Flow, Owner, ServerTx};
use crate::marker::Origin;
use crate::sip::{Message, Method, Name};
use crate::transaction::Failure;
use std::collections::VecDeque;
use std::time::Duration;

/// A request that the node wants sent on.
#[derive(Debug)]
pub struct Order {
    /// From where it came.
    pub flow: Flow,
    /// Its transaction.
    pub tx: ServerTx,
    /// It.
    pub request: Message,
    /// What `Proxy::prepare` made of it.
    pub prepared: Prepared,
    /// Where it goes first.
    pub aim: Aim,
    /// The flow of the sender's own phone, which does not ring when its user is called.
    pub not: Option<Flow>,
    /// Its sender may be redirected to other domains than ours (no open relay).
    pub foreign: bool,
    /// The credentials that were meant for us.
    pub consumed: Vec<(Name, String)>,
    /// How long the callee's phones ring.
    pub ring: Option<Duration>,
    /// The call that an INVITE outside of dialogs makes.
    pub call: Option<Start>,
    /// The call may become a bridged one if nobody takes it for these reasons.
    pub bridges: Vec<Missed>,
}

/// How far a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Targets are asked.
    Forking,
    /// No target is asked any more: the rest is cancelled.
    Ending(Ending),
    /// A 2xx went back.
    Answered,
    /// Nothing is left to do.
    Closed,
}

/// Why no target is asked any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The caller gave up (16.10).
    Cancelled,
    /// A 6xx came (16.7 step 5).
    Declined,
    /// Nobody answered in the callee's time.
    NoAnswer,
    /// The node stops.
    Stopped,
}

/// One response context.
#[derive(Debug)]
pub struct Context {
    /// Its name.
    pub id: ContextId,
    /// From where the request came.
    pub flow: Flow,
    /// Whose it is, for the guard.
    pub origin: Origin,
    /// Its transaction.
    pub tx: ServerTx,
    /// The request.
    pub request: Message,
    /// What Request-URI and Route say.
    pub prepared: Prepared,
    /// The method is INVITE.
    pub is_invite: bool,
    /// We want to stay on the way of the dialog.
    pub records_route: bool,
    /// See `Order`.
    pub consumed: Vec<(Name, String)>,
    /// Its branches.
    pub branches: Vec<Branch>,
    /// How far it is.
    pub state: State,
    /// The call that it makes.
    pub call: Option<CallId>,
    /// The call that it is in.
    pub within: Option<Within>,
    /// See `Order`.
    pub bridges: Vec<Missed>,
    /// It is within a dialog: whoever is called is awake.
    pub(super) in_dialog: bool,
    pub(super) not: Option<Flow>,
    pub(super) foreign: bool,
    /// A phone was left out because SIPS was called.
    pub(super) insecure: bool,
    pub(super) ring: Option<Duration>,
    /// Targets by preference, the highest first.
    pub(super) waiting: VecDeque<(u16, Aim)>,
    /// Every URI that was a target (16.5: none is one twice).
    pub(super) tried: Vec<Box<str>>,
    pub(super) recursions: u8,
    pub(super) breadth: u32,
    pub(super) last_branch: u16,
}

impl Context {
    /// A context with no branch yet, and what it aims at.
    pub fn new(cx: &mut Cx<'_>, desk: &mut Desk, id: ContextId, order: Order) -> (Context, Aim) {
        let request = &order.request;
        let method = request.method();
        let in_dialog = request.has_to_tag();
        let call = order.call.map(|start| desk.start_call(cx, start, request));
        let within_ours = order.prepared.passage.is_some();
        let within = if within_ours { desk.calls.within(request) } else { None };
        let context = Context {
            id,
            flow: order.flow,
            origin: cx.marker.origin(),
            tx: order.tx,
            prepared: order.prepared,
            is_invite: method == Method::Invite,
            records_route: makes_dialog(&method) && (!in_dialog || within_ours),
            consumed: order.consumed,
            // A question to the store and one phone.
            branches: Vec::with_capacity(2),
            state: State::Forking,
            call,
            within,
            bridges: order.bridges,
            in_dialog,
            not: order.not,
            foreign: order.foreign,
            insecure: false,
            ring: order.ring,
            waiting: VecDeque::new(),
            tried: Vec::new(),
            recursions: 0,
            breadth: super::validate::breadth(request).unwrap_or(1),
            last_branch: 0,
            request: order.request,
        };
        (context, order.aim)
    }

    /// The first target.
    pub fn begin(&mut self, t: &mut Turn<'_, '_>, aim: Aim) {
        if let Some(ring) = self.ring.filter(|_| self.is_invite) {
            t.desk.timers.set(Timer::Ring(self.id), t.cx.now + ring);
        }
        self.aim_at(1000, aim);
        self.advance(t);
    }

    /// Who hears of a branch.
    pub fn owner(&self, no: u16) -> Owner {
        Owner::Proxy(self.id, no)
    }

    /// Where a branch stands in the list.
    pub fn place(&self, no: u16) -> Option<usize> {
        self.branches.iter().position(|branch| branch.no == no)
    }

    /// Nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.state == State::Closed
    }

    /// Nothing is to be done any more.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Asks the next targets, or gives the best answer, as soon as no branch is pending.
    pub fn advance(&mut self, t: &mut Turn<'_, '_>) {
        while self.state == State::Forking && !self.waiting.is_empty() && !self.branches.iter().any(Branch::is_pending)
        {
            self.next_group(t);
        }
        if !matches!(self.state, State::Answered | State::Closed) && !self.branches.iter().any(Branch::is_pending) {
            self.finish(t);
        }
    }

    /// The caller gave up (16.10): everything is cancelled.
    pub fn on_cancelled(&mut self, t: &mut Turn<'_, '_>, reason: Option<String>) {
        self.end_forking(t, Ending::Cancelled, reason);
    }

    /// The callee's time is over.
    pub fn on_no_answer(&mut self, t: &mut Turn<'_, '_>) {
        if self.state == State::Forking {
            self.give_up(t);
            self.end_forking(t, Ending::NoAnswer, None);
        }
    }

    /// The node stops.
    pub fn on_stop(&mut self, t: &mut Turn<'_, '_>) {
        self.end_forking(t, Ending::Stopped, None);
    }

    /// No target is asked any more, and those that are pending are cancelled.
    pub fn end_forking(&mut self, t: &mut Turn<'_, '_>, why: Ending, reason: Option<String>) {
        if self.state != State::Forking {
            return;
        }
        self.state = State::Ending(why);
        self.waiting.clear();
        self.cancel_all(t, reason);
    }

    /// Cancels all pending branches. Those of other methods than INVITE can't be cancelled, and are left alone.
    pub fn cancel_all(&mut self, t: &mut Turn<'_, '_>, reason: Option<String>) {
        self.waiting.shrink_to_fit();
        for place in 0..self.branches.len() {
            let owner = self.owner(self.branches[place].no);
            match self.branches[place].stage {
                Stage::Asking | Stage::Reaching => {
                    t.layer.forget(owner);
                    self.branches[place].stage = Stage::Over(Box::new(Final::Own(487)));
                }
                Stage::Asked(tx) | Stage::Proceeding(tx) => t.layer.cancel(t.cx, tx, reason.clone()),
                Stage::Over(_) | Stage::Done => {}
            }
        }
        self.advance(t);
    }

    /// The phones of this preference had their time.
    pub fn on_step(&mut self, t: &mut Turn<'_, '_>) {
        if self.state == State::Forking {
            self.give_up(t);
            self.advance(t);
        }
    }

    /// What rings is cancelled. What said nothing can't be as yet (9.1), so that it counts as 408 at once and keeps nobody waiting; a 2xx
    /// of it still goes to the caller.
    fn give_up(&mut self, t: &mut Turn<'_, '_>) {
        for place in 0..self.branches.len() {
            let owner = self.owner(self.branches[place].no);
            let branch = &mut self.branches[place];
            branch.give_up();
            match branch.stage {
                Stage::Asking | Stage::Reaching => t.layer.forget(owner),
                Stage::Asked(tx) => t.layer.cancel(t.cx, tx, None),
                Stage::Proceeding(tx) => {
                    t.layer.cancel(t.cx, tx, None);
                    continue;
                }
                Stage::Over(_) | Stage::Done => continue,
            }
            branch.stage = Stage::Over(Box::new(Final::Own(408)));
        }
    }

    /// Timer C (16.8): a branch that rings is cancelled, one that said nothing counts as 408.
    pub fn on_timer_c(&mut self, t: &mut Turn<'_, '_>, no: u16) {
        let Some(place) = self.place(no) else { return };
        match self.branches[place].stage {
            Stage::Proceeding(tx) => t.layer.cancel(t.cx, tx, None),
            Stage::Asked(_) => self.on_failed(t, no, Failure::Timeout),
            Stage::Asking | Stage::Reaching | Stage::Over(_) | Stage::Done => {}
        }
    }

    /// The context broke by a fault of ours: what it holds is given back, and its sender is told.
    pub fn abandon(&mut self, t: &mut Turn<'_, '_>) {
        for branch in &self.branches {
            t.layer.forget(self.owner(branch.no));
        }
        let response = crate::sip::Draft::response(&self.request, 500, Some(&t.cx.tag()));
        t.layer.respond(t.cx, self.tx, response);
        if let Some(call) = self.call.take() {
            let cause = Cause::of_status(500, Blame::Node, "an error in this node ended the call");
            t.desk.end_call(t.cx, call, cause);
        }
        t.cx.emit(Output::Record(Fact::Warning(
            "A request that was sent on met an error in this node and was dropped; please report the log above."
                .to_owned(),
        )));
        self.close();
    }

    /// Takes the context's traces out of the shared tables.
    pub fn leave(&mut self, t: &mut Turn<'_, '_>) {
        t.desk.servers.remove(&self.tx);
        for timer in [Timer::Ring(self.id), Timer::Step(self.id)] {
            t.desk.timers.cancel(timer);
        }
        for no in self.branches.iter().map(|branch| branch.no) {
            t.desk.timers.cancel(Timer::C(self.id, no));
            t.desk.timers.cancel(Timer::Flow(self.id, no));
        }
    }

    /// The call is handed to the node, which bridges it: its transaction is no longer ours.
    pub fn hand_over(&mut self, t: &mut Turn<'_, '_>, missed: Missed) -> bool {
        let Some(call) = self.call else {
            return false;
        };
        let what = match missed {
            Missed::Media => "the callee cannot speak what the caller offers: the call is bridged",
            Missed::Busy | Missed::NoAnswer | Missed::Offline => "nobody took the call: it goes on, bridged",
        };
        t.desk.tell_call(t.cx, call, what);
        let Some(from) = t.desk.forget_call(call) else {
            return false;
        };
        self.call = None;
        t.desk.told.push_back(Told::Bridge {
            call,
            from,
            flow: self.flow,
            tx: self.tx,
            request: self.request.clone(),
            missed,
        });
        self.close();
        true
    }
}

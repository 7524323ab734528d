//! A call of a client, as far as the node has a part in it: what each side is told of the other. Between two clients media goes between the
//! two; else the other side is a `line`, and media goes by the node.
//!
//! ```text
//!   start --> ringing --accept--> up --hangup, absence--> over
//!                |
//!                +--reject, hangup, 60 s, absence--> over
//!
//!   offer, answer: one at a time. While one side's offer waits for its answer, the other's is refused (glare); the answer names the
//!   revision of the offer that it answers.
//! ```

use super::problem::{Kind, Problem};
use super::token::Identity;
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::CallId;
use crate::limits;
use crate::time::Wall;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ringing,
    Up,
}

/// Which of the two: who has called, or who was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(super) fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// Who a side is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A client, by its number among them, and its name.
    Client(u64, Arc<str>),
    /// A phone number.
    Number(String),
    /// A SIP address.
    Sip(String),
    /// A room: its number, and what was dialled to come there.
    Room { number: String, dialled: String },
}

impl Who {
    /// Among the clients.
    pub(super) fn client(&self) -> Option<u64> {
        match self {
            Who::Client(number, _) => Some(*number),
            Who::Number(_) | Who::Sip(_) | Who::Room { .. } => None,
        }
    }

    /// As the log has it.
    pub(super) fn shown(&self) -> String {
        match self {
            Who::Client(_, name) => name.to_string(),
            Who::Number(number) => number.clone(),
            Who::Sip(uri) => uri.clone(),
            Who::Room { number, .. } => format!("room {number}"),
        }
    }

    /// As it is told.
    fn view(&self) -> Value {
        match self {
            Who::Client(_, name) => json!({ "client": **name }),
            Who::Number(number) => json!({ "number": number }),
            Who::Sip(uri) => json!({ "sip": uri }),
            Who::Room { dialled, .. } => json!({ "room": dialled }),
        }
    }
}

/// One of the two.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) who: Who,
    /// As it calls itself, where it does.
    pub(super) display: Option<String>,
    pub(super) muted: bool,
    pub(super) holds: bool,
    /// Told since the last offer or answer.
    candidates: usize,
}

/// An offer that waits for its answer.
#[derive(Debug)]
struct Pending {
    by: Side,
    sdp: String,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) tenant: Arc<str>,
    pub(super) state: State,
    caller: Member,
    callee: Member,
    started: Wall,
    pub(super) answered: Option<Wall>,
    pending: Option<Pending>,
    /// Of the last offer.
    revision: u32,
    /// A third was added: it moves into this room.
    pub(super) moves: Option<String>,
    /// As the facts of `b2bua` name it, where it is one of those too.
    pub(super) node: Option<CallId>,
    /// How it has begun, in words, until the log has that.
    begun: Option<String>,
}

impl Call {
    /// Leaves a fact. The first says how it has begun.
    pub(super) fn log(&mut self, cx: &mut Cx<'_>, what: String) {
        self.log_begin(cx);
        self.leave_fact(cx, what);
    }

    /// The fact that it has begun, if it was not left before.
    pub(super) fn log_begin(&mut self, cx: &mut Cx<'_>) {
        if let Some(begun) = self.begun.take() {
            self.leave_fact(cx, begun);
        }
    }

    fn leave_fact(&self, cx: &mut Cx<'_>, what: String) {
        let (name, call) = (self.id.as_str().into(), self.node);
        cx.emit(Output::Record(Fact::ClientCall { name, call, what }));
    }

    pub(super) fn member(&self, side: Side) -> &Member {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    pub(super) fn member_mut(&mut self, side: Side) -> &mut Member {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// Which side this client has.
    pub(super) fn side_of(&self, client: u64) -> Option<Side> {
        [Side::Caller, Side::Callee]
            .into_iter()
            .find(|side| self.member(*side).who.client() == Some(client))
    }

    /// The clients in it.
    pub(super) fn clients(&self) -> impl Iterator<Item = u64> + use<> {
        [&self.caller, &self.callee]
            .map(|member| member.who.client())
            .into_iter()
            .flatten()
    }

    /// The number of the room that it is with.
    pub(super) fn room(&self) -> Option<&str> {
        [&self.caller, &self.callee]
            .into_iter()
            .find_map(|member| match &member.who {
                Who::Room { number, .. } => Some(&**number),
                Who::Client(..) | Who::Number(_) | Who::Sip(_) => None,
            })
    }

    /// The side that is no client, but a line.
    pub(super) fn line(&self) -> Option<Side> {
        let is_line = |side: &Side| self.member(*side).who.client().is_none();
        [Side::Caller, Side::Callee].into_iter().find(is_line)
    }

    pub(super) fn must_be(&self, state: State) -> Result<(), Problem> {
        match (self.state, state) {
            (State::Ringing, State::Ringing) | (State::Up, State::Up) => Ok(()),
            (State::Ringing, State::Up) => Err(Problem::new(Kind::WrongMoment, "it rings")),
            (State::Up, State::Ringing) => Err(Problem::new(Kind::WrongMoment, "it was accepted already")),
        }
    }

    /// Somebody offers anew; gives the revision.
    pub(super) fn offer(&mut self, by: Side, sdp: String) -> Result<u32, Problem> {
        self.must_be(State::Up)?;
        if self.pending.as_ref().is_some_and(|pending| pending.by != by) {
            return Err(Problem::new(Kind::Glare, "answer it first"));
        }
        self.revision += 1;
        self.pending = Some(Pending { by, sdp });
        self.member_mut(by).candidates = 0;
        Ok(self.revision)
    }

    /// Somebody answers the offer of this revision.
    pub(super) fn answer(&mut self, by: Side, revision: u32) -> Result<(), Problem> {
        let waits = self.pending.as_ref().is_some_and(|pending| pending.by != by);
        if !waits || revision != self.revision {
            return Err(Problem::new(Kind::StaleAnswer, "no offer of this revision waits"));
        }
        self.pending = None;
        self.member_mut(by).candidates = 0;
        Ok(())
    }

    /// The offer that waits is not answered: it is as if it was never made.
    pub(super) fn withdraw(&mut self) {
        self.pending = None;
    }

    /// The callee takes the call.
    pub(super) fn accept(&mut self, at: Wall) -> Result<(), Problem> {
        self.must_be(State::Ringing)?;
        self.answer(Side::Callee, self.revision)?;
        (self.state, self.answered) = (State::Up, Some(at));
        Ok(())
    }

    /// Somebody has so many more candidates.
    pub(super) fn candidates(&mut self, by: Side, more: usize) -> Result<(), Problem> {
        let member = self.member_mut(by);
        member.candidates += more;
        if member.candidates > limits::API_CANDIDATES_PER_OFFER {
            let most = limits::API_CANDIDATES_PER_OFFER;
            return Err(Problem::new(
                Kind::CannotBe,
                format!("{most} candidates are the most for an offer"),
            ));
        }
        Ok(())
    }

    /// As it is told.
    pub(super) fn view(&self) -> Value {
        let who = |member: &Member| {
            let mut view = member.who.view();
            (view["muted"], view["holds"]) = (json!(member.muted), json!(member.holds));
            if let Some(display) = &member.display {
                view["display"] = json!(display);
            }
            view
        };
        let state = match self.state {
            State::Ringing => "ringing",
            State::Up => "up",
        };
        json!({
            "id": self.id,
            "state": state,
            "from": who(&self.caller),
            "to": who(&self.callee),
            "started": self.started.as_secs(),
            "answered": self.answered.map(Wall::as_secs),
        })
    }

    /// The same for one of the two, with the offer that waits for him.
    pub(super) fn view_for(&self, side: Side) -> Value {
        let mut view = self.view();
        if let Some(pending) = self.pending.as_ref().filter(|pending| pending.by != side) {
            view["offer"] = json!(pending.sdp);
            view["revision"] = json!(self.revision);
        }
        view
    }
}

/// All calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: BTreeMap<u64, Call>,
    by_tenant: BTreeMap<Arc<str>, BTreeSet<u64>>,
    last: u64,
}

impl Calls {
    /// A new one, and its number. `secret` is what nobody can guess of its name; `most` is how many its tenant may have.
    pub(super) fn start(
        &mut self,
        tenant: &Arc<str>,
        members: [(Who, Option<String>); 2],
        sdp: String,
        secret: &str,
        at: Wall,
        most: usize,
    ) -> Result<(u64, &mut Call), Problem> {
        let own = self.by_tenant.entry(tenant.clone()).or_default();
        if self.all.len() >= limits::API_CALLS || own.len() >= most {
            return Err(Problem::new(Kind::Full, "too many calls are up"));
        }
        self.last += 1;
        own.insert(self.last);
        let [caller, callee] = members.map(|(who, display)| Member {
            who,
            display,
            muted: false,
            holds: false,
            candidates: 0,
        });
        let begun = format!(
            "of {tenant} begins: {} calls {}",
            caller.who.shown(),
            callee.who.shown()
        );
        let call = Call {
            id: format!("{:x}-{secret}", self.last),
            tenant: tenant.clone(),
            state: State::Ringing,
            caller,
            callee,
            started: at,
            answered: None,
            pending: Some(Pending { by: Side::Caller, sdp }),
            revision: 1,
            moves: None,
            node: None,
            begun: Some(begun),
        };
        Ok((self.last, self.all.entry(self.last).or_insert(call)))
    }

    /// The number of the one with this name, if it is of this tenant.
    pub(super) fn named(&self, who: &Identity, id: &str) -> Option<u64> {
        let number = u64::from_str_radix(id.split('-').next()?, 16).ok()?;
        let call = self.all.get(&number)?;
        (call.id == id && call.tenant == who.tenant).then_some(number)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Call> {
        self.all.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Call> {
        self.all.get_mut(&number)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Call> {
        let call = self.all.remove(&number)?;
        if let Some(own) = self.by_tenant.get_mut(&call.tenant) {
            own.remove(&number);
            if own.is_empty() {
                self.by_tenant.remove(&call.tenant);
            }
        }
        Some(call)
    }

    /// Those of a tenant.
    pub(super) fn of(&self, tenant: &Arc<str>) -> impl Iterator<Item = &Call> {
        let own = self.by_tenant.get(tenant).into_iter().flatten();
        own.filter_map(|number| self.all.get(number))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of the newest.
    #[cfg(test)]
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

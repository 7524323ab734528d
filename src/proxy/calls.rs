//! A proxied INVITE is a call: its record begins with the request and ends once, whoever ends it.
//!
//! ```text
//!              2xx                       BYE of the last dialog, session expired (RFC 4028 8.3), longest duration
//!   Setup ----------------> Up ------------------------------------------------------------------------------> ended
//!     |  failed, cancelled
//!     +----------------------------------------------------------------------------------------------------> ended
//! ```
//!
//! A call that runs out here is ended in our books only: a proxy must not send a BYE (RFC 4028 8.3), and it has no sequence
//! numbers to do so in dialogs that are not its own (RFC 3261 12.2.1.1).

use super::{Desk, Timer, Told};
use crate::cx::Cx;
use crate::effect::{Blame, Cause, Fact, Output, Party};
use crate::id::CallId;
use crate::keyed;
use crate::limits;
use crate::sip::{Message, Name};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What the node says of an INVITE that is to be a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The name of the call.
    pub id: CallId,
    /// From whom.
    pub from: Party,
    /// The caller as presented.
    pub caller: String,
    /// What was dialled, normalised.
    pub called: String,
    /// Whereto, in words.
    pub to: String,
    /// What decided.
    pub rule: String,
    /// Who answers.
    pub callee: Party,
    /// Where it counts; told back by `Told::Released`.
    pub claims: Vec<Claim>,
}

/// One place that a call holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Among the calls of this user.
    User(String),
    /// Among those of the trunk of this name.
    Trunk(String),
}

/// Call-ID and the tag of the caller, as a hash that is keyed, since peers choose them.
type Dialog = u128;

/// One call.
#[derive(Debug)]
struct Record {
    dialog: Dialog,
    from: Party,
    callee: Party,
    claims: Vec<Claim>,
    rang: bool,
    /// The tags of the callees whose dialogs are up; none before the answer.
    up: SmallVec<[Box<str>; 1]>,
}

/// All proxied calls.
#[derive(Debug)]
pub struct Calls {
    key: keyed::Key,
    by_id: BTreeMap<CallId, Record>,
    /// Mostly one: who forks before us sends an INVITE for each of his branches (RFC 3261 16.7 step 10).
    by_dialog: HashMap<Dialog, SmallVec<[CallId; 1]>, foldhash::fast::FixedState>,
}

/// A request within a call's dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// The call.
    pub call: CallId,
    /// The caller sends it.
    pub from_caller: bool,
    /// The callee's tag.
    pub tag: Box<str>,
}

/// RFC 4028 4: no session is shorter.
const SHORTEST_SESSION: Duration = Duration::from_secs(90);

impl Record {
    /// The dialog with this callee.
    fn is_up(&self, tag: &str) -> bool {
        self.up.iter().any(|up| **up == *tag)
    }
}

impl Calls {
    /// With the key of their table.
    pub fn new(key: keyed::Key) -> Calls {
        Calls {
            key,
            by_id: BTreeMap::new(),
            by_dialog: HashMap::default(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All of them.
    pub fn ids(&self) -> Vec<CallId> {
        self.by_id.keys().copied().collect()
    }

    /// The call that a request with a To tag is in.
    pub fn within(&self, request: &Message) -> Option<Within> {
        if self.by_dialog.is_empty() {
            return None;
        }
        // RFC 3261 12.2.1.1: of a peer of RFC 2543 a tag may be missing, and is then as good as an empty one.
        let tag = |tag: Option<Cow<'_, str>>| tag.unwrap_or_default().into_owned();
        let (from, to) = (tag(request.from_tag()), tag(request.to_tag()));
        let find = |caller: &str, callee: &str| {
            let calls = self.by_dialog.get(&self.dialog(request, caller.as_bytes()))?;
            let is_up = |id: &CallId| self.by_id.get(id).is_some_and(|call| call.is_up(callee));
            // One of an early dialog is as good as another.
            calls.iter().copied().find(is_up).or(calls.first().copied())
        };
        let within = |call, from_caller, tag: &str| Within {
            call,
            from_caller,
            tag: tag.into(),
        };
        find(&from, &to)
            .map(|call| within(call, true, &to))
            .or_else(|| find(&to, &from).map(|call| within(call, false, &from)))
    }

    /// Calls that have the Call-ID of an INVITE and the tag of its sender.
    pub fn alike(&self, request: &Message) -> usize {
        self.by_dialog.get(&self.dialog_of(request)).map_or(0, SmallVec::len)
    }

    fn dialog_of(&self, request: &Message) -> Dialog {
        self.dialog(request, &request.tag_octets(Name::From))
    }

    fn dialog(&self, request: &Message, tag: &[u8]) -> Dialog {
        self.key.of(&[request.call_id_octets(), tag])
    }
}

impl Desk {
    /// A call begins.
    pub fn start_call(&mut self, cx: &mut Cx<'_>, start: Start, request: &Message) -> CallId {
        let dialog = self.calls.dialog_of(request);
        let id = start.id;
        cx.emit(Output::Record(Fact::CallStarted {
            call: id,
            at: cx.wall,
            from: start.from.clone(),
            caller: start.caller,
            called: start.called,
            sip_call_id: request.call_id().to_owned(),
        }));
        cx.emit(Output::Record(Fact::CallRouted {
            call: id,
            to: start.to,
            rule: start.rule,
        }));
        self.calls.by_dialog.entry(dialog).or_default().push(id);
        let record = Record {
            dialog,
            from: start.from,
            callee: start.callee,
            claims: start.claims,
            rang: false,
            up: SmallVec::new(),
        };
        self.calls.by_id.insert(id, record);
        id
    }

    /// The callee rings.
    pub fn call_rings(&mut self, cx: &mut Cx<'_>, id: CallId) {
        if let Some(record) = self.calls.by_id.get_mut(&id).filter(|record| !record.rang) {
            record.rang = true;
            cx.emit(Output::Record(Fact::CallRinging { call: id, at: cx.wall }));
        }
    }

    /// A 2xx to the INVITE: the first one answers the call, each makes a dialog of it.
    pub fn call_answered(&mut self, cx: &mut Cx<'_>, id: CallId, response: &Message) {
        let Some(record) = self.calls.by_id.get_mut(&id) else {
            return;
        };
        let first = record.up.is_empty();
        let tag: Box<str> = response.to_tag().unwrap_or_default().into();
        if !record.up.contains(&tag) && record.up.len() < limits::PROXY_DIALOGS {
            record.up.push(tag);
        }
        if first {
            let by = record.callee.clone();
            cx.emit(Output::Record(Fact::CallAnswered {
                call: id,
                at: cx.wall,
                by,
            }));
            self.timers
                .set(Timer::Length(id), cx.now + cx.config.calls.max_duration);
        }
        self.call_refreshed(cx, id, response);
    }

    /// A 2xx to INVITE or UPDATE says how long the session lasts (RFC 4028 8.2).
    pub fn call_refreshed(&mut self, cx: &Cx<'_>, id: CallId, response: &Message) {
        if !self.calls.by_id.contains_key(&id) {
            return;
        }
        match response.number(Name::SessionExpires) {
            Some(Ok(secs)) => {
                let lasts = Duration::from_secs(u64::from(secs)).max(SHORTEST_SESSION);
                self.timers.set(Timer::Session(id), cx.now + lasts);
            }
            Some(Err(_)) | None => {
                self.timers.cancel(Timer::Session(id));
            }
        }
    }

    /// A BYE was answered, or its peer is gone: the last dialog ends the call.
    pub fn call_hung_up(&mut self, cx: &mut Cx<'_>, within: &Within) {
        let Some(record) = self.calls.by_id.get_mut(&within.call) else {
            return;
        };
        let before = record.up.len();
        record.up.retain(|tag| *tag != within.tag);
        // One of an early dialog (RFC 3261 15) ends no call: the final response to its INVITE does.
        if record.up.len() < before && record.up.is_empty() {
            let by = if within.from_caller {
                Blame::Caller
            } else {
                Blame::Callee
            };
            self.end_call(cx, within.call, Cause::of_status(200, by, "hung up"));
        }
    }

    /// Something worth a line in the record.
    pub fn tell_call(&mut self, cx: &mut Cx<'_>, id: CallId, what: &str) {
        cx.emit(Output::Record(Fact::CallChanged {
            call: id,
            what: what.to_owned(),
        }));
    }

    /// The call is over.
    pub fn end_call(&mut self, cx: &mut Cx<'_>, id: CallId, cause: Cause) {
        if self.forget_call(id).is_some() {
            cx.emit(Output::Record(Fact::CallEnded {
                call: id,
                at: cx.wall,
                cause,
                legs: Vec::new(),
            }));
        }
    }

    /// The call is no longer the proxy's; who made it, if it was.
    pub fn forget_call(&mut self, id: CallId) -> Option<Party> {
        let record = self.calls.by_id.remove(&id)?;
        if let Some(alike) = self.calls.by_dialog.get_mut(&record.dialog) {
            alike.retain(|other| *other != id);
            if alike.is_empty() {
                self.calls.by_dialog.remove(&record.dialog);
            }
        }
        self.timers.cancel(Timer::Session(id));
        self.timers.cancel(Timer::Length(id));
        self.told.push_back(Told::Released(record.claims));
        Some(record.from)
    }
}

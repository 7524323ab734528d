//! One branch (RFC 3261 16.6): a target, the way to it, our client transaction, and what became of it.
//!
//! ```text
//!              bindings            flow                  provisional
//!   Asking ------------> over    Reaching --------> Asked -----------> Proceeding
//!     (each becomes a target)       |  ^              |                   |
//!                          no way   |  | the next     | final, failure    |
//!                                   v  | address      v                   v
//!                                   over <-------------------------------- over
//! ```

use super::best::Final;
use super::mark::{Ends, Passage};
use super::route::Prepared;
use super::{Turn, context::Context};
use crate::id::{ClientTx, Flow, Target, Transport};
use crate::limits;
use crate::sip::uri::Scheme;
use crate::sip::{Forward, Message, Method, Name, Uri};
use crate::transaction::Destination;
use smallvec::SmallVec;

/// Where a request is to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Aim {
    /// To all phones of this user.
    User(String),
    /// To this URI; over this flow, where it is a phone's.
    Target {
        /// In place of the Request-URI; none keeps that.
        uri: Option<Uri>,
        /// The phone's flow.
        flow: Option<Flow>,
    },
}

/// How far a branch is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The store is asked for a user's bindings.
    Asking,
    /// The way is being found.
    Reaching,
    /// Sent.
    Asked(ClientTx),
    /// A provisional response came.
    Proceeding(ClientTx),
    /// It has its final response, boxed since it is large and most branches have none for long.
    Over(Box<Final>),
    /// It was answered by 2xx, or others stand for it.
    Done,
}

/// One branch.
#[derive(Debug)]
pub struct Branch {
    /// Its number within the context.
    pub no: u16,
    /// Where it goes.
    pub aim: Aim,
    /// How far it is.
    pub stage: Stage,
    /// How many branches it may have further on (RFC 5393 5.3.3).
    pub breadth: u32,
    /// Addresses that were not tried.
    pub rest: Vec<Target>,
    /// The tags of its early dialogs (RFC 6228 6).
    pub early: SmallVec<[Box<str>; 1]>,
}

impl Branch {
    /// It has no final response yet.
    pub fn is_pending(&self) -> bool {
        match self.stage {
            Stage::Asking | Stage::Reaching | Stage::Asked(_) | Stage::Proceeding(_) => true,
            Stage::Over(_) | Stage::Done => false,
        }
    }
}

/// The way to a target: a phone's flow, else RFC 3263 on the next hop.
pub fn destination(prepared: &Prepared, flow: Option<Flow>) -> Destination {
    let flow = flow.filter(|flow| flow.transport.is_secure() || !prepared.is_secure());
    match (flow, &prepared.next_route) {
        (Some(flow), None) => Destination::Flow(flow),
        (Some(_) | None, _) => Destination::Uri(prepared.next_hop()),
    }
}

/// Request-URI and Route (16.6 steps 2 and 6).
pub fn edit_way(forward: &mut Forward<'_>, prepared: &Prepared, target: Option<&Uri>) {
    forward.pop_routes = prepared.pop_routes;
    forward.pop_last_route = prepared.pop_last_route;
    let meant = target.or(prepared.rewritten.then_some(&prepared.uri));
    forward.uri = meant.map(ToString::to_string);
    // The next hop is a strict router: it gets its own URI as Request-URI, and the target behind all routes.
    if let Some(next) = prepared.next_route.as_ref().filter(|next| !next.is_loose()) {
        forward.push_route = Some(format!("<{}>", meant.unwrap_or(&prepared.uri)));
        forward.uri = Some(next.to_string());
        forward.pop_routes += 1;
    }
}

/// A request of this method may make a dialog, so that we want to stay on its way (16.6 step 4).
pub fn makes_dialog(method: &Method) -> bool {
    match method {
        Method::Invite | Method::Subscribe | Method::Refer | Method::Notify | Method::Other(_) => true,
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Register
        | Method::Prack
        | Method::Update
        | Method::Info
        | Method::Message
        | Method::Publish => false,
    }
}

impl Context {
    /// The way of a branch is there: the request is sent (16.6).
    pub fn on_reached(&mut self, t: &mut Turn<'_, '_>, no: u16, flow: Flow, rest: Vec<Target>) {
        let (Some(request), Some(place)) = (self.request.clone(), self.place(no)) else {
            return;
        };
        if !matches!(self.branches[place].stage, Stage::Reaching) {
            return;
        }
        let branch = &mut self.branches[place];
        branch.rest = rest;
        let mark = t.desk.marks.branch(t.cx, self.id, &request);
        let forward = self.edits(t, &request, place, flow);
        let tx = t.layer.forward(t.cx, self.owner(no), flow, &mark, forward);
        self.branches[place].stage = Stage::Asked(tx);
        if self.is_invite {
            self.start_timer_c(t, no);
        }
    }

    /// 16.6 step 11.
    pub fn start_timer_c(&self, t: &mut Turn<'_, '_>, no: u16) {
        t.desk
            .timers
            .set(super::Timer::C(self.id, no), t.cx.now + limits::TIMER_C);
    }

    /// All edits of 16.6 for one branch.
    fn edits<'m>(&self, t: &mut Turn<'_, '_>, request: &'m Message, place: usize, flow: Flow) -> Forward<'m> {
        let branch = &self.branches[place];
        let mut forward = Forward::new(request);
        let (mut uri, fixed) = match &branch.aim {
            Aim::Target { uri, flow } => (uri.clone(), *flow),
            Aim::User(_) => (None, None),
        };
        // RFC 5630 5.3: a phone that may be called by SIPS is called by SIP where SIP was called, and by TLS all the same.
        if let Some(uri) = uri.as_mut().filter(|uri| uri.scheme == Scheme::Sips) {
            uri.scheme = if self.prepared.is_secure() {
                Scheme::Sips
            } else {
                Scheme::Sip
            };
        }
        edit_way(&mut forward, &self.prepared, uri.as_ref());
        let hops = request.number(Name::MaxForwards).and_then(Result::ok);
        forward.max_forwards = Some(hops.map_or(limits::MAX_FORWARDS, |hops| hops.min(256).saturating_sub(1)));
        forward.max_breadth = Some(branch.breadth);
        forward.source = Some(self.flow.peer);
        forward.consumed.clone_from(&self.consumed);
        if self.records_route {
            // Within a dialog it is the one that its route set has, for an end that has forgotten that (16.6 step 4), and for the
            // NOTIFY of another fork, which makes a dialog of its own (RFC 6665 4.3).
            let passage = self.prepared.passage.unwrap_or_else(|| Passage {
                from_caller: true,
                ends: Ends {
                    caller: self.caller_flow(request),
                    callee: fixed,
                },
            });
            let token = t.desk.marks.token(request, &passage);
            let route = self.prepared.next_route.as_ref();
            let secure = self.prepared.is_secure() || route.is_some_and(|route| route.scheme == Scheme::Sips);
            forward.record_routes = record_routes(t, &token, secure, self.flow, flow);
        }
        forward
    }

    /// The flow back to the sender, where it is a phone that said so: nobody is between us, and it listens where it sends from.
    fn caller_flow(&self, request: &Message) -> Option<Flow> {
        let alone = request.all(Name::Via).len() == 1;
        let rport = || request.top_via().is_ok_and(|via| via.params.get("rport").is_some());
        (alone && (self.flow.transport.is_reliable() || rport())).then_some(self.flow)
    }
}

/// Our Record-Route; two where the sides differ in transport or address, that of the callee's side on top (RFC 5658 4). What leaves
/// to a SIPS URI has SIPS there (RFC 3261 16.6 step 4).
fn record_routes(t: &Turn<'_, '_>, token: &str, secure: bool, incoming: Flow, outgoing: Flow) -> Vec<String> {
    let value = |flow: Flow| {
        let sips = secure && flow.transport.is_secure();
        let param = flow.transport.uri_param();
        let said = param.filter(|_| !(sips && flow.transport == Transport::Tls));
        let transport = said.map_or_else(String::new, |param| format!(";transport={param}"));
        let scheme = if sips { "sips" } else { "sip" };
        format!("<{scheme}:{token}@{}{transport};lr>", t.cx.advertised(flow))
    };
    let (inner, outer) = (value(incoming), value(outgoing));
    if inner == outer {
        vec![outer]
    } else {
        vec![outer, inner]
    }
}

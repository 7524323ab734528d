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
use super::mark::Ends;
use super::route::Prepared;
use super::{Turn, context::Context};
use crate::effect::{Binding, Which};
use crate::id::{ClientTx, Flow, Target, Transport};
use crate::limits;
use crate::push::Prid;
use crate::sip::uri::Scheme;
use crate::sip::write::push_address;
use crate::sip::{AddrText, Forward, Method, Name, NameAddr, Uri};
use crate::transaction::Destination;
use smallvec::SmallVec;

/// Where a request is to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Aim {
    /// To all phones of this user, or to that one of them only.
    User(String, Option<Which>),
    /// To this URI; over this flow, where it is a phone's.
    Target {
        /// In place of the Request-URI; none keeps that.
        uri: Option<Uri>,
        /// The phone's flow.
        flow: Option<Flow>,
        /// What most phones do not have.
        beyond: Option<Box<Beyond>>,
    },
}

/// What a target may have beyond a URI and a flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beyond {
    /// The proxies on the way to the phone (RFC 3327).
    pub path: Vec<NameAddr>,
    /// The way by them was not found: what is left is the flow that the registration came by.
    pub pathless: bool,
    /// The phone is reached by its flows and by nothing else (RFC 5626).
    pub outbound: bool,
    /// Its flow is gone.
    pub lost: bool,
    /// Further flows of the same device: one is asked at a time (RFC 5626 7).
    pub next: Vec<Binding>,
    /// It sleeps, and is woken before it is called (RFC 8599).
    pub asleep: Option<Box<(Binding, Prid)>>,
}

impl Aim {
    /// To a URI, wherever that leads.
    pub const fn uri(uri: Option<Uri>) -> Aim {
        Aim::Target {
            uri,
            flow: None,
            beyond: None,
        }
    }

    /// The proxies on the way to a phone, where there are any.
    pub fn path(&self) -> &[NameAddr] {
        self.beyond().map_or(&[], |beyond| &beyond.path)
    }

    /// What it has beyond a URI and a flow.
    pub fn beyond(&self) -> Option<&Beyond> {
        match self {
            Aim::Target { beyond, .. } => beyond.as_deref(),
            Aim::User(..) => None,
        }
    }
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

    /// It had its time: no other way to its target is tried.
    pub fn give_up(&mut self) {
        self.rest = Vec::new();
        if let Aim::Target {
            beyond: Some(beyond), ..
        } = &mut self.aim
        {
            beyond.next = Vec::new();
        }
    }

    /// The device has another flow.
    fn has_next(&self) -> bool {
        self.aim.beyond().is_some_and(|beyond| !beyond.next.is_empty())
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

/// The way to a branch's target: by its path where it has one.
pub fn destination_of(prepared: &Prepared, aim: &Aim) -> Destination {
    let Aim::Target { uri, flow, beyond } = aim else {
        return destination(prepared, None);
    };
    let pathless = beyond.as_ref().is_some_and(|beyond| beyond.pathless);
    match (aim.path().first().filter(|_| !pathless), uri, &prepared.next_route) {
        (Some(first), _, None) => Destination::Uri(first.uri.clone()),
        (None, Some(uri), None) if flow.is_none() => Destination::Uri(uri.clone()),
        (_, _, _) => destination(prepared, *flow),
    }
}

/// Request-URI and Route (16.6 steps 2 and 6).
pub fn edit_way(forward: &mut Forward<'_>, prepared: &Prepared, target: Option<&Uri>) {
    forward.pop_routes = prepared.pop_routes;
    forward.pop_last_route = prepared.pop_last_route;
    let meant = target.or(prepared.rewritten.then_some(&prepared.uri));
    forward.uri = meant.map(Uri::text);
    // The next hop is a strict router: it gets its own URI as Request-URI, and the target behind all routes.
    if let Some(next) = prepared.next_route.as_ref().filter(|next| !next.is_loose()) {
        forward.push_route = Some(format!("<{}>", meant.unwrap_or(&prepared.uri)));
        forward.uri = Some(next.to_string());
        forward.pop_routes += 1;
    }
}

/// The path to a phone goes in front of Route (RFC 3327 5.4); its first value is the next hop, and may be a strict router as any
/// other (16.6 step 6).
pub fn edit_path(forward: &mut Forward<'_>, path: &[NameAddr], target: &Uri) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let values = |list: &[NameAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if first.uri.is_loose() {
        forward.preload = Some(values(path));
    } else {
        forward.uri = Some(first.uri.to_string());
        forward.preload = (!rest.is_empty()).then(|| values(rest));
        forward.push_route = Some(format!("<{target}>"));
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
        let Some(place) = self.place(no) else { return };
        if !matches!(self.branches[place].stage, Stage::Reaching) {
            return;
        }
        let branch = &mut self.branches[place];
        branch.rest = rest;
        let mark = t.desk.marks.branch(t.cx, self.id, &self.request);
        let forward = self.edits(t, place, flow);
        let tx = t.layer.forward(t.cx, self.owner(no), flow, &mark, forward);
        self.branches[place].stage = Stage::Asked(tx);
        if self.branches[place].has_next() {
            t.desk
                .timers
                .set(super::Timer::Flow(self.id, no), t.cx.now + limits::FLOW_SILENCE);
        }
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
    fn edits(&self, t: &mut Turn<'_, '_>, place: usize, flow: Flow) -> Forward<'_> {
        let request = &self.request;
        let branch = &self.branches[place];
        let mut forward = Forward::new(request);
        let (mut uri, fixed) = match &branch.aim {
            Aim::Target { uri, flow, .. } => (uri.clone(), *flow),
            Aim::User(..) => (None, None),
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
        // RFC 5627 6.1: a request that has a way of its own takes that.
        let path = branch.aim.path();
        if self.prepared.next_route.is_none() && !path.is_empty() {
            edit_path(&mut forward, path, uri.as_ref().unwrap_or(&self.prepared.uri));
        }
        // Behind a path there is no flow of the phone's own.
        let fixed = fixed.filter(|_| path.is_empty());
        let hops = request.number(Name::MaxForwards).and_then(Result::ok);
        forward.max_forwards = Some(hops.map_or(limits::MAX_FORWARDS, |hops| hops.min(256).saturating_sub(1)));
        forward.max_breadth = Some(branch.breadth);
        forward.source = Some(self.flow.peer);
        forward.consumed.clone_from(&self.consumed);
        if self.records_route {
            // Within a dialog it is the one that its route set has, for an end that has forgotten that (16.6 step 4), and for the
            // NOTIFY of another fork, which makes a dialog of its own (RFC 6665 4.3).
            let token = match &self.prepared.token {
                Some(token) => token.to_string(),
                None => {
                    let ends = Ends {
                        caller: self.caller_flow(),
                        callee: fixed,
                    };
                    let origin = (self.origin, t.cx.wall);
                    t.desk.marks.token(t.cx.marker, origin, request, &ends)
                }
            };
            let route = self.prepared.next_route.as_ref();
            let secure = self.prepared.is_secure() || route.is_some_and(|route| route.scheme == Scheme::Sips);
            forward.record_routes = record_routes(t, &token, secure, self.flow, flow);
        }
        forward
    }

    /// The flow back to the sender, where it is a phone that said so: nobody is between us, and it listens where it sends from.
    fn caller_flow(&self) -> Option<Flow> {
        let request = &self.request;
        let alone = request.values(Name::Via).nth(1).is_none();
        let rport = || request.top().is_ok_and(|via| via.asks_port);
        // RFC 5626 5.3.2: it says of its own contact that its flow is the way to it.
        let ob = || {
            let says = |value: &str| {
                let contact = AddrText::parse(value).and_then(AddrText::uri);
                contact.is_ok_and(|contact| contact.params.get("ob").is_some())
            };
            request.values(Name::Contact).any(|value| says(&value))
        };
        (alone && (self.flow.transport.is_reliable() || rport() || ob())).then_some(self.flow)
    }
}

/// Our Record-Route; two where the sides differ in transport or address, that of the callee's side on top (RFC 5658 4). What leaves
/// to a SIPS URI has SIPS there (RFC 3261 16.6 step 4).
fn record_routes(t: &Turn<'_, '_>, token: &str, secure: bool, incoming: Flow, outgoing: Flow) -> Vec<String> {
    let value = |flow: Flow| {
        let sips = secure && flow.transport.is_secure();
        let param = flow.transport.uri_param();
        let mut text = String::with_capacity(64 + token.len());
        for part in [if sips { "<sips:" } else { "<sip:" }, token, "@"] {
            text.push_str(part);
        }
        push_address(&mut text, t.cx.advertised(flow));
        if let Some(param) = param.filter(|_| !(sips && flow.transport == Transport::Tls)) {
            text.push_str(";transport=");
            text.push_str(param);
        }
        text.push_str(";lr>");
        text
    };
    let side = |flow: Flow| (t.cx.advertised(flow), flow.transport.uri_param());
    if side(incoming) == side(outgoing) {
        vec![value(outgoing)]
    } else {
        vec![value(outgoing), value(incoming)]
    }
}

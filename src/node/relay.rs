//! What is proxied: for whom, and whereto. Nobody is served who is not a user, a trunk or a dialog of ours (no open relay).

use super::local;
use super::machines::Machines;
use crate::b2bua::{self, Source};
use crate::config::{Config, Way};
use crate::cx::Cx;
use crate::effect::{Blame, Cause, Device, Fact, Output, Party, Which};
use crate::id::{Flow, TrunkIx};
use crate::limits;
use crate::proxy::{Aim, Claim, Missed, Order, Passed, Prepared, Refusal, Start, Told};
use crate::registrar::gruu::NoDevice;
use crate::routing::{self, Decision, Plan};
use crate::sip::auth;
use crate::sip::{AddrText, Draft, Message, Method, Name};
use crate::trunk::Busy;

/// RFC 5627 6.1.
pub(super) const BAD_GRUU: &str = "a GRUU that means no device of ours";

/// Where a call that is proxied goes.
pub(super) struct Destined {
    prepared: Prepared,
    /// The callee, and what decided; none for another domain.
    user: Option<(String, Decision)>,
    /// The one device of the callee that is meant.
    which: Option<Which>,
    /// A redirection may lead to other domains.
    foreign: bool,
}

impl Machines {
    /// Whether a call is proxied, and whereto. One to a user who is busy is bridged, since the user's `on_busy` may send it anywhere.
    pub(super) fn proxied_call(
        &self,
        cx: &Cx<'_>,
        flow: Flow,
        (source, passed): (&Source, Passed),
        request: &Message,
    ) -> Option<Destined> {
        let prepared = self.proxy.prepare(cx, flow, request).ok()?;
        let foreign = may_leave(cx.config, source, passed);
        if is_foreign(cx.config, flow, &prepared) {
            return foreign.then_some(Destined {
                prepared,
                user: None,
                which: None,
                foreign,
            });
        }
        let device = self.registrar.gruus().device(cx.config, flow, &prepared.uri).ok()?;
        let dialled = dialled(&prepared, device.as_ref())?;
        let decision = routing::decide(cx.config, source, &dialled);
        // A dialog of phones that are proxied is replaced by them; one of ours is ours to replace.
        let replaces = self.calls.is_replaced(request);
        // A page has media of its own kind, and rings beside the phones of its user: such a call is bridged, unless one device is meant.
        let rings_page = |name: &str| device.is_none() && self.calls.is_at_client(name);
        match (&decision.plan, decision.way) {
            (Plan::User(name), Way::Proxy) if !replaces && !rings_page(name) => {
                let limit = cx.config.user(name).map_or(0, |user| user.calls);
                let free = self.calls.calls_of(name) < limit || self.proxy.is_counted(passed, request);
                let user = Some((name.clone(), decision));
                let which = device.map(|device| device.which);
                free.then_some(Destined {
                    prepared,
                    user,
                    which,
                    foreign,
                })
            }
            (Plan::User(_) | Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Room(_) | Plan::Reject { .. }, _) => {
                None
            }
        }
    }

    /// Sends an INVITE on that makes a call.
    pub(super) fn relay_call(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        (source, passed): (Source, Passed),
        request: Message,
        to: Destined,
    ) {
        let is_new = !self.proxy.is_counted(passed, &request);
        let refused = if self.stopping {
            Err((503, "the node is being stopped"))
        } else if self.calls.len() + self.proxy.calls() >= limits::CALLS {
            Err((503, "as many calls as the node may have are up"))
        } else if is_new {
            self.take_place(cx, &source)
        } else {
            Ok(())
        };
        if let Err((status, why)) = refused {
            let mut refusal = Refusal::new(status, why);
            if status == 503 {
                refusal.fields.push((Name::RetryAfter, "10".to_owned()));
            }
            return self.refuse_by(cx, flow, &request, &refusal);
        }
        let Some(tx) = self.net.layer.accept_to_forward(cx, flow, &request) else {
            if let Some(trunk) = trunk_of(&source).filter(|_| is_new) {
                self.net.trunks.release(cx, trunk);
            }
            return self.overloaded(cx, flow, &request);
        };
        let config = cx.config.clone();
        let call = is_new.then(|| self.start_of(cx, &source, &request, &to));
        let user = to.user.as_ref().and_then(|(name, _)| config.user(name));
        let mut bridges = Vec::new();
        bridges.extend(user.map(|_| Missed::Media));
        // RFC 5627 6.1: what is for one device goes nowhere else.
        if let Some(user) = user.filter(|_| to.which.is_none()) {
            bridges.extend(user.on_busy.as_ref().map(|_| Missed::Busy));
            bridges.extend(user.on_no_answer.as_ref().map(|_| Missed::NoAnswer));
            bridges.extend(user.on_offline.as_ref().map(|_| Missed::Offline));
        }
        let order = Order {
            flow,
            tx,
            not: own_flow(&source, user.map(|user| user.name.as_str()), flow),
            foreign: to.foreign,
            consumed: consumed(cx, flow, &request),
            ring: user.map(|user| user.ring),
            aim: user.map_or(Aim::uri(None), |user| Aim::User(user.name.clone(), to.which)),
            prepared: to.prepared,
            request,
            call,
            bridges,
        };
        self.proxy.begin(cx, &mut self.net.layer, order);
    }

    /// The record of a call, whose users are in one call more from now on.
    fn start_of(&mut self, cx: &Cx<'_>, source: &Source, request: &Message, to: &Destined) -> Start {
        let from_user = || {
            let line = request.from_line().ok()?;
            let from = AddrText::parse(&line).and_then(AddrText::uri).ok()?;
            Some(from.user_decoded()?.into_owned())
        };
        let (from, caller) = match source {
            Source::User(name) => (Party::User(name.clone()), name.clone()),
            Source::Trunk(ix) => {
                let name = cx
                    .config
                    .trunk(*ix)
                    .map_or_else(String::new, |trunk| trunk.name.clone());
                (
                    Party::Trunk(*ix, name),
                    from_user().unwrap_or_else(|| "unknown".to_owned()),
                )
            }
        };
        // The place of a trunk was taken when it was asked whether there is one.
        let mut claims: Vec<Claim> = match &from {
            Party::User(name) | Party::Service(name) => vec![Claim::User(name.clone())],
            Party::Trunk(_, name) => vec![Claim::Trunk(name.clone())],
        };
        let (called, to, rule, callee) = match &to.user {
            Some((name, decision)) => {
                claims.push(Claim::User(name.clone()));
                let (called, rule) = (decision.number.clone(), decision.rule.clone());
                (called, format!("user/{name}"), rule, Party::User(name.clone()))
            }
            None => {
                let host = to.prepared.uri.host.to_string();
                let called = to.prepared.uri.user_decoded().unwrap_or_else(|| host.clone());
                let rule = "another domain, by the Request-URI".to_owned();
                (called, host.clone(), rule, Party::Service(host))
            }
        };
        for claim in &claims {
            match claim {
                Claim::User(name) => self.calls.claim(name),
                Claim::Trunk(_) => {}
            }
        }
        Start {
            id: self.calls.new_call_id(cx),
            from,
            caller,
            called,
            to,
            rule,
            callee,
            claims,
        }
    }

    /// A request outside of dialogs that is no call and not for the node itself.
    pub(super) fn relay_loose(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let validated = self.proxy.validate(flow, &request);
        let passed = match &validated {
            Ok(passed) => *passed,
            Err(refusal) if refusal.status == 482 => return self.refuse_by(cx, flow, &request, refusal),
            Err(_) => Passed::Never,
        };
        let Some(source) = self.source(cx, flow, &request, passed) else {
            return;
        };
        let prepared = validated.and_then(|_| self.proxy.prepare(cx, flow, &request));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return self.refuse_by(cx, flow, &request, &refusal),
        };
        let Ok(device) = self.registrar.gruus().device(cx.config, flow, &prepared.uri) else {
            return self.refuse_with(cx, flow, &request, 404, BAD_GRUU);
        };
        if device.is_none() && request.has_to_tag() {
            return self.refuse_with(cx, flow, &request, 481, "it belongs to no dialog");
        }
        // What came back to us is not asked who sent it: that is not enough for a room.
        let is_here = passed != Passed::Spiral && device.is_none() && !is_foreign(cx.config, flow, &prepared);
        let room = is_here.then(|| self.room_asked(cx, &source, &request, dialled(&prepared, None)));
        if let Some(room) = room.flatten() {
            return self.at_room(cx, flow, &source, &request, (room, &prepared.uri));
        }
        let foreign = may_leave(cx.config, &source, passed);
        let aim = match loose_aim(cx.config, flow, (&source, foreign), &request, &prepared, device) {
            Ok(aim) => aim,
            Err((status, why)) => return self.refuse_with(cx, flow, &request, status, why),
        };
        let callee = match &aim {
            Aim::User(name, _) => Some(name.as_str()),
            Aim::Target { .. } => None,
        };
        let not = own_flow(&source, callee, flow);
        self.relay(cx, flow, request, prepared, aim, (not, foreign));
    }

    /// A request with a To tag that no call of ours knows: sent on if its Route proves that its dialog was set up through us.
    pub(super) fn relay_in_dialog(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let prepared = self.proxy.prepare(cx, flow, &request).ok();
        let device = |prepared: &Prepared| self.registrar.gruus().device(cx.config, flow, &prepared.uri);
        let device = prepared
            .as_ref()
            .filter(|prepared| prepared.next_route.is_none())
            .map(device);
        let is_gruu = prepared
            .as_ref()
            .is_some_and(|prepared| prepared.uri.params.get("gr").is_some());
        let found = prepared.and_then(|prepared| prepared.passage.map(|passage| (prepared, passage)));
        let (prepared, passage) = match (found, &device) {
            (Some(found), _) => found,
            // The dialog was not set up through us, but its target is one of our users by a GRUU, or looks like it: who sends it is
            // asked first, so that no name is told from another.
            (None, Some(_)) if is_gruu => return self.relay_loose(cx, flow, request),
            (None, _) => {
                return self.refuse_with(cx, flow, &request, 481, "it belongs to no dialog");
            }
        };
        if let Err(refusal) = self.proxy.validate(flow, &request) {
            return self.refuse_by(cx, flow, &request, &refusal);
        }
        let aim = match device {
            // RFC 5627 6.1: wherever the device is reached now.
            Some(Ok(Some(device))) => Aim::User(device.user.into(), Some(device.which)),
            Some(Err(NoDevice)) => return self.refuse_with(cx, flow, &request, 404, BAD_GRUU),
            Some(Ok(None)) | None => Aim::Target {
                uri: None,
                flow: passage.flow(),
                beyond: None,
            },
        };
        self.relay(cx, flow, request, prepared, aim, (None, false));
    }

    fn relay(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        request: Message,
        prepared: Prepared,
        aim: Aim,
        (not, foreign): (Option<Flow>, bool),
    ) {
        let Some(tx) = self.net.layer.accept_to_forward(cx, flow, &request) else {
            return self.overloaded(cx, flow, &request);
        };
        let order = Order {
            flow,
            tx,
            prepared,
            aim,
            not,
            foreign,
            consumed: consumed(cx, flow, &request),
            ring: None,
            call: None,
            bridges: Vec::new(),
            request,
        };
        self.proxy.begin(cx, &mut self.net.layer, order);
    }

    /// The device that a request is for by its GRUU.
    pub(super) fn device_of(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> Option<Device> {
        let uri = self.proxy.prepare(cx, flow, request).ok()?.uri;
        self.registrar.gruus().device(cx.config, flow, &uri).ok().flatten()
    }

    /// The caller's place, as of a call that is bridged: of a trunk it is taken, a user has some more than make him busy. The error is
    /// the status that the caller is owed, and why.
    fn take_place(&mut self, cx: &Cx<'_>, source: &Source) -> Result<(), (u16, &'static str)> {
        match source {
            Source::User(name) => {
                let most = cx.config.user(name).map_or(0, |user| user.calls) + limits::CALLS_PLACED;
                let free = self.calls.calls_of(name) < most;
                free.then_some(())
                    .ok_or((403, "a user has as many calls as one may place"))
            }
            Source::Trunk(trunk) => self.net.trunks.reserve(cx, *trunk).map_err(|busy| match busy {
                Busy::Calls => (503, "all calls that the trunk may have are up"),
                Busy::Rate => (503, "the trunk has no more calls in this second"),
                Busy::Draining => (503, "the trunk is removed from the configuration"),
            }),
        }
    }

    fn release(&mut self, claim: &Claim) {
        match claim {
            Claim::User(name) => self.calls.release(name),
            Claim::Trunk(name) => self.net.trunks.release_by_name(name),
        }
    }

    /// Does what the proxy wants done.
    pub(super) fn heed_proxy(&mut self, cx: &mut Cx<'_>) {
        while let Some(told) = self.proxy.poll() {
            match told {
                Told::Wake(owner, asleep) => self.net.waker.wake(cx, owner, *asleep),
                Told::Released(claims) => claims.iter().for_each(|claim| self.release(claim)),
                Told::Bridge {
                    call,
                    from,
                    flow,
                    tx,
                    request,
                    missed,
                } => {
                    self.net.layer.adopt(tx, &request);
                    // The configuration may be another by now, and the caller be none of ours any more.
                    let source = match from {
                        Party::User(name) | Party::Service(name) => {
                            cx.config.user(&name).map(|user| Source::User(user.name.clone()))
                        }
                        Party::Trunk(_, name) => cx.config.trunk_by_name(&name).map(|(ix, _)| Source::Trunk(ix)),
                    };
                    let Some(source) = source else {
                        let response = Draft::response(&request, 480, Some(&cx.token(8)));
                        self.net.layer.respond(cx, tx, response);
                        let why = "the caller is no longer one of ours";
                        cx.emit(Output::Record(Fact::CallEnded {
                            call,
                            at: cx.wall,
                            cause: Cause::of_status(480, Blame::Node, why),
                            legs: Vec::new(),
                        }));
                        continue;
                    };
                    let missed = match missed {
                        Missed::Media => None,
                        Missed::Busy => Some(b2bua::Missed::Busy),
                        Missed::NoAnswer => Some(b2bua::Missed::NoAnswer),
                        Missed::Offline => Some(b2bua::Missed::Offline),
                    };
                    let to = self.device_of(cx, flow, &request);
                    self.calls
                        .adopt(cx, &mut self.net, (call, missed), source, flow, tx, (request, to));
                }
            }
        }
    }
}

fn trunk_of(source: &Source) -> Option<TrunkIx> {
    match source {
        Source::User(_) => None,
        Source::Trunk(trunk) => Some(*trunk),
    }
}

/// True for a request that leaves us by its Request-URI or by a Route of another.
fn is_foreign(config: &Config, flow: Flow, prepared: &Prepared) -> bool {
    prepared.next_route.is_some() || !config.is_local(&prepared.uri, flow.local.ip())
}

/// Only users of a domain that says `do: proxy` reach other domains, and only who has shown to be one: what came back to us is not
/// asked who sent it.
fn may_leave(config: &Config, source: &Source, passed: Passed) -> bool {
    match source {
        Source::User(_) if passed == Passed::Spiral => false,
        Source::User(name) => config
            .user(name)
            .is_some_and(|user| config.way_of(&user.domain) == Way::Proxy),
        Source::Trunk(_) => false,
    }
}

/// Where a request that is no call goes: to a user's phones, by the dial plan, or to another domain.
fn loose_aim(
    config: &Config,
    flow: Flow,
    (source, foreign): (&Source, bool),
    request: &Message,
    prepared: &Prepared,
    device: Option<Device>,
) -> Result<Aim, (u16, &'static str)> {
    if is_foreign(config, flow, prepared) {
        return match foreign {
            true => Ok(Aim::uri(None)),
            false => Err((404, "the called host is not one of `domains` nor an address of ours")),
        };
    }
    let not_served = match request.method() {
        Method::Other(_) => (501, "an unknown method, and not for a user"),
        _known => (405, "that method is not served outside of a dialog"),
    };
    let plan = dialled(prepared, device.as_ref()).map(|dialled| routing::decide(config, source, &dialled).plan);
    match plan {
        Some(Plan::User(name)) => Ok(Aim::User(name, device.map(|device| device.which))),
        Some(Plan::Reject { status, .. }) => Err((status, "the dial plan refuses it")),
        Some(Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Room(_)) | None => Err(not_served),
    }
}

/// What is dialled: the user whose device it is for, or what the Request-URI says.
fn dialled(prepared: &Prepared, device: Option<&Device>) -> Option<String> {
    match device {
        Some(device) => Some(device.user.to_string()),
        None => prepared.uri.user_decoded().filter(|user| !user.is_empty()),
    }
}

/// The caller's own phone does not ring when the caller's user is called.
fn own_flow(source: &Source, callee: Option<&str>, flow: Flow) -> Option<Flow> {
    match source {
        Source::User(name) if callee == Some(name) => Some(flow),
        Source::User(_) | Source::Trunk(_) => None,
    }
}

/// Credentials for a realm of ours have done their work (RFC 3261 22.3), and are nobody else's business.
pub(super) fn consumed(cx: &Cx<'_>, flow: Flow, request: &Message) -> Vec<(Name, String)> {
    let names = [Name::ProxyAuthorization, Name::Authorization];
    let mut consumed = Vec::new();
    if names.iter().all(|name| request.get(*name).is_none()) {
        return consumed;
    }
    let Ok(line) = request.from_line() else { return consumed };
    let Ok(from) = AddrText::parse(&line).and_then(AddrText::uri) else {
        return consumed;
    };
    let realm = local::realm(cx.config, flow, &from);
    for name in names {
        let ours = request
            .all(name)
            .into_iter()
            .filter(|value| auth::names_realm(value, realm));
        consumed.extend(ours.map(|value| (name, value.into_owned())));
    }
    consumed
}

//! One branch of a search: our INVITE and what comes back (RFC 3261 13.2.2), early dialogs of forks behind the peer included.

use super::call::{Call, Stage};
use super::cause::{self, q850};
use super::desk::{LegTimer, Turn};
use super::hunt::{Step, reachable};
use super::leg::{Beyond, Leg, LegId, Progress, State, Who};
use crate::config::Config;
use crate::dialog::Naming;
use crate::dialog::reliable::Verdict;
use crate::effect::{Blame, Cause, Fact, Output, Reply};
use crate::id::{Flow, Target};
use crate::limits;
use crate::room::Input as RoomInput;
use crate::sip::{Message, Name};
use crate::transaction::{Destination, Failure};
use crate::trunk::Outcome;
use std::net::IpAddr;
use std::sync::Arc;

/// May another peer of the carrier be tried after this failure?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The peer itself did not work.
    OtherPeer,
    /// The call was answered with a failure: another peer would say the same.
    No,
}

impl Call {
    /// A way to a peer was found: to a branch's, or of requests in a dialog.
    pub fn on_reached(&mut self, t: &mut Turn<'_, '_>, id: LegId, flow: Flow, rest: Vec<Target>) {
        let (worker, connect) = (self.worker, self.connect_limit(id));
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else {
            return self.early_way_found(t, id, Some(flow));
        };
        let waiting = matches!(&leg.state, State::Outgoing(outgoing) if outgoing.progress == Progress::Reaching);
        if !waiting || self.hunt.is_none() {
            return leg.way_found(t, flow);
        }
        leg.flow = flow;
        if let State::Outgoing(outgoing) = &mut leg.state {
            outgoing.rest = rest;
        }
        self.offer_sight(t, id);
        let (Some(hunt), Some(leg)) = (&self.hunt, self.legs.iter_mut().find(|leg| leg.id == id)) else {
            return;
        };
        if !leg.invite(t, hunt, worker) {
            let cause = cause::cause(503, Blame::Node, "no media port is free");
            return self.branch_failed(t, id, cause, Retry::No);
        }
        if let Some(connect) = connect {
            t.wake_leg(id, LegTimer::Connect, connect);
        }
    }

    /// How long a carrier's peer may say nothing, or one flow of a device that has several.
    fn connect_limit(&self, id: LegId) -> Option<std::time::Duration> {
        let leg = self.leg(id)?;
        match leg.who.trunk() {
            Some(trunk) => Some(self.config.trunks[usize::from(trunk.0)].connect),
            // RFC 5626 7: the device has other flows.
            None => leg
                .outgoing()
                .filter(|outgoing| !outgoing.beyond.next.is_empty())
                .map(|_| limits::FLOW_SILENCE),
        }
    }

    /// There is no way to a peer.
    pub fn on_unreachable(&mut self, t: &mut Turn<'_, '_>, id: LegId, failure: Failure) {
        let Some(leg) = self.leg_mut(id) else {
            return self.early_way_found(t, id, None);
        };
        match &leg.state {
            State::Outgoing(outgoing) if outgoing.progress == Progress::Reaching => {
                if self.without_path(t, id) || self.next_flow(t, id, Leg::gone) {
                    return;
                }
                self.judge_peer(t, id, Outcome::Gone(failure));
                let text = match failure {
                    Failure::Unresolved => "no address for the peer's name came from the DNS",
                    Failure::Timeout | Failure::Transport => "there is no way to the peer",
                };
                let cause = self.unreached(id, text);
                self.branch_failed(t, id, cause, Retry::OtherPeer);
            }
            State::Incoming(_)
            | State::Outgoing(_)
            | State::Cancelled(_)
            | State::Up
            | State::Leaving
            | State::Gone => leg.say_waiting(t),
        }
    }

    /// The proxies on the way to a phone cannot be found by their names: the registration came by a flow that leads there, too.
    fn without_path(&mut self, t: &mut Turn<'_, '_>, id: LegId) -> bool {
        let Some(leg) = self.leg_mut(id) else { return false };
        let flow = leg.flow;
        let Some(outgoing) = leg.outgoing_mut() else {
            return false;
        };
        if outgoing.beyond.path.is_empty() || outgoing.beyond.pathless {
            return false;
        }
        outgoing.beyond.pathless = true;
        t.net.layer.reach(t.cx, id.owner(), Destination::Flow(flow));
        true
    }

    /// The device's next flow is called in place of this one (RFC 5626 7), which is left as `leave` says.
    fn next_flow(&mut self, t: &mut Turn<'_, '_>, id: LegId, leave: impl FnOnce(&mut Leg, &mut Turn<'_, '_>)) -> bool {
        let Some(leg) = self.leg_mut(id) else { return false };
        let (Who::User(name), Some(outgoing)) = (leg.who.clone(), leg.outgoing_mut()) else {
            return false;
        };
        let next = std::mem::take(&mut outgoing.beyond.next);
        if next.is_empty() || !self.ring_device(t, &name, next, true) {
            return false;
        }
        if let Some(leg) = self.leg_mut(id) {
            leave(leg, t);
        }
        true
    }

    /// The phone of a branch has woken, or has not.
    pub fn on_woken(&mut self, t: &mut Turn<'_, '_>, id: LegId, reply: Reply) {
        let Some(Who::User(name)) = self.leg(id).map(|leg| leg.who.clone()) else {
            return;
        };
        let device = match reply {
            Reply::Bindings { bindings, .. } => bindings.to_vec(),
            Reply::Failed | Reply::Replaced { .. } | Reply::Conflict => Vec::new(),
        };
        if !device.is_empty() && self.ring_device(t, &name, device, true) {
            if let Some(leg) = self.leg_mut(id) {
                leg.gone(t);
            }
            return;
        }
        let cause = self.unreached(id, "the phone was not woken");
        self.branch_failed(t, id, cause, Retry::No);
    }

    fn early_way_found(&mut self, t: &mut Turn<'_, '_>, seeker: LegId, flow: Option<Flow>) {
        for leg in &mut self.legs {
            if leg.early_way_found(t, seeker, flow) {
                return;
            }
        }
    }

    /// A carrier's peer said nothing for too long: the next one.
    pub fn on_silent_peer(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let calling = self
            .leg(id)
            .and_then(Leg::outgoing)
            .is_some_and(|out| out.progress == Progress::Calling);
        if calling && !self.next_flow(t, id, |leg, t| leg.give_up(t, None)) {
            if let Some(leg) = self.leg(id) {
                t.net.layer.hold_down(t.cx, leg.flow);
            }
            self.judge_peer(t, id, Outcome::Gone(Failure::Timeout));
            let cause = self.unreached(id, "the peer did not react");
            self.branch_abandoned(t, id, cause);
        }
    }

    /// A response to our first INVITE.
    pub fn on_invite_response(&mut self, t: &mut Turn<'_, '_>, id: LegId, response: &Message) {
        let Some(leg) = self.leg_mut(id) else { return };
        match (&leg.state, response.status()) {
            (State::Outgoing(_), 100..=199) => self.provisional(t, id, response),
            (State::Outgoing(_), 200..=299) => self.success(t, id, response),
            (State::Outgoing(_), _) => self.failure(t, id, response),
            (State::Cancelled(_), 200..=299) => {
                let state = std::mem::replace(&mut leg.state, State::Gone);
                leg.let_go(t, &state);
                if let State::Cancelled(outgoing) = &state
                    && let Some(invite) = outgoing.begun()
                {
                    let given = outgoing.credentials.clone();
                    self.dismiss(t, id, (invite, given), response, outgoing.reason.as_deref());
                }
            }
            (State::Cancelled(_), 300..) => leg.gone(t),
            (State::Up | State::Leaving | State::Gone, 200..=299) => self.success_again(t, id, response),
            (State::Cancelled(_) | State::Incoming(_) | State::Up | State::Leaving | State::Gone, _) => {}
        }
    }

    fn provisional(&mut self, t: &mut Turn<'_, '_>, id: LegId, response: &Message) {
        t.desk.timers.cancel(super::desk::Timer::Leg(id, LegTimer::Connect));
        let Some(leg) = self.leg_mut(id) else { return };
        if let Some(outgoing) = leg.outgoing_mut()
            && outgoing.progress == Progress::Calling
        {
            outgoing.progress = Progress::Proceeding;
            self.judge_peer(t, id, Outcome::Alive);
        }
        let status = response.status();
        let naming = Naming::of_response(response);
        let outgoing = self.leg(id).and_then(Leg::outgoing);
        let is_new = outgoing
            .zip(naming.as_ref())
            .is_some_and(|(outgoing, naming)| outgoing.may_begin(naming));
        let seeker = if is_new { self.new_leg_id() } else { id };
        let Some(leg) = self.leg_mut(id).filter(|_| status > 100) else {
            return;
        };
        match (
            leg.early(t, response, seeker)
                .map(|early| early.receiver.receive(response)),
            &naming,
        ) {
            (Some(Verdict::New(rack)), Some(naming)) => leg.prack(t, naming, &rack),
            (Some(Verdict::Duplicate | Verdict::OutOfOrder), _) => return,
            (Some(Verdict::New(_) | Verdict::Unreliable) | None, _) => {}
        }
        let agreed = leg.early_answer(t, response);
        // 199 ends an early dialog and 181 and 182 say nothing of ringing (RFC 3261 21.1, RFC 6228).
        let rings = matches!(status, 180 | 183);
        if let Some(outgoing) = leg.outgoing_mut().filter(|_| rings) {
            outgoing.rang = true;
            outgoing.bare_ring |= status == 180 && agreed.is_none();
        }
        let wish = agreed.as_ref().map(|agreed| agreed.direction.mirrored());
        // A fax has nothing to be heard before the answer.
        let codec = agreed
            .filter(|agreed| agreed.image.is_none())
            .map(|agreed| agreed.stream.codec);
        if rings {
            self.ringing(t);
        }
        if status < 199 {
            self.pass_progress(t, status, codec, wish);
        }
    }

    fn ringing(&mut self, t: &mut Turn<'_, '_>) {
        if let Some(hunt) = &mut self.hunt {
            hunt.rang = true;
        }
        if !self.rang {
            self.rang = true;
            t.cx.emit(Output::Record(Fact::CallRinging {
                call: self.id,
                at: t.cx.wall,
            }));
        }
    }

    fn pass_progress(
        &mut self,
        t: &mut Turn<'_, '_>,
        status: u16,
        codec: Option<codecs::Codec>,
        wish: Option<crate::sdp::Direction>,
    ) {
        match self.stage {
            Stage::Setup { caller } => {
                // A caller who can't make a ringback tone is given one with the first bare 180 (RFC 3960 3.2).
                let ours = status == 180 && codec.is_none() && self.wants_ringback(caller);
                let (status, heard) = match (ours, &codec) {
                    (true, _) => (183, Some(&[][..])),
                    (false, codec) => (status, codec.as_ref().map(std::slice::from_ref)),
                };
                if let Some(leg) = self.leg_mut(caller) {
                    leg.progress(t, status, heard, wish.unwrap_or_default());
                }
            }
            Stage::DialOut(place) if matches!(status, 180 | 183) => t.desk.rooms.tell(place, RoomInput::Rings),
            Stage::Talk { .. } => self.transfer_progress(t, status),
            Stage::DialOut(_) | Stage::Over { .. } => {}
        }
    }

    /// The caller's configuration says that it makes no ringback tone; and it has told where it can hear ours.
    fn wants_ringback(&self, caller: LegId) -> bool {
        let Some(leg) = self.leg(caller) else { return false };
        let wants = match &leg.who {
            Who::User(name) => self.config.user(name).is_some_and(|user| user.ringback),
            Who::Trunk(trunk, _) => self.config.trunks[usize::from(trunk.0)].ringback,
        };
        wants && !self.begins_as_fax() && leg.incoming().is_some_and(|incoming| incoming.offer.is_some())
    }

    fn success(&mut self, t: &mut Turn<'_, '_>, id: LegId, response: &Message) {
        t.desk.timers.cancel(super::desk::Timer::Leg(id, LegTimer::Connect));
        self.judge_peer(t, id, Outcome::Alive);
        let Some(leg) = self.leg_mut(id) else { return };
        match leg.answered(t, response) {
            Ok(()) => self.hunt_won(t, id),
            Err(cause) => {
                leg.leave(t, cause::reason(&cause));
                self.branch_over(t, cause, Retry::No);
            }
        }
    }

    fn failure(&mut self, t: &mut Turn<'_, '_>, id: LegId, response: &Message) {
        let (status, config) = (response.status(), self.config.clone());
        let for_one_device = self.hunt.as_ref().is_some_and(|hunt| hunt.which.is_some());
        let Some(leg) = self.leg_mut(id) else { return };
        if status == 422 && leg.timer.on_too_small(response) && self.invite_again(t, id) {
            return;
        }
        let Some(leg) = self.leg_mut(id) else { return };
        let rang = leg.outgoing().is_some_and(|outgoing| outgoing.rang);
        let (is_user, who, own) = (leg.who.trunk().is_none(), leg.who.clone(), leg.flow.local.ip());
        if let (301 | 302, Who::User(name)) = (status, who)
            && let Some(to) = redirect(response, &config, own).filter(|_| !for_one_device)
        {
            leg.gone(t);
            self.cancel_branches(t, cause::ELSEWHERE);
            return self.forward(t, &name, &to, "has sent the call on at the phone");
        }
        // The flow failed, and not the device; a phone that rang has had the call (RFC 5626 7).
        if (status == 430 || (status == 408 && !rang)) && self.next_flow(t, id, Leg::gone) {
            return;
        }
        let outcome = match Outcome::of(response) {
            // What rang is there: 408 says that nobody answered.
            Outcome::Dead(_) if rang => Outcome::Alive,
            outcome @ (Outcome::Alive | Outcome::Dead(_) | Outcome::Gone(_) | Outcome::Unavailable(_)) => outcome,
        };
        self.judge_peer(t, id, outcome);
        let text = if is_user {
            "the phone refused"
        } else {
            "the carrier refused"
        };
        let mut told = cause::told(response, status, Blame::Callee, text);
        told.status = cause::outward(status);
        // A peer that rang has the call: another one would ring again, and be billed twice.
        let retry = match outcome {
            Outcome::Dead(_) | Outcome::Gone(_) | Outcome::Unavailable(_) if !rang => Retry::OtherPeer,
            Outcome::Alive | Outcome::Dead(_) | Outcome::Gone(_) | Outcome::Unavailable(_) => Retry::No,
        };
        self.branch_failed(t, id, told, retry);
    }

    /// The same INVITE again under a new CSeq, after a 422.
    fn invite_again(&mut self, t: &mut Turn<'_, '_>, id: LegId) -> bool {
        let leg = self.legs.iter_mut().find(|leg| leg.id == id);
        let (Some(leg), Some(hunt)) = (leg, &self.hunt) else {
            return false;
        };
        leg.invite_again(t, hunt)
    }

    /// Our INVITE has no final response at all.
    pub fn on_invite_failed(&mut self, t: &mut Turn<'_, '_>, id: LegId, failure: Failure) {
        let Some(leg) = self.leg_mut(id) else { return };
        match &leg.state {
            State::Outgoing(_) => {}
            State::Cancelled(_) => return leg.gone(t),
            State::Incoming(_) | State::Up | State::Leaving | State::Gone => return,
        }
        if self.next_flow(t, id, Leg::gone) {
            return;
        }
        let Some(leg) = self.leg_mut(id) else { return };
        if let (Failure::Transport, Some(target)) = (failure, leg.listener())
            && let Some(outgoing) = leg.outgoing_mut()
        {
            outgoing.rest.push(target);
        }
        self.judge_peer(t, id, Outcome::Gone(failure));
        let text = match failure {
            Failure::Timeout => "the peer did not answer",
            Failure::Transport | Failure::Unresolved => "the connection to the peer broke",
        };
        let cause = self.unreached(id, text);
        self.branch_failed(t, id, cause, Retry::OtherPeer);
    }

    /// A phone that is not there is an absent subscriber; a carrier's peer that is not there is a network out of order.
    fn unreached(&self, id: LegId, text: &str) -> Cause {
        let is_trunk = self.leg(id).is_some_and(|leg| leg.who.trunk().is_some());
        let (status, q850) = if is_trunk {
            (503, q850::NETWORK_OUT_OF_ORDER)
        } else {
            (480, q850::SUBSCRIBER_ABSENT)
        };
        cause::exact(status, q850, Blame::Network, text)
    }

    /// A branch has failed for good, without any transaction left.
    fn branch_failed(&mut self, t: &mut Turn<'_, '_>, id: LegId, cause: Cause, retry: Retry) {
        let rest = self.rest_of(id, retry);
        if let Some(leg) = self.leg_mut(id) {
            leg.gone(t);
        }
        if rest.is_none_or(|(leg, targets)| !self.same_peer_again(t, leg, targets)) {
            self.branch_over(t, cause, retry);
        }
    }

    /// A branch that did not react is given up; its transaction may go on for a while.
    fn branch_abandoned(&mut self, t: &mut Turn<'_, '_>, id: LegId, cause: Cause) {
        let rest = self.rest_of(id, Retry::OtherPeer);
        if let Some(leg) = self.leg_mut(id) {
            leg.give_up(t, None);
        }
        if rest.is_none_or(|(leg, targets)| !self.same_peer_again(t, leg, targets)) {
            self.branch_over(t, cause, Retry::OtherPeer);
        }
    }

    /// The other addresses of the peer's name that were not tried (RFC 3263 4.3).
    fn rest_of(&self, id: LegId, retry: Retry) -> Option<(Attempt, Vec<Target>)> {
        let leg = self.leg(id)?;
        let outgoing = leg
            .outgoing()
            .filter(|out| retry == Retry::OtherPeer && !out.rest.is_empty())?;
        let plan = Attempt {
            who: leg.who.clone(),
            identity: leg.identity.clone(),
            target: outgoing.target.clone(),
            to: outgoing.to.clone(),
            beyond: outgoing.beyond.clone(),
        };
        Some((plan, outgoing.rest.clone()))
    }

    fn same_peer_again(&mut self, t: &mut Turn<'_, '_>, leg: Attempt, targets: Vec<Target>) -> bool {
        let Attempt {
            who,
            identity,
            target,
            to,
            beyond,
        } = leg;
        self.branch(
            t,
            who,
            identity,
            super::leg::NOWHERE,
            target,
            to,
            (Some(Destination::Targets(targets)), beyond),
        )
    }

    /// A branch is out of the search: what the others say counts, or the next step.
    fn branch_over(&mut self, t: &mut Turn<'_, '_>, cause: Cause, retry: Retry) {
        let Some(hunt) = &mut self.hunt else { return };
        let declined = cause.status >= 600;
        let best = match hunt.best.take() {
            Some(best) if cause::better(best.status, cause.status) == best.status => best,
            Some(_) | None => cause,
        };
        let reason = cause::reason(&best);
        hunt.best = Some(best);
        if declined {
            // A global failure speaks for all phones (RFC 3261 16.7 step 5).
            self.cancel_branches(t, &reason);
        }
        if self.has_branches() {
            return;
        }
        match self.hunt.as_ref().map(|hunt| &hunt.step) {
            Some(Step::Trunk { .. }) if retry == Retry::OtherPeer => self.next_peer(t),
            Some(_) => self.step_failed(t),
            None => {}
        }
    }

    /// A branch that nobody could hear is given up.
    pub fn branch_unheard(&mut self, t: &mut Turn<'_, '_>, id: LegId, cause: Cause) {
        let Some(leg) = self.leg_mut(id) else { return };
        let searched = leg.outgoing().is_some();
        leg.hang_up(t, &cause);
        if searched {
            self.branch_over(t, cause, Retry::No);
        }
    }

    /// A branch ended its early dialog itself.
    pub fn branch_left(&mut self, t: &mut Turn<'_, '_>, request: &Message) {
        let told = cause::told(request, 480, Blame::Callee, "the phone left before it answered");
        self.branch_over(t, told, Retry::No);
    }

    fn judge_peer(&mut self, t: &mut Turn<'_, '_>, id: LegId, outcome: Outcome) {
        if let Some(Who::Trunk(trunk, Some(peer))) = self.leg(id).map(|leg| &leg.who) {
            t.net.trunks.report(t.cx, *trunk, *peer, outcome);
        }
    }
}

/// What a further attempt at the same peer takes over.
struct Attempt {
    who: Who,
    identity: Option<Arc<super::identity::Identity>>,
    target: crate::sip::Uri,
    to: Arc<str>,
    beyond: Beyond,
}

/// Where a phone sends its calls: the user part of the first Contact of a 301 or 302 that is ours to reach.
fn redirect(response: &Message, config: &Config, own: IpAddr) -> Option<String> {
    let contacts = response.addresses(Name::Contact).ok()?;
    contacts.iter().find_map(|contact| reachable(&contact.uri, config, own))
}

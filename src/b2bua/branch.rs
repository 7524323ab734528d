//! One branch of a search: our INVITE and what comes back (RFC 3261 13.2.2), early dialogs of forks behind the peer included.

use super::answer::read_body;
use super::call::{Call, NETWORK_OUT_OF_ORDER, Stage};
use super::cause;
use super::desk::{LegTimer, Turn};
use super::end::acknowledge;
use super::hunt::{ABSENT, Hunt, Step, dialled};
use super::leg::{Early, Leg, LegId, Outgoing, Progress, State, What, Who};
use super::offer::wish_of;
use super::send::{SDP, own_host};
use crate::dialog::accepted::Acknowledged;
use crate::dialog::reliable::{RAck, Receiver, Verdict};
use crate::dialog::{Dialog, DialogId};
use crate::effect::{Blame, Cause, Fact, Output};
use crate::id::{Flow, Target};
use crate::limits;
use crate::sdp::{Agreed, Session};
use crate::sip::{CSeq, Draft, Message, Method, Name, NameAddr};
use crate::transaction::{Destination, Failure};
use crate::trunk::Outcome;

/// May another peer of the carrier be tried after this failure?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The peer itself did not work.
    OtherPeer,
    /// The call was answered with a failure: another peer would say the same.
    No,
}

impl Leg {
    /// The INVITE that we send or sent.
    pub fn outgoing(&self) -> Option<&Outgoing> {
        match &self.state {
            State::Outgoing(outgoing) => Some(outgoing),
            State::Incoming(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        }
    }

    fn outgoing_mut(&mut self) -> Option<&mut Outgoing> {
        match &mut self.state {
            State::Outgoing(outgoing) => Some(outgoing),
            State::Incoming(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        }
    }

    /// Writes and sends the INVITE. False when there is no port for its media.
    fn invite(&mut self, t: &mut Turn<'_, '_, '_>, hunt: &Hunt, worker: crate::id::WorkerId) -> bool {
        if !self.open_media(t, worker) {
            return false;
        }
        let Some((target, to)) = self
            .outgoing()
            .map(|outgoing| (outgoing.target.clone(), outgoing.to.clone()))
        else {
            return true;
        };
        let mut invite = Draft::request(Method::Invite, target);
        invite.push(Name::MaxForwards, hunt.max_forwards);
        self.write_identity(t, hunt, &mut invite);
        invite.push(Name::To, NameAddr::new(to));
        invite.push(Name::CallId, t.cx.token(16));
        invite.push(
            Name::CSeq,
            CSeq {
                number: 1,
                method: Method::Invite,
            },
        );
        self.describe_us(t, &mut invite);
        self.timer.write_request(&mut invite);
        let theirs: &[String] = match &self.who {
            Who::User(_) => &[],
            Who::Trunk(trunk, _) => &t.cx.config.trunks[usize::from(trunk.0)].pass_headers,
        };
        for field in &hunt.passed {
            if field.anywhere || theirs.iter().any(|name| name.eq_ignore_ascii_case(&field.name)) {
                invite.push_named(field.name.clone(), &field.value);
            }
        }
        if let Some(oa) = &mut self.oa {
            oa.prefer(&hunt.codecs);
            invite.set_body(SDP, oa.offer(hunt.want).to_string());
        }
        if let Some(outgoing) = self.outgoing_mut() {
            outgoing.progress = Progress::Calling;
            outgoing.invite = Some(invite.clone());
        }
        self.send(t, What::Invite, invite);
        true
    }

    /// Who calls: From, and towards a carrier what it may know besides.
    fn write_identity(&self, t: &mut Turn<'_, '_, '_>, hunt: &Hunt, invite: &mut Draft) {
        let config = t.cx.config.clone();
        let mut from = match &self.who {
            Who::User(name) => {
                let user = config.users.iter().find(|user| user.name == *name);
                hunt.identity.for_user(user.map_or("", |user| user.domain.as_str()))
            }
            Who::Trunk(trunk, _) => {
                let trunk = &config.trunks[usize::from(trunk.0)];
                let host = own_host(t.cx, self.flow);
                if let Some(asserted) = hunt.identity.asserted(trunk, &host) {
                    invite.push(Name::PAssertedIdentity, asserted);
                    if hunt.identity.private {
                        invite.push(Name::Privacy, "id");
                    }
                }
                hunt.identity.for_trunk(trunk, &host)
            }
        };
        from.params.set("tag", Some(&t.cx.token(8)));
        invite.push(Name::From, from);
    }

    /// The early dialog of a provisional response: known, or made now. `None` when there are too many, or it makes none.
    fn early(&mut self, t: &mut Turn<'_, '_, '_>, response: &Message) -> Option<&mut Early> {
        let (id, leg) = (DialogId::of_response(response)?, self.id);
        let outgoing = self.outgoing_mut()?;
        let found = outgoing.early.iter().position(|early| early.dialog.id == id);
        let ix = match found {
            Some(ix) => ix,
            None if id.remote_tag.is_empty() || outgoing.early.len() >= limits::EARLY_DIALOGS => return None,
            None => {
                let dialog = Dialog::uac(outgoing.invite.as_ref()?, response).ok()?;
                t.desk.add_dialog(&id, leg);
                outgoing.early.push(Early {
                    dialog,
                    receiver: Receiver::default(),
                    complete: false,
                    answer: None,
                });
                outgoing.early.len() - 1
            }
        };
        outgoing.early.get_mut(ix)
    }

    /// Acknowledges a reliable provisional response.
    fn prack(&mut self, t: &mut Turn<'_, '_, '_>, id: &DialogId, rack: &RAck) {
        let Some(outgoing) = self.outgoing_mut() else { return };
        let Some(early) = outgoing.early.iter_mut().find(|early| early.dialog.id == *id) else {
            return;
        };
        let (mut prack, next_hop) = (early.dialog.request(Method::Prack), early.dialog.next_hop());
        prack.push(Name::RAck, rack);
        prack.push(Name::UserAgent, crate::USER_AGENT);
        self.find_way(t, &next_hop);
        self.send(t, What::Prack, prack);
    }

    /// Takes the description of a provisional response: the newest is heard. `None` when it has none that can be used.
    fn early_answer(&mut self, t: &mut Turn<'_, '_, '_>, response: &Message) -> Option<Agreed> {
        let session = read_body(response).ok().flatten()?;
        let agreed = self.oa.as_ref()?.preview(&session, self.signalling()).ok()?;
        let early = self.early(t, response)?;
        early.complete |= response.has_token(Name::Require, "100rel");
        early.answer = Some((agreed.clone(), session));
        if let Some(outgoing) = self.outgoing_mut() {
            outgoing.bare_ring = false;
        }
        if let Some(media) = &mut self.media {
            media.negotiated(t, &agreed, None);
        }
        Some(agreed)
    }

    /// The 2xx: its dialog, its answer (or the one of its early dialog), our ACK. The error is why the session can't be.
    fn answered(&mut self, t: &mut Turn<'_, '_, '_>, response: &Message) -> Result<(), Cause> {
        let unusable = |text: &str| cause::cause(488, Blame::Callee, text);
        let signalling = self.signalling();
        let State::Outgoing(outgoing) = std::mem::replace(&mut self.state, State::Up) else {
            return Ok(());
        };
        let Some(invite) = &outgoing.invite else {
            return Err(unusable("an answer to no request"));
        };
        let id = DialogId::of_response(response).ok_or_else(|| unusable("the answer has no tags"))?;
        let early = outgoing.early.iter().find(|early| early.dialog.id == id);
        for other in outgoing.early.iter().filter(|early| early.dialog.id != id) {
            t.desk.remove_dialog(&other.dialog.id);
        }
        let dialog = match early {
            Some(early) => {
                let mut dialog = early.dialog.clone();
                dialog.refresh(response).map(|()| dialog)
            }
            None => Dialog::uac(invite, response),
        };
        let dialog = dialog.map_err(|error| cause::cause(502, Blame::Callee, error.reason))?;
        t.desk.add_dialog(&id, self.id);
        let ack = acknowledge(&dialog, Some(invite), response);
        let next_hop = dialog.next_hop();
        self.dialog = Some(dialog);
        self.find_way(t, &next_hop);
        self.send(t, What::Ack, ack.clone());
        self.acked = Some(Acknowledged::new(response.cseq().map_or(0, |cseq| cseq.number), ack));
        self.allows_update = allows_update(response);
        self.timer.on_success(t.now(), response);
        let before: Option<(Agreed, Session)> = early.and_then(|early| early.answer.clone());
        let body = read_body(response).map_err(|error| unusable(error.reason()))?;
        let Some(oa) = &mut self.oa else {
            return Err(unusable("the leg has no media"));
        };
        match (body, before) {
            (Some(answer), _) => {
                oa.complete(&answer, signalling)
                    .map_err(|error| unusable(error.reason()))?;
            }
            (None, Some((agreed, answer))) => oa.settle(agreed, wish_of(&answer)),
            (None, None) => return Err(unusable("the answer has no session description")),
        }
        self.negotiated(t);
        Ok(())
    }
}

/// The peer takes UPDATE.
pub fn allows_update(message: &Message) -> bool {
    message.has_token(Name::Allow, "UPDATE")
}

impl Call {
    /// A way to a peer was found: to a branch's, or of requests in a dialog.
    pub fn on_reached(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, flow: Flow, rest: Vec<Target>) {
        let (worker, connect) = (self.worker, self.connect_limit(id));
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else {
            return;
        };
        let waiting = matches!(&leg.state, State::Outgoing(outgoing) if outgoing.progress == Progress::Reaching);
        let (true, Some(hunt)) = (waiting, &self.hunt) else {
            return leg.way_found(t, flow);
        };
        leg.flow = flow;
        if let State::Outgoing(outgoing) = &mut leg.state {
            outgoing.rest = rest;
        }
        if !leg.invite(t, hunt, worker) {
            let cause = cause::cause(503, Blame::Node, "no media port is free");
            return self.branch_failed(t, id, cause, Retry::No);
        }
        if let Some(connect) = connect {
            t.wake_leg(id, LegTimer::Connect, connect);
        }
    }

    /// How long a carrier's peer may say nothing.
    fn connect_limit(&self, id: LegId) -> Option<std::time::Duration> {
        let trunk = self.leg(id)?.who.trunk()?;
        Some(self.config.trunks[usize::from(trunk.0)].connect)
    }

    /// There is no way to a peer.
    pub fn on_unreachable(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId) {
        let Some(leg) = self.leg_mut(id) else { return };
        match &leg.state {
            State::Outgoing(outgoing) if outgoing.progress == Progress::Reaching => {
                self.judge_peer(t, id, Outcome::Dead);
                let cause = self.unreached(id, "there is no way to the peer");
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

    /// A carrier's peer said nothing for too long: the next one.
    pub fn on_silent_peer(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId) {
        let calling = self
            .leg(id)
            .and_then(Leg::outgoing)
            .is_some_and(|out| out.progress == Progress::Calling);
        if calling {
            self.judge_peer(t, id, Outcome::Dead);
            let cause = self.unreached(id, "the peer did not react");
            self.branch_abandoned(t, id, cause);
        }
    }

    /// A response to our first INVITE.
    pub fn on_invite_response(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, response: &Message) {
        let Some(leg) = self.leg_mut(id) else { return };
        match (&leg.state, response.status()) {
            (State::Outgoing(_), 100..=199) => self.provisional(t, id, response),
            (State::Outgoing(_), 200..=299) => self.success(t, id, response),
            (State::Outgoing(_), _) => self.failure(t, id, response),
            (State::Cancelled(outgoing), 200..=299) => {
                if let Some(invite) = outgoing.invite.clone() {
                    leg.dismiss(t, &invite, response);
                }
                leg.gone(t);
            }
            (State::Cancelled(_), 300..) => leg.gone(t),
            (State::Up | State::Leaving | State::Gone, 200..=299) => leg.success_again(t, response),
            (State::Cancelled(_) | State::Incoming(_) | State::Up | State::Leaving | State::Gone, _) => {}
        }
    }

    fn provisional(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, response: &Message) {
        t.desk.timers.cancel(super::desk::Timer::Leg(id, LegTimer::Connect));
        let Some(leg) = self.leg_mut(id) else { return };
        if let Some(outgoing) = leg.outgoing_mut()
            && outgoing.progress == Progress::Calling
        {
            outgoing.progress = Progress::Proceeding;
            self.judge_peer(t, id, Outcome::Alive);
        }
        let status = response.status();
        let Some(leg) = self.leg_mut(id).filter(|_| status > 100) else {
            return;
        };
        let dialog = DialogId::of_response(response);
        match (
            leg.early(t, response).map(|early| early.receiver.receive(response)),
            &dialog,
        ) {
            (Some(Verdict::New(rack)), Some(dialog)) => leg.prack(t, dialog, &rack),
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
        let codec = agreed.map(|agreed| agreed.stream.codec);
        if rings {
            self.ringing(t);
        }
        if status < 199 {
            self.pass_progress(t, status, codec, wish);
        }
    }

    fn ringing(&mut self, t: &mut Turn<'_, '_, '_>) {
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
        t: &mut Turn<'_, '_, '_>,
        status: u16,
        codec: Option<codecs::Codec>,
        wish: Option<crate::sdp::Direction>,
    ) {
        match self.stage {
            Stage::Setup { caller } => {
                if let Some(leg) = self.leg_mut(caller) {
                    leg.progress(t, status, codec, wish.unwrap_or_default());
                }
            }
            Stage::Talk { .. } => self.transfer_progress(t, status),
            Stage::Over { .. } => {}
        }
    }

    fn success(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, response: &Message) {
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

    fn failure(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, response: &Message) {
        let status = response.status();
        let Some(leg) = self.leg_mut(id) else { return };
        if status == 422 && leg.timer.on_too_small(response) && leg.invite_again(t) {
            return;
        }
        let rang = leg.outgoing().is_some_and(|outgoing| outgoing.rang);
        let (is_user, who) = (leg.who.trunk().is_none(), leg.who.clone());
        if let (301 | 302, Who::User(name)) = (status, who)
            && let Some(to) = redirect(response)
        {
            leg.gone(t);
            self.cancel_branches(t, cause::ELSEWHERE);
            return self.forward(t, &name, &to, "has sent the call on at the phone");
        }
        let dead = status == 503;
        self.judge_peer(t, id, if dead { Outcome::Dead } else { Outcome::Alive });
        let text = if is_user {
            "the phone refused"
        } else {
            "the carrier refused"
        };
        let mut told = cause::told(response, status, Blame::Callee, text);
        told.status = cause::outward(status);
        // A peer that rang has the call: another one would ring again, and be billed twice.
        let retry = if dead && !rang { Retry::OtherPeer } else { Retry::No };
        self.branch_failed(t, id, told, retry);
    }

    /// Our INVITE has no final response at all.
    pub fn on_invite_failed(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, failure: Failure) {
        let Some(leg) = self.leg_mut(id) else { return };
        match &leg.state {
            State::Outgoing(_) => {}
            State::Cancelled(_) => return leg.gone(t),
            State::Incoming(_) | State::Up | State::Leaving | State::Gone => return,
        }
        self.judge_peer(t, id, Outcome::Dead);
        let text = match failure {
            Failure::Timeout => "the peer did not answer",
            Failure::Transport => "the connection to the peer broke",
            Failure::Unresolved => "the peer's name has no address",
        };
        let cause = self.unreached(id, text);
        self.branch_failed(t, id, cause, Retry::OtherPeer);
    }

    /// A phone that is not there is an absent subscriber; a carrier's peer that is not there is a network out of order.
    fn unreached(&self, id: LegId, text: &str) -> Cause {
        let is_trunk = self.leg(id).is_some_and(|leg| leg.who.trunk().is_some());
        let (status, q850) = if is_trunk {
            (503, NETWORK_OUT_OF_ORDER)
        } else {
            (480, ABSENT)
        };
        Cause {
            status,
            q850,
            by: Blame::Network,
            text: text.to_owned(),
        }
    }

    /// A branch has failed for good, without any transaction left.
    fn branch_failed(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, cause: Cause, retry: Retry) {
        let rest = self.rest_of(id, retry);
        if let Some(leg) = self.leg_mut(id) {
            leg.gone(t);
        }
        if rest.is_none_or(|(leg, targets)| !self.same_peer_again(t, leg, targets)) {
            self.branch_over(t, cause, retry);
        }
    }

    /// A branch that did not react is given up; its transaction may go on for a while.
    fn branch_abandoned(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, cause: Cause) {
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
        };
        Some((plan, outgoing.rest.clone()))
    }

    fn same_peer_again(&mut self, t: &mut Turn<'_, '_, '_>, leg: Attempt, targets: Vec<Target>) -> bool {
        let Attempt {
            who,
            identity,
            target,
            to,
        } = leg;
        self.branch(
            t,
            who,
            identity,
            super::leg::NOWHERE,
            target,
            to,
            Destination::Targets(targets),
        )
    }

    /// A branch is out of the search: what the others say counts, or the next step.
    fn branch_over(&mut self, t: &mut Turn<'_, '_, '_>, cause: Cause, retry: Retry) {
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

    /// A branch ended its early dialog itself.
    pub fn branch_left(&mut self, t: &mut Turn<'_, '_, '_>, request: &Message) {
        let told = cause::told(request, 480, Blame::Callee, "the phone left before it answered");
        self.branch_over(t, told, Retry::No);
    }

    fn judge_peer(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, outcome: Outcome) {
        if let Some(Who::Trunk(trunk, Some(peer))) = self.leg(id).map(|leg| &leg.who) {
            t.net.trunks.report(t.cx, *trunk, *peer, outcome);
        }
    }
}

/// What a further attempt at the same peer takes over.
struct Attempt {
    who: Who,
    identity: super::identity::Identity,
    target: crate::sip::Uri,
    to: crate::sip::Uri,
}

impl Leg {
    /// The same INVITE again under a new CSeq, after a 422.
    fn invite_again(&mut self, t: &mut Turn<'_, '_, '_>) -> bool {
        let Some(mut again) = self.outgoing().and_then(|outgoing| outgoing.invite.clone()) else {
            return false;
        };
        let Some(number) = self.next_cseq(&again) else {
            return false;
        };
        self.timer.write_request(&mut again);
        again.set(
            Name::CSeq,
            CSeq {
                number,
                method: Method::Invite,
            },
        );
        self.resend(t, What::Invite, again);
        true
    }

    /// A copy of the 2xx that was acknowledged gets its ACK again; another fork's is ended.
    pub fn success_again(&mut self, t: &mut Turn<'_, '_, '_>, response: &Message) {
        let ours = self
            .dialog
            .as_ref()
            .is_some_and(|dialog| DialogId::of_response(response).as_ref() == Some(&dialog.id));
        let Some(acked) = &self.acked else { return };
        if ours {
            if let Some(ack) = acked.resend(response).cloned() {
                self.send(t, What::Ack, ack);
            }
        } else {
            let invite = self.invite_of_dialog();
            self.dismiss(t, &invite, response);
        }
    }

    /// As much of our INVITE as the dialog of another fork is made from.
    fn invite_of_dialog(&self) -> Draft {
        let target = self.dialog.as_ref().map(|dialog| dialog.remote_target.clone());
        let mut invite = Draft::request(
            Method::Invite,
            target.unwrap_or_else(|| crate::sip::Uri::sip(None, super::identity::host_of("invalid"), None)),
        );
        if let Some(dialog) = &self.dialog {
            let mut to = dialog.remote.clone();
            to.params.remove("tag");
            invite.push(Name::From, &dialog.local);
            invite.push(Name::To, to);
        }
        invite
    }
}

/// Where a phone sends its calls: the user part of the first Contact of a 301 or 302.
fn redirect(response: &Message) -> Option<String> {
    let contact = response.addresses(Name::Contact).ok()?.into_iter().next()?;
    dialled(&contact.uri)
}

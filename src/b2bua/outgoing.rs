//! A leg that we call: our INVITE, the dialogs that its responses make, its answer (RFC 3261 13.2).

use super::answer::description;
use super::cause;
use super::desk::Turn;
use super::hunt::Hunt;
use super::leg::{Early, Leg, LegId, Outgoing, Progress, State, Way, What, Who};
use super::offer::wish_of;
use super::send::{SDP, is_on_flow, listener};
use crate::dialog::accepted::Acknowledged;
use crate::dialog::reliable::{RAck, Receiver};
use crate::dialog::{Dialog, Naming};
use crate::effect::{Blame, Cause};
use crate::id::{Flow, Target, WorkerId};
use crate::limits;
use crate::sdp::{Agreed, Session};
use crate::sip::{CSeq, Draft, Message, Method, Name, NameAddr, Uri};
use crate::transaction::Destination;
use bytes::Bytes;

impl Leg {
    /// The INVITE that we send or sent.
    pub fn outgoing(&self) -> Option<&Outgoing> {
        match &self.state {
            State::Outgoing(outgoing) => Some(outgoing),
            State::Incoming(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        }
    }

    pub fn outgoing_mut(&mut self) -> Option<&mut Outgoing> {
        match &mut self.state {
            State::Outgoing(outgoing) => Some(outgoing),
            State::Incoming(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        }
    }

    /// Where a phone can be connected to whose connection is gone before it was called.
    pub fn listener(&self) -> Option<Target> {
        let outgoing = self.outgoing().filter(|_| self.is_on_its_flow())?;
        if outgoing.beyond.outbound {
            return None;
        }
        listener(&outgoing.target, self.flow)
    }

    /// Writes and sends the INVITE. False when there is no port for its media.
    pub fn invite(&mut self, t: &mut Turn<'_, '_>, hunt: &Hunt, worker: WorkerId) -> bool {
        if !self.open_media(t, worker) {
            return false;
        }
        let from = self.write_from(t, hunt);
        let call_id = t.cx.token(16);
        let Some(outgoing) = self.outgoing_mut() else {
            return true;
        };
        outgoing.progress = Progress::Calling;
        (outgoing.from, outgoing.call_id, outgoing.cseq) = (from.into(), call_id.into(), 1);
        let Some(oa) = &mut self.oa else { return true };
        oa.prefer(&hunt.codecs);
        oa.turn_to(hunt.image.clone());
        let offer = oa.offer(hunt.want);
        self.send_invite(t, hunt, offer);
        true
    }

    /// The same INVITE again under a new CSeq, with what its refusal has taught.
    pub fn invite_again(&mut self, t: &mut Turn<'_, '_>, hunt: &Hunt) -> bool {
        let (Some(last), Some(offer)) = (
            self.outgoing().map(|outgoing| outgoing.cseq),
            self.oa.as_ref().and_then(super::offer::OfferAnswer::waiting),
        ) else {
            return false;
        };
        let number = self.next_number(last);
        if let Some(outgoing) = self.outgoing_mut() {
            outgoing.cseq = number;
        }
        self.send_invite(t, hunt, offer);
        true
    }

    fn send_invite(&mut self, t: &mut Turn<'_, '_>, hunt: &Hunt, offer: Bytes) {
        let Some(outgoing) = self.outgoing() else { return };
        let mut invite = by_path(outgoing.target.clone(), &outgoing.beyond.path);
        invite.push(Name::MaxForwards, hunt.max_forwards);
        self.write_asserted(t, hunt, &mut invite);
        invite.push(Name::From, &outgoing.from);
        invite.push(Name::To, &outgoing.to);
        invite.push(Name::CallId, &outgoing.call_id);
        invite.push(
            Name::CSeq,
            CSeq {
                number: outgoing.cseq,
                method: Method::Invite,
            },
        );
        self.describe_us(t, &mut invite);
        self.tell_packages(t, None, &mut invite);
        self.timer.write_request(&mut invite);
        for (name, value) in &outgoing.credentials {
            invite.push(*name, value);
        }
        let theirs: &[String] = match &self.who {
            Who::User(_) => &[],
            Who::Trunk(trunk, _) => &t.cx.config.trunks[usize::from(trunk.0)].pass_headers,
        };
        for field in &hunt.passed {
            if field.anywhere || theirs.iter().any(|name| name.eq_ignore_ascii_case(&field.name)) {
                invite.push_named(field.name.clone(), &field.value);
            }
        }
        invite.set_body(SDP, offer);
        self.send(t, What::Invite, invite);
    }

    /// From: who calls, and our tag.
    fn write_from(&self, t: &mut Turn<'_, '_>, hunt: &Hunt) -> String {
        let tag = t.cx.tag();
        match &self.who {
            Who::User(name) => {
                let user = t.cx.config.user(name);
                let shown = hunt.identity.for_user(user.map_or("", |user| user.domain.as_str()));
                format!("{shown};tag={tag}")
            }
            Who::Trunk(trunk, _) => {
                let trunk = &t.cx.config.trunks[usize::from(trunk.0)];
                let shown = hunt.identity.for_trunk(trunk, &self.own_host(t.cx));
                format!("{shown};tag={tag}")
            }
        }
    }

    /// What a carrier may know besides of who calls.
    fn write_asserted(&self, t: &Turn<'_, '_>, hunt: &Hunt, invite: &mut Draft) {
        let Some(trunk) = self.who.trunk() else { return };
        let trunk = &t.cx.config.trunks[usize::from(trunk.0)];
        let Some(asserted) = hunt.identity.asserted(trunk, &self.own_host(t.cx)) else {
            return;
        };
        invite.push(Name::PAssertedIdentity, asserted);
        if hunt.identity.private {
            invite.push(Name::Privacy, "id");
        }
    }

    /// The early dialog of a provisional response: known, or made now; then `seeker` is a new name, for the way in it. `None`
    /// when there are too many, or it makes none.
    pub fn early(&mut self, t: &mut Turn<'_, '_>, response: &Message, seeker: LegId) -> Option<&mut Early> {
        let (naming, leg, flow) = (Naming::of_response(response)?, self.id, self.flow);
        let outgoing = self.outgoing_mut()?;
        let found = outgoing.early.iter().position(|early| naming.is(&early.dialog.id));
        let ix = match found {
            Some(ix) => ix,
            None if !outgoing.may_begin(&naming) => return None,
            None => {
                let dialog = Dialog::uac(outgoing.begun()?, response).ok()?;
                t.desk.add_dialog(&dialog.id, leg);
                outgoing.early.reserve_exact(1);
                outgoing.early.push(Early {
                    dialog,
                    receiver: Receiver::default(),
                    complete: false,
                    answer: None,
                    flow,
                    way: Way::Open,
                    seeker,
                });
                outgoing.early.len() - 1
            }
        };
        outgoing.early.get_mut(ix)
    }

    /// Acknowledges a reliable provisional response.
    pub fn prack(&mut self, t: &mut Turn<'_, '_>, naming: &Naming<'_>, rack: &RAck) {
        let is_phone = self.is_on_its_flow();
        let Some(early) = self.early_dialog(naming) else { return };
        let (mut prack, next_hop) = (early.dialog.request(Method::Prack), early.dialog.next_hop());
        prack.push(Name::RAck, rack);
        prack.push(Name::UserAgent, crate::USER_AGENT);
        match &mut early.way {
            Way::Open if is_phone || is_on_flow(next_hop, &early.flow) => {
                let flow = early.flow;
                self.send_over(t, flow, What::Prack, prack);
            }
            Way::Open => {
                early.way = Way::Finding(vec![(What::Prack, prack)]);
                let destination = Destination::Uri(next_hop.clone());
                t.net.layer.reach(t.cx, early.seeker.owner(), destination);
            }
            Way::Finding(waiting) if waiting.len() < limits::LEG_REQUESTS_WAITING => {
                waiting.push((What::Prack, prack));
            }
            Way::Finding(_) => {}
        }
    }

    /// The early dialog with this name.
    fn early_dialog(&mut self, naming: &Naming<'_>) -> Option<&mut Early> {
        let outgoing = self.outgoing_mut()?;
        outgoing.early.iter_mut().find(|early| naming.is(&early.dialog.id))
    }

    /// The next hop of an early dialog was found, or not: then the flow of the INVITE is the best that is left. False when it
    /// was not looked for under this name.
    pub fn early_way_found(&mut self, t: &mut Turn<'_, '_>, seeker: LegId, flow: Option<Flow>) -> bool {
        let found = self
            .outgoing_mut()
            .and_then(|outgoing| outgoing.early.iter_mut().find(|early| early.seeker == seeker));
        let Some(early) = found else { return false };
        early.flow = flow.unwrap_or(early.flow);
        let flow = early.flow;
        if let Way::Finding(waiting) = std::mem::replace(&mut early.way, Way::Open) {
            for (what, draft) in waiting {
                self.send_over(t, flow, what, draft);
            }
        }
        true
    }

    /// Takes the description of a provisional response: the newest is heard. `None` when it has none that can be used.
    pub fn early_answer(&mut self, t: &mut Turn<'_, '_>, response: &Message) -> Option<Agreed> {
        let body = description(response)?;
        let session = Session::parse(&body).ok()?;
        let agreed = self.oa.as_ref()?.preview(&session, self.signalling()).ok()?;
        let early = self.early_dialog(&Naming::of_response(response)?)?;
        early.complete |= response.has_token(Name::Require, "100rel");
        early.answer = Some((agreed.clone(), wish_of(&session)));
        if let Some(outgoing) = self.outgoing_mut() {
            outgoing.bare_ring = false;
        }
        if let Some(oa) = &mut self.oa {
            oa.heard_early(&agreed);
        }
        if let Some(media) = &mut self.media {
            media.heard_early(t, &agreed);
        }
        Some(agreed)
    }

    /// The 2xx: its dialog, its answer (or the one of its early dialog), our ACK. The error is why the session can't be.
    pub fn answered(&mut self, t: &mut Turn<'_, '_>, response: &Message) -> Result<(), Cause> {
        let unusable = |text: &str| cause::cause(488, Blame::Callee, text);
        let signalling = self.signalling();
        let State::Outgoing(mut outgoing) = std::mem::replace(&mut self.state, State::Up) else {
            return Ok(());
        };
        outgoing.forget_ways(t);
        for early in &outgoing.early {
            t.desk.remove_dialog(&early.dialog.id);
        }
        let naming = Naming::of_response(response).ok_or_else(|| unusable("the answer has no tags"))?;
        let early = outgoing.early.iter().position(|early| naming.is(&early.dialog.id));
        let early = early.map(|place| outgoing.early.swap_remove(place));
        let (dialog, way, before) = match early {
            Some(Early {
                mut dialog,
                flow,
                answer,
                ..
            }) => (dialog.refresh(response).map(|()| dialog), flow, answer),
            None => {
                let invite = outgoing.begun().ok_or_else(|| unusable("an answer to no request"))?;
                (Dialog::uac(invite, response), self.flow, None)
            }
        };
        let dialog = dialog.map_err(|error| cause::cause(502, Blame::Callee, error.reason))?;
        t.desk.add_dialog(&dialog.id, self.id);
        self.flow = way;
        let acked = Acknowledged::new(response, std::mem::take(&mut outgoing.credentials));
        let ack = acked.ack(&dialog);
        (self.dialog, self.acked) = (Some(dialog), Some(acked));
        self.remember_contact(t.cx.config, outgoing.target);
        self.find_own_way(t);
        self.send(t, What::Ack, ack);
        self.allows_update = allows_update(response);
        self.timer.on_success(t.now(), response);
        let body = description(response);
        let body = body.as_deref().map(Session::parse).transpose();
        let body = body.map_err(|error| unusable(error.reason()))?;
        let Some(oa) = &mut self.oa else {
            return Err(unusable("the leg has no media"));
        };
        match (body, before) {
            (Some(answer), _) => {
                oa.complete(&answer, signalling)
                    .map_err(|error| unusable(error.reason()))?;
            }
            (None, Some((agreed, answer))) => oa.settle(agreed, answer),
            (None, None) => return Err(unusable("the answer has no session description")),
        }
        self.negotiated(t);
        Ok(())
    }
}

/// An INVITE that goes by the path to a phone (RFC 3327 5.4), which may begin with a strict router (RFC 3261 12.2.1.1).
fn by_path(target: Uri, path: &[NameAddr]) -> Draft {
    let Some((first, rest)) = path.split_first() else {
        return Draft::request(Method::Invite, target);
    };
    let is_loose = first.uri.is_loose();
    let uri = if is_loose { target.clone() } else { first.uri.clone() };
    let mut invite = Draft::request(Method::Invite, uri);
    for route in if is_loose { path } else { rest } {
        invite.push(Name::Route, route);
    }
    if !is_loose {
        invite.push(Name::Route, NameAddr::new(target));
    }
    invite
}

/// The peer takes UPDATE.
pub fn allows_update(message: &Message) -> bool {
    message.has_token(Name::Allow, "UPDATE")
}

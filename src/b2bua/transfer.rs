//! Transfer (RFC 3515, RFC 5589): a phone sends REFER, we do the rest. Phones never see each other's dialogs.
//!
//! ```text
//!   transferor            we                 kept party        target
//!      | REFER (target) -> |                     |                |
//!      | <--- 202, NOTIFY 100                    |                |
//!      |                   | INVITE --------------------------->  |    blind: a hunt like that of a new call
//!      | <--- NOTIFY 180   | <------------------------------ 180  |
//!      |                   | <------------------------------ 200  |
//!      | <--- NOTIFY 200, BYE                    |                |
//!      |                   | (re-INVITE) ------> |                |    where it was on hold: `reconcile`
//!      |                   |   media: kept <-> target             |
//! ```
//!
//! With Replaces in Refer-To the target is the far leg of another call of ours: it moves here, and the transferor's both legs
//! end. Where the target fails, NOTIFY says so and the call goes on as it was. A transferor that hangs up early leaves the
//! kept party with a ringback tone.

use super::call::{Call, Other, Stage};
use super::cause;
use super::desk::{Claim, Turn, Wish};
use super::hunt::{Hunt, Step, dialled};
use super::leg::{Leg, LegId, What, Who};
use super::send::contact;
use crate::config::Config;
use crate::dialog::DialogId;
use crate::effect::{Blame, Cause};
use crate::id::{ServerTx, TrunkIx};
use crate::routing::{self, Source};
use crate::sip::uri::Scheme;
use crate::sip::write::reason;
use crate::sip::{Draft, Message, Method, Name, NameAddr};
use std::sync::Arc;

/// A transfer under way.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Who asked for it; `None` when that leg has left.
    pub transferor: Option<LegId>,
    /// Whom the target is to talk with.
    pub kept: LegId,
    /// The last status that NOTIFY told.
    told: u16,
}

/// The subscription that a REFER makes (RFC 3515 2.4.4), for the NOTIFYs of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// CSeq of a REFER that is not the dialog's first: its `id` (RFC 3515 2.4.6).
    id: Option<u32>,
}

/// What a Refer-To asks for.
#[derive(Debug, PartialEq)]
enum Target {
    /// To call somebody.
    Blind(String),
    /// To be joined with the far leg of this dialog of ours.
    Attended(DialogId),
}

impl Call {
    /// The leg whose REFER is being carried out.
    pub fn transferor(&self) -> Option<LegId> {
        self.transfer.as_ref().and_then(|transfer| transfer.transferor)
    }

    /// REFER.
    pub fn on_refer(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        let (may, partner) = (self.may_refer(id), self.partner(id));
        let Some(leg) = self.leg_mut(id) else { return };
        let target = match (may, target(request)) {
            (Err(status), _) | (Ok(()), Err(status)) => return leg.reply(t, tx, request, status),
            (Ok(()), Ok(target)) => target,
        };
        let Some(kept) = partner else {
            return leg.reply(t, tx, request, 403);
        };
        leg.accept_refer(t, tx, request);
        self.transfer = Some(Box::new(Transfer {
            transferor: Some(id),
            kept,
            told: 100,
        }));
        match target {
            Target::Blind(number) => self.transfer_blind(t, id, kept, number),
            Target::Attended(dialog) => match t.desk.by_dialog(&dialog).filter(|replaced| *replaced != id) {
                Some(replaced) => t.desk.wishes.push(Wish::Attended {
                    transferor: id,
                    replaced,
                }),
                None => self.transfer_failed(t, &unknown_dialog()),
            },
        }
    }

    /// Only phones in a call of two, one transfer at a time, where the configuration lets them.
    fn may_refer(&self, id: LegId) -> Result<(), u16> {
        let Some(leg) = self.leg(id).filter(|leg| leg.is_up() && self.talks(id)) else {
            return Err(481);
        };
        match leg.who {
            Who::Trunk(..) => Err(403),
            Who::User(_) if !self.config.calls.transfer => Err(403),
            Who::User(_) if self.transfer.is_some() => Err(491),
            Who::User(_) => Ok(()),
        }
    }

    fn transfer_blind(&mut self, t: &mut Turn<'_, '_, '_>, id: LegId, kept: LegId, number: String) {
        let (Some(leg), Some(other)) = (self.leg(id), self.leg(kept)) else {
            return;
        };
        let Who::User(name) = leg.who.clone() else { return };
        // The transferor's rights pay for the call; the target sees who will be on it.
        let source = Source::User(name.clone());
        let decision = routing::decide(&self.config, &source, &number);
        let codecs = other
            .oa
            .as_ref()
            .and_then(|oa| oa.agreed())
            .map(|agreed| agreed.stream.codec);
        let hunt = Hunt {
            no: id,
            source,
            number,
            identity: other.identity.clone(),
            hops: 0,
            step: Step::Deciding,
            best: None,
            claim: None,
            codecs: codecs.into_iter().collect(),
            want: crate::sdp::Direction::SendRecv,
            max_forwards: super::setup::MAX_FORWARDS,
            passed: Vec::new(),
            not: Some(leg.flow),
            rang: false,
        };
        self.hunt = Some(Box::new(hunt));
        self.tell(t, format!("{name} transfers the call"));
        self.follow(t, decision);
    }

    /// The target rings.
    pub fn transfer_progress(&mut self, t: &mut Turn<'_, '_, '_>, status: u16) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.told >= status {
            return;
        }
        transfer.told = status;
        let transferor = transfer.transferor;
        if let Some(leg) = transferor.and_then(|id| self.leg_mut(id)) {
            leg.notify_refer(t, status, false);
        }
    }

    /// The target is found: the transferor's leg ends, the two others talk.
    pub fn transfer_done(&mut self, t: &mut Turn<'_, '_, '_>, other: Other) {
        let Some(transfer) = self.transfer.take() else { return };
        self.stage = Stage::Talk {
            one: transfer.kept,
            other,
        };
        self.tell(t, "the transfer is done");
        let cause = cause::cause(200, Blame::Node, "transferred");
        if let Some(leg) = transfer.transferor.and_then(|id| self.leg_mut(id)) {
            leg.notify_refer(t, 200, true);
            leg.leave_after_notify = Some(cause::reason(&cause));
        }
    }

    /// The target did not take the call: it goes on as it was, or ends if the transferor is gone.
    pub fn transfer_failed(&mut self, t: &mut Turn<'_, '_, '_>, cause: &Cause) {
        let Some(transfer) = self.transfer.take() else { return };
        self.tell(t, format!("the transfer failed: {}", cause.text));
        match transfer.transferor.and_then(|id| self.leg_mut(id)) {
            Some(leg) => leg.notify_refer(t, cause.status, true),
            None => self.end(t, cause.clone()),
        }
    }

    /// Takes a leg over from another call. Its name stays.
    fn adopt(&mut self, t: &mut Turn<'_, '_, '_>, mut leg: Leg, caller_side: bool) {
        leg.caller_side = caller_side;
        t.desk.set_home(leg.id, self.id);
        self.legs.push(leg);
    }

    /// Gives a leg away.
    fn release_leg(&mut self, id: LegId) -> Option<Leg> {
        let ix = self.legs.iter().position(|leg| leg.id == id)?;
        Some(self.legs.swap_remove(ix))
    }

    /// Attended transfer: `theirs` is the transferor's other call, `replaced` its leg there.
    pub fn attend(&mut self, t: &mut Turn<'_, '_, '_>, theirs: &mut Call, replaced: LegId) {
        let Some(kept) = self.transfer.as_ref().map(|transfer| transfer.kept) else {
            return;
        };
        let side = !self.leg(kept).is_some_and(|leg| leg.caller_side);
        match theirs.partner(replaced) {
            Some(far) if theirs.leg(far).is_some_and(Leg::is_up) && theirs.transfer.is_none() => {
                let Some(mut leg) = theirs.release_leg(far) else {
                    return;
                };
                if !leg.translate(&theirs.config, &self.config) {
                    theirs.legs.push(leg);
                    return self.transfer_failed(t, &unknown_dialog());
                }
                self.adopt(t, leg, side);
                self.transfer_done(t, Other::Leg(far));
                theirs.end(
                    t,
                    cause::cause(200, Blame::Node, "its far side was transferred to another call"),
                );
            }
            // The target still rings: the search itself moves (RFC 5589 7.6 calls it a semi-attended transfer).
            None if matches!(theirs.stage, Stage::Setup { caller } if caller == replaced)
                && theirs.hunt.is_some()
                && Arc::ptr_eq(&theirs.config, &self.config) =>
            {
                self.adopt_hunt(t, theirs, side);
                theirs.end(
                    t,
                    cause::cause(487, Blame::Caller, "its search was transferred to another call"),
                );
            }
            Some(_) | None => self.transfer_failed(t, &unknown_dialog()),
        }
    }

    /// The dialog to be replaced is in no other call.
    pub fn replaced_unknown(&mut self, t: &mut Turn<'_, '_, '_>) {
        self.transfer_failed(t, &unknown_dialog());
    }

    fn adopt_hunt(&mut self, t: &mut Turn<'_, '_, '_>, theirs: &mut Call, caller_side: bool) {
        use super::desk::{CallTimer, Timer};
        let Some(hunt) = theirs.hunt.take() else { return };
        t.desk.set_home(hunt.no, self.id);
        let rang = hunt.rang;
        self.hunt = Some(hunt);
        let branches: Vec<LegId> = theirs
            .legs
            .iter()
            .filter(|leg| leg.outgoing().is_some())
            .map(|leg| leg.id)
            .collect();
        for id in branches {
            if let Some(leg) = theirs.release_leg(id) {
                self.adopt(t, leg, caller_side);
            }
        }
        if let Some(at) = t.desk.timers.get(Timer::Call(theirs.id, CallTimer::Ring)) {
            t.desk.timers.set(Timer::Call(self.id, CallTimer::Ring), at);
            t.desk.timers.cancel(Timer::Call(theirs.id, CallTimer::Ring));
        }
        if rang {
            self.transfer_progress(t, 180);
        }
    }

    /// A leg is replaced by one that has just been answered (INVITE with Replaces, RFC 3891).
    pub fn replace(&mut self, t: &mut Turn<'_, '_, '_>, replaced: LegId, by: LegId) {
        let Stage::Talk { one, other } = self.stage else { return };
        self.stage = if one == replaced {
            Stage::Talk { one: by, other }
        } else {
            Stage::Talk {
                one,
                other: Other::Leg(by),
            }
        };
        let cause = cause::cause(200, Blame::Node, "replaced");
        if self.transfer.take().is_some() {
            self.cancel_branches(t, &cause::reason(&cause));
            self.drop_hunt(t);
        }
        if let Some(leg) = self.leg_mut(replaced) {
            leg.hang_up(t, &cause);
        }
    }
}

impl Leg {
    /// The leg comes to a call with another configuration, where its trunk may have another place. False: it has none.
    fn translate(&mut self, from: &Config, to: &Config) -> bool {
        let Who::Trunk(old, _) = self.who else { return true };
        let name = &from.trunks[usize::from(old.0)].name;
        let place = to
            .trunks
            .iter()
            .position(|trunk| trunk.name == *name)
            .and_then(|place| u16::try_from(place).ok());
        let Some(new) = place.map(TrunkIx) else { return false };
        self.who = Who::Trunk(new, None);
        if let Some(Claim::Trunk(claimed)) = &mut self.claim {
            *claimed = new;
        }
        true
    }

    /// 202, and the first NOTIFY, unless the phone wants none (RFC 4488).
    fn accept_refer(&mut self, t: &mut Turn<'_, '_, '_>, tx: ServerTx, request: &Message) {
        let silent = request
            .get(Name::ReferSub)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        let mut response = Draft::response(request, 202, None);
        response.push(Name::Contact, contact(t.cx, self.flow));
        response.push(Name::Server, crate::USER_AGENT);
        if silent {
            response.push(Name::ReferSub, "false");
        }
        t.net.layer.respond(t.cx, tx, response);
        let id = request.cseq().ok().map(|cseq| cseq.number).filter(|_| self.refers > 0);
        self.refers = self.refers.saturating_add(1);
        self.subscription = (!silent).then_some(Subscription { id });
        self.notify_refer(t, 100, false);
    }

    /// How the transfer goes, as message/sipfrag (RFC 3515 2.4.5).
    fn notify_refer(&mut self, t: &mut Turn<'_, '_, '_>, status: u16, last: bool) {
        let Some(subscription) = self.subscription.filter(|_| self.is_up()) else {
            return;
        };
        let Some(mut notify) = self.request(Method::Notify) else {
            return;
        };
        match subscription.id {
            Some(id) => notify.push(Name::Event, format!("refer;id={id}")),
            None => notify.push(Name::Event, "refer"),
        }
        let state = if last {
            "terminated;reason=noresource"
        } else {
            "active;expires=180"
        };
        notify.push(Name::SubscriptionState, state);
        notify.push(Name::Contact, contact(t.cx, self.flow));
        notify.push(Name::UserAgent, crate::USER_AGENT);
        notify.set_body(
            "message/sipfrag;version=2.0",
            format!("SIP/2.0 {status} {}\r\n", reason(status)),
        );
        self.send(t, What::Notify, notify);
        if last {
            self.subscription = None;
        }
    }
}

fn unknown_dialog() -> Cause {
    cause::cause(481, Blame::Caller, "the dialog to be replaced is not known")
}

/// What Refer-To asks for; an error with the status that the phone is owed.
fn target(request: &Message) -> Result<Target, u16> {
    let values = request.all(Name::ReferTo);
    let [value] = values.as_slice() else { return Err(400) };
    let address = NameAddr::parse(value).map_err(|error| error.status)?;
    let uri = &address.uri;
    if matches!(uri.scheme, Scheme::Other(_)) {
        return Err(416);
    }
    if uri.params.value("method").is_some_and(|method| method != "INVITE") {
        return Err(501);
    }
    let replaces = uri.headers.as_deref().and_then(|headers| {
        headers.split('&').find_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.eq_ignore_ascii_case("replaces").then_some(value)
        })
    });
    match replaces {
        Some(escaped) => replaces_id(&unescaped(escaped))
            .map(|(id, _)| Target::Attended(id))
            .ok_or(400),
        None => dialled(uri).map(Target::Blind).ok_or(404),
    }
}

/// `call-id;to-tag=ours;from-tag=theirs;early-only` (RFC 3891 6.1): the dialog, and whether only an early one is meant.
pub fn replaces_id(value: &str) -> Option<(DialogId, bool)> {
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next().filter(|call_id| !call_id.is_empty())?;
    let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
    for part in parts {
        match part.split_once('=') {
            Some((name, tag)) if name.eq_ignore_ascii_case("to-tag") => to_tag = Some(tag.trim()),
            Some((name, tag)) if name.eq_ignore_ascii_case("from-tag") => from_tag = Some(tag.trim()),
            Some(_) => {}
            None => early_only |= part.eq_ignore_ascii_case("early-only"),
        }
    }
    // A tag of 0 stands for none: a peer of RFC 2543 (RFC 3891 6.1).
    let remote_tag = from_tag.filter(|tag| *tag != "0").unwrap_or_default();
    Some((
        DialogId {
            call_id: call_id.into(),
            local_tag: to_tag?.into(),
            remote_tag: remote_tag.into(),
        },
        early_only,
    ))
}

/// A header value in a URI, without its escapes (RFC 3261 19.1.2).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = (byte == b'%').then(|| tail.get(..2)).flatten();
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_names_a_dialog_from_our_side() {
        let (id, early_only) = replaces_id("425928@bobster.example.org;to-tag=7743;from-tag=6472").unwrap();
        assert_eq!(
            (&*id.call_id, &*id.local_tag, &*id.remote_tag),
            ("425928@bobster.example.org", "7743", "6472")
        );
        assert!(!early_only);
        let (id, early_only) = replaces_id("a;from-tag=0;early-only;to-tag=x").unwrap();
        assert_eq!((&*id.remote_tag, early_only), ("", true));
        assert_eq!(replaces_id("a;from-tag=b"), None);
        assert_eq!(replaces_id(";to-tag=a;from-tag=b"), None);
    }

    #[test]
    fn escapes_are_resolved_once_and_broken_ones_stay() {
        assert_eq!(unescaped("a%40b%3Bto-tag%3D1"), "a@b;to-tag=1");
        assert_eq!(unescaped("%2541%zz%4"), "%41%zz%4");
    }
}

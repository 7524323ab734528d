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
use super::desk::{Turn, Wish};
use super::hunt::{Hunt, Step};
use super::leg::{LegId, Who};
use super::refer::{Target, target};
use crate::effect::{Blame, Cause, Which};
use crate::id::ServerTx;
use crate::routing::{self, Source};
use crate::sip::Message;

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

impl Call {
    /// The leg whose REFER is being carried out.
    pub fn transferor(&self) -> Option<LegId> {
        self.transfer.as_ref().and_then(|transfer| transfer.transferor)
    }

    /// REFER.
    pub fn on_refer(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        let (may, partner) = (self.may_refer(id), self.partner(id));
        let config = self.config.clone();
        let Some(leg) = self.leg_mut(id) else { return };
        let target = match (may, target(request, &config, leg.flow.local.ip())) {
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
            Target::Blind(number, which) => self.transfer_blind(t, id, kept, (number, which)),
            Target::Attended(dialog) => match t.desk.by_dialog(&dialog).filter(|replaced| *replaced != id) {
                Some(replaced) => t.desk.wishes.push(Wish::Attended {
                    transferor: id,
                    replaced,
                }),
                None => self.transfer_failed(t, &unknown_dialog()),
            },
        }
    }

    /// Only phones in a call of two, one transfer at a time and none of a fax, where the configuration lets them.
    fn may_refer(&self, id: LegId) -> Result<(), u16> {
        let Some(leg) = self.leg(id).filter(|leg| leg.is_up() && self.talks(id)) else {
            return Err(481);
        };
        match leg.who {
            Who::Trunk(..) => Err(403),
            Who::User(_) if !self.config.calls.transfer => Err(403),
            Who::User(_) if self.transfer.is_some() || self.passing.is_some() || self.is_fax() => Err(491),
            Who::User(_) => Ok(()),
        }
    }

    fn transfer_blind(
        &mut self,
        t: &mut Turn<'_, '_>,
        id: LegId,
        kept: LegId,
        (number, which): (String, Option<Which>),
    ) {
        let (Some(leg), Some(other)) = (self.leg(id), self.leg(kept)) else {
            return;
        };
        let Who::User(name) = leg.who.clone() else { return };
        // The transferor's rights pay for the call; the target sees who will be on it.
        let source = Source::User(name.to_string());
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
            identity: other.identity(&self.config),
            hops: 0,
            step: Step::Deciding,
            best: None,
            claim: None,
            codecs: codecs.into_iter().collect(),
            image: None,
            want: crate::sdp::Direction::SendRecv,
            max_forwards: crate::sip::write::MAX_FORWARDS,
            passed: Vec::new(),
            not: Some((name.clone(), leg.flow)),
            rang: false,
            secure: other.is_secure(),
            which,
        };
        self.hunt = Some(Box::new(hunt));
        self.tell(t, format!("{name} transfers the call"));
        self.follow(t, decision);
    }

    /// The target rings.
    pub fn transfer_progress(&mut self, t: &mut Turn<'_, '_>, status: u16) {
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
    pub fn transfer_done(&mut self, t: &mut Turn<'_, '_>, other: Other) {
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
    pub fn transfer_failed(&mut self, t: &mut Turn<'_, '_>, cause: &Cause) {
        let Some(transfer) = self.transfer.take() else { return };
        self.tell(t, format!("the transfer failed: {}", cause.text));
        match transfer.transferor.and_then(|id| self.leg_mut(id)) {
            Some(leg) => leg.notify_refer(t, cause.status, true),
            None => self.end(t, cause.clone()),
        }
    }
}

/// What a transferor is told about a dialog that is not ours.
pub fn unknown_dialog() -> Cause {
    cause::cause(481, Blame::Caller, "the dialog to be replaced is not known")
}

//! Replaces (RFC 3891): one leg takes the place of another, or a leg moves from call to call.

use super::call::{Call, Other, Stage};
use super::cause;
use super::desk::{CallTimer, Claim, Timer, Turn};
use super::hunt::{Hunt, Step};
use super::leg::{Leg, LegId, State, Who};
use super::setup::{Entry, Refusal};
use super::transfer::unknown_dialog;
use crate::config::Config;
use crate::dialog::DialogId;
use crate::effect::{Blame, Cause};
use crate::id::TrunkIx;
use crate::routing::Source;

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
    Some((DialogId::new(call_id, to_tag?, remote_tag), early_only))
}

impl Call {
    /// Attended transfer: `theirs` is the transferor's other call, `replaced` its leg there. What it gives is why that call
    /// ends now, in a turn of its own.
    pub fn attend(&mut self, t: &mut Turn<'_, '_>, theirs: &mut Call, replaced: LegId) -> Option<Cause> {
        theirs.drop_passing(t, 491);
        let transfer = self.transfer.as_ref()?;
        let (kept, transferor) = (transfer.kept, transfer.transferor);
        let of = |call: &Call, id: Option<LegId>| id.and_then(|id| call.leg(id)).map(|leg| leg.who.clone());
        if of(self, transferor) != of(theirs, Some(replaced)) {
            // Somebody else's call, which is none of the transferor's business.
            self.transfer_failed(t, &unknown_dialog());
            return None;
        }
        let side = !self.leg(kept).is_some_and(|leg| leg.caller_side);
        match theirs.partner(replaced) {
            Some(far) if theirs.leg(far).is_some_and(Leg::is_up) && theirs.transfer.is_none() => {
                if !self.adopt_from(t, theirs, far, side) {
                    self.transfer_failed(t, &unknown_dialog());
                    return None;
                }
                self.transfer_done(t, Other::Leg(far));
                Some(cause::cause(
                    200,
                    Blame::Node,
                    "its far side was transferred to another call",
                ))
            }
            // The target still rings: the search itself moves, as phones expect that transfer without waiting.
            None if theirs.waits_for_answer(replaced) && self.adopt_hunt(t, theirs, side) => Some(cause::cause(
                487,
                Blame::Caller,
                "its search was transferred to another call",
            )),
            None if self.take_place(t, theirs, kept, replaced) => Some(cause::cause(
                200,
                Blame::Node,
                "its place in a room was transferred to another call",
            )),
            Some(_) | None => {
                self.transfer_failed(t, &unknown_dialog());
                None
            }
        }
    }

    /// Takes a leg over from another call. Its name stays. False: it can't come here, and stays where it is.
    pub fn adopt_from(&mut self, t: &mut Turn<'_, '_>, theirs: &mut Call, id: LegId, caller_side: bool) -> bool {
        let Some(ix) = theirs.legs.iter().position(|leg| leg.id == id) else {
            return false;
        };
        if !theirs.legs[ix].translate(&theirs.config, &self.config) {
            return false;
        }
        let mut leg = theirs.legs.swap_remove(ix);
        leg.caller_side = caller_side;
        for name in leg.names() {
            t.desk.set_home(name, self.id);
        }
        self.legs.push(leg);
        true
    }

    /// The dialog to be replaced is in no other call.
    pub fn replaced_unknown(&mut self, t: &mut Turn<'_, '_>) {
        self.transfer_failed(t, &unknown_dialog());
    }

    /// Takes a search over from another call. False: it can't come here, and stays where it is.
    fn adopt_hunt(&mut self, t: &mut Turn<'_, '_>, theirs: &mut Call, caller_side: bool) -> bool {
        let Some(hunt) = theirs.hunt.take_if(|hunt| hunt.translate(&theirs.config, &self.config)) else {
            return false;
        };
        // Else it is no question any more, and may be the name of the leg that stays there.
        if matches!(hunt.step, Step::Asking(_)) {
            t.desk.set_home(hunt.no, self.id);
        }
        let rang = hunt.rang;
        self.hunt = Some(hunt);
        let branches: Vec<LegId> = theirs
            .legs
            .iter()
            .filter(|leg| leg.outgoing().is_some())
            .map(|leg| leg.id)
            .collect();
        for id in branches {
            self.adopt_from(t, theirs, id, caller_side);
        }
        if let Some(at) = t.desk.timers.get(Timer::Call(theirs.id, CallTimer::Ring)) {
            t.desk.timers.set(Timer::Call(self.id, CallTimer::Ring), at);
            t.desk.timers.cancel(Timer::Call(theirs.id, CallTimer::Ring));
        }
        if rang {
            self.transfer_progress(t, 180);
        }
        true
    }

    /// A leg is replaced by one that has just been answered (INVITE with Replaces, RFC 3891).
    pub fn replace(&mut self, t: &mut Turn<'_, '_>, replaced: LegId, by: LegId) {
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

    /// The leg for which somebody is searched.
    pub fn waiting_side(&self) -> Option<LegId> {
        match self.stage {
            Stage::Setup { caller } => Some(caller),
            Stage::Talk {
                one,
                other: Other::Nobody,
            } => Some(one),
            Stage::Talk { .. } => self.transfer.as_ref().map(|transfer| transfer.kept),
            Stage::DialOut(_) | Stage::Over { .. } => None,
        }
    }
}

impl Leg {
    /// The leg comes to a call with another configuration, where its trunk may have another place. False: it has none.
    fn translate(&mut self, from: &Config, to: &Config) -> bool {
        let Who::Trunk(old, _) = self.who else { return true };
        if std::ptr::eq(from, to) {
            return true;
        }
        let Some(new) = same_trunk(from, to, old) else {
            return false;
        };
        self.who = Who::Trunk(new, None);
        if let Some(Claim::Trunk(claimed)) = &mut self.claim {
            *claimed = new;
        }
        true
    }
}

impl Hunt {
    /// The search comes to a call with another configuration, where trunks may have other places. False, and nothing is changed:
    /// whoever is called is not there any more.
    fn translate(&mut self, from: &Config, to: &Config) -> bool {
        if std::ptr::eq(from, to) {
            return true;
        }
        let place = |trunk: TrunkIx| same_trunk(from, to, trunk);
        let source = match &self.source {
            Source::User(name) => to.user(name).map(|user| Source::User(user.name.clone())),
            Source::Trunk(trunk) => place(*trunk).map(Source::Trunk),
        };
        let step = match &self.step {
            Step::Deciding => Some(Step::Deciding),
            Step::Asking(name) | Step::Phones(name) => to.user(name).map(|_| self.step.clone()),
            Step::Trunk { trunk, number, peers } => place(*trunk).map(|trunk| Step::Trunk {
                trunk,
                number: number.clone(),
                peers: peers.clone(),
            }),
        };
        let (Some(source), Some(step)) = (source, step) else {
            return false;
        };
        if let (Some(Claim::Trunk(claimed)), Step::Trunk { trunk, .. }) = (&mut self.claim, &step) {
            *claimed = *trunk;
        }
        (self.source, self.step) = (source, step);
        true
    }
}

/// The place of a trunk in another configuration, by its name.
fn same_trunk(from: &Config, to: &Config, trunk: TrunkIx) -> Option<TrunkIx> {
    let name = &from.trunks[usize::from(trunk.0)].name;
    let place = to.trunks.iter().position(|trunk| trunk.name == *name)?;
    u16::try_from(place).ok().map(TrunkIx)
}

/// An INVITE with Replaces that found a leg of this call (RFC 3891 3): it is answered in the place of that leg. Only a user of
/// ours may do so, and only with a leg of a user of the same domain (RFC 3891 8 leaves that to policy).
pub fn pick_up(
    call: &mut Call,
    t: &mut Turn<'_, '_>,
    mut entry: Entry,
    replaced: LegId,
    early_only: bool,
) -> Result<(), Refusal> {
    let Source::User(picker) = entry.source.clone() else {
        return Err(Refusal::new(403, "Replaces is for our own users"));
    };
    let Some(old) = call.leg(replaced) else {
        return Err(Refusal::new(481, "the call to be replaced is gone"));
    };
    may_replace(call, old, &picker)?;
    let early = match &old.state {
        State::Up if early_only => return Err(Refusal::new(486, "the call to be replaced is answered already")),
        State::Up if call.talks(replaced) => false,
        State::Outgoing(_) => true,
        // RFC 3891 3: an early dialog is replaced only where we began it.
        State::Incoming(_) => return Err(Refusal::new(481, "the call to be replaced has not been answered by us")),
        State::Up | State::Cancelled(_) | State::Leaving | State::Gone => {
            return Err(Refusal::new(603, "the call to be replaced is over"));
        }
    };
    let side = old.caller_side;
    let (source, id) = (entry.source.clone(), call.new_leg_id());
    let offer = entry.offer.as_mut();
    if offer.as_ref().is_some_and(|offer| offer.image.is_some()) {
        return Err(Refusal::new(488, "a call is not picked up by a fax (T.38)"));
    }
    let refused = offer.and_then(|offer| offer.refused.take());
    let mut leg = entry.leg(t, id);
    leg.caller_side = side;
    let worker = call.worker;
    let usable = leg
        .judge_invite(refused)
        .and_then(|()| match leg.open_media(t, worker) {
            true => Ok(()),
            false => Err(Refusal::overload("no media port is free")),
        });
    if let Err(refusal) = usable {
        leg.gone(t);
        t.desk.remove_leg(id);
        return Err(refusal);
    }
    let place = t.desk.claim_user(picker.into());
    leg.set_claim(t, Some(place));
    call.legs.push(leg);
    let config = call.config.clone();
    call.tell(t, format!("{} takes the call over", source.words(&config)));
    answer_in_place(call, t, id, replaced, early);
    Ok(())
}

/// Whether a user may take the place of a leg. A call is picked up by anybody of the same domain. A place in a room goes with rights (a
/// moderator's, or to be in it without the PIN): only its own user takes it, at another phone, who is equivalent by RFC 3891 3. A
/// Referred-By that nobody has signed is no proof that a member wants somebody else in his place.
fn may_replace(call: &Call, old: &Leg, picker: &str) -> Result<(), Refusal> {
    let domain = |name: &str| call.config.user(name).map(|user| &user.domain);
    let owner = match &old.who {
        Who::User(name) if domain(name).is_some() && domain(name) == domain(picker) => name,
        Who::User(_) | Who::Trunk(..) => {
            return Err(Refusal::new(
                403,
                "the call to be replaced is of nobody in the same domain",
            ));
        }
    };
    match call.place_of(old.id) {
        Some(_) if **owner != *picker => Err(Refusal::new(403, "a place in a room is for its own user alone to take")),
        Some(_) | None => Ok(()),
    }
}

fn answer_in_place(call: &mut Call, t: &mut Turn<'_, '_>, id: LegId, replaced: LegId, early: bool) {
    let other_side = if early {
        call.waiting_side()
    } else {
        call.partner(replaced)
    };
    let other = other_side.and_then(|id| call.leg(id)).and_then(|leg| leg.oa.as_ref());
    let codec = other.and_then(|oa| oa.agreed()).map(|agreed| agreed.stream.codec);
    let want = other.map(super::offer::OfferAnswer::wish).unwrap_or_default();
    let Some(leg) = call.leg_mut(id) else { return };
    if let Err(error) = leg.accept(t, codec, want) {
        let cause = cause::cause(error.status(), Blame::Callee, error.reason());
        return leg.refuse(t, &cause);
    }
    if early {
        call.hunt_won(t, id);
    } else {
        call.replace(t, replaced, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_names_a_dialog_from_our_side() {
        let (id, early_only) = replaces_id("425928@bobster.example.org;to-tag=7743;from-tag=6472").unwrap();
        assert_eq!(
            (id.call_id(), id.local_tag(), id.remote_tag()),
            ("425928@bobster.example.org", "7743", "6472")
        );
        assert!(!early_only);
        let (id, early_only) = replaces_id("a;from-tag=0;early-only;to-tag=x").unwrap();
        assert_eq!((id.remote_tag(), early_only), ("", true));
        assert_eq!(replaces_id("a;from-tag=b"), None);
        assert_eq!(replaces_id(";to-tag=a;from-tag=b"), None);
    }
}

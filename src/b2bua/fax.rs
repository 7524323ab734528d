//! Fax by T.38 (RFC 3362; ITU-T T.38 Annex D). It is the two ends that speak T.38, so a change from audio to fax, or back, is passed on to
//! the other side, and answered as that answers. What each says of its fax is told to the other; the datagrams are relayed.
//!
//! ```text
//!   asker                       we                       other
//!     | INVITE (image) --------> |                          |
//!     |                          | INVITE (image) --------> |     as soon as nothing else is under way there
//!     |                          | <-- 200 (image)          |
//!     | <-- 200 (image)          | ACK -------------------> |
//!     |     <------------- datagrams of UDPTL ------------> |
//!     | INVITE (audio) --------> |                          |
//!     |                          | INVITE (audio) --------> |     and so on
//! ```
//!
//! Refused, the call stays as it was, and so does what is said of it: the asker gets 488, or 491 where it may ask again soon. A fax then
//! goes on in G.711, so from there on nothing is made up on either side (`carries_data`). A side that is left in a fax alone (a call that
//! was picked up, an answer that crossed a CANCEL) is brought back to audio by [`Call::reconcile`].

use super::call::{Call, Other, Stage};
use super::cause;
use super::change::Refusal;
use super::desk::{CallTimer, LegTimer, Timer, Turn};
use super::leg::{Change, Leg, LegId, What, Who};
use super::offer::OfferAnswer;
use crate::config::{Config, Trunk, User};
use crate::effect::{Blame, Cause};
use crate::id::ServerTx;
use crate::limits;
use crate::routing::Plan;
use crate::sdp::{Image, SdpError, Session};
use crate::sip::multipart::session_description;
use crate::sip::{Draft, Message, Method, Name};

const NOT_TAKEN: SdpError =
    SdpError::NotAcceptable("A side of this call takes no fax (T.38): t38 is no there, or srtp is required.");
const NOBODY: SdpError = SdpError::NotAcceptable("There is nobody at the other end who could take a fax (T.38).");
const BY_UPDATE: SdpError =
    SdpError::NotAcceptable("A change to fax (T.38), or back, is passed on: it must come by INVITE, not by UPDATE.");

/// A change that is passed on to the other side and waits for its answer.
#[derive(Debug)]
pub struct Passing {
    /// Who asks.
    asker: LegId,
    /// Whom it is passed on to.
    other: LegId,
    /// The transaction that waits.
    tx: ServerTx,
    /// Its INVITE.
    request: Message,
    /// What it says of its fax; none: it wants audio again.
    image: Option<Image>,
    /// It is on its way.
    sent: bool,
}

/// Whether there may be a fax with a peer.
pub fn takes_fax(config: &Config, who: &Who) -> Result<(), SdpError> {
    let takes = match who {
        Who::User(name) => config.user(name).is_some_and(User::takes_fax),
        Who::Trunk(trunk, _) => config.trunk(*trunk).is_some_and(Trunk::takes_fax),
    };
    takes.then_some(()).ok_or(NOT_TAKEN)
}

impl Leg {
    /// What is agreed with its peer is a fax.
    pub fn is_fax(&self) -> bool {
        self.oa.as_ref().is_some_and(OfferAnswer::is_fax)
    }

    /// What is heard of it may be a modem: from now on nothing is made up where something is lost.
    pub fn carries_data(&mut self, t: &mut Turn<'_, '_>) {
        let Some(media) = self.media.as_mut().filter(|media| !media.carries_data) else {
            return;
        };
        media.carries_data = true;
        self.negotiated(t);
    }
}

impl Call {
    /// A change to fax, or back to audio, is passed on to the other side; false for any other change.
    pub fn pass_change(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) -> bool {
        let body = session_description(request).ok().flatten();
        let Some(Ok(offer)) = body.as_deref().map(Session::parse) else {
            return false;
        };
        let Some(turn) = self.turn_of(id, &offer) else {
            return false;
        };
        let is_fax = !matches!(turn, Ok(None));
        let may = turn
            .map_err(Refusal::Sdp)
            .and_then(|image| Ok((self.may_pass(id, request, &offer, image.as_ref())?, image)));
        match may {
            Ok((other, image)) => {
                self.passing = Some(Box::new(Passing {
                    asker: id,
                    other,
                    tx,
                    request: request.clone(),
                    image,
                    sent: false,
                }));
                if let Some(leg) = self.leg_mut(id) {
                    leg.change = Change::Theirs;
                }
                t.desk.add_server(tx, id);
                t.wake_call(self.id, CallTimer::Passing, limits::CHANGE_PASSED);
            }
            Err(refusal) => {
                if let Some(leg) = self.leg(id) {
                    leg.refuse_change(t, tx, request, &refusal);
                }
                if is_fax && request.method() == Method::Invite && matches!(refusal, Refusal::Sdp(_)) {
                    self.carries_data(t);
                }
            }
        }
        true
    }

    /// What an offer makes of the call, if that is another thing than it is: a fax with these words, or audio again.
    fn turn_of(&self, id: LegId, offer: &Session<'_>) -> Option<Result<Option<Image>, SdpError>> {
        let leg = self.leg(id).filter(|leg| leg.is_up())?;
        let agreed = leg.oa.as_ref().and_then(OfferAnswer::image);
        match (Image::of(offer), agreed) {
            // A refresh, or another address: that is between us and this side.
            (Ok(Some(image)), Some(agreed)) if image.says_what(agreed) => None,
            (Ok(None), Some(_)) if self.partner(id).is_some_and(|other| self.is_fax_with(other)) => Some(Ok(None)),
            (Ok(None), Some(_) | None) => None,
            (said @ (Ok(Some(_)) | Err(_)), Some(_) | None) => Some(said),
        }
    }

    /// Whether a change may be passed on, and to whom.
    fn may_pass(
        &mut self,
        id: LegId,
        request: &Message,
        offer: &Session<'_>,
        image: Option<&Image>,
    ) -> Result<LegId, Refusal> {
        let (want, config) = (self.wanted(id), self.config.clone());
        let is_busy = self.passing.is_some() || self.transfer.is_some();
        let other = self.partner(id).and_then(|other| self.leg(other));
        let other = other.map(|leg| (leg.id, leg.who.clone()));
        let Some(leg) = self.leg_mut(id) else {
            return Err(Refusal::Status(481));
        };
        leg.may_change(request)?;
        leg.timer.judge(request).map_err(Refusal::TooSmall)?;
        if request.method() != Method::Invite {
            return Err(Refusal::Sdp(BY_UPDATE));
        }
        if is_busy {
            return Err(Refusal::Status(491));
        }
        let (other, who) = other.ok_or(Refusal::Sdp(NOBODY))?;
        if image.is_some() {
            takes_fax(&config, &leg.who).map_err(Refusal::Sdp)?;
            takes_fax(&config, &who).map_err(Refusal::Sdp)?;
        }
        // Nobody is troubled by what could not be answered in the end.
        let signalling = leg.signalling();
        if let Some(mut trial) = leg.oa.clone() {
            trial.turn_to(image.cloned());
            trial.answer(offer, want, signalling).map_err(Refusal::Sdp)?;
        }
        Ok(other)
    }

    /// A change goes on to the other side once that is free; if one of the two is gone, or talks with somebody else, it is over.
    pub fn tend_passing(&mut self, t: &mut Turn<'_, '_>) {
        let Some(passing) = &self.passing else { return };
        let (asker, other, image) = (passing.asker, passing.other, passing.image.clone());
        let is_up = |id: LegId| self.leg(id).is_some_and(Leg::is_up);
        if self.partner(asker) != Some(other) || !is_up(asker) || !is_up(other) {
            return self.drop_passing(t, 487);
        }
        if passing.sent {
            return;
        }
        let want = self.wanted(other);
        let Some(leg) = self.leg_mut(other).filter(|leg| leg.is_stable()) else {
            return;
        };
        if let Some(oa) = &mut leg.oa {
            oa.turn_to(image);
        }
        leg.reinvite(t, want);
        if let Some(passing) = &mut self.passing {
            passing.sent = true;
        }
    }

    /// Gives a change up: its asker is told so, and the other side too, if it was asked.
    pub fn drop_passing(&mut self, t: &mut Turn<'_, '_>, status: u16) {
        let Some(passing) = self.passing.take() else { return };
        self.answer_passing(t, &passing, status);
        let other = self.leg(passing.other).filter(|leg| leg.is_up() && passing.sent);
        let sent = other.and_then(|leg| leg.sent.iter().find(|sent| sent.what == What::Reinvite));
        if let Some(sent) = sent {
            t.net.layer.cancel(t.cx, sent.tx, None);
        }
    }

    /// The other side did not say anything final.
    pub fn passing_timeout(&mut self, t: &mut Turn<'_, '_>) {
        let is_fax = self.passing.as_ref().is_some_and(|passing| passing.image.is_some());
        self.drop_passing(t, 488);
        if is_fax {
            self.goes_on_in_audio(t);
        }
    }

    /// The asker gives its INVITE up, or cannot be answered any more; true if that was passed on.
    pub fn passing_cancelled(&mut self, t: &mut Turn<'_, '_>, id: LegId) -> bool {
        let is_it = self.passing.as_ref().is_some_and(|passing| passing.asker == id);
        if is_it {
            self.drop_passing(t, 487);
        }
        is_it
    }

    /// A side has taken our change; `usable`: its answer agrees on something. If another one waits for that, it is answered now.
    pub fn change_taken(&mut self, t: &mut Turn<'_, '_>, id: LegId, usable: bool) {
        let Some(passing) = self.passed_to(id) else {
            if !usable && self.is_left_in_fax(id) {
                self.end_in_fax(t, id);
            }
            return;
        };
        let oa = self.leg(id).and_then(|leg| leg.oa.as_ref());
        let words = oa.and_then(|oa| oa.image().cloned());
        if !usable || words.is_some() != passing.image.is_some() {
            self.answer_passing(t, &passing, 488);
            return match passing.image {
                Some(_) => self.goes_on_in_audio(t),
                // Its fax is over by its own answer, and there is no audio.
                None => self.end_in_fax(t, id),
            };
        }
        self.release(t, &passing);
        let (side, want) = (self.side(passing.asker), self.wanted(passing.asker));
        let Some(leg) = self.leg_mut(passing.asker) else { return };
        if let Some(oa) = &mut leg.oa {
            oa.turn_to(words);
        }
        match leg.answer_change(t, passing.tx, &passing.request, want) {
            Ok(()) => self.tell(
                t,
                match passing.image {
                    Some(_) => format!("{side} has made it a fax (T.38)"),
                    None => format!("{side} has made it a call in audio again"),
                },
            ),
            Err(refusal) => leg.refuse_change(t, passing.tx, &passing.request, &refusal),
        }
    }

    /// A side has refused our change. If another one waits for that, it is refused too.
    pub fn change_turned_down(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let is_put_off = self.leg(id).is_some_and(|leg| leg.change == Change::Waiting);
        let Some(passing) = self.passed_to(id) else {
            if !is_put_off && self.is_left_in_fax(id) {
                self.end_in_fax(t, id);
            }
            return;
        };
        if is_put_off {
            // It is for the asker to ask again (RFC 3261 14.1).
            t.desk.timers.cancel(Timer::Leg(id, LegTimer::Change));
            if let Some(leg) = self.leg_mut(id) {
                leg.change_again();
            }
            return self.answer_passing(t, &passing, 491);
        }
        // Of those that would end the call in the asker's eyes (RFC 5057 5.1) none is meant so.
        self.answer_passing(t, &passing, 488);
        if passing.image.is_some() {
            self.goes_on_in_audio(t);
        }
    }

    fn passed_to(&mut self, id: LegId) -> Option<Box<Passing>> {
        self.passing.take_if(|passing| passing.sent && passing.other == id)
    }

    /// The final response to a change that came to nothing.
    fn answer_passing(&mut self, t: &mut Turn<'_, '_>, passing: &Passing, status: u16) {
        self.release(t, passing);
        let mut response = Draft::response(&passing.request, status, None);
        response.push(Name::Server, crate::USER_AGENT);
        t.net.layer.respond(t.cx, passing.tx, response);
    }

    /// A change waits no more.
    fn release(&mut self, t: &mut Turn<'_, '_>, passing: &Passing) {
        t.desk.remove_server(passing.tx);
        t.desk.timers.cancel(Timer::Call(self.id, CallTimer::Passing));
        if let Some(leg) = self.leg_mut(passing.asker).filter(|leg| leg.change == Change::Theirs) {
            leg.change = Change::None;
        }
    }

    /// A fax was refused: what is to be faxed goes on in G.711.
    fn goes_on_in_audio(&mut self, t: &mut Turn<'_, '_>) {
        self.tell(t, "a fax (T.38) was refused: the call goes on in audio");
        self.carries_data(t);
    }

    /// It carries a fax in audio: nothing is made up on either side.
    pub fn carries_data(&mut self, t: &mut Turn<'_, '_>) {
        for id in self.talkers().into_iter().flatten() {
            if let Some(leg) = self.leg_mut(id) {
                leg.carries_data(t);
            }
        }
    }

    /// A fax or a modem goes through it, as T.38 or in audio.
    pub fn has_data(&self) -> bool {
        let in_audio = |id: LegId| self.leg(id)?.media.as_ref().map(|media| media.carries_data);
        self.is_fax()
            || self
                .talkers()
                .into_iter()
                .flatten()
                .any(|id| in_audio(id) == Some(true))
    }

    /// It is a fax on one of its sides.
    pub fn is_fax(&self) -> bool {
        self.talkers().into_iter().flatten().any(|id| self.is_fax_with(id))
    }

    fn is_fax_with(&self, id: LegId) -> bool {
        self.leg(id).is_some_and(Leg::is_fax)
    }

    /// A side is in a fax, and whom it talks with is not.
    pub fn is_left_in_fax(&self, id: LegId) -> bool {
        let is_in_audio = |other: LegId| self.leg(other).is_some_and(|leg| leg.is_up() && !leg.is_fax());
        self.talks(id) && self.is_fax_with(id) && self.partner(id).is_none_or(is_in_audio)
    }

    fn end_in_fax(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let text = format!("{} did not come back to audio from a fax", self.side(id));
        let blame = self.blame(id);
        self.end(t, cause::cause(488, blame, text));
    }

    fn side(&self, id: LegId) -> &'static str {
        match self.blame(id) {
            Blame::Caller => "the caller",
            Blame::Callee | Blame::Node | Blame::Network => "the callee",
        }
    }

    fn talkers(&self) -> [Option<LegId>; 2] {
        match self.stage {
            Stage::Talk {
                one,
                other: Other::Leg(other),
            } => [Some(one), Some(other)],
            Stage::Talk {
                one,
                other: Other::Service(_) | Other::Room(_) | Other::Nobody,
            } => [Some(one), None],
            Stage::Setup { .. } | Stage::DialOut(_) | Stage::Over { .. } => [None; 2],
        }
    }

    /// A call that begins as a fax goes to whoever takes one; else this is why not.
    pub fn fax_led_astray(&self, plan: &Plan) -> Option<Cause> {
        let is_taken = match plan {
            Plan::User(name) => self.config.user(name).is_none_or(User::takes_fax),
            Plan::Trunk { ix, .. } => self.config.trunk(*ix).is_none_or(Trunk::takes_fax),
            Plan::Echo | Plan::Tone | Plan::Room(_) => false,
            Plan::Reject { .. } => true,
        };
        (self.begins_as_fax() && !is_taken)
            .then(|| cause::cause(488, Blame::Node, "the called side takes no fax (T.38)"))
    }

    /// Somebody is searched who takes a fax.
    pub fn begins_as_fax(&self) -> bool {
        self.hunt.as_ref().is_some_and(|hunt| hunt.image.is_some())
    }

    /// What the callee says of its fax is what its caller is answered.
    pub fn hand_words(&mut self, t: &mut Turn<'_, '_>, caller: LegId) {
        let callee = self.partner(caller).and_then(|other| self.leg(other));
        let oa = callee.and_then(|leg| leg.oa.as_ref());
        let Some(words) = oa.and_then(|oa| oa.image().cloned()) else {
            return;
        };
        if let Some(oa) = self.leg_mut(caller).and_then(|leg| leg.oa.as_mut()) {
            oa.turn_to(Some(words));
            self.tell(t, "it is a fax (T.38)");
        }
    }
}

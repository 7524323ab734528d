//! What comes of a search: somebody has the call, or it goes where the user wants, or it fails.

use super::call::{Call, Other, Service, Stage};
use super::cause::{self, q850};
use super::desk::{CallTimer, Timer, Turn};
use super::hunt::Step;
use super::leg::LegId;
use crate::effect::{Blame, Cause, Fact, Output, Party};
use crate::limits;
use crate::routing::{self, Source};

/// Why nobody of a user answered, for its `on_...` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Busy, or in as many calls as `calls` allows.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// No phone is registered.
    Offline,
}

impl Call {
    /// All branches of this step failed: the next peer, where the user wants the call to go, or the end.
    pub fn step_failed(&mut self, t: &mut Turn<'_, '_>) {
        let Some(hunt) = &self.hunt else { return };
        let worst = || cause::cause(480, Blame::Callee, "nobody could be reached");
        let best = hunt.best.clone().unwrap_or_else(worst);
        match &hunt.step {
            Step::Phones(name) => {
                let (name, missed) = (name.clone(), missed_by(&best));
                self.missed(t, &name, missed, best);
            }
            Step::Trunk { .. } | Step::Asking(_) | Step::Deciding => {
                self.release_hunt(t);
                self.hunt_failed(t, best);
            }
        }
    }

    /// Nobody answered in time.
    pub fn ring_timeout(&mut self, t: &mut Turn<'_, '_>) {
        let Some(hunt) = &self.hunt else { return };
        let cause = cause::exact(480, q850::NO_ANSWER, Blame::Callee, "nobody answered in time");
        let step = hunt.step.clone();
        self.cancel_branches(t, &cause::reason(&cause));
        match step {
            Step::Phones(name) => self.missed(t, &name, Missed::NoAnswer, cause),
            Step::Trunk { .. } | Step::Asking(_) | Step::Deciding => {
                self.release_hunt(t);
                self.hunt_failed(t, cause);
            }
        }
    }

    /// The time is over that the caller gave its INVITE (RFC 3261 13.3.1).
    pub fn expired(&mut self, t: &mut Turn<'_, '_>) {
        if matches!(self.stage, Stage::Setup { .. }) {
            let text = "nobody answered in the time that the caller gave";
            let mut cause = cause::cause(487, Blame::Caller, text);
            cause.q850 = q850::NO_ANSWER;
            self.end(t, cause);
        }
    }

    /// Nobody of this user took the call: it goes where the user wants, or fails.
    pub fn missed(&mut self, t: &mut Turn<'_, '_>, name: &str, missed: Missed, cause: Cause) {
        self.release_hunt(t);
        let config = self.config.clone();
        let user = config.user(name);
        let (to, why) = match missed {
            Missed::Busy => (user.and_then(|user| user.on_busy.clone()), "is busy"),
            Missed::NoAnswer => (user.and_then(|user| user.on_no_answer.clone()), "does not answer"),
            Missed::Offline => (user.and_then(|user| user.on_offline.clone()), "is not registered"),
        };
        let for_one_device = self.hunt.as_ref().is_some_and(|hunt| hunt.which.is_some());
        match to.filter(|_| !for_one_device) {
            Some(to) => self.forward(t, name, &to, why),
            None => self.hunt_failed(t, cause),
        }
    }

    /// Sends the call on, by the rights of the one who wants it so.
    pub fn forward(&mut self, t: &mut Turn<'_, '_>, user: &str, to: &str, why: &str) {
        self.release_hunt(t);
        let Some(hunt) = &mut self.hunt else { return };
        hunt.hops += 1;
        if hunt.hops > limits::FORWARDS {
            let text = "the call was sent on too often";
            return self.hunt_failed(t, cause::exact(480, q850::ROUTING_ERROR, Blame::Node, text));
        }
        hunt.source = Source::User(user.to_owned());
        hunt.best = None;
        let decision = routing::decide(&self.config, &hunt.source, to);
        self.tell(t, format!("{user} {why}: the call goes on"));
        self.follow(t, decision);
    }

    /// Cancels everybody who is called.
    pub fn cancel_branches(&mut self, t: &mut Turn<'_, '_>, reason: &str) {
        for leg in &mut self.legs {
            leg.give_up(t, Some(reason));
        }
    }

    /// Gives back what the search holds.
    pub fn release_hunt(&mut self, t: &mut Turn<'_, '_>) {
        t.desk.timers.cancel(Timer::Call(self.id, CallTimer::Ring));
        if let Some(claim) = self.hunt.as_mut().and_then(|hunt| hunt.claim.take()) {
            t.release(claim);
        }
    }

    /// Ends the search without a result.
    pub fn drop_hunt(&mut self, t: &mut Turn<'_, '_>) {
        self.release_hunt(t);
        if let Some(hunt) = self.hunt.take()
            && matches!(hunt.step, Step::Asking(_))
        {
            t.desk.set_home(hunt.no, hunt.no.call);
        }
    }

    /// Nobody will answer.
    pub fn hunt_failed(&mut self, t: &mut Turn<'_, '_>, cause: Cause) {
        self.drop_hunt(t);
        match self.stage {
            Stage::Setup { caller } => self.refuse_caller(t, caller, cause),
            Stage::DialOut(_) => self.end(t, cause),
            Stage::Talk { .. } => self.transfer_failed(t, &cause),
            Stage::Over { .. } => {}
        }
    }

    /// A leg answered: it has the call, all others are cancelled.
    pub fn hunt_won(&mut self, t: &mut Turn<'_, '_>, winner: LegId) {
        let claim = self.hunt.as_mut().and_then(|hunt| hunt.claim.take());
        match (self.leg_mut(winner), claim) {
            // Whoever picks a call up has a place of their own already.
            (Some(leg), Some(claim)) if leg.claim.is_none() => leg.set_claim(t, Some(claim)),
            (Some(_) | None, Some(claim)) => t.release(claim),
            (Some(_) | None, None) => {}
        }
        self.cancel_branches(t, cause::ELSEWHERE);
        self.drop_hunt(t);
        self.join(t, Other::Leg(winner));
    }

    /// Whoever waits is joined with the one who was found.
    pub fn join(&mut self, t: &mut Turn<'_, '_>, other: Other) {
        match self.stage {
            Stage::Setup { caller } => {
                t.desk.timers.cancel(Timer::Call(self.id, CallTimer::Expires));
                self.stage = Stage::Talk { one: caller, other };
                self.answer_caller(t, caller);
            }
            Stage::DialOut(place) => match other {
                Other::Leg(winner) => self.answered_room(t, place, winner),
                Other::Service(_) | Other::Room(_) | Other::Nobody => {
                    let text = "a room calls people only";
                    self.end(t, cause::cause(482, Blame::Node, text));
                }
            },
            Stage::Talk { .. } => self.transfer_done(t, other),
            Stage::Over { .. } => {}
        }
    }

    /// Answers the caller; again after its PRACK, where that had to come first.
    pub fn answer_caller(&mut self, t: &mut Turn<'_, '_>, caller: LegId) {
        let (codec, want) = (self.partner_codec(caller), self.wanted(caller));
        self.hand_words(t, caller);
        let Some(leg) = self.leg_mut(caller) else { return };
        if let Err(error) = leg.accept(t, codec, want) {
            return self.end(t, cause::cause(error.status(), Blame::Caller, error.reason()));
        }
        if !leg.is_up() {
            return;
        }
        let by = match self.stage {
            Stage::Talk {
                other: Other::Leg(other),
                ..
            } => self.leg(other).map(|leg| leg.who.party(&self.config)),
            Stage::Talk {
                other: Other::Service(service),
                ..
            } => Some(Party::Service(service.name().to_owned())),
            Stage::Talk {
                other: Other::Room(_), ..
            } => self.room.as_ref().map(|room| room.party()),
            Stage::Talk {
                other: Other::Nobody, ..
            }
            | Stage::DialOut(_)
            | Stage::Setup { .. }
            | Stage::Over { .. } => None,
        };
        self.is_answered(t, by);
    }

    /// The record learns who has answered, and the call may last as long as any.
    pub fn is_answered(&self, t: &mut Turn<'_, '_>, by: Option<Party>) {
        if let Some(by) = by {
            t.cx.emit(Output::Record(Fact::CallAnswered {
                call: self.id,
                at: t.cx.wall,
                by,
            }));
        }
        t.wake_call(self.id, CallTimer::Length, self.config.calls.max_duration);
        t.wake_call(self.id, CallTimer::Measure, limits::MEASURE_FIRST);
    }

    /// The node itself answers.
    pub fn serve(&mut self, t: &mut Turn<'_, '_>, service: Service) {
        self.drop_hunt(t);
        self.join(t, Other::Service(service));
    }
}

/// What a user's phones said at best.
fn missed_by(best: &Cause) -> Missed {
    match (best.status, best.q850) {
        (486 | 600 | 603, _) => Missed::Busy,
        (_, q850::SUBSCRIBER_ABSENT) => Missed::Offline,
        _ => Missed::NoAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_phones_said_decides_where_the_call_goes() {
        let said = |status| missed_by(&cause::cause(status, Blame::Callee, ""));
        assert_eq!(said(486), Missed::Busy);
        assert_eq!(said(603), Missed::Busy);
        assert_eq!(said(480), Missed::NoAnswer);
        let absent = cause::exact(480, q850::SUBSCRIBER_ABSENT, Blame::Network, "");
        assert_eq!(missed_by(&absent), Missed::Offline);
    }
}

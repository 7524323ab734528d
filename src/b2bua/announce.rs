//! What a caller is told by voice when nobody takes the call: as early media, in a 183, and then the failure itself.
//!
//! ```text
//!   caller                         we
//!      | INVITE -------------------> |   nobody answers: busy, no answer, no such number
//!      | <------------------ 183 SDP |
//!      | <================ the sound |
//!      | <----------- 486 (or 480 ..)|   at its end; CANCEL and BYE end it before
//! ```
//!
//! The failure stays what it is, and so does the record: the call was never answered.

use super::call::Call;
use super::cause::{self, q850};
use super::desk::{CallTimer, Turn};
use super::leg::{Leg, LegId, Who};
use crate::config::{Announcements, Config};
use crate::effect::{Blame, Cause};
use crate::media::command::Music;
use crate::sdp::Direction;
use std::time::Duration;

/// An announcement that is heard.
#[derive(Debug)]
pub struct Announcement {
    /// What.
    pub music: Music,
    /// Why the call fails then.
    cause: Cause,
}

/// How much later than it should be its end is not waited for: the worker may be busy, and its word for it may be lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// The announcements that a caller hears.
fn announcements<'c>(config: &'c Config, who: &Who) -> &'c Announcements {
    let own = match who {
        Who::User(name) => config.user(name).and_then(|user| user.announcements.as_deref()),
        Who::Trunk(trunk, _) => config.trunk(*trunk).and_then(|trunk| trunk.announcements.as_deref()),
    };
    own.unwrap_or(&config.announcements)
}

/// Which of them fits. What is our own fault, or the caller's, is said by its status alone: a carrier tries elsewhere then.
fn fitting<'c>(announcements: &'c Announcements, cause: &Cause) -> Option<&'c Music> {
    match (cause.status, cause.q850) {
        (486 | 600 | 603, _) => announcements.busy.as_ref(),
        (404 | 410 | 484 | 604, _) => announcements.not_found.as_ref(),
        (408, _) | (480, q850::NO_ANSWER) => announcements.no_answer.as_ref(),
        (480, _) => announcements.unavailable.as_ref(),
        (500..=599, _) if cause.by != Blame::Node => announcements.unavailable.as_ref(),
        _ => None,
    }
}

impl Call {
    /// Nobody takes the call: the caller is refused, after an announcement where there is one for it.
    pub fn refuse_caller(&mut self, t: &mut Turn<'_, '_>, caller: LegId, cause: Cause) {
        let found = self.leg(caller).and_then(|leg| {
            let own = announcements(&self.config, &leg.who);
            fitting(own, &cause).cloned()
        });
        self.refuse_with(t, caller, cause, found);
    }

    /// The same after these words, if there are any and the caller may hear them.
    pub fn refuse_with(&mut self, t: &mut Turn<'_, '_>, caller: LegId, cause: Cause, words: Option<Music>) {
        let may_hear = self.leg(caller).is_some_and(Leg::may_hear_early);
        let Some(music) = words.filter(|_| may_hear) else {
            return self.end(t, cause);
        };
        self.cancel_branches(t, &cause::reason(&cause));
        if !self.caller_has_media(t) || !self.leg_mut(caller).is_some_and(|leg| leg.listens(t)) {
            return self.end(t, cause);
        }
        self.tell(t, "the caller hears an announcement");
        t.wake_call(self.id, CallTimer::Announce, music.duration() + PATIENCE);
        self.announcement = Some(Box::new(Announcement { music, cause }));
    }

    /// The announcement is at its end.
    pub fn announced(&mut self, t: &mut Turn<'_, '_>) {
        if let Some(announcement) = self.announcement.take() {
            self.end(t, announcement.cause);
        }
    }
}

impl Leg {
    /// Early media needs an offer that we can answer (RFC 3960 3).
    fn may_hear_early(&self) -> bool {
        self.incoming().is_some_and(|incoming| incoming.offer.is_some())
    }

    /// Tells the caller that there is something to hear; false where it does not want to.
    fn listens(&mut self, t: &mut Turn<'_, '_>) -> bool {
        self.progress(t, 183, Some(&[][..]), Direction::SendRecv);
        let agreed = self.oa.as_ref().and_then(|oa| oa.agreed());
        self.has_early_media() && agreed.is_some_and(|agreed| agreed.stream.sends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::Sound;
    use std::sync::Arc;

    #[test]
    fn each_failure_has_its_announcement_or_none() {
        let sound = || Some(Music::new(vec![Arc::new(Sound::silence(Duration::ZERO))]));
        let all = Announcements {
            busy: sound(),
            unavailable: sound(),
            no_answer: sound(),
            not_found: sound(),
        };
        let name = |status, q850, by| {
            let found = fitting(&all, &cause::exact(status, q850, by, ""))?;
            let own = [&all.busy, &all.unavailable, &all.no_answer, &all.not_found];
            let place = own
                .iter()
                .position(|music| music.as_ref().is_some_and(|music| music.is(found)))?;
            Some(["busy", "unavailable", "no_answer", "not_found"][place])
        };
        for (status, q850, by, want) in [
            (486, 17, Blame::Callee, Some("busy")),
            (603, 21, Blame::Callee, Some("busy")),
            (404, 1, Blame::Node, Some("not_found")),
            (484, 28, Blame::Node, Some("not_found")),
            (480, q850::NO_ANSWER, Blame::Callee, Some("no_answer")),
            (408, 18, Blame::Callee, Some("no_answer")),
            (480, q850::SUBSCRIBER_ABSENT, Blame::Callee, Some("unavailable")),
            (503, 41, Blame::Network, Some("unavailable")),
            (503, q850::NO_CIRCUIT, Blame::Node, None),
            (403, 21, Blame::Node, None),
            (487, 16, Blame::Caller, None),
            (488, 65, Blame::Caller, None),
        ] {
            assert_eq!(name(status, q850, by), want, "{status} {q850}");
        }
    }
}

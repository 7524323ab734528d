//! What is wrong with a leg's media, told within five seconds of the answer, or of when it went wrong.
//!
//! | trouble | is there when, for `PATIENCE` |
//! |---|---|
//! | nothing comes | no packet of the peer was taken |
//! | only silence | packets came and since the answer, or the last change, all that was measured of them was silence: who listens after having spoken is quiet by right |
//! | nothing arrives | the peer's last report has nothing new of what we send |
//! | nothing is sent | audio came for the peer, and no packet went out to it |
//!
//! A leg is looked at only while both sides are to be heard: on hold a peer may be as silent as it likes, and before the answer too. A peer
//! whose last packet was comfort noise (RFC 3389) is silent by its own word, for a minute.

use super::command::{Missing, Trouble, Troubles};
use super::meter::Sound;
use crate::time::Instant;
use std::time::Duration;

/// How long something must be wrong before it is told: five seconds less one step, and what a report may be late.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often a leg is looked at.
const STEP: Duration = Duration::from_millis(500);
/// How long comfort noise stands for a peer that says nothing.
const COMFORT: Duration = Duration::from_secs(60);
/// Audio that is newer than this is coming.
const RECENT: Duration = Duration::from_secs(1);

/// Packets that were not taken, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// All.
    pub dropped: u64,
    /// Their source was a stranger.
    pub strangers: u64,
    /// They were not sealed by the agreed key.
    pub forged: u64,
}

/// What is known of a leg when it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Both sides are to be heard.
    pub talks: bool,
    /// When the last packet of the peer was taken.
    pub heard: Option<Instant>,
    /// When audio came last that is to go to the peer.
    pub fed: Option<Instant>,
    /// Packets sent to it.
    pub sent: u64,
    /// Packets of it that were not taken.
    pub refused: Refused,
    /// What its reports say of what it sends, and when that was said.
    pub sends: Option<(bool, Instant)>,
    /// When its newest report came, if that has nothing new of what we send.
    pub unheard: Option<Instant>,
}

/// What is told.
pub type Told = (Trouble, bool);

/// The judge of one leg.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge {
    /// Since when; none while it does not judge.
    since: Option<Instant>,
    next: Option<Instant>,
    /// The last packet was comfort noise.
    comfort: bool,
    /// Something audible came, or something that cannot be measured.
    audible: bool,
    /// The first silence, while nothing else came.
    silent: Option<Instant>,
    /// Packets sent, when that was other than before.
    sent: (u64, Option<Instant>),
    /// Since when there is audio for the peer.
    fed: Option<Instant>,
    /// What was refused before the first packet that is missing.
    refused: Refused,
    now: Troubles,
    ever: Troubles,
    /// Where it was said to be lost.
    missing: Option<Missing>,
}

impl Judge {
    /// Begins, or ends.
    pub fn watch(&mut self, now: Instant, watch: bool) {
        match (watch, self.since) {
            (true, None) => self.restart(now),
            (false, Some(_)) => (self.since, self.next) = (None, None),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// What was agreed has changed, or where the audio comes from: everything has its time again.
    pub fn changed(&mut self, now: Instant) {
        if self.since.is_some() {
            self.restart(now);
        }
    }

    /// What the peer hears is another: what it says itself is not.
    pub fn rejoined(&mut self, now: Instant) {
        let audible = self.audible;
        self.changed(now);
        self.audible |= audible;
    }

    fn restart(&mut self, now: Instant) {
        *self = Judge {
            since: Some(now),
            next: Some(now + STEP),
            comfort: self.comfort,
            sent: (self.sent.0, None),
            refused: self.refused,
            now: self.now,
            ever: self.ever,
            missing: self.missing,
            ..Judge::default()
        };
    }

    /// When it is to look next.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }

    /// All that ever was wrong.
    pub fn ever(&self) -> Troubles {
        self.ever
    }

    /// A packet was taken, which is comfort noise or is not.
    pub fn packet(&mut self, comfort: bool) {
        self.comfort = comfort;
    }

    /// What a packet sounds like.
    pub fn sound(&mut self, now: Instant, sound: Sound) {
        match sound {
            Sound::Unknown => {}
            Sound::Silence => {
                self.silent.get_or_insert(now);
            }
            Sound::Audible => self.audible = true,
        }
    }

    /// Looks at the leg: what is wrong now and was not (false), and what was and is not (true).
    pub fn look(&mut self, now: Instant, look: &Look) -> [Option<Told>; 4] {
        let Some(since) = self.since else { return [None; 4] };
        self.next = Some(now + STEP);
        if !look.talks {
            // Nothing is judged, and what was wrong is not said to be right.
            let next = self.next;
            self.restart(now);
            (self.next, self.refused) = (next, look.refused);
            return [None; 4];
        }
        let missing = self.missing(now, since, look);
        let silent = self.silent(now, look);
        // A report from before a change says nothing new.
        let before = self.now.has(Trouble::NothingArrives);
        let unheard = look.unheard.is_some_and(|at| before || at >= since + RECENT);
        let unsent = self.unsent(now, since, look);
        [
            self.nothing_comes(missing),
            self.told(Trouble::OnlySilence, silent),
            self.told(Trouble::NothingArrives, unheard),
            self.told(Trouble::NothingSent, unsent),
        ]
    }

    /// Where what should come is lost, if nothing comes.
    fn missing(&mut self, now: Instant, since: Instant, look: &Look) -> Option<Missing> {
        let last = look.heard.map_or(since, |heard| heard.max(since));
        let patience = if self.comfort { COMFORT } else { PATIENCE };
        // The first look may be a tick late.
        if now.since(last) < STEP + STEP / 2 {
            self.refused = look.refused;
        }
        // What was wrong before a change is wrong until a packet comes.
        let comes = look.heard.is_some_and(|heard| now.since(heard) < patience);
        let before = self.now.has(Trouble::NothingComes(Missing::Unknown));
        if comes || (now.since(last) < patience && !before) {
            return None;
        }
        let (before, refused) = (self.refused, look.refused);
        let said = look.sends.filter(|(_, at)| *at > last).map(|(sends, _)| sends);
        Some(match said {
            _ if refused.forged > before.forged => Missing::Forged,
            _ if refused.strangers > before.strangers => Missing::Stranger,
            _ if refused.dropped > before.dropped => Missing::Unreadable,
            Some(true) => Missing::OnTheWay,
            Some(false) => Missing::NotSent,
            None => Missing::Unknown,
        })
    }

    fn silent(&self, now: Instant, look: &Look) -> bool {
        let comes = look.heard.is_some_and(|heard| now.since(heard) < RECENT);
        let long = self.silent.is_some_and(|silent| now.since(silent) >= PATIENCE);
        let before = self.now.has(Trouble::OnlySilence);
        !self.audible && (before || (long && comes && !self.comfort))
    }

    fn unsent(&mut self, now: Instant, since: Instant, look: &Look) -> bool {
        let is_sent = self.sent.0 != look.sent;
        if is_sent {
            self.sent = (look.sent, Some(now));
        }
        let fed = look.fed.is_some_and(|fed| now.since(fed) < RECENT);
        self.fed = fed.then(|| self.fed.unwrap_or(now));
        if self.now.has(Trouble::NothingSent) {
            return fed && !is_sent;
        }
        let sent = self.sent.1.unwrap_or(since);
        // The first step of both is the one that they were seen at.
        self.fed.is_some_and(|fed| now.since(fed.max(sent)) >= PATIENCE - STEP)
    }

    fn nothing_comes(&mut self, missing: Option<Missing>) -> Option<Told> {
        let trouble = Trouble::NothingComes(missing.unwrap_or(Missing::Unknown));
        let told = self.told(trouble, missing.is_some());
        let is_known = |missing: Option<Missing>| missing.is_some_and(|missing| missing != Missing::Unknown);
        let news = is_known(missing) && !is_known(self.missing);
        if told.is_some() || news {
            self.missing = missing;
        }
        told.or_else(|| news.then_some((trouble, false)))
    }

    fn told(&mut self, trouble: Trouble, is_there: bool) -> Option<Told> {
        if self.now.has(trouble) == is_there {
            return None;
        }
        self.now.set(trouble, is_there);
        if is_there {
            self.ever.set(trouble, true);
        }
        Some((trouble, !is_there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(100) + Duration::from_millis(ms)
    }

    /// Audio both ways at this time.
    fn well(now: Instant) -> Look {
        Look {
            talks: true,
            heard: Some(now),
            fed: Some(now),
            sent: now.as_millis(),
            refused: Refused::default(),
            sends: None,
            unheard: None,
        }
    }

    /// Looks each half second of a range, at what is the case then; what was told, with when.
    fn run(judge: &mut Judge, ms: std::ops::Range<u64>, look: impl Fn(Instant) -> Look) -> Vec<(u64, Trouble, bool)> {
        let mut told = Vec::new();
        for ms in ms.step_by(500) {
            let found = judge.look(at(ms), &look(at(ms)));
            told.extend(found.into_iter().flatten().map(|(trouble, over)| (ms, trouble, over)));
        }
        told
    }

    fn judge() -> Judge {
        let mut judge = Judge::default();
        judge.watch(at(0), true);
        judge.sound(at(0), Sound::Audible);
        judge
    }

    #[test]
    fn a_call_that_is_well_has_nothing_to_tell() {
        let mut judge = judge();
        assert_eq!(run(&mut judge, 500..60_000, well), []);
        assert_eq!(judge.ever(), Troubles::default());
    }

    #[test]
    fn nothing_that_comes_is_told_within_five_seconds_of_the_answer_or_of_the_last_packet() {
        let mut judge = judge();
        let none = |now| Look {
            heard: None,
            ..well(now)
        };
        let unknown = Trouble::NothingComes(Missing::Unknown);
        assert_eq!(run(&mut judge, 500..10_000, none), [(4_000, unknown, false)]);
        assert_eq!(run(&mut judge, 10_000..15_000, well), [(10_000, unknown, true)]);
        let stopped = |now| Look {
            heard: Some(at(15_200)),
            ..well(now)
        };
        assert_eq!(run(&mut judge, 15_500..25_000, stopped), [(19_500, unknown, false)]);
        assert_eq!(judge.ever().names().as_deref(), Some("nothing came"));
    }

    #[test]
    fn where_it_is_lost_is_told_as_far_as_something_tells() {
        let refused = |dropped, strangers, forged| Refused {
            dropped,
            strangers,
            forged,
        };
        for (count, said, want) in [
            (refused(9, 9, 0), None, Missing::Stranger),
            (refused(9, 0, 9), None, Missing::Forged),
            (refused(9, 0, 0), Some(true), Missing::Unreadable),
            (refused(0, 0, 0), Some(true), Missing::OnTheWay),
            (refused(0, 0, 0), Some(false), Missing::NotSent),
        ] {
            let mut judge = judge();
            let look = |now: Instant| Look {
                heard: None,
                refused: if now >= at(2_000) { count } else { Refused::default() },
                sends: said.map(|sends| (sends, at(2_000))),
                ..well(now)
            };
            let told = run(&mut judge, 500..10_000, look);
            assert_eq!(told, [(4_000, Trouble::NothingComes(want), false)]);
        }
        // What a report says later is told then, once.
        let mut judge = judge();
        let later = |now: Instant| Look {
            heard: None,
            sends: (now >= at(6_000)).then_some((false, at(6_000))),
            ..well(now)
        };
        let told = run(&mut judge, 500..20_000, later);
        let of = |missing| Trouble::NothingComes(missing);
        assert_eq!(
            told,
            [
                (4_000, of(Missing::Unknown), false),
                (6_000, of(Missing::NotSent), false)
            ]
        );
    }

    #[test]
    fn only_silence_is_told_and_who_has_spoken_may_be_silent() {
        let mut judge = Judge::default();
        judge.watch(at(0), true);
        judge.sound(at(200), Sound::Silence);
        assert_eq!(
            run(&mut judge, 500..8_000, well),
            [(4_500, Trouble::OnlySilence, false)]
        );
        judge.sound(at(8_000), Sound::Audible);
        assert_eq!(
            run(&mut judge, 8_000..9_000, well),
            [(8_000, Trouble::OnlySilence, true)]
        );
        judge.sound(at(9_000), Sound::Silence);
        assert_eq!(run(&mut judge, 9_000..30_000, well), []);
        // After a change it is asked again.
        judge.changed(at(30_000));
        judge.sound(at(30_000), Sound::Silence);
        assert_eq!(
            run(&mut judge, 30_500..40_000, well),
            [(34_000, Trouble::OnlySilence, false)]
        );
        // What cannot be measured says nothing.
        let mut judge = Judge::default();
        judge.watch(at(0), true);
        judge.sound(at(200), Sound::Unknown);
        assert_eq!(run(&mut judge, 500..20_000, well), []);
    }

    /// The tone of a recording, or who is looked for: what the peer said and says does not change by it.
    #[test]
    fn who_hears_something_else_may_go_on_being_silent() {
        let mut judge = judge();
        judge.rejoined(at(10_000));
        judge.sound(at(10_000), Sound::Silence);
        assert_eq!(run(&mut judge, 10_500..30_000, well), []);
        judge.packet(true);
        let quiet = |now| Look {
            heard: Some(at(30_000)),
            ..well(now)
        };
        judge.rejoined(at(31_000));
        assert_eq!(run(&mut judge, 31_500..60_000, quiet), []);
        // Who was only silent before is asked on.
        let mut judge = Judge::default();
        judge.watch(at(0), true);
        judge.rejoined(at(1_000));
        judge.sound(at(1_000), Sound::Silence);
        assert_eq!(
            run(&mut judge, 1_500..10_000, well),
            [(5_000, Trouble::OnlySilence, false)]
        );
    }

    #[test]
    fn a_change_alone_makes_nothing_well() {
        let mut judge = Judge::default();
        judge.watch(at(0), true);
        judge.sound(at(0), Sound::Silence);
        let look = |now: Instant| Look {
            unheard: Some(at(2_000)),
            sent: 7,
            ..well(now)
        };
        assert_eq!(run(&mut judge, 500..6_000, look).len(), 3);
        judge.changed(at(6_000));
        assert_eq!(run(&mut judge, 6_000..20_000, look), []);
        let none = |now| Look {
            heard: None,
            fed: None,
            ..look(now)
        };
        let told = run(&mut judge, 20_000..30_000, none);
        let sent_on = (20_000, Trouble::NothingSent, true);
        let gone = Trouble::NothingComes(Missing::Unknown);
        assert_eq!(told, [(20_000, gone, false), sent_on]);
        judge.changed(at(30_000));
        assert_eq!(run(&mut judge, 30_000..40_000, none), []);
    }

    #[test]
    fn what_does_not_arrive_or_is_not_sent_on_is_told() {
        let mut judge = judge();
        let unheard = |now: Instant| Look {
            unheard: (now >= at(2_500)).then_some(at(2_500)),
            ..well(now)
        };
        assert_eq!(
            run(&mut judge, 500..8_000, unheard),
            [(2_500, Trouble::NothingArrives, false)]
        );
        assert_eq!(
            run(&mut judge, 8_000..9_000, well),
            [(8_000, Trouble::NothingArrives, true)]
        );
        let stuck = |now| Look { sent: 7, ..well(now) };
        let told = run(&mut judge, 9_000..20_000, stuck);
        assert_eq!(told, [(12_500, Trouble::NothingSent, false)]);
        let fed = |now| Look {
            fed: None,
            sent: 7,
            ..well(now)
        };
        assert_eq!(
            run(&mut judge, 20_000..30_000, fed),
            [(20_000, Trouble::NothingSent, true)]
        );
    }

    #[test]
    fn hold_comfort_noise_and_what_comes_before_the_answer_are_no_trouble() {
        let held = |now| Look {
            talks: false,
            heard: None,
            unheard: Some(at(3_000)),
            ..well(now)
        };
        let mut judge = judge();
        assert_eq!(run(&mut judge, 500..60_000, held), []);
        // After it everything has its time.
        let none = |now| Look {
            heard: None,
            ..well(now)
        };
        let told = run(&mut judge, 60_000..70_000, none);
        assert_eq!(told, [(63_500, Trouble::NothingComes(Missing::Unknown), false)]);
        let mut judge = self::judge();
        judge.packet(true);
        let quiet = |now| Look {
            heard: Some(at(0)),
            ..well(now)
        };
        let told = run(&mut judge, 500..90_000, quiet);
        assert_eq!(
            told,
            [(60_000, Trouble::NothingComes(Missing::Unknown), false)],
            "for a minute"
        );
        let mut judge = Judge::default();
        assert_eq!(run(&mut judge, 0..60_000, none), []);
        assert_eq!(judge.due(), None);
    }
}

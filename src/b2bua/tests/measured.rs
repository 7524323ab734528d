//! What a worker finds wrong with a leg's media, and its counters, as facts of the call.

use super::bench::*;
use crate::effect::{Fact, Party};
use crate::id::MediaLegId;
use crate::limits;
use crate::media::command::{Command, Event, LegStats, Missing, Trouble};
use std::time::Duration;

const NOTHING: Trouble = Trouble::NothingComes(Missing::Unknown);

fn media(b: &Bench) -> Vec<MediaLegId> {
    let opened = |command: &Command| match command {
        Command::Open(spec) => Some(spec.id),
        _other => None,
    };
    b.media.iter().filter_map(opened).collect()
}

fn tell(b: &mut Bench, leg: MediaLegId, trouble: Trouble, over: bool) {
    b.with(|calls, cx, net| calls.media(cx, net, Event::Trouble { leg, trouble, over }));
}

/// Whose leg, with whom, whether it is over, whether neither hears the other.
fn told(b: &mut Bench) -> Vec<(String, String, bool, bool)> {
    let name = |party: Option<&Party>| match party {
        Some(Party::User(name) | Party::Trunk(_, name) | Party::Service(name)) => name.clone(),
        None => "-".to_owned(),
    };
    let facts = std::mem::take(&mut b.facts);
    let found = |fact: &Fact| match fact {
        Fact::CallTrouble {
            leg, other, over, both, ..
        } => Some((name(Some(leg)), name(other.as_ref()), *over, *both)),
        _other => None,
    };
    let told = facts.iter().filter_map(found).collect();
    b.facts = facts
        .into_iter()
        .filter(|fact| !matches!(fact, Fact::CallTrouble { .. }))
        .collect();
    told
}

fn line(leg: &str, other: &str, over: bool, both: bool) -> (String, String, bool, bool) {
    (leg.to_owned(), other.to_owned(), over, both)
}

#[test]
fn a_trouble_names_the_leg_and_says_when_neither_hears_the_other() {
    let mut b = Bench::new();
    b.talk();
    let legs = media(&b);
    let (alice, bob) = (legs[0], legs[1]);
    tell(&mut b, alice, NOTHING, false);
    assert_eq!(told(&mut b), [line("alice", "bob", false, false)]);
    tell(&mut b, bob, Trouble::OnlySilence, false);
    assert_eq!(told(&mut b), [line("bob", "alice", false, true)]);
    tell(&mut b, bob, Trouble::OnlySilence, true);
    tell(&mut b, alice, Trouble::NothingArrives, false);
    assert_eq!(
        told(&mut b),
        [line("bob", "alice", true, false), line("alice", "bob", false, true)]
    );
    tell(&mut b, alice, NOTHING, true);
    // What does not reach bob is what alice says, which is the other direction.
    tell(&mut b, bob, Trouble::NothingSent, false);
    assert_eq!(
        told(&mut b),
        [line("alice", "bob", true, false), line("bob", "alice", false, true)]
    );
}

/// Workers watch from the answer on, and are told once.
#[test]
fn nobody_is_watched_before_the_answer_and_nobody_is_told_of_who_does_not_talk() {
    let mut b = Bench::new();
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 183, Some(sdp(5000, "")));
    let watched = |b: &Bench| {
        let watch = |command: &&Command| matches!(command, Command::Watch { troubles: true, .. });
        b.media.iter().filter(watch).count()
    };
    assert_eq!(watched(&b), 0);
    let bob = media(&b)[1];
    tell(&mut b, bob, NOTHING, false);
    assert_eq!(told(&mut b), []);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    assert_eq!(watched(&b), 2);
    drop(invite);
}

#[test]
fn a_call_that_is_up_is_measured_in_ten_seconds_and_then_each_minute() {
    let mut b = Bench::new();
    b.talk();
    let legs = media(&b);
    let asked = |b: &mut Bench| {
        let ask = |command: &Command| match command {
            Command::ReadStats(leg) => Some(*leg),
            _other => None,
        };
        let asked: Vec<MediaLegId> = b.media.iter().filter_map(ask).collect();
        b.media.retain(|command| !matches!(command, Command::ReadStats(_)));
        asked
    };
    b.wait(limits::MEASURE_FIRST - Duration::from_secs(1));
    assert_eq!(asked(&mut b), []);
    for _ in 0..3 {
        b.wait(Duration::from_secs(1));
        assert_eq!(asked(&mut b), legs);
        for (leg, lost) in legs.iter().zip([1, 2]) {
            let stats = LegStats {
                lost,
                ..LegStats::default()
            };
            b.with(|calls, cx, net| calls.media(cx, net, Event::Stats(*leg, stats)));
        }
        let measured = b.facts.iter().rev().find_map(|fact| match fact {
            Fact::CallMeasured { legs, .. } => Some(legs.clone()),
            _other => None,
        });
        let sides: Vec<_> = measured
            .expect("both have answered")
            .iter()
            .map(|leg| (leg.caller, leg.stats.lost))
            .collect();
        assert_eq!(sides, [(true, 1), (false, 2)]);
        b.facts.retain(|fact| !matches!(fact, Fact::CallMeasured { .. }));
        // What comes unasked is nobody's.
        b.with(|calls, cx, net| calls.media(cx, net, Event::Stats(legs[0], LegStats::default())));
        b.wait(limits::MEASURE - Duration::from_secs(1));
    }
}

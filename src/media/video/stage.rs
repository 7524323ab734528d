//! Who of a room is seen by whom, and in which layer.
//!
//! Screens come first, then those who spoke last, then those who were there first: of them each member sees as many as it has places, but not
//! itself. Whoever is seen stays on his place, so that a picture does not jump about; who spoke last takes the place of one
//! who has not for longest. The layers that a member gets are what fits into its bandwidth: the smallest of all first, then larger ones in the
//! same order.

use super::budget::Verdict;
use super::slot::{Shown, Slot};
use super::{LIVE, Published, VideoLeg};
use crate::limits::{ROOM_PUBLISHERS, VIDEO_LAYERS, VIDEO_LINES};
use crate::media::leg::Leg;
use crate::media::packet::LegIx;
use crate::time::Instant;
use std::cmp::Reverse;
use std::time::Duration;

/// Ticks from one time to the next at which it is looked who is to be seen: 200 ms.
pub(crate) const LOOK: u32 = 10;
/// Ticks for which one must have spoken to be seen for it: a cough brings nobody to the front.
pub(crate) const SPEECH: u16 = 25;
/// A layer that nothing came of for so long is paused by its browser, and another is seen.
const PAUSED: Duration = Duration::from_secs(1);

type Legs = [Option<Box<Leg>>];

/// A stream that may be seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    shown: Shown,
    spoke: u32,
}

/// All that may be seen in a room, in the order of their importance.
#[derive(Debug)]
struct Publishers {
    all: [Option<Seen>; ROOM_PUBLISHERS],
    len: usize,
}

impl Publishers {
    fn of(now: Instant, members: &[LegIx], legs: &Legs) -> Publishers {
        let mut publishers = Publishers {
            all: [None; ROOM_PUBLISHERS],
            len: 0,
        };
        for at in members {
            let Some(leg) = legs[at.index()].as_ref().filter(|leg| leg.seat.shows) else {
                continue;
            };
            let Some(video) = &leg.video else { continue };
            for (nth, published) in (0u8..).zip(&video.published) {
                if published.tracks.iter().any(|track| track.is_live(now)) {
                    publishers.insert(Seen {
                        shown: Shown {
                            id: leg.id(),
                            at: *at,
                            published: nth,
                            is_screen: published.is_screen,
                        },
                        spoke: published.spoke,
                    });
                }
            }
        }
        publishers
    }

    /// In its place; of too many the last is not considered.
    fn insert(&mut self, new: Seen) {
        let rank = |seen: &Seen| (Reverse(seen.shown.is_screen), Reverse(seen.spoke));
        let before = |own: &Option<Seen>| own.is_some_and(|own| rank(&own) <= rank(&new));
        let at = self.all[..self.len].iter().take_while(|own| before(own)).count();
        if at >= ROOM_PUBLISHERS {
            return;
        }
        self.len = (self.len + 1).min(ROOM_PUBLISHERS);
        self.all[at..self.len].rotate_right(1);
        self.all[at] = Some(new);
    }

    fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.all[..self.len].iter().flatten()
    }
}

/// Notes who speaks.
pub(crate) fn spoke(legs: &mut Legs, at: LegIx, ticks: u32) {
    let video = legs[at.index()].as_mut().and_then(|leg| leg.video.as_mut());
    for published in video.into_iter().flat_map(|video| &mut *video.published) {
        published.spoke = ticks;
    }
}

/// Gives each member's places to those whom it is to see.
pub(crate) fn assign(now: Instant, members: &[LegIx], legs: &mut Legs) {
    let publishers = Publishers::of(now, members, legs);
    for at in members {
        let Some(leg) = legs[at.index()].as_mut() else { continue };
        let hears = leg.seat.hears;
        // It is not there while the others are looked at.
        let Some(mut video) = leg.video.take() else { continue };
        video
            .published
            .iter_mut()
            .for_each(|published| published.viewers.clear());
        let places = if hears { video.slots.len() } else { 0 };
        let mut wanted = [None; VIDEO_LINES];
        let others = publishers.iter().filter(|seen| seen.shown.at != *at);
        let can = |seen: &&Seen| {
            let (track, slot) = (track_of(legs, &seen.shown, 0), video.slots.first());
            track.zip(slot).is_some_and(|(track, slot)| slot.takes(track.codec))
        };
        let others = others.filter(can);
        for (slot, seen) in wanted[..places].iter_mut().zip(others) {
            *slot = Some(seen.shown);
        }
        seat(&mut video.slots, &mut wanted);
        choose_layers(now, &mut video, legs);
        if let Some(leg) = legs[at.index()].as_mut() {
            leg.video = Some(video);
        }
    }
    enlist(now, members, legs);
}

/// Whoever is wanted and has a place keeps it; the others get those that are free.
fn seat(slots: &mut [Slot], wanted: &mut [Option<Shown>; VIDEO_LINES]) {
    for slot in slots.iter_mut() {
        let own = wanted
            .iter_mut()
            .find(|wanted| wanted.is_some() && **wanted == slot.shown);
        match own {
            Some(own) => *own = None,
            None => slot.clear(),
        }
    }
    let mut wanted = wanted.iter().flatten();
    for slot in slots.iter_mut().filter(|slot| slot.shown.is_none()) {
        slot.show(wanted.next().copied());
    }
}

fn published_of<'l>(legs: &'l Legs, shown: &Shown) -> Option<&'l Published> {
    let leg = legs[shown.at.index()].as_ref().filter(|leg| leg.id() == shown.id)?;
    leg.video.as_ref()?.published.get(usize::from(shown.published))
}

fn track_of<'l>(legs: &'l Legs, shown: &Shown, layer: u8) -> Option<&'l super::Track> {
    published_of(legs, shown)?.tracks.get(usize::from(layer))
}

/// The layers of a stream that come, by what they take, the smallest first: the place of each, and its bits per second.
fn layers(now: Instant, published: &Published) -> ([(u8, u64); VIDEO_LAYERS], usize) {
    let (mut layers, mut len) = ([(0, 0); VIDEO_LAYERS], 0);
    for (nth, track) in (0u8..).zip(&published.tracks) {
        if track.is_heard(now, PAUSED) && len < layers.len() {
            layers[len] = (nth, track.rate);
            len += 1;
        }
    }
    layers[..len].sort_by_key(|(nth, rate)| (*rate, *nth));
    (layers, len)
}

/// What comes of who is shown on a place, and which of it is sent.
#[derive(Clone, Copy)]
struct Choice {
    layers: [(u8, u64); VIDEO_LAYERS],
    len: usize,
    /// Of `layers`.
    nth: usize,
    /// The same as it is now.
    sent: usize,
}

impl Choice {
    fn of(now: Instant, slot: &Slot, legs: &Legs) -> Option<Choice> {
        let published = published_of(legs, &slot.shown?)?;
        let (layers, len) = layers(now, published);
        let sent = layers[..len].iter().position(|(nth, _)| *nth == slot.target);
        (len > 0).then_some(Choice {
            layers,
            len,
            nth: 0,
            sent: sent.unwrap_or(0),
        })
    }

    fn rate(&self, nth: usize) -> u64 {
        self.layers[nth].1
    }

    /// The layer that is the next larger one.
    fn next(&self) -> Option<u8> {
        let next = self.layers[..self.len].get(self.nth + 1)?;
        Some(next.0)
    }
}

/// The layer of each place.
fn choose_layers(now: Instant, video: &mut VideoLeg, legs: &Legs) {
    let mut choices = [None; VIDEO_LINES];
    for (slot, choice) in video.slots.iter().zip(&mut choices) {
        *choice = Choice::of(now, slot, legs);
    }
    let all = || choices.iter().flatten();
    let sent = all().map(|choice| choice.rate(choice.sent)).sum();
    let is_lossy = video.slots.iter().any(|slot| slot.is_lossy(now));
    let estimate = video.remb.filter(|(_, at)| now.since(*at) < LIVE).map(|(bits, _)| bits);
    match video.budget.look(now, estimate, sent, is_lossy) {
        Verdict::Fits(kept, more) => fit(now, &video.slots, &mut choices, (kept, more)),
        Verdict::Keep => choices.iter_mut().flatten().for_each(|choice| choice.nth = choice.sent),
        Verdict::Try => {
            choices.iter_mut().flatten().for_each(|choice| choice.nth = choice.sent);
            let mut all = video.slots.iter().zip(&mut choices);
            let first = all.find_map(|(slot, choice)| {
                let next = choice.as_ref().and_then(Choice::next);
                choice
                    .as_mut()
                    .filter(|_| next.is_some_and(|next| !slot.waits(now, next)))
            });
            if let Some(first) = first {
                first.nth += 1;
            }
        }
    }
    for (slot, choice) in video.slots.iter_mut().zip(&choices) {
        if let Some(choice) = choice {
            slot.target = choice.layers[choice.nth].0;
        }
    }
}

/// The smallest of all that are shown, then larger ones as long as they fit.
fn fit(now: Instant, slots: &[Slot], choices: &mut [Option<Choice>], (kept, more): (u64, u64)) {
    let mut used: u64 = choices.iter().flatten().map(|choice| choice.rate(0)).sum();
    for (slot, choice) in slots.iter().zip(choices) {
        let Some(choice) = choice else { continue };
        let highest = if slot.is_lossy(now) { 1 } else { choice.len };
        while choice.nth + 1 < highest && choice.next().is_some_and(|next| !slot.waits(now, next)) {
            let step = choice.rate(choice.nth + 1).saturating_sub(choice.rate(choice.nth));
            let bound = if choice.nth < choice.sent { kept } else { more };
            if used.saturating_add(step) > bound {
                break;
            }
            used += step;
            choice.nth += 1;
        }
    }
}

/// Tells each publisher by whom it is seen, and who of them waits for a key frame.
fn enlist(now: Instant, members: &[LegIx], legs: &mut Legs) {
    for at in members {
        for place in 0..VIDEO_LINES {
            let video = legs[at.index()].as_ref().and_then(|leg| leg.video.as_ref());
            let Some(slot) = video.and_then(|video| video.slots.get(place)) else {
                break;
            };
            let Some(shown) = slot.shown else { continue };
            let target = usize::from(slot.target);
            let track = published_of(legs, &shown).and_then(|published| published.tracks.get(target));
            let waits = track.is_some_and(|track| track.is_live(now) && slot.waits_for_key(track.generation));
            let publisher = legs[shown.at.index()].as_mut().filter(|leg| leg.id() == shown.id);
            let Some(video) = publisher.and_then(|leg| leg.video.as_mut()) else {
                continue;
            };
            let Some(published) = video.published.get_mut(usize::from(shown.published)) else {
                continue;
            };
            if published.viewers.len() < published.viewers.capacity() {
                published.viewers.push((*at, place as u8));
            }
            if let Some(track) = published.tracks.get_mut(target).filter(|_| waits) {
                track.want_key();
            }
        }
    }
}

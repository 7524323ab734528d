//! What a worker is commanded: legs come and go, and get what they need and what they do.

use super::{NEVER, Worker};
use crate::id::MediaLegId;
use crate::media::bridge::{self, Path};
use crate::media::command::{Event, Function};
use crate::media::decode::OWN_RATE;
use crate::media::input::{Change, Gear, Input, Output, Outputs};
use crate::media::leg::{Leg, Role};
use crate::media::packet::{LegIx, TxBatch};
use crate::media::tone::Player;
use crate::time::Instant;

impl Worker {
    /// Takes a prepared command.
    pub fn on_input(&mut self, now: Instant, input: Input, out: &mut TxBatch, outputs: &mut Outputs) {
        let at = match input {
            Input::Open(leg) | Input::Give(leg) => return self.admit(now, leg, outputs),
            Input::OpenRoom(room) => return self.open_room(room, outputs),
            Input::Room { room, change } => return self.change_room(now, room, change, outputs),
            Input::Take { .. }
            | Input::Negotiated { .. }
            | Input::Function { .. }
            | Input::Fit { .. }
            | Input::SendDigits { .. }
            | Input::Watch { .. }
            | Input::Named { .. }
            | Input::Seat { .. }
            | Input::ReadStats(_)
            | Input::Close(_) => match input.leg().and_then(|leg| self.place(leg)) {
                Some(at) => at,
                None => return outputs.push(Output::Strayed(input)),
            },
        };
        self.apply(now, at, input, out, outputs);
        self.refresh(now, at);
    }

    fn apply(&mut self, now: Instant, at: LegIx, input: Input, out: &mut TxBatch, outputs: &mut Outputs) {
        let Some(leg) = self.legs[at.index()].as_mut() else {
            return;
        };
        let id = leg.id();
        match input {
            // Handled by the caller: they have no place yet.
            Input::Open(_) | Input::Give(_) | Input::OpenRoom(_) | Input::Room { .. } => {}
            Input::Seat { seat, .. } => {
                leg.seat = seat;
                if let Role::Room(room) = leg.role
                    && let Some(room) = self.rooms[room.index()].as_mut()
                {
                    room.seated();
                }
            }
            Input::Named { name, .. } => leg.name(name),
            Input::Negotiated {
                remote, stream, gear, ..
            } => {
                let retired = leg.fit(gear);
                leg.negotiate(now, remote, stream);
                self.rejoin(at);
                retire(id, retired, outputs);
            }
            Input::Function { function, gear, .. } => {
                let retired = leg.fit(gear);
                self.set_function(now, at, function);
                retire(id, retired, outputs);
            }
            Input::Fit { gear, .. } => {
                let has_places = matches!(gear.video, Change::Set(_));
                let retired = leg.fit(gear);
                if has_places && matches!(leg.role, Role::Room(_)) {
                    self.rejoin(at);
                }
                retire(id, retired, outputs);
            }
            Input::SendDigits { digits, gear, .. } => {
                let retired = leg.fit(gear);
                leg.dial(&digits);
                retire(id, retired, outputs);
            }
            Input::Watch { silence, troubles, .. } => leg.watch(now, silence, troubles),
            Input::ReadStats(_) => outputs.event(Event::Stats(id, leg.stats(now))),
            Input::Take { to, .. } => {
                if let Some(mut leg) = self.remove(now, at) {
                    leg.moving_to = Some(to);
                    outputs.push(Output::Taken { at, leg, to });
                }
            }
            Input::Close(_) => {
                let from_here = out.len();
                leg.report(now, true, out);
                self.seal(out, from_here);
                if let Some(leg) = self.remove(now, at) {
                    let stats = leg.stats(now);
                    outputs.push(Output::Closed {
                        at: Some(at),
                        leg,
                        stats,
                    });
                }
            }
        }
    }

    /// Finds a place for a leg.
    fn admit(&mut self, now: Instant, mut leg: Box<Leg>, outputs: &mut Outputs) {
        let id = leg.id();
        let place = if self.by_id.contains_key(&id) {
            None
        } else {
            self.free.pop()
        };
        let Some(at) = place else {
            let stats = leg.stats(now);
            outputs.push(Output::Closed { at: None, leg, stats });
            return;
        };
        leg.tx.place = at;
        outputs.push(Output::Opened {
            at,
            leg: id,
            port: leg.port(),
        });
        if let Some(here) = leg.moving_to.take() {
            outputs.event(Event::Moved(id, here));
        }
        self.by_id.insert(id, at);
        self.legs[at.index()] = Some(leg);
        self.refresh(now, at);
    }

    /// Takes a leg out; its neighbour and its copy become idle.
    fn remove(&mut self, now: Instant, at: LegIx) -> Option<Box<Leg>> {
        self.set_function(now, at, Function::Idle);
        self.uncopy(now, at);
        let leg = self.legs[at.index()].take()?;
        self.by_id.remove(&leg.id());
        self.free.push(at);
        self.due[at.index()] = NEVER;
        Some(leg)
    }

    pub(super) fn refresh(&mut self, now: Instant, at: LegIx) {
        if let Some(leg) = &mut self.legs[at.index()] {
            if let Some(encode) = leg.tx.encode.as_mut() {
                encode.limit(self.effort);
            }
            self.due[at.index()] = leg.due(now).unwrap_or(NEVER);
        }
    }

    /// Gives a leg its function; the neighbour of a bridge that ends becomes idle, and one that is bridged anew joins.
    pub(super) fn set_function(&mut self, now: Instant, at: LegIx, function: Function) {
        self.part(now, at);
        let role = match function {
            Function::Idle => Role::Idle,
            Function::Echo => Role::Echo,
            Function::Tone(tone) => Role::Tone(Player::new(tone, OWN_RATE.hz())),
            Function::Play => Role::Play,
            Function::Phone => Role::Phone,
            Function::Note => Role::Note,
            Function::Room(id) => self.sit(at, id),
            Function::Bridge(id) => match self.place(id).filter(|other| *other != at) {
                Some(other) => {
                    self.part(now, other);
                    self.meet(at, other);
                    self.set_role(now, other, Role::Bridge(at));
                    self.refresh(now, other);
                    Role::Bridge(other)
                }
                // The control side sends both to one worker first; a leg that is gone leaves this one idle.
                None => Role::Idle,
            },
            Function::Fork(id) => match self.place(id).filter(|source| *source != at) {
                Some(source) => {
                    self.uncopy(now, source);
                    if let Some(source) = self.legs[source.index()].as_mut() {
                        source.copied = Some(at);
                    }
                    Role::Fork(source)
                }
                None => Role::Idle,
            },
        };
        self.set_role(now, at, role);
        self.rejoin(at);
    }

    /// Two legs are bridged.
    fn meet(&mut self, one: LegIx, other: LegIx) {
        for (at, with) in [(one, other), (other, one)] {
            let Some(id) = self.legs[with.index()].as_ref().map(|leg| leg.id()) else {
                return;
            };
            if let Some(leg) = self.legs[at.index()].as_mut() {
                leg.meet(id);
            }
        }
    }

    fn set_role(&mut self, now: Instant, at: LegIx, role: Role) {
        if let Some(leg) = self.legs[at.index()].as_mut() {
            leg.role = role;
            leg.rx.judge.rejoined(now);
            leg.rx.interrupted = true;
            leg.rx.path = Path::Nowhere;
            if let Some(decode) = leg.rx.decode.as_mut() {
                decode.end_pause();
            }
            leg.tx.cut();
        }
    }

    /// The copy of a leg ends, if it has one.
    fn uncopy(&mut self, now: Instant, source: LegIx) {
        let source = self.legs[source.index()].as_mut();
        if let Some(copied) = source.and_then(|source| source.copied.take()) {
            self.set_role(now, copied, Role::Idle);
        }
    }

    /// Ends a bridge from both sides; leaves a room; one that is a copy is one no longer.
    fn part(&mut self, now: Instant, at: LegIx) {
        match self.legs[at.index()].as_ref().map(|leg| leg.role) {
            Some(Role::Bridge(other)) => {
                self.set_role(now, at, Role::Idle);
                self.set_role(now, other, Role::Idle);
            }
            Some(Role::Room(room)) => {
                self.set_role(now, at, Role::Idle);
                if let Some(room) = self.rooms[room.index()].as_mut() {
                    room.leave(at);
                }
                if let Some(video) = self.legs[at.index()].as_mut().and_then(|leg| leg.video.as_mut()) {
                    video.leave();
                }
            }
            Some(Role::Fork(source)) => self.uncopy(now, source),
            Some(Role::Idle | Role::Echo | Role::Tone(_) | Role::Play | Role::Phone | Role::Note) | None => {}
        }
    }

    /// Chooses the paths of a leg and its neighbour anew.
    fn rejoin(&mut self, at: LegIx) {
        let Some(leg) = self.legs[at.index()].as_mut() else {
            return;
        };
        match leg.role {
            Role::Idle | Role::Tone(_) | Role::Play | Role::Phone | Role::Note | Role::Fork(_) => {
                leg.rx.path = Path::Nowhere;
            }
            Role::Room(room) => {
                leg.rx.path = Path::Nowhere;
                if let Some(room) = self.rooms[room.index()].as_mut() {
                    room.fit(leg);
                }
            }
            // The same codec comes and goes; what it cannot take back is dropped.
            Role::Echo => {
                leg.rx.path = if leg.rx.stream.is_some_and(|stream| !stream.udptl) {
                    Path::Relay
                } else {
                    Path::Nowhere
                }
            }
            Role::Bridge(other) => {
                let ours = leg.rx.treated();
                let Some(theirs) = self.legs[other.index()].as_ref().map(|leg| leg.rx.treated()) else {
                    return;
                };
                let paths = match (ours, theirs) {
                    (Some(ours), Some(theirs)) => (bridge::path(&ours, &theirs), bridge::path(&theirs, &ours)),
                    (Some(_), None) | (None, Some(_) | None) => (Path::Nowhere, Path::Nowhere),
                };
                for (at, path) in [(at, paths.0), (other, paths.1)] {
                    if let Some(leg) = self.legs[at.index()].as_mut() {
                        leg.rx.go(path);
                    }
                }
            }
        }
    }
}

/// Hands back what was replaced, if anything was; what was noted is told.
fn retire(leg: MediaLegId, mut gear: Gear, outputs: &mut Outputs) {
    if let Change::Set(Some(note)) = std::mem::take(&mut gear.note) {
        outputs.push(Output::Noted { leg, note });
    }
    if !gear.is_empty() {
        outputs.push(Output::Retired(gear));
    }
}

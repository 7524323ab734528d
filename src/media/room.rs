//! A room: legs that hear one another, of any codec.
//!
//! ```text
//!   each tick of 20 ms
//!   every member     packets -> 20 ms of PCM -> how loud, speech?          playout, seat
//!   a few of them    -> one loudness -> the room's rate -> faded in or out  speakers, voice
//!   the room         all of those, and what is played to it = the mix
//!   every listener   the mix, encoded once for all of one codec             class
//!   every speaker    the mix without himself, encoded for him alone
//! ```
//!
//! What a tick costs is the members' decoding, and the speakers', the codecs' and the packets' rest: never members squared. Who begins to speak
//! gets an encoder of his own that goes on where the shared one is ([`super::coder::Coder::follow`]), and keeps it for a moment when he is silent again.
//!
//! Where voices are forwarded (`apart`), there is a second mix, of what is not: for those who hear the voices themselves.

mod apart;
mod bands;
mod class;
mod forwarding;
mod link;
mod member;
mod playout;
mod recent;
mod recorder;
mod speakers;
mod voice;

pub use apart::Place;
pub use class::{Class, ClassKey};
pub use link::{Link, Pipe, Pipes};
pub use member::Member;
pub(super) use member::{FAINT, hear};
pub use recorder::Recorder;

use super::command::{Event, RoomSpec, RoomStats};
use super::decode::Lead;
use super::input::Outputs;
use super::leg::Leg;
use super::packet::{LegIx, TxBatch};
use super::play::Play;
use super::video::stage;
use crate::id::MediaRoomId;
use crate::limits::{ROOM_CLASSES, ROOM_LINKS, ROOM_MEASURE, ROOM_PART, ROOM_SPEAKERS};
use crate::time::Instant;
use bands::{Bands, Down};
use codecs::{Rate, mix};
use member::Own;
use speakers::Speakers;
use voice::Voice;

/// A tick in which somebody hears nothing.
static SILENCE: [i16; step(Rate::Full)] = [0; step(Rate::Full)];
/// What is remembered of the mix, in ticks: three of the longest packet, of which one waits.
const HISTORY: usize = 9;
/// Ticks from one time to the next at which it is told who speaks: 200 ms.
const TELL: u32 = 10;
/// Of whom a member sees, how much is told it in one tick.
const TELL_SEEN: usize = 4;
/// Ticks from one time to the next at which it is told what they took.
const MEASURE: u32 = ROOM_MEASURE.as_millis() as u32 / 20;

/// Where a room lives in its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomIx(pub u16);

impl RoomIx {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The legs of a worker, by place.
type Legs = [Option<Box<Leg>>];

/// Ticks of silence that are still encoded in the mix of what is not forwarded: half a second, in which a decoder comes to rest.
const FADES: u8 = 25;

/// What the members of a room hear, at all rates that members have.
#[derive(Debug)]
struct Mix {
    /// Ticks in which it was silent, as far as they count.
    silent: u8,
    sum: Box<[i32]>,
    /// What everybody hears who does not speak.
    whole: Bands,
    down: Down,
    /// What they heard last, newest last, from which an encoder is brought to where another is.
    history: Bands,
    /// What one of those hears who speak.
    own: Bands,
}

/// A room with all that it needs, made on the control side.
#[derive(Debug)]
pub struct Room {
    spec: RoomSpec,
    members: Vec<LegIx>,
    speakers: Speakers,
    voices: Box<[Voice]>,
    mix: Mix,
    /// Of what is not forwarded.
    rest: Option<Box<Mix>>,
    /// Who is forwarded, or who hears that, is another than before.
    is_changed: bool,
    /// How many hear voices apart.
    listeners: usize,
    classes: [Option<Box<Class>>; ROOM_CLASSES],
    play: Option<Box<Play>>,
    /// To its parts on other workers.
    links: Vec<Link>,
    recorder: Option<Box<Recorder>>,
    /// Where sending goes on within a tick.
    cursor: Option<usize>,
    ticks: u32,
    encodes: u64,
    /// How many of those were told.
    told: u64,
}

impl Room {
    /// An empty one.
    pub fn new(spec: RoomSpec) -> Room {
        let speakers = usize::from(spec.speakers.clamp(1, ROOM_SPEAKERS));
        let listeners = usize::from(spec.seats).min(ROOM_PART);
        Room {
            spec,
            members: Vec::with_capacity(usize::from(spec.seats)),
            speakers: Speakers::new(speakers),
            // Who has just lost a place is still faded out while another is faded in.
            voices: (0..2 * speakers)
                .map(|_| Voice::new(spec.rate, spec.forwards.then_some(listeners)))
                .collect(),
            mix: Mix::new(spec.rate),
            rest: spec.forwards.then(|| Box::new(Mix::new(spec.rate))),
            is_changed: false,
            listeners: 0,
            classes: [const { None }; ROOM_CLASSES],
            play: None,
            links: Vec::with_capacity(ROOM_LINKS),
            recorder: None,
            cursor: None,
            ticks: 0,
            encodes: 0,
            told: 0,
        }
    }

    /// Its name.
    pub fn id(&self) -> MediaRoomId {
        self.spec.id
    }

    /// Who sits in it.
    pub fn members(&self) -> &[LegIx] {
        &self.members
    }

    /// Who is heard.
    #[cfg(test)]
    pub(super) fn heard(&self) -> impl Iterator<Item = LegIx> {
        self.speakers.all().map(|place| place.at)
    }

    /// Packets that were encoded since it was opened, for whomever.
    pub fn encodes(&self) -> u64 {
        self.encodes
    }

    /// The most complexity that there is a processor for.
    pub fn limit(&mut self, complexity: u8) {
        for class in self.classes.iter_mut().flatten() {
            class.coder.limit(complexity);
        }
    }

    /// The most complexity that an encoder of Opus has.
    pub fn complexity(&self) -> Option<u8> {
        self.classes
            .iter()
            .flatten()
            .filter_map(|class| class.coder.complexity())
            .max()
    }

    /// Another encoder for listeners, in place of one that nobody has any more. What is not needed comes back.
    pub fn add_class(&mut self, mut class: Box<Class>, old: Option<ClassKey>) -> Option<Box<Class>> {
        if self.class_of(class.key).is_some() {
            return Some(class);
        }
        class.align(self.ticks);
        let is_old = |slot: &&mut Option<Box<Class>>| slot.as_ref().map(|class| class.key) == old;
        match self.classes.iter_mut().find(is_old) {
            Some(slot) => slot.replace(class),
            None => Some(class),
        }
    }

    /// Everybody hears this from now on; what was played before is at its end, and comes back.
    pub fn play(&mut self, play: Option<Box<Play>>, outputs: &mut Outputs) -> Option<Box<Play>> {
        if self.play.as_ref().is_some_and(|play| !play.is_over()) {
            outputs.event(Event::RoomPlayed(self.spec.id));
        }
        std::mem::replace(&mut self.play, play)
    }

    /// Another part of the room is on another worker; comes back where there are too many.
    pub fn link(&mut self, link: Link) -> Option<Link> {
        if self.links.len() >= ROOM_LINKS {
            return Some(link);
        }
        self.links.push(link);
        None
    }

    /// The mix is recorded from now on, or no longer.
    pub fn record(&mut self, recorder: Option<Box<Recorder>>) -> Option<Box<Recorder>> {
        std::mem::replace(&mut self.recorder, recorder)
    }

    /// A leg sits down; false where no seat is free.
    pub(super) fn enter(&mut self, at: LegIx) -> bool {
        let has_room = self.members.len() < usize::from(self.spec.seats);
        if has_room {
            self.members.push(at);
            self.is_changed = true;
        }
        has_room
    }

    /// Somebody hears or is heard who was not, or no longer.
    pub(super) fn seated(&mut self) {
        self.is_changed = true;
    }

    /// A leg is gone.
    pub(super) fn leave(&mut self, at: LegIx) {
        self.members.retain(|member| *member != at);
        // Where sending goes on has moved by one at most: somebody hears the same 20 ms twice, or not.
        self.speakers.forget(at);
        for voice in &mut self.voices {
            voice.forget(at);
        }
        self.is_changed = true;
    }

    /// Finds the encoders that a member listens to; its stream is new.
    pub(super) fn fit(&mut self, leg: &mut Leg) {
        for voice in &mut self.voices {
            voice.forget(leg.tx.place);
        }
        self.is_changed = true;
        let places = leg.video.as_ref().map_or(0, |video| video.voices.len());
        let (Some(member), Some(stream)) = (leg.member.as_mut(), leg.rx.stream) else {
            return;
        };
        let rest = self.spec.hears_apart(&stream, places);
        member.hears_rest = rest;
        let key = |poor| self.class_of(ClassKey::new(&stream, self.spec.rate, (rest, poor)));
        let classes = [key(false), key(true)];
        // What goes on as it was is not touched.
        if member.classes != classes || classes[0].is_none() {
            member.classes = classes;
            (member.is_aligned, member.was_shared) = (false, false);
        }
        if let Own::Speaks(_) = member.own {
            member.own = Own::Lingers(member::LINGER);
        }
    }

    fn class_of(&self, key: ClassKey) -> Option<u8> {
        let at = self
            .classes
            .iter()
            .position(|class| class.as_ref().is_some_and(|class| class.key == key))?;
        u8::try_from(at).ok()
    }

    /// The first part of a tick: what everybody says becomes what everybody hears. Nothing to do where the second part is not finished.
    pub(super) fn hear(&mut self, now: Instant, legs: &mut Legs, outputs: &mut Outputs) {
        if self.cursor.is_some() {
            return;
        }
        self.cursor = Some(0);
        self.ticks = self.ticks.wrapping_add(1);
        self.listen(now, legs);
        self.give_places(legs);
        self.begin_apart(now, legs);
        self.hear_apart(legs);
        self.part(legs);
        self.add_up(legs, outputs);
        self.encode(legs);
        self.look(now, legs);
    }

    /// Takes 20 ms of every member.
    fn listen(&mut self, now: Instant, legs: &mut Legs) {
        self.speakers.begin();
        for at in &self.members {
            let Some(leg) = legs[at.index()].as_mut() else { continue };
            let Leg { rx, member, seat, .. } = &mut **leg;
            let Some(member) = member.as_mut() else { continue };
            if let Some(candidate) = member.listen(now, *at, rx, seat.speaks, self.spec.gate) {
                self.speakers.offer(candidate);
            }
        }
        self.speakers.end();
    }

    /// Who has lost the place is faded out, and who has got one is faded in.
    fn give_places(&mut self, legs: &mut Legs) {
        for voice in &mut self.voices {
            if voice.keep(self.speakers.has(voice.at)) {
                continue;
            }
            let member = legs[voice.at.index()].as_mut().and_then(|leg| leg.member.as_mut());
            if let Some(member) = member.filter(|member| matches!(member.own, Own::Speaks(_))) {
                member.own = Own::Lingers(member::LINGER);
            }
        }
        for place in self.speakers.all() {
            if self.voices.iter().any(|voice| voice.is_of(place.at)) {
                continue;
            }
            let forwards = self.forwards_more();
            let free = self.voices.iter_mut().zip(0u8..).find(|(voice, _)| voice.is_free());
            let (Some((voice, number)), Some(leg)) = (free, legs[place.at.index()].as_mut()) else {
                continue;
            };
            let is_apart = leg.is_forwarded() && forwards;
            let id = leg.id();
            let Some(member) = leg.member.as_mut() else { continue };
            let mix = mix_of(&self.mix, self.rest.as_deref(), member.hears_rest);
            voice.begin((place.at, id), is_apart, &mix.down);
            // What goes to others as it came is not in what he hears himself.
            if !(is_apart && member.hears_rest) {
                member.own = Own::Speaks(number);
            }
        }
    }

    /// Who needs an encoder of its own from now on gets it to where the shared one is; whose stream begins, or begins again, has its packets
    /// begin where those of the others do. All encoders stand before this tick now.
    fn part(&mut self, legs: &mut Legs) {
        for at in &self.members {
            let Some(leg) = legs[at.index()].as_mut() else { continue };
            let Leg { tx, member, seat, .. } = &mut **leg;
            let (Some(member), Some(encode), false) = (member.as_mut(), tx.encode.as_mut(), tx.is_dialing) else {
                continue;
            };
            let begins = !member.is_aligned || encode.is_fresh();
            let parts = member.was_shared && !(member.shares() && seat.hears);
            if !begins && !parts {
                continue;
            }
            member.linger();
            member.is_aligned = true;
            let class = member
                .class()
                .and_then(|class| self.classes[usize::from(class)].as_deref());
            match class {
                Some(class) if std::mem::take(&mut member.was_shared) => {
                    let mix = mix_of(&self.mix, self.rest.as_deref(), member.hears_rest);
                    self.encodes += encode.follow(&class.coder, mix.history.at(class.coder.rate()));
                }
                Some(class) => encode.align(&class.coder),
                None => {}
            }
        }
    }

    /// Who is seen by whom.
    fn look(&self, now: Instant, legs: &mut Legs) {
        let video_of = |at: &LegIx| legs[at.index()].as_ref().and_then(|leg| leg.video.as_ref());
        let has_video = |at: &LegIx| video_of(at).is_some_and(|video| video.has_pictures());
        if !self.ticks.is_multiple_of(stage::LOOK) || !self.members.iter().any(has_video) {
            return;
        }
        let speak = self.speakers.all().filter(|place| place.lasts() >= stage::SPEECH);
        speak.for_each(|place| stage::spoke(legs, place.at, self.ticks));
        stage::assign(now, &self.members, legs);
    }

    /// Mixes.
    fn add_up(&mut self, legs: &mut Legs, outputs: &mut Outputs) {
        let room = self.spec.rate;
        let Mix { sum, whole, own, .. } = &mut self.mix;
        sum.fill(0);
        let mut rest = self.rest.as_deref_mut();
        if let Some(rest) = &mut rest {
            rest.sum.fill(0);
        }
        for voice in &mut self.voices {
            if voice.is_free() {
                continue;
            }
            let member = legs[voice.at.index()].as_mut().and_then(|leg| leg.member.as_mut());
            let Some(member) = member else {
                voice.forget(voice.at);
                continue;
            };
            if self.spec.levels {
                member.level();
            }
            let is_apart = voice.is_apart;
            let frame = voice.speak(member.frame(), (member.rate(), room));
            mix::add(sum, frame);
            if let Some(rest) = rest.as_mut().filter(|_| !is_apart) {
                mix::add(&mut rest.sum, frame);
            }
        }
        if let Some(play) = self.play.as_mut().filter(|play| !play.is_over()) {
            play.fill(own.at_mut(room), room);
            mix::add(sum, own.at(room));
            if let Some(rest) = &mut rest {
                mix::add(&mut rest.sum, own.at(room));
            }
            if play.is_over() {
                outputs.event(Event::RoomPlayed(self.spec.id));
            }
        }
        let rest_sum = rest.as_mut().map(|rest| &mut *rest.sum);
        exchange(&mut self.links, (sum, rest_sum), own.at_mut(room), whole.at_mut(room));
        self.mix.finish(room);
        if let Some(rest) = rest {
            rest.finish(room);
        }
    }

    /// One packet for all who listen to it.
    fn encode(&mut self, legs: &Legs) {
        for at in &self.members {
            let member = legs[at.index()].as_ref().and_then(|leg| leg.member.as_ref());
            let class = member
                .filter(|member| member.shares())
                .and_then(|member| member.class());
            if let Some(class) = class.and_then(|class| self.classes[usize::from(class)].as_mut()) {
                class.listeners = true;
            }
        }
        for class in self.classes.iter_mut().flatten() {
            let rate = class.coder.rate();
            let rest = self.rest.as_deref().filter(|_| class.key.rest);
            let rests = rest.is_some_and(Mix::rests);
            let mix = rest.unwrap_or(&self.mix);
            self.encodes += class.tick((mix.whole.at(rate), mix.history.at(rate)), rests);
        }
    }

    /// The second part: what everybody hears goes out. False where the batch or the outputs are full before all have theirs.
    pub(super) fn send(&mut self, now: Instant, legs: &mut Legs, out: &mut TxBatch, outputs: &mut Outputs) -> bool {
        while let Some(at) = self.cursor.and_then(|cursor| self.members.get(cursor).copied()) {
            if out.must_flush() || outputs.must_drain() {
                return false;
            }
            self.cursor = self.cursor.map(|cursor| cursor + 1);
            if let Some(leg) = legs[at.index()].as_mut() {
                self.send_early(leg, out);
                self.send_to(now, leg, out);
                self.tell(at, leg, outputs);
                leg.tick_video(now, out);
                tell_seen(leg, outputs);
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.take(now, self.mix.whole.at(recorder.rate()));
            self.encodes += 1;
        }
        if self.ticks.is_multiple_of(MEASURE) {
            self.tell_measured(outputs);
        }
        self.voices.iter_mut().for_each(Voice::end);
        self.cursor = None;
        true
    }

    fn send_to(&mut self, now: Instant, leg: &mut Leg, out: &mut TxBatch) {
        let (loss, route) = (leg.reporter.peer_fraction_lost(), leg.tx.route());
        let Leg { tx, member, seat, .. } = leg;
        let (Some(member), Some(encode)) = (member.as_mut(), tx.encode.as_mut()) else {
            return;
        };
        let Some(route) = route.filter(|_| !tx.is_dialing) else {
            member.is_aligned = false;
            return;
        };
        let class = member
            .class()
            .and_then(|class| self.classes[usize::from(class)].as_deref());
        if let (Some(class), Own::No) = (class, member.own)
            && seat.hears
        {
            for payload in class.payloads() {
                encode.share(now, payload, &mut tx.sender, route, out);
            }
            member.was_shared = true;
            member.judge(loss);
            return;
        }
        let rest = self.rest.as_deref_mut().filter(|_| member.hears_rest);
        let Mix { sum, whole, own, .. } = rest.unwrap_or(&mut self.mix);
        let rate = encode.rate();
        let pcm: &[i16] = match member.own {
            _ if !seat.hears => {
                member.linger();
                &SILENCE[..step(rate)]
            }
            Own::Speaks(number) => {
                let voice = &mut self.voices[usize::from(number)];
                mix::less(sum, voice.frame(), own.at_mut(self.spec.rate));
                voice.lower(own, rate);
                own.at(rate)
            }
            Own::No | Own::Lingers(_) => whole.at(rate),
        };
        let before = encode.encodes();
        encode.push(now, Lead::Joined, pcm, &mut tx.sender, route, out);
        self.encodes += encode.encodes() - before;
        member.was_shared = false;
        member.wait(class.is_some());
    }

    /// Tells what the last ticks took.
    fn tell_measured(&mut self, outputs: &mut Outputs) {
        let stats = RoomStats {
            members: u16::try_from(self.members.len()).unwrap_or(u16::MAX),
            ticks: MEASURE,
            encodes: self.encodes - self.told,
        };
        self.told = self.encodes;
        outputs.event(Event::RoomMeasured(self.spec.id, stats));
    }

    /// Tells when somebody begins or ceases to speak, at most every 200 ms.
    fn tell(&self, at: LegIx, leg: &mut Leg, outputs: &mut Outputs) {
        if !self.ticks.is_multiple_of(TELL) {
            return;
        }
        let (id, speaks) = (leg.id(), self.speakers.has(at));
        let Some(member) = leg.member.as_mut() else { return };
        if std::mem::replace(&mut member.told, speaks) != speaks {
            outputs.event(Event::Speaking {
                room: self.spec.id,
                leg: id,
                speaks,
            });
        }
    }
}

/// Tells whom a member sees now, a few at a time.
fn tell_seen(leg: &mut Leg, outputs: &mut Outputs) {
    let id = leg.id();
    let slots = leg.video.iter_mut().flat_map(|video| &mut *video.slots);
    let news = slots.filter_map(|slot| {
        let shown = slot.shown.map(|shown| (shown.id, shown.is_screen));
        let (line, is_new) = (slot.line, slot.told != shown);
        slot.told = shown;
        is_new.then_some((line, shown))
    });
    for (line, shown) in news.take(TELL_SEEN) {
        outputs.event(Event::Shows { leg: id, line, shown });
    }
}

impl Mix {
    fn new(rate: Rate) -> Mix {
        Mix {
            silent: 0,
            sum: vec![0; step(rate)].into(),
            whole: Bands::new(rate, 1),
            down: Down::default(),
            history: Bands::new(rate, HISTORY),
            own: Bands::new(rate, 1),
        }
    }

    /// All is added up.
    fn finish(&mut self, room: Rate) {
        let is_silent = self.sum.iter().all(|sample| *sample == 0);
        self.silent = if is_silent { self.silent.saturating_add(1) } else { 0 };
        mix::all(&self.sum, self.whole.at_mut(room));
        self.down.process(&mut self.whole, Rate::Narrow);
        self.history.push(&self.whole);
    }

    /// It has been silent for a while: it need not be sent.
    fn rests(&self) -> bool {
        self.silent > FADES
    }
}

/// Says what is said here to the other parts, and adds what they say, with room for both; also to what is heard of those who hear voices apart.
fn exchange(
    links: &mut [Link],
    (sum, mut rest): (&mut [i32], Option<&mut [i32]>),
    own: &mut [i16],
    theirs: &mut [i16],
) {
    if links.is_empty() {
        return;
    }
    mix::all(sum, own);
    for link in links {
        link.0.put(own);
        if link.0.take(theirs) {
            mix::add(sum, theirs);
            if let Some(rest) = &mut rest {
                mix::add(rest, theirs);
            }
        }
    }
}

/// What is heard: the mix of all, or where voices are heard apart, of the rest.
fn mix_of<'m>(all: &'m Mix, rest: Option<&'m Mix>, hears_rest: bool) -> &'m Mix {
    rest.filter(|_| hears_rest).unwrap_or(all)
}

/// Samples of a tick.
pub const fn step(rate: Rate) -> usize {
    rate.hz() as usize / 50
}

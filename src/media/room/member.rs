//! What a leg has while it sits in a room.

use super::playout::{Got, Playout};
use super::recent::Recent;
use super::speakers::{Candidate, INAUDIBLE};
use super::step;
use crate::media::half::Rx;
use crate::media::jitter::Content;
use crate::media::leg::{Class as Kind, Leg};
use crate::media::packet::LegIx;
use crate::media::rtp::View;
use crate::media::source::Arrival;
use crate::time::Instant;
use codecs::Rate;
use codecs::activity::Activity;
use codecs::agc::Agc;

/// Ticks for which a member keeps an encoder of its own after it needed one: 200 ms, in which a decoder comes to where the shared one is, since
/// both encode the same.
pub const LINGER: u8 = 10;
/// A listener that reports more loss than this, in 1/256, hears an encoder with FEC: 5 %; and goes back below the other: 1 %.
const LOSSY: u8 = 13;
const CLEAN: u8 = 3;
/// What is fainter is heard by nobody (`speakers::INAUDIBLE`), as packets say it (RFC 6464 3): in dB below the loudest.
pub(in crate::media) const FAINT: u8 = 65;
/// More packets in a row have to say it: until then it may be a pause within a word, and speech lasts on behind itself (`voice::Activity`).
const FAINT_RUN: u8 = 10;
/// Milliseconds of a tick.
const TICK_MS: u32 = 20;
/// How much of a word is softer than what is known for speech.
const SOFT_MS: u32 = 40;
/// How fast the loudness follows what is softer, of the difference, a tick.
const FALL: f32 = 0.1;

/// Whose encoder a member hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The one of all who listen.
    No,
    /// Its own, since it speaks by this voice.
    Speaks(u8),
    /// Its own yet, for so many ticks.
    Lingers(u8),
}

/// A seat with somebody in it.
#[derive(Debug)]
pub struct Member {
    playout: Playout,
    activity: Activity,
    agc: Agc,
    rate: Rate,
    frame: Box<[i16]>,
    /// Packets in a row that said that they are faint.
    faint: u8,
    /// Speech, at this tick.
    speech: bool,
    loud: f32,
    /// Whose encoder it hears.
    pub own: Own,
    /// The shared encoders of its codec: for all, and for those who lose packets.
    pub classes: [Option<u8>; 2],
    lossy: bool,
    /// It heard a shared one at the last tick.
    pub was_shared: bool,
    /// Its packets begin when those of the shared one do.
    pub is_aligned: bool,
    /// It was told that it speaks.
    pub told: bool,
    /// It hears voices apart, and the mix of the others.
    pub hears_rest: bool,
    /// What it said last while it is not forwarded, in a room that forwards it.
    pub recent: Option<Box<Recent>>,
}

impl Member {
    /// For PCM of this rate; it may be forwarded, or not.
    pub fn new(rate: Rate, forwards: bool) -> Member {
        Member {
            playout: Playout::new(rate),
            activity: Activity::new(),
            agc: Agc::new(),
            rate,
            frame: vec![0; step(rate)].into(),
            faint: 0,
            speech: false,
            loud: INAUDIBLE,
            own: Own::No,
            classes: [None; 2],
            lossy: false,
            was_shared: false,
            is_aligned: false,
            told: false,
            hears_rest: false,
            recent: forwards.then(Box::default),
        }
    }

    /// Takes its 20 ms; tells how loud it is, if it may be heard.
    pub(in crate::media) fn listen(
        &mut self,
        now: Instant,
        at: LegIx,
        rx: &mut Rx,
        speaks: bool,
        gate: bool,
    ) -> Option<Candidate> {
        let is_quiet = self.is_quiet();
        let got = self.playout.take(now, rx, (&mut self.frame, is_quiet));
        let heard = match got {
            Got::Sound => self.activity.hear(&self.frame),
            Got::Nothing => {
                (self.speech, self.loud) = (false, INAUDIBLE);
                return None;
            }
        };
        self.speech = heard.speech;
        self.loud = if heard.level_dbov > self.loud {
            heard.level_dbov
        } else {
            self.loud + FALL * (heard.level_dbov - self.loud)
        };
        let is_heard = speaks && self.loud > INAUDIBLE && (heard.speech || !gate);
        is_heard.then_some(Candidate { at, loud: self.loud })
    }

    /// It says nothing, by its own word.
    fn is_quiet(&self) -> bool {
        self.faint > FAINT_RUN
    }

    /// Brings what it says to the loudness of all.
    pub fn level(&mut self) {
        self.agc.apply(&mut self.frame, self.speech);
    }

    /// How much of what came is behind what was heard at this tick, with that and a little before: in what was found out to be speech that begins
    /// softly. In milliseconds.
    pub(in crate::media) fn unheard_ms(&self, rx: &Rx) -> u32 {
        self.playout.depth_ms(rx) + TICK_MS + SOFT_MS
    }

    /// Its 20 ms, at its own rate.
    pub fn frame(&self) -> &[i16] {
        &self.frame
    }

    /// Of its PCM.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The shared encoder that is its own now.
    pub fn class(&self) -> Option<u8> {
        self.classes[usize::from(self.lossy)].or(self.classes[0])
    }

    /// It listens to the shared encoder.
    pub fn shares(&self) -> bool {
        self.own == Own::No
    }

    /// It has an encoder of its own for a while, unless it speaks.
    pub fn linger(&mut self) {
        match self.own {
            Own::No | Own::Lingers(_) => self.own = Own::Lingers(LINGER),
            Own::Speaks(_) => {}
        }
    }

    /// A tick with its own encoder is over; it may share another, or not.
    pub fn wait(&mut self, may_share: bool) {
        self.own = match self.own {
            Own::Lingers(0 | 1) if may_share => Own::No,
            Own::Lingers(ticks) => Own::Lingers(ticks.saturating_sub(1).max(1)),
            Own::No if may_share => Own::No,
            Own::No => Own::Lingers(1),
            Own::Speaks(voice) => Own::Speaks(voice),
        };
    }

    /// What it reports of its loss, in 1/256.
    pub fn judge(&mut self, lost: Option<u8>) {
        let lossy = match lost {
            Some(LOSSY..) => true,
            Some(..=CLEAN) => false,
            Some(_) | None => self.lossy,
        };
        if lossy != self.lossy && self.classes[1].is_some() {
            // The other encoder has coded the same, so that the decoder need not wait for it.
            self.lossy = lossy;
        }
    }
}

/// A packet of a member.
pub(in crate::media) fn hear(now: Instant, (arrival, kind): (Arrival, Kind), view: &View<'_>, leg: &mut Leg) {
    let Some(decode) = leg.rx.decode.as_mut() else { return };
    if std::mem::take(&mut leg.rx.interrupted) || arrival == Arrival::Restart {
        decode.restart();
        if let Some(member) = leg.member.as_mut() {
            member.playout.restart();
        }
    }
    if let Some(member) = leg.member.as_mut() {
        let is_faint = kind == Kind::Audio && leg.rx.is_faint;
        member.faint = if is_faint { member.faint.saturating_add(1) } else { 0 };
        if member.is_quiet() {
            return leg.rx.skip(now, view);
        }
    }
    let content = match kind {
        Kind::Audio => Content::Audio(view.payload),
        Kind::Noise => Content::Noise(view.payload),
        // A key is for the room, and not for its members.
        Kind::Key | Kind::Event(_) | Kind::Silent => Content::Nothing,
    };
    leg.rx.offer(view, content);
}

//! Which parts a leg needs for what it does: they are made when that begins, and given back when it ends.

use super::{Known, PrepareError, Preparer};
use crate::id::MediaLegId;
use crate::limits;
use crate::media::bridge::{self, Path};
use crate::media::command::{Function, OpusParams, Stream};
use crate::media::decode::{Decode, OWN_RATE};
use crate::media::ear::Ear;
use crate::media::encode::{self, Encode};
use crate::media::input::{Change, Gear, Input};
use crate::media::room::Member;
use codecs::{Codec, Rate};

/// What an encoder was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EncodeFor {
    codec: Codec,
    rate: Rate,
    payload_type: u8,
    samples: usize,
    opus: OpusParams,
}

impl EncodeFor {
    fn new(stream: &Stream, rate: Rate) -> Self {
        let samples = encode::frame_samples(stream, rate);
        Self {
            codec: stream.codec,
            rate,
            payload_type: stream.payload_type_tx,
            samples,
            opus: stream.opus,
        }
    }
}

/// Parts that a leg has, or should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub decode: Option<(Codec, Rate, usize)>,
    pub encode: Option<EncodeFor>,
    /// Listens for keys in audio of this codec.
    ear: Option<Codec>,
    phone: bool,
    play: bool,
    note: bool,
    /// Sits in a room, with PCM of this rate, and may be forwarded there.
    member: Option<(Rate, bool)>,
}

impl Preparer {
    /// Makes the parts that a leg will need, as known.
    pub(super) fn plan(&self, known: &mut Known) -> Result<Gear, PrepareError> {
        let parts = self.wanted(known);
        let gear = gear(known, parts)?;
        known.has = parts;
        Ok(gear)
    }

    /// Takes over what is now known of a leg, and fits its neighbour, which may need other parts because of it.
    pub(super) fn settle(&mut self, leg: MediaLegId, known: Known, inputs: &mut Vec<Input>) {
        self.legs.insert(leg, known);
        match known.function {
            Function::Bridge(other) => inputs.extend(self.fit(other)),
            Function::Idle
            | Function::Echo
            | Function::Tone(_)
            | Function::Play
            | Function::Phone
            | Function::Note
            | Function::Fork(_)
            | Function::Room(_) => {}
        }
    }

    /// New parts for a leg whose own command this is not; `None` when it has what it needs.
    pub(super) fn fit(&mut self, leg: MediaLegId) -> Option<Input> {
        let known = *self.legs.get(&leg)?;
        let parts = self.wanted(&known);
        if parts == known.has {
            return None;
        }
        // The same parameters were taken when they were agreed; should libopus have no memory now, the leg stays as it is.
        let gear = gear(&known, parts).ok()?;
        self.legs.insert(leg, Known { has: parts, ..known });
        Some(Input::Fit { leg, gear })
    }

    /// The parts that a leg needs for what it does.
    fn wanted(&self, known: &Known) -> Parts {
        let does = |function| known.function == function;
        let (phone, play, note) = (does(Function::Phone), does(Function::Play), does(Function::Note));
        let Some(stream) = known.stream.filter(|stream| !stream.udptl) else {
            return Parts {
                phone,
                play,
                note,
                ..Parts::default()
            };
        };
        let (decode, encode, rate) = match known.function {
            Function::Idle | Function::Echo | Function::Fork(_) => (false, false, OWN_RATE),
            Function::Tone(_) => (false, true, OWN_RATE),
            Function::Play => (false, true, stream.rate()),
            Function::Note => (true, false, stream.rate()),
            Function::Phone => (true, true, OWN_RATE),
            Function::Room(room) => match self.rooms.get(&room) {
                Some(room) => (true, true, stream.rate_in(room.spec.rate)),
                None => (false, false, OWN_RATE),
            },
            Function::Bridge(other) => match self.legs.get(&other).and_then(|other| other.stream) {
                Some(other) => (
                    bridge::path(&stream, &other) == Path::Transcode,
                    bridge::path(&other, &stream) == Path::Transcode,
                    bridge::rate(&stream, &other),
                ),
                None => (false, false, OWN_RATE),
            },
        };
        let blocks = match known.function {
            // Who plays takes what is there in time.
            Function::Room(_) => limits::JITTER_BLOCKS_PLAYED,
            Function::Idle
            | Function::Echo
            | Function::Tone(_)
            | Function::Play
            | Function::Phone
            | Function::Note
            | Function::Fork(_)
            | Function::Bridge(_) => limits::JITTER_BLOCKS,
        };
        Parts {
            decode: decode.then_some((stream.codec, rate, blocks)),
            encode: encode.then(|| EncodeFor::new(&stream, rate)),
            ear: stream.has_tones_rx().then_some(stream.codec),
            phone,
            play,
            note,
            member: self
                .seated(known.function, stream.codec)
                .map(|forwards| (rate, forwards)),
        }
    }

    /// An encoder for digits that go out as tones, where the leg has none.
    pub(super) fn tone_gear(&mut self, leg: MediaLegId, known: Known) -> Result<Gear, PrepareError> {
        let Some(stream) = known
            .stream
            .filter(|stream| stream.has_tones_tx() && known.has.encode.is_none() && !stream.udptl)
        else {
            return Ok(Gear::default());
        };
        let parts = Parts {
            encode: Some(EncodeFor::new(&stream, OWN_RATE)),
            ..known.has
        };
        let gear = gear(&known, parts)?;
        self.legs.insert(leg, Known { has: parts, ..known });
        Ok(gear)
    }
}

/// Makes what a leg does not have yet, and takes out what it has and does not need.
fn gear(known: &Known, want: Parts) -> Result<Gear, PrepareError> {
    let mut gear = Gear::default();
    if want.decode != known.has.decode {
        gear.decode = Change::Set(match want.decode {
            Some((codec, rate, blocks)) => {
                Some(Box::new(Decode::new(codec, rate, blocks).map_err(PrepareError::Opus)?))
            }
            None => None,
        });
    }
    if want.encode != known.has.encode {
        gear.encode = Change::Set(match (want.encode, known.stream) {
            (Some(want), Some(stream)) => Some(Box::new(Encode::new(&stream, want.rate).map_err(PrepareError::Opus)?)),
            (Some(_), None) | (None, Some(_) | None) => None,
        });
    }
    if want.ear != known.has.ear {
        gear.ear = Change::Set(want.ear.and_then(Ear::new).map(Box::new));
    }
    if want.phone != known.has.phone {
        gear.phone = Change::Set(want.phone.then(Box::default));
    }
    if want.member != known.has.member {
        gear.member = Change::Set(
            want.member
                .map(|(rate, forwards)| Box::new(Member::new(rate, forwards))),
        );
    }
    if known.has.play && !want.play {
        gear.play = Change::Set(None);
    }
    if known.has.note && !want.note {
        gear.note = Change::Set(None);
    }
    Ok(gear)
}

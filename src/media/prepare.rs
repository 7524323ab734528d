//! From a command to what a worker takes, on the control side: everything is allocated here, so that the packet thread never does.

use super::bridge::{Path, path};
use super::command::{Command, Function, OpusParams, Stream};
use super::decode::Decode;
use super::dtmf;
use super::encode::{self, Encode};
use super::input::{Change, Digits, Gear, Input};
use super::leg::Leg;
use crate::id::{MediaLegId, WorkerId};
use codecs::Codec;
use codecs::opus::OpusError;
use std::collections::BTreeMap;
use std::fmt;

/// Why a command cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrepareError {
    /// There is no such leg (any more).
    UnknownLeg(MediaLegId),
    /// The leg was opened before.
    LegExists(MediaLegId),
    /// Something else than `0-9*#A-D`, nothing, or more than 32.
    Digits,
    /// libopus refused.
    Opus(OpusError),
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrepareError::UnknownLeg(leg) => {
                write!(f, "there is no media leg {leg}: it was never opened, or it is closed")
            }
            PrepareError::LegExists(leg) => write!(f, "media leg {leg} is open already: a leg's id is used once"),
            PrepareError::Digits => {
                write!(
                    f,
                    "DTMF digits must be 1 to {} of 0-9, *, #, A-D",
                    crate::limits::DIGITS
                )
            }
            PrepareError::Opus(error) => write!(f, "libopus cannot code this stream: {error}"),
        }
    }
}

impl std::error::Error for PrepareError {}

/// What an encoder was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EncodeFor {
    codec: Codec,
    payload_type: u8,
    samples: usize,
    opus: OpusParams,
}

impl EncodeFor {
    fn new(stream: &Stream) -> Self {
        let samples = encode::frame_samples(stream);
        Self {
            codec: stream.codec,
            payload_type: stream.payload_type_tx,
            samples,
            opus: stream.opus,
        }
    }
}

/// Parts that a leg has, or should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    decode: Option<Codec>,
    encode: Option<EncodeFor>,
    phone: bool,
}

/// What is known of a leg without asking its worker.
#[derive(Clone, Copy, Debug)]
struct Known {
    home: WorkerId,
    stream: Option<Stream>,
    function: Function,
    has: Parts,
}

/// Keeps what is needed to prepare commands: one for each owner of legs, beside it, on the control side.
///
/// It must see every command of its legs in order, and `closed` for each `Output::Closed`.
#[derive(Debug, Default)]
pub struct Preparer {
    legs: BTreeMap<MediaLegId, Known>,
}

impl Preparer {
    /// The inputs for the worker that the command goes to, in order. `seed` is any random number.
    ///
    /// # Errors
    /// `PrepareError`; nothing was changed then.
    pub fn prepare(&mut self, worker: WorkerId, command: Command, seed: u64) -> Result<Vec<Input>, PrepareError> {
        let leg = command.leg();
        if let Command::Open(spec) = command {
            if self.legs.contains_key(&leg) {
                return Err(PrepareError::LegExists(leg));
            }
            let known = Known {
                home: worker,
                stream: None,
                function: Function::Idle,
                has: Parts::default(),
            };
            self.legs.insert(leg, known);
            return Ok(vec![Input::Open(Box::new(Leg::new(*spec, seed)))]);
        }
        let mut known = *self.legs.get(&leg).ok_or(PrepareError::UnknownLeg(leg))?;
        match command {
            Command::Open(_) => Ok(Vec::new()),
            Command::Negotiated { remote, stream, .. } => {
                known.stream = Some(stream);
                let (gear, neighbour) = self.refit(leg, known)?;
                let mut inputs = vec![Input::Negotiated {
                    leg,
                    remote,
                    stream,
                    gear,
                }];
                inputs.extend(neighbour);
                Ok(inputs)
            }
            Command::Function { function, .. } => {
                let released = self.release(leg, function);
                known.function = function;
                let (gear, neighbour) = self.refit(leg, known)?;
                let mut inputs = vec![Input::Function { leg, function, gear }];
                inputs.extend(neighbour);
                inputs.extend(released.into_iter().filter_map(|leg| self.fit(leg)));
                Ok(inputs)
            }
            Command::SendDigits { digits, .. } => {
                let digits = parse_digits(&digits)?;
                let gear = self.tone_gear(leg, known)?;
                Ok(vec![Input::SendDigits { leg, digits, gear }])
            }
            Command::Watch { silence, .. } => Ok(vec![Input::Watch { leg, silence }]),
            Command::Move { to, .. } => {
                // Its parts go with it, and the neighbour keeps its own: they are joined again on the other side.
                self.release(leg, Function::Idle);
                if let Some(known) = self.legs.get_mut(&leg) {
                    known.home = to;
                    known.function = Function::Idle;
                }
                Ok(vec![Input::Take { leg, to }])
            }
            Command::ReadStats(_) => Ok(vec![Input::ReadStats(leg)]),
            Command::Close(_) => {
                let mut inputs = vec![Input::Close(leg)];
                let released = self.release(leg, Function::Idle);
                inputs.extend(released.into_iter().filter_map(|leg| self.fit(leg)));
                Ok(inputs)
            }
        }
    }

    /// The worker on which a leg lives or will live once it has moved.
    pub fn home(&self, leg: MediaLegId) -> Option<WorkerId> {
        self.legs.get(&leg).map(|known| known.home)
    }

    /// Forgets a leg that a worker has closed.
    pub fn closed(&mut self, leg: MediaLegId) {
        self.release(leg, Function::Idle);
        self.legs.remove(&leg);
    }

    /// Ends the bridges that a leg's new function ends; returns the legs that became idle by it.
    fn release(&mut self, leg: MediaLegId, function: Function) -> Vec<MediaLegId> {
        let mut ended = Vec::new();
        let partner_of = |legs: &BTreeMap<MediaLegId, Known>, leg| match legs.get(&leg).map(|known| known.function) {
            Some(Function::Bridge(other)) => Some(other),
            Some(Function::Idle | Function::Echo | Function::Tone(_) | Function::Phone) | None => None,
        };
        let old = partner_of(&self.legs, leg);
        let new = if let Function::Bridge(other) = function {
            Some(other)
        } else {
            None
        };
        ended.extend(old.filter(|old| Some(*old) != new));
        ended.extend(
            new.and_then(|new| partner_of(&self.legs, new))
                .filter(|third| *third != leg),
        );
        for idle in &ended {
            if let Some(known) = self.legs.get_mut(idle) {
                known.function = Function::Idle;
            }
        }
        if let Some(known) = new.and_then(|new| self.legs.get_mut(&new)) {
            known.function = Function::Bridge(leg);
        }
        ended
    }

    /// Takes over what is now known of a leg: the parts it needs, and those that its neighbour needs because of it.
    fn refit(&mut self, leg: MediaLegId, known: Known) -> Result<(Gear, Option<Input>), PrepareError> {
        let parts = self.wanted(&known);
        let gear = gear(&known, parts)?;
        self.legs.insert(leg, Known { has: parts, ..known });
        let neighbour = match known.function {
            Function::Bridge(other) => self.fit(other),
            Function::Idle | Function::Echo | Function::Tone(_) | Function::Phone => None,
        };
        Ok((gear, neighbour))
    }

    /// New parts for a leg whose own command this is not; `None` when it has what it needs.
    fn fit(&mut self, leg: MediaLegId) -> Option<Input> {
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
        let Some(stream) = known.stream else {
            return Parts {
                phone: known.function == Function::Phone,
                ..Parts::default()
            };
        };
        let (decode, encode) = match known.function {
            Function::Idle | Function::Echo => (false, false),
            Function::Tone(_) => (false, true),
            Function::Phone => (true, true),
            Function::Bridge(other) => match self.legs.get(&other).and_then(|other| other.stream) {
                Some(other) => (
                    path(&stream, &other) == Path::Transcode,
                    path(&other, &stream) == Path::Transcode,
                ),
                None => (false, false),
            },
        };
        Parts {
            decode: decode.then_some(stream.codec),
            encode: encode.then(|| EncodeFor::new(&stream)),
            phone: known.function == Function::Phone,
        }
    }

    /// An encoder for digits that go out as tones, where the leg has none.
    fn tone_gear(&mut self, leg: MediaLegId, known: Known) -> Result<Gear, PrepareError> {
        let Some(stream) = known
            .stream
            .filter(|stream| stream.events_tx.is_none() && known.has.encode.is_none())
        else {
            return Ok(Gear::default());
        };
        let parts = Parts {
            encode: Some(EncodeFor::new(&stream)),
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
            Some(codec) => Some(Box::new(Decode::new(codec).map_err(PrepareError::Opus)?)),
            None => None,
        });
    }
    if want.encode != known.has.encode {
        gear.encode = Change::Set(match (want.encode, known.stream) {
            (Some(_), Some(stream)) => Some(Box::new(Encode::new(&stream).map_err(PrepareError::Opus)?)),
            (Some(_), None) | (None, Some(_) | None) => None,
        });
    }
    if want.phone != known.has.phone {
        gear.phone = Change::Set(want.phone.then(Box::default));
    }
    Ok(gear)
}

fn parse_digits(text: &str) -> Result<Digits, PrepareError> {
    let mut digits = Digits::default();
    for digit in text.chars() {
        let code = dtmf::code(digit).ok_or(PrepareError::Digits)?;
        if !digits.push(code) {
            return Err(PrepareError::Digits);
        }
    }
    if digits.codes().is_empty() {
        Err(PrepareError::Digits)
    } else {
        Ok(digits)
    }
}

//! From a command to what a worker takes, on the control side: everything is allocated here, so that the packet thread never does.

mod parts;
mod rooms;

use super::command::{CheckName, Command, Function, Keys, MasterKey, Recording, Side, Stream, Video};
use super::decode::OWN_RATE;
use super::dtmf;
use super::input::{Change, Digits, Gear, Input};
use super::leg::Leg;
use super::note::Note;
use super::play::Play;
use super::room::{Pipe, Pipes};
use super::srtp::{Opener, Sealer};
use super::tap::{Sinks, Tap};
use super::video::VideoLeg;
use crate::id::{MediaLegId, MediaRoomId, WorkerId};
use crate::limits;
use codecs::opus::OpusError;
use parts::Parts;
use rooms::KnownRoom;
use std::collections::BTreeMap;
use std::fmt;

/// Why a command cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrepareError {
    /// There is no such leg (any more).
    UnknownLeg(MediaLegId),
    /// The leg was opened before.
    LegExists(MediaLegId),
    /// There is no such room (any more), or there is one already.
    Room(MediaRoomId),
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
            PrepareError::Room(room) => write!(
                f,
                "there is no room {room} for this: it was never opened, or twice, or it is closed"
            ),
            PrepareError::Digits => {
                write!(f, "DTMF digits must be 1 to {} of 0-9, *, #, A-D", limits::DIGITS)
            }
            PrepareError::Opus(error) => write!(f, "libopus cannot code this stream: {error}"),
        }
    }
}

impl std::error::Error for PrepareError {}

/// What is known of a leg without asking its worker.
#[derive(Clone, Copy, Debug)]
struct Known {
    home: WorkerId,
    stream: Option<Stream>,
    function: Function,
    has: Parts,
    /// Its peer is a browser.
    is_web: bool,
    /// Its places for voices.
    voices: usize,
}

impl Known {
    /// One that was just opened.
    fn new(home: WorkerId, is_web: bool) -> Known {
        Known {
            home,
            stream: None,
            function: Function::Idle,
            has: Parts::default(),
            is_web,
            voices: 0,
        }
    }
}

/// Keeps what is needed to prepare commands: one for each owner of legs, beside it, on the control side.
///
/// It must see every command of its legs in order, and `closed` for each `Output::Closed`.
#[derive(Debug, Default)]
pub struct Preparer {
    legs: BTreeMap<MediaLegId, Known>,
    rooms: BTreeMap<MediaRoomId, KnownRoom>,
    /// Of those that are protected.
    keys: BTreeMap<MediaLegId, Box<Keys>>,
    /// Who writes recordings down.
    sinks: Option<Box<dyn Sinks>>,
    /// Who joins the parts of rooms.
    pipes: Option<Box<dyn Pipes>>,
    /// Of a part, towards another: they wait for their command.
    pipe_ends: BTreeMap<(MediaRoomId, MediaRoomId), Box<dyn Pipe>>,
}

impl Preparer {
    /// One for a node with somebody who writes recordings down.
    pub fn recording(sinks: Box<dyn Sinks>) -> Preparer {
        Preparer {
            sinks: Some(sinks),
            ..Preparer::default()
        }
    }

    /// The same with somebody who joins the parts of rooms that lie on several workers.
    pub fn piping(self, pipes: Box<dyn Pipes>) -> Preparer {
        Preparer {
            pipes: Some(pipes),
            ..self
        }
    }

    /// The inputs for the worker that the command goes to, in order. `seed` is any random number.
    ///
    /// # Errors
    /// `PrepareError`; nothing was changed then.
    pub fn prepare(&mut self, worker: WorkerId, command: Command, seed: u64) -> Result<Vec<Input>, PrepareError> {
        let Some(leg) = command.leg() else {
            return self.room_command(command);
        };
        if let Command::Open(spec) = command {
            if self.legs.contains_key(&leg) {
                return Err(PrepareError::LegExists(leg));
            }
            self.legs.insert(leg, Known::new(worker, spec.rtc));
            return Ok(vec![Input::Open(Box::new(Leg::new(*spec, seed)))]);
        }
        let mut known = *self.legs.get(&leg).ok_or(PrepareError::UnknownLeg(leg))?;
        match command {
            // They have no leg, or are done, or are for others.
            Command::Open(_)
            | Command::OpenRoom(_)
            | Command::CloseRoom(_)
            | Command::LinkRoom { .. }
            | Command::PlayRoom { .. }
            | Command::RecordRoom { .. } => Ok(Vec::new()),
            Command::Connect { connect, .. } => {
                let name = CheckName::of(connect.ours.ufrag.as_bytes());
                Ok(name.map(|name| Input::Named { leg, name }).into_iter().collect())
            }
            Command::Seat { seat, .. } => Ok(vec![Input::Seat { leg, seat }]),
            Command::Negotiated { remote, stream, .. } => {
                known.stream = Some(stream);
                let mut inputs = self.classes(&known)?;
                let gear = self.plan(&mut known)?;
                inputs.push(Input::Negotiated {
                    leg,
                    remote,
                    stream,
                    gear,
                });
                self.settle(leg, known, &mut inputs);
                Ok(inputs)
            }
            Command::Protect { keys, .. } => Ok(self.protect(leg, keys)),
            Command::Video { video, .. } => self.see(leg, known, video, seed),
            Command::Function { function, .. } => self.function(leg, known, function, None),
            Command::Play { music, repeats, .. } => {
                let play = Box::new(Play::new(music, repeats));
                self.function(leg, known, Function::Play, Some(play))
            }
            Command::SendDigits { digits, .. } => {
                let digits = parse_digits(&digits.0)?;
                let gear = self.tone_gear(leg, known)?;
                Ok(vec![Input::SendDigits { leg, digits, gear }])
            }
            Command::Watch { silence, troubles, .. } => Ok(vec![Input::Watch { leg, silence, troubles }]),
            Command::Record { to, .. } => Ok(vec![self.tap(leg, to)]),
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

    /// Another function; with what is played, if that is it.
    fn function(
        &mut self,
        leg: MediaLegId,
        mut known: Known,
        function: Function,
        play: Option<Box<Play>>,
    ) -> Result<Vec<Input>, PrepareError> {
        known.function = function;
        let mut inputs = self.classes(&known)?;
        let mut gear = self.plan(&mut known)?;
        if let Some(play) = play {
            gear.play = Change::Set(Some(play));
        }
        if function == Function::Note {
            let rate = known.stream.map_or(OWN_RATE, |stream| stream.rate());
            gear.note = Change::Set(Some(Box::new(Note::new(rate))));
        }
        inputs.push(Input::Function { leg, function, gear });
        let released = self.release(leg, function);
        self.settle(leg, known, &mut inputs);
        inputs.extend(released.into_iter().filter_map(|leg| self.fit(leg)));
        Ok(inputs)
    }

    /// The worker on which a leg lives or will live once it has moved.
    pub fn home(&self, leg: MediaLegId) -> Option<WorkerId> {
        self.legs.get(&leg).map(|known| known.home)
    }

    /// Forgets a leg that a worker has closed.
    pub fn closed(&mut self, leg: MediaLegId) {
        self.release(leg, Function::Idle);
        self.legs.remove(&leg);
        self.keys.remove(&leg);
    }

    /// What a leg shows and sees from now on, and where it hears voices apart.
    fn see(
        &mut self,
        leg: MediaLegId,
        mut known: Known,
        video: Option<Box<Video>>,
        seed: u64,
    ) -> Result<Vec<Input>, PrepareError> {
        known.voices = video.as_ref().map_or(0, |video| video.voices.len());
        let mut inputs = self.classes(&known)?;
        self.legs.insert(leg, known);
        let gear = Gear {
            video: Change::Set(video.map(|video| Box::new(VideoLeg::new(*video, seed)))),
            ..Gear::default()
        };
        inputs.push(Input::Fit { leg, gear });
        Ok(inputs)
    }

    /// Replaces the direction whose keys are others than before.
    fn protect(&mut self, leg: MediaLegId, keys: Option<Box<Keys>>) -> Vec<Input> {
        let (old, new) = (self.keys.get(&leg), keys.as_deref());
        let (sent, received) = match self.legs.get(&leg).is_some_and(|known| known.is_web) {
            true => (limits::SRTP_SENT_WEB, limits::SRTP_STREAMS_WEB),
            false => (1, limits::SRTP_STREAMS),
        };
        let mut gear = Gear::default();
        let is_kept = |old: &[MasterKey], new: &[MasterKey]| {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.is(new))
        };
        let both = old.zip(new);
        if both.is_none_or(|(old, new)| !old.seal().is(new.seal())) {
            gear.sealer = Change::Set(new.map(|keys| Box::new(Sealer::for_streams(keys, sent))));
        }
        if both.is_none_or(|(old, new)| !is_kept(old.open(), new.open())) {
            gear.opener = Change::Set(new.map(|keys| Box::new(Opener::for_streams(keys, received))));
        }
        let is_same = matches!((&gear.sealer, &gear.opener), (Change::Keep, Change::Keep));
        match keys {
            Some(keys) => self.keys.insert(leg, keys),
            None => self.keys.remove(&leg),
        };
        if is_same {
            Vec::new()
        } else {
            vec![Input::Fit { leg, gear }]
        }
    }

    /// Another tap, or none.
    fn tap(&mut self, leg: MediaLegId, to: Option<(Recording, Side)>) -> Input {
        let sinks = self.sinks.as_mut();
        let sink = to.and_then(|(recording, side)| sinks?.open(recording, side));
        let gear = Gear {
            tap: Change::Set(sink.map(|sink| Box::new(Tap(sink)))),
            ..Gear::default()
        };
        Input::Fit { leg, gear }
    }

    /// Ends the bridges that a leg's new function ends; returns the legs that became idle by it.
    fn release(&mut self, leg: MediaLegId, function: Function) -> Vec<MediaLegId> {
        let mut ended = Vec::new();
        let partner_of = |legs: &BTreeMap<MediaLegId, Known>, leg| match legs.get(&leg).map(|known| known.function) {
            Some(Function::Bridge(other)) => Some(other),
            Some(
                Function::Idle
                | Function::Echo
                | Function::Tone(_)
                | Function::Play
                | Function::Phone
                | Function::Note
                | Function::Fork(_)
                | Function::Room(_),
            )
            | None => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::{Dtmf, EventFormat, LegSpec, OpusParams, Port, Remote};
    use codecs::Codec;
    use std::net::SocketAddr;

    fn stream(codec: Codec, ptime_ms: u8, events: bool) -> Stream {
        let events = events.then_some(EventFormat {
            payload_type: 101,
            clock: 8_000,
        });
        Stream {
            codec,
            payload_type_tx: 96,
            payload_type_rx: 96,
            ptime_ms,
            events_tx: events,
            events_rx: events,
            dtmf: Dtmf::default(),
            opus: OpusParams::default(),
            gain: Default::default(),
            comfort_noise: false,
            sends: true,
            receives: true,
            udptl: false,
            carries_data: false,
        }
    }

    fn legs(streams: &[Stream]) -> Preparer {
        let mut preparer = Preparer::default();
        for (n, stream) in (0u64..).zip(streams) {
            let (id, port) = (MediaLegId(n), Port { rtp: 4_000, v6: false });
            let spec = LegSpec {
                id,
                port,
                ssrc: 1,
                first_sequence: 1,
                first_timestamp: 1,
                cname: String::new(),
                rtc: false,
            };
            preparer.prepare(WorkerId(0), Command::Open(Box::new(spec)), n).unwrap();
            let rtp = SocketAddr::from(([127, 0, 0, 1], 4_000));
            let remote = Remote {
                rtp,
                rtcp: rtp,
                rtcp_mux: true,
                signalling: rtp.ip(),
                xr: crate::media::command::Xr::default(),
                forks: false,
            };
            let command = Command::Negotiated {
                leg: id,
                remote,
                stream: *stream,
            };
            preparer.prepare(WorkerId(0), command, n).unwrap();
        }
        preparer
    }

    fn function(preparer: &mut Preparer, leg: u64, function: Function) -> usize {
        let leg = MediaLegId(leg);
        preparer
            .prepare(WorkerId(0), Command::Function { leg, function }, 1)
            .unwrap()
            .len()
    }

    /// Whether each of the two legs has a decoder and an encoder.
    fn parts(preparer: &Preparer) -> [(bool, bool); 2] {
        [0, 1]
            .map(|n| preparer.legs[&MediaLegId(n)].has)
            .map(|has| (has.decode.is_some(), has.encode.is_some()))
    }

    #[test]
    fn a_bridge_has_coders_only_where_audio_is_rebuilt() {
        let all = (true, true);
        let none = (false, false);
        let cases = [
            (
                stream(Codec::Pcma, 20, true),
                stream(Codec::Pcma, 20, true),
                [none, none],
            ),
            (
                stream(Codec::Pcma, 20, true),
                stream(Codec::Pcmu, 20, true),
                [none, none],
            ),
            (
                stream(Codec::Opus, 20, true),
                stream(Codec::Opus, 60, false),
                [none, none],
            ),
            (stream(Codec::Pcma, 20, true), stream(Codec::Pcma, 30, true), [all, all]),
            (stream(Codec::Pcma, 20, true), stream(Codec::Opus, 20, true), [all, all]),
            // One way only: what comes with events goes out with tones.
            (
                stream(Codec::Pcma, 20, true),
                stream(Codec::Pcma, 20, false),
                [(true, false), (false, true)],
            ),
            (
                stream(Codec::Pcma, 20, false),
                stream(Codec::Pcmu, 20, false),
                [none, none],
            ),
        ];
        for (a, b, want) in cases {
            let mut preparer = legs(&[a, b]);
            function(&mut preparer, 0, Function::Bridge(MediaLegId(1)));
            assert_eq!(parts(&preparer), want, "{a:?} {b:?}");
            function(&mut preparer, 1, Function::Idle);
            assert_eq!(parts(&preparer), [none, none]);
        }
    }

    #[test]
    fn whoever_is_left_behind_gives_its_coders_back() {
        let mut preparer = legs(&[
            stream(Codec::Pcma, 20, true),
            stream(Codec::Opus, 20, true),
            stream(Codec::Opus, 20, true),
        ]);
        let bridge = |n| Function::Bridge(MediaLegId(n));
        assert_eq!(function(&mut preparer, 0, bridge(1)), 2, "the neighbour gets parts too");
        assert_eq!(function(&mut preparer, 0, bridge(1)), 1, "nothing new, nothing made");
        assert_eq!(
            function(&mut preparer, 2, bridge(1)),
            3,
            "1 gives its parts back, and so does 0, which is alone"
        );
        assert_eq!(parts(&preparer), [(false, false); 2]);
        assert_eq!(preparer.legs[&MediaLegId(0)].function, Function::Idle);
        preparer.closed(MediaLegId(1));
        assert_eq!(preparer.legs[&MediaLegId(2)].function, Function::Idle);
        assert_eq!(preparer.home(MediaLegId(1)), None);
    }

    #[test]
    fn an_unknown_or_reused_leg_is_refused() {
        let mut preparer = legs(&[stream(Codec::Pcma, 20, true)]);
        let spec = LegSpec {
            id: MediaLegId(0),
            port: Port { rtp: 4_000, v6: false },
            ssrc: 1,
            first_sequence: 1,
            first_timestamp: 1,
            cname: String::new(),
            rtc: false,
        };
        let again = preparer
            .prepare(WorkerId(0), Command::Open(Box::new(spec)), 1)
            .unwrap_err();
        assert_eq!(again, PrepareError::LegExists(MediaLegId(0)));
        let unknown = preparer
            .prepare(WorkerId(0), Command::Close(MediaLegId(7)), 1)
            .unwrap_err();
        assert_eq!(unknown, PrepareError::UnknownLeg(MediaLegId(7)));
    }
}

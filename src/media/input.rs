//! What a worker takes (prepared commands) and gives back. Everything boxed in here is made and dropped on the control
//! side: the packet thread only moves it.

use super::command::{CheckName, Event, Function, LegStats, Port, Remote, Seat, Stream};
use super::decode::Decode;
use super::ear::Ear;
use super::encode::Encode;
use super::leg::Leg;
use super::note::Note;
use super::packet::LegIx;
use super::phone::Phone;
use super::play::Play;
use super::room::{Class, ClassKey, Link, Member, Recorder, Room};
use super::srtp::{Opener, Sealer};
use super::tap::Tap;
use super::video::VideoLeg;
use crate::id::{MediaLegId, MediaRoomId, WorkerId};
use crate::limits;
use std::collections::VecDeque;
use std::time::Duration;

/// What is to become of one part of a leg.
#[derive(Debug, Default)]
pub enum Change<T> {
    /// As it is, with its state.
    #[default]
    Keep,
    /// Replaced, or taken out.
    Set(Option<Box<T>>),
}

impl<T> Change<T> {
    fn is_empty(&self) -> bool {
        matches!(self, Change::Keep | Change::Set(None))
    }

    /// Applies the change; what was there before comes back, to be dropped by the control side.
    pub(super) fn apply(self, part: &mut Option<Box<T>>) -> Option<Box<T>> {
        match self {
            Change::Keep => None,
            Change::Set(new) => std::mem::replace(part, new),
        }
    }
}

/// The large parts of a leg, which it has only while its function needs them: a relayed leg has none.
#[derive(Debug, Default)]
pub struct Gear {
    /// From packets to PCM: jitter buffer, decoder, concealment.
    pub(super) decode: Change<Decode>,
    /// From PCM to packets.
    pub(super) encode: Change<Encode>,
    /// What hears keys in the audio.
    pub(super) ear: Change<Ear>,
    /// PCM from and to the shell.
    pub(super) phone: Change<Phone>,
    /// What is played.
    pub(super) play: Change<Play>,
    /// Where what the peer says is noted.
    pub(super) note: Change<Note>,
    /// A seat in a room.
    pub(super) member: Change<Member>,
    /// For what is received.
    pub(super) opener: Change<Opener>,
    /// For what is sent.
    pub(super) sealer: Change<Sealer>,
    /// Where what is received goes too.
    pub(super) tap: Change<Tap>,
    /// Video.
    pub(super) video: Change<VideoLeg>,
}

impl Gear {
    /// True when nothing is in it that must be dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.decode.is_empty()
            && self.encode.is_empty()
            && self.ear.is_empty()
            && self.phone.is_empty()
            && self.play.is_empty()
            && self.note.is_empty()
            && self.member.is_empty()
            && self.opener.is_empty()
            && self.sealer.is_empty()
            && self.tap.is_empty()
            && self.video.is_empty()
    }
}

/// Digits to send, each as its RFC 4733 event code (0 to 15).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Digits {
    codes: [u8; limits::DIGITS],
    len: u8,
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digits({})", self.len)
    }
}

impl Digits {
    /// Adds a code at the end; false when there is no room.
    pub(super) fn push(&mut self, code: u8) -> bool {
        match self.codes.get_mut(usize::from(self.len)) {
            Some(slot) => {
                *slot = code;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// In order of sending.
    pub(super) fn codes(&self) -> &[u8] {
        &self.codes[..usize::from(self.len)]
    }
}

/// A command with everything in it that it needs. Made by `prepare::Preparer`.
#[derive(Debug)]
pub enum Input {
    /// A new leg: answered with `Output::Opened`, or with `Output::Closed` when the worker is full.
    Open(Box<Leg>),
    /// A leg that another worker gave up (`Output::Taken`): answered with `Output::Opened` and `Event::Moved`.
    Give(Box<Leg>),
    /// Gives a leg up: answered with `Output::Taken`.
    Take {
        /// Which leg.
        leg: MediaLegId,
        /// The worker that gets it.
        to: WorkerId,
    },
    /// As `Command::Negotiated`.
    Negotiated {
        /// Which leg.
        leg: MediaLegId,
        /// Where the peer is.
        remote: Remote,
        /// What is spoken.
        stream: Stream,
        /// For it.
        gear: Gear,
    },
    /// As `Command::Function` and `Command::Play`.
    Function {
        /// Which leg.
        leg: MediaLegId,
        /// From now on.
        function: Function,
        /// For it.
        gear: Gear,
    },
    /// New parts for a leg because its neighbour in a bridge, its keys or its recording have changed.
    Fit {
        /// Which leg.
        leg: MediaLegId,
        /// For it.
        gear: Gear,
    },
    /// As `Command::SendDigits`.
    SendDigits {
        /// Which leg.
        leg: MediaLegId,
        /// Which digits.
        digits: Digits,
        /// An encoder, where digits go in-band and the leg has none.
        gear: Gear,
    },
    /// As `Command::Watch`.
    Watch {
        /// Which leg.
        leg: MediaLegId,
        /// How long.
        silence: Option<Duration>,
        /// Whether what is wrong is told.
        troubles: bool,
    },
    /// Of `Command::Connect`: checks with this name are this leg's from now on, and those with the name before it, as long as it has that.
    Named {
        /// Which leg.
        leg: MediaLegId,
        /// Ours.
        name: CheckName,
    },
    /// As `Command::Seat`.
    Seat {
        /// Which leg.
        leg: MediaLegId,
        /// From now on.
        seat: Seat,
    },
    /// A new room: comes back where there is no place for it.
    OpenRoom(Box<Room>),
    /// Something of a room.
    Room {
        /// Which.
        room: MediaRoomId,
        /// What.
        change: RoomChange,
    },
    /// As `Command::ReadStats`.
    ReadStats(MediaLegId),
    /// As `Command::Close`.
    Close(MediaLegId),
}

impl Input {
    /// The leg that it is about, unless that is a room.
    pub fn leg(&self) -> Option<MediaLegId> {
        Some(match self {
            Input::OpenRoom(_) | Input::Room { .. } => return None,
            Input::Open(leg) | Input::Give(leg) => leg.id(),
            Input::Take { leg, .. }
            | Input::Negotiated { leg, .. }
            | Input::Function { leg, .. }
            | Input::Fit { leg, .. }
            | Input::SendDigits { leg, .. }
            | Input::Watch { leg, .. }
            | Input::Named { leg, .. }
            | Input::Seat { leg, .. }
            | Input::ReadStats(leg)
            | Input::Close(leg) => *leg,
        })
    }
}

/// What becomes of a room.
#[derive(Debug)]
pub enum RoomChange {
    /// An encoder for listeners of one kind, in place of one that nobody has any more.
    Class(Box<Class>, Option<ClassKey>),
    /// Another part of it, on another worker.
    Link(Link),
    /// What all hear.
    Play(Option<Box<Play>>),
    /// Where the mix goes too.
    Record(Option<Box<Recorder>>),
    /// It ends: its members are idle.
    Close,
}

/// Parts of rooms that are not used any more.
#[derive(Debug)]
pub enum RoomPart {
    /// A room.
    Room(Box<Room>),
    /// An encoder.
    Class(Box<Class>),
    /// The end of a pipe.
    Link(Link),
    /// What was played.
    Play(Box<Play>),
    /// What recorded the mix.
    Recorder(Box<Recorder>),
}

/// What a worker gives back. Boxes go to the control side and are dropped there.
#[derive(Debug)]
pub enum Output {
    /// A leg lives here now: the shell keeps the sockets of `port` under `at`.
    Opened {
        /// Its place.
        at: LegIx,
        /// Which leg.
        leg: MediaLegId,
        /// Its sockets.
        port: Port,
    },
    /// For signalling.
    Event(Event),
    /// A leg is gone; its sockets may be closed once the batch of the same call was sent. `at` is `None` when it never got a place.
    Closed {
        /// Where it was.
        at: Option<LegIx>,
        /// To be dropped.
        leg: Box<Leg>,
        /// For `Event::Closed`.
        stats: LegStats,
    },
    /// A leg on its way: its sockets and an `Input::Give` go to the worker `to`.
    Taken {
        /// Where it was.
        at: LegIx,
        /// The leg.
        leg: Box<Leg>,
        /// The worker that gets it.
        to: WorkerId,
    },
    /// An input whose leg is not here: it goes to `Preparer::home` of that leg if that is another worker, else it is dropped.
    Strayed(Input),
    /// What was noted of what a peer said: `event` makes a sound of it, on the control side.
    Noted {
        /// Of which leg.
        leg: MediaLegId,
        /// What.
        note: Box<Note>,
    },
    /// Parts that are not used any more.
    Retired(Gear),
    /// The same of a room.
    RetiredRoom(RoomPart),
}

impl Output {
    /// What signalling is to hear of it.
    pub fn event(&self) -> Option<Event> {
        match self {
            Output::Event(event) => Some(event.clone()),
            Output::Closed { leg, stats, .. } => Some(Event::Closed(leg.id(), *stats)),
            Output::Noted { leg, note } => Some(Event::Noted(*leg, note.music())),
            Output::Opened { .. }
            | Output::Taken { .. }
            | Output::Strayed(_)
            | Output::Retired(_)
            | Output::RetiredRoom(_) => None,
        }
    }
}

/// The outputs of a worker that the shell has not taken yet: bounded, allocated once.
#[derive(Debug)]
pub struct Outputs {
    queue: VecDeque<Output>,
    overflow: u64,
}

/// Outputs that wait for the shell at once: some calls' worth, and the shell drains after each.
pub const OUTPUTS: usize = 64;
/// The most outputs of one call of `Worker::on_packet` or `Worker::on_input`.
pub const OUTPUTS_PER_CALL: usize = 8;

impl Default for Outputs {
    fn default() -> Self {
        Self {
            queue: VecDeque::with_capacity(OUTPUTS),
            overflow: 0,
        }
    }
}

impl Outputs {
    /// The oldest.
    pub fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// True when outputs must be taken before the worker is called again.
    pub fn must_drain(&self) -> bool {
        OUTPUTS - self.queue.len() < OUTPUTS_PER_CALL
    }

    /// Outputs that were dropped since the start; more than 0 means that the shell did not heed `must_drain`.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    pub(super) fn push(&mut self, output: Output) {
        if self.queue.len() < OUTPUTS {
            self.queue.push_back(output);
        } else {
            self.overflow += 1;
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }
}

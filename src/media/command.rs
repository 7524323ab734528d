//! What signalling says to the media workers and hears from them: plain values, nothing of SIP or SDP.

mod dtmf;
mod keying;
mod measured;
mod recording;
mod room;
mod rtc;
mod sound;
pub mod stream;
mod video;

pub use codecs::modem::DataTone;
pub use dtmf::Dtmf;
pub use keying::{Keys, MasterKey, RTCP_LIFETIME, Srtp, Suite};
pub use measured::{LegStats, Missing, PeerView, Trouble, Troubles, Xr};
pub use recording::{Format, Of, Recording, Side};
pub use room::{RoomSpec, RoomStats, Seat};
pub use rtc::{CheckName, Connect, Credentials, DtlsFault, DtlsRole, Fingerprint, Lite, Setup, Unsecured};
pub use sound::{Music, Sound};
pub use video::{Video, VideoCodec, VideoFormat, VideoLine, VideoSource, VoiceLine};

use crate::id::{MediaLegId, MediaRoomId, WorkerId};
use crate::pii::{Digit, Digits};
use codecs::gain::Gain;
use codecs::{Codec, Rate};
use std::net::SocketAddr;
use std::time::Duration;

/// One RTP port of ours (even) with its RTCP neighbour (port + 1), bound and waiting in the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The even RTP port.
    pub rtp: u16,
    /// True for an IPv6 socket.
    pub v6: bool,
}

/// Where a leg's peer wants its media, and how far the packets that come may correct that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// RTP address of the peer's SDP.
    pub rtp: SocketAddr,
    /// RTCP address: of `a=rtcp` (RFC 3605), else port + 1, or the RTP address with rtcp-mux.
    pub rtcp: SocketAddr,
    /// RTP and RTCP share the port (RFC 5761).
    pub rtcp_mux: bool,
    /// The address that signalling came from: a peer behind NAT is expected to send media from it too, and latching trusts it.
    pub signalling: std::net::IpAddr,
    /// Extended reports that it asks for.
    pub xr: Xr,
    /// It may be another end than the one that was described before (RFC 3261 13.2.2.4), which then goes on for a while.
    pub forks: bool,
}

/// How Opus is encoded (RFC 7587 6.1: what the peer said it wants to receive, within our policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusParams {
    /// In-band FEC.
    pub fec: bool,
    /// Discontinuous transmission.
    pub dtx: bool,
    /// Bits per second.
    pub bitrate: u32,
    /// libopus complexity, 0 to 10.
    pub complexity: u8,
    /// The highest of our rates of which the peer plays all (its `maxplaybackrate`).
    pub plays: Rate,
}

impl Default for OpusParams {
    fn default() -> Self {
        Self {
            fec: true,
            dtx: false,
            bitrate: 24_000,
            complexity: 5,
            plays: Rate::Full,
        }
    }
}

/// How much louder, or softer, what a party says is for others, and what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gains {
    /// Of what comes from it.
    pub from_peer: Gain,
    /// Of what goes to it.
    pub to_peer: Gain,
}

/// A telephone-event payload type and its clock (RFC 4733 2.4.1: the clock of the audio it goes with).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFormat {
    /// Payload type.
    pub payload_type: u8,
    /// Hz.
    pub clock: u32,
}

/// What was agreed by offer and answer for one audio stream, seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The codec of both directions.
    pub codec: Codec,
    /// Payload type that we send.
    pub payload_type_tx: u8,
    /// Payload type that we receive.
    pub payload_type_rx: u8,
    /// Milliseconds of audio in each packet that we send.
    pub ptime_ms: u8,
    /// Telephone events that we may send.
    pub events_tx: Option<EventFormat>,
    /// Telephone events that we receive.
    pub events_rx: Option<EventFormat>,
    /// How digits come and go where they are no such events.
    pub dtmf: Dtmf,
    /// Opus only.
    pub opus: OpusParams,
    /// What is said on it is louder or softer elsewhere, and what it hears.
    pub gain: Gains,
    /// The peer makes the noise of a pause itself, once it is told how loud (RFC 3389): both sides have named it.
    pub comfort_noise: bool,
    /// We send.
    pub sends: bool,
    /// We receive: what comes while this is false is counted and dropped.
    pub receives: bool,
    /// Datagrams of UDPTL (ITU-T T.38) in place of RTP: they are relayed as they are, and the codec means nothing.
    pub udptl: bool,
    /// What is spoken is a modem's: what is lost is silence, since what concealment makes up would be read as data.
    pub carries_data: bool,
}

impl Stream {
    /// As it is treated: what carries data is not improved upon.
    pub fn treated(self) -> Stream {
        if self.carries_data { self.as_it_is() } else { self }
    }

    /// The same with nothing improved upon: for what a fax or a modem says.
    pub fn as_it_is(self) -> Stream {
        Stream {
            gain: Gains::default(),
            comfort_noise: false,
            ..self
        }
    }

    /// A fax by UDPTL; `codec` is that of its leg otherwise.
    pub fn udptl(codec: Codec, sends: bool, receives: bool) -> Stream {
        Stream {
            codec,
            payload_type_tx: 0,
            payload_type_rx: 0,
            ptime_ms: 20,
            events_tx: None,
            events_rx: None,
            dtmf: Dtmf::default(),
            opus: OpusParams::default(),
            gain: Gains::default(),
            comfort_noise: false,
            sends,
            receives,
            udptl: true,
            carries_data: false,
        }
    }

    /// The rate at which nothing is lost of what is spoken, as far as we go outside of rooms.
    pub fn rate(&self) -> Rate {
        self.rate_in(Rate::Wide)
    }

    /// The same in a room whose mix has this rate.
    pub fn rate_in(&self, room: Rate) -> Rate {
        let rate = self.codec.rate().min(room);
        match self.codec {
            Codec::Opus => rate.min(self.opus.plays),
            Codec::Pcmu | Codec::Pcma | Codec::G722 => rate,
        }
    }

    /// Its digits come as tones. (Who speaks Opus has telephone events.)
    pub fn has_tones_rx(&self) -> bool {
        self.events_rx.is_none() && self.dtmf.has_tones() && self.codec != Codec::Opus
    }

    /// Digits go to it as tones.
    pub fn has_tones_tx(&self) -> bool {
        self.events_tx.is_none() && self.dtmf.has_tones()
    }

    /// Digits reach it in another way than in the audio.
    pub fn has_digits_aside(&self) -> bool {
        self.events_tx.is_some() || self.dtmf == Dtmf::Info
    }
}

/// A leg as it is opened: the socket exists from now on, the peer may not be known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSpec {
    /// Whose packets these are.
    pub id: MediaLegId,
    /// Our sockets.
    pub port: Port,
    /// The SSRC that we send with.
    pub ssrc: u32,
    /// The first sequence number that we send (RFC 3550 5.1: random).
    pub first_sequence: u16,
    /// The first timestamp that we send (RFC 3550 5.1: random).
    pub first_timestamp: u32,
    /// RTCP CNAME (RFC 7022: random, nothing of the user).
    pub cname: String,
    /// Its peer is a browser: until it has keys nothing is sent, and nothing taken; STUN and DTLS are for who sets it up.
    pub rtc: bool,
}

/// A tone that a leg hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// One frequency in Hz, at a level in dBm0 (negative).
    Sine {
        /// Hz.
        hz: u16,
        /// dBm0.
        level: i8,
    },
    /// Ringback of the country (ITU-T E.180): two frequencies, on and off in milliseconds.
    Cadence {
        /// Hz of both parts; the second may be 0.
        hz: [u16; 2],
        /// Milliseconds on.
        on_ms: u16,
        /// Milliseconds off.
        off_ms: u16,
    },
}

/// What a leg does with its media. Decided here, walked by the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Received packets are counted and dropped; nothing is sent.
    Idle,
    /// What one leg receives, the other sends; the same codec is relayed, different ones are transcoded. Set on one leg, it
    /// holds for both; both must be on one worker.
    Bridge(MediaLegId),
    /// The peer hears itself.
    Echo,
    /// The peer hears a tone; what it sends is counted and dropped.
    Tone(Tone),
    /// The peer hears what `Command::Play` brought; what it sends is counted and dropped.
    Play,
    /// The peer hears what the shell puts into the leg's `media::phone::Phone` and the shell takes from it what the peer says,
    /// as PCM at 8 kHz: the demo's phones.
    Phone,
    /// The peer hears nothing, and what it says is noted, for `limits::ROOM_NAME` at most: `Event::Noted` has it, once it is so long or the
    /// leg does something else.
    Note,
    /// The peer hears all others in a room, and they hear it; the room is on the same worker.
    Room(MediaRoomId),
    /// The peer hears what that leg receives, as it came and beside what that leg does: a copy for who records it. What the peer sends is
    /// counted and dropped. Both must be on one worker; a leg has one copy, and the last that was wanted has it.
    Fork(MediaLegId),
}

/// From signalling to one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens a leg with function `Idle`.
    Open(Box<LegSpec>),
    /// (Re)negotiated: peer and stream. The send sequence, SSRC and statistics go on.
    Negotiated {
        /// Which leg.
        leg: MediaLegId,
        /// Where the peer is; a changed address begins a new latch.
        remote: Remote,
        /// What is spoken.
        stream: Stream,
    },
    /// What the leg sends is sealed, and only what is sealed is taken, by these keys, or no longer. A key that it has already goes on
    /// where it was: its roll-over counter, and what was seen.
    Protect {
        /// Which leg.
        leg: MediaLegId,
        /// By which.
        keys: Option<Box<Keys>>,
    },
    /// Sets a leg up whose peer is a browser, or anew with other values: for who does that beside the worker. `Event::Setup` tells how it goes.
    Connect {
        /// Which leg.
        leg: MediaLegId,
        /// The same for the same peer, whatever else is new; another for one with another certificate, which begins from nothing.
        number: u32,
        /// What both sides have said.
        connect: Box<Connect>,
    },
    /// Video of the leg, beside its audio and on the same way, or no longer. It is forwarded while the leg sits in a room; what goes on as it
    /// was keeps its numbers.
    Video {
        /// Which leg.
        leg: MediaLegId,
        /// What was agreed.
        video: Option<Box<Video>>,
    },
    /// Changes what the leg does. Leaving a bridge leaves the other leg idle.
    Function {
        /// Which leg.
        leg: MediaLegId,
        /// From now on.
        function: Function,
    },
    /// The peer hears these sounds from now on (`Function::Play`); `Event::Played` tells the end.
    Play {
        /// Which leg.
        leg: MediaLegId,
        /// What.
        music: Music,
        /// Again and again, without an end.
        repeats: bool,
    },
    /// Sends DTMF digits (`0-9*#A-D`) as RFC 4733 events, or as tones, 100 ms on and 50 ms off each.
    SendDigits {
        /// Which leg.
        leg: MediaLegId,
        /// At most 32.
        digits: Digits,
    },
    /// Tells when nothing was received for this long (`Event::Silent`, once until media comes again); `None` stops it.
    Watch {
        /// Which leg.
        leg: MediaLegId,
        /// How long.
        silence: Option<Duration>,
        /// Tells what is wrong with its media (`Event::Trouble`): the call is answered.
        troubles: bool,
    },
    /// What the peer says goes into a recording too, on this side of it, or no longer.
    Record {
        /// Which leg.
        leg: MediaLegId,
        /// Whereto.
        to: Option<(Recording, Side)>,
    },
    /// How the leg sits in its room, now or later.
    Seat {
        /// Which leg.
        leg: MediaLegId,
        /// From now on.
        seat: Seat,
    },
    /// Opens a room, without members.
    OpenRoom(RoomSpec),
    /// Ends a room: its members are idle then.
    CloseRoom(MediaRoomId),
    /// Two parts of one room, on two workers, hear one another: each gets this command. What is played or recorded is of one part; the others
    /// hear it.
    LinkRoom {
        /// Which room.
        room: MediaRoomId,
        /// The other part.
        to: MediaRoomId,
    },
    /// All in a room hear this once, beside one another; `Event::RoomPlayed` tells the end of each, once. What is
    /// played already ends.
    PlayRoom {
        /// Which room.
        room: MediaRoomId,
        /// What.
        music: Music,
    },
    /// What is heard in a room goes into a recording, on both its sides, or no longer.
    RecordRoom {
        /// Which room.
        room: MediaRoomId,
        /// Whereto.
        to: Option<Recording>,
    },
    /// Moves a leg to another worker with its socket, codec state and statistics; its bridge ends and is set again there.
    Move {
        /// Which leg.
        leg: MediaLegId,
        /// Whereto.
        to: WorkerId,
    },
    /// Answers with `Event::Stats`.
    ReadStats(MediaLegId),
    /// Ends the leg (an RTCP BYE is sent); answers with `Event::Closed`.
    Close(MediaLegId),
}

/// From a worker to signalling.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first packet of the peer came, from this address.
    Started(MediaLegId, SocketAddr),
    /// Nothing came for the watched time.
    Silent(MediaLegId),
    /// Something is wrong with the media of a leg that is watched, or no longer; told again where it is known then where it is lost.
    Trouble {
        /// Which leg.
        leg: MediaLegId,
        /// What.
        trouble: Trouble,
        /// It is over.
        over: bool,
    },
    /// A DTMF digit was received (complete).
    Digit {
        /// Which leg.
        leg: MediaLegId,
        /// `0-9*#A-D`.
        digit: Digit,
        /// Its length.
        ms: u16,
    },
    /// Tones of a fax machine or a modem came from a leg: its bridge carries data from now on. Each of the two is told once.
    DataTone {
        /// From which leg.
        leg: MediaLegId,
        /// Of which machine.
        tone: DataTone,
    },
    /// How the set-up of a leg goes whose peer is a browser.
    Setup(MediaLegId, u32, Setup),
    /// What was to be played once is at its end.
    Played(MediaLegId),
    /// What was noted of what the peer said; nothing where it did not speak.
    Noted(MediaLegId, Option<Music>),
    /// Answer to `ReadStats`.
    Stats(MediaLegId, LegStats),
    /// A member of a room begins to be heard, or ceases; told at most every 200 ms.
    Speaking {
        /// In which room.
        room: MediaRoomId,
        /// Who.
        leg: MediaLegId,
        /// It is heard.
        speaks: bool,
    },
    /// On a line of a member of a room somebody else is seen now, or nobody.
    Shows {
        /// Of this member.
        leg: MediaLegId,
        /// Which of its lines, in the order of its description's video (`Video::lines`).
        line: u8,
        /// Who is seen there, and whether that is a screen.
        shown: Option<(MediaLegId, bool)>,
    },
    /// What a room was to hear is at its end.
    RoomPlayed(MediaRoomId),
    /// What a room took in the last `limits::ROOM_MEASURE` of ticks.
    RoomMeasured(MediaRoomId, RoomStats),
    /// The leg lives on another worker now.
    Moved(MediaLegId, WorkerId),
    /// The leg is gone and its port free.
    Closed(MediaLegId, LegStats),
}

impl Event {
    /// The leg that it is about.
    pub fn leg(&self) -> Option<MediaLegId> {
        Some(match self {
            Event::RoomPlayed(_) | Event::RoomMeasured(..) => return None,
            Event::Speaking { leg, .. }
            | Event::Shows { leg, .. }
            | Event::Started(leg, _)
            | Event::Silent(leg)
            | Event::Trouble { leg, .. }
            | Event::Digit { leg, .. }
            | Event::DataTone { leg, .. }
            | Event::Setup(leg, ..)
            | Event::Played(leg)
            | Event::Noted(leg, _)
            | Event::Stats(leg, _)
            | Event::Moved(leg, _)
            | Event::Closed(leg, _) => *leg,
        })
    }
}

impl Command {
    /// The leg that it is about, unless that is a room.
    pub fn leg(&self) -> Option<MediaLegId> {
        Some(match self {
            Command::OpenRoom(_)
            | Command::CloseRoom(_)
            | Command::LinkRoom { .. }
            | Command::PlayRoom { .. }
            | Command::RecordRoom { .. } => return None,
            Command::Open(spec) => spec.id,
            Command::Negotiated { leg, .. }
            | Command::Protect { leg, .. }
            | Command::Connect { leg, .. }
            | Command::Video { leg, .. }
            | Command::Function { leg, .. }
            | Command::Play { leg, .. }
            | Command::SendDigits { leg, .. }
            | Command::Watch { leg, .. }
            | Command::Record { leg, .. }
            | Command::Seat { leg, .. }
            | Command::Move { leg, .. }
            | Command::ReadStats(leg)
            | Command::Close(leg) => *leg,
        })
    }
}

//! Both halves of a leg: what it receives and what it sends. They are apart so that a bridge takes the `Rx` of one leg and the `Tx` of another, and
//! echo both of the same.

use super::bridge::Path;
use super::command::Stream;
use super::decode::{Decode, Piece};
use super::digits::DigitQueue;
use super::dtmf;
use super::ear::Ear;
use super::encode::{COMFORT_NOISE, Encode};
use super::jitter::{Content, Offer};
use super::latch::Latch;
use super::meter::{Meter, Sound};
use super::pace::Pace;
use super::packet::LegIx;
use super::rtp::View;
use super::sender::{Route, Sender};
use super::source::Source;
use super::srtp::{Opener, Sealer};
use super::trouble::Judge;
use crate::time::Instant;
use codecs::Codec;
use codecs::modem::Listener;
use codecs::opus::{Bandwidth, packet_bandwidth};
use codecs::tone::Cadence;
use std::net::SocketAddr;

/// Counters of what is received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub received: u64,
    pub late: u64,
    pub dropped: u64,
    pub strangers: u64,
    /// Not sealed by the key that was agreed.
    pub forged: u64,
    pub concealed: u64,
    pub digits: u32,
    /// Its bridge carried a fax or a modem.
    pub data: bool,
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Rx {
    pub latch: Latch,
    pub pace: Pace,
    pub source: Source,
    pub stream: Option<Stream>,
    pub path: Path,
    pub events: dtmf::Receiver,
    pub decode: Option<Box<Decode>>,
    /// Where keys may come as tones.
    pub ear: Option<Box<Ear>>,
    /// What knows fax machines and modems by their tones.
    pub machines: Listener,
    /// The bridge carries a fax or a modem: losses are silence, and nothing is made louder, softer or left out.
    pub carries_data: bool,
    /// Where packets are protected.
    pub opener: Option<Box<Opener>>,
    pub counts: Counts,
    pub meter: Meter,
    pub judge: Judge,
    /// The last packet is of wide band.
    pub wide_band: bool,
    /// A fax by UDPTL was agreed on at some time.
    pub was_fax: bool,
    /// The last packet says of itself that nobody would hear it (RFC 6464).
    pub is_faint: bool,
    /// Packets came that were not passed on: what comes next does not continue what was.
    pub interrupted: bool,
    pub first_heard: Option<Instant>,
    pub last_heard: Option<Instant>,
    /// When a packet was taken last.
    pub last_taken: Option<Instant>,
    /// When audio came last.
    pub last_audio: Option<Instant>,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct Tx {
    pub place: LegIx,
    pub sender: Sender,
    /// Datagrams of a fax that were sent.
    pub datagrams: u64,
    pub stream: Option<Stream>,
    pub to: Option<SocketAddr>,
    pub encode: Option<Box<Encode>>,
    /// Where packets are protected.
    pub sealer: Option<Box<Sealer>>,
    pub digits: DigitQueue,
    /// Digits are being sent: nothing else is.
    pub is_dialing: bool,
    /// The timestamp of the digit that is being sent.
    pub digit_start: u32,
    /// The event on its way out: where it began at its source, and where with us.
    pub event: Option<(u32, u32)>,
    /// An event that goes out as a tone.
    pub tone: Option<Cadence>,
    /// When a digit went out as a tone last.
    pub played: Option<Instant>,
    /// As in `Rx`.
    pub carries_data: bool,
}

impl Rx {
    /// Nothing was received.
    pub fn new() -> Self {
        Self {
            latch: Latch::default(),
            pace: Pace::default(),
            source: Source::default(),
            stream: None,
            path: Path::Nowhere,
            events: dtmf::Receiver::default(),
            decode: None,
            ear: None,
            machines: Listener::new(),
            carries_data: false,
            opener: None,
            counts: Counts::default(),
            meter: Meter::default(),
            judge: Judge::default(),
            wide_band: false,
            was_fax: false,
            is_faint: false,
            interrupted: false,
            first_heard: None,
            last_heard: None,
            last_taken: None,
            last_audio: None,
        }
    }

    /// What was agreed, as it is treated now.
    pub fn treated(&self) -> Option<Stream> {
        self.stream.map(|stream| {
            if self.carries_data {
                stream.as_it_is()
            } else {
                stream.treated()
            }
        })
    }

    /// Another way from here on.
    pub fn go(&mut self, path: Path) {
        if self.path != path {
            self.path = path;
            self.interrupted = true;
            if let Some(decode) = self.decode.as_mut() {
                decode.end_pause();
            }
        }
    }

    /// It carries a fax or a modem: by its tones, or since signalling says so.
    pub fn is_data(&self) -> bool {
        self.carries_data || self.stream.is_some_and(|stream| stream.carries_data)
    }

    /// Gives a packet to the jitter buffer.
    pub fn offer(&mut self, view: &View<'_>, content: Content<'_>) {
        let Some(decode) = self.decode.as_mut() else {
            self.counts.dropped += 1;
            return;
        };
        match decode.offer(view.sequence, view.timestamp, content) {
            Offer::Taken => {}
            Offer::Late => self.late(view.sequence),
            Offer::TooLarge => self.counts.dropped += 1,
        }
    }

    /// A packet has nothing to be heard, by its own word: it is not decoded. What is behind it does not wait for it.
    pub fn skip(&mut self, now: Instant, view: &View<'_>) {
        if self.decode.as_mut().is_none_or(|decode| !decode.skip(view.sequence)) {
            self.offer(view, Content::Nothing);
        }
        self.judge.sound(now, Sound::Silence);
    }

    /// A packet came too late to be passed on.
    pub fn late(&mut self, sequence: u16) {
        self.counts.late += 1;
        self.source.discard(sequence);
    }

    /// A packet is taken: the peer is there.
    pub fn take(&mut self, now: Instant, stream: &Stream, view: &View<'_>, is_audio: bool) {
        self.counts.received += 1;
        self.last_taken = Some(now);
        // An event says nothing of whether the peer is silent.
        if is_audio || view.payload_type == COMFORT_NOISE {
            self.judge.packet(!is_audio);
        }
        // An empty one only keeps a way open (RFC 6263 4.1).
        if is_audio && !view.payload.is_empty() {
            self.hear(now, stream, view.payload);
        }
    }

    /// Audio came: how it sounds, as far as the octets tell.
    fn hear(&mut self, now: Instant, stream: &Stream, payload: &[u8]) {
        self.last_audio = Some(now);
        let mut sound = self.meter.packet(stream.codec, payload);
        self.wide_band = match stream.codec {
            Codec::Pcmu | Codec::Pcma => false,
            Codec::G722 => true,
            Codec::Opus => packet_bandwidth(payload) >= Some(Bandwidth::Wide),
        };
        // What nobody decodes may be anything.
        if !told_by_octets(stream.codec) && self.decode.is_none() {
            sound = Sound::Audible;
        }
        self.judge.sound(now, sound);
    }

    /// What the jitter buffer has ready, decoded; measured where the octets did not tell how it sounds.
    pub fn pull(&mut self, now: Instant) -> Option<Piece> {
        let is_data = self.is_data();
        let decode = self.decode.as_mut()?;
        decode.conceal(!is_data);
        let piece = decode.pull(now)?;
        self.measure(now, piece);
        Some(piece)
    }

    /// The same for a player that can wait no longer (`Decode::pull_due`).
    pub fn pull_due(&mut self, now: Instant, made: u32) -> Option<Piece> {
        let piece = self.decode.as_mut()?.pull_due(now, made)?;
        self.measure(now, piece);
        Some(piece)
    }

    fn measure(&mut self, now: Instant, piece: Piece) {
        self.counts.concealed += u64::from(piece.concealed);
        let is_measured = self.stream.is_some_and(|stream| !told_by_octets(stream.codec));
        if let Some(decode) = self.decode.as_ref().filter(|_| is_measured) {
            let sound = self.meter.pcm(decode.pcm(piece));
            self.judge.sound(now, sound);
        }
    }
}

/// Whether the octets of a codec tell how they sound.
const fn told_by_octets(codec: Codec) -> bool {
    match codec {
        Codec::Pcmu | Codec::Pcma => true,
        Codec::G722 | Codec::Opus => false,
    }
}

impl Tx {
    /// Nothing was sent.
    pub fn new(sender: Sender) -> Self {
        Self {
            place: LegIx(0),
            sender,
            datagrams: 0,
            stream: None,
            to: None,
            encode: None,
            sealer: None,
            digits: DigitQueue::default(),
            is_dialing: false,
            digit_start: 0,
            event: None,
            tone: None,
            played: None,
            carries_data: false,
        }
    }

    /// By where and to where, if anything may be sent.
    pub fn route(&self) -> Option<Route> {
        let to = self.to?;
        self.stream
            .filter(|stream| stream.sends)
            .map(|_| Route { leg: self.place, to })
    }

    /// The peer makes comfort noise itself.
    pub fn makes_noise(&self) -> bool {
        !self.carries_data && self.stream.is_some_and(|stream| stream.treated().comfort_noise)
    }

    /// What feeds this half changes or pauses.
    pub fn cut(&mut self) {
        self.sender.cut();
        self.event = None;
        if let Some(encode) = self.encode.as_mut() {
            encode.cut();
        }
    }
}

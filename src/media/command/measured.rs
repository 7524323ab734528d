//! What is measured on a leg, and what is told of it.

use codecs::Codec;

/// Which extended reports a peer's description asks us for (RFC 3611 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Xr {
    /// VoIP metrics of what it sends.
    pub metrics: bool,
    /// It answers reference times, so that who only listens learns the round trip too.
    pub round_trip: bool,
}

/// Counters and quality of one leg, from its opening to now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    /// Packets received and taken.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Lost on the way to us (RFC 3550 A.3).
    pub lost: u64,
    /// Came too late for the jitter buffer.
    pub late: u64,
    /// Dropped: not RTP, wrong payload type, wrong source, held.
    pub dropped: u64,
    /// Dropped because the source was a stranger (latching).
    pub strangers: u64,
    /// Dropped because they were not sealed by the agreed key.
    pub forged: u64,
    /// Frames that concealment made.
    pub concealed: u64,
    /// How often audio that is decoded came later than the jitter buffer's target, so that who plays it runs dry.
    pub underruns: u64,
    /// Interarrival jitter in microseconds (RFC 3550 A.8).
    pub jitter_us: u32,
    /// Round trip in microseconds from RTCP (RFC 3550 6.4.1, RFC 3611 4.5), if the peer reports.
    pub round_trip_us: Option<u32>,
    /// Fraction that the peer says it lost of what we sent, in 1/256 (RFC 3550 6.4.1).
    pub peer_fraction_lost: Option<u8>,
    /// Packets that the peer says it lost of what we sent, in all (RFC 3550 6.4.1).
    pub peer_lost: Option<u32>,
    /// Mean opinion score of what we receive, by the E-model (ITU-T G.107); `None` before the first second.
    pub mos: Option<f32>,
    /// The score is on the scale of wide band (ITU-T G.107.1).
    pub wide_band: bool,
    /// How loud the peer is where it is not silent, in dBm0; `None` where nothing was measured.
    pub level_dbm0: Option<f32>,
    /// The share of what was measured that is silence, 0 to 1.
    pub silence: Option<f32>,
    /// What the peer says of its reception in extended reports.
    pub peer: Option<PeerView>,
    /// What was wrong with its media at any time.
    pub troubles: Troubles,
    /// DTMF digits received.
    pub digits: u32,
    /// Tones of a fax machine or a modem were heard in its bridge.
    pub data: bool,
    /// The codec at the end; none where that was a fax by UDPTL.
    pub codec: Option<Codec>,
    /// It carried a fax by UDPTL (ITU-T T.38).
    pub fax: bool,
}

impl LegStats {
    /// For a record: the codec, and whether there was a fax; `None` where nothing was agreed.
    pub fn spoke(&self) -> Option<&'static str> {
        Some(match (self.codec, self.fax) {
            (Some(codec), false) => codec.name(),
            (None, true) => "T.38",
            (Some(Codec::Pcmu), true) => "PCMU, T.38",
            (Some(Codec::Pcma), true) => "PCMA, T.38",
            (Some(Codec::G722), true) => "G722, T.38",
            (Some(Codec::Opus), true) => "opus, T.38",
            (None, false) => return None,
        })
    }
}

/// A peer's own view of what we send it (RFC 3611 4.7).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeerView {
    /// Lost, in 1/256.
    pub loss: u8,
    /// Discarded because it came too late, in 1/256.
    pub discard: u8,
    /// Score of a conversation.
    pub mos: Option<f32>,
}

/// What is wrong with one direction of a leg's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing comes from the peer.
    NothingComes(Missing),
    /// What comes from the peer was nothing but silence from the start.
    OnlySilence,
    /// What we send does not arrive at the peer, as its reports say.
    NothingArrives,
    /// There is something for the peer, and it is not sent on.
    NothingSent,
}

/// Where what does not come is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing tells.
    Unknown,
    /// At the peer: its reports say that it sends nothing.
    NotSent,
    /// On the way: its reports say that it sends.
    OnTheWay,
    /// It comes from an address that is not the peer's.
    Stranger,
    /// It is not sealed by the agreed key.
    Forged,
    /// It is of no kind that was agreed.
    Unreadable,
}

/// A set of troubles, whatever is known of where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles(u8);

/// The bit of each trouble, and its name in records.
const NAMES: [(u8, &str); 4] = [
    (1, "nothing came"),
    (2, "only silence came"),
    (4, "nothing arrived"),
    (8, "nothing was sent on"),
];

impl Troubles {
    /// True if it is among them.
    pub fn has(self, trouble: Trouble) -> bool {
        self.0 & trouble.bit() != 0
    }

    /// Puts it in, or takes it out.
    pub fn set(&mut self, trouble: Trouble, is_there: bool) {
        if is_there {
            self.0 |= trouble.bit();
        } else {
            self.0 &= !trouble.bit();
        }
    }

    /// What comes from the peer is not heard.
    pub fn is_unheard(self) -> bool {
        self.has(Trouble::NothingComes(Missing::Unknown)) || self.has(Trouble::OnlySilence)
    }

    /// What is for the peer does not reach it.
    pub fn is_deaf(self) -> bool {
        self.has(Trouble::NothingArrives) || self.has(Trouble::NothingSent)
    }

    /// For a record: their names with commas between; `None` where there is none.
    pub fn names(self) -> Option<String> {
        let names: Vec<&str> = NAMES
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|(_, name)| *name)
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

impl Trouble {
    const fn bit(self) -> u8 {
        match self {
            Trouble::NothingComes(_) => NAMES[0].0,
            Trouble::OnlySilence => NAMES[1].0,
            Trouble::NothingArrives => NAMES[2].0,
            Trouble::NothingSent => NAMES[3].0,
        }
    }
}
